//! What the network makes of an example before its last layer, kept on disk: that is most of the time of a training, and it
//! does not change with the last layer.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use half::f16;
use half::slice::HalfFloatSliceExt;
use sha2::{Digest, Sha256};
use ulid::Ulid;

use super::examples::Exhibit;
use crate::classify::dhash::PictureHash;
use crate::feedback::record::Sha256Sum;

/// First bytes of a file of the cache. Another layout has others.
const MAGIC: [u8; 4] = *b"gfe1";
/// Magic, the picture's hash, a checksum of what follows.
const HEADER: usize = 4 + 8 + 4;

/// The features of a picture.
#[derive(Clone, Debug, PartialEq)]
pub struct Features {
    /// What the picture looks like.
    pub hash: PictureHash,
    /// One number a feature, view after view, the centre view first. Rounded to half precision, also if they are new: what
    /// is learnt must not depend on what was kept.
    pub views: Vec<f32>,
}

impl Features {
    /// Of these views, rounded.
    #[must_use]
    pub fn new(hash: PictureHash, views: &[f32]) -> Self {
        Self { hash, views: views.iter().map(|&value| f16::from_f32(value).to_f32()).collect() }
    }
}

/// Features on disk, a file for each picture. Nothing is lost if any of it is: it is made again.
#[derive(Clone, Debug)]
pub struct Cache {
    /// Of one network and one set of views.
    dir: PathBuf,
    /// Numbers of a picture.
    len: usize,
}

impl Cache {
    /// In a folder of `root` for features that were made in one way: `maker` says by which network, and with which views. Those
    /// that were made in other ways go. `len` is the count of numbers of a picture.
    ///
    /// # Errors
    /// If the folder can't be made.
    pub fn open(root: &Path, maker: &[&[u8]], len: usize) -> io::Result<Self> {
        let mut hash = Sha256::new();
        for part in maker {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        let name: String = hash.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        let dir = root.join(name);
        fs::create_dir_all(&dir)?;
        for other in fs::read_dir(root)?.filter_map(Result::ok).filter(|entry| entry.path() != dir) {
            // What can't be removed only takes room.
            let _left = fs::remove_dir_all(other.path());
        }
        Ok(Self { dir, len })
    }

    fn path(&self, exhibit: &Exhibit) -> PathBuf {
        let crop = format!("{:?}", exhibit.crop);
        let crop = Sha256Sum::of(crop.as_bytes()).to_string();
        self.dir.join(format!("{}-{}", exhibit.blob.sha256, &crop[..8]))
    }

    /// The features of an exhibit, if they were kept and are whole.
    #[must_use]
    pub fn get(&self, exhibit: &Exhibit) -> Option<Features> {
        let bytes = fs::read(self.path(exhibit)).ok()?;
        let (header, values) = bytes.split_at_checked(HEADER)?;
        let sum = u32::from_le_bytes(header[12..16].try_into().ok()?);
        if header[..4] != MAGIC || values.len() != 2 * self.len || crc32fast::hash(values) != sum {
            return None;
        }
        let halves: Vec<f16> = values.as_chunks::<2>().0.iter().map(|&bytes| f16::from_le_bytes(bytes)).collect();
        let mut views = vec![0.0; halves.len()];
        halves.convert_to_f32_slice(&mut views);
        let hash = PictureHash(u64::from_le_bytes(header[4..12].try_into().ok()?));
        Some(Features { hash, views })
    }

    /// Keeps the features of an exhibit. They are not synced: what a power cut leaves of them is not whole, and is made again.
    ///
    /// # Errors
    /// If they can't be written.
    pub fn put(&self, exhibit: &Exhibit, features: &Features) -> io::Result<()> {
        let values: Vec<u8> = features.views.iter().flat_map(|&value| f16::from_f32(value).to_le_bytes()).collect();
        let header = [&MAGIC[..], &features.hash.0.to_le_bytes(), &crc32fast::hash(&values).to_le_bytes()].concat();
        let part = self.dir.join(format!(".{}.part", Ulid::new()));
        let written = fs::write(&part, [header, values].concat()).and_then(|()| fs::rename(&part, self.path(exhibit)));
        if written.is_err() {
            let _left = fs::remove_file(&part);
        }
        written
    }

    /// Removes the features of all pictures but these.
    pub fn retain(&self, exhibits: &[Exhibit]) {
        let wanted: std::collections::HashSet<PathBuf> = exhibits.iter().map(|exhibit| self.path(exhibit)).collect();
        let entries = fs::read_dir(&self.dir).into_iter().flatten().filter_map(Result::ok);
        for entry in entries.filter(|entry| !wanted.contains(&entry.path())) {
            // What can't be removed only takes room.
            let _left = fs::remove_file(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::feedback::record::BlobRef;
    use crate::frame::decode::Format;

    fn exhibit(picture: &[u8]) -> Exhibit {
        Exhibit { frame: Ulid::nil(), blob: BlobRef::of(picture, Format::Jpeg), crop: None }
    }

    #[test]
    fn what_is_kept_comes_back_and_what_is_damaged_does_not() {
        let root = tempfile::tempdir().unwrap();
        let cache = Cache::open(root.path(), &[b"network", b"views"], 3).unwrap();
        let (a, b) = (exhibit(b"a"), exhibit(b"b"));
        let features = Features::new(PictureHash(7), &[0.1, 1e-3, 5.999]);
        assert_eq!(cache.get(&a), None);
        cache.put(&a, &features).unwrap();
        assert_eq!((cache.get(&a), cache.get(&b)), (Some(features.clone()), None));
        assert!((features.views[0] - 0.1).abs() < 1e-4);

        let path = cache.path(&a);
        let whole = fs::read(&path).unwrap();
        for damaged in
            [&whole[..whole.len() - 1], &whole[..10], &[&whole[..20], &[whole[20] ^ 1], &whole[21..]].concat()]
        {
            fs::write(&path, damaged).unwrap();
            assert_eq!(cache.get(&a), None);
        }
        // Another crop of the same picture is another exhibit.
        cache.put(&a, &features).unwrap();
        let cropped = Exhibit { crop: Some(crate::config::Crop { x: 0.0, y: 0.5, w: 0.5, h: 0.5 }), ..a };
        assert_eq!(cache.get(&cropped), None);
        cache.put(&b, &features).unwrap();
        cache.retain(std::slice::from_ref(&b));
        assert_eq!((cache.get(&a), cache.get(&b)), (None, Some(features)));
    }

    #[test]
    fn another_network_has_a_cache_of_its_own_and_the_old_one_goes() {
        let root = tempfile::tempdir().unwrap();
        let old = Cache::open(root.path(), &[b"network", b"views"], 1).unwrap();
        old.put(&exhibit(b"a"), &Features::new(PictureHash(7), &[1.0])).unwrap();
        assert!(Cache::open(root.path(), &[b"network", b"views"], 1).unwrap().get(&exhibit(b"a")).is_some());
        // The parts are told apart by where they end.
        assert!(Cache::open(root.path(), &[b"networkv", b"iews"], 1).unwrap().get(&exhibit(b"a")).is_none());
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 1);
    }
}
