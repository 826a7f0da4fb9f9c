//! Window functions and the mel matrix.

use crate::error::Fault;
use crate::kernels::fmath::{exp, floor, ln, sin_cos_turn};
use crate::kernels::num::{Acc, Num};

/// A window function.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Window {
    /// 0.5 - 0.5 cos.
    Hann,
    /// 25/46 - 21/46 cos.
    Hamming,
    /// 0.42 - 0.5 cos + 0.08 cos of twice the angle.
    Blackman,
}

/// HannWindow, HammingWindow, BlackmanWindow of the output's length; symmetric ones end where they began.
pub fn window<T: Num>(out: &mut [T], kind: Window, periodic: bool) -> Result<(), Fault> {
    let turn = (if periodic { out.len() } else { out.len().saturating_sub(1) }) as u64;
    let (constant, first, second) = match kind {
        Window::Hann => (0.5, -0.5, 0.0),
        Window::Hamming => (25.0 / 46.0, -21.0 / 46.0, 0.0),
        Window::Blackman => (0.42, -0.5, 0.08),
    };
    for (i, y) in out.iter_mut().enumerate() {
        let cos = |times: u64| sin_cos_turn(times * i as u64, turn).1;
        *y = T::narrow(T::Acc::from_f64(constant + first * cos(1) + second * cos(2)));
    }
    Ok(())
}

/// MelWeightMatrix: `out` is `dft_length / 2 + 1, bins`; the scalars come as tensors of one element. A mel triangle beyond the spectrum is a fault.
pub fn mel_weight_matrix<T: Num>(
    out: &mut [T],
    dft_length: &[i64],
    sample_rate: &[i64],
    lower_hertz: &[f64],
    upper_hertz: &[f64],
    bins: usize,
) -> Result<(), Fault> {
    let (&[dft_length], &[sample_rate], &[lower], &[upper]) = (dft_length, sample_rate, lower_hertz, upper_hertz) else {
        return Err(Fault::Internal { what: "mel matrix: scalars" });
    };
    if dft_length < 0 || sample_rate <= 0 {
        return Err(Fault::Value { what: "the lengths of a mel matrix must be positive", got: dft_length.min(sample_rate) });
    }
    let rows = out.len().checked_div(bins).unwrap_or(0);
    let mel = |hertz: f64| 2595.0 * ln(1.0 + hertz / 700.0) / core::f64::consts::LN_10;
    let step = (mel(upper) - mel(lower)) / (bins + 2) as f64;
    // The nth edge of a triangle, as a bin of the spectrum.
    let edge = |n: usize| {
        let hertz = 700.0 * (exp((n as f64 * step + mel(lower)) / 2595.0 * core::f64::consts::LN_10) - 1.0);
        let at = floor((dft_length as f64 + 1.0) * hertz / sample_rate as f64) as i64;
        if at < 0 || at >= rows as i64 { Err(Fault::Index { index: at, len: rows }) } else { Ok(at as usize) }
    };
    out.fill(T::narrow(T::Acc::ZERO));
    let mut put = |row: usize, bin: usize, v: f64| {
        if let Some(y) = out.get_mut(row * bins + bin) {
            *y = T::narrow(T::Acc::from_f64(v));
        }
    };
    for bin in 0..bins {
        let (low, centre, high) = (edge(bin)?, edge(bin + 1)?, edge(bin + 2)?);
        if low == centre {
            put(centre, bin, 1.0);
        }
        for j in low..=centre {
            if low != centre {
                put(j, bin, (j as f64 - low as f64) / (centre as f64 - low as f64));
            }
        }
        for j in centre..high {
            put(j, bin, (high as f64 - j as f64) / (high as f64 - centre as f64));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_by_the_formulas() {
        let mut y = [0f64; 5];
        window(&mut y, Window::Hann, false).unwrap();
        assert!(y.iter().zip([0.0, 0.5, 1.0, 0.5, 0.0]).all(|(a, b)| (a - b).abs() < 1e-15));
        let mut y = [0f64; 4];
        window(&mut y, Window::Blackman, true).unwrap();
        assert!(y.iter().zip([0.0, 0.34, 1.0, 0.34]).all(|(a, b)| (a - b).abs() < 1e-15));
        window(&mut y, Window::Hamming, true).unwrap();
        assert!((y[0] - 4.0 / 46.0).abs() < 1e-15 && (y[2] - 1.0).abs() < 1e-15);
        window::<f32>(&mut [0.0], Window::Hann, false).unwrap();
    }

    #[test]
    fn mel_triangles() {
        // The example of the operator's documentation: 8 bins of a 16-point transform at 8192 Hz.
        let mut y = [9f32; 9 * 8];
        mel_weight_matrix(&mut y, &[16], &[8192], &[0.0], &[4096.0], 8).unwrap();
        assert_eq!(y[..8], [1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]);
        assert_eq!(y[8..16], [0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0]);
        assert_eq!(y[4 * 8..5 * 8], [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0]);
        assert!(mel_weight_matrix(&mut y, &[16], &[100], &[0.0], &[4096.0], 8).is_err());
    }
}
