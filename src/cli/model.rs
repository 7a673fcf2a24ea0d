//! Arguments of `glanced model`.

use clap::{Args, Subcommand};

/// `glanced model`
#[derive(Args, Debug)]
pub struct ModelArgs {
    /// What to do with it.
    #[command(subcommand)]
    pub command: ModelCommand,
}

/// What to do with models. Which one is meant, where it is one: --model, else model.name.
#[derive(Debug, Subcommand)]
pub enum ModelCommand {
    /// List all models and their versions
    List(ModelList),
    /// Show what a version is and what was measured when it was made
    Show(ModelShow),
    /// Make a model of your own: the network of another one, with classes that it is to learn
    New(ModelNew),
    /// Put a version in use; a node that runs takes it over at once
    Promote(ModelPromote),
    /// Put the version in use that was before this one
    Rollback(ModelRollback),
}

/// `glanced model list`
#[derive(Args, Debug)]
pub struct ModelList {
    /// One JSON object on standard output
    #[arg(long)]
    pub json: bool,
}

/// `glanced model show`
#[derive(Args, Debug)]
pub struct ModelShow {
    /// The version [default: the one in use]
    #[arg(value_name = "VERSION")]
    pub version: Option<String>,
    /// One JSON object on standard output
    #[arg(long)]
    pub json: bool,
}

/// `glanced model new`
#[derive(Args, Debug)]
pub struct ModelNew {
    /// What it is to be called
    #[arg(value_name = "NAME")]
    pub name: String,
    /// The model whose network it gets
    #[arg(long, value_name = "MODEL", default_value = "efficientnet-lite0")]
    pub from: String,
    /// Its classes, as you will call them: two or more, with commas between
    #[arg(long, value_name = "LABELS", value_delimiter = ',', required = true)]
    pub labels: Vec<String>,
    /// One JSON object on standard output
    #[arg(long)]
    pub json: bool,
}

/// `glanced model promote`
#[derive(Args, Debug)]
pub struct ModelPromote {
    /// The version
    #[arg(value_name = "VERSION")]
    pub version: String,
    /// One JSON object on standard output
    #[arg(long)]
    pub json: bool,
}

/// `glanced model rollback`
#[derive(Args, Debug)]
pub struct ModelRollback {
    /// One JSON object on standard output
    #[arg(long)]
    pub json: bool,
}
