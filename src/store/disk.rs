//! A published store, open for reading.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::error::{Error, Result};
use crate::ids::{IdColumn, IdTable};
use crate::store::format::{self, RejectRow};
use crate::store::manifest::{DataFile, Manifest};
use crate::store::merge::Existing;
use crate::store::publish::read_content;
use crate::store::{DayExtent, Venues, VisitSource};
use crate::time::Second;
use crate::visits::{Scans, Visits};

/// One published version of a store. Later versions do not disturb it: they keep its files once.
pub struct DiskStore {
    folder: PathBuf,
    manifest: Manifest,
    persons: IdTable,
    venues: Venues,
    days: Vec<DayExtent>,
}

impl DiskStore {
    /// The store in `folder`; `None` if none has been published there.
    ///
    /// # Errors
    /// `integrity` for another format or a changed file; `storage` if it cannot be read.
    pub fn open(folder: &Path) -> Result<Option<DiskStore>> {
        let path = folder.join("manifest.json");
        let Some(manifest) = DiskStore::manifest_of(folder)? else { return Ok(None) };
        let mut ids = IdColumn::new(manifest.person_id_type);
        for file in &manifest.persons {
            format::ids_from_bytes(read_content(folder, file)?, &file.path, &mut ids)?;
        }
        let venues = match &manifest.venues {
            Some(file) => {
                format::venues_from_bytes(read_content(folder, file)?, &file.path, manifest.venue_id_type)?
            }
            None => Venues::new(manifest.venue_id_type),
        };
        let rows: u64 = manifest.persons.iter().map(|f| f.rows).sum();
        let venue_rows = manifest.venues.as_ref().map_or(0, |f| f.rows);
        if (rows, venue_rows) != (ids.len() as u64, venues.ids.len() as u64) {
            return Err(Error::integrity(
                format!("{}: its id tables do not hold the rows it names", path.display()),
                "restore the store from a copy, or ingest into a new one",
            ));
        }
        Ok(Some(DiskStore {
            folder: folder.into(),
            days: manifest.extents(),
            persons: IdTable::from_column(ids),
            venues,
            manifest,
        }))
    }

    /// The store in `folder`, which must be there.
    ///
    /// # Errors
    /// `usage` if none has been published there; else as [`DiskStore::open`].
    pub fn open_existing(folder: &Path) -> Result<DiskStore> {
        DiskStore::open(folder)?.ok_or_else(|| {
            Error::usage(
                format!("{}: no store here", folder.display()),
                "make one with `ringtrace ingest --store DIR --scans PATH`",
            )
        })
    }

    /// What this version consists of.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The manifest of the store in `folder`, without its tables; `None` if none has been published there.
    ///
    /// # Errors
    /// As for [`DiskStore::open`].
    pub fn manifest_of(folder: &Path) -> Result<Option<Manifest>> {
        let path = folder.join("manifest.json");
        match std::fs::read_to_string(&path) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(Error::storage(&path, "reading")(e)),
            Ok(text) => Manifest::parse(&text, &path.display().to_string()).map(Some),
        }
    }

    /// The rejected rows of every file the store was fed with.
    ///
    /// # Errors
    /// `storage` or `integrity`.
    pub fn rejects(&self) -> Result<Vec<RejectRow>> {
        match &self.manifest.rejects {
            Some(file) => format::rejects_from_bytes(read_content(&self.folder, file)?, &file.path),
            None => Ok(Vec::new()),
        }
    }

    fn visits_of(&self, file: Option<&DataFile>) -> Result<Visits> {
        match file {
            Some(file) => {
                let visits = format::visits_from_bytes(read_content(&self.folder, file)?, &file.path)?;
                let known = |keys: &[u32], len: usize| keys.iter().all(|key| (*key as usize) < len);
                if known(&visits.person, self.persons.len()) && known(&visits.venue, self.venues.ids.len()) {
                    return Ok(visits);
                }
                Err(Error::integrity(
                    format!("{}: names persons or venues that the store does not know", file.path),
                    "restore the store from a copy, or ingest into a new one",
                ))
            }
            None => Ok(Visits::default()),
        }
    }
}

impl VisitSource for DiskStore {
    fn persons(&self) -> &IdTable {
        &self.persons
    }
    fn venues(&self) -> &Venues {
        &self.venues
    }
    fn days(&self) -> &[DayExtent] {
        &self.days
    }
    fn by_person(&self, at: usize) -> Result<Arc<Visits>> {
        Ok(Arc::new(self.visits_of(self.manifest.days[&self.days[at].day].by_person.as_ref())?))
    }
    fn by_venue(&self, at: usize) -> Result<Arc<Visits>> {
        Ok(Arc::new(self.visits_of(self.manifest.days[&self.days[at].day].by_venue.as_ref())?))
    }
}

impl Existing for DiskStore {
    fn days(&self) -> Vec<u32> {
        self.manifest.days.keys().copied().collect()
    }
    fn extent(&self, day: u32) -> Option<(Second, Second)> {
        let files = self.manifest.days.get(&day)?;
        files.arrived_min.zip(files.left_max)
    }
    fn scans(&self, day: u32) -> Result<Scans> {
        match self.manifest.days.get(&day).and_then(|d| d.scans.as_ref()) {
            Some(file) => format::scans_from_bytes(read_content(&self.folder, file)?, &file.path),
            None => Ok(Scans::default()),
        }
    }
    fn visits(&self, day: u32) -> Result<Visits> {
        self.visits_of(self.manifest.days.get(&day).and_then(|d| d.by_person.as_ref()))
    }
    fn directed(&self) -> bool {
        self.manifest.directed
    }
}
