-- How many persons of each region and color have their next test or end on each day
SELECT
  next_due,
  region_id,
  color,
  COUNT(*) AS persons
FROM colors
WHERE next_due IS NOT NULL
GROUP BY next_due, region_id, color
ORDER BY next_due, region_id, color
LIMIT 100
