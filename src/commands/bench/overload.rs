//! What comes out, and how fresh, when cameras send at a rate of their own: far more than can be done, or less.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use anyhow::Context;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::super::Failure;
use super::node::Node;
use super::{median, quantile};
use crate::mqtt::peer::Peer;

#[derive(Serialize)]
pub(super) struct Overload {
    pub(super) cameras: usize,
    pub(super) camera_fps: f64,
    pub(super) offered_fps: f64,
    pub(super) fps: f64,
    pub(super) age_p50_ms: f64,
    pub(super) age_p99_ms: f64,
    /// One camera's frame interval and three times a frame's service.
    pub(super) age_bound_ms: f64,
    /// Processor time of the daemon for each result.
    pub(super) cpu_ms: f64,
    /// The least and the most that a camera got, of the mean.
    pub(super) fair_min: f64,
    pub(super) fair_max: f64,
    pub(super) rss_before_mib: f64,
    pub(super) rss_mib: f64,
}

#[derive(Deserialize)]
struct Seen {
    camera: String,
    age_ms: f64,
    ms: Times,
}

#[derive(Deserialize)]
struct Times {
    decode: f64,
    infer: f64,
    post: f64,
}

/// Offers `cameras` times `camera_fps` frames a second.
pub(super) async fn measure(
    node: &Node,
    frames: &[Bytes],
    cameras: usize,
    camera_fps: f64,
    measured: Duration,
) -> Result<Overload, Failure> {
    /// Until every slot has been replaced a few times.
    const WARM_UP: Duration = Duration::from_secs(2);
    let mut onlooker =
        Peer::connect(node.mqtt(), "onlooker", Some("glanced/+/top3"), 1024).await.context("onlooker")?;
    let sender = Peer::connect(node.mqtt(), "cameras", None, 256).await.context("cameras")?;
    let mut ticks = tokio::time::interval(Duration::from_secs_f64(1.0 / camera_fps / cameras as f64));
    // A machine that was busy elsewhere catches up in a burst, as a network does.
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Burst);
    let begin = Instant::now();
    let mut offered = 0_usize;
    let mut counting = None;
    let mut seen: Vec<Seen> = Vec::new();
    let rss_before_mib = node.rss_mib()?;
    let mut rss_mib = rss_before_mib;
    let (took, cpu) = loop {
        tokio::select! {
            _ = ticks.tick() => {
                let camera = format!("cameras/over-{}/frame", offered % cameras);
                let frame = frames[(offered / cameras + offered) % frames.len()].clone();
                // What the socket does not take is not offered.
                if sender.publish(&camera, frame).is_ok() {
                    offered += 1;
                }
                if counting.is_none() && begin.elapsed() >= WARM_UP {
                    counting = Some((Instant::now(), offered, node.cpu_time()?));
                    seen.clear();
                }
            }
            message = onlooker.next() => {
                let (_, payload) = message.context("the connection to the broker was lost")?;
                let result: Seen = serde_json::from_slice(&payload).context("a result that can't be read")?;
                if result.camera.starts_with("over-") {
                    seen.push(result);
                    if seen.len().is_multiple_of(64) {
                        rss_mib = rss_mib.max(node.rss_mib()?);
                    }
                }
            }
        }
        if let Some((start, before, cpu)) = counting
            && start.elapsed() >= measured
        {
            offered -= before;
            break (start.elapsed().as_secs_f64(), node.cpu_time()?.saturating_sub(cpu));
        }
    };
    let mut results: HashMap<&str, u32> = HashMap::new();
    for result in &seen {
        *results.entry(&result.camera).or_default() += 1;
    }
    let mean = seen.len() as f64 / cameras as f64;
    // A camera that got nothing is in no entry.
    let least = if results.len() < cameras { 0 } else { results.values().copied().min().unwrap_or(0) };
    let most = results.values().copied().max().unwrap_or(0);
    let service = median(seen.iter().map(|result| result.ms.decode + result.ms.infer + result.ms.post));
    Ok(Overload {
        cameras,
        camera_fps,
        offered_fps: offered as f64 / took,
        fps: seen.len() as f64 / took,
        age_p50_ms: median(seen.iter().map(|result| result.age_ms)),
        age_p99_ms: quantile(seen.iter().map(|result| result.age_ms).collect(), 0.99),
        age_bound_ms: 1e3 / camera_fps + 3.0 * service,
        cpu_ms: cpu.as_secs_f64() * 1e3 / seen.len() as f64,
        fair_min: f64::from(least) / mean,
        fair_max: f64::from(most) / mean,
        rss_before_mib,
        rss_mib,
    })
}
