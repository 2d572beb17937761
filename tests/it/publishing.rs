//! What is published stays as it is, whole, whatever happens meanwhile: a full disk, a lock, a kill, another input.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Instant;

use arrow::array::{ArrayRef, RecordBatch, UInt64Array};
use ringtrace::outputs::register::check_evidence;
use ringtrace::outputs::tables::table;

use crate::support::{Folder, ints, rows, texts, tree};

const NIGHT: &str = "run --config world/ringtrace.toml --date 2022-03-06";

/// A small world in `world/`, whose store and runs are in `world/disk/`.
fn world() -> Folder {
    let folder = Folder::new();
    folder.run("generate --people 2000 --days 6 --seed 11 --out world").done();
    let config = std::fs::read_to_string(folder.join("world/ringtrace.toml")).unwrap();
    let moved = config
        .replace("store = \"store\"", "store = \"disk/store\"")
        .replace("runs = \"runs\"", "runs = \"disk/runs\"");
    assert_ne!(config, moved);
    folder.write("world/ringtrace.toml", moved);
    folder
}

fn unfinished(files: &BTreeMap<String, String>) -> Vec<&String> {
    files.keys().filter(|name| name.contains(".unfinished-")).collect()
}

#[test]
fn the_same_night_again_changes_nothing() {
    let folder = world();
    assert_eq!(folder.json(NIGHT, 0)["status"], "published");
    let before = folder.tree();
    assert_eq!(folder.json(NIGHT, 0)["status"], "unchanged");
    let ran = folder.run(NIGHT).done();
    assert!(
        ran.stdout.contains("Published before from the same inputs: nothing was done."),
        "{}",
        ran.stdout
    );
    assert_eq!(folder.tree(), before);
}

#[test]
fn a_published_night_is_never_changed() {
    let folder = world();
    folder.run(NIGHT).done();
    let cases = std::fs::read(folder.join("world/cases.parquet")).unwrap();
    let config = std::fs::read_to_string(folder.join("world/ringtrace.toml")).unwrap();
    let differs = ["world/disk/runs/2022-03-06: this night was published from other inputs: "];

    folder.write(
        "world/ringtrace.toml",
        config.replace("paths = [\"cases.parquet\"]", "paths = [\"more/*.parquet\"]"),
    );
    folder.write("world/more/cases.parquet", &cases);
    folder.refuses(
        NIGHT,
        4,
        "conflict",
        &[&differs[..], &["the configuration", "the input files (1 new or changed, 1 gone or changed)"]]
            .concat(),
    );

    folder
        .write("world/ringtrace.toml", config.replace("scheme = \"five-color\"", "scheme = \"tencent-two\""));
    folder.refuses(NIGHT, 4, "conflict", &[&differs[..], &["the configuration, the scheme differ"]].concat());

    folder.write("world/ringtrace.toml", config);
    let late =
        std::fs::read_dir(folder.join("world/scans/day=2022-03-01")).unwrap().next().unwrap().unwrap().path();
    std::fs::remove_file(late).unwrap();
    // The store holds its rows, so the night would be the same.
    folder.run(NIGHT).done();

    let more = "person_id,venue_id,scanned_at\n1,1,2022-03-01T08:00:00Z\n";
    folder.write("late.csv", more);
    folder.run("ingest --store world/disk/store --scans late.csv").done();
    folder.refuses(
        NIGHT,
        4,
        "conflict",
        &[&differs[..], &["the input files (1 new or changed, 0 gone or changed)", "move its folder away"]]
            .concat(),
    );
}

#[test]
fn a_published_night_that_was_touched_is_not_taken_for_whole() {
    let folder = world();
    folder.run(NIGHT).done();
    std::fs::remove_file(folder.join("world/disk/runs/2022-03-06/changes.csv")).unwrap();
    folder.refuses(NIGHT, 6, "integrity", &["changes.csv: gone, or its bytes are not those", "restore"]);
    let out = "trace --store world/disk/store --cases world/cases.parquet --out world/disk/runs/2022-03-06";
    folder.refuses(out, 4, "conflict", &["is a published night", "--out"]);
}

#[test]
fn a_store_takes_no_folder_that_holds_other_files() {
    let folder = world();
    let help = ["world: holds other files, and no store", "a folder of its own"];
    folder.refuses("ingest --store world --scans world/scans", 4, "conflict", &help);
    folder.write("mine/scans/day=2022-03-01/part-0.parquet", "a user's file");
    let help = ["mine: holds other files, and no store", "a folder of its own"];
    folder.refuses("ingest --store mine --scans world/scans", 4, "conflict", &help);
}

#[test]
fn a_file_read_with_another_zone_is_not_passed_over() {
    let folder = Folder::new();
    folder.write("v.csv", "person_id,venue_id,arrived_at,left_at\na,x,2022-03-01 08:00,2022-03-01 09:00\n");
    folder.run("ingest --store store --visits v.csv --time-zone UTC").done();
    folder.run("ingest --store store --visits v.csv --time-zone UTC").done();
    folder.refuses(
        "ingest --store store --visits v.csv --time-zone Asia/Shanghai",
        4,
        "conflict",
        &["v.csv: has been read with another mapping, time unit or time zone", "a new store"],
    );
}

#[test]
fn a_lock_is_respected() {
    let folder = world();
    for held in ["world/disk/store", "world/disk/runs"] {
        std::fs::create_dir_all(folder.join(held)).unwrap();
        let lock = File::create(folder.join(held).join("lock")).unwrap();
        lock.lock().unwrap();
        folder.refuses(
            NIGHT,
            4,
            "conflict",
            &[&format!("{held}: locked by another run"), "wait until it ends"],
        );
        drop(lock);
    }
    folder.run(NIGHT).done();
    let lock = File::open(folder.join("world/disk/store/lock")).unwrap();
    lock.lock().unwrap();
    folder.refuses(
        "ingest --config world/ringtrace.toml",
        4,
        "conflict",
        &["world/disk/store: locked by another run"],
    );
    assert_eq!(
        folder.run("doctor --config world/ringtrace.toml").status,
        Some(2),
        "doctor says that it is locked"
    );
    drop(lock);
    folder.run("ingest --config world/ringtrace.toml").done();
}

#[test]
fn killed_at_any_moment_and_run_again() {
    const KILLS: u32 = 20;
    let folder = world();
    let disk = folder.join("world/disk");
    let begun = Instant::now();
    folder.run(NIGHT).done();
    let whole = begun.elapsed();
    let undisturbed = tree(&disk.join("runs"));
    assert!(undisturbed.len() > 8, "{undisturbed:?}");
    let mut killed = 0;
    for kill in 0..KILLS {
        // Every other time the next run also meets what the kill before it left.
        if kill % 2 == 0 {
            std::fs::remove_dir_all(&disk).unwrap();
        } else {
            std::fs::remove_dir_all(disk.join("runs")).unwrap();
        }
        let words: Vec<&str> = NIGHT.split(' ').collect();
        let mut child = folder.command(&words).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(whole * kill / KILLS);
        child.kill().unwrap();
        killed += u32::from(child.wait().unwrap().code().is_none());
        let night = tree(&disk.join("runs/2022-03-06"));
        assert!(
            night.is_empty() || night.len() == undisturbed.len(),
            "kill {kill}: a night in part: {night:?}"
        );
        folder.run(NIGHT).done();
        let files = tree(&disk);
        assert_eq!(unfinished(&files), Vec::<&String>::new(), "kill {kill} of {KILLS} in {whole:?}");
        assert_eq!(tree(&disk.join("runs")), undisturbed, "kill {kill} of {KILLS} in {whole:?}");
    }
    println!("{killed} of {KILLS} were killed within {whole:?}");
    assert!(killed >= KILLS / 4, "{killed}: the kills came too late to show anything");
}

/// A small file system of its own, if this process may make one.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(place: PathBuf) -> Option<SmallDisk> {
        std::fs::create_dir_all(&place).unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=6m", "tmpfs"]).arg(&place).stderr(Stdio::null());
        mount.status().is_ok_and(|status| status.success()).then_some(SmallDisk(place))
    }

    /// Fills it up to its last `left` bytes.
    fn fill(&self, left: usize) {
        let filler = self.0.join("filler");
        std::fs::write(&filler, "").unwrap();
        let mut bytes = 6 << 20;
        while std::fs::write(&filler, vec![1; bytes]).is_err() {
            bytes -= 4_096;
        }
        std::fs::write(&filler, vec![1; bytes - left]).unwrap();
    }

    fn clear(&self) {
        std::fs::remove_file(self.0.join("filler")).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).status();
    }
}

#[test]
fn a_full_disk_leaves_what_was_published() {
    let folder = world();
    let Some(disk) = SmallDisk::mount(folder.join("world/disk")) else {
        println!("skipped: no right to mount a small disk");
        return;
    };
    let full = ["world/disk/", "free some space and run the same command again"];
    let ingest = "ingest --store world/disk/store --venues world/venues.parquet --scans world/scans";
    folder.run(&format!("{ingest}/day=2022-03-01 {}", "world/scans/day=2022-03-02")).done();
    let trace = "trace --cases world/cases.parquet --store world/disk/store --out";
    folder.run(&format!("{trace} before")).done();
    let manifest = std::fs::read(disk.0.join("store/manifest.json")).unwrap();
    for left in [0, 8 << 10, 40 << 10] {
        disk.fill(left);
        folder.run(ingest).refused(5, "storage", &full);
        disk.clear();
        assert_eq!(std::fs::read(disk.0.join("store/manifest.json")).unwrap(), manifest, "{left} bytes left");
        folder.run(&format!("{trace} after")).done();
        assert_eq!(tree(&folder.join("after")), tree(&folder.join("before")), "{left} bytes left");
        assert_eq!(unfinished(&folder.tree()), Vec::<&String>::new(), "{left} bytes left");
    }
    let again = folder.json(ingest, 0);
    assert_eq!((&again["version"], &again["known_files"]), (&2.into(), &2.into()));

    std::fs::remove_dir_all(disk.0.join("store")).unwrap();
    let words = NIGHT;
    for left in [0, 100 << 10, 500 << 10] {
        disk.fill(left);
        folder.run(words).refused(5, "storage", &full);
        disk.clear();
        assert_eq!(tree(&disk.0.join("runs")).len(), 0, "{left} bytes left");
    }
    folder.run(words).done();
    folder.run("doctor --config world/ringtrace.toml").done();
    let published = tree(&disk.0.join("runs"));
    drop(disk);
    folder.run(words).done();
    assert_eq!(tree(&folder.join("world/disk/runs")), published, "as on a disk with room");
}

/// Changes one byte in the middle of a file.
fn flip(path: &Path) {
    let mut bytes = std::fs::read(path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(path, bytes).unwrap();
}

#[test]
fn a_changed_file_is_never_used() {
    let folder = world();
    folder.run(NIGHT).done();
    let changed = "its bytes are not those that were published";
    let all = folder.tree();
    for (place, words) in [
        ("persons", "contacts --store world/disk/store --out out"),
        ("venues", "contacts --store world/disk/store --out out"),
        ("by_venue", "contacts --store world/disk/store --out out"),
        ("by_venue", "trace --store world/disk/store --cases world/cases.parquet --out out"),
    ] {
        let place = format!("world/disk/store/{place}/");
        let files = || all.keys().filter(|name| name.starts_with(&place)).map(|name| folder.join(name));
        assert_ne!(files().count(), 0, "{place}");
        files().for_each(|path| flip(&path));
        folder.refuses(words, 6, "integrity", &[&place, changed, "restore it from a copy"]);
        files().for_each(|path| flip(&path));
    }
    assert_eq!(folder.tree(), all);
    let colors = "world/disk/runs/2022-03-06/colors.parquet";
    flip(&folder.join(colors));
    let run = "--run world/disk/runs/2022-03-06";
    folder.refuses(&format!("explain {run} someone"), 6, "integrity", &[colors, changed]);
    folder.refuses(&NIGHT.replace("06", "07"), 6, "integrity", &[changed]);
}

#[test]
fn a_store_of_another_format_is_refused_by_name() {
    let folder = Folder::new();
    folder.write("visits.csv", "person_id,venue_id,arrived_at,left_at\nyan-8842,v1,0,900\n");
    let ingest = "ingest --store store --time-unit s --visits visits.csv";
    folder.run(ingest).done();
    let manifest = std::fs::read_to_string(folder.join("store/manifest.json")).unwrap();
    folder.write("store/manifest.json", manifest.replace("\"format\": 2", "\"format\": 3"));
    let parts = ["store/manifest.json: store format 3 is not format 2", "use the ringtrace that wrote it"];
    for words in [ingest, "contacts --store store --out out"] {
        folder.refuses(words, 6, "integrity", &parts);
    }
    folder.write("store/manifest.json", &manifest[..manifest.len() / 2]);
    folder.refuses(ingest, 6, "integrity", &["store/manifest.json: not a store manifest", "restore it"]);
    folder.write("store/manifest.json", manifest);
    folder.run(ingest).done();
    folder.refuses(
        "ingest --store store --time-unit s --scans visits.csv",
        2,
        "usage",
        &["fed with visits, not scans"],
    );
}

/// Columns by name as a table of the library.
fn library_table(columns: &[(&str, ArrayRef)]) -> RecordBatch {
    table(columns.iter().map(|(name, array)| (*name, array.clone())).collect())
}

#[test]
fn no_color_without_evidence() {
    let register = library_table(&[
        ("person_id", texts(&["a", "b"])),
        ("rule_id", texts(&["R1", "R2"])),
        ("color", texts(&["purple", "red"])),
    ]);
    let evidence = |person: &str, rule: &str, venue: Option<&str>, overlap: i64, file: Option<&str>| {
        let text = |cells: [Option<&str>; 2]| -> ArrayRef {
            Arc::new(arrow::array::StringArray::from(cells.to_vec()))
        };
        library_table(&[
            ("person_id", texts(&["a", person])),
            ("rule_id", texts(&["R1", rule])),
            ("color", texts(&["purple", "red"])),
            ("fact", texts(&["case", "contact"])),
            ("ring", Arc::new(arrow::array::UInt8Array::from(vec![None, Some(1)])) as ArrayRef),
            ("source_kind", text([None, Some("person")])),
            ("source_id", text([None, Some("a")])),
            ("venue_id", text([None, venue])),
            ("from", ints(&[1, 1])),
            ("until", ints(&[2, 2])),
            ("overlap_s", ints(&[0, overlap])),
            ("input_file", text([file, None])),
            ("input_row", Arc::new(UInt64Array::from(vec![Some(3), None])) as ArrayRef),
            ("place_row", Arc::new(UInt64Array::from(vec![None, None])) as ArrayRef),
            ("support_fact", text([None, None])),
        ])
    };
    let good = evidence("b", "R2", Some("v1"), 600, Some("cases.csv"));
    let sources = table(vec![("source_kind", texts(&["person"])), ("source_id", texts(&["a"]))]);
    check_evidence(&register, &good, &sources).unwrap();
    let others = table(vec![("source_kind", texts(&["window"])), ("source_id", texts(&["a"]))]);
    assert!(check_evidence(&register, &good, &others).is_err(), "a close contact of no source of the night");
    for (what, bad) in [
        ("of another person", evidence("c", "R2", Some("v1"), 600, Some("cases.csv"))),
        ("of another rule", evidence("b", "R1", Some("v1"), 600, Some("cases.csv"))),
        ("without a venue", evidence("b", "R2", None, 600, Some("cases.csv"))),
        ("without an overlap", evidence("b", "R2", Some("v1"), 0, Some("cases.csv"))),
        ("without a file", evidence("b", "R2", Some("v1"), 600, None)),
        ("none at all", good.slice(0, 0)),
    ] {
        let error = check_evidence(&register, &bad, &sources).expect_err(what);
        assert_eq!((error.code(), error.exit_status()), ("integrity", 6), "{what}");
        let missing = if what == "none at all" { 2 } else { 1 };
        assert_eq!(
            error.to_string(),
            format!("{missing} of 2 rows of the register have no evidence"),
            "{what}"
        );
    }
}

#[test]
fn rejects_of_a_night_are_published_with_it() {
    let folder = world();
    let scan = "yan-8842,v1,yesterday\n";
    folder.write("world/late/late.csv", format!("person_id,venue_id,scanned_at\n{scan}{scan}"));
    let config = std::fs::read_to_string(folder.join("world/ringtrace.toml")).unwrap();
    let scans = "paths = [\"scans/day=*/*.parquet\"";
    folder.write("world/ringtrace.toml", config.replace(scans, &format!("{scans}, \"late\"")));
    let night = folder.json(NIGHT, 0);
    let balance = |name: &str| night["balance"][name].as_u64().unwrap();
    assert_eq!(balance("rows"), balance("accepted") + balance("merged") + balance("rejected"));
    let rejects = rows(
        &folder.join("world/disk/runs/2022-03-06/rejects.parquet"),
        &["table", "file", "row", "column", "reason"],
    );
    let expected =
        ["1", "2"].map(|row| ["scans", "late/late.csv", row, "scanned_at", "unreadable"].map(String::from));
    assert_eq!(rejects, expected);
}
