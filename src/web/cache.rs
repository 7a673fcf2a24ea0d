//! Answers to pictures that were asked about a moment ago.

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};

use axum::body::Bytes;
use jiff::Timestamp;
use lru::LruCache;
use sha2::{Digest, Sha256};
use ulid::Ulid;

use super::classify::Pictures;
use crate::frame::ask::Answer;
use crate::frame::steps::Steps;

/// Answers that are kept.
const MOST: NonZeroUsize = NonZeroUsize::new(128).expect("128 is not zero");
/// Bytes of pictures of views among them.
const MOST_BYTES: usize = 4 << 20;

/// What was asked: the picture by its hash, what looks at it, and whether views are to be shown.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Question {
    picture: [u8; 32],
    model: String,
    version: String,
    pictures: Pictures,
}

impl Question {
    /// About a picture, to a version of a model.
    pub(super) fn new(picture: &Bytes, model: &str, version: &str, pictures: Pictures) -> Self {
        let picture = Sha256::digest(picture).into();
        Self { picture, model: model.to_owned(), version: version.to_owned(), pictures }
    }
}

/// What was answered.
#[derive(Clone, Debug)]
pub(super) struct Known {
    /// The picture as a frame.
    pub(super) frame: Ulid,
    /// When it was received.
    pub(super) received_at: Timestamp,
    /// What was seen.
    pub(super) answer: Arc<Answer>,
    /// How it was looked at: another way may give another answer.
    pub(super) steps: Arc<Steps>,
}

impl Known {
    fn bytes(&self) -> usize {
        self.answer.pictures.iter().map(|picture| picture.jpeg.len()).sum()
    }
}

/// Answers, those used last; bounded by number and bytes.
#[derive(Debug)]
pub(super) struct Cache {
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    answers: LruCache<Question, Known>,
    bytes: usize,
    hits: u64,
    misses: u64,
}

/// How much it is used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
pub(super) struct CacheUse {
    /// Answers it holds.
    entries: usize,
    /// Questions that it has answered.
    hits: u64,
    /// Questions that a worker had to answer.
    misses: u64,
}

impl Cache {
    pub(super) fn new() -> Self {
        Self { inner: Mutex::new(Inner { answers: LruCache::new(MOST), bytes: 0, hits: 0, misses: 0 }) }
    }

    /// What is known, if `still_good` says that it can be used.
    pub(super) fn get(&self, question: &Question, still_good: impl Fn(&Known) -> bool) -> Option<Known> {
        let mut guard = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let inner = &mut *guard;
        let known = inner.answers.get(question).filter(|known| still_good(known)).cloned();
        if known.is_some() {
            inner.hits += 1;
        } else {
            inner.misses += 1;
        }
        known
    }

    pub(super) fn put(&self, question: Question, known: Known) {
        let mut guard = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let inner = &mut *guard;
        inner.bytes += known.bytes();
        // What it takes the place of: the same question's, or the one not used for longest.
        let gone = inner.answers.push(question, known);
        inner.bytes -= gone.map_or(0, |(_, known)| known.bytes());
        while inner.bytes > MOST_BYTES
            && let Some((_, known)) = inner.answers.pop_lru()
        {
            inner.bytes -= known.bytes();
        }
    }

    pub(super) fn used(&self) -> CacheUse {
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        CacheUse { entries: inner.answers.len(), hits: inner.hits, misses: inner.misses }
    }
}
