//! The caller's place in its trace, as W3C Trace Context writes it
//! (<https://www.w3.org/TR/trace-context-2/>): `traceparent`, and `tracestate` beside it.
//!
//! A `traceparent` is read exactly, and one that is wrong in anything is refused. A `tracestate`
//! that cannot be read is left out, and the `traceparent` counts all the same: so the
//! specification asks for it.

use opentelemetry::trace::{SpanContext, SpanId, TraceFlags, TraceId, TraceState};

/// `00-` with 32, 16 and 2 digits, and the hyphens between them.
const LENGTH: usize = 55;
/// Members that a `tracestate` may have.
const MAX_MEMBERS: usize = 32;
/// Of a longer `tracestate` whole members are left out until it is as long as this, bytes: what the
/// specification wants to be carried at least.
const MAX_STATE_BYTES: usize = 512;
/// Members longer than this are left out first.
const LARGE_MEMBER_BYTES: usize = 128;
/// The longest key of a `tracestate`, and the longest value.
const MAX_PART_BYTES: usize = 256;

/// The span of a caller, which ours become children of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller(SpanContext);

impl Caller {
    /// Reads what a caller sent. `None` when the `traceparent` is not well-formed.
    pub fn parse(traceparent: &[u8], tracestate: Option<&[u8]>) -> Option<Caller> {
        let version = hex(traceparent.get(..2)?)?;
        let well_formed = match version {
            // The one version that there is says how long it is; a later one may have more behind a hyphen.
            0 => traceparent.len() == LENGTH,
            0xff => false,
            _ => traceparent.len() == LENGTH || traceparent.get(LENGTH) == Some(&b'-'),
        };
        let hyphens = [2, 35, 52].iter().all(|&at| traceparent.get(at) == Some(&b'-'));
        if !well_formed || !hyphens {
            return None;
        }
        let trace = TraceId::from(hex(&traceparent[3..35])?);
        let span = SpanId::from(u64::try_from(hex(&traceparent[36..52])?).ok()?);
        // Of the flags only the first bit has a meaning here.
        let sampled = hex(&traceparent[53..LENGTH])? & 1 == 1;
        let flags = TraceFlags::default().with_sampled(sampled);
        let state = tracestate.and_then(state_of).unwrap_or_default();
        let context = SpanContext::new(trace, span, flags, true, state);
        // Ids of zeros alone are none.
        context.is_valid().then_some(Caller(context))
    }

    /// Whether the caller records its span.
    pub fn is_sampled(&self) -> bool {
        self.0.is_sampled()
    }

    /// A number that is the same for all spans of the trace, and as good as drawn: its low 63 bits.
    pub(super) fn lot(&self) -> u64 {
        let [.., a, b, c, d, e, f, g, h] = self.0.trace_id().to_bytes();
        u64::from_be_bytes([a, b, c, d, e, f, g, h]) >> 1
    }

    pub(super) fn span_context(&self) -> SpanContext {
        self.0.clone()
    }
}

/// Digits in lower case; upper case is not allowed.
fn hex(digits: &[u8]) -> Option<u128> {
    digits.iter().try_fold(0, |number: u128, &digit| {
        let value = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return None,
        };
        Some(number << 4 | u128::from(value))
    })
}

/// The members of a `tracestate`, cut to what is carried. `None` when any of them is not well-formed.
fn state_of(text: &[u8]) -> Option<TraceState> {
    let text = std::str::from_utf8(text).ok()?;
    let blank = [' ', '\t'];
    let mut members = Vec::new();
    for member in text.split(',').map(|member| member.trim_matches(blank)) {
        // Empty ones are allowed, and mean nothing.
        if member.is_empty() {
            continue;
        }
        let (key, value) = member.split_once('=')?;
        let twice = members.iter().any(|(other, _)| *other == key);
        if twice || !is_key(key) || !is_value(value) || members.len() == MAX_MEMBERS {
            return None;
        }
        members.push((key, value));
    }
    cut(&mut members);
    TraceState::from_key_value(members).ok()
}

fn is_key(key: &str) -> bool {
    let begins =
        key.as_bytes().first().is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    let may_be = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-*/@".contains(&byte);
    begins && key.len() <= MAX_PART_BYTES && key.bytes().all(may_be)
}

fn is_value(value: &str) -> bool {
    let printable = |byte: u8| matches!(byte, b' '..=b'~') && byte != b'=';
    !value.is_empty() && value.len() <= MAX_PART_BYTES && value.bytes().all(printable)
}

/// Leaves out whole members until the rest is short enough: the large ones first, then from the end.
fn cut(members: &mut Vec<(&str, &str)>) {
    let bytes = |(key, value): &(&str, &str)| key.len() + 1 + value.len();
    let total = |members: &[(&str, &str)]| members.iter().map(|member| bytes(member) + 1).sum::<usize>();
    while total(members) > MAX_STATE_BYTES + 1 {
        let large = members.iter().rposition(|member| bytes(member) > LARGE_MEMBER_BYTES);
        members.remove(large.unwrap_or(members.len() - 1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
    const SPAN: &str = "00f067aa0ba902b7";

    fn state(text: &str) -> String {
        let parent = format!("00-{TRACE}-{SPAN}-01");
        let caller =
            Caller::parse(parent.as_bytes(), Some(text.as_bytes())).expect("the parent is well-formed");
        caller.0.trace_state().header()
    }

    #[test]
    fn a_traceparent_says_who_called() {
        let caller =
            Caller::parse(format!("00-{TRACE}-{SPAN}-01").as_bytes(), None).expect("it is well-formed");
        assert_eq!(caller.0.trace_id().to_string(), TRACE);
        assert_eq!(caller.0.span_id().to_string(), SPAN);
        assert!(caller.is_sampled() && caller.0.is_remote());
        assert_eq!(caller.lot(), 0xa3ce_929d_0e0e_4736 >> 1);
    }

    #[test]
    fn only_the_first_flag_says_whether_it_is_sampled() {
        for (flags, sampled) in
            [("00", false), ("01", true), ("02", false), ("03", true), ("fe", false), ("ff", true)]
        {
            let caller = Caller::parse(format!("00-{TRACE}-{SPAN}-{flags}").as_bytes(), None);
            assert_eq!(caller.map(|caller| caller.is_sampled()), Some(sampled), "{flags}");
        }
    }

    #[test]
    fn a_later_version_may_say_more() {
        for text in ["cc-T-S-01", "cc-T-S-01-", "cc-T-S-01-what=ever", "01-T-S-01"] {
            let text = text.replace('T', TRACE).replace('S', SPAN);
            assert!(Caller::parse(text.as_bytes(), None).is_some(), "{text}");
        }
    }

    #[test]
    fn what_is_wrong_in_anything_is_refused() {
        for text in [
            "",
            "00",
            "00-T-S",
            "00-T-S-",
            "00-T-S-0",
            "00-T-S-001",
            "00-T-S-01-",
            "00-T-S-01-more",
            "00-T-S-01 ",
            " 00-T-S-01",
            "0-T-S-01",
            "000-T-S-01",
            "ff-T-S-01",
            "0x-T-S-01",
            "+0-T-S-01",
            "cc-T-S-01.more",
            "cc-T-S-011",
            "00_T-S-01",
            "00-T_S-01",
            "00-T-S_01",
            "00-T-S-0g",
            "00-T-S-0A",
            "0A-T-S-01",
            "00-00000000000000000000000000000000-S-01",
            "00-T-0000000000000000-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-S-01",
            "00-4bf92f3577b34da6a3ce929d0e0e473-S-01",
            "00-4bf92f3577b34da6a3ce929d0e0e473600-S-01",
            "00-T-00F067AA0BA902B7-01",
            "00-T-00f067aa0ba902b-01",
            "00-T-00f067aa0ba902b700-01",
            "00-4bf92f3577b34da6a3ce929d0e0e47.6-S-01",
        ] {
            let text = text.replace('T', TRACE).replace('S', SPAN);
            assert_eq!(Caller::parse(text.as_bytes(), None), None, "{text}");
        }
        assert_eq!(Caller::parse(&[0xff; LENGTH], None), None);
    }

    #[test]
    fn a_tracestate_is_carried_as_it_came() {
        assert_eq!(state("congo=t61rcWkgMzE,rojo=00f0"), "congo=t61rcWkgMzE,rojo=00f0");
        assert_eq!(state(" a=1 ,\t b=2 ,, 3c@ten=x y"), "a=1,b=2,3c@ten=x y");
        assert_eq!(state("a=1;b"), "a=1;b");
        assert_eq!(state(""), "");
        let most: Vec<String> = (0..MAX_MEMBERS).map(|number| format!("k{number}=v")).collect();
        assert_eq!(state(&most.join(",")), most.join(","));
    }

    #[test]
    fn a_tracestate_that_is_not_well_formed_is_left_out_and_the_parent_stays() {
        let too_many = (0..=MAX_MEMBERS).map(|number| format!("k{number}=v")).collect::<Vec<_>>().join(",");
        let long = "x".repeat(MAX_PART_BYTES + 1);
        let (long_key, long_value) = (format!("{long}=1"), format!("a={long}"));
        for text in [
            "a",
            "=1",
            "a=",
            "A=1",
            "_a=1",
            "a b=1",
            "a=1=2",
            "a=1,b",
            "a=1,a=2",
            "a=\u{e9}",
            "a=\u{1}",
            &too_many,
            &long_key,
            &long_value,
        ] {
            assert_eq!(state(text), "", "{text}");
        }
    }

    #[test]
    fn of_a_long_tracestate_large_members_go_first_and_then_the_last() {
        let large = format!("large={}", "x".repeat(200));
        let small = |number: usize| format!("k{number:02}={}", "v".repeat(46));
        // Ten of 50 bytes with their commas are 509: they fit, the large one beside them does not.
        let ten: Vec<String> = (0..10).map(small).collect();
        assert_eq!(state(&format!("{large},{}", ten.join(","))), ten.join(","));
        let eleven: Vec<String> = (0..11).map(small).collect();
        assert_eq!(state(&eleven.join(",")), ten.join(","));
        let exact = format!("{},a={}", ten[..9].join(","), "b".repeat(51));
        assert_eq!(exact.len(), MAX_STATE_BYTES);
        assert_eq!(state(&exact), exact);
        assert_eq!(state(&format!("{exact}b")), ten[..9].join(","));
    }
}
