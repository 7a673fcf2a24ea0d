//! ONNX Runtime: the only file that knows it.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use ort::environment::Environment;
use ort::session::builder::{GraphOptimizationLevel, SessionBuilder};
use ort::session::{HasSelectedOutputs, OutputSelector, OverridableInitializer, RunOptions};
use ort::value::{Outlet, Tensor, TensorElementType, ValueType};

use crate::model::{Bundle, Layout, Onnx, OnnxError};

/// The loaded ONNX Runtime library. Cheap to clone; there is one a process.
#[derive(Clone, Debug)]
pub struct Runtime {
    environment: Environment,
    path: PathBuf,
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
    /// working folder, where the package installs it, and then wherever the system's loader does.
    ///
    /// # Errors
    /// [`SessionError::Load`] with what was tried.
    pub fn load(path: Option<&Path>) -> Result<Self, SessionError> {
        // ort allows one environment a process, and none after it is dropped: the first one stays.
        static LOADED: Mutex<Option<Runtime>> = Mutex::new(None);
        let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(runtime) = &*loaded {
            return Ok(runtime.clone());
        }
        let path = path.map_or_else(find_library, Path::to_owned);
        let failed = |message: String| SessionError::Load { path: path.clone(), message };
        let environment = ort::init_from(&path)
            .map_err(|error| failed(error.to_string()))?
            .with_telemetry(false)
            .build()
            .map_err(|error| failed(error.to_string()))?;
        let runtime = Self { environment, path };
        *loaded = Some(runtime.clone());
        Ok(runtime)
    }

    /// Where the library was loaded from.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
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
/// Each has its own weights, 25 MB for a network of 4.7 million parameters. ONNX Runtime's container of shared prepacked
/// weights was tried and changes nothing: it serves initialisers that the application hands in, and the optimiser
/// writes the convolutions' weights anew for each session.
pub struct Session {
    session: ort::session::Session,
    options: RunOptions<HasSelectedOutputs>,
    input: Tensor<f32>,
    input_name: String,
    output_name: String,
    classes: usize,
    scores: Vec<f32>,
    /// What the head's input is multiplied by, if anything ever is: the network's input for that, and its value.
    gain: Option<(String, Tensor<f32>)>,
    /// The tensor that is to be kept, if any, the head's input as a rule.
    kept: Option<Kept>,
    model: PathBuf,
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
    /// Loads the network of a bundle, to run on `threads` threads, and checks that it fits the bundle's description.
    ///
    /// # Errors
    /// [`SessionError`], which names the file and what does not fit.
    pub fn open(runtime: &Runtime, bundle: &Bundle, threads: usize) -> Result<Self, SessionError> {
        Self::open_with(runtime, bundle, threads, None)
    }

    /// The same, and keeps the input of the last layer at each run for [`Session::features`], if the bundle names it.
    ///
    /// # Errors
    /// [`SessionError`], also if the network has no tensor of that name.
    pub fn open_with_features(runtime: &Runtime, bundle: &Bundle, threads: usize) -> Result<Self, SessionError> {
        Self::open_with(runtime, bundle, threads, bundle.head.as_ref().map(|head| head.features.as_str()))
    }

    /// The same, but keeps another tensor for [`Session::features`]: what the network has made of a view up to there.
    ///
    /// # Errors
    /// [`SessionError`], also if the network has no tensor of that name.
    pub fn open_with_tensor(
        runtime: &Runtime,
        bundle: &Bundle,
        threads: usize,
        tensor: &str,
    ) -> Result<Self, SessionError> {
        Self::open_with(runtime, bundle, threads, Some(tensor))
    }

    fn open_with(
        runtime: &Runtime,
        bundle: &Bundle,
        threads: usize,
        features: Option<&str>,
    ) -> Result<Self, SessionError> {
        let model = bundle.model_file.clone();
        let refused = |message: String| SessionError::Ort { model: model.clone(), message };
        let unfit = |message: String| SessionError::Unfit { model: model.clone(), message };
        let builder = || -> Result<SessionBuilder, ort::Error> {
            Ok(ort::session::Session::builder(&runtime.environment)?
                .with_optimization_level(GraphOptimizationLevel::Level3)?
                .with_intra_threads(threads)?
                .with_inter_threads(1)?
                // Threads that wait for work must leave the cores to decoding and to the other workers.
                .with_intra_op_spinning(false)?
                .with_flush_to_zero()?
                // One block for all intermediate results, kept beside the single ones: 2 MB a session, for half a percent
                // of time.
                .with_memory_pattern(false)?)
        };
        let opened = builder().and_then(|mut builder| builder.commit_from_file(&model));
        let mut session = opened.map_err(|error| refused(error.to_string()))?;
        if let Some(tensor) = features.filter(|tensor| session.outputs().iter().all(|output| output.name() != *tensor))
        {
            let mut onnx = Onnx::read(&model)?;
            onnx.add_output(tensor)?;
            let opened = builder().and_then(|mut builder| builder.commit_from_memory(&onnx.to_bytes()));
            session = opened.map_err(|error| refused(error.to_string()))?;
        }
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
                Some((name.clone(), value.map_err(|error| refused(error.to_string()))?))
            }
            None => None,
        };
        let options = RunOptions::new().map_err(|error| refused(error.to_string()))?;
        let outputs = OutputSelector::no_default().with(&bundle.output.tensor);
        let outputs = features.into_iter().fold(outputs, OutputSelector::with);
        let options = options.with_outputs(outputs);
        Ok(Self {
            session,
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
        let Some((_, value)) = &mut self.gain else { return };
        let value = value.extract_tensor_mut().1;
        match gain {
            Some(gain) => value.copy_from_slice(gain),
            None => value.fill(1.0),
        }
    }

    /// Runs the network on the input tensor; returns the scores, one a class.
    ///
    /// # Errors
    /// [`SessionError`] if ONNX Runtime fails, or the scores are not one a class.
    pub fn run(&mut self) -> Result<&[f32], SessionError> {
        let refused = |error: ort::Error| SessionError::Ort { model: self.model.clone(), message: error.to_string() };
        let outputs = match &self.gain {
            Some((name, gain)) => {
                let inputs = ort::inputs![self.input_name.as_str() => &self.input, name.as_str() => gain];
                self.session.run_with_options(inputs, &self.options)
            }
            None => {
                let inputs = ort::inputs![self.input_name.as_str() => &self.input];
                self.session.run_with_options(inputs, &self.options)
            }
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
