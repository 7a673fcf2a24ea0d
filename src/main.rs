//! The `glanced` program: a table of contents.

use std::process::ExitCode;

use clap::Parser;
use glanced::cli::Cli;

fn main() -> ExitCode {
    // Unless this is set before it is loaded, ONNX Runtime reports to its makers over the network how it is used.
    // SAFETY: there is no other thread yet that could read the environment.
    unsafe { std::env::set_var("ORT_DISABLE_TELEMETRY", "1") };
    let cli = Cli::parse();
    match glanced::execute(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            #[expect(clippy::print_stderr, reason = "the last word of a command that failed; logging may not be up")]
            if !failure.is_quiet() {
                eprintln!("glanced: {failure}");
            }
            ExitCode::from(failure.code())
        }
    }
}
