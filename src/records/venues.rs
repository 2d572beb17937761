//! Venues and residences: what is known about places, and where people live.

use crate::config::TableConfig;
use crate::error::Result;
use crate::ids::NO_KEY;
use crate::records::columns::{Column, Kind};
use crate::records::scans::{key, optional_text, optional_time};
use crate::records::table::{ColumnSpec, Schema};
use crate::records::{FileRows, StampedFile, read_files};
use crate::time::Second;

/// One row of the venues table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VenueRow {
    /// Row in its file, from 1.
    pub row: u64,
    /// The venue's key in the file's id table.
    pub venue: u32,
    /// The key there of the venue it is inside, or [`NO_KEY`].
    pub parent: u32,
    /// What is known of it.
    pub facts: VenueFacts,
}

/// What is known of a venue apart from where it is inside.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VenueFacts {
    /// Kind of place; rules refer to it.
    pub category: Option<String>,
    /// The region whose office is in charge of it.
    pub region_id: Option<String>,
    /// What people call it.
    pub name: Option<String>,
}

/// What is known of each venue, by key. Of most it is nothing, and then it takes no more than a pointer.
#[derive(Clone, Debug, Default)]
pub struct FactsByVenue(Vec<Option<Box<VenueFacts>>>);

impl FactsByVenue {
    /// Makes room for so many venues, of which nothing is known.
    pub fn grow(&mut self, venues: usize) {
        self.0.resize(venues, None);
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.0.fill(None);
    }

    /// Sets what is known of a venue.
    pub fn set(&mut self, venue: u32, facts: VenueFacts) {
        self.0[venue as usize] = (facts != NOTHING).then(|| Box::new(facts));
    }

    /// What is known of each, in the order of keys.
    pub fn iter(&self) -> impl Iterator<Item = &VenueFacts> {
        self.0.iter().map(|facts| facts.as_deref().unwrap_or(&NOTHING))
    }
}

static NOTHING: VenueFacts = VenueFacts { category: None, region_id: None, name: None };

impl std::ops::Index<usize> for FactsByVenue {
    type Output = VenueFacts;

    fn index(&self, venue: usize) -> &VenueFacts {
        self.0[venue].as_deref().unwrap_or(&NOTHING)
    }
}

impl FromIterator<VenueFacts> for FactsByVenue {
    fn from_iter<I: IntoIterator<Item = VenueFacts>>(facts: I) -> Self {
        FactsByVenue(facts.into_iter().map(|facts| (facts != NOTHING).then(|| Box::new(facts))).collect())
    }
}

/// One row of the residences table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResidenceRow {
    /// Row in its file, from 1.
    pub row: u64,
    /// The person's key in the file's id table 0.
    pub person: u32,
    /// The key in id table 1 of the region whose office is in charge of the person.
    pub region: u32,
    /// The key in id table 2 of the community there, or [`NO_KEY`].
    pub community: u32,
    /// When it became known; 0 if that is not told.
    pub known_at: Second,
}

pub(super) const VENUES: Schema = Schema {
    table: "venues",
    id_tables: 1,
    columns: &[
        ColumnSpec::new("venue_id", Kind::Id(0), true),
        ColumnSpec::new("category", Kind::Text, false),
        ColumnSpec::new("region_id", Kind::Text, false),
        ColumnSpec::new("parent_venue_id", Kind::Id(0), false),
        ColumnSpec::new("name", Kind::Text, false),
    ],
};

pub(super) const RESIDENCES: Schema = Schema {
    table: "residences",
    // Places are few and the rows many: as ids they are no text of their own in every row.
    id_tables: 3,
    columns: &[
        ColumnSpec::new("person_id", Kind::Id(0), true),
        ColumnSpec::new("region_id", Kind::Id(1), true),
        ColumnSpec::new("community_id", Kind::Id(2), false),
        ColumnSpec::new("known_at", Kind::Time, false),
    ],
};

/// The checked rows of each venues file.
///
/// # Errors
/// As for `table::read`.
pub fn read(files: &[StampedFile], config: &TableConfig) -> Result<Vec<FileRows<Vec<VenueRow>>>> {
    read_files(files, &VENUES, config, |rows: &mut Vec<VenueRow>, batch, row| {
        let parent = match &batch.columns[3] {
            Some(Column::Ids(keys)) => keys[row],
            _ => NO_KEY,
        };
        let facts = VenueFacts {
            category: optional_text(batch, 1, row),
            region_id: optional_text(batch, 2, row),
            name: optional_text(batch, 4, row),
        };
        rows.push(VenueRow { row: batch.first_row + row as u64, venue: key(batch, 0, row), parent, facts });
        None
    })
}

/// The checked rows of each residences file.
///
/// # Errors
/// As for `table::read`.
pub fn read_residences(
    files: &[StampedFile],
    config: &TableConfig,
) -> Result<Vec<FileRows<Vec<ResidenceRow>>>> {
    read_files(files, &RESIDENCES, config, |rows: &mut Vec<ResidenceRow>, batch, row| {
        let community = match &batch.columns[2] {
            Some(Column::Ids(keys)) => keys[row],
            _ => NO_KEY,
        };
        let (person, region) = (key(batch, 0, row), key(batch, 1, row));
        let known_at = optional_time(batch, 3, row).unwrap_or(0);
        rows.push(ResidenceRow { row: batch.first_row + row as u64, person, region, community, known_at });
        None
    })
}
