//! A sandbox with no server behind it, which is all that a fuzzer needs.

use std::rc::Rc;
use std::sync::Arc;

use mlua::Value;

use crate::clock::Clock;
use crate::config::{Config, Settings};
use crate::resp::{Encoder, Protocol};

use super::convert;
use super::running::{LongRuns, Watch};
use super::sandbox::Sandbox;

/// A state in which code runs; `redis.call` is refused there.
#[derive(Debug)]
pub struct Bare {
    sandbox: Sandbox,
}

impl Bare {
    /// A new state that may hold `memory` bytes.
    ///
    /// # Errors
    /// The words of the Lua library.
    pub fn new(memory: usize) -> Result<Bare, String> {
        let settings = Settings { lua_memory_limit_bytes: memory as u64, ..Settings::default() };
        let watch = Watch::new(Clock::system(), Config::from_settings(settings), Arc::<LongRuns>::default());
        let sandbox = Sandbox::new(Rc::new(watch), Arc::default()).map_err(|error| error.to_string())?;
        Ok(Bare { sandbox })
    }

    /// Compiles and runs `code` with `ARGV` set, and gives its reply. With `to_end` it is code that is known to end;
    /// other code is stopped at the next look at the time, which comes every so many instructions of all runs.
    ///
    /// # Errors
    /// What is wrong with the code, or with what it did.
    pub fn run(&self, code: &[u8], arguments: &[&[u8]], to_end: bool) -> Result<Vec<u8>, String> {
        let function = self.sandbox.compile(code, "@user_script")?;
        let told = |error: mlua::Error| error.to_string();
        let lua = &self.sandbox.lua;
        let arguments = lua.create_sequence_from(arguments.iter().map(|word| bstr::BStr::new(*word)));
        self.sandbox.base.raw_set("ARGV", arguments.map_err(told)?).map_err(told)?;
        let watch = &self.sandbox.watch;
        watch.begin("bare", false, false);
        // Nobody would kill it.
        watch.on_trial.set(!to_end);
        let ended = self.sandbox.call(&function, None);
        watch.end();
        let value = ended.map_err(|error| match &error {
            Value::Table(table) => {
                format!("{:?}", table.raw_get::<Value>("err").map(|text| text.to_string()))
            }
            other => format!("{other:?}"),
        })?;
        let mut out = Encoder::new(Protocol::Resp3);
        convert::to_reply(&value, &mut out, true).map_err(told)?;
        Ok(out.into_vec())
    }

    /// Whether it holds so much for good that it had better be thrown away.
    pub fn is_full(&self) -> bool {
        self.sandbox.is_full()
    }

    /// Bytes that it holds.
    pub fn held(&self) -> usize {
        self.sandbox.lua.used_memory()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_runs_and_ends() {
        let bare = Bare::new(1 << 20).expect("a state");
        assert_eq!(bare.run(b"return #ARGV[1] + 1", &[b"four"], false), Ok(b":5\r\n".to_vec()));
        assert!(bare.run(b"while true do end", &[], false).is_err());
        assert!(bare.run(b"while true do pcall(function() while true do end end) end", &[], false).is_err());
        assert!(bare.run(b"return redis.call('PING')", &[], false).is_err());
        assert!(bare.run(b"return string.rep('x', 2 ^ 30)", &[], false).is_err());
        assert_eq!(bare.run(b"return {1, 'a'}", &[], false), Ok(b"*2\r\n:1\r\n$1\r\na\r\n".to_vec()));
    }
}
