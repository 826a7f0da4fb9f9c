//! MurmurHash3 in its form for x86 with 32 bits, by Austin Appleby: of the bytes of each element.

use crate::element::{Element, as_bytes};
use crate::error::Fault;
#[cfg(feature = "alloc")]
use alloc::string::String;

/// What has bytes to be hashed.
pub trait Hashed {
    /// The bytes.
    fn bytes(&self) -> &[u8];
}

impl<T: Element> Hashed for T {
    fn bytes(&self) -> &[u8] {
        as_bytes(core::slice::from_ref(self))
    }
}

#[cfg(feature = "alloc")]
impl Hashed for String {
    fn bytes(&self) -> &[u8] {
        self.as_bytes()
    }
}

/// A group of four bytes, or what is left at the end, mixed.
fn mixed(group: &[u8]) -> u32 {
    let word = group.iter().rev().fold(0u32, |word, &byte| (word << 8) | u32::from(byte));
    word.wrapping_mul(0xcc9e_2d51).rotate_left(15).wrapping_mul(0x1b87_3593)
}

fn murmur3(bytes: &[u8], seed: u32) -> u32 {
    let mut hash = seed;
    let groups = bytes.chunks_exact(4);
    let rest = groups.remainder();
    for group in groups {
        hash = (hash ^ mixed(group)).rotate_left(13).wrapping_mul(5).wrapping_add(0xe654_6b64);
    }
    hash ^= mixed(rest) ^ bytes.len() as u32;
    hash = (hash ^ (hash >> 16)).wrapping_mul(0x85eb_ca6b);
    hash = (hash ^ (hash >> 13)).wrapping_mul(0xc2b2_ae35);
    hash ^ (hash >> 16)
}

macro_rules! results {
    ($($name:ident $ty:ty),*) => {$(
        #[doc = concat!("The hash of each element as `", stringify!($ty), "`; the seed is the lower half of `seed`.")]
        pub fn $name<T: Hashed>(out: &mut [$ty], x: &[T], seed: i64) -> Result<(), Fault> {
            if out.len() != x.len() {
                return Err(Fault::Internal { what: "hash: lengths differ" });
            }
            out.iter_mut().zip(x).for_each(|(y, x)| *y = murmur3(x.bytes(), seed as u32) as $ty);
            Ok(())
        }
    )*};
}
results!(murmur3_u32 u32, murmur3_i32 i32);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn published_values() {
        // From the author's and others' tests of the x86_32 form.
        for (text, seed, hash) in [("", 0, 0), ("", 1, 0x514e_28b7), ("", -1, 0x81f1_6f39), ("aaaa", 0x9747_b28c, 0x5a97_808a)] {
            let mut y = [0u32];
            murmur3_u32(&mut y, &[String::from(text)], seed).unwrap();
            assert_eq!(y[0], hash, "{text:?}");
        }
        let mut y = [0u32];
        murmur3_u32(&mut y, &[String::from("Hello, world!")], 0x9747_b28c).unwrap();
        assert_eq!(y[0], 0x2488_4cba);
        murmur3_u32(&mut y, &[0x8765_4321u32], 0).unwrap();
        assert_eq!(y[0], 0xf55b_516b);
    }
}
