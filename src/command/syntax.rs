//! Reading a row's syntax: `key value [NX | XX] [EX seconds | PX milliseconds]`.
//!
//! Square brackets are optional, `<a | b>` is a choice, `...` repeats what stands before it, words in
//! capitals are tokens, all others are values. The arity is derived from it, and COMMAND DOCS's
//! description of the arguments.

/// A piece of a syntax.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// A word in capitals or a symbol: typed as it stands.
    Token(String),
    /// A value, by its name.
    Value(String),
    /// One of several alternatives.
    OneOf(Vec<Vec<Piece>>),
    /// May be left out.
    Optional(Vec<Piece>),
    /// What stands before it may come again (`key [key ...]`).
    Repeat(Vec<Piece>),
}

/// Takes a syntax apart.
pub fn parse(syntax: &str) -> Vec<Piece> {
    let spaced = ["[", "]", "<", ">", "|"]
        .iter()
        .fold(syntax.to_owned(), |text, symbol| text.replace(symbol, &format!(" {symbol} ")));
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut at = 0;
    let mut alternatives = sequence(&words, &mut at);
    if alternatives.len() == 1 { alternatives.remove(0) } else { vec![Piece::OneOf(alternatives)] }
}

/// Reads alternatives up to a closing bracket or the end.
fn sequence(words: &[&str], at: &mut usize) -> Vec<Vec<Piece>> {
    let mut alternatives = vec![Vec::new()];
    while *at < words.len() {
        let word = words[*at];
        *at += 1;
        let piece = match word {
            "]" | ">" => break,
            "|" => {
                alternatives.push(Vec::new());
                continue;
            }
            "[" => bracket(sequence(words, at)),
            "<" => {
                let (choice, repeats) = without_dots(sequence(words, at));
                if let Some(last) = alternatives.last_mut().filter(|_| repeats) {
                    last.push(Piece::OneOf(choice.clone()));
                    Piece::Repeat(vec![Piece::OneOf(choice)])
                } else {
                    Piece::OneOf(choice)
                }
            }
            "..." => {
                // Marks the bracket that it ends: see `without_dots`.
                Piece::Token("...".to_owned())
            }
            word if is_token(word) => Piece::Token(word.to_owned()),
            word => Piece::Value(word.to_owned()),
        };
        if let Some(last) = alternatives.last_mut() {
            last.push(piece);
        }
    }
    alternatives
}

fn bracket(alternatives: Vec<Vec<Piece>>) -> Piece {
    let (mut alternatives, repeats) = without_dots(alternatives);
    let inner = match alternatives.len() {
        0 | 1 => alternatives.pop().unwrap_or_default(),
        _ => vec![Piece::OneOf(alternatives)],
    };
    if repeats { Piece::Repeat(inner) } else { Piece::Optional(inner) }
}

/// What stands between brackets without the dots at its end, and whether there were any: then all of it repeats.
fn without_dots(mut alternatives: Vec<Vec<Piece>>) -> (Vec<Vec<Piece>>, bool) {
    let last = alternatives.last_mut();
    let dots = last.and_then(|last| last.pop_if(|piece| *piece == Piece::Token("...".to_owned())));
    (alternatives, dots.is_some())
}

fn is_token(word: &str) -> bool {
    !word.chars().any(|c| c.is_ascii_lowercase())
}

/// Redis's arity for a syntax: the number of required words with the command's own `words`, negative
/// when more may follow.
pub fn arity(syntax: &str, words: i32) -> i32 {
    let pieces = parse(syntax);
    let (required, open) = required(&pieces);
    let total = words + required;
    if open { -total } else { total }
}

fn required(pieces: &[Piece]) -> (i32, bool) {
    let (mut count, mut open) = (0, false);
    for piece in pieces {
        match piece {
            Piece::Token(_) | Piece::Value(_) => count += 1,
            Piece::Optional(_) | Piece::Repeat(_) => open = true,
            Piece::OneOf(alternatives) => {
                let sizes: Vec<(i32, bool)> = alternatives.iter().map(|one| required(one)).collect();
                // Something is chosen, even where each alternative may be left out.
                let fewest = sizes.iter().map(|size| size.0).min().unwrap_or(0).max(1);
                open |= sizes.iter().any(|size| size.1 || size.0 != fewest);
                count += fewest;
            }
        }
    }
    (count, open)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arity_counts_what_must_be_there() {
        for (syntax, expected) in [
            ("", 1),
            ("key", 2),
            ("key value [NX | XX] [GET] [EX seconds | PX milliseconds]", -3),
            ("key [key ...]", -2),
            ("key value [key value ...]", -3),
            ("source destination <LEFT | RIGHT> <LEFT | RIGHT>", 5),
            ("[message]", -1),
            ("<ip:port | <[ID client-id] | [ADDR ip:port] ...>>", -2),
            ("numkeys key [key ...] <LEFT | RIGHT> [COUNT count]", -4),
        ] {
            assert_eq!(arity(syntax, 1), expected, "{syntax}");
        }
    }

    #[test]
    fn pieces_nest() {
        assert_eq!(
            parse("key [EX seconds | KEEPTTL]"),
            vec![
                Piece::Value("key".into()),
                Piece::Optional(vec![Piece::OneOf(vec![
                    vec![Piece::Token("EX".into()), Piece::Value("seconds".into())],
                    vec![Piece::Token("KEEPTTL".into())],
                ])]),
            ]
        );
    }
}
