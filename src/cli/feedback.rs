//! Arguments of `glanced feedback`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use ulid::Ulid;

/// `glanced feedback`
#[derive(Args, Debug)]
pub struct FeedbackArgs {
    /// What to do with it.
    #[command(subcommand)]
    pub command: FeedbackCommand,
}

/// What to do with feedback.
#[derive(Debug, Subcommand)]
pub enum FeedbackCommand {
    /// Count what there is
    Stats(FeedbackStats),
    /// List statements, the newest first, or frames that wait for one
    List(FeedbackList),
    /// Say what a frame shows
    Add(FeedbackAdd),
    /// Write pictures and all that is known of them to a folder, or as a tar to standard output
    Export(FeedbackExport),
    /// Take in an export, or a folder with one folder of pictures for each label
    Import(FeedbackImport),
    /// Delete frames: their pictures, and what was said about them
    Remove(FeedbackRemove),
    /// Make the index again from the journal
    Rebuild(FeedbackRebuild),
}

/// `glanced feedback stats`
#[derive(Args, Debug)]
pub struct FeedbackStats {
    /// One JSON object on standard output
    #[arg(long)]
    pub json: bool,
}

/// `glanced feedback list`
#[derive(Args, Debug)]
pub struct FeedbackList {
    /// Only those with this label
    #[arg(long, value_name = "LABEL", conflicts_with = "unlabelled")]
    pub label: Option<String>,
    /// Only those from this camera
    #[arg(long, value_name = "CAMERA")]
    pub camera: Option<String>,
    /// Frames that wait for a label instead, the oldest first
    #[arg(long)]
    pub unlabelled: bool,
    /// At most so many
    #[arg(long, value_name = "N", default_value_t = 50)]
    pub limit: usize,
    /// One JSON object on standard output
    #[arg(long)]
    pub json: bool,
}

/// `glanced feedback add`
#[derive(Args, Debug)]
#[command(group = clap::ArgGroup::new("statement").required(true))]
pub struct FeedbackAdd {
    /// The frame, as its result names it
    #[arg(long, value_name = "ULID")]
    pub frame: Ulid,
    /// What it shows, by name; one that the model does not know is a new class
    #[arg(long, value_name = "LABEL", group = "statement")]
    pub label: Option<String>,
    /// What it shows, by the number of the model's class
    #[arg(long, value_name = "N", group = "statement")]
    pub class: Option<u32>,
    /// What the model saw first is right
    #[arg(long, group = "statement")]
    pub correct: bool,
    /// Its picture, if the store does not have it
    #[arg(long, value_name = "FILE", requires = "camera")]
    pub image: Option<PathBuf>,
    /// The camera that took the picture
    #[arg(long, value_name = "CAMERA", requires = "image")]
    pub camera: Option<String>,
    /// Who says so
    #[arg(long, value_name = "WHO")]
    pub by: Option<String>,
    /// An id of your own: the same statement with the same id is stored once
    #[arg(long, value_name = "ID")]
    pub id: Option<String>,
    /// One JSON object on standard output
    #[arg(long)]
    pub json: bool,
}

/// `glanced feedback export`
#[derive(Args, Debug)]
pub struct FeedbackExport {
    /// The folder; it may hold an earlier export, which is brought up to date. `-` is a tar on standard output
    #[arg(value_name = "DIR|-")]
    pub to: PathBuf,
    /// What to write
    #[arg(long, value_enum, default_value_t = ExportFormat::Folder)]
    pub format: ExportFormat,
    /// Note in the store that they were exported: they may go when room is needed
    #[arg(long)]
    pub mark_exported: bool,
    /// One JSON object on standard output
    #[arg(long)]
    pub json: bool,
}

/// What an export looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ExportFormat {
    /// A folder a label, and manifest.jsonl with all that is known; what `import` reads
    Folder,
    /// Tasks of Label Studio, with predictions and annotations
    LabelStudio,
}

/// `glanced feedback import`
#[derive(Args, Debug)]
pub struct FeedbackImport {
    /// An export with its manifest.jsonl, or a folder with one folder of pictures for each label
    #[arg(value_name = "DIR")]
    pub from: PathBuf,
    /// One JSON object on standard output
    #[arg(long)]
    pub json: bool,
}

/// `glanced feedback remove`
#[derive(Args, Debug)]
#[command(group = clap::ArgGroup::new("which").required(true))]
pub struct FeedbackRemove {
    /// A frame, labelled or not; may be given several times
    #[arg(long, value_name = "ULID", group = "which")]
    pub frame: Vec<Ulid>,
    /// All frames that wait for a label
    #[arg(long, group = "which")]
    pub unlabelled: bool,
    /// Of these, only those from this camera
    #[arg(long, value_name = "CAMERA", requires = "unlabelled", conflicts_with = "frame")]
    pub camera: Option<String>,
    /// One JSON object on standard output
    #[arg(long)]
    pub json: bool,
}

/// `glanced feedback rebuild`
#[derive(Args, Debug)]
pub struct FeedbackRebuild {
    /// One JSON object on standard output
    #[arg(long)]
    pub json: bool,
}
