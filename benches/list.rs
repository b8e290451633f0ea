//! The list: ends, indexes and ranges.

use std::hint::black_box;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use glasswing::data::{List, NodeLimit};

/// 16 bytes, as most of the project's measurements have it; and, with
/// `varied`, between 10 and 22, so that nodes need separators.
fn element(index: usize, varied: bool) -> Vec<u8> {
    let mut text = format!("element:{index:08}").into_bytes();
    if varied {
        text.resize(10 + index % 13, b'.');
    }
    text
}

fn list(count: usize, varied: bool) -> List {
    let mut list = List::new();
    for index in 0..count {
        list.push_back(&element(index, varied), NodeLimit::default());
    }
    list
}

fn ends(c: &mut Criterion) {
    const COUNT: usize = 10_000;
    let mut group = c.benchmark_group("list/ends");
    group.throughput(Throughput::Elements(COUNT as u64));
    for (name, varied) in [("equal", false), ("varied", true)] {
        let elements: Vec<Vec<u8>> = (0..COUNT).map(|index| element(index, varied)).collect();
        let limit = NodeLimit::default();
        group.bench_function(format!("push_back/{name}"), |b| {
            b.iter_batched(
                List::new,
                |mut list| {
                    elements.iter().for_each(|element| list.push_back(element, limit));
                    list
                },
                BatchSize::LargeInput,
            );
        });
        group.bench_function(format!("push_front/{name}"), |b| {
            b.iter_batched(
                List::new,
                |mut list| {
                    elements.iter().for_each(|element| list.push_front(element, limit));
                    list
                },
                BatchSize::LargeInput,
            );
        });
        let full = list(COUNT, varied);
        group.bench_function(format!("pop_front/{name}"), |b| {
            b.iter_batched(
                || full.clone(),
                |mut list| while list.pop_front_with(|bytes| black_box(bytes.len())).is_some() {},
                BatchSize::LargeInput,
            );
        });
        group.bench_function(format!("pop_back/{name}"), |b| {
            b.iter_batched(
                || full.clone(),
                |mut list| while list.pop_back_with(|bytes| black_box(bytes.len())).is_some() {},
                BatchSize::LargeInput,
            );
        });
        for length in [1, 100, 10_000] {
            let mut queue = list(length, varied);
            group.bench_function(format!("queue_of_{length}/{name}"), |b| {
                b.iter(|| {
                    for element in &elements {
                        queue.push_back(element, limit);
                        queue.pop_front_with(|bytes| black_box(bytes.len()));
                    }
                });
            });
        }
    }
    group.finish();
}

fn reads(c: &mut Criterion) {
    let mut group = c.benchmark_group("list/reads");
    for (name, varied) in [("equal", false), ("varied", true)] {
        for count in [100, 10_000, 1_000_000] {
            let list = list(count, varied);
            let mut index = 0;
            group.bench_function(format!("get_of_{count}/{name}"), |b| {
                b.iter(|| {
                    index = (index + 7919) % count;
                    black_box(list.get(black_box(index as i64)))
                });
            });
        }
        let list = list(10_000, varied);
        group.bench_function(format!("range_100/{name}"), |b| {
            b.iter(|| list.range(black_box(3000), 100).map(<[u8]>::len).sum::<usize>());
        });
        group.bench_function(format!("range_rev_100/{name}"), |b| {
            b.iter(|| list.range_rev(black_box(3000), 100).map(<[u8]>::len).sum::<usize>());
        });
    }
    group.finish();
}

criterion_group!(benches, ends, reads);
criterion_main!(benches);
