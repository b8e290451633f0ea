//! COMMAND GETKEYS and GETKEYSANDFLAGS: which arguments of a request are keys.

use crate::command::keys::{KeyArgument, find};
use crate::command::row::{Access, Command, Flags};
use crate::command::{Args, CommandError, Context, Outcome, Reply};

use super::info;

pub const GETKEYS: Command = Command {
    name: "GETKEYS",
    syntax: "command arg [arg ...]",
    summary: "Extract keys given a full Redis command",
    complexity: "O(N) where N is the number of arguments to the command",
    run: get_keys,
    ..super::BASE
};

pub const GETKEYSANDFLAGS: Command = Command {
    name: "GETKEYSANDFLAGS",
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
    if command.specs.is_empty() {
        return Err(CommandError::fixed("ERR The command has no key arguments"));
    }
    if !command.accepts(inner.len()) {
        return Err(CommandError::fixed("ERR Invalid number of arguments specified for command"));
    }
    let mut found = find(command.row.keys, inner.len(), |index| inner.get(index)).into_vec();
    let counts_none = command.row.flags.has(Flags::NO_MANDATORY_KEYS) && inner.get(2) == b"0";
    if found.is_empty() && !counts_none {
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
