"""Rings with DataFusion, from Parquet. It has no store of its own.

    literal     join on the venue, times as a residual condition
    one-sided   only the sources' stays are listed by bucket, back to the venue's longest stay; a visit is probed once
"""
from common import MIN_OVERLAP_S as M, ORIGIN, OVERLAP_SHIFT, TIME_SHIFT, Clock, arguments, cores
import os
import datafusion
import pyarrow as pa
import pyarrow.parquet as pq

a = arguments(__doc__, ("literal", "one-sided"))
B = a.bucket
memory = int(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") * 0.7)
db = datafusion.SessionContext(
    datafusion.SessionConfig().with_target_partitions(cores()),
    datafusion.RuntimeEnvBuilder().with_fair_spill_pool(memory).with_disk_manager_os())
clock = Clock()


def table(name, sql):
    partitions = db.sql(sql).collect_partitioned()
    db.register_record_batches(name, [p for p in partitions if p] or partitions)


def ring(name, front, excluded, sources, few):
    at_venues = f"and venue_id in (select venue_id from {front})" if few else ""
    lo, overlap = "greatest(v.start_ts, f.s)", "(least(v.end_ts, f.e) - greatest(v.start_ts, f.s))"
    key = f"(65536 - {overlap}) * {1 << OVERLAP_SHIFT} + ({lo} - {ORIGIN}) * {1 << TIME_SHIFT} + f.rank"
    visits = f"""(select *, start_ts / {B} as b from v where end_ts - start_ts >= {M} {at_venues}
                  and person_id not in (select person_id from {excluded})) v"""
    stays, same_bucket = f"{front} f", ""
    if a.plan == "one-sided":
        stays = f"""(select f.src, f.rank, f.venue_id, f.s, f.e,
                     unnest(range((f.s + {M} - l.longest_s) / {B}, (f.e - {M}) / {B} + 1)) as b
                     from {front} f join longest l on f.venue_id = l.venue_id) f"""
        same_bucket = "and v.b = f.b"
    table(name, f"""
        select g.contact as person_id, g.first_ts, g.total_s, g.n_exp, s.person_id as best_src
        from (select contact, min(lo) as first_ts, sum(overlap) as total_s, count(*) as n_exp, min(k) as k
              from (select v.person_id as contact, {lo} as lo, {overlap} as overlap, {key} as k
                    from {visits} join {stays} on v.venue_id = f.venue_id {same_bucket} and v.start_ts <= f.e - {M}
                     and v.end_ts >= f.s + {M} and {overlap} >= {M} and v.person_id <> f.src) p group by contact) g
        join {sources} s on (g.k % {1 << TIME_SHIFT}) = s.rank""")


def trace():
    db.register_parquet("raw", f"{a.visits}/", parquet_pruning=True)
    db.register_parquet("raw_cases", a.cases)
    db.sql("create view v as select person_id, venue_id, start_ts, end_ts from raw").collect()
    table("cases", """select person_id, inf_start as ws, inf_end as we,
        cast(row_number() over (order by person_id) as bigint) - 1 as rank from raw_cases""")
    clock.lap("cases")
    if a.plan == "one-sided":
        table("longest", "select venue_id, max(end_ts - start_ts) as longest_s from v group by venue_id")
        clock.lap("longest")
    table("front1", f"""
        select v.person_id as src, c.rank, venue_id, greatest(start_ts, ws) as s, least(end_ts, we) as e
        from v join cases c on v.person_id = c.person_id
        where start_ts < we and end_ts > ws and least(end_ts, we) - greatest(start_ts, ws) >= {M}""")
    ring("ring1", "front1", "cases", "cases", few=True)
    clock.lap("ring1")
    if a.rings == 2:
        table("known", "select person_id from cases union all select person_id from ring1")
        table("sources", """select person_id, first_ts,
            cast(row_number() over (order by person_id) as bigint) - 1 as rank from ring1""")
        table("front2", f"""
            select v.person_id as src, r.rank, venue_id, greatest(start_ts, first_ts) as s, end_ts as e
            from v join sources r on v.person_id = r.person_id
            where end_ts >= first_ts + {M} and end_ts - start_ts >= {M}""")
        ring("ring2", "front2", "known", "sources", few=False)
        clock.lap("ring2")
    for r in range(1, a.rings + 1):
        pq.write_table(pa.Table.from_batches(db.sql(f"select * from ring{r}").collect()), a.out / f"ring{r}.parquet")
    clock.lap("write")


trace()
clock.done()
