//! Pictures through pipelines, on all cores.

use std::borrow::Cow;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use image::RgbImage;

use super::degrade::Degradation;
use crate::frame::decode::{DecodeError, Decoder, Limits, Need, Turn};
use crate::frame::pipeline::Pipeline;

/// Does `one` for each of `count` things, each on whichever pipeline is free; what it gave, in order.
///
/// # Panics
/// If `one` does.
pub fn in_parallel<T: Send>(
    pipelines: &mut [Pipeline],
    count: usize,
    one: impl Fn(&mut Pipeline, usize) -> T + Sync,
) -> Vec<T> {
    let next = AtomicUsize::new(0);
    let mut done: Vec<(usize, T)> = thread::scope(|scope| {
        let running: Vec<_> = pipelines
            .iter_mut()
            .map(|pipeline| {
                let (next, one) = (&next, &one);
                scope.spawn(move || {
                    let mut done = Vec::new();
                    while let index = next.fetch_add(1, Ordering::Relaxed)
                        && index < count
                    {
                        done.push((index, one(pipeline, index)));
                    }
                    done
                })
            })
            .collect();
        let joined = running.into_iter().map(thread::ScopedJoinHandle::join);
        joined.flat_map(|done| done.unwrap_or_else(|panic| std::panic::resume_unwind(panic))).collect()
    });
    done.sort_by_key(|(index, _)| *index);
    done.into_iter().map(|(_, value)| value).collect()
}

/// The bytes of a picture file.
///
/// # Errors
/// In words, if it can't be read or is over the limit: that is checked before reading, for a file may be larger than the
/// memory there is.
pub fn read(path: &Path, limits: Limits) -> Result<Vec<u8>, String> {
    let size = std::fs::metadata(path).map_err(|error| error.to_string())?.len();
    if size > limits.max_bytes as u64 {
        return Err(format!("{size} bytes are over the limit of {} (decode.max_bytes)", limits.max_bytes));
    }
    std::fs::read(path).map_err(|error| error.to_string())
}

/// A picture as it is, and made worse, as each of `kinds` says and in their order. Each copy is made when its turn comes.
///
/// # Errors
/// In words, if it has to be decoded for that and can't be.
pub fn copies<'a>(
    bytes: &'a [u8],
    kinds: &'a [Option<Degradation>],
    limits: Limits,
    seed: u64,
    index: usize,
) -> Result<impl Iterator<Item = (Option<Degradation>, Cow<'a, [u8]>)>, String> {
    let needed = kinds.iter().any(Option::is_some);
    let whole = needed.then(|| decode(bytes, limits)).transpose().map_err(|error| error.to_string())?;
    Ok(kinds.iter().map(move |&kind| {
        let copy = kind.zip(whole.as_ref()).map(|(kind, whole)| degraded(kind, whole, seed, index));
        (kind, copy.map_or(Cow::Borrowed(bytes), Cow::Owned))
    }))
}

/// All of an encoded picture, upright.
///
/// # Errors
/// [`DecodeError`] if it is none.
pub fn decode(bytes: &[u8], limits: Limits) -> Result<RgbImage, DecodeError> {
    let mut decoder = Decoder::new(limits);
    let picture = decoder.decode(bytes, &Need::EVERYTHING)?;
    let turn = Turn::of(picture.orientation);
    let (width, height) = turn.size(picture.width, picture.height);
    let stored = (picture.width as usize, picture.height as usize);
    Ok(RgbImage::from_fn(width, height, |x, y| {
        let at = 3 * turn.stored_index(x as usize, y as usize, stored);
        image::Rgb([picture.rgb[at], picture.rgb[at + 1], picture.rgb[at + 2]])
    }))
}

/// A picture as a file, without loss.
#[must_use]
pub fn encode(picture: &RgbImage) -> Vec<u8> {
    let mut file = std::io::Cursor::new(Vec::new());
    // Memory can be written to, and a picture that came from `decode` has sides that a BMP can have.
    let written = picture.write_to(&mut file, image::ImageFormat::Bmp);
    debug_assert!(written.is_ok(), "{written:?}");
    file.into_inner()
}

/// A picture of a run made worse, as a file.
#[must_use]
pub fn degraded(degradation: Degradation, picture: &RgbImage, seed: u64, index: usize) -> Vec<u8> {
    encode(&degradation.apply(picture, degradation.seed(seed, index as u64)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::decode::samples::{Jpeg, photo};

    const LIMITS: Limits = Limits { max_bytes: 1 << 20, max_pixels: 1 << 20 };

    #[test]
    fn what_is_encoded_is_decoded_the_same() {
        let picture = RgbImage::from_raw(31, 17, photo(31, 17)).unwrap();
        assert_eq!(decode(&encode(&picture), LIMITS).unwrap(), picture);
    }

    #[test]
    fn a_picture_on_its_side_is_turned() {
        let file = Jpeg { orientation: Some(6), ..Jpeg::of_size(48, 32) }.encode(&photo(48, 32));
        assert_eq!(decode(&file, LIMITS).unwrap().dimensions(), (32, 48));
    }

    #[test]
    fn a_file_over_the_limit_is_not_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.jpg");
        std::fs::write(&path, vec![0; 100]).unwrap();
        let error = read(&path, Limits { max_bytes: 99, ..LIMITS }).unwrap_err();
        assert_eq!(error, "100 bytes are over the limit of 99 (decode.max_bytes)");
    }
}
