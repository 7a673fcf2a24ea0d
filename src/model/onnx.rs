//! ONNX files: what is read and changed in one without running it.
//!
//! A file is read as a whole, changed in a few places and written again; everything else in it stays as it was.

mod head;
mod node;
#[cfg(test)]
mod tests;

#[expect(unreachable_pub, clippy::enum_variant_names, reason = "generated")]
#[rustfmt::skip]
pub(crate) mod proto;

pub use head::Linear;

use std::path::{Path, PathBuf};

use bytes::Bytes;
use prost::Message;

use proto::tensor_proto::{DataLocation, DataType};
use proto::type_proto::Value;
use proto::{GraphProto, ModelProto, TensorProto, TypeProto, ValueInfoProto, tensor_shape_proto, type_proto};

/// The newest format whose fields are all known here. What a newer one adds would be lost.
const NEWEST_IR: i64 = 14;

/// A network as its file has it. Its weights are shared between clones until they are changed.
#[derive(Clone, Debug, PartialEq)]
pub struct Onnx {
    /// All but the graph.
    model: ModelProto,
    graph: GraphProto,
    path: PathBuf,
}

/// What is wrong with an ONNX file.
#[derive(Debug, thiserror::Error)]
pub enum OnnxError {
    /// It can't be read.
    #[error("{}: {error}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: std::io::Error,
    },
    /// It is not what is needed.
    #[error("{}: {message}", path.display())]
    Unfit {
        /// The file.
        path: PathBuf,
        /// What does not fit.
        message: String,
    },
}

impl Onnx {
    /// Reads a file.
    ///
    /// # Errors
    /// [`OnnxError`] if there is no such file, or it is no ONNX file, or one of a format newer than is known.
    pub fn read(path: &Path) -> Result<Self, OnnxError> {
        let bytes = std::fs::read(path).map_err(|error| OnnxError::Read { path: path.to_owned(), error })?;
        Self::from_bytes(bytes, path)
    }

    /// Reads the contents of a file; `path` is what errors call it.
    ///
    /// # Errors
    /// [`OnnxError::Unfit`] if it is no ONNX file, or one of a format newer than is known.
    pub fn from_bytes(bytes: Vec<u8>, path: &Path) -> Result<Self, OnnxError> {
        let unfit = |message| OnnxError::Unfit { path: path.to_owned(), message };
        let read = ModelProto::decode(Bytes::from(bytes));
        let mut model = read.map_err(|error| unfit(format!("no ONNX file: {error}")))?;
        let graph = model.graph.take().ok_or_else(|| unfit("no ONNX file: it has no graph".to_owned()))?;
        match model.ir_version() {
            newer if newer > NEWEST_IR => {
                Err(unfit(format!("it has IR version {newer}, but only those up to {NEWEST_IR} are known")))
            }
            _ => Ok(Self { model, graph, path: path.to_owned() }),
        }
    }

    /// The contents of a file with this network.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        ModelProto { graph: Some(self.graph.clone()), ..self.model.clone() }.encode_to_vec()
    }

    /// The file that it was read from.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The dimensions and values of a float32 initialiser, in row-major order.
    ///
    /// # Errors
    /// [`OnnxError::Unfit`] if there is none, or it has another type, or its values lie in another file.
    pub fn initializer(&self, name: &str) -> Result<(Vec<i64>, Vec<f32>), OnnxError> {
        let found = self.graph.initializer.iter().find(|tensor| tensor.name() == name);
        let tensor = found.ok_or_else(|| self.unfit(format!("it has no initialiser {name:?}")))?;
        let values = floats(tensor).map_err(|message| self.unfit(format!("initialiser {name:?} {message}")))?;
        Ok((tensor.dims.clone(), values))
    }

    /// An initialiser, or what a Constant gives.
    pub(crate) fn constant(&self, name: &str) -> Option<&TensorProto> {
        let initializer = self.graph.initializer.iter().find(|tensor| tensor.name() == name);
        initializer.or_else(|| self.maker(name).filter(|node| node.op_type() == "Constant")?.tensor("value"))
    }

    /// Gives an initialiser new dimensions and values, float32 in row-major order.
    ///
    /// # Errors
    /// [`OnnxError::Unfit`] if there is none of that name.
    ///
    /// # Panics
    /// If there are more values, or fewer, than the dimensions say.
    pub fn set_initializer(&mut self, name: &str, dims: &[i64], values: &[f32]) -> Result<(), OnnxError> {
        assert_eq!(volume(dims), Some(values.len()), "{name} has as many values as its dimensions say");
        let missing = self.unfit(format!("it has no initialiser {name:?}"));
        let graph = &mut self.graph;
        let found = graph.initializer.iter_mut().find(|tensor| tensor.name() == name);
        let tensor = found.ok_or(missing)?;
        *tensor = TensorProto {
            dims: dims.to_vec(),
            data_type: Some(DataType::Float as i32),
            name: tensor.name.take(),
            doc_string: tensor.doc_string.take(),
            metadata_props: std::mem::take(&mut tensor.metadata_props),
            raw_data: Some(values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>().into()),
            ..TensorProto::default()
        };
        // It may be declared as well, and as an input that may be left out.
        for declared in graph.input.iter_mut().chain(&mut graph.value_info).filter(|declared| declared.name() == name) {
            *declared = ValueInfoProto { r#type: Some(float_type(Some(dims))), ..declared.clone() };
        }
        Ok(())
    }

    /// Makes a float32 tensor an output, if it is not one already.
    ///
    /// # Errors
    /// [`OnnxError::Unfit`] if no node makes a tensor of that name.
    pub fn add_output(&mut self, tensor: &str) -> Result<(), OnnxError> {
        let graph = &self.graph;
        if graph.output.iter().any(|output| output.name() == tensor) {
            return Ok(());
        }
        if !graph.node.iter().any(|node| node.output.iter().any(|output| output == tensor)) {
            return Err(self.unfit(format!("it has no tensor {tensor:?}")));
        }
        self.graph.output.push(ValueInfoProto {
            name: Some(tensor.to_owned()),
            r#type: Some(float_type(None)),
            ..ValueInfoProto::default()
        });
        Ok(())
    }

    pub(crate) fn graph(&self) -> &GraphProto {
        &self.graph
    }

    pub(crate) fn unfit(&self, message: String) -> OnnxError {
        OnnxError::Unfit { path: self.path.clone(), message }
    }
}

/// The values of a float32 tensor, or what keeps them from being read.
pub(crate) fn floats(tensor: &TensorProto) -> Result<Vec<f32>, String> {
    if tensor.data_location() == DataLocation::External {
        return Err("has its values in another file: only models in one file can be trained".to_owned());
    }
    if tensor.data_type() != DataType::Float as i32 {
        let found = DataType::try_from(tensor.data_type()).map_or_else(
            |_| format!("type {}", tensor.data_type()),
            |known| format!("type {}", format!("{known:?}").to_lowercase()),
        );
        return Err(format!("has {found}: only float can be trained"));
    }
    let values: Vec<f32> = match &tensor.raw_data {
        Some(raw) => raw.as_chunks().0.iter().copied().map(f32::from_le_bytes).collect(),
        None => tensor.float_data.clone(),
    };
    let stray = tensor.raw_data.as_ref().is_some_and(|raw| raw.len() % 4 != 0);
    if stray || volume(&tensor.dims) != Some(values.len()) {
        return Err(format!("has {} values, which is not what its shape {:?} says", values.len(), tensor.dims));
    }
    Ok(values)
}

/// The values of a tensor of whole numbers.
pub(crate) fn whole_numbers(tensor: &TensorProto) -> Option<Vec<i64>> {
    let raw = tensor.raw_data.as_ref();
    match DataType::try_from(tensor.data_type()).ok()? {
        DataType::Int64 => Some(match raw {
            Some(raw) => raw.as_chunks().0.iter().copied().map(i64::from_le_bytes).collect(),
            None => tensor.int64_data.clone(),
        }),
        DataType::Int32 => Some(match raw {
            Some(raw) => raw.as_chunks().0.iter().copied().map(|bytes| i32::from_le_bytes(bytes).into()).collect(),
            None => tensor.int32_data.iter().copied().map(i64::from).collect(),
        }),
        _ => None,
    }
}

/// The number of values in a tensor of these dimensions; a tensor without any has one.
fn volume(dims: &[i64]) -> Option<usize> {
    dims.iter().try_fold(1_usize, |product, &dim| product.checked_mul(usize::try_from(dim).ok()?))
}

fn float_type(dims: Option<&[i64]>) -> TypeProto {
    let dimension = |&dim: &i64| tensor_shape_proto::Dimension {
        value: Some(tensor_shape_proto::dimension::Value::DimValue(dim)),
        ..tensor_shape_proto::Dimension::default()
    };
    let tensor = type_proto::Tensor {
        elem_type: Some(DataType::Float as i32),
        shape: dims.map(|dims| proto::TensorShapeProto { dim: dims.iter().map(dimension).collect() }),
    };
    TypeProto { value: Some(Value::TensorType(tensor)), ..TypeProto::default() }
}
