//! Published tables read back: by `explain`, `query` and the next night.

use std::collections::HashSet;
use std::path::Path;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Int64Type, UInt64Type};

use crate::colors::Scheme;
use crate::error::{Error, Result};
use crate::ids::Id;
use crate::outputs::csv::plain;
use crate::outputs::record::RunRecord;
use crate::store::format::table_from_bytes;
use crate::store::publish::read_published;

/// A published run's folder with its record.
pub struct Run {
    folder: std::path::PathBuf,
    /// What `run.json` says.
    pub record: RunRecord,
}

impl Run {
    /// The run in `folder`.
    ///
    /// # Errors
    /// `usage` if there is none; `integrity` if its record does not read.
    pub fn open(folder: &Path) -> Result<Run> {
        let path = folder.join("run.json");
        let text = match std::fs::read_to_string(&path) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                return Err(Error::usage(
                    format!("{}: no published run here", folder.display()),
                    "give the folder of one night, such as runs/2022-03-14",
                ));
            }
            other => other.map_err(Error::storage(&path, "reading"))?,
        };
        let record = serde_json::from_str(&text).map_err(|e| {
            Error::integrity(
                format!("{}: not a run record: {e}", path.display()),
                "restore the run from a copy",
            )
        })?;
        Ok(Run { folder: folder.into(), record })
    }

    /// The scheme it was colored by, as it was then.
    ///
    /// # Errors
    /// `integrity` if the pack is not as published; `storage`.
    pub fn scheme(&self) -> Result<Scheme> {
        Scheme::from_text(&String::from_utf8_lossy(&self.bytes("scheme.toml")?), "scheme.toml")
    }

    /// Checks that every file of the run is as published.
    ///
    /// # Errors
    /// `integrity` for the first that is not; `storage`.
    pub fn check(&self) -> Result<()> {
        self.record.outputs.iter().try_for_each(|output| self.bytes(&output.path).map(drop))
    }

    /// A published file's bytes.
    fn bytes(&self, name: &str) -> Result<Vec<u8>> {
        let output = self.record.outputs.iter().find(|o| o.path == name).ok_or_else(|| {
            let names: Vec<&str> = self.tables().collect();
            Error::usage(format!("this run has no {name}"), format!("tables: {}", names.join(", ")))
        })?;
        read_published(&self.folder.join(name), &output.blake3)
    }

    /// The names of its tables.
    pub fn tables(&self) -> impl Iterator<Item = &str> {
        self.record.outputs.iter().filter_map(|o| o.path.strip_suffix(".parquet"))
    }

    /// One of its tables.
    ///
    /// # Errors
    /// `integrity` if it is not the file that was published; `storage`.
    pub fn table(&self, name: &str) -> Result<Table> {
        let file = format!("{name}.parquet");
        let bytes = self.bytes(&file)?;
        Ok(Table { batch: table_from_bytes(bytes, &file)?, name: file })
    }
}

/// A table read back.
pub struct Table {
    /// Its rows.
    pub batch: RecordBatch,
    name: String,
}

impl Table {
    /// How many rows.
    pub fn len(&self) -> usize {
        self.batch.num_rows()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The column of that name.
    ///
    /// # Errors
    /// `damaged` if there is none.
    pub fn column(&self, name: &str) -> Result<&ArrayRef> {
        self.batch.column_by_name(name).ok_or_else(|| Error::damaged(&self.name, format!("no column {name}")))
    }

    /// A cell as text; `None` for null.
    ///
    /// # Errors
    /// `damaged` if there is no such column.
    pub fn text(&self, name: &str, row: usize) -> Result<Option<String>> {
        Ok(plain(self.column(name)?, row))
    }

    /// The rows whose cell reads `text`.
    ///
    /// # Errors
    /// `damaged` if there is no such column.
    pub fn rows_where(&self, name: &str, text: &str) -> Result<Vec<usize>> {
        self.rows_among(name, &HashSet::from([text.to_string()]))
    }

    /// The rows whose cell reads one of `texts`.
    ///
    /// # Errors
    /// `damaged` if there is no such column.
    pub fn rows_among(&self, name: &str, texts: &HashSet<String>) -> Result<Vec<usize>> {
        let column = self.column(name)?;
        let rows = 0..self.len();
        // Millions of ids are compared as they are, not made into text one by one.
        if let Some(cells) = column.as_primitive_opt::<Int64Type>() {
            let same = |text: &String| text.parse::<i64>().ok().filter(|id| id.to_string() == *text);
            let ids: HashSet<i64> = texts.iter().filter_map(same).collect();
            return Ok(rows.filter(|row| cells.is_valid(*row) && ids.contains(&cells.value(*row))).collect());
        }
        if let Some(cells) = column.as_string_opt::<i32>() {
            return Ok(rows
                .filter(|row| cells.is_valid(*row) && texts.contains(cells.value(*row)))
                .collect());
        }
        Ok(rows.filter(|row| plain(column, *row).is_some_and(|cell| texts.contains(&cell))).collect())
    }
}

/// The id at `row` of an id column.
pub fn id_at(column: &ArrayRef, row: usize) -> Id<'_> {
    match column.data_type() {
        DataType::Int64 => Id::Int(column.as_primitive::<Int64Type>().value(row)),
        DataType::UInt64 => Id::Uint(column.as_primitive::<UInt64Type>().value(row)),
        _ => Id::Text(column.as_string::<i32>().value(row)),
    }
}
