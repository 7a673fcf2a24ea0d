//! Models on disk: bundles, the registry that finds them, and new versions of them.

mod bundle;
mod gains;
mod input;
mod labels;
pub(crate) mod onnx;
mod prior;
mod registry;
mod write;

pub use bundle::{Bundle, BundleError, Head, OutputKind, OutputSpec, PoorTemperatures};
pub use gains::{Gains, GainsError};
pub use input::{CropMode, InputSpec, Interpolation, Layout};
pub use labels::{Label, Labels, LabelsError};
pub use onnx::{Linear, Onnx, OnnxError};
pub use prior::{MOST_NEIGHBOURS, Pair, PairError, Prior, PriorError};
pub use registry::{Registry, RegistryError};
pub use write::{Changes, WriteError, write_version};
