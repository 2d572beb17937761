//! Facts told by tables, and those that follow from two of them: living in a closed community, having stayed in a region
//! that has a level.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};

use rayon::prelude::*;

use super::kind::{Cell, FactKind, REACHES, Told, ToldCell};
use super::{CaseFact, Fact, Facts, merge, reject};
use crate::colors::Scheme;
use crate::config::Config;
use crate::error::Result;
use crate::ids::IdTable;
use crate::records::rejects::Reason;
use crate::records::told::{self, FactTable, ORDER_DAYS, PlaceRow, StayRow, ToldRow};
use crate::records::{self};
use crate::rings::Traced;
use crate::store::VisitSource;
use crate::store::format::RejectRow;
use crate::time::{FOREVER, Second};

/// Venues of a range whose visits are looked at together.
const RANGE_VISITS: u64 = 1 << 18;

impl Facts {
    /// Reads the tables of facts about persons; with `as_of`, here and below, what became known then or later is left out.
    ///
    /// # Errors
    /// Those of reading the files; so below.
    pub(super) fn read_told(&mut self, config: &Config, as_of: Option<Second>) -> Result<()> {
        let given = told::TABLES.iter().filter(|of| !config.table(of.schema.table).paths.is_empty());
        given.into_iter().try_for_each(|of| self.read_table(of, config, as_of))
    }

    /// Reads regions and trips, and finds the stays in those regions.
    pub(super) fn read_regions(
        &mut self,
        config: &Config,
        visits: &dyn VisitSource,
        as_of: Option<Second>,
    ) -> Result<()> {
        if config.table("regions").paths.is_empty() {
            if !config.table("trips").paths.is_empty() {
                self.notes.push("trips are given but no regions: which of them matter cannot be said".into());
            }
            return Ok(());
        }
        let regions = Regions::new(self.read_places("regions", config, as_of)?);
        let mut stays = regions.of_visits(visits, as_of)?;
        if !config.table("trips").paths.is_empty() {
            self.read_trips(config, as_of)?.iter().for_each(|stay| regions.add(&mut stays, stay));
        }
        self.told.extend(regions.facts(stays));
        Ok(())
    }

    /// Reads communities, and finds who lives there.
    pub(super) fn read_communities(&mut self, config: &Config, as_of: Option<Second>) -> Result<()> {
        if !config.table("communities").paths.is_empty() {
            let communities = self.read_places("communities", config, as_of)?;
            self.live_in(&communities);
        }
        Ok(())
    }

    fn read_table(&mut self, of: &FactTable, config: &Config, as_of: Option<Second>) -> Result<()> {
        let table = config.table(of.schema.table);
        let mut files = told::read(of, &records::stamp(of.schema.table, table)?, table)?;
        let keys = self.persons.absorb(&files.iter().map(|f| &f.ids[0]).collect::<Vec<&IdTable>>())?;
        let end = as_of.unwrap_or(FOREVER);
        let mut rows: Vec<(u32, ToldRow, usize)> = Vec::new();
        for (number, (file, keys)) in files.iter_mut().zip(keys).enumerate() {
            for (row, fact) in std::mem::take(&mut file.rows) {
                if fact.known_at >= end {
                    continue;
                }
                let happens = of.kind.times()[0];
                if fact.told.at >= end && of.kind.times().len() == 1 {
                    reject(file, row, happens.word(), Reason::TimeInFuture);
                    continue;
                }
                match keys[fact.person as usize] {
                    Some(person) => rows.push((person, fact, number)),
                    None => reject(file, row, "person_id", Reason::ForeignId),
                }
            }
        }
        // Of rows that tell of the same, the last known counts: it may bring the end.
        rows.sort_by(|(a_person, a, _), (b_person, b, _)| {
            let order =
                |row: &ToldRow| (Reverse(row.known_at), row.told.until.unwrap_or(FOREVER), row.told.row);
            let same = (a_person, a.told.at, &a.told.cells).cmp(&(b_person, b.told.at, &b.told.cells));
            same.then_with(|| order(a).cmp(&order(b))).then_with(|| a.told.file.cmp(&b.told.file))
        });
        rows.dedup_by(|next, kept| {
            let same =
                (next.0, next.1.told.at, &next.1.told.cells) == (kept.0, kept.1.told.at, &kept.1.told.cells);
            if same {
                merge(&mut files[next.2]);
            }
            same
        });
        self.told.extend(rows.into_iter().map(|(person, row, _)| (person, row.told)));
        self.close(files);
        Ok(())
    }

    /// The rows of communities or regions that are known; of those about the same place, word and start the last known.
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
        let place = |row: &PlaceRow| (row.place.clone(), row.word, row.from);
        rows.sort_by_cached_key(|(row, _)| {
            let until = row.until.unwrap_or(FOREVER);
            (place(row), Reverse(row.known_at), until, row.county.clone(), row.file.clone(), row.row)
        });
        rows.dedup_by(|next, kept| {
            let same = place(&next.0) == place(&kept.0);
            if same {
                merge(&mut files[next.1]);
                kept.0.county = kept.0.county.take().or(next.0.county.take());
            }
            same
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

    fn read_trips(&mut self, config: &Config, as_of: Option<Second>) -> Result<Vec<StayRow>> {
        let table = config.table("trips");
        let mut files = told::read_trips(&records::stamp("trips", table)?, table)?;
        let keys = self.persons.absorb(&files.iter().map(|f| &f.ids[0]).collect::<Vec<&IdTable>>())?;
        let mut stays: Vec<(StayRow, usize)> = Vec::new();
        for (number, (file, keys)) in files.iter_mut().zip(keys).enumerate() {
            for (row, stay) in std::mem::take(&mut file.rows) {
                let end = as_of.unwrap_or(FOREVER);
                if stay.known_at >= end || stay.from >= end {
                    continue;
                }
                // What lasts beyond the night has lasted until the night.
                let stay = StayRow { until: stay.until.min(end - 1).max(stay.from), ..stay };
                match keys[stay.person as usize] {
                    Some(person) => stays.push((StayRow { person, ..stay }, number)),
                    None => reject(file, row, "person_id", Reason::ForeignId),
                }
            }
        }
        let trip = |stay: &StayRow| (stay.person, stay.region.clone(), stay.from);
        stays.sort_by_cached_key(|(stay, number)| (trip(stay), Reverse(stay.known_at), stay.until, *number));
        stays.dedup_by(|next, kept| {
            let same = trip(&next.0) == trip(&kept.0);
            if same {
                merge(&mut files[next.1]);
            }
            same
        });
        self.close(files);
        Ok(stays.into_iter().map(|(stay, _)| stay).collect())
    }

    /// What the management of a community means for those who live there.
    fn live_in(&mut self, communities: &[PlaceRow]) {
        let mut of: HashMap<&str, Vec<&PlaceRow>> = HashMap::new();
        communities.iter().for_each(|row| of.entry(&row.place).or_default().push(row));
        for (person, community) in &self.communities {
            for row in of.get(community.as_str()).into_iter().flatten() {
                let cells = vec![Some(ToldCell::Word(row.word)), Some(ToldCell::Text(row.place.clone()))];
                let (file, number) = (row.file.clone(), row.row);
                let kind = FactKind::Residence;
                let told = Told {
                    kind,
                    at: row.from,
                    until: row.until,
                    known_at: row.known_at,
                    cells,
                    file,
                    row: number,
                };
                self.told.push((*person, told));
            }
        }
    }

    /// Notes appeals and confirmations that name no rule of the scheme: they do nothing.
    pub fn note_unknown_rules(&mut self, scheme: &Scheme) {
        let unknown = self.told.iter().filter(|(_, told)| {
            matches!(told.kind, FactKind::Appeal | FactKind::Confirmation)
                && matches!(Fact::Told(told).cell("rule_id"), Some(Cell::Word(id)) if scheme.rule(id).is_none())
        });
        let unknown = unknown.count();
        if unknown > 0 {
            self.notes.push(format!(
                "{unknown} appeals or confirmations name a rule that {} does not have",
                scheme.id
            ));
        }
    }

    /// Takes back the orders about persons of whom no health fact of the 14 days before is known: they go to rejects.
    pub fn refuse_orders(&mut self, traced: &Traced, fever: i64) {
        let mut last: HashMap<u32, Second> = HashMap::new();
        let mut know = |person: u32, at: Second| {
            let known = last.entry(person).or_default();
            *known = at.max(*known);
        };
        for (person, told) in self.told.iter().filter(|(_, told)| is_health_fact(told, fever)) {
            let lasts = matches!(told.kind, FactKind::Isolation | FactKind::Residence);
            know(*person, told.until.unwrap_or(if lasts { FOREVER } else { told.at }));
        }
        for CaseFact { case, .. } in &self.cases {
            know(case.person, case.recovered_at.unwrap_or(FOREVER));
        }
        traced.contacts.iter().for_each(|contact| know(contact.person, contact.exposed.last_exposed_at));
        let (kept, refused): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.told).into_iter().partition(|(person, told)| {
                let recent = told.at.saturating_sub(ORDER_DAYS * 86_400);
                told.kind != FactKind::Order || last.get(person).is_some_and(|at| *at >= recent)
            });
        self.told = kept;
        for (_, order) in &refused {
            let of_file =
                |file: &&mut records::rejects::FileBalance| file.table == "orders" && file.file == order.file;
            let file = self.files.iter_mut().find(of_file).expect("the order was read from it");
            file.accepted -= 1;
            file.rejected += 1;
            self.rejects.push(RejectRow {
                table: "orders".into(),
                file: order.file.clone(),
                row: order.row,
                column: "person_id".into(),
                reason: Reason::NoHealthFact.word().into(),
            });
        }
        if !refused.is_empty() {
            self.notes
                .push(format!("{} orders refused: no health fact is known of the person", refused.len()));
        }
    }
}

/// Whether the fact is a reason to look after a person's health, which an order needs: what someone decided is none.
fn is_health_fact(told: &Told, fever: i64) -> bool {
    let fact = Fact::Told(told);
    let is =
        |column: &str, words: &[&str]| words.iter().any(|word| fact.cell(column) == Some(Cell::Word(word)));
    let warm = || matches!(fact.cell("celsius"), Some(Cell::Number(degrees)) if degrees >= fever);
    match told.kind {
        FactKind::ClinicVisit | FactKind::Purchase | FactKind::Symptom | FactKind::Isolation => true,
        FactKind::Test => is("result", &["positive"]),
        FactKind::Temperature => warm(),
        FactKind::Checkin => is("status", &["unwell"]) || warm(),
        FactKind::RegionStay => is("level", &["medium", "high", "reported"]) && is("reach", &["region"]),
        FactKind::Residence => is("status", &["closed", "sealed"]),
        FactKind::Appeal
        | FactKind::Push
        | FactKind::Order
        | FactKind::Confirmation
        | FactKind::Case
        | FactKind::Contact => false,
    }
}

/// The regions that have a level.
struct Regions {
    rows: Vec<PlaceRow>,
    county: HashMap<String, String>,
}

/// The last stay of each person that a region's row means, by person, row and reach: when it ended, when it began.
type Stays = BTreeMap<(u32, usize, usize), (Second, Reverse<Second>)>;

impl Regions {
    fn new(rows: Vec<PlaceRow>) -> Regions {
        let county = rows.iter().filter_map(|row| Some((row.place.clone(), row.county.clone()?))).collect();
        Regions { rows, county }
    }

    fn county_of<'a>(&'a self, region: &'a str) -> &'a str {
        self.county.get(region).map_or(region, String::as_str)
    }

    /// The rows that a stay in the region comes near, by place, with how near.
    fn near(&self, region: &str) -> Vec<(usize, usize)> {
        let county = self.county_of(region);
        let reach = |row: &PlaceRow| {
            if row.place == region {
                return Some(0);
            }
            (row.place == county || self.county_of(&row.place) == county).then_some(1)
        };
        self.rows.iter().enumerate().filter_map(|(at, row)| Some((at, reach(row)?))).collect()
    }

    /// Keeps the stay under a row that still held when it began, or came to hold later.
    fn keep(
        &self,
        stays: &mut Stays,
        person: u32,
        (row, reach): (usize, usize),
        from: Second,
        until: Second,
    ) {
        let level_until = self.rows[row].until.unwrap_or(FOREVER);
        if level_until > from {
            let stay = (until.min(level_until), Reverse(from));
            let kept = stays.entry((person, row, reach)).or_insert(stay);
            *kept = stay.max(*kept);
        }
    }

    fn add(&self, stays: &mut Stays, stay: &StayRow) {
        for near in self.near(&stay.region) {
            self.keep(stays, stay.person, near, stay.from, stay.until);
        }
    }

    /// The stays that visits to venues of those regions are, in one pass over the visits.
    fn of_visits(&self, visits: &dyn VisitSource, as_of: Option<Second>) -> Result<Stays> {
        let venues = visits.venues();
        let mut near: HashMap<&str, u32> = HashMap::new();
        let mut lists: Vec<Vec<(usize, usize)>> = vec![Vec::new()];
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
            return Ok(Stays::new());
        }
        let mut pieces = Vec::new();
        for (day, extent) in visits.days().iter().enumerate() {
            let ranges = visits.venue_ranges(&[day], (extent.rows / RANGE_VISITS).max(1) as usize)?;
            pieces.extend(ranges.into_iter().map(|range| (day, range)));
        }
        let stays_of = |(day, range): &(usize, std::ops::Range<u32>)| -> Result<Stays> {
            let mut stays = Stays::new();
            let rows = visits.rows_at(*day, range.clone())?;
            let keys = visits.keys(*day, rows.clone())?;
            let meant = |venue: &u32| range.contains(venue) && of_venue[*venue as usize] > 0;
            if !keys.venue.iter().any(meant) {
                return Ok(stays);
            }
            let times = visits.times(*day, rows)?;
            let begun = |row: &usize| as_of.is_none_or(|end| times.arrived[*row] < end);
            for (row, venue) in
                keys.venue.iter().enumerate().filter(|(row, venue)| meant(venue) && begun(row))
            {
                // A stay inferred past the night has lasted until the night.
                let until = as_of.map_or(times.left[row], |end| times.left[row].min(end - 1));
                for near in &lists[of_venue[*venue as usize] as usize] {
                    self.keep(&mut stays, keys.person[row], *near, times.arrived[row].min(until), until);
                }
            }
            Ok(stays)
        };
        let join = |mut all: Stays, stays: Stays| {
            for (key, stay) in stays {
                let kept = all.entry(key).or_insert(stay);
                *kept = stay.max(*kept);
            }
            all
        };
        pieces.par_iter().map(stays_of).try_reduce(Stays::new, |a, b| Ok(join(a, b)))
    }

    fn facts(&self, stays: Stays) -> impl Iterator<Item = (u32, Told)> + '_ {
        stays.into_iter().map(|((person, row, reach), (until, Reverse(from)))| {
            let row = &self.rows[row];
            let cells = vec![
                Some(ToldCell::Word(row.word)),
                Some(ToldCell::Word(REACHES[reach])),
                Some(ToldCell::Text(row.place.clone())),
            ];
            let (file, number) = (row.file.clone(), row.row);
            let kind = FactKind::RegionStay;
            (
                person,
                Told { kind, at: from, until: Some(until), known_at: row.known_at, cells, file, row: number },
            )
        })
    }
}
