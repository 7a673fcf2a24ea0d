//! Models on disk: bundles, the registry that finds them, and new versions of them.

mod active;
mod bundle;
mod challenger;
mod current;
mod gains;
mod input;
mod labels;
mod list;
mod new;
pub(crate) mod onnx;
mod prior;
mod registry;
mod watch;
mod write;

pub use active::Active;
pub use bundle::{Bundle, BundleError, Head, Int8, OutputKind, OutputSpec, PoorTemperatures, Precision};
pub use current::Current;
pub use gains::{Gains, GainsError};
pub use input::{CropMode, InputSpec, Interpolation, Layout};
pub use labels::{Label, Labels, LabelsError};
pub use list::{Listed, ListedModel, ListedVersion};
pub use new::{Made, NewError};
pub use onnx::{Linear, Onnx, OnnxError};
pub use prior::{MOST_NEIGHBOURS, Pair, PairError, Prior, PriorError};
pub use registry::{Registry, RegistryError, Version};
pub use watch::{Count, Watch};
pub(crate) use write::replace_file;
pub use write::{
    Changes, METRICS_FILE, Network, WriteError, int8_with_head, remove_leftovers, write_new, write_version,
};
