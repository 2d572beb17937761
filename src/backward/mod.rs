//! Backward tracing: who likely infected a case, and where several cases were before they fell ill.

pub mod links;
pub mod shared;

use std::collections::BTreeMap;

use jiff::Span;
use jiff::tz::TimeZone;

use crate::config::ContactConfig;
use crate::error::Result;
use crate::facts::Facts;
use crate::rings::join_windows;
use crate::store::{Stay, VisitSource};
use crate::time::{Second, local_date, start_of_day};

/// A person who is a case, over all rows that stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CasePerson {
    /// Person key.
    pub person: u32,
    /// First symptoms.
    pub onset_at: Option<Second>,
    /// First symptoms; where unknown the first sample, else the first report, else the start of the first window: what
    /// cases are put in order by.
    pub began_at: Second,
    /// When the person could infect others; spans that neither overlap nor touch.
    pub windows: Vec<(Second, Second)>,
}

/// The persons that are cases, in the order of their ids.
pub fn case_persons(facts: &Facts, rule: &ContactConfig) -> Vec<CasePerson> {
    // Rows come in the order of ids.
    let of_one = facts.cases.chunk_by(|a, b| a.case.person == b.case.person);
    let person = |rows: &[crate::facts::CaseFact]| {
        let cases = || rows.iter().map(|fact| &fact.case);
        let windows: Vec<(Second, Second)> = cases().filter_map(|case| case.window(rule)).collect();
        let onset_at = cases().filter_map(|case| case.onset_at).min();
        let began_at = onset_at
            .or(cases().filter_map(|case| case.sampled_at).min())
            .or(cases().filter_map(|case| case.reported_at).min())
            .or(windows.iter().map(|(from, _)| *from).min());
        CasePerson {
            person: rows[0].case.person,
            onset_at,
            began_at: began_at.unwrap_or_default(),
            windows: join_windows(windows),
        }
    };
    of_one.map(person).collect()
}

impl CasePerson {
    /// When it can have been infected: the local days that lie 1 to 14 before the one on which it fell ill (without onset
    /// that of its first sample or report).
    pub fn infected_in(&self, zone: &TimeZone) -> (Second, Second) {
        let fell_ill = local_date(self.began_at, zone);
        let start =
            |days_before: i64| start_of_day(fell_ill.saturating_sub(Span::new().days(days_before)), zone);
        (start(*links::INCUBATION_DAYS.end()), start(*links::INCUBATION_DAYS.start() - 1))
    }
}

/// The visits of some persons that share an instant with `[from, until)`, by person, each in the order of arrival.
///
/// # Errors
/// Those of reading the visits.
pub fn visits_of(
    visits: &dyn VisitSource,
    persons: impl IntoIterator<Item = u32>,
    (from, until): (Second, Second),
) -> Result<BTreeMap<u32, Vec<Stay>>> {
    let known = visits.persons().with_visits() as u32;
    let mut keys: Vec<u32> = persons.into_iter().filter(|person| *person < known).collect();
    keys.sort_unstable();
    keys.dedup();
    let mut stays: BTreeMap<u32, Vec<Stay>> = BTreeMap::new();
    for (day, _) in visits.days().iter().enumerate().filter(|(_, extent)| extent.overlaps(from, until)) {
        for stay in visits.of_persons(day, &keys)? {
            if stay.arrived < until && from < stay.left && stay.arrived < stay.left {
                stays.entry(stay.person).or_default().push(stay);
            }
        }
    }
    Ok(stays)
}
