//! `glanced run`: the daemon.

use anyhow::{Context, anyhow};

use super::Failure;
use crate::app::App;
use crate::cli::Settings;
use crate::config;
use crate::ops::notify;
use crate::ops::shutdown::{Ask, Signals};
use crate::ops::telemetry::Telemetry;

pub(super) fn run(settings: &Settings) -> Result<(), Failure> {
    let loaded = super::load(settings)?;
    let telemetry = Telemetry::start(&loaded.config.log).context("logging")?;
    let runtime = super::runtime()?;
    let ended = runtime.block_on(async {
        let mut signals = Signals::listen().context("signal handlers")?;
        let mut app = App::start(loaded).await?;
        notify::ready(&app.status());
        while signals.next().await == Ask::Reload {
            reload(&mut app, settings, &telemetry);
        }
        tracing::info!("stopping");
        tokio::select! {
            in_time = app.stop() => if in_time { Ok(()) } else { Err(anyhow!("not everything ended in time").into()) },
            () = second_stop(&mut signals) => Err(anyhow!("a second signal: what was in hand is given up").into()),
        }
    });
    // Whatever still hangs must not hold up the end of the process.
    runtime.shutdown_background();
    if ended.is_ok() {
        tracing::info!("stopped");
    }
    ended
}

fn reload(app: &mut App, settings: &Settings, telemetry: &Telemetry) {
    notify::reloading();
    let taken = match config::load(&super::inputs(settings)) {
        Ok(new) => app.reload(new, telemetry).map_err(|error| error.to_string()),
        Err(error) => Err(error.to_string()),
    };
    if let Err(error) = taken {
        tracing::error!(error, "the new configuration was not taken; the old one stays in force");
    }
    notify::ready(&app.status());
}

async fn second_stop(signals: &mut Signals) {
    while signals.next().await == Ask::Reload {}
}
