-- How many close contacts does a case have, by category of venue?
-- tables: exposures, sources, venues
-- column category: category of the venue, or unknown
-- column cases: cases of the night, whether or not they exposed someone
-- column exposing_cases: cases who exposed someone at such a venue
-- column contacts: pairs of a case and a person of ring 1 who met at such a venue
-- column exposures: their exposures
-- column contacts_per_100_cases: contacts for 100 cases of the night, rounded down
-- column most_of_one_case: contacts of the case with the most
WITH met AS (
  SELECT COALESCE(v.category, 'unknown') AS category, e.source_id, e.contact_id
  FROM exposures AS e
  LEFT JOIN venues AS v ON e.venue_id = v.venue_id
  WHERE e.ring = 1 AND e.source_kind = 'person'
),
per_case AS (
  SELECT category, source_id, COUNT(DISTINCT contact_id) AS contacts, COUNT(*) AS exposures
  FROM met
  GROUP BY category, source_id
),
per_category AS (
  SELECT
    category,
    COUNT(*) AS exposing_cases,
    SUM(CAST(contacts AS BIGINT)) AS contacts,
    SUM(CAST(exposures AS BIGINT)) AS exposures,
    MAX(contacts) AS most_of_one_case
  FROM per_case
  GROUP BY category
),
everyone AS (
  SELECT COUNT(DISTINCT source_id) AS cases FROM sources WHERE source_kind = 'person'
)
SELECT
  c.category,
  a.cases,
  c.exposing_cases,
  c.contacts,
  c.exposures,
  c.contacts * 100 // a.cases AS contacts_per_100_cases,
  c.most_of_one_case
FROM per_category AS c
CROSS JOIN everyone AS a
ORDER BY category
