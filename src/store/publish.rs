//! Files and folders that are there whole or not at all: write beside, fsync, rename, fsync the folder.

use std::fs::{File, TryLockError};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use parquet::errors::ParquetError;
use tempfile::{NamedTempFile, TempDir};

use crate::error::{Error, Result};
use crate::store::manifest::DataFile;
use crate::store::pages::index_path;

/// Prefix of everything unfinished; what is left of it by a killed process is removed by the next one.
pub const UNFINISHED: &str = ".unfinished-";

/// Two seconds, in steps of 50 ms.
const LOCK_TRIES: u32 = 40;

/// Hexadecimal digits of its hash in the name of a content file.
pub const CONTENT_NAME: usize = 24;

/// A folder held by this process alone until the value is dropped, or the process ends in whatever way.
pub struct Lock {
    _file: File,
}

impl Lock {
    /// # Errors
    /// `conflict` if another process holds it; `storage` if it cannot be made.
    pub fn take(folder: &Path) -> Result<Lock> {
        create_folder(folder)?;
        let path = folder.join("lock");
        let file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(Error::storage(&path, "opening"))?;
        // A process just killed, or a child just forked, can hold the lock for a moment longer.
        for _ in 0..LOCK_TRIES {
            match file.try_lock() {
                Ok(()) => return Ok(Lock { _file: file }),
                Err(TryLockError::WouldBlock) => std::thread::sleep(std::time::Duration::from_millis(50)),
                Err(TryLockError::Error(e)) => return Err(Error::storage(&path, "locking")(e)),
            }
        }
        Err(Error::Conflict {
            what: format!("{}: locked by another run", folder.display()),
            help: "wait until it ends; a lock of a process that is gone is released by itself".into(),
        })
    }
}

/// Creates `folder` with its parents and makes each new one last.
///
/// # Errors
/// `storage`.
pub fn create_folder(folder: &Path) -> Result<()> {
    if folder.as_os_str().is_empty() || folder.is_dir() {
        return Ok(());
    }
    let parent = folder.parent().unwrap_or(Path::new(""));
    create_folder(parent)?;
    match std::fs::create_dir(folder) {
        Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists && folder.is_dir() => Ok(()),
        Err(e) => Err(Error::storage(folder, "creating")(e)),
        Ok(()) => sync_folder(if parent.as_os_str().is_empty() { Path::new(".") } else { parent }),
    }
}

/// Writes `bytes` to `path` so that after a crash the file is the old one or the new one, whole.
///
/// # Errors
/// `storage`; the path is then as it was.
pub fn write_file(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut file = unfinished(path.parent().expect("a file has a folder"))?;
    file.write_all(bytes).map_err(Error::storage(path, "writing"))?;
    put_in_place(file, path)
}

/// A new file in `folder` that is gone when dropped.
fn unfinished(folder: &Path) -> Result<NamedTempFile> {
    create_folder(folder)?;
    let mut builder = tempfile::Builder::new();
    builder.prefix(UNFINISHED);
    // Temporary files are private to their owner; a published one is as readable as the umask lets it be.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    builder.tempfile_in(folder).map_err(Error::storage(folder, "creating a file in"))
}

/// Flushes a file, renames it and makes the rename last.
fn put_in_place(file: NamedTempFile, path: &Path) -> Result<()> {
    file.as_file().sync_all().map_err(Error::storage(path, "flushing"))?;
    file.persist(path).map_err(|e| Error::storage(path, "renaming")(e.error))?;
    sync_folder(path.parent().expect("a file has a folder"))
}

/// A file named by its content that is written piece by piece, beside its place until it is finished.
pub struct ContentFile {
    file: NamedTempFile,
    folder: PathBuf,
    hasher: blake3::Hasher,
    bytes: u64,
    buffer: Vec<u8>,
}

/// Bytes hashed and written at once: short ones keep the hash from using the width of the processor.
const BUFFER: usize = 256 << 10;

impl ContentFile {
    /// An empty one in `store/folder`.
    ///
    /// # Errors
    /// `storage`.
    pub fn create(store: &Path, folder: &str) -> Result<ContentFile> {
        let folder = store.join(folder);
        let file = unfinished(&folder)?;
        Ok(ContentFile { file, folder, hasher: blake3::Hasher::new(), bytes: 0, buffer: Vec::new() })
    }

    /// What went wrong with writing it.
    pub fn failed(&self, error: ParquetError) -> Error {
        parquet_failed(&self.folder, error)
    }

    /// Puts it in its place with its page index beside it, and returns its entry, as [`write_content`] does.
    ///
    /// # Errors
    /// `storage`.
    pub fn finish(mut self, store: &Path, rows: u64, pages: &[u8]) -> Result<DataFile> {
        self.flush().map_err(Error::storage(&self.folder, "writing"))?;
        let ContentFile { file, folder, hasher, bytes, .. } = self;
        let blake3 = hasher.finalize().to_hex().to_string();
        let path = folder.join(format!("{}.parquet", &blake3[..CONTENT_NAME]));
        let whole = File::open(&path).ok().and_then(|there| {
            let mut hasher = blake3::Hasher::new();
            hasher.update_reader(there).ok().map(|hasher| hasher.finalize().to_hex().as_str() == blake3)
        });
        if whole != Some(true) {
            put_in_place(file, &path)?;
        }
        let inside = path.strip_prefix(store).expect("its folder is in the store");
        let path = inside.to_string_lossy().into_owned();
        let pages_blake3 = write_index(store, &path, pages)?;
        Ok(DataFile { path, rows, bytes, blake3, pages_blake3: Some(pages_blake3) })
    }
}

impl Write for ContentFile {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if self.buffer.len() + bytes.len() > BUFFER {
            self.flush()?;
        }
        self.buffer.extend_from_slice(bytes);
        self.bytes += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.hasher.update(&self.buffer);
        self.file.write_all(&self.buffer)?;
        self.buffer.clear();
        Ok(())
    }
}

/// A failure to write a Parquet file, as one of storage.
pub fn parquet_failed(path: &Path, error: ParquetError) -> Error {
    let io = match error {
        ParquetError::External(inner) => match inner.downcast::<std::io::Error>() {
            Ok(io) => *io,
            Err(other) => std::io::Error::other(other),
        },
        other => std::io::Error::other(other),
    };
    Error::storage(path, "writing")(io)
}

/// Writes a file named by its content below `store/folder` and returns its entry.
///
/// # Errors
/// `storage`.
pub fn write_content(store: &Path, folder: &str, rows: u64, bytes: &[u8]) -> Result<DataFile> {
    let blake3 = blake3::hash(bytes).to_hex().to_string();
    let path = format!("{folder}/{}.parquet", &blake3[..CONTENT_NAME]);
    let full = store.join(&path);
    write_unless_there(&full, bytes)?;
    Ok(DataFile { path, rows, bytes: bytes.len() as u64, blake3, pages_blake3: None })
}

/// Writes the page index of a content file and returns its hash.
fn write_index(store: &Path, path: &str, pages: &[u8]) -> Result<String> {
    write_unless_there(&store.join(index_path(path)), pages)?;
    Ok(blake3::hash(pages).to_hex().to_string())
}

/// The same name is the same content, unless the disk has lost some of it.
fn write_unless_there(path: &Path, bytes: &[u8]) -> Result<()> {
    match std::fs::read(path).ok().as_deref() == Some(bytes) {
        true => Ok(()),
        false => write_file(path, bytes),
    }
}

/// Checks that a file named in a manifest and its page index are those that were published.
///
/// # Errors
/// As for [`read_content`].
pub fn check_content(store: &Path, file: &DataFile) -> Result<()> {
    if let Some(pages) = &file.pages_blake3 {
        read_published(&store.join(index_path(&file.path)), pages)?;
    }
    read_content(store, file).map(drop)
}

/// The bytes of a file named in a manifest.
///
/// # Errors
/// `storage` if it cannot be read; `integrity` if it is not the file that was published.
pub fn read_content(store: &Path, file: &DataFile) -> Result<Vec<u8>> {
    read_published(&store.join(&file.path), &file.blake3)
}

/// The bytes of a published file with that hash.
///
/// # Errors
/// `storage` if it cannot be read; `integrity` if it is gone or not the file that was published.
pub fn read_published(path: &Path, blake3: &str) -> Result<Vec<u8>> {
    let bytes = match std::fs::read(path) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Vec::new(),
        other => other.map_err(Error::storage(path, "reading"))?,
    };
    if blake3::hash(&bytes).to_hex().as_str() != blake3 {
        return Err(Error::integrity(
            format!("{}: gone, or its bytes are not those that were published", path.display()),
            "restore it from a copy, or make it anew",
        ));
    }
    Ok(bytes)
}

/// Renames a finished folder into place and makes the rename last.
///
/// # Errors
/// `storage`.
pub fn publish_folder(finished: &Path, place: &Path) -> Result<()> {
    sync_folder(finished)?;
    publish_entry(finished, place)
}

/// Renames a finished file or folder, itself flushed already, into place and makes the rename last.
///
/// # Errors
/// `storage`.
pub fn publish_entry(finished: &Path, place: &Path) -> Result<()> {
    std::fs::rename(finished, place).map_err(Error::storage(place, "renaming into place"))?;
    sync_folder(place.parent().expect("a published folder has a parent"))
}

/// Makes the entries of `folder` last.
fn sync_folder(folder: &Path) -> Result<()> {
    let open = File::open(folder).map_err(Error::storage(folder, "opening"))?;
    open.sync_all().map_err(Error::storage(folder, "flushing"))
}

/// A folder in `folder` that is gone when dropped or [abandoned](abandon); one that a killed process leaves is removed by
/// [`remove_unfinished`].
///
/// # Errors
/// `storage`.
pub fn unfinished_folder(folder: &Path) -> Result<TempDir> {
    create_folder(folder)?;
    let made = tempfile::Builder::new().prefix(UNFINISHED).tempdir_in(folder);
    let made = made.map_err(Error::storage(folder, "creating a folder in"))?;
    UNFINISHED_FOLDERS.lock().unwrap_or_else(PoisonError::into_inner).push(made.path().into());
    Ok(made)
}

/// The folders that this process has made and not finished.
static UNFINISHED_FOLDERS: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

/// Removes the unfinished folders of this process, which is about to be ended while others still write to them.
pub fn abandon() {
    for folder in UNFINISHED_FOLDERS.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
        // A file that is being made as its folder is removed is gone at the next try.
        let gone = |_: &u32| std::fs::remove_dir_all(&folder).is_ok() || !folder.exists();
        (0..100).find(gone);
    }
}

/// Removes what a killed process left unfinished directly in `folder`.
///
/// # Errors
/// `storage`.
pub fn remove_unfinished(folder: &Path) -> Result<()> {
    for path in list(folder)? {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name.starts_with(UNFINISHED) {
            let removed =
                if path.is_dir() { std::fs::remove_dir_all(&path) } else { std::fs::remove_file(&path) };
            removed.map_err(Error::storage(&path, "removing"))?;
        }
    }
    Ok(())
}

/// What is directly in `folder`, by name; nothing if it does not exist.
///
/// # Errors
/// `storage`.
pub fn list(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = match std::fs::read_dir(folder) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.map_err(Error::storage(folder, "listing"))?,
    };
    let mut paths = Vec::new();
    for entry in entries {
        paths.push(entry.map_err(Error::storage(folder, "listing"))?.path());
    }
    paths.sort();
    Ok(paths)
}
