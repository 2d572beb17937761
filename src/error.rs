//! Every way a command can fail, with a stable code and an exit status.
//!
//! Messages are lower case, without a final stop, and name file, column and row, what was expected and what was
//! found; never who a row is about. A bad row is data and goes to rejects (`records::rejects`), not here.

use std::path::{Path, PathBuf};

/// A `Result` with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Every exit status, what it means, and what to do.
pub const EXIT_CODES: [(u8, &str, &str); 8] = [
    (0, "done, or nothing to do", "nothing"),
    (
        1,
        "done, with more rejects than rejects_max_percent, or an order refused",
        "look at `ringtrace query --run DIR reject-reasons`; rejects.parquet names file, row and column",
    ),
    (
        2,
        "the command line, the configuration or the shape of an input table",
        "mend what the message names; `ringtrace doctor --config FILE` finds all such problems at once",
    ),
    (
        3,
        "a night is held: far more people than usual would turn to a worse color",
        "look at its folder under held; mend the input, or let two people approve it as the message says",
    ),
    (
        4,
        "in conflict with what is there: another run goes on, or something else was published in that place",
        "wait and run again, or choose another date or folder",
    ),
    (
        5,
        "the system refused to read or write",
        "free space, mend rights or the share, and run the same command again; nothing half-written is in use",
    ),
    (
        6,
        "a file is damaged, or publishing would break a promise",
        "fetch or restore the file that is named; nothing was published",
    ),
    (130, "interrupted", "run the same command again"),
];

/// A failed command: what went wrong, and in most kinds what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The command line or the configuration asks for something that cannot be.
    #[error("{what}")]
    Usage {
        /// What cannot be.
        what: String,
        /// What to do.
        help: String,
    },
    /// An input table lacks a column, has one of the wrong type, or holds no file at all.
    #[error("{file}: {what}")]
    Input {
        /// The file or the pattern, as the user named it.
        file: String,
        /// Expected and found.
        what: String,
        /// What to do.
        help: String,
    },
    /// A file's bytes do not decode, or decode to something its own footer denies.
    #[error("{file}: damaged or not the format it claims: {what}")]
    Damaged {
        /// The file.
        file: String,
        /// What the decoder met.
        what: String,
    },
    /// The operating system refused to read or write.
    #[error("{}: {doing}: {source}", path.display())]
    Storage {
        /// The file or folder.
        path: PathBuf,
        /// What was being done to it, as a gerund: "writing", "creating".
        doing: &'static str,
        /// The system's answer.
        source: std::io::Error,
    },
    /// Someone else is at work on the same store or run, or has published something different there.
    #[error("{what}")]
    Conflict {
        /// What is in the way.
        what: String,
        /// What to do.
        help: String,
    },
    /// A night that colors far more people than usual waits for an approval.
    #[error("{what}")]
    Held {
        /// How many, and what is usual.
        what: String,
        /// How to approve it.
        help: String,
    },
    /// Publishing would break a promise: a balance that does not add up, a color without evidence, a wrong hash.
    #[error("{what}")]
    Integrity {
        /// The broken promise.
        what: String,
        /// What to do.
        help: String,
    },
}

impl Error {
    /// The stable code of this kind of error, as printed in brackets and relied on by scripts.
    pub fn code(&self) -> &'static str {
        match self {
            Error::Usage { .. } => "usage",
            Error::Input { .. } => "input",
            Error::Damaged { .. } => "damaged",
            Error::Storage { .. } => "storage",
            Error::Held { .. } => "held",
            Error::Conflict { .. } => "conflict",
            Error::Integrity { .. } => "integrity",
        }
    }

    /// The process's exit status: 2 usage and input tables, 3 held, 4 conflict or locked, 5 storage, 6 integrity refused.
    pub fn exit_status(&self) -> u8 {
        match self {
            Error::Usage { .. } | Error::Input { .. } => 2,
            Error::Held { .. } => 3,
            Error::Conflict { .. } => 4,
            Error::Storage { .. } => 5,
            Error::Damaged { .. } | Error::Integrity { .. } => 6,
        }
    }

    /// What the user can do about it, if there is anything to say.
    pub fn help(&self) -> Option<String> {
        match self {
            Error::Usage { help, .. }
            | Error::Input { help, .. }
            | Error::Held { help, .. }
            | Error::Conflict { help, .. }
            | Error::Integrity { help, .. } => (!help.is_empty()).then(|| help.clone()),
            Error::Damaged { .. } => {
                Some("fetch the file again from its source; nothing of it was used".into())
            }
            Error::Storage { source, .. } if source.kind() == std::io::ErrorKind::StorageFull => Some(
                "free some space and run the same command again; nothing half-written is left in use".into(),
            ),
            Error::Storage { source, .. } => Some(
                match source.kind() {
                    std::io::ErrorKind::NotFound => "check the path, and where a link on it leads",
                    std::io::ErrorKind::PermissionDenied => "let the user who runs this read or write it",
                    _ => "mend what the system reports and run the same command again",
                }
                .into(),
            ),
        }
    }

    /// A usage error.
    pub fn usage(what: impl Into<String>, help: impl Into<String>) -> Self {
        Error::Usage { what: what.into(), help: help.into() }
    }

    /// An input table of the wrong shape.
    pub fn input(file: impl Into<String>, what: impl Into<String>, help: impl Into<String>) -> Self {
        Error::Input { file: file.into(), what: what.into(), help: help.into() }
    }

    /// A damaged file.
    pub fn damaged(file: impl Into<String>, what: impl std::fmt::Display) -> Self {
        Error::Damaged { file: file.into(), what: one_line(&what.to_string()) }
    }

    /// A refusal by the operating system, for use in `map_err`.
    pub fn storage(path: &Path, doing: &'static str) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Error::Storage { path, doing, source }
    }

    /// A broken promise.
    pub fn integrity(what: impl Into<String>, help: impl Into<String>) -> Self {
        Error::Integrity { what: what.into(), help: help.into() }
    }
}

/// Libraries' messages can span lines and quote data; only the first line, shortened, is repeated to the user.
fn one_line(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    line.chars().take(200).collect()
}
