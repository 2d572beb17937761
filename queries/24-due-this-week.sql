-- What falls due in the next days: how many persons have their next test, check-in or end on each day?
-- tables: colors
-- param days = 7: so many days, the night's day included
-- column next_due: the day
-- column region_id: region of the office in charge
-- column color: their color
-- column persons: persons
SELECT next_due, region_id, color, COUNT(*) AS persons
FROM colors
WHERE next_due IS NOT NULL
  AND CAST(next_due AS BIGINT) < CAST(DATE($date) AS BIGINT) + $days
GROUP BY next_due, region_id, color
ORDER BY next_due, region_id, color
