//! Is a result right? Dtypes, shapes, integers, booleans, strings and map keys are exact; floats obey a [`Rule`].

use super::numbers;
use onnxc_runtime::element::DType;
use onnxc_runtime::value::{Map, Tensor, Value};
use std::fmt;

/// What counts as equal for floating-point elements. NaN equals NaN; infinities are exact.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Rule {
    /// `|got - expected| <= atol + rtol * |expected|`, as the official cases are judged (NumPy's `assert_allclose`). Integers may differ by `atol`
    /// where that is 1 or more.
    Elementwise {
        /// Relative tolerance.
        rtol: f64,
        /// Absolute tolerance.
        atol: f64,
    },
    /// `|got - expected| <= tolerance * peak`, the peak being the largest finite magnitude expected of that output in any data set; 1e-9 for f64.
    /// One unit in the last place at the peak is always allowed.
    Peak {
        /// The tolerance for f32 and narrower types.
        tolerance: f64,
    },
    /// Only dtypes and shapes: what the model computes is random.
    Shapes,
}

impl Rule {
    /// The rule of the official cases.
    pub const OFFICIAL: Self = Self::Elementwise { rtol: 1e-3, atol: 1e-7 };
    /// The rule of model folders.
    pub const MODELS: Self = Self::Peak { tolerance: 1e-4 };
    /// The rule of model folders where weights are stored in 16 bits.
    pub const NARROW: Self = Self::Peak { tolerance: 1e-2 };
    /// The rule of model folders where products are of bf16: both factors are rounded.
    pub const BF16: Self = Self::Peak { tolerance: 2e-2 };
}

/// The largest error of a comparison, as a share of what is tolerated and as a number.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Largest {
    /// `|got - expected|`, for [`Rule::Peak`] divided by the peak.
    pub error: f64,
    /// Where: output name, item, index.
    pub place: String,
}

/// Why a result is wrong.
#[derive(Clone, Debug, PartialEq)]
pub struct Mismatch {
    /// Where: output name, item, index.
    pub place: String,
    /// What was expected and what came.
    pub what: String,
    /// The error, if it is one of numbers.
    pub error: Option<f64>,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.what)
    }
}

/// How large an output is and how far two right answers to it are apart, over all data sets of a model: in one set alone its value may be next to
/// nothing, or rounding may happen to agree.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Scale {
    /// The largest finite magnitude.
    pub peak: f64,
    /// The largest distance between the two opinions.
    pub apart: f64,
}

impl Scale {
    /// Of two tensors that are both right; of other values nothing is known.
    pub fn of(expected: &Value, other: Option<&Value>) -> Self {
        let numbers = |value: &Value| value.tensor().ok().and_then(numbers::to_f64s);
        let Some(e) = numbers(expected) else { return Self::default() };
        let Some(o) = other.and_then(numbers).filter(|o| o.len() == e.len()) else { return Self { peak: finite_peak(&e), apart: 0.0 } };
        Self { peak: finite_peak(&e).max(finite_peak(&o)), apart: farthest(&e, &o) }
    }

    /// Of both.
    pub fn and(self, other: Self) -> Self {
        Self { peak: self.peak.max(other.peak), apart: self.apart.max(other.apart) }
    }
}

fn finite_peak(v: &[f64]) -> f64 {
    v.iter().filter(|x| x.is_finite()).fold(0.0f64, |a, x| a.max(x.abs()))
}

fn farthest(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).filter(|d| d.is_finite()).fold(0.0, f64::max)
}

/// Compares a result with what is expected, an output of that `scale`. With `other`, a second opinion on what is right, an element is right when it is close to either, or no
/// farther from the nearer one than the two are from each other at their farthest.
pub fn compare(place: &str, got: &Value, expected: &Value, other: Option<&Value>, scale: Scale, rule: Rule) -> Result<Largest, Mismatch> {
    let mut largest = Largest::default();
    Comparison { rule, scale, largest: &mut largest }.value(place, got, expected, other)?;
    Ok(largest)
}

struct Comparison<'a> {
    rule: Rule,
    scale: Scale,
    largest: &'a mut Largest,
}

fn mismatch(place: &str, what: String) -> Mismatch {
    Mismatch { place: place.to_owned(), what, error: None }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Tensor(_) => "a tensor",
        Value::Sequence(_) => "a sequence",
        Value::Optional(_) => "an optional",
        Value::Map(_) => "a map",
    }
}

impl Comparison<'_> {
    fn value(&mut self, place: &str, got: &Value, expected: &Value, other: Option<&Value>) -> Result<(), Mismatch> {
        match (got, expected) {
            (Value::Tensor(g), Value::Tensor(e)) => {
                let other = other.and_then(|o| o.tensor().ok());
                self.tensor(place, g, e, other)
            }
            (Value::Sequence(g), Value::Sequence(e)) => {
                if g.len() != e.len() {
                    return Err(mismatch(place, format!("{} items, expected {}", g.len(), e.len())));
                }
                let others = other.and_then(|o| o.sequence().ok());
                g.iter()
                    .zip(e)
                    .enumerate()
                    .try_for_each(|(i, (g, e))| self.value(&format!("{place}[{i}]"), g, e, others.and_then(|o| o.get(i))))
            }
            (Value::Optional(None), Value::Optional(None)) => Ok(()),
            (Value::Optional(Some(g)), Value::Optional(Some(e))) => {
                self.value(place, g, e, other.and_then(|o| o.optional().ok().flatten()))
            }
            (Value::Optional(g), Value::Optional(_)) => {
                let (got, expected) = if g.is_some() { ("something", "nothing") } else { ("nothing", "something") };
                Err(mismatch(place, format!("{got}, expected {expected}")))
            }
            (Value::Map(g), Value::Map(e)) => self.map(place, g, e, other.and_then(|o| o.map().ok())),
            // Test data of outputs declared as optional is often stored as the bare value.
            (Value::Optional(Some(g)), e) => self.value(place, g, e, other),
            (g, Value::Optional(Some(e))) => self.value(place, g, e, other),
            (g, e) => Err(mismatch(place, format!("{}, expected {}", kind(g), kind(e)))),
        }
    }

    fn map(&mut self, place: &str, got: &Map, expected: &Map, other: Option<&Map>) -> Result<(), Mismatch> {
        let order = |map: &Map| -> Vec<(String, usize)> {
            let mut keys: Vec<(String, usize)> = match map.keys.as_strings() {
                Some(strings) => strings.iter().cloned().zip(0..).collect(),
                None => map.keys.as_slice::<i64>().unwrap_or_default().iter().map(i64::to_string).zip(0..).collect(),
            };
            keys.sort();
            keys
        };
        let (g, e) = (order(got), order(expected));
        if got.keys.dtype() != expected.keys.dtype() || !g.iter().map(|k| &k.0).eq(e.iter().map(|k| &k.0)) {
            return Err(mismatch(place, format!("keys {:?}, expected {:?}", got.keys, expected.keys)));
        }
        let sorted = |map: &Map, keys: &[(String, usize)]| pick(&map.values, keys.iter().map(|k| k.1));
        let other = other.map(|o| sorted(o, &order(o)));
        self.tensor(&format!("{place} (values)"), &sorted(got, &g), &sorted(expected, &e), other.as_ref())
    }

    fn tensor(&mut self, place: &str, got: &Tensor, expected: &Tensor, other: Option<&Tensor>) -> Result<(), Mismatch> {
        if got.dtype() != expected.dtype() {
            return Err(mismatch(place, format!("dtype {}, expected {}", got.dtype(), expected.dtype())));
        }
        if got.shape() != expected.shape() {
            return Err(mismatch(place, format!("shape {:?}, expected {:?}", got.shape(), expected.shape())));
        }
        if self.rule == Rule::Shapes {
            return Ok(());
        }
        let other = other.filter(|o| o.dtype() == expected.dtype() && o.shape() == expected.shape());
        if let (Some(g), Some(e)) = (got.as_strings(), expected.as_strings()) {
            let o = other.and_then(Tensor::as_strings);
            let wrong = g.iter().zip(e).enumerate().position(|(i, (g, e))| g != e && o.is_none_or(|o| &o[i] != g));
            return wrong.map_or(Ok(()), |i| Err(mismatch(&at(place, expected, i), format!("{:?}, expected {:?}", g[i], e[i]))));
        }
        if got.bytes() == expected.bytes() {
            return Ok(());
        }
        let exact = !expected.dtype().is_float() && !expected.dtype().is_complex();
        self.numbers(place, got, expected, other, exact)
    }

    fn numbers(&mut self, place: &str, got: &Tensor, expected: &Tensor, other: Option<&Tensor>, exact: bool) -> Result<(), Mismatch> {
        let dtype = expected.dtype();
        let all = |t: &Tensor| numbers::to_f64s(t).unwrap_or_default();
        let (g, e, o) = (all(got), all(expected), other.map(all));
        let own =
            Scale { peak: o.as_deref().map_or(0.0, finite_peak).max(finite_peak(&e)), apart: o.as_ref().map_or(0.0, |o| farthest(&e, o)) };
        let Scale { peak, apart } = own.and(self.scale);
        let unit = if matches!(self.rule, Rule::Peak { .. }) && peak > 0.0 && !exact { peak } else { 1.0 };
        for (i, (&g, &e)) in g.iter().zip(&e).enumerate() {
            let near = |e: f64| if g == e || (g.is_nan() && e.is_nan()) { 0.0 } else { (g - e).abs() };
            let second = o.as_ref().map(|o| o[i]);
            let right = |e: f64, error: f64| error == 0.0 || (error.is_finite() && error <= self.tolerance(dtype, e, peak, exact));
            let (mut error, mut ok) = (near(e), right(e, near(e)));
            if let Some(second) = second {
                let distance = near(second);
                ok = ok || right(second, distance) || error.min(distance) <= apart;
                error = error.min(distance);
            }
            let element = if dtype.is_complex() { i / 2 } else { i };
            if !ok {
                let error = if error.is_nan() { f64::INFINITY } else { error / unit };
                let what = if exact { format!("{g}, expected {e}") } else { format!("{g:?}, expected {e:?}, error {error:.2e}") };
                return Err(Mismatch { place: at(place, expected, element), what, error: Some(error) });
            }
            if error.is_finite() && error / unit > self.largest.error {
                *self.largest = Largest { error: error / unit, place: at(place, expected, element) };
            }
        }
        // Equal as numbers but not as bits: 64-bit integers beyond 2^53 must agree exactly all the same.
        if exact && matches!(dtype, DType::I64 | DType::U64) && other.is_none() {
            let wrong = got.bytes().chunks(8).zip(expected.bytes().chunks(8)).position(|(g, e)| g != e);
            return wrong.map_or(Ok(()), |i| Err(mismatch(&at(place, expected, i), "differs in the low bits".to_owned())));
        }
        Ok(())
    }

    fn tolerance(&self, dtype: DType, expected: f64, peak: f64, exact: bool) -> f64 {
        if exact {
            // Only a listed tolerance is as wide as the steps of integers.
            return if let Rule::Elementwise { atol, .. } = self.rule
                && atol >= 1.0
            {
                atol
            } else {
                0.0
            };
        }
        match self.rule {
            Rule::Elementwise { rtol, atol } => {
                // Two units in the last place of bfloat16, as onnx's own runner allows.
                let rtol = if dtype == DType::BF16 { rtol.max(1.0 / 64.0) } else { rtol };
                atol + rtol * expected.abs()
            }
            Rule::Peak { tolerance } => {
                let share = match dtype {
                    DType::F64 | DType::C128 => tolerance * 1e-5,
                    DType::F16 => tolerance.max(1.0 / 1024.0),
                    DType::BF16 => tolerance.max(1.0 / 128.0),
                    _ => tolerance,
                };
                // A tensor of zeros has no peak: what is far below any model's scale passes.
                if peak > 0.0 { share * peak } else { share * 1e-2 }
            }
            Rule::Shapes => f64::INFINITY,
        }
    }
}

/// The place of an element: the output and its index.
fn at(place: &str, tensor: &Tensor, mut element: usize) -> String {
    let mut index = vec![0; tensor.shape().len()];
    for (i, &dim) in index.iter_mut().zip(tensor.shape()).rev() {
        *i = element % dim.max(1);
        element /= dim.max(1);
    }
    if index.is_empty() { place.to_owned() } else { format!("{place}{index:?}") }
}

/// A tensor of one dim of some elements of another.
fn pick(tensor: &Tensor, elements: impl Iterator<Item = usize>) -> Tensor {
    let picked = if let Some(strings) = tensor.as_strings() {
        let strings: Vec<String> = elements.filter_map(|i| strings.get(i).cloned()).collect();
        Tensor::from_strings(&[strings.len()], strings)
    } else {
        let size = tensor.dtype().size();
        let bytes: Vec<u8> = elements.filter_map(|i| tensor.bytes().get(i * size..(i + 1) * size)).flatten().copied().collect();
        Tensor::from_raw(tensor.dtype(), &[bytes.len() / size.max(1)], &bytes)
    };
    picked.unwrap_or_else(|_| tensor.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn f32s(v: &[f32]) -> Value {
        Tensor::from_slice(&[v.len()], v).unwrap().into()
    }

    #[test]
    fn elementwise_is_numpys_rule() {
        let rule = Rule::OFFICIAL;
        let expected = f32s(&[1000.0, 0.0, f32::NAN, f32::INFINITY]);
        let largest = compare("y", &f32s(&[1000.9, 1e-8, f32::NAN, f32::INFINITY]), &expected, None, Scale::default(), rule).unwrap();
        assert!((largest.error - 0.9).abs() < 1e-3 && largest.place == "y[0]");
        assert_eq!(compare("y", &f32s(&[1001.1, 0.0, 0.0, 0.0]), &expected, None, Scale::default(), rule).unwrap_err().place, "y[0]");
        assert_eq!(compare("y", &f32s(&[1000.0, 1e-6, 0.0, 0.0]), &expected, None, Scale::default(), rule).unwrap_err().place, "y[1]");
        assert_eq!(compare("y", &f32s(&[1000.0, 0.0, 0.0, 0.0]), &expected, None, Scale::default(), rule).unwrap_err().place, "y[2]");
        assert_eq!(
            compare("y", &f32s(&[1000.0, 0.0, f32::NAN, f32::MAX]), &expected, None, Scale::default(), rule).unwrap_err().place,
            "y[3]"
        );
    }

    #[test]
    fn peak_is_relative_to_the_largest() {
        let expected = f32s(&[100.0, 1.0]);
        let largest = compare("y", &f32s(&[100.0, 1.005]), &expected, None, Scale::default(), Rule::MODELS).unwrap();
        assert!((largest.error - 5e-5).abs() < 1e-6);
        assert!(compare("y", &f32s(&[100.0, 1.02]), &expected, None, Scale::default(), Rule::MODELS).is_err());
        let double = |v: f64| Value::from(Tensor::from_slice(&[1], &[v]).unwrap());
        assert!(compare("y", &double(1.0 + 5e-10), &double(1.0), None, Scale::default(), Rule::MODELS).is_ok());
        assert!(compare("y", &double(1.0 + 5e-9), &double(1.0), None, Scale::default(), Rule::MODELS).is_err());
    }

    #[test]
    fn two_opinions_widen_what_is_right() {
        let (a, b) = (f32s(&[1.0, 2.0]), f32s(&[1.0, 2.1]));
        for good in [&[1.0, 2.05], &[1.0, 2.15], &[1.05, 2.1]] {
            assert!(compare("y", &f32s(good), &a, Some(&b), Scale::default(), Rule::MODELS).is_ok());
        }
        assert!(compare("y", &f32s(&[1.0, 2.3]), &a, Some(&b), Scale::default(), Rule::MODELS).is_err());
        assert!(compare("y", &f32s(&[1.0, 2.05]), &a, None, Scale::default(), Rule::MODELS).is_err());
    }

    #[test]
    fn an_output_is_judged_over_all_data_sets() {
        let (tiny, got) = (f32s(&[1e-6]), f32s(&[1.1e-6]));
        let scale = Scale::of(&f32s(&[0.5]), None);
        assert_eq!(scale, Scale { peak: 0.5, apart: 0.0 });
        assert!(compare("y", &got, &tiny, None, Scale::default(), Rule::MODELS).is_err());
        assert!(compare("y", &got, &tiny, None, scale, Rule::MODELS).is_ok());
        assert!(compare("y", &f32s(&[1e-4]), &tiny, None, scale, Rule::MODELS).is_err());
        let scale = Scale::of(&f32s(&[1.0, 2.0]), Some(&f32s(&[1.0, 2.25])));
        assert_eq!(scale, Scale { peak: 2.25, apart: 0.25 });
        assert!(compare("y", &f32s(&[1.2]), &f32s(&[1.0]), Some(&f32s(&[1.0])), scale, Rule::MODELS).is_ok());
        assert!(compare("y", &f32s(&[1.3]), &f32s(&[1.0]), Some(&f32s(&[1.0])), scale, Rule::MODELS).is_err());
    }

    #[test]
    fn integers_are_exact_unless_a_whole_step_is_tolerated() {
        let u8s = |v: &[u8]| Value::Tensor(Tensor::from_slice(&[v.len()], v).unwrap());
        let judge = |atol| {
            let rule = Rule::Elementwise { rtol: 0.5, atol };
            compare("", &u8s(&[200, 7]), &u8s(&[202, 7]), None, Scale::default(), rule).is_ok()
        };
        assert_eq!([0.9, 1.0, 2.0].map(judge), [false, false, true]);
    }

    #[test]
    fn everything_else_is_exact() {
        let ints = |v: &[i64]| Value::from(Tensor::from_slice(&[v.len()], v).unwrap());
        assert!(compare("y", &ints(&[1000]), &ints(&[1001]), None, Scale::default(), Rule::OFFICIAL).is_err());
        assert!(compare("y", &ints(&[i64::MAX]), &ints(&[i64::MAX - 1]), None, Scale::default(), Rule::OFFICIAL).is_err());
        let what = |a: &Value, b: &Value| compare("y", a, b, None, Scale::default(), Rule::OFFICIAL).unwrap_err().what;
        assert_eq!(what(&ints(&[1]), &f32s(&[1.0])), "dtype i64, expected f32");
        assert_eq!(what(&f32s(&[1.0, 2.0]), &f32s(&[1.0])), "shape [2], expected [1]");
        assert_eq!(what(&Value::Sequence(vec![]), &f32s(&[1.0])), "a sequence, expected a tensor");
        assert!(compare("y", &ints(&[5]), &ints(&[6]), None, Scale::default(), Rule::Shapes).is_ok());
    }

    #[test]
    fn maps_compare_by_key() {
        let map = |keys: &[i64], values: &[f32]| {
            let keys = Tensor::from_slice(&[keys.len()], keys).unwrap();
            Value::Map(Map { keys, values: Tensor::from_slice(&[values.len()], values).unwrap() })
        };
        assert!(compare("y", &map(&[1, 2], &[0.1, 0.9]), &map(&[2, 1], &[0.9, 0.1]), None, Scale::default(), Rule::OFFICIAL).is_ok());
        assert!(compare("y", &map(&[1, 2], &[0.9, 0.1]), &map(&[2, 1], &[0.9, 0.1]), None, Scale::default(), Rule::OFFICIAL).is_err());
        assert!(compare("y", &map(&[1, 3], &[0.9, 0.1]), &map(&[1, 2], &[0.9, 0.1]), None, Scale::default(), Rule::OFFICIAL).is_err());
    }
}
