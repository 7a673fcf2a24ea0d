//! Blocks in bytes: plain functions on a slice.

use super::{BLOCK_HEADER, MAX_PAYLOAD, MAX_SEQUENCE};

/// A whole block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block<'a> {
    /// Where it begins, bytes.
    pub offset: usize,
    /// Its number.
    pub sequence: u64,
    /// What it carries.
    pub payload: &'a [u8],
}

impl Block<'_> {
    /// Where it ends, bytes.
    #[must_use]
    pub fn end(&self) -> usize {
        self.offset + BLOCK_HEADER + self.payload.len()
    }
}

/// A part of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece<'a> {
    /// A block.
    Block(Block<'a>),
    /// Bytes that are none, with a whole block behind them.
    Damage {
        /// Where they begin.
        offset: usize,
        /// How many. 0 if blocks are missing without a trace.
        bytes: usize,
        /// How many blocks are missing, by the sequence of the next.
        lost: u64,
    },
    /// Bytes that are none, up to the end.
    Tail {
        /// Where they begin.
        offset: usize,
    },
}

/// The blocks of a segment, in order, and what is between them.
#[derive(Clone, Debug)]
pub struct Blocks<'a> {
    bytes: &'a [u8],
    offset: usize,
    next: u64,
    found: Option<Block<'a>>,
}

impl<'a> Blocks<'a> {
    /// Those from `offset` on, of which the first should have the sequence `next`.
    #[must_use]
    pub fn new(bytes: &'a [u8], offset: usize, next: u64) -> Self {
        Self { bytes, offset: offset.min(bytes.len()), next, found: None }
    }

    /// Where the next piece begins, and the sequence that is expected there.
    #[must_use]
    pub fn position(&self) -> (usize, u64) {
        (self.offset, self.next)
    }

    fn take(&mut self, block: Block<'a>) -> Piece<'a> {
        self.offset = block.end();
        self.next = block.sequence + 1;
        Piece::Block(block)
    }
}

impl<'a> Iterator for Blocks<'a> {
    type Item = Piece<'a>;

    fn next(&mut self) -> Option<Piece<'a>> {
        if let Some(block) = self.found.take() {
            return Some(self.take(block));
        }
        let offset = self.offset;
        if offset == self.bytes.len() {
            return None;
        }
        let found = (offset..self.bytes.len()).find_map(|at| block_at(self.bytes, at, self.next));
        match found {
            Some(block) if block.offset == offset && block.sequence == self.next => Some(self.take(block)),
            Some(block) => {
                self.found = Some(block);
                Some(Piece::Damage { offset, bytes: block.offset - offset, lost: block.sequence - self.next })
            }
            None => {
                self.offset = self.bytes.len();
                Some(Piece::Tail { offset })
            }
        }
    }
}

/// The block that begins at an offset, if a whole one with this sequence or a later one does. An earlier sequence is a
/// page that the disk wrote to the wrong place.
pub(super) fn block_at(bytes: &[u8], offset: usize, next: u64) -> Option<Block<'_>> {
    let (header, rest) = bytes.get(offset..)?.split_first_chunk::<BLOCK_HEADER>()?;
    let (len, header) = header.split_first_chunk::<4>()?;
    let (crc, sequence) = header.split_first_chunk::<4>()?;
    let len = usize::try_from(u32::from_le_bytes(*len)).ok()?;
    if len == 0 || len > MAX_PAYLOAD {
        return None;
    }
    let payload = rest.get(..len)?;
    let number = u64::from_le_bytes(sequence.try_into().ok()?);
    if number < next || number >= MAX_SEQUENCE || u32::from_le_bytes(*crc) != checksum(number, payload) {
        return None;
    }
    Some(Block { offset, sequence: number, payload })
}

/// Appends a block.
pub(super) fn write_block(out: &mut Vec<u8>, sequence: u64, payload: &[u8]) {
    // MAX_PAYLOAD fits.
    out.extend_from_slice(&u32::try_from(payload.len()).unwrap_or(u32::MAX).to_le_bytes());
    out.extend_from_slice(&checksum(sequence, payload).to_le_bytes());
    out.extend_from_slice(&sequence.to_le_bytes());
    out.extend_from_slice(payload);
}

fn checksum(sequence: u64, payload: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&u32::try_from(payload.len()).unwrap_or(u32::MAX).to_le_bytes());
    hasher.update(&sequence.to_le_bytes());
    hasher.update(payload);
    hasher.finalize()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bytes_of(payloads: &[String], first: u64) -> Vec<u8> {
        let mut out = Vec::new();
        for (sequence, payload) in (first..).zip(payloads) {
            write_block(&mut out, sequence, payload.as_bytes());
        }
        out
    }

    fn blocks(bytes: &[u8], first: u64) -> Vec<(u64, String)> {
        Blocks::new(bytes, 0, first)
            .filter_map(|piece| match piece {
                Piece::Block(block) => Some((block.sequence, String::from_utf8(block.payload.to_vec()).unwrap())),
                _ => None,
            })
            .collect()
    }

    fn payloads() -> impl Strategy<Value = Vec<String>> {
        prop::collection::vec("\\{[a-z\":,]{0,60}\\}", 1..12)
    }

    proptest! {
        #[test]
        fn any_prefix_gives_a_prefix(payloads in payloads(), first in 0..1u64 << 40) {
            let bytes = bytes_of(&payloads, first);
            let all = blocks(&bytes, first);
            prop_assert_eq!(all.len(), payloads.len());
            for cut in 0..bytes.len() {
                let some = blocks(&bytes[..cut], first);
                prop_assert_eq!(&some[..], &all[..some.len()]);
                // No block that is whole is left out.
                let whole = all.iter().scan(0, |end, (_, p)| { *end += BLOCK_HEADER + p.len(); Some(*end) });
                prop_assert_eq!(some.len(), whole.filter(|end| *end <= cut).count());
            }
        }

        #[test]
        fn damage_never_invents_an_entry_nor_hides_one_outside_it(
            payloads in payloads(), first in 0..1u64 << 40,
            at in any::<prop::sample::Index>(), noise in prop::collection::vec(any::<u8>(), 1..80),
        ) {
            let clean = bytes_of(&payloads, first);
            let all = blocks(&clean, first);
            let start = at.index(clean.len());
            let end = (start + noise.len()).min(clean.len());
            let mut bytes = clean.clone();
            bytes[start..end].copy_from_slice(&noise[..end - start]);
            let some = blocks(&bytes, first);
            let mut offset = 0;
            for entry in &all {
                let next = offset + BLOCK_HEADER + entry.1.len();
                if next <= start || offset >= end {
                    prop_assert!(some.contains(entry), "an intact entry is missing");
                }
                offset = next;
            }
            prop_assert!(some.iter().all(|entry| all.contains(entry)), "an entry that nobody wrote");
        }

        #[test]
        fn a_part_that_is_cut_out_or_doubled_is_noticed(
            payloads in payloads(), a in any::<prop::sample::Index>(), b in any::<prop::sample::Index>(), double: bool,
        ) {
            let clean = bytes_of(&payloads, 1);
            let all = blocks(&clean, 1);
            let (a, b) = (a.index(clean.len() + 1), b.index(clean.len() + 1));
            let (a, b) = (a.min(b), a.max(b));
            let mut bytes = clean[..if double { b } else { a }].to_vec();
            bytes.extend_from_slice(&clean[if double { a } else { b }..]);
            let some = blocks(&bytes, 1);
            prop_assert!(some.is_sorted_by(|a, b| a.0 < b.0), "in order and none twice");
            prop_assert!(some.iter().all(|entry| all.contains(entry)));
        }

        #[test]
        fn garbage_is_no_panic(bytes in prop::collection::vec(any::<u8>(), 0..4000), offset in 0..5000usize, next: u64) {
            for _ in Blocks::new(&bytes, offset, next) {}
        }
    }

    #[test]
    fn damage_says_where_and_how_many_are_lost() {
        let payloads: Vec<String> = (0..5).map(|n| format!("{{\"n\":{n}}}")).collect();
        let mut bytes = bytes_of(&payloads, 10);
        let size = BLOCK_HEADER + payloads[0].len();
        bytes[size + 20] ^= 1;
        bytes[2 * size + 3] = 0xff;
        let pieces: Vec<_> = Blocks::new(&bytes, 0, 10).collect();
        assert_eq!(pieces[1], Piece::Damage { offset: size, bytes: 2 * size, lost: 2 });
        assert_eq!(pieces.len(), 4);
        // Zeros, as some file systems leave them behind the last sync.
        bytes.extend_from_slice(&[0; 4096]);
        assert_eq!(Blocks::new(&bytes, 0, 10).last(), Some(Piece::Tail { offset: 5 * size }));
    }
}
