//! Uses the modules that the test `generated` emits.

mod again {
    include!("again.rs");
}
mod dynamic;
mod fixed;
mod keeping;

use onnxc_runtime::error::{Fault, RunError};
use onnxc_runtime::session::Session;
use onnxc_runtime::value::{Tensor, Value};
use onnxc_runtime::view::View;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    static_shapes()?;
    symbolic_shapes()?;
    state()?;
    Ok(())
}

fn static_shapes() -> Result<(), Box<dyn std::error::Error>> {
    let mut model = fixed::Model::new();
    let out = model.run(&[1, 19], &[true, false], 2.0, &["a", "b"])?;
    let row = |i: usize| {
        let x: Vec<f64> = (0..3).map(|j| ((i * 3 + j) as f64 / 10.0 * 2.0).max([0.5, f64::NEG_INFINITY, -1.5][j]).sqrt().exp()).collect();
        let sum: f64 = x.iter().sum();
        x.into_iter().map(move |v| v / sum)
    };
    for (got, want) in out.probs().iter().zip(row(1).chain(row(19))) {
        assert!((f64::from(*got) - want).abs() < 1e-6, "{got} {want}");
    }
    assert_eq!(out.flags(), &[true, false]);
    assert_eq!(out.said(), &["a", "b", "no", "\u{202e}y\"es\n"]);
    let probs = *out.probs();

    let error = model.clone().run(&[1, 20], &[true, false], 2.0, &["a", "b"]).unwrap_err();
    assert_eq!(error, RunError::Node { node: "emb/Gather", fault: Fault::Index { index: 20, len: 20 } });

    let session: &mut dyn Session = &mut model;
    assert_eq!(session.inputs()[0].name, "input:ids");
    let inputs = [
        Value::from(Tensor::from_slice(&[2], &[1i64, 19])?),
        onnxc_runtime::session::bools_value(&[2], &[true, false])?,
        Value::from(Tensor::from_slice(&[], &[2.0f32])?),
        Value::from(Tensor::from_strings(&[2], vec!["a".into(), "b".into()])?),
    ];
    let outputs = session.run(&inputs)?;
    assert_eq!(outputs[0], Value::from(Tensor::from_slice(&[2, 3], &probs)?));
    assert!(session.run(&inputs[..1]).is_err());

    let out = again::Model::default().with_threads(2);
    assert_eq!(out.cx().threads(), 2);
    let mut other = out;
    assert_eq!(other.run(&[1, 19], &[true, false], 2.0, &["a", "b"])?.probs(), &probs);
    assert_eq!((fixed::Model::WEIGHT_BYTES, fixed::Model::NAME), (240 + 12, "fixed \"shapes\" \u{fffd}* /"));
    Ok(())
}

fn symbolic_shapes() -> Result<(), Box<dyn std::error::Error>> {
    let mut model = dynamic::Model::new();
    let x = [0.0, 1.0, 0.0, 2.0, 0.0, 3.0];
    let out = model.run(View::new(&x, [2, 3])?, View::new(&[7.0, 8.0, 9.0], [3])?, true)?;
    assert_eq!(out.places().shape(), [2, 3]);
    assert_eq!(out.places().data(), &[0, 1, 1, 1, 0, 2]);
    assert_eq!(out.picked().data(), &[7.0, 8.0, 9.0]);
    assert_eq!(out.sums(), &x[..4]);
    let out = model.run(View::new(&x[..3], [1, 3])?, View::new(&[7.0, 8.0], [2])?, false)?;
    assert_eq!(out.picked().data(), &[0.0, 1.0]);
    assert_eq!(out.sums(), &[0.0, 1.0, 0.0, 2.0], "two trips leave the rest of the buffer as it was");

    let error = model.run(View::new(&x, [2, 3])?, View::new(&[7.0, 8.0], [2])?, true).unwrap_err();
    assert_eq!(error.to_string(), "input `z`: dimension 0 is 2, the model needs batch size + 1, here 3");
    let error = model.run(View::new(&[1.0; 6], [2, 3])?, View::new(&[7.0, 8.0, 9.0], [3])?, true).unwrap_err();
    assert_eq!(error, RunError::Node { node: "limit", fault: Fault::Dim { expected: 5, got: 6 } });
    let big = vec![0.0; 303];
    let error = model.run(View::new(&big, [101, 3])?, View::new(&big[..102], [102])?, true).unwrap_err();
    assert_eq!(error, RunError::Requirement { what: "batch size <= 100", node: "need" });
    Ok(())
}

fn state() -> Result<(), Box<dyn std::error::Error>> {
    let mut model = keeping::Model::new();
    assert!(model.run(View::new(&[1.0, 2.0], [1, 2])?)?.copy().data() == [1.0, 2.0]);
    let mut other = model.clone();
    assert!(model.run(View::new(&[3.0, 4.0, 5.0, 6.0], [2, 2])?)?.copy().data() == [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    assert_eq!(model.run(View::new(&[], [0, 2])?).unwrap_err().to_string(), "node `add`: internal error, please report it: a view outside its buffer");
    let out = model.run(View::new(&[7.0, 8.0], [1, 2])?)?;
    assert_eq!(out.copy().shape(), [4, 2]);
    assert_eq!(out.copy().data(), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0]);
    assert_eq!(other.run(View::new(&[9.0, 9.0], [1, 2])?)?.copy().data(), [1.0, 2.0, 9.0, 9.0]);
    model.reset_state();
    assert_eq!(model.run(View::new(&[9.0, 9.0], [1, 2])?)?.copy().data(), [9.0, 9.0]);
    Ok(())
}
