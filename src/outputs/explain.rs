//! One person's color in words: every reason, what it rests on, the way back to a case, and what it does not say.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::fmt::Write;

use jiff::tz::TimeZone;
use serde_json::{Value, json};

use crate::colors::Scheme;
use crate::contacts::graph::{Link, chain_to_case};
use crate::error::Result;
use crate::outputs::read::{Run, Table};
use crate::time::{Second, format_duration, format_local, format_utc};

/// One exposure with its names.
struct Step {
    source: String,
    is_window: bool,
    contact: String,
    venue: String,
    from: Second,
    until: Second,
    overlap_s: u64,
    observed_s: u64,
    ring: String,
}

/// Why one person has the color they have.
pub struct Explanation {
    person: String,
    date: String,
    color: String,
    register: Option<HashMap<&'static str, String>>,
    reasons: Vec<HashMap<&'static str, String>>,
    contact: Option<HashMap<&'static str, String>>,
    chain: Vec<Step>,
    exposures: Vec<Step>,
    cases: HashMap<String, String>,
    venues: HashMap<String, String>,
}

const REGISTER: [&str; 11] = [
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
const EVIDENCE: [&str; 14] = [
    "rule_id",
    "color",
    "fact",
    "ring",
    "source_id",
    "source_kind",
    "venue_id",
    "from",
    "until",
    "overlap_s",
    "input_file",
    "input_row",
    "holds_since",
    "holds_until",
];
/// Exposures listed one by one; the rest are counted.
const LISTED: usize = 10;
const CONTACT: [&str; 6] =
    ["ring", "first_exposed_at", "last_exposed_at", "overlap_s", "observed_overlap_s", "exposures"];

/// Gathers what a run says of a person. A person the run says nothing of is green.
///
/// # Errors
/// Those of reading the run.
pub fn gather(run: &Run, person: &str, scheme: &Scheme) -> Result<Explanation> {
    let colors = run.table("colors")?;
    let evidence = run.table("evidence")?;
    let contacts = run.table("contacts")?;
    let exposures = run.table("exposures")?;
    let register_row = colors.rows_where("person_id", person)?.first().copied();
    let color = register_row.map(|row| colors.text("color", row)).transpose()?.flatten();
    let contact_row = contacts.rows_where("person_id", person)?.first().copied();
    let own: Vec<usize> = evidence.rows_where("person_id", person)?;
    let sources = run.table("sources")?;
    let mut cases = HashMap::new();
    for row in sources.rows_where("source_kind", "person")? {
        let text = |name| sources.text(name, row).map(Option::unwrap_or_default);
        let words = format!("{} case, {} row {}", text("status")?, text("input_file")?, text("input_row")?);
        cases.entry(text("source_id")?).or_insert(words);
    }
    let venues = run.table("venues")?;
    let mut venue_words = HashMap::new();
    for row in 0..venues.len() {
        let known =
            [venues.text("name", row)?, venues.text("category", row)?, venues.text("region_id", row)?];
        let id = venues.text("venue_id", row)?.unwrap_or_default();
        venue_words.insert(id, known.into_iter().flatten().collect::<Vec<_>>().join(", "));
    }
    let rows = exposures.rows_where("contact_id", person)?;
    Ok(Explanation {
        exposures: rows.into_iter().map(|row| step(&exposures, row)).collect::<Result<_>>()?,
        venues: venue_words,
        person: printable(person),
        date: run.record.date.clone(),
        color: color.unwrap_or_else(|| scheme.healthy().to_string()),
        register: register_row.map(|row| cells(&colors, row, &REGISTER)).transpose()?,
        reasons: own.into_iter().map(|row| cells(&evidence, row, &EVIDENCE)).collect::<Result<_>>()?,
        contact: contact_row.map(|row| cells(&contacts, row, &CONTACT)).transpose()?,
        chain: if contact_row.is_some() { chain(&exposures, person)? } else { Vec::new() },
        cases,
    })
}

fn cells(table: &Table, row: usize, names: &[&'static str]) -> Result<HashMap<&'static str, String>> {
    names.iter().map(|name| Ok((*name, table.text(name, row)?.unwrap_or_default()))).collect()
}

/// Text from data as it may go to a terminal: control characters could rewrite what stands there.
fn printable(text: &str) -> String {
    text.chars().flat_map(|c| if c.is_control() { c.escape_default().collect() } else { vec![c] }).collect()
}

/// The exposure in a row of `exposures.parquet`.
fn step(exposures: &Table, row: usize) -> Result<Step> {
    let text = |name: &str| exposures.text(name, row).map(|cell| printable(&cell.unwrap_or_default()));
    let second = |name: &str| -> Result<Second> {
        let at = text(name)?.parse::<jiff::Timestamp>().map_or(0, |t| t.as_second());
        Ok(at.clamp(0, i64::from(Second::MAX)) as Second)
    };
    Ok(Step {
        source: text("source_id")?,
        is_window: text("source_kind")? == "window",
        contact: text("contact_id")?,
        venue: text("venue_id")?,
        from: second("from")?,
        until: second("until")?,
        overlap_s: text("overlap_s")?.parse().unwrap_or(0),
        observed_s: text("observed_overlap_s")?.parse().unwrap_or(0),
        ring: text("ring")?,
    })
}

/// The exposures that lead from the person back to a case or an exposure site, the person's own first.
fn chain(exposures: &Table, person: &str) -> Result<Vec<Step>> {
    // Only exposures of the person, of the persons' sources, of their sources: as many steps as there are rings.
    let mut rows: BTreeSet<usize> = BTreeSet::new();
    let mut known: HashSet<String> = HashSet::from([person.to_string()]);
    let mut next = known.clone();
    while !next.is_empty() {
        let found = exposures.rows_among("contact_id", &next)?;
        next.clear();
        for row in found {
            rows.insert(row);
            let source = exposures.text("source_id", row)?.unwrap_or_default();
            let is_person = exposures.text("source_kind", row)?.as_deref() != Some("window");
            if is_person && known.insert(source.clone()) {
                next.insert(source);
            }
        }
    }
    let mut numbers: HashMap<(bool, String), u32> = HashMap::new();
    let mut number = |is_window: bool, id: &str| {
        let next = numbers.len() as u32;
        *numbers.entry((is_window, id.to_string())).or_insert(next)
    };
    let start = number(false, &printable(person));
    let steps: Vec<Step> = rows.into_iter().map(|row| step(exposures, row)).collect::<Result<_>>()?;
    let link = |step: &Step| {
        let (source, contact) = (number(step.is_window, &step.source), number(false, &step.contact));
        Link { source, contact, from: step.from, until: step.until }
    };
    let links: Vec<Link> = steps.iter().map(link).collect();
    let mut steps: Vec<Option<Step>> = steps.into_iter().map(Some).collect();
    let chain = chain_to_case(&links, start).into_iter().map(|at| steps[at].take());
    Ok(chain.map(|step| step.expect("a chain passes each exposure once")).collect())
}

impl Explanation {
    /// In words, with times in `zone`.
    pub fn words(&self, scheme: &Scheme, zone: &TimeZone) -> String {
        let mut text = String::new();
        self.write(&mut text, scheme, zone).expect("writing to a String does not fail");
        text
    }

    fn write(&self, out: &mut String, scheme: &Scheme, zone: &TimeZone) -> std::fmt::Result {
        writeln!(
            out,
            "Person {} on {}: {} ({})",
            self.person,
            self.date,
            self.color.to_uppercase(),
            scheme.name.en
        )?;
        let Some(register) = &self.register else {
            writeln!(out, "\nNo fact of this run colors this person.")?;
            if let Some(contact) = &self.contact {
                let ring = &contact["ring"];
                writeln!(out, "Traced in ring {ring}, but no rule of the scheme holds for it on this date:")?;
                return self.write_chain(out, zone);
            }
            writeln!(out, "Not traced: no exposure within the rings followed.")?;
            return writeln!(
                out,
                "A run lists only who was reached, so a misspelt id reads like this too: check the id."
            );
        };
        let or = |text: &str, other: &str| if text.is_empty() { other.to_string() } else { text.to_string() };
        writeln!(out, "  since       {}", register["since"])?;
        writeln!(
            out,
            "  free from   {}",
            or(&register["until"], "open: ends with a fact still to come, such as recovery")
        )?;
        writeln!(
            out,
            "  healthy     {}",
            match register["earliest_free"].as_str() {
                "" => "no date can be given".to_string(),
                day => format!("on {day} at the earliest"),
            }
        )?;
        writeln!(out, "  missing     {}", or(&register["missing"], "nothing that has a date"))?;
        if !register["lifted_by_en"].is_empty() {
            writeln!(out, "  lifted by   {} / {}", register["lifted_by_en"], register["lifted_by_zh"])?;
        }
        writeln!(out, "  next due    {}", or(&register["next_due"], "nothing dated"))?;
        writeln!(out, "  region      {}", register["region_id"])?;
        writeln!(out, "  without the first reason: {}", register["color_without"])?;
        writeln!(out, "\nWhy")?;
        for (at, reason) in self.reasons.iter().enumerate() {
            let rule = scheme.rule(&reason["rule_id"]);
            let basis = rule.map_or(("", ""), |r| (r.basis.en.as_str(), r.basis.zh.as_str()));
            let until = or(&reason["holds_until"], "further notice");
            writeln!(out, "  {}. {} {} / {}", at + 1, reason["rule_id"], basis.0, basis.1)?;
            writeln!(out, "     {} from {} until {until}", reason["color"], reason["holds_since"])?;
            if reason["fact"] != "contact" {
                writeln!(out, "     evidence: {} row {}", reason["input_file"], reason["input_row"])?;
            }
        }
        self.write_chain(out, zone)
    }

    fn write_chain(&self, out: &mut String, zone: &TimeZone) -> std::fmt::Result {
        if self.chain.is_empty() {
            return Ok(());
        }
        if let Some(contact) = &self.contact {
            let seconds = |name: &str| format_duration(contact[name].parse().unwrap_or(0));
            writeln!(
                out,
                "\nExposed {}: {} together, {} of it observed (times in {})",
                match contact["exposures"].as_str() {
                    "1" => "once".into(),
                    times => format!("{times} times"),
                },
                seconds("overlap_s"),
                seconds("observed_overlap_s"),
                zone.iana_name().unwrap_or("UTC"),
            )?;
            for step in self.exposures.iter().take(LISTED) {
                writeln!(out, "  {}", self.where_and_when(step, zone))?;
            }
            let listed = self.exposures.len().min(LISTED);
            let all = contact["exposures"].parse().unwrap_or(listed);
            if all > listed {
                writeln!(out, "  and {} more", all - listed)?;
            }
        }
        writeln!(out, "\nThe way back to a source")?;
        for step in &self.chain {
            let source = match (&self.cases.get(&step.source), step.is_window) {
                (_, true) => format!("exposure site {}", step.source),
                (Some(row), _) => format!("{} ({row})", step.source),
                (None, _) => step.source.clone(),
            };
            writeln!(out, "  {} (ring {}) met {source}", step.contact, step.ring)?;
            writeln!(out, "    {}", self.where_and_when(step, zone))?;
        }
        writeln!(
            out,
            "\nA shared venue is not a meeting: scans show presence, not distance. Time that is not observed is\ninferred from the venue's default stay."
        )
    }

    fn where_and_when(&self, step: &Step, zone: &TimeZone) -> String {
        let known = self.venues.get(&step.venue).filter(|words| !words.is_empty());
        format!(
            "{} to {} at {}{}: {}, {} observed",
            format_local(step.from, zone),
            &format_local(step.until, zone)[11..],
            step.venue,
            known.map(|words| format!(" ({words})")).unwrap_or_default(),
            format_duration(step.overlap_s),
            format_duration(step.observed_s),
        )
    }

    /// For programs.
    pub fn json(&self) -> Value {
        let step = |s: &Step| {
            json!({
                "source_id": s.source, "source_kind": if s.is_window { "window" } else { "person" },
                "contact_id": s.contact, "venue_id": s.venue, "ring": s.ring.parse::<u8>().unwrap_or(0),
                "from": format_utc(s.from), "until": format_utc(s.until),
                "overlap_s": s.overlap_s, "observed_overlap_s": s.observed_s,
            })
        };
        json!({
            "person_id": self.person, "date": self.date, "color": self.color,
            "register": self.register, "reasons": self.reasons, "contact": self.contact,
            "exposures": self.exposures.iter().map(step).collect::<Vec<_>>(),
            "chain": self.chain.iter().map(step).collect::<Vec<_>>(),
        })
    }
}
