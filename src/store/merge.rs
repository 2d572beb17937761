//! New rows into what a store holds: exactly as if everything had come at once.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use rayon::prelude::*;

use crate::error::Result;
use crate::records::scans::{Direction, NOT_LEFT};
use crate::store::format::{scans_sorted, visits_sorted};
use crate::time::{Second, utc_day};
use crate::visits::{self, Scan, Scans, StayRules, Visit, Visits};

/// What a store holds already, by UTC day.
pub trait Existing: Sync {
    /// The days it has files for.
    fn days(&self) -> Vec<u32>;
    /// First arrival and last departure of a day's visits.
    fn extent(&self, day: u32) -> Option<(Second, Second)>;
    /// A day's scans.
    fn scans(&self, day: u32) -> Result<Scans>;
    /// A day's visits, sorted by person.
    fn visits(&self, day: u32) -> Result<Visits>;
    /// Whether any of its scans has a direction "out" or an end of its own.
    fn directed(&self) -> bool;
}

/// Nothing, for the first rows of a store.
pub struct Nothing;

impl Existing for Nothing {
    fn days(&self) -> Vec<u32> {
        Vec::new()
    }
    fn extent(&self, _: u32) -> Option<(Second, Second)> {
        None
    }
    fn scans(&self, _: u32) -> Result<Scans> {
        Ok(Scans::default())
    }
    fn visits(&self, _: u32) -> Result<Visits> {
        Ok(Visits::default())
    }
    fn directed(&self) -> bool {
        false
    }
}

/// The days that change, whole, and how many of each file's rows were merged.
#[derive(Default)]
pub struct Changes {
    /// New content of the days whose scans change.
    pub scans: BTreeMap<u32, Scans>,
    /// New content of the days whose visits may change, sorted by person.
    pub visits: BTreeMap<u32, Visits>,
    /// By file number: rows that repeat or prolong another.
    pub merged: Vec<u64>,
    /// By file number: rows that are in use.
    pub kept: Vec<u64>,
    /// Whether any scan now has a direction "out" or an end of its own.
    pub directed: bool,
}

/// A row and the number of the file it came from.
pub type FromFile<T> = (T, u32);

/// Adds scans. With `rebuild`, every visit is made anew, because the rules changed.
///
/// A visit depends on its person's scans before and after it only as far as scans follow each other within the
/// longest span of the rules. So only those *episodes* of a person are made anew that hold a new scan, and days are
/// loaded until each such episode is known to be whole.
///
/// # Errors
/// Those of reading the store.
pub fn scans(
    existing: &dyn Existing,
    mut new: Vec<FromFile<Scan>>,
    files: usize,
    rules: &StayRules,
    rebuild: bool,
) -> Result<Changes> {
    let mut changes = Changes { merged: vec![0; files], kept: vec![0; files], ..Default::default() };
    if !new.is_sorted() {
        new.par_sort_unstable();
    }
    new.dedup_by(|row, kept| {
        let same = row.0 == kept.0;
        changes.merged[row.1 as usize] += u64::from(same);
        same
    });

    let stored_days: BTreeSet<u32> = existing.days().into_iter().collect();
    let mut loaded: BTreeMap<u32, Day> = BTreeMap::new();
    if rebuild {
        for day in &stored_days {
            loaded.insert(*day, Day { stored: existing.scans(*day)?, ..Day::default() });
        }
    }
    for (scan, file) in new {
        let day = utc_day(scan.at);
        let day = match loaded.entry(day) {
            Entry::Occupied(day) => day.into_mut(),
            Entry::Vacant(place) => {
                let stored = if stored_days.contains(&day) { existing.scans(day)? } else { Scans::default() };
                place.insert(Day { stored, ..Day::default() })
            }
        };
        if contains(&day.stored, scan) {
            changes.merged[file as usize] += 1;
        } else {
            changes.kept[file as usize] += 1;
            day.fresh.push(scan);
        }
    }
    let fresh = || loaded.values().flat_map(|d| &d.fresh);
    if fresh().next().is_none() && !rebuild {
        changes.directed = existing.directed();
        return Ok(changes);
    }
    let directed = |s: &Scan| s.direction == Direction::Out || s.left != NOT_LEFT;
    changes.directed = existing.directed() || fresh().any(directed);
    let coupling = coupling_s(rules, changes.directed);
    let persons = fresh().map(|s| s.person).max().map_or(0, |p| p as usize + 1);
    let mut affected = vec![false; persons];
    fresh().for_each(|s| affected[s.person as usize] = true);
    let is_affected = |person: u32| rebuild || affected.get(person as usize).is_some_and(|a| *a);

    let episodes = loop {
        let episodes = episodes(&loaded, coupling, rebuild, is_affected);
        let reach = |e: &Episode| {
            utc_day(e.first.saturating_sub(coupling))..=utc_day(e.last.saturating_add(coupling))
        };
        let mut wanted: BTreeSet<u32> = BTreeSet::new();
        for episode in &episodes.list {
            wanted.extend(stored_days.range(reach(episode)).filter(|day| !loaded.contains_key(day)));
        }
        if wanted.is_empty() {
            break episodes;
        }
        for day in wanted {
            loaded.insert(day, Day { stored: existing.scans(day)?, ..Day::default() });
        }
    };

    let made = visits::build(&episodes.scans, rules);
    let mut by_day: BTreeMap<u32, Vec<Visit>> = BTreeMap::new();
    for day in loaded.keys() {
        let kept = existing.visits(*day)?.iter().filter(|v| !episodes.hold(v.person, v.arrived)).collect();
        by_day.insert(*day, kept);
    }
    for visit in made.iter() {
        by_day.entry(utc_day(visit.arrived)).or_default().push(visit);
    }
    changes.visits = by_day.into_par_iter().map(|(day, visits)| (day, visits_sorted(visits))).collect();
    for (day, Day { stored, fresh }) in loaded {
        if !fresh.is_empty() {
            let all = (0..stored.len()).map(|row| stored.get(row)).chain(fresh).collect();
            changes.scans.insert(day, scans_sorted(all));
        }
    }
    Ok(changes)
}

/// The scans of a day: those stored and those that are new.
#[derive(Default)]
struct Day {
    stored: Scans,
    fresh: Vec<Scan>,
}

fn contains(stored: &Scans, scan: Scan) -> bool {
    let (mut low, mut high) = (0, stored.len());
    while low < high {
        let middle = low + (high - low) / 2;
        match stored.get(middle).cmp(&scan) {
            std::cmp::Ordering::Equal => return true,
            std::cmp::Ordering::Less => low = middle + 1,
            std::cmp::Ordering::Greater => high = middle,
        }
    }
    false
}

/// How far apart two scans of a person must be so that neither can change a visit of the other.
fn coupling_s(rules: &StayRules, directed: bool) -> u32 {
    let longest = rules.by_venue.iter().map(|r| r.default_stay_s.max(r.merge_gap_s)).max().unwrap_or(0);
    if directed { longest.max(rules.cap_s) } else { longest }
}

/// Scans of one person that may depend on each other, from first to last.
struct Episode {
    person: u32,
    first: Second,
    last: Second,
}

/// The episodes to make anew, by person and time, and all their scans.
struct Episodes {
    list: Vec<Episode>,
    scans: Scans,
}

impl Episodes {
    /// Whether a visit that began then belongs to one of them.
    fn hold(&self, person: u32, arrived: Second) -> bool {
        let after = self.list.partition_point(|e| (e.person, e.first) <= (person, arrived));
        after > 0 && self.list[after - 1].person == person && arrived <= self.list[after - 1].last
    }
}

fn episodes(
    loaded: &BTreeMap<u32, Day>,
    coupling: u32,
    rebuild: bool,
    is_affected: impl Fn(u32) -> bool,
) -> Episodes {
    let mut pool: Vec<(Scan, bool)> = Vec::new();
    for day in loaded.values() {
        let stored = (0..day.stored.len()).map(|row| (day.stored.get(row), rebuild));
        pool.extend(stored.filter(|(scan, _)| is_affected(scan.person)));
        pool.extend(day.fresh.iter().map(|scan| (*scan, true)));
    }
    pool.par_sort_unstable();
    let together =
        |a: &(Scan, bool), b: &(Scan, bool)| a.0.person == b.0.person && b.0.at - a.0.at <= coupling;
    let mut list = Vec::new();
    let mut scans: Vec<Scan> = Vec::new();
    for run in pool.chunk_by(together) {
        if run.iter().any(|(_, new)| *new) {
            let (first, last) = (run[0].0, run[run.len() - 1].0);
            list.push(Episode { person: first.person, first: first.at, last: last.at });
            scans.extend(run.iter().map(|(scan, _)| *scan));
        }
    }
    Episodes { list, scans: scans.into_iter().collect() }
}
