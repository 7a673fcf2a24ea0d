//! From configuration to the client library's options.

use std::time::Duration;

use rumqttc::Transport;
use rumqttc::v5::mqttbytes::v5 as v5packet;
use rumqttc::{TlsConfiguration, v5};

use super::tls::{self, TlsError};
use super::topics;
use crate::config::Mqtt;

/// The connection can't even be tried.
#[derive(Debug, thiserror::Error)]
pub enum OptionsError {
    /// Certificates can't be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// The daemon's own.
    Serve,
    /// `glanced check`: another client id, no will.
    Probe,
    /// A camera or an onlooker: no will.
    Peer,
    /// Feedback: the broker keeps the session, and we acknowledge.
    Feedback,
}

/// Messages of ours that the broker may leave unacknowledged. The library reserves this many places.
const INFLIGHT: u16 = 256;
/// The broker keeps feedback for a daemon that is away for so long, seconds: a week.
const FEEDBACK_KEPT: u32 = 7 * 24 * 3600;
/// Feedback that may be on its way to the disk at once.
const FEEDBACK_WINDOW: u16 = 256;
/// A broker that does not answer for so long is away.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

fn client_id(config: &Mqtt, purpose: Purpose) -> String {
    match purpose {
        Purpose::Serve | Purpose::Peer => config.client_id.clone(),
        Purpose::Feedback => format!("{}-feedback", config.client_id),
        // Two clients of one name would throw each other out.
        Purpose::Probe => format!("{}-check-{}", config.client_id, std::process::id()),
    }
}

fn transport(config: &Mqtt) -> Result<Transport, OptionsError> {
    Ok(if config.url.tls { Transport::Tls(TlsConfiguration::Rustls(tls::client(config)?)) } else { Transport::Tcp })
}

pub(super) fn v4(config: &Mqtt, purpose: Purpose) -> Result<rumqttc::MqttOptions, OptionsError> {
    let mut options = rumqttc::MqttOptions::new(client_id(config, purpose), config.url.host.clone(), config.url.port);
    options.set_transport(transport(config)?);
    options.set_keep_alive(config.keep_alive);
    options.set_clean_session(purpose != Purpose::Feedback);
    options.set_manual_acks(purpose == Purpose::Feedback);
    options.set_inflight(INFLIGHT);
    let packet = usize::try_from(config.max_packet_bytes).unwrap_or(usize::MAX);
    options.set_max_packet_size(packet, packet);
    options.set_pending_throttle(Duration::ZERO);
    if let Some((name, password)) = credentials(config) {
        options.set_credentials(name, password);
    }
    if purpose == Purpose::Serve {
        let topic = topics::status(&config.prefix, &config.node);
        options.set_last_will(rumqttc::LastWill::new(topic, topics::OFFLINE, rumqttc::QoS::AtLeastOnce, true));
    }
    Ok(options)
}

pub(super) fn v5(config: &Mqtt, purpose: Purpose) -> Result<v5::MqttOptions, OptionsError> {
    let mut options = v5::MqttOptions::new(client_id(config, purpose), config.url.host.clone(), config.url.port);
    options.set_transport(transport(config)?);
    options.set_keep_alive(config.keep_alive);
    options.set_clean_start(purpose != Purpose::Feedback);
    if purpose == Purpose::Feedback {
        options.set_manual_acks(true);
        options.set_session_expiry_interval(Some(FEEDBACK_KEPT));
        options.set_receive_maximum(Some(FEEDBACK_WINDOW));
    }
    options.set_outgoing_inflight_upper_limit(INFLIGHT);
    options.set_max_packet_size(Some(config.max_packet_bytes));
    options.set_pending_throttle(Duration::ZERO);
    options.set_connection_timeout(CONNECT_TIMEOUT.as_secs());
    if let Some((name, password)) = credentials(config) {
        options.set_credentials(name, password);
    }
    if purpose == Purpose::Serve {
        let topic = topics::status(&config.prefix, &config.node);
        let will = v5packet::LastWill::new(topic, topics::OFFLINE, v5::mqttbytes::QoS::AtLeastOnce, true, None);
        options.set_last_will(will);
    }
    Ok(options)
}

fn credentials(config: &Mqtt) -> Option<(String, String)> {
    let password = config.password.as_ref().map(|password| password.expose().to_owned()).unwrap_or_default();
    Some((config.username.clone()?, password))
}
