//! Which of the frames that were kept look alike.

use std::num::NonZeroUsize;
use std::sync::{Mutex, PoisonError};

use fast_image_resize::pixels::U8x3;
use lru::LruCache;

use crate::classify::dhash::PictureHash;
use crate::feedback::View;
use crate::feedback::record::{BlobRef, Sha256Sum};
use crate::feedback::view::FrameRecord;
use crate::frame::decode::{Decoder, Limits, Need};

/// Two pictures are alike if fewer bits of their hashes differ: see [`PictureHash`].
const UNLIKE: u32 = 10;
/// Hashes that are remembered.
const HASHES: NonZeroUsize = NonZeroUsize::new(4096).expect("4096 is not zero");

/// What a frame is compared by. Hashes of what the network saw and of whole pictures say nothing about each other.
#[derive(Debug)]
pub(super) struct Appearance {
    camera: Option<String>,
    seen: bool,
    hash: PictureHash,
}

impl Appearance {
    /// In how many bits two frames of one camera differ, if they are alike.
    pub(super) fn distance(&self, other: &Self) -> Option<u32> {
        let comparable = self.camera == other.camera && self.seen == other.seen;
        let bits = self.hash.distance(other.hash);
        (comparable && bits < UNLIKE).then_some(bits)
    }
}

/// Hashes of pictures that were not hashed when they were kept.
#[derive(Debug)]
pub(super) struct Hashes(Mutex<LruCache<Sha256Sum, PictureHash>>);

impl Hashes {
    pub(super) fn new() -> Self {
        Self(Mutex::new(LruCache::new(HASHES)))
    }

    pub(super) fn appearance(&self, view: &View, limits: Limits, record: &FrameRecord) -> Option<Appearance> {
        let camera = record.sighting().and_then(|sighting| sighting.camera.clone());
        let kept = record.collected.as_ref().and_then(|collected| collected.hash);
        let hash = kept.or_else(|| self.hash(view, limits, record.blob.as_ref()?))?;
        Some(Appearance { camera, seen: kept.is_some(), hash })
    }

    fn hash(&self, view: &View, limits: Limits, blob: &BlobRef) -> Option<PictureHash> {
        let known = |hashes: &Self| hashes.0.lock().unwrap_or_else(PoisonError::into_inner).get(&blob.sha256).copied();
        if let Some(hash) = known(self) {
            return Some(hash);
        }
        let picture = view.picture(blob).ok()?;
        let mut decoder = Decoder::new(limits);
        let small = Need { crop: None, short_side: 32, middle: None };
        let decoded = decoder.decode(&picture, &small).ok()?;
        let pixels: Vec<U8x3> = decoded.rgb.as_chunks().0.iter().map(|rgb| U8x3::new(*rgb)).collect();
        let hash = PictureHash::of(&pixels, decoded.width as usize);
        self.0.lock().unwrap_or_else(PoisonError::into_inner).put(blob.sha256, hash);
        Some(hash)
    }
}
