//! systemd: readiness, status and watchdog. Everything here does nothing when systemd is not there.

use std::sync::Arc;
use std::time::Duration;

use sd_notify::NotifyState;

use super::health::Health;
use super::shutdown::Shutdown;

fn notify(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(%error, "systemd could not be notified");
    }
}

/// The daemon serves.
pub fn ready(status: &str) {
    notify(&[NotifyState::Ready, NotifyState::Status(status)]);
}

/// What the daemon does, in a line, for `systemctl status`.
pub fn status(status: &str) {
    notify(&[NotifyState::Status(status)]);
}

/// The configuration is being read again.
pub fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => notify(&[NotifyState::Reloading, now]),
        Err(error) => tracing::warn!(%error, "systemd could not be notified"),
    }
}

/// The daemon stops, and may take so long.
pub fn stopping(within: Duration) {
    let usec = u32::try_from(within.as_micros()).unwrap_or(u32::MAX);
    notify(&[NotifyState::Stopping, NotifyState::ExtendTimeoutUsec(usec)]);
}

/// Pings systemd's watchdog at half its interval, but only while nothing that a frame passes is stuck.
pub async fn watchdog(health: Arc<Health>, mut shutdown: Shutdown) {
    let Some(interval) = sd_notify::watchdog_enabled() else {
        return;
    };
    let mut ticks = tokio::time::interval(interval / 2);
    loop {
        tokio::select! {
            () = shutdown.requested() => return,
            _ = ticks.tick() => match health.alive() {
                Ok(()) => notify(&[NotifyState::Watchdog]),
                Err(stuck) => tracing::error!(stuck, "watchdog not pinged: frames can't flow"),
            },
        }
    }
}
