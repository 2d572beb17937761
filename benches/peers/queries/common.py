"""What the peers' scripts share: their arguments, the constants of the rule, a clock."""
import argparse
import json
import os
import pathlib
import time

MIN_OVERLAP_S = 600
# Bucket widths that were fastest on 20 million visits; 15 to 120 minutes differ by a tenth.
ONE_SIDED_BUCKET_S = 3600
TWO_SIDED_BUCKET_S = 1800

# A contact's best exposure is the longest, then the earliest, then that of the smallest source. One 63-bit integer
# orders exposures so, and a plain min() finds it: 17 bits of (65536 - overlap), 21 bits of seconds since ORIGIN, 25
# bits of the source's rank among the sources. It holds for stays under 18 hours, 24 days and 33 million sources.
ORIGIN = 1772323200
OVERLAP_SHIFT, TIME_SHIFT = 46, 25
RANK_MASK = (1 << TIME_SHIFT) - 1


def arguments(doc, plans):
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("plan", choices=plans)
    parser.add_argument("--visits", required=True, help="folder of date=…/*.parquet")
    parser.add_argument("--cases")
    parser.add_argument("--out", type=pathlib.Path, required=True, help="folder for the rings and for what is spilled")
    parser.add_argument("--store", help="build: where to; otherwise: read the visits from there, not from Parquet")
    parser.add_argument("--rings", type=int, choices=(1, 2), default=2)
    a = parser.parse_args()
    a.out.mkdir(parents=True, exist_ok=True)
    a.one_sided = a.plan in ("one-sided", "decode-once")
    a.bucket = ONE_SIDED_BUCKET_S if a.one_sided else TWO_SIDED_BUCKET_S
    return a


def cores():
    return len(os.sched_getaffinity(0))


def memory_limit(share=0.7):
    """A limit for engines that ask for one: most of the machine, less what they do not count."""
    return f"{int(os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') * share) >> 20}MiB"


class Clock:
    """Starts when it is made: a script does that once its engine is imported, started and has opened its store."""

    def __init__(self):
        self.began = self.last = time.perf_counter()
        self.laps = {}

    def lap(self, name):
        now = time.perf_counter()
        self.laps[name] = round(now - self.last, 4)
        self.last = now

    def done(self):
        """Prints the result line that run.py reads."""
        print("RESULT " + json.dumps({"query_s": round(self.last - self.began, 4)} | self.laps), flush=True)
