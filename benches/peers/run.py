"""Measures ringtrace and its peers side by side on one synthetic world, and checks every answer.

    python3 benches/peers/run.py --size M

Writes results/SIZE.md (tables) and results/SIZE.json (every single run). Exits 1 if any answer differs from the
reference or if ringtrace fails. What is measured, and what is fair about it, is in README.md beside this file.
"""
import argparse
import dataclasses
import hashlib
import json
import os
import pathlib
import shlex
import shutil
import subprocess
import sys

import environment
import measure
import report

HERE = pathlib.Path(__file__).resolve().parent
REPOSITORY = HERE.parent.parent
PEERS = ("duckdb", "polars", "clickhouse", "datafusion")
OPTIONAL = {"clickhouse": "chdb", "datafusion": "datafusion"}
MAPS = [part for column in ("visits.arrived_at=start_ts", "visits.left_at=end_ts", "cases.onset_at=onset_ts",
                            "cases.infectious_from=inf_start", "cases.infectious_until=inf_end")
        for part in ("--map", column)] + ["--time-unit", "s"]
# The oracle makes no effort to be fast, and the world of XL is past what a peer answers on a small machine.
REFERENCE = {"S": "oracle", "M": "oracle", "L": "polars", "XL": "none"}

# Each peer's best plans. Which one wins depends on the size and on how many cases there are, so where it is not clear
# beforehand several run, and the fastest counts. The literal join is quadratic in a venue's visits.
RAW = {"duckdb": ["decode-once", "two-sided"], "polars": ["decode-once", "one-sided"],
       "clickhouse": ["one-sided"], "datafusion": ["one-sided"]}
RAW_FEW = RAW | {"duckdb": ["decode-once", "one-sided"]}
STORE = {"duckdb": ["one-sided", "two-sided"], "polars": ["one-sided"], "clickhouse": ["one-sided"]}
STORE_FEW = STORE | {"duckdb": ["literal", "two-sided"], "polars": ["one-sided", "two-sided"]}
LITERAL_UP_TO_S = ("duckdb", "datafusion")


@dataclasses.dataclass
class Line:
    """One question, asked of everybody."""
    name: str
    title: str
    cases: str
    rings: int
    store: bool
    plans: dict


LINES = (
    Line("raw-dense", "two rings, from raw Parquet", "dense", 2, False, RAW),
    Line("raw-sparse", "two rings of a tenth of the cases, from raw Parquet", "sparse", 2, False, RAW_FEW),
    Line("store-dense", "two rings, from the own store", "dense", 2, True, STORE),
    Line("store-sparse", "two rings of a tenth of the cases, from the own store", "sparse", 2, True, STORE),
    Line("store-ring1", "ring 1 alone, from the own store", "dense", 1, True, STORE_FEW),
    Line("store-one", "ring 1 of one single case, from the own store", "one", 1, True, STORE_FEW),
)


class Bench:
    """One size: its world, stores and answers in one folder, and the commands that make them."""

    def __init__(self, size, args, interpreter, ringtrace):
        self.size, self.args, self.python, self.ringtrace = size, args, interpreter, ringtrace
        self.folder = args.work / size
        self.visits = self.folder / "visits"
        self.out = self.folder / "out"
        self.warm_up_to = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2
        self.no_store = {}
        self.given_up = {}
        self.seen_equal = {}
        self.runs = []
        (self.folder / "log").mkdir(parents=True, exist_ok=True)

    def cases(self, which):
        return self.folder / ("cases.parquet" if which == "dense" else f"cases-{which}.parquet")

    def store(self, who):
        return self.folder / f"store-{who}" / ("rings.duckdb" if who == "duckdb" else "store")

    def script(self, who):
        return HERE / "queries" / f"{who}_rings.py"

    def plans(self, line, who):
        plans = list(line.plans.get(who, []))
        if self.size == "S" and who in LITERAL_UP_TO_S and plans and "literal" not in plans:
            plans.append("literal")
        return plans

    def once(self, step, made_from, make):
        """Does a step, unless a note says that it was done before from the same parts."""
        note = self.folder / f"{step}.note.json"
        key = hashlib.blake2b(repr(made_from).encode(), digest_size=16).hexdigest()
        if note.exists():
            have = json.loads(note.read_text())
            if have["made_from"] == key:
                return have["result"]
        say(f"{self.size}: {step}")
        result = make()
        note.write_text(json.dumps({"made_from": key, "result": result}))
        return result

    def process(self, name, command):
        return measure.run(command, self.folder / "log" / f"{name}.txt", self.args.timeout, PYTHONDONTWRITEBYTECODE="1")

    def must(self, name, command):
        """A step without which nothing can be measured."""
        took = self.process(name, command)
        if took["status"] != "ok":
            sys.exit(f"{name}: {took['status']}; what it said is in {self.folder / 'log' / f'{name}.txt'}")
        return took

    # Commands

    def trace(self, who, plan, cases, rings, out, store):
        if who == "ringtrace":
            source = ["--store", self.store(who)] if store else ["--visits", self.visits]
            return [self.ringtrace, "trace", *source, "--cases", self.cases(cases), *MAPS, "--out", out,
                    "--rings", rings, "--memory", self.args.memory]
        source = ["--store", self.store(who)] if store else []
        return [self.python, self.script(who), plan, "--visits", self.visits,
                "--cases", self.cases(cases), "--out", out, "--rings", rings, *source]

    def build(self, who):
        if who == "ringtrace":
            return [self.ringtrace, "ingest", "--store", self.store(who), "--visits", self.visits, *MAPS,
                    "--memory", self.args.memory]
        return [self.python, self.script(who), "build", "--visits", self.visits,
                "--out", self.out, "--store", self.store(who)]

    # Steps, in their order

    def make_world(self):
        def make():
            shutil.rmtree(self.visits, ignore_errors=True)
            self.must("generate", [self.python, HERE / "generate.py", self.folder, "--size", self.size])
            self.must("cases", [self.python, HERE / "cases.py", self.folder])
            world = json.loads((self.folder / "world.json").read_text())
            return world | {"parquet_bytes": measure.size(self.visits)}

        scripts = [(HERE / name).read_text() for name in ("generate.py", "cases.py")]
        self.world = self.once("world", [scripts, environment.versions(self.python, ["numpy", "pyarrow"])], make)

    def make_references(self):
        kind = self.args.reference or REFERENCE[self.size]
        self.reference_kind = kind
        if kind == "none":
            return
        script = {"oracle": HERE / "oracle.py", "polars": self.script("polars"), "self": self.ringtrace}[kind]
        for cases, rings in (("dense", 2), ("sparse", 2), ("one", 1)):
            out = self.folder / "reference" / cases

            def make():
                shutil.rmtree(out, ignore_errors=True)
                out.parent.mkdir(exist_ok=True)
                if kind == "oracle":
                    command = [self.python, script, "--visits", self.visits, "--cases", self.cases(cases), "--out", out,
                               "--rings", rings]
                else:
                    who = "ringtrace" if kind == "self" else kind
                    command = self.trace(who, "one-sided", cases, rings, out, store=False)
                self.must(f"reference-{cases}", command)

            self.once(f"reference-{cases}", [kind, script.read_bytes(), self.world], make)

    def build_stores(self):
        """Builds every contender's store, one contender after the other, so that a store that is there is not built
        again because another one changed. Asked afterwards is the store of the last round."""
        for who in ("ringtrace", *(who for who in self.args.peers if who in STORE)):
            def make():
                runs = []
                while len(runs) < self.args.runs and all(run["status"] == "ok" for run in runs):
                    runs.append(self.build_store(who, len(runs)))
                return runs

            if who == "ringtrace":
                parts = hashlib.blake2b(self.ringtrace.read_bytes()).hexdigest()
            else:
                parts = [self.script(who).read_text(),
                         environment.versions(self.python, [OPTIONAL.get(who, who)])]
            runs = self.once(f"store-{who}", [parts, self.args.runs, self.world], make)
            self.runs += runs
            if runs[-1]["status"] != "ok":
                self.no_store[who] = f"no store: {runs[-1]['status']}"
        os.sync()

    def build_store(self, who, turn):
        store = self.store(who)
        shutil.rmtree(store.parent, ignore_errors=True)
        store.parent.mkdir()
        fresh(self.out)
        self.warm([self.visits])
        run = self.record("build", who, "", turn, self.build(who))
        if run["status"] == "ok":
            run["bytes"] = measure.size(store)
        return run

    def rounds(self):
        for turn in range(self.args.runs):
            for line in LINES:
                for who in ("ringtrace", *self.args.peers):
                    for plan in [""] if who == "ringtrace" else self.plans(line, who):
                        self.ask(line, who, plan, turn)

    def ask(self, line, who, plan, turn):
        why_not = self.no_store.get(who) if line.store else None
        why_not = why_not or self.given_up.get((line.name, who, plan))
        if why_not:
            self.runs.append({"line": line.name, "who": who, "plan": plan, "round": turn, "status": why_not})
            return
        fresh(self.out)
        self.warm([self.store(who) if line.store else self.visits])
        command = self.trace(who, plan, line.cases, line.rings, self.out, line.store)
        run = self.record(line.name, who, plan, turn, command)
        if run["status"] == "ok":
            run |= self.check(line, f"{line.name}-{who}-{plan}-{turn}".replace("--", "-"))
        else:
            self.given_up[(line.name, who, plan)] = run["status"]
        self.runs.append(run)

    def record(self, line, who, plan, turn, command):
        """Runs one contender. Ours is charged with its whole process, a peer with the time that it prints itself."""
        name = "-".join(part for part in (line, who, plan) if part)
        took = self.process(name, command)
        run = {"line": line, "who": who, "plan": plan, "round": turn} | took
        if took["status"] == "ok":
            run["counted_s"] = took["wall_s"]
            if who != "ringtrace":
                said = (self.folder / "log" / f"{name}.txt").read_text().splitlines()
                laps = json.loads(next(text for text in reversed(said) if text.startswith("RESULT "))[len("RESULT "):])
                run |= {"counted_s": laps.pop("query_s"), "laps": laps}
        say(f"{self.size}: round {turn + 1}: {name}: {run.get('counted_s', '')} {took['status']}")
        return run

    def check(self, line, name):
        """Compares the answer with the reference; bytes that were compared before are not compared again."""
        seen = (line.cases, line.rings, digest(self.out))
        if seen in self.seen_equal:
            return self.seen_equal[seen]
        log = self.folder / "log" / f"compare-{name}.txt"
        compared = self.reference_kind != "none"
        reference = [self.folder / "reference" / line.cases] if compared else []
        took = measure.run([self.python, HERE / "compare.py", *reference, self.out, "--rings", line.rings], log,
                           self.args.timeout)
        said = log.read_text()
        if took["status"] == "ok":
            self.seen_equal[seen] = {"rows": json.loads(said)["rows"]} | ({"equal": True} if compared else {})
            return self.seen_equal[seen]
        kept = self.folder / f"different-{name}"
        shutil.rmtree(kept, ignore_errors=True)
        shutil.move(self.out, kept)
        say(f"\n{'!' * 100}\nDIFFERENT ANSWER: {self.size} {name}, kept in {kept}\n{said}{'!' * 100}\n")
        return {"equal": False, "status": "DIFFERENT ANSWER"}

    def warm(self, paths):
        if sum(map(measure.size, paths)) <= self.warm_up_to:
            measure.warm(paths)


def fresh(folder):
    shutil.rmtree(folder, ignore_errors=True)


def digest(folder):
    """A hash of an answer's files. What else ringtrace writes beside contacts.parquet is not compared."""
    mine = folder / "contacts.parquet"
    h = hashlib.blake2b()
    for file in [mine] if mine.exists() else sorted(folder.glob("ring*.parquet")):
        with open(file, "rb") as source:
            while part := source.read(16 << 20):
                h.update(part)
    return h.hexdigest()


def say(text):
    print(text, file=sys.stderr, flush=True)


def build_ringtrace():
    subprocess.run(["cargo", "build", "--release", "--locked"], cwd=REPOSITORY, check=True, stdout=sys.stderr)
    about = ["cargo", "metadata", "--no-deps", "--format-version", "1", "--locked"]
    about = json.loads(subprocess.run(about, cwd=REPOSITORY, check=True, capture_output=True).stdout)
    return pathlib.Path(about["target_directory"]) / "release" / "ringtrace"


def commit():
    def git(*command):
        return subprocess.run(["git", *command], cwd=REPOSITORY, capture_output=True, text=True).stdout.strip()

    # Results of other sizes do not change what is measured.
    changed = git("status", "--porcelain", "--", ".", ":!benches/peers/results")
    return git("rev-parse", "--short=12", "HEAD") + (" with local changes" if changed else "")


def command_line():
    """The command as it was given, except where things lie, which changes no figure and is nobody's business."""
    words, hide = ["python3", "benches/peers/run.py"], False
    for word in sys.argv[1:]:
        option, _, value = word.partition("=")
        words.append("…" if hide else f"{option}=…" if value and option in ("--work", "--ringtrace") else word)
        hide = word in ("--work", "--ringtrace")
    return shlex.join(words).replace("'…'", "…")


def arguments():
    def peers(text):
        named = [name for name in text.split(",") if name]
        for name in named:
            if name not in PEERS:
                raise argparse.ArgumentTypeError(f"no peer {name}; there are {', '.join(PEERS)}")
        return named

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", action="append", choices=list(REFERENCE), help="repeatable; S without it")
    parser.add_argument("--runs", type=int, default=3, help="runs of each, of which the median counts (3)")
    parser.add_argument("--peers", type=peers, default=["duckdb", "polars"], metavar="NAMES",
                        help=f"of {','.join(PEERS)}, with commas (duckdb,polars)")
    parser.add_argument("--no-peers", action="store_const", const=[], dest="peers", help="ringtrace alone")
    parser.add_argument("--reference", choices=("oracle", "polars", "self", "none"),
                        help="what answers are compared with; self: ringtrace's from Parquet (S, M oracle; L polars; XL none)")
    parser.add_argument("--ringtrace", type=pathlib.Path, metavar="PATH", help="a binary; built with cargo without it")
    parser.add_argument("--memory", default="8GiB", help="ringtrace's --memory (8GiB)")
    parser.add_argument("--timeout", type=int, default=3600, metavar="SECONDS", help="for each single process (3600)")
    parser.add_argument("--work", type=pathlib.Path, default=environment.WORK, metavar="DIR",
                        help="where generated data goes")
    parser.add_argument("--keep", action="store_true",
                        help="use what an earlier --keep left, and leave it again: world, references, stores")
    parser.add_argument("--no-venv", action="store_true", help="use this interpreter's own packages")
    return parser.parse_args()


def main():
    args = arguments()
    args.work = args.work.resolve()
    args.work.mkdir(parents=True, exist_ok=True)
    named = [OPTIONAL[who] for who in args.peers if who in OPTIONAL]
    interpreter = sys.executable if args.no_venv else environment.python(args.work / "venv", bool(named))
    ringtrace = args.ringtrace.resolve() if args.ringtrace else build_ringtrace()
    versions = environment.versions(interpreter, ["duckdb", "polars", *named])
    for name in named:
        if name not in versions:
            sys.exit(f"{name} is not installed, so it cannot be a peer")
    own_version = subprocess.run([ringtrace, "--version"], capture_output=True, text=True, check=True).stdout.strip()
    about = {"machine": measure.machine(), "commit": commit(), "command": command_line(), "versions": versions,
             "ringtrace": own_version, "built_here": not args.ringtrace}
    good = True
    for size in dict.fromkeys(args.size or ["S"]):
        if os.getloadavg()[0] > 0.5 * about["machine"]["cores"]:
            say(f"the machine is not idle (load {os.getloadavg()[0]:.1f}): times will be too long")
        if not args.keep:
            shutil.rmtree(args.work / size, ignore_errors=True)
        bench = Bench(size, args, interpreter, ringtrace)
        bench.make_world()
        bench.make_references()
        bench.build_stores()
        bench.rounds()
        result = {"size": size, **bench.world, **about, "reference": bench.reference_kind, "rounds": args.runs,
                  "lines": {line.name: line.title for line in LINES}, "runs": bench.runs}
        good &= publish(result)
        fresh(bench.out)
        if good and not args.keep:
            shutil.rmtree(bench.folder)
    return 0 if good else 1


def publish(result):
    """Writes and prints the tables. Says whether all answers were right and ringtrace never failed."""
    folder = HERE / "results"
    folder.mkdir(exist_ok=True)
    (folder / f"{result['size']}.json").write_text(json.dumps(result, indent=1) + "\n")
    text = report.markdown(result)
    (folder / f"{result['size']}.md").write_text(text)
    print(text)
    wrong = [run for run in result["runs"] if run.get("equal") is False]
    failed = [run for run in result["runs"] if run["who"] == "ringtrace" and run["status"] != "ok"]
    for run in wrong + failed:
        say(f"{run['line']}: {run['who']} {run['plan']} round {run['round'] + 1}: {run['status']}")
    return not wrong and not failed


if __name__ == "__main__":
    sys.exit(main())
