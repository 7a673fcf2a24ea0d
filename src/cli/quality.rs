//! Arguments of the commands that measure how good the answers are.

use std::path::PathBuf;

use clap::Args;

use crate::classify::views::Views;
use crate::eval::dataset::Half;
use crate::eval::degrade::Degradation;
use crate::frame::steps::Looking;

/// `glanced eval`
#[derive(Args, Debug)]
pub struct Eval {
    /// Pictures in a folder for each class, named by label or synset; a folder in it is a sequence of one camera's frames
    #[arg(value_name = "DIR")]
    pub dir: PathBuf,
    /// Measure on degraded copies too: blur, tilt, dark, lowres, occlude, jpeg
    #[arg(long, value_name = "KINDS", value_delimiter = ',')]
    pub degrade: Vec<Degradation>,
    /// The views to compare with the centre alone: a set's name, or dynamic [default: classify.views, if not center, or dynamic]
    #[arg(long, value_name = "NAME", value_parser = views_name)]
    pub views: Option<String>,
    /// Make a sequence of so many frames from each picture, and measure the mean over them
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub sequence: usize,
    /// Only one half of the pictures, 1 or 2: choose on one, report on the other
    #[arg(long, value_name = "HALF")]
    pub half: Option<Half>,
    /// What degradations are drawn by
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// One JSON object on standard output
    #[arg(long)]
    pub json: bool,
}

/// `glanced calibrate`
#[derive(Args, Debug)]
#[command(group = clap::ArgGroup::new("pictures").required(true))]
pub struct Calibrate {
    /// Pictures in a folder for each class, named by label or synset; folders in it are passed over
    #[arg(value_name = "DIR", group = "pictures")]
    pub dir: Option<PathBuf>,
    /// The labelled frames of the store instead
    #[arg(long, group = "pictures")]
    pub feedback: bool,
    /// Only one half of the pictures of DIR, 1 or 2: choose on one, report on the other
    #[arg(long, value_name = "HALF", conflicts_with = "feedback")]
    pub half: Option<Half>,
    /// Add degraded copies, so that poor frames are calibrated too: blur, tilt, dark, lowres, occlude, jpeg
    #[arg(long, value_name = "KINDS", value_delimiter = ',')]
    pub degrade: Vec<Degradation>,
    /// What degradations are drawn by
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// The views to calibrate for: a set's name, or dynamic [default: classify.views]
    #[arg(long, value_name = "NAME", value_parser = views_name)]
    pub views: Option<String>,
    /// With --feedback: classes confirmed on one camera within so many seconds belong together
    #[arg(long, value_name = "SECONDS", default_value_t = 600, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub window: u64,
    /// Share of the answers that is to be right, 0 to 1: the least sure ones are to be "unknown"
    #[arg(long, value_name = "SHARE", default_value_t = 0.9, value_parser = share)]
    pub precision: f64,
    /// Write nothing
    #[arg(long)]
    pub dry_run: bool,
    /// One JSON object on standard output
    #[arg(long)]
    pub json: bool,
}

/// `glanced report`
#[derive(Args, Debug)]
pub struct Report {
    /// Pictures in a folder for each class, named by label or synset
    #[arg(value_name = "DIR")]
    pub dir: PathBuf,
    /// The page to write; it needs nothing beside it
    #[arg(long, value_name = "FILE", default_value = "report.html")]
    pub out: PathBuf,
    /// What is looked at of each picture: a set's name, or dynamic [default: classify.views]
    #[arg(long, value_name = "NAME", value_parser = views_name)]
    pub views: Option<String>,
    /// Degrade each picture first: blur, tilt, dark, lowres, occlude or jpeg
    #[arg(long, value_name = "KIND")]
    pub degrade: Option<Degradation>,
    /// Only one half of the pictures, 1 or 2: choose on one, report on the other
    #[arg(long, value_name = "HALF")]
    pub half: Option<Half>,
    /// What the degradation and the map are drawn by
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// One JSON object on standard output
    #[arg(long)]
    pub json: bool,
}

/// A part of a whole.
fn share(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(share) if (0.0..=1.0).contains(&share) => Ok(share),
        _ => Err("a number from 0 to 1 is needed".to_owned()),
    }
}

/// The name of a set of views, or "dynamic".
fn views_name(text: &str) -> Result<String, String> {
    let known = || Views::NAMES.iter().map(|(name, _)| *name).chain([Looking::DYNAMIC]);
    if known().any(|name| name == text) {
        return Ok(text.to_owned());
    }
    Err(format!("the sets of views are {}", known().collect::<Vec<_>>().join(", ")))
}
