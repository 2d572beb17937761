//! How busy it was: who was there at all, arrivals by hour, and how many different people came to some venues.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use rayon::prelude::*;

use super::VisitSource;
use crate::error::Result;
use crate::time::Second;

/// Visits that one task looks at together.
const RANGE_VISITS: u64 = 1 << 19;

/// Seconds of an hour.
pub const HOUR_S: Second = 3_600;

/// What happened in a period.
#[derive(Default)]
pub struct Traffic {
    /// By person key, one bit each: whether the person was anywhere.
    present: Vec<u64>,
    /// Arrivals by the start of their hour.
    pub arrivals: BTreeMap<Second, u64>,
    /// By venue asked for: visits, and different visitors.
    pub at_venue: BTreeMap<u32, (u64, u64)>,
}

impl Traffic {
    /// How many different persons were anywhere.
    pub fn persons(&self) -> u64 {
        self.present.iter().map(|word| u64::from(word.count_ones())).sum()
    }

    /// Whether the person was anywhere.
    pub fn has(&self, person: u32) -> bool {
        self.present.get(person as usize / 64).is_some_and(|word| word >> (person % 64) & 1 == 1)
    }
}

/// The traffic of the visits that share an instant with `[from, until)`, arrivals only of those that arrived in it; visitors
/// are counted at `venues` only, sorted. One pass over
/// the visits of the period.
///
/// # Errors
/// Those of reading the visits.
pub fn traffic(visits: &dyn VisitSource, (from, until): (Second, Second), venues: &[u32]) -> Result<Traffic> {
    let extents = visits.days().iter().enumerate();
    let days: Vec<usize> = extents.filter(|(_, day)| day.overlaps(from, until)).map(|(day, _)| day).collect();
    let rows: u64 = days.iter().map(|day| visits.days()[*day].rows).sum();
    let words = visits.persons().with_visits().div_ceil(64);
    let present: Vec<AtomicU64> = (0..words).map(|_| AtomicU64::new(0)).collect();
    let count = |range: std::ops::Range<u32>| -> Result<Traffic> {
        let mut traffic = Traffic::default();
        let mut visitors: Vec<(u32, u32)> = Vec::new();
        let wanted = venues.partition_point(|venue| *venue < range.start)
            ..venues.partition_point(|venue| *venue < range.end);
        let wanted = &venues[wanted];
        for day in &days {
            let rows = visits.rows_at(*day, range.clone())?;
            let (keys, times) = (visits.keys(*day, rows.clone())?, visits.times(*day, rows)?);
            let mut hour = (0, 0);
            for (row, (venue, person)) in keys.venue.iter().zip(keys.person.iter()).enumerate() {
                let (arrived, left) = (times.arrived[row], times.left[row]);
                if !range.contains(venue) || arrived >= left || left <= from || arrived >= until {
                    continue;
                }
                present[*person as usize / 64].fetch_or(1 << (person % 64), Ordering::Relaxed);
                // Visits of a venue come in the order of arrival, so many in one hour.
                let begun = arrived - arrived % HOUR_S;
                if begun != hour.0 {
                    *traffic.arrivals.entry(hour.0).or_default() += hour.1;
                    hour = (begun, 0);
                }
                hour.1 += u64::from(arrived >= from);
                if wanted.binary_search(venue).is_ok() {
                    visitors.push((*venue, *person));
                }
            }
            *traffic.arrivals.entry(hour.0).or_default() += hour.1;
        }
        visitors.sort_unstable();
        for of_venue in visitors.chunk_by(|a, b| a.0 == b.0) {
            let different = of_venue.chunk_by(|a, b| a == b).count() as u64;
            traffic.at_venue.insert(of_venue[0].0, (of_venue.len() as u64, different));
        }
        Ok(traffic)
    };
    let ranges = visits.venue_ranges(&days, (rows / RANGE_VISITS).max(1) as usize)?;
    let mut all = ranges.into_par_iter().map(count).try_reduce(Traffic::default, |mut a, b| {
        for (hour, arrivals) in b.arrivals {
            *a.arrivals.entry(hour).or_default() += arrivals;
        }
        a.at_venue.extend(b.at_venue);
        Ok(a)
    })?;
    all.arrivals.retain(|_, arrivals| *arrivals > 0);
    all.present = present.into_iter().map(AtomicU64::into_inner).collect();
    Ok(all)
}
