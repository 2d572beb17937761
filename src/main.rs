//! Parses, runs, prints the error, exits.

use std::process::ExitCode;

use clap::Parser;
use ringtrace::cli::Cli;
use ringtrace::commands::{Outcome, execute};

fn main() -> ExitCode {
    let cli = Cli::parse();
    // Everything published is renamed into place whole, so there is nothing to undo but what may be large; the next run
    // clears the rest.
    let handler = ctrlc::set_handler(|| {
        eprintln!("interrupted: nothing half-done is in use; the same command starts over");
        ringtrace::store::publish::abandon();
        std::process::exit(130);
    });
    if let Err(error) = handler {
        eprintln!("warning: interrupts are not caught: {error}");
    }
    match execute(cli) {
        Ok(Outcome::Done) => ExitCode::SUCCESS,
        Ok(Outcome::ManyRejects) => ExitCode::from(1),
        Err(error) => {
            eprintln!("error[{}]: {error}", error.code());
            if let Some(help) = error.help() {
                eprintln!("  help: {help}");
            }
            ExitCode::from(error.exit_status())
        }
    }
}
