//! 3×3 convolutions of stride 1 with fewer multiplications, where that is faster: see [`onnxc_runtime::kernels::conv::winograd`] for how, and for
//! the bound on its error. `--exact-conv` leaves this pass out.

use crate::ir::graph::{Graph, NodeError, ValueId};
use crate::ir::{DType, Dim};
use crate::ops::Op;
use crate::ops::nn::conv::{Conv, split_layout};
use crate::passes::peephole::{Site, apply};

/// See the module's documentation.
pub fn run(graph: &Graph) -> Result<Graph, NodeError> {
    apply(graph, &[choose])
}

fn choose(site: &mut Site<'_>) -> Result<Option<Vec<ValueId>>, NodeError> {
    let Op::Conv(conv) = &site.node.op else { return Ok(None) };
    let Some(tile) = tile(site, conv) else { return Ok(None) };
    let inputs: Vec<ValueId> = site.inputs.iter().flatten().copied().collect();
    site.replace(Conv { tile, ..conv.clone() }, &inputs, None).map(Some)
}

/// The tile that a convolution is fastest with, if it is faster than by the definition.
fn tile(site: &Site<'_>, conv: &Conv) -> Option<usize> {
    let (x, w) = (site.input(0)?, site.input(1)?);
    let ones = |list: &[i64]| list.iter().all(|&v| v == 1);
    let fits = conv.group == 1 && conv.tile == 0 && ones(&conv.window.stride) && ones(&conv.window.dilation);
    let weights = site.new.constant(w)?.shape.clone();
    let &[out_channels, in_channels, 3, 3] = &weights[..] else { return None };
    if !fits || site.new.fact(x).dtype() != Some(DType::F32) {
        return None;
    }
    // The sides of the output are nearly those of the input; ones that are only known when the model runs are taken to be large.
    let (batch, _, spatial) = split_layout(&site.shape(x)?, conv.channels_last);
    let size = |d: Dim, unknown: usize| site.new.dims.value(d).map_or(Some(unknown), |v| usize::try_from(v).ok());
    let layer =
        Layer { images: size(batch, 1)?, sides: [size(*spatial.first()?, 64)?, size(*spatial.get(1)?, 64)?], in_channels, out_channels };
    let direct = layer.direct();
    let (tile, cost) = [2, 4].map(|tile| (tile, layer.winograd(tile))).into_iter().min_by(|a, b| a.1.total_cmp(&b.1))?;
    (cost < 0.95 * direct).then_some(tile)
}

/// A convolution's sizes; its costs are in the time of a multiply-add of a large product.
struct Layer {
    images: usize,
    sides: [usize; 2],
    in_channels: usize,
    out_channels: usize,
}

/// Weights of so many elements do not stay in the L2 cache from one block of rows to the next.
const CACHED: f64 = (256 << 10) as f64;
/// The cost of reading such a weight again, beside other steps that want the memory: alone, in the benchmark, it is half of that.
const STREAM: f64 = 20.0;
/// The cost of transforming a number of one channel at one position, in or out.
const TRANSFORM: f64 = 12.0;
/// How much slower the products of few rows are.
const SMALL_PRODUCTS: f64 = 1.3;
/// The same for the definition's.
const DIRECT: f64 = 1.1;

// Fitted to `cargo run --release -p onnxc-benches -- 3x3/1` on a core with AVX2, layers of 16 to 512 channels.
impl Layer {
    fn pairs(&self) -> f64 {
        self.in_channels as f64 * self.out_channels as f64
    }

    /// Tiles of that side in all images.
    fn count(&self, side: usize) -> f64 {
        self.sides.iter().map(|s| s.div_ceil(side) as f64).product::<f64>() * self.images as f64
    }

    fn streamed(weights: f64, times: f64) -> f64 {
        if weights > CACHED { STREAM * weights * times } else { 0.0 }
    }

    /// By the definition.
    fn direct(&self) -> f64 {
        let pixels = self.count(1);
        DIRECT * 9.0 * pixels * self.pairs() + Self::streamed(9.0 * self.pairs(), (pixels / 144.0).ceil())
    }

    /// With square tiles of so many outputs a side.
    fn winograd(&self, tile: usize) -> f64 {
        let positions = ((tile + 2) * (tile + 2)) as f64;
        let tiles = self.count(tile);
        let products = SMALL_PRODUCTS * positions * tiles * self.pairs();
        let transforms = TRANSFORM * positions * tiles * (self.in_channels + self.out_channels) as f64;
        products + transforms + Self::streamed(positions * self.pairs(), (tiles / 96.0).ceil())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn best(side: usize, channels: usize) -> usize {
        let layer = Layer { images: 1, sides: [side; 2], in_channels: channels, out_channels: channels };
        let costs = [(0, 0.95 * layer.direct()), (2, layer.winograd(2)), (4, layer.winograd(4))];
        costs.into_iter().min_by(|a, b| a.1.total_cmp(&b.1)).unwrap().0
    }

    /// The choices that the measurements ask for.
    #[test]
    fn the_model_of_costs_chooses_what_is_measured_to_be_fastest() {
        assert_eq!([best(224, 64), best(56, 64), best(28, 128), best(56, 32)], [4; 4]);
        assert_eq!([best(14, 256), best(14, 512)], [2; 2]);
        assert_eq!([best(7, 512), best(28, 4)], [0; 2]);
    }
}
