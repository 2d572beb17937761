//! Stage 5 of 8: cases and contacts -> rings: who is how many contacts away from a case, and through whom.

pub mod expand;
pub mod reduce;
pub mod runner;

use crate::time::Second;

pub use expand::{Seeds, expand};
pub use runner::{LocalRunner, Runner};

/// Whoever or whatever exposes people in one ring.
///
/// Sources are numbered in the order of their ids, persons before places, so that the smallest number of a tie is
/// the smallest id.
#[derive(Clone, Debug, Default)]
pub struct Frontier {
    /// Persons that are sources, by key, each with the windows in which it counts.
    pub persons: Vec<FrontierPerson>,
    /// Places that are sources by themselves.
    pub places: Vec<FrontierPlace>,
    /// By person key: whether the person is in a lower ring, and so no contact of this one.
    pub settled: fixedbitset::FixedBitSet,
}

/// A person of the frontier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FrontierPerson {
    /// Person key.
    pub person: u32,
    /// Number among the frontier's sources.
    pub source: u32,
    /// Disjoint windows `[from, until)`, in order.
    pub windows: Vec<(Second, Second)>,
}

/// A place of the frontier: an exposure site while it was one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrontierPlace {
    /// Venue key.
    pub venue: u32,
    /// Number among the frontier's sources.
    pub source: u32,
    /// Start.
    pub from: Second,
    /// End.
    pub until: Second,
}

impl Frontier {
    /// The person of the frontier with that key.
    pub fn person(&self, key: u32) -> Option<&FrontierPerson> {
        let at = self.persons.binary_search_by_key(&key, |p| p.person).ok()?;
        Some(&self.persons[at])
    }
}

/// One exposure: the source's and the contact's visits at a venue share `[from, until)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Exposure {
    /// Person key of the contact.
    pub contact: u32,
    /// Number of the source in its frontier.
    pub source: u32,
    /// Start.
    pub from: Second,
    /// End.
    pub until: Second,
    /// Venue key.
    pub venue: u32,
    /// Seconds of it in which both were observed.
    pub observed_s: u32,
}

/// What one ring's exposures add up to for one contact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exposed {
    /// Start of the first.
    pub first_exposed_at: Second,
    /// End of the last.
    pub last_exposed_at: Second,
    /// Seconds shared.
    pub overlap_s: u64,
    /// Seconds of them in which both were observed.
    pub observed_overlap_s: u64,
    /// How many.
    pub exposures: u32,
    /// The longest; of equal ones the earliest, then the smallest source, then the smallest venue id.
    pub best: Best,
}

/// The exposure that explains a contact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Best {
    /// Its start.
    pub from: Second,
    /// Its length, seconds.
    pub overlap_s: u32,
    /// Number of its source in the frontier.
    pub source: u32,
    /// Its venue.
    pub venue: u32,
    /// The venue's place in the order of venue ids.
    pub venue_rank: u32,
    /// Seconds of it in which both were observed.
    pub observed_s: u32,
}

/// The contacts of one ring, by person key, and the exposures asked for, sorted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ring {
    /// Person key and sums.
    pub contacts: Vec<(u32, Exposed)>,
    /// All exposures, if they were to be kept.
    pub exposures: Vec<Exposure>,
}

/// A source by identity rather than number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SourceRef {
    /// A person key.
    Person(u32),
    /// A window key.
    Window(u32),
}

/// A person traced: their ring and what brought them there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TracedPerson {
    /// Person key.
    pub person: u32,
    /// Ring, from 1.
    pub ring: u8,
    /// Sums over this ring's exposures.
    pub exposed: Exposed,
    /// Source of the best exposure.
    pub best_source: SourceRef,
    /// Distinct sources, if they were to be counted.
    pub sources: Option<u32>,
}

/// An edge of the traced graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Edge {
    /// Who or what exposed.
    pub source: SourceRef,
    /// Ring of the contact.
    pub ring: u8,
    /// The exposure.
    pub exposure: Exposure,
}

/// The rings of a trace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Traced {
    /// Everyone reached, sorted by ring, then person id.
    pub contacts: Vec<TracedPerson>,
    /// Edges, sorted by ring, then contact id, start, source, venue id.
    pub edges: Vec<Edge>,
}

/// Joins windows of one person that overlap or touch, so that an instant counts once; empty ones are dropped.
pub fn join_windows(mut windows: Vec<(Second, Second)>) -> Vec<(Second, Second)> {
    windows.retain(|(from, until)| from < until);
    windows.sort_unstable();
    let mut joined: Vec<(Second, Second)> = Vec::new();
    for (from, until) in windows {
        match joined.last_mut() {
            Some(last) if from <= last.1 => last.1 = last.1.max(until),
            _ => joined.push((from, until)),
        }
    }
    joined
}
