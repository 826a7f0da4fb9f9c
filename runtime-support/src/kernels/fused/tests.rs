//! Random shapes and strides against one index sum a position, on every instruction set, with and without threads.

use super::*;
use crate::cx::Isa;
use std::vec::Vec;

struct Mixed;
impl Formula<3> for Mixed {
    #[inline(always)]
    fn eval<S: Simd>(&self, s: S, [a, b, c]: [S::F32; 3]) -> S::F32 {
        s.sub(s.add(a, b), c)
    }
}

fn contexts() -> impl Iterator<Item = Cx> {
    let each = Isa::ALL.into_iter().filter_map(|isa| Cx::REFERENCE.with_isa(isa));
    each.flat_map(|cx| [cx, cx.with_threads(3)])
}

fn next(seed: &mut u64) -> usize {
    *seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
    (*seed >> 33) as usize
}

/// Integers, so that sums are exact.
fn data(n: usize, scale: usize) -> Vec<f32> {
    (0..n).map(|i| (i * scale % 4099) as f32).collect()
}

fn check(shape: &[usize], strides: &[Vec<usize>; 3]) {
    let n: usize = shape.iter().product();
    let need = |s: &Vec<usize>| if n == 0 { 0 } else { shape.iter().zip(s).map(|(d, s)| (d - 1) * s).sum::<usize>() + 1 };
    let x: [Vec<f32>; 3] = core::array::from_fn(|j| data(need(&strides[j]), [3, 7, 11][j]));
    let at = |j: usize, flat: usize| {
        let (mut rest, mut sum) = (flat, 0);
        for (d, s) in shape.iter().zip(&strides[j]).rev() {
            sum += rest % d * s;
            rest /= d;
        }
        x[j][sum]
    };
    let expected: Vec<f32> = (0..n).map(|i| at(0, i) + at(1, i) - at(2, i)).collect();
    for cx in contexts() {
        let mut out = std::vec![-1.0; n];
        let strides = core::array::from_fn(|j| &strides[j][..]);
        map(cx, &Mixed, &mut out, core::array::from_fn(|j| &x[j][..]), shape, strides).unwrap();
        assert_eq!(out, expected, "{cx:?} {shape:?} {strides:?}");
        // In place: the output's old contents are the first input, dense.
        let mut out = data(n, 3);
        let expected: Vec<f32> = (0..n).map(|i| out[i] + at(1, i) - at(2, i)).collect();
        update(cx, &Mixed, &mut out, [&x[1], &x[2]], shape, [strides[1], strides[2]]).unwrap();
        assert_eq!(out, expected, "{cx:?} {shape:?} {strides:?} in place");
    }
}

fn row_major(shape: &[usize]) -> Vec<usize> {
    (0..shape.len()).map(|a| shape[a + 1..].iter().product()).collect()
}

#[test]
fn broadcasts_and_permutations() {
    let mut seed = 3;
    for _ in 0..300 {
        let rank = next(&mut seed) % 5;
        let shape: Vec<usize> = (0..rank).map(|_| [1, 2, 3, 5, 8, 17, 33][next(&mut seed) % 7]).collect();
        let strides = core::array::from_fn(|_| {
            let mut s = row_major(&shape);
            match next(&mut seed) % 4 {
                0 => s.iter_mut().for_each(|s| *s *= 2 * (*s % 2)),
                1 => s.iter_mut().for_each(|s| *s = if next(&mut seed).is_multiple_of(2) { 0 } else { *s }),
                2 => s.reverse(),
                _ => {}
            }
            s
        });
        check(&shape, &strides);
    }
}

#[test]
fn every_length_and_nothing() {
    for n in 0..70 {
        check(&[n], &[std::vec![1], std::vec![0], std::vec![3]]);
    }
    check(&[], &[std::vec![], std::vec![], std::vec![]]);
    check(&[3, 0, 2], &[std::vec![1, 1, 1], std::vec![0, 0, 0], std::vec![2, 2, 1]]);
}

#[test]
fn more_dims_than_a_plan_holds() {
    let shape = [2; 11];
    let alternating = (0..11).map(|a| if a % 2 == 0 { 0 } else { 1 << (10 - a) }).collect();
    check(&shape, &[row_major(&shape), alternating, row_major(&shape)]);
}

#[test]
fn large_loops_are_cut_for_threads() {
    check(&[2, 150_001], &[std::vec![150_001, 1], std::vec![0, 1], std::vec![1, 0]]);
    check(&[700, 3, 101], &[std::vec![303, 101, 1], std::vec![0, 1, 0], std::vec![1, 0, 700]]);
}

#[test]
fn short_operands_are_refused() {
    let one = [1.0];
    let mut out = [0.0; 2];
    let run = |out: &mut [f32], shape: &[usize], stride: &[usize]| map(Cx::REFERENCE, &Mixed, out, [&one; 3], shape, [stride; 3]);
    assert!(run(&mut out, &[2], &[1]).is_err());
    assert!(run(&mut out, &[2], &[usize::MAX]).is_err());
    assert!(run(&mut out, &[3], &[0]).is_err());
    assert!(run(&mut out, &[2], &[0, 0]).is_err());
    assert!(run(&mut out, &[2], &[0]).is_ok());
}
