//! Whole RDB files from anybody.
//!
//! The first byte chooses the version. The input may be refused; it must not panic, hang, or ask for memory that
//! the bytes do not justify.
#![no_main]

use glasswing::data::ValueLimits;
use glasswing::persist::progress::Progress;
use glasswing::persist::rdb::file::{Options, read};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Some((&version, rest)) = input.split_first() else { return };
    let mut bytes = format!("REDIS{:04}", 1 + version % 12).into_bytes();
    bytes.extend_from_slice(rest);
    let options = Options { threads: 1, limits: ValueLimits::default(), checksum: version & 0x80 != 0 };
    let progress = Progress::new(Box::new(|| 0));
    let mut source = bytes.as_slice();
    if let Ok(contents) = read(&mut source, &options, &progress, &mut |_| {}, &|_| Ok(())) {
        assert!(contents.bytes <= bytes.len() as u64);
    }
});
