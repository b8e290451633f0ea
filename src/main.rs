//! The `glasswing` program: configuration, runtime, exit code, nothing else.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    glasswing::app::run(std::env::args_os().skip(1).collect())
}
