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
        let text = match std::fs::read_to_string(&path) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            other => other.map_err(Error::storage(&path, "reading"))?,
        };
        let manifest = Manifest::parse(&text, &path.display().to_string())?;
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
            Some(file) => format::visits_from_bytes(read_content(&self.folder, file)?, &file.path),
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
