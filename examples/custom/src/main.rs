//! Runs a model with custom operators: a histogram of linear light.

mod operators;

mod colors {
    include!(concat!(env!("OUT_DIR"), "/colors.rs"));
}

use onnxc_runtime::error::RunError;
use onnxc_runtime::view::View;

/// The shares of dark to bright light of a gradient from black to white, and its mean.
fn gradient(pixels: usize) -> Result<(Vec<f32>, f32), RunError> {
    let values: Vec<f32> = (0..pixels).map(|i| i as f32 / (pixels - 1) as f32).collect();
    let mut model = colors::Model::new();
    let image = View::new(&values, [1, pixels]).map_err(|fault| fault.at("pixels"))?;
    let outputs = model.run(image)?;
    Ok((outputs.shares().data().to_vec(), outputs.mean()[0]))
}

fn main() -> Result<(), RunError> {
    let (shares, mean) = gradient(256)?;
    println!("mean light of a gradient from black to white: {mean:.3}");
    for (i, share) in shares.iter().enumerate() {
        println!("{:.2} to {:.2}: {}", i as f32 / 4.0, (i + 1) as f32 / 4.0, "#".repeat((share * 60.0).round() as usize));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_of_a_gradient_is_dark() {
        let (shares, mean) = gradient(256).unwrap();
        // sRGB 0.537 is a quarter of the light, 0.735 half, 0.881 three quarters.
        let expected = [0.537, 0.735 - 0.537, 0.881 - 0.735, 1.0 - 0.881];
        assert!(shares.iter().zip(expected).all(|(s, e)| (s - e).abs() < 0.01), "{shares:?}");
        // The integral of the curve: 1.055 / 3.4 * (1 - 0.0905^3.4) and a little for its straight foot.
        assert!((mean - 0.3103).abs() < 0.002, "{mean}");
    }
}
