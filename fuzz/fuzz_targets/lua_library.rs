//! The libraries of scripts on bytes that nobody vouches for: cmsgpack, cjson and struct.
#![no_main]

use std::cell::RefCell;

use glasswing::script::Bare;
use libfuzzer_sys::fuzz_target;

const MEMORY: usize = 16 << 20;

/// What was read is written, and what was written is read as the same.
const ROUND: &[u8] = br#"
    local kind, bytes, format = ARGV[1], ARGV[2], ARGV[3]
    local function same(a, b, depth)
      if type(a) ~= type(b) then return false end
      -- cjson writes 14 digits of a number.
      if type(a) == 'number' and kind == 'json' and math.abs(a - b) <= 1e-13 * math.abs(a) then return true end
      if type(a) ~= 'table' or depth > 8 then return a == b or a ~= a or depth > 8 end
      for key, value in pairs(a) do
        if key == key and type(key) ~= 'table' and not same(value, b[key], depth + 1) then return false end
      end
      return true
    end
    local function round(read, write, bytes)
      local ok, value = pcall(read, bytes)
      if not ok then return end
      local packed, text = pcall(write, value)
      if not packed then return end
      local again, other = pcall(read, text)
      if not again then return end
      return same(value, other, 0) and 'same' or 'other'
    end
    if kind == 'msgpack' then
      pcall(cmsgpack.unpack_one, bytes)
      pcall(cmsgpack.unpack_limit, bytes, 3, #format)
      return round(cmsgpack.unpack, cmsgpack.pack, bytes)
    elseif kind == 'json' then
      return round(cjson.decode, cjson.encode, bytes)
    end
    pcall(struct.size, format)
    local results = { pcall(struct.unpack, format, bytes) }
    if results[1] then pcall(struct.pack, format, unpack(results, 2, 200)) end
"#;

thread_local! {
    static BARE: RefCell<Option<Bare>> = const { RefCell::new(None) };
}

fuzz_target!(|input: &[u8]| {
    let Some((&first, rest)) = input.split_first() else { return };
    let kind: &[u8] = [&b"msgpack"[..], b"json", b"struct"][usize::from(first % 3)];
    let (format, bytes) = rest.split_at(rest.iter().position(|&byte| byte == b'\n').unwrap_or(0));
    let bytes = if kind == b"struct" { bytes } else { rest };
    BARE.with_borrow_mut(|kept| {
        let bare = kept.get_or_insert_with(|| Bare::new(MEMORY).expect("a state"));
        let reply = bare.run(ROUND, &[kind, bytes, format], true);
        assert_ne!(reply.as_deref(), Ok(b"$5\r\nother\r\n".as_slice()));
        if bare.is_full() {
            *kept = None;
        }
    });
});
