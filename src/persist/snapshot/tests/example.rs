//! The example in `docs/snapshot-format.md` is what the code writes, and it loads.

use super::*;

/// A record that the page can explain byte by byte.
fn example() -> Vec<(u32, Record)> {
    let mut all = vec![record("name", Value::Text("John".into())), record("visits", Value::Int(42))];
    all[1].0 = 1;
    all
}

fn hexdump(bytes: &[u8]) -> String {
    let line = |(i, chunk): (usize, &[u8])| {
        let hex: Vec<String> = chunk.iter().map(|b| format!("{b:02x}")).collect();
        let text: String =
            chunk.iter().map(|b| if b.is_ascii_graphic() { *b as char } else { '.' }).collect();
        format!("{:04x}  {:<47}  {text}\n", i * 16, hex.join(" "))
    };
    bytes.chunks(16).enumerate().map(line).collect()
}

#[test]
fn the_documented_example_is_true() {
    let (_, bytes) = disk_with(&example(), 1);
    let page = include_str!("../../../../docs/snapshot-format.md");
    let dump = hexdump(&bytes);
    assert!(page.contains(&dump), "docs/snapshot-format.md must contain:\n{dump}");
    let files = FaultyFiles::new();
    let documented: Vec<u8> = page
        .lines()
        .filter(|line| {
            line.len() > 53 && line.as_bytes()[..4].iter().all(u8::is_ascii_hexdigit) && &line[4..6] == "  "
        })
        .flat_map(|line| {
            line[6..53].split_whitespace().map(|b| u8::from_str_radix(b, 16).unwrap()).collect::<Vec<_>>()
        })
        .collect();
    files.put(Path::new(PATH), &documented);
    assert_eq!(load_records(&files, 1).unwrap().1, sorted(example()));
}
