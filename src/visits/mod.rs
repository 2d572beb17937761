//! Stage 2 of 8: scans -> visits: when each stay began, when it ended, and how we know.

mod stays;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::config::StayRule;
use crate::ids::NO_KEY;
use crate::records::scans::Direction;
use crate::time::Second;

/// Scans as columns, each row once, sorted by person, time, direction, venue, end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scans {
    /// Person keys.
    pub person: Vec<u32>,
    /// Venue keys.
    pub venue: Vec<u32>,
    /// When scanned.
    pub at: Vec<Second>,
    /// Which way.
    pub direction: Vec<Direction>,
    /// When the record says the person left, or `NOT_LEFT`.
    pub left: Vec<Second>,
    /// Temperature measured with it, hundredths of a degree Celsius, or `NOT_MEASURED`.
    pub celsius: Vec<u16>,
}

/// One scan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Scan {
    /// Person key.
    pub person: u32,
    /// When scanned.
    pub at: Second,
    /// Which way; `In` sorts before `Out`.
    pub direction: Direction,
    /// Venue key.
    pub venue: u32,
    /// When the record says the person left, or `NOT_LEFT`.
    pub left: Second,
    /// Temperature measured with it, hundredths of a degree Celsius, or `NOT_MEASURED`.
    pub celsius: u16,
}

impl Scans {
    /// How many.
    pub fn len(&self) -> usize {
        self.person.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.person.is_empty()
    }

    /// The scan at `row`.
    pub fn get(&self, row: usize) -> Scan {
        Scan {
            person: self.person[row],
            at: self.at[row],
            direction: self.direction[row],
            venue: self.venue[row],
            left: self.left[row],
            celsius: self.celsius[row],
        }
    }
}

impl FromIterator<Scan> for Scans {
    fn from_iter<I: IntoIterator<Item = Scan>>(scans: I) -> Self {
        let mut columns = Scans::default();
        for scan in scans {
            columns.person.push(scan.person);
            columns.venue.push(scan.venue);
            columns.at.push(scan.at);
            columns.direction.push(scan.direction);
            columns.left.push(scan.left);
            columns.celsius.push(scan.celsius);
        }
        columns
    }
}

/// Which bound ended a stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[repr(u8)]
pub enum EndSource {
    /// A check-out, or an end that came with the record.
    CheckOut = 0,
    /// The next scan at another venue.
    NextScan = 1,
    /// The category's default stay after the last scan.
    DefaultStay = 2,
    /// The longest stay allowed.
    Cap = 3,
}

impl EndSource {
    /// The word in outputs.
    pub fn word(self) -> &'static str {
        ["check_out", "next_scan", "default_stay", "cap"][self as usize]
    }

    /// The bound of that number, if there is one.
    pub fn from_number(number: u8) -> Option<EndSource> {
        [EndSource::CheckOut, EndSource::NextScan, EndSource::DefaultStay, EndSource::Cap]
            .get(usize::from(number))
            .copied()
    }
}

/// One stay `[arrived, left)`, never empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Visit {
    /// Person key.
    pub person: u32,
    /// Venue key.
    pub venue: u32,
    /// Start.
    pub arrived: Second,
    /// End.
    pub left: Second,
    /// Last instant at which presence was observed, within `arrived..=left`.
    pub seen_until: Second,
    /// Which bound ended it.
    pub end_source: EndSource,
}

/// Visits as columns.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Visits {
    /// Person keys.
    pub person: Vec<u32>,
    /// Venue keys.
    pub venue: Vec<u32>,
    /// Starts.
    pub arrived: Vec<Second>,
    /// Ends.
    pub left: Vec<Second>,
    /// Last observed instants.
    pub seen_until: Vec<Second>,
    /// Which bounds ended them.
    pub end_source: Vec<EndSource>,
}

impl Visits {
    /// How many.
    pub fn len(&self) -> usize {
        self.person.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.person.is_empty()
    }

    /// The visit at `row`.
    pub fn get(&self, row: usize) -> Visit {
        Visit {
            person: self.person[row],
            venue: self.venue[row],
            arrived: self.arrived[row],
            left: self.left[row],
            seen_until: self.seen_until[row],
            end_source: self.end_source[row],
        }
    }

    /// These rows in that order. One column after the other, so that no more than one is there twice.
    pub fn in_order(mut self, rows: &[u32]) -> Visits {
        fn put<T: Copy>(column: &mut Vec<T>, rows: &[u32]) {
            *column = rows.iter().map(|row| column[*row as usize]).collect();
        }
        put(&mut self.person, rows);
        put(&mut self.venue, rows);
        put(&mut self.arrived, rows);
        put(&mut self.left, rows);
        put(&mut self.seen_until, rows);
        put(&mut self.end_source, rows);
        self
    }

    /// The visits sorted by person, arrival, venue.
    pub fn sorted_by_person(&self) -> Visits {
        let mut rows: Vec<u32> = (0..self.len() as u32).collect();
        rows.sort_unstable_by_key(|row| {
            let row = *row as usize;
            (u64::from(self.person[row]) << 32 | u64::from(self.arrived[row]), self.venue[row])
        });
        self.clone().in_order(&rows)
    }

    /// The visits sorted by venue, arrival, person.
    ///
    /// - **Cost**: a pass to count the visits of each venue and one to place them whole, for each is touched in a
    ///   random place once and never again; then a sort within each venue.
    pub fn sorted_by_venue(self) -> Visits {
        let venues = self.venue.iter().max().map_or(0, |venue| *venue as usize + 1);
        let arrival = |visit: &Visit| u64::from(visit.arrived) << 32 | u64::from(visit.person);
        // Far more venues than visits: counting would touch more memory than sorting.
        if venues / 4 > self.len() {
            let mut visits: Vec<Visit> = self.iter().collect();
            visits.sort_unstable_by_key(|visit| (visit.venue, arrival(visit)));
            return visits.into_iter().collect();
        }
        let mut next = vec![0_u32; venues + 1];
        self.venue.iter().for_each(|venue| next[*venue as usize + 1] += 1);
        for venue in 0..venues {
            next[venue + 1] += next[venue];
        }
        let none = Visit {
            person: 0,
            venue: 0,
            arrived: 0,
            left: 0,
            seen_until: 0,
            end_source: EndSource::CheckOut,
        };
        let mut placed = vec![none; self.len()];
        for visit in self.iter() {
            let place = &mut next[visit.venue as usize];
            placed[*place as usize] = visit;
            *place += 1;
        }
        drop(self);
        placed.chunk_by_mut(|a, b| a.venue == b.venue).for_each(|run| run.sort_unstable_by_key(arrival));
        let mut sorted = Visits::with_capacity(placed.len());
        sorted.extend(placed);
        sorted
    }

    /// No visits, with room for that many.
    pub fn with_capacity(rows: usize) -> Visits {
        Visits {
            person: Vec::with_capacity(rows),
            venue: Vec::with_capacity(rows),
            arrived: Vec::with_capacity(rows),
            left: Vec::with_capacity(rows),
            seen_until: Vec::with_capacity(rows),
            end_source: Vec::with_capacity(rows),
        }
    }

    /// Every visit in turn.
    pub fn iter(&self) -> impl Iterator<Item = Visit> + '_ {
        (0..self.len()).map(|row| self.get(row))
    }
}

impl FromIterator<Visit> for Visits {
    fn from_iter<I: IntoIterator<Item = Visit>>(visits: I) -> Self {
        let mut columns = Visits::default();
        columns.extend(visits);
        columns
    }
}

impl Extend<Visit> for Visits {
    fn extend<I: IntoIterator<Item = Visit>>(&mut self, visits: I) {
        for visit in visits {
            self.person.push(visit.person);
            self.venue.push(visit.venue);
            self.arrived.push(visit.arrived);
            self.left.push(visit.left);
            self.seen_until.push(visit.seen_until);
            self.end_source.push(visit.end_source);
        }
    }
}

/// The visit rules with venues as keys.
pub struct StayRules {
    /// By venue key.
    pub by_venue: Vec<StayRule>,
    /// Key of the venue each one is inside, or [`NO_KEY`].
    pub parent: Vec<u32>,
    /// Whether a scan at another venue (not a child of this one) ends the stay here.
    pub next_scan_ends_stay: bool,
    /// Longest stay.
    pub cap_s: u32,
}

/// Venues inside venues deeper than this are taken as unrelated; it also ends a cycle of parents.
const DEPTH_MAX: usize = 8;

impl StayRules {
    /// Whether `inner` lies inside `outer`, at any depth.
    fn is_inside(&self, inner: u32, outer: u32) -> bool {
        let up = |venue: &u32| Some(self.parent[*venue as usize]).filter(|parent| *parent != NO_KEY);
        std::iter::successors(up(&inner), up).take(DEPTH_MAX).any(|venue| venue == outer)
    }
}

/// The visits of `scans`, sorted by person, arrival, venue.
///
/// - **Input**: every scan of each person in it, in the order of [`Scans`].
/// - **Rule**: design, section 3: a stay ends at the earliest of check-out, next scan at another venue, default stay
///   after the last scan, cap. A record with an end of its own is taken as it is, up to the cap. Stays of one person
///   at one venue that overlap or touch become one visit.
///
/// # Panics
/// If the scans are not sorted by person.
pub fn build(scans: &Scans, rules: &StayRules) -> Visits {
    assert!(scans.person.is_sorted(), "scans are sorted by person");
    let mut persons = Vec::new();
    for run in scans.person.chunk_by(|a, b| a == b) {
        let from = persons.last().map_or(0, |range: &std::ops::Range<usize>| range.end);
        persons.push(from..from + run.len());
    }
    let chunks: Vec<Visits> = persons
        .par_chunks(4_096)
        .map(|persons| {
            let mut visits = Visits::default();
            for range in persons {
                let scans: Vec<Scan> = range.clone().map(|row| scans.get(row)).collect();
                visits.extend(stays::of_person(&scans, rules));
            }
            visits
        })
        .collect();
    let mut all = Visits::default();
    for chunk in chunks {
        all.extend(chunk.iter());
    }
    all
}

/// Joins the visits of one person at one venue that overlap or touch.
///
/// - **Input**: sorted by person, venue, arrival. **Output**: in the same order.
/// - The joined visit ends where the last of them ends, and is seen until the last instant any was.
pub fn join_touching(visits: impl IntoIterator<Item = Visit>) -> Vec<Visit> {
    let mut joined: Vec<Visit> = Vec::new();
    for visit in visits {
        match joined.last_mut() {
            Some(last) if touches(last, &visit) => prolong(last, &visit),
            _ => joined.push(visit),
        }
    }
    joined
}

/// Makes `visit` last as long as both: it ends where the later one ends, and of equal ends the first kind counts.
pub fn prolong(visit: &mut Visit, by: &Visit) {
    if (by.left, visit.end_source) > (visit.left, by.end_source) {
        visit.end_source = by.end_source;
    }
    visit.left = visit.left.max(by.left);
    visit.seen_until = visit.seen_until.max(by.seen_until);
}

/// Whether `later`, which arrives no earlier, continues the stay of `earlier`.
pub fn touches(earlier: &Visit, later: &Visit) -> bool {
    earlier.person == later.person && earlier.venue == later.venue && later.arrived <= earlier.left
}
