//! A night in numbers, for `run.json` and for the screen.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::colors::Scheme;
use crate::contacts::graph::cluster_sizes;
use crate::facts::Facts;
use crate::outputs::run::RunRecord;
use crate::rings::{SourceRef, Traced};
use crate::store::VisitSource;

/// What a night found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Counts {
    /// Persons with a visit, or a case.
    pub persons: u64,
    /// Venues known.
    pub venues: u64,
    /// Visits up to the night.
    pub visits: u64,
    /// Days that hold visits.
    pub days: u64,
    /// Persons that are cases.
    pub cases: u64,
    /// Exposure sites at known venues.
    pub windows: u64,
    /// Persons by ring, from ring 1.
    pub rings: Vec<u64>,
    /// Edges written.
    pub exposures: u64,
    /// Persons in ring 1 whose every second of overlap is inferred rather than observed.
    pub ring_1_only_inferred: u64,
    /// Clusters: groups of persons joined by exposures of ring 1.
    pub clusters: u64,
    /// Persons in the largest of them.
    pub largest_cluster: u64,
    /// Register rows by color.
    pub colors: BTreeMap<String, u64>,
    /// Changes as `before -> after`.
    pub changes: BTreeMap<String, u64>,
}

impl Counts {
    /// Everything but colors and changes.
    pub fn new(visits: &dyn VisitSource, facts: &Facts, traced: &Traced) -> Counts {
        let mut rings: Vec<u64> = Vec::new();
        for contact in &traced.contacts {
            rings.resize(rings.len().max(usize::from(contact.ring)), 0);
            rings[usize::from(contact.ring) - 1] += 1;
        }
        let persons = facts.persons.len() as u32;
        let node = |source| match source {
            SourceRef::Person(key) => key,
            SourceRef::Window(key) => persons + key,
        };
        let first_ring = traced.edges.iter().filter(|e| e.ring == 1);
        let sizes = cluster_sizes(first_ring.map(|e| (node(e.source), e.exposure.contact)));
        let inferred = |c: &&crate::rings::TracedPerson| c.ring == 1 && c.exposed.observed_overlap_s == 0;
        let mut cases: Vec<u32> = facts.cases.iter().map(|c| c.case.person).collect();
        cases.sort_unstable();
        cases.dedup();
        Counts {
            persons: u64::from(persons),
            venues: visits.venues().ids.len() as u64,
            visits: visits.days().iter().map(|d| d.visits).sum(),
            days: visits.days().len() as u64,
            cases: cases.len() as u64,
            windows: facts.places.len() as u64,
            rings,
            exposures: traced.edges.len() as u64,
            ring_1_only_inferred: traced.contacts.iter().filter(inferred).count() as u64,
            clusters: sizes.len() as u64,
            largest_cluster: sizes.first().copied().unwrap_or(0) as u64,
            ..Counts::default()
        }
    }
}

/// The night in words, for a person who reads it in the morning.
pub fn text(record: &RunRecord, scheme: &Scheme, folder: &Path) -> String {
    let counts = &record.counts;
    let mut lines = vec![
        format!("Night of {} — {} ({})", record.date, scheme.name.en, record.identity.scheme.id),
        String::new(),
    ];
    let mut line = |name: &str, value: String| lines.push(format!("  {name:<18}{value}"));
    let b = &record.balance;
    line(
        "rows read",
        format!(
            "{} = {} accepted + {} merged + {} rejected",
            n(b.rows),
            n(b.accepted),
            n(b.merged),
            n(b.rejected)
        ),
    );
    line(
        "visits",
        format!(
            "{} of {} persons at {} venues on {} days",
            n(counts.visits),
            n(counts.persons),
            n(counts.venues),
            counts.days
        ),
    );
    line("sources", format!("{}, {}", many(counts.cases, "case"), many(counts.windows, "exposure site")));
    for (at, persons) in counts.rings.iter().enumerate() {
        let what = ["close contact", "secondary contact"].get(at).copied().unwrap_or("contact");
        line(&format!("ring {}", at + 1), many(*persons, what));
    }
    if counts.rings.is_empty() {
        line("ring 1", "no one".into());
    }
    if let Some(first) = counts.rings.first() {
        line(
            "observed",
            format!(
                "{} of {} close contacts overlap by recorded scans; the others' overlap follows from an assumed length of stay",
                n(first - counts.ring_1_only_inferred),
                n(*first)
            ),
        );
        line(
            "clusters",
            format!("{}, the largest of {} persons", n(counts.clusters), n(counts.largest_cluster)),
        );
    }
    let colors: Vec<String> =
        scheme.severity.iter().filter_map(|c| Some(format!("{} {c}", n(*counts.colors.get(c)?)))).collect();
    line(
        "register",
        if colors.is_empty() { format!("everyone is {}", scheme.healthy()) } else { colors.join(", ") },
    );
    let since = record.identity.before.as_ref().map_or("everyone green".to_string(), |b| b.date.clone());
    let changes: Vec<String> =
        counts.changes.iter().map(|(what, count)| format!("{} {what}", n(*count))).collect();
    line(
        "changes",
        if changes.is_empty() {
            format!("none since {since}")
        } else {
            format!("{} (since {since})", changes.join(", "))
        },
    );
    for note in &record.notes {
        lines.push(format!("  note: {note}"));
    }
    lines.push(String::new());
    lines.push(format!("  {}", folder.display()));
    for (file, what) in [
        ("changes.csv", "whose color changes, with reason and end (also .parquet)"),
        ("lists/", "the register by color and region, one CSV an office"),
        ("colors.parquet", "the whole register"),
        ("evidence.parquet", "what every reason rests on"),
        ("contacts.parquet", "everyone traced, by ring"),
        ("exposures.parquet", "the edges: who was exposed by whom, where, when"),
        ("venues.parquet", "the venues those name"),
        ("rejects.parquet", "rows that could not be used, and why"),
        ("run.json", "inputs, hashes, counts; scheme.toml is the pack used"),
    ] {
        lines.push(format!("    {file:<18}{what}"));
    }
    lines.join("\n")
}

/// A number and its noun: `1 case`, `2 cases`.
pub fn many(number: u64, noun: &str) -> String {
    format!("{} {noun}{}", n(number), if number == 1 { "" } else { "s" })
}

/// A number with its thousands apart.
pub fn n(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::n;

    #[test]
    fn thousands_are_apart() {
        assert_eq!([0, 7, 999, 1_000, 1_234_567].map(n), ["0", "7", "999", "1,000", "1,234,567"]);
    }
}
