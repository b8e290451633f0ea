//! Settings with a shape of their own: lists, save points, buffer limits, networks, event classes.

use super::quote::quote;
use super::row::{How, Kind, Line, Row, memory_words};
use super::value::{Setting, lenient_integer, line, memory, single, strict_integer};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Redis's limit on `bind`.
const MAX_ADDRESSES: usize = 16;

fn joined<T: ToString>(items: &[T]) -> Vec<u8> {
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ").into_bytes()
}

/// A single empty argument stands for an empty list.
fn items(args: &[Vec<u8>]) -> &[Vec<u8>] {
    match args {
        [only] if only.is_empty() => &[],
        all => all,
    }
}

fn parsed<T: std::str::FromStr<Err = String>>(args: &[Vec<u8>]) -> Result<Vec<T>, String> {
    args.iter().map(|arg| String::from_utf8_lossy(arg).parse()).collect()
}

fn list_or_empty(text: Vec<u8>) -> Vec<u8> {
    if text.is_empty() { quote(b"") } else { text }
}

/// Addresses. A leading `-` means that it is no error when the address is not there; `*` is every IPv4 address.
impl Setting for Vec<String> {
    fn update(&mut self, _: &Kind, args: &[Vec<u8>], _: How) -> Result<(), String> {
        let args = items(args);
        if args.len() > MAX_ADDRESSES {
            return Err("Too many bind addresses specified.".into());
        }
        let address = |arg: &Vec<u8>| match std::str::from_utf8(arg) {
            Ok(text)
                if !text.is_empty()
                    && text.bytes().all(|b| b.is_ascii_graphic() && b != b'"' && b != b'\'') =>
            {
                Ok(text.to_owned())
            }
            _ => Err(format!("'{}' is not an address", String::from_utf8_lossy(arg))),
        };
        *self = args.iter().map(address).collect::<Result<_, _>>()?;
        Ok(())
    }

    fn show(&self, _: &Kind) -> Vec<u8> {
        joined(self)
    }

    fn lines(&self, default: &Self, row: &Row) -> Vec<Line> {
        if self == default {
            return Vec::new();
        }
        vec![line(row.name, &list_or_empty(joined(self)), true)]
    }
}

/// An address to listen on that may not be a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BindAddress {
    /// The address; `*` is every IPv4 address and `::*` every one.
    pub ip: IpAddr,
    /// It is no error when this machine does not have it.
    pub optional: bool,
}

impl BindAddress {
    /// This machine alone, with or without IPv6.
    pub const LOOPBACK: [BindAddress; 2] = [
        BindAddress { ip: IpAddr::V4(Ipv4Addr::LOCALHOST), optional: false },
        BindAddress { ip: IpAddr::V6(Ipv6Addr::LOCALHOST), optional: true },
    ];
}

impl std::str::FromStr for BindAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, optional) = text.strip_prefix('-').map_or((text, false), |rest| (rest, true));
        let ip = match name {
            "*" => Ipv4Addr::UNSPECIFIED.into(),
            "::*" => Ipv6Addr::UNSPECIFIED.into(),
            "localhost" => Ipv4Addr::LOCALHOST.into(),
            name => name.parse().map_err(|_| {
                format!("'{text}' is not an IP address; write it as 127.0.0.1, ::1, localhost, or * for all")
            })?,
        };
        Ok(Self { ip, optional })
    }
}

impl std::fmt::Display for BindAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}{}", if self.optional { "-" } else { "" }, self.ip)
    }
}

impl Setting for Vec<BindAddress> {
    fn update(&mut self, _: &Kind, args: &[Vec<u8>], _: How) -> Result<(), String> {
        let args = items(args);
        if args.len() > MAX_ADDRESSES {
            return Err("Too many bind addresses specified.".into());
        }
        *self = parsed(args)?;
        Ok(())
    }

    fn show(&self, _: &Kind) -> Vec<u8> {
        joined(self)
    }

    fn lines(&self, default: &Self, row: &Row) -> Vec<Line> {
        vec![line(row.name, &list_or_empty(joined(self)), self != default)]
    }
}

/// A save is made when `changes` keys changed within `seconds`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SavePoint {
    /// Seconds since the last save, at least 1.
    pub seconds: u64,
    /// Changes since the last save.
    pub changes: u64,
}

impl std::fmt::Display for SavePoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.seconds, self.changes)
    }
}

impl Setting for Vec<SavePoint> {
    fn update(&mut self, _: &Kind, args: &[Vec<u8>], how: How) -> Result<(), String> {
        let invalid = || "Invalid save parameters".to_owned();
        let pairs = items(args);
        if !pairs.len().is_multiple_of(2) {
            return Err(invalid());
        }
        let mut points = Vec::new();
        for pair in pairs.chunks_exact(2) {
            let seconds = lenient_integer(&pair[0]).and_then(|n| u64::try_from(n).ok()).filter(|&n| n > 0);
            let changes = lenient_integer(&pair[1]).and_then(|n| u64::try_from(n).ok());
            points.push(SavePoint {
                seconds: seconds.ok_or_else(invalid)?,
                changes: changes.ok_or_else(invalid)?,
            });
        }
        let cleared = pairs.is_empty() && !args.is_empty();
        if how != (How::Load { first: false }) || cleared {
            self.clear();
        }
        self.extend(points);
        Ok(())
    }

    fn show(&self, _: &Kind) -> Vec<u8> {
        joined(self)
    }

    fn lines(&self, _: &Self, row: &Row) -> Vec<Line> {
        if self.is_empty() {
            return vec![line(row.name, &quote(b""), true)];
        }
        self.iter().map(|point| line(row.name, point.to_string().as_bytes(), true)).collect()
    }
}

/// How much output may wait for a client. A limit of 0 is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OutputLimit {
    /// The client is disconnected at once beyond this.
    pub hard_bytes: u64,
    /// The client is disconnected when it stays beyond this ...
    pub soft_bytes: u64,
    /// ... for this long.
    pub soft_s: u64,
}

/// Output limits by class of client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutputLimits {
    /// Ordinary clients.
    pub normal: OutputLimit,
    /// Replicas.
    pub replica: OutputLimit,
    /// Clients with a subscription.
    pub pubsub: OutputLimit,
}

impl Default for OutputLimits {
    fn default() -> Self {
        const MB: u64 = 1 << 20;
        Self {
            normal: OutputLimit::default(),
            replica: OutputLimit { hard_bytes: 256 * MB, soft_bytes: 64 * MB, soft_s: 60 },
            pubsub: OutputLimit { hard_bytes: 32 * MB, soft_bytes: 8 * MB, soft_s: 60 },
        }
    }
}

impl OutputLimits {
    fn classes(&self) -> [(&'static str, OutputLimit); 3] {
        [("normal", self.normal), ("slave", self.replica), ("pubsub", self.pubsub)]
    }
}

impl Setting for OutputLimits {
    fn update(&mut self, _: &Kind, args: &[Vec<u8>], _: How) -> Result<(), String> {
        if !args.len().is_multiple_of(4) {
            return Err("Wrong number of arguments in buffer limit configuration.".into());
        }
        let mut new = *self;
        for class in args.chunks_exact(4) {
            let slot = match class[0].to_ascii_lowercase().as_slice() {
                b"normal" => &mut new.normal,
                b"slave" | b"replica" => &mut new.replica,
                b"pubsub" => &mut new.pubsub,
                _ => return Err("Invalid client class specified in buffer limit configuration.".into()),
            };
            let soft_s = lenient_integer(&class[3]).and_then(|n| i32::try_from(n).ok());
            let soft_s = soft_s.and_then(|n| u64::try_from(n).ok());
            let (Some(hard_bytes), Some(soft_bytes), Some(soft_s)) =
                (memory(&class[1]), memory(&class[2]), soft_s)
            else {
                return Err(
                    "Error in hard, soft or soft_seconds setting in buffer limit configuration.".into()
                );
            };
            *slot = OutputLimit { hard_bytes, soft_bytes, soft_s };
        }
        *self = new;
        Ok(())
    }

    fn show(&self, _: &Kind) -> Vec<u8> {
        let words =
            self.classes().map(|(name, l)| format!("{name} {} {} {}", l.hard_bytes, l.soft_bytes, l.soft_s));
        words.join(" ").into_bytes()
    }

    fn lines(&self, default: &Self, row: &Row) -> Vec<Line> {
        let classes = self.classes().into_iter().zip(default.classes());
        classes
            .map(|((name, limit), (_, usual))| {
                let name = if name == "slave" { "replica" } else { name };
                let (hard, soft) = (memory_words(limit.hard_bytes), memory_words(limit.soft_bytes));
                line(row.name, format!("{name} {hard} {soft} {}", limit.soft_s).as_bytes(), limit != usual)
            })
            .collect()
    }
}

/// Out-of-memory scores of a master, a replica and a saving child.
impl Setting for [i32; 3] {
    fn update(&mut self, _: &Kind, args: &[Vec<u8>], _: How) -> Result<(), String> {
        let [a, b, c] = args else { return Err("wrong number of arguments".into()) };
        let score = |arg: &Vec<u8>| {
            let value = lenient_integer(arg).filter(|n| (-2000..=2000).contains(n));
            value.and_then(|n| i32::try_from(n).ok()).ok_or_else(|| {
                "Invalid oom-score-adj-values, elements must be between -2000 and 2000.".to_owned()
            })
        };
        *self = [score(a)?, score(b)?, score(c)?];
        Ok(())
    }

    fn show(&self, _: &Kind) -> Vec<u8> {
        joined(self)
    }
}

/// Percentiles of INFO's latency section.
#[derive(Clone, Debug, PartialEq)]
pub struct Percentiles(pub Vec<f64>);

impl Setting for Percentiles {
    fn update(&mut self, _: &Kind, args: &[Vec<u8>], _: How) -> Result<(), String> {
        let percentile = |arg: &Vec<u8>| {
            let value = std::str::from_utf8(arg).ok().and_then(|text| text.parse::<f64>().ok());
            match value {
                Some(value) if (0.0..=100.0).contains(&value) => Ok(value),
                Some(value) if !value.is_nan() => {
                    Err("latency-tracking-info-percentiles parameters should sit between [0.0,100.0]")
                }
                _ => Err("Invalid latency-tracking-info-percentiles parameters"),
            }
        };
        self.0 = items(args).iter().map(percentile).collect::<Result<_, _>>()?;
        Ok(())
    }

    fn show(&self, _: &Kind) -> Vec<u8> {
        let short =
            |value: &f64| format!("{value:.6}").trim_end_matches('0').trim_end_matches('.').to_owned();
        joined(&self.0.iter().map(short).collect::<Vec<_>>())
    }

    fn lines(&self, _: &Self, row: &Row) -> Vec<Line> {
        // A file keeps every digit; CONFIG GET shows six decimals, as Redis does.
        let exact = joined(&self.0.iter().map(f64::to_string).collect::<Vec<_>>());
        vec![line(row.name, &list_or_empty(exact), true)]
    }
}

/// A limit in bytes or as a share of `maxmemory`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemoryLimit {
    /// Bytes; 0 is no limit.
    Bytes(u64),
    /// Percent of `maxmemory`, 1 to 100.
    Percent(u8),
}

impl Setting for MemoryLimit {
    fn update(&mut self, kind: &Kind, args: &[Vec<u8>], _: How) -> Result<(), String> {
        let text = single(args)?;
        let Kind::Memory { max, .. } = *kind else {
            return Err("argument must be a memory or percent value".into());
        };
        if let Some(bytes) = memory(text) {
            if i128::from(bytes) > max {
                return Err(format!("argument must be between -100 and {max} inclusive"));
            }
            *self = MemoryLimit::Bytes(bytes);
            return Ok(());
        }
        let share = text.strip_suffix(b"%").and_then(strict_integer).filter(|&share| share >= 0);
        let share = share.ok_or("argument must be a memory or percent value")?;
        *self = match u8::try_from(share) {
            Ok(0) => MemoryLimit::Bytes(0),
            Ok(share) if share <= 100 => MemoryLimit::Percent(share),
            _ => return Err("percentage argument must be less or equal to 100".into()),
        };
        Ok(())
    }

    fn show(&self, _: &Kind) -> Vec<u8> {
        match self {
            MemoryLimit::Bytes(bytes) => bytes.to_string().into_bytes(),
            MemoryLimit::Percent(share) => format!("{share}%").into_bytes(),
        }
    }

    fn lines(&self, default: &Self, row: &Row) -> Vec<Line> {
        let text = match self {
            MemoryLimit::Bytes(bytes) => memory_words(*bytes).into_bytes(),
            MemoryLimit::Percent(_) => self.show(&row.kind),
        };
        vec![line(row.name, &text, self != default)]
    }
}

/// The server that this one follows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Master {
    /// Name or address.
    pub host: String,
    /// TCP port.
    pub port: u16,
}

impl Setting for Option<Master> {
    fn update(&mut self, _: &Kind, args: &[Vec<u8>], _: How) -> Result<(), String> {
        let [host, port] = args else { return Err("wrong number of arguments".into()) };
        if host.eq_ignore_ascii_case(b"no") && port.eq_ignore_ascii_case(b"one") {
            *self = None;
            return Ok(());
        }
        let port =
            lenient_integer(port).and_then(|port| u16::try_from(port).ok()).ok_or("Invalid master port")?;
        *self = Some(Master { host: String::from_utf8_lossy(host).into_owned(), port });
        Ok(())
    }

    fn show(&self, _: &Kind) -> Vec<u8> {
        self.as_ref().map_or_else(Vec::new, |master| format!("{} {}", master.host, master.port).into_bytes())
    }

    fn lines(&self, _: &Self, row: &Row) -> Vec<Line> {
        self.iter()
            .map(|master| line(row.name, format!("{} {}", master.host, master.port).as_bytes(), true))
            .collect()
    }
}

/// The classes of keyspace events that are published, a set of bits in the order of [`KeyspaceEvents::LETTERS`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KeyspaceEvents(u32);

impl KeyspaceEvents {
    /// The letters in the order in which CONFIG GET shows them; the first eleven together are `A`.
    pub const LETTERS: &'static [u8; 14] = b"g$lshzxetdnKEm";
    /// `A` means these; Redis's `n` (new keys) counts when shown but is not set by `A`.
    const ALL: u32 = (1 << 10) - 1;

    /// Whether the class of this letter is on.
    pub fn has(self, letter: u8) -> bool {
        Self::LETTERS.iter().position(|&l| l == letter).is_some_and(|bit| self.0 & (1 << bit) != 0)
    }

    /// Whether nothing is published.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }
}

impl Setting for KeyspaceEvents {
    fn update(&mut self, _: &Kind, args: &[Vec<u8>], _: How) -> Result<(), String> {
        let mut bits = 0;
        for &letter in single(args)? {
            bits |= match (letter, Self::LETTERS.iter().position(|&l| l == letter)) {
                (b'A', _) => Self::ALL,
                (_, Some(bit)) => 1 << bit,
                _ => return Err("Invalid event class character. Use 'Ag$lshzxeKEtmdn'.".into()),
            };
        }
        self.0 = bits;
        Ok(())
    }

    fn show(&self, _: &Kind) -> Vec<u8> {
        let all = self.0 & Self::ALL == Self::ALL;
        let shown = |&(bit, _): &(usize, &u8)| self.0 & (1 << bit) != 0 && !(all && bit <= 10);
        let letters = Self::LETTERS.iter().enumerate().filter(shown).map(|(_, &letter)| letter);
        all.then_some(b'A').into_iter().chain(letters).collect()
    }

    fn lines(&self, default: &Self, row: &Row) -> Vec<Line> {
        // CONFIG GET's form drops `n` beside `A`; a file must not lose it.
        let mut letters = self.show(&row.kind);
        if self.has(b'n') && !letters.contains(&b'n') {
            letters.push(b'n');
        }
        vec![line(row.name, &quote(&letters), self != default)]
    }
}

/// A range of addresses such as `10.0.0.0/8`, `fd00::/8` or a single address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

impl Network {
    /// Whether `address` lies in the range. An IPv4 address in IPv6 form counts as IPv4.
    pub fn contains(&self, address: IpAddr) -> bool {
        let bits = |ip: IpAddr| match ip {
            IpAddr::V4(ip) => (u128::from(u32::from(ip)) << 96, true),
            IpAddr::V6(ip) => (u128::from(ip), false),
        };
        let ((ours, ours_v4), (theirs, theirs_v4)) = (bits(self.address), bits(address.to_canonical()));
        let mask = u128::MAX.checked_shl(128 - u32::from(self.prefix)).unwrap_or(0);
        ours_v4 == theirs_v4 && ours & mask == theirs & mask
    }
}

impl std::str::FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let invalid =
            || format!("'{text}' is not a network; write it as 10.0.0.0/8, fd00::/8 or a single address");
        let (address, prefix) = text.split_once('/').map_or((text, None), |(a, p)| (a, Some(p)));
        let address: IpAddr = address.parse().map_err(|_| invalid())?;
        let longest = if address.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            None => longest,
            Some(prefix) => prefix.parse().ok().filter(|&p| p <= longest).ok_or_else(invalid)?,
        };
        Ok(Self { address, prefix })
    }
}

impl std::fmt::Display for Network {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

impl Setting for Vec<Network> {
    fn update(&mut self, _: &Kind, args: &[Vec<u8>], _: How) -> Result<(), String> {
        *self = parsed(items(args))?;
        Ok(())
    }

    fn show(&self, _: &Kind) -> Vec<u8> {
        joined(self)
    }

    fn lines(&self, default: &Self, row: &Row) -> Vec<Line> {
        vec![line(row.name, &list_or_empty(joined(self)), self != default)]
    }
}
