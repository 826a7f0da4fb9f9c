//! Ensembles of trees: every kernel that can evaluate one, beside what the compiler's model of costs says of it.

use onnxc::ir::DType;
use onnxc::ops::Op;
use onnxc::ops::ml::trees::plan::{self, Offer, Runner, shape::Forest};
use onnxc::{Model, Options};
use onnxc_runtime::cx::Cx;
use onnxc_runtime::error::Fault;
use std::path::Path;
use std::time::Instant;

/// Rows that differ, and those of a large batch.
const ROWS: usize = 10_000;

/// Prints a table of the ensembles of a model: nanoseconds a row, for one row that repeats, one that changes, 100 and 10,000 rows at a time.
pub fn run(path: &Path, cx: Cx) -> Result<(), Box<dyn std::error::Error>> {
    let model = Model::read(path)?;
    let graph = onnxc::import::import(&model.proto, model.files, &Options::default())?;
    for (_, node) in graph.nodes.iter() {
        let Op::Trees(trees) = &node.op else { continue };
        let constant = |i: usize| node.inputs.get(i).copied().flatten().and_then(|v| graph.constant(v));
        let Some(e) = trees.ensemble(constant) else { continue };
        let double = node.inputs[0].is_some_and(|x| graph.values[x].fact.dtype() == Some(DType::F64));
        let Some(forest) = Forest::new(&e, double) else { continue };
        let offers = plan::offers(&e, &forest);
        println!("{}: {} trees, ns a row (and the model's cycles, for one row and a block's)", path.display(), forest.trees.len());
        for offer in &offers {
            let values: Vec<f32> = forest.all_values(&e).into_iter().map(|v| v as f32).collect();
            time(offer, &mut Runner::new(&offer.way, &forest, &values), trees.features, forest.voted.len(), cx)?;
        }
    }
    Ok(())
}

/// Rows of the same distribution as the training data of the peers' models, nearly.
fn rows(features: usize) -> Vec<f32> {
    let mut state = 1u64;
    let mut uniform = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1 << 24) as f32
    };
    (0..ROWS * features).map(|_| 2.0 * ((0..12).map(|_| uniform()).sum::<f32>() - 6.0)).collect()
}

fn time(offer: &Offer, runner: &mut Runner<'_, f32>, features: usize, targets: usize, cx: Cx) -> Result<(), Fault> {
    let x = rows(features);
    let mut y = vec![0.0; ROWS * targets];
    let mut figures = Vec::new();
    for (batch, changing) in [(1, false), (1, true), (100, true), (ROWS, true)] {
        let mut best = f64::MAX;
        for _ in 0..12 {
            let start = Instant::now();
            for i in 0..ROWS / batch {
                let place = if changing { i * batch } else { 0 };
                runner.run(cx, &mut y[..batch * targets], &x[place * features..(place + batch) * features])?;
            }
            best = best.min(start.elapsed().as_secs_f64());
        }
        figures.push(format!("{:9.0}", best / ROWS as f64 * 1e9));
    }
    let name = format!("{:?}", offer.way);
    let name = name.split('(').next().unwrap_or_default();
    println!("  {name:10} {}   ({:.0}, {:.0})", figures.join(" "), offer.row, offer.block / plan::BLOCK as f64);
    Ok(())
}
