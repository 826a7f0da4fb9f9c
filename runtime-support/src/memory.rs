//! The memory of a model, and how a step takes typed views of it: `let (y, x) = m.views((Out::<f32>::arena(0, 10), In::<f32>::arena(64, 10)))?`.
//!
//! There are four kinds of places. The *arena* is one block whose plan the compiler made; it may be the caller's memory. *Slots* are blocks that grow
//! to the largest length seen, for buffers whose length depends on the inputs. *Strings* and *objects* live on the heap.
//! Views are checked: inside their place, aligned, and what is written overlaps nothing else. With constant arguments the checks fold to nothing.

use crate::element::Element;
use crate::error::Fault;
#[cfg(feature = "alloc")]
use crate::{
    aligned::{Block, MAX_BYTES},
    value::Value,
};
#[cfg(feature = "alloc")]
use alloc::{alloc as heap, string::String, vec::Vec};
use core::marker::PhantomData;
use core::mem::MaybeUninit;
use core::ptr::NonNull;

const ALIGN: usize = 64;
const OUTSIDE: Fault = Fault::Internal { what: "a view outside its buffer" };
const OVERLAP: Fault = Fault::Internal { what: "a written view overlaps another" };
#[cfg(feature = "alloc")]
const NO_PLACE: Fault = Fault::Internal { what: "no such place in memory" };

/// The memory of one model, with an arena of `ARENA` bytes.
pub struct Memory<'m, const ARENA: usize> {
    /// `ARENA` initialised bytes, aligned to 64, exclusively ours for `'m`.
    base: NonNull<u8>,
    #[cfg(feature = "alloc")]
    owned: bool,
    #[cfg(feature = "alloc")]
    slots: Vec<Block>,
    #[cfg(feature = "alloc")]
    strings: Vec<Vec<String>>,
    #[cfg(feature = "alloc")]
    objects: Vec<Value>,
    borrowed: PhantomData<&'m mut [MaybeUninit<u8>]>,
}

// SAFETY: the arena is plain bytes that only this value points to; the other fields are Send.
unsafe impl<const ARENA: usize> Send for Memory<'_, ARENA> {}
// SAFETY: nothing is read or written through a shared reference, except by `clone`, which only reads.
unsafe impl<const ARENA: usize> Sync for Memory<'_, ARENA> {}

impl<'m, const ARENA: usize> Memory<'m, ARENA> {
    /// The caller's memory as the arena; no slots, strings or objects. `BYTES` must leave room to align: at least `ARENA + 63`.
    pub fn new_in<const BYTES: usize>(bytes: &'m mut [MaybeUninit<u8>; BYTES]) -> Self {
        const { assert!(BYTES >= ARENA + ALIGN - 1) };
        bytes.fill(MaybeUninit::new(0));
        let start = bytes.as_mut_ptr().cast::<u8>();
        let pad = start.addr().next_multiple_of(ALIGN) - start.addr();
        // SAFETY: `pad` is at most 63, and the block is at least that much longer than the arena.
        let base = unsafe { NonNull::new_unchecked(start.add(pad)) };
        Self {
            base,
            #[cfg(feature = "alloc")]
            owned: false,
            #[cfg(feature = "alloc")]
            slots: Vec::new(),
            #[cfg(feature = "alloc")]
            strings: Vec::new(),
            #[cfg(feature = "alloc")]
            objects: Vec::new(),
            borrowed: PhantomData,
        }
    }
}

#[cfg(feature = "alloc")]
impl<const ARENA: usize> Memory<'_, ARENA> {
    const LAYOUT: heap::Layout = match heap::Layout::from_size_align(ARENA, ALIGN) {
        Ok(layout) => layout,
        Err(_) => panic!("the arena is larger than the address space"),
    };

    /// A zeroed arena on the heap, and that many (empty) slots, strings and objects.
    pub fn new(slots: usize, strings: usize, objects: usize) -> Self {
        let base = if ARENA == 0 {
            NonNull::<u128>::dangling().cast()
        } else {
            // SAFETY: the layout's size is not zero.
            let block = unsafe { heap::alloc_zeroed(Self::LAYOUT) };
            NonNull::new(block).unwrap_or_else(|| heap::handle_alloc_error(Self::LAYOUT))
        };
        Self {
            base,
            owned: ARENA > 0,
            slots: alloc::vec![Block::default(); slots],
            strings: alloc::vec![Vec::new(); strings],
            objects: alloc::vec![Value::default(); objects],
            borrowed: PhantomData,
        }
    }

    /// Exchanges what two slots hold: how a result becomes the next run's state.
    pub fn swap_slots(&mut self, a: usize, b: usize) -> Result<(), Fault> {
        if a.max(b) >= self.slots.len() {
            return Err(NO_PLACE);
        }
        self.slots.swap(a, b);
        Ok(())
    }

    /// The memory with strings in a place: for string constants.
    #[must_use]
    pub fn with_strings(mut self, place: usize, strings: &[&str]) -> Self {
        if let Some(held) = self.strings.get_mut(place) {
            *held = strings.iter().map(|&s| s.into()).collect();
        }
        self
    }

    /// Fills a string place, reusing what it holds: for string inputs.
    pub fn set_strings<S: AsRef<str>>(&mut self, place: usize, strings: &[S]) -> Result<(), Fault> {
        let held = self.strings.get_mut(place).ok_or(NO_PLACE)?;
        grow_strings(held, strings.len())?;
        for (to, from) in held.iter_mut().zip(strings) {
            to.clear();
            to.push_str(from.as_ref());
        }
        Ok(())
    }
}

#[cfg(feature = "alloc")]
fn grow_strings(held: &mut Vec<String>, len: usize) -> Result<(), Fault> {
    if len > held.len() {
        let refused = Fault::Memory { bytes: len.saturating_mul(size_of::<String>()) };
        if len > MAX_BYTES / size_of::<String>() {
            return Err(refused);
        }
        held.try_reserve(len - held.len()).map_err(|_| refused)?;
        held.resize(len, String::new());
    }
    Ok(())
}

#[cfg(feature = "alloc")]
impl<const ARENA: usize> Drop for Memory<'_, ARENA> {
    fn drop(&mut self) {
        if self.owned {
            // SAFETY: `owned` says that `new` allocated the block with this layout.
            unsafe { heap::dealloc(self.base.as_ptr(), Self::LAYOUT) }
        }
    }
}

/// The copy has its own arena on the heap.
#[cfg(feature = "alloc")]
impl<const ARENA: usize> Clone for Memory<'_, ARENA> {
    fn clone(&self) -> Self {
        let copy = Self::new(0, 0, 0);
        // SAFETY: both arenas hold `ARENA` initialised bytes, and the new one is distinct.
        unsafe { copy.base.as_ptr().copy_from_nonoverlapping(self.base.as_ptr(), ARENA) };
        // Written field by field because a type with `Drop` cannot be taken apart.
        let mut copy = copy;
        copy.slots.clone_from(&self.slots);
        copy.strings.clone_from(&self.strings);
        copy.objects.clone_from(&self.objects);
        copy
    }
}

impl<const ARENA: usize> core::fmt::Debug for Memory<'_, ARENA> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Memory<{ARENA}>")
    }
}

impl<const ARENA: usize> Memory<'_, ARENA> {
    /// Checked views of this memory: a tuple of [`In`], [`Out`], [`InObject`] and [`OutObject`], or [`Both`] of two such.
    #[inline(always)]
    pub fn views<C: Carve>(&mut self, wanted: C) -> Result<C::Views<'_>, Fault> {
        // First all that may move memory, then the addresses.
        wanted.reserve(self)?;
        let regions = wanted.locate(self)?;
        // SAFETY: located just now in this memory, which is borrowed for the views' lifetime and not touched since; `locate` saw to it that written
        // ones overlap no other.
        Ok(unsafe { C::view(regions) })
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Space {
    Arena,
    #[cfg(feature = "alloc")]
    Slot(usize),
    #[cfg(feature = "alloc")]
    Strings(usize),
    #[cfg(feature = "alloc")]
    Object(usize),
}

#[derive(Clone, Copy)]
struct Span {
    space: Space,
    /// Bytes into the arena.
    start: usize,
    /// The buffer's elements.
    limit: usize,
    offset: usize,
    len: usize,
}

macro_rules! spans {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        pub struct $name<T>(Span, PhantomData<T>);

        impl<T> Clone for $name<T> {
            #[inline(always)]
            fn clone(&self) -> Self {
                *self
            }
        }
        impl<T> Copy for $name<T> {}

        impl<T: Element> $name<T> {
            /// `len` elements, `start` bytes into the arena.
            #[inline(always)]
            pub const fn arena(start: usize, len: usize) -> Self {
                Self(Span { space: Space::Arena, start, limit: len, offset: 0, len }, PhantomData)
            }
            /// `len` elements of a slot.
            #[cfg(feature = "alloc")]
            #[inline(always)]
            pub const fn slot(slot: usize, len: usize) -> Self {
                Self(Span { space: Space::Slot(slot), start: 0, limit: len, offset: 0, len }, PhantomData)
            }
        }
        #[cfg(feature = "alloc")]
        impl $name<String> {
            /// `len` strings of a string place.
            #[inline(always)]
            pub const fn strings(place: usize, len: usize) -> Self {
                Self(Span { space: Space::Strings(place), start: 0, limit: len, offset: 0, len }, PhantomData)
            }
        }
        impl<T> $name<T> {
            /// Only these elements of it.
            #[inline(always)]
            pub const fn part(self, offset: usize, len: usize) -> Self {
                Self(Span { offset, len, ..self.0 }, PhantomData)
            }
        }
    };
}
spans! {
    /// Elements that a step reads: gives `&[T]`.
    In
}
spans! {
    /// Elements that a step writes (or updates): gives `&mut [T]`. A slot or string place grows to hold them.
    Out
}

/// An object that a step reads: gives `&Value`.
#[cfg(feature = "alloc")]
#[derive(Clone, Copy)]
pub struct InObject(pub usize);

/// An object that a step writes (or updates): gives `&mut Value`.
#[cfg(feature = "alloc")]
#[derive(Clone, Copy)]
pub struct OutObject(pub usize);

/// Where a view lies: the address of its first element and, to compare views, its range within a space.
#[derive(Clone, Copy)]
pub struct Region {
    space: Space,
    start: usize,
    end: usize,
    address: *mut u8,
    len: usize,
}

impl Region {
    #[inline(always)]
    fn apart(&self, other: &Self) -> bool {
        self.space != other.space || self.end <= other.start || other.end <= self.start || self.len == 0 || other.len == 0
    }
}

impl Span {
    /// The range in units of `size` bytes after `start`.
    #[inline(always)]
    fn range(&self, size: usize) -> Option<(usize, usize)> {
        let start = self.start.checked_add(self.offset.checked_mul(size)?)?;
        Some((start, start.checked_add(self.len.checked_mul(size)?)?))
    }

    /// An address for views that hold nothing.
    #[inline(always)]
    fn empty<T>(&self) -> Region {
        Region { space: self.space, start: 0, end: 0, address: NonNull::<T>::dangling().as_ptr().cast(), len: 0 }
    }

    #[inline(always)]
    fn elements<T: Element, const ARENA: usize>(&self, m: &mut Memory<'_, ARENA>) -> Result<Region, Fault> {
        if self.len == 0 {
            return Ok(self.empty::<T>());
        }
        let (start, end) = self.range(size_of::<T>()).ok_or(OUTSIDE)?;
        let (base, bytes) = match self.space {
            Space::Arena => {
                let inside = self.offset.checked_add(self.len).is_some_and(|end| end <= self.limit);
                (m.base.as_ptr(), if inside { ARENA } else { 0 })
            }
            #[cfg(feature = "alloc")]
            Space::Slot(slot) => {
                let block = m.slots.get_mut(slot).ok_or(NO_PLACE)?;
                (block.as_mut_ptr(), block.len())
            }
            #[cfg(feature = "alloc")]
            _ => return Err(NO_PLACE),
        };
        if end > bytes || !start.is_multiple_of(align_of::<T>()) {
            return Err(OUTSIDE);
        }
        // SAFETY: `start < end <= bytes`, and the place is that many bytes long.
        Ok(Region { space: self.space, start, end, address: unsafe { base.add(start) }, len: self.len })
    }

    #[cfg(feature = "alloc")]
    fn strings<const ARENA: usize>(&self, m: &mut Memory<'_, ARENA>) -> Result<Region, Fault> {
        if self.len == 0 {
            return Ok(self.empty::<String>());
        }
        let Space::Strings(place) = self.space else { return Err(NO_PLACE) };
        let held = m.strings.get_mut(place).ok_or(NO_PLACE)?;
        let end = self.offset.checked_add(self.len).filter(|&end| end <= held.len()).ok_or(OUTSIDE)?;
        // SAFETY: `offset < end <= held.len()`.
        let address = unsafe { held.as_mut_ptr().add(self.offset) }.cast();
        Ok(Region { space: self.space, start: self.offset, end, address, len: self.len })
    }
}

/// One view of a tuple. Implemented here only.
pub trait Slice: Copy + private::Sealed {
    /// What the step gets.
    type View<'a>;
    /// Whether the step may write it.
    const WRITES: bool;
    /// Makes room for it; moves what the place holds.
    #[inline(always)]
    fn reserve<const ARENA: usize>(self, _m: &mut Memory<'_, ARENA>) -> Result<(), Fault> {
        Ok(())
    }
    /// Finds it, in bounds and aligned.
    fn locate<const ARENA: usize>(self, m: &mut Memory<'_, ARENA>) -> Result<Region, Fault>;
    /// Makes the view.
    ///
    /// # Safety
    /// The region is from `locate` of the same type, its place is borrowed for `'a` and was not moved since, and no other view overlaps it if either is written.
    unsafe fn view<'a>(region: Region) -> Self::View<'a>;
}

mod private {
    pub trait Sealed {}
    impl<T> Sealed for super::In<T> {}
    impl<T> Sealed for super::Out<T> {}
    #[cfg(feature = "alloc")]
    impl Sealed for super::InObject {}
    #[cfg(feature = "alloc")]
    impl Sealed for super::OutObject {}
}

impl<T: Element> Slice for In<T> {
    type View<'a> = &'a [T];
    const WRITES: bool = false;
    #[inline(always)]
    fn locate<const ARENA: usize>(self, m: &mut Memory<'_, ARENA>) -> Result<Region, Fault> {
        self.0.elements::<T, ARENA>(m)
    }
    #[inline(always)]
    unsafe fn view<'a>(region: Region) -> &'a [T] {
        // SAFETY: `locate` found `len` initialised elements at the address; the caller answers for the borrow.
        unsafe { core::slice::from_raw_parts(region.address.cast(), region.len) }
    }
}

impl<T: Element> Slice for Out<T> {
    type View<'a> = &'a mut [T];
    const WRITES: bool = true;
    #[inline(always)]
    #[cfg_attr(not(feature = "alloc"), allow(unused_variables))]
    fn reserve<const ARENA: usize>(self, m: &mut Memory<'_, ARENA>) -> Result<(), Fault> {
        #[cfg(feature = "alloc")]
        if let Space::Slot(slot) = self.0.space {
            let end = self.0.range(size_of::<T>()).map(|(_, end)| end.max(self.0.limit.saturating_mul(size_of::<T>())));
            return m.slots.get_mut(slot).ok_or(NO_PLACE)?.grow(end.ok_or(Fault::Memory { bytes: usize::MAX })?);
        }
        Ok(())
    }
    #[inline(always)]
    fn locate<const ARENA: usize>(self, m: &mut Memory<'_, ARENA>) -> Result<Region, Fault> {
        self.0.elements::<T, ARENA>(m)
    }
    #[inline(always)]
    unsafe fn view<'a>(region: Region) -> &'a mut [T] {
        // SAFETY: as for `In`, and every bit pattern may be written.
        unsafe { core::slice::from_raw_parts_mut(region.address.cast(), region.len) }
    }
}

#[cfg(feature = "alloc")]
impl Slice for In<String> {
    type View<'a> = &'a [String];
    const WRITES: bool = false;
    fn locate<const ARENA: usize>(self, m: &mut Memory<'_, ARENA>) -> Result<Region, Fault> {
        self.0.strings(m)
    }
    unsafe fn view<'a>(region: Region) -> &'a [String] {
        // SAFETY: `locate` found `len` strings at the address; the caller answers for the borrow.
        unsafe { core::slice::from_raw_parts(region.address.cast(), region.len) }
    }
}

#[cfg(feature = "alloc")]
impl Slice for Out<String> {
    type View<'a> = &'a mut [String];
    const WRITES: bool = true;
    fn reserve<const ARENA: usize>(self, m: &mut Memory<'_, ARENA>) -> Result<(), Fault> {
        let Space::Strings(place) = self.0.space else { return Err(NO_PLACE) };
        let len = self.0.offset.checked_add(self.0.len).ok_or(OUTSIDE)?.max(self.0.limit);
        grow_strings(m.strings.get_mut(place).ok_or(NO_PLACE)?, len)
    }
    fn locate<const ARENA: usize>(self, m: &mut Memory<'_, ARENA>) -> Result<Region, Fault> {
        self.0.strings(m)
    }
    unsafe fn view<'a>(region: Region) -> &'a mut [String] {
        // SAFETY: as for `In`.
        unsafe { core::slice::from_raw_parts_mut(region.address.cast(), region.len) }
    }
}

#[cfg(feature = "alloc")]
fn object<const ARENA: usize>(m: &mut Memory<'_, ARENA>, place: usize) -> Result<Region, Fault> {
    if place >= m.objects.len() {
        return Err(NO_PLACE);
    }
    // SAFETY: the place exists.
    let address = unsafe { m.objects.as_mut_ptr().add(place) }.cast();
    Ok(Region { space: Space::Object(place), start: 0, end: 1, address, len: 1 })
}

#[cfg(feature = "alloc")]
impl Slice for InObject {
    type View<'a> = &'a Value;
    const WRITES: bool = false;
    fn locate<const ARENA: usize>(self, m: &mut Memory<'_, ARENA>) -> Result<Region, Fault> {
        object(m, self.0)
    }
    unsafe fn view<'a>(region: Region) -> &'a Value {
        // SAFETY: `locate` found the object; the caller answers for the borrow.
        unsafe { &*region.address.cast() }
    }
}

#[cfg(feature = "alloc")]
impl Slice for OutObject {
    type View<'a> = &'a mut Value;
    const WRITES: bool = true;
    fn locate<const ARENA: usize>(self, m: &mut Memory<'_, ARENA>) -> Result<Region, Fault> {
        object(m, self.0)
    }
    unsafe fn view<'a>(region: Region) -> &'a mut Value {
        // SAFETY: as for `InObject`.
        unsafe { &mut *region.address.cast() }
    }
}

/// A tuple of views, or [`Both`] of two.
pub trait Carve: Copy {
    /// What the step gets.
    type Views<'a>;
    /// Where they lie.
    type Regions: Copy;
    /// Makes room in what grows.
    fn reserve<const ARENA: usize>(self, m: &mut Memory<'_, ARENA>) -> Result<(), Fault>;
    /// Finds them, and checks that those written overlap no other.
    fn locate<const ARENA: usize>(self, m: &mut Memory<'_, ARENA>) -> Result<Self::Regions, Fault>;
    /// Whether `test` holds for all, told which are written.
    fn all(regions: &Self::Regions, test: &mut dyn FnMut(&Region, bool) -> bool) -> bool;
    /// Makes the views.
    ///
    /// # Safety
    /// `regions` were located in a memory that is borrowed for `'a` and has not been touched since.
    unsafe fn view<'a>(regions: Self::Regions) -> Self::Views<'a>;
}

/// Compares each with all that follow; views that are only read may overlap.
macro_rules! all_apart {
    ($a:ident) => {};
    ($a:ident $($b:ident)+) => {
        $(if ($a::WRITES || $b::WRITES) && !$a.apart(&$b) {
            return Err(OVERLAP);
        })+
        all_apart!($($b)+);
    };
}

macro_rules! tuples {
    ($first:ident) => { tuples!(@one $first); };
    ($first:ident $($rest:ident)+) => {
        tuples!(@one $first $($rest)+);
        tuples!($($rest)+);
    };
    (@region $name:ident) => { Region };
    (@one $($name:ident)+) => {
        #[allow(non_snake_case)]
        impl<$($name: Slice),+> Carve for ($($name,)+) {
            type Views<'a> = ($($name::View<'a>,)+);
            type Regions = ($(tuples!(@region $name),)+);
            #[inline(always)]
            fn reserve<const ARENA: usize>(self, m: &mut Memory<'_, ARENA>) -> Result<(), Fault> {
                let ($($name,)+) = self;
                $($name.reserve(m)?;)+
                Ok(())
            }
            #[inline(always)]
            fn locate<const ARENA: usize>(self, m: &mut Memory<'_, ARENA>) -> Result<Self::Regions, Fault> {
                let ($($name,)+) = self;
                $(let $name = $name.locate(m)?;)+
                all_apart!($($name)+);
                Ok(($($name,)+))
            }
            #[inline(always)]
            fn all(regions: &Self::Regions, test: &mut dyn FnMut(&Region, bool) -> bool) -> bool {
                let ($($name,)+) = regions;
                $(test($name, $name::WRITES))&&+
            }
            #[inline(always)]
            unsafe fn view<'a>(regions: Self::Regions) -> Self::Views<'a> {
                let ($($name,)+) = regions;
                // SAFETY: the caller's promise; `locate` found that written ones overlap no other.
                unsafe { ($($name::view($name),)+) }
            }
        }
    };
}
tuples!(A B C D E F G H I J K L N O P Q R S T U V W X Y);

/// More views than a tuple may have: those of the two together, checked against each other.
#[derive(Clone, Copy, Debug)]
pub struct Both<A, B>(pub A, pub B);

impl<A: Carve, B: Carve> Carve for Both<A, B> {
    type Views<'a> = Both<A::Views<'a>, B::Views<'a>>;
    type Regions = (A::Regions, B::Regions);
    fn reserve<const ARENA: usize>(self, m: &mut Memory<'_, ARENA>) -> Result<(), Fault> {
        self.0.reserve(m)?;
        self.1.reserve(m)
    }
    fn locate<const ARENA: usize>(self, m: &mut Memory<'_, ARENA>) -> Result<Self::Regions, Fault> {
        let (a, b) = (self.0.locate(m)?, self.1.locate(m)?);
        let apart = A::all(&a, &mut |x, writes| B::all(&b, &mut |y, also| !(writes || also) || x.apart(y)));
        if apart { Ok((a, b)) } else { Err(OVERLAP) }
    }
    fn all(regions: &Self::Regions, test: &mut dyn FnMut(&Region, bool) -> bool) -> bool {
        A::all(&regions.0, test) && B::all(&regions.1, test)
    }
    unsafe fn view<'a>(regions: Self::Regions) -> Self::Views<'a> {
        // SAFETY: the caller's promise; `locate` compared the two.
        unsafe { Both(A::view(regions.0), B::view(regions.1)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn views_read_what_was_written() {
        let mut m = Memory::<128>::new(2, 1, 1);
        let (a, b) = m.views((Out::<f32>::arena(0, 16), Out::<i64>::arena(64, 8))).unwrap();
        a.fill(1.5);
        b.fill(-1);
        let (a, tail, same) = m.views((In::<f32>::arena(0, 16), In::<f32>::arena(0, 16).part(14, 2), In::<i64>::arena(64, 8))).unwrap();
        assert_eq!((a[3], tail, same[7]), (1.5, &[1.5, 1.5][..], -1));
        assert_eq!(a.as_ptr().addr() % ALIGN, 0);
        let copy = m.clone().views((In::<i64>::arena(64, 8),)).unwrap().0[0];
        assert_eq!(copy, -1);
    }

    #[test]
    fn two_tuples_are_checked_against_each_other() {
        let mut m = Memory::<128>::new(1, 0, 0);
        let Both((a,), Both((b, c), (d,))) = m
            .views(Both((Out::<u8>::arena(0, 2),), Both((Out::<u8>::arena(2, 2), Out::<u8>::slot(0, 2)), (Out::<u8>::arena(4, 2),))))
            .unwrap();
        (a[1], b[1], c[1], d[1]) = (1, 2, 3, 4);
        let Both((all,), (slot,)) = m.views(Both((In::<u8>::arena(0, 6),), (In::<u8>::slot(0, 2),))).unwrap();
        assert_eq!((all, slot), (&[0, 1, 0, 2, 0, 4][..], &[0, 3][..]));
        let (reads, overlaps) = (In::<u8>::arena(0, 6), Out::<u8>::arena(5, 1));
        assert!(m.views(Both((reads,), (reads,))).is_ok());
        assert!(m.views(Both((reads,), (overlaps,))).is_err());
        assert!(m.views(Both((overlaps,), Both((In::<u8>::slot(0, 1),), (reads,)))).is_err());
    }

    #[test]
    fn wrong_views_are_refused() {
        let mut m = Memory::<128>::new(1, 1, 1);
        assert!(m.views((In::<f32>::arena(64, 17),)).is_err());
        assert!(m.views((In::<f32>::arena(2, 1),)).is_err());
        assert!(m.views((In::<f32>::arena(usize::MAX, usize::MAX),)).is_err());
        assert!(m.views((In::<f32>::arena(0, 8).part(7, 2),)).is_err());
        assert!(m.views((In::<u8>::slot(0, 1),)).is_err());
        assert!(m.views((Out::<u8>::slot(1, 1),)).is_err());
        assert!(m.views((Out::<u64>::slot(0, usize::MAX),)).is_err());
        assert!(m.views((In::<String>::strings(0, 1),)).is_err());
        assert!(m.views((InObject(1),)).is_err());
        assert!(m.views((Out::<u8>::arena(0, 64), In::<u8>::arena(60, 4))).is_err());
        assert!(m.views((In::<u8>::arena(0, 1), In::<u8>::arena(0, 64), Out::<u8>::arena(63, 1))).is_err());
        assert!(m.views((OutObject(0), InObject(0))).is_err());
        assert!(m.views((Out::<u8>::arena(0, 64), In::<u8>::arena(60, 0))).is_ok());
    }

    #[test]
    fn slots_and_strings_grow_and_keep() {
        let mut m = Memory::<0>::new(2, 2, 1);
        m.views((Out::<u16>::slot(0, 3),)).unwrap().0.copy_from_slice(&[1, 2, 3]);
        let (x, y) = m.views((Out::<u16>::slot(0, 1000).part(3, 2), Out::<u16>::slot(0, 3))).unwrap();
        x.fill(9);
        y[0] = 7;
        assert_eq!(m.views((In::<u16>::slot(0, 5),)).unwrap().0, &[7, 2, 3, 9, 9]);
        m.set_strings(1, &["a", "b"]).unwrap();
        m.views((Out::<String>::strings(1, 3),)).unwrap().0[2] = "c".to_string();
        assert_eq!(m.views((In::<String>::strings(1, 3),)).unwrap().0, &["a", "b", "c"]);
        *m.views((OutObject(0),)).unwrap().0 = Value::Sequence(Vec::new());
        assert_eq!(m.views((InObject(0),)).unwrap().0, &Value::Sequence(Vec::new()));
    }

    #[test]
    fn the_arena_may_be_the_callers() {
        let mut bytes = [MaybeUninit::uninit(); 191];
        let mut m = Memory::<128>::new_in(&mut bytes);
        let (all,) = m.views((Out::<u8>::arena(0, 128),)).unwrap();
        assert!(all.iter().all(|&b| b == 0));
        assert_eq!(all.as_ptr().addr() % ALIGN, 0);
        all.fill(3);
    }
}
