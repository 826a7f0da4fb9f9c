use onnxc_runtime::session::Session;
use onnxc_runtime::wire;
use std::io::{BufRead, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

/// Reads jobs from stdin, a line each: model number, input file, output file, tab-separated. Answers each with a line:
/// `ok`, first and second run in microseconds, and whether both gave the same bytes (else the second result is in `OUTPUT.2`);
/// `fault` and the model's error; or `panic` and its message.
fn main() {
    let mut current: Option<(usize, Box<dyn Session>)> = None;
    std::panic::set_hook(Box::new(|_| {}));
    for line in std::io::stdin().lock().lines().map_while(Result::ok) {
        let answer = match catch_unwind(AssertUnwindSafe(|| job(&line, &mut current))) {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => format!("fault\t{error}"),
            Err(payload) => {
                current = None;
                let text = payload.downcast_ref::<String>().map(String::as_str).or(payload.downcast_ref::<&str>().copied());
                format!("panic\t{}", text.unwrap_or("without a message"))
            }
        };
        println!("{}", answer.replace('\n', " "));
        let _ = std::io::stdout().flush();
    }
}

fn job(line: &str, current: &mut Option<(usize, Box<dyn Session>)>) -> Result<String, String> {
    let mut fields = line.split('\t');
    let mut field = || fields.next().ok_or("a job has three fields");
    let index: usize = field()?.parse().map_err(|e| format!("{e}"))?;
    let (input, output) = (field()?, field()?);
    let bytes = std::fs::read(input).map_err(|e| e.to_string())?;
    let inputs = wire::decode(&bytes).map_err(|e| e.to_string())?;
    if current.as_ref().is_none_or(|c| c.0 != index) {
        *current = None;
        *current = Some((index, MODELS.get(index).ok_or("no such model")?()));
    }
    let (_, model) = current.as_mut().ok_or("no model")?;
    let mut run = || {
        let start = Instant::now();
        let outputs = model.run(&inputs).map_err(|e| e.to_string())?;
        Ok::<_, String>((wire::encode(&outputs), start.elapsed().as_micros()))
    };
    // Twice: the second run finds the scratch memory as the first one left it.
    let (first, first_us) = run()?;
    let (second, second_us) = run()?;
    std::fs::write(output, &first).map_err(|e| e.to_string())?;
    let same = if first == second { "same" } else { "different" };
    if first != second {
        std::fs::write(format!("{output}.2"), &second).map_err(|e| e.to_string())?;
    }
    Ok(format!("ok\t{first_us}\t{second_us}\t{same}"))
}
