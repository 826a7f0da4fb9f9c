//! What an operator's `infer` works with: the facts of its inputs, and a place to record assumptions.

use super::OpError;
use crate::ir::dim::{Dim, Dims};
use crate::ir::fact::{Fact, Type};
use crate::ir::tensor::Tensor;
use crate::program::Condition;
use onnxc_runtime::element::DType;

/// The context of one inference.
pub struct Infer<'a> {
    /// The table of dims.
    pub dims: &'a Dims,
    inputs: Vec<Option<&'a Fact>>,
    requires: Vec<Condition>,
    broken: Option<OpError>,
}

impl<'a> Infer<'a> {
    /// A context over the facts of the inputs.
    pub fn new(dims: &'a Dims, inputs: Vec<Option<&'a Fact>>) -> Self {
        Self { dims, inputs, requires: Vec::new(), broken: None }
    }

    /// What was assumed, or the first assumption that can never hold.
    pub fn finish(self) -> Result<Vec<Condition>, OpError> {
        self.broken.map_or(Ok(self.requires), Err)
    }

    /// The number of inputs, absent ones included.
    pub fn len(&self) -> usize {
        self.inputs.len()
    }

    /// Whether there are no inputs.
    pub fn is_empty(&self) -> bool {
        self.inputs.is_empty()
    }

    /// Whether input `i` is given.
    pub fn has(&self, i: usize) -> bool {
        self.inputs.get(i).is_some_and(Option::is_some)
    }

    /// The fact of input `i`.
    pub fn fact(&self, i: usize) -> Result<&'a Fact, OpError> {
        self.inputs.get(i).copied().flatten().ok_or_else(|| OpError::invalid(format!("input {i} is missing")))
    }

    /// The facts of all inputs from `from` on that are given.
    pub fn facts(&self, from: usize) -> Vec<Fact> {
        self.inputs.iter().skip(from).flatten().map(|&f| f.clone()).collect()
    }

    /// The dtype of input `i`, which must be a tensor.
    pub fn dtype(&self, i: usize) -> Result<DType, OpError> {
        self.fact(i)?.dtype().ok_or_else(|| OpError::invalid(format!("input {i} must be a tensor")))
    }

    /// The shape of input `i`, which must be a tensor of known rank.
    pub fn shape(&self, i: usize) -> Result<Vec<Dim>, OpError> {
        self.dtype(i)?;
        self.fact(i)?.shape().map(<[Dim]>::to_vec).ok_or_else(|| {
            OpError::unsupported(format!("the rank of input {i} is not known when compiling"))
                .help("give the model's inputs static shapes with --dim or --input-shape, or run onnx shape inference on the model so that it declares the rank")
        })
    }

    /// The rank of input `i`.
    pub fn rank(&self, i: usize) -> Result<usize, OpError> {
        self.shape(i).map(|s| s.len())
    }

    /// The constant that input `i` is.
    pub fn constant(&self, i: usize) -> Option<&'a Tensor> {
        self.inputs.get(i).copied().flatten().and_then(Fact::as_const)
    }

    /// The constant integers that input `i` is made of.
    pub fn ints(&self, i: usize) -> Option<Vec<i64>> {
        self.constant(i).and_then(Tensor::to_i64s)
    }

    /// The elements of an integer input of rank 0 or 1 as far as they are known; `None` where not even their number is.
    pub fn elements(&self, i: usize) -> Option<Vec<Option<Dim>>> {
        self.inputs.get(i).copied().flatten().and_then(|f| f.as_elements(self.dims))
    }

    /// A dim that only the data tells, at least zero.
    pub fn fresh(&self) -> Dim {
        self.dims.fresh(0).1
    }

    /// A constant dim.
    pub fn int(&self, value: i64) -> Dim {
        self.dims.int(value)
    }

    /// An axis as ONNX counts: from the end if negative.
    pub fn axis(&self, axis: i64, rank: usize) -> Result<usize, OpError> {
        resolve_axis(axis, rank)
    }

    /// Records that the two dims are equal; they are one from here on: the result is the one that says more.
    pub fn require_equal(&mut self, a: Dim, b: Dim, what: &str) -> Dim {
        if a == b {
            return a;
        }
        let difference = self.dims.bounds(self.dims.sub(a, b));
        if difference.0 > 0 || difference.1 < 0 {
            self.fail(a, b, what);
        }
        self.requires.push(Condition::Equal(a, b));
        if self.dims.value(a).is_some() { a } else { b }
    }

    /// Records that the two dims broadcast; the result is their broadcast.
    pub fn require_broadcast(&mut self, a: Dim, b: Dim) -> Dim {
        let one = self.dims.int(1);
        if a != b && a != one && b != one {
            match (self.dims.value(a), self.dims.value(b)) {
                (Some(_), Some(_)) => self.fail(a, b, "two dimensions that must broadcast"),
                _ => self.requires.push(Condition::Broadcast(a, b)),
            }
        }
        self.dims.broadcast(a, b)
    }

    /// Records that `a <= b`.
    pub fn require_at_most(&mut self, a: Dim, b: Dim, what: &str) {
        let (low, high) = self.dims.bounds(self.dims.sub(a, b));
        if low > 0 {
            self.fail(a, b, what);
        } else if high > 0 {
            self.requires.push(Condition::AtMost(a, b));
        }
    }

    /// The broadcast of shapes, by ONNX's multidirectional rule.
    pub fn broadcast(&mut self, shapes: &[Vec<Dim>]) -> Vec<Dim> {
        let rank = shapes.iter().map(Vec::len).max().unwrap_or(0);
        let one = self.dims.int(1);
        (0..rank)
            .map(|axis| {
                let at = |s: &Vec<Dim>| (axis + s.len()).checked_sub(rank).map_or(one, |i| s[i]);
                shapes.iter().map(at).collect::<Vec<_>>().into_iter().fold(one, |all, d| self.require_broadcast(all, d))
            })
            .collect()
    }

    fn fail(&mut self, a: Dim, b: Dim, what: &str) {
        let message = format!("{what} disagree: {} and {}", self.dims.show(a), self.dims.show(b));
        self.broken.get_or_insert(OpError::invalid(message));
    }

    /// The type of an input that is not a tensor.
    pub fn ty(&self, i: usize) -> Result<&'a Type, OpError> {
        self.fact(i).map(|f| &f.ty)
    }
}

/// An axis as ONNX counts: from the end if negative.
pub fn resolve_axis(axis: i64, rank: usize) -> Result<usize, OpError> {
    let resolved = if axis < 0 { axis.saturating_add(rank as i64) } else { axis };
    usize::try_from(resolved)
        .ok()
        .filter(|&a| a < rank)
        .ok_or_else(|| OpError::invalid(format!("axis {axis} is out of range for rank {rank}")))
}
