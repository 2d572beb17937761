-- Which contacts have had a fever or symptoms since they were exposed?
-- tables: colors, contacts, facts
-- param fever = 37.30: degrees Celsius from which a temperature is one
-- param top = 100: at most so many persons
-- column person_id: the person
-- column ring: their ring
-- column signs: symptoms, fevers, check-ins as unwell and visits to a fever clinic since the first exposure
-- column first_sign_at: the first of these, UTC
-- column last_sign_at: the last of these, UTC
-- column first_exposed_at: start of the first exposure, UTC
-- column region_id: region of the office in charge, or unknown, as of whoever is green
-- column color: the person's color, null if healthy
WITH signs AS (
  SELECT person_id, "at" AS sign_at
  FROM facts
  WHERE fact = 'symptom'
    OR fact = 'clinic_visit'
    OR (fact = 'temperature' AND TRY_CAST(what AS DOUBLE) >= $fever)
    OR (fact = 'checkin' AND (what = 'unwell' OR TRY_CAST(which AS DOUBLE) >= $fever))
),
ill AS (
  SELECT
    c.person_id,
    c.ring,
    c.first_exposed_at,
    COUNT(*) AS signs,
    MIN(s.sign_at) AS first_sign_at,
    MAX(s.sign_at) AS last_sign_at
  FROM contacts AS c
  JOIN signs AS s ON c.person_id = s.person_id
  WHERE s.sign_at >= c.first_exposed_at
  GROUP BY c.person_id, c.ring, c.first_exposed_at
)
SELECT
  i.person_id,
  i.ring,
  i.signs,
  i.first_sign_at,
  i.last_sign_at,
  i.first_exposed_at,
  COALESCE(r.region_id, 'unknown') AS region_id,
  r.color
FROM ill AS i
LEFT JOIN colors AS r ON i.person_id = r.person_id
ORDER BY ring, first_sign_at, person_id
LIMIT $top
