//! The traced graph as petgraph sees it: chains back to a case, and clusters.

use std::collections::{BTreeMap, HashMap};

use petgraph::Direction;
use petgraph::graph::{DiGraph, NodeIndex, UnGraph};
use petgraph::graphmap::UnGraphMap;
use petgraph::visit::{Dfs, EdgeRef};

use crate::time::Second;

/// An exposure as an edge. Nodes are whatever numbers the caller gives persons and places.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    /// Who or what exposed.
    pub source: u32,
    /// Who was exposed.
    pub contact: u32,
    /// Start.
    pub from: Second,
    /// End.
    pub until: Second,
}

/// The links that lead from `person` back to a source no one exposed, as positions in `links`, `person`'s own first.
///
/// Each step is the longest exposure (then the earliest, then the first listed) that began no later than the one it
/// explains; where the list holds none so early, the earliest there is.
pub fn chain_to_case(links: &[Link], person: u32) -> Vec<usize> {
    let mut graph: DiGraph<u32, usize> = DiGraph::new();
    let mut nodes = HashMap::new();
    for (at, link) in links.iter().enumerate() {
        let [source, contact] =
            [link.source, link.contact].map(|n| *nodes.entry(n).or_insert_with(|| graph.add_node(n)));
        graph.add_edge(source, contact, at);
    }
    let mut chain = Vec::new();
    let Some(mut at) = nodes.get(&person).copied() else { return chain };
    let mut before = Second::MAX;
    loop {
        let incoming = || graph.edges_directed(at, Direction::Incoming).map(|e| (e.source(), *e.weight()));
        let length = |link: &Link| link.until.saturating_sub(link.from);
        let in_time = incoming().filter(|(_, l)| links[*l].from <= before);
        let best = in_time.min_by_key(|(_, l)| (std::cmp::Reverse(length(&links[*l])), links[*l].from, *l));
        let Some((source, link)) = best.or_else(|| incoming().min_by_key(|(_, l)| (links[*l].from, *l)))
        else {
            return chain;
        };
        // A ring lies strictly inside the next, so a chain comes back only in a table that was changed.
        if chain.len() == links.len() {
            return chain;
        }
        chain.push(link);
        before = links[link].from;
        at = source;
    }
}

/// One step of a chain of shared visits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// Position in the links.
    pub link: usize,
    /// Who it leads from.
    pub from: u32,
    /// Whom it leads to.
    pub to: u32,
    /// When what is passed on can have come to them: the start of the meeting, or when it came to the one it leads from, if
    /// that was during the meeting.
    pub at: Second,
}

/// The chain of meetings by which something that `from` has all along reaches `to` the earliest; of equally early ones one
/// of the fewest steps. Empty if they are the same, `None` if there is none.
///
/// A meeting joins both ways, whoever exposed whom: it passes on what comes to one of them before it ends.
///
/// Source: earliest-arrival (foremost) paths, Wu et al., PVLDB 2014; layer by layer of steps, as the fewest are wanted too.
pub fn earliest_chain(links: &[Link], from: u32, to: u32) -> Option<Vec<Step>> {
    let mut graph: UnGraph<u32, usize> = UnGraph::new_undirected();
    let mut nodes = HashMap::new();
    for (at, link) in links.iter().enumerate() {
        let [source, contact] =
            [link.source, link.contact].map(|n| *nodes.entry(n).or_insert_with(|| graph.add_node(n)));
        graph.add_edge(source, contact, at);
    }
    let (start, end) = (*nodes.get(&from)?, *nodes.get(&to)?);
    if start == end {
        return Some(Vec::new());
    }
    // By node, the arrivals that got ever earlier: after how many steps, when, and by which step.
    let mut arrivals: Vec<Vec<(usize, Second, Option<Step>)>> = vec![Vec::new(); graph.node_count()];
    arrivals[start.index()].push((0, 0, None));
    let mut reached = vec![start];
    for steps in 1.. {
        let mut next: BTreeMap<NodeIndex, Step> = BTreeMap::new();
        for node in std::mem::take(&mut reached) {
            let Some(&(_, since, _)) = arrivals[node.index()].iter().rfind(|(after, ..)| *after < steps)
            else {
                continue;
            };
            for edge in graph.edges(node) {
                let (link, other) = (&links[*edge.weight()], edge.target());
                let at = since.max(link.from);
                let earlier = arrivals[other.index()].last().is_none_or(|(_, before, _)| at < *before);
                if at < link.until && earlier {
                    let step = Step { link: *edge.weight(), from: graph[node], to: graph[other], at };
                    let better = |kept: &Step| (step.at, step.link) < (kept.at, kept.link);
                    match next.get_mut(&other) {
                        Some(kept) if !better(kept) => {}
                        Some(kept) => *kept = step,
                        None => drop(next.insert(other, step)),
                    }
                }
            }
        }
        if next.is_empty() {
            break;
        }
        for (node, step) in next {
            arrivals[node.index()].push((steps, step.at, Some(step)));
            reached.push(node);
        }
    }
    let mut chain = Vec::new();
    let (mut node, mut within) = (end, usize::MAX);
    loop {
        let (after, _, step) = *arrivals[node.index()].iter().rfind(|(after, ..)| *after <= within)?;
        let Some(step) = step else { break };
        chain.push(step);
        (node, within) = (nodes[&step.from], after - 1);
    }
    chain.reverse();
    Some(chain)
}

/// The sizes of the connected components that hold two nodes or more, largest first.
pub fn cluster_sizes(edges: impl IntoIterator<Item = (u32, u32)>) -> Vec<usize> {
    let graph: UnGraphMap<u32, ()> = UnGraphMap::from_edges(edges);
    let mut seen = std::collections::HashSet::new();
    let mut sizes = Vec::new();
    for node in graph.nodes() {
        if !seen.insert(node) {
            continue;
        }
        let mut search = Dfs::new(&graph, node);
        let mut size = 0;
        while let Some(member) = search.next(&graph) {
            seen.insert(member);
            size += 1;
        }
        sizes.push(size);
    }
    sizes.sort_unstable_by(|a, b| b.cmp(a));
    sizes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chain_takes_the_longest_exposure_that_came_before() {
        let link = |(source, contact, from, until)| Link { source, contact, from, until };
        let links = [
            (1, 10, 100, 200),
            (1, 10, 700, 1_900),
            (2, 10, 300, 350),
            (10, 20, 600, 660),
            (10, 20, 400, 410),
        ]
        .map(link);
        assert_eq!(chain_to_case(&links, 20), [3, 0], "the meeting at 700 cannot explain the one at 600");
        assert_eq!(chain_to_case(&links, 10), [1]);
        assert_eq!(chain_to_case(&links, 1), Vec::<usize>::new());
        assert_eq!(chain_to_case(&links, 99), Vec::<usize>::new());
    }

    /// When something gets from one to another by meetings of a list in any order, each used at most once.
    fn earliest_by_trying(links: &[Link], from: u32, to: u32) -> Option<(Second, usize)> {
        fn go(links: &[Link], used: u32, at: (u32, Second, usize), to: u32) -> Option<(Second, usize)> {
            let (node, since, steps) = at;
            let here = (node == to && steps > 0).then_some((since, steps));
            let next =
                links.iter().enumerate().filter(|(l, _)| used >> l & 1 == 0).filter_map(|(l, link)| {
                    let other = match node {
                        n if n == link.source => link.contact,
                        n if n == link.contact => link.source,
                        _ => return None,
                    };
                    let at = since.max(link.from);
                    (at < link.until).then(|| go(links, used | 1 << l, (other, at, steps + 1), to)).flatten()
                });
            here.into_iter().chain(next).min()
        }
        go(links, 0, (from, 0, 0), to)
    }

    #[test]
    fn oracle_the_earliest_chain_by_trying_all() {
        let mut state = 7u64;
        let mut draw = |below: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % below
        };
        let (mut found, mut none) = (0, 0);
        for world in 0..3_000 {
            let links: Vec<Link> = (0..7)
                .map(|_| {
                    let (source, from) = (draw(5) as u32, draw(12) as Second);
                    let contact = (source + 1 + draw(4) as u32) % 5;
                    Link { source, contact, from, until: from + 1 + draw(6) as Second }
                })
                .collect();
            let chain = earliest_chain(&links, 0, 3);
            let expected = earliest_by_trying(&links, 0, 3);
            let ends = chain.as_ref().and_then(|chain| Some((chain.last()?.at, chain.len())));
            assert_eq!(ends, expected, "world {world}: {links:?}");
            let Some(chain) = chain else {
                none += 1;
                continue;
            };
            found += 1;
            let mut since = 0;
            for (step, before) in chain.iter().zip([0].into_iter().chain(chain.iter().map(|step| step.to))) {
                let link = &links[step.link];
                assert_eq!(step.from, before, "world {world}");
                assert!(
                    [(link.source, link.contact), (link.contact, link.source)]
                        .contains(&(step.from, step.to))
                );
                assert_eq!(step.at, link.from.max(since));
                assert!(step.at < link.until);
                since = step.at;
            }
        }
        assert!(found > 500 && none > 100, "{found} chains, {none} without");
    }

    #[test]
    fn clusters_are_connected_components() {
        assert_eq!(cluster_sizes([(1, 2), (2, 3), (4, 5), (1, 3)]), [3, 2]);
        assert_eq!(cluster_sizes([]), Vec::<usize>::new());
    }
}
