//! `ImageDecoder`: an encoded image to its pixels.

use crate::import::Parse;
use crate::ir::{DType, Fact, ValueId};
use crate::lower::Lower;
use crate::ops::slice::output_shape;
use crate::ops::{Infer, OpError, Operator};
use crate::program::Arg;
use onnxc_runtime::kernels::image::AVAILABLE;
use serde::{Deserialize, Serialize};

crate::param_enum!(image::PixelFormat { Rgb, Bgr, Grayscale });

/// ONNX `ImageDecoder`, since opset 20.
pub fn parse(cx: &mut Parse<'_>) -> Result<Vec<ValueId>, OpError> {
    let format = match cx.string("pixel_format", "RGB")?.as_str() {
        "RGB" => PixelFormat::Rgb,
        "BGR" => PixelFormat::Bgr,
        "Grayscale" => PixelFormat::Grayscale,
        other => return Err(OpError::invalid(format!("the pixel format `{other}`"))),
    };
    let x = cx.input(0)?;
    cx.add(ImageDecoder { format }, &[x]).map(|v| vec![v])
}

/// What the channels of a pixel are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PixelFormat {
    /// Red, green, blue.
    Rgb,
    /// Blue, green, red.
    Bgr,
    /// Luma.
    Grayscale,
}

/// The bytes of an image file to `height × width × channels` of u8, none where the file cannot be decoded.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ImageDecoder {
    format: PixelFormat,
}

impl Operator for ImageDecoder {
    fn infer(&mut self, cx: &mut Infer<'_>) -> Result<Vec<Fact>, OpError> {
        if cx.dtype(0)? != DType::U8 || cx.rank(0)? != 1 {
            return Err(OpError::invalid("the encoded image must be a vector of uint8"));
        }
        let channels = cx.int(if self.format == PixelFormat::Grayscale { 1 } else { 3 });
        Ok(vec![Fact::tensor(DType::U8, vec![cx.fresh(), cx.fresh(), channels])])
    }

    fn lower(&self, cx: &mut Lower<'_>) -> Result<(), OpError> {
        let x = cx.input(0)?;
        let shape = output_shape(cx, 0)?;
        let pixels = cx.temp_object();
        let format = match self.format {
            PixelFormat::Rgb => "Rgb",
            PixelFormat::Bgr => "Bgr",
            PixelFormat::Grayscale => "Grayscale",
        };
        cx.call_binding(crate::kernel!(image::decode(_, _, _, _)), &shape[..2], |bind| {
            let pixels = Arg::OutObject { buffer: pixels, update: false };
            vec![bind, pixels, x.read(), Arg::Variant("image::PixelFormat", format)]
        })?;
        let out = cx.output(0)?;
        cx.call(crate::kernel!(image::fill(_, _)), vec![out.write(), Arg::InObject(pixels)])
    }

    /// The decoders are only there with a feature.
    fn folds(&self) -> bool {
        AVAILABLE
    }
}
