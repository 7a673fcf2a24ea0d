use super::*;
use crate::eval::random::Random;

const SETTINGS: Settings = Settings {
    pull: 0.01,
    distil_known: 0.4,
    distil_new: 0.2,
    mixed_at: 0.25,
    until: Until { steps: 60, gradient: 1e-3 },
};

/// Two features a class: its own, and one that all have. The champion knows the classes up to `known`.
struct Made {
    champion: Linear,
    features: Array2<f32>,
    shown: Vec<Option<usize>>,
}

fn made(known: usize, classes: usize, shown: &[usize]) -> Made {
    let features = classes + 1;
    let mut weight = vec![0.0; known * features];
    (0..known).for_each(|class| weight[class * features + class] = 2.0);
    let champion = Linear { classes: known, features, weight, bias: vec![0.1; known] };
    let mut random = Random::new(7);
    let features = Array2::from_shape_fn((shown.len(), features), |(view, feature)| {
        let noise = (0.5 * random.unit()) as f32;
        if feature == shown[view] { 2.0 + noise } else { noise }
    });
    Made { champion, features, shown: shown.iter().copied().map(Some).collect() }
}

impl Made {
    fn teach(&self, classes: usize, settings: &Settings) -> Linear {
        let (scores, weights) = (self.scores(), vec![1.0; self.shown.len()]);
        teach(&self.lesson(classes, &scores, &weights), settings, &|| false).unwrap()
    }

    fn scores(&self) -> Array2<f32> {
        scores(&self.champion, self.features.view())
    }

    fn lesson<'a>(&'a self, classes: usize, scores: &'a Array2<f32>, weights: &'a [f32]) -> Lesson<'a> {
        let Self { champion, features, shown } = self;
        Lesson { champion, classes, features: features.view(), scores: scores.view(), shown, weights, views: 1 }
    }
}

fn right(layer: &Linear, features: &Array2<f32>, shown: &[Option<usize>]) -> usize {
    let scores = scores(layer, features.view());
    let best = scores.outer_iter().map(|scores| crate::classify::rank::top::<1>(&scores.to_vec()).0[0].class);
    best.zip(shown).filter(|&(best, &shown)| Some(best as usize) == shown).count()
}

#[test]
fn the_gradient_is_that_of_the_loss() {
    let mut made = made(4, 6, &[0, 1, 4, 5, 5, 2]);
    made.shown[1] = None;
    let scores = made.scores();
    let lesson = made.lesson(6, &scores, &[1.0, 2.0, 0.5, 1.0, 1.0, 0.0]);
    let problem = Problem::new(&lesson, &Settings { pull: 0.2, ..SETTINGS });
    let count = problem.rows.len() * problem.width();
    let mut random = Random::new(3);
    let at: Vec<f32> = (0..count).map(|_| (0.2 * random.unit() - 0.1) as f32).collect();
    let mut gradient = vec![0.0; count];
    problem.loss(&at, &mut gradient);
    let mut unused = vec![0.0; count];
    for index in 0..count {
        let mut at_side = |by: f32| {
            let mut at = at.clone();
            at[index] += by;
            problem.loss(&at, &mut unused)
        };
        let slope = (at_side(1e-2) - at_side(-1e-2)) / 2e-2;
        assert!((slope - f64::from(gradient[index])).abs() < 1e-3, "{index}: {slope} is not {}", gradient[index]);
    }
}

#[test]
fn new_classes_are_learnt_and_old_ones_kept() {
    let made = made(4, 6, &[4, 4, 4, 5, 5, 5, 0, 0]);
    let before = made.champion.clone();
    let after = made.teach(6, &SETTINGS);
    assert_eq!((after.classes, after.features), (6, 7));
    let others = self::made(4, 6, &[4, 5, 4, 5, 0, 1, 2, 3, 1, 2, 3]);
    assert_eq!(right(&after, &others.features, &others.shown), others.shown.len());
    // What was not shown has not moved.
    assert_eq!(after.weight[7..28], before.weight[7..]);
    assert_ne!(after.weight[..7], before.weight[..7]);
    assert_eq!(made.teach(6, &SETTINGS), after, "the same lesson gives the same layer");
}

#[test]
fn what_nobody_has_named_stays_what_it_was() {
    // The new class looks much like an old one, of which there are views that nobody has named.
    let mut made = made(4, 5, &[4, 4, 4, 4, 0, 0, 0, 0]);
    for view in 0..4 {
        made.features[[view, 0]] = 2.0;
    }
    let says = |layer: &Linear| {
        let mut p = vec![0.0; layer.classes];
        softmax(&scores(layer, made.features.slice(s![4..5, ..])).row(0).to_vec(), 1.0, &mut p);
        p
    };
    let before = says(&made.champion);
    let taught = |shown: &[Option<usize>], weights: &[f32]| {
        let said = made.scores();
        let lesson = Lesson { shown, ..made.lesson(5, &said, weights) };
        says(&teach(&lesson, &SETTINGS, &|| false).unwrap())
    };
    let shown: Vec<_> = made.shown.iter().map(|class| class.filter(|class| *class == 4)).collect();
    let alone = taught(&shown, &[1.0, 1.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0]);
    let with_them = taught(&shown, &[1.0; 8]);
    assert!(with_them[4] < 0.5 * alone[4], "{before:?} {alone:?} {with_them:?}");
    assert!(
        (with_them[0] - before[0]).abs() < 0.5 * (alone[0] - before[0]).abs(),
        "{before:?} {alone:?} {with_them:?}"
    );
}

#[test]
fn a_class_without_views_is_never_the_answer() {
    let made = made(4, 6, &[4, 4, 0, 1]);
    let after = made.teach(6, &SETTINGS);
    assert_eq!(after.bias[5], NEVER);
    assert!(after.weight[5 * 7..].iter().all(|weight| *weight == 0.0));
}

#[test]
fn an_empty_layer_learns_all_it_is_shown() {
    let mut made = made(2, 2, &[0, 1, 0, 1, 0, 1]);
    made.champion.weight.fill(0.0);
    made.champion.bias.fill(0.0);
    let after = made.teach(2, &Settings { distil_known: 0.0, ..SETTINGS });
    let others = self::made(2, 2, &[1, 0, 1, 1, 0]);
    assert_eq!(right(&after, &others.features, &others.shown), 5);
}

#[test]
fn classes_count_by_the_root_of_their_pictures() {
    let made = made(4, 4, &[0, 0, 1, 1, 1, 1, 1, 1, 1, 1]);
    let scores = made.scores();
    let weights = [1.0; 10];
    let lesson = Lesson { views: 2, ..made.lesson(4, &scores, &weights) };
    let weights = Problem::new(&lesson, &SETTINGS).weights;
    // One picture against four: one third against two thirds of the five.
    let (of_first, of_others) = (weights.iter().take(2).sum::<f32>(), weights.iter().skip(2).sum::<f32>());
    assert!((of_first - 5.0 / 3.0).abs() < 1e-5 && (of_others - 10.0 / 3.0).abs() < 1e-5, "{weights}");
}

/// Numbers of a program of its own, written with another library.
#[test]
fn another_program_finds_the_same_layer() {
    #[derive(serde::Deserialize)]
    struct Known {
        /// Rows of weights, and the bias at the end.
        champion: Vec<Vec<f32>>,
        /// By picture and view.
        features: Vec<Vec<Vec<f32>>>,
        labels: Vec<usize>,
        weights: Vec<f32>,
        classes: usize,
        head: Vec<Vec<f32>>,
    }
    let known: Known = serde_json::from_str(include_str!("known_answer.json")).unwrap();
    let (width, views) = (known.features[0][0].len(), known.features[0].len());
    let champion = Linear {
        classes: known.champion.len(),
        features: width,
        weight: known.champion.iter().flat_map(|row| &row[..width]).copied().collect(),
        bias: known.champion.iter().map(|row| row[width]).collect(),
    };
    let features: Vec<f32> = known.features.iter().flatten().flatten().copied().collect();
    let features = Array2::from_shape_vec((known.labels.len() * views, width), features).unwrap();
    let of_views = |index: usize| std::iter::repeat_n(index, views);
    let shown: Vec<_> = (0..known.labels.len()).flat_map(of_views).map(|at| Some(known.labels[at])).collect();
    let weights: Vec<f32> = (0..known.labels.len()).flat_map(of_views).map(|at| known.weights[at]).collect();
    let said = scores(&champion, features.view());
    let lesson = Lesson {
        champion: &champion,
        classes: known.classes,
        features: features.view(),
        scores: said.view(),
        shown: &shown,
        weights: &weights,
        views,
    };
    let length = features.iter().map(|value| value * value).sum::<f32>() / shown.len() as f32;
    let layer = teach(&lesson, &Settings { pull: 0.5 / length, ..Settings::default() }, &|| false).unwrap();
    for (class, row) in known.head.iter().enumerate() {
        let found = layer.weight[class * width..][..width].iter().chain([&layer.bias[class]]);
        for (found, wanted) in found.zip(row) {
            assert!((found - wanted).abs() < 5e-3, "{class}: {found} is not {wanted}");
        }
    }
}

#[test]
fn it_stops_when_it_is_asked_to() {
    let made = made(4, 6, &[4, 5]);
    let scores = made.scores();
    assert_eq!(teach(&made.lesson(6, &scores, &[1.0, 1.0]), &SETTINGS, &|| true), None);
}
