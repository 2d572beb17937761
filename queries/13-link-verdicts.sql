-- How plausible are the links between cases?
-- tables: links
-- column verdict: plausible, or why not
-- column links: pairs of an infector and a case
-- column first_choices: those that are the most plausible of their case
-- column cases: cases
-- column infectors: infectors
-- column overlap_minutes: minutes shared
-- column observed_per_mille: the observed part of these, in thousandths, rounded down
SELECT
  verdict,
  COUNT(*) AS links,
  SUM(CASE WHEN "rank" = 1 THEN 1 ELSE 0 END) AS first_choices,
  COUNT(DISTINCT case_id) AS cases,
  COUNT(DISTINCT infector_id) AS infectors,
  SUM(overlap_s) // 60 AS overlap_minutes,
  SUM(observed_overlap_s) * 1000 // SUM(overlap_s) AS observed_per_mille
FROM links
GROUP BY verdict
ORDER BY verdict
