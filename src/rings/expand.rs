//! Hop by hop from the cases outward.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use fixedbitset::FixedBitSet;

use super::{
    Edge, Exposure, Frontier, FrontierPerson, FrontierPlace, Ring, Runner, SourceRef, Traced, TracedPerson,
    join_windows,
};
use crate::config::{ContactConfig, Edges};
use crate::contacts::ContactRule;
use crate::error::Result;
use crate::ids::IdTable;
use crate::store::VisitSource;
use crate::time::{FOREVER, Second};

/// Where a trace starts.
#[derive(Clone, Default)]
pub struct Seeds {
    /// Person ids by key: those of the visits first, then persons without visits.
    pub persons: Option<IdTable>,
    /// Cases: person key and window. A person may have several.
    pub cases: Vec<(u32, (Second, Second))>,
    /// Ids of windows by key.
    pub window_ids: Option<IdTable>,
    /// Exposure sites: window key, venue key, span.
    pub places: Vec<(u32, u32, (Second, Second))>,
}

/// Follows the seeds' contacts, ring by ring, at most `config.rings` deep.
///
/// Ring 1 are persons who are no cases with an exposure to a case or a place; ring n+1 those in no lower ring with an
/// exposure to a person of ring n after that person's own first exposure (design, section 4).
///
/// # Errors
/// Those of reading the visits.
pub fn expand(
    visits: &dyn VisitSource,
    seeds: &Seeds,
    config: &ContactConfig,
    runner: &dyn Runner,
    count_sources: bool,
) -> Result<Traced> {
    let persons = seeds.persons.as_ref().unwrap_or(visits.persons());
    let rule = ContactRule::new(config, visits.venues());
    let (mut frontier, mut sources) = first_frontier(seeds, persons);
    let mut traced = Traced::default();
    for ring in 1..=config.rings {
        let all_edges = ring == 1 || config.edges == Edges::All;
        let found = runner.ring(visits, &frontier, &rule, all_edges || count_sources)?;
        if found.contacts.is_empty() {
            break;
        }
        frontier.settled.extend(found.contacts.iter().map(|(person, _)| *person as usize));
        let by_id = in_id_order(&found, persons);
        let next = traced.contacts.len();
        traced.contacts.extend(by_id.iter().map(|at| {
            let (person, exposed) = found.contacts[*at];
            let best_source = sources[exposed.best.source as usize];
            TracedPerson { person, ring, exposed, best_source, sources: None }
        }));
        if count_sources {
            count(&mut traced.contacts[next..], &found.exposures);
        }
        let mut edges = match all_edges {
            true => found.exposures,
            false => found.contacts.iter().map(best_exposure).collect(),
        };
        sort_edges(&mut edges, &by_id, &found.contacts, &rule);
        traced.edges.extend(edges.into_iter().map(|exposure| Edge {
            source: sources[exposure.source as usize],
            ring,
            exposure,
        }));

        sources = traced.contacts[next..].iter().map(|c| SourceRef::Person(c.person)).collect();
        let person = |(source, contact): (usize, &TracedPerson)| FrontierPerson {
            person: contact.person,
            source: source as u32,
            // Nothing read so far says when a contact was isolated, so the window stays open.
            windows: vec![(contact.exposed.first_exposed_at, FOREVER)],
        };
        frontier.persons = traced.contacts[next..].iter().enumerate().map(person).collect();
        frontier.persons.sort_unstable_by_key(|p| p.person);
        frontier.places.clear();
    }
    Ok(traced)
}

/// Ring 0: the cases and places, numbered in the order of their ids.
fn first_frontier(seeds: &Seeds, persons: &IdTable) -> (Frontier, Vec<SourceRef>) {
    let mut windows: BTreeMap<u32, Vec<(Second, Second)>> = BTreeMap::new();
    for (person, window) in &seeds.cases {
        windows.entry(*person).or_default().push(*window);
    }
    let mut cases: Vec<u32> = windows.keys().copied().collect();
    cases.sort_unstable_by(|a, b| compare(persons, *a, *b));
    let mut settled = FixedBitSet::with_capacity(persons.len());
    settled.extend(cases.iter().map(|person| *person as usize));
    let mut frontier = Frontier { settled, ..Frontier::default() };
    for (source, person) in (0..).zip(&cases) {
        let windows = join_windows(std::mem::take(windows.get_mut(person).expect("a case")));
        frontier.persons.push(FrontierPerson { person: *person, source, windows });
    }
    frontier.persons.sort_unstable_by_key(|p| p.person);
    let mut sources: Vec<SourceRef> = cases.into_iter().map(SourceRef::Person).collect();

    if let Some(ids) = &seeds.window_ids {
        let mut windows: Vec<u32> = seeds.places.iter().map(|(window, ..)| *window).collect();
        windows.sort_unstable_by(|a, b| compare(ids, *a, *b));
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
    (frontier, sources)
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

fn compare(ids: &IdTable, a: u32, b: u32) -> Ordering {
    ids.ids().get(a as usize).cmp(&ids.ids().get(b as usize))
}

/// Positions in `ring.contacts` in the order of the persons' ids.
fn in_id_order(ring: &Ring, persons: &IdTable) -> Vec<usize> {
    use rayon::prelude::*;
    let mut order: Vec<usize> = (0..ring.contacts.len()).collect();
    order.par_sort_unstable_by(|a, b| compare(persons, ring.contacts[*a].0, ring.contacts[*b].0));
    order
}

/// The best exposure of a contact, from its sums.
fn best_exposure((contact, exposed): &(u32, super::Exposed)) -> Exposure {
    let best = &exposed.best;
    Exposure {
        contact: *contact,
        source: best.source,
        from: best.from,
        until: best.from + best.overlap_s,
        venue: best.venue,
        observed_s: best.observed_s,
    }
}

/// Sorts by contact id, start, source id, venue id, end.
fn sort_edges(
    edges: &mut [Exposure],
    by_id: &[usize],
    contacts: &[(u32, super::Exposed)],
    rule: &ContactRule,
) {
    use rayon::prelude::*;
    let mut place = vec![0u32; contacts.len()];
    (0..).zip(by_id).for_each(|(rank, at)| place[*at] = rank);
    let rank = |person: u32| {
        let at = contacts.binary_search_by_key(&person, |c| c.0).expect("an edge leads to a contact");
        place[at]
    };
    edges.par_sort_by_cached_key(|e| {
        (rank(e.contact), e.from, e.source, rule.venue_ranks[e.venue as usize], e.until)
    });
}

/// Counts the distinct sources of each contact; `exposures` are sorted by contact and source.
fn count(contacts: &mut [TracedPerson], exposures: &[Exposure]) {
    for contact in contacts {
        let from = exposures.partition_point(|e| e.contact < contact.person);
        let own = exposures[from..].iter().take_while(|e| e.contact == contact.person);
        let mut sources: Vec<u32> = own.map(|e| e.source).collect();
        sources.dedup();
        contact.sources = Some(sources.len() as u32);
    }
}
