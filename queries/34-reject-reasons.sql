-- Why could rows not be used, by file?
-- tables: rejects
-- column table: the table
-- column file: the file
-- column column: the column at fault
-- column reason: what is wrong with it
-- column rows: rows
-- column first_row: the first of them, counted from 1
SELECT
  "table",
  "file",
  "column",
  reason,
  COUNT(*) AS "rows",
  MIN("row") AS first_row
FROM rejects
GROUP BY "table", "file", "column", reason
ORDER BY "table", "file", "column", reason
