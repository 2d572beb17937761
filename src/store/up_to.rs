//! The visits that had begun by some instant: a night's share of a store that may hold later ones.
//!
//! Which visits there are does not depend on what came later, but a stay going on at that instant keeps the end that
//! later scans gave it: the best knowledge there is of how long it lasted.

use std::ops::Range;

use crate::error::Result;
use crate::store::column::{Column, Pool};
use crate::store::persons::Persons;
use crate::store::{DayExtent, Keys, Measured, Stay, Times, Venues, VisitSource, stays_of};
use crate::time::{FOREVER, Second};

/// The visits of `inner` that arrived before an instant. Their ends stay as they are.
pub struct UpTo<'a> {
    inner: &'a dyn VisitSource,
    end: Second,
    days: Vec<DayExtent>,
    pool: Pool,
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
            // No visit of a day before that of the instant can have arrived after it.
            let whole = crate::time::utc_day(end) > day.day || end == FOREVER;
            days.push(if whole { *day } else { before(inner, at, end)? });
        }
        Ok(UpTo { inner, end, days, pool: Pool::default() })
    }

    fn is_cut(&self, day: usize) -> bool {
        self.days[day].visits < self.days[day].rows
    }
}

/// The extent of the visits of a day that arrived before `end`, of which there is at least one.
fn before(inner: &dyn VisitSource, at: usize, end: Second) -> Result<DayExtent> {
    let mut extent = DayExtent { visits: 0, left_max: 0, ..inner.days()[at] };
    for stay in stays_of(inner, at)?.iter().filter(|stay| stay.arrived < end) {
        extent.visits += 1;
        extent.left_max = extent.left_max.max(stay.left);
    }
    Ok(extent)
}

impl VisitSource for UpTo<'_> {
    fn persons(&self) -> &Persons {
        self.inner.persons()
    }
    fn venues(&self) -> &Venues {
        self.inner.venues()
    }
    fn days(&self) -> &[DayExtent] {
        &self.days
    }
    fn rows_at(&self, day: usize, venues: Range<u32>) -> Result<Range<usize>> {
        self.inner.rows_at(day, venues)
    }
    fn rows_meeting(&self, day: usize, venue: u32, from: Second, until: Second) -> Result<Range<usize>> {
        self.inner.rows_meeting(day, venue, from, until)
    }
    fn keys(&self, day: usize, rows: Range<usize>) -> Result<Keys<'_>> {
        self.inner.keys(day, rows)
    }
    fn times(&self, day: usize, rows: Range<usize>) -> Result<Times<'_>> {
        let mut times = self.inner.times(day, rows)?;
        if self.is_cut(day) {
            let mut left = self.pool.take();
            let pairs = times.arrived.iter().zip(times.left.iter());
            left.extend(pairs.map(|(arrived, left)| if *arrived < self.end { *left } else { *arrived }));
            let ends = std::mem::replace(&mut times.left, Column::Read(left, &self.pool));
            times.seen_until.get_or_insert(ends);
        }
        Ok(times)
    }
    fn rows_of_persons(&self, day: usize, persons: usize) -> Option<u64> {
        self.inner.rows_of_persons(day, persons)
    }
    fn of_persons(&self, day: usize, persons: &[u32]) -> Result<Vec<Stay>> {
        let mut stays = self.inner.of_persons(day, persons)?;
        stays.retain(|stay| stay.arrived < self.end);
        Ok(stays)
    }
    fn temperatures(
        &self,
        from: Second,
        until: Second,
        wanted: &(dyn Fn(&Measured) -> bool + Sync),
    ) -> Result<Vec<Measured>> {
        self.inner.temperatures(from, until.min(self.end), wanted)
    }

    fn venue_ranges(&self, days: &[usize], ranges: usize) -> Result<Vec<Range<u32>>> {
        self.inner.venue_ranges(days, ranges)
    }
}
