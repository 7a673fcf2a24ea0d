//! The feedback message.

#![no_main]

use glanced::feedback::message::{self, Said};
use libfuzzer_sys::fuzz_target;

const MAX_IMAGE: usize = 1 << 12;

fuzz_target!(|data: &[u8]| {
    let Ok(claim) = message::parse(data, MAX_IMAGE) else { return };
    assert!(claim.frame.is_some() || claim.image.is_some());
    assert!(claim.image.is_none_or(|image| image.len() <= MAX_IMAGE));
    if let Said::Label(label) = claim.said {
        // It becomes a folder's name when it is exported.
        assert!(!label.is_empty() && !label.starts_with('.') && !label.contains(['/', '\\', '\0']));
    }
});
