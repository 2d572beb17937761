//! Stage 1 of 8: foreign files -> checked rows and rejects.
//!
//! Every row of every file ends up accepted, merged or rejected; `rejects::FileBalance` is where that is counted.

pub mod bulk;
pub mod cases;
pub mod columns;
mod csv;
pub mod files;
pub mod pages;
mod parquet;
pub mod rejects;
pub mod scans;
pub mod table;
pub mod told;
pub mod venues;
pub mod windows;

use std::fs::File;
use std::sync::Arc;

use rayon::prelude::*;

use crate::config::TableConfig;
use crate::error::{Error, Result};
use crate::ids::IdTable;
use crate::schema::did_you_mean;
use crate::words::Words;
use files::{Format, InputFile};
use rejects::{FileBalance, Reason, Reject};
use table::{Batch, Schema, quiet_panics};

/// An input file and the hash that says whether it has been read before.
#[derive(Clone, Debug)]
pub struct StampedFile {
    /// The file.
    pub file: InputFile,
    /// Its length.
    pub bytes: u64,
    /// BLAKE3 of its bytes.
    pub blake3: String,
}

impl StampedFile {
    /// The file's balance before any of its rows is counted.
    fn balance(&self, table: &str, config: &TableConfig) -> FileBalance {
        FileBalance {
            table: table.into(),
            file: self.file.name.clone(),
            bytes: self.bytes,
            blake3: self.blake3.clone(),
            read_as: config.read_as(),
            rows: 0,
            accepted: 0,
            merged: 0,
            rejected: 0,
        }
    }
}

/// The files of a table with their hashes, sorted by name.
///
/// # Errors
/// `input` as for [`files::find`]; `storage` for a file that cannot be read.
pub fn stamp(table: &str, config: &TableConfig) -> Result<Vec<StampedFile>> {
    let found = files::find(table, config)?;
    found
        .into_par_iter()
        .map(|file| {
            let open = File::open(&file.path).map_err(Error::storage(&file.path, "opening"))?;
            let mut hasher = blake3::Hasher::new();
            hasher.update_reader(open).map_err(Error::storage(&file.path, "reading"))?;
            Ok(StampedFile { bytes: hasher.count(), blake3: hasher.finalize().to_hex().to_string(), file })
        })
        .collect()
}

/// Opens every file of a table and decodes its first rows, to find what would fail; says how many files there are.
///
/// # Errors
/// The first file's that cannot be read as the table.
pub fn probe(table: &str, config: &TableConfig) -> Result<String> {
    let schema = schema_of(table);
    let found = files::find(table, config)?;
    for file in &found {
        let mut rows = 0;
        // The first batch tells; the error that ends the reading there is ours.
        let read = table::read(file, schema, config, |batch| {
            rows = batch.rows;
            Err(Error::usage("enough", ""))
        });
        if rows == 0 {
            read?;
        }
    }
    let notes = misspelt(table, config)?.into_iter().map(|note| format!("; {}", note.en));
    Ok(format!("{} files can be read{}", found.len(), notes.collect::<String>()))
}

fn schema_of(table: &str) -> &'static Schema {
    match table {
        "scans" => &scans::SCANS,
        "visits" => &scans::VISITS,
        "venues" => &venues::VENUES,
        "cases" => &cases::CASES,
        "windows" => &windows::SCHEMA,
        "residences" => &venues::RESIDENCES,
        "communities" => &told::COMMUNITIES,
        "regions" => &told::REGIONS,
        "trips" => &told::TRIPS,
        _ => &told::TABLES.iter().find(|of| of.schema.table == table).expect("a table of facts").schema,
    }
}

/// Notes on columns that a table may have and its first or last file lacks, while that has one of nearly the same name, from
/// which nothing is read.
///
/// # Errors
/// `input` as for [`files::find`]; those of reading the names.
pub fn misspelt(table: &str, config: &TableConfig) -> Result<Vec<Words>> {
    let (schema, files) = (schema_of(table), files::find(table, config)?);
    let mut notes = Vec::new();
    for file in files.first().into_iter().chain(files.last().filter(|_| files.len() > 1)) {
        let quiet = quiet_panics(|| match file.format {
            Format::Parquet => parquet::names(file),
            Format::Csv | Format::Tsv => csv::names(file),
        });
        let found = quiet.unwrap_or_else(|| Err(table::gave_up(file)))?;
        let theirs = |column: &table::ColumnSpec| {
            config.columns.get(column.name).map_or(column.name.to_string(), String::clone)
        };
        let known: Vec<String> = schema.columns.iter().map(theirs).collect();
        let is_there =
            |name: &String| found.contains(name) || file.partitions.iter().any(|(key, _)| key == name);
        let absent = schema.columns.iter().zip(&known).filter(|(_, name)| !is_there(name));
        let absent: Vec<&'static str> = absent.map(|(column, _)| column.name).collect();
        for unused in found.iter().filter(|name| !known.contains(name)) {
            let begins = |meant: &&&str| {
                unused.len() >= 4 && (meant.starts_with(unused.as_str()) || unused.starts_with(**meant))
            };
            let near = absent.iter().find(begins).copied();
            // Three letters are near to too many others.
            let near =
                near.or_else(|| did_you_mean(unused, absent.iter().copied()).filter(|_| unused.len() >= 5));
            let Some(meant) = near else { continue };
            let (name, map) = (&file.name, format!("--map {table}.{meant}={unused}"));
            let note = Words::new(
                format!("{name}: nothing is read from its column {unused:?}; if {meant} is meant: {map}"),
                format!("{name}：列 {unused:?} 未被读取；如果是指 {meant}，请用 {map}"),
            );
            if !notes.contains(&note) {
                notes.push(note);
            }
        }
    }
    Ok(notes)
}

/// The accepted rows of one file, with ids as keys into the file's own tables.
pub struct FileRows<T> {
    /// Where its rows went; `merged` is still 0.
    pub balance: FileBalance,
    /// Rejected rows, by row.
    pub rejects: Vec<Reject>,
    /// Id tables by the number in the schema's `Id` columns.
    pub ids: Vec<IdTable>,
    /// Accepted rows.
    pub rows: T,
}

/// Accepted rows that can be counted, so that a row lost on the way shows in the balance.
pub trait Rows: Default + Send {
    /// How many there are.
    fn count(&self) -> u64;
}

impl<T: Send> Rows for Vec<T> {
    fn count(&self) -> u64 {
        self.len() as u64
    }
}

/// A row of an input file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InputRow {
    /// The file.
    pub file: Arc<str>,
    /// Its row there, from 1.
    pub row: u64,
}

/// Rows with their numbers in the file, from 1.
pub type Numbered<T> = Vec<(u64, T)>;

/// Reads every file in parallel and hands each row that has a fault to rejects, every other to `accept`.
///
/// `accept(rows, batch, row)` may still reject the row by returning its fault. Order of the result: as `files`.
fn read_files<T: Rows>(
    files: &[StampedFile],
    schema: &Schema,
    config: &TableConfig,
    accept: impl Fn(&mut T, &Batch, usize) -> Option<(&'static str, Reason)> + Sync,
) -> Result<Vec<FileRows<T>>> {
    let read_one = |stamped: &StampedFile| {
        let mut rows = T::default();
        let mut rejects = Vec::new();
        let mut total = 0;
        let ids = table::read(&stamped.file, schema, config, |batch| {
            total += batch.rows as u64;
            for row in 0..batch.rows {
                let fault = first_fault(schema, batch, row).or_else(|| accept(&mut rows, batch, row));
                if let Some((column, reason)) = fault {
                    rejects.push(Reject { row: batch.first_row + row as u64, column, reason });
                }
            }
            Ok(())
        })?;
        let rejected = rejects.len() as u64;
        let mut balance = stamped.balance(schema.table, config);
        (balance.rows, balance.accepted, balance.rejected) = (total, rows.count(), rejected);
        Ok(FileRows { balance, rejects, ids, rows })
    };
    files.par_iter().map(read_one).collect()
}

/// The first column of `row` with a fault, in the schema's order.
fn first_fault(schema: &Schema, batch: &Batch, row: usize) -> Option<(&'static str, Reason)> {
    if batch.misfits.binary_search(&row).is_ok() {
        return Some(("", Reason::FieldCount));
    }
    schema.columns.iter().zip(&batch.columns).find_map(|(spec, column)| {
        let reason = column.as_ref()?.fault(row, spec.required)?;
        Some((spec.name, reason))
    })
}
