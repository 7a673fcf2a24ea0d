//! Learning from feedback: a better model is made of what people said, proven on what it was not made of, and only then used.

pub mod examples;
pub mod features;
pub mod head;
pub mod minimise;
pub mod split;
