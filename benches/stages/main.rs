//! How fast is each stage, beside what one would use instead of our own code?
//!
//! ```text
//! cargo bench --bench stages              real sizes: a few minutes
//! cargo bench --bench stages -- kernel    the kernel alone; `colors` the color stage, `world`
//!                                         ingest, rings and the night on a generated world
//! cargo test  --release                   the same with a small world, to see that it runs and agrees
//! ```
//!
//! Every figure is the best of a few runs, because other work on a machine only ever adds time. Answers are compared:
//! a fast wrong one fails. Seeds are fixed.

mod colors;
mod kernel;
mod world;

use std::time::{Duration, Instant};

/// How large the worlds are.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Size {
    /// Seconds in all; for tests.
    Smoke,
    /// Large enough to measure.
    Real,
}

/// The shortest of some runs of `work`, and what it returned.
pub fn best_of<T>(runs: usize, mut work: impl FnMut() -> T) -> (Duration, T) {
    let mut once = || {
        let start = Instant::now();
        let result = work();
        (start.elapsed(), result)
    };
    let first = once();
    (1..runs).map(|_| once()).fold(first, |best, next| if next.0 < best.0 { next } else { best })
}

/// Prints a line: what, how long, how many things a second.
pub fn report(what: &str, took: Duration, count: u64, unit: &str) {
    let rate = count as f64 / took.as_secs_f64().max(1e-9) / 1e6;
    println!("{what:<44} {:>9.3} s {rate:>9.1} M {unit}/s", took.as_secs_f64());
}

fn main() {
    // `cargo bench` says so; `cargo test` does not.
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let size = if arguments.iter().any(|a| a == "--bench") { Size::Real } else { Size::Smoke };
    let chosen: Vec<&String> = arguments.iter().filter(|a| !a.starts_with('-')).collect();
    let wanted = |name: &str| chosen.is_empty() || chosen.iter().any(|c| *c == name);
    if wanted("kernel") {
        kernel::run(size);
    }
    if wanted("colors") {
        colors::run(size);
    }
    if wanted("world") {
        world::run(size);
    }
}
