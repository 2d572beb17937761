//! Stage 6 of 8: typed facts about persons: who is a case, where people live, what tracing found.

pub mod kind;
mod told;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use rayon::prelude::*;

use crate::config::{Config, ContactConfig};
use crate::error::Result;
use crate::ids::IdTable;
use crate::records::cases::{self, CaseRow};
use crate::records::rejects::{FileBalance, Reason, Reject};
use crate::records::{self, FileRows, venues, windows};
use crate::rings::{Edge, Seeds, Traced, TracedPerson};
use crate::store::VisitSource;
use crate::store::format::RejectRow;
use crate::store::persons::Persons;
use crate::time::Second;
pub use kind::Told;

/// What the small tables say, with persons and venues as keys.
pub struct Facts {
    /// Person ids by key: those of the visits first, then those of cases without visits.
    pub persons: Persons,
    /// The case rows that stand.
    pub cases: Vec<CaseFact>,
    /// Window ids by key.
    pub window_ids: IdTable,
    /// Exposure sites at known venues.
    pub places: Vec<Place>,
    /// What the tables of facts say of persons.
    pub told: Vec<(u32, Told)>,
    /// Person keys with the communities that residences name.
    communities: BTreeSet<(u32, String)>,
    /// Region by person key, where a residence is given.
    pub residences: HashMap<u32, String>,
    /// Where every row of those tables went.
    pub files: Vec<FileBalance>,
    /// Their rejected rows.
    pub rejects: Vec<RejectRow>,
    /// What the person who runs this should know about them.
    pub notes: Vec<String>,
}

/// A case row with its evidence.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CaseFact {
    /// The row, with the person's key in [`Facts::persons`].
    pub case: CaseRow,
    /// File it stands in.
    pub file: String,
    /// Row there, from 1.
    pub row: u64,
}

/// An exposure site with its evidence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// File it stands in.
    pub file: String,
    /// Row there, from 1.
    pub row: u64,
    /// What visitors are told to do.
    pub advice: Option<String>,
    /// Window key.
    pub window: u32,
    /// Venue key.
    pub venue: u32,
    /// Start.
    pub from: Second,
    /// End.
    pub until: Second,
}

/// A fact about one person, as rules see it.
#[derive(Clone, Copy, Debug)]
pub enum Fact<'a> {
    /// The person is a case.
    Case(&'a CaseFact),
    /// The person was exposed; with the edge that explains it.
    Contact(&'a TracedPerson, Edge),
    /// What a table of facts says.
    Told(&'a Told),
}

impl Facts {
    /// Reads the small tables of `config`. With `as_of`, what was reported then or later is left out.
    ///
    /// # Errors
    /// Those of reading the files.
    pub fn read(config: &Config, visits: &dyn VisitSource, as_of: Option<Second>) -> Result<Facts> {
        let mut facts = Facts {
            persons: visits.persons().clone(),
            cases: Vec::new(),
            window_ids: IdTable::new(crate::ids::IdType::Text),
            places: Vec::new(),
            told: Vec::new(),
            communities: BTreeSet::new(),
            residences: HashMap::new(),
            files: Vec::new(),
            rejects: Vec::new(),
            notes: Vec::new(),
        };
        if !config.table("cases").paths.is_empty() {
            facts.read_cases(config, visits, as_of)?;
        }
        if !config.table("windows").paths.is_empty() {
            facts.read_windows(config, visits)?;
        }
        facts.read_told(config, as_of)?;
        facts.read_regions(config, visits, as_of)?;
        if !config.table("residences").paths.is_empty() {
            facts.read_residences(config)?;
        }
        facts.read_communities(config, as_of)?;
        facts.told.par_sort();
        Ok(facts)
    }

    fn read_cases(&mut self, config: &Config, visits: &dyn VisitSource, as_of: Option<Second>) -> Result<()> {
        let table = config.table("cases");
        let mut files = cases::read(&records::stamp("cases", table)?, table, &config.contacts)?;
        let keys = self.persons.absorb(&files.iter().map(|f| &f.ids[0]).collect::<Vec<_>>())?;
        let mut rows: Vec<(CaseFact, usize)> = Vec::new();
        for (number, (file, keys)) in files.iter_mut().zip(keys).enumerate() {
            for (row, mut case) in std::mem::take(&mut file.rows) {
                let ahead = |at: Option<Second>| at.zip(as_of).is_some_and(|(at, end)| at >= end);
                let known = !ahead(case.reported_at);
                if known && ahead(case.onset_at) {
                    reject(file, row, "onset_at", Reason::TimeInFuture);
                    continue;
                }
                if known && ahead(case.sampled_at) {
                    reject(file, row, "sampled_at", Reason::TimeInFuture);
                    continue;
                }
                match keys[case.person as usize] {
                    Some(person) => {
                        case.person = person;
                        rows.push((CaseFact { case, file: file.balance.file.clone(), row }, number));
                    }
                    None => reject(file, row, "person_id", Reason::ForeignId),
                }
            }
        }
        rows.sort();
        rows.dedup_by(|next, kept| {
            let same = next.0.case == kept.0.case;
            if same {
                merge(&mut files[next.1]);
            }
            same
        });
        let rows: Vec<CaseFact> = rows.into_iter().map(|(fact, _)| fact).collect();
        self.cases = cases::standing(&rows, |fact| &fact.case, as_of);
        self.carry_recovery();
        // In the order of ids; keys depend on what was delivered when.
        let keys: Vec<u32> = self.cases.iter().map(|c| c.case.person).collect();
        let ids = self.persons.ids(&keys)?;
        let mut order: Vec<usize> = (0..keys.len()).collect();
        order.sort_by(|a, b| ids.get(*a).cmp(&ids.get(*b)));
        self.cases = order.into_iter().map(|at| self.cases[at].clone()).collect();
        let unknown =
            self.cases.iter().filter(|c| c.case.person as usize >= visits.persons().with_visits()).count();
        if unknown > 0 {
            self.notes.push(format!("{unknown} of {} case rows: the person has no visit", self.cases.len()));
        }
        if rows.len() > self.cases.len() {
            let not_standing = rows.len() - self.cases.len();
            self.notes.push(format!(
                "{not_standing} of {} case rows do not stand: withdrawals, withdrawn, or not yet known",
                rows.len()
            ));
        }
        self.close(files);
        Ok(())
    }

    /// A recovery told by a later row of a person is that of the earlier ones too: an update may come as a new row.
    fn carry_recovery(&mut self) {
        let mut told: BTreeMap<u32, Vec<(Option<Second>, Second)>> = BTreeMap::new();
        for CaseFact { case, .. } in &self.cases {
            let recovered = case.recovered_at.map(|at| (case.reported_at, at));
            told.entry(case.person).or_default().extend(recovered);
        }
        for CaseFact { case, .. } in &mut self.cases {
            let begun = case.sampled_at.or(case.onset_at).or(case.reported_at).or(case.infectious_from);
            let later = told[&case.person].iter().filter(|(known, at)| {
                known.is_none_or(|known| case.reported_at.is_none_or(|own| own <= known))
                    && begun <= Some(*at)
            });
            case.recovered_at = case.recovered_at.or(later.map(|(_, at)| *at).min());
        }
    }

    fn read_windows(&mut self, config: &Config, visits: &dyn VisitSource) -> Result<()> {
        let table = config.table("windows");
        let mut files = windows::read(&records::stamp("windows", table)?, table)?;
        let tables: Vec<&IdTable> = files.iter().map(|f| &f.ids[windows::WINDOWS]).collect();
        let kind =
            crate::store::ingest::type_of_tables(tables.iter().copied()).unwrap_or(crate::ids::IdType::Text);
        self.window_ids = IdTable::new(kind);
        let keys = self.window_ids.absorb(&tables);
        let mut rows = Vec::new();
        for (number, (file, keys)) in files.iter_mut().zip(keys).enumerate() {
            for (at, row) in std::mem::take(&mut file.rows) {
                let Some(window) = keys[row.window as usize] else {
                    reject(file, at, "window_id", Reason::ForeignId);
                    continue;
                };
                let venue_id = file.ids[windows::VENUES].ids().get(row.venue as usize).to_string();
                let venue = visits.venues().ids.key(file.ids[windows::VENUES].ids().get(row.venue as usize));
                let (from, until) = (row.from, row.until);
                let place = ((window, venue_id, from, until, row.advice), file.balance.file.clone(), at);
                rows.push((place, venue, number));
            }
        }
        rows.sort();
        rows.dedup_by(|next, kept| {
            let same = next.0.0 == kept.0.0;
            if same {
                merge(&mut files[next.2]);
            }
            same
        });
        let unknown = rows.iter().filter(|(_, venue, _)| venue.is_none()).count();
        if unknown > 0 {
            self.notes.push(format!("{unknown} of {} windows: no one has visited the venue", rows.len()));
        }
        let place = |(((window, _, from, until, advice), file, row), venue, _): (_, Option<u32>, usize)| {
            Some(Place { window, venue: venue?, from, until, advice, file, row })
        };
        self.places = rows.into_iter().filter_map(place).collect();
        self.close(files);
        Ok(())
    }

    /// Residences of persons of whom nothing is known are of no use here, but their rows are accepted; unless there are
    /// communities, where living is itself something to know.
    fn read_residences(&mut self, config: &Config) -> Result<()> {
        let table = config.table("residences");
        let mut files = venues::read_residences(&records::stamp("residences", table)?, table)?;
        if !config.table("communities").paths.is_empty() {
            self.persons.absorb(&files.iter().map(|f| &f.ids[0]).collect::<Vec<_>>())?;
        }
        let mut rows = Vec::new();
        for (number, file) in files.iter_mut().enumerate() {
            for row in std::mem::take(&mut file.rows) {
                if let Some(person) = self.persons.key(file.ids[0].ids().get(row.person as usize))? {
                    let name = file.balance.file.clone();
                    rows.push((person, row.region_id, row.community_id, name, row.row, number));
                }
            }
        }
        // Of contradicting rows the smallest region stands, whatever order they come in.
        rows.sort();
        for (person, region, community, _, row, number) in rows {
            let known = self.residences.get(&person).is_some_and(|known| *known == region);
            if !known && self.residences.contains_key(&person) {
                reject(&mut files[number], row, "person_id", Reason::Contradicts);
                continue;
            }
            let told = community.is_some_and(|community| self.communities.insert((person, community)));
            if known && !told {
                merge(&mut files[number]);
            }
            self.residences.insert(person, region);
        }
        self.close(files);
        Ok(())
    }

    fn close<T>(&mut self, files: Vec<FileRows<T>>) {
        for mut file in files {
            file.rejects.sort();
            self.rejects.extend(RejectRow::of(&file.balance, &file.rejects));
            self.files.push(file.balance);
        }
    }

    /// Where tracing starts.
    pub fn seeds(&self, rule: &ContactConfig) -> Seeds<'_> {
        let window = |fact: &CaseFact| {
            (fact.case.person, fact.case.window(rule).expect("rows without a window are rejected"))
        };
        Seeds {
            persons: &self.persons,
            cases: self.cases.iter().map(window).collect(),
            window_ids: Some(&self.window_ids),
            places: self.places.iter().map(|p| (p.window, p.venue, (p.from, p.until))).collect(),
        }
    }

    /// Every fact that rules can see, by person: cases as read, contacts with the edge of their best exposure, and what
    /// the tables of facts say.
    pub fn all<'a>(&'a self, traced: &'a Traced) -> Vec<(u32, Fact<'a>)> {
        let mut facts: Vec<(u32, Fact<'a>)> =
            self.cases.iter().map(|c| (c.case.person, Fact::Case(c))).collect();
        facts.extend(traced.contacts.iter().map(|c| (c.person, Fact::Contact(c, c.best_edge()))));
        facts.extend(self.told.iter().map(|(person, told)| (*person, Fact::Told(told))));
        facts.par_sort_by_key(|(person, _)| *person);
        facts
    }
}

fn merge<T>(file: &mut FileRows<T>) {
    file.balance.accepted -= 1;
    file.balance.merged += 1;
}

fn reject<T>(file: &mut FileRows<T>, row: u64, column: &'static str, reason: Reason) {
    file.rejects.push(Reject { row, column, reason });
    file.balance.accepted -= 1;
    file.balance.rejected += 1;
}
