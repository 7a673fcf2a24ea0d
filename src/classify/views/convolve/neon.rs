//! The same pass along rows in NEON's instructions. (For columns the compiler finds them by itself.)

use std::arch::aarch64::*;

use super::{BEYOND, PIXEL, Rows, Weights};

/// Of sixteen bytes, the samples of the first two pixels and those of the next two, as numbers of 16 bits: red, green, blue, nothing.
const FIRST: [u8; 16] = [0, 255, 1, 255, 2, 255, 255, 255, 3, 255, 4, 255, 5, 255, 255, 255];
const NEXT: [u8; 16] = [6, 255, 7, 255, 8, 255, 255, 255, 9, 255, 10, 255, 11, 255, 255, 255];

/// Resizes the rows that are readable, and returns how many; none if their number of taps is odd.
pub(super) fn along_rows(weights: &Weights, source: Rows<'_>, out: &mut [u8]) -> usize {
    let width = weights.starts.len() * PIXEL;
    let count = weights.readable(source);
    if !weights.taps.is_multiple_of(2) {
        return 0;
    }
    for (y, out) in out.chunks_exact_mut(width).enumerate().take(count) {
        let row = &source.bytes[y * source.stride..];
        assert!(row.len() >= weights.range().1 * PIXEL + BEYOND);
        for ((start, weights_of), out) in weights.each().zip(out.as_chunks_mut::<PIXEL>().0) {
            // SAFETY: all AArch64 has NEON. The row has the pixels from `start` on that have weights, and `BEYOND`.
            *out = unsafe { pixel(row.as_ptr().add(start * PIXEL), weights_of, weights) };
        }
    }
    count
}

/// # Safety
/// From `from` on there are as many pixels as weights, an even number, and [`BEYOND`] bytes.
#[target_feature(enable = "neon")]
unsafe fn pixel(mut from: *const u8, weights_of: &[i16], weights: &Weights) -> [u8; PIXEL] {
    // SAFETY: sixteen bytes for four pixels, eight for two; the constants have sixteen.
    unsafe {
        let (first, next) = (vld1q_u8(FIRST.as_ptr()), vld1q_u8(NEXT.as_ptr()));
        let mut sum = vdupq_n_s32(weights.half());
        let (fours, two) = weights_of.as_chunks::<4>();
        for four in fours {
            let (bytes, weight) = (vld1q_u8(from), vld1_s16(four.as_ptr()));
            let samples = vreinterpretq_s16_u8(vqtbl1q_u8(bytes, first));
            sum = vmlal_lane_s16::<0>(sum, vget_low_s16(samples), weight);
            sum = vmlal_lane_s16::<1>(sum, vget_high_s16(samples), weight);
            let samples = vreinterpretq_s16_u8(vqtbl1q_u8(bytes, next));
            sum = vmlal_lane_s16::<2>(sum, vget_low_s16(samples), weight);
            sum = vmlal_lane_s16::<3>(sum, vget_high_s16(samples), weight);
            from = from.add(4 * PIXEL);
        }
        if let [a, b] = two {
            let bytes = vcombine_u8(vld1_u8(from), vdup_n_u8(0));
            let samples = vreinterpretq_s16_u8(vqtbl1q_u8(bytes, first));
            sum = vmlal_n_s16(sum, vget_low_s16(samples), *a);
            sum = vmlal_n_s16(sum, vget_high_s16(samples), *b);
        }
        let sum = vshlq_s32(sum, vdupq_n_s32(-(weights.precision as i32)));
        let bytes = vqmovn_u16(vcombine_u16(vqmovun_s32(sum), vdup_n_u16(0)));
        let [r, g, b, _] = vget_lane_u32::<0>(vreinterpret_u32_u8(bytes)).to_le_bytes();
        [r, g, b]
    }
}
