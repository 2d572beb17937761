"""Rings with DuckDB, from Parquet or from a database file of its own.

    build       makes the database: visits by venue and start, visits by person, each venue's longest stay
    literal     join on the venue, times as a residual condition
    two-sided   time buckets: the visit starts inside the source's stay, or the stay inside the visit
    one-sided   only the sources' stays are listed by bucket, back to the venue's longest stay; a visit is probed once
    decode-once one-sided, from Parquet that is first read into memory: faster where memory allows
"""
from common import MIN_OVERLAP_S as M, ORIGIN, OVERLAP_SHIFT, RANK_MASK, TIME_SHIFT, Clock, arguments, memory_limit
import duckdb

a = arguments(__doc__, ("build", "literal", "two-sided", "one-sided", "decode-once"))
B = a.bucket
db = duckdb.connect(a.store or ":memory:")
db.execute(f"set memory_limit='{memory_limit()}'; set temp_directory='{a.out}/spill'")
db.execute("set preserve_insertion_order=false")
clock = Clock()
parquet = f"read_parquet('{a.visits}/*/*.parquet', hive_partitioning=false)"
raw = f"select person_id, venue_id, start_ts, end_ts from {parquet}"
longest = "select venue_id, max(end_ts - start_ts) as longest_s from {} group by venue_id"


def build():
    db.execute(f"create table visits as {raw} order by venue_id, start_ts")
    db.execute(f"create table by_person as {raw} order by person_id")
    db.execute(f"create table longest as {longest.format('visits')}")
    db.execute("checkpoint")
    clock.lap("build")


def key(lo, overlap):
    return f"((65536 - ({overlap})) << {OVERLAP_SHIFT}) | (({lo} - {ORIGIN}) << {TIME_SHIFT}) | f.rank"


def pairs(front, excluded, few):
    """Exposures to the stays in `front`. With `few` stays it pays to drop the visits of other venues first."""
    at_venues = f"and venue_id in (select venue_id from {front})" if few else ""
    unknown = f"v.person_id not in (select person_id from {excluded})"
    lo, overlap = "greatest(v.start_ts, f.s)", "least(v.end_ts, f.e) - greatest(v.start_ts, f.s)"
    exposure = f"v.person_id as contact, {lo} as lo, {overlap} as overlap, {key(lo, overlap)} as k"
    meet = f"v.start_ts <= f.e - {M} and v.end_ts >= f.s + {M} and {overlap} >= {M} and v.person_id <> f.src"
    if a.plan == "literal":
        return f"select {exposure} from v join {front} f on v.venue_id = f.venue_id and {meet} where {unknown}"
    if a.one_sided:
        return f"""
            select {exposure}
            from (select *, start_ts // {B} as b from v where end_ts - start_ts >= {M} {at_venues}) v
            join (select f.*, unnest(range((s + {M} - longest_s) // {B}, (e - {M}) // {B} + 1)) as b
                  from {front} f join longest using (venue_id)) f
              on v.venue_id = f.venue_id and v.b = f.b and {meet}
            where {unknown}"""
    visits = f"from v where end_ts - start_ts >= {M} {at_venues} and {unknown}"
    inside, around = "least(v.end_ts, f.e) - v.start_ts", "least(v.end_ts, f.e) - f.s"
    return f"""
        select v.person_id as contact, v.start_ts as lo, {inside} as overlap, {key('v.start_ts', inside)} as k
        from (select *, start_ts // {B} as b {visits}) v
        join (select *, unnest(range(s // {B}, (e - {M}) // {B} + 1)) as b from {front}) f
          on v.venue_id = f.venue_id and v.b = f.b and v.start_ts >= f.s and {inside} >= {M} and v.person_id <> f.src
      union all
        select v.person_id, f.s, {around}, {key('f.s', around)}
        from (select *, unnest(range(start_ts // {B}, (end_ts - {M}) // {B} + 1)) as b {visits}) v
        join (select *, s // {B} as b from {front}) f
          on v.venue_id = f.venue_id and v.b = f.b and v.start_ts < f.s and {around} >= {M} and v.person_id <> f.src"""


def ring(name, front, excluded, sources, few):
    db.execute(f"""create temp table {name} as
        select g.contact as person_id, g.first_ts, g.total_s, g.n_exp, s.person_id as best_src
        from (select contact, min(lo) as first_ts, sum(overlap)::bigint as total_s, count(*) as n_exp, min(k) as k
              from ({pairs(front, excluded, few)}) group by contact) g
        join {sources} s on (g.k & {RANK_MASK}) = s.rank""")


def trace():
    if a.store:
        db.execute("create temp view v as from visits; create temp view vp as from by_person")
    else:
        kind, where = ("table", f"where end_ts - start_ts >= {M}") if a.plan == "decode-once" else ("view", "")
        db.execute(f"create temp {kind} v as {raw} {where}; create temp view vp as from v")
        clock.lap("visits")
    db.execute(f"""create temp table cases as
        select person_id, inf_start as ws, inf_end as we, row_number() over (order by person_id) - 1 as rank
        from read_parquet('{a.cases}')""")
    clock.lap("cases")
    if a.one_sided and not a.store:
        db.execute(f"create temp table longest as {longest.format('v')}")
        clock.lap("longest")
    db.execute(f"""create temp table front1 as
        select v.person_id as src, c.rank, venue_id, greatest(start_ts, ws) as s, least(end_ts, we) as e
        from vp v join cases c on v.person_id = c.person_id
        where start_ts < we and end_ts > ws and least(end_ts, we) - greatest(start_ts, ws) >= {M}""")
    ring("ring1", "front1", "cases", "cases", few=True)
    clock.lap("ring1")
    if a.rings == 2:
        db.execute("create temp table known as select person_id from cases union all select person_id from ring1")
        db.execute("""create temp table sources as
            select person_id, first_ts, row_number() over (order by person_id) - 1 as rank from ring1""")
        db.execute(f"""create temp table front2 as
            select v.person_id as src, r.rank, venue_id, greatest(start_ts, first_ts) as s, end_ts as e
            from vp v join sources r on v.person_id = r.person_id
            where end_ts >= first_ts + {M} and end_ts - start_ts >= {M}""")
        ring("ring2", "front2", "known", "sources", few=False)
        clock.lap("ring2")
    for r in range(1, a.rings + 1):
        db.execute(f"copy ring{r} to '{a.out}/ring{r}.parquet' (format parquet)")
    clock.lap("write")


build() if a.plan == "build" else trace()
clock.done()
