//! WAV files as the network wants them: one channel, 16000 samples a second, from -1 to 1.

use std::error::Error;
use std::path::Path;

/// Samples a second.
pub const RATE: u32 = 16_000;

/// Reads a WAV file whose rate is a multiple of 16000; channels are averaged.
pub fn read(path: &Path) -> Result<Vec<f32>, Box<dyn Error>> {
    let mut reader = hound::WavReader::open(path)?;
    let spec = reader.spec();
    if spec.sample_rate == 0 || !spec.sample_rate.is_multiple_of(RATE) {
        return Err(format!("the sound has {} samples a second; a multiple of {RATE} is needed", spec.sample_rate).into());
    }
    let samples: Vec<f32> = match spec.sample_format {
        hound::SampleFormat::Float => reader.samples().collect::<Result<_, _>>()?,
        hound::SampleFormat::Int => {
            let scale = 1.0 / 2f32.powi(i32::from(spec.bits_per_sample) - 1);
            reader.samples::<i32>().map(|s| s.map(|s| s as f32 * scale)).collect::<Result<_, _>>()?
        }
    };
    let channels = usize::from(spec.channels).max(1);
    let mono = samples.chunks(channels).map(|frame| frame.iter().sum::<f32>() / channels as f32);
    Ok(mono.step_by((spec.sample_rate / RATE) as usize).collect())
}
