"""Rings with Polars and its streaming engine, from Parquet or from Arrow IPC files of its own.

    build       makes the files: visits by venue and start, visits by person, each venue's longest stay
    two-sided   time buckets: the visit starts inside the source's stay, or the stay inside the visit
    one-sided   only the sources' stays are listed by bucket, back to the venue's longest stay; a visit is probed once
    decode-once one-sided, from Parquet that is first read into memory: faster where memory allows
"""
from common import MIN_OVERLAP_S as M, ORIGIN, OVERLAP_SHIFT, TIME_SHIFT, Clock, arguments
import pathlib
import polars as pl
from polars import col as c

a = arguments(__doc__, ("build", "two-sided", "one-sided", "decode-once"))
B = a.bucket
store = pathlib.Path(a.store) if a.store else None
clock = Clock()
raw = pl.scan_parquet(f"{a.visits}/*/*.parquet", hive_partitioning=False)
raw = raw.select("person_id", "venue_id", "start_ts", "end_ts")
LONGEST = (c.end_ts - c.start_ts).max().alias("longest_s")


def later_of(column):
    return pl.max_horizontal("start_ts", column)


def earlier_of(column):
    return pl.min_horizontal("end_ts", column)


def run(query):
    return query.collect(engine="streaming")


def ranked(people):
    return people.sort("person_id").with_row_index("rank").with_columns(c.rank.cast(pl.Int64))


def build():
    store.mkdir(parents=True)
    visits = run(raw)
    visits.sort("venue_id", "start_ts").write_ipc(store / "by_venue.arrow", compression="uncompressed")
    visits.sort("person_id").write_ipc(store / "by_person.arrow", compression="uncompressed")
    visits.group_by("venue_id").agg(LONGEST).write_ipc(store / "longest.arrow")
    clock.lap("build")


def exposures(pairs):
    key = (65536 - c.overlap) * (1 << OVERLAP_SHIFT) + (c.lo - ORIGIN) * (1 << TIME_SHIFT) + c.rank
    return pairs.with_columns(overlap=c.hi - c.lo).filter(c.overlap >= M).select("contact", "lo", "overlap", k=key)


def pairs(v, longest, front, excluded, few):
    """Exposures to the stays in `front`. With `few` stays it pays to drop the visits of other venues first."""
    f = front.lazy()
    v = v.filter(c.end_ts - c.start_ts >= M).join(excluded.lazy(), on="person_id", how="anti")
    if few:
        v = v.join(f.select("venue_id").unique(), on="venue_id", how="semi")
    others, at = c.person_id != c.src, ["venue_id", "b"]
    if a.one_sided:
        back = pl.int_ranges((c.s + M - c.longest_s) // B, (c.e - M) // B + 1)
        listed = f.join(longest.lazy(), on="venue_id").with_columns(b=back).drop("longest_s").explode("b")
        met = v.with_columns(b=c.start_ts // B).join(listed, on=at)
        met = met.filter((c.start_ts <= c.e - M) & (c.end_ts >= c.s + M) & others)
        return exposures(met.select("rank", contact="person_id", lo=later_of("s"), hi=earlier_of("e")))
    listed = f.with_columns(b=pl.int_ranges(c.s // B, (c.e - M) // B + 1)).explode("b")
    inside = v.with_columns(b=(c.start_ts // B).cast(pl.Int64)).join(listed, on=at).filter((c.start_ts >= c.s) & others)
    listed = v.with_columns(b=pl.int_ranges(c.start_ts // B, (c.end_ts - M) // B + 1)).explode("b")
    around = listed.join(f.with_columns(b=(c.s // B).cast(pl.Int64)), on=at).filter((c.start_ts < c.s) & others)
    return pl.concat(exposures(half.select("rank", contact="person_id", lo=lo, hi=earlier_of("e")))
                     for half, lo in ((inside, "start_ts"), (around, "s")))


def ring(pairs, sources):
    count = pl.len().cast(pl.Int64)
    best = pairs.group_by("contact").agg(first_ts=c.lo.min(), total_s=c.overlap.sum(), n_exp=count, k=c.k.min())
    best = best.with_columns(rank=c.k % (1 << TIME_SHIFT))
    best = best.join(sources.select("rank", best_src="person_id").lazy(), on="rank")
    return run(best.select(c.contact.alias("person_id"), "first_ts", "total_s", "n_exp", "best_src"))


def trace():
    if store:
        v, by_person = (pl.scan_ipc(store / f"{name}.arrow") for name in ("by_venue", "by_person"))
    else:
        v = by_person = run(raw.filter(c.end_ts - c.start_ts >= M)).lazy() if a.plan == "decode-once" else raw
        clock.lap("visits")
    cases = ranked(pl.read_parquet(a.cases).select("person_id", ws="inf_start", we="inf_end"))
    clock.lap("cases")
    longest = None
    if a.one_sided:
        longest = pl.read_ipc(store / "longest.arrow") if store else run(v.group_by("venue_id").agg(LONGEST))
        clock.lap("longest")
    stays = by_person.join(cases.lazy(), on="person_id")
    stays = stays.select("rank", "venue_id", src="person_id", s=later_of("ws"), e=earlier_of("we"))
    front = run(stays.filter(c.e - c.s >= M))
    rings = [ring(pairs(v, longest, front, cases.select("person_id"), few=True), cases)]
    clock.lap("ring1")
    if a.rings == 2:
        sources = ranked(rings[0].select("person_id", "first_ts"))
        known = pl.concat([cases.select("person_id"), sources.select("person_id")])
        stays = by_person.filter(c.end_ts - c.start_ts >= M).join(sources.lazy(), on="person_id")
        stays = stays.select("rank", "venue_id", src="person_id", s=later_of("first_ts"), e="end_ts")
        front = run(stays.filter(c.e - c.s >= M))
        rings.append(ring(pairs(v, longest, front, known, few=False), sources))
        clock.lap("ring2")
    for r, rows in enumerate(rings, 1):
        rows.write_parquet(a.out / f"ring{r}.parquet")
    clock.lap("write")


build() if a.plan == "build" else trace()
clock.done()
