//! The last part of a network, from a cut on, in a form that can be differentiated.
//!
//! ONNX Runtime computes what is before the cut, once for each picture. Behind it are the last blocks of convolutions before
//! the features, whose weights are to be learnt, as candle's operations and a few of our own. Where a network is cut follows
//! from its graph alone.

mod convolution;
mod graph;
mod pointwise;
mod read;
mod step;
#[cfg(test)]
pub(super) mod tests;

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;

use candle_core::{Tensor, Var};

use crate::model::onnx::proto::NodeProto;
use crate::model::{Head, Onnx, OnnxError};
use graph::Way;
use read::Reader;
use step::{Operand, Step, constant_for};

/// The part of a network from a cut to the features.
pub struct Tail {
    cut: String,
    features: String,
    steps: Vec<Step>,
    parameters: Vec<Parameter>,
}

/// Weights that are learnt, with the shape that they have in the file.
pub(super) struct Parameter {
    pub(super) name: String,
    pub(super) value: Var,
}

/// Why a network's last part can't be trained.
#[derive(Debug, thiserror::Error)]
pub enum NetworkError {
    /// Its file is not as it should be.
    #[error(transparent)]
    Onnx(#[from] OnnxError),
    /// More blocks are wanted than can be trained.
    #[error("{}: {message}", path.display())]
    TooDeep {
        /// The ONNX file.
        path: PathBuf,
        /// What stands in the way, and how many blocks can be trained.
        message: String,
        /// The most blocks that can be trained.
        most: usize,
    },
    /// Something can't be computed, such as an activation that does not have the shape that the next layer needs.
    #[error("the network can't be trained: {0}")]
    Compute(#[from] candle_core::Error),
}

impl std::fmt::Debug for Tail {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tail").field("cut", &self.cut).field("parameters", &self.parameters()).finish_non_exhaustive()
    }
}

impl Parameter {
    fn new(name: &str, start: &Tensor) -> candle_core::Result<Self> {
        Ok(Self { name: name.to_owned(), value: Var::from_tensor(start)? })
    }
}

impl Tail {
    /// The last `blocks` blocks before the head's features.
    ///
    /// A block is what lies between two tensors that everything on the way from the image to the features passes through, if
    /// it holds a convolution: a whole residual block, or one convolution of a plain chain with what follows it.
    ///
    /// # Errors
    /// [`NetworkError::TooDeep`] if there are not as many, or one of them holds what can't be differentiated here.
    pub fn new(onnx: &Onnx, head: &Head, blocks: usize) -> Result<Self, NetworkError> {
        let way = Way::find(onnx, &head.features)?;
        let too_deep = |most: usize, why: String| {
            let message = format!(
                "{blocks} blocks of it can't be trained, {}: {why}",
                match most {
                    0 => "and no fewer".to_owned(),
                    most => format!("at most {most}"),
                }
            );
            Err(NetworkError::TooDeep { path: onnx.path().to_owned(), message, most })
        };
        let refused = match Self::of(onnx, head, &way, blocks) {
            Ok(tail) => return Ok(tail),
            Err(refused) => refused,
        };
        let works = |blocks: &usize| Self::of(onnx, head, &way, *blocks).is_ok();
        too_deep((1..blocks.min(way.blocks.len() + 1)).rev().find(works).unwrap_or(0), refused)
    }

    fn of(onnx: &Onnx, head: &Head, way: &Way<'_>, blocks: usize) -> Result<Self, String> {
        let there_are = way.blocks.len();
        let start = blocks.checked_sub(1).and_then(|before| way.blocks.iter().rev().nth(before));
        let start = *start.ok_or_else(|| format!("there are {there_are} behind the first"))?;
        let (cut, nodes) = (way.tensor_of(start), &way.nodes[start + 1..]);
        let mut reader = Reader::new(onnx, cut);
        let is_last = |tensor: &str| tensor == head.features;
        let readers = |tensor: &str| nodes.iter().flat_map(|node| &node.input).filter(|input| *input == tensor).count();
        for node in nodes {
            let joined = node.input(0).filter(|input| readers(input) == 1 && !is_last(input));
            reader.add(node, joined).map_err(|what| format!("it would need {what}"))?;
        }
        let (steps, parameters) = (reader.steps, reader.parameters);
        check_unshared(onnx, nodes, &parameters)?;
        Ok(Self { cut: cut.to_owned(), features: head.features.clone(), steps, parameters })
    }

    /// The tensor that the frozen part gives: pictures, of shape `[batch, channels, height, width]` in the graph.
    #[must_use]
    pub fn cut(&self) -> &str {
        &self.cut
    }

    /// How many weights are learnt.
    #[must_use]
    pub fn parameters(&self) -> usize {
        self.parameters.iter().map(|parameter| parameter.value.elem_count()).sum()
    }

    /// The features, of shape `[batch, features]`, of what the frozen part gave, which has **channels last** here: `[batch, height,
    /// width, channels]`.
    ///
    /// # Errors
    /// [`NetworkError::Compute`] if that does not have the shape that the graph needs.
    pub fn forward(&self, cut: &Tensor) -> Result<Tensor, NetworkError> {
        Ok(self.run(
            cut,
            &self.parameters.iter().map(|parameter| parameter.value.as_tensor().clone()).collect::<Vec<_>>(),
        )?)
    }

    /// The same, when nothing is to be differentiated.
    ///
    /// # Errors
    /// As for [`Tail::forward`].
    pub fn features(&self, cut: &Tensor) -> Result<Tensor, NetworkError> {
        let weights: Vec<Tensor> =
            self.parameters.iter().map(|parameter| parameter.value.as_detached_tensor()).collect();
        Ok(self.run(cut, &weights)?)
    }

    fn run(&self, cut: &Tensor, weights: &[Tensor]) -> candle_core::Result<Tensor> {
        let mut made = HashMap::from([(self.cut.as_str(), cut.clone())]);
        for step in &self.steps {
            let rank = step.inputs.iter().find_map(|operand| match operand {
                Operand::Made(name) => made.get(name.as_str()).map(Tensor::rank),
                Operand::Constant(_) => None,
            });
            let inputs = step.inputs.iter().map(|operand| match operand {
                Operand::Made(name) => match made.get(name.as_str()) {
                    Some(tensor) => Ok(tensor.clone()),
                    None => candle_core::bail!("{name:?} is not made"),
                },
                Operand::Constant(constant) => constant_for(constant, rank.unwrap_or(2)),
            });
            let inputs: Vec<Tensor> = inputs.collect::<candle_core::Result<_>>()?;
            made.insert(&step.output, step.does.run(&inputs, weights)?);
        }
        match made.remove(self.features.as_str()) {
            Some(features) if features.rank() == 2 => Ok(features),
            features => {
                candle_core::bail!("the features have shape {:?}", features.map(|tensor| tensor.dims().to_vec()))
            }
        }
    }

    pub(super) fn weights(&self) -> &[Parameter] {
        &self.parameters
    }

    /// Puts what was learnt into the file's initialisers.
    ///
    /// # Errors
    /// [`NetworkError::Onnx`] if it is not the file that this was made from.
    pub fn write(&self, onnx: &mut Onnx) -> Result<(), NetworkError> {
        for Parameter { name, value } in &self.parameters {
            let dims: Vec<i64> = value.dims().iter().map(|&dim| dim as i64).collect();
            onnx.set_initializer(name, &dims, &value.flatten_all()?.to_vec1::<f32>()?)?;
        }
        Ok(())
    }
}

/// Refuses weights that are read by another node as well: it would change too.
fn check_unshared(onnx: &Onnx, nodes: &[&NodeProto], parameters: &[Parameter]) -> Result<(), String> {
    let learnt: HashSet<&str> = parameters.iter().map(|parameter| parameter.name.as_str()).collect();
    let is_inside = |node: &NodeProto| nodes.iter().any(|inside| std::ptr::eq(*inside, node));
    for node in onnx.graph().node.iter().filter(|node| !is_inside(node)) {
        if let Some(shared) = node.input.iter().find(|input| learnt.contains(input.as_str())) {
            return Err(format!("it would need {shared:?}, which {} reads as well", node.describe()));
        }
    }
    Ok(())
}
