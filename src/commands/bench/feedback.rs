//! What feedback costs the frames.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

use super::super::Failure;
use super::node::Node;
use super::throughput::deliver;
use super::{median, quantile};
use crate::config::Mqtt;
use crate::feedback::message::Answer;
use crate::mqtt::peer::Peer;
use crate::mqtt::topics;

/// Medians over the rounds.
#[derive(Serialize)]
pub(super) struct Beside {
    pub(super) offered_per_s: f64,
    /// Those that were answered as stored.
    pub(super) stored_per_s: f64,
    pub(super) fps: f64,
    pub(super) fps_without: f64,
    /// The first of the two, of the second.
    pub(super) share: f64,
    pub(super) share_min: f64,
    pub(super) share_max: f64,
    /// Resident memory afterwards.
    pub(super) rss_mib: f64,
}

#[derive(Deserialize)]
struct Seen {
    frame: String,
}

/// Takes frames alone and frames with `per_second` feedbacks in turn.
pub(super) async fn measure(
    node: &Node,
    frames: &[Bytes],
    per_second: f64,
    rounds: usize,
    measured: Duration,
) -> Result<Beside, Failure> {
    // No two frames are the same file, as those of a camera are not: a number follows the picture.
    let distinct = |number: usize| [&frames[number % frames.len()][..], &number.to_le_bytes()].concat().into();
    let mut pairs = Vec::new();
    for round in 0..rounds {
        // Each comes first as often as the other: a machine that has just been idle is quicker.
        let alone = async || Ok::<_, Failure>(deliver(node, distinct, |_| {}, measured).await?.fps);
        let before = if round % 2 == 0 { Some(alone().await?) } else { None };
        let (with, taught) = taught(node, distinct, per_second, measured).await?;
        let without = match before {
            Some(before) => before,
            None => alone().await?,
        };
        pairs.push((without, with, taught));
    }
    let shares: Vec<f64> = pairs.iter().map(|(without, with, _)| with / without).collect();
    Ok(Beside {
        offered_per_s: median(pairs.iter().map(|(.., taught)| taught.offered_per_s)),
        stored_per_s: median(pairs.iter().map(|(.., taught)| taught.stored_per_s)),
        fps: median(pairs.iter().map(|(_, with, _)| *with)),
        fps_without: median(pairs.iter().map(|(without, ..)| *without)),
        share: median(shares.iter().copied()),
        share_min: quantile(shares.clone(), 0.0),
        share_max: quantile(shares, 1.0),
        rss_mib: node.rss_mib()?,
    })
}

/// Frames a second while feedback flows.
async fn taught(
    node: &Node,
    frame: impl Fn(usize) -> Bytes,
    per_second: f64,
    measured: Duration,
) -> Result<(f64, Taught), Failure> {
    let newest = Arc::new(Mutex::new(None));
    let (stop, stopped) = oneshot::channel();
    let teacher = tokio::spawn(teach(node.mqtt().clone(), Arc::clone(&newest), per_second, stopped));
    let seen = |result: &[u8]| {
        if let Ok(Seen { frame }) = serde_json::from_slice(result) {
            *newest.lock().unwrap_or_else(PoisonError::into_inner) = Some(frame);
        }
    };
    let with = deliver(node, frame, seen, measured).await?;
    // Nobody listening means that it has failed, which it says below.
    let _ = stop.send(());
    Ok((with.fps, teacher.await.context("the sender of feedback")??))
}

struct Taught {
    offered_per_s: f64,
    stored_per_s: f64,
}

/// Confirms the newest frame again and again, each time as somebody else, until told to stop.
async fn teach(
    mqtt: Mqtt,
    newest: Arc<Mutex<Option<String>>>,
    per_second: f64,
    mut stopped: oneshot::Receiver<()>,
) -> anyhow::Result<Taught> {
    const ANSWERS: &str = "glanced-bench/answers";
    let topic = topics::feedback(&mqtt.prefix);
    let mut peer = Peer::connect(&mqtt, "teacher", Some(ANSWERS), 4096).await?;
    let mut ticks = tokio::time::interval(Duration::from_secs_f64(1.0 / per_second));
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Burst);
    let begin = Instant::now();
    let (mut offered, mut stored) = (0_u32, 0_u32);
    loop {
        tokio::select! {
            _ = ticks.tick() => {
                let Some(frame) = newest.lock().unwrap_or_else(PoisonError::into_inner).clone() else { continue };
                let feedback = serde_json::json!({"frame": frame, "verdict": "correct", "by": format!("bench-{offered}")});
                // What the socket does not take is not offered.
                if peer.ask(&topic, feedback.to_string().into_bytes(), ANSWERS).is_ok() {
                    offered += 1;
                }
            }
            message = peer.next() => {
                let (_, payload) = message.context("the connection to the broker was lost")?;
                stored += u32::from(matches!(serde_json::from_slice(&payload), Ok(Answer::Stored { .. })));
            }
            _ = &mut stopped => break,
        }
    }
    let took = begin.elapsed().as_secs_f64();
    Ok(Taught { offered_per_s: f64::from(offered) / took, stored_per_s: f64::from(stored) / took })
}
