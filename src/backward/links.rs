//! Links between cases: who was exposed to whom while that person could infect, and how plausible it is that this was
//! the infection.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};

use jiff::tz::TimeZone;

use super::{CasePerson, visits_of};
use crate::contacts::ContactRule;
use crate::contacts::cumulative::adds_up;
use crate::contacts::overlap::{SourceSpan, VenueVisits, sweep};
use crate::error::Result;
use crate::store::{Stay, VisitSource};
use crate::time::{Second, local_date};

/// Days of incubation that a link may show: 1 to 14, as the World Health Organization gives for COVID-19.
pub const INCUBATION_DAYS: std::ops::RangeInclusive<i64> = 1..=14;

/// How likely each length of incubation is, in thousandths, from 1 day to 14: the log-normal distribution (1.621, 0.418) of
/// Lauer et al., Annals of Internal Medicine 2020, between the middles of days.
const INCUBATION_WEIGHTS: [u64; 14] = [2, 44, 143, 201, 190, 146, 101, 66, 41, 26, 16, 9, 6, 4];

/// Whether an exposure can have been the infection, the most plausible first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// The case fell ill 1 to 14 days after it, and after the infector did.
    Plausible,
    /// The case has no onset; it was exposed before the first sample or report, and after the infector's illness began.
    UnknownOnset,
    /// The infector did not fall ill before the case.
    InfectorLater,
    /// More than 14 days lie between exposure and onset.
    ExposedTooEarly,
    /// The case was ill by then.
    ExposedTooLate,
}

impl Verdict {
    /// The word in tables.
    pub fn word(self) -> &'static str {
        match self {
            Verdict::Plausible => "plausible",
            Verdict::UnknownOnset => "unknown_onset",
            Verdict::InfectorLater => "infector_later",
            Verdict::ExposedTooEarly => "exposed_too_early",
            Verdict::ExposedTooLate => "exposed_too_late",
        }
    }

    /// What it means.
    pub fn words(self) -> &'static str {
        match self {
            Verdict::Plausible => "plausible",
            Verdict::UnknownOnset => "plausible, onset unknown",
            Verdict::InfectorLater => "the other did not fall ill before",
            Verdict::ExposedTooEarly => "more than 14 days before falling ill",
            Verdict::ExposedTooLate => "already ill by then",
        }
    }

    /// Whether such a link belongs to the forest of most plausible links.
    pub fn can_be(self) -> bool {
        matches!(self, Verdict::Plausible | Verdict::UnknownOnset)
    }
}

/// All exposures of one case to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaseLink {
    /// Place of the one who could infect in the list of cases.
    pub infector: usize,
    /// Place of the one exposed.
    pub case: usize,
    /// Start of the first exposure.
    pub first_at: Second,
    /// End of the last.
    pub last_at: Second,
    /// Seconds shared.
    pub overlap_s: u64,
    /// Seconds of them in which both were observed.
    pub observed_overlap_s: u64,
    /// How many exposures.
    pub exposures: u32,
    /// Venue of the most plausible exposure.
    pub venue: u32,
    /// Local days from that exposure to the case's onset.
    pub incubation_days: Option<i64>,
    /// Local days from the infector's onset to the case's.
    pub serial_days: Option<i64>,
    /// What the most plausible exposure amounts to.
    pub verdict: Verdict,
    /// 1 for the most plausible infector of the case.
    pub rank: u32,
    /// Links from a case without an infector to this one, counting it: only for those of the forest.
    pub generation: Option<u32>,
}

/// An exposure between two cases.
#[derive(Clone, Copy)]
struct Met {
    from: Second,
    until: Second,
    venue: u32,
    observed_s: u32,
}

/// Every ordered pair of cases of which one was exposed to the other, by case and rank. `cases` are in the order of their
/// ids; ties go to the earlier link, then the smaller id.
///
/// The forest of most plausible links are those of rank 1 whose verdict [can be](Verdict::can_be): each case has at most one
/// infector, and that one fell ill before, so no link leads back.
///
/// # Errors
/// Those of reading the visits.
pub fn between(
    visits: &dyn VisitSource,
    cases: &[CasePerson],
    rule: &ContactRule,
    zone: &TimeZone,
) -> Result<Vec<CaseLink>> {
    let met = meetings(visits, cases, rule)?;
    let mut links: Vec<(Reverse<u64>, CaseLink)> = met
        .into_iter()
        .filter_map(|((infector, case), mut met)| {
            met.sort_unstable_by_key(|m| (m.from, m.until, rule.venue_ranks[m.venue as usize]));
            let spans: Vec<(Second, Second)> = met.iter().map(|m| (m.from, m.until)).collect();
            let counts = rule.cumulative.is_none_or(|cumulative| adds_up(&spans, cumulative));
            counts.then(|| link(cases, (infector, case), &met, zone))
        })
        .collect();
    links.sort_by_key(|(weight, link)| (link.case, link.verdict, *weight, link.first_at, link.infector));
    let mut links: Vec<CaseLink> = links.into_iter().map(|(_, link)| link).collect();
    for of_case in links.chunk_by_mut(|a, b| a.case == b.case) {
        (1..).zip(of_case).for_each(|(rank, link)| link.rank = rank);
    }
    let parents: HashMap<usize, usize> = links
        .iter()
        .filter(|link| link.rank == 1 && link.verdict.can_be())
        .map(|link| (link.case, link.infector))
        .collect();
    for link in links.iter_mut().filter(|link| link.rank == 1 && link.verdict.can_be()) {
        link.generation = Some(generation(&parents, link.case));
    }
    Ok(links)
}

/// How many links lead from a case without an infector to `case`; `parents` holds each case's infector and no circle.
fn generation(parents: &HashMap<usize, usize>, case: usize) -> u32 {
    std::iter::successors(parents.get(&case), |parent| parents.get(parent)).count() as u32
}

/// The exposures of cases to cases, by infector and case.
fn meetings(
    visits: &dyn VisitSource,
    cases: &[CasePerson],
    rule: &ContactRule,
) -> Result<BTreeMap<(usize, usize), Vec<Met>>> {
    let windows = || cases.iter().flat_map(|case| &case.windows);
    let linger = rule.thresholds.iter().map(|threshold| threshold.linger_s).max().unwrap_or(0);
    let Some(from) = windows().map(|(from, _)| from.saturating_sub(linger)).min() else {
        return Ok(BTreeMap::new());
    };
    let until = windows().map(|(_, until)| *until).max().unwrap_or(from);
    let stays = visits_of(visits, cases.iter().map(|case| case.person), (from, until))?;
    let place: HashMap<u32, usize> = cases.iter().enumerate().map(|(at, case)| (case.person, at)).collect();
    let mut at_venue: BTreeMap<u32, Vec<Stay>> = BTreeMap::new();
    stays.into_values().flatten().for_each(|stay| at_venue.entry(stay.venue).or_default().push(stay));
    let mut met: BTreeMap<(usize, usize), Vec<Met>> = BTreeMap::new();
    for (venue, mut stays) in at_venue {
        let Some(needed_s) = rule.needed_s(venue) else { continue };
        stays.sort_unstable_by_key(|stay| (stay.arrived, stay.person, stay.left));
        let mut spans: Vec<SourceSpan> = Vec::new();
        for stay in &stays {
            let source = place[&stay.person];
            let until = stay.left.saturating_add(rule.linger_s(venue));
            for window in &cases[source].windows {
                let (from, until) = (stay.arrived.max(window.0), until.min(window.1));
                if from < until {
                    let (seen_until, source) = (stay.seen_until, source as u32);
                    spans.push(SourceSpan { from, until, seen_until, source, person: stay.person });
                }
            }
        }
        spans.sort_unstable_by_key(SourceSpan::order);
        let column = |cell: fn(&Stay) -> u32| -> Vec<u32> { stays.iter().map(cell).collect() };
        let (person, arrived, left) =
            (column(|stay| stay.person), column(|stay| stay.arrived), column(|stay| stay.left));
        let columns = VenueVisits { person: &person, arrived: &arrived, left: &left };
        sweep(&spans, columns, needed_s, |span, visit, from, until| {
            let seen = until.min(spans[span].seen_until).min(stays[visit].seen_until);
            let pair = (spans[span].source as usize, place[&person[visit]]);
            let observed_s = seen.saturating_sub(from);
            met.entry(pair).or_default().push(Met { from, until, venue, observed_s });
        });
    }
    Ok(met)
}

/// What the exposures of a pair amount to, and how much speaks for it: shared seconds, each exposure weighed by how likely
/// its incubation is.
fn link(
    cases: &[CasePerson],
    (infector, case): (usize, usize),
    met: &[Met],
    zone: &TimeZone,
) -> (Reverse<u64>, CaseLink) {
    let (source, own) = (&cases[infector], &cases[case]);
    let day = |at: Second| local_date(at, zone);
    let days = |from: Second, until: Second| i64::from((day(until) - day(from)).get_days());
    let earlier = source.began_at < own.began_at;
    let judge = |met: &Met| {
        let incubation = own.onset_at.map(|onset| days(met.from, onset));
        match incubation {
            None if met.from >= own.began_at => Verdict::ExposedTooLate,
            Some(days) if days < *INCUBATION_DAYS.start() => Verdict::ExposedTooLate,
            Some(days) if days > *INCUBATION_DAYS.end() => Verdict::ExposedTooEarly,
            _ if !earlier => Verdict::InfectorLater,
            Some(_) => Verdict::Plausible,
            None => Verdict::UnknownOnset,
        }
    };
    let weight = |met: &Met| {
        let likely = match own.onset_at {
            Some(onset) => INCUBATION_WEIGHTS.get((days(met.from, onset) - 1).max(0) as usize),
            None => Some(&1),
        };
        u64::from(met.until - met.from) * likely.copied().unwrap_or(0)
    };
    let verdict = met.iter().map(judge).min().expect("a pair that met");
    let of_verdict = || met.iter().filter(|m| judge(m) == verdict);
    let best = of_verdict().max_by_key(|m| (weight(m), Reverse(m.from))).expect("the one it is from");
    let together = CaseLink {
        infector,
        case,
        first_at: met.iter().map(|m| m.from).min().expect("a pair that met"),
        last_at: met.iter().map(|m| m.until).max().expect("a pair that met"),
        overlap_s: met.iter().map(|m| u64::from(m.until - m.from)).sum(),
        observed_overlap_s: met.iter().map(|m| u64::from(m.observed_s)).sum(),
        exposures: met.len() as u32,
        venue: best.venue,
        incubation_days: own.onset_at.map(|onset| days(best.from, onset)),
        serial_days: source.onset_at.zip(own.onset_at).map(|(first, second)| days(first, second)),
        verdict,
        rank: 0,
        generation: None,
    };
    (Reverse(of_verdict().map(weight).sum()), together)
}
