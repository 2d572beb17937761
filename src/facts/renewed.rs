//! Contacts whose appeal was granted: what has happened or become known since is new evidence, in whatever ring.

use std::collections::{BTreeMap, BTreeSet};

use super::Facts;
use super::again::{Again, Became};
use super::kind::{Cell, FactKind};
use crate::colors::Scheme;
use crate::config::ContactConfig;
use crate::error::Result;
use crate::rings::again::{Met, Presence, best};
use crate::rings::{Best, Exposed, SourceRef, Traced, TracedPerson};
use crate::store::VisitSource;
use crate::time::Second;

impl Facts {
    /// Finds again the exposures of everyone whose appeal against a contact's color was granted, and keeps those that ended
    /// after the decision or whose source became known after it: in the lowest ring that has any.
    ///
    /// # Errors
    /// Those of reading the visits.
    pub fn renew(
        &mut self,
        visits: &dyn VisitSource,
        traced: &Traced,
        config: &ContactConfig,
        scheme: &Scheme,
    ) -> Result<()> {
        let known = visits.persons().with_visits() as u32;
        let is_case: BTreeSet<u32> = self.cases.iter().map(|fact| fact.case.person).collect();
        let granted: Vec<(u32, Second)> = self
            .granted(scheme)
            .into_iter()
            .filter(|(person, _)| *person < known && !is_case.contains(person))
            .collect();
        if granted.is_empty() {
            return Ok(());
        }
        let again = Again::new(self, visits, traced, config);
        let read = |(person, _): &(u32, Second)| again.presence(*person);
        let presences: Vec<Presence> = granted.iter().map(read).collect::<Result<_>>()?;
        let others: BTreeSet<u32> = presences.iter().flat_map(Presence::persons).collect();
        let keys: Vec<u32> = others.into_iter().collect();
        let ids = self.persons.ids(&keys)?;
        let id = |source: SourceRef| match source {
            SourceRef::Person(key) => ids.get(keys.binary_search(&key).expect("one of those read")),
            SourceRef::Window(key) => self.window_ids.ids().get(key as usize),
        };
        let (mut renewed, mut seen) = (Vec::new(), Became::new());
        for ((person, after), presence) in granted.iter().zip(&presences) {
            for ring in 1..=config.rings {
                let met = again.met(presence, ring);
                let mut new: Vec<Met> = Vec::new();
                for met in met {
                    if met.until > *after || again.known(met.source, &mut seen)? > *after {
                        new.push(met);
                    }
                }
                let Some(best) = best(&new, &again.rule, id) else { continue };
                renewed.push(TracedPerson {
                    person: *person,
                    ring,
                    exposed: sums(&new, best),
                    best_source: best.source,
                    sources: None,
                    after: Some(*after),
                });
                break;
            }
        }
        self.renewed = renewed;
        Ok(())
    }

    /// Everyone who was granted an appeal against a rule about contacts, by the last decision on it, with the last of those.
    fn granted(&self, scheme: &Scheme) -> BTreeMap<u32, Second> {
        let mut last: BTreeMap<(u32, &str), (Second, &str)> = BTreeMap::new();
        for (person, told) in self.told.iter().filter(|(_, told)| told.kind == FactKind::Appeal) {
            let (Some(Cell::Word(rule)), Some(Cell::Word(decision))) =
                (told.cell("rule_id"), told.cell("decision"))
            else {
                continue;
            };
            let of_contacts = scheme.rule(rule).is_some_and(|rule| rule.fact == FactKind::Contact);
            if decision != "open" && of_contacts {
                let entry = last.entry((*person, rule)).or_insert((told.at, decision));
                *entry = (told.at, decision).max(*entry);
            }
        }
        let mut granted: BTreeMap<u32, Second> = BTreeMap::new();
        for ((person, _), (at, _)) in last.into_iter().filter(|(_, (_, decision))| *decision == "overturned")
        {
            let latest = granted.entry(person).or_insert(at);
            *latest = at.max(*latest);
        }
        granted
    }
}

/// What exposures add up to.
fn sums(met: &[Met], best: &Met) -> Exposed {
    let sum = |of: fn(&Met) -> u32| met.iter().map(|met| u64::from(of(met))).sum::<u64>();
    Exposed {
        first_exposed_at: met.iter().map(|met| met.from).min().expect("one at least"),
        last_exposed_at: met.iter().map(|met| met.until).max().expect("one at least"),
        overlap_s: sum(|met| met.until - met.from),
        observed_overlap_s: sum(|met| met.observed_s),
        exposures: met.len() as u32,
        best: Best {
            from: best.from,
            overlap_s: best.until - best.from,
            source: 0,
            venue: best.venue,
            observed_s: best.observed_s,
        },
    }
}
