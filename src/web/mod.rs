//! The small HTTP server: metrics, health, and feedback.

mod learning;
mod server;

pub use server::{State, serve};
