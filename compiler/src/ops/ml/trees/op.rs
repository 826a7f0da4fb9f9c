//! The core operator: the scores of an ensemble, and what becomes of them.

use super::ensemble::{Ensemble, Link, Vote};
use super::plan::ranks::{Cuts, Ranks};
use super::plan::{self, Plan, Way, select};
use crate::import::Parse;
use crate::ir::{DType, Dim, Fact, Tensor, ValueId};
use crate::lower::{Lower, Operand};
use crate::ops::{Infer, OpError, Operator, elementwise};
use crate::program::Arg;
use onnxc_runtime::kernels::trees::{bits, descend, outcomes, sums};
use serde::{Deserialize, Serialize};

crate::param_struct!(trees::Packing { words, rank_bits, column_bits });
crate::param_struct!(trees::Share { targets, width, least, below });
crate::param_enum!(trees::Aggregate { Sum, Average, Min, Max });
crate::param_enum!(trees::Form { Levels, Heap, Chain, LongChain });
crate::param_enum!(trees::Transform { None, Logistic, Softmax, SoftmaxZero, Probit });
crate::param_enum!(trees::Votes { Several, OnePositive, OneMixed });

/// How votes become a score. See `onnxc_runtime::kernels::trees::Aggregate`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)] // See there.
pub enum Aggregate {
    #[default]
    Sum,
    Average,
    Min,
    Max,
}

/// The post-transform. See `onnxc_runtime::kernels::trees::Transform`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)] // See there.
pub enum Transform {
    #[default]
    None,
    Logistic,
    Softmax,
    SoftmaxZero,
    Probit,
}

/// Which classes the weights of a classifier name. See `onnxc_runtime::kernels::trees::Votes`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)] // See there.
pub enum Votes {
    #[default]
    Several,
    OnePositive,
    OneMixed,
}

/// The most threads that there is scratch for.
const MOST_TASKS: i64 = 64;

/// What the scores are for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Head {
    /// One output: values.
    #[default]
    Regress,
    /// Two outputs: scores, and the number of the class (i64).
    Classify,
}

/// An ensemble of trees. Inputs: x (rows × features, or one row), then constants: the tables that `onnxc_runtime::kernels::trees::general` reads
/// (`nodes`, `thresholds`, `sets`, `members`, `roots`, `leaves`, `vote_targets`, `vote_weights`), and the base values. All numbers are of the
/// dtype of x, f32 or f64.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Trees {
    /// What the scores are for.
    pub head: Head,
    /// How votes become a score.
    pub aggregate: Aggregate,
    /// The post-transform.
    pub transform: Transform,
    /// Which classes the weights name.
    pub votes: Votes,
    /// The number of targets or classes.
    pub targets: usize,
    /// The number of features that x must have.
    pub features: usize,
}

/// The aggregate of that name.
pub fn aggregate(name: &str) -> Result<Aggregate, OpError> {
    Ok(match name {
        "SUM" => Aggregate::Sum,
        "AVERAGE" => Aggregate::Average,
        "MIN" => Aggregate::Min,
        "MAX" => Aggregate::Max,
        other => return Err(OpError::invalid(format!("aggregate_function is `{}`", crate::report::clean(other)))),
    })
}

/// The post-transform of that name.
pub fn transform(name: &str) -> Result<Transform, OpError> {
    Ok(match name {
        "NONE" => Transform::None,
        "LOGISTIC" => Transform::Logistic,
        "SOFTMAX" => Transform::Softmax,
        "SOFTMAX_ZERO" => Transform::SoftmaxZero,
        "PROBIT" => Transform::Probit,
        other => return Err(OpError::invalid(format!("post_transform is `{}`", crate::report::clean(other)))),
    })
}

/// Adds the operator: x is cast to `score`, which the tables are stored in.
pub fn add(cx: &mut Parse<'_>, x: ValueId, score: DType, e: &Ensemble, base: &[f64], op: Trees) -> Result<Vec<ValueId>, OpError> {
    let numbers = |v: &mut dyn Iterator<Item = f64>| -> Tensor {
        if score == DType::F64 { Tensor::vector(&v.collect::<Vec<f64>>()) } else { narrow(&v.collect::<Vec<f64>>()) }
    };
    let sets: Vec<u32> = std::iter::once(0)
        .chain(e.sets.iter().scan(0u32, |end, set| {
            *end += set.len() as u32;
            Some(*end)
        }))
        .collect();
    let tables = [
        Tensor::vector(&e.words()),
        numbers(&mut e.nodes.iter().map(|n| n.threshold)),
        Tensor::vector(&sets),
        numbers(&mut e.sets.iter().flatten().copied()),
        Tensor::vector(&e.roots.iter().map(|r| r.0).collect::<Vec<u32>>()),
        Tensor::vector(&e.leaves),
        Tensor::vector(&e.votes.iter().map(|v| v.target).collect::<Vec<u32>>()),
        numbers(&mut e.votes.iter().map(|v| v.weight)),
        numbers(&mut base.iter().copied()),
    ];
    let x = elementwise::cast::to(cx, x, score)?;
    let mut inputs = vec![Some(x)];
    inputs.extend(tables.into_iter().map(|t| Some(cx.constant(t))));
    cx.add_n(Trees { targets: e.targets, features: e.features(), ..op }, &inputs)
}

fn narrow(v: &[f64]) -> Tensor {
    Tensor::vector(&v.iter().map(|&x| x as f32).collect::<Vec<f32>>())
}

/// Memory for the ranks of a block, for each task that may run at a time.
fn scratch(cx: &mut Lower<'_>, dtype: DType, x: &Operand, block: usize) -> Arg {
    let dims = cx.dims();
    let rows = if let [rows, _] = x.shape[..] { rows } else { cx.int(1) };
    // All blocks have the same number of rows.
    let blocks = dims.floor_div(dims.offset(rows, sums::BLOCK as i64 - 1), cx.int(sums::BLOCK as i64));
    let tasks = dims.min(blocks, cx.int(MOST_TASKS));
    cx.temp(dtype, &[tasks, cx.int(block as i64)]).write()
}

impl Operator for Trees {
    fn infer(&mut self, cx: &mut Infer<'_>) -> Result<Vec<Fact>, OpError> {
        let shape = cx.shape(0)?;
        let (rows, features) = match shape[..] {
            [features] => (cx.int(1), features),
            [rows, features] => (rows, features),
            _ => return Err(OpError::invalid(format!("the input has rank {}, it must be 1 or 2", shape.len()))),
        };
        cx.require_at_most(cx.int(self.features as i64), features, "the features that the trees test and those of the input");
        let dtype = cx.dtype(0)?;
        let scores = Fact::tensor(dtype, vec![rows, cx.int(self.targets as i64)]);
        Ok(match self.head {
            Head::Regress => vec![scores],
            Head::Classify => vec![scores, Fact::tensor(DType::I64, vec![rows])],
        })
    }

    fn lower(&self, cx: &mut Lower<'_>) -> Result<(), OpError> {
        let out = cx.output(0)?;
        let (scores, voted) = self.scores(cx, &out.shape)?;
        self.finish(cx, &out, &scores, &voted)
    }
}

impl Trees {
    /// Scores and votes of all rows; votes may be those of every row.
    fn scores(&self, cx: &mut Lower<'_>, shape: &[Dim]) -> Result<(Operand, Operand), OpError> {
        let double = cx.input(0)?.dtype == DType::F64;
        let rows = shape.first().and_then(|&rows| cx.dims().value(rows)).and_then(|rows| usize::try_from(rows).ok());
        let sums = matches!(self.aggregate, Aggregate::Sum | Aggregate::Average);
        match self.ensemble(|i| cx.constant(i)).filter(|_| sums).and_then(|e| plan::plan(&e, double, rows)) {
            Some(plan) => self.planned(cx, shape, &plan),
            None => self.general(cx, shape),
        }
    }

    /// The ensemble that the constant inputs are; `constant` gives input `i`.
    pub fn ensemble<'t>(&self, constant: impl Fn(usize) -> Option<&'t Tensor>) -> Option<Ensemble> {
        let words = |i: usize| constant(i).and_then(Tensor::to_vec::<u32>);
        let numbers = |i: usize| constant(i).and_then(Tensor::to_f64s);
        let (ends, members, roots) = (words(3)?, numbers(4)?, words(5)?);
        let sets = ends.windows(2).map(|w| members.get(w[0] as usize..w[1] as usize).map(<[f64]>::to_vec)).collect::<Option<_>>()?;
        let votes = words(7)?.into_iter().zip(numbers(8)?).map(|(target, weight)| Vote { target, weight }).collect();
        let nodes = Ensemble::nodes_of(&words(1)?, &numbers(2)?);
        Some(Ensemble { nodes, roots: roots.into_iter().map(Link).collect(), leaves: words(6)?, votes, sets, targets: self.targets })
    }

    /// The tuned kernels: one for few rows, one for many.
    fn planned(&self, cx: &mut Lower<'_>, shape: &[Dim], plan: &Plan) -> Result<(Operand, Operand), OpError> {
        let x = cx.input(0)?;
        let scores = cx.temp(x.dtype, shape);
        let below = if plan.many.is_some() { plan.split } else { 0 };
        if let Some(way) = &plan.few {
            self.way(cx, plan, way, (scores.write(), &x), (0, below))?;
        }
        if let Some(way) = &plan.many {
            let out = if plan.few.is_some() { scores.update() } else { scores.write() };
            self.way(cx, plan, way, (out, &x), (plan.split, 0))?;
        }
        let voted = cx.weight("voted", Tensor::vector(&plan.forest.voted));
        Ok((scores, voted))
    }

    /// The call of one of them, for that range of rows (0: no end).
    fn way(&self, cx: &mut Lower<'_>, plan: &Plan, way: &Way, (scores, x): (Arg, &Operand), rows: (usize, usize)) -> Result<(), OpError> {
        let numbers = |v: &[f64]| if x.dtype == DType::F64 { Tensor::vector(v) } else { narrow(v) };
        let ints = |v: &[u32]| Tensor::vector(v);
        let cuts = |c: &Cuts| [("features", ints(&c.features)), ("sorted", numbers(&c.sorted))];
        let ranks = |r: &Ranks| cuts(&r.cuts).into_iter().chain([("columns", ints(&r.columns))]);
        let values = || ("values", numbers(&plan.values));
        let trees = || ("trees", ints(&select::trees(&plan.forest)));
        let mut sizes = Vec::new();
        let (mut args, kernel, tables) = match way {
            Way::Walk(walk) => {
                let kernel = crate::kernel!(trees::walk(_, _, _, _, _, _, _) for real(x.dtype));
                (vec![scores, x.read()], kernel, vec![("links", ints(&walk.links)), ("cuts", numbers(&walk.cuts)), trees(), values()])
            }
            Way::Bits(b, c) => {
                let kernel = crate::kernel!(trees::bits(_, _, _, _, _, _, _, _, _, _, _, _, _, _) for real(x.dtype));
                let scratch = scratch(cx, DType::U16, x, c.count() * bits::BLOCK * bits::SCRATCH);
                let own = [
                    ("shelves", ints(&b.shelves)),
                    ("groups", ints(&b.groups)),
                    ("entries", ints(&b.entries)),
                    ("maps", Tensor::vector(&b.maps)),
                    ("masks", ints(&b.masks)),
                    ("bit_trees", ints(&b.trees)),
                    ("bit_values", numbers(&b.values)),
                ];
                (vec![Arg::Cx, scores, scratch, x.read()], kernel, cuts(c).into_iter().chain(own).collect())
            }
            Way::Select(s, r) => {
                let kernel = crate::kernel!(trees::sums(_, _, _, _, _, _, _, _, _, _, _) for real(x.dtype));
                let scratch = scratch(cx, DType::U8, x, r.width() * sums::BLOCK);
                let own = [("tests", Tensor::vector(&s.tests)), trees(), values()];
                (vec![Arg::Cx, scores, scratch, x.read()], kernel, ranks(r).chain(own).collect())
            }
            Way::Descend(d, r) => {
                let kernel = crate::kernel!(trees::descend(_, _, _, _, _, _, _, _, _, _, _, _, _) for real(x.dtype));
                let scratch = scratch(cx, DType::U32, x, r.width() * descend::BLOCK);
                let own = [("nodes", ints(&d.nodes)), ("node_leaves", ints(&d.leaves)), ("roots", ints(&d.trees)), values()];
                let packing = [("words", d.packing.words), ("rank_bits", d.packing.rank_bits), ("column_bits", d.packing.column_bits)];
                sizes = vec![Arg::Struct("trees::Packing", packing.map(|(name, n)| (name, Arg::Usize(cx.int(n as i64)))).to_vec())];
                (vec![Arg::Cx, scores, scratch, x.read()], kernel, ranks(r).chain(own).collect())
            }
            Way::Outcomes(o, r) => {
                let kernel = crate::kernel!(trees::outcomes(_, _, _, _, _, _, _, _, _, _, _, _, _, _) for real(x.dtype));
                let scratch = scratch(cx, DType::U8, x, outcomes::BLOCK * outcomes::MOST_COLUMNS);
                let own = [
                    ("outcome_tests", Tensor::vector(&o.tests)),
                    ("chains", ints(&o.chains)),
                    ("outcome_trees", ints(&o.trees)),
                    ("outcome_values", numbers(&o.values)),
                ];
                sizes = vec![Arg::Variant("trees::Form", o.name()), Arg::Usize(cx.int(o.steps as i64))];
                (vec![Arg::Cx, scores, scratch, x.read()], kernel, ranks(r).chain(own).collect())
            }
        };
        args.extend(tables.into_iter().map(|(name, tensor)| cx.weight(name, tensor).read()));
        args.extend(sizes);
        let share = [("targets", self.targets), ("width", plan.forest.width), ("least", rows.0), ("below", rows.1)];
        args.push(Arg::Struct("trees::Share", share.map(|(name, n)| (name, Arg::Usize(cx.int(n as i64)))).to_vec()));
        cx.call(kernel, args)
    }

    /// The kernel for all ensembles.
    fn general(&self, cx: &mut Lower<'_>, shape: &[Dim]) -> Result<(Operand, Operand), OpError> {
        let x = cx.input(0)?;
        let scores = cx.temp(x.dtype, shape);
        let voted = cx.temp(DType::U8, shape);
        let tables = (1..9).map(|i| cx.input(i).map(|t| t.read())).collect::<Result<Vec<_>, _>>()?;
        let aggregate = match self.aggregate {
            Aggregate::Sum => "Sum",
            Aggregate::Average => "Average",
            Aggregate::Min => "Min",
            Aggregate::Max => "Max",
        };
        let sizes = vec![Arg::Usize(cx.int(self.targets as i64)), Arg::Variant("trees::Aggregate", aggregate)];
        let args = [vec![Arg::Cx, scores.write(), voted.write(), x.read()], tables, sizes].concat();
        cx.call(crate::kernel!(trees::general(_, _, _, _, _, _, _, _, _, _, _, _, _, _) for real(x.dtype)), args)?;
        Ok((scores, voted))
    }

    /// From scores to the outputs.
    fn finish(&self, cx: &mut Lower<'_>, out: &Operand, scores: &Operand, voted: &Operand) -> Result<(), OpError> {
        let base = cx.input(9)?;
        let transform = match self.transform {
            Transform::None => "None",
            Transform::Logistic => "Logistic",
            Transform::Softmax => "Softmax",
            Transform::SoftmaxZero => "SoftmaxZero",
            Transform::Probit => "Probit",
        };
        let transform = Arg::Variant("trees::Transform", transform);
        let targets = Arg::Usize(cx.int(self.targets as i64));
        if self.head == Head::Regress {
            let trees = Arg::Usize(cx.dims().product(&cx.input(5)?.shape));
            let average = if self.aggregate == Aggregate::Average { "Average" } else { "Sum" };
            let average = Arg::Variant("trees::Aggregate", average);
            let args = vec![out.write(), scores.read(), voted.read(), base.read(), targets, trees, average, transform];
            return cx.call(crate::kernel!(trees::regress(_, _, _, _, _, _, _, _) for real(out.dtype)), args);
        }
        let labels = cx.output(1)?;
        let votes = match self.votes {
            Votes::Several => "Several",
            Votes::OnePositive => "OnePositive",
            Votes::OneMixed => "OneMixed",
        };
        let votes = Arg::Variant("trees::Votes", votes);
        let args = vec![out.write(), labels.write(), scores.read(), voted.read(), base.read(), targets, votes, transform];
        cx.call(crate::kernel!(trees::classify(_, _, _, _, _, _, _, _) for real(out.dtype)), args)
    }
}
