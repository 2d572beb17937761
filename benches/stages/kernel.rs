//! The overlap kernels on venues from a kiosk to a stadium, beside two interval libraries, in pairs a second.
//!
//! Data: venue sizes fall off as in a city (a few crowds, many small shops), half of the arrivals in two rush hours,
//! stays from five minutes to a working day, one visitor in fifty a source.

use coitrees::{COITree, Interval, IntervalTree};
use ringtrace::contacts::overlap::{SourceSpan, VenueVisits, sweep};
use ringtrace::contacts::sums::{Crowd, Scratch, Wanted, add_up};
use ringtrace::person_set::PersonSet;

use crate::{Size, best_of, report};

const NEEDED_S: u32 = 600;
const DAY_S: u64 = 86_400;

/// One venue on one day.
struct Venue {
    spans: Vec<SourceSpan>,
    person: Vec<u32>,
    arrived: Vec<u32>,
    left: Vec<u32>,
}

impl Venue {
    fn visits(&self) -> VenueVisits<'_> {
        VenueVisits { person: &self.person, arrived: &self.arrived, left: &self.left }
    }
}

/// Marsaglia's xorshift: the same numbers everywhere.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

fn venue(visitors: u64, random: &mut Random) -> Venue {
    let rows = (0..visitors)
        .map(|person| {
            let rush = [8 * 3_600, 18 * 3_600][random.below(2) as usize];
            let at = if random.below(2) == 0 { rush + random.below(3_600) } else { random.below(DAY_S) };
            let stay = [300, 900, 1_800, 5_400, 28_800][random.below(5) as usize] + random.below(600);
            (at as u32, (at + stay) as u32, person as u32)
        })
        .collect();
    of_rows(rows, 50)
}

/// A match of three hours, every second visitor a source: nearly everyone meets nearly everyone.
fn stadium(visitors: u64, random: &mut Random) -> Venue {
    let rows = (0..visitors)
        .map(|person| {
            let at = 68_400 + random.below(2_400);
            (at as u32, (at + 9_000 + random.below(2_400)) as u32, person as u32)
        })
        .collect();
    of_rows(rows, 2)
}

/// Start, end and person of each visitor; one in `every` is a source.
fn of_rows(mut rows: Vec<(u32, u32, u32)>, every: u32) -> Venue {
    rows.sort_unstable();
    let is_source = |person: u32| person.is_multiple_of(every);
    let span = |&(from, until, person): &(u32, u32, u32)| SourceSpan {
        from,
        until,
        seen_until: until,
        source: person / every,
        person,
    };
    let mut spans: Vec<SourceSpan> = rows.iter().filter(|row| is_source(row.2)).map(span).collect();
    spans.sort_unstable_by_key(SourceSpan::order);
    rows.retain(|row| !is_source(row.2));
    Venue {
        spans,
        person: rows.iter().map(|row| row.2).collect(),
        arrived: rows.iter().map(|row| row.0).collect(),
        left: rows.iter().map(|row| row.1).collect(),
    }
}

/// Pairs that share enough, and the seconds they share: what every way must agree on.
type Answer = (u64, u64);

fn summed(venues: &[Venue], crowd: Crowd) -> Answer {
    let settled = PersonSet::default();
    let wanted = Wanted { settled: &settled, from: 0, until: u32::MAX };
    let (mut scratch, mut sums) = (Scratch::default(), Vec::new());
    scratch.crowd = crowd;
    let mut answer = (0, 0);
    for venue in venues {
        sums.clear();
        add_up(&venue.spans, venue.visits(), None, NEEDED_S, wanted, &mut scratch, &mut sums);
        for sum in &sums {
            answer = (answer.0 + u64::from(sum.exposures), answer.1 + sum.overlap_s);
        }
    }
    answer
}

fn swept(venues: &[Venue]) -> Answer {
    let mut answer = (0, 0);
    for venue in venues {
        sweep(&venue.spans, venue.visits(), NEEDED_S, |_, _, lo, hi| {
            answer = (answer.0 + 1, answer.1 + u64::from(hi - lo));
        });
    }
    answer
}

/// Spans shortened by the threshold, as closed intervals: two of them share a point if the spans share enough.
fn shortened(from: u32, until: u32) -> Option<(i32, i32)> {
    (until - from >= NEEDED_S).then_some((from as i32, (until - NEEDED_S) as i32))
}

fn shared(a: (i32, i32), b: (i32, i32)) -> u64 {
    (a.1.min(b.1) - a.0.max(b.0)) as u64 + u64::from(NEEDED_S)
}

fn by_coitrees(venues: &[Venue]) -> Answer {
    let mut answer = (0, 0);
    for venue in venues {
        let spans = venue.spans.iter().filter_map(|span| shortened(span.from, span.until));
        let intervals: Vec<Interval<u32>> =
            spans.map(|(first, last)| Interval::new(first, last, 0)).collect();
        let tree: COITree<u32, u32> = COITree::new(&intervals);
        for visit in
            venue.arrived.iter().zip(&venue.left).filter_map(|(from, until)| shortened(*from, *until))
        {
            tree.query(visit.0, visit.1, |found| {
                answer = (answer.0 + 1, answer.1 + shared(visit, (found.first, found.last)));
            });
        }
    }
    answer
}

fn by_superintervals(venues: &[Venue]) -> Answer {
    let mut answer = (0, 0);
    let mut found: Vec<u32> = Vec::new();
    for venue in venues {
        let spans: Vec<(i32, i32)> =
            venue.spans.iter().filter_map(|span| shortened(span.from, span.until)).collect();
        let mut map = superintervals::IntervalMap::new();
        map.reserve(spans.len());
        (0..).zip(&spans).for_each(|(at, span)| map.add(span.0, span.1, at));
        map.build();
        for visit in
            venue.arrived.iter().zip(&venue.left).filter_map(|(from, until)| shortened(*from, *until))
        {
            found.clear();
            map.search_values(visit.0, visit.1, &mut found);
            for at in &found {
                answer = (answer.0 + 1, answer.1 + shared(visit, spans[*at as usize]));
            }
        }
    }
    answer
}

/// Measures when it pays to count pairs rather than to meet them.
fn run_crowds(most: u64, runs: usize, random: &mut Random) {
    for visitors in [most / 16, most / 4, most, 4 * most] {
        let venue = [stadium(visitors, random)];
        let met = Crowd { sources: usize::MAX, pairs: 0 };
        let (took, expected) = best_of(runs, || summed(&venue, met));
        println!("kernel, {visitors} in a stadium, half of them sources: {} pairs", expected.0);
        report("  every pair met", took, visitors, "visitors");
        for (way, crowd) in
            [("  pairs counted", Crowd { sources: 0, pairs: 0 }), ("  as add_up chooses", Crowd::default())]
        {
            let (took, answer) = best_of(runs, || summed(&venue, crowd));
            assert_eq!(answer, expected, "{way}: other pairs");
            report(way, took, visitors, "visitors");
        }
    }
}

/// Measures all four ways on the same venues.
pub fn run(size: Size) {
    let (crowd, venues, runs) = if size == Size::Real { (40_000, 20_000, 3) } else { (2_000, 200, 1) };
    let mut random = Random(88_172_645_463_325_252);
    let city: Vec<Venue> = (1..=venues).map(|rank| venue((crowd / rank).max(12), &mut random)).collect();
    let stadium = [venue(crowd, &mut random)];
    for (name, venues) in [("city", &city[..]), ("one crowd", &stadium[..])] {
        let (took, expected) = best_of(runs, || summed(venues, Crowd::default()));
        println!("kernel, {name}: {} venues, {} pairs", venues.len(), expected.0);
        report("  add_up, all sums of a contact", took, expected.0, "pairs");
        for (way, work) in [
            ("  sweep, every pair", swept as fn(&[Venue]) -> Answer),
            ("  coitrees, pairs and their sum only", by_coitrees),
            ("  superintervals, pairs and their sum only", by_superintervals),
        ] {
            let (took, answer) = best_of(runs, || work(venues));
            assert_eq!(answer, expected, "{way}: other pairs than add_up");
            report(way, took, answer.0, "pairs");
        }
    }
    run_crowds(crowd, runs, &mut random);
}
