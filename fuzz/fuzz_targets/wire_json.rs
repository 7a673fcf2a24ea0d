//! The JSON that a sender may wrap an image in, and the return address in it.

#![no_main]

use glanced::config::Encoding;
use glanced::frame::payload;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let address = payload::return_address(data);
    if let Ok(unpacked) = payload::unpack(data, Encoding::Json, 1 << 16) {
        // A message that can be read whole has the return address that is read when it can't.
        assert_eq!((unpacked.id, unpacked.reply_to), (address.id, address.reply_to));
    }
});
