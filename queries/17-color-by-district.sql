-- How many persons have a color, by district and rule?
-- tables: colors
-- param color = 'red': the color
-- column region_id: region of the office in charge
-- column rule_id: the rule that decides their color
-- column persons: persons
-- column first_since: the first day of the longest of these colors
-- column last_since: the first day of the newest
-- column without_end: those whose last day is not known yet
SELECT
  region_id,
  rule_id,
  COUNT(*) AS persons,
  MIN(since) AS first_since,
  MAX(since) AS last_since,
  SUM(CASE WHEN "until" IS NULL THEN 1 ELSE 0 END) AS without_end
FROM colors
WHERE color = $color
GROUP BY region_id, rule_id
ORDER BY region_id, rule_id
