//! Every word of every instruction set that this machine has, against the meaning written for one lane.

use super::*;
use core::array;
use std::vec;
use std::vec::Vec;

/// Numbers that disagree somewhere: signs, ties, integers, subnormals, limits, NaN, and a fixed pseudo-random rest.
pub(crate) fn interesting() -> Vec<f32> {
    let mut x = std::vec![
        0.0,
        -0.0,
        0.5,
        -0.5,
        1.5,
        -1.5,
        2.5,
        1.0,
        -1.0,
        3.7,
        -3.7,
        8388607.5,
        8388608.0,
        1e9,
        -2147483600.0,
        1e-40,
        -1e-45,
        1e38,
        -1e38,
        f32::INFINITY,
        f32::NEG_INFINITY,
        f32::NAN,
        f32::MAX,
        f32::MIN_POSITIVE,
        65504.0,
        1e-7,
    ];
    let mut seed = 1u64;
    while x.len() < 192 {
        seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        let bits = (seed >> 32) as u32;
        x.push(if x.len() % 3 == 0 { f32::from_bits(bits) } else { (bits as i32) as f32 / 1e8 });
    }
    x
}

/// Same bits; NaNs are equal to each other, and zeros too where `zeros` says so.
fn same(a: f32, b: f32) -> bool {
    a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan())
}

struct Words;

impl WithSimd for Words {
    type Output = ();

    fn with_simd<S: Simd>(self, s: S) {
        let x = interesting();
        // Every number meets many others.
        for shift in [0, 1, 2, 5, 7, 11, 16, 32, 48, 100] {
            let y: Vec<f32> = (0..x.len()).map(|i| x[(i + shift) % x.len()]).collect();
            for i in (0..x.len()).step_by(S::LANES) {
                float_words(s, &x[i..i + S::LANES], &y[i..i + S::LANES]);
                integer_words(s, &x[i..i + S::LANES], &y[i..i + S::LANES]);
            }
        }
        memory(s);
        reductions(s);
        tests_of_bytes::<S, 2>(s);
        tests_of_bytes::<S, 4>(s);
        counts(s);
        gathers(s);
    }
}

fn lanes<S: Simd>(s: S, v: S::F32) -> [f32; MAX_LANES] {
    let mut out = [0.0; MAX_LANES];
    s.store(&mut out, v);
    out
}

fn lanes_i32<S: Simd>(s: S, v: S::I32) -> [i32; MAX_LANES] {
    let mut out = [0; MAX_LANES];
    // SAFETY: MAX_LANES elements.
    unsafe { s.store_i32_ptr(out.as_mut_ptr(), v) };
    out
}

fn float_words<S: Simd>(s: S, x: &[f32], y: &[f32]) {
    let (a, b) = (s.load(x), s.load(y));
    let check = |name: &str, got: S::F32, expected: &dyn Fn(f32, f32) -> f32| {
        let got = lanes(s, got);
        for i in 0..S::LANES {
            let e = expected(x[i], y[i]);
            let ok = same(got[i], e) || (matches!(name, "min" | "max" | "min_nan" | "max_nan") && got[i] == 0.0 && e == 0.0);
            assert!(ok, "{:?} {name}({}, {}) = {} not {e}", S::ISA, x[i], y[i], got[i]);
        }
    };
    check("add", s.add(a, b), &|a, b| a + b);
    check("sub", s.sub(a, b), &|a, b| a - b);
    check("mul", s.mul(a, b), &|a, b| a * b);
    check("div", s.div(a, b), &|a, b| a / b);
    check("neg", s.neg(a), &|a, _| -a);
    check("abs", s.abs(a), &|a, _| a.abs());
    check("copysign", s.copysign(a, b), &f32::copysign);
    check("min", s.min(a, b), &|a, b| if a < b { a } else { b });
    check("max", s.max(a, b), &|a, b| if a > b { a } else { b });
    check("min_nan", s.min_nan(a, b), &|a, b| if a.is_nan() || b.is_nan() { f32::NAN } else { a.min(b) });
    check("max_nan", s.max_nan(a, b), &|a, b| if a.is_nan() || b.is_nan() { f32::NAN } else { a.max(b) });
    check("sqrt", s.sqrt(a), &|a, _| a.sqrt());
    check("floor", s.floor(a), &|a, _| a.floor());
    check("ceil", s.ceil(a), &|a, _| a.ceil());
    check("trunc", s.trunc(a), &|a, _| a.trunc());
    check("round_even", s.round_even(a), &|a, _| a.round_ties_even());
    check("with_bits(bits)", s.with_bits(s.bits(a)), &|a, _| a);
    let truth = |m| s.select(m, s.splat(1.0), s.zero());
    check("lt", truth(s.lt(a, b)), &|a, b| f32::from(a < b));
    check("le", truth(s.le(a, b)), &|a, b| f32::from(a <= b));
    check("gt", truth(s.gt(a, b)), &|a, b| f32::from(a > b));
    check("ge", truth(s.ge(a, b)), &|a, b| f32::from(a >= b));
    check("eq", truth(s.eq(a, b)), &|a, b| f32::from(a == b));
    check("ne", truth(s.ne(a, b)), &|a, b| f32::from(a != b));
    check("is_nan", truth(s.is_nan(a)), &|a, _| f32::from(a.is_nan()));
    check("and", truth(s.mask_and(s.lt(a, b), s.gt(a, s.zero()))), &|a, b| f32::from(a < b && a > 0.0));
    check("or", truth(s.mask_or(s.lt(a, b), s.gt(a, s.zero()))), &|a, b| f32::from(a < b || a > 0.0));
    check("not", truth(s.mask_not(s.lt(a, b))), &|a, b| 1.0 - f32::from(a < b));
    check("select", s.select(s.lt(a, b), a, b), &|a, b| if a < b { a } else { b });
    assert_eq!(s.any(s.lt(a, b)), x.iter().zip(y).any(|(a, b)| a < b));
    assert_eq!(s.all(s.lt(a, b)), x.iter().zip(y).all(|(a, b)| a < b));
    // Fused or not: between the two roundings.
    let (fused, split) = (lanes(s, s.mul_add(a, b, a)), lanes(s, s.neg_mul_add(a, b, a)));
    for i in 0..S::LANES {
        assert!(same(fused[i], x[i].mul_add(y[i], x[i])) || same(fused[i], x[i] * y[i] + x[i]));
        assert!(same(split[i], (-x[i]).mul_add(y[i], x[i])) || same(split[i], x[i] - x[i] * y[i]));
    }
}

fn integer_words<S: Simd>(s: S, x: &[f32], y: &[f32]) {
    let (a, b) = (s.bits(s.load(x)), s.bits(s.load(y)));
    let check = |name: &str, got: S::I32, expected: &dyn Fn(i32, i32) -> i32| {
        let got = lanes_i32(s, got);
        for i in 0..S::LANES {
            let (a, b) = (x[i].to_bits() as i32, y[i].to_bits() as i32);
            assert_eq!(got[i], expected(a, b), "{:?} {name}({a}, {b})", S::ISA);
        }
    };
    check("add_i32", s.add_i32(a, b), &i32::wrapping_add);
    check("sub_i32", s.sub_i32(a, b), &i32::wrapping_sub);
    check("mul_i32", s.mul_i32(a, b), &i32::wrapping_mul);
    check("min_i32", s.min_i32(a, b), &|a, b| a.min(b));
    check("max_i32", s.max_i32(a, b), &|a, b| a.max(b));
    check("and_i32", s.and_i32(a, b), &|a, b| a & b);
    check("or_i32", s.or_i32(a, b), &|a, b| a | b);
    check("xor_i32", s.xor_i32(a, b), &|a, b| a ^ b);
    check("shl", s.shl::<5>(a), &|a, _| a << 5);
    check("shr", s.shr::<23>(a), &|a, _| (a as u32 >> 23) as i32);
    check("sar", s.sar::<7>(a), &|a, _| a >> 7);
    let truth = |m| s.select_i32(m, s.splat_i32(-3), s.splat_i32(4));
    check("eq_i32", truth(s.eq_i32(a, b)), &|a, b| if a == b { -3 } else { 4 });
    check("gt_i32", truth(s.gt_i32(a, b)), &|a, b| if a > b { -3 } else { 4 });
    let (round, cut, back) = (lanes_i32(s, s.to_i32_round(s.load(x))), lanes_i32(s, s.to_i32_trunc(s.load(x))), lanes(s, s.to_f32(a)));
    for i in 0..S::LANES {
        if x[i].abs() < 2147483000.0 {
            assert_eq!(round[i], x[i].round_ties_even() as i32, "{:?} round {}", S::ISA, x[i]);
            assert_eq!(cut[i], x[i] as i32, "{:?} trunc {}", S::ISA, x[i]);
        }
        assert_eq!(back[i], x[i].to_bits() as i32 as f32);
    }
}

fn memory<S: Simd>(s: S) {
    let x: Vec<f32> = (0..40).map(|i| i as f32 + 0.25).collect();
    for n in 0..=S::LANES + 3 {
        let got = lanes(s, s.load_head_or(&x[..n], -7.0));
        let zero = lanes(s, s.load_head(&x[..n]));
        let mut out = [9.0; MAX_LANES + 3];
        s.store_head(&mut out[..n], s.load(&x));
        for i in 0..S::LANES {
            assert_eq!(got[i], if i < n { x[i] } else { -7.0 });
            assert_eq!(zero[i], if i < n { x[i] } else { 0.0 });
        }
        for (i, o) in out.iter().enumerate() {
            assert_eq!(*o, if i < n.min(S::LANES) { x[i] } else { 9.0 });
        }
    }
    let bytes: Vec<u8> = (0..64).map(|i| (i * 37 + 100) as u8).collect();
    let halves: Vec<u16> = (0..64).map(|i| (i * 1021) as u16).collect();
    let mut round = [0u16; MAX_LANES];
    // SAFETY: 64 elements are more than LANES.
    let (u, i, b, h) = unsafe {
        s.store_f16_ptr(round.as_mut_ptr(), s.load_f16_ptr(halves.as_ptr()));
        (
            s.load_u8_ptr(bytes.as_ptr()),
            s.load_i8_ptr(bytes.as_ptr().cast()),
            s.load_bf16_ptr(halves.as_ptr()),
            s.load_f16_ptr(halves.as_ptr()),
        )
    };
    for k in 0..S::LANES {
        assert_eq!(lanes_i32(s, u)[k], bytes[k] as i32);
        assert_eq!(lanes_i32(s, i)[k], bytes[k] as i8 as i32);
        assert_eq!(lanes(s, b)[k].to_bits(), (halves[k] as u32) << 16);
        assert_eq!(lanes(s, h)[k], crate::float::F16(halves[k]).to_f32());
        assert_eq!(round[k], halves[k]);
    }
}

fn tests_of_bytes<S: Simd, const N: usize>(s: S) {
    for round in 0..50 {
        let byte = |i: usize| (i * 89 + round * 57 + i * i * 13) as u8;
        let table: [[u8; 16]; N] = array::from_fn(|k| array::from_fn(|i| byte(16 * k + i)));
        let (which, least): ([u8; TESTS], [u8; TESTS]) =
            (array::from_fn(|i| byte(i + 7) % (16 * N) as u8), array::from_fn(|i| byte(3 * i)));
        let word = s.tests(&table, &which, &least);
        for i in 0..TESTS {
            assert_eq!(word >> i & 1 != 0, table.as_flattened()[which[i] as usize] >= least[i], "test {i} of {N} tables");
        }
    }
}

fn gathers<S: Simd>(s: S) {
    let table: Vec<u32> = (0..40).map(|i| (i * 89 + 7) << 26 | i).collect();
    for round in 0..40 {
        // Also places past the end, and those that are negative as signed numbers.
        let places: Vec<i32> =
            (0..S::LANES as i32).map(|i| if i == round % 16 { i32::MIN + round } else { (i * 7 + round) % 50 }).collect();
        // SAFETY: as many as there are lanes.
        let vector = unsafe { s.load_i32_ptr(places.as_ptr()) };
        for table in [&table[..], &table[..1], &[]] {
            let mut out = vec![9; S::LANES];
            let (found, k) = (s.gather(table, vector), round as u32 % 32);
            // SAFETY: as above.
            unsafe { s.store_i32_ptr(out.as_mut_ptr(), s.shr_by(found, k)) };
            let naive = |&place: &i32| table.get(place as u32 as usize).or(table.last()).map_or(0, |word| word >> k) as i32;
            assert_eq!(out, places.iter().map(naive).collect::<Vec<_>>(), "{places:?} of {} words", table.len());
        }
    }
}

fn counts<S: Simd>(s: S) {
    let mut numbers: [f32; TESTS] = array::from_fn(|i| (i * 7 % TESTS) as f32);
    for x in [-1.0, -0.0, 0.0, 0.5, 16.0, 31.0, 32.0, f32::INFINITY, f32::NEG_INFINITY, f32::NAN] {
        for special in [3.0, f32::NAN, f32::NEG_INFINITY] {
            numbers[5] = special;
            assert_eq!(s.count_less(&numbers, x), numbers.iter().filter(|&&n| n < x).count() as u32, "{x} {special}");
        }
    }
}

fn reductions<S: Simd>(s: S) {
    // Small integers, so that any order of the sum gives the same; the extremes visit every lane.
    for hot in 0..S::LANES {
        let x: Vec<f32> = (0..S::LANES).map(|i| if i == hot { 100.0 } else { i as f32 - 3.0 }).collect();
        let v = s.load(&x);
        assert_eq!(s.reduce_sum(v), x.iter().sum::<f32>());
        assert_eq!(s.reduce_max(v), 100.0);
        assert_eq!(s.reduce_min(s.neg(v)), -100.0);
        assert_eq!(s.reduce_sum_i32(s.to_i32_round(v)), x.iter().sum::<f32>() as i32);
    }
}

#[test]
fn every_word_means_the_same_everywhere() {
    for isa in Isa::ALL {
        if let Some(cx) = Cx::REFERENCE.with_isa(isa) {
            dispatch(cx, Words);
        }
    }
}
