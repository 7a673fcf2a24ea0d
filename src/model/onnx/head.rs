//! The last layer of a network, as exporters write it: a Gemm, or a MatMul and an Add.

use std::collections::HashSet;

use super::proto::tensor_shape_proto::Dimension;
use super::proto::tensor_shape_proto::dimension::Value::DimValue;
use super::proto::type_proto::Value;
use super::proto::{NodeProto, ValueInfoProto};
use super::{Onnx, OnnxError};
use crate::model::Head;

/// The weights of a last layer: scores are `weight · features + bias`.
#[derive(Clone, Debug, PartialEq)]
pub struct Linear {
    /// The number of classes, or rows.
    pub classes: usize,
    /// The number of features, or columns.
    pub features: usize,
    /// Shape `[classes, features]`, row-major, however the file has them.
    pub weight: Vec<f32>,
    /// Shape `[classes]`.
    pub bias: Vec<f32>,
}

/// Where a graph has its last layer.
struct Place {
    /// Each column of the weight initialiser belongs to a class: its shape is `[features, classes]`.
    transposed: bool,
    /// The tensor of the scores, as the layer gives them.
    scores: String,
}

impl Onnx {
    /// The weights of the last layer, with all that has to hold for it to be trained: one Gemm reads weight and bias, or one
    /// MatMul the weight and one Add the bias; it scales nothing; its input is the features, multiplied by nothing but
    /// the head's gain.
    ///
    /// # Errors
    /// [`OnnxError::Unfit`] with what does not hold.
    pub fn head(&self, head: &Head) -> Result<Linear, OnnxError> {
        let place = self.place(head)?;
        let (dims, weight) = self.initializer(&head.weight)?;
        let (_, bias) = self.initializer(&head.bias)?;
        let [rows, columns] = dims[..] else {
            return Err(self.unfit(format!("{:?} must have two dimensions, but has {dims:?}", head.weight)));
        };
        let (rows, columns) = (rows as usize, columns as usize);
        let (classes, features) = if place.transposed { (columns, rows) } else { (rows, columns) };
        if classes == 0 || features == 0 || bias.len() != classes {
            let message = format!("{:?} is for {classes} classes, {:?} for {}", head.weight, head.bias, bias.len());
            return Err(self.unfit(message));
        }
        let weight = if place.transposed { transpose(&weight, features, classes) } else { weight };
        Ok(Linear { classes, features, weight, bias })
    }

    /// Puts other weights into the last layer, of another number of classes if need be; the shapes that are declared for
    /// the scores, and for what is made of them, then follow.
    ///
    /// # Errors
    /// As for [`Onnx::head`]; also if there is another number of features, or something behind the layer has a value for each
    /// class that was.
    ///
    /// # Panics
    /// If `layer` has more weights, or fewer, than it says.
    pub fn set_head(&mut self, head: &Head, layer: &Linear) -> Result<(), OnnxError> {
        let &Linear { classes, features, .. } = layer;
        assert!(layer.weight.len() == classes * features && layer.bias.len() == classes, "one weight for each");
        let place = self.place(head)?;
        let before = self.head(head)?;
        if before.features != features {
            let message = format!("its last layer takes {} features, the new one {features}", before.features);
            return Err(self.unfit(message));
        }
        let (mut bias_dims, _) = self.initializer(&head.bias)?;
        if classes != before.classes {
            let behind = self.behind(&place.scores);
            if let Some((node, constant)) = self.constant_of(before.classes, &behind) {
                let message = format!(
                    "{} has a value for each of the {} classes in {constant:?}, and none for new ones",
                    node.describe(),
                    before.classes
                );
                return Err(self.unfit(message));
            }
            self.resize(&behind, before.classes, classes);
            // Some write it as a row.
            bias_dims.iter_mut().rev().take(1).for_each(|last| *last = classes as i64);
        }
        let (classes_dim, features_dim) = (classes as i64, features as i64);
        if place.transposed {
            let weight = transpose(&layer.weight, classes, features);
            self.set_initializer(&head.weight, &[features_dim, classes_dim], &weight)?;
        } else {
            self.set_initializer(&head.weight, &[classes_dim, features_dim], &layer.weight)?;
        }
        self.set_initializer(&head.bias, &bias_dims, &layer.bias)
    }

    fn place(&self, head: &Head) -> Result<Place, OnnxError> {
        let layer = self.only_reader(&head.weight)?;
        let (operands, transposed, scores) = match layer.op_type() {
            "Gemm" => {
                for (name, wanted) in [("alpha", 1.0), ("beta", 1.0)] {
                    if let Some(other) = layer.float(name).filter(|value| *value != wanted) {
                        return Err(self.unfit(format!("{} has {name} {other}: it must be 1", layer.describe())));
                    }
                }
                if layer.int("transA").is_some_and(|turned| turned != 0) {
                    return Err(self.unfit(format!("{} turns its input (transA)", layer.describe())));
                }
                if layer.input.get(2) != Some(&head.bias) {
                    return Err(self.unfit(format!("{} does not read the bias {:?}", layer.describe(), head.bias)));
                }
                (&layer.input, layer.int("transB").is_none_or(|turned| turned == 0), layer.output.first())
            }
            "MatMul" => {
                let sum = self.only_reader(&head.bias)?;
                let product = layer.output.first();
                if sum.op_type() != "Add" || !sum.input.iter().any(|input| Some(input) == product) {
                    let message =
                        format!("{} does not add {:?} to what {} gives", sum.describe(), head.bias, layer.describe());
                    return Err(self.unfit(message));
                }
                (&layer.input, true, sum.output.first())
            }
            _ => {
                let message = format!("{:?} is read by {}: it must be a Gemm or MatMul", head.weight, layer.describe());
                return Err(self.unfit(message));
            }
        };
        match (&operands[..], scores) {
            ([input, weight, ..], Some(scores)) if *weight == head.weight => {
                self.check_input(layer, input, head)?;
                Ok(Place { transposed, scores: scores.clone() })
            }
            _ => Err(self.unfit(format!("{} does not multiply its input by {:?}", layer.describe(), head.weight))),
        }
    }

    /// Whether a layer's input is the features, or they with nothing done to them but the gain.
    fn check_input(&self, layer: &NodeProto, input: &str, head: &Head) -> Result<(), OnnxError> {
        let mut tensor = input;
        // A graph has no circles, but a file may have anything.
        for _ in 0..=self.graph.node.len() {
            if tensor == head.features {
                return Ok(());
            }
            let Some(node) = self.maker(tensor) else { break };
            let is_gain = |input: &String| Some(input) == head.gain.as_ref();
            let Some(before) = (match node.op_type() {
                "Identity" | "Dropout" | "Flatten" | "Squeeze" | "Reshape" => node.input.first(),
                "Mul" if node.input.iter().any(is_gain) => node.input.iter().find(|input| !is_gain(input)),
                _ => None,
            }) else {
                break;
            };
            tensor = before;
        }
        Err(self.unfit(format!("{} reads {input:?}, which is not the features {:?}", layer.describe(), head.features)))
    }

    /// The node that makes a tensor.
    pub(crate) fn maker(&self, tensor: &str) -> Option<&NodeProto> {
        self.graph.node.iter().find(|node| node.output.iter().any(|output| output == tensor))
    }

    fn only_reader(&self, tensor: &str) -> Result<&NodeProto, OnnxError> {
        let mut readers = self.graph.node.iter().filter(|node| node.input.iter().any(|input| input == tensor));
        match (readers.next(), readers.next()) {
            (Some(reader), None) => Ok(reader),
            (None, _) => Err(self.unfit(format!("no node reads {tensor:?}"))),
            (Some(a), Some(b)) => {
                Err(self.unfit(format!("{tensor:?} is read by {} and by {}", a.describe(), b.describe())))
            }
        }
    }

    /// All tensors that are made of one, and itself.
    fn behind(&self, tensor: &str) -> HashSet<String> {
        let mut behind = HashSet::from([tensor.to_owned()]);
        // The nodes of a graph are in an order in which they can be run.
        for node in &self.graph.node {
            if node.input.iter().any(|input| behind.contains(input)) {
                behind.extend(node.output.iter().cloned());
            }
        }
        behind
    }

    /// A node that reads one of these tensors, and with it an initialiser that has a value for each class.
    fn constant_of(&self, classes: usize, tensors: &HashSet<String>) -> Option<(&NodeProto, &str)> {
        let is_of_classes = |name: &str| {
            let tensor = self.graph.initializer.iter().find(|tensor| tensor.name() == name);
            tensor.is_some_and(|tensor| classes > 1 && tensor.dims.contains(&(classes as i64)))
        };
        let readers = self.graph.node.iter().filter(|node| node.input.iter().any(|input| tensors.contains(input)));
        readers
            .flat_map(|node| node.input.iter().map(move |input| (node, input.as_str())))
            .find(|(_, input)| is_of_classes(input))
    }

    fn resize(&mut self, tensors: &HashSet<String>, from: usize, to: usize) {
        let graph = &mut self.graph;
        for info in graph.output.iter_mut().chain(&mut graph.value_info) {
            if !tensors.contains(info.name()) {
                continue;
            }
            match last_dimension(info) {
                Some(last) if last.value == Some(DimValue(from as i64)) => last.value = Some(DimValue(to as i64)),
                _ => {}
            }
        }
    }
}

/// A matrix of `rows` rows, as one of `columns` rows.
fn transpose(matrix: &[f32], rows: usize, columns: usize) -> Vec<f32> {
    (0..columns).flat_map(|column| (0..rows).map(move |row| matrix[row * columns + column])).collect()
}

fn last_dimension(info: &mut ValueInfoProto) -> Option<&mut Dimension> {
    match info.r#type.as_mut()?.value.as_mut()? {
        Value::TensorType(tensor) => tensor.shape.as_mut()?.dim.last_mut(),
        _ => None,
    }
}
