//! An ingest a group of days at a time is an ingest at once: the same bytes, the same counts.

use std::path::Path;

use ringtrace::config::{TableConfig, TimeUnit};
use ringtrace::store::disk::DiskStore;
use ringtrace::store::format::Layout;
use ringtrace::store::ingest::{Budget, Feed, ingest};
use ringtrace::store::manifest::FedWith;
use tempfile::TempDir;

use crate::feeds::{Row, Style, Town, balance, budget, told_held, told_stored, town};
use crate::laws::files_of;
use crate::random::{Random, for_seeds};
use crate::support::{Folder, ints, tree};

const AT_ONCE: u64 = 1 << 30;

/// Every day by itself, a row or two a piece.
fn by_day() -> Budget {
    Budget { group_rows: Some(0), piece_rows: 2, ..Budget::of(AT_ONCE) }
}

fn folder() -> TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

/// Adds a table to a store; returns accepted, merged and rejected rows.
fn add(
    town: &Town,
    store: &Path,
    table: &TableConfig,
    venues: &TableConfig,
    budget: Budget,
) -> (u64, u64, u64) {
    let feed = Feed { budget, ..town.feed(table, venues) };
    balance(&ingest(store, &feed).expect("the files are good").report, "visits")
}

#[test]
fn groups_of_days_give_the_bytes_of_one_ingest() {
    for_seeds("groups_of_days_give_the_bytes_of_one_ingest", 400, |_, random| {
        let town = town(random, FedWith::Visits);
        let (base, [once, grouped, daily]) = (folder(), [folder(), folder(), folder()]);
        let mut rows = town.all_rows(random);
        let again = rows[..rows.len() / 3].to_vec();
        rows.extend(again);
        let deliveries = random.within(1..=3);
        let venues = town.deliver_venues(base.path(), "venues");
        for (night, part) in random.deal(&rows, deliveries).iter().enumerate() {
            let files = random.deal(part, 2);
            let names = [format!("{night}-one"), format!("{night}-two")];
            let table = town.deliver(base.path(), &[(&names[0], &files[0]), (&names[1], &files[1])]);
            let counts = add(&town, once.path(), &table, &venues, Budget::of(AT_ONCE));
            let in_groups = budget(random);
            assert_eq!(
                add(&town, grouped.path(), &table, &venues, in_groups),
                counts,
                "{in_groups:?} {town:#?}"
            );
            assert_eq!(add(&town, daily.path(), &table, &venues, by_day()), counts, "{town:#?}");
            let expected = files_of(once.path());
            assert!(files_of(grouped.path()) == expected, "delivery {night}, {in_groups:?}: {town:#?}");
            assert!(files_of(daily.path()) == expected, "delivery {night}, day by day: {town:#?}");
        }
    });
}

/// Visits `(person, from, until)` to venue 3, in hours.
type File = [(u32, u32, u32)];

fn rows(visits: &File) -> Vec<Row> {
    let row = |(person, from, until): &(u32, u32, u32)| {
        [*person, 3, from * 3_600, until * 3_600].map(|cell| Some(cell.to_string())).to_vec()
    };
    visits.iter().map(row).collect()
}

/// Delivers files one after the other, day by day and at once; compares all bytes and returns the counts.
fn check(deliveries: &[&[&File]]) -> Vec<(u64, u64, u64)> {
    let mut town = town(&mut Random::new(1), FedWith::Visits);
    town.style = Style::ParquetNumbers;
    let (base, [once, daily]) = (folder(), [folder(), folder()]);
    let mut counted = Vec::new();
    for (night, files) in deliveries.iter().enumerate() {
        let named: Vec<(String, Vec<Row>)> =
            (0..).zip(*files).map(|(at, file): (u32, _)| (format!("{night}-{at}"), rows(file))).collect();
        let named: Vec<(&str, &[Row])> = named.iter().map(|(name, rows)| (&name[..], &rows[..])).collect();
        let (table, none) = (town.deliver(base.path(), &named), TableConfig::default());
        counted.push(add(&town, once.path(), &table, &none, Budget::of(AT_ONCE)));
        assert_eq!(add(&town, daily.path(), &table, &none, by_day()), counted[night], "delivery {night}");
        assert!(files_of(once.path()) == files_of(daily.path()), "delivery {night} of {deliveries:?}");
    }
    counted
}

#[test]
fn visits_that_touch_across_midnight() {
    assert_eq!(check(&[&[&[(3, 20, 24), (3, 24, 30), (10, 20, 24), (10, 25, 26)]]]), [(3, 1, 0)]);
    assert_eq!(
        check(&[&[&[(3, 20, 30)], &[(3, 30, 50)], &[(3, 49, 75), (3, 80, 81)]]]),
        [(2, 2, 0)],
        "a chain"
    );
    assert_eq!(
        check(&[&[&[(3, 20, 80), (3, 25, 26), (3, 50, 51), (3, 74, 90)]]]),
        [(1, 3, 0)],
        "inside a long one"
    );
}

#[test]
fn visits_that_touch_what_is_stored_on_other_days() {
    let stored: &File = &[(3, 48, 50), (10, 20, 30)];
    assert_eq!(check(&[&[stored], &[&[(3, 30, 48)]]]), [(2, 0, 0), (0, 1, 0)], "before a stored day");
    assert_eq!(check(&[&[stored], &[&[(10, 30, 31)]]]), [(2, 0, 0), (0, 1, 0)], "after a stored visit");
    assert_eq!(
        check(&[&[stored], &[&[(3, 20, 24), (3, 24, 48)]]]),
        [(2, 0, 0), (0, 2, 0)],
        "known by a later day"
    );
    assert_eq!(check(&[&[stored], &[&[(10, 30, 48)], &[(10, 48, 49), (3, 90, 91)]]]), [(2, 0, 0), (1, 2, 0)]);
    assert_eq!(
        check(&[&[&[(3, 30, 31)]], &[&[(3, 20, 30), (3, 31, 60), (3, 59, 80)]]]),
        [(1, 0, 0), (0, 3, 0)]
    );
}

#[test]
fn ids_of_csv_and_parquet_meet_in_every_group() {
    for_seeds("ids_of_csv_and_parquet_meet_in_every_group", 100, |_, random| {
        let mut town = town(random, FedWith::Visits);
        let (base, [once, daily, plain]) = (folder(), [folder(), folder(), folder()]);
        let all = town.all_rows(random);
        let parts = random.deal(&all, 3);
        let mut table = TableConfig::default();
        for (part, style) in parts.iter().zip([Style::Csv, Style::ParquetNumbers, Style::ParquetUnsigned]) {
            town.style = style;
            let delivered = town.deliver(base.path(), &[(&format!("{style:?}"), part)]);
            table = TableConfig { paths: [table.paths, delivered.paths].concat(), ..delivered };
        }
        let none = TableConfig::default();
        add(&town, once.path(), &table, &none, Budget::of(AT_ONCE));
        add(&town, daily.path(), &table, &none, by_day());
        assert!(files_of(once.path()) == files_of(daily.path()), "{town:#?}");
        town.style = Style::ParquetNumbers;
        let table = town.deliver(base.path(), &[("all", &all)]);
        add(&town, plain.path(), &table, &none, by_day());
        let told =
            |store: &TempDir| told_stored(store.path(), &DiskStore::open_existing(store.path()).unwrap());
        assert_eq!(told(&plain), told(&daily), "{town:#?}");
    });
}

#[test]
fn a_day_that_does_not_fit_is_refused_before_anything_is_written() {
    for with in [FedWith::Visits, FedWith::Scans] {
        let town = town(&mut Random::new(1), with);
        let (base, store) = (folder(), folder());
        let table = town.deliver(base.path(), &[("all", &town.rows)]);
        let none = TableConfig::default();
        let feed = Feed { budget: Budget::of(100), ..town.feed(&table, &none) };
        let error = ingest(store.path(), &feed).err().expect("one hundred bytes are too few");
        assert_eq!(error.code(), "usage");
        assert!(error.to_string().ends_with("need 1 MiB, more than --memory allows"), "{error}");
        assert!(files_of(store.path()).is_empty(), "nothing was written");
        match (with, ringtrace::store::ingest::hold(&feed)) {
            (FedWith::Visits, held) => assert!(held.unwrap().is_none(), "nor can they be held"),
            (FedWith::Scans, held) => assert_eq!(held.err().expect("nor can they be held").code(), "usage"),
        }
    }
}

#[test]
fn visits_that_memory_does_not_hold_are_traced_through_a_store_of_their_own() {
    // 24,000 visits of 14 days: held they take 4.4 MiB with two threads, a day at a time 3.6.
    const ROWS: i64 = 24_000;
    let folder = Folder::new();
    let cells = |of: fn(i64) -> i64| ints(&(0..ROWS).map(of).collect::<Vec<_>>());
    fn arrived(row: i64) -> i64 {
        1_646_092_800 + row % 14 * 86_400 + row * 37 % 70_000
    }
    folder.write_parquet(
        "visits.parquet",
        &[
            ("person_id", cells(|row| row * 7_919 % 2_003)),
            ("venue_id", cells(|row| row * 31 % 53)),
            ("arrived_at", cells(arrived)),
            ("left_at", cells(|row| arrived(row) + 1_800)),
        ],
    );
    folder.write("cases.csv", "person_id,infectious_from,infectious_until\n5,1646100000,1646500000\n");
    let trace = |out: &str, memory: &str| {
        let command = "trace --visits visits.parquet --cases cases.csv --time-unit s --threads 2 --quiet";
        let said = folder.run(&format!("{command} --out {out} --memory {memory}")).done().stdout;
        (said.replace(out, "OUT"), tree(&folder.join(out)))
    };
    assert_eq!(trace("held", "1GiB"), trace("stored", "4MiB"), "same words, same bytes, nothing left behind");
    let refused =
        "trace --visits visits.parquet --cases cases.csv --time-unit s --out no --memory 1MiB --quiet";
    folder.refuses(refused, 2, "usage", &["more than --memory allows", "raise it to --memory"]);
    assert!(!folder.join("no").exists());

    let town = town(&mut Random::new(1), FedWith::Visits);
    let none = TableConfig::default();
    let (paths, base) = (vec!["visits.parquet".into()], folder.path().into());
    let table = TableConfig { paths, base, time_unit: Some(TimeUnit::Second), ..TableConfig::default() };
    let feed = |memory: u64| Feed { budget: Budget::of(memory), ..town.feed(&table, &none) };
    let held = |memory: u64| ringtrace::store::ingest::hold(&feed(memory)).unwrap().is_some();
    let two_threads = rayon::ThreadPoolBuilder::new().num_threads(2).build().unwrap();
    assert_eq!(two_threads.install(|| (held(1 << 30), held(4 << 20))), (true, false));
}

#[test]
fn a_feed_of_many_ranges_of_persons_and_venues_is_held_as_it_is_stored() {
    // More rows than a range of persons or of venues has, in two files that share every seventh row; some touch.
    const ROWS: i64 = 150_000;
    let folder = Folder::new();
    fn arrived(at: i64) -> i64 {
        1_646_092_800 + (at % 40_000 * 7_919 + at / 80_000) % 1_000 * 600
    }
    let write = |name: &str, first: i64| {
        let row = |at: i64| if at % 7 == 0 { at } else { at + first };
        let cells = |of: fn(i64) -> i64| ints(&(0..ROWS).map(|at| of(row(at))).collect::<Vec<_>>());
        // Seven rows a person at two venues, on a grid of 600 s; stays last 300 to 900, so that some touch.
        let columns = [
            ("person_id", cells(|at| (at % 40_000).wrapping_mul(0x1e37_79b9_7f4a_7c15) >> 1)),
            ("venue_id", cells(|at| (at % 40_000 * 31 + at / 40_000 % 2) % 1_009 * 1_000_003)),
            ("arrived_at", cells(arrived)),
            ("left_at", cells(|at| arrived(at) + 300 + at % 3 * 300)),
        ];
        folder.write_parquet(name, &columns);
    };
    write("visits/a.parquet", 0);
    write("visits/b.parquet", ROWS);
    let town = town(&mut Random::new(1), FedWith::Visits);
    let none = TableConfig::default();
    let (paths, base) = (vec!["visits".into()], folder.path().into());
    let table = TableConfig { paths, base, time_unit: Some(TimeUnit::Second), ..TableConfig::default() };
    let feed = Feed { budget: Budget::of(AT_ONCE), layout: Layout::LOOKED_UP, ..town.feed(&table, &none) };
    let (held, report) = ringtrace::store::ingest::hold(&feed).unwrap().expect("memory is not scarce");
    let ingested = ingest(&folder.join("store"), &feed).unwrap();
    assert_eq!(report.files, ingested.report.files);
    let merged: u64 = report.files.iter().map(|file| file.merged).sum();
    assert!(merged > ROWS as u64 / 7, "{merged} rows are part of another's visit");
    assert!(told_held(&held) == told_stored(&folder.join("store"), &ingested.store));
}
