//! What comes next: who changes color when if nothing else becomes known, who waits for something overdue, which appeals
//! wait for a decision.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use arrow::array::{Int64Array, RecordBatch, UInt64Array};
use jiff::civil::Date;
use rayon::prelude::*;

use crate::colors::{self, Ahead, Colored, PersonFacts, Scheme};
use crate::error::Result;
use crate::facts::kind::{Cell, FactKind, Told, ToldCell};
use crate::facts::{Fact, Facts};
use crate::ids::IdColumn;
use crate::outputs::register::{Register, dates};
use crate::outputs::tables::{NO_REGION, table, texts};
use crate::time::{self, Second};

/// Days that a calendar looks ahead.
pub const DAYS_AHEAD: i64 = 14;

/// `calendar.parquet`: every change of color in the 14 days after `date`, if nothing else becomes known; sorted by date, then
/// `person_id`.
///
/// `date, person_id, color_before, color_after, rule_id, region_id`: the rule is the one that then decides, or for a
/// person who becomes healthy the one that ends. `all` are the facts of `facts` that rules see, by person.
///
/// # Errors
/// Those of reading the ids.
pub fn calendar(
    register: &Register<'_>,
    facts: &Facts,
    all: &[(u32, Fact<'_>)],
    scheme: &Scheme,
    date: Date,
) -> Result<RecordBatch> {
    let changes_of = |(row, today): (usize, &Colored<'_>)| {
        let first = all.partition_point(|(person, _)| *person < today.person);
        let end = first + all[first..].partition_point(|(person, _)| *person == today.person);
        let own = PersonFacts::new(&all[first..end], scheme);
        let ahead = colors::ahead(&own, today, scheme, date, DAYS_AHEAD);
        ahead.into_iter().map(move |ahead| (row, ahead)).collect::<Vec<_>>()
    };
    let colored = register.rows.par_iter().enumerate().flat_map_iter(changes_of);
    let mut changes: Vec<(usize, Ahead)> = colored.collect();
    // Whoever is healthy today, but of whom something is known that is still to come, such as a discharge, or who may be so
    // only for a while.
    let known: HashSet<u32> = register.rows.iter().map(|row| row.person).collect();
    let persons: Vec<&[(u32, Fact<'_>)]> = all.chunk_by(|a, b| a.0 == b.0).collect();
    let healthy_changes = |own: &&[(u32, Fact<'_>)]| {
        let person = own[0].0;
        let own = PersonFacts::new(own, scheme);
        if known.contains(&person) || !(scheme.pauses() || own.knows_after(scheme, date)) {
            return None;
        }
        let today = Colored { person, reasons: Vec::new(), ruled_out: Vec::new() };
        let ahead = colors::ahead(&own, &today, scheme, date, DAYS_AHEAD);
        (!ahead.is_empty()).then_some((person, ahead))
    };
    let healthy: Vec<(u32, Vec<Ahead>)> = persons.par_iter().filter_map(healthy_changes).collect();
    let more = facts.persons.ids(&healthy.iter().map(|(person, _)| *person).collect::<Vec<_>>())?;
    let mut ids = IdColumn::new(register.ids.kind());
    let colored = (0..register.rows.len()).map(|row| register.ids.get(row));
    colored.chain((0..more.len()).map(|row| more.get(row))).for_each(|id| ids.push(id));
    let mut regions: Vec<&str> = register.regions.iter().map(String::as_str).collect();
    for (row, (person, ahead)) in healthy.iter().enumerate() {
        regions.push(facts.residences.of(*person).unwrap_or(NO_REGION));
        changes.extend(ahead.iter().map(|ahead| (register.rows.len() + row, *ahead)));
    }
    changes.sort_by(|(a, a_ahead), (b, b_ahead)| {
        a_ahead.day.cmp(&b_ahead.day).then_with(|| ids.get(*a).cmp(&ids.get(*b)))
    });
    let color = |decided: Option<(usize, usize)>| {
        Some(decided.map_or(scheme.healthy(), |(rank, _)| scheme.severity[rank].as_str()))
    };
    let rule = |ahead: &Ahead| {
        let (_, rule) = ahead.after.or(ahead.before).expect("a change has a side");
        Some(scheme.rules[rule].id.as_str())
    };
    Ok(table(vec![
        ("date", dates(changes.iter().map(|(_, ahead)| Some(ahead.day)))),
        ("person_id", ids.to_arrow(changes.iter().map(|(row, _)| *row as u32))),
        ("color_before", texts(changes.iter().map(|(_, ahead)| color(ahead.before)))),
        ("color_after", texts(changes.iter().map(|(_, ahead)| color(ahead.after)))),
        ("rule_id", texts(changes.iter().map(|(_, ahead)| rule(ahead)))),
        ("region_id", texts(changes.iter().map(|(row, _)| Some(regions[*row])))),
    ]))
}

/// `overdue.parquet`: everyone whose term is over but for whom a condition of release is not met, sorted by `person_id`.
///
/// `person_id, color, rule_id, since, missing, color_without, earliest_free, region_id`; `color_without` is the color that the
/// person would have by now if nothing were missing ([`Colored::color_if_met`]), not what would remain without the reason.
pub fn overdue(register: &Register<'_>, scheme: &Scheme) -> RecordBatch {
    let waits = |row: &Colored<'_>| row.reasons[0].effect.missing.is_overdue();
    let rows: Vec<usize> = (0..register.rows.len()).filter(|row| waits(&register.rows[*row])).collect();
    let first = || rows.iter().map(|row| &register.rows[*row].reasons[0]);
    table(vec![
        ("person_id", register.ids.to_arrow(rows.iter().map(|row| *row as u32))),
        ("color", texts(first().map(|reason| Some(&scheme.severity[reason.rank])))),
        ("rule_id", texts(first().map(|reason| Some(&scheme.rules[reason.rule].id)))),
        ("since", dates(first().map(|reason| Some(reason.effect.since)))),
        ("missing", texts(first().map(|reason| Some(reason.effect.missing.words())))),
        ("color_without", texts(rows.iter().map(|row| Some(register.rows[*row].color_if_met(scheme))))),
        ("earliest_free", dates(rows.iter().map(|row| register.rows[*row].earliest_free()))),
        ("region_id", texts(rows.iter().map(|row| Some(&register.regions[*row])))),
    ])
}

/// `appeals.parquet`: appeals without a decision, the oldest first, then by `person_id`.
///
/// `filed_on, age_days, person_id, rule_id, input_file, input_row`; `age_days` civil days up to `date`.
///
/// # Errors
/// Those of reading the ids.
pub fn open_appeals(facts: &Facts, scheme: &Scheme, date: Date) -> Result<RecordBatch> {
    let appeals: Vec<(u32, &Told)> = facts
        .told
        .iter()
        .filter(|(_, told)| told.kind == FactKind::Appeal)
        .map(|(person, told)| (*person, told))
        .collect();
    let is_open = |told: &Told| Fact::Told(told).cell("decision") == Some(Cell::Word("open"));
    let mut decided: HashMap<(u32, Cell<'_>), Second> = HashMap::new();
    for (person, told) in appeals.iter().copied().filter(|(_, told)| !is_open(told)) {
        let Some(Some(ToldCell::Text(rule))) = told.cells.get(1) else { continue };
        let last = decided.entry((person, Cell::Word(rule))).or_default();
        *last = told.at.max(*last);
    }
    let waits = |(person, told): &(u32, &Told)| {
        let Some(Some(ToldCell::Text(rule))) = told.cells.get(1) else { return false };
        is_open(told) && decided.get(&(*person, Cell::Word(rule))).is_none_or(|at| *at < told.at)
    };
    let mut open: Vec<(u32, &Told)> = appeals.iter().copied().filter(waits).collect();
    let ids = facts.persons.ids(&open.iter().map(|(person, _)| *person).collect::<Vec<_>>())?;
    let mut order: Vec<u32> = (0..open.len() as u32).collect();
    order.sort_by(|a, b| {
        let filed = |at: &u32| open[*at as usize].1.at;
        filed(a).cmp(&filed(b)).then_with(|| ids.get(*a as usize).cmp(&ids.get(*b as usize)))
    });
    let ids = ids.take(&order);
    open = order.iter().map(|at| open[*at as usize]).collect();
    let filed = |told: &Told| time::local_date(told.at, &scheme.time_zone);
    let age = open.iter().map(|(_, told)| i64::from((date - filed(told)).get_days()));
    Ok(table(vec![
        ("filed_on", dates(open.iter().map(|(_, told)| Some(filed(told))))),
        ("age_days", Arc::new(Int64Array::from_iter_values(age))),
        ("person_id", ids.to_arrow(0..open.len() as u32)),
        (
            "rule_id",
            texts(open.iter().map(|(_, told)| match &told.cells[1] {
                Some(ToldCell::Text(rule)) => Some(rule),
                _ => None,
            })),
        ),
        ("input_file", texts(open.iter().map(|(_, told)| told.row().map(|row| &*row.file)))),
        (
            "input_row",
            Arc::new(UInt64Array::from_iter_values(
                open.iter().map(|(_, told)| told.row().map_or(0, |row| row.row)),
            )),
        ),
    ]))
}
