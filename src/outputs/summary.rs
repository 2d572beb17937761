//! A night in words, for the screen.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::colors::Scheme;
use crate::outputs::record::RunRecord;
use crate::words::Words;

/// How many persons a scheme gives a color, by the rule that decides.
pub struct Outlook {
    /// The scheme.
    pub scheme: Scheme,
    /// Persons by color, worst first, and rule.
    pub persons: BTreeMap<(usize, String), u64>,
    /// Keys of everyone who is not healthy under it.
    pub colored: BTreeSet<u32>,
}

/// What different schemes make of the same night, in words: persons by color, and under it by the rule that decides.
pub fn side_by_side(outlooks: &[Outlook]) -> String {
    let mut lines = vec![
        "\nThe same night under every code system: they differ in whom they mean and for how long.".into(),
    ];
    for Outlook { scheme, persons, .. } in outlooks {
        let colors = scheme.severity.iter().enumerate().filter_map(|(rank, color)| {
            let of_color = || persons.iter().filter(move |((of, _), _)| *of == rank);
            let all: u64 = of_color().map(|(_, count)| count).sum();
            let rules: Vec<String> =
                of_color().map(|((_, rule), count)| format!("{rule} {}", n(*count))).collect();
            (all > 0).then(|| format!("{} {color} ({})", n(all), rules.join(", ")))
        });
        let colors: Vec<String> = colors.collect();
        let told =
            if colors.is_empty() { format!("everyone is {}", scheme.healthy()) } else { colors.join("; ") };
        lines.push(format!("  {:<18}{told}", scheme.id));
    }
    let any: BTreeSet<u32> = outlooks.iter().flat_map(|outlook| &outlook.colored).copied().collect();
    let under_all = |person: &&u32| outlooks.iter().all(|outlook| outlook.colored.contains(*person));
    let all = any.iter().filter(under_all).count() as u64;
    lines.push(format!(
        "  {} people are not healthy under at least one of them, {} of these under every one.",
        n(any.len() as u64),
        n(all)
    ));
    lines.join("\n")
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
            "{} on {} days; {} persons and {} venues are known",
            n(counts.visits),
            counts.days,
            n(counts.persons),
            n(counts.venues)
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
    lines.extend(notes(&record.notes).iter().map(|note| format!("  note: {note}")));
    lines.push(String::new());
    lines.push(format!("  {}", folder.display()));
    for (file, what) in [
        (
            "report.html",
            "the night to look at, in English and Chinese; report.json and report/*.csv hold its numbers",
        ),
        ("changes.csv", "whose color changes, with reason and end (also .parquet)"),
        ("lists/", "the register by color and region, one CSV an office"),
        ("calendar.csv", "who changes in the next 14 days, if nothing else becomes known"),
        ("overdue.csv", "whose term is over while a test, check-in or confirmation is missing"),
        ("appeals.csv", "appeals that wait for a decision, with their age"),
        ("colors.parquet", "the whole register"),
        ("pushes.parquet", "the register for other provinces, and what it takes back"),
        ("evidence.parquet", "what every reason rests on"),
        ("facts.parquet", "what the tables of facts say of persons"),
        ("contacts.parquet", "everyone traced, by ring"),
        ("exposures.parquet", "the edges: who was exposed by whom, where, when"),
        ("venues.parquet", "the venues those name"),
        ("sources.parquet", "the cases and exposure sites it started from"),
        ("rejects.parquet", "rows that could not be used, and why"),
        ("run.json", "inputs, hashes, counts; scheme.toml is the pack used"),
    ] {
        lines.push(format!("    {file:<18}{what}"));
    }
    lines.join("\n")
}

/// The English of notes, for a screen.
pub fn notes(notes: &[Words]) -> Vec<&str> {
    notes.iter().map(|note| note.en.as_str()).collect()
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
