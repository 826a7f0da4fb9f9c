//! The models that tests go through.

use crate::text;
use onnxc::Model;
use onnxc_proto::ExternalFiles;
use std::path::{Path, PathBuf};

/// The models of all pages, with the names of their files.
///
/// # Panics
/// If a page cannot be read.
pub fn pages() -> impl Iterator<Item = (String, Model)> {
    let mut files = Vec::new();
    crate::pages::collect(&Path::new(env!("CARGO_MANIFEST_DIR")).join("files"), &mut files);
    files.into_iter().filter_map(|path| {
        let page = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let source = page.split("\n--- ").next().unwrap_or_default();
        let name = path.file_stem()?.to_string_lossy().into_owned();
        (!crate::pages::is_graph(source)).then(|| (name, Model { proto: text::model(source), files: ExternalFiles::refused() }))
    })
}

/// Every `step`-th of the official cases, if they are at hand: in `$ONNXC_DATA` or `target/onnx-data`.
pub fn official(step: usize) -> impl Iterator<Item = (String, Model)> {
    let made = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/onnx-data");
    let data = std::env::var_os("ONNXC_DATA").map_or(made, PathBuf::from);
    let below = |folder: PathBuf| {
        let entries = std::fs::read_dir(folder).into_iter().flatten();
        let mut paths: Vec<PathBuf> = entries.filter_map(|e| Some(e.ok()?.path())).collect();
        paths.sort();
        paths
    };
    let cases = below(data).into_iter().flat_map(below).flat_map(below).map(|case| case.join("model.onnx"));
    cases.filter(|path| path.is_file()).step_by(step).filter_map(|path| {
        let name = path.parent()?.file_name()?.to_string_lossy().into_owned();
        Some((name, Model::read(&path).ok()?))
    })
}
