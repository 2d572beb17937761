//! Real data kept beside the project. Where it is absent these tests say so and pass; nothing else depends on them.

use std::path::{Path, PathBuf};

use arrow::array::{Array, AsArray, Float64Array};
use arrow::datatypes::{DataType, Float64Type};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use crate::support::{Folder, rows};

/// The folder of the real data, or `None` with a message.
fn shared(test: &str) -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data");
    if !folder.is_dir() {
        println!("skipped: {test}: ../shared/data is absent");
        return None;
    }
    Some(folder.canonicalize().unwrap())
}

/// A column of an expected file as whole numbers; `overlaps` and `seconds` there are of different types.
fn whole(path: &Path, name: &str) -> Vec<i64> {
    let file = std::fs::File::open(path).unwrap();
    let reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap();
    let mut cells = Vec::new();
    for batch in reader {
        let batch = batch.unwrap();
        let array = arrow::compute::cast(batch.column_by_name(name).unwrap(), &DataType::Int64);
        match batch.column_by_name(name).unwrap().data_type() {
            DataType::Float64 => {
                let seconds: &Float64Array =
                    batch.column_by_name(name).unwrap().as_primitive::<Float64Type>();
                cells.extend((0..seconds.len()).map(|row| seconds.value(row) as i64));
            }
            DataType::Timestamp(..) => {
                let micros = array.unwrap();
                let micros = micros.as_primitive::<arrow::datatypes::Int64Type>();
                cells.extend(micros.values().iter().map(|v| v.div_euclid(1_000_000)));
            }
            _ => cells.extend(array.unwrap().as_primitive::<arrow::datatypes::Int64Type>().values()),
        }
    }
    cells
}

fn check_pairs(data: &Path, file: &str, stay: &str, expected: &str, pairs: usize) {
    let folder = Folder::new();
    folder.write(
        "rule.toml",
        format!(
            "[scans]\ncolumns = {{ scanned_at = \"scan_time\", left_at = \"check_out\" }}\n\
             [visits]\ndefault_stay = \"{stay}\"\nnext_scan_ends_stay = false\n[contacts]\nmin_overlap = \"0\"\n"
        ),
    );
    let scans = data.join(file);
    let made = folder.json(&format!("contacts --config rule.toml --scans {} --out out", scans.display()), 0);
    assert_eq!(made["pairs"], pairs);
    let expected = data.join("expected").join(expected);
    let ids = |path: &Path| rows(path, &["person_a", "person_b"]);
    assert_eq!(ids(&folder.join("out/pairs.parquet")), ids(&expected));
    for (ours, theirs) in [
        ("overlap_s", "seconds"),
        ("exposures", "overlaps"),
        ("first_at", "first_together"),
        ("last_at", "last_together"),
    ] {
        assert_eq!(whole(&folder.join("out/pairs.parquet"), ours), whole(&expected, theirs), "{ours}");
    }
}

#[test]
fn oracle_real_check_ins_and_recorded_contacts() {
    let Some(data) = shared("real check-ins") else { return };
    let nyc = "foursquare_nyc.parquet";
    check_pairs(&data, nyc, "30m", "foursquare_nyc_dwell30_pair_seconds.parquet", 3_683);
    check_pairs(&data, nyc, "60m", "foursquare_nyc_dwell60_pair_seconds.parquet", 6_769);
    let office = "sp_workplace2013_pairvenue";
    check_pairs(&data, &format!("{office}.parquet"), "60m", &format!("{office}_pair_seconds.parquet"), 755);
}

#[test]
fn a_whole_night_on_real_check_ins() {
    let Some(data) = shared("a night on real check-ins") else { return };
    let folder = Folder::new();
    let file = data.join("foursquare_nyc.parquet");
    folder.write(
        "night.toml",
        format!(
            "time_zone = \"America/New_York\"\n\
             [scans]\npaths = [{file:?}]\ncolumns = {{ scanned_at = \"scan_time\", left_at = \"check_out\" }}\n\
             [venues]\npaths = [{file:?}]\ncolumns = {{ category = \"venue_category\" }}\n\
             [visits]\nnext_scan_ends_stay = false\n[cases]\npaths = [\"cases.csv\"]\n"
        ),
    );
    folder.write(
        "cases.csv",
        "person_id,status,onset_at,sampled_at,isolated_at,reported_at\n\
         nyc-u474,confirmed,2012-04-12,2012-04-13 10:00,2012-04-15 08:00,2012-04-14 09:00\n\
         nyc-u527,confirmed,2012-04-13,2012-04-14 10:00,2012-04-16 08:00,2012-04-15 09:00\n\
         nyc-u413,asymptomatic,2012-04-12,2012-04-13 10:00,2012-04-15 08:00,2012-04-14 09:00\n\
         nyc-u976,confirmed,2012-04-14,2012-04-15 10:00,2012-04-17 08:00,2012-04-16 09:00\n\
         nyc-u371,suspected,2012-04-13,2012-04-14 10:00,2012-04-16 08:00,2012-04-15 09:00\n",
    );
    let night = folder.json("run --config night.toml --date 2012-04-19", 0);
    assert_eq!(night["counts"]["cases"], 5);
    let rings: Vec<u64> =
        night["counts"]["rings"].as_array().unwrap().iter().map(|n| n.as_u64().unwrap()).collect();
    assert!(rings.len() == 2 && rings.iter().all(|n| (5..200).contains(n)), "{rings:?}");
    for ring in ["1", "2"] {
        let contacts = rows(&folder.join("runs/2012-04-19/contacts.parquet"), &["ring", "person_id"]);
        let person = &contacts.iter().find(|row| row[0] == ring).unwrap()[1];
        let words = folder.run(&format!("explain --run runs/2012-04-19 --identify {person}")).done().stdout;
        assert!(words.contains(" case, cases.csv row "), "{words}");
        assert!(words.contains("America/New_York"), "{words}");
    }
}

#[test]
fn published_exposure_sites_over_a_generated_world() {
    let Some(data) = shared("published exposure sites") else { return };
    let folder = Folder::new();
    folder.json("generate --people 3000 --days 6 --first-day 2021-08-12 --out world", 0);
    let venues = rows(&folder.join("world/venues.parquet"), &["venue_id"]).len();
    let sites = rows(&data.join("nz_loi_events.parquet"), &["event_id", "start", "end"]);
    assert_eq!(sites.len(), 3_827);
    let mut csv = String::from("window_id,venue_id,from,until\n");
    for (row, site) in sites.iter().enumerate() {
        csv.push_str(&format!("{},{},{},{}\n", site[0], row % venues + 1, site[1], site[2]));
    }
    folder.write("sites.csv", csv);
    let visits = "trace --scans world/scans --venues world/venues.parquet --windows sites.csv --out out";
    // 32 blank times and one site that ends before it starts: fewer than one in a hundred.
    let traced = folder.json(&format!("{visits} --time-unit s"), 0);
    assert_eq!(traced["balance"]["rejected"], 33);
    assert!(traced["counts"]["rings"][0].as_u64().unwrap() > 100, "{}", traced["counts"]);
    let reasons = rows(&folder.join("out/rejects.parquet"), &["reason"]);
    let count = |word: &str| reasons.iter().filter(|r| r[0] == word).count();
    assert_eq!((count("missing"), count("ends_before_start")), (32, 1));
    let kinds = rows(&folder.join("out/contacts.parquet"), &["ring", "best_source_kind"]);
    assert!(kinds.iter().all(|row| (row[1] == "window") == (row[0] == "1")));

    let map = ["window_id=event_id", "venue_id=venue", "from=start", "until=end", "advice=exposure_type"];
    let map: Vec<String> = map.iter().map(|m| format!("--map windows.{m}")).collect();
    let file = data.join("nz_loi_events.parquet");
    let direct = folder.json(
        &format!("trace --scans world/scans --windows {} {} --out direct", file.display(), map.join(" ")),
        0,
    );
    assert_eq!(direct["balance"]["rejected"], 33);
    assert!(direct["notes"][0].as_str().unwrap().contains("no one has visited"), "{}", direct["notes"]);
}

/// Runs a script beside the project; `false` with a message where Python or a module it needs is absent.
fn python(script: &str, args: &[&str], test: &str) -> bool {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/peers").join(script);
    let ran = std::process::Command::new("python3").arg(&script).args(args).output();
    match ran {
        Ok(output) if output.status.success() => true,
        Ok(output) if !String::from_utf8_lossy(&output.stderr).contains("ModuleNotFoundError") => {
            panic!("{}: {}", script.display(), String::from_utf8_lossy(&output.stderr))
        }
        _ => {
            println!("skipped: {test}: no python3 with duckdb, numpy and pyarrow here");
            false
        }
    }
}

/// The world generator and the reference answer in SQL: every row and column of both rings, from the store and from
/// the files. A larger world is a matter of `--size M` here.
#[test]
fn oracle_sql_agrees_on_a_generated_world() {
    const TEST: &str = "the reference answer";
    let Some(_) = shared(TEST) else { return };
    let folder = Folder::new();
    let path = |name: &str| folder.join(name).display().to_string();
    let world = python("gen.py", &[&path("world"), "--size", "S"], TEST);
    if !world
        || !python("oracle.py", &[&path("world/visits"), &path("world/cases.parquet"), &path("ref")], TEST)
    {
        return;
    }
    let columns = ["visits.arrived_at=start_ts", "visits.left_at=end_ts", "cases.onset_at=onset_ts"];
    let windows = ["cases.infectious_from=inf_start", "cases.infectious_until=inf_end"];
    let maps: Vec<String> = columns.iter().chain(&windows).map(|m| format!("--map {m}")).collect();
    let read = format!("--time-unit s {}", maps.join(" "));
    folder.json(&format!("ingest --store store --visits world/visits {read}"), 0);
    for from in ["--store store", "--visits world/visits"] {
        folder.json(&format!("trace {from} --cases world/cases.parquet {read} --out out"), 0);
        let ours = ["ring", "person_id", "first_exposed_at", "overlap_s", "exposures", "best_source_id"];
        let found = rows(&folder.join("out/contacts.parquet"), &ours);
        assert!(found.len() > 30_000, "{}", found.len());
        for ring in ["1", "2"] {
            let theirs = ["person_id", "first_ts", "total_s", "n_exp", "best_src"];
            let expected = rows(&folder.join(format!("ref/ring{ring}.parquet")), &theirs);
            let found: Vec<Vec<String>> =
                found.iter().filter(|row| row[0] == ring).map(|row| row[1..].to_vec()).collect();
            assert!(found == expected, "ring {ring} from {from} differs from the reference");
        }
    }
}
