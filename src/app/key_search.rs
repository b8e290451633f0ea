//! Keys for the console: a search, and a look at one key, by the commands that clients use for it.
//!
//! A search request looks at no more than [`STEPS`] times [`STEP`] keys. Between steps the thread is given back: it
//! is the admin port's only one. Of a collection one element after the other is asked for, until enough bytes
//! are there: ten elements may be ten gigabytes.

use crate::admin::{KEPT_NAME, KeyDetails, KeyPage, KeyRow, LookError, Text, WantedKeys};
use crate::data::parse_i64;
use crate::engine::reader::Reader;
use crate::resp::Value;

/// Keys that one SCAN looks at.
const STEP: u64 = 50;
/// How many of them a request makes.
const STEPS: u64 = 200;
/// Past so many bytes of names a page is full.
const PAGE_BYTES: usize = 1 << 20;

/// Elements that are shown of a collection.
const ELEMENTS: usize = 20;
/// Parts that are shown of one element: an entry of a stream has as many fields as its author likes.
const PARTS: usize = 21;
/// Bytes that are shown of a string.
const STRING_BYTES: usize = 256;
/// Past so many bytes no more elements are asked for.
const ELEMENT_BYTES: usize = 64 << 10;
/// Counting the bytes of what has more elements takes too long for a page of many.
const QUICK_ELEMENTS: u64 = 100_000;

pub(super) async fn find(mut reader: Reader, wanted: &WantedKeys) -> Result<KeyPage, LookError> {
    let mut page = KeyPage { cursor: wanted.cursor, ..KeyPage::default() };
    let mut bytes = 0;
    for _ in 0..STEPS {
        let (cursor, step) = (page.cursor.to_string(), STEP.to_string());
        let mut words: Vec<&[u8]> =
            vec![b"SCAN", cursor.as_bytes(), b"MATCH", &wanted.pattern, b"COUNT", step.as_bytes()];
        if let Some(kind) = &wanted.kind {
            words.extend([&b"TYPE"[..], kind.as_bytes()]);
        }
        let Value::Array(reply) = ask(&mut reader, &words).await? else { return Err(unexpected()) };
        let [cursor, Value::Array(names)] = &reply[..] else { return Err(unexpected()) };
        page.cursor = text_of(cursor).parse().map_err(|_| unexpected())?;
        page.looked_at += STEP;
        for name in names {
            let name = bytes_of(name);
            bytes += name.len();
            page.keys.extend(describe(&mut reader, name, QUICK_ELEMENTS).await?);
        }
        if page.cursor == 0 || page.keys.len() >= wanted.count || bytes >= PAGE_BYTES {
            break;
        }
        tokio::task::yield_now().await;
    }
    Ok(page)
}

pub(super) async fn look(mut reader: Reader, name: &[u8]) -> Result<Option<KeyDetails>, LookError> {
    let Some(key) = describe(&mut reader, name, u64::MAX).await? else { return Ok(None) };
    let elements = match elements(&mut reader, name, &key).await {
        Ok(elements) => elements,
        // It became another type's meanwhile.
        Err(LookError::Refused(_)) => Vec::new(),
        Err(other) => return Err(other),
    };
    Ok(Some(KeyDetails { key, elements }))
}

/// What can be said of a key at once; none when it is not there.
async fn describe(reader: &mut Reader, name: &[u8], quick: u64) -> Result<Option<KeyRow>, LookError> {
    let kind = text_of(&ask(reader, &[b"TYPE", name]).await?);
    let size: &[u8] = match kind.as_str() {
        "string" => b"STRLEN",
        "list" => b"LLEN",
        "set" => b"SCARD",
        "zset" => b"ZCARD",
        "hash" => b"HLEN",
        "stream" => b"XLEN",
        _ => return Ok(None),
    };
    // Between two of these the key may go or change its type.
    let size = match ask(reader, &[size, name]).await {
        Ok(size) => number_of(&size),
        Err(LookError::Refused(_)) => return Ok(None),
        Err(other) => return Err(other),
    };
    let encoding = text_of(&ask(reader, &[b"OBJECT", b"ENCODING", name]).await?);
    let ttl_ms = match ask(reader, &[b"PTTL", name]).await? {
        Value::Int(-2) => return Ok(None),
        ttl => u64::try_from(int_of(&ttl)).ok(),
    };
    let counts = kind == "string" || size <= quick;
    let memory =
        if counts { Some(number_of(&ask(reader, &[b"MEMORY", b"USAGE", name]).await?)) } else { None };
    Ok(Some(KeyRow { name: Text::keeping(KEPT_NAME, name), kind, encoding, ttl_ms, size, memory }))
}

/// The first elements of a value.
async fn elements(reader: &mut Reader, name: &[u8], key: &KeyRow) -> Result<Vec<Vec<Text>>, LookError> {
    match key.kind.as_str() {
        "string" => {
            let last = (STRING_BYTES - 1).to_string();
            let begin = ask(reader, &[b"GETRANGE", name, b"0", last.as_bytes()]).await?;
            Ok(vec![vec![Text::begin_of(bytes_of(&begin), key.size)]])
        }
        "list" => one_by_one(reader, |at| vec![b"LINDEX".to_vec(), name.to_vec(), at]).await,
        "zset" => {
            let range =
                |at: Vec<u8>| vec![b"ZRANGE".to_vec(), name.to_vec(), at.clone(), at, b"WITHSCORES".to_vec()];
            one_by_one(reader, range).await
        }
        "set" => scanned(reader, b"SSCAN", name, 1).await,
        "hash" => scanned(reader, b"HSCAN", name, 2).await,
        _ => entries(reader, name).await,
    }
}

/// Elements by their place, until there are enough.
async fn one_by_one(
    reader: &mut Reader,
    words: impl Fn(Vec<u8>) -> Vec<Vec<u8>>,
) -> Result<Vec<Vec<Text>>, LookError> {
    let (mut elements, mut bytes) = (Vec::new(), 0);
    for at in 0..ELEMENTS {
        let words = words(at.to_string().into_bytes());
        let words: Vec<&[u8]> = words.iter().map(Vec::as_slice).collect();
        let parts = match ask(reader, &words).await? {
            Value::Array(parts) if parts.is_empty() => break,
            Value::Array(parts) => parts,
            Value::Null => break,
            one => vec![one],
        };
        bytes += parts.iter().map(|part| bytes_of(part).len()).sum::<usize>();
        elements.push(parts.iter().map(|part| Text::of(bytes_of(part))).collect());
        if bytes >= ELEMENT_BYTES {
            break;
        }
    }
    Ok(elements)
}

/// Elements in the order of a scan, each of so many parts.
async fn scanned(
    reader: &mut Reader,
    command: &[u8],
    name: &[u8],
    parts: usize,
) -> Result<Vec<Vec<Text>>, LookError> {
    let (mut elements, mut bytes) = (Vec::new(), 0);
    let mut cursor = "0".to_owned();
    loop {
        let Value::Array(reply) = ask(reader, &[command, name, cursor.as_bytes(), b"COUNT", b"1"]).await?
        else {
            return Err(unexpected());
        };
        let [next, Value::Array(found)] = &reply[..] else { return Err(unexpected()) };
        bytes += found.iter().map(|part| bytes_of(part).len()).sum::<usize>();
        elements.extend(
            found
                .chunks(parts)
                .map(|parts| parts.iter().map(|part| Text::of(bytes_of(part))).collect::<Vec<_>>()),
        );
        cursor = text_of(next);
        if cursor == "0" || elements.len() >= ELEMENTS || bytes >= ELEMENT_BYTES {
            elements.truncate(ELEMENTS);
            return Ok(elements);
        }
    }
}

/// Entries of a stream: the number, then fields and values.
async fn entries(reader: &mut Reader, name: &[u8]) -> Result<Vec<Vec<Text>>, LookError> {
    let (mut elements, mut bytes) = (Vec::new(), 0);
    let mut from = b"-".to_vec();
    while elements.len() < ELEMENTS && bytes < ELEMENT_BYTES {
        let Value::Array(found) = ask(reader, &[b"XRANGE", name, &from, b"+", b"COUNT", b"1"]).await? else {
            return Err(unexpected());
        };
        let Some(Value::Array(entry)) = found.first() else { break };
        let [id, Value::Array(fields)] = &entry[..] else { return Err(unexpected()) };
        from = [b"(", bytes_of(id)].concat();
        bytes += fields.iter().map(|field| bytes_of(field).len()).sum::<usize>();
        let parts = std::iter::once(id).chain(fields).take(PARTS);
        elements.push(parts.map(|part| Text::of(bytes_of(part))).collect());
    }
    Ok(elements)
}

async fn ask(reader: &mut Reader, words: &[&[u8]]) -> Result<Value, LookError> {
    reader.run(words).await.map_err(|text| {
        let (code, rest) = text.split_once(' ').unwrap_or(("", &text));
        match code {
            "LOADING" | "BUSY" => LookError::NotNow(rest.to_owned()),
            _ => LookError::Refused(text),
        }
    })
}

fn unexpected() -> LookError {
    LookError::Refused("a command answered in an unexpected form".to_owned())
}

fn bytes_of(value: &Value) -> &[u8] {
    match value {
        Value::Bulk(bytes) | Value::Simple(bytes) => bytes,
        _ => &[],
    }
}

fn text_of(value: &Value) -> String {
    String::from_utf8_lossy(bytes_of(value)).into_owned()
}

fn int_of(value: &Value) -> i64 {
    match value {
        Value::Int(number) => *number,
        other => parse_i64(bytes_of(other)).unwrap_or_default(),
    }
}

fn number_of(value: &Value) -> u64 {
    u64::try_from(int_of(value)).unwrap_or_default()
}
