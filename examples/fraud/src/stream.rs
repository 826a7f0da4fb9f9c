//! Payments that never end, and how many of them a second are judged.

use super::model::{Model, Row};
use onnxc_runtime::view::View;
use std::error::Error;
use std::time::Instant;

/// Payments in a batch.
const BATCH: usize = 10_000;

/// Invents a payment: numbers that are not random, but look it, in the ranges of train.py.
fn payment(state: &mut u64) -> Row {
    const RANGES: [f32; super::COLUMNS] = [200.0, 24.0, 2000.0, 150.0, 4.0, 4.0, 10.0, 80.0, 1.2, 2.0, 1.2, 0.8];
    let mut row = Row::default();
    for (value, range) in row.payment.iter_mut().zip(RANGES) {
        *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        *value = (*state >> 40) as f32 / (1u32 << 24) as f32 * range;
    }
    row
}

/// Judges `count` payments one by one, then in batches on one thread and on all, and prints the throughput of each.
pub fn run(count: usize) -> Result<(), Box<dyn Error>> {
    let mut state = 1;
    let rows: Vec<Row> = (0..BATCH).map(|_| payment(&mut state)).collect();
    let values: Vec<f32> = rows.iter().flat_map(|row| row.payment).collect();
    let mut model = Model::new();
    report("one by one", count, || {
        let mut suspicious = 0;
        for row in rows.iter().cycle().take(count) {
            suspicious += usize::from(model.predict(row)?.label() == 1);
        }
        Ok(suspicious)
    })?;
    report("rows", count, || {
        let mut suspicious = 0;
        for start in (0..count).step_by(BATCH) {
            model.predict_rows(&rows[..BATCH.min(count - start)], |p| suspicious += usize::from(p.label() == 1))?;
        }
        Ok(suspicious)
    })?;
    let threads = std::thread::available_parallelism()?.get();
    let mut model = Model::new().with_threads(threads);
    report(&format!("batches, {threads} threads"), count, || {
        let mut suspicious = 0;
        for start in (0..count).step_by(BATCH) {
            let n = BATCH.min(count - start);
            let outputs = model.run(View::new(&values[..n * super::COLUMNS], [n, super::COLUMNS])?)?;
            suspicious += outputs.label().data().iter().filter(|&&label| label == 1).count();
        }
        Ok(suspicious)
    })
}

fn report(how: &str, count: usize, judge: impl FnOnce() -> Result<usize, Box<dyn Error>>) -> Result<(), Box<dyn Error>> {
    let start = Instant::now();
    let suspicious = judge()?;
    let rate = count as f64 / start.elapsed().as_secs_f64();
    println!("{how:22} {suspicious} of {count} suspicious, {:.2} million a second", rate / 1e6);
    Ok(())
}
