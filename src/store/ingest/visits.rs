//! A feed of visits: read, joined and handed on a group of days at a time.

use std::collections::{BTreeMap, HashMap};
use std::sync::Mutex;

use rayon::prelude::*;

use crate::error::Result;
use crate::ids::{IdTable, IdType};
use crate::records::bulk::Bulk;
use crate::records::scans::{PERSONS, VENUES, VisitRows};
use crate::store::disk::DiskStore;
use crate::store::format::RejectRow;
use crate::store::ingest::budget::Spare;
use crate::store::ingest::first::{self, Remember, Seen, SeenPiece};
use crate::store::ingest::join::{BUCKET_ROWS, BUCKETS_MAX, Buckets, Days, Edit, Joined, Origin, Row, Stay};
use crate::store::ingest::keys::{Persons, ToTokens, VenueKeys};
use crate::store::ingest::ranges::Ranges;
use crate::store::ingest::{Added, Feed, NewFiles, lock, new_files};
use crate::store::merge::Existing;
use crate::store::{DayExtent, VisitSource, sort_by_venue};
use crate::time::{DAY_S, FOREVER, Second};
use crate::visits::{EndSource, Visits};

/// Takes the days as they are finished.
pub trait DaySink: Sync {
    /// Takes a day's visits, sorted by person; a day may come again, changed.
    fn take(&self, day: u32, visits: Visits) -> Result<()>;
    /// A day's visits as they were taken last; `None` if they never were.
    fn taken(&self, day: u32) -> Result<Option<Visits>>;
}

/// The days of visits held in memory, sorted by venue.
#[derive(Default)]
struct Held(Mutex<BTreeMap<u32, Visits>>);

impl DaySink for Held {
    fn take(&self, day: u32, visits: Visits) -> Result<()> {
        let visits = sort_by_venue(visits);
        lock(&self.0).insert(day, visits);
        Ok(())
    }

    fn taken(&self, _: u32) -> Result<Option<Visits>> {
        unreachable!("all days are held at once, so none comes again")
    }
}

/// Reads the feed's visits into memory, each day sorted by venue.
///
/// # Errors
/// Those of reading; `usage` if they do not fit.
pub fn hold(feed: &Feed<'_>) -> Result<(Added, BTreeMap<u32, Visits>)> {
    let held = Held::default();
    let added = read(feed, None, &held, true)?;
    Ok((added, held.0.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner())))
}

/// Reads the feed's visits and hands on every day that they may change.
///
/// # Errors
/// Those of reading; `usage` if one day does not fit the memory given, before any is handed on.
pub fn add(feed: &Feed<'_>, current: Option<&DiskStore>, sink: &dyn DaySink) -> Result<Added> {
    read(feed, current, sink, false)
}

fn read(feed: &Feed<'_>, current: Option<&DiskStore>, sink: &dyn DaySink, hold: bool) -> Result<Added> {
    let NewFiles { unread, venue_files, mut report } = new_files(feed, current)?;
    let known = current.map(DiskStore::person_ids).transpose()?;
    let known = known.as_ref();
    let as_text = known.is_some_and(|ids| !ids.is_empty() && ids.kind() == IdType::Text);
    let bulk = Bulk::open::<VisitRows>(&unread, feed.table, as_text, feed.budget.piece_rows)?;
    let known_persons = known.map_or(0, |ids| ids.len() as u64);
    let spare = Spare::new(feed.budget, bulk.rows, known_persons);
    if hold {
        spare.check_visits(bulk.rows)?;
    }
    let keep = hold || spare.keeps(bulk.rows);
    let Seen { mut files, pieces, texts, venues, tokens, days } =
        first::read::<VisitRows>(&bulk, Remember { rows: keep, tokens: !keep })?;
    let mut persons = Persons::new(known, &bulk, &files, texts)?;
    persons.add_read(tokens)?;
    let venues = VenueKeys::new(current.map(DiskStore::venues), &files, venues, venue_files, &mut report)?;

    let stored = Stored { current, edits: BTreeMap::new() };
    let with_stored = |(day, rows): (&u32, &first::DayRows)| (*day, rows.rows + stored.visits(*day));
    let by_day: Vec<(u32, u64)> = days.iter().map(with_stored).collect();
    let (groups, spare) = if keep {
        (vec![days.keys().copied().collect()], spare)
    } else {
        let spare = Spare::new(feed.budget, bulk.rows, persons.len() as u64);
        spare.check_persons(persons.len() as u64)?;
        (spare.groups(&by_day)?, spare)
    };
    let mut work = Work {
        source: Source { bulk: &bulk, pieces, keep },
        days,
        by_day: by_day.into_iter().collect(),
        persons,
        venues,
        stored,
        spare,
        sink,
        merged: vec![0; files.len()],
        carried: Vec::new(),
    };
    let starts = groups.iter().skip(1).map(|group: &Vec<u32>| group[0] * DAY_S);
    let nexts: Vec<Second> = starts.chain([FOREVER]).collect();
    let mut done: Vec<u32> = Vec::new();
    for (group, next) in groups.into_iter().zip(nexts).filter(|(group, _)| !group.is_empty()) {
        work.group(Days::new(group.clone(), next), &done)?;
        done.extend(group);
    }
    work.finish_edits()?;

    let mut fed_rejects = Vec::new();
    for (file, merged) in files.iter_mut().zip(&work.merged) {
        file.balance.merged = *merged;
        file.balance.accepted -= merged;
        fed_rejects.extend(RejectRow::of(&file.balance, &file.rejects));
    }
    Ok(Added {
        new_persons: work.persons.ids_from(known_persons as usize),
        venues: work.venues.venues,
        directed: false,
        fed_files: files.into_iter().map(|file| file.balance).collect(),
        fed_rejects,
        report,
    })
}

/// Where the rows of a group of days come from: what was kept of the first reading, or another one.
struct Source<'a> {
    bulk: &'a Bulk<'a>,
    pieces: Vec<SeenPiece<VisitRows>>,
    keep: bool,
}

/// An ingest of visits between two groups of days.
struct Work<'a> {
    source: Source<'a>,
    days: BTreeMap<u32, first::DayRows>,
    /// New and stored visits of each day with new ones.
    by_day: HashMap<u32, u64>,
    persons: Persons<'a>,
    venues: VenueKeys,
    stored: Stored<'a>,
    spare: Spare,
    sink: &'a dyn DaySink,
    merged: Vec<u64>,
    carried: Vec<Row>,
}

impl Work<'_> {
    /// Reads, joins and hands on the days of a group; those of the groups before are `done`.
    fn group(&mut self, days: Days, done: &[u32]) -> Result<()> {
        let rows: u64 = days.list().iter().map(|day| self.by_day[day]).sum();
        let longest = days.list().iter().map(|day| self.by_day[day]).max().unwrap_or(0);
        let buckets = rows.div_ceil(BUCKET_ROWS).clamp(1, BUCKETS_MAX) as usize;
        let buckets = Buckets::new(Ranges::of_sample(self.sample(32 * buckets), buckets));
        self.fill(&buckets, &days)?;
        self.fill_stored(&buckets, &days, done)?;
        let mut joined = buckets.join(&days);
        if self.source.keep {
            self.persons
                .add(&joined.iter().flat_map(|joined| &joined.persons).copied().collect::<Vec<_>>())?;
        }
        let keys: Vec<Vec<u32>> =
            joined.par_iter().map(|joined| self.persons.keys_of(&joined.persons)).collect();
        let mut edits = Vec::new();
        for joined in &mut joined {
            joined.merged.iter().for_each(|file| self.merged[*file as usize] += 1);
            edits.append(&mut joined.edits);
            self.carried.append(&mut joined.carried);
        }
        for Edit { person, venue, arrived, left } in edits {
            let person = self.persons.keys_of(&[person])[0];
            let day = self.stored.edits.entry(arrived / DAY_S).or_default();
            day.insert((person, venue, arrived), left);
        }
        self.hand_on(&days, joined, &keys, self.spare.writers(rows, longest))
    }

    /// Tokens that show where most persons are.
    fn sample(&self, count: usize) -> Vec<u64> {
        if !self.source.keep {
            return self.persons.sample(count);
        }
        let rows =
            || self.source.pieces.iter().flat_map(|piece| &piece.chunks).map(|chunk| chunk.person.len());
        let step = rows().sum::<usize>() / count + 1;
        let mut sample = Vec::with_capacity(count + self.source.pieces.len());
        let mut buffer = Vec::new();
        for (piece, seen) in self.source.bulk.pieces.iter().zip(&self.source.pieces) {
            let kind = self.source.bulk.id_type(piece.file, PERSONS);
            let tokens = self.persons.tokens_of(kind, &seen.texts, &mut buffer);
            let cells = seen.chunks.iter().flat_map(|chunk| chunk.person.iter().step_by(step));
            sample.extend(cells.map(|cell| tokens.of(*cell)));
        }
        sample
    }

    /// Fills the buckets with the new rows of those days.
    fn fill(&mut self, buckets: &Buckets, days: &Days) -> Result<()> {
        let (first, last) = (days.list()[0], days.list()[days.list().len() - 1]);
        let (bulk, persons, venues, keep) = (self.source.bulk, &self.persons, &self.venues, self.source.keep);
        let fill = |(piece, seen): (&crate::records::bulk::Piece, &mut SeenPiece<VisitRows>)| {
            if !seen.days.is_some_and(|(from, until)| from <= last && first <= until) {
                return Ok(());
            }
            let (kind, origin) = (bulk.id_type(piece.file, PERSONS), Origin::file(piece.file));
            let add = |rows: &VisitRows, tokens: &ToTokens<'_>, venues: &[u32]| {
                let row = |at: usize| Row {
                    person: tokens.of(rows.person[at]),
                    venue: venues[rows.venue[at] as usize],
                    arrived: rows.arrived[at],
                    left: rows.left[at],
                    origin,
                };
                let within = |at: &usize| days.slot(rows.arrived[*at]).is_some();
                buckets.add(&(0..rows.person.len()).filter(within).map(row).collect::<Vec<Row>>());
            };
            let mut buffer = Vec::new();
            if keep {
                let venue_keys = venues.of_piece(bulk.id_type(piece.file, VENUES), &seen.venues);
                let tokens = persons.tokens_of(kind, &seen.texts, &mut buffer);
                std::mem::take(&mut seen.chunks)
                    .into_iter()
                    .for_each(|rows| add(&rows, &tokens, &venue_keys));
                return Ok(());
            }
            let mut venue_keys = Vec::new();
            let again = bulk.read(piece, |rows: VisitRows, ids: &[IdTable]| {
                venue_keys.extend(venues.of_table(&ids[VENUES], venue_keys.len()));
                if kind == IdType::Text {
                    let text = |row: usize| persons.token_of_text(ids[PERSONS].ids().get(row));
                    let known = buffer.len();
                    buffer.extend((known..ids[PERSONS].len()).map(|row| text(row).unwrap_or(u64::MAX)));
                    add(&rows, &ToTokens::Table(&buffer), &venue_keys);
                } else {
                    add(&rows, &persons.tokens_of(kind, &[], &mut Vec::new()), &venue_keys);
                }
                Ok(())
            });
            again.map(drop)
        };
        bulk.pieces.par_iter().zip(&mut self.source.pieces).map(fill).collect()
    }

    /// Fills the buckets with those visits that the new rows of those days can touch, or stand beside.
    fn fill_stored(&mut self, buckets: &Buckets, days: &Days, done: &[u32]) -> Result<()> {
        let (persons, group) = (&self.persons, days.list());
        let add = |visits: Visits, origin: Origin, meets: &dyn Fn(Second, Second) -> bool| {
            let rows = (0..visits.len()).filter(|row| meets(visits.arrived[*row], visits.left[*row]));
            let row = |row: usize| Row {
                person: persons.token_of(visits.person[row]),
                venue: visits.venue[row],
                arrived: visits.arrived[row],
                left: visits.left[row],
                origin,
            };
            buckets.add(&rows.map(row).collect::<Vec<Row>>());
        };
        for day in self.stored.days() {
            if group.binary_search(&day).is_ok() {
                let visits = self.stored.load(day)?;
                self.stored.edits.remove(&day);
                add(visits, Origin::STORED, &|_, _| true);
            } else if done.binary_search(&day).is_err() {
                // Stored visits never touch each other, so whatever new rows join meets the span of a new row's day.
                let Some((from, until)) = self.stored.extent(day) else { continue };
                let spans = group.iter().map(|day| (self.days[day].from, self.days[day].until));
                let spans: Vec<_> =
                    spans.filter(|(arrived, left)| from <= *left && *arrived <= until).collect();
                if !spans.is_empty() {
                    let meets =
                        |from, until| spans.iter().any(|(arrived, left)| from <= *left && *arrived <= until);
                    add(self.stored.load(day)?, Origin::OUTSIDE, &meets);
                }
            }
        }
        let from = self.days[&group[0]].from;
        self.carried.retain(|row| from <= row.left);
        buckets.add(&std::mem::take(&mut self.carried));
        Ok(())
    }

    /// Hands on the days by so many threads. They are threads of their own, one more than cores where memory allows,
    /// because each waits for the disk as often as it has encoded a file.
    fn hand_on(&self, days: &Days, mut joined: Vec<Joined>, keys: &[Vec<u32>], writers: usize) -> Result<()> {
        // So they are unless some persons were known before.
        let ordered = keys.iter().flatten().is_sorted();
        let taken = days.list().iter().enumerate().map(|(slot, day)| {
            let stays: Vec<Vec<Stay>> =
                joined.iter_mut().map(|joined| std::mem::take(&mut joined.days[slot])).collect();
            (*day, stays)
        });
        let next = Mutex::new(taken);
        let write = || {
            loop {
                let Some((day, stays)) = lock(&next).next() else { return Ok(()) };
                let visits = columns(stays, keys);
                self.sink.take(day, if ordered { visits } else { by_person(visits) })?;
            }
        };
        std::thread::scope(|scope| {
            let workers: Vec<_> = (0..writers).map(|_| scope.spawn(write)).collect();
            let join = |worker: std::thread::ScopedJoinHandle<'_, Result<()>>| {
                worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            };
            workers.into_iter().try_for_each(join)
        })
    }

    /// Writes those days anew of which visits changed after they had been handed on or left out.
    fn finish_edits(&mut self) -> Result<()> {
        for day in self.stored.edits.keys() {
            let visits = match self.sink.taken(*day)? {
                Some(visits) => self.stored.edited(*day, visits),
                None => self.stored.load(*day)?,
            };
            self.sink.take(*day, visits)?;
        }
        Ok(())
    }
}

/// What was stored before, with what this ingest has changed of it so far.
struct Stored<'a> {
    current: Option<&'a DiskStore>,
    /// By day.
    edits: BTreeMap<u32, DayEdits>,
}

/// By person key, venue key and arrival of a visit: its new end, or that it is gone.
type DayEdits = BTreeMap<(u32, u32, Second), Option<Second>>;

impl Stored<'_> {
    fn days(&self) -> Vec<u32> {
        self.current.map_or(Vec::new(), Existing::days)
    }

    fn extent(&self, day: u32) -> Option<(Second, Second)> {
        let (from, until) = self.current?.extent(day)?;
        // A visit prolonged by one group of days can reach into the next.
        let later = self.edits.get(&day).and_then(|edits| edits.values().flatten().max());
        Some((from, until.max(later.copied().unwrap_or(0))))
    }

    fn visits(&self, day: u32) -> u64 {
        let of_day = |extent: &&DayExtent| extent.day == day;
        self.current
            .and_then(|store| VisitSource::days(store).iter().find(of_day))
            .map_or(0, |extent| extent.visits)
    }

    fn load(&self, day: u32) -> Result<Visits> {
        let visits = self.current.map_or(Ok(Visits::default()), |store| Existing::visits(store, day))?;
        Ok(self.edited(day, visits))
    }

    /// The visits with the edits of their day.
    fn edited(&self, day: u32, visits: Visits) -> Visits {
        let Some(edits) = self.edits.get(&day) else { return visits };
        let edit = |mut visit: crate::visits::Visit| {
            if let Some(left) = edits.get(&(visit.person, visit.venue, visit.arrived)) {
                visit.left = (*left)?;
                visit.seen_until = visit.left;
            }
            Some(visit)
        };
        visits.iter().filter_map(edit).collect()
    }
}

/// The stays of a day, by bucket, as columns. Rows of a visits table are seen until they end, by their own word.
fn columns(buckets: Vec<Vec<Stay>>, keys: &[Vec<u32>]) -> Visits {
    let rows = buckets.iter().map(Vec::len).sum();
    let mut visits = Visits::with_capacity(rows);
    for (stays, keys) in buckets.into_iter().zip(keys) {
        visits.person.extend(stays.iter().map(|stay| keys[stay.person as usize]));
        visits.venue.extend(stays.iter().map(|stay| stay.venue));
        visits.arrived.extend(stays.iter().map(|stay| stay.arrived));
        visits.left.extend(stays.iter().map(|stay| stay.left));
    }
    visits.seen_until.extend_from_slice(&visits.left);
    visits.end_source.resize(rows, EndSource::CheckOut);
    visits
}

/// The visits in the order of persons; each person's keep theirs.
fn by_person(visits: Visits) -> Visits {
    let mut order: Vec<u64> =
        (0_u64..).zip(&visits.person).map(|(row, person)| u64::from(*person) << 32 | row).collect();
    order.sort_unstable();
    visits.in_order(&order.into_iter().map(|placed| placed as u32).collect::<Vec<_>>())
}
