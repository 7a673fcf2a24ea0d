//! What is told when something can't be done: problem details (RFC 9457).

use axum::body::Body;
use axum::extract::rejection::{BytesRejection, JsonRejection, PathRejection, QueryRejection};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::{IntoResponses, ToSchema};

use crate::mqtt::wire;

/// Why a request was not served.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(super) struct Problem {
    /// Always `about:blank`: the status says which kind it is.
    #[serde(rename = "type")]
    kind: &'static str,
    /// The status in words.
    title: &'static str,
    /// The HTTP status.
    status: u16,
    /// What is wrong, in words.
    detail: String,
    /// Of feedback only: that it was not stored.
    #[serde(skip_serializing_if = "Option::is_none")]
    stored: Option<bool>,
    /// Of feedback only: the same as `detail`.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

/// What a handler gives.
pub(super) type Served<T> = Result<T, Problem>;

impl Problem {
    pub(super) fn new(status: StatusCode, detail: impl ToString) -> Self {
        let title = status.canonical_reason().unwrap_or("Error");
        let detail = detail.to_string();
        Self { kind: "about:blank", title, status: status.as_u16(), detail, stored: None, error: None }
    }

    pub(super) fn not_found(detail: impl ToString) -> Self {
        Self::new(StatusCode::NOT_FOUND, detail)
    }

    /// Another time.
    pub(super) fn busy(detail: impl ToString) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, detail)
    }

    /// The fault is ours.
    pub(super) fn internal(detail: impl ToString) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, detail)
    }

    /// About feedback, in the words of its own contract as well.
    pub(super) fn of_feedback(status: StatusCode, detail: impl ToString) -> Self {
        Self::new(status, detail).not_stored()
    }

    /// As what is answered to feedback.
    pub(super) fn not_stored(self) -> Self {
        Self { stored: Some(false), error: Some(self.detail.clone()), ..self }
    }
}

/// Seconds after which a client may try again what was too much.
const AGAIN_S: HeaderValue = HeaderValue::from_static("1");

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = Response::new(Body::from(wire::to_json(&self)));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) {
            headers.insert(RETRY_AFTER, AGAIN_S);
        }
        response
    }
}

macro_rules! rejected {
    ($($rejection:ty),*) => {$(
        impl From<$rejection> for Problem {
            fn from(rejection: $rejection) -> Self {
                Self::new(rejection.status(), rejection.body_text())
            }
        }
    )*};
}
rejected!(BytesRejection, JsonRejection, PathRejection, QueryRejection);

/// What any route may answer instead. For the document.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "it is only described")]
pub(super) enum Refused {
    #[response(status = 400, description = "The request is malformed", content_type = "application/problem+json")]
    Malformed(Problem),
    #[response(status = 401, description = "A token is needed", content_type = "application/problem+json")]
    Unauthorized(Problem),
    #[response(status = 403, description = "It comes from another site", content_type = "application/problem+json")]
    Foreign(Problem),
    #[response(status = 404, description = "There is no such thing", content_type = "application/problem+json")]
    NotFound(Problem),
    #[response(status = 408, description = "It did not arrive in time", content_type = "application/problem+json")]
    Late(Problem),
    #[response(status = 409, description = "Not in this state", content_type = "application/problem+json")]
    Conflict(Problem),
    #[response(status = 413, description = "It is too large", content_type = "application/problem+json")]
    TooLarge(Problem),
    #[response(
        status = 415,
        description = "It is of a kind that is not taken",
        content_type = "application/problem+json"
    )]
    WrongKind(Problem),
    #[response(status = 422, description = "It makes no sense", content_type = "application/problem+json")]
    Senseless(Problem),
    #[response(status = 429, description = "Too many requests", content_type = "application/problem+json")]
    TooMany(Problem),
    #[response(status = 503, description = "Another time", content_type = "application/problem+json")]
    Later(Problem),
}
