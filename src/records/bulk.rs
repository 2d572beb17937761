//! The large tables, scans and visits, read in pieces: every core has something to decode also where all rows are in
//! one file, and no more than some rows a core are held at once.

use std::ops::Range;

use rayon::prelude::*;

use crate::config::TableConfig;
use crate::error::Result;
use crate::ids::{IdTable, IdType};
use crate::records::files::Format;
use crate::records::rejects::{FileBalance, Reason, Reject};
use crate::records::scans::PERSONS;
use crate::records::table::{Batch, Schema, gave_up, quiet_panics};
use crate::records::{StampedFile, csv, first_fault, parquet};
use crate::time::Second;

/// What is wrong with a row: our name of the column, and how.
pub type Fault = (&'static str, Reason);

/// Accepted rows of a large table, as columns.
pub trait BulkRows: Default + Send + Sync {
    /// The table.
    const SCHEMA: &'static Schema;
    /// Persons and venues, by the number of their table, a row each: tokens of integer ids, or keys into the piece's
    /// table of texts.
    fn ids(&self) -> [&[u64]; 2];
    /// First and last instant, a row each.
    fn spans(&self) -> (&[Second], &[Second]);
    /// Makes room for that many rows.
    fn reserve(&mut self, rows: usize);
    /// Appends all rows of a batch whose cells have no fault, column by column; none, if some row is not sound.
    fn append(&mut self, batch: &Batch) -> bool;
    /// Appends a row whose cells have no fault, or says what is wrong with it.
    fn accept(&mut self, batch: &Batch, row: usize) -> Option<Fault>;
}

/// Rows a piece: enough to make its overheads small, few enough that those of all threads take little memory.
pub const PIECE_ROWS: u64 = 1 << 18;

/// Some consecutive rows of a file that are read by one thread.
#[derive(Clone, Debug)]
pub struct Piece {
    /// Number of the file.
    pub file: usize,
    groups: Range<usize>,
    first_row: u64,
}

/// What a piece held besides its accepted rows.
pub struct PieceEnd {
    /// Its rows, accepted or not.
    pub rows: u64,
    /// Rejected rows, by row.
    pub rejects: Vec<Reject>,
    /// The id tables its rows refer to.
    pub ids: Vec<IdTable>,
}

/// The files of a large table, opened.
pub struct Bulk<'a> {
    schema: &'static Schema,
    config: &'a TableConfig,
    files: &'a [StampedFile],
    opened: Vec<Option<parquet::ParquetFile>>,
    persons_as_text: bool,
    piece_rows: u64,
    /// The pieces, in the order of files and rows.
    pub pieces: Vec<Piece>,
    /// About how many rows there are: exact for Parquet, at most so many for text.
    pub rows: u64,
}

/// Bytes of the shortest line of a usable row: two ids, two times, three commas, a line end.
const LINE_BYTES: u64 = 8;

impl<'a> Bulk<'a> {
    /// Opens the files as `T`'s table. With `persons_as_text` integer ids of persons are read as their texts.
    /// Row groups are read together up to `piece_rows`, and about as many rows are handed on at once.
    ///
    /// # Errors
    /// As for [`table::read`](super::table::read).
    pub fn open<T: BulkRows>(
        files: &'a [StampedFile],
        config: &'a TableConfig,
        persons_as_text: bool,
        piece_rows: u64,
    ) -> Result<Bulk<'a>> {
        let schema = T::SCHEMA;
        let open = |stamped: &StampedFile| match stamped.file.format {
            Format::Parquet => quiet_panics(|| parquet::open(&stamped.file, schema, config))
                .unwrap_or_else(|| Err(gave_up(&stamped.file)))
                .map(Some),
            _ => Ok(None),
        };
        let opened: Vec<_> = files.par_iter().map(open).collect::<Result<_>>()?;
        let (mut pieces, mut rows) = (Vec::new(), 0_u64);
        for (file, opened) in opened.iter().enumerate() {
            let Some(opened) = opened else {
                rows = rows.saturating_add(files[file].bytes / LINE_BYTES);
                pieces.push(Piece { file, groups: 0..0, first_row: 1 });
                continue;
            };
            let (mut first_row, mut held) = (1, 0);
            for (group, group_rows) in opened.group_rows().into_iter().enumerate() {
                match pieces.last_mut() {
                    Some(Piece { file: last, groups, .. })
                        if *last == file && held + group_rows <= piece_rows =>
                    {
                        groups.end = group + 1;
                        held += group_rows;
                    }
                    _ => {
                        pieces.push(Piece { file, groups: group..group + 1, first_row });
                        held = group_rows;
                    }
                }
                first_row += group_rows;
            }
            rows = rows.saturating_add(first_row - 1);
        }
        Ok(Bulk { schema, config, files, opened, persons_as_text, piece_rows, pieces, rows })
    }

    /// How many files there are.
    pub fn files(&self) -> usize {
        self.files.len()
    }

    /// The type of the ids of a file in table `table` of the schema, as they are read.
    pub fn id_type(&self, file: usize, table: usize) -> IdType {
        match &self.opened[file] {
            Some(open) if !(table == PERSONS && self.persons_as_text) => open.id_types[table],
            _ => IdType::Text,
        }
    }

    /// A file's balance before its rows are counted.
    pub fn balance(&self, file: usize) -> FileBalance {
        self.files[file].balance(self.schema.table, self.config)
    }

    /// Reads a piece and hands on its accepted rows, about as many at a time as a piece may have, with the id tables so far.
    ///
    /// # Errors
    /// As for [`table::read`](super::table::read); those of `each`.
    pub fn read<T: BulkRows>(
        &self,
        piece: &Piece,
        mut each: impl FnMut(T, &[IdTable]) -> Result<()>,
    ) -> Result<PieceEnd> {
        let file = &self.files[piece.file].file;
        let table = |table| IdTable::new(self.id_type(piece.file, table));
        let mut ids: Vec<IdTable> = (0..self.schema.id_tables).map(table).collect();
        let (mut total, mut rejects, mut rows) = (0, Vec::new(), T::default());
        let room = match &self.opened[piece.file] {
            Some(open) => open.group_rows()[piece.groups.clone()].iter().sum(),
            None => 0,
        };
        let mut sink = |batch: &Batch, ids: &[IdTable]| {
            if rows.ids()[PERSONS].is_empty() {
                // What is handed on is kept as it is: grown by doubling it would be up to half empty.
                rows.reserve((self.piece_rows.min(room - total.min(room)) as usize).max(batch.rows));
            }
            total += batch.rows as u64;
            if !(is_clean(self.schema, batch) && rows.append(batch)) {
                for row in 0..batch.rows {
                    let fault = first_fault(self.schema, batch, row).or_else(|| rows.accept(batch, row));
                    if let Some((column, reason)) = fault {
                        rejects.push(Reject { row: batch.first_row + row as u64, column, reason });
                    }
                }
            }
            if (rows.ids()[PERSONS].len() as u64) < self.piece_rows {
                return Ok(());
            }
            each(std::mem::take(&mut rows), ids)
        };
        quiet_panics(|| match &self.opened[piece.file] {
            Some(open) => {
                let rows = (piece.groups.clone(), piece.first_row);
                open.read(file, self.schema, self.config, rows, &mut ids, &mut sink)
            }
            None => csv::read(file, self.schema, self.config, &mut ids, &mut sink),
        })
        .unwrap_or_else(|| Err(gave_up(file)))?;
        if !rows.ids()[PERSONS].is_empty() {
            each(rows, &ids)?;
        }
        Ok(PieceEnd { rows: total, rejects, ids })
    }
}

/// Whether no cell of the batch has a fault.
fn is_clean(schema: &Schema, batch: &Batch) -> bool {
    let clean = |(spec, column): (&super::table::ColumnSpec, &Option<super::columns::Column>)| {
        column.as_ref().is_none_or(|column| column.is_clean(spec.required))
    };
    batch.misfits.is_empty() && schema.columns.iter().zip(&batch.columns).all(clean)
}
