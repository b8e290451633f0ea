//! Traces of a started server, as a receiver of OTLP decodes them: whose children its spans are, and what has one.

#[path = "common/collector.rs"]
mod collector;
mod common;

use std::collections::HashSet;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::mpsc::Receiver;

use collector::{attribute, hex, receiver};
use common::{Client, Launch, PATIENCE, Server, ok, until};
use glasswing::resp::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00f067aa0ba902b7";

fn traceparent(flags: &str) -> String {
    format!("00-{TRACE}-{PARENT}-{flags}")
}

/// A server whose spans arrive here.
struct Traced {
    server: Server,
    spans: Receiver<Span>,
}

impl Traced {
    /// Only what a caller wants, or what is slow, is traced.
    fn for_callers(options: &[&str]) -> Traced {
        // What takes long on a busy machine is not to be in the way.
        let launch = Launch::new().with(&["--slowlog-log-slower-than", "-1"]).with(options);
        Traced::start("parentbased_always_off", launch)
    }

    fn start(sampler: &str, launch: Launch) -> Traced {
        let (endpoint, spans) = receiver();
        let launch = launch.env("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint);
        Traced { server: launch.env("OTEL_TRACES_SAMPLER", sampler).start(), spans }
    }

    fn client(&self) -> Client {
        self.server.client()
    }

    /// All that has arrived once the server has ended.
    fn arrived(self) -> Arrived {
        self.server.stop();
        Arrived(self.spans.try_iter().collect())
    }
}

struct Arrived(Vec<Span>);

impl Arrived {
    fn named(&self, name: &str) -> &Span {
        let mut of_name = self.0.iter().filter(|span| span.name == name);
        let span = of_name.next().unwrap_or_else(|| panic!("no span {name} in {:?}", self.names()));
        assert!(of_name.next().is_none(), "two spans {name} in {:?}", self.names());
        span
    }

    fn names(&self) -> Vec<&str> {
        self.0.iter().map(|span| span.name.as_str()).collect()
    }

    /// The names of the server's outermost spans.
    fn outermost(&self) -> Vec<&str> {
        let ids: HashSet<&[u8]> = self.0.iter().map(|span| &*span.span_id).collect();
        let outermost = self.0.iter().filter(|span| !ids.contains(&*span.parent_span_id));
        outermost.map(|span| span.name.as_str()).collect()
    }

    fn children(&self, span: &Span) -> Vec<&Span> {
        self.0.iter().filter(|child| child.parent_span_id == span.span_id).collect()
    }
}

/// That a span is a child of the caller's.
#[track_caller]
fn is_callers(span: &Span) {
    assert_eq!((hex(&span.trace_id), hex(&span.parent_span_id)), (TRACE.to_owned(), PARENT.to_owned()));
    assert_eq!(span.kind(), SpanKind::Server);
}

/// Says whose the next command is, and sends it: in one write, as a pipeline does.
fn send_for(client: &mut Client, flags: &str, words: &[&str]) {
    let mut request = common::encode(&["CLIENT", "TRACEPARENT", &traceparent(flags)]);
    request.extend(common::encode(words));
    assert!(client.raw(&request));
}

fn call_for(client: &mut Client, flags: &str, words: &[&str]) -> Option<Value> {
    send_for(client, flags, words);
    assert_eq!(client.reply(), ok());
    client.reply()
}

#[test]
fn a_command_is_a_child_of_its_callers_span_and_the_next_is_not() {
    let traced = Traced::for_callers(&[]);
    for protocol in ["2", "3"] {
        let mut client = traced.client();
        assert!(client.call(&["HELLO", protocol]).is_some());
        assert_eq!(client.line("SELECT 5"), "OK");
        assert_eq!(call_for(&mut client, "01", &["SET", "secret-key", "secret-value"]), ok());
        assert_eq!(client.line("GET secret-key"), "\"secret-value\"");
        // The caller does not record its span: nor do we.
        assert_eq!(
            call_for(&mut client, "00", &["INCR", "n"]),
            Some(Value::Int(if protocol == "2" { 1 } else { 2 }))
        );
    }
    let arrived = traced.arrived();
    assert_eq!(arrived.outermost(), ["set", "set"], "{:?}", arrived.names());
    for set in arrived.0.iter().filter(|span| span.name == "set") {
        is_callers(set);
        for (name, value) in [
            ("db.system.name", "redis"),
            ("db.operation.name", "set"),
            ("db.namespace", "5"),
            ("glasswing.keys", "1"),
        ] {
            assert_eq!(attribute(set, name).as_deref(), Some(value), "{name}");
        }
        let children = arrived.children(set);
        assert!(!children.is_empty() && children.iter().all(|child| child.trace_id == set.trace_id));
    }
    assert!(!format!("{:?}", arrived.0).contains("secret"), "no key and no value");
}

#[test]
fn a_tracestate_is_carried_and_a_broken_one_is_left_out() {
    let traced = Traced::for_callers(&[]);
    let mut client = traced.client();
    for (state, words) in [("congo=t61rcWkgMzE,rojo=1", ["GET", "k"]), ("not a state", ["TYPE", "k"])] {
        assert_eq!(client.call(&["CLIENT", "TRACEPARENT", &traceparent("01"), state]), ok());
        assert!(client.call(&words).is_some());
    }
    let arrived = traced.arrived();
    assert_eq!(arrived.named("get").trace_state, "congo=t61rcWkgMzE,rojo=1");
    is_callers(arrived.named("type"));
    assert_eq!(arrived.named("type").trace_state, "");
}

#[test]
fn without_traces_it_is_taken_and_means_nothing() {
    let server = Server::start(&[]);
    let mut client = server.client();
    assert_eq!(call_for(&mut client, "01", &["SET", "k", "v"]), ok());
    let refused = "ERR Invalid traceparent, it must be in the format of W3C Trace Context";
    assert_eq!(client.line("CLIENT TRACEPARENT 00-0-0-01"), format!("(error) {refused}"));
    assert_eq!(client.line("GET k"), "\"v\"");
}

#[test]
fn what_prepares_the_next_command_leaves_the_callers_word_and_anything_else_uses_it_up() {
    let traced = Traced::for_callers(&[]);
    let mut client = traced.client();
    let mut say = |line: &str| client.line(line);
    let mut caller = format!("CLIENT TRACEPARENT {}", traceparent("01"));
    assert!(say("HELLO 3").starts_with("1#"));
    assert_eq!(say("CLIENT TRACKING ON OPTIN"), "OK");
    assert_eq!(say(&caller), "OK");
    assert_eq!(say("CLIENT CACHING YES"), "OK");
    assert_eq!(say("GET k"), "(nil)");
    // One that is wrong takes the one before away; so does RESET.
    assert_eq!(say(&caller), "OK");
    assert!(say("CLIENT TRACEPARENT 00").starts_with("(error)"));
    assert_eq!(say("STRLEN k"), "(integer) 0");
    assert_eq!(say(&caller), "OK");
    assert_eq!(say("RESET"), "RESET");
    assert_eq!(say("TTL k"), "(integer) -2");
    // The last one counts.
    assert_eq!(say(&caller), "OK");
    caller = caller.replace(PARENT, "00f067aa0ba902b8");
    assert_eq!(say(&caller), "OK");
    assert_eq!(say("CLIENT GETNAME"), "(nil)");
    assert_eq!(say("EXISTS k"), "(integer) 0");
    let arrived = traced.arrived();
    assert_eq!(arrived.outermost(), ["get", "client|getname"]);
    is_callers(arrived.named("get"));
    assert_eq!(hex(&arrived.named("client|getname").parent_span_id), "00f067aa0ba902b8");
}

#[test]
fn a_transaction_is_one_span_with_its_commands_below() {
    let traced = Traced::for_callers(&[]);
    let mut client = traced.client();
    let before = [vec!["SET", "k", "v"], vec!["INCR", "k"], vec!["GET", "k"]];
    let parent = traceparent("01");
    let given = vec!["CLIENT", "TRACEPARENT", parent.as_str()];
    // Said before MULTI, and as one of its commands, as a client's own pipeline sends it.
    for (outside, queue) in
        [(true, before.to_vec()), (false, [vec![given.clone()], before.to_vec()].concat())]
    {
        if outside {
            assert_eq!(client.call(&given), ok());
        }
        assert_eq!(client.line("MULTI"), "OK");
        for words in &queue {
            assert_eq!(client.call(words), Some(Value::Simple("QUEUED".into())));
        }
        assert!(
            matches!(client.call(&["EXEC"]), Some(Value::Array(replies)) if replies.len() == queue.len())
        );
        assert_eq!(client.line("GET k"), "\"v\"");
    }
    // One that ends without being run has used the word up.
    assert_eq!(client.call(&given), ok());
    assert_eq!(client.line("MULTI"), "OK");
    assert_eq!(client.line("DISCARD"), "OK");
    assert_eq!(client.line("GET k"), "\"v\"");
    let arrived = traced.arrived();
    assert_eq!(arrived.outermost(), ["exec", "exec", "discard"], "{:?}", arrived.names());
    let execs: Vec<&Span> = arrived.0.iter().filter(|span| span.name == "exec").collect();
    for (exec, size) in execs.into_iter().zip(["3", "4"]) {
        is_callers(exec);
        assert_eq!(attribute(exec, "db.operation.batch.size").as_deref(), Some(size));
        let commands: Vec<&Span> = arrived
            .children(exec)
            .into_iter()
            .filter(|child| attribute(child, "db.operation.name").is_some())
            .collect();
        let names: Vec<&str> = commands.iter().map(|span| span.name.as_str()).collect();
        assert!(names.ends_with(&["set", "incr", "get"]), "{names:?}");
        assert!(commands.windows(2).all(|pair| pair[0].end_time_unix_nano <= pair[1].start_time_unix_nano));
        let incr = commands[commands.len() - 2];
        assert_eq!(attribute(incr, "db.response.status_code").as_deref(), Some("ERR"));
    }
    is_callers(arrived.named("discard"));
}

#[test]
fn a_blocked_command_is_a_span_until_it_has_ended() {
    let traced = Traced::for_callers(&[]);
    let (mut waiting, mut other) = (traced.client(), traced.client());
    let Some(Value::Int(id)) = waiting.call(&["CLIENT", "ID"]) else { panic!("no id") };
    let blocked = |other: &mut Client| until("it waits", || other.info("blocked_clients") == "1");
    assert_eq!(other.line("SET string v"), "OK");

    send_for(&mut waiting, "01", &["BLPOP", "list", "0"]);
    assert_eq!(waiting.reply(), ok());
    blocked(&mut other);
    assert_eq!(other.line("RPUSH list x"), "(integer) 1");
    assert!(matches!(waiting.reply(), Some(Value::Array(_))));
    assert_eq!(waiting.line("LLEN list"), "(integer) 0");

    send_for(&mut waiting, "01", &["BRPOP", "list", "0"]);
    assert_eq!(waiting.reply(), ok());
    blocked(&mut other);
    assert_eq!(other.call(&["CLIENT", "UNBLOCK", &id.to_string(), "ERROR"]), Some(Value::Int(1)));
    assert!(matches!(waiting.reply(), Some(Value::Error(text)) if text.starts_with(b"UNBLOCKED")));

    // Served with an error: what it was to be moved to is no list.
    send_for(&mut waiting, "01", &["BLMOVE", "list", "string", "LEFT", "LEFT", "0"]);
    assert_eq!(waiting.reply(), ok());
    blocked(&mut other);
    assert_eq!(other.line("RPUSH list x"), "(integer) 1");
    assert!(matches!(waiting.reply(), Some(Value::Error(text)) if text.starts_with(b"WRONGTYPE")));

    // Its time is up, and one whose client goes.
    assert_eq!(call_for(&mut waiting, "01", &["BZPOPMIN", "none", "0.01"]), Some(Value::NullArray));
    send_for(&mut waiting, "01", &["BZPOPMAX", "none", "0"]);
    assert_eq!(waiting.reply(), ok());
    blocked(&mut other);
    drop(waiting);
    until("it has gone", || other.info("blocked_clients") == "0");

    let arrived = traced.arrived();
    assert_eq!(
        arrived.outermost(),
        ["blpop", "brpop", "blmove", "bzpopmin", "bzpopmax"],
        "{:?}",
        arrived.names()
    );
    for (name, code) in
        [("blpop", None), ("brpop", Some("UNBLOCKED")), ("blmove", Some("WRONGTYPE")), ("bzpopmin", None)]
    {
        let span = arrived.named(name);
        is_callers(span);
        assert_eq!(attribute(span, "error.type").as_deref(), code, "{name}");
        let waits = arrived.children(span);
        assert!(waits.iter().any(|child| child.name == "blocked"), "{name} has {waits:?}");
    }
    let waited = arrived.named("bzpopmin");
    assert!(waited.end_time_unix_nano - waited.start_time_unix_nano >= 8_000_000, "{waited:?}");
}

#[test]
fn a_script_has_a_span_for_each_call_up_to_a_bound() {
    let traced = Traced::for_callers(&["--workers", "2"]);
    let mut client = traced.client();
    let few =
        "redis.call('SET', KEYS[1], 'v'); redis.pcall('INCR', KEYS[1]); return redis.call('GET', KEYS[1])";
    assert_eq!(call_for(&mut client, "01", &["EVAL", few, "1", "k"]), Some(Value::Bulk("v".into())));
    let many = "for i = 1, 1000 do redis.call('INCR', KEYS[1]) end return 1";
    assert_eq!(
        call_for(&mut client, "01", &["EVAL_RO", "return redis.call('DBSIZE')", "0"]),
        Some(Value::Int(1))
    );
    assert!(matches!(client.call(&["SCRIPT", "LOAD", many]), Some(Value::Bulk(_))));
    let sha = client.call(&["SCRIPT", "LOAD", many]);
    let Some(Value::Bulk(sha)) = sha else { panic!("{sha:?}") };
    let sha = String::from_utf8_lossy(&sha).into_owned();
    assert_eq!(call_for(&mut client, "01", &["EVALSHA", &sha, "1", "n"]), Some(Value::Int(1)));
    // It was not asked for, so of its calls nothing is left for the next.
    assert_eq!(client.call(&["EVAL", few, "1", "k"]), Some(Value::Bulk("v".into())));
    let arrived = traced.arrived();
    let calls = |span: &Span| -> Vec<&Span> {
        let children = arrived.children(span).into_iter();
        children.filter(|child| attribute(child, "db.operation.name").is_some()).collect()
    };
    let eval = arrived.named("eval");
    is_callers(eval);
    assert_eq!(attribute(eval, "glasswing.calls").as_deref(), Some("3"));
    let names: Vec<&str> = calls(eval).iter().map(|span| span.name.as_str()).collect();
    assert_eq!(names, ["set", "incr", "get"]);
    assert_eq!(attribute(calls(eval)[1], "error.type").as_deref(), Some("ERR"));
    assert!(calls(eval).iter().all(|call| call.start_time_unix_nano >= eval.start_time_unix_nano));
    assert!(calls(eval).iter().all(|call| call.end_time_unix_nano <= eval.end_time_unix_nano));
    // This one walks over keys that it does not name: it ran twice, and shows what counted.
    let counted = arrived.named("eval_ro");
    assert_eq!(calls(counted).len(), 1);
    assert_eq!(attribute(counted, "glasswing.calls").as_deref(), Some("1"));
    let evalsha = arrived.named("evalsha");
    assert_eq!(attribute(evalsha, "glasswing.calls").as_deref(), Some("1000"));
    assert_eq!(calls(evalsha).len(), 32);
}

#[test]
fn a_refused_command_has_a_span_that_says_why() {
    let traced = Traced::for_callers(&["--maxmemory", "1"]);
    let mut client = traced.client();
    for (words, code) in [
        (&["GET"][..], "ERR"),
        (&["SET", "k", "v"][..], "OOM"),
        (&["WHATEVER", "secret"][..], "ERR"),
        (&["EXEC"][..], "ERR"),
    ] {
        let reply = call_for(&mut client, "01", words);
        assert!(matches!(&reply, Some(Value::Error(text)) if text.starts_with(code.as_bytes())), "{reply:?}");
        assert_eq!(client.line("TTL k"), "(integer) -2");
    }
    let arrived = traced.arrived();
    assert_eq!(arrived.outermost(), ["get", "set", "unknown", "exec"]);
    for (name, code) in [("get", "ERR"), ("set", "OOM"), ("unknown", "ERR"), ("exec", "ERR")] {
        let span = arrived.named(name);
        is_callers(span);
        assert_eq!(attribute(span, "db.response.status_code").as_deref(), Some(code));
        assert_eq!(attribute(span, "error.type").as_deref(), Some(code));
    }
    assert!(!format!("{:?}", arrived.0).contains("secret"));
}

#[test]
fn a_slow_command_is_kept_though_nobody_asked_for_it() {
    let traced = Traced::for_callers(&[]);
    let mut client = traced.client();
    assert_eq!(client.line("SET quick v"), "OK");
    // From now on every command is slow.
    assert_eq!(client.line("CONFIG SET slowlog-log-slower-than 0"), "OK");
    assert_eq!(client.line("INCR n"), "(integer) 1");
    assert_eq!(client.line("EVAL \"redis.call('GET', KEYS[1])\" 1 n"), "(nil)");
    assert_eq!(call_for(&mut client, "00", &["STRLEN", "n"]), Some(Value::Int(1)));
    assert_eq!(call_for(&mut client, "01", &["TTL", "n"]), Some(Value::Int(-1)));
    // A wait is not slow: whoever waits has asked for it.
    assert_eq!(client.line("BLPOP none 0.01"), "(nil)");
    assert_eq!(client.line("CONFIG SET slowlog-log-slower-than 1000000"), "OK");
    assert_eq!(client.line("GET quick"), "\"v\"");
    let arrived = traced.arrived();
    let kept = |name| attribute(arrived.named(name), "glasswing.kept");
    assert_eq!(kept("incr").as_deref(), Some("slow"));
    assert_eq!(kept("eval").as_deref(), Some("slow"));
    assert!(arrived.children(arrived.named("eval")).iter().any(|call| call.name == "get"));
    // The caller does not record it, and still it is found in the caller's trace.
    assert_eq!(kept("strlen").as_deref(), Some("slow"));
    is_callers(arrived.named("strlen"));
    assert_eq!(kept("ttl"), None, "the caller has asked for it");
    let names = arrived.outermost();
    assert!(!names.contains(&"set") && !names.contains(&"get") && !names.contains(&"blpop"), "{names:?}");
}

#[test]
fn no_more_than_a_thousand_spans_a_second_whoever_asks() {
    const COMMANDS: usize = 20_000;
    let traced = Traced::start("always_on", Launch::new().admin());
    let mut client = traced.client();
    let began = std::time::Instant::now();
    let pair =
        [common::encode(&["CLIENT", "TRACEPARENT", &traceparent("01")]), common::encode(&["GET", "k"])]
            .concat();
    for _ in 0..COMMANDS / 100 {
        assert!(client.raw(&pair.repeat(100)));
        for _ in 0..100 {
            assert_eq!(client.reply(), ok());
            assert_eq!(client.reply(), Some(Value::Null));
        }
    }
    let seconds = began.elapsed().as_secs() + 2;
    let dropped = traced.server.metric("glasswing_spans_dropped_total")[0].1;
    let arrived = traced.arrived();
    assert!(arrived.0.len() as u64 <= 1_000 * (seconds + 1), "{} in {seconds} s", arrived.0.len());
    assert!(dropped > 0.0, "{COMMANDS} commands have more");
}

#[test]
fn keys_are_named_only_where_a_setting_allows_it() {
    let traced = Traced::for_callers(&[]);
    let mut client = traced.client();
    assert_eq!(call_for(&mut client, "01", &["GET", "hidden"]), Some(Value::Null));
    assert_eq!(client.line("CONFIG SET trace-keys yes"), "OK");
    let keys: Vec<String> = (0..9).map(|number| format!("key:{number}")).collect();
    let words: Vec<&str> = ["MGET"].into_iter().chain(keys.iter().map(String::as_str)).collect();
    assert!(matches!(call_for(&mut client, "01", &words), Some(Value::Array(values)) if values.len() == 9));
    assert_eq!(call_for(&mut client, "01", &["STRLEN", &"x".repeat(200)]), Some(Value::Int(0)));
    assert_eq!(call_for(&mut client, "01", &["SET", "shown", "hidden"]), ok());
    let arrived = traced.arrived();
    assert_eq!(attribute(arrived.named("get"), "glasswing.key_names"), None);
    let mget = arrived.named("mget");
    assert_eq!(attribute(mget, "glasswing.keys").as_deref(), Some("9"));
    assert_eq!(attribute(mget, "glasswing.key_names"), Some(keys[..8].join(" ")));
    assert_eq!(attribute(arrived.named("strlen"), "glasswing.key_names"), Some("x".repeat(128)));
    assert_eq!(attribute(arrived.named("set"), "glasswing.key_names").as_deref(), Some("shown"));
    assert!(!format!("{:?}", arrived.0).contains("hidden"));
}

#[test]
fn saves_rewrites_loads_and_requests_have_spans() {
    let launch = Launch::new().admin().with(&["--appendonly", "yes"]);
    // No sampler is named: all of this is traced, commands nearly never.
    let (endpoint, spans) = receiver();
    let launch = launch.env("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint);
    let server = launch.start();
    let mut client = server.client();
    assert_eq!(client.line("SET k v"), "OK");
    assert!(client.line("BGSAVE").starts_with("Background"));
    until("it is saved", || client.info("rdb_bgsave_in_progress") == "0");
    assert!(client.line("BGREWRITEAOF").starts_with("Background"));
    until("it is rewritten", || {
        client.info("aof_rewrite_in_progress") == "0" && client.info("aof_rewrites") != "0"
    });
    let mut stream = TcpStream::connect(("127.0.0.1", server.admin_port())).expect("the admin port");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let parent = traceparent("01");
    let request = format!(
        "GET /version HTTP/1.1\r\nHost: localhost\r\ntraceparent: {parent}\r\ntracestate: a=1\r\ntracestate: b=2\r\n\
         Connection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).expect("a request");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    // Of two parents nobody knows which one is meant.
    let request = format!(
        "GET /livez HTTP/1.1\r\nHost: localhost\r\ntraceparent: {parent}\r\ntraceparent: {parent}\r\n\
         Connection: close\r\n\r\n"
    );
    let mut stream = TcpStream::connect(("127.0.0.1", server.admin_port())).expect("the admin port");
    stream.write_all(request.as_bytes()).expect("a request");
    stream.read_to_string(&mut String::new()).expect("an answer");
    let arrived = Traced { server, spans }.arrived();
    for name in ["save", "rewrite", "GET /version", "GET /livez"] {
        let span = arrived.named(name);
        assert!(span.end_time_unix_nano > span.start_time_unix_nano);
    }
    let version = arrived.named("GET /version");
    is_callers(version);
    assert_eq!(version.trace_state, "a=1,b=2");
    assert!(arrived.named("GET /livez").parent_span_id.is_empty());

    let (endpoint, spans) = receiver();
    let server = launch.env("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint).with(&["--appendonly", "no"]).start();
    assert_eq!(server.client().line("GET k"), "\"v\"");
    let arrived = Traced { server, spans }.arrived();
    assert_eq!(attribute(arrived.named("load"), "glasswing.keys").as_deref(), Some("1"));
}

#[test]
fn a_command_whose_work_is_done_elsewhere_lasts_until_it_is_done() {
    let traced = Traced::for_callers(&["--enable-protected-configs", "yes"]);
    let mut client = traced.client();
    assert_eq!(client.line("SET k v"), "OK");
    assert_eq!(call_for(&mut client, "01", &["SAVE"]), ok());
    std::fs::create_dir(traced.server.file("folder")).expect("a folder");
    assert_eq!(client.line("CONFIG SET dbfilename folder"), "OK");
    assert!(matches!(call_for(&mut client, "01", &["SAVE"]), Some(Value::Error(_))));
    // Nobody has asked for this one, and it is not slow.
    assert!(client.line("SAVE").starts_with("(error)"));
    let arrived = traced.arrived();
    assert_eq!(arrived.outermost(), ["save", "save"]);
    for (save, code) in arrived.0.iter().filter(|span| span.name == "save").zip([None, Some("ERR")]) {
        is_callers(save);
        assert!(arrived.children(save).iter().any(|child| child.name == "blocked"), "{save:?}");
        assert_eq!(attribute(save, "error.type").as_deref(), code);
    }
}
