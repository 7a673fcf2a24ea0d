//! The same passes in AVX2's instructions.
//!
//! `pmaddwd` multiplies sixteen samples by their weights and adds neighbours: so samples are brought together in pairs, of two
//! neighbouring pixels or of two neighbouring rows, and weights are taken two by two.

use std::arch::x86_64::*;

use super::{PIXEL, Rows, Weights};

/// Rows that are resized together, and pixels of a row.
const GROUP: usize = 4;

/// Resizes the rows that are readable, and returns how many; none of very small pictures.
#[target_feature(enable = "avx2")]
pub(super) fn along_rows(weights: &Weights, source: Rows<'_>, out: &mut [u8]) -> usize {
    let width = weights.starts.len();
    let count = weights.readable(source);
    if !weights.taps.is_multiple_of(2) || width < GROUP || count < GROUP {
        return 0;
    }
    assert!(out.len() >= count * width * PIXEL);
    for y in (0..count).step_by(GROUP) {
        // The last group may do some rows again.
        let y = y.min(count - GROUP);
        let (from, to) = (&source.bytes[y * source.stride..], &mut out[y * width * PIXEL..]);
        // SAFETY: readable rows have all that the weights reach, and `BEYOND`; `out` has `count` rows.
        unsafe { four_rows(weights, from.as_ptr(), source.stride, to.as_mut_ptr()) };
    }
    count
}

/// # Safety
/// From `source` on there are four rows, `stride` apart, each with all that the weights reach and [`super::BEYOND`]. From `out` on there is
/// room for four resized rows. `weights` has an even number of taps, and at least [`GROUP`] samples.
#[target_feature(enable = "avx2")]
unsafe fn four_rows(weights: &Weights, source: *const u8, stride: usize, out: *mut u8) {
    // Red of two pixels, green, blue, nothing, as numbers of 16 bits; of the first two and of the next two pixels.
    let first = _mm256_broadcastsi128_si256(_mm_set_epi8(-1, -1, -1, -1, -1, 5, -1, 2, -1, 4, -1, 1, -1, 3, -1, 0));
    let next = _mm256_broadcastsi128_si256(_mm_set_epi8(-1, -1, -1, -1, -1, 11, -1, 8, -1, 10, -1, 7, -1, 9, -1, 6));
    // Four pixels without what stands between them.
    let compact = _mm256_broadcastsi128_si256(_mm_set_epi8(-1, -1, -1, -1, 14, 13, 12, 10, 9, 8, 6, 5, 4, 2, 1, 0));
    let half = _mm256_set1_epi32(weights.half());
    let precision = _mm_cvtsi32_si128(weights.precision as i32);
    let width = weights.starts.len();
    for x in (0..width).step_by(GROUP) {
        // The last group may do some pixels again.
        let x = x.min(width - GROUP);
        let mut sums = [[half; 2]; GROUP];
        for (pixel, sums) in sums.iter_mut().enumerate() {
            // SAFETY: `x + pixel` is less than `width`, and each sample has `taps` weights; for the pixels, see above.
            unsafe {
                let mut from = source.add(*weights.starts.get_unchecked(x + pixel) as usize * PIXEL);
                let mut weight = weights.values.as_ptr().add((x + pixel) * weights.taps).cast::<i32>();
                for _ in 0..weights.taps / 4 {
                    let (w0, w1) =
                        (_mm256_set1_epi32(weight.read_unaligned()), _mm256_set1_epi32(weight.add(1).read_unaligned()));
                    for (pair, sum) in sums.iter_mut().enumerate() {
                        let upper = from.add(2 * pair * stride);
                        let samples = _mm256_inserti128_si256::<1>(
                            _mm256_castsi128_si256(_mm_loadu_si128(upper.cast())),
                            _mm_loadu_si128(upper.add(stride).cast()),
                        );
                        *sum = _mm256_add_epi32(*sum, _mm256_madd_epi16(_mm256_shuffle_epi8(samples, first), w0));
                        *sum = _mm256_add_epi32(*sum, _mm256_madd_epi16(_mm256_shuffle_epi8(samples, next), w1));
                    }
                    from = from.add(4 * PIXEL);
                    weight = weight.add(2);
                }
                if !weights.taps.is_multiple_of(4) {
                    let w0 = _mm256_set1_epi32(weight.read_unaligned());
                    for (pair, sum) in sums.iter_mut().enumerate() {
                        let upper = from.add(2 * pair * stride);
                        let samples = _mm256_inserti128_si256::<1>(
                            _mm256_castsi128_si256(_mm_loadl_epi64(upper.cast())),
                            _mm_loadl_epi64(upper.add(stride).cast()),
                        );
                        *sum = _mm256_add_epi32(*sum, _mm256_madd_epi16(_mm256_shuffle_epi8(samples, first), w0));
                    }
                }
            }
        }
        for pair in 0..2 {
            let [a, b, c, d] = sums.map(|sums| _mm256_sra_epi32(sums[pair], precision));
            let bytes = _mm256_packus_epi16(_mm256_packs_epi32(a, b), _mm256_packs_epi32(c, d));
            let bytes = _mm256_shuffle_epi8(bytes, compact);
            let rows = [_mm256_castsi256_si128(bytes), _mm256_extracti128_si256::<1>(bytes)];
            for (row, bytes) in rows.into_iter().enumerate() {
                // SAFETY: twelve bytes for four pixels of the result.
                unsafe {
                    let to = out.add(((2 * pair + row) * width + x) * PIXEL);
                    _mm_storel_epi64(to.cast(), bytes);
                    to.add(8).cast::<i32>().write_unaligned(_mm_extract_epi32::<2>(bytes));
                }
            }
        }
    }
}

/// Resizes columns, or returns false if they are few.
#[target_feature(enable = "avx2")]
pub(super) fn along_columns(weights: &Weights, source: Rows<'_>, width: usize, out: &mut [u8]) -> bool {
    const AT_ONCE: usize = 32;
    if !weights.taps.is_multiple_of(2) || width < AT_ONCE {
        return false;
    }
    for ((start, weights_of), out) in weights.each().zip(out.chunks_exact_mut(width)) {
        let rows = &source.bytes[start * source.stride..];
        assert!(rows.len() >= (weights.taps - 1) * source.stride + width);
        for x in (0..width).step_by(AT_ONCE) {
            // The last ones may be done again.
            let x = x.min(width - AT_ONCE);
            // SAFETY: there are `taps` rows of `width` bytes, and `out` has as many; `x + 32` is no more than that.
            unsafe { thirty_two(weights, weights_of, rows.as_ptr().add(x), source.stride, out.as_mut_ptr().add(x)) };
        }
    }
    true
}

/// # Safety
/// From `source` on there are 32 bytes in each of as many rows as there are weights, an even number; from `out` on there is room for 32.
#[target_feature(enable = "avx2")]
unsafe fn thirty_two(weights: &Weights, weights_of: &[i16], source: *const u8, stride: usize, out: *mut u8) {
    let zero = _mm256_setzero_si256();
    let mut sums = [_mm256_set1_epi32(weights.half()); 4];
    let precision = _mm_cvtsi32_si128(weights.precision as i32);
    for (pair, weight) in weights_of.as_chunks::<2>().0.iter().enumerate() {
        let weight = _mm256_set1_epi32(i32::from(weight[1]) << 16 | i32::from(weight[0] as u16));
        // SAFETY: for the caller.
        let (upper, lower) = unsafe {
            let upper = source.add(2 * pair * stride);
            (_mm256_loadu_si256(upper.cast()), _mm256_loadu_si256(upper.add(stride).cast()))
        };
        let (low, high) = (_mm256_unpacklo_epi8(upper, lower), _mm256_unpackhi_epi8(upper, lower));
        let samples = [
            _mm256_unpacklo_epi8(low, zero),
            _mm256_unpackhi_epi8(low, zero),
            _mm256_unpacklo_epi8(high, zero),
            _mm256_unpackhi_epi8(high, zero),
        ];
        for (sum, samples) in sums.iter_mut().zip(samples) {
            *sum = _mm256_add_epi32(*sum, _mm256_madd_epi16(samples, weight));
        }
    }
    let [a, b, c, d] = sums.map(|sum| _mm256_sra_epi32(sum, precision));
    let bytes = _mm256_packus_epi16(_mm256_packs_epi32(a, b), _mm256_packs_epi32(c, d));
    // SAFETY: for the caller.
    unsafe { _mm256_storeu_si256(out.cast(), bytes) };
}
