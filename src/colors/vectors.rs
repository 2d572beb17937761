//! The vectors in a pack: facts with the color and end they must give, checked before the pack is used.

use std::collections::BTreeMap;

use jiff::civil::Date;
use jiff::{Span, Timestamp};
use schemars::JsonSchema;
use serde::Deserialize;

use super::pack;
use super::scheme::{Phase, Rule, Scheme, Value, Wanted};
use crate::error::Result;
use crate::facts::kind::{Basis, Cell, FactKind, Holds, Instant, Told, ToldCell};
use crate::facts::{CaseFact, Fact};
use crate::records::InputRow;
use crate::records::cases::{CaseRow, Status};
use crate::rings::{Best, Exposed, SourceRef, TracedPerson};
use crate::time::{Reading, Second, parse_date, parse_instant};

/// Facts about one person and what the pack must make of them.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Vector {
    /// What it shows of its rule.
    pub shows: String,
    /// The facts.
    pub facts: Vec<VectorFact>,
    /// The date asked about.
    pub date: String,
    /// The color expected, and by its own rule unless it is that of a healthy person.
    pub color: String,
    /// The rule that is expected to decide instead.
    pub by: Option<String>,
    /// The rules of all reasons expected, worst first, if they are to be checked.
    pub reasons: Option<Vec<String>>,
    /// The first free day expected; none if the color has no end yet.
    pub until: Option<String>,
    /// The first day on which the rule can be over, if that is to be checked.
    pub earliest: Option<String>,
}

/// A fact of a vector: its cells and times by name. A case is confirmed and a contact of ring 1 unless it says otherwise.
#[derive(Clone, Debug, JsonSchema)]
pub struct VectorFact {
    /// Kind of fact.
    pub fact: FactKind,
    /// The same fact on so many civil days in a row, at the same time of day.
    #[schemars(default = "once")]
    pub daily: u32,
    /// Columns and times; times in the pack's zone, or with one.
    #[schemars(flatten)]
    pub cells: BTreeMap<String, Value>,
}

/// An exposure of which a vector says only when it began or ended takes so long.
const EXPOSED_S: Second = 900;

/// A fact is repeated on no more days.
const DAILY_MAX: u32 = 1_000;

fn once() -> u32 {
    1
}

/// Applies the pack to its own vectors, in its own time zone.
///
/// # Errors
/// `usage` for the first vector that gives something else, or cannot be read.
pub fn check(scheme: &Scheme) -> Result<()> {
    let Some((rule, vector, what)) = first_broken(scheme) else { return Ok(()) };
    let line = pack::line_of(&scheme.text, &["rule".into(), rule.into(), "vectors".into(), vector.into()]);
    let rule = &scheme.rules[rule];
    let what = format!("rule {}: vector {:?}: {what}", rule.id, rule.vectors[vector].shows);
    Err(pack::wrong(&scheme.file, line, &what, Some("mend the rule or the vector")))
}

/// The first vector that does not hold: the numbers of its rule and of it, and why.
fn first_broken(scheme: &Scheme) -> Option<(usize, usize, String)> {
    let rules = scheme.rules.iter().enumerate();
    let mut all = rules.flat_map(|(at, rule)| (0..rule.vectors.len()).map(move |vector| (at, rule, vector)));
    all.find_map(|(at, rule, vector)| {
        let what = check_one(scheme, rule, &rule.vectors[vector]).err()?;
        Some((at, vector, what))
    })
}

/// Rules that no vector of theirs shows holding, or none shows not holding.
pub fn unshown(scheme: &Scheme) -> Vec<&str> {
    let shown = |rule: &Rule, holds: bool| {
        rule.vectors.iter().any(|vector| holds == (vector.color != scheme.healthy() && vector.by.is_none()))
    };
    let rules = scheme.rules.iter().filter(|rule| !shown(rule, true) || !shown(rule, false));
    rules.map(|rule| rule.id.as_str()).collect()
}

/// Small changes of a rule that would break none of the pack's vectors: what the vectors do not pin down.
pub fn unnoticed(scheme: &Scheme) -> Vec<String> {
    let mut unnoticed = Vec::new();
    for (at, rule) in scheme.rules.iter().enumerate() {
        let mut notice = |what: String, changed: Scheme| {
            if first_broken(&changed).is_none() {
                unnoticed.push(format!("rule {}: {what}", rule.id));
            }
        };
        let mut changed = scheme.clone();
        changed.rules[at].phases.iter_mut().for_each(|phase| phase.color = scheme.healthy().to_string());
        notice("without an effect".into(), changed);
        for column in rule.condition.keys() {
            let mut changed = scheme.clone();
            changed.rules[at].condition.remove(column);
            notice(format!("without the condition on {column}"), changed);
        }
        for (column, wanted) in &rule.condition {
            let Wanted::Among(values) = wanted else { continue };
            for (number, value) in values.iter().enumerate().filter(|_| values.len() > 1) {
                let mut changed = scheme.clone();
                let mut fewer = values.clone();
                fewer.remove(number);
                changed.rules[at].condition.insert(column.clone(), Wanted::Among(fewer));
                notice(format!("without {column} {value}"), changed);
            }
        }
        for (number, time) in rule.anchor.iter().enumerate().filter(|_| rule.anchor.len() > 1) {
            let mut changed = scheme.clone();
            changed.rules[at].anchor.remove(number);
            notice(format!("without the anchor {}", time.word()), changed);
        }
        if rule.ends.is_some() {
            let mut changed = scheme.clone();
            changed.rules[at].ends = None;
            notice("without its ends".into(), changed);
        }
        for (number, phase) in rule.phases.iter().enumerate() {
            let mut change = |what: &str, change: fn(&mut Phase)| {
                let mut changed = scheme.clone();
                change(&mut changed.rules[at].phases[number]);
                if changed.rules[at].phases[number] != *phase {
                    notice(format!("phase {} {what}", number + 1), changed);
                }
            };
            change("a day longer", |p| p.days = p.days.map(|days| days + 1));
            if phase.release.negative_tests_on.is_empty() {
                // A test due on the last day makes a shorter term the same.
                change("a day shorter", |p| p.days = p.days.map(|days| days.saturating_sub(1)));
            }
            change("a day longer", |p| p.hours = p.hours.map(|hours| hours + 24));
            change("without check-ins", |p| p.release.checkins = 0);
            change("without its last test", |p| {
                p.release.negative_tests_on.pop();
            });
            change("with one gap more", |p| p.release.gaps += u32::from(p.release.checkins > 0));
            change("with tests close to each other", |p| p.release.hours_between_tests = 0);
            change("without confirmation", |p| p.release.confirmation = false);
        }
    }
    unnoticed
}

/// What the facts of a vector are made of.
enum Made {
    Case(CaseFact),
    Contact(TracedPerson),
    Told(Told),
}

impl Made {
    fn fact(&self) -> Fact<'_> {
        match self {
            Made::Case(case) => Fact::Case(case),
            Made::Contact(contact) => Fact::Contact(contact),
            Made::Told(told) => Fact::Told(told),
        }
    }
}

fn check_one(scheme: &Scheme, rule: &Rule, vector: &Vector) -> std::result::Result<(), String> {
    let mut made = Vec::new();
    for fact in &vector.facts {
        if fact.daily > DAILY_MAX {
            return Err(format!("daily = {} is more than {DAILY_MAX}", fact.daily));
        }
        for day in 0..fact.daily {
            made.push(make(fact, day, scheme)?);
        }
    }
    if !scheme.severity.contains(&vector.color) {
        return Err(pack::no_color(&vector.color, &scheme.severity));
    }
    let named = vector.by.iter().chain(vector.reasons.iter().flatten());
    if let Some(id) = named.into_iter().find(|id| scheme.rule(id).is_none()) {
        return Err(pack::no_rule(id, &scheme.rules));
    }
    let days = [Some(&vector.date), vector.until.as_ref(), vector.earliest.as_ref()];
    if let Some(text) = days.into_iter().flatten().find(|text| parse_date(text).is_err()) {
        return Err(format!("{text:?} is no date such as 2022-03-01"));
    }
    let facts: Vec<(u32, Fact<'_>)> = made.iter().map(|made| (0, made.fact())).collect();
    let date = parse_date(&vector.date).expect("just checked");
    let colored = super::assign(&facts, scheme, date);
    let reason = colored.first().map(|colored| &colored.reasons[0]);
    let day = |day: Option<Date>| day.map_or("open".to_string(), |day| day.to_string());
    let given = |day: &Option<String>| day.clone().unwrap_or("open".into());
    let (mut expected, mut found) = (vector.color.clone(), scheme.healthy().to_string());
    if vector.color != scheme.healthy() {
        let by = vector.by.as_ref().unwrap_or(&rule.id);
        expected = format!("{} until {} by {by}", vector.color, given(&vector.until));
    }
    if let Some(reason) = reason {
        let (color, by) = (&scheme.severity[reason.rank], &scheme.rules[reason.rule].id);
        found = format!("{color} until {} by {by}", day(reason.effect.until));
    }
    if vector.earliest.is_some() {
        expected.push_str(&format!(", over on {} at the earliest", given(&vector.earliest)));
        let earliest = reason.and_then(|reason| reason.effect.earliest);
        found.push_str(&format!(", over on {} at the earliest", day(earliest)));
    }
    if let Some(reasons) = &vector.reasons {
        expected.push_str(&format!(", for {}", reasons.join(", ")));
        let all = colored.first().map_or(&[][..], |colored| &colored.reasons);
        let ids: Vec<&str> = all.iter().map(|reason| scheme.rules[reason.rule].id.as_str()).collect();
        found.push_str(&format!(", for {}", ids.join(", ")));
    }
    if found == expected { Ok(()) } else { Err(format!("expected {expected}, found {found}")) }
}

/// The same time of day so many civil days later.
fn days_later(seconds: i64, days: u32, scheme: &Scheme) -> Option<Second> {
    let at = Timestamp::from_second(seconds).ok()?;
    let later = match days {
        0 => at,
        _ => {
            let local = at.to_zoned(scheme.time_zone.clone());
            local.checked_add(Span::new().days(i64::from(days))).ok()?.timestamp()
        }
    };
    Second::try_from(later.as_second()).ok()
}

/// A fact of a vector, so many days later than it says.
fn make(fact: &VectorFact, days: u32, scheme: &Scheme) -> std::result::Result<Made, String> {
    let mut times: BTreeMap<Instant, Second> = BTreeMap::new();
    let mut named: BTreeMap<&str, &Value> = BTreeMap::new();
    for (name, value) in &fact.cells {
        let Some(time) = fact.fact.times().iter().find(|time| time.word() == *name) else {
            named.insert(name, value);
            continue;
        };
        let text = if let Value::Word(text) = value { text.as_str() } else { "" };
        let at = match parse_instant(text, Some(&scheme.time_zone)) {
            Reading::At(seconds) => days_later(seconds, days, scheme),
            _ => None,
        };
        let at = at.ok_or_else(|| format!("{name}: {value} is no time such as 2022-03-01 10:00"))?;
        times.insert(*time, at);
    }
    let columns = fact.fact.columns();
    if let Some(column) = named.keys().find(|column| columns.iter().all(|(name, _)| name != *column)) {
        let times = fact.fact.times().iter().map(|time| time.word());
        let near = pack::meant(column, columns.iter().map(|(name, _)| *name).chain(times));
        return Err(format!("a {} has no column or time {column:?}{near}", fact.fact.word()));
    }
    let mut cells = Vec::new();
    for (name, holds) in columns {
        let value = named.get(name);
        let cell = value
            .map(|value| value.cell(*holds).ok_or_else(|| pack::misfit(name, value, *holds)))
            .transpose()?;
        cells.push(cell.map(|cell| match (cell, holds) {
            (Cell::Number(number), _) => ToldCell::Number(number),
            (Cell::Word(word), Holds::Words(words)) => {
                ToldCell::Word(words.iter().find(|known| **known == word).expect("checked as a cell"))
            }
            (Cell::Word(word), _) => ToldCell::Text(word.into()),
        }));
    }
    match fact.fact {
        FactKind::Case => {
            let status = match cells[0] {
                Some(ToldCell::Word("suspected")) => Status::Suspected,
                Some(ToldCell::Word("asymptomatic")) => Status::Asymptomatic,
                _ => Status::Confirmed,
            };
            Ok(Made::Case(case(status, &times)))
        }
        FactKind::Contact => {
            let ring = if let Some(ToldCell::Number(ring)) = cells[0] { ring } else { 1 };
            let ring = u8::try_from(ring).map_err(|_| format!("{ring} is no ring"))?;
            let time = |time| times.get(&time).copied();
            let (first, last) = match (time(Instant::FirstExposedAt), time(Instant::LastExposedAt)) {
                (None, None) => return Err("a contact needs last_exposed_at".into()),
                (Some(first), None) => (first, first.saturating_add(EXPOSED_S)),
                (None, Some(last)) => (last.saturating_sub(EXPOSED_S), last),
                (Some(first), Some(last)) if last < first => {
                    return Err("first_exposed_at lies after last_exposed_at".into());
                }
                (Some(first), Some(last)) => (first, last),
            };
            Ok(Made::Contact(contact_between(ring, first, last)))
        }
        kind => {
            let at = times.get(&kind.times()[0]).copied().ok_or(format!("a {} needs a time", kind.word()))?;
            let until = times.get(&Instant::Until).copied();
            let row = InputRow { file: "facts.csv".into(), row: 1 };
            let basis = Basis::Row(row);
            let mut cells = cells.into_iter();
            let cells = std::array::from_fn(|_| cells.next().flatten());
            Ok(Made::Told(Told { kind, at, until, known_at: at, cells, place: None, basis }))
        }
    }
}

/// A case with these times.
pub fn case(status: Status, times: &BTreeMap<Instant, Second>) -> CaseFact {
    let time = |i| times.get(&i).copied();
    let case = CaseRow {
        person: 0,
        status,
        onset_at: time(Instant::OnsetAt),
        sampled_at: time(Instant::SampledAt),
        isolated_at: time(Instant::IsolatedAt),
        infectious_from: time(Instant::InfectiousFrom),
        infectious_until: None,
        recovered_at: time(Instant::RecoveredAt),
        reported_at: time(Instant::ReportedAt),
        lab_ref: None,
        reported_by: None,
    };
    CaseFact { case, file: "cases.csv".into(), row: 1 }
}

/// A contact whose only exposure, of a quarter of an hour, ended then.
pub fn contact(ring: u8, last_exposed_at: Second) -> TracedPerson {
    contact_between(ring, last_exposed_at.saturating_sub(EXPOSED_S), last_exposed_at)
}

/// A contact whose first exposure began and whose last one ended then.
pub fn contact_between(ring: u8, first_exposed_at: Second, last_exposed_at: Second) -> TracedPerson {
    let from = last_exposed_at.saturating_sub(EXPOSED_S);
    let best = Best { from, overlap_s: EXPOSED_S, source: 0, venue: 0, observed_s: 0 };
    let exposed = Exposed {
        first_exposed_at,
        last_exposed_at,
        overlap_s: EXPOSED_S.into(),
        observed_overlap_s: 0,
        exposures: 1,
        best,
    };
    TracedPerson { person: 0, ring, exposed, best_source: SourceRef::Person(1), sources: None, after: None }
}
