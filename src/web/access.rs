//! Who may do what: the token, sessions of a browser, other sites' pages, and how much at once.

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::NonZeroU32;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::extract::{ConnectInfo, Request, State as Extract};
use axum::http::header::{AUTHORIZATION, CACHE_CONTROL, HOST, HeaderName, ORIGIN, SET_COOKIE, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use governor::clock::DefaultClock;
use governor::state::keyed::HashMapStateStore;
use governor::{Quota, RateLimiter};
use headers::{Cookie, HeaderMapExt};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use utoipa::ToSchema;

use super::extract::Json;
use super::problem::{Problem, Refused, Served};
use super::state::State;
use crate::config::Secret;

/// The cookie that a browser gets for the token.
const COOKIE: &str = "glanced_session";
/// How long it is good for.
const SESSION: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// Sessions at once; the oldest ends for one more.
const SESSIONS: usize = 100;
/// Attempts to log in, of one address: so many at once, and then one in so long.
const LOGINS: NonZeroU32 = NonZeroU32::new(5).expect("five is not zero");
const LOGIN_EVERY: Duration = Duration::from_secs(6);
/// Requests of one address that change or compute something, a second, and how many may come at once.
const CHANGES: NonZeroU32 = NonZeroU32::new(50).expect("fifty is not zero");
const CHANGES_AT_ONCE: NonZeroU32 = NonZeroU32::new(100).expect("a hundred is not zero");
/// Addresses that are remembered before it is looked which may be forgotten.
const ADDRESSES: usize = 1024;

type Limiter = RateLimiter<IpAddr, HashMapStateStore<IpAddr>, DefaultClock>;

/// Who may do what.
#[derive(Debug)]
pub(super) struct Access {
    token: Option<Secret>,
    sessions: Mutex<VecDeque<Session>>,
    logins: Limiter,
    changes: Limiter,
}

/// A browser that has shown the token. Its cookie is known by a hash: who can read our memory's core dump can't use it.
#[derive(Debug)]
struct Session {
    hash: [u8; 32],
    until: Instant,
}

impl Access {
    /// With a token that requests must carry, or without.
    pub(super) fn new(token: Option<Secret>) -> Self {
        let logins = Quota::with_period(LOGIN_EVERY).unwrap_or(Quota::per_minute(LOGINS)).allow_burst(LOGINS);
        Self {
            token,
            sessions: Mutex::default(),
            logins: RateLimiter::hashmap(logins),
            changes: RateLimiter::hashmap(Quota::per_second(CHANGES).allow_burst(CHANGES_AT_ONCE)),
        }
    }

    /// In constant time: how long the comparison takes must not tell how much of a guess is right.
    fn is_token(&self, given: &[u8]) -> bool {
        self.token.as_ref().is_some_and(|token| bool::from(given.ct_eq(token.expose().as_bytes())))
    }

    fn open_session(&self) -> Result<String, getrandom::Error> {
        let mut secret = [0; 32];
        getrandom::fill(&mut secret)?;
        let name: String = secret.iter().map(|byte| format!("{byte:02x}")).collect();
        let mut sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        sessions.truncate(SESSIONS - 1);
        sessions.push_front(Session { hash: hash(&name), until: Instant::now() + SESSION });
        Ok(name)
    }

    fn is_session(&self, name: &str) -> bool {
        let hash = hash(name);
        let now = Instant::now();
        let mut sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        sessions.retain(|session| session.until > now);
        sessions.iter().any(|session| session.hash == hash)
    }

    fn end_session(&self, name: &str) {
        let hash = hash(name);
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner).retain(|session| session.hash != hash);
    }

    /// Whether a request carries the token itself.
    fn is_bearer(&self, headers: &HeaderMap) -> bool {
        let given = headers.get(AUTHORIZATION).and_then(|value| value.as_bytes().strip_prefix(b"Bearer "));
        given.is_some_and(|given| self.is_token(given))
    }

    fn is_allowed(&self, headers: &HeaderMap) -> bool {
        self.token.is_none() || self.is_bearer(headers) || cookie(headers).is_some_and(|name| self.is_session(&name))
    }
}

fn hash(name: &str) -> [u8; 32] {
    Sha256::digest(name.as_bytes()).into()
}

fn cookie(headers: &HeaderMap) -> Option<String> {
    headers.typed_get::<Cookie>()?.get(COOKIE).map(str::to_owned)
}

/// Lets nobody through who has neither the token nor a session, if one is needed.
pub(super) async fn authorize(Extract(state): Extract<State>, request: Request, next: Next) -> Response {
    if state.access.is_allowed(request.headers()) {
        return next.run(request).await;
    }
    let problem = Problem::new(StatusCode::UNAUTHORIZED, "a token is needed: Authorization: Bearer TOKEN, or log in");
    ([(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))], problem).into_response()
}

/// Lets nothing through that a page of another site made a browser ask for: such a page could otherwise use the browser's
/// cookie, or, without a token, that the browser runs beside us.
pub(super) async fn same_site(Extract(state): Extract<State>, request: Request, next: Next) -> Response {
    let headers = request.headers();
    let refused = |detail| Problem::new(StatusCode::FORBIDDEN, detail).into_response();
    if state.access.is_bearer(headers) {
        return next.run(request).await;
    }
    if state.access.token.is_none() && !is_local(headers) {
        // A name of somebody else's that leads here (DNS rebinding) makes his page one of ours to the browser.
        return refused("without a token, this is served to localhost only: set http.token_file");
    }
    if is_foreign(headers) {
        return refused("it comes from another site");
    }
    next.run(request).await
}

/// Whether a browser says that a page of another origin asks. Programs say nothing.
fn is_foreign(headers: &HeaderMap) -> bool {
    const SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
    if let Some(site) = headers.get(SITE) {
        return !matches!(site.as_bytes(), b"same-origin" | b"none");
    }
    let Some(origin) = headers.get(ORIGIN) else { return false };
    let origin = origin.to_str().ok().and_then(|origin| origin.split_once("://"));
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    origin.map(|(_, host)| host) != host
}

/// Whether the request is for a name of this machine, or for an address: those no one else can give away.
fn is_local(headers: &HeaderMap) -> bool {
    let Some(host) = headers.get(HOST).and_then(|host| host.to_str().ok()) else { return true };
    if host.parse::<SocketAddr>().is_ok() || host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok() {
        return true;
    }
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name).to_ascii_lowercase();
    name == "localhost" || name.ends_with(".localhost")
}

/// Lets nobody change or compute more than so much at once.
pub(super) async fn throttle(Extract(state): Extract<State>, request: Request, next: Next) -> Response {
    if matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS) {
        return next.run(request).await;
    }
    if is_within(&state.access.changes, address(&request)) {
        return next.run(request).await;
    }
    Problem::new(StatusCode::TOO_MANY_REQUESTS, format!("more than {CHANGES} requests a second")).into_response()
}

fn address(request: &Request) -> IpAddr {
    let info = request.extensions().get::<ConnectInfo<SocketAddr>>();
    info.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |ConnectInfo(address)| address.ip())
}

fn is_within(limiter: &Limiter, address: IpAddr) -> bool {
    if limiter.len() > ADDRESSES {
        limiter.retain_recent();
    }
    limiter.check_key(&address).is_ok()
}

/// Whether one has to log in.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct SessionState {
    /// A token is needed.
    login: bool,
    /// This request carried it, or one of a browser that has logged in; or none is needed.
    #[serde(rename = "in")]
    logged_in: bool,
}

/// Tells whether one has to log in
#[utoipa::path(get, path = "/api/session", tag = "session", security(()), responses((status = 200, body = SessionState), Refused))]
pub(super) async fn session(Extract(state): Extract<State>, headers: HeaderMap) -> Json<SessionState> {
    Json(SessionState { login: state.access.token.is_some(), logged_in: state.access.is_allowed(&headers) })
}

/// What a person who logs in shows.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Login {
    /// The token.
    token: String,
}

/// Logs a browser in
#[utoipa::path(
    post, path = "/api/session", tag = "session", security(()), request_body = Login,
    responses((status = 204, description = "A cookie holds the session", headers(("set-cookie" = String))), Refused)
)]
pub(super) async fn login(
    Extract(state): Extract<State>,
    ConnectInfo(from): ConnectInfo<SocketAddr>,
    Json(login): Json<Login>,
) -> Served<Response> {
    let access = &state.access;
    if !is_within(&access.logins, from.ip()) {
        return Err(Problem::new(StatusCode::TOO_MANY_REQUESTS, "too many attempts: wait a few seconds"));
    }
    if access.token.is_some() && !access.is_token(login.token.trim().as_bytes()) {
        tracing::warn!(%from, "somebody tried to log in with a wrong token");
        return Err(Problem::new(StatusCode::UNAUTHORIZED, "that is not the token"));
    }
    let name = access.open_session().map_err(Problem::internal)?;
    Ok(with_cookie(&name, SESSION.as_secs()))
}

/// Logs a browser out
#[utoipa::path(
    delete, path = "/api/session", tag = "session", security(()),
    responses((status = 204, description = "The session has ended"), Refused)
)]
pub(super) async fn logout(Extract(state): Extract<State>, headers: HeaderMap) -> Response {
    if let Some(name) = cookie(&headers) {
        state.access.end_session(&name);
    }
    with_cookie("", 0)
}

/// No script can read it, and no other site's page makes a browser send it. It is not marked `Secure`: many boxes are reached
/// without TLS, and a browser would not give it back there.
fn with_cookie(name: &str, seconds: u64) -> Response {
    let cookie = format!("{COOKIE}={name}; HttpOnly; SameSite=Strict; Path=/; Max-Age={seconds}");
    let mut response = (StatusCode::NO_CONTENT, [(CACHE_CONTROL, "no-store")]).into_response();
    if let Ok(value) = HeaderValue::try_from(cookie) {
        response.headers_mut().insert(SET_COOKIE, value);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(headers: &[(&'static str, &str)]) -> HeaderMap {
        headers.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap())).collect()
    }

    #[test]
    fn a_session_ends_when_it_is_told_and_when_there_are_too_many() {
        let access = Access::new(None);
        let first = access.open_session().unwrap();
        assert!(access.is_session(&first) && !access.is_session("") && !access.is_session(&first[1..]));
        let second = access.open_session().unwrap();
        access.end_session(&first);
        assert!(!access.is_session(&first) && access.is_session(&second));
        for _ in 0..SESSIONS {
            access.open_session().unwrap();
        }
        assert!(!access.is_session(&second));
    }

    #[test]
    fn other_sites_are_told_by_what_browsers_say() {
        for (headers, foreign) in [
            (&[][..], false),
            (&[("sec-fetch-site", "same-origin")], false),
            (&[("sec-fetch-site", "none")], false),
            (&[("sec-fetch-site", "same-site")], true),
            (&[("sec-fetch-site", "cross-site")], true),
            (&[("host", "box:8080"), ("origin", "http://box:8080")], false),
            (&[("host", "box:8080"), ("origin", "http://box:8081")], true),
            (&[("host", "box:8080"), ("origin", "null")], true),
            (&[("origin", "http://box")], true),
        ] {
            assert_eq!(is_foreign(&with(headers)), foreign, "{headers:?}");
        }
    }

    #[test]
    fn names_that_others_could_give_are_not_local() {
        for (host, local) in [
            ("localhost", true),
            ("localhost:8080", true),
            ("LOCALHOST:8080", true),
            ("box.localhost:8080", true),
            ("127.0.0.1:8080", true),
            ("127.0.0.1", true),
            ("[::1]:8080", true),
            ("[::1]", true),
            ("evil.example:8080", false),
            ("localhost.evil.example", false),
            ("127.0.0.1.evil.example", false),
        ] {
            assert_eq!(is_local(&with(&[("host", host)])), local, "{host}");
        }
    }

    #[test]
    fn addresses_have_limits_of_their_own() {
        let access = Access::new(None);
        let [one, other] = [1, 2].map(|last| IpAddr::V4(Ipv4Addr::new(192, 0, 2, last)));
        let let_in = (0..20).filter(|_| is_within(&access.logins, one)).count();
        assert_eq!(let_in, 5);
        assert!(is_within(&access.logins, other));
    }
}
