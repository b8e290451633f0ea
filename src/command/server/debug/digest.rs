//! DEBUG DIGEST and DEBUG DIGEST-VALUE: a signature of the data that does not depend on the order in
//! which unordered things lie, and equals Redis's for the same data.
//!
//! Two ways to add data to a signature `d` of 20 bytes: `d = d ^ SHA1(data)` where the order must not
//! matter, `d = SHA1(d ^ SHA1(data))` where it must. Redis's `debug.c` says what is added in which way.

use sha1::{Digest as _, Sha1};

use crate::command::{Args, Context, Outcome, Reply};
use crate::resp::format_double;
use crate::store::{Entry, Object, Str, Type};

#[derive(Clone, Copy, Default)]
struct Signature([u8; 20]);

impl Signature {
    /// Adds something without regard to order.
    fn add(&mut self, data: &[u8]) {
        let hash: [u8; 20] = Sha1::digest(data).into();
        self.0.iter_mut().zip(hash).for_each(|(byte, other)| *byte ^= other);
    }

    /// Adds something that stands behind what was added before.
    fn append(&mut self, data: &[u8]) {
        self.add(data);
        self.0 = Sha1::digest(self.0).into();
    }

    fn text(&self) -> String {
        self.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// Redis's number of a type.
fn type_number(value: Type) -> u32 {
    match value {
        Type::String => 0,
        Type::List => 1,
        Type::Set => 2,
        Type::SortedSet => 3,
        Type::Hash => 4,
        Type::Stream => 6,
    }
}

fn add_value(signature: &mut Signature, entry: &Entry) {
    signature.append(&type_number(entry.value_type()).to_be_bytes());
    match entry.as_str() {
        Some(Str::Int(number)) => signature.append(number.to_string().as_bytes()),
        Some(Str::Bytes(bytes)) => signature.append(bytes),
        None => {
            if let Some(object) = entry.as_object() {
                add_object(signature, object);
            }
        }
    }
    if entry.expire_at_ms().is_some() {
        signature.add(b"!!expire!!");
    }
}

fn add_object(signature: &mut Signature, object: &Object) {
    let pair = |first: &[u8], second: &[u8]| {
        let mut pair = Signature::default();
        pair.append(first);
        pair.append(second);
        pair.0
    };
    match object {
        Object::List(list) => list.iter().for_each(|element| signature.append(element)),
        Object::Set(set) => set.iter().for_each(|member| signature.add(&member.to_bytes())),
        Object::Hash(hash) => hash.iter().for_each(|(field, value)| signature.add(&pair(field, value))),
        Object::SortedSet(sorted) => sorted.iter().for_each(|(member, score)| {
            signature.add(&pair(member, format_double(score).as_str().as_bytes()));
        }),
        Object::Stream(stream) => stream.log().iter().for_each(|entry| {
            signature.append(entry.id.joined(b'.').as_bytes());
            entry.fields().for_each(|(field, value)| {
                signature.append(field);
                signature.append(value);
            });
        }),
    }
}

pub(super) fn digest(ctx: &mut Context<'_>, _: Args<'_>) -> Outcome {
    let selected = ctx.view.database();
    let mut all = Signature::default();
    for number in 0..ctx.view.databases() {
        ctx.view.select(number);
        // The number is appended before the keys: what was collected of earlier ones stays in it.
        let mut keys = 0;
        let mut sum = Signature::default();
        ctx.view.each(|entry| {
            let mut one = Signature::default();
            one.append(entry.key());
            add_value(&mut one, entry);
            sum.add(&one.0);
            keys += 1;
        });
        if keys > 0 {
            all.append(&(number as u32).to_be_bytes());
            all.0.iter_mut().zip(sum.0).for_each(|(byte, other)| *byte ^= other);
        }
    }
    ctx.view.select(selected);
    ctx.out.simple(&all.text());
    Ok(Reply::Sent)
}

pub(super) fn digest_value(ctx: &mut Context<'_>, args: Args<'_>) -> Outcome {
    let keys: Vec<&[u8]> = args.rest().collect();
    ctx.out.array(keys.len());
    for bytes in keys {
        let mut signature = Signature::default();
        let key = ctx.view.key(bytes);
        if let Some(entry) = ctx.view.peek(key) {
            add_value(&mut signature, entry);
        }
        ctx.out.simple(&signature.text());
    }
    Ok(Reply::Sent)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::stream::{Id, NodeLimits, Pair};
    use crate::data::{Hash, Limits, List, NodeLimit, Set, SetLimits, SortedSet, Stream};
    use crate::store::Meta;

    fn text(entry: &Entry) -> String {
        let mut signature = Signature::default();
        add_value(&mut signature, entry);
        signature.text()
    }

    fn of(object: Object) -> String {
        text(&Entry::object(b"key", object, Meta::default()))
    }

    /// What Redis 7.0.15 answered to DEBUG DIGEST-VALUE for the same values.
    #[test]
    fn collections_have_redis_signatures() {
        let mut list = List::default();
        for element in ["one", "2", "three"] {
            list.push_back(element.as_bytes(), NodeLimit::from_listpack_size(-2));
        }
        assert_eq!(of(Object::List(list)), "8468d36bee12f3461bb0ed81a4c4c2a1a1941120");
        let mut set = Set::default();
        for member in ["3", "y", "x"] {
            set.insert(member.as_bytes(), &SetLimits::default());
        }
        assert_eq!(of(Object::Set(set)), "415a07507e2348d139f9fd645a024f6be569dd65");
        let mut hash = Hash::default();
        for (field, value) in [("f2", "v2"), ("f1", "v1")] {
            hash.set(field.as_bytes(), value.as_bytes(), &Limits::default());
        }
        assert_eq!(of(Object::Hash(hash)), "047cc60ea73a34cde6d08a2721a4a26d19ee6570");
        let mut sorted = SortedSet::default();
        for (member, score) in [("a", 1.5), ("b", 2.0), ("c", -0.1)] {
            sorted.insert(member.as_bytes(), score, &Limits::default());
        }
        assert_eq!(of(Object::SortedSet(sorted)), "acaa444110a0948fd8a2712ccfc4d8d55969ac89");
    }

    #[test]
    fn a_stream_has_redis_signature() {
        let mut stream = Stream::new();
        let entries: [(Id, &[Pair<'_>]); 3] = [
            (Id::new(1, 1), &[(b"f", b"v")]),
            (Id::new(1, 2), &[(b"f", b"w"), (b"g", b"x")]),
            (Id::new(5, 0), &[(b"f", b"y")]),
        ];
        for (id, pairs) in entries {
            assert!(stream.log_mut().append(id, pairs, NodeLimits::default()));
        }
        assert_eq!(of(Object::Stream(stream)), "4bce1a93f64e30bfcd35935ed65d2e25b557cbee");
    }

    #[test]
    fn an_expiry_is_part_of_it() {
        let meta = Meta { expire_at_ms: Some(99_999_999_999_999), ..Meta::default() };
        let entry = Entry::string(b"e", Str::Bytes(b"v"), meta);
        assert_eq!(text(&entry), "311b17018163335616e089f6b951c82c477335ac");
    }
}
