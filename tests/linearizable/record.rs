//! Runs clients at the same time and writes down what each sent, when, and what it was answered.

use std::sync::Barrier;
use std::time::Instant;

use super::checker::{History, Operation};
use super::generate::Plan;
use super::model::{Answer, Command};

/// One client's way to a server.
pub trait Session: Send {
    /// Speaks of this database from now on, and watches nothing.
    fn begin(&mut self, database: usize);
    /// Sends commands in one write, and says each answer when it is there.
    fn run(&mut self, burst: &[Command], answered: &mut dyn FnMut(Answer));
}

/// Runs a plan for each session, all at once. The keyspace must be empty.
pub fn round(sessions: &mut [Box<dyn Session>], plans: Vec<Plan>) -> History {
    let clock = Instant::now();
    let start = Barrier::new(plans.len());
    std::thread::scope(|scope| {
        let clients: Vec<_> = sessions
            .iter_mut()
            .zip(plans)
            .enumerate()
            .map(|(client, (session, plan))| {
                let start = &start;
                scope.spawn(move || run(client, &mut **session, plan, clock, start))
            })
            .collect();
        clients.into_iter().map(|client| client.join().unwrap()).collect()
    })
}

fn run(
    client: usize,
    session: &mut dyn Session,
    plan: Plan,
    clock: Instant,
    start: &Barrier,
) -> Vec<Operation> {
    let now = || clock.elapsed().as_nanos() as u64;
    session.begin(plan.database);
    start.wait();
    let mut operations = Vec::new();
    for burst in plan.bursts {
        let invoked = now();
        let mut commands = burst.iter();
        session.run(&burst, &mut |answer| {
            let returned = now();
            operations.extend(commands.next().map(|command| Operation {
                client,
                database: plan.database,
                command: command.clone(),
                answer,
                invoked,
                returned,
            }));
        });
    }
    operations
}

/// Whether commands of two clients were under way at the same time.
pub fn overlaps(history: &History) -> bool {
    let all: Vec<&Operation> = history.iter().flatten().collect();
    all.iter().any(|one| {
        all.iter().any(|other| {
            one.client < other.client && one.invoked <= other.returned && other.invoked <= one.returned
        })
    })
}
