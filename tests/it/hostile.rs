//! Files that were made to harm, or were harmed: each ends soon, in bounded memory, with a message that names the
//! file, and leaves nothing half-written. A mutant that decodes all the same is data like any other.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use arrow::array::{ArrayRef, TimestampMillisecondArray};
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::{EnabledStatistics, WriterProperties};

use crate::support::{Folder, MARCH, RINGTRACE, Ran, parquet_bytes, rows, texts};

/// Address space a command may take, in KiB: what hostile counts and lengths in a small file must not exceed.
const MEMORY_KIB: u32 = 4_000_000;
const LIMIT: Duration = Duration::from_secs(20);

/// Runs the binary in `folder` under the limits; `None` if it did not end in time.
fn run_limited(folder: &Folder, args: &[&str]) -> Option<Ran> {
    let limited = format!("ulimit -v {MEMORY_KIB} 2>/dev/null; exec \"$0\" \"$@\"");
    let mut child = Command::new("sh")
        .args(["-c", &limited, RINGTRACE])
        .args(args)
        .current_dir(folder.path())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let begun = Instant::now();
    // What is printed fits a pipe, so waiting before reading cannot block.
    while child.try_wait().unwrap().is_none() {
        if LIMIT < begun.elapsed() {
            child.kill().unwrap();
            child.wait().unwrap();
            return None;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    Some(Ran::of(child.wait_with_output().unwrap()))
}

/// Checks how a command on the hostile `file` ended; returns its status.
fn check(folder: &Folder, file: &str, what: &str, args: &[&str]) -> i32 {
    let before = folder.tree();
    let Some(ran) = run_limited(folder, args) else { panic!("{what}: still running after {LIMIT:?}") };
    let Some(status @ (0 | 1 | 2 | 5 | 6)) = ran.status else {
        panic!("{what}: ended with {:?}: {}", ran.status, ran.stderr);
    };
    ran.discreet();
    let after = folder.tree();
    assert!(!after.keys().any(|name| name.contains(".unfinished-")), "{what}: {:?}", after.keys());
    match status {
        0 => {}
        1 => {
            let place = after.keys().find(|name| name.contains("rejects")).expect("rejects are written");
            let files = rows(&folder.join(place), &["file"]).concat();
            assert!(files.iter().any(|name| name == file), "{what}: {files:?}");
        }
        _ => {
            assert!(ran.stderr.contains(file), "{what}: the message does not name the file: {}", ran.stderr);
            assert!(ran.stderr.contains("  help: "), "{what}: {}", ran.stderr);
            assert_eq!(after, before, "{what}: something was written");
        }
    }
    status
}

/// Runs `check` on every item, two at a time, and returns how many were checked.
fn in_parallel<T: Sync>(items: &[T], check: impl Fn(usize, &T) + Sync) -> usize {
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        let work = || {
            loop {
                let at = next.fetch_add(1, Ordering::Relaxed);
                let Some(item) = items.get(at) else { break };
                check(at, item);
            }
        };
        let workers = [scope.spawn(work), scope.spawn(work)];
        for worker in workers {
            worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        }
    });
    items.len()
}

const VISITS: &str = "person_id,venue_id,arrived_at,left_at\n\
                      zoe-7731,v1,2022-03-01T08:00:00Z,2022-03-01T09:00:00Z\n\
                      yan-8842,v1,2022-03-01T08:00:00Z,2022-03-01T09:00:00Z\n";

/// The file as visits; then, whatever its columns are called, some of them as ids, texts and times.
fn feed_every_way(name: &str, bytes: &[u8], what: &str) {
    let folder = Folder::with_case();
    folder.write(name, bytes);
    folder.write("good.csv", VISITS);
    let plain = ["trace", "--visits", name, "--cases", "cases.csv", "--out", "out", "-q"];
    let Some(first) = run_limited(&folder, &plain) else { panic!("{what}: still running after {LIMIT:?}") };
    check(&folder, name, what, &plain);
    let listed =
        first.stderr.lines().next().and_then(|line| line.split_once(", found ")).map_or("", |(_, l)| l);
    let columns: Vec<&str> =
        listed.split('"').skip(1).step_by(2).filter(|c| !c.contains('\\')).take(5).collect();
    for column in columns {
        let what = format!("{what}, column {column}");
        let map = |table: &str, ours: &str| format!("{table}.{ours}={column}");
        let [person, lab, venue, from, until] = [
            map("cases", "person_id"),
            map("cases", "lab_ref"),
            map("visits", "venue_id"),
            map("visits", "arrived_at"),
            map("visits", "left_at"),
        ];
        let zones = ["--time-unit", "us", "--time-zone", "UTC", "-q", "--out", "out"];
        let as_cases = ["trace", "--visits", "good.csv", "--cases", name, "--map", &person, "--map", &lab];
        check(&folder, name, &what, &[&as_cases[..], &zones].concat());
        let visitor = map("visits", "person_id");
        let as_visits =
            ["trace", "--visits", name, "--cases", "cases.csv", "--map", &visitor, "--map", &venue];
        let spans = ["--map", &from, "--map", &until];
        check(&folder, name, &what, &[&as_visits[..], &spans, &zones].concat());
        let _ = std::fs::remove_dir_all(folder.join("out"));
    }
}

#[test]
fn corpora_of_hostile_files() {
    let place = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/parquet-bad");
    let mut files: Vec<PathBuf> = Vec::new();
    let mut folders = vec![place.clone()];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = std::fs::read_dir(folder) else { continue };
        for path in entries.map(|entry| entry.unwrap().path()) {
            let ending = path.extension().map(|e| e.to_string_lossy().into_owned()).unwrap_or_default();
            match path.is_dir() {
                true => folders.push(path),
                false if !["md", "txt", "tsv"].contains(&&*ending) => files.push(path),
                false => {}
            }
        }
    }
    if files.is_empty() {
        println!("skipped: no corpora in {}", place.display());
        return;
    }
    files.sort();
    let checked = in_parallel(&files, |at, path| {
        let ending = if path.components().any(|part| part.as_os_str() == "csv") { "csv" } else { "parquet" };
        let name = format!("hostile-{at}.{ending}");
        feed_every_way(&name, &std::fs::read(path).unwrap(), &path.display().to_string());
    });
    println!("{checked} files of the corpora");
}

#[test]
fn data_bits_flipped_under_a_right_schema() {
    let place = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/parquet-bad/own-schema");
    let Ok(entries) = std::fs::read_dir(&place) else {
        println!("skipped: no corpora in {}", place.display());
        return;
    };
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    in_parallel(&files, |at, path| {
        let folder = Folder::with_case();
        let name = format!("hostile-{at}.parquet");
        folder.write(&name, std::fs::read(path).unwrap());
        let map = ["--map", "scans.scanned_at=scan_time", "--map", "scans.left_at=check_out", "-q"];
        let what = path.display().to_string();
        let status = check(
            &folder,
            &name,
            &what,
            &[&["ingest", "--store", "store", "--scans", &name], &map[..]].concat(),
        );
        let flipped = path.to_string_lossy().contains("bitflips");
        assert!(flipped || status == 6, "{what}: such a file is damaged, not {status}");
    });
}

/// A reproducible stream of numbers (SplitMix64).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % end as u64) as usize
    }
}

/// Valid visits in the encodings deliveries come in.
fn valid_files() -> Vec<Vec<u8>> {
    const ROWS: usize = 600;
    let ids: Vec<String> = (0..ROWS).map(|row| format!("p{}", row % 97)).collect();
    let venues: Vec<String> = (0..ROWS).map(|row| format!("v{}", row % 13)).collect();
    let time = |shift: i64| -> ArrayRef {
        let cells = (0..ROWS as i64).map(|row| (MARCH + row * 61 + shift) * 1_000).collect::<Vec<_>>();
        Arc::new(TimestampMillisecondArray::from(cells).with_timezone("UTC"))
    };
    let words = |cells: &[String]| texts(&cells.iter().map(String::as_str).collect::<Vec<_>>());
    let columns = [
        ("person_id", words(&ids)),
        ("venue_id", words(&venues)),
        ("arrived_at", time(0)),
        ("left_at", time(1_800)),
    ];
    let zstd = Compression::ZSTD(ZstdLevel::default());
    let settings = [
        WriterProperties::builder().set_compression(Compression::SNAPPY).set_data_page_row_count_limit(100),
        WriterProperties::builder()
            .set_compression(zstd)
            .set_dictionary_enabled(false)
            .set_max_row_group_row_count(Some(200))
            .set_writer_version(parquet::file::properties::WriterVersion::PARQUET_2_0),
        WriterProperties::builder().set_statistics_enabled(EnabledStatistics::None),
    ];
    settings.into_iter().map(|settings| parquet_bytes(&columns, settings.build())).collect()
}

/// A damaged copy: cut short, a byte changed, a run of bytes overwritten; half of the damage in the footer, whose
/// counts and lengths decide what is allocated.
fn mutant(bytes: &[u8], numbers: &mut Numbers) -> Vec<u8> {
    let mut mutant = bytes.to_vec();
    let footer = u32::from_le_bytes(bytes[bytes.len() - 8..][..4].try_into().unwrap()) as usize + 8;
    let place = |numbers: &mut Numbers| match numbers.below(2) {
        0 => numbers.below(bytes.len()),
        _ => bytes.len() - 1 - numbers.below(footer),
    };
    match numbers.below(8) {
        0 => mutant.truncate(numbers.below(bytes.len())),
        1 => {
            let from = place(numbers);
            let until = (from + 1 + numbers.below(8)).min(bytes.len());
            let filler = [0x00, 0xff, 0x7f, 0x80][numbers.below(4)];
            mutant[from..until].fill(filler);
        }
        2 => {
            let at = place(numbers);
            mutant.insert(at, numbers.below(256) as u8);
        }
        flips => {
            for _ in 0..1 + flips % 3 {
                let at = place(numbers);
                mutant[at] ^= 1 << numbers.below(8);
            }
        }
    }
    mutant
}

#[test]
fn mutants_of_valid_files() {
    const SEED: u64 = 20_220_301;
    const MUTANTS: usize = 400;
    println!("seed {SEED}");
    let valid = valid_files();
    let mut numbers = Numbers(SEED);
    let mutants: Vec<Vec<u8>> =
        (0..MUTANTS).map(|at| mutant(&valid[at % valid.len()], &mut numbers)).collect();
    let refused = AtomicUsize::new(0);
    in_parallel(&mutants, |at, bytes| {
        let folder = Folder::with_case();
        let name = format!("mutant-{at}.parquet");
        folder.write(&name, bytes);
        let what = format!("seed {SEED}, mutant {at}");
        let trace = ["trace", "--visits", &name, "--cases", "cases.csv", "--out", "out", "-q"];
        let ingest = ["ingest", "--store", "store", "--visits", &name, "-q"];
        let status = check(&folder, &name, &what, if at % 2 == 0 { &trace } else { &ingest });
        refused.fetch_add(usize::from(status > 1), Ordering::Relaxed);
    });
    let refused = refused.into_inner();
    println!("{refused} of {MUTANTS} mutants refused");
    assert!(
        (MUTANTS / 2..MUTANTS).contains(&refused),
        "{refused}: the damage is too mild or hides the good bytes"
    );
}

/// `value` as Thrift's compact protocol writes an `i32`.
fn zigzag(value: i32) -> Vec<u8> {
    let mut rest = ((value << 1) ^ (value >> 31)) as u32;
    let mut bytes = Vec::new();
    while rest >= 0x80 {
        bytes.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    bytes.push(rest as u8);
    bytes
}

/// The first page header (at byte 4: type, uncompressed length, compressed length) with other lengths.
fn with_first_page(bytes: &[u8], uncompressed: Option<i32>, compressed: Option<i32>) -> Vec<u8> {
    let end_of_varint = |from: usize| from + bytes[from..].iter().position(|b| b & 0x80 == 0).unwrap() + 1;
    let kind = end_of_varint(5);
    assert_eq!((bytes[4], bytes[kind]), (0x15, 0x15), "a page header begins with two i32");
    let first = end_of_varint(kind + 1);
    assert_eq!(bytes[first], 0x15);
    let second = end_of_varint(first + 1);
    let mut made = bytes[..=kind].to_vec();
    made.extend(uncompressed.map_or(bytes[kind + 1..first].to_vec(), zigzag));
    made.push(0x15);
    made.extend(compressed.map_or(bytes[first + 1..second].to_vec(), zigzag));
    made.extend(&bytes[second..]);
    made
}

#[test]
fn pages_that_claim_what_they_do_not_hold() {
    let valid = valid_files();
    for claim in [i32::MAX, i32::MIN, -1, 0, 1 << 30] {
        for (at, bytes) in valid.iter().enumerate() {
            for (uncompressed, compressed) in
                [(Some(claim), None), (None, Some(claim)), (Some(claim), Some(claim))]
            {
                let folder = Folder::with_case();
                folder.write("claims.parquet", with_first_page(bytes, uncompressed, compressed));
                let what = format!("file {at}, lengths {uncompressed:?} {compressed:?}");
                let trace =
                    ["trace", "--visits", "claims.parquet", "--cases", "cases.csv", "--out", "out", "-q"];
                assert_eq!(check(&folder, "claims.parquet", &what, &trace), 6, "{what}");
            }
        }
    }
}

#[test]
fn pages_that_claim_values_they_do_not_hold() {
    for (at, bytes) in valid_files().iter().enumerate() {
        // The number of values is the first field of the struct after the lengths: of a dictionary page (number 7,
        // four past the last), a data page (5) or one of version 2 (8).
        let head = bytes
            .windows(2)
            .position(|two| [[0x4c, 0x15], [0x2c, 0x15], [0x5c, 0x15]].contains(&[two[0], two[1]]));
        let from = head.expect("a page begins the file") + 2;
        assert!(from < 20, "{from}: in the first page's header");
        let until = from + bytes[from..].iter().position(|b| b & 0x80 == 0).unwrap() + 1;
        for claim in [i32::MAX, i32::MIN, -1, 1 << 30] {
            let folder = Folder::with_case();
            folder.write("claims.parquet", [&bytes[..from], &zigzag(claim), &bytes[until..]].concat());
            let what = format!("file {at}, {claim} values");
            let trace = ["trace", "--visits", "claims.parquet", "--cases", "cases.csv", "--out", "out", "-q"];
            assert_eq!(check(&folder, "claims.parquet", &what, &trace), 6, "{what}");
        }
    }
}

#[test]
fn csv_that_is_anything_but() {
    let header = "person_id,venue_id,arrived_at,left_at\n";
    let long = "x".repeat(4 << 20);
    let wide = ",".repeat(1 << 20);
    for (what, content) in [
        ("an open quote to the end", format!("{header}\"{long}")),
        ("one long line", format!("{header}{long}")),
        ("a million columns", format!("{header}{wide}\n{wide}\n")),
        ("a million names", format!("{wide}\n")),
        ("only line ends", "\r\n".repeat(1 << 20)),
        ("zeros", format!("{header}{}", "\0".repeat(1 << 20))),
        ("a page of the web", "<!DOCTYPE html><html><body>404</body></html>".to_string()),
    ] {
        let folder = Folder::with_case();
        folder.write("hostile.csv", content);
        let trace = ["trace", "--visits", "hostile.csv", "--cases", "cases.csv", "--out", "out", "-q"];
        let status = check(&folder, "hostile.csv", what, &trace);
        assert!([1, 2].contains(&status), "{what}: {status}");
    }
}
