//! A vector of products of dims: the shapes that expansions of operators need for their reshapes.

use crate::ir::{DType, Dim, Fact};
use crate::lower::Lower;
use crate::ops::{Infer, OpError, Operator};
use crate::program::Arg;
use serde::{Deserialize, Serialize};

/// Element `i` (i64) is `factor * dim * dim …`, the dims being axes of inputs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DimsOf {
    /// For each element the factor, and the dims as input and axis.
    pub elements: Vec<(i64, Vec<(usize, usize)>)>,
}

impl Operator for DimsOf {
    fn infer(&mut self, cx: &mut Infer<'_>) -> Result<Vec<Fact>, OpError> {
        let mut elements = Vec::new();
        for (factor, dims) in &self.elements {
            let mut product = cx.int(*factor);
            for &(input, axis) in dims {
                let shape = cx.shape(input)?;
                let dim: Dim = *shape.get(axis).ok_or_else(|| OpError::invalid(format!("input {input} has no axis {axis}")))?;
                product = cx.dims.mul(product, dim);
            }
            elements.push(Some(product));
        }
        let count = cx.int(elements.len() as i64);
        Ok(vec![Fact::elements(DType::I64, vec![count], elements, cx.dims)])
    }

    fn lower(&self, cx: &mut Lower<'_>) -> Result<(), OpError> {
        let fact = cx.output_fact(0)?;
        let elements = fact.as_elements(&cx.dims()).and_then(|e| e.into_iter().collect::<Option<Vec<Dim>>>());
        let elements = elements.ok_or_else(|| OpError::unsupported("a shape that is not known symbolically"))?;
        let out = cx.output(0)?;
        cx.call(crate::kernel!(shape::literal(_, _)), vec![out.write(), Arg::I64s(elements)])
    }
}
