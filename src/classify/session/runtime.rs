//! The library, and how a network is opened with it.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use ort::environment::Environment;
use ort::logging::LogLevel;
use ort::session::builder::{GraphOptimizationLevel, SessionBuilder};

use super::{Computing, SessionError};
use crate::classify::graphs::{Graph, Graphs};
use crate::model::{Bundle, Precision};

/// The loaded ONNX Runtime library. Cheap to clone; there is one a process.
#[derive(Clone, Debug)]
pub struct Runtime {
    environment: Environment,
    path: PathBuf,
    graphs: Arc<Graphs>,
}

impl Runtime {
    /// Loads `path` (configuration key `model.runtime`); without it, looks beside the binary, in `runtime/` of the
    /// working folder, where the package installs it, and then wherever the system's loader does. Networks that it made ready
    /// for this processor are kept in the folder `cache`, if there is to be one.
    ///
    /// # Errors
    /// [`SessionError::Load`] with what was tried.
    pub fn load(path: Option<&Path>, cache: Option<&Path>) -> Result<Self, SessionError> {
        // ort allows one environment a process, and none after it is dropped: the first one stays.
        static LOADED: Mutex<Option<Runtime>> = Mutex::new(None);
        let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
        let graphs = || Arc::new(Graphs::new(cache.map(Path::to_owned), ort::info()));
        if let Some(runtime) = &*loaded {
            return Ok(Self { graphs: graphs(), ..runtime.clone() });
        }
        let path = path.map_or_else(find_library, Path::to_owned);
        let failed = |message: String| SessionError::Load { path: path.clone(), message };
        let environment = ort::init_from(&path)
            .map_err(|error| failed(error.to_string()))?
            .with_telemetry(false)
            .build()
            .map_err(|error| failed(error.to_string()))?;
        let runtime = Self { environment, path, graphs: graphs() };
        *loaded = Some(runtime.clone());
        Ok(runtime)
    }

    /// Where the library was loaded from.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Which build of the library it is, and on which processor: what is measured here means nothing elsewhere.
    #[must_use]
    pub fn machine(&self) -> &str {
        &self.graphs.machine
    }

    pub(super) fn builder(&self, computing: Computing) -> Result<SessionBuilder, ort::Error> {
        Ok(ort::session::Session::builder(&self.environment)?
            .with_optimization_level(GraphOptimizationLevel::Level3)?
            .with_intra_threads(computing.threads)?
            .with_inter_threads(1)?
            .with_intra_op_spinning(computing.spinning)?
            .with_flush_to_zero()?
            // One block for all intermediate results, kept beside the single ones: 2 MB a session, for half a percent
            // of time.
            .with_memory_pattern(false)?)
    }

    /// Opens a network by its graph, which is made and kept if there is none yet.
    pub(super) fn open_graph(&self, network: &Network<'_>, computing: Computing) -> Result<Opened, ort::Error> {
        let builder = || network.prepare(self.builder(computing)?);
        let plain = || builder().and_then(|mut builder| Ok((builder.commit_from_file(network.file)?, None)));
        let Some(place) = self.graphs.place(network.sha256, &network.options()) else { return plain() };
        let mapped = || -> io::Result<Opened> {
            let graph = self.graphs.open(&place)?;
            let open = || -> Result<_, ort::Error> {
                builder()?
                    // That was done.
                    .with_optimization_level(GraphOptimizationLevel::Disable)?
                    // The session may read from these bytes as long as it lives: see `Session::graph`.
                    .with_config_entry("session.use_ort_model_bytes_directly", "1")?
                    .with_config_entry("session.use_ort_model_bytes_for_initializers", "1")?
                    .commit_from_memory(&graph)
            };
            Ok((open().map_err(io::Error::other)?, Some(graph)))
        };
        match mapped() {
            Ok(opened) => return Ok(opened),
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied) => {}
            Err(error) => {
                tracing::warn!(file = %place.display(), %error, "an optimised network can't be used and is made anew")
            }
        }
        let kept = Graphs::keep(&place, |path| {
            let make = || -> Result<_, ort::Error> {
                builder()?
                    .with_optimized_model_path(path)?
                    .with_config_entry("session.save_model_format", "ORT")?
                    // It warns that the result is for this processor only.
                    .with_log_level(LogLevel::Error)?
                    .commit_from_file(network.file)
            };
            make().map(drop).map_err(io::Error::other)
        });
        match kept.and_then(|()| mapped()) {
            Ok(opened) => Ok(opened),
            // A folder that is not ours to write is no reason not to serve.
            Err(error) => {
                tracing::debug!(file = %place.display(), %error, "an optimised network was not kept");
                plain()
            }
        }
    }
}

/// A session, and what it reads its weights from.
pub(super) type Opened = (ort::session::Session, Option<Arc<Graph>>);

/// A network of a bundle, in one precision.
pub(super) struct Network<'a> {
    pub(super) file: &'a Path,
    sha256: &'a str,
    /// Its products of 8 bits would overflow where the processor adds them in 16 bits: those are to be computed the slower way.
    careful: bool,
}

impl<'a> Network<'a> {
    pub(super) fn of(bundle: &'a Bundle, precision: Precision) -> Self {
        match bundle.int8.as_ref().filter(|_| precision == Precision::Int8) {
            Some(int8) => Self { file: &int8.file, sha256: &int8.sha256, careful: int8.weight_bits > 7 },
            None => Self { file: &bundle.model_file, sha256: &bundle.model_sha256, careful: false },
        }
    }

    fn prepare(&self, builder: SessionBuilder) -> Result<SessionBuilder, ort::Error> {
        // Does nothing on processors that can add them in 32 bits.
        Ok(if self.careful { builder.with_precise_qmm()? } else { builder })
    }

    /// What makes its graph another one.
    fn options(&self) -> String {
        format!("careful={}", self.careful)
    }
}

fn find_library() -> PathBuf {
    const NAME: &str = "libonnxruntime.so";
    let beside = std::env::current_exe().ok().and_then(|exe| Some(exe.parent()?.join(NAME)));
    beside
        .into_iter()
        .chain([Path::new("runtime").join(NAME), Path::new("/usr/lib/glanced").join(NAME)])
        .find(|path| path.is_file())
        .unwrap_or_else(|| PathBuf::from(NAME))
}
