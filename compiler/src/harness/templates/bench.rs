use onnxc_runtime::element::DType;
use onnxc_runtime::profile::{Spent, Step};
use onnxc_runtime::session::{self, Session};
use onnxc_runtime::value::{Tensor, Value};
use std::io::{BufRead, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// `exe MODEL.onnx THREADS ITERS` or `exe MODEL.onnx THREADS serve`: the model is compiled in, its path only tells where
/// `MODEL.in/manifest` and `MODEL.ref/manifest` are. See the protocol in the documentation of `onnxc bench --build-only`.
fn main() {
    let start = monotonic_ns();
    if let Err(message) = competitor(start) {
        println!("{{\"error\":\"{}\"}}", plain(&message));
        std::process::exit(3);
    }
}

/// A text that is a JSON string between quotes.
fn plain(text: &str) -> String {
    text.chars().map(|c| if c == '"' || c == '\\' || c.is_control() { '\'' } else { c }).take(400).collect()
}

fn competitor(start: u64) -> Result<(), String> {
    let started: u64 = std::env::var("PERF_T0_NS").ok().and_then(|s| s.parse().ok()).unwrap_or(start);
    let args: Vec<String> = std::env::args().collect();
    let [_, model, threads, mode, ..] = args.as_slice() else { return Err("usage: MODEL.onnx THREADS ITERS|serve".to_owned()) };
    let threads: usize = threads.parse().map_err(|e| format!("threads: {e}"))?;
    let path = PathBuf::from(model);
    let named = read_set(&path.with_extension("in")).map_err(|e| format!("inputs: {e}"))?;
    let expected = read_set(&path.with_extension("ref")).unwrap_or_default();
    let inputs = arranged(named).map_err(|e| format!("inputs: {e}"))?;
    let rss0 = status("VmRSS:");

    let clock = Instant::now();
    let mut bench = Bench { model: model::Model::new().with_threads(threads), inputs };
    let load_us = micros(clock);
    let clock = Instant::now();
    bench.once().map_err(|e| format!("run: {e}"))?;
    let first_us = micros(clock);
    let cold_us = (monotonic_ns().saturating_sub(started)) as f64 / 1e3;
    let outputs = Session::run(&mut bench.model, &bench.inputs).map_err(|e| format!("run: {e}"))?;
    let err = compare(&outputs, &expected);
    let mut estimate = f64::MAX;
    for _ in 0..3 {
        let clock = Instant::now();
        bench.once().map_err(|e| format!("run: {e}"))?;
        estimate = estimate.min(micros(clock));
        if estimate > 2e6 {
            break;
        }
    }
    let head = format!(
        "\"load_us\":{load_us:.1},\"first_us\":{first_us:.1},\"cold_us\":{cold_us:.1},\"err\":{err},\"rss0_kb\":{rss0},\"est_us\":{estimate:.2}"
    );
    if mode == "serve" {
        say(&head);
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            let mut numbers = line.split_whitespace().map(str::parse::<u64>);
            let (Some(Ok(iters)), Some(Ok(ms))) = (numbers.next(), numbers.next()) else { break };
            say(&bench.window(iters as usize, Duration::from_millis(ms), estimate)?);
        }
        return Ok(());
    }
    let iters: usize = mode.parse().map_err(|e| format!("iterations: {e}"))?;
    if iters == 0 {
        say(&format!("{head},\"rss_kb\":{}", status("VmHWM:")));
        return Ok(());
    }
    for _ in 0..(iters / 10).clamp(1, 20) {
        bench.once().map_err(|e| format!("run: {e}"))?;
    }
    profile().iter().for_each(Step::reset);
    let window = bench.window(iters, Duration::from_secs(20), estimate)?;
    say(&format!("{head},{window}"));
    if !profile().is_empty() {
        say_profile();
    }
    Ok(())
}

/// A line with the machine's limits, then one for each step that ran.
fn say_profile() {
    let limits = onnxc_runtime::profile::limits(onnxc_runtime::cx::Cx::detect());
    say(&format!("\"peak_flops\":{:.4e},\"peak_bytes\":{:.4e}", limits.flops, limits.bytes));
    for step in profile().iter().filter(|step| step.spent().calls > 0) {
        let Spent { nanos, fastest, calls } = step.spent();
        let Step { node, kernel, doc, flops, bytes, .. } = step;
        say(&format!(
            "\"node\":\"{}\",\"kernel\":\"{kernel}\",\"doc\":\"{}\",\"flops\":{flops},\"bytes\":{bytes},\"nanos\":{nanos},\"fastest\":{fastest},\"calls\":{calls}",
            plain(node),
            plain(doc)
        ));
    }
}

impl Bench {
    /// Times up to `iters` runs for at most `max`; runs shorter than 20 us in groups.
    fn window(&mut self, iters: usize, max: Duration, estimate: f64) -> Result<String, String> {
        let group = ((20.0 / estimate.max(0.001)).ceil() as usize).clamp(1, 2000).min(iters.max(1));
        let mut times = Vec::new();
        let begin = Instant::now();
        let mut done = 0;
        while done < iters.max(1) && (begin.elapsed() < max || done == 0) {
            let clock = Instant::now();
            for _ in 0..group {
                self.once().map_err(|e| format!("run: {e}"))?;
            }
            times.push(micros(clock) / group as f64);
            done += group;
        }
        times.sort_by(f64::total_cmp);
        let at = |share: usize| times[(times.len() * share / 10).min(times.len() - 1)];
        let (rss, now) = (status("VmHWM:"), status("VmRSS:"));
        Ok(format!(
            "\"median_us\":{:.4},\"min_us\":{:.4},\"p90_us\":{:.4},\"iters\":{done},\"rss_kb\":{rss},\"rss_now_kb\":{now}",
            at(5),
            times[0],
            at(9)
        ))
    }
}

fn say(fields: &str) {
    println!("{{{fields}}}");
    let _ = std::io::stdout().flush();
}

fn micros(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1e6
}

/// A field of /proc/self/status in kB; 0 where there is none.
fn status(field: &str) -> u64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = text.lines().find(|l| l.starts_with(field));
    line.and_then(|l| l.split_whitespace().nth(1)).and_then(|v| v.parse().ok()).unwrap_or(0)
}

#[cfg(target_os = "linux")]
fn monotonic_ns() -> u64 {
    #[repr(C)]
    struct Time {
        seconds: i64,
        nanos: i64,
    }
    unsafe extern "C" {
        fn clock_gettime(clock: i32, time: *mut Time) -> i32;
    }
    let mut time = Time { seconds: 0, nanos: 0 };
    // SAFETY: `time` has the layout of a timespec on 64-bit Linux and lives through the call; 1 is CLOCK_MONOTONIC.
    unsafe { clock_gettime(1, &mut time) };
    time.seconds as u64 * 1_000_000_000 + time.nanos as u64
}
#[cfg(not(target_os = "linux"))]
fn monotonic_ns() -> u64 {
    use std::sync::OnceLock;
    static START: OnceLock<Instant> = OnceLock::new();
    START.get_or_init(Instant::now).elapsed().as_nanos() as u64
}

/// The tensors of a folder, with their names: a line of its `manifest` each, tab-separated name, dtype, dims, file.
fn read_set(folder: &Path) -> Result<Vec<(String, Tensor)>, String> {
    let manifest = std::fs::read_to_string(folder.join("manifest")).map_err(|e| format!("{}: {e}", folder.display()))?;
    let read = |line: &str| -> Result<(String, Tensor), String> {
        let fields: Vec<&str> = line.split('\t').collect();
        let [name, dtype, dims, file] = fields.as_slice() else { return Err(format!("bad line `{line}`")) };
        let dtype = DType::from_name(dtype).ok_or_else(|| format!("unknown dtype {dtype}"))?;
        let dims: Result<Vec<usize>, _> = dims.split(',').filter(|d| !d.is_empty()).map(str::parse).collect();
        let bytes = std::fs::read(folder.join(file)).map_err(|e| format!("{file}: {e}"))?;
        let tensor = Tensor::from_raw(dtype, &dims.map_err(|e| e.to_string())?, &bytes).map_err(|e| format!("{name}: {e}"))?;
        Ok(((*name).to_owned(), tensor))
    };
    manifest.lines().filter(|l| !l.is_empty()).map(read).collect()
}

/// The inputs in the model's order.
fn arranged(mut named: Vec<(String, Tensor)>) -> Result<Vec<Value>, String> {
    let mut take = |port: &onnxc_runtime::door::Port| {
        let at = named.iter().position(|n| n.0 == port.name).ok_or_else(|| format!("`{}` is not in the manifest", port.name))?;
        Ok(Value::Tensor(named.swap_remove(at).1))
    };
    model::Model::INPUTS.iter().map(&mut take).collect()
}

/// The largest difference divided by the largest magnitude expected, over all outputs that are expected.
fn compare(outputs: &[Value], expected: &[(String, Tensor)]) -> String {
    let (mut worst, mut seen) = (0.0f64, 0);
    for (port, value) in model::Model::OUTPUTS.iter().zip(outputs) {
        let (Value::Tensor(got), Some((_, want))) = (value, expected.iter().find(|e| e.0 == port.name)) else { continue };
        let (Some(got), Some(want)) = (numbers(got), numbers(want)) else { continue };
        if got.len() != want.len() {
            return format!("\"{} elements, expected {}\"", got.len(), want.len());
        }
        seen += 1;
        let scale = want.iter().fold(1e-6f64, |a, b| a.max(b.abs()));
        for (g, w) in got.iter().zip(&want) {
            let error = if g == w { 0.0 } else { (g - w).abs() / scale };
            worst = if error.is_nan() { 1e30 } else { worst.max(error) };
        }
    }
    if seen == 0 { "null".to_owned() } else { format!("{worst:.3e}") }
}

fn numbers(tensor: &Tensor) -> Option<Vec<f64>> {
    fn all<T: onnxc_runtime::element::Element>(tensor: &Tensor, to: impl Fn(&T) -> f64) -> Option<Vec<f64>> {
        Some(tensor.as_slice::<T>()?.iter().map(to).collect())
    }
    match tensor.dtype() {
        DType::F32 => all::<f32>(tensor, |&x| f64::from(x)),
        DType::F64 => all::<f64>(tensor, |&x| x),
        DType::I64 => all::<i64>(tensor, |&x| x as f64),
        DType::I32 => all::<i32>(tensor, |&x| f64::from(x)),
        DType::I8 => all::<i8>(tensor, |&x| f64::from(x)),
        DType::U8 => all::<u8>(tensor, |&x| f64::from(x)),
        DType::Bool => all::<onnxc_runtime::element::Bool>(tensor, |x| f64::from(u8::from(x.get()))),
        _ => None,
    }
}
