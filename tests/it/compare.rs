//! Nights side by side: differences counted by hand, and what is only supposed against nights really run.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::support::{Folder, rows};

/// A small world with facts, at a fifth of whose cases' contacts there is something to compare.
fn world() -> Folder {
    let folder = Folder::new();
    folder.run("generate --people 3000 --days 10 --seed 9 --facts --out world").done();
    folder
}

/// The configuration with other lines in it, written beside it, with a folder of runs of its own.
fn with(folder: &Folder, name: &str, top: &str, replace: &[(&str, &str)]) {
    let mut text = std::fs::read_to_string(folder.join("world/ringtrace.toml")).unwrap();
    for (from, to) in replace {
        assert!(text.contains(from), "{from} is not in {text}");
        text = text.replace(from, to);
    }
    folder.write(
        &format!("world/{name}.toml"),
        format!("runs = \"{name}-runs\"\n{top}\n{}", text.replace("runs = \"runs\" ", "")),
    );
}

/// Color and rule by person.
fn register(folder: &Folder, run: &str) -> BTreeMap<String, (String, String)> {
    let all = rows(&folder.join(format!("{run}/colors.parquet")), &["person_id", "color", "rule_id"]);
    all.into_iter().map(|row| (row[0].clone(), (row[1].clone(), row[2].clone()))).collect()
}

/// `color_a color_b rule_a rule_b -> persons`, by going through both registers.
fn by_hand(folder: &Folder, runs: [&str; 2]) -> BTreeMap<[String; 4], u64> {
    let [a, b] = runs.map(|run| register(folder, run));
    let healthy = ("green".to_string(), "-".to_string());
    let mut counts = BTreeMap::new();
    for person in a.keys().chain(b.keys().filter(|person| !a.contains_key(*person))) {
        let [first, second] = [&a, &b].map(|side| side.get(person).unwrap_or(&healthy).clone());
        if first.0 != second.0 {
            *counts.entry([first.0, second.0, first.1, second.1]).or_default() += 1;
        }
    }
    counts
}

fn told(diff: &Value) -> BTreeMap<[String; 4], u64> {
    let text = |row: &Value, name: &str| row[name].as_str().unwrap_or("-").to_string();
    let row = |row: &Value| {
        (
            ["color_a", "color_b", "rule_a", "rule_b"].map(|name| text(row, name)),
            row["persons"].as_u64().unwrap(),
        )
    };
    diff["by_rule"].as_array().unwrap().iter().map(row).collect()
}

#[test]
fn differences_of_two_nights_are_those_found_by_hand() {
    let folder = world();
    with(&folder, "other", "", &[("scheme = \"five-color\"", "scheme = \"jiangsu\"")]);
    for (config, date) in [("ringtrace", "2022-03-09"), ("ringtrace", "2022-03-10"), ("other", "2022-03-10")]
    {
        folder.run(&format!("run --config world/{config}.toml --date {date}")).done();
    }
    let (first, second, other) =
        ("world/runs/2022-03-09", "world/runs/2022-03-10", "world/other-runs/2022-03-10");
    for (number, runs) in [[first, second], [second, other], [second, second]].into_iter().enumerate() {
        let [a, b] = runs;
        let answer = folder.json(&format!("diff {a} {b} --out diff{number}"), 0);
        let expected = by_hand(&folder, runs);
        assert_eq!(told(&answer["diff"]), expected, "{a} {b}");
        let changed: u64 = expected.values().sum();
        assert_eq!(answer["diff"]["changed"], changed);
        assert_eq!(changed == 0, number == 2);
        let regions: u64 = answer["diff"]["by_region"]
            .as_array()
            .unwrap()
            .iter()
            .map(|row| row["persons"].as_u64().unwrap())
            .sum();
        assert_eq!(regions, changed, "every one of them has a district");
        let people =
            rows(&folder.join(format!("diff{number}/diff.parquet")), &["person_id", "color_a", "color_b"]);
        assert_eq!(people.len() as u64, changed);
        assert!(people.is_sorted(), "by person");
        let page = std::fs::read_to_string(folder.join(format!("diff{number}/diff.html"))).unwrap();
        assert!(page.contains("data-chart=\"color_flow\"") && page.contains(a), "{number}");
    }
    let words = folder.run(&format!("diff {first} {second}")).done().stdout;
    assert!(words.contains("people change color from A to B"), "{words}");
    folder.refuses(
        &format!("diff {first} {second} --out diff0"),
        4,
        "conflict",
        &["diff0: is not empty", "--out"],
    );
    folder.refuses("diff world world/runs/2022-03-09", 2, "usage", &["world: no published run here"]);
}

#[test]
fn what_is_supposed_is_what_a_night_would_have_been() {
    let folder = world();
    for edition in ["nhc-8", "nhc-9"] {
        let scheme = format!("scheme = \"{edition}\"");
        let replace =
            [("scheme = \"five-color\"", &*scheme), ("min_overlap = \"10m\"", ""), ("rings = 2", "")];
        with(&folder, edition, &format!("policy = \"{edition}\""), &replace);
    }
    let words = "run --config world/ringtrace.toml --date 2022-03-10";
    let supposed = folder.json(&format!("{words} --what-if nhc-9 --against nhc-8 --out diff"), 0);
    assert!(!folder.join("world/runs").exists(), "nothing is published");
    assert!(folder.join("diff/diff.html").exists() && folder.join("diff/diff.csv").exists());
    for edition in ["nhc-8", "nhc-9"] {
        folder.run(&format!("run --config world/{edition}.toml --date 2022-03-10")).done();
    }
    let runs = ["world/nhc-8-runs/2022-03-10", "world/nhc-9-runs/2022-03-10"];
    assert_eq!(told(&supposed["diff"]), by_hand(&folder, runs));
    assert!(supposed["diff"]["changed"].as_u64().unwrap() > 100, "the editions differ");
    for (side, run) in ["a", "b"].into_iter().zip(runs) {
        let record: Value =
            serde_json::from_slice(&std::fs::read(folder.join(format!("{run}/run.json"))).unwrap()).unwrap();
        assert_eq!(supposed["nights"][side]["rings"], record["counts"]["rings"], "{run}");
        assert_eq!(supposed["diff"][side]["colors"], record["counts"]["colors"], "{run}");
    }
    let against_itself = folder.json(&format!("{words} --what-if five-color"), 0);
    assert_eq!(against_itself["diff"]["changed"], 0, "without --against it is the configuration as it is");
    folder.refuses(&format!("{words} --what-if nhc-99"), 2, "usage", &["nhc-99"]);
    folder.refuses(&format!("{words} --out elsewhere"), 2, "usage", &["--out is for what is only supposed"]);
    let both = folder.run(&format!("{words} --what-if who --min-overlap 5m"));
    assert_eq!(both.status, Some(2), "{}", both.stderr);
}

#[test]
fn a_sweep_is_a_night_for_each_threshold() {
    let folder = world();
    let words = "run --config world/ringtrace.toml --date 2022-03-10 --min-overlap 30m,5m,15m,5m --out sweep";
    let sweep = folder.json(words, 0);
    let points = sweep["sweep"].as_array().unwrap();
    assert!(!folder.join("world/runs").exists(), "nothing is published");
    let thresholds: Vec<u64> = points.iter().map(|point| point["min_overlap_s"].as_u64().unwrap()).collect();
    assert_eq!(thresholds, [300, 900, 1_800], "in order, each once");
    for (point, minutes) in points.iter().zip([5, 15, 30]) {
        let name = format!("min{minutes}");
        with(&folder, &name, "", &[("\"10m\"", &format!("\"{minutes}m\""))]);
        let night = folder.json(&format!("run --config world/{name}.toml --date 2022-03-10"), 0);
        assert_eq!(point["rings"], night["counts"]["rings"], "{minutes} min");
        for (color, count) in point["colors"].as_object().unwrap() {
            assert_eq!(
                count.as_u64(),
                Some(night["counts"]["colors"][color].as_u64().unwrap_or(0)),
                "{minutes} {color}"
            );
        }
    }
    let contacts = |point: &Value| point["rings"][0].as_u64().unwrap();
    assert!(contacts(&points[0]) > contacts(&points[2]), "a longer threshold finds fewer");
    let table = std::fs::read_to_string(folder.join("sweep/sweep/sweep_contacts.csv")).unwrap();
    assert_eq!(table.lines().next(), Some("min_overlap,ring_1,ring_2"), "{table}");
    assert!(
        std::fs::read_to_string(folder.join("sweep/sweep.html")).unwrap().contains("data-chart=\"sweep\"")
    );
    folder.refuses(
        "run --config world/ringtrace.toml --date 2022-03-10 --min-overlap soon",
        2,
        "usage",
        &["\"soon\""],
    );
}
