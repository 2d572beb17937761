//! Rows that could not be used, and the balance that proves none was lost.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// Why a row was rejected: a stable word for lists, queries and tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// A required cell is empty.
    Missing,
    /// A cell cannot be read as what its column holds.
    Unreadable,
    /// A time before 1970 or after 2106-02-07.
    TimeOutOfRange,
    /// A span that ends before it starts.
    EndsBeforeStart,
    /// A span without length: it can overlap nothing.
    EmptySpan,
    /// A word that is none of the column's words.
    UnknownWord,
    /// A line with more or fewer fields than the header.
    FieldCount,
    /// A second row for an id that may have one, saying something else.
    Contradicts,
    /// An id that cannot be one of the store's: text where it has integers.
    ForeignId,
    /// A case without any time to derive its window from.
    NoWindow,
    /// Something that happened after the night that already knows of it.
    TimeInFuture,
    /// An order that its author approved.
    NotApproved,
    /// An order for longer than 14 days.
    TermTooLong,
    /// An order about a person of whom no health fact is known.
    NoHealthFact,
}

impl Reason {
    /// The word written to rejects.
    pub fn word(self) -> &'static str {
        match self {
            Reason::Missing => "missing",
            Reason::Unreadable => "unreadable",
            Reason::TimeOutOfRange => "time_out_of_range",
            Reason::EndsBeforeStart => "ends_before_start",
            Reason::EmptySpan => "empty_span",
            Reason::UnknownWord => "unknown_word",
            Reason::FieldCount => "field_count",
            Reason::Contradicts => "contradicts",
            Reason::ForeignId => "foreign_id",
            Reason::NoWindow => "no_window",
            Reason::TimeInFuture => "time_in_future",
            Reason::NotApproved => "not_approved",
            Reason::TermTooLong => "term_too_long",
            Reason::NoHealthFact => "no_health_fact",
        }
    }
}

/// A rejected row. It never holds a cell's content: rejects may be passed on to whoever sent the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reject {
    /// Row in its file; 1 is the first row below any header.
    pub row: u64,
    /// Our name of the column at fault.
    pub column: &'static str,
    /// What is wrong with it.
    pub reason: Reason,
}

/// Where every row of one input file went.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileBalance {
    /// Table the file was read as.
    pub table: String,
    /// The file, as rejects name it.
    pub file: String,
    /// Its length.
    pub bytes: u64,
    /// BLAKE3 of its bytes.
    pub blake3: String,
    /// Digest of the mapping, time unit and time zone it was read with.
    pub read_as: String,
    /// Rows in it.
    pub rows: u64,
    /// Rows in use.
    pub accepted: u64,
    /// Rows that repeat or prolong an accepted one.
    pub merged: u64,
    /// Rows in rejects.
    pub rejected: u64,
}

impl FileBalance {
    /// # Errors
    /// `integrity` unless `rows = accepted + merged + rejected`.
    pub fn check(&self) -> Result<()> {
        if self.rows == self.accepted + self.merged + self.rejected {
            return Ok(());
        }
        Err(Error::integrity(
            format!(
                "{}: {} rows in, but {} accepted + {} merged + {} rejected",
                self.file, self.rows, self.accepted, self.merged, self.rejected
            ),
            "this is a defect in ringtrace; nothing was published",
        ))
    }
}
