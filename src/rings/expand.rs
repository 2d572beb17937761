//! Hop by hop from the cases outward.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use rayon::prelude::*;

use super::reduce::Sums;
use super::{
    Edge, Exposed, Exposure, Frontier, FrontierPlace, Hop, Runner, SourceRef, Traced, TracedPerson,
    join_windows,
};
use crate::config::{ContactConfig, Edges};
use crate::contacts::ContactRule;
use crate::error::Result;
use crate::ids::IdTable;
use crate::person_set::PersonSet;
use crate::store::VisitSource;
use crate::store::persons::Persons;
use crate::time::{FOREVER, Second};

/// Where a trace starts.
#[derive(Clone)]
pub struct Seeds<'a> {
    /// Person ids by key: those of the visits first, then persons without visits.
    pub persons: &'a Persons,
    /// Cases: person key and window. A person may have several.
    pub cases: Vec<(u32, (Second, Second))>,
    /// Ids of windows by key.
    pub window_ids: Option<&'a IdTable>,
    /// Exposure sites: window key, venue key, span.
    pub places: Vec<(u32, u32, (Second, Second))>,
}

/// How to trace.
#[derive(Clone, Copy)]
pub struct Plan<'a> {
    /// The contact definition, how many rings, which edges.
    pub config: &'a ContactConfig,
    /// Where the kernel runs.
    pub runner: &'a dyn Runner,
    /// Whether to count the distinct sources of each contact.
    pub count_sources: bool,
    /// Bytes the sums of one pass may take; a ring that could need more is made in several passes over the visits, each
    /// for a range of persons.
    pub sums_bytes: u64,
}

/// Contacts of one ring, in the order of their ids, with their edges.
pub struct Part {
    /// The sources of this ring by number; the same for all its parts.
    pub sources: Arc<Vec<SourceRef>>,
    /// The contacts, each after all of the parts before.
    pub contacts: Vec<TracedPerson>,
    /// The edges that lead to them, sorted by contact id, start, source, venue id.
    pub edges: PartEdges,
}

/// The edges of a [`Part`].
pub enum PartEdges {
    /// One a contact: its best exposure.
    Best,
    /// These.
    All(Vec<Edge>),
}

/// Takes what a trace finds, ring by ring.
pub trait Sink {
    /// Takes the next contacts.
    ///
    /// # Errors
    /// The sink's own, which end the trace.
    fn take(&mut self, part: Part) -> Result<()>;
}

impl Sink for Traced {
    fn take(&mut self, part: Part) -> Result<()> {
        match part.edges {
            PartEdges::Best => self.edges.extend(part.contacts.iter().map(TracedPerson::best_edge)),
            PartEdges::All(edges) => self.edges.extend(edges),
        }
        self.contacts.extend(part.contacts);
        Ok(())
    }
}

/// Follows the seeds' contacts, ring by ring, at most `plan.config.rings` deep, and hands them to `sink`.
///
/// Ring 1 are persons who are no cases with an exposure to a case or a place; ring n+1 those in no lower ring with an
/// exposure to a person of ring n after that person's own first exposure (design, section 4).
///
/// # Errors
/// Those of reading the visits, and the sink's.
pub fn expand(
    visits: &dyn VisitSource,
    seeds: &Seeds<'_>,
    plan: Plan<'_>,
    sink: &mut dyn Sink,
) -> Result<()> {
    let rule = ContactRule::new(plan.config, visits.venues());
    let (mut frontier, sources) = first_frontier(seeds)?;
    let mut sources = Arc::new(sources);
    let in_key_order = seeds.persons.in_key_order();
    let persons = visits.persons().with_visits() as u32;
    for ring in 1..=plan.config.rings {
        let all_edges = ring == 1 || plan.config.edges == Edges::All;
        let keep = all_edges || plan.count_sources;
        // Where ids do not come in the order of keys, no contact can be passed on before all are known.
        let whole = keep || !in_key_order;
        let mut next = Next::default();
        let mut found_any = false;
        let hop = Hop { visits, frontier: &frontier, rule: &rule, keep_exposures: keep };
        let mut pass_on = |contacts: Vec<(u32, Exposed)>, exposures: &[Exposure]| -> Result<()> {
            let order = if in_key_order { None } else { Some(in_id_order(&contacts, seeds.persons)?) };
            let traced = |(person, exposed): (u32, Exposed)| TracedPerson {
                person,
                ring,
                exposed,
                best_source: sources[exposed.best.source as usize],
                sources: plan.count_sources.then(|| count_sources(person, exposures)),
                after: None,
            };
            let edges = match all_edges {
                true => {
                    let edge = |exposure: Exposure| Edge {
                        source: sources[exposure.source as usize],
                        ring,
                        exposure,
                    };
                    let sorted = sort_edges(exposures, order.as_deref(), contacts.len(), &rule);
                    PartEdges::All(sorted.into_iter().map(edge).collect())
                }
                false => PartEdges::Best,
            };
            let contacts: Vec<TracedPerson> = match &order {
                None => contacts.into_par_iter().with_min_len(4_096).map(traced).collect(),
                Some(order) => order.iter().map(|at| traced(contacts[*at as usize])).collect(),
            };
            found_any |= !contacts.is_empty();
            if ring < plan.config.rings {
                next.add(&contacts);
            }
            sink.take(Part { sources: sources.clone(), contacts, edges })
        };
        if whole {
            let mut contacts = Vec::new();
            let exposures = plan.runner.ring(&hop, 0..persons, &mut |part| {
                contacts.extend(part);
                Ok(())
            })?;
            pass_on(contacts, &exposures)?;
        } else {
            for persons in split(persons, plan.sums_bytes) {
                plan.runner.ring(&hop, persons, &mut |part| pass_on(part, &[]))?;
            }
        }
        if !found_any || ring == plan.config.rings {
            break;
        }
        let mut settled = std::mem::take(&mut frontier.settled);
        settled.extend(next.found.iter().map(|found| found.person));
        sources = Arc::new(next.found.iter().map(|found| SourceRef::Person(found.person)).collect());
        frontier = next.frontier(settled);
    }
    Ok(())
}

/// The contacts of a ring, in the order of their ids, as far as the next ring needs them.
#[derive(Default)]
struct Next {
    found: Vec<Found>,
}

#[derive(Clone, Copy)]
struct Found {
    person: u32,
    source: u32,
    first_exposed_at: Second,
}

impl Next {
    fn add(&mut self, contacts: &[TracedPerson]) {
        let first = self.found.len() as u32;
        self.found.extend((first..).zip(contacts).map(|(source, contact)| Found {
            person: contact.person,
            source,
            first_exposed_at: contact.exposed.first_exposed_at,
        }));
    }

    fn frontier(mut self, settled: PersonSet) -> Frontier {
        self.found.par_sort_unstable_by_key(|found| found.person);
        let mut frontier = Frontier { settled, ..Frontier::default() };
        for found in self.found {
            // Nothing read so far says when a contact was isolated, so the window stays open.
            frontier.push(found.person, found.source, [(found.first_exposed_at, FOREVER)]);
        }
        frontier
    }
}

/// `0..persons` in ranges whose sums take at most so many bytes.
fn split(persons: u32, bytes: u64) -> impl Iterator<Item = Range<u32>> {
    let at_once = (bytes / Sums::bytes_for(1)).clamp(1, u64::from(u32::MAX)) as u32;
    let ranges = persons.div_ceil(at_once).max(1);
    (0..ranges).map(move |range| {
        let from = range * at_once;
        from..persons.min(from.saturating_add(at_once))
    })
}

/// Ring 0: the cases and places, numbered in the order of their ids.
fn first_frontier(seeds: &Seeds<'_>) -> Result<(Frontier, Vec<SourceRef>)> {
    let mut windows: BTreeMap<u32, Vec<(Second, Second)>> = BTreeMap::new();
    for (person, window) in &seeds.cases {
        windows.entry(*person).or_default().push(*window);
    }
    let cases: Vec<u32> = windows.keys().copied().collect();
    let ids = seeds.persons.ids(&cases)?;
    let mut order: Vec<usize> = (0..cases.len()).collect();
    order.sort_unstable_by(|a, b| ids.get(*a).cmp(&ids.get(*b)));
    let mut number = vec![0; cases.len()];
    (0..).zip(&order).for_each(|(source, at)| number[*at] = source);
    let mut frontier = Frontier {
        settled: PersonSet::new(seeds.persons.len(), cases.iter().copied()),
        ..Frontier::default()
    };
    for ((person, windows), source) in windows.into_iter().zip(number) {
        frontier.push(person, source, join_windows(windows));
    }
    let mut sources: Vec<SourceRef> = order.into_iter().map(|at| SourceRef::Person(cases[at])).collect();

    if let Some(ids) = seeds.window_ids {
        let mut windows: Vec<u32> = seeds.places.iter().map(|(window, ..)| *window).collect();
        windows.sort_unstable_by(|a, b| ids.ids().get(*a as usize).cmp(&ids.ids().get(*b as usize)));
        windows.dedup();
        let first = sources.len() as u32;
        let mut number = vec![0; ids.len()];
        (first..).zip(&windows).for_each(|(source, window)| number[*window as usize] = source);
        let mut spans: Vec<FrontierPlace> = Vec::new();
        for (window, venue, (from, until)) in &seeds.places {
            let source = number[*window as usize];
            spans.push(FrontierPlace { venue: *venue, source, from: *from, until: *until });
        }
        frontier.places = join_places(spans);
        sources.extend(windows.into_iter().map(SourceRef::Window));
    }
    Ok((frontier, sources))
}

/// Spans of one window at one venue that overlap or touch count once, as those of a case do.
fn join_places(mut places: Vec<FrontierPlace>) -> Vec<FrontierPlace> {
    places.sort_unstable_by_key(|p| (p.source, p.venue, p.from, p.until));
    places.dedup_by(|next, kept| {
        let joins = (next.source, next.venue) == (kept.source, kept.venue) && next.from <= kept.until;
        if joins {
            kept.until = kept.until.max(next.until);
        }
        joins
    });
    places
}

/// Positions in `contacts` in the order of the persons' ids.
fn in_id_order(contacts: &[(u32, Exposed)], persons: &Persons) -> Result<Vec<u32>> {
    let keys: Vec<u32> = contacts.iter().map(|(person, _)| *person).collect();
    let ids = persons.ids(&keys)?;
    let mut order: Vec<u32> = (0..contacts.len() as u32).collect();
    order.par_sort_unstable_by(|a, b| ids.get(*a as usize).cmp(&ids.get(*b as usize)));
    Ok(order)
}

/// The exposures, sorted by contact, with their contacts in the given order of positions, and each contact's by start,
/// source id, venue id, end, seconds observed.
fn sort_edges(
    exposures: &[Exposure],
    order: Option<&[u32]>,
    contacts: usize,
    rule: &ContactRule,
) -> Vec<Exposure> {
    let runs: Vec<&[Exposure]> = exposures.chunk_by(|a, b| a.contact == b.contact).collect();
    assert!(runs.len() == contacts, "every contact has exposures, and they all lead to contacts");
    let sorted = |run: &[Exposure]| {
        let mut run = run.to_vec();
        run.sort_unstable_by_key(|e| {
            (e.from, e.source, rule.venue_ranks[e.venue as usize], e.until, e.observed_s)
        });
        run
    };
    let in_order = (0..runs.len()).into_par_iter().with_min_len(1_024);
    let runs = in_order.flat_map_iter(|at| sorted(runs[order.map_or(at, |order| order[at] as usize)]));
    runs.collect()
}

/// How many distinct sources a contact has, from exposures sorted by contact and source.
fn count_sources(person: u32, exposures: &[Exposure]) -> u32 {
    let from = exposures.partition_point(|e| e.contact < person);
    let own = exposures[from..].iter().take_while(|e| e.contact == person);
    let mut sources: Vec<u32> = own.map(|e| e.source).collect();
    sources.dedup();
    sources.len() as u32
}
