//! One file of one table, whatever its format, as batches of checked columns.

use std::cell::Cell;
use std::fs::File;
use std::io::ErrorKind;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;

use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
use parquet::file::metadata::ParquetMetaData;

use crate::config::TableConfig;
use crate::error::{Error, Result};
use crate::ids::{Id, IdTable, IdType, NO_KEY};
use crate::records::columns::{self, BAD_KEY, Clock, Column, Kind};
use crate::records::files::{Format, InputFile};
use crate::records::pages;
use crate::schema::did_you_mean;

/// What a table's columns are.
pub struct Schema {
    /// The table's name in messages.
    pub table: &'static str,
    /// Its columns.
    pub columns: &'static [ColumnSpec],
    /// How many id tables its `Id` columns use.
    pub id_tables: usize,
}

/// One column of a table.
pub struct ColumnSpec {
    /// Our name.
    pub name: &'static str,
    /// What it holds.
    pub kind: Kind,
    /// Whether a row without it is rejected.
    pub required: bool,
}

impl ColumnSpec {
    /// A column of that name and kind.
    pub const fn new(name: &'static str, kind: Kind, required: bool) -> Self {
        ColumnSpec { name, kind, required }
    }
}

/// Some consecutive rows of a file.
pub struct Batch {
    /// Row number of the first, from 1.
    pub first_row: u64,
    /// How many.
    pub rows: usize,
    /// Cells by column of the schema; `None` where the file has no such column.
    pub columns: Vec<Option<Column>>,
    /// Rows of this batch whose number of fields differs from the header's.
    pub misfits: Vec<usize>,
}

/// Rows decoded at a time: large enough to amortise a call, small enough that a hostile file cannot claim much.
const BATCH_ROWS: usize = 16_384;

/// Reads `file` batch by batch and returns the id tables its keys refer to.
///
/// # Errors
/// `input` for a missing or mistyped column, an integer time without unit, a zoneless one without zone; `damaged`
/// for bytes that do not decode; `storage` if the file cannot be read. A panic in a decoder is `damaged` too.
pub fn read(
    file: &InputFile,
    schema: &Schema,
    config: &TableConfig,
    mut each: impl FnMut(&Batch) -> Result<()>,
) -> Result<Vec<IdTable>> {
    quiet_panics(|| match file.format {
        Format::Parquet => read_parquet(file, schema, config, &mut each),
        Format::Csv => read_csv(file, schema, config, b',', &mut each),
        Format::Tsv => read_csv(file, schema, config, b'\t', &mut each),
    })
    .unwrap_or_else(|| Err(Error::damaged(&file.name, "the decoder gave up on it")))
}

/// Where each column of the schema comes from.
enum Origin {
    File(usize),
    Partition(String),
    Absent,
}

/// Finds each column of the schema among the file's columns and its partition folders.
fn locate(file: &InputFile, schema: &Schema, config: &TableConfig, found: &[String]) -> Result<Vec<Origin>> {
    let locate_one = |column: &ColumnSpec| {
        let mapped = config.columns.get(column.name);
        let theirs = mapped.map_or(column.name, String::as_str);
        let mut named = (0..found.len()).filter(|at| found[*at] == theirs);
        match (named.next(), named.count()) {
            (Some(at), 0) => return Ok(Origin::File(at)),
            // Taking the first would trace whichever the sender happened to write there.
            (Some(_), more) => {
                return Err(Error::input(
                    &file.name,
                    format!(
                        "column {}: expected one column named {theirs:?}, found {}",
                        column.name,
                        more + 1
                    ),
                    "rename or remove the others",
                ));
            }
            (None, _) => {}
        }
        if let Some((_, value)) = file.partitions.iter().rev().find(|(key, _)| key == theirs) {
            return Ok(Origin::Partition(value.clone()));
        }
        if !column.required && mapped.is_none() {
            return Ok(Origin::Absent);
        }
        let names = found.iter().map(String::as_str);
        let near = did_you_mean(theirs, names.clone()).map(|n| format!(" (perhaps {n:?})"));
        Err(Error::input(
            &file.name,
            format!(
                "column {}: expected a column named {theirs:?}, found {}{}",
                column.name,
                names.map(|n| format!("{n:?}")).collect::<Vec<_>>().join(", "),
                near.unwrap_or_default(),
            ),
            format!(
                "name it with --map {}.{}=THEIRS, or columns = {{ {} = \"THEIRS\" }} in the configuration's [{}]",
                schema.table, column.name, column.name, schema.table
            ),
        ))
    };
    schema.columns.iter().map(locate_one).collect()
}

fn no_zone(file: &InputFile, schema: &Schema, column: &str) -> Error {
    Error::input(
        &file.name,
        format!("column {column}: expected times with a zone, found times without"),
        format!(
            "say what zone its clocks showed: --time-zone Asia/Shanghai, or time_zone in the configuration's [{}]",
            schema.table
        ),
    )
}

fn no_unit(file: &InputFile, schema: &Schema, column: &str) -> Error {
    Error::input(
        &file.name,
        format!("column {column}: expected a timestamp, found integers"),
        format!(
            "say what they count: --time-unit s|ms|us|ns, or time_unit in the configuration's [{}]",
            schema.table
        ),
    )
}

fn read_parquet(
    file: &InputFile,
    schema: &Schema,
    config: &TableConfig,
    each: &mut dyn FnMut(&Batch) -> Result<()>,
) -> Result<Vec<IdTable>> {
    use arrow::datatypes::DataType;
    let damaged = |e: &dyn std::fmt::Display| Error::damaged(&file.name, e);
    let open = File::open(&file.path).map_err(Error::storage(&file.path, "opening"))?;
    let length = open.metadata().map_err(Error::storage(&file.path, "opening"))?.len();
    let pages_file = open.try_clone().map_err(Error::storage(&file.path, "opening"))?;
    let options = ArrowReaderOptions::new();
    let builder =
        ParquetRecordBatchReaderBuilder::try_new_with_options(open, options).map_err(|e| damaged(&e))?;
    check_footer(file, builder.metadata(), length)?;
    let fields = builder.schema().fields().clone();
    let found: Vec<String> = fields.iter().map(|f| f.name().clone()).collect();
    let origins = locate(file, schema, config, &found)?;

    let mut ids = vec![IdTable::new(IdType::Text); schema.id_tables];
    let mut claimed: Vec<Option<IdType>> = vec![None; schema.id_tables];
    for (column, origin) in schema.columns.iter().zip(&origins) {
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
            Kind::Id(table) => {
                let kind = columns::id_type(kind);
                // Two columns of one id space (a venue and its parent) must agree; text holds both.
                let agreed = claimed[table].map_or(kind, |c| if c == kind { kind } else { IdType::Text });
                claimed[table] = Some(agreed);
                ids[table] = IdTable::new(agreed);
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

    let wanted = origins.iter().filter_map(|o| if let Origin::File(at) = o { Some(*at) } else { None });
    let mask = ProjectionMask::roots(builder.parquet_schema(), wanted);
    check_pages(file, &pages_file, builder.metadata(), &mask)?;
    let rows_claimed = builder.metadata().file_metadata().num_rows();
    let reader =
        builder.with_projection(mask).with_batch_size(BATCH_ROWS).build().map_err(|e| damaged(&e))?;
    let clock = Clock { unit: config.time_unit, zone: config.time_zone.as_ref() };
    let mut first_row = 1;
    for batch in reader {
        let batch = batch.map_err(|e| damaged(&e))?;
        let rows = batch.num_rows();
        let mut columns = Vec::with_capacity(origins.len());
        for (spec, origin) in schema.columns.iter().zip(&origins) {
            columns.push(match origin {
                Origin::Absent => None,
                Origin::Partition(value) => Some(constant(file, schema, spec, value, rows, clock, &mut ids)?),
                Origin::File(at) => {
                    let array =
                        batch.column_by_name(&found[*at]).ok_or_else(|| damaged(&"a column is gone"))?;
                    let cells = columns::from_arrow(array, spec.kind, clock, &mut ids);
                    Some(
                        cells
                            .map_err(|e| Error::damaged(&file.name, format!("column {}: {e}", spec.name)))?,
                    )
                }
            });
        }
        each(&Batch { first_row, rows, columns, misfits: Vec::new() })?;
        first_row += rows as u64;
    }
    if first_row - 1 != rows_claimed as u64 {
        return Err(damaged(&format!("its footer claims {rows_claimed} rows, {} were read", first_row - 1)));
    }
    Ok(ids)
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
    wanted: &ProjectionMask,
) -> Result<()> {
    for group in metadata.row_groups() {
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

/// A column whose every cell is the value of a partition folder.
fn constant(
    file: &InputFile,
    schema: &Schema,
    spec: &ColumnSpec,
    value: &str,
    rows: usize,
    clock: Clock<'_>,
    ids: &mut [IdTable],
) -> Result<Column> {
    Ok(match spec.kind {
        Kind::Id(_) if value.is_empty() => Column::Ids(vec![NO_KEY; rows]),
        Kind::Id(table) => {
            let mut buffer = String::new();
            let kind = ids[table].ids().kind();
            let key = match crate::ids::convert(Id::Text(value), kind, &mut buffer) {
                Some(id) => ids[table].key_or_insert(id),
                None => BAD_KEY,
            };
            Column::Ids(vec![key; rows])
        }
        Kind::Time => {
            let seconds =
                columns::time_from_text(value, clock).ok_or_else(|| no_zone(file, schema, spec.name))?;
            Column::Times(vec![seconds; rows])
        }
        Kind::Word(words) => Column::Words(vec![columns::word(value, words); rows]),
        Kind::Text => Column::Texts(vec![(!value.is_empty()).then(|| value.to_string()); rows]),
    })
}

fn read_csv(
    file: &InputFile,
    schema: &Schema,
    config: &TableConfig,
    delimiter: u8,
    each: &mut dyn FnMut(&Batch) -> Result<()>,
) -> Result<Vec<IdTable>> {
    let open = File::open(&file.path).map_err(Error::storage(&file.path, "opening"))?;
    let failed = |e: csv::Error| match e.into_kind() {
        csv::ErrorKind::Io(e) => Error::storage(&file.path, "reading")(e),
        other => Error::damaged(&file.name, format!("{other:?}")),
    };
    let quotes = Cell::new(0_u64);
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(delimiter)
        .flexible(true)
        .from_reader(QuoteCount { file: open, quotes: &quotes });
    let header = reader.byte_headers().map_err(failed)?;
    let names: Vec<String> = header
        .iter()
        .enumerate()
        .map(|(at, name)| {
            let name = String::from_utf8_lossy(name);
            // Spreadsheets put a byte-order mark before the first name.
            let name = if at == 0 { name.trim_start_matches('\u{feff}') } else { &name };
            name.trim().to_string()
        })
        .collect();
    if names.iter().all(String::is_empty) {
        return Err(Error::input(
            &file.name,
            "expected a header line with column names, found an empty file",
            "deliver the header even on a day without rows",
        ));
    }
    let origins = locate(file, schema, config, &names)?;
    let clock = Clock { unit: config.time_unit, zone: config.time_zone.as_ref() };
    let mut ids = vec![IdTable::new(IdType::Text); schema.id_tables];
    let mut lines: Vec<csv::ByteRecord> = Vec::with_capacity(BATCH_ROWS);
    let mut last = csv::ByteRecord::new();
    let mut first_row = 1;
    loop {
        lines.clear();
        let mut line = csv::ByteRecord::new();
        while lines.len() < BATCH_ROWS && reader.read_byte_record(&mut line).map_err(failed)? {
            lines.push(line.clone());
        }
        if lines.is_empty() {
            // A quote that is never closed swallows every row behind it into one cell.
            let swallowed = last.iter().any(|cell| cell.contains(&b'\n'));
            if swallowed && !quotes.get().is_multiple_of(2) {
                return Err(Error::damaged(&file.name, "a quotation mark is opened and never closed"));
            }
            return Ok(ids);
        }
        last = lines[lines.len() - 1].clone();
        let misfits = (0..lines.len()).filter(|row| lines[*row].len() != names.len()).collect();
        let mut columns = Vec::with_capacity(origins.len());
        for (spec, origin) in schema.columns.iter().zip(&origins) {
            columns.push(match origin {
                Origin::Absent => None,
                Origin::Partition(value) => {
                    Some(constant(file, schema, spec, value, lines.len(), clock, &mut ids)?)
                }
                Origin::File(at) => {
                    let cells =
                        lines.iter().map(|line| std::str::from_utf8(line.get(*at).unwrap_or_default()));
                    if spec.kind == Kind::Time && clock.unit.is_none() && are_integers(cells.clone()) {
                        return Err(no_unit(file, schema, spec.name));
                    }
                    Some(text_cells(file, schema, spec, cells, clock, &mut ids)?)
                }
            });
        }
        each(&Batch { first_row, rows: lines.len(), columns, misfits })?;
        first_row += lines.len() as u64;
    }
}

/// Whether every cell that is not empty counts something, so that no row of the file could be used without a unit.
/// Eight digits are a date.
fn are_integers<'a>(cells: impl Iterator<Item = Result<&'a str, std::str::Utf8Error>>) -> bool {
    let is_integer = |cell: &str| cell.len() != 8 && cell.parse::<i64>().is_ok();
    let mut filled = cells.map(|cell| cell.unwrap_or("?").trim()).filter(|cell| !cell.is_empty()).peekable();
    filled.peek().is_some() && filled.all(is_integer)
}

/// A file that counts the quotation marks read from it.
struct QuoteCount<'a> {
    file: File,
    quotes: &'a Cell<u64>,
}

impl std::io::Read for QuoteCount<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.file.read(buffer)?;
        let quotes = buffer[..read].iter().filter(|byte| **byte == b'"').count();
        self.quotes.set(self.quotes.get() + quotes as u64);
        Ok(read)
    }
}

/// Text cells as a checked column; bytes that are not UTF-8 are unreadable cells.
fn text_cells<'a>(
    file: &InputFile,
    schema: &Schema,
    spec: &ColumnSpec,
    cells: impl Iterator<Item = Result<&'a str, std::str::Utf8Error>>,
    clock: Clock<'_>,
    ids: &mut [IdTable],
) -> Result<Column> {
    Ok(match spec.kind {
        Kind::Id(table) => {
            let key = |cell: Result<&str, _>| match cell {
                Ok("") => NO_KEY,
                Ok(id) => ids[table].key_or_insert(Id::Text(id)),
                Err(_) => BAD_KEY,
            };
            Column::Ids(cells.map(key).collect())
        }
        Kind::Time => {
            let time = |cell: Result<&str, _>| match cell {
                Ok(cell) => columns::time_from_text(cell, clock),
                Err(_) => Some(columns::BAD_TIME),
            };
            let times: Option<Vec<i64>> = cells.map(time).collect();
            Column::Times(times.ok_or_else(|| no_zone(file, schema, spec.name))?)
        }
        Kind::Word(words) => {
            let word = |cell: Result<&str, _>| cell.map_or(columns::BAD_WORD, |c| columns::word(c, words));
            Column::Words(cells.map(word).collect())
        }
        Kind::Text => {
            let text = |cell: Result<&str, _>| match cell {
                Ok("") => None,
                Ok(text) => Some(text.to_string()),
                Err(_) => Some(columns::BAD_TEXT.to_string()),
            };
            Column::Texts(cells.map(text).collect())
        }
    })
}

thread_local! {
    static QUIET: Cell<bool> = const { Cell::new(false) };
}

/// `f()`, or `None` if it panicked. Decoders of foreign formats have panics that hostile bytes can reach; such a
/// file costs an error with its name, not the process, and no backtrace with its content on the screen.
fn quiet_panics<T>(f: impl FnOnce() -> T) -> Option<T> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if !QUIET.get() {
                before(info);
            }
        }));
    });
    let outer = QUIET.replace(true);
    let result = catch_unwind(AssertUnwindSafe(f)).ok();
    QUIET.set(outer);
    result
}
