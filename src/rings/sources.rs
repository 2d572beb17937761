//! The first merge of a ring: the frontier's own visits, cut to their windows.

use rayon::prelude::*;

use super::Frontier;
use crate::contacts::ContactRule;
use crate::contacts::overlap::SourceSpan;
use crate::error::Result;
use crate::ids::NO_KEY;
use crate::store::{Stay, VisitSource};
use crate::time::Second;

/// A source's span with its venue.
pub type VenueSpan = (u32, SourceSpan);

/// When the frontier's sources can meet anyone.
pub struct Reach {
    /// First instant of any window, less the longest linger.
    pub from: Second,
    /// Last instant of any.
    pub until: Second,
}

impl Reach {
    /// Of the persons of a frontier; `None` without any.
    pub fn of_persons(frontier: &Frontier, rule: &ContactRule) -> Option<Reach> {
        let linger_max = rule.thresholds.iter().map(|t| t.linger_s).max().unwrap_or(0);
        let from = frontier.windows.iter().map(|w| w.0).min()?;
        let until = frontier.windows.iter().map(|w| w.1).max()?;
        Some(Reach { from: from.saturating_sub(linger_max), until })
    }
}

/// Appends what a source's visit is worth: its span in each window, with linger.
pub fn cut(stay: Stay, frontier: &Frontier, at: usize, rule: &ContactRule, mut span: impl FnMut(VenueSpan)) {
    let until = stay.left.saturating_add(rule.linger_s(stay.venue));
    for window in frontier.windows_of(at) {
        let (from, until) = (stay.arrived.max(window.0), until.min(window.1));
        if from < until && stay.arrived < stay.left {
            let (source, person) = (frontier.sources[at], stay.person);
            span((stay.venue, SourceSpan { from, until, seen_until: stay.seen_until, source, person }));
        }
    }
}

/// The frontier's visits, found person by person.
///
/// # Errors
/// Those of reading the visits.
pub fn look_up(visits: &dyn VisitSource, frontier: &Frontier, rule: &ContactRule) -> Result<Vec<VenueSpan>> {
    let Some(reach) = Reach::of_persons(frontier, rule) else { return Ok(Vec::new()) };
    let days: Vec<usize> = (0..visits.days().len())
        .filter(|day| visits.days()[*day].overlaps(reach.from, reach.until))
        .collect();
    let pieces: Vec<(usize, &[u32])> = days
        .iter()
        .flat_map(|day| frontier.persons.chunks(PERSONS_A_PIECE).map(move |persons| (*day, persons)))
        .collect();
    let found: Result<Vec<Vec<VenueSpan>>> = pieces
        .into_par_iter()
        .map(|(day, persons)| {
            let mut spans = Vec::new();
            for stay in visits.of_persons(day, persons)? {
                let at = frontier.persons.binary_search(&stay.person).expect("a person asked for");
                cut(stay, frontier, at, rule, |span| spans.push(span));
            }
            Ok(spans)
        })
        .collect();
    Ok(found?.concat())
}

/// Persons looked up by one task.
const PERSONS_A_PIECE: usize = 256;

/// The places of the frontier.
pub fn places(frontier: &Frontier) -> impl Iterator<Item = VenueSpan> + '_ {
    frontier.places.iter().map(|place| {
        // A place is itself as long as it says: what is inferred there is only how long the visitor stayed.
        let span = SourceSpan {
            from: place.from,
            until: place.until,
            seen_until: place.until,
            source: place.source,
            person: NO_KEY,
        };
        (place.venue, span)
    })
}

/// Sorts spans by venue, and at each venue as the kernels want them.
pub fn sort(spans: &mut [VenueSpan]) {
    spans.sort_unstable_by_key(|(venue, span)| (*venue, span.order()));
}
