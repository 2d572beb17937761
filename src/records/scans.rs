//! Scans and visits: the two large tables, as columns.

use crate::records::bulk::{BulkRows, Fault};
use crate::records::columns::{Column, Kind, NO_TIME, NO_WORD};
use crate::records::rejects::Reason;
use crate::records::table::{Batch, ColumnSpec, Schema};
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
    /// Persons: tokens of integer ids, or keys into the piece's table of texts.
    pub person: Vec<u64>,
    /// Keys into the piece's table of venues.
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
    /// Persons: tokens of integer ids, or keys into the piece's table of texts.
    pub person: Vec<u64>,
    /// Keys into the piece's table of venues.
    pub venue: Vec<u32>,
    /// Start of the stay.
    pub arrived: Vec<Second>,
    /// End of the stay.
    pub left: Vec<Second>,
}

impl BulkRows for ScanRows {
    const SCHEMA: &'static Schema = &SCANS;

    fn persons(&self) -> &[u64] {
        &self.person
    }

    fn venues(&self) -> &[u32] {
        &self.venue
    }

    fn spans(&self) -> (&[Second], &[Second]) {
        (&self.at, &self.at)
    }

    fn append(&mut self, batch: &Batch) -> bool {
        // Directions and stated ends are rare enough to be looked at row by row.
        (0..batch.rows).all(|row| row_of_scan(batch, row).2.is_none()) && {
            for row in 0..batch.rows {
                let _ = self.accept(batch, row);
            }
            true
        }
    }

    fn accept(&mut self, batch: &Batch, row: usize) -> Option<Fault> {
        let (at, left, fault) = row_of_scan(batch, row);
        if fault.is_none() {
            let out = optional_word(batch, 3, row) == Some(1);
            self.person.push(tokens(batch)[row]);
            self.venue.push(key(batch, 1, row));
            self.at.push(at);
            self.direction.push(if out { Direction::Out } else { Direction::In });
            self.left.push(left);
        }
        fault
    }
}

/// When the scan of a row without faulty cells was, when it says the person left, and what is wrong with that.
fn row_of_scan(batch: &Batch, row: usize) -> (Second, Second, Option<Fault>) {
    let at = time(batch, 2, row);
    let left = optional_time(batch, 4, row).unwrap_or(NOT_LEFT);
    (at, left, (left < at).then_some(("left_at", Reason::EndsBeforeStart)))
}

impl BulkRows for VisitRows {
    const SCHEMA: &'static Schema = &VISITS;

    fn persons(&self) -> &[u64] {
        &self.person
    }

    fn venues(&self) -> &[u32] {
        &self.venue
    }

    fn spans(&self) -> (&[Second], &[Second]) {
        (&self.arrived, &self.left)
    }

    fn append(&mut self, batch: &Batch) -> bool {
        let (arrived, left) = (times(batch, 2), times(batch, 3));
        if !arrived.iter().zip(left).fold(true, |sound, (arrived, left)| sound & (arrived < left)) {
            return false;
        }
        self.person.extend_from_slice(tokens(batch));
        self.venue.extend_from_slice(keys(batch, 1));
        self.arrived.extend(arrived.iter().map(|at| *at as Second));
        self.left.extend(left.iter().map(|at| *at as Second));
        true
    }

    fn accept(&mut self, batch: &Batch, row: usize) -> Option<Fault> {
        let (arrived, left) = (time(batch, 2, row), time(batch, 3, row));
        let fault = span_fault(arrived, left).map(|reason| ("left_at", reason));
        if fault.is_none() {
            self.person.push(tokens(batch)[row]);
            self.venue.push(key(batch, 1, row));
            self.arrived.push(arrived);
            self.left.push(left);
        }
        fault
    }
}

pub(super) const SCANS: Schema = Schema {
    table: "scans",
    id_tables: 2,
    columns: &[
        ColumnSpec::new("person_id", Kind::Token(PERSONS), true),
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
        ColumnSpec::new("person_id", Kind::Token(PERSONS), true),
        ColumnSpec::new("venue_id", Kind::Id(VENUES), true),
        ColumnSpec::new("arrived_at", Kind::Time, true),
        ColumnSpec::new("left_at", Kind::Time, true),
    ],
};

/// What is wrong with a span as such.
pub fn span_fault(from: Second, until: Second) -> Option<Reason> {
    match from.cmp(&until) {
        std::cmp::Ordering::Less => None,
        std::cmp::Ordering::Equal => Some(Reason::EmptySpan),
        std::cmp::Ordering::Greater => Some(Reason::EndsBeforeStart),
    }
}

/// The cells of the person column, which is the first.
fn tokens(batch: &Batch) -> &[u64] {
    match &batch.columns[0] {
        Some(Column::Tokens(tokens)) => &tokens.cells,
        _ => unreachable!("a required column of tokens"),
    }
}

/// The cells of a required id column.
fn keys(batch: &Batch, column: usize) -> &[u32] {
    match &batch.columns[column] {
        Some(Column::Ids(keys)) => keys,
        _ => unreachable!("a required id column"),
    }
}

/// The cells of a required time column.
fn times(batch: &Batch, column: usize) -> &[i64] {
    match &batch.columns[column] {
        Some(Column::Times(times)) => times,
        _ => unreachable!("a required time column"),
    }
}

/// The key in a required id column whose fault has been ruled out.
pub(super) fn key(batch: &Batch, column: usize, row: usize) -> u32 {
    keys(batch, column)[row]
}

/// The time in a required time column whose fault has been ruled out.
pub(super) fn time(batch: &Batch, column: usize, row: usize) -> Second {
    times(batch, column)[row] as Second
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
