//! Scaled dot-product attention as exporters decompose it: two products around a softmax, with a scale, a mask, and transposes.
//!
//! Operands that are split into heads by a transpose are read as they lay before it, and the result is written as the transpose after it leaves it;
//! heads that a reshape cut out of a row are left there.

use crate::ir::graph::{Graph, Node, NodeError, ValueId};
use crate::ir::{DType, Tensor};
use crate::ops::Op;
use crate::ops::elementwise::where_::Where;
use crate::ops::nn::attention::Attention;
use crate::ops::shape::reshape::Reshape;
use crate::ops::shape::transpose::Transpose;
use crate::passes::pattern::{self, Place, Row};
use crate::passes::peephole::{Site, apply, scaled};

/// See the module's documentation.
pub fn run(graph: &Graph) -> Result<Graph, NodeError> {
    apply(&apply(&pattern::run(graph, TABLE)?, &[turned])?, &[in_rows])
}

/// Formulas of attentions; `k` is transposed, `m` is a mask, `c` the scale, `clow` what hidden scores become.
pub const TABLE: &[Row] = &[
    Row { name: "plain", formula: "matmul(softmax(matmul(q, k) * c), v)", build: plain },
    Row { name: "masked", formula: "matmul(softmax(matmul(q, k) * c + m), v)", build: masked },
    Row { name: "kept", formula: "matmul(softmax(where(m, matmul(q, k) * c, clow)), v)", build: kept },
    Row { name: "hidden", formula: "matmul(softmax(where(m, clow, matmul(q, k) * c)), v)", build: hidden },
    // PyTorch: a query that sees nothing gives zeros.
    Row {
        name: "masked, blind queries give zero",
        formula: "p = softmax(matmul(q, k) * c + m); matmul(where(is_nan(p), 0, p), v)",
        build: masked_or_zero,
    },
];

fn plain(place: &mut Place<'_>) -> Result<Option<ValueId>, NodeError> {
    attention(place, None, true)
}

fn masked(place: &mut Place<'_>) -> Result<Option<ValueId>, NodeError> {
    attention(place, place.value("m"), true)
}

fn masked_or_zero(place: &mut Place<'_>) -> Result<Option<ValueId>, NodeError> {
    attention(place, place.value("m"), false)
}

/// What is added to a score makes it this low, whatever it was.
const LOW: f32 = -1e30;

fn kept(place: &mut Place<'_>) -> Result<Option<ValueId>, NodeError> {
    let (Some(m), Some(low)) = (place.value("m"), place.constant("clow")) else { return Ok(None) };
    if low > LOW {
        return Ok(None);
    }
    let (zero, low) = (place.tensor(Tensor::scalar(0f32)), place.tensor(Tensor::scalar(low)));
    let mask = place.add(Where, &[m, zero, low])?;
    attention(place, Some(mask), true)
}

fn hidden(place: &mut Place<'_>) -> Result<Option<ValueId>, NodeError> {
    let (Some(m), Some(low)) = (place.value("m"), place.constant("clow")) else { return Ok(None) };
    if low > LOW {
        return Ok(None);
    }
    let (zero, low) = (place.tensor(Tensor::scalar(0f32)), place.tensor(Tensor::scalar(low)));
    let mask = place.add(Where, &[m, low, zero])?;
    attention(place, Some(mask), true)
}

/// An operand of an attention: where it can be read, and by what it is to be multiplied.
struct Operand {
    value: ValueId,
    by_position: bool,
    scale: f32,
}

/// The operand that `value` is, with the last two axes swapped if `swapped`: goes back over transposes and constant factors as far as that helps.
fn operand(graph: &Graph, mut value: ValueId, swapped: bool) -> Option<Operand> {
    let rank = graph.fact(value).shape()?.len();
    // Axis `i` of what is wanted is axis `perm[i]` of `value`.
    let mut perm: Vec<usize> = (0..rank).collect();
    if swapped {
        perm.swap(rank.checked_sub(2)?, rank - 1);
    }
    let (mut scale, mut best) = (1.0, None);
    loop {
        let fits = match perm[..] {
            [0, 1, 2] | [0, 1, 2, 3] => Some(false),
            [0, 2, 1, 3] => Some(true),
            _ => None,
        };
        if let Some(by_position) = fits {
            best = Some(Operand { value, by_position, scale });
        }
        if let Some((x, c)) = scaled(graph, value).filter(|(x, _)| graph.fact(*x).ty == graph.fact(value).ty) {
            (value, scale) = (x, scale * c);
        } else if let Some((node, _)) = graph.producer(value)
            && let Op::Transpose(Transpose { perm: inner }) = &node.op
        {
            perm = perm.iter().map(|&i| inner[i]).collect();
            value = node.inputs[0]?;
        } else {
            return best;
        }
    }
}

/// Whether a mask of this shape broadcasts to the scores without making them larger.
fn broadcasts(place: &Place<'_>, mask: ValueId, scores: &[crate::ir::Dim]) -> bool {
    let (fact, one) = (place.new.fact(mask), place.new.dims.int(1));
    let Some(shape) = fact.shape().filter(|s| fact.dtype() == Some(DType::F32) && s.len() <= scores.len()) else { return false };
    shape.iter().rev().zip(scores.iter().rev()).all(|(&m, &s)| m == one || m == s)
}

fn attention(place: &mut Place<'_>, mask: Option<ValueId>, blind_is_nan: bool) -> Result<Option<ValueId>, NodeError> {
    let (Some(q), Some(k), Some(v), Some(scale)) = (place.value("q"), place.value("k"), place.value("v"), place.constant("c")) else {
        return Ok(None);
    };
    let (Some(qs), Some(ks), Some(vs)) = (shape(place, q), shape(place, k), shape(place, v)) else { return Ok(None) };
    let rank = qs.len();
    // Batches must be the same; the heads of keys and values are those of the query, or one.
    let one = place.new.dims.int(1);
    let same = rank == ks.len() && rank == vs.len() && matches!(rank, 3 | 4) && qs[0] == ks[0] && ks[0] == vs[0];
    if !same || (rank == 4 && (ks[1] != vs[1] || (qs[1] != ks[1] && ks[1] != one))) {
        return Ok(None);
    }
    let mut scores = qs.clone();
    scores[rank - 1] = ks[rank - 1];
    if mask.is_some_and(|m| !broadcasts(place, m, &scores)) {
        return Ok(None);
    }
    let (Some(q), Some(k), Some(v)) = (operand(place.new, q, false), operand(place.new, k, true), operand(place.new, v, false)) else {
        return Ok(None);
    };
    if v.scale != 1.0 {
        return Ok(None);
    }
    let scale = scale * q.scale * k.scale;
    let heads = (rank == 3).then_some(1);
    let by_position = [q.by_position, k.by_position, v.by_position, false];
    let op = Attention { scale: Some(scale), by_position, blind_is_nan, ..Attention::of_heads(heads, heads) };
    let mut inputs = vec![q.value, k.value, v.value];
    if let Some(mask) = mask {
        // Without heads a mask of rank 3 has the batch first.
        let sized = shape(place, mask).is_some_and(|s| s.len() == 3) && rank == 3;
        inputs.push(if sized { place.add(Reshape::Unsqueeze { axes: vec![1] }, &[mask])? } else { mask });
    }
    place.add(op, &inputs).map(Some)
}

fn shape(place: &Place<'_>, value: ValueId) -> Option<Vec<crate::ir::Dim>> {
    place.new.fact(value).shape().map(<[_]>::to_vec)
}

/// An attention whose heads are put behind positions: it can write that itself.
fn turned(site: &mut Site<'_>) -> Result<Option<Vec<ValueId>>, NodeError> {
    let Op::Transpose(Transpose { perm }) = &site.node.op else { return Ok(None) };
    let Some(value) = site.input(0) else { return Ok(None) };
    let Some(node) = site.producer(value) else { return Ok(None) };
    let Op::Attention(op) = node.op.clone() else { return Ok(None) };
    if perm[..] != [0, 2, 1, 3] || !site.sole_user(0) || node.outputs.first() != Some(&value) {
        return Ok(None);
    }
    let Some(inputs) = node.inputs.iter().copied().collect::<Option<Vec<_>>>() else { return Ok(None) };
    let origin = node.origin.clone();
    let [q, k, v, out] = op.by_position;
    let op = Attention { by_position: [q, k, v, !out], ..op };
    site.replace(op, &inputs, Some(&origin)).map(|made| Some(made[..1].to_vec()))
}

/// An attention whose heads lie side by side in rows reads them there, as operands of rank 3.
fn in_rows(site: &mut Site<'_>) -> Result<Option<Vec<ValueId>>, NodeError> {
    let Op::Attention(mut op) = site.node.op.clone() else { return Ok(None) };
    let Some(mut inputs) = site.inputs.iter().copied().collect::<Option<Vec<_>>>() else { return Ok(None) };
    let Some(shape) = site.output_shape().filter(|s| s.len() == 4) else { return Ok(None) };
    let sizes = [shape[2], shape[3]].map(|d| site.new.dims.value(d));
    for i in 0..3 {
        // A query in rows gives a result in rows.
        let Some((rows, heads)) = rows(site, inputs[i]).filter(|_| op.by_position[i] && (i > 0 || op.by_position[3])) else { continue };
        if i == 0 && sizes.contains(&None) {
            continue;
        }
        inputs[i] = rows;
        *(if i == 0 { &mut op.q_heads } else { &mut op.kv_heads }) = Some(heads);
    }
    if inputs.iter().copied().map(Some).eq(site.inputs.iter().copied()) {
        return Ok(None);
    }
    let flat = Some(inputs[0]) != site.input(0);
    let mut made = site.replace(op, &inputs, None)?;
    if let (true, [Some(heads), Some(size)]) = (flat, sizes) {
        let shape = site.constant(Tensor::vector(&[0, 0, heads, size]));
        made[0] = site.add(Reshape::To { allow_zero: false }, &[made[0], shape])?;
    }
    Ok(Some(made))
}

/// The rows, and the number of heads, that a reshape cut `[batch, position, head, element]` out of.
fn rows(site: &Site<'_>, value: ValueId) -> Option<(ValueId, i64)> {
    let Node { op: Op::Reshape(_), inputs, .. } = site.producer(value)? else { return None };
    let rows = inputs[0]?;
    let (&[batch, len, heads, _], &[b, l, _]) = (site.new.fact(value).shape()?, site.new.fact(rows).shape()?) else { return None };
    let heads = site.new.dims.value(heads).filter(|_| (batch, len) == (b, l))?;
    Some((rows, heads))
}
