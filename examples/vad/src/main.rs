//! Finds the speech in WAV files: `cargo run -q -p vad -- FILE.wav...`, after `cargo xtask fetch-examples`.

#[cfg(fetched)]
mod detector;
#[cfg(fetched)]
mod segments;
#[cfg(fetched)]
mod sound;

/// The model silero-vad, compiled by build.rs.
#[cfg(fetched)]
mod network {
    include!(concat!(env!("OUT_DIR"), "/silero_vad.rs"));
}

#[cfg(not(fetched))]
fn main() -> std::process::ExitCode {
    eprintln!("The model is not here yet. `cargo xtask fetch-examples` fetches it; then build again.");
    std::process::ExitCode::FAILURE
}

#[cfg(fetched)]
fn main() -> std::process::ExitCode {
    use std::process::ExitCode;
    let paths: Vec<_> = std::env::args_os().skip(1).map(std::path::PathBuf::from).collect();
    if paths.is_empty() {
        eprintln!("usage: vad FILE.wav...");
        return ExitCode::from(2);
    }
    let mut code = ExitCode::SUCCESS;
    for path in &paths {
        match speech(path) {
            Ok(segments) => print(path, &segments),
            Err(error) => {
                eprintln!("error: {}: {error}", path.display());
                code = ExitCode::FAILURE;
            }
        }
    }
    code
}

/// The stretches of speech in a file, in samples of 1/16000 second.
#[cfg(fetched)]
fn speech(path: &std::path::Path) -> Result<Vec<segments::Segment>, Box<dyn std::error::Error>> {
    let samples = sound::read(path)?;
    let probabilities = detector::probabilities(&samples)?;
    Ok(segments::segments(&probabilities, samples.len()))
}

#[cfg(fetched)]
fn print(path: &std::path::Path, segments: &[segments::Segment]) {
    println!(
        "{}: {} of speech",
        path.display(),
        if segments.len() == 1 { "1 stretch".into() } else { format!("{} stretches", segments.len()) }
    );
    for segment in segments {
        let second = |samples: usize| samples as f64 / f64::from(sound::RATE);
        println!("  {:7.2} s to {:7.2} s", second(segment.start), second(segment.end));
    }
}

#[cfg(all(test, fetched))]
mod tests {
    use super::*;
    use std::path::Path;

    fn recording() -> std::path::PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("recording.wav")
    }

    #[test]
    fn probabilities_are_onnx_runtimes() {
        let expected: Vec<f32> = include_str!("../probabilities.txt").lines().map(|line| line.parse().unwrap()).collect();
        let found = detector::probabilities(&sound::read(&recording()).unwrap()).unwrap();
        assert_eq!(found.len(), expected.len());
        for (i, (a, b)) in found.iter().zip(&expected).enumerate() {
            assert!((a - b).abs() < 1e-3, "window {i}: {a} is not {b}");
        }
    }

    #[test]
    fn segments_are_the_python_packages() {
        let expected: Vec<(usize, usize)> = include_str!("../segments.tsv")
            .lines()
            .map(|line| line.split_once('\t').map(|(a, b)| (a.parse().unwrap(), b.parse().unwrap())).unwrap())
            .collect();
        let found: Vec<_> = speech(&recording()).unwrap().iter().map(|s| (s.start, s.end)).collect();
        assert_eq!(found, expected);
    }
}
