//! `SVMClassifier` and `SVMRegressor`.
//!
//! The kernel's values of all rows and support vectors are one product (or one table of distances), and the machines' scores are a second
//! product, with the coefficients of each machine as a column: zeros stand at the vectors of the classes that it does not tell apart.

use super::distance;
use super::linear::scores as linear_scores;
use super::post_transform::{Second, Transform};
use super::{binary, labels, numeric, rows};
use crate::import::Parse;
use crate::ir::{DType, Fact, Tensor, ValueId};
use crate::lower::Lower;
use crate::ops::elementwise::binary::BinaryFn;
use crate::ops::elementwise::cast;
use crate::ops::elementwise::unary::Unary;
use crate::ops::elementwise::where_::Where;
use crate::ops::linear::matmul::MatMul;
use crate::ops::reduce::arg_reduce::ArgReduce;
use crate::ops::reduce::reduce::{Reduce, ReduceFn};
use crate::ops::slice::gather::Gather;
use crate::ops::{Infer, OpError, Operator};
use crate::program::Arg;
use crate::program::formula::Unary as F;
use serde::{Deserialize, Serialize};

/// The attributes that both operators have.
struct Machine {
    coefficients: Vec<f32>,
    vectors: Vec<f32>,
    rho: Vec<f32>,
    kernel: String,
    /// gamma, coef0, degree.
    params: [f32; 3],
}

impl Machine {
    fn of(cx: &Parse<'_>) -> Result<Self, OpError> {
        let params = cx.floats("kernel_params")?.unwrap_or_default();
        let params = match params.as_slice() {
            [] => [0.0; 3],
            &[gamma, coef0, degree] => [gamma, coef0, degree],
            other => return Err(OpError::invalid(format!("kernel_params has {} numbers, it must have 3", other.len()))),
        };
        Ok(Self {
            coefficients: cx
                .floats("coefficients")?
                .filter(|c| !c.is_empty())
                .ok_or_else(|| OpError::invalid("there are no coefficients"))?,
            vectors: cx.floats("support_vectors")?.unwrap_or_default(),
            rho: cx.floats("rho")?.filter(|r| !r.is_empty()).ok_or_else(|| OpError::invalid("there is no rho"))?,
            kernel: cx.string("kernel_type", "LINEAR")?,
            params,
        })
    }

    /// The kernel's value of each row of the input and each of `count` support vectors.
    fn values(&self, cx: &mut Parse<'_>, count: usize) -> Result<ValueId, OpError> {
        let x = cx.input(0)?;
        numeric(cx, x)?;
        let x = rows(cx, x)?;
        let x = cast::to(cx, x, DType::F32)?;
        let features = self.vectors.len().checked_div(count).filter(|&f| f > 0 && f * count == self.vectors.len());
        let vectors = features.and_then(|f| Tensor::new(&[count, f], &self.vectors));
        let vectors = vectors.ok_or_else(|| OpError::invalid(format!("{} numbers for {count} support vectors", self.vectors.len())))?;
        let vectors = cx.constant(vectors);
        let [gamma, coef0, degree] = self.params;
        let product = |cx: &mut Parse<'_>| cx.add(MatMul { transpose_b: true, ..MatMul::default() }, &[x, vectors]);
        match self.kernel.as_str() {
            "LINEAR" => product(cx),
            "POLY" => {
                let base = product(cx)?;
                let base = affine(cx, base, gamma, coef0)?;
                power(cx, base, degree)
            }
            "SIGMOID" => {
                let base = product(cx)?;
                let base = affine(cx, base, gamma, coef0)?;
                cx.add(Unary { f: F::Tanh }, &[base])
            }
            "RBF" => {
                let squares = distance::squared(cx, x, vectors)?;
                let exponent = affine(cx, squares, -gamma, 0.0)?;
                cx.add(Unary { f: F::Exp }, &[exponent])
            }
            other => Err(OpError::invalid(format!("kernel_type is `{other}`"))),
        }
    }
}

/// `x * factor + term`.
fn affine(cx: &mut Parse<'_>, x: ValueId, factor: f32, term: f32) -> Result<ValueId, OpError> {
    let factor = cx.scalar(DType::F32, f64::from(factor))?;
    let scaled = binary(cx, BinaryFn::Mul, x, factor)?;
    if term == 0.0 {
        return Ok(scaled);
    }
    let term = cx.scalar(DType::F32, f64::from(term))?;
    binary(cx, BinaryFn::Add, scaled, term)
}

/// The usual degrees are products: exact for negative bases, and fast.
fn power(cx: &mut Parse<'_>, x: ValueId, degree: f32) -> Result<ValueId, OpError> {
    if degree == 1.0 {
        return Ok(x);
    }
    if degree == 2.0 || degree == 3.0 {
        let square = binary(cx, BinaryFn::Mul, x, x)?;
        return if degree == 2.0 { Ok(square) } else { binary(cx, BinaryFn::Mul, square, x) };
    }
    let degree = cx.scalar(DType::F32, f64::from(degree))?;
    binary(cx, BinaryFn::Pow, x, degree)
}

/// ONNX `SVMClassifier`: one machine for each pair of classes, whose votes decide; with `prob_a` and `prob_b` the scores are probabilities,
/// coupled as libsvm does. Without support vectors: a linear model with a score for each class.
pub fn parse_classifier(cx: &mut Parse<'_>) -> Result<Vec<ValueId>, OpError> {
    let (machine, transform) = (Machine::of(cx)?, Transform::of(cx)?);
    let labels = labels(cx, "classlabels_ints")?;
    let classes = labels.len();
    let sizes = cx.ints("vectors_per_class")?.unwrap_or_default();
    let (a, b) = (cx.floats("prob_a")?.unwrap_or_default(), cx.floats("prob_b")?.unwrap_or_default());
    let sizes = sizes.into_iter().map(usize::try_from).collect::<Result<Vec<usize>, _>>();
    let sizes = sizes.map_err(|_| OpError::invalid("vectors_per_class has a negative number"))?;
    let count = sizes.iter().try_fold(0usize, |sum, &n| sum.checked_add(n)).filter(|&n| n < 1 << 31);
    let count = count.ok_or_else(|| OpError::invalid("vectors_per_class has more vectors than there can be"))?;
    if count == 0 {
        return linear(cx, &machine, transform, &labels);
    }
    let weights = pairs(&machine, classes, &sizes, count)?;
    let (values, weights, rho) = (machine.values(cx, count)?, cx.constant(weights), Tensor::vector(&machine.rho));
    let rho = cx.constant(rho);
    let scores = cx.add(MatMul { bias: true, ..MatMul::default() }, &[values, weights, rho])?;
    let class = cx.add(Svm::Vote { classes }, &[scores])?;
    let labels = cx.constant(labels);
    let label = cx.add(Gather { axis: 0 }, &[labels, class])?;
    let scores = if !a.is_empty() || !b.is_empty() {
        if a.len() != machine.rho.len() || b.len() != machine.rho.len() {
            return Err(OpError::invalid(format!("prob_a has {} and prob_b {} numbers, rho {}", a.len(), b.len(), machine.rho.len())));
        }
        let (a, b) = (cx.constant(Tensor::vector(&a)), cx.constant(Tensor::vector(&b)));
        let probabilities = cx.add(Svm::Probabilities { classes }, &[scores, a, b])?;
        transform.apply(cx, probabilities)?
    } else if classes == 2 {
        transform.of_two(cx, scores, if transform == Transform::None { Second::Negative } else { Second::Complement })?
    } else {
        transform.apply(cx, scores)?
    };
    Ok(vec![label, scores])
}

/// The classifier without support vectors. Of two classes ONNX Runtime takes the second if the greater score is high enough, whosever it is.
fn linear(cx: &mut Parse<'_>, machine: &Machine, transform: Transform, labels: &Tensor) -> Result<Vec<ValueId>, OpError> {
    let classes = labels.len();
    let scores = linear_scores(cx, &machine.coefficients, Some(&vec![machine.rho[0]; classes]), classes)?;
    let mut class = cx.add(ArgReduce { greatest: true, axis: 1, keep_dims: false, select_last: false }, &[scores])?;
    if classes == 2 {
        let positive = machine.coefficients.iter().all(|&c| c >= 0.0);
        let (f, least) = if positive { (BinaryFn::GreaterOrEqual, 0.5) } else { (BinaryFn::Greater, 0.0) };
        let top = cx.add(Reduce::over(ReduceFn::Max, &[1], false), &[scores])?;
        let (least, second) = (cx.scalar(DType::F32, least)?, cx.scalar(DType::I64, 1.0)?);
        let high = binary(cx, f, top, least)?;
        class = cx.add(Where, &[high, second, class])?;
    }
    let labels = cx.constant(labels.clone());
    let label = cx.add(Gather { axis: 0 }, &[labels, class])?;
    Ok(vec![label, if classes == 1 { transform.apply_to_one(cx, scores)? } else { transform.apply(cx, scores)? }])
}

/// The coefficients of the machine for each pair of classes as a column. `coefficients` has `classes - 1` rows of one number for each support
/// vector: in the rows of the machines that its class takes part in.
fn pairs(machine: &Machine, classes: usize, sizes: &[usize], count: usize) -> Result<Tensor, OpError> {
    let starts: Vec<usize> = sizes.iter().scan(0, |at, &n| Some(std::mem::replace(at, *at + n))).collect();
    let machines = classes * (classes - 1) / 2;
    if classes < 2 || sizes.len() != classes {
        return Err(OpError::invalid(format!("vectors_per_class is {sizes:?} for {classes} classes")));
    }
    if machine.coefficients.len() != (classes - 1).saturating_mul(count) || machine.rho.len() != machines {
        return Err(OpError::invalid(format!(
            "{} coefficients and {} rho for {count} support vectors of {classes} classes",
            machine.coefficients.len(),
            machine.rho.len()
        )));
    }
    let mut weights = vec![0f32; machines * count];
    let mut column = 0;
    for i in 0..classes {
        for j in i + 1..classes {
            for (class, row) in [(i, j - 1), (j, i)] {
                for s in starts[class]..starts[class] + sizes[class] {
                    weights[s * machines + column] = machine.coefficients[row * count + s];
                }
            }
            column += 1;
        }
    }
    Tensor::new(&[count, machines], &weights).ok_or_else(|| OpError::invalid("the coefficients"))
}

/// ONNX `SVMRegressor`; with `one_class` the result is 1 or -1. A post-transform does nothing, as in ONNX Runtime.
pub fn parse_regressor(cx: &mut Parse<'_>) -> Result<Vec<ValueId>, OpError> {
    let machine = Machine::of(cx)?;
    Transform::of(cx)?;
    let supports = cx.int("n_supports", 0)?;
    let count = usize::try_from(supports).map_err(|_| OpError::invalid(format!("n_supports is {supports}")))?;
    let rho = &machine.rho[..1];
    let score = if count == 0 {
        linear_scores(cx, &machine.coefficients, Some(rho), 1)?
    } else {
        let weights = Tensor::new(&[count, 1], &machine.coefficients);
        let weights =
            weights.ok_or_else(|| OpError::invalid(format!("{} coefficients for {count} vectors", machine.coefficients.len())))?;
        let values = machine.values(cx, count)?;
        let (weights, rho) = (cx.constant(weights), cx.constant(Tensor::vector(rho)));
        cx.add(MatMul { bias: true, ..MatMul::default() }, &[values, weights, rho])?
    };
    if !cx.flag("one_class", false)? {
        return Ok(vec![score]);
    }
    let [zero, one, minus] = [0.0, 1.0, -1.0].map(|v| cx.constant(Tensor::scalar(v as f32)));
    let inside = binary(cx, BinaryFn::Greater, score, zero)?;
    cx.add(Where, &[inside, one, minus]).map(|v| vec![v])
}

/// What is done with the scores of the machines for each pair of classes, in the order 0-1, 0-2, … 1-2, ….
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Svm {
    /// The class with most votes: a score above zero is one for the first of the pair.
    Vote {
        /// The number of classes.
        classes: usize,
    },
    /// The probability of each class. Inputs 1 and 2: factor and term of the logistic function of each pair.
    Probabilities {
        /// The number of classes.
        classes: usize,
    },
}

impl Operator for Svm {
    fn infer(&mut self, cx: &mut Infer<'_>) -> Result<Vec<Fact>, OpError> {
        let (Self::Vote { classes } | Self::Probabilities { classes }) = *self;
        let &[rows, pairs] = cx.shape(0)?.as_slice() else { return Err(OpError::invalid("a table of scores is needed")) };
        let needed = cx.int((classes * classes.saturating_sub(1) / 2) as i64);
        cx.require_equal(pairs, needed, "the scores and the pairs of classes");
        Ok(vec![match self {
            Self::Vote { .. } => Fact::tensor(DType::I64, vec![rows]),
            Self::Probabilities { .. } => Fact::tensor(DType::F32, vec![rows, cx.int(classes as i64)]),
        }])
    }

    fn lower(&self, cx: &mut Lower<'_>) -> Result<(), OpError> {
        let scores = cx.input(0)?;
        let out = cx.output(0)?;
        match *self {
            Self::Vote { classes } => {
                let classes = cx.int(classes as i64);
                let scratch = cx.temp(DType::I64, &[classes]);
                let args = vec![out.write(), scratch.write(), scores.read()];
                cx.call(crate::kernel!(ml::svm::vote(_, _, _)), args)
            }
            Self::Probabilities { classes } => {
                let (a, b) = (cx.input(1)?, cx.input(2)?);
                let length = cx.int(onnxc_runtime::kernels::ml::svm::scratch_len(classes) as i64);
                let scratch = cx.temp(DType::F32, &[length]);
                let classes = cx.int(classes as i64);
                let args = vec![out.write(), scratch.write(), scores.read(), a.read(), b.read(), Arg::Usize(classes)];
                cx.call(crate::kernel!(ml::svm::probabilities(_, _, _, _, _, _)), args)
            }
        }
    }
}
