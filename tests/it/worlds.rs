//! Small adversarial worlds: times on a coarse grid around midnight, so that ties and touching spans are common.

use std::collections::{BTreeMap, BTreeSet};

use ringtrace::config::{ContactConfig, ContactThreshold, Cumulative, Edges, StayRule, ThresholdOverride};
use ringtrace::error::Result;
use ringtrace::ids::{Id, IdTable, IdType, NO_KEY};
use ringtrace::records::scans::{Direction, NOT_LEFT};
use ringtrace::records::venues::VenueFacts;
use ringtrace::rings::{Plan, Seeds, Sink, Traced, expand};
use ringtrace::store::memory::MemoryVisits;
use ringtrace::store::persons::Persons;
use ringtrace::store::{Venues, VisitSource};
use ringtrace::visits::{EndSource, Scan, StayRules, Visit, Visits};

use crate::random::Random;

/// An id of its own type, ordered as that type is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum OwnId {
    /// A number.
    Int(i64),
    /// A number without sign.
    Uint(u64),
    /// A text.
    Text(String),
}

impl OwnId {
    /// As the code takes it.
    pub fn borrow(&self) -> Id<'_> {
        match self {
            OwnId::Int(id) => Id::Int(*id),
            OwnId::Uint(id) => Id::Uint(*id),
            OwnId::Text(id) => Id::Text(id),
        }
    }
}

/// `count` distinct ids whose order is not that of their positions: `10` before `9` in text, negative numbers, numbers
/// past those with a sign.
pub fn ids(random: &mut Random, kind: IdType, count: u32) -> Vec<OwnId> {
    let mut numbers: Vec<i64> = (0..i64::from(count)).map(|n| n * 3 - 4).collect();
    random.shuffle(&mut numbers);
    let id = |n: i64| match kind {
        IdType::Int => OwnId::Int(n),
        IdType::Uint => OwnId::Uint(n as u64),
        IdType::Text => OwnId::Text(n.to_string()),
    };
    numbers.into_iter().map(id).collect()
}

/// A table in which each id's key is its position.
pub fn table(kind: IdType, ids: &[OwnId]) -> IdTable {
    let mut table = IdTable::new(kind);
    for (key, id) in ids.iter().enumerate() {
        assert_eq!(table.key_or_insert(id.borrow()) as usize, key);
    }
    table
}

/// Visits, cases and places with everything a trace of them depends on. Keys are positions in the id lists.
#[derive(Clone, Debug)]
pub struct World {
    /// Type of every id.
    pub kind: IdType,
    /// Person ids; those from `with_visits` on are in the case list only.
    pub persons: Vec<OwnId>,
    /// How many persons the visit source knows.
    pub with_visits: usize,
    /// Venue ids.
    pub venues: Vec<OwnId>,
    /// Venue categories.
    pub categories: Vec<Option<String>>,
    /// All visits, in no order.
    pub visits: Vec<Visit>,
    /// Person keys with windows.
    pub cases: Vec<(u32, (u32, u32))>,
    /// Window ids.
    pub windows: Vec<OwnId>,
    /// Window key, venue key, span.
    pub places: Vec<(u32, u32, (u32, u32))>,
    /// The rules.
    pub contacts: ContactConfig,
    /// Every time in the world is a multiple of this many seconds after the first.
    pub tick: u32,
}

/// What a world must or must not hold.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// Whatever comes.
    Any,
    /// No person is twice at one venue at once, as in every store.
    Joined,
    /// As `Joined`, with a cumulative rule.
    Cumulative,
}

/// Steps of time: one second, a minute, ten minutes, an hour.
const TICKS: [u32; 4] = [1, 60, 600, 3_600];

/// The first instant of the grid: within one grid of a midnight, on days from the first ever to near the last.
fn start(random: &mut Random, tick: u32, ticks: u32) -> u32 {
    let midnight = random.pick(&[1, 2, 19_052, 49_700]) * 86_400;
    midnight - random.below(ticks.min(86_400 / tick)) * tick
}

/// A world.
pub fn world(random: &mut Random, shape: Shape) -> World {
    let tick = random.pick(&TICKS);
    let ticks = random.pick(&[6, 20, 60, 100]);
    let start = start(random, tick, ticks);
    let (people, places) = match random.below(10) {
        0 => (random.within(1..=2), 1),
        1 => (30, 1),
        2 => (random.within(2..=4), random.within(1..=2)),
        3 | 4 => (12, 6), // sparse, for long chains
        _ => (random.within(2..=9), random.within(1..=4)),
    };
    let kind = random.pick(&[IdType::Int, IdType::Uint, IdType::Text]);
    let extra = random.below(3);
    let instant = |random: &mut Random| start + random.below(ticks) * tick;
    let mut visits = Vec::new();
    let each = random.within(1..=3);
    for _ in 0..random.within(0..=people * each) {
        let arrived = instant(random);
        let mut length = random.within(1..=8);
        if random.chance(8) {
            length += 86_400 / tick * random.within(0..=2);
        }
        visits.push(Visit {
            person: random.below(people),
            venue: random.below(places),
            arrived,
            left: arrived + length * tick,
            seen_until: arrived + random.within(0..=length) * tick,
            end_source: EndSource::CheckOut,
        });
    }
    if shape != Shape::Any {
        visits = crate::brute::join(visits);
    }
    let span = |random: &mut Random| {
        let from = instant(random);
        match random.below(6) {
            0 => (from, from),
            1 => (0, u32::MAX),
            _ => (from, from + random.within(1..=ticks) * tick),
        }
    };
    let mut cases = Vec::new();
    for _ in 0..random.pick(&[0, 1, 1, 2, 3]) {
        let person = random.below(people + extra);
        for _ in 0..random.pick(&[1, 1, 2, 3]) {
            let window = span(random);
            cases.push((person, window));
            if random.chance(20) {
                cases.push((person, (window.1, window.1.saturating_add(tick)))); // touches it
            }
        }
    }
    let windows = random.pick(&[0, 0, 1, 3]);
    let mut sites = Vec::new();
    for _ in 0..windows * 2 {
        let (from, until) = span(random);
        if from < until {
            sites.push((random.below(windows), random.below(places), (from, until)));
        }
    }
    let contacts = contacts(random, tick, shape);
    World {
        kind,
        persons: ids(random, kind, people + extra),
        with_visits: people as usize,
        venues: ids(random, kind, places),
        categories: (0..places)
            .map(|_| random.pick(&[None, Some("a"), Some("b")]).map(String::from))
            .collect(),
        visits,
        cases,
        windows: ids(random, kind, windows),
        places: sites,
        contacts,
        tick,
    }
}

/// Some hundred persons in a few crowds, where every visit meets many.
pub fn crowd(random: &mut Random) -> World {
    let (people, places) = (random.within(200..=400), random.within(1..=4));
    let start = 19_052 * 86_400 - 20 * 60;
    let mut visits = Vec::new();
    for person in 0..people {
        for _ in 0..random.within(1..=10) {
            let arrived = start + random.below(60) * 60;
            let left = arrived + random.within(1..=15) * 60;
            let some = arrived + random.below(left - arrived);
            let seen_until = random.pick(&[left, arrived, some]);
            let (venue, end_source) = (random.below(places), EndSource::CheckOut);
            visits.push(Visit { person, venue, arrived, left, seen_until, end_source });
        }
    }
    let threshold = ContactThreshold { min_overlap_s: random.pick(&[0, 300]), linger_s: 0, exclude: false };
    let kind = random.pick(&[IdType::Int, IdType::Uint, IdType::Text]);
    World {
        kind,
        persons: ids(random, kind, people),
        with_visits: people as usize,
        venues: ids(random, kind, places),
        categories: vec![None; places as usize],
        visits,
        cases: (0..3).map(|_| (random.below(people), (start, start + random.within(20..=60) * 60))).collect(),
        windows: Vec::new(),
        places: Vec::new(),
        contacts: ContactConfig {
            other: threshold,
            by_category: BTreeMap::new(),
            rings: 3,
            cumulative: None,
            lookback_s: 0,
            infectious_for_s: 0,
            edges: random.pick(&[Edges::All, Edges::Best]),
        },
        tick: 60,
    }
}

/// Contact rules whose lengths lie on the grid or one second beside it.
fn contacts(random: &mut Random, tick: u32, shape: Shape) -> ContactConfig {
    let threshold = |random: &mut Random| ContactThreshold {
        min_overlap_s: random.pick(&[0, 0, 1, tick, tick, 2 * tick - 1, 2 * tick, 2 * tick + 1, 9 * tick]),
        linger_s: random.pick(&[0, 0, 0, tick, 4 * tick]),
        exclude: random.chance(10),
    };
    let other = ContactThreshold { exclude: false, ..threshold(random) };
    let mut by_category = BTreeMap::new();
    if random.chance(60) {
        let own = threshold(random);
        let differs = ThresholdOverride {
            min_overlap_s: random.chance(70).then_some(own.min_overlap_s),
            linger_s: random.chance(70).then_some(own.linger_s),
            exclude: own.exclude,
        };
        by_category.insert("a".to_string(), differs);
    }
    let period_s = tick * random.pick(&[1, 2, 5, 9, 30, 200]);
    let cumulative = (shape == Shape::Cumulative)
        .then(|| Cumulative { threshold_s: random.within(1..=period_s.min(12 * tick)), period_s });
    ContactConfig {
        other,
        by_category,
        rings: random.within(1..=4) as u8,
        cumulative,
        lookback_s: 0,
        infectious_for_s: 0,
        edges: random.pick(&[Edges::All, Edges::Best]),
    }
}

impl World {
    /// Sorts the ids as those of a few ingests are, each ingest's by themselves; where each ingest's end.
    pub fn in_runs(&mut self, random: &mut Random) -> Vec<usize> {
        let mut ends = vec![self.with_visits];
        for _ in 0..random.pick(&[0, 0, 1, 2]) {
            ends.push(random.below(self.with_visits as u32) as usize);
        }
        ends.sort_unstable();
        ends.dedup();
        ends.retain(|end| *end > 0);
        let mut from = 0;
        for end in &ends {
            self.persons[from..*end].sort();
            from = *end;
        }
        ends
    }

    /// Sorts the ids as those of one ingest are; where it ends.
    pub fn in_one_run(&mut self) -> Vec<usize> {
        self.persons[..self.with_visits].sort();
        vec![self.with_visits]
    }

    /// Its visits by day, each day sorted by person, arrival, venue.
    pub fn days(&self) -> BTreeMap<u32, Visits> {
        let mut days: BTreeMap<u32, Vec<Visit>> = BTreeMap::new();
        for visit in &self.visits {
            days.entry(visit.arrived / 86_400).or_default().push(*visit);
        }
        if let Some(last) = days.keys().last().copied() {
            days.insert(last + 1, Vec::new()); // an empty day
        }
        let sorted = |mut visits: Vec<Visit>| -> Visits {
            visits.sort_by_key(|v| (v.person, v.arrived, v.venue));
            visits.into_iter().collect()
        };
        days.into_iter().map(|(day, visits)| (day, sorted(visits))).collect()
    }

    /// Its venues.
    pub fn known_venues(&self) -> Venues {
        let facts =
            |category: &Option<String>| VenueFacts { category: category.clone(), ..Default::default() };
        Venues {
            ids: table(self.kind, &self.venues),
            parent: vec![NO_KEY; self.venues.len()],
            facts: self.categories.iter().map(facts).collect(),
        }
    }

    /// What a store of this world would answer.
    pub fn source(&self) -> MemoryVisits {
        let persons = table(self.kind, &self.persons[..self.with_visits]);
        MemoryVisits::new(Persons::held(persons), self.known_venues(), self.days())
    }

    /// Persons as a trace of those visits knows them: its own first, then those of the case list.
    pub fn known_persons(&self, visits: &dyn VisitSource) -> Result<Persons> {
        let mut persons = visits.persons().clone();
        for (key, id) in (0..).zip(&self.persons).skip(self.with_visits) {
            let keys = persons.absorb(&[&table(self.kind, std::slice::from_ref(id))])?;
            assert_eq!(keys, [[Some(key)]], "new ids get the next keys");
        }
        Ok(persons)
    }

    /// Follows its cases and places in those visits.
    pub fn trace(&self, visits: &dyn VisitSource, plan: Plan<'_>) -> Result<Traced> {
        let mut traced = Traced::default();
        self.trace_into(visits, plan, &mut traced)?;
        Ok(traced)
    }

    /// Follows its cases and places in those visits, and hands on what it finds.
    pub fn trace_into(&self, visits: &dyn VisitSource, plan: Plan<'_>, sink: &mut dyn Sink) -> Result<()> {
        let (persons, windows) = (self.known_persons(visits)?, table(self.kind, &self.windows));
        let seeds = Seeds {
            persons: &persons,
            cases: self.cases.clone(),
            window_ids: Some(&windows),
            places: self.places.clone(),
        };
        expand(visits, &seeds, plan, sink)
    }

    /// Thresholds at a venue.
    pub fn threshold(&self, venue: u32) -> ContactThreshold {
        let category = self.categories[venue as usize].as_ref();
        let own = category.and_then(|c| self.contacts.by_category.get(c));
        let other = self.contacts.other;
        own.map_or(other, |own| ContactThreshold {
            min_overlap_s: own.min_overlap_s.unwrap_or(other.min_overlap_s),
            linger_s: own.linger_s.unwrap_or(other.linger_s),
            exclude: own.exclude,
        })
    }

    /// The cases as a set of keys.
    pub fn case_set(&self) -> BTreeSet<u32> {
        self.cases.iter().map(|(person, _)| *person).collect()
    }
}

/// Scans of a few persons at a few venues, each once and sorted as `Scans` are, and rules for them.
pub fn scans(random: &mut Random) -> (Vec<Scan>, StayRules) {
    let tick = random.pick(&TICKS);
    let ticks = random.pick(&[5, 12, 40]);
    let start = start(random, tick, ticks);
    let (people, venues) = (random.within(1..=3), random.within(1..=4));
    let out = random.pick(&[0, 30, 50]);
    let stated = random.pick(&[0, 0, 25]);
    let mut scans: Vec<Scan> = (0..random.within(0..=14))
        .map(|_| {
            let at = start + random.below(ticks) * tick;
            let left = if random.chance(stated) { at + random.below(9) * tick } else { NOT_LEFT };
            let direction = if random.chance(out) { Direction::Out } else { Direction::In };
            Scan {
                person: random.below(people),
                at,
                direction,
                venue: random.below(venues),
                left,
                celsius: 0,
            }
        })
        .collect();
    scans.sort();
    scans.dedup();
    let rule = |random: &mut Random| StayRule {
        default_stay_s: random.pick(&[0, 1, 2, 3, 5]) * tick + random.below(2),
        merge_gap_s: random.pick(&[0, 1, 2, 4]) * tick,
    };
    let rules = StayRules {
        by_venue: (0..venues).map(|_| rule(random)).collect(),
        parent: (0..venues).map(|_| if random.chance(30) { random.below(venues) } else { NO_KEY }).collect(),
        next_scan_ends_stay: random.chance(80),
        cap_s: random.pick(&[1, 3, 6, 12, 100]) * tick,
    };
    (scans, rules)
}
