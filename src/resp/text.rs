//! Text that may hold bytes which are no UTF-8.
//!
//! Errors repeat words of the client's, whatever their bytes, and have to give them back unchanged; what puts
//! errors together works with `str`. So a byte that is no UTF-8 stands in such text as a character at the very end of
//! Unicode, which is no character by definition, and becomes the byte again where the reply is written. Where a client
//! itself sends such characters, their own bytes are treated like that.

use std::borrow::Cow;

/// The character for the byte 0x80; those for the others follow.
const FIRST: u32 = 0x10_FF80;
/// The first byte of all of them.
const LEAD: u8 = 0xF4;

/// The text for `bytes`.
pub fn text_of(bytes: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(bytes) {
        Ok(text) if !may_stand_for_bytes(text) => Cow::Borrowed(text),
        _ => Cow::Owned(escaped(bytes)),
    }
}

fn may_stand_for_bytes(text: &str) -> bool {
    memchr::memchr(LEAD, text.as_bytes()).is_some()
}

fn escaped(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    let stand_in =
        |byte: u8| char::from_u32(FIRST + u32::from(byte & 0x7f)).unwrap_or(char::REPLACEMENT_CHARACTER);
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            if u32::from(character) < FIRST {
                text.push(character);
            } else {
                text.extend(character.encode_utf8(&mut [0; 4]).bytes().map(stand_in));
            }
        }
        text.extend(chunk.invalid().iter().copied().map(stand_in));
    }
    text
}

/// The bytes for which `text` stands.
pub(super) fn bytes_of(text: &str) -> Cow<'_, [u8]> {
    if !may_stand_for_bytes(text) {
        return Cow::Borrowed(text.as_bytes());
    }
    let mut bytes = Vec::with_capacity(text.len());
    for character in text.chars() {
        match u32::from(character).checked_sub(FIRST) {
            // Below 0x80, since Unicode ends there.
            Some(low) => bytes.push(0x80 | low as u8),
            None => bytes.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    Cow::Owned(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn plain_text_is_itself() {
        for text in ["", "hello", "h\u{e9}llo \u{1F600}"] {
            assert!(matches!(text_of(text.as_bytes()), Cow::Borrowed(same) if same == text));
        }
        assert_eq!(text_of(b"a\xffb").chars().count(), 3);
    }

    proptest! {
        #[test]
        fn all_bytes_come_back(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            let text = text_of(&bytes);
            prop_assert_eq!(&*bytes_of(&text), bytes.as_slice());
        }

        #[test]
        fn the_last_characters_come_back(text in "[\u{10FF70}-\u{10FFFF}a]{0,8}") {
            let standing = text_of(text.as_bytes());
            prop_assert_eq!(&*bytes_of(&standing), text.as_bytes());
        }
    }
}
