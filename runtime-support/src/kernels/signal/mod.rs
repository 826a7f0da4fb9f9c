//! DFT, STFT, window functions and the mel matrix.

mod dft;
mod fft;
mod window;

pub use dft::{dft, scratch_len, stft};
pub use window::{Window, mel_weight_matrix, window};
