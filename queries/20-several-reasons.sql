-- How many persons have reasons of several rules, and would they keep their color without the first?
-- tables: colors, evidence
-- param rules = 2: only persons with so many rules or more
-- column color: their color
-- column reasons: their rules, the one that decides first
-- column persons: persons
-- column evidence: rows of evidence
-- column keep_color: those who would keep their color if the first reason fell
WITH counted AS (
  SELECT person_id, COUNT(DISTINCT rule_id) AS rules, COUNT(*) AS evidence
  FROM evidence
  GROUP BY person_id
),
several AS (
  SELECT
    c.color,
    c.reasons,
    e.evidence,
    CASE WHEN c.color_without = c.color THEN 1 ELSE 0 END AS keeps
  FROM colors AS c
  JOIN counted AS e ON c.person_id = e.person_id
  WHERE e.rules >= $rules
)
SELECT
  color,
  reasons,
  COUNT(*) AS persons,
  SUM(CAST(evidence AS BIGINT)) AS evidence,
  SUM(keeps) AS keep_color
FROM several
GROUP BY color, reasons
ORDER BY persons DESC, color, reasons
