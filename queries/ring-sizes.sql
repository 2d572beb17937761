-- Persons, exposures and minutes of overlap by ring, and how much of the overlap was observed
SELECT
  ring,
  COUNT(*)                      AS persons,
  SUM(exposures)                AS exposures,
  SUM(overlap_s) / 60           AS overlap_minutes,
  SUM(observed_overlap_s) / 60  AS observed_minutes,
  MIN(first_exposed_at)         AS first_exposed_at,
  MAX(last_exposed_at)          AS last_exposed_at
FROM contacts
GROUP BY ring
ORDER BY ring
