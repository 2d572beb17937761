//! Days, id tables and rejects as content files, and the manifest that publishes them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Mutex;

use rayon::prelude::*;

use crate::config::VisitRules;
use crate::error::Result;
use crate::records::rejects::FileBalance;
use crate::store::by_venue::{self, Slabs};
use crate::store::copies::{Copied, CopyFile, Row, StatedStay};
use crate::store::disk::DiskStore;
use crate::store::format::{self, Layout, Order};
use crate::store::ingest::{Added, Feed, Report, folder, lock};
use crate::store::manifest::{DataFile, DayFiles, Manifest};
use crate::store::merge::Changes;
use crate::store::persons;
use crate::store::publish::{read_content, write_content, write_file};
use crate::visits::{Scans, Visit, Visits};

/// The days of a store as they are being written; nothing of them shows before the manifest names it.
pub struct StoreDays<'a> {
    folder: &'a Path,
    current: Option<&'a DiskStore>,
    layout: Layout,
    written: Mutex<BTreeMap<u32, DayFiles>>,
    slabs: Slabs,
}

impl<'a> StoreDays<'a> {
    /// None yet.
    pub fn new(folder: &'a Path, current: Option<&'a DiskStore>, layout: Layout) -> StoreDays<'a> {
        StoreDays { folder, current, layout, written: Mutex::default(), slabs: Slabs::default() }
    }

    /// Writes the days that changed.
    ///
    /// # Errors
    /// `storage`.
    pub fn write(&self, changes: Changes) -> Result<()> {
        let Changes { mut scans, mut visits, .. } = changes;
        let days: BTreeSet<u32> = visits.keys().chain(scans.keys()).copied().collect();
        let days: Vec<_> =
            days.into_iter().map(|day| (day, scans.remove(&day), visits.remove(&day))).collect();
        days.into_par_iter().map(|(day, scans, visits)| self.write_day(day, scans, visits)).collect()
    }

    fn write_day(&self, day: u32, scans: Option<Scans>, visits: Option<Visits>) -> Result<()> {
        let mut files = self.before(day);
        if let Some(scans) = scans {
            let (rows, bytes) = (scans.len() as u64, format::scans_to_bytes(&scans)?);
            files.scans = Some(write_content(self.folder, &place("scans", day), rows, &bytes)?);
        }
        if let Some(visits) = visits {
            let scans = files.scans.take();
            files = DayFiles { scans, ..NO_FILES };
            if !visits.is_empty() {
                let mut by_person = self.create("by_person", day, Order::Person)?;
                push_all(&mut by_person, &visits)?;
                let by_person = by_person.finish(self.folder)?;
                let mut by_venue = self.create("by_venue", day, Order::Venue)?;
                push_all(&mut by_venue, &visits.sorted_by_venue())?;
                files = files_of(files.scans, by_person, by_venue.finish(self.folder)?);
            }
        }
        self.done(day, files);
        Ok(())
    }

    /// The files of a day in the version before.
    fn before(&self, day: u32) -> DayFiles {
        let before = self.current.and_then(|store| store.manifest().days.get(&day));
        before.cloned().unwrap_or(NO_FILES)
    }

    fn create<T: Row>(&self, copy: &str, day: u32, order: Order) -> Result<CopyFile<T>> {
        CopyFile::create(self.folder, &place(copy, day), order, self.layout)
    }

    fn done(&self, day: u32, files: DayFiles) {
        // All visits of a new day may have turned out to belong to visits of days before.
        let known = self.current.is_some_and(|store| store.manifest().days.contains_key(&day));
        if known || files != NO_FILES {
            lock(&self.written).insert(day, files);
        }
    }
}

const NO_FILES: DayFiles =
    DayFiles { arrived_min: None, left_max: None, by_person: None, by_venue: None, scans: None };

fn files_of(scans: Option<DataFile>, by_person: Copied, by_venue: Copied) -> DayFiles {
    let Copied { file, arrived_min, left_max } = by_person;
    DayFiles {
        arrived_min: Some(arrived_min),
        left_max: Some(left_max),
        by_person: Some(file),
        by_venue: Some(by_venue.file),
        scans,
    }
}

/// The folder of a day's files of one kind.
fn place(kind: &str, day: u32) -> String {
    format!("{kind}/day={}", crate::time::utc_day_name(day))
}

fn push_all(copy: &mut CopyFile<Visit>, visits: &Visits) -> Result<()> {
    for first in (0..visits.len()).step_by(PUSHED) {
        let rows = first..(first + PUSHED).min(visits.len());
        copy.push(&rows.map(|row| visits.get(row)).collect::<Vec<_>>())?;
    }
    Ok(())
}

/// Visits turned from columns into rows at once.
const PUSHED: usize = 1 << 16;

impl StoreDays<'_> {
    /// Writes a day's visits, which come in parts one after the other, sorted by person; a day may come again, changed.
    ///
    /// # Errors
    /// `storage`.
    pub fn take(&self, day: u32, stays: Vec<Vec<StatedStay>>) -> Result<()> {
        let scans = self.before(day).scans;
        if stays.iter().all(Vec::is_empty) {
            self.done(day, DayFiles { scans, ..NO_FILES });
            return Ok(());
        }
        let by_person = || {
            let mut copy = self.create("by_person", day, Order::Person)?;
            stays.iter().try_for_each(|part| copy.push(part))?;
            copy.finish(self.folder)
        };
        let by_venue = || {
            let mut copy = self.create("by_venue", day, Order::Venue)?;
            by_venue::hand_on(&stays, &self.slabs, |stays| copy.push(stays))?;
            copy.finish(self.folder)
        };
        // At once, in a thread of its own: each waits for the disk as often as it has encoded a row group.
        let (by_person, by_venue) = std::thread::scope(|scope| {
            let by_person = scope.spawn(by_person);
            let by_venue = by_venue();
            (by_person.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)), by_venue)
        });
        self.done(day, files_of(scans, by_person?, by_venue?));
        Ok(())
    }

    /// A day's visits as they were written last; `None` if they never were.
    ///
    /// # Errors
    /// `storage`.
    pub fn taken(&self, day: u32) -> Result<Option<Visits>> {
        let file = lock(&self.written).get(&day).and_then(|files| files.by_person.clone());
        file.map(|file| format::visits_from_bytes(read_content(self.folder, &file)?, &file.path)).transpose()
    }
}

/// A digest of the rules that make visits of scans.
pub fn digest(rules: &VisitRules) -> String {
    blake3::hash(format!("{rules:?}").as_bytes()).to_hex().to_string()
}

/// Publishes a new version of the store, if anything in it changes.
///
/// # Errors
/// `storage`, with the published version as it was; `integrity` if rows were lost.
pub fn publish(
    place: &Path,
    feed: &Feed<'_>,
    current: Option<&DiskStore>,
    added: Added,
    days: StoreDays<'_>,
) -> Result<Report> {
    let Added { new_persons, venues, directed, fed_files, fed_rejects, mut report } = added;
    fed_files.iter().chain(&report.files).try_for_each(FileBalance::check)?;
    let before = match current {
        Some(current) => current.manifest().clone(),
        None => Manifest::empty(feed.with, new_persons.kind(), venues.ids.ids().kind()),
    };
    let mut next = before.clone();
    next.visit_rules = digest(feed.rules);
    next.person_id_type = new_persons.kind();
    next.venue_id_type = venues.ids.ids().kind();
    next.directed = directed || before.directed;
    if !new_persons.is_empty() {
        next.persons.push(persons::write(place, &new_persons, feed.layout)?);
    }
    let bytes = format::venues_to_bytes(&venues)?;
    next.venues = Some(write_content(place, "venues", venues.ids.len() as u64, &bytes)?);
    for (day, files) in days.written.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner()) {
        if before.days.get(&day) != Some(&files) {
            report.changed_days.push(day);
            next.days.insert(day, files);
        }
    }

    next.inputs.extend(fed_files.iter().cloned());
    next.inputs.sort_by(|a, b| (&a.table, &a.file, &a.blake3).cmp(&(&b.table, &b.file, &b.blake3)));
    let known_rejects = current.map_or(Ok(Vec::new()), DiskStore::rejects)?;
    let mut rejects = known_rejects.clone();
    if !feed.venues.paths.is_empty() {
        // The venues table is read whole each time, and so are its rejects.
        rejects.retain(|r| r.table != "venues");
        rejects.extend(report.rejects.iter().cloned());
    }
    rejects.extend(fed_rejects.iter().cloned());
    rejects.sort();
    if rejects != known_rejects {
        let bytes = format::rejects_to_bytes(&rejects)?;
        next.rejects = Some(write_content(place, "rejects", rejects.len() as u64, &bytes)?);
    }
    report.files.extend(fed_files);
    report.rejects.extend(fed_rejects);
    if next == before && current.is_some() {
        return Ok(report);
    }
    next.version += 1;
    next.previous = before.files().flat_map(DataFile::paths).collect();
    report.version = Some(next.version);
    let text = serde_json::to_string_pretty(&next).expect("a manifest is plain data");
    write_file(&place.join("manifest.json"), text.as_bytes())?;
    folder::remove_orphans(place, &next)?;
    Ok(report)
}
