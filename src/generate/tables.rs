//! The Parquet files of a world, written a million rows at a time.

use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{
    ArrayRef, DictionaryArray, Float64Array, Int8Array, Int64Array, RecordBatch, StringArray,
    TimestampMillisecondArray, UInt8Array,
};
use arrow::datatypes::{DataType, Field, Schema};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::basic::{Compression, Encoding};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::schema::types::ColumnPath;

use super::cases::{Case, Status};
use super::planted::{Contact, Planted, Stay};
use super::row::{Direction, Row};
use super::world::{Atlas, DISTRICT, district_name};
use crate::error::{Error, Result};

/// Rows of a row group, and of the batches it is built from.
const ROW_GROUP: usize = 1_000_000;

/// Columns with their names; whether a column may hold nulls is up to its `Null`.
type Columns = Vec<(&'static str, Null, ArrayRef)>;

/// Whether a column may hold nulls.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Null {
    Never,
    Allowed,
}

/// Writes one day's scans, which are in order of arrival; `midnight` is when the day begins, in UTC seconds.
///
/// # Errors
/// `storage` if the file cannot be written.
pub fn scans(path: &Path, rows: &[Row], midnight: i64) -> Result<()> {
    let directions: ArrayRef = Arc::new(StringArray::from(vec!["in", "out"]));
    let chunk_of = |rows: &[Row]| -> Columns {
        let code = |row: &Row| match row.direction() {
            Direction::Unknown => None,
            Direction::In => Some(0),
            Direction::Out => Some(1),
        };
        let codes: Int8Array = rows.iter().map(code).collect();
        vec![
            ("person_id", Null::Never, ints(rows.iter().map(|row| row.person_id()))),
            ("venue_id", Null::Never, ints(rows.iter().map(|row| i64::from(row.venue())))),
            (
                "scanned_at",
                Null::Never,
                times(rows.iter().map(|row| Some(midnight + i64::from(row.second())))),
            ),
            ("direction", Null::Allowed, Arc::new(DictionaryArray::new(codes, directions.clone()))),
        ]
    };
    write(path, rows.chunks(ROW_GROUP).map(chunk_of), || chunk_of(&[]))
}

/// Writes the venues, in order of their ids.
///
/// # Errors
/// `storage` if the file cannot be written.
pub fn venues(path: &Path, atlas: &Atlas) -> Result<()> {
    let chunk_of = |ids: &[u32]| -> Columns {
        let venues: Vec<_> = ids.iter().map(|&id| atlas.describe(id)).collect();
        let degrees = |micro: i32| f64::from(micro) / 1e6;
        vec![
            ("venue_id", Null::Never, ints(ids.iter().map(|&id| i64::from(id)))),
            ("category", Null::Never, texts(venues.iter().map(|venue| venue.category))),
            ("region_id", Null::Never, texts(venues.iter().map(|venue| district_name(venue.district)))),
            ("parent_venue_id", Null::Allowed, {
                let parents = venues.iter().map(|venue| venue.parent.map(i64::from));
                Arc::new(parents.collect::<Int64Array>())
            }),
            ("name", Null::Never, texts(venues.iter().map(|venue| venue.name.as_str()))),
            ("latitude", Null::Never, floats(venues.iter().map(|venue| degrees(venue.latitude)))),
            ("longitude", Null::Never, floats(venues.iter().map(|venue| degrees(venue.longitude)))),
        ]
    };
    write(path, chunks(atlas.venues()).map(|ids| chunk_of(&ids)), || chunk_of(&[]))
}

/// Writes where everyone lives.
///
/// # Errors
/// `storage` if the file cannot be written.
pub fn residences(path: &Path, atlas: &Atlas) -> Result<()> {
    let names: Vec<String> = (0..atlas.districts()).map(district_name).collect();
    let chunk_of = |people: &[u32]| -> Columns {
        let home = |person: &u32| names[(person / DISTRICT) as usize].as_str();
        vec![
            ("person_id", Null::Never, ints(people.iter().map(|&person| atlas.pseudonym(person) as i64))),
            ("region_id", Null::Never, texts(people.iter().map(home))),
        ]
    };
    write(path, chunks(0..atlas.people).map(|people| chunk_of(&people)), || chunk_of(&[]))
}

/// Writes the line list in the order of reporting; `start` is when the world began, in UTC seconds.
///
/// # Errors
/// `storage` if the file cannot be written.
pub fn cases(path: &Path, cases: &[Case], atlas: &Atlas, start: i64) -> Result<()> {
    let mut rows: Vec<(u32, &str, &Case)> = Vec::new();
    for case in cases {
        let status = match case.status {
            Status::Confirmed | Status::Withdrawn => "confirmed",
            Status::Asymptomatic => "asymptomatic",
            Status::Suspected => "suspected",
        };
        rows.push((case.reported, status, case));
        rows.extend(case.withdrawn.map(|at| (at, "withdrawn", case)));
    }
    rows.sort_by_key(|(reported, _, case)| (*reported, case.person));
    let utc = |at: Option<u32>| at.map(|at| start + i64::from(at));
    let column = |at: fn(&Case) -> Option<u32>| times(rows.iter().map(|(_, _, case)| utc(at(case))));
    let columns = || -> Columns {
        let person_id = |case: &Case| atlas.pseudonym(case.person) as i64;
        vec![
            ("person_id", Null::Never, ints(rows.iter().map(|(_, _, case)| person_id(case)))),
            ("status", Null::Never, texts(rows.iter().map(|(_, status, _)| status))),
            ("onset_at", Null::Allowed, column(|case| case.onset)),
            ("sampled_at", Null::Allowed, column(|case| Some(case.sampled))),
            ("isolated_at", Null::Allowed, column(|case| Some(case.isolated))),
            ("recovered_at", Null::Allowed, column(|case| case.recovered)),
            ("reported_at", Null::Never, times(rows.iter().map(|(reported, _, _)| utc(Some(*reported))))),
            ("lab_ref", Null::Never, texts(rows.iter().map(|(_, _, case)| case.lab_ref.as_str()))),
            ("reported_by", Null::Never, texts(rows.iter().map(|(_, _, case)| case.reported_by.as_str()))),
        ]
    };
    write(path, [columns()], columns)
}

/// Writes the planted stays, by person and arrival; `start` is when the world began, in UTC seconds.
///
/// # Errors
/// `storage` if the file cannot be written.
pub fn true_visits(path: &Path, planted: &Planted, atlas: &Atlas, start: i64) -> Result<()> {
    let mut stays: Vec<&Stay> = planted.stays.iter().collect();
    stays.sort_by_key(|stay| (atlas.pseudonym(stay.person), stay.span.start));
    let utc = |at: u32| Some(start + i64::from(at));
    let columns = || -> Columns {
        vec![
            ("person_id", Null::Never, ints(stays.iter().map(|stay| atlas.pseudonym(stay.person) as i64))),
            ("venue_id", Null::Never, ints(stays.iter().map(|stay| i64::from(stay.venue)))),
            ("arrived_at", Null::Never, times(stays.iter().map(|stay| utc(stay.span.start)))),
            ("left_at", Null::Never, times(stays.iter().map(|stay| utc(stay.span.end)))),
        ]
    };
    write(path, [columns()], columns)
}

/// Writes the planted contacts, by ring, source and time; `start` is when the world began, in UTC seconds.
///
/// # Errors
/// `storage` if the file cannot be written.
pub fn true_contacts(path: &Path, planted: &Planted, atlas: &Atlas, start: i64) -> Result<()> {
    let mut contacts: Vec<&Contact> = planted.contacts.iter().collect();
    let id = |person: u32| atlas.pseudonym(person) as i64;
    contacts.sort_by_key(|c| (c.ring, id(c.source), c.span.start, id(c.contact)));
    let utc = |at: u32| Some(start + i64::from(at));
    let overlap_s = |c: &Contact| i64::from(c.span.end - c.span.start);
    let columns = || -> Columns {
        vec![
            ("source_id", Null::Never, ints(contacts.iter().map(|c| id(c.source)))),
            ("contact_id", Null::Never, ints(contacts.iter().map(|c| id(c.contact)))),
            ("venue_id", Null::Never, ints(contacts.iter().map(|c| i64::from(c.venue)))),
            ("from", Null::Never, times(contacts.iter().map(|c| utc(c.span.start)))),
            ("until", Null::Never, times(contacts.iter().map(|c| utc(c.span.end)))),
            ("overlap_s", Null::Never, ints(contacts.iter().map(|c| overlap_s(c)))),
            ("ring", Null::Never, Arc::new(UInt8Array::from_iter_values(contacts.iter().map(|c| c.ring)))),
        ]
    };
    write(path, [columns()], columns)
}

fn ints(values: impl Iterator<Item = i64>) -> ArrayRef {
    Arc::new(Int64Array::from_iter_values(values))
}

fn floats(values: impl Iterator<Item = f64>) -> ArrayRef {
    Arc::new(Float64Array::from_iter_values(values))
}

fn texts(values: impl Iterator<Item = impl AsRef<str>>) -> ArrayRef {
    Arc::new(StringArray::from_iter_values(values))
}

/// UTC seconds as timestamps in milliseconds, the unit scanners mostly send.
fn times(seconds: impl Iterator<Item = Option<i64>>) -> ArrayRef {
    let times: TimestampMillisecondArray = seconds.map(|at| at.map(|at| at * 1_000)).collect();
    Arc::new(times.with_timezone("UTC"))
}

/// A range in pieces of a row group.
fn chunks(range: std::ops::Range<u32>) -> impl Iterator<Item = Vec<u32>> {
    let end = range.end;
    range.step_by(ROW_GROUP).map(move |from| (from..end.min(from.saturating_add(ROW_GROUP as u32))).collect())
}

/// Writes a file from batches; `empty` gives the columns of a file without rows.
fn write(
    path: &Path,
    batches: impl IntoIterator<Item = Columns>,
    empty: impl FnOnce() -> Columns,
) -> Result<()> {
    let failed = |error: ParquetError| Error::storage(path, "writing")(std::io::Error::other(error));
    let mut batches = batches.into_iter();
    let first = batches.next().unwrap_or_else(empty);
    let fields = first
        .iter()
        .map(|(name, null, column)| Field::new(*name, column.data_type().clone(), *null == Null::Allowed));
    let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
    // Readers need not know that this was written from Arrow dictionaries: plain Parquet text it is.
    let options =
        ArrowWriterOptions::new().with_properties(properties(&schema)).with_skip_arrow_metadata(true);
    let file = File::create(path).map_err(Error::storage(path, "creating"))?;
    let mut writer =
        ArrowWriter::try_new_with_options(BufWriter::new(file), schema.clone(), options).map_err(failed)?;
    for columns in std::iter::once(first).chain(batches) {
        let arrays = columns.into_iter().map(|(_, _, column)| column).collect();
        let batch = RecordBatch::try_new(schema.clone(), arrays).map_err(|e| failed(e.into()))?;
        writer.write(&batch).map_err(failed)?;
    }
    writer.close().map_err(failed)?;
    Ok(())
}

/// Snappy; no dictionaries where values hardly repeat or, like times of arrival, ascend.
fn properties(schema: &Schema) -> WriterProperties {
    let mut properties = WriterProperties::builder()
        .set_compression(Compression::SNAPPY)
        .set_max_row_group_row_count(Some(ROW_GROUP));
    for field in schema.fields() {
        let column = ColumnPath::from(field.name().as_str());
        if field.name() == "person_id" {
            properties = properties.set_column_dictionary_enabled(column, false);
        } else if matches!(field.data_type(), DataType::Timestamp(..)) {
            properties = properties
                .set_column_dictionary_enabled(column.clone(), false)
                .set_column_encoding(column, Encoding::DELTA_BINARY_PACKED);
        }
    }
    properties.build()
}

/// The path of a day's scans under `out`.
pub fn scans_path(out: &Path, day_name: &str) -> PathBuf {
    out.join("scans").join(format!("day={day_name}")).join("part-0.parquet")
}
