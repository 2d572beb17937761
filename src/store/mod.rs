//! Stage 3 of 8: visits -> visit store: two sorted copies by day, id tables, versions.
//!
//! ```text
//! store/
//!   manifest.json                 the published version: every file with rows, bytes and BLAKE3
//!   lock                          held while a version is being made
//!   persons/<hash>.parquet        person_id, sorted; the key of an id is its row, counted through the listed files
//!   venues/<hash>.parquet         venue_id, category, region_id, parent_venue_key, name; key = row
//!   by_person/day=…/<hash>.parquet   sorted by person_key, arrived_at
//!   by_venue/day=…/<hash>.parquet    sorted by venue_key, arrived_at
//!   scans/day=…/<hash>.parquet    checked scans, kept so that a late scan can change the visits around it
//!   rejects/<hash>.parquet        rejected rows of the ingests so far
//!   …/<hash>.pages                beside the ids and visits: where their pages lie, with checksums
//! ```
//!
//! A day is the UTC day of arrival; a visit is stored once, on that day, however long it lasts. Files are named by
//! their content and never overwritten: a new version is a new manifest, renamed into place.

mod by_venue;
pub mod column;
pub mod copies;
pub mod delta;
pub mod disk;
pub mod format;
pub mod ingest;
pub mod manifest;
pub mod memory;
mod merge;
pub mod paged;
pub mod pages;
pub mod persons;
pub mod publish;
pub mod traffic;
pub mod up_to;

use std::ops::Range;

use crate::config::{ContactConfig, ContactThreshold, StayRule, VisitRules};
use crate::error::Result;
use crate::ids::{IdTable, IdType};
use crate::records::venues::{FactsByVenue, VenueFacts};
use crate::store::column::Column;
use crate::store::persons::Persons;
use crate::time::Second;
use crate::visits::{StayRules, Visits};

/// Visits by day, read as far as they are asked for: a published store, or visits just made and held in memory.
///
/// A day's visits lie in the order of venue, arrival, person; a range of rows is one in that order.
pub trait VisitSource: Sync {
    /// Person ids by key.
    fn persons(&self) -> &Persons;
    /// Venues by key.
    fn venues(&self) -> &Venues;
    /// The days that hold visits, in order; visits that are held together count as one.
    fn days(&self) -> &[DayExtent];
    /// On how many UTC days visits arrived.
    fn arrival_days(&self) -> usize {
        self.days().len()
    }
    /// Bytes that its visits take in memory as long as it lives.
    fn held_bytes(&self) -> u64 {
        0
    }

    /// Rows of `days()[day]` among which are all visits to these venues. Nothing is read.
    ///
    /// # Errors
    /// `storage` or `integrity` if the file is gone or not the one published; so of every function below.
    fn rows_at(&self, day: usize, venues: Range<u32>) -> Result<Range<usize>>;
    /// Rows of `days()[day]` among which are all visits to a venue that share an instant with `[from, until)`.
    fn rows_meeting(&self, day: usize, venue: u32, from: Second, until: Second) -> Result<Range<usize>>;
    /// Who was where.
    fn keys(&self, day: usize, rows: Range<usize>) -> Result<Keys<'_>>;
    /// When.
    fn times(&self, day: usize, rows: Range<usize>) -> Result<Times<'_>>;

    /// How many rows are read to find that many persons on `days()[day]`; `None` if persons cannot be looked up.
    fn rows_of_persons(&self, day: usize, persons: usize) -> Option<u64>;
    /// The visits of `persons`, sorted, on `days()[day]`, in the order of person and arrival.
    fn of_persons(&self, day: usize, persons: &[u32]) -> Result<Vec<Stay>>;

    /// Temperatures that are wanted of those measured with scans in `[from, until)`, if the visits were made of scans that had any.
    fn temperatures(
        &self,
        _from: Second,
        _until: Second,
        _wanted: &(dyn Fn(&Measured) -> bool + Sync),
    ) -> Result<Vec<Measured>> {
        Ok(Vec::new())
    }

    /// About so many ranges of venues, all together and in order, with about as many visits on those days each.
    fn venue_ranges(&self, days: &[usize], ranges: usize) -> Result<Vec<Range<u32>>>;
}

/// A temperature measured with a scan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Measured {
    /// Person key.
    pub person: u32,
    /// Venue key.
    pub venue: u32,
    /// When.
    pub at: Second,
    /// Hundredths of a degree Celsius.
    pub celsius: u16,
}

/// Persons and venues of some visits.
pub struct Keys<'a> {
    /// Person keys.
    pub person: Column<'a>,
    /// Venue keys, rising.
    pub venue: Column<'a>,
}

/// Times of some visits.
pub struct Times<'a> {
    /// Starts.
    pub arrived: Column<'a>,
    /// Ends. A visit that is to be left out ends where it starts.
    pub left: Column<'a>,
    /// Last observed instants; `None` if those are the ends.
    pub seen_until: Option<Column<'a>>,
}

/// One visit as tracing reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stay {
    /// Person key.
    pub person: u32,
    /// Venue key.
    pub venue: u32,
    /// Start.
    pub arrived: Second,
    /// End.
    pub left: Second,
    /// Last observed instant.
    pub seen_until: Second,
}

/// Every visit of a day, in the order of venue, arrival, person.
///
/// # Errors
/// Those of reading it.
pub fn stays_of(visits: &dyn VisitSource, day: usize) -> Result<Vec<Stay>> {
    stays_at(visits, day, 0..u32::MAX)
}

/// Every visit of a day at some venues, in the order of venue, arrival, person.
///
/// # Errors
/// Those of reading it.
pub fn stays_at(visits: &dyn VisitSource, day: usize, venues: Range<u32>) -> Result<Vec<Stay>> {
    let rows = visits.rows_at(day, venues.clone())?;
    let (keys, times) = (visits.keys(day, rows.clone())?, visits.times(day, rows)?);
    let seen_until = times.seen_until.as_ref().unwrap_or(&times.left);
    let stay = |row: usize| Stay {
        person: keys.person[row],
        venue: keys.venue[row],
        arrived: times.arrived[row],
        left: times.left[row],
        seen_until: seen_until[row],
    };
    let wanted = |stay: &Stay| stay.arrived < stay.left && venues.contains(&stay.venue);
    Ok((0..keys.person.len()).map(stay).filter(wanted).collect())
}

/// When the visits of one day begin and end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DayExtent {
    /// UTC day of arrival, from 1970-01-01; the last, where the visits of several days are held together.
    pub day: u32,
    /// How many visits.
    pub visits: u64,
    /// How many rows they are read from; more than `visits` where some are left out.
    pub rows: u64,
    /// First arrival.
    pub arrived_min: Second,
    /// Last departure.
    pub left_max: Second,
}

impl DayExtent {
    /// The extent of a day's visits; `None` without any.
    pub fn of(day: u32, visits: &Visits) -> Option<DayExtent> {
        Some(DayExtent {
            day,
            visits: visits.len() as u64,
            rows: visits.len() as u64,
            arrived_min: *visits.arrived.iter().min()?,
            left_max: *visits.left.iter().max()?,
        })
    }

    /// Whether a visit of this day can share an instant with `[from, until)`.
    pub fn overlaps(&self, from: Second, until: Second) -> bool {
        self.arrived_min < until && from < self.left_max
    }
}

/// Venue ids with what is known of each venue, by key.
#[derive(Clone)]
pub struct Venues {
    /// Ids by key.
    pub ids: IdTable,
    /// Key of the venue each one is inside, or `NO_KEY`.
    pub parent: Vec<u32>,
    /// Category, region, name.
    pub facts: FactsByVenue,
}

impl Venues {
    /// No venues.
    pub fn new(kind: IdType) -> Self {
        Venues { ids: IdTable::new(kind), parent: Vec::new(), facts: FactsByVenue::default() }
    }

    /// The visit rules by venue key.
    pub fn stay_rules(&self, rules: &VisitRules) -> StayRules {
        let rule = |facts: &VenueFacts| -> StayRule {
            let own = facts.category.as_ref().and_then(|c| rules.by_category.get(c));
            own.copied().unwrap_or(rules.other)
        };
        StayRules {
            by_venue: self.facts.iter().map(rule).collect(),
            parent: self.parent.clone(),
            next_scan_ends_stay: rules.next_scan_ends_stay,
            cap_s: rules.cap_s,
        }
    }

    /// The contact thresholds by venue key.
    pub fn thresholds(&self, contacts: &ContactConfig) -> Vec<ContactThreshold> {
        let threshold = |facts: &VenueFacts| {
            let own = facts.category.as_ref().and_then(|c| contacts.by_category.get(c));
            own.map_or(contacts.other, |own| ContactThreshold {
                min_overlap_s: own.min_overlap_s.unwrap_or(contacts.other.min_overlap_s),
                linger_s: own.linger_s.unwrap_or(contacts.other.linger_s),
                exclude: own.exclude,
            })
        };
        self.facts.iter().map(threshold).collect()
    }
}

/// Splits `0..venues` into ranges with about as many samples each; `samples` are venues, each as often as it is visited.
fn split_venues(mut samples: Vec<u32>, venues: u32, ranges: usize) -> Vec<Range<u32>> {
    samples.sort_unstable();
    let step = (samples.len() / ranges.max(1)).max(1);
    let mut starts: Vec<u32> = samples.iter().step_by(step).copied().collect();
    starts.dedup();
    if let Some(first) = starts.first_mut() {
        *first = 0;
    }
    let ends: Vec<u32> = starts.iter().skip(1).copied().chain([venues]).collect();
    starts.into_iter().zip(ends).map(|(start, end)| start..end).filter(|range| !range.is_empty()).collect()
}
