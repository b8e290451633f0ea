//! pprof's `Profile` message, as `go tool pprof` and what is built on it read it.
//!
//! The form is that of `profile.proto` in github.com/google/pprof; a field that nothing here has is left out. All texts
//! stand once in a table and are named by their place, the first being empty.

use std::collections::HashMap;

use prost::Message;

use super::Profile;

/// Nanoseconds in a second.
const SECOND_NS: u64 = 1_000_000_000;

#[derive(Clone, PartialEq, Message)]
struct ProfileMessage {
    #[prost(message, repeated, tag = "1")]
    sample_type: Vec<ValueType>,
    #[prost(message, repeated, tag = "2")]
    sample: Vec<Sample>,
    #[prost(message, repeated, tag = "3")]
    mapping: Vec<Mapping>,
    #[prost(message, repeated, tag = "4")]
    location: Vec<Location>,
    #[prost(message, repeated, tag = "5")]
    function: Vec<Function>,
    #[prost(string, repeated, tag = "6")]
    string_table: Vec<String>,
    #[prost(int64, tag = "9")]
    time_nanos: i64,
    #[prost(int64, tag = "10")]
    duration_nanos: i64,
    #[prost(message, optional, tag = "11")]
    period_type: Option<ValueType>,
    #[prost(int64, tag = "12")]
    period: i64,
}

#[derive(Clone, Copy, PartialEq, Message)]
struct ValueType {
    #[prost(int64, tag = "1")]
    kind: i64,
    #[prost(int64, tag = "2")]
    unit: i64,
}

#[derive(Clone, PartialEq, Message)]
struct Sample {
    #[prost(uint64, repeated, tag = "1")]
    location_id: Vec<u64>,
    #[prost(int64, repeated, tag = "2")]
    value: Vec<i64>,
    #[prost(message, repeated, tag = "3")]
    label: Vec<Label>,
}

#[derive(Clone, Copy, PartialEq, Message)]
struct Label {
    #[prost(int64, tag = "1")]
    key: i64,
    #[prost(int64, tag = "2")]
    text: i64,
}

#[derive(Clone, Copy, PartialEq, Message)]
struct Mapping {
    #[prost(uint64, tag = "1")]
    id: u64,
    #[prost(uint64, tag = "2")]
    memory_start: u64,
    #[prost(uint64, tag = "3")]
    memory_limit: u64,
    #[prost(uint64, tag = "4")]
    file_offset: u64,
    #[prost(int64, tag = "5")]
    filename: i64,
    #[prost(bool, tag = "7")]
    has_functions: bool,
    #[prost(bool, tag = "8")]
    has_filenames: bool,
    #[prost(bool, tag = "9")]
    has_line_numbers: bool,
    #[prost(bool, tag = "10")]
    has_inline_frames: bool,
}

#[derive(Clone, PartialEq, Message)]
struct Location {
    #[prost(uint64, tag = "1")]
    id: u64,
    #[prost(uint64, tag = "2")]
    mapping_id: u64,
    #[prost(uint64, tag = "3")]
    address: u64,
    #[prost(message, repeated, tag = "4")]
    line: Vec<Line>,
}

#[derive(Clone, Copy, PartialEq, Message)]
struct Line {
    #[prost(uint64, tag = "1")]
    function_id: u64,
    #[prost(int64, tag = "2")]
    line: i64,
}

#[derive(Clone, Copy, PartialEq, Message)]
struct Function {
    #[prost(uint64, tag = "1")]
    id: u64,
    #[prost(int64, tag = "2")]
    name: i64,
    #[prost(int64, tag = "3")]
    system_name: i64,
    #[prost(int64, tag = "4")]
    filename: i64,
}

/// Texts, each once.
struct Texts<'a> {
    table: Vec<&'a str>,
    places: HashMap<&'a str, i64>,
}

impl<'a> Texts<'a> {
    fn place(&mut self, text: &'a str) -> i64 {
        let next = self.table.len() as i64;
        *self.places.entry(text).or_insert_with(|| {
            self.table.push(text);
            next
        })
    }
}

/// The message as bytes.
pub(super) fn message(profile: &Profile) -> Vec<u8> {
    let mut texts = Texts { table: vec![""], places: HashMap::from([("", 0)]) };
    let count = ValueType { kind: texts.place("samples"), unit: texts.place("count") };
    let time = ValueType { kind: texts.place("cpu"), unit: texts.place("nanoseconds") };
    // What a sample stands for in truth; the kernel's ticks may allow fewer than were asked for.
    let period_ns = match profile.samples {
        0 => SECOND_NS / u64::from(profile.hz.max(1)),
        samples => profile.cpu_ns / samples,
    };
    let mut made = ProfileMessage {
        sample_type: vec![count, time],
        time_nanos: int(profile.begun_unix_ms.saturating_mul(1_000_000)),
        duration_nanos: int(profile.time_ns),
        period_type: Some(time),
        period: int(period_ns),
        ..ProfileMessage::default()
    };
    for (at, mapped) in profile.modules.iter().enumerate() {
        made.mapping.push(Mapping {
            id: at as u64 + 1,
            memory_start: mapped.range.start,
            memory_limit: mapped.range.end,
            file_offset: mapped.offset,
            filename: texts.place(&mapped.name),
            has_functions: true,
            has_filenames: true,
            has_line_numbers: true,
            has_inline_frames: true,
        });
    }
    let mut functions = HashMap::new();
    let mut locations = HashMap::new();
    for (at, (address, calls)) in profile.calls.iter().enumerate() {
        let line = calls.iter().map(|call| {
            let next = made.function.len() as u64 + 1;
            let function_id = *functions.entry((&call.function, &call.file)).or_insert_with(|| {
                let name = texts.place(&call.function);
                let filename = texts.place(&call.file);
                made.function.push(Function { id: next, name, system_name: name, filename });
                next
            });
            Line { function_id, line: i64::from(call.line) }
        });
        let line = line.collect();
        let mapped = profile.modules.iter().position(|mapped| mapped.range.contains(address));
        let id = at as u64 + 1;
        locations.insert(*address, id);
        let mapping_id = mapped.map_or(0, |at| at as u64 + 1);
        made.location.push(Location { id, mapping_id, address: *address, line });
    }
    let key = texts.place("thread");
    for (stack, samples) in &profile.stacks {
        let location_id = stack.addresses.iter().filter_map(|address| locations.get(address)).copied();
        made.sample.push(Sample {
            location_id: location_id.collect(),
            value: vec![int(*samples), int(samples.saturating_mul(period_ns))],
            label: vec![Label { key, text: texts.place(profile.thread_name(stack.thread)) }],
        });
    }
    made.string_table = texts.table.into_iter().map(str::to_owned).collect();
    made.encode_to_vec()
}

fn int(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
