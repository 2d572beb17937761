-- Which appeals wait for a decision, and for how long?
-- tables: appeals, colors
-- param days = 0: only those that have waited so many days or more
-- column age_days: days since it was made
-- column filed_on: the day it was made
-- column person_id: the person
-- column rule_id: the rule it is about
-- column color: the person's color, null if healthy
-- column region_id: region of the office in charge, or unknown
-- column input_file: the file that tells of it
-- column input_row: its row there
SELECT
  a.age_days,
  a.filed_on,
  a.person_id,
  a.rule_id,
  c.color,
  COALESCE(c.region_id, 'unknown') AS region_id,
  a.input_file,
  a.input_row
FROM appeals AS a
LEFT JOIN colors AS c ON a.person_id = c.person_id
WHERE a.age_days >= $days
ORDER BY age_days DESC, person_id, a.rule_id, input_file, input_row
