//! The sums of [`sums`](super::sums) where a crowd meets a crowd: pairs are never looked at, only counted.
//!
//! Forty thousand in a stadium are 800 million pairs, and yet each visit's sums follow from how many sources had come
//! and gone by two instants of it, and from sums over them. Each is a query to a tree over the sources, asked in an order
//! in which the tree only grows:
//!
//! ```text
//! sources, by start:   ....present....|....later....|..too late..
//!                                  arrived      left - needed
//! seconds shared = Σ min(until, left) over both - arrived for each present - start for each later
//! ```

use super::overlap::VenueVisits;
use super::sums::{Sources, VisitSum};
use crate::time::Second;

/// A tree of counts and sums over values known beforehand (Fenwick 1994).
struct Tree {
    values: Vec<Second>,
    counts: Vec<u32>,
    sums: Vec<u64>,
    count: u32,
}

impl Tree {
    /// An empty one for these values.
    fn new(mut values: Vec<Second>) -> Tree {
        values.sort_unstable();
        values.dedup();
        let places = values.len() + 1;
        Tree { values, counts: vec![0; places], sums: vec![0; places], count: 0 }
    }

    fn change(&mut self, value: Second, count: u32, sum: u64) {
        self.count = self.count.wrapping_add(count);
        let mut place = self.values.partition_point(|v| *v < value) + 1;
        while place < self.counts.len() {
            self.counts[place] = self.counts[place].wrapping_add(count);
            self.sums[place] = self.sums[place].wrapping_add(sum);
            place += place & place.wrapping_neg();
        }
    }

    fn insert(&mut self, value: Second) {
        self.change(value, 1, u64::from(value));
    }

    fn remove(&mut self, value: Second) {
        self.change(value, 1_u32.wrapping_neg(), u64::from(value).wrapping_neg());
    }

    /// How many of those inserted are at most `most`, and their sum.
    fn up_to(&self, most: Second) -> (u32, u64) {
        let (mut count, mut sum) = (0_u32, 0_u64);
        let mut place = self.values.partition_point(|v| *v <= most);
        while place > 0 {
            count = count.wrapping_add(self.counts[place]);
            sum = sum.wrapping_add(self.sums[place]);
            place &= place - 1;
        }
        (count, sum)
    }

    /// The sum of those inserted, each cut to `most`.
    fn cut_to(&self, most: Second) -> u64 {
        let (count, sum) = self.up_to(most);
        sum + u64::from(self.count - count) * u64::from(most)
    }
}

/// The greatest of the keys put at a place or after it.
struct Greatest {
    keys: Vec<u64>,
}

impl Greatest {
    fn new(places: usize) -> Greatest {
        Greatest { keys: vec![0; places + 1] }
    }

    fn put(&mut self, place: usize, key: u64) {
        let mut at = self.keys.len() - 1 - place;
        while at < self.keys.len() {
            self.keys[at] = self.keys[at].max(key);
            at += at & at.wrapping_neg();
        }
    }

    /// 0 if there is none.
    fn from(&self, place: usize) -> u64 {
        let (mut at, mut key) = (self.keys.len() - 1 - place, 0);
        while at > 0 {
            key = key.max(self.keys[at]);
            at &= at - 1;
        }
        key
    }
}

/// Finds the first place from some place on whose value is greater than some other.
struct FirstGreater {
    leaves: usize,
    most: Vec<Second>,
}

impl FirstGreater {
    fn new(values: &[Second]) -> FirstGreater {
        let leaves = values.len().next_power_of_two();
        let mut most = vec![0; 2 * leaves];
        most[leaves..leaves + values.len()].copy_from_slice(values);
        (1..leaves).rev().for_each(|node| most[node] = most[2 * node].max(most[2 * node + 1]));
        FirstGreater { leaves, most }
    }

    fn find(&self, from: usize, than: Second) -> Option<usize> {
        let mut node = self.leaves + from;
        if from >= self.leaves {
            return None;
        }
        // Up to the right until something below is greater, then down to the first.
        while self.most[node] <= than {
            while node & 1 == 1 {
                node >>= 1;
            }
            if node == 0 {
                return None;
            }
            node += 1;
        }
        while node < self.leaves {
            node *= 2;
            node += usize::from(self.most[node] <= than);
        }
        Some(node - self.leaves)
    }
}

/// A visit and where it cuts the sources by start.
struct Cut {
    visit: u32,
    arrived: Second,
    left: Second,
    seen: Second,
    /// How many sources had come when it began.
    present: usize,
    /// How many come early enough to share what is needed.
    in_time: usize,
    /// How many of those come while the visit is still observed; not less than `present`.
    observed: usize,
}

/// How many pairs the visits, whose indices are `rows`, make with the sources, or more than `most`.
///
/// - **Cost**: `O(s log s + v log s)`.
pub fn more_pairs_than(
    most: u64,
    sources: &Sources<'_>,
    visits: &VenueVisits<'_>,
    rows: &[u32],
    needed_s: u32,
) -> bool {
    let mut ends: Vec<Second> = sources.until.to_vec();
    ends.sort_unstable();
    let mut pairs = 0;
    for row in rows {
        let (arrived, left) = (visits.arrived[*row as usize], visits.left[*row as usize]);
        let in_time = sources.from.partition_point(|from| *from <= left - needed_s);
        let gone = ends.partition_point(|end| *end < arrived + needed_s);
        pairs += in_time.saturating_sub(gone) as u64;
        if pairs > most {
            return true;
        }
    }
    false
}

/// Appends what the visits whose indices are `rows`, in order, share with the sources; those that share nothing are left
/// out. As [`add_up`](super::sums::add_up), with the same result for any input.
///
/// - **Input**: sources in the order of their spans, each of `needed_s` or more; visits of `needed_s` or more.
/// - **Cost**: `O((s + v) log (s + v))`, whatever the number of pairs. A tie between several visits of one source costs as
///   many steps as it has visits here.
pub fn add_up_crowd(
    sources: &Sources<'_>,
    visits: &VenueVisits<'_>,
    seen_until: &[Second],
    rows: &[u32],
    needed_s: u32,
    sums: &mut Vec<VisitSum>,
) {
    let Sources { from, until, seen_until: seen_source, source } = *sources;
    let count = from.len();
    // Nothing of a source is observed before it starts.
    let seen_source: Vec<Second> = seen_source.iter().zip(from).map(|(seen, from)| *seen.max(from)).collect();
    let cuts: Vec<Cut> = rows
        .iter()
        .map(|row| {
            let (arrived, left) = (visits.arrived[*row as usize], visits.left[*row as usize]);
            let seen = seen_until[*row as usize].min(left);
            let present = from.partition_point(|from| *from <= arrived);
            let in_time = from.partition_point(|from| *from <= left - needed_s).max(present);
            let observed = from.partition_point(|from| *from < seen).clamp(present, in_time);
            Cut { visit: *row, arrived, left, seen, present, in_time, observed }
        })
        .collect();
    let mut latest_end = vec![0];
    let mut starts = vec![0_u64];
    for (from, until) in from.iter().zip(until) {
        latest_end.push(latest_end[latest_end.len() - 1].max(*until));
        starts.push(starts[starts.len() - 1] + u64::from(*from));
    }
    let first_sum = sums.len();
    let mut at_sum = vec![None; cuts.len()];
    for (at, cut) in cuts.iter().enumerate() {
        let last = latest_end[cut.in_time].min(cut.left);
        if last < cut.arrived + needed_s {
            continue;
        }
        at_sum[at] = Some(sums.len());
        let is_present = latest_end[cut.present] >= cut.arrived + needed_s;
        sums.push(VisitSum {
            visit: cut.visit,
            first: if is_present { cut.arrived } else { from[cut.present] },
            last,
            exposures: (cut.in_time - cut.present) as u32,
            overlap_s: 0,
            observed_s: 0,
            best_from: cut.arrived,
            best_overlap_s: 0,
            best_source: u32::MAX,
            best_observed_s: 0,
        });
    }
    if sums.len() == first_sum {
        return;
    }

    // Who is there: visits come by arrival, and so sources are taken in by start and let go by end.
    let mut by_end: Vec<u32> = (0..count as u32).collect();
    by_end.sort_unstable_by_key(|at| until[*at as usize]);
    let mut by_source: Vec<u32> = (0..count as u32).collect();
    by_source.sort_unstable_by_key(|at| (source[*at as usize], *at));
    let mut ends = Tree::new(until.to_vec());
    let mut seen = Tree::new(seen_source.clone());
    let mut seen_there = Tree::new(seen_source.clone());
    let mut least_source = Greatest::new(ends.values.len());
    let (mut come, mut gone) = (0, 0);
    for (cut, sum) in cuts.iter().zip(&at_sum) {
        while come < cut.present {
            ends.insert(until[come]);
            seen.insert(seen_source[come]);
            seen_there.insert(seen_source[come]);
            let place = ends.values.partition_point(|end| *end < until[come]);
            least_source.put(place, u64::from(u32::MAX - source[come]) + 1);
            come += 1;
        }
        let needed = cut.arrived + needed_s;
        while gone < count && until[by_end[gone] as usize] < needed {
            // It has come: a source that is long enough and ends before then has started before the visit.
            seen_there.remove(seen_source[by_end[gone] as usize]);
            gone += 1;
        }
        let Some(sum) = sum.map(|at| &mut sums[at]) else { continue };
        let (too_short, too_short_s) = ends.up_to(needed - 1);
        let present = ends.count - too_short;
        sum.exposures += present;
        // Their ends, with those of who comes later and of who left too early, are added below.
        let starts = u64::from(present) * u64::from(cut.arrived);
        sum.overlap_s = 0_u64.wrapping_sub(too_short_s + starts);
        if cut.seen > cut.arrived {
            let (unseen, unseen_s) = seen_there.up_to(cut.arrived);
            let starts = u64::from(seen_there.count - unseen) * u64::from(cut.arrived);
            sum.observed_s = seen_there.cut_to(cut.seen) - unseen_s - starts;
        }
        // What is added below holds all who had come, whenever they left.
        sum.observed_s = sum.observed_s.wrapping_sub(seen.cut_to(cut.seen));
        if present > 0 {
            let end = latest_end[cut.present].min(cut.left);
            let place = ends.values.partition_point(|value| *value < end);
            sum.best_source = u32::MAX - (least_source.from(place) - 1) as u32;
            sum.best_overlap_s = end - cut.arrived;
            let own = by_source.partition_point(|at| source[*at as usize] < sum.best_source);
            let own = by_source[own..].iter().map(|at| *at as usize);
            let own = own.take_while(|at| source[*at] == sum.best_source && *at < cut.present);
            let observed = |at: usize| seen_source[at].min(cut.seen).max(cut.arrived) - cut.arrived;
            sum.best_observed_s = own.filter(|at| until[*at] >= end).map(observed).max().unwrap_or(0);
        }
    }

    // Who has come by the end: the same trees, asked at later instants.
    let mut order: Vec<u32> = (0..cuts.len() as u32).filter(|at| at_sum[*at as usize].is_some()).collect();
    let mut grow =
        |by: fn(&Cut) -> usize, tree: &mut Tree, values: &[Second], add: &mut dyn FnMut(&Tree, usize)| {
            order.sort_unstable_by_key(|at| by(&cuts[*at as usize]));
            let mut come = 0;
            for at in &order {
                while come < by(&cuts[*at as usize]) {
                    tree.insert(values[come]);
                    come += 1;
                }
                add(tree, *at as usize);
            }
        };
    let mut ends = Tree::new(until.to_vec());
    grow(|cut| cut.in_time, &mut ends, until, &mut |tree, at| {
        let (cut, sum) = (&cuts[at], &mut sums[at_sum[at].expect("chosen")]);
        let later = starts[cut.in_time] - starts[cut.present];
        sum.overlap_s = sum.overlap_s.wrapping_add(tree.cut_to(cut.left)).wrapping_sub(later);
    });
    let mut seen = Tree::new(seen_source.clone());
    grow(|cut| cut.observed, &mut seen, &seen_source, &mut |tree, at| {
        let (cut, sum) = (&cuts[at], &mut sums[at_sum[at].expect("chosen")]);
        let later = starts[cut.observed] - starts[cut.present];
        sum.observed_s = sum.observed_s.wrapping_add(tree.cut_to(cut.seen)).wrapping_sub(later);
    });

    // The longest of those that come later: one that ends before the visit, or the first that outlasts it.
    let outlasts = FirstGreater::new(until);
    let mut within = Greatest::new(count);
    order.sort_unstable_by_key(|at| cuts[*at as usize].left);
    let mut come = 0;
    for at in order {
        let (cut, sum) = (&cuts[at as usize], &mut sums[at_sum[at as usize].expect("chosen")]);
        while come < count && until[by_end[come] as usize] <= cut.left {
            let at = by_end[come] as usize;
            within.put(at, u64::from(until[at] - from[at]) << 32 | u64::from(u32::MAX - at as u32));
            come += 1;
        }
        let key = |at: usize, overlap: Second| u64::from(overlap) << 32 | u64::from(u32::MAX - at as u32);
        let first = outlasts.find(cut.present, cut.left).filter(|at| *at < cut.in_time);
        let longest = within.from(cut.present).max(first.map_or(0, |at| key(at, cut.left - from[at])));
        let (overlap_s, at) = ((longest >> 32) as Second, (u32::MAX - longest as u32) as usize);
        if longest > 0 && overlap_s > sum.best_overlap_s {
            sum.best_from = from[at];
            sum.best_overlap_s = overlap_s;
            sum.best_source = source[at];
            sum.best_observed_s = seen_source[at].min(cut.seen).max(from[at]) - from[at];
        }
    }
}
