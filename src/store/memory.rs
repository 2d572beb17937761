//! Visits held in memory for one trace, without a store.

use std::sync::{Arc, OnceLock};

use rayon::prelude::*;

use crate::error::Result;
use crate::ids::IdTable;
use crate::store::{DayExtent, Venues, VisitSource, sort_by_venue};
use crate::visits::Visits;

/// Visits made from files and kept until the process ends.
pub struct MemoryVisits {
    persons: IdTable,
    venues: Venues,
    days: Vec<DayExtent>,
    /// Sorted when asked for: a trace may never ask.
    by_person: Vec<OnceLock<Arc<Visits>>>,
    by_venue: Vec<Arc<Visits>>,
}

impl MemoryVisits {
    /// Visits by day, each day sorted by person, with the tables their keys refer to.
    pub fn new(persons: IdTable, venues: Venues, visits: impl IntoIterator<Item = (u32, Visits)>) -> Self {
        let visits: Vec<(u32, Visits)> = visits.into_iter().collect();
        let sorted: Vec<(u32, Visits)> =
            visits.into_par_iter().map(|(day, visits)| (day, sort_by_venue(visits))).collect();
        MemoryVisits::by_venue(persons, venues, sorted)
    }

    /// Visits by day, each day sorted by venue, arrival, person, with the tables their keys refer to.
    pub fn by_venue(
        persons: IdTable,
        venues: Venues,
        visits: impl IntoIterator<Item = (u32, Visits)>,
    ) -> Self {
        let (mut days, mut by_venue) = (Vec::new(), Vec::new());
        for (day, visits) in visits {
            if let Some(extent) = DayExtent::of(day, &visits) {
                days.push(extent);
                by_venue.push(Arc::new(visits));
            }
        }
        let by_person = days.iter().map(|_| OnceLock::new()).collect();
        MemoryVisits { persons, venues, days, by_person, by_venue }
    }
}

impl VisitSource for MemoryVisits {
    fn persons(&self) -> &IdTable {
        &self.persons
    }
    fn venues(&self) -> &Venues {
        &self.venues
    }
    fn days(&self) -> &[DayExtent] {
        &self.days
    }
    fn by_person(&self, at: usize) -> Result<Arc<Visits>> {
        Ok(self.by_person[at].get_or_init(|| Arc::new(self.by_venue[at].sorted_by_person())).clone())
    }
    fn by_venue(&self, at: usize) -> Result<Arc<Visits>> {
        Ok(self.by_venue[at].clone())
    }
}
