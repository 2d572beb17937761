//! The definitions of the design, word by word and without any cleverness: all pairs, every second.
//!
//! Nothing here calls the code it is compared with; only plain data types are shared.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use ringtrace::config::{ContactThreshold, Cumulative, Edges};
use ringtrace::error::Result;
use ringtrace::records::scans::{Direction, NOT_LEFT};
use ringtrace::rings::{Best, Edge, Exposed, Exposure, Hop, Runner, SourceRef, Take, Traced, TracedPerson};
use ringtrace::store::{Stay, stays_of};
use ringtrace::visits::{EndSource, Scan, StayRules, Visit};

use crate::worlds::World;

// Visits (design, section 3).

/// The visits of `scans`, sorted by person, arrival, venue.
pub fn visits(scans: &[Scan], rules: &StayRules) -> Vec<Visit> {
    let places: BTreeSet<(u32, u32)> = scans.iter().map(|s| (s.person, s.venue)).collect();
    let stays = places.into_iter().flat_map(|(person, venue)| {
        let own: Vec<Scan> = scans.iter().filter(|s| s.person == person).copied().collect();
        stays_at(venue, &own, rules)
    });
    let mut visits = join(stays.collect());
    visits.sort_by_key(|v| (v.person, v.arrived, v.venue));
    visits
}

/// The stays of one person at one venue; `own` are all scans of that person.
fn stays_at(venue: u32, own: &[Scan], rules: &StayRules) -> Vec<Visit> {
    let rule = rules.by_venue[venue as usize];
    let cap = u64::from(rules.cap_s);
    let here = |stated: bool| own.iter().filter(move |s| s.venue == venue && (s.left != NOT_LEFT) == stated);
    // The first scan after `at` at a venue that is neither this one nor inside it.
    let next_elsewhere = |at: u32| {
        let ends = |s: &&Scan| s.at > at && s.venue != venue && !is_inside(s.venue, venue, &rules.parent);
        let next = own.iter().filter(ends).map(|s| u64::from(s.at)).min();
        next.filter(|_| rules.next_scan_ends_stay).unwrap_or(u64::MAX)
    };
    let mut stays = Vec::new();
    let mut stay = |arrived: u32, left: u64, seen: u64, end_source: EndSource| {
        if u64::from(arrived) < left {
            let (person, left) = (own[0].person, left as u32);
            let seen_until = left.min(seen as u32);
            stays.push(Visit { person, venue, arrived, left, seen_until, end_source });
        }
    };
    // Records with an end of their own are taken as they are, up to the cap.
    for scan in here(true) {
        let longest = u64::from(scan.at) + cap;
        match u64::from(scan.left) <= longest {
            true => stay(scan.at, scan.left.into(), scan.left.into(), EndSource::CheckOut),
            false => stay(scan.at, longest, longest, EndSource::Cap),
        }
    }
    // The others in the order of time; in one second, in before out.
    let mut left_over: Vec<Scan> = here(false).copied().collect();
    left_over.sort_by_key(|s| (s.at, s.direction));
    left_over.reverse();
    while let Some(first) = left_over.pop() {
        if first.direction == Direction::Out {
            continue; // When that stay began is not known.
        }
        let capped = u64::from(first.at) + cap;
        let mut last = first.at;
        loop {
            let elsewhere = next_elsewhere(last);
            let next = left_over.last().map(|s| (s.direction, u64::from(s.at)));
            match next {
                // Checking out ends the stay, unless it is past the cap or after the person was seen elsewhere.
                Some((Direction::Out, at)) if at <= capped && at <= elsewhere => {
                    stay(first.at, at, at, EndSource::CheckOut);
                    left_over.pop();
                    break;
                }
                // A re-scan within the gap prolongs it, unless the person was elsewhere or the cap is reached.
                Some((Direction::In, at))
                    if at - u64::from(last) <= rule.merge_gap_s.into() && at < capped && at < elsewhere =>
                {
                    last = at as u32;
                    left_over.pop();
                }
                _ => {
                    let default = u64::from(last) + u64::from(rule.default_stay_s);
                    let (left, end_source) = [
                        (elsewhere, EndSource::NextScan),
                        (default, EndSource::DefaultStay),
                        (capped, EndSource::Cap),
                    ]
                    .into_iter()
                    .min()
                    .unwrap();
                    stay(first.at, left, last.into(), end_source);
                    break;
                }
            }
        }
    }
    stays
}

/// Whether one of the venues `inner` is inside of is `outer`.
fn is_inside(inner: u32, outer: u32, parent: &[u32]) -> bool {
    let mut around = BTreeSet::new();
    let mut at = parent.get(inner as usize);
    while let Some(venue) = at.filter(|v| (**v as usize) < parent.len()) {
        if !around.insert(*venue) {
            break;
        }
        at = parent.get(*venue as usize);
    }
    around.contains(&outer)
}

/// Joins any two visits of one person at one venue that overlap or touch, until no two do.
pub fn join(mut visits: Vec<Visit>) -> Vec<Visit> {
    let meet = |a: &Visit, b: &Visit| {
        (a.person, a.venue) == (b.person, b.venue) && a.arrived <= b.left && b.arrived <= a.left
    };
    while let Some((a, b)) = (0..visits.len())
        .flat_map(|b| (0..b).map(move |a| (a, b)))
        .find(|(a, b)| meet(&visits[*a], &visits[*b]))
    {
        let other = visits.swap_remove(b);
        let one = &mut visits[a];
        // The bound of the one that ends last; if both do, the stronger bound.
        let ends = [(one.left, Reverse(one.end_source)), (other.left, Reverse(other.end_source))];
        one.end_source = ends.into_iter().max().unwrap().1.0;
        one.left = one.left.max(other.left);
        one.arrived = one.arrived.min(other.arrived);
        one.seen_until = one.seen_until.max(other.seen_until);
    }
    visits
}

// Exposures (design, section 4).

/// A person with windows, or a window with the spans and venues in which it is a source.
#[derive(Clone, Debug)]
pub struct Source {
    /// Which.
    pub is: SourceRef,
    /// Spans `[from, until)`, at one venue or wherever the person is.
    pub spans: Vec<(Option<u32>, u32, u32)>,
}

/// Spans at one place that overlap or touch as one, so that an instant counts once.
fn join_spans(mut spans: Vec<(Option<u32>, u32, u32)>) -> Vec<(Option<u32>, u32, u32)> {
    spans.retain(|(_, from, until)| from < until);
    let meet =
        |a: &(Option<u32>, u32, u32), b: &(Option<u32>, u32, u32)| a.0 == b.0 && a.1 <= b.2 && b.1 <= a.2;
    while let Some((a, b)) =
        (0..spans.len()).flat_map(|b| (0..b).map(move |a| (a, b))).find(|(a, b)| meet(&spans[*a], &spans[*b]))
    {
        let other = spans.swap_remove(b);
        spans[a] = (other.0, spans[a].1.min(other.1), spans[a].2.max(other.2));
    }
    spans
}

/// Every exposure of a person not settled, by all pairs; a source is its position.
pub fn exposures(
    visits: &[Visit],
    sources: &[Source],
    threshold: impl Fn(u32) -> ContactThreshold,
    cumulative: Option<(Cumulative, u32)>,
    settled: impl Fn(u32) -> bool,
) -> Vec<Exposure> {
    let mut found = Vec::new();
    for (number, source) in sources.iter().enumerate() {
        for (at, from, until) in &source.spans {
            // Where and when the source is: its visits cut to its windows, or the place itself.
            let presence: Vec<(u32, u32, u64, u32)> = match source.is {
                SourceRef::Window(_) => vec![(at.unwrap(), *from, (*until).into(), *until)],
                SourceRef::Person(person) => visits
                    .iter()
                    .filter(|v| v.person == person)
                    .map(|v| {
                        let lingers = u64::from(v.left) + u64::from(threshold(v.venue).linger_s);
                        (v.venue, v.arrived.max(*from), lingers.min((*until).into()), v.seen_until)
                    })
                    .collect(),
            };
            for (venue, arrived, left, seen) in presence {
                let rule = threshold(venue);
                let needed = if cumulative.is_some() { 0 } else { u64::from(rule.min_overlap_s) };
                for other in visits.iter().filter(|v| v.venue == venue && !rule.exclude) {
                    let lo = arrived.max(other.arrived);
                    let hi = left.min(other.left.into());
                    let counts = hi > lo.into() && hi - u64::from(lo) >= needed;
                    if counts && source.is != SourceRef::Person(other.person) && !settled(other.person) {
                        let seen = hi.min(seen.into()).min(other.seen_until.into());
                        found.push(Exposure {
                            contact: other.person,
                            source: number as u32,
                            from: lo,
                            until: hi as u32,
                            venue,
                            observed_s: seen.saturating_sub(lo.into()) as u32,
                        });
                    }
                }
            }
        }
    }
    if let Some((rule, tick)) = cumulative {
        let all = found.clone();
        found.retain(|e| {
            let pair = all.iter().filter(|o| (o.contact, o.source) == (e.contact, e.source));
            adds_up(&pair.map(|o| (o.from, o.until)).collect::<Vec<_>>(), rule, tick)
        });
    }
    found
}

/// Whether a period holds enough of the spans.
fn adds_up(spans: &[(u32, u32)], rule: Cumulative, tick: u32) -> bool {
    most_in(spans, rule.period_s, tick) >= i64::from(rule.threshold_s)
}

/// The most seconds of the spans that one period holds: it slides over them, a tick at a time. All times are
/// multiples of a tick apart.
pub fn most_in(spans: &[(u32, u32)], period_s: u32, tick: u32) -> i64 {
    let period = i64::from(period_s);
    let first = spans.iter().map(|s| i64::from(s.0)).min().unwrap() - period;
    let last = spans.iter().map(|s| i64::from(s.1)).max().unwrap();
    let held = |start: i64| -> i64 {
        let inside = spans.iter().map(|s| i64::from(s.1).min(start + period) - i64::from(s.0).max(start));
        inside.map(|seconds| seconds.max(0)).sum()
    };
    (first..=last).step_by(tick as usize).map(held).max().unwrap_or(0)
}

// Rings.

/// A person traced, with every column of a result.
#[derive(Debug)]
pub struct Row {
    /// Person key.
    pub person: u32,
    /// Ring.
    pub ring: u8,
    /// The sums.
    pub exposed: Exposed,
    /// Whether what was observed decided which exposure is the best.
    pub tied: bool,
    /// Who or what exposed best.
    pub best_source: SourceRef,
    /// Distinct sources.
    pub sources: u32,
}

/// The rings of a world: rows by ring and person id; edges by ring, contact id, start, source, venue id, end.
pub fn rings(world: &World) -> (Vec<Row>, Vec<(u8, SourceRef, Exposure)>) {
    let cumulative = world.contacts.cumulative.map(|rule| (rule, world.tick));
    let mut settled = world.case_set();
    let mut sources = first_sources(world);
    let (mut rows, mut edges) = (Vec::new(), Vec::new());
    for ring in 1..=world.contacts.rings {
        let is_settled = |person: u32| settled.contains(&person);
        let mut found = exposures(&world.visits, &sources, |v| world.threshold(v), cumulative, is_settled);
        found.sort_by_key(|e| {
            let (contact, venue) = (&world.persons[e.contact as usize], &world.venues[e.venue as usize]);
            (contact, e.from, e.source, venue, e.until, e.observed_s)
        });
        let mut next: Vec<Row> = Vec::new();
        for own in found.chunk_by(|a, b| a.contact == b.contact) {
            let (exposed, tied) = sum(own, |venue| rank(&world.venues, venue));
            let distinct: BTreeSet<u32> = own.iter().map(|e| e.source).collect();
            next.push(Row {
                person: own[0].contact,
                ring,
                exposed,
                tied,
                best_source: sources[exposed.best.source as usize].is,
                sources: distinct.len() as u32,
            });
            let is_best = |e: &&Exposure| {
                let best = exposed.best;
                (e.from, e.source, e.venue) == (best.from, best.source, best.venue)
                    && (e.until - e.from, e.observed_s) == (best.overlap_s, best.observed_s)
            };
            let all = ring == 1 || world.contacts.edges == Edges::All;
            let kept: Vec<&Exposure> =
                if all { own.iter().collect() } else { own.iter().filter(is_best).take(1).collect() };
            edges.extend(kept.into_iter().map(|e| (ring, sources[e.source as usize].is, *e)));
        }
        sources = next
            .iter()
            .map(|row| Source {
                is: SourceRef::Person(row.person),
                spans: vec![(None, row.exposed.first_exposed_at, u32::MAX)],
            })
            .collect();
        settled.extend(next.iter().map(|row| row.person));
        rows.extend(next);
    }
    (rows, edges)
}

/// Rows and edges as a trace gives them.
pub fn traced(rows: &[Row], edges: &[(u8, SourceRef, Exposure)], count_sources: bool) -> Traced {
    let contact = |row: &Row| TracedPerson {
        person: row.person,
        ring: row.ring,
        exposed: row.exposed,
        best_source: row.best_source,
        sources: count_sources.then_some(row.sources),
        after: None,
    };
    let edge = |(ring, source, exposure): &(u8, SourceRef, Exposure)| Edge {
        source: *source,
        ring: *ring,
        exposure: *exposure,
    };
    Traced { contacts: rows.iter().map(contact).collect(), edges: edges.iter().map(edge).collect() }
}

/// The cases in the order of their ids, then the windows in the order of theirs.
fn first_sources(world: &World) -> Vec<Source> {
    let mut persons: BTreeMap<_, Source> = BTreeMap::new();
    for (person, (from, until)) in &world.cases {
        let own = Source { is: SourceRef::Person(*person), spans: Vec::new() };
        let entry = persons.entry(&world.persons[*person as usize]).or_insert(own);
        entry.spans.push((None, *from, *until));
    }
    let mut windows: BTreeMap<_, Source> = BTreeMap::new();
    for (window, venue, (from, until)) in &world.places {
        let own = Source { is: SourceRef::Window(*window), spans: Vec::new() };
        let entry = windows.entry(&world.windows[*window as usize]).or_insert(own);
        entry.spans.push((Some(*venue), *from, *until));
    }
    let joined = |source: Source| Source { spans: join_spans(source.spans), ..source };
    persons.into_values().chain(windows.into_values()).map(joined).collect()
}

/// How many ids are smaller than that of `key`.
fn rank<T: Ord>(ids: &[T], key: u32) -> u32 {
    ids.iter().filter(|id| **id < ids[key as usize]).count() as u32
}

/// The sums over one contact's exposures, and whether equally good ones differ in what was observed.
pub fn sum(own: &[Exposure], venue_rank: impl Fn(u32) -> u32) -> (Exposed, bool) {
    let goodness = |e: &Exposure| (Reverse(e.until - e.from), e.from, e.source, venue_rank(e.venue));
    let best = own.iter().min_by_key(|e| (goodness(e), Reverse(e.observed_s))).unwrap();
    let tied = own.iter().any(|e| goodness(e) == goodness(best) && e.observed_s != best.observed_s);
    let exposed = Exposed {
        first_exposed_at: own.iter().map(|e| e.from).min().unwrap(),
        last_exposed_at: own.iter().map(|e| e.until).max().unwrap(),
        overlap_s: own.iter().map(|e| u64::from(e.until - e.from)).sum(),
        observed_overlap_s: own.iter().map(|e| u64::from(e.observed_s)).sum(),
        exposures: own.len() as u32,
        best: Best {
            from: best.from,
            overlap_s: best.until - best.from,
            source: best.source,
            venue: best.venue,
            observed_s: best.observed_s,
        },
    };
    (exposed, tied)
}

/// A stay as a visit, whose bound no one asks for.
fn visit(stay: Stay) -> Visit {
    let Stay { person, venue, arrived, left, seen_until } = stay;
    Visit { person, venue, arrived, left, seen_until, end_source: EndSource::CheckOut }
}

/// A third place to run the kernel: no kernel, all pairs of one flat list of visits.
pub struct AllPairsRunner {
    /// Every time of the visits and windows is a multiple of this many seconds after the first.
    pub tick: u32,
}

impl Runner for AllPairsRunner {
    fn ring(&self, hop: &Hop<'_>, persons: Range<u32>, take: &mut Take<'_>) -> Result<Vec<Exposure>> {
        let Hop { visits, frontier, rule, keep_exposures } = *hop;
        let mut flat = Vec::new();
        for at in 0..visits.days().len() {
            flat.extend(stays_of(visits, at)?.into_iter().map(visit));
        }
        let places = frontier.places.iter().map(|p| (p.source, SourceRef::Window(p.source)));
        let sources = frontier.persons.iter().zip(&frontier.sources);
        let numbered = sources.map(|(person, source)| (*source, SourceRef::Person(*person)));
        let numbered: BTreeMap<u32, SourceRef> = numbered.chain(places).collect();
        let mut sources: Vec<Source> =
            numbered.values().map(|is| Source { is: *is, spans: Vec::new() }).collect();
        let mut from = 0;
        for (source, until) in frontier.sources.iter().zip(&frontier.window_ends) {
            let windows = frontier.windows[from..*until as usize].iter().map(|w| (None, w.0, w.1));
            sources[*source as usize].spans.extend(windows);
            from = *until as usize;
        }
        for place in &frontier.places {
            sources[place.source as usize].spans.push((Some(place.venue), place.from, place.until));
        }
        let cumulative = rule.cumulative.map(|rule| (rule, self.tick));
        let threshold = |venue: u32| rule.thresholds[venue as usize];
        let settled = |person: u32| frontier.settled.contains(person) || !persons.contains(&person);
        let mut found = exposures(&flat, &sources, threshold, cumulative, settled);
        found.sort();
        let contacts = found
            .chunk_by(|a, b| a.contact == b.contact)
            .map(|own| (own[0].contact, sum(own, |venue| rule.venue_ranks[venue as usize]).0))
            .collect();
        take(contacts)?;
        Ok(if keep_exposures { found } else { Vec::new() })
    }
}

// The whole graph.

/// Every pair with an exposure in `[from, until)` at one of `venues`: overlaps by the two persons, the smaller id first.
pub fn pairs(world: &World, from: u32, until: u32, venues: &[bool]) -> BTreeMap<(u32, u32), Vec<(u32, u32)>> {
    let mut found: BTreeMap<(u32, u32), Vec<(u32, u32)>> = BTreeMap::new();
    for a in &world.visits {
        for b in &world.visits {
            let (id_a, id_b) = (&world.persons[a.person as usize], &world.persons[b.person as usize]);
            let rule = world.threshold(a.venue);
            if id_a >= id_b || a.venue != b.venue || rule.exclude || !venues[a.venue as usize] {
                continue;
            }
            let (lo, hi) = (a.arrived.max(b.arrived).max(from), a.left.min(b.left).min(until));
            let needed = if world.contacts.cumulative.is_some() { 0 } else { rule.min_overlap_s };
            if lo < hi && hi - lo >= needed {
                found.entry((a.person, b.person)).or_default().push((lo, hi));
            }
        }
    }
    if let Some(rule) = world.contacts.cumulative {
        found.retain(|_, overlaps| adds_up(overlaps, rule, world.tick));
    }
    found
}
