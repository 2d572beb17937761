//! CSV that a spreadsheet opens as data: no cell is ever a formula, no file is longer than a sheet.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{
    DataType, Date32Type, Int64Type, TimeUnit, TimestampMicrosecondType, UInt8Type, UInt32Type, UInt64Type,
};

use rayon::prelude::*;

use crate::error::{Error, Result};
use crate::store::publish;
use crate::time::format_utc;

/// Rows a spreadsheet can hold below a header.
pub const ROWS_MAX: usize = 1_048_575;

/// Rows that one core turns into text at once.
const PIECE: usize = 1 << 14;

/// A text cell as it may stand in a CSV file: one that a spreadsheet would take for a formula gets an apostrophe in
/// front, and so does one that has an apostrophe there already, so that the first can always be taken off again.
///
/// Source: OWASP ASVS 5, 1.2.10, with the full-width signs that spreadsheets normalise and leading white space.
pub fn safe(text: &str) -> Cow<'_, str> {
    let first = text.trim_start().chars().next();
    let formula = matches!(first, Some('=' | '+' | '-' | '@' | '＝' | '＋' | '－' | '＠' | '|' | '%'));
    let control = text.starts_with(['\t', '\r', '\n', '\0', '\u{feff}']);
    if formula || control || text.starts_with('\'') { format!("'{text}").into() } else { text.into() }
}

/// As [`safe`], but a text that is a finite number stays one: for answers whose columns have lost their types.
pub fn safe_unless_number(text: &str) -> String {
    if text.parse::<f64>().is_ok_and(f64::is_finite) { text.to_string() } else { safe(text).into_owned() }
}

/// One cell as text; `None` for null. Numbers and times stay as they are, text is made safe.
pub fn cell(array: &ArrayRef, row: usize) -> Option<Cow<'_, str>> {
    match array.data_type() {
        DataType::Utf8 => array.is_valid(row).then(|| safe(array.as_string::<i32>().value(row))),
        _ => plain(array, row).map(Cow::Owned),
    }
}

/// One cell as text, as it is.
///
/// # Panics
/// If the column is of a type that no table of ours has.
pub fn plain(array: &ArrayRef, row: usize) -> Option<String> {
    if array.is_null(row) {
        return None;
    }
    Some(match array.data_type() {
        DataType::Utf8 => array.as_string::<i32>().value(row).to_string(),
        DataType::Int64 => array.as_primitive::<Int64Type>().value(row).to_string(),
        DataType::UInt64 => array.as_primitive::<UInt64Type>().value(row).to_string(),
        DataType::UInt32 => array.as_primitive::<UInt32Type>().value(row).to_string(),
        DataType::UInt8 => array.as_primitive::<UInt8Type>().value(row).to_string(),
        DataType::Date32 => {
            let days = array.as_primitive::<Date32Type>().value(row);
            let epoch = jiff::civil::Date::constant(1970, 1, 1);
            epoch.saturating_add(jiff::Span::new().days(i64::from(days))).to_string()
        }
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            let micros = array.as_primitive::<TimestampMicrosecondType>().value(row);
            format_utc(u32::try_from(micros.div_euclid(1_000_000)).unwrap_or(u32::MAX))
        }
        other => panic!("no table of ours has a column of type {other}"),
    })
}

/// Who opens a file first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reader {
    /// A spreadsheet, which takes a file without a byte-order mark for one in a local code page, and Chinese for noise.
    Spreadsheet,
    /// A program, which would take that mark for a part of the first column's name.
    Program,
}

/// Writes the rows `rows` of a table, in parts of at most [`ROWS_MAX`] rows: `name.csv`, `name.2.csv`, …
/// Returns the files written.
///
/// # Errors
/// `storage`.
pub fn write(
    folder: &Path,
    name: &str,
    table: &RecordBatch,
    rows: &[u32],
    reader: Reader,
) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let parts = rows.chunks(ROWS_MAX).chain(rows.is_empty().then_some(rows));
    for (part, rows) in parts.enumerate() {
        let file = if part == 0 { format!("{name}.csv") } else { format!("{name}.{}.csv", part + 1) };
        let path = folder.join(file);
        let failed = |e: csv::Error| Error::storage(&path, "writing")(std::io::Error::other(e));
        let mark = if reader == Reader::Spreadsheet { "\u{feff}" } else { "" };
        let mut writer = csv::Writer::from_writer(Vec::from(mark));
        writer.write_record(table.schema().fields().iter().map(|f| f.name().as_str())).map_err(failed)?;
        let flushed = |writer: csv::Writer<Vec<u8>>| {
            writer.into_inner().map_err(|e| Error::storage(&path, "writing")(e.into_error()))
        };
        let mut bytes = flushed(writer)?;
        let encode = |rows: &[u32]| {
            let mut writer = csv::Writer::from_writer(Vec::new());
            for row in rows {
                for column in table.columns() {
                    let text = cell(column, *row as usize).unwrap_or_default();
                    writer.write_field(text.as_bytes()).map_err(failed)?;
                }
                writer.write_record(None::<&[u8]>).map_err(failed)?;
            }
            flushed(writer)
        };
        let pieces: Result<Vec<Vec<u8>>> = rows.par_chunks(PIECE).map(encode).collect();
        pieces?.iter().for_each(|piece| bytes.extend(piece));
        publish::write_file(&path, &bytes)?;
        files.push(path);
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outputs::tables::{table, texts};
    use std::sync::Arc;

    #[test]
    fn no_text_becomes_a_formula_and_every_text_comes_back() {
        let starts = [
            "=",
            "+",
            "-",
            "@",
            "\t",
            "\r",
            "\n",
            "\0",
            "＝",
            "＋",
            "－",
            "＠",
            " =",
            "\u{feff}=",
            "'",
            "|",
            "%",
            "",
            "x",
            "张",
        ];
        for start in starts {
            for rest in ["", "1+1", "cmd|' /C calc'!A0", "HYPERLINK(\"http://x\")"] {
                let text = format!("{start}{rest}");
                let written = safe(&text);
                let first = written.trim_start().chars().next();
                assert!(
                    !matches!(first, Some('=' | '+' | '-' | '@' | '＝' | '＋' | '－' | '＠')),
                    "{text:?}"
                );
                assert_eq!(written.strip_prefix('\'').unwrap_or(&written), text);
            }
        }
    }

    #[test]
    fn numbers_stay_numbers_and_files_hold_the_rows_asked_for() {
        let folder = tempfile::tempdir().unwrap();
        let numbers: ArrayRef = Arc::new(arrow::array::Int64Array::from(vec![Some(-5), None, Some(7)]));
        let batch =
            table(vec![("person_id", numbers), ("name", texts([Some("-5"), Some("a,b"), None].into_iter()))]);
        let files = write(folder.path(), "red", &batch, &[0, 1], Reader::Spreadsheet).unwrap();
        let text = std::fs::read_to_string(&files[0]).unwrap();
        assert_eq!(text, "\u{feff}person_id,name\n-5,'-5\n,\"a,b\"\n");
        let none = write(folder.path(), "none", &batch, &[], Reader::Program).unwrap();
        assert_eq!(
            std::fs::read_to_string(&none[0]).unwrap(),
            "person_id,name\n",
            "an empty list is a file too"
        );
    }
}
