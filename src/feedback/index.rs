//! Where everything is: what the store can be asked, without reading the journal from the beginning.
//!
//! The index holds no truth of its own. It says up to where of the journal it has come ([`rows::State`]), and changes
//! only by whole batches that move this place along; so it may be old, but not wrong, and what it lacks is read from the
//! journal when it is opened. All is in one ordered key space, for a batch over one is atomic:
//!
//! | key | value |
//! | --- | --- |
//! | `m` | [`rows::State`]: schema, place in the journal, counters |
//! | `f` frame | [`rows::FrameRow`] |
//! | `i` feedback | [`rows::FeedbackRow`] |
//! | `h` frame feedback | nothing: all that was said about a frame |
//! | `o` frame hash(by) | the feedback of that sender that stands |
//! | `s` hash(by, sender's id) | the feedback |
//! | `u` frame | nothing: frames that wait for a label |
//! | `x` frame | nothing: labelled frames that were exported |
//! | `b` sha256 | [`rows::BlobRow`]: how many frames need the picture |
//! | `r` reason | how many frames wait for a label because of it |
//! | `k` hash(camera) frame | [`rows::CollectedRow`]: when, and what its picture is compared by |
//! | `d` day | how many frames were collected on it |
//! | `c` model NUL label | how many standing statements say so |

pub(super) mod apply;
pub(super) mod durable;
pub(super) mod memory;
pub(super) mod rows;

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::ops::Range;

use super::journal::JournalError;

/// Why the index can't be used.
#[derive(Debug, thiserror::Error)]
pub enum IndexError {
    /// It has to be made again from the journal.
    #[error("the index is unusable: {0}")]
    Unusable(String),
    /// The file system says no; made again, it would not fare better.
    #[error("can't use the index")]
    Io(#[from] std::io::Error),
    /// The journal can't be read.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

/// Keys with their values.
pub(super) type Pairs = Vec<(Vec<u8>, Vec<u8>)>;
/// New values of keys, `None` for those that go.
pub(super) type Batch = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

/// In which direction keys are gone through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    Ascending,
    Descending,
}

/// An ordered map of bytes to bytes.
pub(super) trait Keys: Debug + Send + Sync {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, IndexError>;
    /// Up to `limit` pairs of a range, from its beginning or from its end on.
    fn page(&self, range: Range<Vec<u8>>, order: Order, limit: usize) -> Result<Pairs, IndexError>;
    /// All of a batch or nothing.
    fn apply(&self, batch: Batch) -> Result<(), IndexError>;
    /// Waits until all batches are written.
    fn flush(&self) -> Result<(), IndexError>;
}

/// All keys that begin so.
pub(super) fn prefix(prefix: &[u8]) -> Range<Vec<u8>> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if last < u8::MAX {
            end.push(last + 1);
            break;
        }
    }
    prefix.to_vec()..end
}
