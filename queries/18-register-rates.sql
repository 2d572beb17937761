-- How many of 100,000 residents are not healthy, by district?
-- tables: colors, districts
-- param color = 'all': only this color
-- column region_id: the district they live in, or unknown: of whom no residence is known
-- column residents: residents
-- column persons: those of them in the register
-- column per_100000: persons for 100,000 residents, rounded down; null without residents
WITH counted AS (
  SELECT region_id, residents, CAST(0 AS BIGINT) AS persons FROM districts
  UNION ALL
  SELECT
    CASE WHEN region_by = 'residence' THEN region_id ELSE 'unknown' END AS region_id,
    CAST(0 AS BIGINT) AS residents,
    CAST(1 AS BIGINT) AS persons
  FROM colors
  WHERE $color = 'all' OR color = $color
)
SELECT
  region_id,
  SUM(residents) AS residents,
  SUM(persons) AS persons,
  CASE WHEN SUM(residents) > 0 THEN SUM(persons) * 100000 // SUM(residents) END AS per_100000
FROM counted
GROUP BY region_id
ORDER BY region_id
