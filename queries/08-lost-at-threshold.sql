-- How many close contacts would be lost if an exposure had to last longer?
-- tables: contacts, exposures, venues
-- param minutes = 15: an exposure would have to last so many minutes
-- column category: category of the venue of a person's longest exposure, or unknown
-- column contacts: persons of ring 1
-- column lost: those whose every single exposure is shorter
-- column lost_per_mille: lost among 1,000 of them, rounded down
WITH longest AS (
  SELECT contact_id, MAX(overlap_s) AS longest_s FROM exposures WHERE ring = 1 GROUP BY contact_id
),
states AS (
  SELECT
    COALESCE(v.category, 'unknown') AS category,
    CASE WHEN l.longest_s < $minutes * 60 THEN 1 ELSE 0 END AS lost
  FROM contacts AS c
  JOIN longest AS l ON c.person_id = l.contact_id
  LEFT JOIN venues AS v ON c.best_venue_id = v.venue_id
  WHERE c.ring = 1
)
SELECT
  category,
  COUNT(*) AS contacts,
  SUM(lost) AS lost,
  SUM(CAST(lost AS BIGINT)) * 1000 // COUNT(*) AS lost_per_mille
FROM states
GROUP BY category
ORDER BY category
