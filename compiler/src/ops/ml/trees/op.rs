//! The core operator: the scores of an ensemble, and what becomes of them.

use super::ensemble::{Ensemble, Link, Vote};
use super::plan::{self, Plan};
use crate::import::Parse;
use crate::ir::{DType, Dim, Fact, Tensor, ValueId};
use crate::lower::{Lower, Operand};
use crate::ops::{Infer, OpError, Operator, elementwise};
use crate::program::Arg;
use onnxc_runtime::kernels::trees::sums::BLOCK;
use serde::{Deserialize, Serialize};

crate::param_enum!(trees::Aggregate { Sum, Average, Min, Max });
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

/// Fewer rows than this are walked. A tree of 31 leaves costs 64 rows together as much as 8 rows one by one.
const FEW: i64 = 8;
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
        let sums = matches!(self.aggregate, Aggregate::Sum | Aggregate::Average);
        match self.ensemble(cx).filter(|_| sums).and_then(|e| plan::plan(&e, double)) {
            Some(plan) => self.sums(cx, shape, &plan),
            None => self.general(cx, shape),
        }
    }

    /// The ensemble that the constant inputs are.
    fn ensemble(&self, cx: &Lower<'_>) -> Option<Ensemble> {
        let words = |i: usize| cx.constant(i).and_then(Tensor::to_vec::<u32>);
        let numbers = |i: usize| cx.constant(i).and_then(Tensor::to_f64s);
        let (ends, members, roots) = (words(3)?, numbers(4)?, words(5)?);
        let sets = ends.windows(2).map(|w| members.get(w[0] as usize..w[1] as usize).map(<[f64]>::to_vec)).collect::<Option<_>>()?;
        let votes = words(7)?.into_iter().zip(numbers(8)?).map(|(target, weight)| Vote { target, weight }).collect();
        let nodes = Ensemble::nodes_of(&words(1)?, &numbers(2)?);
        Some(Ensemble { nodes, roots: roots.into_iter().map(Link).collect(), leaves: words(6)?, votes, sets, targets: self.targets })
    }

    /// The tuned kernel.
    fn sums(&self, cx: &mut Lower<'_>, shape: &[Dim], plan: &Plan) -> Result<(Operand, Operand), OpError> {
        let x = cx.input(0)?;
        let dims = cx.dims();
        let scores = cx.temp(x.dtype, shape);
        let rows = shape.first().copied().unwrap_or_else(|| cx.int(1));
        // What is not needed for the number of rows, if that is known, need not travel.
        let known = dims.value(rows);
        let few = known.map_or(FEW, |rows| if rows < FEW { FEW } else { 0 });
        let (walks, selects) = (few > 0, known.is_none_or(|rows| rows >= FEW));
        let tasks = dims.min(dims.floor_div(dims.offset(rows, BLOCK as i64 - 1), cx.int(BLOCK as i64)), cx.int(MOST_TASKS));
        let width = if selects { (plan.columns.len() / 3 * BLOCK) as i64 } else { 0 };
        let ranks = cx.temp(DType::U8, &[tasks, cx.int(width)]);
        let numbers = |v: &[f64]| if x.dtype == DType::F64 { Tensor::vector(v) } else { narrow(v) };
        let (nothing, none): (&[u32], &[f64]) = (&[], &[]);
        let tables = [
            ("walk", Tensor::vector(if walks { &plan.links } else { nothing })),
            ("cuts", numbers(if walks { &plan.cuts } else { none })),
            ("features", Tensor::vector(if selects { &plan.features } else { nothing })),
            ("sorted", numbers(if selects { &plan.sorted } else { none })),
            ("columns", Tensor::vector(if selects { &plan.columns } else { nothing })),
            ("tests", Tensor::vector(if selects { plan.tests.as_slice() } else { &[] })),
            ("trees", Tensor::vector(&plan.trees)),
            ("leaves", numbers(&plan.values)),
        ];
        let tables = tables.into_iter().map(|(name, tensor)| cx.weight(name, tensor).read());
        let mut args = vec![Arg::Cx, scores.write(), ranks.write(), x.read()];
        args.extend(tables);
        args.extend([self.targets as i64, plan.width as i64, few].map(|v| Arg::Usize(cx.int(v))));
        cx.call(crate::kernel!(trees::sums(_, _, _, _, _, _, _, _, _, _, _, _, _, _, _) for real(x.dtype)), args)?;
        let voted = cx.weight("voted", Tensor::vector(&plan.voted));
        Ok((scores, voted))
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
