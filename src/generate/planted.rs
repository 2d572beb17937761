//! Planted truth: cases, their companions and the companions' companions, with meetings known to the second.
//!
//! ```text
//! case       |---- meeting 1 ----|           |-- meeting 2 --|        (inside the case's window)
//! companion a   |---- stay ------|  later...  |---- meeting ----|
//! companion b |-- stay --|                      |-- stay --|          secondary companion of a
//! ```
//!
//! Both sides scan in and out, no other scan of theirs lies near, and no stay outlasts the default stay of its
//! venue's category, so every reading of the rules about where a stay ends finds the same overlap. Chance meetings
//! come on top: an engine must find at least these contacts, and may find a planted secondary companion in ring 1.
//! Asymptomatic and suspected cases have companions too; an engine told to leave such cases out will not find those.

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use super::cases::{self, Case, Status};
use super::draw::{Draw, Purpose, key};
use super::row::{Direction, Row};
use super::world::{Atlas, DISTRICT, LEISURE, SHOPS};
use super::{DAY, HOUR, MINUTE, WorldSpec};

/// A planted stay, in seconds since the world began.
#[derive(Clone, Debug)]
pub struct Stay {
    /// The person.
    pub person: u32,
    /// The venue.
    pub venue: u32,
    /// From arriving to leaving.
    pub span: Range<u32>,
}

/// A planted contact, in seconds since the world began.
#[derive(Clone, Debug)]
pub struct Contact {
    /// Who was infectious.
    pub source: u32,
    /// Who was exposed.
    pub contact: u32,
    /// Where.
    pub venue: u32,
    /// The time both were there.
    pub span: Range<u32>,
    /// 1 for the companions of a case, 2 for theirs.
    pub ring: u8,
}

/// All that is planted in a world.
pub struct Planted {
    /// The cases, one of them withdrawn later.
    pub cases: Vec<Case>,
    /// Every planted stay.
    pub stays: Vec<Stay>,
    /// Every planted contact.
    pub contacts: Vec<Contact>,
    silences: HashMap<u32, Vec<Silence>>,
}

/// A time in which a person leaves no ordinary scan, at one venue or at any.
struct Silence {
    span: Range<u32>,
    venue: Option<u32>,
}

/// Planted people leave no other scan this long before and after a planted stay: enough time to cross a city, so that
/// no journey looks impossible.
const MARGIN: u32 = HOUR;
/// Nor any scan at the same venue this long before and after, which could count as part of the stay.
const MARGIN_AT_VENUE: u32 = 12 * HOUR;
/// Shortest planted overlap.
const OVERLAP_MIN: u32 = 20 * MINUTE;

impl Planted {
    /// The planted truth of that world.
    pub fn new(spec: &WorldSpec, atlas: &Atlas) -> Self {
        let mut planting = Planting {
            atlas,
            end: spec.days * DAY,
            draw: Draw::new(key(spec.seed, Purpose::Planted, 0), 0),
            taken: HashSet::new(),
            stays: Vec::new(),
            contacts: Vec::new(),
        };
        let mut cases = Vec::new();
        for number in 0..cases::count(spec) {
            let person = planting.anyone();
            let case = Case::new(spec, number, person, &mut planting.draw);
            if case.status != Status::Withdrawn {
                planting.companions(&case);
            }
            cases.push(case);
        }
        let Planting { stays, contacts, .. } = planting;
        let silences = silences(&cases, &stays);
        Planted { cases, stays, contacts, silences }
    }

    /// Whether anything is planted around a person.
    pub fn holds(&self, person: u32) -> bool {
        self.silences.contains_key(&person)
    }

    /// Whether an ordinary scan must not appear, because it could blur something planted.
    pub fn silences(&self, person: u32, venue: u32, at: u32) -> bool {
        let silences = self.silences.get(&person).map_or(&[][..], Vec::as_slice);
        silences.iter().any(|s| s.span.contains(&at) && s.venue.is_none_or(|silent| silent == venue))
    }

    /// The scans of all planted stays on one day, its hours after midnight not included.
    pub fn scans_on<'a>(&'a self, atlas: &'a Atlas, day: u32) -> impl Iterator<Item = Row> + 'a {
        let scans = self.stays.iter().flat_map(|stay| {
            [(stay.span.start, Direction::In), (stay.span.end, Direction::Out)].map(|scan| (stay, scan))
        });
        scans.filter(move |(_, (at, _))| at / DAY == day).map(move |(stay, (at, direction))| {
            Row::new(at % DAY, atlas.pseudonym(stay.person), stay.venue, direction)
        })
    }
}

/// Silence around every planted stay, and while a case is isolated.
fn silences(cases: &[Case], stays: &[Stay]) -> HashMap<u32, Vec<Silence>> {
    let mut silences: HashMap<u32, Vec<Silence>> = HashMap::new();
    let around = |span: &Range<u32>, margin| span.start.saturating_sub(margin)..span.end + margin + 1;
    for stay in stays {
        let of_person = silences.entry(stay.person).or_default();
        of_person.push(Silence { span: around(&stay.span, MARGIN), venue: None });
        of_person.push(Silence { span: around(&stay.span, MARGIN_AT_VENUE), venue: Some(stay.venue) });
    }
    for case in cases.iter().filter(|case| case.status != Status::Withdrawn) {
        let span = case.isolated..case.recovered.unwrap_or(u32::MAX);
        silences.entry(case.person).or_default().push(Silence { span, venue: None });
    }
    silences
}

/// Planting in progress.
struct Planting<'a> {
    atlas: &'a Atlas,
    /// End of the world's last day.
    end: u32,
    draw: Draw,
    /// People with a part to play; nobody plays two.
    taken: HashSet<u32>,
    stays: Vec<Stay>,
    contacts: Vec<Contact>,
}

impl Planting<'_> {
    /// Plants 3 to 6 companions of a case, met in ones and twos, and two companions of the first of them.
    fn companions(&mut self, case: &Case) {
        let home = case.person / DISTRICT;
        let window = case.window();
        let window = window.start..window.end.min(self.end);
        let mut left = self.draw.between(3, 6);
        let mut busy = Vec::new();
        let mut first: Option<Stay> = None;
        while 0 < left {
            // The first companion needs a day to meet others before the world ends.
            let last = if first.is_none() { window.end.min(self.end - DAY) } else { window.end };
            let Some(meeting) = self.meeting(case.person, home, window.start..last, &mut busy) else { break };
            for _ in 0..self.draw.between(1, 2).min(left) {
                let companion = self.neighbor(home);
                let stay = self.join(&meeting, companion, 1);
                first.get_or_insert(stay);
                left -= 1;
            }
        }
        if let Some(first) = first {
            self.secondary_companions(home, &first);
        }
    }

    /// Plants two people whom a companion meets after meeting the case.
    fn secondary_companions(&mut self, home: u32, companion: &Stay) {
        let mut busy = vec![companion.clone()];
        let later = companion.span.end + HOUR..self.end.min(companion.span.end + 4 * DAY);
        for _ in 0..2 {
            let Some(meeting) = self.meeting(companion.person, home, later.clone(), &mut busy) else { break };
            let secondary = self.neighbor(home);
            self.join(&meeting, secondary, 2);
        }
    }

    /// Plants a stay of `person` for others to join, inside `span` and at a venue of the district `home` where the
    /// person is not `busy` yet, and adds it to `busy`.
    fn meeting(&mut self, person: u32, home: u32, span: Range<u32>, busy: &mut Vec<Stay>) -> Option<Meeting> {
        let city = self.atlas.city(home);
        // Default stays are 30 minutes in shops and 90 where people eat or meet; stay + 2 slack must not exceed them.
        let (venue, length, slack) = loop {
            let (venue, minutes, slack) = match self.draw.chance(250) {
                true => (city.shop(home, self.draw.below(SHOPS)), 24..=26, MINUTE),
                false => (city.leisure(home, self.draw.below(LEISURE)), 42..=65, 10 * MINUTE),
            };
            if busy.iter().all(|stay| stay.venue != venue) {
                let seconds = self.draw.between(minutes.start() * MINUTE, minutes.end() * MINUTE);
                break (venue, seconds, slack);
            }
        };
        let from = self.free_time(span, length + 2 * slack, busy)? + slack;
        let stay = Stay { person, venue, span: from..from + length };
        busy.push(stay.clone());
        self.stays.push(stay.clone());
        Some(Meeting { stay, slack })
    }

    /// A start for something of that length within `span`, by day and clear of the `busy` times.
    fn free_time(&mut self, span: Range<u32>, length: u32, busy: &[Stay]) -> Option<u32> {
        const STEP: u32 = 15 * MINUTE;
        // Up to a step is added to the start, so that meetings do not all begin on the quarter.
        let length = length + STEP;
        let fits = |from: &u32| {
            let until = from + length;
            let clear =
                |stay: &Stay| until + 2 * MARGIN <= stay.span.start || stay.span.end + 2 * MARGIN <= *from;
            (8 * HOUR..20 * HOUR).contains(&(from % DAY)) && until <= span.end && busy.iter().all(clear)
        };
        let starts = (span.start.div_ceil(STEP)..span.end / STEP).map(|step| step * STEP);
        let free: Vec<u32> = starts.filter(fits).collect();
        if free.is_empty() {
            return None;
        }
        Some(free[self.draw.below(free.len() as u32) as usize] + self.draw.below(STEP))
    }

    /// Plants a companion's stay at a meeting, come and gone up to the slack earlier or later, and the contact.
    fn join(&mut self, meeting: &Meeting, companion: u32, ring: u8) -> Stay {
        let Meeting { stay, slack } = meeting;
        let mut shift = |at: u32| at - slack + self.draw.below(2 * slack + 1);
        let span = shift(stay.span.start)..shift(stay.span.end);
        let overlap = span.start.max(stay.span.start)..span.end.min(stay.span.end);
        assert!(OVERLAP_MIN <= overlap.end - overlap.start, "slack leaves the shortest overlap");
        let (source, venue) = (stay.person, stay.venue);
        self.contacts.push(Contact { source, contact: companion, venue, span: overlap, ring });
        let joined = Stay { person: companion, venue, span };
        self.stays.push(joined.clone());
        joined
    }

    /// Someone without a part yet.
    fn anyone(&mut self) -> u32 {
        loop {
            let person = self.draw.below(self.atlas.people);
            if self.taken.insert(person) {
                return person;
            }
        }
    }

    /// Someone without a part yet who lives in that district, or anywhere if few such are left there.
    fn neighbor(&mut self, district: u32) -> u32 {
        let residents = self.atlas.residents(district);
        for _ in 0..16 {
            let person = residents.start + self.draw.below(residents.end - residents.start);
            if self.taken.insert(person) {
                return person;
            }
        }
        self.anyone()
    }
}

/// A stay that others join, and by how much they may come or go earlier or later.
struct Meeting {
    stay: Stay,
    slack: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(spec: WorldSpec) {
        let atlas = Atlas::new(&spec);
        let planted = Planted::new(&spec, &atlas);
        let cases: HashMap<u32, &Case> = planted.cases.iter().map(|case| (case.person, case)).collect();
        assert_eq!(cases.len() as u32, cases::count(&spec), "cases are distinct");
        let mut companions: HashMap<u32, Vec<&Contact>> = HashMap::new();
        let mut met = HashMap::new();
        for contact in &planted.contacts {
            companions.entry(contact.source).or_default().push(contact);
            assert!(!cases.contains_key(&contact.contact));
            assert!(met.insert(contact.contact, contact).is_none(), "a companion is met once");
            assert!(OVERLAP_MIN <= contact.span.end - contact.span.start);
        }
        for case in &planted.cases {
            let window = case.window();
            assert!(case.onset.is_none_or(|onset| onset - 2 * DAY == window.start));
            let Some(met) = companions.get(&case.person) else {
                assert_eq!(case.status, Status::Withdrawn);
                continue;
            };
            assert!((3..=6).contains(&met.len()), "{} companions", met.len());
            assert!(met.iter().all(|c| window.start <= c.span.start && c.span.end <= window.end));
            let first = met[0];
            let secondary = &companions[&first.contact];
            assert_eq!(secondary.len(), 2);
            assert!(secondary.iter().all(|c| c.ring == 2 && first.span.end < c.span.start));
        }
        let mut stays = planted.stays.clone();
        stays.sort_by_key(|stay| (stay.person, stay.span.start));
        for pair in stays.windows(2).filter(|pair| pair[0].person == pair[1].person) {
            assert!(pair[0].span.end + MARGIN <= pair[1].span.start);
            assert_ne!(pair[0].venue, pair[1].venue);
        }
        assert!(stays.iter().all(|stay| stay.span.end < spec.days * DAY));
    }

    #[test]
    fn every_case_has_its_companions_in_its_window() {
        for seed in 0..40 {
            check(WorldSpec { people: 100, days: 3, seed, first_day: 19_000, facts: false });
            check(WorldSpec { people: 20_010, days: 5, seed, first_day: 19_000, facts: false });
            check(WorldSpec { people: 400_000, days: 14, seed, first_day: 19_000, facts: false });
        }
    }
}
