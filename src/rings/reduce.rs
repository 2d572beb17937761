//! Exposures into sums per contact: integers, associative and commutative, so any order gives the same.

use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use rayon::prelude::*;

use super::runner::Take;
use super::{Best, Exposed, Exposure};
use crate::contacts::{ContactRule, cumulative};
use crate::error::Result;

impl Best {
    /// Smaller is better: longest, then earliest, then smallest source, then smallest venue id, then most observed.
    fn rank(&self, venue_ranks: &[u32]) -> impl Ord + use<> {
        let most = std::cmp::Reverse(self.observed_s);
        (std::cmp::Reverse(self.overlap_s), self.from, self.source, venue_ranks[self.venue as usize], most)
    }
}

impl Exposed {
    /// The sums of one exposure.
    pub fn one(exposure: &Exposure) -> Exposed {
        let overlap_s = exposure.until - exposure.from;
        Exposed {
            first_exposed_at: exposure.from,
            last_exposed_at: exposure.until,
            overlap_s: u64::from(overlap_s),
            observed_overlap_s: u64::from(exposure.observed_s),
            exposures: 1,
            best: Best {
                from: exposure.from,
                overlap_s,
                source: exposure.source,
                venue: exposure.venue,
                observed_s: exposure.observed_s,
            },
        }
    }

    /// The sums of both.
    pub fn add(&mut self, other: &Exposed, venue_ranks: &[u32]) {
        self.first_exposed_at = self.first_exposed_at.min(other.first_exposed_at);
        self.last_exposed_at = self.last_exposed_at.max(other.last_exposed_at);
        self.overlap_s += other.overlap_s;
        self.observed_overlap_s += other.observed_overlap_s;
        self.exposures = self.exposures.saturating_add(other.exposures);
        let (best, other) = (&self.best, &other.best);
        let longer = other.overlap_s > best.overlap_s;
        if longer || (other.overlap_s == best.overlap_s && other.rank(venue_ranks) < best.rank(venue_ranks)) {
            self.best = *other;
        }
    }
}

/// Sums of one contact.
type Sum = (u32, Exposed);

/// Fewest persons a chunk of [`Sums`] holds.
const CHUNK_BITS_MIN: u32 = 14;
/// Most chunks: each worker fills one list a chunk.
const CHUNKS_MAX: usize = 512;
/// A chunk with this share of its persons in its list becomes a table of all of them.
const DENSE_SHARE: usize = 8;

/// Sums of the persons in a range of keys, made by several workers at once.
///
/// Persons are split into chunks by key, each with a lock of its own. A worker collects sums by chunk and adds them now
/// and then. A chunk costs memory only as far as persons in it are met.
pub struct Sums<'a> {
    first: u32,
    bits: u32,
    chunks: Vec<Mutex<Chunk>>,
    venue_ranks: &'a [u32],
}

enum Chunk {
    /// Sums in the order they came, several a person.
    Few(Vec<Sum>),
    /// By person; those without exposures are not met.
    All(Vec<Exposed>),
}

const NOT_MET: Exposed = Exposed {
    first_exposed_at: 0,
    last_exposed_at: 0,
    overlap_s: 0,
    observed_overlap_s: 0,
    exposures: 0,
    best: Best { from: 0, overlap_s: 0, source: 0, venue: 0, observed_s: 0 },
};

impl<'a> Sums<'a> {
    /// No sums yet.
    pub fn new(persons: Range<u32>, venue_ranks: &'a [u32]) -> Sums<'a> {
        let mut bits = CHUNK_BITS_MIN;
        while persons.len() >> bits >= CHUNKS_MAX {
            bits += 1;
        }
        let chunks = (0..=persons.len() >> bits).map(|_| Mutex::new(Chunk::Few(Vec::new()))).collect();
        Sums { first: persons.start, bits, chunks, venue_ranks }
    }

    /// Bytes that sums of so many persons can take, also while they are put together: chunk by chunk, the table of all
    /// persons becomes a list of those met.
    pub fn bytes_for(persons: u64) -> u64 {
        persons * size_of::<Sum>() as u64
    }

    /// A worker's own lists.
    pub fn collector(&self) -> Collector {
        Collector { lists: vec![Vec::new(); self.chunks.len()], collected: 0 }
    }

    /// Adds a worker's sums.
    pub fn take_over(&self, collector: &mut Collector) {
        collector.collected = 0;
        for (at, (list, chunk)) in collector.lists.iter_mut().zip(&self.chunks).enumerate() {
            if !list.is_empty() {
                let first = self.first + ((at as u32) << self.bits);
                let mut chunk = chunk.lock().unwrap_or_else(PoisonError::into_inner);
                chunk.add(list, first, 1 << self.bits, self.venue_ranks);
                list.clear();
            }
        }
    }

    /// Hands on one entry a person, by key, in parts. Only a few parts are made at a time, and what they are made from is
    /// freed.
    ///
    /// # Errors
    /// Those of `take`.
    pub fn finish(self, take: &mut Take<'_>) -> Result<()> {
        let Sums { first, bits, chunks, venue_ranks } = self;
        let together = 2 * rayon::current_num_threads();
        let mut chunks = (first..).step_by(1 << bits).zip(chunks);
        loop {
            let some: Vec<(u32, Mutex<Chunk>)> = chunks.by_ref().take(together).collect();
            if some.is_empty() {
                return Ok(());
            }
            let finish = |(first, chunk): (u32, Mutex<Chunk>)| match chunk
                .into_inner()
                .unwrap_or_else(PoisonError::into_inner)
            {
                Chunk::Few(list) => by_person(list, venue_ranks),
                Chunk::All(sums) => {
                    let met = |sum: &Exposed| sum.exposures > 0;
                    let mut list = Vec::with_capacity(sums.iter().filter(|sum| met(sum)).count());
                    list.extend((first..).zip(sums).filter(|(_, sum)| met(sum)));
                    list
                }
            };
            let parts: Vec<Vec<Sum>> = some.into_par_iter().map(finish).collect();
            parts.into_iter().filter(|part| !part.is_empty()).try_for_each(&mut *take)?;
        }
    }
}

impl Chunk {
    fn add(&mut self, sums: &[Sum], first: u32, persons: usize, venue_ranks: &[u32]) {
        if let Chunk::Few(list) = self {
            if (list.len() + sums.len()) * DENSE_SHARE < persons {
                list.extend_from_slice(sums);
                return;
            }
            let list = std::mem::take(list);
            *self = Chunk::All(vec![NOT_MET; persons]);
            self.add(&list, first, persons, venue_ranks);
        }
        let Chunk::All(all) = self else { return };
        // The table is far larger than a cache. Looking at every place first, one independent of the other, lets the
        // processor fetch many at once; adding fetches one after the other. A sum may lie on two lines of the cache, so
        // several of its fields are looked at.
        let look = |(person, _): &Sum| {
            let sum = &all[(*person - first) as usize];
            sum.overlap_s as u32 ^ sum.best.observed_s ^ sum.exposures
        };
        std::hint::black_box(sums.iter().map(look).fold(0, u32::wrapping_add));
        for (person, exposed) in sums {
            let sum = &mut all[(*person - first) as usize];
            if sum.exposures == 0 {
                *sum = *exposed;
            } else {
                sum.add(exposed, venue_ranks);
            }
        }
    }
}

/// One worker's sums by chunk, not yet added to the others'.
pub struct Collector {
    lists: Vec<Vec<Sum>>,
    /// How many sums it holds.
    pub collected: usize,
}

impl Collector {
    /// Adds one visit's sums; `sums` are those the collector is of.
    #[inline]
    pub fn push(&mut self, sums: &Sums<'_>, person: u32, exposed: Exposed) {
        self.lists[((person - sums.first) >> sums.bits) as usize].push((person, exposed));
        self.collected += 1;
    }
}

/// One entry a person, sorted by key, from partial sums in any order.
pub fn by_person(mut partial: Vec<Sum>, venue_ranks: &[u32]) -> Vec<Sum> {
    partial.sort_unstable_by_key(|(person, _)| *person);
    partial.dedup_by(|next, kept| {
        let same = next.0 == kept.0;
        if same {
            kept.1.add(&next.1, venue_ranks);
        }
        same
    });
    partial
}

/// One entry a contact, by key, from sorted exposures.
pub fn of_exposures(exposures: &[Exposure], venue_ranks: &[u32]) -> Vec<Sum> {
    let one = |contact: &[Exposure]| {
        let mut sum = Exposed::one(&contact[0]);
        contact[1..].iter().for_each(|exposure| sum.add(&Exposed::one(exposure), venue_ranks));
        (contact[0].contact, sum)
    };
    exposures.chunk_by(|a, b| a.contact == b.contact).map(one).collect()
}

/// Those of the sorted exposures whose pairs count under the cumulative rule.
pub fn cumulative(exposures: Vec<Exposure>, rule: &ContactRule) -> Vec<Exposure> {
    let Some(adding_up) = rule.cumulative else { return exposures };
    let mut kept = Vec::new();
    for pair in exposures.chunk_by(|a, b| (a.contact, a.source) == (b.contact, b.source)) {
        let spans: Vec<_> = pair.iter().map(|e| (e.from, e.until)).collect();
        if cumulative::adds_up(&spans, adding_up) {
            kept.extend_from_slice(pair);
        }
    }
    kept
}
