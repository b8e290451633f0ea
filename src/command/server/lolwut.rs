//! LOLWUT: a picture, and the version that is matched.

use crate::command::row::{Command, Flags, Group};
use crate::command::{Args, CommandError, Context, Outcome, Reply};
use crate::config::REDIS_VERSION;

pub(super) const LOLWUT: Command = Command {
    name: "LOLWUT",
    differs: "The picture is of a glasswing, whatever the version.",
    syntax: "[VERSION version]",
    summary: "Draws a butterfly and tells the version.",
    since: "5.0.0",
    complexity: "",
    group: Group::Server,
    flags: Flags::READONLY.with(Flags::FAST),
    run: lolwut,
    ..Command::BASE
};

/// A glasswing: wings of which one sees the veins alone.
const BUTTERFLY: &str = r"
      .-~~~~~-.       \   /       .-~~~~~-.
    .'  \  |  /'-.     \ /     .-'\  |  /  '.
   /  .  \ | /  . '-.  (_)  .-' .  \ | /  .  \
   |      \|/        '. | .'        \|/      |
    \ ----- * -----   |:|:|   ----- * ----- /
     '.    /|\     .-'||:||'-.     /|\    .'
       '~-/ | \-~~'   '|:|'   '~~-/ | \-~'
        .' / \ '.      |:|      .' / \ '.
        \ /   \ /      '.'      \ /   \ /
         '~---~'        '        '~---~'

";

fn lolwut(ctx: &mut Context<'_>, mut args: Args<'_>) -> Outcome {
    // Redis draws another picture for some versions, in a size that can be given; there is only one glasswing.
    if args.remaining() >= 2 && args.keyword("VERSION") {
        let sizes = match args.int_or(CommandError::NotInteger) {
            5 => 3,
            6 => 2,
            _ => 0,
        };
        for _ in 0..args.remaining().min(sizes) {
            args.int_or(CommandError::NotInteger);
        }
        args.check()?;
    }
    let text = format!("{BUTTERFLY}Redis ver. {REDIS_VERSION}\n");
    ctx.out.verbatim("txt", text.as_bytes());
    Ok(Reply::Sent)
}
