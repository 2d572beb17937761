//! Parquet as batches of checked columns: a file whole, or some of its row groups.

use std::fs::File;
use std::io::ErrorKind;
use std::ops::Range;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Fields};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder,
};
use parquet::file::metadata::ParquetMetaData;

use crate::config::TableConfig;
use crate::error::{Error, Result};
use crate::ids::{IdTable, IdType};
use crate::records::columns::{self, Clock, Kind};
use crate::records::files::InputFile;
use crate::records::pages;
use crate::records::table::{BATCH_ROWS, Batch, Origin, Schema, constant, locate, no_unit, no_zone};

/// A file whose footer has been read and checked, and the place of each column.
pub(super) struct ParquetFile {
    metadata: ArrowReaderMetadata,
    origins: Vec<Origin>,
    /// The type ids have, by id table of the schema; text where no column of the file has any.
    pub id_types: Vec<IdType>,
}

/// Opens a file as a table, without decoding rows.
///
/// # Errors
/// As for [`table::read`](super::table::read).
pub(super) fn open(file: &InputFile, schema: &Schema, config: &TableConfig) -> Result<ParquetFile> {
    let open = File::open(&file.path).map_err(Error::storage(&file.path, "opening"))?;
    let length = open.metadata().map_err(Error::storage(&file.path, "opening"))?.len();
    let metadata = ArrowReaderMetadata::load(&open, ArrowReaderOptions::new())
        .map_err(|e| Error::damaged(&file.name, &e))?;
    check_footer(file, metadata.metadata(), length)?;
    let fields = metadata.schema().fields();
    let found: Vec<String> = fields.iter().map(|f| f.name().clone()).collect();
    let origins = locate(file, schema, config, &found)?;
    let id_types = check_types(file, schema, config, fields, &origins)?;
    Ok(ParquetFile { origins, id_types, metadata })
}

/// The names of a file's columns.
///
/// # Errors
/// `storage` or `damaged` if its footer cannot be read.
pub(super) fn names(file: &InputFile) -> Result<Vec<String>> {
    let open = File::open(&file.path).map_err(Error::storage(&file.path, "opening"))?;
    let metadata = ArrowReaderMetadata::load(&open, ArrowReaderOptions::new());
    let metadata = metadata.map_err(|e| Error::damaged(&file.name, &e))?;
    Ok(metadata.schema().fields().iter().map(|field| field.name().clone()).collect())
}

/// Refuses columns of the wrong type; returns the type of the ids of each table.
fn check_types(
    file: &InputFile,
    schema: &Schema,
    config: &TableConfig,
    fields: &Fields,
    origins: &[Origin],
) -> Result<Vec<IdType>> {
    let mut claimed: Vec<Option<IdType>> = vec![None; schema.id_tables];
    for (column, origin) in schema.columns.iter().zip(origins) {
        let Origin::File(at) = origin else { continue };
        let kind = fields[*at].data_type();
        if let Some(expected) = columns::expected_type(column.kind, kind) {
            let help = match column.kind {
                Kind::Time => {
                    "write the column as a timestamp, or deliver the table as CSV, where times are text"
                }
                _ => "convert the column, or map another one with --map",
            };
            return Err(Error::input(
                &file.name,
                format!("column {}: expected {expected}, found {kind}", column.name),
                help,
            ));
        }
        match column.kind {
            Kind::Id(table) | Kind::Token(table) => {
                let kind = columns::id_type(kind);
                // Two columns of one id space (a venue and its parent) must agree; text holds both.
                let agreed = claimed[table].map_or(kind, |c| if c == kind { kind } else { IdType::Text });
                claimed[table] = Some(agreed);
            }
            Kind::Time => {
                let zoneless = matches!(kind, DataType::Timestamp(_, None) | DataType::Date32);
                if zoneless && config.time_zone.is_none() {
                    return Err(no_zone(file, schema, column.name));
                }
                if kind.is_integer() && config.time_unit.is_none() {
                    return Err(no_unit(file, schema, column.name));
                }
            }
            _ => {}
        }
    }
    Ok(claimed.into_iter().map(|kind| kind.unwrap_or(IdType::Text)).collect())
}

impl ParquetFile {
    /// Rows of each row group, as the footer claims.
    pub fn group_rows(&self) -> Vec<u64> {
        // Negative claims have been refused.
        self.metadata.metadata().row_groups().iter().map(|group| group.num_rows() as u64).collect()
    }

    /// Reads some row groups batch by batch; `first_row` is the number of their first row in the file. Ids go to
    /// `ids`, whose types say how they are read: those of [`id_types`](Self::id_types), or text.
    ///
    /// # Errors
    /// As for [`table::read`](super::table::read).
    pub fn read(
        &self,
        file: &InputFile,
        schema: &Schema,
        config: &TableConfig,
        (groups, mut first_row): (Range<usize>, u64),
        ids: &mut [IdTable],
        each: &mut dyn FnMut(&Batch, &[IdTable]) -> Result<()>,
    ) -> Result<()> {
        let damaged = |e: &dyn std::fmt::Display| Error::damaged(&file.name, e);
        let open = File::open(&file.path).map_err(Error::storage(&file.path, "opening"))?;
        let wanted =
            self.origins.iter().filter_map(|o| if let Origin::File(at) = o { Some(*at) } else { None });
        let metadata = self.metadata.metadata();
        let mask = ProjectionMask::roots(metadata.file_metadata().schema_descr(), wanted);
        check_pages(file, &open, metadata, groups.clone(), &mask)?;
        let claimed: i64 = metadata.row_groups()[groups.clone()].iter().map(|group| group.num_rows()).sum();
        let start = first_row;
        let reader = ParquetRecordBatchReaderBuilder::new_with_metadata(open, self.metadata.clone())
            .with_row_groups(groups.collect())
            .with_projection(mask)
            .with_batch_size(BATCH_ROWS)
            .build()
            .map_err(|e| damaged(&e))?;
        for batch in reader {
            let batch = batch.map_err(|e| damaged(&e))?;
            let batch = self.checked(file, schema, config, &batch, first_row, ids)?;
            each(&batch, ids)?;
            first_row += batch.rows as u64;
        }
        let read = first_row - start;
        if read != claimed as u64 {
            return Err(damaged(&format!("its footer claims {claimed} rows, {read} were read")));
        }
        Ok(())
    }

    fn checked(
        &self,
        file: &InputFile,
        schema: &Schema,
        config: &TableConfig,
        batch: &RecordBatch,
        first_row: u64,
        ids: &mut [IdTable],
    ) -> Result<Batch> {
        let clock = Clock { unit: config.time_unit, zone: config.time_zone.as_ref() };
        let (rows, fields) = (batch.num_rows(), self.metadata.schema().fields());
        let mut columns = Vec::with_capacity(self.origins.len());
        for (spec, origin) in schema.columns.iter().zip(&self.origins) {
            columns.push(match origin {
                Origin::Absent => None,
                Origin::Partition(value) => Some(constant(file, schema, spec, value, rows, clock, ids)?),
                Origin::File(at) => {
                    let array = batch.column_by_name(fields[*at].name());
                    let array = array.ok_or_else(|| Error::damaged(&file.name, "a column is gone"))?;
                    let cells = columns::from_arrow(array, spec.kind, clock, ids);
                    let failed = |e| Error::damaged(&file.name, format!("column {}: {e}", spec.name));
                    Some(cells.map_err(failed)?)
                }
            });
        }
        Ok(Batch { first_row, rows, columns, misfits: Vec::new() })
    }
}

/// Refuses a footer that claims more than the file can hold, before anything is allocated for it.
fn check_footer(file: &InputFile, metadata: &ParquetMetaData, length: u64) -> Result<()> {
    let wrong = |what: &str| Err(Error::damaged(&file.name, what));
    let mut rows: i64 = 0;
    for group in metadata.row_groups() {
        if group.num_rows() < 0 {
            return wrong("a row group claims a negative number of rows");
        }
        rows = rows.saturating_add(group.num_rows());
        for column in group.columns() {
            let size = column.compressed_size();
            let start = column.dictionary_page_offset().unwrap_or(i64::MAX).min(column.data_page_offset());
            let inside = size >= 0 && start >= 0 && (start as u64).saturating_add(size as u64) <= length;
            if !inside {
                return wrong("a column claims bytes outside the file");
            }
            if column.num_values() < 0 || column.uncompressed_size() < 0 {
                return wrong("a column claims a negative size");
            }
        }
    }
    if rows != metadata.file_metadata().num_rows() {
        return wrong("the footer's row counts contradict each other");
    }
    Ok(())
}

/// Refuses pages that claim more than they can hold, in the columns that will be read. The footer has been checked.
fn check_pages(
    file: &InputFile,
    open: &File,
    metadata: &ParquetMetaData,
    groups: Range<usize>,
    wanted: &ProjectionMask,
) -> Result<()> {
    for group in &metadata.row_groups()[groups] {
        let columns = group.columns().iter().enumerate().filter(|(at, _)| wanted.leaf_included(*at));
        for (_, column) in columns {
            let (start, length) = column.byte_range();
            pages::check(open, start, length).map_err(|e| match e.kind() {
                ErrorKind::InvalidData | ErrorKind::UnexpectedEof => Error::damaged(&file.name, e),
                _ => Error::storage(&file.path, "reading")(e),
            })?;
        }
    }
    Ok(())
}
