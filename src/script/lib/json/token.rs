//! JSON cut into tokens. The text ends at its end or at a zero byte, whichever comes first.

use super::settings::Settings;

/// What stands at a place.
#[derive(Debug, PartialEq)]
pub(super) enum Kind {
    ObjectBegin,
    ObjectEnd,
    ArrayBegin,
    ArrayEnd,
    Comma,
    Colon,
    End,
    Text(Vec<u8>),
    Number(f64),
    Boolean(bool),
    Null,
    Wrong(&'static str),
}

impl Kind {
    /// What errors call it.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Kind::ObjectBegin => "T_OBJ_BEGIN",
            Kind::ObjectEnd => "T_OBJ_END",
            Kind::ArrayBegin => "T_ARR_BEGIN",
            Kind::ArrayEnd => "T_ARR_END",
            Kind::Comma => "T_COMMA",
            Kind::Colon => "T_COLON",
            Kind::End => "T_END",
            Kind::Text(_) => "T_STRING",
            Kind::Number(_) => "T_NUMBER",
            Kind::Boolean(_) => "T_BOOLEAN",
            Kind::Null => "T_NULL",
            Kind::Wrong(why) => why,
        }
    }
}

/// A token, and where it begins, or where it went wrong.
#[derive(Debug)]
pub(super) struct Token {
    pub(super) kind: Kind,
    pub(super) at: usize,
}

/// The reader of tokens.
pub(super) struct Tokens<'a> {
    text: &'a [u8],
    pub(super) at: usize,
    invalid_numbers: bool,
}

impl<'a> Tokens<'a> {
    pub(super) fn new(text: &'a [u8], settings: &Settings) -> Tokens<'a> {
        Tokens { text, at: 0, invalid_numbers: settings.decode_invalid.get() != 0 }
    }

    /// The byte so far behind the place; 0 at the end.
    fn byte(&self, ahead: usize) -> u8 {
        self.text.get(self.at + ahead).copied().unwrap_or(0)
    }

    fn rest(&self) -> &'a [u8] {
        self.text.get(self.at..).unwrap_or_default()
    }

    pub(super) fn next(&mut self) -> Token {
        while matches!(self.byte(0), b' ' | b'\t' | b'\n' | b'\r') {
            self.at += 1;
        }
        let at = self.at;
        let kind = self.kind();
        let at = if matches!(kind, Kind::Wrong(_)) { self.at } else { at };
        Token { kind, at }
    }

    fn take(&mut self, len: usize, kind: Kind) -> Kind {
        self.at += len;
        kind
    }

    fn kind(&mut self) -> Kind {
        let rest = self.rest();
        match self.byte(0) {
            0 => Kind::End,
            b'{' => self.take(1, Kind::ObjectBegin),
            b'}' => self.take(1, Kind::ObjectEnd),
            b'[' => self.take(1, Kind::ArrayBegin),
            b']' => self.take(1, Kind::ArrayEnd),
            b',' => self.take(1, Kind::Comma),
            b':' => self.take(1, Kind::Colon),
            b'"' => self.string(),
            b'-' | b'0'..=b'9' if !self.invalid_numbers && is_invalid(rest) => Kind::Wrong("invalid number"),
            b'-' | b'0'..=b'9' => self.number(),
            _ if rest.starts_with(b"true") => self.take(4, Kind::Boolean(true)),
            _ if rest.starts_with(b"false") => self.take(5, Kind::Boolean(false)),
            _ if rest.starts_with(b"null") => self.take(4, Kind::Null),
            b'i' | b'I' | b'n' | b'N' | b'+' if self.invalid_numbers && is_invalid(rest) => self.number(),
            _ => Kind::Wrong("invalid token"),
        }
    }

    fn number(&mut self) -> Kind {
        match c_number(self.rest()) {
            Some((number, len)) => self.take(len, Kind::Number(number)),
            None => Kind::Wrong("invalid number"),
        }
    }

    fn string(&mut self) -> Kind {
        self.at += 1;
        let mut text = Vec::new();
        loop {
            match self.byte(0) {
                b'"' => break,
                0 => return Kind::Wrong("unexpected end of string"),
                b'\\' => {
                    let byte = match self.byte(1) {
                        byte @ (b'"' | b'\\' | b'/') => byte,
                        b'b' => 8,
                        b'f' => 12,
                        b'n' => b'\n',
                        b'r' => b'\r',
                        b't' => b'\t',
                        b'u' => match self.letter() {
                            Some(letter) => {
                                text.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes());
                                continue;
                            }
                            None => return Kind::Wrong("invalid unicode escape code"),
                        },
                        _ => return Kind::Wrong("invalid escape code"),
                    };
                    text.push(byte);
                    self.at += 2;
                }
                byte => {
                    text.push(byte);
                    self.at += 1;
                }
            }
        }
        self.at += 1;
        Kind::Text(text)
    }

    /// The four hexadecimal digits so far behind the place.
    fn unit(&self, ahead: usize) -> Option<u32> {
        let digits = self.rest().get(ahead..ahead + 4)?;
        digits.iter().try_fold(0, |all, &digit| Some(all * 16 + (digit as char).to_digit(16)?))
    }

    /// The letter of an escape with `u`, or of a pair of them.
    fn letter(&mut self) -> Option<char> {
        let first = self.unit(2)?;
        if first & 0xF800 != 0xD800 {
            self.at += 6;
            return char::from_u32(first);
        }
        if first & 0x400 != 0 || self.byte(6) != b'\\' || self.byte(7) != b'u' {
            return None;
        }
        let second = self.unit(8).filter(|second| second & 0xFC00 == 0xDC00)?;
        self.at += 12;
        char::from_u32(0x1_0000 + ((first & 0x3FF) << 10 | second & 0x3FF))
    }
}

/// Whether what C reads as a number is none of JSON's: a sign in front, hexadecimal digits, a leading zero,
/// what is infinite or no number.
fn is_invalid(text: &[u8]) -> bool {
    if text.first() == Some(&b'+') {
        return true;
    }
    let text = text.strip_prefix(b"-").unwrap_or(text);
    match text {
        [b'0', b'x' | b'X' | b'0'..=b'9', ..] => true,
        [first, ..] if *first <= b'9' => false,
        [a, b, c, ..] => {
            [*a, *b, *c].eq_ignore_ascii_case(b"inf") || [*a, *b, *c].eq_ignore_ascii_case(b"nan")
        }
        _ => false,
    }
}

/// The number that C's strtod finds at the beginning of a text, and its length.
fn c_number(text: &[u8]) -> Option<(f64, usize)> {
    let signed = matches!(text.first(), Some(b'+' | b'-'));
    let negative = text.first() == Some(&b'-');
    let skipped = usize::from(signed);
    let body = &text[skipped..];
    let begins = |word: &[u8]| body.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word));
    let (number, len) = if begins(b"infinity") {
        (f64::INFINITY, 8)
    } else if begins(b"inf") {
        (f64::INFINITY, 3)
    } else if begins(b"nan") {
        (f64::NAN, 3)
    } else if let Some(found) = hexadecimal(body) {
        found
    } else {
        decimal(body)?
    };
    Some((if negative { -number } else { number }, skipped + len))
}

fn decimal(text: &[u8]) -> Option<(f64, usize)> {
    let digits =
        |from: usize| text[from.min(text.len())..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let whole = digits(0);
    let mut len = whole;
    let mut fraction = 0;
    if text.get(len) == Some(&b'.') {
        fraction = digits(len + 1);
        len += 1 + fraction;
    }
    if whole + fraction == 0 {
        return None;
    }
    if matches!(text.get(len), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(text.get(len + 1), Some(b'+' | b'-')));
        let power = digits(len + 1 + sign);
        if power > 0 {
            len += 1 + sign + power;
        }
    }
    let number = std::str::from_utf8(&text[..len]).ok()?.parse().ok()?;
    Some((number, len))
}

fn hexadecimal(text: &[u8]) -> Option<(f64, usize)> {
    let body = text.strip_prefix(b"0x").or_else(|| text.strip_prefix(b"0X"))?;
    let (mut number, mut scale, mut seen, mut point) = (0.0f64, 0i32, 0usize, false);
    let mut len = 0;
    for &byte in body {
        match (byte as char).to_digit(16) {
            Some(digit) => {
                number = number * 16.0 + f64::from(digit);
                scale -= if point { 4 } else { 0 };
                seen += 1;
            }
            None if byte == b'.' && !point => point = true,
            None => break,
        }
        len += 1;
    }
    if seen == 0 {
        return None;
    }
    if matches!(body.get(len), Some(b'p' | b'P')) {
        let rest = &body[len + 1..];
        let sign = usize::from(matches!(rest.first(), Some(b'+' | b'-')));
        let digits = rest[sign..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        if digits > 0 {
            let power = std::str::from_utf8(&rest[sign..sign + digits]).ok()?.parse().unwrap_or(i32::MAX / 2);
            scale = scale.saturating_add(if rest[0] == b'-' { -power } else { power });
            len += 1 + sign + digits;
        }
    }
    Some((number * 2f64.powi(scale), len + 2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_as_c_reads_them() {
        for (text, number, len) in [
            ("1", 1.0, 1),
            ("-1.5e3x", -1500.0, 6),
            ("1.", 1.0, 2),
            ("1e", 1.0, 1),
            ("1e+", 1.0, 1),
            ("0x", 0.0, 1),
            ("0x1F]", 31.0, 4),
            ("0x1.8p1", 3.0, 7),
            ("-infinity", f64::NEG_INFINITY, 9),
            ("infin", f64::INFINITY, 3),
        ] {
            assert_eq!(c_number(text.as_bytes()), Some((number, len)), "{text}");
        }
        assert_eq!(c_number(b"-"), None);
        assert_eq!(c_number(b"."), None);
        assert!(c_number(b"nan").is_some_and(|(number, len)| number.is_nan() && len == 3));
    }
}
