//! The `glanced` program: a table of contents.

use std::process::ExitCode;

use clap::Parser;
use glanced::cli::Cli;

fn main() -> ExitCode {
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
