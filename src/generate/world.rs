//! The unmoving part of a world: cities of up to a million people, districts of 5,000, households of three, venues.
//!
//! People and venues are numbers laid out in a fixed order, so where someone lives and what a venue is can be computed
//! from the number; nothing here grows with the population except the list of workplaces.
//!
//! ```text
//! people   | district 0: 5,000 | district 1 | … | district 199 |   200 districts make a city
//! venues   | per district: 60 shops, 30 for leisure, 20 classes | malls, each with 12 shops | stations | stadium | offices |
//! ```

use super::WorldSpec;
use super::draw::{Draw, Purpose, Ranks, key, mix63};

/// People in a full district.
pub const DISTRICT: u32 = 5_000;
/// Districts in a full city.
const CITY: u32 = 200;

/// Shops of a district, in order of rank.
pub const SHOPS: u32 = 60;
/// Places to eat or to meet in a district; every third one is social.
pub const LEISURE: u32 = 30;
/// School classes of a district: pupils meet by class, not by school.
pub const SCHOOLS: u32 = 20;
/// Shops inside a mall.
pub const MALL_SHOPS: u32 = 12;
const DISTRICT_VENUES: u32 = SHOPS + LEISURE + SCHOOLS;
/// Mean number of people at a workplace, by which offices are counted.
const OFFICE_STAFF: u32 = 25;
/// Percent of the people who work.
pub const WORKERS: u32 = 45;
/// Percent of the people who go to school.
pub const PUPILS: u32 = 12;

/// All cities of a world.
pub struct Atlas {
    /// Number of people.
    pub people: u32,
    cities: Vec<City>,
    pseudonym_key: u64,
    venue_key: u64,
}

/// One city: how many venues of each kind, and where their numbers begin.
pub struct City {
    first_district: u32,
    /// Number of districts.
    pub districts: u32,
    first_venue: u32,
    malls: u32,
    stations: u32,
    /// Share of each office in the workforce, summed up from the first to it.
    offices: Vec<u64>,
    mall_ranks: Ranks,
    station_ranks: Ranks,
    /// How many in a thousand go to the stadium on its evening.
    pub crowd_per_mille: u32,
}

/// How a venue records people.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Gate {
    /// A code on the wall: one scan on coming, without a direction.
    Unmarked,
    /// One scan on coming, marked as such.
    In,
    /// Scans on coming and on going.
    InAndOut,
}

/// What `venues.parquet` says about a venue.
pub struct Venue {
    /// Category, which decides how long a stay is taken to be.
    pub category: &'static str,
    /// Number of the district it stands in.
    pub district: u32,
    /// The mall around it.
    pub parent: Option<u32>,
    /// Name for people to read.
    pub name: String,
    /// Latitude in millionths of a degree.
    pub latitude: i32,
    /// Longitude in millionths of a degree.
    pub longitude: i32,
}

impl Atlas {
    /// The cities of that world.
    pub fn new(spec: &WorldSpec) -> Self {
        let mut cities = Vec::new();
        let (mut first_district, mut first_venue) = (0, 1);
        for number in 0..spec.people.div_ceil(DISTRICT * CITY) {
            let people = (spec.people - number * DISTRICT * CITY).min(DISTRICT * CITY);
            let city = City::new(spec.seed, number, people, first_district, first_venue);
            first_district += city.districts;
            first_venue = city.venues_end();
            cities.push(city);
        }
        Atlas {
            people: spec.people,
            cities,
            pseudonym_key: key(spec.seed, Purpose::Pseudonym, 0),
            venue_key: key(spec.seed, Purpose::Venue, 0),
        }
    }

    /// Number of districts.
    pub fn districts(&self) -> u32 {
        self.people.div_ceil(DISTRICT)
    }

    /// The people who live in a district.
    pub fn residents(&self, district: u32) -> std::ops::Range<u32> {
        district * DISTRICT..(district + 1).saturating_mul(DISTRICT).min(self.people)
    }

    /// The city a district belongs to.
    pub fn city(&self, district: u32) -> &City {
        &self.cities[(district / CITY) as usize]
    }

    /// All venue numbers.
    pub fn venues(&self) -> std::ops::Range<u32> {
        1..self.cities.last().map_or(1, City::venues_end)
    }

    /// The `person_id` of a person, distinct for distinct people.
    pub fn pseudonym(&self, person: u32) -> u64 {
        mix63(self.pseudonym_key, u64::from(person))
    }

    /// How a venue records people.
    pub fn gate(&self, venue: u32) -> Gate {
        let city = &self.cities[self.cities.partition_point(|c| c.venues_end() <= venue)];
        let both = if city.first_office() <= venue { 40 } else { 30 };
        let roll = Draw::new(self.venue_key, venue).below(100);
        match roll {
            _ if roll < both => Gate::InAndOut,
            _ if roll < both + 20 => Gate::In,
            _ => Gate::Unmarked,
        }
    }

    /// The first of the `MALL_SHOPS` shops inside a mall, for a venue that is one.
    pub fn shops_inside(&self, venue: u32) -> Option<u32> {
        let city = &self.cities[self.cities.partition_point(|c| c.venues_end() <= venue)];
        let malls = city.first_mall()..city.first_station();
        let is_mall = malls.contains(&venue) && (venue - malls.start).is_multiple_of(1 + MALL_SHOPS);
        is_mall.then_some(venue + 1)
    }

    /// What a venue is.
    pub fn describe(&self, venue: u32) -> Venue {
        let number = self.cities.partition_point(|c| c.venues_end() <= venue);
        let city = &self.cities[number];
        let mut draw = Draw::new(self.venue_key, venue);
        draw.bits(); // the gate's
        let (category, district, parent, label) = city.kind(venue, &mut draw);
        // Cities stand a degree apart; districts two hundredths of a degree, about 2 km, eight in a row.
        let (row, column) = ((district - city.first_district) / 8, (district - city.first_district) % 8);
        let number = number as u32;
        let micro = |degree: u32, step: u32, spot: u32| (degree * 1_000_000 + step * 20_000 + spot) as i32;
        // What is inside a mall stands where the mall stands.
        let mut spot = Draw::new(self.venue_key ^ 1, parent.unwrap_or(venue));
        Venue {
            category,
            district,
            parent,
            name: format!("{label}, {}", district_name(district)),
            latitude: micro(22 + number % 20, row, spot.below(20_000)),
            longitude: micro(100 + number / 20 % 24, column, spot.below(20_000)),
        }
    }
}

/// `region_id` of a district, such as `D001`.
pub fn district_name(district: u32) -> String {
    format!("D{:03}", district + 1)
}

impl City {
    fn new(seed: u64, number: u32, people: u32, first_district: u32, first_venue: u32) -> Self {
        let key_of_city = key(seed, Purpose::City, 0);
        let staff = people / 100 * WORKERS;
        let sizes = key(seed, Purpose::Office, number);
        let mut total = 0;
        let offices = (0..(staff / OFFICE_STAFF).max(1)).map(|office| {
            total += Draw::new(sizes, office).wide_lognormal();
            total
        });
        // A station is counted by its gates: people of one train meet, not those of one building.
        let (malls, stations) = ((people / 10_000).clamp(2, 100), (people / 1_000).clamp(2, 250));
        City {
            first_district,
            districts: people.div_ceil(DISTRICT),
            first_venue,
            malls,
            stations,
            offices: offices.collect(),
            mall_ranks: Ranks::new(malls, 3),
            station_ranks: Ranks::new(stations, 5),
            crowd_per_mille: Draw::new(key_of_city, number).between(4, 20),
        }
    }

    /// The shop of that rank in a district.
    pub fn shop(&self, district: u32, rank: u32) -> u32 {
        self.first_venue + (district - self.first_district) * DISTRICT_VENUES + rank
    }

    /// The place to eat or meet of that rank in a district.
    pub fn leisure(&self, district: u32, rank: u32) -> u32 {
        self.shop(district, SHOPS + rank)
    }

    /// A school of a district.
    pub fn school(&self, district: u32, number: u32) -> u32 {
        self.shop(district, SHOPS + LEISURE + number)
    }

    /// A mall, the busy ones more often.
    pub fn pick_mall(&self, draw: &mut Draw) -> u32 {
        self.first_mall() + self.mall_ranks.pick(draw) * (1 + MALL_SHOPS)
    }

    /// A station, the busy ones more often.
    pub fn pick_station(&self, draw: &mut Draw) -> u32 {
        self.first_station() + self.station_ranks.pick(draw)
    }

    /// The stadium.
    pub fn stadium(&self) -> u32 {
        self.first_station() + self.stations
    }

    /// A workplace, the large ones more often.
    pub fn pick_office(&self, draw: &mut Draw) -> u32 {
        let total = self.offices.last().copied().unwrap_or(1);
        let at = ((u128::from(draw.bits()) * u128::from(total)) >> 64) as u64;
        self.first_office() + self.offices.partition_point(|until| *until <= at) as u32
    }

    /// Any district of the city.
    pub fn pick_district(&self, draw: &mut Draw) -> u32 {
        self.first_district + draw.below(self.districts)
    }

    fn first_mall(&self) -> u32 {
        self.first_venue + self.districts * DISTRICT_VENUES
    }

    fn first_station(&self) -> u32 {
        self.first_mall() + self.malls * (1 + MALL_SHOPS)
    }

    fn first_office(&self) -> u32 {
        self.stadium() + 1
    }

    fn venues_end(&self) -> u32 {
        self.first_office() + self.offices.len() as u32
    }

    /// Category, district, parent and name of a venue; `draw` places those that belong to no district.
    fn kind(&self, venue: u32, draw: &mut Draw) -> (&'static str, u32, Option<u32>, String) {
        if venue < self.first_mall() {
            let at = venue - self.first_venue;
            let (district, at) = (self.first_district + at / DISTRICT_VENUES, at % DISTRICT_VENUES);
            let (category, number) = match at {
                _ if at < SHOPS => ("shop", at),
                _ if at >= SHOPS + LEISURE => ("school", at - SHOPS - LEISURE),
                _ if (at - SHOPS) % 3 == 2 => ("social", (at - SHOPS) / 3),
                _ => ("meal", at - SHOPS - (at - SHOPS) / 3),
            };
            return (category, district, None, format!("{category} {}", number + 1));
        }
        if venue < self.first_station() {
            let at = venue - self.first_mall();
            let (mall, inside) = (at / (1 + MALL_SHOPS), at % (1 + MALL_SHOPS));
            let district = self.first_district + mall * self.districts / self.malls;
            return match inside {
                0 => ("mall", district, None, format!("mall {}", mall + 1)),
                _ => ("shop", district, Some(venue - inside), format!("shop {inside} in mall {}", mall + 1)),
            };
        }
        let district = self.pick_district(draw);
        if venue < self.stadium() {
            ("transport", district, None, format!("station {}", venue - self.first_station() + 1))
        } else if venue == self.stadium() {
            ("stadium", district, None, "stadium".into())
        } else {
            ("office", district, None, format!("office {}", venue - self.first_office() + 1))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_venue_has_a_category_and_lies_in_a_district() {
        let atlas =
            Atlas::new(&WorldSpec { people: 1_045_000, days: 3, seed: 1, first_day: 19_000, facts: false });
        assert_eq!(atlas.districts(), 209);
        assert_eq!(atlas.residents(208), 1_040_000..1_045_000);
        let mut counts = std::collections::BTreeMap::new();
        for venue in atlas.venues() {
            let is = atlas.describe(venue);
            assert!(is.district < atlas.districts(), "{}", is.name);
            assert!(is.parent.is_none_or(|mall| atlas.describe(mall).category == "mall"), "{}", is.name);
            *counts.entry(is.category).or_insert(0_u32) += 1;
        }
        assert_eq!(counts["shop"], 209 * SHOPS + 104 * MALL_SHOPS);
        assert_eq!(counts["meal"] + counts["social"], 209 * LEISURE);
        assert_eq!((counts["mall"], counts["stadium"], counts["school"]), (104, 2, 209 * SCHOOLS));
        assert_eq!(counts["office"], 18_000 + 810);
    }

    #[test]
    fn drawn_venues_are_of_the_kind_asked_for() {
        let atlas =
            Atlas::new(&WorldSpec { people: 50_000, days: 3, seed: 1, first_day: 19_000, facts: false });
        let city = atlas.city(0);
        let mut draw = Draw::new(5, 5);
        for _ in 0..1_000 {
            assert_eq!(atlas.describe(city.pick_mall(&mut draw)).category, "mall");
            assert_eq!(atlas.describe(city.pick_station(&mut draw)).category, "transport");
            assert_eq!(atlas.describe(city.pick_office(&mut draw)).category, "office");
            let district = city.pick_district(&mut draw);
            assert_eq!(atlas.describe(city.school(district, 3)).category, "school");
        }
    }
}
