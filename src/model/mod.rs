//! Models on disk: bundles, and the registry that finds them.

mod bundle;
mod input;
mod labels;
mod prior;
mod registry;

pub use bundle::{Bundle, BundleError, Head, OutputKind, OutputSpec, PoorTemperatures};
pub use input::{CropMode, InputSpec, Interpolation, Layout};
pub use labels::{Label, Labels, LabelsError};
pub use prior::{MOST_NEIGHBOURS, Pair, PairError, Prior, PriorError};
pub use registry::{Registry, RegistryError};
