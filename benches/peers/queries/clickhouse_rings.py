"""Rings with ClickHouse inside the process (chDB), from Parquet or from MergeTree tables of its own.

    build       makes the tables: visits by venue and start, visits by person, each venue's longest stay
    one-sided   only the sources' stays are listed by bucket, back to the venue's longest stay; a visit is probed once
"""
from common import MIN_OVERLAP_S as M, ORIGIN, OVERLAP_SHIFT, RANK_MASK, TIME_SHIFT, Clock, arguments, cores
import os
import tempfile
from chdb import session

a = arguments(__doc__, ("build", "one-sided"))
B = a.bucket
db = session.Session(a.store or tempfile.mkdtemp(dir=a.out))
memory = int(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") * 0.7)
SETTINGS = f"""settings max_threads={cores()}, max_insert_threads={cores()}, max_memory_usage={memory},
    max_bytes_before_external_group_by={memory // 2}, join_algorithm='parallel_hash,hash', use_hive_partitioning=0"""
COLUMNS = "person_id Int64, venue_id Int64, start_ts Int64, end_ts Int64"
raw = f"file('{a.visits}/*/*.parquet', Parquet, '{COLUMNS}')"
LONGEST = "select venue_id, max(end_ts - start_ts) as longest_s from {} group by venue_id"


def run(sql):
    return db.query(sql, "CSV")


def table(name, sql):
    """A table in memory, made anew: a session kept in a store may still list the last run's."""
    run(f"drop table if exists d.{name} sync")
    run(f"create table d.{name} engine=Memory as {sql} {SETTINGS}")


def build():
    for name, order in (("visits", "venue_id, start_ts"), ("by_person", "person_id, start_ts")):
        run(f"""create table d.{name} (person_id Int64, venue_id Int64, start_ts Int64 codec(Delta, LZ4),
                end_ts Int64 codec(Delta, LZ4)) engine=MergeTree order by ({order})""")
        run(f"insert into d.{name} select * from {raw} {SETTINGS}")
        run(f"optimize table d.{name} final")
    run(f"create table d.longest engine=MergeTree order by venue_id as {LONGEST.format('d.visits')} {SETTINGS}")
    clock.lap("build")


def ring(name, v, longest, front, excluded, sources, few):
    at_venues = f"and venue_id in (select venue_id from d.{front})" if few else ""
    lo, overlap = "greatest(v.start_ts, f.s)", "(least(v.end_ts, f.e) - greatest(v.start_ts, f.s))"
    key = f"bitShiftLeft(65536 - {overlap}, {OVERLAP_SHIFT}) + bitShiftLeft({lo} - {ORIGIN}, {TIME_SHIFT}) + f.rank"
    pairs = f"""
        select v.person_id as contact, {lo} as lo, {overlap} as overlap, {key} as k
        from (select person_id, venue_id, start_ts, end_ts, intDiv(start_ts, {B}) as b from {v}
              where end_ts - start_ts >= {M} {at_venues} and person_id not in (select person_id from d.{excluded})) v
        inner join (select src, rank, venue_id, s, e,
                    arrayJoin(range(intDiv(s + {M} - longest_s, {B}), intDiv(e - {M}, {B}) + 1)) as b
                    from d.{front} f0 inner join d.{longest} l on f0.venue_id = l.venue_id) f
          on v.venue_id = f.venue_id and v.b = f.b
        where v.start_ts <= f.e - {M} and v.end_ts >= f.s + {M} and {overlap} >= {M} and v.person_id <> f.src"""
    table(name, f"""
        select g.contact as person_id, g.first_ts as first_ts, toInt64(g.total_s) as total_s, toInt64(g.n_exp) as n_exp,
               s.person_id as best_src
        from (select contact, min(lo) as first_ts, sum(overlap) as total_s, count() as n_exp, min(k) as best
              from ({pairs}) group by contact) g
        inner join d.{sources} s on bitAnd(g.best, {RANK_MASK}) = s.rank""")


def trace():
    v, by_person = ("d.visits", "d.by_person") if a.store else (raw, raw)
    table("cases", f"""select person_id, inf_start as ws, inf_end as we,
        toInt64(row_number() over (order by person_id)) - 1 as rank from file('{a.cases}', Parquet)""")
    clock.lap("cases")
    longest = "longest"
    if not a.store:
        table(longest, LONGEST.format(v))
        clock.lap("longest")
    table("front1", f"""
        select v.person_id as src, c.rank as rank, v.venue_id as venue_id, greatest(start_ts, ws) as s,
               least(end_ts, we) as e
        from (select * from {by_person} where person_id in (select person_id from d.cases)) v
        inner join d.cases c on v.person_id = c.person_id where e - s >= {M}""")
    ring("ring1", v, longest, "front1", "cases", "cases", few=True)
    clock.lap("ring1")
    if a.rings == 2:
        table("known", "select person_id from d.cases union all select person_id from d.ring1")
        table("sources", """select person_id, first_ts, toInt64(row_number() over (order by person_id)) - 1 as rank
            from d.ring1""")
        table("front2", f"""
            select v.person_id as src, r.rank as rank, v.venue_id as venue_id, greatest(start_ts, first_ts) as s,
                   end_ts as e
            from (select * from {by_person} where person_id in (select person_id from d.ring1)) v
            inner join d.sources r on v.person_id = r.person_id
            where end_ts >= first_ts + {M} and end_ts - start_ts >= {M}""")
        ring("ring2", v, longest, "front2", "known", "sources", few=False)
        clock.lap("ring2")
    for r in range(1, a.rings + 1):
        run(f"insert into function file('{a.out}/ring{r}.parquet', Parquet) select * from d.ring{r}")
    clock.lap("write")


run("create database if not exists d engine=Atomic")
clock = Clock()
build() if a.plan == "build" else trace()
clock.done()
