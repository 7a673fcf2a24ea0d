//! The small HTTP server: metrics and health.

mod server;

pub use server::{State, serve};
