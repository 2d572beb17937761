//! Files that are read page by page: where each page lies, what it starts with, and whether it is still as written.
//!
//! Beside `NAME.parquet` lies `NAME.pages`, because Parquet's own page index must be parsed whole before it can be used
//! and holds no checksums: a trace of one case would spend its time on it.
//!
//! ```text
//! head     48 bytes: magic, rows, rows a page, pages, columns, checksum of the starts, checksum of the head
//! starts   8 bytes a page: order key of its first row; then 4 bytes a page: greatest bound in it
//! entries  per page and column: offset (8), length (4), checksum (4); per page: checksum of its entries (4)
//! ```
//!
//! All numbers are little-endian, all checksums CRC-32. Pages of all columns have the same rows.

use std::cell::Cell;
use std::fs::File;
use std::ops::Range;
use std::path::Path;

use crate::error::{Error, Result};
use crate::store::delta::{self, Value};
use crate::store::manifest::DataFile;

const MAGIC: &[u8; 8] = b"RTPAGES1";
const HEAD: usize = 48;
const ENTRY: usize = 16;

/// Where the page index of a file lies.
pub fn index_path(path: &str) -> String {
    format!("{}.pages", path.strip_suffix(".parquet").unwrap_or(path))
}

/// Where the data of a page lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// From the start of the file.
    pub offset: u64,
    /// Bytes.
    pub length: u32,
    /// CRC-32 of them.
    pub check: u32,
}

/// The page index of a file that is being written.
pub struct Index {
    page_rows: usize,
    columns: usize,
    rows: u64,
    starts: Vec<u64>,
    bounds: Vec<u32>,
    entries: Vec<u8>,
}

impl Index {
    /// Of no pages yet.
    pub fn new(page_rows: usize, columns: usize) -> Index {
        Index { page_rows, columns, rows: 0, starts: Vec::new(), bounds: Vec::new(), entries: Vec::new() }
    }

    /// Adds a page of that many rows: the order key of its first row, its greatest bound, and where it lies in each
    /// column.
    ///
    /// # Panics
    /// If a page before it was shorter than it has to be.
    pub fn push(&mut self, rows: usize, start: u64, bound: u32, places: impl Iterator<Item = Place>) {
        let before = (self.starts.len() * self.page_rows) as u64;
        assert!(self.rows == before, "only the last page of a file is shorter");
        self.rows += rows as u64;
        self.starts.push(start);
        self.bounds.push(bound);
        let from = self.entries.len();
        for Place { offset, length, check } in places {
            self.entries.extend(offset.to_le_bytes());
            self.entries.extend(length.to_le_bytes());
            self.entries.extend(check.to_le_bytes());
        }
        self.entries.extend(crc32fast::hash(&self.entries[from..]).to_le_bytes());
    }

    /// The bytes of the index.
    pub fn finish(self) -> Vec<u8> {
        let Index { page_rows, columns, rows, starts, bounds, entries } = self;
        let pages = starts.len();
        let regular = bounds.len() == pages && entries.len() == pages * (ENTRY * columns + 4);
        assert!(regular, "a start, a bound and the entries of its columns a page");
        let mut middle = Vec::with_capacity(12 * pages);
        starts.iter().for_each(|start| middle.extend(start.to_le_bytes()));
        bounds.iter().for_each(|bound| middle.extend(bound.to_le_bytes()));
        let mut head = MAGIC.to_vec();
        for number in [rows, page_rows as u64, pages as u64, columns as u64] {
            head.extend(number.to_le_bytes());
        }
        head.extend(crc32fast::hash(&middle).to_le_bytes());
        head.extend(crc32fast::hash(&head).to_le_bytes());
        [head, middle, entries].concat()
    }
}

/// A file open for reading page by page.
pub struct PagedFile {
    name: String,
    data: File,
    index: File,
    /// Rows in it.
    pub rows: usize,
    page_rows: usize,
    columns: usize,
    /// By page: the order key of its first row.
    pub starts: Vec<u64>,
    /// By page: the greatest bound in it.
    pub bounds: Vec<u32>,
}

impl PagedFile {
    /// # Errors
    /// `storage` if it cannot be read; `integrity` if its index is not as written.
    pub fn open(store: &Path, file: &DataFile) -> Result<PagedFile> {
        let open = |path: &Path| {
            File::open(path).map_err(|e| match e.kind() {
                std::io::ErrorKind::NotFound => changed(&path.display().to_string()),
                _ => Error::storage(path, "opening")(e),
            })
        };
        let path = store.join(&file.path);
        let index_path = store.join(index_path(&file.path));
        let data = open(&path)?;
        let index = open(&index_path)?;
        let name = path.display().to_string();
        let failed = |e: std::io::Error| match e.kind() {
            std::io::ErrorKind::UnexpectedEof => changed(&name),
            _ => Error::storage(&index_path, "reading")(e),
        };
        let mut head = [0; HEAD];
        read_at(&index, &mut head, 0).map_err(failed)?;
        let number = |at: usize| u64::from_le_bytes(head[at..at + 8].try_into().expect("eight bytes"));
        let check = |at: usize| u32::from_le_bytes(head[at..at + 4].try_into().expect("four bytes"));
        let [rows, page_rows, pages, columns] = [8, 16, 24, 32].map(number);
        let as_written = head[..8] == *MAGIC
            && crc32fast::hash(&head[..44]) == check(44)
            && rows == file.rows
            && page_rows > 0
            && pages == rows.div_ceil(page_rows);
        if !as_written {
            return Err(changed(&name));
        }
        let mut middle = vec![0; 12 * pages as usize];
        read_at(&index, &mut middle, HEAD as u64).map_err(failed)?;
        if crc32fast::hash(&middle) != check(40) {
            return Err(changed(&name));
        }
        let (starts, bounds) = middle.split_at(8 * pages as usize);
        let starts = starts.chunks_exact(8).map(|b| u64::from_le_bytes(b.try_into().expect("eight bytes")));
        let bounds = bounds.chunks_exact(4).map(|b| u32::from_le_bytes(b.try_into().expect("four bytes")));
        Ok(PagedFile {
            starts: starts.collect(),
            bounds: bounds.collect(),
            rows: rows as usize,
            page_rows: page_rows as usize,
            columns: columns as usize,
            name,
            data,
            index,
        })
    }

    /// How many pages it has.
    pub fn pages(&self) -> usize {
        self.starts.len()
    }

    /// The page of a row.
    pub fn page_of(&self, row: usize) -> usize {
        row / self.page_rows
    }

    /// The rows of some pages.
    pub fn rows_of(&self, pages: &Range<usize>) -> Range<usize> {
        (pages.start * self.page_rows).min(self.rows)..(pages.end * self.page_rows).min(self.rows)
    }

    /// The pages that can hold rows with order keys in `keys`.
    pub fn pages_with(&self, keys: Range<u64>) -> Range<usize> {
        let end = self.starts.partition_point(|start| *start < keys.end);
        // The page before the first that starts past the keys' start may hold some of them, and so may those before it
        // that start with that very key.
        let start = self.starts.partition_point(|start| *start < keys.start).saturating_sub(1);
        start.min(end)..end
    }

    /// Where the data of some pages lie.
    ///
    /// # Errors
    /// `storage`; `integrity` if the index is not as written.
    pub fn locate(&self, pages: Range<usize>) -> Result<Located<'_>> {
        let size = ENTRY * self.columns + 4;
        let mut bytes = vec![0; size * pages.len()];
        let at = HEAD + 12 * self.pages() + size * pages.start;
        read_at(&self.index, &mut bytes, at as u64).map_err(|e| self.failed(e))?;
        for entry in bytes.chunks_exact(size) {
            let (entries, check) = entry.split_at(size - 4);
            if crc32fast::hash(entries).to_le_bytes() != check {
                return Err(changed(&self.name));
            }
        }
        Ok(Located { file: self, first: pages.start, bytes })
    }

    fn failed(&self, e: std::io::Error) -> Error {
        match e.kind() {
            std::io::ErrorKind::UnexpectedEof => changed(&self.name),
            _ => Error::storage(Path::new(&self.name), "reading")(e),
        }
    }
}

/// Some pages of a file whose places are known.
pub struct Located<'a> {
    file: &'a PagedFile,
    first: usize,
    bytes: Vec<u8>,
}

/// Pages of one column this close to each other are read at once.
const GAP: u64 = 4_096;

impl Located<'_> {
    /// Appends the values of a column in `pages`, which lie within those located.
    ///
    /// # Errors
    /// `storage`; `integrity` if a page is not as written.
    pub fn read<T: Value>(&self, column: usize, pages: Range<usize>, out: &mut Vec<T>) -> Result<()> {
        // One page more than there is: the last is unpacked in whole miniblocks.
        out.reserve(self.file.rows_of(&pages).len() + self.file.page_rows);
        thread_local! {
            /// Bytes read, kept from call to call: only its growth is cleared.
            static BUFFER: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
        }
        let mut buffer = BUFFER.take();
        let result = self.read_into(&mut buffer, column, pages, out);
        BUFFER.set(buffer);
        result
    }

    fn read_into<T: Value>(
        &self,
        buffer: &mut Vec<u8>,
        column: usize,
        pages: Range<usize>,
        out: &mut Vec<T>,
    ) -> Result<()> {
        let mut at = pages.start;
        while at < pages.end {
            let (start, length, _) = self.entry(at, column);
            let (mut next, mut end) = (at + 1, start + u64::from(length));
            while next < pages.end {
                let (start, length, _) = self.entry(next, column);
                if start < end || start - end > GAP {
                    break;
                }
                end = start + u64::from(length);
                next += 1;
            }
            let length = (end - start) as usize;
            if buffer.len() < length {
                buffer.resize(length, 0);
            }
            read_at(&self.file.data, &mut buffer[..length], start).map_err(|e| self.file.failed(e))?;
            for page in at..next {
                let (offset, length, check) = self.entry(page, column);
                let data = &buffer[(offset - start) as usize..][..length as usize];
                let rows = self.file.rows_of(&(page..page + 1)).len();
                let decoded = crc32fast::hash(data) == check && delta::decode(data, rows, out).is_some();
                if !decoded {
                    return Err(changed(&self.file.name));
                }
            }
            at = next;
        }
        Ok(())
    }

    /// Offset, length and checksum.
    fn entry(&self, page: usize, column: usize) -> (u64, u32, u32) {
        let at = (page - self.first) * (ENTRY * self.file.columns + 4) + ENTRY * column;
        let bytes = &self.bytes[at..at + ENTRY];
        let short = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"));
        (u64::from_le_bytes(bytes[..8].try_into().expect("eight bytes")), short(8), short(12))
    }
}

fn changed(name: &str) -> Error {
    Error::integrity(
        format!("{name}: gone, or its bytes are not those that were published"),
        "restore it from a copy, or make it anew",
    )
}

/// Fills `buffer` from `offset` on.
fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> std::io::Result<()> {
    #[cfg(unix)]
    return std::os::unix::fs::FileExt::read_exact_at(file, buffer, offset);
    #[cfg(not(unix))]
    {
        use std::io::{Read, Seek, SeekFrom};
        let mut file = file;
        file.seek(SeekFrom::Start(offset))?;
        file.read_exact(buffer)
    }
}
