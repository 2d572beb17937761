//! Stage 4 of 8: visit store -> contacts: who was at one venue at one time, and for how long.
//!
//! The definition (design, section 4): an exposure is one pair of visits of two persons at one venue, the source's
//! cut to the source's window, that share `[lo, hi)` with `hi - lo >= min_overlap` and `hi > lo`. Spans that only
//! touch share nothing.

pub mod crowd;
pub mod cumulative;
pub mod graph;
pub mod overlap;
pub mod pairs;
pub mod sums;

use crate::config::{ContactConfig, ContactThreshold, Cumulative};
use crate::store::Venues;

/// The contact definition with venues as keys.
pub struct ContactRule {
    /// Threshold by venue key.
    pub thresholds: Vec<ContactThreshold>,
    /// Each venue's place in the order of venue ids, for ties.
    pub venue_ranks: Vec<u32>,
    /// A pair counts when its overlaps within a rolling period add up; then no overlap is too short by itself.
    pub cumulative: Option<Cumulative>,
}

impl ContactRule {
    /// The rule of `config` for these venues.
    pub fn new(config: &ContactConfig, venues: &Venues) -> ContactRule {
        ContactRule {
            thresholds: venues.thresholds(config),
            venue_ranks: venues.ids.ranks(),
            cumulative: config.cumulative,
        }
    }

    /// Shortest overlap at the venue that makes an exposure, at least 1: `None` where nothing does.
    pub fn needed_s(&self, venue: u32) -> Option<u32> {
        let threshold = self.thresholds[venue as usize];
        let least = if self.cumulative.is_some() { 1 } else { threshold.min_overlap_s.max(1) };
        (!threshold.exclude).then_some(least)
    }

    /// How long a source's visit outlasts the source there.
    pub fn linger_s(&self, venue: u32) -> u32 {
        self.thresholds[venue as usize].linger_s
    }
}
