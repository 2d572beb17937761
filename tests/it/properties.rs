//! The code against the definitions: random small worlds, every column.

use std::cell::Cell;

use ringtrace::config::Cumulative;
use ringtrace::contacts::ContactRule;
use ringtrace::contacts::cumulative::adds_up;
use ringtrace::contacts::pairs::{Extent, find};
use ringtrace::person_set::PersonSet;
use ringtrace::records::scans::{Direction, NOT_LEFT};
use ringtrace::rings::{
    Find, Frontier, FrontierPlace, Hop, LocalRunner, Plan, Runner, SourceRef, Traced, join_windows,
};
use ringtrace::store::VisitSource;
use ringtrace::visits::{self, EndSource, Scan, Scans, Visit};

use crate::brute::{self, AllPairsRunner};
use crate::random::{Random, for_seeds};
use crate::worlds::{self, Shape, World};

/// Traces the world in memory with sources counted.
fn trace(world: &World, runner: &dyn Runner) -> Traced {
    let plan = Plan { config: &world.contacts, runner, count_sources: true, sums_bytes: u64::MAX };
    world.trace(&world.source(), plan).expect("memory does not fail")
}

/// Compares every column of a trace with the definition; returns the rows.
fn check_rings(world: &World) -> Vec<brute::Row> {
    let (rows, edges) = brute::rings(world);
    assert_eq!(trace(world, &LocalRunner::BY_COST), brute::traced(&rows, &edges, true), "{world:#?}");
    rows
}

/// Counts how often something rare was met, so that a test can demand that it was.
#[derive(Default)]
struct Met(Cell<u32>);

impl Met {
    fn when(&self, met: bool) {
        self.0.set(self.0.get() + u32::from(met));
    }
}

#[test]
fn oracle_rings_are_those_of_all_pairs() {
    let (third, by_place, overnight, tied) = (Met::default(), Met::default(), Met::default(), Met::default());
    let all = for_seeds("oracle_rings_are_those_of_all_pairs", 10_000, |_, random| {
        let world = worlds::world(random, Shape::Any);
        let rows = check_rings(&world);
        third.when(rows.iter().any(|r| r.ring == 3));
        by_place.when(rows.iter().any(|r| matches!(r.best_source, SourceRef::Window(_))));
        overnight.when(
            rows.iter().any(|r| r.exposed.first_exposed_at / 86_400 < r.exposed.last_exposed_at / 86_400),
        );
        tied.when(rows.iter().any(|r| r.tied));
    });
    for (what, met) in [("ring 3", third), ("places", by_place), ("midnight", overnight), ("ties", tied)] {
        assert!(!all || met.0.get() >= 30, "{what}: met {} times only", met.0.get());
    }
}

#[test]
fn oracle_rings_add_up_second_by_second() {
    let (kept, dropped) = (Met::default(), Met::default());
    let all = for_seeds("oracle_rings_add_up_second_by_second", 4_000, |_, random| {
        let mut world = worlds::world(random, Shape::Cumulative);
        let rows = check_rings(&world);
        kept.when(!rows.is_empty());
        world.contacts.cumulative = None;
        world.contacts.other.min_overlap_s = 0;
        dropped.when(brute::rings(&world).0.len() > rows.len());
    });
    assert!(!all || kept.0.get() >= 100 && dropped.0.get() >= 100, "the rule matters");
}

#[test]
fn oracle_a_period_holds_what_sliding_finds() {
    for_seeds("oracle_a_period_holds_what_sliding_finds", 20_000, |_, random| {
        let midnight = 19_052 * 86_400;
        let mut span = || {
            let from = midnight - 10 + random.below(20);
            (from, from + random.within(1..=12))
        };
        let spans = [span(), span(), span(), span()];
        let period_s = random.within(1..=15);
        let most = brute::most_in(&spans, period_s, 1) as u32;
        let adds_up = |threshold_s| adds_up(&spans, Cumulative { threshold_s, period_s });
        assert!(adds_up(most) && !adds_up(most + 1), "{spans:?} in {period_s} s hold {most} s");
    });
}

#[test]
fn runners_agree_on_whole_traces() {
    for_seeds("runners_agree_on_whole_traces", 3_000, |_, random| {
        let shape = random.pick(&[Shape::Joined, Shape::Cumulative]);
        let world = worlds::world(random, shape);
        let all_pairs = trace(&world, &AllPairsRunner { tick: world.tick });
        assert_eq!(trace(&world, &LocalRunner::BY_COST), all_pairs, "{world:#?}");
    });
}

#[test]
fn runners_agree_on_one_ring() {
    for_seeds("runners_agree_on_one_ring", 3_000, |_, random| {
        let shape = random.pick(&[Shape::Any, Shape::Joined, Shape::Cumulative]);
        let world = worlds::world(random, shape);
        let source = world.source();
        let rule = ContactRule::new(&world.contacts, source.venues());
        // A frontier that `expand` would not make: sources in any order, places among them, some others settled.
        let mut cases: Vec<_> = world.cases.iter().filter(|c| c.0 < world.with_visits as u32).collect();
        cases.sort();
        cases.dedup_by_key(|(person, _)| *person);
        let mut numbers: Vec<u32> = (0..(cases.len() + world.places.len()) as u32).collect();
        random.shuffle(&mut numbers);
        let mut frontier = Frontier::default();
        for ((person, window), number) in cases.iter().zip(&numbers) {
            frontier.push(*person, *number, join_windows(vec![*window]));
        }
        for ((_, venue, (from, until)), source) in world.places.iter().zip(&numbers[cases.len()..]) {
            let (venue, source, from, until) = (*venue, *source, *from, *until);
            frontier.places.push(FrontierPlace { venue, source, from, until });
        }
        let mut others: Vec<u32> = (0..world.with_visits as u32).collect();
        random.shuffle(&mut others);
        let settled = frontier.persons.iter().copied().chain(others.into_iter().take(2));
        frontier.settled = PersonSet::new(world.with_visits, settled);
        let edge = |random: &mut Random| random.below(world.with_visits as u32 + 1);
        let persons =
            if random.chance(50) { 0..world.with_visits as u32 } else { edge(random)..edge(random) };
        let runner = AllPairsRunner { tick: world.tick };
        for keep in [false, true] {
            let hop = Hop { visits: &source, frontier: &frontier, rule: &rule, keep_exposures: keep };
            let ring = |runner: &dyn Runner| {
                let mut contacts = Vec::new();
                let exposures = runner.ring(&hop, persons.clone(), &mut |part| {
                    contacts.extend(part);
                    Ok(())
                });
                (contacts, exposures.unwrap())
            };
            let pairs = ring(&runner);
            for find in [Find::LookUp, Find::Scan] {
                let local = LocalRunner { find, range_visits: 2, collected_max: 2 };
                assert_eq!(ring(&local), pairs, "{find:?}, {persons:?}, {frontier:#?} {world:#?}");
            }
        }
    });
}

#[test]
fn oracle_pairs_are_all_pairs() {
    let met = Met::default();
    let all = for_seeds("oracle_pairs_are_all_pairs", 8_000, |_, random| {
        let shape = random.pick(&[Shape::Any, Shape::Joined, Shape::Cumulative]);
        let world = worlds::world(random, shape);
        let source = world.source();
        let rule = ContactRule::new(&world.contacts, source.venues());
        let (from, until) = period(random, &world);
        let venues: Vec<bool> = world.venues.iter().map(|_| random.chance(80)).collect();
        let extent = Extent { from, until, venues: venues.clone(), memory: u64::MAX };
        let found = find(&source, &extent, &rule).unwrap();

        let mut expected: Vec<_> = brute::pairs(&world, from, until, &venues).into_iter().collect();
        let id = |person: u32| &world.persons[person as usize];
        expected.sort_by_key(|((a, b), _)| (id(*a), id(*b)));
        let found: Vec<_> = found
            .iter()
            .map(|p| ((p.person_a, p.person_b), p.overlap_s, p.exposures, p.first_at, p.last_at))
            .collect();
        let expected: Vec<_> = expected
            .iter()
            .map(|(pair, overlaps)| {
                let sum = overlaps.iter().map(|(lo, hi)| u64::from(hi - lo)).sum();
                let first = overlaps.iter().map(|o| o.0).min().unwrap();
                (*pair, sum, overlaps.len() as u32, first, overlaps.iter().map(|o| o.1).max().unwrap())
            })
            .collect();
        assert_eq!(found, expected, "[{from}, {until}) at {venues:?}: {world:#?}");
        met.when(!expected.is_empty());

        if shape == Shape::Joined {
            let refused = find(&source, &Extent { memory: 0, ..extent }, &rule);
            assert_eq!(
                refused.is_err(),
                !expected.is_empty(),
                "what does not fit is refused, nothing else is"
            );
        }
    });
    assert!(!all || met.0.get() >= 500, "there are pairs");
}

/// Everything, or a part that cuts some visits.
fn period(random: &mut Random, world: &World) -> (u32, u32) {
    let edge = |random: &mut Random| {
        let visit = (!world.visits.is_empty())
            .then(|| world.visits[random.below(world.visits.len() as u32) as usize]);
        let at = visit.map_or(86_400, |v| random.pick(&[v.arrived, v.left]));
        at + random.below(2) * world.tick
    };
    match random.below(3) {
        0 => (0, u32::MAX),
        1 => (edge(random), u32::MAX),
        _ => (edge(random), edge(random)),
    }
}

/// The visits of the code for scans sorted as `Scans` are.
fn built(scans: &[Scan], rules: &visits::StayRules) -> Vec<Visit> {
    visits::build(&scans.iter().copied().collect::<Scans>(), rules).iter().collect()
}

#[test]
fn oracle_visits_follow_the_rules() {
    let ends: [Met; 4] = Default::default();
    let all = for_seeds("oracle_visits_follow_the_rules", 60_000, |_, random| {
        let (scans, rules) = worlds::scans(random);
        let expected = brute::visits(&scans, &rules);
        let told = format!(
            "{scans:#?} stays {:?} parents {:?} next {} cap {}",
            rules.by_venue, rules.parent, rules.next_scan_ends_stay, rules.cap_s
        );
        assert_eq!(built(&scans, &rules), expected, "{told}");
        expected.iter().for_each(|v| ends[v.end_source as usize].when(true));
    });
    assert!(!all || ends.iter().all(|met| met.0.get() >= 1_000), "every way to end is met");
}

#[test]
fn a_check_out_in_the_second_of_the_next_scan_elsewhere_ends_the_stay() {
    // Design, section 3: the earliest of check-out and next scan; they are one instant, so the check-out is no later.
    const H: u32 = 3_600;
    let hour = ringtrace::config::StayRule { default_stay_s: H, merge_gap_s: H };
    let rules = visits::StayRules {
        by_venue: vec![hour; 2],
        parent: vec![ringtrace::ids::NO_KEY; 2],
        next_scan_ends_stay: true,
        cap_s: 12 * H,
    };
    let scan = |venue, at, direction| Scan { person: 0, at, direction, venue, left: NOT_LEFT, celsius: 0 };
    let scans = [scan(0, 0, Direction::In), scan(1, 2 * H, Direction::In), scan(0, 2 * H, Direction::Out)];
    let stay = Visit {
        person: 0,
        venue: 0,
        arrived: 0,
        left: 2 * H,
        seen_until: 2 * H,
        end_source: EndSource::CheckOut,
    };
    assert_eq!(built(&scans, &rules)[0], stay);
}
