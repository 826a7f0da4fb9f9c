//! Constants that travel with a program: one block of bytes, taken into the binary by the assembler or by `include_bytes!`.

use crate::element::Element;

/// A block of constants, aligned to 64 bytes.
#[repr(C, align(64))]
pub struct Blob<const BYTES: usize>(pub [u8; BYTES]);

impl<const BYTES: usize> Blob<BYTES> {
    /// `LEN` elements from `OFFSET` bytes on; that they are inside and aligned is checked when the program is compiled.
    #[inline(always)]
    pub fn slice<T: Element, const OFFSET: usize, const LEN: usize>(&'static self) -> &'static [T] {
        const {
            assert!(OFFSET.is_multiple_of(align_of::<T>()) && align_of::<T>() <= 64);
            assert!(OFFSET <= BYTES && LEN <= (BYTES - OFFSET) / size_of::<T>());
        }
        // SAFETY: inside the block and aligned (asserted above, the block itself is aligned to 64), and every bit pattern is a valid element.
        unsafe { core::slice::from_raw_parts(self.0.as_ptr().add(OFFSET).cast(), LEN) }
    }
}

/// Defines `static WEIGHTS: Blob<LEN>` with the contents of a file: by `.incbin` where the target's assembler has it, which spares rustc
/// from holding the bytes, else by `include_bytes!`. The symbol is weak, so that one binary may hold the same model twice.
/// The file is named from the package (`package "src/m.weights"`), from `OUT_DIR` (`out_dir "m.weights"`) or by its whole path (`path "/…"`).
#[macro_export]
#[doc(hidden)]
macro_rules! embed_weights {
    ($symbol:literal, package $path:literal, $len:literal) => {
        $crate::embed_weights!(@ $symbol, concat!(env!("CARGO_MANIFEST_DIR"), "/", $path), $len);
    };
    ($symbol:literal, out_dir $path:literal, $len:literal) => {
        $crate::embed_weights!(@ $symbol, concat!(env!("OUT_DIR"), "/", $path), $len);
    };
    ($symbol:literal, path $path:literal, $len:literal) => {
        $crate::embed_weights!(@ $symbol, $path, $len);
    };
    (@ $symbol:literal, $path:expr, $len:literal) => {
        #[cfg(all(not(miri), any(target_os = "linux", target_os = "android", target_os = "freebsd", target_os = "netbsd", target_os = "openbsd")))]
        ::core::arch::global_asm!(
            concat!(".pushsection .rodata.", $symbol, ",\"a\",%progbits"),
            concat!(".weak ", $symbol),
            concat!(".hidden ", $symbol),
            ".balign 64",
            concat!($symbol, ":"),
            concat!(".incbin \"", $path, "\""),
            concat!(".size ", $symbol, ", ", $len),
            ".popsection",
            options(raw)
        );
        #[cfg(all(not(miri), target_vendor = "apple"))]
        ::core::arch::global_asm!(
            ".pushsection __TEXT,__const",
            concat!(".globl _", $symbol),
            concat!(".weak_definition _", $symbol),
            ".p2align 6",
            concat!("_", $symbol, ":"),
            concat!(".incbin \"", $path, "\""),
            ".popsection",
            options(raw)
        );
        #[cfg(all(
            not(miri),
            any(target_vendor = "apple", target_os = "linux", target_os = "android", target_os = "freebsd", target_os = "netbsd", target_os = "openbsd")
        ))]
        // SAFETY: defined just above, aligned to 64, and the file has that many bytes (checked when it was written).
        unsafe extern "C" {
            /// All constants that are not literals.
            #[link_name = $symbol]
            safe static WEIGHTS: $crate::weights::Blob<$len>;
        }
        #[cfg(any(
            miri,
            not(any(
                target_vendor = "apple",
                target_os = "linux",
                target_os = "android",
                target_os = "freebsd",
                target_os = "netbsd",
                target_os = "openbsd"
            ))
        ))]
        $crate::include_weights!(@ $path, $len);
    };
}

/// Defines `static WEIGHTS: Blob<LEN>` with the contents of a file by `include_bytes!`, without unsafe code. Files are named as in `embed_weights!`.
#[macro_export]
#[doc(hidden)]
macro_rules! include_weights {
    (package $path:literal, $len:literal) => {
        $crate::include_weights!(@ concat!(env!("CARGO_MANIFEST_DIR"), "/", $path), $len);
    };
    (out_dir $path:literal, $len:literal) => {
        $crate::include_weights!(@ concat!(env!("OUT_DIR"), "/", $path), $len);
    };
    (path $path:literal, $len:literal) => {
        $crate::include_weights!(@ $path, $len);
    };
    (@ $path:expr, $len:literal) => {
        /// All constants that are not literals.
        static WEIGHTS: $crate::weights::Blob<$len> = $crate::weights::Blob(*include_bytes!($path));
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_see_little_endian_elements() {
        static BLOB: Blob<68> = Blob({
            let mut bytes = [0; 68];
            bytes[64] = 1;
            bytes[65] = 2;
            bytes
        });
        assert_eq!(BLOB.slice::<u16, 64, 2>(), &[0x201, 0]);
        assert!(BLOB.slice::<f32, 0, 16>().iter().all(|&x| x == 0.0));
    }
}
