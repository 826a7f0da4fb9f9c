//! Operators of neural networks.

pub mod attention;
pub mod batch_norm;
pub mod conv;
pub mod embed;
pub mod epilogue;
pub mod flex_attention;
pub mod group_norm;
pub mod group_query;
pub mod linear_attention;
pub mod lp_norm;
pub mod multi_head;
pub mod norm;
pub mod packed;
pub mod pool;
pub mod rotary;
pub mod skip_norm;
pub mod softmax;
pub mod window;
