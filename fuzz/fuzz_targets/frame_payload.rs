//! What a camera may send: unpacked as every encoding, decoded in part and whole. Nothing may panic, hang or outgrow
//! the limits.

#![no_main]

use std::cell::RefCell;

use glanced::config::{Crop, Encoding};
use glanced::frame::decode::{Decoder, Limits, Need};
use glanced::frame::payload;
use libfuzzer_sys::fuzz_target;

/// Small, so that the fuzzer meets them.
const LIMITS: Limits = Limits { max_bytes: 1 << 16, max_pixels: 1 << 18 };

thread_local! {
    /// One for all inputs, as in a worker: what one image leaves behind must not disturb the next.
    static DECODER: RefCell<Decoder> = RefCell::new(Decoder::new(LIMITS));
}

fuzz_target!(|data: &[u8]| {
    let corner = Need { crop: Some(Crop { x: 0.0, y: 0.5, w: 0.5, h: 0.5 }), short_side: 32, middle: Some((0.9, 0.9)) };
    let view = Need { crop: None, short_side: 64, middle: Some((0.875, 0.875)) };
    for encoding in [Encoding::Auto, Encoding::Raw, Encoding::Base64, Encoding::Json] {
        let Ok(unpacked) = payload::unpack(data, encoding, LIMITS.max_bytes) else { continue };
        assert!(unpacked.image.len() <= LIMITS.max_bytes);
        DECODER.with_borrow_mut(|decoder| {
            for need in [Need::EVERYTHING, view, corner] {
                let Ok(picture) = decoder.decode(&unpacked.image, &need) else { continue };
                assert_eq!(picture.rgb.len(), picture.width as usize * picture.height as usize * 3);
                assert!(u64::from(picture.frame_width) * u64::from(picture.frame_height) <= LIMITS.max_pixels);
            }
        });
    }
});
