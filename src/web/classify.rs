//! Pictures that somebody wants to try.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Bytes;
use axum::extract::{FromRequest, Multipart, Request, State as Extract};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::Response;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;
use utoipa::{IntoParams, ToSchema};

use super::cache::{Known, Question};
use super::extract::{Query, json};
use super::problem::{Problem, Refused, Served};
use super::state::State;
use crate::frame::ask::{Asker, Caller, RefusalKind, Request as Asked, ViewPicture};
use crate::frame::{Received, Route};
use crate::mqtt::wire::{About, ResultMessage};

/// The field of a form that has the picture.
const FIELD: &str = "image";
/// What a form has beside its picture, bytes.
pub(super) const FORM_BYTES: usize = 64 << 10;
/// How long a picture may take to arrive.
const ARRIVES_WITHIN: Duration = Duration::from_secs(60);
/// How long an answer may take: frames come first when there are many.
const ANSWERED_WITHIN: Duration = Duration::from_secs(30);

/// Whether the pictures of views are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Pictures(pub(super) bool);

/// How a picture is to be looked at.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(super) struct How {
    /// The model that looks; that of `model.name` if none is named.
    model: Option<String>,
    /// Whether what the network saw is shown too.
    pictures: bool,
}

/// A result, and how it came about.
#[derive(Serialize, ToSchema)]
pub(super) struct Tried<'a> {
    #[serde(flatten)]
    result: ResultMessage<'a>,
    /// The same picture was asked about a moment ago, and this is what was answered then.
    cached: bool,
    /// What the network saw, if that was asked.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pictures: Vec<Shown>,
}

/// One view of the picture.
#[derive(Serialize, ToSchema)]
pub(super) struct Shown {
    /// Which part, and what was done to it.
    view: String,
    /// A JPEG file in base64.
    jpeg: String,
}

impl From<&ViewPicture> for Shown {
    fn from(picture: &ViewPicture) -> Self {
        Self { view: picture.view.to_string(), jpeg: STANDARD.encode(&picture.jpeg) }
    }
}

/// A form with a picture.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it is only described")]
pub(super) struct Form {
    /// A JPEG, PNG, WebP, GIF or BMP.
    #[schema(value_type = String, format = Binary)]
    image: Vec<u8>,
}

/// Classifies a picture
#[utoipa::path(
    post, path = "/api/classify", tag = "frames", params(How),
    request_body(content((Form = "multipart/form-data"), (Vec<u8> = "application/octet-stream")), description = "A picture: JPEG, PNG, WebP, GIF or BMP"),
    responses((status = 200, body = Tried), Refused)
)]
pub(super) async fn classify(
    Extract(state): Extract<State>,
    Query(how): Query<How>,
    request: Request,
) -> Served<Response> {
    let models = &state.shared.models;
    let model = match &how.model {
        Some(name) => models.index(name).ok_or_else(|| Problem::not_found(format!("no model {name:?} runs here")))?,
        None => 0,
    };
    let uploading = state.uploads.try_acquire();
    let _uploading = uploading.map_err(|_| Problem::busy("too many pictures are being uploaded"))?;
    let picture = tokio::time::timeout(ARRIVES_WITHIN, picture_of(request)).await;
    let picture =
        picture.map_err(|_| Problem::new(StatusCode::REQUEST_TIMEOUT, "the picture did not arrive in time"))??;
    let wanted = Pictures(how.pictures);
    let begin = Instant::now();
    let steps = state.shared.steps.load_full();
    let bundle = models.get(model);
    let question = Question::new(&picture, &bundle.name, &bundle.version, wanted);
    // Feedback to it must find the picture.
    let still_good = |known: &Known| Arc::ptr_eq(&known.steps, &steps) && state.shared.held.holds(known.frame);
    if let Some(known) = state.cache.get(&question, still_good) {
        return Ok(answered(&state, &known, begin, Duration::ZERO, true));
    }
    let received = Received::now();
    let answer = ask(&state, picture, model, wanted, received).await?;
    let known = Known { frame: received.id, received_at: received.at, answer: Arc::new(answer), steps };
    // A version that was swapped in meanwhile has answered another question.
    if Arc::ptr_eq(&known.answer.bundle, &bundle) || known.answer.bundle.version == bundle.version {
        state.cache.put(question, known.clone());
    }
    let queue = known.answer.queue;
    Ok(answered(&state, &known, begin, queue, false))
}

/// The picture out of a form, or the body itself.
async fn picture_of(request: Request) -> Served<Bytes> {
    let kind = request.headers().get(CONTENT_TYPE).map(|kind| kind.as_bytes().to_ascii_lowercase());
    let is_form = kind.is_some_and(|kind| kind.starts_with(b"multipart/form-data"));
    let picture = if is_form {
        let unusable = |error: &dyn std::fmt::Display, status| Problem::new(status, error);
        let form = Multipart::from_request(request, &()).await;
        let mut form = form.map_err(|error| unusable(&error.body_text(), error.status()))?;
        loop {
            let field = form.next_field().await.map_err(|error| unusable(&error.body_text(), error.status()))?;
            match field {
                Some(field) if field.name() == Some(FIELD) => {
                    break field.bytes().await.map_err(|error| unusable(&error.body_text(), error.status()))?;
                }
                Some(_) => {}
                None => {
                    let detail = format!("the form has no field {FIELD:?}");
                    return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, detail));
                }
            }
        }
    } else {
        Bytes::from_request(request, &()).await?
    };
    if picture.is_empty() {
        return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "there is no picture in the request"));
    }
    Ok(picture)
}

/// Asks a worker: it takes turns with the frames.
async fn ask(
    state: &State,
    payload: Bytes,
    model: usize,
    Pictures(pictures): Pictures,
    received: Received,
) -> Served<crate::frame::ask::Answer> {
    let (answer, answered) = oneshot::channel();
    let caller = Caller { pictures, answer };
    let request = Asked { payload, route: Route { model, ..Route::WHOLE }, received, asker: Asker::Caller(caller) };
    state.shared.intake.push_request(request).map_err(|busy| Problem::busy(busy.to_string()))?;
    let answer = tokio::time::timeout(ANSWERED_WITHIN, answered).await;
    let answer = answer.map_err(|_| Problem::busy("no worker was free in time"))?;
    let answer = answer.map_err(|_| Problem::busy("the node is stopping"))?;
    answer.map_err(|refusal| match refusal.kind {
        RefusalKind::Unusable => Problem::new(StatusCode::UNPROCESSABLE_ENTITY, refusal),
        RefusalKind::Unlearnt => Problem::new(StatusCode::CONFLICT, refusal),
        RefusalKind::Later => Problem::busy(refusal),
        RefusalKind::Failed => Problem::internal(refusal),
    })
}

fn answered(state: &State, known: &Known, begin: Instant, queue: Duration, cached: bool) -> Response {
    let answer = &known.answer;
    let about = About {
        frame: known.frame,
        repeat_of: None,
        id: None,
        camera: None,
        node: &state.shared.node,
        captured_at: None,
        received_at: known.received_at,
        age: begin.elapsed(),
        queue,
        dropped: 0,
    };
    let result = ResultMessage::new(about, &answer.glance, &answer.bundle);
    json(StatusCode::OK, &Tried { result, cached, pictures: answer.pictures.iter().map(Shown::from).collect() })
}
