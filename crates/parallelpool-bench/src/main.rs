//! The benchmark program: `parallelpool-bench run|list|export|state-root`, see docs/benchmarks.md.
//!
//! The same commands stand in the daemon's command line; this one needs no Python and is built with
//! all optimization by `make bench`.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use parallelpool_bench::command;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match command::main(&words) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("parallelpool-bench: {}", problem.text);
            ExitCode::from(problem.exit_code)
        }
    }
}
