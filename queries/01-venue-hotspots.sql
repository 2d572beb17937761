-- Which venues exposed the most people?
-- tables: exposures, venues
-- param days = 14: only exposures that began in the last so many local days, the night's day included
-- param top = 20: at most so many venues
-- param utc_offset_hours = local: hours that local time is ahead of UTC, such as 8 or 5.5; without it those of the night's time zone on its day
-- column venue_id: the venue
-- column contacts: persons of ring 1 exposed there
-- column sources: cases and exposure sites that exposed them
-- column exposures: exposures of ring 1
-- column overlap_minutes: minutes shared, over all of them
-- column first_at: start of the first, UTC
-- column last_at: end of the last, UTC
-- column category: the venue's category, or unknown
-- column region_id: the venue's region
-- column name: the venue's name
-- column visitors: different persons who were there lately; null where no case was
-- column contacts_per_mille: contacts for 1,000 of these visitors, rounded down
WITH spread AS (
  SELECT
    venue_id,
    COUNT(DISTINCT contact_id) AS contacts,
    COUNT(DISTINCT source_kind || ' ' || CAST(source_id AS VARCHAR)) AS sources,
    COUNT(*) AS exposures,
    SUM(overlap_s) // 60 AS overlap_minutes,
    MIN("from") AS first_at,
    MAX("until") AS last_at
  FROM exposures
  WHERE ring = 1
    AND (CAST("from" AS BIGINT) + $utc_offset_us) // 86400000000
      > CAST(DATE($date) AS BIGINT) - $days
  GROUP BY venue_id
)
SELECT
  s.venue_id,
  s.contacts,
  s.sources,
  s.exposures,
  s.overlap_minutes,
  s.first_at,
  s.last_at,
  COALESCE(v.category, 'unknown') AS category,
  v.region_id,
  v.name,
  v.visitors,
  CASE WHEN v.visitors > 0 THEN CAST(s.contacts AS BIGINT) * 1000 // v.visitors END AS contacts_per_mille
FROM spread AS s
LEFT JOIN venues AS v ON s.venue_id = v.venue_id
ORDER BY contacts DESC, exposures DESC, venue_id
LIMIT $top
