//! Runs ONNX test cases through the interpreter: the fast loop when writing operators.
//!
//! `cargo run -p onnxc --example cases -- [--dynamic|--constant] [--models] PREFIX…`; ONNXC_RTOL: another relative tolerance than 1e-3.

use onnxc::ir::DType;
use onnxc::program::interpret;
use onnxc::{Model, Options};
use onnxc_proto::{Limits, ModelProto};
use onnxc_runtime::value::{Map, Tensor, Value};
use std::path::{Path, PathBuf};

fn main() {
    let mut args: Vec<String> = std::env::args().skip(1).collect();
    let mut flag = |name: &str| {
        let before = args.len();
        args.retain(|a| a != name);
        args.len() != before
    };
    let (dynamic, constant, models, quiet) = (flag("--dynamic"), flag("--constant"), flag("--models"), flag("--quiet"));
    let root = std::env::var("ONNXC_DATA").unwrap_or("/work/onnx-data/1.23.2".into());
    let folders: Vec<PathBuf> = if models {
        vec!["/work/shared/models".into()]
    } else {
        ["node", "simple", "pytorch-converted", "pytorch-operator"].iter().map(|d| Path::new(&root).join(d)).collect()
    };
    let mut cases: Vec<PathBuf> =
        folders.iter().flat_map(|f| std::fs::read_dir(f).into_iter().flatten().flatten()).map(|e| e.path()).collect();
    cases.retain(|c| c.join("model.onnx").exists());
    cases.sort();
    cases.retain(|c| args.is_empty() || args.iter().any(|p| name(c).starts_with(p.as_str())));
    let mut counts = [0; 3];
    std::panic::set_hook(Box::new(|_| {}));
    for case in &cases {
        let result = std::panic::catch_unwind(|| run(case, dynamic, constant, models)).unwrap_or_else(|p| {
            let text = p.downcast_ref::<String>().cloned().or_else(|| p.downcast_ref::<&str>().map(|s| (*s).to_owned()));
            Err(format!("PANIC {}", text.unwrap_or_default()))
        });
        match result {
            Ok(()) => counts[0] += 1,
            Err(why) => {
                let skipped = why.starts_with("not supported");
                counts[if skipped { 2 } else { 1 }] += 1;
                let short = why.lines().take(if skipped { 1 } else { 6 }).collect::<Vec<_>>().join("\n    ");
                if !(quiet && skipped) {
                    println!("{} {}: {short}", if skipped { "skip" } else { "FAIL" }, name(case));
                }
            }
        }
    }
    println!("{} passed, {} failed, {} skipped", counts[0], counts[1], counts[2]);
}

fn name(path: &Path) -> String {
    path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default()
}

fn run(case: &Path, dynamic: bool, constant: bool, models: bool) -> Result<(), String> {
    let mut sets: Vec<PathBuf> = std::fs::read_dir(case).map_err(|e| e.to_string())?.flatten().map(|e| e.path()).collect();
    sets.retain(|p| name(p).starts_with("test_data_set"));
    sets.sort();
    for set in sets {
        let mut model = Model::read(&case.join("model.onnx")).map_err(|e| e.to_string())?;
        let inputs = read_values(&model.proto, &set, "input")?;
        let expected = read_values(&model.proto, &set, "output")?;
        let mut options = Options::default();
        let mut given: Vec<Value> = Vec::new();
        let names: Vec<String> = real_inputs(&model.proto);
        if dynamic && !models {
            make_dynamic(&mut model.proto);
        }
        for (name, value) in names.iter().zip(&inputs) {
            if let (Value::Tensor(t), false) = (value, dynamic) {
                options.input_shapes.push((name.clone(), t.shape().iter().map(ToString::to_string).collect()));
            }
        }
        if constant {
            let graph = model.proto.graph.as_mut().ok_or("no graph")?;
            options.input_shapes.clear();
            for (k, name) in names.iter().enumerate() {
                let file = set.join(format!("input_{k}.pb"));
                let is_tensor = matches!(inputs.get(k), Some(Value::Tensor(_)));
                if is_tensor {
                    let bytes = std::fs::read(file).map_err(|e| e.to_string())?;
                    let mut t = onnxc_proto::decode_tensor(bytes.into(), &Limits::default()).map_err(|e| e.to_string())?;
                    t.name.clone_from(name);
                    graph.initializer.push(t);
                } else {
                    given.push(inputs[k].clone());
                }
            }
        } else {
            given.clone_from(&inputs);
        }
        let program = onnxc::compile_to_program(model, &options).map_err(|e| e.to_string())?;
        let outputs = interpret::run(&program, &given, 10_000_000).map_err(|e| format!("run: {e}"))?;
        if outputs.len() < expected.len() {
            return Err(format!("{} outputs, {} expected", outputs.len(), expected.len()));
        }
        for (k, (o, e)) in outputs.iter().zip(&expected).enumerate() {
            compare(o, e, models).map_err(|m| format!("{} output {k}: {m}", name(&set)))?;
        }
    }
    Ok(())
}

fn real_inputs(proto: &ModelProto) -> Vec<String> {
    let Some(graph) = &proto.graph else { return Vec::new() };
    graph.input.iter().filter(|i| graph.initializer.iter().all(|t| t.name != i.name)).map(|i| i.name.clone()).collect()
}

fn make_dynamic(proto: &mut ModelProto) {
    use onnxc_proto::{DimensionValue, TypeKind};
    let Some(graph) = &mut proto.graph else { return };
    for (i, input) in graph.input.iter_mut().enumerate() {
        if let Some(TypeKind::Tensor(t)) = input.r#type.as_mut().and_then(|t| t.value.as_mut()) {
            for (k, d) in t.shape.iter_mut().flat_map(|s| s.dim.iter_mut()).enumerate() {
                d.value = Some(DimensionValue::DimParam(format!("d{i}_{k}")));
            }
        }
    }
    for output in &mut graph.output {
        if let Some(TypeKind::Tensor(t)) = output.r#type.as_mut().and_then(|t| t.value.as_mut()) {
            t.shape.iter_mut().flat_map(|s| s.dim.iter_mut()).for_each(|d| d.value = None);
        }
    }
}

fn read_values(proto: &ModelProto, set: &Path, what: &str) -> Result<Vec<Value>, String> {
    let graph = proto.graph.as_ref().ok_or("no graph")?;
    let infos: Vec<_> = if what == "input" {
        graph.input.iter().filter(|i| graph.initializer.iter().all(|t| t.name != i.name)).collect()
    } else {
        graph.output.iter().collect()
    };
    let mut values = Vec::new();
    for (k, info) in infos.iter().enumerate() {
        let path = set.join(format!("{what}_{k}.pb"));
        if !path.exists() {
            break;
        }
        let ty = info.r#type.clone().unwrap_or_default();
        values.push(onnxc::harness::values::read_pb(&path, &ty)?);
    }
    Ok(values)
}

fn compare(o: &Value, e: &Value, models: bool) -> Result<(), String> {
    match (o, e) {
        (Value::Tensor(o), Value::Tensor(e)) => compare_tensors(o, e, models),
        (Value::Sequence(o), Value::Sequence(e)) if o.len() == e.len() => o.iter().zip(e).try_for_each(|(o, e)| compare(o, e, models)),
        (Value::Optional(None), Value::Optional(None)) => Ok(()),
        (Value::Optional(Some(o)), Value::Optional(Some(e))) => compare(o, e, models),
        (Value::Optional(Some(o)), e) => compare(o, e, models),
        (Value::Map(o), Value::Map(e)) => maps(o, e, models),
        _ => Err(format!("another kind of value: {o:?} / {e:?}")),
    }
}

/// The values by the keys in ascending order.
fn maps(o: &Map, e: &Map, models: bool) -> Result<(), String> {
    let sorted = |m: &Map| {
        let mut items: Vec<(String, f64)> = Vec::new();
        for i in 0..m.keys.len() {
            let key = m.keys.as_strings().map_or_else(|| format!("{:?}", m.keys.as_slice::<i64>().map(|k| k[i])), |s| s[i].clone());
            items.push((key, f64::from(m.values.as_slice::<f32>().map_or(f32::NAN, |v| v[i]))));
        }
        items.sort_by(|a, b| a.0.cmp(&b.0));
        items
    };
    let (o, e) = (sorted(o), sorted(e));
    let tensor = |items: &[(String, f64)]| Tensor::from_slice(&[items.len()], &items.iter().map(|i| i.1).collect::<Vec<_>>());
    if !o.iter().map(|i| &i.0).eq(e.iter().map(|i| &i.0)) {
        return Err(format!("{o:?}\nexpected {e:?}"));
    }
    compare_tensors(&tensor(&o).map_err(|f| f.to_string())?, &tensor(&e).map_err(|f| f.to_string())?, models)
}

fn compare_tensors(o: &Tensor, e: &Tensor, models: bool) -> Result<(), String> {
    if (o.dtype(), o.shape()) != (e.dtype(), e.shape()) {
        return Err(format!("{}{:?}, expected {}{:?}", o.dtype(), o.shape(), e.dtype(), e.shape()));
    }
    let floats =
        |t: &Tensor| onnxc::ir::Tensor::from_raw(t.dtype(), t.shape().to_vec(), t.bytes().to_vec().into()).and_then(|t| t.to_f64s());
    if o.dtype().is_float() && !matches!(o.dtype(), DType::F32 | DType::F64 | DType::F16 | DType::BF16) {
        // The 8-bit floats and narrower: by their text, so that NaN is NaN.
        return if format!("{o:?}") == format!("{e:?}") {
            Ok(())
        } else {
            Err(format!("{o:?}\nexpected {e:?}").chars().take(600).collect())
        };
    }
    if !matches!(o.dtype(), DType::F32 | DType::F64 | DType::F16 | DType::BF16) {
        return if o == e { Ok(()) } else { Err(format!("{o:?}\nexpected {e:?}").chars().take(600).collect()) };
    }
    let (o, e) = (floats(o).ok_or("floats")?, floats(e).ok_or("floats")?);
    let relative = std::env::var("ONNXC_RTOL").ok().and_then(|v| v.parse().ok()).unwrap_or(1e-3);
    let peak = e.iter().filter(|x| x.is_finite()).fold(0f64, |m, x| m.max(x.abs()));
    for (i, (&o, &e)) in o.iter().zip(&e).enumerate() {
        let near = if models { (o - e).abs() <= 1e-4 * peak } else { (o - e).abs() <= 1e-7 + relative * e.abs() };
        if !(near || o == e || (o.is_nan() && e.is_nan())) {
            return Err(format!("at {i}: {o}, expected {e}"));
        }
    }
    Ok(())
}
