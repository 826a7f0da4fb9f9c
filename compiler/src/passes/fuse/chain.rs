//! Chains of f32 elementwise operators become one loop.

use crate::ir::graph::{Graph, Node, NodeError, ValueId};
use crate::ops::Op;
use crate::ops::elementwise::fused::Fused;
use crate::passes::peephole::{Site, apply, scalar};
use crate::program::formula::{Formula, Instr};

/// A loop reads at most this many tensors, and computes at most this many instructions.
const MAX_INPUTS: usize = 6;
const MAX_INSTRS: usize = 40;

/// See the module's documentation.
pub fn run(graph: &Graph) -> Result<Graph, NodeError> {
    apply(graph, &[chain])
}

/// The formula of an operator, if it is elementwise over f32.
fn formula_of(graph: &Graph, node: &Node) -> Option<Formula> {
    let f32s = node.inputs.iter().all(|v| v.is_some_and(|v| graph.fact(v).dtype() == Some(crate::ir::DType::F32)));
    if !f32s {
        return None;
    }
    match &node.op {
        Op::Unary(op) => Some(Formula { inputs: 1, instrs: vec![Instr::Unary(op.f, 0)] }),
        Op::Binary(op) if !op.f.compares() => Some(Formula { inputs: 2, instrs: vec![Instr::Binary(op.f.formula()?, 0, 1)] }),
        Op::Fused(op) => Some(op.formula.clone()),
        _ => None,
    }
}

/// A formula in the making: tensors it reads, and instructions whose operands are already numbered among `Operand`s.
#[derive(Default)]
struct Building {
    inputs: Vec<ValueId>,
    instrs: Vec<Instr>,
}

/// An operand while the number of inputs is still open.
#[derive(Clone, Copy)]
enum Operand {
    Input(usize),
    Result(usize),
}

/// While building, results are numbered from here.
const RESULTS: usize = 1 << 20;

impl Operand {
    fn number(self) -> usize {
        match self {
            Self::Input(i) => i,
            Self::Result(i) => RESULTS + i,
        }
    }
}

impl Building {
    fn push(&mut self, instr: Instr) -> Operand {
        self.instrs.push(instr);
        Operand::Result(self.instrs.len() - 1)
    }

    fn input(&mut self, graph: &Graph, value: ValueId) -> Operand {
        if let Some(c) = scalar(graph, value) {
            return self.push(Instr::Const(c));
        }
        let at = self.inputs.iter().position(|&v| v == value).unwrap_or_else(|| {
            self.inputs.push(value);
            self.inputs.len() - 1
        });
        Operand::Input(at)
    }

    /// Appends a formula's instructions with these operands for its inputs.
    fn append(&mut self, formula: &Formula, operands: &[Operand]) -> Operand {
        let mut results: Vec<Operand> = operands.to_vec();
        for instr in &formula.instrs {
            let at = |i: usize| results[i].number();
            let instr = match *instr {
                Instr::Const(c) => Instr::Const(c),
                Instr::Unary(f, a) => Instr::Unary(f, at(a)),
                Instr::Binary(f, a, b) => Instr::Binary(f, at(a), at(b)),
                Instr::MulAdd(a, b, c) => Instr::MulAdd(at(a), at(b), at(c)),
                Instr::Select(a, b, c) => Instr::Select(at(a), at(b), at(c)),
            };
            let result = self.push(instr);
            results.push(result);
        }
        results.last().copied().unwrap_or(Operand::Input(0))
    }

    fn finish(self) -> (Formula, Vec<ValueId>) {
        let count = self.inputs.len();
        let at = |i: usize| if i >= RESULTS { i - RESULTS + count } else { i };
        let instrs = self.instrs.into_iter().map(|instr| match instr {
            Instr::Const(c) => Instr::Const(c),
            Instr::Unary(f, a) => Instr::Unary(f, at(a)),
            Instr::Binary(f, a, b) => Instr::Binary(f, at(a), at(b)),
            Instr::MulAdd(a, b, c) => Instr::MulAdd(at(a), at(b), at(c)),
            Instr::Select(a, b, c) => Instr::Select(at(a), at(b), at(c)),
        });
        (Formula { inputs: count, instrs: instrs.collect() }, self.inputs)
    }
}

fn chain(site: &mut Site<'_>) -> Result<Option<Vec<ValueId>>, NodeError> {
    let node = Node { inputs: site.inputs.to_vec(), ..site.node.clone() };
    let Some(formula) = formula_of(site.new, &node) else { return Ok(None) };
    let inputs: Vec<ValueId> = site.inputs.iter().copied().flatten().collect();
    let Some(shape) = site.output_shape() else { return Ok(None) };
    let mut building = Building::default();
    let mut origin = None;
    let mut operands = Vec::new();
    for (i, &value) in inputs.iter().enumerate() {
        let producer = site.producer(value).filter(|_| site.sole_user(i) && site.shape(value).as_ref() == Some(&shape));
        match producer.and_then(|p| formula_of(site.new, p).map(|f| (f, p))) {
            Some((inner, producer))
                if building.inputs.len() + inner.inputs < MAX_INPUTS && building.instrs.len() + inner.instrs.len() < MAX_INSTRS =>
            {
                origin = origin.or(Some(producer.origin.clone()));
                let reads: Vec<Operand> = producer.inputs.iter().flatten().map(|&v| building.input(site.new, v)).collect();
                operands.push(building.append(&inner, &reads));
            }
            _ => operands.push(building.input(site.new, value)),
        }
    }
    let constants = inputs.iter().any(|&v| scalar(site.new, v).is_some());
    if origin.is_none() && !constants {
        return Ok(None);
    }
    building.append(&formula, &operands);
    let (formula, inputs) = building.finish();
    if inputs.is_empty() || inputs.len() > MAX_INPUTS {
        return Ok(None);
    }
    // A scalar constant may have a higher rank than the other operands: the result keeps its shape only if they have it.
    if !inputs.iter().any(|&v| site.shape(v).is_some_and(|s| s.len() == shape.len())) {
        return Ok(None);
    }
    site.replace(Fused { formula }, &inputs, origin.as_ref()).map(Some)
}
