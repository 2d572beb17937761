-- How much of the exposure was observed and how much is inferred, by category of venue?
-- tables: exposures, venues
-- column category: category of the venue, or unknown
-- column exposures: exposures of ring 1
-- column only_inferred: those of which no second was observed
-- column overlap_minutes: minutes shared
-- column observed_minutes: minutes in which both are known to have been there
-- column inferred_minutes: minutes that rest on an assumed length of stay
-- column observed_per_mille: the observed part of the overlap, in thousandths, rounded down
WITH met AS (
  SELECT COALESCE(v.category, 'unknown') AS category, e.overlap_s, e.observed_overlap_s
  FROM exposures AS e
  LEFT JOIN venues AS v ON e.venue_id = v.venue_id
  WHERE e.ring = 1
)
SELECT
  category,
  COUNT(*) AS exposures,
  SUM(CASE WHEN observed_overlap_s = 0 THEN 1 ELSE 0 END) AS only_inferred,
  SUM(overlap_s) // 60 AS overlap_minutes,
  SUM(observed_overlap_s) // 60 AS observed_minutes,
  SUM(overlap_s - observed_overlap_s) // 60 AS inferred_minutes,
  SUM(observed_overlap_s) * 1000 // SUM(overlap_s) AS observed_per_mille
FROM met
GROUP BY category
ORDER BY category
