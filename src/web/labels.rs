//! Names of classes, for people who type one.

use axum::extract::State as Extract;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::extract::{Json, Query};
use super::problem::{Problem, Refused, Served};
use super::state::State;
use super::store::asked;
use crate::model::{Bundle, Label};

/// Names in an answer, and the most that may be asked for.
const NAMES: usize = 20;
const MOST_NAMES: usize = 100;

/// What somebody has typed.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(super) struct Typed {
    /// The model whose classes are meant; that of `model.name` if none is named.
    model: Option<String>,
    /// A part of a name, in English or Chinese, or of a synset. Without it, the first classes.
    q: String,
    /// How many, at most.
    #[param(minimum = 1, maximum = 100)]
    limit: Option<usize>,
}

/// Names that fit.
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(super) struct Found {
    /// The best first.
    labels: Vec<Name>,
}

/// What a class is called.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
struct Name {
    /// `null` for what people have named, and the model does not have yet.
    class: Option<u32>,
    /// WordNet synset.
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    label: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    label_zh: Option<String>,
}

/// Finds classes by a part of their names
#[utoipa::path(get, path = "/api/labels", tag = "feedback", params(Typed), responses((status = 200, body = Found), Refused))]
pub(super) async fn labels(Extract(state): Extract<State>, Query(typed): Query<Typed>) -> Served<Json<Found>> {
    let limit = typed.limit.unwrap_or(NAMES);
    if !(1..=MOST_NAMES).contains(&limit) {
        return Err(Problem::new(StatusCode::BAD_REQUEST, format!("limit: 1 to {MOST_NAMES}, not {limit}")));
    }
    let bundle = state.model(typed.model.as_deref())?;
    let name = bundle.name.clone();
    // The names are of use without the store too.
    let said = asked(&state, move |view| view.stats().map_err(Problem::internal)).await;
    let said = said.ok().and_then(|mut stats| stats.by_model.remove(&name)).unwrap_or_default();
    Ok(Json(Found { labels: find(&bundle, said.into_keys(), &typed.q, limit) }))
}

/// Classes, and names that people have given, in which `typed` is found: those that are it, then those that begin with it, then
/// those in which a word does, then the others.
fn find(bundle: &Bundle, said: impl Iterator<Item = String>, typed: &str, limit: usize) -> Vec<Name> {
    let typed = typed.trim().to_lowercase();
    let new = said.filter(|label| bundle.labels.find(label).is_none());
    let new = new.map(|label| Name { class: None, id: None, label, label_zh: None });
    let known = (0..).map_while(|class| {
        let Label { id, en, zh } = bundle.labels.get(class)?.clone();
        Some(Name { class: Some(class), id, label: en, label_zh: zh })
    });
    let ranked = known.chain(new).filter_map(|name| Some((rank(&name, &typed)?, name)));
    let mut ranked: Vec<(usize, Name)> = ranked.collect();
    ranked.sort_by_key(|(rank, _)| *rank);
    ranked.into_iter().take(limit).map(|(_, name)| name).collect()
}

fn rank(name: &Name, typed: &str) -> Option<usize> {
    let names = [Some(&name.label), name.label_zh.as_ref(), name.id.as_ref()];
    let rank = |text: &String| {
        let text = text.to_lowercase();
        let at = text.find(typed)?;
        let begins_word = |at: usize| text[..at].chars().next_back().is_none_or(|before| !before.is_alphanumeric());
        Some(match at {
            0 if text.len() == typed.len() => 0,
            0 => 1,
            _ if text.match_indices(typed).any(|(at, _)| begins_word(at)) => 2,
            _ => 3,
        })
    };
    names.into_iter().flatten().filter_map(rank).min()
}
