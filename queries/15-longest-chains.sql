-- Which chains of infection are the longest?
-- tables: links, venues
-- param top = 50: at most so many chains
-- column generation: links from the first case of the chain to its last
-- column case_id: the last case, who infected no one
-- column infector_1: who most plausibly infected them
-- column infector_2: who infected that person
-- column infector_3: and so on
-- column infector_4: and so on
-- column first_at: start of the first exposure of the last case, UTC
-- column category: category of the venue of their most plausible exposure, or unknown
WITH forest AS (
  SELECT
    CAST(case_id AS VARCHAR) AS case_id,
    CAST(infector_id AS VARCHAR) AS infector_id,
    generation,
    first_at,
    CAST(best_venue_id AS VARCHAR) AS venue
  FROM links
  WHERE generation IS NOT NULL
),
parents AS (
  SELECT infector_id AS parent, COUNT(*) AS children FROM forest GROUP BY infector_id
),
second AS (
  SELECT case_id AS case_1, infector_id AS infector_2 FROM forest
),
third AS (
  SELECT case_id AS case_2, infector_id AS infector_3 FROM forest
),
fourth AS (
  SELECT case_id AS case_3, infector_id AS infector_4 FROM forest
),
places AS (
  SELECT CAST(venue_id AS VARCHAR) AS place, category FROM venues
)
SELECT
  f.generation,
  f.case_id,
  f.infector_id AS infector_1,
  s.infector_2,
  t.infector_3,
  u.infector_4,
  f.first_at,
  COALESCE(v.category, 'unknown') AS category
FROM forest AS f
LEFT JOIN parents AS p ON f.case_id = p.parent
LEFT JOIN second AS s ON f.infector_id = s.case_1
LEFT JOIN third AS t ON s.infector_2 = t.case_2
LEFT JOIN fourth AS u ON t.infector_3 = u.case_3
LEFT JOIN places AS v ON f.venue = v.place
WHERE p.children IS NULL
ORDER BY generation DESC, case_id
LIMIT $top
