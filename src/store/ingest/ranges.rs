//! Ranges of person tokens, so that rows can be sorted a range at a time, and the distinct tokens of rows that are not
//! kept.

use std::sync::{Mutex, OnceLock};

use rayon::prelude::*;

use crate::store::ingest::lock;

/// Cells of the table that guesses a token's range from its leading bits.
const CELLS: usize = 4_096;

/// Consecutive ranges that share all tokens among them.
pub struct Ranges {
    /// The first token of each range but the first.
    bounds: Vec<u64>,
    least: u64,
    shift: u32,
    /// How many bounds lie before each cell of tokens; one more at the end.
    before: Vec<u32>,
}

impl Ranges {
    /// Up to `count` ranges with about equal shares of the sample.
    pub fn of_sample(mut sample: Vec<u64>, count: usize) -> Ranges {
        sample.sort_unstable();
        let at = |range: usize| sample[range * sample.len() / count];
        let mut bounds: Vec<u64> = if sample.is_empty() { Vec::new() } else { (1..count).map(at).collect() };
        bounds.dedup();
        let (least, most) = (bounds.first().copied().unwrap_or(0), bounds.last().copied().unwrap_or(0));
        let shift = (64 - (most - least).leading_zeros()).saturating_sub(CELLS.trailing_zeros());
        let first_of = |cell: usize| least.saturating_add((cell as u64) << shift);
        let mut before: Vec<u32> =
            (0..CELLS).map(|cell| bounds.partition_point(|bound| *bound < first_of(cell)) as u32).collect();
        before[0] = 0;
        before.push(bounds.len() as u32);
        Ranges { bounds, least, shift, before }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.bounds.len() + 1
    }

    /// The range of a token.
    #[inline]
    pub fn of(&self, token: u64) -> usize {
        let cell = (token.saturating_sub(self.least) >> self.shift).min(CELLS as u64 - 1) as usize;
        let (from, until) = (self.before[cell] as usize, self.before[cell + 1] as usize);
        from + self.bounds[from..until].partition_point(|bound| *bound <= token)
    }
}

/// The distinct tokens of any number of rows, in a few bytes for each distinct one.
#[derive(Default)]
pub struct Distinct {
    ranges: OnceLock<(Ranges, Vec<Mutex<Part>>)>,
}

/// The tokens of one range: those sorted, and some since.
#[derive(Default)]
struct Part {
    sorted: Vec<u64>,
    fresh: Vec<u64>,
}

/// Ranges that several threads fill at once without waiting for each other much.
const PARTS: usize = 256;

impl Distinct {
    /// Adds tokens. Which ranges there are follows from the first tokens that come, but the result does not.
    pub fn add(&self, tokens: &[u64]) {
        let (ranges, parts) = self.ranges.get_or_init(|| {
            let step = tokens.len() / (64 * PARTS) + 1;
            let ranges = Ranges::of_sample(tokens.iter().step_by(step).copied().collect(), PARTS);
            let parts = (0..ranges.len()).map(|_| Mutex::default()).collect();
            (ranges, parts)
        });
        let mut split: Vec<Vec<u64>> = vec![Vec::with_capacity(tokens.len() / ranges.len()); ranges.len()];
        for token in tokens {
            split[ranges.of(*token)].push(*token);
        }
        for (part, tokens) in parts.iter().zip(split) {
            let mut part = lock(part);
            part.fresh.extend(tokens);
            // Sorting in only when there is half as much new as old makes all the merging linear.
            if part.fresh.len() > 4_096.max(part.sorted.len() / 2) {
                part.settle();
            }
        }
    }

    /// All of them, sorted.
    pub fn into_sorted(self) -> Vec<u64> {
        let Some((_, parts)) = self.ranges.into_inner() else { return Vec::new() };
        let settle = |part: Mutex<Part>| {
            let mut part = part.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner());
            part.settle();
            part.sorted
        };
        let parts: Vec<Vec<u64>> = parts.into_par_iter().map(settle).collect();
        let mut all = Vec::with_capacity(parts.iter().map(Vec::len).sum());
        parts.into_iter().for_each(|part| all.extend(part));
        all
    }
}

impl Part {
    fn settle(&mut self) {
        let mut fresh = std::mem::take(&mut self.fresh);
        fresh.sort_unstable();
        fresh.dedup();
        self.sorted = union(&self.sorted, &fresh);
    }
}

/// The union of two sorted lists of distinct tokens.
pub fn union(a: &[u64], b: &[u64]) -> Vec<u64> {
    let mut all = Vec::with_capacity(a.len() + b.len());
    let (mut at, mut by) = (0, 0);
    while at < a.len() && by < b.len() {
        let (one, two) = (a[at], b[by]);
        all.push(one.min(two));
        at += usize::from(one <= two);
        by += usize::from(two <= one);
    }
    all.extend_from_slice(&a[at..]);
    all.extend_from_slice(&b[by..]);
    all.shrink_to_fit();
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_token_is_in_the_range_its_bounds_say() {
        let samples: [Vec<u64>; 5] = [
            Vec::new(),
            vec![7],
            (0..5_000).map(|n: u64| n.wrapping_mul(0x9e37_79b9_7f4a_7c15)).collect(),
            (0..5_000).collect(),
            [0, 1, 2, u64::MAX - 1, u64::MAX].repeat(9),
        ];
        for sample in samples {
            for count in [1, 2, 64, 1_024] {
                let ranges = Ranges::of_sample(sample.clone(), count);
                assert!(ranges.len() <= count);
                for token in sample.iter().copied().chain([0, 1, 1 << 40, u64::MAX]) {
                    let expected = ranges.bounds.iter().filter(|bound| **bound <= token).count();
                    assert_eq!(ranges.of(token), expected, "{token} of {:?}", ranges.bounds);
                }
            }
        }
    }

    #[test]
    fn distinct_tokens_come_sorted_however_they_were_added() {
        let distinct = Distinct::default();
        let token = |n: u64| (n % 7_001).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let all: Vec<u64> = (0..40_000).map(token).collect();
        all.chunks(9_000).for_each(|tokens| distinct.add(tokens));
        let mut expected = all;
        expected.sort_unstable();
        expected.dedup();
        assert_eq!(distinct.into_sorted(), expected);
        assert!(Distinct::default().into_sorted().is_empty());
    }
}
