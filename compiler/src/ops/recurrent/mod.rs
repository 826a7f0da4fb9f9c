//! Recurrent layers: `RNN`, `GRU`, `LSTM`.

pub mod activation;
pub mod layer;
pub mod quantized;
