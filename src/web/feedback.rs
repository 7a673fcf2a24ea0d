//! What people say about frames, and what that is enough for.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::State as Extract;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;
use ulid::Ulid;
use utoipa::{IntoParams, ToSchema};

use super::extract::{Json, Path, Query, json};
use super::problem::{Problem, Refused, Served};
use super::state::State;
use super::store::{asked, done, frame_id};
use crate::feedback::View;
use crate::feedback::inbox::Submission;
use crate::feedback::message::Answer;
use crate::feedback::record::Via;
use crate::feedback::view::{Filter, Stats};
use crate::learn::needs::{self, Needs};
use crate::learn::retrain::taught_until;

/// How long a sender waits for the disk.
const STORED_WITHIN: Duration = Duration::from_secs(10);

/// What is said about a frame: one of `label`, `class` and `verdict`, about a `frame`, or an `image`.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it is only described: the keeper reads it")]
#[schema(as = Statement)]
pub(super) struct Said {
    /// The id from a result.
    frame: Option<String>,
    /// What it shows, by name. A name that the model does not know is a new class.
    label: Option<String>,
    /// What it shows, by number.
    class: Option<u32>,
    /// `correct`: the first class is right.
    verdict: Option<String>,
    /// The sender's own, which makes a resend harmless.
    id: Option<String>,
    /// Who says it.
    by: Option<String>,
    /// The picture in base64, if the frame is no longer held.
    image: Option<String>,
    /// Its camera.
    camera: Option<String>,
    /// The model that is to learn from it.
    model: Option<String>,
}

/// It is on disk.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it is only described")]
pub(super) struct Stored {
    /// The statement's id.
    feedback: String,
    stored: bool,
    /// The model does not have this class.
    new_class: bool,
}

/// Says what a frame shows
#[utoipa::path(
    post, path = "/api/feedback", tag = "feedback", request_body = Said,
    responses((status = 200, body = Stored, description = "It is on disk"), Refused)
)]
pub(super) async fn say(
    Extract(state): Extract<State>,
    headers: HeaderMap,
    body: Result<Bytes, axum::extract::rejection::BytesRejection>,
) -> Served<Response> {
    let body = body.map_err(|error| Problem::from(error).not_stored())?;
    if !headers.get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"application/json")) {
        let detail = "Content-Type must be application/json";
        return Err(Problem::of_feedback(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail));
    }
    let (reply, answer) = oneshot::channel();
    let reply = move |answer: &Answer| {
        // A sender that has gone away needs no answer.
        let _ = reply.send(answer.clone());
    };
    let submission = Submission { json: body, via: Via::Http, reply: Box::new(reply) };
    let later = |detail: &dyn std::fmt::Display| Problem::of_feedback(StatusCode::SERVICE_UNAVAILABLE, detail);
    state.feedback.submit(submission).map_err(|error| later(&error))?;
    match tokio::time::timeout(STORED_WITHIN, answer).await {
        Ok(Ok(stored @ Answer::Stored { .. })) => Ok(json(StatusCode::OK, &stored)),
        Ok(Ok(Answer::Refused { error, .. } | Answer::Elsewhere { error, .. })) => {
            Err(Problem::of_feedback(StatusCode::UNPROCESSABLE_ENTITY, error))
        }
        Ok(Err(_)) | Err(_) => Err(later(&"it could not be stored yet: send it again later, with the same \"id\"")),
    }
}

/// Takes back what was said
#[utoipa::path(
    delete, path = "/api/feedback/{feedback}", tag = "feedback",
    params(("feedback" = String, Path, description = "The statement's id", pattern = "^[0-9A-Za-z]{26}$")),
    responses((status = 204, description = "It does not stand any more"), Refused)
)]
pub(super) async fn take_back(Extract(state): Extract<State>, Path(feedback): Path<String>) -> Served<StatusCode> {
    let feedback = frame_id(&feedback)?;
    done(&state, move |store| match store.withdraw(feedback).map_err(Problem::internal)? {
        true => Ok(StatusCode::NO_CONTENT),
        false => Err(Problem::not_found("there is no such statement, or it was taken back already")),
    })
    .await
}

/// Whose feedback.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(super) struct Of {
    /// The model; that of `model.name` if none is named.
    model: Option<String>,
}

/// What is in the store.
#[derive(Serialize, ToSchema)]
#[schema(as = StoreCounts)]
pub(super) struct Kept {
    /// Frames with a label, of all models.
    labelled: u64,
    /// Frames that wait for one, of all models.
    unlabelled: u64,
    /// Entries in the journal.
    journal_entries: u64,
    /// Everything on disk, bytes.
    bytes: u64,
    /// Statements that stand, of this model.
    by_label: BTreeMap<String, u64>,
    /// Frames that wait, by why they were kept.
    by_reason: BTreeMap<String, u64>,
    needs: Needs,
}

/// Tells what is in the store, and what a model still needs
#[utoipa::path(get, path = "/api/feedback/stats", tag = "feedback", params(Of), responses((status = 200, body = Kept), Refused))]
pub(super) async fn stats(Extract(state): Extract<State>, Query(of): Query<Of>) -> Served<Json<Kept>> {
    let bundle = state.model(of.model.as_deref())?;
    asked(&state, move |view| {
        let stats = view.stats().map_err(Problem::internal)?;
        let Stats { labelled, unlabelled, journal_entries, bytes, by_reason, mut by_model, .. } = stats;
        let by_label = by_model.remove(&bundle.name).unwrap_or_default();
        let new = taught_until(&bundle).map(|until| new_since(view, &bundle.name, until)).transpose()?;
        let needs = needs::of(&bundle, &by_label, new);
        Ok(Json(Kept { labelled, unlabelled, journal_entries, bytes, by_label, by_reason, needs }))
    })
    .await
}

/// How many standing statements about a model's classes are newer than one; of many, so many.
fn new_since(view: &View, model: &str, until: Ulid) -> Served<u64> {
    /// More than a verdict needs.
    const MANY: usize = 200;
    let filter = Filter { model: Some(model.to_owned()), standing: true, ..Filter::default() };
    let page = view.list(&filter, None, MANY).map_err(Problem::internal)?;
    Ok(page.items.iter().filter(|said| said.feedback.id > until).count() as u64)
}
