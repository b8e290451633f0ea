//! A toy server of one lock, with faults that can be planted.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use super::model::{Answer, Command, State};
use super::record::Session;

/// What the toy does wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    None,
    /// MSET lets go of the lock between two keys.
    TornMset,
    /// INCR reads under one lock and writes under the next.
    LostUpdate,
    /// GET answers from a memory of the client's own, once in a while.
    StaleRead,
    /// EXEC does not look at the watched keys.
    BlindExec,
    /// A script lets go of the lock after each of its commands.
    TornScript,
    /// ZPOPMIN looks under one lock and removes under the next.
    DoublePop,
}

pub struct Toy {
    pub state: Arc<Mutex<State>>,
    pub client: usize,
    pub fault: Fault,
    database: usize,
    remembered: BTreeMap<&'static str, Answer>,
}

impl Toy {
    pub fn new(state: &Arc<Mutex<State>>, client: usize, fault: Fault) -> Toy {
        Toy { state: Arc::clone(state), client, fault, database: 0, remembered: BTreeMap::new() }
    }

    fn apply(&self, command: &Command) -> Answer {
        self.state.lock().unwrap().apply(self.client, self.database, command)
    }

    /// Gives others their chance to get in between.
    fn gap(&self) {
        (0..20).for_each(|_| std::thread::yield_now());
    }

    fn command(&mut self, command: &Command) -> Answer {
        match (self.fault, command) {
            (Fault::TornMset, Command::Mset(pairs)) => {
                for (key, value) in pairs {
                    self.apply(&Command::Set(key, *value));
                    self.gap();
                }
                Answer::Ok
            }
            (Fault::LostUpdate, Command::Incr(key)) => {
                let before = match self.apply(&Command::Get(key)) {
                    Answer::Value(value) => value,
                    _ => 0,
                };
                self.gap();
                self.apply(&Command::Set(key, before + 1));
                Answer::Number(before + 1)
            }
            (Fault::TornScript, Command::Swap { one, other, .. }) => {
                let (first, second) = (self.apply(&Command::Get(one)), self.apply(&Command::Get(other)));
                for (key, answer) in [(other, &first), (one, &second)] {
                    self.gap();
                    match answer {
                        Answer::Value(value) => self.apply(&Command::Set(key, *value)),
                        Answer::Nil => self.apply(&Command::Del(vec![key])),
                        wrong => return wrong.clone(),
                    };
                }
                Answer::Many(vec![first, second])
            }
            (Fault::DoublePop, Command::Zpopmin(key)) => match self.apply(&Command::Zrange(key)) {
                Answer::Many(all) => {
                    self.gap();
                    self.apply(command);
                    Answer::Many(all.into_iter().take(2).collect())
                }
                wrong => wrong,
            },
            (Fault::StaleRead, Command::Get(key)) => match self.remembered.remove(key) {
                Some(answer) => answer,
                None => {
                    let answer = self.apply(command);
                    self.remembered.insert(key, answer.clone());
                    answer
                }
            },
            (Fault::BlindExec, Command::Exec(queue)) => {
                let mut state = self.state.lock().unwrap();
                // Takes the watches away; what was queued then runs whatever they said.
                state.apply(self.client, self.database, &Command::Exec(Vec::new()));
                Answer::Many(
                    queue.iter().map(|queued| state.apply(self.client, self.database, queued)).collect(),
                )
            }
            _ => self.apply(command),
        }
    }
}

impl Session for Toy {
    fn begin(&mut self, database: usize) {
        self.database = database;
        self.remembered.clear();
    }

    fn run(&mut self, burst: &[Command], answered: &mut dyn FnMut(Answer)) {
        for command in burst {
            let answer = self.command(command);
            answered(answer);
        }
    }
}
