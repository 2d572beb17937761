//! Rows in any order -> visits of whole days in the order of the by-person copy, joined where they overlap or touch.
//!
//! ```text
//! rows ──by range of persons──▶ buckets ──sort by person, arrival──▶ runs of one person ──join──▶ stays by day
//! ```
//!
//! A bucket fits the cache, and buckets follow each other in the order of persons, so nothing is sorted twice.

use std::sync::Mutex;

use rayon::prelude::*;

use crate::store::copies::StatedStay;
use crate::store::ingest::lock;
use crate::store::ingest::ranges::Ranges;
use crate::time::{Second, utc_day};

/// A visit and where it comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// Token of the person.
    pub person: u64,
    /// Venue key.
    pub venue: u32,
    /// Start.
    pub arrived: Second,
    /// End.
    pub left: Second,
    /// Where it comes from.
    pub origin: Origin,
}

/// Where a row comes from: a file, or what the store holds already.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Origin(u32);

impl Origin {
    /// Stored before this ingest, on a day that is being written anew. It sorts before what is new, so that a new
    /// row that says nothing new is the one merged.
    pub const STORED: Origin = Origin(0);
    /// Stored on a day that is not being written now: a change of it is an [`Edit`].
    pub const OUTSIDE: Origin = Origin(Self::OUT);

    const OUT: u32 = 1 << 31;
    const CARRIED: u32 = 1 << 30;

    /// A row of the file of that number.
    pub fn file(file: usize) -> Origin {
        Origin(file as u32 + 1)
    }

    fn is_outside(self) -> bool {
        self.0 & Self::OUT != 0
    }

    /// Written by this ingest with an earlier group of days.
    fn is_carried(self) -> bool {
        self.0 & Self::CARRIED != 0
    }

    fn source(self) -> u32 {
        self.0 & !(Self::OUT | Self::CARRIED)
    }
}

/// A change of a visit on a day that is not being written now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Edit {
    /// Token of the person.
    pub person: u64,
    /// Venue key.
    pub venue: u32,
    /// Start.
    pub arrived: Second,
    /// Its end from now on; `None` if it is part of an earlier visit from now on.
    pub left: Option<Second>,
}

/// Days that are written together.
pub struct Days {
    days: Vec<u32>,
    slots: Vec<u32>,
    /// The first instant of what is written later.
    next: Second,
}

impl Days {
    /// These days, in order; what is written later arrives at `next` or after.
    pub fn new(days: Vec<u32>, next: Second) -> Days {
        let (first, last) = (days.first().copied().unwrap_or(0), days.last().copied().unwrap_or(0));
        let mut slots = vec![u32::MAX; (last - first) as usize + 1];
        for (slot, day) in days.iter().enumerate() {
            slots[(day - first) as usize] = slot as u32;
        }
        Days { days, slots, next }
    }

    /// The days.
    pub fn list(&self) -> &[u32] {
        &self.days
    }

    /// The place of the day of an instant among them, if it is one of them.
    #[inline]
    pub fn slot(&self, at: Second) -> Option<usize> {
        let from_first = utc_day(at).wrapping_sub(*self.days.first()?) as usize;
        self.slots.get(from_first).map(|slot| *slot as usize).filter(|slot| *slot < self.days.len())
    }
}

/// Rows by range of persons, filled by several threads.
pub struct Buckets {
    ranges: Ranges,
    parts: Vec<Mutex<Vec<Vec<Row>>>>,
}

/// Rows a bucket: what sorts within a core's own cache.
pub const BUCKET_ROWS: u64 = 32 << 10;
/// More buckets would be written to with a cache miss each.
pub const BUCKETS_MAX: u64 = 1_024;

impl Buckets {
    /// Empty ones.
    pub fn new(ranges: Ranges) -> Buckets {
        let parts = (0..ranges.len()).map(|_| Mutex::default()).collect();
        Buckets { ranges, parts }
    }

    /// Adds rows.
    pub fn add(&self, rows: impl Iterator<Item = Row> + Clone) {
        let mut buckets: Vec<u16> = Vec::with_capacity(rows.size_hint().1.unwrap_or(0));
        buckets.extend(rows.clone().map(|row| self.ranges.of(row.person) as u16));
        let mut counts = vec![0_usize; self.parts.len()];
        buckets.iter().for_each(|bucket| counts[usize::from(*bucket)] += 1);
        let mut split: Vec<Vec<Row>> = counts.into_iter().map(Vec::with_capacity).collect();
        for (row, bucket) in rows.zip(&buckets) {
            split[usize::from(*bucket)].push(row);
        }
        for (part, rows) in self.parts.iter().zip(split).filter(|(_, rows)| !rows.is_empty()) {
            lock(part).push(rows);
        }
    }

    /// What they make, bucket by bucket in the order of persons. The order in which rows came shows nowhere.
    pub fn join(self, days: &Days) -> Vec<Joined> {
        let join = |rows: &mut Vec<Row>, part: Mutex<Vec<Vec<Row>>>| {
            let parts = part.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner());
            rows.clear();
            rows.reserve(parts.iter().map(Vec::len).sum());
            parts.into_iter().for_each(|part| rows.extend_from_slice(&part));
            Joined::of(rows, days)
        };
        self.parts.into_par_iter().map_init(Vec::new, join).collect()
    }
}

/// The visits of a bucket's persons.
#[derive(Default)]
pub struct Joined {
    /// Tokens of its persons, sorted.
    pub persons: Vec<u64>,
    /// By place of the day: its visits by person, arrival, venue. Persons are places among those above until they
    /// have keys.
    pub days: Vec<Vec<StatedStay>>,
    /// File numbers of rows that repeat or prolong another.
    pub merged: Vec<u32>,
    /// Changes of visits on other days.
    pub edits: Vec<Edit>,
    /// Visits that what is written later can touch.
    pub carried: Vec<Row>,
}

impl Joined {
    fn of(rows: &mut [Row], days: &Days) -> Joined {
        // One comparison of two words; what is equal in it is put in order below, where it overlaps.
        rows.sort_unstable_by_key(|row| u128::from(row.person) << 32 | u128::from(row.arrived));
        let mut counts = vec![0; days.days.len()];
        for row in rows.iter().filter(|row| !row.origin.is_outside()) {
            days.slot(row.arrived).into_iter().for_each(|slot| counts[slot] += 1);
        }
        let mut joined =
            Joined { days: counts.into_iter().map(Vec::with_capacity).collect(), ..Joined::default() };
        for run in rows.chunk_by_mut(|a, b| a.person == b.person) {
            joined.persons.push(run[0].person);
            // Most persons are nowhere twice at once, and then there is nothing to join.
            if run.is_sorted_by(|before, after| before.left < after.arrived) {
                run.iter().for_each(|row| joined.place(*row, days));
            } else {
                joined.overlapping(run, days);
            }
        }
        joined
    }

    /// Joins the rows of a person, some of which overlap or touch, at whichever venues.
    fn overlapping(&mut self, run: &mut [Row], days: &Days) {
        run.sort_unstable_by_key(|row| (row.venue, row.arrived, row.left, row.origin));
        let mut wholes: Vec<Row> = Vec::with_capacity(run.len());
        let mut at = 0;
        while at < run.len() {
            // A chain is what joins into one visit: it ends where the next row starts after all so far has ended.
            let (mut end, mut left) = (at + 1, run[at].left);
            while end < run.len() && run[end].venue == run[at].venue && run[end].arrived <= left {
                left = left.max(run[end].left);
                end += 1;
            }
            wholes.push(self.chain(&run[at..end], left));
            at = end;
        }
        wholes.sort_unstable_by_key(|whole| (whole.arrived, whole.venue));
        wholes.into_iter().for_each(|whole| self.place(whole, days));
    }

    /// The visit that a chain of rows makes, which ends at `left`: the first new row of it counts as accepted unless
    /// something of it has been stored before, every other as merged.
    fn chain(&mut self, rows: &[Row], left: Second) -> Row {
        let stored = rows.iter().any(|row| row.origin.source() == 0);
        let carried = rows.iter().find(|row| row.origin.is_carried()).map(|row| row.origin.source());
        let mut first = if stored { Some(0) } else { carried };
        for row in rows.iter().filter(|row| row.origin.source() != 0) {
            let source = row.origin.source();
            match first {
                None => first = Some(source),
                // Counted as accepted with an earlier group of days, before this was known.
                Some(0) if row.origin.is_carried() => self.merged.push(source - 1),
                Some(_) if row.origin.is_carried() => {}
                Some(_) => self.merged.push(source - 1),
            }
        }
        let head = rows[0];
        for row in rows.iter().filter(|row| row.origin.is_outside()) {
            let Row { person, venue, arrived, .. } = *row;
            let now = (arrived == head.arrived).then_some(left);
            if now != Some(row.left) {
                self.edits.push(Edit { person, venue, arrived, left: now });
            }
        }
        let place = head.origin.0 & (Origin::OUT | Origin::CARRIED);
        Row { left, origin: Origin(place | first.unwrap_or(0)), ..head }
    }

    /// Puts a visit on its day, and among those carried on if something later can touch it.
    fn place(&mut self, row: Row, days: &Days) {
        let outside = row.origin.is_outside();
        if !outside && let Some(slot) = days.slot(row.arrived) {
            let Row { venue, arrived, left, .. } = row;
            self.days[slot].push(StatedStay { person: self.persons.len() as u32 - 1, venue, arrived, left });
        }
        if days.next <= row.left && (!outside || row.origin.is_carried()) {
            let origin = Origin(row.origin.0 | Origin::OUT | Origin::CARRIED);
            self.carried.push(Row { origin, ..row });
        }
    }
}
