//! The folder of a store: what may be in it, and what is removed from it.

use std::collections::BTreeSet;
use std::path::Path;

use crate::error::{Error, Result};
use crate::store::manifest::{DataFile, Manifest};
use crate::store::publish;

/// The folders of a store.
const FOLDERS: [&str; 6] = ["persons", "venues", "by_person", "by_venue", "scans", "rejects"];

/// A folder that is to become a store must hold nothing else: files in it would be taken for the store's own.
pub fn refuse_foreign(folder: &Path) -> Result<()> {
    let own = |path: &std::path::PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        // What a first ingest that was killed leaves: our folders with nothing in them but content files.
        name == "lock"
            || name.starts_with(publish::UNFINISHED)
            || (FOLDERS.contains(&&*name) && content_files(path).is_ok_and(|(_, foreign)| foreign == 0))
    };
    if publish::list(folder)?.iter().all(own) {
        return Ok(());
    }
    Err(Error::Conflict {
        what: format!("{}: holds other files, and no store", folder.display()),
        help: "give the store a folder of its own".into(),
    })
}

/// The files below one of a store's folders that carry a content name, and how many others there are.
fn content_files(folder: &Path) -> Result<(Vec<std::path::PathBuf>, usize)> {
    let (mut files, mut foreign) = (Vec::new(), 0);
    for path in publish::list(folder)? {
        let inside = if path.is_dir() { publish::list(&path)? } else { vec![path] };
        for file in inside {
            let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let stem = name.strip_suffix(".parquet").or(name.strip_suffix(".pages")).unwrap_or_default();
            if stem.len() == publish::CONTENT_NAME && stem.bytes().all(|b| b.is_ascii_hexdigit()) {
                files.push(file);
            } else if !name.starts_with(publish::UNFINISHED) {
                foreign += 1;
            }
        }
    }
    Ok((files, foreign))
}

/// Removes what a killed ingest left unfinished.
pub fn remove_unfinished(folder: &Path) -> Result<()> {
    publish::remove_unfinished(folder)?;
    for copy in FOLDERS {
        publish::remove_unfinished(&folder.join(copy))?;
        for day in publish::list(&folder.join(copy))?.iter().filter(|path| path.is_dir()) {
            publish::remove_unfinished(day)?;
        }
    }
    Ok(())
}

/// Removes the store's own files that neither this version nor the one before uses.
pub fn remove_orphans(folder: &Path, manifest: &Manifest) -> Result<()> {
    let used: BTreeSet<String> =
        manifest.files().flat_map(DataFile::paths).chain(manifest.previous.iter().cloned()).collect();
    for copy in FOLDERS {
        for file in content_files(&folder.join(copy))?.0 {
            let name = file.strip_prefix(folder).unwrap_or(&file).to_string_lossy();
            if !used.contains(&*name) {
                std::fs::remove_file(&file).map_err(Error::storage(&file, "removing"))?;
            }
        }
    }
    Ok(())
}
