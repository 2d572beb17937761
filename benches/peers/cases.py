"""Derives smaller case lists of a world: every tenth case, and one case alone.

    cases.py WORLD      reads WORLD/cases.parquet, writes WORLD/cases-sparse.parquet and WORLD/cases-one.parquet

The one case is the one whose onset is nearest to the middle of the period, so that its window is full of visits.
"""
import pathlib
import sys

import numpy as np
import pyarrow.parquet as pq

world = pathlib.Path(sys.argv[1])
cases = pq.read_table(world / "cases.parquet")
onset = cases["onset_ts"].to_numpy()
middle = np.abs(onset - (onset.min() + onset.max()) // 2).argmin()
pq.write_table(cases.take(list(range(0, cases.num_rows, 10))), world / "cases-sparse.parquet")
pq.write_table(cases.slice(int(middle), 1), world / "cases-one.parquet")
