//! Orders need a health fact of the person: one that rests on nothing is refused.

use std::collections::{BTreeMap, HashMap};

use rayon::prelude::*;

use super::again::Again;
use super::kind::{Cell, FactKind, Told};
use super::{CaseFact, Fact, Facts};
use crate::config::ContactConfig;
use crate::error::Result;
use crate::records::InputRow;
use crate::records::rejects::{FileBalance, Reason};
use crate::records::told::ORDER_DAYS;
use crate::rings::Traced;
use crate::rings::again::Met;
use crate::store::VisitSource;
use crate::store::format::RejectRow;
use crate::time::{DAY_S, FOREVER, Second};
use crate::words::Words;

impl Facts {
    /// Everyone about whom there is an order, with when the first was issued.
    pub(super) fn ordered(&self) -> BTreeMap<u32, Second> {
        let mut ordered = BTreeMap::new();
        for (person, told) in self.told.iter().filter(|(_, told)| told.kind == FactKind::Order) {
            let first = ordered.entry(*person).or_insert(told.at);
            *first = told.at.min(*first);
        }
        ordered
    }

    /// Takes back the orders that no health fact supports: one that had begun and was known when the order was issued, and
    /// held within the 14 days before. They go to rejects. What comes later, or becomes known later, supports no order.
    ///
    /// # Errors
    /// Those of reading the visits.
    pub fn refuse_orders(
        &mut self,
        visits: &dyn VisitSource,
        traced: &Traced,
        config: &ContactConfig,
        fever: i64,
    ) -> Result<()> {
        let mut known: HashMap<u32, Vec<Support>> =
            self.ordered().into_keys().map(|person| (person, Vec::new())).collect();
        if known.is_empty() {
            return Ok(());
        }
        let again = Again::new(self, visits, traced, config);
        let with_visits = visits.persons().with_visits() as u32;
        let ordered: Vec<u32> = known.keys().copied().filter(|person| *person < with_visits).collect();
        let exposed = |person: &u32| Ok((*person, again.every(*person, config.rings)?));
        let exposed: Vec<(u32, Vec<(Met, Second)>)> =
            ordered.par_iter().map(exposed).collect::<Result<_>>()?;
        let mut know = |person: u32, support: Support| {
            if let Some(known) = known.get_mut(&person) {
                known.push(support);
            }
        };
        for (person, told) in self.told.iter().filter(|(_, told)| is_health_fact(told, fever)) {
            // Stays in regions support from when the level began too: they are all in `order_support`.
            if told.kind != FactKind::RegionStay {
                know(*person, Support::of(told));
            }
        }
        for CaseFact { case, file, row } in &self.cases {
            let times = [case.onset_at, case.sampled_at, case.reported_at, case.infectious_from];
            let from = times.into_iter().flatten().min().unwrap_or(0);
            let row = Some(InputRow { file: file.as_str().into(), row: *row });
            let until = case.recovered_at.unwrap_or(FOREVER);
            let known_at = case.reported_at.unwrap_or(from);
            know(case.person, Support { kind: FactKind::Case, from, until, known_at, row });
        }
        self.order_support.iter().for_each(|(person, support)| know(*person, support.clone()));
        for (person, exposures) in exposed {
            for (Met { from, until, .. }, known) in exposures {
                let known_at = known.max(from);
                know(person, Support { kind: FactKind::Contact, from, until, known_at, row: None });
            }
        }
        let mut refused = Vec::new();
        for (person, told) in std::mem::take(&mut self.told) {
            if told.kind != FactKind::Order {
                self.told.push((person, told));
                continue;
            }
            let recent = told.at.saturating_sub(ORDER_DAYS * DAY_S);
            let supports =
                |support: &&Support| support.from.max(support.known_at) <= told.at && recent <= support.until;
            // Of several the one that began last, in a total order of them.
            match known[&person].iter().filter(supports).max() {
                Some(support) => {
                    self.supports.insert(row_of(&told).clone(), support.clone());
                    self.told.push((person, told));
                }
                None => refused.push(told),
            }
        }
        for order in &refused {
            let at = row_of(order);
            let of_file = |file: &&mut FileBalance| file.table == "orders" && *file.file == *at.file;
            let file = self.files.iter_mut().find(of_file).expect("the order was read from it");
            file.accepted -= 1;
            file.rejected += 1;
            self.rejects.push(RejectRow {
                table: "orders".into(),
                file: at.file.to_string(),
                row: at.row,
                column: "person_id".into(),
                reason: Reason::NoHealthFact.word().into(),
            });
        }
        if !refused.is_empty() {
            let count = refused.len();
            self.notes.push(Words::new(
                format!("{count} orders refused: no health fact of the person was known when it was issued"),
                format!("{count}项人工指令被拒绝：签发时不知道该人的任何健康事实"),
            ));
        }
        Ok(())
    }
}

/// A health fact as it supports an order.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Support {
    /// When it began.
    pub from: Second,
    /// Until when it held.
    pub until: Second,
    /// When it was known.
    pub known_at: Second,
    /// Its kind.
    pub kind: FactKind,
    /// The row that says it; `None` for an exposure, and for a visit or scan.
    pub row: Option<InputRow>,
}

impl Support {
    /// That of a fact that a table, a visit or a scan tells.
    pub fn of(told: &Told) -> Support {
        let lasts = matches!(told.kind, FactKind::Isolation | FactKind::Residence);
        let until = told.until.unwrap_or(if lasts { FOREVER } else { told.at });
        Support { from: told.at, until, known_at: told.known_at, kind: told.kind, row: told.row().cloned() }
    }
}

fn row_of(order: &Told) -> &InputRow {
    order.row().expect("orders are told by rows")
}

/// Whether the fact is a reason to look after a person's health, which an order needs: what someone decided is none.
pub(super) fn is_health_fact(told: &Told, fever: i64) -> bool {
    let fact = Fact::Told(told);
    let is =
        |column: &str, words: &[&str]| words.iter().any(|word| fact.cell(column) == Some(Cell::Word(word)));
    let warm = || matches!(fact.cell("celsius"), Some(Cell::Number(degrees)) if degrees >= fever);
    match told.kind {
        FactKind::ClinicVisit | FactKind::Purchase | FactKind::Symptom => true,
        // Isolation at home or in a center is what an office decides.
        FactKind::Isolation => is("kind", &["hospital"]),
        FactKind::Test => is("result", &["positive"]),
        FactKind::Temperature => warm(),
        FactKind::Checkin => is("status", &["unwell"]) || warm(),
        FactKind::RegionStay => is("level", &["medium", "high", "reported"]) && is("reach", &["region"]),
        FactKind::Residence => is("status", &["closed", "sealed"]),
        FactKind::Appeal
        | FactKind::Trip
        | FactKind::Correction
        | FactKind::Push
        | FactKind::Order
        | FactKind::Confirmation
        | FactKind::Case
        | FactKind::Contact => false,
    }
}
