//! Results of tracing as Arrow tables: the columns other programs rely on.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray, UInt8Array,
    UInt32Array, UInt64Array,
};
use arrow::datatypes::{Field, Schema};
use parquet::basic::{Compression, ZstdLevel};

use crate::config::ContactConfig;
use crate::contacts::pairs::Pair;
use crate::error::Result;
use crate::facts::{CaseFact, Facts, Place};
use crate::ids::{IdColumn, IdTable, IdType, convert};
use crate::person_set::Places;
use crate::rings::{Edge, Exposed, Exposure, SourceRef, TracedPerson};
use crate::store::format::{Layout, properties, to_bytes};
use crate::store::persons::Persons;
use crate::store::publish;
use crate::time::Second;

/// Ids by key of everything a trace names.
#[derive(Clone, Copy)]
pub struct Names<'a> {
    /// Persons.
    pub persons: &'a Persons,
    /// Venues.
    pub venues: &'a IdTable,
    /// Windows.
    pub windows: &'a IdTable,
}

impl Names<'_> {
    /// The type of sources' ids: the persons', or text where windows have ids of another type. Decided by what was given
    /// to trace from, so that a column keeps its type on nights without such a contact.
    fn source_kind(&self) -> IdType {
        let kind = self.persons.kind();
        if self.windows.is_empty() || self.windows.ids().kind() == kind { kind } else { IdType::Text }
    }

    /// Sources' ids.
    fn sources(&self, sources: &[SourceRef]) -> Result<IdColumn> {
        let key = |source: &SourceRef| if let SourceRef::Person(key) = source { Some(*key) } else { None };
        // Many contacts share a source.
        let mut keys: Vec<u32> = sources.iter().filter_map(key).collect();
        keys.sort_unstable();
        keys.dedup();
        let (persons, places) = (self.persons.ids(&keys)?, Places::new(&keys));
        let place = |key: u32| places.place(key).expect("one of those gathered") as u32;
        if self.windows.is_empty() {
            return Ok(persons.take(&sources.iter().filter_map(key).map(place).collect::<Vec<_>>()));
        }
        let mut ids = IdColumn::new(self.source_kind());
        let mut buffer = String::new();
        for source in sources {
            let id = match source {
                SourceRef::Person(key) => persons.get(place(*key) as usize),
                SourceRef::Window(key) => self.windows.ids().get(*key as usize),
            };
            ids.push(convert(id, ids.kind(), &mut buffer).expect("text holds every id"));
        }
        Ok(ids)
    }

    /// The ids of the sources of one ring, by their number.
    ///
    /// # Errors
    /// Those of reading the ids.
    pub fn by_number(&self, sources: &[SourceRef]) -> Result<SourceIds> {
        Ok(SourceIds { ids: self.sources(sources)?, by_number: true })
    }

    /// The ids of sources, by row.
    ///
    /// # Errors
    /// Those of reading the ids.
    pub fn by_row(&self, sources: impl Iterator<Item = SourceRef>) -> Result<SourceIds> {
        Ok(SourceIds { ids: self.sources(&sources.collect::<Vec<_>>())?, by_number: false })
    }

    /// Sources' ids as texts.
    ///
    /// # Errors
    /// Those of reading the ids.
    pub fn sources_as_text(&self, sources: &[SourceRef]) -> Result<Vec<String>> {
        let ids = self.sources(sources)?;
        Ok((0..sources.len()).map(|row| ids.get(row).to_string()).collect())
    }

    fn venue_ids(&self, keys: impl Iterator<Item = u32>) -> ArrayRef {
        self.venues.ids().to_arrow(keys)
    }
}

/// Ids of sources: of one ring by number, read once for all its rows; or by row.
pub struct SourceIds {
    ids: IdColumn,
    by_number: bool,
}

impl SourceIds {
    fn column(&self, numbers: impl Iterator<Item = u32>) -> ArrayRef {
        if self.by_number { self.ids.to_arrow(numbers) } else { self.ids.to_arrow(0..self.ids.len() as u32) }
    }
}

/// The ids of some rows of contacts or edges.
#[derive(Clone, Copy)]
pub struct RowIds<'a> {
    /// Ids of contacts, by row.
    pub persons: &'a IdColumn,
    /// Ids of sources.
    pub sources: &'a SourceIds,
}

impl RowIds<'_> {
    fn contacts(&self) -> ArrayRef {
        self.persons.to_arrow(0..self.persons.len() as u32)
    }
}

/// Columns by name as a table; any of them may hold nulls.
pub fn table(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    let field = |(name, array): &(&str, ArrayRef)| Field::new(*name, array.data_type().clone(), true);
    let schema = Schema::new(columns.iter().map(field).collect::<Vec<_>>());
    RecordBatch::try_new(Arc::new(schema), columns.into_iter().map(|(_, array)| array).collect())
        .expect("columns of one length")
}

/// Columns by name as a table without nulls.
fn filled(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    let field = |(name, array): &(&str, ArrayRef)| Field::new(*name, array.data_type().clone(), false);
    let schema = Schema::new(columns.iter().map(field).collect::<Vec<_>>());
    RecordBatch::try_new(Arc::new(schema), columns.into_iter().map(|(_, array)| array).collect())
        .expect("columns of one length without nulls")
}

/// Instants as `Timestamp(us, UTC)`, the unit every Parquet reader knows.
pub fn instants(seconds: impl Iterator<Item = Second>) -> ArrayRef {
    let micros = seconds.map(|s| i64::from(s) * 1_000_000);
    Arc::new(TimestampMicrosecondArray::from_iter_values(micros).with_timezone("UTC"))
}

/// As [`instants`], with nulls.
pub fn instants_or_null(seconds: impl Iterator<Item = Option<Second>>) -> ArrayRef {
    let micros = seconds.map(|s| s.map(|s| i64::from(s) * 1_000_000));
    Arc::new(micros.collect::<TimestampMicrosecondArray>().with_timezone("UTC"))
}

/// Texts as a column.
pub fn texts<T: AsRef<str>>(cells: impl Iterator<Item = Option<T>>) -> ArrayRef {
    Arc::new(cells.collect::<StringArray>())
}

fn source_kinds(sources: impl Iterator<Item = SourceRef>) -> ArrayRef {
    let kind = |s| if matches!(s, SourceRef::Person(_)) { "person" } else { "window" };
    Arc::new(StringArray::from_iter_values(sources.map(kind)))
}

/// Columns of `contacts.parquet` that are there only where they say something.
#[derive(Clone, Copy)]
pub struct ContactColumns {
    /// `best_source_kind` and `source_kind`: whether the source is a person or a window. Without windows all are persons.
    pub kinds: bool,
    /// `sources`: how many distinct ones, if those were counted.
    pub sources: bool,
}

/// `contacts.parquet`: a row a traced person, sorted by ring, then `person_id`.
pub fn contacts(
    contacts: &[TracedPerson],
    names: Names<'_>,
    ids: RowIds<'_>,
    wanted: ContactColumns,
) -> RecordBatch {
    let rows = || contacts.iter();
    let whole = |cell: fn(&Exposed) -> u64| -> ArrayRef {
        Arc::new(Int64Array::from_iter_values(rows().map(|c| cell(&c.exposed) as i64)))
    };
    let small = |cell: fn(&TracedPerson) -> u32| -> ArrayRef {
        Arc::new(UInt32Array::from_iter_values(rows().map(cell)))
    };
    let at = |cell: fn(&Exposed) -> Second| instants(rows().map(|c| cell(&c.exposed)));
    let mut columns: Vec<(&str, ArrayRef)> = vec![
        ("person_id", ids.contacts()),
        ("ring", Arc::new(UInt8Array::from_iter_values(rows().map(|c| c.ring)))),
        ("first_exposed_at", at(|e| e.first_exposed_at)),
        ("last_exposed_at", at(|e| e.last_exposed_at)),
        ("overlap_s", whole(|e| e.overlap_s)),
        ("observed_overlap_s", whole(|e| e.observed_overlap_s)),
        ("exposures", small(|c| c.exposed.exposures)),
        ("best_source_id", ids.sources.column(rows().map(|c| c.exposed.best.source))),
        ("best_venue_id", names.venue_ids(rows().map(|c| c.exposed.best.venue))),
    ];
    if wanted.kinds {
        columns.push(("best_source_kind", source_kinds(rows().map(|c| c.best_source))));
    }
    if wanted.sources {
        columns.push(("sources", small(|c| c.sources.unwrap_or(0))));
    }
    filled(columns)
}

/// What a row of `exposures.parquet` is made from.
pub trait ToEdge {
    /// The edge.
    fn to_edge(&self) -> Edge;
}

impl ToEdge for Edge {
    fn to_edge(&self) -> Edge {
        *self
    }
}

/// A contact stands for its best exposure.
impl ToEdge for TracedPerson {
    #[inline]
    fn to_edge(&self) -> Edge {
        self.best_edge()
    }
}

/// `exposures.parquet`: the edges of the traced graph, sorted by ring, contact id, start, source, venue id; `kinds` as in
/// [`ContactColumns`].
pub fn exposures<E: ToEdge>(edges: &[E], names: Names<'_>, ids: RowIds<'_>, kinds: bool) -> RecordBatch {
    let rows = || edges.iter().map(E::to_edge);
    let whole = |cell: fn(&Exposure) -> u32| -> ArrayRef {
        Arc::new(Int64Array::from_iter_values(rows().map(|e| i64::from(cell(&e.exposure)))))
    };
    let mut columns: Vec<(&str, ArrayRef)> = vec![
        ("source_id", ids.sources.column(rows().map(|e| e.exposure.source))),
        ("contact_id", ids.contacts()),
        ("venue_id", names.venue_ids(rows().map(|e| e.exposure.venue))),
        ("ring", Arc::new(UInt8Array::from_iter_values(rows().map(|e| e.ring)))),
        ("from", instants(rows().map(|e| e.exposure.from))),
        ("until", instants(rows().map(|e| e.exposure.until))),
        ("overlap_s", whole(|e| e.until - e.from)),
        ("observed_overlap_s", whole(|e| e.observed_s)),
    ];
    if kinds {
        columns.push(("source_kind", source_kinds(rows().map(|e| e.source))));
    }
    filled(columns)
}

/// `sources.parquet` of a run: the cases and exposure sites it started from, each with the row that says so.
///
/// `source_id, source_kind, status, venue_id, from, until, input_file, input_row, reported_by, advice`, and of cases
/// `onset_at, sampled_at, isolated_at, infectious_from, recovered_at, reported_at`; `[from, until)` is the window, empty for
/// a case isolated before it opened.
///
/// # Errors
/// Those of reading the ids.
pub fn sources(facts: &Facts, rule: &ContactConfig, names: Names<'_>) -> Result<RecordBatch> {
    let case = |c: &CaseFact| (SourceRef::Person(c.case.person), c.case.window(rule).unwrap_or((0, 0)));
    let place = |p: &Place| (SourceRef::Window(p.window), (p.from, p.until));
    let all: Vec<(SourceRef, (Second, Second))> =
        facts.cases.iter().map(case).chain(facts.places.iter().map(place)).collect();
    let none = || facts.places.iter().map(|_| None);
    let no_case = || facts.cases.iter().map(|_| None);
    let files = facts.cases.iter().map(|c| &c.file).chain(facts.places.iter().map(|p| &p.file));
    let input_rows = facts.cases.iter().map(|c| c.row).chain(facts.places.iter().map(|p| p.row));
    let venue = |p: &Place| Some(names.venues.ids().get(p.venue as usize).to_string());
    let ids = names.sources_as_text(&all.iter().map(|(source, _)| *source).collect::<Vec<_>>())?;
    let time = |cell: fn(&CaseFact) -> Option<Second>| {
        let places = facts.places.iter().map(|_| None);
        instants_or_null(facts.cases.iter().map(cell).chain(places))
    };
    Ok(table(vec![
        ("source_id", texts(ids.into_iter().map(Some))),
        ("source_kind", source_kinds(all.iter().map(|(source, _)| *source))),
        ("status", texts(facts.cases.iter().map(|c| Some(c.case.status.word().to_string())).chain(none()))),
        ("venue_id", texts(no_case().chain(facts.places.iter().map(venue)))),
        ("from", instants(all.iter().map(|(_, window)| window.0))),
        ("until", instants(all.iter().map(|(_, window)| window.1))),
        ("input_file", texts(files.map(Some))),
        ("input_row", Arc::new(UInt64Array::from_iter_values(input_rows))),
        ("reported_by", texts(facts.cases.iter().map(|c| c.case.reported_by.clone()).chain(none()))),
        ("advice", texts(no_case().chain(facts.places.iter().map(|p| p.advice.clone())))),
        ("onset_at", time(|fact| fact.case.onset_at)),
        ("sampled_at", time(|fact| fact.case.sampled_at)),
        ("isolated_at", time(|fact| fact.case.isolated_at)),
        ("infectious_from", time(|fact| fact.case.infectious_from)),
        ("recovered_at", time(|fact| fact.case.recovered_at)),
        (
            "reported_at",
            instants_or_null(
                facts
                    .cases
                    .iter()
                    .map(|c| c.case.reported_at)
                    .chain(facts.places.iter().map(|place| place.known_at)),
            ),
        ),
    ]))
}

/// `renewed.parquet`: of contacts whose appeal was granted what is new since, in the columns of `contacts` and `after_at`, the
/// decision.
///
/// # Errors
/// Those of reading the ids.
pub fn renewed(renewed: &[TracedPerson], names: Names<'_>) -> Result<RecordBatch> {
    let ids = names.persons.ids(&renewed.iter().map(|contact| contact.person).collect::<Vec<_>>())?;
    let order = ids.sorted_rows();
    let renewed: Vec<TracedPerson> = order.iter().map(|row| renewed[*row as usize]).collect();
    let (ids, sources) = (ids.take(&order), names.by_row(renewed.iter().map(|contact| contact.best_source))?);
    let rows = RowIds { persons: &ids, sources: &sources };
    let contacts = contacts(&renewed, names, rows, ContactColumns { kinds: true, sources: false });
    let schema = contacts.schema();
    let fields = schema.fields().iter().map(|field| field.name().as_str());
    let mut columns: Vec<(&str, ArrayRef)> = fields.zip(contacts.columns().iter().cloned()).collect();
    columns.push(("after_at", instants_or_null(renewed.iter().map(|contact| contact.after))));
    Ok(table(columns))
}

/// `pairs.parquet`: the whole contact graph, sorted by both ids.
///
/// # Errors
/// Those of reading the ids.
pub fn pairs(pairs: &[Pair], persons: &Persons) -> Result<RecordBatch> {
    let overlap = pairs.iter().map(|p| p.overlap_s as i64);
    Ok(table(vec![
        ("person_a", persons.to_arrow(&pairs.iter().map(|p| p.person_a).collect::<Vec<_>>())?),
        ("person_b", persons.to_arrow(&pairs.iter().map(|p| p.person_b).collect::<Vec<_>>())?),
        ("overlap_s", Arc::new(Int64Array::from_iter_values(overlap))),
        ("exposures", Arc::new(UInt32Array::from_iter_values(pairs.iter().map(|p| p.exposures)))),
        ("first_at", instants(pairs.iter().map(|p| p.first_at))),
        ("last_at", instants(pairs.iter().map(|p| p.last_at))),
    ]))
}

/// Bytes of the dictionary of a column, beyond which its values are written as they are.
const DICTIONARY_BYTES: usize = 64 << 10;

/// Writes a table as Parquet so that the file is there whole or not at all.
///
/// # Errors
/// `storage`.
pub fn write_parquet(path: &Path, batch: &RecordBatch) -> Result<()> {
    let level = ZstdLevel::try_new(1).expect("zstd has level 1");
    // Whoever looks a person up reads the dictionary of every column: words fit a small one, ids need none.
    let settings = properties(Layout::WHOLE)
        .set_compression(Compression::ZSTD(level))
        .set_dictionary_page_size_limit(DICTIONARY_BYTES)
        .build();
    publish::write_file(path, &to_bytes(batch, settings)?)
}

/// Writes tables as `folder/NAME.parquet` so that none appears before all are written.
///
/// # Errors
/// `storage`.
pub fn write_together(folder: &Path, tables: &[(&str, RecordBatch)]) -> Result<()> {
    let beside = |name: &str| folder.join(format!("{}{name}.parquet", publish::UNFINISHED));
    for (name, table) in tables {
        if let Err(error) = write_parquet(&beside(name), table) {
            // What is left is of no use; a failure to remove it would hide the first one.
            tables.iter().for_each(|(name, _)| drop(std::fs::remove_file(beside(name))));
            return Err(error);
        }
    }
    for (name, _) in tables {
        publish::publish_entry(&beside(name), &folder.join(format!("{name}.parquet")))?;
    }
    Ok(())
}

/// A region without a name in lists and tables.
pub const NO_REGION: &str = "unknown";
