//! Laws over files and stores: what was delivered decides, not how it was cut, ordered, repeated or when it came.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::OnceLock;

use rayon::{ThreadPool, ThreadPoolBuilder};
use ringtrace::config::TableConfig;
use ringtrace::ids::IdType;
use ringtrace::store::VisitSource;
use ringtrace::store::disk::DiskStore;
use ringtrace::store::ingest::{Report, hold, ingest};
use ringtrace::store::manifest::FedWith;
use ringtrace::visits::EndSource;
use tempfile::TempDir;

use crate::brute;
use crate::feeds::{
    Row, Style, ToldVisit, Town, balance, is_directed, told_held, told_rings, told_stored, town, visit_rules,
};
use crate::random::{Random, for_seeds};

const TABLES: [FedWith; 2] = [FedWith::Scans, FedWith::Visits];

/// What a reader of visits can tell: visits by day, rings.
type Told = (BTreeMap<u32, Vec<ToldVisit>>, Vec<String>);

fn folder() -> TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

/// Reads the files into memory.
fn held(town: &Town, base: &Path, files: &[(&str, &[Row])]) -> (Told, Report) {
    let (table, venues) = (town.deliver(base, files), town.deliver_venues(base, "venues"));
    let held = hold(&town.feed(&table, &venues)).expect("the files are good");
    let (visits, report) = held.expect("memory is not scarce");
    balance(&report, "venues");
    ((told_held(&visits), told_rings(&visits, town)), report)
}

/// What follows from every row at once, in one file.
fn whole(town: &Town, random: &mut Random) -> Told {
    let rows = town.all_rows(random);
    held(town, folder().path(), &[("all", &rows)]).0
}

/// Reads a store.
fn stored(folder: &Path, town: &Town) -> Told {
    let store = DiskStore::open_existing(folder).expect("a store");
    (told_stored(folder, &store), told_rings(&store, town))
}

/// The visits of a store.
fn told_visits(folder: &Path) -> BTreeMap<u32, Vec<ToldVisit>> {
    told_stored(folder, &DiskStore::open_existing(folder).unwrap())
}

/// A town with scans or visits.
fn any_town(random: &mut Random) -> Town {
    let with = random.pick(&TABLES);
    town(random, with)
}

#[test]
fn oracle_files_become_the_visits_of_the_rules() {
    for_seeds("oracle_files_become_the_visits_of_the_rules", 300, |_, random| {
        let town = town(random, FedWith::Scans);
        let expected = brute::visits(&town.scans(), &town.stay_rules());
        let id = |key: u32| (key * 7 + 3).to_string();
        let tell = |v: &ringtrace::visits::Visit| {
            (id(v.person), id(v.venue), v.arrived, v.left, v.seen_until, v.end_source)
        };
        let mut expected: Vec<ToldVisit> = expected.iter().map(tell).collect();
        expected.sort();
        let mut found: Vec<ToldVisit> = whole(&town, random).0.into_values().flatten().collect();
        found.sort();
        assert_eq!(found, expected, "{town:#?}");
    });
}

#[test]
fn the_order_of_rows_does_not_matter() {
    for_seeds("the_order_of_rows_does_not_matter", 200, |_, random| {
        let town = any_town(random);
        assert_eq!(whole(&town, random), whole(&town, random), "{town:#?}");
    });
}

#[test]
fn the_order_of_rows_and_files_does_not_change_a_store() {
    for_seeds("the_order_of_rows_and_files_does_not_change_a_store", 100, |_, random| {
        let town = any_town(random);
        let mut versions = Vec::new();
        for _ in 0..2 {
            let (store, base) = (folder(), folder());
            let rows = town.all_rows(random);
            let parts = random.deal(&rows, 2);
            let table = town.deliver(base.path(), &[("a", &parts[0]), ("b", &parts[1])]);
            ingest(store.path(), &town.feed(&table, &town.deliver_venues(base.path(), "venues"))).unwrap();
            // The manifest and the rejects name files and rows; all else is data.
            std::fs::remove_dir_all(store.path().join("rejects")).ok();
            versions.push(files_of(store.path()).into_iter().filter(|f| f.0 != "manifest.json").collect());
        }
        let [one, two]: [Vec<(String, Vec<u8>)>; 2] = versions.try_into().unwrap();
        assert_eq!(one, two, "{town:#?}");
    });
}

#[test]
fn the_cut_into_files_does_not_matter() {
    for_seeds("the_cut_into_files_does_not_matter", 200, |_, random| {
        let town = any_town(random);
        let rows = town.all_rows(random);
        let parts = random.deal(&rows, 3);
        let (base, files) = (folder(), [("z", &parts[0][..]), ("a", &parts[1]), ("m", &parts[2])]);
        let (told, report) = held(&town, base.path(), &files);
        assert_eq!(told, whole(&town, random), "{town:#?}");
        assert_eq!(balance(&report, town.with.table()).2, town.bad.len() as u64);
    });
}

#[test]
fn what_is_held_is_what_is_stored() {
    for_seeds("what_is_held_is_what_is_stored", 200, |_, random| {
        let town = any_town(random);
        // Some rows come twice, so that it shows for which of the files they count.
        let mut rows = town.all_rows(random);
        let again: Vec<Row> = rows.iter().filter(|_| random.chance(25)).cloned().collect();
        rows.extend(again);
        let parts = random.deal(&rows, 3);
        let (base, store) = (folder(), folder());
        let files = [("z", &parts[0][..]), ("a", &parts[1]), ("m", &parts[2])];
        let (told, report) = held(&town, base.path(), &files);
        let (table, venues) = (town.deliver(base.path(), &files), town.deliver_venues(base.path(), "venues"));
        let ingested = ingest(store.path(), &town.feed(&table, &venues)).unwrap().report;
        assert_eq!(told, stored(store.path(), &town), "{town:#?}");
        assert_eq!(report.files, ingested.files, "{town:#?}");
        assert_eq!(report.rejects, ingested.rejects, "{town:#?}");
    });
}

#[test]
fn csv_and_parquet_say_the_same() {
    for_seeds("csv_and_parquet_say_the_same", 200, |_, random| {
        let mut town = any_town(random);
        town.style = Style::Csv;
        let csv = whole(&town, random);
        town.style = Style::ParquetText;
        assert_eq!(csv, whole(&town, random), "{town:#?}");
    });
}

#[test]
fn a_second_delivery_of_the_same_rows_does_not_matter() {
    for_seeds("a_second_delivery_of_the_same_rows_does_not_matter", 200, |_, random| {
        let town = any_town(random);
        let once = whole(&town, random);
        let mut rows = town.all_rows(random);
        let base = folder();
        let (again, report) = held(&town, base.path(), &[("one", &rows), ("two", &rows)]);
        assert_eq!(again, once, "a file under two names: {town:#?}");
        if town.with == FedWith::Scans {
            let (used, bad) = (town.rows.len() as u64, town.bad.len() as u64);
            assert_eq!(balance(&report, "scans"), (used, used, 2 * bad), "{town:#?}");
        }
        rows = rows.iter().flat_map(|row| [row.clone(), row.clone()]).collect();
        assert_eq!(held(&town, base.path(), &[("twice", &rows)]).0, once, "every row twice: {town:#?}");
    });
}

/// Pools of one, two and three threads.
fn pools() -> &'static [ThreadPool] {
    static POOLS: OnceLock<Vec<ThreadPool>> = OnceLock::new();
    let pool = |threads| ThreadPoolBuilder::new().num_threads(threads).build().expect("a pool");
    POOLS.get_or_init(|| (1..=3).map(pool).collect())
}

/// Name and content of every file of a store but the lock.
pub fn files_of(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut files = Vec::new();
    for path in ringtrace::store::publish::list(folder).unwrap() {
        if path.is_dir() {
            files.extend(files_of(&path));
        } else if !path.ends_with("lock") {
            files.push((path.file_name().unwrap().to_string_lossy().into(), std::fs::read(&path).unwrap()));
        }
    }
    files
}

#[test]
fn the_number_of_threads_does_not_matter() {
    for_seeds("the_number_of_threads_does_not_matter", 100, |_, random| {
        let town = any_town(random);
        let rows = town.all_rows(random);
        let parts = random.deal(&rows, 2);
        let base = folder();
        let table = town.deliver(base.path(), &[("a", &parts[0]), ("b", &parts[1])]);
        let venues = town.deliver_venues(base.path(), "venues");
        let mut results = Vec::new();
        for pool in pools() {
            let store = folder();
            results.push(pool.install(|| {
                ingest(store.path(), &town.feed(&table, &venues)).unwrap();
                (files_of(store.path()), stored(store.path(), &town))
            }));
        }
        assert!(results.iter().all(|result| *result == results[0]), "bytes of a store, and rings: {town:#?}");
    });
}

/// Delivers the rows in two to four parts to a store, each of one or two files; the venues table comes with one of
/// the deliveries, or with every one.
fn deliver_in_parts(town: &Town, random: &mut Random, store: &Path, base: &Path) {
    let mut rows = town.all_rows(random);
    // Some rows come again with whichever delivery.
    let again = rows[..random.below(rows.len() as u32 + 1) as usize / 3].to_vec();
    rows.extend(again);
    let count = random.within(2..=4);
    let mut parts = random.deal(&rows, count);
    if random.chance(30) {
        // Scans that say when someone left, and then only others.
        let (directed, plain): (Vec<Row>, Vec<Row>) = rows.iter().cloned().partition(is_directed);
        parts = random.deal(&plain, count);
        parts.insert(0, directed);
    } else if random.chance(50) {
        // Night by night, with some late rows.
        rows.sort_by_key(|row| row[2].clone());
        parts = rows.chunks(rows.len().div_ceil(count as usize)).map(<[Row]>::to_vec).collect();
        let (from, to) =
            (random.below(parts.len() as u32) as usize, random.below(parts.len() as u32) as usize);
        let late = parts[from].pop();
        parts[to].extend(late);
    }
    // A first delivery without any id is a test of its own.
    let first = parts.iter().position(|part| part.iter().any(|row| row[0].is_some())).expect("rows");
    parts.swap(0, first);
    let described = (!random.chance(30)).then(|| random.below(parts.len() as u32) as usize);
    let (mut accepted, mut rejected, mut version) = (0, 0, 0);
    for (night, part) in parts.iter().enumerate() {
        let [one, two] = &random.deal(part, 2)[..] else { unreachable!("two hands") };
        let (names, file) = ([format!("{night}-one"), format!("{night}-two")], |rows| -> &[Row] { rows });
        let table = town.deliver(base, &[(&names[0], file(one)), (&names[1], file(two))]);
        let venues = match described.is_none_or(|only| only == night) {
            true => town.deliver_venues(base, "venues"),
            false => TableConfig::default(),
        };
        let before = DiskStore::open(store).unwrap();
        let told_before = before.as_ref().map(|b| told_stored(store, b)).unwrap_or_default();
        let report = ingest(store, &town.feed(&table, &venues)).unwrap().report;
        let (more, _, bad) = balance(&report, town.with.table());
        (accepted, rejected) = (accepted + more, rejected + bad);

        // Whoever reads the version before still can; days not named as changed are as they were.
        if let Some(before) = &before {
            assert_eq!(told_stored(store, before), told_before, "the version before is still whole");
        }
        let now = DiskStore::open_existing(store).unwrap();
        version += u64::from(report.version.is_some());
        assert_eq!(now.manifest().version, version);
        for (day, visits) in &told_stored(store, &now) {
            let same = told_before.get(day) == Some(visits);
            assert!(same || report.changed_days.contains(day), "day {day} changed unsaid: {town:#?}");
        }

        let second = ingest(store, &town.feed(&table, &venues)).unwrap().report;
        assert_eq!((second.version, second.known_files), (None, 2), "the same files again: {town:#?}");
        assert_eq!(told_visits(store), told_stored(store, &now));
    }
    if town.with == FedWith::Scans {
        assert_eq!(accepted, town.rows.len() as u64, "each row is accepted once: {town:#?}");
    }
    let bad_again = rejected - town.bad.len() as u64;
    assert!(bad_again <= rows.len() as u64 / 3, "rejects");
    assert_eq!(DiskStore::open_existing(store).unwrap().rejects().unwrap().len() as u64, rejected);
}

fn check_increments(name: &str, with: FedWith, count: u64) {
    for_seeds(name, count, |_, random| {
        let town = town(random, with);
        let (store, base) = (folder(), folder());
        deliver_in_parts(&town, random, store.path(), base.path());
        let (found, expected) = (stored(store.path(), &town), whole(&town, random));
        assert_eq!(found.0, expected.0, "visits: {town:#?}");
        assert_eq!(found.1, expected.1, "rings: {town:#?}");
    });
}

#[test]
fn scans_in_parts_are_scans_at_once() {
    check_increments("scans_in_parts_are_scans_at_once", FedWith::Scans, 200);
}

#[test]
fn visits_in_parts_are_visits_at_once() {
    check_increments("visits_in_parts_are_visits_at_once", FedWith::Visits, 150);
}

/// Delivers visits `(person, from, until)` to venue 3 one after the other; returns all that are stored.
fn delivered_singly(visits: &[(&str, u32, u32)]) -> Vec<ToldVisit> {
    let mut town = town(&mut Random::new(1), FedWith::Visits);
    town.style = Style::Csv;
    let (store, base) = (folder(), folder());
    for (at, (person, from, until)) in visits.iter().enumerate() {
        let row = [person.to_string(), "3".into(), from.to_string(), until.to_string()].map(Some);
        let table = town.deliver(base.path(), &[(&format!("file-{at}"), &[row.to_vec()])]);
        ingest(store.path(), &town.feed(&table, &TableConfig::default())).unwrap();
    }
    told_visits(store.path()).into_values().flatten().collect()
}

#[test]
fn a_second_visit_on_a_stored_day_keeps_the_first() {
    let found = delivered_singly(&[("3", 1_000, 2_000), ("10", 5_000, 6_000)]);
    assert_eq!(found.len(), 2, "{found:?}");
}

#[test]
fn visits_of_two_days_that_touch_join_in_either_order() {
    let (evening, night) = (("3", 80_000, 100_000), ("3", 100_000, 110_000));
    let joined = [("3".into(), "3".into(), 80_000, 110_000, 110_000, EndSource::CheckOut)];
    assert_eq!(delivered_singly(&[evening, night]), joined);
    assert_eq!(delivered_singly(&[night, evening]), joined);
}

#[test]
fn a_first_delivery_without_rows_leaves_the_type_of_ids_open() {
    // Design, section 2: ids come back out exactly as they came in, so integers do, though the first file was empty.
    let mut town = town(&mut Random::new(1), FedWith::Visits);
    town.style = Style::ParquetNumbers;
    let cells = ["3", "3", "1000", "2000"].map(|text| Some(text.to_string()));
    let (store, base) = (folder(), folder());
    for (name, rows) in [("one", &[][..]), ("two", &[cells.to_vec()])] {
        let table = town.deliver(base.path(), &[(name, rows)]);
        ingest(store.path(), &town.feed(&table, &TableConfig::default())).unwrap();
    }
    let store = DiskStore::open_existing(store.path()).unwrap();
    assert_eq!(store.persons().kind(), IdType::Int);
    assert_eq!(store.venues().ids.ids().kind(), IdType::Int);
}

#[test]
fn other_rules_give_the_visits_of_a_fresh_store() {
    for_seeds("other_rules_give_the_visits_of_a_fresh_store", 120, |_, random| {
        let mut town = town(random, FedWith::Scans);
        let (store, base) = (folder(), folder());
        let rows = town.all_rows(random);
        let parts = random.deal(&rows, 2);
        let first = town.deliver(base.path(), &[("first", &parts[0])]);
        let venues = town.deliver_venues(base.path(), "venues");
        ingest(store.path(), &town.feed(&first, &venues)).unwrap();

        // Other rules, other categories and parents, or both; with or without new rows.
        let what = random.below(3);
        if what != 1 {
            town.rules = visit_rules(random, 600);
        }
        if what != 0 {
            let categories = random.chance(60);
            let others = crate::feeds::town(random, FedWith::Scans).venues;
            for (own, other) in town.venues.iter_mut().zip(others) {
                own[1] = if categories { other[1].clone() } else { own[1].take() };
                own[2] = own[2].take().filter(|_| random.chance(50));
            }
        }
        let venues = town.deliver_venues(base.path(), "venues");
        let more = random.chance(50);
        let second = match more {
            true => town.deliver(base.path(), &[("first", &parts[0]), ("second", &parts[1])]),
            false => first,
        };
        let report = ingest(store.path(), &town.feed(&second, &venues)).unwrap().report;
        assert_eq!((report.known_files, report.changed_files.len()), (1, 0), "{town:#?}");
        let given = if more { &rows } else { &parts[0] };
        let fresh = held(&town, folder().path(), &[("all", given)]).0;
        assert_eq!(stored(store.path(), &town), fresh, "{town:#?}");
    });
}
