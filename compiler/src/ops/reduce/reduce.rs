//! The reductions: ten functions over any set of axes. One table.

use crate::import::Parse;
use crate::ir::{DType, Dim, Fact, ValueId};
use crate::lower::{Lower, Place};
use crate::ops::infer::resolve_axis;
use crate::ops::{Infer, Op, OpError, Operator};
use crate::program::Arg;
use serde::{Deserialize, Serialize};

macro_rules! functions {
    ($($name:ident $onnx:literal)*) => {
        /// What a set of elements is reduced to.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[allow(missing_docs)] // Documented in the runtime: `reduce::Op`.
        pub enum ReduceFn {
            $($name,)*
        }
        impl ReduceFn {
            fn of(name: &str) -> Option<Self> {
                match name {
                    $($onnx => Some(Self::$name),)*
                    _ => None,
                }
            }
            fn variant(self) -> &'static str {
                match self {
                    $(Self::$name => stringify!($name),)*
                }
            }
        }
        crate::param_enum!(reduce::Op { $($name,)* });
    };
}
functions! {
    Sum "ReduceSum" Mean "ReduceMean" Max "ReduceMax" Min "ReduceMin" Prod "ReduceProd" L1 "ReduceL1" L2 "ReduceL2" LogSum "ReduceLogSum"
    LogSumExp "ReduceLogSumExp" SumSquare "ReduceSumSquare"
}

/// ONNX `Reduce…`: the axes are an attribute before opset 18 (13 for the sum), an input since.
pub fn parse(cx: &mut Parse<'_>) -> Result<Vec<ValueId>, OpError> {
    let f = ReduceFn::of(cx.op_type()).ok_or_else(|| OpError::unsupported(format!("the function {}", cx.op_type())))?;
    let keep_dims = cx.flag("keepdims", true)?;
    let by_input = cx.opset() >= if f == ReduceFn::Sum { 13 } else { 18 };
    let x = cx.input(0)?;
    let rank = cx.rank(x)?;
    let noop = by_input && cx.flag("noop_with_empty_axes", false)?;
    let input = if by_input { cx.opt_input(1)? } else { None };
    let known = if by_input { cx.constant_ints(1, "the axes") } else { cx.ints("axes") };
    let (axes, inputs) = match (known, input) {
        // Without axes: all of them, or none.
        (Ok(axes), _) if axes.as_ref().is_none_or(Vec::is_empty) => (Some(if noop { Vec::new() } else { (0..rank).collect() }), vec![x]),
        (Ok(axes), _) => {
            let axes = axes.unwrap_or_default().into_iter().map(|a| resolve_axis(a, rank)).collect::<Result<Vec<_>, _>>()?;
            (Some(axes), vec![x])
        }
        (Err(_), Some(axes)) => (None, vec![x, axes]),
        (Err(e), None) => return Err(e),
    };
    cx.add(Reduce { f, axes, keep_dims, noop }, &inputs).map(|v| vec![v])
}

/// Input 0 reduced over axes. The result has the dtype of the input.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reduce {
    /// The function.
    pub f: ReduceFn,
    /// The axes; `None`: input 1 says them when the model runs.
    pub axes: Option<Vec<usize>>,
    /// Whether a reduced axis stays as an axis of one.
    pub keep_dims: bool,
    /// Whether no axes in input 1 means none rather than all.
    pub noop: bool,
}

impl Reduce {
    /// A reduction over known axes.
    pub fn over(f: ReduceFn, axes: &[usize], keep_dims: bool) -> Self {
        Self { f, axes: Some(axes.to_vec()), keep_dims, noop: true }
    }

    /// The element that an integer vector is reduced to, if its elements are known.
    fn symbolic(&self, cx: &Infer<'_>) -> Option<Dim> {
        let elements = cx.elements(0)?.into_iter().collect::<Option<Vec<Dim>>>()?;
        let dims = cx.dims;
        let fold = |f: &dyn Fn(Dim, Dim) -> Dim| elements.iter().copied().reduce(f);
        match self.f {
            ReduceFn::Sum => Some(fold(&|a, b| dims.add(a, b)).unwrap_or_else(|| dims.int(0))),
            ReduceFn::Prod => Some(dims.product(&elements)),
            ReduceFn::Max => fold(&|a, b| dims.max(a, b)),
            ReduceFn::Min => fold(&|a, b| dims.min(a, b)),
            _ => None,
        }
    }

    /// The shape that known axes leave.
    fn reduced(&self, shape: &[Dim], axes: &[usize], one: Dim) -> Vec<Dim> {
        let dims = shape.iter().enumerate().map(|(i, &d)| (axes.contains(&i), d));
        dims.filter(|(gone, _)| self.keep_dims || !gone).map(|(gone, d)| if gone { one } else { d }).collect()
    }
}

impl Operator for Reduce {
    fn infer(&mut self, cx: &mut Infer<'_>) -> Result<Vec<Fact>, OpError> {
        let (dtype, shape) = (cx.dtype(0)?, cx.shape(0)?);
        let Some(axes) = &self.axes else {
            let rank = match cx.shape(1)?.as_slice() {
                _ if self.keep_dims => Some(shape.len()),
                [count] => cx.dims.value(*count).and_then(|n| usize::try_from(n).ok()).and_then(|n| shape.len().checked_sub(n)),
                _ => None,
            };
            let fresh = |rank| Fact::tensor(dtype, (0..rank).map(|_| cx.fresh()).collect());
            return Ok(vec![rank.map_or_else(|| Fact::unranked(dtype), fresh)]);
        };
        let reduced = self.reduced(&shape, axes, cx.int(1));
        match self.symbolic(cx) {
            Some(element) if shape.len() <= 1 && axes.len() == shape.len() && dtype.is_int() => {
                Ok(vec![Fact::elements(dtype, reduced, vec![Some(element)], cx.dims)])
            }
            _ => Ok(vec![Fact::tensor(dtype, reduced)]),
        }
    }

    fn permuted(&self, perm: &[usize], _inputs: usize) -> Option<(Op, Vec<usize>)> {
        let old = self.axes.as_ref().filter(|_| self.keep_dims)?;
        let mut axes = old.iter().map(|a| perm.iter().position(|p| p == a)).collect::<Option<Vec<usize>>>()?;
        axes.sort_unstable();
        Some((Self { axes: Some(axes), ..self.clone() }.into(), vec![0]))
    }

    fn lower(&self, cx: &mut Lower<'_>) -> Result<(), OpError> {
        let x = cx.input(0)?;
        let op = Arg::Variant("reduce::Op", self.f.variant());
        let Some(axes) = &self.axes else { return self.lower_dynamic(cx, op) };
        let one = cx.int(1);
        let same = matches!(self.f, ReduceFn::Sum | ReduceFn::Mean | ReduceFn::Max | ReduceFn::Min | ReduceFn::Prod);
        if same && axes.iter().all(|&a| x.shape[a] == one) {
            cx.alias(0, Place::Tensor(x.view));
            return Ok(());
        }
        let out = cx.output(0)?;
        let mask = Arg::Bools((0..x.shape.len()).map(|a| axes.contains(&a)).collect());
        let args = vec![out.write(), x.read(), Arg::Usizes(x.shape.clone()), mask, op];
        if x.dtype == DType::F32 {
            let args = [Arg::Cx].into_iter().chain(args).collect();
            return cx.call(crate::kernel!(reduce_f32::reduce(_, _, _, _, _, _)), args);
        }
        cx.call(crate::kernel!(reduce::reduce(_, _, _, _, _) for ordered(x.dtype)), args)
    }
}

impl Reduce {
    /// Over the axes that input 1 says.
    fn lower_dynamic(&self, cx: &mut Lower<'_>, op: Arg) -> Result<(), OpError> {
        let (x, axes) = (cx.input(0)?, cx.input_i64(1)?);
        let shape = cx.output_fact(0)?.shape().map(<[Dim]>::to_vec).ok_or_else(|| {
            OpError::unsupported("a reduction without keepdims over a number of axes that only the data tells")
                .help("make the axes a constant of the model")
        })?;
        let (sizes, noop) = (Arg::Usizes(x.shape.clone()), Arg::Bool(self.noop));
        cx.call_binding(crate::kernel!(reduce_axes::reduced_shape(_, _, _, _, _)), &shape, |bind| {
            vec![bind, sizes.clone(), axes.read(), Arg::Bool(self.keep_dims), noop.clone()]
        })?;
        let out = cx.output(0)?;
        cx.call(
            crate::kernel!(reduce_axes::reduce_axes(_, _, _, _, _, _) for ordered(x.dtype)),
            vec![out.write(), x.read(), axes.read(), sizes, noop, op],
        )
    }
}
