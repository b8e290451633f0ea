//! Scripts that are tried with their declared keys, and undone when they want more.

#![allow(clippy::unwrap_used)]

mod common;

use common::random::Random;
use common::{Client, Launch};

/// A command over the keys of a script, whatever they hold.
fn command(random: &mut Random) -> String {
    const KEYS: [&str; 4] = ["a", "b", "c", "d"];
    const FORMS: [&str; 40] = [
        "SET K V",
        "SET K N",
        "SET K V PX 1000000",
        "SETEX K 1000 V",
        "GETSET K V",
        "GETDEL K",
        "DEL K",
        "APPEND K V",
        "SETRANGE K 3 V",
        "SETBIT K 7 1",
        "INCR K",
        "INCRBYFLOAT K 1.5",
        "EXPIRE K 1000",
        "PERSIST K",
        "PEXPIREAT K 1",
        "RPUSH K V V",
        "LPOP K",
        "LSET K 0 V",
        "LTRIM K 0 1",
        "LMOVE K K LEFT RIGHT",
        "SADD K V N",
        "SREM K V",
        "SMOVE K K V",
        "SUNIONSTORE K K K",
        "HSET K V V",
        "HDEL K V",
        "HINCRBY K V 1",
        "ZADD K 1 V",
        "ZINCRBY K 1 V",
        "ZREM K V",
        "ZUNIONSTORE K 1 K",
        "XADD K 1-N V V",
        "XTRIM K MAXLEN 1",
        "RENAME K K",
        "RENAMENX K K",
        "COPY K K",
        "MSET K V K V",
        "SORT K ALPHA STORE K",
        "GET K",
        "PFADD K V",
    ];
    let form = FORMS[random.below(FORMS.len())];
    let words: Vec<String> = form
        .split(' ')
        .map(|word| match word {
            "K" => KEYS[random.below(KEYS.len())].to_owned(),
            "V" => format!("value{}", random.below(5)),
            word => word.replace('N', &random.below(9).to_string()),
        })
        .collect();
    format!("'{}'", words.join("','"))
}

fn digest(client: &mut Client) -> String {
    client.line("DEBUG DIGEST")
}

/// The same commands in scripts that declare all their keys, some, and none, leave the same behind.
#[test]
fn what_is_undone_leaves_nothing_behind() {
    let launch = || Launch::new().with(&["--workers", "2", "--enable-debug-command", "yes"]);
    let servers = [launch().start(), launch().start(), launch().start()];
    let mut clients: Vec<Client> = servers.iter().map(|server| server.client()).collect();
    let mut random = Random(7);
    for round in 0..400 {
        if round % 40 == 0 {
            clients.iter_mut().for_each(|client| assert_eq!(client.line("FLUSHALL"), "OK"));
        }
        let calls: Vec<String> =
            (0..1 + random.below(6)).map(|_| format!("redis.pcall({})", command(&mut random))).collect();
        // A number in the text makes it a script of its own, which is tried whatever became of others.
        let script = format!("local replies = {{{}}} return {{{round}, #replies}}", calls.join(","));
        let declared: [&[&str]; 3] = [&["4", "a", "b", "c", "d"], &["2", "a", "b"], &["0"]];
        let mut seen = Vec::new();
        for (client, keys) in clients.iter_mut().zip(declared) {
            let words: Vec<&str> = ["EVAL", &script].into_iter().chain(keys.iter().copied()).collect();
            let reply = client.call(&words);
            seen.push((reply, client.line("DBSIZE"), digest(client)));
        }
        assert_eq!(seen[0], seen[1], "{script}");
        assert_eq!(seen[0], seen[2], "{script}");
    }
    // Each has counted each call once.
    let calls = |client: &mut Client| {
        let text = client.line("INFO commandstats");
        let of = |line: &str| {
            line.split("calls=").nth(1).and_then(|rest| rest.split(',').next()).map(str::to_owned)
        };
        text.split("\\r\\n").filter(|line| line.contains("cmdstat_set:")).find_map(of)
    };
    let counts: Vec<_> = clients.iter_mut().map(calls).collect();
    assert!(counts[0].is_some() && counts[0] == counts[1] && counts[0] == counts[2], "{counts:?}");
}

/// What is watched and waited for hears of a script once, and only of what stays.
#[test]
fn who_waits_is_served_by_the_run_that_stays() {
    let server = Launch::new().with(&["--workers", "2"]).start();
    let (mut caller, mut waiting) = (server.client(), server.client());
    waiting.send(&["BLPOP", "list", "0"]);
    common::until("it waits", || caller.info("blocked_clients") == "1");
    let script = "redis.call('RPUSH', KEYS[1], 'x') return redis.call('INCR', 'n')";
    assert_eq!(caller.line(&format!("EVAL \"{script}\" 1 list")), "(integer) 1");
    assert_eq!(
        common::Client::reply(&mut waiting)
            .map(|reply| glasswing::command::transcript::format_value(&reply, "")),
        Some("1) \"list\"\n2) \"x\"".to_owned())
    );
    assert_eq!(caller.line("LLEN list"), "(integer) 0");
}

/// A large value is not copied for a trial: the script takes the whole keyspace instead.
#[test]
fn large_values_are_changed_all_the_same() {
    let server = Launch::new().with(&["--workers", "2"]).start();
    let mut client = server.client();
    let fill = "for i = 1, 1000 do redis.call('RPUSH', KEYS[1], i) end return redis.call('LLEN', KEYS[1])";
    assert_eq!(client.line(&format!("EVAL \"{fill}\" 1 list")), "(integer) 1000");
    for round in 1..20 {
        let script = format!(
            "redis.call('LPOP', KEYS[1]) redis.call('SET', 'n', {round}) return redis.call('LLEN', KEYS[1])"
        );
        assert_eq!(client.line(&format!("EVAL \"{script}\" 1 list")), format!("(integer) {}", 1000 - round));
    }
}
