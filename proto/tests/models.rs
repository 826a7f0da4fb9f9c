//! Real files: every model of `shared/models` decodes, and every tensor in it and its test data converts.
//! Passes without doing anything where that folder does not exist.

use std::fs;
use std::path::{Path, PathBuf};

use onnxc_proto::*;

/// Every tensor of a file, wherever it stands.
#[derive(Default)]
struct Tensors {
    dense: Vec<TensorProto>,
    sparse: Vec<SparseTensorProto>,
}

impl Tensors {
    fn of_model(&mut self, model: ModelProto) {
        self.of_nodes(model.functions.into_iter().flat_map(|function| function.node));
        self.of_graph(model.graph.unwrap());
    }

    fn of_graph(&mut self, graph: GraphProto) {
        self.dense.extend(graph.initializer);
        self.sparse.extend(graph.sparse_initializer);
        self.of_nodes(graph.node);
    }

    fn of_nodes(&mut self, nodes: impl IntoIterator<Item = NodeProto>) {
        for attribute in nodes.into_iter().flat_map(|node| node.attribute) {
            assert!(attribute.kind().is_ok_and(|kind| kind != AttributeType::Undefined), "{}", attribute.name);
            self.dense.extend(attribute.t.map(|tensor| *tensor));
            self.dense.extend(attribute.tensors);
            self.sparse.extend(attribute.sparse_tensor.map(|tensor| *tensor));
            self.sparse.extend(attribute.sparse_tensors);
            attribute.g.into_iter().for_each(|graph| self.of_graph(*graph));
            attribute.graphs.into_iter().for_each(|graph| self.of_graph(graph));
        }
    }

    fn of_sequence(&mut self, sequence: SequenceProto) {
        self.dense.extend(sequence.tensor_values);
        self.sparse.extend(sequence.sparse_tensor_values);
        sequence.sequence_values.into_iter().for_each(|inner| self.of_sequence(inner));
        sequence.map_values.into_iter().for_each(|map| self.of_map(map));
        sequence.optional_values.into_iter().for_each(|optional| self.of_optional(optional));
    }

    fn of_map(&mut self, map: MapProto) {
        map.values.into_iter().for_each(|values| self.of_sequence(values));
    }

    fn of_optional(&mut self, optional: OptionalProto) {
        self.dense.extend(optional.tensor_value.map(|tensor| *tensor));
        optional.sequence_value.into_iter().for_each(|sequence| self.of_sequence(*sequence));
        optional.map_value.into_iter().for_each(|map| self.of_map(*map));
        optional.optional_value.into_iter().for_each(|inner| self.of_optional(*inner));
    }

    /// Converts them all and tells how many there were.
    fn convert(self, files: &mut ExternalFiles) -> usize {
        let count = self.dense.len() + self.sparse.len();
        for tensor in self.dense {
            let data = TensorData::from_proto(tensor, files).unwrap();
            match &data.elements {
                Elements::Bytes(bytes) => assert_eq!(bytes.len(), data.count() * data.dtype.size().unwrap()),
                Elements::Strings(strings) => assert_eq!(strings.len(), data.count()),
            }
        }
        for sparse in self.sparse {
            SparseData::from_proto(sparse, files).unwrap();
        }
        count
    }
}

fn children(folder: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

fn name(path: &Path) -> &str {
    path.file_name().unwrap().to_str().unwrap()
}

/// Which message a file of test data is: the graph's type of the value it is for says so.
fn value_type<'a>(model: &'a ModelProto, file: &str) -> Option<&'a TypeKind> {
    let graph = model.graph.as_ref().unwrap();
    let is_initializer = |value: &&ValueInfoProto| !graph.initializer.iter().any(|tensor| tensor.name == value.name);
    let mut values: Box<dyn Iterator<Item = &ValueInfoProto>> =
        if file.starts_with("input") { Box::new(graph.input.iter().filter(is_initializer)) } else { Box::new(graph.output.iter()) };
    let index: usize = file.trim_end_matches(".pb").rsplit('_').next().unwrap().parse().unwrap();
    values.nth(index)?.r#type.as_ref()?.value.as_ref()
}

#[test]
fn real_files_decode_and_convert() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/models");
    if !folder.is_dir() {
        return;
    }
    let limits = Limits::default();
    let (mut models, mut tensors, mut data) = (0, 0, 0);
    for model_folder in children(&folder).iter().filter(|path| path.join("model.onnx").is_file()) {
        let path = model_folder.join("model.onnx");
        let bytes = read_file(&path, &limits).unwrap();
        let model = decode_model(bytes, &limits).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let again = decode_model(encode(&model).into(), &limits).unwrap();
        assert!(encode(&again) == encode(&model), "{}", path.display());
        for set in children(model_folder).iter().filter(|path| path.is_dir()).flat_map(|path| children(path)) {
            data += test_data(&model, &set, &limits);
        }
        let mut found = Tensors::default();
        found.of_model(model);
        tensors += found.convert(&mut ExternalFiles::beside(&path).unwrap());
        models += 1;
    }
    println!("{models} models, {tensors} tensors, {data} tensors of test data");
    assert!(models > 0 && tensors > models && data > models);
}

fn test_data(model: &ModelProto, path: &Path, limits: &Limits) -> usize {
    if path.is_dir() {
        return children(path).iter().map(|path| test_data(model, path, limits)).sum();
    }
    if path.extension().is_none_or(|extension| extension != "pb") {
        return 0;
    }
    let bytes = read_file(path, limits).unwrap();
    let mut found = Tensors::default();
    match value_type(model, name(path)) {
        Some(TypeKind::Sequence(_)) => found.of_sequence(decode_sequence(bytes, limits).unwrap()),
        Some(TypeKind::Optional(_)) => found.of_optional(decode_optional(bytes, limits).unwrap()),
        Some(TypeKind::Map(_)) => found.of_map(decode_map(bytes, limits).unwrap()),
        _ => found.dense.push(decode_tensor(bytes, limits).unwrap()),
    }
    found.convert(&mut ExternalFiles::refused())
}
