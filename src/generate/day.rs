//! One day's scans: who goes where and when, and which of it the scanners record.
//!
//! A person's trips of a day never overlap. Drawn in order of importance (the stadium, an outing of the household,
//! work or school, shopping, a train), a trip that does not fit between the earlier ones is dropped.

use rayon::prelude::*;

use super::draw::{Draw, Purpose, Ranks, key};
use super::planted::Planted;
use super::row::{Direction, Row};
use super::world::{Atlas, City, Gate, LEISURE, MALL_SHOPS, PUPILS, SCHOOLS, SHOPS, WORKERS};
use super::{DAY, HOUR, MINUTE, WorldSpec};

/// A stay someone makes, in seconds of the day.
#[derive(Clone, Copy)]
struct Trip {
    venue: u32,
    from: u32,
    until: u32,
}

/// All scans of one day in order of arrival. `late` holds the scans that the days before left for this one, and
/// afterwards those that this day leaves for the next.
pub fn scans(spec: &WorldSpec, atlas: &Atlas, planted: &Planted, day: u32, late: &mut Vec<Row>) -> Vec<Row> {
    let habits = Habits::new(spec, atlas, planted, day);
    let districts: Vec<Vec<Row>> =
        (0..atlas.districts()).into_par_iter().map(|district| habits.district(district)).collect();
    let mut rows = std::mem::take(late);
    rows.reserve_exact(districts.iter().map(Vec::len).sum());
    for district in districts {
        rows.extend(district);
    }
    rows.extend(planted.scans_on(atlas, day));
    // Equal rows are equal in every bit, so an unstable sort has only one outcome.
    rows.par_sort_unstable();
    let midnight = rows.partition_point(|row| row.second() < DAY);
    late.extend(rows[midnight..].iter().map(|row| row.a_day_later()));
    rows.truncate(midnight);
    rows
}

/// What people do on one day.
struct Habits<'a> {
    atlas: &'a Atlas,
    planted: &'a Planted,
    day: u32,
    weekend: bool,
    stadium_opens: bool,
    person_key: u64,
    person_day_key: u64,
    household_key: u64,
    shops: Ranks,
    leisure: Ranks,
}

/// People of a household; the last one of a district may be smaller.
const HOUSEHOLD: usize = 3;
/// Time to get from one venue to the next.
const WAY: u32 = 15 * MINUTE;

impl<'a> Habits<'a> {
    fn new(spec: &WorldSpec, atlas: &'a Atlas, planted: &'a Planted, day: u32) -> Self {
        Habits {
            atlas,
            planted,
            day,
            weekend: is_weekend(spec.first_day + day),
            stadium_opens: day == stadium_day(spec),
            person_key: key(spec.seed, Purpose::Person, 0),
            person_day_key: key(spec.seed, Purpose::PersonDay, day),
            household_key: key(spec.seed, Purpose::HouseholdDay, day),
            shops: Ranks::new(SHOPS, 10),
            leisure: Ranks::new(LEISURE, 5),
        }
    }

    /// All scans of a district's residents.
    fn district(&self, district: u32) -> Vec<Row> {
        let city = self.atlas.city(district);
        let residents: Vec<u32> = self.atlas.residents(district).collect();
        let mut rows = Vec::with_capacity(residents.len() * 5 / 4);
        let mut trips = Vec::with_capacity(8);
        for household in residents.chunks(HOUSEHOLD) {
            let outing = self.outing(city, district, household[0]);
            for &person in household {
                trips.clear();
                let mut draw = Draw::new(self.person_day_key, person);
                self.plan(city, district, person, outing, &mut draw, &mut trips);
                let first = rows.len();
                self.record(self.atlas.pseudonym(person), &trips, &mut draw, &mut rows);
                if self.planted.holds(person) {
                    let ordinary = rows.split_off(first);
                    rows.extend(ordinary.into_iter().filter(|row| {
                        !self.planted.silences(person, row.venue(), self.day * DAY + row.second())
                    }));
                }
            }
        }
        rows
    }

    /// Where the household goes together, if it goes out.
    fn outing(&self, city: &City, home: u32, household: u32) -> Option<Trip> {
        let mut draw = Draw::new(self.household_key, household);
        if !draw.chance(if self.weekend { 260 } else { 150 }) {
            return None;
        }
        let venue = if draw.chance(300) {
            city.pick_mall(&mut draw)
        } else {
            let district = if draw.chance(150) { city.pick_district(&mut draw) } else { home };
            city.leisure(district, self.leisure.pick(&mut draw))
        };
        let from = if draw.chance(600) {
            draw.normal(19 * HOUR, 3 * HOUR / 2)
        } else {
            draw.between(10 * HOUR, 21 * HOUR)
        };
        let until = from + draw.lognormal(75 * MINUTE).clamp(20 * MINUTE, 4 * HOUR);
        Some(Trip { venue, from, until })
    }

    /// One person's trips of the day.
    fn plan(
        &self,
        city: &City,
        home: u32,
        person: u32,
        outing: Option<Trip>,
        draw: &mut Draw,
        trips: &mut Vec<Trip>,
    ) {
        if self.stadium_opens && draw.chance(city.crowd_per_mille) {
            let from = draw.normal(19 * HOUR + HOUR / 2, HOUR / 4);
            trips.push(Trip { venue: city.stadium(), from, until: from + draw.between(2 * HOUR, 3 * HOUR) });
        }
        if let Some(outing) = outing
            && draw.chance(700)
        {
            // A household does not pass the door in the same second.
            let from = outing.from + draw.below(3 * MINUTE);
            add(trips, Trip { from, until: outing.until + draw.below(3 * MINUTE), ..outing });
        }
        let mut habit = Draw::new(self.person_key, person);
        let duty = self.duty(city, home, &mut habit, draw);
        // Whoever comes home in the morning shops and travels like those who stayed.
        let duty = duty.filter(|duty| add(trips, *duty)).filter(|duty| duty.until < 21 * HOUR);
        if draw.chance(330) {
            let venue = self.pick_shop(city, home, &mut habit, draw);
            let from = match duty {
                Some(duty) => duty.until + draw.between(WAY, 2 * HOUR),
                None if draw.chance(500) => draw.normal(18 * HOUR, 3 * HOUR / 2),
                None => draw.between(8 * HOUR, 21 * HOUR),
            };
            let until = from + draw.lognormal(22 * MINUTE).clamp(3 * MINUTE, 90 * MINUTE);
            add(trips, Trip { venue, from, until });
        }
        if draw.chance(160) {
            let ride = draw.lognormal(18 * MINUTE).clamp(3 * MINUTE, HOUR);
            let morning = draw.chance(500);
            let from = match duty {
                Some(duty) if morning => duty.from - ride - WAY,
                Some(duty) => duty.until + WAY,
                None if morning => draw.normal(8 * HOUR + HOUR / 4, HOUR / 2),
                None => draw.normal(18 * HOUR + HOUR / 4, HOUR),
            };
            add(trips, Trip { venue: city.pick_station(draw), from, until: from + ride });
        }
    }

    /// The stay at work or at school, on the days that a person goes there and scans.
    fn duty(&self, city: &City, home: u32, habit: &mut Draw, draw: &mut Draw) -> Option<Trip> {
        let role = habit.below(100);
        let per_mille = match self.weekend {
            false => 560,
            true if role < WORKERS => 70,
            true => 0,
        };
        if WORKERS + PUPILS <= role || !draw.chance(per_mille) {
            return None;
        }
        if WORKERS <= role {
            let venue = city.school(home, habit.below(SCHOOLS));
            let from = draw.normal(7 * HOUR + 45 * MINUTE, 10 * MINUTE);
            return Some(Trip { venue, from, until: from + draw.normal(8 * HOUR, 30 * MINUTE) });
        }
        let venue = city.pick_office(habit);
        let from = match habit.chance(60) {
            true => draw.normal(21 * HOUR + HOUR / 2, HOUR / 2),
            false => draw.normal(8 * HOUR + 45 * MINUTE, 45 * MINUTE),
        };
        Some(Trip { venue, from, until: from + draw.normal(8 * HOUR + HOUR / 2, HOUR) })
    }

    /// One of the person's three regular shops, or now and then any shop of the city.
    fn pick_shop(&self, city: &City, home: u32, habit: &mut Draw, draw: &mut Draw) -> u32 {
        if draw.chance(100) {
            return city.shop(city.pick_district(draw), self.shops.pick(draw));
        }
        let mut regular = [0; 3].map(|_| self.shops.pick(habit));
        regular.rotate_left(match draw.below(100) {
            0..60 => 0,
            60..85 => 1,
            _ => 2,
        });
        city.shop(home, regular[0])
    }

    /// The scans that these trips leave behind, with the flaws of real ones: forgotten check-outs, second scans a
    /// few minutes after the first, rows sent twice.
    fn record(&self, person_id: u64, trips: &[Trip], draw: &mut Draw, rows: &mut Vec<Row>) {
        let mut push = |second, venue, direction, draw: &mut Draw| {
            let row = Row::new(second, person_id, venue, direction);
            rows.push(row);
            if draw.below(2_000) == 0 {
                rows.push(row);
            }
        };
        for trip in trips {
            let gate = self.atlas.gate(trip.venue);
            let coming = if gate == Gate::Unmarked { Direction::Unknown } else { Direction::In };
            push(trip.from, trip.venue, coming, draw);
            if draw.chance(20) {
                let latest = (5 * MINUTE).min(trip.until - trip.from - 1);
                push(trip.from + draw.between(MINUTE / 2, latest), trip.venue, coming, draw);
            }
            if let Some(shops) = self.atlas.shops_inside(trip.venue)
                && draw.chance(700)
                && 15 * MINUTE < trip.until - trip.from
            {
                let shop = shops + draw.below(MALL_SHOPS);
                push(trip.from + draw.between(6 * MINUTE, 14 * MINUTE), shop, Direction::Unknown, draw);
            }
            if gate == Gate::InAndOut && !draw.chance(80) {
                push(trip.until, trip.venue, Direction::Out, draw);
            }
        }
    }
}

/// Adds a trip if it fits between the others, and says whether it did.
fn add(trips: &mut Vec<Trip>, trip: Trip) -> bool {
    let fits = trips.iter().all(|other| trip.until + WAY <= other.from || other.until + WAY <= trip.from);
    if fits {
        trips.push(trip);
    }
    fits
}

/// Whether a day counted from 1970-01-01, a Thursday, is a Saturday or a Sunday.
fn is_weekend(day: u32) -> bool {
    matches!((day + 4) % 7, 0 | 6)
}

/// The day of the stadium evening: the first Saturday of the second half, or its first day if there is none.
fn stadium_day(spec: &WorldSpec) -> u32 {
    let half = spec.days / 2;
    (half..spec.days).find(|day| (spec.first_day + day + 4) % 7 == 6).unwrap_or(half)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trips_of_a_person_do_not_overlap() {
        let spec = WorldSpec { people: 3_000, days: 8, seed: 4, first_day: 19_000, facts: false };
        let atlas = Atlas::new(&spec);
        let planted = Planted::new(&spec, &atlas);
        let mut longest = 0;
        for day in 0..spec.days {
            let habits = Habits::new(&spec, &atlas, &planted, day);
            for person in 0..spec.people {
                let mut trips = Vec::new();
                let outing = habits.outing(atlas.city(0), 0, person / 3 * 3);
                let mut draw = Draw::new(habits.person_day_key, person);
                habits.plan(atlas.city(0), 0, person, outing, &mut draw, &mut trips);
                trips.sort_by_key(|trip| trip.from);
                assert!(trips.iter().all(|trip| trip.from < trip.until && trip.from < DAY));
                assert!(trips.is_sorted_by(|a, b| a.until + WAY <= b.from), "person {person}");
                longest = longest.max(trips.len());
            }
        }
        assert!((4..=5).contains(&longest));
    }

    #[test]
    fn a_person_scans_about_once_a_day() {
        let spec = WorldSpec { people: 20_000, days: 14, seed: 4, first_day: 19_000, facts: false };
        let atlas = Atlas::new(&spec);
        let planted = Planted::new(&spec, &atlas);
        let mut late = Vec::new();
        let rows: usize =
            (0..spec.days).map(|day| scans(&spec, &atlas, &planted, day, &mut late).len()).sum();
        assert!((250_000..310_000).contains(&rows), "{rows} scans in 14 days");
    }
}
