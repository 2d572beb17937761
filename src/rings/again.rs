//! One person's exposures once more, straight from the definition: every visit of theirs against every visit there.
//!
//! What a night publishes comes from merges of millions of visits; this is how a single answer is checked against the
//! store, with nothing in common but the store itself.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use super::{SourceRef, join_windows};
use crate::contacts::{ContactRule, cumulative};
use crate::error::Result;
use crate::store::{Stay, VisitSource};
use crate::time::Second;

/// One exposure of the person.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Met {
    /// By whom or what.
    pub source: SourceRef,
    /// Venue key.
    pub venue: u32,
    /// Start.
    pub from: Second,
    /// End.
    pub until: Second,
    /// Seconds of it in which both were observed.
    pub observed_s: u32,
}

/// A person's visits, and everyone else's at the same venues about the same time.
pub struct Presence {
    own: Vec<Stay>,
    others: Vec<Stay>,
}

impl Presence {
    /// Reads them from the visits that arrived before `end`.
    ///
    /// # Errors
    /// Those of reading the visits.
    pub fn read(visits: &dyn VisitSource, rule: &ContactRule, person: u32, end: Second) -> Result<Presence> {
        let mut own = Vec::new();
        let days = || visits.days().iter().enumerate();
        for (day, _) in days().filter(|(_, extent)| extent.arrived_min < end) {
            own.extend(visits.of_persons(day, &[person])?.into_iter().filter(|stay| stay.arrived < end));
        }
        let mut others = Vec::new();
        for stay in &own {
            let from = stay.arrived.saturating_sub(rule.linger_s(stay.venue));
            for (day, _) in days().filter(|(_, extent)| extent.overlaps(from, stay.left)) {
                let rows = visits.rows_meeting(day, stay.venue, from, stay.left)?;
                let keys = visits.keys(day, rows.clone())?;
                let times = visits.times(day, rows)?;
                let seen_until = times.seen_until.as_ref().unwrap_or(&times.left);
                let other = |row: usize| Stay {
                    person: keys.person[row],
                    venue: keys.venue[row],
                    arrived: times.arrived[row],
                    left: times.left[row],
                    seen_until: seen_until[row],
                };
                let meant = |other: &Stay| {
                    other.venue == stay.venue && other.person != person && other.arrived < other.left.min(end)
                };
                others.extend((0..keys.person.len()).map(other).filter(meant));
            }
        }
        others.sort_unstable_by_key(|stay| (stay.person, stay.venue, stay.arrived, stay.left));
        // Two visits of the person may have met the same one.
        others.dedup();
        Ok(Presence { own, others })
    }

    /// Whether the person was at a venue at both instants, in one visit.
    pub fn was_at(&self, venue: u32, from: Second, until: Second) -> bool {
        self.own.iter().any(|stay| stay.venue == venue && stay.arrived <= from && until <= stay.left)
    }

    /// Everyone else in it, by key.
    pub fn persons(&self) -> BTreeSet<u32> {
        self.others.iter().map(|stay| stay.person).collect()
    }

    /// The exposures to persons in their windows and to places while they were sources.
    pub fn exposures(
        &self,
        rule: &ContactRule,
        persons: &BTreeMap<u32, Vec<(Second, Second)>>,
        places: &[(u32, u32, (Second, Second))],
    ) -> Vec<Met> {
        let mut met = Vec::new();
        for own in &self.own {
            let Some(needed_s) = rule.needed_s(own.venue) else { continue };
            let mut meet = |source, from: Second, until: Second, seen_until: Second| {
                let (lo, hi) = (from.max(own.arrived), until.min(own.left));
                if lo < hi && hi - lo >= needed_s {
                    let seen = hi.min(seen_until).min(own.seen_until);
                    let observed_s = seen.saturating_sub(lo);
                    met.push(Met { source, venue: own.venue, from: lo, until: hi, observed_s });
                }
            };
            for other in self.others.iter().filter(|other| other.venue == own.venue) {
                let lingers = other.left.saturating_add(rule.linger_s(own.venue));
                for (from, until) in join_windows(persons.get(&other.person).cloned().unwrap_or_default()) {
                    let span = (other.arrived.max(from), lingers.min(until));
                    meet(SourceRef::Person(other.person), span.0, span.1, other.seen_until);
                }
            }
            let mut of_place: BTreeMap<u32, Vec<(Second, Second)>> = BTreeMap::new();
            for (window, _, span) in places.iter().filter(|(_, venue, _)| *venue == own.venue) {
                of_place.entry(*window).or_default().push(*span);
            }
            for (window, spans) in of_place {
                join_windows(spans)
                    .into_iter()
                    .for_each(|(from, until)| meet(SourceRef::Window(window), from, until, until));
            }
        }
        if let Some(cumulative) = rule.cumulative {
            let all = met.clone();
            met.retain(|one| {
                let pair = all.iter().filter(|other| other.source == one.source);
                cumulative::adds_up(&pair.map(|met| (met.from, met.until)).collect::<Vec<_>>(), cumulative)
            });
        }
        met
    }
}

/// The exposure that explains the contact: the longest, then the earliest, then of the smallest source id, persons before
/// places, then at the smallest venue id.
pub fn best<'m, I: Ord>(met: &'m [Met], rule: &ContactRule, id: impl Fn(SourceRef) -> I) -> Option<&'m Met> {
    met.iter().min_by_key(|met| {
        let is_place = matches!(met.source, SourceRef::Window(_));
        let venue = rule.venue_ranks[met.venue as usize];
        (Reverse(met.until - met.from), met.from, is_place, id(met.source), venue, Reverse(met.observed_s))
    })
}
