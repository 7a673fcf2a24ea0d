//! How many frames a second come through, against the bare loop.

use std::time::{Duration, Instant};

use anyhow::Context;
use bytes::Bytes;
use serde::Serialize;

use super::super::Failure;
use super::bare::Bare;
use super::node::Node;
use super::{median, quantile};
use crate::mqtt::peer::Peer;

/// Medians over the rounds, for one size of frame.
#[derive(Serialize)]
pub(super) struct Run {
    pub(super) frame: String,
    pub(super) fps: f64,
    pub(super) bare_fps: f64,
    pub(super) share: f64,
    pub(super) share_min: f64,
    pub(super) share_max: f64,
    pub(super) cpu_ms_outside: f64,
    /// Mean size of a frame, in thousands of bytes.
    pub(super) kb: f64,
}

pub(super) struct Rate {
    pub(super) fps: f64,
    cpu_ms: f64,
}

/// Frames on the way at once, each of a camera of its own, so that none replaces another: enough that the workers never
/// wait for the broker.
const ON_THE_WAY: usize = 8;

/// Takes the bare loop and the daemon in turn, so that what else the machine does meets both.
pub(super) async fn measure(
    node: &Node,
    bare: &mut Bare,
    (width, height): (u32, u32),
    frames: &[Bytes],
    rounds: usize,
    measured: Duration,
) -> Result<Run, Failure> {
    let mut pairs = Vec::new();
    for _ in 0..rounds {
        let alone = tokio::task::block_in_place(|| bare.run(measured))?;
        let through = deliver(node, |n| frames[n % frames.len()].clone(), |_| {}, measured).await?;
        pairs.push((alone, through));
    }
    let shares: Vec<f64> = pairs.iter().map(|(alone, through)| through.fps / alone.fps).collect();
    Ok(Run {
        frame: format!("{width}x{height}"),
        fps: median(pairs.iter().map(|(_, through)| through.fps)),
        bare_fps: median(pairs.iter().map(|(alone, _)| alone.fps)),
        share: median(shares.iter().copied()),
        share_min: quantile(shares.clone(), 0.0),
        share_max: quantile(shares, 1.0),
        cpu_ms_outside: median(pairs.iter().map(|(alone, through)| through.cpu_ms - alone.cpu_ms)),
        kb: frames.iter().map(|frame| frame.len() as f64).sum::<f64>() / frames.len() as f64 / 1e3,
    })
}

/// Sends a camera's next frame when the result of its last one arrives. `frame` gives the frames by number, `seen` gets
/// the results.
pub(super) async fn deliver(
    node: &Node,
    frame: impl Fn(usize) -> Bytes,
    mut seen: impl FnMut(&[u8]),
    measured: Duration,
) -> Result<Rate, Failure> {
    const WARM_UP: Duration = Duration::from_millis(500);
    /// A frame that gives no result for so long was lost.
    const LOST: Duration = Duration::from_secs(10);
    let mut peer = Peer::connect(node.mqtt(), "load", Some("glanced/+/top3"), 64).await.context("load generator")?;
    let mut sent = 0;
    let mut next = |peer: &Peer, camera: &str| {
        sent += 1;
        peer.publish(&format!("cameras/{camera}/frame"), frame(sent)).context("load generator")
    };
    let cameras: Vec<String> = (0..ON_THE_WAY).map(|camera| format!("load-{camera}")).collect();
    for camera in &cameras {
        next(&peer, camera)?;
    }
    let begin = Instant::now();
    let mut counting: Option<(Instant, Duration)> = None;
    let mut results = 0_u32;
    loop {
        let arrived = tokio::time::timeout(LOST, peer.next()).await.context("a frame gave no result")?;
        let (topic, result) = arrived.context("the connection to the broker was lost")?;
        // Results that the broker kept from an earlier round, or of another camera, are nothing to wait for.
        let Some(camera) = cameras.iter().find(|camera| topic.split('/').nth(1) == Some(camera.as_str())) else {
            continue;
        };
        seen(&result);
        match counting {
            None if begin.elapsed() >= WARM_UP => counting = Some((Instant::now(), node.cpu_time()?)),
            None => {}
            Some((start, cpu)) => {
                results += 1;
                let elapsed = start.elapsed();
                if elapsed >= measured {
                    let cpu = node.cpu_time()?.saturating_sub(cpu);
                    return Ok(Rate {
                        fps: f64::from(results) / elapsed.as_secs_f64(),
                        cpu_ms: cpu.as_secs_f64() * 1e3 / f64::from(results),
                    });
                }
            }
        }
        next(&peer, camera)?;
    }
}
