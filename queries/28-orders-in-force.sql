-- Which manual orders are in force: not ended, and a reason that counts?
-- tables: colors, evidence, facts
-- param utc_offset_hours = local: hours that local time is ahead of UTC, such as 8 or 5.5; without it those of the night's time zone on its day
-- column person_id: the person
-- column ordered_color: the color ordered
-- column issued_at: when, UTC
-- column until: its end, UTC
-- column days_left: local days from the night's day to its end
-- column color: the person's color, null if healthy
-- column rule_id: the rule that decides it
-- column region_id: region of the office in charge, or unknown
-- column input_file: the file that tells of the order, with author, approver and basis
-- column input_row: its row there
WITH orders AS (
  SELECT
    person_id,
    what AS ordered_color,
    "at" AS issued_at,
    "until" AS ends_at,
    (CAST("until" AS BIGINT) + $utc_offset_us) // 86400000000
      - CAST(DATE($date) AS BIGINT) AS days_left,
    input_file,
    input_row
  FROM facts
  WHERE fact = 'order'
),
counting AS (
  SELECT DISTINCT input_file, input_row
  FROM evidence
  WHERE fact = 'order'
)
SELECT
  o.person_id,
  o.ordered_color,
  o.issued_at,
  o.ends_at AS "until",
  o.days_left,
  c.color,
  c.rule_id,
  COALESCE(c.region_id, 'unknown') AS region_id,
  o.input_file,
  o.input_row
FROM orders AS o
JOIN counting AS e ON o.input_file = e.input_file AND o.input_row = e.input_row
LEFT JOIN colors AS c ON o.person_id = c.person_id
WHERE o.days_left > 0 OR o.ends_at IS NULL
ORDER BY person_id, issued_at, input_file, input_row
