//! Looking for a formula: goals (this pattern at this value) are replaced by smaller ones until none is left, with backtracking where there is a choice.

use super::{Factor, Pattern};
use crate::ir::graph::{Def, Graph, Node, NodeId, ValueId};
use crate::ops::Op;
use crate::ops::elementwise::binary::{Binary, BinaryFn};
use crate::ops::elementwise::parametric::ParametricFn;
use crate::ops::elementwise::predicate::Predicate;
use crate::ops::elementwise::unary::Unary;
use crate::ops::linear::matmul::MatMul;
use crate::ops::nn::softmax::{Kind, Softmax};
use crate::ops::reduce::reduce::{Reduce, ReduceFn};
use crate::passes::peephole::{close, scalar};
use crate::program::formula::Unary as F;
use std::collections::{HashMap, HashSet};
use std::rc::Rc;

/// What names, constants and reductions of a formula turned out to be.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// The values of names.
    pub names: HashMap<String, ValueId>,
    /// The values of constants.
    pub constants: HashMap<String, f32>,
    /// The axes of all reductions.
    pub axes: Option<Vec<usize>>,
    /// The nodes that compute the formula.
    pub nodes: Vec<NodeId>,
}

type Goal = (Rc<Pattern>, ValueId);

/// One way to reach a goal: what is left to do, and the nodes it went through.
#[derive(Default)]
struct Way {
    goals: Vec<Goal>,
    nodes: Vec<NodeId>,
    axes: Option<Vec<usize>>,
    constant: Option<(String, f32)>,
}

impl Way {
    fn through(node: NodeId, goals: Vec<Goal>) -> Self {
        Self { goals, nodes: vec![node], ..Self::default() }
    }
}

/// Factors of a pattern at values, and the constant that was met on the way.
struct Assignment {
    way: Way,
    constant: f32,
}

/// Products of more factors than this, and sums of more ways, are not tried.
const MAX_FACTORS: usize = 6;

/// A graph to look at.
pub struct Finder<'a> {
    graph: &'a Graph,
    uses: Vec<usize>,
}

/// One formula at one value.
struct Search<'a> {
    graph: &'a Graph,
    root: ValueId,
}

impl<'a> Finder<'a> {
    /// Looks at a graph.
    pub fn new(graph: &'a Graph) -> Self {
        Self { graph, uses: graph.uses_of_contents() }
    }

    /// The formula at this value, if that is what computes it and nothing inside is used outside.
    pub fn find(&self, pattern: &Pattern, root: ValueId) -> Option<Found> {
        let search = Search { graph: self.graph, root };
        let found = search.solve(vec![(Rc::new(pattern.clone()), root)], Found::default())?;
        self.is_closed(&found, root).then_some(found)
    }

    fn is_closed(&self, found: &Found, root: ValueId) -> bool {
        let nodes: HashSet<NodeId> = found.nodes.iter().copied().collect();
        let mut inside: HashMap<ValueId, usize> = HashMap::new();
        for value in nodes.iter().flat_map(|&n| self.graph.nodes[n].inputs.iter().flatten()) {
            *inside.entry(*value).or_default() += 1;
        }
        let mut outputs = nodes.iter().flat_map(|&n| self.graph.nodes[n].outputs.iter());
        outputs.all(|v| *v == root || self.uses[v.index()] <= inside.get(v).copied().unwrap_or(0))
    }
}

impl<'a> Search<'a> {
    fn solve(&self, mut goals: Vec<Goal>, mut found: Found) -> Option<Found> {
        let Some((pattern, value)) = goals.pop() else { return Some(found) };
        match &*pattern {
            Pattern::Name(name) => {
                let known = *found.names.entry(name.clone()).or_insert(value);
                return if known == value { self.solve(goals, found) } else { None };
            }
            Pattern::Constant(name) => {
                let c = scalar(self.graph, value)?;
                let known = *found.constants.entry(name.clone()).or_insert(c);
                return if known == c { self.solve(goals, found) } else { None };
            }
            _ => {}
        }
        self.ways(&pattern, value).into_iter().find_map(|way| {
            let mut found = found.clone();
            if let Some(axes) = way.axes
                && *found.axes.get_or_insert_with(|| axes.clone()) != axes
            {
                return None;
            }
            if let Some((name, c)) = way.constant
                && *found.constants.entry(name).or_insert(c) != c
            {
                return None;
            }
            found.nodes.extend(way.nodes);
            // The deepest goals last: names are met after the structure that tells them apart.
            self.solve(way.goals.into_iter().chain(goals.iter().cloned()).collect(), found)
        })
    }

    fn node(&self, value: ValueId) -> Option<(NodeId, &'a Node)> {
        match self.graph.values[value].def {
            Def::Node(id, 0) => Some((id, &self.graph.nodes[id])),
            _ => None,
        }
    }

    /// The node and its operand, if the value is that function of it.
    fn unary(&self, value: ValueId, f: F) -> Option<(NodeId, ValueId)> {
        let (id, node) = self.node(value)?;
        (matches!(node.op, Op::Unary(Unary { f: g }) if g == f)).then_some(())?;
        Some((id, node.inputs[0]?))
    }

    fn binary(&self, value: ValueId, f: BinaryFn) -> Option<(NodeId, ValueId, ValueId)> {
        let (id, node) = self.node(value)?;
        (matches!(node.op, Op::Binary(Binary { f: g }) if g == f)).then_some(())?;
        Some((id, node.inputs[0]?, node.inputs[1]?))
    }

    /// The node, its operand and its axes, if the value is that reduction with its axes kept.
    fn reduce(&self, value: ValueId, f: ReduceFn) -> Option<(NodeId, ValueId, Vec<usize>)> {
        let (id, node) = self.node(value)?;
        match &node.op {
            Op::Reduce(Reduce { f: g, axes: Some(axes), keep_dims: true, .. }) if *g == f => Some((id, node.inputs[0]?, axes.clone())),
            _ => None,
        }
    }

    /// The node and its operand, if the value is expanded to the shape of the whole, as broadcasting would do it.
    fn expanded(&self, value: ValueId) -> Option<(NodeId, ValueId)> {
        let (id, node) = self.node(value)?;
        let whole = matches!(node.op, Op::Expand(_)) && self.graph.fact(value).ty == self.graph.fact(self.root).ty;
        if whole { Some((id, node.inputs[0]?)) } else { None }
    }

    fn ways(&self, pattern: &Pattern, value: ValueId) -> Vec<Way> {
        let way = Way::through;
        let both = |(node, a, b): (NodeId, ValueId, ValueId), p: &Rc<Pattern>, q: &Rc<Pattern>| {
            vec![way(node, vec![(p.clone(), a), (q.clone(), b)]), way(node, vec![(p.clone(), b), (q.clone(), a)])]
        };
        if let (Some((node, x)), true) = (self.expanded(value), !matches!(pattern, Pattern::Product(..))) {
            return vec![way(node, vec![(Rc::new(pattern.clone()), x)])];
        }
        match pattern {
            Pattern::Name(_) | Pattern::Constant(_) => Vec::new(),
            Pattern::Number(c) => {
                scalar(self.graph, value).filter(|&v| v == *c || close(v, *c)).map(|_| Way::default()).into_iter().collect()
            }
            Pattern::Sum(p, q) => self.binary(value, BinaryFn::Add).map_or(Vec::new(), |found| both(found, p, q)),
            Pattern::Difference(p, q) => {
                self.binary(value, BinaryFn::Sub).map(|(node, a, b)| way(node, vec![(p.clone(), a), (q.clone(), b)])).into_iter().collect()
            }
            Pattern::Product(factors, constant) => self.products(factors, *constant, value),
            Pattern::Power(p, n) => self.powers(p, *n, value),
            Pattern::Unary(f, p) => self.functions(*f, p, value),
            Pattern::MatMul(..) | Pattern::Softmax(_) | Pattern::Where(..) | Pattern::IsNan(_) => self.operator(pattern, value),
            Pattern::HardSigmoid(p) => match self.node(value) {
                Some((node, Node { op: Op::Parametric(op), inputs, .. }))
                    if op.f == ParametricFn::HardSigmoid && close(op.alpha, 1.0 / 6.0) && op.beta == 0.5 =>
                {
                    inputs[0].map(|x| way(node, vec![(p.clone(), x)])).into_iter().collect()
                }
                _ => Vec::new(),
            },
            Pattern::Extreme(greater, p, q) => {
                let mut ways =
                    self.binary(value, if *greater { BinaryFn::Max } else { BinaryFn::Min }).map_or(Vec::new(), |found| both(found, p, q));
                if *greater && let Some((node, x)) = self.unary(value, F::Relu) {
                    let zero = |p: &Rc<Pattern>| **p == Pattern::Number(0.0);
                    ways.extend([(p, q), (q, p)].into_iter().filter(|(_, b)| zero(b)).map(|(a, _)| way(node, vec![(a.clone(), x)])));
                }
                ways
            }
            Pattern::Reduce(f, p) => {
                let plain = self.reduce(value, *f).map(|(node, x, axes)| (node, p.clone(), x, axes));
                // The sum of squares has an operator of its own.
                let squares = match (f, &**p) {
                    (ReduceFn::Sum, Pattern::Power(q, 2)) => {
                        self.reduce(value, ReduceFn::SumSquare).map(|(node, x, axes)| (node, q.clone(), x, axes))
                    }
                    _ => None,
                };
                let ways = plain.into_iter().chain(squares);
                ways.map(|(node, p, x, axes)| Way { goals: vec![(p, x)], nodes: vec![node], axes: Some(axes), ..Way::default() }).collect()
            }
        }
    }

    /// Patterns that are one operator.
    fn operator(&self, pattern: &Pattern, value: ValueId) -> Vec<Way> {
        let Some((id, node)) = self.node(value) else { return Vec::new() };
        let patterns = match (pattern, &node.op) {
            (Pattern::MatMul(a, b), Op::MatMul(op)) if *op == MatMul::default() => vec![a, b],
            (Pattern::Softmax(x), Op::Softmax(Softmax { kind: Kind::Softmax, axis, .. }))
                if self.graph.fact(value).shape().is_some_and(|s| s.len() == axis + 1) =>
            {
                vec![x]
            }
            (Pattern::Where(a, b, c), Op::Where(_)) => vec![a, b, c],
            (Pattern::IsNan(x), Op::Predicate(Predicate::IsNaN)) => vec![x],
            _ => return Vec::new(),
        };
        let goals = patterns.into_iter().zip(&node.inputs).filter_map(|(p, &v)| Some((p.clone(), v?))).collect();
        vec![Way::through(id, goals)]
    }

    fn products(&self, factors: &[Factor], constant: f32, value: ValueId) -> Vec<Way> {
        if factors.len() > MAX_FACTORS {
            return Vec::new();
        }
        let named = factors.iter().find_map(|f| match &*f.of {
            Pattern::Constant(name) if !f.inverse => Some(name),
            _ => None,
        });
        let Some(name) = named else {
            let fits = self.assignments(factors, value).into_iter().filter(|a| close(a.constant, constant));
            // A factor at the whole value would be the same goal again.
            return fits.map(|a| a.way).filter(|way| !way.nodes.is_empty()).collect();
        };
        let others: Vec<Factor> = factors.iter().filter(|f| *f.of != Pattern::Constant(name.clone())).cloned().collect();
        let ways = self.assignments(&others, value).into_iter();
        ways.map(|a| Way { constant: Some((name.clone(), a.constant / constant)), ..a.way }).collect()
    }

    fn powers(&self, p: &Rc<Pattern>, n: u32, value: ValueId) -> Vec<Way> {
        let mut ways = Vec::new();
        if let Some((node, x, exponent)) = self.binary(value, BinaryFn::Pow)
            && scalar(self.graph, exponent) == Some(n as f32)
        {
            ways.push(Way::through(node, vec![(p.clone(), x)]));
        }
        if let Some((node, a, b)) = self.binary(value, BinaryFn::Mul) {
            let square = Rc::new(Pattern::Power(p.clone(), n - 1));
            let lesser = if n == 2 { p.clone() } else { square };
            let orders = if n == 2 { vec![(a, b)] } else { vec![(a, b), (b, a)] };
            // Both factors must be the same value, which a name inside makes sure of: it is bound by the first.
            ways.extend(
                orders
                    .into_iter()
                    .filter(|(a, b)| n > 2 || a == b)
                    .map(|(a, b)| Way::through(node, vec![(p.clone(), a), (lesser.clone(), b)])),
            );
        }
        ways
    }

    fn functions(&self, f: F, p: &Rc<Pattern>, value: ValueId) -> Vec<Way> {
        let mut ways: Vec<Way> = Vec::new();
        if let Some((node, x)) = self.unary(value, f) {
            ways.push(Way::through(node, vec![(p.clone(), x)]));
        }
        // Operators that are two functions in one.
        let joined = match (f, &**p) {
            (F::Sqrt, Pattern::Reduce(ReduceFn::Sum, q)) => match &**q {
                Pattern::Power(q, 2) => self.reduce(value, ReduceFn::L2).map(|found| (found, q)),
                _ => None,
            },
            (F::Log, Pattern::Reduce(ReduceFn::Sum, q)) => match &**q {
                Pattern::Unary(F::Exp, q) => self.reduce(value, ReduceFn::LogSumExp).map(|found| (found, q)),
                _ => self.reduce(value, ReduceFn::LogSum).map(|found| (found, q)),
            },
            _ => None,
        };
        ways.extend(joined.map(|((node, x, axes), q)| Way {
            goals: vec![(q.clone(), x)],
            nodes: vec![node],
            axes: Some(axes),
            ..Way::default()
        }));
        if f == F::Sqrt
            && let Some((node, x, exponent)) = self.binary(value, BinaryFn::Pow)
            && scalar(self.graph, exponent) == Some(0.5)
        {
            ways.push(Way::through(node, vec![(p.clone(), x)]));
        }
        ways
    }

    /// All ways to see the value as a product of these factors and a constant.
    fn assignments(&self, factors: &[Factor], value: ValueId) -> Vec<Assignment> {
        let mut found = Vec::new();
        match factors {
            [] => {
                found.extend(scalar(self.graph, value).map(|constant| Assignment { way: Way::default(), constant }));
                return found;
            }
            [Factor { of, inverse: false }] => {
                found.push(Assignment { way: Way { goals: vec![(of.clone(), value)], ..Way::default() }, constant: 1.0 });
            }
            [Factor { of, inverse: true }] => found.extend(self.inverse(of, value)),
            _ => {}
        }
        let mut through = |node: NodeId, parts: [(Vec<Factor>, ValueId); 2], join: fn(f32, f32) -> f32| {
            let [(p, a), (q, b)] = parts;
            let right = self.assignments(&q, b);
            for left in if right.is_empty() { Vec::new() } else { self.assignments(&p, a) } {
                for right in &right {
                    let goals = left.way.goals.iter().chain(&right.way.goals).cloned().collect();
                    let nodes = [node].into_iter().chain(left.way.nodes.iter().chain(&right.way.nodes).copied()).collect();
                    found.push(Assignment { way: Way { goals, nodes, ..Way::default() }, constant: join(left.constant, right.constant) });
                }
            }
        };
        if let Some((node, a, b)) = self.binary(value, BinaryFn::Mul) {
            for (p, q) in splits(factors) {
                through(node, [(p, a), (q, b)], |x, y| x * y);
            }
        }
        if let Some((node, a, b)) = self.binary(value, BinaryFn::Div) {
            for (p, q) in splits(factors) {
                let below = q.into_iter().map(|f| Factor { inverse: !f.inverse, ..f }).collect();
                through(node, [(p, a), (below, b)], |x, y| x / y);
            }
        }
        let expanded = self.expanded(value).map(|(node, x)| (node, x, 1.0));
        if let Some((node, x, sign)) = expanded.or_else(|| self.unary(value, F::Neg).map(|(node, x)| (node, x, -1.0))) {
            for mut inner in self.assignments(factors, x) {
                inner.way.nodes.push(node);
                inner.constant *= sign;
                found.push(inner);
            }
        }
        found
    }

    /// The ways in which a value is one over a pattern.
    fn inverse(&self, of: &Rc<Pattern>, value: ValueId) -> Vec<Assignment> {
        let reached =
            |(node, x): (NodeId, ValueId), p: &Rc<Pattern>| Assignment { way: Way::through(node, vec![(p.clone(), x)]), constant: 1.0 };
        let mut found: Vec<Assignment> = self.unary(value, F::Reciprocal).map(|at| reached(at, of)).into_iter().collect();
        if let Pattern::Unary(F::Sqrt, inner) = &**of {
            found.extend(self.unary(value, F::Rsqrt).map(|at| reached(at, inner)));
            if let Some((node, x, exponent)) = self.binary(value, BinaryFn::Pow)
                && scalar(self.graph, exponent) == Some(-0.5)
            {
                found.push(reached((node, x), inner));
            }
        }
        found
    }
}

/// All ways to deal factors to two sides.
fn splits(factors: &[Factor]) -> impl Iterator<Item = (Vec<Factor>, Vec<Factor>)> {
    (0..1u32 << factors.len()).map(move |set| {
        let (left, right): (Vec<_>, Vec<_>) = factors.iter().cloned().enumerate().partition(|(i, _)| set >> i & 1 == 1);
        (left.into_iter().map(|f| f.1).collect(), right.into_iter().map(|f| f.1).collect())
    })
}
