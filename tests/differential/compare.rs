//! When two replies are the same: to the last byte, but for what Redis itself does not promise.

use glasswing::command::Registry;
use glasswing::resp::Value;

use super::Request;
use super::known::known;

/// How the replies to a command are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rule {
    /// They are equal.
    Exact,
    /// Their elements are, in any order.
    Unordered,
    /// Lists of records are in any order, at every depth: libraries and their functions.
    Records,
    /// The same; flat pairs of a name and a value stay together.
    Pairs,
    /// A cursor, and elements in any order; when one server is not through, only the shape.
    Scan,
    /// Numbers may differ by the time between the two servers.
    Near,
    /// Equal but for values: the same types and the same lengths. Chance or the server decides the rest.
    Shape,
    /// Both are refusals in the same words, or neither is.
    Refusals,
}

/// Rules of commands whose tips say more than is needed, or less. All others follow their tips.
const RULES: &[(&str, Rule)] = &[
    ("hello", Rule::Refusals),
    ("xadd", Rule::Exact),
    ("object|encoding", Rule::Exact),
    ("object|refcount", Rule::Exact),
    ("hgetall", Rule::Pairs),
    ("hscan", Rule::Scan),
    ("zscan", Rule::Scan),
    ("sscan", Rule::Scan),
    ("scan", Rule::Scan),
    ("ttl", Rule::Near),
    ("pttl", Rule::Near),
    ("expiretime", Rule::Near),
    ("pexpiretime", Rule::Near),
    ("xpending", Rule::Near),
    ("xclaim", Rule::Near),
    ("xautoclaim", Rule::Near),
    ("xinfo|consumers", Rule::Near),
    ("xinfo|groups", Rule::Near),
    ("xinfo|stream", Rule::Near),
    ("dump", Rule::Refusals),
    ("function|dump", Rule::Refusals),
    // Keys whose time has passed count until somebody comes by.
    ("dbsize", Rule::Near),
    ("debug", Rule::Exact),
    ("georadius", Rule::Unordered),
    ("georadius_ro", Rule::Unordered),
    ("georadiusbymember", Rule::Unordered),
    ("georadiusbymember_ro", Rule::Unordered),
    ("geosearch", Rule::Unordered),
    ("sort", Rule::Unordered),
    ("sort_ro", Rule::Unordered),
    ("function|list", Rule::Records),
    ("pubsub|channels", Rule::Unordered),
    ("command|getkeysandflags", Rule::Exact),
];

/// Milliseconds that may lie between the two servers.
const APART: i64 = 5_000;

/// What became of a comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing differs.
    Same,
    /// What differs is known, and makes no other difference.
    Known,
    /// What differs is known, and what follows says nothing any more.
    Ends,
    /// A difference.
    Differs,
}

/// Compares the replies of one connection, transactions included.
pub struct Comparer<'r> {
    registry: &'r Registry,
    /// Which requests are queued.
    queue: Option<Vec<usize>>,
}

impl<'r> Comparer<'r> {
    pub fn new(registry: &'r Registry) -> Comparer<'r> {
        Comparer { registry, queue: None }
    }

    /// Compares both replies to the last of these requests.
    pub fn compare(&mut self, requests: &[Request], theirs: &Value, ours: &Value) -> Verdict {
        let Some(request) = requests.last() else { return Verdict::Same };
        let queued = |value: &Value| matches!(value, Value::Simple(text) if text.as_ref() == b"QUEUED");
        if queued(theirs) && queued(ours) {
            self.queue.get_or_insert_default().push(requests.len());
            return Verdict::Same;
        }
        match (self.queue.take(), theirs, ours) {
            (Some(queue), Value::Array(theirs), Value::Array(ours))
                if is(request, "exec") && theirs.len() == ours.len() =>
            {
                let each = queue.iter().zip(theirs.iter().zip(ours));
                let verdicts = each.map(|(&end, (theirs, ours))| self.one(&requests[..end], theirs, ours));
                let order = [Verdict::Same, Verdict::Known, Verdict::Ends, Verdict::Differs];
                let rank = |verdict: &Verdict| order.iter().position(|other| other == verdict);
                verdicts.max_by_key(rank).unwrap_or(Verdict::Same)
            }
            (queue, ..) => {
                if !(is(request, "exec") || is(request, "discard") || is(request, "reset")) {
                    self.queue = queue;
                }
                self.one(requests, theirs, ours)
            }
        }
    }

    fn one(&self, requests: &[Request], theirs: &Value, ours: &Value) -> Verdict {
        let same = requests.last().is_none_or(|request| equal(self.rule(request), theirs, ours));
        if same { Verdict::Same } else { known(requests, theirs, ours) }
    }

    fn rule(&self, request: &Request) -> Rule {
        let Some(name) = request.first() else { return Rule::Exact };
        // What a script sends is compared as if it had been sent.
        if name.eq_ignore_ascii_case(b"EVAL")
            && request.len() > 3
            && request[1].ends_with(b"call(unpack(ARGV))")
        {
            return match self.rule(&request[3..].to_vec()) {
                Rule::Exact => Rule::Exact,
                // Errors inside are shown with their script; a set is a table.
                Rule::Pairs => Rule::Unordered,
                other => other,
            };
        }
        let reads_hash = b"HGETALL";
        if name.eq_ignore_ascii_case(b"EVAL")
            && request
                .get(1)
                .is_some_and(|script| script.windows(reads_hash.len()).any(|word| word == reads_hash))
        {
            return Rule::Pairs;
        }
        let Some(index) = self.registry.resolve(name, request.get(1).map(Vec::as_slice)) else {
            return Rule::Exact;
        };
        let command = self.registry.get(index);
        if let Some((_, rule)) = RULES.iter().find(|(listed, _)| *listed == command.full_name) {
            // With an order asked for, the order counts.
            let asked = request
                .iter()
                .any(|word| word.eq_ignore_ascii_case(b"ASC") || word.eq_ignore_ascii_case(b"DESC"));
            let from_nowhere =
                *rule == Rule::Scan && !request.iter().take(3).skip(1).any(|word| word == b"0");
            let by_nothing = request
                .windows(2)
                .any(|pair| pair[0].eq_ignore_ascii_case(b"BY") && !pair[1].contains(&b'*'));
            let by_text = [&b"BY"[..], b"ALPHA"]
                .iter()
                .all(|option| request.iter().any(|word| word.eq_ignore_ascii_case(option)));
            if from_nowhere || (command.full_name.starts_with("sort") && (by_nothing || by_text)) {
                return Rule::Refusals;
            }
            let counted = request.iter().any(|word| word.eq_ignore_ascii_case(b"COUNT"));
            if counted && command.full_name.starts_with("geo") {
                // Which of several at the same distance are counted in is not said.
                return Rule::Shape;
            }
            return if *rule == Rule::Unordered && asked && command.full_name.starts_with("geo") {
                Rule::Exact
            } else {
                *rule
            };
        }
        let tips = command.row.tips;
        match () {
            () if tips.contains(&"nondeterministic_output") => Rule::Shape,
            () if tips.contains(&"nondeterministic_output_order") => Rule::Unordered,
            () => Rule::Exact,
        }
    }
}

fn is(request: &Request, name: &str) -> bool {
    request.first().is_some_and(|first| first.eq_ignore_ascii_case(name.as_bytes()))
}

fn equal(rule: Rule, theirs: &Value, ours: &Value) -> bool {
    if let (Value::Error(theirs), Value::Error(ours)) = (theirs, ours) {
        // Ours are text: bytes that are none are shown as U+FFFD (docs/commands.md).
        return String::from_utf8_lossy(theirs) == String::from_utf8_lossy(ours);
    }
    match rule {
        Rule::Exact => bits(theirs, ours),
        Rule::Unordered => sorted(theirs, 1) == sorted(ours, 1),
        Rule::Records => bits(&records_sorted(theirs), &records_sorted(ours)),
        Rule::Pairs => sorted(theirs, 2) == sorted(ours, 2),
        Rule::Scan => scanned(theirs, ours),
        Rule::Near => near(theirs, ours, &|theirs, ours| match (theirs, ours) {
            (Value::Int(theirs), Value::Int(ours)) => theirs.abs_diff(*ours) <= APART.unsigned_abs(),
            (theirs, ours) => theirs == ours,
        }),
        Rule::Shape => {
            near(theirs, ours, &|theirs, ours| std::mem::discriminant(theirs) == std::mem::discriminant(ours))
        }
        Rule::Refusals => !matches!(theirs, Value::Error(_)) && !matches!(ours, Value::Error(_)),
    }
}

/// Equal; a double that is no number equals another one.
fn bits(theirs: &Value, ours: &Value) -> bool {
    near(theirs, ours, &|theirs, ours| match (theirs, ours) {
        (Value::Double(theirs), Value::Double(ours)) => {
            theirs.to_bits() == ours.to_bits() || (theirs.is_nan() && ours.is_nan())
        }
        (theirs, ours) => theirs == ours,
    })
}

/// The elements of the outermost list in an order of their own, in groups of so many.
fn sorted(value: &Value, group: usize) -> (u8, Vec<String>) {
    let shown = |items: &[Value]| items.chunks(group).map(|group| format!("{group:?}")).collect();
    let (kind, mut all): (u8, Vec<String>) = match value {
        Value::Array(items) => (0, shown(items)),
        Value::Set(items) => (1, shown(items)),
        Value::Map(pairs) => (2, pairs.iter().map(|pair| format!("{pair:?}")).collect()),
        other => (3, vec![format!("{other:?}")]),
    };
    all.sort();
    (kind, all)
}

/// The same with each list that holds nothing but records (arrays or maps) in an order of its own.
fn records_sorted(value: &Value) -> Value {
    match value {
        Value::Array(items) => {
            let mut items: Vec<Value> = items.iter().map(records_sorted).collect();
            if items.iter().all(|item| matches!(item, Value::Array(_) | Value::Map(_))) {
                items.sort_by_key(|item| format!("{item:?}"));
            }
            Value::Array(items)
        }
        Value::Map(pairs) => {
            Value::Map(pairs.iter().map(|(name, value)| (name.clone(), records_sorted(value))).collect())
        }
        other => other.clone(),
    }
}

fn scanned(theirs: &Value, ours: &Value) -> bool {
    match (theirs, ours) {
        (Value::Array(theirs), Value::Array(ours)) if theirs.len() == 2 && ours.len() == 2 => {
            let done = |reply: &[Value]| matches!(&reply[0], Value::Bulk(cursor) if cursor.as_ref() == b"0");
            !done(theirs) || !done(ours) || sorted(&theirs[1], 1) == sorted(&ours[1], 1)
        }
        _ => theirs == ours,
    }
}

/// Whether two values have the same shape and `leaves` finds their leaves alike.
fn near(theirs: &Value, ours: &Value, leaves: &dyn Fn(&Value, &Value) -> bool) -> bool {
    let all = |theirs: &[Value], ours: &[Value]| {
        theirs.len() == ours.len() && theirs.iter().zip(ours).all(|(theirs, ours)| near(theirs, ours, leaves))
    };
    match (theirs, ours) {
        (Value::Array(theirs), Value::Array(ours))
        | (Value::Set(theirs), Value::Set(ours))
        | (Value::Push(theirs), Value::Push(ours)) => all(theirs, ours),
        (Value::Map(theirs), Value::Map(ours)) => {
            theirs.len() == ours.len()
                && theirs.iter().zip(ours).all(|(theirs, ours)| {
                    near(&theirs.0, &ours.0, leaves) && near(&theirs.1, &ours.1, leaves)
                })
        }
        _ => leaves(theirs, ours),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bulk(text: &str) -> Value {
        Value::Bulk(text.as_bytes().to_vec().into())
    }

    #[test]
    fn only_what_redis_does_not_promise_may_differ() {
        let registry = Registry::new();
        let same = |line: &str, theirs: Value, ours: Value| {
            let request = line.split(' ').map(|word| word.as_bytes().to_vec()).collect();
            Comparer::new(&registry).compare(&[request], &theirs, &ours) == Verdict::Same
        };
        let list = |items: &[&str]| Value::Array(items.iter().map(|item| bulk(item)).collect());
        assert!(same("SMEMBERS s", list(&["a", "b"]), list(&["b", "a"])));
        assert!(!same("SMEMBERS s", list(&["a", "b"]), list(&["b", "b"])));
        assert!(!same("LRANGE l 0 -1", list(&["a", "b"]), list(&["b", "a"])));
        assert!(same("HGETALL h", list(&["a", "1", "b", "2"]), list(&["b", "2", "a", "1"])));
        assert!(!same("HGETALL h", list(&["a", "1", "b", "2"]), list(&["b", "1", "a", "2"])));
        assert!(same("PTTL k", Value::Int(100), Value::Int(98)));
        assert!(!same("PTTL k", Value::Int(1_000_000), Value::Int(98)));
        assert!(same("SRANDMEMBER s 2", list(&["a", "b"]), list(&["c", "d"])));
        assert!(!same("SRANDMEMBER s 2", list(&["a", "b"]), list(&["c"])));
        assert!(!same("GET k", Value::Error("ERR a".into()), Value::Error("ERR b".into())));
        assert!(!same("ZSCORE z a", Value::Double(0.0), Value::Double(-0.0)));
        let library = |functions: [&str; 2]| {
            let functions = functions.iter().map(|name| list(&["name", name])).collect();
            Value::Array(vec![Value::Array(vec![bulk("functions"), Value::Array(functions)])])
        };
        assert!(same("FUNCTION LIST", library(["f", "g"]), library(["g", "f"])));
        assert!(!same("FUNCTION LIST", library(["f", "g"]), library(["f", "f"])));
        assert!(!same("FUNCTION LIST", list(&["f", "g"]), list(&["g", "f"])));
    }
}
