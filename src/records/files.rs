//! Which files a table's paths name: files, folders, globs and Hive partitions (`day=2022-03-01/`).

use std::collections::HashSet;
use std::path::{Component, Path, PathBuf};

use crate::config::TableConfig;
use crate::error::{Error, Result};

/// One input file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct InputFile {
    /// As messages, rejects and manifests name it: relative to the configuration where the user wrote it so.
    pub name: String,
    /// Where it is.
    pub path: PathBuf,
    /// How to read it.
    pub format: Format,
    /// `key=value` folders on the way to it, outermost first.
    pub partitions: Vec<(String, String)>,
}

/// File formats, told by the file's ending.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Format {
    /// `.parquet`, `.parq`, `.pq`
    Parquet,
    /// `.csv`
    Csv,
    /// `.tsv`
    Tsv,
}

impl Format {
    fn of(path: &Path) -> Option<Format> {
        match path.extension()?.to_str()?.to_ascii_lowercase().as_str() {
            "parquet" | "parq" | "pq" => Some(Format::Parquet),
            "csv" => Some(Format::Csv),
            "tsv" => Some(Format::Tsv),
            _ => None,
        }
    }
}

/// The files of a table, each once, sorted by name.
///
/// # Errors
/// `input` for a path that names nothing, a folder or glob without a data file, a file of another format, or a pipe.
pub fn find(table: &str, config: &TableConfig) -> Result<Vec<InputFile>> {
    let mut files = Vec::new();
    // "./x" and "x" are one folder, and a file has one name however its folder was spelt.
    let base: PathBuf = config.base.components().filter(|c| *c != Component::CurDir).collect();
    for text in &config.paths {
        let full = base.join(text);
        let found = if full.is_dir() {
            let mut found = Vec::new();
            walk(&full, &mut HashSet::new(), &mut found)?;
            found
        } else if full.exists() {
            if Format::of(&full).is_none() {
                return Err(Error::input(
                    text,
                    format!("table {table}: expected a file ending in .parquet, .csv or .tsv"),
                    "rename it to say what it is, or convert it",
                ));
            }
            vec![full.clone()]
        } else {
            matches_of(text, &full)?
        };
        if found.is_empty() {
            return Err(Error::input(
                text,
                format!("table {table}: expected .parquet, .csv or .tsv files, found none"),
                "check the path; relative paths start from the configuration's folder, or from here without one",
            ));
        }
        files.extend(found.into_iter().filter_map(|path| describe(path, &base)));
    }
    if let Some(endless) = files.iter().find(|file| is_endless(&file.path)) {
        return Err(Error::input(
            &endless.name,
            format!("table {table}: expected a file, found a pipe or device"),
            "write what it delivers to a file first: input is read twice, once to know it again",
        ));
    }
    files.sort();
    files.dedup_by(|a, b| a.path == b.path);
    Ok(files)
}

fn matches_of(text: &str, full: &Path) -> Result<Vec<PathBuf>> {
    let wrong = |e: &dyn std::fmt::Display| {
        Error::input(text, format!("not a pattern: {e}"), "quote * ? [ in file names as [*]")
    };
    let mut found = Vec::new();
    for path in glob::glob(&full.to_string_lossy()).map_err(|e| wrong(&e))? {
        let path = path.map_err(|e| {
            let path = e.path().to_path_buf();
            Error::storage(&path, "listing")(e.into())
        })?;
        if path.is_dir() {
            walk(&path, &mut HashSet::new(), &mut found)?;
        } else if Format::of(&path).is_some() {
            found.push(path);
        }
    }
    Ok(found)
}

/// Data files below `folder`; names starting with `.` or `_` are other tools' own (`_SUCCESS`, `.crc`).
fn walk(folder: &Path, seen: &mut HashSet<PathBuf>, found: &mut Vec<PathBuf>) -> Result<()> {
    // A link can lead back to a folder above it.
    let real = folder.canonicalize().map_err(Error::storage(folder, "following"))?;
    if !seen.insert(real) {
        return Ok(());
    }
    let entries = std::fs::read_dir(folder).map_err(Error::storage(folder, "listing"))?;
    for entry in entries {
        let path = entry.map_err(Error::storage(folder, "listing"))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with(['.', '_']) {
            continue;
        }
        if path.is_dir() {
            walk(&path, seen, found)?;
        } else if Format::of(&path).is_some() {
            found.push(path);
        }
    }
    Ok(())
}

/// Whether reading could wait forever. A link to nothing is not: opening it says what is wrong.
fn is_endless(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|found| !found.is_file())
}

fn describe(path: PathBuf, base: &Path) -> Option<InputFile> {
    let name = path.strip_prefix(base).unwrap_or(&path).to_string_lossy().into_owned();
    let folders = path.parent()?.components().filter_map(|c| c.as_os_str().to_str());
    let partitions =
        folders.filter_map(|f| f.split_once('=')).map(|(k, v)| (k.to_string(), partition_value(v))).collect();
    Some(InputFile { name, format: Format::of(&path)?, path, partitions })
}

/// The value a partition folder stands for: Hive and Spark write `%2F` for a slash and a word of their own for null,
/// which is an empty cell here.
fn partition_value(folder: &str) -> String {
    if folder == "__HIVE_DEFAULT_PARTITION__" {
        return String::new();
    }
    let mut value = Vec::with_capacity(folder.len());
    let mut rest = folder.as_bytes();
    while let [first, tail @ ..] = rest {
        let escaped = tail.get(..2).filter(|_| *first == b'%').and_then(|two| {
            let [high, low] = [two[0], two[1]].map(|digit| (digit as char).to_digit(16));
            Some((high? * 16 + low?) as u8)
        });
        value.push(escaped.unwrap_or(*first));
        rest = if escaped.is_some() { &tail[2..] } else { tail };
    }
    // Escapes that make no text were no escapes.
    String::from_utf8(value).unwrap_or_else(|_| folder.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(base: &Path, paths: &[&str]) -> Result<Vec<String>> {
        let config = TableConfig {
            base: base.into(),
            paths: paths.iter().map(|p| p.to_string()).collect(),
            ..Default::default()
        };
        Ok(find("scans", &config)?.into_iter().map(|f| f.name).collect())
    }

    #[test]
    fn files_folders_globs_and_partitions() {
        let base = tempfile::tempdir().unwrap();
        for file in [
            "s/day=2022-03-02/b.parquet",
            "s/day=2022-03-01/a.parquet",
            "s/_SUCCESS",
            "s/.a.parquet.crc",
            "x.csv",
            "notes.txt",
        ] {
            let path = base.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        std::fs::create_dir(base.path().join("empty")).unwrap();
        let both = ["s/day=2022-03-01/a.parquet", "s/day=2022-03-02/b.parquet"];
        assert_eq!(names(base.path(), &["s"]).unwrap(), both);
        assert_eq!(names(base.path(), &["s/day=*/*.parquet", "s"]).unwrap(), both, "each file once");
        assert_eq!(names(base.path(), &["x.csv"]).unwrap(), ["x.csv"]);
        for nothing in ["empty", "absent.csv", "*.json", "notes.txt"] {
            assert_eq!(names(base.path(), &[nothing]).unwrap_err().code(), "input", "{nothing}");
        }
        let config = TableConfig { base: base.path().into(), paths: vec!["s".into()], ..Default::default() };
        let partitions = &find("scans", &config).unwrap()[0].partitions;
        assert_eq!(partitions.last().unwrap(), &("day".to_string(), "2022-03-01".to_string()));
    }
    #[test]
    fn partition_values_are_unescaped() {
        for (folder, value) in [
            ("A", "A"),
            ("a%2Fb%3d", "a/b="),
            ("100%", "100%"),
            ("%zz%4", "%zz%4"),
            ("%ff", "%ff"),
            ("%E5%BC%A0", "张"),
            ("__HIVE_DEFAULT_PARTITION__", ""),
        ] {
            assert_eq!(partition_value(folder), value, "{folder}");
        }
    }
}
