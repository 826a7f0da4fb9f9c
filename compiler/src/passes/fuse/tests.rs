//! Each row of each table: a graph made of its formula becomes the one operator, and gives the same values; graphs that are nearly it stay.

use crate::ir::arena::Id;
use crate::ir::graph::{Graph, Origin, ValueId};
use crate::ir::{DType, Dims, Fact, Tensor};
use crate::ops::Op;
use crate::ops::elementwise::binary::{Binary, BinaryFn};
use crate::ops::elementwise::parametric::{Parametric, ParametricFn};
use crate::ops::elementwise::predicate::Predicate;
use crate::ops::elementwise::unary::Unary;
use crate::ops::elementwise::where_::Where;
use crate::ops::linear::matmul::MatMul;
use crate::ops::nn::norm::LayerNorm;
use crate::ops::nn::softmax::{Kind, Softmax};
use crate::ops::reduce::reduce::Reduce;
use crate::ops::shape::transpose::Transpose;
use crate::options::Options;
use crate::passes::pattern::{Factor, Pattern, Row, parse};
use crate::passes::{dead, pattern};
use crate::program::formula::Unary as F;
use crate::program::interpret;
use onnxc_runtime::element::Bool;
use onnxc_runtime::value::{Tensor as RunTensor, Value};
use std::collections::HashMap;

/// A graph in the making, and the inputs that its names have become.
struct Maker {
    graph: Graph,
    names: HashMap<String, ValueId>,
    inputs: Vec<Tensor>,
}

/// Numbers between -2 and 2 that do not repeat soon.
fn noise(shape: &[usize], salt: usize) -> Tensor {
    let n = shape.iter().product();
    let elements: Vec<f32> = (0..n).map(|i| ((i * 7919 + salt * 6151) % 1009) as f32 / 252.0 - 2.0).collect();
    Tensor::new(shape, &elements).unwrap()
}

impl Maker {
    fn new() -> Self {
        Self { graph: Graph::new("test", &Dims::default()), names: HashMap::new(), inputs: Vec::new() }
    }

    fn input(&mut self, name: &str, tensor: Tensor) -> ValueId {
        let shape = tensor.shape.iter().map(|&d| self.graph.dims.int(d as i64)).collect();
        let value = self.graph.add_input(name, Fact::tensor(tensor.dtype, shape));
        self.inputs.push(tensor);
        self.names.insert(name.to_owned(), value);
        value
    }

    fn add(&mut self, op: impl Into<Op>, inputs: &[ValueId]) -> ValueId {
        let inputs: Vec<Option<ValueId>> = inputs.iter().copied().map(Some).collect();
        let origin = Origin { node: format!("n{}", self.graph.nodes.len()).into(), operator: "Op".into() };
        self.graph.add(op.into(), &inputs, &origin, &[], &[]).unwrap()[0]
    }

    fn number(&mut self, x: f32) -> ValueId {
        self.graph.add_const("c", Tensor::scalar(x))
    }

    /// The formula as operators. `turned` writes sums and products the other way round.
    fn formula(&mut self, p: &Pattern, turned: bool) -> ValueId {
        let binary = |f| Binary { f };
        match p {
            Pattern::Name(name) => self.names[name],
            Pattern::Constant(name) => self.number(match name.as_str() {
                "clow" => -1e31,
                "c" => 0.25,
                other => panic!("{other}"),
            }),
            Pattern::Number(x) => self.number(*x),
            Pattern::Sum(a, b) => {
                let (a, b) = (self.formula(a, turned), self.formula(b, turned));
                self.add(binary(BinaryFn::Add), &if turned { [b, a] } else { [a, b] })
            }
            Pattern::Difference(a, b) => {
                let operands = [self.formula(a, turned), self.formula(b, turned)];
                self.add(binary(BinaryFn::Sub), &operands)
            }
            Pattern::Product(factors, c) => self.product(factors, *c, turned),
            Pattern::Power(p, n) => {
                let x = self.formula(p, turned);
                if turned {
                    return (1..*n).fold(x, |power, _| self.add(binary(BinaryFn::Mul), &[power, x]));
                }
                let n = self.number(*n as f32);
                self.add(binary(BinaryFn::Pow), &[x, n])
            }
            Pattern::Unary(f, p) => {
                let x = self.formula(p, turned);
                self.add(Unary { f: *f }, &[x])
            }
            Pattern::HardSigmoid(p) => {
                let x = self.formula(p, turned);
                self.add(Parametric { f: ParametricFn::HardSigmoid, alpha: 1.0 / 6.0, beta: 0.5 }, &[x])
            }
            Pattern::Extreme(greater, a, b) => {
                let operands = [self.formula(a, turned), self.formula(b, turned)];
                self.add(binary(if *greater { BinaryFn::Max } else { BinaryFn::Min }), &operands)
            }
            Pattern::Reduce(f, p) => {
                let x = self.formula(p, turned);
                self.add(Reduce::over(*f, &[1], true), &[x])
            }
            Pattern::MatMul(a, b) => {
                let operands = [self.formula(a, turned), self.formula(b, turned)];
                self.add(MatMul::default(), &operands)
            }
            Pattern::Softmax(p) => {
                let x = self.formula(p, turned);
                let axis = self.graph.fact(x).shape().unwrap().len() - 1;
                self.add(Softmax { kind: Kind::Softmax, axis, to_end: false }, &[x])
            }
            Pattern::Where(a, b, c) => {
                let operands = [self.formula(a, turned), self.formula(b, turned), self.formula(c, turned)];
                self.add(Where, &operands)
            }
            Pattern::IsNan(p) => {
                let x = self.formula(p, turned);
                self.add(Predicate::IsNaN, &[x])
            }
        }
    }

    /// A product with its constant first, or, turned, with its factors the other way round and the constant last.
    fn product(&mut self, factors: &[Factor], constant: f32, turned: bool) -> ValueId {
        let mut factors: Vec<&Factor> = factors.iter().collect();
        if turned {
            factors.reverse();
        }
        let mut value = if (turned || constant == 1.0) && !factors[0].inverse { None } else { Some(self.number(constant)) };
        let left = if value.is_none() { constant } else { 1.0 };
        for factor in factors {
            let x = self.formula(&factor.of, turned);
            let f = if factor.inverse { BinaryFn::Div } else { BinaryFn::Mul };
            value = Some(match value {
                None => x,
                Some(v) => self.add(Binary { f }, &[v, x]),
            });
        }
        let value = value.unwrap();
        if left == 1.0 {
            return value;
        }
        let by = self.number(1.0 / left);
        self.add(Binary { f: BinaryFn::Div }, &[value, by])
    }

    /// The graph with that output, as the pipeline gives it to the fusions: equal nodes are one.
    fn finish(mut self, y: ValueId) -> (Graph, Vec<Tensor>) {
        self.graph.outputs.push(("y".to_owned(), y));
        (crate::passes::cse::run(&self.graph).unwrap(), self.inputs)
    }
}

fn run(graph: &Graph, inputs: &[Tensor]) -> Vec<f64> {
    let program =
        crate::lower::lower(graph, "test", &Options::default()).unwrap_or_else(|e| panic!("{e:?}\n{}", crate::ir::text::graph(graph)));
    let values = inputs.iter().map(|t| RunTensor::from_raw(t.dtype, &t.shape, t.bytes()).unwrap().into());
    let out = interpret::run(&program, &values.collect::<Vec<Value>>(), 1_000_000).unwrap();
    out[0].tensor().unwrap().elements::<f32>().unwrap().iter().map(|&x| x.into()).collect()
}

fn close(a: &[f64], b: &[f64]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| (a - b).abs() <= 2e-5 * (1.0 + b.abs()) || a.is_nan() && b.is_nan())
}

/// The graph of a row with its inputs.
fn graph_of(row: &Row, turned: bool) -> (Graph, Vec<Tensor>) {
    let mut maker = Maker::new();
    if row.formula.contains("matmul") {
        for (i, (name, shape)) in [("q", [2, 3, 4, 8]), ("k", [2, 3, 5, 8]), ("v", [2, 3, 5, 6])].into_iter().enumerate() {
            maker.input(name, noise(&shape, i));
        }
        let keys = maker.add(Transpose { perm: vec![0, 1, 3, 2] }, &[maker.names["k"]]);
        maker.names.insert("k".to_owned(), keys);
        if row.formula.contains("where(m") {
            let truth: Vec<Bool> = (0..20).map(|i| Bool(u8::from(i % 3 != 1))).collect();
            maker.input("m", Tensor::new(&[4, 5], &truth).unwrap());
        } else if row.formula.contains("+ m") {
            maker.input("m", noise(&[2, 1, 1, 5], 7));
        }
    } else {
        maker.input("x", noise(&[3, 10], 1));
        for name in ["s", "b"].into_iter().filter(|n| row.formula.contains(&format!("{n})"))) {
            maker.input(name, noise(&[10], 5));
        }
        if row.formula.contains("(b ") {
            maker.input("b", noise(&[10], 9));
        }
    }
    let y = maker.formula(&parse::parse(row.formula).unwrap(), turned);
    maker.finish(y)
}

#[test]
fn every_row_finds_its_formula_and_computes_it() {
    for row in super::activation::TABLE.iter().chain(super::norm::TABLE).chain(super::attention::TABLE) {
        for turned in [false, true] {
            let (graph, inputs) = graph_of(row, turned);
            let fused = dead::run(&pattern::run(&graph, std::slice::from_ref(row)).unwrap()).unwrap();
            let text = crate::ir::text::graph(&fused);
            // A mask of truth values takes a node of its own.
            assert!(fused.nodes.len() <= 1 + usize::from(row.formula.contains("where(m")), "{} {turned}\n{text}", row.name);
            let (want, got) = (run(&graph, &inputs), run(&fused, &inputs));
            assert!(close(&got, &want), "{} {turned}\n{want:?}\n{got:?}\n{text}", row.name);
        }
    }
}

/// The number of nodes that are left of a formula, after all tables had their chance.
fn left(formula: &str, change: impl FnOnce(&mut Maker, ValueId) -> ValueId) -> (usize, usize) {
    let mut maker = Maker::new();
    maker.input("x", noise(&[3, 10], 1));
    let y = maker.formula(&parse::parse(formula).unwrap(), false);
    let y = change(&mut maker, y);
    let (graph, inputs) = maker.finish(y);
    let mut fused = graph.clone();
    for run in [super::activation::run, super::norm::run, super::attention::run] {
        fused = run(&fused).unwrap();
    }
    let fused = dead::run(&fused).unwrap();
    assert!(close(&run(&fused, &inputs), &run(&graph, &inputs)), "{formula}");
    (graph.nodes.len(), fused.nodes.len())
}

#[test]
fn what_is_nearly_a_formula_stays() {
    for formula in [
        "x * (1 + erf(x / 1.3)) / 2",
        "x * (1 + erf(x / 1.41421356)) / 3",
        "x * (2 + erf(x / 1.41421356)) / 2",
        "x * (1 + tanh(0.79788456 * (x + 0.04 * x^3))) / 2",
        "x * min(max(x + 2, 0), 6) / 6",
        "(x - mean(x)) / sqrt(mean(x^2) + 0.1)",
        "x / sqrt(mean(x^2)) + 1",
        "exp(x) / sum(x)",
        "(x - max_of(x)) - log(sum(exp(x)))",
    ] {
        let (before, after) = left(formula, |_, y| y);
        assert_eq!(before, after, "{formula}");
    }
}

#[test]
fn values_inside_that_are_used_outside_keep_the_operators() {
    let (before, after) = left("x * sigmoid(x)", |maker, y| {
        let x = maker.names["x"];
        let gate = maker.add(Unary { f: F::Sigmoid }, &[x]);
        maker.add(Binary { f: BinaryFn::Add }, &[y, gate])
    });
    // x, sigmoid once after common subexpressions, product, sum.
    assert_eq!((before, after), (3, 3));
}

#[test]
fn scale_and_bias_are_taken_in() {
    for shape in [vec![10], vec![1, 10]] {
        let (_, after) = left("d = x - mean(x); d / sqrt(mean(d^2) + c)", |maker, y| {
            let (s, b) = (maker.input("s", noise(&shape, 3)), maker.input("b", noise(&shape, 4)));
            let scaled = maker.add(Binary { f: BinaryFn::Mul }, &[s, y]);
            maker.add(Binary { f: BinaryFn::Add }, &[scaled, b])
        });
        // The norm, and two reshapes without steps where the parameters have a rank too many.
        assert_eq!(after, if shape.len() == 1 { 1 } else { 3 });
    }
    // A scale for each row is none for each column.
    let (_, after) = left("x / sqrt(mean(x^2) + c)", |maker, y| {
        let s = maker.input("s", noise(&[3, 1], 3));
        maker.add(Binary { f: BinaryFn::Mul }, &[s, y])
    });
    assert_eq!(after, 2);
}

#[test]
fn a_fused_norm_has_the_axis_and_epsilon_of_the_formula() {
    let mut maker = Maker::new();
    maker.input("x", noise(&[3, 10], 1));
    let y = maker.formula(&parse::parse("d = x - mean(x); d / sqrt(mean(d^2) + c)").unwrap(), false);
    let (graph, _) = maker.finish(y);
    let fused = dead::run(&super::norm::run(&graph).unwrap()).unwrap();
    assert_eq!(fused.nodes[Id::new(0)].op, Op::LayerNorm(LayerNorm { axis: 1, epsilon: 0.25, rms: false, stash: DType::F32 }));
}

/// As exporters write it: heads split by transposes, keys transposed, scale by division, heads joined again.
#[test]
fn attention_reads_and_writes_through_the_transposes() {
    let mut maker = Maker::new();
    let operands: Vec<ValueId> = ["q", "k", "v"].iter().enumerate().map(|(i, n)| maker.input(n, noise(&[2, 5, 3, 4], i))).collect();
    let mask = maker.input("m", noise(&[2, 1, 1, 5], 8));
    let turn = |maker: &mut Maker, x, perm: [usize; 4]| maker.add(Transpose { perm: perm.to_vec() }, &[x]);
    let q = turn(&mut maker, operands[0], [0, 2, 1, 3]);
    let k = turn(&mut maker, operands[1], [0, 2, 3, 1]);
    let v = turn(&mut maker, operands[2], [0, 2, 1, 3]);
    let scores = maker.add(MatMul::default(), &[q, k]);
    let two = maker.number(2.0);
    let scaled = maker.add(Binary { f: BinaryFn::Div }, &[scores, two]);
    let masked = maker.add(Binary { f: BinaryFn::Add }, &[scaled, mask]);
    let weights = maker.add(Softmax { kind: Kind::Softmax, axis: 3, to_end: false }, &[masked]);
    let out = maker.add(MatMul::default(), &[weights, v]);
    let y = turn(&mut maker, out, [0, 2, 1, 3]);
    let (graph, inputs) = maker.finish(y);
    let fused = dead::run(&super::attention::run(&graph).unwrap()).unwrap();
    let Op::Attention(op) = &fused.nodes[Id::new(0)].op else { panic!("{}", crate::ir::text::graph(&fused)) };
    assert_eq!((fused.nodes.len(), op.by_position, op.scale), (1, [true; 4], Some(0.5)));
    assert!(close(&run(&fused, &inputs), &run(&graph, &inputs)));
}
