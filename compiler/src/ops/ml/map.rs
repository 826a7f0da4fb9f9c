//! `ZipMap`, `DictVectorizer`, `CastMap`: tables to maps and back.

use super::encode::{Duplicates, sorted};
use super::{labels, rows};
use crate::import::Parse;
use crate::ir::{DType, Fact, Tensor, Type, ValueId};
use crate::lower::Lower;
use crate::ops::elementwise::cast;
use crate::ops::slice::gather::Gather;
use crate::ops::slice::output_shape;
use crate::ops::{Infer, OpError, Operator};
use crate::program::Arg;
use serde::{Deserialize, Serialize};

/// ONNX `ZipMap`: each row as a map from class labels. Of equal labels the last counts, as in ONNX Runtime.
pub fn parse_zip(cx: &mut Parse<'_>) -> Result<Vec<ValueId>, OpError> {
    let labels = labels(cx, "classlabels_int64s")?;
    let x = cx.input(0)?;
    let x = rows(cx, x)?;
    let x = cast::to(cx, x, DType::F32)?;
    let columns = cx.shape(x)?[1];
    if cx.dims().value(columns).is_some_and(|n| n != labels.len() as i64) {
        return Err(OpError::invalid(format!("{} class labels for another number of columns", labels.len())));
    }
    let (unique, kept) = sorted(&labels, Duplicates::Last)?;
    if unique.len() < labels.len() {
        let columns = cx.i64s(&kept.iter().map(|&i| i as i64).collect::<Vec<_>>());
        let x = cx.add(Gather { axis: 1 }, &[x, columns])?;
        let keys = cx.constant(unique);
        return cx.add(Maps::Zip, &[x, keys]).map(|v| vec![v]);
    }
    let keys = cx.constant(labels);
    cx.add(Maps::Zip, &[x, keys]).map(|v| vec![v])
}

/// ONNX `DictVectorizer`: a row with the value of each key of the vocabulary, zero or empty where the map lacks it.
pub fn parse_vectorizer(cx: &mut Parse<'_>) -> Result<Vec<ValueId>, OpError> {
    let strings = cx.strings("string_vocabulary")?.unwrap_or_default();
    let ints = cx.ints("int64_vocabulary")?.unwrap_or_default();
    if strings.is_empty() == ints.is_empty() {
        return Err(OpError::invalid("one vocabulary is needed"));
    }
    let count = strings.len();
    let vocabulary = if ints.is_empty() { Tensor::strings(vec![count], strings) } else { Some(Tensor::vector(&ints)) };
    let vocabulary = vocabulary.map(|v| cx.constant(v)).ok_or_else(|| OpError::invalid("the vocabulary"))?;
    let x = cx.input(0)?;
    cx.add(Maps::Vectorize, &[x, vocabulary]).map(|v| vec![v])
}

/// ONNX `CastMap`: the values in the order of their keys, or each at the place that its key is.
pub fn parse_cast(cx: &mut Parse<'_>) -> Result<Vec<ValueId>, OpError> {
    let to = match cx.string("cast_to", "TO_FLOAT")?.as_str() {
        "TO_FLOAT" => DType::F32,
        "TO_STRING" => DType::String,
        "TO_INT64" => DType::I64,
        other => return Err(OpError::invalid(format!("cast_to is `{other}`"))),
    };
    let places = match cx.string("map_form", "DENSE")?.as_str() {
        "DENSE" => None,
        "SPARSE" => {
            let most = cx.int("max_map", 1)?;
            Some(
                usize::try_from(most)
                    .ok()
                    .filter(|m| (1..1 << 31).contains(m))
                    .ok_or_else(|| OpError::invalid(format!("max_map is {most}")))?,
            )
        }
        other => return Err(OpError::invalid(format!("map_form is `{other}`"))),
    };
    let x = cx.input(0)?;
    cx.add(Maps::Cast { to, places }, &[x]).map(|v| vec![v])
}

/// What is done with maps.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Maps {
    /// Each row of input 0 as a map, with the keys of input 1.
    Zip,
    /// A row of input 0's values for the keys of input 1.
    Vectorize,
    /// A row of input 0's values as another dtype.
    Cast {
        /// The dtype: float, string or int64.
        #[serde(with = "crate::ir::dtype_text")]
        to: DType,
        /// How many places there are, of which the keys are some; `None`: one place a value, in the order of the keys.
        places: Option<usize>,
    },
}

/// Key and value dtype of a map.
fn map_type(cx: &Infer<'_>) -> Result<(DType, DType), OpError> {
    match cx.ty(0)? {
        Type::Map(key, value) => match **value {
            Type::Tensor(dtype, _) => Ok((*key, dtype)),
            _ => Err(OpError::invalid("a map to tensors is needed")),
        },
        _ => Err(OpError::invalid("a map is needed")),
    }
}

impl Operator for Maps {
    fn infer(&mut self, cx: &mut Infer<'_>) -> Result<Vec<Fact>, OpError> {
        let one = cx.int(1);
        Ok(vec![match self {
            Self::Zip => {
                let (&[_, columns], &[keys]) = (cx.shape(0)?.as_slice(), cx.shape(1)?.as_slice()) else {
                    return Err(OpError::invalid("a table of rows is needed"));
                };
                cx.require_equal(columns, keys, "the columns and the class labels");
                let value = Type::Tensor(DType::F32, Some(Vec::new()));
                Fact::of(Type::Sequence(Box::new(Type::Map(cx.dtype(1)?, Box::new(value)))))
            }
            Self::Vectorize => {
                let (key, value) = map_type(cx)?;
                if key != cx.dtype(1)? {
                    return Err(OpError::invalid(format!("the map's keys are {key}, the vocabulary is {}", cx.dtype(1)?)));
                }
                Fact::tensor(value, vec![one, cx.shape(1)?[0]])
            }
            Self::Cast { to, places } => {
                let (DType::I64, DType::F32 | DType::String) = map_type(cx)? else {
                    return Err(OpError::invalid("a map from int64 to float or string is needed"));
                };
                Fact::tensor(*to, vec![one, places.map_or_else(|| cx.fresh(), |n| cx.int(n as i64))])
            }
        }])
    }

    fn folds(&self) -> bool {
        false
    }

    fn lower(&self, cx: &mut Lower<'_>) -> Result<(), OpError> {
        match self {
            Self::Zip => {
                let (x, keys) = (cx.input(0)?, cx.input(1)?);
                let out = Arg::OutObject { buffer: cx.output_object(0)?, update: false };
                let args = vec![out, x.read(), keys.read(), Arg::Usize(x.shape[0]), Arg::DType(keys.dtype)];
                cx.call(crate::kernel!(ml::map::zip(_, _, _, _, _) for any(keys.dtype)), args)
            }
            Self::Vectorize => {
                let (map, keys) = (Arg::InObject(cx.object(0)?), cx.input(1)?);
                let out = cx.output(0)?;
                let args = vec![out.write(), map, keys.read(), Arg::DType(out.dtype)];
                if keys.dtype == DType::String {
                    cx.call(crate::kernel!(ml::map::values_of_strings(_, _, _, _) for any(out.dtype)), args)
                } else {
                    cx.call(crate::kernel!(ml::map::values_of_ints(_, _, _, _) for any(out.dtype)), args)
                }
            }
            Self::Cast { to, places } => {
                let map = Arg::InObject(cx.object(0)?);
                if places.is_none() {
                    let shape = output_shape(cx, 0)?;
                    cx.call_binding(crate::kernel!(ml::map::count(_, _)), &shape[1..], |bind| vec![bind, map.clone()])?;
                }
                let out = cx.output(0)?;
                let args = vec![out.write(), map, Arg::Bool(places.is_some())];
                match to {
                    DType::F32 => cx.call(crate::kernel!(ml::map::cast_to_float(_, _, _)), args),
                    DType::I64 => cx.call(crate::kernel!(ml::map::cast_to_int(_, _, _)), args),
                    _ => cx.call(crate::kernel!(ml::map::cast_to_string(_, _, _)), args),
                }
            }
        }
    }
}
