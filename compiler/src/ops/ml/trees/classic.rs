//! `TreeEnsembleClassifier` and `TreeEnsembleRegressor`, versions 1 to 5 of the domain: nodes and votes by tree id and node id.

use super::ensemble::{Ensemble, Link, Mode, Node, Vote};
use super::op::{self, Head, Trees};
use super::same_length;
use crate::import::Parse;
use crate::ir::{DType, Tensor, ValueId};
use crate::ops::slice::gather::Gather;
use crate::ops::{OpError, elementwise};
use std::collections::HashMap;

/// ONNX `TreeEnsembleRegressor`.
pub fn parse_regressor(cx: &mut Parse<'_>) -> Result<Vec<ValueId>, OpError> {
    let targets = count(cx.int("n_targets", 0)?, "n_targets")?;
    let aggregate = op::aggregate(&cx.string("aggregate_function", "SUM")?)?;
    let mut numbers = Numbers::default();
    let ensemble = read(cx, &mut numbers, "target", targets)?;
    let base = numbers.read(cx, "base_values")?;
    if !base.is_empty() {
        same_length(("base_values", base.len()), ("the list of targets", targets))?;
    }
    let transform = op::transform(&cx.string("post_transform", "NONE")?)?;
    let x = cx.input(0)?;
    let score = score_dtype(cx.dtype(x)?, numbers.double)?;
    let outputs = op::add(cx, x, score, &ensemble, &base, Trees { head: Head::Regress, aggregate, transform, ..Trees::default() })?;
    let y = outputs.first().copied().ok_or_else(|| OpError::invalid("the operator has no output"))?;
    Ok(vec![elementwise::cast::to(cx, y, DType::F32)?])
}

/// ONNX `TreeEnsembleClassifier`: the label, and the scores of all classes.
pub fn parse_classifier(cx: &mut Parse<'_>) -> Result<Vec<ValueId>, OpError> {
    let (strings, ints) = (cx.strings("classlabels_strings")?.unwrap_or_default(), cx.ints("classlabels_int64s")?.unwrap_or_default());
    if !strings.is_empty() && !ints.is_empty() {
        return Err(OpError::invalid("there are both classlabels_strings and classlabels_int64s"));
    }
    let classes = count(strings.len().max(ints.len()) as i64, "the number of class labels")?;
    let mut numbers = Numbers::default();
    let ensemble = read(cx, &mut numbers, "class", classes)?;
    let base = numbers.read(cx, "base_values")?;
    if base.len() > classes || (classes > 2 && !base.is_empty() && base.len() != classes) {
        return Err(OpError::invalid(format!("base_values has {} elements for {classes} classes", base.len())));
    }
    let votes = votes(cx, classes)?;
    let transform = op::transform(&cx.string("post_transform", "NONE")?)?;
    let x = cx.input(0)?;
    let score = score_dtype(cx.dtype(x)?, numbers.double)?;
    let trees = Trees { head: Head::Classify, votes, transform, ..Trees::default() };
    let outputs = op::add(cx, x, score, &ensemble, &base, trees)?;
    let [z, class] = outputs[..] else { return Err(OpError::invalid("the operator has two outputs")) };
    // Votes for one class at most: the class is said by name. Otherwise, of two, ONNX Runtime says 0 or 1 whatever the labels are.
    let literal = classes == 1 || (classes == 2 && votes == op::Votes::Several);
    let label = label(cx, class, strings, &ints, literal)?;
    Ok(vec![label, elementwise::cast::to(cx, z, DType::F32)?])
}

/// The labels of classes by number.
fn label(cx: &mut Parse<'_>, class: ValueId, mut strings: Vec<String>, ints: &[i64], literal: bool) -> Result<ValueId, OpError> {
    let names = if strings.is_empty() {
        if literal || ints.iter().enumerate().all(|(i, &l)| i as i64 == l) {
            return Ok(class);
        }
        Tensor::vector(ints)
    } else {
        // A score above zero is class 1, even if there is one class only.
        if strings.len() == 1 {
            strings.push(strings[0].clone());
        }
        Tensor::strings(vec![strings.len()], strings).ok_or_else(|| OpError::invalid("the class labels"))?
    };
    let names = cx.constant(names);
    cx.add(Gather { axis: 0 }, &[names, class])
}

/// Which classes the weights name, all of them, even those of no leaf.
fn votes(cx: &mut Parse<'_>, classes: usize) -> Result<op::Votes, OpError> {
    let ids = cx.ints("class_ids")?.unwrap_or_default();
    if classes != 2 || ids.is_empty() || ids.iter().any(|&id| id != ids[0]) {
        return Ok(op::Votes::Several);
    }
    let weights = Numbers::default().read(cx, "class_weights")?;
    Ok(if weights.iter().any(|&w| w < 0.0) { op::Votes::OneMixed } else { op::Votes::OnePositive })
}

fn count(n: i64, what: &str) -> Result<usize, OpError> {
    usize::try_from(n)
        .ok()
        .filter(|n| (1..1 << 24).contains(n))
        .ok_or_else(|| OpError::invalid(format!("{what} is {n}, it must be at least 1")))
}

/// What scores are computed in: double where the input or the ensemble is; integers are compared as floats.
pub(super) fn score_dtype(x: DType, double: bool) -> Result<DType, OpError> {
    match x {
        DType::F64 => Ok(DType::F64),
        DType::F32 | DType::I32 | DType::I64 | DType::F16 => Ok(if double { DType::F64 } else { DType::F32 }),
        other => Err(OpError::invalid(format!("the input is of {other}; numbers are expected"))),
    }
}

/// The attributes of numbers, which are floats or, with `_as_tensor`, perhaps doubles.
#[derive(Default)]
struct Numbers {
    /// Whether any was double.
    double: bool,
}

impl Numbers {
    fn read(&mut self, cx: &mut Parse<'_>, name: &str) -> Result<Vec<f64>, OpError> {
        let floats = cx.floats(name)?.unwrap_or_default();
        let as_tensor = format!("{name}_as_tensor");
        let Some(tensor) = cx.tensor(&as_tensor)? else { return Ok(floats.into_iter().map(f64::from).collect()) };
        if !floats.is_empty() {
            return Err(OpError::invalid(format!("there are both {name} and {as_tensor}")));
        }
        self.double |= tensor.dtype == DType::F64;
        tensor.to_f64s().ok_or_else(|| OpError::invalid(format!("{as_tensor} must be a tensor of float or double")))
    }
}

/// The columns of the table of nodes.
struct Columns<'a> {
    trees: &'a [i64],
    ids: &'a [i64],
    features: &'a [i64],
    /// `None` for a leaf.
    modes: Vec<Option<Mode>>,
    values: Vec<f64>,
    missing: &'a [i64],
    branches: [&'a [i64]; 2],
}

fn read(cx: &mut Parse<'_>, numbers: &mut Numbers, votes: &str, targets: usize) -> Result<Ensemble, OpError> {
    let columns = Columns::read(cx, numbers)?;
    let leaves = Leaves::read(cx, numbers, votes)?;
    let ensemble = assemble(&columns, &leaves, targets)?;
    drop((columns, leaves));
    ensemble.checked()
}

impl<'a> Columns<'a> {
    fn read(cx: &mut Parse<'a>, numbers: &mut Numbers) -> Result<Self, OpError> {
        let (trees, ids) = (cx.int_list("nodes_treeids")?, cx.int_list("nodes_nodeids")?);
        let (features, missing) = (cx.int_list("nodes_featureids")?, cx.int_list("nodes_missing_value_tracks_true")?);
        let branches = [cx.int_list("nodes_truenodeids")?, cx.int_list("nodes_falsenodeids")?];
        let modes = cx.byte_strings("nodes_modes")?.iter().map(|m| mode(m)).collect::<Result<Vec<_>, _>>()?;
        let values = numbers.read(cx, "nodes_values")?;
        let all = [
            ("nodes_nodeids", ids.len()),
            ("nodes_featureids", features.len()),
            ("nodes_modes", modes.len()),
            ("nodes_truenodeids", branches[0].len()),
            ("nodes_falsenodeids", branches[1].len()),
            ("nodes_values", values.len()),
        ];
        for other in all {
            same_length(("nodes_treeids", trees.len()), other)?;
        }
        Ok(Self { trees, ids, features, modes, values, missing, branches })
    }
}

fn mode(name: &[u8]) -> Result<Option<Mode>, OpError> {
    Ok(Some(match name {
        b"LEAF" => return Ok(None),
        b"BRANCH_LEQ" => Mode::Leq,
        b"BRANCH_LT" => Mode::Lt,
        b"BRANCH_GTE" => Mode::Gte,
        b"BRANCH_GT" => Mode::Gt,
        b"BRANCH_EQ" => Mode::Eq,
        b"BRANCH_NEQ" => Mode::Neq,
        other => return Err(OpError::invalid(format!("a node's mode is `{}`", crate::report::clean(&String::from_utf8_lossy(other))))),
    }))
}

/// The columns of the table of votes.
struct Leaves<'a> {
    trees: &'a [i64],
    nodes: &'a [i64],
    targets: &'a [i64],
    weights: Vec<f64>,
}

impl<'a> Leaves<'a> {
    fn read(cx: &mut Parse<'a>, numbers: &mut Numbers, prefix: &str) -> Result<Self, OpError> {
        let ints = |name: &str| cx.int_list(&format!("{prefix}_{name}"));
        let (trees, nodes, targets) = (ints("treeids")?, ints("nodeids")?, ints("ids")?);
        let weights = numbers.read(cx, &format!("{prefix}_weights"))?;
        for (name, len) in [("nodeids", nodes.len()), ("ids", targets.len()), ("weights", weights.len())] {
            same_length((&format!("{prefix}_treeids"), trees.len()), (&format!("{prefix}_{name}"), len))?;
        }
        Ok(Self { trees, nodes, targets, weights })
    }
}

/// Where the nodes of a tree are, and which position an id is at.
struct Places {
    /// The first node of each tree by the tree's id, and the end of its nodes.
    trees: HashMap<i64, (usize, usize)>,
    /// Positions by tree (its first node) and id, where the ids of a tree are not 0, 1, 2 …
    odd: HashMap<(usize, i64), usize>,
}

impl Places {
    fn new(c: &Columns<'_>) -> Result<Self, OpError> {
        let mut places = Self { trees: HashMap::new(), odd: HashMap::new() };
        let mut start = 0;
        for run in c.trees.chunk_by(|a, b| a == b) {
            let end = start + run.len();
            if places.trees.insert(run[0], (start, end)).is_some() {
                return Err(OpError::invalid(format!("the nodes of tree {} are not in one run", run[0])));
            }
            let ids = &c.ids[start..end];
            if ids.iter().enumerate().any(|(i, &id)| id != i as i64) {
                for (i, &id) in ids.iter().enumerate() {
                    if places.odd.insert((start, id), start + i).is_some() {
                        return Err(OpError::invalid(format!("tree {} has two nodes {id}", run[0])));
                    }
                }
            }
            start = end;
        }
        Ok(places)
    }

    /// The position of a node of the tree that begins at `start`.
    fn find(&self, ids: &[i64], start: usize, end: usize, id: i64) -> Result<usize, OpError> {
        let regular = usize::try_from(id).ok().map(|i| start.saturating_add(i)).filter(|&i| i < end && ids[i] == id);
        let place = regular.or_else(|| self.odd.get(&(start, id)).copied());
        place.ok_or_else(|| OpError::invalid(format!("a tree has no node {id}")))
    }
}

/// The ensemble as the tables say, unchecked. Leaves have the numbers of their rows in the table of nodes; inner nodes, of which there may be
/// millions, are counted by themselves.
fn assemble(c: &Columns<'_>, leaves: &Leaves<'_>, targets: usize) -> Result<Ensemble, OpError> {
    let places = Places::new(c)?;
    let number = |count: &mut u32, mode: &Option<Mode>| {
        let number = *count;
        *count += u32::from(mode.is_some());
        Some(number)
    };
    let numbers: Vec<u32> = c.modes.iter().scan(0, number).collect();
    let link = |place: usize| if c.modes[place].is_some() { Link(numbers[place]) } else { Link::leaf(place) };
    let mut nodes = Vec::with_capacity(c.modes.iter().flatten().count());
    let mut roots = Vec::new();
    for (i, mode) in c.modes.iter().enumerate() {
        let &(start, end) = places.trees.get(&c.trees[i]).ok_or_else(|| OpError::invalid("a node has no tree"))?;
        if i == start {
            roots.push(link(i));
        }
        let Some(mode) = *mode else { continue };
        let branch = |k: usize| places.find(c.ids, start, end, c.branches[k][i]).map(link);
        let (branches, feature) = ([branch(0)?, branch(1)?], feature(c.features[i])?);
        nodes.push(Node { feature, mode, missing_true: c.missing.get(i) == Some(&1), threshold: c.values[i], set: 0, branches });
    }
    let (starts, votes) = collect_votes(c, &places, leaves, targets)?;
    Ok(Ensemble { nodes, roots, leaves: starts, votes, sets: Vec::new(), targets })
}

pub(super) fn feature(id: i64) -> Result<u32, OpError> {
    u32::try_from(id).ok().filter(|&f| f < 1 << 30).ok_or_else(|| OpError::invalid(format!("a node tests feature {id}")))
}

/// The votes in the order of their leaves, and where each leaf's begin. Votes of inner nodes are dropped; if there is one target, the first vote of
/// a leaf is the only one, and a leaf without votes gives its value.
fn collect_votes(c: &Columns<'_>, places: &Places, leaves: &Leaves<'_>, targets: usize) -> Result<(Vec<u32>, Vec<Vote>), OpError> {
    let mut at = Vec::with_capacity(leaves.trees.len());
    for (tree, &node) in leaves.trees.iter().zip(leaves.nodes) {
        let found =
            places.trees.get(tree).ok_or_else(|| OpError::invalid(format!("a weight belongs to tree {tree}, which has no nodes")))?;
        at.push(places.find(c.ids, found.0, found.1, node)?);
    }
    let mut order: Vec<u32> = (0..at.len() as u32).filter(|&v| c.modes[at[v as usize]].is_none()).collect();
    order.sort_by_key(|&v| at[v as usize]);
    let (mut starts, mut votes) = (vec![0], Vec::with_capacity(order.len()));
    let mut order = order.into_iter().map(|v| v as usize).peekable();
    for place in 0..c.modes.len() {
        let first = votes.len();
        while let Some(v) = order.next_if(|&v| at[v] == place) {
            let target = leaves.targets[v];
            let target = u32::try_from(target).map_err(|_| OpError::invalid(format!("a weight is for target {target}")))?;
            if targets > 1 || votes.len() == first {
                votes.push(Vote { target, weight: leaves.weights[v] });
            }
        }
        if targets == 1 && votes.len() == first && c.modes[place].is_none() {
            votes.push(Vote { target: 0, weight: c.values[place] });
        }
        starts.push(votes.len() as u32);
    }
    Ok((starts, votes))
}
