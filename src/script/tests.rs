//! Scripts run against a keyspace: what the sandbox keeps in, what a script leaves behind.

use super::ScriptEngine;
use crate::command::testing::Bench;
use crate::config::Settings;

fn bench() -> Bench {
    let bench = Bench::new();
    let engine = ScriptEngine::new(bench.clock.clone(), bench.server.config.clone());
    assert!(bench.server.scripts.set(Box::new(engine)).is_ok());
    bench
}

fn eval(bench: &mut Bench, script: &str) -> String {
    let reply = bench.raw(&[b"EVAL", script.as_bytes(), b"0"]);
    String::from_utf8_lossy(&reply).into_owned()
}

#[test]
fn a_state_of_forgotten_scripts_is_freed_when_its_worker_tidies() {
    use crate::command::ports::Scripts;
    let (clock, config) =
        (crate::clock::Clock::manual(), crate::config::Config::from_settings(Settings::default()));
    let engine = ScriptEngine::new(clock, config);
    engine.load_script(b"return 1").expect("it compiles");
    let held = || engine.figures().script_state_bytes;
    assert!(held() > 0);
    engine.tidy();
    assert!(held() > 0, "nothing is forgotten");
    engine.flush_scripts();
    engine.tidy();
    assert_eq!(held(), 0);
}

#[test]
fn the_known_ways_out_are_closed() {
    const READONLY: &str = "Attempt to modify a readonly table";
    let mut bench = bench();
    for (script, refusal) in [
        ("setmetatable(_G, {})", READONLY),
        ("getmetatable(_G).__index = {}", READONLY),
        ("redis.call = function() return 1 end", READONLY),
        ("_G = {}", READONLY),
        ("string.format = nil", READONLY),
        ("getmetatable('').__index = 1", READONLY),
        ("rawset(cjson, 'encode', 1)", READONLY),
        ("table.insert(redis, 1)", READONLY),
        ("table.remove(redis)", READONLY),
        ("table.sort(redis)", READONLY),
        ("x = 1", READONLY),
        ("setmetatable(redis, nil)", READONLY),
        ("getmetatable(redis).__index = {}", "attempt to index a nil value"),
        ("getmetatable(nil).__index = 1", "attempt to index a nil value"),
        ("return os.time()", "nonexistent global variable 'os'"),
        ("return io.open('/etc/passwd')", "nonexistent global variable 'io'"),
        ("return require('os')", "nonexistent global variable 'require'"),
        ("return debug.getinfo(1)", "nonexistent global variable 'debug'"),
        ("return dofile('x')", "nonexistent global variable 'dofile'"),
        ("return loadfile('x')", "nonexistent global variable 'loadfile'"),
        ("return getfenv(0)", "nonexistent global variable 'getfenv'"),
        ("return newproxy()", "nonexistent global variable 'newproxy'"),
        ("return loadstring('return os')()", "nonexistent global variable 'os'"),
        ("return loadstring(string.dump(function() end))()", "attempt to call a nil value"),
        ("return load(function() return nil end)() + os", "nonexistent global variable 'os'"),
    ] {
        let reply = eval(&mut bench, script);
        assert!(reply.starts_with('-') && reply.contains(refusal), "{script}: {reply}");
    }
    // Whatever pairs hands out is a copy.
    let script = "local _, seen = pairs(redis) seen.call = nil return redis.call('PING')";
    assert_eq!(eval(&mut bench, script), "+PONG\r\n");
    assert_eq!(eval(&mut bench, "return redis.call('PING')"), "+PONG\r\n");
}

#[test]
fn what_redis_gave_up_is_there_on_request_and_stays_inside() {
    let settings = Settings { lua_enable_deprecated_api: true, ..Settings::default() };
    let mut bench = Bench::with(settings, None);
    let engine = ScriptEngine::new(bench.clock.clone(), bench.server.config.clone());
    assert!(bench.server.scripts.set(Box::new(engine)).is_ok());
    for (script, reply) in [
        ("local function f() return x end setfenv(f, {x = 7}) return f()", ":7\r\n"),
        ("local t = {y = 5} setfenv(1, t) return y", ":5\r\n"),
        ("return getfenv(1) == _G and getfenv() == _G and getfenv(0) == _G and 1", ":1\r\n"),
        ("getmetatable(newproxy(true)).__gc = function() return 1 end return 0", ":0\r\n"),
        ("local p = newproxy(true) getmetatable(p).__len = function() return 3 end return #p", ":3\r\n"),
        ("local p = newproxy(true) return getmetatable(newproxy(p)) == getmetatable(p) and 1", ":1\r\n"),
        // Not one of these shows the world outside of the sandbox.
        (
            "return getfenv(pcall) == _G and getfenv(redis.call) == _G and getfenv(getfenv) == _G and 1",
            ":1\r\n",
        ),
        (
            "for level = 1, 12 do \
                local ok, seen = pcall(function() local seen = getfenv(level) return seen end) \
                assert(not ok or seen == _G) \
            end return 1",
            ":1\r\n",
        ),
        ("return pcall(getfenv, 1) and 1", ":1\r\n"),
    ] {
        assert_eq!(eval(&mut bench, script), reply, "{script}");
    }
    for script in [
        "setfenv(pcall, {})",
        "setfenv(0, {})",
        "setfenv(redis.call, {})",
        "setfenv(2, {})",
        "setfenv(3, {})",
    ] {
        let reply = eval(&mut bench, script);
        assert!(reply.contains("'setfenv' cannot change environment of given object"), "{script}: {reply}");
    }
    assert!(eval(&mut bench, "getfenv(1).x = 1").contains("Attempt to modify a readonly table"));
    // A finalizer is kept, and never run.
    let script = "local runs = 0 \
        for _ = 1, 100 do getmetatable(newproxy(true)).__gc = function() runs = runs + 1 end end \
        collectgarbage() return runs";
    assert_eq!(eval(&mut bench, script), ":0\r\n");
}

#[test]
fn a_set_that_is_not_sorted_comes_in_order() {
    let mut bench = bench();
    assert_eq!(bench.line("SADD set b d aa c a"), "(integer) 5");
    let script = "return table.concat(redis.call('SORT', 'set', 'BY', '_'), ',')";
    assert_eq!(eval(&mut bench, script), "$10\r\na,aa,b,c,d\r\n");
}

#[test]
fn as_many_results_as_lua_can() {
    let script = "local a = {} for i = 1, 7999 do a[i] = 1 end return select('#', unpack(a))";
    assert_eq!(eval(&mut bench(), script), ":7999\r\n");
}

#[test]
fn published_escapes_and_crashes_come_to_nothing() {
    const PLACE: &str = "user_script:1: ";
    let (mut bench, mut wrong) = (bench(), Vec::new());
    assert_eq!(bench.line("CONFIG SET lua-memory-limit 32mb"), "OK");
    for (script, refusal) in [
        // CVE-2025-46817: a range whose length does not fit an int.
        ("return {unpack({1, 2, 3}, -2, 2147483647)}", "too many results to unpack"),
        ("return {unpack({1, 2, 3}, 0, 2147483647)}", "too many results to unpack"),
        ("return {unpack({1, 2, 3}, -2147483648, -2)}", "too many results to unpack"),
        ("return {unpack({1, 2, 3}, 1, 1e300)}", "*0"),
        ("return {unpack({1, 2, 3}, 2147483646, 2147483647)}", "*0"),
        ("return #{unpack({1, 2, 3}, '2', '3')}", ":2"),
        ("return {unpack(5)}", "bad argument #1 to 'unpack' (table expected, got number)"),
        // Calls in one another by a pattern, by functions, by an error's handler, by tables.
        ("return string.find(string.rep('a', 1e6), string.rep('a?', 1e6))", "pattern too complex"),
        ("return ('x'):gsub(string.rep('(', 1e5), '')", "pattern too complex"),
        ("local function f() return f() + 1 end return f()", "stack overflow"),
        ("return xpcall(error, function(e) error(e) end)", ""),
        (
            "local t = {} t = setmetatable(t, {__index = function(t, k) return t[k] end}) return t.x",
            "stack overflow",
        ),
        ("local t = {} setmetatable(t, {__tostring = tostring}) return tostring(t)", "stack overflow"),
        (
            "local f = coroutine.wrap(function() end) local function g(n) return coroutine.wrap(g)(n + 1) end return g(1)",
            "C stack overflow",
        ),
        ("local s = 'return 1' for i = 1, 300 do s = '(' .. s end return loadstring(s)", "$-1"),
        (
            "return loadstring('return ' .. string.rep('(', 1e5) .. string.rep(')', 1e5))()",
            "attempt to call a nil value",
        ),
        // Memory: one string, many, a format, a buffer.
        ("return #string.rep('x', 2^30)", "not enough memory"),
        ("local s = 'x' while true do s = s .. s end", "not enough memory"),
        ("local t = {} for i = 1, 1e9 do t[i] = string.rep('x', 1e6) .. i end", "not enough memory"),
        ("return string.format('%999d', 1)", "invalid format"),
        ("return string.format('%s', string.rep('x', 100)):len()", ":100"),
        ("return struct.pack('c2147483647', 'x')", "string too short"),
        ("return struct.pack(string.rep('!8 i8', 1e5), 1)", ""),
        ("return struct.size('c2147483647c2147483647c2147483647')", ":"),
        ("return struct.unpack('c0', 'x', 2147483648)", ""),
        ("return struct.unpack('>I4', 'xxxx', 4294967297)", "data string too short"),
        ("return struct.pack('i33', 1)", "integral size 33 is larger than limit of 32"),
        ("return struct.pack('!3 i', 1)", "alignment 3 is not a power of 2"),
        // CVE-2024-31449: a width of which there is no absolute value.
        ("return bit.tohex(65535, -2147483648)", "0000FFFF"),
        ("return cmsgpack.unpack('\\221\\255\\255\\255\\255')", ""),
        ("return cmsgpack.unpack('\\221\\255\\255\\255\\255\\192')", "Missing bytes in input."),
        ("return cmsgpack.unpack('\\219\\255\\255\\255\\255')", "Missing bytes in input."),
        ("return cmsgpack.unpack_limit('\\1', -1, 0)", ""),
        ("return cmsgpack.unpack_one('\\1', 4294967296)", ""),
        ("return cjson.encode(setmetatable({}, {__index = function() error('no') end}))", "{}"),
        // CVE-2022-24735, -24736: what one script leaves for the next, and a call of what is nothing.
        ("local m = getmetatable(_G) m.__index = nil", "readonly table"),
        ("getmetatable(getmetatable('')).__index = {}", "attempt to index a nil value"),
        ("getmetatable('').__index.len = nil", "readonly table"),
        ("string.len = nil", "readonly table"),
        ("return loadstring('\\27Lua')()", "attempt to call a nil value"),
        ("return load(function() return string.dump(function() end) end)()", "not enough memory"),
        ("return getmetatable(coroutine.create(function() end)).__gc", "attempt to index a nil value"),
        ("return rawget(_G, 'os')", "$-1"),
        ("return next(_G) and rawequal(_G, _G._G)", ":1"),
        ("return {pcall(rawset, _G, 'x', 1)}", "readonly table"),
        ("return {pcall(table.insert, _G, 1)}", "readonly table"),
        ("setmetatable(_G, {__index = {}})", "readonly table"),
        // CVE-2025-49844: the name of a chunk that is being parsed, while memory is collected.
        (
            "for i = 1, 2000 do local f = loadstring('local a = {' .. string.rep('\"' .. i .. '\",', 100) .. '} return a', 'name' .. i) \
             collectgarbage() if #f() ~= 100 then return i end end return 'all'",
            "all",
        ),
        // CVE-2024-46981: collection forced in the middle of things.
        (
            "for i = 1, 200 do local c = coroutine.wrap(function() local t = {} coroutine.yield(t) end) c() c = nil collectgarbage() end return 7",
            ":7",
        ),
    ] {
        let reply = eval(&mut bench, script);
        if !reply.contains(refusal) {
            wrong.push(format!("{script}: {}", &reply[..reply.len().min(200)]));
        }
        assert_eq!(eval(&mut bench, "return redis.call('PING')"), "+PONG\r\n", "after {script}");
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let reply = eval(&mut bench, "local at = string.find('a', '[') return at");
    assert!(reply.contains(PLACE) && reply.contains("malformed pattern"), "{reply}");
}

#[test]
fn errors_are_tables_and_strings_where_redis_has_them() {
    let mut bench = bench();
    bench.line("SET k v");
    assert_eq!(
        bench.line("EVAL \"return redis.call('INCR','k')\" 0"),
        "(error) ERR value is not an integer or out of range script: \
         4a6e19767a57fc4f55ac0de4e5f4bb8cc0a4fc29, on @user_script:1."
            .replace("4a6e19767a57fc4f55ac0de4e5f4bb8cc0a4fc29", &sha("return redis.call('INCR','k')")),
    );
    let script = "local ok, why = pcall(redis.call, 'INCR', 'k') return why";
    assert!(eval(&mut bench, script).contains("ERR value is not an integer"));
    let script = "return redis.pcall('INCR', 'k').err";
    assert!(eval(&mut bench, script).contains("ERR value is not an integer"));
    let script = "return {xpcall(function() redis.call('INCR','k') end, function(e) return e.err end)}";
    assert!(eval(&mut bench, script).contains("ERR value is not an integer"));
    let script = "local c = coroutine.create(function() redis.call('INCR','k') end) \
                  local _, e = coroutine.resume(c) return e.err";
    assert!(eval(&mut bench, script).contains("ERR value is not an integer"));
}

fn sha(script: &str) -> String {
    use sha1::Digest;
    super::api::hex(&sha1::Sha1::digest(script).into())
}

#[test]
fn there_may_be_more_scripts_than_handles() {
    let mut bench = bench();
    for number in 0..9_000 {
        let reply = eval(&mut bench, &format!("return {number}"));
        assert_eq!(reply, format!(":{number}\r\n"));
    }
    assert_eq!(eval(&mut bench, "return 1"), ":1\r\n");
    // As many values in one call are an error, not the end of the connection.
    let script = "local t = {} for i = 1, 7990 do t[i] = 'k' .. i end return redis.call('MGET', unpack(t))";
    assert!(eval(&mut bench, script).starts_with(['-', '*']));
    let script = "local t = {} for i = 1, 9000 do t['k' .. i] = 'v' .. i end \
                  local n = 0 for _ in pairs(cmsgpack.unpack(cmsgpack.pack(t))) do n = n + 1 end return n";
    assert_eq!(eval(&mut bench, script), ":9000\r\n");
    let script = "return cmsgpack.unpack(string.rep('\\161a', 9000))";
    assert!(eval(&mut bench, script).contains("too many results"));
    assert_eq!(eval(&mut bench, "return redis.call('PING')"), "+PONG\r\n");
}

#[test]
fn a_script_leaves_no_database_and_no_protocol_behind() {
    let mut bench = bench();
    assert_eq!(eval(&mut bench, "redis.call('SELECT', 5) return redis.call('SET', 'a', 1)"), "+OK\r\n");
    assert_eq!(bench.line("GET a"), "(nil)");
    assert_eq!(bench.session.database, 0);
    assert_eq!(eval(&mut bench, "redis.setresp(3) return true"), ":1\r\n");
    assert_eq!(eval(&mut bench, "return redis.call('GET', 'nosuch')"), "$-1\r\n");
}

#[test]
fn a_script_is_repeated_as_what_it_did() {
    use crate::command::context::Replay;
    let mut bench = bench();
    eval(&mut bench, "redis.call('SET', 'a', 1) redis.call('GET', 'a') redis.call('DEL', 'a', 'b')");
    let mut expected = Box::<crate::command::effects::Effects>::default();
    for line in ["SET a 1", "DEL a b"] {
        let words: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
        expected.push(0, words.into_iter());
    }
    assert_eq!((&bench.done.effects, &bench.done.replay), (&Some(expected), &Replay::Nothing));
    eval(&mut bench, "return redis.call('GET', 'a')");
    assert_eq!(bench.done.effects, Some(Box::default()));
    assert_eq!(bench.done.replay, Replay::Nothing);
}

#[test]
fn memory_and_depth_have_a_limit() {
    // Frames are several times larger without optimisation than what a worker's stack is meant for.
    let test = std::thread::Builder::new().stack_size(64 << 20).spawn(deep).unwrap();
    test.join().unwrap();
}

fn deep() {
    let mut bench = bench();
    let reply = eval(&mut bench, "local a = {} a[1] = a return a");
    assert!(reply.ends_with("-ERR reached lua stack limit\r\n"));
    let reply = eval(&mut bench, "local function f() return f() + 1 end return f()");
    assert!(reply.contains("stack overflow"), "{reply}");
    let reply = eval(&mut bench, "return cjson.decode(string.rep('[', 100000))");
    assert!(reply.contains("too many nested"), "{reply}");
    let reply = eval(&mut bench, "return cmsgpack.unpack(string.rep('\\145', 100000))");
    assert!(reply.starts_with('-'), "{reply}");
}

#[test]
fn libraries_are_replaced_deleted_and_restored() {
    let mut bench = bench();
    let load = "FUNCTION LOAD \"#!lua name=l\\nredis.register_function('f', function(k) return 1 end)\"";
    assert_eq!(bench.line(load), "\"l\"");
    assert_eq!(bench.line("FCALL f 0"), "(integer) 1");
    assert_eq!(bench.line(load), "(error) ERR Library 'l' already exists");
    let replace =
        "FUNCTION LOAD REPLACE \"#!lua name=l\\nredis.register_function('g', function(k) return 2 end)\"";
    assert_eq!(bench.line(replace), "\"l\"");
    assert_eq!(bench.line("FCALL f 0"), "(error) ERR Function not found");
    assert_eq!(bench.line("FCALL g 0"), "(integer) 2");
    assert_eq!(bench.line("FUNCTION DELETE l"), "OK");
    assert_eq!(bench.line("FCALL g 0"), "(error) ERR Function not found");
    let reply = bench.line("FUNCTION LOAD \"#!lua name=l\\nredis.call('GET', 'k')\"");
    assert!(reply.contains("nonexistent global variable 'call'"), "{reply}");
}

#[test]
fn words_and_replies_keep_their_values() {
    let mut bench = bench();
    for (script, reply) in [
        // As `%.17g` writes them.
        ("return redis.call('ECHO', 12345678901234567)", "$17\r\n12345678901234568\r\n"),
        ("return redis.call('ECHO', 1e17)", "$5\r\n1e+17\r\n"),
        ("return redis.call('ECHO', -7)", "$2\r\n-7\r\n"),
        ("return redis.call('ECHO', -0.0 * 1)", "$2\r\n-0\r\n"),
        ("return redis.call('ECHO', 0.1)", "$19\r\n0.10000000000000001\r\n"),
        ("return redis.call('ECHO', 'a\\0b')", "$3\r\na\0b\r\n"),
        ("return redis.call('ECHO', '')", "$0\r\n\r\n"),
        ("return redis.call('SET', 'k', 'v').ok", "$2\r\nOK\r\n"),
        ("return redis.call('GET', 'none') == false", ":1\r\n"),
        (
            "redis.call('RPUSH', 'l', 1, 'b') return redis.call('LRANGE', 'l', 0, -1)",
            "*2\r\n$1\r\n1\r\n$1\r\nb\r\n",
        ),
        (
            "redis.call('HSET', 'h', 'f', 'v') redis.setresp(3) return redis.call('HGETALL', 'h').map.f",
            "$1\r\nv\r\n",
        ),
        (
            "redis.call('SADD', 's', 'm') redis.setresp(3) return redis.call('SMEMBERS', 's').set.m == true and 1",
            ":1\r\n",
        ),
        (
            "redis.call('ZADD', 'z', 1.5, 'm') redis.setresp(3) return tostring(redis.call('ZSCORE', 'z', 'm').double)",
            "$3\r\n1.5\r\n",
        ),
        ("redis.setresp(3) return redis.call('INFO', 'server').verbatim_string.format", "$3\r\ntxt\r\n"),
        ("redis.setresp(3) return redis.call('GET', 'none') == nil and 1", ":1\r\n"),
        (
            "return redis.pcall('GET', 'l').err",
            "$65\r\nWRONGTYPE Operation against a key holding the wrong kind of value\r\n",
        ),
        (
            "return redis.pcall('GET', {}).err",
            "$63\r\nERR Lua redis lib command arguments must be strings or integers\r\n",
        ),
        (
            "local f = coroutine.wrap(function() return redis.call('ECHO', 'in') end) return f()",
            "$2\r\nin\r\n",
        ),
        (
            "return select(2, pcall(redis.call, 'NOSUCH'))",
            "$44\r\nERR Unknown Redis command called from script\r\n",
        ),
    ] {
        assert_eq!(eval(&mut bench, script), reply, "{script}");
    }
}

#[test]
fn a_reply_for_which_there_is_no_memory_is_an_error_and_leaves_all_whole() {
    let mut bench = Bench::new();
    let settings = Settings { lua_memory_limit_bytes: 16 << 20, ..Settings::default() };
    let engine = ScriptEngine::new(bench.clock.clone(), crate::config::Config::from_settings(settings));
    assert!(bench.server.scripts.set(Box::new(engine)).is_ok());
    // Not alike: Lua would keep them once.
    for letter in ["a", "b", "c", "d", "e", "f", "g", "h"] {
        assert!(bench.line(&format!("RPUSH l {}", letter.repeat(4 << 20))).starts_with("(integer)"));
    }
    for _ in 0..3 {
        // The table and some of its strings are there when memory ends.
        let reply = eval(&mut bench, "return #redis.call('LRANGE', 'l', 0, -1)");
        assert!(
            reply.starts_with('-') && reply.contains("not enough memory"),
            "{}",
            &reply[..80.min(reply.len())]
        );
        let caught = "return tostring(select(2, pcall(redis.call, 'LRANGE', 'l', 0, -1)))";
        let reply = eval(&mut bench, caught);
        assert!(reply.contains("not enough memory"), "{}", &reply[..80.min(reply.len())]);
        assert_eq!(eval(&mut bench, "return redis.call('LLEN', 'l')"), ":8\r\n");
    }
}
