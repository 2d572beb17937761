//! One person's color in words: every reason, what it rests on and how long it runs, the way back to a case; made again
//! from the run's facts and the visit store, and compared with what was published.

mod check;
mod language;
mod person;
mod words;

use std::collections::{BTreeMap, HashMap, HashSet};

use rayon::prelude::*;
use serde_json::{Value, json};

use crate::colors::release::Arithmetic;
use crate::colors::{PersonFacts, Scheme};
use crate::contacts::graph::{Link, chain_to_case};
use crate::error::{Error, Result};
use crate::facts::kind::{FactKind, Told};
use crate::outputs::facts::second;
use crate::outputs::read::{Run, Table};
use crate::time::{self, Second, format_utc};
pub use check::Against;
pub use language::Language;
use person::Derived;

/// One exposure, with other persons by their place in [`Explanation::others`].
struct Step {
    source: Who,
    contact: Who,
    venue: String,
    from: Second,
    until: Second,
    overlap_s: u64,
    observed_s: u64,
    ring: u8,
}

/// Someone or something in an explanation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Who {
    /// The person explained.
    TheOne,
    /// Another person.
    Other(usize),
    /// An exposure site, which is public.
    Site(usize),
}

/// Another person, whom an explanation names only if it is to identify.
struct Other {
    id: String,
    /// The case rows that say so, as `file row n`; empty for a contact.
    case: Vec<String>,
    /// Status of the case; ring of a contact.
    role: Role,
}

enum Role {
    Case(String),
    Ring(u8),
}

/// A reason with what it was made from.
struct ReasonTold {
    rule: usize,
    color: String,
    fact: FactKind,
    /// The fact's cells and times by name.
    cells: Vec<(&'static str, String)>,
    times: Vec<(&'static str, Second)>,
    /// What the rule counts from.
    anchor: (&'static str, Second),
    /// The fact's own end, if the rule ends with it.
    ends: Option<(&'static str, Second)>,
    arithmetic: Arithmetic,
    phase: usize,
    effect: crate::colors::Effect,
    /// File and row that say it; those that say what the place is.
    row: Option<(String, u64)>,
    place: Option<(String, u64)>,
    /// The venue of a stay by a visit.
    venue: Option<String>,
    /// The health fact that an order rests on.
    support: Option<SupportTold>,
    /// Of a contact what is new since an appeal was granted: when that was.
    after: Option<Second>,
}

/// A health fact that an order rests on.
struct SupportTold {
    fact: String,
    /// When it began.
    at: Second,
    /// File and row that say it; `None` if a visit, a scan or an exposure does.
    row: Option<(String, u64)>,
}

/// Why one person has the color they have.
pub struct Explanation {
    person: String,
    date: jiff::civil::Date,
    color: String,
    register: Option<BTreeMap<&'static str, String>>,
    reasons: Vec<ReasonTold>,
    contact: Option<BTreeMap<&'static str, String>>,
    chain: Vec<Step>,
    exposures: Vec<Step>,
    others: Vec<Other>,
    sites: Vec<String>,
    venues: HashMap<String, String>,
    /// What the tables of facts say of the person.
    told: Vec<Told>,
    /// The person's own case rows: status, file and row.
    cases: Vec<(String, String)>,
    against: Against,
}

const REGISTER: [&str; 12] = [
    "color",
    "rule_id",
    "reasons",
    "since",
    "until",
    "next_due",
    "region_id",
    "color_without",
    "earliest_free",
    "missing",
    "lifted_by_en",
    "lifted_by_zh",
];
/// Exposures listed one by one; the rest are counted.
const LISTED: usize = 10;
const CONTACT: [&str; 6] =
    ["ring", "first_exposed_at", "last_exposed_at", "overlap_s", "observed_overlap_s", "exposures"];

/// Gathers what a run says of a person, and makes it again: from the run's own facts, and from the store of `config` where
/// that is given; `None` if none was found, or what is wrong with it. A person the run says nothing of is healthy.
///
/// # Errors
/// `integrity` if what is made again differs from what was published; those of reading the run and the store.
pub fn gather(
    run: &Run,
    person: &str,
    scheme: &Scheme,
    config: std::result::Result<&crate::config::Config, Option<String>>,
) -> Result<Explanation> {
    let own = HashSet::from([person.to_string()]);
    let tables = ["colors", "evidence", "contacts", "facts"].map(|name| (name, "person_id"));
    let tables = [&tables[..], &[("exposures", "contact_id")]].concat();
    let tables: Vec<Table> =
        tables.par_iter().map(|(name, column)| run.lookup(name, column, &own)).collect::<Result<_>>()?;
    let [colors, evidence, contacts, facts, exposures] = &tables[..] else {
        unreachable!("as many as asked")
    };
    // Nights of before appeals were renewed have no such table.
    let renewed = run.tables().any(|name| name == "renewed");
    let renewed = renewed.then(|| run.lookup("renewed", "person_id", &own)).transpose()?;
    let sources = run.table("sources")?;
    let told = crate::outputs::facts::told_in(facts)?;
    let date = time::parse_date(&run.record.date)?;
    let derived = Derived::read(person, told, contacts, renewed.as_ref(), &sources)?;
    let facts = derived.facts();
    let prepared = PersonFacts::new(&facts, scheme);
    let colored = person::colored(&prepared, scheme, date);
    check::colors(colors, evidence, colored.as_ref(), scheme)?;
    check::orders(evidence, &derived)?;
    check::places(evidence, contacts, renewed.as_ref(), exposures, &tables[3])?;
    let reasons = match &colored {
        Some(colored) => person::reasons(&prepared, colored, evidence, scheme, date)?,
        None => Vec::new(),
    };
    drop(colored);
    let mut people = People { person, sources: &sources, others: Vec::new(), sites: Vec::new() };
    let in_ring = !contacts.is_empty();
    let all = if in_ring {
        links(run, exposures, person)?
    } else {
        Table::new(exposures.batch.clone(), "exposures.parquet")
    };
    let chain = people.chain(&all)?;
    let exposed = (0..exposures.len()).map(|row| people.step(exposures, row)).collect::<Result<_>>()?;
    let People { others, sites, .. } = people;
    let ends = chain.last().map(|step| match step.source {
        Who::Other(at) => matches!(others[at].role, Role::Case(_)),
        Who::Site(_) => true,
        Who::TheOne => false,
    });
    if in_ring && ends != Some(true) {
        return Err(check::differs(
            vec!["the way back does not end at a source".into()],
            "a file of the run was changed: `ringtrace verify --run DIR`",
        ));
    }
    let mut known: Vec<&str> = vec![person];
    known.extend(others.iter().filter(|other| matches!(other.role, Role::Ring(_))).map(|other| &*other.id));
    let against = check::store(run, config, &sources, &known, evidence, &all, date)?;
    let venues = run.table("venues")?;
    let mut venue_words = HashMap::new();
    for row in 0..venues.len() {
        let known =
            [venues.text("name", row)?, venues.text("category", row)?, venues.text("region_id", row)?];
        let id = venues.text("venue_id", row)?.unwrap_or_default();
        let words = known.into_iter().flatten().collect::<Vec<_>>().join(", ");
        venue_words.insert(printable(&id), printable(&words));
    }
    let register = (!colors.is_empty()).then(|| cells(colors, 0, &REGISTER)).transpose()?;
    let cases = (0..sources.len()).filter_map(|row| case_row(&sources, row, person).transpose());
    Ok(Explanation {
        person: printable(person),
        date,
        color: register.as_ref().map_or(scheme.healthy().to_string(), |row| row["color"].clone()),
        register,
        reasons,
        contact: in_ring.then(|| cells(contacts, 0, &CONTACT)).transpose()?,
        chain,
        exposures: exposed,
        others,
        sites,
        venues: venue_words,
        cases: cases.collect::<Result<_>>()?,
        told: derived.told,
        against,
    })
}

fn cells(table: &Table, row: usize, names: &[&'static str]) -> Result<BTreeMap<&'static str, String>> {
    names.iter().map(|name| Ok((*name, table.text(name, row)?.unwrap_or_default()))).collect()
}

/// Text from data as it may go to a terminal: control characters could rewrite what stands there.
fn printable(text: &str) -> String {
    text.chars().flat_map(|c| if c.is_control() { c.escape_default().collect() } else { vec![c] }).collect()
}

/// Status, and file and row, if that row of the sources is a case row of the person.
fn case_row(sources: &Table, row: usize, person: &str) -> Result<Option<(String, String)>> {
    let text = |name| sources.text(name, row).map(Option::unwrap_or_default);
    if text("source_kind")? != "person" || text("source_id")? != person {
        return Ok(None);
    }
    Ok(Some((text("status")?, format!("{} row {}", text("input_file")?, text("input_row")?))))
}

/// The exposures of the person, of the person's sources, of theirs: as many steps as there are rings.
fn links(run: &Run, own: &Table, person: &str) -> Result<Table> {
    let mut known: HashSet<String> = HashSet::from([person.to_string()]);
    let mut all = vec![own.batch.clone()];
    loop {
        let last = Table::new(all.last().expect("the person's own").clone(), "exposures.parquet");
        let mut next = HashSet::new();
        for row in 0..last.len() {
            let source = last.text("source_id", row)?.unwrap_or_default();
            let is_person = last.text("source_kind", row)?.as_deref() != Some("window");
            if is_person && known.insert(source.clone()) {
                next.insert(source);
            }
        }
        if next.is_empty() {
            break;
        }
        all.push(run.lookup("exposures", "contact_id", &next)?.batch);
    }
    let joined = arrow::compute::concat_batches(&all[0].schema(), &all);
    Ok(Table::new(joined.map_err(|e| Error::damaged("exposures.parquet", e))?, "exposures.parquet"))
}

/// Gives everyone but the person a number in the order they turn up.
struct People<'a> {
    person: &'a str,
    sources: &'a Table,
    others: Vec<Other>,
    sites: Vec<String>,
}

impl People<'_> {
    fn who(&mut self, id: String, is_window: bool, ring: u8) -> Result<Who> {
        if is_window {
            let id = printable(&id);
            let at = self.sites.iter().position(|known| *known == id).unwrap_or(self.sites.len());
            if at == self.sites.len() {
                self.sites.push(id);
            }
            return Ok(Who::Site(at));
        }
        if id == self.person {
            return Ok(Who::TheOne);
        }
        if let Some(at) = self.others.iter().position(|other| other.id == id) {
            return Ok(Who::Other(at));
        }
        let mut case = Vec::new();
        let mut status = None;
        for row in self.sources.rows_where("source_id", &id)? {
            if let Some((known, at)) = case_row(self.sources, row, &id)? {
                status.get_or_insert(known);
                case.push(printable(&at));
            }
        }
        let role = status.map_or(Role::Ring(ring), Role::Case);
        self.others.push(Other { id, case, role });
        Ok(Who::Other(self.others.len() - 1))
    }

    /// The exposure in a row of `exposures.parquet`.
    fn step(&mut self, exposures: &Table, row: usize) -> Result<Step> {
        let text = |name: &str| exposures.text(name, row).map(Option::unwrap_or_default);
        let at = |name: &str| second(exposures, name, row).map(Option::unwrap_or_default);
        let ring: u8 = text("ring")?.parse().unwrap_or(0);
        let is_window = text("source_kind")? == "window";
        Ok(Step {
            source: self.who(text("source_id")?, is_window, ring.saturating_sub(1))?,
            contact: self.who(text("contact_id")?, false, ring)?,
            venue: printable(&text("venue_id")?),
            from: at("from")?,
            until: at("until")?,
            overlap_s: text("overlap_s")?.parse().unwrap_or(0),
            observed_s: text("observed_overlap_s")?.parse().unwrap_or(0),
            ring,
        })
    }

    /// The exposures that lead from the person back to a case or an exposure site, the person's own first.
    fn chain(&mut self, all: &Table) -> Result<Vec<Step>> {
        let mut numbers: HashMap<(bool, String), u32> = HashMap::new();
        let mut number = |is_window: bool, id: String| {
            let next = numbers.len() as u32;
            *numbers.entry((is_window, id)).or_insert(next)
        };
        let start = number(false, self.person.to_string());
        let mut links = Vec::new();
        for row in 0..all.len() {
            let text = |name: &str| all.text(name, row).map(Option::unwrap_or_default);
            let is_window = text("source_kind")? == "window";
            let source = number(is_window, text("source_id")?);
            let contact = number(false, text("contact_id")?);
            let at = |name: &str| second(all, name, row).map(Option::unwrap_or_default);
            links.push(Link { source, contact, from: at("from")?, until: at("until")? });
        }
        chain_to_case(&links, start).into_iter().map(|row| self.step(all, row)).collect()
    }
}

/// Whether an explanation may name other persons.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Identify {
    /// Everyone by id.
    Everyone,
    /// Only the person explained.
    NoOneElse,
}

impl Explanation {
    fn name(&self, who: Who, identify: Identify) -> String {
        match who {
            Who::TheOne => self.person.clone(),
            Who::Site(at) => self.sites[at].clone(),
            Who::Other(at) if identify == Identify::Everyone => printable(&self.others[at].id),
            Who::Other(at) => format!("P{}", at + 1),
        }
    }

    /// For programs.
    pub fn json(&self, scheme: &Scheme, identify: Identify) -> Value {
        let step = |s: &Step| {
            json!({
                "source_id": self.name(s.source, identify),
                "source_kind": if matches!(s.source, Who::Site(_)) { "window" } else { "person" },
                "contact_id": self.name(s.contact, identify), "venue_id": s.venue, "ring": s.ring,
                "from": format_utc(s.from), "until": format_utc(s.until),
                "overlap_s": s.overlap_s, "observed_overlap_s": s.observed_s,
            })
        };
        let reason = |reason: &ReasonTold| {
            let rule = &scheme.rules[reason.rule];
            let (sum, effect) = (&reason.arithmetic, &reason.effect);
            let day = |day: Option<jiff::civil::Date>| day.map(|day| day.to_string());
            // Tests that are of no use any more are not asked for.
            let tests = sum
                .tests
                .iter()
                .filter(|_| !effect.by_fact)
                .map(|(due, sampled)| json!({"due": due.to_string(), "sampled": day(*sampled)}));
            json!({
                "rule_id": rule.id, "color": reason.color, "fact": reason.fact.word(),
                "basis_en": rule.basis.en, "basis_zh": rule.basis.zh,
                "cells": reason.cells.iter().cloned().collect::<BTreeMap<_, _>>(),
                "times": reason.times.iter().map(|(name, at)| (*name, format_utc(*at))).collect::<BTreeMap<_, _>>(),
                "anchor": reason.anchor.0, "day_zero": sum.day_zero.to_string(),
                "phase": reason.phase + 1, "phases": rule.phases.len(), "phase_since": sum.start.to_string(),
                "term_ends": day(sum.term), "fact_ends": day(sum.ended), "ends_with_fact": effect.by_fact,
                "tests": tests.collect::<Vec<_>>(),
                "confirmed_on": day(sum.confirmed),
                "tests_due": sum.due.iter().map(|test| json!({
                    "day": test.day, "due": test.on.to_string(), "sampled": day(test.sampled),
                })).collect::<Vec<_>>(),
                "checkins_missing": effect.missing.checkins, "tests_missing": effect.missing.tests,
                "confirmation_missing": effect.missing.confirmation,
                "holds_since": effect.since.to_string(), "holds_until": day(effect.until),
                "earliest_over": day(effect.earliest), "venue_id": reason.venue,
                "after_appeal_at": reason.after.map(format_utc),
                "support": reason.support.as_ref().map(|support| json!({
                    "fact": support.fact, "at": format_utc(support.at),
                    "input_file": support.row.as_ref().map(|row| &row.0), "input_row": support.row.as_ref().map(|row| row.1),
                })),
                "input_file": reason.row.as_ref().map(|row| &row.0), "input_row": reason.row.as_ref().map(|row| row.1),
                "place_file": reason.place.as_ref().map(|row| &row.0), "place_row": reason.place.as_ref().map(|row| row.1),
            })
        };
        json!({
            "person_id": self.person, "date": self.date.to_string(), "color": self.color, "scheme": scheme.id,
            "register": self.register, "reasons": self.reasons.iter().map(reason).collect::<Vec<_>>(),
            "contact": self.contact,
            "exposures": self.exposures.iter().map(step).collect::<Vec<_>>(),
            "chain": self.chain.iter().map(step).collect::<Vec<_>>(),
            "trip_code": self.trips(scheme).iter().map(|trip| json!({
                "region_id": trip.region, "level": trip.level, "from": format_utc(trip.from), "until": format_utc(trip.until),
            })).collect::<Vec<_>>(),
            "checked": self.against.json(),
        })
    }

    /// One person's file for an appeal: everything the color rests on, in both languages, and no one else's identity: not of
    /// those met, nor of who signed an order, nor the names of files, which may hold ids of others.
    pub fn evidence_pack(mut self, run: &Run, scheme: &Scheme, zone: &jiff::tz::TimeZone) -> Value {
        let signs = |name: &str| matches!(name, "author" | "approver");
        self.reasons.iter_mut().for_each(|reason| reason.cells.retain(|(name, _)| !signs(name)));
        for told in &mut self.told {
            let columns = told.kind.columns().iter().zip(&mut told.cells);
            columns.filter(|((name, _), _)| signs(name)).for_each(|(_, cell)| *cell = None);
        }
        let fact = |told: &Told| {
            let columns = told.kind.columns().iter().zip(&told.cells);
            let cells =
                columns.filter_map(|((name, _), cell)| Some((*name, person::cell_text(cell.as_ref()?))));
            json!({
                "fact": told.kind.word(), "at": format_utc(told.at), "until": told.until.map(format_utc),
                "known_at": format_utc(told.known_at), "cells": cells.collect::<BTreeMap<_, _>>(),
                "input_file": told.row().map(|row| &*row.file), "input_row": told.row().map(|row| row.row),
                "place_file": told.place.as_ref().map(|row| &*row.file), "place_row": told.place.as_ref().map(|row| row.row),
            })
        };
        let identity = &run.record.identity;
        let files = identity.files.iter().map(|file| json!({"table": file.table, "blake3": file.blake3}));
        json!({
            "explanation": self.json(scheme, Identify::NoOneElse),
            "words_en": self.words(scheme, zone, Language::En, Identify::NoOneElse),
            "words_zh": self.words(scheme, zone, Language::Zh, Identify::NoOneElse),
            "facts": self.told.iter().map(fact).collect::<Vec<_>>(),
            "cases": self.cases.iter().map(|(status, row)| json!({"status": status, "row": row})).collect::<Vec<_>>(),
            "made_from": {"ringtrace": identity.ringtrace, "config": identity.config, "scheme": identity.scheme,
                "files": files.collect::<Vec<_>>(), "time_zone": identity.time_zone},
        })
    }
}
