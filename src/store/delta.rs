//! Pages of dense integers, encoded and decoded: Parquet's DELTA_BINARY_PACKED, the encoding of every column that tracing reads.
//!
//! A trace looks up single pages by the thousand. A general reader spends several times the decoding on opening each;
//! this one is a function from bytes to numbers.

/// Bytes a miniblock is padded to, so that eight bytes can be read at any bit of it.
const PADDED: usize = 64 * 8 + 8;

/// Appends the values of a page to `out`, as `u64` bit patterns cut to `T`.
///
/// - **Source**: Parquet format, "Delta encoding (DELTA_BINARY_PACKED = 5)": a header (block size, miniblocks a block,
///   values, first value), then blocks of a smallest difference, bit widths, and bit-packed differences above it.
///
/// `None` if the bytes are no such page, or do not hold `expected` values.
pub fn decode<T: Value>(bytes: &[u8], expected: usize, out: &mut Vec<T>) -> Option<()> {
    let mut input = Input { bytes };
    let (block, minis) = (input.number()? as usize, input.number()? as usize);
    let total = input.number()? as usize;
    let first = input.zigzag()?;
    let mini = block.checked_div(minis)?;
    if total != expected || !(mini == 32 || mini == 64) || mini * minis != block || minis > 16 {
        return None;
    }
    if total == 0 {
        return Some(());
    }
    let start = out.len();
    // Whole miniblocks are unpacked; what the last one holds beyond the page is cut off at the end.
    out.resize(start + 1 + (total - 1).next_multiple_of(mini), T::default());
    let values = &mut out[start..];
    let mut last = T::cut(first as u64);
    values[0] = last;
    let mut done = 1;
    let mut padded = [0u8; PADDED];
    while done < total {
        let least = T::cut(input.zigzag()? as u64);
        let widths = input.take(minis)?;
        for width in widths {
            if done >= total {
                break;
            }
            let width = usize::from(*width);
            if width > T::BITS {
                return None;
            }
            let into = &mut values[done..done + mini];
            let packed = input.take(width * mini / 8)?;
            if width == 0 {
                for value in into.iter_mut() {
                    last = last.plus(least);
                    *value = last;
                }
            } else {
                padded[..packed.len()].copy_from_slice(packed);
                T::unpack(&padded, width, into);
                for value in into.iter_mut() {
                    last = last.plus(least).plus(*value);
                    *value = last;
                }
            }
            // Past the end of the page, differences are padding.
            last = values[(done + mini).min(total) - 1];
            done += mini;
        }
    }
    out.truncate(start + total);
    Some(())
}

/// Values a block, and miniblocks in it, of the pages written here.
const BLOCK: usize = 128;
const MINIS: usize = 4;
const MINI: usize = BLOCK / MINIS;

/// Appends the page that holds `values`: what [`decode`] reads, and any reader of Parquet.
pub fn encode<T: Value>(values: &[T], out: &mut Vec<u8>) {
    put_number(out, BLOCK as u64);
    put_number(out, MINIS as u64);
    put_number(out, values.len() as u64);
    let Some((first, rest)) = values.split_first() else { return put_zigzag(out, 0) };
    put_zigzag(out, first.signed());
    let mut last = *first;
    for block in rest.chunks(BLOCK) {
        let mut above = [T::default(); BLOCK];
        above[0] = block[0].minus(last);
        for (difference, pair) in above[1..].iter_mut().zip(block.windows(2)) {
            *difference = pair[1].minus(pair[0]);
        }
        last = block[block.len() - 1];
        let differences = &mut above[..block.len()];
        let least = differences.iter().fold(i64::MAX, |least, difference| least.min(difference.signed()));
        differences.iter_mut().for_each(|difference| *difference = difference.minus(T::cut(least as u64)));
        put_zigzag(out, least);
        let widths = out.len();
        out.extend([0; MINIS]);
        for (mini, values) in above.chunks_exact(MINI).take(block.len().div_ceil(MINI)).enumerate() {
            let width = values.iter().fold(T::default(), |used, value| used.or(*value)).width();
            out[widths + mini] = width as u8;
            T::pack(values.try_into().expect("a whole miniblock"), width, out);
        }
    }
}

fn put_number(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn put_zigzag(out: &mut Vec<u8>, value: i64) {
    put_number(out, ((value << 1) ^ (value >> 63)) as u64);
}

/// An integer a page can hold. Parquet's are signed; unsigned ones are their bit patterns.
pub trait Value: Copy + Default {
    /// Its width.
    const BITS: usize;
    /// The low bits of a number.
    fn cut(bits: u64) -> Self;
    /// Its bits as a signed number.
    fn signed(self) -> i64;
    /// The sum, wrapping.
    fn plus(self, other: Self) -> Self;
    /// The difference, wrapping.
    fn minus(self, other: Self) -> Self;
    /// The bits set in either.
    fn or(self, other: Self) -> Self;
    /// How many of its bits are in use.
    fn width(self) -> usize;
    /// Unpacks as many values of `width` bits as `into` holds; the bytes are padded.
    fn unpack(padded: &[u8; PADDED], width: usize, into: &mut [Self]);
    /// Appends values of at most `width` bits.
    fn pack(values: &[Self; MINI], width: usize, out: &mut Vec<u8>);
}

/// Calls a function of a width with the width known to the compiler, which turns its shifts into constants.
macro_rules! by_width {
    ($width:ident, $call:ident $arguments:tt) => {
        by_width!(@ $width, $call $arguments, 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 32)
    };
    (@ $width:ident, $call:ident $arguments:tt, $($w:literal)*) => {
        match $width { $($w => $call::<$w> $arguments,)* _ => {} }
    };
}

impl Value for u32 {
    const BITS: usize = 32;
    fn cut(bits: u64) -> u32 {
        bits as u32
    }
    fn signed(self) -> i64 {
        i64::from(self as i32)
    }
    fn plus(self, other: u32) -> u32 {
        self.wrapping_add(other)
    }
    fn minus(self, other: u32) -> u32 {
        self.wrapping_sub(other)
    }
    fn or(self, other: u32) -> u32 {
        self | other
    }
    fn width(self) -> usize {
        (u32::BITS - self.leading_zeros()) as usize
    }
    fn unpack(padded: &[u8; PADDED], width: usize, into: &mut [u32]) {
        by_width!(width, unpack_32(padded, into));
    }
    fn pack(values: &[u32; MINI], width: usize, out: &mut Vec<u8>) {
        by_width!(width, pack_32(values, out));
    }
}

fn unpack_32<const W: usize>(padded: &[u8; PADDED], into: &mut [u32]) {
    let mask = (1u64 << W) - 1;
    for (group, values) in into.chunks_exact_mut(32).enumerate() {
        let bytes: &[u8; 136] = padded[group * 4 * W..][..136].try_into().expect("padded");
        for (at, value) in values.iter_mut().enumerate() {
            let bit = at * W;
            let word = u64::from_le_bytes(bytes[bit / 8..bit / 8 + 8].try_into().expect("eight bytes"));
            *value = ((word >> (bit % 8)) & mask) as u32;
        }
    }
}

fn pack_32<const W: usize>(values: &[u32; MINI], out: &mut Vec<u8>) {
    let mut packed = [0; MINI * 4];
    let (mut word, mut bits, mut at) = (0_u64, 0, 0);
    for value in values {
        word |= u64::from(*value) << bits;
        bits += W;
        if bits >= 32 {
            packed[at..at + 4].copy_from_slice(&(word as u32).to_le_bytes());
            (word, bits, at) = (word >> 32, bits - 32, at + 4);
        }
    }
    out.extend_from_slice(&packed[..W * 4]);
}

impl Value for u64 {
    const BITS: usize = 64;
    fn cut(bits: u64) -> u64 {
        bits
    }
    fn signed(self) -> i64 {
        self as i64
    }
    fn plus(self, other: u64) -> u64 {
        self.wrapping_add(other)
    }
    fn minus(self, other: u64) -> u64 {
        self.wrapping_sub(other)
    }
    fn or(self, other: u64) -> u64 {
        self | other
    }
    fn width(self) -> usize {
        (u64::BITS - self.leading_zeros()) as usize
    }
    fn unpack(padded: &[u8; PADDED], width: usize, into: &mut [u64]) {
        let mask = u64::MAX >> (64 - width);
        for (at, value) in into.iter_mut().enumerate() {
            let bit = at * width;
            let word = |from: usize| {
                u64::from_le_bytes(padded[from..from + 8].try_into().expect("eight bytes of padding"))
            };
            let mut bits = word(bit / 8) >> (bit % 8);
            if bit % 8 + width > 64 {
                bits |= u64::from(padded[bit / 8 + 8]) << (64 - bit % 8);
            }
            *value = bits & mask;
        }
    }
    fn pack(values: &[u64; MINI], width: usize, out: &mut Vec<u8>) {
        // The last word is written also where nothing is left for it.
        let mut packed = [0; MINI * 8 + 8];
        let (mut word, mut bits, mut at) = (0_u64, 0, 0);
        for value in values {
            word |= value << bits;
            bits += width;
            if bits >= 64 {
                packed[at..at + 8].copy_from_slice(&word.to_le_bytes());
                (bits, at) = (bits - 64, at + 8);
                // What of the value did not fit; a shift by all its bits is none.
                word = value.checked_shr((width - bits) as u32).unwrap_or(0);
            }
        }
        packed[at..at + 8].copy_from_slice(&word.to_le_bytes());
        out.extend_from_slice(&packed[..width * MINI / 8]);
    }
}

/// Bytes still to be read.
struct Input<'a> {
    bytes: &'a [u8],
}

impl<'a> Input<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (head, tail) = self.bytes.split_at_checked(count)?;
        self.bytes = tail;
        Some(head)
    }

    fn number(&mut self) -> Option<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.take(1)?[0];
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    fn zigzag(&mut self) -> Option<i64> {
        let value = self.number()?;
        Some((value >> 1) as i64 ^ -((value & 1) as i64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_encoded_is_decoded() {
        let noise = |n: u32, bits: u32| n.wrapping_mul(0x9e37_79b9) >> (32 - bits);
        let mut pages: Vec<Vec<u32>> = vec![Vec::new(), vec![7], vec![u32::MAX, 0, u32::MAX, 1 << 31]];
        for len in [2, 32, 33, 128, 129, 130, 1_023, 1_024] {
            pages.extend((1..=32).map(|bits| (0..len).map(|n| noise(n, bits)).collect()));
            pages.push(vec![5; len as usize]);
        }
        for values in pages {
            let (mut bytes, mut decoded) = (Vec::new(), vec![1]);
            encode(&values, &mut bytes);
            decode::<u32>(&bytes, values.len(), &mut decoded).expect("a page");
            assert_eq!(decoded[1..], values);
            // As many bits as above, and 31 more.
            for shift in [0, 31] {
                let values: Vec<u64> = values.iter().map(|value| u64::from(*value) << shift).collect();
                let (mut bytes, mut decoded) = (Vec::new(), vec![1]);
                encode(&values, &mut bytes);
                decode::<u64>(&bytes, values.len(), &mut decoded).expect("a page");
                assert_eq!(decoded[1..], values);
            }
        }
    }
}
