//! The night, stage by stage: it reads like the picture in the crate's documentation.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use arrow::array::RecordBatch;
use jiff::civil::Date;

use crate::colors::{self, Scheme};
use crate::config::Config;
use crate::error::{Error, Result};
use crate::facts::Facts;
use crate::ids::IdColumn;
use crate::outputs::read::{Run, id_at};
use crate::outputs::record::{
    Balance, Counts, Identity, InputIdentity, ReadRows, RegisterIdentity, RunRecord, SchemeIdentity,
};
use crate::outputs::register::{self, Published, Register};
use crate::outputs::run::{NightTables, Runs, publish, register_of};
use crate::outputs::summary::Outlook;
use crate::outputs::survey::{self, Survey};
use crate::outputs::tables::{self, ContactColumns, Names, RowIds};
use crate::outputs::{self, calendar, hold};
use crate::records;
use crate::records::rejects::FileBalance;
use crate::rings::{self, LocalRunner, Plan, Traced};
use crate::store::VisitSource;
use crate::store::disk::DiskStore;
use crate::store::format::{Layout, RejectRow, rejects_table};
use crate::store::ingest::{self, Budget, Feed, Ingested, Report};
use crate::store::manifest::FedWith;
use crate::store::publish::create_folder;
use crate::store::up_to::UpTo;
use crate::time;
use crate::words::Words;

/// Hears of every stage as it begins and ends, to show it.
pub trait Progress: Sync {
    /// So many stages are to come.
    fn expect(&self, stages: u64);
    /// A stage begins.
    fn begin(&self, stage: &str);
    /// The stage has ended with this result.
    fn end(&self, result: &str);
}

/// A published night.
pub struct Night {
    /// Its folder.
    pub folder: PathBuf,
    /// Its record.
    pub record: RunRecord,
    /// The scheme it was colored by.
    pub scheme: Scheme,
    /// Whether it had been published before, from the same inputs, so that nothing was done.
    pub known: bool,
    /// Where the rows read tonight went: those of new files and of the small tables, not those of earlier nights.
    pub read: ReadRows,
}

/// What a night is made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// To be published, once.
    Publish,
    /// To look at a past night again: as it follows from the inputs of today, of which it knows what was known then. Not
    /// published, never held, and written anew each time.
    LookBack,
}

/// One whole night: scans in, contacts of cases, colors with reasons, published.
///
/// # Errors
/// `usage` and `input` for what was asked or delivered; `conflict` if the date has been published from other inputs,
/// or another run is going on; `integrity` if publishing would break a promise; `storage`.
pub fn night(
    config: &Config,
    base: &Path,
    date: Date,
    purpose: Purpose,
    progress: &dyn Progress,
) -> Result<Night> {
    let mut scheme = Scheme::load(&config.scheme, base)?;
    colors::vectors::check(&scheme)?;
    if let Some(zone) = &config.time_zone {
        scheme.time_zone = zone.clone();
    }
    let runs = Runs::take(&config.runs)?;
    let before = runs.last_before(date)?;
    progress.expect(6);
    progress.begin("look for what is new");
    let identity = identify(config, &scheme, before.as_ref())?;
    if purpose == Purpose::Publish
        && let Some(published) = runs.published(date)?
    {
        progress.end("this night has been published");
        return known(published, identity, runs.place(date), scheme);
    }
    progress.end(&format!("{} input files", identity.files.len()));

    progress.begin("records, visits, store");
    let Ingested { report: ingested, store, .. } = &ingest::ingest(&config.store, &feed(config)?)?;
    progress.end(&ingest_words(ingested));
    let end = time::end_of_day(date, &scheme.time_zone)?;
    let visits = UpTo::new(store, end)?;

    progress.begin("facts");
    let mut facts = Facts::read(config, &visits, Some(end), &[&scheme])?;
    progress.end(&format!("{} cases, {} exposure sites", facts.cases.len(), facts.places.len()));

    progress.begin("contacts, rings");
    let mut traced = Traced::default();
    rings::expand(&visits, &facts.seeds(&config.contacts), plan(config, &visits, false), &mut traced)?;
    progress.end(&format!("{} persons reached", traced.contacts.len()));

    progress.begin("colors");
    facts.renew(&visits, &traced, &config.contacts, &scheme)?;
    facts.refuse_orders(&visits, &traced, &config.contacts, scheme.fever)?;
    facts.recognise(&scheme);
    facts.note_unknown_rules(&scheme);
    facts.note_unasked(&scheme);
    let all = facts.all(&traced);
    let colored = colors::assign(&all, &scheme, date);
    let register = Register::new(colored, &facts, visits.venues())?;
    progress.end(&format!("{} persons not {}", register.rows.len(), scheme.healthy()));

    progress.begin("outputs");
    let names = names(&facts, visits.venues());
    let published = match &before {
        Some((_, run)) => register_of(run, facts.persons.kind())?,
        None => Published::empty(facts.persons.kind()),
    };
    let pushed = match &before {
        Some((_, run)) => outputs::pushes::standing(run, facts.persons.kind())?,
        None => Published::empty(facts.persons.kind()),
    };
    let reached: Vec<u32> = traced.contacts.iter().map(|c| c.person).collect();
    let (ids, sources) =
        (names.persons.ids(&reached)?, names.by_row(traced.contacts.iter().map(|c| c.best_source))?);
    let of_contacts = RowIds { persons: &ids, sources: &sources };
    let exposed: Vec<u32> = traced.edges.iter().map(|e| e.exposure.contact).collect();
    let (ids, sources) = (names.persons.ids(&exposed)?, names.by_row(traced.edges.iter().map(|e| e.source))?);
    let of_edges = RowIds { persons: &ids, sources: &sources };
    let survey = Survey::new(&visits, &facts, &config.contacts, &scheme, date)?;
    let inputs = all_files(store, ingested, &facts);
    let rules = register.rules(&scheme);
    let tables = NightTables {
        links: survey::links(&survey.links, &survey::case_ids(&survey.cases, names)?, visits.venues()),
        districts: survey::districts(&facts, &survey.places),
        traffic: survey::traffic(&survey.places),
        inputs: survey::inputs(&inputs),
        rules: survey::rules(&scheme, &rules),
        contacts: tables::contacts(
            &traced.contacts,
            names,
            of_contacts,
            ContactColumns { kinds: true, sources: false },
        ),
        exposures: tables::exposures(&traced.edges, names, of_edges, true),
        colors: register.table(&scheme),
        evidence: register.evidence(&scheme, &facts, names)?,
        renewed: tables::renewed(&facts.renewed, names)?,
        appeals: calendar::open_appeals(&facts, &scheme, date)?,
        calendar: calendar::calendar(&register, &facts, &all, &scheme, date)?,
        overdue: calendar::overdue(&register, &scheme),
        pushes: outputs::pushes::out(&register, &pushed, &scheme, &config.origin, date),
        facts: outputs::facts::table_of(&facts, names)?,
        venues: survey::venues(&traced, &facts, &survey.places, visits.venues()),
        sources: tables::sources(&facts, &config.contacts, names)?,
        changes: register::changes(&register, &published, &scheme),
        rejects: rejects_table(&all_rejects(store.rejects()?, &facts)),
        scheme: scheme.text.clone(),
    };
    let counts = Counts {
        colors: count(&tables.colors, |row| row("color")),
        changes: count(&tables.changes, |row| format!("{} -> {}", row("color_before"), row("color_after"))),
        rules,
        ..Counts::new(&visits, &facts, &traced)
    };
    let mut record = RunRecord {
        date: date.to_string(),
        identity,
        balance: Balance::of(&inputs)?,
        inputs,
        counts,
        notes: notes(store, &visits, &facts),
        outputs: Vec::new(),
    };
    let folder = match purpose {
        Purpose::Publish => {
            hold_or_approve(config, &runs, date, &facts, &scheme, &tables, &mut record)?;
            runs.place(date)
        }
        Purpose::LookBack => runs.look_back(date)?,
    };
    publish(&runs, &folder, &tables, record, (&scheme, None))?;
    progress.end("published");
    let read: Vec<FileBalance> = ingested.files.iter().chain(&facts.files).cloned().collect();
    let read = ReadRows::of(&read, config.rejects_max_percent)?;
    Ok(Night { record: Run::open(&folder)?.record, folder, scheme, known: false, read })
}

/// What every scheme that is shipped makes of a night whose visits are in the store; an edition of the national protocol by
/// its own policy of tracing. Publishes nothing.
///
/// # Errors
/// Those of reading the store and the small tables.
pub fn side_by_side(config: &Config, date: Date) -> Result<Vec<Outlook>> {
    let store = DiskStore::open_existing(&config.store)?;
    let mut schemes = Vec::new();
    for (name, _) in colors::scheme::EMBEDDED {
        let mut scheme = Scheme::load(name, Path::new(""))?;
        if let Some(zone) = &config.time_zone {
            scheme.time_zone = zone.clone();
        }
        schemes.push(scheme);
    }
    let end = time::end_of_day(date, &schemes[0].time_zone)?;
    let visits = UpTo::new(&store, end)?;
    let all: Vec<&Scheme> = schemes.iter().collect();
    let read = Facts::read(config, &visits, Some(end), &all)?;
    let mut outlooks = Vec::new();
    for scheme in &schemes {
        let own = config.under_policy(&scheme.id);
        let config = own.as_ref().unwrap_or(config);
        // Facts are taken away as a scheme and a trace want it, so each has its own.
        let mut facts = read.clone();
        let mut traced = Traced::default();
        rings::expand(&visits, &facts.seeds(&config.contacts), plan(config, &visits, false), &mut traced)?;
        facts.renew(&visits, &traced, &config.contacts, scheme)?;
        facts.refuse_orders(&visits, &traced, &config.contacts, scheme.fever)?;
        facts.recognise(scheme);
        let (mut persons, mut everyone) = (BTreeMap::new(), BTreeSet::new());
        for colored in colors::assign(&facts.all(&traced), scheme, date) {
            let reason = &colored.reasons[0];
            *persons.entry((reason.rank, scheme.rules[reason.rule].id.clone())).or_default() += 1;
            everyone.insert(colored.person);
        }
        outlooks.push(Outlook { scheme: scheme.clone(), persons, colored: everyone });
    }
    Ok(outlooks)
}

/// What a night would be.
pub struct Supposed {
    /// What was supposed.
    pub name: String,
    /// The scheme.
    pub scheme: Scheme,
    /// Persons by ring, from ring 1.
    pub rings: Vec<u64>,
    /// The register, as `colors.parquet`.
    pub register: RecordBatch,
}

/// What a night would be under other rules: each configuration with a name, all about the same inputs. Publishes nothing; only
/// the visit store takes in what is new, as a night would.
///
/// # Errors
/// As for [`night`], but for those of publishing.
pub fn suppose(
    configs: &[(String, Config)],
    base: &Path,
    date: Date,
    progress: &dyn Progress,
) -> Result<Vec<Supposed>> {
    let (_, first) = configs.first().expect("something to suppose");
    progress.expect(1 + configs.len() as u64);
    progress.begin("records, visits, store");
    let Ingested { report: ingested, store, .. } = &ingest::ingest(&first.store, &feed(first)?)?;
    progress.end(&ingest_words(ingested));
    let one = |(name, config): &(String, Config)| {
        progress.begin(name);
        let mut scheme = Scheme::load(&config.scheme, base)?;
        colors::vectors::check(&scheme)?;
        if let Some(zone) = &config.time_zone {
            scheme.time_zone = zone.clone();
        }
        let end = time::end_of_day(date, &scheme.time_zone)?;
        let visits = UpTo::new(store, end)?;
        let mut facts = Facts::read(config, &visits, Some(end), &[&scheme])?;
        let mut traced = Traced::default();
        rings::expand(&visits, &facts.seeds(&config.contacts), plan(config, &visits, false), &mut traced)?;
        facts.renew(&visits, &traced, &config.contacts, &scheme)?;
        facts.refuse_orders(&visits, &traced, &config.contacts, scheme.fever)?;
        facts.recognise(&scheme);
        let counts = Counts::new(&visits, &facts, &traced);
        let colored = colors::assign(&facts.all(&traced), &scheme, date);
        let register = Register::new(colored, &facts, visits.venues())?.table(&scheme);
        progress.end(&format!("{} persons not {}", register.num_rows(), scheme.healthy()));
        Ok(Supposed { name: name.clone(), scheme, rings: counts.rings, register })
    };
    configs.iter().map(one).collect()
}

/// Lets an ordinary night pass, and one that two people have approved, which the record then names. Any other is written
/// to the folder of held nights, to be looked at, and refused.
fn hold_or_approve(
    config: &Config,
    runs: &Runs,
    date: Date,
    facts: &Facts,
    scheme: &Scheme,
    tables: &NightTables,
    record: &mut RunRecord,
) -> Result<()> {
    let held = runs.held(date);
    if held.exists() {
        std::fs::remove_dir_all(&held).map_err(Error::storage(&held, "removing what was held"))?;
    }
    let recent = runs.recent(date, config.hold.nights)?;
    let recent: Vec<u64> = recent.iter().map(|run| hold::turned_worse(&run.record.counts, scheme)).collect();
    let residents = facts.residences.counts();
    let mut ids = IdColumn::new(facts.persons.kind());
    let changed = tables.changes.column(0);
    (0..changed.len()).for_each(|row| ids.push(id_at(changed, row)));
    let keys = facts.persons.keys(&ids)?;
    let homes: Vec<Option<&str>> = keys.iter().map(|key| facts.residences.of((*key)?)).collect();
    let Some(why) = hold::unusual(&config.hold, &tables.changes, &recent, (&residents, &homes), scheme)
    else {
        return Ok(());
    };
    match hold::approval(&config.hold, date, &hold::digest(&tables.changes)?, &why, &held) {
        Ok(names) => {
            record.notes.push(Words::new(
                format!("held and approved by {}: {}", names.join(", "), why.en),
                format!("曾被扣留，已由{}批准：{}", names.join("、"), why.zh),
            ));
            Ok(())
        }
        Err(refused) => {
            create_folder(held.parent().expect("below the runs folder"))?;
            publish(runs, &held, tables, record.clone(), (scheme, Some(&why)))?;
            Err(refused)
        }
    }
}

/// The date has been published: nothing to do if from the same inputs, a conflict if not.
fn known(run: Run, identity: Identity, folder: PathBuf, scheme: Scheme) -> Result<Night> {
    if run.record.identity == identity {
        run.check()?;
        return Ok(Night { folder, record: run.record, scheme, known: true, read: ReadRows::default() });
    }
    let (was, is) = (&run.record.identity, &identity);
    let mut differs = Vec::new();
    for (what, same) in [
        ("the program", was.ringtrace == is.ringtrace),
        ("the configuration", was.config == is.config),
        ("the scheme", was.scheme == is.scheme),
        ("the night before", was.before == is.before),
    ] {
        if !same {
            differs.push(what.to_string());
        }
    }
    let gone = was.files.iter().filter(|f| !is.files.contains(f)).count();
    let new = is.files.iter().filter(|f| !was.files.contains(f)).count();
    if gone + new > 0 {
        differs.push(format!("the input files ({new} new or changed, {gone} gone or changed)"));
    }
    Err(Error::Conflict {
        what: format!("{}: this night was published from other inputs: {} differ", folder.display(), differs.join(", ")),
        help: "a published night is never changed; move its folder away to publish it anew, or go on with the next date".into(),
    })
}

/// What tonight's outputs will be a function of.
fn identify(config: &Config, scheme: &Scheme, before: Option<&(Date, Run)>) -> Result<Identity> {
    let mut files = Vec::new();
    for (table, section) in &config.tables {
        if section.paths.is_empty() {
            continue;
        }
        files.extend(records::stamp(table, section)?.into_iter().map(|stamped| InputIdentity {
            table: table.to_string(),
            file: stamped.file.name,
            blake3: stamped.blake3,
        }));
    }
    // The store may hold files that are no longer where the configuration looks, or that were added by hand.
    if let Some(manifest) = DiskStore::manifest_of(&config.store)? {
        files.extend(manifest.inputs.into_iter().map(|input| InputIdentity {
            table: input.table,
            file: input.file,
            blake3: input.blake3,
        }));
    }
    files.sort();
    files.dedup();
    let register = |run: &Run| {
        let output = run.record.outputs.iter().find(|o| o.path == "colors.parquet");
        output.map(|o| o.blake3.clone()).unwrap_or_default()
    };
    Ok(Identity {
        ringtrace: env!("CARGO_PKG_VERSION").into(),
        config: config.digest.clone(),
        time_zone: scheme.time_zone.iana_name().unwrap_or("UTC").into(),
        scheme: SchemeIdentity {
            id: scheme.id.clone(),
            version: scheme.version,
            blake3: blake3::hash(scheme.text.as_bytes()).to_hex().to_string(),
        },
        files,
        before: before.map(|(date, run)| RegisterIdentity { date: date.to_string(), blake3: register(run) }),
    })
}

/// What the configuration feeds the store with.
///
/// # Errors
/// `usage` unless exactly one of scans and visits has paths.
pub fn feed(config: &Config) -> Result<Feed<'_>> {
    let (scans, visits) = (config.table("scans"), config.table("visits"));
    let with = match (scans.paths.is_empty(), visits.paths.is_empty()) {
        (false, true) => FedWith::Scans,
        (true, false) => FedWith::Visits,
        (true, true) => {
            return Err(Error::usage(
                "no scans and no visits to read",
                "set [scans] paths, or [visits] paths",
            ));
        }
        (false, false) => {
            return Err(Error::usage(
                "both scans and visits are given",
                "feed a store with one kind of input",
            ));
        }
    };
    Ok(Feed {
        with,
        table: config.table(with.table()),
        venues: config.table("venues"),
        rules: &config.visits,
        budget: Budget::of(config.memory),
        layout: Layout::LOOKED_UP,
    })
}

/// What an ingest did, in a line.
pub fn ingest_words(report: &Report) -> String {
    let new = report.files.iter().filter(|f| f.table != "venues").count();
    match report.version {
        None => format!("nothing new in {} files", report.known_files),
        Some(version) => {
            format!("store version {version}: {new} files read, {} days changed", report.changed_days.len())
        }
    }
}

pub(crate) fn names<'a>(facts: &'a Facts, venues: &'a crate::store::Venues) -> Names<'a> {
    Names { persons: &facts.persons, venues: &venues.ids, windows: &facts.window_ids }
}

fn all_rejects(mut rows: Vec<RejectRow>, facts: &Facts) -> Vec<RejectRow> {
    rows.extend(facts.rejects.iter().cloned());
    rows.sort();
    rows
}

fn all_files(store: &DiskStore, ingested: &Report, facts: &Facts) -> Vec<FileBalance> {
    let mut files = store.manifest().inputs.clone();
    files.extend(ingested.files.iter().filter(|f| f.table == "venues").cloned());
    files.extend(facts.files.iter().cloned());
    files.sort_by(|a, b| (&a.table, &a.file, &a.blake3).cmp(&(&b.table, &b.file, &b.blake3)));
    files
}

/// How many rows of a table have each value.
fn count(table: &RecordBatch, value: impl Fn(&dyn Fn(&str) -> String) -> String) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    for row in 0..table.num_rows() {
        let cell = |name: &str| {
            let column = table.column_by_name(name).expect("a column of ours");
            crate::outputs::csv::plain(column, row).unwrap_or_default()
        };
        *counts.entry(value(&cell)).or_default() += 1;
    }
    counts
}

fn notes(store: &DiskStore, visits: &UpTo<'_>, facts: &Facts) -> Vec<Words> {
    let mut notes = facts.notes.clone();
    let all: u64 = store.days().iter().map(|d| d.visits).sum();
    let used: u64 = visits.days().iter().map(|d| d.visits).sum();
    if used < all {
        let later = all - used;
        notes.push(Words::new(
            format!("{later} visits begin after this night and were left out"),
            format!("{later}次到访始于当晚之后，未计入"),
        ));
    }
    let mut versions: BTreeMap<(&str, &str), u32> = BTreeMap::new();
    for input in &store.manifest().inputs {
        *versions.entry((&input.table, &input.file)).or_default() += 1;
    }
    for ((_, file), _) in versions.iter().filter(|(_, count)| **count > 1) {
        notes.push(Words::new(
            format!(
                "{file} was delivered again with other content; rows it no longer holds stay in the store"
            ),
            format!("{file} 再次送达且内容不同；其中已不再包含的行仍留在库中"),
        ));
    }
    notes
}

pub(crate) fn plan<'a>(config: &'a Config, visits: &dyn VisitSource, count_sources: bool) -> Plan<'a> {
    // At most five eighths: what is being read and written takes the rest, 1.4 GB at 160 million persons. At least a
    // sixteenth: visits that are held may leave nothing, and a pass for each person would never end.
    let left = config.memory.saturating_sub(visits.held_bytes());
    let sums_bytes = left.min(config.memory / 8 * 5).max(config.memory / 16);
    Plan { config: &config.contacts, runner: &LocalRunner::BY_COST, count_sources, sums_bytes }
}
