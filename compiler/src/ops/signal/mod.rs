//! Signals: Fourier transforms, window functions, the mel scale.

pub mod dft;
pub mod stft;
pub mod window;
