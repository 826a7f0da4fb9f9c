//! ImageDecoder: encoded images to pixels.
//!
//! The decoders are other crates' and come with the feature `image`; without it [`AVAILABLE`] is false, which generated code refuses to compile
//! with, and [`decode`] is a fault.

#[cfg(feature = "image")]
mod decoders;

use super::walk::promise;
use crate::error::Fault;
use crate::value::{Tensor, Value};
use alloc::vec::Vec;

/// Whether the decoders are there.
pub const AVAILABLE: bool = cfg!(feature = "image");

/// The most pixels that an image may have.
pub const MAX_PIXELS: u64 = 1 << 26;

/// What the channels of a decoded image are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PixelFormat {
    /// Red, green, blue.
    Rgb,
    /// Blue, green, red.
    Bgr,
    /// Luma alone.
    Grayscale,
}

/// A decoded image: red, green and blue of each pixel, row by row.
struct Picture {
    height: usize,
    width: usize,
    pixels: Vec<u8>,
}

/// Decodes an image to `pixels`, a tensor of u8, and writes its height and width to `bind`. What is not an image that can be decoded is one of no
/// pixels, as the standard has it; more than [`MAX_PIXELS`] are a fault.
pub fn decode(bind: &mut [i64], pixels: &mut Value, stream: &[u8], format: PixelFormat) -> Result<(), Fault> {
    let [height, width] = bind else { return Err(Fault::Internal { what: "image: two results" }) };
    let picture = picture(stream)?.unwrap_or(Picture { height: 0, width: 0, pixels: Vec::new() });
    let converted = convert(picture.pixels, format);
    (*height, *width) = (picture.height as i64, picture.width as i64);
    *pixels = Value::Tensor(Tensor::from_slice(&[converted.len()], &converted)?);
    Ok(())
}

/// Copies what [`decode`] made.
pub fn fill(out: &mut [u8], pixels: &Value) -> Result<(), Fault> {
    let pixels = pixels.tensor()?.elements::<u8>()?;
    promise(pixels.len() == out.len(), "image: lengths differ")?;
    out.copy_from_slice(pixels);
    Ok(())
}

#[cfg(feature = "image")]
fn picture(stream: &[u8]) -> Result<Option<Picture>, Fault> {
    decoders::picture(stream)
}

#[cfg(not(feature = "image"))]
fn picture(_: &[u8]) -> Result<Option<Picture>, Fault> {
    Err(Fault::Text { what: "onnxc-runtime was built without the feature `image`" })
}

/// The pixels in another format. Luma is that of ITU-R 601, in 16 bits of fraction.
fn convert(mut rgb: Vec<u8>, format: PixelFormat) -> Vec<u8> {
    match format {
        PixelFormat::Rgb => rgb,
        PixelFormat::Bgr => {
            rgb.chunks_exact_mut(3).for_each(|p| p.swap(0, 2));
            rgb
        }
        PixelFormat::Grayscale => {
            let luma = |p: &[u8]| (u32::from(p[0]) * 19595 + u32::from(p[1]) * 38470 + u32::from(p[2]) * 7471 + (1 << 15)) >> 16;
            rgb.chunks_exact(3).map(|p| luma(p) as u8).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats() {
        let pixels = std::vec![255, 0, 0, 10, 20, 30];
        assert_eq!(convert(pixels.clone(), PixelFormat::Bgr), [0, 0, 255, 30, 20, 10]);
        // 0.299 · 255 = 76.2; 0.299 · 10 + 0.587 · 20 + 0.114 · 30 = 18.15.
        assert_eq!(convert(pixels, PixelFormat::Grayscale), [76, 18]);
    }

    #[cfg(feature = "image")]
    fn decoded(stream: &[u8]) -> Result<([i64; 2], usize), Fault> {
        let (mut bind, mut pixels) = ([-1; 2], Value::Sequence(Vec::new()));
        decode(&mut bind, &mut pixels, stream, PixelFormat::Rgb)?;
        Ok((bind, pixels.tensor()?.len()))
    }

    #[cfg(feature = "image")]
    #[test]
    fn no_image_is_empty_and_a_large_one_is_refused() {
        assert_eq!(decoded(b""), Ok(([0, 0], 0)));
        assert_eq!(decoded(b"P6 2 2 255\nonly"), Ok(([0, 0], 0)));
        assert_eq!(decoded(b"P6 1 2 255\nabcdef"), Ok(([2, 1], 6)));
        // The header alone would ask for 3 GB.
        assert!(matches!(decoded(b"P6 100000 10000 255\n"), Err(Fault::Value { .. })));
        // A JPEG 2000 code stream that says it is 2^31 pixels wide.
        let mut wide = std::vec![0xff, 0x4f, 0xff, 0x51, 0, 41, 0, 0, 0x80, 0, 0, 0, 0, 0, 0, 1];
        wide.resize(64, 0);
        assert!(decoded(&wide).is_ok_and(|(dims, _)| dims == [0, 0]) || matches!(decoded(&wide), Err(Fault::Value { .. })));
    }

    #[cfg(feature = "image")]
    #[test]
    fn noise_after_a_format_s_first_bytes_is_no_picture_or_a_small_one() {
        let starts: [&[u8]; 6] =
            [b"BM", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", b"\xff\xd8\xff", b"\0\0\0\x0cjP  \r\n\x87\n", b"II*\0", b"RIFF\x40\0\0\0WEBPVP8 "];
        let mut state = 1u32;
        for start in starts {
            for _ in 0..40 {
                let mut stream = start.to_vec();
                stream.extend((0..120).map(|_| {
                    state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    (state >> 24) as u8
                }));
                if let Ok(([height, width], len)) = decoded(&stream) {
                    assert_eq!(height * width * 3, len as i64);
                    assert!(height * width <= MAX_PIXELS as i64);
                }
            }
        }
    }
}
