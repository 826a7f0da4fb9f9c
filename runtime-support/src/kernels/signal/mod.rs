//! DFT, STFT, window functions and the mel matrix.

mod dft;
mod fft;
mod window;

pub use dft::{around_axis, dft, replace_axis, scratch_len, stft};
pub use window::{Window, mel_weight_matrix, window};
