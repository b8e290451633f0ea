//! Decode and encode as a pipelining client makes the server do it.
//!
//! `cargo bench --bench resp`; the element rate is requests or replies a second.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use glasswing::resp::{Decoded, Encoder, Protocol, RequestDecoder, RequestLimits, Span};

/// Requests in one read of 16 KiB, roughly.
const PIPELINE: usize = 128;

fn request(args: &[&[u8]]) -> Vec<u8> {
    let mut out = Encoder::new(Protocol::Resp2);
    out.array(args.len());
    args.iter().for_each(|arg| out.bulk(arg));
    out.into_vec()
}

fn decode_all(
    decoder: &mut RequestDecoder,
    stream: &[u8],
    args: &mut Vec<Span>,
    limits: &RequestLimits,
) -> usize {
    let (mut start, mut requests) = (0, 0);
    while let Ok(Decoded::Request { consumed }) = decoder.decode(&stream[start..], start, args, limits) {
        start += consumed;
        requests += 1;
    }
    requests
}

fn decode(c: &mut Criterion) {
    let value = [b'x'; 64];
    let streams = [
        ("get", request(&[b"GET", b"key:000000012345"])),
        ("set", request(&[b"SET", b"key:000000012345", &value])),
        (
            "mset 10",
            request(
                &[[&b"MSET"[..]].as_slice(), [&b"key:000000012345"[..], &value].repeat(10).as_slice()]
                    .concat(),
            ),
        ),
    ];
    let mut group = c.benchmark_group("decode");
    group.throughput(Throughput::Elements(PIPELINE as u64));
    for (name, request) in streams {
        let stream = request.repeat(PIPELINE);
        let limits = RequestLimits::default();
        let mut decoder = RequestDecoder::default();
        let mut args = Vec::with_capacity(PIPELINE * 21);
        assert_eq!(decode_all(&mut decoder, &stream, &mut args, &limits), PIPELINE);
        group.bench_function(name, |b| {
            b.iter(|| {
                args.clear();
                decode_all(&mut decoder, black_box(&stream), &mut args, &limits)
            });
        });
    }
    group.finish();
}

fn encode(c: &mut Criterion) {
    let value = [b'x'; 64];
    let mut group = c.benchmark_group("encode");
    group.throughput(Throughput::Elements(PIPELINE as u64));
    let mut bench = |name: &str, reply: &dyn Fn(&mut Encoder)| {
        let mut out = Encoder::new(Protocol::Resp2);
        group.bench_function(name, |b| {
            b.iter(|| {
                out.clear();
                (0..PIPELINE).for_each(|_| reply(&mut out));
                out.len()
            });
        });
    };
    bench("ok", &|out| out.ok());
    bench("simple", &|out| out.simple(black_box("PONG")));
    bench("null", &|out| out.null());
    bench("bulk 64", &|out| out.bulk(black_box(&value)));
    bench("int 1", &|out| out.int(black_box(1)));
    bench("int 12345678", &|out| out.int(black_box(12_345_678)));
    bench("double 0.1", &|out| out.double(black_box(0.1)));
    bench("double 1000", &|out| out.double(black_box(1000.0)));
    group.finish();
}

criterion_group!(benches, decode, encode);
criterion_main!(benches);
