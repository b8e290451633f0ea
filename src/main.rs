//! The `glasswing` program: configuration, runtime, exit code, nothing else.

fn main() {}
