//! The visits that had begun by some instant: a night's share of a store that may hold later ones.
//!
//! Which visits there are does not depend on what came later, but a stay going on at that instant keeps the end that
//! later scans gave it: the best knowledge there is of how long it lasted.

use std::sync::Arc;

use crate::error::Result;
use crate::ids::IdTable;
use crate::store::{DayExtent, Venues, VisitSource};
use crate::time::{FOREVER, Second};
use crate::visits::Visits;

/// The visits of `inner` that arrived before an instant. Their ends stay as they are.
pub struct UpTo<'a> {
    inner: &'a dyn VisitSource,
    end: Second,
    days: Vec<DayExtent>,
}

impl<'a> UpTo<'a> {
    /// # Errors
    /// Those of reading the day the instant falls in.
    pub fn new(inner: &'a dyn VisitSource, end: Second) -> Result<UpTo<'a>> {
        let mut days = Vec::new();
        for (at, day) in inner.days().iter().enumerate() {
            if day.arrived_min >= end {
                break;
            }
            // Only the day that holds the instant can have visits on both sides of it.
            let whole = crate::time::utc_day(end) > day.day || end == FOREVER;
            days.extend(match whole {
                true => Some(*day),
                false => DayExtent::of(day.day, &before(&*inner.by_person(at)?, end)),
            });
        }
        Ok(UpTo { inner, end, days })
    }

    fn cut(&self, at: usize, visits: Arc<Visits>) -> Arc<Visits> {
        if self.days[at].visits == visits.len() as u64 { visits } else { Arc::new(before(&visits, self.end)) }
    }
}

fn before(visits: &Visits, end: Second) -> Visits {
    visits.iter().filter(|visit| visit.arrived < end).collect()
}

impl VisitSource for UpTo<'_> {
    fn persons(&self) -> &IdTable {
        self.inner.persons()
    }
    fn venues(&self) -> &Venues {
        self.inner.venues()
    }
    fn days(&self) -> &[DayExtent] {
        &self.days
    }
    fn by_person(&self, at: usize) -> Result<Arc<Visits>> {
        Ok(self.cut(at, self.inner.by_person(at)?))
    }
    fn by_venue(&self, at: usize) -> Result<Arc<Visits>> {
        Ok(self.cut(at, self.inner.by_venue(at)?))
    }
}
