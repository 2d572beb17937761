//! For Go.Data: cases, contacts and contacts of contacts, each with the relationship to the one they lead from.
//!
//! Source: the import of GoDataSource-API (`common/models/contact.js`, `validateAndNormalizePeople`): columns are mapped in the
//! browser by the names of its fields; `relationship.relatedId` may be the other person's `visualId`. Import in this order:
//! cases, contacts, contacts of contacts.

use super::{Csv, Network, Person, or_empty};
use crate::error::Result;
use crate::outputs::summary::n;
use crate::time;

/// Of certain, probable and so on: a shared venue is no observed contact.
const CERTAINTY: &str = "LNG_REFERENCE_DATA_CATEGORY_CERTAINTY_LEVEL_2_MEDIUM";

pub(super) fn files(network: &Network, notes: &mut Vec<String>) -> Result<Vec<(&'static str, Vec<u8>)>> {
    let day = |at: Option<time::Second>| or_empty(at.map(|at| network.local_date(at)));
    let mut cases = Csv::new(&["visualId", "firstName", "classification", "dateOfOnset", "dateOfReporting"])?;
    let reported = |person: &Person| {
        person.reported_at.or(person.sampled_at).map_or(network.date, |at| network.local_date(at))
    };
    for case in network.persons.iter().filter(|person| person.ring == 0) {
        let classification = match case.status.as_deref() {
            Some("suspected") => "LNG_REFERENCE_DATA_CATEGORY_CASE_CLASSIFICATION_SUSPECT",
            _ => "LNG_REFERENCE_DATA_CATEGORY_CASE_CLASSIFICATION_CONFIRMED",
        };
        cases.row(&[
            case.id.clone(),
            case.id.clone(),
            classification.into(),
            day(case.onset_at),
            reported(case).to_string(),
        ])?;
    }
    // The longest meeting with a person is the one a contact is listed with: the import takes one relationship a row.
    // Only one who is listed can be named, so the rings come one after the other.
    let mut best: Vec<Option<usize>> = vec![None; network.persons.len()];
    for ring in 1..=2 {
        for (at, meeting) in network.meetings.iter().enumerate().filter(|(_, meeting)| meeting.ring == ring) {
            let is_listed = network.persons[meeting.from].ring == 0 || best[meeting.from].is_some();
            let is_longer =
                best[meeting.to].is_none_or(|kept| meeting.overlap_s > network.meetings[kept].overlap_s);
            if is_listed && is_longer {
                best[meeting.to] = Some(at);
            }
        }
    }
    let left_out =
        (0..network.persons.len()).filter(|at| network.persons[*at].ring > 0 && best[*at].is_none());
    let left_out = left_out.count();
    if left_out > 0 {
        notes.push(format!(
            "{} contacts are left out: exposed only to sites, or to contacts who were, or in a ring Go.Data does not have",
            n(left_out as u64)
        ));
    }
    let contacts = |ring: u8| -> Result<Vec<u8>> {
        let mut csv = Csv::new(&[
            "visualId",
            "firstName",
            "dateOfReporting",
            "dateOfLastContact",
            "riskReason",
            "relationship.relatedId",
            "relationship.contactDate",
            "relationship.contactDateEstimated",
            "relationship.certaintyLevelId",
            "relationship.comment",
        ])?;
        for (at, person) in network.persons.iter().enumerate().filter(|(_, person)| person.ring == ring) {
            let Some(meeting) = best[at].map(|at| &network.meetings[at]) else { continue };
            let venue = &network.venues[meeting.venue];
            csv.row(&[
                person.id.clone(),
                person.id.clone(),
                network.date.to_string(),
                day(person.last_exposed_at),
                or_empty(person.rule.as_ref()),
                network.persons[meeting.from].id.clone(),
                network.local_date(meeting.end).to_string(),
                "false".into(),
                CERTAINTY.into(),
                format!(
                    "{} shared at {}, {} observed",
                    time::format_duration(meeting.overlap_s),
                    venue.name.as_ref().unwrap_or(&venue.id),
                    time::format_duration(meeting.observed_s)
                ),
            ])?;
        }
        csv.bytes()
    };
    Ok(vec![
        ("cases.csv", cases.bytes()?),
        ("contacts.csv", contacts(1)?),
        ("contacts_of_contacts.csv", contacts(2)?),
    ])
}
