//! `Einsum`: taken apart into diagonals, sums, transposes and matrix products.
//!
//! Operands are folded from the left, two at a time. A label that neither the result nor a later operand needs is summed: by `ReduceSum` if only
//! one operand has it, as the inner dimension of a matrix product if both have it.

use crate::import::Parse;
use crate::ir::ValueId;
use crate::ops::OpError;
use crate::ops::elementwise::binary::{Binary, BinaryFn};
use crate::ops::linear::matmul::MatMul;
use crate::ops::reduce::reduce::{Reduce, ReduceFn};
use crate::ops::shape::diagonal::Diagonal;
use crate::ops::shape::dims_of::DimsOf;
use crate::ops::shape::reshape::Reshape;
use crate::ops::shape::transpose::Transpose;

/// A label: a letter's code, or that of an axis that the ellipsis stands for.
type Label = u32;

/// The labels of the ellipsis's axes count down from here, the last axis first.
const ELLIPSIS: Label = 1 << 30;

/// A tensor whose axes have distinct labels.
#[derive(Clone)]
struct Operand {
    value: ValueId,
    labels: Vec<Label>,
}

/// ONNX `Einsum`.
pub fn parse(cx: &mut Parse<'_>) -> Result<Vec<ValueId>, OpError> {
    let equation = cx.opt_string("equation")?.ok_or_else(|| OpError::invalid("the attribute `equation` is missing"))?;
    let inputs = cx.all_inputs()?;
    let mut ranks = Vec::new();
    for &x in &inputs {
        ranks.push(cx.rank(x)?);
    }
    let equation = Equation::parse(&equation, &ranks)?;
    let mut operands = Vec::new();
    for (&value, labels) in inputs.iter().zip(&equation.inputs) {
        operands.push(diagonal(cx, value, labels)?);
    }
    drop_ones(cx, &mut operands)?;
    let mut rest = operands.into_iter();
    let mut all = rest.next().ok_or_else(|| OpError::invalid("at least one input is needed"))?;
    let mut rest: std::collections::VecDeque<Operand> = rest.collect();
    loop {
        let next = rest.pop_front();
        let needed = |l: &Label| equation.output.contains(l) || rest.iter().any(|o| o.labels.contains(l));
        let other = next.as_ref().map_or(&[][..], |o| &o.labels);
        all = sum_out(cx, all.clone(), |l| needed(l) || other.contains(l))?;
        let Some(next) = next else { break };
        let next = sum_out(cx, next, |l| needed(l) || all.labels.contains(l))?;
        all = contract(cx, &all, &next, needed)?;
    }
    let result = arrange(cx, &all, &equation.output)?;
    Ok(vec![result])
}

/// An equation with every axis labelled.
#[derive(Debug, PartialEq)]
struct Equation {
    inputs: Vec<Vec<Label>>,
    output: Vec<Label>,
}

impl Equation {
    fn parse(text: &str, ranks: &[usize]) -> Result<Self, OpError> {
        let text: String = text.chars().filter(|c| !c.is_whitespace()).collect();
        let (left, right) = text.split_once("->").map_or((text.as_str(), None), |(l, r)| (l, Some(r)));
        let terms: Vec<&str> = left.split(',').collect();
        if terms.len() != ranks.len() {
            return Err(OpError::invalid(format!("the equation has {} operands, {} are given", terms.len(), ranks.len())));
        }
        let mut inputs = Vec::new();
        let mut most = 0;
        for (term, &rank) in terms.iter().zip(ranks) {
            let letters = term.chars().filter(|&c| c != '.').count();
            let dots = rank.checked_sub(letters).filter(|&d| d == 0 || term.contains("..."));
            let dots = dots.ok_or_else(|| OpError::invalid(format!("`{term}` does not fit an operand of rank {rank}")))?;
            most = most.max(dots);
            inputs.push(labels(term, dots)?);
        }
        let output = match right {
            Some(right) => labels(right, if right.contains('.') { most } else { 0 })?,
            None => Self::implicit(&inputs),
        };
        let known = output.iter().all(|l| inputs.iter().flatten().any(|i| i == l));
        let distinct = output.iter().enumerate().all(|(i, l)| !output[..i].contains(l));
        if known && distinct {
            Ok(Self { inputs, output })
        } else {
            Err(OpError::invalid("the result has a label twice, or one that no operand has"))
        }
    }

    /// The ellipsis's axes, then the letters that occur once, in the order of the alphabet.
    fn implicit(inputs: &[Vec<Label>]) -> Vec<Label> {
        let mut all: Vec<Label> = inputs.iter().flatten().copied().collect();
        all.sort_unstable();
        let once = |l: &Label| all.iter().filter(|&a| a == l).count() == 1;
        let mut letters: Vec<Label> = all.iter().copied().filter(|l| *l < ELLIPSIS / 2 && once(l)).collect();
        let mut dots: Vec<Label> = all.iter().copied().filter(|l| *l >= ELLIPSIS / 2).collect();
        dots.dedup();
        dots.append(&mut letters);
        dots
    }
}

/// The labels of a term whose ellipsis stands for that many axes.
fn labels(term: &str, dots: usize) -> Result<Vec<Label>, OpError> {
    let bad = || OpError::invalid(format!("`{term}` is not a list of letters with at most one ellipsis"));
    let (before, after) = term.split_once("...").unwrap_or((term, ""));
    let ellipsis = (0..dots).map(|i| ELLIPSIS - (dots - i) as Label);
    let letters =
        |text: &str| text.chars().map(|c| if c.is_ascii_alphabetic() { Ok(c as Label) } else { Err(bad()) }).collect::<Result<Vec<_>, _>>();
    Ok(letters(before)?.into_iter().chain(ellipsis).chain(letters(after)?).collect())
}

/// Axes with the same label become one.
fn diagonal(cx: &mut Parse<'_>, value: ValueId, labels: &[Label]) -> Result<Operand, OpError> {
    let mut unique: Vec<Label> = Vec::new();
    let mut to = Vec::new();
    for &label in labels {
        let place = unique.iter().position(|&u| u == label).unwrap_or_else(|| {
            unique.push(label);
            unique.len() - 1
        });
        to.push(place);
    }
    let value = if unique.len() == labels.len() { value } else { cx.add(Diagonal { to }, &[value])? };
    Ok(Operand { value, labels: unique })
}

/// Takes axes of one out of operands where another operand has the label too: they broadcast.
fn drop_ones(cx: &mut Parse<'_>, operands: &mut [Operand]) -> Result<(), OpError> {
    let one = cx.dims().int(1);
    for i in 0..operands.len() {
        let shape = cx.shape(operands[i].value)?;
        let shared = |l: &Label| operands.iter().enumerate().any(|(j, o)| j != i && o.labels.contains(l));
        let gone: Vec<usize> = (0..shape.len()).filter(|&a| shape[a] == one && shared(&operands[i].labels[a])).collect();
        if !gone.is_empty() {
            let axes = Some(gone.iter().map(|&a| a as i64).collect());
            let value = cx.add(Reshape::Squeeze { axes }, &[operands[i].value])?;
            let labels = operands[i].labels.iter().enumerate().filter(|(a, _)| !gone.contains(a)).map(|(_, &l)| l).collect();
            operands[i] = Operand { value, labels };
        }
    }
    Ok(())
}

/// Sums the labels that are not kept.
fn sum_out(cx: &mut Parse<'_>, x: Operand, keep: impl Fn(&Label) -> bool) -> Result<Operand, OpError> {
    let axes: Vec<usize> = (0..x.labels.len()).filter(|&a| !keep(&x.labels[a])).collect();
    if axes.is_empty() {
        return Ok(x);
    }
    let value = cx.add(Reduce::over(ReduceFn::Sum, &axes, false), &[x.value])?;
    Ok(Operand { value, labels: x.labels.into_iter().filter(|l| keep(l)).collect() })
}

/// The axes in another order.
fn arrange(cx: &mut Parse<'_>, x: &Operand, order: &[Label]) -> Result<ValueId, OpError> {
    let perm = order.iter().map(|l| x.labels.iter().position(|o| o == l)).collect::<Option<Vec<usize>>>();
    let perm = perm.ok_or_else(|| OpError::invalid("the result has a label that no operand has"))?;
    if perm.is_sorted() { Ok(x.value) } else { cx.add(Transpose { perm }, &[x.value]) }
}

/// The product of two operands, summed over the labels that both have and nobody else needs.
fn contract(cx: &mut Parse<'_>, a: &Operand, b: &Operand, needed: impl Fn(&Label) -> bool) -> Result<Operand, OpError> {
    let shared = |keep: bool| a.labels.iter().copied().filter(|l| b.labels.contains(l) && needed(l) == keep).collect::<Vec<_>>();
    let (batch, inner) = (shared(true), shared(false));
    let only = |x: &Operand, y: &Operand| x.labels.iter().copied().filter(|l| !y.labels.contains(l)).collect::<Vec<_>>();
    let (rows, columns) = (only(a, b), only(b, a));
    let labels = [batch.clone(), rows.clone(), columns.clone()].concat();
    if inner.is_empty() {
        let left = arrange(cx, a, &[batch.clone(), rows.clone()].concat())?;
        let right = arrange(cx, b, &[batch.clone(), columns.clone()].concat())?;
        let left = unsqueeze(cx, left, batch.len() + rows.len(), columns.len())?;
        let right = unsqueeze(cx, right, batch.len(), rows.len())?;
        let value = cx.add(Binary { f: BinaryFn::Mul }, &[left, right])?;
        return Ok(Operand { value, labels });
    }
    let left = matrix(cx, a, &batch, &rows, &inner)?;
    let right = matrix(cx, b, &batch, &inner, &columns)?;
    let product = cx.add(MatMul::default(), &[left, right])?;
    if rows.len() == 1 && columns.len() == 1 {
        return Ok(Operand { value: product, labels });
    }
    let dim = |x: &Operand, at: usize, l: &Label| x.labels.iter().position(|o| o == l).map(|axis| (1, vec![(at, axis)]));
    let copied = (0..batch.len()).map(|axis| Some((1, vec![(2, axis)])));
    let elements = copied.chain(rows.iter().map(|l| dim(a, 0, l))).chain(columns.iter().map(|l| dim(b, 1, l)));
    let elements = elements.collect::<Option<Vec<_>>>().ok_or_else(|| OpError::invalid("a label without an axis"))?;
    let shape = cx.add(DimsOf { elements }, &[a.value, b.value, product])?;
    let value = cx.add(Reshape::To { allow_zero: true }, &[product, shape])?;
    Ok(Operand { value, labels })
}

/// `count` new axes of one at a position.
fn unsqueeze(cx: &mut Parse<'_>, x: ValueId, at: usize, count: usize) -> Result<ValueId, OpError> {
    if count == 0 { Ok(x) } else { cx.add(Reshape::Unsqueeze { axes: (at..at + count).map(|a| a as i64).collect() }, &[x]) }
}

/// An operand as a batch of matrices.
fn matrix(cx: &mut Parse<'_>, x: &Operand, batch: &[Label], rows: &[Label], columns: &[Label]) -> Result<ValueId, OpError> {
    let order = [batch, rows, columns].concat();
    let value = arrange(cx, x, &order)?;
    if rows.len() == 1 && columns.len() == 1 {
        return Ok(value);
    }
    let (start, middle) = (batch.len(), batch.len() + rows.len());
    let merged = |axes: std::ops::Range<usize>| (1, axes.map(|a| (0, a)).collect::<Vec<_>>());
    let elements = (0..start).map(|a| merged(a..a + 1)).chain([merged(start..middle), merged(middle..order.len())]).collect();
    let shape = cx.add(DimsOf { elements }, &[value])?;
    cx.add(Reshape::To { allow_zero: true }, &[value, shape])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equations() {
        let l = |c: char| c as Label;
        let e = Equation::parse("bij, bjk -> bik", &[3, 3]).unwrap();
        assert_eq!(e.output, [l('b'), l('i'), l('k')]);
        let e = Equation::parse("ba", &[2]).unwrap();
        assert_eq!(e.output, [l('a'), l('b')], "implicit results are sorted");
        let e = Equation::parse("...ij,jk", &[4, 2]).unwrap();
        assert_eq!(e.output, [ELLIPSIS - 2, ELLIPSIS - 1, l('i'), l('k')]);
        let e = Equation::parse("...i,...i->...", &[3, 2]).unwrap();
        assert_eq!((e.inputs[1].as_slice(), e.output.as_slice()), (&[ELLIPSIS - 1, l('i')][..], &[ELLIPSIS - 2, ELLIPSIS - 1][..]));
        assert!(Equation::parse("ii", &[2]).unwrap().output.is_empty());
        for (bad, ranks) in [("ij->k", &[2][..]), ("ij", &[3]), ("i,j", &[1]), ("i1", &[2]), ("ij->ii", &[2])] {
            assert!(Equation::parse(bad, ranks).is_err(), "{bad}");
        }
    }
}
