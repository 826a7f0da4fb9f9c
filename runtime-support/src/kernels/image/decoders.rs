//! The crates that decode: `image` for all formats but JPEG 2000, which is `hayro-jpeg2000`'s.

use super::{MAX_PIXELS, Picture};
use crate::error::Fault;
use alloc::vec::Vec;
use hayro_jpeg2000::{ColorSpace, DecodeSettings, DecoderContext};
use image::{DynamicImage, ImageDecoder, ImageReader, Limits};
use std::io::Cursor;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// What a decoder may allocate for an image: eight bytes a pixel are RGBA of 16 bits.
const MAX_BYTES: u64 = 8 * MAX_PIXELS;

/// How JPEG 2000 files (with boxes, or the code stream alone) start.
const JPEG_2000: [&[u8]; 2] = [b"\0\0\0\x0cjP  ", b"\xff\x4f\xff\x51"];

/// The image that the bytes are; none if they are no image that can be decoded.
pub fn picture(stream: &[u8]) -> Result<Option<Picture>, Fault> {
    let decode = || {
        if JPEG_2000.iter().any(|magic| stream.starts_with(magic)) { jpeg_2000(stream) } else { common(stream) }
    };
    // The decoders promise not to panic; an image must not be able to end the program where one breaks that.
    catch_unwind(AssertUnwindSafe(decode)).unwrap_or(Ok(None))
}

fn check_size(width: u32, height: u32) -> Result<(), Fault> {
    let pixels = u64::from(width) * u64::from(height);
    let too_many = Fault::Value { what: "an image has too many pixels", got: pixels.min(i64::MAX as u64) as i64 };
    if pixels > MAX_PIXELS { Err(too_many) } else { Ok(()) }
}

fn common(stream: &[u8]) -> Result<Option<Picture>, Fault> {
    let mut limits = Limits::default();
    limits.max_alloc = Some(MAX_BYTES);
    let Ok(mut reader) = ImageReader::new(Cursor::new(stream)).with_guessed_format() else { return Ok(None) };
    reader.limits(limits);
    let Ok(decoder) = reader.into_decoder() else { return Ok(None) };
    let (width, height) = decoder.dimensions();
    check_size(width, height)?;
    let Ok(image) = DynamicImage::from_decoder(decoder) else { return Ok(None) };
    Ok(Some(Picture { height: height as usize, width: width as usize, pixels: image.into_rgb8().into_raw() }))
}

fn jpeg_2000(stream: &[u8]) -> Result<Option<Picture>, Fault> {
    let Ok(image) = hayro_jpeg2000::Image::new(stream, &DecodeSettings::default()) else { return Ok(None) };
    let (width, height) = (image.width(), image.height());
    check_size(width, height)?;
    let colors = match image.color_space() {
        ColorSpace::Gray | ColorSpace::Icc { num_channels: 1, .. } => 1,
        ColorSpace::RGB | ColorSpace::Icc { num_channels: 3, .. } => 3,
        _ => return Ok(None),
    };
    let channels = colors + usize::from(image.has_alpha());
    let mut context = DecoderContext::default();
    let Ok(decoded) = image.decode(&mut context) else { return Ok(None) };
    let (height, width) = (height as usize, width as usize);
    let components = decoded.components();
    if components.len() != channels || components.iter().any(|c| c.samples().len() != height * width) {
        return Ok(None);
    }
    let samples = decoded.data_u8();
    let rgb = |pixel: &[u8]| if colors == 3 { [pixel[0], pixel[1], pixel[2]] } else { [pixel[0]; 3] };
    let pixels: Vec<u8> = samples.chunks_exact(channels).flat_map(rgb).collect();
    Ok(Some(Picture { height, width, pixels }))
}
