"""Tables from the figures of one size.

    report.py results/M.json        writes results/M.md again, from the figures alone
"""
import json
import pathlib
import statistics
import sys

NAMES = {"ringtrace": "ringtrace", "duckdb": "DuckDB", "polars": "Polars", "clickhouse": "ClickHouse (chDB)",
         "chdb": "chDB", "datafusion": "DataFusion"}
REFERENCES = {"oracle": "the reference query (`oracle.py`)", "polars": "Polars' answer",
              "self": "ringtrace's own answer from raw Parquet"}


def contenders(result, line):
    """`(who, plan)` to its runs, ringtrace first."""
    found = {}
    for run in result["runs"]:
        if run["line"] == line:
            found.setdefault((run["who"], run["plan"]), []).append(run)
    return found


def median(runs, figure):
    """The median of a figure over the runs that ended well, or None if any did not."""
    if any(run["status"] != "ok" for run in runs):
        return None
    return statistics.median(run[figure] for run in runs)


def fastest(found):
    """The fastest peer as `(name, seconds)`, or None."""
    times = [(median(runs, "counted_s"), name(*key)) for key, runs in found.items() if key[0] != "ringtrace"]
    return min((pair for pair in times if pair[0] is not None), default=None)


def name(who, plan):
    return NAMES[who] + (f", {plan}" if plan else "")


def seconds(value):
    return "—" if value is None else f"{value:.3f}" if value < 1 else f"{value:.2f}" if value < 100 else f"{value:.0f}"


def short(count):
    """199 M for 198,700,000."""
    for unit, size in (("bn", 1e9), ("M", 1e6), ("k", 1e3)):
        if count >= size:
            return f"{count / size:.3g} {unit}"
    return str(count)


def table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "|" + "|".join("---" if k == 0 else "--:" for k in range(len(head))) + "|"]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])


def ratio(ours, peer):
    return f"{peer / ours:.1f}×" if ours and peer else "—"


def questions(result):
    rows = []
    for line, title in [*result["lines"].items(), ("build", "building the own store")]:
        found = contenders(result, line)
        ours = found.get(("ringtrace", ""), [])
        peer = fastest(found)
        contacts = next((run["rows"] for run in ours if "rows" in run), {})
        took, peer_took, which = median(ours, "counted_s"), peer and peer[0], peer[1] if peer else ""
        rows.append([title, " + ".join(f"{n:,}" for n in contacts.values()), seconds(took), seconds(peer_took), which,
                     ratio(took, peer_took)])
    return table(["question", "contacts, ring 1 + 2", "ringtrace, s", "fastest peer, s", "which", "ratio"], rows)


def stores(result):
    rows = []
    for (who, _), runs in contenders(result, "build").items():
        took = median(runs, "counted_s")
        if took is None:
            rows.append([NAMES[who], runs[-1]["status"], "", "", "", "", ""])
            continue
        rows.append([NAMES[who], seconds(took), f"{result['visits'] / took / 1e6:.2f} M",
                     seconds(median(runs, "wall_s")), seconds(median(runs, "cpu_s")), f"{median(runs, 'peak_mb'):,.0f}",
                     f"{median(runs, 'bytes') / result['visits']:.1f}"])
    rows.append(["the Parquet itself", "", "", "", "", "", f"{result['parquet_bytes'] / result['visits']:.1f}"])
    return table(["store of", "counted s", "visits/s", "whole process s", "CPU s", "peak MB", "bytes a visit"], rows)


def everyone(result):
    rows = []
    for line, title in result["lines"].items():
        for key, runs in contenders(result, line).items():
            took = median(runs, "counted_s")
            if took is None:
                bad = next(run for run in runs if run["status"] != "ok")
                rows.append([title, name(*key), bad["status"], "", "", "", ""])
                continue
            least, most = (f(run["counted_s"] for run in runs) for f in (min, max))
            wall, cpu, peak = (median(runs, figure) for figure in ("wall_s", "cpu_s", "peak_mb"))
            rows.append([title, name(*key), seconds(took), f"{seconds(least)} – {seconds(most)}", seconds(wall),
                         seconds(cpu), f"{peak:,.0f}"])
    return table(["question", "who", "counted s", "least – most", "whole process s", "CPU s", "peak MB"], rows)


def agreement(result):
    if result["reference"] == "none":
        return "Answers were counted and compared with no other."
    checked = [run for run in result["runs"] if "equal" in run]
    wrong = [run for run in checked if not run["equal"]]
    if wrong:
        return (f"**{len(wrong)} OF {len(checked)} ANSWERS DIFFER FROM THE REFERENCE:** "
                + "; ".join(sorted({f"{run['line']}, {name(run['who'], run['plan'])}" for run in wrong})))
    caution = " That shows agreement, not correctness." if result["reference"] == "self" else ""
    return f"All {len(checked)} answers equal {REFERENCES[result['reference']]} in every row and column.{caution}"


def disturbance(result):
    """How much of the machine others took meanwhile: what tells a noisy measurement from a quiet one."""
    runs = [run for run in result["runs"] if "wall_s" in run]
    share = sum(run["others_cpu_s"] for run in runs) / sum(run["wall_s"] for run in runs) / result["machine"]["cores"]
    return f"Other processes took {share:.0%} of the processors meanwhile."


def markdown(result):
    machine = result["machine"]
    versions = ", ".join(f"{NAMES[package]} {version}" for package, version in result["versions"].items())
    origin = "" if result["built_here"] else ", a binary that was given and not built for this run"
    in_cache = result["parquet_bytes"] < result["machine"]["memory_gib"] * 2**29
    inputs = "in the page cache" if in_cache else "on disk, larger than the memory that is left for them"
    world = "{visits:,} visits of {people:,} people at {venues:,} venues, {cases:,} cases".format(**result)
    return f"""# {result['size']}: {world}

{machine['cpu']}, {machine['cores']} cores, {machine['memory_gib']} GiB, {machine['system']}.
{result['ringtrace']} (commit {result['commit']}{origin}), {versions}.
Median of {result['rounds']}, all contenders in turn, inputs {inputs}. Counted is the whole process for
ringtrace, and for peers the time of the query alone, without starting and importing.
{disturbance(result)}

```sh
{result['command']}
```

{agreement(result)}

{questions(result)}

## Building the store

{stores(result)}

## Every contender

{everyone(result)}
"""


if __name__ == "__main__":
    for path in map(pathlib.Path, sys.argv[1:]):
        path.with_suffix(".md").write_text(markdown(json.loads(path.read_text())))
