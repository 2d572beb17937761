//! Lists for the offices: one CSV a color and region.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use arrow::array::{AsArray, RecordBatch};
use rayon::prelude::*;

use crate::error::{Error, Result};
use crate::outputs::csv::{self, Reader};

/// Writes the register as `lists/COLOR/REGION.csv`, each sorted by person id, and returns the files.
///
/// # Errors
/// `storage`; `integrity` if the lists together do not hold every row of the register once.
pub fn write(folder: &Path, register: &RecordBatch) -> Result<Vec<PathBuf>> {
    let texts =
        |name: &str| register.column_by_name(name).expect("a column of the register").as_string::<i32>();
    let (colors, regions) = (texts("color"), texts("region_id"));
    let mut lists: BTreeMap<(&str, &str), Vec<u32>> = BTreeMap::new();
    for row in 0..register.num_rows() {
        lists.entry((colors.value(row), regions.value(row))).or_default().push(row as u32);
    }
    let listed: usize = lists.values().map(Vec::len).sum();
    if listed != register.num_rows() {
        return Err(Error::integrity(
            format!("the lists hold {listed} rows, the register {}", register.num_rows()),
            "this is a defect in ringtrace; nothing was published",
        ));
    }
    let write = |((color, region), rows): (&(&str, &str), &Vec<u32>)| {
        let place = folder.join("lists").join(file_name(color));
        csv::write(&place, &file_name(region), register, rows, Reader::Spreadsheet)
    };
    let files: Result<Vec<Vec<PathBuf>>> = lists.par_iter().map(write).collect();
    Ok(files?.concat())
}

/// Bytes a file name may have before its tail is replaced by a hash; file systems allow 255.
const NAME_MAX: usize = 120;

/// A name from data as a file name: letters, digits, `-` and `_` stay, every other byte becomes `%XX`. Different
/// names give different files, and no name leaves its folder.
pub fn file_name(name: &str) -> String {
    let mut file = String::new();
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_') {
            file.push(char::from(byte));
        } else {
            file.push_str(&format!("%{byte:02X}"));
        }
    }
    if file.len() > NAME_MAX {
        let hash = blake3::hash(name.as_bytes()).to_hex();
        file = format!("{}%{}", &file[..NAME_MAX - 34], &hash[..32]);
    }
    if file.is_empty() { "%".into() } else { file }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_from_data_stay_in_their_folder_and_apart() {
        let long = "x".repeat(400);
        let names = [
            "D001",
            "../../etc/passwd",
            "..",
            ".",
            "",
            "a/b",
            "a\\b",
            "a%2Fb",
            "NUL\0",
            "杭州",
            "con",
            &long,
            &long[1..],
        ];
        let mut seen = std::collections::HashSet::new();
        for name in names {
            let file = file_name(name);
            assert!(seen.insert(file.clone()), "{name:?} collides");
            assert!(file.len() <= NAME_MAX && !file.contains(['/', '\\', '.', '\0']), "{name:?} -> {file}");
        }
    }
}
