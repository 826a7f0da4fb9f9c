//! Numbers to text and back.
//!
//! Floats have as many digits as tell them from their neighbours, as the standard's own cases have it (ONNX Runtime writes f32 as C's `%.8g`);
//! `NaN`, `INF`, `-INF`; bools are 1 and 0, as ONNX Runtime writes them. Reading takes what the standard names (plain and scientific notation, `INF`, `+INF`, `-INF`, `NaN` in any case) between blanks.

use crate::element::{Bool, I2, I4, U2, U4};
use crate::error::Fault;
use crate::float::{BF16, F4E2M1, F8E4M3FN, F8E4M3FNUZ, F8E5M2, F8E5M2FNUZ, F8E8M0, F16, Round};
use crate::kernels::walk::promise;
use alloc::format;
use alloc::string::{String, ToString};

/// A number that can be written.
pub trait ToText: Copy {
    /// The text.
    fn to_text(self) -> String;
}

/// A number that can be read.
pub trait FromText: Sized {
    /// The number; `None` if the text is none.
    fn from_text(text: &str) -> Option<Self>;
}

/// Each number as text.
pub fn to_strings<T: ToText>(out: &mut [String], x: &[T]) -> Result<(), Fault> {
    promise(out.len() == x.len(), "Cast: the lengths differ")?;
    out.iter_mut().zip(x).for_each(|(o, x)| *o = x.to_text());
    Ok(())
}

/// Each text as a number; text that is none is a fault.
pub fn from_strings<T: FromText>(out: &mut [T], x: &[String]) -> Result<(), Fault> {
    promise(out.len() == x.len(), "Cast: the lengths differ")?;
    for (o, x) in out.iter_mut().zip(x) {
        *o = T::from_text(x.trim()).ok_or(Fault::Text { what: "a string that is not a number cannot be cast" })?;
    }
    Ok(())
}

/// `%g` of a number that `scientific` shows as `d.ddde±x` with all the digits to show, at most `digits`.
fn general(scientific: &str, digits: i32) -> String {
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((scientific, "0"));
    let (sign, mantissa) = mantissa.strip_prefix('-').map_or(("", mantissa), |m| ("-", m));
    let figures: String = mantissa.chars().filter(char::is_ascii_digit).collect();
    let figures = figures.trim_end_matches('0');
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if figures.is_empty() {
        return format!("{sign}0");
    }
    let (whole, rest) = if exponent < -4 || exponent >= digits {
        let (first, rest) = figures.split_at(1);
        let dot = if rest.is_empty() { "" } else { "." };
        return format!("{sign}{first}{dot}{rest}e{}{:02}", if exponent < 0 { '-' } else { '+' }, exponent.abs());
    } else if exponent < 0 {
        (String::from("0"), "0".repeat(exponent.unsigned_abs() as usize - 1) + figures)
    } else {
        let split = (exponent as usize + 1).min(figures.len());
        let (whole, rest) = figures.split_at(split);
        (whole.to_string() + &"0".repeat(exponent as usize + 1 - split), rest.to_string())
    };
    if rest.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{rest}") }
}

/// Infinity and NaN, or `finite`.
fn special(x: f64, finite: impl FnOnce() -> String) -> String {
    if x.is_nan() {
        String::from("NaN")
    } else if x.is_infinite() {
        String::from(if x > 0.0 { "INF" } else { "-INF" })
    } else {
        finite()
    }
}

/// What Rust's parser takes beyond the standard's words is harmless: `infinity`, `1.`, `.5`.
fn float(text: &str) -> Option<f64> {
    text.parse().ok()
}

impl ToText for f32 {
    fn to_text(self) -> String {
        special(self as f64, || general(&format!("{self:e}"), 17))
    }
}
impl FromText for f32 {
    fn from_text(text: &str) -> Option<Self> {
        text.parse().ok()
    }
}
impl ToText for f64 {
    fn to_text(self) -> String {
        special(self, || general(&format!("{self:e}"), 17))
    }
}
impl FromText for f64 {
    fn from_text(text: &str) -> Option<Self> {
        float(text)
    }
}

macro_rules! narrow_floats {
    ($($t:ident: |$x:ident| $from:expr;)*) => {$(
        impl ToText for $t {
            fn to_text(self) -> String {
                self.to_f32().to_text()
            }
        }
        impl FromText for $t {
            fn from_text(text: &str) -> Option<Self> {
                float(text).map(|$x| $from)
            }
        }
    )*};
}
narrow_floats! {
    F16: |x| Self::from_f64(x);
    BF16: |x| Self::from_f64(x);
    F8E4M3FN: |x| Self::from_f32(x as f32);
    F8E4M3FNUZ: |x| Self::from_f32(x as f32);
    F8E5M2: |x| Self::from_f32(x as f32);
    F8E5M2FNUZ: |x| Self::from_f32(x as f32);
    F8E8M0: |x| Self::from_f32_as(x as f32, true, Round::Up);
    F4E2M1: |x| Self::from_f32(x as f32);
}

/// An integer, or a float truncated to one.
fn integer(text: &str) -> Option<i128> {
    text.parse().ok().or_else(|| float(text).filter(|x| x.is_finite()).map(|x| x as i128))
}

macro_rules! integers {
    ($($t:ty: $shown:expr, |$x:ident| $from:expr;)*) => {$(
        impl ToText for $t {
            fn to_text(self) -> String {
                $shown(self).to_string()
            }
        }
        impl FromText for $t {
            fn from_text(text: &str) -> Option<Self> {
                integer(text).map(|$x| $from)
            }
        }
    )*};
}
integers! {
    i8: |x| x, |x| x as Self;
    i16: |x| x, |x| x as Self;
    i32: |x| x, |x| x as Self;
    i64: |x| x, |x| x as Self;
    u8: |x| x, |x| x as Self;
    u16: |x| x, |x| x as Self;
    u32: |x| x, |x| x as Self;
    u64: |x| x, |x| x as Self;
    I4: |x: I4| x.0, |x| Self::wrapping(x as i64);
    U4: |x: U4| x.0, |x| Self::wrapping(x as i64);
    I2: |x: I2| x.0, |x| Self::wrapping(x as i64);
    U2: |x: U2| x.0, |x| Self::wrapping(x as i64);
}

impl ToText for Bool {
    fn to_text(self) -> String {
        String::from(if self.get() { "1" } else { "0" })
    }
}
impl FromText for Bool {
    fn from_text(text: &str) -> Option<Self> {
        let word = |w: &str| text.eq_ignore_ascii_case(w);
        if word("true") || word("false") { Some(word("true").into()) } else { float(text).map(|x| (x != 0.0).into()) }
    }
}
