//! What the store tells beside its answers.

use std::path::PathBuf;
use std::time::Duration;

use crate::feedback::journal::{Damage, Torn};

/// What happened that an operator should hear of: to be logged and counted.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// A stop had cut a write short. Nothing that was confirmed is missing.
    Torn(Torn),
    /// A part of the journal can't be read.
    Damaged(Damage),
    /// The index lacked entries of the journal, and has them now. Normal after a kill.
    CaughtUp {
        /// How many.
        entries: u64,
    },
    /// The index can't be used, and is about to be made again from the journal. [`Event::Rebuilt`] follows, or an error.
    Rebuilding {
        /// Why.
        reason: String,
        /// Where the old one is now; `None` if there was none, or if enough of them are kept.
        kept: Option<PathBuf>,
    },
    /// The index was made again from the journal.
    Rebuilt {
        /// Entries read.
        entries: u64,
        /// How long that took.
        took: Duration,
    },
    /// The index failed. What was confirmed is safe in the journal; nothing more is accepted until it is open again, which
    /// is tried with each batch.
    IndexLost {
        /// Why.
        error: String,
    },
    /// Frames were removed for lack of room.
    Removed {
        /// How many without a label.
        unlabelled: u64,
        /// How many with one.
        labelled: u64,
        /// The size of their pictures, bytes.
        bytes: u64,
    },
    /// A picture could not be removed. It is tried again with the next sweep.
    Leftover {
        /// Why.
        error: String,
    },
}
