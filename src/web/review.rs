//! Frames that were kept, for people who say what they show.

use axum::extract::State as Extract;
use axum::http::StatusCode;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use ulid::Ulid;
use utoipa::{IntoParams, ToSchema};

use super::extract::{Json, Path, Query};
use super::hashes::Appearance;
use super::problem::{Problem, Refused, Served};
use super::state::State;
use super::store::{asked, done, frame_id};
use crate::feedback::record::ModelRef;
use crate::feedback::view::{FrameRecord, Frames};
use crate::model::Active;

/// Frames on a page, and the most that may be asked for.
const FRAMES: usize = 60;
const MOST_FRAMES: usize = 200;
/// Frames that are looked at for one page, however few of them are wanted.
const LOOKS: usize = 2_000;

/// Which frames are wanted.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(super) struct Wanted {
    /// Those that wait for a label, those that have one, or all.
    #[param(inline)]
    state: Stage,
    /// Of this camera.
    camera: Option<String>,
    /// Said to show this, or, of those of which nothing was said, taken for this.
    label: Option<String>,
    /// Seen by this model.
    model: Option<String>,
    /// Whose best score was less than this above the second.
    margin_below: Option<f32>,
    /// Received at this time or later.
    #[param(value_type = Option<String>, format = DateTime)]
    since: Option<Timestamp>,
    /// Received before this time.
    #[param(value_type = Option<String>, format = DateTime)]
    until: Option<Timestamp>,
    /// Where the page before ended: its `next`.
    #[param(pattern = "^[0-9A-Za-z]{26}$")]
    before: Option<String>,
    /// How many, at most.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<usize>,
}

/// Whether somebody has said what a frame shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum Stage {
    #[default]
    Unlabelled,
    Labelled,
    All,
}

/// A page of frames.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = FramesPage)]
pub(super) struct Page {
    /// The newest first.
    frames: Vec<Kept>,
    /// Where the next page goes on; `null` at the end.
    next: Option<String>,
}

/// A frame that was kept.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = KeptFrame)]
struct Kept {
    /// Its id.
    frame: String,
    /// When it was received, or, if nobody knows, when it was kept.
    #[schema(value_type = Option<String>, format = DateTime)]
    at: Option<Timestamp>,
    /// Its camera; a picture that was tried has none.
    camera: Option<String>,
    /// The model that has looked, or whose labels are meant.
    #[schema(value_type = ModelOf)]
    model: ModelRef,
    /// What it saw, best first.
    top3: Vec<Class>,
    /// Why it was kept without a word: `unknown`, `margin`, `views`, `disagreement` or `sure`; or `withdrawn`, if what was said of
    /// it was taken back.
    reason: Option<String>,
    /// How far the best score was above the second.
    margin: Option<f32>,
    /// What it is said to show.
    said: Option<Says>,
    /// A newer one on this page that looks like it.
    alike: Option<Alike>,
}

/// A version of a model.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it is only described")]
pub(super) struct ModelOf {
    name: String,
    version: String,
}

/// A class that the model named.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SeenClass)]
struct Class {
    class: u32,
    label: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    label_zh: Option<String>,
    score: f32,
}

/// The statement that stands.
#[derive(Debug, Serialize, ToSchema)]
struct Says {
    /// Its id, by which it can be taken back.
    feedback: String,
    label: String,
    /// `null` for a class that the model did not have.
    class: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    label_zh: Option<String>,
    /// Who said it.
    by: Option<String>,
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
}

/// Which frame another looks like.
#[derive(Debug, Serialize, ToSchema)]
struct Alike {
    frame: String,
    /// In how many of 64 bits their hashes differ.
    bits: u32,
}

/// Lists frames that were kept, the newest first
#[utoipa::path(get, path = "/api/frames", tag = "feedback", params(Wanted), responses((status = 200, body = Page), Refused))]
pub(super) async fn frames(Extract(state): Extract<State>, Query(wanted): Query<Wanted>) -> Served<Json<Page>> {
    let limit = wanted.limit.unwrap_or(FRAMES);
    if !(1..=MOST_FRAMES).contains(&limit) {
        return Err(Problem::new(StatusCode::BAD_REQUEST, format!("limit: 1 to {MOST_FRAMES}, not {limit}")));
    }
    let before = wanted.before.as_deref().map(frame_id).transpose()?;
    let (hashes, limits, models) = (state.hashes.clone(), state.limits, state.shared.models.clone());
    asked(&state, move |view| {
        let which = match wanted.state {
            Stage::Unlabelled => Frames::Unlabelled,
            Stage::Labelled => Frames::Labelled,
            Stage::All => Frames::All,
        };
        let page = view.recent(which, &|record| wanted.wants(record), before, limit, LOOKS);
        let page = page.map_err(Problem::internal)?;
        let mut seen: Vec<(Ulid, Appearance)> = Vec::new();
        let frames = page.items.iter().map(|record| {
            let appearance = hashes.appearance(view, limits, record);
            let alike = appearance.as_ref().and_then(|one| {
                let other = seen.iter().find_map(|(frame, other)| Some((frame, one.distance(other)?)));
                other.map(|(frame, bits)| Alike { frame: frame.to_string(), bits })
            });
            if let Some(appearance) = appearance.filter(|_| alike.is_none()) {
                seen.push((record.frame, appearance));
            }
            kept(record, alike, &models)
        });
        let frames = frames.collect();
        Ok(Json(Page { frames, next: page.next.map(|next| next.to_string()) }))
    })
    .await
}

/// Removes a frame, its picture, and what was said about it
#[utoipa::path(
    delete, path = "/api/frames/{frame}", tag = "feedback", params(("frame" = String, Path, description = "The frame's id", pattern = "^[0-9A-Za-z]{26}$")),
    responses((status = 204, description = "It is gone"), Refused)
)]
pub(super) async fn remove(Extract(state): Extract<State>, Path(frame): Path<String>) -> Served<StatusCode> {
    let frame = frame_id(&frame)?;
    // Who removes a picture wants it gone from everywhere.
    state.shared.held.forget(frame);
    state.shared.board.forget_picture(frame);
    done(&state, move |store| {
        if store.view().frame(frame).map_err(Problem::internal)?.is_none() {
            return Err(Problem::not_found("there is no such frame in the store"));
        }
        store.remove(&[frame], "asked for").map_err(Problem::internal)?;
        Ok(StatusCode::NO_CONTENT)
    })
    .await
}

fn received(record: &FrameRecord) -> Option<Timestamp> {
    let kept = || record.collected.as_ref().map(|collected| collected.at);
    let said = || record.feedback.first().map(|said| said.feedback.at);
    record.sighting().and_then(|sighting| sighting.received_at).or_else(kept).or_else(said)
}

fn margin(record: &FrameRecord) -> Option<f32> {
    let noted = record.collected.as_ref().and_then(|collected| collected.margin);
    let scores = || match record.sighting()?.predicted.as_slice() {
        [first, second, ..] => Some(first.score - second.score),
        _ => None,
    };
    noted.or_else(scores)
}

impl Wanted {
    fn wants(&self, record: &FrameRecord) -> bool {
        let Some(sighting) = record.sighting() else { return false };
        let is = |wanted: &Option<String>, found: Option<&str>| {
            wanted.as_deref().filter(|wanted| !wanted.is_empty()).is_none_or(|wanted| found == Some(wanted))
        };
        let label = record.says().map(|said| said.statement.label());
        let label = label.or_else(|| sighting.predicted.first().map(|best| best.label.as_str()));
        let at = received(record);
        is(&self.camera, sighting.camera.as_deref())
            && is(&self.model, Some(&sighting.model.name))
            && is(&self.label, label)
            && self.margin_below.is_none_or(|below| margin(record).is_some_and(|margin| margin < below))
            && self.since.is_none_or(|since| at.is_some_and(|at| at >= since))
            && self.until.is_none_or(|until| at.is_some_and(|at| at < until))
    }
}

fn kept(record: &FrameRecord, alike: Option<Alike>, models: &Active) -> Kept {
    let sighting = record.sighting();
    let model = sighting.map(|sighting| sighting.model.clone());
    let bundle = model.as_ref().and_then(|model| models.named(&model.name));
    let chinese = |label: &str| {
        let labels = &bundle.as_ref()?.labels;
        labels.get(labels.find(label)?)?.zh.clone()
    };
    let top3 = sighting.into_iter().flat_map(|sighting| &sighting.predicted);
    let top3 = top3.map(|seen| Class {
        class: seen.class,
        label: seen.label.clone(),
        label_zh: chinese(&seen.label),
        score: seen.score,
    });
    let said = record.says().map(|said| Says {
        feedback: said.id.to_string(),
        label: said.statement.label().to_owned(),
        class: said.statement.class(),
        label_zh: chinese(said.statement.label()),
        by: said.by.clone(),
        at: said.at,
    });
    let kept = record.collected.as_ref().map(|collected| collected.reason.clone());
    Kept {
        frame: record.frame.to_string(),
        at: received(record),
        camera: sighting.and_then(|sighting| sighting.camera.clone()),
        top3: top3.collect(),
        reason: kept.or_else(|| record.waits().map(|waits| waits.reason)),
        margin: margin(record),
        said,
        alike,
        model: model.unwrap_or(ModelRef { name: String::new(), version: String::new() }),
    }
}
