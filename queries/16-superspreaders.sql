-- Which cases infected the most others?
-- tables: exposures, links
-- param cases = 2: only those who infected so many or more
-- column infector_id: the case
-- column infected: cases whom this one most plausibly infected
-- column venues: venues of the most plausible exposures of these
-- column first_at: start of the first exposure, UTC
-- column last_at: end of the last exposure, UTC
-- column contacts: persons of ring 1 whom they exposed as well
WITH forest AS (
  SELECT CAST(infector_id AS VARCHAR) AS infector_id, best_venue_id, first_at, last_at
  FROM links
  WHERE generation IS NOT NULL
),
infectors AS (
  SELECT
    infector_id,
    COUNT(*) AS infected,
    COUNT(DISTINCT best_venue_id) AS venues,
    MIN(first_at) AS first_at,
    MAX(last_at) AS last_at
  FROM forest
  GROUP BY infector_id
),
met AS (
  SELECT CAST(source_id AS VARCHAR) AS source, contact_id
  FROM exposures
  WHERE ring = 1 AND source_kind = 'person'
),
exposed AS (
  SELECT source, COUNT(DISTINCT contact_id) AS contacts FROM met GROUP BY source
)
SELECT
  i.infector_id,
  i.infected,
  i.venues,
  i.first_at,
  i.last_at,
  COALESCE(e.contacts, 0) AS contacts
FROM infectors AS i
LEFT JOIN exposed AS e ON i.infector_id = e.source
WHERE i.infected >= $cases
ORDER BY infected DESC, infector_id
