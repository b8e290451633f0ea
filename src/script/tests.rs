//! Scripts run against a keyspace: what the sandbox keeps in, what a script leaves behind.

use super::ScriptEngine;
use crate::command::testing::Bench;

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
    let words = |line: &str| line.split(' ').map(|word| word.as_bytes().to_vec()).collect::<Vec<_>>();
    assert_eq!(bench.done.replay, Replay::Instead(vec![words("SET a 1"), words("DEL a b")]));
    eval(&mut bench, "return redis.call('GET', 'a')");
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
