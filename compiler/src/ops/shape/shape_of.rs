//! `Shape` and `Size`: dims as values. They are known to inference, so steps remain only where a kernel really reads them.

use crate::import::Parse;
use crate::ir::{DType, Dim, Fact, ValueId};
use crate::lower::Lower;
use crate::ops::{Infer, OpError, Operator};
use crate::program::Arg;
use serde::{Deserialize, Serialize};

/// ONNX `Shape` (`start` and `end` since opset 15).
pub fn parse_shape(cx: &mut Parse<'_>) -> Result<Vec<ValueId>, OpError> {
    let (start, end) = (cx.int("start", 0)?, cx.int("end", i64::MAX)?);
    let x = cx.input(0)?;
    cx.add(Shape { start, end, size: false }, &[x]).map(|v| vec![v])
}

/// ONNX `Size`.
pub fn parse_size(cx: &mut Parse<'_>) -> Result<Vec<ValueId>, OpError> {
    let x = cx.input(0)?;
    cx.add(Shape::count(), &[x]).map(|v| vec![v])
}

/// The dims from `start` to `end` (negative: from the end; clamped) as an i64 vector, or their product as an i64 scalar.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Shape {
    start: i64,
    end: i64,
    size: bool,
}

impl Shape {
    /// The dims from `start` to `end`.
    pub fn between(start: i64, end: i64) -> Self {
        Self { start, end, size: false }
    }

    /// The number of elements.
    pub fn count() -> Self {
        Self { start: 0, end: i64::MAX, size: true }
    }

    fn of(&self, shape: &[Dim]) -> Vec<Dim> {
        let rank = shape.len() as i64;
        let clamp = |x: i64| (if x < 0 { x.saturating_add(rank) } else { x }).clamp(0, rank) as usize;
        let (start, end) = (clamp(self.start), clamp(self.end));
        shape.get(start..end.max(start)).unwrap_or_default().to_vec()
    }
}

impl Operator for Shape {
    fn infer(&mut self, cx: &mut Infer<'_>) -> Result<Vec<Fact>, OpError> {
        let dims = self.of(&cx.shape(0)?);
        let (shape, elements) =
            if self.size { (Vec::new(), vec![cx.dims.product(&dims)]) } else { (vec![cx.int(dims.len() as i64)], dims) };
        Ok(vec![Fact::elements(DType::I64, shape, elements.into_iter().map(Some).collect(), cx.dims)])
    }

    fn lower(&self, cx: &mut Lower<'_>) -> Result<(), OpError> {
        let fact = cx.output_fact(0)?;
        let elements = fact.as_elements(&cx.dims()).and_then(|e| e.into_iter().collect::<Option<Vec<Dim>>>());
        let elements = elements.ok_or_else(|| OpError::unsupported("a shape that is not known symbolically"))?;
        let out = cx.output(0)?;
        cx.call(crate::kernel!(shape::literal(_, _)), vec![out.write(), Arg::I64s(elements)])
    }
}
