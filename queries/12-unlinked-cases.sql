-- Which cases have no link to a case who can have infected them?
-- tables: links, sources
-- column case_id: the case
-- column status: confirmed, suspected or asymptomatic; of several rows the first by alphabet
-- column onset_at: onset, UTC
-- column sampled_at: sample, UTC
-- column reported_at: report, UTC
-- column reported_by: who reported it; of several rows the first by alphabet
-- column candidates: cases who exposed this one, but cannot have infected them
WITH cases AS (
  SELECT
    source_id,
    MIN(status) AS status,
    MIN(onset_at) AS onset_at,
    MIN(sampled_at) AS sampled_at,
    MIN(reported_at) AS reported_at,
    MIN(reported_by) AS reported_by
  FROM sources
  WHERE source_kind = 'person'
  GROUP BY source_id
),
pairs AS (
  SELECT CAST(case_id AS VARCHAR) AS linked_id, generation FROM links
),
found AS (
  SELECT linked_id, COUNT(*) AS candidates, COUNT(generation) AS infectors FROM pairs GROUP BY linked_id
)
SELECT
  c.source_id AS case_id,
  c.status,
  c.onset_at,
  c.sampled_at,
  c.reported_at,
  c.reported_by,
  COALESCE(f.candidates, 0) AS candidates
FROM cases AS c
LEFT JOIN found AS f ON c.source_id = f.linked_id
WHERE COALESCE(f.infectors, 0) = 0
ORDER BY c.source_id
