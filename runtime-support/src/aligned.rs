//! Growable byte blocks aligned to 64 bytes: a cache line, and the widest vector register.

use crate::error::Fault;
use alloc::vec::Vec;

/// The alignment of every block of memory that the runtime hands out.
pub const ALIGN: usize = 64;

/// The most bytes one block may have: more is a hostile or mistaken size, whatever the allocator would say.
pub const MAX_BYTES: usize = (isize::MAX as usize) >> (if usize::BITS == 64 { 23 } else { 0 });

#[derive(Clone, Copy)]
#[repr(C, align(64))]
pub(crate) struct Line([u8; ALIGN]);

impl Line {
    pub(crate) const ZERO: Self = Self([0; ALIGN]);
}

/// A block of zeroed or written bytes, aligned to 64. It grows and never shrinks.
#[derive(Clone, Default)]
pub struct Block {
    lines: Vec<Line>,
    len: usize,
}

impl Block {
    /// A block of `len` zero bytes.
    pub fn zeroed(len: usize) -> Result<Self, Fault> {
        let mut block = Self::default();
        block.grow(len)?;
        Ok(block)
    }

    /// Makes the block at least `len` bytes long; what it holds stays, new bytes are zero.
    #[inline]
    pub fn grow(&mut self, len: usize) -> Result<(), Fault> {
        if len <= self.len { Ok(()) } else { self.grow_cold(len) }
    }

    #[cold]
    fn grow_cold(&mut self, len: usize) -> Result<(), Fault> {
        let lines = len.div_ceil(ALIGN);
        let refused = Fault::Memory { bytes: len };
        if len > MAX_BYTES {
            return Err(refused);
        }
        self.lines.try_reserve_exact(lines.saturating_sub(self.lines.len())).map_err(|_| refused)?;
        self.lines.resize(lines, Line::ZERO);
        self.len = len;
        Ok(())
    }

    /// The number of bytes.
    #[inline(always)]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no byte.
    #[inline(always)]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The address of the first byte. Valid for `len` bytes until the block grows; taking it does not invalidate earlier ones.
    #[inline(always)]
    #[allow(dead_code)]
    pub(crate) fn as_mut_ptr(&mut self) -> *mut u8 {
        self.lines.as_mut_ptr().cast()
    }

    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        // SAFETY: the lines hold at least `len` initialised bytes (kept by `grow`), and a `Line` has no padding.
        unsafe { core::slice::from_raw_parts(self.lines.as_ptr().cast(), self.len) }
    }

    /// The bytes, mutable.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: as in `bytes`; the borrow is exclusive, and every byte value is valid.
        unsafe { core::slice::from_raw_parts_mut(self.lines.as_mut_ptr().cast(), self.len) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn growing_keeps_the_bytes_and_refuses_hostile_sizes() {
        let mut block = Block::zeroed(3).unwrap();
        block.bytes_mut().copy_from_slice(&[1, 2, 3]);
        block.grow(1000).unwrap();
        assert_eq!(&block.bytes()[..4], &[1, 2, 3, 0]);
        assert_eq!(block.as_mut_ptr().addr() % ALIGN, 0);
        block.grow(2).unwrap();
        assert_eq!(block.len(), 1000);
        assert_eq!(block.grow(usize::MAX), Err(Fault::Memory { bytes: usize::MAX }));
        assert!(block.grow(MAX_BYTES + 1).is_err());
    }
}
