//! `RoiAlign`, `MaxRoiPool`, `MaxUnpool`.

use crate::import::Parse;
use crate::ir::{DType, Dim, Fact, ValueId};
use crate::lower::Lower;
use crate::ops::slice::{known_or_fresh, output_shape, read_ints, require_dims};
use crate::ops::{Infer, OpError, Operator};
use crate::program::Arg;
use serde::{Deserialize, Serialize};

crate::param_struct!(region::Regions { batch, channels, height, width, regions, rows, columns, scale });

fn positive(value: i64, what: &str) -> Result<i64, OpError> {
    if (1..1 << 31).contains(&value) { Ok(value) } else { Err(OpError::invalid(format!("{what} is {value}"))) }
}

/// ONNX `RoiAlign`: before opset 16 coordinates are not moved by half a pixel.
pub fn parse_align(cx: &mut Parse<'_>) -> Result<Vec<ValueId>, OpError> {
    let default = if cx.opset() < 16 { "output_half_pixel" } else { "half_pixel" };
    let half_pixel = match cx.string("coordinate_transformation_mode", default)?.as_str() {
        "half_pixel" => true,
        "output_half_pixel" => false,
        other => return Err(OpError::invalid(format!("coordinate_transformation_mode is `{other}`"))),
    };
    let max = match cx.string("mode", "avg")?.as_str() {
        "avg" => false,
        "max" => true,
        other => return Err(OpError::invalid(format!("the mode is `{other}`"))),
    };
    let bins = (positive(cx.int("output_height", 1)?, "output_height")?, positive(cx.int("output_width", 1)?, "output_width")?);
    let samples = cx.int("sampling_ratio", 0)?.max(0);
    let op = Regions { bins, scale: cx.float("spatial_scale", 1.0)?, align: Some((samples, half_pixel, max)) };
    let inputs = [cx.input(0)?, cx.input(1)?, cx.input(2)?];
    cx.add(op, &inputs).map(|v| vec![v])
}

/// ONNX `MaxRoiPool`.
pub fn parse_pool(cx: &mut Parse<'_>) -> Result<Vec<ValueId>, OpError> {
    let shape = cx.ints("pooled_shape")?.unwrap_or_default();
    let &[rows, columns] = shape.as_slice() else { return Err(OpError::invalid("pooled_shape must have two numbers")) };
    let bins = (positive(rows, "pooled_shape")?, positive(columns, "pooled_shape")?);
    let op = Regions { bins, scale: cx.float("spatial_scale", 1.0)?, align: None };
    let inputs = [cx.input(0)?, cx.input(1)?];
    cx.add(op, &inputs).map(|v| vec![v])
}

/// ONNX `MaxUnpool`.
pub fn parse_unpool(cx: &mut Parse<'_>) -> Result<Vec<ValueId>, OpError> {
    let kernel = cx.ints("kernel_shape")?.ok_or_else(|| OpError::invalid("the attribute `kernel_shape` is missing"))?;
    let rank = kernel.len();
    let strides = cx.ints("strides")?.unwrap_or_else(|| vec![1; rank]);
    let pads = cx.ints("pads")?.unwrap_or_else(|| vec![0; 2 * rank]);
    if strides.len() != rank || pads.len() != 2 * rank {
        return Err(OpError::invalid("kernel_shape, strides and pads do not fit"));
    }
    let inputs = cx.inputs()?;
    cx.add_n(MaxUnpool { kernel, strides, pads }, &inputs)
}

/// Bins of regions (input 1) of images (input 0): samples of them, with the images of the regions as input 2, or their greatest elements.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Regions {
    bins: (i64, i64),
    scale: f32,
    /// Samples a bin and axis (0: as many as it is long), whether coordinates are moved by half a pixel, whether the greatest counts.
    align: Option<(i64, bool, bool)>,
}

impl Operator for Regions {
    fn infer(&mut self, cx: &mut Infer<'_>) -> Result<Vec<Fact>, OpError> {
        let (x, rois) = (cx.shape(0)?, cx.shape(1)?);
        let (&[_, channels, _, _], &[n, numbers]) = (x.as_slice(), rois.as_slice()) else {
            return Err(OpError::invalid("images must have rank 4, regions rank 2"));
        };
        if cx.dtype(0)? != cx.dtype(1)? {
            return Err(OpError::invalid("images and regions must have one dtype"));
        }
        let expected = cx.int(if self.align.is_some() { 4 } else { 5 });
        cx.require_equal(numbers, expected, "the numbers of a region");
        if self.align.is_some() {
            let &[images] = cx.shape(2)?.as_slice() else { return Err(OpError::invalid("batch_indices must be a vector")) };
            cx.require_equal(images, n, "the regions and their images");
        }
        Ok(vec![Fact::tensor(cx.dtype(0)?, vec![n, channels, cx.int(self.bins.0), cx.int(self.bins.1)])])
    }

    fn lower(&self, cx: &mut Lower<'_>) -> Result<(), OpError> {
        let (x, rois) = (cx.input(0)?, cx.input(1)?);
        let images = if self.align.is_some() { Some(cx.input_i64(2)?) } else { None };
        let out = cx.output(0)?;
        let fields = [x.shape.clone(), vec![out.shape[0], out.shape[2], out.shape[3]]].concat();
        let names = ["batch", "channels", "height", "width", "regions", "rows", "columns"];
        let sizes = names.into_iter().zip(fields.into_iter().map(Arg::Usize)).chain([("scale", Arg::F32(self.scale))]);
        let sizes = Arg::Struct("region::Regions", sizes.collect());
        match (self.align, images) {
            (Some((samples, half_pixel, max)), Some(images)) => {
                let samples = cx.int(samples);
                cx.call(
                    crate::kernel!(region::roi_align(_, _, _, _, _, _, _, _) for float(x.dtype)),
                    vec![
                        out.write(),
                        x.read(),
                        rois.read(),
                        images.read(),
                        sizes,
                        Arg::Usize(samples),
                        Arg::Bool(half_pixel),
                        Arg::Bool(max),
                    ],
                )
            }
            _ => cx
                .call(crate::kernel!(region::max_roi_pool(_, _, _, _) for float(x.dtype)), vec![out.write(), x.read(), rois.read(), sizes]),
        }
    }
}

/// Input 0 put at the indices input 1 among zeros; input 2 (optional): the shape of the result.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MaxUnpool {
    kernel: Vec<i64>,
    strides: Vec<i64>,
    pads: Vec<i64>,
}

impl MaxUnpool {
    /// The shape of what was pooled.
    fn inferred(&self, d: &crate::ir::Dims, shape: &[Dim]) -> Vec<Dim> {
        let mut new = shape.to_vec();
        let rank = self.kernel.len();
        for (k, dim) in new.iter_mut().skip(2).enumerate() {
            let steps = d.scale(d.offset(*dim, -1), self.strides[k]);
            *dim = d.offset(steps, self.kernel[k] - self.pads[k] - self.pads[rank + k]);
        }
        new
    }
}

impl Operator for MaxUnpool {
    fn infer(&mut self, cx: &mut Infer<'_>) -> Result<Vec<Fact>, OpError> {
        let (dtype, shape, indices) = (cx.dtype(0)?, cx.shape(0)?, cx.shape(1)?);
        if shape.len() != self.kernel.len() + 2 || indices.len() != shape.len() || cx.dtype(1)? != DType::I64 {
            return Err(OpError::invalid("the tensor, its indices and the kernel do not fit"));
        }
        for (axis, (&a, &b)) in shape.iter().zip(&indices).enumerate() {
            cx.require_equal(a, b, &format!("axis {axis} of the tensor and of the indices"));
        }
        let new = match (cx.has(2), known_or_fresh(cx, 2)) {
            (false, _) => self.inferred(cx.dims, &shape),
            (true, Some(given)) if given.len() == shape.len() => given,
            (true, None) => shape.iter().map(|_| cx.fresh()).collect(),
            (true, Some(given)) => return Err(OpError::invalid(format!("output_shape has {} numbers", given.len()))),
        };
        Ok(vec![Fact::tensor(dtype, new)])
    }

    fn lower(&self, cx: &mut Lower<'_>) -> Result<(), OpError> {
        let (x, indices) = (cx.input(0)?, cx.input(1)?);
        let shape = output_shape(cx, 0)?;
        if cx.has(2) && cx.elements(2).is_none() {
            let given = read_ints(cx, 2, shape.len())?;
            cx.set(&shape, &given);
            require_dims(cx, &shape);
        }
        let inferred = self.inferred(&cx.dims(), &x.shape);
        let out = cx.output(0)?;
        cx.call(
            crate::kernel!(region::max_unpool(_, _, _, _, _) for num(x.dtype)),
            vec![out.write(), x.read(), indices.read(), Arg::Usizes(inferred), Arg::Usizes(shape)],
        )
    }
}
