//! What is done to a tile of results before it leaves the registers: bias, residual, activation.

use super::tile::{load_up_to, store_up_to};
use crate::cx::Cx;
use crate::math::Math;
use crate::simd::{Simd, WithSimd, dispatch};

/// The activation functions that products and convolutions can apply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ActivationKind {
    /// `x`.
    None,
    /// `max(x, 0)`.
    Relu,
    /// `min(max(x, a), b)`.
    Clip,
    /// `x` if `x >= 0`, else `a * x`.
    LeakyRelu,
    /// `1 / (1 + exp(-x))`.
    Sigmoid,
    /// `min(max(a * x + b, 0), 1)`.
    HardSigmoid,
    /// `tanh(x)`.
    Tanh,
    /// `x / (1 + exp(-a * x))`; `a = 1` is SiLU, also called swish.
    Silu,
    /// `x * min(max(a * x + b, 0), 1)`; ONNX fixes `a = 1/6`, `b = 1/2`.
    HardSwish,
    /// `x / 2 * (1 + erf(x / √2))`.
    Gelu,
    /// The approximation of the former by tanh.
    GeluTanh,
    /// `x` if `x >= 0`, else `a * (exp(x) - 1)`.
    Elu,
    /// `ln(1 + exp(x))`.
    Softplus,
    /// `x * tanh(ln(1 + exp(x)))`.
    Mish,
}

/// An activation with its parameters (0 where the kind has none).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Activation {
    /// Which function.
    pub kind: ActivationKind,
    /// Its first parameter.
    pub a: f32,
    /// Its second parameter.
    pub b: f32,
}

impl Activation {
    /// The identity.
    pub const NONE: Self = Self { kind: ActivationKind::None, a: 0.0, b: 0.0 };

    /// An activation without parameters (SiLU gets its usual `a = 1`, HardSwish its 1/6 and 1/2).
    pub const fn new(kind: ActivationKind) -> Self {
        match kind {
            ActivationKind::Silu => Self { kind, a: 1.0, b: 0.0 },
            ActivationKind::HardSwish => Self { kind, a: 1.0 / 6.0, b: 0.5 },
            _ => Self { kind, a: 0.0, b: 0.0 },
        }
    }

    /// The range that the result is clamped to, if that is all there is to do.
    #[inline(always)]
    pub(crate) fn as_clamp(self) -> Option<(f32, f32)> {
        match self.kind {
            ActivationKind::Relu => Some((0.0, f32::INFINITY)),
            ActivationKind::Clip => Some((self.a, self.b)),
            _ => None,
        }
    }

    /// Whether it is applied in a pass of its own, when a strip of results is stored but still in the L1 cache.
    #[inline(always)]
    pub(crate) fn is_costly(self) -> bool {
        !matches!(self.kind, ActivationKind::None | ActivationKind::Relu | ActivationKind::Clip)
    }
}

/// What happens to the sums after the last block of k.
#[derive(Clone, Copy)]
pub(crate) struct Finish<'a> {
    /// Multiplies the product.
    pub alpha: f32,
    /// Added to each row: one element a column.
    pub bias: Option<&'a [f32]>,
    /// Added to each column: one element a row.
    pub row_bias: Option<&'a [f32]>,
    /// Added elementwise: row 0, column 0, and the distance between rows.
    pub residual: Option<(*const f32, usize)>,
    /// Applied last.
    pub activation: Activation,
}

/// Applies a costly activation to a strip of stored results.
///
/// It goes through a door of its own, so that the polynomials are compiled once an instruction set and not once a kernel.
///
/// # Safety
/// `c` may be read and written at `rows` rows, `row` apart, of `cols` columns; nobody else touches them.
#[inline(always)]
pub(crate) unsafe fn activate<S: Simd>(_: S, activation: Activation, c: *mut f32, row: usize, rows: usize, cols: usize) {
    if let Some(cx) = Cx::REFERENCE.with_isa(S::ISA) {
        dispatch(cx, Strip { activation, c, row, rows, cols });
    }
}

/// A strip of results, as [`activate`] was promised.
struct Strip {
    activation: Activation,
    c: *mut f32,
    row: usize,
    rows: usize,
    cols: usize,
}

impl WithSimd for Strip {
    type Output = ();
    #[inline(always)]
    fn with_simd<S: Simd>(self, s: S) {
        let (a, b) = (s.splat(self.activation.a), s.splat(self.activation.b));
        /// One loop over the strip for each function.
        macro_rules! each {
            ($x:ident => $value:expr) => {
                for i in 0..self.rows {
                    for j in (0..self.cols).step_by(S::LANES) {
                        // SAFETY: within the strip; the vector is cut at its last column.
                        unsafe {
                            let (at, width) = (self.c.add(i * self.row + j), (self.cols - j).min(S::LANES));
                            let $x = load_up_to(s, at, width);
                            store_up_to(s, at, width, $value);
                        }
                    }
                }
            };
        }
        // `min` and `max` give their second argument if either is NaN, so NaN goes through.
        match self.activation.kind {
            ActivationKind::None => {}
            ActivationKind::Relu => each!(x => s.max(s.zero(), x)),
            ActivationKind::Clip => each!(x => s.min(b, s.max(a, x))),
            ActivationKind::LeakyRelu => each!(x => s.select(s.lt(x, s.zero()), s.mul(a, x), x)),
            ActivationKind::Sigmoid => each!(x => s.sigmoid(x)),
            ActivationKind::HardSigmoid => each!(x => s.min(s.splat(1.0), s.max(s.zero(), s.mul_add(a, x, b)))),
            ActivationKind::Tanh => each!(x => s.tanh(x)),
            ActivationKind::Silu => each!(x => s.mul(x, s.sigmoid(s.mul(a, x)))),
            ActivationKind::HardSwish => each!(x => s.mul(x, s.min(s.splat(1.0), s.max(s.zero(), s.mul_add(a, x, b))))),
            ActivationKind::Gelu => each!(x => s.gelu(x)),
            ActivationKind::GeluTanh => each!(x => s.gelu_tanh(x)),
            ActivationKind::Elu => each!(x => s.select(s.lt(x, s.zero()), s.mul(a, s.expm1(x)), x)),
            ActivationKind::Softplus => each!(x => s.softplus(x)),
            ActivationKind::Mish => each!(x => s.mish(x)),
        }
    }
}
