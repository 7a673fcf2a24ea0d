//! What the frozen part of a network made of each view.

use candle_core::{Device, Result, Tensor};
use half::f16;
use half::slice::HalfFloatSliceExt;

/// The values at the cut, view by view, kept in 16 bits: half the memory, and a relative error of 0.0005, which is far less than
/// what another crop of the same picture changes.
#[derive(Clone, Debug)]
pub struct Activations {
    /// Channels, height and width.
    shape: [usize; 3],
    values: Vec<f16>,
}

impl Activations {
    /// None yet; each view will have this many channels, rows and columns.
    #[must_use]
    pub fn new(channels: usize, height: usize, width: usize) -> Self {
        Self { shape: [channels, height, width], values: Vec::new() }
    }

    /// Adds those of a view, as the network gives them: shape `[channels, height, width]`. Values above 65,504 become that.
    ///
    /// # Panics
    /// If there are more or fewer.
    pub fn push(&mut self, view: &[f32]) {
        let [channels, height, width] = self.shape;
        let pixels = height * width;
        assert_eq!(view.len(), channels * pixels, "a view has {:?} values", self.shape);
        let largest = f16::MAX.to_f32();
        let value = |pixel: usize, channel: usize| view[channel * pixels + pixel].clamp(-largest, largest);
        let order = (0..pixels).flat_map(|pixel| (0..channels).map(move |channel| (pixel, channel)));
        self.values.extend(order.map(|(pixel, channel)| f16::from_f32(value(pixel, channel))));
    }

    /// None yet, of the same shape.
    #[must_use]
    pub fn like(&self) -> Self {
        Self { shape: self.shape, values: Vec::new() }
    }

    /// Adds others of the same shape.
    ///
    /// # Panics
    /// If their shape is another one.
    pub fn append(&mut self, others: &Self) {
        assert_eq!(self.shape, others.shape, "views of one cut have one shape");
        self.values.extend_from_slice(&others.values);
    }

    /// The number of views.
    #[must_use]
    pub fn len(&self) -> usize {
        self.values.len() / self.size().max(1)
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Bytes of memory that a view takes.
    #[must_use]
    pub fn bytes_per_view(&self) -> usize {
        self.size() * size_of::<f16>()
    }

    fn size(&self) -> usize {
        self.shape.iter().product()
    }

    /// Those of some views, of shape `[batch, height, width, channels]`.
    pub(super) fn batch(&self, views: &[usize]) -> Result<Tensor> {
        let [channels, height, width] = self.shape;
        let size = self.size();
        let mut values = vec![0.0; views.len() * size];
        for (&view, values) in views.iter().zip(values.chunks_exact_mut(size)) {
            self.values[view * size..][..size].convert_to_f32_slice(values);
        }
        Tensor::from_vec(values, (views.len(), height, width, channels), &Device::Cpu)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channels_go_last_and_views_are_taken_in_any_order() {
        let mut activations = Activations::new(2, 1, 3);
        activations.push(&[0.0, 1.0, 2.0, 10.0, 11.0, 12.0]);
        activations.push(&[0.5, 1e9, -1e9, 0.0, 0.0, 0.0]);
        assert_eq!((activations.len(), activations.bytes_per_view()), (2, 12));
        let batch = activations.batch(&[1, 0, 1]).unwrap();
        assert_eq!(batch.dims(), [3, 1, 3, 2]);
        let values = batch.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        assert_eq!(values[6..12], [0.0, 10.0, 1.0, 11.0, 2.0, 12.0]);
        assert_eq!(values[..6], [0.5, 0.0, 65504.0, 0.0, -65504.0, 0.0]);
        assert_eq!(values[12..], values[..6]);
    }
}
