//! The tables against a reader that takes one bit after another.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

/// Counts and symbols of a table, as a file would state them.
#[derive(Debug)]
struct Table {
    counts: [u8; 17],
    symbols: [u8; 256],
}

impl Table {
    fn stated(&self) -> Stated<'_> {
        Stated { counts: &self.counts, symbols: &self.symbols }
    }

    /// The next symbol; nothing if there is none, or the bits end.
    fn symbol(&self, bits: &mut impl Iterator<Item = bool>) -> Option<u8> {
        let (mut code, mut first, mut index) = (0, 0, 0);
        for length in 1..=16 {
            code = code << 1 | usize::from(bits.next()?);
            let count = usize::from(self.counts[length]);
            if code < first + count {
                return Some(self.symbols[index + code - first]);
            }
            index += count;
            first = (first + count) << 1;
        }
        None
    }
}

fn value(size: u8, bits: &mut impl Iterator<Item = bool>) -> Option<i32> {
    let mut value = 0;
    for _ in 0..size {
        value = value << 1 | i32::from(bits.next()?);
    }
    let half = 1 << size >> 1;
    Some(if value < half { value - (1 << size) + 1 } else { value })
}

/// T.81, figure F.13.
fn reference(table: &Table, bits: &mut impl Iterator<Item = bool>) -> Option<Block> {
    let (mut block, mut next) = ([0; 64], 1);
    while next < 64 {
        let symbol = table.symbol(bits)?;
        match (symbol >> 4, symbol & 15) {
            (15, 0) => next += 16,
            (_, 0) => break,
            (run, size) => {
                let value = value(size, bits)?;
                block[usize::from(*ZIGZAG.get(next + usize::from(run))?)] = value as i16;
                next += usize::from(run) + 1;
            }
        }
    }
    Some(block)
}

/// Any table: from one that is as good as full to one that lacks most codes, of short codes and of long ones.
fn tables() -> impl Strategy<Value = Table> {
    let symbols = Just((0..=255).collect::<Vec<u8>>()).prop_shuffle();
    (vec(0.0..1.0_f64, 16), symbols).prop_map(|(fractions, shuffled)| {
        let (mut counts, mut free, mut unused) = ([0; 17], 1_usize, 255);
        for (count, fraction) in counts[1..].iter_mut().zip(fractions) {
            free *= 2;
            // The code of ones alone is no code.
            let taken = (((free - 1) as f64 * fraction) as usize).min(unused);
            *count = taken as u8;
            (free, unused) = (free - taken, unused - taken);
        }
        let mut symbols: [u8; 256] = shuffled.try_into().expect("256 symbols");
        // Short values and short runs first, as in files; else hardly a block would have a second coefficient.
        symbols.sort_by_key(|symbol| (symbol & 15) + (symbol >> 4));
        symbols[..12].reverse();
        Table { counts, symbols }
    })
}

/// A zero follows each ff.
fn stuffed(bytes: &[u8]) -> Vec<u8> {
    bytes.iter().flat_map(|&byte| [Some(byte), (byte == 0xff).then_some(0)]).flatten().collect()
}

fn bits_of(bytes: &[u8]) -> Vec<bool> {
    bytes.iter().flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1 == 1)).collect()
}

/// How many bits were taken of `bytes`, without the zeroes that were stuffed in.
fn position(bits: &Bits<'_>, bytes: &[u8]) -> usize {
    let (taken, _, left, _) = bits.end();
    let stuffed = bytes[..taken].windows(2).filter(|pair| pair[0] == 0xff).count();
    (taken - stuffed) * 8 - left as usize
}

proptest! {
    /// Block after block, all coefficients, some of them, and none.
    #[test]
    fn blocks_are_what_they_are_bit_by_bit(
        table in tables(),
        bytes in vec(prop_oneof![any::<u8>(), Just(0xff), Just(0)], 8..300),
    ) {
        let (file, all_bits) = (stuffed(&bytes), bits_of(&bytes));
        let mut codes = AcCodes::new();
        codes.set(table.stated());
        let mut bits = Bits::new(&file, 0, 0, 0);
        loop {
            let start = position(&bits, &file);
            let mut rest = all_bits[start..].iter().copied();
            let expected = reference(&table, &mut rest);
            let end = all_bits.len() - rest.len();

            let mut skipped = bits;
            let skipped = skipped.skip_ac(&codes).map(|()| position(&skipped, &file));
            for kept in [&Kept::ALL, &Kept::FOUR, &Kept::TWO, &Kept::NONE] {
                let (mut some, mut block) = (bits, [0; 64]);
                let found = some.ac(&codes, kept, &mut block).map(|()| position(&some, &file));
                // What the last bytes hold is left to libjpeg, and so is what is no code.
                prop_assert!(found.is_some() || expected.is_none() || end + 8 * 24 > all_bits.len());
                if found.is_some() {
                    prop_assert_eq!(found, Some(end));
                    let mut expected = expected.expect("no more is found than there is");
                    kept.retain(&mut expected);
                    kept.retain(&mut block);
                    // Neither of the two matters, see `Kept`.
                    (expected[36], block[36]) = (0, 0);
                    prop_assert_eq!(block, expected);
                }
            }
            prop_assert!(skipped.is_some() || expected.is_none() || end + 8 * 24 > all_bits.len());
            prop_assert!(skipped.is_none_or(|skipped| skipped == end));
            let mut block = [0; 64];
            if bits.ac(&codes, &Kept::ALL, &mut block).is_none() {
                break;
            }
        }
    }

    #[test]
    fn differences_are_what_they_are_bit_by_bit(table in tables(), bytes in vec(any::<u8>(), 8..100)) {
        let (file, all_bits) = (stuffed(&bytes), bits_of(&bytes));
        let mut codes = Codes::new();
        codes.set(table.stated());
        let mut bits = Bits::new(&file, 0, 0, 0);
        loop {
            let mut rest = all_bits[position(&bits, &file)..].iter().copied();
            let expected = table.symbol(&mut rest).filter(|size| *size < 16).and_then(|size| value(size, &mut rest));
            let Some(found) = bits.dc(&codes) else {
                prop_assert!(expected.is_none() || rest.len() < 8 * 16);
                break;
            };
            prop_assert_eq!(Some(found), expected);
            prop_assert_eq!(position(&bits, &file), all_bits.len() - rest.len());
        }
    }

    #[test]
    fn clean_bytes_end_at_the_first_ff(bytes in vec(prop_oneof![9 => any::<u8>(), 1 => Just(0xff)], 0..60)) {
        let expected = bytes.iter().position(|byte| *byte == 0xff).unwrap_or(bytes.len());
        prop_assert_eq!(clean(&bytes), expected);
    }
}

#[test]
fn what_is_kept_is_a_square() {
    for (side, kept) in [(1, &Kept::NONE), (2, &Kept::TWO), (4, &Kept::FOUR), (8, &Kept::ALL)] {
        let mut block = [1; 64];
        kept.retain(&mut block);
        for (at, value) in block.into_iter().enumerate() {
            let inside = at / 8 < side && at % 8 < side;
            assert!(at == 36 || (value == 1) == inside, "{at} of {side}");
        }
    }
}
