//! One step of the optimizers of `ai.onnx.preview.training`. The rate is a scalar of the tensors' dtype, the count of steps so far an i64.

use super::fmath;
use super::num::Float;
use crate::error::Fault;

fn scalars<T: Float>(rate: &[T], count: &[i64], lens: &[usize]) -> Result<(f64, f64), Fault> {
    match (rate, count) {
        ([rate], [count]) if lens.windows(2).all(|l| l[0] == l[1]) => Ok((rate.widen(), *count as f64)),
        _ => Err(Fault::Internal { what: "optimizer: lengths" }),
    }
}

/// Adagrad: the squared gradients of all steps so far, `h`, damp the rate.
pub fn adagrad<T: Float>(
    x_out: &mut [T],
    h_out: &mut [T],
    rate: &[T],
    count: &[i64],
    x: &[T],
    g: &[T],
    h: &[T],
    norm: f32,
    decay: f32,
    epsilon: f32,
) -> Result<(), Fault> {
    let (rate, count) = scalars(rate, count, &[x_out.len(), h_out.len(), x.len(), g.len(), h.len()])?;
    let rate = rate / (1.0 + count * decay as f64);
    for (i, (x_out, h_out)) in x_out.iter_mut().zip(h_out).enumerate() {
        let gradient = norm as f64 * x[i].widen() + g[i].widen();
        let squares = h[i].widen() + gradient * gradient;
        *h_out = T::narrow(squares);
        *x_out = T::narrow(x[i].widen() - rate * gradient / (fmath::sqrt(squares) + epsilon as f64));
    }
    Ok(())
}

/// Adam: running means of the gradients, `v`, and of their squares, `h`.
pub fn adam<T: Float>(
    x_out: &mut [T],
    v_out: &mut [T],
    h_out: &mut [T],
    rate: &[T],
    count: &[i64],
    x: &[T],
    g: &[T],
    v: &[T],
    h: &[T],
    alpha: f32,
    beta: f32,
    epsilon: f32,
    norm: f32,
    norm_post: f32,
) -> Result<(), Fault> {
    let (rate, count) = scalars(rate, count, &[x_out.len(), v_out.len(), h_out.len(), x.len(), g.len(), v.len(), h.len()])?;
    let (alpha, beta) = (alpha as f64, beta as f64);
    let corrected = fmath::sqrt(1.0 - fmath::pow(beta, count)) / (1.0 - fmath::pow(alpha, count));
    let rate = if count > 0.0 { rate * corrected } else { rate };
    for (i, ((x_out, v_out), h_out)) in x_out.iter_mut().zip(v_out).zip(h_out).enumerate() {
        let gradient = norm as f64 * x[i].widen() + g[i].widen();
        let mean = alpha * v[i].widen() + (1.0 - alpha) * gradient;
        let squares = beta * h[i].widen() + (1.0 - beta) * gradient * gradient;
        let new = x[i].widen() - rate * mean / (fmath::sqrt(squares) + epsilon as f64);
        (*v_out, *h_out) = (T::narrow(mean), T::narrow(squares));
        *x_out = T::narrow((1.0 - norm_post as f64) * new);
    }
    Ok(())
}

/// Stochastic gradient descent with momentum `v`, Nesterov's way or the standard one.
pub fn momentum<T: Float>(
    x_out: &mut [T],
    v_out: &mut [T],
    rate: &[T],
    count: &[i64],
    x: &[T],
    g: &[T],
    v: &[T],
    alpha: f32,
    beta: f32,
    norm: f32,
    nesterov: bool,
) -> Result<(), Fault> {
    let (rate, count) = scalars(rate, count, &[x_out.len(), v_out.len(), x.len(), g.len(), v.len()])?;
    let beta = if count > 0.0 { beta as f64 } else { 1.0 };
    for (i, (x_out, v_out)) in x_out.iter_mut().zip(v_out).enumerate() {
        let gradient = norm as f64 * x[i].widen() + g[i].widen();
        let speed = alpha as f64 * v[i].widen() + beta * gradient;
        *v_out = T::narrow(speed);
        let step = if nesterov { gradient + alpha as f64 * speed } else { speed };
        *x_out = T::narrow(x[i].widen() - rate * step);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_steps() {
        let (mut x, mut v, mut h) = ([0f64], [0f64], [0f64]);
        adagrad(&mut x, &mut h, &[0.5], &[0], &[1.0], &[3.0], &[16.0], 1.0, 0.1, 0.0).unwrap();
        assert_eq!((x, h), ([1.0 - 0.5 * 4.0 / 32f64.sqrt()], [32.0]));
        momentum(&mut x, &mut v, &[0.5], &[0], &[1.0], &[3.0], &[2.0], 0.5, 0.25, 0.0, false).unwrap();
        assert_eq!((x, v), ([-1.0], [4.0]), "beta counts as 1 in the first step");
        momentum(&mut x, &mut v, &[0.5], &[1], &[1.0], &[4.0], &[2.0], 0.5, 0.25, 0.0, true).unwrap();
        assert_eq!((x, v), ([-1.5], [2.0]));
        adam(&mut x, &mut v, &mut h, &[0.5], &[0], &[1.0], &[4.0], &[2.0], &[8.0], 0.5, 0.5, 0.0, 0.0, 0.5).unwrap();
        assert_eq!((x, v, h), ([0.5 * (1.0 - 0.5 * 3.0 / 12f64.sqrt())], [3.0], [12.0]));
        assert!(adam(&mut x, &mut v, &mut h, &[0.5], &[0], &[1.0, 2.0], &[4.0], &[2.0], &[8.0], 0.5, 0.5, 0.0, 0.0, 0.5).is_err());
    }
}
