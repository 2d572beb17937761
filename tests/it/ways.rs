//! One answer however it is found: sources looked up or met on the way, in memory or on disk, in one pass or many.

use std::sync::atomic::{AtomicU32, Ordering};

use rayon::ThreadPoolBuilder;
use ringtrace::config::{ContactConfig, Edges};
use ringtrace::error::Result;
use ringtrace::outputs::stream::TraceFiles;
use ringtrace::outputs::tables::{ContactColumns, Names};
use ringtrace::rings::reduce::Sums;
use ringtrace::rings::{Find, LocalRunner, Plan, SourceRef};
use ringtrace::store::VisitSource;
use ringtrace::store::format::{Layout, rejects_table};
use ringtrace::store::up_to::UpTo;
use ringtrace::time::FOREVER;

use crate::brute;
use crate::random::{Random, alone, for_seeds};
use crate::stored::{publish, short_pages};
use crate::worlds::{self, Shape, World};

/// A way to trace.
#[derive(Clone, Copy, Debug)]
pub struct Way {
    /// Where the kernel runs.
    pub runner: LocalRunner,
    /// Whether sources are counted.
    pub count_sources: bool,
    /// Bytes the sums of one pass may take.
    pub sums_bytes: u64,
}

impl Way {
    /// Any way.
    pub fn any(random: &mut Random) -> Way {
        let runner = LocalRunner {
            find: random.pick(&[Find::LookUp, Find::Scan, Find::ByCost]),
            range_visits: random.pick(&[1, 7, 1 << 18]),
            collected_max: random.pick(&[1, 3, 1 << 22]),
        };
        let sums_bytes = random.pick(&[1, Sums::bytes_for(3), u64::MAX]);
        Way { runner, count_sources: random.chance(50), sums_bytes }
    }

    /// As a trace takes it.
    pub fn plan<'a>(&'a self, config: &'a ContactConfig) -> Plan<'a> {
        let Way { runner, count_sources, sums_bytes } = self;
        Plan { config, runner, count_sources: *count_sources, sums_bytes: *sums_bytes }
    }
}

/// Traces the world in both places in several ways, and compares all of it with the definition.
fn check(world: &World, places: [&dyn VisitSource; 2], random: &mut Random) -> Vec<brute::Row> {
    let (rows, edges) = brute::rings(world);
    for (place, visits) in ["memory", "disk"].into_iter().zip(places) {
        for _ in 0..4 {
            let way = Way::any(random);
            let found = world.trace(visits, way.plan(&world.contacts)).unwrap();
            let expected = brute::traced(&rows, &edges, way.count_sources);
            assert_eq!(found, expected, "{place}, {way:?}: {world:#?}");
        }
    }
    rows
}

/// Counts how often something rare was met.
fn count(met: &AtomicU32, times: usize) {
    met.fetch_add(times as u32, Ordering::Relaxed);
}

#[test]
fn oracle_every_way_gives_the_rings_of_all_pairs() {
    let [in_parts, by_windows, cut]: [AtomicU32; 3] = Default::default();
    let check_world = |random: &mut Random| {
        let shape = random.pick(&[Shape::Any, Shape::Joined, Shape::Cumulative]);
        let mut world = worlds::world(random, shape);
        let (folder, mut ends) = (tempfile::tempdir().unwrap(), world.in_runs(random));
        if random.chance(30) {
            // Keys in the order of ids, and no need of all edges: a ring can be made in several passes.
            ends = world.in_one_run();
            world.contacts = ContactConfig { rings: 4, edges: Edges::Best, ..world.contacts };
        }
        let (memory, store) = (world.source(), publish(&world, folder.path(), &ends, short_pages(random)));
        let rows = check(&world, [&memory, &store], random);
        let second = rows.iter().filter(|row| row.ring == 2).count();
        let passes = ends.len() == 1 && second > 1 && world.contacts.edges == Edges::Best;
        count(&in_parts, usize::from(passes));
        count(&by_windows, rows.iter().filter(|row| matches!(row.best_source, SourceRef::Window(_))).count());

        // What had begun by some instant, which may fall into a day.
        let visits = &world.visits;
        let end = match visits.len() as u32 {
            0 => FOREVER,
            visited => match random.below(5) {
                0 => FOREVER,
                1 => visits[random.below(visited) as usize].arrived / 86_400 * 86_400,
                _ => visits[random.below(visited) as usize].arrived + random.below(2),
            },
        };
        let mut until_then = world.clone();
        until_then.visits.retain(|visit| visit.arrived < end);
        count(&cut, usize::from(until_then.visits.len() < visits.len()));
        let places = (UpTo::new(&memory, end).unwrap(), UpTo::new(&store, end).unwrap());
        check(&until_then, [&places.0, &places.1], random);
    };
    let name = "oracle_every_way_gives_the_rings_of_all_pairs";
    let all = for_seeds(name, 2_000, |seed, random| match seed % 100 {
        0 => check_world(random),
        _ => alone(|| check_world(random)),
    });
    for (what, met) in [("several passes", in_parts), ("windows", by_windows), ("cut days", cut)] {
        let times = met.into_inner();
        assert!(!all || times >= 25, "{what}: met {times} times only");
    }
}

#[test]
fn oracle_every_way_gives_the_rings_of_crowds() {
    let reached = AtomicU32::default();
    let all = for_seeds("oracle_every_way_gives_the_rings_of_crowds", 10, |seed, random| {
        let mut world = worlds::crowd(random);
        let folder = tempfile::tempdir().unwrap();
        let ends = if seed % 2 == 0 { world.in_runs(random) } else { world.in_one_run() };
        let layout = random.pick(&[Layout { page_rows: 64, group_pages: 2 }, Layout::LOOKED_UP]);
        let (memory, store) = (world.source(), publish(&world, folder.path(), &ends, layout));
        count(&reached, check(&world, [&memory, &store], random).len());
    });
    assert!(!all || reached.into_inner() > 1_000, "crowds meet");
}

/// `contacts.parquet` and `exposures.parquet`.
fn files(world: &World, visits: &dyn VisitSource, way: Way) -> Result<[Vec<u8>; 2]> {
    let persons = world.known_persons(visits)?;
    let windows = worlds::table(world.kind, &world.windows);
    let names = Names { persons: &persons, venues: &visits.venues().ids, windows: &windows };
    let columns = ContactColumns { kinds: !world.windows.is_empty(), sources: way.count_sources };
    let folder = tempfile::tempdir().unwrap();
    let mut files = TraceFiles::create(folder.path(), names, columns)?;
    world.trace_into(visits, way.plan(&world.contacts), &mut files)?;
    files.finish(folder.path(), &rejects_table(&[]))?;
    Ok(["contacts", "exposures"]
        .map(|name| std::fs::read(folder.path().join(format!("{name}.parquet"))).unwrap()))
}

#[test]
fn neither_threads_nor_settings_change_a_byte() {
    let pools = [1, 2].map(|threads| ThreadPoolBuilder::new().num_threads(threads).build().unwrap());
    for_seeds("neither_threads_nor_settings_change_a_byte", 60, |seed, random| {
        let mut world = match seed % 6 {
            0 => worlds::crowd(random),
            _ => worlds::world(random, Shape::Any),
        };
        let folder = tempfile::tempdir().unwrap();
        let ends = if seed % 2 == 0 { world.in_runs(random) } else { world.in_one_run() };
        let (memory, store) = (world.source(), publish(&world, folder.path(), &ends, short_pages(random)));
        let first = Way::any(random);
        let expected = files(&world, &memory, first).unwrap();
        for pool in &pools {
            for visits in [&memory as &dyn VisitSource, &store] {
                let way = Way { count_sources: first.count_sources, ..Way::any(random) };
                let found = pool.install(|| files(&world, visits, way)).unwrap();
                assert!(found == expected, "{way:?} on {} threads: {world:#?}", pool.current_num_threads());
            }
        }
    });
}
