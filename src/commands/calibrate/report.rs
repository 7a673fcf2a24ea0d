//! What came of a calibration: for people, for programs, and for the new version's `metrics.json`.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::Serialize;

use super::pictures::LeftOut;
use crate::cli::Calibrate;
use crate::eval::degrade::Degradation;
use crate::eval::fit::{Answer, Figure, Figures, Fit, PriorTrial, figures};
use crate::eval::metrics::Threshold;
use crate::frame::steps::Steps;
use crate::model::{Bundle, PoorTemperatures, Prior};

#[derive(Debug, Serialize)]
pub(super) struct Report {
    made_by: &'static str,
    at: Timestamp,
    model: String,
    /// The version that was calibrated.
    parent: String,
    /// Pictures, without copies.
    n: usize,
    left_out: LeftOut,
    views: &'static str,
    seed: u64,
    temperature: f32,
    poor: PoorTemperatures,
    /// The features of poor frames are evened out anew.
    pub(super) gains: bool,
    prior_strength: f32,
    pub(super) unknown_below: f32,
    /// What they were.
    was: Was,
    ece_before: f64,
    ece_after: f64,
    /// "after" is cross-fitted: no picture is judged by values that it took part in.
    before: Figures,
    after: Figures,
    /// The same for each degradation: "none", each that was asked for, and "all" of these together.
    kinds: Vec<Kind>,
    prior: Option<PriorTrial>,
    /// Pairs of classes in a new table, of what was confirmed together; `null` if the model keeps the table that it has.
    prior_learnt: Option<usize>,
    precision: f64,
    /// What the threshold for that precision gives; `null` if none gives it, and the model keeps its own.
    unknown: Option<Threshold>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dir: Option<PathBuf>,
    /// The new version; `null` if none was written.
    version: Option<String>,
}

#[derive(Debug, Serialize)]
struct Was {
    temperature: f32,
    poor: PoorTemperatures,
    prior_strength: f32,
    unknown_below: f32,
}

#[derive(Debug, Serialize)]
struct Kind {
    degrade: &'static str,
    before: Figures,
    after: Figures,
}

impl Report {
    pub(super) fn new(
        args: &Calibrate,
        bundle: &Bundle,
        steps: &Steps,
        n: usize,
        left_out: LeftOut,
        fitted: &Fit,
        learnt: Option<&Prior>,
    ) -> Self {
        let (before, after) = (figures(&fitted.before), figures(&fitted.after));
        Self {
            made_by: "glanced calibrate",
            at: Timestamp::now(),
            model: bundle.name.clone(),
            parent: bundle.version.clone(),
            n,
            left_out,
            views: steps.looking.name(),
            seed: args.seed,
            temperature: fitted.values.temperature,
            poor: fitted.values.poor,
            gains: false,
            prior_strength: fitted.values.prior_strength,
            unknown_below: fitted.threshold.map_or(bundle.unknown_below, |threshold| threshold.below),
            was: Was {
                temperature: bundle.temperature,
                poor: bundle.poor,
                prior_strength: bundle.prior_strength,
                unknown_below: bundle.unknown_below,
            },
            ece_before: before.ece.value,
            ece_after: after.ece.value,
            before,
            after,
            kinds: kinds(&args.degrade, fitted),
            prior: fitted.prior,
            prior_learnt: learnt.map(|table| table.pairs().count()),
            precision: args.precision,
            unknown: fitted.threshold,
            dir: None,
            version: None,
        }
    }

    pub(super) fn written(&mut self, dir: &Path) {
        self.version = dir.file_name().map(|version| version.to_string_lossy().into_owned());
        self.dir = Some(dir.to_owned());
    }

    pub(super) fn to_text(&self) -> String {
        let mut text = String::new();
        // Writing to a String can't fail.
        let _ = self.write(&mut text);
        text
    }

    fn write(&self, text: &mut String) -> std::fmt::Result {
        let Self { model, parent, n, .. } = self;
        writeln!(text, "{model} {parent}: {n} pictures{}", self.left_out.to_text(", without "))?;
        writeln!(text, "\n{:20} {:>24} {:>24}", "", "before", "after")?;
        let percent = |figure: &Figure| {
            format!("{:.1} % [{:.1}, {:.1}]", 100.0 * figure.value, 100.0 * figure.low, 100.0 * figure.high)
        };
        let plain = |figure: &Figure| format!("{:.3} [{:.3}, {:.3}]", figure.value, figure.low, figure.high);
        let row = |text: &mut String, name: &str, before: String, after: String| {
            writeln!(text, "{name:20} {before:>24} {after:>24}")
        };
        row(text, "calibration error", percent(&self.before.ece), percent(&self.after.ece))?;
        if self.kinds.len() > 1 {
            for kind in &self.kinds {
                let name = format!("  of {}", if kind.degrade == "none" { "clean" } else { kind.degrade });
                row(text, &name, percent(&kind.before.ece), percent(&kind.after.ece))?;
            }
        }
        row(text, "Brier score", plain(&self.before.brier), plain(&self.after.brier))?;
        row(text, "log loss", plain(&self.before.log_loss), plain(&self.after.log_loss))?;
        text.push_str(
            "\nCalibration error: how far the stated probability is from the share of right answers, in the mean. Brier score \
             and\nlog loss: how far all probabilities are from the truth. Less is better. In brackets are 95 % intervals; \
             \"after\" is\nmeasured on pictures that took no part in the choice.\n\n",
        );
        let was = &self.was;
        writeln!(text, "temperature       {} (was {})", self.temperature, was.temperature)?;
        for ((name, now), (_, was)) in self.poor.named().into_iter().zip(was.poor.named()) {
            if let Some(now) = now {
                let was = was.map_or("the common one".to_owned(), |was| was.to_string());
                writeln!(text, "  {:16}{now} (was {was})", format!("{name} frames"))?;
            }
        }
        if self.gains {
            writeln!(text, "features          evened out for poor frames, by those of the copies")?;
        }
        writeln!(text, "prior             {}", self.prior_to_text())?;
        writeln!(text, "unknown           {}", self.unknown_to_text())?;
        match &self.dir {
            Some(dir) => writeln!(text, "\nWritten: {}. A daemon that runs takes it over.", dir.display()),
            None => writeln!(text, "\nNothing was written."),
        }
    }

    fn prior_to_text(&self) -> String {
        let Some(trial) = &self.prior else { return "none, or off in the configuration".to_owned() };
        let (low, high) = (trial.interval.low, trial.interval.high);
        let gave = format!(
            "log loss {:+.4} [{:+.4}, {:+.4}], top-3 {:+.1} points",
            -trial.gain, -high, -low, trial.top3_points
        );
        match trial.helps {
            true => {
                let pairs = self.prior_learnt.map(|pairs| format!(", {pairs} pairs that were confirmed together"));
                let pairs = pairs.unwrap_or_default();
                format!("strength {} (was {}){pairs}: {gave}", self.prior_strength, self.was.prior_strength)
            }
            false if trial.best > 0.0 => format!("off: it does not help for certain ({gave})"),
            false => "off: it does not help".to_owned(),
        }
    }

    fn unknown_to_text(&self) -> String {
        let wanted = 100.0 * self.precision;
        match &self.unknown {
            Some(Threshold { below, .. }) if *below == 0.0 => {
                format!("never: {wanted:.0} % of all answers are right without")
            }
            Some(threshold) => format!(
                "below {} (was {}): {:.1} % of the answers stay, {:.1} % of these are right",
                threshold.below,
                self.was.unknown_below,
                100.0 * threshold.coverage,
                100.0 * threshold.precision
            ),
            None => format!(
                "below {}, as before: no threshold makes {wanted:.0} % of the answers right",
                self.unknown_below
            ),
        }
    }
}

fn kinds(degradations: &[Degradation], fitted: &Fit) -> Vec<Kind> {
    let kind = |degrade, wanted: &dyn Fn(Option<Degradation>) -> bool| {
        let those = |answers: &[Answer]| -> Vec<Answer> {
            answers.iter().filter(|answer| wanted(answer.degradation)).copied().collect()
        };
        Kind { degrade, before: figures(&those(&fitted.before)), after: figures(&those(&fitted.after)) }
    };
    let mut kinds = vec![kind("none", &|degradation| degradation.is_none())];
    kinds.extend(degradations.iter().map(|&wanted| kind(wanted.name(), &|degradation| degradation == Some(wanted))));
    if degradations.len() > 1 {
        kinds.push(kind("all", &|degradation| degradation.is_some()));
    }
    kinds
}
