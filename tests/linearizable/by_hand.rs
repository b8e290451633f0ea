//! Histories made by hand: what the checker must accept and what it must reject.

use super::checker::{History, Operation, Verdict, check};
use super::model::{Answer, Command, End};

/// A command of a client, from when to when, and its answer.
type Line = (usize, u64, u64, Command, Answer);

fn history(lines: Vec<Line>) -> History {
    let clients = lines.iter().map(|line| line.0 + 1).max().unwrap_or(0);
    let mut history: History = vec![Vec::new(); clients];
    for (client, invoked, returned, command, answer) in lines {
        history[client].push(Operation { client, database: 0, command, answer, invoked, returned });
    }
    history
}

fn accepted(lines: Vec<Line>) {
    let verdict = check(&history(lines));
    assert!(matches!(verdict, Verdict::Linearizable), "{verdict:?}");
}

fn rejected(lines: Vec<Line>) {
    let verdict = check(&history(lines));
    assert!(matches!(verdict, Verdict::Violation(_)), "{verdict:?}");
}

fn both(first: i64, second: i64) -> Command {
    Command::Mset(vec![("a", first), ("b", second)])
}

fn values(of: [Option<i64>; 2]) -> Answer {
    Answer::Many(of.into_iter().map(|value| value.map_or(Answer::Nil, Answer::Value)).collect())
}

fn popped(key: &str, value: i64) -> Answer {
    Answer::Many(vec![Answer::Key(key.to_owned()), Answer::Value(value)])
}

#[test]
fn an_mset_is_seen_whole_or_not_at_all() {
    let read = || Command::Mget(vec!["a", "b"]);
    let during = |answer| vec![(0, 0, 10, both(1, 2), Answer::Ok), (1, 5, 6, read(), answer)];
    accepted(during(values([Some(1), Some(2)])));
    accepted(during(values([None, None])));
    rejected(during(values([Some(1), None])));
    rejected(during(values([None, Some(2)])));
}

#[test]
fn two_reads_of_an_mset_under_way_do_not_go_back() {
    rejected(vec![
        (0, 0, 10, both(1, 2), Answer::Ok),
        (1, 1, 2, Command::Get("a"), Answer::Value(1)),
        (1, 3, 4, Command::Get("b"), Answer::Nil),
    ]);
}

#[test]
fn an_update_is_not_lost() {
    let (incr, get) = (|| Command::Incr("a"), Command::Get("a"));
    rejected(vec![(0, 0, 5, incr(), Answer::Number(1)), (1, 0, 5, incr(), Answer::Number(1))]);
    rejected(vec![
        (0, 0, 5, incr(), Answer::Number(1)),
        (1, 0, 5, incr(), Answer::Number(2)),
        (0, 6, 7, get, Answer::Value(1)),
    ]);
    accepted(vec![(0, 0, 5, incr(), Answer::Number(2)), (1, 0, 5, incr(), Answer::Number(1))]);
}

#[test]
fn an_element_is_served_once() {
    let push = || (0, 2, 4, Command::Push(End::Right, "a", vec![7]), Answer::Number(1));
    let pop = || Command::Blpop(vec!["a", "b"]);
    accepted(vec![push(), (1, 0, 5, pop(), popped("a", 7)), (2, 0, 9, pop(), Answer::Nil)]);
    rejected(vec![push(), (1, 0, 5, pop(), popped("a", 7)), (2, 0, 5, pop(), popped("a", 7))]);
    rejected(vec![push(), (1, 5, 9, pop(), Answer::Nil)]);
}

#[test]
fn who_waits_is_served_from_the_key_that_changed() {
    let pop = |answer| (1, 0, 9, Command::Blpop(vec!["a", "b"]), answer);
    let push = || (0, 3, 4, Command::Push(End::Right, "b", vec![7]), Answer::Number(1));
    // A string at the first key is an error for who finds it, and nothing to who waits already.
    accepted(vec![(0, 1, 2, Command::Set("a", 1), Answer::Ok), push(), pop(popped("b", 7))]);
    rejected(vec![
        (0, 1, 2, Command::Set("a", 1), Answer::Ok),
        push(),
        (1, 5, 9, pop(Answer::Nil).3, popped("b", 7)),
    ]);
    rejected(vec![push(), pop(popped("a", 7))]);
}

#[test]
fn nothing_is_left_after_flushall() {
    let set = || (0, 0, 1, Command::Set("a", 1), Answer::Ok);
    let flush = || (1, 2, 5, Command::Flushall, Answer::Ok);
    accepted(vec![set(), flush(), (2, 3, 4, Command::Get("a"), Answer::Value(1))]);
    rejected(vec![set(), flush(), (2, 6, 7, Command::Get("a"), Answer::Value(1))]);
    rejected(vec![set(), flush(), (2, 6, 7, Command::Dbsize, Answer::Number(1))]);
}

#[test]
fn exec_runs_as_one_and_only_if_nothing_watched_has_changed() {
    let watch = || (0, 0, 1, Command::Watch(vec!["a"]), Answer::Ok);
    let set = |key| (1, 2, 3, Command::Set(key, 5), Answer::Ok);
    let exec = |answer| (0, 4, 5, Command::Exec(vec![Command::Incr("a")]), answer);
    let ran = |number| Answer::Many(vec![Answer::Number(number)]);
    accepted(vec![watch(), set("a"), exec(Answer::Nil)]);
    rejected(vec![watch(), set("a"), exec(ran(6))]);
    accepted(vec![watch(), set("b"), exec(ran(1))]);
    rejected(vec![watch(), set("b"), exec(Answer::Nil)]);
    let twice = Command::Exec(vec![Command::Get("b"), Command::Get("b")]);
    let seen = Answer::Many(vec![Answer::Nil, Answer::Value(5)]);
    rejected(vec![(0, 0, 9, twice, seen), set("b")]);
}

#[test]
fn a_renamed_key_is_never_in_two_places_and_never_in_none() {
    let set = || (0, 0, 1, Command::Set("a", 1), Answer::Ok);
    let rename = || (0, 2, 8, Command::Rename("a", "b"), Answer::Ok);
    let read = |of| (1, 4, 5, Command::Mget(vec!["a", "b"]), values(of));
    accepted(vec![set(), rename(), read([None, Some(1)])]);
    rejected(vec![set(), rename(), read([Some(1), Some(1)])]);
    rejected(vec![set(), rename(), read([None, None])]);
}

#[test]
fn keys_that_nothing_connects_are_judged_apart_and_connected_ones_together() {
    let stale = |key| {
        vec![
            (0, 0, 1, Command::Set(key, 1), Answer::Ok),
            (1, 2, 3, Command::Get(key), Answer::Nil),
            (2, 0, 9, Command::Set("d", 4), Answer::Ok),
        ]
    };
    rejected(stale("a"));
    // The watch reaches beyond the keys of the transaction.
    rejected(vec![
        (0, 0, 1, Command::Watch(vec!["a"]), Answer::Ok),
        (1, 2, 3, Command::Set("a", 1), Answer::Ok),
        (0, 4, 5, Command::Exec(vec![Command::Get("b")]), Answer::Many(vec![Answer::Nil])),
    ]);
}

#[test]
fn a_moved_member_is_never_in_two_sets_and_never_in_none() {
    let add = || (0, 0, 1, Command::Sadd("a", 1), Answer::Number(1));
    let moved = || (0, 2, 8, Command::Smove("a", "b", 1), Answer::Number(1));
    let members = |of: &[i64]| Answer::Many(of.iter().copied().map(Answer::Value).collect());
    let seen = |from: &[i64], to: &[i64]| {
        let both = Command::Exec(vec![Command::Smembers("a"), Command::Smembers("b")]);
        (1, 4, 5, both, Answer::Many(vec![members(from), members(to)]))
    };
    accepted(vec![add(), moved(), seen(&[], &[1])]);
    accepted(vec![add(), moved(), seen(&[1], &[])]);
    rejected(vec![add(), moved(), seen(&[1], &[1])]);
    rejected(vec![add(), moved(), seen(&[], &[])]);
}

#[test]
fn a_script_is_seen_whole_or_not_at_all() {
    let set = || (0, 0, 1, both(1, 2), Answer::Ok);
    let swap = Command::Swap { one: "a", other: "b", declared: false };
    let swapped = || (0, 2, 8, swap.clone(), values([Some(1), Some(2)]));
    let read = |of| (1, 4, 5, Command::Mget(vec!["a", "b"]), values(of));
    accepted(vec![set(), swapped(), read([Some(2), Some(1)])]);
    accepted(vec![set(), swapped(), read([Some(1), Some(2)])]);
    rejected(vec![set(), swapped(), read([Some(1), Some(1)])]);
}
