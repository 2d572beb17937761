//! The claims of a Parquet file's page headers, checked before anything is decoded.
//!
//! A decoder reserves what a header claims before it looks at a byte of the page, so a file of a few hundred bytes
//! could take gigabytes a column; and a refused allocation ends the whole process, which no caller can catch.

use std::fs::File;
use std::io::{BufReader, Error, ErrorKind, Read, Result, Seek, SeekFrom};

/// Pages up to this length are taken as claimed: writers' pages are about 1 MiB.
const PLAIN_BYTES: u64 = 64 << 20;

/// Longer ones may be this many times what they take in the file; deflate, the densest common codec, reaches 1,032.
const EXPANSION_MAX: u64 = 1_100;

/// Nesting of a page header's structs; more is no page header.
const DEPTH_MAX: u32 = 8;

/// Walks the page headers of a column chunk, the `length` bytes of `file` from `start`.
///
/// # Errors
/// The system's; `InvalidData` for bytes that are no page header or claim what the chunk cannot hold.
pub fn check(file: &File, start: u64, length: u64) -> Result<()> {
    // Headers are short and lie far apart: a larger buffer would read what is skipped.
    let mut reader = BufReader::with_capacity(256, file);
    reader.seek(SeekFrom::Start(start))?;
    let end = start.saturating_add(length);
    while reader.stream_position()? < end {
        let page = header(&mut reader)?;
        if end < reader.stream_position()?.saturating_add(page.compressed) {
            return Err(wrong("a page claims bytes outside its column"));
        }
        if PLAIN_BYTES.max(page.compressed.saturating_mul(EXPANSION_MAX)) < page.uncompressed {
            return Err(wrong("a page claims to hold far more than its bytes can"));
        }
        reader.seek_relative(page.compressed as i64)?;
    }
    Ok(())
}

/// What a page header says of lengths.
#[derive(Default)]
struct Page {
    uncompressed: u64,
    compressed: u64,
}

/// Reads one page header: a struct in Thrift's compact protocol, whose fields 2 and 3 are the lengths.
fn header(reader: &mut impl Read) -> Result<Page> {
    let mut page = Page::default();
    let mut field = 0;
    while let Some(kind) = next_field(reader, &mut field)? {
        match (field, kind) {
            (2, I32) => page.uncompressed = length(reader)?,
            (3, I32) => page.compressed = length(reader)?,
            _ => skip(reader, kind, 0)?,
        }
    }
    Ok(page)
}

const I32: u8 = 5;

/// The type of a struct's next field, whose number replaces `field`; `None` at its end.
fn next_field(reader: &mut impl Read, field: &mut i64) -> Result<Option<u8>> {
    let byte = byte(reader)?;
    if byte == 0 {
        return Ok(None);
    }
    *field = match byte >> 4 {
        0 => zigzag(varint(reader)?),
        delta => field.saturating_add(i64::from(delta)),
    };
    Ok(Some(byte & 0x0f))
}

/// Passes over a value of a struct's field.
fn skip(reader: &mut impl Read, kind: u8, depth: u32) -> Result<()> {
    if depth == DEPTH_MAX {
        return Err(wrong("a page header is nested too deep"));
    }
    match kind {
        // A bool of a struct is its type.
        1 | 2 => Ok(()),
        3 => byte(reader).map(drop),
        4..=6 => varint(reader).map(drop),
        7 => skip_bytes(reader, 8),
        8 => {
            let length = varint(reader)?;
            skip_bytes(reader, length)
        }
        9 | 10 => {
            let head = byte(reader)?;
            let count = if head >> 4 == 15 { varint(reader)? } else { u64::from(head >> 4) };
            for _ in 0..count {
                // A bool of a list has a byte of its own.
                skip(reader, if head & 0x0f <= 2 { 3 } else { head & 0x0f }, depth + 1)?;
            }
            Ok(())
        }
        12 => {
            let mut field = 0;
            while let Some(kind) = next_field(reader, &mut field)? {
                skip(reader, kind, depth + 1)?;
            }
            Ok(())
        }
        _ => Err(wrong("a page header holds a field of no known type")),
    }
}

fn skip_bytes(reader: &mut impl Read, length: u64) -> Result<()> {
    let skipped = std::io::copy(&mut reader.by_ref().take(length), &mut std::io::sink())?;
    if skipped == length { Ok(()) } else { Err(ErrorKind::UnexpectedEof.into()) }
}

fn length(reader: &mut impl Read) -> Result<u64> {
    u64::try_from(zigzag(varint(reader)?)).map_err(|_| wrong("a page claims a negative length"))
}

fn byte(reader: &mut impl Read) -> Result<u8> {
    let mut byte = [0];
    reader.read_exact(&mut byte)?;
    Ok(byte[0])
}

fn varint(reader: &mut impl Read) -> Result<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let next = byte(reader)?;
        value |= u64::from(next & 0x7f) << shift;
        if next & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err(wrong("a page header holds a number without end"))
}

fn zigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

fn wrong(what: &str) -> Error {
    Error::new(ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_read_and_their_ends_found() {
        // type 0, uncompressed 300, compressed 200, crc, a data page header with statistics of two texts; then 0xee.
        let bytes = [
            &[0x15, 0x00, 0x15, 0xd8, 0x04, 0x15, 0x90, 0x03, 0x15, 0x02][..],
            &[0x1c, 0x15, 0x14, 0x15, 0x00, 0x3c, 0x18, 0x02, b'a', b'b', 0x18, 0x01, b'c', 0x11, 0x00, 0x00],
            &[0x00, 0xee],
        ]
        .concat();
        let mut rest = &bytes[..];
        let page = header(&mut rest).unwrap();
        assert_eq!((page.uncompressed, page.compressed, rest), (300, 200, &[0xee][..]));
        for end in 0..bytes.len() - 1 {
            assert!(header(&mut &bytes[..end]).is_err(), "cut at {end}");
        }
    }

    #[test]
    fn headers_that_are_none() {
        let deep = [0x1c; 64];
        let endless = [&[0x15][..], &[0x80; 20]].concat();
        let negative = [0x15, 0x00, 0x15, 0x01, 0x00];
        let map = [0x1b, 0x00];
        for bytes in [&deep[..], &endless, &negative, &map, b"PAR1"] {
            assert_eq!(header(&mut &bytes[..]).err().unwrap().kind(), ErrorKind::InvalidData, "{bytes:?}");
        }
    }
}
