"""The reference answer, in SQL: two rings of contacts, computed with DuckDB and no cleverness.

    oracle.py --visits DIR --cases FILE --out DIR [--rings 1|2] [--literal]

Writes OUT/ring1.parquet and OUT/ring2.parquet: person_id, first_ts, total_s, n_exp, best_src, ordered by person_id.
`--literal` joins visits of a venue pair by pair instead of through time buckets: slow, and an independent formulation to
check the buckets against. What a ring is, in words, is in README.md beside this file.
"""
import argparse
import json
import pathlib

import duckdb

from queries.common import MIN_OVERLAP_S as M, memory_limit

BUCKET_S = 1800

RING = """
    select contact as person_id, min(lo) as first_ts, sum(hi - lo)::bigint as total_s, count(*)::bigint as n_exp,
           arg_min(src, row(lo - hi, lo, src)) as best_src
    from ({pairs}) group by contact"""

# A pair is an exposure if the visit and the source's stay [s, e) share M seconds at the venue.
LITERAL = """
    select v.person_id as contact, f.src, greatest(v.start_ts, f.s) as lo, least(v.end_ts, f.e) as hi
    from v join {front} f on v.venue_id = f.venue_id and v.person_id <> f.src
     and v.start_ts <= f.e - {M} and v.end_ts >= f.s + {M}
     and least(v.end_ts, f.e) - greatest(v.start_ts, f.s) >= {M}
    where v.person_id not in (select person_id from {excluded})"""

# The same in two disjoint halves: the visit starts inside the stay, or the stay starts strictly inside the visit.
# Whichever starts inside the other does so in one bucket; the other one is listed in every bucket it covers.
BUCKETS = """
    select v.person_id as contact, f.src, v.start_ts as lo, least(v.end_ts, f.e) as hi
    from (select *, start_ts // {B} as b from v where end_ts - start_ts >= {M}) v
    join (select *, unnest(generate_series(s // {B}, (e - {M}) // {B})) as b from {front}) f
      on v.venue_id = f.venue_id and v.b = f.b and v.start_ts >= f.s
     and least(v.end_ts, f.e) - v.start_ts >= {M} and v.person_id <> f.src
    where v.person_id not in (select person_id from {excluded})
  union all
    select v.person_id, f.src, f.s, least(v.end_ts, f.e)
    from (select *, unnest(generate_series(start_ts // {B}, (end_ts - {M}) // {B})) as b from v
          where end_ts - start_ts >= {M} and venue_id in (select venue_id from {front})) v
    join (select *, s // {B} as b from {front}) f
      on v.venue_id = f.venue_id and v.b = f.b and v.start_ts < f.s
     and least(v.end_ts, f.e) - f.s >= {M} and v.person_id <> f.src
    where v.person_id not in (select person_id from {excluded})"""


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--visits", required=True)
    parser.add_argument("--cases", required=True)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--rings", type=int, choices=(1, 2), default=2)
    parser.add_argument("--literal", action="store_true")
    a = parser.parse_args()
    a.out.mkdir(parents=True, exist_ok=True)
    pairs = LITERAL if a.literal else BUCKETS

    db = duckdb.connect()
    db.execute(f"set memory_limit='{memory_limit()}'; set temp_directory='{a.out}/spill'")
    db.execute("set preserve_insertion_order=false")
    db.execute(f"""create view v as
        select person_id, venue_id, start_ts, end_ts from read_parquet('{a.visits}/*/*.parquet')""")
    db.execute(f"""create temp table cases as
        select person_id, inf_start as ws, inf_end as we from read_parquet('{a.cases}')""")
    db.execute(f"""create temp table front1 as
        select v.person_id as src, venue_id, greatest(start_ts, ws) as s, least(end_ts, we) as e
        from v join cases c on v.person_id = c.person_id and start_ts < we and end_ts > ws
        where least(end_ts, we) - greatest(start_ts, ws) >= {M}""")
    ring = RING.format(pairs=pairs.format(front="front1", excluded="cases", M=M, B=BUCKET_S))
    db.execute(f"create temp table ring1 as {ring}")
    if a.rings == 2:
        db.execute("create temp table known as select person_id from cases union select person_id from ring1")
        db.execute(f"""create temp table front2 as
            select v.person_id as src, venue_id, greatest(start_ts, first_ts) as s, end_ts as e
            from v join ring1 r on v.person_id = r.person_id
            where end_ts >= first_ts + {M} and end_ts - start_ts >= {M}""")
        ring = RING.format(pairs=pairs.format(front="front2", excluded="known", M=M, B=BUCKET_S))
        db.execute(f"create temp table ring2 as {ring}")
    rows = {}
    for name in ("ring1", "ring2")[: a.rings]:
        db.execute(f"copy (select * from {name} order by person_id) to '{a.out}/{name}.parquet' (format parquet)")
        rows[name] = db.execute(f"select count(*) from {name}").fetchone()[0]
    print(json.dumps(rows))


if __name__ == "__main__":
    main()
