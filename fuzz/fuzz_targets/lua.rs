//! Scripts: whatever the code, it ends, keeps to its memory, and leaves the sandbox as it found it.
#![no_main]

use std::cell::RefCell;

use glasswing::script::Bare;
use libfuzzer_sys::fuzz_target;

/// What a state may hold, and what may be beside it: the limit is lifted for a few kilobytes at a time.
const MEMORY: usize = 4 << 20;
const BESIDE: usize = 1 << 20;

/// Says "closed" where nothing is writable that all scripts share, and nothing is there that leads out.
const CANARY: &[u8] = br#"
    for _, name in ipairs({ 'os', 'io', 'debug', 'require', 'package', 'dofile', 'loadfile', 'module', 'jit', 'x' }) do
      if pcall(function() return _G[name] .. '' end) then return 'open: ' .. name end
      if pcall(function() _G[name] = 1 end) then return 'writable: ' .. name end
    end
    for _, of in ipairs({ redis, string, table, math, cjson, cmsgpack, struct, bit }) do
      if pcall(function() of.x = 1 end) then return 'writable' end
    end
    local text = ('x'):rep(3) .. table.concat({ 1, 2 }) .. math.floor(1.5) .. redis.sha1hex('')
    if text ~= 'xxx121da39a3ee5e6b4b0d3255bfef95601890afd80709' then return text end
    return 'closed'
"#;

thread_local! {
    static BARE: RefCell<Option<Bare>> = const { RefCell::new(None) };
}

fuzz_target!(|code: &[u8]| {
    BARE.with_borrow_mut(|kept| {
        let bare = kept.get_or_insert_with(|| Bare::new(MEMORY).expect("a state"));
        let _ = bare.run(code, &[b"one", b"2"], false);
        assert!(bare.held() <= MEMORY + BESIDE, "{} bytes are held", bare.held());
        if bare.is_full() {
            *kept = None;
            return;
        }
        assert_eq!(bare.run(CANARY, &[], true).as_deref(), Ok(b"$6\r\nclosed\r\n".as_slice()));
    });
});
