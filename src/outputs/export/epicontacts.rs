//! For epicontacts (R): a line list whose first column `id` is unique, and contacts that begin with `from` and `to`.

use super::{Csv, Network, or_empty, utc};
use crate::error::Result;

/// An id as R reads it back: it takes every line break for the same one, so that two ids would be one person.
fn id(id: &str) -> String {
    let plain = |c: char| !c.is_control() && c != '\\';
    let escaped = |c: char| if plain(c) { vec![c] } else { c.escape_default().collect() };
    if !id.chars().all(plain) { id.chars().flat_map(escaped).collect() } else { id.to_string() }
}

pub(super) fn files(network: &Network) -> Result<Vec<(&'static str, Vec<u8>)>> {
    let mut linelist = Csv::new(&[
        "id",
        "role",
        "ring",
        "status",
        "onset_at",
        "sampled_at",
        "isolated_at",
        "reported_at",
        "first_exposed_at",
        "last_exposed_at",
        "overlap_s",
        "observed_overlap_s",
        "exposures",
        "color",
        "rule_id",
        "since",
        "until",
        "region_id",
    ])?;
    for person in &network.persons {
        let seconds = |s: u64| if person.ring == 0 { String::new() } else { s.to_string() };
        linelist.row(&[
            id(&person.id),
            person.role().into(),
            person.ring.to_string(),
            or_empty(person.status.as_ref()),
            utc(person.onset_at),
            utc(person.sampled_at),
            utc(person.isolated_at),
            utc(person.reported_at),
            utc(person.first_exposed_at),
            utc(person.last_exposed_at),
            seconds(person.overlap_s),
            seconds(person.observed_overlap_s),
            seconds(person.exposures),
            or_empty(person.color.as_ref()),
            or_empty(person.rule.as_ref()),
            or_empty(person.since),
            or_empty(person.until),
            or_empty(person.region.as_ref()),
        ])?;
    }
    let mut contacts = Csv::new(&[
        "from",
        "to",
        "start",
        "end",
        "ring",
        "overlap_s",
        "observed_overlap_s",
        "venue_id",
        "venue_category",
        "verdict",
    ])?;
    for meeting in &network.meetings {
        let venue = &network.venues[meeting.venue];
        contacts.row(&[
            id(&network.persons[meeting.from].id),
            id(&network.persons[meeting.to].id),
            utc(Some(meeting.start)),
            utc(Some(meeting.end)),
            meeting.ring.to_string(),
            meeting.overlap_s.to_string(),
            meeting.observed_s.to_string(),
            id(&venue.id),
            or_empty(venue.category.as_ref()),
            or_empty(meeting.verdict.as_ref()),
        ])?;
    }
    Ok(vec![("linelist.csv", linelist.bytes()?), ("contacts.csv", contacts.bytes()?)])
}
