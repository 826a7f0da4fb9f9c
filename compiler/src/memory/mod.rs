//! Room 5 · Program → Placement: where each buffer lives.
//!
//! Buffers of constant length share one arena: two may have the same bytes if they are never live together (`lifetime`, then `best_fit`).
//! Buffers of symbolic length share growing slots in the same way. What was placed is always checked (`check`).

mod best_fit;
mod check;
mod lifetime;
#[cfg(test)]
mod tests;

use crate::program::{Buffer, BufferId, PortType, Program, Storage, WeightId};
use crate::report::{Diagnostic, Report};
use lifetime::Lifetime;
use onnxc_runtime::element::DType;
use std::fmt;

/// The alignment of every buffer in the arena.
pub const ALIGN: usize = 64;

/// The most bytes of a state that are copied after each call, rather than swapped.
const COPIED_STATE: usize = 1 << 14;

/// Where a buffer lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Nobody uses it.
    Unused,
    /// The caller's memory: the input of that number.
    Input(usize),
    /// A constant.
    Weight(WeightId),
    /// That many bytes into the arena.
    Arena(usize),
    /// A growing slot.
    Slot(usize),
    /// A place for strings; string inputs and constants are copied there.
    Strings(usize),
    /// A place for an object.
    Object(usize),
}

/// The places of all buffers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placement {
    places: Vec<Place>,
    /// The length of the arena in bytes.
    pub arena: usize,
    /// The number of slots.
    pub slots: usize,
    /// The number of string places.
    pub strings: usize,
    /// The number of object places.
    pub objects: usize,
}

impl Placement {
    /// Where the buffer lives.
    pub fn place(&self, buffer: BufferId) -> Place {
        self.places.get(buffer.index()).copied().unwrap_or(Place::Unused)
    }

    /// Whether the model needs an allocator: not all of its memory is one block of known size.
    pub fn needs_heap(&self) -> bool {
        self.slots + self.strings + self.objects > 0
    }
}

impl fmt::Display for Placement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "arena {} bytes, {} slots, {} strings, {} objects", self.arena, self.slots, self.strings, self.objects)?;
        for (i, place) in self.places.iter().enumerate() {
            let id = BufferId::new(i);
            match place {
                Place::Unused => writeln!(f, "{id} unused")?,
                Place::Input(n) => writeln!(f, "{id} input {n}")?,
                Place::Weight(w) => writeln!(f, "{id} weight {w}")?,
                Place::Arena(offset) => writeln!(f, "{id} arena {offset}")?,
                Place::Slot(n) => writeln!(f, "{id} slot {n}")?,
                Place::Strings(n) => writeln!(f, "{id} strings {n}")?,
                Place::Object(n) => writeln!(f, "{id} object {n}")?,
            }
        }
        Ok(())
    }
}

/// A buffer of the arena: its bytes and when it is live.
#[derive(Clone, Copy, Debug)]
struct Block {
    bytes: usize,
    life: Lifetime,
}

/// More bytes than any machine addresses: such a model is broken, or its dims were given wrongly.
const MOST: i128 = 1 << 47;

/// Whether all buffers of known length fit into an address space: what [`place`] and the generated code rely on.
pub fn check_size(program: &Program) -> Result<(), Report> {
    let bytes = |buffer: &Buffer| i128::from(program.dims.value(buffer.len).unwrap_or(0)) * buffer.dtype.size() as i128;
    let total: i128 = program.buffers.iter().map(|(_, buffer)| bytes(buffer)).sum();
    if total <= MOST {
        return Ok(());
    }
    let largest = program.buffers.iter().map(|(_, buffer)| buffer).max_by_key(|buffer| bytes(buffer));
    let fact = largest.map(|b| format!("the largest value: `{}`, {}[{}]", b.name, b.dtype, program.dims.show(b.len)));
    let error = Diagnostic::error(format!("the model needs {total} bytes of memory")).facts(fact.into_iter().collect());
    Err(error.help("look for a dim that was exported, or given, wrongly").into())
}

/// Places every buffer.
pub fn place(program: &Program) -> Placement {
    let lives = lifetime::lifetimes(program);
    let mut placement = Placement { places: vec![Place::Unused; program.buffers.len()], arena: 0, slots: 0, strings: 0, objects: 0 };
    let swapped = swapped(program);
    let mut blocks = Vec::new();
    let mut growing = Vec::new();
    for (id, buffer) in program.buffers.iter() {
        let Some(life) = lives[id.index()] else { continue };
        let string = buffer.dtype == DType::String;
        placement.places[id.index()] = match (buffer.storage, program.dims.value(buffer.len)) {
            (Storage::Object, _) => next(&mut placement.objects, Place::Object),
            (Storage::Input(n), _) if is_object(program, n) => Place::Input(n),
            _ if string => next(&mut placement.strings, Place::Strings),
            (Storage::Input(n), _) => Place::Input(n),
            (Storage::Weight(w), _) => Place::Weight(w),
            (Storage::Scratch, Some(len)) if !swapped.contains(&id) => {
                let len = usize::try_from(len).unwrap_or(0);
                blocks.push((id, Block { bytes: len.saturating_mul(buffer.dtype.size()), life }));
                Place::Arena(0)
            }
            (Storage::Scratch, _) => {
                growing.push((id, life));
                Place::Slot(0)
            }
        };
    }
    let (offsets, arena) = best_fit::best_fit(&blocks.iter().map(|b| b.1).collect::<Vec<_>>());
    for ((id, _), &offset) in blocks.iter().zip(&offsets) {
        placement.places[id.index()] = Place::Arena(offset);
    }
    placement.arena = arena;
    placement.slots = share_slots(program, &mut placement.places, growing);
    check::check(&blocks, &offsets, arena);
    placement
}

/// Large states and what replaces them live in slots, which change places instead of being copied; symbolic ones do anyway.
fn swapped(program: &Program) -> Vec<BufferId> {
    let bytes = |id: BufferId| {
        let len = program.dims.value(program.buffers[id].len);
        len.map_or(usize::MAX, |n| usize::try_from(n).unwrap_or(0).saturating_mul(program.buffers[id].dtype.size()))
    };
    let large = program.states.iter().filter(|s| bytes(s.buffer).max(bytes(s.next)) > COPIED_STATE);
    large.flat_map(|s| [s.buffer, s.next]).collect()
}

fn is_object(program: &Program, input: usize) -> bool {
    matches!(program.inputs.get(input).map(|port| &port.ty), Some(PortType::Object(_)))
}

fn next(count: &mut usize, place: fn(usize) -> Place) -> Place {
    *count += 1;
    place(*count - 1)
}

/// Gives each growing buffer a slot that is free by then, if possible one that held a buffer of the same length; returns the number of slots.
fn share_slots(program: &Program, places: &mut [Place], mut growing: Vec<(BufferId, Lifetime)>) -> usize {
    growing.sort_by_key(|(id, life)| (life.first, *id));
    // For each slot: when its last buffer dies, and that buffer's length and dtype size.
    let mut slots: Vec<(usize, (crate::ir::dim::Dim, usize))> = Vec::new();
    for (id, life) in growing {
        let buffer = &program.buffers[id];
        let kind = (buffer.len, buffer.dtype.size());
        let free = |s: &(usize, _)| s.0 < life.first;
        let same = slots.iter().position(|s| free(s) && s.1 == kind);
        let slot = same.or_else(|| slots.iter().position(free)).unwrap_or(slots.len());
        if slot == slots.len() {
            slots.push((0, kind));
        }
        slots[slot] = (life.last, kind);
        places[id.index()] = Place::Slot(slot);
    }
    slots.len()
}
