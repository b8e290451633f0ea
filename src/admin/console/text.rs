//! Text of clients' bytes that can stand anywhere: escaped, and cut.

use std::fmt::Write as _;

use serde::ser::{Serialize, SerializeStruct, Serializer};

/// Bytes that are shown of one text.
const SHOWN: usize = 256;

/// A client's bytes: a name, a value. What is kept of them may be less than there was.
///
/// As JSON it is `{"text": ..., "bytes": ..., "cut": ...}`: what can be printed as it is, all else escaped as
/// `\n`, `\u{7}` or (what is no UTF-8) `\xff`, at most 256 bytes of it, and how many bytes there were.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Text {
    kept: Vec<u8>,
    length: u64,
}

impl Text {
    /// Keeps what is shown.
    pub fn of(bytes: &[u8]) -> Text {
        Text::keeping(SHOWN, bytes)
    }

    /// Keeps so many bytes.
    pub fn keeping(limit: usize, bytes: &[u8]) -> Text {
        Text { kept: bytes[..bytes.len().min(limit)].to_vec(), length: bytes.len() as u64 }
    }

    /// The first bytes of something longer.
    pub fn begin_of(bytes: &[u8], length: u64) -> Text {
        Text { length: length.max(bytes.len() as u64), ..Text::of(bytes) }
    }

    /// All bytes, unless some were cut off.
    pub fn whole(&self) -> Option<&[u8]> {
        (self.kept.len() as u64 == self.length).then_some(&self.kept)
    }
}

impl Serialize for Text {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let shown = &self.kept[..self.kept.len().min(SHOWN)];
        let cut = (shown.len() as u64) < self.length;
        let mut fields = serializer.serialize_struct("Text", 3)?;
        fields.serialize_field("text", &escaped(shown, cut))?;
        fields.serialize_field("bytes", &self.length)?;
        fields.serialize_field("cut", &cut)?;
        fields.end()
    }
}

/// Writes bytes so that they neither end a line nor turn its direction. Where they were cut, the piece of a
/// character that stands last is left out.
fn escaped(bytes: &[u8], cut: bool) -> String {
    let mut text = String::with_capacity(bytes.len());
    let mut chunks = bytes.utf8_chunks().peekable();
    while let Some(chunk) = chunks.next() {
        // Quotes need no escape: where this stands is not told from its surroundings by quotes.
        for piece in chunk.valid().split_inclusive(['"', '\'']) {
            let quote = piece.ends_with(['"', '\'']);
            let (plain, last) = piece.split_at(piece.len() - usize::from(quote));
            // Writing to a String cannot fail.
            let _ = write!(text, "{}{last}", plain.escape_debug());
        }
        let is_piece = cut && chunks.peek().is_none() && begins_a_character(chunk.invalid());
        if !is_piece {
            chunk.invalid().iter().for_each(|byte| {
                let _ = write!(text, "\\x{byte:02x}");
            });
        }
    }
    text
}

/// Whether more bytes could make a character of these.
fn begins_a_character(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_err_and(|error| error.error_len().is_none())
}

/// Bytes as they stand in an address after `=`: RFC 3986's unreserved characters as they are.
pub(super) fn percent_encoded(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for &byte in bytes {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            text.push(char::from(byte));
        } else {
            let _ = write!(text, "%{byte:02X}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(bytes: &[u8]) -> String {
        serde_json::to_value(Text::of(bytes)).unwrap()["text"].as_str().unwrap().to_owned()
    }

    #[test]
    fn what_can_be_printed_stands_as_it_is() {
        for text in [
            "",
            "user:1",
            "\"it's\" <b>&amp;",
            "h\u{e9}llo \u{1F600}",
            "\u{928}\u{92e}\u{938}\u{94d}\u{924}\u{947}",
        ] {
            assert_eq!(shown(text.as_bytes()), text);
        }
    }

    #[test]
    fn all_else_is_escaped() {
        assert_eq!(shown(b"a\r\n\0\x07\x7f"), "a\\r\\n\\0\\u{7}\\u{7f}");
        assert_eq!(shown(b"\\x41"), "\\\\x41");
        assert_eq!(shown(b"\xff\xc3("), "\\xff\\xc3(");
        // Marks that turn the direction, that end a line, that take no room.
        assert_eq!(
            shown("\u{202e}\u{2028}\u{200b}\u{feff}".as_bytes()),
            "\\u{202e}\\u{2028}\\u{200b}\\u{feff}"
        );
        assert_eq!(shown("\u{85}".as_bytes()), "\\u{85}");
    }

    #[test]
    fn what_is_long_is_cut_between_characters() {
        let long = "\u{e9}".repeat(200);
        let odd = [b"a", long.as_bytes()].concat();
        let json = serde_json::to_value(Text::of(&odd)).unwrap();
        assert_eq!(json["bytes"], 401);
        assert_eq!(json["cut"], true);
        assert_eq!(json["text"].as_str().unwrap().chars().count(), 128);
        // A whole text that ends so is not cut.
        assert_eq!(shown(b"a\xc3"), "a\\xc3");
        let begin = serde_json::to_value(Text::begin_of(b"ab", 9)).unwrap();
        assert_eq!((&begin["cut"], &begin["bytes"]), (&true.into(), &9.into()));
    }

    #[test]
    fn only_a_whole_text_is_told() {
        assert_eq!(Text::keeping(4, b"abcd").whole(), Some(&b"abcd"[..]));
        assert_eq!(Text::keeping(4, b"abcde").whole(), None);
    }

    #[test]
    fn bytes_stand_in_an_address() {
        assert_eq!(percent_encoded(b"a-Z.0_~ /%&\xff"), "a-Z.0_~%20%2F%25%26%FF");
    }
}
