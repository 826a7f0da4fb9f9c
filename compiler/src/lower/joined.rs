//! Which values lie in the rows of a wider one: what a `Concat` over the last axis joins is computed in place, and what a `Split` over it cuts is
//! read in place.
//!
//! With channels last, the outputs of convolutions that a `Concat` joins are columns of its result; a kernel that can write rows with a distance
//! between them writes them there, and nothing is copied. Only where all shapes are known, all readers can read such rows
//! ([`Operator::reads_rows`](crate::ops::Operator::reads_rows)), and no node would read and write the same memory.

use crate::ir::graph::{Def, Graph, Node, NodeId, ValueId};
use crate::ops::Op;

/// The most readers of a value that has a home: a bound on the time that hostile graphs take.
const READERS: usize = 64;

/// Where the rows of a value are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Home {
    /// The value in whose rows they are, which lies by itself.
    pub whole: ValueId,
    /// The first column there.
    pub column: i64,
    /// The number of rows.
    pub rows: i64,
    /// Elements of a row of this value.
    pub width: i64,
    /// Elements of a row of the whole.
    pub pitch: i64,
}

/// The homes of the values of a graph that have one.
pub fn homes(graph: &Graph) -> Vec<Option<Home>> {
    let mut readers = vec![Vec::new(); graph.values.len()];
    for (id, node) in graph.nodes.iter() {
        node.inputs.iter().enumerate().filter_map(|(i, v)| v.map(|v| (i, v))).for_each(|(i, v)| readers[v.index()].push((id, i)));
    }
    let mut is_output = vec![false; graph.values.len()];
    graph.outputs.iter().for_each(|(_, v)| is_output[v.index()] = true);
    let parts = vec![Vec::new(); graph.values.len()];
    let mut plan = Plan { graph, readers, is_output, parts, homes: vec![None; graph.values.len()] };
    graph.nodes.iter().for_each(|(_, node)| plan.split(node));
    // From the last on: a Concat that is joined by another has its home before its own inputs get theirs.
    (0..graph.nodes.len()).rev().for_each(|i| plan.concat(NodeId::new(i)));
    plan.homes
}

struct Plan<'a> {
    graph: &'a Graph,
    /// For each value, who reads it as which input.
    readers: Vec<Vec<(NodeId, usize)>>,
    is_output: Vec<bool>,
    /// For each value, the outputs of a `Split` that are its columns.
    parts: Vec<Vec<ValueId>>,
    homes: Vec<Option<Home>>,
}

impl Plan<'_> {
    /// Rows and width of a value of known shape that has several rows.
    fn table(&self, value: ValueId) -> Option<(i64, i64)> {
        let shape = self.graph.fact(value).shape()?;
        let shape = shape.iter().map(|&d| self.graph.dims.value(d).filter(|&d| d > 0)).collect::<Option<Vec<i64>>>()?;
        let (&width, lead) = shape.split_last()?;
        let rows = lead.iter().try_fold(1i64, |n, &d| n.checked_mul(d))?;
        (rows > 1 && rows.checked_mul(width).is_some()).then_some((rows, width))
    }

    fn rank(&self, value: ValueId) -> usize {
        self.graph.fact(value).shape().map_or(0, <[_]>::len)
    }

    /// Whether all that read a value can read rows that lie apart.
    fn is_readable(&self, value: ValueId) -> bool {
        let (rank, readers) = (self.rank(value), &self.readers[value.index()]);
        let reads = |&(node, i): &(NodeId, usize)| self.graph.nodes[node].op.reads_rows(i, rank);
        !self.is_output[value.index()] && readers.len() <= READERS && readers.iter().all(reads)
    }

    /// The value in whose memory a value is.
    fn whole(&self, value: ValueId) -> ValueId {
        self.homes[value.index()].map_or(value, |home| home.whole)
    }

    /// The outputs of a `Split` over the last axis are read where its input is.
    fn split(&mut self, node: &Node) {
        let (Op::Split(split), Some(Some(x))) = (&node.op, node.inputs.first().copied()) else { return };
        let Some((rows, pitch)) = self.table(x).filter(|_| split.axis() + 1 == self.rank(x)) else { return };
        if self.homes[x.index()].is_some() {
            return;
        }
        let mut column = 0;
        for &part in &node.outputs {
            let Some((_, width)) = self.table(part) else { return };
            if self.is_readable(part) {
                self.homes[part.index()] = Some(Home { whole: x, column, rows, width, pitch });
                self.parts[x.index()].push(part);
            }
            column += width;
        }
    }

    /// The inputs of a `Concat` over the last axis are computed where its output is.
    fn concat(&mut self, id: NodeId) {
        let node = &self.graph.nodes[id];
        let (Op::Concat(concat), &[out]) = (&node.op, node.outputs.as_slice()) else { return };
        if self.table(out).is_none() || concat.axis + 1 != self.rank(out) {
            return;
        }
        let Some(inputs) = node.inputs.iter().copied().collect::<Option<Vec<_>>>() else { return };
        let mut column = self.homes[out.index()].map_or(0, |home| home.column);
        for (i, &value) in inputs.iter().enumerate() {
            let width = self.graph.fact(value).shape().and_then(|s| self.graph.dims.value(*s.last()?));
            // All outputs of a Split one after the other are its input.
            let cut = self.graph.producer(value).filter(|(node, _)| inputs[i..].starts_with(&node.outputs));
            let whole_cut = cut.and_then(|(node, _)| node.inputs[0].filter(|x| self.parts[x.index()] == node.outputs));
            let reads = whole_cut.map_or(1, |x| self.parts[x.index()].len());
            self.settle((id, reads), out, whole_cut.unwrap_or(value), column);
            column += width.unwrap_or(0);
        }
    }

    /// Gives a value its home in the output of the node that joins it (by so many inputs), from that column of the whole on, if it can be there.
    fn settle(&mut self, (joiner, reads): (NodeId, usize), out: ValueId, value: ValueId, column: i64) {
        let (Some((rows, width)), Some((_, pitch))) = (self.table(value), self.table(self.whole(out))) else { return };
        let Def::Node(producer, 0) = self.graph.values[value].def else { return };
        let whole = self.whole(out);
        if self.homes[value.index()].is_some() || !self.is_readable(value) || !self.graph.nodes[producer].op.writes_rows(self.rank(value)) {
            return;
        }
        // No node may read and write the same memory: neither who makes the value, nor who reads it or a part of it.
        let mut clashes = self.graph.nodes[producer].inputs.iter().flatten().any(|&x| self.whole(x) == whole);
        let mut joined = 0;
        for &member in self.parts[value.index()].iter().chain([&value]) {
            for &(node, _) in &self.readers[member.index()] {
                joined += usize::from(node == joiner);
                clashes |= node != joiner && self.graph.nodes[node].outputs.iter().any(|&o| self.whole(o) == whole);
            }
        }
        // What is joined twice has to be copied once, within that memory.
        if clashes || joined != reads {
            return;
        }
        self.homes[value.index()] = Some(Home { whole, column, rows, width, pitch });
        for part in self.parts[value.index()].clone() {
            if let Some(home) = &mut self.homes[part.index()] {
                *home = Home { whole, column: column + home.column, pitch, ..*home };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ir::graph::Origin;
    use crate::ir::{DType, Dims, Fact, Tensor};
    use crate::ops::elementwise::fused::Fused;
    use crate::ops::elementwise::unary::Unary;
    use crate::ops::nn::pool::{Kind, Pool};
    use crate::ops::nn::window::{Padding, Window};
    use crate::ops::slice::concat::Concat;
    use crate::ops::slice::split::Split;
    use crate::options::Options;
    use crate::program::formula::{Formula, Instr, Unary as F};
    use crate::program::interpret;
    use onnxc_runtime::value::{Tensor as RunTensor, Value};

    /// Small numbers from a linear congruential generator.
    struct Noise(u64);

    impl Noise {
        fn below(&mut self, n: usize) -> usize {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (self.0 >> 33) as usize % n
        }
    }

    fn pool() -> Op {
        let window =
            Window { kernel: vec![3, 3], stride: vec![1, 1], dilation: vec![1, 1], padding: Padding::Explicit(vec![1; 4]), ceil: false };
        Pool { kind: Kind::Max { indices: false, column_major: false }, window, channels_last: true }.into()
    }

    /// A graph of operators that join, cut, read rows and do not, over inputs or, to be folded node by node, over the same numbers as constants.
    fn graph(seed: u64, constant: bool) -> (Graph, Vec<Value>) {
        let (mut noise, mut graph, mut inputs) = (Noise(seed), Graph::new("joined", &Dims::default()), Vec::new());
        let mut values: Vec<(ValueId, usize)> = Vec::new();
        for i in 0..2 {
            let width = 2 + 2 * i;
            let elements: Vec<f32> = (0..9 * width).map(|_| noise.below(100) as f32 - 50.0).collect();
            let tensor = Tensor::new(&[1, 3, 3, width], &elements).unwrap();
            let shape = tensor.shape.iter().map(|&d| graph.dims.int(d as i64)).collect();
            inputs.push(RunTensor::from_raw(tensor.dtype, &tensor.shape, tensor.bytes()).unwrap().into());
            let value = if constant { graph.add_const("x", tensor) } else { graph.add_input("x", Fact::tensor(DType::F32, shape)) };
            values.push((value, width));
        }
        for _ in 0..12 {
            let (x, width) = values[noise.below(values.len())];
            let mut add = |op: Op, inputs: &[ValueId]| {
                let inputs: Vec<Option<ValueId>> = inputs.iter().copied().map(Some).collect();
                graph.add(op, &inputs, &Origin { node: "n".into(), operator: "Op".into() }, &[], &[]).unwrap()
            };
            match noise.below(6) {
                0 if width % 2 == 0 => {
                    let split: Split = ron::from_str("(axis: 3, outputs: 2, uneven: false)").unwrap();
                    values.extend(add(split.into(), &[x]).into_iter().map(|part| (part, width / 2)));
                }
                0 | 1 => values.push((add(pool(), &[x])[0], width)),
                2 => values
                    .push((add(Fused { formula: Formula { inputs: 1, instrs: vec![Instr::Unary(F::Abs, 0)] } }.into(), &[x])[0], width)),
                3 => values.push((add(Unary { f: F::Neg }.into(), &[x])[0], width)),
                _ => {
                    let parts: Vec<(ValueId, usize)> = (0..2 + noise.below(2)).map(|_| values[noise.below(values.len())]).collect();
                    let joined = add(Concat { axis: 3 }.into(), &parts.iter().map(|p| p.0).collect::<Vec<_>>())[0];
                    values.push((joined, parts.iter().map(|p| p.1).sum()));
                }
            }
        }
        for (value, _) in values.split_off(values.len() - 2) {
            graph.outputs.push(("y".to_owned(), value));
        }
        (graph, inputs)
    }
    #[test]
    fn values_in_place_are_what_they_are_by_themselves() {
        let (mut joined, mut cut) = (0, 0);
        for seed in 0..400 {
            let ((graph, inputs), (folded, _)) = (graph(seed, false), graph(seed, true));
            let homes = homes(&graph);
            for (_, home) in graph.values.iter().zip(&homes).filter(|(v, _)| matches!(v.1.def, Def::Node(..))) {
                joined += usize::from(home.is_some_and(|h| matches!(graph.producer(h.whole), Some((Node { op: Op::Concat(_), .. }, _)))));
                cut += usize::from(home.is_some());
            }
            let program = crate::lower::lower(&graph, "", &Options::default()).unwrap();
            let values = interpret::run(&program, &inputs, 1_000_000).unwrap_or_else(|e| panic!("seed {seed}: {e:?}"));
            for (value, (_, expected)) in values.iter().zip(&folded.outputs) {
                let expected = folded.constant(*expected).and_then(Tensor::to_vec::<f32>).unwrap();
                assert_eq!(value.tensor().unwrap().elements::<f32>().unwrap(), expected, "seed {seed}");
            }
        }
        // Joined by a Concat, and not only cut by a Split.
        assert!(joined > 300 && cut > joined + 50, "{joined} {cut}");
    }

    #[test]
    fn no_node_reads_what_it_writes() {
        for seed in 0..400 {
            let (graph, _) = graph(seed, false);
            let homes = homes(&graph);
            let whole = |v: ValueId| homes[v.index()].map_or(v, |h| h.whole);
            for (_, node) in graph.nodes.iter().filter(|(_, n)| !matches!(n.op, Op::Split(_))) {
                let out = node.outputs[0];
                let mut column = homes[out.index()].map_or(0, |h| h.column);
                for &x in node.inputs.iter().flatten() {
                    let width = graph.fact(x).shape().and_then(|s| graph.dims.value(s[3])).unwrap();
                    if whole(x) == whole(out) {
                        let there = homes[x.index()].is_some_and(|h| (h.column, h.width) == (column, width));
                        assert!(matches!(node.op, Op::Concat(_)) && there, "seed {seed}: {x} and {out}");
                    }
                    column += width;
                }
            }
        }
    }
}
