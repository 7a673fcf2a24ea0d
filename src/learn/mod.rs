//! Learning from feedback: a better model is made of what people said, proven on what it was not made of, and only then used.
//!
//! ```text
//! examples  what people said of which pictures, from the store
//! look      their features: all of the network but its last layer, kept in features
//! split     which examples stand together, and the folds
//! head      a last layer is taught, minimise: by L-BFGS
//! deep      a layer and the blocks before it are taught together
//! network   the last blocks of a network, taught by finetune
//! trial     cross-fitting: each fold is judged by a layer that was taught on the others
//! gate      champion and challenger compared: the verdict
//! material  what of the examples is enough for what
//! needs     what a model still needs, by numbers alone
//! findings  what a trial showed, for a page
//! report    what came of it, for people and programs
//! retrain   all of it, to a new version of the bundle
//! job       a node has it done beside its frames
//! ```

pub mod deep;
pub mod examples;
pub mod features;
pub mod findings;
pub mod finetune;
pub mod gate;
pub mod head;
pub mod job;
pub mod look;
pub mod material;
pub mod minimise;
pub mod needs;
pub mod network;
pub mod night;
pub mod report;
pub mod retrain;
pub mod split;
pub mod trial;

/// Somebody asked for a training to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it was stopped")]
pub struct Stopped;
