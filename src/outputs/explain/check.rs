//! What was published of a person, against what its facts and the visit store give when it is made again.

use std::collections::{BTreeMap, HashMap, HashSet};

use jiff::civil::Date;
use rayon::prelude::*;
use serde_json::{Value, json};

use super::person::{Derived, contact_in};
use crate::colors::{Colored, Scheme};
use crate::config::Config;
use crate::contacts::ContactRule;
use crate::error::{Error, Result};
use crate::facts::Fact;
use crate::facts::kind::Told;
use crate::ids::{Id, IdColumn, IdType};
use crate::outputs::facts::second;
use crate::outputs::lookup::Part;
use crate::outputs::read::{Run, Table};
use crate::outputs::register::Register;
use crate::outputs::summary::many;
use crate::records::InputRow;
use crate::rings::SourceRef;
use crate::rings::again::{Met, Presence, best};
use crate::store::VisitSource;
use crate::store::disk::DiskStore;
use crate::time::{FOREVER, Second, end_of_day, zone};

/// What an explanation was checked against, beside the run's own facts.
pub enum Against {
    /// The visit store: of so many persons the exposures were found again.
    Store {
        /// Persons.
        persons: usize,
        /// Whether the store knows the person explained.
        knows: bool,
    },
    /// Not the store: no configuration was found beside the runs.
    NoConfig,
    /// Not the store: the configuration has changed since that night.
    OtherConfig,
    /// Not the store, for this reason.
    NoStore(String),
}

impl Against {
    /// For programs.
    pub fn json(&self) -> Value {
        match self {
            Against::Store { persons, .. } => json!({"facts": true, "store": true, "persons": persons}),
            Against::NoConfig => {
                json!({"facts": true, "store": false, "why": "no configuration beside the runs"})
            }
            Against::OtherConfig => {
                json!({"facts": true, "store": false, "why": "the configuration has changed"})
            }
            Against::NoStore(why) => json!({"facts": true, "store": false, "why": why}),
        }
    }
}

pub fn differs(what: Vec<String>, help: &str) -> Error {
    let what = format!("what was published of this person is not what it follows from: {}", what.join("; "));
    Error::integrity(what, help)
}

/// Compares the published row and evidence with the color that the facts give.
///
/// # Errors
/// `integrity` if they differ.
pub fn colors(colors: &Table, evidence: &Table, again: Option<&Colored<'_>>, scheme: &Scheme) -> Result<()> {
    let rows: Vec<Colored<'_>> = again.cloned().into_iter().collect();
    let mut ids = IdColumn::new(IdType::Int);
    rows.iter().for_each(|_| ids.push(Id::Int(0)));
    let register =
        Register { regions: vec![String::new(); rows.len()], region_by: vec![None; rows.len()], ids, rows };
    let again = Table::new(register.table(scheme), "colors.parquet");
    let mut what = Vec::new();
    if colors.len() != again.len() {
        let words = |rows: &Table| if rows.is_empty() { "no color" } else { "a color" };
        what.push(format!("published {}, its facts give {}", words(colors), words(&again)));
    } else if !again.is_empty() {
        for field in again.batch.schema().fields() {
            let name = field.name().as_str();
            if matches!(name, "person_id" | "region_id" | "region_by") {
                continue;
            }
            let text = |table: &Table| table.text(name, 0).map(Option::unwrap_or_default);
            let (published, found) = (text(colors)?, text(&again)?);
            if published != found {
                what.push(format!("{name} was published as {published:?}, its facts give {found:?}"));
            }
        }
        let columns = [
            "rule_id",
            "color",
            "fact",
            "holds_since",
            "holds_until",
            "input_file",
            "input_row",
            "place_file",
            "place_row",
        ];
        let day = |day: Option<Date>| day.map(|day| day.to_string()).unwrap_or_default();
        let rows = register.rows[0].reasons.iter().map(|reason| {
            let (input, place) = match reason.fact {
                Fact::Case(case) => (Some((case.file.clone(), case.row)), None),
                Fact::Contact(_) => (None, None),
                Fact::Told(told) => {
                    let row = |row: &InputRow| (row.file.to_string(), row.row);
                    (told.row().map(row), told.place.as_ref().map(row))
                }
            };
            let file =
                |row: &Option<(String, u64)>| row.as_ref().map(|row| row.0.clone()).unwrap_or_default();
            let number =
                |row: &Option<(String, u64)>| row.as_ref().map(|row| row.1.to_string()).unwrap_or_default();
            vec![
                scheme.rules[reason.rule].id.clone(),
                scheme.severity[reason.rank].clone(),
                reason.fact.kind().word().to_string(),
                day(Some(reason.effect.since)),
                day(reason.effect.until),
                file(&input),
                number(&input),
                file(&place),
                number(&place),
            ]
        });
        let mut again: Vec<Vec<String>> = rows.collect();
        let cell = |name: &&str, row: usize| evidence.text(name, row).map(Option::unwrap_or_default);
        let mut published = (0..evidence.len())
            .map(|row| columns.iter().map(|name| cell(name, row)).collect::<Result<Vec<_>>>())
            .collect::<Result<Vec<_>>>()?;
        // Of two facts that differ in nothing a rule asks either may come first.
        again.sort();
        published.sort();
        if again != published {
            what.push("its reasons or their evidence are others".into());
        }
    }
    match what.is_empty() {
        true => Ok(()),
        false => Err(differs(
            what,
            "a file of the run was changed, or its facts were: `ringtrace verify --run DIR`",
        )),
    }
}

/// Checks where and with whom the evidence says the person was: a contact's is the best exposure of a row of `contacts`, or of
/// one of `renewed`, and an edge that the night published; a stay's by a visit that of the fact.
///
/// # Errors
/// `integrity` if it is another.
pub fn places(
    evidence: &Table,
    contacts: &Table,
    renewed: Option<&Table>,
    exposures: &Table,
    facts: &Table,
) -> Result<()> {
    let text = |table: &Table, name: &str, row: usize| table.text(name, row).map(Option::unwrap_or_default);
    let same = |table: &Table, theirs: &[&str], row: usize, ours: &[&str], own: usize| -> Result<bool> {
        for (theirs, ours) in theirs.iter().zip(ours) {
            if text(table, theirs, row)? != text(evidence, ours, own)? {
                return Ok(false);
            }
        }
        Ok(true)
    };
    let any = |table: &Table, theirs: &[&str], ours: &[&str], own: usize| -> Result<bool> {
        for row in 0..table.len() {
            if same(table, theirs, row, ours, own)? {
                return Ok(true);
            }
        }
        Ok(false)
    };
    let best = ["best_source_id", "best_source_kind", "best_venue_id", "ring"];
    let by_whom = ["source_id", "source_kind", "venue_id", "ring"];
    let edge = ["source_id", "source_kind", "venue_id", "ring", "from", "until"];
    let mut what = Vec::new();
    for row in 0..evidence.len() {
        let (from, until) = (second(evidence, "from", row)?, second(evidence, "until", row)?);
        let holds = if text(evidence, "fact", row)? == "contact" {
            let shared = until.zip(from).and_then(|(until, from)| until.checked_sub(from));
            let lasts =
                text(evidence, "overlap_s", row)? == shared.map(|s| s.to_string()).unwrap_or_default();
            let traced = any(contacts, &best, &by_whom, row)? && any(exposures, &edge, &edge, row)?;
            let again =
                renewed.map(|renewed| any(renewed, &best, &by_whom, row)).transpose()?.unwrap_or(false);
            lasts && (traced || again)
        } else {
            let no_one = ["source_id", "source_kind", "ring", "overlap_s"];
            let no_one = no_one.iter().map(|name| text(evidence, name, row)).collect::<Result<Vec<_>>>()?;
            let stay = match text(evidence, "venue_id", row)?.is_empty() {
                true => from.is_none() && until.is_none(),
                // A temperature at a venue is of an instant.
                false => {
                    let stay = ["fact", "venue_id", "from", "until"];
                    let instant = from == until && any(facts, &["fact", "venue_id", "at"], &stay[..3], row)?;
                    instant || any(facts, &["fact", "venue_id", "at", "until"], &stay, row)?
                }
            };
            stay && no_one.iter().all(String::is_empty)
        };
        if !holds {
            what.push(format!(
                "the evidence of reason {} is no exposure or stay of the person that night",
                row + 1
            ));
        }
    }
    if what.is_empty() {
        return Ok(());
    }
    Err(differs(what, "a file of the run was changed: `ringtrace verify --run DIR`"))
}

/// Checks that every order among the reasons rests on a health fact of the person that the run holds, which had begun when
/// it was issued, no more than 14 days before.
///
/// # Errors
/// `integrity` if one does not.
pub fn orders(evidence: &Table, derived: &Derived) -> Result<()> {
    if evidence.column("support_fact").is_err() {
        return Ok(());
    }
    let mut what = Vec::new();
    for row in evidence.rows_where("fact", "order")? {
        let text = |name: &str| evidence.text(name, row).map(Option::unwrap_or_default);
        let number = |name: &str| -> Result<u64> { Ok(text(name)?.parse().unwrap_or(0)) };
        let (file, order) = (text("input_file")?, number("input_row")?);
        let is_it = |told: &&Told| told.row().is_some_and(|at| (&*at.file, at.row) == (file.as_str(), order));
        let issued = derived.told.iter().find(is_it).map(|told| told.at);
        let (kind, at) = (text("support_fact")?, second(evidence, "support_at", row)?);
        let begun = issued.zip(at).is_some_and(|(issued, at)| at <= issued);
        let support = text("support_file")?;
        let support = (!support.is_empty()).then_some((support.as_str(), number("support_row")?));
        if kind.is_empty() || !begun || !derived.holds(support) {
            what.push("an order rests on a health fact that the run does not hold".into());
        }
    }
    if what.is_empty() {
        return Ok(());
    }
    Err(differs(what, "a file of the run was changed: `ringtrace verify --run DIR`"))
}

/// Finds the exposures of these persons in the store again, and compares them with their rows in contacts, and with the
/// edges of `chain` that lead to them.
///
/// # Errors
/// `integrity` if they differ; those of reading.
pub fn store(
    run: &Run,
    config: std::result::Result<&Config, Option<String>>,
    sources: &Table,
    persons: &[&str],
    evidence: &Table,
    edges: &Table,
    date: Date,
) -> Result<Against> {
    let config = match config {
        Ok(config) if config.digest == run.record.identity.config => config,
        Ok(_) => return Ok(Against::OtherConfig),
        Err(None) => return Ok(Against::NoConfig),
        Err(Some(why)) => return Ok(Against::NoStore(why)),
    };
    let store = match DiskStore::open_existing(&config.store) {
        Ok(store) => store,
        Err(error) if error.code() == "usage" => return Ok(Against::NoStore(error.to_string())),
        Err(error) => return Err(error),
    };
    let checked = Checked::new(run, config, &store, sources, date)?;
    let one = |person: &&str| {
        let mut what = Vec::new();
        checked.person(person, evidence, edges, &mut what).map(|()| what)
    };
    let what = persons.par_iter().map(one).collect::<Result<Vec<_>>>()?.concat();
    if what.is_empty() {
        let knows = store.persons().key(Id::Text(persons[0]))?.is_some();
        return Ok(Against::Store { persons: persons.len(), knows });
    }
    let known = |hash: &str| run.record.identity.files.iter().any(|file| file.blake3 == hash);
    let more = store.manifest().inputs.iter().filter(|input| !known(&input.blake3)).count();
    let help = match more {
        0 => "the store or a file of the run was changed: `ringtrace verify --run DIR`".to_string(),
        _ => format!(
            "the store has taken in {} since that night: late scans, and scans that prolong a stay over midnight, change what it gives; ask a later night",
            many(more as u64, "file")
        ),
    };
    Err(differs(what, &help))
}

/// What the exposures of a night are found again with.
struct Checked<'a> {
    run: &'a Run,
    store: &'a DiskStore,
    rule: ContactRule,
    rings: u8,
    end: Second,
    cases: BTreeMap<u32, Vec<(Second, Second)>>,
    places: Vec<(u32, u32, (Second, Second))>,
    window_ids: Vec<String>,
}

impl<'a> Checked<'a> {
    fn new(
        run: &'a Run,
        config: &Config,
        store: &'a DiskStore,
        sources: &Table,
        date: Date,
    ) -> Result<Checked<'a>> {
        let (mut persons, mut spans) = (IdColumn::new(IdType::Text), Vec::new());
        let (mut places, mut window_ids) = (Vec::new(), Vec::<String>::new());
        for row in 0..sources.len() {
            let text = |name: &str| sources.text(name, row).map(Option::unwrap_or_default);
            let at = |name: &str| second(sources, name, row).map(Option::unwrap_or_default);
            let (id, span) = (text("source_id")?, (at("from")?, at("until")?));
            if text("source_kind")? == "person" {
                persons.push(Id::Text(&id));
                spans.push(span);
                continue;
            }
            let Some(venue) = store.venues().ids.key(Id::Text(&text("venue_id")?)) else { continue };
            let window = window_ids.iter().position(|known| *known == id).unwrap_or(window_ids.len());
            if window == window_ids.len() {
                window_ids.push(id);
            }
            places.push((window as u32, venue, span));
        }
        let mut cases: BTreeMap<u32, Vec<(Second, Second)>> = BTreeMap::new();
        for (key, span) in store.persons().keys(&persons)?.into_iter().zip(spans) {
            if let Some(key) = key {
                cases.entry(key).or_default().push(span);
            }
        }
        let zone = zone(&run.record.identity.time_zone)?;
        Ok(Checked {
            run,
            store,
            rule: ContactRule::new(&config.contacts, store.venues()),
            rings: config.contacts.rings,
            end: end_of_day(date, &zone)?,
            cases,
            places,
            window_ids,
        })
    }

    /// Notes every difference about one person.
    fn person(&self, person: &str, evidence: &Table, edges: &Table, what: &mut Vec<String>) -> Result<()> {
        let own = HashSet::from([person.to_string()]);
        let published = self.run.lookup("contacts", "person_id", &own)?;
        let Some(key) = self.store.persons().key(Id::Text(person))? else {
            if !published.is_empty() {
                what.push("the store does not know a person who was traced".into());
            }
            return Ok(());
        };
        let presence = Presence::read(self.store, &self.rule, key, self.end)?;
        for row in evidence.rows_where("person_id", person)? {
            let text = |name: &str| evidence.text(name, row).map(Option::unwrap_or_default);
            let at = |name: &str| second(evidence, name, row).map(Option::unwrap_or_default);
            if text("fact")? == "contact" || text("venue_id")?.is_empty() {
                continue;
            }
            let venue = self.store.venues().ids.key(Id::Text(&text("venue_id")?));
            if !venue.is_some_and(|venue| {
                presence.was_at(venue, at("from").unwrap_or(0), at("until").unwrap_or(0))
            }) {
                what.push("the store has no visit that a reason rests on".into());
            }
        }
        let others: Vec<u32> = presence.persons().into_iter().collect();
        let ids = self.store.persons().ids(&others)?;
        let texts: HashMap<u32, String> =
            others.iter().enumerate().map(|(row, key)| (*key, ids.get(row).to_string())).collect();
        let all = texts.values().cloned().collect();
        // Contacts are sorted by ring, and those of the last one expose no one.
        let rings = &self.run.record.counts.rings;
        let rows = rings.iter().take(usize::from(self.rings).saturating_sub(1)).sum::<u64>() as usize;
        let part = Part { columns: &["person_id", "ring", "first_exposed_at"], rows };
        let rows = self.run.lookup_in("contacts", ("person_id", &all), part)?;
        let mut ring_of: HashMap<String, (u8, Second)> = HashMap::new();
        for row in 0..rows.len() {
            let ring = rows.text("ring", row)?.and_then(|ring| ring.parse().ok()).unwrap_or(0);
            let first = second(&rows, "first_exposed_at", row)?.unwrap_or(0);
            ring_of.insert(rows.text("person_id", row)?.unwrap_or_default(), (ring, first));
        }
        let mut found = None;
        let rings = if self.cases.contains_key(&key) { 0 } else { self.rings };
        for ring in 1..=rings {
            let of_ring = |key: &u32| {
                let (ring_of, first) = ring_of.get(&texts[key])?;
                (ring_of.checked_add(1) == Some(ring)).then(|| (*key, vec![(*first, FOREVER)]))
            };
            let contacts: BTreeMap<u32, Vec<(Second, Second)>> = others.iter().filter_map(of_ring).collect();
            let met = match ring {
                1 => presence.exposures(&self.rule, &self.cases, &self.places),
                _ => presence.exposures(&self.rule, &contacts, &[]),
            };
            if !met.is_empty() {
                found = Some((ring, met));
                break;
            }
        }
        let Some((ring, met)) = found else {
            if !published.is_empty() {
                what.push("the store gives no exposure of a person who was traced".into());
            }
            return Ok(());
        };
        if published.is_empty() {
            what.push(format!("the store gives an exposure in ring {ring} of a person who was not traced"));
            return Ok(());
        }
        self.compare(&published, ring, &met, &texts, what)?;
        self.compare_edges(person, edges, &met, &texts, what)
    }

    fn source_text<'t>(&'t self, source: SourceRef, texts: &'t HashMap<u32, String>) -> &'t str {
        match source {
            SourceRef::Person(key) => &texts[&key],
            SourceRef::Window(window) => &self.window_ids[window as usize],
        }
    }

    fn compare(
        &self,
        published: &Table,
        ring: u8,
        met: &[Met],
        texts: &HashMap<u32, String>,
        what: &mut Vec<String>,
    ) -> Result<()> {
        // Integers in their own order, texts by bytes; which of the two window ids are, a run does not say.
        let by_number = |text: &str| text.parse::<i128>().unwrap_or(0);
        let persons_as_text = self.store.persons().kind() == IdType::Text;
        let best_in = |windows_as_text: bool| {
            let key = |source: SourceRef| {
                let text = self.source_text(source, texts);
                let as_text = match source {
                    SourceRef::Person(_) => persons_as_text,
                    SourceRef::Window(_) => windows_as_text,
                };
                (if as_text { 0 } else { by_number(text) }, text.to_string())
            };
            best(met, &self.rule, key).expect("some were found")
        };
        let contact = contact_in(published, 0)?;
        let exposed = &contact.exposed;
        let mut same = |name: &str, published: u64, found: u64| {
            if published != found {
                what.push(format!("{name} was published as {published}, the store gives {found}"));
            }
        };
        let sum = |of: fn(&Met) -> u64| met.iter().map(of).sum::<u64>();
        same("ring", contact.ring.into(), ring.into());
        same("exposures", exposed.exposures.into(), met.len() as u64);
        same("overlap_s", exposed.overlap_s, sum(|met| u64::from(met.until - met.from)));
        same("observed_overlap_s", exposed.observed_overlap_s, sum(|met| met.observed_s.into()));
        let first = met.iter().map(|met| met.from).min().unwrap_or(0);
        let last = met.iter().map(|met| met.until).max().unwrap_or(0);
        same("first_exposed_at", exposed.first_exposed_at.into(), first.into());
        same("last_exposed_at", exposed.last_exposed_at.into(), last.into());
        let text = |name: &str| published.text(name, 0).map(Option::unwrap_or_default);
        let (source, venue) = (text("best_source_id")?, text("best_venue_id")?);
        let is_best = |windows_as_text: bool| {
            let best = best_in(windows_as_text);
            let known = self.store.venues().ids.ids().get(best.venue as usize).to_string();
            self.source_text(best.source, texts) == source && known == venue
        };
        if !is_best(true) && !is_best(false) {
            what.push("the best exposure is another".into());
        }
        Ok(())
    }

    /// Every edge to the person is one of the exposures found.
    fn compare_edges(
        &self,
        person: &str,
        edges: &Table,
        met: &[Met],
        texts: &HashMap<u32, String>,
        what: &mut Vec<String>,
    ) -> Result<()> {
        for row in edges.rows_where("contact_id", person)? {
            let text = |name: &str| edges.text(name, row).map(Option::unwrap_or_default);
            let at = |name: &str| second(edges, name, row).map(Option::unwrap_or_default);
            let (source, venue, from, until) =
                (text("source_id")?, text("venue_id")?, at("from")?, at("until")?);
            let observed = text("observed_overlap_s")?;
            let is = |met: &Met| {
                (met.from, met.until) == (from, until)
                    && self.source_text(met.source, texts) == source
                    && self.store.venues().ids.ids().get(met.venue as usize).to_string() == venue
                    && met.observed_s.to_string() == observed
            };
            if !met.iter().any(is) {
                what.push("an exposure that was published is not in the store".into());
            }
        }
        Ok(())
    }
}
