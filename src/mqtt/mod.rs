//! MQTT: the connection, who may use it, topics, and the JSON on them. Nothing outside this folder names the client
//! library.

pub mod broker;
mod client;
mod connection;
pub mod discovery;
mod events;
mod feedback;
pub mod learning;
mod options;
pub mod peer;
mod promote;
mod reply_guard;
mod router;
pub mod stats;
mod subscription;
mod tls;
pub mod topics;
pub mod wire;

pub use client::{Outgoing, Publisher, Unpublished};
pub use connection::{Connection, Parts};
pub use feedback::{FeedbackLink, LinkParts};
pub use options::OptionsError;
pub use reply_guard::ReplyGuard;
pub use router::Router;

/// Connects, waits for the broker's answer, and disconnects.
///
/// # Errors
/// What is wrong, in words for the person who configures it.
pub async fn probe(config: &crate::config::Mqtt) -> Result<(), String> {
    let (_publisher, mut events) =
        client::open(config, options::Purpose::Probe, 1).map_err(|error| error.to_string())?;
    let limit = std::time::Duration::from_secs(10);
    match tokio::time::timeout(limit, events.next()).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(lost)) => Err(lost.to_string()),
        Err(_) => Err(format!("no answer within {} s", limit.as_secs())),
    }
}
