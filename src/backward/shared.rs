//! Where several cases were, against how many of them chance alone would bring there.

use std::collections::{BTreeMap, BTreeSet};

use rayon::prelude::*;
use statrs::distribution::{DiscreteCDF, Hypergeometric};

use super::visits_of;
use crate::error::Result;
use crate::store::VisitSource;
use crate::store::traffic::{HOUR_S, Traffic, traffic};
use crate::time::Second;

/// A venue, or a venue and hour, at which cases were.
#[derive(Clone, Debug, PartialEq)]
pub struct Shared {
    /// Venue key.
    pub venue: u32,
    /// Start of the hour; `None` for the whole period.
    pub hour: Option<Second>,
    /// Keys of the cases that were there, each in the time looked at for it.
    pub who: Vec<u32>,
    /// Different persons that were there, cases or not.
    pub visitors: u64,
    /// The chance that as many cases or more would be there if cases were people like any other.
    ///
    /// Exact for cases drawn without regard to where they go: the upper tail of the hypergeometric distribution, `n` cases of
    /// `N` persons, `visitors` of whom came here. Conservative, as a case counts only in its own time, everyone else in all of
    /// it.
    pub chance: f64,
}

impl Shared {
    /// How many cases were there.
    pub fn cases(&self) -> u64 {
        self.who.len() as u64
    }
}

/// Places that cases have in common.
pub struct SharedPlaces {
    /// Persons who were anywhere in the period.
    pub persons: u64,
    /// Cases among them.
    pub cases: u64,
    /// Cases who were anywhere in their own time.
    pub seen: u64,
    /// Venues that could have been found.
    pub venues: u64,
    /// Hours of the period.
    pub hours: u64,
    /// Venues that at least so many cases visited as were asked for, the least likely by chance first.
    pub at_venues: Vec<Shared>,
    /// Venues and hours likewise.
    pub at_hours: Vec<Shared>,
    /// What happened in the period.
    pub traffic: Traffic,
}

impl SharedPlaces {
    /// How many cases chance would bring to a place with so many visitors, in thousandths.
    pub fn expected_thousandths(&self, visitors: u64) -> i64 {
        let all = u128::from(self.persons.max(1));
        ((u128::from(visitors) * u128::from(self.cases) * 1_000 + all / 2) / all) as i64
    }

    /// A chance as it counts when that many places were looked at: multiplied by their number (Bonferroni).
    pub fn adjusted(&self, shared: &Shared) -> f64 {
        let looked_at = self.venues * if shared.hour.is_some() { self.hours } else { 1 };
        (shared.chance * looked_at as f64).min(1.0)
    }
}

/// What is asked: each case with the time in which its visits count, and how many cases make a place worth naming.
pub struct Question<'a> {
    /// Person keys with `[from, until)`.
    pub cases: &'a [(u32, (Second, Second))],
    /// Cases at a place, at least.
    pub least: u64,
    /// Whether hours are wanted, too.
    pub by_hour: bool,
    /// The period whose visitors the cases are compared with.
    pub period: (Second, Second),
}

/// The venues, and the venues and hours, that several cases visited, with everyone who came there.
///
/// # Errors
/// Those of reading the visits.
pub fn shared(visits: &dyn VisitSource, question: &Question<'_>) -> Result<SharedPlaces> {
    let windows: BTreeMap<u32, (Second, Second)> = question.cases.iter().copied().collect();
    let stays = visits_of(visits, windows.keys().copied(), question.period)?;
    let mut at_venue: BTreeMap<u32, BTreeSet<u32>> = BTreeMap::new();
    let mut at_hour: BTreeMap<(u32, Second), BTreeSet<u32>> = BTreeMap::new();
    let mut seen: BTreeSet<u32> = BTreeSet::new();
    for stay in stays.values().flatten() {
        let (from, until) = windows[&stay.person];
        let (from, until) = (stay.arrived.max(from), stay.left.min(until));
        if from >= until {
            continue;
        }
        seen.insert(stay.person);
        at_venue.entry(stay.venue).or_default().insert(stay.person);
        for hour in (from / HOUR_S..=(until - 1) / HOUR_S).filter(|_| question.by_hour) {
            at_hour.entry((stay.venue, hour * HOUR_S)).or_default().insert(stay.person);
        }
    }
    let enough = |persons: &BTreeSet<u32>| persons.len() as u64 >= question.least;
    at_venue.retain(|_, persons| enough(persons));
    at_hour.retain(|_, persons| enough(persons));
    let wanted: Vec<u32> = at_venue.keys().copied().collect();
    let traffic = traffic(visits, question.period, &wanted)?;
    let persons = traffic.persons();
    let cases = windows.keys().filter(|person| traffic.has(**person)).count() as u64;
    let place = |venue: u32, hour: Option<Second>, who: &BTreeSet<u32>, visitors: u64| {
        let here = who.len() as u64;
        let chance = tail(persons, visitors, cases, here);
        Shared { venue, hour, who: who.iter().copied().collect(), visitors, chance }
    };
    let mut at_venues: Vec<Shared> = at_venue
        .iter()
        .map(|(venue, here)| {
            let visitors = traffic.at_venue.get(venue).map_or(0, |(_, visitors)| *visitors);
            place(*venue, None, here, visitors)
        })
        .collect();
    let at_hours: Result<Vec<Shared>> = at_hour
        .par_iter()
        .map(|((venue, hour), here)| {
            let there = present(visits, *venue, (*hour, hour + HOUR_S))?;
            Ok(place(*venue, Some(*hour), here, there))
        })
        .collect();
    let mut at_hours = at_hours?;
    let ids = visits.venues().ids.ids();
    let by_chance = |a: &Shared, b: &Shared| {
        let venue = |shared: &Shared| ids.get(shared.venue as usize);
        let cases = b.cases().cmp(&a.cases());
        a.chance
            .total_cmp(&b.chance)
            .then(cases)
            .then_with(|| venue(a).cmp(&venue(b)))
            .then(a.hour.cmp(&b.hour))
    };
    at_venues.sort_by(by_chance);
    at_hours.sort_by(by_chance);
    let (from, until) = question.period;
    let hours = u64::from(until.saturating_sub(from).div_ceil(HOUR_S));
    let venues = visits.venues().ids.len() as u64;
    Ok(SharedPlaces { persons, cases, seen: seen.len() as u64, venues, hours, at_venues, at_hours, traffic })
}

/// How many different persons were at a venue at some instant of `[from, until)`.
fn present(visits: &dyn VisitSource, venue: u32, (from, until): (Second, Second)) -> Result<u64> {
    let mut persons = BTreeSet::new();
    for (day, _) in visits.days().iter().enumerate().filter(|(_, day)| day.overlaps(from, until)) {
        let rows = visits.rows_meeting(day, venue, from, until)?;
        let (keys, times) = (visits.keys(day, rows.clone())?, visits.times(day, rows)?);
        let stay = |row: usize| (keys.venue[row], keys.person[row], times.arrived[row], times.left[row]);
        let there = (0..keys.person.len()).map(stay).filter(|(at, _, arrived, left)| {
            *at == venue && *arrived < until && from < *left && arrived < left
        });
        persons.extend(there.map(|(_, person, ..)| person));
    }
    Ok(persons.len() as u64)
}

/// The chance of `here` or more of `cases` persons drawn from `persons`, of whom `visitors` are of a kind, being of it.
fn tail(persons: u64, visitors: u64, cases: u64, here: u64) -> f64 {
    if here == 0 {
        return 1.0;
    }
    match Hypergeometric::new(persons, visitors.min(persons), cases.min(persons)) {
        Ok(distribution) => distribution.sf(here - 1).clamp(0.0, 1.0),
        Err(_) => 1.0,
    }
}

#[cfg(test)]
mod tests {
    use super::tail;

    #[test]
    fn the_tail_is_that_of_drawing_without_putting_back() {
        // 10 persons, 4 visitors, 3 cases: C(4,2)C(6,1) + C(4,3) = 40 of C(10,3) = 120 draws hold two visitors or more.
        assert!((tail(10, 4, 3, 2) - 40.0 / 120.0).abs() < 1e-12);
        assert!((tail(10, 4, 3, 3) - 4.0 / 120.0).abs() < 1e-12);
        assert_eq!(tail(10, 4, 3, 0), 1.0);
        assert!((tail(10, 4, 3, 1) - 100.0 / 120.0).abs() < 1e-12);
    }
}
