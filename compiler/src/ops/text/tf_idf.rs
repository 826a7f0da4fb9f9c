//! `TfIdfVectorizer`: how often n-grams of a pool occur in each row.

use crate::import::Parse;
use crate::ir::{DType, Fact, Tensor, ValueId};
use crate::lower::Lower;
use crate::ops::{Infer, OpError, Operator};
use crate::program::Arg;
use serde::{Deserialize, Serialize};

crate::param_enum!(text::Weighting { Tf, Idf, TfIdf });

/// ONNX `TfIdfVectorizer`.
pub fn parse(cx: &mut Parse<'_>) -> Result<Vec<ValueId>, OpError> {
    let weighting = match cx.string("mode", "")?.as_str() {
        "TF" => "Tf",
        "IDF" => "Idf",
        "TFIDF" => "TfIdf",
        other => return Err(OpError::invalid(format!("the mode is `{other}`"))),
    };
    let size = |name: &str| -> Result<usize, OpError> {
        let given = cx.int(name, 0)?;
        usize::try_from(given).ok().filter(|&v| v < 1 << 20).ok_or_else(|| OpError::invalid(format!("{name} is {given}")))
    };
    let (least, most, skips) = (size("min_gram_length")?, size("max_gram_length")?, size("max_skip_count")?);
    let counts = cx.ints("ngram_counts")?.unwrap_or_default();
    let starts = counts.iter().map(|&c| usize::try_from(c)).collect::<Result<Vec<_>, _>>();
    let starts = starts.map_err(|_| OpError::invalid("ngram_counts has a negative number"))?;
    let indexes = cx.ints("ngram_indexes")?.unwrap_or_default();
    let weights = cx.floats("weights")?.unwrap_or_default();
    let (pool, order) = match (cx.strings("pool_strings")?, cx.ints("pool_int64s")?) {
        (Some(pool), _) => (Tensor::strings(vec![pool.len()], pool.clone()), sorted(&pool, &starts)?),
        (None, Some(pool)) => (Some(Tensor::vector(&pool)), sorted(&pool, &starts)?),
        (None, None) => return Err(OpError::invalid("there is no pool")),
    };
    if order.len() > indexes.len() || indexes.iter().any(|&i| !(0..1 << 31).contains(&i)) {
        return Err(OpError::invalid("ngram_indexes does not fit the pool"));
    }
    let pool = pool.ok_or_else(|| OpError::invalid("the pool"))?;
    let width = indexes.iter().max().map_or(0, |m| m + 1);
    let mut x = cx.input(0)?;
    if cx.dtype(x)? != DType::String && cx.dtype(x)? != DType::I64 {
        let like = cx.i64s(&[]);
        x = crate::ops::elementwise::cast::like(cx, x, like)?;
    }
    if cx.dtype(x)? != pool.dtype {
        return Err(OpError::invalid("the pool and the input have different dtypes"));
    }
    let op = TfIdf { width, starts, least, most, skips, weighting: weighting.to_owned() };
    let inputs = [x, cx.constant(pool), cx.i64s(&order), cx.i64s(&indexes), cx.constant(Tensor::vector(&weights))];
    cx.add(op, &inputs).map(|v| vec![v])
}

/// The n-grams of each length in ascending order, by their numbers within the length.
fn sorted<T: Ord>(pool: &[T], starts: &[usize]) -> Result<Vec<i64>, OpError> {
    let mut all = Vec::new();
    for (i, &start) in starts.iter().enumerate() {
        let end = starts.get(i + 1).copied().unwrap_or(pool.len());
        let items = pool.get(start..end).ok_or_else(|| OpError::invalid("ngram_counts does not fit the pool"))?;
        let mut order: Vec<usize> = (0..items.len() / (i + 1)).collect();
        order.sort_by(|&a, &b| items[a * (i + 1)..(a + 1) * (i + 1)].cmp(&items[b * (i + 1)..(b + 1) * (i + 1)]).then(a.cmp(&b)));
        all.extend(order.into_iter().map(|k| k as i64));
    }
    Ok(all)
}

/// Inputs: the rows, the pool, the order of its n-grams, where each counts, weights (perhaps none). See `onnxc_runtime::kernels::text::tf_idf`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TfIdf {
    width: i64,
    starts: Vec<usize>,
    least: usize,
    most: usize,
    skips: usize,
    weighting: String,
}

impl Operator for TfIdf {
    fn infer(&mut self, cx: &mut Infer<'_>) -> Result<Vec<Fact>, OpError> {
        let mut shape = cx.shape(0)?;
        if shape.len() > 2 {
            return Err(OpError::invalid(format!("the rank is {}, it must be 1 or 2", shape.len())));
        }
        shape.pop();
        shape.push(cx.int(self.width));
        Ok(vec![Fact::tensor(DType::F32, shape)])
    }

    fn lower(&self, cx: &mut Lower<'_>) -> Result<(), OpError> {
        let x = cx.input(0)?;
        let tables = (1..5).map(|i| cx.input(i).map(|t| t.read())).collect::<Result<Vec<_>, _>>()?;
        let row = x.shape.last().copied().unwrap_or_else(|| cx.int(1));
        let out = cx.output(0)?;
        let int = |v: usize| cx.int(v as i64);
        let weighting = match self.weighting.as_str() {
            "Idf" => "Idf",
            "TfIdf" => "TfIdf",
            _ => "Tf",
        };
        let sizes = vec![
            Arg::Usize(row),
            Arg::Usizes(self.starts.iter().map(|&s| int(s)).collect()),
            Arg::Usize(int(self.least)),
            Arg::Usize(int(self.most)),
            Arg::Usize(int(self.skips)),
            Arg::Variant("text::Weighting", weighting),
        ];
        let args = [vec![out.write(), x.read()], tables, sizes].concat();
        cx.call(crate::kernel!(text::tf_idf(_, _, _, _, _, _, _, _, _, _, _, _) for order(x.dtype)), args)
    }
}
