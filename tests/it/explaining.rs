//! Explanations: the same answer again from facts and store, in both languages, without anyone else's name.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, StringArray};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::file::properties::WriterProperties;
use ringtrace::config::Config;
use ringtrace::outputs::explain::{self, Identify};
use ringtrace::outputs::read::Run;

use crate::night::sample;
use crate::random::{Random, for_seeds};
use crate::support::{Folder, parquet_bytes};

const DATE: &str = "2022-03-10";

/// Visits of twenty persons to five venues on some days, two cases, an exposure site.
fn world(random: &mut Random, folder: &Folder, ids: fn(u32) -> String) {
    let mut visits = "person_id,venue_id,arrived_at,left_at\n".to_string();
    for _ in 0..140 {
        let (person, venue) = (random.below(20), random.below(5));
        let at = 1_646_323_200 + random.below(7 * 24 * 6) * 600;
        let left = at + 300 * (1 + random.below(14));
        visits.push_str(&format!("{},v{venue},{at},{left}\n", ids(person)));
    }
    folder.write("visits.csv", visits);
    let case = |person: u32, random: &mut Random| {
        let day = 1 + random.below(8);
        format!("{},confirmed,2022-03-0{day} 10:00,2022-03-09 08:00\n", ids(person))
    };
    let cases = [case(0, random), case(1, random), case(1, random)].concat();
    folder.write("cases.csv", format!("person_id,status,onset_at,reported_at\n{cases}"));
    folder.write(
        "windows.csv",
        // Two that tie, whose order as texts is not that as numbers.
        "window_id,venue_id,from,until\n9,v3,2022-03-06 08:00,2022-03-06 20:00\n10,v3,2022-03-06 08:00,2022-03-06 20:00\n9,v3,2022-03-06 19:00,2022-03-07 01:00\n",
    );
    let rule = random.pick(&["min_overlap = \"10m\"", "min_overlap = \"0\"", "cumulative = \"40m/24h\""]);
    let (rings, linger) = (1 + random.below(3), random.pick(&["0m", "30m"]));
    let edges = random.pick(&["best", "all"]);
    folder.write(
        "ringtrace.toml",
        format!(
            "time_zone = \"Asia/Shanghai\"\nscheme = \"red-code\"\n[visits]\npaths = [\"visits.csv\"]\ntime_unit = \"s\"\n[cases]\npaths = [\"cases.csv\"]\n[windows]\npaths = [\"windows.csv\"]\n[contacts]\n{rule}\nrings = {rings}\nlinger = \"{linger}\"\nedges = \"{edges}\"\n"
        ),
    );
}

fn night(folder: &Folder) {
    folder.run(&format!("run --config ringtrace.toml --date {DATE} --quiet")).done();
}

/// What `explain` says of a person, checked against the store.
fn explained(folder: &Folder, person: &str) -> ringtrace::error::Result<explain::Explanation> {
    let run = Run::open(&folder.join(format!("runs/{DATE}")))?;
    let config = Config::read(&folder.join("ringtrace.toml"))?;
    explain::gather(&run, person, &run.scheme()?, Ok(&config))
}

#[test]
fn oracle_every_answer_is_found_again_in_the_store() {
    for_seeds("oracle_every_answer_is_found_again_in_the_store", 24, |_, random| {
        let folder = Folder::new();
        let ids: fn(u32) -> String = if random.chance(50) {
            |person| format!("p-{person:02}")
        } else {
            |person| (700 + person * 7).to_string()
        };
        world(random, &folder, ids);
        night(&folder);
        for person in 0..20 {
            let explanation = explained(&folder, &ids(person)).unwrap_or_else(|e| panic!("{person}: {e}"));
            let run = Run::open(&folder.join(format!("runs/{DATE}"))).unwrap();
            let json = explanation.json(&run.scheme().unwrap(), Identify::NoOneElse);
            assert_eq!(json["checked"]["store"], true, "{json}");
        }
    });
}

/// Changes every cell of a column of a published table that reads `from`, and the record so that its hash is that of the
/// changed file.
fn tamper(folder: &Folder, table: &str, column: &str, from: &str, to: &str) {
    let path = folder.join(format!("runs/{DATE}/{table}.parquet"));
    let reader = ParquetRecordBatchReaderBuilder::try_new(std::fs::File::open(&path).unwrap()).unwrap();
    let batch = reader.build().unwrap().next().unwrap().unwrap();
    let fields = batch.schema();
    let columns: Vec<(&str, ArrayRef)> = fields
        .fields()
        .iter()
        .zip(batch.columns())
        .map(|(field, cells)| {
            if field.name() != column {
                return (field.name().as_str(), cells.clone());
            }
            let texts = cast(cells, &DataType::Utf8).unwrap();
            let changed = texts.as_string::<i32>().iter().map(|cell| match cell {
                Some(cell) if cell == from => Some(to),
                other => other,
            });
            let changed: ArrayRef = Arc::new(changed.collect::<StringArray>());
            assert_ne!(&changed, &texts, "{table}.{column} has no {from}");
            (field.name().as_str(), cast(&changed, cells.data_type()).unwrap())
        })
        .collect();
    let bytes = parquet_bytes(&columns, WriterProperties::new());
    std::fs::write(&path, &bytes).unwrap();
    let record = folder.join(format!("runs/{DATE}/run.json"));
    let mut json: serde_json::Value = serde_json::from_slice(&std::fs::read(&record).unwrap()).unwrap();
    for output in json["outputs"].as_array_mut().unwrap() {
        if output["path"] == format!("{table}.parquet") {
            output["bytes"] = bytes.len().into();
            output["blake3"] = blake3::hash(&bytes).to_hex().to_string().into();
        }
    }
    std::fs::write(&record, json.to_string()).unwrap();
}

/// A night of the village, which nothing has touched.
fn village() -> Folder {
    let folder = sample("village");
    night(&folder);
    folder
}

#[test]
fn what_does_not_follow_from_facts_and_store_is_refused() {
    let differs = "is not what it follows from";
    let no_exposure = "the evidence of reason 1 is no exposure or stay of the person that night";
    for (table, column, from, to, word) in [
        (
            "colors",
            "color",
            "orange",
            "yellow",
            "color was published as \"yellow\", its facts give \"orange\"",
        ),
        ("colors", "until", "2022-03-14", "2022-03-15", "until was published"),
        ("evidence", "rule_id", "FC-O2", "FC-O1", "its reasons or their evidence are others"),
        ("exposures", "contact_id", "p06", "p99", "the way back does not end at a source"),
        ("contacts", "overlap_s", "3240", "3241", "overlap_s was published as 3241, the store gives 3240"),
        ("contacts", "best_source_id", "p06", "p07", no_exposure),
        ("evidence", "source_id", "p06", "p07", no_exposure),
        ("evidence", "ring", "2", "3", no_exposure),
        ("evidence", "overlap_s", "3240", "3241", no_exposure),
        ("exposures", "venue_id", "library", "school", no_exposure),
    ] {
        let folder = village();
        tamper(&folder, table, column, from, to);
        folder.refuses(&format!("explain --run runs/{DATE} p08"), 6, "integrity", &[differs, word]);
    }
    // All that the run says of it is changed alike; the store is not.
    let folder = village();
    tamper(&folder, "exposures", "venue_id", "library", "school");
    tamper(&folder, "contacts", "best_venue_id", "library", "school");
    tamper(&folder, "evidence", "venue_id", "library", "school");
    let words = ["the best exposure is another", "an exposure that was published is not in the store"];
    folder.refuses(&format!("explain --run runs/{DATE} p08"), 6, "integrity", &words);
    let folder = village();
    tamper(&folder, "evidence", "input_row", "1", "2");
    let refused = folder.run(&format!("explain --run runs/{DATE} p01"));
    refused.refused(6, "integrity", &["its reasons or their evidence are others"]);
    let folder = village();
    // Who was never traced, and yet should have been.
    tamper(&folder, "contacts", "person_id", "p08", "p99");
    let words = ["was not traced", "`ringtrace verify --run DIR`"];
    // Without a contact there is no color either.
    tamper(&folder, "colors", "person_id", "p08", "p99");
    tamper(&folder, "evidence", "person_id", "p08", "p99");
    folder.refuses(&format!("explain --run runs/{DATE} p08"), 6, "integrity", &words);
}

#[test]
fn a_store_that_has_moved_on_is_named_as_the_reason() {
    let folder = village();
    // Two scans of that time, delivered late: p08 and a case at one place.
    let late = "person_id,venue_id,scanned_at,direction\np01,attic,2022-03-05 10:00,in\np01,attic,2022-03-05 11:00,out\np08,attic,2022-03-05 10:00,in\np08,attic,2022-03-05 11:00,out\n";
    folder.write("late.csv", late);
    folder.run("ingest --config ringtrace.toml --scans late.csv --quiet").done();
    let parts =
        ["ring was published as 2, the store gives 1", "the store has taken in 1 file since that night"];
    folder.refuses(&format!("explain --run runs/{DATE} p08"), 6, "integrity", &parts);
    // What did not change is still found again.
    let words = folder.run(&format!("explain --run runs/{DATE} p02")).done().stdout;
    assert!(words.contains("so does the visit store"), "{words}");
}

#[test]
fn without_its_configuration_an_answer_says_that_it_was_not_checked() {
    let folder = village();
    std::fs::rename(folder.join("ringtrace.toml"), folder.join("elsewhere.toml")).unwrap();
    let words = folder.run(&format!("explain --run runs/{DATE} p08")).done().stdout;
    assert!(words.contains("Not checked against the visit store: there is no\nringtrace.toml"), "{words}");
    let words = folder.run(&format!("explain --run runs/{DATE} --config elsewhere.toml p08")).done().stdout;
    assert!(words.contains("so does the visit store"), "{words}");
    let config = std::fs::read_to_string(folder.join("elsewhere.toml")).unwrap();
    folder.write("ringtrace.toml", config + "[contacts]\nrings = 1\n");
    let words = folder.run(&format!("explain --run runs/{DATE} p08")).done().stdout;
    assert!(words.contains("the configuration\nhas changed since that night"), "{words}");
}

#[test]
fn no_one_else_is_named_unless_asked() {
    let folder = village();
    let others: Vec<String> = (1..=10).filter(|n| *n != 8).map(|n| format!("p{n:02}")).collect();
    let says = |words: &str| {
        let text = folder.run(&format!("explain --run runs/{DATE} {words} p08")).done().stdout;
        assert!(text.contains("p08"), "{text}");
        others.iter().filter(|id| text.contains(*id)).cloned().collect::<Vec<_>>()
    };
    let none: [&str; 0] = [];
    for words in ["", "--json", "--language zh"] {
        assert_eq!(says(words), none, "{words}");
        assert_eq!(says(&format!("{words} --identify")), ["p01", "p06"], "{words}");
    }
    let pack = "p08.json";
    folder.run(&format!("explain --run runs/{DATE} --evidence-pack {pack} p08")).done();
    let text = std::fs::read_to_string(folder.join(pack)).unwrap();
    let named: Vec<&String> = others.iter().filter(|id| text.contains(*id)).collect();
    assert_eq!(named, none, "{text}");
    let pack_json: serde_json::Value = serde_json::from_str(&text).unwrap();
    for key in ["explanation", "words_en", "words_zh", "facts", "made_from"] {
        assert!(!pack_json[key].is_null(), "{key}: {text}");
    }
    let again = format!("explain --run runs/{DATE} --evidence-pack {pack} p08");
    folder.refuses(&again, 4, "conflict", &["p08.json", "is there already"]);
    let both = format!("explain --run runs/{DATE} --identify --evidence-pack x.json p08");
    assert_eq!(folder.run(&both).status, Some(2));
}

#[test]
fn a_release_is_reckoned_in_both_languages() {
    let mut checkins = "person_id,checked_in_at\n".to_string();
    (1..=9).for_each(|day| checkins.push_str(&format!("h1,2022-03-{day:02} 09:00\n")));
    let folder = crate::facts::world(
        "hangzhou-release",
        &[
            ("temperatures", "person_id,measured_at,celsius\nh1,2022-03-01 10:00,38.2\n"),
            (
                "tests",
                "person_id,sampled_at,result\nh1,2022-03-02 10:00,negative\nh1,2022-03-08 10:00,negative\n",
            ),
            ("checkins", &checkins),
            (
                "trips",
                "person_id,region_id,from,until\nh1,R-high,2022-02-20 08:00,2022-02-26 12:00\nh1,R-far,2022-02-25 08:00,2022-02-25 11:00\n",
            ),
        ],
    );
    folder.run(&format!("run --config ringtrace.toml --date {DATE} --quiet")).done();
    let english = folder.run(&format!("explain --run runs/{DATE} h1")).done().stdout;
    for part in [
        "day 0 is 2022-03-01 (measured 2022-03-01 10:00)",
        "14 days: day 14 after 2022-03-01 is the last, 2022-03-16 the first day after",
        "9 of 14, 5 left",
        "negative test of day 1 (counts from 2022-03-02): sampled 2022-03-02",
        "negative test of day 7 (counts from 2022-03-08): sampled 2022-03-08",
        "negative test of day 14 (counts from 2022-03-15): missing",
        "evidence: temperatures.csv row 1",
        "Trip code, stays of more than 4 hours in the 14 days up to 2022-03-09: R-high",
        "The two disagree: the trip code shows no risk",
    ] {
        assert!(english.contains(part), "{part}: {english}");
    }
    let chinese = folder.run(&format!("explain --run runs/{DATE} --language zh h1")).done().stdout;
    for part in [
        "红码",
        "第 0 天为 2022-03-01（测量 2022-03-01 10:00）",
        "9/14，还差 5 次",
        "第 14 天核酸阴性（2022-03-15 起有效）：缺",
        "证据：temperatures.csv 第 1 行",
        "两码不一致",
    ] {
        assert!(chinese.contains(part), "{part}: {chinese}");
    }
    for word in ["since", "until", "missing", "day ", "test ", "Checked"] {
        assert!(!chinese.contains(word), "{word}: {chinese}");
    }
}
