//! Person ids by key, read only as far as they are asked for.
//!
//! Keys are given in the order of ids within each ingest, so a store's ids are a few sorted runs: an id is found by
//! bisection, and the ids of the persons a trace reached by reading their pages. No one else's id is touched.

use std::path::Path;
use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::{Field, Schema};
use rayon::prelude::*;

use crate::error::{Error, Result};
use crate::ids::{self, Id, IdColumn, IdTable, IdType, NO_KEY, SIGN, convert};
use crate::store::format::{self, Layout};
use crate::store::manifest::DataFile;
use crate::store::paged::{PagedWriter, encode};
use crate::store::pages::PagedFile;
use crate::store::publish::{read_content, write_content};

/// Writes the ids that one ingest adds, in key order; integers with a page index, whose starts are their tokens.
///
/// # Errors
/// `storage`.
///
/// # Panics
/// If they are not sorted.
pub fn write(store: &Path, ids: &IdColumn, layout: Layout) -> Result<DataFile> {
    assert!(ids.is_sorted(), "new ids get their keys in order");
    if ids.kind() == IdType::Text {
        return write_content(store, FOLDER, ids.len() as u64, &format::texts_to_bytes(ids)?);
    }
    let schema = Schema::new(vec![Field::new(format::PERSON_ID, ids.kind().arrow(), false)]);
    let mut file = PagedWriter::create(store, FOLDER, Arc::new(schema), layout, 1)?;
    let column = file.columns().remove(0);
    let sign = if ids.kind() == IdType::Int { SIGN } else { 0 };
    for rows in ids.ints().chunks(layout.group_rows()) {
        let encoded = encode(rows, layout.page_rows, column.clone(), sign, |id| *id as u64);
        let pages = rows.chunks(layout.page_rows).map(|page| (page.len(), page[0] as u64 ^ sign, 0));
        file.write_group(vec![encoded], pages)?;
    }
    file.finish(store)
}

const FOLDER: &str = "persons";

/// Person ids by key: those of the visits first, then those of persons without visits.
#[derive(Clone)]
pub struct Persons {
    known: Arc<Known>,
    more: IdTable,
}

enum Known {
    /// All of them in memory.
    Table(IdTable),
    /// Integers, all of them in memory, in their order.
    Sorted(IdColumn),
    /// In files, each sorted by id.
    Runs(Vec<Run>),
}

/// The ids one ingest added, in their order, as tokens that compare as the ids do.
struct Run {
    first_key: u32,
    file: PagedFile,
    signed: bool,
}

/// Ids of at least this share of all are read in one pass over the runs.
const ALL_AT_ONCE: usize = 64;

impl Persons {
    /// Ids that are all in memory.
    pub fn held(ids: IdTable) -> Persons {
        let more = IdTable::new(ids.ids().kind());
        Persons { known: Arc::new(Known::Table(ids)), more }
    }

    /// Distinct ids that are all in memory. Integers in their order are found by bisection, for which nothing is built.
    pub fn of_column(ids: IdColumn) -> Persons {
        if ids.kind() == IdType::Text || !ids.is_sorted() {
            return Persons::held(IdTable::from_column(ids));
        }
        let more = IdTable::new(ids.kind());
        Persons { known: Arc::new(Known::Sorted(ids)), more }
    }

    /// The ids of a store. Text ids are read into memory.
    ///
    /// # Errors
    /// `storage`; `integrity` if a file is not as published.
    pub fn stored(store: &Path, kind: IdType, files: &[DataFile]) -> Result<Persons> {
        if kind == IdType::Text {
            let ids = Persons::load(store, kind, files)?;
            return Ok(Persons::held(IdTable::from_column(ids)));
        }
        let mut runs = Vec::new();
        let mut first_key = 0;
        for file in files {
            let signed = kind == IdType::Int;
            runs.push(Run { first_key, file: PagedFile::open(store, file)?, signed });
            first_key += file.rows as u32;
        }
        Ok(Persons { known: Arc::new(Known::Runs(runs)), more: IdTable::new(kind) })
    }

    /// Every id of a store, by key.
    ///
    /// # Errors
    /// As for [`Persons::stored`].
    pub fn load(store: &Path, kind: IdType, files: &[DataFile]) -> Result<IdColumn> {
        let mut ids = IdColumn::new(kind);
        for file in files {
            format::ids_from_bytes(read_content(store, file)?, &file.path, &mut ids)?;
        }
        let rows: u64 = files.iter().map(|f| f.rows).sum();
        if rows != ids.len() as u64 {
            return Err(Error::integrity(
                "the store's id tables do not hold the rows its manifest names",
                "restore the store from a copy, or ingest into a new one",
            ));
        }
        Ok(ids)
    }

    /// The type of the ids.
    pub fn kind(&self) -> IdType {
        self.more.ids().kind()
    }

    /// How many persons have visits.
    pub fn with_visits(&self) -> usize {
        match &*self.known {
            Known::Table(ids) => ids.len(),
            Known::Sorted(ids) => ids.len(),
            Known::Runs(runs) => runs.iter().map(|run| run.file.rows).sum(),
        }
    }

    /// How many persons there are.
    pub fn len(&self) -> usize {
        self.with_visits() + self.more.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether the order of keys is the order of ids, for everyone with visits.
    pub fn in_key_order(&self) -> bool {
        match &*self.known {
            Known::Table(ids) => ids.is_sorted(),
            Known::Sorted(_) => true,
            Known::Runs(runs) => runs.len() <= 1,
        }
    }

    /// The key of `id`, which may be of another type than the table's.
    ///
    /// # Errors
    /// `storage`; `integrity` if a file is not as published.
    pub fn key(&self, id: Id<'_>) -> Result<Option<u32>> {
        let mut buffer = String::new();
        let Some(id) = convert(id, self.kind(), &mut buffer) else { return Ok(None) };
        let known = match &*self.known {
            Known::Table(ids) => ids.key(id),
            Known::Sorted(ids) => ids.row_of(id),
            Known::Runs(runs) => find(runs, ids::token(id).expect("runs hold integers"))?,
        };
        Ok(known.or_else(|| Some(self.with_visits() as u32 + self.more.key(id)?)))
    }

    /// Adds every id of `others` that is new, in the order of the ids' type; the key here for each key there. `None`
    /// marks an id that has no counterpart in this table's type.
    ///
    /// # Errors
    /// As for [`Persons::key`].
    pub fn absorb(&mut self, others: &[&IdTable]) -> Result<Vec<Vec<Option<u32>>>> {
        if self.is_empty() {
            // The first ids decide what type ids have.
            if let Some(kind) = crate::store::ingest::type_of_tables(others.iter().copied()) {
                *self = Persons::held(IdTable::new(kind));
            }
        }
        let mut all: Vec<Vec<Option<u32>>> =
            others.iter().map(|other| self.keys(other.ids())).collect::<Result<_>>()?;
        let mut new = IdTable::new(self.kind());
        let mut buffer = String::new();
        for (other, keys) in others.iter().zip(&all) {
            for row in (0..other.len()).filter(|row| keys[*row].is_none()) {
                if let Some(id) = convert(other.ids().get(row), self.kind(), &mut buffer) {
                    new.key_or_insert(id);
                }
            }
        }
        self.more.absorb(&[&new]);
        let stored = self.with_visits() as u32;
        for (other, keys) in others.iter().zip(&mut all) {
            for (row, key) in keys.iter_mut().enumerate().filter(|(_, key)| key.is_none()) {
                let id = convert(other.ids().get(row), self.kind(), &mut buffer);
                *key = id.and_then(|id| Some(stored + self.more.key(id)?));
            }
        }
        Ok(all)
    }

    /// The key of each of these ids, as [`Persons::key`]; many are found in the order of the ids, each page read once.
    ///
    /// # Errors
    /// As for [`Persons::key`].
    pub fn keys(&self, others: &IdColumn) -> Result<Vec<Option<u32>>> {
        let Known::Runs(runs) = &*self.known else {
            return (0..others.len()).map(|row| self.key(others.get(row))).collect();
        };
        let mut buffer = String::new();
        let mut keys = vec![None; others.len()];
        let mut wanted: Vec<(u64, u32)> = Vec::new();
        for (row, key) in keys.iter_mut().enumerate() {
            let Some(id) = convert(others.get(row), self.kind(), &mut buffer) else { continue };
            *key = self.more.key(id).map(|more| self.with_visits() as u32 + more);
            wanted.push((ids::token(id).expect("runs hold integers"), row as u32));
        }
        wanted.par_sort_unstable();
        let together = wanted.len().div_ceil(rayon::current_num_threads()).clamp(64, 1 << 14);
        let found: Vec<Vec<(u32, u32)>> =
            wanted.par_chunks(together).map(|wanted| find_all(runs, wanted)).collect::<Result<_>>()?;
        found.into_iter().flatten().for_each(|(row, key)| keys[row as usize] = Some(key));
        Ok(keys)
    }

    /// The ids of `keys`, in that order.
    ///
    /// # Errors
    /// As for [`Persons::key`].
    pub fn ids(&self, keys: &[u32]) -> Result<IdColumn> {
        let known = self.with_visits() as u32;
        let in_memory = |ids: &IdColumn| {
            let mut column = IdColumn::new(self.kind());
            for key in keys {
                column.push(match key.checked_sub(known) {
                    None => ids.get(*key as usize),
                    Some(more) => self.more.ids().get(more as usize),
                });
            }
            column
        };
        let runs = match &*self.known {
            Known::Table(ids) => return Ok(in_memory(ids.ids())),
            Known::Sorted(ids) => return Ok(in_memory(ids)),
            Known::Runs(runs) => runs,
        };
        if keys.is_sorted() {
            return self.ids_in_order(runs, keys);
        }
        let mut order: Vec<u32> = (0..keys.len() as u32).collect();
        order.par_sort_unstable_by_key(|at| keys[*at as usize]);
        let sorted: Vec<u32> = order.iter().map(|at| keys[*at as usize]).collect();
        let found = self.ids_in_order(runs, &sorted)?;
        let mut place = vec![0; keys.len()];
        (0..).zip(&order).for_each(|(from, to)| place[*to as usize] = from);
        Ok(found.take(&place))
    }

    /// The ids of `keys`, as a column that has nulls for [`NO_KEY`].
    ///
    /// # Errors
    /// As for [`Persons::key`].
    pub fn to_arrow(&self, keys: &[u32]) -> Result<ArrayRef> {
        if !keys.contains(&NO_KEY) {
            return Ok(self.ids(keys)?.to_arrow(0..keys.len() as u32));
        }
        let some: Vec<u32> = keys.iter().copied().filter(|key| *key != NO_KEY).collect();
        let ids = self.ids(&some)?;
        let mut at = 0;
        let rows = keys.iter().map(|key| {
            if *key == NO_KEY {
                return NO_KEY;
            }
            at += 1;
            at - 1
        });
        Ok(ids.to_arrow(rows))
    }

    fn ids_in_order(&self, runs: &[Run], keys: &[u32]) -> Result<IdColumn> {
        let mut column = IdColumn::new(self.kind());
        let known = self.with_visits() as u32;
        let (stored, more) = keys.split_at(keys.partition_point(|key| *key < known));
        let mut rest = stored;
        for run in runs {
            let end = run.first_key + run.file.rows as u32;
            let (own, later) = rest.split_at(rest.partition_point(|key| *key < end));
            rest = later;
            let whole = own.len() * ALL_AT_ONCE >= run.file.rows;
            let chunks: Result<Vec<Vec<u64>>> =
                own.par_chunks(if whole { 1 << 18 } else { 1 << 14 }).map(|keys| run.tokens(keys)).collect();
            for tokens in chunks? {
                column.extend_tokens(&tokens);
            }
        }
        for key in more {
            column.push(self.more.ids().get((key - known) as usize));
        }
        Ok(column)
    }
}

fn find(runs: &[Run], token: u64) -> Result<Option<u32>> {
    Ok(find_all(runs, &[(token, 0)])?.first().map(|(_, key)| *key))
}

/// The row and key of every one of these tokens, in their order, that a run holds.
fn find_all(runs: &[Run], wanted: &[(u64, u32)]) -> Result<Vec<(u32, u32)>> {
    let mut found = Vec::new();
    let mut values: Vec<u64> = Vec::new();
    for run in runs {
        let mut read = None;
        for (token, row) in wanted {
            // Ids are distinct, so the last page that starts no later holds the id if any does.
            let Some(page) = run.file.starts.partition_point(|start| start <= token).checked_sub(1) else {
                continue;
            };
            if read != Some(page) {
                values.clear();
                run.tokens_of(page..page + 1, &mut values)?;
                read = Some(page);
            }
            if let Ok(at) = values.binary_search(token) {
                found.push((*row, run.first_key + (run.file.rows_of(&(page..page + 1)).start + at) as u32));
            }
        }
    }
    Ok(found)
}

impl Run {
    /// The tokens of sorted keys of this run.
    fn tokens(&self, keys: &[u32]) -> Result<Vec<u64>> {
        let mut tokens = Vec::with_capacity(keys.len());
        let mut values: Vec<u64> = Vec::new();
        let row = |key: u32| (key - self.first_key) as usize;
        let mut at = 0;
        while at < keys.len() {
            // Pages next to each other are read together.
            let first = self.file.page_of(row(keys[at]));
            let mut last = first;
            let mut end = at + 1;
            while end < keys.len() && self.file.page_of(row(keys[end])) <= last + 1 && last < first + 256 {
                last = self.file.page_of(row(keys[end]));
                end += 1;
            }
            let pages = first..last + 1;
            let offset = self.file.rows_of(&pages).start;
            values.clear();
            self.tokens_of(pages, &mut values)?;
            tokens.extend(keys[at..end].iter().map(|key| values[row(*key) - offset]));
            at = end;
        }
        Ok(tokens)
    }

    fn tokens_of(&self, pages: std::ops::Range<usize>, out: &mut Vec<u64>) -> Result<()> {
        let from = out.len();
        self.file.locate(pages.clone())?.read(0, pages, out)?;
        if self.signed {
            out[from..].iter_mut().for_each(|bits| *bits ^= SIGN);
        }
        Ok(())
    }
}
