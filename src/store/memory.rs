//! Visits held in memory for one trace, without a store.

use std::ops::Range;

use rayon::prelude::*;

use crate::error::Result;
use crate::store::column::Column;
use crate::store::persons::Persons;
use crate::store::{DayExtent, Keys, Stay, Times, Venues, VisitSource};
use crate::time::{Second, utc_day};
use crate::visits::Visits;

/// Visits made from files and kept until the process ends, in the order of venues only: persons are not looked up in
/// them, because one pass over everything in memory takes less than sorting it once more would.
pub struct MemoryVisits {
    persons: Persons,
    venues: Venues,
    days: Vec<DayExtent>,
    arrival_days: usize,
    by_venue: Vec<Visits>,
}

impl MemoryVisits {
    /// Visits by day, each day sorted by person, with the tables their keys refer to.
    pub fn new(persons: Persons, venues: Venues, visits: impl IntoIterator<Item = (u32, Visits)>) -> Self {
        let by_person: Vec<(u32, Visits)> = visits.into_iter().filter(|(_, v)| !v.is_empty()).collect();
        let days = by_person.iter().filter_map(|(day, visits)| DayExtent::of(*day, visits)).collect();
        let by_venue: Vec<Visits> =
            by_person.into_par_iter().map(|(_, visits)| visits.sorted_by_venue()).collect();
        MemoryVisits { persons, venues, arrival_days: by_venue.len(), days, by_venue }
    }

    /// Visits of any days together, sorted by venue, arrival, person, with the tables their keys refer to.
    pub fn together(persons: Persons, venues: Venues, visits: Visits) -> Self {
        let last = visits.arrived.iter().max().map_or(0, |at| utc_day(*at));
        let days: Vec<DayExtent> = DayExtent::of(last, &visits).into_iter().collect();
        let first = days.first().map_or(0, |extent| utc_day(extent.arrived_min));
        let mut met = vec![false; (last - first) as usize + 1];
        visits.arrived.iter().for_each(|at| met[(utc_day(*at) - first) as usize] = true);
        let arrival_days = met.into_iter().filter(|met| *met).count();
        MemoryVisits { persons, venues, days, arrival_days, by_venue: vec![visits] }
    }

    /// Every visit of `days()[day]` with all that is known of it, sorted by venue, arrival, person.
    pub fn visits(&self, day: usize) -> &Visits {
        &self.by_venue[day]
    }
}

/// Bytes a visit: five columns of four, one of one.
const VISIT_BYTES: usize = 21;

impl VisitSource for MemoryVisits {
    fn persons(&self) -> &Persons {
        &self.persons
    }
    fn venues(&self) -> &Venues {
        &self.venues
    }
    fn days(&self) -> &[DayExtent] {
        &self.days
    }
    fn arrival_days(&self) -> usize {
        self.arrival_days
    }
    fn held_bytes(&self) -> u64 {
        let visits: usize = self.by_venue.iter().map(Visits::len).sum();
        (visits * VISIT_BYTES + self.persons.with_visits() * size_of::<u64>()) as u64
    }
    fn rows_at(&self, day: usize, venues: Range<u32>) -> Result<Range<usize>> {
        let at = |venue: u32| self.by_venue[day].venue.partition_point(|v| *v < venue);
        Ok(at(venues.start)..at(venues.end))
    }
    fn rows_meeting(&self, day: usize, venue: u32, _: Second, until: Second) -> Result<Range<usize>> {
        let visits = &self.by_venue[day];
        let rows = self.rows_at(day, venue..venue + 1)?;
        let arrived = visits.arrived[rows.clone()].partition_point(|arrived| *arrived < until);
        Ok(rows.start..rows.start + arrived)
    }
    fn keys(&self, day: usize, rows: Range<usize>) -> Result<Keys<'_>> {
        let visits = &self.by_venue[day];
        Ok(Keys {
            person: Column::Held(&visits.person[rows.clone()]),
            venue: Column::Held(&visits.venue[rows]),
        })
    }
    fn times(&self, day: usize, rows: Range<usize>) -> Result<Times<'_>> {
        let visits = &self.by_venue[day];
        let (left, seen_until) = (&visits.left[rows.clone()], &visits.seen_until[rows.clone()]);
        Ok(Times {
            arrived: Column::Held(&visits.arrived[rows]),
            left: Column::Held(left),
            seen_until: (left != seen_until).then_some(Column::Held(seen_until)),
        })
    }
    fn rows_of_persons(&self, _: usize, _: usize) -> Option<u64> {
        None
    }
    fn of_persons(&self, day: usize, persons: &[u32]) -> Result<Vec<Stay>> {
        let mut stays = super::stays_of(self, day)?;
        stays.retain(|stay| persons.binary_search(&stay.person).is_ok());
        stays.sort_unstable_by_key(|stay| (stay.person, stay.arrived, stay.venue));
        Ok(stays)
    }
    fn venue_ranges(&self, days: &[usize], ranges: usize) -> Result<Vec<Range<u32>>> {
        // Every so many rows of each day, the venue there.
        let visits = || days.iter().map(|day| &self.by_venue[*day]);
        let rows: usize = visits().map(Visits::len).sum();
        let step = (rows / (16 * ranges.max(1))).max(1);
        let samples = visits().flat_map(|v| v.venue.iter().step_by(step)).copied().collect();
        Ok(super::split_venues(samples, self.venues.ids.len() as u32, ranges))
    }
}
