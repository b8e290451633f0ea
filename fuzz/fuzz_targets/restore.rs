//! RESTORE on bytes that nobody vouches for.
//!
//! Random bytes never carry a right checksum, so the payload gets its footer here: the whole input is a
//! type's number and a value. It may be refused; it must not panic, hang, or ask for memory that the bytes
//! do not justify. What is read is written again, and must come back as the same value.
#![no_main]

use glasswing::data::ValueLimits;
use glasswing::persist::rdb::{dump, restore, sealed};
use glasswing::store::{Entry, LoadedValue};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let _ = restore(input, &ValueLimits::default(), true);
    let Ok(value) = restore(&sealed(input.to_vec()), &ValueLimits::default(), true) else { return };
    let entry = LoadedValue::into_entry(value);
    for compress in [false, true] {
        let again = restore(&dump(&entry, compress), &ValueLimits::default(), true);
        let again: Entry = again.expect("what was written is read").into_entry();
        assert_eq!(entry.value_type(), again.value_type());
        assert_eq!(entry.as_object().map(|object| object.len()), again.as_object().map(|object| object.len()));
        assert_eq!(entry.encoding(), again.encoding());
    }
});
