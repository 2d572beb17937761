//! Files into a store, or into memory: ids to keys, rows to changed days, a new version published whole.
//!
//! Visits are read once if their rows fit the memory given, else once to check and count them and then again a group
//! of days at a time; either way the store is the same, byte by byte. Scans are held at once.

mod budget;
mod describe;
mod first;
mod folder;
mod hold;
mod join;
mod keys;
mod ranges;
mod scans;
mod visits;
mod write;

use std::path::Path;
use std::sync::{Mutex, MutexGuard};

use crate::config::{TableConfig, VisitRules};
use crate::error::{Error, Result};
use crate::ids::IdColumn;
use crate::records::rejects::FileBalance;
use crate::records::venues::{self, VenueRow};
use crate::records::{self, FileRows, StampedFile};
use crate::store::Venues;
use crate::store::disk::DiskStore;
use crate::store::format::{Layout, RejectRow};
use crate::store::manifest::FedWith;
use crate::store::memory::MemoryVisits;
use crate::store::persons::Persons;
use crate::store::publish::Lock;

pub use budget::Budget;
pub use keys::type_of_tables;

/// What to read, and how scans become visits.
pub struct Feed<'a> {
    /// Which table.
    pub with: FedWith,
    /// Where it is.
    pub table: &'a TableConfig,
    /// The venues table; with no paths, what is known of venues stays as it is.
    pub venues: &'a TableConfig,
    /// How scans become visits.
    pub rules: &'a VisitRules,
    /// How much to hold at once.
    pub budget: Budget,
    /// Pages of visits and ids; anything but [`Layout::LOOKED_UP`] is for tests.
    pub layout: Layout,
}

/// What an ingest did.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Every file read this time, venues included.
    pub files: Vec<FileBalance>,
    /// Rejected rows of those files.
    pub rejects: Vec<RejectRow>,
    /// Files skipped because they had been read before.
    pub known_files: usize,
    /// Files read before under the same name with other content; rows they no longer hold stay in the store.
    pub changed_files: Vec<String>,
    /// UTC days whose visits changed, by number.
    pub changed_days: Vec<u32>,
    /// Version published; `None` when nothing changed.
    pub version: Option<u64>,
}

/// What the files of a feed add, apart from the visits of days, which have been handed on.
struct Added {
    /// Ids of new persons, in key order; their type is that of all.
    new_persons: IdColumn,
    venues: Venues,
    /// Whether any scan now has a direction "out" or an end of its own.
    directed: bool,
    fed_files: Vec<FileBalance>,
    fed_rejects: Vec<RejectRow>,
    report: Report,
}

/// What there is to read.
struct NewFiles {
    unread: Vec<StampedFile>,
    venue_files: Vec<FileRows<Vec<VenueRow>>>,
    report: Report,
}

/// Reads the feed into memory, for a single trace; `None` if visits need more than given.
///
/// # Errors
/// Those of reading the files; `usage` if scans need more memory than given.
pub fn hold(feed: &Feed<'_>) -> Result<Option<(MemoryVisits, Report)>> {
    match feed.with {
        FedWith::Scans => {
            let (added, days) = scans::hold(feed)?;
            let (persons, venues, report) = added.held();
            Ok(Some((MemoryVisits::new(persons, venues, days), report)))
        }
        FedWith::Visits => {
            let Some((added, visits)) = hold::hold(feed)? else { return Ok(None) };
            let (persons, venues, report) = added.held();
            Ok(Some((MemoryVisits::together(persons, venues, visits), report)))
        }
    }
}

impl Added {
    /// The tables that held visits refer to, and the report with the feed's own files.
    fn held(self) -> (Persons, Venues, Report) {
        let Added { new_persons, venues, fed_files, fed_rejects, mut report, .. } = self;
        report.files.extend(fed_files);
        report.rejects.extend(fed_rejects);
        (Persons::of_column(new_persons), venues, report)
    }
}

/// A store after an ingest, still held: no other ingest can come between it and what is read from it.
pub struct Ingested {
    /// What the ingest did.
    pub report: Report,
    /// The store as it is now.
    pub store: DiskStore,
    _lock: Lock,
}

/// Reads the files of the feed that the store in `folder` has not read yet, and publishes a new version if anything
/// in it changes.
///
/// # Errors
/// Those of reading the files; `conflict` if another process is at it, or the folder holds something else; `storage`,
/// with the published version as it was.
pub fn ingest(place: &Path, feed: &Feed<'_>) -> Result<Ingested> {
    let lock = Lock::take(place)?;
    let current = DiskStore::open(place)?;
    if current.is_none() {
        folder::refuse_foreign(place)?;
    }
    folder::remove_unfinished(place)?;
    if let Some(current) = &current {
        let fed_with = current.manifest().fed_with;
        if fed_with != feed.with {
            return Err(Error::usage(
                format!(
                    "{}: this store is fed with {}, not {}",
                    place.display(),
                    fed_with.table(),
                    feed.with.table()
                ),
                "use one store for each kind of input",
            ));
        }
    }
    let current = current.as_ref();
    let days = write::StoreDays::new(place, current, feed.layout);
    let added = match feed.with {
        FedWith::Scans => scans::add(feed, current, &days)?,
        FedWith::Visits => visits::add(feed, current, &days)?,
    };
    let report = write::publish(place, feed, current, added, days)?;
    Ok(Ingested { report, store: DiskStore::open_existing(place)?, _lock: lock })
}

/// The files of the feed that the store has not read yet, the rows of the venues table, and a report that names the
/// files left out.
fn new_files(feed: &Feed<'_>, current: Option<&DiskStore>) -> Result<NewFiles> {
    let mut report = Report::default();
    let mut unread = Vec::new();
    for file in records::stamp(feed.with.table(), feed.table)? {
        let inputs = current.map_or(&[][..], |c| &c.manifest().inputs);
        let same_name = inputs.iter().filter(|i| i.file == file.file.name);
        let (known, other): (Vec<_>, Vec<_>) = same_name.partition(|i| i.blake3 == file.blake3);
        if known.iter().any(|i| i.read_as != feed.table.read_as()) {
            return Err(Error::Conflict {
                what: format!(
                    "{}: has been read with another mapping, time unit or time zone",
                    file.file.name
                ),
                help: "its rows are in the store as they were read then; ingest everything into a new store"
                    .into(),
            });
        }
        if !known.is_empty() {
            report.known_files += 1;
            continue;
        }
        if !other.is_empty() {
            report.changed_files.push(file.file.name.clone());
        }
        unread.push(file);
    }
    let venue_files = match feed.venues.paths.is_empty() {
        true => Vec::new(),
        false => venues::read(&records::stamp("venues", feed.venues)?, feed.venues)?,
    };
    Ok(NewFiles { unread, venue_files, report })
}

/// What the mutex guards. A thread that panicked while it held it ends the whole ingest, so nobody sees what it left.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}
