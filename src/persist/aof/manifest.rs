//! The manifest: which files of the folder are the log, and in which order.
//!
//! ```text
//! file appendonly.aof.2.base.rdb seq 2 type b     the state at one instant
//! file appendonly.aof.1.incr.aof seq 1 type h     what a rewrite made obsolete, to be removed
//! file appendonly.aof.3.incr.aof seq 3 type i     what happened since, in this order
//! ```
//!
//! A name with unusual characters stands in double quotes. Unknown words of a line are skipped in pairs, lines
//! that begin with `#` altogether.

use std::fmt;

/// What a file of the folder is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileType {
    /// The state at one instant.
    Base,
    /// Effects after it.
    Increment,
    /// Obsolete.
    History,
}

impl FileType {
    fn letter(self) -> char {
        match self {
            FileType::Base => 'b',
            FileType::Increment => 'i',
            FileType::History => 'h',
        }
    }
}

/// A file that the manifest names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileInfo {
    /// Its name within the folder.
    pub name: String,
    /// Its number, from 1.
    pub sequence: u64,
    /// What it is.
    pub kind: FileType,
}

/// All files of a log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Manifest {
    /// The state from which the increments go on.
    pub base: Option<FileInfo>,
    /// In the order in which they are read.
    pub increments: Vec<FileInfo>,
    /// What may be removed.
    pub history: Vec<FileInfo>,
    base_sequence: u64,
    increment_sequence: u64,
}

/// Why a manifest cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ManifestError {
    /// The line's number, from 1; 0 for the file as a whole.
    pub line: usize,
    /// What stands there.
    pub text: String,
    /// What is wrong with it, in Redis's words.
    pub reason: &'static str,
}

impl fmt::Display for ManifestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.line > 0 {
            write!(f, "at line {}: '{}': ", self.line, self.text)?;
        }
        f.write_str(self.reason)
    }
}

impl std::error::Error for ManifestError {}

/// No line is longer.
const LONGEST_LINE: usize = 1024;

impl Manifest {
    /// Reads a manifest.
    ///
    /// # Errors
    /// [`ManifestError`] at the first line that is none.
    pub fn parse(bytes: &[u8]) -> Result<Manifest, ManifestError> {
        let mut manifest = Manifest::default();
        if bytes.is_empty() {
            return Err(ManifestError {
                line: 0,
                text: String::new(),
                reason: "Found an empty AOF manifest",
            });
        }
        for (index, line) in bytes.split_inclusive(|byte| *byte == b'\n').enumerate() {
            if line.first() == Some(&b'#') {
                continue;
            }
            let refused = |reason| ManifestError {
                line: index + 1,
                text: String::from_utf8_lossy(line.trim_ascii()).into_owned(),
                reason,
            };
            if line.len() > LONGEST_LINE || line.last() != Some(&b'\n') {
                return Err(refused("The AOF manifest file contains too long line"));
            }
            manifest.add(parse_line(line.trim_ascii()).map_err(refused)?).map_err(refused)?;
        }
        Ok(manifest)
    }

    fn add(&mut self, file: FileInfo) -> Result<(), &'static str> {
        match file.kind {
            FileType::Base if self.base.is_some() => return Err("Found duplicate base file information"),
            FileType::Base => {
                self.base_sequence = file.sequence;
                self.base = Some(file);
            }
            FileType::History => self.history.push(file),
            FileType::Increment => {
                if file.sequence <= self.increment_sequence {
                    return Err("Found a non-monotonic sequence number");
                }
                self.increment_sequence = file.sequence;
                self.increments.push(file);
            }
        }
        Ok(())
    }

    /// The manifest as it stands in its file.
    pub fn format(&self) -> String {
        let files = self.base.iter().chain(&self.history).chain(&self.increments);
        files.fold(String::new(), |mut text, file| {
            let name = quoted(&file.name);
            text.push_str(&format!("file {name} seq {} type {}\n", file.sequence, file.kind.letter()));
            text
        })
    }

    /// Whether it names no file that is to be read.
    pub fn is_empty(&self) -> bool {
        self.base.is_none() && self.increments.is_empty()
    }

    /// The files that are to be read, in order.
    pub fn live(&self) -> impl Iterator<Item = &FileInfo> {
        self.base.iter().chain(&self.increments)
    }

    /// Names a new base; the old one is history.
    pub fn add_base(&mut self, log_name: &str, rdb: bool) -> String {
        if let Some(mut old) = self.base.take() {
            old.kind = FileType::History;
            self.history.insert(0, old);
        }
        let format = if rdb { "rdb" } else { "aof" };
        let name = |sequence| format!("{log_name}.{sequence}.base.{format}");
        let (sequence, name) = self.unused(self.base_sequence, name);
        self.base_sequence = sequence;
        self.base = Some(FileInfo { name: name.clone(), sequence: self.base_sequence, kind: FileType::Base });
        name
    }

    /// Names a file of this name as the base: one that was there before there was a manifest.
    pub fn adopt_base(&mut self, name: &str) {
        self.base_sequence = 1;
        self.base = Some(FileInfo { name: name.to_owned(), sequence: 1, kind: FileType::Base });
    }

    /// Names a new increment, the last one.
    pub fn add_increment(&mut self, log_name: &str) -> String {
        let name = |sequence| format!("{log_name}.{sequence}.incr.aof");
        let (sequence, name) = self.unused(self.increment_sequence, name);
        self.increment_sequence = sequence;
        self.increments.push(FileInfo {
            name: name.clone(),
            sequence: self.increment_sequence,
            kind: FileType::Increment,
        });
        name
    }

    /// Counts on from a number to a name that no file of the log has. An obsolete one's would go when that is removed.
    fn unused(&self, mut sequence: u64, name: impl Fn(u64) -> String) -> (u64, String) {
        loop {
            sequence += 1;
            let name = name(sequence);
            if self.live().chain(&self.history).all(|file| file.name != name) {
                return (sequence, name);
            }
        }
    }

    /// Everything but the last `kept` increments is history: a base holds it.
    pub fn retire_increments(&mut self, kept: usize) {
        let gone = self.increments.len().saturating_sub(kept);
        for mut old in self.increments.drain(..gone) {
            old.kind = FileType::History;
            self.history.push(old);
        }
    }
}

fn parse_line(line: &[u8]) -> Result<FileInfo, &'static str> {
    const INVALID: &str = "Invalid AOF manifest file format";
    let words = split(line).ok_or(INVALID)?;
    if words.len() < 6 || !words.len().is_multiple_of(2) {
        return Err(INVALID);
    }
    let (mut name, mut sequence, mut kind) = (None, 0, None);
    for pair in words.chunks_exact(2) {
        let value = pair[1].as_str();
        match pair[0].to_ascii_lowercase().as_str() {
            "file" if value.contains(['/', '\\']) => return Err("File can't be a path, just a filename"),
            "file" => name = Some(value.to_owned()),
            // Redis counts with a sign. Beyond that there would be no room for a next one.
            "seq" => {
                sequence = value.parse::<i64>().ok().and_then(|seq| u64::try_from(seq).ok()).unwrap_or(0)
            }
            "type" => {
                kind = Some(match value.chars().next() {
                    Some('b') => FileType::Base,
                    Some('i') => FileType::Increment,
                    Some('h') => FileType::History,
                    Some(_) => return Err("Unknown AOF file type"),
                    None => return Err(INVALID),
                });
            }
            _ => {}
        }
    }
    match (name, sequence, kind) {
        (Some(name), 1.., Some(kind)) if !name.is_empty() => Ok(FileInfo { name, sequence, kind }),
        _ => Err(INVALID),
    }
}

/// Bytes that have a letter of their own behind a backslash.
const NAMED: [(u8, u8); 5] = [(b'n', b'\n'), (b'r', b'\r'), (b't', b'\t'), (b'a', 7), (b'b', 8)];

/// Words between blanks; one in double quotes may hold blanks and `\xHH`, one in single quotes `\'`.
fn split(line: &[u8]) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut rest = line;
    loop {
        rest = rest.trim_ascii_start();
        let Some(&first) = rest.first() else { return Some(words) };
        let mut word = Vec::new();
        if first == b'"' || first == b'\'' {
            rest = &rest[1..];
            loop {
                let (&byte, after) = rest.split_first()?;
                rest = after;
                match byte {
                    _ if byte == first => break,
                    b'\\' => {
                        let (&escaped, after) = rest.split_first()?;
                        rest = after;
                        let digits = rest.get(..2).filter(|digits| digits.iter().all(u8::is_ascii_hexdigit));
                        if let Some(digits) = digits.filter(|_| first == b'"' && escaped == b'x') {
                            let digits = std::str::from_utf8(digits).ok()?;
                            word.push(u8::from_str_radix(digits, 16).ok()?);
                            rest = &rest[2..];
                        } else {
                            let named = NAMED.iter().find(|(letter, _)| first == b'"' && *letter == escaped);
                            word.push(named.map_or(escaped, |(_, byte)| *byte));
                        }
                    }
                    other => word.push(other),
                }
            }
            if rest.first().is_some_and(|byte| !byte.is_ascii_whitespace()) {
                return None;
            }
        } else {
            let end = rest.iter().position(u8::is_ascii_whitespace).unwrap_or(rest.len());
            word.extend_from_slice(&rest[..end]);
            rest = &rest[end..];
        }
        words.push(String::from_utf8(word).ok()?);
    }
}

fn quoted(name: &str) -> String {
    let plain = |c: char| c.is_ascii_graphic() && !matches!(c, '"' | '\\' | '\'');
    if name.chars().all(plain) {
        return name.to_owned();
    }
    let mut text = String::from("\"");
    for byte in name.bytes() {
        match byte {
            b'"' | b'\\' => text.extend(['\\', char::from(byte)]),
            _ if NAMED.iter().any(|(_, named)| *named == byte) => {
                let letter =
                    NAMED.iter().find(|(_, named)| *named == byte).map_or(b'n', |(letter, _)| *letter);
                text.extend(['\\', char::from(letter)]);
            }
            b' '..=b'~' => text.push(char::from(byte)),
            _ => text.push_str(&format!("\\x{byte:02x}")),
        }
    }
    text.push('"');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const THREE: &str = "file a.aof.2.base.rdb seq 2 type b\nfile a.aof.1.incr.aof seq 1 type h\n\
                         file a.aof.2.incr.aof seq 2 type i\nfile \"a b.aof.4.incr.aof\" seq 4 type i\n";

    #[test]
    fn what_is_written_is_read() {
        let manifest = Manifest::parse(THREE.as_bytes()).unwrap();
        assert_eq!(manifest.format(), THREE);
        let names: Vec<_> = manifest.live().map(|file| file.name.as_str()).collect();
        assert_eq!(names, ["a.aof.2.base.rdb", "a.aof.2.incr.aof", "a b.aof.4.incr.aof"]);
        assert_eq!(manifest.history.len(), 1);
        let odd = "# comment\nFILE x SEQ 1 other thing TYPE base\n";
        let manifest = Manifest::parse(odd.as_bytes()).unwrap();
        assert_eq!(manifest.base.unwrap().name, "x");
    }

    #[test]
    fn names_with_unusual_characters_stand_in_quotes() {
        let mut manifest = Manifest::default();
        manifest.add_increment(" a\n\t\"\u{1}.aof ");
        let text = manifest.format();
        assert_eq!(text, "file \" a\\n\\t\\\"\\x01.aof .1.incr.aof\" seq 1 type i\n");
        assert_eq!(Manifest::parse(text.as_bytes()).unwrap(), manifest);
    }

    #[test]
    fn what_is_no_number_behind_an_x_is_read_as_redis_reads_it() {
        let line = b"file \"\\xc3\\xa9\\x\\xg0\\x+f\" seq 1 type i\n";
        assert_eq!(Manifest::parse(line).unwrap().increments[0].name, "éxxg0x+f");
    }

    #[test]
    fn a_new_file_has_no_name_of_an_old_one() {
        // What is left where the increments went and the removal of what is obsolete was interrupted.
        let old = "file a.aof.1.base.rdb seq 1 type h\nfile a.aof.1.incr.aof seq 1 type h\n";
        let mut manifest = Manifest::parse(old.as_bytes()).unwrap();
        assert_eq!(manifest.add_increment("a.aof"), "a.aof.2.incr.aof");
        assert_eq!(manifest.add_base("a.aof", true), "a.aof.2.base.rdb");
    }

    #[test]
    fn a_rewrite_goes_on_with_the_numbers() {
        let mut manifest = Manifest::parse(THREE.as_bytes()).unwrap();
        assert_eq!(manifest.add_increment("a.aof"), "a.aof.5.incr.aof");
        assert_eq!(manifest.add_base("a.aof", false), "a.aof.3.base.aof");
        manifest.retire_increments(1);
        assert_eq!(
            manifest.format(),
            "file a.aof.3.base.aof seq 3 type b\nfile a.aof.2.base.rdb seq 2 type h\n\
             file a.aof.1.incr.aof seq 1 type h\nfile a.aof.2.incr.aof seq 2 type h\n\
             file \"a b.aof.4.incr.aof\" seq 4 type h\nfile a.aof.5.incr.aof seq 5 type i\n"
        );
    }

    #[test]
    fn what_is_no_manifest_is_refused_with_its_line() {
        for (text, line, reason) in [
            ("", 0, "Found an empty AOF manifest"),
            ("file a seq 1 type b", 1, "The AOF manifest file contains too long line"),
            ("\n", 1, "Invalid AOF manifest file format"),
            ("file a seq 1\n", 1, "Invalid AOF manifest file format"),
            ("file a seq x type b\n", 1, "Invalid AOF manifest file format"),
            ("file a seq 9223372036854775808 type b\n", 1, "Invalid AOF manifest file format"),
            ("file \"a seq 1 type b\n", 1, "Invalid AOF manifest file format"),
            ("file a/b seq 1 type b\n", 1, "File can't be a path, just a filename"),
            ("file a seq 1 type b\nfile b seq 2 type b\n", 2, "Found duplicate base file information"),
            ("file a seq 2 type i\nfile b seq 2 type i\n", 2, "Found a non-monotonic sequence number"),
            ("file a seq 2 type x\n", 1, "Unknown AOF file type"),
        ] {
            let error = Manifest::parse(text.as_bytes()).unwrap_err();
            assert_eq!((error.line, error.reason), (line, reason), "{text:?}");
        }
    }
}
