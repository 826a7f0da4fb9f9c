//! What a product or a convolution does with its sums before they are stored: an activation, chosen by the fusion pass.

use crate::program::Arg;
use onnxc_runtime::kernels::gemm::ActivationKind;
use serde::{Deserialize, Serialize};

macro_rules! kinds {
    ($($name:ident)*) => {
        /// The function; see [`ActivationKind`] for its two parameters.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
        #[allow(missing_docs)] // Documented in the runtime.
        pub enum Kind {
            #[default]
            $($name,)*
        }
        impl Kind {
            fn variant(self) -> &'static str {
                match self {
                    $(Self::$name => stringify!($name),)*
                }
            }
        }
        crate::param_enum!(gemm::ActivationKind { $($name,)* });
        const _: fn(ActivationKind) = |kind| match kind { $(ActivationKind::$name => {})* };
    };
}
kinds! { None Relu Clip LeakyRelu Sigmoid HardSigmoid Tanh Silu HardSwish Gelu GeluTanh Elu Softplus Mish }

crate::param_struct!(gemm::Activation { kind, a, b });

/// An activation with its parameters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Epilogue {
    /// The function.
    pub kind: Kind,
    /// Its first parameter.
    pub a: f32,
    /// Its second parameter.
    pub b: f32,
}

impl Epilogue {
    /// An activation without parameters.
    pub fn of(kind: Kind) -> Self {
        let (a, b) = match kind {
            Kind::Silu => (1.0, 0.0),
            Kind::HardSwish => (1.0 / 6.0, 0.5),
            _ => (0.0, 0.0),
        };
        Self { kind, a, b }
    }

    /// Whether nothing is done.
    pub fn is_none(&self) -> bool {
        self.kind == Kind::None
    }

    /// As an argument.
    pub fn arg(&self) -> Arg {
        let kind = Arg::Variant("gemm::ActivationKind", self.kind.variant());
        Arg::Struct("gemm::Activation", vec![("kind", kind), ("a", Arg::F32(self.a)), ("b", Arg::F32(self.b))])
    }
}
