//! Questions asked once, of a store or straight of files: tracing, the whole graph, where cases were infected. Nothing is
//! published.

use std::path::Path;

use arrow::array::RecordBatch;
use tempfile::TempDir;

use crate::backward::case_persons;
use crate::backward::links::between;
use crate::backward::shared::{Question, shared};
use crate::config::Config;
use crate::contacts::ContactRule;
use crate::contacts::pairs::{self, Extent, Pair};
use crate::error::{Error, Result};
use crate::facts::Facts;
use crate::ids::Id;
use crate::outputs::csv::{self, Reader};
use crate::outputs::origins::Origins;
use crate::outputs::record::{ReadRows, TraceCounts};
use crate::outputs::stream::TraceFiles;
use crate::outputs::tables::{self, ContactColumns};
use crate::pipeline::{Progress, feed, names, plan};
use crate::rings;
use crate::store::VisitSource;
use crate::store::disk::DiskStore;
use crate::store::format::rejects_table;
use crate::store::ingest::{self, Ingested, Report};
use crate::store::publish;
use crate::time;
use crate::words::Words;

/// Where a trace or a whole graph takes its visits from.
pub enum From<'a> {
    /// A published store.
    Store(&'a Path),
    /// The configuration's scans or visits, held in memory; visits that do not fit it go into a store of their own, which is
    /// gone with the answer.
    Files,
}

/// Visits to trace in, and what reading them showed.
struct Opened {
    visits: Box<dyn VisitSource>,
    report: Report,
    /// Where they are, if only for this answer.
    _folder: Option<TempDir>,
}

fn open(config: &Config, from: &From<'_>, out: &Path) -> Result<Opened> {
    if let From::Store(folder) = from {
        let visits = Box::new(DiskStore::open_existing(folder)?);
        return Ok(Opened { visits, report: Report::default(), _folder: None });
    }
    let feed = feed(config)?;
    if let Some((visits, report)) = ingest::hold(&feed)? {
        return Ok(Opened { visits: Box::new(visits), report, _folder: None });
    }
    let is_new = !out.exists();
    let folder = publish::unfinished_folder(out)?;
    match ingest::ingest(folder.path(), &feed) {
        Ok(Ingested { report, store, .. }) => {
            Ok(Opened { visits: Box::new(store), report, _folder: Some(folder) })
        }
        Err(error) => {
            drop(folder);
            if is_new {
                // It is empty; if it is not, whatever is in it stays.
                std::fs::remove_dir(out).ok();
            }
            Err(error)
        }
    }
}

/// A folder for results must not be one that something was published in: its files would no longer be what was.
fn check_out(out: &Path) -> Result<()> {
    for (file, what) in [("run.json", "a published night"), ("manifest.json", "a store")] {
        if out.join(file).exists() {
            return Err(Error::Conflict {
                what: format!("{}: is {what}", out.display()),
                help: "choose another folder with --out".into(),
            });
        }
    }
    publish::remove_unfinished(out)
}

/// What a trace found and read.
pub struct Trace {
    /// In numbers.
    pub counts: TraceCounts,
    /// Where every row of the files read went.
    pub read: ReadRows,
    /// What the person who asked should know.
    pub notes: Vec<Words>,
}

/// Traces once and writes `contacts.parquet`, `exposures.parquet` and `rejects.parquet` into `out`.
///
/// # Errors
/// Those of reading the inputs; `storage`.
pub fn trace(
    config: &Config,
    from: &From<'_>,
    count_sources: bool,
    out: &Path,
    progress: &dyn Progress,
) -> Result<Trace> {
    if config.table("cases").paths.is_empty() && config.table("windows").paths.is_empty() {
        return Err(Error::usage("nothing to trace from", "give --cases FILE, --windows FILE, or both"));
    }
    check_out(out)?;
    progress.expect(4);
    progress.begin("visits");
    let Opened { _folder, visits, report } = open(config, from, out)?;
    let visits = &*visits;
    progress.end(&format!("{} visits", visits.days().iter().map(|d| d.visits).sum::<u64>()));
    progress.begin("facts");
    let facts = Facts::read(config, visits, None, &[])?;
    progress.end(&format!("{} cases, {} exposure sites", facts.cases.len(), facts.places.len()));
    progress.begin("contacts, rings");
    let names = names(&facts, visits.venues());
    let kinds = !config.table("windows").paths.is_empty();
    let columns = ContactColumns { kinds, sources: count_sources };
    let mut files = TraceFiles::create(out, names, columns)?;
    rings::expand(visits, &facts.seeds(&config.contacts), plan(config, visits, count_sources), &mut files)?;
    progress.end(&format!("{} persons reached", files.rings.iter().sum::<u64>()));
    progress.begin("outputs");
    let mut read = report.files;
    read.extend(facts.files.iter().cloned());
    let read = ReadRows::of(&read, config.rejects_max_percent)?;
    let mut rejects = report.rejects;
    rejects.extend(facts.rejects.iter().cloned());
    rejects.sort();
    let rings = std::mem::take(&mut files.rings);
    let exposures = files.finish(out, &rejects_table(&rejects))?;
    progress.end("written");
    Ok(Trace { counts: TraceCounts::new(visits, &facts, rings, exposures), read, notes: facts.notes })
}

/// Which part of the whole graph to make.
pub struct Selection {
    /// Start and end of the period.
    pub period: (time::Second, time::Second),
    /// Venue ids; none means all.
    pub venues: Vec<String>,
    /// Region of the venues.
    pub region: Option<String>,
}

/// The whole contact graph of a selection, written to `out/pairs.parquet`, with `out/rejects.parquet`.
///
/// # Errors
/// `usage` if a venue is not known or the graph would not fit; those of reading the visits; `storage`.
pub fn contacts(
    config: &Config,
    from: &From<'_>,
    selection: &Selection,
    out: &Path,
    progress: &dyn Progress,
) -> Result<(Vec<Pair>, ReadRows)> {
    check_out(out)?;
    progress.expect(2);
    progress.begin("visits");
    let Opened { _folder, visits, report } = open(config, from, out)?;
    let venues = visits.venues();
    progress.end(&format!("{} visits", visits.days().iter().map(|d| d.visits).sum::<u64>()));
    let mut chosen = vec![selection.venues.is_empty(); venues.ids.len()];
    for id in &selection.venues {
        let key = venues.ids.key(Id::Text(id)).ok_or_else(|| {
            Error::usage(format!("venue {id:?} is not known"), "venue ids are written as in the input")
        })?;
        chosen[key as usize] = true;
    }
    if let Some(region) = &selection.region {
        let inside = |key: usize| venues.facts[key].region_id.as_ref() == Some(region);
        if !(0..chosen.len()).any(inside) {
            let help = "regions are those of the venues table; give it to ingest with --venues";
            return Err(Error::usage(format!("no venue is in region {region:?}"), help));
        }
        chosen.iter_mut().enumerate().for_each(|(key, chosen)| *chosen &= inside(key));
    }
    progress.begin("contacts");
    let (from, until) = selection.period;
    let extent = Extent { from, until, venues: chosen, memory: config.memory };
    let pairs = pairs::find(&*visits, &extent, &ContactRule::new(&config.contacts, venues))?;
    progress.end(&format!("{} pairs", pairs.len()));
    let made =
        [("pairs", tables::pairs(&pairs, visits.persons())?), ("rejects", rejects_table(&report.rejects))];
    tables::write_together(out, &made)?;
    Ok((pairs, ReadRows::of(&report.files, config.rejects_max_percent)?))
}

/// Where the cases may have been infected: the places that at least `at_least` of them visited in the days 14 to 1 before
/// they fell ill, and who of them likely infected whom. Written to `out` as `source_venues`, `source_hours` and `links`,
/// Parquet and CSV, with `rejects.parquet`.
///
/// # Errors
/// `usage` without cases or a time zone, whose days incubation is counted in; those of reading and writing.
pub fn sources(
    config: &Config,
    from: &From<'_>,
    at_least: u64,
    out: &Path,
    progress: &dyn Progress,
) -> Result<(Origins, ReadRows)> {
    if config.table("cases").paths.is_empty() {
        return Err(Error::usage("no cases to look for the source of", "give --cases FILE"));
    }
    let Some(zone) = &config.time_zone else {
        let help = "give --time-zone, such as Asia/Shanghai";
        return Err(Error::usage("days of incubation are local days, and no zone is known", help));
    };
    check_out(out)?;
    progress.expect(3);
    progress.begin("visits");
    let Opened { _folder, visits, report } = open(config, from, out)?;
    let visits = &*visits;
    progress.end(&format!("{} visits", visits.days().iter().map(|d| d.visits).sum::<u64>()));
    progress.begin("cases");
    let facts = Facts::read(config, visits, None, &[])?;
    let cases = case_persons(&facts, &config.contacts);
    progress.end(&format!("{} cases", cases.len()));
    progress.begin("shared places, links");
    let windows: Vec<(u32, (time::Second, time::Second))> =
        cases.iter().map(|case| (case.person, case.infected_in(zone))).collect();
    let period = (
        windows.iter().map(|(_, (from, _))| *from).min().unwrap_or(0),
        windows.iter().map(|(_, (_, until))| *until).max().unwrap_or(0),
    );
    let places = shared(visits, &Question { cases: &windows, least: at_least, by_hour: true, period })?;
    let venues = visits.venues();
    let links = between(visits, &cases, &ContactRule::new(&config.contacts, venues), zone)?;
    let origins = Origins::new(&cases, &places, &links, names(&facts, venues), venues, zone)?;
    let mut rejects = report.rejects;
    rejects.extend(facts.rejects.iter().cloned());
    rejects.sort();
    let made =
        [("source_venues", &origins.venues), ("source_hours", &origins.hours), ("links", &origins.links)];
    let mut tables: Vec<(&str, RecordBatch)> = made.map(|(name, table)| (name, table.clone())).into();
    tables.push(("rejects", rejects_table(&rejects)));
    publish::create_folder(out)?;
    let folder = std::path::absolute(out).map_err(Error::storage(out, "finding"))?;
    for (name, table) in made {
        let rows: Vec<u32> = (0..table.num_rows() as u32).collect();
        csv::write(&folder, name, table, &rows, Reader::Program)?;
    }
    tables::write_together(out, &tables)?;
    progress.end("written");
    let mut read = report.files;
    read.extend(facts.files);
    Ok((origins, ReadRows::of(&read, config.rejects_max_percent)?))
}
