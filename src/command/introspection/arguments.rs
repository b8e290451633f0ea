//! The arguments of a command as COMMAND DOCS describes them: read from the row's syntax, and refined by what its
//! `arguments` say that a syntax cannot tell.
//!
//! A refinement is a list of items between semicolons. Each is about the next argument of a name, in the order in
//! which arguments are written, a group before what is in it; `seconds_*` is the next whose name begins so. What
//! follows is done to it:
//!
//! ```text
//! =expiration   its name                       optional, required
//! :integer      its type                       multiple, once
//! @7.0.0        there since this version       a..b (name)   the arguments from a to b become a block
//! !2.8.12       deprecated since this one
//! #1            its key spec; #- for none      undocumented, alone: Redis describes no arguments
//! ```

use crate::command::keys::FindKeys;
use crate::command::syntax::{self, Piece};
use crate::command::table::Registered;

/// The type of an argument.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Type {
    #[default]
    String,
    Integer,
    Double,
    Key,
    Pattern,
    UnixTime,
    PureToken,
    OneOf,
    Block,
}

impl Type {
    const ALL: [Type; 9] = [
        Type::String,
        Type::Integer,
        Type::Double,
        Type::Key,
        Type::Pattern,
        Type::UnixTime,
        Type::PureToken,
        Type::OneOf,
        Type::Block,
    ];

    /// Redis's name of it.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Type::String => "string",
            Type::Integer => "integer",
            Type::Double => "double",
            Type::Key => "key",
            Type::Pattern => "pattern",
            Type::UnixTime => "unix-time",
            Type::PureToken => "pure-token",
            Type::OneOf => "oneof",
            Type::Block => "block",
        }
    }

    /// The type that a value's name promises.
    fn of_value(name: &str) -> Type {
        match name {
            "key" | "newkey" | "source" | "destination" | "key1" | "key2" | "destkey" | "sourcekey" => {
                Type::Key
            }
            "pattern" => Type::Pattern,
            "unix-time-seconds" | "unix-time-milliseconds" => Type::UnixTime,
            "seconds" | "milliseconds" | "count" | "index" | "start" | "stop" | "end" | "offset"
            | "numkeys" | "cursor" | "db" | "destination-db" | "index1" | "index2" | "client-id"
            | "protover" | "rank" | "num-matches" | "len" | "maxlen" | "limit" | "numreplicas" | "port"
            | "slot" | "start-slot" | "end-slot" | "ttl" | "frequency" | "bit" | "bits" | "weight"
            | "decrement" | "config-epoch" | "version" | "ms" | "entries-read" | "entries-added"
            | "min-match-len" => Type::Integer,
            "score" | "min-score" | "max-score" | "timeout" | "longitude" | "latitude" | "radius"
            | "width" | "height" => Type::Double,
            _ => Type::String,
        }
    }
}

/// An argument as COMMAND DOCS describes it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Argument {
    pub(super) name: String,
    pub(super) kind: Type,
    pub(super) token: Option<String>,
    pub(super) key_spec: Option<usize>,
    pub(super) since: Option<&'static str>,
    pub(super) deprecated_since: Option<&'static str>,
    pub(super) optional: bool,
    pub(super) multiple: bool,
    pub(super) multiple_token: bool,
    /// Of a choice or a block.
    pub(super) inner: Vec<Argument>,
}

/// The arguments of a command.
pub(super) fn arguments(command: &Registered) -> Vec<Argument> {
    let row = command.row;
    if row.arguments == "undocumented" {
        return Vec::new();
    }
    let mut found = sequence(&syntax::parse(row.syntax));
    number_keys(&mut found, command, &mut 0);
    let mut items = items(row.arguments).into_iter().peekable();
    refine(&mut found, &mut items);
    debug_assert!(items.peek().is_none(), "{}: no argument for {:?}", row.name, items.peek());
    found
}

/// Reads pieces that follow each other.
fn sequence(pieces: &[Piece]) -> Vec<Argument> {
    let mut found = Vec::new();
    let mut at = 0;
    while at < pieces.len() {
        at += 1;
        match &pieces[at - 1] {
            Piece::Value(name) => found.push(value(name)),
            Piece::Token(token) => at += token_and_values(token, &pieces[at..], &mut found),
            Piece::OneOf(alternatives) => found.push(one_of(alternatives)),
            Piece::Optional(inner) => found.push(Argument { optional: true, ..group(inner) }),
            Piece::Repeat(inner) => repeat(inner, &mut found),
        }
    }
    found
}

/// A token speaks for the values behind it, or for itself. Returns how many pieces it took with it.
fn token_and_values(token: &str, rest: &[Piece], found: &mut Vec<Argument>) -> usize {
    let values = values_ahead(rest);
    let name = token.to_ascii_lowercase();
    // The empty string is typed as such.
    let token = Some(if token == "\"\"" { String::new() } else { token.to_owned() });
    found.push(match values {
        0 => Argument { name, kind: Type::PureToken, token, ..Argument::default() },
        _ => Argument { token, ..group(&rest[..values]) },
    });
    values
}

/// How many pieces a token speaks for: a choice, or the values up to what is no value. Where a choice follows these
/// (`BYBOX width height <M | KM>`), it stands before the first only.
fn values_ahead(pieces: &[Piece]) -> usize {
    if let Some(Piece::OneOf(_)) = pieces.first() {
        return 1;
    }
    let is_value = |piece: &Piece| match piece {
        Piece::Value(_) => true,
        Piece::Repeat(inner) => matches!(inner.first(), Some(Piece::Value(_))),
        _ => false,
    };
    let values = pieces.iter().take_while(|piece| is_value(piece)).count();
    match pieces.get(values) {
        Some(Piece::OneOf(_)) => values.min(1),
        _ => values,
    }
}

fn value(name: &str) -> Argument {
    Argument { name: name.to_owned(), kind: Type::of_value(name), ..Argument::default() }
}

fn one_of(alternatives: &[Vec<Piece>]) -> Argument {
    let inner: Vec<Argument> = alternatives.iter().map(|pieces| group(pieces)).collect();
    Argument { name: joined(&inner), kind: Type::OneOf, inner, ..Argument::default() }
}

/// Several pieces as one argument: a block, if they are more than one.
fn group(pieces: &[Piece]) -> Argument {
    let mut inner = sequence(pieces);
    if inner.len() == 1 {
        return inner.remove(0);
    }
    let mut block = Argument { kind: Type::Block, ..Argument::default() };
    // A token with nothing behind it, or with several values, speaks for the options that follow, too:
    // FULL [COUNT count], TO host port [FORCE].
    let options = pieces.iter().rev().take_while(|piece| matches!(piece, Piece::Optional(_))).count();
    if !inner.is_empty() && options == inner.len() - 1 && inner[0].token.is_some() {
        match inner[0].kind {
            Type::PureToken => {
                let token = inner.remove(0);
                return Argument { name: token.name, token: token.token, inner, ..block };
            }
            Type::Block => {
                let first = inner.remove(0);
                block.token = first.token;
                inner.splice(..0, first.inner);
            }
            _ => (),
        }
    }
    Argument { name: joined(&inner), inner, ..block }
}

/// The name of what consists of several: theirs, or a usual one.
fn joined(arguments: &[Argument]) -> String {
    let names: Vec<&str> = arguments.iter().map(|argument| argument.name.as_str()).collect();
    let name = names.join("_");
    let usual = match name.as_str() {
        "asc_desc" => "order",
        "async_sync" => "async",
        "count_any" => "count",
        "m_km_ft_mi" => "unit",
        "nx_xx" | "nx_xx_gt_lt" => "condition",
        "sum_min_max" => "aggregate",
        _ => return name,
    };
    usual.to_owned()
}

/// What is repeated is mostly what stands before it (`key [key ...]`): that may then come several times.
fn repeat(inner: &[Piece], found: &mut Vec<Argument>) {
    let repeated = sequence(inner);
    let tail = found.len().checked_sub(repeated.len()).filter(|&from| found[from..] == repeated[..]);
    match tail {
        Some(from) => {
            found.truncate(from);
            let one = group(inner);
            let multiple_token = one.token.is_some();
            found.push(Argument { multiple: true, multiple_token, ..one });
        }
        None => found.push(Argument { optional: true, multiple: true, ..group(inner) }),
    }
}

/// Gives key arguments the number of the key spec that describes them, in their order.
fn number_keys(arguments: &mut [Argument], command: &Registered, next: &mut usize) {
    for argument in arguments {
        if argument.kind == Type::Key && !command.specs.is_empty() {
            argument.key_spec = Some((*next).min(command.specs.len() - 1));
            // A range over several arguments describes all of them; all others end with their argument.
            let spans = matches!(command.specs.get(*next).map(|spec| spec.find), Some(FindKeys::Range { last, .. }) if last > 0);
            *next += usize::from(!spans);
        }
        number_keys(&mut argument.inner, command, next);
    }
}

/// An item of a refinement.
#[derive(Debug)]
struct Item {
    /// The name of the argument that it is about, or how that begins.
    name: &'static str,
    /// The last argument of a block that begins with that one.
    last: Option<&'static str>,
    words: Vec<&'static str>,
}

impl Item {
    fn is_about(&self, argument: &Argument) -> bool {
        match self.name.strip_suffix('*') {
            Some(beginning) if !beginning.is_empty() => argument.name.starts_with(beginning),
            _ => argument.name == self.name,
        }
    }
}

fn items(text: &'static str) -> Vec<Item> {
    let item = |text: &'static str| {
        let mut words = text.split_whitespace();
        let first = words.next()?;
        let (name, last) = match first.split_once("..") {
            Some((name, last)) => (name, Some(last)),
            None => (first, None),
        };
        Some(Item { name, last, words: words.collect() })
    };
    text.split(';').filter_map(item).collect()
}

fn refine(arguments: &mut Vec<Argument>, items: &mut std::iter::Peekable<std::vec::IntoIter<Item>>) {
    let mut at = 0;
    while at < arguments.len() {
        if let Some(item) = items.next_if(|item| item.is_about(&arguments[at])) {
            if let Some(last) = item.last {
                enclose(arguments, at, last);
            }
            item.words.into_iter().for_each(|word| apply(&mut arguments[at], word));
        }
        refine(&mut arguments[at].inner, items);
        at += 1;
    }
}

/// Makes a block of the arguments from one to the next of a name. A single one's token, and how often it comes, are
/// the block's.
fn enclose(arguments: &mut Vec<Argument>, from: usize, last: &str) {
    let more = arguments[from..].iter().position(|argument| argument.name == last).unwrap_or_default();
    let mut inner: Vec<Argument> = arguments.drain(from..=from + more).collect();
    let mut block = Argument { kind: Type::Block, ..Argument::default() };
    if let [single] = &mut inner[..] {
        block.token = single.token.take();
        block.optional = std::mem::take(&mut single.optional);
        block.multiple = std::mem::take(&mut single.multiple);
        block.multiple_token = std::mem::take(&mut single.multiple_token);
    }
    arguments.insert(from, Argument { inner, ..block });
}

fn apply(argument: &mut Argument, word: &'static str) {
    match word {
        "optional" => argument.optional = true,
        "required" => argument.optional = false,
        "multiple" => argument.multiple = true,
        "once" => argument.multiple = false,
        _ => {
            let (mark, text) = word.split_at(1);
            match mark {
                "=" => argument.name = text.to_owned(),
                "(" => argument.name = text.trim_end_matches(')').to_owned(),
                ":" => {
                    argument.kind = Type::ALL.into_iter().find(|kind| kind.name() == text).unwrap_or_default()
                }
                "@" => argument.since = Some(text),
                "!" => argument.deprecated_since = Some(text),
                "#" => argument.key_spec = text.parse().ok(),
                _ => debug_assert!(false, "what is {word}?"),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(argument: &Argument) -> String {
        let mut text = match (&argument.token, argument.kind) {
            (Some(token), Type::PureToken) => token.clone(),
            (Some(token), _) => format!("{token}:{}", argument.name),
            (None, _) => argument.name.clone(),
        };
        if !argument.inner.is_empty() {
            text = format!("{text}({})", shown(&argument.inner));
        }
        let marks = [(argument.optional, "?"), (argument.multiple, "+"), (argument.multiple_token, "+")];
        marks.iter().filter(|(set, _)| *set).for_each(|(_, mark)| text.push_str(mark));
        text.extend(argument.since.map(|since| format!("@{since}")));
        text.extend(argument.deprecated_since.map(|since| format!("!{since}")));
        text
    }

    fn shown(arguments: &[Argument]) -> String {
        arguments.iter().map(one).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn syntax_becomes_arguments() {
        for (syntax, expected) in [
            ("", ""),
            ("key value", "key value"),
            ("key [key ...]", "key+"),
            ("key value [key value ...]", "key_value(key value)+"),
            ("key [EX seconds | KEEPTTL]", "key seconds_keepttl(EX:seconds KEEPTTL)?"),
            ("[AUTH username password]", "AUTH:username_password(username password)?"),
            ("[PREFIX prefix [PREFIX prefix ...]]", "PREFIX:prefix?++"),
            ("TYPE <A | B>", "TYPE:a_b(A B)"),
            ("[element ...]", "element?+"),
            ("[WEIGHTS weight [weight ...]]", "WEIGHTS:weight?+"),
            ("STREAMS key [key ...] id [id ...]", "STREAMS:key_id(key+ id+)"),
            ("[FULL [COUNT count]]", "FULL:full(COUNT:count?)?"),
            ("[TO host port [FORCE]]", "TO:host_port_force(host port FORCE?)?"),
            ("[COUNT count [ANY]]", "count(COUNT:count ANY?)?"),
            (
                "<NO ONE | BYBOX width <M | KM>>",
                "no_one_width_m_km(no_one(NO ONE) width_m_km(BYBOX:width m_km(M KM)))",
            ),
            ("[GET a | SET b ...]", "a_b(GET:a SET:b)?+"),
            ("<[ID id] | [USER name] ...>", "id_name(ID:id? USER:name?)+"),
            ("<key | \"\">", "key_\"\"(key )"),
        ] {
            assert_eq!(shown(&sequence(&syntax::parse(syntax))), expected, "{syntax}");
        }
    }

    #[test]
    fn refinements_follow_the_arguments() {
        for (syntax, refinement, expected) in [
            ("key count [count]", "count; count =more @1.2.0", "key count more?@1.2.0"),
            (
                "[EX seconds | PX milliseconds]",
                "seconds_* =expiry; milliseconds !3.0.0",
                "expiry(EX:seconds PX:milliseconds!3.0.0)?",
            ),
            ("[ID id [id ...]]", "id..id (ids) once; id multiple", "ID:ids(id+)?"),
            ("key a [b] c", "a..b (pair) optional; b required", "key pair(a b)? c"),
            ("<* | id>", "* =auto", "*_id(* id)"),
        ] {
            let mut found = sequence(&syntax::parse(syntax));
            let mut items = items(refinement).into_iter().peekable();
            refine(&mut found, &mut items);
            assert!(items.next().is_none(), "{refinement}");
            assert_eq!(shown(&found), expected, "{syntax} with {refinement}");
        }
    }

    #[test]
    fn a_refinement_says_type_and_key_spec() {
        let mut found = sequence(&syntax::parse("key value"));
        refine(&mut found, &mut items("key :string #-; value :integer #2").into_iter().peekable());
        assert_eq!((found[0].kind, found[0].key_spec), (Type::String, None));
        assert_eq!((found[1].kind, found[1].key_spec), (Type::Integer, Some(2)));
    }
}
