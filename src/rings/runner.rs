//! Where the kernel runs: here, over the days of a store on every core.

use rayon::prelude::*;

use super::{Exposed, Exposure, Frontier, Ring, reduce};
use crate::contacts::ContactRule;
use crate::contacts::overlap::{SourceSpan, VenueVisits, sweep};
use crate::error::Result;
use crate::ids::NO_KEY;
use crate::store::VisitSource;

/// Finds the contacts of one ring. An implementor chooses where the kernel runs, never what it computes: equal
/// arguments, equal contacts.
pub trait Runner: Sync {
    /// The persons not settled who have an exposure to the frontier, by key, with their sums; and, if
    /// `keep_exposures`, every exposure, sorted.
    ///
    /// # Errors
    /// Those of reading the visits.
    fn ring(
        &self,
        visits: &dyn VisitSource,
        frontier: &Frontier,
        rule: &ContactRule,
        keep_exposures: bool,
    ) -> Result<Ring>;
}

/// Runs on this machine, a day of the store at a time on each core.
pub struct LocalRunner;

impl Runner for LocalRunner {
    fn ring(
        &self,
        visits: &dyn VisitSource,
        frontier: &Frontier,
        rule: &ContactRule,
        keep_exposures: bool,
    ) -> Result<Ring> {
        let spans = source_spans(visits, frontier, rule)?;
        let collect = keep_exposures || rule.cumulative.is_some();
        let days: Result<Vec<Day>> = (0..visits.days().len())
            .into_par_iter()
            .map(|at| exposed_on(visits, at, &spans, frontier, rule, collect))
            .collect();
        let (mut sums, mut exposures) = (Vec::new(), Vec::new());
        for day in days? {
            sums.extend(day.sums);
            exposures.extend(day.exposures);
        }
        let contacts = if rule.cumulative.is_some() {
            let (contacts, kept) = reduce::cumulative(exposures, rule);
            exposures = if keep_exposures { kept } else { Vec::new() };
            contacts
        } else {
            reduce::by_person(sums)
        };
        exposures.par_sort_unstable();
        Ok(Ring { contacts, exposures })
    }
}

/// A source's span with its venue.
type VenueSpan = (u32, SourceSpan);

/// The first merge: the frontier's own visits, cut to their windows, and its places; sorted by venue and start.
fn source_spans(visits: &dyn VisitSource, frontier: &Frontier, rule: &ContactRule) -> Result<Vec<VenueSpan>> {
    let earliest = frontier.persons.iter().flat_map(|p| &p.windows).map(|w| w.0).min();
    let latest = frontier.persons.iter().flat_map(|p| &p.windows).map(|w| w.1).max();
    let linger_max = rule.thresholds.iter().map(|t| t.linger_s).max().unwrap_or(0);
    let spans_of_day = |at: usize| -> Result<Vec<VenueSpan>> {
        let (Some(earliest), Some(latest)) = (earliest, latest) else { return Ok(Vec::new()) };
        if !visits.days()[at].overlaps(earliest.saturating_sub(linger_max), latest) {
            return Ok(Vec::new());
        }
        let visits = visits.by_person(at)?;
        let mut spans = Vec::new();
        let mut row = 0;
        for person in visits.person.chunk_by(|a, b| a == b) {
            if let Some(source) = frontier.person(person[0]) {
                for row in row..row + person.len() {
                    let visit = visits.get(row);
                    let until = visit.left.saturating_add(rule.linger_s(visit.venue));
                    for window in &source.windows {
                        let (from, until) = (visit.arrived.max(window.0), until.min(window.1));
                        if from < until {
                            let seen_until = visit.seen_until;
                            let (source, person) = (source.source, visit.person);
                            spans.push((visit.venue, SourceSpan { from, until, seen_until, source, person }));
                        }
                    }
                }
            }
            row += person.len();
        }
        Ok(spans)
    };
    let by_day: Result<Vec<Vec<VenueSpan>>> =
        (0..visits.days().len()).into_par_iter().map(spans_of_day).collect();
    let mut spans = by_day?.concat();
    spans.extend(frontier.places.iter().map(|place| {
        // A place is itself as long as it says: what is inferred there is only how long the visitor stayed.
        let span = SourceSpan {
            from: place.from,
            until: place.until,
            seen_until: place.until,
            source: place.source,
            person: NO_KEY,
        };
        (place.venue, span)
    }));
    spans.par_sort_unstable();
    Ok(spans)
}

/// What one day's visits add.
struct Day {
    sums: Vec<(u32, Exposed)>,
    exposures: Vec<Exposure>,
}

/// The second merge: the sources' spans against everyone's visits of one day, venue by venue.
fn exposed_on(
    visits: &dyn VisitSource,
    at: usize,
    all_spans: &[VenueSpan],
    frontier: &Frontier,
    rule: &ContactRule,
    collect: bool,
) -> Result<Day> {
    let mut day = Day { sums: Vec::new(), exposures: Vec::new() };
    let extent = visits.days()[at];
    let today: Vec<VenueSpan> =
        all_spans.iter().filter(|(_, s)| extent.overlaps(s.from, s.until)).copied().collect();
    if today.is_empty() {
        return Ok(day);
    }
    let visits = visits.by_venue(at)?;
    let mut from = 0;
    let mut at_venue: Vec<SourceSpan> = Vec::new();
    let mut touched: Vec<Option<Exposed>> = Vec::new();
    for spans in today.chunk_by(|a, b| a.0 == b.0) {
        let venue = spans[0].0;
        let Some(needed_s) = rule.needed_s(venue) else { continue };
        from += visits.venue[from..].partition_point(|v| *v < venue);
        let until = from + visits.venue[from..].partition_point(|v| *v == venue);
        let columns = VenueVisits {
            person: &visits.person[from..until],
            arrived: &visits.arrived[from..until],
            left: &visits.left[from..until],
        };
        at_venue.clear();
        at_venue.extend(spans.iter().map(|(_, span)| *span));
        touched.clear();
        touched.resize(until - from, None);
        let venue_rank = rule.venue_ranks[venue as usize];
        sweep(&at_venue, columns, needed_s, |span, visit, lo, hi| {
            let contact = columns.person[visit];
            if frontier.settled.contains(contact as usize) {
                return;
            }
            let seen_until = at_venue[span].seen_until.min(visits.seen_until[from + visit]).min(hi);
            let exposure = Exposure {
                contact,
                source: at_venue[span].source,
                from: lo,
                until: hi,
                venue,
                observed_s: seen_until.saturating_sub(lo),
            };
            if collect {
                day.exposures.push(exposure);
            }
            let one = Exposed::one(&exposure, venue_rank);
            match &mut touched[visit] {
                Some(sum) => sum.add(&one),
                empty => *empty = Some(one),
            }
        });
        day.sums.extend(columns.person.iter().zip(&touched).filter_map(|(p, sum)| Some((*p, (*sum)?))));
        from = until;
    }
    day.sums = reduce::by_person(std::mem::take(&mut day.sums));
    Ok(day)
}
