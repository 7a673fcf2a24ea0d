//! The topics of the MQTT contract.

/// What `<prefix>/nodes/<node>/status` says while the node serves.
pub const ONLINE: &str = "online";
/// What it says otherwise.
pub const OFFLINE: &str = "offline";
/// The ends of topics below the prefix that nodes write to.
const OWN: [&str; 7] = ["/top3", "/state", "/state/image", "/status", "/stats", "/retrain/state", "/models"];

/// Where results of a camera go.
#[must_use]
pub fn top3(prefix: &str, camera: &str) -> String {
    format!("{prefix}/{camera}/top3")
}

/// Where a node says whether it is there.
#[must_use]
pub fn status(prefix: &str, node: &str) -> String {
    format!("{prefix}/nodes/{node}/status")
}

/// Where a node counts.
#[must_use]
pub fn stats(prefix: &str, node: &str) -> String {
    format!("{prefix}/nodes/{node}/stats")
}

/// Where requests come in.
#[must_use]
pub fn classify(prefix: &str) -> String {
    format!("{prefix}/classify")
}

/// Where feedback comes in.
#[must_use]
pub fn feedback(prefix: &str) -> String {
    format!("{prefix}/feedback")
}

/// Where a node is asked to learn.
#[must_use]
pub fn retrain(prefix: &str, node: &str) -> String {
    format!("{prefix}/nodes/{node}/retrain")
}

/// Where a node says what it is learning.
#[must_use]
pub fn retrain_state(prefix: &str, node: &str) -> String {
    format!("{prefix}/nodes/{node}/retrain/state")
}

/// Where a node is asked to put another version of a model in use.
#[must_use]
pub fn promote(prefix: &str, node: &str) -> String {
    format!("{prefix}/nodes/{node}/promote")
}

/// Where a node says which versions of its models are in use, and which wait.
#[must_use]
pub fn models(prefix: &str, node: &str) -> String {
    format!("{prefix}/nodes/{node}/models")
}

/// Where it is said what a camera shows, for those who follow its class rather than its frames.
#[must_use]
pub fn state(prefix: &str, camera: &str) -> String {
    format!("{prefix}/{camera}/state")
}

/// Where the picture that goes with that is.
#[must_use]
pub fn image(prefix: &str, camera: &str) -> String {
    format!("{prefix}/{camera}/state/image")
}

/// Whether a topic is a camera's [`state()`] or [`image()`].
pub(super) fn is_told_beside(prefix: &str, topic: &str) -> bool {
    let rest = topic.strip_prefix(prefix).and_then(|rest| rest.strip_prefix('/'));
    let camera = rest.and_then(|rest| rest.strip_suffix("/state").or_else(|| rest.strip_suffix("/state/image")));
    camera.is_some_and(|camera| !camera.is_empty() && !camera.contains(['/', '+', '#', '\0']))
}

/// Whether a topic is one that nodes write to: results must not be taken for frames, by whatever filter they come.
pub(super) fn is_written_by_nodes(prefix: &str, topic: &str) -> bool {
    let own = topic.strip_prefix(prefix).and_then(|rest| rest.strip_prefix('/'));
    own.is_some_and(|rest| OWN.iter().any(|end| rest.ends_with(end)))
}
