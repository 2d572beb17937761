//! A few rows of a published table, by what one column holds: only the pages that can hold them are read.

use std::collections::HashSet;
use std::fs::File;
use std::path::Path;

use arrow::array::{Array, BooleanArray, RecordBatchReader};
use arrow::compute::concat_batches;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::statistics::StatisticsConverter;
use parquet::arrow::arrow_reader::{
    ArrowPredicateFn, ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder, RowFilter,
    RowSelection, RowSelector,
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
    let key = ProjectionMask::columns(metadata.parquet_schema(), [column]);
    let is_wanted = ArrowPredicateFn::new(key, move |batch| {
        let mut is_wanted = vec![false; batch.num_rows()];
        wanted.rows(batch.column(0)).into_iter().for_each(|row| is_wanted[row] = true);
        Ok(BooleanArray::from(is_wanted))
    });
    let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(file, metadata);
    let builder = builder.with_row_selection(RowSelection::from(selection)).with_projection(projection);
    let builder = builder.with_row_filter(RowFilter::new(vec![Box::new(is_wanted)]));
    let reader = builder.with_batch_size(BATCH_ROWS).build().map_err(|e| damaged(&e))?;
    let schema = reader.schema();
    let found = reader.collect::<std::result::Result<Vec<_>, _>>().map_err(|e| damaged(&e))?;
    Ok(Table::new(concat_batches(&schema, &found).map_err(|e| damaged(&e))?, name))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
    use parquet::arrow::ArrowWriter;
    use parquet::file::properties::WriterProperties;

    use super::*;

    /// A table of 1,000 rows in pages of 20 and groups of 300: ids in order, texts and numbers in none, some missing.
    fn table(path: &Path) -> Table {
        let row = |row: i64| (row * 7_919) % 1_000;
        let ids: Int64Array = (0..1_000).map(|at| Some(at / 3)).collect();
        let texts: StringArray =
            (0..1_000).map(|at| (row(at) % 10 > 0).then(|| format!("n{}", row(at) % 90))).collect();
        let numbers: Int64Array = (0..1_000).map(|at| (row(at) % 7 > 0).then(|| row(at))).collect();
        let columns: [(&str, ArrayRef, bool); 3] = [
            ("id", Arc::new(ids), false),
            ("text", Arc::new(texts), true),
            ("number", Arc::new(numbers), true),
        ];
        let batch = RecordBatch::try_from_iter_with_nullable(columns).unwrap();
        let properties = WriterProperties::builder()
            .set_data_page_row_count_limit(20)
            .set_write_batch_size(20)
            .set_max_row_group_row_count(Some(300))
            .build();
        let mut writer =
            ArrowWriter::try_new(File::create(path).unwrap(), batch.schema(), Some(properties)).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
        Table::new(batch, "a table")
    }

    #[test]
    fn a_row_looked_up_is_a_row_of_the_whole_table() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.parquet");
        let whole = table(&path);
        let all = ["id", "text", "number"];
        for (column, texts) in [
            ("id", &["0", "17", "333", "99999", "x", "07"][..]),
            ("text", &["n17", "n4", "n89", "m", ""]),
            ("number", &["3", "998", "-1"]),
            ("id", &[]),
        ] {
            let texts: HashSet<String> = texts.iter().map(|text| text.to_string()).collect();
            let expected: Vec<Vec<Option<String>>> = (0..whole.len())
                .filter(|row| whole.text(column, *row).unwrap().is_some_and(|cell| texts.contains(&cell)))
                .map(|row| all.map(|name| whole.text(name, row).unwrap()).to_vec())
                .collect();
            let found = rows(&path, "a table", (column, &texts), Part::WHOLE).unwrap();
            let found_rows: Vec<Vec<Option<String>>> =
                (0..found.len()).map(|row| all.map(|name| found.text(name, row).unwrap()).to_vec()).collect();
            assert_eq!(found_rows, expected, "{column} {texts:?}");
            assert_eq!(expected.is_empty(), texts.is_empty(), "some are found");

            let one =
                rows(&path, "a table", (column, &texts), Part { columns: &["number"], rows: usize::MAX })
                    .unwrap();
            assert_eq!(one.batch.num_columns(), 1);
            let numbers: Vec<_> = (0..one.len()).map(|row| one.text("number", row).unwrap()).collect();
            assert_eq!(numbers, expected.iter().map(|row| row[2].clone()).collect::<Vec<_>>());
        }
        let first: HashSet<String> = ["1".to_string(), "300".to_string()].into();
        let found = rows(&path, "a table", ("id", &first), Part { columns: &[], rows: 25 }).unwrap();
        assert_eq!(found.len(), 3, "the rest of the table is not looked at");
    }
}
