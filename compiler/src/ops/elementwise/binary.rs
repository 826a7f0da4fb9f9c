//! Functions of two tensors with broadcasting: arithmetic, comparisons, logic, bits. One table.

use crate::import::Parse;
use crate::ir::{DType, Dim, Fact, ValueId};
use crate::lower::{Lower, loop_nest};
use crate::ops::table::Row;
use crate::ops::{Infer, Op, OpError, Operator};
use crate::program::Arg;
use crate::program::formula::Binary as F;
use serde::{Deserialize, Serialize};

/// What is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[allow(missing_docs)] // ONNX's names; Mod has the sign of the divisor, Fmod of the dividend.
pub enum BinaryFn {
    Add,
    Sub,
    Mul,
    Div,
    Min,
    Max,
    Pow,
    Mod,
    Fmod,
    BitAnd,
    BitOr,
    BitXor,
    ShiftLeft,
    ShiftRight,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Equal,
    And,
    Or,
    Xor,
}

macro_rules! binary {
    ($($name:ident => $f:ident,)*) => {
        /// The ONNX operators of this family.
        pub static ROWS: &[Row] = &[$(Row { domain: "", name: stringify!($name), parse },)*];
        fn function(name: &str) -> Option<BinaryFn> {
            match name {
                $(stringify!($name) => Some(BinaryFn::$f),)*
                _ => None,
            }
        }
    };
}
binary! {
    Add => Add, Sub => Sub, Mul => Mul, Div => Div, Pow => Pow, Mod => Mod, BitShift => ShiftLeft, BitwiseAnd => BitAnd, BitwiseOr => BitOr,
    BitwiseXor => BitXor, Less => Less, LessOrEqual => LessOrEqual, Greater => Greater, GreaterOrEqual => GreaterOrEqual, Equal => Equal,
    And => And, Or => Or, Xor => Xor, Min => Min, Max => Max, Sum => Add,
}

fn parse(cx: &mut Parse<'_>) -> Result<Vec<ValueId>, OpError> {
    let mut f = function(cx.op_type()).ok_or_else(|| OpError::unsupported(format!("the function {}", cx.op_type())))?;
    match cx.op_type() {
        "Mod" if cx.flag("fmod", false)? => f = BinaryFn::Fmod,
        "BitShift" if cx.string("direction", "")? == "RIGHT" => f = BinaryFn::ShiftRight,
        _ => {}
    }
    let inputs = cx.all_inputs()?;
    if matches!(cx.op_type(), "Min" | "Max" | "Sum") {
        return variadic(cx, f, &inputs);
    }
    let [a, b] = inputs[..] else { return Err(OpError::invalid(format!("2 inputs are needed, {} are given", inputs.len()))) };
    let b = if cx.opset() < 7 { legacy_broadcast(cx, a, b)? } else { b };
    if f == BinaryFn::Pow {
        return power(cx, a, b).map(|v| vec![v]);
    }
    cx.add(Binary { f }, &[a, b]).map(|v| vec![v])
}

/// ONNX `Pow`: the exponent has a dtype of its own since opset 12, the result that of the base. Computed in a dtype that holds both operands,
/// so that no exponent is rounded to the base's dtype, and cast back as the reference does (floats to integers towards zero).
fn power(cx: &mut Parse<'_>, a: ValueId, b: ValueId) -> Result<ValueId, OpError> {
    let (base, exponent) = (cx.dtype(a)?, cx.dtype(b)?);
    let values = cx.constant_of(b).and_then(|t| t.to_f64s());
    let candidates = match (base.is_int(), exponent.is_int()) {
        (true, true) => vec![base, DType::I64],
        (true, false) => vec![DType::F64],
        (false, _) if base == DType::F64 => vec![],
        (false, _) => vec![base, DType::F32],
    };
    let compute = candidates.into_iter().find(|&d| d == exponent || holds(d, exponent, values.as_deref()));
    let compute = compute.unwrap_or(if base.is_int() && exponent.is_int() { DType::I64 } else { DType::F64 });
    let (x, y) = (super::cast::to(cx, a, compute)?, super::cast::to(cx, b, compute)?);
    let power = cx.add(Binary { f: BinaryFn::Pow }, &[x, y])?;
    super::cast::to(cx, power, base)
}

/// Whether a dtype holds all numbers of another, or at least these, exactly.
fn holds(dtype: DType, other: DType, values: Option<&[f64]>) -> bool {
    // The bits of the significand, and of the integers; how far a float's exponent reaches.
    let bits = |d: DType| match d {
        DType::F16 => Some((11, 5)),
        DType::BF16 => Some((8, 8)),
        DType::F32 => Some((24, 8)),
        DType::F64 => Some((53, 11)),
        _ => None,
    };
    let width = other.size() as u32 * 8 - u32::from(matches!(other, DType::I8 | DType::I16 | DType::I32 | DType::I64));
    let each = |f: &dyn Fn(f64) -> bool| values.is_some_and(|v| v.iter().all(|&x| f(x)));
    let small = |x: f64| x.trunc() == x && x.abs() <= 256.0;
    match (bits(dtype), bits(other)) {
        _ if dtype == DType::F32 && each(&|x| f64::from(x as f32) == x) => true,
        (Some((own, reach)), Some((needed, far))) => (own >= needed && reach >= far) || each(&small),
        (Some((own, _)), None) => own >= width || each(&small),
        // Negative exponents are kept from unsigned bases.
        (None, _) => each(&|x| x.trunc() == x && (0.0..128.0).contains(&x)),
    }
}

/// `Min`, `Max` and `Sum` take any number of tensors.
fn variadic(cx: &mut Parse<'_>, f: BinaryFn, inputs: &[ValueId]) -> Result<Vec<ValueId>, OpError> {
    let (&first, rest) = inputs.split_first().ok_or_else(|| OpError::invalid("at least one input is needed"))?;
    let mut all = first;
    for &next in rest {
        all = cx.add(Binary { f }, &[all, next])?;
    }
    Ok(vec![all])
}

/// Before opset 7 the second operand was broadcast only if `broadcast` was set, with its dims aligned at `axis`.
fn legacy_broadcast(cx: &mut Parse<'_>, a: ValueId, b: ValueId) -> Result<ValueId, OpError> {
    let Some(axis) = cx.opt_int("axis")? else { return Ok(b) };
    let (outer, inner) = (cx.rank(a)?, cx.rank(b)?);
    let axis = crate::ops::infer::resolve_axis(axis, outer.max(1))?;
    let trailing = outer.checked_sub(axis + inner).ok_or_else(|| OpError::invalid("the second input does not fit at this axis"))?;
    let axes = (inner..inner + trailing).map(|i| i as i64).collect();
    cx.add(crate::ops::shape::reshape::Reshape::Unsqueeze { axes }, &[b])
}

/// A function of two elements, broadcast. Comparisons and logic give bool, the others the dtype of the inputs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Binary {
    /// The function.
    pub f: BinaryFn,
}

impl BinaryFn {
    /// Whether the result is bool whatever the inputs are.
    pub fn compares(self) -> bool {
        use BinaryFn as B;
        matches!(self, B::Less | B::LessOrEqual | B::Greater | B::GreaterOrEqual | B::Equal)
    }

    /// The function over f32 that a fused loop can compute.
    pub fn formula(self) -> Option<F> {
        macro_rules! same {
            ($($name:ident)*) => { match self { $(Self::$name => Some(F::$name),)* _ => None } };
        }
        same!(Add Sub Mul Div Min Max Pow Mod Fmod Less LessOrEqual Greater GreaterOrEqual Equal)
    }

    /// The name, the same in the runtime's enums.
    pub fn variant(self) -> &'static str {
        macro_rules! names {
            ($($name:ident)*) => { match self { $(Self::$name => stringify!($name),)* } };
        }
        names!(Add Sub Mul Div Min Max Pow Mod Fmod BitAnd BitOr BitXor ShiftLeft ShiftRight Less LessOrEqual Greater GreaterOrEqual Equal And Or Xor)
    }

    /// The function of two symbolic integers.
    fn symbolic(self, cx: &Infer<'_>, a: Dim, b: Dim) -> Option<Dim> {
        let d = cx.dims;
        match self {
            Self::Add => Some(d.add(a, b)),
            Self::Sub => Some(d.sub(a, b)),
            Self::Mul => Some(d.mul(a, b)),
            // ONNX rounds towards zero: the same only where nothing is negative.
            Self::Div if d.bounds(a).0 >= 0 && d.bounds(b).0 > 0 => Some(d.floor_div(a, b)),
            Self::Mod if d.bounds(b).0 > 0 => Some(d.modulo(a, b)),
            Self::Min => Some(d.min(a, b)),
            Self::Max => Some(d.max(a, b)),
            _ => None,
        }
    }
}

impl Operator for Binary {
    fn infer(&mut self, cx: &mut Infer<'_>) -> Result<Vec<Fact>, OpError> {
        let (a, b) = (cx.dtype(0)?, cx.dtype(1)?);
        if a != b {
            return Err(OpError::invalid(format!("the inputs must have one dtype, they have {a} and {b}")));
        }
        let shape = cx.broadcast(&[cx.shape(0)?, cx.shape(1)?]);
        let dtype = if self.f.compares() { DType::Bool } else { a };
        if let (Some(x), Some(y), true) = (cx.elements(0), cx.elements(1), shape.len() <= 1 && dtype.is_int() && !self.f.compares()) {
            let count = x.len().max(y.len());
            let at = |v: &[Option<Dim>], i: usize| v.get(if v.len() == 1 { 0 } else { i }).copied().flatten();
            let pair = |i| at(&x, i).zip(at(&y, i)).and_then(|(p, q)| self.f.symbolic(cx, p, q));
            let elements = if x.is_empty() || y.is_empty() { Vec::new() } else { (0..count).map(pair).collect() };
            return Ok(vec![Fact::elements(dtype, shape, elements, cx.dims)]);
        }
        if self.f == BinaryFn::Equal
            && let Some(truth) = decided(cx)
        {
            let tensor = crate::ir::Tensor::scalar(onnxc_runtime::element::Bool::from(truth));
            let tensor = if shape.is_empty() { Some(tensor) } else { tensor.reshaped(vec![1; shape.len()]) };
            if let Some(tensor) = tensor {
                return Ok(vec![Fact::constant(tensor, cx.dims)]);
            }
        }
        Ok(vec![Fact::tensor(dtype, shape)])
    }

    fn permuted(&self, _perm: &[usize], inputs: usize) -> Option<(Op, Vec<usize>)> {
        Some((self.clone().into(), (0..inputs).collect()))
    }

    fn lower(&self, cx: &mut Lower<'_>) -> Result<(), OpError> {
        let (a, b) = (cx.input(0)?, cx.input(1)?);
        let out = cx.output(0)?;
        if let (DType::F32, DType::F32, Some(f)) = (a.dtype, out.dtype, self.f.formula()) {
            let (shape, strides) = loop_nest(&cx.dims(), &out.shape, &[&a.shape, &b.shape]);
            let strides = strides.into_iter().map(Arg::Usizes);
            let args = [Arg::Cx, out.write(), a.read(), b.read(), Arg::Usizes(shape)].into_iter().chain(strides);
            let args = args.chain([Arg::Variant("words::Binary", f.variant())]).collect();
            return cx.call(crate::kernel!(words::binary(_, _, _, _, _, _, _, _)), args);
        }
        let (shape, strides) = loop_nest(&cx.dims(), &out.shape, &[&a.shape, &b.shape]);
        let args = [out.write(), a.read(), b.read(), Arg::Usizes(shape)].into_iter().chain(strides.into_iter().map(Arg::Usizes));
        let with = |kind, name| args.clone().chain([Arg::Variant(kind, name)]).collect::<Vec<_>>();
        let name = self.f.variant();
        match (self.f.compares(), a.dtype) {
            (true, DType::String) => cx.call(crate::kernel!(elementwise::equal_strings(_, _, _, _, _, _)), args.collect()),
            (true, _) => {
                let kernel = crate::kernel!(elementwise::compare(_, _, _, _, _, _, _) for ordered(a.dtype));
                cx.call(kernel, with("elementwise::CompareOp", name))
            }
            (false, DType::Bool) => cx.call(crate::kernel!(elementwise::logic(_, _, _, _, _, _, _)), with("elementwise::LogicOp", name)),
            (false, _) => {
                cx.call(crate::kernel!(elementwise::binary(_, _, _, _, _, _, _) for num(a.dtype)), with("elementwise::BinaryOp", name))
            }
        }
    }
}

/// Whether two symbolic scalars are certainly equal or certainly not.
fn decided(cx: &Infer<'_>) -> Option<bool> {
    let (a, b) = (cx.elements(0)?, cx.elements(1)?);
    let (&[Some(a)], &[Some(b)]) = (a.as_slice(), b.as_slice()) else { return None };
    let (low, high) = cx.dims.bounds(cx.dims.sub(a, b));
    if a == b {
        Some(true)
    } else if low > 0 || high < 0 {
        Some(false)
    } else {
        None
    }
}

crate::param_enum!(elementwise::BinaryOp { Add, Sub, Mul, Div, Min, Max, Pow, Mod, Fmod, BitAnd, BitOr, BitXor, ShiftLeft, ShiftRight });
crate::param_enum!(elementwise::CompareOp { Less, LessOrEqual, Greater, GreaterOrEqual, Equal });
crate::param_enum!(elementwise::LogicOp { And, Or, Xor });
