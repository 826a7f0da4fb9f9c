//! The three ways of trying a model, as rewritings of its file: what the compiler gets is an ordinary model each time.

use super::cases::{self, Data};
use super::values::tensor_proto;
use onnxc_proto::{Dimension, DimensionValue, GraphProto, ModelProto, TensorShapeProto, TypeKind, TypeProto};
use onnxc_runtime::value::{Tensor, Value};
use std::collections::HashSet;

/// How a model is compiled for its data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Mode {
    /// Every input dim is the number that the data has; one compilation for each distinct set of shapes.
    Static,
    /// The model is compiled once. Dims that it names or leaves open stay symbolic; of the official cases, which name none, every dim of every
    /// input becomes a symbol of its own.
    Dynamic,
    /// The inputs that are tensors become constants, so that the compiler computes the outputs.
    Constant,
}

impl Mode {
    /// All modes.
    pub const ALL: [Self; 3] = [Self::Static, Self::Dynamic, Self::Constant];

    /// The name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Static => "static",
            Self::Dynamic => "dynamic",
            Self::Constant => "constant",
        }
    }

    /// The mode of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|m| m.name() == name)
    }
}

/// One compilation of a model and the data sets that it serves.
pub struct Variant {
    /// The rewritten model.
    pub model: ModelProto,
    /// Which data sets.
    pub sets: Vec<usize>,
    /// Which of the inputs of a data set the rewritten model still takes.
    pub inputs: Vec<usize>,
}

/// The compilations that a mode asks for. `open`: in dynamic mode, make every dim symbolic, also those with a number.
pub fn variants(model: &ModelProto, data: &[Data], mode: Mode, open: bool) -> Vec<Variant> {
    let all_inputs: Vec<usize> = (0..data.first().map_or(0, |d| d.inputs.len())).collect();
    match mode {
        Mode::Dynamic => {
            let mut model = model.clone();
            if let (true, Some(graph)) = (open, &mut model.graph) {
                open_dims(graph);
            }
            vec![Variant { model, sets: (0..data.len()).collect(), inputs: all_inputs }]
        }
        Mode::Static => {
            let mut groups: Vec<(Vec<Vec<usize>>, Vec<usize>)> = Vec::new();
            for (k, set) in data.iter().enumerate() {
                let shapes: Vec<Vec<usize>> = set.inputs.iter().map(|v| v.tensor().map_or(Vec::new(), |t| t.shape().to_vec())).collect();
                match groups.iter_mut().find(|g| g.0 == shapes) {
                    Some(group) => group.1.push(k),
                    None => groups.push((shapes, vec![k])),
                }
            }
            let variant = |(_, sets): (_, Vec<usize>)| {
                let model = with_shapes(model, &data[sets[0]].inputs);
                Variant { model, sets, inputs: all_inputs.clone() }
            };
            groups.into_iter().map(variant).collect()
        }
        Mode::Constant => (0..data.len()).map(|k| with_constants(model, &data[k].inputs, k)).collect(),
    }
}

/// The names of the inputs that a data set gives values to, in order.
fn given(model: &ModelProto) -> Vec<String> {
    model.graph.as_ref().map(cases::entries).unwrap_or_default().iter().map(|i| i.name.clone()).collect()
}

/// Gives every input tensor the shape of its value.
pub fn with_shapes(model: &ModelProto, inputs: &[Value]) -> ModelProto {
    let names = given(model);
    let mut model = model.clone();
    let Some(graph) = &mut model.graph else { return model };
    for (name, value) in names.iter().zip(inputs) {
        let Value::Tensor(tensor) = value else { continue };
        if let Some(info) = graph.input.iter_mut().find(|i| &i.name == name) {
            set_shape(&mut info.r#type, tensor);
        }
    }
    model
}

fn set_shape(ty: &mut Option<TypeProto>, tensor: &Tensor) {
    let dim = |&d: &usize| Dimension { value: Some(DimensionValue::DimValue(d as i64)), ..Dimension::default() };
    if let Some(TypeProto { value: Some(TypeKind::Tensor(ty)), .. }) = ty {
        ty.shape = Some(TensorShapeProto { dim: tensor.shape().iter().map(dim).collect() });
    }
}

/// Makes every dim of every input tensor a symbol of its own, and forgets what the model says of other dims (not of ranks).
fn open_dims(graph: &mut GraphProto) {
    let mut taken: HashSet<String> = HashSet::new();
    let mut fresh = |name: &str, axis: usize| {
        let plain: String = name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
        let mut symbol = format!("{plain}_{axis}");
        while !taken.insert(symbol.clone()) {
            symbol.push('_');
        }
        symbol
    };
    let constants: HashSet<String> = graph.initializer.iter().map(|t| t.name.clone()).collect();
    for info in graph.input.iter_mut().filter(|i| !constants.contains(&i.name)) {
        let Some(TypeProto { value: Some(TypeKind::Tensor(ty)), .. }) = &mut info.r#type else { continue };
        for (axis, dim) in ty.shape.iter_mut().flat_map(|s| &mut s.dim).enumerate() {
            dim.value = Some(DimensionValue::DimParam(fresh(&info.name, axis)));
        }
    }
    for info in graph.output.iter_mut().chain(&mut graph.value_info) {
        if let Some(TypeProto { value: Some(TypeKind::Tensor(ty)), .. }) = &mut info.r#type {
            ty.shape.iter_mut().flat_map(|s| &mut s.dim).for_each(|dim| dim.value = None);
        }
    }
}

/// Makes the inputs that are tensors initializers.
fn with_constants(model: &ModelProto, inputs: &[Value], set: usize) -> Variant {
    let names = given(model);
    let mut model = model.clone();
    let mut left = Vec::new();
    if let Some(graph) = &mut model.graph {
        for (i, (name, value)) in names.iter().zip(inputs).enumerate() {
            match value {
                Value::Tensor(tensor) => {
                    graph.input.retain(|info| &info.name != name);
                    graph.initializer.push(tensor_proto(name, tensor));
                }
                _ => left.push(i),
            }
        }
    }
    Variant { model, sets: vec![set], inputs: left }
}

#[cfg(test)]
mod tests {
    use super::*;
    use onnxc_proto::{TensorType, ValueInfoProto};

    fn model(inputs: &[(&str, &[&str])]) -> ModelProto {
        let info = |(name, dims): &(&str, &[&str])| {
            let dim = |d: &&str| {
                let value = d.parse().map_or_else(|_| DimensionValue::DimParam((*d).to_owned()), DimensionValue::DimValue);
                Dimension { value: Some(value), ..Dimension::default() }
            };
            let ty = TensorType { elem_type: 1, shape: Some(TensorShapeProto { dim: dims.iter().map(dim).collect() }) };
            ValueInfoProto {
                name: (*name).to_owned(),
                r#type: Some(TypeProto { value: Some(TypeKind::Tensor(ty)), ..TypeProto::default() }),
                ..ValueInfoProto::default()
            }
        };
        let graph = GraphProto { input: inputs.iter().map(info).collect(), ..GraphProto::default() };
        ModelProto { graph: Some(graph), ..ModelProto::default() }
    }

    fn dims(model: &ModelProto, input: usize) -> Vec<String> {
        let info = &model.graph.as_ref().unwrap().input[input];
        let Some(TypeKind::Tensor(ty)) = &info.r#type.as_ref().unwrap().value else { panic!() };
        let show = |d: &Dimension| match d.value.as_ref().unwrap() {
            DimensionValue::DimValue(v) => v.to_string(),
            DimensionValue::DimParam(p) => p.clone(),
        };
        ty.shape.as_ref().unwrap().dim.iter().map(show).collect()
    }

    fn data(shape: &[usize]) -> Data {
        let zeros = Tensor::zeros(onnxc_runtime::element::DType::F32, shape).unwrap();
        Data { inputs: vec![zeros.into()], outputs: vec![], others: vec![] }
    }

    #[test]
    fn equal_shapes_share_a_static_compilation() {
        let model = model(&[("x", &["n", "3"])]);
        let found = variants(&model, &[data(&[2, 3]), data(&[5, 3]), data(&[2, 3])], Mode::Static, false);
        let found: Vec<_> = found.iter().map(|v| (dims(&v.model, 0), v.sets.clone())).collect();
        assert_eq!(found, [(vec!["2".to_owned(), "3".to_owned()], vec![0, 2]), (vec!["5".to_owned(), "3".to_owned()], vec![1])]);
    }

    #[test]
    fn dynamic_compiles_once() {
        let model = model(&[("x", &["n", "3"]), ("x 0", &["7"]), ("x_0", &["7"])]);
        let sets = [data(&[2, 3]), data(&[5, 3])];
        let kept = variants(&model, &sets, Mode::Dynamic, false);
        assert_eq!((kept.len(), dims(&kept[0].model, 0)), (1, vec!["n".to_owned(), "3".to_owned()]));
        let opened = &variants(&model, &sets, Mode::Dynamic, true)[0];
        assert_eq!(dims(&opened.model, 0), ["x_0", "x_1"]);
        assert_ne!(dims(&opened.model, 1), dims(&opened.model, 2));
    }

    #[test]
    fn constants_leave_only_what_is_no_tensor() {
        let model = model(&[("x", &["2"]), ("s", &[])]);
        let mut set = data(&[2]);
        set.inputs.push(Value::Sequence(vec![]));
        let variant = &variants(&model, &[set], Mode::Constant, false)[0];
        let graph = variant.model.graph.as_ref().unwrap();
        assert_eq!((graph.input[0].name.as_str(), graph.initializer[0].name.as_str(), &variant.inputs[..]), ("s", "x", &[1][..]));
    }
}
