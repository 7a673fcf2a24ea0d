//! Arguments of `glanced retrain`.

use clap::Args;

/// `glanced retrain`
#[derive(Args, Clone, Debug, Default)]
pub struct Retrain {
    /// Put the new version in use if the verdict is to promote it
    #[arg(long)]
    pub promote: bool,
    /// One JSON object on standard output
    #[arg(long)]
    pub json: bool,
    /// Teach the last N convolution blocks of the network too, and not only its last layer: slower, and for larger changes
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub unfreeze: usize,
    /// Only if so many frames were labelled since the last time
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub if_new: u64,
    /// For a node that has it done beside its frames: lets everything else go first, ends with the node, and tells how far it is on
    /// standard output, a JSON object a line, the last of them the report
    #[arg(long, hide = true)]
    pub background: bool,
}
