//! ONNX Runtime: the only file that knows it.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use ort::environment::Environment;
use ort::logging::LogLevel;
use ort::session::builder::{GraphOptimizationLevel, SessionBuilder};
use ort::session::{HasSelectedOutputs, OutputSelector, OverridableInitializer, RunOptions};
use ort::value::{Outlet, Tensor, TensorElementType, ValueType};

use super::graphs::{Graph, Graphs};
use crate::model::{Bundle, Layout, Onnx, OnnxError, Precision};

/// The loaded ONNX Runtime library. Cheap to clone; there is one a process.
#[derive(Clone, Debug)]
pub struct Runtime {
    environment: Environment,
    path: PathBuf,
    graphs: Arc<Graphs>,
}

/// How a session computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Computing {
    /// Threads, the caller's among them: 1 or more.
    pub threads: usize,
    /// With what. A bundle without a network of that precision is used in the other.
    pub precision: Precision,
    /// Threads that wait for work keep their core busy for a moment: they begin sooner, and take the core from others.
    pub spinning: bool,
}

impl Computing {
    /// In floating point, without spinning.
    #[must_use]
    pub const fn threads(threads: usize) -> Self {
        Self { threads, precision: Precision::Fp32, spinning: false }
    }
}

/// Why a network can't be run.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// The library is not to be had.
    #[error("ONNX Runtime could not be loaded from {}: {message}", path.display())]
    Load {
        /// What was tried.
        path: PathBuf,
        /// What the loader said.
        message: String,
    },
    /// The network does not fit what its bundle says.
    #[error("{}: {message}", model.display())]
    Unfit {
        /// The ONNX file.
        model: PathBuf,
        /// What does not fit.
        message: String,
    },
    /// Nor can what it is to give be asked of it.
    #[error(transparent)]
    Onnx(#[from] OnnxError),
    /// ONNX Runtime refused to load or run the network.
    #[error("{}: ONNX Runtime: {message}", model.display())]
    Ort {
        /// The ONNX file.
        model: PathBuf,
        /// What it said.
        message: String,
    },
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

    /// Which build of the library it is.
    #[must_use]
    pub fn build(&self) -> &'static str {
        ort::info()
    }

    fn builder(&self, computing: Computing) -> Result<SessionBuilder, ort::Error> {
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
    fn open_graph(&self, network: &Network<'_>, computing: Computing) -> Result<Opened, ort::Error> {
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
type Opened = (ort::session::Session, Option<Arc<Graph>>);

/// A network of a bundle, in one precision.
struct Network<'a> {
    file: &'a Path,
    sha256: &'a str,
    /// Its products of 8 bits would overflow where the processor adds them in 16 bits: those are to be computed the slower way.
    careful: bool,
}

impl<'a> Network<'a> {
    fn of(bundle: &'a Bundle, precision: Precision) -> Self {
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

/// A network ready to run on one view at a time, with its input tensor. For one thread: ONNX Runtime's `Run` is not
/// safe to call from several at once, whatever its documentation says.
///
/// Where optimised networks are kept, sessions of the same network share its weights; else each has its own.
pub struct Session {
    session: ort::session::Session,
    /// The session reads from it, so it comes after it here, and is dropped after it.
    #[expect(dead_code, reason = "only kept")]
    graph: Option<Arc<Graph>>,
    options: RunOptions<HasSelectedOutputs>,
    input: Tensor<f32>,
    input_name: String,
    output_name: String,
    classes: usize,
    scores: Vec<f32>,
    /// What the head's input is multiplied by, if anything ever is.
    gain: Option<Gain>,
    /// The tensor that is to be kept, if any, the head's input as a rule.
    kept: Option<Kept>,
    model: PathBuf,
}

/// What the head's input is multiplied by: the network's input for that, which may be left out, and its value.
struct Gain {
    name: String,
    value: Tensor<f32>,
    set: bool,
}

/// A tensor, and what it was at the last run.
struct Kept {
    tensor: String,
    shape: Vec<usize>,
    values: Vec<f32>,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").field("model", &self.model).finish_non_exhaustive()
    }
}

impl Session {
    /// Loads the network of a bundle, and checks that it fits the bundle's description.
    ///
    /// # Errors
    /// [`SessionError`], which names the file and what does not fit.
    pub fn open(runtime: &Runtime, bundle: &Bundle, computing: Computing) -> Result<Self, SessionError> {
        Self::open_with(runtime, bundle, computing, None)
    }

    /// The same, in floating point, and keeps the input of the last layer at each run for [`Session::features`], if the bundle
    /// names it.
    ///
    /// # Errors
    /// [`SessionError`], also if the network has no tensor of that name.
    pub fn open_with_features(runtime: &Runtime, bundle: &Bundle, computing: Computing) -> Result<Self, SessionError> {
        Self::open_with(runtime, bundle, computing, bundle.head.as_ref().map(|head| head.features.as_str()))
    }

    /// The same, but keeps another tensor for [`Session::features`]: what the network has made of a view up to there.
    ///
    /// # Errors
    /// [`SessionError`], also if the network has no tensor of that name.
    pub fn open_with_tensor(
        runtime: &Runtime,
        bundle: &Bundle,
        computing: Computing,
        tensor: &str,
    ) -> Result<Self, SessionError> {
        Self::open_with(runtime, bundle, computing, Some(tensor))
    }

    fn open_with(
        runtime: &Runtime,
        bundle: &Bundle,
        computing: Computing,
        features: Option<&str>,
    ) -> Result<Self, SessionError> {
        let precision = if features.is_some() { Precision::Fp32 } else { computing.precision };
        let network = Network::of(bundle, precision);
        let model = network.file.to_owned();
        let refused = |message: String| SessionError::Ort { model: model.clone(), message };
        let unfit = |message: String| SessionError::Unfit { model: model.clone(), message };
        let opened = match features {
            None => runtime.open_graph(&network, computing),
            Some(tensor) => {
                let mut onnx = Onnx::read(&model)?;
                onnx.add_output(tensor)?;
                let bytes = onnx.to_bytes();
                runtime.builder(computing).and_then(|mut builder| Ok((builder.commit_from_memory(&bytes)?, None)))
            }
        };
        let (session, graph) = opened.map_err(|error| refused(error.to_string()))?;
        let spec = &bundle.input;
        let shape = match spec.layout {
            Layout::Nchw => [1, 3, i64::from(spec.height), i64::from(spec.width)],
            Layout::Nhwc => [1, i64::from(spec.height), i64::from(spec.width), 3],
        };
        check_input(session.inputs(), &spec.tensor, shape).map_err(unfit)?;
        check_output(session.outputs(), &bundle.output.tensor, bundle.labels.len()).map_err(unfit)?;
        let input = Tensor::<f32>::new(session.allocator(), shape).map_err(|error| refused(error.to_string()))?;
        let gain = match bundle.head.as_ref().and_then(|head| head.gain.as_ref()).zip(bundle.gains.as_ref()) {
            Some((name, gains)) => {
                let features = gains.features();
                check_gain(&session.overridable_initializers(), name, features).map_err(unfit)?;
                let value = Tensor::from_array(([features], vec![1.0_f32; features]));
                let value = value.map_err(|error| refused(error.to_string()))?;
                Some(Gain { name: name.clone(), value, set: false })
            }
            None => None,
        };
        let options = RunOptions::new().map_err(|error| refused(error.to_string()))?;
        let outputs = OutputSelector::no_default().with(&bundle.output.tensor);
        let outputs = features.into_iter().fold(outputs, OutputSelector::with);
        let options = options.with_outputs(outputs);
        Ok(Self {
            session,
            graph,
            options,
            input,
            input_name: spec.tensor.clone(),
            output_name: bundle.output.tensor.clone(),
            classes: bundle.labels.len(),
            scores: Vec::with_capacity(bundle.labels.len()),
            gain,
            kept: features.map(|tensor| Kept { tensor: tensor.to_owned(), shape: Vec::new(), values: Vec::new() }),
            model,
        })
    }

    /// The input tensor, to be filled with one view before [`Session::run`].
    pub fn input(&mut self) -> &mut [f32] {
        self.input.extract_tensor_mut().1
    }

    /// Multiplies the input of the last layer by this from now on, one factor a feature; `None` leaves it as it is. Does nothing if
    /// the bundle has no gains.
    pub fn set_gain(&mut self, gain: Option<&[f32]>) {
        let Some(Gain { value, set, .. }) = &mut self.gain else { return };
        *set = gain.is_some();
        if let Some(gain) = gain {
            value.extract_tensor_mut().1.copy_from_slice(gain);
        }
    }

    /// Runs the network on the input tensor; returns the scores, one a class.
    ///
    /// # Errors
    /// [`SessionError`] if ONNX Runtime fails, or the scores are not one a class.
    pub fn run(&mut self) -> Result<&[f32], SessionError> {
        let refused = |error: ort::Error| SessionError::Ort { model: self.model.clone(), message: error.to_string() };
        let outputs = match &self.gain {
            Some(Gain { name, value, set: true }) => {
                let inputs = ort::inputs![self.input_name.as_str() => &self.input, name.as_str() => value];
                self.session.run_with_options(inputs, &self.options)
            }
            // By its place: it is the only one, and a name would cost memory each time.
            _ => self.session.run_with_options(ort::inputs![&self.input], &self.options),
        };
        let outputs = outputs.map_err(refused)?;
        let (_, scores) = outputs[self.output_name.as_str()].try_extract_tensor::<f32>().map_err(refused)?;
        if scores.len() != self.classes {
            let message = format!("it gave {} scores, but labels.tsv has {} classes", scores.len(), self.classes);
            return Err(SessionError::Unfit { model: self.model.clone(), message });
        }
        self.scores.clear();
        self.scores.extend_from_slice(scores);
        if let Some(Kept { tensor, shape, values }) = &mut self.kept {
            let (dims, content) = outputs[tensor.as_str()].try_extract_tensor::<f32>().map_err(refused)?;
            shape.clear();
            shape.extend(dims.iter().map(|&dim| usize::try_from(dim).unwrap_or(0)));
            values.clear();
            values.extend_from_slice(content);
        }
        Ok(&self.scores)
    }

    /// The input of the last layer, or the tensor that was asked for, at the last run; nothing, if none is kept.
    #[must_use]
    pub fn features(&self) -> &[f32] {
        self.kept.as_ref().map_or(&[], |kept| &kept.values)
    }

    /// The shape of that, with a batch of 1 first.
    #[must_use]
    pub fn features_shape(&self) -> &[usize] {
        self.kept.as_ref().map_or(&[], |kept| &kept.shape)
    }
}

fn check_gain(initializers: &[OverridableInitializer], name: &str, features: usize) -> Result<(), String> {
    let Some(found) = initializers.iter().find(|initializer| initializer.name() == name) else {
        return Err(format!("bundle.toml names the gain {name:?}, but the model has no such initialiser to override"));
    };
    match found.dtype() {
        ValueType::Tensor { ty: TensorElementType::Float32, shape, .. } if shape[..] == [features as i64] => Ok(()),
        other => Err(format!("gains.tsv has {features} features, but the model's {name:?} is {other}")),
    }
}

fn check_input(inputs: &[Outlet], name: &str, wanted: [i64; 4]) -> Result<(), String> {
    let [input] = inputs else {
        return Err(format!("one image input is needed, but the model has {}: {}", inputs.len(), names(inputs)));
    };
    if input.name() != name {
        return Err(format!("bundle.toml names the input {name:?}, but the model calls it {:?}", input.name()));
    }
    match input.dtype() {
        ValueType::Tensor { ty: TensorElementType::Float32, shape, .. } => {
            // A dynamic dimension is -1 and takes what we give it.
            if shape.len() == 4 && shape.iter().zip(wanted).all(|(has, want)| *has < 0 || *has == want) {
                Ok(())
            } else {
                Err(format!("bundle.toml describes an input of shape {wanted:?}, but the model takes {:?}", &shape[..]))
            }
        }
        other => Err(format!("the input must be a float32 tensor, but is {other}")),
    }
}

fn check_output(outputs: &[Outlet], name: &str, classes: usize) -> Result<(), String> {
    let Some(output) = outputs.iter().find(|output| output.name() == name) else {
        return Err(format!("bundle.toml names the output {name:?}, but the model has {}", names(outputs)));
    };
    match output.dtype() {
        ValueType::Tensor { ty: TensorElementType::Float32, shape, .. } => match shape.last() {
            Some(&last) if last >= 0 && usize::try_from(last) != Ok(classes) => {
                Err(format!("the model gives {last} scores, but labels.tsv has {classes} classes"))
            }
            _ => Ok(()),
        },
        other => Err(format!("the output {name:?} must be a float32 tensor, but is {other}")),
    }
}

fn names(outlets: &[Outlet]) -> String {
    outlets.iter().map(Outlet::name).collect::<Vec<_>>().join(", ")
}
