//! QuantizeLinear, DequantizeLinear and DynamicQuantizeLinear.

use crate::cx::Cx;
use crate::element::{DType, Element, I2, I4, U2, U4};
use crate::error::Fault;
use crate::float::{BF16, F4E2M1, F8E4M3FN, F8E4M3FNUZ, F8E5M2, F8E5M2FNUZ, F16};
use crate::simd::{Simd, WithSimd, dispatch};

/// A type that real numbers are quantised to: y = saturate(round(v) + zero), ties to even.
pub trait Quantized: Element {
    /// The nearest representable value of `v + zero`. `saturate` matters to 8-bit floats only.
    fn quantize(v: f32, zero: Self, saturate: bool) -> Self;
    /// `self - zero` as f32.
    fn minus(self, zero: Self) -> f32;
}

/// Rounds |v| below 2^22 to an integer, ties to even: adding 1.5 * 2^23 leaves the integer in the low bits.
#[inline(always)]
fn round_small(v: f32) -> i32 {
    const SHIFT: f32 = 12_582_912.0;
    (v + SHIFT).to_bits() as i32 - SHIFT.to_bits() as i32
}

/// `v` held between two bounds; NaN becomes the lower one.
#[inline(always)]
fn clamp(v: f32, low: f32, high: f32) -> f32 {
    let v = if v > low { v } else { low };
    if v < high { v } else { high }
}

macro_rules! quantized_ints {
    ($($ty:ident $make:expr, $get:expr;)*) => {$(
        impl Quantized for $ty {
            #[inline(always)]
            fn quantize(v: f32, zero: Self, _: bool) -> Self {
                let zero: i32 = $get(zero) as i32;
                let (low, high) = ($ty::MIN as i32 - zero, $ty::MAX as i32 - zero);
                $make((round_small(clamp(v, low as f32, high as f32)) + zero) as _)
            }
            #[inline(always)]
            fn minus(self, zero: Self) -> f32 {
                ($get(self) as i32 - $get(zero) as i32) as f32
            }
        }
    )*};
}
quantized_ints! {
    i8 |v: i32| v as i8, |v: i8| v;
    u8 |v: i32| v as u8, |v: u8| v;
    i16 |v: i32| v as i16, |v: i16| v;
    u16 |v: i32| v as u16, |v: u16| v;
    I4 I4, |v: I4| v.0;
    U4 U4, |v: U4| v.0;
    I2 I2, |v: I2| v.0;
    U2 U2, |v: U2| v.0;
}

impl Quantized for i32 {
    fn quantize(v: f32, zero: Self, _: bool) -> Self {
        // Only DequantizeLinear has int32; kept total all the same.
        super::fmath::round(v as f64 + zero as f64) as Self
    }
    #[inline(always)]
    fn minus(self, zero: Self) -> f32 {
        (self as i64 - zero as i64) as f32
    }
}

macro_rules! quantized_floats {
    ($($ty:ident $make:expr;)*) => {$(
        impl Quantized for $ty {
            fn quantize(v: f32, zero: Self, saturate: bool) -> Self {
                $make(v + zero.to_f32(), saturate)
            }
            fn minus(self, zero: Self) -> f32 {
                self.to_f32() - zero.to_f32()
            }
        }
    )*};
}
quantized_floats! {
    F8E4M3FN F8E4M3FN::from_f32_as;
    F8E4M3FNUZ F8E4M3FNUZ::from_f32_as;
    F8E5M2 F8E5M2::from_f32_as;
    F8E5M2FNUZ F8E5M2FNUZ::from_f32_as;
    F4E2M1 |v, _| F4E2M1::from_f32(v);
}

/// Which elements share a scale and a zero point.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Granularity {
    /// All of them: one scale.
    Tensor,
    /// Those of the same position of the axis: as many scales as the axis is long.
    Axis,
    /// Runs of `block` along the axis: scales of shape `outer, ceil(axis / block), inner`.
    Block,
}

/// The geometry of a quantised tensor `outer, axis, inner`.
#[derive(Clone, Copy)]
struct Geometry {
    outer: usize,
    axis: usize,
    inner: usize,
    granularity: Granularity,
    block: usize,
}

impl Geometry {
    fn scales(&self) -> usize {
        match self.granularity {
            Granularity::Tensor => 1,
            Granularity::Axis => self.axis,
            Granularity::Block => self.outer * self.axis.div_ceil(self.block.max(1)) * self.inner,
        }
    }

    fn check(&self, elements: [usize; 2], scales: usize, zeros: Option<usize>) -> Result<(), Fault> {
        let len = self.outer * self.axis * self.inner;
        let block = self.granularity != Granularity::Block || self.block > 0;
        let fits = elements == [len; 2] && scales == self.scales() && zeros.is_none_or(|z| z == scales) && block;
        if fits { Ok(()) } else { Err(Fault::Internal { what: "quantisation: lengths" }) }
    }

    /// Calls `f(first, len, scale, step)` for runs of elements whose scales start at `scale` and advance by `step` (0 or 1).
    #[inline(always)]
    fn runs(&self, mut f: impl FnMut(usize, usize, usize, usize)) {
        let &Self { outer, axis, inner, granularity, block } = self;
        match granularity {
            Granularity::Tensor => f(0, outer * axis * inner, 0, 0),
            Granularity::Axis if inner == 1 => (0..outer).for_each(|o| f(o * axis, axis, 0, 1)),
            Granularity::Axis => (0..outer * axis).for_each(|line| f(line * inner, inner, line % axis, 0)),
            Granularity::Block if inner == 1 => {
                let blocks = axis.div_ceil(block);
                for (o, b) in (0..outer).flat_map(|o| (0..blocks).map(move |b| (o, b))) {
                    f(o * axis + b * block, block.min(axis - b * block), o * blocks + b, 0);
                }
            }
            Granularity::Block => {
                let blocks = axis.div_ceil(block);
                for line in 0..outer * axis {
                    f(line * inner, inner, (line / axis * blocks + line % axis / block) * inner, 1);
                }
            }
        }
    }
}

/// A run of elements with one scale and one zero point, to be quantised.
struct Run<'a, T> {
    out: &'a mut [T],
    x: &'a [f32],
    scale: f32,
    zero: T,
    saturate: bool,
}

impl<T: Quantized> WithSimd for Run<'_, T> {
    type Output = ();
    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        for (y, v) in self.out.iter_mut().zip(self.x) {
            *y = T::quantize(v / self.scale, self.zero, self.saturate);
        }
    }
}

/// The same to be made real numbers again.
struct BackRun<'a, T> {
    out: &'a mut [f32],
    x: &'a [T],
    scale: f32,
    zero: T,
}

impl<T: Quantized> WithSimd for BackRun<'_, T> {
    type Output = ();
    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        for (y, v) in self.out.iter_mut().zip(self.x) {
            *y = v.minus(self.zero) * self.scale;
        }
    }
}

/// QuantizeLinear over `outer, axis, inner`: out = saturate(round(x / scale) + zero). `x` and `scale` come widened to f32.
///
/// `precision` is the type that the quotient is rounded to (f16 or bf16; anything else means f32). `block` is used with `Granularity::Block`.
pub fn quantize_linear<T: Quantized>(
    cx: Cx,
    out: &mut [T],
    x: &[f32],
    scale: &[f32],
    zero: Option<&[T]>,
    outer: usize,
    axis: usize,
    inner: usize,
    granularity: Granularity,
    block: usize,
    saturate: bool,
    precision: DType,
) -> Result<(), Fault> {
    let geometry = Geometry { outer, axis, inner, granularity, block };
    geometry.check([x.len(), out.len()], scale.len(), zero.map(<[T]>::len))?;
    geometry.runs(|first, len, s, step| {
        let (out, x) = (&mut out[first..first + len], &x[first..first + len]);
        let zero_at = |i: usize| zero.map_or(T::default(), |z| z[i]);
        if step == 0 && !matches!(precision, DType::F16 | DType::BF16) {
            return dispatch(cx, Run { out, x, scale: scale[s], zero: zero_at(s), saturate });
        }
        for (i, (y, v)) in out.iter_mut().zip(x).enumerate() {
            let quotient = v / scale[s + i * step];
            let quotient = match precision {
                DType::F16 => F16::from_f32(quotient).to_f32(),
                DType::BF16 => BF16::from_f32(quotient).to_f32(),
                _ => quotient,
            };
            *y = T::quantize(quotient, zero_at(s + i * step), saturate);
        }
    });
    Ok(())
}

/// DequantizeLinear over `outer, axis, inner`: out = (x - zero) * scale, in f32 (the compiler narrows after, if need be).
pub fn dequantize_linear<T: Quantized>(
    cx: Cx,
    out: &mut [f32],
    x: &[T],
    scale: &[f32],
    zero: Option<&[T]>,
    outer: usize,
    axis: usize,
    inner: usize,
    granularity: Granularity,
    block: usize,
) -> Result<(), Fault> {
    let geometry = Geometry { outer, axis, inner, granularity, block };
    geometry.check([x.len(), out.len()], scale.len(), zero.map(<[T]>::len))?;
    geometry.runs(|first, len, s, step| {
        let (out, x) = (&mut out[first..first + len], &x[first..first + len]);
        let zero_at = |i: usize| zero.map_or(T::default(), |z| z[i]);
        if step == 0 {
            return dispatch(cx, BackRun { out, x, scale: scale[s], zero: zero_at(s) });
        }
        for (i, (y, v)) in out.iter_mut().zip(x).enumerate() {
            *y = v.minus(zero_at(s + i)) * scale[s + i];
        }
    });
    Ok(())
}

/// DynamicQuantizeLinear to u8: the scale and the zero point that cover the data and 0, and the quantised data.
pub fn dynamic_quantize_linear(cx: Cx, out: &mut [u8], scale: &mut [f32], zero: &mut [u8], x: &[f32]) -> Result<(), Fault> {
    let ([scale], [zero], true) = (scale, zero, out.len() == x.len()) else {
        return Err(Fault::Internal { what: "dynamic quantisation: lengths" });
    };
    let (low, high) = dispatch(cx, Range(x));
    *scale = if high == low { 1.0 } else { high - low } / 255.0;
    *zero = u8::quantize(-low / *scale, 0, true);
    dispatch(cx, Run { out, x, scale: *scale, zero: *zero, saturate: true });
    Ok(())
}

/// The least and the greatest of the numbers and 0; NaN does not count.
struct Range<'a>(&'a [f32]);

impl WithSimd for Range<'_> {
    type Output = (f32, f32);
    #[inline(always)]
    fn with_simd<S: Simd>(self, s: S) -> (f32, f32) {
        let (mut low, mut high) = (s.zero(), s.zero());
        let vectors = self.0.chunks_exact(S::LANES);
        let tail = s.load_head(vectors.remainder());
        for x in vectors {
            let x = s.load(x);
            (low, high) = (s.min(x, low), s.max(x, high));
        }
        // The lanes after the tail are 0, which counts anyway.
        (s.reduce_min(s.min(tail, low)), s.reduce_max(s.max(tail, high)))
    }
}

/// Each run of `block` elements of a row (the last of a row may be shorter) rounded to 8 bits: multiples of a 127th of its greatest magnitude.
pub fn round_blocks(out: &mut [f32], x: &[f32], row: usize, block: usize) -> Result<(), Fault> {
    if out.len() != x.len() || block == 0 {
        return Err(Fault::Internal { what: "rounding of blocks: lengths" });
    }
    for (out, x) in out.chunks_mut(row.max(1)).zip(x.chunks(row.max(1))) {
        for (out, x) in out.chunks_mut(block).zip(x.chunks(block)) {
            let peak = x.iter().fold(0f32, |m, v| m.max(v.abs()));
            let (step, steps) = if peak > 0.0 { (peak / 127.0, 127.0 / peak) } else { (0.0, 0.0) };
            out.iter_mut().zip(x).for_each(|(y, v)| *y = f32::from(i8::quantize(v * steps, 0, true)) * step);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    const CX: Cx = Cx::REFERENCE;

    #[test]
    fn rounds_to_even_and_saturates() {
        let x = [0.0, 1.0, 3.0, 5.0, -1000.0, 1000.0, 2.99, -3.0];
        let mut y = [0u8; 8];
        quantize_linear(CX, &mut y, &x, &[2.0], Some(&[128]), 1, 8, 1, Granularity::Tensor, 0, true, DType::F32).unwrap();
        assert_eq!(y, [128, 128, 130, 130, 0, 255, 129, 126]);
        let mut y = [I4(0); 8];
        quantize_linear(CX, &mut y, &x, &[2.0], None, 8, 1, 1, Granularity::Tensor, 0, true, DType::F32).unwrap();
        assert_eq!(y.map(|v| v.0), [0, 0, 2, 2, -8, 7, 1, -2]);
        let mut y = [F8E4M3FN(0); 2];
        quantize_linear(CX, &mut y, &[3.3, 1e6], &[1.0], None, 1, 2, 1, Granularity::Tensor, 0, false, DType::F32).unwrap();
        assert_eq!(y[0].to_f32(), 3.25);
        assert!(y[1].to_f32().is_nan());
        // 1025.5 is 1024 in bfloat16, whose neighbours there are 8 apart.
        let mut y = [0i16; 1];
        quantize_linear(CX, &mut y, &[2051.0], &[2.0], None, 1, 1, 1, Granularity::Tensor, 0, true, DType::BF16).unwrap();
        assert_eq!(y, [1024]);
    }

    #[test]
    fn scales_by_axis_and_block() {
        let x: [i8; 12] = core::array::from_fn(|i| i as i8);
        let mut y = [0f32; 12];
        dequantize_linear(CX, &mut y, &x, &[1.0, 10.0, 100.0], Some(&[0, 1, 2]), 2, 3, 2, Granularity::Axis, 0).unwrap();
        assert_eq!(y, [0.0, 1.0, 10.0, 20.0, 200.0, 300.0, 6.0, 7.0, 70.0, 80.0, 800.0, 900.0]);
        dequantize_linear(CX, &mut y, &x, &[1.0, 10.0, 100.0], None, 4, 3, 1, Granularity::Axis, 0).unwrap();
        assert_eq!(y[3..7], [3.0, 40.0, 500.0, 6.0]);
        // Blocks of two along an axis of three: the last is short.
        dequantize_linear(CX, &mut y, &x, &[1.0, 10.0, 2.0, 20.0, 3.0, 30.0, 4.0, 40.0], None, 2, 3, 2, Granularity::Block, 2).unwrap();
        assert_eq!(y, [0.0, 10.0, 2.0, 30.0, 8.0, 100.0, 18.0, 210.0, 24.0, 270.0, 40.0, 440.0]);
        dequantize_linear(CX, &mut y, &x, &[1.0, 2.0, 3.0, 4.0], None, 2, 6, 1, Granularity::Block, 4).unwrap();
        assert_eq!(y, [0.0, 1.0, 2.0, 3.0, 8.0, 10.0, 18.0, 21.0, 24.0, 27.0, 40.0, 44.0]);
        let bad = dequantize_linear(CX, &mut y, &x, &[1.0, 2.0], None, 2, 6, 1, Granularity::Block, 4);
        assert!(bad.is_err());
    }

    #[test]
    fn scales_from_the_data() {
        let (mut y, mut scale, mut zero) = ([0u8; 3], [0f32], [0u8]);
        dynamic_quantize_linear(CX, &mut y, &mut scale, &mut zero, &[-1.0, 0.0, 1.55]).unwrap();
        assert_eq!((y, scale, zero), ([0, 100, 255], [2.55 / 255.0], [100]));
        dynamic_quantize_linear(CX, &mut y, &mut scale, &mut zero, &[0.0; 3]).unwrap();
        assert_eq!((y, scale, zero), ([0; 3], [1.0 / 255.0], [0]));
    }

    #[test]
    fn blocks_are_rounded_by_themselves() {
        let mut out = [9.0; 6];
        round_blocks(&mut out, &[127.0, 0.6, 1.27, -0.011, 0.0, 3.0], 3, 2).unwrap();
        assert_eq!(out[..2], [127.0, 1.0]);
        assert!((out[2] - 1.27).abs() < 1e-6 && (out[3] + 0.011).abs() < 1e-8 && out[4] == 0.0 && (out[5] - 3.0).abs() < 1e-6, "{out:?}");
    }
}
