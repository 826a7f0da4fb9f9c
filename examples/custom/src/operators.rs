//! The functions behind the model's custom operators, as docs/custom-operators.md describes them.

use onnxc_runtime::custom::{Attributes, ViewMut};
use onnxc_runtime::error::Fault;
use onnxc_runtime::view::View;

/// `ToLinear`: sRGB values from 0 to 1 as linear light. The model declares the result's shape.
pub fn to_linear(_: Attributes<'_>, x: View<'_, f32, 2>, mut y: ViewMut<'_, f32, 2>) -> Result<(), Fault> {
    for (y, &x) in y.data().iter_mut().zip(x.data()) {
        *y = if x <= 0.040_45 { x / 12.92 } else { ((x + 0.055) / 1.055).powf(2.4) };
    }
    Ok(())
}

/// `Histogram`: for each of `bins` equal parts of 0 to 1 how many elements are in it.
pub fn histogram(attributes: Attributes<'_>, x: View<'_, f32, 2>, mut counts: ViewMut<'_, f32, 1>) -> Result<(), Fault> {
    let bins = bins(attributes)?;
    let counts = counts.data();
    counts.fill(0.0);
    for &x in x.data() {
        let bin = (x * bins as f32).clamp(0.0, bins as f32 - 1.0) as usize;
        if let Some(count) = counts.get_mut(bin) {
            *count += 1.0;
        }
    }
    Ok(())
}

/// The shape of `Histogram`'s result, which the model leaves open.
pub fn histogram_shape(attributes: Attributes<'_>, _inputs: &[&[usize]], dims: &mut [i64]) -> Result<(), Fault> {
    dims.fill(bins(attributes)?);
    Ok(())
}

fn bins(attributes: Attributes<'_>) -> Result<i64, Fault> {
    let bins = attributes.int("bins").unwrap_or(8);
    if bins > 0 { Ok(bins) } else { Err(Fault::Value { what: "bins must be positive", got: bins }) }
}
