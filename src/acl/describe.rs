//! Writing users down: rules that make the same user again.
//!
//! The commands of a selector are bits, whichever rules set them. They are described as Redis does it:
//! beginning with everything or with nothing, categories follow one after the other, each time the one
//! that fits best, as long as one gets more commands right than wrong. What is still different then is
//! named one by one.

use super::catalog::Catalog;
use super::selector::Selector;
use super::user::User;

impl User {
    /// The rules that make this user: `on #... ~k* resetchannels -@all +get`.
    pub fn describe(&self, catalog: &Catalog) -> Vec<u8> {
        let mut text = Vec::new();
        for flag in self.flags() {
            text.extend_from_slice(flag.as_bytes());
            text.push(b' ');
        }
        for password in self.passwords() {
            text.push(b'#');
            text.extend_from_slice(password.digits().as_bytes());
            text.push(b' ');
        }
        for (at, selector) in self.selectors().iter().enumerate() {
            if at == 0 {
                selector.describe(catalog, &mut text);
            } else {
                let mut inner = Vec::new();
                selector.describe(catalog, &mut inner);
                text.extend_from_slice(&[b" (", &quoted_words(&inner)[..], b")"].concat());
            }
        }
        text
    }

    /// The line of a file: `user alice on ...`.
    pub fn line(&self, catalog: &Catalog) -> Vec<u8> {
        [b"user ", self.name(), b" ", &self.describe(catalog)].concat()
    }
}

/// The words of a selector, which are read with quotes: those that have some, or a parenthesis that would end it
/// early, get quotes around them.
fn quoted_words(line: &[u8]) -> Vec<u8> {
    let quote = |word: &[u8]| {
        let escaped = word.iter().flat_map(|&byte| match byte {
            b'"' | b'\\' => vec![b'\\', byte],
            _ => vec![byte],
        });
        [b"\"".to_vec(), escaped.collect(), b"\"".to_vec()].concat()
    };
    let has_some = |word: &[u8]| word.iter().any(|byte| b"\"'\\)".contains(byte));
    let words = line.split(|&byte| byte == b' ');
    words.map(|word| if has_some(word) { quote(word) } else { word.to_vec() }).collect::<Vec<_>>().join(&b' ')
}

impl Selector {
    fn describe(&self, catalog: &Catalog, text: &mut Vec<u8>) {
        let keys = self.describe_keys();
        if !keys.is_empty() {
            text.extend_from_slice(&keys);
            text.push(b' ');
        }
        if !self.all_channels {
            text.extend_from_slice(b"resetchannels ");
        }
        let channels = self.describe_channels();
        if !channels.is_empty() {
            text.extend_from_slice(&channels);
            text.push(b' ');
        }
        text.extend_from_slice(&self.describe_commands(catalog));
    }

    /// `~*`, or the patterns one after the other.
    pub fn describe_keys(&self) -> Vec<u8> {
        if self.all_keys {
            return b"~*".to_vec();
        }
        self.keys.iter().map(super::selector::KeyPattern::rule).collect::<Vec<_>>().join(&b' ')
    }

    /// `&*`, or the patterns one after the other.
    pub fn describe_channels(&self) -> Vec<u8> {
        if self.all_channels {
            return b"&*".to_vec();
        }
        self.channels.iter().map(|pattern| [b"&", pattern.text()].concat()).collect::<Vec<_>>().join(&b' ')
    }

    /// `+@all -@dangerous +keys`.
    pub fn describe_commands(&self, catalog: &Catalog) -> Vec<u8> {
        // What has been described so far, as the rules written until now would have it.
        let mut described = Selector::default();
        let mut text: Vec<u8> = Vec::new();
        let all = if self.subtractive { "+@all" } else { "-@all" };
        text.extend_from_slice(all.as_bytes());
        described.change_all(catalog, self.subtractive);
        let mut left = self.clone();
        let mut applied = 0;
        while let Some((bit, name)) = left.best_category(catalog, !self.subtractive, applied) {
            let sign = if self.subtractive { '-' } else { '+' };
            text.extend_from_slice(format!(" {sign}@{name}").as_bytes());
            described.change_category(catalog, bit, !self.subtractive);
            left.change_category(catalog, bit, self.subtractive);
            applied |= bit;
        }
        self.describe_rest(catalog, &mut described, &mut text);
        debug_assert_eq!(described.commands, self.commands, "{}", text.escape_ascii());
        text
    }

    fn change_all(&mut self, catalog: &Catalog, allow: bool) {
        (0..catalog.len()).for_each(|place| self.change(catalog, place, allow));
    }

    /// The category that gets most commands right: fewest that differ, and of those the one with most in
    /// common. None when every one that is left gets more of them wrong.
    fn best_category(&self, catalog: &Catalog, additive: bool, applied: u32) -> Option<(u32, &'static str)> {
        let mut best: Option<(usize, usize, (u32, &'static str))> = None;
        for &(bit, name) in catalog.categories().iter().filter(|(bit, _)| applied & bit == 0) {
            let of_category = (0..catalog.len()).filter(|&place| catalog.entry(place).categories & bit != 0);
            let (on, off): (Vec<usize>, Vec<usize>) =
                of_category.partition(|&place| self.commands.has(place));
            let (different, same) = if additive { (off.len(), on.len()) } else { (on.len(), off.len()) };
            let better =
                best.is_none_or(|(least, most, _)| different < least || (different == least && same > most));
            if same > different && better {
                best = Some((different, same, (bit, name)));
            }
        }
        best.map(|(_, _, category)| category)
    }

    /// Names the commands that are still different, and the first arguments.
    fn describe_rest(&self, catalog: &Catalog, described: &mut Selector, text: &mut Vec<u8>) {
        for &place in catalog.ordered() {
            let (wanted, name) = (self.commands.has(place), catalog.entry(place).name);
            if wanted != described.commands.has(place) {
                let sign = if wanted { '+' } else { '-' };
                text.extend_from_slice(format!(" {sign}{name}").as_bytes());
                described.change(catalog, place, wanted);
            }
            if wanted {
                continue;
            }
            for argument in self.first_arguments.get(&place).into_iter().flatten() {
                text.extend_from_slice(format!(" +{name}|").as_bytes());
                text.extend_from_slice(argument);
            }
        }
    }
}
