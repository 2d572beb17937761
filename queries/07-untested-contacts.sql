-- How many close contacts have had no test since their last exposure?
-- tables: colors, contacts, facts
-- param days = 3: a last exposure at least so many local days before the night is long ago
-- param utc_offset_hours = local: hours that local time is ahead of UTC, such as 8 or 5.5; without it those of the night's time zone on its day
-- column region_id: region of the office in charge, or unknown, as of whoever is green
-- column contacts: persons of ring 1
-- column tested: those with a test after their last exposure
-- column untested: those without
-- column untested_long: those without whose last exposure was long ago
WITH tests AS (
  SELECT person_id, MAX("at") AS tested_at FROM facts WHERE fact = 'test' GROUP BY person_id
),
states AS (
  SELECT
    COALESCE(r.region_id, 'unknown') AS region_id,
    CASE WHEN t.tested_at >= c.last_exposed_at THEN 1 ELSE 0 END AS tested,
    CAST(DATE($date) AS BIGINT)
      - (CAST(c.last_exposed_at AS BIGINT) + $utc_offset_us) // 86400000000 AS days_ago
  FROM contacts AS c
  LEFT JOIN tests AS t ON c.person_id = t.person_id
  LEFT JOIN colors AS r ON c.person_id = r.person_id
  WHERE c.ring = 1
)
SELECT
  region_id,
  COUNT(*) AS contacts,
  SUM(tested) AS tested,
  COUNT(*) - SUM(tested) AS untested,
  SUM(CASE WHEN tested = 0 AND days_ago >= $days THEN 1 ELSE 0 END) AS untested_long
FROM states
GROUP BY region_id
ORDER BY region_id
