-- Who is overdue for release, and for what?
-- tables: facts, overdue
-- param region = 'all': only this region
-- column region_id: region of the office in charge
-- column person_id: the person
-- column color: their color
-- column rule_id: the rule that decides it
-- column since: first day of the reason that decides
-- column days: days since then
-- column missing: what is still to be done
-- column last_test_at: last test, UTC
-- column last_checkin_at: last check-in, UTC
-- column color_without: what the color would be if nothing were missing
WITH tests AS (
  SELECT person_id, MAX("at") AS last_test_at FROM facts WHERE fact = 'test' GROUP BY person_id
),
checkins AS (
  SELECT person_id, MAX("at") AS last_checkin_at FROM facts WHERE fact = 'checkin' GROUP BY person_id
)
SELECT
  o.region_id,
  o.person_id,
  o.color,
  o.rule_id,
  o.since,
  CAST(DATE($date) AS BIGINT) - CAST(o.since AS BIGINT) AS days,
  o.missing,
  t.last_test_at,
  c.last_checkin_at,
  o.color_without
FROM overdue AS o
LEFT JOIN tests AS t ON o.person_id = t.person_id
LEFT JOIN checkins AS c ON o.person_id = c.person_id
WHERE $region = 'all' OR o.region_id = $region
ORDER BY region_id, since, person_id
