//! The kernel that adds up and the sums it feeds, against all pairs.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use ringtrace::contacts::overlap::{SourceSpan, VenueVisits, sweep};
use ringtrace::contacts::sums::{Crowd, Scratch, VisitSum, Wanted, add_up};
use ringtrace::person_set::PersonSet;
use ringtrace::rings::reduce::Sums;
use ringtrace::rings::{Exposed, Exposure};

use crate::brute;
use crate::random::{Random, for_seeds};

/// The visits to one venue and the sources there.
#[derive(Debug, Default)]
struct Venue {
    spans: Vec<SourceSpan>,
    person: Vec<u32>,
    arrived: Vec<u32>,
    left: Vec<u32>,
    seen_until: Vec<u32>,
    /// Whether what was seen is told at all.
    unseen: bool,
    needed_s: u32,
    settled: Vec<u32>,
    wanted: (u32, u32),
}

/// Persons of a venue; some keys past the first word of a set.
const PERSONS: u32 = 100;

/// A venue with so many spans and visits in so many steps of time from the start on.
fn venue(random: &mut Random, spans: u32, visits: u32, steps: u32) -> Venue {
    let (start, step) = match random.below(5) {
        0 => (0, 1),
        1 => (0, u32::MAX / steps),
        2 => (u32::MAX - steps, 1),
        3 => (u32::MAX - steps * 60, 60),
        _ => (19_052 * 86_400, random.pick(&[1, 60])),
    };
    let instant = |random: &mut Random| start.saturating_add(random.within(0..=steps).saturating_mul(step));
    let settled: Vec<u32> = (0..PERSONS).filter(|_| random.chance(20)).collect();
    let mut venue = Venue {
        unseen: random.chance(60),
        needed_s: match random.below(8) {
            0 => random.pick(&[2, step.saturating_add(1), u32::MAX]),
            1..=4 => 1,
            _ => step.saturating_mul(random.within(1..=5)),
        },
        wanted: random.pick(&[(0, PERSONS), (0, u32::MAX), (10, 70), (64, 65), (9, 9)]),
        ..Venue::default()
    };
    let all_seen = random.chance(50);
    for _ in 0..spans {
        let (from, other) = (instant(random), instant(random));
        // Backward and empty spans share nothing with anyone.
        let until = if random.chance(90) { from.max(other) } else { other };
        let seen_until = if all_seen { until } else { instant(random) };
        let source = random.below(spans.div_ceil(2).max(1));
        venue.spans.push(SourceSpan { from, until, seen_until, source, person: u32::MAX });
    }
    venue.spans.sort_by_key(SourceSpan::order);
    let mut rows = Vec::new();
    for _ in 0..visits {
        let (one, other) = (instant(random), instant(random));
        let (arrived, left) = (one.min(other), one.max(other));
        let left = if random.chance(15) { arrived } else { left };
        rows.push((arrived, random.below(PERSONS), left, instant(random).max(arrived)));
    }
    rows.sort_unstable();
    for (arrived, person, left, seen_until) in rows {
        venue.person.push(person);
        venue.arrived.push(arrived);
        venue.left.push(left);
        venue.seen_until.push(if venue.unseen { seen_until } else { left });
    }
    venue.settled = settled;
    venue
}

impl Venue {
    fn visits(&self) -> VenueVisits<'_> {
        VenueVisits { person: &self.person, arrived: &self.arrived, left: &self.left }
    }

    fn is_wanted(&self, person: u32) -> bool {
        (self.wanted.0..self.wanted.1).contains(&person) && !self.settled.contains(&person)
    }

    fn add_up(&self, scratch: &mut Scratch) -> Vec<VisitSum> {
        let settled = PersonSet::new(PERSONS as usize, self.settled.iter().copied());
        let wanted = Wanted { settled: &settled, from: self.wanted.0, until: self.wanted.1 };
        let (seen, mut sums) = (self.unseen.then_some(&self.seen_until[..]), Vec::new());
        add_up(&self.spans, self.visits(), seen, self.needed_s, wanted, scratch, &mut sums);
        sums
    }

    /// The same from pairs `(span, visit, lo, hi)` in any order.
    fn expected(&self, pairs: impl Iterator<Item = (usize, usize, u32, u32)>) -> Vec<VisitSum> {
        let mut by_visit: BTreeMap<usize, Vec<(u32, u32, u32, u32)>> = BTreeMap::new();
        for (span, visit, lo, hi) in pairs.filter(|pair| self.is_wanted(self.person[pair.1])) {
            let span = &self.spans[span];
            let observed_s = hi.min(span.seen_until).min(self.seen_until[visit]).saturating_sub(lo);
            by_visit.entry(visit).or_default().push((lo, hi, span.source, observed_s));
        }
        let sum = |(visit, own): (usize, Vec<(u32, u32, u32, u32)>)| {
            let best = |(lo, hi, source, observed_s): &(u32, u32, u32, u32)| {
                (Reverse(hi - lo), *lo, *source, Reverse(*observed_s))
            };
            let (Reverse(best_overlap_s), best_from, best_source, Reverse(best_observed_s)) =
                own.iter().map(best).min().unwrap();
            VisitSum {
                visit: visit as u32,
                first: own.iter().map(|e| e.0).min().unwrap(),
                last: own.iter().map(|e| e.1).max().unwrap(),
                exposures: own.len() as u32,
                overlap_s: own.iter().map(|e| u64::from(e.1 - e.0)).sum(),
                observed_s: own.iter().map(|e| u64::from(e.3)).sum(),
                best_from,
                best_overlap_s,
                best_source,
                best_observed_s,
            }
        };
        by_visit.into_iter().map(sum).collect()
    }

    /// Every pair that shares enough.
    fn all_pairs(&self) -> impl Iterator<Item = (usize, usize, u32, u32)> + '_ {
        (0..self.spans.len()).flat_map(move |span| {
            (0..self.person.len()).filter_map(move |visit| {
                let lo = self.spans[span].from.max(self.arrived[visit]);
                let hi = self.spans[span].until.min(self.left[visit]);
                (lo < hi && hi - lo >= self.needed_s).then_some((span, visit, lo, hi))
            })
        })
    }
}

/// Room in which any sources are a crowd.
fn counted() -> Scratch {
    let mut scratch = Scratch::default();
    scratch.crowd = Crowd { sources: 0, pairs: 0 };
    scratch
}

#[test]
fn oracle_sums_at_a_venue_are_those_of_all_pairs() {
    let scratch = std::cell::RefCell::new(Scratch::default());
    let (met, tied) = (std::cell::Cell::new(0), std::cell::Cell::new(0));
    let all = for_seeds("oracle_sums_at_a_venue_are_those_of_all_pairs", 20_000, |_, random| {
        let most = random.pick(&[1, 4, 12, 40]);
        let (spans, visits) = (random.within(0..=most), random.within(0..=most));
        let steps = random.pick(&[3, 12, 50]);
        let venue = venue(random, spans, visits, steps);
        let (found, expected) = (venue.add_up(&mut scratch.borrow_mut()), venue.expected(venue.all_pairs()));
        assert_eq!(found, expected, "{venue:#?}");
        assert_eq!(venue.add_up(&mut counted()), expected, "counted: {venue:#?}");
        met.set(met.get() + u32::from(!expected.is_empty()));
        let observed = |sum: &VisitSum| sum.exposures > 1 && sum.observed_s != sum.overlap_s;
        tied.set(tied.get() + u32::from(expected.iter().any(observed)));
    });
    assert!(!all || met.get() >= 4_000 && tied.get() >= 2_000, "{} and {}", met.get(), tied.get());
}

#[test]
fn runners_agree_at_crowded_venues() {
    let met = std::cell::Cell::new(0);
    let all = for_seeds("runners_agree_at_crowded_venues", 12, |_, random| {
        let steps = random.pick(&[40, 1_000, 5_000]);
        let mut venue = venue(random, 1_500, 2_500, steps);
        // The other kernel takes no backward spans for what they are not.
        venue.spans.retain(|span| span.from <= span.until);
        let mut pairs = Vec::new();
        sweep(&venue.spans, venue.visits(), venue.needed_s, |span, visit, lo, hi| {
            pairs.push((span, visit, lo, hi));
        });
        met.set(met.get() + pairs.len());
        let expected = venue.expected(pairs.into_iter());
        assert_eq!(venue.add_up(&mut Scratch::default()), expected);
        assert_eq!(venue.add_up(&mut counted()), expected, "counted");
    });
    assert!(!all || met.get() > 1_000_000, "crowds meet: {}", met.get());
}

#[test]
fn the_first_and_the_last_instants_count() {
    let check = |spans: &[(u32, u32)], visits: &[(u32, u32)], needed_s: u32, expected: &[(u32, u32, u32)]| {
        let span = |(source, &(from, until)): (u32, &(u32, u32))| SourceSpan {
            from,
            until,
            seen_until: until,
            source,
            person: u32::MAX,
        };
        let venue = Venue {
            spans: (0..).zip(spans).map(span).collect(),
            person: (0..visits.len() as u32).collect(),
            arrived: visits.iter().map(|visit| visit.0).collect(),
            left: visits.iter().map(|visit| visit.1).collect(),
            needed_s,
            wanted: (0, u32::MAX),
            ..Venue::default()
        };
        let found = venue.add_up(&mut Scratch::default());
        let found: Vec<_> = found.iter().map(|sum| (sum.first, sum.last, sum.exposures)).collect();
        assert_eq!(found, expected, "{spans:?} {visits:?} {needed_s}");
    };
    const END: u32 = u32::MAX;
    check(&[(0, END)], &[(0, END)], 1, &[(0, END, 1)]);
    check(&[(0, END)], &[(0, END)], END, &[(0, END, 1)]);
    check(&[(0, END)], &[(1, END)], END, &[]);
    check(&[(1, END)], &[(0, END)], END, &[]);
    check(&[(END - 1, END)], &[(END - 1, END)], 1, &[(END - 1, END, 1)]);
    check(&[(END, END)], &[(END, END), (END, END)], 1, &[]);
    check(&[(0, 1)], &[(0, 1), (0, 0)], 1, &[(0, 1, 1)]);
    check(&[(0, 0), (0, 5)], &[(0, 5), (4, END)], 1, &[(0, 5, 1), (4, 5, 1)]);
}

#[test]
fn oracle_sums_are_added_by_person() {
    for_seeds("oracle_sums_are_added_by_person", 40, |_, random| {
        // Persons in one chunk and in many; few sums of each and so many that a chunk becomes a table.
        let persons = random.pick(&[1, 100, 16_384, 50_000, 9_000_000]);
        let first = random.pick(&[0, 77, 1_000_000]);
        let reached = if random.chance(50) { persons } else { persons.min(300) };
        let venue_ranks: Vec<u32> = (0..20).map(|venue| (venue * 7 + 3) % 20).collect();
        let mut exposures: Vec<Exposure> = (0..random.pick(&[0, 50, 12_000]))
            .map(|_| {
                let from = random.below(6);
                let until = from + random.within(1..=5);
                Exposure {
                    contact: first + persons - 1 - random.below(reached),
                    source: random.below(4),
                    from,
                    until,
                    venue: random.below(20),
                    observed_s: random.within(0..=until - from),
                }
            })
            .collect();
        let sums = Sums::new(first..first + persons, &venue_ranks);
        let mut collectors = [sums.collector(), sums.collector(), sums.collector()];
        for exposure in &exposures {
            let collector = &mut collectors[random.below(3) as usize];
            collector.push(&sums, exposure.contact, Exposed::one(exposure));
            if random.chance(1) {
                sums.take_over(collector);
                assert_eq!(collector.collected, 0);
            }
        }
        collectors.iter_mut().for_each(|collector| sums.take_over(collector));
        exposures.sort();
        let sum = |own: &[Exposure]| (own[0].contact, brute::sum(own, |venue| venue_ranks[venue as usize]).0);
        let expected: Vec<_> = exposures.chunk_by(|a, b| a.contact == b.contact).map(sum).collect();
        let mut found = Vec::new();
        sums.finish(&mut |part| {
            found.extend(part);
            Ok(())
        })
        .unwrap();
        assert_eq!(found, expected);
    });
}
