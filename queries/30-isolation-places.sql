-- How many persons are in isolation, where, and how many leave soon?
-- tables: facts
-- param days = 3: those who leave soon do so in the next so many days
-- param utc_offset_hours = local: hours that local time is ahead of UTC, such as 8 or 5.5; without it those of the night's time zone on its day
-- column kind: hospital, central or home
-- column persons: persons there who stay beyond the night's day
-- column leaving: those of them whose end is soon
-- column without_end: those of them whose end is not known yet
-- column longest_since: start of the longest of these stays, UTC
WITH stays AS (
  SELECT
    what AS kind,
    person_id,
    "at" AS began_at,
    (CAST("until" AS BIGINT) + $utc_offset_us) // 86400000000
      - CAST(DATE($date) AS BIGINT) AS days_left
  FROM facts
  WHERE fact = 'isolation'
)
SELECT
  kind,
  COUNT(DISTINCT person_id) AS persons,
  COUNT(DISTINCT CASE WHEN days_left <= $days THEN person_id END) AS leaving,
  COUNT(DISTINCT CASE WHEN days_left IS NULL THEN person_id END) AS without_end,
  MIN(began_at) AS longest_since
FROM stays
WHERE days_left > 0 OR days_left IS NULL
GROUP BY kind
ORDER BY kind
