//! Identifiers: the source's own strings or integers outside, dense `u32` keys inside.
//!
//! An id comes back out exactly as it came in: `"007"` stays text, a 64-bit pseudonym stays an integer of its type.

use std::cmp::Ordering;
use std::sync::{Arc, OnceLock};

use arrow::array::{ArrayRef, Int64Array, StringArray, UInt64Array};
use arrow::datatypes::DataType;
use foldhash::fast::FixedState;
use hashbrown::HashTable;
use serde::{Deserialize, Serialize};
use std::hash::BuildHasher;

/// The key of no one: an absent id.
pub const NO_KEY: u32 = u32::MAX;

/// As many persons or venues as keys can tell apart; the two keys above mark absent and unreadable ids.
pub const KEYS_MAX: usize = (NO_KEY - 1) as usize;

/// The bit by which the order of signed integers differs from that of the same bits unsigned.
pub const SIGN: u64 = 1 << 63;

/// The type ids have in the input, and so in every output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IdType {
    /// Signed integers of any width.
    Int,
    /// Unsigned 64-bit integers.
    Uint,
    /// Text; ordered by bytes.
    Text,
}

impl IdType {
    /// The word for messages.
    pub fn name(self) -> &'static str {
        match self {
            IdType::Int => "integer",
            IdType::Uint => "unsigned integer",
            IdType::Text => "text",
        }
    }

    /// The Arrow type ids of this type are written with.
    pub fn arrow(self) -> DataType {
        match self {
            IdType::Int => DataType::Int64,
            IdType::Uint => DataType::UInt64,
            IdType::Text => DataType::Utf8,
        }
    }
}

/// One id, borrowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Id<'a> {
    /// A signed integer.
    Int(i64),
    /// An unsigned integer.
    Uint(u64),
    /// Text.
    Text(&'a str),
}

impl std::fmt::Display for Id<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Id::Int(id) => id.fmt(f),
            Id::Uint(id) => id.fmt(f),
            Id::Text(id) => id.fmt(f),
        }
    }
}

/// A column of ids of one type. Integers of both kinds sit in one vector, unsigned ones as the same bits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdColumn {
    kind: IdType,
    ints: Vec<i64>,
    /// End of each text in `bytes`; the first text starts at 0.
    ends: Vec<usize>,
    bytes: String,
}

impl IdColumn {
    /// An empty column.
    pub fn new(kind: IdType) -> Self {
        IdColumn { kind, ints: Vec::new(), ends: Vec::new(), bytes: String::new() }
    }

    /// The type of every id in it.
    pub fn kind(&self) -> IdType {
        self.kind
    }

    /// How many ids it holds.
    pub fn len(&self) -> usize {
        if self.kind == IdType::Text { self.ends.len() } else { self.ints.len() }
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The integers, unsigned ones as the same bits; none for text.
    pub fn ints(&self) -> &[i64] {
        &self.ints
    }

    /// The id at `row`.
    pub fn get(&self, row: usize) -> Id<'_> {
        match self.kind {
            IdType::Int => Id::Int(self.ints[row]),
            IdType::Uint => Id::Uint(self.ints[row] as u64),
            IdType::Text => {
                let from = if row == 0 { 0 } else { self.ends[row - 1] };
                Id::Text(&self.bytes[from..self.ends[row]])
            }
        }
    }

    /// Appends an id.
    ///
    /// # Panics
    /// If the id is of another type: callers convert first, with [`convert`].
    pub fn push(&mut self, id: Id<'_>) {
        match (self.kind, id) {
            (IdType::Int, Id::Int(id)) => self.ints.push(id),
            (IdType::Uint, Id::Uint(id)) => self.ints.push(id as i64),
            (IdType::Text, Id::Text(id)) => {
                self.bytes.push_str(id);
                self.ends.push(self.bytes.len());
            }
            (kind, id) => panic!("a {} column cannot hold {id:?}", kind.name()),
        }
    }

    /// Whether every id is greater than the one before it.
    pub fn is_sorted(&self) -> bool {
        match self.kind {
            IdType::Int => self.ints.is_sorted_by(|a, b| a < b),
            IdType::Uint => self.ints.is_sorted_by(|a, b| (*a as u64) < *b as u64),
            IdType::Text => (1..self.len()).all(|row| self.get(row - 1) < self.get(row)),
        }
    }

    /// The ids at `rows`, in that order.
    pub fn take(&self, rows: &[u32]) -> IdColumn {
        let mut taken = IdColumn::new(self.kind);
        if self.kind != IdType::Text {
            taken.ints.extend(rows.iter().map(|row| self.ints[*row as usize]));
            return taken;
        }
        rows.iter().for_each(|row| taken.push(self.get(*row as usize)));
        taken
    }

    /// The row of an id in a sorted column of integers.
    ///
    /// # Panics
    /// If the column holds text.
    pub fn row_of(&self, id: Id<'_>) -> Option<u32> {
        let wanted = token(id)?;
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = low + (high - low) / 2;
            if self.token(middle) < wanted { low = middle + 1 } else { high = middle }
        }
        (low < self.len() && self.token(low) == wanted).then_some(low as u32)
    }

    /// A number for the integer id at `row`; numbers of a column are in the order of its ids.
    ///
    /// # Panics
    /// If the column holds text.
    pub fn token(&self, row: usize) -> u64 {
        match self.kind {
            IdType::Int => self.ints[row] as u64 ^ SIGN,
            IdType::Uint => self.ints[row] as u64,
            IdType::Text => unreachable!("text has no tokens"),
        }
    }

    /// Appends the integer ids that these tokens stand for.
    ///
    /// # Panics
    /// If the column holds text.
    pub fn extend_tokens(&mut self, tokens: &[u64]) {
        match self.kind {
            IdType::Int => self.ints.extend(tokens.iter().map(|token| (token ^ SIGN) as i64)),
            IdType::Uint => self.ints.extend(tokens.iter().map(|token| *token as i64)),
            IdType::Text => unreachable!("text has no tokens"),
        }
    }

    /// The rows in the order of the ids' own type: integers by value, text by bytes.
    pub fn sorted_rows(&self) -> Vec<u32> {
        let mut rows: Vec<u32> = (0..self.len() as u32).collect();
        rows.sort_unstable_by(|a, b| self.get(*a as usize).cmp(&self.get(*b as usize)));
        rows
    }

    /// The ids at `rows`, in that order; a row of [`NO_KEY`] becomes null.
    pub fn to_arrow(&self, rows: impl Iterator<Item = u32>) -> ArrayRef {
        let rows: Vec<u32> = rows.collect();
        let ints = || rows.iter().map(|row| self.ints[*row as usize]);
        if self.kind != IdType::Text && !rows.contains(&NO_KEY) {
            return match self.kind {
                IdType::Int => Arc::new(Int64Array::from_iter_values(ints())),
                _ => Arc::new(UInt64Array::from_iter_values(ints().map(|id| id as u64))),
            };
        }
        let rows = rows.into_iter();
        let some = |row: u32| (row != NO_KEY).then_some(row as usize);
        match self.kind {
            IdType::Int => Arc::new(rows.map(|r| some(r).map(|r| self.ints[r])).collect::<Int64Array>()),
            IdType::Uint => {
                Arc::new(rows.map(|r| some(r).map(|r| self.ints[r] as u64)).collect::<UInt64Array>())
            }
            IdType::Text => Arc::new(
                rows.map(|r| {
                    some(r).map(|r| match self.get(r) {
                        Id::Text(text) => text,
                        _ => unreachable!("a text column holds text"),
                    })
                })
                .collect::<StringArray>(),
            ),
        }
    }
}

/// `id` as an id of type `kind`: the same characters, or `None` where there is no such id (`007` is no integer).
/// The buffer holds the text of a converted number.
pub fn convert<'a>(id: Id<'a>, kind: IdType, buffer: &'a mut String) -> Option<Id<'a>> {
    match (kind, id) {
        (IdType::Int, Id::Int(_)) | (IdType::Uint, Id::Uint(_)) | (IdType::Text, Id::Text(_)) => Some(id),
        (IdType::Int, Id::Uint(id)) => i64::try_from(id).ok().map(Id::Int),
        (IdType::Uint, Id::Int(id)) => u64::try_from(id).ok().map(Id::Uint),
        (IdType::Text, id) => {
            use std::fmt::Write;
            buffer.clear();
            write!(buffer, "{id}").expect("writing to a String does not fail");
            Some(Id::Text(buffer))
        }
        (IdType::Int, Id::Text(text)) => {
            text.parse::<i64>().ok().filter(|id| id.to_string() == text).map(Id::Int)
        }
        (IdType::Uint, Id::Text(text)) => {
            text.parse::<u64>().ok().filter(|id| id.to_string() == text).map(Id::Uint)
        }
    }
}

/// The token of an integer id in a column of its type; `None` for text.
pub fn token(id: Id<'_>) -> Option<u64> {
    match id {
        Id::Int(id) => Some(id as u64 ^ SIGN),
        Id::Uint(id) => Some(id),
        Id::Text(_) => None,
    }
}

/// Integers of both kinds hash as their bits, so that a reader need not make an [`Id`] of each cell.
fn hash_of(hasher: &FixedState, id: Id<'_>) -> u64 {
    match id {
        Id::Int(id) => hasher.hash_one(id),
        Id::Uint(id) => hasher.hash_one(id as i64),
        Id::Text(id) => hasher.hash_one(id),
    }
}

/// An index of distinct ids.
fn index_of(ids: &IdColumn, hasher: &FixedState) -> HashTable<u32> {
    let hash = |row: &u32| hash_of(hasher, ids.get(*row as usize));
    let mut index = HashTable::with_capacity(ids.len());
    (0..ids.len() as u32).for_each(|row| {
        index.insert_unique(hash(&row), row, hash);
    });
    index
}

/// Ids with their keys: the key is the row at which the id stands.
#[derive(Clone)]
pub struct IdTable {
    ids: IdColumn,
    /// Made when the first key is asked for: millions of venues are read for their ids far more often.
    index: OnceLock<HashTable<u32>>,
    hasher: FixedState,
}

impl IdTable {
    /// A table of no ids.
    pub fn new(kind: IdType) -> Self {
        Self::from_column(IdColumn::new(kind))
    }

    /// A table of these ids, which must be distinct.
    pub fn from_column(ids: IdColumn) -> Self {
        IdTable { ids, index: OnceLock::new(), hasher: FixedState::default() }
    }

    fn index(&self) -> &HashTable<u32> {
        self.index.get_or_init(|| index_of(&self.ids, &self.hasher))
    }

    /// The ids, and the index to change.
    fn parts(&mut self) -> (&mut IdColumn, &mut HashTable<u32>, &FixedState) {
        self.index();
        (&mut self.ids, self.index.get_mut().expect("just made"), &self.hasher)
    }

    /// The ids, by key.
    pub fn ids(&self) -> &IdColumn {
        &self.ids
    }

    /// How many ids it knows.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether it knows none.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// The key of `id`, which may be of another type than the table's.
    pub fn key(&self, id: Id<'_>) -> Option<u32> {
        let mut buffer = String::new();
        let id = convert(id, self.ids.kind, &mut buffer)?;
        let hash = hash_of(&self.hasher, id);
        self.index().find(hash, |row| self.ids.get(*row as usize) == id).copied()
    }

    /// The key of `id`, appended if new. The id must be of the table's type.
    pub fn key_or_insert(&mut self, id: Id<'_>) -> u32 {
        let (ids, index, hasher) = self.parts();
        let hash = hash_of(hasher, id);
        if let Some(row) = index.find(hash, |row| ids.get(*row as usize) == id) {
            return *row;
        }
        let row = ids.len() as u32;
        assert!(row < NO_KEY - 1, "more than 4,294,967,293 distinct ids");
        ids.push(id);
        index.insert_unique(hash, row, |row| hash_of(hasher, ids.get(*row as usize)));
        row
    }

    /// The key of the integer id with these bits.
    pub fn int_key(&self, bits: i64) -> Option<u32> {
        let hash = self.hasher.hash_one(bits);
        self.index().find(hash, |row| self.ids.ints[*row as usize] == bits).copied()
    }

    /// The key of the integer id with these bits, appended if new: [`key_or_insert`](Self::key_or_insert) without
    /// a look at the type, for columns of a table of integers.
    #[inline]
    pub fn int_key_or_insert(&mut self, bits: i64) -> u32 {
        let (ids, index, hasher) = self.parts();
        match index.find(hasher.hash_one(bits), |row| ids.ints[*row as usize] == bits) {
            Some(row) => *row,
            None if ids.kind == IdType::Uint => self.key_or_insert(Id::Uint(bits as u64)),
            None => self.key_or_insert(Id::Int(bits)),
        }
    }

    /// Each key's place in the order of the ids' own type: `ranks[key]`, from 0.
    pub fn ranks(&self) -> Vec<u32> {
        if self.is_sorted() {
            return (0..self.len() as u32).collect();
        }
        let mut ranks = vec![0; self.len()];
        for (rank, row) in self.ids.sorted_rows().into_iter().enumerate() {
            ranks[row as usize] = rank as u32;
        }
        ranks
    }

    /// Whether the order of keys is the order of ids.
    pub fn is_sorted(&self) -> bool {
        self.ids.is_sorted()
    }

    /// Adds every id of `other` that is new, in the order of the ids' type, so that the keys do not depend on the
    /// order in which rows or files arrived. Returns the key here for each key there; `None` marks an id that has
    /// no counterpart in this table's type.
    pub fn absorb(&mut self, others: &[&IdTable]) -> Vec<Vec<Option<u32>>> {
        let mut new = IdTable::new(self.ids.kind);
        let mut buffer = String::new();
        for other in others {
            for row in 0..other.len() {
                let Some(id) = convert(other.ids.get(row), self.ids.kind, &mut buffer) else { continue };
                if self.key(id).is_none() {
                    new.key_or_insert(id);
                }
            }
        }
        for row in new.ids.sorted_rows() {
            self.key_or_insert(new.ids.get(row as usize));
        }
        let keys = |other: &&IdTable| (0..other.len()).map(|row| self.key(other.ids.get(row))).collect();
        others.iter().map(keys).collect()
    }
}

/// Orders two ids of one type; ids of different types, which no single input has, by their text.
pub fn compare(a: Id<'_>, b: Id<'_>) -> Ordering {
    match (a, b) {
        (Id::Int(a), Id::Int(b)) => a.cmp(&b),
        (Id::Uint(a), Id::Uint(b)) => a.cmp(&b),
        (Id::Text(a), Id::Text(b)) => a.cmp(b),
        (a, b) => a.to_string().cmp(&b.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(ids: &[&str]) -> IdTable {
        let mut table = IdTable::new(IdType::Text);
        ids.iter().for_each(|id| {
            table.key_or_insert(Id::Text(id));
        });
        table
    }

    #[test]
    fn keys_do_not_depend_on_arrival_order() {
        let (mut one, mut two) = (table(&["m"]), table(&["m"]));
        one.absorb(&[&table(&["z", "a"]), &table(&["m", "k"])]);
        two.absorb(&[&table(&["k", "z"]), &table(&["a"])]);
        assert_eq!(one.ids(), two.ids());
        assert_eq!(one.key(Id::Text("m")), Some(0), "known ids keep their keys");
        assert_eq!(one.ranks(), [2, 0, 1, 3], "m, a, k, z");
    }

    #[test]
    fn an_id_is_never_rewritten() {
        let mut buffer = String::new();
        assert_eq!(convert(Id::Text("7"), IdType::Int, &mut buffer), Some(Id::Int(7)));
        for odd in ["007", "+7", " 7", "7.0", "９"] {
            assert_eq!(convert(Id::Text(odd), IdType::Int, &mut buffer), None, "{odd}");
        }
        assert_eq!(convert(Id::Int(-7), IdType::Text, &mut buffer), Some(Id::Text("-7")));
        assert_eq!(convert(Id::Int(-7), IdType::Uint, &mut buffer), None);
        let mut column = IdColumn::new(IdType::Uint);
        column.push(Id::Uint(u64::MAX));
        assert_eq!(column.get(0), Id::Uint(u64::MAX));
    }
}
