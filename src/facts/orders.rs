//! Orders need a health fact of the person: one that rests on nothing is refused.

use std::collections::{BTreeMap, HashMap};

use super::kind::{Basis, Cell, FactKind, Told};
use super::{CaseFact, Fact, Facts};
use crate::records::rejects::{FileBalance, Reason};
use crate::records::told::ORDER_DAYS;
use crate::rings::Traced;
use crate::store::format::RejectRow;
use crate::time::{FOREVER, Second};

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

    /// Takes back the orders that no health fact supports, one that had begun when the order was issued and held within the
    /// 14 days before: they go to rejects. What comes later supports no order.
    pub fn refuse_orders(&mut self, traced: &Traced, fever: i64) {
        // When each health fact began and ended, of everyone about whom there is an order.
        let orders = self.told.iter().filter(|(_, told)| told.kind == FactKind::Order);
        let mut known: HashMap<u32, Vec<(Second, Second)>> =
            orders.map(|(person, _)| (*person, Vec::new())).collect();
        if known.is_empty() {
            return;
        }
        let mut know = |person: u32, from: Second, until: Second| {
            if let Some(known) = known.get_mut(&person) {
                known.push((from, until));
            }
        };
        for (person, told) in self.told.iter().filter(|(_, told)| is_health_fact(told, fever)) {
            let lasts = matches!(told.kind, FactKind::Isolation | FactKind::Residence);
            know(*person, told.at, told.until.unwrap_or(if lasts { FOREVER } else { told.at }));
        }
        for CaseFact { case, .. } in &self.cases {
            let times = [case.onset_at, case.sampled_at, case.reported_at, case.infectious_from];
            let from = times.into_iter().flatten().min().unwrap_or(0);
            know(case.person, from, case.recovered_at.unwrap_or(FOREVER));
        }
        self.order_support.iter().for_each(|(person, from, until)| know(*person, *from, *until));
        for contact in &traced.contacts {
            know(contact.person, contact.exposed.first_exposed_at, contact.exposed.last_exposed_at);
        }
        let (kept, refused): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.told).into_iter().partition(|(person, told)| {
                let recent = told.at.saturating_sub(ORDER_DAYS * 86_400);
                let supports = |(from, until): &(Second, Second)| *from <= told.at && recent <= *until;
                told.kind != FactKind::Order || known[person].iter().any(supports)
            });
        self.told = kept;
        for (_, order) in &refused {
            let Basis::Row(at) = &order.basis else { unreachable!("orders are told by rows") };
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
            self.notes
                .push(format!("{} orders refused: no health fact is known of the person", refused.len()));
        }
    }
}

/// Whether the fact is a reason to look after a person's health, which an order needs: what someone decided is none.
pub(super) fn is_health_fact(told: &Told, fever: i64) -> bool {
    let fact = Fact::Told(told);
    let is =
        |column: &str, words: &[&str]| words.iter().any(|word| fact.cell(column) == Some(Cell::Word(word)));
    let warm = || matches!(fact.cell("celsius"), Some(Cell::Number(degrees)) if degrees >= fever);
    match told.kind {
        FactKind::ClinicVisit | FactKind::Purchase | FactKind::Symptom | FactKind::Isolation => true,
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
