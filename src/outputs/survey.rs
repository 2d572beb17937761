//! What a night looked at: where cases were, who infected whom, how many people scanned, what was read.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, UInt32Array};
use jiff::civil::Date;

use crate::backward::links::{self, CaseLink};
use crate::backward::shared::{Question, Shared, SharedPlaces, shared};
use crate::backward::{CasePerson, case_persons};
use crate::colors::Scheme;
use crate::config::ContactConfig;
use crate::contacts::ContactRule;
use crate::error::Result;
use crate::facts::Facts;
use crate::ids::IdColumn;
use crate::outputs::record::RuleCount;
use crate::outputs::tables::{NO_REGION, Names, instants, table, texts};
use crate::records::rejects::FileBalance;
use crate::records::venues::VenueFacts;
use crate::rings::Traced;
use crate::store::{Venues, VisitSource};
use crate::time::{self, Second};

/// Days up to the night whose visits are counted, by the local calendar.
pub const SURVEY_DAYS: i64 = 14;

/// What is found in one pass over the visits of the last days, and between cases.
pub struct Survey {
    /// Cases, in the order of their ids.
    pub cases: Vec<CasePerson>,
    /// Links between them.
    pub links: Vec<CaseLink>,
    /// The venues cases were at, and how busy it was.
    pub places: SharedPlaces,
}

impl Survey {
    /// Makes it.
    ///
    /// # Errors
    /// Those of reading the visits.
    pub fn new(
        visits: &dyn VisitSource,
        facts: &Facts,
        contacts: &ContactConfig,
        scheme: &Scheme,
        date: Date,
    ) -> Result<Survey> {
        let zone = &scheme.time_zone;
        let first = date.saturating_sub(jiff::Span::new().days(SURVEY_DAYS - 1));
        let period = (time::start_of_day(first, zone), time::end_of_day(date, zone)?);
        let cases = case_persons(facts, contacts);
        let windows: Vec<(u32, (Second, Second))> = cases.iter().map(|case| (case.person, period)).collect();
        let question = Question { cases: &windows, least: 1, by_hour: false, period };
        let places = shared(visits, &question)?;
        let rule = ContactRule::new(contacts, visits.venues());
        let links = links::between(visits, &cases, &rule, zone)?;
        Ok(Survey { cases, links, places })
    }
}

/// Counts as a column.
pub fn whole(cells: impl Iterator<Item = u64>) -> ArrayRef {
    Arc::new(Int64Array::from_iter_values(cells.map(|cell| cell as i64)))
}

/// Tenths as a decimal, such as `1.2`.
pub fn tenths(tenths: i64) -> String {
    format!("{}{}.{}", if tenths < 0 { "-" } else { "" }, tenths.abs() / 10, tenths.abs() % 10)
}

/// Thousandths as a decimal, such as `0.012`.
pub fn thousandths(number: i64) -> String {
    format!("{}{}.{:03}", if number < 0 { "-" } else { "" }, number.abs() / 1_000, number.abs() % 1_000)
}

/// A chance as it is written in tables: two digits that count, such as `1.3e-5`.
pub fn chance(chance: f64) -> String {
    if chance >= 0.1 { format!("{chance:.2}") } else { format!("{chance:.1e}") }
}

/// `venues.parquet` of a run: the venues its exposures, facts and cases name, in the order of their ids.
///
/// `venue_id, category, region_id, name`; and of venues where cases were in the last [`SURVEY_DAYS`] days `cases` (persons),
/// `visits`, `visitors` (different persons), `expected_cases` (as many as chance would bring, a decimal) and `chance` (of as
/// many cases or more, see [`Shared::chance`]), else null.
pub fn venues(traced: &Traced, facts: &Facts, places: &SharedPlaces, venues: &Venues) -> RecordBatch {
    let of: BTreeMap<u32, &Shared> = places.at_venues.iter().map(|shared| (shared.venue, shared)).collect();
    let mut keys: Vec<u32> = traced.edges.iter().map(|e| e.exposure.venue).collect();
    keys.extend(facts.told.iter().filter_map(|(_, told)| Some(told.visit()?.0)));
    keys.extend(of.keys());
    keys.sort_unstable();
    keys.dedup();
    keys.sort_unstable_by_key(|key| venues.ids.ids().get(*key as usize));
    let text = |cell: fn(&VenueFacts) -> &Option<String>| {
        texts(keys.iter().map(|key| cell(&venues.facts[*key as usize]).as_deref()))
    };
    let number = |cell: &dyn Fn(u32, &Shared) -> u64| -> ArrayRef {
        let cells = keys.iter().map(|key| of.get(key).map(|shared| cell(*key, shared) as i64));
        Arc::new(cells.collect::<Int64Array>())
    };
    let word = |cell: &dyn Fn(&Shared) -> String| texts(keys.iter().map(|key| of.get(key).map(|s| cell(s))));
    let visits = |key: u32, _: &Shared| places.traffic.at_venue.get(&key).map_or(0, |(visits, _)| *visits);
    table(vec![
        ("venue_id", venues.ids.ids().to_arrow(keys.iter().copied())),
        ("category", text(|f| &f.category)),
        ("region_id", text(|f| &f.region_id)),
        ("name", text(|f| &f.name)),
        ("cases", number(&|_, shared| shared.cases())),
        ("visits", number(&visits)),
        ("visitors", number(&|_, shared| shared.visitors)),
        ("expected_cases", word(&|shared| thousandths(places.expected_thousandths(shared.visitors)))),
        ("chance", word(&|shared| chance(shared.chance))),
    ])
}

/// `links.parquet`: every case that was exposed to another while that one could infect, by `case_id`, then rank.
///
/// `infector_id, case_id, first_at, last_at, overlap_s, observed_overlap_s, exposures, best_venue_id, incubation_days,
/// serial_days, verdict, rank, generation`: see [`CaseLink`]. `ids` are those of the cases.
pub fn links(links: &[CaseLink], ids: &IdColumn, venues: &Venues) -> RecordBatch {
    let seconds = |cell: fn(&CaseLink) -> u64| whole(links.iter().map(cell));
    let days = |cell: fn(&CaseLink) -> Option<i64>| -> ArrayRef {
        Arc::new(links.iter().map(cell).collect::<Int64Array>())
    };
    table(vec![
        ("infector_id", ids.to_arrow(links.iter().map(|link| link.infector as u32))),
        ("case_id", ids.to_arrow(links.iter().map(|link| link.case as u32))),
        ("first_at", instants(links.iter().map(|link| link.first_at))),
        ("last_at", instants(links.iter().map(|link| link.last_at))),
        ("overlap_s", seconds(|link| link.overlap_s)),
        ("observed_overlap_s", seconds(|link| link.observed_overlap_s)),
        ("exposures", Arc::new(UInt32Array::from_iter_values(links.iter().map(|link| link.exposures)))),
        ("best_venue_id", venues.ids.ids().to_arrow(links.iter().map(|link| link.venue))),
        ("incubation_days", days(|link| link.incubation_days)),
        ("serial_days", days(|link| link.serial_days)),
        ("verdict", texts(links.iter().map(|link| Some(link.verdict.word())))),
        ("rank", Arc::new(UInt32Array::from_iter_values(links.iter().map(|link| link.rank)))),
        ("generation", Arc::new(links.iter().map(|link| link.generation).collect::<UInt32Array>())),
    ])
}

/// `districts.parquet`: the regions people live in, by id.
///
/// `region_id, residents, with_visits`: `with_visits` are the residents who were anywhere in the last [`SURVEY_DAYS`] days.
/// Whoever was, without a known residence, is in the row `unknown`.
pub fn districts(facts: &Facts, places: &SharedPlaces) -> RecordBatch {
    let residents = facts.residences.counts();
    let seen = facts.residences.counts_of(|person| places.traffic.has(person));
    let known: u64 = seen.values().sum();
    let row = |(region, residents): (&String, &u64)| {
        (region.clone(), *residents, seen.get(region.as_str()).copied().unwrap_or(0))
    };
    let mut rows: Vec<(String, u64, u64)> = residents.iter().map(row).collect();
    let strangers = places.persons - known;
    if strangers > 0 {
        match rows.iter_mut().find(|(region, ..)| region == NO_REGION) {
            Some((_, residents, seen)) => (*residents, *seen) = (*residents + strangers, *seen + strangers),
            None => rows.push((NO_REGION.into(), strangers, strangers)),
        }
    }
    rows.sort();
    table(vec![
        ("region_id", texts(rows.iter().map(|(region, ..)| Some(region)))),
        ("residents", whole(rows.iter().map(|(_, residents, _)| *residents))),
        ("with_visits", whole(rows.iter().map(|(.., seen)| *seen))),
    ])
}

/// `traffic.parquet`: `hour, arrivals`, a row an hour of the last [`SURVEY_DAYS`] days in which a visit began.
pub fn traffic(places: &SharedPlaces) -> RecordBatch {
    let arrivals = &places.traffic.arrivals;
    table(vec![("hour", instants(arrivals.keys().copied())), ("arrivals", whole(arrivals.values().copied()))])
}

/// `inputs.parquet`: `table, file, rows, accepted, merged, rejected`, where every row of every file went, as in `run.json`.
pub fn inputs(files: &[FileBalance]) -> RecordBatch {
    let count = |cell: fn(&FileBalance) -> u64| whole(files.iter().map(cell));
    table(vec![
        ("table", texts(files.iter().map(|file| Some(&file.table)))),
        ("file", texts(files.iter().map(|file| Some(&file.file)))),
        ("rows", count(|file| file.rows)),
        ("accepted", count(|file| file.accepted)),
        ("merged", count(|file| file.merged)),
        ("rejected", count(|file| file.rejected)),
    ])
}

/// `rules.parquet`: `rule_id, color, basis_en, basis_zh, persons, decides`, the rules of the scheme in its order, with the color
/// of their first phase, the persons with a reason of it and those whose color it decides.
pub fn rules(scheme: &Scheme, counts: &BTreeMap<String, RuleCount>) -> RecordBatch {
    let rules = || scheme.rules.iter();
    let count = |cell: fn(&RuleCount) -> u64| whole(rules().map(|rule| counts.get(&rule.id).map_or(0, cell)));
    table(vec![
        ("rule_id", texts(rules().map(|rule| Some(&rule.id)))),
        ("color", texts(rules().map(|rule| rule.phases.first().map(|phase| &phase.color)))),
        ("basis_en", texts(rules().map(|rule| Some(&rule.basis.en)))),
        ("basis_zh", texts(rules().map(|rule| Some(&rule.basis.zh)))),
        ("persons", count(|count| count.persons)),
        ("decides", count(|count| count.decides)),
    ])
}

/// Ids of the cases of a survey.
///
/// # Errors
/// Those of reading the ids.
pub fn case_ids(cases: &[CasePerson], names: Names<'_>) -> Result<IdColumn> {
    names.persons.ids(&cases.iter().map(|case| case.person).collect::<Vec<_>>())
}
