//! Facts that follow from two tables: living in a community that is closed, having stayed in a region that has a level.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap, HashSet};

use jiff::civil::Date;
use rayon::prelude::*;

use super::kind::{Basis, COLUMNS_MAX, FactKind, REACHES, Told, ToldCell};
use super::orders::{Support, is_health_fact};
use super::{Fact, Facts, merge, reject};
use crate::colors::Scheme;
use crate::config::Config;
use crate::error::Result;
use crate::ids::{IdTable, IdType, NO_KEY};
use crate::records::rejects::Reason;
use crate::records::told::{self, ORDER_DAYS, PlaceRow, StayRow};
use crate::records::{self, FileRows, InputRow, venues};
use crate::store::{Measured, VisitSource};
use crate::time::{DAY_S, FOREVER, Second, end_of_day, local_date};
use crate::words::w;

/// Days back of which no one asks: further than the first instant there is.
const FAR_DAYS: u32 = 100_000;
/// The warmest reading there is, hundredths of a degree Celsius.
const CELSIUS_MAX: u16 = 5_000;

/// Venues of a range whose visits are looked at together.
const RANGE_VISITS: u64 = 1 << 18;

/// The region each person lives in.
#[derive(Clone, Default)]
pub struct Residences {
    names: Vec<String>,
    /// Number of the region by person key, as far as any is known.
    of: Vec<u32>,
    /// By region, how many live there of whom nothing else is known, so that they have no key.
    strangers: Vec<u64>,
}

impl Residences {
    /// The region a person lives in, if it is known.
    pub fn of(&self, person: u32) -> Option<&str> {
        let region = *self.of.get(person as usize)?;
        self.names.get(region as usize).map(String::as_str)
    }

    /// How many live in each region, also of whom nothing else is known.
    pub fn counts(&self) -> BTreeMap<String, u64> {
        let mut counts = self.strangers.clone();
        self.of.iter().filter(|region| **region != NO_KEY).for_each(|region| counts[*region as usize] += 1);
        self.names.iter().cloned().zip(counts).filter(|(_, count)| *count > 0).collect()
    }

    /// How many of the persons for whom `counts` holds live in each region.
    pub fn counts_of(&self, counts: impl Fn(u32) -> bool) -> BTreeMap<&str, u64> {
        let mut found = BTreeMap::new();
        let known = (0..).zip(&self.of).filter(|(_, region)| **region != NO_KEY);
        for (_, region) in known.filter(|(person, _)| counts(*person)) {
            *found.entry(self.names[*region as usize].as_str()).or_default() += 1;
        }
        found
    }
}

/// A row of residences with its person's key, and its places as numbers in the order of their names.
struct Home {
    person: u32,
    region: u32,
    community: Option<u32>,
    file: u32,
    row: u64,
}

/// By key in their file the smallest region of each resident who has no key of ours, else `NO_KEY`.
fn strangers_of(rows: &[venues::ResidenceRow], keys: &[Option<u32>], regions: &[u32]) -> Vec<u32> {
    let mut region_of = vec![NO_KEY; keys.len()];
    for row in rows.iter().filter(|row| keys[row.person as usize].is_none()) {
        let region = &mut region_of[row.person as usize];
        *region = regions[row.region as usize].min(*region);
    }
    region_of
}

/// Residents without a key, by file: their ids with the smallest of their regions.
#[derive(Default)]
struct Strangers(Vec<(IdTable, Vec<u32>)>);

impl Strangers {
    /// How many there are by region; whoever is in several files counts once, in the smallest region.
    fn counts(self, regions: usize, kind: IdType) -> Vec<u64> {
        let region_of = match <[_; 1]>::try_from(self.0) {
            Ok([(_, region_of)]) => region_of,
            Err(files) => {
                let mut region_of = Vec::new();
                let keys = IdTable::new(kind).absorb(&files.iter().map(|(ids, _)| ids).collect::<Vec<_>>());
                for (keys, (_, regions)) in keys.iter().zip(&files) {
                    for (key, region) in
                        keys.iter().zip(regions).filter_map(|(key, region)| Some(((*key)?, region)))
                    {
                        region_of.resize(region_of.len().max(key as usize + 1), NO_KEY);
                        region_of[key as usize] = region_of[key as usize].min(*region);
                    }
                }
                region_of
            }
        };
        let mut counts = vec![0; regions];
        region_of.iter().filter(|region| **region != NO_KEY).for_each(|region| counts[*region as usize] += 1);
        counts
    }
}

impl Facts {
    /// Reads residences, and communities, which make living there a fact. With `as_of`, here and below, what became known
    /// then or later is left out. Residences of persons of whom nothing else is known are of no use; their rows are
    /// accepted.
    ///
    /// # Errors
    /// Those of reading the files; so below.
    pub(super) fn read_residences(&mut self, config: &Config, as_of: Option<Second>) -> Result<()> {
        let communities = match config.table("communities").paths.is_empty() {
            true => Vec::new(),
            false => self.read_places("communities", config, as_of)?,
        };
        let table = config.table("residences");
        if table.paths.is_empty() {
            return Ok(());
        }
        let mut files = venues::read_residences(&records::stamp("residences", table)?, table)?;
        let end = as_of.unwrap_or(FOREVER);
        files.iter_mut().for_each(|file| file.rows.retain(|row| row.known_at < end));
        // Whoever lives in one of the communities is known by that.
        let listed: HashSet<&str> = communities.iter().map(|row| row.place.as_str()).collect();
        let mut residents = Vec::new();
        let places = |file: &FileRows<_>, table: usize| -> Vec<String> {
            let ids = file.ids[table].ids();
            (0..ids.len()).map(|key| ids.get(key).to_string()).collect()
        };
        for file in &files {
            let meant: Vec<bool> = places(file, 2).iter().map(|place| listed.contains(&**place)).collect();
            let mut ids = IdTable::new(file.ids[0].ids().kind());
            for row in file.rows.iter().filter(|row| meant.get(row.community as usize) == Some(&true)) {
                ids.key_or_insert(file.ids[0].ids().get(row.person as usize));
            }
            residents.push(ids);
        }
        self.persons.absorb(&residents.iter().collect::<Vec<_>>())?;
        let mut names: Vec<String> =
            files.iter().flat_map(|file| [places(file, 1), places(file, 2)]).flatten().collect();
        names.sort_unstable();
        names.dedup();
        let mut homes: Vec<Home> = Vec::new();
        let mut strangers = Strangers::default();
        for (number, file) in (0..).zip(&mut files) {
            let keys = self.persons.keys(file.ids[0].ids())?;
            let ranks = |table: usize| -> Vec<u32> {
                let rank = |place| names.binary_search(place).expect("one of those gathered") as u32;
                places(file, table).iter().map(rank).collect()
            };
            let (regions, communities) = (ranks(1), ranks(2));
            let strangers_of_file = strangers_of(&file.rows, &keys, &regions);
            homes.extend(file.rows.iter().filter_map(|row| {
                let community = communities.get(row.community as usize).copied();
                let (person, region) = (keys[row.person as usize]?, regions[row.region as usize]);
                Some(Home { person, region, community, file: number, row: row.row })
            }));
            file.rows = Vec::new();
            strangers.0.push((std::mem::take(&mut file.ids).swap_remove(0), strangers_of_file));
        }
        // Of contradicting rows the smallest region stands, whatever order they come in.
        homes
            .par_sort_unstable_by_key(|home| (home.person, home.region, home.community, home.file, home.row));
        let mut of = vec![NO_KEY; self.persons.len()];
        let mut last: Option<&Home> = None;
        let mut living: Vec<&Home> = Vec::new();
        for home in &homes {
            let before = last.filter(|last| last.person == home.person);
            match before {
                Some(first) if of[home.person as usize] != home.region => {
                    reject(&mut files[home.file as usize], home.row, "person_id", Reason::Contradicts);
                    last = Some(first);
                    continue;
                }
                Some(before) if before.community == home.community => merge(&mut files[home.file as usize]),
                _ => living.extend(home.community.map(|_| home)),
            }
            of[home.person as usize] = home.region;
            last = Some(home);
        }
        let files_of: Vec<std::sync::Arc<str>> =
            files.iter().map(|file| file.balance.file.as_str().into()).collect();
        let mut rows_of: HashMap<&str, Vec<&PlaceRow>> = HashMap::new();
        communities.iter().for_each(|row| rows_of.entry(&row.place).or_default().push(row));
        for home in living {
            let community = &names[home.community.expect("chosen for it") as usize];
            for row in rows_of.get(community.as_str()).into_iter().flatten() {
                let basis = InputRow { file: files_of[home.file as usize].clone(), row: home.row };
                let place = ToldCell::Text(row.place.as_str().into());
                let told = Told {
                    kind: FactKind::Residence,
                    at: row.from,
                    until: row.until,
                    known_at: row.known_at,
                    cells: [Some(ToldCell::Word(row.word)), Some(place), None, None],
                    place: Some(row.at.clone()),
                    basis: Basis::Row(basis),
                };
                self.told.push((home.person, told));
            }
        }
        let strangers = strangers.counts(names.len(), self.persons.kind());
        self.residences = Residences { names, of, strangers };
        self.close(files);
        Ok(())
    }

    /// Reads trips and regions, and finds the stays in those regions that one of the schemes can mean.
    pub(super) fn read_regions(
        &mut self,
        config: &Config,
        visits: &dyn VisitSource,
        as_of: Option<Second>,
        schemes: &[&Scheme],
    ) -> Result<()> {
        let (trips, at) = match config.table("trips").paths.is_empty() {
            true => (Vec::new(), Vec::new()),
            false => self.read_trips(config, as_of)?,
        };
        let trip = |(stay, row): (&StayRow, &InputRow)| {
            let cells = [Some(ToldCell::Text(stay.region.as_str().into())), None, None, None];
            let (at, until, known_at) = (stay.from, Some(stay.until), stay.known_at);
            let basis = Basis::Row(row.clone());
            (stay.person, Told { kind: FactKind::Trip, at, until, known_at, cells, place: None, basis })
        };
        self.told.extend(trips.iter().zip(&at).map(trip));
        if config.table("regions").paths.is_empty() {
            if !trips.is_empty() {
                self.notes.push(w(
                    "trips are given but no regions: which level they have cannot be said",
                    "有行程而无地区风险等级表：无法得知所到地区的等级",
                ));
            }
            return Ok(());
        }
        let regions = Regions::new(self.read_places("regions", config, as_of)?, as_of, schemes)?;
        let mut stays = regions.of_visits(visits, as_of)?;
        let mut trip_stays = Stays::default();
        let corrected = self.corrected();
        let wrong = |trip: &StayRow| {
            let made = corrected.get(&(trip.person, FactKind::Trip.word().to_string(), trip.from));
            made.is_some_and(|made| trip.known_at <= *made)
        };
        let mut near: HashMap<&str, Vec<u32>> = HashMap::new();
        for (number, trip) in (0..).zip(&trips).filter(|(_, trip)| !wrong(trip)) {
            let near = near.entry(&trip.region).or_insert_with(|| regions.near(&trip.region));
            for place in near {
                let (of, span) = ((trip.person, *place), (trip.from, trip.until));
                regions.keep(&mut stays.0, of, span, Came::Trip(number));
                regions.keep_from(&mut trip_stays.0, of, span, Came::Trip(number), 0);
            }
        }
        // Orders of any age need the stays of their time, which rules may not ask for any more, nor the last stay show.
        let of_trip: Vec<(InputRow, Second)> =
            at.into_iter().zip(trips.iter().map(|trip| trip.known_at)).collect();
        self.order_support.extend(regions.supports(
            visits,
            as_of,
            &self.ordered(),
            (&trip_stays, &of_trip),
        )?);
        stays.compact(&regions, visits);
        self.told.extend(stays.0.into_iter().map(|stay| (stay.person, regions.fact(&stay, &of_trip))));
        Ok(())
    }

    /// Reads the temperatures measured with scans of which one of the schemes, or an order, can make something.
    pub(super) fn read_measured(
        &mut self,
        visits: &dyn VisitSource,
        as_of: Option<Second>,
        schemes: &[&Scheme],
    ) -> Result<()> {
        if schemes.is_empty() {
            return Ok(());
        }
        let told = |measured: Measured| Told {
            kind: FactKind::Temperature,
            at: measured.at,
            until: None,
            known_at: measured.at,
            cells: [Some(ToldCell::Number(measured.celsius.into())), None, None, None],
            place: None,
            basis: Basis::Visit(measured.venue),
        };
        let probe = |celsius: u16| told(Measured { person: 0, venue: 0, at: 0, celsius });
        let meant: Vec<bool> = (0..=CELSIUS_MAX).map(|celsius| can_mean(&probe(celsius), schemes)).collect();
        let oldest = oldest(FactKind::Temperature, as_of, schemes)?;
        let (ordered, corrected) = (self.ordered(), self.corrected());
        let of_orders = ordered.values().min().map_or(oldest, |at| at.saturating_sub(ORDER_DAYS * DAY_S));
        let wanted = |measured: &Measured| {
            let recent = oldest <= measured.at || ordered.contains_key(&measured.person);
            recent && meant.get(usize::from(measured.celsius)) == Some(&true)
        };
        let end = as_of.unwrap_or(FOREVER);
        let mut measured = visits.temperatures(oldest.min(of_orders), end, &wanted)?;
        let ids = visits.venues().ids.ids();
        measured.sort_unstable_by(|a, b| {
            let venue = |measured: &Measured| ids.get(measured.venue as usize);
            let key = |measured: &Measured| (measured.person, measured.at, measured.celsius);
            key(a).cmp(&key(b)).then_with(|| venue(a).cmp(&venue(b)))
        });
        measured.dedup_by_key(|measured| (measured.person, measured.at, measured.celsius));
        let fever = schemes.iter().map(|scheme| scheme.fever).min().unwrap_or(i64::MAX);
        for measured in measured {
            let told = told(measured);
            let key = (measured.person, FactKind::Temperature.word().to_string(), measured.at);
            let wrong = corrected.get(&key).is_some_and(|made| told.known_at <= *made);
            if ordered.contains_key(&measured.person) && is_health_fact(&told, fever) && !wrong {
                self.order_support.push((measured.person, Support::of(&told)));
            }
            if oldest <= measured.at {
                self.told.push((measured.person, told));
            }
        }
        Ok(())
    }

    /// The rows of communities or regions that are known; of those about the same place and start the last known.
    fn read_places(&mut self, name: &str, config: &Config, as_of: Option<Second>) -> Result<Vec<PlaceRow>> {
        let table = config.table(name);
        let mut files = told::read_places(name, &records::stamp(name, table)?, table)?;
        let mut rows: Vec<(PlaceRow, usize)> = Vec::new();
        for (number, file) in files.iter_mut().enumerate() {
            let end = as_of.unwrap_or(FOREVER);
            let known =
                std::mem::take(&mut file.rows).into_iter().filter(|row| row.known_at < end && row.from < end);
            rows.extend(known.map(|row| (row, number)));
        }
        // Of rows about the same place and start the last known stand: a word that was wrong is replaced by the right one.
        let same = |a: &PlaceRow, b: &PlaceRow| (&a.place, a.from) == (&b.place, b.from);
        rows.sort_by_cached_key(|(row, _)| {
            let until = row.until.unwrap_or(FOREVER);
            let start = (row.place.clone(), row.from);
            (start, Reverse(row.known_at), row.word, until, row.county.clone(), row.at.clone())
        });
        let mut last_known = 0;
        rows.dedup_by(|next, kept| {
            if !same(&next.0, &kept.0) {
                last_known = 0;
                return false;
            }
            last_known = last_known.max(kept.0.known_at);
            let repeats = next.0.word == kept.0.word || next.0.known_at < last_known;
            if repeats {
                merge(&mut files[next.1]);
                kept.0.county = kept.0.county.take().or(next.0.county.take());
            }
            repeats
        });
        self.close(files);
        let mut rows: Vec<PlaceRow> = rows.into_iter().map(|(row, _)| row).collect();
        // A place has one word at a time: what has no end of its own ends when the next begins.
        rows.sort_by(|a, b| (&a.place, a.from, a).cmp(&(&b.place, b.from, b)));
        for at in 1..rows.len() {
            let (before, after) = rows.split_at_mut(at);
            let (last, next) = (&mut before[at - 1], &after[0]);
            if last.place == next.place && last.from < next.from && last.until.is_none() {
                last.until = Some(next.from);
            }
        }
        Ok(rows)
    }

    /// The trips that are known, each with where it stands.
    fn read_trips(
        &mut self,
        config: &Config,
        as_of: Option<Second>,
    ) -> Result<(Vec<StayRow>, Vec<InputRow>)> {
        let table = config.table("trips");
        let mut files = told::read_trips(&records::stamp("trips", table)?, table)?;
        let keys = self.persons.absorb(&files.iter().map(|f| &f.ids[0]).collect::<Vec<&IdTable>>())?;
        let mut stays: Vec<(StayRow, usize, u64)> = Vec::new();
        for (number, (file, keys)) in files.iter_mut().zip(keys).enumerate() {
            for (row, stay) in std::mem::take(&mut file.rows) {
                let end = as_of.unwrap_or(FOREVER);
                if stay.known_at >= end || stay.from >= end {
                    continue;
                }
                // What lasts beyond the night has lasted until the night.
                let stay = StayRow { until: stay.until.min(end - 1).max(stay.from), ..stay };
                match keys[stay.person as usize] {
                    Some(person) => stays.push((StayRow { person, ..stay }, number, row)),
                    None => reject(file, row, "person_id", Reason::ForeignId),
                }
            }
        }
        stays.par_sort_unstable_by(|(a, a_file, a_row), (b, b_file, b_row)| {
            let last = |stay: &StayRow| (Reverse(stay.known_at), stay.until);
            let trip = |stay: &StayRow| (stay.person, stay.from);
            (trip(a), &a.region, last(a), a_file, a_row).cmp(&(trip(b), &b.region, last(b), b_file, b_row))
        });
        stays.dedup_by(|next, kept| {
            let same =
                (next.0.person, next.0.from, &next.0.region) == (kept.0.person, kept.0.from, &kept.0.region);
            if same {
                merge(&mut files[next.1]);
            }
            same
        });
        let names: Vec<std::sync::Arc<str>> =
            files.iter().map(|file| file.balance.file.as_str().into()).collect();
        self.close(files);
        Ok(stays
            .into_iter()
            .map(|(stay, file, row)| (stay, InputRow { file: names[file].clone(), row }))
            .unzip())
    }
}

/// Whether a rule of one of the schemes, or an order, can make something of the fact.
fn can_mean(told: &Told, schemes: &[&Scheme]) -> bool {
    let means = |scheme: &&Scheme| {
        is_health_fact(told, scheme.fever) || scheme.rules.iter().any(|rule| rule.means(&Fact::Told(told)))
    };
    schemes.iter().any(means)
}

/// The first instant of which facts of this kind can still matter on the night that ends with `as_of`.
fn oldest(kind: FactKind, as_of: Option<Second>, schemes: &[&Scheme]) -> Result<Second> {
    let Some(end) = as_of else { return Ok(0) };
    let since = |scheme: &&Scheme| -> Result<Second> {
        let date = local_date(end - 1, &scheme.time_zone);
        let earlier = |days: u32| date.saturating_sub(jiff::Span::new().days(i64::from(days)));
        // An order of 14 days looks back 14 more.
        let order = earlier(2 * ORDER_DAYS + 2);
        let first = scheme.longest(kind).map_or(Date::MIN, |days| earlier(days.min(FAR_DAYS))).min(order);
        Ok(if first.year() < 1970 { 0 } else { end_of_day(first, &scheme.time_zone)? })
    };
    let all: Vec<Second> = schemes.iter().map(since).collect::<Result<_>>()?;
    Ok(all.into_iter().min().unwrap_or(0))
}

/// The regions that have a level which someone asks about.
struct Regions {
    rows: Vec<PlaceRow>,
    county: HashMap<String, String>,
    /// By row and reach: whether a rule can mean such a stay.
    meant: Vec<bool>,
    /// A stay that ended before is too old for every rule.
    since: Second,
    /// Whether every rule counts from the end of a stay, so that of several the last decides.
    last_decides: bool,
}

/// How someone came to stay in a region.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Came {
    /// By a visit to the venue of this key.
    Visit(u32),
    /// By the trip of this number.
    Trip(u32),
}

/// A stay of a person that a region's row means.
#[derive(Clone, Copy, Debug)]
struct Stay {
    person: u32,
    /// Row and reach: twice the row's number, and one more for a stay elsewhere in its county.
    near: u32,
    from: Second,
    until: Second,
    came: Came,
}

/// Stays. Where every rule counts from the end of a stay only the last of each person under each row is kept: it ends
/// last; of those the longest, then a visit to the smallest venue id.
#[derive(Default)]
struct Stays(Vec<Stay>);

impl Stays {
    fn compact(&mut self, regions: &Regions, visits: &dyn VisitSource) {
        let ids = visits.venues().ids.ids();
        let order = |a: &Stay, b: &Stay| {
            let key = |stay: &Stay| (stay.person, stay.near, Reverse(stay.until), stay.from);
            key(a).cmp(&key(b)).then_with(|| match (a.came, b.came) {
                (Came::Visit(a), Came::Visit(b)) => ids.get(a as usize).cmp(&ids.get(b as usize)),
                (Came::Trip(a), Came::Trip(b)) => a.cmp(&b),
                (Came::Visit(_), Came::Trip(_)) => std::cmp::Ordering::Less,
                (Came::Trip(_), Came::Visit(_)) => std::cmp::Ordering::Greater,
            })
        };
        self.0.par_sort_unstable_by(order);
        match regions.last_decides {
            true => self.0.dedup_by_key(|stay| (stay.person, stay.near)),
            false => self.0.dedup_by_key(|stay| (stay.person, stay.near, stay.from, stay.until)),
        }
    }

    /// Adds what another thread found. What piles up is thinned out, so that it stays near one stay a person.
    fn join(mut self, mut other: Stays, regions: &Regions, visits: &dyn VisitSource) -> Stays {
        if self.0.len() < other.0.len() {
            std::mem::swap(&mut self, &mut other);
        }
        self.0.append(&mut other.0);
        self.compact(regions, visits);
        self
    }
}

impl Regions {
    fn new(rows: Vec<PlaceRow>, as_of: Option<Second>, schemes: &[&Scheme]) -> Result<Regions> {
        let county = rows.iter().filter_map(|row| Some((row.place.clone(), row.county.clone()?))).collect();
        let last_decides = schemes.iter().all(|scheme| scheme.counts_from_end_alone(FactKind::RegionStay));
        let mut regions = Regions { meant: Vec::new(), rows, county, since: 0, last_decides };
        let means = |near: usize| can_mean(&regions.told(near as u32, 0, 0, Basis::Visit(NO_KEY)), schemes);
        let meant = (0..2 * regions.rows.len()).map(means).collect();
        regions.meant = meant;
        regions.since = oldest(FactKind::RegionStay, as_of, schemes)?;
        Ok(regions)
    }

    fn county_of<'a>(&'a self, region: &'a str) -> &'a str {
        self.county.get(region).map_or(region, String::as_str)
    }

    /// The region, and what it lies in: its county, the city of that, and so on.
    fn around<'a>(&'a self, region: &'a str) -> Vec<&'a str> {
        let mut around = vec![region];
        while let Some(outer) = self.county.get(around[around.len() - 1]) {
            // Rows that contradict each other could lead around in a circle.
            if around.contains(&outer.as_str()) {
                break;
            }
            around.push(outer);
        }
        around
    }

    /// The rows that a stay in the region comes near, and how near, as in [`Stay::near`]: it is in every region around it,
    /// and near the others of its county.
    fn near(&self, region: &str) -> Vec<u32> {
        let (county, around) = (self.county_of(region), self.around(region));
        let reach = |row: &PlaceRow| {
            if around.contains(&row.place.as_str()) {
                return Some(0);
            }
            (self.county_of(&row.place) == county).then_some(1)
        };
        let near = self.rows.iter().enumerate().filter_map(|(at, row)| Some(2 * at as u32 + reach(row)?));
        near.filter(|near| self.meant[*near as usize]).collect()
    }

    /// Keeps the stay under a row that still held when it began, or came to hold later.
    fn keep(&self, stays: &mut Vec<Stay>, of: (u32, u32), span: (Second, Second), came: Came) {
        self.keep_from(stays, of, span, came, self.since);
    }

    /// As [`Regions::keep`], with another instant before which a stay is too old.
    fn keep_from(
        &self,
        stays: &mut Vec<Stay>,
        (person, near): (u32, u32),
        (from, until): (Second, Second),
        came: Came,
        since: Second,
    ) {
        let level_until = self.rows[near as usize / 2].until.unwrap_or(FOREVER);
        let until = until.min(level_until);
        if level_until > from && until >= since {
            stays.push(Stay { person, near, from, until, came });
        }
    }

    /// The last stay of everyone who visited a venue of such a region, in one pass over the days that matter.
    fn of_visits(&self, visits: &dyn VisitSource, as_of: Option<Second>) -> Result<Stays> {
        let venues = visits.venues();
        let mut near: HashMap<&str, u32> = HashMap::new();
        let mut lists: Vec<Vec<u32>> = vec![Vec::new()];
        let of_venue: Vec<u32> = (0..venues.ids.len())
            .map(|key| {
                let Some(region) = venues.facts[key].region_id.as_deref() else { return 0 };
                *near.entry(region).or_insert_with(|| {
                    let list = self.near(region);
                    if list.is_empty() {
                        return 0;
                    }
                    lists.push(list);
                    lists.len() as u32 - 1
                })
            })
            .collect();
        if lists.len() == 1 {
            return Ok(Stays::default());
        }
        let mut pieces = Vec::new();
        let recent = |extent: &crate::store::DayExtent| extent.left_max >= self.since;
        for (day, extent) in visits.days().iter().enumerate().filter(|(_, extent)| recent(extent)) {
            let ranges = visits.venue_ranges(&[day], (extent.rows / RANGE_VISITS).max(1) as usize)?;
            pieces.extend(ranges.into_iter().map(|range| (day, range)));
        }
        let stays_of = |(day, range): &(usize, std::ops::Range<u32>)| -> Result<Stays> {
            let mut stays = Vec::new();
            let rows = visits.rows_at(*day, range.clone())?;
            let keys = visits.keys(*day, rows.clone())?;
            let meant = |venue: &u32| range.contains(venue) && of_venue[*venue as usize] > 0;
            if !keys.venue.iter().any(meant) {
                return Ok(Stays::default());
            }
            let times = visits.times(*day, rows)?;
            let begun = |row: &usize| as_of.is_none_or(|end| times.arrived[*row] < end);
            for (row, venue) in
                keys.venue.iter().enumerate().filter(|(row, venue)| meant(venue) && begun(row))
            {
                // A stay inferred past the night has lasted until the night.
                let until = as_of.map_or(times.left[row], |end| times.left[row].min(end - 1));
                let span = (times.arrived[row].min(until), until);
                for near in &lists[of_venue[*venue as usize] as usize] {
                    self.keep(&mut stays, (keys.person[row], *near), span, Came::Visit(*venue));
                }
            }
            let mut stays = Stays(stays);
            stays.compact(self, visits);
            Ok(stays)
        };
        let join = |a: Stays, b: Stays| Ok(a.join(b, self, visits));
        pieces.par_iter().map(stays_of).try_reduce(Stays::default, join)
    }

    /// The stay as a fact, known once both the level and the stay are.
    fn fact(&self, stay: &Stay, trips: &[(InputRow, Second)]) -> Told {
        let (basis, known_at) = match stay.came {
            Came::Visit(venue) => (Basis::Visit(venue), stay.from),
            Came::Trip(number) => {
                let (row, known_at) = &trips[number as usize];
                (Basis::Row(row.clone()), *known_at)
            }
        };
        let told = self.told(stay.near, stay.from, stay.until, basis);
        Told { known_at: told.known_at.max(known_at), ..told }
    }

    /// Every stay at risk of the persons about whom there is an order, from 14 days before the first one. It supports an
    /// order from when both had begun, the stay and the level.
    fn supports(
        &self,
        visits: &dyn VisitSource,
        as_of: Option<Second>,
        ordered: &BTreeMap<u32, Second>,
        (trips, of_trip): (&Stays, &[(InputRow, Second)]),
    ) -> Result<Vec<(u32, Support)>> {
        let Some(first) = ordered.values().min() else { return Ok(Vec::new()) };
        let from = first.saturating_sub(ORDER_DAYS * DAY_S);
        let at_risk = |near: u32| is_health_fact(&self.told(near, 0, 0, Basis::Visit(NO_KEY)), i64::MAX);
        let support = |stay: &Stay| {
            let told = self.fact(stay, of_trip);
            let level_from = self.rows[stay.near as usize / 2].from;
            (stay.person, Support { from: told.at.max(level_from), ..Support::of(&told) })
        };
        let came = trips.0.iter().filter(|stay| ordered.contains_key(&stay.person) && at_risk(stay.near));
        let mut supports: Vec<(u32, Support)> = came.map(support).collect();
        let persons: Vec<u32> =
            ordered.keys().copied().filter(|key| (*key as usize) < visits.persons().with_visits()).collect();
        let venues = visits.venues();
        let mut stays = Vec::new();
        for (day, _) in visits.days().iter().enumerate().filter(|(_, extent)| from <= extent.left_max) {
            for stay in visits.of_persons(day, &persons)? {
                let Some(region) = venues.facts[stay.venue as usize].region_id.as_deref() else { continue };
                let until = as_of.map_or(stay.left, |end| stay.left.min(end - 1));
                for near in self.near(region).into_iter().filter(|near| at_risk(*near)) {
                    let span = (stay.arrived.min(until), until);
                    self.keep_from(&mut stays, (stay.person, near), span, Came::Visit(stay.venue), 0);
                }
            }
        }
        supports.extend(stays.iter().map(support));
        Ok(supports)
    }

    fn told(&self, near: u32, from: Second, until: Second, basis: Basis) -> Told {
        let row = &self.rows[near as usize / 2];
        let cells: [Option<ToldCell>; COLUMNS_MAX] = [
            Some(ToldCell::Word(row.word)),
            Some(ToldCell::Word(REACHES[near as usize % 2])),
            Some(ToldCell::Text(row.place.as_str().into())),
            None,
        ];
        let kind = FactKind::RegionStay;
        let place = Some(row.at.clone());
        Told { kind, at: from, until: Some(until), known_at: row.known_at, cells, place, basis }
    }
}
