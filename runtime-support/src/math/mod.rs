//! Elementary functions over the vector vocabulary.

/// The square root in f64, without hardware: for targets that have neither `std` nor a square root instruction.
#[allow(dead_code)] // Unused where there is one.
pub(crate) fn soft_sqrt(x: f64) -> f64 {
    if !(x > 0.0 && x < f64::INFINITY) {
        // Zero, infinity and NaN are their own roots; negative numbers have none.
        return if x < 0.0 { f64::NAN } else { x };
    }
    // Halving the exponent gives a first guess good to a few percent; each Newton step doubles the digits.
    let mut root = f64::from_bits((x.to_bits() >> 1) + 0x1ff8_0000_0000_0000);
    for _ in 0..6 {
        root = 0.5 * (root + x / root);
    }
    root
}
