use crate::command::testing::{Bench, transcript};
use crate::observe::Figures;
use crate::resp::Protocol;

fn asked(bench: &Bench) -> Vec<String> {
    std::mem::take(&mut *bench.server.asked.lock().expect("no test panics with this lock"))
}

#[test]
fn config_get_and_set() {
    transcript(
        r#"
        > CONFIG SET maxmemory-policy allkeys-lru
        OK
        > CONFIG GET maxmemory-policy
        1) "maxmemory-policy"
        2) "allkeys-lru"
        > CONFIG GET MaxMemory-Policy
        1) "MaxMemory-Policy"
        2) "allkeys-lru"
        > CONFIG SET list-max-listpack-size 7 hash-max-listpack-entries 9
        OK
        > CONFIG GET list-max-listpack-s*
        1) "list-max-listpack-size"
        2) "7"
        > CONFIG GET hash-max-listpack-entries hash-max-listpack-e?tries hash-max-LISTPACK-ent*
        1) "hash-max-listpack-entries"
        2) "9"
        > CONFIG GET nosuchsetting
        (empty array)
        > CONFIG SET list-max-listpack-size -2 hash-max-listpack-entries 512 maxmemory-policy noeviction
        OK
        > CONFIG SET nosuch 1
        (error) ERR Unknown option or number of arguments for CONFIG SET - 'nosuch'
        > CONFIG SET hz 20 nosuch 1
        (error) ERR Unknown option or number of arguments for CONFIG SET - 'nosuch'
        > CONFIG SET hz 20 maxmemory-samples nonumber
        (error) ERR CONFIG SET failed (possibly related to argument 'maxmemory-samples') - argument couldn't be parsed into an integer
        > CONFIG GET hz
        1) "hz"
        2) "10"
        > CONFIG SET hz 20 hz 30
        (error) ERR CONFIG SET failed (possibly related to argument 'hz') - duplicate parameter
        > CONFIG SET databases 5
        (error) ERR CONFIG SET failed (possibly related to argument 'databases') - can't set immutable config
        > CONFIG SET hz
        (error) ERR wrong number of arguments for 'config|set' command
        > CONFIG SET hz 20 dynamic-hz
        (error) ERR syntax error
        > CONFIG GET
        (error) ERR wrong number of arguments for 'config|get' command
        > CONFIG NOSUCH
        (error) ERR unknown subcommand 'NOSUCH'. Try CONFIG HELP.
        > CONFIG
        (error) ERR wrong number of arguments for 'config' command
        > CONFIG REWRITE
        (error) ERR The server is running without a config file
        > CONFIG RESETSTAT
        OK
        > CONFIG HELP
         1) CONFIG <subcommand> [<arg> [value] [opt] ...]. Subcommands are:
         2) GET <pattern>
         3)     Return parameters matching the glob-like <pattern> and their values.
         4) SET <directive> <value>
         5)     Set the configuration <directive> to <value>.
         6) RESETSTAT
         7)     Reset statistics reported by the INFO command.
         8) REWRITE
         9)     Rewrite the configuration file.
        10) HELP
        11)     Prints this help.
        "#,
    );
}

#[test]
fn config_get_is_a_map_in_resp3() {
    let mut bench = Bench::new();
    bench.protocol = Protocol::Resp3;
    assert_eq!(bench.line("CONFIG GET hz"), "1# \"hz\" => \"10\"");
}

#[test]
fn roles_waits_and_modules() {
    transcript(
        r#"
        > ROLE
        1) "master"
        2) (integer) 0
        3) (empty array)
        > REPLICAOF NO ONE
        OK
        > SLAVEOF no one
        OK
        > REPLICAOF no x
        (error) ERR Invalid master port
        > REPLICAOF host 65536
        (error) ERR Invalid master port
        > FAILOVER
        (error) ERR FAILOVER requires connected replicas.
        > FAILOVER ABORT
        (error) ERR No failover in progress.
        > FAILOVER TO 127.0.0.1 7000 FORCE TIMEOUT 100
        (error) ERR FAILOVER requires connected replicas.
        > FAILOVER TIMEOUT 0
        (error) ERR FAILOVER timeout must be greater than 0
        > FAILOVER TIMEOUT x
        (error) ERR value is not an integer or out of range
        > FAILOVER TO a x
        (error) ERR value is not an integer or out of range
        > FAILOVER ABORT TIMEOUT 10
        (error) ERR syntax error
        > FAILOVER nonsense
        (error) ERR syntax error
        > WAIT 0 0
        (integer) 0
        > WAIT 1 10
        (integer) 0
        > WAIT -1 0
        (integer) 0
        > WAIT a 0
        (error) ERR value is not an integer or out of range
        > WAIT 0 x
        (error) ERR timeout is not an integer or out of range
        > WAIT 0 -1
        (error) ERR timeout is negative
        > MODULE LIST
        (empty array)
        > MODULE
        (error) ERR wrong number of arguments for 'module' command
        > MODULE NOSUCH
        (error) ERR unknown subcommand 'NOSUCH'. Try MODULE HELP.
        "#,
    );
}

#[test]
fn another_server_is_no_master_for_us() {
    let answer = Bench::new().line("REPLICAOF 127.0.0.1 6379");
    assert_eq!(answer, "(error) ERR this server cannot be a replica: it can only have some");
    assert!(Bench::new().line("MODULE HELP").starts_with(" 1) MODULE <subcommand>"));
    let loading = "(error) ERR Error loading the extension. Please check the server logs.";
    assert_eq!(Bench::new().line("MODULE LOAD /no/such/module.so"), loading);
    assert_eq!(Bench::new().line("MODULE LOADEX /no/such/module.so ARGS a"), loading);
    let unloading = "(error) ERR Error unloading module: no such module with that name";
    assert_eq!(Bench::new().line("MODULE UNLOAD name"), unloading);
}

#[test]
fn refusals_of_saving_and_ending() {
    transcript(
        r#"
        > SHUTDOWN ABORT
        (error) ERR No shutdown in progress.
        > SHUTDOWN ABORT NOW
        (error) ERR syntax error
        > SHUTDOWN SAVE NOSAVE
        (error) ERR syntax error
        > SHUTDOWN nosuch
        (error) ERR syntax error
        > BGSAVE nosuch
        (error) ERR syntax error
        > BGSAVE SCHEDULE SCHEDULE
        (error) ERR syntax error
        > SAVE now
        (error) ERR wrong number of arguments for 'save' command
        > LASTSAVE now
        (error) ERR wrong number of arguments for 'lastsave' command
        > TIME now
        (error) ERR wrong number of arguments for 'time' command
        "#,
    );
}

#[test]
fn saving_and_ending_are_asked_of_the_server() {
    let mut bench = Bench::new();
    assert_eq!(bench.line("SAVE"), "OK");
    assert_eq!(bench.line("BGSAVE"), "Background saving started");
    assert_eq!(bench.line("BGSAVE schedule"), "Background saving started");
    assert_eq!(
        asked(&bench),
        ["save", "background save, schedule: false", "background save, schedule: true"]
    );
    let seconds = bench.clock.unix_ms() / 1_000;
    assert_eq!(bench.line("LASTSAVE"), format!("(integer) {seconds}"));
    assert_eq!(bench.line("SHUTDOWN nosave force"), "(no reply)");
    assert_eq!(asked(&bench), ["Shutdown { save: Some(false), now: false, force: true }"]);
    assert_eq!(bench.line("SHUTDOWN SAVE NOW"), "(no reply)");
    assert_eq!(asked(&bench), ["Shutdown { save: Some(true), now: true, force: false }"]);
    assert_eq!(bench.line("SHUTDOWN"), "(no reply)");
    assert_eq!(asked(&bench), ["Shutdown { save: None, now: false, force: false }"]);
}

#[test]
fn time_is_seconds_and_microseconds() {
    let mut bench = Bench::new();
    bench.clock.advance_ms(1_234);
    let now_us = bench.clock.unix_us();
    let expected = format!("1) \"{}\"\n2) \"{}\"", now_us / 1_000_000, now_us % 1_000_000);
    assert_eq!(bench.line("TIME"), expected);
}

#[test]
fn info_is_text_of_the_asked_sections() {
    let mut bench = Bench::new();
    *bench.server.figures.lock().expect("a lock") = Figures { maxclients: 77, ..Figures::default() };
    assert_eq!(bench.line("INFO cluster"), r##""# Cluster\r\ncluster_enabled:0\r\n""##);
    assert!(bench.line("INFO clients CPU").contains(r"maxclients:77\r\n"));
    assert_eq!(bench.line("INFO nosuch"), "\"\"");
    assert!(!bench.line("INFO").contains("# Commandstats"));
    assert!(bench.line("INFO everything").contains("# Commandstats"));
    bench.protocol = Protocol::Resp3;
    assert!(bench.raw(&[b"INFO", b"cluster"]).starts_with(b"=34\r\ntxt:# Cluster\r\n"));
}

#[test]
fn memory_usage_and_its_errors() {
    transcript(
        r#"
        > MEMORY USAGE nosuchkey
        (nil)
        > SET k v
        OK
        > MEMORY USAGE k nosuch
        (error) ERR syntax error
        > MEMORY USAGE k SAMPLES
        (error) ERR syntax error
        > MEMORY USAGE k SAMPLES -1
        (error) ERR syntax error
        > MEMORY USAGE k SAMPLES x
        (error) ERR value is not an integer or out of range
        > MEMORY USAGE
        (error) ERR wrong number of arguments for 'memory|usage' command
        > MEMORY DOCTOR now
        (error) ERR wrong number of arguments for 'memory|doctor' command
        > MEMORY NOSUCH
        (error) ERR unknown subcommand 'NOSUCH'. Try MEMORY HELP.
        > MEMORY PURGE
        OK
        "#,
    );
}

#[test]
fn memory_is_counted_and_reported() {
    let mut bench = Bench::new();
    bench.line("SET short v");
    bench.raw(&[b"SET", b"long", &[b'x'; 70_000]]);
    let usage = |answer: String| answer.trim_start_matches("(integer) ").parse::<usize>().expect("a number");
    let (short, long) =
        (usage(bench.line("MEMORY USAGE short")), usage(bench.line("MEMORY USAGE long SAMPLES 0")));
    assert!((16..=64).contains(&short), "{short}");
    assert!((70_000..90_000).contains(&long), "{long}");
    let figures = Figures { used_memory: 3 << 20, used_memory_rss: 6 << 20, ..Figures::default() };
    *bench.server.figures.lock().expect("a lock") = figures;
    bench.protocol = Protocol::Resp3;
    let stats = bench.line("MEMORY STATS");
    assert!(stats.contains("\"total.allocated\" => (integer) 3145728"), "{stats}");
    assert!(stats.contains("\"fragmentation\" => (double) 2\n"), "{stats}");
    assert!(bench.line("MEMORY DOCTOR").contains("too little to judge"));
    assert!(bench.line("MEMORY MALLOC-STATS").contains("jemalloc statistics"));
    assert!(bench.line("MEMORY HELP").contains("USAGE <key> [SAMPLES <count>]"));
}

#[test]
fn lolwut_ends_with_the_version() {
    let mut bench = Bench::new();
    for line in [
        "LOLWUT",
        "LOLWUT nosuch",
        "LOLWUT VERSION 7 x",
        "LOLWUT VERSION 5 1 2 3 x",
        "LOLWUT VERSION 6 1 2 x",
    ] {
        assert!(bench.line(line).ends_with("Redis ver. 7.0.15\\n\""), "{line}");
    }
    for line in ["LOLWUT VERSION x", "LOLWUT VERSION 5 1 2 x", "LOLWUT VERSION 6 1 x"] {
        assert_eq!(bench.line(line), "(error) ERR value is not an integer or out of range", "{line}");
    }
}

#[test]
fn debug_protocol_has_every_type() {
    transcript(
        r#"
        > DEBUG PROTOCOL string
        "Hello World"
        > DEBUG PROTOCOL integer
        (integer) 12345
        > DEBUG PROTOCOL double
        "3.141"
        > DEBUG PROTOCOL bignum
        "1234567999999999999999999999999999999"
        > DEBUG PROTOCOL null
        (nil)
        > DEBUG PROTOCOL array
        1) (integer) 0
        2) (integer) 1
        3) (integer) 2
        > DEBUG PROTOCOL set
        1) (integer) 0
        2) (integer) 1
        3) (integer) 2
        > DEBUG PROTOCOL map
        1) (integer) 0
        2) (integer) 0
        3) (integer) 1
        4) (integer) 1
        5) (integer) 2
        6) (integer) 0
        > DEBUG PROTOCOL attrib
        "Some real reply following the attribute"
        > DEBUG PROTOCOL push
        (error) ERR RESP2 is not supported by this command
        > DEBUG PROTOCOL true
        (integer) 1
        > DEBUG PROTOCOL false
        (integer) 0
        > DEBUG PROTOCOL verbatim
        "This is a verbatim\nstring"
        > DEBUG PROTOCOL nosuch
        (error) ERR Wrong protocol type name. Please use one of the following: string|integer|double|bignum|null|array|set|map|attrib|push|verbatim|true|false
        "#,
    );
}

#[test]
fn debug_protocol_in_resp3() {
    let mut bench = Bench::new();
    bench.protocol = Protocol::Resp3;
    let mut raw = |name: &[u8]| {
        String::from_utf8(bench.raw(&[b"DEBUG", b"PROTOCOL", name])).expect("text").replace("\r\n", " ")
    };
    assert_eq!(raw(b"set"), "~3 :0 :1 :2 ");
    assert_eq!(raw(b"map"), "%3 :0 #f :1 #t :2 #f ");
    assert_eq!(raw(b"bignum"), "(1234567999999999999999999999999999999 ");
    assert_eq!(raw(b"null"), "_ ");
    assert_eq!(
        raw(b"attrib"),
        "|1 $14 key-popularity *2 $7 key:123 :90 $39 Some real reply following the attribute "
    );
    assert_eq!(raw(b"push"), ">2 $16 server-cpu-usage :42 $40 Some real reply following the push reply ");
}

#[test]
fn debug_digests_are_redis_digests() {
    transcript(
        r#"
        > DEBUG DIGEST
        0000000000000000000000000000000000000000
        > SET a 1
        OK
        > SET s hello
        OK
        > DEBUG DIGEST
        9b0dde458b250d86a6f3121debd970e12f665c84
        > DEBUG DIGEST-VALUE a s nosuch
        1) b4fc66738120fba0b5aa500ab5c2bf89cea1c5da
        2) 36b23a1456b2dce2c3ed252c456761301dba8060
        3) 0000000000000000000000000000000000000000
        > DEBUG DIGEST-VALUE
        (empty array)
        "#,
    );
}

#[test]
fn debug_tools_and_their_errors() {
    transcript(
        r#"
        > SET a 1
        OK
        > DEBUG ERROR "MYCODE my\r\nwords"
        (error) MYCODE my  words
        > DEBUG ERROR
        (error) ERR unknown subcommand or wrong number of arguments for 'ERROR'. Try DEBUG HELP.
        > DEBUG nosuch
        (error) ERR unknown subcommand or wrong number of arguments for 'nosuch'. Try DEBUG HELP.
        > DEBUG SLEEP 0.001
        OK
        > DEBUG SLEEP 1 2
        (error) ERR unknown subcommand or wrong number of arguments for 'SLEEP'. Try DEBUG HELP.
        > DEBUG SET-ACTIVE-EXPIRE 0
        OK
        > DEBUG SET-ACTIVE-EXPIRE 1
        OK
        > DEBUG REPLYBUFFER RESIZING 0
        OK
        > DEBUG REPLYBUFFER nosuch 0
        (error) ERR unknown subcommand or wrong number of arguments for 'REPLYBUFFER'. Try DEBUG HELP.
        > DEBUG QUICKLIST-PACKED-THRESHOLD 100b
        OK
        > DEBUG QUICKLIST-PACKED-THRESHOLD 0
        OK
        > DEBUG QUICKLIST-PACKED-THRESHOLD 5gb
        (error) ERR argument must be a memory value bigger than 1 and smaller than 4gb
        > DEBUG RELOAD nosuch
        (error) ERR DEBUG RELOAD only supports the MERGE, NOFLUSH and NOSAVE options.
        > DEBUG CHANGE-REPL-ID
        OK
        > DEBUG LOG "a line"
        OK
        > DEBUG STRINGMATCH-TEST
        Apparently Redis did not crash: test passed
        > DEBUG OBJECT nosuchkey
        (error) ERR no such key
        > DEBUG SDSLEN nosuchkey
        (error) ERR no such key
        > DEBUG SDSLEN a
        (error) ERR Not an sds encoded string.
        > DEBUG LISTPACK a
        (error) ERR Not a listpack encoded object.
        > DEBUG QUICKLIST a 1
        (error) ERR Not a quicklist encoded object.
        > DEBUG HTSTATS x
        (error) ERR value is not an integer or out of range
        > DEBUG HTSTATS 99
        (error) ERR Out of range database
        > DEBUG POPULATE -1
        (error) ERR value is out of range, must be positive
        > DEBUG POPULATE 3 some 7
        OK
        > GET some:2
        "value:2"
        > DEBUG POPULATE 3 some -1
        (error) ERR value is out of range, must be positive
        > DEBUG POPULATE 2
        OK
        > GET key:1
        "value:1"
        "#,
    );
}

#[test]
fn another_database_changes_the_digest() {
    let mut bench = Bench::new();
    bench.line("SET a 1");
    bench.line("SET s hello");
    bench.session.select(3);
    bench.line("SET other x");
    assert_eq!(bench.line("DEBUG DIGEST"), "7855c12d5172b5024639b13c53fb1c7f541749d7");
}

#[test]
fn debug_object_shows_what_has_expired_and_is_not_removed_yet() {
    let mut bench = Bench::new();
    bench.line("SET k value PX 1");
    bench.clock.advance_ms(2);
    assert!(bench.line("DEBUG OBJECT k").contains(" encoding:embstr "));
    assert_eq!(bench.line("EXISTS k"), "(integer) 0");
    assert_eq!(bench.line("DEBUG OBJECT k"), "(error) ERR no such key");
}

#[test]
fn debug_object_tells_how_a_value_is_stored() {
    let mut bench = Bench::new();
    bench.line("SET s hello");
    bench.clock.advance_ms(5_000);
    let line = bench.line("DEBUG OBJECT s");
    assert!(line.starts_with("Value at:0x"), "{line}");
    assert!(line.contains(" refcount:1 encoding:embstr serializedlength:6 lru:"), "{line}");
    assert!(line.ends_with(" lru_seconds_idle:5"), "{line}");
    let lengths = bench.line("DEBUG SDSLEN s");
    assert!(
        lengths.starts_with("key_sds_len:1, key_sds_avail:0, key_zmalloc: 8, val_sds_len:5, "),
        "{lengths}"
    );
    let table = bench.line("DEBUG HTSTATS 0");
    assert!(
        table.contains(r"[Dictionary HT]\nHash table 0 stats") && table.contains("elements: 1"),
        "{table}"
    );
    assert!(table.contains(r"[Expires HT]\nNo stats available for empty dictionaries\n"), "{table}");
    assert!(!bench.line("DEBUG HTSTATS 1").contains("elements"));
}

#[test]
fn debug_asks_the_server() {
    let mut bench = Bench::new();
    for (line, expected) in [
        ("DEBUG SET-ACTIVE-EXPIRE 0", "active expiry false"),
        ("DEBUG SET-ACTIVE-EXPIRE 1", "active expiry true"),
        ("DEBUG RELOAD", "reload, save true, flush true, merge false"),
        ("DEBUG RELOAD NOFLUSH MERGE", "reload, save true, flush false, merge true"),
        ("DEBUG RELOAD nosave", "reload, save false, flush true, merge false"),
        ("DEBUG RELOAD NOSAVE NOFLUSH", "reload, save false, flush false, merge false"),
        ("DEBUG CHANGE-REPL-ID", "change the replication id"),
        ("DEBUG AOF-FLUSH-SLEEP 500000", "delay the log by 500 ms"),
        ("DEBUG AOF-FLUSH-SLEEP -1", "delay the log by 0 ms"),
    ] {
        assert_eq!(bench.line(line), "OK", "{line}");
        assert_eq!(asked(&bench), [expected], "{line}");
    }
    for (line, rests) in [("DEBUG PAUSE-CRON 1", true), ("DEBUG PAUSE-CRON 0", false)] {
        assert_eq!(bench.line(line), "OK");
        assert_eq!(bench.server.switches.pauses_chores(), rests, "{line}");
    }
    assert!(bench.line("DEBUG SEGFAULT").starts_with("(error) ERR this server does not end itself"));
    assert!(bench.line("DEBUG HELP").contains("Output a hex signature"));
    let before = bench.clock.unix_ms();
    assert_eq!(bench.line("DEBUG SLEEP 0.25"), "OK");
    assert_eq!(bench.clock.unix_ms(), before + 250);
    assert_eq!(
        bench.line("DEBUG CONFIG-REWRITE-FORCE-ALL"),
        "(error) ERR CONFIG-REWRITE-FORCE-ALL failed: The server is running without a config file"
    );
}

#[test]
#[should_panic(expected = "DEBUG PANIC was called")]
fn debug_panic_panics() {
    Bench::new().line("DEBUG PANIC");
}

#[test]
fn populate_keeps_what_is_there_and_fills_to_the_size() {
    let mut bench = Bench::new();
    bench.line("SET p:1 mine");
    assert_eq!(bench.line("DEBUG POPULATE 3000 p 10"), "OK");
    assert_eq!(bench.line("GET p:1"), "\"mine\"");
    assert_eq!(bench.line("GET p:2"), r#""value:2\x00\x00\x00""#);
    assert_eq!(bench.line("GET p:2999"), "\"value:2999\"");
    assert_eq!(bench.line("GET p:3000"), "(nil)");
}

/// What COMMAND INFO of Redis 7.0.15 says of these commands: arity, flags, ACL categories.
#[test]
fn rows_state_redis_facts() {
    const FACTS: &[(&str, i32, &str, &str)] = &[
        ("config", -2, "", "slow"),
        ("config|get", -3, "admin noscript loading stale", "admin slow dangerous"),
        ("config|set", -4, "admin noscript loading stale", "admin slow dangerous"),
        ("config|rewrite", 2, "admin noscript loading stale", "admin slow dangerous"),
        ("config|resetstat", 2, "admin noscript loading stale", "admin slow dangerous"),
        ("config|help", 2, "loading stale", "slow"),
        ("info", -1, "loading stale", "slow dangerous"),
        ("time", 1, "loading stale fast", "fast"),
        ("save", 1, "admin noscript no_async_loading no_multi", "admin slow dangerous"),
        ("bgsave", -1, "admin noscript no_async_loading", "admin slow dangerous"),
        ("lastsave", 1, "loading stale fast", "admin fast dangerous"),
        ("shutdown", -1, "admin noscript loading stale no_multi allow_busy", "admin slow dangerous"),
        ("debug", -2, "admin noscript loading stale", "admin slow dangerous"),
        ("memory", -2, "", "slow"),
        ("memory|usage", -3, "readonly", "read slow"),
        ("memory|doctor", 2, "", "slow"),
        ("memory|stats", 2, "", "slow"),
        ("memory|purge", 2, "", "slow"),
        ("memory|malloc-stats", 2, "", "slow"),
        ("memory|help", 2, "loading stale", "slow"),
        ("lolwut", -1, "readonly fast", "read fast"),
        ("role", 1, "noscript loading stale fast", "admin fast dangerous"),
        ("module", -2, "", "slow"),
        ("module|list", 2, "admin noscript", "admin slow dangerous"),
        ("module|help", 2, "loading stale", "slow"),
        ("replicaof", 3, "admin noscript stale no_async_loading", "admin slow dangerous"),
        ("slaveof", 3, "admin noscript stale no_async_loading", "admin slow dangerous"),
        ("wait", 3, "noscript", "slow connection"),
    ];
    let registry = crate::command::Registry::new();
    for &(name, arity, flags, categories) in FACTS {
        let command = registry.get(registry.find_full(name.as_bytes()).expect(name));
        assert_eq!(command.arity, arity, "{name}");
        assert_eq!(command.row.flags.names().collect::<Vec<_>>().join(" "), flags, "{name}");
        // A generic command is filed under keyspace by its group, which WAIT is not in Redis.
        let filed = command.row.categories().names().filter(|category| *category != "keyspace");
        assert_eq!(filed.collect::<Vec<_>>().join(" "), categories, "{name}");
    }
}
