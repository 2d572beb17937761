-- Whose color rests on one single reason, an exposure that is only inferred?
-- tables: colors, contacts, evidence, venues
-- param ring = 2: up to this ring
-- param top = 100: at most so many persons
-- column person_id: the person
-- column region_id: region of the office in charge
-- column color: their color
-- column color_without: what it would be without this reason
-- column rule_id: the rule
-- column ring: their ring
-- column source_id: who exposed them longest
-- column venue_id: where
-- column category: category of that venue, or unknown
-- column overlap_minutes: minutes of all their exposures, none of which was observed
-- column until: first day without the color
WITH counted AS (
  SELECT person_id, color, COUNT(*) AS reasons FROM evidence GROUP BY person_id, color
),
met AS (
  SELECT person_id, color, rule_id, source_id, venue_id FROM evidence WHERE fact = 'contact'
),
places AS (
  SELECT CAST(venue_id AS VARCHAR) AS venue, category FROM venues
)
SELECT
  c.person_id,
  c.region_id,
  c.color,
  c.color_without,
  m.rule_id,
  t.ring,
  m.source_id,
  m.venue_id,
  COALESCE(p.category, 'unknown') AS category,
  t.overlap_s // 60 AS overlap_minutes,
  c."until"
FROM colors AS c
JOIN counted AS n ON c.person_id = n.person_id AND c.color = n.color
JOIN met AS m ON c.person_id = m.person_id AND c.color = m.color
JOIN contacts AS t ON c.person_id = t.person_id
LEFT JOIN places AS p ON m.venue_id = p.venue
WHERE n.reasons = 1 AND t.observed_overlap_s = 0 AND t.ring <= $ring
ORDER BY ring, overlap_minutes, person_id
LIMIT $top
