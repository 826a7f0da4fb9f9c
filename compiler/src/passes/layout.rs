//! Channels last: convolutions and pooling want their channels on the last axis, the model has them on the second.
//!
//! Each such operator is put between two transposes, and what follows is computed on the channels-last value where the operator can say how
//! ([`Operator::permuted`]), so that transposes remain only where the model enters and leaves the network.

use crate::ir::graph::{Graph, NodeError, Origin, ValueId};
use crate::ir::{DType, Tensor};
use crate::ops::Op;
use crate::ops::shape::reshape::Reshape;
use crate::ops::shape::transpose::Transpose;
use std::collections::HashMap;

/// See the module's documentation.
pub fn run(graph: &Graph) -> Result<Graph, NodeError> {
    let mut layout = Layout::default();
    graph.rebuild(None, &mut |new, old, id, inputs| {
        let node = &old.nodes[id];
        let names: Vec<_> = node.outputs.iter().map(|&v| old.values[v].name.clone()).collect();
        layout.node(new, &node.op, inputs, &node.origin, &names)
    })
}

#[derive(Default)]
struct Layout {
    /// The channels-last twin of a value.
    last: HashMap<ValueId, ValueId>,
}

/// A shuffle of channels.
struct Shuffle {
    /// The channels-last twin of what is shuffled.
    last: ValueId,
    /// The sizes of what is shuffled.
    whole: Vec<i64>,
    /// The same with its channels as two axes.
    grouped: Vec<i64>,
}

/// Channels to the last axis, for a rank.
pub fn to_last(rank: usize) -> Vec<usize> {
    [vec![0], (2..rank).collect(), vec![1]].concat()
}

/// Channels back to the second axis.
pub fn to_first(rank: usize) -> Vec<usize> {
    [vec![0, rank - 1], (1..rank - 1).collect()].concat()
}

impl Layout {
    fn node(
        &mut self,
        new: &mut Graph,
        op: &Op,
        inputs: &[Option<ValueId>],
        origin: &Origin,
        names: &[std::rc::Rc<str>],
    ) -> Result<Option<Vec<ValueId>>, NodeError> {
        if let Some(shuffle) = self.shuffle(new, op, inputs) {
            return self.shuffled(new, op, inputs, &shuffle, origin, names).map(Some);
        }
        let Some((op, data)) = self.channels_last(new, op, inputs) else { return Ok(None) };
        let rank = data.iter().filter_map(|&i| new.fact(inputs[i]?).shape().map(<[_]>::len)).max().unwrap_or(0);
        let mut args = inputs.to_vec();
        for i in data {
            if let Some(value) = &mut args[i] {
                *value = self.twin(new, *value, rank, origin)?;
            }
        }
        let results = new.add(op, &args, origin, names, &[])?;
        let mut outputs = Vec::new();
        for last in results {
            if new.fact(last).shape().map(<[_]>::len) != Some(rank) {
                outputs.push(last);
                continue;
            }
            let first = new.add(Transpose { perm: to_first(rank) }.into(), &[Some(last)], origin, &[], &[])?[0];
            self.last.insert(first, last);
            outputs.push(first);
        }
        Ok(Some(outputs))
    }

    /// Whether a Reshape ends a shuffle of channels, as ShuffleNet has it: `[n, c, …]` as `[n, groups, c / groups, …]`, those two axes swapped,
    /// and back again.
    fn shuffle(&self, new: &Graph, op: &Op, inputs: &[Option<ValueId>]) -> Option<Shuffle> {
        let Op::Reshape(_) = op else { return None };
        let (swap, _) = new.producer(inputs.first().copied().flatten()?)?;
        let Op::Transpose(Transpose { perm }) = &swap.op else { return None };
        let swaps = perm.len() >= 4 && perm.iter().enumerate().all(|(i, &p)| p == [0, 2, 1].get(i).copied().unwrap_or(i));
        let (split, _) = new.producer(swap.inputs.first().copied().flatten()?)?;
        let Op::Reshape(_) = split.op else { return None };
        let (x, grouped) = (split.inputs.first().copied().flatten()?, *split.outputs.first()?);
        let sizes = |v: ValueId| -> Option<Vec<i64>> { new.fact(v).shape()?.iter().map(|&d| new.dims.value(d)).collect() };
        let (whole, grouped) = (sizes(x)?, sizes(grouped)?);
        let fits = grouped.len() == whole.len() + 1 && grouped[0] == whole[0] && grouped[3..] == whole[2..];
        let last = *self.last.get(&x)?;
        (swaps && fits).then_some(Shuffle { last, whole, grouped })
    }

    /// The Reshape as it is, and its twin: the same shuffle of the last axis.
    fn shuffled(
        &mut self,
        new: &mut Graph,
        op: &Op,
        inputs: &[Option<ValueId>],
        shuffle: &Shuffle,
        origin: &Origin,
        names: &[std::rc::Rc<str>],
    ) -> Result<Vec<ValueId>, NodeError> {
        let first = new.add(op.clone(), inputs, origin, names, &[])?;
        let Shuffle { last, whole, grouped } = shuffle;
        let sizes: Option<Vec<i64>> = new.fact(first[0]).shape().and_then(|s| s.iter().map(|&d| new.dims.value(d)).collect());
        if sizes.as_ref() != Some(whole) {
            return Ok(first);
        }
        let rank = grouped.len();
        let reshape = |new: &mut Graph, value: ValueId, sizes: &[i64]| {
            let shape = new.add_const(&format!("{}.shape", origin.node), Tensor::vector(sizes));
            new.add(Reshape::To { allow_zero: true }.into(), &[Some(value), Some(shape)], origin, &[], &[])
        };
        let split = reshape(new, *last, &[&grouped[..1], &grouped[3..], &grouped[1..3]].concat())?[0];
        let perm = (0..rank - 2).chain([rank - 1, rank - 2]).collect();
        let swapped = new.add(Transpose { perm }.into(), &[Some(split)], origin, &[], &[])?[0];
        let twin = reshape(new, swapped, &[&whole[..1], &whole[2..], &whole[1..2]].concat())?[0];
        self.last.insert(first[0], twin);
        Ok(first)
    }

    /// The operator on channels-last operands, and which inputs those are.
    fn channels_last(&self, new: &Graph, op: &Op, inputs: &[Option<ValueId>]) -> Option<(Op, Vec<usize>)> {
        let x = inputs.first().copied().flatten()?;
        let fact = new.fact(x);
        let rank = fact.shape()?.len();
        if rank < 3 {
            return self.follow(new, op, inputs);
        }
        match op {
            Op::Conv(conv) if !conv.channels_last && fact.dtype() == Some(DType::F32) && rank <= 5 => {
                let mut conv = conv.clone();
                conv.channels_last = true;
                let residual = 2 + usize::from(conv.bias);
                let data = if conv.residual { vec![0, residual] } else { vec![0] };
                Some((Op::Conv(conv), data))
            }
            Op::IntegerConv(conv) if !conv.channels_last && rank <= 5 => {
                let mut conv = conv.clone();
                conv.channels_last = true;
                Some((Op::IntegerConv(conv), vec![0]))
            }
            Op::ConvTranspose(conv) if !conv.channels_last && fact.dtype() == Some(DType::F32) && rank <= 5 => {
                let mut conv = conv.clone();
                conv.channels_last = true;
                Some((Op::ConvTranspose(conv), vec![0]))
            }
            Op::Pool(pool) if !pool.channels_last && fact.dtype().is_some_and(|d| pool.kind.runs_last(d)) && rank <= 5 => {
                // Pooling alone is not worth turning the data: it follows what is channels last already.
                self.last.contains_key(&x).then(|| (Op::Pool(crate::ops::nn::pool::Pool { channels_last: true, ..pool.clone() }), vec![0]))
            }
            _ => self.follow(new, op, inputs),
        }
    }

    /// An operator that does not care for the layout follows its operands, if at least one is channels last and the others cost nothing to turn.
    fn follow(&self, new: &Graph, op: &Op, inputs: &[Option<ValueId>]) -> Option<(Op, Vec<usize>)> {
        let first = inputs.iter().flatten().find(|v| self.last.contains_key(v))?;
        let rank = new.fact(*first).shape()?.len();
        let (op, data) = op.permuted(&to_last(rank), inputs.len())?;
        let turns = |value: ValueId| {
            self.last.contains_key(&value) || new.constant(value).is_some_and(|t| t.len() <= 1 << 16 || t.shape.len() == rank)
        };
        let ranks =
            |value: ValueId| new.fact(value).shape().is_some_and(|s| s.len() == rank || (new.constant(value).is_some() && s.len() < rank));
        let fits = |&i: &usize| inputs.get(i).copied().flatten().is_some_and(|v| turns(v) && ranks(v));
        data.iter().all(fits).then_some((op, data))
    }

    /// A value with its channels last, of the rank of what it is combined with. A single element needs no turning.
    fn twin(&mut self, new: &mut Graph, value: ValueId, rank: usize, origin: &Origin) -> Result<ValueId, NodeError> {
        if let Some(&last) = self.last.get(&value) {
            return Ok(last);
        }
        if new.constant(value).is_some_and(|t| t.len() == 1) {
            return Ok(value);
        }
        let raised = raise(new, value, rank, origin)?;
        let last = new.add(Transpose { perm: to_last(rank) }.into(), &[Some(raised)], origin, &[], &[])?[0];
        self.last.insert(value, last);
        Ok(last)
    }
}

/// A constant of lower rank than the values it is broadcast with, with axes of one in front.
fn raise(new: &mut Graph, value: ValueId, rank: usize, origin: &Origin) -> Result<ValueId, NodeError> {
    let own = new.fact(value).shape().map_or(rank, <[_]>::len);
    if own >= rank {
        return Ok(value);
    }
    let axes = (0..(rank - own) as i64).collect();
    Ok(new.add(Reshape::Unsqueeze { axes }.into(), &[Some(value)], origin, &[], &[])?[0])
}
