//! Traces against a receiver that decodes what arrives, one that never answers, and none.

use std::io::{BufRead as _, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use glasswing::observe::trace::{Caller, CommandSpan, PartSpan, Stages, TraceSettings, Tracer};
use glasswing::observe::{Counter, Stats};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value::Value};
use opentelemetry_proto::tonic::trace::v1::{Span, span::SpanKind, status::StatusCode};
use prost::Message as _;
use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// 23 November 2026, 06:17:28.5 UTC.
const START: u64 = 1_795_414_648_500_000_000;

/// Long enough for any machine; nothing waits that long unless it fails.
const LIMIT: Duration = Duration::from_secs(30);

fn now() -> u64 {
    START
}

fn listener() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    (listener, format!("http://{address}"))
}

fn settings(endpoint: &str, more: &[(&str, &str)]) -> TraceSettings {
    let read = |name: &str| match name {
        "OTEL_EXPORTER_OTLP_ENDPOINT" => Some(endpoint.to_owned()),
        _ => more.iter().find(|(other, _)| *other == name).map(|(_, value)| (*value).to_owned()),
    };
    TraceSettings::from_env(read).expect("an endpoint is set")
}

/// One request as it arrived.
struct Request {
    head: Vec<String>,
    body: Vec<u8>,
}

fn read_request(reader: &mut BufReader<impl Read>) -> Option<Request> {
    let mut head = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let line = line.trim_end().to_owned();
        if line.is_empty() {
            break;
        }
        head.push(line.to_ascii_lowercase());
    }
    let length = head.iter().find_map(|line| line.strip_prefix("content-length: "))?.parse().ok()?;
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Request { head, body })
}

/// Answers every request and hands it on.
fn receiver() -> (String, Receiver<Request>) {
    let (listener, endpoint) = listener();
    let (sender, requests) = channel();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let sender = sender.clone();
            thread::spawn(move || answer(stream, &sender));
        }
    });
    (endpoint, requests)
}

fn answer(stream: impl Read + Write, sender: &Sender<Request>) {
    let mut reader = BufReader::new(stream);
    while let Some(request) = read_request(&mut reader) {
        let _ = sender.send(request);
        let answer = "HTTP/1.1 200 OK\r\nContent-Type: application/x-protobuf\r\nContent-Length: 0\r\n\r\n";
        if reader.get_mut().write_all(answer.as_bytes()).is_err() {
            return;
        }
    }
}

/// The same over TLS, with a certificate of its own making, which it gives as PEM.
fn tls_receiver() -> (String, Receiver<Request>, String) {
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).expect("a certificate");
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).expect("a key");
    let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .expect("a certificate and its key");
    let (listener, endpoint) = listener();
    let (sender, requests) = channel();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let connection = ServerConnection::new(Arc::new(config.clone())).expect("a connection");
            answer(StreamOwned::new(connection, stream), &sender);
        }
    });
    (endpoint.replace("http:", "https:"), requests, made.cert.pem())
}

/// Everything that had arrived once the tracer was shut down.
struct Arrived {
    requests: Vec<Request>,
    resource: Vec<KeyValue>,
    spans: Vec<Span>,
}

fn arrived(tracer: &Tracer, requests: &Receiver<Request>) -> Arrived {
    tracer.shutdown(LIMIT);
    let requests: Vec<_> = requests.try_iter().collect();
    let mut resource = Vec::new();
    let mut spans = Vec::new();
    for request in &requests {
        let decoded = ExportTraceServiceRequest::decode(&*request.body).expect("protobuf");
        for part in decoded.resource_spans {
            resource = part.resource.expect("a resource").attributes;
            spans.extend(part.scope_spans.into_iter().flat_map(|scope| scope.spans));
        }
    }
    Arrived { requests, resource, spans }
}

impl Arrived {
    fn named(&self, name: &str) -> &Span {
        let mut of_name = self.spans.iter().filter(|span| span.name == name);
        let span = of_name.next().unwrap_or_else(|| panic!("no span {name} in {:?}", self.names()));
        assert!(of_name.next().is_none(), "two spans {name}");
        span
    }

    fn names(&self) -> Vec<&str> {
        let mut names: Vec<_> = self.spans.iter().map(|span| span.name.as_str()).collect();
        names.sort_unstable();
        names
    }
}

fn attribute(attributes: &[KeyValue], name: &str) -> Option<String> {
    let found = attributes.iter().find(|pair| pair.key == name)?;
    match found.value.as_ref()?.value.as_ref()? {
        Value::StringValue(text) => Some(text.clone()),
        Value::IntValue(number) => Some(number.to_string()),
        other => panic!("{name} is {other:?}"),
    }
}

fn command(name: &'static str) -> CommandSpan<'static> {
    CommandSpan {
        name,
        measured: None,
        db: 3,
        start_unix_nanos: START,
        stages: Stages {
            parse_nanos: 4_000,
            lock_wait_nanos: 100,
            run_nanos: 30_000,
            blocked_nanos: 0,
            write_nanos: 8_000,
        },
        keys: 2,
        key_names: &[],
        batch: 16,
        worker: 1,
        client: 77,
        error: None,
        caller: None,
        only_slow: false,
        queued: None,
        calls: None,
        parts: &[],
    }
}

const ALL: (&str, &str) = ("OTEL_TRACES_SAMPLER", "always_on");

#[test]
fn a_command_arrives_with_the_stages_that_mattered() {
    let (endpoint, requests) = receiver();
    let stats = Arc::new(Stats::new(1, &["mget"]));
    let more = [
        ALL,
        ("OTEL_SERVICE_NAME", "cache"),
        ("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment=test"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "x-token=a%20b"),
    ];
    let tracer = Tracer::new(&settings(&endpoint, &more), stats.clone(), now).expect("a tracer");
    let mut worker = tracer.worker(1);
    assert!(worker.sample(None));
    worker.command(&command("mget"));
    worker.command(&CommandSpan {
        error: Some("WRONGTYPE Operation against a key holding the wrong kind of value"),
        stages: Stages { run_nanos: 5_000, ..Stages::default() },
        start_unix_nanos: START + 50_000,
        ..command("get")
    });
    let arrived = arrived(&tracer, &requests);

    assert_eq!(arrived.requests[0].head[0], "post /v1/traces http/1.1");
    assert!(arrived.requests[0].head.contains(&"x-token: a b".to_owned()));
    assert!(arrived.requests[0].head.contains(&"content-type: application/x-protobuf".to_owned()));
    assert_eq!(attribute(&arrived.resource, "service.name").as_deref(), Some("cache"));
    assert_eq!(attribute(&arrived.resource, "deployment.environment").as_deref(), Some("test"));
    assert_eq!(attribute(&arrived.resource, "service.version").as_deref(), Some(env!("CARGO_PKG_VERSION")));

    // The wait for locks was less than a twentieth and has no span; "run" stands twice.
    assert_eq!(arrived.names(), ["get", "mget", "parse", "run", "run", "write"]);
    let mget = arrived.named("mget");
    assert_eq!(mget.kind(), SpanKind::Server);
    assert!(mget.parent_span_id.is_empty());
    assert_eq!((mget.start_time_unix_nano, mget.end_time_unix_nano), (START, START + 42_100));
    for (name, value) in [
        ("db.system.name", "redis"),
        ("db.operation.name", "mget"),
        ("db.namespace", "3"),
        ("glasswing.keys", "2"),
        ("glasswing.batch", "16"),
        ("glasswing.worker", "1"),
        ("glasswing.client", "77"),
        ("glasswing.lock_wait_ns", "100"),
    ] {
        assert_eq!(attribute(&mget.attributes, name).as_deref(), Some(value), "{name}");
    }
    let parse = arrived.named("parse");
    assert_eq!((&parse.parent_span_id, &parse.trace_id), (&mget.span_id, &mget.trace_id));
    assert_eq!((parse.start_time_unix_nano, parse.end_time_unix_nano), (START, START + 4_000));
    let write = arrived.named("write");
    assert_eq!(write.parent_span_id, mget.span_id);
    assert_eq!((write.start_time_unix_nano, write.end_time_unix_nano), (START + 34_100, START + 42_100));

    let get = arrived.named("get");
    assert_ne!(get.trace_id, mget.trace_id);
    let status = get.status.as_ref().expect("a status");
    assert_eq!((status.code(), status.message.as_str()), (StatusCode::Error, "WRONGTYPE"));
    assert_eq!(attribute(&get.attributes, "error.type").as_deref(), Some("WRONGTYPE"));
    assert_eq!(attribute(&get.attributes, "db.response.status_code").as_deref(), Some("WRONGTYPE"));
    assert_eq!(stats.counter(Counter::SpansRecorded), 6);
    assert_eq!(stats.counter(Counter::SpansDropped), 0);
}

#[test]
fn a_call_that_is_sent_is_an_exemplar_and_one_over_the_cap_is_none() {
    let (endpoint, requests) = receiver();
    let stats = Arc::new(Stats::new(1, &["get", "mget"]));
    let mut settings = settings(&endpoint, &[ALL]);
    // Four spans of one call, and no more.
    settings.spans_per_second = 7;
    let tracer = Tracer::new(&settings, stats.clone(), now).expect("a tracer");
    let worker = tracer.worker(0);
    worker.command(&CommandSpan { measured: Some(1), ..command("mget") });
    worker.command(&CommandSpan { measured: Some(0), ..command("get") });
    let arrived = arrived(&tracer, &requests);
    let mget = arrived.named("mget");
    let all = stats.exemplars().all();
    let [(1, of_mget)] = all.as_slice() else { panic!("{all:?}") };
    let kept: Vec<_> = of_mget.iter().flatten().collect();
    let [exemplar] = kept.as_slice() else { panic!("{kept:?}") };
    assert_eq!((exemplar.trace.as_slice(), exemplar.span.as_slice()), (&*mget.trace_id, &*mget.span_id));
    // The time that its histogram counts, and when it was over.
    assert_eq!((exemplar.nanos, exemplar.unix_ms), (30_100, (START + 34_100) / 1_000_000));
}

#[test]
fn background_work_arrives_with_its_parts() {
    let (endpoint, requests) = receiver();
    // No sampler is named: commands are sampled at 0.001, background work always.
    let tracer = Tracer::new(&settings(&endpoint, &[]), Arc::new(Stats::new(1, &[])), now).expect("a tracer");
    {
        let save = tracer.background("save");
        save.text("file", "glasswing.snapshot");
        save.number("keys", 1_000);
        {
            let write = save.child("write blocks");
            write.failed("no space left");
        }
        drop(tracer.request("GET /metrics", None));
    }
    let arrived = arrived(&tracer, &requests);
    assert_eq!(arrived.names(), ["GET /metrics", "save", "write blocks"]);
    let save = arrived.named("save");
    assert_eq!(save.kind(), SpanKind::Internal);
    assert_eq!(attribute(&save.attributes, "file").as_deref(), Some("glasswing.snapshot"));
    assert_eq!(attribute(&save.attributes, "keys").as_deref(), Some("1000"));
    let write = arrived.named("write blocks");
    assert_eq!((&write.parent_span_id, &write.trace_id), (&save.span_id, &save.trace_id));
    let status = write.status.as_ref().expect("a status");
    assert_eq!((status.code(), status.message.as_str()), (StatusCode::Error, "no space left"));
    assert_eq!(arrived.named("GET /metrics").kind(), SpanKind::Server);
}

#[test]
fn a_caller_with_a_trace_of_its_own_decides() {
    let (endpoint, requests) = receiver();
    let more = [("OTEL_TRACES_SAMPLER", "parentbased_always_off")];
    let tracer =
        Tracer::new(&settings(&endpoint, &more), Arc::new(Stats::new(1, &[])), now).expect("a tracer");
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let caller =
        |flags| Caller::parse(format!("00-{trace}-00f067aa0ba902b7-{flags}").as_bytes(), Some(b"a=1"));
    drop(tracer.request("sampled", caller("01").as_ref()));
    drop(tracer.request("not sampled", caller("00").as_ref()));
    drop(tracer.request("without", None));
    let arrived = arrived(&tracer, &requests);
    assert_eq!(arrived.names(), ["sampled"]);
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    assert_eq!(hex(&arrived.named("sampled").trace_id), trace);
    assert_eq!(hex(&arrived.named("sampled").parent_span_id), "00f067aa0ba902b7");
    assert_eq!(arrived.named("sampled").trace_state, "a=1");
}

#[test]
fn a_command_in_a_callers_trace_arrives_with_what_it_ran() {
    let (endpoint, requests) = receiver();
    let more = [("OTEL_TRACES_SAMPLER", "parentbased_always_off")];
    let tracer =
        Tracer::new(&settings(&endpoint, &more), Arc::new(Stats::new(1, &[])), now).expect("a tracer");
    let mut worker = tracer.worker(0);
    let caller = |flags| {
        let text = format!("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-{flags}");
        Caller::parse(text.as_bytes(), None).expect("it is well-formed")
    };
    assert!(worker.sample(Some(&caller("01"))) && !worker.sample(Some(&caller("00"))));
    let part = |name, from, nanos, error| PartSpan { name, start_unix_nanos: START + from, nanos, error };
    worker.command(&CommandSpan {
        caller: Some(&caller("01")),
        queued: Some(2),
        parts: &[part("get", 5_000, 900, None), part("incr", 6_000, 800, Some("ERR value 'secret' is not"))],
        ..command("exec")
    });
    let arrived = arrived(&tracer, &requests);
    let exec = arrived.named("exec");
    assert_eq!((exec.trace_id[0], exec.parent_span_id[1]), (0x4b, 0xf0));
    assert_eq!(attribute(&exec.attributes, "db.operation.batch.size").as_deref(), Some("2"));
    let get = arrived.named("get");
    assert_eq!((&get.parent_span_id, &get.trace_id), (&exec.span_id, &exec.trace_id));
    assert_eq!((get.start_time_unix_nano, get.end_time_unix_nano), (START + 5_000, START + 5_900));
    let incr = arrived.named("incr");
    assert_eq!(incr.parent_span_id, exec.span_id);
    assert_eq!(incr.status.as_ref().expect("a status").message, "ERR");
}

#[test]
fn a_wait_is_a_stage() {
    let (endpoint, requests) = receiver();
    let tracer =
        Tracer::new(&settings(&endpoint, &[ALL]), Arc::new(Stats::new(1, &[])), now).expect("a tracer");
    let stages = Stages { run_nanos: 10_000, blocked_nanos: 9_000_000, ..Stages::default() };
    tracer.worker(0).command(&CommandSpan { stages, ..command("blpop") });
    let arrived = arrived(&tracer, &requests);
    assert_eq!(arrived.names(), ["blocked", "blpop"]);
    let blocked = arrived.named("blocked");
    assert_eq!(
        (blocked.start_time_unix_nano, blocked.end_time_unix_nano),
        (START + 10_000, START + 9_010_000)
    );
    let blpop = arrived.named("blpop");
    assert_eq!(attribute(&blpop.attributes, "glasswing.blocked_ns").as_deref(), Some("9000000"));
}

#[test]
fn the_cap_holds_and_counts() {
    let (endpoint, requests) = receiver();
    let stats = Arc::new(Stats::new(1, &["get"]));
    let mut settings = settings(&endpoint, &[ALL]);
    settings.spans_per_second = 10;
    let tracer = Tracer::new(&settings, stats.clone(), now).expect("a tracer");
    let worker = tracer.worker(0);
    // Four spans each: two fit into ten, the third is left out as a whole.
    let caller = Caller::parse(b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", None);
    for turn in 0..100 {
        // Who asks for it by a trace of their own, or is slow, gets no more.
        let (caller, only_slow) = (caller.as_ref().filter(|_| turn % 2 == 0), turn % 3 == 0);
        worker.command(&CommandSpan { caller, only_slow, ..command("get") });
    }
    drop(tracer.background("save"));
    drop(tracer.background("save"));
    drop(tracer.background("over the cap"));
    let arrived = arrived(&tracer, &requests);
    assert_eq!(arrived.spans.len(), 10);
    assert_eq!(stats.counter(Counter::SpansRecorded), 10);
    assert_eq!(stats.counter(Counter::SpansDropped), 98 * 4 + 1);
}

/// Records 10,000 commands, which must be done whatever the endpoint does.
fn record_many(tracer: &Tracer) -> u64 {
    let mut worker = tracer.worker(0);
    let mut spans = 0;
    for _ in 0..10_000 {
        assert!(worker.sample(None));
        worker.command(&CommandSpan {
            stages: Stages { run_nanos: 1_000, ..Stages::default() },
            ..command("set")
        });
        spans += 2;
    }
    spans
}

#[test]
fn an_endpoint_that_never_answers_holds_nobody_up() {
    let (listener, endpoint) = listener();
    let held = Arc::new(Mutex::new(Vec::new()));
    let (arrived, arrival) = channel();
    let keep = held.clone();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let mut reader = BufReader::new(stream);
            let _ = arrived.send(read_request(&mut reader).is_some());
            // It is kept open and never answered.
            keep.lock().expect("the list").push(reader);
        }
    });
    let stats = Arc::new(Stats::new(1, &["set"]));
    // The request would be given up after an hour: what does not return before that waits.
    let more = [ALL, ("OTEL_EXPORTER_OTLP_TIMEOUT", "3600000"), ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "16")];
    let mut settings = settings(&endpoint, &more);
    settings.spans_per_second = u64::MAX;
    let tracer = Tracer::new(&settings, stats.clone(), now).expect("a tracer");
    let warm_up = tracer.worker(0);
    for _ in 0..16 {
        warm_up.command(&command("set"));
    }
    assert_eq!(arrival.recv_timeout(LIMIT), Ok(true), "the exporter is waiting for its answer");

    let before = stats.counter(Counter::SpansRecorded) + stats.counter(Counter::SpansDropped);
    let spans = record_many(&tracer);
    let recorded = stats.counter(Counter::SpansRecorded);
    let dropped = stats.counter(Counter::SpansDropped);
    assert_eq!(recorded + dropped, before + spans, "every span is accounted for");
    assert!(dropped >= spans - 2 * settings.queue_size as u64, "the queue is bounded: {dropped} dropped");
    assert_eq!(held.lock().expect("the list").len(), 1, "still the first request, still without an answer");
    tracer.shutdown(Duration::from_millis(1));
}

#[test]
fn an_endpoint_that_is_down_costs_only_the_spans() {
    let (listener, endpoint) = listener();
    drop(listener);
    let stats = Arc::new(Stats::new(1, &["set"]));
    let mut settings = settings(&endpoint, &[ALL, ("OTEL_EXPORTER_OTLP_TIMEOUT", "1000")]);
    settings.spans_per_second = u64::MAX;
    let tracer = Tracer::new(&settings, stats.clone(), now).expect("a tracer");
    let spans = record_many(&tracer);
    tracer.shutdown(LIMIT);
    assert_eq!(stats.counter(Counter::SpansDropped), spans, "none arrived, all are counted");
}

#[test]
fn an_endpoint_that_cannot_work_is_refused() {
    for endpoint in ["127.0.0.1:4318", "ftp://x", "http://[x", "https://[x"] {
        let result = Tracer::new(&settings(endpoint, &[]), Arc::new(Stats::new(1, &[])), now);
        assert!(result.is_err(), "{endpoint}");
    }
}

#[test]
fn without_traces_nothing_is_sampled() {
    let tracer = Tracer::off();
    let mut worker = tracer.worker(0);
    assert!((0..100_000).all(|_| !worker.sample(None)));
    worker.command(&command("get"));
    let span = tracer.background("save");
    span.text("a", "b");
    drop(span.child("c"));
    assert!(!tracer.is_on());
    tracer.shutdown(LIMIT);
}

#[test]
fn a_collector_over_tls_gets_spans_only_if_its_certificate_is_trusted() {
    let folder = tempfile::tempdir().expect("a folder");
    let (endpoint, requests, own) = tls_receiver();
    let (_, _, strange) = tls_receiver();
    for (pem, arrives) in [(&own, true), (&strange, false)] {
        let path = folder.path().join("collector.pem");
        std::fs::write(&path, pem).expect("a file");
        let stats = Arc::new(Stats::new(1, &["get"]));
        let more = [ALL, ("OTEL_EXPORTER_OTLP_CERTIFICATE", path.to_str().expect("a name"))];
        let tracer = Tracer::new(&settings(&endpoint, &more), stats.clone(), now).expect("a tracer");
        let mut worker = tracer.worker(0);
        assert!(worker.sample(None));
        worker.command(&command("get"));
        let arrived = arrived(&tracer, &requests);
        assert_eq!(arrived.names().contains(&"get"), arrives);
        assert_eq!(stats.counter(Counter::SpansDropped) > 0, !arrives, "what is lost is counted");
    }
}

#[test]
fn a_certificate_that_cannot_be_read_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let empty = folder.path().join("empty.pem");
    std::fs::write(&empty, "none here").expect("a file");
    for (path, why) in [(folder.path().join("none.pem"), "No such file"), (empty, "no certificate")] {
        let path = path.to_str().expect("a name");
        let more = [ALL, ("OTEL_EXPORTER_OTLP_CERTIFICATE", path)];
        let stats = Arc::new(Stats::new(1, &["get"]));
        let refused =
            Tracer::new(&settings("https://127.0.0.1:1", &more), stats, now).expect_err("no tracer");
        assert!(refused.to_string().contains(path) && refused.to_string().contains(why), "{refused}");
    }
}
