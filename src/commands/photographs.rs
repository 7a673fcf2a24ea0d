//! The photographs that cameras show when there are no cameras.

use std::path::Path;

use bytes::Bytes;

use super::Failure;

/// A JPEG file.
pub(super) struct Photograph {
    /// Without the folder.
    pub(super) name: String,
    pub(super) bytes: Bytes,
}

/// Reads the JPEG files (`*.jpg`) of a folder, by name.
pub(super) fn read(dir: &Path) -> Result<Vec<Photograph>, Failure> {
    let missing =
        |reason: &dyn std::fmt::Display| Failure::Missing(format!("{}: {reason} (see --frames)", dir.display()));
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(|error| missing(&error))? {
        let path = entry.map_err(|error| missing(&error))?.path();
        if path.extension().is_some_and(|extension| extension == "jpg") {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let bytes = std::fs::read(&path).map_err(|error| missing(&format_args!("{name}: {error}")))?.into();
            found.push(Photograph { name, bytes });
        }
    }
    if found.is_empty() {
        return Err(missing(&"no photographs (*.jpg) in it"));
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(found)
}
