-- Which colors were received from other places?
-- tables: facts
-- param utc_offset_hours = local: hours that local time is ahead of UTC, such as 8 or 5.5; without it those of the night's time zone on its day
-- column origin: where they come from, or unknown
-- column scheme: the scheme their color was of, or unknown
-- column color: the color, as this scheme has it
-- column pushes: rows
-- column persons: persons
-- column in_force: rows that have not ended by the night
-- column last_at: start of the newest, UTC
WITH received AS (
  SELECT
    COALESCE(which, 'unknown') AS origin,
    COALESCE(place_id, 'unknown') AS scheme,
    what AS color,
    person_id,
    "at" AS pushed_at,
    CASE
      WHEN "until" IS NULL THEN 1
      WHEN (CAST("until" AS BIGINT) + $utc_offset_us) // 86400000000
        > CAST(DATE($date) AS BIGINT) THEN 1
      ELSE 0
    END AS in_force
  FROM facts
  WHERE fact = 'push'
)
SELECT
  origin,
  scheme,
  color,
  COUNT(*) AS pushes,
  COUNT(DISTINCT person_id) AS persons,
  SUM(in_force) AS in_force,
  MAX(pushed_at) AS last_at
FROM received
GROUP BY origin, scheme, color
ORDER BY origin, scheme, color
