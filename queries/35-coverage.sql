-- How many residents have scanned anywhere lately, by district?
-- tables: districts
-- column region_id: the district; unknown are persons with visits but without a known residence
-- column residents: residents
-- column with_visits: those with a visit in the days that the night looks back at
-- column without_visits: those without: tracing cannot find them
-- column coverage_per_mille: with visits among 1,000 residents, rounded down; null without residents
SELECT
  region_id,
  residents,
  with_visits,
  residents - with_visits AS without_visits,
  CASE WHEN residents > 0 THEN with_visits * 1000 // residents END AS coverage_per_mille
FROM districts
ORDER BY region_id
