"""Says whether two answers are equal in every row and column, and prints what differs.

    compare.py REFERENCE OUT --rings 1|2
    compare.py OUT --rings 1|2              only counts it

Either folder may hold ring1.parquet and ring2.parquet, as the peers write them, or ringtrace's contacts.parquet.
Prints one line of JSON; exits 1 if there is any difference.
"""
import argparse
import json
import pathlib
import sys

import duckdb

from queries.common import memory_limit

COLUMNS = ("ring", "person_id", "first_us", "total_s", "n_exp", "best_src")


def answer(folder, rings):
    """SQL of an answer's rows. Instants are compared in microseconds, so that no fraction of a second is lost."""
    ours = folder / "contacts.parquet"
    if ours.exists():
        return f"""select ring::bigint, person_id::bigint, epoch_us(first_exposed_at)::bigint, overlap_s::bigint,
                   exposures::bigint, best_source_id::bigint from read_parquet('{ours}')"""
    return " union all ".join(
        f"""select {r}::bigint, person_id::bigint, first_ts::bigint * 1000000, total_s::bigint, n_exp::bigint,
            best_src::bigint from read_parquet('{folder}/ring{r}.parquet')""" for r in range(1, rings + 1))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("reference", type=pathlib.Path, nargs="?")
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--rings", type=int, choices=(1, 2), default=2)
    a = parser.parse_args()

    db = duckdb.connect()
    db.execute(f"set memory_limit='{memory_limit()}'; set temp_directory='{a.out}/spill'")
    columns = ", ".join(COLUMNS)
    db.execute(f"create view found as select * from ({answer(a.out, a.rings)}) t({columns})")
    rows = {f"ring{r}": 0 for r in range(1, a.rings + 1)}
    rows |= {f"ring{r}": n for r, n in db.execute("select ring, count(*) from found group by ring").fetchall()}
    if not a.reference:
        print(json.dumps({"rows": rows}))
        return 0
    both = (a.reference / "ring2.parquet").exists()
    # The reference may hold both rings where only the first was asked for; an answer may not hold more than was asked.
    expected = answer(a.reference, 2 if both else 1)
    db.execute(f"create view expected as select * from ({expected}) t({columns}) where ring <= {a.rings}")
    missing, surplus = "from expected except all from found", "from found except all from expected"
    counts = {name: db.execute(f"select count(*) from ({sql})").fetchone()[0]
              for name, sql in (("missing", missing), ("surplus", surplus))}
    equal = not any(counts.values())
    print(json.dumps({"equal": equal, "rows": rows} | counts))
    if not equal:
        for name, sql in (("missing", missing), ("surplus", surplus)):
            print(f"{name}, the first of them, as {COLUMNS}:", file=sys.stderr)
            for row in db.execute(f"from ({sql}) order by all limit 5").fetchall():
                print("   ", row, file=sys.stderr)
    return 0 if equal else 1


if __name__ == "__main__":
    sys.exit(main())
