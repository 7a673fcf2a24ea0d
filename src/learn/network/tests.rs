use std::path::Path;

use candle_core::{Device, Tensor, Var};
use prost::Message;

use super::convolution::{Depthwise, MaxPool, Pads, Patches, Window};
use super::pointwise::{Biased, Function, MeanPixel};
use super::*;
use crate::classify::session::{Computing, Runtime, Session};
use crate::eval::random::Random;
use crate::model::onnx::proto::{
    AttributeProto, GraphProto, ModelProto, OperatorSetIdProto, TensorProto, TypeProto, ValueInfoProto,
    tensor_shape_proto, type_proto,
};
use crate::model::{Bundle, Head};

pub(in crate::learn) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

pub(in crate::learn) fn randoms(random: &mut Random, many: usize, scale: f64) -> Vec<f32> {
    (0..many).map(|_| (random.normal() * scale) as f32).collect()
}

/// A network in the making, for images of 3 × 32 × 32, with random weights.
pub(in crate::learn) struct Sketch {
    graph: GraphProto,
    random: Random,
}

impl Sketch {
    pub(in crate::learn) fn new() -> Self {
        let graph = GraphProto {
            name: Some("sketch".into()),
            input: vec![info("input", &[1, 3, 32, 32])],
            ..GraphProto::default()
        };
        Self { graph, random: Random::new(5) }
    }

    /// Weights of which each result of a layer adds up `from`, so that values neither grow nor vanish.
    fn weights(&mut self, name: &str, dims: &[i64], from: i64) {
        let values = randoms(&mut self.random, dims.iter().product::<i64>() as usize, (from as f64).powf(-0.5));
        self.constant(name, dims, &values);
    }

    fn constant(&mut self, name: &str, dims: &[i64], values: &[f32]) {
        self.graph.initializer.push(TensorProto {
            name: Some(name.into()),
            dims: dims.to_vec(),
            data_type: Some(1),
            float_data: values.to_vec(),
            ..TensorProto::default()
        });
    }

    /// A node; attributes are whole numbers, one or several.
    pub(in crate::learn) fn node(&mut self, op: &str, inputs: &str, output: &str, attributes: &[(&str, &[i64])]) {
        let attribute = |(name, ints): &(&str, &[i64])| {
            let one = matches!(*name, "group" | "axis" | "keepdims" | "transB" | "count_include_pad");
            AttributeProto {
                name: Some((*name).into()),
                r#type: Some(if one { 2 } else { 7 }),
                i: ints.first().copied().filter(|_| one),
                ints: if one { Vec::new() } else { ints.to_vec() },
                ..AttributeProto::default()
            }
        };
        self.graph.node.push(NodeProto {
            op_type: Some(op.into()),
            input: inputs.split_whitespace().map(str::to_owned).collect(),
            output: vec![output.into()],
            attribute: attributes.iter().map(attribute).collect(),
            ..NodeProto::default()
        });
    }

    /// A convolution `from` → `to` channels, with weights `<output>.w` and `<output>.b`.
    pub(in crate::learn) fn conv(&mut self, x: &str, output: &str, [from, to]: [i64; 2], conv: [i64; 4]) {
        let [kernel, stride, pad, group] = conv;
        let (w, b) = (format!("{output}.w"), format!("{output}.b"));
        self.weights(&w, &[to, from / group, kernel, kernel], from / group * kernel * kernel);
        self.weights(&b, &[to], 4);
        let attributes: [(&str, &[i64]); 3] = [("strides", &[stride; 2]), ("pads", &[pad; 4]), ("group", &[group])];
        self.node("Conv", &format!("{x} {w} {b}"), output, &attributes);
    }

    /// The network, with a last layer of 4 classes on this many features.
    pub(in crate::learn) fn finish(mut self, features: i64) -> Onnx {
        self.weights("head.w", &[4, features], features);
        self.weights("head.b", &[4], 1);
        self.node("Gemm", "features head.w head.b", "logits", &[("transB", &[1])]);
        self.graph.output.push(info("logits", &[1, 4]));
        let model = ModelProto {
            ir_version: Some(8),
            opset_import: vec![OperatorSetIdProto { version: Some(14), ..OperatorSetIdProto::default() }],
            graph: Some(self.graph),
            ..ModelProto::default()
        };
        Onnx::from_bytes(model.encode_to_vec(), Path::new("sketch.onnx")).unwrap()
    }
}

fn info(name: &str, dims: &[i64]) -> ValueInfoProto {
    let dim = |&dim: &i64| tensor_shape_proto::Dimension {
        value: Some(tensor_shape_proto::dimension::Value::DimValue(dim)),
        ..tensor_shape_proto::Dimension::default()
    };
    let shape = crate::model::onnx::proto::TensorShapeProto { dim: dims.iter().map(dim).collect() };
    let tensor = type_proto::Tensor { elem_type: Some(1), shape: Some(shape) };
    let kind = TypeProto { value: Some(type_proto::Value::TensorType(tensor)), ..TypeProto::default() };
    ValueInfoProto { name: Some(name.into()), r#type: Some(kind), ..ValueInfoProto::default() }
}

pub(in crate::learn) fn head() -> Head {
    Head { features: "features".into(), weight: "head.w".into(), bias: "head.b".into(), gain: None }
}

/// What ONNX Runtime makes of a network's tensor and of its scores, for an image.
pub(in crate::learn) fn run(bundle: &Bundle, onnx: &Onnx, tensor: &str, image: &[f32]) -> (Vec<f32>, Vec<f32>) {
    let folder = tempfile::tempdir().unwrap();
    let model_file = folder.path().join("model.onnx");
    std::fs::write(&model_file, onnx.to_bytes()).unwrap();
    let bundle = Bundle { model_file, ..bundle.clone() };
    let runtime = Runtime::load(Some(&root().join("runtime/libonnxruntime.so")), None).unwrap();
    let mut session = Session::open_with_tensor(&runtime, &bundle, Computing::threads(1), tensor).unwrap();
    session.input().copy_from_slice(image);
    let scores = session.run().unwrap().to_vec();
    assert_eq!(session.features_shape().iter().product::<usize>(), session.features().len());
    (session.features().to_vec(), scores)
}

/// A bundle with the sketch's input and output.
pub(in crate::learn) fn sketch_bundle() -> Bundle {
    let bundle = Bundle::open(&root().join("tests/bundles/tints/1")).unwrap();
    Bundle { head: Some(head()), ..bundle }
}

/// As a tail takes it.
fn channels_last(values: Vec<f32>, channels: usize, height: usize, width: usize) -> Tensor {
    let tensor = Tensor::from_vec(values, (1, channels, height, width), &Device::Cpu).unwrap();
    tensor.permute((0, 2, 3, 1)).unwrap().contiguous().unwrap()
}

/// All operations that a tail has, in nine blocks.
fn everything() -> Onnx {
    let mut it = Sketch::new();
    it.conv("input", "stem", [3, 8], [3, 2, 1, 1]);
    it.node("Relu", "stem", "stem.relu", &[]);
    // A residual block, inverted.
    it.constant("zero", &[], &[0.0]);
    it.constant("six", &[], &[6.0]);
    it.conv("stem.relu", "a.expand", [8, 20], [1, 1, 0, 1]);
    it.node("Clip", "a.expand zero six", "a.expand.clip", &[]);
    it.conv("a.expand.clip", "a.depthwise", [20, 20], [5, 1, 2, 20]);
    it.node("HardSwish", "a.depthwise", "a.depthwise.swish", &[]);
    it.conv("a.depthwise.swish", "a.project", [20, 8], [1, 1, 0, 1]);
    it.node("Add", "a.project stem.relu", "a", &[]);
    // Squeeze and excitation.
    it.node("GlobalAveragePool", "a", "b.pool", &[]);
    it.conv("b.pool", "b.gate", [8, 8], [1, 1, 0, 1]);
    it.node("HardSigmoid", "b.gate", "b.sigmoid", &[]);
    it.node("Mul", "a b.sigmoid", "b", &[]);
    // Two branches side by side.
    it.conv("b", "c.left", [8, 6], [3, 2, 1, 2]);
    it.node("Sigmoid", "c.left", "c.sigmoid", &[]);
    it.node("MaxPool", "b", "c.max", &[("kernel_shape", &[3, 3]), ("strides", &[2, 2]), ("pads", &[1, 1, 1, 1])]);
    it.node("Concat", "c.sigmoid c.max", "c", &[("axis", &[1])]);
    // Depthwise with a stride and uneven padding, and a normalisation.
    it.weights("d.w", &[14, 1, 3, 3], 9);
    let uneven: [(&str, &[i64]); 3] = [("strides", &[2, 2]), ("pads", &[0, 1, 1, 0]), ("group", &[14])];
    it.node("Conv", "c d.w", "d.depthwise", &uneven);
    it.weights("d.scale", &[14], 1);
    it.weights("d.shift", &[14], 4);
    it.weights("d.mean", &[14], 9);
    it.constant("d.variance", &[14], &[0.5; 14]);
    it.node("BatchNormalization", "d.depthwise d.scale d.shift d.mean d.variance", "d.norm", &[]);
    it.node("LeakyRelu", "d.norm", "d", &[]);
    // A plain convolution, a constant for each channel, and the mean of neighbours.
    it.conv("d", "e.conv", [14, 12], [3, 1, 1, 1]);
    it.weights("e.factors", &[12, 1, 1], 1);
    it.node("Mul", "e.conv e.factors", "e.scaled", &[]);
    it.node("Sub", "e.scaled six", "e.moved", &[]);
    it.node("Div", "e.moved six", "e.divided", &[]);
    let pool: [(&str, &[i64]); 2] = [("kernel_shape", &[2, 2]), ("strides", &[1, 1])];
    it.node("AveragePool", "e.divided", "e", &pool);
    // What is behind the last convolution belongs to its block.
    it.conv("e", "f.conv", [12, 10], [1, 2, 0, 1]);
    it.node("Identity", "f.conv", "f", &[]);
    it.node("Flatten", "f", "f.flat", &[("axis", &[1])]);
    it.weights("g.w", &[7, 40], 40);
    it.weights("g.b", &[7], 4);
    it.node("Gemm", "f.flat g.w g.b", "g", &[("transB", &[1])]);
    it.node("Tanh", "g", "features", &[]);
    it.finish(7)
}

fn cut_shape(cut: &str) -> [usize; 3] {
    match cut {
        "stem.relu" | "a" | "b" => [8, 16, 16],
        "c" => [14, 8, 8],
        "d" => [14, 4, 4],
        "e" => [12, 3, 3],
        other => panic!("{other}"),
    }
}

#[test]
fn blocks_follow_from_the_graph_and_give_what_onnx_runtime_gives() {
    let (onnx, bundle) = (everything(), sketch_bundle());
    let image = randoms(&mut Random::new(1), 3 * 32 * 32, 1.0);
    let (wanted, _) = run(&bundle, &onnx, "features", &image);
    assert!(wanted.iter().any(|value| value.abs() > 0.05), "{wanted:?}");
    for (blocks, cut) in [(1, "e"), (2, "d"), (3, "c"), (4, "b"), (5, "a"), (6, "stem.relu")] {
        let tail = Tail::new(&onnx, &head(), blocks).unwrap();
        assert_eq!(tail.cut(), cut);
        let [channels, height, width] = cut_shape(cut);
        let (values, _) = run(&bundle, &onnx, cut, &image);
        let features = tail.forward(&channels_last(values, channels, height, width)).unwrap();
        let features = features.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        let difference = features.iter().zip(&wanted).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(features.len() == wanted.len() && difference < 1e-5, "{blocks}: {difference}");
    }
    assert_eq!(Tail::new(&onnx, &head(), 1).unwrap().parameters(), 12 * 10 + 10 + 40 * 7 + 7);
}

#[test]
fn the_whole_tail_has_the_derivatives_of_finite_differences() {
    let tail = Tail::new(&everything(), &head(), 6).unwrap();
    let mut random = Random::new(2);
    let x = Tensor::from_vec(randoms(&mut random, 2 * 16 * 16 * 8, 1.0), (2, 16, 16, 8), &Device::Cpu).unwrap();
    let variables: Vec<Var> = tail.weights().iter().map(|parameter| parameter.value.clone()).collect();
    assert_eq!(variables.len(), 19);
    check_gradients(&variables, 4e-3, 0.05, || Ok(tail.forward(&x).unwrap()));
}

/// Each derivative, along a random direction, against the difference of two values, by which the variable is moved there and back;
/// `allowed` is the error relative to the gradient's length.
fn check_gradients(variables: &[Var], by: f64, allowed: f64, compute: impl Fn() -> candle_core::Result<Tensor>) {
    let mut random = Random::new(3);
    let factors = compute().unwrap();
    let factors = Tensor::from_vec(randoms(&mut random, factors.elem_count(), 1.0), factors.shape(), &Device::Cpu);
    let factors = factors.unwrap();
    let sum = || (compute().unwrap() * &factors).unwrap();
    let gradients = sum().sum_all().unwrap().backward().unwrap();
    for (number, variable) in variables.iter().enumerate() {
        let start = variable.copy().unwrap();
        let direction = randoms(&mut random, start.elem_count(), 1.0);
        let direction = Tensor::from_vec(direction, start.shape(), &Device::Cpu).unwrap();
        let gradient = gradients.get(variable).unwrap();
        let dot = |a: &Tensor, b: &Tensor| {
            let [a, b] = [a, b].map(|tensor| tensor.flatten_all().unwrap().to_vec1::<f32>().unwrap());
            a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(b)).sum::<f64>()
        };
        let slope = dot(gradient, &direction);
        let at = |by: f64| {
            variable.set(&(&start + (&direction * by).unwrap()).unwrap()).unwrap();
            let values = sum().flatten_all().unwrap().to_vec1::<f32>().unwrap();
            values.into_iter().map(f64::from).sum::<f64>()
        };
        let difference = (at(by) - at(-by)) / (2.0 * by);
        variable.set(&start).unwrap();
        let size = dot(gradient, gradient).sqrt();
        assert!((slope - difference).abs() <= allowed * size, "{number}: {slope} and {difference} of {size}");
    }
}

#[test]
fn each_operation_has_the_derivatives_of_finite_differences() {
    let mut random = Random::new(4);
    let mut variable = |dims: &[usize]| {
        let values = randoms(&mut random, dims.iter().product(), 1.0);
        Var::from_tensor(&Tensor::from_vec(values, dims, &Device::Cpu).unwrap()).unwrap()
    };
    let windows = [
        Window { kernel: [3, 3], stride: [1, 1], pads: Pads::Given([1; 4]) },
        Window { kernel: [5, 3], stride: [2, 1], pads: Pads::Given([2, 0, 1, 1]) },
        Window { kernel: [3, 3], stride: [2, 2], pads: Pads::Same { odd_before: false } },
        Window { kernel: [2, 4], stride: [1, 3], pads: Pads::Same { odd_before: true } },
        Window::PIXEL,
    ];
    for window in windows {
        // Lanes are 16 wide: one of them whole, one not.
        let (x, [height, width]) = (variable(&[2, 6, 7, 19]), window.kernel);
        let w = variable(&[19, 1, height, width]);
        check_gradients(&[x.clone(), w.clone()], 1e-3, 1e-3, || x.apply_op2(&w, Depthwise(window)));
        check_gradients(std::slice::from_ref(&x), 1e-3, 1e-3, || x.apply_op1(Patches(window)));
        // Where two values are almost the same, a step makes the other one the largest.
        check_gradients(std::slice::from_ref(&x), 1e-3, 1e-2, || x.apply_op1(MaxPool(window)));
    }
    let (x, bias) = (variable(&[2, 3, 5, 4]), variable(&[4]));
    check_gradients(std::slice::from_ref(&x), 1e-3, 1e-3, || x.apply_op1(MeanPixel));
    for function in [Function::Identity, Function::Sigmoid, Function::Tanh] {
        check_gradients(&[x.clone(), bias.clone()], 1e-3, 1e-3, || x.apply_op2(&bias, Biased(function)));
        check_gradients(std::slice::from_ref(&x), 1e-3, 1e-3, || x.apply_op1(function));
    }
    for function in [
        Function::Clip { low: -0.5, high: 1.0 },
        Function::LeakyRelu { slope: 0.1 },
        Function::HardSigmoid { alpha: 0.2, beta: 0.5 },
        Function::HardSwish,
    ] {
        // None of these is a corner of one of them.
        for x in [-7.3, -2.7, -1.1, -0.2, 0.3, 0.9, 1.7, 2.2, 2.8, 9.0] {
            let difference = (function.value(x + 0.01) - function.value(x - 0.01)) / 0.02;
            assert!((function.slope(x) - difference).abs() < 1e-3, "{function:?} at {x}");
        }
    }
    assert_eq!(Function::Sigmoid.slope(-200.0), 0.0);
}

#[test]
fn what_can_not_be_trained_is_named_with_how_much_can() {
    let onnx = everything();
    let refused = |change: &dyn Fn(&mut GraphProto), blocks: usize| {
        let mut model = ModelProto::decode(&onnx.to_bytes()[..]).unwrap();
        change(model.graph.as_mut().unwrap());
        let onnx = Onnx::from_bytes(model.encode_to_vec(), Path::new("sketch.onnx")).unwrap();
        Tail::new(&onnx, &head(), blocks).unwrap_err().to_string()
    };
    let change = |output: &'static str, change: &'static dyn Fn(&mut NodeProto)| {
        move |graph: &mut GraphProto| change(graph.node.iter_mut().find(|node| node.output[0] == output).unwrap())
    };
    assert_eq!(
        refused(&|_| {}, 7),
        "sketch.onnx: 7 blocks of it can't be trained, at most 6: there are 6 behind the first"
    );
    assert!(refused(&|_| {}, 0).contains("0 blocks"));
    let unknown = change("c.sigmoid", &|node| node.op_type = Some("LayerNormalization".into()));
    assert_eq!(
        refused(&unknown, 5),
        "sketch.onnx: 5 blocks of it can't be trained, at most 3: it would need LayerNormalization \"c.sigmoid\""
    );
    let last = change("features", &|node| node.op_type = Some("Erf".into()));
    assert!(refused(&last, 1).contains("and no fewer: it would need Erf \"features\""));
    let dilated = change("d.depthwise", &|node| {
        let strides = node.attribute.iter_mut().find(|attribute| attribute.name() == "strides").unwrap();
        strides.name = Some("dilations".into());
    });
    assert!(refused(&dilated, 3).contains("at most 2: it would need Conv \"d.depthwise\" with dilations [2, 2]"));
    let shared = change("stem", &|node| node.input[2] = "a.project.b".into());
    assert!(
        refused(&shared, 6).contains("at most 5: it would need \"a.project.b\", which Conv \"stem\" reads as well")
    );
    let computed = change("a", &|node| node.input[1] = "nowhere".into());
    assert!(refused(&computed, 6).contains("Add \"a\" with \"nowhere\", which is computed"));
}

#[test]
fn the_last_blocks_of_a_large_network_give_what_onnx_runtime_gives() {
    let Ok(bundle) = Bundle::open(&root().join("models/efficientnet-lite0/1")) else { return };
    let (onnx, head) = (Onnx::read(&bundle.model_file).unwrap(), bundle.head.clone().unwrap());
    // Smooth, as pictures are.
    let image: Vec<f32> = (0..3 * 224 * 224)
        .map(|at| ((at / 224 % 224) as f32 / 17.0).sin() * ((at % 224) as f32 / (11.0 + (at / 50176) as f32)).cos())
        .collect();
    let (wanted, _) = run(&bundle, &onnx, &head.features, &image);
    for (blocks, cut, channels, side) in [
        (1, "_blocks.15._project_conv", 320, 7),
        (3, "_blocks.15._expand_conv.relu6", 1152, 7),
        (5, "_blocks.13.sum", 192, 7),
        (8, "_blocks.11._depthwise_conv.relu6", 672, 7),
    ] {
        let tail = Tail::new(&onnx, &head, blocks).unwrap();
        assert_eq!(tail.cut(), cut);
        let (values, _) = run(&bundle, &onnx, cut, &image);
        let features = tail.features(&channels_last(values, channels, side, side)).unwrap();
        let features = features.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        let difference = features.iter().zip(&wanted).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(features.len() == 1280 && difference < 1e-4, "{blocks}: {difference}");
    }
}
