//! A night's traced graph in the formats that other tools import: persons, and who exposed whom.
//!
//! ```text
//! sources, contacts, exposures, links, colors ──▶ Network ──▶ epicontacts | godata | sormas | graphml | gexf | fhir
//! ```

mod epicontacts;
mod fhir;
mod godata;
mod graphs;
mod sormas;

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use jiff::civil::Date;
use jiff::tz::TimeZone;

use crate::error::{Error, Result};
use crate::outputs::csv;
use crate::outputs::read::Run;
use crate::outputs::report::rows::Rows;
use crate::outputs::summary::n;
use crate::store::publish;
use crate::time::{self, Second};

pub use sormas::Sormas;

/// A format of another tool.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// linelist.csv and contacts.csv for the R package epicontacts
    Epicontacts,
    /// cases.csv, contacts.csv and contacts_of_contacts.csv for Go.Data
    Godata,
    /// contacts.csv for the contact import of SORMAS
    Sormas,
    /// contacts.graphml for igraph, networkx, Gephi, Cytoscape, MicrobeTrace
    Graphml,
    /// contacts.gexf (1.3, dynamic) for Gephi
    Gexf,
    /// Patient, Location and Observation as NDJSON (FHIR R4)
    Fhir,
}

impl Format {
    /// Persons or exposures it takes before the tool that reads it becomes unusable; `--max` overrules.
    ///
    /// Source: SORMAS users report imports of 230 contacts in half an hour and exports failing beyond 20,000 rows; igraph and
    /// Gephi lay out some ten thousand nodes on an office machine; Go.Data imports through a browser; FHIR is read line by line.
    pub fn most(self) -> u64 {
        match self {
            Format::Sormas | Format::Godata => 20_000,
            Format::Epicontacts | Format::Graphml | Format::Gexf => 50_000,
            Format::Fhir => 1_000_000,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Format::Epicontacts => "epicontacts",
            Format::Godata => "godata",
            Format::Sormas => "sormas",
            Format::Graphml => "graphml",
            Format::Gexf => "gexf",
            Format::Fhir => "fhir",
        }
    }
}

/// What to export.
pub struct Wanted {
    /// For what tool.
    pub format: Format,
    /// Rings up to this one.
    pub rings: u8,
    /// Persons or exposures at most.
    pub most: u64,
    /// What SORMAS has to be told.
    pub sormas: Sormas,
}

/// A person of the network.
#[derive(Default)]
struct Person {
    id: String,
    /// 0 for a case, else the ring.
    ring: u8,
    status: Option<String>,
    onset_at: Option<Second>,
    sampled_at: Option<Second>,
    isolated_at: Option<Second>,
    reported_at: Option<Second>,
    first_exposed_at: Option<Second>,
    last_exposed_at: Option<Second>,
    overlap_s: u64,
    observed_overlap_s: u64,
    exposures: u64,
    /// Id of the best exposure's source, if that is a person.
    best_source: Option<String>,
    color: Option<String>,
    rule: Option<String>,
    since: Option<Date>,
    until: Option<Date>,
    earliest_free: Option<Date>,
    region: Option<String>,
}

impl Person {
    fn role(&self) -> &'static str {
        match self.ring {
            0 => "case",
            1 => "close_contact",
            2 => "secondary_contact",
            _ => "contact",
        }
    }
}

/// One meeting: of a source and a contact, or, in ring 0, of two cases.
struct Meeting {
    from: usize,
    to: usize,
    venue: usize,
    ring: u8,
    start: Second,
    end: Second,
    overlap_s: u64,
    observed_s: u64,
    /// What a link between cases amounts to.
    verdict: Option<String>,
}

/// A venue of the network.
struct Venue {
    id: String,
    category: Option<String>,
    region: Option<String>,
    name: Option<String>,
}

/// A night's traced graph: cases and contacts, each once, cases first, then by ring and id as the night has them; and every
/// exposure between persons that the night kept, with the links between cases.
struct Network {
    date: Date,
    zone: TimeZone,
    persons: Vec<Person>,
    venues: Vec<Venue>,
    meetings: Vec<Meeting>,
    /// Exposures whose source is a site: no format has persons for them.
    of_sites: u64,
}

/// What was written.
pub struct Exported {
    /// Files.
    pub files: Vec<PathBuf>,
    /// Persons.
    pub persons: u64,
    /// Exposures and links between cases.
    pub meetings: u64,
    /// What whoever imports them should know.
    pub notes: Vec<String>,
}

/// Writes a night's traced graph for another tool into a folder, which is made if absent.
///
/// # Errors
/// `usage` if it has more persons or exposures than `wanted.most`; `conflict` if the folder is not empty; those of
/// reading the run; `storage`.
pub fn write(run: &Run, wanted: &Wanted, out: &Path) -> Result<Exported> {
    if !publish::list(out)?.is_empty() {
        return Err(Error::Conflict {
            what: format!("{}: is not empty", out.display()),
            help: "choose another folder with --out".into(),
        });
    }
    let inside = std::path::absolute(out).map_err(Error::storage(out, "finding"))?;
    if inside.ancestors().any(|folder| folder.join("run.json").exists()) {
        return Err(Error::Conflict {
            what: format!("{}: lies in a published night, which never changes", out.display()),
            help: "choose another folder with --out".into(),
        });
    }
    let network = Network::read(run, wanted)?;
    publish::create_folder(out)?;
    let folder = std::path::absolute(out).map_err(Error::storage(out, "finding"))?;
    let mut notes = Vec::new();
    let files: Vec<(&str, Vec<u8>)> = match wanted.format {
        Format::Epicontacts => epicontacts::files(&network)?,
        Format::Godata => godata::files(&network, &mut notes)?,
        Format::Sormas => sormas::files(run, &network, &wanted.sormas, &mut notes)?,
        Format::Graphml => vec![("contacts.graphml", graphs::graphml(&network)?)],
        Format::Gexf => vec![("contacts.gexf", graphs::gexf(&network)?)],
        Format::Fhir => fhir::files(&network),
    };
    for (name, bytes) in &files {
        publish::write_file(&folder.join(name), bytes)?;
    }
    if network.of_sites > 0 {
        notes.push(format!(
            "{} exposures to sites are left out: they have no person as source",
            n(network.of_sites)
        ));
    }
    Ok(Exported {
        files: files.iter().map(|(name, _)| out.join(name)).collect(),
        persons: network.persons.len() as u64,
        meetings: network.meetings.len() as u64,
        notes,
    })
}

impl Network {
    fn read(run: &Run, wanted: &Wanted) -> Result<Network> {
        let rows = |table: &str, columns: &[&str]| -> Result<Rows> {
            Ok(Rows::new(run.table_columns(table, columns)?, table))
        };
        let ring = |rows: &Rows| -> Result<Vec<u8>> {
            Ok(rows.numbers("ring")?.into_iter().map(|ring| ring.unwrap_or(0) as u8).collect())
        };
        let contacts = rows(
            "contacts",
            &[
                "person_id",
                "ring",
                "first_exposed_at",
                "last_exposed_at",
                "overlap_s",
                "observed_overlap_s",
                "exposures",
                "best_source_id",
                "best_source_kind",
            ],
        )?;
        let exposures = rows(
            "exposures",
            &[
                "source_id",
                "source_kind",
                "contact_id",
                "venue_id",
                "ring",
                "from",
                "until",
                "overlap_s",
                "observed_overlap_s",
            ],
        )?;
        let (contact_rings, exposure_rings) = (ring(&contacts)?, ring(&exposures)?);
        check_size(wanted, &contact_rings, &exposure_rings)?;
        let mut network = Network {
            date: time::parse_date(&run.record.date)?,
            zone: time::zone(&run.record.identity.time_zone)?,
            persons: cases(&rows(
                "sources",
                &[
                    "source_id",
                    "source_kind",
                    "status",
                    "onset_at",
                    "sampled_at",
                    "isolated_at",
                    "reported_at",
                ],
            )?)?,
            venues: Vec::new(),
            meetings: Vec::new(),
            of_sites: 0,
        };
        network.add_contacts(&contacts, &contact_rings, wanted.rings)?;
        network.add_colors(&rows(
            "colors",
            &["person_id", "color", "rule_id", "since", "until", "earliest_free", "region_id"],
        )?)?;
        network.add_venues(&rows("venues", &["venue_id", "category", "region_id", "name"])?)?;
        let links = rows(
            "links",
            &[
                "infector_id",
                "case_id",
                "first_at",
                "last_at",
                "overlap_s",
                "observed_overlap_s",
                "best_venue_id",
                "verdict",
            ],
        )?;
        network.add_meetings(&exposures, &exposure_rings, wanted.rings, &links)?;
        Ok(network)
    }

    fn add_contacts(&mut self, rows: &Rows, rings: &[u8], most: u8) -> Result<()> {
        let (ids, sources) = (rows.ids("person_id")?, rows.ids("best_source_id")?);
        let kinds = rows.texts("best_source_kind")?;
        let (first, last) = (rows.instants("first_exposed_at")?, rows.instants("last_exposed_at")?);
        let [overlap, observed, exposures] =
            ["overlap_s", "observed_overlap_s", "exposures"].map(|name| rows.numbers(name));
        let (overlap, observed, exposures) = (overlap?, observed?, exposures?);
        let count = |cell: Option<i64>| cell.unwrap_or(0) as u64;
        for row in (0..rows.len()).filter(|row| rings[*row] <= most) {
            self.persons.push(Person {
                id: ids[row].clone(),
                ring: rings[row],
                first_exposed_at: first[row],
                last_exposed_at: last[row],
                overlap_s: count(overlap[row]),
                observed_overlap_s: count(observed[row]),
                exposures: count(exposures[row]),
                best_source: (kinds[row] == Some("person")).then(|| sources[row].clone()),
                ..Person::default()
            });
        }
        Ok(())
    }

    fn add_colors(&mut self, rows: &Rows) -> Result<()> {
        let at: HashMap<String, usize> =
            rows.ids("person_id")?.into_iter().enumerate().map(|(row, id)| (id, row)).collect();
        let (colors, rules, regions) =
            (rows.texts("color")?, rows.texts("rule_id")?, rows.texts("region_id")?);
        let (since, until) = (rows.dates("since")?, rows.dates("until")?);
        let free = rows.dates("earliest_free")?;
        for person in &mut self.persons {
            let Some(row) = at.get(&person.id).copied() else { continue };
            let text = |cell: Option<&str>| cell.map(str::to_string);
            (person.color, person.rule, person.region) =
                (text(colors[row]), text(rules[row]), text(regions[row]));
            (person.since, person.until, person.earliest_free) = (since[row], until[row], free[row]);
        }
        Ok(())
    }

    fn add_venues(&mut self, rows: &Rows) -> Result<()> {
        let ids = rows.ids("venue_id")?;
        let [categories, regions, names] = ["category", "region_id", "name"].map(|name| rows.texts(name));
        let (categories, regions, names) = (categories?, regions?, names?);
        let text = |cell: Option<&str>| cell.map(str::to_string);
        let venue = |(row, id): (usize, String)| Venue {
            id,
            category: text(categories[row]),
            region: text(regions[row]),
            name: text(names[row]),
        };
        self.venues = ids.into_iter().enumerate().map(venue).collect();
        Ok(())
    }

    fn add_meetings(&mut self, exposures: &Rows, rings: &[u8], most: u8, links: &Rows) -> Result<()> {
        let persons: HashMap<&str, usize> =
            self.persons.iter().enumerate().map(|(at, person)| (person.id.as_str(), at)).collect();
        let venues: HashMap<&str, usize> =
            self.venues.iter().enumerate().map(|(at, venue)| (venue.id.as_str(), at)).collect();
        let known = |what: &str, found: Option<&usize>| {
            found
                .copied()
                .ok_or_else(|| Error::damaged("exposures.parquet", format!("{what} is in no other table")))
        };
        let count = |cell: Option<i64>| cell.unwrap_or(0) as u64;
        let mut meetings = Vec::new();
        let (from, to) = (links.ids("infector_id")?, links.ids("case_id")?);
        let (start, end) = (links.instants("first_at")?, links.instants("last_at")?);
        let (overlap, observed) = (links.numbers("overlap_s")?, links.numbers("observed_overlap_s")?);
        let (places, verdicts) = (links.ids("best_venue_id")?, links.texts("verdict")?);
        for row in 0..links.len() {
            meetings.push(Meeting {
                from: known("an infector", persons.get(from[row].as_str()))?,
                to: known("a case", persons.get(to[row].as_str()))?,
                venue: known("a venue", venues.get(places[row].as_str()))?,
                ring: 0,
                start: start[row].unwrap_or_default(),
                end: end[row].unwrap_or_default(),
                overlap_s: count(overlap[row]),
                observed_s: count(observed[row]),
                verdict: verdicts[row].map(str::to_string),
            });
        }
        let (from, kinds) = (exposures.ids("source_id")?, exposures.texts("source_kind")?);
        let (to, places) = (exposures.ids("contact_id")?, exposures.ids("venue_id")?);
        let (start, end) = (exposures.instants("from")?, exposures.instants("until")?);
        let (overlap, observed) = (exposures.numbers("overlap_s")?, exposures.numbers("observed_overlap_s")?);
        let mut of_sites = 0;
        for row in (0..exposures.len()).filter(|row| rings[*row] <= most) {
            if kinds[row] != Some("person") {
                of_sites += 1;
                continue;
            }
            meetings.push(Meeting {
                from: known("a source", persons.get(from[row].as_str()))?,
                to: known("a contact", persons.get(to[row].as_str()))?,
                venue: known("a venue", venues.get(places[row].as_str()))?,
                ring: rings[row],
                start: start[row].unwrap_or_default(),
                end: end[row].unwrap_or_default(),
                overlap_s: count(overlap[row]),
                observed_s: count(observed[row]),
                verdict: None,
            });
        }
        (self.meetings, self.of_sites) = (meetings, of_sites);
        Ok(())
    }

    fn local_date(&self, at: Second) -> Date {
        time::local_date(at, &self.zone)
    }
}

/// The cases, each once over all its rows: the earliest of each time, the first status.
fn cases(rows: &Rows) -> Result<Vec<Person>> {
    let (ids, kinds, statuses) = (rows.ids("source_id")?, rows.texts("source_kind")?, rows.texts("status")?);
    let [onset, sampled, isolated, reported] =
        ["onset_at", "sampled_at", "isolated_at", "reported_at"].map(|name| rows.instants(name));
    let (onset, sampled, isolated, reported) = (onset?, sampled?, isolated?, reported?);
    let earlier = |a: Option<Second>, b: Option<Second>| a.into_iter().chain(b).min();
    let mut places: BTreeMap<&str, usize> = BTreeMap::new();
    let mut cases: Vec<Person> = Vec::new();
    for row in (0..rows.len()).filter(|row| kinds[*row] == Some("person")) {
        let at = *places.entry(&ids[row]).or_insert_with(|| {
            cases.push(Person {
                id: ids[row].clone(),
                status: statuses[row].map(str::to_string),
                ..Person::default()
            });
            cases.len() - 1
        });
        let case = &mut cases[at];
        case.onset_at = earlier(case.onset_at, onset[row]);
        case.sampled_at = earlier(case.sampled_at, sampled[row]);
        case.isolated_at = earlier(case.isolated_at, isolated[row]);
        case.reported_at = earlier(case.reported_at, reported[row]);
    }
    Ok(cases)
}

/// Refuses what the other tool could not open: nothing is cut off quietly.
fn check_size(wanted: &Wanted, contacts: &[u8], exposures: &[u8]) -> Result<()> {
    let within = |rings: &[u8]| rings.iter().filter(|ring| **ring <= wanted.rings).count() as u64;
    let (persons, meetings) = (within(contacts), within(exposures));
    let largest = persons.max(meetings);
    if largest <= wanted.most {
        return Ok(());
    }
    let depth = contacts.iter().copied().max().unwrap_or(0).min(wanted.rings);
    let fewer = if depth > 1 { format!("--rings {} takes less, ", depth - 1) } else { String::new() };
    Err(Error::usage(
        format!(
            "{} contacts and {} exposures are more than the {} that are of use for {}",
            n(persons),
            n(meetings),
            n(wanted.most),
            wanted.format.name()
        ),
        format!("{fewer}--max {largest} writes them all the same"),
    ))
}

/// A CSV file, row by row; every text is made safe to open in a spreadsheet.
struct Csv {
    writer: ::csv::Writer<Vec<u8>>,
}

impl Csv {
    fn new(header: &[&str]) -> Result<Csv> {
        let mut csv = Csv { writer: ::csv::Writer::from_writer(Vec::new()) };
        csv.writer.write_record(header).map_err(failed)?;
        Ok(csv)
    }

    fn row(&mut self, cells: &[String]) -> Result<()> {
        self.writer.write_record(cells.iter().map(|cell| csv::safe_unless_number(cell))).map_err(failed)
    }

    fn bytes(self) -> Result<Vec<u8>> {
        self.writer.into_inner().map_err(|e| Error::storage(Path::new("export"), "writing")(e.into_error()))
    }
}

fn failed(e: ::csv::Error) -> Error {
    Error::storage(Path::new("export"), "writing")(std::io::Error::other(e))
}

/// A cell of something that may be absent.
fn or_empty(cell: Option<impl ToString>) -> String {
    cell.map(|cell| cell.to_string()).unwrap_or_default()
}

fn utc(at: Option<Second>) -> String {
    at.map(time::format_utc).unwrap_or_default()
}
