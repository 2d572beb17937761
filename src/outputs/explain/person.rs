//! What a run knows of one person, as facts again, and the color that follows from them.

use jiff::civil::Date;

use super::{ReasonTold, SupportTold};
use crate::colors::{self, Colored, PersonFacts, Scheme};
use crate::error::{Error, Result};
use crate::facts::kind::{Cell, Holds, Instant, Told, ToldCell};
use crate::facts::{CaseFact, Fact};
use crate::outputs::facts::second;
use crate::outputs::read::Table;
use crate::records::cases::{CaseRow, Status};
use crate::rings::{Best, Exposed, SourceRef, TracedPerson};
use crate::time::Second;

/// The facts of one person, read back from a run.
pub struct Derived {
    cases: Vec<CaseFact>,
    /// As traced, and what is new of it since an appeal was granted.
    contacts: Vec<TracedPerson>,
    /// What the tables of facts say.
    pub told: Vec<Told>,
}

impl Derived {
    /// From rows of the run's tables.
    ///
    /// # Errors
    /// `damaged` for a table without its columns.
    pub fn read(
        person: &str,
        told: Vec<Told>,
        contacts: &Table,
        renewed: Option<&Table>,
        sources: &Table,
    ) -> Result<Derived> {
        let mut cases = Vec::new();
        for row in sources.rows_where("source_id", person)? {
            let text = |name: &str| sources.text(name, row).map(Option::unwrap_or_default);
            if text("source_kind")? != "person" {
                continue;
            }
            let at = |name: &str| second(sources, name, row);
            let statuses = [Status::Confirmed, Status::Suspected, Status::Asymptomatic];
            let status = text("status")?;
            let status = statuses.into_iter().find(|known| known.word() == status);
            let case = CaseRow {
                person: 0,
                status: status.ok_or_else(|| Error::damaged("sources.parquet", "no case has this status"))?,
                onset_at: at("onset_at")?,
                sampled_at: at("sampled_at")?,
                isolated_at: at("isolated_at")?,
                infectious_from: at("infectious_from")?,
                infectious_until: None,
                recovered_at: at("recovered_at")?,
                reported_at: at("reported_at")?,
                lab_ref: None,
                reported_by: None,
            };
            let (file, row) = (text("input_file")?, text("input_row")?.parse().unwrap_or(0));
            cases.push(CaseFact { case, file, row });
        }
        let traced = (0..contacts.len()).map(|row| contact_in(contacts, row));
        let mut contacts: Vec<TracedPerson> = traced.collect::<Result<_>>()?;
        for (renewed, row) in renewed.iter().flat_map(|table| (0..table.len()).map(move |row| (table, row))) {
            contacts
                .push(TracedPerson { after: second(renewed, "after_at", row)?, ..contact_in(renewed, row)? });
        }
        Ok(Derived { cases, contacts, told })
    }

    /// The facts as rules see them.
    pub fn facts(&self) -> Vec<(u32, Fact<'_>)> {
        let cases = self.cases.iter().map(Fact::Case);
        let all =
            cases.chain(self.contacts.iter().map(Fact::Contact)).chain(self.told.iter().map(Fact::Told));
        all.map(|fact| (0, fact)).collect()
    }

    /// Whether a row of a file is among them; what has no row is not in a run's tables for certain.
    pub fn holds(&self, row: Option<(&str, u64)>) -> bool {
        match row {
            Some((file, row)) => {
                let told =
                    self.told.iter().filter_map(Told::row).any(|told| (&*told.file, told.row) == (file, row));
                told || self.cases.iter().any(|case| (&*case.file, case.row) == (file, row))
            }
            // An exposure, perhaps in another ring than tonight's, or a visit or scan, perhaps older than any rule asks for.
            None => true,
        }
    }
}

/// The ring and times of a contact in a row of `contacts.parquet`; not by whom.
pub fn contact_in(contacts: &Table, row: usize) -> Result<TracedPerson> {
    let number = |name: &str| -> Result<u64> {
        let text = contacts.text(name, row)?.unwrap_or_default();
        text.parse().map_err(|_| Error::damaged("contacts.parquet", format!("no number in {name}")))
    };
    let at = |name: &str| -> Result<Second> {
        second(contacts, name, row)?.ok_or_else(|| Error::damaged("contacts.parquet", format!("no {name}")))
    };
    let exposed = Exposed {
        first_exposed_at: at("first_exposed_at")?,
        last_exposed_at: at("last_exposed_at")?,
        overlap_s: number("overlap_s")?,
        observed_overlap_s: number("observed_overlap_s")?,
        exposures: number("exposures")? as u32,
        best: Best { from: 0, overlap_s: 0, source: 0, venue: 0, observed_s: 0 },
    };
    let ring = number("ring")? as u8;
    Ok(TracedPerson {
        person: 0,
        ring,
        exposed,
        best_source: SourceRef::Person(0),
        sources: None,
        after: None,
    })
}

/// The person's color on a date, if it is not that of a healthy one.
pub fn colored<'a>(own: &PersonFacts<'_, 'a>, scheme: &Scheme, date: Date) -> Option<Colored<'a>> {
    let (reasons, ruled_out) = colors::reasons(own, scheme, date);
    (!reasons.is_empty()).then_some(Colored { person: 0, reasons, ruled_out })
}

/// The reasons with their arithmetic; `evidence` has a row for each, in their order.
pub fn reasons(
    own: &PersonFacts<'_, '_>,
    colored: &Colored<'_>,
    evidence: &Table,
    scheme: &Scheme,
    date: Date,
) -> Result<Vec<ReasonTold>> {
    let mut told = Vec::new();
    for (row, reason) in colored.reasons.iter().enumerate() {
        let rule = &scheme.rules[reason.rule];
        let text = |name: &str| evidence.text(name, row).map(|cell| cell.map(|cell| super::printable(&cell)));
        let input = |file: &str, number: &str| -> Result<Option<(String, u64)>> {
            Ok(text(file)?.zip(text(number)?.and_then(|number| number.parse().ok())))
        };
        let (fact, kind) = (&reason.fact, reason.fact.kind());
        let term = scheme.term_of(rule, fact).expect("the reason follows from it");
        let anchor = rule.anchor.iter().find_map(|time| Some((time.word(), fact.time(*time)?)));
        let cell = |(name, holds): &(&'static str, Holds)| Some((*name, text_of(fact.cell(name)?, *holds)));
        let time = |time: &Instant| Some((time.word(), fact.time(*time)?));
        let arithmetic = scheme.arithmetic(rule, &term, own, date).expect("the reason holds");
        let ends = rule.ends.and_then(|time| Some((time.word(), fact.time(time)?)));
        told.push(ReasonTold {
            rule: reason.rule,
            color: scheme.severity[reason.rank].clone(),
            fact: kind,
            cells: kind.columns().iter().filter_map(cell).collect(),
            times: kind.times().iter().filter_map(time).collect(),
            anchor: anchor.expect("the reason counts from it"),
            arithmetic,
            ends,
            phase: reason.effect.phase,
            effect: reason.effect.clone(),
            row: input("input_file", "input_row")?,
            place: input("place_file", "place_row")?,
            venue: text("venue_id")?,
            after: if let Fact::Contact(contact) = fact { contact.after } else { None },
            support: match evidence.column("support_fact") {
                Err(_) => None,
                Ok(_) => text("support_fact")?
                    .map(|fact| -> Result<SupportTold> {
                        let at = second(evidence, "support_at", row)?.unwrap_or_default();
                        Ok(SupportTold { fact, at, row: input("support_file", "support_row")? })
                    })
                    .transpose()?,
            },
        });
    }
    Ok(told)
}

fn text_of(cell: Cell<'_>, holds: Holds) -> String {
    match (cell, holds) {
        (Cell::Word(word), _) => super::printable(word),
        (Cell::Number(number), Holds::Celsius) => degrees(number),
        (Cell::Number(number), _) => number.to_string(),
    }
}

/// A cell as text.
pub fn cell_text(cell: &ToldCell) -> String {
    match cell {
        ToldCell::Word(word) => (*word).to_string(),
        ToldCell::Text(text) => super::printable(text),
        ToldCell::Number(number) => degrees(*number),
    }
}

fn degrees(hundredths: i64) -> String {
    format!("{}.{:02}", hundredths / 100, hundredths % 100)
}
