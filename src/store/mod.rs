//! Stage 3 of 8: visits -> visit store: two sorted copies by day, id tables, versions.
//!
//! ```text
//! store/
//!   manifest.json                 the published version: every file with rows, bytes and BLAKE3
//!   lock                          held while a version is being made
//!   persons/<hash>.parquet        person_id; the key of an id is its row, counted through the listed files
//!   venues/<hash>.parquet         venue_id, category, region_id, parent_venue_key, name; key = row
//!   by_person/day=…/<hash>.parquet   sorted by person_key, arrived_at
//!   by_venue/day=…/<hash>.parquet    sorted by venue_key, arrived_at
//!   scans/day=…/<hash>.parquet    checked scans, kept so that a late scan can change the visits around it
//!   rejects/<hash>.parquet        rejected rows of the ingests so far
//! ```
//!
//! A day is the UTC day of arrival; a visit is stored once, on that day, however long it lasts. Files are named by
//! their content and never overwritten: a new version is a new manifest, renamed into place.

pub mod disk;
pub mod format;
pub mod ingest;
pub mod manifest;
pub mod memory;
mod merge;
pub mod publish;
pub mod up_to;

use std::sync::Arc;

use crate::config::{ContactConfig, ContactThreshold, StayRule, VisitRules};
use crate::error::Result;
use crate::ids::{IdTable, IdType};
use crate::records::venues::VenueFacts;
use crate::time::Second;
use crate::visits::{StayRules, Visits};

/// Visits by day in both orders: a published store, or visits just made and held in memory.
pub trait VisitSource: Sync {
    /// Person ids by key.
    fn persons(&self) -> &IdTable;
    /// Venues by key.
    fn venues(&self) -> &Venues;
    /// The days that hold visits, in order.
    fn days(&self) -> &[DayExtent];
    /// The visits of `days()[at]`, sorted by person, arrival, venue.
    ///
    /// # Errors
    /// `storage` or `integrity` if the file is gone or not the one published.
    fn by_person(&self, at: usize) -> Result<Arc<Visits>>;
    /// The visits of `days()[at]`, sorted by venue, arrival, person.
    ///
    /// # Errors
    /// As for `by_person`.
    fn by_venue(&self, at: usize) -> Result<Arc<Visits>>;
}

/// When the visits of one day begin and end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DayExtent {
    /// UTC day of arrival, from 1970-01-01.
    pub day: u32,
    /// How many visits.
    pub visits: u64,
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
    pub facts: Vec<VenueFacts>,
}

impl Venues {
    /// No venues.
    pub fn new(kind: IdType) -> Self {
        Venues { ids: IdTable::new(kind), parent: Vec::new(), facts: Vec::new() }
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

/// `visits` in the order of the by-venue copy.
pub fn sort_by_venue(visits: Visits) -> Visits {
    visits.sorted_by_venue()
}
