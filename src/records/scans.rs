//! Scans and visits: the two large tables, as columns.

use crate::config::TableConfig;
use crate::error::Result;
use crate::records::columns::{Column, Kind, NO_TIME, NO_WORD};
use crate::records::rejects::Reason;
use crate::records::table::{Batch, ColumnSpec, Schema};
use crate::records::{FileRows, Rows, StampedFile, read_files};
use crate::time::{FOREVER, Second};

/// Number of the person ids' table in a file's rows.
pub const PERSONS: usize = 0;
/// Number of the venue ids' table in a file's rows.
pub const VENUES: usize = 1;

/// Which way a scan points.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Direction {
    /// Checking in, or a reader that does not tell.
    In = 0,
    /// Checking out.
    Out = 1,
}

/// A scan's `left_at` where the record has none.
pub const NOT_LEFT: Second = FOREVER;

/// Accepted scans, a column each.
#[derive(Default)]
pub struct ScanRows {
    /// Person keys.
    pub person: Vec<u32>,
    /// Venue keys.
    pub venue: Vec<u32>,
    /// When scanned.
    pub at: Vec<Second>,
    /// Which way.
    pub direction: Vec<Direction>,
    /// When the same record says the person left, or [`NOT_LEFT`].
    pub left: Vec<Second>,
}

/// Accepted rows of the visits table, a column each.
#[derive(Default)]
pub struct VisitRows {
    /// Person keys.
    pub person: Vec<u32>,
    /// Venue keys.
    pub venue: Vec<u32>,
    /// Start of the stay.
    pub arrived: Vec<Second>,
    /// End of the stay.
    pub left: Vec<Second>,
}

impl Rows for ScanRows {
    fn count(&self) -> u64 {
        self.person.len() as u64
    }
}

impl Rows for VisitRows {
    fn count(&self) -> u64 {
        self.person.len() as u64
    }
}

pub(super) const SCANS: Schema = Schema {
    table: "scans",
    id_tables: 2,
    columns: &[
        ColumnSpec::new("person_id", Kind::Id(PERSONS), true),
        ColumnSpec::new("venue_id", Kind::Id(VENUES), true),
        ColumnSpec::new("scanned_at", Kind::Time, true),
        ColumnSpec::new("direction", Kind::Word(&["in", "out"]), false),
        ColumnSpec::new("left_at", Kind::Time, false),
    ],
};

pub(super) const VISITS: Schema = Schema {
    table: "visits",
    id_tables: 2,
    columns: &[
        ColumnSpec::new("person_id", Kind::Id(PERSONS), true),
        ColumnSpec::new("venue_id", Kind::Id(VENUES), true),
        ColumnSpec::new("arrived_at", Kind::Time, true),
        ColumnSpec::new("left_at", Kind::Time, true),
    ],
};

/// The checked scans of each file.
///
/// # Errors
/// As for `table::read`.
pub fn read_scans(files: &[StampedFile], config: &TableConfig) -> Result<Vec<FileRows<ScanRows>>> {
    let read = read_files(files, &SCANS, config, |rows: &mut ScanRows, batch, row| {
        let at = time(batch, 2, row);
        let out = matches!(&batch.columns[3], Some(Column::Words(w)) if w[row] == 1);
        let left = match &batch.columns[4] {
            Some(Column::Times(times)) if times[row] != NO_TIME => times[row] as Second,
            _ => NOT_LEFT,
        };
        if left < at {
            return Some(("left_at", Reason::EndsBeforeStart));
        }
        rows.person.push(key(batch, 0, row));
        rows.venue.push(key(batch, 1, row));
        rows.at.push(at);
        rows.direction.push(if out { Direction::Out } else { Direction::In });
        rows.left.push(left);
        None
    })?;
    Ok(read
        .into_iter()
        .map(|file| without_rejected(file, |rows| (&mut rows.person, &mut rows.venue)))
        .collect())
}

/// The checked visits of each file.
///
/// # Errors
/// As for `table::read`.
pub fn read_visits(files: &[StampedFile], config: &TableConfig) -> Result<Vec<FileRows<VisitRows>>> {
    let read = read_files(files, &VISITS, config, |rows: &mut VisitRows, batch, row| {
        let (arrived, left) = (time(batch, 2, row), time(batch, 3, row));
        if let Some(reason) = span_fault(arrived, left) {
            return Some(("left_at", reason));
        }
        rows.person.push(key(batch, 0, row));
        rows.venue.push(key(batch, 1, row));
        rows.arrived.push(arrived);
        rows.left.push(left);
        None
    })?;
    Ok(read
        .into_iter()
        .map(|file| without_rejected(file, |rows| (&mut rows.person, &mut rows.venue)))
        .collect())
}

/// The file without the ids that only rejected rows have: those must decide nothing.
fn without_rejected<T>(
    mut file: FileRows<T>,
    keys: impl Fn(&mut T) -> (&mut Vec<u32>, &mut Vec<u32>),
) -> FileRows<T> {
    if !file.rejects.is_empty() {
        let (person, venue) = keys(&mut file.rows);
        file.ids[PERSONS].keep_used(person);
        file.ids[VENUES].keep_used(venue);
    }
    file
}

/// What is wrong with a span as such.
pub fn span_fault(from: Second, until: Second) -> Option<Reason> {
    match from.cmp(&until) {
        std::cmp::Ordering::Less => None,
        std::cmp::Ordering::Equal => Some(Reason::EmptySpan),
        std::cmp::Ordering::Greater => Some(Reason::EndsBeforeStart),
    }
}

/// The key in a required id column whose fault has been ruled out.
pub(super) fn key(batch: &Batch, column: usize, row: usize) -> u32 {
    match &batch.columns[column] {
        Some(Column::Ids(keys)) => keys[row],
        _ => unreachable!("a required id column"),
    }
}

/// The time in a required time column whose fault has been ruled out.
pub(super) fn time(batch: &Batch, column: usize, row: usize) -> Second {
    match &batch.columns[column] {
        Some(Column::Times(times)) => times[row] as Second,
        _ => unreachable!("a required time column"),
    }
}

/// The time in an optional time column.
pub(super) fn optional_time(batch: &Batch, column: usize, row: usize) -> Option<Second> {
    match &batch.columns[column] {
        Some(Column::Times(times)) if times[row] != NO_TIME => Some(times[row] as Second),
        _ => None,
    }
}

/// The word's index in an optional word column.
pub(super) fn optional_word(batch: &Batch, column: usize, row: usize) -> Option<u8> {
    match &batch.columns[column] {
        Some(Column::Words(words)) if words[row] != NO_WORD => Some(words[row]),
        _ => None,
    }
}

/// The text in an optional text column.
pub(super) fn optional_text(batch: &Batch, column: usize, row: usize) -> Option<String> {
    match &batch.columns[column] {
        Some(Column::Texts(texts)) => texts[row].clone(),
        _ => None,
    }
}
