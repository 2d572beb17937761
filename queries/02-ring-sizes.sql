-- How many persons are in each ring, and how much of their exposure was observed?
-- tables: contacts
-- column ring: the ring
-- column persons: persons in it
-- column exposures: their exposures
-- column overlap_minutes: minutes of these
-- column observed_minutes: minutes in which both are known to have been there
-- column first_exposed_at: start of the first, UTC
-- column last_exposed_at: end of the last, UTC
-- column observed_per_mille: the observed part of the overlap, in thousandths, rounded down
SELECT
  ring,
  COUNT(*) AS persons,
  SUM(CAST(exposures AS BIGINT)) AS exposures,
  SUM(overlap_s) // 60 AS overlap_minutes,
  SUM(observed_overlap_s) // 60 AS observed_minutes,
  MIN(first_exposed_at) AS first_exposed_at,
  MAX(last_exposed_at) AS last_exposed_at,
  SUM(observed_overlap_s) * 1000 // SUM(overlap_s) AS observed_per_mille
FROM contacts
GROUP BY ring
ORDER BY ring
