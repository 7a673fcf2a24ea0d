//! Tables made from the codes of a file, by the bits that come next.

/// Bits that are looked up to find two coefficients. With 11, 96 to 99 of 100 look-ups in noisy frames find something, and the
/// tables of two components, 8 KiB each, leave half of a first cache of 32 KiB to others.
pub(super) const PAIR: u32 = 11;
/// Bits that are looked up to find one, where the other table has nothing.
pub(super) const LOOK: u32 = 10;
/// Bits that are looked up to pass over coefficients. With 13 it is 1 % faster, and with twice the memory.
pub(super) const SKIP: u32 = 12;
/// Bits that these tell to take, at most: the last of them may be a code whose value follows.
pub(super) const STEP: u32 = SKIP + 15;

/// A table as a JPEG file states it: the number of codes of each length from 1 to 16 bits, and their symbols.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in super::super) struct Stated<'a> {
    /// By length; the first is not used.
    pub(in super::super) counts: &'a [u8; 17],
    pub(in super::super) symbols: &'a [u8; 256],
}

/// The codes of one table.
pub(in super::super) struct Codes {
    counts: [u8; 17],
    symbols: [u8; 256],
    /// By the next [`LOOK`] bits, what they begin with.
    pub(super) short: Box<[Code; 1 << LOOK]>,
    /// By length: what to add to a code to find its symbol; and the code after the last one of that length.
    offsets: [i32; 17],
    ends: [i32; 17],
}

impl Codes {
    pub(in super::super) fn new() -> Self {
        let short = vec![Code::LONG; 1 << LOOK].into_boxed_slice().try_into().ok().expect("the right length");
        Self { counts: [0; 17], symbols: [0; 256], short, offsets: [0; 17], ends: [0; 17] }
    }

    /// Takes over a stated table; whether it differs from the one before. In a table with more codes than there is room for,
    /// which libjpeg does not let pass, those are not found.
    pub(in super::super) fn set(&mut self, stated: Stated<'_>) -> bool {
        if (Stated { counts: &self.counts, symbols: &self.symbols }) == stated {
            return false;
        }
        (self.counts, self.symbols) = (*stated.counts, *stated.symbols);
        self.short.fill(Code::LONG);
        let (mut code, mut index) = (0_i32, 0_i32);
        for length in 1..=16_u32 {
            let count = i32::from(self.counts[length as usize]);
            self.offsets[length as usize] = index - code;
            self.ends[length as usize] = code + count;
            if length <= LOOK {
                let symbols = stated.symbols.iter().skip(index as usize);
                for (code, symbol) in (code..code + count).zip(symbols) {
                    // All entries that begin with it.
                    let rest = LOOK - length;
                    let first = (code as usize) << rest;
                    let entries = self.short.get_mut(first..first + (1 << rest)).into_iter().flatten();
                    for (follows, entry) in entries.enumerate() {
                        *entry = Code::followed(length, u32::from(*symbol), follows as u64);
                    }
                }
            }
            index += count;
            code = (code + count) << 1;
        }
        true
    }

    /// What `bits` begin with, if its code is longer than [`LOOK`].
    #[cold]
    pub(super) fn long(&self, bits: u64) -> Option<Code> {
        self.code(bits, LOOK + 1).map(|(length, symbol)| Code::new(length, symbol))
    }

    /// Length and symbol of the code that `bits` begin with, if it is `shortest` or longer (T.81, figure F.16).
    pub(super) fn code(&self, bits: u64, shortest: u32) -> Option<(u32, u32)> {
        (shortest..=16).find_map(|length| {
            let code = (bits >> (64 - length)) as i32;
            let symbol = self.symbols.get(usize::try_from(code + self.offsets[length as usize]).ok()?)?;
            (code < self.ends[length as usize]).then_some((length, u32::from(*symbol)))
        })
    }
}

/// A code, with the value that follows it if that was looked up too.
#[derive(Clone, Copy, PartialEq)]
pub(super) struct Code(u32);

impl Code {
    /// The code is longer than [`LOOK`].
    pub(super) const LONG: Self = Self(0);
    const WHOLE: u32 = 1 << 6;

    /// A code alone. From the lowest: 6 bits, how many bits to take; whether that is with the value; 8 bits, the symbol;
    /// 16 bits, the value.
    fn new(length: u32, symbol: u32) -> Self {
        Self(symbol << 8 | length)
    }

    /// A short code and what follows it within [`LOOK`] bits.
    fn followed(length: u32, symbol: u32, follows: u64) -> Self {
        let (size, rest) = (symbol & 15, LOOK - length);
        if size > rest {
            return Self::new(length, symbol);
        }
        let value = value_of(if rest == 0 { 0 } else { follows << (64 - rest) }, size);
        Self((value as u32) << 16 | symbol << 8 | Self::WHOLE | (length + size))
    }

    /// How many bits to take; higher bits say something else.
    #[inline(always)]
    pub(super) fn taken(self) -> u32 {
        self.0
    }

    #[inline(always)]
    pub(super) fn symbol(self) -> u32 {
        self.0 >> 8 & 0xff
    }

    /// The value, if its bits are taken together with those of the code.
    #[inline(always)]
    pub(super) fn value(self) -> Option<i32> {
        (self.0 & Self::WHOLE != 0).then_some(self.0 as i32 >> 16)
    }
}

/// The codes of a table for all coefficients but the first, and how to pass over many of them at once.
pub(in super::super) struct AcCodes {
    pub(super) codes: Codes,
    /// By the next [`PAIR`] bits.
    pub(super) pairs: Box<[Pair; 1 << PAIR]>,
    /// By the next [`SKIP`] bits, as many coefficients as they hold the codes of. From the lowest: 6 bits, how many bits
    /// to take; 6 bits, by how many coefficients that goes forward; 1 bit, whether the block ends there. [`STEP_NONE`] if they
    /// hold no code.
    pub(super) steps: Box<[u16; 1 << SKIP]>,
}

/// The block ends.
const STEP_END: u16 = 1 << 12;
/// Further than any block goes.
const STEP_NONE: u16 = 63 << 6;

impl AcCodes {
    pub(in super::super) fn new() -> Self {
        let pairs = vec![Pair::NONE; 1 << PAIR].into_boxed_slice().try_into().ok().expect("the right length");
        let steps = vec![0; 1 << SKIP].into_boxed_slice().try_into().expect("the right length");
        Self { codes: Codes::new(), pairs, steps }
    }

    /// See [`Codes::set`].
    pub(in super::super) fn set(&mut self, stated: Stated<'_>) {
        if self.codes.set(stated) {
            for (bits, pair) in self.pairs.iter_mut().enumerate() {
                *pair = Pair::of(&self.codes, bits as u64);
            }
            for (bits, step) in self.steps.iter_mut().enumerate() {
                *step = step_of(&self.codes, bits as u64);
            }
        }
    }
}

/// What [`PAIR`] bits say: a coefficient; or two; or one and the end of the block; or the end alone.
///
/// All are told in the same way, so that nothing has to be asked: two places, counted from the next coefficient's, and the
/// values that are to be written there, the second one first. Of one coefficient both places are its own. An end is a zero
/// in the next place.
#[derive(Clone, Copy)]
pub(super) struct Pair(u32);

impl Pair {
    /// More than these bits is needed. The second place is beyond any block.
    const NONE: Self = Self(63 << 10);

    fn of(codes: &Codes, bits: u64) -> Self {
        let bits = bits << (64 - PAIR);
        let Some(one) = Coded::within(codes, bits, PAIR) else { return Self::NONE };
        if one.end {
            return Self::new(one.taken, (0, 0), (0, 0), true);
        }
        let first = (one.run, one.value);
        match Coded::within(codes, bits << one.taken, PAIR - one.taken) {
            Some(two) => Self::new(one.taken + two.taken, first, (one.run + 1 + two.run, two.value), two.end),
            None => Self::new(one.taken, first, (one.run, 0), false),
        }
    }

    /// From the lowest: 6 bits, how many bits to take; 4 and 6 bits, the places; 1 bit, whether the block ends; 8 and 7 bits,
    /// the values. For a second value of more than 7 bits, [`PAIR`] is too short.
    fn new(taken: u32, first: (u32, i8), second: (u32, i8), end: bool) -> Self {
        let values = u32::from(second.1 as u8) << 25 | u32::from(first.1 as u8) << 17;
        Self(values | u32::from(end) << 16 | second.0 << 10 | first.0 << 6 | taken)
    }

    /// How many bits to take; higher bits say something else.
    #[inline(always)]
    pub(super) fn taken(self) -> u32 {
        self.0
    }

    #[inline(always)]
    pub(super) fn first(self) -> u32 {
        self.0 >> 6 & 15
    }

    #[inline(always)]
    pub(super) fn second(self) -> u32 {
        self.0 >> 10 & 63
    }

    /// What takes the next coefficient's place beyond any block if it ends here, else 0.
    #[inline(always)]
    pub(super) fn end(self) -> u32 {
        self.0 >> 10 & 64
    }

    #[inline(always)]
    pub(super) fn first_value(self) -> i16 {
        ((self.0 << 7) as i32 >> 24) as i16
    }

    #[inline(always)]
    pub(super) fn second_value(self) -> i16 {
        (self.0 as i32 >> 25) as i16
    }
}

/// One coefficient, sixteen zeroes or the end of a block, whole within some bits.
struct Coded {
    taken: u32,
    run: u32,
    value: i8,
    end: bool,
}

impl Coded {
    /// What `bits` begin with, if no more than `count` of them are needed, and its value is no larger than most are.
    fn within(codes: &Codes, bits: u64, count: u32) -> Option<Self> {
        // Codes are found among bits that were not looked at, and are zeroes here: those do not count.
        let (length, symbol) = codes.code(bits, 1)?;
        let (run, size) = (symbol >> 4, symbol & 15);
        let taken = length + size;
        if taken > count {
            return None;
        }
        // Sixteen zeroes are fifteen, and a coefficient that is 0.
        let value = i8::try_from(value_of(bits << length, size)).ok()?;
        Some(Self { taken, run, value, end: size == 0 && run != 15 })
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
            return STEP_END | (forward as u16) << 6 | (taken + length) as u16;
        }
        if forward + run + 1 >= 64 {
            break;
        }
        forward += run + 1;
        // The value itself may lie beyond what was looked up.
        taken += length + size;
    }
    if forward == 0 { STEP_NONE } else { (forward as u16) << 6 | taken as u16 }
}

/// The value that the highest `size` bits stand for, up to 15 of them (T.81, figure F.12); of none, 0.
#[inline(always)]
pub(super) fn value_of(bits: u64, size: u32) -> i32 {
    // All ones if the highest is 0: then the value is negative.
    let negative = !(bits as i64 >> 63) as i32;
    (bits >> 1 >> (63 - size)) as i32 + (negative & ((-1 << size) + 1))
}
