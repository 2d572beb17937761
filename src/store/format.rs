//! The store's Parquet files: columns, encodings, page sizes; writing to and reading from bytes.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, RecordBatch, RecordBatchReader, StringArray, UInt8Array, UInt16Array,
    UInt32Array,
};
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, Field, Int64Type, Schema, UInt8Type, UInt16Type, UInt32Type, UInt64Type};
use bytes::Bytes;
use parquet::arrow::ArrowWriter;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::properties::{WriterProperties, WriterPropertiesBuilder, WriterVersion};
use parquet::schema::types::ColumnPath;

use crate::error::{Error, Result};
use crate::ids::{Id, IdColumn, IdTable, IdType, NO_KEY};
use crate::records::rejects::FileBalance;
use crate::records::scans::{Direction, NOT_LEFT, NOT_MEASURED};
use crate::records::venues::{FactsByVenue, VenueFacts};
use crate::store::Venues;
use crate::time::Second;
use crate::visits::{EndSource, Scan, Scans, Visit, Visits};

/// How rows are put into pages and row groups.
#[derive(Clone, Copy, Debug)]
pub struct Layout {
    /// Rows a page.
    pub page_rows: usize,
    /// Pages a row group.
    pub group_pages: usize,
}

impl Layout {
    /// Of visits and person ids. A person's day is found by decoding one page, a microsecond a column; with pages half as
    /// long the index, which is searched in memory, would be twice as large.
    pub const LOOKED_UP: Layout = Layout { page_rows: 1_024, group_pages: 1_024 };
    /// Of what is only ever read whole.
    pub const WHOLE: Layout = Layout { page_rows: 8_192, group_pages: 128 };

    /// Rows a row group.
    pub const fn group_rows(self) -> usize {
        self.page_rows * self.group_pages
    }
}

/// Writer settings that give the same bytes for the same rows on every machine.
pub fn properties(layout: Layout) -> WriterPropertiesBuilder {
    WriterProperties::builder()
        .set_created_by("ringtrace".into())
        .set_writer_version(WriterVersion::PARQUET_2_0)
        .set_max_row_group_row_count(Some(layout.group_rows()))
        .set_data_page_row_count_limit(layout.page_rows)
        .set_write_batch_size(layout.page_rows)
}

/// A table as the bytes of a Parquet file.
pub fn to_bytes(batch: &RecordBatch, properties: WriterProperties) -> Result<Vec<u8>> {
    let failed = |e: parquet::errors::ParquetError| Error::integrity(format!("encoding a table: {e}"), "");
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), Some(properties)).map_err(failed)?;
    writer.write(batch).map_err(failed)?;
    writer.close().map_err(failed)?;
    Ok(bytes)
}

/// The rows of a Parquet file of ours as one table, which has its columns also when it has no rows.
///
/// # Errors
/// `damaged` if it does not decode.
pub fn table_from_bytes(bytes: Vec<u8>, name: &str) -> Result<RecordBatch> {
    let damaged = |e: &dyn std::fmt::Display| Error::damaged(name, e);
    let builder = ParquetRecordBatchReaderBuilder::try_new(Bytes::from(bytes)).map_err(|e| damaged(&e))?;
    let schema = builder.schema().clone();
    let reader = builder.build().map_err(|e| damaged(&e))?;
    let batches: Vec<RecordBatch> = reader.collect::<Result<_, _>>().map_err(|e| damaged(&e))?;
    concat_batches(&schema, &batches).map_err(|e| damaged(&e))
}

/// Some columns of a Parquet file, read whole.
///
/// # Errors
/// `damaged` if it does not decode, or lacks one of them.
pub fn columns_from_bytes(bytes: Vec<u8>, name: &str, columns: &[&str]) -> Result<RecordBatch> {
    let damaged = |e: &dyn std::fmt::Display| Error::damaged(name, e);
    let builder = ParquetRecordBatchReaderBuilder::try_new(Bytes::from(bytes)).map_err(|e| damaged(&e))?;
    if let Some(absent) = columns.iter().find(|column| builder.schema().index_of(column).is_err()) {
        return Err(damaged(&format!("no column {absent}")));
    }
    let mask = ProjectionMask::columns(builder.parquet_schema(), columns.iter().copied());
    let reader =
        builder.with_projection(mask).with_batch_size(BATCH_ROWS).build().map_err(|e| damaged(&e))?;
    let schema = RecordBatchReader::schema(&reader);
    let batches: Vec<RecordBatch> = reader.collect::<Result<_, _>>().map_err(|e| damaged(&e))?;
    concat_batches(&schema, &batches).map_err(|e| damaged(&e))
}

/// The rows of a Parquet file of ours.
///
/// # Errors
/// `damaged` if it does not decode.
fn from_bytes(bytes: Vec<u8>, name: &str) -> Result<Vec<RecordBatch>> {
    let damaged = |e: &dyn std::fmt::Display| Error::damaged(name, e);
    let builder = ParquetRecordBatchReaderBuilder::try_new(Bytes::from(bytes)).map_err(|e| damaged(&e))?;
    let reader = builder.with_batch_size(BATCH_ROWS).build().map_err(|e| damaged(&e))?;
    reader.map(|batch| batch.map_err(|e| damaged(&e))).collect()
}

/// Rows decoded at a time.
const BATCH_ROWS: usize = 65_536;

/// Dense integers: bit-packed differences, without a general compressor that would cost more to undo than it saves.
pub fn dense<'a>(columns: impl IntoIterator<Item = &'a str>, layout: Layout) -> WriterProperties {
    let mut builder = properties(layout).set_compression(Compression::UNCOMPRESSED);
    for column in columns {
        let path = ColumnPath::from(column);
        builder = builder
            .set_column_dictionary_enabled(path.clone(), false)
            .set_column_encoding(path, Encoding::DELTA_BINARY_PACKED);
    }
    builder.build()
}

fn table(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    let field =
        |(name, array): &(&str, ArrayRef)| Field::new(*name, array.data_type().clone(), array.is_nullable());
    let schema = Schema::new(columns.iter().map(field).collect::<Vec<_>>());
    RecordBatch::try_new(Arc::new(schema), columns.into_iter().map(|(_, array)| array).collect())
        .expect("columns of one length and the types just read off them")
}

fn numbers(cells: &[u32]) -> ArrayRef {
    Arc::new(UInt32Array::from(cells.to_vec()))
}

/// The column of that name and type.
fn column<'a, T: arrow::datatypes::ArrowPrimitiveType>(
    batch: &'a RecordBatch,
    name: &str,
    file: &str,
) -> Result<&'a [T::Native]> {
    let array = batch.column_by_name(name).and_then(|a| a.as_primitive_opt::<T>());
    array
        .map(|a| &a.values()[..])
        .ok_or_else(|| Error::damaged(file, format!("column {name} is not as written")))
}

/// The columns of visits that are read page by page, by their place in the file.
pub const PAGED_COLUMNS: [&str; 5] = ["person_key", "venue_key", "arrived_at", "stay_s", "unseen_s"];

/// What a copy of the visits is sorted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Person, then arrival.
    Person,
    /// Venue, then arrival.
    Venue,
}

/// The order key of a visit of that person or venue: pages are looked up by it.
pub fn order_key(key: u32, arrived: Second) -> u64 {
    u64::from(key) << 32 | u64::from(arrived)
}

/// The columns of visits as they are in `by_person` and `by_venue`.
pub fn visits_schema() -> Arc<Schema> {
    let number = |name: &&str| Field::new(*name, DataType::UInt32, false);
    let end = Field::new(END_SOURCE, DataType::UInt8, false);
    Arc::new(Schema::new(PAGED_COLUMNS.iter().map(number).chain([end]).collect::<Vec<_>>()))
}

const END_SOURCE: &str = "end_source";

/// # Errors
/// `damaged` if the file is not as written.
pub fn visits_from_bytes(bytes: Vec<u8>, name: &str) -> Result<Visits> {
    let mut visits = Visits::default();
    for batch in from_bytes(bytes, name)? {
        visits.person.extend(column::<UInt32Type>(&batch, "person_key", name)?);
        visits.venue.extend(column::<UInt32Type>(&batch, "venue_key", name)?);
        let arrived = column::<UInt32Type>(&batch, "arrived_at", name)?;
        let stay = column::<UInt32Type>(&batch, "stay_s", name)?;
        let unseen = column::<UInt32Type>(&batch, "unseen_s", name)?;
        visits.arrived.extend(arrived);
        visits.left.extend(arrived.iter().zip(stay).map(|(a, s)| a + s));
        visits.seen_until.extend(arrived.iter().zip(stay).zip(unseen).map(|((a, s), u)| a + s - u));
        for number in column::<UInt8Type>(&batch, END_SOURCE, name)? {
            let end = EndSource::from_number(*number);
            visits.end_source.push(end.ok_or_else(|| Error::damaged(name, "an unknown end_source"))?);
        }
    }
    Ok(visits)
}

const CELSIUS: &str = "celsius";

/// Whether any of the scans in a file has a temperature: its columns say so.
///
/// # Errors
/// `damaged` if the file is not as written.
pub fn has_temperatures(path: &Path) -> Result<bool> {
    let file = File::open(path).map_err(Error::storage(path, "opening"))?;
    let builder = ParquetRecordBatchReaderBuilder::try_new(file);
    let builder = builder.map_err(|e| Error::damaged(path.display().to_string(), e))?;
    Ok(builder.schema().column_with_name(CELSIUS).is_some())
}

/// Scans as they are in `scans`.
pub fn scans_to_bytes(scans: &Scans) -> Result<Vec<u8>> {
    let stay = |(left, at): (&u32, &u32)| if *left == NOT_LEFT { NOT_LEFT } else { left - at };
    let directions: Vec<u8> = scans.direction.iter().map(|d| *d as u8).collect();
    let mut columns = vec![
        ("person_key", numbers(&scans.person)),
        ("scanned_at", numbers(&scans.at)),
        ("venue_key", numbers(&scans.venue)),
        ("direction", Arc::new(UInt8Array::from(directions))),
        ("stay_s", numbers(&scans.left.iter().zip(&scans.at).map(stay).collect::<Vec<_>>())),
    ];
    // Most feeds have none.
    if scans.celsius.iter().any(|celsius| *celsius != NOT_MEASURED) {
        columns.push((CELSIUS, Arc::new(UInt16Array::from(scans.celsius.clone()))));
    }
    to_bytes(&table(columns), dense(["person_key", "scanned_at", "venue_key"], Layout::WHOLE))
}

/// # Errors
/// `damaged` if the file is not as written.
pub fn scans_from_bytes(bytes: Vec<u8>, name: &str) -> Result<Scans> {
    let mut scans = Scans::default();
    for batch in from_bytes(bytes, name)? {
        let person = column::<UInt32Type>(&batch, "person_key", name)?;
        let at = column::<UInt32Type>(&batch, "scanned_at", name)?;
        let venue = column::<UInt32Type>(&batch, "venue_key", name)?;
        let direction = column::<UInt8Type>(&batch, "direction", name)?;
        let stay = column::<UInt32Type>(&batch, "stay_s", name)?;
        for row in 0..batch.num_rows() {
            scans.person.push(person[row]);
            scans.at.push(at[row]);
            scans.venue.push(venue[row]);
            scans.direction.push(if direction[row] == 1 { Direction::Out } else { Direction::In });
            scans.left.push(if stay[row] == NOT_LEFT { NOT_LEFT } else { at[row] + stay[row] });
        }
        match batch.column_by_name(CELSIUS) {
            Some(_) => scans.celsius.extend(column::<UInt16Type>(&batch, CELSIUS, name)?),
            None => scans.celsius.resize(scans.at.len(), NOT_MEASURED),
        }
    }
    Ok(scans)
}

/// Sorted texts as they are in `persons`.
pub fn texts_to_bytes(ids: &IdColumn) -> Result<Vec<u8>> {
    let batch = table(vec![(PERSON_ID, ids.to_arrow(0..ids.len() as u32))]);
    let path = ColumnPath::from(PERSON_ID);
    let front_coded = compressed_builder(Layout::WHOLE)
        .set_column_dictionary_enabled(path.clone(), false)
        .set_column_encoding(path, Encoding::DELTA_BYTE_ARRAY);
    to_bytes(&batch, front_coded.build())
}

/// The column of ids in `persons`.
pub const PERSON_ID: &str = "person_id";

/// How small tables are written.
pub fn compressed() -> WriterProperties {
    compressed_builder(Layout::WHOLE).build()
}

fn compressed_builder(layout: Layout) -> WriterPropertiesBuilder {
    let level = ZstdLevel::try_new(1).expect("zstd has level 1");
    properties(layout).set_compression(Compression::ZSTD(level))
}

/// Appends the ids of a file to a column.
///
/// # Errors
/// `damaged` if the file is not as written.
pub fn ids_from_bytes(bytes: Vec<u8>, name: &str, ids: &mut IdColumn) -> Result<()> {
    for batch in from_bytes(bytes, name)? {
        push_ids(batch.column(0), ids).ok_or_else(|| Error::damaged(name, "ids are not as written"))?;
    }
    Ok(())
}

fn push_ids(array: &ArrayRef, ids: &mut IdColumn) -> Option<()> {
    match ids.kind() {
        IdType::Int => {
            array.as_primitive_opt::<Int64Type>()?.values().iter().for_each(|id| ids.push(Id::Int(*id)))
        }
        IdType::Uint => {
            array.as_primitive_opt::<UInt64Type>()?.values().iter().for_each(|id| ids.push(Id::Uint(*id)))
        }
        IdType::Text => array.as_string_opt::<i32>()?.iter().try_for_each(|id| {
            ids.push(Id::Text(id?));
            Some(())
        })?,
    }
    Some(())
}

/// Venues as they are in `venues`.
pub fn venues_to_bytes(venues: &Venues) -> Result<Vec<u8>> {
    let text = |cell: fn(&VenueFacts) -> &Option<String>| -> ArrayRef {
        Arc::new(venues.facts.iter().map(|f| cell(f).as_deref()).collect::<StringArray>())
    };
    let parents = venues.parent.iter().map(|p| (*p != NO_KEY).then_some(*p)).collect::<UInt32Array>();
    let batch = table(vec![
        ("venue_id", venues.ids.ids().to_arrow(0..venues.ids.len() as u32)),
        ("category", text(|f| &f.category)),
        ("region_id", text(|f| &f.region_id)),
        ("parent_venue_key", Arc::new(parents)),
        ("name", text(|f| &f.name)),
    ]);
    to_bytes(&batch, compressed())
}

/// # Errors
/// `damaged` if the file is not as written.
pub fn venues_from_bytes(bytes: Vec<u8>, name: &str, kind: IdType) -> Result<Venues> {
    let mut ids = IdColumn::new(kind);
    let (mut parent, mut facts) = (Vec::new(), FactsByVenue::default());
    let wrong = || Error::damaged(name, "venues are not as written");
    for batch in from_bytes(bytes, name)? {
        let array = |name: &str| batch.column_by_name(name).ok_or_else(wrong);
        push_ids(array("venue_id")?, &mut ids).ok_or_else(wrong)?;
        let parents = array("parent_venue_key")?.as_primitive_opt::<UInt32Type>().ok_or_else(wrong)?;
        parent.extend(parents.iter().map(|p| p.unwrap_or(NO_KEY)));
        let [category, region, names] = ["category", "region_id", "name"]
            .map(|n| batch.column_by_name(n).and_then(|a| a.as_string_opt::<i32>()));
        let (category, region, names) =
            (category.ok_or_else(wrong)?, region.ok_or_else(wrong)?, names.ok_or_else(wrong)?);
        let cell =
            |array: &StringArray, row: usize| array.is_valid(row).then(|| array.value(row).to_string());
        let first = parent.len() - batch.num_rows();
        facts.grow(parent.len());
        let known = |row: &usize| category.is_valid(*row) || region.is_valid(*row) || names.is_valid(*row);
        for row in (0..batch.num_rows()).filter(known) {
            let [category, region_id, name] = [category, region, names].map(|texts| cell(texts, row));
            facts.set((first + row) as u32, VenueFacts { category, region_id, name });
        }
    }
    Ok(Venues { ids: IdTable::from_column(ids), parent, facts })
}

/// A rejected row with its file, as `rejects.parquet` lists it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RejectRow {
    /// Table the file was read as.
    pub table: String,
    /// The file.
    pub file: String,
    /// Row, from 1.
    pub row: u64,
    /// Our name of the column at fault; empty when it is the whole line.
    pub column: String,
    /// The reason's word.
    pub reason: String,
}

impl RejectRow {
    /// The rejects of one file.
    pub fn of(balance: &FileBalance, rejects: &[crate::records::rejects::Reject]) -> Vec<RejectRow> {
        let row = |reject: &crate::records::rejects::Reject| RejectRow {
            table: balance.table.clone(),
            file: balance.file.clone(),
            row: reject.row,
            column: reject.column.into(),
            reason: reject.reason.word().into(),
        };
        rejects.iter().map(row).collect()
    }
}

/// Rejects as a table: `table, file, row, column, reason`.
pub fn rejects_table(rows: &[RejectRow]) -> RecordBatch {
    let text = |cell: fn(&RejectRow) -> &str| -> ArrayRef {
        Arc::new(rows.iter().map(|r| Some(cell(r))).collect::<StringArray>())
    };
    let numbers: arrow::array::UInt64Array = rows.iter().map(|r| Some(r.row)).collect();
    table(vec![
        ("table", text(|r| &r.table)),
        ("file", text(|r| &r.file)),
        ("row", Arc::new(numbers)),
        ("column", text(|r| &r.column)),
        ("reason", text(|r| &r.reason)),
    ])
}

/// Rejects as a Parquet file.
pub fn rejects_to_bytes(rows: &[RejectRow]) -> Result<Vec<u8>> {
    to_bytes(&rejects_table(rows), compressed())
}

/// # Errors
/// `damaged` if the file is not as written.
pub fn rejects_from_bytes(bytes: Vec<u8>, name: &str) -> Result<Vec<RejectRow>> {
    let wrong = || Error::damaged(name, "rejects are not as written");
    let mut rows = Vec::new();
    for batch in from_bytes(bytes, name)? {
        let text =
            |name: &str| batch.column_by_name(name).and_then(|a| a.as_string_opt::<i32>()).ok_or_else(wrong);
        let (tables, files, columns, reasons) =
            (text("table")?, text("file")?, text("column")?, text("reason")?);
        let numbers = column::<UInt64Type>(&batch, "row", name)?;
        rows.extend((0..batch.num_rows()).map(|row| RejectRow {
            table: tables.value(row).into(),
            file: files.value(row).into(),
            row: numbers[row],
            column: columns.value(row).into(),
            reason: reasons.value(row).into(),
        }));
    }
    Ok(rows)
}

/// Rows in the order of the by-person copy.
pub fn visits_sorted(mut visits: Vec<Visit>) -> Visits {
    visits.sort_unstable_by_key(|v| (v.person, v.arrived, v.venue));
    visits.into_iter().collect()
}

/// Rows in the order of [`Scans`].
pub fn scans_sorted(mut scans: Vec<Scan>) -> Scans {
    scans.sort_unstable();
    scans.into_iter().collect()
}
