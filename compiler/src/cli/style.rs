//! How the command speaks: colour on a terminal that wants it, progress bars on a terminal only.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use onnxc::harness::verify::Station;
use std::io::IsTerminal;
use std::sync::Mutex;
use std::time::Duration;

fn painted(text: &str, code: &str) -> String {
    let wanted = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    if wanted { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
}

/// An error message as a person sees it. Reports of the compiler begin with their own kind.
pub fn error(message: &str) -> String {
    let kinds = ["error: ", "not supported: "];
    let mut out = String::new();
    for (i, line) in message.lines().enumerate() {
        let kind = kinds.iter().find(|k| line.starts_with(**k));
        match kind {
            Some(kind) => out.push_str(&format!("{}{}", painted(kind.trim_end(), "1;31"), &line[kind.len() - 1..])),
            None if i == 0 => out.push_str(&format!("{} {line}", painted("error:", "1;31"))),
            None => out.push_str(line),
        }
        out.push('\n');
    }
    out.trim_end().to_owned()
}

/// A spinner with a message, on a terminal; gone when dropped.
pub struct Spinner(ProgressBar);

impl Spinner {
    /// Starts it.
    pub fn new(message: &str) -> Self {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} ({elapsed})") {
            bar.set_style(style);
        }
        bar.set_message(message.to_owned());
        bar.enable_steady_tick(Duration::from_millis(120));
        Self(bar)
    }
}

impl Drop for Spinner {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

/// Bars for the stations of the harness, one after another.
#[derive(Default)]
pub struct Bars(Mutex<Option<(Station, ProgressBar)>>);

impl Bars {
    /// Shows how far a station is.
    pub fn show(&self, station: Station, done: usize, all: usize) {
        let Ok(mut current) = self.0.lock() else { return };
        if current.as_ref().is_none_or(|c| c.0 != station) {
            if let Some((_, bar)) = current.take() {
                bar.finish_and_clear();
            }
            *current = Some((station, bar(station)));
        }
        if let Some((_, bar)) = current.as_ref() {
            bar.set_length(all as u64);
            bar.set_position(done as u64);
        }
    }
}

impl Drop for Bars {
    fn drop(&mut self) {
        if let Ok(Some((_, bar))) = self.0.get_mut().map(Option::take) {
            bar.finish_and_clear();
        }
    }
}

fn bar(station: Station) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(Some(1), ProgressDrawTarget::stderr());
    if let Ok(style) = ProgressStyle::with_template("{msg:<22} {wide_bar} {pos}/{len} ({elapsed})") {
        bar.set_style(style);
    }
    bar.set_message(match station {
        Station::Compile => "onnxc: models",
        Station::Build => "rustc: crates",
        Station::Run => "running: models",
    });
    bar.enable_steady_tick(Duration::from_millis(250));
    bar
}
