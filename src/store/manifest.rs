//! The manifest: what a published version of a store consists of.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::ids::IdType;
use crate::records::rejects::FileBalance;
use crate::store::DayExtent;
use crate::store::pages::index_path;
use crate::time::{self, Second};

/// The format this version of the program reads and writes.
pub const FORMAT: u32 = 2;

/// A published version of a store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Layout of everything else; see [`FORMAT`].
    pub format: u32,
    /// Counts published versions.
    pub version: u64,
    /// Which table the store is fed with.
    pub fed_with: FedWith,
    /// Type of person ids.
    pub person_id_type: IdType,
    /// Type of venue ids.
    pub venue_id_type: IdType,
    /// Digest of the rules that made the visits; other rules mean other visits.
    pub visit_rules: String,
    /// Whether any scan has a direction "out" or an end of its own.
    pub directed: bool,
    /// Person ids in key order.
    pub persons: Vec<DataFile>,
    /// Venues in key order.
    pub venues: Option<DataFile>,
    /// Files of each day, by UTC day number.
    pub days: BTreeMap<u32, DayFiles>,
    /// Every file read so far, by table and name.
    pub inputs: Vec<FileBalance>,
    /// Rejected rows of the files read so far.
    pub rejects: Option<DataFile>,
    /// Files of the version before, kept for readers that still use it.
    pub previous: Vec<String>,
}

/// What a store is made from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FedWith {
    /// Scans, from which visits are made.
    Scans,
    /// Visits, taken as they are.
    Visits,
}

impl FedWith {
    /// The table's name.
    pub fn table(self) -> &'static str {
        match self {
            FedWith::Scans => "scans",
            FedWith::Visits => "visits",
        }
    }
}

/// One file of a store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataFile {
    /// Path below the store's folder.
    pub path: String,
    /// Rows in it.
    pub rows: u64,
    /// Its length.
    pub bytes: u64,
    /// BLAKE3 of its bytes.
    pub blake3: String,
    /// BLAKE3 of its page index, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pages_blake3: Option<String>,
}

impl DataFile {
    /// Its path and that of its page index.
    pub fn paths(&self) -> impl Iterator<Item = String> {
        let index = self.pages_blake3.is_some().then(|| index_path(&self.path));
        std::iter::once(self.path.clone()).chain(index)
    }
}

/// The files of one day.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DayFiles {
    /// First arrival, if the day has visits.
    pub arrived_min: Option<Second>,
    /// Last departure.
    pub left_max: Option<Second>,
    /// Visits sorted by person.
    pub by_person: Option<DataFile>,
    /// The same visits sorted by venue.
    pub by_venue: Option<DataFile>,
    /// Checked scans, in stores fed with scans.
    pub scans: Option<DataFile>,
}

impl Manifest {
    /// The manifest of a store that holds nothing yet.
    pub fn empty(fed_with: FedWith, person_id_type: IdType, venue_id_type: IdType) -> Self {
        Manifest {
            format: FORMAT,
            version: 0,
            fed_with,
            person_id_type,
            venue_id_type,
            visit_rules: String::new(),
            directed: false,
            persons: Vec::new(),
            venues: None,
            days: BTreeMap::new(),
            inputs: Vec::new(),
            rejects: None,
            previous: Vec::new(),
        }
    }

    /// The manifest in `text`.
    ///
    /// # Errors
    /// `integrity` if it is none, or one of another format, which is refused by name.
    pub fn parse(text: &str, name: &str) -> Result<Manifest> {
        #[derive(Deserialize)]
        struct Head {
            format: u32,
        }
        let wrong = |e: serde_json::Error| {
            Error::integrity(
                format!("{name}: not a store manifest: {e}"),
                "restore it, or ingest into a new store",
            )
        };
        let head: Head = serde_json::from_str(text).map_err(wrong)?;
        if head.format != FORMAT {
            return Err(Error::integrity(
                format!(
                    "{name}: store format {} is not format {FORMAT}, which this ringtrace reads",
                    head.format
                ),
                "use the ringtrace that wrote it, or ingest into a new store",
            ));
        }
        let manifest: Manifest = serde_json::from_str(text).map_err(wrong)?;
        // No later day holds an instant.
        if manifest.days.keys().any(|day| *day > time::utc_day(time::FOREVER)) {
            return Err(Error::integrity(format!("{name}: a day after 2106"), "restore it from a copy"));
        }
        Ok(manifest)
    }

    /// Every file it names.
    pub fn files(&self) -> impl Iterator<Item = &DataFile> {
        let days = self.days.values().flat_map(|d| [&d.by_person, &d.by_venue, &d.scans]);
        let single = [&self.venues, &self.rejects].into_iter().chain(days).flatten();
        self.persons.iter().chain(single)
    }

    /// When the visits of each day begin and end, in order.
    pub fn extents(&self) -> Vec<DayExtent> {
        let extent = |(day, files): (&u32, &DayFiles)| {
            Some(DayExtent {
                day: *day,
                visits: files.by_person.as_ref()?.rows,
                rows: files.by_person.as_ref()?.rows,
                arrived_min: files.arrived_min?,
                left_max: files.left_max?,
            })
        };
        self.days.iter().filter_map(extent).collect()
    }
}
