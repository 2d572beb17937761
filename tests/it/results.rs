//! The files of a trace: the same bytes however the contacts were found.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch};
use arrow::compute::{cast, concat_batches, sort_to_indices, take};
use arrow::datatypes::{DataType, TimeUnit};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use bytes::Bytes;
use parquet::arrow::arrow_reader::statistics::StatisticsConverter;
use parquet::arrow::arrow_reader::{ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
use parquet::file::metadata::PageIndexPolicy;
use ringtrace::ids::{Id, IdColumn, IdTable, IdType};
use ringtrace::outputs::stream::TraceFiles;
use ringtrace::outputs::tables::{ContactColumns, Names};
use ringtrace::rings::{Best, Edge, Exposed, Part, PartEdges, Sink, SourceRef, TracedPerson};
use ringtrace::store::format::{Layout, RejectRow, rejects_table};
use ringtrace::store::persons::Persons;

/// A contact of that key and ring.
fn contact(person: u32, ring: u8) -> TracedPerson {
    let (from, overlap_s) = (1_000_000 + person * 7 % 977, 600 + person % 89);
    let source = person % 3;
    let best = Best { from, overlap_s, source, venue: person % 50, observed_s: 600 };
    let exposed = Exposed {
        first_exposed_at: from,
        last_exposed_at: from + overlap_s,
        overlap_s: u64::from(overlap_s) << (person % 30),
        observed_overlap_s: 600,
        exposures: 1 << (person % 32),
        best,
    };
    let best_source = if source == 2 { SourceRef::Window(0) } else { SourceRef::Person(source) };
    TracedPerson { person, ring, exposed, best_source, sources: None, after: None }
}

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
    // More than a row group, and far more than a page.
    let contacts: Vec<TracedPerson> = (1..=150_000)
        .map(|person| {
            let mut contact = contact(person, 2);
            (contact.exposed.best.source, contact.best_source) = (0, SourceRef::Person(0));
            contact
        })
        .collect();
    let at_once = written(&contacts, &[contacts.len()]);
    for sizes in [&[1_000][..], &[8_191, 8_193], &[131_072], &[131_071, 3], &[140_000, 1]] {
        assert!(written(&contacts, sizes) == at_once, "other bytes in parts of {sizes:?}");
    }
}

/// The rows of a file by the Parquet crate, each cell as text; what its row groups and pages claim of their cells is
/// checked on the way.
fn read(bytes: Vec<u8>) -> Vec<Vec<String>> {
    let options = ArrowReaderOptions::new().with_page_index_policy(PageIndexPolicy::Required);
    let builder = ParquetRecordBatchReaderBuilder::try_new_with_options(Bytes::from(bytes), options).unwrap();
    let (metadata, schema) = (builder.metadata().clone(), builder.schema().clone());
    let batches: Vec<RecordBatch> = builder.build().unwrap().map(Result::unwrap).collect();
    let all = concat_batches(&schema, &batches).unwrap();
    let groups: Vec<usize> = (0..metadata.num_row_groups()).collect();
    for (field, column) in schema.fields().iter().zip(all.columns()) {
        let described = metadata.file_metadata().schema_descr();
        let claims = StatisticsConverter::try_new(field.name(), &schema, described).unwrap();
        let least = claims.row_group_mins(metadata.row_groups()).unwrap();
        let most = claims.row_group_maxes(metadata.row_groups()).unwrap();
        let rows: Vec<usize> = metadata.row_groups().iter().map(|g| g.num_rows() as usize).collect();
        check_extremes(column, &rows, &least, &most);
        if *field.data_type() != DataType::Utf8 {
            let pages = &**metadata.page_index().expect("pages are indexed");
            let counts = claims.data_page_row_counts(pages, metadata.row_groups(), &groups).unwrap().unwrap();
            let rows: Vec<usize> = counts.values().iter().map(|rows| *rows as usize).collect();
            assert!(rows.iter().all(|rows| *rows <= Layout::WHOLE.page_rows));
            let least = claims.data_page_mins(pages, &groups).unwrap();
            let most = claims.data_page_maxes(pages, &groups).unwrap();
            check_extremes(column, &rows, &least, &most);
        }
    }
    // Instants as their microseconds.
    let number = |column: &ArrayRef| match column.data_type() {
        DataType::Timestamp(TimeUnit::Microsecond, Some(_)) => cast(column, &DataType::Int64).unwrap(),
        _ => column.clone(),
    };
    let columns: Vec<ArrayRef> = all.columns().iter().map(number).collect();
    let options = FormatOptions::default();
    let cells: Vec<ArrayFormatter<'_>> =
        columns.iter().map(|column| ArrayFormatter::try_new(column, &options).unwrap()).collect();
    (0..all.num_rows()).map(|row| cells.iter().map(|cell| cell.value(row).to_string()).collect()).collect()
}

/// Checks the least and the greatest cells of so many rows each.
fn check_extremes(column: &ArrayRef, rows: &[usize], least: &ArrayRef, most: &ArrayRef) {
    assert_eq!(rows.iter().sum::<usize>(), column.len());
    let mut first = 0;
    for (at, rows) in rows.iter().enumerate() {
        let cells = column.slice(first, *rows);
        let sorted = take(&cells, &sort_to_indices(&cells, None, None).unwrap(), None).unwrap();
        assert_eq!(least.slice(at, 1).to_data(), sorted.slice(0, 1).to_data());
        assert_eq!(most.slice(at, 1).to_data(), sorted.slice(rows - 1, 1).to_data());
        first += rows;
    }
}

/// Ids of one type: the most and least that it can hold, in order.
#[derive(Clone, Copy, PartialEq)]
enum Ids {
    Signed,
    Unsigned,
    Text,
}

impl Ids {
    fn text(self, n: u32) -> String {
        match self {
            Ids::Signed => ((i64::from(n) - 70_000) * (1 << 46)).to_string(),
            Ids::Unsigned => (u64::MAX / 2 - 70_000 + u64::from(n)).to_string(),
            Ids::Text => format!("p{n:06}"),
        }
    }

    fn column(self, count: u32) -> IdColumn {
        let mut column = IdColumn::new(match self {
            Ids::Signed => IdType::Int,
            Ids::Unsigned => IdType::Uint,
            Ids::Text => IdType::Text,
        });
        for text in (0..count).map(|n| self.text(n)) {
            column.push(match self {
                Ids::Signed => Id::Int(text.parse().unwrap()),
                Ids::Unsigned => Id::Uint(text.parse().unwrap()),
                Ids::Text => Id::Text(&text),
            });
        }
        column
    }
}

/// Three rings, the first and the last with all their edges, that end within pages.
fn check_files(kind: Ids, with_windows: bool) {
    const COUNT: u32 = 140_000;
    let persons = Persons::held(IdTable::from_column(kind.column(COUNT)));
    let (venues, mut windows) = (table(0..50), IdTable::new(IdType::Text));
    if with_windows {
        windows.key_or_insert(Id::Text("w"));
    }
    let names = Names { persons: &persons, venues: &venues, windows: &windows };
    let folder = tempfile::tempdir().unwrap();
    let columns = ContactColumns { kinds: with_windows, sources: false };
    let mut files = TraceFiles::create(folder.path(), names, columns).unwrap();
    let third = if with_windows { SourceRef::Window(0) } else { SourceRef::Person(COUNT - 1) };
    let sources = Arc::new(vec![SourceRef::Person(0), SourceRef::Person(1), third]);
    let ring = |keys: std::ops::Range<u32>, ring: u8| -> Vec<TracedPerson> {
        let of_ring = keys.map(|key| contact(key, ring));
        of_ring.map(|c| TracedPerson { best_source: sources[c.exposed.best.source as usize], ..c }).collect()
    };
    let rings = [ring(2..9_000, 1), ring(9_000..139_000, 2), ring(139_000..COUNT - 1, 3)];
    // Every second contact has two edges.
    let twice = |ring: &[TracedPerson]| -> Vec<Edge> {
        ring.iter().flat_map(|c| vec![c.best_edge(); 1 + c.person as usize % 2]).collect()
    };
    let all_edges =
        [twice(&rings[0]), rings[1].iter().map(TracedPerson::best_edge).collect(), twice(&rings[2])];
    let part = |contacts: &[TracedPerson], edges| Part {
        sources: sources.clone(),
        contacts: contacts.to_vec(),
        edges,
    };
    files.take(part(&rings[0], PartEdges::All(all_edges[0].clone()))).unwrap();
    for some in rings[1].chunks(50_000) {
        files.take(part(some, PartEdges::Best)).unwrap();
    }
    files.take(part(&rings[2], PartEdges::All(all_edges[2].clone()))).unwrap();
    let (contacts, edges) = (rings.concat(), all_edges.concat());
    let reject = |row: u64| RejectRow {
        table: "scans".into(),
        file: "scans.csv".into(),
        row,
        column: "venue_id".into(),
        reason: "null".into(),
    };
    let rejects: Vec<RejectRow> = (1..=10_000).map(reject).collect();
    assert_eq!(files.finish(folder.path(), &rejects_table(&rejects)).unwrap(), edges.len() as u64);

    let at = |second: u32| (u64::from(second) * 1_000_000).to_string();
    let source = |source| match source {
        SourceRef::Person(key) => (kind.text(key), "person"),
        SourceRef::Window(_) => ("w".to_string(), "window"),
    };
    // The kind is the last column, if it is there.
    let expect = |row: Vec<String>, mut cells: Vec<String>, kind: &str| {
        cells.extend(with_windows.then(|| kind.to_string()));
        assert_eq!(row, cells);
    };
    let file = |name: &str| read(std::fs::read(folder.path().join(format!("{name}.parquet"))).unwrap());
    let found = file("contacts");
    assert_eq!(found.len(), contacts.len());
    for (row, c) in found.into_iter().zip(contacts) {
        let (e, (source, kind_of_source)) = (&c.exposed, source(c.best_source));
        let mut cells = vec![kind.text(c.person), c.ring.to_string()];
        cells.extend([at(e.first_exposed_at), at(e.last_exposed_at)]);
        cells.extend([e.overlap_s.to_string(), e.observed_overlap_s.to_string(), e.exposures.to_string()]);
        cells.extend([source, e.best.venue.to_string()]);
        expect(row, cells, kind_of_source);
    }
    let found = file("exposures");
    assert_eq!(found.len(), edges.len());
    for (row, edge) in found.into_iter().zip(edges) {
        let (e, (source, kind_of_source)) = (&edge.exposure, source(edge.source));
        let mut cells = vec![source, kind.text(e.contact), e.venue.to_string(), edge.ring.to_string()];
        cells.extend([at(e.from), at(e.until), (e.until - e.from).to_string(), e.observed_s.to_string()]);
        expect(row, cells, kind_of_source);
    }
    let rows: Vec<String> = file("rejects").into_iter().map(|mut row| row.remove(2)).collect();
    assert!(rows.iter().eq((1..=10_000).map(|row: u64| row.to_string()).collect::<Vec<_>>().iter()));
}

#[test]
fn oracle_files_hold_what_was_traced() {
    for kind in [Ids::Signed, Ids::Unsigned, Ids::Text] {
        check_files(kind, false);
        check_files(kind, true);
    }
}
