//! A broker inside this process: for `glanced demo`, for trials without a broker, and for tests.

use std::collections::HashMap;
use std::net::{SocketAddr, TcpListener, ToSocketAddrs};

use rumqttd::{Broker, ConnectionSettings, RouterConfig, ServerSettings};

use crate::config::{Mqtt, Protocol};

/// The broker does not start.
#[derive(Debug, thiserror::Error)]
pub enum BrokerError {
    /// Its address is taken, or not ours.
    #[error("the embedded broker can't listen on {address}: {error}")]
    Listen {
        /// Host and port.
        address: String,
        /// What the system says.
        error: std::io::Error,
    },
}

/// Bytes that the broker keeps for each topic filter, for subscribers that lag: two segments of this size.
const SEGMENT: usize = 8 << 20;

/// Starts a broker where `mqtt.url` points. It runs until the process ends: the library can't stop it.
///
/// # Errors
/// [`BrokerError`] if the address can't be used.
pub fn start(config: &Mqtt) -> Result<(), BrokerError> {
    let address = format!("{}:{}", config.url.host, config.url.port);
    let failed = |error| BrokerError::Listen { address: address.clone(), error };
    let found = (config.url.host.as_str(), config.url.port).to_socket_addrs().map_err(failed)?.next();
    let listen = found.ok_or_else(|| failed(std::io::ErrorKind::AddrNotAvailable.into()))?;
    listen_on(listen, config.protocol, usize::try_from(config.max_packet_bytes).unwrap_or(usize::MAX))
}

/// A loopback address that was free a moment ago.
///
/// # Errors
/// What the system says if there is none.
pub fn free_address() -> std::io::Result<SocketAddr> {
    TcpListener::bind(("127.0.0.1", 0))?.local_addr()
}

/// Starts a broker that speaks one version of MQTT on `listen`.
///
/// # Errors
/// [`BrokerError`] if the address can't be used.
pub fn listen_on(listen: SocketAddr, protocol: Protocol, max_payload: usize) -> Result<(), BrokerError> {
    // The library would only log that it can't: try first.
    TcpListener::bind(listen).map_err(|error| BrokerError::Listen { address: listen.to_string(), error })?;
    let settings = ServerSettings {
        name: "embedded-broker".to_owned(),
        listen,
        tls: None,
        next_connection_delay_ms: 1,
        connections: ConnectionSettings {
            connection_timeout_ms: 10_000,
            max_payload_size: max_payload,
            max_inflight_count: 100,
            auth: None,
            external_auth: None,
            dynamic_filters: true,
        },
    };
    let servers = Some(HashMap::from([("1".to_owned(), settings)]));
    let router = RouterConfig {
        max_connections: 1024,
        max_outgoing_packet_count: 200,
        max_segment_size: SEGMENT,
        max_segment_count: 2,
        ..RouterConfig::default()
    };
    let config = match protocol {
        Protocol::V5 => rumqttd::Config { router, v5: servers, ..rumqttd::Config::default() },
        Protocol::V311 => rumqttd::Config { router, v4: servers, ..rumqttd::Config::default() },
    };
    let mut broker = Broker::new(config);
    let run = move || {
        if let Err(error) = broker.start() {
            tracing::error!(%error, "the embedded broker stopped");
        }
    };
    std::thread::Builder::new()
        .name("embedded-broker".to_owned())
        .spawn(run)
        .map_err(|error| BrokerError::Listen { address: listen.to_string(), error })?;
    Ok(())
}
