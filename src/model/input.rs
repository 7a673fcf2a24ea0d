//! What a network wants to see.

use serde::Deserialize;

/// Order of a tensor's dimensions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Layout {
    /// Batch, channel, row, column.
    Nchw,
    /// Batch, row, column, channel.
    Nhwc,
}

/// How the model's shape is cut from a frame of another shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CropMode {
    /// The short side is resized to `resize` pixels, and the middle is cut out.
    Center,
    /// The whole is resized to the input's size, whatever its shape.
    Squash,
}

/// The kernel of the resize. Both are widened when the picture gets smaller (antialiased), as in Pillow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Interpolation {
    /// Cubic convolution with a = -0.5 (Keys 1981), which reaches two pixels far.
    Bicubic,
    /// A triangle, which reaches one pixel far.
    Bilinear,
}

/// How a model wants its input.
#[derive(Clone, Debug, PartialEq)]
pub struct InputSpec {
    /// Name of the input tensor.
    pub tensor: String,
    /// Order of its dimensions.
    pub layout: Layout,
    /// Height of a view, in pixels.
    pub height: u32,
    /// Width of a view, in pixels.
    pub width: u32,
    /// With [`CropMode::Center`], the length to which the short side of the frame is resized, in pixels.
    pub resize: u32,
    /// What becomes of a frame whose shape is not the model's.
    pub crop: CropMode,
    /// The kernel.
    pub interpolation: Interpolation,
    /// Mean of each channel, red first, on the scale 0 to 255: subtracted.
    pub mean: [f32; 3],
    /// Standard deviation of each channel on the same scale: divided by.
    pub std: [f32; 3],
}
