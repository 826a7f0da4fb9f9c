//! Ensembles of trees: random ones against a naive evaluation of their attributes, and attributes that lie.

use onnxc::ops::ml::trees::ensemble::{Ensemble, Link, Mode, Node, Vote};
use onnxc::ops::ml::trees::plan::shape::Forest;
use onnxc::ops::ml::trees::plan::{self, Offer, Runner, Way};
use onnxc::program::interpret;
use onnxc::{Model, Options};
use onnxc_proto::ExternalFiles;
use onnxc_runtime::cx::{Cx, Isa};
use onnxc_runtime::kernels::trees::Score;
use onnxc_runtime::value::{Tensor, Value};
use onnxc_tests::text;
use std::collections::BTreeSet;
use std::fmt::Write;

/// Numbers that are not random, but look it.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % n
    }
    /// From a grid that thresholds and features share, so that they are often equal.
    fn grid(&mut self, kind: Kind) -> f32 {
        if kind.cuts == 0 { [-1.5, -1.0, -0.0, 0.0, 0.25, 1.0, 1.5, 3.0][self.below(8)] } else { self.below(kind.cuts + 1) as f32 }
    }
}

const MODES: [&str; 6] = ["BRANCH_LEQ", "BRANCH_LT", "BRANCH_GTE", "BRANCH_GT", "BRANCH_EQ", "BRANCH_NEQ"];

/// A row of the table of nodes.
struct Row {
    tree: usize,
    id: usize,
    /// An index into `MODES`; `None` for a leaf.
    mode: Option<usize>,
    feature: usize,
    value: f32,
    missing: usize,
    branches: [usize; 2],
    /// Targets and weights.
    votes: Vec<(usize, f32)>,
}

/// What random ensembles may have.
#[derive(Clone, Copy)]
struct Kind {
    trees: usize,
    depth: usize,
    features: usize,
    /// Thresholds are whole numbers below this; 0: a few, more or less odd.
    cuts: usize,
    targets: usize,
    /// The first and one past the last of the modes.
    modes: (usize, usize),
    missing: bool,
    /// Whether every leaf votes for every target, else each tree for one.
    dense: bool,
    shape: Shape,
}

/// How random trees grow.
#[derive(Clone, Copy, PartialEq)]
enum Shape {
    /// Until the depth, with leaves here and there.
    Bushy,
    /// Few leaves for their depth: at most so many.
    Lean(usize),
    /// All nodes of a level are the same.
    Levels,
}

fn grow(dice: &mut Dice, kind: Kind) -> Vec<Row> {
    let mut rows = Vec::new();
    for tree in 0..kind.trees {
        let start = rows.len();
        let levels: Vec<Row> = (0..kind.depth)
            .map(|_| {
                let mode = kind.modes.0 + dice.below(kind.modes.1 - kind.modes.0);
                Row { mode: Some(mode), ..leaf(dice, kind, tree, 0) }
            })
            .collect();
        let mut leaves = 1;
        // Nodes that still have no branches, with the depth that they may have below them.
        let mut open = vec![(start, kind.depth)];
        rows.push(leaf(dice, kind, tree, 0));
        while let Some((place, depth)) = open.pop() {
            let ends = match kind.shape {
                Shape::Bushy => dice.below(8) == 0,
                Shape::Lean(most) => leaves == most,
                Shape::Levels => false,
            };
            if depth == 0 || ends {
                continue;
            }
            leaves += 1;
            let first = rows.len() - start;
            for k in 0..2 {
                open.push((rows.len(), depth - 1));
                rows.push(leaf(dice, kind, tree, first + k));
            }
            let row: &mut Row = &mut rows[place];
            if kind.shape == Shape::Levels {
                let Row { mode, feature, value, missing, .. } = levels[depth - 1];
                *row = Row { mode, feature, value, missing, tree, id: row.id, branches: [0; 2], votes: Vec::new() };
            } else {
                row.mode = Some(kind.modes.0 + dice.below(kind.modes.1 - kind.modes.0));
            }
            row.branches = [first, first + 1];
            row.votes.clear();
        }
    }
    rows
}

fn leaf(dice: &mut Dice, kind: Kind, tree: usize, id: usize) -> Row {
    let targets = if kind.dense { 0..kind.targets } else { tree % kind.targets..tree % kind.targets + 1 };
    let votes = targets.map(|t| (t, dice.below(2000) as f32 / 64.0 - 15.0)).collect();
    let missing = if kind.missing { dice.below(2) } else { 0 };
    Row { tree, id, mode: None, feature: dice.below(kind.features), value: dice.grid(kind), missing, branches: [0; 2], votes }
}

/// The sums of the votes, by the definition.
fn naive(rows: &[Row], kind: Kind, x: &[f32]) -> Vec<f32> {
    let mut scores = vec![0f32; kind.targets];
    for tree in rows.chunk_by(|a, b| a.tree == b.tree) {
        let mut row = &tree[0];
        while let Some(mode) = row.mode {
            let (x, t) = (x[row.feature], row.value);
            let holds = [x <= t, x < t, x >= t, x > t, x == t, x != t][mode] || (x.is_nan() && row.missing == 1);
            row = &tree[row.branches[usize::from(!holds)]];
        }
        row.votes.iter().for_each(|&(t, w)| scores[t] += w);
    }
    scores
}

/// The text of a regressor.
fn regressor(rows: &[Row], kind: Kind) -> String {
    let list = |f: &dyn Fn(&Row) -> String| format!("[{}]", rows.iter().map(f).collect::<Vec<_>>().join(", "));
    let votes = |f: &dyn Fn(&Row, (usize, f32)) -> String| {
        let all = rows.iter().flat_map(|r| r.votes.iter().map(move |&v| (r, v)));
        format!("[{}]", all.map(|(r, v)| f(r, v)).collect::<Vec<_>>().join(", "))
    };
    let mut attributes = String::new();
    for (name, list) in [
        ("nodes_treeids", list(&|r| r.tree.to_string())),
        ("nodes_nodeids", list(&|r| r.id.to_string())),
        ("nodes_featureids", list(&|r| r.feature.to_string())),
        ("nodes_modes", list(&|r| format!("{:?}", r.mode.map_or("LEAF", |m| MODES[m])))),
        ("nodes_values", list(&|r| format!("{:?}", r.value))),
        ("nodes_missing_value_tracks_true", list(&|r| r.missing.to_string())),
        ("nodes_truenodeids", list(&|r| r.branches[0].to_string())),
        ("nodes_falsenodeids", list(&|r| r.branches[1].to_string())),
        ("target_treeids", votes(&|r, _| r.tree.to_string())),
        ("target_nodeids", votes(&|r, _| r.id.to_string())),
        ("target_ids", votes(&|_, v| v.0.to_string())),
        ("target_weights", votes(&|_, v| format!("{:?}", v.1))),
    ] {
        write!(attributes, "{name} = {list}, ").expect("text");
    }
    model("TreeEnsembleRegressor", &format!("{attributes} n_targets = {}", kind.targets), kind.features, kind.targets)
}

fn model(operator: &str, attributes: &str, features: usize, targets: usize) -> String {
    format!(
        "<ir_version: 10, opset_import: [\"\": 18, \"ai.onnx.ml\": 3]>
         g (float[N, {features}] x) => (float[N, {targets}] y) {{ y = ai.onnx.ml.{operator} <{attributes}> (x) }}"
    )
}

fn compile(source: &str) -> Result<onnxc::program::Program, String> {
    let model = Model { proto: text::model(source), files: ExternalFiles::refused() };
    onnxc::compile_to_program(model, &Options::default()).map_err(|e| e.to_string())
}

/// A feature: mostly one that is equal to thresholds, or odd.
fn feature(dice: &mut Dice, kind: Kind) -> f32 {
    match dice.below(12) {
        0 => f32::NAN,
        1 => f32::INFINITY,
        2 => f32::NEG_INFINITY,
        3 => dice.grid(kind).next_down(),
        _ => dice.grid(kind),
    }
}

fn check(dice: &mut Dice, kind: Kind, count: usize) {
    let rows = grow(dice, kind);
    let program = compile(&regressor(&rows, kind)).expect("compiles");
    let x: Vec<f32> = (0..count * kind.features).map(|_| feature(dice, kind)).collect();
    let input = Tensor::from_slice(&[count, kind.features], &x).expect("a tensor");
    let outputs = interpret::run(&program, &[Value::Tensor(input)], 1 << 30).expect("runs");
    let Value::Tensor(y) = &outputs[0] else { panic!("no tensor") };
    let y: Vec<f32> = y.bytes().chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
    for (x, y) in x.chunks_exact(kind.features).zip(y.chunks_exact(kind.targets)) {
        assert_eq!(y, naive(&rows, kind, x), "{x:?} of {} trees of depth {}, modes {:?}", kind.trees, kind.depth, kind.modes);
    }
}

#[test]
fn random_ensembles_match_the_naive_evaluation() {
    let mut dice = Dice(7);
    for round in 0..60 {
        let m = round % 6;
        let kind = Kind {
            trees: [1, 3, 20][round % 3],
            depth: [0, 1, 3, 5, 9][round % 5],
            features: 1 + dice.below(5),
            cuts: 0,
            targets: [1, 1, 3][dice.below(3)],
            modes: [(m, m + 1), (0, 4), (0, 6)][dice.below(3)],
            missing: dice.below(3) > 0,
            dense: dice.below(2) == 0,
            shape: [Shape::Bushy, Shape::Levels][dice.below(2)],
        };
        check(&mut dice, kind, [1, 5, 40, 130][round % 4]);
    }
}

/// The ensemble that rows of the table of nodes are.
fn ensemble(rows: &[Row], kind: Kind) -> Ensemble {
    let mut e = Ensemble { leaves: vec![0], targets: kind.targets, ..Ensemble::default() };
    let mut first = 0;
    for tree in rows.chunk_by(|a, b| a.tree == b.tree) {
        let link = |id: usize| if tree[id].mode.is_some() { Link::node(first + id) } else { Link::leaf(first + id) };
        e.roots.push(link(0));
        for row in tree {
            let (mode, branches) = (Mode::ALL[row.mode.unwrap_or(0)], row.branches.map(link));
            let (feature, missing_true) = (row.feature as u32, row.missing == 1);
            e.nodes.push(Node { feature, mode, missing_true, threshold: f64::from(row.value), set: 0, branches });
            e.votes.extend(row.votes.iter().map(|&(target, weight)| Vote { target: target as u32, weight: f64::from(weight) }));
            e.leaves.push(e.votes.len() as u32);
        }
        first += tree.len();
    }
    e.checked().expect("a sound ensemble")
}

/// Every kernel that can do it, with every instruction set and two threads, against the definition. How many kernels there were.
fn check_ways<T: Score>(dice: &mut Dice, kind: Kind, rows: &[Row], count: usize, forms: &mut BTreeSet<&'static str>) -> usize {
    let e = ensemble(rows, kind);
    let Some(forest) = Forest::new(&e, size_of::<T>() == 8) else { return 0 };
    let values: Vec<T> = forest.all_values(&e).into_iter().map(T::narrow).collect();
    let x: Vec<f32> = (0..count * kind.features).map(|_| feature(dice, kind)).collect();
    let wide: Vec<T> = x.iter().map(|&x| T::narrow(f64::from(x))).collect();
    let expected: Vec<f32> = x.chunks_exact(kind.features).flat_map(|x| naive(rows, kind, x)).collect();
    let expected: Vec<T> = expected.into_iter().map(|s| T::narrow(f64::from(s))).collect();
    let offers = plan::offers(&e, &forest);
    for Offer { way, .. } in &offers {
        if let Way::Outcomes(o, _) = way {
            forms.insert(o.name());
        }
        let mut runner = Runner::new(way, &forest, &values);
        for isa in Isa::ALL {
            let Some(cx) = Cx::REFERENCE.with_isa(isa) else { continue };
            let mut y = vec![T::narrow(7.0); count * kind.targets];
            runner.run(cx.with_threads(2), &mut y, &wide).expect("runs");
            let name = format!("{way:?}");
            assert_eq!(y, expected, "{x:?} of {} trees, {} on {isa:?}", kind.trees, &name[..name.len().min(8)]);
        }
    }
    offers.len()
}

#[test]
fn every_kernel_matches_the_naive_evaluation_on_every_instruction_set() {
    let mut dice = Dice(11);
    let (mut ways, mut forms) = (0, BTreeSet::new());
    for round in 0..96 {
        let m = round % 6;
        let kind = Kind {
            // Some fill several shelves of `bits`.
            trees: [1, 2, 17, 150][round % 4],
            depth: [0, 1, 4, 5, 7, 9][(round / 4) % 6],
            features: 1 + dice.below(40),
            cuts: 0,
            targets: [1, 1, 3][dice.below(3)],
            modes: [(m, m + 1), (0, 4), (0, 6)][dice.below(3)],
            missing: dice.below(3) > 0,
            dense: dice.below(2) == 0,
            shape: [Shape::Bushy, Shape::Lean(20), Shape::Levels, Shape::Lean(50)][round / 24],
        };
        let rows = grow(&mut dice, kind);
        let count = [1, 3, 70, 17][dice.below(4)];
        ways += check_ways::<f32>(&mut dice, kind, &rows, count, &mut forms) + check_ways::<f64>(&mut dice, kind, &rows, count, &mut forms);
    }
    assert!(ways > 4 * 96, "only {ways} kernels were tried");
    assert_eq!(forms.into_iter().collect::<Vec<_>>(), ["Chain", "Heap", "Levels", "LongChain"]);
}

#[test]
fn ranks_among_many_cuts() {
    let mut dice = Dice(13);
    for cuts in [31, 32, 33, 1024, 1025, 1056, 1057, 3000] {
        let kind =
            Kind { trees: 4, depth: 11, features: 1, cuts, targets: 1, modes: (0, 1), missing: true, dense: true, shape: Shape::Bushy };
        let mut rows = grow(&mut dice, kind);
        // A stump for every cut.
        for cut in 0..cuts {
            let tree = kind.trees + cut;
            let (root, ends) = (leaf(&mut dice, kind, tree, 0), [1, 2].map(|id| leaf(&mut dice, kind, tree, id)));
            rows.push(Row { mode: Some(0), value: cut as f32, branches: [1, 2], votes: Vec::new(), ..root });
            rows.extend(ends);
        }
        for count in [1, 300] {
            let ways = check_ways::<f32>(&mut dice, kind, &rows, count, &mut BTreeSet::new());
            assert!(ways > 1, "only {ways} kernels were tried");
        }
    }
}

/// A stump, with attributes replaced by the given ones.
fn stump(changed: &[(&str, &str)]) -> String {
    let mut all = vec![
        ("nodes_treeids", "[0, 0, 0]"),
        ("nodes_nodeids", "[0, 1, 2]"),
        ("nodes_featureids", "[0, 0, 0]"),
        ("nodes_modes", "[\"BRANCH_LEQ\", \"LEAF\", \"LEAF\"]"),
        ("nodes_values", "[0.5, 0.0, 0.0]"),
        ("nodes_truenodeids", "[1, 0, 0]"),
        ("nodes_falsenodeids", "[2, 0, 0]"),
        ("target_treeids", "[0, 0]"),
        ("target_nodeids", "[1, 2]"),
        ("target_ids", "[0, 0]"),
        ("target_weights", "[1.5, 2.5]"),
        ("n_targets", "1"),
    ];
    for &(name, value) in changed {
        all.retain(|a| a.0 != name);
        all.push((name, value));
    }
    let attributes: Vec<String> = all.iter().map(|(n, v)| format!("{n} = {v}")).collect();
    model("TreeEnsembleRegressor", &attributes.join(", "), 2, 1)
}

#[test]
fn attributes_that_lie_are_errors_at_the_node() {
    for (changed, message) in [
        (("nodes_falsenodeids", "[0, 0, 0]"), "cycle"),
        (("nodes_falsenodeids", "[7, 0, 0]"), "no node 7"),
        (("nodes_falsenodeids", "[-1, 0, 0]"), "no node -1"),
        (("nodes_truenodeids", "[9223372036854775807, 0, 0]"), "no node 9223372036854775807"),
        (("nodes_falsenodeids", "[2, 0]"), "nodes_falsenodeids has 2"),
        (("nodes_values", "[0.5, 0.0]"), "nodes_values has 2"),
        (("nodes_modes", "[\"BRANCH_LEQ\", \"LEAF\", \"LEAVE\"]"), "LEAVE"),
        (("nodes_nodeids", "[0, 1, 1]"), "two nodes 1"),
        (("nodes_treeids", "[0, 1, 0]"), "not in one run"),
        (("nodes_featureids", "[2, 0, 0]"), "features"),
        (("nodes_featureids", "[-1, 0, 0]"), "feature -1"),
        (("nodes_featureids", "[4294967295, 0, 0]"), "feature 4294967295"),
        (("target_ids", "[0, 1]"), "target 1"),
        (("target_ids", "[0, -1]"), "target -1"),
        (("target_nodeids", "[1, 3]"), "no node 3"),
        (("target_treeids", "[0, 3]"), "tree 3"),
        (("target_weights", "[1.5]"), "target_weights has 1"),
        (("n_targets", "0"), "n_targets is 0"),
        (("n_targets", "9000000000000000000"), "n_targets"),
        (("base_values", "[1.0, 2.0]"), "base_values has 2"),
        (("aggregate_function", "\"MEDIAN\""), "MEDIAN"),
        (("post_transform", "\"TANH\""), "TANH"),
    ] {
        let error = compile(&stump(&[changed])).err().unwrap_or_else(|| panic!("{changed:?} compiles"));
        assert!(error.contains(message) && error.contains("TreeEnsembleRegressor"), "{changed:?}: {error}");
    }
    compile(&stump(&[])).expect("the stump itself");
    // A leaf under both branches, and one that no branch leads to.
    compile(&stump(&[("nodes_falsenodeids", "[1, 0, 0]")])).expect("a shared leaf");
}

#[test]
fn a_graph_of_shared_branches_stays_small() {
    // Both branches of each node lead to the next: 2^2000 paths.
    let n = 2000;
    let list = |f: &dyn Fn(usize) -> String| format!("[{}]", (0..n).map(f).collect::<Vec<_>>().join(", "));
    let next = list(&|i| (i + 1).min(n - 1).to_string());
    let source = stump(&[
        ("nodes_treeids", &list(&|_| "0".into())),
        ("nodes_nodeids", &list(&|i| i.to_string())),
        ("nodes_featureids", &list(&|_| "0".into())),
        ("nodes_modes", &list(&|i| if i + 1 == n { "\"LEAF\"".into() } else { "\"BRANCH_LEQ\"".into() })),
        ("nodes_values", &list(&|i| format!("{i}.5"))),
        ("nodes_truenodeids", &next),
        ("nodes_falsenodeids", &next),
        ("target_treeids", "[0]"),
        ("target_nodeids", "[1999]"),
        ("target_ids", "[0]"),
        ("target_weights", "[4.5]"),
    ]);
    let program = compile(&source).expect("compiles");
    let input = Tensor::from_slice(&[1, 2], &[3f32, 4.0]).expect("a tensor");
    let outputs = interpret::run(&program, &[Value::Tensor(input)], 1 << 30).expect("runs");
    let Value::Tensor(y) = &outputs[0] else { panic!("no tensor") };
    assert_eq!(y.bytes(), 4.5f32.to_le_bytes());
}
