use super::*;
use crate::ir::arena::Arena;
use crate::ir::dim::Dims;
use crate::program::kernel::Kernel;
use crate::program::{Action, Arg, Buffer, Call, Port, Step, View};
use lifetime::{Lifetime, lifetimes};

/// A program of copies between scratch buffers of these lengths (in bytes).
fn program(lens: &[i64]) -> Program {
    let dims = Dims::default();
    let mut buffers = Arena::default();
    for &len in lens {
        buffers.push(Buffer { dtype: DType::U8, len: dims.int(len), storage: Storage::Scratch, name: String::new() });
    }
    let (inputs, outputs, body) = (Vec::new(), Vec::new(), Vec::new());
    Program {
        states: Vec::new(),
        name: String::new(),
        producer: String::new(),
        dims,
        inputs,
        outputs,
        buffers,
        weights: Arena::default(),
        checks: Vec::new(),
        body,
    }
}

fn view(p: &Program, buffer: usize) -> View {
    let id = BufferId::new(buffer);
    View { buffer: id, offset: p.dims.int(0), len: p.buffers[id].len }
}

fn step(action: Action) -> Step {
    Step { node: String::new(), doc: String::new(), action }
}

/// A step that reads and writes these.
fn copy(p: &Program, to: usize, from: &[usize]) -> Step {
    let mut args = vec![Arg::Out { view: view(p, to), update: false }];
    args.extend(from.iter().map(|&b| Arg::In(view(p, b))));
    step(Action::Call(Call { kernel: Kernel { path: "test", run: |_| Ok(()) }, args }))
}

fn output(p: &mut Program, buffer: usize) {
    let buffer = BufferId::new(buffer);
    p.outputs.push(Port { name: String::new(), ty: PortType::Tensor(DType::U8, Vec::new()), buffer });
}

#[test]
fn buffers_share_bytes_when_their_lives_do_not_meet() {
    let mut p = program(&[64, 100, 64, 0, 9]);
    p.body = vec![copy(&p, 0, &[]), copy(&p, 1, &[0]), copy(&p, 2, &[1]), copy(&p, 3, &[2])];
    output(&mut p, 3);
    let placement = place(&p);
    assert_eq!(placement.arena, 192);
    assert_eq!(placement.to_string().lines().nth(5), Some("b4 unused"));
    assert_eq!(placement.place(BufferId::new(0)), placement.place(BufferId::new(2)));
}

#[test]
fn what_a_loop_carries_lives_as_long_as_the_loop() {
    // 0 comes from before; 1 is new in each trip; 2 is read before it is written: carried; 3 is written in a branch, read after it.
    let mut p = program(&[1; 6]);
    let branch = step(Action::If { condition: view(&p, 0), then: vec![copy(&p, 3, &[])], otherwise: Vec::new() });
    let body = vec![copy(&p, 1, &[0]), copy(&p, 4, &[2]), copy(&p, 2, &[1]), branch, copy(&p, 4, &[3])];
    let (counter, _) = p.dims.fresh(0);
    let repeat = step(Action::Loop { counter, trips: Some(p.dims.int(3)), condition: None, body });
    p.body = vec![copy(&p, 0, &[]), repeat, copy(&p, 5, &[])];
    let lives = lifetimes(&p);
    let of = |i: usize| lives[i].unwrap();
    let whole = of(2);
    assert!(of(0).first < whole.first && of(0).last == whole.last);
    assert!(of(1).first > whole.first && of(1).last < whole.last);
    assert_eq!(of(3), whole);
    assert!(of(5).first > whole.last);
}

#[test]
fn growing_buffers_share_slots() {
    let mut p = program(&[1; 3]);
    let n = p.dims.named("n");
    for i in 0..3 {
        p.buffers[BufferId::new(i)].len = n;
    }
    p.body = vec![copy(&p, 0, &[]), copy(&p, 1, &[0]), copy(&p, 2, &[1])];
    output(&mut p, 2);
    let placement = place(&p);
    assert_eq!((placement.slots, placement.arena), (2, 0));
    assert_eq!(placement.place(BufferId::new(0)), placement.place(BufferId::new(2)));
    assert!(placement.needs_heap());
}

/// Random lives: the plan holds (`check` panics if not) and is never larger than everything side by side, nor smaller than the fullest moment.
#[test]
fn random_plans_are_sound() {
    let mut seed = 11u64;
    let mut next = move |n: usize| {
        seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (seed >> 33) as usize % n
    };
    for _ in 0..200 {
        let blocks: Vec<(BufferId, Block)> = (0..=next(30))
            .map(|i| {
                let first = next(40);
                (BufferId::new(i), Block { bytes: next(5000), life: Lifetime { first, last: first + next(10) } })
            })
            .collect();
        let plain: Vec<Block> = blocks.iter().map(|b| b.1).collect();
        let (offsets, arena) = best_fit::best_fit(&plain);
        check::check(&blocks, &offsets, arena);
        let size = |b: &Block| b.bytes.next_multiple_of(ALIGN);
        let live = |t: usize| plain.iter().filter(|b| b.life.first <= t && t <= b.life.last).map(size).sum::<usize>();
        let fullest = (0..60).map(live).max().unwrap();
        assert!(fullest <= arena && arena <= plain.iter().map(size).sum());
    }
}
