//! Days, id tables and rejects as content files, and the manifest that publishes them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Mutex;

use rayon::prelude::*;

use crate::config::VisitRules;
use crate::error::Result;
use crate::records::rejects::FileBalance;
use crate::store::disk::DiskStore;
use crate::store::format::{self, Layout, Order};
use crate::store::ingest::visits::DaySink;
use crate::store::ingest::{Added, Feed, Report, folder, lock};
use crate::store::manifest::{DataFile, DayFiles, Manifest};
use crate::store::merge::Changes;
use crate::store::publish::{read_content, write_content, write_file, write_paged};
use crate::store::{DayExtent, sort_by_venue};
use crate::visits::{Scans, Visits};

/// The days of a store as they are being written; nothing of them shows before the manifest names it.
pub struct StoreDays<'a> {
    folder: &'a Path,
    current: Option<&'a DiskStore>,
    layout: Layout,
    written: Mutex<BTreeMap<u32, DayFiles>>,
}

impl<'a> StoreDays<'a> {
    /// None yet.
    pub fn new(folder: &'a Path, current: Option<&'a DiskStore>, layout: Layout) -> StoreDays<'a> {
        StoreDays { folder, current, layout, written: Mutex::default() }
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
        let place = |copy: &str| format!("{copy}/day={}", crate::time::utc_day_name(day));
        let write = |copy: &str, visits: &Visits, order: Order| {
            let file = format::visits_to_bytes(visits, order, self.layout)?;
            let rows = visits.len() as u64;
            write_paged(self.folder, &place(copy), rows, &file.bytes, Some(&file.pages)).map(Some)
        };
        let before = self.current.and_then(|store| store.manifest().days.get(&day));
        let none =
            DayFiles { arrived_min: None, left_max: None, by_person: None, by_venue: None, scans: None };
        let mut files = before.unwrap_or(&none).clone();
        if let Some(scans) = scans {
            let (rows, bytes) = (scans.len() as u64, format::scans_to_bytes(&scans)?);
            files.scans = Some(write_content(self.folder, &place("scans"), rows, &bytes)?);
        }
        if let Some(visits) = visits {
            let extent = DayExtent::of(day, &visits);
            files.arrived_min = extent.map(|e| e.arrived_min);
            files.left_max = extent.map(|e| e.left_max);
            (files.by_person, files.by_venue) = (None, None);
            if extent.is_some() {
                files.by_person = write("by_person", &visits, Order::Person)?;
                files.by_venue = write("by_venue", &sort_by_venue(visits), Order::Venue)?;
            }
        }
        // All visits of a new day may have turned out to belong to visits of days before.
        if before.is_some() || files != none {
            lock(&self.written).insert(day, files);
        }
        Ok(())
    }
}

impl DaySink for StoreDays<'_> {
    fn take(&self, day: u32, visits: Visits) -> Result<()> {
        self.write_day(day, None, Some(visits))
    }

    fn taken(&self, day: u32) -> Result<Option<Visits>> {
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
        let (bytes, pages) = format::ids_to_bytes(&new_persons, "person_id", feed.layout)?;
        let rows = new_persons.len() as u64;
        next.persons.push(write_paged(place, "persons", rows, &bytes, pages.as_deref())?);
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
