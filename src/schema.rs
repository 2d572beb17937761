//! Names of the input tables and their columns: the contract with whoever delivers them.

use crate::error::{Error, Result};

/// Names of the input tables and of their columns, required ones first; `*` marks a required one.
pub const TABLES: [(&str, &[&str]); 21] = [
    ("scans", &["person_id*", "venue_id*", "scanned_at*", "direction", "left_at", "temperature_c"]),
    ("visits", &["person_id*", "venue_id*", "arrived_at*", "left_at*"]),
    ("venues", &["venue_id*", "category", "region_id", "parent_venue_id", "name"]),
    (
        "cases",
        &[
            "person_id*",
            "status",
            "onset_at",
            "sampled_at",
            "isolated_at",
            "infectious_from",
            "infectious_until",
            "recovered_at",
            "reported_at",
            "lab_ref",
            "reported_by",
        ],
    ),
    ("windows", &["window_id*", "venue_id*", "from*", "until*", "advice", "known_at"]),
    ("residences", &["person_id*", "region_id*", "community_id", "known_at"]),
    ("communities", &["community_id*", "status*", "from*", "until", "known_at"]),
    ("regions", &["region_id*", "level*", "from*", "until", "county_id", "known_at"]),
    ("tests", &["person_id*", "sampled_at*", "result*", "known_at"]),
    ("clinic_visits", &["person_id*", "visited_at*", "known_at"]),
    ("purchases", &["person_id*", "purchased_at*", "known_at"]),
    ("temperatures", &["person_id*", "measured_at*", "celsius*", "known_at"]),
    ("symptoms", &["person_id*", "reported_at*", "symptom*", "known_at"]),
    ("checkins", &["person_id*", "checked_in_at*", "status", "celsius", "known_at"]),
    ("isolations", &["person_id*", "from*", "kind*", "until", "known_at"]),
    ("trips", &["person_id*", "region_id*", "from*", "until*", "known_at"]),
    ("pushes", &["person_id*", "pushed_at*", "color*", "origin*", "scheme", "until", "known_at"]),
    (
        "orders",
        &["person_id*", "issued_at*", "until*", "color*", "author*", "approver*", "basis*", "known_at"],
    ),
    ("corrections", &["person_id*", "happened_at*", "fact*", "corrected_by*", "basis", "known_at*"]),
    ("appeals", &["person_id*", "decided_at*", "decision*", "rule_id*", "decided_by*", "basis", "known_at"]),
    ("confirmations", &["person_id*", "confirmed_at*", "confirmed_by*", "rule_id", "known_at"]),
];

/// Column names of `table`, without the marks of required ones.
pub fn columns_of(table: &str) -> impl Iterator<Item = &'static str> {
    let (_, columns) = TABLES.iter().find(|(name, _)| *name == table).expect("a table of TABLES");
    columns.iter().map(|c| c.trim_end_matches('*'))
}

/// # Errors
/// `usage` with the nearest name if one of `names` is not a column of `table`.
pub fn check_columns<'a>(table: &str, names: impl IntoIterator<Item = &'a String>) -> Result<()> {
    for name in names {
        if !columns_of(table).any(|column| column == name) {
            let help = match did_you_mean(name, columns_of(table)) {
                Some(near) => format!("did you mean {near:?}?"),
                None => format!("columns of {table}: {}", columns_of(table).collect::<Vec<_>>().join(", ")),
            };
            return Err(Error::usage(format!("table {table} has no column {name:?}"), help));
        }
    }
    Ok(())
}

/// The candidate nearest to `name`, if one is near enough to be meant.
pub fn did_you_mean<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let scored = candidates.into_iter().map(|c| (strsim::damerau_levenshtein(name, c), c));
    let (distance, nearest) = scored.min_by_key(|(distance, _)| *distance)?;
    (distance <= 1 + name.chars().count() / 3).then_some(nearest)
}
