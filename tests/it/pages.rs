//! Pages: decoded as the Parquet crate wrote them, found by person, venue and time, and never used once changed.

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, UInt32Array, UInt64Array};
use arrow::datatypes::{Field, Schema};
use bytes::Bytes;
use parquet::arrow::ArrowWriter;
use parquet::basic::Encoding;
use parquet::column::page::Page;
use parquet::file::properties::{WriterProperties, WriterVersion};
use parquet::file::reader::{FileReader, SerializedFileReader};
use ringtrace::config::{ContactConfig, Edges};
use ringtrace::error::Result;
use ringtrace::ids::{IdColumn, IdType};
use ringtrace::rings::{Find, LocalRunner, Traced};
use ringtrace::store::delta::{self, Value};
use ringtrace::store::disk::DiskStore;
use ringtrace::store::format::Layout;
use ringtrace::store::publish::{check_content, list};
use ringtrace::store::{Stay, VisitSource};

use crate::random::{Random, alone, for_seeds};
use crate::stored::{publish, short_pages};
use crate::ways::Way;
use crate::worlds::{self, Shape, World};

// Decoding.

/// Values as the Parquet crate encodes them: the data of one page.
fn encoded(column: ArrayRef) -> Vec<u8> {
    let properties = WriterProperties::builder()
        .set_writer_version(WriterVersion::PARQUET_2_0)
        .set_dictionary_enabled(false)
        .set_encoding(Encoding::DELTA_BINARY_PACKED)
        .build();
    let schema = Arc::new(Schema::new(vec![Field::new("numbers", column.data_type().clone(), false)]));
    let mut writer = ArrowWriter::try_new(Vec::new(), schema.clone(), Some(properties)).unwrap();
    writer.write(&RecordBatch::try_new(schema, vec![column]).unwrap()).unwrap();
    let reader = SerializedFileReader::new(Bytes::from(writer.into_inner().unwrap())).unwrap();
    let group = reader.get_row_group(0).unwrap();
    let mut pages = group.get_column_page_reader(0).unwrap();
    match (pages.get_next_page().unwrap(), pages.get_next_page().unwrap()) {
        (Some(Page::DataPageV2 { buf, encoding: Encoding::DELTA_BINARY_PACKED, .. }), None) => buf.to_vec(),
        other => panic!("one page of differences, not {other:?}"),
    }
}

/// Numbers up to `most` that rise, jump, stay or repeat.
fn numbers(random: &mut Random, most: u64) -> Vec<u64> {
    let count = random.pick(&[1, 2, 31, 32, 33, 34, 64, 65, 66, 127, 128, 129, 130, 256, 257, 258, 1_000]);
    let mut mask = most;
    let mut last = random.next() & most;
    let values = (0..count).map(|_| {
        if random.chance(3) {
            mask = most >> random.below(64);
        }
        last = match random.below(10) {
            0 => random.pick(&[0, 1, most, most >> 1, (most >> 1) + 1]),
            1..=3 => last,
            4..=6 => last.wrapping_add(random.next() & mask & 0xff) & most,
            _ => random.next() & mask,
        };
        last
    });
    let mut values: Vec<u64> = values.collect();
    match random.below(4) {
        0 => values.sort_unstable(),
        1 => values.fill(last),
        _ => {}
    }
    values
}

/// Decodes `bytes`, and damaged forms of them.
fn check_decoding<T: Value + PartialEq + std::fmt::Debug>(random: &mut Random, bytes: &[u8], expected: &[T]) {
    let before = vec![T::cut(7); random.below(3) as usize];
    let decode = |bytes: &[u8], count: usize| {
        let mut out = before.clone();
        let done = delta::decode(bytes, count, &mut out).is_some();
        assert_eq!(out[..before.len()], before, "what was there stays");
        assert!(!done || out.len() == before.len() + count, "as many as were asked for");
        assert!(out.capacity() <= 4 * (before.len() + count + 64), "room for what was asked for");
        done.then(|| out.split_off(before.len()))
    };
    assert_eq!(decode(bytes, expected.len()).as_deref(), Some(expected));
    assert_eq!(decode(bytes, expected.len() + 1), None);
    assert_eq!(decode(bytes, expected.len() - 1), None);
    for _ in 0..20 {
        let end = random.below(bytes.len() as u32) as usize;
        decode(&bytes[..end], expected.len());
        let mut changed = bytes.to_vec();
        for _ in 0..random.within(1..=3) {
            // The header and the widths decide the most.
            let within = random.pick(&[12, 40, u32::MAX]).min(bytes.len() as u32);
            changed[random.below(within) as usize] = random.next() as u8;
        }
        decode(&changed, expected.len());
    }
}

#[test]
fn oracle_pages_decode_to_what_was_written() {
    for_seeds("oracle_pages_decode_to_what_was_written", 3_000, |_, random| {
        let short: Vec<u32> = numbers(random, u32::MAX.into()).into_iter().map(|n| n as u32).collect();
        check_decoding(random, &encoded(Arc::new(UInt32Array::from(short.clone()))), &short);
        let long = numbers(random, u64::MAX);
        check_decoding(random, &encoded(Arc::new(UInt64Array::from(long.clone()))), &long);
    });
}

#[test]
fn pages_that_are_none() {
    let check = |bytes: &[u8], count: usize, decodes: bool| {
        let found = (
            delta::decode::<u32>(bytes, count, &mut Vec::new()),
            delta::decode::<u64>(bytes, count, &mut Vec::new()),
        );
        let expected = decodes.then_some(());
        assert_eq!(found, (expected, expected), "{bytes:?}");
    };
    let huge = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01];
    check(&[128, 1, 4, 0, 0], 0, true); // a block of 128 in 4, no values
    check(&[128, 1, 4, 1, 14], 1, true); // one value
    check(&[128, 1, 4, 1, 14], 2, false);
    check(&[128, 1, 0, 1, 14], 1, false); // no miniblocks
    check(&[128, 1, 3, 1, 14], 1, false); // of no whole length
    check(&[128, 1, 128, 1, 1, 14], 1, false); // of one value each
    check(&[128, 1, 4, 2, 14], 2, false); // the second is missing
    check(&[128, 1, 4, 2, 14, 2, 65, 0, 0, 0], 2, false); // wider than any number
    check(&[&[128, 1, 4][..], &huge, &[14]].concat(), 1, false); // values without end
    check(&[&huge[..], &huge, &[1, 14]].concat(), 1, false);
    check(&[&huge[..9], &[0xff; 9]].concat(), 1, false);
    check(&[], 0, false);
}

// Finding.

/// Compares what a store finds with a look at every visit of the day.
fn check_finding(random: &mut Random, store: &DiskStore, day: usize, all: &[Stay], tick: u32) {
    let (persons, venues) = (store.persons().with_visits() as u32, store.venues().ids.len() as u32);
    let stays = |rows: Range<usize>| -> Vec<Stay> {
        let (keys, times) = (store.keys(day, rows.clone()).unwrap(), store.times(day, rows).unwrap());
        let seen_until = times.seen_until.as_ref().unwrap_or(&times.left);
        let stay = |row: usize| Stay {
            person: keys.person[row],
            venue: keys.venue[row],
            arrived: times.arrived[row],
            left: times.left[row],
            seen_until: seen_until[row],
        };
        (0..keys.person.len()).map(stay).collect()
    };
    let (from, until) = (random.within(0..=venues), random.within(0..=venues));
    let (from, until) = (from.min(until), from.max(until));
    let rows = store.rows_at(day, from..until).unwrap();
    let outside = all[..rows.start].iter().chain(&all[rows.end..]);
    assert!(outside.into_iter().all(|stay| !(from..until).contains(&stay.venue)), "{from}..{until}");
    assert_eq!(stays(rows.clone()), all[rows]);

    let (venue, some) = (random.below(venues), all[random.below(all.len() as u32) as usize]);
    let from = random.pick(&[0, some.arrived, some.left, some.left - 1]);
    let until = random.pick(&[some.arrived, some.arrived + 1, from + tick, u32::MAX]);
    let rows = store.rows_meeting(day, venue, from, until).unwrap();
    let outside = all[..rows.start].iter().chain(&all[rows.end..]);
    let meets = |stay: &Stay| stay.venue == venue && stay.arrived < until && from < stay.left;
    assert!(!outside.into_iter().any(meets), "venue {venue} [{from}, {until})");
    assert_eq!(stays(rows.clone()), all[rows]);

    let (from, until) = (random.within(0..=all.len() as u32), random.within(0..=all.len() as u32));
    let rows = from.min(until) as usize..from.max(until) as usize;
    assert_eq!(stays(rows.clone()), all[rows]);

    let who: Vec<u32> = (0..persons).filter(|_| random.chance(60)).collect();
    let mut expected: Vec<Stay> = all.iter().filter(|stay| who.contains(&stay.person)).copied().collect();
    expected.sort_by_key(|stay| (stay.person, stay.arrived, stay.venue));
    let mut found = store.of_persons(day, &who).unwrap();
    assert!(found.is_sorted_by_key(|stay| (stay.person, stay.arrived)));
    // Nobody arrives twice at once in a store; in these worlds somebody may.
    let order = |stay: &Stay| (stay.person, stay.arrived, stay.venue, stay.left, stay.seen_until);
    found.sort_by_key(order);
    expected.sort_by_key(order);
    assert_eq!(found, expected, "{who:?}");
}

#[test]
fn oracle_pages_looked_up_hold_every_visit_asked_for() {
    for_seeds("oracle_pages_looked_up_hold_every_visit_asked_for", 1_000, |seed, random| {
        let world = match seed % 100 {
            0 => worlds::crowd(random),
            _ => worlds::world(random, Shape::Any),
        };
        alone(|| check_pages(random, world));
    });
}

fn check_pages(random: &mut Random, mut world: World) {
    let (folder, ends) = (tempfile::tempdir().unwrap(), world.in_runs(random));
    let layout = short_pages(random);
    let (memory, store) = (world.source(), publish(&world, folder.path(), &ends, layout));
    assert_eq!(store.days(), memory.days());
    for day in 0..store.days().len() {
        let all = ringtrace::store::stays_of(&memory, day).unwrap();
        assert_eq!(ringtrace::store::stays_of(&store, day).unwrap(), all, "{layout:?} {world:#?}");
        (0..4).for_each(|_| check_finding(random, &store, day, &all, world.tick));
    }
    let days: Vec<usize> = (0..store.days().len()).collect();
    for visits in [&memory as &dyn VisitSource, &store] {
        for ranges in [1, 2, 5, 1_000] {
            let found = visits.venue_ranges(&days, ranges).unwrap();
            let (first, last) = (found.first().map(|r| r.start), found.last().map(|r| r.end));
            let touch = found.windows(2).all(|pair| pair[0].end == pair[1].start);
            let some = !world.visits.is_empty();
            let all = some.then_some((0, world.venues.len() as u32));
            assert!(touch && first.zip(last) == all && found.iter().all(|r| r.start < r.end), "{found:?}");
        }
    }
}

// Damage.

/// A world in which two rings are reached through pages of both copies, with numbers for ids.
fn traced_world(random: &mut Random) -> World {
    loop {
        let mut world = worlds::world(random, Shape::Joined);
        world.contacts = ContactConfig { edges: Edges::Best, rings: 2, ..world.contacts };
        let rows = crate::brute::rings(&world).0;
        let numbers = world.kind != IdType::Text;
        if numbers && (8..16).contains(&world.visits.len()) && rows.iter().any(|row| row.ring == 2) {
            return world;
        }
    }
}

/// Every file below a folder.
fn all_files(folder: &Path) -> Vec<PathBuf> {
    let below = |path: PathBuf| if path.is_dir() { all_files(&path) } else { vec![path] };
    list(folder).unwrap().into_iter().flat_map(below).collect()
}

/// A published world, what is traced in it, and what happens after a change.
struct Damaged<'a> {
    world: &'a World,
    folder: &'a Path,
    expected: [(Traced, IdColumn); 2],
}

impl Damaged<'_> {
    fn trace(world: &World, folder: &Path) -> Result<[(Traced, IdColumn); 2]> {
        let store = DiskStore::open_existing(folder)?;
        let trace = |find| {
            let runner = LocalRunner { find, range_visits: 4, collected_max: 4 };
            let way = Way { runner, count_sources: false, sums_bytes: u64::MAX };
            let traced = world.trace(&store, way.plan(&world.contacts))?;
            let contacts: Vec<u32> = traced.contacts.iter().map(|contact| contact.person).collect();
            Ok((traced, store.persons().ids(&contacts)?))
        };
        Ok([trace(Find::LookUp)?, trace(Find::Scan)?])
    }

    /// Whether the change, which must be noticed by whoever checks everything, is noticed by tracing; if it is not, the
    /// results are as they were.
    fn notices(&self, what: &str) -> bool {
        let manifest = DiskStore::manifest_of(self.folder).unwrap().unwrap();
        let checked: Result<()> = manifest.files().try_for_each(|file| check_content(self.folder, file));
        assert_eq!(checked.expect_err(what).exit_status(), 6, "{what}");
        let traced = catch_unwind(AssertUnwindSafe(|| Damaged::trace(self.world, self.folder)));
        match traced.unwrap_or_else(|_| panic!("{what}: a panic")) {
            Err(error) => assert_eq!(error.exit_status(), 6, "{what}: {error}"),
            Ok(found) => {
                assert!(found == self.expected, "{what}: other results");
                return false;
            }
        }
        true
    }
}

/// Where the last page of a Parquet file ends.
fn pages_end(bytes: &[u8]) -> usize {
    let reader = SerializedFileReader::new(Bytes::from(bytes.to_vec())).unwrap();
    let columns = reader.metadata().row_groups().iter().flat_map(|group| group.columns());
    columns.map(|column| column.byte_range()).map(|(start, length)| start + length).max().unwrap() as usize
}

#[test]
fn no_changed_byte_changes_a_result() {
    for_seeds("no_changed_byte_changes_a_result", 1, |_, random| alone(|| check_damage(random)));
}

fn check_damage(random: &mut Random) {
    let mut world = traced_world(random);
    let (folder, ends) = (tempfile::tempdir().unwrap(), world.in_runs(random));
    publish(&world, folder.path(), &ends, Layout { page_rows: 3, group_pages: 2 });
    let expected = Damaged::trace(&world, folder.path()).unwrap();
    let damaged = Damaged { world: &world, folder: folder.path(), expected };
    let (mut noticed, mut passed) = (0, 0);
    for path in all_files(folder.path()) {
        let name = path.strip_prefix(folder.path()).unwrap().to_string_lossy().into_owned();
        if name == "manifest.json" {
            continue;
        }
        let bytes = std::fs::read(&path).unwrap();
        let is_index = name.ends_with(".pages");
        // No one who looks up pages reads what lies behind them.
        let read = if is_index { bytes.len() } else { pages_end(&bytes) };
        for at in (0..bytes.len()).filter(|at| *at < read || at % 17 == 0) {
            let mut changed = bytes.clone();
            changed[at] ^= 1 << random.below(8);
            std::fs::write(&path, changed).unwrap();
            let was_noticed = damaged.notices(&format!("{name}, byte {at}"));
            *(if was_noticed { &mut noticed } else { &mut passed }) += 1;
            assert!(was_noticed || !(is_index && at < 48), "{name}, byte {at} of the head");
        }
        for end in (0..bytes.len()).filter(|_| is_index || random.chance(5)) {
            std::fs::write(&path, &bytes[..end]).unwrap();
            damaged.notices(&format!("{name}, cut at {end}"));
        }
        std::fs::write(&path, b"").unwrap();
        assert!(damaged.notices(&format!("{name}, empty")));
        std::fs::remove_file(&path).unwrap();
        assert!(damaged.notices(&format!("{name}, gone")));
        std::fs::write(&path, &bytes).unwrap();
    }
    assert!(noticed >= 500 && passed >= 500, "{noticed} noticed, {passed} not");
    assert_eq!(Damaged::trace(&world, folder.path()).unwrap(), damaged.expected);
}
