//! Whether this machine and configuration can run a night; each finding with what to do.

use std::path::Path;

use serde_json::json;

use super::{Outcome, say};
use crate::cli::Common;
use crate::colors::{Scheme, vectors};
use crate::config::{Config, base_of};
use crate::error::{Error, Result};
use crate::store::disk::DiskStore;
use crate::store::publish::{self, Lock};

/// One thing looked at.
struct Finding {
    what: String,
    problem: Option<Error>,
}

/// Looks at everything and reports all of it, not only the first problem.
///
/// # Errors
/// `usage` with the number of problems, after they have been printed.
pub(super) fn run(config: Option<&Path>, common: &Common) -> Result<Outcome> {
    let mut findings = Vec::new();
    let mut look = |what: String, result: Result<String>| match result {
        Ok(detail) => findings.push(Finding { what: format!("{what}: {detail}"), problem: None }),
        Err(problem) => findings.push(Finding { what, problem: Some(problem) }),
    };
    let threads = std::thread::available_parallelism().map_or(1, |n| n.get());
    look("cores".into(), Ok(threads.to_string()));
    look("time zones".into(), crate::time::zone("Asia/Shanghai").map(|_| "built in".into()));
    look("files are replaced whole (here)".into(), replaces_files(Path::new(".")));
    if let Some(path) = config {
        match Config::read(path) {
            Err(problem) => look(format!("configuration {}", path.display()), Err(problem)),
            Ok(config) => {
                look(format!("configuration {}", path.display()), Ok("reads".into()));
                let scheme = Scheme::load(&config.scheme, base_of(path))
                    .and_then(|scheme| vectors::check(&scheme).map(|()| scheme));
                look("scheme".into(), scheme.map(|s| format!("{} version {}", s.id, s.version)));
                look("scans or visits".into(), crate::pipeline::feed(&config).map(|f| f.with.table().into()));
                for (table, section) in config.tables.iter().filter(|(_, s)| !s.paths.is_empty()) {
                    look(format!("table {table}"), crate::records::probe(table, section));
                }
                for folder in [&config.store, &config.runs] {
                    let existing = folder.ancestors().find(|f| f.is_dir()).unwrap_or(Path::new("."));
                    look(
                        format!("files are replaced whole ({})", folder.display()),
                        replaces_files(existing),
                    );
                }
                look(format!("store {}", config.store.display()), store(&config.store));
            }
        }
    }
    let problems = findings.iter().filter(|f| f.problem.is_some()).count();
    let words = || {
        let line = |f: &Finding| match &f.problem {
            None => format!("ok       {}", f.what),
            Some(e) => {
                let help = e.help().map(|h| format!("\n           help: {h}")).unwrap_or_default();
                format!("problem  {}: {e}{help}", f.what)
            }
        };
        findings.iter().map(line).collect::<Vec<_>>().join("\n")
    };
    let json = || {
        let object = |f: &Finding| json!({"what": f.what, "ok": f.problem.is_none(), "problem": f.problem.as_ref().map(|e| e.to_string()), "help": f.problem.as_ref().and_then(|e| e.help())});
        json!(findings.iter().map(object).collect::<Vec<_>>())
    };
    say(common, words, json)?;
    if problems == 0 {
        return Ok(Outcome::Done);
    }
    Err(Error::usage(format!("{problems} problems found"), "mend those marked problem above"))
}

/// Whether the file system under `folder` can write beside, flush and rename.
fn replaces_files(folder: &Path) -> Result<String> {
    let folder = std::path::absolute(folder).map_err(Error::storage(folder, "finding"))?;
    let probe = folder.join(format!("{}doctor", publish::UNFINISHED));
    publish::write_file(&probe, b"one")?;
    publish::write_file(&probe, b"two")?;
    let read = std::fs::read(&probe).map_err(Error::storage(&probe, "reading back"));
    std::fs::remove_file(&probe).map_err(Error::storage(&probe, "removing"))?;
    match read?.as_slice() {
        b"two" => Ok("yes".into()),
        _ => Err(Error::integrity("a file just replaced reads as before", "use another file system")),
    }
}

/// Whether the store is free, of our format, and what it holds.
fn store(folder: &Path) -> Result<String> {
    if !folder.exists() {
        return Ok("none yet; the first run makes it".into());
    }
    let _lock = Lock::take(folder)?;
    let Some(store) = DiskStore::open(folder)? else { return Ok("none yet; the first run makes it".into()) };
    let manifest = store.manifest();
    for file in manifest.files() {
        publish::check_content(folder, file)?;
    }
    Ok(format!("version {}, {} days, every file as published", manifest.version, manifest.days.len()))
}
