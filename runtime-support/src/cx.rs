//! What a kernel is told about the machine: the instruction set, chosen once at the door of `run`, and the threads.

/// An instruction set that kernels are compiled for. Ordered: a later one of the same family implies the earlier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Isa {
    /// Portable code, whatever the target's baseline is; also what folding uses, so that results do not depend on the host.
    Scalar,
    /// WebAssembly simd128.
    Simd128,
    /// aarch64 NEON.
    Neon,
    /// x86-64 with AVX2 and FMA (x86-64-v3).
    Avx2,
    /// x86-64 with AVX-512 F, BW, DQ, VL (x86-64-v4).
    Avx512,
}

impl Isa {
    /// All instruction sets, least first.
    pub const ALL: [Self; 5] = [Self::Scalar, Self::Simd128, Self::Neon, Self::Avx2, Self::Avx512];

    /// The name that `ONNXC_ISA` and `--target-cpu` use.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Scalar => "scalar",
            Self::Simd128 => "simd128",
            Self::Neon => "neon",
            Self::Avx2 => "avx2",
            Self::Avx512 => "avx512",
        }
    }

    /// Whether this machine (or, without `std`, this compilation target) has the instruction set.
    pub fn available(self) -> bool {
        match self {
            Self::Scalar => true,
            Self::Simd128 => cfg!(all(target_arch = "wasm32", target_feature = "simd128")),
            Self::Neon => cfg!(all(target_arch = "aarch64", target_feature = "neon")),
            Self::Avx2 => has_avx2(),
            Self::Avx512 => has_avx512(),
        }
    }

    /// The best instruction set of this machine, or the one `ONNXC_ISA` names if this machine has it.
    #[cfg(feature = "std")]
    pub fn detect() -> Self {
        use std::sync::OnceLock;
        static BEST: OnceLock<Isa> = OnceLock::new();
        *BEST.get_or_init(|| {
            let wanted = std::env::var("ONNXC_ISA").ok();
            let named = Self::ALL.into_iter().find(|i| Some(i.name()) == wanted.as_deref() && i.available());
            named.unwrap_or_else(Self::best)
        })
    }

    /// The best instruction set of the compilation target.
    #[cfg(not(feature = "std"))]
    pub fn detect() -> Self {
        Self::best()
    }

    fn best() -> Self {
        Self::ALL.into_iter().rev().find(|i| i.available()).unwrap_or(Self::Scalar)
    }
}

#[cfg(all(target_arch = "x86_64", feature = "std"))]
fn has_avx2() -> bool {
    std::arch::is_x86_feature_detected!("avx2")
        && std::arch::is_x86_feature_detected!("fma")
        && std::arch::is_x86_feature_detected!("f16c")
        && std::arch::is_x86_feature_detected!("popcnt")
        && std::arch::is_x86_feature_detected!("bmi1")
        && std::arch::is_x86_feature_detected!("bmi2")
}
#[cfg(not(all(target_arch = "x86_64", feature = "std")))]
fn has_avx2() -> bool {
    cfg!(all(
        target_arch = "x86_64",
        target_feature = "avx2",
        target_feature = "fma",
        target_feature = "f16c",
        target_feature = "popcnt",
        target_feature = "bmi1",
        target_feature = "bmi2"
    ))
}
#[cfg(all(target_arch = "x86_64", feature = "std"))]
fn has_avx512() -> bool {
    has_avx2()
        && std::arch::is_x86_feature_detected!("avx512f")
        && std::arch::is_x86_feature_detected!("avx512bw")
        && std::arch::is_x86_feature_detected!("avx512dq")
        && std::arch::is_x86_feature_detected!("avx512vl")
}
#[cfg(not(all(target_arch = "x86_64", feature = "std")))]
fn has_avx512() -> bool {
    has_avx2()
        && cfg!(all(target_feature = "avx512f", target_feature = "avx512bw", target_feature = "avx512dq", target_feature = "avx512vl"))
}

/// Whether the machine multiplies pairs of bf16 (beside AVX-512).
#[cfg(target_arch = "x86_64")]
pub(crate) fn has_avx512_bf16() -> bool {
    #[cfg(feature = "std")]
    let has = std::arch::is_x86_feature_detected!("avx512bf16");
    #[cfg(not(feature = "std"))]
    let has = cfg!(target_feature = "avx512bf16");
    has
}

/// What a tuned kernel is told: passed by value from the door of `run` down to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cx {
    /// The instruction set to use. The constructor guarantees that it is available.
    isa: Isa,
    /// How many threads a step may use; 1 means that the pool is never touched.
    threads: usize,
}

impl Cx {
    /// The reference context: portable code, one thread. Folding and `--interpret` run in it.
    pub const REFERENCE: Self = Self { isa: Isa::Scalar, threads: 1 };

    /// The best instruction set of this machine, one thread.
    pub fn detect() -> Self {
        Self { isa: Isa::detect(), threads: 1 }
    }

    /// This context with another instruction set; `None` if the machine lacks it.
    pub fn with_isa(self, isa: Isa) -> Option<Self> {
        isa.available().then_some(Self { isa, ..self })
    }

    /// This context with up to `threads` threads a step (at least one; always one without the `threads` feature).
    pub fn with_threads(self, threads: usize) -> Self {
        Self { threads: if cfg!(feature = "threads") { threads.max(1) } else { 1 }, ..self }
    }

    /// The instruction set, available on this machine.
    #[inline(always)]
    pub const fn isa(self) -> Isa {
        self.isa
    }

    /// The number of threads a step may use.
    #[inline(always)]
    pub const fn threads(self) -> usize {
        if cfg!(feature = "threads") { self.threads } else { 1 }
    }
}
