//! COMMAND GETKEYS and GETKEYSANDFLAGS: which arguments of a request are keys.

use crate::command::keys::{KeyArgument, find, told_of_migrate};
use crate::command::row::{Access, Command, Flags, Keys};
use crate::command::{Args, CommandError, Context, Outcome, Reply};
use crate::data::parse_i64;

use super::info;

pub const GETKEYS: Command = Command {
    name: "GETKEYS",
    arguments: "undocumented",
    syntax: "command arg [arg ...]",
    summary: "Extract keys given a full Redis command",
    complexity: "O(N) where N is the number of arguments to the command",
    run: get_keys,
    ..super::BASE
};

pub const GETKEYSANDFLAGS: Command = Command {
    name: "GETKEYSANDFLAGS",
    arguments: "undocumented",
    syntax: "command arg [arg ...]",
    summary: "Extract keys and access flags given a full Redis command",
    since: "7.0.0",
    complexity: "O(N) where N is the number of arguments to the command",
    run: get_keys_and_flags,
    ..super::BASE
};

/// The keys of the request that begins at the third argument.
fn keys_of(ctx: &Context<'_>, args: &Args<'_>) -> Result<Vec<KeyArgument>, CommandError> {
    let inner = args.clone().skip(2);
    let second = if inner.len() > 1 { Some(inner.get(1)) } else { None };
    let command = ctx
        .registry
        .resolve(inner.get(0), second)
        .map(|index| ctx.registry.get(index))
        .filter(|command| command.children.is_empty())
        .ok_or(CommandError::fixed("ERR Invalid command specified"))?;
    if command.specs.iter().all(|spec| spec.access.has(Access::NOT_KEY)) {
        return Err(CommandError::fixed("ERR The command has no key arguments"));
    }
    if !command.accepts(inner.len()) {
        return Err(CommandError::fixed("ERR Invalid number of arguments specified for command"));
    }
    let mut found = match command.row.keys {
        Keys::Counted(at, access) => counted(None, at, access, &inner),
        Keys::TargetAndCounted(target, access) => counted(Some(target), 2, access, &inner),
        Keys::Migrated(access) => told_of_migrate(access, inner.len(), |index| inner.get(index)).into_vec(),
        keys => find(keys, inner.len(), |index| inner.get(index)).into_vec(),
    };
    if found.is_empty() && !command.row.flags.has(Flags::NO_MANDATORY_KEYS) {
        return Err(CommandError::fixed("ERR Invalid arguments specified for command"));
    }
    for key in &mut found {
        if key.access.has(Access::VARIABLE_FLAGS) {
            let declared = Access(key.access.0 & !Access::VARIABLE_FLAGS.0);
            key.access = (command.row.access)(&inner, declared);
        }
        key.index += 2;
    }
    Ok(found)
}

/// The keys that argument `at` counts, and the destination. Of a request that its command would refuse Redis
/// tells no key, but where the count is no number it goes by what C's `atoi` reads, puts the destination last
/// and knows nothing of what is done with the keys.
fn counted(target: Option<Access>, at: usize, access: Access, args: &Args<'_>) -> Vec<KeyArgument> {
    let number = parse_i64(args.get(at));
    let guessed = number.is_none();
    let number = number.unwrap_or_else(|| leading_integer(args.get(at)));
    let there = args.len() - at - 1;
    let Some(number) = usize::try_from(number).ok().filter(|number| (1..=there).contains(number)) else {
        return Vec::new();
    };
    let with = |index, access| KeyArgument { index, access: if guessed { Access::NONE } else { access } };
    let mut keys: Vec<KeyArgument> = target.map(|access| with(1, access)).into_iter().collect();
    keys.extend((at + 1..=at + number).map(|index| with(index, access)));
    if guessed && target.is_some() {
        keys.rotate_left(1);
    }
    keys
}

/// What C's `atoi` reads; 0 where it reads nothing.
fn leading_integer(word: &[u8]) -> i64 {
    let word = word.trim_ascii_start();
    let signed = usize::from(word.first().is_some_and(|byte| b"+-".contains(byte)));
    let digits = word[signed..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let text = std::str::from_utf8(&word[..signed + digits]).unwrap_or_default();
    text.parse().unwrap_or(0)
}

fn get_keys(ctx: &mut Context<'_>, args: Args<'_>) -> Outcome {
    let keys = keys_of(ctx, &args)?;
    ctx.out.array(keys.len());
    keys.iter().for_each(|key| ctx.out.bulk(args.get(key.index)));
    Ok(Reply::Sent)
}

fn get_keys_and_flags(ctx: &mut Context<'_>, args: Args<'_>) -> Outcome {
    let keys = keys_of(ctx, &args)?;
    ctx.out.array(keys.len());
    for key in &keys {
        ctx.out.array(2);
        ctx.out.bulk(args.get(key.index));
        info::access(ctx.out, key.access);
    }
    Ok(Reply::Sent)
}

#[cfg(test)]
mod tests {
    use crate::command::testing::transcript;

    #[test]
    fn keys_and_flags() {
        transcript(
            r#"
            > COMMAND GETKEYS GET k
            1) "k"
            > COMMAND GETKEYS WATCH a b c
            1) "a"
            2) "b"
            3) "c"
            > COMMAND GETKEYS SPUBLISH channel message
            (error) ERR The command has no key arguments
            > COMMAND GETKEYSANDFLAGS GET k
            1) 1) "k"
               2) 1) RO
                  2) access
            > COMMAND GETKEYSANDFLAGS SET k v
            1) 1) "k"
               2) 1) OW
                  2) update
            > COMMAND GETKEYSANDFLAGS SET k v EX 10 GET
            1) 1) "k"
               2) 1) RW
                  2) access
                  3) update
            "#,
        );
    }

    #[test]
    fn numbers_of_keys_that_are_none_or_too_large() {
        transcript(
            r#"
            > COMMAND GETKEYS EVAL "return 1" 3
            (empty array)
            > COMMAND GETKEYS EVAL "return 1" x y
            (empty array)
            > COMMAND GETKEYS EVAL "return 1" 1x y
            1) "y"
            > COMMAND GETKEYS ZUNION 5 a b
            (error) ERR Invalid arguments specified for command
            > COMMAND GETKEYS ZUNIONSTORE d x a
            (error) ERR Invalid arguments specified for command
            > COMMAND GETKEYS ZUNIONSTORE d -1 a
            (error) ERR Invalid arguments specified for command
            "#,
        );
    }

    #[test]
    fn refusals() {
        transcript(
            r#"
            > COMMAND GETKEYS GET
            (error) ERR wrong number of arguments for 'command|getkeys' command
            > COMMAND GETKEYS nosuch x
            (error) ERR Invalid command specified
            > COMMAND GETKEYS CLIENT nosuch
            (error) ERR Invalid command specified
            > COMMAND GETKEYS COMMAND nosuch
            (error) ERR Invalid command specified
            > COMMAND GETKEYS CLIENT GETNAME
            (error) ERR The command has no key arguments
            > COMMAND GETKEYS PING x
            (error) ERR The command has no key arguments
            > COMMAND GETKEYS GET a b
            (error) ERR Invalid number of arguments specified for command
            > COMMAND GETKEYSANDFLAGS SET k
            (error) ERR Invalid number of arguments specified for command
            "#,
        );
    }
}
