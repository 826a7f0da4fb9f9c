//! Model folders in ONNX's test layout: `NAME/model.onnx`, `NAME/test_data_set_K/input_I.pb`, `output_I.pb`, and where the reference itself is
//! uncertain `NAME/reference_noopt/test_data_set_K/output_I.pb`.

use super::compare::Rule;
use super::values;
use onnxc_proto::{GraphProto, Limits, ModelProto, TypeProto, ValueInfoProto};
use onnxc_runtime::value::Value;
use std::path::{Path, PathBuf};

/// A model with data to try it on.
#[derive(Clone, Debug)]
pub struct Case {
    /// The folder's name.
    pub name: String,
    /// The folder.
    pub folder: PathBuf,
    /// The data sets, by number.
    pub sets: Vec<DataSet>,
    /// What counts as right.
    pub rule: Rule,
}

/// The files of one data set.
#[derive(Clone, Debug)]
pub struct DataSet {
    /// `test_data_set_0`.
    pub name: String,
    /// One file an input.
    pub inputs: Vec<PathBuf>,
    /// One file an output.
    pub outputs: Vec<PathBuf>,
    /// A second opinion on the outputs, or nothing.
    pub others: Vec<PathBuf>,
}

/// The values of one data set.
pub struct Data {
    /// The inputs, in the graph's order.
    pub inputs: Vec<Value>,
    /// The outputs, in the graph's order.
    pub outputs: Vec<Value>,
    /// A second opinion on the outputs, or nothing.
    pub others: Vec<Value>,
}

/// The cases at a path: a model folder, or a folder of such folders (at any depth), by name.
pub fn discover(path: &Path, rule: Rule) -> Result<Vec<Case>, String> {
    let mut found = Vec::new();
    walk(path, rule, 0, &mut found)?;
    found.sort_by(|a, b| a.folder.cmp(&b.folder));
    if found.is_empty() {
        return Err(format!("{}: no folder with a model.onnx and a test_data_set_0 in it", path.display()));
    }
    Ok(found)
}

fn walk(folder: &Path, rule: Rule, depth: usize, found: &mut Vec<Case>) -> Result<(), String> {
    let entries = std::fs::read_dir(folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    let mut folders: Vec<PathBuf> = entries.filter_map(|e| Some(e.ok()?.path())).filter(|p| p.is_dir()).collect();
    folders.sort();
    if folder.join("model.onnx").is_file() {
        let sets: Vec<DataSet> = folders.iter().filter(|f| name_of(f).starts_with("test_data_set")).map(|f| data_set(folder, f)).collect();
        if !sets.is_empty() {
            let full = folder.canonicalize().unwrap_or_else(|_| folder.to_path_buf());
            found.push(Case { name: name_of(&full), folder: full, sets, rule });
        }
        return Ok(());
    }
    if depth < 4 {
        folders.iter().try_for_each(|f| walk(f, rule, depth + 1, found))?;
    }
    Ok(())
}

fn name_of(path: &Path) -> String {
    path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default()
}

fn data_set(model: &Path, folder: &Path) -> DataSet {
    let numbered = |folder: &Path, stem: &str| {
        (0..usize::MAX).map(|i| folder.join(format!("{stem}_{i}.pb"))).take_while(|f| f.is_file()).collect::<Vec<_>>()
    };
    let name = name_of(folder);
    let others = numbered(&model.join("reference_noopt").join(&name), "output");
    DataSet { inputs: numbered(folder, "input"), outputs: numbered(folder, "output"), others, name }
}

impl Case {
    /// The model file.
    pub fn model_path(&self) -> PathBuf {
        self.folder.join("model.onnx")
    }

    /// The decoded model.
    pub fn model(&self) -> Result<ModelProto, String> {
        let path = self.model_path();
        onnxc_proto::decode_model_file(&path, &Limits::default()).map_err(|e| format!("{}: {e}", path.display()))
    }
}

impl DataSet {
    /// Reads the values, whose types the graph declares.
    pub fn load(&self, graph: &GraphProto) -> Result<Data, String> {
        let inputs = entries(graph);
        if inputs.len() < self.inputs.len() || graph.output.len() != self.outputs.len() {
            let (i, o) = (inputs.len(), graph.output.len());
            return Err(format!(
                "{} has {} inputs and {} outputs, the model {i} and {o}",
                self.name,
                self.inputs.len(),
                self.outputs.len()
            ));
        }
        let read = |files: &[PathBuf], infos: &[&ValueInfoProto]| -> Result<Vec<Value>, String> {
            files
                .iter()
                .zip(infos)
                .map(|(file, info)| {
                    let value = values::read_pb(file, info.r#type.as_ref().unwrap_or(&TypeProto::default()));
                    let folder = file.parent().map_or_else(String::new, |p| format!("{}/", p.display()));
                    value.map_err(|e| format!("broken case: {}: {}", self.name, e.strip_prefix(&folder).unwrap_or(&e)))
                })
                .collect()
        };
        let outputs: Vec<&ValueInfoProto> = graph.output.iter().collect();
        Ok(Data { inputs: read(&self.inputs, &inputs)?, outputs: read(&self.outputs, &outputs)?, others: read(&self.others, &outputs)? })
    }
}

/// The inputs that a caller gives: those without an initializer.
pub fn entries(graph: &GraphProto) -> Vec<&ValueInfoProto> {
    let constant = |name: &str| {
        let sparse = graph.sparse_initializer.iter().filter_map(|s| s.values.as_ref());
        graph.initializer.iter().chain(sparse).any(|t| t.name == name)
    };
    graph.input.iter().filter(|i| !constant(&i.name)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_found_at_any_depth() {
        let root = tempfile::tempdir().unwrap();
        for (case, sets) in [("node/test_b", 2), ("node/test_a", 1), ("plain", 0)] {
            let folder = root.path().join(case);
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(folder.join("model.onnx"), b"").unwrap();
            for k in 0..sets {
                let set = folder.join(format!("test_data_set_{k}"));
                std::fs::create_dir_all(&set).unwrap();
                std::fs::write(set.join("input_0.pb"), b"").unwrap();
                std::fs::write(set.join("output_0.pb"), b"").unwrap();
                std::fs::write(set.join("output_2.pb"), b"").unwrap();
            }
        }
        let cases = discover(root.path(), Rule::MODELS).unwrap();
        let names: Vec<_> = cases.iter().map(|c| (c.name.as_str(), c.sets.len())).collect();
        assert_eq!(names, [("test_a", 1), ("test_b", 2)]);
        assert_eq!((cases[0].sets[0].inputs.len(), cases[0].sets[0].outputs.len()), (1, 1));
        assert_eq!(discover(&root.path().join("node/test_a"), Rule::MODELS).unwrap().len(), 1);
        assert!(discover(&root.path().join("plain"), Rule::MODELS).is_err());
    }
}
