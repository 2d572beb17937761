//! A few rows of a published table, by what one column holds: only the pages that can hold them are read.

use std::collections::HashSet;
use std::fs::File;
use std::path::Path;

use arrow::array::{Array, RecordBatchReader, UInt64Array};
use arrow::compute::{concat_batches, take_record_batch};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::statistics::StatisticsConverter;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder, RowSelection, RowSelector,
};
use parquet::file::metadata::PageIndexPolicy;

use crate::error::{Error, Result};
use crate::outputs::read::{Among, Table};

/// Rows that are decoded at once.
const BATCH_ROWS: usize = 1 << 13;

/// Which part of a table to look in.
#[derive(Clone, Copy)]
pub struct Part<'a> {
    /// These columns; none means all.
    pub columns: &'a [&'a str],
    /// About the first so many rows; a page is read whole.
    pub rows: usize,
}

impl Part<'_> {
    /// Everything.
    pub const WHOLE: Part<'static> = Part { columns: &[], rows: usize::MAX };
}

/// The rows of the table at `path` whose cell in `column` reads one of `texts`, in their order.
///
/// What is read must decode; that the file is the published one is not checked.
///
/// # Errors
/// `storage`; `damaged` if it does not decode.
pub fn rows(
    path: &Path,
    name: &str,
    (column, texts): (&str, &HashSet<String>),
    Part { columns, rows }: Part<'_>,
) -> Result<Table> {
    let damaged = |e: &dyn std::fmt::Display| Error::damaged(name, e);
    let file = File::open(path).map_err(Error::storage(path, "opening"))?;
    let options = ArrowReaderOptions::new().with_page_index_policy(PageIndexPolicy::Optional);
    let metadata = ArrowReaderMetadata::load(&file, options).map_err(|e| damaged(&e))?;
    let schema = metadata.schema().clone();
    let field = schema.field_with_name(column).map_err(|e| damaged(&e))?;
    let wanted = Among::new(field.data_type(), texts);
    let parquet = metadata.metadata().clone();
    let statistics = StatisticsConverter::try_new(column, &schema, metadata.parquet_schema());
    let statistics = statistics.map_err(|e| damaged(&e))?;
    let mut selection: Vec<RowSelector> = Vec::new();
    let mut before = 0;
    for group in 0..parquet.num_row_groups() {
        let whole = RowSelector::select(parquet.row_group(group).num_rows() as usize);
        let Some(pages) = parquet.page_index() else {
            selection.push(whole);
            continue;
        };
        let at = [group];
        let least = statistics.data_page_mins(&**pages, &at).map_err(|e| damaged(&e))?;
        let most = statistics.data_page_maxes(&**pages, &at).map_err(|e| damaged(&e))?;
        let counts = statistics.data_page_row_counts(&**pages, parquet.row_groups(), &at);
        let Some(counts) = counts.map_err(|e| damaged(&e))?.filter(|counts| counts.len() == least.len())
        else {
            selection.push(whole);
            continue;
        };
        for page in 0..counts.len() {
            let row_count = counts.value(page) as usize;
            let skip = before >= rows || !wanted.can_be_in(&least, &most, page);
            selection.push(RowSelector { row_count, skip });
            before += row_count;
        }
    }
    let projection = match columns {
        [] => ProjectionMask::all(),
        columns => ProjectionMask::columns(metadata.parquet_schema(), columns.iter().copied()),
    };
    let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(file, metadata);
    let builder = builder.with_row_selection(RowSelection::from(selection)).with_projection(projection);
    let reader = builder.with_batch_size(BATCH_ROWS).build().map_err(|e| damaged(&e))?;
    let schema = reader.schema();
    let mut found = Vec::new();
    for batch in reader {
        let batch = batch.map_err(|e| damaged(&e))?;
        let cells = batch.column_by_name(column).ok_or_else(|| damaged(&format!("no column {column}")))?;
        let rows = wanted.rows(cells).into_iter().map(|row| row as u64).collect::<Vec<_>>();
        found.push(take_record_batch(&batch, &UInt64Array::from(rows)).map_err(|e| damaged(&e))?);
    }
    Ok(Table::new(concat_batches(&schema, &found).map_err(|e| damaged(&e))?, name))
}
