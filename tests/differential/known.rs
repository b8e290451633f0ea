//! Differences that stay, each with its reason.

use glasswing::resp::Value;

use super::Request;
use super::compare::Verdict;

/// A difference that is known.
struct Known {
    /// Why it stays.
    #[allow(dead_code)]
    because: &'static str,
    /// Whether the last of these requests shows it with its two replies.
    shows: fn(&[Request], &Value, &Value) -> bool,
    /// Whether the two servers may hold other values afterwards: the rest of the case says nothing.
    ends: bool,
}

const KNOWN: &[Known] = &[
    Known {
        because: "SORT of a small sorted set makes it a large one in Redis, and leaves it as it is here",
        shows: |requests, theirs, ours| {
            is(requests, "OBJECT")
                && requests.iter().any(|request| sent(request, "SORT"))
                && is_text(theirs, "skiplist")
                && is_text(ours, "listpack")
        },
        ends: false,
    },
    Known {
        because: "so it does with its scores: a packed -0 has become 0, and stays -0 in a large one",
        shows: |requests, theirs, ours| {
            let plain =
                |value: &Value| format!("{value:?}").replace("\"-0\"", "\"0\"").replace("-0.0", "0.0");
            requests.iter().any(|request| sent(request, "SORT")) && plain(theirs) == plain(ours)
        },
        ends: false,
    },
    Known {
        because: "and so it does with the digest that knows the scores",
        shows: |requests, _, _| {
            let negative_zero = |word: &Vec<u8>| word.starts_with(b"-0");
            is(requests, "DEBUG")
                && requests.iter().any(|request| sent(request, "SORT"))
                && requests.iter().any(|request| request.iter().any(negative_zero))
        },
        ends: false,
    },
    Known {
        because: "a time to live that is given again a millisecond later is later, or at the same millisecond is not",
        shows: |requests, theirs, ours| {
            let counts = |value: &Value| matches!(value, Value::Int(0 | 1));
            let compares =
                |word: &Vec<u8>| word.eq_ignore_ascii_case(b"GT") || word.eq_ignore_ascii_case(b"LT");
            let expires = is(requests, "EXPIRE") || is(requests, "PEXPIRE");
            expires
                && requests.last().is_some_and(|request| request.iter().any(compares))
                && counts(theirs)
                && counts(ours)
        },
        ends: true,
    },
    Known {
        because: "SORT in Redis may refuse numbers because of what a command before it has left in errno",
        shows: |requests, theirs, ours| {
            let refusal = b"ERR One or more scores can't be converted into double";
            let refused = |value: &Value| match value {
                Value::Error(text) => text.starts_with(refusal),
                // What EXEC answers.
                Value::Array(items) => {
                    items.iter().any(|item| matches!(item, Value::Error(text) if text.starts_with(refusal)))
                }
                _ => false,
            };
            requests.iter().any(|request| sent(request, "SORT") || sent(request, "EVAL"))
                && refused(theirs)
                && !refused(ours)
        },
        ends: true,
    },
    Known {
        because: "a set that a script returns comes in the order of a Lua table, which nobody promises",
        shows: |requests, theirs, ours| {
            let sorted = |value: &Value| {
                let mut text = format!("{value:?}").into_bytes();
                text.sort_unstable();
                text
            };
            let chooses = |request: &Request| {
                request.iter().any(|word| memchr::memmem::find(word, b"setresp(3)").is_some())
            };
            requests.last().is_some_and(chooses) && sorted(theirs) == sorted(ours)
        },
        ends: false,
    },
    Known {
        because: "OBJECT REFCOUNT in Redis is 2 in a transaction for what the queue has set and still holds",
        shows: |requests, theirs, ours| {
            is(requests, "OBJECT")
                && requests.iter().any(|request| sent(request, "MULTI"))
                && *theirs == Value::Int(2)
                && *ours == Value::Int(1)
        },
        ends: false,
    },
    Known {
        because: "OBJECT REFCOUNT in Redis is 1 for a small number that COPY made; here all small numbers are shared",
        shows: |requests, theirs, ours| {
            is(requests, "OBJECT") && *theirs == Value::Int(1) && *ours == Value::Int(i64::from(i32::MAX))
        },
        ends: false,
    },
    Known {
        because: "DEBUG DIGEST-VALUE in Redis shows keys whose time has passed until somebody comes by",
        shows: |requests, _, ours| {
            let nothing = "0".repeat(40);
            is(requests, "DEBUG")
                && matches!(ours, Value::Array(all) if all.iter().all(|one| matches!(one, Value::Simple(text) | Value::Bulk(text) if text == nothing.as_bytes())))
        },
        ends: false,
    },
    Known {
        because: "ranges by member mean nothing where scores differ, as Redis's documentation says",
        shows: |requests, _, _| {
            let by_member = requests.last().is_some_and(|request| {
                request.iter().any(|word| {
                    let word = word.to_ascii_uppercase();
                    word.ends_with(b"BYLEX") || word == b"ZLEXCOUNT"
                })
            });
            by_member && !requests.iter().any(|request| *request == super::generate::flat())
        },
        ends: true,
    },
];

fn sent(request: &Request, name: &str) -> bool {
    request.iter().take(4).any(|word| word.to_ascii_uppercase().starts_with(name.as_bytes()))
}

fn is(requests: &[Request], name: &str) -> bool {
    requests.last().is_some_and(|request| sent(request, name))
}

fn is_text(value: &Value, name: &str) -> bool {
    matches!(value, Value::Bulk(text) if text == name.as_bytes())
}

/// Whether the replies to the last of these requests differ for a known reason.
pub fn known(requests: &[Request], theirs: &Value, ours: &Value) -> Verdict {
    match KNOWN.iter().find(|known| (known.shows)(requests, theirs, ours)) {
        Some(known) if known.ends => Verdict::Ends,
        Some(_) => Verdict::Known,
        None => Verdict::Differs,
    }
}
