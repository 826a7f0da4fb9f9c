//! `TreeEnsemble` (version 5 of the domain): nodes and leaves by position, set membership.

use super::classic::{feature, score_dtype};
use super::ensemble::{Ensemble, Link, Mode, Node, Vote};
use super::op::{self, Head, Trees};
use super::same_length;
use crate::import::Parse;
use crate::ir::{DType, ValueId};
use crate::ops::{OpError, elementwise};

/// ONNX `TreeEnsemble`.
pub fn parse(cx: &mut Parse<'_>) -> Result<Vec<ValueId>, OpError> {
    let aggregate = op::aggregate(match cx.int("aggregate_function", 1)? {
        0 => "AVERAGE",
        1 => "SUM",
        2 => "MIN",
        3 => "MAX",
        other => return Err(OpError::invalid(format!("aggregate_function is {other}"))),
    })?;
    let transform = op::transform(match cx.int("post_transform", 0)? {
        0 => "NONE",
        // The standard's text numbers SOFTMAX 1 and LOGISTIC 2. ONNX Runtime, with which such models are made and compared, does it so.
        1 => "LOGISTIC",
        2 => "SOFTMAX",
        3 => "SOFTMAX_ZERO",
        4 => "PROBIT",
        other => return Err(OpError::invalid(format!("post_transform is {other}"))),
    })?;
    let ensemble = read(cx)?.checked()?;
    let x = cx.input(0)?;
    let dtype = cx.dtype(x)?;
    let score = score_dtype(dtype, false)?;
    let outputs = op::add(cx, x, score, &ensemble, &[], Trees { head: Head::Regress, aggregate, transform, ..Trees::default() })?;
    let y = outputs.first().copied().ok_or_else(|| OpError::invalid("the operator has no output"))?;
    Ok(vec![elementwise::cast::to(cx, y, dtype)?])
}

fn read(cx: &mut Parse<'_>) -> Result<Ensemble, OpError> {
    let targets = cx.int("n_targets", 0)?;
    let targets = usize::try_from(targets).ok().filter(|&n| (1..1 << 24).contains(&n));
    let targets = targets.ok_or_else(|| OpError::invalid("n_targets must be at least 1"))?;
    let leaf_targets = cx.ints("leaf_targetids")?.unwrap_or_default();
    let leaf_weights = numbers(cx, "leaf_weights")?;
    same_length(("leaf_targetids", leaf_targets.len()), ("leaf_weights", leaf_weights.len()))?;
    let vote = |(&target, &weight): (&i64, &f64)| {
        let target = u32::try_from(target).map_err(|_| OpError::invalid(format!("a leaf votes for target {target}")))?;
        Ok(Vote { target, weight })
    };
    let votes = leaf_targets.iter().zip(&leaf_weights).map(vote).collect::<Result<Vec<_>, OpError>>()?;
    let (nodes, sets) = nodes(cx)?;
    let roots = cx.ints("tree_roots")?.unwrap_or_default();
    let root = |&r: &i64| {
        let root = usize::try_from(r).ok().and_then(|r| nodes.get(r).map(|n| (r, n)));
        let (r, node) = root.ok_or_else(|| OpError::invalid(format!("the root {r} is no node")))?;
        // A tree of one leaf is written as a node with that leaf on both sides, whose test means nothing.
        let [a, b] = node.branches;
        Ok(if a == b && a.as_leaf().is_some() { a } else { Link::node(r) })
    };
    let roots = roots.iter().map(root).collect::<Result<Vec<_>, OpError>>()?;
    Ok(Ensemble { roots, leaves: (0..=votes.len() as u32).collect(), votes, nodes, sets, targets })
}

fn numbers(cx: &mut Parse<'_>, name: &str) -> Result<Vec<f64>, OpError> {
    let Some(tensor) = cx.tensor(name)? else { return Ok(Vec::new()) };
    let float = matches!(tensor.dtype, DType::F32 | DType::F64 | DType::F16);
    tensor.to_f64s().filter(|_| float).ok_or_else(|| OpError::invalid(format!("{name} must be a tensor of floats")))
}

fn nodes(cx: &mut Parse<'_>) -> Result<(Vec<Node>, Vec<Vec<f64>>), OpError> {
    let modes = cx.tensor("nodes_modes")?.and_then(|t| t.to_i64s()).ok_or_else(|| OpError::invalid("nodes_modes is missing"))?;
    let splits = numbers(cx, "nodes_splits")?;
    let members = numbers(cx, "membership_values")?;
    let ints = |name: &'static str| -> Result<Vec<i64>, OpError> {
        let list = cx.ints(name)?.unwrap_or_default();
        same_length((name, list.len()), ("nodes_modes", modes.len())).map(|()| list)
    };
    let features = ints("nodes_featureids")?;
    let branches = [(ints("nodes_truenodeids")?, ints("nodes_trueleafs")?), (ints("nodes_falsenodeids")?, ints("nodes_falseleafs")?)];
    let missing = cx.ints("nodes_missing_value_tracks_true")?.unwrap_or_default();
    same_length(("nodes_splits", splits.len()), ("nodes_modes", modes.len()))?;
    let mut lists = members.split(|v| v.is_nan()).map(|list| {
        let mut list = list.to_vec();
        list.sort_by(f64::total_cmp);
        list
    });
    let (mut nodes, mut sets) = (Vec::with_capacity(modes.len()), Vec::new());
    for (i, &number) in modes.iter().enumerate() {
        let mode = usize::try_from(number).ok().and_then(|m| Mode::ALL.get(m)).copied();
        let mode = mode.ok_or_else(|| OpError::invalid(format!("a node's mode is {number}")))?;
        let set = sets.len() as u32;
        if mode == Mode::Member {
            sets.push(lists.next().ok_or_else(|| OpError::invalid("membership_values has fewer sets than there are BRANCH_MEMBER nodes"))?);
        }
        let branch = |k: usize| {
            let (ids, leafs) = &branches[k];
            let id = usize::try_from(ids[i]).ok().filter(|&id| id < 1 << 28);
            let id = id.ok_or_else(|| OpError::invalid(format!("a branch leads to {}", ids[i])))?;
            Ok::<_, OpError>(if leafs[i] != 0 { Link::leaf(id) } else { Link::node(id) })
        };
        let missing_true = missing.get(i) == Some(&1);
        nodes.push(Node {
            feature: feature(features[i])?,
            mode,
            missing_true,
            threshold: splits[i],
            set,
            branches: [branch(0)?, branch(1)?],
        });
    }
    Ok((nodes, sets))
}
