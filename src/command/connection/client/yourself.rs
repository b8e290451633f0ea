//! What a client says about itself and asks for itself: ID, GETNAME, SETNAME, SETINFO, REPLY, NO-EVICT
//! and NO-TOUCH.

use crate::command::client::{Client, ClientFlag};
use crate::command::row::{Command, Flags, Group};
use crate::command::session::ReplyMode;
use crate::command::{Args, CommandError, Context, Outcome, Reply};

use super::{COMMON, REACHING, switch};

pub const ID: Command = Command {
    name: "ID",
    summary: "Returns the client ID for the current connection",
    since: "5.0.0",
    group: Group::Connection,
    flags: COMMON,
    run: id,
    ..Command::BASE
};

pub const GETNAME: Command = Command {
    name: "GETNAME",
    summary: "Get the current connection name",
    since: "2.6.9",
    group: Group::Connection,
    flags: COMMON,
    run: get_name,
    ..Command::BASE
};

pub const SETNAME: Command = Command {
    name: "SETNAME",
    syntax: "connection-name",
    summary: "Set the current connection name",
    since: "2.6.9",
    group: Group::Connection,
    flags: COMMON,
    run: set_own_name,
    ..Command::BASE
};

pub const SETINFO: Command = Command {
    name: "SETINFO",
    syntax: "<LIB-NAME libname | LIB-VER libver>",
    summary: "Say which client library the connection uses",
    since: "7.2.0",
    group: Group::Connection,
    flags: COMMON,
    run: set_info,
    ..Command::BASE
};

pub const REPLY: Command = Command {
    name: "REPLY",
    syntax: "<ON | OFF | SKIP>",
    summary: "Instruct the server whether to reply to commands",
    since: "3.2.0",
    group: Group::Connection,
    flags: COMMON.with(Flags::KEEPS_CALLER),
    run: reply,
    ..Command::BASE
};

pub const NO_EVICT: Command = Command {
    name: "NO-EVICT",
    arguments: "on_off =enabled",
    syntax: "<ON | OFF>",
    summary: "Set client eviction mode for the current connection",
    since: "7.0.0",
    group: Group::Connection,
    flags: REACHING,
    run: no_evict,
    ..Command::BASE
};

pub const NO_TOUCH: Command = Command {
    name: "NO-TOUCH",
    syntax: "<ON | OFF>",
    summary: "Say whether what the connection reads counts as used",
    since: "7.2.0",
    group: Group::Connection,
    flags: COMMON,
    run: no_touch,
    ..Command::BASE
};

fn id(ctx: &mut Context<'_>, _: Args<'_>) -> Outcome {
    Ok(Reply::Int(ctx.session.client.id as i64))
}

/// Spaces and line breaks would break the format of CLIENT LIST.
fn is_printable(text: &[u8]) -> bool {
    text.iter().all(u8::is_ascii_graphic)
}

/// Names a client; an empty name takes the name away.
pub fn set_name(client: &Client, name: &[u8]) -> Result<(), CommandError> {
    if !is_printable(name) {
        let text = "ERR Client names cannot contain spaces, newlines or special characters.";
        return Err(CommandError::fixed(text));
    }
    client.edit_text(|text| text.name = name.to_vec());
    Ok(())
}

fn set_own_name(ctx: &mut Context<'_>, mut args: Args<'_>) -> Outcome {
    set_name(&ctx.session.client, args.bytes())?;
    Ok(Reply::Ok)
}

fn get_name(ctx: &mut Context<'_>, _: Args<'_>) -> Outcome {
    let name = ctx.session.client.text().name;
    if name.is_empty() { Ok(Reply::Nil) } else { ctx.bulk(&name) }
}

fn set_info(ctx: &mut Context<'_>, mut args: Args<'_>) -> Outcome {
    let (option, value) = (args.bytes(), args.bytes());
    let (name, is_version) = if option.eq_ignore_ascii_case(b"lib-name") {
        ("lib-name", false)
    } else if option.eq_ignore_ascii_case(b"lib-ver") {
        ("lib-ver", true)
    } else {
        let option = crate::command::error::shown(option);
        return Err(CommandError::err(format_args!("Unrecognized option '{option}'")));
    };
    if !is_printable(value) {
        let text = format_args!("{name} cannot contain spaces, newlines or special characters.");
        return Err(CommandError::err(text));
    }
    ctx.session.client.edit_text(|text| {
        let field = if is_version { &mut text.library_version } else { &mut text.library };
        *field = value.to_vec();
    });
    Ok(Reply::Ok)
}

fn reply(ctx: &mut Context<'_>, mut args: Args<'_>) -> Outcome {
    let session = &mut *ctx.session;
    if args.keyword("ON") {
        session.reply_mode = ReplyMode::On;
        return Ok(Reply::Ok);
    }
    if args.keyword("OFF") {
        session.reply_mode = ReplyMode::Off;
    } else if args.keyword("SKIP") {
        if session.reply_mode != ReplyMode::Off {
            session.reply_mode = ReplyMode::SkipNext;
        }
    } else {
        return Err(CommandError::Syntax);
    }
    Ok(Reply::Nothing)
}

fn no_evict(ctx: &mut Context<'_>, mut args: Args<'_>) -> Outcome {
    let on = switch(&mut args)?;
    ctx.session.client.set(ClientFlag::NoEvict, on);
    Ok(Reply::Ok)
}

fn no_touch(ctx: &mut Context<'_>, mut args: Args<'_>) -> Outcome {
    let on = switch(&mut args)?;
    ctx.session.client.set(ClientFlag::NoTouch, on);
    ctx.session.no_touch = on;
    Ok(Reply::Ok)
}

#[cfg(test)]
mod tests {
    use crate::command::session::ReplyMode;
    use crate::command::testing::{Bench, transcript};

    #[test]
    fn names() {
        transcript(
            r#"
            > CLIENT GETNAME
            (nil)
            > CLIENT SETNAME someone
            OK
            > CLIENT GETNAME
            "someone"
            > CLIENT SETNAME "some one"
            (error) ERR Client names cannot contain spaces, newlines or special characters.
            > CLIENT GETNAME
            "someone"
            > CLIENT SETNAME ""
            OK
            > CLIENT GETNAME
            (nil)
            > CLIENT SETNAME
            (error) ERR wrong number of arguments for 'client|setname' command
            "#,
        );
    }

    #[test]
    fn evict_and_reply_options() {
        transcript(
            r#"
            > CLIENT NO-EVICT ON
            OK
            > CLIENT NO-EVICT OFF
            OK
            > CLIENT NO-EVICT WRONG
            (error) ERR syntax error
            > CLIENT REPLY ON
            OK
            > CLIENT REPLY WRONG
            (error) ERR syntax error
            "#,
        );
    }

    #[test]
    fn what_newer_servers_know() {
        let mut bench = Bench::new();
        assert_eq!(bench.line("CLIENT SETINFO LIB-NAME redis-py"), "OK");
        assert_eq!(bench.line("CLIENT SETINFO lib-ver 1.2.3"), "OK");
        let text = bench.session.client.text();
        assert_eq!((&text.library[..], &text.library_version[..]), (&b"redis-py"[..], &b"1.2.3"[..]));
        assert_eq!(
            bench.line("CLIENT SETINFO lib-name \"redis py\""),
            "(error) ERR lib-name cannot contain spaces, newlines or special characters."
        );
        assert_eq!(bench.line("CLIENT SETINFO lib-age 3"), "(error) ERR Unrecognized option 'lib-age'");
        assert_eq!(bench.line("CLIENT NO-TOUCH ON"), "OK");
        assert!(bench.session.no_touch);
        assert_eq!(bench.line("CLIENT NO-TOUCH OFF"), "OK");
        assert!(!bench.session.no_touch);
        assert_eq!(
            bench.line("CLIENT NO-TOUCH"),
            "(error) ERR wrong number of arguments for 'client|no-touch' command"
        );
    }

    #[test]
    fn replies_are_switched_off_and_skipped() {
        let mut bench = Bench::new();
        assert_eq!(bench.line("CLIENT REPLY SKIP"), "(no reply)");
        assert_eq!(bench.session.reply_mode, ReplyMode::SkipNext);
        assert_eq!(bench.line("CLIENT REPLY OFF"), "(no reply)");
        assert_eq!(bench.line("CLIENT REPLY SKIP"), "(no reply)");
        assert_eq!(bench.session.reply_mode, ReplyMode::Off);
        assert_eq!(bench.line("CLIENT REPLY ON"), "OK");
        assert_eq!(bench.session.reply_mode, ReplyMode::On);
    }
}
