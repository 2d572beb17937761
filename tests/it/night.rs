//! Whole nights on the sample data: what must come out, and that nothing about how it was run shows in it.

use std::path::Path;

use crate::support::{Folder, rows, tree};

/// Copies a folder of `data-samples`.
pub fn sample(name: &str) -> Folder {
    let folder = Folder::new();
    copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("data-samples").join(name), folder.path());
    folder
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let place = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &place);
        } else {
            std::fs::copy(&path, &place).unwrap();
        }
    }
}

fn table(folder: &Folder, night: &str, name: &str, columns: &[&str]) -> Vec<String> {
    let path = folder.join(format!("runs/{night}/{name}.parquet"));
    rows(&path, columns).into_iter().map(|row| row.join(" ")).collect()
}

/// The published tables of a night, by name.
/// Hashes of what a night says of persons and places, by file; not of what it says of its input's rows.
fn tables(folder: &Folder, night: &str) -> Vec<(String, String)> {
    let all = tree(&folder.join(format!("runs/{night}")));
    let of_rows = ["run.json", "rejects.parquet", "inputs.parquet", "report.html", "report.json"];
    let of_rows = |name: &str| of_rows.contains(&name) || name == "report/balance.csv";
    all.into_iter().filter(|(name, _)| !of_rows(name)).collect()
}

#[test]
fn golden_village() {
    let folder = sample("village");
    let night = folder.json("run --config ringtrace.toml --date 2022-03-09", 0);
    assert_eq!(night["status"], "published");
    assert_eq!(night["balance"]["rows"], 41);
    assert_eq!(night["balance"]["merged"], 1);
    assert_eq!(night["balance"]["rejected"], 3);
    let contacts =
        ["ring", "person_id", "overlap_s", "observed_overlap_s", "best_source_id", "best_venue_id"];
    assert_eq!(
        table(&folder, "2022-03-09", "contacts", &contacts),
        [
            "1 p02 2400 2400 p01 tea-house",
            "1 p06 840 0 p01 market",
            "1 p07 900 0 p01 market",
            "2 p04 600 0 p02 bus-7",
            "2 p05 13800 13800 p02 school",
            "2 p08 3240 0 p06 library",
        ]
    );
    assert_eq!(
        table(
            &folder,
            "2022-03-09",
            "colors",
            &["person_id", "color", "rule_id", "since", "until", "region_id"]
        ),
        [
            "p01 purple FC-P1 2022-03-07  R1",
            "p02 orange FC-O1 2022-03-05 2022-03-20 R1",
            "p04 orange FC-O2 2022-03-05 2022-03-13 R2",
            "p05 orange FC-O2 2022-03-07 2022-03-15 R2",
            "p06 orange FC-O1 2022-03-06 2022-03-21 R1",
            "p07 orange FC-O1 2022-03-06 2022-03-21 R1",
            "p08 orange FC-O2 2022-03-06 2022-03-14 R2",
            "p09 purple FC-P1 2022-03-09  unknown",
        ]
    );
    assert_eq!(
        table(&folder, "2022-03-09", "rejects", &["file", "row", "column", "reason"]),
        ["scans.csv 21 venue_id missing", "scans.csv 22 scanned_at unreadable", "windows.csv 3 from missing"]
    );
    folder.json("run --config ringtrace.toml --date 2022-03-10", 0);
    assert_eq!(
        table(&folder, "2022-03-10", "changes", &["person_id", "color_before", "color_after", "rule_id"]),
        ["p09 purple orange FC-O1"],
        "the withdrawal is known on the 10th; then the exposure site counts"
    );
    folder.json("run --config ringtrace.toml --date 2022-03-13", 0);
    let changes = table(&folder, "2022-03-13", "changes", &["person_id", "color_before", "color_after"]);
    assert_eq!(changes, ["p04 orange green"], "a term of 7 days from the 5th holds through the 12th");
    let lists = ["purple/R1.csv", "orange/R1.csv", "orange/R2.csv"];
    for list in lists {
        assert!(folder.join("runs/2022-03-10/lists").join(list).is_file(), "{list}");
    }
}

#[test]
fn explanations_lead_back_to_a_row_of_the_input() {
    let folder = sample("village");
    folder.json("run --config ringtrace.toml --date 2022-03-10", 0);
    let secondary = folder.run("explain --run runs/2022-03-10 --identify p08").done().stdout;
    for words in [
        "Person p08 on 2022-03-10: ORANGE",
        "FC-O2 secondary contact",
        "until       2022-03-14",
        "p08 (ring 2) met p06 (close contact)",
        "2022-03-06 18:30 to 19:24 at library (Library, other, R2): 54 min, 0 s observed",
        "p06 (ring 1) met p01 (confirmed case, cases.csv row 1)",
    ] {
        assert!(secondary.contains(words), "expected {words:?} in:\n{secondary}");
    }
    let visitor = folder.run("explain --run runs/2022-03-10 p09").done().stdout;
    assert!(visitor.contains("p09 (ring 1) met exposure site W-1"), "{visitor}");
    let untouched = folder.run("explain --run runs/2022-03-10 p03").done().stdout;
    assert!(untouched.contains("GREEN") && untouched.contains("Not traced"), "{untouched}");
    let json = folder.json("explain --run runs/2022-03-10 --identify p08", 0);
    assert_eq!(json["chain"].as_array().unwrap().len(), 2);
    assert_eq!(json["chain"][1]["source_id"], "p01");
}

#[test]
fn a_withdrawn_case_is_a_case_never_added() {
    let (with, without) = (sample("village"), sample("village"));
    let cases = std::fs::read_to_string(without.join("cases.csv")).unwrap();
    let kept: Vec<&str> = cases.lines().filter(|line| !line.starts_with("p09")).collect();
    without.write("cases.csv", kept.join("\n") + "\n");
    for folder in [&with, &without] {
        folder.json("run --config ringtrace.toml --date 2022-03-10", 0);
    }
    assert_eq!(tables(&with, "2022-03-10"), tables(&without, "2022-03-10"));
}

#[test]
fn the_sample_town_is_what_its_seed_gives_on_this_machine() {
    let folder = Folder::new();
    folder.json("generate --people 1200 --days 8 --seed 11 --out town", 0);
    assert_eq!(tree(&folder.join("town")), tree(sample("town").path()));
}

#[test]
fn every_planted_contact_is_found() {
    let folder = sample("town");
    folder.json("run --config ringtrace.toml --date 2022-03-08", 0);
    let found = table(&folder, "2022-03-08", "contacts", &["person_id", "ring"]);
    let ring_of = |person: &str| {
        let row = found.iter().find_map(|row| row.strip_prefix(&format!("{person} ")));
        row.map(|ring| ring.parse::<u8>().unwrap())
    };
    let exposures =
        table(&folder, "2022-03-08", "exposures", &["source_id", "contact_id", "venue_id", "from", "until"]);
    let columns = ["ring", "source_id", "contact_id", "venue_id", "from", "until"];
    let planted = rows(&folder.join("truth/contacts.parquet"), &columns);
    assert!(planted.len() >= 20, "{}", planted.len());
    for contact in planted {
        let ring: u8 = contact[0].parse().unwrap();
        let traced = ring_of(&contact[2]);
        assert!(
            traced.is_some_and(|traced| traced <= ring),
            "a planted contact of ring {ring} is in {traced:?}"
        );
        if ring == 1 {
            assert!(exposures.contains(&contact[1..].join(" ")), "a planted exposure is not an edge");
        }
    }
}

#[test]
fn nights_one_by_one_publish_what_a_rebuild_publishes() {
    let (nightly, rebuilt) = (sample("town"), sample("town"));
    let scans = nightly.join("scans");
    let mut days: Vec<_> = std::fs::read_dir(&scans).unwrap().map(|e| e.unwrap().path()).collect();
    days.sort();
    std::fs::rename(&scans, nightly.join("to-come")).unwrap();
    std::fs::create_dir(&scans).unwrap();
    // The third day arrives two nights late.
    let order = [0, 1, 3, 2, 4, 5, 6, 7];
    for (night, day) in order.into_iter().enumerate() {
        let name = days[day].file_name().unwrap();
        std::fs::rename(nightly.join("to-come").join(name), scans.join(name)).unwrap();
        nightly.json(&format!("run --config ringtrace.toml --date 2022-03-0{}", night + 1), 0);
    }
    let last = nightly.json("run --config ringtrace.toml --date 2022-03-08", 0);
    assert_eq!(last["status"], "unchanged");
    rebuilt.json("run --config ringtrace.toml --date 2022-03-08", 0);
    // What is counted from the night before; and what may be told of the other counts of the report.
    let changes = ["changes", "pushes", "report/"];
    let but_changes = |folder: &Folder| -> Vec<(String, String)> {
        let all = tables(folder, "2022-03-08").into_iter();
        all.filter(|(name, _)| !changes.iter().any(|change| name.starts_with(change))).collect()
    };
    assert_eq!(but_changes(&nightly), but_changes(&rebuilt));
    let changes = ["changes", "color_flow", "delays", "districts"];
    let reported = |folder: &Folder| -> Vec<(String, String)> {
        folder.run("report --run runs/2022-03-08 --suppress-below 0 --out all").done();
        let all = crate::support::tree(&folder.join("all/report")).into_iter();
        all.filter(|(name, _)| !changes.iter().any(|change| name.starts_with(change))).collect()
    };
    let (ours, theirs) = (reported(&nightly), reported(&rebuilt));
    assert!(ours.len() > 10, "{ours:?}");
    assert_eq!(ours, theirs);
}

#[test]
fn threads_do_not_show() {
    let (one, three) = (sample("town"), sample("town"));
    one.json("run --config ringtrace.toml --date 2022-03-08 --threads 1", 0);
    three.json("run --config ringtrace.toml --date 2022-03-08 --threads 3", 0);
    assert_eq!(tree(&one.join("runs")), tree(&three.join("runs")));
    assert_eq!(tree(&one.join("store")), tree(&three.join("store")));
}

#[test]
fn queries_answer_on_a_published_night() {
    let folder = sample("village");
    folder.json("run --config ringtrace.toml --date 2022-03-09", 0);
    let hotspots = folder.json("query --run runs/2022-03-09 venue-hotspots", 0);
    assert_eq!(hotspots[0]["venue_id"], "market");
    assert_eq!(hotspots[0]["contacts"], "2");
    let rings = folder.json("query --run runs/2022-03-09 ring-sizes", 0);
    assert_eq!((rings[0]["persons"].as_str(), rings[1]["persons"].as_str()), (Some("3"), Some("3")));
    let due = folder.json("query --run runs/2022-03-09 due-this-week", 0);
    assert!(due.as_array().unwrap().len() >= 3);
    let own = folder.run_args(&[
        "query",
        "--run",
        "runs/2022-03-09",
        "--csv",
        "--sql",
        "SELECT color, COUNT(*) AS persons FROM colors GROUP BY color ORDER BY color",
    ]);
    assert_eq!(own.done().stdout, "color,persons\norange,6\npurple,2\n");
    folder.run_args(&["query", "--run", "runs/2022-03-09", "--sql", "SELECT nothing FROM colors"]).refused(
        2,
        "usage",
        &["colors"],
    );
}

/// The village with a line put into one of its files.
fn village_with(file: &str, line: impl AsRef<[u8]>) -> Folder {
    let folder = sample("village");
    let mut content = std::fs::read(folder.join(file)).unwrap();
    content.extend_from_slice(line.as_ref());
    folder.write(file, content);
    folder
}

fn color_of(folder: &Folder, night: &str, person: &str) -> Option<String> {
    let rows = table(folder, night, "colors", &["person_id", "color"]);
    rows.iter().find_map(|row| row.strip_prefix(&format!("{person} ")).map(String::from))
}

#[test]
fn a_contact_in_quarantine_who_falls_ill_is_a_case_that_exposed_no_one() {
    let folder = village_with(
        "cases.csv",
        "p02,confirmed,2022-03-10,2022-03-10 09:00,2022-03-07 20:00,2022-03-10 10:00,L\n",
    );
    let night = folder.json("run --config ringtrace.toml --date 2022-03-10", 0);
    assert_eq!(night["balance"]["rejected"], 3, "none but those of the village");
    assert_eq!(color_of(&folder, "2022-03-10", "p02").as_deref(), Some("purple"));
    assert_eq!(color_of(&folder, "2022-03-10", "p05"), None, "p02 was isolated before the window opened");
}

#[test]
fn a_case_that_falls_ill_after_the_night_is_rejected_not_lost() {
    let folder = village_with("cases.csv", "p03,confirmed,2032-03-06,,,2022-03-07 14:00,L\n");
    folder.json("run --config ringtrace.toml --date 2022-03-09", 0);
    let rejects = table(&folder, "2022-03-09", "rejects", &["file", "row", "column", "reason"]);
    assert!(rejects.contains(&"cases.csv 4 onset_at time_in_future".to_string()), "{rejects:?}");
}

#[test]
fn text_that_is_not_utf8_is_a_reject_and_no_region() {
    // Two names in GBK, which would both read as the same replacement marks.
    let folder = village_with("residences.csv", b"p08,\xba\xbc\xd6\xdd\np05x,\xc9\xcf\xba\xa3\n");
    folder.json("run --config ringtrace.toml --date 2022-03-09", 1);
    let rejects = table(&folder, "2022-03-09", "rejects", &["file", "row", "column", "reason"]);
    for row in ["8", "9"] {
        assert!(rejects.contains(&format!("residences.csv {row} region_id unreadable")), "{rejects:?}");
    }
}

#[test]
fn a_night_without_cases_answers_queries() {
    let folder = sample("village");
    folder.write("cases.csv", "person_id,status,onset_at,reported_at\n");
    folder.write("windows.csv", "window_id,venue_id,from,until\n");
    folder.json("run --config ringtrace.toml --date 2022-03-09", 0);
    for query in ["venue-hotspots", "ring-sizes", "due-this-week"] {
        assert_eq!(folder.json(&format!("query --run runs/2022-03-09 {query}"), 0), serde_json::json!([]));
    }
}

#[test]
fn a_quote_never_closed_is_damage_not_one_long_row() {
    let mut rows = String::from("p11,\"tea-house,2022-03-05 09:00,in\n");
    (0..50).for_each(|row| rows.push_str(&format!("q{row},tea-house,2022-03-05 09:00,in\n")));
    let folder = village_with("scans.csv", rows);
    let run = "run --config ringtrace.toml --date 2022-03-09";
    folder.run(run).refused(6, "damaged", &["scans.csv", "never closed"]);
    let folder = village_with("venues.csv", "cinema,other,R2,,\"The \"\"Odeon\"\"\nby the lake\"\n");
    folder.json(run, 0);
    // One that is closed rows later would swallow those between, too.
    let rest: String = (0..50).map(|row| format!("q{row},tea-house,2022-03-05 09:00,in\n")).collect();
    for closing in ["p12,tea-house,2022-03-05 09:00,in\"\n", "p12\",tea-house,2022-03-05 09:00,in\n"] {
        let folder =
            village_with("scans.csv", format!("\"p11,tea-house,2022-03-05 09:00,in\n{rest}{closing}{rest}"));
        folder.run(run).refused(
            6,
            "damaged",
            &["scans.csv", "a quotation mark is opened in row", "51 lines later"],
        );
    }
}

#[test]
fn a_scheme_that_breaks_its_own_vectors_is_refused() {
    let folder = sample("village");
    let pack = include_str!("../../src/colors/schemes/tencent-two.toml");
    folder.write("mine.toml", pack.replace("id = \"tencent-two\"", "id = \"mine\""));
    let config = std::fs::read_to_string(folder.join("ringtrace.toml")).unwrap();
    folder.write("ringtrace.toml", config.replace("five-color", "mine.toml"));
    folder.json("run --config ringtrace.toml --date 2022-03-09", 0);
    let words = folder.run("explain --run runs/2022-03-09 p02").done().stdout;
    assert!(
        words.contains("RED") && words.contains("T2-R2"),
        "explained by the pack the night kept: {words}"
    );
    let pack = pack.replace("id = \"tencent-two\"", "id = \"mine\"");
    folder.write("mine.toml", pack.replace("days = 14", "days = 15"));
    folder.run("run --config ringtrace.toml --date 2022-03-10").refused(
        2,
        "usage",
        &["T2-R2", "the last day", "until 2022-03-16"],
    );
}

#[test]
fn a_folder_has_one_name_however_it_is_spelt() {
    let folder = Folder::new();
    copy(sample("town").path(), &folder.join("deeper/town"));
    folder.json("run --config deeper/town/ringtrace.toml --date 2022-03-07", 0);
    let night = folder.json("run --config ./deeper/town/ringtrace.toml --date 2022-03-08", 0);
    assert_eq!(
        night["balance"]["merged"],
        folder.json("run --config deeper/town/ringtrace.toml --date 2022-03-08", 0)["balance"]["merged"]
    );
    let inputs = std::fs::read_to_string(folder.join("deeper/town/runs/2022-03-08/run.json")).unwrap();
    assert!(!inputs.contains("deeper/"), "names start from the configuration's folder");
}
