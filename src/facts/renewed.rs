//! Contacts whose appeal was granted: what has happened or become known since is new evidence, in whatever ring.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::Facts;
use super::kind::{Cell, FactKind};
use crate::colors::Scheme;
use crate::config::ContactConfig;
use crate::contacts::ContactRule;
use crate::error::Result;
use crate::rings::again::{Met, Presence, best};
use crate::rings::{Best, Exposed, SourceRef, Traced, TracedPerson};
use crate::store::VisitSource;
use crate::time::{FOREVER, Second};

/// When sources became known: a case with its report, a contact with the source of its best exposure.
pub(super) struct KnownSources {
    cases: HashMap<u32, Second>,
    sites: HashMap<u32, Second>,
    via: HashMap<u32, SourceRef>,
}

impl KnownSources {
    /// When it became known; 0 if that is not told.
    pub(super) fn of(&self, source: SourceRef) -> Second {
        let mut source = source;
        loop {
            match source {
                SourceRef::Window(window) => return self.sites.get(&window).copied().unwrap_or(0),
                // A source lies in a lower ring than its contact, so this ends.
                SourceRef::Person(person) => match (self.cases.get(&person), self.via.get(&person)) {
                    (Some(known), _) => return *known,
                    (None, Some(next)) => source = *next,
                    (None, None) => return 0,
                },
            }
        }
    }
}

impl Facts {
    /// When these sources, and those that lead to them, became known.
    pub(super) fn known_sources(
        &self,
        traced: &Traced,
        sources: impl IntoIterator<Item = SourceRef>,
    ) -> KnownSources {
        let mut cases: HashMap<u32, Second> = HashMap::new();
        for case in self.cases.iter().map(|fact| &fact.case) {
            let known = case.reported_at.unwrap_or(0);
            cases.entry(case.person).and_modify(|first| *first = known.min(*first)).or_insert(known);
        }
        let mut sites: HashMap<u32, Second> = HashMap::new();
        for place in &self.places {
            let known = place.known_at.unwrap_or(0);
            sites.entry(place.window).and_modify(|first| *first = known.min(*first)).or_insert(known);
        }
        let person = |source: &SourceRef| if let SourceRef::Person(key) = source { Some(*key) } else { None };
        let mut wanted: BTreeSet<u32> = sources.into_iter().filter_map(|source| person(&source)).collect();
        let mut via = HashMap::new();
        // Deeper rings first: each leads to a lower one.
        for contact in traced.contacts.iter().rev() {
            if wanted.is_empty() || !wanted.contains(&contact.person) {
                continue;
            }
            via.insert(contact.person, contact.best_source);
            wanted.extend(person(&contact.best_source));
        }
        KnownSources { cases, sites, via }
    }

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
        let rule = ContactRule::new(config, visits.venues());
        let read = |(person, _): &(u32, Second)| Presence::read(visits, &rule, *person, FOREVER);
        let presences: Vec<Presence> = granted.iter().map(read).collect::<Result<_>>()?;
        let others: BTreeSet<u32> = presences.iter().flat_map(Presence::persons).collect();
        let mut of_ring: Vec<BTreeMap<u32, Vec<(Second, Second)>>> = vec![BTreeMap::new()];
        for case in self.cases.iter().map(|fact| &fact.case) {
            of_ring[0].entry(case.person).or_default().extend(case.window(config));
        }
        for contact in traced.contacts.iter().filter(|contact| others.contains(&contact.person)) {
            let ring = usize::from(contact.ring);
            of_ring.resize(of_ring.len().max(ring + 1), BTreeMap::new());
            of_ring[ring].insert(contact.person, vec![(contact.exposed.first_exposed_at, FOREVER)]);
        }
        let places: Vec<(u32, u32, (Second, Second))> =
            self.places.iter().map(|place| (place.window, place.venue, (place.from, place.until))).collect();
        let since = self.known_sources(traced, others.iter().map(|person| SourceRef::Person(*person)));
        let keys: Vec<u32> = others.iter().copied().collect();
        let ids = self.persons.ids(&keys)?;
        let id = |source: SourceRef| match source {
            SourceRef::Person(key) => ids.get(keys.binary_search(&key).expect("one of those read")),
            SourceRef::Window(key) => self.window_ids.ids().get(key as usize),
        };
        let mut renewed = Vec::new();
        for ((person, after), presence) in granted.iter().zip(&presences) {
            for ring in 1..=config.rings {
                let sources = of_ring.get(usize::from(ring) - 1).cloned().unwrap_or_default();
                let met = presence.exposures(&rule, &sources, if ring == 1 { &places } else { &[] });
                let is_new = |met: &Met| met.until > *after || since.of(met.source) > *after;
                let new: Vec<Met> = met.into_iter().filter(is_new).collect();
                let Some(best) = best(&new, &rule, id) else { continue };
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
