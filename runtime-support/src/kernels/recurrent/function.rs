//! The activation functions of recurrent cells.

use crate::error::Fault;
use crate::kernels::fmath;
use crate::math::Math;
use crate::simd::{MAX_LANES, Simd};

/// An activation with its parameters.
#[derive(Clone, Copy, PartialEq)]
pub(super) struct Function {
    kind: Kind,
    alpha: f32,
    beta: f32,
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Sigmoid,
    Tanh,
    Relu,
    Affine,
    LeakyRelu,
    ThresholdedRelu,
    ScaledTanh,
    HardSigmoid,
    Elu,
    Softsign,
    Softplus,
}

const NAMES: [(&str, Kind); 11] = [
    ("Sigmoid", Kind::Sigmoid),
    ("Tanh", Kind::Tanh),
    ("Relu", Kind::Relu),
    ("Affine", Kind::Affine),
    ("LeakyRelu", Kind::LeakyRelu),
    ("ThresholdedRelu", Kind::ThresholdedRelu),
    ("ScaledTanh", Kind::ScaledTanh),
    ("HardSigmoid", Kind::HardSigmoid),
    ("Elu", Kind::Elu),
    ("Softsign", Kind::Softsign),
    ("Softplus", Kind::Softplus),
];

/// The functions of up to two directions of a cell with `N`.
pub(super) fn functions<const N: usize>(names: &[&str], parameters: &[f32], directions: usize) -> Result<[[Function; N]; 2], Fault> {
    let none = Function { kind: Kind::Tanh, alpha: 0.0, beta: 0.0 };
    let mut all = [[none; N]; 2];
    if names.len() != N * directions || parameters.len() != 2 * names.len() {
        return Err(Fault::Internal { what: "recurrent layer: number of activations" });
    }
    for (slot, (name, parameters)) in all.as_flattened_mut().iter_mut().zip(names.iter().zip(parameters.chunks_exact(2))) {
        let Some(row) = NAMES.iter().find(|row| row.0 == *name) else {
            return Err(Fault::Internal { what: "recurrent layer: unknown activation" });
        };
        *slot = Function { kind: row.1, alpha: parameters[0], beta: parameters[1] };
    }
    Ok(all)
}

impl Function {
    /// The function in f64.
    pub(super) fn scalar(self, x: f64) -> f64 {
        let (alpha, beta) = (self.alpha as f64, self.beta as f64);
        match self.kind {
            Kind::Sigmoid => fmath::sigmoid(x),
            Kind::Tanh => fmath::tanh(x),
            Kind::Relu => {
                if x < 0.0 {
                    0.0
                } else {
                    x
                }
            }
            Kind::Affine => alpha * x + beta,
            Kind::LeakyRelu => {
                if x < 0.0 {
                    alpha * x
                } else {
                    x
                }
            }
            Kind::ThresholdedRelu => {
                if x < alpha {
                    0.0
                } else {
                    x
                }
            }
            Kind::ScaledTanh => alpha * fmath::tanh(beta * x),
            Kind::HardSigmoid => (alpha * x + beta).clamp(0.0, 1.0),
            Kind::Elu => {
                if x < 0.0 {
                    alpha * (fmath::exp(x) - 1.0)
                } else {
                    x
                }
            }
            Kind::Softsign => x / (1.0 + if x < 0.0 { -x } else { x }),
            Kind::Softplus => fmath::softplus(x),
        }
    }

    /// The function of a vector.
    #[inline(always)]
    pub(super) fn vector<S: Simd>(self, s: S, x: S::F32) -> S::F32 {
        match self.kind {
            Kind::Sigmoid => s.sigmoid(x),
            Kind::Tanh => s.tanh(x),
            _ => self.rare(s, x),
        }
    }

    #[inline(always)]
    fn rare<S: Simd>(self, s: S, x: S::F32) -> S::F32 {
        let (alpha, beta) = (s.splat(self.alpha), s.splat(self.beta));
        let negative = s.lt(x, s.zero());
        match self.kind {
            Kind::Relu => s.select(negative, s.zero(), x),
            Kind::Affine => s.add(s.mul(alpha, x), beta),
            Kind::LeakyRelu => s.select(negative, s.mul(alpha, x), x),
            Kind::ThresholdedRelu => s.select(s.lt(x, alpha), s.zero(), x),
            Kind::HardSigmoid => s.min(s.max(s.add(s.mul(alpha, x), beta), s.zero()), s.splat(1.0)),
            Kind::Softsign => s.div(x, s.add(s.splat(1.0), s.abs(x))),
            // Rare, and every vector function here is compiled many times over: one lane after the other.
            _ => {
                let mut lanes = [0f32; MAX_LANES];
                s.store(&mut lanes, x);
                self.each(&mut lanes[..S::LANES]);
                s.load(&lanes)
            }
        }
    }

    #[inline(never)]
    fn each(self, lanes: &mut [f32]) {
        for x in lanes.iter_mut() {
            *x = self.scalar(*x as f64) as f32;
        }
    }
}
