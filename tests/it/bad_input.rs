//! Tables, paths and arguments that are refused: what is said, with which status, and that nothing is left behind.

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, TimestampSecondArray};
use arrow::datatypes::DataType;

use crate::support::{Folder, MARCH, PERSONS, cast_to, ints, rows, texts};

const TRACE: &str = "trace --cases cases.csv --out out --visits";
const HEADER: &str = "person_id,venue_id,arrived_at,left_at";
const LINE: &str = "yan-8842,v1,2022-03-01T08:00:00Z,2022-03-01T09:00:00Z";

/// Visits of two persons to one venue, with one column replaced.
fn visits(folder: &Folder, replaced: &str, by: ArrayRef) {
    let time =
        |at: i64| -> ArrayRef { Arc::new(TimestampSecondArray::from(vec![at; 2]).with_timezone("UTC")) };
    let columns = [
        ("person_id", texts(&PERSONS[..2])),
        ("venue_id", texts(&["v1", "v1"])),
        ("arrived_at", time(MARCH)),
        ("left_at", time(MARCH + 3_600)),
    ];
    let columns = columns.map(|(name, column)| (name, if name == replaced { by.clone() } else { column }));
    folder.write_parquet("visits.parquet", &columns);
}

#[test]
fn a_missing_column_is_named_with_the_nearest() {
    let folder = Folder::with_case();
    for (header, parts) in [
        (
            "persn_id,venue_id,arrived_at,left_at",
            ["column person_id: expected a column named \"person_id\"", "(perhaps \"persn_id\")"],
        ),
        (
            "person_id,venue_id,left_at,x",
            [
                "column arrived_at: expected a column named \"arrived_at\", found \"person_id\", \"venue_id\", \"left_at\", \"x\"",
                "--map visits.arrived_at=THEIRS",
            ],
        ),
        ("Person_ID,venue_id,arrived_at,left_at", ["column person_id", "(perhaps \"Person_ID\")"]),
        (
            "person_id;venue_id;arrived_at;left_at",
            ["column person_id", "found \"person_id;venue_id;arrived_at;left_at\""],
        ),
    ] {
        folder.write("visits.csv", format!("{header}\n{LINE}\n"));
        folder.refuses(&format!("{TRACE} visits.csv"), 2, "input", &[&["visits.csv: "], &parts[..]].concat());
        folder.refuses("ingest --store new/store --visits visits.csv", 2, "input", &parts);
    }
    folder.write("visits.csv", format!("person_id,left_at,{HEADER}\n"));
    let twice = "visits.csv: column person_id: expected one column named \"person_id\", found 2";
    folder.refuses(&format!("{TRACE} visits.csv"), 2, "input", &[twice]);
    folder.write("visits.csv", format!("uid,site,start,end\n{LINE}\n"));
    let map = "--map visits.person_id=uid --map visits.venue_id=site --map visits.arrived_at=start --map visits.left_at";
    folder.run(&format!("{TRACE} visits.csv {map}=end")).done();
    folder.refuses(
        &format!("{TRACE} visits.csv {map}=ende"),
        2,
        "input",
        &["named \"ende\"", "(perhaps \"end\")"],
    );
}

#[test]
fn a_column_of_the_wrong_type() {
    let folder = Folder::with_case();
    let two: ArrayRef = ints(&[MARCH, MARCH]);
    let flags: ArrayRef = Arc::new(BooleanArray::from(vec![true, false]));
    for (column, array, expected, found) in [
        ("person_id", cast_to(&two, DataType::Float64), "text or integers", "Float64"),
        ("venue_id", flags.clone(), "text or integers", "Boolean"),
        (
            "arrived_at",
            texts(&["2022-03-01T08:00:00Z"; 2]),
            "Timestamp, Date32 or integers with a time unit",
            "Utf8",
        ),
        (
            "arrived_at",
            cast_to(&two, DataType::Float64),
            "Timestamp, Date32 or integers with a time unit",
            "Float64",
        ),
        ("left_at", flags, "Timestamp, Date32 or integers with a time unit", "Boolean"),
    ] {
        visits(&folder, column, array);
        let message = format!("visits.parquet: column {column}: expected {expected}, found {found}");
        folder.refuses(&format!("{TRACE} visits.parquet"), 2, "input", &[&message]);
    }
}

#[test]
fn times_without_zone_or_unit() {
    let folder = Folder::with_case();
    let overlap = || rows(&folder.join("out/contacts.parquet"), &["first_exposed_at", "overlap_s"]);
    let zoneless: ArrayRef = Arc::new(TimestampSecondArray::from(vec![MARCH + 8 * 3_600 + 600; 2]));
    visits(&folder, "left_at", zoneless);
    let no_zone = "column left_at: expected times with a zone, found times without";
    folder.refuses(
        &format!("{TRACE} visits.parquet"),
        2,
        "input",
        &[no_zone, "visits.parquet", "--time-zone Asia/Shanghai"],
    );
    folder.run(&format!("{TRACE} visits.parquet --time-zone Asia/Shanghai")).done();
    assert_eq!(overlap(), [[MARCH.to_string(), "600".into()]], "08:10 in Shanghai is 00:10 UTC");

    folder.write("visits.csv", format!("{HEADER}\nzoe-7731,v1,2022-03-01 08:00:00,2022-03-01 08:10:00\n{LINE}\nyan-8842,v1,2022-03-01T08:00,2022-03-02\n"));
    let no_zone = "visits.csv: column arrived_at: expected times with a zone, found times without";
    folder.refuses(&format!("{TRACE} visits.csv"), 2, "input", &[no_zone, "--time-zone Asia/Shanghai"]);
    folder.run(&format!("{TRACE} visits.csv --time-zone Asia/Shanghai")).done();
    assert_eq!(overlap(), [[MARCH.to_string(), "600".into()]]);

    visits(&folder, "arrived_at", ints(&[MARCH, MARCH]));
    let no_unit = "column arrived_at: expected a timestamp, found integers";
    folder.refuses(&format!("{TRACE} visits.parquet"), 2, "input", &[no_unit, "--time-unit s|ms|us|ns"]);
    folder.write("visits.csv", format!("{HEADER}\nzoe-7731,v1,{MARCH},{}\n,v1,{MARCH},\n", MARCH + 900));
    folder.refuses(
        &format!("{TRACE} visits.csv"),
        2,
        "input",
        &[no_unit, "visits.csv", "--time-unit s|ms|us|ns"],
    );
}

#[test]
fn every_time_unit_is_the_same_time() {
    let folder = Folder::with_case();
    let contacts = || {
        rows(
            &folder.join("out/contacts.parquet"),
            &["person_id", "first_exposed_at", "last_exposed_at", "overlap_s"],
        )
    };
    let expected = [["yan-8842".into(), MARCH.to_string(), (MARCH + 3_600).to_string(), "3600".into()]];
    for (unit, factor) in [("s", 1), ("ms", 1_000), ("us", 1_000_000), ("ns", 1_000_000_000)] {
        let (from, until) = (MARCH * factor, (MARCH + 3_600) * factor + factor - 1);
        let columns = [
            ("person_id", texts(&PERSONS[..2])),
            ("venue_id", texts(&["v1"; 2])),
            ("arrived_at", ints(&[from; 2])),
            ("left_at", ints(&[until; 2])),
        ];
        folder.write_parquet("visits.parquet", &columns);
        folder.run(&format!("{TRACE} visits.parquet --time-unit {unit}")).done();
        assert_eq!(contacts(), expected, "integers of {unit} in Parquet; fractions round down");
        let lines = PERSONS[..2].iter().map(|person| format!("{person},v1,{from},{until}\n"));
        folder.write("visits.csv", format!("{HEADER}\n{}", lines.collect::<String>()));
        folder.run(&format!("{TRACE} visits.csv --time-unit {unit}")).done();
        assert_eq!(contacts(), expected, "integers of {unit} in CSV");
    }
}

#[test]
fn files_that_hold_nothing_or_are_none() {
    let folder = Folder::with_case();
    std::fs::create_dir_all(folder.join("empty")).unwrap();
    std::fs::create_dir_all(folder.join("folder.parquet")).unwrap();
    folder.write("nothing.csv", "");
    folder.write("zero.parquet", "");
    folder.write("text.parquet", format!("{HEADER}\n{LINE}\n"));
    folder.write("table.xlsx", "PK");
    let none = "expected .parquet, .csv or .tsv files, found none";
    for (path, status, code, part) in [
        ("nothing.csv", 2, "input", "expected a header line with column names, found an empty file"),
        ("zero.parquet", 6, "damaged", "damaged or not the format it claims"),
        ("text.parquet", 6, "damaged", "damaged or not the format it claims"),
        ("table.xlsx", 2, "input", "expected a file ending in .parquet, .csv or .tsv"),
        ("empty", 2, "input", none),
        ("folder.parquet", 2, "input", none),
        ("absent.csv", 2, "input", none),
        ("*.json", 2, "input", none),
        ("a[", 2, "input", "not a pattern"),
    ] {
        folder.refuses(&format!("{TRACE} {path}"), status, code, &[path, part]);
        folder.refuses(&format!("ingest --store new/store --visits {path}"), status, code, &[path, part]);
    }
}

#[cfg(unix)]
#[test]
fn files_that_cannot_be_read() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let folder = Folder::with_case();
    std::fs::create_dir_all(folder.join("in")).unwrap();
    symlink("gone.csv", folder.join("in/link.csv")).unwrap();
    folder.refuses(&format!("{TRACE} in"), 5, "storage", &["link.csv", "opening"]);
    std::fs::remove_file(folder.join("in/link.csv")).unwrap();
    // A pipe has no end; opening one waits for a writer that never comes.
    let made = std::process::Command::new("mkfifo").arg(folder.join("in/pipe.csv")).status();
    if made.is_ok_and(|status| status.success()) {
        folder.refuses(
            &format!("{TRACE} in"),
            2,
            "input",
            &["pipe.csv", "expected a file, found a pipe or device"],
        );
        std::fs::remove_file(folder.join("in/pipe.csv")).unwrap();
    } else {
        println!("skipped: no mkfifo here");
    }
    folder.write("in/visits.csv", format!("{HEADER}\n{LINE}\n"));
    std::fs::set_permissions(folder.join("in/visits.csv"), PermissionsExt::from_mode(0o000)).unwrap();
    if std::fs::File::open(folder.join("in/visits.csv")).is_ok() {
        println!("skipped: whoever runs this test reads every file");
    } else {
        folder.refuses(&format!("{TRACE} in"), 5, "storage", &["visits.csv", "opening"]);
    }
}

#[test]
fn folders_globs_and_partitions() {
    let folder = Folder::with_case();
    let [zoe, yan, xue] = PERSONS;
    for (number, (site, person)) in [("A", zoe), ("A", yan), ("B", xue), ("C%2FD", xue)].iter().enumerate() {
        let line = format!("{person},2022-03-01T08:00:00Z,2022-03-01T09:00:00Z\n");
        folder
            .write(&format!("in/site={site}/{number}.csv"), format!("person_id,arrived_at,left_at\n{line}"));
    }
    let line = "xue-9953,2022-03-01T08:00:00Z,2022-03-01T09:00:00Z";
    folder
        .write("in/site=__HIVE_DEFAULT_PARTITION__/x.csv", format!("person_id,arrived_at,left_at\n{line}\n"));
    folder.refuses(
        &format!("{TRACE} in"),
        2,
        "input",
        &["column venue_id: expected a column named \"venue_id\""],
    );
    let map = "--map visits.venue_id=site";
    for paths in [
        "in",
        "in/site=*/*.csv",
        "in/*",
        "in/site=A in/site=B in/site=C%2FD in/site=__HIVE_DEFAULT_PARTITION__",
    ] {
        let answer = folder.json(&format!("trace --cases cases.csv --out out {map} --visits {paths}"), 1);
        assert_eq!(answer["balance"]["accepted"], 5, "{paths}: four visits and a case");
        let contacts = rows(&folder.join("out/contacts.parquet"), &["person_id", "best_venue_id"]);
        assert_eq!(contacts, [[PERSONS[1], "A"]], "{paths}");
        let rejects = rows(&folder.join("out/rejects.parquet"), &["file", "row", "column", "reason"]);
        assert_eq!(rejects, [["in/site=__HIVE_DEFAULT_PARTITION__/x.csv", "1", "venue_id", "missing"]]);
    }
    folder.run(&format!("ingest --store store {map} --visits in"));
    let venues = rows(&folder.join(only_file(&folder, "store/venues")), &["venue_id"]).concat();
    assert_eq!(venues, ["A", "B", "C/D"], "escapes of partition folders are undone");
}

/// The one file in `place`.
fn only_file(folder: &Folder, place: &str) -> String {
    let found: Vec<String> = folder.tree().into_keys().filter(|name| name.starts_with(place)).collect();
    assert_eq!(found.len(), 1, "{found:?}");
    found[0].clone()
}

#[test]
fn arguments_that_cannot_be() {
    let folder = Folder::with_case();
    folder.write("visits.csv", format!("{HEADER}\n{LINE}\n"));
    for (more, parts) in [
        ("--map visit.person_id=x", ["no table is called \"visit\"", "did you mean \"visits\"?"]),
        ("--map visits.person=x", ["table visits has no column \"person\"", "did you mean \"person_id\"?"]),
        ("--map zzz.person_id=x", ["no table is called \"zzz\"", "tables: scans"]),
        ("--map person_id=x", ["is not TABLE.OURS=THEIRS", "write --map"]),
        ("--map visits.person_id", ["is not TABLE.OURS=THEIRS", "write --map"]),
        ("--rings 0", ["rings is 0", "use 1"]),
        ("--min-overlap 10", ["\"10\" is not a duration", "10m"]),
        ("--min-overlap=-5m", ["\"-5m\" is not a duration", "10m"]),
        ("--linger soon", ["\"soon\" is not a duration", "10m"]),
        ("--cumulative 24h/15m", ["\"24h/15m\" is not a cumulative rule", "15m/24h"]),
        ("--time-zone Asia/Shangai", ["time zone \"Asia/Shangai\" is not known", "IANA"]),
        ("--config absent.toml", ["absent.toml", "ringtrace init"]),
    ] {
        folder.refuses(&format!("{TRACE} visits.csv {more}"), 2, "usage", &parts);
    }
    for (words, parts) in [
        ("trace --visits visits.csv --out out", ["nothing to trace from", "--cases FILE"]),
        ("trace --cases cases.csv --out out", ["no scans and no visits to read", "[scans] paths"]),
        ("trace --store absent --cases cases.csv --out out", ["absent: no store here", "ringtrace ingest"]),
        (
            "contacts --visits visits.csv --out out --venue v2",
            ["venue \"v2\" is not known", "as in the input"],
        ),
        ("contacts --visits visits.csv --out out --region r", ["no venue is in region \"r\"", "--venues"]),
        ("contacts --visits visits.csv --out out --from 2022-03-01", ["has no time zone", "--time-zone"]),
        (
            "contacts --visits visits.csv --out out --from 2022-03-02T00:00:00Z --until 2022-03-02T00:00:00Z",
            ["the period is empty", "later"],
        ),
    ] {
        folder.refuses(words, 2, "usage", &parts);
    }
    for words in [
        &format!("{TRACE} visits.csv --scans visits.csv"),
        &format!("{TRACE} visits.csv --store store"),
        &format!("{TRACE} visits.csv --time-unit minutes"),
        &format!("{TRACE} visits.csv --rings 256"),
        "trace",
        "traec",
    ] {
        let ran = folder.run(words);
        assert_eq!((ran.status, &*ran.stdout), (Some(2), ""), "{words}");
        assert!(ran.stderr.starts_with("error: ") && ran.stderr.contains("--help"), "{}", ran.stderr);
    }
}

#[test]
fn configurations_that_cannot_be() {
    let folder = Folder::with_case();
    folder.write("visits.csv", format!("{HEADER}\n{LINE}\n"));
    let good = "[visits]\npaths = [\"visits.csv\"]\n[cases]\npaths = [\"cases.csv\"]\n";
    for (text, parts) in [
        ("time_zon = \"UTC\"\n", ["night.toml:1:1: unknown field `time_zon`", "did you mean \"time_zone\"?"]),
        ("scheme = \"five-colour\"\n", ["scheme \"five-colour\"", "five-color"]),
        ("policy = \"nhc8\"\n", ["policy \"nhc8\" is not known", "did you mean \"nhc-8\"?"]),
        ("time_zone = \"Mars/Olympus\"\n", ["time zone \"Mars/Olympus\" is not known", "IANA"]),
        ("rejects_max_percent = -1\n", ["night.toml:1:23: ", "ringtrace init"]),
        ("time_zone = \"UTC\n", ["night.toml:1:", "ringtrace init"]),
        ("[contacts]\nmin_overlap = \"soon\"\n", ["\"soon\" is not a duration", "10m"]),
        ("[contacts]\nrings = 0\n", ["rings is 0", "use 1"]),
        ("[scans]\npaths = [\"visits.csv\"]\n", ["both scans and visits are given", "one kind"]),
    ] {
        folder.write("night.toml", format!("{text}{good}"));
        folder.refuses("run --config night.toml --date 2022-03-01", 2, "usage", &parts);
    }
    folder.write("night.toml", good);
    folder.refuses(
        "run --config night.toml --date 2022-02-30",
        2,
        "usage",
        &["\"2022-02-30\" is not a date"],
    );
    folder.refuses("run --config night.toml --date tonight", 2, "usage", &["\"tonight\" is not a date"]);
    folder.write("night.toml", b"time_zone = \"\xff\"");
    folder.refuses("run --config night.toml --date 2022-03-01", 2, "usage", &["night.toml", "UTF-8"]);
}

#[test]
fn what_is_misspelt_is_not_overlooked() {
    let folder = Folder::new();
    folder.write(
        "visits.csv",
        "person_id,venue_id,arrived_at,left_at,note\na,v,2022-03-01 10:00,2022-03-01 11:00,x\n",
    );
    folder.write("venues.csv", "venue_id,kategorie\nv,mall\n");
    folder.write(
        "cases.csv",
        "person_id,status,onset,reported_at\na,confirmed,2022-03-01 08:00,2022-03-01 09:00\n",
    );
    let tables =
        ["visits", "venues", "cases"].map(|name| format!("[{name}]\npaths = [\"{name}.csv\"]\n")).concat();
    let config = format!("time_zone = \"Asia/Shanghai\"\n{tables}");
    folder.write("night.toml", format!("{config}[contacts.by_category.mal]\nexclude = true\n"));
    let night = folder.json("run --config night.toml --date 2022-03-02", 0);
    assert_eq!(
        night["notes"].as_array().unwrap(),
        &[
            "cases.csv: nothing is read from its column \"onset\"; if onset_at is meant: --map cases.onset_at=onset",
            "venues.csv: nothing is read from its column \"kategorie\"; if category is meant: --map venues.category=kategorie",
            "[contacts.by_category.\"mal\"] changes nothing: no venue is of that category",
        ],
        "a note is near to no column"
    );
    // A year that is a slip of the pen.
    folder.write("cases.csv", "person_id,onset_at,isolated_at\na,2022-03-01 08:00,2021-03-01 09:00\n");
    folder.write("night.toml", config.replace("time_zone", "runs = \"other\"\ntime_zone"));
    let night = folder.json("run --config night.toml --date 2022-03-02", 0);
    let notes = night["notes"].to_string();
    assert!(notes.contains("1 of 1 case rows: isolated before the person could infect"), "{notes}");
    let doctor = folder.run("doctor --config night.toml").done().stdout;
    assert!(doctor.contains("--map venues.category=kategorie"), "{doctor}");
    // Both at once would leave one of them without effect.
    folder
        .write("night.toml", format!("{config}[contacts]\nmin_overlap = \"5m\"\ncumulative = \"15m/24h\"\n"));
    folder.refuses("run --config night.toml --date 2022-03-02", 2, "usage", &["cumulative", "min_overlap"]);
}
