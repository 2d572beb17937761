//! Stage 6 of 8: typed facts about persons: who is a case, where people live, what tracing found.

pub mod kind;
mod again;
mod orders;
mod places;
mod renewed;
mod told;

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};

use rayon::prelude::*;

use crate::colors::Scheme;
use crate::config::{Config, ContactConfig};
use crate::error::Result;
use crate::ids::IdTable;
use crate::records::cases::{self, CaseRow, Status};
use crate::records::rejects::{FileBalance, Reason, Reject};
use crate::records::{self, FileRows, InputRow, windows};
use crate::rings::{Seeds, Traced, TracedPerson};
use crate::store::VisitSource;
use crate::store::format::RejectRow;
use crate::store::persons::Persons;
use crate::time::Second;
use crate::words::Words;
pub use kind::Told;
pub use orders::Support;
pub use places::Residences;

/// What the small tables say, with persons and venues as keys.
#[derive(Clone)]
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
    /// Facts that support orders about persons and are not told, being too old for rules.
    order_support: Vec<(u32, Support)>,
    /// What each order that stands rests on, by its row.
    pub supports: HashMap<InputRow, Support>,
    /// What is new of contacts whose appeal was granted.
    pub renewed: Vec<TracedPerson>,
    /// The region each person lives in, where a residence is given.
    pub residences: Residences,
    /// Where every row of those tables went.
    pub files: Vec<FileBalance>,
    /// Their rejected rows.
    pub rejects: Vec<RejectRow>,
    /// What the person who runs this should know about them.
    pub notes: Vec<Words>,
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
    /// When it was published, if that is told.
    pub known_at: Option<Second>,
}

/// A fact about one person, as rules see it.
#[derive(Clone, Copy, Debug)]
pub enum Fact<'a> {
    /// The person is a case.
    Case(&'a CaseFact),
    /// The person was exposed.
    Contact(&'a TracedPerson),
    /// What a table of facts says.
    Told(&'a Told),
}

impl Facts {
    /// Reads the small tables of `config`. With `as_of`, what was reported then or later is left out. Of stays in regions
    /// only those are found that a rule of these schemes, or an order, can mean on the day before it.
    ///
    /// # Errors
    /// Those of reading the files.
    pub fn read(
        config: &Config,
        visits: &dyn VisitSource,
        as_of: Option<Second>,
        schemes: &[&Scheme],
    ) -> Result<Facts> {
        let mut facts = Facts {
            persons: visits.persons().clone(),
            cases: Vec::new(),
            window_ids: IdTable::new(crate::ids::IdType::Text),
            places: Vec::new(),
            told: Vec::new(),
            order_support: Vec::new(),
            supports: HashMap::new(),
            renewed: Vec::new(),
            residences: Residences::default(),
            files: Vec::new(),
            rejects: Vec::new(),
            notes: Vec::new(),
        };
        if !config.table("cases").paths.is_empty() {
            facts.read_cases(config, visits, as_of)?;
        }
        if !config.table("windows").paths.is_empty() {
            facts.read_windows(config, visits, as_of)?;
        }
        facts.read_told(config, as_of)?;
        facts.read_regions(config, visits, as_of, schemes)?;
        facts.read_measured(visits, as_of, schemes)?;
        facts.read_residences(config, as_of)?;
        facts.correct();
        facts.told.par_sort_unstable();
        for (table, section) in config.tables.iter().filter(|(_, section)| !section.paths.is_empty()) {
            facts.notes.extend(records::misspelt(table, section)?);
        }
        facts.note_unknown_categories(config, visits);
        Ok(facts)
    }

    /// Notes the categories for which the configuration has rules, and no venue is of.
    fn note_unknown_categories(&mut self, config: &Config, visits: &dyn VisitSource) {
        for (section, category) in config.categories() {
            if !visits.venues().facts.iter().any(|facts| facts.category.as_deref() == Some(category)) {
                self.notes.push(Words::new(
                    format!(
                        "[{section}.by_category.{category:?}] changes nothing: no venue is of that category"
                    ),
                    format!("[{section}.by_category.{category:?}] 不起作用：没有该类别的场所"),
                ));
            }
        }
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
        self.carry_status();
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
            let all = self.cases.len();
            self.notes.push(Words::new(
                format!("{unknown} of {all} case rows: the person has no visit"),
                format!("{all}行病例中有{unknown}行：该人没有到访记录"),
            ));
        }
        if rows.len() > self.cases.len() {
            let not_standing = rows.len() - self.cases.len();
            let all = rows.len();
            self.notes.push(Words::new(
                format!(
                    "{not_standing} of {all} case rows do not stand: withdrawals, withdrawn, or not yet known"
                ),
                format!("{all}行病例中有{not_standing}行不成立：为撤销记录、已被撤销，或尚未获知"),
            ));
        }
        let is_empty =
            |fact: &&CaseFact| fact.case.window(&config.contacts).is_some_and(|(from, until)| from >= until);
        let empty = self.cases.iter().filter(is_empty).count();
        if empty > 0 {
            let all = self.cases.len();
            self.notes.push(Words::new(
                format!("{empty} of {all} case rows: isolated before the person could infect, so they lead to no contact"),
                format!("{all}行病例中有{empty}行：在可能传染他人之前已被隔离，不产生接触者"),
            ));
        }
        self.close(files);
        Ok(())
    }

    /// What a case is changes with time, suspected to confirmed: the last row of a person, of the same sample where rows
    /// name one, tells what the earlier ones are too.
    fn carry_status(&mut self) {
        let sample = |case: &CaseRow| (case.person, case.lab_ref.clone());
        type Row = (Option<Second>, Status);
        let mut last: BTreeMap<(u32, Option<String>), Row> = BTreeMap::new();
        for CaseFact { case, .. } in &self.cases {
            let told = last.entry(sample(case)).or_insert((case.reported_at, case.status));
            // Of two reported at once the worse counts, which is the first of the statuses.
            *told = [*told, (case.reported_at, case.status)]
                .into_iter()
                .max_by_key(|(reported_at, status)| (*reported_at, Reverse(*status)))
                .expect("two rows");
        }
        self.cases.iter_mut().for_each(|fact| fact.case.status = last[&sample(&fact.case)].1);
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

    fn read_windows(
        &mut self,
        config: &Config,
        visits: &dyn VisitSource,
        as_of: Option<Second>,
    ) -> Result<()> {
        let table = config.table("windows");
        let mut files = windows::read(&records::stamp("windows", table)?, table)?;
        let tables: Vec<&IdTable> = files.iter().map(|f| &f.ids[windows::WINDOWS]).collect();
        let kind =
            crate::store::ingest::type_of_tables(tables.iter().copied()).unwrap_or(crate::ids::IdType::Text);
        self.window_ids = IdTable::new(kind);
        let keys = self.window_ids.absorb(&tables);
        let mut rows = Vec::new();
        for (number, (file, keys)) in files.iter_mut().zip(keys).enumerate() {
            let later = |row: &windows::WindowRow| row.known_at.zip(as_of).is_some_and(|(at, end)| at >= end);
            for (at, row) in std::mem::take(&mut file.rows).into_iter().filter(|(_, row)| !later(row)) {
                let Some(window) = keys[row.window as usize] else {
                    reject(file, at, "window_id", Reason::ForeignId);
                    continue;
                };
                let venue_id = file.ids[windows::VENUES].ids().get(row.venue as usize).to_string();
                let venue = visits.venues().ids.key(file.ids[windows::VENUES].ids().get(row.venue as usize));
                let (from, until) = (row.from, row.until);
                let known_at = row.known_at;
                let place = (
                    (window, venue_id, from, until, row.advice),
                    known_at.unwrap_or(0),
                    file.balance.file.clone(),
                    at,
                );
                rows.push((place, venue, number, known_at));
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
        let unknown = rows.iter().filter(|(_, venue, ..)| venue.is_none()).count();
        if unknown > 0 {
            let all = rows.len();
            self.notes.push(Words::new(
                format!("{unknown} of {all} windows: no one has visited the venue"),
                format!("{all}个暴露场所时段中有{unknown}个：该场所无人到访"),
            ));
        }
        let place = |(((window, _, from, until, advice), _, file, row), venue, _, known_at)| {
            let venue: Option<u32> = venue;
            Some(Place { window, venue: venue?, from, until, advice, file, row, known_at })
        };
        self.places = rows.into_iter().filter_map(place).collect();
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

    /// Every fact that rules can see, by person: cases as read, contacts, and what the tables of facts say.
    pub fn all<'a>(&'a self, traced: &'a Traced) -> Vec<(u32, Fact<'a>)> {
        let mut facts: Vec<(u32, Fact<'a>)> =
            self.cases.iter().map(|c| (c.case.person, Fact::Case(c))).collect();
        facts.extend(traced.contacts.iter().chain(&self.renewed).map(|c| (c.person, Fact::Contact(c))));
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
