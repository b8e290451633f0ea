//! JSON to Lua values.

use mlua::{Lua, Value};

use super::DEPTH;
use super::settings::Settings;
use super::token::{Kind, Token, Tokens};
use crate::script::fault::raise_here;

/// The value of a text.
pub(super) fn decode(lua: &Lua, settings: &Settings, text: &[u8]) -> mlua::Result<Value> {
    if text.len() >= 2 && text[..2].contains(&0) {
        return Err(raise_here(lua, "JSON parser does not support UTF-16 or UTF-32"));
    }
    let most = DEPTH.min(settings.decode_depth.get() as usize);
    let mut reader = Reader { lua, tokens: Tokens::new(text, settings), depth: 0, most };
    let first = reader.tokens.next();
    let value = reader.value(first)?;
    let last = reader.tokens.next();
    if last.kind != Kind::End {
        return Err(reader.expected("the end", &last));
    }
    Ok(value)
}

struct Reader<'a> {
    lua: &'a Lua,
    tokens: Tokens<'a>,
    depth: usize,
    most: usize,
}

impl Reader<'_> {
    fn expected(&self, what: &str, token: &Token) -> mlua::Error {
        let found = token.kind.name();
        raise_here(self.lua, format_args!("Expected {what} but found {found} at character {}", token.at + 1))
    }

    fn value(&mut self, token: Token) -> mlua::Result<Value> {
        Ok(match token.kind {
            Kind::Text(text) => Value::String(self.lua.create_string(text)?),
            Kind::Number(number) => Value::Number(number),
            Kind::Boolean(yes) => Value::Boolean(yes),
            Kind::Null => Value::NULL,
            Kind::ObjectBegin => return self.inside(Reader::object),
            Kind::ArrayBegin => return self.inside(Reader::array),
            _ => return Err(self.expected("value", &token)),
        })
    }

    fn inside(&mut self, of: fn(&mut Self) -> mlua::Result<Value>) -> mlua::Result<Value> {
        self.depth += 1;
        if self.depth > self.most {
            let (depth, at) = (self.depth, self.tokens.at);
            let text = format!("Found too many nested data structures ({depth}) at character {at}");
            return Err(raise_here(self.lua, text));
        }
        let value = of(self);
        self.depth -= 1;
        value
    }

    fn array(&mut self) -> mlua::Result<Value> {
        let table = self.lua.create_table()?;
        let mut token = self.tokens.next();
        if token.kind == Kind::ArrayEnd {
            return Ok(Value::Table(table));
        }
        for at in 1i64.. {
            let value = self.value(token)?;
            table.raw_set(at, value)?;
            let next = self.tokens.next();
            match next.kind {
                Kind::ArrayEnd => break,
                Kind::Comma => {}
                _ => return Err(self.expected("comma or array end", &next)),
            }
            token = self.tokens.next();
        }
        Ok(Value::Table(table))
    }

    fn object(&mut self) -> mlua::Result<Value> {
        let table = self.lua.create_table()?;
        let mut token = self.tokens.next();
        if token.kind == Kind::ObjectEnd {
            return Ok(Value::Table(table));
        }
        loop {
            let Kind::Text(key) = token.kind else {
                return Err(self.expected("object key string", &token));
            };
            let colon = self.tokens.next();
            if colon.kind != Kind::Colon {
                return Err(self.expected("colon", &colon));
            }
            let first = self.tokens.next();
            let value = self.value(first)?;
            table.raw_set(self.lua.create_string(key)?, value)?;
            let next = self.tokens.next();
            match next.kind {
                Kind::ObjectEnd => break,
                Kind::Comma => {}
                _ => return Err(self.expected("comma or object end", &next)),
            }
            token = self.tokens.next();
        }
        Ok(Value::Table(table))
    }
}
