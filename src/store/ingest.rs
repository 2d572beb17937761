//! Files into a store, or into memory: ids to keys, rows to changed days, a new version published whole.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;

use rayon::prelude::*;

use crate::config::{TableConfig, VisitRules};
use crate::error::{Error, Result};
use crate::ids::{IdTable, IdType, NO_KEY};
use crate::records::rejects::{FileBalance, Reason, Reject};
use crate::records::scans::{self, PERSONS, ScanRows, VENUES, VisitRows};
use crate::records::venues::{self, VenueFacts, VenueRow};
use crate::records::{self, FileRows, StampedFile};
use crate::store::disk::DiskStore;
use crate::store::format::{self, Layout, Order, RejectRow};
use crate::store::manifest::{DataFile, DayFiles, FedWith, Manifest};
use crate::store::memory::MemoryVisits;
use crate::store::merge::{self, Changes, Existing, FromFile, Nothing};
use crate::store::publish::{self, Lock, write_content, write_paged};
use crate::store::{DayExtent, Venues, VisitSource, sort_by_venue};
use crate::visits::{EndSource, Scan, Visit};

/// What to read, and how scans become visits.
pub struct Feed<'a> {
    /// Which table.
    pub with: FedWith,
    /// Where it is.
    pub table: &'a TableConfig,
    /// The venues table; with no paths, what is known of venues stays as it is.
    pub venues: &'a TableConfig,
    /// How scans become visits.
    pub rules: &'a VisitRules,
    /// Pages of visits and ids; anything but [`Layout::LOOKED_UP`] is for tests.
    pub layout: Layout,
}

/// What an ingest did.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Every file read this time, venues included.
    pub files: Vec<FileBalance>,
    /// Rejected rows of those files.
    pub rejects: Vec<RejectRow>,
    /// Files skipped because they had been read before.
    pub known_files: usize,
    /// Files read before under the same name with other content; rows they no longer hold stay in the store.
    pub changed_files: Vec<String>,
    /// UTC days whose visits changed, by number.
    pub changed_days: Vec<u32>,
    /// Version published; `None` when nothing changed.
    pub version: Option<u64>,
}

/// Everything that follows from the files, before it is written anywhere.
struct Prepared {
    persons: IdTable,
    venues: Venues,
    changes: Changes,
    fed_files: Vec<FileBalance>,
    fed_rejects: Vec<RejectRow>,
    report: Report,
}

/// Reads the feed into memory, for a single trace.
///
/// # Errors
/// Those of reading the files.
pub fn hold(feed: &Feed<'_>) -> Result<(MemoryVisits, Report)> {
    let mut prepared = prepare(feed, None)?;
    prepared.report.files.extend(prepared.fed_files);
    prepared.report.rejects.extend(prepared.fed_rejects);
    let visits = MemoryVisits::new(prepared.persons, prepared.venues, prepared.changes.visits);
    Ok((visits, prepared.report))
}

/// A store after an ingest, still held: no other ingest can come between it and what is read from it.
pub struct Ingested {
    /// What the ingest did.
    pub report: Report,
    /// The store as it is now.
    pub store: DiskStore,
    _lock: Lock,
}

/// The folders of a store.
const FOLDERS: [&str; 6] = ["persons", "venues", "by_person", "by_venue", "scans", "rejects"];

/// Reads the files of the feed that the store in `folder` has not read yet, and publishes a new version if anything
/// in it changes.
///
/// # Errors
/// Those of reading the files; `conflict` if another process is at it, or the folder holds something else; `storage`,
/// with the published version as it was.
pub fn ingest(folder: &Path, feed: &Feed<'_>) -> Result<Ingested> {
    let lock = Lock::take(folder)?;
    let current = DiskStore::open(folder)?;
    if current.is_none() {
        refuse_foreign(folder)?;
    }
    remove_unfinished(folder)?;
    if let Some(current) = &current {
        let fed_with = current.manifest().fed_with;
        if fed_with != feed.with {
            return Err(Error::usage(
                format!(
                    "{}: this store is fed with {}, not {}",
                    folder.display(),
                    fed_with.table(),
                    feed.with.table()
                ),
                "use one store for each kind of input",
            ));
        }
    }
    let prepared = prepare(feed, current.as_ref())?;
    let report = write(folder, feed, current.as_ref(), prepared)?;
    Ok(Ingested { report, store: DiskStore::open_existing(folder)?, _lock: lock })
}

/// A folder that is to become a store must hold nothing else: files in it would be taken for the store's own.
fn refuse_foreign(folder: &Path) -> Result<()> {
    let own = |path: &std::path::PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        // What a first ingest that was killed leaves: our folders with nothing in them but content files.
        name == "lock"
            || name.starts_with(publish::UNFINISHED)
            || (FOLDERS.contains(&&*name) && content_files(path).is_ok_and(|(_, foreign)| foreign == 0))
    };
    if publish::list(folder)?.iter().all(own) {
        return Ok(());
    }
    Err(Error::Conflict {
        what: format!("{}: holds other files, and no store", folder.display()),
        help: "give the store a folder of its own".into(),
    })
}

/// The files below one of a store's folders that carry a content name, and how many others there are.
fn content_files(folder: &Path) -> Result<(Vec<std::path::PathBuf>, usize)> {
    let (mut files, mut foreign) = (Vec::new(), 0);
    for path in publish::list(folder)? {
        let inside = if path.is_dir() { publish::list(&path)? } else { vec![path] };
        for file in inside {
            let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let stem = name.strip_suffix(".parquet").or(name.strip_suffix(".pages")).unwrap_or_default();
            if stem.len() == publish::CONTENT_NAME && stem.bytes().all(|b| b.is_ascii_hexdigit()) {
                files.push(file);
            } else if !name.starts_with(publish::UNFINISHED) {
                foreign += 1;
            }
        }
    }
    Ok((files, foreign))
}

/// Removes what a killed ingest left unfinished.
fn remove_unfinished(folder: &Path) -> Result<()> {
    publish::remove_unfinished(folder)?;
    for copy in FOLDERS {
        publish::remove_unfinished(&folder.join(copy))?;
        for day in publish::list(&folder.join(copy))?.iter().filter(|path| path.is_dir()) {
            publish::remove_unfinished(day)?;
        }
    }
    Ok(())
}

fn prepare(feed: &Feed<'_>, current: Option<&DiskStore>) -> Result<Prepared> {
    let mut report = Report::default();
    let mut unread = Vec::new();
    for file in records::stamp(feed.with.table(), feed.table)? {
        let inputs = current.map_or(&[][..], |c| &c.manifest().inputs);
        let same_name = inputs.iter().filter(|i| i.file == file.file.name);
        let (known, other): (Vec<_>, Vec<_>) = same_name.partition(|i| i.blake3 == file.blake3);
        if known.iter().any(|i| i.read_as != feed.table.read_as()) {
            return Err(Error::Conflict {
                what: format!(
                    "{}: has been read with another mapping, time unit or time zone",
                    file.file.name
                ),
                help: "its rows are in the store as they were read then; ingest everything into a new store"
                    .into(),
            });
        }
        if !known.is_empty() {
            report.known_files += 1;
            continue;
        }
        if !other.is_empty() {
            report.changed_files.push(file.file.name.clone());
        }
        unread.push(file);
    }
    let venue_files = match feed.venues.paths.is_empty() {
        true => Vec::new(),
        false => venues::read(&records::stamp("venues", feed.venues)?, feed.venues)?,
    };
    match feed.with {
        FedWith::Scans => prepare_scans(feed, current, unread, venue_files, report),
        FedWith::Visits => prepare_visits(feed, current, unread, venue_files, report),
    }
}

fn prepare_scans(
    feed: &Feed<'_>,
    current: Option<&DiskStore>,
    unread: Vec<StampedFile>,
    venue_files: Vec<FileRows<Vec<VenueRow>>>,
    mut report: Report,
) -> Result<Prepared> {
    let files = scans::read_scans(&unread, feed.table)?;
    let tables = files.iter().map(|f| (&f.balance.file, &f.ids)).collect::<Vec<_>>();
    let keys = Keys::assign(current, &tables, venue_files, &mut report)?;
    let rows: Vec<Vec<FromFile<Scan>>> = files
        .par_iter()
        .enumerate()
        .map(|(file, read)| {
            let ScanRows { person, venue, at, direction, left } = &read.rows;
            let scan = |row: usize| Scan {
                person: keys.persons_of[file][person[row] as usize],
                venue: keys.venues_of[file][venue[row] as usize],
                at: at[row],
                direction: direction[row],
                left: left[row],
            };
            (0..person.len()).map(|row| (scan(row), file as u32)).collect()
        })
        .collect();
    let rules = keys.venues.stay_rules(feed.rules);
    let rebuild = current.is_some_and(|c| {
        let before = c.venues().stay_rules(feed.rules);
        let known = before.by_venue.len();
        c.manifest().visit_rules != digest(feed.rules)
            || before.by_venue[..] != rules.by_venue[..known]
            || before.parent[..] != rules.parent[..known]
    });
    let existing: &dyn Existing = current.map_or(&Nothing, |c| c);
    let changes = merge::scans(existing, rows.concat(), files.len(), &rules, rebuild)?;
    let (fed_files, fed_rejects) = balances(files, &changes);
    Ok(Prepared { persons: keys.persons, venues: keys.venues, changes, fed_files, fed_rejects, report })
}

fn prepare_visits(
    feed: &Feed<'_>,
    current: Option<&DiskStore>,
    unread: Vec<StampedFile>,
    venue_files: Vec<FileRows<Vec<VenueRow>>>,
    mut report: Report,
) -> Result<Prepared> {
    let files = scans::read_visits(&unread, feed.table)?;
    let tables = files.iter().map(|f| (&f.balance.file, &f.ids)).collect::<Vec<_>>();
    let keys = Keys::assign(current, &tables, venue_files, &mut report)?;
    let rows: Vec<Vec<FromFile<Visit>>> = files
        .par_iter()
        .enumerate()
        .map(|(file, read)| {
            let VisitRows { person, venue, arrived, left } = &read.rows;
            let visit = |row: usize| Visit {
                person: keys.persons_of[file][person[row] as usize],
                venue: keys.venues_of[file][venue[row] as usize],
                arrived: arrived[row],
                left: left[row],
                seen_until: left[row],
                end_source: EndSource::CheckOut,
            };
            (0..person.len()).map(|row| (visit(row), file as u32)).collect()
        })
        .collect();
    let existing: &dyn Existing = current.map_or(&Nothing, |c| c);
    let changes = match rows.iter().all(Vec::is_empty) {
        true => Changes { merged: vec![0; files.len()], kept: vec![0; files.len()], ..Changes::default() },
        false => merge::visits(existing, rows.concat(), files.len())?,
    };
    let (fed_files, fed_rejects) = balances(files, &changes);
    Ok(Prepared { persons: keys.persons, venues: keys.venues, changes, fed_files, fed_rejects, report })
}

fn digest(rules: &VisitRules) -> String {
    blake3::hash(format!("{rules:?}").as_bytes()).to_hex().to_string()
}

/// The balance of each file once merging is known, and its rejects.
fn balances<T>(files: Vec<FileRows<T>>, changes: &Changes) -> (Vec<FileBalance>, Vec<RejectRow>) {
    let mut rejects = Vec::new();
    let balance = |((mut file, merged), kept): ((FileRows<T>, &u64), &u64)| {
        file.balance.merged = *merged;
        file.balance.accepted = *kept;
        rejects.extend(RejectRow::of(&file.balance, &file.rejects));
        file.balance
    };
    let balances = files.into_iter().zip(&changes.merged).zip(&changes.kept).map(balance).collect();
    (balances, rejects)
}

/// Id tables after the new files, and the key of each file's local keys.
struct Keys {
    persons: IdTable,
    venues: Venues,
    persons_of: Vec<Vec<u32>>,
    venues_of: Vec<Vec<u32>>,
}

impl Keys {
    fn assign(
        current: Option<&DiskStore>,
        files: &[(&String, &Vec<IdTable>)],
        venue_files: Vec<FileRows<Vec<VenueRow>>>,
        report: &mut Report,
    ) -> Result<Keys> {
        let persons: Vec<&IdTable> = files.iter().map(|(_, ids)| &ids[PERSONS]).collect();
        let mut venue_tables: Vec<&IdTable> = files.iter().map(|(_, ids)| &ids[VENUES]).collect();
        // The first ids decide what type ids have; a delivery without rows decides nothing. Venues go by the visits,
        // where the ids of a described venue can be text only because its table came as CSV.
        let known = current.map(DiskStore::person_ids).transpose()?;
        let mut person_ids = match known.filter(|ids| !ids.is_empty()) {
            Some(known) => IdTable::from_column(known),
            None => IdTable::new(common_type(&persons).unwrap_or(IdType::Text)),
        };
        let mut venues = match current.map(DiskStore::venues).filter(|venues| !venues.ids.is_empty()) {
            Some(known) => known.clone(),
            None => {
                let described: Vec<&IdTable> = venue_files.iter().map(|f| &f.ids[0]).collect();
                let kind = common_type(&venue_tables).or_else(|| common_type(&described));
                Venues::new(kind.unwrap_or(IdType::Text))
            }
        };
        let persons_of = person_ids.absorb(&persons);
        venue_tables.extend(venue_files.iter().map(|f| &f.ids[0]));
        let mut venues_of = venues.ids.absorb(&venue_tables);
        let described_of = venues_of.split_off(files.len());
        venues.parent.resize(venues.ids.len(), NO_KEY);
        venues.facts.resize(venues.ids.len(), VenueFacts::default());
        describe(&mut venues, venue_files, &described_of, report);

        let whole = |keys: Vec<Vec<Option<u32>>>, column: &str, kind: IdType| -> Result<Vec<Vec<u32>>> {
            let file = |(keys, (name, _)): (Vec<Option<u32>>, &(&String, &Vec<IdTable>))| {
                keys.into_iter().collect::<Option<Vec<u32>>>().ok_or_else(|| {
                    Error::input(
                        name.as_str(),
                        format!(
                            "column {column}: expected {} ids as in the rows before, found others",
                            kind.name()
                        ),
                        "deliver ids in one form, or ingest into a new store with all files at once",
                    )
                })
            };
            keys.into_iter().zip(files).map(file).collect()
        };
        Ok(Keys {
            persons_of: whole(persons_of, "person_id", person_ids.ids().kind())?,
            venues_of: whole(venues_of, "venue_id", venues.ids.ids().kind())?,
            persons: person_ids,
            venues,
        })
    }
}

/// The type ids of these tables have together: integers if any are, for a CSV file beside them has only its texts; then
/// every text must be one. Signed if kinds are mixed. `None` if there are no ids. So the type does not depend on
/// whether files came at once or one by one.
pub fn common_type(tables: &[&IdTable]) -> Option<IdType> {
    let kinds = tables.iter().filter(|t| !t.is_empty()).map(|t| t.ids().kind());
    kinds.reduce(|a, b| match (a, b) {
        (a, b) if a == b => a,
        (IdType::Text, integer) | (integer, IdType::Text) => integer,
        _ => IdType::Int,
    })
}

/// Sets what the venues files say. The first row of a venue counts, in the order of files and rows; a later one is
/// merged if it says the same and rejected if it does not.
fn describe(
    venues: &mut Venues,
    files: Vec<FileRows<Vec<VenueRow>>>,
    keys: &[Vec<Option<u32>>],
    report: &mut Report,
) {
    if files.is_empty() {
        return;
    }
    venues.parent.fill(NO_KEY);
    venues.facts.fill(VenueFacts::default());
    let mut seen: HashMap<u32, (u32, VenueFacts)> = HashMap::new();
    for (mut file, keys) in files.into_iter().zip(keys) {
        for row in std::mem::take(&mut file.rows) {
            let mut reject = |column, reason| {
                file.rejects.push(Reject { row: row.row, column, reason });
                file.balance.accepted -= 1;
                file.balance.rejected += 1;
            };
            let Some(venue) = keys[row.venue as usize] else {
                reject("venue_id", Reason::ForeignId);
                continue;
            };
            let parent = if row.parent == NO_KEY { Some(NO_KEY) } else { keys[row.parent as usize] };
            let Some(parent) = parent else {
                reject("parent_venue_id", Reason::ForeignId);
                continue;
            };
            match seen.get(&venue) {
                Some(known) if *known == (parent, row.facts.clone()) => {
                    file.balance.accepted -= 1;
                    file.balance.merged += 1;
                }
                Some(_) => reject("venue_id", Reason::Contradicts),
                None => {
                    seen.insert(venue, (parent, row.facts.clone()));
                    venues.parent[venue as usize] = parent;
                    venues.facts[venue as usize] = row.facts;
                }
            }
        }
        file.rejects.sort();
        report.rejects.extend(RejectRow::of(&file.balance, &file.rejects));
        report.files.push(file.balance);
    }
}

fn write(folder: &Path, feed: &Feed<'_>, current: Option<&DiskStore>, prepared: Prepared) -> Result<Report> {
    let Prepared { persons, venues, changes, fed_files, fed_rejects, mut report } = prepared;
    fed_files.iter().chain(&report.files).try_for_each(FileBalance::check)?;
    let before = match current {
        Some(current) => current.manifest().clone(),
        None => Manifest::empty(feed.with, persons.ids().kind(), venues.ids.ids().kind()),
    };
    let mut next = before.clone();
    next.visit_rules = digest(feed.rules);
    next.person_id_type = persons.ids().kind();
    next.venue_id_type = venues.ids.ids().kind();
    next.directed = changes.directed || before.directed;
    let known_persons = current.map_or(0, |c| c.persons().with_visits());
    if known_persons < persons.len() {
        let rows: Vec<u32> = (known_persons as u32..persons.len() as u32).collect();
        let new = persons.ids().take(&rows);
        let (bytes, pages) = format::ids_to_bytes(&new, "person_id", feed.layout)?;
        next.persons.push(write_paged(folder, "persons", new.len() as u64, &bytes, pages.as_deref())?);
    }
    let bytes = format::venues_to_bytes(&venues)?;
    next.venues = Some(write_content(folder, "venues", venues.ids.len() as u64, &bytes)?);

    let days: BTreeSet<u32> = changes.visits.keys().chain(changes.scans.keys()).copied().collect();
    let days: Vec<u32> = days.into_iter().collect();
    let written: Result<BTreeMap<u32, DayFiles>> = days
        .par_iter()
        .map(|day| Ok((*day, write_day(folder, *day, feed.layout, &changes, before.days.get(day))?)))
        .collect();
    for (day, files) in written? {
        if before.days.get(&day) != Some(&files) {
            report.changed_days.push(day);
            next.days.insert(day, files);
        }
    }

    next.inputs.extend(fed_files.iter().cloned());
    next.inputs.sort_by(|a, b| (&a.table, &a.file, &a.blake3).cmp(&(&b.table, &b.file, &b.blake3)));
    let known_rejects = current.map_or(Ok(Vec::new()), DiskStore::rejects)?;
    let mut rejects = known_rejects.clone();
    if !feed.venues.paths.is_empty() {
        // The venues table is read whole each time, and so are its rejects.
        rejects.retain(|r| r.table != "venues");
        rejects.extend(report.rejects.iter().cloned());
    }
    rejects.extend(fed_rejects.iter().cloned());
    rejects.sort();
    if rejects != known_rejects {
        let bytes = format::rejects_to_bytes(&rejects)?;
        next.rejects = Some(write_content(folder, "rejects", rejects.len() as u64, &bytes)?);
    }
    report.files.extend(fed_files);
    report.rejects.extend(fed_rejects);
    if next == before && current.is_some() {
        return Ok(report);
    }
    next.version += 1;
    next.previous = before.files().flat_map(DataFile::paths).collect();
    report.version = Some(next.version);
    let text = serde_json::to_string_pretty(&next).expect("a manifest is plain data");
    publish::write_file(&folder.join("manifest.json"), text.as_bytes())?;
    remove_orphans(folder, &next)?;
    Ok(report)
}

fn write_day(
    folder: &Path,
    day: u32,
    layout: Layout,
    changes: &Changes,
    before: Option<&DayFiles>,
) -> Result<DayFiles> {
    let place = |copy: &str| format!("{copy}/day={}", crate::time::utc_day_name(day));
    let empty = DayFiles { arrived_min: None, left_max: None, by_person: None, by_venue: None, scans: None };
    let mut files = before.cloned().unwrap_or(empty);
    if let Some(scans) = changes.scans.get(&day) {
        let bytes = format::scans_to_bytes(scans)?;
        files.scans = Some(write_content(folder, &place("scans"), scans.len() as u64, &bytes)?);
    }
    if let Some(visits) = changes.visits.get(&day) {
        let extent = DayExtent::of(day, visits);
        files.arrived_min = extent.map(|e| e.arrived_min);
        files.left_max = extent.map(|e| e.left_max);
        (files.by_person, files.by_venue) = (None, None);
        if extent.is_some() {
            let rows = visits.len() as u64;
            let file = format::visits_to_bytes(visits, Order::Person, layout)?;
            files.by_person =
                Some(write_paged(folder, &place("by_person"), rows, &file.bytes, Some(&file.pages))?);
            let file = format::visits_to_bytes(&sort_by_venue(visits), Order::Venue, layout)?;
            files.by_venue =
                Some(write_paged(folder, &place("by_venue"), rows, &file.bytes, Some(&file.pages))?);
        }
    }
    Ok(files)
}

/// Removes the store's own files that neither this version nor the one before uses.
fn remove_orphans(folder: &Path, manifest: &Manifest) -> Result<()> {
    let used: BTreeSet<String> =
        manifest.files().flat_map(DataFile::paths).chain(manifest.previous.iter().cloned()).collect();
    for copy in FOLDERS {
        for file in content_files(&folder.join(copy))?.0 {
            let name = file.strip_prefix(folder).unwrap_or(&file).to_string_lossy();
            if !used.contains(&*name) {
                std::fs::remove_file(&file).map_err(Error::storage(&file, "removing"))?;
            }
        }
    }
    Ok(())
}
