//! Seeded random inputs: the same on every machine, and each failure says how to replay it.

use std::ops::RangeInclusive;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::LazyLock;

use rayon::{ThreadPool, ThreadPoolBuilder};

/// Splitmix64: a few lines, no dependency, the same numbers forever.
pub struct Random(u64);

impl Random {
    /// The numbers of that seed.
    pub fn new(seed: u64) -> Random {
        Random(seed)
    }

    /// Any number.
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number in `0..end`.
    pub fn below(&mut self, end: u32) -> u32 {
        (self.next() % u64::from(end)) as u32
    }

    /// A number of the range.
    pub fn within(&mut self, range: RangeInclusive<u32>) -> u32 {
        range.start() + self.below(range.end() - range.start() + 1)
    }

    /// True in so many percent of the cases.
    pub fn chance(&mut self, percent: u32) -> bool {
        self.below(100) < percent
    }

    /// One of them.
    pub fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len() as u32) as usize]
    }

    /// Any order of them.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last as u32 + 1) as usize);
        }
    }

    /// The items dealt at random to `hands`, some of which may stay empty; each hand keeps their order.
    pub fn deal<T: Clone>(&mut self, items: &[T], hands: u32) -> Vec<Vec<T>> {
        let mut dealt = vec![Vec::new(); hands as usize];
        for item in items {
            dealt[self.below(hands) as usize].push(item.clone());
        }
        dealt
    }
}

/// Does `work` on one thread: waking others costs more than a small world.
pub fn alone<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    static ONE: LazyLock<ThreadPool> =
        LazyLock::new(|| ThreadPoolBuilder::new().num_threads(1).build().expect("a pool"));
    ONE.install(work)
}

/// First seed of every run; changing it changes what continuous integration looks at.
const BASE: u64 = 20_220_301;

/// Runs `check(seed, random)` for `count` seeds.
///
/// - `RINGTRACE_TEST_SEED=n` runs that seed alone; `RINGTRACE_TEST_SEED_BASE=n` runs `count` more from `n` on.
/// - `name` is the test as `cargo test` knows it; with the seed it is printed when a check panics.
///
/// Returns whether all the fixed seeds ran, so that a caller can demand that some of them met a rare case.
pub fn for_seeds(name: &str, count: u64, check: impl Fn(u64, &mut Random)) -> bool {
    let number = |variable: &str| -> Option<u64> {
        let text = std::env::var(variable).ok()?;
        Some(text.parse().unwrap_or_else(|_| panic!("{variable}: expected a number, found {text:?}")))
    };
    let single = number("RINGTRACE_TEST_SEED");
    let seeds: Vec<u64> = match single {
        Some(seed) => vec![seed],
        None => {
            let more = number("RINGTRACE_TEST_SEED_BASE");
            [Some(BASE), more].into_iter().flatten().flat_map(|base| base..base + count).collect()
        }
    };
    for seed in seeds {
        let mut random = Random::new(seed);
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| check(seed, &mut random))) {
            eprintln!("replay: RINGTRACE_TEST_SEED={seed} cargo test --release --test it {name}");
            resume_unwind(panic);
        }
    }
    single.is_none()
}

#[test]
fn seeds_give_the_same_numbers_and_panics_come_through() {
    assert_eq!(Random::new(1234567).next(), 6_457_827_717_110_365_317, "splitmix64's published test value");
    let mut items: Vec<u32> = (0..50).collect();
    Random::new(7).shuffle(&mut items);
    assert_ne!(items, (0..50).collect::<Vec<_>>());
    items.sort_unstable();
    assert_eq!(items, (0..50).collect::<Vec<_>>());
    let failed = catch_unwind(|| for_seeds("none", 3, |_, _| panic!("as asked")));
    assert!(failed.is_err(), "a failed check fails its test");
}
