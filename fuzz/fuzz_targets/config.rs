//! Configuration text: no bytes may cause a panic, and what is accepted survives CONFIG REWRITE.
#![no_main]

use glasswing::config::{Settings, check_text, rewrite_text};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &[u8]| {
    let Ok(settings) = check_text(text) else { return };
    // A rewritten file names the folder in full, as a started server does.
    let dir = settings.dir.canonicalize().unwrap_or_else(|_| "/".into());
    let settings = Settings { dir, ..settings };
    let defaults = Settings::default();
    let written = rewrite_text(text, &settings, &defaults, false);
    assert_eq!(check_text(&written).as_ref(), Ok(&settings));
    assert_eq!(rewrite_text(&written, &settings, &defaults, false), written);
});
