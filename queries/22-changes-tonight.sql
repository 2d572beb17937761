-- Which changes does the night bring, by region and rule?
-- tables: changes
-- column region_id: region of the office in charge
-- column color_before: the color before
-- column color_after: the color from now on
-- column rule_id: the rule that decides it; none where no reason is left
-- column persons: persons
WITH named AS (
  SELECT region_id, color_before, color_after, COALESCE(rule_id, 'none') AS rule_id FROM changes
)
SELECT region_id, color_before, color_after, rule_id, COUNT(*) AS persons
FROM named
GROUP BY region_id, color_before, color_after, rule_id
ORDER BY region_id, color_before, color_after, rule_id
