//! A folder to work in, the real binary run there, and tables written to and read from it.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Int64Type, Schema, TimeUnit};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::file::properties::WriterProperties;

/// Persons of the fixtures. Spelt so that no message holds one by chance: none may ever hold one.
pub const PERSONS: [&str; 3] = ["zoe-7731", "yan-8842", "xue-9953"];

/// The binary under test.
pub const RINGTRACE: &str = env!("CARGO_BIN_EXE_ringtrace");

/// A temporary folder; commands run in it.
pub struct Folder {
    temporary: tempfile::TempDir,
}

/// How a command ended.
pub struct Ran {
    /// Exit status; `None` if a signal ended it.
    pub status: Option<i32>,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Folder {
    /// An empty one.
    pub fn new() -> Folder {
        Folder { temporary: tempfile::tempdir().unwrap() }
    }

    /// One with `cases.csv`: the first person, infectious all of 1 and 2 March 2022.
    pub fn with_case() -> Folder {
        let folder = Folder::new();
        let window = "2022-03-01T00:00:00Z,2022-03-03T00:00:00Z";
        folder.write(
            "cases.csv",
            format!("person_id,infectious_from,infectious_until\n{},{window}\n", PERSONS[0]),
        );
        folder
    }

    pub fn path(&self) -> &Path {
        self.temporary.path()
    }

    pub fn join(&self, name: impl AsRef<Path>) -> PathBuf {
        self.path().join(name)
    }

    /// Writes a file, making the folders on the way.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        let path = self.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }

    /// Writes columns as a Parquet file.
    pub fn write_parquet(&self, name: &str, columns: &[(&str, ArrayRef)]) {
        std::fs::create_dir_all(self.join(name).parent().unwrap()).unwrap();
        std::fs::write(self.join(name), parquet_bytes(columns, WriterProperties::new())).unwrap();
    }

    /// Runs the binary here with words separated by spaces.
    pub fn run(&self, words: &str) -> Ran {
        self.run_args(&words.split_whitespace().collect::<Vec<_>>())
    }

    /// Runs the binary here.
    pub fn run_args(&self, args: &[&str]) -> Ran {
        Ran::of(self.command(args).output().unwrap())
    }

    /// The binary, to be run here.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(RINGTRACE);
        command.args(args).current_dir(self.path()).stdin(Stdio::null());
        command
    }

    /// The hash of every file below by its path, locks left out: they are empty and stay.
    pub fn tree(&self) -> BTreeMap<String, String> {
        tree(self.path())
    }

    /// Runs what must be refused, and checks that nothing was written.
    pub fn refuses(&self, words: &str, status: i32, code: &str, parts: &[&str]) -> Ran {
        let before = self.tree();
        let ran = self.run(words);
        ran.refused(status, code, parts);
        assert_eq!(self.tree(), before, "{words} left something behind");
        ran
    }

    /// Runs what must be done, and returns its JSON.
    pub fn json(&self, words: &str, status: i32) -> serde_json::Value {
        let ran = self.run(&format!("{words} --json --quiet"));
        assert_eq!(ran.status, Some(status), "{words}: {}", ran.stderr);
        ran.discreet();
        serde_json::from_str(&ran.stdout).unwrap_or_else(|e| panic!("{words}: {e}: {}", ran.stdout))
    }
}

impl Ran {
    pub fn of(output: Output) -> Ran {
        Ran {
            status: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Asserts success and returns itself.
    pub fn done(self) -> Ran {
        assert_eq!(self.status, Some(0), "{}", self.stderr);
        self.discreet();
        self
    }

    /// Asserts a refusal with this status and code that says all of `parts` and how to go on.
    pub fn refused(&self, status: i32, code: &str, parts: &[&str]) {
        assert_eq!(self.status, Some(status), "{parts:?}: {}", self.stderr);
        assert_eq!(self.stdout, "", "a refusal prints no data");
        self.discreet();
        let code = format!("error[{code}]: ");
        for part in parts.iter().copied().chain([code.as_str(), "  help: "]) {
            assert!(self.stderr.contains(part), "expected {part:?} in: {}", self.stderr);
        }
    }

    /// Asserts that no message names a person or is a panic's.
    pub fn discreet(&self) {
        assert!(!self.stderr.contains("panicked"), "{}", self.stderr);
        for person in PERSONS {
            assert!(!self.stderr.contains(person), "names a person: {}", self.stderr);
        }
    }
}

/// The hash of every file below `folder` by its path, without locks.
pub fn tree(folder: &Path) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(next) = folders.pop() {
        let Ok(entries) = std::fs::read_dir(&next) else { continue };
        for path in entries.map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                folders.push(path);
            } else if path.is_file() && path.file_name().unwrap() != "lock" {
                let name = path.strip_prefix(folder).unwrap().to_string_lossy().into_owned();
                let bytes = std::fs::read(&path).unwrap_or_default();
                found.insert(name, blake3::hash(&bytes).to_hex().to_string());
            }
        }
    }
    found
}

/// Columns as the bytes of a Parquet file.
pub fn parquet_bytes(columns: &[(&str, ArrayRef)], properties: WriterProperties) -> Vec<u8> {
    let fields: Vec<Field> =
        columns.iter().map(|(name, array)| Field::new(*name, array.data_type().clone(), true)).collect();
    let arrays = columns.iter().map(|(_, array)| array.clone()).collect();
    let batch = RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).unwrap();
    let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), Some(properties)).unwrap();
    writer.write(&batch).unwrap();
    writer.into_inner().unwrap()
}

/// The named columns of a Parquet file, a row of texts each; times as whole seconds since 1970.
pub fn rows(path: &Path, columns: &[&str]) -> Vec<Vec<String>> {
    let file = File::open(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap();
    let mut found = Vec::new();
    for batch in reader {
        let batch = batch.unwrap();
        let cells: Vec<Vec<String>> =
            columns.iter().map(|name| cells(batch.column_by_name(name).expect(name))).collect();
        found.extend((0..batch.num_rows()).map(|row| cells.iter().map(|c| c[row].clone()).collect()));
    }
    found
}

fn cells(array: &ArrayRef) -> Vec<String> {
    if let DataType::Timestamp(unit, zone) = array.data_type() {
        assert_eq!(zone.as_deref(), Some("UTC"), "times are UTC instants");
        let per_second = match unit {
            TimeUnit::Second => 1,
            TimeUnit::Millisecond => 1_000,
            TimeUnit::Microsecond => 1_000_000,
            TimeUnit::Nanosecond => 1_000_000_000,
        };
        let units = cast(array, &DataType::Int64).unwrap();
        let seconds = units.as_primitive::<Int64Type>().iter();
        return seconds.map(|v| v.map_or(String::new(), |v| (v / per_second).to_string())).collect();
    }
    let format = ArrayFormatter::try_new(array, &FormatOptions::default()).unwrap();
    (0..array.len()).map(|row| format.value(row).to_string()).collect()
}

/// A text column.
pub fn texts(cells: &[&str]) -> ArrayRef {
    Arc::new(StringArray::from(cells.to_vec()))
}

/// An integer column.
pub fn ints(cells: &[i64]) -> ArrayRef {
    Arc::new(Int64Array::from(cells.to_vec()))
}

/// `cells` as a column of another type.
pub fn cast_to(cells: &ArrayRef, kind: DataType) -> ArrayRef {
    cast(cells, &kind).unwrap()
}

/// 2022-03-01T00:00:00Z.
pub const MARCH: i64 = 1_646_092_800;
