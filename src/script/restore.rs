//! FUNCTION RESTORE: several libraries at once, or none.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::command::CommandError;
use crate::command::ports::{Library, RestoreLibraries};

use super::engine::ScriptEngine;
use super::functions::{self, Kept, shown};
use super::shebang;

impl ScriptEngine {
    /// Loads all libraries, then puts them in place together.
    pub(super) fn restore(&self, codes: &[Vec<u8>], how: RestoreLibraries) -> Result<(), CommandError> {
        let own = self.functions()?;
        let mut restored: BTreeMap<String, Kept> = BTreeMap::new();
        for code in codes {
            let (name, _) = shebang::of_library(code).map_err(CommandError::err)?;
            let loaded = own.load(code)?;
            let id = self.libraries.next.fetch_add(1, Ordering::Relaxed);
            let library = Library { name: name.clone(), code: code.clone(), functions: shown(&loaded) };
            if restored.insert(name.clone(), Kept { id, library: Arc::new(library) }).is_some() {
                return Err(CommandError::err(format_args!("Library '{name}' already exists")));
            }
        }
        let mut all = self.libraries.lock();
        let mut together = if how == RestoreLibraries::Flush { BTreeMap::new() } else { all.clone() };
        for (name, kept) in restored {
            if together.insert(name.clone(), kept).is_some() && how == RestoreLibraries::Append {
                return Err(CommandError::err(format_args!("Library {name} already exists")));
            }
        }
        let mut names: Vec<String> = together
            .values()
            .flat_map(|kept| kept.library.functions.iter().map(|function| functions::folded(&function.name)))
            .collect();
        names.sort_unstable();
        if let Some(twice) = names.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(CommandError::err(format_args!("Function {} already exists", twice[0])));
        }
        *all = together;
        drop(all);
        self.libraries.changed();
        own.sandbox.measure();
        Ok(())
    }
}
