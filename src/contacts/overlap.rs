//! The overlap kernel: a pure function over the slices of one venue. Runners and whole-graph pairs both call it.

use crate::time::Second;

/// The visits to one venue, a column each, sorted by arrival.
#[derive(Clone, Copy)]
pub struct VenueVisits<'a> {
    /// Person keys.
    pub person: &'a [u32],
    /// Starts.
    pub arrived: &'a [Second],
    /// Ends.
    pub left: &'a [Second],
}

/// A source's presence at the venue: its visit cut to its window, with linger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SourceSpan {
    /// Start.
    pub from: Second,
    /// End.
    pub until: Second,
    /// Last instant at which the source was observed; for a place, its end.
    pub seen_until: Second,
    /// The source's number in the frontier.
    pub source: u32,
    /// The source's person key, which meets itself nowhere; `NO_KEY` for a place.
    pub person: u32,
}

impl SourceSpan {
    /// What spans of one venue are sorted by: start, then source, then the best observed.
    pub fn order(&self) -> (Second, u32, std::cmp::Reverse<Second>, Second, u32) {
        (self.from, self.source, std::cmp::Reverse(self.seen_until), self.until, self.person)
    }
}

/// Calls `emit(span, visit, lo, hi)` for every source span and visit that share `[lo, hi)` of `needed_s` or more.
///
/// - **Input**: spans sorted by `from`, visits by `arrived`, both of one venue; `needed_s >= 1`.
/// - **Output**: indices into both, each pair once, in no promised order; a person never meets itself.
/// - **Cost**: `O(spans + visits + k)` for `k` pairs that overlap at all; nothing is allocated.
/// - **Source**: forward scan (Bouros and Mamoulis, PVLDB 2017): of two spans that overlap, the one that starts first
///   meets the other while it goes on.
///
/// # Panics
/// If the visits' columns differ in length.
pub fn sweep(
    spans: &[SourceSpan],
    visits: VenueVisits<'_>,
    needed_s: u32,
    mut emit: impl FnMut(usize, usize, Second, Second),
) {
    let VenueVisits { person, arrived, left } = visits;
    assert!(person.len() == arrived.len() && arrived.len() == left.len(), "one venue's columns");
    debug_assert!(arrived.is_sorted() && spans.is_sorted_by_key(|s| s.from) && needed_s >= 1);
    let mut pair = |span: usize, visit: usize, lo: Second| {
        let hi = spans[span].until.min(left[visit]);
        if lo < hi && hi - lo >= needed_s && spans[span].person != person[visit] {
            emit(span, visit, lo, hi);
        }
    };
    let (mut span, mut visit) = (0, 0);
    while span < spans.len() && visit < arrived.len() {
        if spans[span].from <= arrived[visit] {
            for (later, lo) in arrived.iter().enumerate().skip(visit) {
                if *lo >= spans[span].until {
                    break;
                }
                pair(span, later, *lo);
            }
            span += 1;
        } else {
            for (later, other) in spans.iter().enumerate().skip(span) {
                if other.from >= left[visit] {
                    break;
                }
                pair(later, visit, other.from);
            }
            visit += 1;
        }
    }
}

/// Calls `emit(earlier, later, lo, hi)` for every two visits of two persons that share `[lo, hi)` of `needed_s` or
/// more, where `later >= first`. Input, cost and source as for [`sweep`].
///
/// # Panics
/// If the columns differ in length.
pub fn sweep_pairs(
    visits: VenueVisits<'_>,
    first: usize,
    needed_s: u32,
    mut emit: impl FnMut(usize, usize, Second, Second),
) {
    let VenueVisits { person, arrived, left } = visits;
    assert!(person.len() == arrived.len() && arrived.len() == left.len(), "one venue's columns");
    debug_assert!(arrived.is_sorted() && needed_s >= 1);
    for earlier in 0..arrived.len() {
        for later in (earlier + 1).max(first)..arrived.len() {
            let lo = arrived[later];
            if lo >= left[earlier] {
                break;
            }
            let hi = left[earlier].min(left[later]);
            if lo < hi && hi - lo >= needed_s && person[earlier] != person[later] {
                emit(earlier, later, lo, hi);
            }
        }
    }
}

/// How many pairs of visits [`sweep_pairs`] would look at and find long enough, one person's own included; in
/// `O(n log n)` however crowded the venue is.
pub fn count_pairs(visits: VenueVisits<'_>, first: usize, needed_s: u32) -> u64 {
    let long = |row: &usize| visits.left[*row] - visits.arrived[*row] >= needed_s;
    let mut ends: Vec<Second> =
        (0..visits.arrived.len()).filter(long).map(|row| visits.left[row] - needed_s).collect();
    ends.sort_unstable();
    let (mut pairs, mut before, mut ended) = (0, 0u64, 0);
    for row in 0..visits.arrived.len() {
        // Visits that began before this one, less those that ended too early to share enough with it.
        while ended < ends.len() && ends[ended] < visits.arrived[row] {
            ended += 1;
        }
        if long(&row) {
            pairs += if row >= first { before - ended as u64 } else { 0 };
            before += 1;
        }
    }
    pairs
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::NO_KEY;

    /// `(person, arrived, left)` rows.
    type Rows<'a> = &'a [(u32, u32, u32)];

    fn columns(rows: Rows<'_>) -> (Vec<u32>, Vec<u32>, Vec<u32>) {
        let mut rows = rows.to_vec();
        rows.sort_by_key(|r| r.1);
        (
            rows.iter().map(|r| r.0).collect(),
            rows.iter().map(|r| r.1).collect(),
            rows.iter().map(|r| r.2).collect(),
        )
    }

    fn check(sources: Rows<'_>, visits: Rows<'_>, needed_s: u32, expected: &[(u32, u32, u32, u32)]) {
        let mut spans: Vec<SourceSpan> = sources
            .iter()
            .map(|&(person, from, until)| SourceSpan { from, until, seen_until: until, source: 0, person })
            .collect();
        spans.sort_by_key(SourceSpan::order);
        let (person, arrived, left) = columns(visits);
        let columns = VenueVisits { person: &person, arrived: &arrived, left: &left };
        let mut found = Vec::new();
        sweep(&spans, columns, needed_s, |s, v, lo, hi| found.push((spans[s].person, person[v], lo, hi)));
        found.sort_unstable();
        assert_eq!(found, expected);
    }

    #[test]
    fn spans_that_touch_do_not_meet() {
        check(&[(1, 0, 10)], &[(2, 10, 20)], 1, &[]);
        check(&[(1, 10, 20)], &[(2, 0, 10)], 1, &[]);
        check(&[(1, 0, 10)], &[(2, 9, 20)], 1, &[(1, 2, 9, 10)]);
        check(&[(1, 9, 20)], &[(2, 0, 10)], 1, &[(1, 2, 9, 10)]);
    }

    #[test]
    fn the_threshold_itself_counts() {
        check(&[(1, 0, 610)], &[(2, 10, 700), (3, 11, 700)], 600, &[(1, 2, 10, 610)]);
        check(&[(1, 0, 600), (4, 0, 599)], &[(2, 0, 600)], 600, &[(1, 2, 0, 600)]);
    }

    #[test]
    fn same_instants_nesting_and_oneself() {
        check(
            &[(1, 5, 9)],
            &[(1, 5, 9), (2, 5, 9), (3, 0, 20), (4, 6, 7)],
            1,
            &[(1, 2, 5, 9), (1, 3, 5, 9), (1, 4, 6, 7)],
        );
        check(&[(NO_KEY, 5, 9)], &[(1, 0, 6)], 1, &[(NO_KEY, 1, 5, 6)]);
        check(&[(1, 0, 5), (1, 3, 9)], &[(2, 4, 8)], 1, &[(1, 2, 4, 5), (1, 2, 4, 8)]);
        check(&[], &[(2, 4, 8)], 1, &[]);
        check(&[(1, 4, 4)], &[(2, 0, 8)], 1, &[]);
    }

    #[test]
    fn pairs_are_counted_without_being_made() {
        let rows = [(1, 0, 100), (2, 10, 60), (3, 50, 200), (4, 60, 65), (5, 100, 120), (5, 0, 3)];
        let (person, arrived, left) = columns(&rows);
        let visits = VenueVisits { person: &person, arrived: &arrived, left: &left };
        for needed_s in [1, 5, 10, 11, 50, 500] {
            for first in 0..=rows.len() {
                let mut pairs = 0;
                sweep_pairs(visits, first, needed_s, |_, _, _, _| pairs += 1);
                assert_eq!(count_pairs(visits, first, needed_s), pairs, "needed {needed_s}, first {first}");
            }
        }
    }
}
