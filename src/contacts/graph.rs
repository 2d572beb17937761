//! The traced graph as petgraph sees it: chains back to a case, and clusters.

use std::collections::HashMap;

use petgraph::Direction;
use petgraph::graph::DiGraph;
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

    #[test]
    fn clusters_are_connected_components() {
        assert_eq!(cluster_sizes([(1, 2), (2, 3), (4, 5), (1, 3)]), [3, 2]);
        assert_eq!(cluster_sizes([]), Vec::<usize>::new());
    }
}
