//! Exposures into sums per contact: integers, associative and commutative, so any order gives the same.

use rayon::prelude::*;

use super::{Best, Exposed, Exposure};
use crate::contacts::{ContactRule, cumulative};

impl Best {
    /// Smaller is better: longest, then earliest, then smallest source, then smallest venue id.
    fn rank(&self) -> (std::cmp::Reverse<u32>, u32, u32, u32) {
        (std::cmp::Reverse(self.overlap_s), self.from, self.source, self.venue_rank)
    }
}

impl Exposed {
    /// The sums of one exposure.
    pub fn one(exposure: &Exposure, venue_rank: u32) -> Exposed {
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
                venue_rank,
                observed_s: exposure.observed_s,
            },
        }
    }

    /// The sums of both.
    pub fn add(&mut self, other: &Exposed) {
        self.first_exposed_at = self.first_exposed_at.min(other.first_exposed_at);
        self.last_exposed_at = self.last_exposed_at.max(other.last_exposed_at);
        self.overlap_s += other.overlap_s;
        self.observed_overlap_s += other.observed_overlap_s;
        self.exposures = self.exposures.saturating_add(other.exposures);
        if other.best.rank() < self.best.rank() {
            self.best = other.best;
        }
    }
}

/// One entry a person, sorted by key, from partial sums in any order.
pub fn by_person(mut partial: Vec<(u32, Exposed)>) -> Vec<(u32, Exposed)> {
    partial.par_sort_unstable_by_key(|(person, _)| *person);
    partial.dedup_by(|next, kept| {
        let same = next.0 == kept.0;
        if same {
            kept.1.add(&next.1);
        }
        same
    });
    partial
}

/// The exposures of pairs that count under the cumulative rule, sorted, and their sums.
pub fn cumulative(mut exposures: Vec<Exposure>, rule: &ContactRule) -> (Vec<(u32, Exposed)>, Vec<Exposure>) {
    let Some(adding_up) = rule.cumulative else { return (Vec::new(), exposures) };
    exposures.par_sort_unstable();
    let mut kept = Vec::new();
    for pair in exposures.chunk_by(|a, b| (a.contact, a.source) == (b.contact, b.source)) {
        let spans: Vec<_> = pair.iter().map(|e| (e.from, e.until)).collect();
        if cumulative::adds_up(&spans, adding_up) {
            kept.extend_from_slice(pair);
        }
    }
    let sum = |e: &Exposure| (e.contact, Exposed::one(e, rule.venue_ranks[e.venue as usize]));
    (by_person(kept.iter().map(sum).collect()), kept)
}
