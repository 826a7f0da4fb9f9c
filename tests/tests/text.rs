//! The text of a graph parses back to a graph with the same text, for every model at hand, after import and after all passes.

use onnxc::ir::parse::{self, Constants};
use onnxc::ir::{Graph, text};
use onnxc::program::interpret;
use onnxc::{Model, Options, import, lower, passes, verify};
use onnxc_tests::models;

/// The graph that the text of this graph says; its text is the same, it holds, and the constants are the same, bit by bit.
fn round_trip(name: &str, graph: &Graph) -> Result<Graph, String> {
    let first = text::graph(graph);
    let again = parse::graph(&first, &Constants::of(graph)).map_err(|e| format!("{name}: {e}\n{first}"))?;
    let second = text::graph(&again);
    if let Some((a, b)) = first.lines().zip(second.lines()).find(|(a, b)| a != b) {
        return Err(format!("{name}:\n  - {a}\n  + {b}"));
    }
    verify::verify(&again).map_err(|e| format!("{name}: {}", onnxc::Report::from(e)))?;
    let constants = |g: &Graph| g.values.iter().map(|(_, v)| v.fact.as_const().cloned()).collect::<Vec<_>>();
    if constants(graph) != constants(&again) {
        return Err(format!("{name}: the constants differ"));
    }
    Ok(again)
}

fn both(name: &str, model: Model) -> Result<(), String> {
    let Ok(graph) = import::import(&model.proto, model.files, &Options::default()) else { return Ok(()) };
    let read = round_trip(&format!("{name}, imported"), &graph)?;
    let done = passes::run(read, &Options::default(), &mut |_, _| ()).map_err(|e| format!("{name}: {}", onnxc::Report::from(e)))?;
    let done = round_trip(&format!("{name}, after the passes"), &done)?;
    // What was read lowers as well as what was imported.
    let program = lower::lower(&done, "", &Options::default()).map_err(|e| format!("{name}: {}", onnxc::Report::from(e)));
    let direct = passes::run(graph, &Options::default(), &mut |_, _| ()).and_then(|g| lower::lower(&g, "", &Options::default()));
    match (program, direct) {
        (Ok(program), Ok(_)) if program.inputs.is_empty() => interpret::run(&program, &[], 100_000).map(drop).or(Ok(())),
        (Err(error), Ok(_)) => Err(error),
        _ => Ok(()),
    }
}

fn check(models: impl Iterator<Item = (String, Model)>) -> usize {
    let mut count = 0;
    let wrong: Vec<String> = models.inspect(|_| count += 1).filter_map(|(name, model)| both(&name, model).err()).collect();
    assert!(wrong.is_empty(), "{} models do not survive their text:\n{}", wrong.len(), wrong.join("\n"));
    count
}

#[test]
fn graphs_of_pages_survive() {
    assert!(check(models::pages()) > 10);
}

/// All official cases: `cargo test -p onnxc-tests --test text -- --ignored` with `ONNXC_DATA`.
#[test]
#[ignore = "needs the official cases, and minutes"]
fn graphs_of_the_official_cases_survive() {
    assert!(check(models::official(1)) > 1500);
}

/// Every twentieth of them, if they are at hand.
#[test]
fn graphs_of_some_official_cases_survive() {
    check(models::official(20));
}

#[test]
fn what_is_wrong_with_a_text_is_said_with_its_line() {
    let error = |text: &str| parse::graph(text, &Constants::default()).unwrap_err().to_string();
    assert_eq!(error("graph \"g\" () {\n  return \"y\": %0\n}"), "line 3: %0 is not defined");
    assert_eq!(error("graph \"g\" (%0 \"x\": f33[2]) {"), "line 1: `f33` is no dtype");
    assert_eq!(error("graph \"g\" (%0 \"x\": f32[2]) {\n  %0 \"y\": f32[1] = const [1.0]"), "line 2: %0 is defined twice");
    assert_eq!(
        error("graph \"g\" () {\n  %0 \"w\": f32[100] = const sha256 00ff\n"),
        "line 2: the constant 00ff is not at hand: the text holds only its hash"
    );
    assert!(error("graph \"g\" () {\n  %0 \"y\": f32[1] = Frobnicate (%0) from \"\" \"\"\n").starts_with("line 2: Frobnicate(): "));
    assert!(error(&format!("graph \"g\" (%0 \"x\": {}f32[2]", "seq(".repeat(1000))).contains("more than 40 levels"));
    // No text makes the parser panic.
    let good = "symbols u1 in 1..=9\ngraph \"g\" (%0 \"x\": f32[2*\"a b\" + u1]) {\n  %1 \"y\": f32[2, 2] = const splat 1.5\n  %2 \"z\": f32[..] = Softmax(axis: 0) (%0) from \"a\" \"b\"\n  return \"z\": %2\n}";
    for end in (0..good.len()).filter(|&e| good.is_char_boundary(e)) {
        let _ = parse::graph(&good[..end], &Constants::default());
        let _ = parse::graph(&format!("{}{}", &good[..end], &good[(end + 1).min(good.len())..]), &Constants::default());
    }
}
