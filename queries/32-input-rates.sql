-- How many rows of each input table repeat others or could not be used?
-- tables: inputs
-- column table: the table
-- column files: files
-- column rows: rows in them
-- column accepted: rows in use
-- column merged: rows that repeat or prolong an accepted one
-- column rejected: rows in rejects
-- column merged_per_mille: merged among 1,000 rows, rounded down; null without rows
-- column rejected_per_mille: rejected among 1,000 rows, rounded down; null without rows
SELECT
  "table",
  COUNT(*) AS files,
  SUM("rows") AS "rows",
  SUM(accepted) AS accepted,
  SUM(merged) AS merged,
  SUM(rejected) AS rejected,
  CASE WHEN SUM("rows") > 0 THEN SUM(merged) * 1000 // SUM("rows") END AS merged_per_mille,
  CASE WHEN SUM("rows") > 0 THEN SUM(rejected) * 1000 // SUM("rows") END AS rejected_per_mille
FROM inputs
GROUP BY "table"
ORDER BY "table"
