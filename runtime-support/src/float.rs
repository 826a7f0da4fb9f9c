//! The narrow floating-point types: IEEE half, bfloat16, the four 8-bit kinds, the 8-bit exponent and the 4-bit float of the OCP MX format.
//!
//! All convert from and to f32 exactly as ONNX's Cast says: round to nearest, ties to even; saturating or not for the 8-bit kinds.

macro_rules! newtypes {
    ($($(#[$doc:meta])* $name:ident($store:ident);)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Default)]
        #[repr(transparent)]
        pub struct $name(pub $store);
        impl PartialEq for $name {
            fn eq(&self, other: &Self) -> bool {
                self.to_f32() == other.to_f32()
            }
        }
        impl PartialOrd for $name {
            fn partial_cmp(&self, other: &Self) -> Option<core::cmp::Ordering> {
                self.to_f32().partial_cmp(&other.to_f32())
            }
        }
        impl core::fmt::Debug for $name {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                self.to_f32().fmt(f)
            }
        }
        impl From<$name> for f32 {
            #[inline(always)]
            fn from(x: $name) -> Self {
                x.to_f32()
            }
        }
    )*};
}
newtypes! {
    /// IEEE 754 binary16.
    F16(u16);
    /// bfloat16: the upper half of an f32.
    BF16(u16);
    /// 4 exponent bits, 3 of mantissa, no infinities, NaN is S.1111.111.
    F8E4M3FN(u8);
    /// 4 exponent bits (bias 8), 3 of mantissa, no infinities, no negative zero, NaN is 0x80.
    F8E4M3FNUZ(u8);
    /// 5 exponent bits, 2 of mantissa, with infinities and NaN as IEEE.
    F8E5M2(u8);
    /// 5 exponent bits (bias 16), 2 of mantissa, no infinities, no negative zero, NaN is 0x80.
    F8E5M2FNUZ(u8);
    /// A power of two, 2^(x - 127); NaN is 0xFF (OCP MX scale).
    F8E8M0(u8);
    /// 2 exponent bits, 1 of mantissa, no infinities, no NaN (OCP MX FP4); the low four bits of a byte.
    F4E2M1(u8);
}

impl F16 {
    /// The value as f32, exact.
    #[inline]
    pub fn to_f32(self) -> f32 {
        let (sign, rest) = (((self.0 & 0x8000) as u32) << 16, (self.0 & 0x7fff) as u32);
        let bits = match rest {
            0x7c00.. => (rest << 13) | 0x7f80_0000,
            0x0400.. => (rest << 13) + ((127 - 15) << 23),
            // Subnormal: rest * 2^-24, exact in f32.
            _ => (rest as f32 * f32::from_bits(0x3380_0000)).to_bits(),
        };
        f32::from_bits(sign | bits)
    }

    /// The nearest half, ties to even; too large becomes infinite.
    #[inline]
    pub fn from_f32(x: f32) -> Self {
        let bits = x.to_bits();
        let (sign, abs) = (((bits >> 16) & 0x8000) as u16, bits & 0x7fff_ffff);
        let rest = if abs > 0x7f80_0000 {
            0x7e00
        } else if abs >= 0x477f_f000 {
            0x7c00
        } else if abs >= 0x3880_0000 {
            let odd = (abs >> 13) & 1;
            ((abs - ((127 - 15) << 23) + 0xfff + odd) >> 13) as u16
        } else {
            // Subnormal: adding 0.5 puts the unit of the half's last place at the f32's, and rounds as the hardware does.
            ((f32::from_bits(abs) + 0.5).to_bits() - 0.5f32.to_bits()) as u16
        };
        Self(sign | rest)
    }

    /// The nearest half of an f64 (rounded once).
    #[inline]
    pub fn from_f64(x: f64) -> Self {
        Self::from_f32(round_to_odd(x))
    }
}

impl BF16 {
    /// The value as f32, exact.
    #[inline(always)]
    pub fn to_f32(self) -> f32 {
        f32::from_bits((self.0 as u32) << 16)
    }

    /// The nearest bfloat16, ties to even.
    #[inline(always)]
    pub fn from_f32(x: f32) -> Self {
        let bits = x.to_bits();
        if x.is_nan() {
            return Self((bits >> 16) as u16 | 0x40);
        }
        let odd = (bits >> 16) & 1;
        Self(((bits + 0x7fff + odd) >> 16) as u16)
    }

    /// The nearest bfloat16 of an f64 (rounded once).
    #[inline]
    pub fn from_f64(x: f64) -> Self {
        Self::from_f32(round_to_odd(x))
    }
}

/// f64 to f32, rounding to odd, so that a second rounding to a narrower type gives what one rounding would (Boldo and Melquiond, 2008).
pub(crate) fn round_to_odd(x: f64) -> f32 {
    let near = x as f32;
    if near as f64 == x || x.is_nan() || near.to_bits() & 1 == 1 {
        return near;
    }
    // Inexact and even: the other neighbour is odd.
    let bits = near.to_bits();
    let up = ((near as f64) < x) == (x > 0.0);
    f32::from_bits(if up { bits + 1 } else { bits - 1 })
}

/// The shape of an 8-bit float.
struct Layout {
    mantissa: u32,
    bias: i32,
    /// The largest finite pattern without sign.
    max: u8,
    /// The pattern (with sign bit clear) of infinity, if there is one.
    infinity: Option<u8>,
    nan: u8,
    /// Whether the sign bit alone is NaN, so that there is no negative zero and NaN has no sign.
    unsigned_zero: bool,
}

const E4M3FN: Layout = Layout { mantissa: 3, bias: 7, max: 0x7e, infinity: None, nan: 0x7f, unsigned_zero: false };
const E4M3FNUZ: Layout = Layout { mantissa: 3, bias: 8, max: 0x7f, infinity: None, nan: 0x80, unsigned_zero: true };
const E5M2: Layout = Layout { mantissa: 2, bias: 15, max: 0x7b, infinity: Some(0x7c), nan: 0x7f, unsigned_zero: false };
const E5M2FNUZ: Layout = Layout { mantissa: 2, bias: 16, max: 0x7f, infinity: None, nan: 0x80, unsigned_zero: true };

impl Layout {
    fn decode(&self, x: u8) -> f32 {
        let (negative, rest) = (x & 0x80 != 0, x & 0x7f);
        if self.unsigned_zero && x == 0x80 {
            return f32::NAN;
        }
        let magnitude = if self.infinity == Some(rest) {
            f32::INFINITY
        } else if rest > self.max {
            f32::NAN
        } else {
            let (exponent, mantissa) = ((rest >> self.mantissa) as i32, (rest & ((1 << self.mantissa) - 1)) as u32);
            let (significand, scale) = if exponent == 0 { (mantissa, 1) } else { (mantissa | (1 << self.mantissa), exponent) };
            significand as f32 * pow2(scale - self.bias - self.mantissa as i32)
        };
        if negative { -magnitude } else { magnitude }
    }

    fn encode(&self, x: f32, saturate: bool) -> u8 {
        let sign = ((x.to_bits() >> 24) & 0x80) as u8;
        if x.is_nan() {
            return if self.unsigned_zero { self.nan } else { sign | self.nan };
        }
        let overflow = if saturate {
            sign | self.max
        } else {
            self.infinity.map_or(if self.unsigned_zero { self.nan } else { sign | self.nan }, |i| sign | i)
        };
        let magnitude = f32::from_bits(x.to_bits() & 0x7fff_ffff);
        if magnitude.is_infinite() {
            return overflow;
        }
        let rest = self.round(magnitude);
        match rest {
            None => overflow,
            Some(0) if self.unsigned_zero => 0,
            Some(rest) => sign | rest,
        }
    }

    /// The nearest pattern of a finite magnitude, ties to even; `None` above the largest finite one.
    fn round(&self, magnitude: f32) -> Option<u8> {
        let exponent = ((magnitude.to_bits() >> 23) as i32 - 127).max(1 - self.bias);
        // In units of the last place: exact, because it only moves the exponent.
        let scaled = magnitude as f64 / pow2(exponent - self.mantissa as i32) as f64;
        let floor = scaled as u32;
        let rest = scaled - floor as f64;
        let units = floor + u32::from(rest > 0.5 || (rest == 0.5 && floor & 1 == 1));
        // A carry out of the significand moves to the next exponent by itself.
        let field = (exponent + self.bias) as u32;
        let pattern = if units < (1 << self.mantissa) { units } else { (field << self.mantissa) + units - (1 << self.mantissa) };
        (pattern <= self.max as u32).then_some(pattern as u8)
    }
}

/// 2^e for any e that an f32 can hold, subnormals too.
fn pow2(e: i32) -> f32 {
    if e >= -126 { f32::from_bits(((e + 127) as u32) << 23) } else { f32::from_bits(1 << (e + 149).max(0)) }
}

macro_rules! eight_bits {
    ($($name:ident = $layout:ident;)*) => {$(
        impl $name {
            /// The value as f32, exact.
            pub fn to_f32(self) -> f32 {
                $layout.decode(self.0)
            }
            /// The nearest value, ties to even; what is too large becomes the largest value if `saturate`, else infinite or NaN.
            pub fn from_f32_as(x: f32, saturate: bool) -> Self {
                Self($layout.encode(x, saturate))
            }
            /// The nearest value, saturating.
            pub fn from_f32(x: f32) -> Self {
                Self::from_f32_as(x, true)
            }
        }
    )*};
}
eight_bits! { F8E4M3FN = E4M3FN; F8E4M3FNUZ = E4M3FNUZ; F8E5M2 = E5M2; F8E5M2FNUZ = E5M2FNUZ; }

impl F8E8M0 {
    /// The value as f32, exact (2^-127 is subnormal).
    pub fn to_f32(self) -> f32 {
        if self.0 == 0xff { f32::NAN } else { pow2(self.0 as i32 - 127) }
    }

    /// The power of two by ONNX's round modes: away from zero (`up`), towards zero (`down`) or `nearest` (ties up).
    pub fn from_f32_as(x: f32, saturate: bool, mode: Round) -> Self {
        let bits = x.to_bits() & 0x7fff_ffff;
        if x.is_nan() {
            return Self(0xff);
        }
        if x.is_infinite() {
            return Self(if saturate { 0xfe } else { 0xff });
        }
        let (exponent, mantissa) = ((bits >> 23) as u8, bits & 0x7f_ffff);
        let up = match mode {
            Round::Down => false,
            // A subnormal above 2^-127 rounds up to 2^-126.
            Round::Up => mantissa != 0 && (exponent > 0 || mantissa > 0x40_0000),
            Round::Nearest => mantissa >= 0x40_0000 && (exponent > 0 || mantissa > 0x40_0000),
        };
        match (exponent, up) {
            (0xfe, true) => Self(if saturate { 0xfe } else { 0xff }),
            (e, up) => Self(e + u8::from(up)),
        }
    }

    /// Rounded up, saturating: what Cast does by default.
    pub fn from_f32(x: f32) -> Self {
        Self::from_f32_as(x, true, Round::Up)
    }
}

/// How a cast to [`F8E8M0`] rounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Round {
    /// Away from zero.
    Up,
    /// Towards zero.
    Down,
    /// To the nearest power of two, ties up.
    Nearest,
}

impl F4E2M1 {
    const VALUES: [f32; 8] = [0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0];

    /// The value as f32, exact.
    pub fn to_f32(self) -> f32 {
        let magnitude = Self::VALUES[(self.0 & 7) as usize];
        if self.0 & 8 != 0 { -magnitude } else { magnitude }
    }

    /// The nearest value, ties to even, saturating at ±6; NaN, which the type lacks, becomes negative zero (as the standard's reference has it).
    pub fn from_f32(x: f32) -> Self {
        // Midpoints between neighbours; an even pattern wins a tie.
        const MIDDLE: [f32; 7] = [0.25, 0.75, 1.25, 1.75, 2.5, 3.5, 5.0];
        let (sign, magnitude) = (((x.to_bits() >> 28) & 8) as u8, f32::from_bits(x.to_bits() & 0x7fff_ffff));
        let below = |(i, m): (usize, &f32)| magnitude > *m || (magnitude == *m && i % 2 == 1);
        if x.is_nan() {
            return Self(8);
        }
        let rest = MIDDLE.iter().enumerate().filter(|&p| below(p)).count() as u8;
        Self(sign | rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_round_trip() {
        for bits in 0..=u16::MAX {
            let (half, brain) = (F16(bits), BF16(bits));
            if !half.to_f32().is_nan() {
                assert_eq!(F16::from_f32(half.to_f32()).0, bits);
            }
            if !brain.to_f32().is_nan() {
                assert_eq!(BF16::from_f32(brain.to_f32()).0, bits);
            }
        }
        assert!(F16::from_f32(f32::NAN).to_f32().is_nan());
        assert_eq!(F16::from_f32(65519.9).to_f32(), 65504.0);
        assert_eq!(F16::from_f32(65520.0).to_f32(), f32::INFINITY);
        assert_eq!(F16::from_f64(1.0 + 2f64.powi(-11) + 2f64.powi(-40)).to_f32(), 1.0 + 2f32.powi(-10));
    }

    #[test]
    fn eight_bit_floats_round_trip() {
        for bits in 0..=u8::MAX {
            macro_rules! check {
                ($($t:ident)*) => {$(
                    let x = $t(bits).to_f32();
                    if !x.is_nan() {
                        assert_eq!($t::from_f32_as(x, false).0, bits, "{} {x}", stringify!($t));
                    }
                )*};
            }
            check!(F8E4M3FN F8E4M3FNUZ F8E5M2 F8E5M2FNUZ);
            if bits != 0xff {
                assert_eq!(F8E8M0::from_f32(F8E8M0(bits).to_f32()).0, bits);
            }
        }
        for bits in 0..16 {
            assert_eq!(F4E2M1::from_f32(F4E2M1(bits).to_f32()).0, bits);
        }
        assert_eq!(F8E4M3FN::from_f32(1e9).to_f32(), 448.0);
        assert!(F8E4M3FN::from_f32_as(1e9, false).to_f32().is_nan());
        assert_eq!(F8E5M2::from_f32_as(1e9, false).to_f32(), f32::INFINITY);
    }
}
