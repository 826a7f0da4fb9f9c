//! The network over windows of sound.

use crate::network::Model;
use crate::sound::RATE;
use std::error::Error;

/// Samples in a window.
pub const WINDOW: usize = 512;
/// Samples of the window before that the network sees again.
const CONTEXT: usize = 64;

/// How likely each window is speech; the last is filled up with silence. What the network remembers it keeps itself.
pub fn probabilities(samples: &[f32]) -> Result<Vec<f32>, Box<dyn Error>> {
    let mut model = Model::new();
    let mut input = [0.0; CONTEXT + WINDOW];
    let mut probabilities = Vec::with_capacity(samples.len().div_ceil(WINDOW));
    for window in samples.chunks(WINDOW) {
        input.copy_within(WINDOW.., 0);
        input[CONTEXT..].fill(0.0);
        input[CONTEXT..][..window.len()].copy_from_slice(window);
        probabilities.extend_from_slice(model.run(&input, RATE.into())?.output());
    }
    Ok(probabilities)
}
