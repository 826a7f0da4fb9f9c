//! A process that runs jobs of one executable. A crash or a hang costs the job, not the rest.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

/// What a job came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The outputs are in the output file.
    Ok {
        /// Time of the second run.
        micros: u64,
        /// Whether a second run on the same model gave other bytes; they are in `OUTPUT.2`.
        differs: bool,
    },
    /// The model refused the inputs or failed on them, with an error value.
    Fault(String),
    /// The model panicked, crashed or hung.
    Crash(String),
}

/// Runs jobs one after another, in one process as long as it lives.
pub struct Worker {
    exe: PathBuf,
    timeout: Duration,
    process: Option<Process>,
}

struct Process {
    child: Child,
    stdin: ChildStdin,
    answers: Receiver<String>,
}

impl Worker {
    /// A worker of that executable; a job may take `timeout`.
    pub fn new(exe: &Path, timeout: Duration) -> Self {
        Self { exe: exe.to_path_buf(), timeout, process: None }
    }

    /// Runs one job.
    pub fn run(&mut self, model: usize, input: &Path, output: &Path) -> Answer {
        let line = format!("{model}\t{}\t{}\n", input.display(), output.display());
        let process = match self.process.take().map_or_else(|| Process::start(&self.exe), Ok) {
            Ok(process) => process,
            Err(message) => return Answer::Crash(message),
        };
        let mut process = process;
        if process.stdin.write_all(line.as_bytes()).and_then(|()| process.stdin.flush()).is_err() {
            return Answer::Crash(process.end("does not take jobs"));
        }
        match process.answers.recv_timeout(self.timeout) {
            Ok(answer) => {
                self.process = Some(process);
                parse(&answer)
            }
            Err(RecvTimeoutError::Timeout) => {
                process.end("");
                Answer::Crash(format!("no answer after {} s", self.timeout.as_secs()))
            }
            Err(RecvTimeoutError::Disconnected) => Answer::Crash(process.end("ended without an answer")),
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        if let Some(process) = self.process.take() {
            process.end("");
        }
    }
}

impl Process {
    fn start(exe: &Path) -> Result<Self, String> {
        let failed = |e: std::io::Error| format!("{}: {e}", exe.display());
        let mut child = Command::new(exe).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().map_err(failed)?;
        let (Some(stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else { return Err("no pipes".to_owned()) };
        let (sender, answers) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Ok(Self { child, stdin, answers })
    }

    /// Ends the process and says how it went.
    fn end(mut self, what: &str) -> String {
        // A process that is ending by itself gets the time to do so: its own signal tells more than ours.
        for _ in 0..50 {
            if !what.is_empty() && matches!(self.child.try_wait(), Ok(None)) {
                std::thread::sleep(Duration::from_millis(10));
            }
        }
        let _ = self.child.kill();
        match self.child.wait() {
            Ok(status) => format!("the process {what} ({})", describe(status)),
            Err(error) => error.to_string(),
        }
    }
}

#[cfg(unix)]
fn describe(status: ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt;
    match status.signal() {
        Some(6) => "abort".to_owned(),
        Some(9) => "killed: out of memory?".to_owned(),
        Some(11) => "segmentation fault or stack overflow".to_owned(),
        Some(signal) => format!("signal {signal}"),
        None => status.to_string(),
    }
}
#[cfg(not(unix))]
fn describe(status: ExitStatus) -> String {
    status.to_string()
}

fn parse(answer: &str) -> Answer {
    let fields: Vec<&str> = answer.split('\t').collect();
    match fields.as_slice() {
        ["ok", _, micros, same] => Answer::Ok { micros: micros.parse().unwrap_or(0), differs: *same == "different" },
        ["fault", message @ ..] => Answer::Fault(message.join(" ")),
        ["panic", message @ ..] => Answer::Crash(format!("panic: {}", message.join(" "))),
        _ => Answer::Crash(format!("unexpected answer `{answer}`")),
    }
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn worker(script: &str, timeout: u64) -> (tempfile::TempDir, Worker) {
        let dir = tempfile::tempdir().unwrap();
        let exe = dir.path().join("exe");
        std::fs::write(&exe, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&exe, std::fs::Permissions::from_mode(0o755)).unwrap();
        let worker = Worker::new(&exe, Duration::from_millis(timeout));
        (dir, worker)
    }

    #[test]
    fn answers_crashes_and_hangs_are_told_apart() {
        let script = r"while read n i o; do case $n in
            0) printf 'ok\t10\t7\tsame\n';; 1) printf 'fault\tindex 9\n';; 2) kill -SEGV $$;; 3) sleep 5;; 4) printf 'panic\tboom\n';; esac; done";
        let (_dir, mut worker) = worker(script, 2000);
        let mut run = |n| worker.run(n, Path::new("i"), Path::new("o"));
        assert_eq!(run(0), Answer::Ok { micros: 7, differs: false });
        assert_eq!(run(1), Answer::Fault("index 9".into()));
        assert_eq!(run(2), Answer::Crash("the process ended without an answer (segmentation fault or stack overflow)".into()));
        assert_eq!(run(0), Answer::Ok { micros: 7, differs: false });
        assert_eq!(run(3), Answer::Crash("no answer after 2 s".into()));
        assert_eq!(run(4), Answer::Crash("panic: boom".into()));
    }
}
