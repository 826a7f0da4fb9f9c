//! When each buffer is live: from its first access to its last, in the order of the steps, stretched over loops that carry it round.

use crate::program::{Action, Arg, BufferId, Fused, Program, Step, View};

/// Positions of the first and last step that a buffer must survive, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Lifetime {
    pub first: usize,
    pub last: usize,
}

impl Lifetime {
    pub fn overlaps(self, other: Self) -> bool {
        self.first <= other.last && other.first <= self.last
    }
}

/// One access of a buffer by a step.
#[derive(Clone, Copy)]
struct Access {
    at: usize,
    block: usize,
    /// The step writes all of the buffer and reads nothing of it.
    defines: bool,
}

/// Everything seen on one walk over the steps. Block 0 is the body; a block's parent encloses it.
struct Walk<'a> {
    program: &'a Program,
    accesses: Vec<Vec<Access>>,
    parents: Vec<usize>,
    loops: Vec<(usize, usize)>,
    now: usize,
}

/// The lifetime of each buffer; `None` if no step uses it.
pub(super) fn lifetimes(program: &Program) -> Vec<Option<Lifetime>> {
    let mut walk = Walk { program, accesses: vec![Vec::new(); program.buffers.len()], parents: vec![0], loops: Vec::new(), now: 0 };
    walk.now = 1;
    walk.steps(&program.body, 0);
    for port in &program.outputs {
        walk.access(port.buffer, 0, false);
    }
    for state in &program.states {
        walk.access(state.next, 0, false);
    }
    let mut lives: Vec<_> = (0..program.buffers.len()).map(|i| walk.lifetime(&walk.accesses[i])).collect();
    for state in &program.states {
        // From call to call, if any step reads it.
        if let Some(life) = &mut lives[state.buffer.index()] {
            *life = Lifetime { first: 0, last: walk.now };
        }
    }
    lives
}

impl Walk<'_> {
    fn steps(&mut self, steps: &[Step], block: usize) {
        for step in steps {
            self.action(&step.action, block);
            self.now += 1;
        }
    }

    fn action(&mut self, action: &Action, block: usize) {
        match action {
            Action::Call(call) => {
                // Reads before writes: a step that does both to one buffer does not define it.
                for write in [false, true] {
                    call.args.iter().for_each(|arg| self.arg(arg, block, write));
                }
            }
            Action::Fused(Fused { out, inputs, .. }) => {
                inputs.iter().for_each(|(view, _)| self.access(view.buffer, block, false));
                self.write(*out, block);
            }
            Action::Assign(_) | Action::Require(_) => {}
            Action::If { condition, then, otherwise } => {
                self.access(condition.buffer, block, false);
                for branch in [then, otherwise] {
                    self.now += 1;
                    let inner = self.enter(block);
                    self.steps(branch, inner);
                }
            }
            Action::Loop { condition, body, .. } => {
                let start = self.now;
                let inner = self.enter(block);
                if let Some(condition) = condition {
                    self.access(condition.buffer, inner, false);
                }
                self.now += 1;
                self.steps(body, inner);
                self.loops.push((start, self.now));
            }
        }
    }

    fn enter(&mut self, parent: usize) -> usize {
        self.parents.push(parent);
        self.parents.len() - 1
    }

    fn arg(&mut self, arg: &Arg, block: usize, writes: bool) {
        match arg {
            Arg::In(view) if !writes => self.access(view.buffer, block, false),
            Arg::InObject(buffer) if !writes => self.access(*buffer, block, false),
            Arg::Out { view, update: false } if writes => self.write(*view, block),
            Arg::Out { view, update: true } if !writes => self.access(view.buffer, block, false),
            Arg::OutObject { buffer, update } if writes => self.access(*buffer, block, !update),
            Arg::Present(inner) => self.arg(inner, block, writes),
            _ => {}
        }
    }

    fn write(&mut self, view: View, block: usize) {
        let whole = self.program.dims.value(view.offset) == Some(0) && view.len == self.program.buffers[view.buffer].len;
        self.access(view.buffer, block, whole);
    }

    fn access(&mut self, buffer: BufferId, block: usize, defines: bool) {
        self.accesses[buffer.index()].push(Access { at: self.now, block, defines });
    }

    fn lifetime(&self, accesses: &[Access]) -> Option<Lifetime> {
        let mut life = Lifetime { first: accesses.first()?.at, last: accesses.last()?.at };
        for &(start, end) in &self.loops {
            let inside = |a: &&Access| (start..=end).contains(&a.at);
            let Some(first) = accesses.iter().find(inside) else { continue };
            // A buffer that the loop's body itself defines before every use is new in each trip; any other is carried or comes from outside.
            let local = first.defines && accesses.iter().all(|a| inside(&a) && self.within(a.block, first.block));
            if !local {
                life = Lifetime { first: life.first.min(start), last: life.last.max(end) };
            }
        }
        Some(life)
    }

    /// Whether block `inner` is `outer` or inside it.
    fn within(&self, mut inner: usize, outer: usize) -> bool {
        while inner > outer {
            inner = self.parents[inner];
        }
        inner == outer
    }
}
