//! Random tables written as Parquet or CSV files, deliveries of them, and what came of them told in ids.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray, TimestampMillisecondArray, UInt64Array};
use arrow::datatypes::{Field, Schema};
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;
use ringtrace::config::{
    ContactConfig, ContactThreshold, Edges, StayRule, TableConfig, ThresholdOverride, TimeUnit, VisitRules,
};
use ringtrace::ids::{Id, IdTable, IdType, NO_KEY};
use ringtrace::records::scans::{Direction, NOT_LEFT};
use ringtrace::rings::{Find, LocalRunner, Plan, Runner, Seeds, SourceRef, Traced, expand};
use ringtrace::store::disk::DiskStore;
use ringtrace::store::format::{Layout, visits_from_bytes};
use ringtrace::store::ingest::{Budget, Feed, Report};
use ringtrace::store::manifest::{DataFile, FedWith};
use ringtrace::store::memory::MemoryVisits;
use ringtrace::store::publish::read_content;
use ringtrace::store::{DayExtent, Stay, VisitSource, stays_of};
use ringtrace::visits::{EndSource, Scan, StayRules, Visits};

use crate::brute::AllPairsRunner;
use crate::random::Random;

/// A row of a scans, visits or venues table: a cell each, none where it is empty.
pub type Row = Vec<Option<String>>;

/// How files are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// Text in lines.
    Csv,
    /// Parquet with text ids and timestamps.
    ParquetText,
    /// Parquet with integer ids and times in seconds.
    ParquetNumbers,
    /// Parquet with unsigned ids and times in seconds.
    ParquetUnsigned,
}

/// A table's columns.
const fn columns(table: FedWith) -> &'static [&'static str] {
    match table {
        FedWith::Scans => &["person_id", "venue_id", "scanned_at", "direction", "left_at"],
        FedWith::Visits => &["person_id", "venue_id", "arrived_at", "left_at"],
    }
}

const VENUE_COLUMNS: &[&str] = &["venue_id", "category", "parent_venue_id"];

/// Rows to deliver, and the rules under which they are read.
#[derive(Debug)]
pub struct Town {
    /// Which table the rows are of.
    pub with: FedWith,
    /// How its files are written.
    pub style: Style,
    /// Usable rows, each once.
    pub rows: Vec<Row>,
    /// Rows that cannot be used.
    pub bad: Vec<Row>,
    /// The venues table.
    pub venues: Vec<Row>,
    /// How scans become visits.
    pub rules: VisitRules,
    /// What counts as a contact.
    pub contacts: ContactConfig,
    /// Persons with windows.
    pub cases: Vec<(String, (u32, u32))>,
    /// Pages of its stores.
    pub layout: Layout,
    /// How much an ingest holds at once.
    pub budget: Budget,
}

/// Stays short against the days, so that a person's scans fall into several episodes.
pub fn visit_rules(random: &mut Random, tick: u32) -> VisitRules {
    let rule = |random: &mut Random| StayRule {
        default_stay_s: random.within(1..=4) * tick,
        merge_gap_s: random.within(0..=4) * tick,
    };
    VisitRules {
        other: rule(random),
        by_category: ["a", "b"].iter().map(|c| (c.to_string(), rule(random))).collect(),
        next_scan_ends_stay: random.chance(80),
        cap_s: random.within(3..=16) * tick,
    }
}

/// A town of a few persons over two to four days.
pub fn town(random: &mut Random, with: FedWith) -> Town {
    let tick = random.pick(&[600, 1_800, 3_600, 6 * 3_600]);
    let days = random.within(2..=4);
    let start = 19_052 * 86_400 + random.below(4) * 6 * 3_600;
    let (people, places) = (random.within(1..=5), random.within(1..=4));
    let out = random.pick(&[0, 30, 40]);
    let stated = random.pick(&[0, 0, 20]);
    let id = |n: u32| Some((n * 7 + 3).to_string()); // 3, 10, 17: text and numbers sort differently
    let mut rows = Vec::new();
    for _ in 0..random.within(1..=40) {
        let at = start + random.below(days * 86_400 / tick) * tick;
        let longest = if random.chance(10) { 2 * 86_400 / tick } else { 8 };
        let left = Some((at + random.within(1..=longest) * tick).to_string());
        let (person, venue) = (id(random.below(people)), id(random.below(places)));
        rows.push(match with {
            FedWith::Visits => vec![person, venue, Some(at.to_string()), left],
            FedWith::Scans => {
                let word = if random.chance(out) { Some("out") } else { random.pick(&[None, Some("in")]) };
                let left = left.filter(|_| random.chance(stated));
                vec![person, venue, Some(at.to_string()), word.map(String::from), left]
            }
        });
    }
    rows.sort_by_key(told_scan);
    rows.dedup_by_key(|row| told_scan(row));
    let mut bad = Vec::new();
    for _ in 0..random.below(4) {
        let mut row = rows[random.below(rows.len() as u32) as usize].clone();
        match random.below(3) {
            0 => row[0] = None,
            1 => row[2] = Some("-5".into()),
            _ => *row.last_mut().unwrap() = Some((start - tick).to_string()),
        }
        bad.push(row);
    }
    let style = random.pick(&[Style::Csv, Style::ParquetText, Style::ParquetNumbers, Style::ParquetUnsigned]);
    let category =
        |random: &mut Random| random.pick(&[None, Some("a"), Some("b"), Some("c")]).map(String::from);
    let parent = |random: &mut Random| if random.chance(30) { id(random.below(places)) } else { None };
    let venues = (0..places).map(|n| vec![id(n), category(random), parent(random)]).collect();
    let person = |random: &mut Random| (random.below(people) * 7 + 3).to_string();
    let cases = (0..random.within(1..=2)).map(|_| (person(random), (start, start + 86_400 * 2))).collect();
    let rules = visit_rules(random, tick);
    let contacts = contacts(random, tick);
    let (budget, layout) = (budget(random), layout(random));
    Town { with, style, rows, bad, venues, rules, contacts, cases, budget, layout }
}

/// Pages as they are, or so short that a small store has many.
pub fn layout(random: &mut Random) -> Layout {
    match random.pick(&[2, 3, 7, 0]) {
        0 => Layout::LOOKED_UP,
        page_rows => Layout { page_rows, group_pages: random.within(1..=2) as usize },
    }
}

/// Everything at once, or a few rows at a time.
pub fn budget(random: &mut Random) -> Budget {
    let group_rows = if random.chance(30) { None } else { Some(u64::from(random.within(0..=20))) };
    Budget { group_rows, piece_rows: random.pick(&[1, 4, 9, 1 << 20]), ..Budget::of(1 << 30) }
}

/// Whether a scan row has a direction "out" or an end of its own.
pub fn is_directed(row: &Row) -> bool {
    row.len() == 5 && (row[3].as_deref() == Some("out") || row[4].is_some())
}

/// What makes two scan rows the same: no direction is "in".
fn told_scan(row: &Row) -> Row {
    let mut row = row.clone();
    if row.len() == 5 && row[3].is_none() {
        row[3] = Some("in".into());
    }
    row
}

fn differing(own: ContactThreshold) -> ThresholdOverride {
    ThresholdOverride {
        min_overlap_s: Some(own.min_overlap_s),
        linger_s: Some(own.linger_s),
        exclude: own.exclude,
    }
}

fn contacts(random: &mut Random, tick: u32) -> ContactConfig {
    let threshold = |random: &mut Random| ContactThreshold {
        min_overlap_s: random.below(3) * tick,
        linger_s: random.below(2) * tick,
        exclude: false,
    };
    ContactConfig {
        other: threshold(random),
        by_category: BTreeMap::from([("b".to_string(), differing(threshold(random)))]),
        rings: 3,
        cumulative: None,
        lookback_s: 0,
        infectious_for_s: 0,
        edges: random.pick(&[Edges::All, Edges::Best]),
    }
}

impl Town {
    /// Usable and unusable rows together, in any order.
    pub fn all_rows(&self, random: &mut Random) -> Vec<Row> {
        let mut rows: Vec<Row> = self.rows.iter().chain(&self.bad).cloned().collect();
        random.shuffle(&mut rows);
        rows
    }

    /// The usable rows as scans, with keys in the order of numeric ids, sorted as `Scans` are.
    pub fn scans(&self) -> Vec<Scan> {
        let number = |cell: &Option<String>| cell.as_ref().map_or(NOT_LEFT, |text| text.parse().unwrap());
        let scan = |row: &Row| Scan {
            person: (number(&row[0]) - 3) / 7,
            venue: (number(&row[1]) - 3) / 7,
            at: number(&row[2]),
            direction: if row[3].as_deref() == Some("out") { Direction::Out } else { Direction::In },
            left: number(&row[4]),
            celsius: 0,
        };
        let mut scans: Vec<Scan> = self.rows.iter().map(scan).collect();
        scans.sort();
        scans
    }

    /// The visit rules with venues as keys in the order of numeric ids.
    pub fn stay_rules(&self) -> StayRules {
        let rule = |row: &Row| {
            let own = row[1].as_ref().and_then(|c| self.rules.by_category.get(c));
            *own.unwrap_or(&self.rules.other)
        };
        let parent = |row: &Row| row[2].as_ref().map_or(NO_KEY, |id| (id.parse::<u32>().unwrap() - 3) / 7);
        StayRules {
            by_venue: self.venues.iter().map(rule).collect(),
            parent: self.venues.iter().map(parent).collect(),
            next_scan_ends_stay: self.rules.next_scan_ends_stay,
            cap_s: self.rules.cap_s,
        }
    }

    /// Writes files of rows into `base`, each under its own name there, and says where they are.
    pub fn deliver(&self, base: &Path, files: &[(&str, &[Row])]) -> TableConfig {
        let write =
            |(name, rows): &(&str, &[Row])| write_table(base, name, columns(self.with), rows, self.style);
        self.table(base, files.iter().map(write).collect())
    }

    /// Writes the venues table into `base`.
    pub fn deliver_venues(&self, base: &Path, name: &str) -> TableConfig {
        self.table(base, vec![write_table(base, name, VENUE_COLUMNS, &self.venues, self.style)])
    }

    fn table(&self, base: &Path, paths: Vec<String>) -> TableConfig {
        TableConfig { paths, base: base.into(), time_unit: Some(TimeUnit::Second), ..Default::default() }
    }

    /// The feed of those files.
    pub fn feed<'a>(&'a self, table: &'a TableConfig, venues: &'a TableConfig) -> Feed<'a> {
        let Town { with, rules, budget, layout, .. } = self;
        Feed { with: *with, table, venues, rules, budget: *budget, layout: *layout }
    }
}

fn write_table(base: &Path, name: &str, columns: &[&str], rows: &[Row], style: Style) -> String {
    let file = format!("{name}.{}", if style == Style::Csv { "csv" } else { "parquet" });
    let bytes = match style {
        Style::Csv => {
            let cells =
                |row: &Row| row.iter().map(|c| c.as_deref().unwrap_or("")).collect::<Vec<_>>().join(",");
            let lines: Vec<String> =
                std::iter::once(columns.join(",")).chain(rows.iter().map(cells)).collect();
            (lines.join("\n") + "\n").into_bytes()
        }
        _ => parquet_bytes(columns, rows, style),
    };
    std::fs::write(base.join(&file), bytes).expect("writing a test file");
    file
}

fn parquet_bytes(columns: &[&str], rows: &[Row], style: Style) -> Vec<u8> {
    let array = |(at, name): (usize, &&str)| -> ArrayRef {
        let numbers = || rows.iter().map(|row| row[at].as_ref().map(|text| text.parse::<i64>().unwrap()));
        match (name.ends_with("_id"), name.ends_with("_at")) {
            (true, _) if style == Style::ParquetUnsigned => {
                Arc::new(numbers().map(|n| n.map(|id| id as u64)).collect::<UInt64Array>())
            }
            (_, true) if style == Style::ParquetUnsigned => Arc::new(numbers().collect::<Int64Array>()),
            (true, _) if style == Style::ParquetNumbers => Arc::new(numbers().collect::<Int64Array>()),
            (_, true) if style == Style::ParquetNumbers => Arc::new(numbers().collect::<Int64Array>()),
            (_, true) => {
                let millis = numbers().map(|n| n.map(|seconds| seconds * 1_000));
                Arc::new(millis.collect::<TimestampMillisecondArray>().with_timezone("UTC"))
            }
            _ => Arc::new(rows.iter().map(|row| row[at].as_deref()).collect::<StringArray>()),
        }
    };
    let arrays: Vec<ArrayRef> = columns.iter().enumerate().map(array).collect();
    let fields = columns.iter().zip(&arrays).map(|(name, a)| Field::new(*name, a.data_type().clone(), true));
    let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
    let batch = RecordBatch::try_new(schema.clone(), arrays).expect("columns of one length");
    let mut bytes = Vec::new();
    // Small row groups, so that a file falls into several pieces.
    let properties = WriterProperties::builder().set_max_row_group_row_count(Some(4)).build();
    let mut writer = ArrowWriter::try_new(&mut bytes, schema, Some(properties)).expect("a writer");
    writer.write(&batch).expect("writing to memory");
    writer.close().expect("closing");
    bytes
}

/// A visit told in ids: person, venue, arrival, end, last seen, bound.
pub type ToldVisit = (String, String, u32, u32, u32, EndSource);

/// The visits of each day, told in ids.
pub fn told_held(visits: &MemoryVisits) -> BTreeMap<u32, Vec<ToldVisit>> {
    told(visits, |day| visits.visits(day).clone())
}

/// The visits of each day, told in ids. Checks on the way that both copies hold the same.
pub fn told_stored(folder: &Path, store: &DiskStore) -> BTreeMap<u32, Vec<ToldVisit>> {
    let read = |file: &Option<DataFile>| {
        let file = file.as_ref().expect("a day with visits has both copies");
        visits_from_bytes(read_content(folder, file).unwrap(), &file.path).unwrap()
    };
    told(store, |day| {
        let files = &store.manifest().days[&store.days()[day].day];
        let by_venue = read(&files.by_venue);
        assert_eq!(by_venue, read(&files.by_person).sorted_by_venue(), "two orders of one day");
        let of_day = |arrived: &u32| arrived / 86_400 == store.days()[day].day;
        assert!(by_venue.arrived.iter().all(of_day), "on the day of arrival");
        by_venue
    })
}

/// Checks that what tracing reads are `visits`, in their orders, and that each day's extent is right. Visits held
/// together may be of several days, which then show as one.
fn told(source: &dyn VisitSource, visits: impl Fn(usize) -> Visits) -> BTreeMap<u32, Vec<ToldVisit>> {
    let everyone: Vec<u32> = (0..source.persons().with_visits() as u32).collect();
    let persons = source.persons().ids(&everyone).unwrap();
    let tell = |(at, extent): (usize, &DayExtent)| {
        let visits = visits(at);
        let stay = |v: ringtrace::visits::Visit| Stay {
            person: v.person,
            venue: v.venue,
            arrived: v.arrived,
            left: v.left,
            seen_until: v.seen_until,
        };
        let mut stays: Vec<Stay> = visits.iter().map(stay).collect();
        assert_eq!(stays_of(source, at).unwrap(), stays, "read by venue");
        stays.sort_by_key(|stay| (stay.person, stay.arrived, stay.venue));
        assert_eq!(source.of_persons(at, &everyone).unwrap(), stays, "read by person");
        let order: Vec<_> = stays.iter().map(|v| (v.person, v.arrived, v.venue)).collect();
        assert!(order.is_sorted_by(|a, b| a < b), "nobody arrives twice");
        assert_eq!(*extent, DayExtent::of(extent.day, &visits).unwrap());
        let on_its_day = |at: &u32| at / 86_400 == extent.day;
        let together = source.arrival_days() > source.days().len();
        assert!(together || visits.arrived.iter().all(on_its_day), "on the day of arrival");
        assert_eq!(
            visits.arrived.iter().max().map(|at| at / 86_400),
            Some(extent.day),
            "the last of its days"
        );
        let told = |v: ringtrace::visits::Visit| {
            let venue = source.venues().ids.ids().get(v.venue as usize).to_string();
            let person = persons.get(v.person as usize).to_string();
            (v.arrived / 86_400, (person, venue, v.arrived, v.left, v.seen_until, v.end_source))
        };
        visits.iter().map(told).collect::<Vec<_>>()
    };
    assert!(source.days().is_sorted_by(|a, b| a.day < b.day), "days in order");
    let mut days: BTreeMap<u32, Vec<ToldVisit>> = BTreeMap::new();
    for (day, visit) in source.days().iter().enumerate().flat_map(tell) {
        days.entry(day).or_default().push(visit);
    }
    days.values_mut().for_each(|told| told.sort());
    days
}

/// The rings of the town's cases, told in ids, in the order of the result: a line a contact, a line an edge. Checks on
/// the way that they are the same wherever the kernel runs.
pub fn told_rings(source: &dyn VisitSource, town: &Town) -> Vec<String> {
    let mut cases = IdTable::new(IdType::Text);
    town.cases.iter().for_each(|(id, _)| {
        cases.key_or_insert(Id::Text(id));
    });
    let mut persons = source.persons().clone();
    let keys = persons.absorb(&[&cases]).unwrap().concat();
    let key = |id: &String| keys[cases.key(Id::Text(id)).unwrap() as usize].expect("ids are numbers");
    let seeds = Seeds {
        persons: &persons,
        cases: town.cases.iter().map(|(id, window)| (key(id), *window)).collect(),
        window_ids: None,
        places: Vec::new(),
    };
    let trace = |runner: &dyn Runner| {
        let plan = Plan { config: &town.contacts, runner, count_sources: true, sums_bytes: u64::MAX };
        let mut traced = Traced::default();
        expand(source, &seeds, plan, &mut traced).unwrap();
        traced
    };
    let traced = trace(&LocalRunner::BY_COST);
    for find in [Find::LookUp, Find::Scan] {
        let runner = LocalRunner { find, range_visits: 3, collected_max: 3 };
        assert_eq!(trace(&runner), traced, "{find:?}: {town:#?}");
    }
    assert_eq!(trace(&AllPairsRunner { tick: 1 }), traced, "{town:#?}");
    let everyone = persons.ids(&(0..persons.len() as u32).collect::<Vec<_>>()).unwrap();
    let person = |key: u32| everyone.get(key as usize);
    let venue = |key: u32| source.venues().ids.ids().get(key as usize);
    let who = |source: SourceRef| match source {
        SourceRef::Person(key) => person(key).to_string(),
        SourceRef::Window(key) => format!("window {key}"),
    };
    let contacts = traced.contacts.iter().map(|c| {
        let e = &c.exposed;
        format!(
            "ring {} {} {}..{} {} s, {} observed, {} exposures, best {} at {}, {:?} sources",
            c.ring,
            person(c.person),
            e.first_exposed_at,
            e.last_exposed_at,
            e.overlap_s,
            e.observed_overlap_s,
            e.exposures,
            who(c.best_source),
            venue(e.best.venue),
            c.sources
        )
    });
    let edges = traced.edges.iter().map(|edge| {
        let e = &edge.exposure;
        let (source, contact, venue) = (who(edge.source), person(e.contact), venue(e.venue));
        format!(
            "{} {source}->{contact} {}..{} at {venue}, {} observed",
            edge.ring, e.from, e.until, e.observed_s
        )
    });
    contacts.chain(edges).collect()
}

/// Rows of every file of a report add up; returns accepted, merged, rejected of the files of `table`.
pub fn balance(report: &Report, table: &str) -> (u64, u64, u64) {
    for file in &report.files {
        assert_eq!(file.rows, file.accepted + file.merged + file.rejected, "{file:?}");
        let rejects = report.rejects.iter().filter(|r| (&r.table, &r.file) == (&file.table, &file.file));
        assert_eq!(rejects.count() as u64, file.rejected, "each rejected row has a reason");
    }
    let own = || report.files.iter().filter(|f| f.table == table);
    (own().map(|f| f.accepted).sum(), own().map(|f| f.merged).sum(), own().map(|f| f.rejected).sum())
}
