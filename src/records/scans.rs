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

/// A scan's temperature where none was measured.
pub const NOT_MEASURED: u16 = 0;

/// Accepted scans, a column each.
#[derive(Default)]
pub struct ScanRows {
    /// Persons: tokens of integer ids, or keys into the piece's table of texts.
    pub person: Vec<u64>,
    /// Venues, likewise.
    pub venue: Vec<u64>,
    /// When scanned.
    pub at: Vec<Second>,
    /// Which way.
    pub direction: Vec<Direction>,
    /// When the same record says the person left, or [`NOT_LEFT`].
    pub left: Vec<Second>,
    /// Temperature measured with it, hundredths of a degree Celsius, or [`NOT_MEASURED`].
    pub celsius: Vec<u16>,
}

/// Accepted rows of the visits table, a column each.
#[derive(Default)]
pub struct VisitRows {
    /// Persons: tokens of integer ids, or keys into the piece's table of texts.
    pub person: Vec<u64>,
    /// Venues, likewise.
    pub venue: Vec<u64>,
    /// Start of the stay.
    pub arrived: Vec<Second>,
    /// End of the stay.
    pub left: Vec<Second>,
}

impl BulkRows for ScanRows {
    const SCHEMA: &'static Schema = &SCANS;

    fn ids(&self) -> [&[u64]; 2] {
        [&self.person, &self.venue]
    }

    fn spans(&self) -> (&[Second], &[Second]) {
        (&self.at, &self.at)
    }

    fn reserve(&mut self, rows: usize) {
        self.person.reserve_exact(rows);
        self.venue.reserve_exact(rows);
        self.at.reserve_exact(rows);
        self.direction.reserve_exact(rows);
        self.left.reserve_exact(rows);
        self.celsius.reserve_exact(rows);
    }

    fn append(&mut self, batch: &Batch) -> bool {
        let (at, left) = (times(batch, 2), optional_times(batch, 4));
        let sound = |(at, left): (&i64, &i64)| *left == NO_TIME || at <= left;
        if !left.is_none_or(|left| at.iter().zip(left).all(sound)) {
            return false;
        }
        self.person.extend_from_slice(tokens(batch, PERSONS));
        self.venue.extend_from_slice(tokens(batch, VENUES));
        self.at.extend(at.iter().map(|at| *at as Second));
        let direction = |word: &u8| if *word == OUT { Direction::Out } else { Direction::In };
        match optional_words(batch, 3) {
            Some(words) => self.direction.extend(words.iter().map(direction)),
            None => self.direction.resize(self.at.len(), Direction::In),
        }
        match left {
            Some(left) => self.left.extend(left.iter().map(|left| stated_end(*left))),
            None => self.left.resize(self.at.len(), NOT_LEFT),
        }
        match &batch.columns[5] {
            Some(Column::Celsius(degrees)) => self.celsius.extend(degrees.iter().map(|at| measured(*at))),
            _ => self.celsius.resize(self.at.len(), NOT_MEASURED),
        }
        true
    }

    fn accept(&mut self, batch: &Batch, row: usize) -> Option<Fault> {
        let at = time(batch, 2, row);
        let left = optional_times(batch, 4).map_or(NOT_LEFT, |left| stated_end(left[row]));
        if left < at {
            return Some(("left_at", Reason::EndsBeforeStart));
        }
        let out = optional_words(batch, 3).is_some_and(|words| words[row] == OUT);
        self.person.push(tokens(batch, PERSONS)[row]);
        self.venue.push(tokens(batch, VENUES)[row]);
        self.at.push(at);
        self.direction.push(if out { Direction::Out } else { Direction::In });
        self.left.push(left);
        self.celsius.push(match &batch.columns[5] {
            Some(Column::Celsius(degrees)) => measured(degrees[row]),
            _ => NOT_MEASURED,
        });
        None
    }
}

/// What a cell of a scan's `temperature_c` says.
fn measured(cell: i32) -> u16 {
    u16::try_from(cell).unwrap_or(NOT_MEASURED)
}

/// The direction's second word.
const OUT: u8 = 1;

/// What a cell of a scan's `left_at` says.
fn stated_end(cell: i64) -> Second {
    if cell == NO_TIME { NOT_LEFT } else { cell as Second }
}

impl BulkRows for VisitRows {
    const SCHEMA: &'static Schema = &VISITS;

    fn ids(&self) -> [&[u64]; 2] {
        [&self.person, &self.venue]
    }

    fn spans(&self) -> (&[Second], &[Second]) {
        (&self.arrived, &self.left)
    }

    fn reserve(&mut self, rows: usize) {
        self.person.reserve_exact(rows);
        self.venue.reserve_exact(rows);
        self.arrived.reserve_exact(rows);
        self.left.reserve_exact(rows);
    }

    fn append(&mut self, batch: &Batch) -> bool {
        let (arrived, left) = (times(batch, 2), times(batch, 3));
        if !arrived.iter().zip(left).fold(true, |sound, (arrived, left)| sound & (arrived < left)) {
            return false;
        }
        self.person.extend_from_slice(tokens(batch, PERSONS));
        self.venue.extend_from_slice(tokens(batch, VENUES));
        self.arrived.extend(arrived.iter().map(|at| *at as Second));
        self.left.extend(left.iter().map(|at| *at as Second));
        true
    }

    fn accept(&mut self, batch: &Batch, row: usize) -> Option<Fault> {
        let (arrived, left) = (time(batch, 2, row), time(batch, 3, row));
        let fault = span_fault(arrived, left).map(|reason| ("left_at", reason));
        if fault.is_none() {
            self.person.push(tokens(batch, PERSONS)[row]);
            self.venue.push(tokens(batch, VENUES)[row]);
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
        ColumnSpec::new("venue_id", Kind::Token(VENUES), true),
        ColumnSpec::new("scanned_at", Kind::Time, true),
        ColumnSpec::new("direction", Kind::Word(&["in", "out"]), false),
        ColumnSpec::new("left_at", Kind::Time, false),
        ColumnSpec::new("temperature_c", Kind::Sensor, false),
    ],
};

pub(super) const VISITS: Schema = Schema {
    table: "visits",
    id_tables: 2,
    columns: &[
        ColumnSpec::new("person_id", Kind::Token(PERSONS), true),
        ColumnSpec::new("venue_id", Kind::Token(VENUES), true),
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

/// The cells of a required column of tokens, which stands where its table does.
fn tokens(batch: &Batch, column: usize) -> &[u64] {
    match &batch.columns[column] {
        Some(Column::Tokens(tokens)) => &tokens.cells,
        _ => unreachable!("a required column of tokens"),
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
    match &batch.columns[column] {
        Some(Column::Ids(keys)) => keys[row],
        _ => unreachable!("a required id column"),
    }
}

/// The time in a required time column whose fault has been ruled out.
pub(super) fn time(batch: &Batch, column: usize, row: usize) -> Second {
    times(batch, column)[row] as Second
}

/// The cells of an optional time column, if it is there.
fn optional_times(batch: &Batch, column: usize) -> Option<&[i64]> {
    match &batch.columns[column] {
        Some(Column::Times(times)) => Some(times),
        _ => None,
    }
}

/// The time in an optional time column.
pub(super) fn optional_time(batch: &Batch, column: usize, row: usize) -> Option<Second> {
    let cell = optional_times(batch, column)?[row];
    (cell != NO_TIME).then_some(cell as Second)
}

/// The cells of an optional word column, if it is there: indices of words, or [`NO_WORD`].
fn optional_words(batch: &Batch, column: usize) -> Option<&[u8]> {
    match &batch.columns[column] {
        Some(Column::Words(words)) => Some(words),
        _ => None,
    }
}

/// The word's index in an optional word column.
pub(super) fn optional_word(batch: &Batch, column: usize, row: usize) -> Option<u8> {
    let cell = optional_words(batch, column)?[row];
    (cell != NO_WORD).then_some(cell)
}

/// The text in an optional text column.
pub(super) fn optional_text(batch: &Batch, column: usize, row: usize) -> Option<String> {
    match &batch.columns[column] {
        Some(Column::Texts(texts)) => texts[row].clone(),
        _ => None,
    }
}
