//! How much of a delivery can be held at once.

use crate::error::{Error, Result};
use crate::records::bulk::PIECE_ROWS;
use crate::store::format::Layout;
use crate::time::utc_day_name;

/// A limit on the memory an ingest takes.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    /// Bytes.
    pub memory: u64,
    /// At most so many rows in a group of days with more than one; for tests, whose rows always fit the memory.
    pub group_rows: Option<u64>,
    /// Rows that a thread reads at once; less only for tests.
    pub piece_rows: u64,
}

impl Budget {
    /// That many bytes.
    pub fn of(memory: u64) -> Budget {
        Budget { memory, group_rows: None, piece_rows: PIECE_ROWS }
    }
}

/// Bytes a row of the piece that a thread is reading: its decoded columns, twice as rows.
const READING: u64 = 72;
/// Bytes a row of a group of days, from reading until the last day of the group is written: a row takes 24, a joined
/// one 16 beside those not joined yet.
const HELD: u64 = 28;
/// Bytes a row of a day that is being put in the order of venues.
const WRITING: u64 = 16;
/// Bytes a row of the row groups that are being written, one of each copy: rows, encoded columns, rows in order before
/// they are handed on.
const ENCODING: u64 = 128;
/// Rows a row group.
const GROUP_ROWS: u64 = Layout::LOOKED_UP.group_rows() as u64;
/// Bytes a row that is kept from its first reading on, where days and persons are not known yet: most rows could be of
/// one day, each of another person.
const KEPT: u64 = 46;
/// Bytes a row that stays in memory: on its way to its venue and there, 16 each, and its person, who may have no other.
const STAYING: u64 = 48;
/// Bytes a row of scans, for which everything is held at once.
const SCANS: u64 = 130;
/// Bytes a person, known or new.
const PERSON: u64 = 10;
/// Bytes a new person while the distinct ones are being found.
const DISTINCT: u64 = 24;

/// A budget and what of it is taken by what does not depend on the group of days.
#[derive(Clone, Copy)]
pub struct Spare {
    budget: Budget,
    fixed: u64,
    threads: u64,
}

impl Spare {
    /// What is left beside reading that many rows with all threads, and that many persons.
    pub fn new(budget: Budget, rows: u64, persons: u64) -> Spare {
        let threads = rayon::current_num_threads() as u64;
        let fixed =
            threads.saturating_mul(rows.min(budget.piece_rows)).saturating_mul(READING) + persons * PERSON;
        Spare { budget, fixed, threads }
    }

    /// Whether that many rows can be kept from their first reading until they are written.
    pub fn keeps(&self, rows: u64) -> bool {
        let all = rows.saturating_mul(KEPT).saturating_add(rows.min(GROUP_ROWS) * ENCODING);
        self.budget.group_rows.is_none_or(|most| rows <= most)
            && self.fixed.saturating_add(all) <= self.budget.memory
    }

    fn needs(&self, rows: u64, longest: u64, writers: u64) -> u64 {
        let writing = longest * WRITING + longest.min(GROUP_ROWS) * ENCODING;
        self.fixed + rows * HELD + writing * writers
    }

    /// Days cut into groups that can be held each, as ranges of their places; `rows` are the rows of each day.
    ///
    /// # Errors
    /// `usage` with the bytes needed if one day alone is too large.
    pub fn groups(&self, days: &[(u32, u64)]) -> Result<Vec<Vec<u32>>> {
        let mut groups: Vec<Vec<u32>> = Vec::new();
        let (mut held, mut longest) = (0, 0);
        for (day, rows) in days {
            let needed = self.needs(*rows, *rows, 1);
            if needed > self.budget.memory {
                return Err(too_large(
                    &format!("the {rows} visits of {} and what they go with", utc_day_name(*day)),
                    needed,
                ));
            }
            let more = held + rows;
            let fits = self.needs(more, longest.max(*rows), self.threads) <= self.budget.memory
                && self.budget.group_rows.is_none_or(|most| more <= most);
            match groups.last_mut().filter(|_| fits) {
                Some(group) => group.push(*day),
                None => groups.push(vec![*day]),
            }
            let new = groups.last().is_some_and(|group| group.len() == 1);
            held = if new { *rows } else { more };
            longest = if new { *rows } else { longest.max(*rows) };
        }
        Ok(groups)
    }

    /// How many days of a group can be written at once: up to one more than there are threads.
    pub fn writers(&self, rows: u64, longest: u64) -> usize {
        let fits = |writers: &u64| self.needs(rows, longest, *writers) <= self.budget.memory;
        (1..=self.threads + 1).rev().find(fits).unwrap_or(1) as usize
    }

    /// Whether that many visits can be held in memory at once, until a trace of them ends.
    pub fn holds(&self, rows: u64) -> bool {
        self.fixed.saturating_add(rows.saturating_mul(STAYING)) <= self.budget.memory
    }

    /// # Errors
    /// `usage` with the bytes needed if that many scans cannot be held at once.
    pub fn check_scans(&self, rows: u64) -> Result<()> {
        let needed = rows.saturating_mul(SCANS);
        if needed > self.budget.memory {
            return Err(too_large("the scans of these files", needed));
        }
        Ok(())
    }

    /// # Errors
    /// `usage` with the bytes needed if so many persons are too many to find.
    pub fn check_persons(&self, persons: u64) -> Result<()> {
        let needed = self.fixed.saturating_add(persons * (DISTINCT - PERSON));
        if needed > self.budget.memory {
            return Err(too_large("the ids of these persons", needed));
        }
        Ok(())
    }
}

fn too_large(what: &str, needed: u64) -> Error {
    let mebibytes = needed.div_ceil(1 << 20);
    Error::usage(
        format!("{what} need {mebibytes} MiB, more than --memory allows"),
        format!("raise it to --memory {mebibytes}MiB, or deliver fewer rows at once"),
    )
}
