//! Published tables read back: by `explain`, `query` and the next night.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, UInt64Array};
use arrow::compute::take_record_batch;
use arrow::datatypes::{DataType, Int64Type, TimeUnit, UInt64Type};

use crate::colors::Scheme;
use crate::error::{Error, Result};
use crate::ids::Id;
use crate::outputs::csv::plain;
use crate::outputs::lookup::{self, Part};
use crate::outputs::record::{Balance, RunRecord};
use crate::store::format::{columns_from_bytes, table_from_bytes};
use crate::store::publish::{self, read_published};
use crate::time;

/// Bytes of a table that is read whole, and so checked, when a few of its rows are asked for.
const WHOLE_MAX: u64 = 64 << 10;

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

    /// The scheme it was colored by, as it was then, with the zone of the night.
    ///
    /// # Errors
    /// `integrity` if the pack is not as published; `storage`.
    pub fn scheme(&self) -> Result<Scheme> {
        let text = self.bytes("scheme.toml")?;
        let mut scheme = Scheme::from_text(&String::from_utf8_lossy(&text), "scheme.toml")?;
        scheme.time_zone = time::zone(&self.record.identity.time_zone)?;
        Ok(scheme)
    }

    /// Checks that every file of the run is as published.
    ///
    /// # Errors
    /// `integrity` for the first that is not; `storage`.
    pub fn check(&self) -> Result<()> {
        self.record.outputs.iter().try_for_each(|output| self.bytes(&output.path).map(drop))
    }

    /// As [`Run::check`], and that there is no other file, but for hidden ones, and that its record adds up.
    ///
    /// # Errors
    /// As for [`Run::check`].
    pub fn check_whole(&self) -> Result<()> {
        self.check()?;
        if Balance::of(&self.record.inputs)? != self.record.balance {
            return Err(changed(&self.folder, "run.json: its balance is not the sum of its inputs"));
        }
        let name = self.folder.file_name().unwrap_or_default().to_string_lossy();
        if name.parse::<jiff::civil::Date>().is_ok() && name != self.record.date {
            return Err(changed(&self.folder, "run.json: it is of another date than its folder"));
        }
        let published: HashSet<PathBuf> =
            self.record.outputs.iter().map(|output| self.folder.join(&output.path)).collect();
        let mut folders = vec![self.folder.clone()];
        while let Some(folder) = folders.pop() {
            for path in publish::list(&folder)? {
                let name = path.file_name().unwrap_or_default().to_string_lossy();
                if name.starts_with('.') {
                    continue;
                }
                if path.is_dir() {
                    folders.push(path);
                } else if !published.contains(&path) && path != self.folder.join("run.json") {
                    return Err(changed(&path, "was not published with the run"));
                }
            }
        }
        Ok(())
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

    /// The rows of one of its tables whose cell in a column reads one of `texts`. A small table is checked whole; of a large
    /// one only the pages are read that can hold such rows.
    ///
    /// # Errors
    /// As for [`Run::table`].
    pub fn lookup(&self, name: &str, column: &str, texts: &HashSet<String>) -> Result<Table> {
        self.lookup_in(name, (column, texts), Part::WHOLE)
    }

    /// As [`Run::lookup`], in a part of the table at least.
    ///
    /// # Errors
    /// As for [`Run::table`].
    pub fn lookup_in(
        &self,
        name: &str,
        (column, texts): (&str, &HashSet<String>),
        part: Part<'_>,
    ) -> Result<Table> {
        let file = format!("{name}.parquet");
        let small = self.record.outputs.iter().all(|output| output.path != file || output.bytes <= WHOLE_MAX);
        if small {
            let table = self.table(name)?;
            let rows = table.rows_among(column, texts)?.into_iter().map(|row| row as u64);
            let rows = UInt64Array::from_iter_values(rows);
            let batch = take_record_batch(&table.batch, &rows).map_err(|e| Error::damaged(&file, e))?;
            return Ok(Table { batch, name: file });
        }
        lookup::rows(&self.folder.join(&file), &file, (column, texts), part)
    }

    /// Some columns of one of its tables.
    ///
    /// # Errors
    /// As for [`Run::table`].
    pub fn table_columns(&self, name: &str, columns: &[&str]) -> Result<RecordBatch> {
        let file = format!("{name}.parquet");
        let bytes = self.bytes(&file)?;
        columns_from_bytes(bytes, &file, columns)
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

fn changed(path: &Path, what: &str) -> Error {
    Error::integrity(format!("{}: {what}", path.display()), "restore the run from a copy")
}

/// A table read back.
pub struct Table {
    /// Its rows.
    pub batch: RecordBatch,
    name: String,
}

impl Table {
    /// Rows read from the table of that name.
    pub fn new(batch: RecordBatch, name: &str) -> Table {
        Table { batch, name: name.into() }
    }

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
        let column = self.column(name)?;
        if !is_ours(column.data_type()) {
            return Err(Error::damaged(&self.name, format!("column {name} is of another type")));
        }
        Ok(plain(column, row))
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
        Ok(Among::new(column.data_type(), texts).rows(column))
    }
}

/// Cells to look for, as the column holds them: millions of ids are compared as they are, not made into text one by one.
pub enum Among {
    /// Integers, sorted.
    Ints(Vec<i64>),
    /// Unsigned integers, sorted.
    Uints(Vec<u64>),
    /// Anything else, by its text.
    Texts(HashSet<String>),
}

impl Among {
    /// `texts` in a column of that type.
    pub fn new(holds: &DataType, texts: &HashSet<String>) -> Among {
        fn sorted<T: Ord + ToString + std::str::FromStr>(texts: &HashSet<String>) -> Vec<T> {
            let same = |text: &String| text.parse::<T>().ok().filter(|id| id.to_string() == *text);
            let mut ids: Vec<T> = texts.iter().filter_map(same).collect();
            ids.sort_unstable();
            ids
        }
        match holds {
            DataType::Int64 => Among::Ints(sorted(texts)),
            DataType::UInt64 => Among::Uints(sorted(texts)),
            _ => Among::Texts(texts.clone()),
        }
    }

    /// The rows of the column that hold one of them.
    pub fn rows(&self, column: &ArrayRef) -> Vec<usize> {
        let rows = (0..column.len()).filter(|row| column.is_valid(*row));
        match self {
            Among::Ints(ids) => {
                let cells = column.as_primitive::<Int64Type>();
                if column.null_count() == 0 && cells.values().is_sorted() {
                    let found = |id: &i64| {
                        let from = cells.values().partition_point(|cell| cell < id);
                        from..from + cells.values()[from..].partition_point(|cell| cell <= id)
                    };
                    return ids.iter().flat_map(found).collect();
                }
                rows.filter(|row| ids.binary_search(&cells.value(*row)).is_ok()).collect()
            }
            Among::Uints(ids) => {
                let cells = column.as_primitive::<UInt64Type>();
                rows.filter(|row| ids.binary_search(&cells.value(*row)).is_ok()).collect()
            }
            Among::Texts(texts) => match column.as_string_opt::<i32>() {
                Some(cells) => rows.filter(|row| texts.contains(cells.value(*row))).collect(),
                None => {
                    rows.filter(|row| plain(column, *row).is_some_and(|cell| texts.contains(&cell))).collect()
                }
            },
        }
    }

    /// Whether one of them can lie between the bounds of a page, of which the column gives the least and greatest cell.
    pub fn can_be_in(&self, least: &ArrayRef, most: &ArrayRef, page: usize) -> bool {
        if least.is_null(page) || most.is_null(page) {
            return true;
        }
        match (self, id_at(least, page), id_at(most, page)) {
            (Among::Ints(ids), Id::Int(least), Id::Int(most)) => {
                ids.get(ids.partition_point(|id| *id < least)).is_some_and(|id| *id <= most)
            }
            (Among::Uints(ids), Id::Uint(least), Id::Uint(most)) => {
                ids.get(ids.partition_point(|id| *id < least)).is_some_and(|id| *id <= most)
            }
            (Among::Texts(texts), Id::Text(least), Id::Text(most)) => {
                texts.iter().any(|text| least <= text.as_str() && text.as_str() <= most)
            }
            _ => true,
        }
    }
}

/// Whether tables of ours have columns of this type.
fn is_ours(holds: &DataType) -> bool {
    matches!(
        holds,
        DataType::Utf8
            | DataType::Int64
            | DataType::UInt64
            | DataType::UInt32
            | DataType::UInt8
            | DataType::Date32
            | DataType::Timestamp(TimeUnit::Microsecond, _)
    )
}

/// The id at `row` of an id column.
pub fn id_at(column: &ArrayRef, row: usize) -> Id<'_> {
    match column.data_type() {
        DataType::Int64 => Id::Int(column.as_primitive::<Int64Type>().value(row)),
        DataType::UInt64 => Id::Uint(column.as_primitive::<UInt64Type>().value(row)),
        _ => Id::Text(column.as_string::<i32>().value(row)),
    }
}
