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

/// Where messages go that nobody is to read.
const UNHEARD: &str = "glanced-bench/unheard";

/// Medians over the rounds.
#[derive(Serialize)]
pub(super) struct Beside {
    pub(super) offered_per_s: f64,
    /// Those that were answered as stored.
    pub(super) stored_per_s: f64,
    pub(super) fps: f64,
    /// With no feedback at all.
    pub(super) fps_without: f64,
    /// With the same messages, but to a topic that nobody reads: sender and broker work on the same cores.
    pub(super) fps_unheard: f64,
    /// `fps` of `fps_without`.
    pub(super) share: f64,
    pub(super) share_min: f64,
    pub(super) share_max: f64,
    /// `fps` of `fps_unheard`: what the daemon's own work on feedback leaves.
    pub(super) share_unheard: f64,
    /// Resident memory afterwards.
    pub(super) rss_mib: f64,
}

#[derive(Deserialize)]
struct Seen {
    frame: String,
}

/// One turn of each.
#[derive(Default)]
struct Round {
    without: f64,
    unheard: f64,
    with: f64,
    offered_per_s: f64,
    stored_per_s: f64,
}

/// Takes frames alone, frames with `per_second` feedbacks, and frames with as many messages that nobody reads, in turn.
pub(super) async fn measure(
    node: &Node,
    frames: &[Bytes],
    per_second: f64,
    rounds: usize,
    measured: Duration,
) -> Result<Beside, Failure> {
    // No two frames are the same file, as those of a camera are not: a number follows the picture.
    let distinct = |number: usize| [&frames[number % frames.len()][..], &number.to_le_bytes()].concat().into();
    let heard = topics::feedback(&node.mqtt().prefix);
    let mut all = Vec::new();
    for round in 0..rounds {
        let mut now = Round::default();
        // Each comes first as often as the others: a machine that has just been idle is quicker.
        for arm in (0..3).map(|arm| (arm + round) % 3) {
            match arm {
                0 => now.without = deliver(node, distinct, |_| {}, measured).await?.fps,
                1 => now.unheard = taught(node, distinct, UNHEARD, per_second, measured).await?.0,
                _ => {
                    let (fps, taught) = taught(node, distinct, &heard, per_second, measured).await?;
                    (now.with, now.offered_per_s, now.stored_per_s) = (fps, taught.offered_per_s, taught.stored_per_s);
                }
            }
        }
        all.push(now);
    }
    let of = |value: fn(&Round) -> f64| median(all.iter().map(value));
    let shares: Vec<f64> = all.iter().map(|round| round.with / round.without).collect();
    Ok(Beside {
        offered_per_s: of(|round| round.offered_per_s),
        stored_per_s: of(|round| round.stored_per_s),
        fps: of(|round| round.with),
        fps_without: of(|round| round.without),
        fps_unheard: of(|round| round.unheard),
        share: median(shares.iter().copied()),
        share_min: quantile(shares.clone(), 0.0),
        share_max: quantile(shares, 1.0),
        share_unheard: of(|round| round.with / round.unheard),
        rss_mib: node.rss_mib()?,
    })
}

/// Frames a second while feedback flows to `topic`.
async fn taught(
    node: &Node,
    frame: impl Fn(usize) -> Bytes,
    topic: &str,
    per_second: f64,
    measured: Duration,
) -> Result<(f64, Taught), Failure> {
    let newest = Arc::new(Mutex::new(None));
    let (stop, stopped) = oneshot::channel();
    let teacher = tokio::spawn(teach(node.mqtt().clone(), topic.to_owned(), Arc::clone(&newest), per_second, stopped));
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
    topic: String,
    newest: Arc<Mutex<Option<String>>>,
    per_second: f64,
    mut stopped: oneshot::Receiver<()>,
) -> anyhow::Result<Taught> {
    const ANSWERS: &str = "glanced-bench/answers";
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
