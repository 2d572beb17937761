//! Single persons' exposures once more, and since when their sources were known to be some.

use std::collections::{BTreeMap, BTreeSet, HashMap};

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

/// By person and rings: since when a contact, and since when that was known, each pair later and known earlier than the last.
pub(super) type Became = HashMap<(u32, u8), Vec<(Second, Second)>>;

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

    /// Every exposure of a person at most so many rings from a case or site, and since when its source was known to be one,
    /// whatever ring that is in tonight: a case counts as the contact that it was before, too. What was known stays known.
    ///
    /// # Errors
    /// Those of reading the visits.
    pub(super) fn every(&self, person: u32, rings: u8) -> Result<Vec<(Met, Second)>> {
        self.reached(person, rings, &mut Became::new())
    }

    /// Since when a source was known to be one: a case since its report, a site since its announcement, a contact since the
    /// first of its own exposures that was known.
    ///
    /// # Errors
    /// Those of reading the visits.
    pub(super) fn known(&self, source: SourceRef, seen: &mut Became) -> Result<Second> {
        let SourceRef::Person(person) = source else { return Ok(self.told(source)) };
        match self.traced.get(&person) {
            Some((ring, _)) if !self.cases.contains_key(&person) => {
                let became = self.became(person, *ring, seen)?;
                Ok(became.last().map_or(0, |(_, known)| *known))
            }
            _ => Ok(self.told(source)),
        }
    }

    /// When a case was reported, or a site announced; 0 if that is not told.
    fn told(&self, source: SourceRef) -> Second {
        let told = match source {
            SourceRef::Person(case) => self.reported.get(&case),
            SourceRef::Window(site) => self.announced.get(&site),
        };
        told.copied().unwrap_or(0)
    }

    fn reached(&self, person: u32, rings: u8, seen: &mut Became) -> Result<Vec<(Met, Second)>> {
        let presence = self.presence(person)?;
        let of_cases = self.met(&presence, 1).into_iter();
        let mut reached: Vec<(Met, Second)> = of_cases.map(|met| (met, self.told(met.source))).collect();
        if rings < 2 {
            return Ok(reached);
        }
        let is_one = |other: &u32| self.traced.contains_key(other) || self.cases.contains_key(other);
        let others = presence.persons().into_iter().filter(is_one).map(|other| (other, vec![(0, FOREVER)]));
        let met: BTreeSet<u32> = presence
            .exposures(&self.rule, &others.collect(), &[])
            .into_iter()
            .filter_map(|met| if let SourceRef::Person(other) = met.source { Some(other) } else { None })
            .collect();
        for other in met {
            for (since, known) in self.became(other, rings - 1, seen)? {
                let of_one = BTreeMap::from([(other, vec![(since, FOREVER)])]);
                let met = presence.exposures(&self.rule, &of_one, &[]);
                reached.extend(met.into_iter().map(|met| (met, known)));
            }
        }
        Ok(reached)
    }

    /// Since when a person was a contact, and since when that was known: the earlier, the later known.
    fn became(&self, person: u32, rings: u8, seen: &mut Became) -> Result<Vec<(Second, Second)>> {
        if let Some(became) = seen.get(&(person, rings)) {
            return Ok(became.clone());
        }
        let reached = self.reached(person, rings, seen)?;
        let mut all: Vec<(Second, Second)> =
            reached.iter().map(|(met, known)| (met.from, met.from.max(*known))).collect();
        all.sort_unstable();
        // Of those that began no earlier only what was known before counts.
        let mut became: Vec<(Second, Second)> = Vec::new();
        for (since, known) in all {
            if became.last().is_none_or(|(_, before)| known < *before) {
                became.push((since, known));
            }
        }
        seen.insert((person, rings), became.clone());
        Ok(became)
    }
}
