//! Single persons' exposures once more, and since when their sources were known to be some.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use rayon::prelude::*;

use super::Facts;
use crate::config::ContactConfig;
use crate::contacts::ContactRule;
use crate::error::Result;
use crate::rings::again::{Met, Presence};
use crate::rings::{SourceRef, Traced};
use crate::store::VisitSource;
use crate::time::{FOREVER, Second};

/// What exposures of single persons are found again with, after a trace.
pub(super) struct Again<'a> {
    visits: &'a dyn VisitSource,
    pub(super) rule: ContactRule,
    /// When each case could infect.
    cases: BTreeMap<u32, Vec<(Second, Second)>>,
    /// Window key, venue key and time of each exposure site.
    places: Vec<(u32, u32, (Second, Second))>,
    /// Ring of everyone traced, and since when they expose others.
    traced: HashMap<u32, (u8, Second)>,
    /// When each case became known; 0 where that is not told.
    reported: HashMap<u32, Second>,
    /// The same of each exposure site.
    announced: HashMap<u32, Second>,
}

impl<'a> Again<'a> {
    pub(super) fn new(
        facts: &Facts,
        visits: &'a dyn VisitSource,
        traced: &Traced,
        config: &ContactConfig,
    ) -> Again<'a> {
        let mut cases: BTreeMap<u32, Vec<(Second, Second)>> = BTreeMap::new();
        let mut reported: HashMap<u32, Second> = HashMap::new();
        for case in facts.cases.iter().map(|fact| &fact.case) {
            cases.entry(case.person).or_default().extend(case.window(config));
            let known = case.reported_at.unwrap_or(0);
            reported.entry(case.person).and_modify(|first| *first = known.min(*first)).or_insert(known);
        }
        let mut announced: HashMap<u32, Second> = HashMap::new();
        for place in &facts.places {
            let known = place.known_at.unwrap_or(0);
            announced.entry(place.window).and_modify(|first| *first = known.min(*first)).or_insert(known);
        }
        let contact = |contact: &crate::rings::TracedPerson| {
            (contact.person, (contact.ring, contact.exposed.first_exposed_at))
        };
        Again {
            visits,
            rule: ContactRule::new(config, visits.venues()),
            cases,
            places: facts.places.iter().map(|at| (at.window, at.venue, (at.from, at.until))).collect(),
            traced: traced.contacts.iter().map(contact).collect(),
            reported,
            announced,
        }
    }

    /// A person's visits with everyone who was there.
    pub(super) fn presence(&self, person: u32) -> Result<Presence> {
        Presence::read(self.visits, &self.rule, person, FOREVER)
    }

    /// The exposures of a person that lie in one ring: to cases and sites in ring 1, to those of the ring before in others.
    pub(super) fn met(&self, presence: &Presence, ring: u8) -> Vec<Met> {
        if ring == 1 {
            return presence.exposures(&self.rule, &self.cases, &self.places);
        }
        let of_ring_before = |person: &u32| {
            let (of, since) = self.traced.get(person)?;
            (of.checked_add(1) == Some(ring)).then(|| (*person, vec![(*since, FOREVER)]))
        };
        let sources = presence.persons().iter().filter_map(of_ring_before).collect();
        presence.exposures(&self.rule, &sources, &[])
    }

    /// Every exposure of a person in any ring, and since when its source was known to be one. A case counts as the contact
    /// that it was before, too: what was known then stays known.
    ///
    /// # Errors
    /// Those of reading the visits.
    pub(super) fn every(&self, person: u32, rings: u8) -> Result<Vec<(Met, Second)>> {
        let presence = self.presence(person)?;
        let mut every = Vec::new();
        for ring in 1..=rings {
            let met = self.met(&presence, ring);
            let known = self.known(met.iter().map(|met| met.source))?;
            every.extend(met.into_iter().map(|met| (met, known[&met.source])));
        }
        if rings < 2 {
            return Ok(every);
        }
        let mut before = BTreeMap::new();
        let mut known = HashMap::new();
        for case in presence.persons().into_iter().filter(|other| self.cases.contains_key(other)) {
            let met = self.met(&self.presence(case)?, 1);
            let sources = self.known(met.iter().map(|met| met.source))?;
            let Some(since) = met.iter().map(|met| met.from).min() else { continue };
            let first = met.iter().map(|met| met.from.max(sources[&met.source])).min();
            before.insert(case, vec![(since, FOREVER)]);
            known.insert(SourceRef::Person(case), first.unwrap_or(0));
        }
        let met = presence.exposures(&self.rule, &before, &[]);
        every.extend(met.into_iter().map(|met| (met, known[&met.source])));
        Ok(every)
    }

    /// Since when each of these sources was known to be one: a case since its report, a site since its announcement, a
    /// contact since the first of its own exposures, in its ring, that was known.
    ///
    /// # Errors
    /// Those of reading the visits.
    pub(super) fn known(
        &self,
        sources: impl IntoIterator<Item = SourceRef>,
    ) -> Result<HashMap<SourceRef, Second>> {
        let mut known: HashMap<SourceRef, Second> = HashMap::new();
        let mut of_ring: BTreeMap<u8, BTreeSet<u32>> = BTreeMap::new();
        let mut ask = |source: SourceRef, of_ring: &mut BTreeMap<u8, BTreeSet<u32>>| match source {
            SourceRef::Window(window) => {
                known.insert(source, self.announced.get(&window).copied().unwrap_or(0));
            }
            SourceRef::Person(person) => match (self.reported.get(&person), self.traced.get(&person)) {
                (Some(at), _) => drop(known.insert(source, *at)),
                (None, Some((ring, _))) => drop(of_ring.entry(*ring).or_default().insert(person)),
                (None, None) => drop(known.insert(source, 0)),
            },
        };
        sources.into_iter().for_each(|source| ask(source, &mut of_ring));
        // A source lies in a lower ring than its contact: from the last ring to the first, and back.
        let mut met: Vec<(u32, Vec<Met>)> = Vec::new();
        while let Some((ring, persons)) = of_ring.pop_last() {
            let of = |person: &u32| Ok((*person, self.met(&self.presence(*person)?, ring)));
            let of_persons = persons.par_iter().map(of).collect::<Result<Vec<_>>>()?;
            of_persons.iter().flat_map(|(_, met)| met).for_each(|met| ask(met.source, &mut of_ring));
            met.extend(of_persons);
        }
        for (person, met) in met.into_iter().rev() {
            let first = met.iter().filter_map(|met| Some(met.from.max(*known.get(&met.source)?))).min();
            known.insert(SourceRef::Person(person), first.unwrap_or(0));
        }
        Ok(known)
    }
}
