//! The configuration file: any text gives a configuration or says what is wrong with it.

#![no_main]

use glanced::config;
use libfuzzer_sys::{Corpus, fuzz_target};

fuzz_target!(|data: &[u8]| -> Corpus {
    let Ok(text) = std::str::from_utf8(data) else { return Corpus::Reject };
    if let Err(error) = config::parse_str(text) {
        assert!(!error.to_string().is_empty());
    }
    Corpus::Keep
});
