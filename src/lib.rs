//! A daemon that glances at camera frames on MQTT and says what it sees.
//!
//! # The path of a frame
//!
//! ```text
//! mqtt::connection → frame::intake → frame::worker → mqtt::connection
//!   (one task)        (slots)         (threads)        (topic <prefix>/<camera>/top3)
//!                                      │
//!                                      ├ frame::payload    raw, base64 or JSON → image bytes
//!                                      └ frame::pipeline
//!                                         ├ frame::decode         image bytes → pixels
//!                                         ├ classify::views       pixels → the network's input
//!                                         ├ classify::dynamic     which views, by classify::quality
//!                                         ├ classify::session     ONNX Runtime
//!                                         ├ classify::temperature scores → probabilities, averaged over views
//!                                         ├ classify::prior, temporal   if switched on
//!                                         └ classify::rank        the best three
//! ```
//!
//! # The path of feedback, and of likely mistakes
//!
//! ```text
//! mqtt::FeedbackLink, web ──→ feedback::keeper → feedback::Store
//! frame::worker → feedback::collect ──→ ┘   (while no feedback waits)
//! ```
//!
//! # The path of learning
//!
//! ```text
//! learn::job → glanced retrain: learn::retrain → model::Registry::promote → app (a thread) → frame::exchange → frame::worker
//! ```
//!
//! How good the answers are is measured by [`eval`], with the same pipeline.
//!
//! # Invariants
//!
//! - [`frame::decode`] and everything in [`classify`] but `session` know neither MQTT nor tokio: plain functions on data.
//! - `ort` is named below `classify::session` only; `rumqttc` only under `mqtt/`.
//! - No inference or decode runs on a tokio worker.
//! - Every queue is bounded and made in [`app`]. Frames may be dropped, and each drop is counted by reason.
//! - A bundle is immutable once written. Which one is in use is one file, `model::Current`, that is replaced at once.
//! - Feedback is acknowledged after [`feedback::Store::add`] has returned, and not before. `sled` is named in one file,
//!   `feedback/index/durable.rs`.

pub mod app;
pub mod classify;
pub mod cli;
mod commands;
pub mod config;
pub mod eval;
pub mod feedback;
pub mod frame;
pub mod learn;
pub mod model;
pub mod mqtt;
pub mod ops;
pub mod tune;
pub mod web;

pub use commands::{Failure, execute};
