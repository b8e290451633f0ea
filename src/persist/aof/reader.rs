//! Reading a file of the log: commands, and the lines that begin with `#`.
//!
//! ```text
//! *2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n     a command
//! #TS:1700000000\r\n                    the seconds since 1970 at which what follows happened
//! #CRC:89abcdef\r\n                     the CRC-32 of all bytes of the file before this line
//! ```
//!
//! Redis skips every line that begins with `#`, so our own files are read there. A checksum reaches over the
//! whole file up to its line: whatever was changed, taken out or put in before it is found there.

use std::fmt;
use std::io;

use crate::persist::files::Handle;

/// Read at once.
const PIECE_BYTES: usize = 256 * 1024;
/// Every line is shorter, its end included: Redis's AOF_ANNOTATION_LINE_MAX_LEN.
const LINE_LIMIT: usize = 1024;
/// Set aside for arguments before their bytes are there.
const MOST_AHEAD: usize = 1024;

/// How a checksum's line begins.
pub const CHECKSUM: &[u8] = b"#CRC:";
/// How a time's line begins.
pub const TIME: &[u8] = b"#TS:";

/// Why reading ended before the end.
#[derive(Debug)]
pub enum Problem {
    /// The file ends within a command.
    Truncated,
    /// What stands there is no command.
    Format(&'static str),
    /// A checksum is not that of the bytes before it.
    Checksum,
    /// The file cannot be read.
    Io(io::Error),
}

/// A problem, and where.
#[derive(Debug)]
pub struct Fault {
    /// Where the command begins that cannot be read.
    pub offset: u64,
    /// What is wrong with it.
    pub problem: Problem,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = self.offset;
        match &self.problem {
            Problem::Truncated => write!(f, "the file ends within the command at offset {at}"),
            Problem::Format(what) => write!(f, "{what} at offset {at}"),
            Problem::Checksum => write!(
                f,
                "the checksum at offset {at} is not that of the bytes before it: one of them was changed"
            ),
            Problem::Io(error) => write!(f, "it cannot be read at offset {at}: {error}"),
        }
    }
}

/// What was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Read {
    /// A command; its words are in the reader.
    Command,
    /// A time, seconds since 1970.
    Time(u64),
    /// A checksum, which was right.
    Checksum,
    /// Another line that begins with `#`.
    Annotation,
    /// The end of the file.
    End,
}

/// Reads one file from some place on.
pub struct Reader<'a> {
    handle: &'a dyn Handle,
    /// Where the next bytes come from.
    from: u64,
    buffer: Vec<u8>,
    at: usize,
    /// Of all bytes before `at`.
    checksum: crc32fast::Hasher,
    /// Bytes before `at` that `checksum` does not have yet.
    behind: usize,
    words: Vec<u8>,
    ends: Vec<usize>,
}

enum Stop {
    Short,
    Fault(Problem),
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Stop {
        Stop::Fault(Problem::Io(error))
    }
}

impl<'a> Reader<'a> {
    /// Reads from `offset`; `checksum` is that of the bytes before it.
    pub fn new(handle: &'a dyn Handle, offset: u64, checksum: crc32fast::Hasher) -> Reader<'a> {
        Reader {
            handle,
            from: offset,
            buffer: Vec::new(),
            at: 0,
            checksum,
            behind: 0,
            words: Vec::new(),
            ends: Vec::new(),
        }
    }

    /// Where the next command begins.
    pub fn offset(&self) -> u64 {
        self.from - (self.buffer.len() - self.at) as u64
    }

    /// The checksum of all bytes before [`Reader::offset`].
    pub fn checksum(&mut self) -> crc32fast::Hasher {
        self.settle();
        self.checksum.clone()
    }

    /// How many words the command has.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is no command.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// A word of the command.
    pub fn word(&self, index: usize) -> &[u8] {
        let begin = if index == 0 { 0 } else { self.ends[index - 1] };
        &self.words[begin..self.ends[index]]
    }

    /// The command's words behind each other, and where each ends.
    pub fn words(&self) -> (&[u8], &[usize]) {
        (&self.words, &self.ends)
    }

    /// Reads the next command or line. After an error the reader is of no further use.
    ///
    /// # Errors
    /// [`Fault`].
    pub fn read_next(&mut self) -> Result<Read, Fault> {
        let offset = self.offset();
        self.settle();
        match self.read() {
            Ok(read) => Ok(read),
            Err(stop) => {
                let problem = match stop {
                    Stop::Short => Problem::Truncated,
                    Stop::Fault(problem) => problem,
                };
                self.ends.clear();
                Err(Fault { offset, problem })
            }
        }
    }

    /// Takes the bytes that have been passed into the checksum.
    fn settle(&mut self) {
        self.checksum.update(&self.buffer[self.behind..self.at]);
        self.behind = self.at;
    }

    /// Reads more. False at the end of the file.
    fn fill(&mut self) -> io::Result<bool> {
        if self.at > 0 {
            self.settle();
            self.buffer.drain(..self.at);
            (self.at, self.behind) = (0, 0);
        }
        let old = self.buffer.len();
        self.buffer.resize(old + PIECE_BYTES, 0);
        let read = loop {
            match self.handle.read_at(&mut self.buffer[old..], self.from) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => break other,
            }
        };
        self.buffer.truncate(old + *read.as_ref().unwrap_or(&0));
        let read = read?;
        self.from += read as u64;
        Ok(read > 0)
    }

    /// The next line without its end, as a range of the buffer.
    fn line(&mut self) -> Result<std::ops::Range<usize>, Stop> {
        let mut looked = 0;
        loop {
            let rest = &self.buffer[self.at..];
            let found = rest[looked..].iter().position(|byte| *byte == b'\n');
            // Whether it came whole or in two pieces must make no difference.
            if found.map_or(rest.len(), |found| looked + found) + 1 >= LINE_LIMIT {
                return Err(Stop::Fault(Problem::Format("a line is too long")));
            }
            if let Some(found) = found {
                let begin = self.at;
                let mut end = begin + looked + found;
                self.at = end + 1;
                if end > begin && self.buffer[end - 1] == b'\r' {
                    end -= 1;
                }
                return Ok(begin..end);
            }
            looked = rest.len();
            if !self.fill()? {
                return Err(Stop::Short);
            }
        }
    }

    fn read(&mut self) -> Result<Read, Stop> {
        self.ends.clear();
        self.words.clear();
        self.words.shrink_to(PIECE_BYTES);
        while self.at == self.buffer.len() {
            if !self.fill()? {
                return Ok(Read::End);
            }
        }
        match self.buffer[self.at] {
            b'#' => self.annotation(),
            b'*' => self.command(),
            _ => Err(Stop::Fault(Problem::Format("there is neither a command nor an annotation"))),
        }
    }

    fn annotation(&mut self) -> Result<Read, Stop> {
        let expected = self.checksum.clone().finalize();
        let line = self.line()?;
        let text = &self.buffer[line];
        if let Some(digits) = text.strip_prefix(CHECKSUM) {
            // `from_str_radix` alone would take a sign for one of them.
            let is_number = digits.len() == 8 && digits.iter().all(u8::is_ascii_hexdigit);
            let number = std::str::from_utf8(digits).ok().filter(|_| is_number);
            let written = number.and_then(|digits| u32::from_str_radix(digits, 16).ok());
            if written != Some(expected) {
                return Err(Stop::Fault(Problem::Checksum));
            }
            return Ok(Read::Checksum);
        }
        let time = text.strip_prefix(TIME).and_then(|digits| std::str::from_utf8(digits).ok()?.parse().ok());
        Ok(time.map_or(Read::Annotation, Read::Time))
    }

    fn command(&mut self) -> Result<Read, Stop> {
        let line = self.line()?;
        let count = number(&self.buffer[line.start + 1..line.end])
            .filter(|count| *count >= 1)
            .ok_or(Stop::Fault(Problem::Format("a command has no valid number of arguments")))?;
        self.ends.reserve(count.min(MOST_AHEAD));
        for _ in 0..count {
            let line = self.line()?;
            if self.buffer.get(line.start) != Some(&b'$') || line.is_empty() {
                return Err(Stop::Fault(Problem::Format("an argument does not begin with its length")));
            }
            let length = number(&self.buffer[line.start + 1..line.end])
                .ok_or(Stop::Fault(Problem::Format("an argument has no valid length")))?;
            self.take(length)?;
            self.ends.push(self.words.len());
            self.line_end()?;
        }
        Ok(Read::Command)
    }

    /// Takes so many bytes, as they come.
    fn take(&mut self, mut length: usize) -> Result<(), Stop> {
        loop {
            let have = (self.buffer.len() - self.at).min(length);
            self.words.extend_from_slice(&self.buffer[self.at..self.at + have]);
            self.at += have;
            length -= have;
            if length == 0 {
                return Ok(());
            }
            if !self.fill()? {
                return Err(Stop::Short);
            }
        }
    }

    fn line_end(&mut self) -> Result<(), Stop> {
        while self.buffer.len() - self.at < 2 {
            if !self.fill()? {
                return Err(Stop::Short);
            }
        }
        if &self.buffer[self.at..self.at + 2] != b"\r\n" {
            return Err(Stop::Fault(Problem::Format("an argument is longer than its length says")));
        }
        self.at += 2;
        Ok(())
    }
}

fn number(digits: &[u8]) -> Option<usize> {
    let text = std::str::from_utf8(digits).ok()?;
    if text.starts_with('+') {
        return None;
    }
    text.parse::<usize>().ok().filter(|number| i64::try_from(*number).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::persist::files::Files;
    use crate::persist::files::faulty::FaultyFiles;
    use std::path::Path;

    fn read(bytes: &[u8]) -> (Vec<String>, Option<Fault>, u64) {
        let files = FaultyFiles::new();
        files.put(Path::new("/x"), bytes);
        let handle = files.open(Path::new("/x")).unwrap();
        let mut reader = Reader::new(&*handle, 0, crc32fast::Hasher::new());
        let mut seen = Vec::new();
        loop {
            match reader.read_next() {
                Ok(Read::End) => return (seen, None, reader.offset()),
                Ok(Read::Command) => {
                    let words = (0..reader.len()).map(|at| String::from_utf8_lossy(reader.word(at)));
                    seen.push(words.collect::<Vec<_>>().join(" "));
                }
                Ok(other) => seen.push(format!("{other:?}")),
                Err(fault) => return (seen, Some(fault), 0),
            }
        }
    }

    const SET: &str = "*3\r\n$3\r\nSET\r\n$1\r\na\r\n$4\r\n\r\n*1\r\n";

    fn checked() -> String {
        let body = format!("{SET}#TS:17\r\n");
        let line = format!("#CRC:{:08x}\r\n", crc32fast::hash(body.as_bytes()));
        let all = format!("{body}{line}{SET}");
        format!("{all}#CRC:{:08x}\r\n", crc32fast::hash(all.as_bytes()))
    }

    #[test]
    fn commands_and_annotations_are_told_apart() {
        let (seen, fault, end) = read(checked().as_bytes());
        assert!(fault.is_none());
        assert_eq!(end, checked().len() as u64);
        assert_eq!(seen, ["SET a \r\n*1", "Time(17)", "Checksum", "SET a \r\n*1", "Checksum"]);
        assert_eq!(read(b"").0.len(), 0);
    }

    #[test]
    fn every_flipped_byte_before_a_checksum_is_found() {
        let whole = checked().into_bytes();
        for at in 0..whole.len() {
            for bit in [0x01, 0x20, 0x80] {
                let mut damaged = whole.clone();
                damaged[at] ^= bit;
                // The end of the last line may read as another end of a line, and the sign of an annotation as
                // another annotation's: then there is no checksum, and no difference in what is read.
                let (seen, fault, _) = read(&damaged);
                let same = seen.iter().filter(|line| !line.starts_with("Ann") && *line != "Checksum").count()
                    == 3
                    && seen.iter().filter(|line| line.starts_with("SET a \r\n*1")).count() == 2;
                assert!(fault.is_some() || same, "byte {at}: {seen:?}");
            }
        }
    }

    #[test]
    fn every_length_is_whole_or_told_to_be_cut() {
        let whole = checked().into_bytes();
        for end in 0..whole.len() {
            let (seen, fault, _) = read(&whole[..end]);
            match fault {
                None => assert!(seen.len() < 5),
                Some(Fault { problem: Problem::Truncated, offset }) => assert!(offset < end as u64),
                Some(other) => panic!("{end}: {other}"),
            }
        }
    }

    #[test]
    fn how_a_line_comes_makes_no_difference() {
        for (length, is_read) in [(1023, true), (1024, false), (3000, false)] {
            let line = [vec![b'#'; length - 1], b"\n".to_vec()].concat();
            // At the beginning of a piece that is read, and over the border of two.
            let value = PIECE_BYTES - length / 2 - "*2\r\n$3\r\nSET\r\n$262144\r\n\r\n".len();
            let before = format!("*2\r\n$3\r\nSET\r\n${value}\r\n{}\r\n", "x".repeat(value));
            assert_eq!(before.len() + length / 2, PIECE_BYTES);
            for bytes in [line.clone(), [before.into_bytes(), line].concat()] {
                let (_, fault, _) = read(&bytes);
                let told = fault.map(|fault| fault.problem);
                let refused = matches!(told, Some(Problem::Format("a line is too long")));
                assert!(if is_read { told.is_none() } else { refused }, "{length}: {told:?}");
            }
        }
    }

    #[test]
    fn a_checksum_has_eight_digits() {
        // The first number whose command has a checksum that begins with a zero.
        let commands = (0..1000).map(|number| format!("*1\r\n$3\r\n{number:03}\r\n"));
        let mut crcs = commands.map(|text| (crc32fast::hash(text.as_bytes()), text));
        let (crc, command) = crcs.find(|(crc, _)| *crc < 1 << 28).unwrap();
        assert!(read(format!("{command}#CRC:{crc:08x}\r\n").as_bytes()).1.is_none());
        for digits in [format!("+{crc:07x}"), format!("{crc:07x}"), format!("0{crc:08x}")] {
            let fault = read(format!("{command}#CRC:{digits}\r\n").as_bytes()).1.unwrap();
            assert!(matches!(fault.problem, Problem::Checksum), "{digits}");
        }
    }

    #[test]
    fn what_is_no_command_is_refused_with_its_place() {
        for bad in
            ["X", "*0\r\n", "*-1\r\n", "*x\r\n", "*1\r\nPING\r\n", "*1\r\n$x\r\n", "*1\r\n$1\r\nab\r\n"]
        {
            let (seen, fault, _) = read(format!("{SET}{bad}").as_bytes());
            let fault = fault.unwrap();
            assert_eq!((seen.len(), fault.offset), (1, SET.len() as u64), "{bad:?}");
            assert!(matches!(fault.problem, Problem::Format(_)), "{bad:?}: {fault}");
        }
        // A length is not believed before the bytes are there.
        assert!(matches!(read(b"*1\r\n$9000000000000000000\r\nx").1.unwrap().problem, Problem::Truncated));
        assert!(matches!(read(b"*2000000000\r\n$1\r\nx\r\n").1.unwrap().problem, Problem::Truncated));
    }
}
