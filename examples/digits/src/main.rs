//! Reads a handwritten digit from a PNG or PGM picture.
//!
//! ```text
//! cargo run -q -p digits -- examples/digits/images/three.png
//! ```

mod picture;

use std::error::Error;
use std::path::Path;
use std::process::ExitCode;

/// The network that train.py made, compiled in place.
mod network {
    onnxc_macros::include_onnx!("models/digits.onnx");
}

/// How likely the picture shows each of the ten digits.
fn probabilities(model: &mut network::Model, path: &Path) -> Result<[f32; 10], Box<dyn Error>> {
    let image = picture::read(path)?;
    let outputs = model.run(&image)?;
    Ok(*outputs.probabilities())
}

/// The place of the largest.
fn best(probabilities: &[f32; 10]) -> usize {
    (0..10).max_by(|&a, &b| probabilities[a].total_cmp(&probabilities[b])).unwrap_or(0)
}

fn print(path: &Path, probabilities: &[f32; 10]) {
    let best = best(probabilities);
    println!("{}: {best}", path.display());
    for (digit, probability) in probabilities.iter().enumerate() {
        let bar = "█".repeat((probability * 40.0).round() as usize);
        let line = format!("  {digit} {:5.1} % {bar}", probability * 100.0);
        println!("{}", line.trim_end());
    }
}

fn main() -> ExitCode {
    let paths: Vec<_> = std::env::args_os().skip(1).collect();
    if paths.is_empty() {
        eprintln!("usage: digits PICTURE.png|.pgm ...");
        return ExitCode::from(2);
    }
    let mut model = network::Model::new();
    let mut code = ExitCode::SUCCESS;
    for path in &paths {
        let path = Path::new(path);
        match probabilities(&mut model, path) {
            Ok(probabilities) => print(path, &probabilities),
            Err(error) => {
                eprintln!("error: {}: {error}", path.display());
                code = ExitCode::FAILURE;
            }
        }
    }
    code
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_committed_image_gives_its_name() {
        let names = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"];
        let mut model = network::Model::new();
        for (digit, name) in names.iter().enumerate() {
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("images/{name}.png"));
            let probabilities = probabilities(&mut model, &path).unwrap();
            assert_eq!(best(&probabilities), digit, "{name}: {probabilities:?}");
            assert!((probabilities.iter().sum::<f32>() - 1.0).abs() < 1e-5, "{name}: {probabilities:?}");
        }
    }

    #[test]
    fn a_missing_file_is_an_error() {
        assert!(probabilities(&mut network::Model::new(), Path::new("no such file.png")).is_err());
    }
}
