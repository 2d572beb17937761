-- How many cases fell ill on each day, and how many of them are linked to another case?
-- tables: links, sources
-- param utc_offset_hours = local: hours that local time is ahead of UTC, such as 8 or 5.5; without it those of the night's time zone on its day
-- column day: local day of the onset; without one of the sample, the report or the start of the window
-- column cases: cases
-- column with_onset: those whose onset is known
-- column linked: those with a link to a case who can have infected them
-- column unlinked: those without
WITH cases AS (
  SELECT
    source_id,
    COALESCE(MIN(onset_at), MIN(sampled_at), MIN(reported_at), MIN(infectious_from)) AS began_at,
    COUNT(onset_at) AS onsets
  FROM sources
  WHERE source_kind = 'person'
  GROUP BY source_id
),
linked AS (
  SELECT CAST(case_id AS VARCHAR) AS linked_id FROM links WHERE generation IS NOT NULL
),
states AS (
  SELECT
    (CAST(c.began_at AS BIGINT) + $utc_offset_us) // 86400000000 AS day_number,
    CASE WHEN c.onsets > 0 THEN 1 ELSE 0 END AS with_onset,
    CASE WHEN p.linked_id IS NULL THEN 0 ELSE 1 END AS linked
  FROM cases AS c
  LEFT JOIN linked AS p ON c.source_id = p.linked_id
)
SELECT
  CAST(CAST(day_number AS INT) AS DATE) AS day,
  COUNT(*) AS cases,
  SUM(with_onset) AS with_onset,
  SUM(linked) AS linked,
  COUNT(*) - SUM(linked) AS unlinked
FROM states
GROUP BY day_number
ORDER BY day NULLS LAST
