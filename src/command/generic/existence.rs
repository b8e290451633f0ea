//! Whether keys are there: DEL, UNLINK, EXISTS, TYPE, TOUCH.

use crate::command::context::EventClass;
use crate::command::row::{Access, Command, Flags, Keys};
use crate::command::{Args, Context, Outcome, Reply};
use crate::store::{Entry, Key};

/// The rows of this file.
pub static COMMANDS: &[Command] = &[
    Command {
        name: "DEL",
        syntax: "key [key ...]",
        summary: "Removes keys.",
        since: "1.0.0",
        complexity: "O(N) where N is the number of keys that will be removed. When a key to remove holds a value other than a string, the individual complexity for this key is O(M) where M is the number of elements in the list, set, sorted set or hash. Removing a single key that holds a string value is O(1).",
        flags: Flags::WRITE,
        keys: Keys::All(Access::RM.with(Access::DELETE)),
        run: del,
        tips: &["request_policy:multi_shard", "response_policy:agg_sum"],
        ..Command::BASE
    },
    Command {
        name: "UNLINK",
        syntax: "key [key ...]",
        summary: "Removes keys and frees their values in the background.",
        since: "4.0.0",
        complexity: "O(1) for each key removed regardless of its size. Then the command does O(N) work in a different thread in order to reclaim memory, where N is the number of allocations the deleted objects where composed of.",
        flags: Flags::WRITE.with(Flags::FAST),
        keys: Keys::All(Access::RM.with(Access::DELETE)),
        run: del,
        tips: &["request_policy:multi_shard", "response_policy:agg_sum"],
        ..Command::BASE
    },
    Command {
        name: "EXISTS",
        history: &[("3.0.3", "Accepts multiple `key` arguments.")],
        syntax: "key [key ...]",
        summary: "Counts how many of the keys exist; one that is named twice counts twice.",
        since: "1.0.0",
        complexity: "O(N) where N is the number of keys to check.",
        flags: Flags::READONLY.with(Flags::FAST),
        keys: Keys::All(Access::RO),
        run: exists,
        tips: &["request_policy:multi_shard", "response_policy:agg_sum"],
        ..Command::BASE
    },
    Command {
        name: "TYPE",
        syntax: "key",
        summary: "Names the type of the value under a key.",
        since: "1.0.0",
        complexity: "O(1)",
        flags: Flags::READONLY.with(Flags::FAST),
        keys: Keys::One(Access::RO),
        run: type_of,
        ..Command::BASE
    },
    Command {
        name: "TOUCH",
        syntax: "key [key ...]",
        summary: "Counts as an access to each of the keys, and tells how many exist.",
        since: "3.2.1",
        complexity: "O(N) where N is the number of keys that will be touched.",
        flags: Flags::READONLY.with(Flags::FAST),
        keys: Keys::All(Access::RO),
        run: touch,
        tips: &["request_policy:multi_shard", "response_policy:agg_sum"],
        ..Command::BASE
    },
];

/// Large values are freed in the background whichever of the two commands removed them.
fn del(ctx: &mut Context<'_>, mut args: Args<'_>) -> Outcome {
    let mut removed = 0;
    while args.remaining() > 0 {
        let key = args.key();
        if ctx.view.remove(key) {
            ctx.effect(key, EventClass::Generic, "del");
            removed += 1;
        }
    }
    Ok(Reply::Int(removed))
}

fn exists(ctx: &mut Context<'_>, args: Args<'_>) -> Outcome {
    count(args, |key| ctx.view.look(key).is_some())
}

fn touch(ctx: &mut Context<'_>, args: Args<'_>) -> Outcome {
    count(args, |key| ctx.view.touch_key(key))
}

fn count(mut args: Args<'_>, mut counts: impl FnMut(Key<'_>) -> bool) -> Outcome {
    let mut found = 0;
    while args.remaining() > 0 {
        found += i64::from(counts(args.key()));
    }
    Ok(Reply::Int(found))
}

fn type_of(ctx: &mut Context<'_>, mut args: Args<'_>) -> Outcome {
    let found = ctx.view.look(args.key()).map(Entry::value_type);
    Ok(Reply::Simple(found.map_or("none", |found| found.name())))
}

#[cfg(test)]
mod tests {
    use crate::command::testing::transcript;

    #[test]
    fn del_unlink_exists() {
        transcript(
            r#"
            > SET a 1
            OK
            > SET b 2
            OK
            > SET c 3
            OK
            > EXISTS a
            (integer) 1
            > EXISTS a b a nobody
            (integer) 3
            > DEL a nobody a
            (integer) 1
            > DEL nobody
            (integer) 0
            > UNLINK b c nobody
            (integer) 2
            > EXISTS a b c
            (integer) 0
            > DEL
            (error) ERR wrong number of arguments for 'del' command
            > UNLINK
            (error) ERR wrong number of arguments for 'unlink' command
            > EXISTS
            (error) ERR wrong number of arguments for 'exists' command
            "#,
        );
    }

    #[test]
    fn expired_keys_are_not_there() {
        transcript(
            r#"
            > SET a 1
            OK
            > PEXPIRE a 20
            (integer) 1
            > EXISTS a
            (integer) 1
            ! advance 25
            > EXISTS a
            (integer) 0
            > SET b 1
            OK
            > PEXPIRE b 20
            (integer) 1
            ! advance 25
            > DEL b
            (integer) 0
            > TYPE b
            none
            > TOUCH b
            (integer) 0
            "#,
        );
    }

    #[test]
    fn types_and_touches() {
        transcript(
            r#"
            > SET s text
            OK
            > TYPE s
            string
            > TYPE nobody
            none
            > TYPE
            (error) ERR wrong number of arguments for 'type' command
            > TYPE a b
            (error) ERR wrong number of arguments for 'type' command
            > TOUCH s nobody s
            (integer) 2
            > TOUCH nobody
            (integer) 0
            > TOUCH
            (error) ERR wrong number of arguments for 'touch' command
            "#,
        );
    }
}
