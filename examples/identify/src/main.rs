//! Tells the content type of files: `cargo run -q -p identify -- FILE...`, after `cargo xtask fetch-examples`.

#[cfg(fetched)]
mod features;
#[cfg(fetched)]
mod identify;
#[cfg(fetched)]
mod labels;

/// The magika model, compiled by build.rs.
#[cfg(fetched)]
mod network {
    include!(concat!(env!("OUT_DIR"), "/magika.rs"));
}

#[cfg(not(fetched))]
fn main() -> std::process::ExitCode {
    eprintln!("The model is not here yet. `cargo xtask fetch-examples` fetches it; then build again.");
    std::process::ExitCode::FAILURE
}

#[cfg(fetched)]
fn main() -> std::process::ExitCode {
    use std::process::ExitCode;
    let paths: Vec<_> = std::env::args_os().skip(1).map(std::path::PathBuf::from).collect();
    if paths.is_empty() {
        eprintln!("usage: identify FILE...");
        return ExitCode::from(2);
    }
    let mut model = network::Model::new();
    let mut code = ExitCode::SUCCESS;
    for path in &paths {
        match identify::path(&mut model, path) {
            Ok(answer) => println!("{}: {} ({:.1} %)", path.display(), answer.label, answer.score * 100.0),
            Err(error) => {
                eprintln!("error: {}: {error}", path.display());
                code = ExitCode::FAILURE;
            }
        }
    }
    code
}
