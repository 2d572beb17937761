//! Cases: who is a source, and during which window.

use std::collections::HashMap;

use serde::Serialize;

use crate::config::{ContactConfig, TableConfig};
use crate::error::Result;
use crate::records::columns::Kind;
use crate::records::rejects::Reason;
use crate::records::scans::{key, optional_text, optional_time, optional_word, span_fault};
use crate::records::table::{Batch, ColumnSpec, Schema};
use crate::records::{FileRows, Numbered, StampedFile, read_files};
use crate::time::{FOREVER, Second};

/// What a case row says about its person.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Confirmed by a test. Also what a table without a status column means.
    Confirmed,
    /// Suspected.
    Suspected,
    /// Infected without symptoms.
    Asymptomatic,
    /// An earlier row was wrong.
    Withdrawn,
}

impl Status {
    /// The word in the input and in packs.
    pub fn word(self) -> &'static str {
        STATUS_WORDS[self as usize]
    }
}

const STATUS_WORDS: &[&str] = &["confirmed", "suspected", "asymptomatic", "withdrawn"];

/// One row of the cases table.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CaseRow {
    /// The person, as a key of whichever table the holder says.
    pub person: u32,
    /// What it says.
    pub status: Status,
    /// First symptoms.
    pub onset_at: Option<Second>,
    /// The test's sample.
    pub sampled_at: Option<Second>,
    /// When the person stopped meeting others.
    pub isolated_at: Option<Second>,
    /// Start of the window, if the office has set one.
    pub infectious_from: Option<Second>,
    /// End of the window, if the office has set one.
    pub infectious_until: Option<Second>,
    /// When the person was released as recovered.
    pub recovered_at: Option<Second>,
    /// When the office knew.
    pub reported_at: Option<Second>,
    /// The laboratory's reference.
    pub lab_ref: Option<String>,
    /// Who reported it.
    pub reported_by: Option<String>,
}

pub(super) const CASES: Schema = Schema {
    table: "cases",
    id_tables: 1,
    columns: &[
        ColumnSpec::new("person_id", Kind::Id(0), true),
        ColumnSpec::new("status", Kind::Word(STATUS_WORDS), false),
        ColumnSpec::new("onset_at", Kind::Time, false),
        ColumnSpec::new("sampled_at", Kind::Time, false),
        ColumnSpec::new("isolated_at", Kind::Time, false),
        ColumnSpec::new("infectious_from", Kind::Time, false),
        ColumnSpec::new("infectious_until", Kind::Time, false),
        ColumnSpec::new("recovered_at", Kind::Time, false),
        ColumnSpec::new("reported_at", Kind::Time, false),
        ColumnSpec::new("lab_ref", Kind::Text, false),
        ColumnSpec::new("reported_by", Kind::Text, false),
    ],
};

/// The checked rows of each cases file, each with its row number.
///
/// # Errors
/// As for `table::read`.
pub fn read(
    files: &[StampedFile],
    config: &TableConfig,
    rule: &ContactConfig,
) -> Result<Vec<FileRows<Numbered<CaseRow>>>> {
    read_files(files, &CASES, config, |rows: &mut Numbered<CaseRow>, batch, row| {
        let case = from_batch(batch, row);
        if case.status != Status::Withdrawn && case.window(rule).is_none() {
            return Some(("onset_at", Reason::NoWindow));
        }
        if let (Some(from), Some(until)) = (case.infectious_from, case.infectious_until)
            && let Some(reason) = span_fault(from, until)
        {
            return Some(("infectious_until", reason));
        }
        rows.push((batch.first_row + row as u64, case));
        None
    })
}

fn from_batch(batch: &Batch, row: usize) -> CaseRow {
    let time = |column| optional_time(batch, column, row);
    CaseRow {
        person: key(batch, 0, row),
        status: match optional_word(batch, 1, row) {
            Some(1) => Status::Suspected,
            Some(2) => Status::Asymptomatic,
            Some(3) => Status::Withdrawn,
            _ => Status::Confirmed,
        },
        onset_at: time(2),
        sampled_at: time(3),
        isolated_at: time(4),
        infectious_from: time(5),
        infectious_until: time(6),
        recovered_at: time(7),
        reported_at: time(8),
        lab_ref: optional_text(batch, 9, row),
        reported_by: optional_text(batch, 10, row),
    }
}

impl CaseRow {
    /// The case's window `[from, until)`: as given; else from `lookback` before onset (without onset: sampling, then
    /// report) until isolation, or without isolation until `infectious_for` after the same day. `None` without any
    /// of these times. It is empty, start not before end, for a person isolated before it opens: a case that exposed
    /// no one. Source: design, section 4.
    pub fn window(&self, rule: &ContactConfig) -> Option<(Second, Second)> {
        let anchor = self.onset_at.or(self.sampled_at).or(self.reported_at);
        let from = self.infectious_from.or(anchor.map(|a| a.saturating_sub(rule.lookback_s)))?;
        let anchor = anchor.unwrap_or_else(|| from.saturating_add(rule.lookback_s));
        let until = self.infectious_until.or(self.isolated_at);
        Some((from, until.unwrap_or_else(|| anchor.saturating_add(rule.infectious_for_s))))
    }
}

/// The rows that stand: known before `as_of` and not withdrawn by a row known before `as_of`. A withdrawal takes
/// back the person's rows reported no later than itself; one with a `lab_ref` only those with the same.
/// `case_of` finds the row in an item.
pub fn standing<T: Clone>(items: &[T], case_of: impl Fn(&T) -> &CaseRow, as_of: Option<Second>) -> Vec<T> {
    let end = as_of.unwrap_or(FOREVER);
    let known = |case: &CaseRow| case.reported_at.is_none_or(|at| at < end);
    let mut withdrawals: HashMap<u32, Vec<&CaseRow>> = HashMap::new();
    for row in items.iter().map(&case_of).filter(|c| c.status == Status::Withdrawn && known(c)) {
        withdrawals.entry(row.person).or_default().push(row);
    }
    let withdrawn = |case: &CaseRow| {
        withdrawals.get(&case.person).into_iter().flatten().any(|w| {
            (w.lab_ref.is_none() || w.lab_ref == case.lab_ref)
                && w.reported_at.unwrap_or(FOREVER) >= case.reported_at.unwrap_or(0)
        })
    };
    let stands = |case: &CaseRow| case.status != Status::Withdrawn && known(case) && !withdrawn(case);
    items.iter().filter(|item| stands(case_of(item))).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    fn case(person: u32, status: Status, reported_at: u32, lab_ref: Option<&str>) -> CaseRow {
        CaseRow {
            person,
            status,
            onset_at: None,
            sampled_at: None,
            isolated_at: None,
            infectious_from: None,
            infectious_until: None,
            recovered_at: None,
            reported_at: Some(reported_at),
            lab_ref: lab_ref.map(Into::into),
            reported_by: None,
        }
    }

    #[test]
    fn a_window_follows_onset_then_sampling_then_report() {
        const DAY: u32 = 86_400;
        let rule = Config::default().contacts;
        let mut row = case(1, Status::Confirmed, 50 * DAY, None);
        assert_eq!(row.window(&rule), Some((48 * DAY, 60 * DAY)));
        row.sampled_at = Some(40 * DAY);
        assert_eq!(row.window(&rule), Some((38 * DAY, 50 * DAY)));
        row.onset_at = Some(30 * DAY);
        assert_eq!(row.window(&rule), Some((28 * DAY, 40 * DAY)));
        row.isolated_at = Some(31 * DAY);
        assert_eq!(row.window(&rule), Some((28 * DAY, 31 * DAY)));
        (row.infectious_from, row.infectious_until) = (Some(1), Some(2));
        assert_eq!(row.window(&rule), Some((1, 2)));
        let bare = CaseRow { reported_at: None, ..case(1, Status::Confirmed, 0, None) };
        assert_eq!(bare.window(&rule), None);
    }

    #[test]
    fn withdrawals_take_back_what_was_reported_before() {
        let rows = [
            case(1, Status::Confirmed, 10, Some("a")),
            case(1, Status::Confirmed, 20, Some("b")),
            case(1, Status::Withdrawn, 30, Some("a")),
            case(2, Status::Suspected, 10, None),
            case(2, Status::Withdrawn, 15, None),
            case(2, Status::Confirmed, 20, None),
        ];
        let at = |as_of| {
            let rows = standing(&rows, |r| r, as_of);
            rows.iter().map(|r| (r.person, r.reported_at.unwrap())).collect::<Vec<_>>()
        };
        assert_eq!(at(None), [(1, 20), (2, 20)]);
        assert_eq!(at(Some(30)), [(1, 10), (1, 20), (2, 20)], "the withdrawal at 30 is not known before 30");
        assert_eq!(at(Some(15)), [(1, 10), (2, 10)]);
    }
}
