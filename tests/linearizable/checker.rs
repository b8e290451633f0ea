//! Is there an order in which the commands, one by one, give these answers?
//!
//! The search is that of Wing and Gong ("Testing and verifying concurrent objects", 1993) with Lowe's
//! memory of visited configurations ("Testing for linearizability", 2017): it runs one of the commands
//! that may come next on the model, goes on if the answer is the recorded one, and goes back if not. A
//! command may come next if it was sent before the earliest return among those that are left, and if
//! its client has none before it. A blocking pop that waits takes two steps: it finds its keys empty,
//! and later it is served from one of them. Commands on keys that nothing connects are checked apart.

use std::collections::{BTreeMap, HashSet};

use super::model::{Answer, Command, Place, State};

/// One command of a history. Times are nanoseconds of one clock for all clients.
#[derive(Clone, Debug)]
pub struct Operation {
    pub client: usize,
    pub database: usize,
    pub command: Command,
    pub answer: Answer,
    pub invoked: u64,
    pub returned: u64,
}

/// The commands of each client in the order in which it sent them.
pub type History = Vec<Vec<Operation>>;

/// What the checker found.
#[derive(Debug)]
pub enum Verdict {
    /// There is such an order.
    Linearizable,
    /// There is none. The part of the history for which there is none, for people to read.
    Violation(String),
    /// There were too many configurations to look at.
    GaveUp,
}

/// Configurations of one part of a history that are looked at before giving up.
const CONFIGURATIONS: usize = 1_000_000;

/// Checks a history that began with an empty keyspace.
pub fn check(history: &History) -> Verdict {
    let mut verdict = Verdict::Linearizable;
    for part in parts(history) {
        let mut search = Search { history: &part, seen: HashSet::new(), farthest: 0 };
        match search.go(&mut vec![0; part.len()], &State::default()) {
            Some(true) => {}
            Some(false) => return Verdict::Violation(search.describe()),
            None => verdict = Verdict::GaveUp,
        }
    }
    verdict
}

struct Search<'h> {
    history: &'h History,
    seen: HashSet<(Vec<u8>, State)>,
    /// Most commands that were brought into an order.
    farthest: usize,
}

impl Search<'_> {
    /// Brings what is left into an order; `progress` says how many commands of each client are done.
    fn go(&mut self, progress: &mut Vec<u8>, state: &State) -> Option<bool> {
        self.farthest = self.farthest.max(progress.iter().map(|&done| usize::from(done)).sum());
        let mut next: Vec<&Operation> = self
            .history
            .iter()
            .zip(progress.iter())
            .filter_map(|(operations, &done)| operations.get(usize::from(done)))
            .collect();
        next.sort_unstable_by_key(|operation| operation.returned);
        let Some(horizon) = next.first().map(|operation| operation.returned) else { return Some(true) };
        for operation in next.into_iter().filter(|operation| operation.invoked <= horizon) {
            let Operation { client, database, command, answer, .. } = operation;
            let mut after = state.clone();
            let fits = if state.is_parked(*client) {
                after.serve(*client, *database, command, answer)
            } else {
                after.apply(*client, *database, command) == *answer
            };
            if fits {
                progress[*client] += 1;
                let end = self.visit(progress, &after);
                progress[*client] -= 1;
                if end != Some(false) {
                    return end;
                }
            }
            let mut waiting = state.clone();
            if waiting.park(*client, *database, command) {
                let end = self.visit(progress, &waiting);
                if end != Some(false) {
                    return end;
                }
            }
        }
        Some(false)
    }

    /// Goes on from a configuration, unless that was tried before.
    fn visit(&mut self, progress: &mut Vec<u8>, state: &State) -> Option<bool> {
        if !self.seen.insert((progress.clone(), state.clone())) {
            return Some(false);
        }
        if self.seen.len() > CONFIGURATIONS { None } else { self.go(progress, state) }
    }

    fn describe(&self) -> String {
        let mut operations: Vec<&Operation> = self.history.iter().flatten().collect();
        operations.sort_by_key(|operation| operation.invoked);
        let mut text = format!("{} of {} commands fit into an order\n", self.farthest, operations.len());
        for operation in operations {
            let Operation { client, database, command, answer, invoked, returned } = operation;
            text += &format!("{invoked:>12} {returned:>12}  client {client} db {database}  ");
            text += &format!("{command:?} -> {answer:?}\n");
        }
        text
    }
}

/// Divides a history into parts that share no key. Each has a list for every client.
fn parts(history: &History) -> Vec<History> {
    let mut groups = Groups::default();
    let mut firsts: Vec<Vec<Option<Place>>> = Vec::new();
    for operations in history {
        let mut watched: Vec<Place> = Vec::new();
        let mut of_client = Vec::new();
        for operation in operations {
            let Some(mut places) = operation.command.places(operation.database) else {
                return vec![history.clone()];
            };
            match operation.command {
                Command::Watch(_) => watched.extend(&places),
                Command::Exec(_) => places.append(&mut watched),
                _ => {}
            }
            for pair in places.windows(2) {
                groups.unite(pair[0], pair[1]);
            }
            of_client.push(places.first().copied());
        }
        firsts.push(of_client);
    }
    let mut parts: BTreeMap<Option<Place>, History> = BTreeMap::new();
    for (client, operations) in history.iter().enumerate() {
        for (operation, first) in operations.iter().zip(&firsts[client]) {
            let group = first.map(|place| groups.find(place));
            let part = parts.entry(group).or_insert_with(|| vec![Vec::new(); history.len()]);
            part[client].push(operation.clone());
        }
    }
    parts.into_values().collect()
}

/// Places that something connects.
#[derive(Default)]
struct Groups(BTreeMap<Place, Place>);

impl Groups {
    fn find(&self, mut place: Place) -> Place {
        while let Some(above) = self.0.get(&place) {
            place = *above;
        }
        place
    }

    fn unite(&mut self, one: Place, other: Place) {
        let (one, other) = (self.find(one), self.find(other));
        if one != other {
            self.0.insert(one, other);
        }
    }
}
