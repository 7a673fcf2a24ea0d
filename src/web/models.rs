//! Models and their versions.

use std::fs;
use std::path::Path as FilePath;
use std::time::SystemTime;

use axum::extract::State as Extract;
use axum::http::StatusCode;
use axum::response::Response;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use super::extract::{Json, Path, Query, json};
use super::problem::{Problem, Refused, Served};
use super::state::State;
use super::store::waiting;
use crate::model::{self, ListedVersion, NewError, Registry, RegistryError};

/// All models on disk.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct Models {
    models: Vec<Model>,
}

/// A model.
#[derive(Clone, Debug, Serialize, ToSchema)]
struct Model {
    name: String,
    /// The version in use.
    version: String,
    /// A source of this node names it.
    served: bool,
    /// The oldest first.
    versions: Vec<Version>,
}

/// A version of a model.
#[derive(Clone, Debug, Serialize, ToSchema)]
struct Version {
    version: String,
    in_use: bool,
    /// The version it was made from.
    #[serde(skip_serializing_if = "Option::is_none")]
    parent: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    classes: Option<usize>,
    /// It has learnt something.
    #[serde(skip_serializing_if = "Option::is_none")]
    learnt: Option<bool>,
    /// Why it can't be used.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    /// When it was written.
    #[schema(value_type = Option<String>, format = DateTime)]
    made: Option<Timestamp>,
    /// What was measured when it was made, as the command that made it tells it.
    #[schema(value_type = Option<Object>)]
    metrics: Option<Value>,
}

/// Lists the models and their versions, with what was measured
#[utoipa::path(get, path = "/api/models", tag = "models", responses((status = 200, body = Models), Refused))]
pub(super) async fn models(Extract(state): Extract<State>) -> Served<Json<Models>> {
    let served: Vec<String> = state.shared.models.all().iter().map(|bundle| bundle.name.clone()).collect();
    let looking = state.looking.clone();
    on_disk(&state, move |registry| {
        let _one_at_a_time = looking.lock();
        let models = registry.list()?.models.into_iter().map(|listed| {
            let folders = registry.versions(&listed.name);
            let on_disk = |version: &str| folders.iter().find(|there| there.version == version);
            let versions = listed.versions.into_iter().map(|version| Version::new(on_disk(&version.version), version));
            Model {
                versions: versions.collect(),
                served: served.contains(&listed.name),
                version: listed.version,
                name: listed.name,
            }
        });
        Ok(Json(Models { models: models.collect() }))
    })
    .await
}

impl Version {
    fn new(on_disk: Option<&model::Version>, listed: ListedVersion) -> Self {
        let ListedVersion { version, in_use, parent, classes, learnt, error } = listed;
        let metrics = on_disk.and_then(|version| serde_json::from_slice(&version.metrics()?).ok());
        let made = on_disk.and_then(|version| made(&version.dir));
        Self { version, in_use, parent, classes, learnt, error, made, metrics }
    }
}

fn made(dir: &FilePath) -> Option<Timestamp> {
    let modified = fs::metadata(dir).ok()?.modified().ok()?;
    let since = modified.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    Timestamp::from_second(i64::try_from(since.as_secs()).ok()?).ok()
}

/// What a model of one's own is to be.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct New {
    /// Its name: letters, digits, hyphens, underscores and points.
    name: String,
    /// The model whose network it gets.
    from: String,
    /// What it is to tell apart.
    labels: Vec<String>,
}

/// A model that was made.
#[derive(Serialize, ToSchema)]
pub(super) struct Made {
    name: String,
    version: String,
    /// Name and version of the one whose network it has.
    from: String,
    labels: Vec<String>,
    /// What the configuration needs, so that it is fed.
    source: String,
}

/// Makes a model that knows nothing yet
#[utoipa::path(post, path = "/api/models", tag = "models", request_body = New, responses((status = 201, body = Made), Refused))]
pub(super) async fn make(Extract(state): Extract<State>, Json(new): Json<New>) -> Served<Response> {
    let registry = state.registry.clone();
    waiting(move || {
        let made = registry.make(&new.name, &new.from, &new.labels).map_err(|error| match error {
            NewError::Base(error) => problem(&error),
            NewError::Exists(_) => Problem::new(StatusCode::CONFLICT, error),
            NewError::Name(_) | NewError::Labels | NewError::Label(_) => {
                Problem::new(StatusCode::UNPROCESSABLE_ENTITY, error)
            }
            NewError::Write(_) => Problem::internal(error),
        })?;
        let source = made.source();
        let crate::model::Made { name, version, from, labels, .. } = made;
        Ok(json(StatusCode::CREATED, &Made { name, version, from, labels, source }))
    })
    .await
}

/// Which model is meant.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(super) struct Which {
    /// The model; that of `model.name` if none is named.
    model: Option<String>,
}

/// A version that is in use.
#[derive(Serialize, ToSchema)]
pub(super) struct InUse {
    name: String,
    version: String,
}

/// Puts a version in use
#[utoipa::path(
    post, path = "/api/models/{version}/promote", tag = "models",
    params(("version" = String, Path, description = "The version"), Which), responses((status = 200, body = InUse), Refused)
)]
pub(super) async fn promote(
    Extract(state): Extract<State>,
    Path(version): Path<String>,
    Query(which): Query<Which>,
) -> Served<Json<InUse>> {
    moved(&state, which, move |registry, name| registry.promote(name, &version).map(|current| current.version)).await
}

/// Puts the version before in use again
#[utoipa::path(
    post, path = "/api/models/rollback", tag = "models", params(Which), responses((status = 200, body = InUse), Refused)
)]
pub(super) async fn rollback(Extract(state): Extract<State>, Query(which): Query<Which>) -> Served<Json<InUse>> {
    moved(&state, which, |registry, name| registry.rollback(name).map(|current| current.version)).await
}

async fn moved(
    state: &State,
    which: Which,
    to: impl FnOnce(&Registry, &str) -> Result<String, RegistryError> + Send + 'static,
) -> Served<Json<InUse>> {
    let name = which.model.unwrap_or_else(|| state.shared.models.get(0).name.clone());
    on_disk(state, move |registry| {
        // A name from outside is only looked up among those there are: it becomes a part of a path.
        if !registry.names().contains(&name) {
            return Err(registry.not_found(&name));
        }
        let version = to(registry, &name)?;
        Ok(Json(InUse { name, version }))
    })
    .await
}

/// Asks the registry on a thread that may wait for a disk.
async fn on_disk<T: Send + 'static>(
    state: &State,
    ask: impl FnOnce(&Registry) -> Result<T, RegistryError> + Send + 'static,
) -> Served<T> {
    let registry = state.registry.clone();
    waiting(move || ask(&registry).map_err(|error| problem(&error))).await
}

fn problem(error: &RegistryError) -> Problem {
    let status = match error {
        RegistryError::NotFound { .. } | RegistryError::NoVersion { .. } => StatusCode::NOT_FOUND,
        RegistryError::NothingBefore { .. } => StatusCode::CONFLICT,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    };
    Problem::new(status, error)
}
