//! The pure parts of the side-by-side benchmark, tested here because a bench without a harness
//! runs no tests of its own.
#![allow(dead_code, reason = "the benchmark itself uses what these tests do not")]

#[path = "../benches/compare/acceptance.rs"]
mod acceptance;
#[path = "../benches/compare/batch.rs"]
mod batch;
#[path = "../benches/compare/parse.rs"]
mod parse;
#[path = "../benches/compare/resp.rs"]
mod resp;
#[path = "../benches/compare/stats.rs"]
mod stats;

type Failure = Box<dyn std::error::Error + Send + Sync>;
type Outcome<T> = Result<T, Failure>;
