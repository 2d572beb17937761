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
    pub persons: bool,
}

/// What the first reading showed. Ids are told by the number of their table: persons, venues.
pub struct Seen<T> {
    /// Where the rows of each file went, before merging.
    pub files: Vec<SeenFile>,
    /// By piece.
    pub pieces: Vec<SeenPiece<T>>,
    /// Ids that were read as text.
    pub texts: [Texts; 2],
    /// Distinct tokens of integer ids, signed and unsigned; those of persons only if they were to be remembered.
    pub tokens: [[Distinct; 2]; 2],
    /// Accepted rows by UTC day.
    pub days: BTreeMap<u32, DayRows>,
}

/// What the first reading showed of a file.
pub struct SeenFile {
    /// Every row that was not rejected counts as accepted.
    pub balance: FileBalance,
    /// Rejected rows, by row.
    pub rejects: Vec<Reject>,
    /// The least and the greatest of its integer ids of each table, as tokens.
    pub tokens: [Option<(u64, u64)>; 2],
}

/// What the first reading showed of a piece.
pub struct SeenPiece<T> {
    /// Its rows, if they were to be remembered.
    pub chunks: Vec<T>,
    /// By key in its table of texts, the key in [`Seen::texts`]; only with the rows.
    pub texts: [Vec<u32>; 2],
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
    let (texts, tokens) = (<[Texts; 2]>::default(), <[[Distinct; 2]; 2]>::default());
    let read_one = |piece: &crate::records::bulk::Piece| {
        let kinds = [PERSONS, VENUES].map(|table| bulk.id_type(piece.file, table));
        let (mut chunks, mut days, mut extremes) = (Vec::new(), BTreeMap::new(), [None; 2]);
        let mut used = <[Used; 2]>::default();
        let mut accepted = 0;
        let end = bulk.read(piece, |rows: T, ids| {
            accepted += rows.ids()[PERSONS].len() as u64;
            for table in [PERSONS, VENUES] {
                let cells = rows.ids()[table];
                if kinds[table] == IdType::Text {
                    used[table].mark(cells, ids[table].len());
                    continue;
                }
                let (least, most) = extremes[table].unwrap_or((u64::MAX, 0));
                let least = cells.iter().fold(least, |least, token| least.min(*token));
                extremes[table] = Some((least, cells.iter().fold(most, |most, token| most.max(*token))));
                let distinct = &tokens[table][usize::from(kinds[table] == IdType::Uint)];
                if table == VENUES {
                    distinct.add(&without_repeats(cells));
                } else if remember.persons {
                    distinct.add(cells);
                }
            }
            count_days(rows.spans(), &mut days);
            if remember.rows {
                chunks.push(rows);
            }
            Ok(())
        })?;
        let keys =
            [PERSONS, VENUES].map(|table| texts[table].add(piece.file as u32, &end.ids[table], &used[table]));
        let seen = SeenPiece {
            chunks,
            // A piece can name most texts there are: together they would take more than a group of days.
            texts: if remember.rows { keys } else { Default::default() },
            days: days.keys().next().copied().zip(days.keys().next_back().copied()),
        };
        Ok((seen, end.rows, accepted, end.rejects, extremes, days))
    };
    // The last pieces first, a few at a time: where the files are larger than the system's cache, it still holds what was
    // hashed last, and will hold the first days when they are read again.
    let blocks = bulk.pieces.par_iter().rev().by_uniform_blocks(4 * rayon::current_num_threads());
    let mut read: Vec<_> = blocks.map(read_one).collect::<Result<_>>()?;
    read.reverse();
    let file = |file| SeenFile { balance: bulk.balance(file), rejects: Vec::new(), tokens: [None; 2] };
    let mut files: Vec<SeenFile> = (0..bulk.files()).map(file).collect();
    let (mut pieces, mut all_days) = (Vec::with_capacity(read.len()), BTreeMap::new());
    for (piece, (seen, rows, accepted, rejects, extremes, days)) in bulk.pieces.iter().zip(read) {
        let file = &mut files[piece.file];
        file.balance.rows += rows;
        file.balance.accepted += accepted;
        file.balance.rejected += rejects.len() as u64;
        // Pieces come in the order of rows, and so do their rejects.
        file.rejects.extend(rejects);
        for (tokens, extremes) in file.tokens.iter_mut().zip(extremes) {
            *tokens = (*tokens).into_iter().chain(extremes).reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)));
        }
        for (day, more) in days {
            all_days.entry(day).and_modify(|rows: &mut DayRows| rows.add(more)).or_insert(more);
        }
        pieces.push(seen);
    }
    Ok(Seen { files, pieces, texts, tokens, days: all_days })
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

/// The tokens without most of those that came before: busy venues come again and again.
fn without_repeats(tokens: &[u64]) -> Vec<u64> {
    const RECENT: usize = 1 << 14;
    let Some(first) = tokens.first() else { return Vec::new() };
    // A token is looked for in one place only, so filling all with the first, which is kept, hides no other.
    let mut recent = vec![*first; RECENT];
    let mut kept = vec![*first];
    for token in tokens {
        // Multiplying by 2^64 over the golden ratio scatters tokens that follow each other (Knuth, 6.4).
        let place = token.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (u64::BITS - RECENT.trailing_zeros());
        let last = &mut recent[place as usize];
        if *last != *token {
            *last = *token;
            kept.push(*token);
        }
    }
    kept
}

/// Which keys accepted rows have: the ids of rejected rows must decide nothing.
#[derive(Default)]
struct Used(Vec<bool>);

impl Used {
    fn mark(&mut self, keys: &[u64], known: usize) {
        self.0.resize(known, false);
        keys.iter().for_each(|key| self.0[*key as usize] = true);
    }
}

/// The distinct texts of accepted rows.
#[derive(Default)]
pub struct Texts {
    collected: Mutex<Option<CollectedTexts>>,
}

/// Texts, keyed in no particular order.
pub struct CollectedTexts {
    /// The ids.
    pub ids: IdTable,
    /// By key, the first of the files that hold it.
    pub files: Vec<u32>,
}

impl Texts {
    /// The key here of each key of a piece's table; [`NO_KEY`] for ids that no accepted row has.
    fn add(&self, file: u32, ids: &IdTable, used: &Used) -> Vec<u32> {
        let mut keys = vec![NO_KEY; ids.len()];
        if !used.0.contains(&true) {
            return keys;
        }
        let mut collected = lock(&self.collected);
        let new = || CollectedTexts { ids: IdTable::new(IdType::Text), files: Vec::new() };
        let CollectedTexts { ids: all, files } = collected.get_or_insert_with(new);
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

    /// What was collected; `None` if there were no texts.
    pub fn into_collected(self) -> Option<CollectedTexts> {
        self.collected.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

/// Whether integer ids between these tokens of their own type are ids of the other integer type too.
pub fn fit_both_types((least, most): (u64, u64), kind: IdType) -> bool {
    if kind == IdType::Int { SIGN <= least } else { most < SIGN }
}
