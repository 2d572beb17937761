"""Draws how time grows with the number of visits, from results/*.json.

    python3 benches/peers/chart.py

Writes results/time.svg, the same bytes for the same figures, and prints the growth exponent of every question: the
slope of a straight line through log(visits), log(seconds). 1 is linear; it takes two sizes to have one.
"""
import json
import math
import pathlib
import sys

import environment
import report

HERE = pathlib.Path(__file__).resolve().parent
QUESTIONS = ("build", "raw-dense", "raw-sparse", "store-dense", "store-sparse", "store-ring1", "store-one")
TITLES = {"build": "building the own store"}
# Color-blind safe (Okabe and Ito); the peers are dashed, so that color alone tells nothing.
DRAWN = (
    ("fastest peer", "raw-dense", "raw Parquet, two rings", "#D55E00", "s", "--"),
    ("fastest peer", "store-dense", "own store, two rings", "#CC79A7", "D", "--"),
    ("ringtrace", "build", "ingest", "#000000", "v", "-"),
    ("ringtrace", "raw-dense", "raw Parquet, two rings", "#D55E00", "s", "-"),
    ("ringtrace", "store-dense", "own store, two rings", "#CC79A7", "D", "-"),
    ("ringtrace", "store-sparse", "own store, two rings of a tenth of the cases", "#0072B2", "o", "-"),
)


def points(results, who, line):
    """`(visits, seconds)` of each size that has an answer."""
    found = []
    for result in results:
        runs = report.contenders(result, line)
        if who == "ringtrace":
            took = report.median(runs[("ringtrace", "")], "counted_s") if ("ringtrace", "") in runs else None
        else:
            took = (report.fastest(runs) or (None,))[0]
        if took:
            found.append((result["visits"], took))
    return found


def exponent(found):
    """Slope of the least-squares line through the logarithms, or None of fewer than two points."""
    if len(found) < 2:
        return None
    xs, ys = zip(*((math.log(x), math.log(y)) for x, y in found))
    x, y = sum(xs) / len(xs), sum(ys) / len(ys)
    return sum((a - x) * (b - y) for a, b in zip(xs, ys)) / sum((a - x) ** 2 for a in xs)


def grows(found):
    slope = exponent(found)
    return "—" if slope is None else f"{slope:.2f}"


def draw(results, path):
    environment.inside("matplotlib", environment.WORK / "venv")
    import matplotlib
    matplotlib.use("svg")
    from matplotlib import pyplot

    # Text stays text, and ids are salted the same each time, so equal figures give equal bytes.
    matplotlib.rcParams |= {"svg.hashsalt": "ringtrace", "svg.fonttype": "none", "font.size": 11,
                            "font.family": ["sans-serif"],
                            "font.sans-serif": ["DejaVu Sans", "Helvetica", "Arial", "sans-serif"]}
    figure, axes = pyplot.subplots(figsize=(8.5, 7), facecolor="white", layout="constrained")
    for who, line, title, color, marker, style in DRAWN:
        found = points(results, who, line)
        if found:
            slope = "" if exponent(found) is None else f"  (grows as visits^{exponent(found):.2f})"
            axes.plot(*zip(*found), color=color, marker=marker, linestyle=style, label=f"{who}: {title}{slope}")
    axes.set(xscale="log", yscale="log", xlabel="visits", ylabel="seconds")
    axes.set_xticks([r["visits"] for r in results], [f"{r['size']}\n{report.short(r['visits'])}" for r in results])
    axes.minorticks_off()
    axes.yaxis.set_major_formatter("{x:g}")
    axes.grid(color="#dddddd")
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside upper left", frameon=False)
    machine = results[-1]["machine"]
    where = f"{machine['cpu']}, {machine['cores']} cores, {machine['memory_gib']} GiB"
    figure.supxlabel(f"{where}; medians; peers without start-up", fontsize=9, color="#555555")
    figure.savefig(path, metadata={"Date": None, "Creator": None})


def main():
    results = [json.loads(path.read_text()) for path in (HERE / "results").glob("*.json")]
    results.sort(key=lambda result: result["visits"])
    if not results:
        sys.exit("there are no results yet: run.py makes them")
    draw(results, HERE / "results" / "time.svg")
    titles = results[-1]["lines"] | TITLES
    rows = []
    for line in QUESTIONS:
        ours, peers = (points(results, who, line) for who in ("ringtrace", "fastest peer"))
        rows.append([titles[line], grows(ours), grows(peers)])
    print(f"Growth exponents over {', '.join(r['size'] for r in results)}:\n")
    print(report.table(["question", "ringtrace", "fastest peer"], rows))


if __name__ == "__main__":
    main()
