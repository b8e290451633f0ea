//! AUTH, HELLO and RESET: who is speaking, and in which protocol.

use crate::acl::DEFAULT_USER;
use crate::command::client::ClientFlag;
use crate::command::row::{Command, Flags, Group};
use crate::command::session::ReplyMode;
use crate::command::{Args, CommandError, Context, Outcome, Reply, rights, tracking};
use crate::data::parse_i64;
use crate::resp::Protocol;

use super::client::set_name;

/// The Redis version whose behaviour is matched.
const REDIS_VERSION: &str = "7.0.15";

/// Commands that must work before anybody has authenticated.
const UNAUTHENTICATED: Flags = Flags::NOSCRIPT
    .with(Flags::LOADING)
    .with(Flags::STALE)
    .with(Flags::FAST)
    .with(Flags::NO_AUTH)
    .with(Flags::ALLOW_BUSY);

pub const AUTH: Command = Command {
    name: "AUTH",
    arguments: "username @6.0.0",
    history: &[("6.0.0", "Added ACL style (username and password).")],
    syntax: "[username] password",
    summary: "Authenticate to the server",
    complexity: "O(N) where N is the number of passwords defined for the user",
    group: Group::Connection,
    flags: UNAUTHENTICATED.with(Flags::SECRET),
    secret: |_, index| index > 0,
    run: auth,
    ..Command::BASE
};

pub const HELLO: Command = Command {
    name: "HELLO",
    arguments: "protover_* =arguments",
    history: &[(
        "6.2.0",
        "`protover` made optional; when called without arguments the command reports the current connection's context.",
    )],
    syntax: "[protover [AUTH username password] [SETNAME clientname]]",
    summary: "Handshake with Redis",
    since: "6.0.0",
    group: Group::Connection,
    flags: UNAUTHENTICATED.with(Flags::SECRET),
    secret: |args, index| {
        let is_auth = |at: usize| at >= 2 && args.get(at).eq_ignore_ascii_case(b"AUTH");
        index > 2 && (is_auth(index - 1) || is_auth(index - 2))
    },
    run: hello,
    ..Command::BASE
};

pub const RESET: Command = Command {
    name: "RESET",
    syntax: "",
    summary: "Reset the connection",
    since: "6.2.0",
    group: Group::Connection,
    flags: UNAUTHENTICATED
        .with(Flags::TRANSACTION_CONTROL)
        .with(Flags::LEAVES_MULTI)
        .with(Flags::SUBSCRIBER)
        .with(Flags::FORGETS_WATCHES),
    run: reset,
    ..Command::BASE
};

const WRONG_PASSWORD: CommandError =
    CommandError::fixed("WRONGPASS invalid username-password pair or user is disabled.");

/// Checks a user's password and, if it is right, lets the connection in. A wrong one is logged.
fn authenticate(
    ctx: &mut Context<'_>,
    args: &Args<'_>,
    user: &[u8],
    password: &[u8],
) -> Result<(), CommandError> {
    let Some(user) = ctx.server.acl().log_in(user, password) else {
        rights::note_failed_login(ctx, args, user);
        return Err(WRONG_PASSWORD);
    };
    ctx.session.log_in(user);
    Ok(())
}

fn auth(ctx: &mut Context<'_>, args: Args<'_>) -> Outcome {
    let (user, password) = match args.len() {
        2 if ctx.server.acl().table().default_user().needs_no_password() => {
            return Err(CommandError::fixed(
                "ERR AUTH <password> called without any password configured for the default user. Are you sure \
                 your configuration is correct?",
            ));
        }
        2 => (DEFAULT_USER, args.get(1)),
        3 => (args.get(1), args.get(2)),
        _ => return Err(CommandError::Syntax),
    };
    authenticate(ctx, &args, user, password)?;
    Ok(Reply::Ok)
}

fn hello(ctx: &mut Context<'_>, mut args: Args<'_>) -> Outcome {
    let protocol = match args.next() {
        None => None,
        Some(version) => Some(protocol(version)?),
    };
    while let Some(option) = args.next() {
        if option.eq_ignore_ascii_case(b"auth") && args.remaining() >= 2 {
            let (user, password) = (args.bytes(), args.bytes());
            authenticate(ctx, &args, user, password)?;
        } else if option.eq_ignore_ascii_case(b"setname") && args.remaining() >= 1 {
            set_name(&ctx.session.client, args.bytes())?;
        } else {
            let option = crate::command::error::shown(option);
            return Err(CommandError::err(format_args!("Syntax error in HELLO option '{option}'")));
        }
    }
    if !ctx.session.logged_in {
        return Err(CommandError::fixed(
            "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO AUTH <user> \
             <pass> option can be used to authenticate the client and select the RESP protocol version at the \
             same time",
        ));
    }
    if let Some(protocol) = protocol {
        speak(ctx, protocol);
    }
    describe(ctx);
    Ok(Reply::Sent)
}

fn protocol(version: &[u8]) -> Result<Protocol, CommandError> {
    match parse_i64(version) {
        Some(2) => Ok(Protocol::Resp2),
        Some(3) => Ok(Protocol::Resp3),
        Some(_) => Err(CommandError::fixed("NOPROTO unsupported protocol version")),
        None => Err(CommandError::fixed("ERR Protocol version is not an integer or out of range")),
    }
}

fn speak(ctx: &mut Context<'_>, protocol: Protocol) {
    ctx.out.set_protocol(protocol);
    ctx.session.client.set(ClientFlag::Resp3, protocol == Protocol::Resp3);
}

/// HELLO's reply: what is speaking.
fn describe(ctx: &mut Context<'_>) {
    let version = if ctx.out.protocol() == Protocol::Resp3 { 3 } else { 2 };
    let out = &mut *ctx.out;
    out.map(7);
    for (name, value) in [("server", "redis"), ("version", REDIS_VERSION)] {
        out.bulk(name.as_bytes());
        out.bulk(value.as_bytes());
    }
    out.bulk(b"proto");
    out.int(version);
    out.bulk(b"id");
    out.int(ctx.session.client.id as i64);
    for (name, value) in [("mode", "standalone"), ("role", "master")] {
        out.bulk(name.as_bytes());
        out.bulk(value.as_bytes());
    }
    out.bulk(b"modules");
    out.array(0);
}

fn reset(ctx: &mut Context<'_>, _: Args<'_>) -> Outcome {
    tracking::stop(ctx);
    let session = &mut *ctx.session;
    session.forget_subscriptions(ctx.server.pubsub());
    session.stop_monitoring(ctx.server.pubsub());
    session.client.take_mail_into(ctx.out.buffer_mut());
    session.select(0);
    session.start_over(ctx.server.acl());
    session.end_multi();
    session.forgets_watches = true;
    session.reply_mode = ReplyMode::On;
    session.no_touch = false;
    session.caller = None;
    session.client.set(ClientFlag::NoTouch, false);
    session.client.edit_text(|text| text.name.clear());
    speak(ctx, Protocol::Resp2);
    Ok(Reply::Simple("RESET"))
}

#[cfg(test)]
mod tests {
    use crate::command::testing::{Bench, transcript};
    use crate::config::{Secret, Settings};
    use crate::resp::Protocol;

    fn with_password() -> Bench {
        let settings = Settings { requirepass: Secret::from(&b"foobar"[..]), ..Settings::default() };
        Bench::with(settings, None)
    }

    #[test]
    fn auth_without_a_password_configured() {
        transcript(
            r#"
            > AUTH foo
            (error) ERR AUTH <password> called without any password configured for the default user. Are you sure your configuration is correct?
            > AUTH default anything
            OK
            > AUTH nobody anything
            (error) WRONGPASS invalid username-password pair or user is disabled.
            > AUTH a b c
            (error) ERR syntax error
            > AUTH
            (error) ERR wrong number of arguments for 'auth' command
            "#,
        );
    }

    #[test]
    fn auth_with_a_password() {
        let mut bench = with_password();
        let wrong = "(error) WRONGPASS invalid username-password pair or user is disabled.";
        assert_eq!(bench.line("AUTH wrong!"), wrong);
        assert_eq!(bench.line("AUTH somebody foobar"), wrong);
        assert!(!bench.session.authenticated);
        assert_eq!(bench.line("AUTH foobar"), "OK");
        assert!(bench.session.authenticated);
        assert_eq!(bench.line("AUTH default foobar"), "OK");
    }

    #[test]
    fn hello_needs_a_login_or_brings_one() {
        let mut bench = with_password();
        assert!(bench.line("HELLO 3").starts_with("(error) NOAUTH HELLO must be called"));
        assert_eq!(bench.protocol, Protocol::Resp2);
        assert!(bench.line("HELLO 3 AUTH default no").starts_with("(error) WRONGPASS"));
        assert!(bench.line("HELLO 3 AUTH default foobar SETNAME me").contains("\"proto\" => (integer) 3"));
        assert_eq!(bench.line("CLIENT GETNAME"), "\"me\"");
        assert_eq!(bench.line("RESET"), "RESET");
        assert!(!bench.session.authenticated);
        assert_eq!(bench.protocol, Protocol::Resp2);
    }

    #[test]
    fn hello_refuses() {
        transcript(
            r#"
            > HELLO 4
            (error) NOPROTO unsupported protocol version
            > HELLO 1
            (error) NOPROTO unsupported protocol version
            > HELLO three
            (error) ERR Protocol version is not an integer or out of range
            > HELLO 3 FOO
            (error) ERR Syntax error in HELLO option 'FOO'
            > HELLO 3 SETNAME
            (error) ERR Syntax error in HELLO option 'SETNAME'
            > HELLO 3 AUTH x
            (error) ERR Syntax error in HELLO option 'AUTH'
            > HELLO 3 AUTH nobody x
            (error) WRONGPASS invalid username-password pair or user is disabled.
            > HELLO 3 SETNAME "a b"
            (error) ERR Client names cannot contain spaces, newlines or special characters.
            "#,
        );
    }

    #[test]
    fn hello_describes_the_server() {
        let mut bench = Bench::new();
        assert_eq!(
            bench.line("HELLO"),
            " 1) \"server\"\n 2) \"redis\"\n 3) \"version\"\n 4) \"7.0.15\"\n 5) \"proto\"\n 6) (integer) 2\n 7) \
             \"id\"\n 8) (integer) 1\n 9) \"mode\"\n10) \"standalone\"\n11) \"role\"\n12) \"master\"\n13) \
             \"modules\"\n14) (empty array)"
        );
    }

    #[test]
    fn reset_leaves_nothing() {
        transcript(
            r#"
            > CLIENT SETNAME me
            OK
            > SELECT 3
            OK
            > SET k v
            OK
            > MULTI
            OK
            > RESET
            RESET
            > CLIENT GETNAME
            (nil)
            > GET k
            (nil)
            > DISCARD
            (error) ERR DISCARD without MULTI
            "#,
        );
    }
}
