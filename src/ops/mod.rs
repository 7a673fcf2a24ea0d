//! What an operator sees and steers: logs, metrics, health, systemd, signals.

pub mod health;
pub mod metrics;
pub mod notify;
pub mod process;
pub mod shutdown;
pub mod telemetry;
