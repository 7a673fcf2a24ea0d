//! Learning from feedback.

/// Deeper than the last layer: training of the last blocks with it.
pub mod finetune;
pub mod network;
