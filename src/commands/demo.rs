//! `glanced demo`: the whole of it in one process, on photographs.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{IsTerminal, Write as _};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use serde::Deserialize;

use super::photographs::{self, Photograph};
use super::{Failure, bars};
use crate::app::App;
use crate::cli::{Demo, Settings};
use crate::config::{self, Flag, Mqtt};
use crate::mqtt::broker;
use crate::mqtt::peer::Peer;
use crate::ops::metrics::Drop;
use crate::ops::shutdown::{Ask, Signals};
use crate::ops::telemetry::Telemetry;

const CAMERAS: [&str; 4] = ["gate", "garden", "kitchen", "street"];
/// How long a camera looks at one photograph.
const LOOK: Duration = Duration::from_secs(3);
/// Between two pictures of the terminal, and between two reports where there is none.
const REDRAW: Duration = Duration::from_millis(250);
const REPORT: Duration = Duration::from_secs(3);

/// What the demo shows of a result: read back from MQTT like anyone would.
#[derive(Deserialize)]
struct Seen {
    camera: String,
    age_ms: f64,
    top3: Vec<Class>,
    dropped: u64,
}

#[derive(Deserialize)]
struct Class {
    label: String,
    #[serde(default)]
    label_zh: String,
    score: f64,
}

#[derive(Default)]
struct Camera {
    /// The photograph it sent last.
    photograph: String,
    results: u64,
    dropped: u64,
    last: Option<Seen>,
}

pub(super) fn demo(args: &Demo, settings: &Settings) -> Result<(), Failure> {
    let photographs = photographs::read(&args.frames)?;
    let address = broker::free_address().context("no free port for the demo's broker")?;
    // Whatever is kept is the demo's own, and goes with it.
    let store = std::env::temp_dir().join(format!("glanced-demo-{}", std::process::id()));
    let mut inputs = super::inputs(settings);
    let demo = |key, value: &str| Flag { key, value: value.to_owned(), name: "demo" };
    inputs.flags.extend([
        demo("mqtt.url", &format!("mqtt://{address}")),
        demo("mqtt.embedded_broker", "true"),
        demo("mqtt.node", "demo"),
        demo("http.listen", ""),
        demo("store.dir", &store.display().to_string()),
    ]);
    if settings.log_level.is_none() {
        inputs.flags.push(demo("log.level", "error"));
    }
    let loaded = config::load(&inputs)?;
    let _telemetry = Telemetry::start(&loaded.config.log).context("logging")?;
    let runtime = super::runtime()?;
    let shown = runtime.block_on(async {
        let mut signals = Signals::listen().context("signal handlers")?;
        let mqtt = loaded.config.mqtt.clone();
        super::print(&format!(
            "glanced demo: a broker on {}, {} cameras, {} photographs\n",
            mqtt.url,
            CAMERAS.len(),
            photographs.len()
        ))?;
        let app = App::start(loaded).await?;
        super::print(&format!("{}; Ctrl-C ends it\n\n", app.status()))?;
        let shown = tokio::select! {
            shown = show(&mqtt, photographs, args, &app) => shown,
            () = stop_signal(&mut signals) => Ok(()),
        };
        let metrics = app.metrics();
        let lost: u64 = Drop::ALL.into_iter().map(|reason| metrics.dropped(reason)).sum();
        super::print(&format!("\n{} frames received, {lost} dropped\n", metrics.received()))?;
        app.stop().await;
        Ok::<_, Failure>(shown?)
    });
    runtime.shutdown_background();
    // It may never have been made.
    let _ = std::fs::remove_dir_all(&store);
    shown
}

async fn stop_signal(signals: &mut Signals) {
    while signals.next().await != Ask::Stop {}
}

/// Runs cameras and onlooker until the time is up.
async fn show(mqtt: &Mqtt, photographs: Vec<Photograph>, args: &Demo, app: &App) -> anyhow::Result<()> {
    let mut onlooker = Peer::connect(mqtt, "onlooker", Some(&format!("{}/+/top3", mqtt.prefix)), 256).await?;
    let sender = Peer::connect(mqtt, "cameras", None, 64).await?;
    while app.health().ready().is_err() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let start = Instant::now();
    let end = args.seconds.map(Duration::from_secs);
    let terminal = std::io::stdout().is_terminal();
    let mut frames = tokio::time::interval(Duration::from_secs_f64(1.0 / args.fps / CAMERAS.len() as f64));
    let mut redraws = tokio::time::interval(if terminal { REDRAW } else { REPORT });
    let mut cameras: BTreeMap<&str, Camera> = CAMERAS.iter().map(|name| (*name, Camera::default())).collect();
    let mut turn = 0;
    let mut drawn = 0;
    loop {
        tokio::select! {
            _ = frames.tick() => {
                let camera = turn % CAMERAS.len();
                turn += 1;
                let photograph = photograph_of(camera, start.elapsed(), &photographs);
                if let Some(camera) = cameras.get_mut(CAMERAS[camera]) {
                    camera.photograph.clone_from(&photograph.name);
                }
                // A full queue means that the broker lags: a real camera would lose the frame as well.
                let _ = sender.publish(&format!("cameras/{}/frame", CAMERAS[camera]), photograph.bytes.clone());
            }
            message = onlooker.next() => {
                let Some((_, payload)) = message else { bail!("the connection to the demo's broker was lost") };
                let seen: Seen = serde_json::from_slice(&payload).context("a result that can't be read")?;
                if let Some(camera) = cameras.get_mut(seen.camera.as_str()) {
                    camera.results += 1;
                    camera.dropped += seen.dropped;
                    camera.last = Some(seen);
                }
            }
            _ = redraws.tick() => {
                let picture = picture(&cameras, start.elapsed());
                let mut out = std::io::stdout().lock();
                if terminal && drawn > 0 {
                    // Back to the first line of the last picture, and over it.
                    write!(out, "\x1b[{drawn}A\x1b[J")?;
                }
                out.write_all(picture.as_bytes())?;
                out.flush()?;
                drawn = picture.lines().count();
                if end.is_some_and(|end| start.elapsed() >= end) {
                    break;
                }
            }
        }
        if end.is_some_and(|end| start.elapsed() >= end) {
            redraws.reset_immediately();
        }
    }
    if let Some((name, _)) = cameras.iter().find(|(_, camera)| camera.results == 0) {
        bail!("no result came for camera {name}");
    }
    Ok(())
}

fn photograph_of(camera: usize, elapsed: Duration, photographs: &[Photograph]) -> &Photograph {
    let looks = (elapsed.as_secs_f64() / LOOK.as_secs_f64()) as usize;
    &photographs[(camera * 3 + looks) % photographs.len()]
}

fn picture(cameras: &BTreeMap<&str, Camera>, elapsed: Duration) -> String {
    let mut text = String::new();
    for (name, camera) in cameras {
        let photograph = &camera.photograph;
        let rate = camera.results as f64 / elapsed.as_secs_f64().max(0.1);
        let age = camera.last.as_ref().map_or(String::new(), |seen| format!(", {:.0} ms after it came", seen.age_ms));
        // Writing to a String can't fail.
        let _ = writeln!(text, "{name:8} {photograph:16} {rate:4.1} results/s, {} dropped{age}", camera.dropped);
        for class in camera.last.iter().flat_map(|seen| &seen.top3) {
            let _ = writeln!(
                text,
                "  {}",
                bars::line(format!("{} {}", class.label, class.label_zh).trim_end(), class.score)
            );
        }
    }
    text
}
