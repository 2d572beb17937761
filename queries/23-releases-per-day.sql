-- How many persons are to be released on each of the next days?
-- tables: calendar
-- param region = 'all': only this region
-- param healthy = 'green': the color of a healthy person
-- column date: the day
-- column released: persons who become healthy, if nothing else becomes known
-- column other_changes: persons who change to another color
-- column regions: regions with a change
SELECT
  "date",
  SUM(CASE WHEN color_after = $healthy THEN 1 ELSE 0 END) AS released,
  SUM(CASE WHEN color_after = $healthy THEN 0 ELSE 1 END) AS other_changes,
  COUNT(DISTINCT region_id) AS regions
FROM calendar
WHERE $region = 'all' OR region_id = $region
GROUP BY "date"
ORDER BY "date"
