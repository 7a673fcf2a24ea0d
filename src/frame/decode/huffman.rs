//! Huffman decoding of baseline JPEG: one look-up for two coefficients, or for an end of block as well, and for what nobody
//! will look at, one for several coefficients.
//!
//! The codes are those of ITU-T T.81, annexes C and F. Looking up a short code and its value at once is Sean Barrett's, from
//! `stb_image`. Everything here either finds what libjpeg's decoder finds, or finds nothing: then libjpeg decides.

mod tables;
#[cfg(test)]
mod tests;

pub(super) use tables::{AcCodes, Codes, Stated};
use tables::{Code, LOOK, PAIR, SKIP, STEP, value_of};

/// Coefficients of a block, by row and column.
pub(super) type Block = [i16; 64];

/// Where the coefficients of a block stand, in the order in which they are coded.
const ZIGZAG: [u8; 64] = [
    0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6, 7, 14, 21,
    28, 35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54,
    47, 55, 62, 63,
];

/// How often pairs are looked up before more bits are taken; and steps.
const PAIRS: u32 = 4;
const STEPS: u32 = 2;
/// Bits of the longest code and of the longest value together: 16 and 15.
const LONGEST: u32 = 32;
/// Where the next coefficient would be once the block has ended.
const ENDED: u32 = 64 + 64;

/// Which coefficients of a block are kept: those of as many rows and columns as the inverse transform makes of the block.
///
/// libjpeg's reduced transforms average the samples of the full one. Coefficients of the upper rows and columns have
/// nothing left to say about the averages but aliases of what the smaller block can't hold.
pub(super) struct Kept {
    /// By their order in the file, where they are written.
    places: [u8; 64],
    /// One after the last that is kept, in the order of the file.
    end: u32,
}

impl Kept {
    /// The first coefficient alone.
    pub(super) const NONE: Self = Self::of_side(1);
    pub(super) const TWO: Self = Self::of_side(2);
    pub(super) const FOUR: Self = Self::of_side(4);
    pub(super) const ALL: Self = Self::of_side(8);

    const fn of_side(side: u8) -> Self {
        /// Row 4, column 4: neither is read by any of the reduced transforms.
        const UNREAD: u8 = 4 * 8 + 4;
        let (mut places, mut end, mut at) = ([UNREAD; 64], 0, 0);
        while at < 64 {
            if ZIGZAG[at] / 8 < side && ZIGZAG[at] % 8 < side {
                places[at] = ZIGZAG[at];
                end = at as u32 + 1;
            }
            at += 1;
        }
        Self { places, end }
    }

    /// Makes zeroes of the others in a block that someone else decoded.
    pub(super) fn retain(&self, block: &mut Block) {
        for (&place, &kept) in ZIGZAG.iter().zip(&self.places) {
            if place != kept {
                block[usize::from(place)] = 0;
            }
        }
    }
}

/// Reads bits from a scan, up to a marker or the last bytes: libjpeg does the rest.
#[derive(Clone, Copy)]
pub(super) struct Bits<'a> {
    bytes: &'a [u8],
    /// What is left of them before the next ff, or the end.
    clean: &'a [u8],
    /// Where `clean` ends.
    ff: usize,
    /// The next bits, from the highest on. Below those that were taken stand zeroes, or the bits that follow.
    buffer: u64,
    /// How many were taken, at most 63.
    left: u32,
}

impl<'a> Bits<'a> {
    /// Starts with the lowest `left` bits of `buffer`, then `bytes`, the first `known` of which are known not to be ff.
    #[inline(always)]
    pub(super) fn new(bytes: &'a [u8], buffer: u64, left: u32, known: usize) -> Self {
        let buffer = if left == 0 { 0 } else { buffer << (64 - left) };
        let ff = if known == 0 { clean(bytes) } else { known.min(bytes.len()) };
        Self { bytes, clean: &bytes[..ff], ff, buffer, left }
    }

    /// The bytes that were taken, and those of their bits that were not read, as [`Bits::new`] takes them; and how many of the
    /// bytes that follow are known not to be ff.
    pub(super) fn end(&self) -> (usize, u64, u32, usize) {
        let buffer = if self.left == 0 { 0 } else { self.buffer >> (64 - self.left) };
        (self.ff - self.clean.len(), buffer, self.left, self.clean.len())
    }

    /// Makes sure of `least` bits, up to 56.
    ///
    /// It is cheaper to take bytes each time than to ask whether that is necessary: the answer can't be foreseen.
    #[inline(always)]
    fn fill(&mut self, least: u32) -> Option<()> {
        if let Some(next) = self.clean.first_chunk() {
            self.buffer |= u64::from_be_bytes(*next) >> self.left;
            self.clean = &self.clean[((63 - self.left) / 8) as usize..];
            self.left |= 56;
        } else if self.left < least {
            *self = self.filled_slowly(least)?;
        }
        Some(())
    }

    /// The same where an ff is near.
    #[cold]
    #[inline(never)]
    fn filled_slowly(mut self, least: u32) -> Option<Self> {
        while self.left < 56 {
            let rest = &self.bytes[self.ff - self.clean.len()..];
            if self.clean.is_empty() {
                let [0xff, 0, after @ ..] = rest else {
                    // A marker, or the end. The bits before it may be enough.
                    return (self.left >= least).then_some(self);
                };
                self.clean = &after[..clean(after)];
                self.ff += 2 + self.clean.len();
                self.buffer |= 0xff << (56 - self.left);
                self.left += 8;
            } else {
                let Some(next) = rest.first_chunk() else { return (self.left >= least).then_some(self) };
                let taken = self.clean.len().min(((63 - self.left) / 8) as usize);
                self.clean = &self.clean[taken..];
                let end = self.left + 8 * taken as u32;
                self.buffer |= u64::from_be_bytes(*next) >> self.left & u64::MAX << (64 - end);
                self.left = end;
            }
        }
        Some(self)
    }

    /// The next bits, up to 32 of them.
    #[inline(always)]
    fn peek(&self, count: u32) -> usize {
        (self.buffer >> (64 - count)) as usize
    }

    /// Takes as many bits as the lowest six of `count` say: a shift looks at no more.
    #[inline(always)]
    fn take(&mut self, count: u32) {
        self.buffer <<= count & 63;
        self.left = self.left.wrapping_sub(count & 63);
    }

    /// The difference of a block's first coefficient from that of the block before.
    ///
    /// `None`, here and below: this is for libjpeg to decode, from where it was before.
    #[inline(always)]
    pub(super) fn dc(&mut self, codes: &Codes) -> Option<i32> {
        self.fill(LONGEST)?;
        let (size, value) = self.coded(codes)?;
        (size < 16).then_some(value)
    }

    /// The other coefficients that are kept, into a block of zeroes.
    #[inline(always)]
    pub(super) fn ac(&mut self, codes: &AcCodes, kept: &Kept, block: &mut Block) -> Option<()> {
        // A copy can live in registers; what `self` points to could not.
        let mut bits = *self;
        let mut next = 1;
        'block: while next < kept.end {
            bits.fill(PAIRS * PAIR)?;
            'pairs: {
                for _ in 0..PAIRS {
                    let pair = codes.pairs[bits.peek(PAIR)];
                    let second = next + pair.second();
                    if second >= 64 {
                        break 'pairs;
                    }
                    let first = next + pair.first();
                    // Where there is no second one, it has the place of the first.
                    block[usize::from(kept.places[second as usize] & 63)] = pair.second_value();
                    block[usize::from(kept.places[first as usize & 63] & 63)] = pair.first_value();
                    bits.take(pair.taken());
                    next = second + 1 + pair.end();
                    if next >= kept.end {
                        break 'block;
                    }
                }
                continue 'block;
            }
            bits.fill(LONGEST)?;
            let (symbol, value) = bits.coded(&codes.codes)?;
            let run = symbol >> 4;
            if symbol & 15 == 0 && run != 15 {
                next = ENDED;
                break;
            }
            let at = next + run;
            if value != 0 {
                let place = *kept.places.get(at as usize)?;
                block[usize::from(place & 63)] = value as i16;
            }
            next = at + 1;
        }
        *self = bits.skipped(codes, next)?;
        Some(())
    }

    /// Passes over the other coefficients.
    #[inline(always)]
    pub(super) fn skip_ac(&mut self, codes: &AcCodes) -> Option<()> {
        *self = self.skipped(codes, 1)?;
        Some(())
    }

    /// Passes over the coefficients from `next` on.
    #[inline(always)]
    fn skipped(mut self, codes: &AcCodes, mut next: u32) -> Option<Self> {
        'block: while next < 64 {
            self.fill(STEPS * STEP)?;
            'steps: {
                for _ in 0..STEPS {
                    let step = codes.steps[self.peek(SKIP)];
                    let after = next + u32::from(step >> 6 & 63);
                    // Only while the block goes on after them may several codes be taken at once.
                    if after >= 64 {
                        break 'steps;
                    }
                    self.take(u32::from(step));
                    next = after + u32::from(step >> 6 & 64);
                    if next >= 64 {
                        break 'block;
                    }
                }
                continue 'block;
            }
            self.fill(LONGEST)?;
            let (length, symbol) = codes.codes.code(self.buffer, 1)?;
            let (run, size) = (symbol >> 4, symbol & 15);
            self.take(length + size);
            match (run, size) {
                (15, 0) => next += 16,
                (_, 0) => break,
                _ if next + run > 63 => return None,
                _ => next += run + 1,
            }
        }
        Some(self)
    }

    /// A symbol, and the value that follows it.
    #[inline(always)]
    fn coded(&mut self, codes: &Codes) -> Option<(u32, i32)> {
        let mut code = codes.short[self.peek(LOOK)];
        if let Some(value) = code.value() {
            self.take(code.taken());
            return Some((code.symbol(), value));
        }
        if code == Code::LONG {
            code = codes.long(self.buffer)?;
        }
        self.take(code.taken());
        let size = code.symbol() & 15;
        let value = value_of(self.buffer, size);
        self.take(size);
        Some((code.symbol(), value))
    }
}

/// How many bytes stand before the first ff.
fn clean(bytes: &[u8]) -> usize {
    const LOWEST: u64 = u64::MAX / 255;
    const HIGHEST: u64 = LOWEST << 7;
    let (chunks, _) = bytes.as_chunks();
    let mut whole = 0;
    for chunk in chunks {
        let chunk = u64::from_le_bytes(*chunk);
        let found = (!chunk).wrapping_sub(LOWEST) & chunk & HIGHEST;
        if found != 0 {
            return whole + found.trailing_zeros() as usize / 8;
        }
        whole += 8;
    }
    whole + bytes[whole..].iter().take_while(|byte| **byte != 0xff).count()
}
