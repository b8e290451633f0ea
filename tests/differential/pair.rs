//! A real redis-server and ours, side by side, and one case sent to both.

use glasswing::command::Registry;
use glasswing::resp::Value;

use super::Request;
use super::common::redis::Redis;
use super::common::{Client, Server, encode};
use super::compare::{Comparer, Verdict};
use super::generate::words;
use super::pools::THRESHOLDS;

/// What starts Redis for this test: timeouts of blocked clients are looked at as often as can be.
pub fn theirs() -> Option<Redis> {
    Redis::start(&["--enable-debug-command", "yes", "--hz", "500"])
}

/// What starts our server for this test.
pub fn ours() -> Server {
    Server::start(&["--enable-debug-command", "yes"])
}

/// What is sent instead of a request, to plant a difference.
pub type Planted = fn(&Request) -> Option<Request>;

/// Two servers and a connection to each.
pub struct Pair<'r> {
    /// All commands.
    pub registry: &'r Registry,
    /// The process; another one of ours where the test tests itself.
    ports: [u16; 2],
    clients: [Client; 2],
    planted: Planted,
    /// Replies that were compared.
    pub compared: u64,
}

/// The first reply that differs.
#[derive(Clone, Debug)]
pub struct Difference {
    /// Which request.
    pub at: usize,
    /// What the first server said; `None` when it closed the connection.
    pub theirs: Option<Value>,
    /// What ours said.
    pub ours: Option<Value>,
}

impl<'r> Pair<'r> {
    /// A real redis-server and ours.
    pub fn new(registry: &'r Registry, theirs: &Redis, ours: &Server) -> Pair<'r> {
        Pair::of(registry, [theirs.port(), ours.port()], |_| None)
    }

    /// Any two; the second is sent what `planted` says.
    pub fn of(registry: &'r Registry, ports: [u16; 2], planted: Planted) -> Pair<'r> {
        Pair { registry, ports, clients: ports.map(Client::connect), planted, compared: 0 }
    }

    /// Sends a case to both servers, which begin empty, and finds the first reply that differs.
    pub fn run(&mut self, requests: &[Request]) -> Option<Difference> {
        let difference = self.sent(requests);
        if difference.is_some() {
            // Replies are left unread, and a connection may be closed.
            self.clients = self.ports.map(Client::connect);
        }
        difference
    }

    fn sent(&mut self, requests: &[Request]) -> Option<Difference> {
        let begin = prelude();
        for (side, client) in self.clients.iter_mut().enumerate() {
            let bytes: Vec<u8> = begin
                .iter()
                .chain(requests)
                .flat_map(|request| match (self.planted)(request) {
                    Some(planted) if side == 1 => encode(&planted),
                    _ => encode(request),
                })
                .collect();
            client.raw(&bytes);
        }
        for request in &begin {
            for client in &mut self.clients {
                let reply = client.reply();
                assert!(!matches!(reply, None | Some(Value::Error(_))), "{}: {reply:?}", shown(request));
            }
        }
        let mut comparer = Comparer::new(self.registry);
        for at in 0..requests.len() {
            let [theirs, ours] = &mut self.clients;
            let (theirs, ours) = (theirs.reply(), ours.reply());
            self.compared += 1;
            let verdict = match (&theirs, &ours) {
                (Some(theirs), Some(ours)) => comparer.compare(&requests[..=at], theirs, ours),
                _ => return Some(Difference { at, theirs, ours }),
            };
            if matches!(verdict, Verdict::Ends | Verdict::Differs) {
                // What is still to run must not run into the next case.
                for client in &mut self.clients {
                    requests[at + 1..].iter().all(|_| client.reply().is_some());
                }
                return (verdict == Verdict::Differs).then_some(Difference { at, theirs, ours });
            }
        }
        None
    }
}

/// What makes both servers alike.
fn prelude() -> Vec<Request> {
    let mut all = vec![
        words(&["RESET"]),
        words(&["FLUSHALL"]),
        words(&["SCRIPT", "FLUSH"]),
        words(&["FUNCTION", "FLUSH"]),
    ];
    all.push(words(&["DEBUG", "SET-ACTIVE-EXPIRE", "0"]));
    let mut settings = words(&["CONFIG", "SET"]);
    for (name, usual, _) in THRESHOLDS {
        settings.extend(words(&[name, usual]));
    }
    all.push(settings);
    all
}

/// A request as redis-cli takes it.
pub fn shown(request: &Request) -> String {
    let word = |word: &Vec<u8>| {
        let plain =
            !word.is_empty() && word.iter().all(|byte| byte.is_ascii_graphic() && !b"\"'\\".contains(byte));
        let escaped = word.escape_ascii().to_string().replace("\\'", "'");
        if plain { escaped } else { format!("\"{escaped}\"") }
    };
    request.iter().map(word).collect::<Vec<_>>().join(" ")
}
