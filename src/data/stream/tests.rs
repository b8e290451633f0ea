//! The stream against a plain model.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

type Fields = Vec<(Vec<u8>, Vec<u8>)>;

#[derive(Clone, Debug, Default)]
struct Model {
    entries: BTreeMap<Id, Fields>,
    last: Id,
    max_deleted: Id,
    added: u64,
}

#[derive(Clone, Debug)]
enum Step {
    Add { ms: u64, seq: u64, fields: Fields },
    Delete { place: usize },
    Trim { keep: usize, whole: bool, limit: u64 },
    TrimFrom { place: usize, whole: bool },
    Range { from: usize, to: usize },
    SetBack,
    Copy,
}

fn fields() -> impl Strategy<Value = Fields> {
    let usual = (0u32..1_000).prop_map(|value| {
        vec![(b"name".to_vec(), format!("{value:04}").into_bytes()), (b"b".to_vec(), b"x".to_vec())]
    });
    let longer =
        "[a-z]{0,200}".prop_map(|text| vec![(b"name".to_vec(), text.into_bytes()), (b"b".to_vec(), vec![])]);
    let other = prop::collection::vec(("[ab]{0,3}", "-?[0-9]{0,25}"), 1..5);
    let other = other.prop_map(|pairs| {
        pairs.into_iter().map(|(name, value)| (name.into_bytes(), value.into_bytes())).collect()
    });
    prop_oneof![6 => usual, 1 => longer, 1 => other]
}

fn step() -> impl Strategy<Value = Step> {
    let ms = prop_oneof![8 => 0u64..3, 2 => 0u64..40, 1 => 0u64..1 << 40];
    let seq = prop_oneof![8 => 1u64..2, 1 => 1u64..1 << 33];
    prop_oneof![
        12 => (ms, seq, fields()).prop_map(|(ms, seq, fields)| Step::Add { ms, seq, fields }),
        3 => any::<usize>().prop_map(|place| Step::Delete { place }),
        1 => (0usize..300, any::<bool>(), 0u64..20).prop_map(|(keep, whole, limit)| Step::Trim { keep, whole, limit }),
        1 => (any::<usize>(), any::<bool>()).prop_map(|(place, whole)| Step::TrimFrom { place, whole }),
        3 => (any::<usize>(), any::<usize>()).prop_map(|(from, to)| Step::Range { from, to }),
        1 => Just(Step::SetBack),
        1 => Just(Step::Copy),
    ]
}

fn read(entry: Entry<'_>) -> (Id, Fields) {
    (entry.id, entry.fields().map(|(name, value)| (name.to_vec(), value.to_vec())).collect())
}

fn pick(model: &Model, place: usize) -> Id {
    match model.entries.len() {
        0 => Id::new(place as u64 % 100, 0),
        len => {
            let id = model.entries.keys().nth(place % len).copied().unwrap_or_default();
            if place.is_multiple_of(7) { id.next().unwrap_or(id) } else { id }
        }
    }
}

fn check(stream: &Stream, model: &Model) {
    let log = stream.log();
    assert_eq!(log.len(), model.entries.len() as u64);
    let all: Vec<_> = log.iter().map(read).collect();
    let expected: Vec<_> = model.entries.iter().map(|(id, fields)| (*id, fields.clone())).collect();
    assert_eq!(all, expected);
    let mut down: Vec<_> = log.range_down(Id::MIN, Id::MAX).map(read).collect();
    down.reverse();
    assert_eq!(down, expected);
    assert_eq!(log.first_entry(), expected.first().map_or(Id::MIN, |entry| entry.0));
    assert_eq!(log.last_entry(), expected.last().map(|entry| entry.0));
    assert_eq!((log.last_id(), log.max_deleted(), log.added()), (model.last, model.max_deleted, model.added));
    let sealed = log.sealed.iter().flat_map(|sealed| {
        sealed.iter().map(|(_, one)| {
            assert_eq!(one.live, u32::from(one.node.live));
            one.node.memory_usage()
        })
    });
    let bytes: usize = sealed.chain(log.tail.iter().map(|tail| tail.memory_usage())).sum();
    assert_eq!(bytes, log.bytes, "the account of bytes");
}

fn apply(stream: &mut Stream, model: &mut Model, step: Step, limits: NodeLimits) {
    let log = stream.log_mut();
    match step {
        Step::Add { ms, seq, fields } => {
            let id = if ms > 0 {
                Id::new(model.last.ms + ms, seq - 1)
            } else {
                Id::new(model.last.ms, model.last.seq + seq)
            };
            let pairs: Vec<Pair<'_>> = fields.iter().map(|(name, value)| (&name[..], &value[..])).collect();
            assert!(log.append(id, &pairs, limits));
            assert!(!log.append(id, &pairs, limits), "an ID comes once");
            model.entries.insert(id, fields);
            (model.last, model.added) = (id, model.added + 1);
        }
        Step::Delete { place } => {
            let id = pick(model, place);
            let there = model.entries.remove(&id).is_some();
            assert_eq!(log.delete(&[id]), usize::from(there));
            if there {
                model.max_deleted = model.max_deleted.max(id);
            }
        }
        Step::Trim { keep, whole, limit } => {
            let trim = Trim {
                keep: Keep::Newest(keep as u64),
                whole_nodes: whole,
                limit: if whole { limit } else { 0 },
            };
            let surplus = model.entries.len().saturating_sub(keep);
            let gone = log.trim(&trim).entries as usize;
            assert!(if whole {
                gone <= surplus && (limit == 0 || gone as u64 <= limit)
            } else {
                gone == surplus
            });
            (0..gone).for_each(|_| drop(model.entries.pop_first()));
        }
        Step::TrimFrom { place, whole } => {
            let id = pick(model, place);
            let below = model.entries.range(..id).count();
            let gone =
                log.trim(&Trim { keep: Keep::From(id), whole_nodes: whole, limit: 0 }).entries as usize;
            assert!(if whole { gone <= below } else { gone == below }, "{gone} of {below}");
            (0..gone).for_each(|_| drop(model.entries.pop_first()));
        }
        Step::Range { from, to } => {
            let (from, to) = (pick(model, from), pick(model, to));
            let expected: Vec<_> = if from <= to {
                model.entries.range(from..=to).map(|(id, fields)| (*id, fields.clone())).collect()
            } else {
                Vec::new()
            };
            assert_eq!(log.range(from, to).map(read).collect::<Vec<_>>(), expected);
            let mut down: Vec<_> = log.range_down(from, to).map(read).collect();
            down.reverse();
            assert_eq!(down, expected);
            assert_eq!(
                log.get(from).map(read),
                model.entries.get_key_value(&from).map(|(id, fields)| (*id, fields.clone()))
            );
        }
        Step::SetBack => {
            model.last = model.entries.keys().next_back().copied().unwrap_or_default();
            log.set_last_id(model.last, None, None);
        }
        Step::Copy => {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]

    #[test]
    fn entries_are_those_of_the_model(
        steps in prop::collection::vec(step(), 1..250),
        max_entries in prop_oneof![Just(3u64), Just(10), Just(0)],
        max_bytes in prop_oneof![Just(150u64), Just(4096)],
    ) {
        let limits = NodeLimits { max_bytes, max_entries };
        let (mut stream, mut model) = (Stream::new(), Model::default());
        let mut copies = Vec::new();
        for step in steps {
            if matches!(step, Step::Copy) {
                copies.push((stream.clone(), model.clone()));
            }
            apply(&mut stream, &mut model, step, limits);
        }
        check(&stream, &model);
        // What was handed over is as it was, whatever was done since.
        copies.iter().for_each(|(stream, model)| check(stream, model));
    }

    #[test]
    fn ordered_is_a_map(steps in prop::collection::vec((any::<u8>(), 0u64..700), 1..1_500)) {
        let (mut ordered, mut model) = (ordered::Ordered::default(), BTreeMap::new());
        for (kind, number) in steps {
            let id = Id::new(number, number % 3);
            match kind {
                0..=170 => assert_eq!(ordered.insert(id, number), model.insert(id, number)),
                171..=240 => assert_eq!(ordered.remove(id), model.remove(&id)),
                241..=250 => {
                    let taken = ordered.take_first(kind as usize % 7);
                    let expected: Vec<_> = (0..kind % 7).filter_map(|_| model.pop_first()).collect();
                    assert_eq!(taken.iter().map(|(id, &value)| (id, value)).collect::<Vec<_>>(), expected);
                }
                _ => assert_eq!(ordered.pop_last(), model.pop_last()),
            }
            assert_eq!(ordered.len(), model.len());
            assert_eq!(ordered.get(id), model.get(&id));
            let up: Vec<_> = ordered.from(id).take(3).map(|(id, _)| id).collect();
            assert_eq!(up, model.range(id..).take(3).map(|(id, _)| *id).collect::<Vec<_>>());
            let down: Vec<_> = ordered.down_from(id).take(3).map(|(id, _)| id).collect();
            assert_eq!(down, model.range(..=id).rev().take(3).map(|(id, _)| *id).collect::<Vec<_>>());
        }
        assert_eq!(ordered.iter().map(|(id, &value)| (id, value)).collect::<Vec<_>>(), model.into_iter().collect::<Vec<_>>());
    }

    #[test]
    fn pending_entries_belong_to_one_consumer(steps in prop::collection::vec((0u8..8, 0u64..40, 0u8..4), 1..400)) {
        let mut group = Group::new(b"g", Id::MIN, None);
        let mut model: BTreeMap<Id, u8> = BTreeMap::new();
        for (kind, number, who) in steps {
            let (id, name) = (Id::new(number, 0), [b'a' + who]);
            match kind {
                0..=4 => {
                    let consumer = group.find(&name).or_else(|| group.create_consumer(&name, 0)).expect("one of both");
                    group.assign(id, Pending { consumer, delivered_ms: 0, deliveries: 1 });
                    model.insert(id, who);
                }
                5 | 6 => assert_eq!(group.acknowledge(id).is_some(), model.remove(&id).is_some()),
                _ => {
                    let had = model.values().filter(|&&other| other == who).count();
                    assert_eq!(group.remove_consumer(&name).unwrap_or(0), had);
                    model.retain(|_, other| *other != who);
                }
            }
        }
        assert_eq!(group.pending_from(Id::MIN).map(|(id, _)| id).collect::<Vec<_>>(), model.keys().copied().collect::<Vec<_>>());
        for consumer in group.consumers() {
            let own: Vec<Id> = consumer.pending_from(Id::MIN).collect();
            let expected: Vec<Id> = model.iter().filter(|(_, who)| [b'a' + **who] == *consumer.name()).map(|(id, _)| *id).collect();
            assert_eq!(own, expected);
            assert!(own.iter().all(|&id| group.pending(id).and_then(|one| group.consumer(one.consumer)).is_some_and(|one| one.name() == consumer.name())));
        }
    }
}

#[test]
fn a_stream_is_written_and_read_back() {
    let (mut stream, mut model) = (Stream::new(), Model::default());
    for number in 0..500u64 {
        let fields = vec![(b"f".to_vec(), number.to_string().into_bytes())];
        apply(&mut stream, &mut model, Step::Add { ms: number % 3, seq: 1, fields }, NodeLimits::default());
    }
    apply(&mut stream, &mut model, Step::Delete { place: 8 }, NodeLimits::default());
    assert!(stream.create_group(b"g", Id::new(5, 0), Some(7)) && stream.create_group(b"a", Id::MIN, None));
    if let Some((_, group)) = stream.group_mut(b"g") {
        let consumer = group.create_consumer(b"c", 99).expect("a new name");
        group.create_consumer(b"idle", 98);
        group.assign(Id::new(5, 0), Pending { consumer, delivered_ms: 3, deliveries: 2 });
    }
    let text = serde_json::to_string(&stream).expect("a stream can be written");
    let back: Stream = serde_json::from_str(&text).expect("and read");
    assert_eq!(serde_json::to_string(&back).expect("again"), text);
    check(&back, &model);
    assert_eq!(
        back.groups().map(|group| group.name().to_vec()).collect::<Vec<_>>(),
        [b"a".to_vec(), b"g".to_vec()]
    );
    let group = back.group(b"g").expect("it was written");
    assert_eq!((group.last_id, group.entries_read, group.pending_len()), (Id::new(5, 0), Some(7), 1));
    assert_eq!(
        group.consumers().map(|consumer| (consumer.seen_ms, consumer.pending())).collect::<Vec<_>>(),
        [(99, 1), (98, 0)]
    );
}

#[test]
fn the_tree_has_the_nodes_of_redis() {
    let mut log = Log::default();
    assert_eq!(log.radix_tree_nodes(), 1);
    let limits = NodeLimits { max_entries: 1, ..NodeLimits::default() };
    // What redis-server 7.0.15 said for the same IDs with stream-node-max-entries 1.
    for (id, nodes) in [(Id::new(1, 1), 2), (Id::new(1, 2), 4), (Id::new(2, 0), 8), (Id::new(2, 300), 12)] {
        log.append(id, &[(b"f", b"v")], limits);
        assert_eq!(log.radix_tree_nodes(), nodes, "{id:?}");
    }
}
