//! The first merge of a ring: the frontier's own visits, cut to their windows.

use rayon::prelude::*;

use super::Frontier;
use crate::contacts::ContactRule;
use crate::contacts::overlap::SourceSpan;
use crate::error::Result;
use crate::ids::NO_KEY;
use crate::store::{Stay, VisitSource};

/// A source's span with its venue.
pub type VenueSpan = (u32, SourceSpan);

/// The days on which the frontier's sources can meet anyone, as places in `visits.days()`: those with visits between the
/// first instant of any window, less the longest linger, and the last of any.
pub fn days(visits: &dyn VisitSource, frontier: &Frontier, rule: &ContactRule) -> Vec<usize> {
    let linger_max = rule.thresholds.iter().map(|t| t.linger_s).max().unwrap_or(0);
    let windows = frontier.windows.iter().map(|(from, until)| (from.saturating_sub(linger_max), *until));
    let spans = windows.chain(frontier.places.iter().map(|place| (place.from, place.until)));
    let Some((from, until)) = spans.reduce(|a, b| (a.0.min(b.0), a.1.max(b.1))) else { return Vec::new() };
    (0..visits.days().len()).filter(|day| visits.days()[*day].overlaps(from, until)).collect()
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

/// The frontier's visits on some days, found person by person.
///
/// # Errors
/// Those of reading the visits.
pub fn look_up(
    visits: &dyn VisitSource,
    days: &[usize],
    frontier: &Frontier,
    rule: &ContactRule,
) -> Result<Vec<VenueSpan>> {
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
