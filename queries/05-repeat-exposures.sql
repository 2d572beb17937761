-- Who was exposed more than once: to several sources, or on several days?
-- tables: exposures
-- param top = 100: at most so many persons
-- param utc_offset_hours = local: hours that local time is ahead of UTC, such as 8 or 5.5; without it those of the night's time zone on its day
-- column person_id: a person of ring 1
-- column sources: cases and exposure sites that exposed them
-- column days: local days on which an exposure began
-- column venues: venues
-- column exposures: exposures
-- column overlap_minutes: minutes of these
-- column first_at: start of the first, UTC
-- column last_at: end of the last, UTC
WITH met AS (
  SELECT
    contact_id,
    source_kind || ' ' || CAST(source_id AS VARCHAR) AS source,
    (CAST("from" AS BIGINT) + $utc_offset_us) // 86400000000 AS day_number,
    venue_id,
    overlap_s,
    "from" AS began_at,
    "until" AS ended_at
  FROM exposures
  WHERE ring = 1
),
persons AS (
  SELECT
    contact_id AS person_id,
    COUNT(DISTINCT source) AS sources,
    COUNT(DISTINCT day_number) AS days,
    COUNT(DISTINCT venue_id) AS venues,
    COUNT(*) AS exposures,
    SUM(overlap_s) // 60 AS overlap_minutes,
    MIN(began_at) AS first_at,
    MAX(ended_at) AS last_at
  FROM met
  GROUP BY contact_id
)
SELECT person_id, sources, days, venues, exposures, overlap_minutes, first_at, last_at
FROM persons
WHERE sources > 1 OR days > 1
ORDER BY sources DESC, days DESC, overlap_minutes DESC, person_id
LIMIT $top
