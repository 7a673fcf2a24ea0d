//! From nodes of a graph to steps.

use std::collections::HashSet;

use candle_core::{Device, Tensor};

use super::Parameter;
use super::convolution::{Pads, Window};
use super::pointwise::Function;
use super::step::{Arithmetic, Does, Operand, Step};
use crate::model::Onnx;
use crate::model::onnx::proto::NodeProto;
use crate::model::onnx::{floats, whole_numbers};

/// More groups than this, other than one a channel, would take for ever.
const MOST_GROUPS: usize = 64;

/// Makes the steps of the nodes behind a cut, one after the other.
pub(super) struct Reader<'a> {
    onnx: &'a Onnx,
    made: HashSet<&'a str>,
    pub(super) steps: Vec<Step>,
    pub(super) parameters: Vec<Parameter>,
}

/// What can't be computed: a node, and what about it.
type Refused = String;

impl<'a> Reader<'a> {
    pub(super) fn new(onnx: &'a Onnx, cut: &'a str) -> Self {
        Self { onnx, made: HashSet::from([cut]), steps: Vec::new(), parameters: Vec::new() }
    }

    /// Adds the step of a node. `joined` is its input if nothing else reads that.
    pub(super) fn add(&mut self, node: &'a NodeProto, joined: Option<&str>) -> Result<(), Refused> {
        let refused = |why: String| format!("{} {why}", node.describe()).trim_end().to_owned();
        let Some(output) = node.output.first() else { return Err(refused("without an output".to_owned())) };
        let (does, inputs) = self.read(node).map_err(refused)?;
        self.made.insert(output);
        if let (Does::Each(function), Some(joined)) = (&does, joined) {
            let before = self.steps.iter_mut().find(|step| step.output == joined);
            if let Some((before, place)) = before.and_then(|step| Some((&mut step.output, step.does.function()?))) {
                (*before, *place) = (output.clone(), *function);
                return Ok(());
            }
        }
        self.steps.push(Step { does, inputs, output: output.clone() });
        Ok(())
    }

    fn read(&mut self, node: &NodeProto) -> Result<(Does, Vec<Operand>), Refused> {
        let does = match node.op_type() {
            "Conv" => self.convolution(node)?,
            "Gemm" | "MatMul" => self.linear(node)?,
            "BatchNormalization" => self.norm(node)?,
            "Add" => Does::Both(Arithmetic::Add),
            "Sub" => Does::Both(Arithmetic::Subtract),
            "Mul" => Does::Both(Arithmetic::Multiply),
            "Div" => Does::Both(Arithmetic::Divide),
            "GlobalAveragePool" => Does::Mean { as_picture: true },
            "ReduceMean" => {
                let axes = node.ints("axes").map(<[i64]>::to_vec).or_else(|| self.whole_numbers(node, 1));
                if !matches!(axes.as_deref(), Some([2 | -2, 3 | -1] | [3 | -1, 2 | -2])) {
                    return Err(format!("over axes {}", axes.map_or("that are computed".into(), |a| format!("{a:?}"))));
                }
                Does::Mean { as_picture: node.int("keepdims") != Some(0) }
            }
            "MaxPool" if node.output.len() == 1 => Does::MaxPool(window(node, None)?),
            "AveragePool" => {
                let window = window(node, None)?;
                if window.pads != Pads::Given([0; 4]) && node.int("count_include_pad") != Some(1) {
                    return Err("that does not count its padding".to_owned());
                }
                Does::MeanPool(window)
            }
            "Flatten" if node.int("axis").is_none_or(|axis| axis == 1) => Does::Flatten,
            "Reshape" => match self.whole_numbers(node, 1).as_deref() {
                Some([-1..=1, _]) => Does::Flatten,
                shape => return Err(format!("to {}", shape.map_or("a computed shape".into(), |s| format!("{s:?}")))),
            },
            "Squeeze" => {
                let axes = node.ints("axes").map(<[i64]>::to_vec).or_else(|| self.whole_numbers(node, 1));
                match axes.as_deref() {
                    Some([2 | -2, 3 | -1] | [3 | -1, 2 | -2]) => Does::Flatten,
                    _ => return Err("of other axes than height and width".to_owned()),
                }
            }
            "Concat" if matches!(node.int("axis"), Some(1 | -3)) => Does::Concat,
            "Identity" | "Dropout" => Does::Same,
            _ => Does::Each(self.function(node)?),
        };
        let operands = match does {
            Does::Both(_) => 2,
            Does::Concat => node.input.len(),
            _ => 1,
        };
        let inputs =
            node.input.iter().take(operands).map(|input| self.operand(input)).collect::<Result<Vec<_>, _>>()?;
        match inputs.len() == operands && inputs.iter().any(|input| matches!(input, Operand::Made(_))) {
            true => Ok((does, inputs)),
            false => Err("without inputs".to_owned()),
        }
    }

    fn operand(&self, name: &str) -> Result<Operand, Refused> {
        if self.made.contains(name) {
            return Ok(Operand::Made(name.to_owned()));
        }
        self.constant(name).map(Operand::Constant)
    }

    fn constant(&self, name: &str) -> Result<Tensor, Refused> {
        let tensor = self.onnx.constant(name).ok_or_else(|| format!("with {name:?}, which is computed"))?;
        let values = floats(tensor).map_err(|why| format!("with {name:?}, which {why}"))?;
        let shape: Vec<usize> = tensor.dims.iter().map(|&dim| dim as usize).collect();
        Tensor::from_vec(values, shape, &Device::Cpu).map_err(|error| error.to_string())
    }

    fn whole_numbers(&self, node: &NodeProto, input: usize) -> Option<Vec<i64>> {
        whole_numbers(self.onnx.constant(node.input(input)?)?)
    }

    /// The number of a parameter, which has that many dimensions.
    fn parameter(&mut self, name: Option<&str>, rank: usize) -> Result<usize, Refused> {
        let name = name.ok_or("without weights")?;
        if let Some(known) = self.parameters.iter().position(|parameter| parameter.name == name) {
            return Ok(known);
        }
        if !self.onnx.graph().initializer.iter().any(|tensor| tensor.name() == name) {
            return Err(format!("with weights {name:?}, which are no initialiser"));
        }
        let start = self.constant(name)?;
        if start.rank() != rank {
            return Err(format!("with weights {name:?} of shape {:?}", start.dims()));
        }
        self.parameters.push(Parameter::new(name, &start).map_err(|error| error.to_string())?);
        Ok(self.parameters.len() - 1)
    }

    fn bias(&mut self, name: Option<&str>) -> Result<Option<usize>, Refused> {
        name.map(|name| self.parameter(Some(name), 1)).transpose()
    }

    fn convolution(&mut self, node: &NodeProto) -> Result<Does, Refused> {
        let weight = self.parameter(node.input(1), 4)?;
        let &[to, from, height, width] = self.parameters[weight].value.dims() else {
            return Err("without a shape".to_owned());
        };
        let groups = usize::try_from(node.int("group").unwrap_or(1)).unwrap_or(0);
        let is_depthwise = from == 1 && to == groups;
        if groups == 0 || to % groups != 0 || (groups > MOST_GROUPS && !is_depthwise) {
            return Err(format!("with {groups} groups of {from} channels"));
        }
        let window = window(node, Some([height, width]))?;
        Ok(Does::Convolution { weight, bias: self.bias(node.input(2))?, groups, window, function: Function::Identity })
    }

    fn linear(&mut self, node: &NodeProto) -> Result<Does, Refused> {
        let is_one = |name| node.float(name).is_none_or(|factor| factor == 1.0);
        if !is_one("alpha") || !is_one("beta") || node.int("transA").is_some_and(|turned| turned != 0) {
            return Err("with factors".to_owned());
        }
        let turned = node.int("transB").is_none_or(|turned| turned == 0);
        let weight = self.parameter(node.input(1), 2)?;
        Ok(Does::Linear { weight, turned, bias: self.bias(node.input(2))?, function: Function::Identity })
    }

    fn norm(&mut self, node: &NodeProto) -> Result<Does, Refused> {
        if node.output.len() > 1 || node.int("training_mode").is_some_and(|mode| mode != 0) {
            return Err("in training".to_owned());
        }
        let (scale, shift) = (self.parameter(node.input(1), 1)?, self.parameter(node.input(2), 1)?);
        let (Some(mean), Some(variance)) = (node.input(3), node.input(4)) else {
            return Err("without mean and variance".to_owned());
        };
        let epsilon = f64::from(node.float("epsilon").unwrap_or(1e-5));
        let by = |variance: Tensor| (variance + epsilon)?.sqrt()?.recip();
        let by = by(self.constant(variance)?).map_err(|error| error.to_string())?;
        Ok(Does::Norm { scale, shift, mean: self.constant(mean)?, by })
    }

    fn function(&self, node: &NodeProto) -> Result<Function, Refused> {
        let float = |name, default| node.float(name).unwrap_or(default);
        Ok(match node.op_type() {
            "Relu" => Function::Clip { low: 0.0, high: f32::INFINITY },
            "Clip" => {
                let limit = |input, attribute, default| {
                    match node.input(input) {
                        Some(name) => {
                            let value = self.constant(name)?.flatten_all().and_then(|value| value.to_vec1::<f32>());
                            value.ok().and_then(|value| value.first().copied()).ok_or("without limits")
                        }
                        None => Ok(float(attribute, default)),
                    }
                    .map_err(str::to_owned)
                };
                Function::Clip { low: limit(1, "min", f32::MIN)?, high: limit(2, "max", f32::MAX)? }
            }
            "LeakyRelu" => Function::LeakyRelu { slope: float("alpha", 0.01) },
            "Sigmoid" => Function::Sigmoid,
            "HardSigmoid" => Function::HardSigmoid { alpha: float("alpha", 0.2), beta: float("beta", 0.5) },
            "HardSwish" => Function::HardSwish,
            "Tanh" => Function::Tanh,
            _ => return Err(String::new()),
        })
    }
}

/// How the kernel of a convolution or pool moves; a pool says its size itself.
fn window(node: &NodeProto, kernel: Option<[usize; 2]>) -> Result<Window, Refused> {
    let sizes = |name: &str| -> Result<Option<Vec<usize>>, Refused> {
        let Some(ints) = node.ints(name) else { return Ok(None) };
        let sizes: Result<Vec<usize>, _> = ints.iter().map(|&int| usize::try_from(int)).collect();
        sizes.map(Some).map_err(|_| format!("with {name} {ints:?}"))
    };
    let pair = |name: &str| -> Result<Option<[usize; 2]>, Refused> {
        let Some(found) = sizes(name)? else { return Ok(None) };
        match found[..] {
            [y, x] if x > 0 && y > 0 => Ok(Some([y, x])),
            _ => Err(format!("with {name} {found:?}")),
        }
    };
    let kernel = kernel.or(pair("kernel_shape")?).ok_or("without a kernel")?;
    if let Some(dilations) = pair("dilations")?.filter(|dilations| *dilations != [1, 1]) {
        return Err(format!("with dilations {dilations:?}"));
    }
    if node.int("ceil_mode").is_some_and(|mode| mode != 0) {
        return Err("with ceil_mode".to_owned());
    }
    let pads = match node.word("auto_pad").unwrap_or("NOTSET") {
        "NOTSET" => match sizes("pads")?.as_deref() {
            None => Pads::Given([0; 4]),
            Some(&[top, left, bottom, right]) => Pads::Given([top, left, bottom, right]),
            Some(pads) => return Err(format!("with pads {pads:?}")),
        },
        "VALID" => Pads::Given([0; 4]),
        "SAME_UPPER" => Pads::Same { odd_before: false },
        "SAME_LOWER" => Pads::Same { odd_before: true },
        other => return Err(format!("with auto_pad {other}")),
    };
    Ok(Window { kernel, stride: pair("strides")?.unwrap_or([1, 1]), pads })
}
