-- At what kind of venue were most of the exposed infected?
-- tables: exposures, links, venues
-- column category: category of the venue, or unknown; of a link that of its most plausible exposure
-- column exposed: persons exposed to a case there: ring 1, and cases with a link there
-- column infected: cases among them whose most plausible infection was there
-- column with_onset: those of them for whom onsets and exposure fit; the others have no onset
-- column attack_per_mille: infected among 1,000 exposed, rounded down
WITH places AS (
  SELECT CAST(venue_id AS VARCHAR) AS venue, category FROM venues
),
met AS (
  SELECT
    CAST(contact_id AS VARCHAR) AS person,
    CAST(venue_id AS VARCHAR) AS venue,
    0 AS infected,
    0 AS with_onset
  FROM exposures
  WHERE ring = 1 AND source_kind = 'person'
  UNION ALL
  SELECT
    CAST(case_id AS VARCHAR) AS person,
    CAST(best_venue_id AS VARCHAR) AS venue,
    CASE WHEN generation IS NOT NULL THEN 1 ELSE 0 END AS infected,
    CASE WHEN generation IS NOT NULL AND verdict = 'plausible' THEN 1 ELSE 0 END AS with_onset
  FROM links
),
placed AS (
  SELECT COALESCE(p.category, 'unknown') AS category, m.person, m.infected, m.with_onset
  FROM met AS m
  LEFT JOIN places AS p ON m.venue = p.venue
),
persons AS (
  SELECT category, person, MAX(infected) AS infected, MAX(with_onset) AS with_onset
  FROM placed
  GROUP BY category, person
)
SELECT
  category,
  COUNT(*) AS exposed,
  SUM(infected) AS infected,
  SUM(with_onset) AS with_onset,
  SUM(CAST(infected AS BIGINT)) * 1000 // COUNT(*) AS attack_per_mille
FROM persons
GROUP BY category
ORDER BY category
