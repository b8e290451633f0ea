//! Scripts and functions: the rows, and the way to what runs them, [`crate::command::ports::Scripts`].

mod eval;
mod function;
mod script;

use super::Command;

/// EVAL, EVALSHA, FCALL and their read-only forms, SCRIPT and FUNCTION.
pub static COMMANDS: &[Command] = &[
    eval::EVAL,
    eval::EVAL_RO,
    eval::EVALSHA,
    eval::EVALSHA_RO,
    eval::FCALL,
    eval::FCALL_RO,
    function::FUNCTION,
    script::SCRIPT,
];
