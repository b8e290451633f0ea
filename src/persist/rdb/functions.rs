//! What FUNCTION DUMP answers: the code of all libraries, with the footer of DUMP.
//!
//! ```text
//! ([245][code, a string])* [version 2, the low byte first] [CRC-64 of all before it 8, the low byte first]
//! ```

use crate::store::DumpError;

use super::payload::{opened, sealed};
use super::primitive::{Reader, put_string};

/// What stands before a library.
const LIBRARY: u8 = 245;

/// Libraries, by their code, as FUNCTION DUMP answers them.
pub fn dump_libraries(codes: &[&[u8]], compress: bool) -> Vec<u8> {
    let mut out = Vec::new();
    for code in codes {
        out.push(LIBRARY);
        put_string(&mut out, code, compress);
    }
    sealed(out)
}

/// The code of each library in what [`dump_libraries`] gave, here or in a Redis that is not newer.
pub fn restore_libraries(payload: &[u8], checks: bool) -> Result<Vec<Vec<u8>>, DumpError> {
    let mut reader = Reader::new(opened(payload, checks)?);
    let mut codes = Vec::new();
    while !reader.is_empty() {
        if reader.byte().map_err(|_| DumpError::Value)? != LIBRARY {
            return Err(DumpError::Value);
        }
        codes.push(reader.string().map_err(|_| DumpError::Value)?.into_owned());
    }
    Ok(codes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_come_back_and_damage_is_seen() {
        let codes: [&[u8]; 2] = [b"#!lua name=a\nx", b"#!lua name=b\ny"];
        let dumped = dump_libraries(&codes, true);
        assert_eq!(restore_libraries(&dumped, true), Ok(codes.map(<[u8]>::to_vec).to_vec()));
        assert_eq!(restore_libraries(&dumped[1..], true), Err(DumpError::Footer));
        assert_eq!(restore_libraries(&sealed(vec![0, 1, b'x']), true), Err(DumpError::Value));
        assert_eq!(restore_libraries(&dump_libraries(&[], true), true), Ok(Vec::new()));
    }
}
