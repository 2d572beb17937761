//! A published store, open for reading.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use rayon::prelude::*;

use crate::error::{Error, Result};
use crate::ids::IdColumn;
use crate::records::scans::NOT_MEASURED;
use crate::store::column::{Column, Pool};
use crate::store::format::{self, Order, RejectRow, order_key};
use crate::store::manifest::{DataFile, Manifest};
use crate::store::merge::Existing;
use crate::store::pages::PagedFile;
use crate::store::persons::Persons;
use crate::store::publish::read_content;
use crate::store::{DayExtent, Keys, Measured, Stay, Times, Venues, VisitSource};
use crate::time::{Second, utc_day};
use crate::visits::{Scan, Scans, Visits};

/// One published version of a store. Later versions do not disturb it: they keep its files once.
pub struct DiskStore {
    folder: PathBuf,
    manifest: Manifest,
    persons: Persons,
    venues: Venues,
    days: Vec<DayExtent>,
    /// By day: the copies that have been opened.
    open: Vec<[Mutex<Option<Arc<PagedFile>>>; 2]>,
    pool: Pool,
}

impl DiskStore {
    /// The store in `folder`; `None` if none has been published there.
    ///
    /// # Errors
    /// `integrity` for another format or a changed file; `storage` if it cannot be read.
    pub fn open(folder: &Path) -> Result<Option<DiskStore>> {
        let path = folder.join("manifest.json");
        let Some(manifest) = DiskStore::manifest_of(folder)? else { return Ok(None) };
        let persons = Persons::stored(folder, manifest.person_id_type, &manifest.persons)?;
        let venues = match &manifest.venues {
            Some(file) => {
                format::venues_from_bytes(read_content(folder, file)?, &file.path, manifest.venue_id_type)?
            }
            None => Venues::new(manifest.venue_id_type),
        };
        if manifest.venues.as_ref().map_or(0, |f| f.rows) != venues.ids.len() as u64 {
            return Err(Error::integrity(
                format!("{}: its venues do not hold the rows it names", path.display()),
                "restore the store from a copy, or ingest into a new one",
            ));
        }
        let days = manifest.extents();
        let open = days.iter().map(|_| Default::default()).collect();
        Ok(Some(DiskStore {
            folder: folder.into(),
            persons,
            venues,
            days,
            open,
            manifest,
            pool: Pool::default(),
        }))
    }

    /// The store in `folder`, which must be there.
    ///
    /// # Errors
    /// `usage` if none has been published there; else as [`DiskStore::open`].
    pub fn open_existing(folder: &Path) -> Result<DiskStore> {
        DiskStore::open(folder)?.ok_or_else(|| {
            Error::usage(
                format!("{}: no store here", folder.display()),
                "make one with `ringtrace ingest --store DIR --scans PATH`",
            )
        })
    }

    /// What this version consists of.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The manifest of the store in `folder`, without its tables; `None` if none has been published there.
    ///
    /// # Errors
    /// As for [`DiskStore::open`].
    pub fn manifest_of(folder: &Path) -> Result<Option<Manifest>> {
        let path = folder.join("manifest.json");
        match std::fs::read_to_string(&path) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(Error::storage(&path, "reading")(e)),
            Ok(text) => Manifest::parse(&text, &path.display().to_string()).map(Some),
        }
    }

    /// Every person id, by key.
    ///
    /// # Errors
    /// `storage` or `integrity`.
    pub fn person_ids(&self) -> Result<IdColumn> {
        Persons::load(&self.folder, self.manifest.person_id_type, &self.manifest.persons)
    }

    /// One copy of a day, open.
    fn copy(&self, day: usize, order: Order) -> Result<Arc<PagedFile>> {
        let mut open = self.open[day][order as usize].lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(file) = &*open {
            return Ok(file.clone());
        }
        let files = &self.manifest.days[&self.days[day].day];
        let file = if order == Order::Person { &files.by_person } else { &files.by_venue };
        let file = file.as_ref().expect("a day with visits has both copies");
        let file = Arc::new(PagedFile::open(&self.folder, file)?);
        *open = Some(file.clone());
        Ok(file)
    }

    /// Keys must mean someone: they are used as places in tables.
    fn check_keys(&self, keys: &[u32], len: usize) -> Result<()> {
        if keys.iter().copied().max().is_none_or(|key| (key as usize) < len) {
            return Ok(());
        }
        Err(Error::integrity(
            format!("{}: names persons or venues that the store does not know", self.folder.display()),
            "restore the store from a copy, or ingest into a new one",
        ))
    }

    /// The rejected rows of every file the store was fed with.
    ///
    /// # Errors
    /// `storage` or `integrity`.
    pub fn rejects(&self) -> Result<Vec<RejectRow>> {
        match &self.manifest.rejects {
            Some(file) => format::rejects_from_bytes(read_content(&self.folder, file)?, &file.path),
            None => Ok(Vec::new()),
        }
    }

    fn visits_of(&self, file: Option<&DataFile>) -> Result<Visits> {
        match file {
            Some(file) => {
                let visits = format::visits_from_bytes(read_content(&self.folder, file)?, &file.path)?;
                self.check_keys(&visits.person, self.persons.len())?;
                self.check_keys(&visits.venue, self.venues.ids.len())?;
                Ok(visits)
            }
            None => Ok(Visits::default()),
        }
    }
}

/// Columns of the visits' files, by place.
const PERSON: usize = 0;
const VENUE: usize = 1;
const ARRIVED: usize = 2;
const STAY: usize = 3;
const UNSEEN: usize = 4;

impl VisitSource for DiskStore {
    fn persons(&self) -> &Persons {
        &self.persons
    }
    fn venues(&self) -> &Venues {
        &self.venues
    }
    fn days(&self) -> &[DayExtent] {
        &self.days
    }

    fn rows_at(&self, day: usize, venues: Range<u32>) -> Result<Range<usize>> {
        let file = self.copy(day, Order::Venue)?;
        let pages = file.pages_with(order_key(venues.start, 0)..order_key(venues.end, 0));
        Ok(file.rows_of(&pages))
    }

    fn rows_meeting(&self, day: usize, venue: u32, from: Second, until: Second) -> Result<Range<usize>> {
        let file = self.copy(day, Order::Venue)?;
        let mut pages = file.pages_with(order_key(venue, 0)..order_key(venue, until));
        let has_ended = |page: &usize| file.bounds[*page] <= from;
        pages.start += pages.clone().take_while(has_ended).count();
        pages.end -= pages.clone().rev().take_while(has_ended).count();
        Ok(file.rows_of(&pages))
    }

    fn keys(&self, day: usize, rows: Range<usize>) -> Result<Keys<'_>> {
        let (mut person, mut venue) = (self.pool.take(), self.pool.take());
        self.read(day, Order::Venue, rows, &mut [(PERSON, &mut person), (VENUE, &mut venue)])?;
        self.check_keys(&person, self.persons.with_visits())?;
        self.check_keys(&venue, self.venues.ids.len())?;
        Ok(Keys { person: Column::Read(person, &self.pool), venue: Column::Read(venue, &self.pool) })
    }

    fn times(&self, day: usize, rows: Range<usize>) -> Result<Times<'_>> {
        let [mut arrived, mut left, mut seen] = [(); 3].map(|()| self.pool.take());
        let columns = &mut [(ARRIVED, &mut arrived), (STAY, &mut left), (UNSEEN, &mut seen)];
        self.read(day, Order::Venue, rows, columns)?;
        left.iter_mut().zip(&arrived).for_each(|(stay, arrived)| *stay = stay.saturating_add(*arrived));
        let all_seen = seen.iter().all(|unseen| *unseen == 0);
        seen.iter_mut().zip(&left).for_each(|(unseen, left)| *unseen = left.saturating_sub(*unseen));
        let column = |values| Column::Read(values, &self.pool);
        let seen = column(seen);
        Ok(Times { arrived: column(arrived), left: column(left), seen_until: (!all_seen).then_some(seen) })
    }

    fn rows_of_persons(&self, day: usize, persons: usize) -> Option<u64> {
        let rows = self.days[day].rows;
        // A person's visits of a day lie on one page, rarely on two.
        Some(rows.min((persons * format::Layout::LOOKED_UP.page_rows) as u64))
    }

    fn of_persons(&self, day: usize, persons: &[u32]) -> Result<Vec<Stay>> {
        let file = self.copy(day, Order::Person)?;
        let mut stays = Vec::new();
        let mut who: Vec<u32> = Vec::new();
        let mut columns: [Vec<u32>; 4] = Default::default();
        let mut at = 0;
        while at < persons.len() {
            let pages = |person: u32| file.pages_with(order_key(person, 0)..order_key(person, Second::MAX));
            let mut needed = pages(persons[at]);
            let mut end = at + 1;
            // Persons on the same pages, and on the next, are looked up together.
            while end < persons.len() && needed.len() < PAGES_TOGETHER {
                let more = pages(persons[end]);
                if more.start > needed.end {
                    break;
                }
                needed.end = needed.end.max(more.end);
                end += 1;
            }
            let located = file.locate(needed.clone())?;
            who.clear();
            located.read(PERSON, needed.clone(), &mut who)?;
            self.check_keys(&who, self.persons.with_visits())?;
            let mut row = 0;
            let mut rows: Vec<usize> = Vec::new();
            for person in &persons[at..end] {
                row += who[row..].partition_point(|w| w < person);
                let count = who[row..].partition_point(|w| w == person);
                rows.extend(row..row + count);
                row += count;
            }
            if !rows.is_empty() {
                for (column, values) in [VENUE, ARRIVED, STAY, UNSEEN].into_iter().zip(&mut columns) {
                    values.clear();
                    located.read(column, needed.clone(), values)?;
                }
                let [venue, arrived, stay, unseen] = &columns;
                self.check_keys(venue, self.venues.ids.len())?;
                stays.extend(rows.into_iter().map(|row| {
                    let left = arrived[row].saturating_add(stay[row]);
                    Stay {
                        person: who[row],
                        venue: venue[row],
                        arrived: arrived[row],
                        left,
                        seen_until: left.saturating_sub(unseen[row]),
                    }
                }));
            }
            at = end;
        }
        Ok(stays)
    }

    fn temperatures(
        &self,
        from: Second,
        until: Second,
        wanted: &(dyn Fn(&Measured) -> bool + Sync),
    ) -> Result<Vec<Measured>> {
        let days =
            self.manifest.days.range(utc_day(from)..=utc_day(until.saturating_sub(1)).max(utc_day(from)));
        let files: Vec<&DataFile> = days.filter_map(|(_, files)| files.scans.as_ref()).collect();
        let of_day = |file: &&DataFile| -> Result<Vec<Measured>> {
            if !format::has_temperatures(&self.folder.join(&file.path))? {
                return Ok(Vec::new());
            }
            let scans = format::scans_from_bytes(read_content(&self.folder, file)?, &file.path)?;
            let all = (0..scans.len()).map(|row| scans.get(row));
            let measured =
                all.filter(|scan| scan.celsius != NOT_MEASURED && (from..until).contains(&scan.at));
            let measured = measured.map(|Scan { person, venue, at, celsius, .. }| Measured {
                person,
                venue,
                at,
                celsius,
            });
            Ok(measured.filter(|measured| wanted(measured)).collect())
        };
        Ok(files.par_iter().map(of_day).collect::<Result<Vec<_>>>()?.concat())
    }

    fn venue_ranges(&self, days: &[usize], ranges: usize) -> Result<Vec<Range<u32>>> {
        let mut samples = Vec::new();
        for day in days {
            samples.extend(self.copy(*day, Order::Venue)?.starts.iter().map(|start| (start >> 32) as u32));
        }
        Ok(super::split_venues(samples, self.venues.ids.len() as u32, ranges))
    }
}

/// Pages of persons read at once: the columns of as many stay in cache.
const PAGES_TOGETHER: usize = 16;

impl DiskStore {
    /// Fills columns with their values in `rows` of one copy of a day.
    fn read(
        &self,
        day: usize,
        order: Order,
        rows: Range<usize>,
        columns: &mut [(usize, &mut Vec<u32>)],
    ) -> Result<()> {
        if rows.is_empty() {
            return Ok(());
        }
        let file = self.copy(day, order)?;
        let pages = file.page_of(rows.start)..file.page_of(rows.end - 1) + 1;
        let skipped = rows.start - file.rows_of(&pages).start;
        let located = file.locate(pages.clone())?;
        for (column, values) in columns {
            located.read(*column, pages.clone(), values)?;
            values.truncate(skipped + rows.len());
            values.drain(..skipped);
        }
        Ok(())
    }
}

impl Existing for DiskStore {
    fn days(&self) -> Vec<u32> {
        self.manifest.days.keys().copied().collect()
    }
    fn extent(&self, day: u32) -> Option<(Second, Second)> {
        let files = self.manifest.days.get(&day)?;
        files.arrived_min.zip(files.left_max)
    }
    fn scans(&self, day: u32) -> Result<Scans> {
        match self.manifest.days.get(&day).and_then(|d| d.scans.as_ref()) {
            Some(file) => format::scans_from_bytes(read_content(&self.folder, file)?, &file.path),
            None => Ok(Scans::default()),
        }
    }
    fn visits(&self, day: u32) -> Result<Visits> {
        self.visits_of(self.manifest.days.get(&day).and_then(|d| d.by_person.as_ref()))
    }
    fn directed(&self) -> bool {
        self.manifest.directed
    }
}
