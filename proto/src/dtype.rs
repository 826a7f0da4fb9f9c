//! What each element type takes.

use crate::messages::DataType;

impl DataType {
    /// As ONNX spells it.
    pub fn name(self) -> &'static str {
        self.row().0
    }

    /// Bits per element in `raw_data` and external files; `None` for `UNDEFINED` and `STRING`.
    pub fn stored_bits(self) -> Option<usize> {
        match self.row().1 {
            0 => None,
            bits => Some(bits),
        }
    }

    /// Bytes per element in [`TensorData`](crate::TensorData), where types of less than a byte take one.
    pub fn size(self) -> Option<usize> {
        self.stored_bits().map(|bits| bits.div_ceil(8))
    }

    /// Whether elements of less than a byte are extended with their sign when unpacked.
    pub(crate) fn sign_extends(self) -> bool {
        matches!(self, Self::Int4 | Self::Int2)
    }

    fn row(self) -> (&'static str, usize) {
        match self {
            Self::Undefined => ("UNDEFINED", 0),
            Self::Float => ("FLOAT", 32),
            Self::Uint8 => ("UINT8", 8),
            Self::Int8 => ("INT8", 8),
            Self::Uint16 => ("UINT16", 16),
            Self::Int16 => ("INT16", 16),
            Self::Int32 => ("INT32", 32),
            Self::Int64 => ("INT64", 64),
            Self::String => ("STRING", 0),
            Self::Bool => ("BOOL", 8),
            Self::Float16 => ("FLOAT16", 16),
            Self::Double => ("DOUBLE", 64),
            Self::Uint32 => ("UINT32", 32),
            Self::Uint64 => ("UINT64", 64),
            Self::Complex64 => ("COMPLEX64", 64),
            Self::Complex128 => ("COMPLEX128", 128),
            Self::Bfloat16 => ("BFLOAT16", 16),
            Self::Float8e4m3fn => ("FLOAT8E4M3FN", 8),
            Self::Float8e4m3fnuz => ("FLOAT8E4M3FNUZ", 8),
            Self::Float8e5m2 => ("FLOAT8E5M2", 8),
            Self::Float8e5m2fnuz => ("FLOAT8E5M2FNUZ", 8),
            Self::Uint4 => ("UINT4", 4),
            Self::Int4 => ("INT4", 4),
            Self::Float4e2m1 => ("FLOAT4E2M1", 4),
            Self::Float8e8m0 => ("FLOAT8E8M0", 8),
            Self::Uint2 => ("UINT2", 2),
            Self::Int2 => ("INT2", 2),
            Self::Float6e2m3 => ("FLOAT6E2M3", 6),
            Self::Float6e3m2 => ("FLOAT6E3M2", 6),
        }
    }
}
