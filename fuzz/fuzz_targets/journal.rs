//! A segment of the feedback journal with anything in it, and an entry with anything in it. Whatever is read must lie where
//! it says, and what a cut file still holds must be the beginning of what the whole one held.

#![no_main]

use glanced::feedback::journal::{Blocks, Piece};
use glanced::feedback::record::Entry;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    entry(data);
    let Some((&first, segment)) = data.split_first() else { return };
    let mut blocks = Blocks::new(segment, 0, 0);
    let mut whole = Vec::new();
    let mut end = 0;
    while let Some(piece) = blocks.next() {
        match piece {
            Piece::Block(block) => {
                assert_eq!(block.offset, end);
                assert_eq!(block.end(), blocks.position().0);
                assert!(segment[block.offset..block.end()].ends_with(block.payload));
                entry(block.payload);
                whole.push(block);
                end = block.end();
            }
            Piece::Damage { offset, bytes, .. } => {
                assert_eq!(offset, end);
                end += bytes;
            }
            Piece::Tail { offset } => {
                assert_eq!(offset, end);
                end = segment.len();
            }
        }
    }
    assert_eq!(end, segment.len(), "every byte is accounted for");
    let cut = segment.len() * usize::from(first) / 256;
    let of_the_cut = Blocks::new(&segment[..cut], 0, 0);
    let of_the_cut: Vec<_> =
        of_the_cut.filter_map(|piece| if let Piece::Block(block) = piece { Some(block) } else { None }).collect();
    let kept = whole.iter().take_while(|block| block.end() <= cut).count();
    assert_eq!(of_the_cut, whole[..kept]);
});

/// What can be read can be written, and read again.
fn entry(json: &[u8]) {
    let Ok(entry) = Entry::from_json(json) else { return };
    if let Ok(again) = entry.to_json() {
        assert_eq!(Entry::from_json(&again).ok().as_ref(), Some(&entry));
    }
}
