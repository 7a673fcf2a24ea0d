//! Feedback that is never lost: what people and systems said about frames, kept so that it survives anything short of the
//! disk itself.
//!
//! ```text
//! Store::add ─ blobs     the pictures, as files named by hash          written and synced first
//!            ├ journal   what was said, appended and checksummed       the truth; once it is synced, it is stored
//!            └ index     where everything is (sled)                    made again from the journal at any time
//!
//! View ────── what can be asked: by the daemon over the same index, by commands over one in memory
//! ```
//!
//! In a store's folder:
//!
//! ```text
//! lock                     the process that writes
//! journal/00000001.log …   segments; *.torn: ends that a stop left unfinished
//! blobs/<sha256>.jpg       pictures; blobs/new: being written
//! index/                   index.broken-…: one that could not be opened
//! index.mark               how many processes died opening the index
//! ```
//!
//! # Rules
//!
//! - [`store::Store::add`] returns after the journal is synced. After an error nothing of the batch was stored, and the
//!   same batch may be added again, in the same process, when there is room.
//! - An entry names only pictures that are durable.
//! - A resend (same sender, same sender's id, same frame and statement) changes nothing. The latest statement of a sender
//!   about a frame stands; those of other senders stand beside it.
//! - A statement that is taken back counts as never made: the one before it stands again, and a frame of which nothing is left
//!   that stands waits for a label. Sent again, it is said anew.
//! - What was collected without a statement goes first when room is needed, and never takes the place of a statement. That it
//!   was collected stays known: the day's budget is used, and the same is not collected again.
//! - Labelled frames are removed only after they were exported, unless the options say otherwise.

pub mod blobs;
pub mod collect;
mod disk;
pub mod held;
pub mod inbox;
mod index;
pub mod journal;
pub mod keeper;
pub mod message;
pub mod record;
pub mod store;
#[cfg(test)]
mod testing;
pub mod view;

pub use index::IndexError;
pub use record::{BlobRef, Feedback, Statement};
pub use store::{Event, Options, Receipt, Store, StoreError};
pub use view::View;
