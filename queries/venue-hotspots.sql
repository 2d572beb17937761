-- Venues by the number of persons exposed there in ring 1, with the time shared
SELECT
  venue_id,
  COUNT(DISTINCT contact_id) AS contacts,
  COUNT(DISTINCT source_id)  AS sources,
  COUNT(*)                   AS exposures,
  SUM(overlap_s) / 60        AS overlap_minutes,
  MIN("from")                AS first_at,
  MAX("until")               AS last_at
FROM exposures
WHERE ring = 1
GROUP BY venue_id
ORDER BY contacts DESC, exposures DESC, venue_id
LIMIT 20
