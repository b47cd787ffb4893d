//! The command: arguments, exit code, nothing else.

use std::process::ExitCode;

fn main() -> ExitCode {
    istio_operator::cli::main()
}
