//! The command: arguments, exit code, nothing else.

use std::process::ExitCode;

// The allocator of a static C library takes locks and gives little back; this one makes a run a fifth shorter.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    istio_operator::cli::main()
}
