-- Have those who wait been tested since their color began, by rule or region?
-- tables: colors, facts
-- param by = 'rule' | 'region': a row for each of these
-- param utc_offset_hours = local: hours that local time is ahead of UTC, such as 8 or 5.5; without it those of the night's time zone on its day
-- column group_id: the rule that decides, or the region of the office in charge
-- column persons: persons in the register
-- column wait_for_tests: those who cannot be released without a negative test
-- column due_today: those whose next test, check-in or end is on the night's day
-- column tested: those with a test on or after the first day of their color
-- column untested: those without
-- column untested_waiting: those without who wait for a negative test
-- column positive: those with a positive one
WITH tests AS (
  SELECT
    person_id,
    (CAST("at" AS BIGINT) + $utc_offset_us) // 86400000000 AS day_number,
    CASE WHEN what = 'positive' THEN 1 ELSE 0 END AS positive
  FROM facts
  WHERE fact = 'test'
),
taken AS (
  SELECT c.person_id, COUNT(*) AS tests, MAX(t.positive) AS positive
  FROM colors AS c
  JOIN tests AS t ON c.person_id = t.person_id
  WHERE t.day_number >= CAST(c.since AS BIGINT)
  GROUP BY c.person_id
),
states AS (
  SELECT
    CASE WHEN $by = 'region' THEN c.region_id ELSE c.rule_id END AS group_id,
    CASE WHEN c.missing LIKE '%negative test%' THEN 1 ELSE 0 END AS waits,
    CASE WHEN c.next_due = DATE($date) THEN 1 ELSE 0 END AS due,
    CASE WHEN t.tests > 0 THEN 1 ELSE 0 END AS tested,
    COALESCE(t.positive, 0) AS positive
  FROM colors AS c
  LEFT JOIN taken AS t ON c.person_id = t.person_id
)
SELECT
  group_id,
  COUNT(*) AS persons,
  SUM(waits) AS wait_for_tests,
  SUM(due) AS due_today,
  SUM(tested) AS tested,
  COUNT(*) - SUM(tested) AS untested,
  SUM(CASE WHEN waits = 1 AND tested = 0 THEN 1 ELSE 0 END) AS untested_waiting,
  SUM(positive) AS positive
FROM states
GROUP BY group_id
ORDER BY group_id
