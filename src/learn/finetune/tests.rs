use super::*;
use crate::learn::network::tests::{Sketch, head, randoms, run, sketch_bundle};
use crate::model::Onnx;

fn network() -> Onnx {
    let mut it = Sketch::new();
    it.conv("input", "stem", [3, 8], [3, 2, 1, 1]);
    it.node("Relu", "stem", "stem.relu", &[]);
    it.conv("stem.relu", "a", [8, 12], [1, 1, 0, 1]);
    it.node("Relu", "a", "a.relu", &[]);
    it.conv("a.relu", "b", [12, 12], [3, 2, 1, 12]);
    it.node("Relu", "b", "b.relu", &[]);
    it.conv("b.relu", "c", [12, 16], [3, 1, 1, 1]);
    it.node("Relu", "c", "c.relu", &[]);
    it.node("GlobalAveragePool", "c.relu", "pool", &[]);
    it.node("Flatten", "pool", "features", &[]);
    it.finish(16)
}

/// Images of noise; its roughness tells the class, which has nothing to do with what the network was made for.
fn images() -> Vec<(Vec<f32>, u32)> {
    let mut random = Random::new(9);
    let image = |at: u32, random: &mut Random| {
        let noise = randoms(random, 3 * 32 * 32, 0.5);
        let value = |index: usize| match at % 4 {
            0 => noise[index],
            1 => noise[index / 32 * 32],
            2 => noise[index % 32],
            _ => noise[index / 4 * 4],
        };
        ((0..noise.len()).map(value).collect(), at % 4)
    };
    (0..24).map(|at| image(at, &mut random)).collect()
}

fn samples(images: &[(Vec<f32>, u32)]) -> Vec<Sample> {
    let sample = |(view, (_, class)): (usize, &(_, u32))| Sample { view, target: vec![(*class, 1.0)], weight: 1.0 };
    images.iter().enumerate().map(sample).collect()
}

fn all(views: &Activations) -> Vec<usize> {
    (0..views.len()).collect()
}

fn activations(network: &Onnx, tail: &Tail, images: &[(Vec<f32>, u32)]) -> Activations {
    let mut activations = Activations::new(8, 16, 16);
    for (image, _) in images {
        activations.push(&run(&sketch_bundle(), network, tail.cut(), image).0);
    }
    activations
}

fn quick() -> Settings {
    Settings { epochs: 50, rate: 0.01, head_rate: 0.03, pull: 0.0, batch: 7, ..Settings::default() }
}

fn learn(network: &Onnx, views: &Activations, samples: &[Sample], settings: Settings) -> Trainer {
    let tail = Tail::new(network, &head(), 3).unwrap();
    let layer = network.head(&head()).unwrap();
    let go = AtomicBool::new(false);
    finetune(tail, &layer, views, samples, settings, &go, &mut |_| {}).unwrap().unwrap()
}

#[test]
fn the_loss_falls_and_what_is_written_back_runs() {
    let (network, images) = (network(), images());
    let tail = Tail::new(&network, &head(), 3).unwrap();
    assert_eq!(tail.cut(), "stem.relu");
    let views = activations(&network, &tail, &images);
    let samples = samples(&images);
    let mut losses = Vec::new();
    let layer = network.head(&head()).unwrap();
    let go = AtomicBool::new(false);
    let mut note = |progress: Progress| losses.push(progress);
    let trainer = finetune(tail, &layer, &views, &samples, quick(), &go, &mut note).unwrap().unwrap();
    assert_eq!((losses.len(), losses[0].steps, losses[199].step), (200, 200, 200));
    let (first, last) = (losses[0].loss, losses[199].loss);
    assert!(first > 1.0 && last < 0.3 * first, "{first} → {last}");

    let mut learnt = network.clone();
    trainer.tail().write(&mut learnt).unwrap();
    learnt.set_head(&head(), &trainer.head().unwrap()).unwrap();
    assert_eq!(learnt.initializer("stem.w").unwrap(), network.initializer("stem.w").unwrap());
    assert_ne!(learnt.initializer("b.w").unwrap(), network.initializer("b.w").unwrap());
    let logits = trainer.logits(&views, &all(&views)).unwrap();
    for ((image, _), logits) in images.iter().zip(logits.chunks_exact(4)).take(8) {
        let (_, scores) = run(&sketch_bundle(), &learnt, "features", image);
        // Activations have 16 bits here and 32 there.
        assert!(scores.iter().zip(logits).all(|(a, b)| (a - b).abs() < 0.02), "{scores:?} and {logits:?}");
    }
}

#[test]
fn the_same_seed_gives_the_same_weights_and_another_does_not() {
    let (network, images) = (network(), images());
    let views = activations(&network, &Tail::new(&network, &head(), 3).unwrap(), &images);
    let samples = samples(&images);
    let settings = Settings { epochs: 3, ..quick() };
    let weights = |settings: &Settings| {
        let trainer = learn(&network, &views, &samples, settings.clone());
        let mut learnt = network.clone();
        trainer.tail().write(&mut learnt).unwrap();
        (learnt.to_bytes(), trainer.head().unwrap())
    };
    let first = weights(&settings);
    // Nor does it matter how many threads take part.
    for threads in 1..=3 {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        assert!(pool.install(|| weights(&settings)) == first, "{threads} threads");
    }
    assert!(weights(&Settings { seed: 2, ..settings }) != first);
}

#[test]
fn a_pull_and_a_target_that_is_met_hold_it_back() {
    let (network, images) = (network(), images());
    let tail = Tail::new(&network, &head(), 3).unwrap();
    let views = activations(&network, &tail, &images);
    let layer = network.head(&head()).unwrap();
    let before = Trainer::new(tail, &layer, quick()).unwrap().logits(&views, &all(&views)).unwrap();
    let labelled = samples(&images);
    let mut samples = labelled.clone();
    for (sample, logits) in samples.iter_mut().zip(before.chunks_exact(4)) {
        let mut taught = vec![0.0; 4];
        crate::classify::temperature::softmax(logits, 1.0, &mut taught);
        sample.target = (0..).zip(taught).collect();
    }
    let moved = |samples: &[Sample], settings: Settings| {
        let after = learn(&network, &views, samples, settings).logits(&views, &all(&views)).unwrap();
        after.iter().zip(&before).map(|(after, before)| (after - before).abs()).sum::<f32>()
    };
    let free = moved(&labelled, quick());
    let taught = moved(&samples, quick());
    let pulled = moved(&labelled, Settings { pull: 30.0, ..quick() });
    assert!(taught < 0.5 * free && pulled < 0.5 * free, "{free}, {taught}, {pulled}");
}

#[test]
fn it_stops_when_told_and_refuses_what_does_not_fit() {
    let network = network();
    let layer = network.head(&head()).unwrap();
    let mut views = Activations::new(8, 16, 16);
    views.push(&[0.5; 8 * 16 * 16]);
    let known = |class| Sample { view: 0, target: vec![(class, 1.0)], weight: 1.0 };
    let try_it = |views: &Activations, samples: &[Sample], settings: Settings, stop: bool| {
        let tail = Tail::new(&network, &head(), 3).unwrap();
        finetune(tail, &layer, views, samples, settings, &AtomicBool::new(stop), &mut |_| {})
    };
    assert!(try_it(&views, &[known(3)], quick(), true).unwrap().is_none());
    assert!(try_it(&views, &[known(3)], quick(), false).unwrap().is_some());
    let refused = |views: &Activations, samples: &[Sample], settings: Settings| {
        try_it(views, samples, settings, false).unwrap_err().to_string()
    };
    assert_eq!(refused(&views, &[known(4)], quick()), "a sample is of another class than the 4 there are");
    assert_eq!(refused(&views, &[], quick()), "1 views for 0 samples");
    let wild = Settings { rate: 1e30, head_rate: 1e30, epochs: 50, ..quick() };
    assert!(refused(&views, &[known(3)], wild).starts_with("the training diverged in step "));
    let mut narrow = Activations::new(7, 16, 16);
    narrow.push(&[0.5; 7 * 16 * 16]);
    assert!(refused(&narrow, &[known(3)], quick()).contains("a convolution of 8 channels gets 7"));
}
