//! The register: everyone who is not green, why, since when, until when; and the evidence for every reason.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, Date32Array, Int64Array, RecordBatch, StringArray, UInt8Array, UInt64Array,
};
use arrow::datatypes::{Int64Type, UInt8Type};
use jiff::civil::Date;

use crate::colors::changes::{self, Entry};
use crate::colors::{Colored, Reason, Scheme};
use crate::error::{Error, Result};
use crate::facts::kind::FactKind;
use crate::facts::{Fact, Facts};
use crate::ids::{Id, IdColumn, IdType, convert};
use crate::outputs::read::id_at;
use crate::outputs::record::RuleCount;
use crate::outputs::tables::{NO_REGION, Names, instants_or_null, table, texts};
use crate::rings::SourceRef;
use crate::store::Venues;

/// Tonight's register, ready to be written.
pub struct Register<'a> {
    /// Everyone colored, in the order of their ids.
    pub rows: Vec<Colored<'a>>,
    /// Id of each row's person.
    pub ids: IdColumn,
    /// Region of each row's person.
    pub regions: Vec<String>,
    /// What each region is of: `residence`, `venue`, or nothing where it is unknown.
    pub region_by: Vec<Option<&'static str>>,
}

impl<'a> Register<'a> {
    /// Puts the colored in the order of their ids and finds their regions: the residence; without one, the region of
    /// the venue where the first reason arose.
    ///
    /// # Errors
    /// Those of reading the ids.
    pub fn new(colored: Vec<Colored<'a>>, facts: &Facts, venues: &Venues) -> Result<Register<'a>> {
        let ids = facts.persons.ids(&colored.iter().map(|row| row.person).collect::<Vec<_>>())?;
        let order = ids.sorted_rows();
        let mut unsorted: Vec<Option<Colored<'a>>> = colored.into_iter().map(Some).collect();
        let colored: Vec<Colored<'a>> =
            order.iter().map(|row| unsorted[*row as usize].take().expect("each row once")).collect();
        let region = |row: &Colored<'_>| {
            let of_venue = || match &row.reasons[0].fact {
                Fact::Contact(contact) => {
                    venues.facts[contact.exposed.best.venue as usize].region_id.as_deref()
                }
                Fact::Told(told) => venues.facts[told.visit()?.0 as usize].region_id.as_deref(),
                Fact::Case(_) => None,
            };
            let home = facts.residences.of(row.person).map(|home| (home, Some("residence")));
            let found = home.or_else(|| of_venue().map(|region| (region, Some("venue"))));
            let (region, by) = found.unwrap_or((NO_REGION, None));
            (region.to_string(), by)
        };
        let (regions, region_by) = colored.iter().map(region).unzip();
        Ok(Register { rows: colored, ids: ids.take(&order), regions, region_by })
    }

    /// `colors.parquet`, sorted by `person_id`.
    ///
    /// `person_id, color, rule_id, reasons, since, until, next_due, region_id, region_by, color_without, earliest_free, missing,
    /// lifted_by_en, lifted_by_zh, basis_en, basis_zh`: `until` is the first day without the color, null while it is
    /// open-ended or waits for a condition; `color_without` is the color that would remain if the first reason fell;
    /// `earliest_free` the first day on which the person can be healthy; `missing` what the first reason waits for.
    pub fn table(&self, scheme: &Scheme) -> RecordBatch {
        let first = || self.rows.iter().map(|row| &row.reasons[0]);
        let rule = |reason: &Reason<'_>| &scheme.rules[reason.rule];
        let without = self.rows.iter().map(|row| color_without(row, scheme));
        table(vec![
            ("person_id", self.ids.to_arrow(0..self.rows.len() as u32)),
            ("color", texts(first().map(|r| Some(&scheme.severity[r.rank])))),
            ("rule_id", texts(first().map(|r| Some(&rule(r).id)))),
            ("reasons", texts(self.rows.iter().map(|row| Some(rule_ids(row, scheme))))),
            ("since", dates(first().map(|r| Some(r.effect.since)))),
            ("until", dates(first().map(|r| r.effect.until))),
            ("next_due", dates(first().map(|r| r.effect.next_due))),
            ("region_id", texts(self.regions.iter().map(Some))),
            ("region_by", texts(self.region_by.iter().copied())),
            ("color_without", texts(without.map(Some))),
            ("earliest_free", dates(self.rows.iter().map(Colored::earliest_free))),
            ("missing", texts(first().map(|r| Some(r.effect.missing.words())))),
            ("lifted_by_en", texts(first().map(|r| rule(r).lifted_by.as_ref().map(|by| &by.en)))),
            ("lifted_by_zh", texts(first().map(|r| rule(r).lifted_by.as_ref().map(|by| &by.zh)))),
            ("basis_en", texts(first().map(|r| Some(&rule(r).basis.en)))),
            ("basis_zh", texts(first().map(|r| Some(&rule(r).basis.zh)))),
        ])
    }

    /// How many persons each rule of the scheme colors, also if none.
    pub fn rules(&self, scheme: &Scheme) -> BTreeMap<String, RuleCount> {
        let mut counts = vec![RuleCount::default(); scheme.rules.len()];
        for row in &self.rows {
            counts[row.reasons[0].rule].decides += 1;
            let rules: BTreeSet<usize> = row.reasons.iter().map(|reason| reason.rule).collect();
            rules.into_iter().for_each(|rule| counts[rule].persons += 1);
        }
        scheme.rules.iter().map(|rule| rule.id.clone()).zip(counts).collect()
    }

    /// `evidence.parquet`: a row for every reason of every row of the register, in its order.
    ///
    /// A contact's evidence is its best exposure; a stay's in a region the visit or the row of the trip; a temperature's the
    /// scan or the row; of anything else the row of the input that says so. `place_file, place_row` say what the region or
    /// community was; `support_fact, support_at, support_file, support_row` the health fact that an order rests on.
    ///
    /// # Errors
    /// Those of reading the ids.
    pub fn evidence(&self, scheme: &Scheme, facts: &Facts, names: Names<'_>) -> Result<RecordBatch> {
        let rows: Vec<(u32, &Reason<'_>)> = (0..)
            .zip(&self.rows)
            .flat_map(|(at, row)| row.reasons.iter().map(move |reason| (at, reason)))
            .collect();
        let edge = |reason: &Reason<'a>| match reason.fact {
            Fact::Contact(contact) => Some(contact.best_edge()),
            Fact::Case(_) | Fact::Told(_) => None,
        };
        let input = |reason: &Reason<'a>| match reason.fact {
            Fact::Case(case) => Some((case.file.as_str(), case.row)),
            Fact::Told(told) => told.row().map(|row| (&*row.file, row.row)),
            Fact::Contact(_) => None,
        };
        // Where and when the person was, by tracing or by a visit to a venue of a region.
        let there = |reason: &Reason<'a>| match reason.fact {
            Fact::Contact(contact) => {
                let best = contact.best_edge().exposure;
                Some((best.venue, best.from, best.until))
            }
            Fact::Told(told) => told.visit(),
            Fact::Case(_) => None,
        };
        let visits = || rows.iter().map(|(_, reason)| there(reason));
        let place = |reason: &Reason<'a>| match reason.fact {
            Fact::Told(told) => told.place.as_ref(),
            Fact::Case(_) | Fact::Contact(_) => None,
        };
        let places = || rows.iter().map(|(_, reason)| place(reason));
        let edges = || rows.iter().map(|(_, reason)| edge(reason));
        let source_kind = |source| if matches!(source, SourceRef::Person(_)) { "person" } else { "window" };
        let some: Vec<SourceRef> = edges().flatten().map(|e| e.source).collect();
        let mut ids = names.sources_as_text(&some)?.into_iter();
        let sources = texts(edges().map(|e| e.and_then(|_| ids.next())));
        let venue = |key: u32| names.venues.ids().get(key as usize).to_string();
        let support = |reason: &Reason<'a>| match reason.fact {
            Fact::Told(told) if told.kind == FactKind::Order => facts.supports.get(told.row()?),
            _ => None,
        };
        let supports = || rows.iter().map(|(_, reason)| support(reason));
        let support_row = || supports().map(|support| support?.row.as_ref());
        let rings: UInt8Array = edges().map(|e| e.map(|e| e.ring)).collect();
        let overlaps: Int64Array =
            edges().map(|e| e.map(|e| i64::from(e.exposure.until - e.exposure.from))).collect();
        let input_rows: UInt64Array = rows.iter().map(|(_, r)| input(r).map(|(_, row)| row)).collect();
        Ok(table(vec![
            ("person_id", self.ids.to_arrow(rows.iter().map(|(at, _)| *at))),
            ("rule_id", texts(rows.iter().map(|(_, r)| Some(&scheme.rules[r.rule].id)))),
            ("color", texts(rows.iter().map(|(_, r)| Some(&scheme.severity[r.rank])))),
            ("fact", texts(rows.iter().map(|(_, r)| Some(r.fact.kind().word())))),
            ("ring", Arc::new(rings)),
            ("source_id", sources),
            ("source_kind", texts(edges().map(|e| e.map(|e| source_kind(e.source))))),
            ("venue_id", texts(visits().map(|visit| visit.map(|(key, ..)| venue(key))))),
            ("from", instants_or_null(visits().map(|visit| visit.map(|(_, from, _)| from)))),
            ("until", instants_or_null(visits().map(|visit| visit.map(|(.., until)| until)))),
            ("overlap_s", Arc::new(overlaps)),
            ("input_file", texts(rows.iter().map(|(_, r)| input(r).map(|(file, _)| file)))),
            ("input_row", Arc::new(input_rows)),
            ("place_file", texts(places().map(|place| place.map(|row| &*row.file)))),
            ("place_row", Arc::new(places().map(|place| place.map(|row| row.row)).collect::<UInt64Array>())),
            ("support_fact", texts(supports().map(|support| support.map(|support| support.kind.word())))),
            ("support_at", instants_or_null(supports().map(|support| support.map(|support| support.from)))),
            ("support_file", texts(support_row().map(|row| row.map(|row| &*row.file)))),
            (
                "support_row",
                Arc::new(support_row().map(|row| row.map(|row| row.row)).collect::<UInt64Array>()),
            ),
            ("holds_since", dates(rows.iter().map(|(_, r)| Some(r.effect.since)))),
            ("holds_until", dates(rows.iter().map(|(_, r)| r.effect.until))),
        ]))
    }
}

fn rule_ids(row: &Colored<'_>, scheme: &Scheme) -> String {
    let mut ids: Vec<&str> = row.reasons.iter().map(|r| scheme.rules[r.rule].id.as_str()).collect();
    ids.dedup();
    ids.join("; ")
}

pub(super) fn color_without<'s>(row: &Colored<'_>, scheme: &'s Scheme) -> &'s str {
    let shown = row.reasons.get(1);
    // What the first color ruled out is there again without it.
    let again = row.ruled_out.first().filter(|_| shown.is_none_or(|next| next.rank != row.reasons[0].rank));
    let next = shown.into_iter().chain(again).map(|reason| reason.rank).min();
    next.map_or(scheme.healthy(), |rank| &scheme.severity[rank])
}

/// Civil dates as a column.
pub fn dates(cells: impl Iterator<Item = Option<Date>>) -> ArrayRef {
    let epoch = Date::constant(1970, 1, 1);
    let days = |date: Date| (date - epoch).get_days();
    Arc::new(cells.map(|date| date.map(days)).collect::<Date32Array>())
}

/// A register as it was published, for comparing with tonight's.
pub struct Published {
    ids: IdColumn,
    colors: Vec<String>,
    regions: Vec<String>,
    since: Vec<Date>,
    /// The scheme its colors are of.
    pub scheme: String,
}

/// A row of a published register.
pub struct PublishedRow<'a> {
    /// The person.
    pub id: Id<'a>,
    /// The color.
    pub color: &'a str,
    /// The region whose office had the person on its list.
    pub region: &'a str,
    /// The first day of the color.
    pub since: Date,
}

impl Published {
    /// The register of no one.
    pub fn empty(kind: IdType) -> Published {
        Published {
            ids: IdColumn::new(kind),
            colors: Vec::new(),
            regions: Vec::new(),
            since: Vec::new(),
            scheme: String::new(),
        }
    }

    /// The rows of a register, with ids as `kind`, sorted by id.
    ///
    /// # Errors
    /// `integrity` if an id has no counterpart of that type.
    pub fn new(rows: &[PublishedRow<'_>], kind: IdType, scheme: &str, name: &str) -> Result<Published> {
        let mut ids = IdColumn::new(kind);
        let mut buffer = String::new();
        for row in rows {
            let id = convert(row.id, kind, &mut buffer).ok_or_else(|| {
                Error::integrity(
                    format!("{name}: its person ids are not {} ids as tonight's are", kind.name()),
                    "publish into another runs folder when the kind of ids changes",
                )
            })?;
            ids.push(id);
        }
        let order = ids.sorted_rows();
        let mut sorted = IdColumn::new(kind);
        order.iter().for_each(|row| sorted.push(ids.get(*row as usize)));
        let text = |cell: fn(&PublishedRow<'_>) -> String| {
            order.iter().map(|row| cell(&rows[*row as usize])).collect()
        };
        let since = order.iter().map(|row| rows[*row as usize].since).collect();
        Ok(Published {
            ids: sorted,
            colors: text(|r| r.color.into()),
            regions: text(|r| r.region.into()),
            since,
            scheme: scheme.into(),
        })
    }
}

impl Published {
    /// Id, color and its first day, by id.
    pub fn rows(&self) -> impl Iterator<Item = (Id<'_>, &str, Date)> {
        (0..self.ids.len()).map(|row| (self.ids.get(row), self.colors[row].as_str(), self.since[row]))
    }
}

/// `changes.parquet`: everyone whose color differs from the register before, sorted by `person_id`.
///
/// `person_id, color_before, color_after, rule_id, reasons, since, until, next_due, region_id`; a person who is green
/// again has no rule, and the region of the list they were on.
pub fn changes(register: &Register<'_>, before: &Published, scheme: &Scheme) -> RecordBatch {
    let before_rows: Vec<Entry<'_, Id<'_>>> = before
        .colors
        .iter()
        .enumerate()
        .map(|(at, color)| Entry { person: before.ids.get(at), color })
        .collect();
    let color = |row: &Colored<'_>| &*scheme.severity[row.reasons[0].rank];
    let after_rows: Vec<Entry<'_, Id<'_>>> = register
        .rows
        .iter()
        .enumerate()
        .map(|(at, row)| Entry { person: register.ids.get(at), color: color(row) })
        .collect();
    let found = changes::between(&before_rows, &after_rows);

    let mut persons = IdColumn::new(register.ids.kind());
    for change in &found {
        persons.push(match (change.before, change.after) {
            (Some(at), _) => before_rows[at].person,
            (None, Some(at)) => after_rows[at].person,
            (None, None) => unreachable!("a change has a side"),
        });
    }
    let reason = |at: Option<usize>| at.map(|at| &register.rows[at].reasons[0]);
    let after = || found.iter().map(|c| reason(c.after));
    let region = |c: &changes::Change| match (c.after, c.before) {
        (Some(at), _) => &register.regions[at],
        (None, at) => &before.regions[at.expect("a change has a side")],
    };
    let healthy = scheme.healthy();
    table(vec![
        ("person_id", persons.to_arrow(0..persons.len() as u32)),
        (
            "color_before",
            texts(found.iter().map(|c| Some(c.before.map_or(healthy, |at| before_rows[at].color)))),
        ),
        (
            "color_after",
            texts(found.iter().map(|c| Some(c.after.map_or(healthy, |at| after_rows[at].color)))),
        ),
        ("rule_id", texts(after().map(|r| r.map(|r| &scheme.rules[r.rule].id)))),
        ("reasons", texts(found.iter().map(|c| c.after.map(|at| rule_ids(&register.rows[at], scheme))))),
        ("since", dates(after().map(|r| r.map(|r| r.effect.since)))),
        ("until", dates(after().map(|r| r.and_then(|r| r.effect.until)))),
        ("next_due", dates(after().map(|r| r.and_then(|r| r.effect.next_due)))),
        ("region_id", texts(found.iter().map(|c| Some(region(c))))),
    ])
}

/// Refuses a register with a row that no evidence supports: a case without a row of the input, a contact without an
/// exposure, a close contact whose source is none of the night's `sources`, an order without a health fact.
///
/// # Errors
/// `integrity` with the number of such rows; never with a person.
pub fn check_evidence(register: &RecordBatch, evidence: &RecordBatch, sources: &RecordBatch) -> Result<()> {
    let text = |table: &'_ RecordBatch, name: &str| -> StringArray {
        table.column_by_name(name).expect("a column of ours").as_string().clone()
    };
    let column = |name: &str| evidence.column_by_name(name).expect("a column of ours").clone();
    let (kinds, ids) = (text(sources, "source_kind"), text(sources, "source_id"));
    let known: HashSet<(&str, &str)> = kinds.iter().flatten().zip(ids.iter().flatten()).collect();
    let [fact, source_kind, source_id] =
        ["fact", "source_kind", "source_id"].map(|name| text(evidence, name));
    let [venue, from, until] = ["venue_id", "from", "until"].map(column);
    let overlap = column("overlap_s");
    let (overlap, ring) = (overlap.as_primitive::<Int64Type>(), column("ring"));
    let ring = ring.as_primitive::<UInt8Type>();
    let (file, number) = (column("input_file"), column("input_row"));
    let support = column("support_fact");
    let supported = |row: usize| {
        let there = [&venue, &from, &until].iter().all(|column| column.is_valid(row));
        match fact.is_valid(row).then(|| fact.value(row)) {
            Some("contact") => {
                let met = source_id.is_valid(row) && overlap.is_valid(row) && overlap.value(row) > 0;
                let close = ring.is_valid(row) && ring.value(row) == 1;
                let source = (source_kind.value(row), source_id.value(row));
                there && met && (!close || known.contains(&source))
            }
            Some("order") => file.is_valid(row) && number.is_valid(row) && support.is_valid(row),
            Some(_) => (file.is_valid(row) && number.is_valid(row)) || there,
            None => false,
        }
    };
    // Both are in the order of persons.
    let (persons, of) = (register.column(0), evidence.column(0));
    let [rule, color] = ["rule_id", "color"].map(|name| text(register, name));
    let [rule_of, color_of] = ["rule_id", "color"].map(|name| text(evidence, name));
    let (mut without, mut at) = (0, 0);
    for row in 0..register.num_rows() {
        let mut proven = false;
        while at < evidence.num_rows() && id_at(of, at) == id_at(persons, row) {
            proven |= supported(at)
                && (rule_of.value(at), color_of.value(at)) == (rule.value(row), color.value(row));
            at += 1;
        }
        without += usize::from(!proven);
    }
    if without == 0 && at == evidence.num_rows() {
        return Ok(());
    }
    Err(Error::integrity(
        format!("{without} of {} rows of the register have no evidence", register.num_rows()),
        "this is a defect in ringtrace; nothing was published",
    ))
}
