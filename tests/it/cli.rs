//! The command line as scripts rely on it: names, statuses, what goes to standard output and what does not.

use std::io::Write;
use std::process::{Command, Stdio};

use ringtrace::config::Config;

use crate::support::{Folder, rows, tree};

const COMMANDS: [&str; 18] = [
    "demo",
    "generate",
    "ingest",
    "trace",
    "contacts",
    "run",
    "explain",
    "sources",
    "path",
    "diff",
    "query",
    "report",
    "verify",
    "exit-codes",
    "man",
    "init",
    "doctor",
    "completions",
];

/// A small world and its night.
fn night() -> Folder {
    let folder = Folder::new();
    folder.run("generate --people 1000 --days 4 --out world").done();
    folder.run("run --config world/ringtrace.toml --date 2022-03-04").done();
    folder
}

const RUN: &str = "--run world/runs/2022-03-04";

#[test]
fn help_and_version_of_every_command() {
    let folder = Folder::new();
    let help = folder.run("--help").done();
    for command in COMMANDS {
        assert!(
            help.stdout.lines().any(|line| line.trim_start().starts_with(command)),
            "{command} is not listed"
        );
        let own = folder.run(&format!("{command} --help")).done();
        assert!(own.stdout.contains(&format!("Usage: ringtrace {command}")), "{}", own.stdout);
        assert!(own.stdout.contains("--json") && own.stderr.is_empty(), "{command}: {}", own.stderr);
        let version = folder.run(&format!("{command} --version")).done();
        assert!(version.stdout.trim_end().ends_with(env!("CARGO_PKG_VERSION")), "{}", version.stdout);
    }
    assert!(help.stdout.contains("Exit status: 0 done"), "{}", help.stdout);
    let bare = folder.run("");
    assert_eq!((bare.status, &*bare.stdout), (Some(2), ""), "no command is a usage error");
    assert!(folder.tree().is_empty());
}

#[test]
fn completions_of_every_shell() {
    let folder = Folder::new();
    for (shell, part) in
        [("bash", "complete -F _ringtrace"), ("zsh", "#compdef ringtrace"), ("fish", "complete -c ringtrace")]
    {
        let script = folder.run(&format!("completions {shell}")).done();
        assert!(script.stdout.contains(part) && script.stderr.is_empty(), "{shell}");
        for command in COMMANDS {
            assert!(script.stdout.contains(command), "{shell}: {command}");
        }
        // `-n` reads a script without running it; a shell that is not here is skipped.
        let parsing = Command::new(shell).arg("-n").stdin(Stdio::piped()).stderr(Stdio::piped()).spawn();
        match parsing {
            Err(_) => println!("skipped: no {shell} here"),
            Ok(mut parsing) => {
                parsing.stdin.take().unwrap().write_all(script.stdout.as_bytes()).unwrap();
                let parsed = parsing.wait_with_output().unwrap();
                assert!(parsed.status.success(), "{shell}: {}", String::from_utf8_lossy(&parsed.stderr));
            }
        }
    }
}

#[test]
fn init_writes_a_configuration_that_reads() {
    let folder = Folder::new();
    folder.run("init").done();
    let config = Config::read(&folder.join("ringtrace.toml")).unwrap();
    assert_eq!((config.contacts.rings, config.contacts.other.min_overlap_s), (2, 600));
    assert_eq!(config.table("scans").paths, ["scans"]);
    let help = ["ringtrace.toml: is there already", "--out"];
    folder.refuses("init", 4, "conflict", &help);
    folder.run("init --out deeper/other.toml").done();
    let text = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap();
    assert_eq!(text("ringtrace.toml"), text("deeper/other.toml"));
    // Every key that is commented out must read too, with the value that is shown.
    let keys = text("ringtrace.toml").lines().map(uncommented).collect::<Vec<_>>().join("\n");
    folder.write("all.toml", keys.replace("[visits]\n", "[visits]\ntime_unit = \"ms\"\n"));
    let all = Config::read(&folder.join("all.toml")).unwrap();
    for threads in ["0", "100000"] {
        let ran = folder.run(&format!("query --list --threads {threads}"));
        assert_eq!(ran.status, Some(2), "{}", ran.stderr);
    }
    assert_eq!(all.contacts.by_category["transport"].linger_s, Some(600));
}

/// A line of the template with the key or the section it comments out.
fn uncommented(line: &str) -> &str {
    let key = line.strip_prefix("# ").unwrap_or(line);
    let is_key = key.starts_with('[') || key.split_once(" = ").is_some_and(|(name, _)| !name.contains(' '));
    if is_key { key } else { line }
}

#[test]
fn doctor_reports_every_problem() {
    let folder = night();
    let good = folder.json("doctor --config world/ringtrace.toml", 0);
    assert!(good.as_array().unwrap().iter().all(|finding| finding["ok"] == true), "{good}");
    assert!(
        good.as_array()
            .unwrap()
            .iter()
            .any(|f| f["what"].as_str().unwrap().contains("every file as published"))
    );
    let bad = "scheme = \"five-colour\"\n[scans]\npaths = [\"nowhere\"]\n[cases]\npaths = [\"world/cases.parquet\"]\n";
    folder.write("bad.toml", bad);
    let ran = folder.run("doctor --config bad.toml");
    assert_eq!(ran.status, Some(2), "{}", ran.stderr);
    let problems: Vec<&str> = ran.stdout.lines().filter(|line| line.starts_with("problem  ")).collect();
    assert_eq!(problems.len(), 2, "{}", ran.stdout);
    assert!(problems[0].contains("scheme \"five-colour\" is not known"), "{}", ran.stdout);
    assert!(problems[1].contains("table scans: nowhere"), "{}", ran.stdout);
    assert!(ran.stderr.starts_with("error[usage]: 2 problems found"), "{}", ran.stderr);
    assert!(folder.tree().keys().all(|name| !name.contains("unfinished")), "the probe is removed");
}

#[test]
fn generate_is_the_same_for_the_same_seed() {
    let folder = Folder::new();
    for (out, seed) in [("a", 3), ("b", 3), ("c", 4)] {
        folder
            .run(&format!("generate --people 500 --days 3 --seed {seed} --out {out} --threads {seed}"))
            .done();
    }
    assert_eq!(tree(&folder.join("a")), tree(&folder.join("b")));
    assert_ne!(tree(&folder.join("a")), tree(&folder.join("c")));
    folder.refuses("generate --people 500 --days 3 --out a", 4, "conflict", &["a"]);
    folder.refuses("generate --people 5 --days 3 --out d", 2, "usage", &["100 people"]);
    folder.refuses(
        "generate --people 500 --days 3 --first-day 1969-12-31 --out d",
        2,
        "usage",
        &["before 1970"],
    );
}

#[test]
fn queries_of_a_run() {
    let folder = night();
    let listed = folder.run("query --list --quiet").done();
    let names: Vec<&str> = listed.stdout.lines().filter_map(|line| line.split_whitespace().next()).collect();
    assert!(names.contains(&"venue-hotspots") && names.len() >= 30, "{names:?}");
    // A world without tests, appeals and orders has no answer to some; tests/it/queries.rs sees to each.
    let mut answered = 0;
    for name in names {
        let answer = folder.json(&format!("query {RUN} {name}"), 0);
        answered += usize::from(!answer.as_array().unwrap().is_empty());
        let csv = folder.run(&format!("query {RUN} {name} --csv -q")).done();
        assert_eq!(csv.stdout.lines().count(), answer.as_array().unwrap().len() + 1, "{name}");
    }
    assert!(answered >= 20, "{answered} queries had an answer");
    folder.refuses(
        &format!("query {RUN} venue-hotspot"),
        2,
        "usage",
        &["no query is called", "venue-hotspots"],
    );
    folder.refuses("query --run world venue-hotspots", 2, "usage", &["world: no published run here"]);
    for sql in [
        "SELECT",
        "SELECT * FROM nowhere",
        "SELECT nothing FROM contacts",
        "DROP TABLE contacts",
        "select *",
        "delete from contacts",
        "SELECT ARRAY_AGG(person_id) AS persons FROM contacts",
    ] {
        let ran = folder.run_args(&["query", "--run", "world/runs/2022-03-04", "--sql", sql]);
        ran.refused(2, "usage", &[]);
    }
}

#[test]
fn explain_says_what_a_run_knows() {
    let folder = night();
    let unknown = folder.run(&format!("explain {RUN} nobody-here")).done();
    assert!(
        unknown.stdout.contains("GREEN") && unknown.stdout.contains("No fact of this run"),
        "{}",
        unknown.stdout
    );
    let contact =
        rows(&folder.join("world/runs/2022-03-04/contacts.parquet"), &["person_id", "best_source_id"])[0]
            .clone();
    let words = folder.run(&format!("explain {RUN} {}", contact[0])).done();
    assert!(words.stdout.contains(&contact[0]) && !words.stdout.contains(&contact[1]), "{}", words.stdout);
    let words = folder.run(&format!("explain {RUN} --identify {}", contact[0])).done();
    assert!(words.stdout.contains(&contact[0]) && words.stdout.contains(&contact[1]), "{}", words.stdout);
    assert!(!words.stderr.contains(&contact[0]), "{}", words.stderr);
    let json = folder.json(&format!("explain {RUN} {}", contact[0]), 0);
    assert!(json.is_object(), "{json}");
}

#[test]
fn results_on_standard_output_and_nothing_else() {
    let folder = night();
    let visits = "person_id,venue_id,arrived_at,left_at\na,v,0,900\nb,v,0,900\n";
    folder.write("visits.csv", visits);
    folder.write("cases.csv", "person_id,infectious_from,infectious_until\na,0,900\n");
    for words in [
        "generate --people 500 --days 3 --out other",
        "ingest --store store --visits visits.csv --time-unit s",
        "trace --store store --cases cases.csv --time-unit s --out traced",
        "contacts --store store --out pairs",
        "run --config world/ringtrace.toml --date 2022-03-04",
        "doctor",
        "query --list",
        "init",
    ] {
        let ran = folder.run(&format!("{words} --json --quiet")).done();
        assert_eq!(ran.stderr, "", "{words}");
        serde_json::from_str::<serde_json::Value>(&ran.stdout)
            .unwrap_or_else(|e| panic!("{words}: {e}: {}", ran.stdout));
    }
    let ran = folder.run("trace --store store --cases cases.csv --time-unit s --out traced").done();
    assert!(ran.stderr.contains("[1] ") && !ran.stdout.contains("[1] "), "progress goes to standard error");
    let ran = folder.run("trace --store store --cases cases.csv --time-unit s --out traced --quiet").done();
    assert_eq!((&*ran.stderr, ran.stdout.contains("ring 1: 1 person\n")), ("", true));
    let absent = folder.run("trace --store absent --cases cases.csv --out traced --json --quiet");
    absent.refused(2, "usage", &["absent: no store here"]);
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let folder = night();
    let mut child =
        folder.command(&["query", "--list"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let ended = child.wait_with_output().unwrap();
    assert_eq!((ended.status.code(), ended.stderr.as_slice()), (Some(0), &b""[..]));
}

#[test]
fn rejects_above_the_limit_are_status_1() {
    let folder = Folder::new();
    let good = "a,v,0,900\n".repeat(99);
    let visits = |bad: &str| format!("person_id,venue_id,arrived_at,left_at\n{good}{bad}");
    folder.write("one.csv", visits(",v,0,900\n"));
    folder.write("two.csv", visits(",v,0,900\n,v,0,900\n"));
    folder.run("ingest --store one --visits one.csv --time-unit s").done();
    let ran = folder.run("ingest --store two --visits two.csv --time-unit s");
    assert_eq!(ran.status, Some(1), "{}", ran.stderr);
    assert!(
        ran.stderr.contains("warning: more rows were rejected than rejects_max_percent allows"),
        "{}",
        ran.stderr
    );
    folder.write("lenient.toml", "rejects_max_percent = 2\n");
    folder.run("ingest --config lenient.toml --store three --visits two.csv --time-unit s").done();
}

#[test]
fn editors_get_a_schema_of_configurations_and_packs() {
    let folder = Folder::new();
    for (of, keys) in [
        ("config", vec!["time_zone", "scheme", "scans", "visits", "corrections", "hold", "contacts"]),
        ("pack", vec!["id", "severity", "holds_last_day", "national", "rule"]),
    ] {
        let schema: serde_json::Value =
            serde_json::from_str(&folder.run(&format!("init --json-schema {of}")).done().stdout).unwrap();
        assert!(schema["$schema"].as_str().unwrap().contains("2020-12"), "{of}");
        assert_eq!(schema["additionalProperties"], false, "{of}: an unknown key is marked");
        for key in keys {
            assert!(schema["properties"][key].is_object(), "{of}: {key}");
        }
    }
    assert!(!folder.join("ringtrace.toml").exists(), "it writes nothing");
    let pack = folder.run("init --scheme nhc-9").done().stdout;
    folder.write("mine.toml", pack.replacen("id = \"nhc-9\"", "id = \"mine\"", 1));
    folder.run("verify --scheme mine.toml").done();
}

#[test]
fn pages_for_man_and_every_exit_status() {
    let folder = Folder::new();
    folder.run("man --out pages").done();
    let pages: Vec<String> = folder.tree().into_keys().collect();
    for command in COMMANDS {
        assert!(pages.contains(&format!("pages/ringtrace-{command}.1")), "{command}: {pages:?}");
    }
    let page = std::fs::read_to_string(folder.join("pages/ringtrace-run.1")).unwrap();
    assert!(page.contains(".SH OPTIONS") && page.contains("what\\-if"), "{page}");
    // Read by man itself, where it is here.
    let read = Command::new("man").args(["--warnings", "-l"]).arg(folder.join("pages/ringtrace.1")).output();
    match read {
        Err(_) => println!("skipped: no man here"),
        Ok(read) => assert!(read.stderr.is_empty(), "{}", String::from_utf8_lossy(&read.stderr)),
    }
    let help = folder.run("help exit-codes").done().stdout;
    let plain = folder.run("exit-codes").done().stdout;
    let codes = folder.json("exit-codes", 0);
    let statuses: Vec<u64> =
        codes.as_array().unwrap().iter().map(|code| code["status"].as_u64().unwrap()).collect();
    assert_eq!(statuses, [0, 1, 2, 3, 4, 5, 6, 130]);
    for code in codes.as_array().unwrap() {
        let means = code["means"].as_str().unwrap();
        assert!(plain.contains(means), "{means}: {plain}");
        // Help is wrapped to the width of the screen.
        let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(words(&help).contains(&words(means)), "{means}: {help}");
    }
}
