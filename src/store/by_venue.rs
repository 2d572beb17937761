//! Stays in the order of persons -> stays in the order of venues, handed on piece by piece.
//!
//! ```text
//! stays ──by range of venues──▶ slabs ──count, place, sort by arrival──▶ pieces in order
//! ```
//!
//! A range of venues fits the cache, so that each stay goes to a random place in memory but once.

use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rayon::prelude::*;

use crate::error::Result;
use crate::store::copies::StatedStay;

/// Stays a range of venues: what is put in order within a core's own cache.
const RANGE_STAYS: usize = 1 << 16;

/// More ranges would be written to with a cache miss each.
const RANGES_MAX: usize = 4_096;

/// Stays a slab, at least: many small ones would be gathered a few stays at a time.
const SLAB_STAYS: usize = 1 << 22;

/// Stays that are put in order before they are handed on.
const HANDED_STAYS: usize = 1 << 20;

/// Slabs not in use: a day takes as many as the day before, and memory from the system has to be cleared first.
#[derive(Default)]
pub struct Slabs {
    unused: Mutex<Vec<Vec<StatedStay>>>,
}

impl Slabs {
    fn unused(&self) -> MutexGuard<'_, Vec<Vec<StatedStay>>> {
        self.unused.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Room for at least that many stays, filled with whatever was in it.
    fn take(&self, stays: usize) -> Vec<StatedStay> {
        let mut slab = self.unused().pop().unwrap_or_default();
        if slab.len() < stays {
            slab.resize(stays, NONE);
        }
        slab
    }
}

const NONE: StatedStay = StatedStay { person: 0, venue: 0, arrived: 0, left: 0 };

/// Stays of some persons, by range of venues.
struct Slab {
    stays: Vec<StatedStay>,
    /// Where each range starts; one more at the end.
    starts: Vec<u32>,
}

/// Hands on all stays in the order of venue, arrival, person; none come in a piece of no rows.
///
/// - **Input**: parts one after the other in the order of persons, each in it too.
/// - **Cost**: `O(n + v)`, `v` the greatest venue, and a sort within each venue; each stay is there twice.
pub fn hand_on(
    parts: &[Vec<StatedStay>],
    slabs: &Slabs,
    mut each: impl FnMut(&[StatedStay]) -> Result<()>,
) -> Result<()> {
    let most = parts.par_iter().filter_map(|part| part.iter().map(|stay| stay.venue).max()).max();
    let Some(most) = most else { return Ok(()) };
    let mut counts = vec![0_u32; most as usize + 1];
    parts.iter().flatten().for_each(|stay| counts[stay.venue as usize] += 1);
    let ranges = VenueRanges::of_counts(&counts);
    let mut held = 0;
    let together: Vec<&[Vec<StatedStay>]> = parts
        .chunk_by(|part, _| {
            held += part.len();
            let more = held < SLAB_STAYS;
            held = if more { held } else { 0 };
            more
        })
        .collect();
    let filled: Vec<Slab> =
        together.into_par_iter().with_max_len(1).map(|parts| ranges.split(parts, slabs)).collect();
    let at_once = HANDED_STAYS.div_ceil(RANGE_STAYS);
    for first in (0..ranges.len()).step_by(at_once) {
        let range = first..(first + at_once).min(ranges.len());
        let sorted: Vec<Vec<StatedStay>> =
            range.into_par_iter().with_max_len(1).map(|range| ranges.sorted(range, &filled)).collect();
        sorted.iter().filter(|stays| !stays.is_empty()).try_for_each(|stays| each(stays))?;
    }
    slabs.unused().extend(filled.into_iter().map(|slab| slab.stays));
    Ok(())
}

/// Consecutive ranges of venues with about as many stays each.
pub struct VenueRanges {
    /// By venue.
    of: Vec<u16>,
    /// By range, its first venue; one more at the end.
    first: Vec<u32>,
}

impl VenueRanges {
    /// Ranges of venues that have so many stays each.
    pub fn of_counts(counts: &[u32]) -> VenueRanges {
        let stays: u64 = counts.iter().map(|count| u64::from(*count)).sum();
        let most = stays.div_ceil(RANGE_STAYS as u64).clamp(1, RANGES_MAX as u64);
        let share = stays.div_ceil(most).max(1);
        let (mut of, mut first, mut held) = (Vec::with_capacity(counts.len()), vec![0], 0);
        for (venue, count) in counts.iter().enumerate() {
            if held >= share {
                first.push(venue as u32);
                held = 0;
            }
            held += u64::from(*count);
            of.push((first.len() - 1) as u16);
        }
        first.push(counts.len() as u32);
        VenueRanges { of, first }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.first.len() - 1
    }

    /// The range of a venue.
    #[inline]
    pub fn of(&self, venue: u32) -> usize {
        usize::from(self.of[venue as usize])
    }

    /// The venues of a range.
    pub fn venues(&self, range: usize) -> Range<u32> {
        self.first[range]..self.first[range + 1]
    }

    fn split(&self, parts: &[Vec<StatedStay>], slabs: &Slabs) -> Slab {
        let mut starts = vec![0_u32; self.len() + 1];
        let range = |stay: &StatedStay| self.of(stay.venue);
        parts.iter().flatten().for_each(|stay| starts[range(stay) + 1] += 1);
        for range in 0..self.len() {
            starts[range + 1] += starts[range];
        }
        let mut stays = slabs.take(starts[self.len()] as usize);
        let mut next = starts.clone();
        for stay in parts.iter().flatten() {
            let place = &mut next[range(stay)];
            stays[*place as usize] = *stay;
            *place += 1;
        }
        Slab { stays, starts }
    }

    /// The stays of a range in order.
    fn sorted(&self, range: usize, slabs: &[Slab]) -> Vec<StatedStay> {
        let of_slab = |slab: &Slab| slab.starts[range] as usize..slab.starts[range + 1] as usize;
        let pieces = || slabs.iter().map(|slab| &slab.stays[of_slab(slab)]);
        let Range { start: first, end } = self.venues(range);
        let mut next = vec![0_u32; (end - first) as usize + 1];
        pieces().flatten().for_each(|stay| next[(stay.venue - first) as usize + 1] += 1);
        for venue in 0..next.len() - 1 {
            next[venue + 1] += next[venue];
        }
        let mut placed = vec![NONE; pieces().map(<[StatedStay]>::len).sum()];
        for stay in pieces().flatten() {
            let place = &mut next[(stay.venue - first) as usize];
            placed[*place as usize] = *stay;
            *place += 1;
        }
        let arrival = |stay: &StatedStay| u64::from(stay.arrived) << 32 | u64::from(stay.person);
        placed.chunk_by_mut(|a, b| a.venue == b.venue).for_each(|run| run.sort_unstable_by_key(arrival));
        placed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(stays: &[StatedStay], parts: usize) {
        let mut expected = stays.to_vec();
        expected.sort_unstable_by_key(|stay| (stay.venue, stay.arrived, stay.person));
        let parts: Vec<Vec<StatedStay>> =
            stays.chunks(stays.len() / parts + 1).map(<[StatedStay]>::to_vec).collect();
        let slabs = Slabs::default();
        for _ in 0..2 {
            let mut found = Vec::new();
            let take = |stays: &[StatedStay]| {
                found.extend_from_slice(stays);
                Ok(())
            };
            hand_on(&parts, &slabs, take).unwrap();
            assert!(found == expected, "{} stays", stays.len());
        }
    }

    #[test]
    fn stays_come_by_venue_arrival_person() {
        let mixed = |n: u32| n.wrapping_mul(0x9e37_79b9) >> 8;
        for (rows, venues) in [(0, 1), (1, 1), (5, 1_000_000), (1_000, 7), (300_000, 5_000), (200_000, 1)] {
            let stay = |person: u32| {
                let arrived = mixed(person) % 900;
                StatedStay {
                    person,
                    venue: mixed(person ^ 0x55) % venues,
                    arrived,
                    left: arrived + person % 7 + 1,
                }
            };
            let stays: Vec<StatedStay> = (0..rows).map(stay).collect();
            [1, 3, 50].into_iter().for_each(|parts| check(&stays, parts));
        }
    }
}
