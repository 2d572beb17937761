//! Ingest, rings and the whole night on a generated world.

use std::path::Path;

use ringtrace::config::Config;
use ringtrace::generate::{WorldSpec, write};
use ringtrace::once::{self, From};
use ringtrace::pipeline::{self, Progress, Purpose};
use ringtrace::store::ingest::ingest;
use ringtrace::time::{parse_date, utc_day_name};

use crate::{Size, best_of, report};

/// Says nothing.
struct Silent;

impl Progress for Silent {
    fn expect(&self, _: u64) {}
    fn begin(&self, _: &str) {}
    fn end(&self, _: &str) {}
}

/// Measures ingest, a trace of each depth from the store and from the files, and a night.
pub fn run(size: Size) {
    let (people, runs) = if size == Size::Real { (400_000, 3) } else { (2_000, 1) };
    let spec = WorldSpec { people, days: 14, seed: 7, first_day: 19_052, facts: false };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let base = folder.path().join("world");
    let world = write(&spec, &base).expect("a world");
    println!("stages: {} scans of {} people", world.scans, world.people);
    let config = Config::read(&base.join("ringtrace.toml")).expect("its configuration");

    let mut version = 0;
    let store = |number: u32| folder.path().join(format!("store-{number}"));
    let (took, _) = best_of(runs, || {
        version += 1;
        ingest(&store(version), &pipeline::feed(&config).expect("a feed")).map(|i| i.report).expect("a store")
    });
    report("  ingest, scans to published store", took, world.scans, "scans");

    let trace = |config: &Config, from: From<'_>, out: &str| {
        let out = folder.path().join(out);
        let trace = once::trace(config, &from, false, &out, &Silent).expect("a trace");
        let bytes = |name: &str| std::fs::read(out.join(name)).expect("a result");
        (trace.counts.rings, bytes("contacts.parquet"), bytes("exposures.parquet"))
    };
    let mut two = config.clone();
    two.contacts.rings = 2;
    let (took, from_store) = best_of(runs, || trace(&two, From::Store(&store(1)), "two"));
    report("  trace, two rings from the store", took, from_store.0.iter().sum(), "contacts");
    let (took, from_files) = best_of(runs, || trace(&two, From::Files, "files"));
    report("  trace, two rings from the files", took, from_files.0.iter().sum(), "contacts");
    assert!(from_store == from_files, "the store and the files give other contacts");
    let mut one = config.clone();
    one.contacts.rings = 1;
    let (took, first) = best_of(runs, || trace(&one, From::Store(&store(1)), "one"));
    report("  trace, one ring from the store", took, first.0.iter().sum(), "contacts");
    assert_eq!(first.0[..], from_store.0[..1], "one ring is the first of two");

    let date = parse_date(&utc_day_name(spec.first_day + spec.days - 1)).expect("a date");
    let (took, night) = best_of(1, || {
        pipeline::night(&config, Path::new(&base), date, Purpose::Publish, &Silent).expect("a night")
    });
    report("  night, scans to published colors", took, world.scans, "scans");
    assert_eq!(night.record.counts.rings, from_store.0, "a night traces as a trace does");
}
