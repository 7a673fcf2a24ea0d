//! Cameras, and the pictures of frames.

use axum::body::Bytes;
use axum::extract::State as Extract;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderValue};
use axum::response::Response;
use headers::ETag;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use ulid::Ulid;
use utoipa::{IntoParams, ToSchema};

use super::assets::send;
use super::extract::{Json, Path, Query};
use super::problem::{Problem, Refused, Served};
use super::state::State;
use super::store::{asked, frame_id};
use crate::feedback::View;
use crate::frame::board::Shown;
use crate::frame::decode::Format;
use crate::mqtt::wire::ResultMessage;

/// A frame's picture never changes.
const FOR_GOOD: HeaderValue = HeaderValue::from_static("private, max-age=86400, immutable");
/// A small one may be that of the frame before.
const FOR_NOW: HeaderValue = HeaderValue::from_static("private, no-store");

/// The cameras that were seen.
#[derive(Serialize, ToSchema)]
pub(super) struct Cameras {
    /// By name.
    cameras: Vec<Camera>,
}

/// A camera.
#[derive(Serialize, ToSchema)]
struct Camera {
    /// Its name.
    camera: String,
    /// Its newest result.
    #[schema(value_type = ResultMessage)]
    result: Option<Box<RawValue>>,
    /// Since that came, milliseconds.
    age_ms: f64,
    /// Results a second, of late.
    per_second: f64,
    /// Results so far.
    results: u64,
    /// Frames that newer ones replaced so far.
    dropped: u64,
}

impl From<Shown> for Camera {
    fn from(shown: Shown) -> Self {
        let Shown { camera, result, age, per_second, results, dropped } = shown;
        let result = String::from_utf8(result.to_vec()).ok().and_then(|json| RawValue::from_string(json).ok());
        Self {
            camera: camera.to_string(),
            result,
            age_ms: (age.as_secs_f64() * 1e3).round(),
            per_second,
            results,
            dropped,
        }
    }
}

/// Lists the cameras with their newest results
#[utoipa::path(get, path = "/api/cameras", tag = "frames", responses((status = 200, body = Cameras), Refused))]
pub(super) async fn cameras(Extract(state): Extract<State>) -> Json<Cameras> {
    Json(Cameras { cameras: state.shared.board.all().into_iter().map(Camera::from).collect() })
}

/// Which picture of a frame is wanted.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(super) struct Size {
    /// A small one, of what the network saw, will do; it may be that of the frame a second before.
    small: bool,
}

/// Gives the picture of a frame, as long as it is held
#[utoipa::path(
    get, path = "/api/frames/{frame}", tag = "frames", params(("frame" = String, Path, description = "The frame's id, followed by `.jpg`", pattern = r"^[0-9A-Za-z]{26}(\.jpg)?$"), Size),
    responses((status = 200, content_type = "image/*", body = Vec<u8>, description = "The picture as it came"), 
        (status = 206, content_type = "image/*", body = Vec<u8>, description = "A part of it"), 
        (status = 304, description = "It has not changed"), (status = 416, description = "There is no such part"), Refused)
)]
pub(super) async fn picture(
    Extract(state): Extract<State>,
    Path(name): Path<String>,
    Query(size): Query<Size>,
    headers: HeaderMap,
) -> Served<Response> {
    let frame = frame_id(name.strip_suffix(".jpg").unwrap_or(&name))?;
    if size.small
        && let Some(jpeg) = state.shared.board.picture(frame)
    {
        return Ok(image(jpeg, Format::Jpeg, frame, FOR_NOW, &headers));
    }
    let held = state.shared.held.get(frame).map(|seen| (seen.image, seen.format));
    let (bytes, format) = match held {
        Some(held) => held,
        None => asked(&state, move |view| stored(view, frame)).await?,
    };
    Ok(image(bytes, format, frame, FOR_GOOD, &headers))
}

fn stored(view: &View, frame: Ulid) -> Served<(Bytes, Format)> {
    let gone = || Problem::not_found("the frame's picture is not held any more");
    let record = view.frame(frame).map_err(Problem::internal)?;
    let blob = record.and_then(|record| record.blob).ok_or_else(gone)?;
    let bytes = view.picture(&blob).map_err(|_| gone())?;
    Ok((bytes, blob.format))
}

fn image(bytes: Bytes, format: Format, frame: Ulid, keep: HeaderValue, headers: &HeaderMap) -> Response {
    let tag: ETag = format!("\"{frame}-{}\"", bytes.len()).parse().expect("letters and digits in quotes are a tag");
    let mut response = send(bytes, &tag, headers);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(format.media_type()));
    response.headers_mut().insert(CACHE_CONTROL, keep);
    response
}
