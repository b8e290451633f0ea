//! What a value of a row's syntax may be, by its name: mostly something that fits, sometimes something that
//! never does.

use super::common::random::Random;

/// Keys, with the type that commands of a family mostly keep there. The last ones are nobody's.
pub const KEYS: &[(&str, &[&[u8]])] = &[
    ("string", &[b"s1", b"s2", b"s\xff\x00\r\n"]),
    ("list", &[b"l1", b"l2", b"l3"]),
    ("set", &[b"e1", b"e2", b"e3"]),
    ("hash", &[b"h1", b"h2"]),
    ("sorted-set", &[b"z1", b"z2", b"z3"]),
    ("stream", &[b"x1", b"x2"]),
    ("", &[b"", b"absent"]),
];

/// Numbers at which something changes, and things that are none.
const NUMBERS: &[&str] = &[
    "0",
    "1",
    "-1",
    "2",
    "3",
    "5",
    "10",
    "100",
    "-2",
    "-100",
    "127",
    "128",
    "255",
    "256",
    "32767",
    "65536",
    "2147483647",
    "2147483648",
    "-2147483649",
    "4294967295",
    "9223372036854775807",
    "-9223372036854775808",
    "9223372036854775808",
    "18446744073709551615",
    "-9223372036854775809",
    "",
    " 1",
    "1 ",
    "+1",
    "01",
    "-0",
    "0x10",
    "1.0",
    "1.5",
    "1e3",
    "abc",
    "nan",
    "inf",
    "99999999999999999999999999",
];

/// Scores, increments of them, weights.
const FLOATS: &[&str] = &[
    "0",
    "1",
    "2",
    "3",
    "-1",
    "1.5",
    "-0",
    "0.1",
    "3.0e3",
    "inf",
    "-inf",
    "+inf",
    "nan",
    "-nan",
    "1e308",
    "-1e308",
    "1e400",
    "4.9e-324",
    "1e-400",
    "9007199254740993",
    "17179869184.5",
    "0x1p3",
    "",
    " 1",
    "1 ",
    "1e",
    "abc",
    "infinity",
    "123456789.123456789",
    "0.30000000000000004",
    ".5",
    "5.",
    "1e21",
    "1e17",
    "1e-5",
    "-0.0",
];

/// Members, fields, elements.
const MEMBERS: &[&[u8]] = &[
    b"a",
    b"b",
    b"c",
    b"d",
    b"e",
    b"1",
    b"2",
    b"3",
    b"-5",
    b"100",
    b"70000",
    b"5000000000",
    b"1.5",
    b"",
    b"\xff\x00",
    b"B",
    b"aa",
    b"ab",
    b"a-member-that-is-too-long-for-a-packed-value-of-64-bytes-and-so-it-changes",
    b"007",
    b"9223372036854775807",
    b"hello world",
];

/// Places: longitude and latitude in one.
const PLACES: &[&str] = &[
    "13.361389",
    "15.087269",
    "2.349014",
    "0",
    "-0.1",
    "38.115556",
    "37.502669",
    "48.85",
    "85.05112878",
    "180",
    "-180",
    "-85.05112878",
    "86",
    "181",
    "abc",
    "nan",
];

fn text(random: &mut Random, of: &[&str]) -> Vec<u8> {
    random.pick(of).as_bytes().to_vec()
}

/// A number near nought, mostly: places in lists, counts.
fn small(random: &mut Random) -> Vec<u8> {
    match random.below(12) {
        0 => text(random, NUMBERS),
        1..=3 => format!("-{}", random.below(6)).into_bytes(),
        _ => random.below(8).to_string().into_bytes(),
    }
}

/// A number that may not ask for a reply or a value of millions.
fn modest(random: &mut Random) -> Vec<u8> {
    loop {
        let number = small(random);
        let parsed = std::str::from_utf8(&number).ok().and_then(|text| text.trim().parse::<i128>().ok());
        // Beyond 64 bits it is refused, and so is what needs more than 512 MB.
        if parsed.is_none_or(|number| (-200..70_000).contains(&number) || number.unsigned_abs() >= 1 << 63) {
            return number;
        }
    }
}

/// Times that pass for certain or do not pass while a test runs.
fn time(random: &mut Random, far: &[&str]) -> Vec<u8> {
    match random.below(8) {
        0 => text(
            random,
            &[
                "0",
                "-1",
                "-100",
                "9223372036854775807",
                "-9223372036854775808",
                "9223372036854775",
                "abc",
                "",
                "1.5",
                "9223372036854775808",
            ],
        ),
        1 => text(random, NUMBERS_BUT_SOON),
        _ => text(random, far),
    }
}

const NUMBERS_BUT_SOON: &[&str] =
    &["-2", "nan", "4294967295000", "99999999999999999999", "-2147483649", " 100000000", "100000000 "];

/// The id of a stream's entry; `next` is what would come after the last.
fn stream_id(random: &mut Random, next: &mut u64) -> Vec<u8> {
    match random.below(16) {
        0 => text(
            random,
            &[
                "0",
                "0-0",
                "1",
                "-1",
                "abc",
                "1-abc",
                "18446744073709551615-18446744073709551615",
                "18446744073709551615-*",
                "18446744073709551616-0",
                "",
                "1-1-1",
                "$",
                ">",
                "+",
                "-",
                "(1",
                "(3-0",
                "(-",
                "(+",
                "99999999-0",
                "1-*",
                "0-*",
            ],
        ),
        1 => format!("{}-*", *next).into_bytes(),
        2..=5 => {
            *next += random.below(2) as u64;
            format!("{}-{}", *next, random.below(3)).into_bytes()
        }
        _ => format!("{}-{}", 1 + random.below(*next as usize + 1), random.below(2)).into_bytes(),
    }
}

fn next_id(random: &mut Random, next: &mut u64) -> Vec<u8> {
    *next += 1;
    match random.below(4) {
        0 => format!("{next}").into_bytes(),
        1 => format!("{next}-*").into_bytes(),
        _ => format!("{next}-{}", random.below(3)).into_bytes(),
    }
}

fn lexical(random: &mut Random) -> Vec<u8> {
    text(random, &["-", "+", "[a", "(a", "[b", "(c", "[", "(", "[zz", "a", "", "[aa", "[\u{7f}", "(ab"])
}

fn score_bound(random: &mut Random) -> Vec<u8> {
    match random.below(4) {
        0 => [b"(".as_slice(), &text(random, FLOATS)].concat(),
        1 => text(random, &["-inf", "+inf", "inf"]),
        _ => text(random, FLOATS),
    }
}

/// An encoding of BITFIELD.
fn bit_type(random: &mut Random) -> Vec<u8> {
    text(
        random,
        &[
            "u8", "i8", "u4", "i5", "u1", "u16", "i16", "u32", "i32", "u63", "i64", "u64", "i65", "u0", "i0",
            "x8", "", "u", "I8",
        ],
    )
}

/// A bit's place: no value grows past some kilobytes.
fn bit_place(random: &mut Random) -> Vec<u8> {
    match random.below(3) {
        0 => format!("#{}", random.below(9)).into_bytes(),
        1 => random.below(300).to_string().into_bytes(),
        _ => text(
            random,
            &[
                "0",
                "1",
                "7",
                "8",
                "4294967296",
                "-1",
                "abc",
                "#-1",
                "#4294967296",
                "",
                "#",
                "9223372036854775807",
            ],
        ),
    }
}

/// Expressions and their keys: each is run with what keys and arguments happen to follow.
const SCRIPTS: &[&str] = &[
    "return 1",
    "return {1,2,{3,'x'},nil,4}",
    "return KEYS",
    "return ARGV",
    "return redis.call('GET', KEYS[1])",
    "return redis.call('SET', KEYS[1], ARGV[1])",
    "return redis.call('TYPE', KEYS[1])",
    "return redis.call(ARGV[1], KEYS[1], ARGV[2])",
    "return redis.pcall(ARGV[1], KEYS[1], ARGV[2])",
    "local r = redis.pcall('INCR', KEYS[1]) if type(r) == 'table' then return r.err end return r",
    "redis.call('SET', KEYS[1], 'x') error('stop')",
    "redis.call('SET', KEYS[1], 'x') return redis.call('LPUSH', KEYS[1], 'y')",
    "return redis.error_reply('MY own error')",
    "return redis.status_reply('FINE')",
    "return redis.sha1hex(ARGV[1] or '')",
    "return 3.99",
    "return false",
    "return true",
    "return {ok='yes'}",
    "return {err='no'}",
    "return {double=3.5}",
    "redis.setresp(3) return redis.call('HGETALL', KEYS[1])",
    "redis.setresp(3) return redis.call('ZSCORE', KEYS[1], ARGV[1])",
    "redis.setresp(3) local r = redis.call('HGETALL', KEYS[1]) return type(r.map)",
    "return redis.call('ZRANGE', KEYS[1], 0, -1, 'WITHSCORES')",
    "return redis.call('XADD', KEYS[1], '*')",
    "return tostring(redis.call('EXISTS', KEYS[1]))",
    "return cjson.encode({1,2,'x',{a=1}})",
    "return cjson.decode(ARGV[1] or '[]')[1]",
    "return cmsgpack.unpack(cmsgpack.pack({1,'two',3.5}))",
    "return bit.band(tonumber(ARGV[1]) or 7, 3)",
    "return struct.unpack('>I2', struct.pack('>I2', 513))",
    "return #redis.call('KEYS', '*')",
    "return redis.call('NOSUCH')",
    "return nosuch",
    "nosuch = 1",
    "return redis.call()",
    "return redis.call({})",
    "this is no lua",
    "#!lua flags=no-writes\nreturn redis.call('SET', KEYS[1], 1)",
    "#!lua flags=no-writes\nreturn redis.call('GET', KEYS[1])",
    "#!lua flags=nonsense\nreturn 1",
    "#!python\nreturn 1",
    "for i = 1, 5 do redis.call('RPUSH', KEYS[1], i) end return redis.call('LRANGE', KEYS[1], 0, -1)",
    "redis.call('SELECT', 1) return redis.call('DBSIZE')",
    "return string.rep('x', 10) .. tostring(math.floor(2.5))",
    "return tostring(2^53) .. ' ' .. tostring(0.1) .. ' ' .. tostring(1e15) .. ' ' .. tostring(-0)",
];

/// Libraries for FUNCTION LOAD.
const LIBRARIES: &[&str] = &[
    "#!lua name=lib1\nredis.register_function('f1', function(keys, args) return {keys, args} end)",
    "#!lua name=lib1\nredis.register_function('f1', function(keys, args) return redis.call('SET', keys[1], args[1]) end)\nredis.register_function('f2', function() return 2 end)",
    "#!lua name=lib2\nredis.register_function{function_name='f3', callback=function(keys) return redis.call('GET', keys[1]) end, flags={'no-writes'}}",
    "#!lua name=lib2\nredis.register_function('f1', function() return 'other' end)",
    "#!lua name=lib3\nreturn 1",
    "#!lua name=bad-name\nredis.register_function('f', function() end)",
    "#!lua\nredis.register_function('f', function() end)",
    "no shebang",
    "#!nosuch name=lib\n",
    "#!lua name=lib4\nredis.call('GET', 'x')",
    "#!lua name=lib5\nnot lua",
    "#!lua name=lib6\nredis.register_function('f x', function() end)",
];

/// Payloads of DUMP: 10, a list, a set of numbers, and broken ones.
const PAYLOADS: &[&[u8]] = &[
    b"\x00\xc0\n\n\x00n\x9fWE\x0e\xaec\xbb",
    b"",
    b"\x00",
    b"\x00\xc0\n\n\x00n\x9fWE\x0e\xaec\xba",
    b"not a payload at all, though it is long enough",
];

/// Settings at which values change their shape, each with small numbers so that few elements are enough.
pub const THRESHOLDS: &[(&str, &str, &[&str])] = &[
    ("hash-max-listpack-entries", "128", &["0", "2", "5"]),
    ("hash-max-listpack-value", "64", &["1", "8"]),
    ("set-max-intset-entries", "512", &["0", "2", "4"]),
    ("zset-max-listpack-entries", "128", &["0", "2", "5"]),
    ("zset-max-listpack-value", "64", &["1", "8"]),
    ("list-max-listpack-size", "-2", &["1", "3", "-1"]),
    ("list-compress-depth", "0", &["1"]),
    ("stream-node-max-entries", "100", &["1", "3"]),
    ("stream-node-max-bytes", "4096", &["60"]),
];

/// A value of this name for a command of this full name.
pub fn value(name: &str, command: &str, random: &mut Random, next: &mut u64) -> Vec<u8> {
    let lexical_range = command.contains("lex");
    match name {
        "min" | "max" if lexical_range => lexical(random),
        "min" | "max" => score_bound(random),
        "start" | "end" | "stop" if command.starts_with('x') => match random.below(3) {
            0 => text(random, &["-", "+"]),
            _ => stream_id(random, next),
        },
        "start" | "stop" if command == "zrange" || command == "zrangestore" => match random.below(4) {
            0 => lexical(random),
            1 => score_bound(random),
            _ => small(random),
        },
        "id" if command == "xadd" && !random.chance(8) => next_id(random, next),
        "id" | "last-id" | "lastid" | "max-deleted-id" => stream_id(random, next),
        "threshold" => match random.below(3) {
            0 => stream_id(random, next),
            _ => modest(random),
        },
        "score" | "weight" | "radius" | "width" | "height" => text(random, FLOATS),
        "increment" | "decrement" if command == "zincrby" || command.ends_with("float") => {
            text(random, FLOATS)
        }
        "longitude" | "latitude" => text(random, PLACES),
        "increment" | "decrement" | "value" if !random.chance(3) => text(random, NUMBERS),
        "seconds" => time(random, &["100000", "1000000", "99999999"]),
        "milliseconds" if command.starts_with("xread") => text(random, &["1", "1", "2", "-1", "abc", ""]),
        "milliseconds" | "ttl" => time(random, &["100000000", "1000000000"]),
        "unix-time-seconds" => time(random, &["4102444800", "5000000000", "1"]),
        "unix-time-milliseconds" => time(random, &["4102444800000", "5000000000000", "1"]),
        "timeout" => text(random, &["0.001", "0.001", "0.002", "-1", "abc", "", "1e400", "nan"]),
        "min-idle-time" | "ms" => text(random, &["0", "0", "0", "100000000", "-1", "abc"]),
        "bit" => text(random, &["0", "1", "0", "1", "2", "-1", "abc"]),
        "encoding" => bit_type(random),
        "offset" if command.starts_with("bitfield") => bit_place(random),
        "offset" if command.ends_with("bit") => bit_place(random),
        "operation" => text(random, &["AND", "OR", "XOR", "NOT", "and", "nosuch"]),
        "cursor" => text(random, &["0", "0", "0", "0", "abc", "-1", "", "99999999999999999999999"]),
        "pattern" => text(
            random,
            &[
                "*", "?1", "[sl]*", "a*", "w_*", "nosort", "*->a", "h1->*", "#", "", "\\", "[", "s[^2]",
                "h*->f",
            ],
        ),
        "count" | "limit" | "num-matches" | "rank" | "len" | "index" | "offset" | "start" | "end"
        | "stop" | "db" | "destination-db" | "min-match-len" | "entries-added" | "entries-read" => {
            modest(random)
        }
        "numkeys" => small(random),
        "group" => text(random, &["g", "g", "g", "g2", "", "g\u{ff}"]),
        "consumer" => text(random, &["c", "c", "d", ""]),
        "script" => text(random, SCRIPTS),
        "sha1" => text(
            random,
            &[
                "e0e1f9fabfc9d4800c877a703b823ac0578ff8db",
                "0000000000000000000000000000000000000000",
                "short",
                "",
            ],
        ),
        "function-code" => text(random, LIBRARIES),
        "function" => text(random, &["f1", "f2", "f3", "nosuch", "F1", ""]),
        "library-name" | "library-name-pattern" => text(random, &["lib1", "lib2", "nosuch", "lib*", ""]),
        "serialized-value" => random.pick(PAYLOADS).to_vec(),
        "type" => text(random, &["string", "list", "set", "zset", "hash", "stream", "nosuch", "HASH"]),
        "channel" | "shardchannel" | "message" => text(random, &["ch", "ch2", "", "x\u{ff}"]),
        "command" => text(random, &["GET", "mset", "EVAL", "nosuch", "zunionstore", "XREAD", "SORT", ""]),
        _ if random.chance(8) => text(random, NUMBERS),
        _ => random.pick(MEMBERS).to_vec(),
    }
}
