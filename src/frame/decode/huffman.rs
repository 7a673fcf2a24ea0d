//! Huffman decoding of baseline JPEG: one look-up for a code together with the bits that follow it, and for blocks that
//! nobody will look at, one for several coefficients.
//!
//! The codes are those of ITU-T T.81, annexes C and F. Looking up a short code and its value at once is Sean Barrett's, from
//! `stb_image`. Everything here either finds what libjpeg's decoder finds, or finds nothing: then libjpeg decides.

/// Coefficients of a block, by row and column.
pub(super) type Block = [i16; 64];

/// Bits that are looked up to find a coefficient. With 10, half of a photograph's coefficients are found with their
/// values at once, and the tables of two components fit into the first cache together.
const LOOK: u32 = 10;
/// Bits that are looked up to pass over coefficients.
const SKIP: u32 = 12;

/// Where the coefficients of a block stand, in the order in which they are coded.
const ZIGZAG: [u8; 64] = [
    0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6, 7, 14, 21,
    28, 35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54,
    47, 55, 62, 63,
];

/// A table as a JPEG file states it: the number of codes of each length from 1 to 16 bits, and their symbols.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Stated<'a> {
    /// By length; the first is not used.
    pub(super) counts: &'a [u8; 17],
    pub(super) symbols: &'a [u8; 256],
}

/// The codes of one table.
pub(super) struct Codes {
    counts: [u8; 17],
    symbols: [u8; 256],
    /// By the next [`LOOK`] bits. From the lowest: 8 bits, how many bits to take; 8 bits, the number of coefficients that are
    /// 0 before this one; 16 bits, its value. Where the value does not fit it is 0, and the others are the length of the code
    /// and its symbol; all 0 if not even the code fits.
    values: Box<[u32; 1 << LOOK]>,
    /// By length: what to add to a code to find its symbol; and the code after the last one of that length.
    offsets: [i32; 17],
    ends: [i32; 17],
}

impl Codes {
    pub(super) fn new() -> Self {
        let values = vec![0; 1 << LOOK].into_boxed_slice().try_into().expect("the right length");
        Self { counts: [0; 17], symbols: [0; 256], values, offsets: [0; 17], ends: [0; 17] }
    }

    /// Takes over a stated table; whether it differs from the one before. In a table with more codes than there is room for,
    /// which libjpeg does not let pass, those are not found.
    pub(super) fn set(&mut self, stated: Stated<'_>) -> bool {
        if (Stated { counts: &self.counts, symbols: &self.symbols }) == stated {
            return false;
        }
        (self.counts, self.symbols) = (*stated.counts, *stated.symbols);
        self.values.fill(0);
        let (mut code, mut index) = (0_i32, 0_i32);
        for length in 1..=16_u32 {
            let count = i32::from(self.counts[length as usize]);
            self.offsets[length as usize] = index - code;
            self.ends[length as usize] = code + count;
            if length <= LOOK {
                let symbols = stated.symbols.iter().skip(index as usize);
                for (code, symbol) in (code..code + count).zip(symbols) {
                    self.fill(code as usize, length, *symbol);
                }
            }
            index += count;
            code = (code + count) << 1;
        }
        true
    }

    /// Fills in all entries that begin with a code.
    fn fill(&mut self, code: usize, length: u32, symbol: u8) {
        let rest = LOOK - length;
        let first = code << rest;
        let size = u32::from(symbol & 15);
        let Some(entries) = self.values.get_mut(first..first + (1 << rest)) else { return };
        for (follows, entry) in entries.iter_mut().enumerate() {
            *entry = if size > 0 && size <= rest {
                let value = value((follows as u64) << (64 - rest), size);
                (value as u32) << 16 | u32::from(symbol >> 4) << 8 | (length + size)
            } else {
                u32::from(symbol) << 8 | length
            };
        }
    }

    /// Length and symbol of the code that `bits` begin with, if it is longer than [`LOOK`].
    #[cold]
    fn long(&self, bits: u64) -> Option<(u32, u32)> {
        self.code(bits, LOOK + 1)
    }

    /// Length and symbol of the code that `bits` begin with, if it is `shortest` or longer (T.81, figure F.16).
    fn code(&self, bits: u64, shortest: u32) -> Option<(u32, u32)> {
        (shortest..=16).find_map(|length| {
            let code = (bits >> (64 - length)) as i32;
            let symbol = self.symbols.get(usize::try_from(code + self.offsets[length as usize]).ok()?)?;
            (code < self.ends[length as usize]).then_some((length, u32::from(*symbol)))
        })
    }
}

/// The codes of a table for all coefficients but the first, and how to pass over many of them at once.
pub(super) struct AcCodes {
    codes: Codes,
    /// By the next [`SKIP`] bits, as many coefficients as they hold the codes of. From the lowest: 5 bits, how many bits
    /// to take; 6 bits, by how many coefficients that goes forward; 1 bit, whether the block ends there. 0 if they hold no code.
    steps: Box<[u16; 1 << SKIP]>,
}

/// The block ends.
const END: u16 = 1 << 11;

impl AcCodes {
    pub(super) fn new() -> Self {
        let steps = vec![0; 1 << SKIP].into_boxed_slice().try_into().expect("the right length");
        Self { codes: Codes::new(), steps }
    }

    /// See [`Codes::set`].
    pub(super) fn set(&mut self, stated: Stated<'_>) {
        if self.codes.set(stated) {
            for (bits, step) in self.steps.iter_mut().enumerate() {
                *step = step_of(&self.codes, bits as u64);
            }
        }
    }
}

/// How far the codes in [`SKIP`] bits lead.
fn step_of(codes: &Codes, bits: u64) -> u16 {
    let (mut taken, mut forward) = (0, 0);
    // Codes are found among bits that were not looked at, and are zeroes here: those are not taken.
    while taken < SKIP
        && let Some((length, symbol)) = codes.code(bits << (64 - SKIP + taken), 1)
        && taken + length <= SKIP
    {
        let (run, size) = (symbol >> 4, symbol & 15);
        if size == 0 && run != 15 {
            return END | (forward as u16) << 5 | (taken + length) as u16;
        }
        if forward + run + 1 >= 64 {
            break;
        }
        forward += run + 1;
        // The value itself may lie beyond what was looked up.
        taken += length + size;
    }
    (forward as u16) << 5 | taken as u16
}

/// The value that the highest `size` bits stand for, 1 to 15 of them (T.81, figure F.12).
#[inline(always)]
fn value(bits: u64, size: u32) -> i32 {
    // All ones if the highest is 0: then the value is negative.
    let negative = !(bits as i64 >> 63) as i32;
    (bits >> (64 - size)) as i32 + (negative & ((-1 << size) + 1))
}

/// Reads bits from a scan, up to a marker or the last eight bytes: libjpeg does the rest.
#[derive(Clone, Copy)]
pub(super) struct Bits<'a> {
    bytes: &'a [u8],
    /// Bytes that were taken.
    at: usize,
    /// The next bits, from the highest on. Below those that were taken stand zeroes, or the bits that follow.
    buffer: u64,
    /// How many were taken.
    left: u32,
}

impl<'a> Bits<'a> {
    /// Starts with the lowest `left` bits of `buffer`, then `bytes`.
    pub(super) fn new(bytes: &'a [u8], buffer: u64, left: u32) -> Self {
        let buffer = if left == 0 { 0 } else { buffer << (64 - left) };
        Self { bytes, at: 0, buffer, left }
    }

    /// The bytes that were taken, and those of their bits that were not read, as [`Bits::new`] takes them.
    pub(super) fn end(&self) -> (usize, u64, u32) {
        (self.at, if self.left == 0 { 0 } else { self.buffer >> (64 - self.left) }, self.left)
    }

    /// Makes sure of 32 bits: a code of 16 and a value of 15, at most.
    #[inline(always)]
    fn fill(&mut self) -> Option<()> {
        const LOWEST: u64 = u64::MAX / 255;
        const HIGHEST: u64 = LOWEST << 7;
        if self.left >= 32 {
            return Some(());
        }
        let next = self.bytes.get(self.at..self.at + 8)?;
        let next = u64::from_be_bytes(next.try_into().expect("eight bytes"));
        if (!next).wrapping_sub(LOWEST) & next & HIGHEST == 0 {
            // None of them is ff.
            self.buffer |= next >> self.left;
            let taken = (63 - self.left) / 8;
            self.at += taken as usize;
            self.left += taken * 8;
        } else {
            *self = self.filled_by_bytes()?;
        }
        Some(())
    }

    #[cold]
    fn filled_by_bytes(mut self) -> Option<Self> {
        while self.left <= 56 {
            let byte = *self.bytes.get(self.at)?;
            if byte == 0xff && *self.bytes.get(self.at + 1)? != 0 {
                // A marker. The bits before it may be enough.
                return (self.left >= 32).then_some(self);
            }
            self.buffer |= u64::from(byte) << (56 - self.left);
            self.left += 8;
            self.at += if byte == 0xff { 2 } else { 1 };
        }
        Some(self)
    }

    #[inline(always)]
    fn take(&mut self, count: u32) {
        self.buffer <<= count;
        self.left -= count;
    }

    /// The difference of a block's first coefficient from that of the block before.
    ///
    /// `None`, here and below: this is for libjpeg to decode, from where it was before.
    #[inline]
    pub(super) fn dc(&mut self, codes: &Codes) -> Option<i32> {
        self.fill()?;
        let entry = codes.values[(self.buffer >> (64 - LOOK)) as usize];
        let value = entry as i32 >> 16;
        if value != 0 {
            self.take(entry & 0xff);
            return Some(value);
        }
        let (length, size) = if entry == 0 { codes.long(self.buffer)? } else { (entry & 0xff, entry >> 8) };
        self.take(length);
        match size {
            0 => Some(0),
            1..=15 => Some(self.value(size)),
            _ => None,
        }
    }

    /// The other coefficients, into a block of zeroes.
    #[inline]
    pub(super) fn ac(&mut self, codes: &AcCodes, block: &mut Block) -> Option<()> {
        // A copy can live in registers; what `self` points to could not.
        let mut bits = *self;
        let codes = &codes.codes;
        let mut next = 1;
        while next < 64 {
            bits.fill()?;
            let entry = codes.values[(bits.buffer >> (64 - LOOK)) as usize];
            // The sign comes with it.
            let mut value = entry as i32 >> 16;
            let run;
            if value != 0 {
                bits.take(entry & 0xff);
                run = entry >> 8 & 0xff;
            } else {
                let (length, symbol) = if entry == 0 { codes.long(bits.buffer)? } else { (entry & 0xff, entry >> 8) };
                bits.take(length);
                run = symbol >> 4;
                match symbol & 15 {
                    0 if run == 15 => {
                        next += 16;
                        continue;
                    }
                    0 => break,
                    size => value = bits.value(size),
                }
            }
            let at = next + run as usize;
            let place = *ZIGZAG.get(at)?;
            block[usize::from(place & 63)] = value as i16;
            next = at + 1;
        }
        *self = bits;
        Some(())
    }

    /// Passes over the other coefficients.
    #[inline]
    pub(super) fn skip_ac(&mut self, codes: &AcCodes) -> Option<()> {
        let mut bits = *self;
        let mut next = 1;
        while next < 64 {
            bits.fill()?;
            let step = codes.steps[(bits.buffer >> (64 - SKIP)) as usize];
            // Only while the block goes on after them may several codes be taken at once.
            let after = next + u32::from(step >> 5 & 63);
            if step != 0 && after < 64 {
                bits.take(u32::from(step & 31));
                if step & END != 0 {
                    break;
                }
                next = after;
                continue;
            }
            let (length, symbol) = codes.codes.code(bits.buffer, 1)?;
            let (run, size) = (symbol >> 4, symbol & 15);
            bits.take(length + size);
            match (run, size) {
                (15, 0) => next += 16,
                (_, 0) => break,
                _ if next + run > 63 => return None,
                _ => next += run + 1,
            }
        }
        *self = bits;
        Some(())
    }

    #[inline(always)]
    fn value(&mut self, size: u32) -> i32 {
        let value = value(self.buffer, size);
        self.take(size);
        value
    }
}
