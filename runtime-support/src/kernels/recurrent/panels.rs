//! The packed form of recurrent weights.
//!
//! A gate's matrix (`hidden` columns, padded with zeros to whole panels of 32) is `panel, k, 32 columns`, gates one after the other, so that
//! every instruction set reads whole vectors and a gate starts on a panel.

use crate::error::Fault;
use crate::kernels::thin::PANEL;

/// `hidden` rounded up to whole panels.
pub(super) const fn padded(hidden: usize) -> usize {
    hidden.div_ceil(PANEL) * PANEL
}

/// The length of `gates` (times directions) packed matrices.
pub const fn packed_len(gates: usize, hidden: usize) -> usize {
    gates * padded(hidden) * hidden
}

/// Packs ONNX's R (`directions, gates * hidden, hidden`) into panels; `gates` counts those of all directions.
pub fn pack(out: &mut [f32], r: &[f32], gates: usize, hidden: usize) -> Result<(), Fault> {
    if out.len() != packed_len(gates, hidden) || r.len() != gates * hidden * hidden {
        return Err(Fault::Internal { what: "recurrent weights: lengths" });
    }
    out.fill(0.0);
    if hidden == 0 {
        return Ok(());
    }
    for (out, r) in out.chunks_exact_mut(padded(hidden) * hidden).zip(r.chunks_exact(hidden * hidden)) {
        for (column, row) in r.chunks_exact(hidden).enumerate() {
            let panel = &mut out[column / PANEL * hidden * PANEL..];
            for (k, &v) in row.iter().enumerate() {
                panel[k * PANEL + column % PANEL] = v;
            }
        }
    }
    Ok(())
}
