-- How long does it take from onset to sample, report and isolation, by who reports?
-- tables: sources
-- column reported_by: who reported the cases, or unknown
-- column reports: rows of cases
-- column onset_to_sample_hours: mean hours, to a tenth (half up), of the rows that have both times; null if none has
-- column sample_to_report_hours: the same from sample to report
-- column report_to_isolation_hours: the same from report to isolation; less than 0 if isolated before
-- column onset_to_isolation_hours: the same from onset to isolation
-- column longest_hours: the longest of these from onset to isolation
WITH delays AS (
  SELECT
    COALESCE(reported_by, 'unknown') AS reported_by,
    (CAST(sampled_at AS BIGINT) - CAST(onset_at AS BIGINT)) / 3600000000 AS to_sample,
    (CAST(reported_at AS BIGINT) - CAST(sampled_at AS BIGINT)) / 3600000000 AS to_report,
    (CAST(isolated_at AS BIGINT) - CAST(reported_at AS BIGINT)) / 3600000000 AS to_isolation,
    (CAST(isolated_at AS BIGINT) - CAST(onset_at AS BIGINT)) / 3600000000 AS in_all
  FROM sources
  WHERE source_kind = 'person'
)
SELECT
  reported_by,
  COUNT(*) AS reports,
  ROUND(FLOOR(AVG(to_sample) * 10 + 0.5) / 10.0, 1) AS onset_to_sample_hours,
  ROUND(FLOOR(AVG(to_report) * 10 + 0.5) / 10.0, 1) AS sample_to_report_hours,
  ROUND(FLOOR(AVG(to_isolation) * 10 + 0.5) / 10.0, 1) AS report_to_isolation_hours,
  ROUND(FLOOR(AVG(in_all) * 10 + 0.5) / 10.0, 1) AS onset_to_isolation_hours,
  ROUND(FLOOR(MAX(in_all) * 10 + 0.5) / 10.0, 1) AS longest_hours
FROM delays
GROUP BY reported_by
ORDER BY reported_by
