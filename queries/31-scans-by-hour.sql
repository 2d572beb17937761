-- At what hours of the local day do people arrive and scan?
-- tables: traffic
-- param utc_offset_hours = local: hours that local time is ahead of UTC, such as 8 or 5.5; without it those of the night's time zone on its day
-- column hour_of_day: the hour, 0 to 23
-- column arrivals: visits that began in it
-- column days: local days on which any did
-- column most: arrivals on the day with the most of these
-- column share_per_mille: its arrivals among 1,000 of the whole day, rounded down
WITH local_hours AS (
  SELECT (CAST("hour" AS BIGINT) + $utc_offset_us) // 3600000000 % 24 AS hour_of_day, arrivals
  FROM traffic
  WHERE arrivals > 0
),
hours AS (
  SELECT hour_of_day, SUM(arrivals) AS arrivals, COUNT(*) AS days, MAX(arrivals) AS most
  FROM local_hours
  GROUP BY hour_of_day
),
everything AS (
  SELECT SUM(arrivals) AS all_arrivals FROM traffic
)
SELECT
  h.hour_of_day,
  h.arrivals,
  h.days,
  h.most,
  h.arrivals * 1000 // e.all_arrivals AS share_per_mille
FROM hours AS h
CROSS JOIN everything AS e
ORDER BY hour_of_day
