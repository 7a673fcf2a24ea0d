//! The small HTTP server: metrics, health, and feedback.

mod server;

pub use server::{State, serve};
