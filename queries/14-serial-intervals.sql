-- How many days lie between exposure and onset, and between the onsets of infector and case?
-- tables: links
-- column measure: incubation (exposure to onset) or serial (onset to onset)
-- column days: local days; null where an onset is unknown
-- column links: plausible links that are the most plausible of their case
WITH best AS (
  SELECT incubation_days, serial_days FROM links WHERE "rank" = 1 AND verdict = 'plausible'
),
measures AS (
  SELECT 'incubation' AS measure, incubation_days AS days FROM best
  UNION ALL
  SELECT 'serial' AS measure, serial_days AS days FROM best
)
SELECT measure, days, COUNT(*) AS links
FROM measures
GROUP BY measure, days
ORDER BY measure, days NULLS LAST
