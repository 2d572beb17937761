//! The overlap kernel that adds up: what every visit to one venue shares with all sources there, in one pass.
//!
//! [`sweep`](super::overlap::sweep) names every pair. Where only the sums are wanted, a crowd has far more pairs than
//! visits, so here each visit meets all sources at once: those already there when it begins lie together in an array,
//! those that come while it lasts are a slice of the spans by start. Both are walked by loops without branches, which
//! the compiler turns into several pairs an instruction, and a visit's sums are written once. Where even that would be
//! too many pairs, [`crowd`](super::crowd) counts them.

use multiversion::multiversion;

use super::crowd::{add_up_crowd, more_pairs_than};
use super::overlap::{SourceSpan, VenueVisits};
use crate::person_set::PersonSet;
use crate::time::Second;

/// What one visit shares with all sources at its venue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VisitSum {
    /// Its index among the visits.
    pub visit: u32,
    /// Start of the first exposure.
    pub first: Second,
    /// End of the last.
    pub last: Second,
    /// How many.
    pub exposures: u32,
    /// Seconds shared.
    pub overlap_s: u64,
    /// Seconds of them in which both were observed.
    pub observed_s: u64,
    /// Start of the longest; of equal ones the earliest, then of the smallest source, then the best observed.
    pub best_from: Second,
    /// Its length.
    pub best_overlap_s: u32,
    /// Its source.
    pub best_source: u32,
    /// Seconds of it in which both were observed.
    pub best_observed_s: u32,
}

/// Whose visits count.
#[derive(Clone, Copy)]
pub struct Wanted<'a> {
    /// Persons that are no contacts.
    pub settled: &'a PersonSet,
    /// First person key to look at.
    pub from: u32,
    /// The key after the last.
    pub until: u32,
}

/// Where sources are a crowd, whose pairs are counted rather than met. Anything but the default is for tests.
#[derive(Clone, Copy, Debug)]
pub struct Crowd {
    /// How many there are, at least.
    pub sources: usize,
    /// How many of them a visit meets in the mean, more than: beyond, counting costs less.
    pub pairs: u64,
}

impl Default for Crowd {
    fn default() -> Self {
        Crowd { sources: 1 << 12, pairs: 1 << 12 }
    }
}

/// Sources at one venue, a column each, in the order of their spans.
#[derive(Clone, Copy)]
pub struct Sources<'a> {
    /// Starts.
    pub from: &'a [Second],
    /// Ends.
    pub until: &'a [Second],
    /// Last observed instants, not after the ends.
    pub seen_until: &'a [Second],
    /// Numbers in the frontier.
    pub source: &'a [u32],
}

/// Room for the sources of one venue, kept from call to call.
#[derive(Default)]
pub struct Scratch {
    /// Which sources are a crowd.
    pub crowd: Crowd,
    /// Starts of those that are to come.
    starts: Vec<Second>,
    coming: Columns,
    present: Columns,
}

/// Sources, a column each.
#[derive(Default)]
struct Columns {
    until: Vec<Second>,
    seen_until: Vec<Second>,
    source: Vec<u32>,
}

impl Columns {
    fn clear(&mut self) {
        self.until.clear();
        self.seen_until.clear();
        self.source.clear();
    }

    fn push(&mut self, until: Second, seen_until: Second, source: u32) {
        self.until.push(until);
        self.seen_until.push(seen_until);
        self.source.push(source);
    }
}

/// Appends to `sums` what each wanted visit shares with the spans, in exposures of `needed_s` or more; visits that share
/// nothing are left out.
///
/// - **Input**: spans in the order of [`SourceSpan::order`], visits by `arrived`, both of one venue; `seen_until` of the
///   visits, if those are not their ends; `needed_s >= 1`. No wanted person is a source.
/// - **Cost**: `O(spans + visits + k)` for `k` exposures, several a cycle; `O(n log n)` of both where `k` is larger.
///
/// # Panics
/// If the visits' columns differ in length.
pub fn add_up(
    spans: &[SourceSpan],
    visits: VenueVisits<'_>,
    seen_until: Option<&[Second]>,
    needed_s: u32,
    wanted: Wanted<'_>,
    scratch: &mut Scratch,
    sums: &mut Vec<VisitSum>,
) {
    for_this_machine(spans, &visits, seen_until, needed_s, &wanted, scratch, sums);
}

#[multiversion(targets("x86_64+avx2+bmi1+bmi2+lzcnt+popcnt", "aarch64+neon"))]
fn for_this_machine(
    spans: &[SourceSpan],
    visits: &VenueVisits,
    seen_until: Option<&[Second]>,
    needed_s: u32,
    wanted: &Wanted,
    scratch: &mut Scratch,
    sums: &mut Vec<VisitSum>,
) {
    let all_seen = seen_until.is_none() && spans.iter().all(|span| span.seen_until >= span.until);
    if all_seen {
        add_up_as::<false>(spans, *visits, visits.left, needed_s, *wanted, scratch, sums);
    } else {
        let seen_until = seen_until.unwrap_or(visits.left);
        add_up_as::<true>(spans, *visits, seen_until, needed_s, *wanted, scratch, sums);
    }
}

/// `OBSERVED`: whether seconds observed differ from seconds shared.
#[inline(always)]
fn add_up_as<const OBSERVED: bool>(
    spans: &[SourceSpan],
    visits: VenueVisits<'_>,
    seen_until: &[Second],
    needed_s: u32,
    wanted: Wanted<'_>,
    scratch: &mut Scratch,
    sums: &mut Vec<VisitSum>,
) {
    let VenueVisits { person, arrived, left } = visits;
    let rows = person.len();
    assert!(rows == arrived.len() && rows == left.len() && rows == seen_until.len(), "one venue's columns");
    debug_assert!(arrived.is_sorted() && spans.is_sorted_by_key(SourceSpan::order) && needed_s >= 1);
    let Scratch { crowd, starts, coming, present } = scratch;
    starts.clear();
    coming.clear();
    present.clear();
    for span in spans {
        // A shorter span is part of no exposure; without it, all that is met below is long enough.
        if span.until.saturating_sub(span.from) >= needed_s {
            starts.push(span.from);
            coming.push(span.until, span.seen_until.min(span.until), span.source);
        }
    }
    let is_wanted = |row: usize| {
        let who = person[row];
        let long_enough = left[row].saturating_sub(arrived[row]) >= needed_s;
        long_enough && who >= wanted.from && who < wanted.until && !wanted.settled.contains(who)
    };
    if starts.len() >= crowd.sources {
        let sources = Sources {
            from: starts,
            until: &coming.until,
            seen_until: &coming.seen_until,
            source: &coming.source,
        };
        let rows: Vec<u32> = (0..rows as u32).filter(|row| is_wanted(*row as usize)).collect();
        let most = rows.len() as u64 * crowd.pairs;
        if more_pairs_than(most, &sources, &visits, &rows, needed_s) {
            return add_up_crowd(&sources, &visits, seen_until, &rows, needed_s, sums);
        }
    }
    let mut next = 0;
    let mut first_to_go = Second::MAX;
    for row in 0..rows {
        let (from, until) = (arrived[row], left[row]);
        if !is_wanted(row) {
            continue;
        }
        while next < starts.len() && starts[next] <= from {
            if coming.until[next] - needed_s >= from {
                present.push(coming.until[next], coming.seen_until[next], coming.source[next]);
                first_to_go = first_to_go.min(coming.until[next]);
            }
            next += 1;
        }
        if first_to_go < from + needed_s {
            first_to_go = let_go(present, from + needed_s);
        }
        if present.until.is_empty() && next == starts.len() {
            break;
        }
        let later = &starts[next..];
        let later = match later.first() {
            Some(start) if *start <= until - needed_s => {
                next..next + later.partition_point(|start| *start <= until - needed_s)
            }
            _ => next..next,
        };
        if present.until.is_empty() && later.is_empty() {
            continue;
        }
        let seen = seen_until[row].min(until);
        let mut sum = VisitSum {
            visit: row as u32,
            first: from,
            last: 0,
            exposures: (present.until.len() + later.len()) as u32,
            overlap_s: 0,
            observed_s: 0,
            best_from: from,
            best_overlap_s: 0,
            best_source: 0,
            best_observed_s: 0,
        };
        if !present.until.is_empty() {
            meet_present::<OBSERVED>(present, from, until, seen, &mut sum);
        } else {
            sum.first = starts[next];
        }
        if !later.is_empty() {
            meet_later::<OBSERVED>(starts, coming, later, until, seen, &mut sum);
        }
        if !OBSERVED {
            sum.observed_s = sum.overlap_s;
            sum.best_observed_s = sum.best_overlap_s;
        }
        sums.push(sum);
    }
}

/// Removes the sources that leave before `needed`; the first of the others to leave.
#[inline(always)]
fn let_go(present: &mut Columns, needed: Second) -> Second {
    let mut kept = 0;
    let mut first_to_go = Second::MAX;
    for at in 0..present.until.len() {
        let until = present.until[at];
        present.until[kept] = until;
        present.seen_until[kept] = present.seen_until[at];
        present.source[kept] = present.source[at];
        if until >= needed {
            kept += 1;
            first_to_go = first_to_go.min(until);
        }
    }
    present.until.truncate(kept);
    present.seen_until.truncate(kept);
    present.source.truncate(kept);
    first_to_go
}

/// Adds the sources that are there when the visit begins: each overlap begins with the visit.
#[inline(always)]
fn meet_present<const OBSERVED: bool>(
    present: &Columns,
    from: Second,
    until: Second,
    seen: Second,
    sum: &mut VisitSum,
) {
    let mut last = 0;
    let mut ends = 0u64;
    for end in &present.until {
        last = last.max(*end);
        ends += u64::from(until.min(*end));
    }
    let last = last.min(until);
    let mut source = u32::MAX;
    for (end, other) in present.until.iter().zip(&present.source) {
        source = source.min(if *end >= last { *other } else { u32::MAX });
    }
    sum.last = last;
    sum.overlap_s = ends - u64::from(from) * present.until.len() as u64;
    sum.best_overlap_s = last - from;
    sum.best_source = source;
    if OBSERVED {
        let observed = |seen_source: Second| seen_source.min(seen).max(from) - from;
        let columns = present.until.iter().zip(&present.source).zip(&present.seen_until);
        for ((end, other), seen_source) in columns {
            sum.observed_s += u64::from(observed(*seen_source));
            let best = *end >= last && *other == source;
            sum.best_observed_s = sum.best_observed_s.max(if best { observed(*seen_source) } else { 0 });
        }
    }
}

/// Adds the sources that come while the visit lasts: each overlap begins with the source.
#[inline(always)]
fn meet_later<const OBSERVED: bool>(
    starts: &[Second],
    coming: &Columns,
    later: std::ops::Range<usize>,
    until: Second,
    seen: Second,
    sum: &mut VisitSum,
) {
    let (starts, ends) = (&starts[later.clone()], &coming.until[later.clone()]);
    let seen_until = &coming.seen_until[later.clone()];
    let (mut last, mut longest, mut overlap_s) = (0, 0, 0u64);
    for (start, end) in starts.iter().zip(ends) {
        let overlap = until.min(*end) - start;
        last = last.max(*end);
        longest = longest.max(overlap);
        overlap_s += u64::from(overlap);
    }
    sum.last = sum.last.max(last.min(until));
    sum.overlap_s += overlap_s;
    if OBSERVED {
        for (start, seen_source) in starts.iter().zip(seen_until) {
            sum.observed_s += u64::from(seen_source.min(&seen).max(start) - start);
        }
    }
    // Of equal ones, those that were there before began earlier, and the spans' order settles the rest.
    if longest > sum.best_overlap_s {
        let best = starts.iter().zip(ends).position(|(start, end)| until.min(*end) - start == longest);
        let best = best.expect("one is the longest");
        sum.best_from = starts[best];
        sum.best_overlap_s = longest;
        sum.best_source = coming.source[later.start + best];
        sum.best_observed_s = seen_until[best].min(seen).max(starts[best]) - starts[best];
    }
}
