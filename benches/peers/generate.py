"""Writes a synthetic world of venue visits: the same rows for the same size and seed, on any machine.

    generate.py OUT --size S|M|L|XL        or        generate.py OUT --people N

OUT/visits/date=YYYY-MM-DD/part-0.parquet
    person_id (random-looking 63-bit pseudonym), venue_id (dense), start_ts, end_ts: int64, epoch seconds, half-open.
    A file holds the visits that start on its day, in order of arrival; a visit may run past midnight.
OUT/cases.parquet
    person_id, onset_ts, inf_start (onset - 2 days), inf_end (onset + 3 days)
OUT/world.json
    how many rows, people, venues and cases there are

The world: cities of up to a million people, districts of 20,000, households of three; about ten visits a person in 14
days. Shops (three regular ones a person), workplaces (sizes log-normal, at most 2,000), leisure (whole households, a
third of them to malls of the city), stations, and on two Saturdays a stadium with 0.4 % of the city.
"""
import argparse
import datetime as dt
import json
import pathlib
import time

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

COLUMNS = ("person_id", "venue_id", "start_ts", "end_ts")
FIRST_DAY = dt.date(2026, 3, 1)
FIRST_SECOND = int(dt.datetime(2026, 3, 1, tzinfo=dt.timezone.utc).timestamp())
DAY_S = 86400
PEOPLE = {"S": 100_000, "M": 2_000_000, "L": 20_000_000, "XL": 160_000_000}
CITY = 1_000_000
DISTRICT = 20_000
SHOPS, LEISURE = 60, 24  # a district
MALLS, STATIONS = 15, 40  # a city


def scramble(x):
    """splitmix64: a bijection of 64-bit integers that looks random."""
    x = x + np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def pseudonym(index, seed):
    return (scramble(index ^ np.uint64(seed)) >> np.uint64(1)).astype(np.int64)


def fraction(index, salt):
    """A number in [0, 1) for each person, always the same for the same salt."""
    return (scramble(index ^ np.uint64(salt * 0x1000003D1F)) >> np.uint64(11)).astype(np.float64) * 2.0**-53


def popularity(n, exponent, cap):
    """Cumulative Zipf shares of `n` venues, none larger than about `cap`: without the cap one venue takes it all."""
    w = 1.0 / np.arange(1, n + 1) ** exponent
    w /= w.sum()
    for _ in range(20):
        w = np.minimum(w, cap)
        w /= w.sum()
    return np.cumsum(w) / w.sum()


SHOP = popularity(SHOPS, 0.9, 0.03)
SPOT = popularity(LEISURE, 0.8, 0.05)
MALL = popularity(MALLS, 0.9, 0.20)
STATION = popularity(STATIONS, 0.9, 0.10)


class City:
    """People and venues of one city. Venues are kept as int32: at XL the cities together must fit in memory."""

    def __init__(self, number, people, first_venue, seed):
        self.number, self.people, self.seed = number, people, seed
        index = np.arange(number * CITY, number * CITY + people, dtype=np.uint64)
        self.person = pseudonym(index, seed)
        self.districts = (people + DISTRICT - 1) // DISTRICT
        self.shop = first_venue
        self.spot = self.shop + self.districts * SHOPS
        self.mall = self.spot + self.districts * LEISURE
        self.station = self.mall + MALLS
        self.stadium = self.station + STATIONS
        works = max(1, int(people * 0.55 / 50))
        work = self.stadium + 1
        self.end = work + works

        rng = np.random.Generator(np.random.Philox(key=[seed, 1_000_003 + number]))
        size = np.minimum(rng.lognormal(0, 1.2, works), 60)
        size = np.cumsum(np.minimum(size / size.sum(), 2000 / max(people * 0.55, 1)))
        size /= size[-1]
        self.works = fraction(index, 12) < 0.55
        self.work = (work + np.minimum(np.searchsorted(size, fraction(index, 11)), works - 1)).astype(np.int32)
        self.nights = fraction(index, 13) < 0.06
        own = self.shop + np.arange(people) // DISTRICT * SHOPS
        self.regular = [(own + np.searchsorted(SHOP, fraction(index, 20 + k))).astype(np.int32) for k in range(3)]

    def day(self, day):
        """Columns of the visits that start on `day`. The order of draws is part of the world: do not change it."""
        rng = np.random.Generator(np.random.Philox(key=[self.seed, day * 100_000 + self.number]))
        free = day % 7 in (0, 6)  # day 0 is a Sunday
        trips = [self._shops(rng), self._work(rng, free), self._leisure(rng, free), self._stations(rng)]
        if day % 7 == 6:
            trips.append(self._stadium(rng))
        who, venue, hour, minutes = (np.concatenate(column) for column in zip(*trips))
        start = (hour * 3600).astype(np.int64) + (FIRST_SECOND + day * DAY_S)
        return self.person[who], venue.astype(np.int64), start, start + (minutes * 60).astype(np.int64)

    def _shops(self, rng):
        who = np.flatnonzero(rng.random(self.people) < 0.27)
        n = len(who)
        u = rng.random(n)
        venue = np.where(u < 0.6, self.regular[0][who], np.where(u < 0.85, self.regular[1][who], self.regular[2][who]))
        far = rng.random(n) < 0.10
        venue[far] = self._anywhere(rng, far.sum())
        hour = np.where(rng.random(n) < 0.5, rng.normal(18, 1.5, n), rng.uniform(8, 21, n))
        return who, venue, np.clip(hour, 6, 23), np.clip(rng.lognormal(np.log(22), 0.55, n), 3, 90)

    def _anywhere(self, rng, n):
        district = rng.integers(0, self.districts, n)
        return self.shop + district * SHOPS + np.searchsorted(SHOP, rng.random(n))

    def _work(self, rng, free):
        who = np.flatnonzero(self.works & (rng.random(self.people) < (0.06 if free else 0.50)))
        n = len(who)
        hour = np.where(self.nights[who], rng.normal(21.5, 0.5, n), rng.normal(8.75, 0.75, n))
        return who, self.work[who], np.clip(hour, 5, 23.5), np.clip(rng.normal(510, 60, n), 180, 720)

    def _leisure(self, rng, free):
        """Households go together, and each member comes along in seven cases of ten."""
        homes = (self.people + 2) // 3
        out = rng.random(homes) < (0.216 if free else 0.12)
        u = rng.random(homes)
        district = np.minimum(np.arange(homes) * 3 // DISTRICT, self.districts - 1)
        away = rng.random(homes) < 0.15
        district = np.where(away, rng.integers(0, self.districts, homes), district)
        mall = self.mall + np.searchsorted(MALL, rng.random(homes))
        spot = self.spot + district * LEISURE + np.searchsorted(SPOT, rng.random(homes))
        venue = np.where(u < 0.30, mall, spot)
        hour = np.where(rng.random(homes) < 0.6, rng.normal(19, 1.5, homes), rng.uniform(10, 21, homes))
        hour = np.clip(hour, 9, 23.2)
        minutes = np.clip(rng.lognormal(np.log(75), 0.5, homes), 20, 240)
        home = np.arange(self.people) // 3
        who = np.flatnonzero(out[home] & (rng.random(self.people) < 0.7))
        return who, venue[home[who]], hour[home[who]], minutes[home[who]]

    def _stations(self, rng):
        who = np.flatnonzero(rng.random(self.people) < 0.13)
        n = len(who)
        hour = np.where(rng.random(n) < 0.5, rng.normal(8.25, 0.6, n), rng.normal(18.25, 0.9, n))
        venue = self.station + np.searchsorted(STATION, rng.random(n))
        return who, venue, np.clip(hour, 5, 23.5), np.clip(rng.lognormal(np.log(18), 0.5, n), 3, 60)

    def _stadium(self, rng):
        n = int(self.people * 0.004)
        who = rng.choice(self.people, n, replace=False)
        return who, np.full(n, self.stadium), rng.normal(19.5, 0.25, n), np.clip(rng.normal(120, 15, n), 30, 180)


def cases(people, rate, days, seed):
    rng = np.random.Generator(np.random.Philox(key=[seed, 424242]))
    n = max(1, round(people * rate))
    index = np.unique(rng.integers(0, people, int(n * 1.2) + 8))
    rng.shuffle(index)
    index = np.sort(index[:n]).astype(np.uint64)
    onset = FIRST_SECOND + rng.integers(0, days * DAY_S, n)
    return pa.table({"person_id": pseudonym(index, seed), "onset_ts": onset,
                     "inf_start": onset - 2 * DAY_S, "inf_end": onset + 3 * DAY_S})


def write_day(cities, day, folder):
    """One day's file. A city's columns are let go as soon as they are joined: at XL a day is 3.6 GB."""
    parts = dict(zip(COLUMNS, map(list, zip(*(city.day(day) for city in cities)))))
    start = np.concatenate(parts["start_ts"])
    order = np.argsort(start, kind="stable")
    table = {"start_ts": start[order]}
    del start, parts["start_ts"]
    for name in list(parts):
        table[name] = np.concatenate(parts.pop(name))[order]
    folder = folder / f"date={FIRST_DAY + dt.timedelta(days=day)}"
    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table({name: table[name] for name in COLUMNS}), folder / "part-0.parquet",
                   row_group_size=1_000_000, compression="snappy")
    return len(order)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--size", choices=PEOPLE)
    parser.add_argument("--people", type=int)
    parser.add_argument("--days", type=int, default=14)
    parser.add_argument("--case-rate", type=float, default=5e-5)
    parser.add_argument("--seed", type=int, default=7)
    a = parser.parse_args()
    if not (a.size or a.people):
        parser.error("say --size or --people")
    people, began = a.people or PEOPLE[a.size], time.time()

    cities, venue = [], 1
    for number, first in enumerate(range(0, people, CITY)):
        cities.append(City(number, min(people - first, CITY), venue, a.seed))
        venue = cities[-1].end
    a.out.mkdir(parents=True, exist_ok=True)
    table = cases(people, a.case_rate, a.days, a.seed)
    pq.write_table(table, a.out / "cases.parquet")
    rows = sum(write_day(cities, day, a.out / "visits") for day in range(a.days))
    world = {"visits": rows, "people": people, "venues": venue - 1, "cases": table.num_rows}
    (a.out / "world.json").write_text(json.dumps(world) + "\n")
    print(world, f"{time.time() - began:.1f} s")


if __name__ == "__main__":
    main()
