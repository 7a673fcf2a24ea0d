//! The page, and the API that it uses.
//!
//! ```text
//! server    routes, and what stands before each of them; state: what they share
//! access    token, sessions, other sites' pages, how much at once
//! assets    the page's files, which are a part of the program
//! classify  a picture to try: asks a worker, as requests over MQTT do; cache: what was asked a moment ago
//! live      results as they come, from frame::board; cameras: the newest of each, and pictures
//! review    what was kept, and hashes: what of it looks alike; feedback: what is said about it; labels: names to say; store: how the store is asked
//! models    versions, and which is in use; learning: trainings
//! node      how the node does
//! extract   what comes in a request; problem: what is told when something can't be done
//! ```
//!
//! The OpenAPI document is made from the handlers. Nothing from outside becomes a part of a path before it was found among the
//! names there are.

mod access;
mod assets;
mod cache;
mod cameras;
mod classify;
mod extract;
mod feedback;
mod hashes;
mod labels;
mod learning;
mod live;
mod models;
mod node;
mod problem;
mod review;
mod server;
mod state;
mod store;

pub use server::serve;
pub use state::Parts;
