//! ONNX Runtime: what is below this module is all that knows it.

mod runtime;

use std::path::PathBuf;
use std::sync::Arc;

use ort::session::{HasSelectedOutputs, OutputSelector, OverridableInitializer, RunOptions};
use ort::value::{Outlet, Tensor, TensorElementType, ValueType};

use self::runtime::Network;
pub use self::runtime::Runtime;
use super::graphs::Graph;
use crate::model::{Bundle, Layout, Onnx, OnnxError, Precision};

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
