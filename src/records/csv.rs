//! Delimited text as batches of checked columns.

use std::cell::Cell;
use std::fs::File;

use crate::config::TableConfig;
use crate::error::{Error, Result};
use crate::ids::{Id, IdTable, NO_KEY};
use crate::records::columns::{self, BAD_KEY, Clock, Column, Kind};
use crate::records::files::{Format, InputFile};
use crate::records::table::{
    BATCH_ROWS, Batch, ColumnSpec, Origin, Schema, constant, locate, no_unit, no_zone,
};

/// Line breaks that the cells of one row may hold, such as a name of three lines; with more, a quotation mark is out of place.
const LINES_MAX: usize = 6;

/// Reads `file` batch by batch; every id is text.
///
/// # Errors
/// As for [`table::read`](super::table::read).
pub(super) fn read(
    file: &InputFile,
    schema: &Schema,
    config: &TableConfig,
    ids: &mut [IdTable],
    each: &mut dyn FnMut(&Batch, &[IdTable]) -> Result<()>,
) -> Result<()> {
    let delimiter = if file.format == Format::Tsv { b'\t' } else { b',' };
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
    let names = names_in(reader.byte_headers().map_err(failed)?);
    if names.iter().all(String::is_empty) {
        return Err(Error::input(
            &file.name,
            "expected a header line with column names, found an empty file",
            "deliver the header even on a day without rows",
        ));
    }
    let origins = locate(file, schema, config, &names)?;
    let clock = Clock { unit: config.time_unit, zone: config.time_zone.as_ref() };
    let mut lines: Vec<csv::ByteRecord> = Vec::with_capacity(BATCH_ROWS);
    let mut last = csv::ByteRecord::new();
    let mut first_row = 1;
    loop {
        lines.clear();
        let mut line = csv::ByteRecord::new();
        while lines.len() < BATCH_ROWS && reader.read_byte_record(&mut line).map_err(failed)? {
            // Not a clone: that is as long as the longest line so far, and one long line would take all memory.
            let mut own = csv::ByteRecord::with_capacity(line.as_slice().len(), line.len());
            own.extend(line.iter());
            lines.push(own);
        }
        if lines.is_empty() {
            // A quote that is never closed swallows every row behind it into one cell.
            if line_breaks(&last) > 0 && !quotes.get().is_multiple_of(2) {
                let row = first_row - 1;
                let what = format!("a quotation mark is opened in row {row} and never closed");
                return Err(Error::damaged(&file.name, what));
            }
            return Ok(());
        }
        last = lines[lines.len() - 1].clone();
        let misfits: Vec<usize> = (0..lines.len()).filter(|row| lines[*row].len() != names.len()).collect();
        let is_last = |row: usize| row + 1 == lines.len() && !quotes.get().is_multiple_of(2);
        let swallows = |row: &usize| {
            let most = if lines[*row].len() == names.len() { LINES_MAX } else { 0 };
            line_breaks(&lines[*row]) > most && !is_last(*row)
        };
        if let Some(row) = (0..lines.len()).find(swallows) {
            let (number, breaks) = (first_row + row as u64, line_breaks(&lines[row]));
            return Err(Error::damaged(
                &file.name,
                format!(
                    "a quotation mark is opened in row {number} and closed only {breaks} lines later: the rows between would be lost"
                ),
            ));
        }
        let mut columns = Vec::with_capacity(origins.len());
        for (spec, origin) in schema.columns.iter().zip(&origins) {
            columns.push(match origin {
                Origin::Absent => None,
                Origin::Partition(value) => {
                    Some(constant(file, schema, spec, value, lines.len(), clock, ids)?)
                }
                Origin::File(at) => {
                    let cells =
                        lines.iter().map(|line| std::str::from_utf8(line.get(*at).unwrap_or_default()));
                    if spec.kind == Kind::Time && clock.unit.is_none() && are_integers(cells.clone()) {
                        return Err(no_unit(file, schema, spec.name));
                    }
                    Some(text_cells(file, schema, spec, cells, clock, ids)?)
                }
            });
        }
        each(&Batch { first_row, rows: lines.len(), columns, misfits }, ids)?;
        first_row += lines.len() as u64;
    }
}

/// The names of a file's columns.
///
/// # Errors
/// `storage` or `damaged` if its first line cannot be read.
pub(super) fn names(file: &InputFile) -> Result<Vec<String>> {
    let delimiter = if file.format == Format::Tsv { b'\t' } else { b',' };
    let open = File::open(&file.path).map_err(Error::storage(&file.path, "opening"))?;
    let mut reader = csv::ReaderBuilder::new().delimiter(delimiter).flexible(true).from_reader(open);
    let failed = |e: csv::Error| Error::damaged(&file.name, e);
    Ok(names_in(reader.byte_headers().map_err(failed)?))
}

fn names_in(header: &csv::ByteRecord) -> Vec<String> {
    let name = |(at, name): (usize, &[u8])| {
        let name = String::from_utf8_lossy(name);
        // Spreadsheets put a byte-order mark before the first name.
        let name = if at == 0 { name.trim_start_matches('\u{feff}') } else { &name };
        name.trim().to_string()
    };
    header.iter().enumerate().map(name).collect()
}

/// Line breaks in the cells of a row.
fn line_breaks(row: &csv::ByteRecord) -> usize {
    row.as_slice().iter().filter(|byte| matches!(**byte, b'\n' | b'\r')).count()
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
        Kind::Id(table) | Kind::Token(table) => {
            let keys = cells.map(|cell| match cell {
                Ok("") => NO_KEY,
                Ok(id) => ids[table].key_or_insert(Id::Text(id)),
                Err(_) => BAD_KEY,
            });
            match spec.kind {
                Kind::Token(_) => Column::Tokens(keys.collect()),
                _ => Column::Ids(keys.collect()),
            }
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
        Kind::Celsius | Kind::Sensor => {
            let degrees = |cell: Result<&str, _>| columns::degrees(cell.unwrap_or("?"), spec.kind);
            Column::Celsius(cells.map(degrees).collect())
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
