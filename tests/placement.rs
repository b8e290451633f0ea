//! New connections go to the worker that has fewest: 2N on N workers lie two on each.

#![allow(clippy::unwrap_used)]

mod common;

use common::{Client, Launch, Server, until};
use glasswing::resp::Value;

const WORKERS: usize = 4;

/// How many connections each worker has.
fn connections(server: &Server) -> Vec<usize> {
    let mut of_workers = vec![0; WORKERS];
    for (labels, value) in server.metric("glasswing_worker_connections") {
        let worker = labels.strip_prefix("worker=\"").and_then(|rest| rest.strip_suffix('"')).unwrap();
        of_workers[worker.parse::<usize>().unwrap()] = value as usize;
    }
    of_workers
}

/// Waits until the server has noticed who came and who went.
fn settled(server: &Server, total: usize) -> Vec<usize> {
    let mut now = Vec::new();
    until("every connection is counted", || {
        now = connections(server);
        now.iter().sum::<usize>() == total
    });
    now
}

/// A connection that the server has accepted, since it answers.
fn open(server: &Server) -> Client {
    let mut client = server.client();
    assert_eq!(client.call(&["PING"]), Some(Value::Simple("PONG".into())));
    client
}

fn start() -> Server {
    Launch::new().admin().with(&["--workers", &WORKERS.to_string()]).start()
}

#[test]
fn connections_are_spread_evenly_and_fill_what_has_become_empty() {
    let server = start();
    let mut before = settled(&server, 0);
    let mut lying: Vec<Vec<Client>> = (0..WORKERS).map(|_| Vec::new()).collect();
    for count in 1..=2 * WORKERS {
        let connection = open(&server);
        let now = settled(&server, count);
        let worker = (0..WORKERS).find(|&worker| now[worker] > before[worker]).unwrap();
        lying[worker].push(connection);
        before = now;
    }
    assert_eq!(before, [2; WORKERS]);
    lying[1].clear();
    lying[3].clear();
    assert_eq!(settled(&server, 4), [2, 0, 2, 0]);
    let more: Vec<Client> = (0..4).map(|_| open(&server)).collect();
    assert_eq!(settled(&server, 8), [2; WORKERS]);
    drop(more);
}

#[test]
fn a_crowd_that_comes_at_once_is_spread_evenly_too() {
    let server = start();
    settled(&server, 0);
    let port = server.port();
    let crowd: Vec<Client> = std::thread::scope(|scope| {
        let comers: Vec<_> = (0..WORKERS)
            .map(|_| scope.spawn(|| (0..10).map(|_| Client::connect(port)).collect::<Vec<_>>()))
            .collect();
        comers.into_iter().flat_map(|comer| comer.join().unwrap()).collect()
    });
    assert_eq!(settled(&server, crowd.len()), [10; WORKERS]);
}
