//! Where the kernel runs: here, over ranges of venues on every core.
//!
//! ```text
//!                 few sources                                many sources
//! sources   looked up person by person            found on the way, in one pass over the venues
//! contacts  at the venues and times of sources    at the venues that turned out to have sources
//!                        \___ venue by venue: kernel ___/
//!                                     |
//!                          sums or exposures a contact
//! ```

use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use rayon::prelude::*;

use super::reduce::{self, Collector, Sums};
use super::sources::{self, VenueSpan};
use super::{Best, Exposed, Exposure, Frontier};
use crate::contacts::ContactRule;
use crate::contacts::overlap::{SourceSpan, VenueVisits, sweep};
use crate::contacts::sums::{Scratch, VisitSum, Wanted, add_up};
use crate::error::Result;
use crate::person_set::Places;
use crate::store::{Keys, Stay, Times, VisitSource};

/// Finds the contacts of one ring. An implementor chooses where the kernel runs, never what it computes: equal
/// arguments, equal contacts.
pub trait Runner: Sync {
    /// Hands the persons with keys in `persons`, not settled, who have an exposure to the frontier, to `take`, with their
    /// sums, in parts in the order of keys; returns every exposure, sorted, if they are to be kept.
    ///
    /// # Errors
    /// Those of reading the visits, and of `take`.
    fn ring(&self, hop: &Hop<'_>, persons: Range<u32>, take: &mut Take<'_>) -> Result<Vec<Exposure>>;
}

/// One hop from a ring to the next.
pub struct Hop<'a> {
    /// Where everyone was.
    pub visits: &'a dyn VisitSource,
    /// Who exposes.
    pub frontier: &'a Frontier,
    /// What counts as a contact.
    pub rule: &'a ContactRule,
    /// Whether every exposure is wanted beside the sums.
    pub keep_exposures: bool,
}

/// Takes some contacts, by key, with their sums.
pub type Take<'a> = dyn FnMut(Vec<(u32, Exposed)>) -> Result<()> + 'a;

/// How the visits of sources are found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Find {
    /// Whichever reads less.
    #[default]
    ByCost,
    /// Person by person.
    LookUp,
    /// In one pass over all venues.
    Scan,
}

/// Runs on this machine, ranges of venues on each core.
#[derive(Clone, Copy, Debug)]
pub struct LocalRunner {
    /// How sources are found; anything but by cost is for tests.
    pub find: Find,
    /// Visits a range of venues should hold: their columns stay in a core's cache.
    pub range_visits: usize,
    /// Sums each worker collects before it adds them to the others': as many as stay in a core's own cache.
    pub collected_max: usize,
}

impl LocalRunner {
    /// By cost, at the sizes that measured best.
    pub const BY_COST: LocalRunner =
        LocalRunner { find: Find::ByCost, range_visits: 1 << 18, collected_max: 1 << 14 };
}

/// Looking persons up reads pages here and there; up to this share of all rows it still beats reading everything.
const LOOKED_UP_SHARE: u64 = 2;

/// Source spans that make one piece of work, where sources are known before.
const SPANS_A_PIECE: usize = 64;

impl Runner for LocalRunner {
    fn ring(&self, hop: &Hop<'_>, persons: Range<u32>, take: &mut Take<'_>) -> Result<Vec<Exposure>> {
        let Hop { visits, frontier, rule, keep_exposures } = *hop;
        debug_assert!(frontier.persons.iter().all(|p| frontier.settled.contains(*p)), "sources are settled");
        let collect = keep_exposures || rule.cumulative.is_some();
        let days = &sources::days(visits, frontier, rule)[..];
        let job = Job { visits, days, frontier, rule, persons: persons.clone(), collect };
        let sums = Sums::new(persons, &rule.venue_ranks);
        let mut exposures = if self.looks_up(&job) {
            let mut spans = sources::look_up(visits, days, frontier, rule)?;
            spans.extend(sources::places(frontier));
            spans.par_sort_unstable_by_key(|(venue, span)| (*venue, span.order()));
            let at_venues: Vec<&[VenueSpan]> = spans.chunk_by(|a, b| a.0 == b.0).collect();
            let pieces = pieces_of(&at_venues);
            self.work(&sums, pieces.len(), |at, worker| {
                pieces[at].iter().try_for_each(|spans| worker.meet_at(&job, spans))
            })?
        } else {
            let members = Places::new(&frontier.persons);
            let ranges = visits.venue_ranges(days, (job.rows() as usize / self.range_visits).max(1))?;
            self.work(&sums, ranges.len(), |at, worker| worker.meet_in(&job, &members, ranges[at].clone()))?
        };
        if !collect {
            sums.finish(take)?;
            return Ok(exposures);
        }
        exposures.par_sort_unstable();
        let exposures = reduce::cumulative(exposures, rule);
        take(reduce::of_exposures(&exposures, &rule.venue_ranks))?;
        Ok(if keep_exposures { exposures } else { Vec::new() })
    }
}

/// Spans by venue, several venues a piece.
fn pieces_of<'a>(at_venues: &'a [&'a [VenueSpan]]) -> Vec<&'a [&'a [VenueSpan]]> {
    let mut pieces = Vec::new();
    let (mut from, mut spans) = (0, 0);
    for (at, here) in at_venues.iter().enumerate() {
        spans += here.len();
        if spans >= SPANS_A_PIECE || at + 1 == at_venues.len() {
            pieces.push(&at_venues[from..=at]);
            (from, spans) = (at + 1, 0);
        }
    }
    pieces
}

impl LocalRunner {
    /// Whether finding the sources person by person reads less than a pass over everything.
    fn looks_up(&self, job: &Job<'_>) -> bool {
        let persons = job.frontier.persons.len();
        let rows = |day: &usize| job.visits.rows_of_persons(*day, persons);
        match self.find {
            _ if persons == 0 => true,
            Find::ByCost => {
                let looked_up = job.days.iter().map(rows).sum::<Option<u64>>();
                looked_up.is_some_and(|rows| rows <= job.rows() / LOOKED_UP_SHARE)
            }
            Find::LookUp => true,
            Find::Scan => false,
        }
    }

    /// Does the pieces of work on every thread; the exposures they collect, in any order.
    fn work(
        &self,
        sums: &Sums<'_>,
        pieces: usize,
        piece: impl Fn(usize, &mut Worker<'_>) -> Result<()> + Sync,
    ) -> Result<Vec<Exposure>> {
        let next = AtomicUsize::new(0);
        let exposures = Mutex::new(Ok(Vec::new()));
        let run = || {
            let mut worker = Worker::new(sums, self.collected_max);
            let result = loop {
                let at = next.fetch_add(1, Ordering::Relaxed);
                if at >= pieces {
                    break Ok(());
                }
                if let Err(error) = piece(at, &mut worker) {
                    // The others need not go on.
                    next.store(pieces, Ordering::Relaxed);
                    break Err(error);
                }
            };
            sums.take_over(&mut worker.collector);
            let mut all = exposures.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            match (&mut *all, result) {
                (Ok(all), Ok(())) => all.append(&mut worker.exposures),
                (Ok(_), Err(error)) => *all = Err(error),
                (Err(_), _) => {}
            }
        };
        let workers = rayon::current_num_threads().min(pieces);
        rayon::scope(|scope| (0..workers).for_each(|_| scope.spawn(|_| run())));
        exposures.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// What a ring is to find.
struct Job<'a> {
    visits: &'a dyn VisitSource,
    /// The days that its sources reach.
    days: &'a [usize],
    frontier: &'a Frontier,
    rule: &'a ContactRule,
    persons: Range<u32>,
    collect: bool,
}

impl Job<'_> {
    /// Rows of its days.
    fn rows(&self) -> u64 {
        self.days.iter().map(|day| self.visits.days()[*day].rows).sum()
    }
}

/// One thread's part of the work, with room kept from piece to piece.
struct Worker<'a> {
    sums: &'a Sums<'a>,
    collected_max: usize,
    collector: Collector,
    exposures: Vec<Exposure>,
    spans: Vec<SourceSpan>,
    scratch: Scratch,
    visit_sums: Vec<VisitSum>,
}

/// Some rows of a day with their times.
struct Block<'a> {
    rows: Range<usize>,
    times: Times<'a>,
}

impl<'a> Worker<'a> {
    fn new(sums: &'a Sums<'a>, collected_max: usize) -> Self {
        Worker {
            sums,
            collected_max,
            collector: sums.collector(),
            exposures: Vec::new(),
            spans: Vec::new(),
            scratch: Scratch::default(),
            visit_sums: Vec::new(),
        }
    }

    /// Meets known sources at one venue.
    fn meet_at(&mut self, job: &Job<'_>, spans: &[VenueSpan]) -> Result<()> {
        let venue = spans[0].0;
        if job.rule.needed_s(venue).is_none() {
            return Ok(());
        }
        for day in job.days.iter().copied() {
            let extent = job.visits.days()[day];
            let today = spans.iter().filter(|(_, span)| extent.overlaps(span.from, span.until));
            let (mut from, mut until) = (u32::MAX, 0);
            for (_, span) in today {
                (from, until) = (from.min(span.from), until.max(span.until));
            }
            if from >= until {
                continue;
            }
            let rows = job.visits.rows_meeting(day, venue, from, until)?;
            if rows.is_empty() {
                continue;
            }
            let keys = job.visits.keys(day, rows.clone())?;
            let start = keys.venue.partition_point(|v| *v < venue);
            let end = keys.venue.partition_point(|v| *v <= venue);
            if start < end {
                let times = job.visits.times(day, rows.clone())?;
                self.meet(job, day, spans, start..end, &keys, &Block { rows: 0..rows.len(), times });
            }
        }
        Ok(())
    }

    /// Finds the sources at a range of venues and meets them.
    fn meet_in(&mut self, job: &Job<'_>, members: &Places, venues: Range<u32>) -> Result<()> {
        let mut of_days = Vec::with_capacity(job.days.len());
        let mut spans: Vec<VenueSpan> =
            sources::places(job.frontier).filter(|(venue, _)| venues.contains(venue)).collect();
        let mut at_venues: Vec<u32> = spans.iter().map(|(venue, _)| *venue).collect();
        for day in job.days.iter().copied() {
            let rows = job.visits.rows_at(day, venues.clone())?;
            let keys = job.visits.keys(day, rows.clone())?;
            let mut of_day =
                DayPart { day, first: rows.start, keys, venues: Vec::new(), sources: Vec::new() };
            of_day.find(&venues, members, &mut at_venues);
            of_days.push(of_day);
        }
        at_venues.sort_unstable();
        at_venues.dedup();
        at_venues.retain(|venue| job.rule.needed_s(*venue).is_some());
        if at_venues.is_empty() {
            return Ok(());
        }

        let mut blocks = Vec::with_capacity(of_days.len());
        for part in &mut of_days {
            part.keep(&at_venues);
            let mut of_day: Vec<Block<'_>> = Vec::new();
            for rows in part.to_read() {
                let times = job.visits.times(part.day, part.first + rows.start..part.first + rows.end)?;
                of_day.push(Block { rows, times });
            }
            let mut at = 0;
            for row in &part.sources {
                while of_day.get(at).is_some_and(|block| block.rows.end <= *row) {
                    at += 1;
                }
                // A source at a venue that does not count lies in no block.
                let Some(block) = of_day.get(at).filter(|block| block.rows.contains(row)) else { continue };
                let stay = block.stay(*row, &part.keys);
                let place = members.place(stay.person).expect("a source");
                sources::cut(stay, job.frontier, place, job.rule, |span| spans.push(span));
            }
            blocks.push(of_day);
        }

        sources::sort(&mut spans);
        // By day: the venue and the block reached.
        let mut reached = vec![(0, 0); of_days.len()];
        for here in spans.chunk_by(|a, b| a.0 == b.0) {
            for ((part, blocks), (venue, block)) in of_days.iter().zip(&blocks).zip(&mut reached) {
                while part.venues.get(*venue).is_some_and(|run| run.venue < here[0].0) {
                    *venue += 1;
                }
                let Some(run) = part.venues.get(*venue).filter(|run| run.venue == here[0].0) else {
                    continue;
                };
                while blocks[*block].rows.end <= run.rows.start {
                    *block += 1;
                }
                self.meet(job, part.day, here, run.rows.clone(), &part.keys, &blocks[*block]);
            }
        }
        Ok(())
    }

    /// Runs the kernel on one venue's visits of a day, which lie in `rows` of `keys` and within the block.
    fn meet(
        &mut self,
        job: &Job<'_>,
        day: usize,
        spans: &[VenueSpan],
        rows: Range<usize>,
        keys: &Keys<'_>,
        block: &Block<'_>,
    ) {
        let venue = spans[0].0;
        let Some(needed_s) = job.rule.needed_s(venue) else { return };
        let times = rows.start - block.rows.start..rows.end - block.rows.start;
        let columns = VenueVisits {
            person: &keys.person[rows],
            arrived: &block.times.arrived[times.clone()],
            left: &block.times.left[times.clone()],
        };
        let seen_until = block.times.seen_until.as_ref().map(|seen| &seen[times]);
        let (begin, end) = (columns.arrived[0], job.visits.days()[day].left_max);
        self.spans.clear();
        self.spans.extend(spans.iter().map(|(_, span)| *span).filter(|s| s.from < end && begin < s.until));
        if self.spans.is_empty() {
            return;
        }
        let wanted =
            Wanted { settled: &job.frontier.settled, from: job.persons.start, until: job.persons.end };
        if job.collect {
            let (spans, exposures) = (&self.spans, &mut self.exposures);
            sweep(spans, columns, needed_s, |span, visit, lo, hi| {
                let contact = columns.person[visit];
                if wanted.settled.contains(contact) || !job.persons.contains(&contact) {
                    return;
                }
                let seen = seen_until.map_or(columns.left[visit], |seen| seen[visit]);
                let seen = spans[span].seen_until.min(seen).min(hi);
                let observed_s = seen.saturating_sub(lo);
                let source = spans[span].source;
                exposures.push(Exposure { contact, source, from: lo, until: hi, venue, observed_s });
            });
            return;
        }
        self.visit_sums.clear();
        add_up(&self.spans, columns, seen_until, needed_s, wanted, &mut self.scratch, &mut self.visit_sums);
        for sum in &self.visit_sums {
            let exposed = Exposed {
                first_exposed_at: sum.first,
                last_exposed_at: sum.last,
                overlap_s: sum.overlap_s,
                observed_overlap_s: sum.observed_s,
                exposures: sum.exposures,
                best: Best {
                    from: sum.best_from,
                    overlap_s: sum.best_overlap_s,
                    source: sum.best_source,
                    venue,
                    observed_s: sum.best_observed_s,
                },
            };
            self.collector.push(self.sums, columns.person[sum.visit as usize], exposed);
        }
        if self.collector.collected >= self.collected_max {
            self.sums.take_over(&mut self.collector);
        }
    }
}

impl Block<'_> {
    fn stay(&self, row: usize, keys: &Keys<'_>) -> Stay {
        let at = row - self.rows.start;
        let left = self.times.left[at];
        Stay {
            person: keys.person[row],
            venue: keys.venue[row],
            arrived: self.times.arrived[at],
            left,
            seen_until: self.times.seen_until.as_ref().map_or(left, |seen| seen[at]),
        }
    }
}

/// What is known of a range of venues on one day before any times are read.
struct DayPart<'a> {
    day: usize,
    /// The day's row of the first key.
    first: usize,
    keys: Keys<'a>,
    /// Where the visits to each venue lie among the keys.
    venues: Vec<VenueRun>,
    /// Where those of sources do.
    sources: Vec<usize>,
}

struct VenueRun {
    venue: u32,
    rows: Range<usize>,
}

/// Rows between two wanted ones that are read rather than left out: about as many as make a page.
const ROWS_BETWEEN: usize = 1_024;

impl DayPart<'_> {
    /// Finds the venues in the range and the sources there; appends the sources' venues.
    fn find(&mut self, range: &Range<u32>, members: &Places, at_venues: &mut Vec<u32>) {
        let venue = &self.keys.venue;
        let inside = venue.partition_point(|v| *v < range.start)..venue.partition_point(|v| *v < range.end);
        let mut start = inside.start;
        for run in venue[inside].chunk_by(|a, b| a == b) {
            let rows = start..start + run.len();
            start = rows.end;
            let found = self.sources.len();
            let persons = self.keys.person[rows.clone()].iter();
            let sources = rows.clone().zip(persons).filter(|(_, person)| members.contains(**person));
            self.sources.extend(sources.map(|(row, _)| row));
            if self.sources.len() > found {
                at_venues.push(run[0]);
            }
            self.venues.push(VenueRun { venue: run[0], rows });
        }
    }

    /// Leaves out the venues that are not wanted, which are sorted.
    fn keep(&mut self, wanted: &[u32]) {
        let mut at = 0;
        self.venues.retain(|run| {
            while wanted.get(at).is_some_and(|venue| *venue < run.venue) {
                at += 1;
            }
            wanted.get(at) == Some(&run.venue)
        });
    }

    /// The rows of the venues left, in ranges that may hold others in between.
    fn to_read(&self) -> Vec<Range<usize>> {
        let mut ranges: Vec<Range<usize>> = Vec::new();
        for VenueRun { rows, .. } in &self.venues {
            match ranges.last_mut() {
                Some(last) if rows.start - last.end <= ROWS_BETWEEN => last.end = rows.end,
                _ => ranges.push(rows.clone()),
            }
        }
        ranges
    }
}
