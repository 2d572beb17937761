//! A feed of visits: read, joined and handed on a group of days at a time.

use std::collections::{BTreeMap, HashMap};
use std::sync::Mutex;

use rayon::prelude::*;

use crate::error::{Error, Result};
use crate::ids::{Id, IdTable, IdType, NO_KEY};
use crate::records::bulk::Bulk;
use crate::records::scans::{PERSONS, VENUES, VisitRows};
use crate::store::copies::StatedStay;
use crate::store::disk::DiskStore;
use crate::store::format::RejectRow;
use crate::store::ingest::budget::Spare;
use crate::store::ingest::first::{self, Remember, Seen, SeenPiece};
use crate::store::ingest::join::{BUCKET_ROWS, BUCKETS_MAX, Buckets, Days, Edit, Joined, Origin, Row};
use crate::store::ingest::keys::{Persons, ToKeys, ToTokens, VenueKeys};
use crate::store::ingest::ranges::Ranges;
use crate::store::ingest::write::StoreDays;
use crate::store::ingest::{Added, Feed, NewFiles, lock, new_files};
use crate::store::merge::Existing;
use crate::store::{DayExtent, VisitSource};
use crate::time::{DAY_S, FOREVER, Second};
use crate::visits::{Visit, Visits};

/// Reads the feed's visits and writes every day that they may change.
///
/// # Errors
/// Those of reading; `usage` if one day does not fit the memory given, before any is written; `storage`.
pub fn add(feed: &Feed<'_>, current: Option<&DiskStore>, store: &StoreDays<'_>) -> Result<Added> {
    let NewFiles { unread, venue_files, mut report } = new_files(feed, current)?;
    let known = current.map(DiskStore::person_ids).transpose()?;
    let known = known.as_ref();
    let as_text = known.is_some_and(|ids| !ids.is_empty() && ids.kind() == IdType::Text);
    let bulk = Bulk::open::<VisitRows>(&unread, feed.table, as_text, feed.budget.piece_rows)?;
    let known_persons = known.map_or(0, |ids| ids.len() as u64);
    let spare = Spare::new(feed.budget, bulk.rows, known_persons);
    let keep = spare.keeps(bulk.rows);
    let seen = first::read::<VisitRows>(&bulk, Remember { rows: keep, persons: !keep })?;
    let Seen { mut files, pieces, texts: [persons, venues], tokens: [person_tokens, venue_tokens], days } =
        seen;
    let mut persons = Persons::new(known, &bulk, &files, persons)?;
    persons.add_read(person_tokens)?;
    let (known_venues, venues) = (current.map(DiskStore::venues), (venues, venue_tokens));
    let venues = VenueKeys::new(known_venues, &bulk, &files, venues, venue_files, &mut report)?;

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
        store,
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
    store: &'a StoreDays<'a>,
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
            self.persons.add(joined.iter().map(|joined| &joined.persons[..]).collect::<Vec<_>>().concat())?;
        }
        // So they are unless some persons were known before.
        let ends: Vec<Vec<u32>> =
            joined.par_iter_mut().map(|joined| give_keys(joined, &self.persons)).collect::<Result<_>>()?;
        let ordered = ends.iter().flatten().is_sorted();
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
        self.hand_on(&days, joined, ordered, self.spare.writers(rows, longest))
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
            let tokens = self.persons.tokens_of(kind, &seen.texts[PERSONS], &mut buffer);
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
            let (kind, venue_kind) = (bulk.id_type(piece.file, PERSONS), bulk.id_type(piece.file, VENUES));
            let origin = Origin::file(piece.file);
            let add = |rows: &VisitRows, tokens: &ToTokens<'_>, venues: &ToKeys<'_>| {
                let venue = venues.of(&rows.venue);
                if venue.contains(&NO_KEY) {
                    return Err(changed());
                }
                let row = |at: usize| Row {
                    person: tokens.of(rows.person[at]),
                    venue: venue[at],
                    arrived: rows.arrived[at],
                    left: rows.left[at],
                    origin,
                };
                let within = |at: &usize| days.slot(rows.arrived[*at]).is_some();
                buckets.add((0..rows.person.len()).filter(within).map(row));
                Ok(())
            };
            let (mut of_persons, mut of_venues) = (Vec::new(), Vec::new());
            if keep {
                let venues = venues.keys_of(venue_kind, &seen.texts[VENUES], &mut of_venues);
                let tokens = persons.tokens_of(kind, &seen.texts[PERSONS], &mut of_persons);
                let chunks = std::mem::take(&mut seen.chunks);
                return chunks.into_iter().try_for_each(|rows| add(&rows, &tokens, &venues));
            }
            let again = bulk.read(piece, |rows: VisitRows, ids: &[IdTable]| {
                // The tables of texts grow as the piece is read.
                let new = |table: usize, known: usize| (known..ids[table].len()).map(move |row| (table, row));
                let text = |(table, row): (usize, usize)| ids[table].ids().get(row);
                let person = |text: Id<'_>| persons.token_of_text(text).unwrap_or(u64::MAX);
                of_persons.extend(new(PERSONS, of_persons.len()).map(|at| person(text(at))));
                let venue = |text: Id<'_>| venues.key_of_text(text).unwrap_or(NO_KEY);
                of_venues.extend(new(VENUES, of_venues.len()).map(|at| venue(text(at))));
                let mut none = Vec::new();
                let tokens = match kind {
                    IdType::Text => ToTokens::Table(&of_persons),
                    _ => persons.tokens_of(kind, &[], &mut none),
                };
                let venues = match venue_kind {
                    IdType::Text => ToKeys::Texts(&of_venues),
                    _ => ToKeys::Tokens(venues, venue_kind),
                };
                add(&rows, &tokens, &venues)
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
            buckets.add(rows.map(row));
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
        buckets.add(std::mem::take(&mut self.carried).iter().copied());
        Ok(())
    }

    /// Hands on the days by so many threads. They are threads of their own, one more than cores where memory allows,
    /// because each waits for the disk as often as it has encoded a file.
    fn hand_on(&self, days: &Days, mut joined: Vec<Joined>, ordered: bool, writers: usize) -> Result<()> {
        let taken = days.list().iter().enumerate().map(|(slot, day)| {
            let stays: Vec<Vec<StatedStay>> =
                joined.iter_mut().map(|joined| std::mem::take(&mut joined.days[slot])).collect();
            (*day, stays)
        });
        let next = Mutex::new(taken);
        let write = || {
            loop {
                let Some((day, stays)) = lock(&next).next() else { return Ok(()) };
                self.store.take(day, if ordered { stays } else { by_person(&stays) })?;
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
            let visits = match self.store.taken(*day)? {
                Some(visits) => self.stored.edited(*day, visits),
                None => self.stored.load(*day)?,
            };
            let stay = |visit: Visit| {
                let Visit { person, venue, arrived, left, .. } = visit;
                StatedStay { person, venue, arrived, left }
            };
            self.store.take(*day, vec![visits.iter().map(stay).collect()])?;
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
        let edit = |mut visit: Visit| {
            if let Some(left) = edits.get(&(visit.person, visit.venue, visit.arrived)) {
                visit.left = (*left)?;
                visit.seen_until = visit.left;
            }
            Some(visit)
        };
        visits.iter().filter_map(edit).collect()
    }
}

/// Gives the persons of stays their keys; returns the first and the last, falling if any fall.
fn give_keys(joined: &mut Joined, persons: &Persons<'_>) -> Result<Vec<u32>> {
    let keys = persons.keys_of(&std::mem::take(&mut joined.persons));
    if keys.contains(&NO_KEY) {
        return Err(changed());
    }
    for stay in joined.days.iter_mut().flatten() {
        stay.person = keys[stay.person as usize];
    }
    Ok(match (keys.first(), keys.last()) {
        (Some(first), Some(last)) if keys.is_sorted() => vec![*first, *last],
        (None, _) => Vec::new(),
        _ => vec![1, 0],
    })
}

/// What was read again is not what was read first.
fn changed() -> Error {
    Error::integrity(
        "files of visits changed while they were being read",
        "ingest again when they are complete",
    )
}

/// The stays in the order of persons; each person's keep theirs.
fn by_person(stays: &[Vec<StatedStay>]) -> Vec<Vec<StatedStay>> {
    let mut all = stays.concat();
    all.par_sort_by_key(|stay| stay.person);
    vec![all]
}
