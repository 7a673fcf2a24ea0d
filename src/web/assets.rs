//! The page's files, which are a part of the program.

use std::sync::LazyLock;

use axum::body::Bytes;
use axum::extract::Path;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use headers::{ContentRange, ETag, HeaderMapExt, IfNoneMatch, IfRange, Range};
use sha2::{Digest, Sha256};

use super::problem::Problem;

/// A file of the page.
struct Asset {
    name: &'static str,
    kind: &'static str,
    content: &'static [u8],
    /// Of its content.
    tag: ETag,
}

macro_rules! assets {
    ($($name:literal $kind:literal),* $(,)?) => {
        [$(Asset {
            name: $name,
            kind: $kind,
            content: include_bytes!(concat!("assets/", $name)),
            tag: tag_of(include_bytes!(concat!("assets/", $name))),
        }),*].into()
    };
}

static ASSETS: LazyLock<Vec<Asset>> = LazyLock::new(|| {
    assets![
        "api.js" "text/javascript; charset=utf-8",
        "app.js" "text/javascript; charset=utf-8",
        "bars.js" "text/javascript; charset=utf-8",
        "cameras.css" "text/css; charset=utf-8",
        "cameras.js" "text/javascript; charset=utf-8",
        "capture.js" "text/javascript; charset=utf-8",
        "charts.js" "text/javascript; charset=utf-8",
        "copy.js" "text/javascript; charset=utf-8",
        "dialog.js" "text/javascript; charset=utf-8",
        "dom.js" "text/javascript; charset=utf-8",
        "en.js" "text/javascript; charset=utf-8",
        "favicon.svg" "image/svg+xml",
        "frames.js" "text/javascript; charset=utf-8",
        "i18n.js" "text/javascript; charset=utf-8",
        "index.html" "text/html; charset=utf-8",
        "labelpicker.js" "text/javascript; charset=utf-8",
        "live.js" "text/javascript; charset=utf-8",
        "login.js" "text/javascript; charset=utf-8",
        "models.css" "text/css; charset=utf-8",
        "models.js" "text/javascript; charset=utf-8",
        "needs.js" "text/javascript; charset=utf-8",
        "newmodel.js" "text/javascript; charset=utf-8",
        "node.css" "text/css; charset=utf-8",
        "node.js" "text/javascript; charset=utf-8",
        "parts.css" "text/css; charset=utf-8",
        "retrain.js" "text/javascript; charset=utf-8",
        "review.css" "text/css; charset=utf-8",
        "review.js" "text/javascript; charset=utf-8",
        "say.js" "text/javascript; charset=utf-8",
        "style.css" "text/css; charset=utf-8",
        "theme.js" "text/javascript; charset=utf-8",
        "toast.js" "text/javascript; charset=utf-8",
        "try.css" "text/css; charset=utf-8",
        "try.js" "text/javascript; charset=utf-8",
        "version.js" "text/javascript; charset=utf-8",
        "zh.js" "text/javascript; charset=utf-8",
    ]
});

/// To be asked for at each use: it is small, it is near, and a page must not be half of one release and half of another.
const ASK_AGAIN: HeaderValue = HeaderValue::from_static("no-cache");

fn tag_of(content: &[u8]) -> ETag {
    let hash: String = Sha256::digest(content)[..8].iter().map(|byte| format!("{byte:02x}")).collect();
    format!("\"{hash}\"").parse().expect("digits in quotes are a tag")
}

/// `GET /`: the page.
pub(super) async fn page(headers: HeaderMap) -> Response {
    serve("index.html", &headers)
}

/// `GET /assets/<name>`: one of its files.
pub(super) async fn asset(Path(name): Path<String>, headers: HeaderMap) -> Response {
    serve(&name, &headers)
}

/// A name from outside is only compared with those there are.
fn serve(name: &str, headers: &HeaderMap) -> Response {
    match ASSETS.iter().find(|asset| asset.name == name) {
        Some(Asset { kind, content, tag, .. }) => {
            let mut response = send(Bytes::from_static(content), tag, headers);
            response.headers_mut().insert(CACHE_CONTROL, ASK_AGAIN);
            response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
            response
        }
        None => Problem::not_found("there is no such file").into_response(),
    }
}

/// Some content, or a part of it, or the word that it has not changed, as the request's headers want it.
pub(super) fn send(content: Bytes, tag: &ETag, headers: &HeaderMap) -> Response {
    let unchanged = headers.typed_get::<IfNoneMatch>().is_some_and(|known| !known.precondition_passes(tag));
    let mut response = if unchanged { StatusCode::NOT_MODIFIED.into_response() } else { part(content, tag, headers) };
    response.headers_mut().typed_insert(tag.clone());
    response.headers_mut().typed_insert(headers::AcceptRanges::bytes());
    response
}

fn part(content: Bytes, tag: &ETag, headers: &HeaderMap) -> Response {
    let length = content.len() as u64;
    let still = headers.typed_get::<IfRange>().is_none_or(|known| !known.is_modified(Some(tag), None));
    let range = headers.typed_get::<Range>().filter(|_| still);
    let mut wanted = range.iter().flat_map(|range| range.satisfiable_ranges(length));
    let first = wanted.next().map(|bounds| bounds_of(bounds, length));
    // Several parts at once may be answered with the whole.
    let several = wanted.next().is_some();
    match (range.is_some(), first) {
        (true, None | Some(None)) => {
            let mut response = StatusCode::RANGE_NOT_SATISFIABLE.into_response();
            response.headers_mut().typed_insert(ContentRange::unsatisfied_bytes(length));
            response
        }
        (true, Some(Some((start, end)))) if !several => {
            let mut response = content.slice(start as usize..end as usize).into_response();
            *response.status_mut() = StatusCode::PARTIAL_CONTENT;
            if let Ok(range) = ContentRange::bytes(start..end, length) {
                response.headers_mut().typed_insert(range);
            }
            response
        }
        _ => content.into_response(),
    }
}

/// From where to where, within the content; `None` if there is nothing between.
fn bounds_of(bounds: (std::ops::Bound<u64>, std::ops::Bound<u64>), length: u64) -> Option<(u64, u64)> {
    use std::ops::Bound::{Excluded, Included, Unbounded};
    let start = match bounds.0 {
        Included(start) => start,
        Excluded(start) => start.saturating_add(1),
        Unbounded => 0,
    };
    let end = match bounds.1 {
        Included(end) => end.saturating_add(1),
        Excluded(end) => end,
        Unbounded => length,
    };
    let end = end.min(length);
    (start < end).then_some((start, end))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(headers: &[(&'static str, &str)]) -> Response {
        let named =
            headers.iter().map(|(name, value)| (axum::http::HeaderName::from_static(name), value.parse().unwrap()));
        send(Bytes::from_static(b"0123456789"), &tag_of(b"x"), &named.collect())
    }

    fn range_of(response: &Response) -> (u16, Option<&str>) {
        let range = response.headers().get("content-range").map(|range| range.to_str().unwrap());
        (response.status().as_u16(), range)
    }

    #[test]
    fn parts_are_given_as_they_are_asked_for() {
        for (range, wanted) in [
            ("bytes=2-4", (206, Some("bytes 2-4/10"))),
            ("bytes=7-", (206, Some("bytes 7-9/10"))),
            ("bytes=-3", (206, Some("bytes 7-9/10"))),
            ("bytes=5-100", (206, Some("bytes 5-9/10"))),
            ("bytes=10-", (416, Some("bytes */10"))),
            ("bytes=0-1,4-5", (200, None)),
            ("lines=1-2", (200, None)),
        ] {
            assert_eq!(range_of(&asked(&[("range", range)])), wanted, "{range}");
        }
    }

    #[test]
    fn what_is_known_is_not_sent_again() {
        let tag = asked(&[]).headers()["etag"].to_str().unwrap().to_owned();
        assert_eq!(asked(&[("if-none-match", &tag)]).status(), 304);
        assert_eq!(asked(&[("if-none-match", "\"other\"")]).status(), 200);
        assert_eq!(asked(&[("if-range", &tag), ("range", "bytes=0-0")]).status(), 206);
        assert_eq!(asked(&[("if-range", "\"other\""), ("range", "bytes=0-0")]).status(), 200);
    }

    #[test]
    fn a_name_reaches_no_file() {
        for name in ["../Cargo.toml", "..", "", "/etc/passwd", "nothing.js"] {
            assert_eq!(serve(name, &HeaderMap::new()).status(), 404, "{name}");
        }
        assert_eq!(serve("index.html", &HeaderMap::new()).status(), 200);
    }
}
