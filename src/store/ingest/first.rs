//! The first reading of a delivery: every row checked and counted, its distinct ids found, and the rows kept if they fit.

use std::collections::BTreeMap;
use std::sync::Mutex;

use rayon::prelude::*;

use crate::error::Result;
use crate::ids::{IdTable, IdType, NO_KEY, SIGN};
use crate::records::bulk::{Bulk, BulkRows};
use crate::records::rejects::{FileBalance, Reject};
use crate::records::scans::{PERSONS, VENUES};
use crate::store::ingest::lock;
use crate::store::ingest::ranges::Distinct;
use crate::time::{DAY_S, Second, utc_day};

/// What to remember of the rows.
#[derive(Clone, Copy)]
pub struct Remember {
    /// The rows themselves.
    pub rows: bool,
    /// The distinct tokens of persons.
    pub tokens: bool,
}

/// What the first reading showed.
pub struct Seen<T> {
    /// Where the rows of each file went, before merging.
    pub files: Vec<SeenFile>,
    /// By piece.
    pub pieces: Vec<SeenPiece<T>>,
    /// Ids of persons that were read as text.
    pub texts: Collected,
    /// Ids of venues.
    pub venues: Collected,
    /// Distinct tokens of signed and of unsigned ids of persons, if they were to be remembered.
    pub tokens: [Distinct; 2],
    /// Accepted rows by UTC day.
    pub days: BTreeMap<u32, DayRows>,
}

/// What the first reading showed of a file.
pub struct SeenFile {
    /// Every row that was not rejected counts as accepted.
    pub balance: FileBalance,
    /// Rejected rows, by row.
    pub rejects: Vec<Reject>,
    /// The least and the greatest of its integer ids of persons, as tokens.
    pub tokens: Option<(u64, u64)>,
}

/// What the first reading showed of a piece.
pub struct SeenPiece<T> {
    /// Its rows, if they were to be remembered.
    pub chunks: Vec<T>,
    /// By key in its table of venues, the key in [`Seen::venues`].
    pub venues: Vec<u32>,
    /// By key in its table of texts of persons, the key in [`Seen::texts`].
    pub texts: Vec<u32>,
    /// First and last UTC day of its accepted rows.
    pub days: Option<(u32, u32)>,
}

/// Accepted rows that begin on one UTC day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DayRows {
    /// How many.
    pub rows: u64,
    /// First arrival.
    pub from: Second,
    /// Last departure.
    pub until: Second,
}

impl DayRows {
    fn add(&mut self, other: DayRows) {
        self.rows += other.rows;
        self.from = self.from.min(other.from);
        self.until = self.until.max(other.until);
    }
}

/// Reads every piece once.
///
/// # Errors
/// Those of reading the files.
pub fn read<T: BulkRows>(bulk: &Bulk<'_>, remember: Remember) -> Result<Seen<T>> {
    let (texts, venues, tokens) = (Collected::default(), Collected::default(), <[Distinct; 2]>::default());
    let read_one = |piece: &crate::records::bulk::Piece| {
        let person_type = bulk.id_type(piece.file, PERSONS);
        let (mut chunks, mut days, mut extremes) = (Vec::new(), BTreeMap::new(), None);
        let (mut used_venues, mut used_texts) = (Used::default(), Used::default());
        let mut accepted = 0;
        let end = bulk.read(piece, |rows: T, ids| {
            accepted += rows.persons().len() as u64;
            used_venues.mark(rows.venues().iter().map(|key| *key as usize), ids[VENUES].len());
            if person_type == IdType::Text {
                used_texts.mark(rows.persons().iter().map(|key| *key as usize), ids[PERSONS].len());
            } else {
                let (least, most) = extremes.unwrap_or((u64::MAX, 0));
                let least = rows.persons().iter().fold(least, |least, token| least.min(*token));
                extremes = Some((least, rows.persons().iter().fold(most, |most, token| most.max(*token))));
                if remember.tokens {
                    tokens[usize::from(person_type == IdType::Uint)].add(rows.persons());
                }
            }
            count_days(rows.spans(), &mut days);
            if remember.rows {
                chunks.push(rows);
            }
            Ok(())
        })?;
        let file = piece.file as u32;
        let seen = SeenPiece {
            chunks,
            venues: venues.add(file, &end.ids[VENUES], &used_venues),
            texts: texts.add(file, &end.ids[PERSONS], &used_texts),
            days: days.keys().next().copied().zip(days.keys().next_back().copied()),
        };
        Ok((seen, end.rows, accepted, end.rejects, extremes, days))
    };
    let read: Vec<_> = bulk.pieces.par_iter().map(read_one).collect::<Result<_>>()?;
    let file = |file| SeenFile { balance: bulk.balance(file), rejects: Vec::new(), tokens: None };
    let mut files: Vec<SeenFile> = (0..bulk.files()).map(file).collect();
    let (mut pieces, mut all_days) = (Vec::with_capacity(read.len()), BTreeMap::new());
    for (piece, (seen, rows, accepted, rejects, extremes, days)) in bulk.pieces.iter().zip(read) {
        let file = &mut files[piece.file];
        file.balance.rows += rows;
        file.balance.accepted += accepted;
        file.balance.rejected += rejects.len() as u64;
        // Pieces come in the order of rows, and so do their rejects.
        file.rejects.extend(rejects);
        file.tokens = file.tokens.into_iter().chain(extremes).reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)));
        for (day, more) in days {
            all_days.entry(day).and_modify(|rows: &mut DayRows| rows.add(more)).or_insert(more);
        }
        pieces.push(seen);
    }
    Ok(Seen { files, pieces, texts, venues, tokens, days: all_days })
}

fn count_days((from, until): (&[Second], &[Second]), days: &mut BTreeMap<u32, DayRows>) {
    let mut add = |day, more: DayRows| {
        days.entry(day).and_modify(|rows: &mut DayRows| rows.add(more)).or_insert(more);
    };
    let least = from.iter().fold(Second::MAX, |least, at| least.min(*at));
    let most = from.iter().fold(0, |most, at| most.max(*at));
    if utc_day(least) == utc_day(most) {
        let until = until.iter().fold(0, |most, at| most.max(*at));
        return add(utc_day(least), DayRows { rows: from.len() as u64, from: least, until });
    }
    let first = utc_day(least);
    let none = DayRows { rows: 0, from: Second::MAX, until: 0 };
    let mut counted = vec![none; (utc_day(most) - first) as usize + 1];
    for (from, until) in from.iter().zip(until) {
        counted[(from / DAY_S - first) as usize].add(DayRows { rows: 1, from: *from, until: *until });
    }
    (first..).zip(counted).filter(|(_, rows)| rows.rows > 0).for_each(|(day, rows)| add(day, rows));
}

/// Which keys accepted rows have: the ids of rejected rows must decide nothing.
#[derive(Default)]
struct Used(Vec<bool>);

impl Used {
    fn mark(&mut self, keys: impl Iterator<Item = usize>, known: usize) {
        self.0.resize(known, false);
        keys.for_each(|key| self.0[key] = true);
    }
}

/// The distinct ids of accepted rows, each in the type in which it was read.
#[derive(Default)]
pub struct Collected {
    tables: [Mutex<Option<CollectedIds>>; 3],
}

/// Ids of one type, keyed in no particular order.
pub struct CollectedIds {
    /// The ids.
    pub ids: IdTable,
    /// By key, the first of the files that hold it.
    pub files: Vec<u32>,
}

impl Collected {
    /// The key here of each key of a piece's table; [`NO_KEY`] for ids that no accepted row has.
    fn add(&self, file: u32, ids: &IdTable, used: &Used) -> Vec<u32> {
        let mut keys = vec![NO_KEY; ids.len()];
        if !used.0.contains(&true) {
            return keys;
        }
        let mut table = lock(&self.tables[ids.ids().kind() as usize]);
        let new = || CollectedIds { ids: IdTable::new(ids.ids().kind()), files: Vec::new() };
        let CollectedIds { ids: all, files } = table.get_or_insert_with(new);
        for (row, key) in keys.iter_mut().enumerate().filter(|(row, _)| used.0.get(*row) == Some(&true)) {
            *key = all.key_or_insert(ids.ids().get(row));
            if files.len() < all.len() {
                files.push(file);
            }
            let first = &mut files[*key as usize];
            *first = file.min(*first);
        }
        keys
    }

    /// What was collected, by type: signed, unsigned, text.
    pub fn into_tables(self) -> [Option<CollectedIds>; 3] {
        self.tables.map(|table| table.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner()))
    }
}

/// Whether integer ids between these tokens of their own type are ids of the other integer type too.
pub fn fit_both_types((least, most): (u64, u64), kind: IdType) -> bool {
    if kind == IdType::Int { SIGN <= least } else { most < SIGN }
}
