//! com.microsoft `MatMulNBits`: a product with a matrix of 2, 4 or 8 bits an element, in blocks with scales.
//!
//! The matrix is made real when compiling, which costs the memory of an f32 matrix, and the product is the f32 one. At `accuracy_level` 4 the left
//! operand is rounded to 8 bits before it, block by block, so that the result is what ONNX Runtime's integer products give.

use crate::import::Parse;
use crate::ir::{DType, Fact, Tensor, ValueId};
use crate::lower::Lower;
use crate::ops::elementwise::binary::{Binary, BinaryFn};
use crate::ops::elementwise::cast;
use crate::ops::linear::matmul::MatMul;
use crate::ops::{Infer, OpError, Operator};
use crate::program::Arg;
use serde::{Deserialize, Serialize};

/// The sizes of the packed matrix.
struct Packing {
    /// Rows: columns of the product.
    n: usize,
    /// Elements of a row.
    k: usize,
    bits: usize,
    /// Elements that share a scale.
    block: usize,
}

impl Packing {
    fn of(cx: &Parse<'_>) -> Result<Self, OpError> {
        let size = |name: &str, default: i64| -> Result<usize, OpError> {
            let given = cx.int(name, default)?;
            usize::try_from(given)
                .ok()
                .filter(|v| (1..1 << 31).contains(v))
                .ok_or_else(|| OpError::invalid(format!("the attribute `{name}` is {given}")))
        };
        let packing = Self { n: size("N", 0)?, k: size("K", 0)?, bits: size("bits", 4)?, block: size("block_size", 0)? };
        if !matches!(packing.bits, 2 | 4 | 8) {
            return Err(OpError::unsupported(format!("{} bits an element", packing.bits)));
        }
        if !packing.block.is_power_of_two() || packing.block < 16 {
            return Err(OpError::invalid(format!("block_size is {}, it must be a power of two from 16 on", packing.block)));
        }
        Ok(packing)
    }

    /// Number `i` of a row of bytes: the low bits come first.
    fn element(&self, row: &[u8], i: usize) -> u8 {
        let each = 8 / self.bits;
        let mask = ((1u16 << self.bits) - 1) as u8;
        row.get(i / each).map_or(0, |byte| (byte >> (i % each * self.bits)) & mask)
    }

    /// The matrix, n × k.
    fn real(&self, packed: &[u8], scales: &[f32], zeros: Option<&Zeros>) -> Option<Vec<f32>> {
        let blocks = self.k.div_ceil(self.block);
        let bytes = blocks * self.block * self.bits / 8;
        let zero_bytes = (blocks * self.bits).div_ceil(8);
        let zeros_fit = match zeros {
            None => true,
            Some(Zeros::Packed(z)) => z.len() == self.n * zero_bytes,
            Some(Zeros::Real(z)) => z.len() == self.n * blocks,
        };
        if packed.len() != self.n * bytes || scales.len() != self.n * blocks || !zeros_fit {
            return None;
        }
        let middle = (1u16 << (self.bits - 1)) as f32;
        let mut matrix = Vec::with_capacity(self.n * self.k);
        for (j, row) in packed.chunks_exact(bytes).enumerate() {
            for i in 0..self.k {
                let block = i / self.block;
                let zero = match zeros {
                    None => middle,
                    Some(Zeros::Packed(z)) => f32::from(self.element(&z[j * zero_bytes..(j + 1) * zero_bytes], block)),
                    Some(Zeros::Real(z)) => z[j * blocks + block],
                };
                matrix.push((f32::from(self.element(row, i)) - zero) * scales[j * blocks + block]);
            }
        }
        Some(matrix)
    }
}

/// Zero points: packed as the matrix is, each row in bytes of its own, or real numbers.
enum Zeros {
    Packed(Vec<u8>),
    Real(Vec<f32>),
}

fn reals(t: &Tensor) -> Option<Vec<f32>> {
    t.to_f64s().map(|v| v.into_iter().map(|x| x as f32).collect())
}

/// com.microsoft `MatMulNBits`: inputs A, the packed matrix, scales, zero points (optional), an order of the columns (not supported), a bias.
pub fn parse(cx: &mut Parse<'_>) -> Result<Vec<ValueId>, OpError> {
    let packing = Packing::of(cx)?;
    if cx.opt_input(4)?.is_some() {
        return Err(OpError::unsupported("g_idx"));
    }
    let (x, packed, scales) = (cx.input(0)?, cx.input(1)?, cx.input(2)?);
    let constant = |cx: &mut Parse<'_>, value: ValueId| {
        cx.constant_of(value).ok_or_else(|| OpError::unsupported("a packed matrix that is only known when the model runs"))
    };
    let (packed, scales) = (constant(cx, packed)?, constant(cx, scales)?);
    let zeros = match cx.opt_input(3)? {
        None => None,
        Some(zeros) => {
            let zeros = constant(cx, zeros)?;
            Some(match zeros.to_vec::<u8>() {
                Some(packed) => Zeros::Packed(packed),
                None => Zeros::Real(reals(&zeros).ok_or_else(|| OpError::invalid("the zero points"))?),
            })
        }
    };
    let (Some(bytes), Some(scales)) = (packed.to_vec::<u8>(), reals(&scales)) else {
        return Err(OpError::invalid("the packed matrix must be uint8 and the scales real"));
    };
    let matrix = packing.real(&bytes, &scales, zeros.as_ref());
    let matrix = matrix.and_then(|m| Tensor::new(&[packing.n, packing.k], &m));
    let matrix = matrix
        .ok_or_else(|| OpError::invalid("the sizes of the packed matrix, its scales and zero points do not fit N, K and block_size"))?;
    let dtype = cx.dtype(x)?;
    let (x, matrix) = (cast::to(cx, x, DType::F32)?, cx.constant(matrix));
    let level = cx.int("accuracy_level", 0)?;
    let x = if level == 4 { cx.add(RoundedBlocks { block: packing.block }, &[x])? } else { x };
    let mut y = cx.add(MatMul { transpose_b: true, ..MatMul::default() }, &[x, matrix])?;
    if let Some(bias) = cx.opt_input(5)? {
        let bias = cast::to(cx, bias, DType::F32)?;
        y = cx.add(Binary { f: BinaryFn::Add }, &[y, bias])?;
    }
    cast::to(cx, y, dtype).map(|v| vec![v])
}

/// Each run of `block` elements along the last axis rounded to multiples of a 127th of its greatest magnitude. f32.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RoundedBlocks {
    block: usize,
}

impl Operator for RoundedBlocks {
    fn infer(&mut self, cx: &mut Infer<'_>) -> Result<Vec<Fact>, OpError> {
        Ok(vec![Fact::tensor(DType::F32, cx.shape(0)?)])
    }

    fn lower(&self, cx: &mut Lower<'_>) -> Result<(), OpError> {
        let x = cx.input(0)?;
        let out = cx.output(0)?;
        let row = x.shape.last().copied().unwrap_or_else(|| cx.int(1));
        let block = cx.int(self.block as i64);
        let args = vec![out.write(), x.read(), Arg::Usize(row), Arg::Usize(block)];
        cx.call(crate::kernel!(quantize::round_blocks(_, _, _, _)), args)
    }
}
