//! Small worlds as published stores: pages of a few rows, ids in several runs.

use std::path::Path;

use ringtrace::ids::{IdColumn, IdType};
use ringtrace::store::DayExtent;
use ringtrace::store::copies::CopyFile;
use ringtrace::store::disk::DiskStore;
use ringtrace::store::format::{self, Layout, Order};
use ringtrace::store::manifest::{DataFile, DayFiles, FedWith, Manifest};
use ringtrace::store::persons;
use ringtrace::visits::Visits;

use crate::random::Random;
use crate::worlds::{OwnId, World};

/// Pages of a few rows in row groups of one or two.
pub fn short_pages(random: &mut Random) -> Layout {
    Layout { page_rows: random.pick(&[2, 3, 7]), group_pages: random.within(1..=2) as usize }
}

/// Writes a file of a store, without the flushing that makes it last.
fn write(folder: &Path, name: &str, rows: usize, bytes: &[u8]) -> DataFile {
    let path = format!("{name}.parquet");
    std::fs::create_dir_all(folder.join(&path).parent().unwrap()).unwrap();
    std::fs::write(folder.join(&path), bytes).unwrap();
    let blake3 = blake3::hash(bytes).to_hex().to_string();
    DataFile { path, rows: rows as u64, bytes: bytes.len() as u64, blake3, pages_blake3: None }
}

/// Writes ids by key, sorted within each run; `ends` are where runs end.
pub fn write_ids(
    folder: &Path,
    kind: IdType,
    ids: &[OwnId],
    ends: &[usize],
    layout: Layout,
) -> Vec<DataFile> {
    let starts = std::iter::once(&0).chain(ends);
    let runs = starts.zip(ends).map(|(from, end)| {
        let mut column = IdColumn::new(kind);
        ids[*from..*end].iter().for_each(|id| column.push(id.borrow()));
        persons::write(folder, &column, layout).unwrap()
    });
    runs.collect()
}

/// Publishes a world whose ids are in runs that end at `ends`.
pub fn publish(world: &World, folder: &Path, ends: &[usize], layout: Layout) -> DiskStore {
    let mut manifest = Manifest::empty(FedWith::Visits, world.kind, world.kind);
    manifest.persons = write_ids(folder, world.kind, &world.persons[..world.with_visits], ends, layout);
    let venues = format::venues_to_bytes(&world.known_venues()).unwrap();
    manifest.venues = Some(write(folder, "venues/all", world.venues.len(), &venues));
    for (day, visits) in world.days() {
        let extent = DayExtent::of(day, &visits);
        let copy = |name: &str, visits: &Visits, order: Order| {
            let mut copy = CopyFile::create(folder, &format!("{name}/day={day}"), order, layout).unwrap();
            copy.push(&visits.iter().collect::<Vec<_>>()).unwrap();
            copy.finish(folder).unwrap().file
        };
        let files = DayFiles {
            arrived_min: extent.map(|extent| extent.arrived_min),
            left_max: extent.map(|extent| extent.left_max),
            by_person: extent.map(|_| copy("by_person", &visits, Order::Person)),
            by_venue: extent.map(|_| copy("by_venue", &visits.clone().sorted_by_venue(), Order::Venue)),
            scans: None,
        };
        manifest.days.insert(day, files);
    }
    std::fs::write(folder.join("manifest.json"), serde_json::to_string(&manifest).unwrap()).unwrap();
    DiskStore::open_existing(folder).unwrap()
}
