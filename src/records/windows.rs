//! Windows: published exposure sites and contaminated places, sources without a person.

use crate::config::TableConfig;
use crate::error::Result;
use crate::records::columns::Kind;
use crate::records::scans::{key, optional_text, optional_time, span_fault, time};
use crate::records::table::{ColumnSpec, Schema};
use crate::records::{FileRows, Numbered, StampedFile, read_files};
use crate::time::Second;

/// Number of the window ids' table in a file's rows.
pub const WINDOWS: usize = 0;
/// Number of the venue ids' table in a file's rows.
pub const VENUES: usize = 1;

/// One row of the windows table.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct WindowRow {
    /// The window's key in the file's id table.
    pub window: u32,
    /// The venue's key in the file's id table.
    pub venue: u32,
    /// Start.
    pub from: Second,
    /// End.
    pub until: Second,
    /// What visitors are told to do.
    pub advice: Option<String>,
    /// When it was published.
    pub known_at: Option<Second>,
}

pub(super) const SCHEMA: Schema = Schema {
    table: "windows",
    id_tables: 2,
    columns: &[
        ColumnSpec::new("window_id", Kind::Id(WINDOWS), true),
        ColumnSpec::new("venue_id", Kind::Id(VENUES), true),
        ColumnSpec::new("from", Kind::Time, true),
        ColumnSpec::new("until", Kind::Time, true),
        ColumnSpec::new("advice", Kind::Text, false),
        ColumnSpec::new("known_at", Kind::Time, false),
    ],
};

/// The checked rows of each windows file, each with its row number.
///
/// # Errors
/// As for `table::read`.
pub fn read(files: &[StampedFile], config: &TableConfig) -> Result<Vec<FileRows<Numbered<WindowRow>>>> {
    read_files(files, &SCHEMA, config, |rows: &mut Numbered<WindowRow>, batch, row| {
        let (from, until) = (time(batch, 2, row), time(batch, 3, row));
        if let Some(reason) = span_fault(from, until) {
            return Some(("until", reason));
        }
        let window = WindowRow {
            window: key(batch, WINDOWS, row),
            venue: key(batch, VENUES, row),
            from,
            until,
            advice: optional_text(batch, 4, row),
            known_at: optional_time(batch, 5, row),
        };
        rows.push((batch.first_row + row as u64, window));
        None
    })
}
