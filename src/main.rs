//! The command: arguments, exit code, nothing else.

use std::process::ExitCode;

// The allocator of a static C library takes locks and gives little back; this one makes a run a fifth shorter.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

// So that the program is linked anew where the order of its functions has changed.
const _: &[u8] = include_bytes!("functions.ld");

fn main() -> ExitCode {
    istio_operator::cli::main()
}
