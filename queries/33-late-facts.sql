-- Which kinds of facts become known late?
-- tables: facts
-- param hours = 24: a fact is late that became known more than so many hours after it happened or began
-- column fact: the kind of fact
-- column facts: facts
-- column late: late ones
-- column late_per_mille: late among 1,000 facts, rounded down
-- column mean_hours: mean hours until they became known, rounded down; 0 for those known ahead
-- column longest_hours: the longest of these
WITH delays AS (
  SELECT
    fact,
    CASE
      WHEN known_at > "at" THEN (CAST(known_at AS BIGINT) - CAST("at" AS BIGINT)) // 1000000
      ELSE 0
    END AS delay_s
  FROM facts
),
states AS (
  SELECT fact, delay_s, CASE WHEN delay_s > $hours * 3600 THEN 1 ELSE 0 END AS late FROM delays
)
SELECT
  fact,
  COUNT(*) AS facts,
  SUM(late) AS late,
  SUM(CAST(late AS BIGINT)) * 1000 // COUNT(*) AS late_per_mille,
  SUM(delay_s) // COUNT(*) // 3600 AS mean_hours,
  MAX(delay_s) // 3600 AS longest_hours
FROM states
GROUP BY fact
ORDER BY fact
