//! The address of a broker.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

/// Where the broker is, as in `mqtt://127.0.0.1:1883` or `mqtts://broker.lan`.
///
/// Read by hand: it is scheme, host and port and nothing else, and a general URL type would bring Unicode tables that
/// outweigh the rest of the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokerUrl {
    /// A host name or an address; an IPv6 address without its brackets.
    pub host: String,
    /// The TCP port.
    pub port: u16,
    /// Whether to speak TLS (`mqtts://`).
    pub tls: bool,
}

impl BrokerUrl {
    /// Whether the broker is on this machine, as far as the name tells.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        self.host.eq_ignore_ascii_case("localhost") || self.host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
    }
}

impl fmt::Display for BrokerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls { "mqtts" } else { "mqtt" };
        if self.host.contains(':') {
            write!(f, "{scheme}://[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{scheme}://{}:{}", self.host, self.port)
        }
    }
}

/// Why a text is no [`BrokerUrl`]: what it must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BrokerUrlError {
    /// Not `mqtt` or `mqtts`.
    #[error("mqtt://HOST[:PORT], or mqtts://HOST[:PORT] for TLS")]
    Scheme,
    /// A user name or password in it.
    #[error("without a user name and password: those belong into mqtt.username and mqtt.password_file")]
    User,
    /// A path, query or fragment.
    #[error("a host and a port, with nothing after them")]
    Path,
    /// No host, or none that can exist.
    #[error("a URL with a host name, an IPv4 address, or an IPv6 address in brackets")]
    Host,
    /// A port that is no port.
    #[error("a URL with a port from 1 to 65535, or without one")]
    Port,
}

impl FromStr for BrokerUrl {
    type Err = BrokerUrlError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // First, so that no other error makes someone repeat a password.
        if text.contains('@') {
            return Err(BrokerUrlError::User);
        }
        let (scheme, rest) = text.split_once("://").ok_or(BrokerUrlError::Scheme)?;
        let tls = match scheme.to_ascii_lowercase().as_str() {
            "mqtt" => false,
            "mqtts" => true,
            _ => return Err(BrokerUrlError::Scheme),
        };
        let authority = rest.strip_suffix('/').unwrap_or(rest);
        if authority.contains(['/', '?', '#']) {
            return Err(BrokerUrlError::Path);
        }
        let (host, port) = if let Some(inside) = authority.strip_prefix('[') {
            let (host, port) = inside.split_once(']').ok_or(BrokerUrlError::Host)?;
            host.parse::<Ipv6Addr>().map_err(|_| BrokerUrlError::Host)?;
            let port = if port.is_empty() { None } else { Some(port.strip_prefix(':').ok_or(BrokerUrlError::Port)?) };
            (host, port)
        } else {
            authority.split_once(':').map_or((authority, None), |(host, port)| (host, Some(port)))
        };
        let named = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b':');
        if host.is_empty() || !host.bytes().all(named) {
            return Err(BrokerUrlError::Host);
        }
        let port = match port {
            None => {
                if tls {
                    8883
                } else {
                    1883
                }
            }
            // Digits only: `parse` alone would take "+1883".
            Some(digits) if digits.bytes().all(|b| b.is_ascii_digit()) => {
                digits.parse().ok().filter(|port| *port != 0).ok_or(BrokerUrlError::Port)?
            }
            Some(_) => return Err(BrokerUrlError::Port),
        };
        Ok(Self { host: host.to_owned(), port, tls })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_read_and_printed_with_their_port() {
        for (text, want, loopback) in [
            ("mqtt://127.0.0.1:1883", "mqtt://127.0.0.1:1883", true),
            ("mqtt://localhost", "mqtt://localhost:1883", true),
            ("MQTTS://broker.lan/", "mqtts://broker.lan:8883", false),
            ("mqtt://[::1]", "mqtt://[::1]:1883", true),
            ("mqtts://[fd00::2]:9", "mqtts://[fd00::2]:9", false),
            ("mqtt://my_broker:65535", "mqtt://my_broker:65535", false),
        ] {
            let url: BrokerUrl = text.parse().unwrap();
            assert_eq!((url.to_string().as_str(), url.is_loopback()), (want, loopback));
            assert_eq!(url.to_string().parse(), Ok(url));
        }
    }

    #[test]
    fn anything_else_is_refused() {
        use BrokerUrlError::{Host, Path, Port, Scheme, User};
        for (text, want) in [
            ("", Scheme),
            ("broker:1883", Scheme),
            ("http://broker", Scheme),
            ("ws://broker", Scheme),
            ("mqtt://me:secret@broker", User),
            ("me@broker", User),
            ("mqtt://broker/path", Path),
            ("mqtt://broker?x", Path),
            ("mqtt://", Host),
            ("mqtt://:1883", Host),
            ("mqtt://[::1", Host),
            ("mqtt://[broker]", Host),
            ("mqtt://a b", Host),
            ("mqtt://ä.de", Host),
            ("mqtt://::1", Host),
            ("mqtt://broker:0", Port),
            ("mqtt://broker:65536", Port),
            ("mqtt://broker:+1", Port),
            ("mqtt://broker:", Port),
            ("mqtt://[::1]1883", Port),
        ] {
            assert_eq!(text.parse::<BrokerUrl>(), Err(want), "{text}");
        }
    }
}
