//! The shortest list of requests that still shows a difference.

use super::Request;
use super::generate::waits_long;
use super::pair::{Difference, Pair};

/// How often the servers are asked while a case is made shorter.
const TRIES: usize = 3_000;

/// A case and its difference, made as short as it gets; `None` when it does not show again.
pub fn shrink(pair: &mut Pair<'_>, requests: &[Request]) -> Option<(Vec<Request>, Difference)> {
    let difference = pair.run(requests)?;
    let mut shrinking = Shrinking { pair, best: requests.to_vec(), difference, left: TRIES };
    shrinking.cut();
    loop {
        let before = shrinking.best.clone();
        shrinking.drop_requests();
        shrinking.drop_words();
        shrinking.simplify_words();
        if shrinking.best == before || shrinking.left == 0 {
            return Some((shrinking.best, shrinking.difference));
        }
    }
}

struct Shrinking<'p, 'r> {
    pair: &'p mut Pair<'r>,
    best: Vec<Request>,
    difference: Difference,
    left: usize,
}

impl Shrinking<'_, '_> {
    /// Takes another case when it differs too.
    fn takes(&mut self, other: Vec<Request>) -> bool {
        if self.left == 0 || other.iter().any(|request| waits_long(self.pair.registry, request)) {
            return false;
        }
        self.left -= 1;
        let Some(difference) = self.pair.run(&other) else { return false };
        self.best = other;
        self.difference = difference;
        self.cut();
        true
    }

    /// What comes after the difference is of no interest.
    fn cut(&mut self) {
        self.best.truncate(self.difference.at + 1);
    }

    /// Leaves out ever smaller runs of requests.
    fn drop_requests(&mut self) {
        let mut size = (self.best.len() / 2).max(1);
        loop {
            let mut at = 0;
            while at < self.best.len() {
                let mut other = self.best.clone();
                other.drain(at..(at + size).min(other.len()));
                if other.is_empty() || !self.takes(other) {
                    at += size;
                }
            }
            if size == 1 {
                return;
            }
            size /= 2;
        }
    }

    fn drop_words(&mut self) {
        let mut at = 0;
        while at < self.best.len() {
            let mut word = 1;
            while at < self.best.len() && word < self.best[at].len() {
                let mut other = self.best.clone();
                other[at].remove(word);
                if !self.takes(other) {
                    word += 1;
                }
            }
            at += 1;
        }
    }

    fn simplify_words(&mut self) {
        let mut at = 0;
        while at < self.best.len() {
            let mut word = 1;
            while at < self.best.len() && word < self.best[at].len() {
                for simple in [&b"k"[..], b"a", b"0"] {
                    let now = &self.best[at][word];
                    if now.as_slice() == simple
                        || now.len() < simple.len()
                        || (now.len() == 1 && now.is_ascii())
                    {
                        break;
                    }
                    let mut other = self.best.clone();
                    other[at][word] = simple.to_vec();
                    if self.takes(other) {
                        break;
                    }
                }
                word += 1;
            }
            at += 1;
        }
    }
}
