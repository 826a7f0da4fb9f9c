//! com.microsoft `MatMulNBits`: a product with a matrix of 2, 4 or 8 bits an element, in blocks with scales.
//!
//! The matrix stays packed, and its elements are made real in registers. At `accuracy_level` 4 the left operand is rounded to 8 bits before, block by
//! block, so that the result is what ONNX Runtime's integer products give.

use super::pairs::optional;
use crate::import::Parse;
use crate::ir::{DType, Fact, Tensor, ValueId};
use crate::lower::Lower;
use crate::ops::elementwise::binary::{Binary, BinaryFn};
use crate::ops::elementwise::cast;
use crate::ops::{Infer, OpError, Operator};
use crate::program::Arg;
use onnxc_runtime::kernels::nbits::{PADDING, scratch_len};
use serde::{Deserialize, Serialize};

/// The sizes of the packed matrix.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Packing {
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

    /// Whether the packed matrix and the scales have the sizes that these numbers ask for.
    fn fits(&self, packed: usize, scales: usize) -> bool {
        let blocks = self.k.div_ceil(self.block);
        let count = self.n.checked_mul(blocks);
        count == Some(scales) && count.and_then(|c| c.checked_mul(self.run())) == Some(packed)
    }

    /// The bytes of a block.
    fn run(&self) -> usize {
        self.block * self.bits / 8
    }

    /// Zero points one by one, from the form in which each row has bytes of its own.
    fn zeros(&self, packed: &[u8]) -> Option<Vec<f32>> {
        let blocks = self.k.div_ceil(self.block);
        let bytes = (blocks * self.bits).div_ceil(8);
        if packed.len() != self.n * bytes {
            return None;
        }
        Some(packed.chunks_exact(bytes).flat_map(|row| (0..blocks).map(|i| f32::from(self.element(row, i)))).collect())
    }
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
    let wrong = || OpError::invalid("the sizes of the packed matrix, its scales and zero points do not fit N, K and block_size");
    let (mut zeros, mut level) = (None, cx.int("accuracy_level", 0)?);
    if let Some(given) = cx.opt_input(3)? {
        let given = constant(cx, given)?;
        zeros = Some(match given.to_vec::<u8>() {
            Some(packed) => packing.zeros(&packed).ok_or_else(wrong)?,
            None => {
                // ONNX Runtime has integer products for integer zero points only.
                level = 0;
                reals(&given).ok_or_else(|| OpError::invalid("the zero points"))?
            }
        });
    }
    let (Some(mut bytes), Some(scales)) = (packed.to_vec::<u8>(), reals(&scales)) else {
        return Err(OpError::invalid("the packed matrix must be uint8 and the scales real"));
    };
    if !packing.fits(bytes.len(), scales.len()) || zeros.as_ref().is_some_and(|z| z.len() != scales.len()) {
        return Err(wrong());
    }
    bytes.extend([0; PADDING]);
    let dtype = cx.dtype(x)?;
    let x = cast::to(cx, x, DType::F32)?;
    // Nor has it those for two bits in the shortest blocks.
    let rounded = level == 4 && (packing.bits, packing.block) != (2, 16);
    let x = if rounded { cx.add(RoundedBlocks { block: packing.block }, &[x])? } else { x };
    let operands = [Tensor::vector(&bytes), Tensor::vector(&scales)].map(|t| Some(cx.constant(t)));
    let zeros = zeros.map(|z| cx.constant(Tensor::vector(&z)));
    let mut y = cx.add_n(MatMulBits(packing), &[Some(x), operands[0], operands[1], zeros])?[0];
    if let Some(bias) = cx.opt_input(5)? {
        let bias = cast::to(cx, bias, DType::F32)?;
        y = cx.add(Binary { f: BinaryFn::Add }, &[y, bias])?;
    }
    cast::to(cx, y, dtype).map(|v| vec![v])
}

/// `x · matrixᵀ`, f32. Inputs: x, the packed matrix and [`PADDING`] bytes, the scales and (optional) the zero points of its blocks, f32.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MatMulBits(Packing);

impl Operator for MatMulBits {
    fn infer(&mut self, cx: &mut Infer<'_>) -> Result<Vec<Fact>, OpError> {
        let mut shape = cx.shape(0)?;
        let (columns, depth) = (cx.int(self.0.n as i64), cx.int(self.0.k as i64));
        let last = shape.last_mut().ok_or_else(|| OpError::invalid("the left operand must not be a scalar"))?;
        cx.require_equal(*last, depth, "the last axis of the left operand and K");
        *last = columns;
        Ok(vec![Fact::tensor(DType::F32, shape)])
    }

    fn lower(&self, cx: &mut Lower<'_>) -> Result<(), OpError> {
        let Packing { n, k, bits, block } = self.0;
        let (x, packed, scales, zeros) = (cx.input(0)?, cx.input(1)?, cx.input(2)?, optional(cx, 3)?);
        let dims = cx.dims();
        let rows = dims.product(&x.shape[..x.shape.len().saturating_sub(1)]);
        let blocks = k.div_ceil(block);
        let size = |v: usize| Arg::Usize(dims.int(v as i64));
        // Of any number of rows, it is many that need most.
        let known = dims.value(rows).map_or(usize::MAX, |r| usize::try_from(r).unwrap_or(0));
        let scratch = cx.temp(DType::F32, &[dims.int(scratch_len(known, n, blocks * block) as i64)]);
        let out = cx.output(0)?;
        let args = vec![Arg::Cx, out.write(), scratch.write(), x.read(), packed.read(), scales.read(), zeros, Arg::Usize(rows)];
        let args = args.into_iter().chain([n, k, blocks, self.0.run(), bits].map(size)).collect();
        cx.call(crate::kernel!(nbits::product(_, _, _, _, _, _, _, _, _, _, _, _, _)), args)
    }
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
