//! Picture files in folders.

use std::io;
use std::path::{Path, PathBuf};

/// The files that are taken for pictures, by the end of their names in any case.
pub const EXTENSIONS: [&str; 6] = ["jpg", "jpeg", "png", "webp", "gif", "bmp"];

/// A folder that can't be read.
#[derive(Debug, thiserror::Error)]
#[error("{}: {error}", path.display())]
pub struct FolderError {
    /// The folder.
    pub path: PathBuf,
    /// Why.
    pub error: io::Error,
}

/// The pictures in a folder and in the folders within, in the order of their names. What is hidden is passed over: it is
/// thumbnails, versions and other programs' notes.
///
/// # Errors
/// The first folder that can't be read.
pub fn in_folder(dir: &Path) -> Result<Vec<PathBuf>, FolderError> {
    let mut found = Vec::new();
    collect(dir, &mut found)?;
    Ok(found)
}

/// What a folder holds and does not hide, in the order of the names.
///
/// # Errors
/// If it can't be read.
pub fn entries(dir: &Path) -> Result<Vec<PathBuf>, FolderError> {
    let entries = std::fs::read_dir(dir).and_then(|entries| entries.collect::<Result<Vec<_>, _>>());
    let entries = entries.map_err(|error| FolderError { path: dir.to_owned(), error })?;
    let shown = entries.into_iter().filter(|entry| !entry.file_name().as_encoded_bytes().starts_with(b"."));
    let mut paths: Vec<_> = shown.map(|entry| entry.path()).collect();
    paths.sort();
    Ok(paths)
}

fn collect(dir: &Path, found: &mut Vec<PathBuf>) -> Result<(), FolderError> {
    for path in entries(dir)? {
        if path.is_dir() {
            collect(&path, found)?;
        } else if is_picture(&path) {
            found.push(path);
        }
    }
    Ok(())
}

fn is_picture(path: &Path) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str()).map(str::to_ascii_lowercase);
    extension.is_some_and(|extension| EXTENSIONS.contains(&extension.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_are_found_at_any_depth_in_order_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        for name in
            ["b.JPG", "a/2.png", "a/10.webp", "a/deep/x.jpeg", "notes.txt", "jpg", ".hidden.jpg", ".thumbs/t.jpg"]
        {
            let path = dir.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        let found = in_folder(dir.path()).unwrap();
        let found: Vec<_> = found.iter().map(|path| path.strip_prefix(dir.path()).unwrap().to_str().unwrap()).collect();
        assert_eq!(found, ["a/10.webp", "a/2.png", "a/deep/x.jpeg", "b.JPG"]);

        let error = in_folder(&dir.path().join("none")).unwrap_err().to_string();
        assert!(error.contains("none: "), "{error}");
    }
}
