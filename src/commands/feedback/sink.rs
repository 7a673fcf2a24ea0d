//! Where an export goes: a folder, or a tar on standard output.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;

use crate::feedback::record::BlobRef;

/// What is being written ends so, until it is whole.
const PART: &str = ".part";

/// Takes pictures, and one document about them.
pub(super) trait Sink {
    /// Whether the picture is there already, whole.
    fn has(&self, path: &str, blob: &BlobRef) -> bool;
    /// A picture.
    fn picture(&mut self, path: &str, bytes: &[u8]) -> anyhow::Result<()>;
    /// The next part of the document.
    fn text(&mut self, text: &str) -> anyhow::Result<()>;
    /// All is there; the document gets its name.
    fn finish(&mut self) -> anyhow::Result<()>;
}

/// A folder. A file in it that has its own name is whole.
pub(super) struct Folder {
    dir: PathBuf,
    document: PathBuf,
    writer: BufWriter<File>,
    folders: HashSet<PathBuf>,
    /// Whether it must be on disk before `finish` returns.
    durable: bool,
}

impl Folder {
    pub(super) fn create(dir: &Path, document: &str, durable: bool) -> anyhow::Result<Self> {
        fs::create_dir_all(dir).with_context(|| dir.display().to_string())?;
        let document = dir.join(document);
        let part = part(&document);
        let writer = BufWriter::new(File::create(&part).with_context(|| part.display().to_string())?);
        let folders = HashSet::from([dir.to_owned()]);
        Ok(Self { dir: dir.to_owned(), document, writer, folders, durable })
    }

    fn write(&self, path: &Path, bytes: &[u8]) -> std::io::Result<()> {
        let part = part(path);
        let mut file = File::create(&part)?;
        file.write_all(bytes)?;
        if self.durable {
            file.sync_all()?;
        }
        fs::rename(&part, path)
    }
}

fn part(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(PART);
    name.into()
}

impl Sink for Folder {
    fn has(&self, path: &str, blob: &BlobRef) -> bool {
        let Ok(file) = File::open(self.dir.join(path)) else { return false };
        if !file.metadata().is_ok_and(|file| file.len() == blob.bytes) {
            return false;
        }
        let mut bytes = Vec::new();
        file.take(blob.bytes).read_to_end(&mut bytes).is_ok() && BlobRef::of(&bytes, blob.format) == *blob
    }

    fn picture(&mut self, path: &str, bytes: &[u8]) -> anyhow::Result<()> {
        let path = self.dir.join(path);
        if let Some(folder) = path.parent()
            && !self.folders.contains(folder)
        {
            fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
            self.folders.insert(folder.to_owned());
        }
        self.write(&path, bytes).with_context(|| path.display().to_string())
    }

    fn text(&mut self, text: &str) -> anyhow::Result<()> {
        self.writer.write_all(text.as_bytes()).with_context(|| self.document.display().to_string())
    }

    fn finish(&mut self) -> anyhow::Result<()> {
        let rename = || -> std::io::Result<()> {
            self.writer.flush()?;
            if self.durable {
                self.writer.get_ref().sync_all()?;
            }
            fs::rename(part(&self.document), &self.document)?;
            if self.durable {
                self.folders.iter().try_for_each(|folder| File::open(folder)?.sync_all())?;
                if let Some(parent) = self.dir.parent().filter(|parent| !parent.as_os_str().is_empty()) {
                    File::open(parent)?.sync_all()?;
                }
            }
            Ok(())
        };
        let mut rename = rename;
        rename().with_context(|| self.document.display().to_string())
    }
}

/// A tar. The document, whose size must be known before it is written, comes last.
pub(super) struct Tar<W: Write> {
    tar: tar::Builder<W>,
    name: &'static str,
    document: Vec<u8>,
}

impl<W: Write> Tar<W> {
    pub(super) fn new(out: W, document: &'static str) -> Self {
        Self { tar: tar::Builder::new(out), name: document, document: Vec::new() }
    }

    fn append(&mut self, path: &str, bytes: &[u8]) -> anyhow::Result<()> {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        // No time and no owner: the same content gives the same bytes.
        self.tar.append_data(&mut header, path, bytes).context("standard output")
    }
}

impl<W: Write> Sink for Tar<W> {
    fn has(&self, _: &str, _: &BlobRef) -> bool {
        false
    }

    fn picture(&mut self, path: &str, bytes: &[u8]) -> anyhow::Result<()> {
        self.append(path, bytes)
    }

    fn text(&mut self, text: &str) -> anyhow::Result<()> {
        self.document.extend_from_slice(text.as_bytes());
        Ok(())
    }

    fn finish(&mut self) -> anyhow::Result<()> {
        let document = std::mem::take(&mut self.document);
        self.append(self.name, &document)?;
        self.tar.finish().and_then(|()| self.tar.get_mut().flush()).context("standard output")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tar_holds_what_was_put_in_also_under_long_names() {
        let mut bytes = Vec::new();
        let long = format!("{}/1.jpg", "斑".repeat(66));
        let mut tar = Tar::new(&mut bytes, "manifest.jsonl");
        tar.picture("red/1.jpg", b"one").unwrap();
        tar.text("a\n").unwrap();
        tar.picture(&long, b"two").unwrap();
        tar.text("b\n").unwrap();
        tar.finish().unwrap();
        drop(tar);
        let mut found = Vec::new();
        for entry in tar::Archive::new(&bytes[..]).entries().unwrap() {
            let mut entry = entry.unwrap();
            let mut text = String::new();
            entry.read_to_string(&mut text).unwrap();
            found.push((entry.path().unwrap().display().to_string(), text));
        }
        let wanted = [("red/1.jpg", "one"), (&long, "two"), ("manifest.jsonl", "a\nb\n")];
        assert_eq!(found, wanted.map(|(name, text)| (name.to_owned(), text.to_owned())));
    }
}
