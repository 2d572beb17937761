//! The whole contact graph of a period: every pair, not only those around cases, behind a size estimate.

use std::ops::Range;

use rayon::prelude::*;

use crate::contacts::overlap::{VenueVisits, count_pairs, sweep_pairs};
use crate::contacts::{ContactRule, cumulative};
use crate::error::{Error, Result};
use crate::store::{Stay, VisitSource, stays_at};
use crate::time::Second;

/// Which part of the graph.
pub struct Extent {
    /// Overlaps are cut to `[from, until)`.
    pub from: Second,
    /// End of the period.
    pub until: Second,
    /// By venue key: whether the venue takes part.
    pub venues: Vec<bool>,
    /// Bytes the pairs may take.
    pub memory: u64,
}

/// Two persons and all they shared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pair {
    /// Key of the person whose id is smaller.
    pub person_a: u32,
    /// Key of the other.
    pub person_b: u32,
    /// Seconds shared.
    pub overlap_s: u64,
    /// Pairs of visits.
    pub exposures: u32,
    /// Start of the first.
    pub first_at: Second,
    /// End of the last.
    pub last_at: Second,
}

/// One overlap of a pair; ranks stand for persons, so that order is the order of ids.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Overlap {
    rank_a: u32,
    rank_b: u32,
    lo: Second,
    hi: Second,
}

/// Bytes an overlap takes while pairs are put together: itself, and as much again in sorting.
const OVERLAP_BYTES: u64 = 2 * size_of::<Overlap>() as u64;

/// Every pair with at least one exposure in the extent, sorted by the ids of both.
///
/// Linger has no place here: no one is a source.
///
/// # Errors
/// `usage` with the number of overlaps if they would not fit `extent.memory`; those of reading the visits.
pub fn find(visits: &dyn VisitSource, extent: &Extent, rule: &ContactRule) -> Result<Vec<Pair>> {
    let counts = for_each_venue(visits, extent, rule, count_pairs)?;
    let expected = counts.into_iter().fold(0, u64::saturating_add);
    let bytes = expected.saturating_mul(OVERLAP_BYTES);
    if bytes > extent.memory {
        return Err(Error::usage(
            format!(
                "the whole graph of this period has up to {expected} overlaps, about {} MiB; {} MiB are allowed",
                bytes >> 20,
                extent.memory >> 20
            ),
            "choose a shorter period (--from, --until), some venues (--venue) or a region (--region), or raise --memory",
        ));
    }

    let persons = visits.persons();
    let everyone: Vec<u32> = (0..persons.with_visits() as u32).collect();
    let ranks = crate::ids::IdTable::from_column(persons.ids(&everyone)?).ranks();
    let found = for_each_venue(visits, extent, rule, |venue, first, needed_s| {
        let mut overlaps = Vec::new();
        sweep_pairs(venue, first, needed_s, |a, b, lo, hi| {
            let (a, b) = (ranks[venue.person[a] as usize], ranks[venue.person[b] as usize]);
            overlaps.push(Overlap { rank_a: a.min(b), rank_b: a.max(b), lo, hi });
        });
        overlaps
    })?;
    let mut overlaps: Vec<Overlap> = found.into_iter().flatten().collect();
    overlaps.par_sort_unstable();
    let mut by_rank = vec![0; persons.len()];
    ranks.iter().enumerate().for_each(|(key, rank)| by_rank[*rank as usize] = key as u32);

    let mut pairs = Vec::new();
    for run in overlaps.chunk_by(|a, b| (a.rank_a, a.rank_b) == (b.rank_a, b.rank_b)) {
        if let Some(rule) = rule.cumulative {
            let spans: Vec<_> = run.iter().map(|o| (o.lo, o.hi)).collect();
            if !cumulative::adds_up(&spans, rule) {
                continue;
            }
        }
        pairs.push(Pair {
            person_a: by_rank[run[0].rank_a as usize],
            person_b: by_rank[run[0].rank_b as usize],
            overlap_s: run.iter().map(|o| u64::from(o.hi - o.lo)).sum(),
            exposures: run.len() as u32,
            first_at: run[0].lo,
            last_at: run.iter().map(|o| o.hi).max().expect("a run is not empty"),
        });
    }
    Ok(pairs)
}

/// Calls `work(visits, first, needed_s)` for every venue of every day that reaches into the period, a range of venues a
/// thread. The visits from index `first` on arrived that day; those before it arrived earlier and are still going on. A
/// pair belongs to the day on which the later of the two arrived. Where days are held together, they are one.
fn for_each_venue<T: Send>(
    visits: &dyn VisitSource,
    extent: &Extent,
    rule: &ContactRule,
    work: impl Fn(VenueVisits<'_>, usize, u32) -> T + Sync,
) -> Result<Vec<T>> {
    let cut = |mut visit: Stay| {
        visit.arrived = visit.arrived.max(extent.from);
        visit.left = visit.left.min(extent.until);
        (visit.arrived < visit.left && extent.venues[visit.venue as usize]).then_some(visit)
    };
    let in_period = |day: &usize| visits.days()[*day].overlaps(extent.from, extent.until);
    let days: Vec<usize> = (0..visits.days().len()).filter(in_period).collect();
    let rows: u64 = days.iter().map(|day| visits.days()[*day].rows).sum();
    let ranges = visits.venue_ranges(&days, (rows / RANGE_VISITS).max(1) as usize)?;
    let in_range = |venues: Range<u32>| -> Result<Vec<T>> {
        let mut results = Vec::new();
        let mut going_on: Vec<Stay> = Vec::new();
        for day in &days {
            going_on.retain(|visit| visit.left > visits.days()[*day].arrived_min);
            let mut rows: Vec<(Stay, bool)> = going_on.iter().map(|visit| (*visit, false)).collect();
            let today = stays_at(visits, *day, venues.clone())?.into_iter().filter_map(cut);
            rows.extend(today.map(|visit| (visit, true)));
            rows.sort_unstable_by_key(|(v, today)| (v.venue, *today, v.arrived, v.person));
            for here in rows.chunk_by(|a, b| a.0.venue == b.0.venue) {
                let Some(needed_s) = rule.needed_s(here[0].0.venue) else { continue };
                let first = here.partition_point(|(_, today)| !today);
                let person: Vec<u32> = here.iter().map(|(v, _)| v.person).collect();
                let arrived: Vec<u32> = here.iter().map(|(v, _)| v.arrived).collect();
                let left: Vec<u32> = here.iter().map(|(v, _)| v.left).collect();
                let venue = VenueVisits { person: &person, arrived: &arrived, left: &left };
                results.push(work(venue, first, needed_s));
            }
            going_on.extend(rows.iter().filter(|(_, today)| *today).map(|(visit, _)| *visit));
        }
        Ok(results)
    };
    let results: Vec<Vec<T>> = ranges.into_par_iter().map(in_range).collect::<Result<_>>()?;
    Ok(results.into_iter().flatten().collect())
}

/// Visits a range of venues, about.
const RANGE_VISITS: u64 = 1 << 18;
