use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::path::Path;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::{Int64Type, TimestampMillisecondType, UInt8Type};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::*;

const SPEC: WorldSpec = WorldSpec { people: 25_000, days: 4, seed: 7, first_day: 19_052, facts: false };

fn world_on(threads: usize, spec: &WorldSpec) -> (tempfile::TempDir, World) {
    let folder = tempfile::tempdir().unwrap();
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
    let world = pool.install(|| write(spec, folder.path())).unwrap();
    (folder, world)
}

/// The bytes of every file by its path inside the world.
fn bytes(folder: &Path, world: &World) -> BTreeMap<PathBuf, Vec<u8>> {
    let name = |path: &PathBuf| path.strip_prefix(folder).unwrap().to_path_buf();
    world.files.iter().map(|path| (name(path), std::fs::read(path).unwrap())).collect()
}

fn read(path: &Path) -> Vec<RecordBatch> {
    let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(path).unwrap()).unwrap();
    reader.build().unwrap().map(Result::unwrap).collect()
}

/// A column of integers, times as UTC seconds; nulls are `None`.
fn column(batches: &[RecordBatch], name: &str) -> Vec<Option<i64>> {
    let mut values = Vec::new();
    for batch in batches {
        let column = batch.column_by_name(name).unwrap_or_else(|| panic!("{name}"));
        if let Some(ints) = column.as_primitive_opt::<Int64Type>() {
            values.extend(ints.iter());
        } else if let Some(rings) = column.as_primitive_opt::<UInt8Type>() {
            values.extend(rings.iter().map(|v| v.map(i64::from)));
        } else {
            let times = column.as_primitive::<TimestampMillisecondType>();
            assert_eq!(times.timezone(), Some("UTC"));
            values.extend(times.iter().map(|v| v.map(|ms| ms / 1_000)));
        }
    }
    values
}

/// Columns without nulls, as rows.
fn rows<const N: usize>(batches: &[RecordBatch], names: [&str; N]) -> Vec<[i64; N]> {
    let columns = names.map(|name| column(batches, name));
    (0..columns[0].len()).map(|row| std::array::from_fn(|c| columns[c][row].unwrap())).collect()
}

fn text(batches: &[RecordBatch], name: &str) -> Vec<Option<String>> {
    let texts =
        batches.iter().flat_map(|batch| batch.column_by_name(name).unwrap().as_string::<i32>().iter());
    texts.map(|text| text.map(str::to_owned)).collect()
}

/// All scans: person, venue, second, direction.
fn all_scans(world: &World) -> Vec<(i64, i64, i64, Option<String>)> {
    let mut scans = Vec::new();
    for path in world.files.iter().filter(|path| path.ends_with("part-0.parquet")) {
        let batches = read(path);
        let directions = text(&batches, "direction");
        let day = rows(&batches, ["person_id", "venue_id", "scanned_at"]);
        assert!(day.is_sorted_by_key(|[person, _, at]| (*at, *person)), "rows are in order of arrival");
        let name = path.parent().unwrap().file_name().unwrap().to_str().unwrap();
        for ([person, venue, at], direction) in day.into_iter().zip(directions) {
            let local = crate::time::utc_day_name(((at + 8 * 3_600) / 86_400) as u32);
            assert_eq!(format!("day={local}"), name);
            scans.push((person, venue, at, direction));
        }
    }
    scans
}

#[test]
fn a_seed_gives_the_same_bytes_on_one_thread_and_on_two() {
    let (one, world_one) = world_on(1, &SPEC);
    let (two, world_two) = world_on(2, &SPEC);
    assert_eq!(world_one.scans, world_two.scans);
    let (one, two) = (bytes(one.path(), &world_one), bytes(two.path(), &world_two));
    assert_eq!(one.len(), 6 + 4);
    for (name, content) in &one {
        assert!(content == &two[name], "{} differs", name.display());
    }
}

#[test]
fn another_seed_gives_another_world() {
    let (first, world_first) = world_on(2, &SPEC);
    let (other, world_other) = world_on(2, &WorldSpec { seed: 8, ..SPEC });
    let (first, other) = (bytes(first.path(), &world_first), bytes(other.path(), &world_other));
    for (name, content) in first.iter().filter(|(name, _)| name.extension().unwrap() == "parquet") {
        assert!(content != &other[name], "{} is the same", name.display());
    }
}

#[test]
fn every_planted_contact_follows_from_the_scans_and_lies_in_its_window() {
    let (folder, world) = world_on(2, &SPEC);
    let scans = all_scans(&world);
    assert_eq!(scans.len() as u64, world.scans);
    let mut by_person: HashMap<i64, Vec<_>> = HashMap::new();
    for (person, venue, at, direction) in &scans {
        by_person.entry(*person).or_default().push((*at, *venue, direction.as_deref()));
    }

    // Each true stay is an "in" followed by that person's next scan, the "out".
    let visits = rows(
        &read(&folder.path().join("truth/visits.parquet")),
        ["person_id", "venue_id", "arrived_at", "left_at"],
    );
    for [person, venue, arrived, left] in &visits {
        let scans = &by_person[person];
        let at = scans.iter().position(|scan| scan == &(*arrived, *venue, Some("in"))).unwrap();
        assert_eq!(scans[at + 1], (*left, *venue, Some("out")));
    }

    let cases = read(&folder.path().join("cases.parquet"));
    let [onset, sampled, isolated] =
        ["onset_at", "sampled_at", "isolated_at"].map(|name| column(&cases, name));
    let mut windows = HashMap::new();
    for (row, [person]) in rows(&cases, ["person_id"]).into_iter().enumerate() {
        windows.insert(person, (onset[row].or(sampled[row]).unwrap() - 2 * 86_400, isolated[row].unwrap()));
    }

    let names = ["source_id", "contact_id", "venue_id", "from", "until", "overlap_s", "ring"];
    let contacts = rows(&read(&folder.path().join("truth/contacts.parquet")), names);
    assert_eq!(contacts.len() as u64, world.planted);
    let mut exposed = HashMap::new();
    for [source, contact, venue, from, until, overlap_s, ring] in contacts {
        let stay = |person| {
            let mut stays =
                visits.iter().filter(|v| v[0] == person && v[1] == venue && v[2] <= from && until <= v[3]);
            stays.next().unwrap_or_else(|| panic!("a stay around the contact"))
        };
        let (a, b) = (stay(source), stay(contact));
        assert_eq!((a[2].max(b[2]), a[3].min(b[3])), (from, until));
        assert_eq!(until - from, overlap_s);
        assert!(20 * 60 <= overlap_s);
        let (begin, end) = match ring {
            1 => windows[&source],
            _ => (exposed[&source], i64::MAX),
        };
        assert!(begin <= from && until <= end, "ring {ring}");
        exposed.insert(contact, from);
    }
}

#[test]
fn the_line_list_has_gaps_and_one_case_taken_back() {
    let (folder, world) = world_on(2, &SPEC);
    let cases = read(&folder.path().join("cases.parquet"));
    let people = rows(&cases, ["person_id", "reported_at"]);
    let (status, lab_ref) = (text(&cases, "status"), text(&cases, "lab_ref"));
    assert_eq!(people.len() as u64, world.cases + 1);
    assert!(people.is_sorted_by_key(|[_, reported]| *reported));
    let withdrawn: Vec<usize> =
        (0..people.len()).filter(|r| status[*r].as_deref() == Some("withdrawn")).collect();
    let [row] = withdrawn[..] else { panic!("{} withdrawn rows", withdrawn.len()) };
    let revoked = (0..row).find(|earlier| people[*earlier][0] == people[row][0]).unwrap();
    assert_eq!((status[revoked].as_deref(), &lab_ref[revoked]), (Some("confirmed"), &lab_ref[row]));
    for expected in ["confirmed", "asymptomatic", "suspected"] {
        assert!(status.iter().any(|s| s.as_deref() == Some(expected)), "{expected}");
    }
    let onset = column(&cases, "onset_at");
    assert!((0..people.len()).any(|r| onset[r].is_none() && status[r].as_deref() == Some("confirmed")));
}

#[test]
fn a_folder_in_use_and_an_impossible_world_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("mine"), "").unwrap();
    assert_eq!(write(&SPEC, folder.path()).unwrap_err().code(), "conflict");
    assert_eq!(write(&SPEC, &folder.path().join("mine")).unwrap_err().code(), "conflict");
    let out = folder.path().join("new");
    for spec in [
        WorldSpec { people: 99, ..SPEC },
        WorldSpec { days: 2, ..SPEC },
        WorldSpec { days: u32::MAX, ..SPEC },
        WorldSpec { first_day: 0, ..SPEC },
    ] {
        assert_eq!(write(&spec, &out).unwrap_err().code(), "usage");
    }
    assert!(!out.exists());
}
