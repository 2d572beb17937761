//! Stage 5 of 8: cases and contacts -> rings: who is how many contacts away from a case, and through whom.

pub mod again;
pub mod expand;
pub mod reduce;
pub mod runner;
mod sources;

use crate::person_set::PersonSet;
use crate::time::Second;

pub use expand::{Part, PartEdges, Plan, Seeds, Sink, expand};
pub use runner::{Find, Hop, LocalRunner, Runner, Take};

/// Whoever or whatever exposes people in one ring.
///
/// Sources are numbered in the order of their ids, persons before places, so that the smallest number of a tie is
/// the smallest id.
#[derive(Clone, Debug, Default)]
pub struct Frontier {
    /// Keys of the persons that are sources, sorted.
    pub persons: Vec<u32>,
    /// The number of each among the frontier's sources.
    pub sources: Vec<u32>,
    /// Disjoint windows `[from, until)` in which they count, those of one person together and in order.
    pub windows: Vec<(Second, Second)>,
    /// Where in `windows` each person's end.
    pub window_ends: Vec<u32>,
    /// Places that are sources by themselves.
    pub places: Vec<FrontierPlace>,
    /// Persons in this ring or a lower one: the sources themselves, and whoever else is no contact of this ring.
    pub settled: PersonSet,
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
    /// Adds a person, whose key is greater than those before.
    pub fn push(&mut self, person: u32, source: u32, windows: impl IntoIterator<Item = (Second, Second)>) {
        self.persons.push(person);
        self.sources.push(source);
        self.windows.extend(windows);
        self.window_ends.push(self.windows.len() as u32);
    }

    /// The windows of the person at a place of `persons`.
    pub fn windows_of(&self, at: usize) -> &[(Second, Second)] {
        let from = if at == 0 { 0 } else { self.window_ends[at - 1] };
        &self.windows[from as usize..self.window_ends[at] as usize]
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
    /// Seconds of it in which both were observed.
    pub observed_s: u32,
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
    /// Exposures that had ended and were known by then are left out, as an appeal against them was granted; without it
    /// none is.
    pub after: Option<Second>,
}

impl TracedPerson {
    /// The edge that explains the contact: its best exposure.
    pub fn best_edge(&self) -> Edge {
        let best = &self.exposed.best;
        let exposure = Exposure {
            contact: self.person,
            source: best.source,
            from: best.from,
            until: best.from + best.overlap_s,
            venue: best.venue,
            observed_s: best.observed_s,
        };
        Edge { source: self.best_source, ring: self.ring, exposure }
    }
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
