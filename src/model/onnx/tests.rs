use super::proto::{AttributeProto, NodeProto, StringStringEntryProto};
use super::*;
use crate::classify::session::{Computing, Runtime, Session};
use crate::model::{Bundle, Head, Labels};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn bundle(name: &str) -> Bundle {
    Bundle::open(&root().join("tests/bundles").join(name).join("1")).unwrap()
}

fn read(bundle: &Bundle) -> (Onnx, Head) {
    (Onnx::read(&bundle.model_file).unwrap(), bundle.head.clone().unwrap())
}

/// What ONNX Runtime makes of a network that takes the place of a bundle's, for a picture of one colour, with as many
/// classes as given, and the features.
fn run(bundle: &Bundle, network: &Onnx, classes: usize, colour: [f32; 3]) -> (Vec<f32>, Vec<f32>) {
    let folder = tempfile::tempdir().unwrap();
    let model_file = folder.path().join("model.onnx");
    std::fs::write(&model_file, network.to_bytes()).unwrap();
    let rows: String = (0..classes).map(|class| format!("{class}\t\tclass{class}\t\n")).collect();
    let labels = Labels::parse(&format!("class\tid\ten\tzh\n{rows}")).unwrap();
    let bundle = Bundle { model_file, labels, ..bundle.clone() };
    let runtime = Runtime::load(Some(&root().join("runtime/libonnxruntime.so")), None).unwrap();
    let mut session = Session::open_with_features(&runtime, &bundle, Computing::threads(1)).unwrap();
    let nchw = bundle.input.layout == crate::model::Layout::Nchw;
    let input = session.input();
    let pixels = input.len() / 3;
    for (index, value) in input.iter_mut().enumerate() {
        *value = colour[if nchw { index / pixels } else { index % 3 }];
    }
    let scores = session.run().unwrap().to_vec();
    (scores, session.features().to_vec())
}

fn assert_close(a: &[f32], b: &[f32]) {
    assert_eq!(a.len(), b.len());
    assert!(a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-4), "{a:?} and {b:?}");
}

fn message(result: Result<impl std::fmt::Debug, OnnxError>) -> String {
    result.unwrap_err().to_string()
}

#[test]
fn what_is_read_is_written_again() {
    let names = ["tests/bundles/tints/1", "tests/bundles/tints-nhwc/1", "models/efficientnet-lite0/1"];
    for folder in names.map(|name| root().join(name)).iter().filter(|folder| folder.is_dir()) {
        let path = folder.join("model.onnx");
        let bytes = std::fs::read(&path).unwrap();
        let network = Onnx::from_bytes(bytes.clone(), &path).unwrap();
        let written = network.to_bytes();
        assert!(written == bytes, "{}: {} bytes became {}", path.display(), bytes.len(), written.len());
        assert_eq!(Onnx::from_bytes(written, &path).unwrap(), network);
    }
}

#[test]
fn what_is_no_network_is_refused() {
    let path = Path::new("x.onnx");
    assert!(message(Onnx::read(Path::new("/nowhere/x.onnx"))).starts_with("/nowhere/x.onnx: "));
    assert!(message(Onnx::from_bytes(b"not a network".to_vec(), path)).starts_with("x.onnx: no ONNX file: "));
    assert_eq!(message(Onnx::from_bytes(Vec::new(), path)), "x.onnx: no ONNX file: it has no graph");
    let mut network = read(&bundle("tints")).0;
    network.model.ir_version = Some(NEWEST_IR + 1);
    assert!(message(Onnx::from_bytes(network.to_bytes(), path)).contains("IR version 15"));
}

#[test]
fn initialisers_are_read_in_each_way_that_they_are_written() {
    let (mut network, _) = read(&bundle("tints"));
    assert_eq!(network.initializer("head.bias").unwrap(), (vec![4], vec![0.0, 0.0, 0.0, 5.0]));
    network.set_initializer("head.bias", &[1, 2], &[1.5, -2.0]).unwrap();
    assert_eq!(network.initializer("head.bias").unwrap(), (vec![1, 2], vec![1.5, -2.0]));
    assert_eq!(message(network.initializer("x")).split(": ").last(), Some("it has no initialiser \"x\""));
    assert!(message(network.set_initializer("x", &[], &[1.0])).ends_with("it has no initialiser \"x\""));

    let changed = |change: &dyn Fn(&mut TensorProto)| {
        let mut network = network.clone();
        change(network.graph.initializer.iter_mut().find(|tensor| tensor.name() == "head.bias").unwrap());
        network.initializer("head.bias")
    };
    let floats = changed(&|tensor| (tensor.raw_data, tensor.float_data) = (None, vec![3.0, 4.0]));
    assert_eq!(floats.unwrap(), (vec![1, 2], vec![3.0, 4.0]));
    assert!(
        message(changed(&|tensor| tensor.data_type = Some(10)))
            .ends_with("has type float16: only float can be trained")
    );
    assert!(message(changed(&|tensor| tensor.dims = vec![3])).contains("has 2 values"));
    assert!(message(changed(&|tensor| tensor.dims = vec![-1, -2])).contains("has 2 values"));
    assert!(message(changed(&|tensor| tensor.raw_data = Some(vec![0; 9].into()))).contains("has 2 values"));
    let external = changed(&|tensor| {
        tensor.data_location = Some(DataLocation::External as i32);
        tensor.external_data = vec![StringStringEntryProto { key: Some("location".into()), value: Some("x".into()) }];
    });
    assert!(message(external).contains("in another file"));
}

#[test]
fn a_head_with_one_class_more_gives_the_scores_that_it_should() {
    for name in ["tints", "tints-nhwc"] {
        let bundle = bundle(name);
        let (mut network, head) = read(&bundle);
        let colour = [0.5, 0.25, 0.125];
        let before = network.head(&head).unwrap();
        assert_eq!((before.classes, before.features), (4, 3), "{name}");
        assert_eq!(before.weight, [24.0, -12.0, -12.0, -12.0, 24.0, -12.0, -12.0, -12.0, 24.0, 0.0, 0.0, 0.0]);
        let (scores, features) = run(&bundle, &network, 4, colour);
        assert_close(&features, &colour);

        let weight = [&before.weight[..], &[1.0, 2.0, 4.0]].concat();
        let bias = [&before.bias[..], &[0.25]].concat();
        let layer = Linear { classes: 5, weight, bias, ..before };
        network.set_head(&head, &layer).unwrap();
        assert_eq!(network.head(&head).unwrap(), layer);
        let (after, _) = run(&bundle, &network, 5, colour);
        if name == "tints" {
            assert_close(&after[..4], &scores);
            assert_close(&after[4..], &[1.75]);
        } else {
            // Probabilities.
            assert!((after.iter().sum::<f32>() - 1.0).abs() < 1e-5);
            assert!((after[4] / after[3] - (1.75_f32 - 5.0).exp()).abs() < 1e-5);
        }
    }
}

#[test]
fn a_tensor_becomes_an_output_once() {
    let (mut network, _) = read(&bundle("tints"));
    network.add_output("pool").unwrap();
    network.add_output("pool").unwrap();
    network.add_output("logits").unwrap();
    let outputs: Vec<&str> = network.graph.output.iter().map(ValueInfoProto::name).collect();
    assert_eq!(outputs, ["logits", "pool"]);
    assert!(message(network.add_output("pol")).ends_with("it has no tensor \"pol\""));
}

#[test]
fn a_head_that_can_not_be_trained_is_refused_with_the_reason() {
    type Change<'a> = dyn Fn(&mut GraphProto, &mut Head) + 'a;
    let bundle = bundle("tints");
    let (network, head) = read(&bundle);
    let refused = |change: &Change| {
        let (mut network, mut head) = (network.clone(), head.clone());
        change(&mut network.graph, &mut head);
        let mut layer = Linear { classes: 5, features: 3, weight: vec![0.0; 15], bias: vec![0.0; 5] };
        let refused = message(network.clone().set_head(&head, &layer));
        // What has nothing to do with the number of classes is said as early as it can be.
        let early = network.head(&head).map(|head| layer.features = head.features);
        assert!(early.is_ok() == refused.contains("for each of") || early.is_err(), "{refused}");
        refused
    };
    let last = |graph: &mut GraphProto, change: &dyn Fn(&mut NodeProto)| change(graph.node.last_mut().unwrap());
    let attribute = |name: &str, f: f32| AttributeProto {
        name: Some(name.into()),
        f: Some(f),
        r#type: Some(1),
        ..AttributeProto::default()
    };
    let cases: [(&str, &Change); 8] = [
        ("Gemm \"logits\" has alpha 0.5", &|graph, _| {
            last(graph, &|node| node.attribute.push(attribute("alpha", 0.5)))
        }),
        ("Gemm \"logits\" has beta 2", &|graph, _| last(graph, &|node| node.attribute.push(attribute("beta", 2.0)))),
        ("no node reads \"w\"", &|_, head| head.weight = "w".into()),
        ("does not read the bias \"b\"", &|_, head| head.bias = "b".into()),
        ("reads \"features\", which is not the features \"input\"", &|graph, head| {
            graph.node.iter_mut().find(|node| node.op_type() == "Flatten").unwrap().op_type = Some("Relu".into());
            head.features = "input".into();
        }),
        ("must be a Gemm or MatMul", &|graph, _| last(graph, &|node| node.op_type = Some("Conv".into()))),
        ("is read by Gemm \"logits\" and by Gemm \"logits\"", &|graph, _| {
            let node = graph.node.last().unwrap().clone();
            graph.node.push(node);
        }),
        ("Add \"sum\" has a value for each of the 4 classes in \"prior\"", &|graph, _| {
            let prior = TensorProto { name: Some("prior".into()), dims: vec![1, 4], ..TensorProto::default() };
            graph.initializer.push(prior);
            graph.node.push(NodeProto {
                input: vec!["logits".into(), "prior".into()],
                output: vec!["sum".into()],
                op_type: Some("Add".into()),
                ..NodeProto::default()
            });
        }),
    ];
    for (wanted, change) in cases {
        let refused = refused(change);
        assert!(refused.contains(wanted) && refused.contains("model.onnx: "), "{refused:?} without {wanted:?}");
    }
    let wide = Linear { classes: 4, features: 2, weight: vec![0.0; 8], bias: vec![0.0; 4] };
    assert!(message(network.clone().set_head(&head, &wide)).contains("takes 3 features, the new one 2"));
}

#[test]
fn the_head_of_a_large_network_with_a_gain_is_found() {
    let folder = root().join("models/efficientnet-lite0/1");
    let Ok(bundle) = Bundle::open(&folder) else { return };
    let (mut network, head) = read(&bundle);
    let layer = network.head(&head).unwrap();
    assert_eq!((layer.classes, layer.features), (1000, 1280));
    let (before, features) = run(&bundle, &network, 1000, [0.5, -0.5, 0.1]);
    let weight = [&layer.weight[..], &layer.weight[1280..2560]].concat();
    let bias = [&layer.bias[..], &layer.bias[1..2]].concat();
    network.set_head(&head, &Linear { classes: 1001, weight, bias, ..layer }).unwrap();
    let (after, same) = run(&bundle, &network, 1001, [0.5, -0.5, 0.1]);
    assert_eq!(features, same);
    assert_close(&after[..1000], &before);
    assert_close(&after[1000..], &before[1..2]);
    // Without what it reads through, it is not the features' any more.
    let nameless = Head { gain: None, ..head };
    assert!(message(network.head(&nameless)).contains("reads \"evened_features\""));
}
