//! The files of a trace: the same bytes however the contacts were found.

use std::sync::Arc;

use ringtrace::ids::{Id, IdColumn, IdTable, IdType};
use ringtrace::outputs::stream::TraceFiles;
use ringtrace::outputs::tables::{ContactColumns, Names};
use ringtrace::rings::{Best, Exposed, Part, PartEdges, Sink, SourceRef, TracedPerson};
use ringtrace::store::format::rejects_table;
use ringtrace::store::persons::Persons;

fn table(ids: impl Iterator<Item = i64>) -> IdTable {
    let mut column = IdColumn::new(IdType::Int);
    ids.for_each(|id| column.push(Id::Int(id)));
    IdTable::from_column(column)
}

/// Writes a ring found in parts of these sizes, over and over; the bytes of both files.
fn written(contacts: &[TracedPerson], sizes: &[usize]) -> [Vec<u8>; 2] {
    let persons = Persons::held(table((0..contacts.len() as i64 + 1).map(|key| 7 * key * key)));
    let (venues, windows) = (table(0..50), table(0..0));
    let names = Names { persons: &persons, venues: &venues, windows: &windows };
    let folder = tempfile::tempdir().unwrap();
    let columns = ContactColumns { kinds: false, sources: false };
    let mut files = TraceFiles::create(folder.path(), names, columns).unwrap();
    let sources = Arc::new(vec![SourceRef::Person(0)]);
    let mut rest = contacts;
    for size in sizes.iter().cycle() {
        let (part, later) = rest.split_at((*size).min(rest.len()));
        rest = later;
        let contacts = part.to_vec();
        files.take(Part { sources: sources.clone(), contacts, edges: PartEdges::Best }).unwrap();
        if rest.is_empty() {
            break;
        }
    }
    assert_eq!(files.finish(folder.path(), &rejects_table(&[])).unwrap(), contacts.len() as u64);
    ["contacts", "exposures"]
        .map(|name| std::fs::read(folder.path().join(format!("{name}.parquet"))).unwrap())
}

#[test]
fn same_bytes_however_contacts_come() {
    let contact = |person: u32| {
        let (from, overlap_s) = (1_000_000 + person % 977, 600 + person % 89);
        let best = Best { from, overlap_s, source: 0, venue: person % 50, observed_s: 600 };
        let exposed = Exposed {
            first_exposed_at: from,
            last_exposed_at: from + overlap_s,
            overlap_s: u64::from(overlap_s),
            observed_overlap_s: 600,
            exposures: 1,
            best,
        };
        TracedPerson { person, ring: 2, exposed, best_source: SourceRef::Person(0), sources: None }
    };
    // More than two batches of rows, and far more than a page.
    let contacts: Vec<TracedPerson> = (1..=150_000).map(contact).collect();
    let at_once = written(&contacts, &[contacts.len()]);
    for sizes in [&[1_000][..], &[8_191, 8_193], &[65_536], &[65_535, 3], &[140_000, 1]] {
        assert!(written(&contacts, sizes) == at_once, "other bytes in parts of {sizes:?}");
    }
}
