-- How many persons does each rule color, and how many of them are new tonight?
-- tables: changes, rules
-- column rule_id: the rule
-- column color: its first color
-- column persons: persons with a reason of it
-- column decides: those whose color it decides
-- column changes: those whose color it changes tonight
-- column basis: why, in words
WITH tonight AS (
  SELECT rule_id, COUNT(*) AS changes FROM changes WHERE rule_id IS NOT NULL GROUP BY rule_id
)
SELECT
  r.rule_id,
  r.color,
  r.persons,
  r.decides,
  COALESCE(t.changes, 0) AS changes,
  r.basis_en AS basis
FROM rules AS r
LEFT JOIN tonight AS t ON r.rule_id = t.rule_id
ORDER BY r.rule_id
