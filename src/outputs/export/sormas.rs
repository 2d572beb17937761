//! For SORMAS: the contact import, with its four head lines and quarantine dates that it need not invent.
//!
//! Source: SORMAS-Project 1.104, `DataImporter`, `ContactImporter`, `ContactFacadeEjb.validate`: entities, columns, two lines of
//! comments that begin with `##`; a contact without a case of this SORMAS needs a region and a district by their names there.

use std::collections::HashMap;

use jiff::Span;
use jiff::civil::Date;
use jiff::fmt::strtime::{self, parse as strptime};

use super::{Network, Person, or_empty};
use crate::error::{Error, Result};
use crate::outputs::csv;
use crate::outputs::read::Run;
use crate::outputs::report::rows::Rows;
use crate::outputs::summary::n;
use crate::time;

/// What a SORMAS server is set up for.
pub struct Sormas {
    /// The disease, as SORMAS spells it.
    pub disease: String,
    /// How it reads dates, as `%m/%d/%Y`.
    pub date_format: String,
    /// What parts cells.
    pub separator: char,
    /// Region and district in its own names.
    pub place: Option<(String, String)>,
}

const COLUMNS: [(&str, &str); 25] = [
    ("caseIdExternalSystem", "Id of the case"),
    ("disease", "Disease"),
    ("caseOrEventInformation", "About the case"),
    ("reportDateTime", "Night"),
    ("multiDayContact", "On several days"),
    ("firstContactDate", "First exposure"),
    ("lastContactDate", "Last exposure"),
    ("contactProximity", "Proximity"),
    ("contactClassification", "Classification"),
    ("contactStatus", "Status"),
    ("contactIdentificationSource", "How it was found"),
    ("tracingApp", "By which program"),
    ("tracingAppDetails", "Program and night"),
    ("overwriteFollowUpUntil", "Follow-up is given"),
    ("followUpUntil", "Follow-up until"),
    ("quarantine", "Where"),
    ("quarantineFrom", "First day"),
    ("quarantineTo", "Last day"),
    ("description", "In words"),
    ("externalID", "Id of the contact"),
    ("person.firstName", "No name is known"),
    ("person.lastName", "Id of the person"),
    ("person.externalId", "Id of the person"),
    ("region", "Region"),
    ("district", "District"),
];

pub(super) fn files(
    run: &Run,
    network: &Network,
    sormas: &Sormas,
    notes: &mut Vec<String>,
) -> Result<Vec<(&'static str, Vec<u8>)>> {
    let day = |date: Date| {
        strtime::format(&sormas.date_format, date).map_err(|e| {
            Error::usage(
                format!("--date-format {:?}: {e}", sormas.date_format),
                "write it as %m/%d/%Y or %d.%m.%Y",
            )
        })
    };
    let read = strptime(&sormas.date_format, &day(network.date)?);
    if read.and_then(|read| read.to_date()).ok() != Some(network.date) {
        return Err(Error::usage(
            format!("--date-format {:?} does not say which day it is", sormas.date_format),
            "write it as %m/%d/%Y or %d.%m.%Y",
        ));
    }
    let columns = if sormas.place.is_some() { &COLUMNS[..] } else { &COLUMNS[..23] };
    let entity = |column: &str| if column.starts_with("person.") { "Person" } else { "Contact" };
    let mut text = String::new();
    for head in [
        columns.iter().map(|(column, _)| entity(column).to_string()).collect::<Vec<_>>(),
        columns.iter().map(|(column, _)| column.to_string()).collect(),
    ] {
        line(&mut text, &head, sormas.separator);
    }
    // These two are comments to SORMAS, which looks for the mark at the very start of the line.
    let comment = |cells: Vec<&str>| format!("##{}\n", cells.join(&sormas.separator.to_string()));
    text.push_str(&comment(columns.iter().map(|(_, caption)| *caption).collect()));
    text.push_str(&comment(columns.iter().map(|_| "").collect()));
    let places = isolated(run, network)?;
    let persons: HashMap<&str, &Person> =
        network.persons.iter().map(|person| (person.id.as_str(), person)).collect();
    let mut open = 0;
    for person in network.persons.iter().filter(|person| person.ring > 0) {
        let (Some(first), Some(last)) = (person.first_exposed_at, person.last_exposed_at) else { continue };
        let last_day = |until: Option<Date>| until.map(|until| until.saturating_sub(Span::new().days(1)));
        let since = person.color.as_ref().and(person.since);
        let until = since.and(last_day(person.until.or(person.earliest_free)));
        // Followed until green, in quarantine until the color ends.
        let followed = since.and(last_day(person.earliest_free.or(person.until)));
        open += u64::from(since.is_some() && until.is_none());
        let date = |date: Option<Date>| date.map(day).transpose().map(or_empty);
        let color = person.color.as_ref().zip(person.rule.as_ref());
        let because = color.map(|(color, rule)| format!("; {color} by {rule}")).unwrap_or_default();
        let mut cells = vec![
            or_empty(case_of(person, &persons)),
            sormas.disease.clone(),
            format!("ring {} of the trace", person.ring),
            day(network.date)?,
            (network.local_date(first) < network.local_date(last)).to_string(),
            day(network.local_date(first))?,
            day(network.local_date(last))?,
            "SAME_ROOM".into(),
            "UNCONFIRMED".into(),
            "ACTIVE".into(),
            "TRACING_APP".into(),
            "OTHER".into(),
            format!("ringtrace, night of {}", network.date),
            followed.is_some().to_string(),
            date(followed)?,
            match (since, places.get(&person.id)) {
                (None, None) => "NONE".into(),
                (_, Some(place)) => (*place).into(),
                (Some(_), None) => "UNKNOWN".into(),
            },
            date(since)?,
            date(until)?,
            format!(
                "{} together in {} exposures, {} of it observed{because}",
                time::format_duration(person.overlap_s),
                person.exposures,
                time::format_duration(person.observed_overlap_s)
            ),
            person.id.clone(),
            "(no name)".into(),
            person.id.clone(),
            person.id.clone(),
        ];
        if let Some((region, district)) = &sormas.place {
            cells.extend([region.clone(), district.clone()]);
        }
        line(&mut text, &cells, sormas.separator);
    }
    if open > 0 {
        notes.push(format!(
            "{} contacts have no end of quarantine yet: SORMAS may set one of its own",
            n(open)
        ));
    }
    if sormas.place.is_none() {
        notes.push("import it from within a case of SORMAS, or give --region and --district by their names there, which it asks of contacts without a case".into());
    }
    Ok(vec![("contacts.csv", text.into_bytes())])
}

/// The case that the way of a contact's longest exposures leads to; `None` if that is a site.
fn case_of<'a>(person: &'a Person, persons: &HashMap<&str, &'a Person>) -> Option<&'a str> {
    // Each source lies in a lower ring, so this ends at ring 0.
    let mut at = person;
    while at.ring > 0 {
        at = persons.get(at.best_source.as_deref()?).filter(|source| source.ring < at.ring)?;
    }
    Some(&at.id)
}

/// Where persons are isolated tonight, by the last thing told of it.
fn isolated(run: &Run, network: &Network) -> Result<HashMap<String, &'static str>> {
    let columns = ["person_id", "fact", "what", "until"];
    let rows = Rows::new(run.table_columns("facts", &columns)?, "facts.parquet");
    let until = rows.instants("until")?;
    let (ids, facts, kinds) = (rows.ids("person_id")?, rows.texts("fact")?, rows.texts("what")?);
    // Facts of a person and kind come in the order of time.
    let is_there = |row: &usize| until[*row].is_none_or(|until| network.local_date(until) >= network.date);
    let isolations = (0..rows.len()).filter(|row| facts[*row] == Some("isolation")).filter(is_there);
    let place = |kind: Option<&str>| match kind {
        Some("home") => "HOME",
        Some("hospital") => "HOSPITAL",
        _ => "INSTITUTIONELL",
    };
    Ok(isolations.map(|row| (ids[row].clone(), place(kinds[row]))).collect())
}

/// One line as the importer (opencsv 5.7) reads it: every cell in quotes, with the backslash as its escape. A line break would
/// end the row in the comparison of SORMAS, so it becomes a space.
fn line(text: &mut String, cells: &[String], separator: char) {
    for (at, cell) in cells.iter().enumerate() {
        if at > 0 {
            text.push(separator);
        }
        let escaped = csv::safe_unless_number(cell)
            .replace('\\', "\\\\")
            .replace('"', "\"\"")
            .replace(['\r', '\n'], " ");
        text.push('"');
        text.push_str(&escaped);
        text.push('"');
    }
    text.push('\n');
}
