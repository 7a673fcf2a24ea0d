//! What came of a training, for people and for programs.

use std::fmt::Write;

use serde::Serialize;

use super::examples::LeftOut;
use super::findings::Findings;
use super::gate::{Comparison, Verdict};

/// A training and its verdict.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The model.
    pub model: String,
    /// What is to be done.
    pub verdict: Verdict,
    /// Why.
    pub reason: String,
    /// The version in use.
    pub champion: Side,
    /// What was made.
    pub challenger: Side,
    /// Examples that the challenger was taught on.
    pub n_train: usize,
    /// Frames beside them that nobody has labelled, and of which the challenger was to say what the champion says.
    pub n_sure: usize,
    /// Examples that both were judged on: each by a challenger that was not taught on it, nor on what looks like it.
    pub n_held_out: usize,
    /// The newest statement that it was taught. What was said until then proves nothing of what is made from it.
    pub taught_until: Option<String>,
    /// Time, from the first look to the verdict.
    pub seconds: f64,
    /// It is in use.
    pub promoted: bool,
    /// Convolution blocks that were taught beside the last layer.
    pub unfrozen: usize,
    /// Both compared; `None` if there was too little to do so.
    #[serde(flatten)]
    pub comparison: Option<Comparison>,
    /// Class by class, those with most examples first.
    pub classes: Vec<Class>,
    /// Examples whose label looks wrong, the worst first.
    pub doubtful: Vec<Doubtful>,
    /// What could not be used.
    pub left_out: LeftOut,
    /// What the trial showed; `None` if there was none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub findings: Option<Findings>,
}

/// Champion or challenger. Rates are 0 to 1; `None` where nothing was measured.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Side {
    /// The version; `None` if none was written.
    pub version: Option<String>,
    /// Classes.
    pub classes: usize,
    /// Share with the right class as the best.
    pub top1: Option<f64>,
    /// Share with the right class among the best three.
    pub top3: Option<f64>,
    /// Expected calibration error.
    pub ece: Option<f64>,
    /// Temperature.
    pub temperature: f32,
}

/// A class.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Class {
    /// Its name.
    pub label: String,
    /// Examples.
    pub n: usize,
    /// Examples that are needed.
    pub needed: usize,
    /// Different moments that the examples show.
    pub moments: usize,
    /// The champion does not have it.
    pub new: bool,
    /// Examples with it among the champion's best three.
    pub champion_top3: Option<usize>,
    /// And among the challenger's.
    pub challenger_top3: Option<usize>,
}

/// An example whose label looks wrong.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Doubtful {
    /// The frame.
    pub frame: String,
    /// Its label.
    pub label: String,
    /// The label's probability by what was learnt from the others.
    pub score: f64,
}

impl Class {
    /// It has what it needs: two moments at least, for what is judged must not have been learnt from.
    #[must_use]
    pub fn is_enough(&self) -> bool {
        self.n >= self.needed && self.moments >= 2
    }
}

/// So many classes are shown to people.
const SHOWN: usize = 12;

impl Report {
    /// A table that anyone can read.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        // Writing to a String can't fail.
        let _ = self.write(&mut text);
        text
    }

    fn write(&self, text: &mut String) -> std::fmt::Result {
        let Self { model, champion, challenger, n_train, n_sure, n_held_out, .. } = self;
        let version = |side: &Side| side.version.clone().unwrap_or_else(|| "not written".to_owned());
        writeln!(text, "{model}: {n_train} examples, {n_held_out} of them held out in turn")?;
        if *n_sure > 0 {
            writeln!(text, "and {n_sure} frames that nobody has labelled, of which it was sure: that is to stay")?;
        }
        let percent = |share: Option<f64>| share.map_or("-".to_owned(), |share| format!("{:.1} %", 100.0 * share));
        let plain = |value: Option<f64>| value.map_or("-".to_owned(), |value| format!("{value:.3}"));
        writeln!(text, "\n{:24} {:>12} {:>12}", "", "champion", "challenger")?;
        writeln!(text, "{:24} {:>12} {:>12}", "version", version(champion), version(challenger))?;
        writeln!(text, "{:24} {:>12} {:>12}", "classes", champion.classes, challenger.classes)?;
        writeln!(text, "{:24} {:>12} {:>12}", "right", percent(champion.top1), percent(challenger.top1))?;
        writeln!(
            text,
            "{:24} {:>12} {:>12}",
            "among the best three",
            percent(champion.top3),
            percent(challenger.top3)
        )?;
        writeln!(text, "{:24} {:>12} {:>12}", "calibration error", plain(champion.ece), plain(challenger.ece))?;
        if let Some(Comparison { top3, known, .. }) = &self.comparison {
            let row = |name: &str, paired: &crate::eval::metrics::Paired| {
                format!(
                    "{name:24} {:+.1} points [{:.1}, {:.1}]: {} gained, {} lost of {}\n",
                    paired.points, paired.interval.low, paired.interval.high, paired.gained, paired.lost, paired.n
                )
            };
            write!(text, "\n{}", row("top-3", top3))?;
            if let Some(known) = known {
                write!(text, "{}", row("top-3, known classes", known))?;
            }
        }
        if !self.classes.is_empty() {
            writeln!(text, "\n{:24} {:>9} {:>12} {:>12}", "class", "examples", "champion", "challenger")?;
        }
        let count = |count: Option<usize>| count.map_or("-".to_owned(), |count| count.to_string());
        for class in self.classes.iter().take(SHOWN) {
            let Class { label, n, needed, champion_top3, challenger_top3, .. } = class;
            let examples = if n < needed { format!("{n} of {needed}") } else { n.to_string() };
            let new = if class.new { " (new)" } else { "" };
            let (before, after) = (count(*champion_top3), count(*challenger_top3));
            writeln!(text, "{:24} {examples:>9} {before:>12} {after:>12}", format!("{label}{new}"))?;
        }
        if self.classes.len() > SHOWN {
            writeln!(text, "and {} more", self.classes.len() - SHOWN)?;
        }
        let lacking = self.classes.iter().filter(|class| !class.is_enough() && class.new);
        let lacking: Vec<_> =
            lacking.map(|Class { label, n, needed, .. }| format!("{label} ({n} of {needed})")).collect();
        if !lacking.is_empty() {
            writeln!(text, "\nNot learnt yet, for lack of examples of two moments at least: {}", lacking.join(", "))?;
        }
        if !self.doubtful.is_empty() {
            writeln!(text, "\nLabels that look wrong:")?;
            for Doubtful { frame, label, score } in self.doubtful.iter().take(SHOWN) {
                writeln!(text, "  {frame} {label} ({:.1} %)", 100.0 * score)?;
            }
        }
        let verdict = match self.verdict {
            Verdict::Promote if self.promoted => "Promoted",
            Verdict::Promote => "Promote",
            Verdict::Keep => "Keep the champion",
            Verdict::Reject => "Reject the challenger",
            Verdict::TooLittle => "Too little",
        };
        writeln!(text, "\n{verdict}: {}", self.reason)
    }
}
