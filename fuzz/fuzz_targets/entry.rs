//! The entry's layout (`src/store/entry.rs`, unsafe code) driven by bytes beside a plain model.
//!
//! The input is a list of operations on four entries. After each one the entry must hold what
//! the model holds. Run under AddressSanitizer, which sees what a comparison cannot: a byte
//! read past an allocation, a value freed twice, an allocation given back with another size.

#![no_main]

use glasswing::data::list::{List, NodeLimit};
use glasswing::store::{Entry, EntryKind, MAX_INLINE, Meta, Object, Str, size_class};
use libfuzzer_sys::fuzz_target;

/// Lengths around every border of the layout; other lengths come from a byte.
const BORDERS: [usize; 12] = [0, 8, 44, 45, 120, 128, 254, 255, 256, 1024, MAX_INLINE, MAX_INLINE + 1];

fuzz_target!(|data: &[u8]| {
    let mut input = Input(data);
    let mut slots: [Option<(Entry, Model)>; 4] = Default::default();
    while let Some(operation) = input.byte() {
        let slot = &mut slots[usize::from(operation >> 6)];
        *slot = match slot.take() {
            None => Some(create(operation, &mut input)),
            Some((entry, model)) => change(operation & 63, entry, model, &mut input),
        };
        if let Some((entry, model)) = slot {
            check(entry, model);
        }
    }
});

/// What an entry holds, in types that cannot go wrong.
#[derive(Clone)]
struct Model {
    key: Vec<u8>,
    value: Value,
    meta: Meta,
}

#[derive(Clone)]
enum Value {
    Int(i64),
    Bytes(Vec<u8>),
    List(Vec<Vec<u8>>),
}

struct Input<'a>(&'a [u8]);

impl Input<'_> {
    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    fn small(&mut self) -> u8 {
        self.byte().unwrap_or(0)
    }

    fn number(&mut self) -> u64 {
        (0..8).fold(0, |number, _| number << 8 | u64::from(self.small()))
    }

    /// Bytes of a length that the next byte chooses, filled from the one behind it.
    fn bytes(&mut self, allow_long: bool) -> Vec<u8> {
        let choice = usize::from(self.small());
        let len = match choice.checked_sub(256 - BORDERS.len()) {
            Some(border) if allow_long || BORDERS[border] <= 1024 => BORDERS[border],
            _ => choice,
        };
        let fill = self.small();
        // Alike in the middle, which is quick to make; every place near an end is another.
        let mut bytes = vec![fill; len];
        for at in 0..len.min(64) {
            bytes[at] = fill.wrapping_add(at as u8);
            bytes[len - 1 - at] = fill.wrapping_sub(at as u8);
        }
        bytes
    }

    fn expiry(&mut self) -> Option<u64> {
        match self.small() {
            0..128 => None,
            _ => Some(self.number()),
        }
    }

    fn meta(&mut self) -> Meta {
        let expire_at_ms = self.expiry();
        Meta { expire_at_ms, lru: self.number() as u32 & 0xff_ffff, epoch: self.small() % 8 }
    }
}

fn create(operation: u8, input: &mut Input<'_>) -> (Entry, Model) {
    let (key, meta) = (input.bytes(false), input.meta());
    let (entry, value) = match operation % 5 {
        0 => {
            let bytes = input.bytes(true);
            (Entry::string(&key, Str::Bytes(&bytes), meta), Value::Bytes(bytes))
        }
        1 => {
            let number = input.number() as i64;
            (Entry::string(&key, Str::Int(number), meta), Value::Int(number))
        }
        2 => {
            let bytes = input.bytes(true);
            (Entry::large(&key, bytes.clone(), meta), Value::Bytes(bytes))
        }
        3 => {
            let mut bytes = input.bytes(true);
            let start = bytes.clone();
            bytes.resize(bytes.len() + usize::from(input.small()), 0);
            (Entry::padded(&key, &start, bytes.len(), meta), Value::Bytes(bytes))
        }
        _ => {
            let mut elements = List::default();
            let first = input.bytes(false);
            elements.push_back(&first, NodeLimit::default());
            (Entry::object(&key, Object::List(elements), meta), Value::List(vec![first]))
        }
    };
    (entry, Model { key, value, meta })
}

fn change(
    operation: u8,
    mut entry: Entry,
    mut model: Model,
    input: &mut Input<'_>,
) -> Option<(Entry, Model)> {
    match operation % 16 {
        0 => return None,
        1 => {
            let number = input.number() as i64;
            let is_int = matches!(model.value, Value::Int(_));
            assert_eq!(entry.set_int(number), is_int);
            if is_int {
                model.value = Value::Int(number);
            }
        }
        2 | 3 => {
            let bytes = input.bytes(true);
            let before = (entry.kind(), entry.allocated());
            if entry.overwrite_inline(&bytes) {
                assert_eq!((entry.kind(), entry.allocated()), before);
                model.value = Value::Bytes(bytes);
            }
        }
        4 => grow(&mut entry, &mut model, input),
        5 => {
            let fill = input.small();
            if let Some(bytes) = entry.inline_bytes_mut() {
                bytes.fill(fill);
                let len = bytes.len();
                model.value = Value::Bytes(vec![fill; len]);
            }
        }
        6 => {
            let at = input.number();
            if entry.set_expiry_in_place(at) {
                model.meta.expire_at_ms = Some(at);
            } else {
                assert_eq!(model.meta.expire_at_ms, None);
            }
        }
        7 => {
            model.meta.expire_at_ms = input.expiry();
            entry = entry.with_expiry(model.meta.expire_at_ms);
        }
        8 => {
            model.key = input.bytes(false);
            model.meta.expire_at_ms = input.expiry();
            entry = entry.rekeyed(&model.key, model.meta.expire_at_ms);
        }
        9 => {
            // The original must not share anything with its copy.
            let (key, meta) = (input.bytes(false), input.meta());
            let copy = entry.duplicate(&key, meta);
            check(&entry, &model);
            (entry, model) = (copy, Model { key, meta, value: model.value });
        }
        10 => {
            model.meta.lru = input.number() as u32 & 0xff_ffff;
            entry.set_lru(model.meta.lru);
        }
        11 => {
            model.meta.epoch = input.small() % 8;
            entry.set_epoch(model.meta.epoch);
        }
        12 => entry.mark_raw(),
        13 => {
            let more = input.bytes(false);
            if let Some(bytes) = entry.large_mut() {
                bytes.extend_from_slice(&more);
                let Value::Bytes(known) = &mut model.value else { panic!("a large entry is a string") };
                known.extend_from_slice(&more);
            }
        }
        _ => push_or_pop(&mut entry, &mut model, input),
    }
    Some((entry, model))
}

fn grow(entry: &mut Entry, model: &mut Model, input: &mut Input<'_>) {
    let Value::Bytes(bytes) = &mut model.value else {
        assert!(!entry.grow_inline(usize::from(input.small())));
        return;
    };
    let len = bytes.len() + usize::from(input.small());
    if entry.grow_inline(len) {
        bytes.resize(len, 0);
    }
}

fn push_or_pop(entry: &mut Entry, model: &mut Model, input: &mut Input<'_>) {
    let element = input.bytes(false);
    let Some(Object::List(list)) = entry.as_object_mut() else { return };
    let Value::List(known) = &mut model.value else { panic!("a collection is a list here") };
    if element.len() % 3 == 0 {
        assert_eq!(list.pop_front(), if known.is_empty() { None } else { Some(known.remove(0)) });
    } else {
        list.push_back(&element, NodeLimit::default());
        known.push(element);
    }
}

fn check(entry: &Entry, model: &Model) {
    assert_eq!(entry.key(), model.key);
    assert_eq!(entry.meta(), model.meta);
    assert_eq!(entry.allocated(), size_class(entry.allocated()), "a size class is its own class");
    assert!(entry.memory_usage() >= entry.allocated());
    let _ = (entry.encoding(), entry.value_type());
    match (&model.value, entry.as_str(), entry.as_object()) {
        (Value::Int(number), Some(Str::Int(found)), None) => assert_eq!(found, *number),
        (Value::Bytes(bytes), Some(Str::Bytes(found)), None) => {
            assert_eq!(found, bytes);
            assert!(entry.kind() == EntryKind::Large || bytes.len() <= MAX_INLINE);
        }
        (Value::List(known), None, Some(Object::List(list))) => {
            assert!(list.iter().eq(known.iter().map(Vec::as_slice)));
        }
        _ => panic!("an entry of another kind than the model's"),
    }
}
