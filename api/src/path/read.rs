//! Reading a path from its text, by recursive descent. Every refusal names the character.

use super::{Comparison, Logic, MAX_NESTING, MAX_PATH, Operand, PathFault, Query, Segment, Selector};
use serde_json::Value;

/// Largest index: integers that every JSON implementation has exactly.
const MAX_INDEX: i64 = (1 << 53) - 1;

type Read<T> = Result<T, PathFault>;

/// Reads a whole path.
pub(super) fn path(text: &str) -> Read<Query> {
    let mut reader = Reader { text, at: 0, nesting: 0 };
    if text.len() > MAX_PATH {
        reader.at = MAX_PATH;
        while !text.is_char_boundary(reader.at) {
            reader.at -= 1;
        }
        return reader.refuse(format!("a path has at most {MAX_PATH} bytes, this has {}", text.len()));
    }
    if !reader.takes("$") {
        return reader.refuse("a path begins with $");
    }
    let segments = reader.segments()?;
    if reader.at < text.len() {
        return reader.refuse("expected . or [");
    }
    Ok(Query { is_relative: false, segments })
}

/// What stands in a filter before it is known whether it is compared.
enum Term {
    Query(Query),
    Operand(Operand),
}

struct Reader<'t> {
    text: &'t str,
    at: usize,
    nesting: usize,
}

impl Reader<'_> {
    fn rest(&self) -> &str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn next(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn take(&mut self) -> Option<char> {
        let next = self.next()?;
        self.at += next.len_utf8();
        Some(next)
    }

    fn takes(&mut self, word: &str) -> bool {
        let found = self.rest().starts_with(word);
        if found {
            self.at += word.len();
        }
        found
    }

    fn refuse<T>(&self, reason: impl Into<String>) -> Read<T> {
        let position = self.text.get(..self.at).unwrap_or_default().chars().count() + 1;
        Err(PathFault { position, reason: reason.into() })
    }

    fn expect(&mut self, word: &str) -> Read<()> {
        if self.takes(word) { Ok(()) } else { self.refuse(format!("expected {word}")) }
    }

    fn blanks(&mut self) {
        while self.next().is_some_and(|next| matches!(next, ' ' | '\t' | '\n' | '\r')) {
            self.at += 1;
        }
    }

    /// Reads something that may hold itself.
    fn nested<T>(&mut self, read: impl FnOnce(&mut Self) -> Read<T>) -> Read<T> {
        if self.nesting == MAX_NESTING {
            return self.refuse(format!("filters, parentheses and functions nest at most {MAX_NESTING} times"));
        }
        self.nesting += 1;
        let inner = read(self)?;
        self.nesting -= 1;
        Ok(inner)
    }

    /// Segments up to what is none; blanks before that are not taken.
    fn segments(&mut self) -> Read<Vec<Segment>> {
        let mut segments = Vec::new();
        loop {
            let before = self.at;
            self.blanks();
            let descends = self.takes("..");
            if self.next() == Some('[') {
                segments.push(Segment { descends, selectors: self.bracketed()? });
            } else if descends || self.takes(".") {
                segments.push(Segment { descends, selectors: vec![self.shorthand()?] });
            } else {
                self.at = before;
                return Ok(segments);
            }
        }
    }

    fn shorthand(&mut self) -> Read<Selector> {
        if self.takes("*") {
            return Ok(Selector::Wildcard);
        }
        let first = |c: char| c.is_ascii_alphabetic() || c == '_' || !c.is_ascii();
        if !self.next().is_some_and(first) {
            return self.refuse("expected a name or *");
        }
        let mut name = String::new();
        while let Some(next) = self.next().filter(|next| first(*next) || next.is_ascii_digit()) {
            name.push(next);
            self.at += next.len_utf8();
        }
        Ok(Selector::Name(name))
    }

    fn bracketed(&mut self) -> Read<Vec<Selector>> {
        self.expect("[")?;
        let mut selectors = Vec::new();
        loop {
            self.blanks();
            selectors.push(self.selector()?);
            self.blanks();
            if self.takes("]") {
                return Ok(selectors);
            }
            if !self.takes(",") {
                return self.refuse("expected , or ]");
            }
        }
    }

    fn selector(&mut self) -> Read<Selector> {
        match self.next() {
            Some('*') => {
                self.at += 1;
                Ok(Selector::Wildcard)
            }
            Some('\'' | '"') => self.string().map(Selector::Name),
            Some('?') => {
                self.at += 1;
                self.nested(Self::logic).map(Selector::Filter)
            }
            Some(':' | '-' | '0'..='9') => self.index_or_slice(),
            _ => self.refuse("expected a name in quotes, an index, a slice, * or ?"),
        }
    }

    fn index_or_slice(&mut self) -> Read<Selector> {
        let start = self.optional_integer()?;
        let after = self.at;
        self.blanks();
        if !self.takes(":") {
            self.at = after;
            return match start {
                Some(index) => Ok(Selector::Index(index)),
                None => self.refuse("expected an index"),
            };
        }
        self.blanks();
        let end = self.optional_integer()?;
        let after = self.at;
        self.blanks();
        let mut step = None;
        if self.takes(":") {
            let after = self.at;
            self.blanks();
            step = self.optional_integer()?;
            if step.is_none() {
                self.at = after;
            }
        } else {
            self.at = after;
        }
        Ok(Selector::Slice { start, end, step: step.unwrap_or(1) })
    }

    fn optional_integer(&mut self) -> Read<Option<i64>> {
        let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
        let rest = self.rest();
        let sign = usize::from(rest.starts_with('-'));
        let count = digits(rest.get(sign..).unwrap_or_default());
        if count == 0 {
            return if sign == 0 { Ok(None) } else { self.refuse("expected digits after -") };
        }
        let word = rest.get(..sign + count).unwrap_or_default();
        let leads = rest.get(sign..).is_some_and(|digits| digits.starts_with('0'));
        if leads && (count > 1 || sign == 1) {
            return self.refuse("an integer has no leading zero");
        }
        match word.parse::<i64>() {
            Ok(number) if number.abs() <= MAX_INDEX => {
                self.at += sign + count;
                Ok(Some(number))
            }
            _ => self.refuse(format!("an index is at most {MAX_INDEX}")),
        }
    }

    fn string(&mut self) -> Read<String> {
        let quote = self.take();
        let mut text = String::new();
        loop {
            let before = self.at;
            match self.take() {
                None => return self.refuse("a name or text in quotes does not end"),
                Some('\\') => text.push(self.escaped(quote)?),
                Some(next) if Some(next) == quote => return Ok(text),
                Some(next) if next < ' ' => {
                    self.at = before;
                    return self.refuse("a control character in quotes must be escaped");
                }
                Some(next) => text.push(next),
            }
        }
    }

    fn escaped(&mut self, quote: Option<char>) -> Read<char> {
        let before = self.at;
        Ok(match self.take() {
            Some('b') => '\u{8}',
            Some('f') => '\u{c}',
            Some('n') => '\n',
            Some('r') => '\r',
            Some('t') => '\t',
            Some(same @ ('/' | '\\')) => same,
            Some(same) if Some(same) == quote => same,
            Some('u') => return self.unicode(),
            _ => {
                self.at = before;
                return self.refuse("no such escape");
            }
        })
    }

    /// The character of four digits, or of two times four.
    fn unicode(&mut self) -> Read<char> {
        let before = self.at;
        let high = self.four_digits()?;
        let code = match high {
            0xd800..=0xdbff if self.takes("\\u") => {
                let low = self.four_digits()?;
                match low {
                    0xdc00..=0xdfff => 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00),
                    _ => high,
                }
            }
            other => other,
        };
        char::from_u32(code).map_or_else(
            || {
                self.at = before;
                self.refuse("half a character")
            },
            Ok,
        )
    }

    fn four_digits(&mut self) -> Read<u32> {
        let digits = self.rest().get(..4).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
        match digits.and_then(|digits| u32::from_str_radix(digits, 16).ok()) {
            Some(code) => {
                self.at += 4;
                Ok(code)
            }
            None => self.refuse("expected four hexadecimal digits"),
        }
    }

    fn logic(&mut self) -> Read<Logic> {
        let mut terms = vec![self.conjunction()?];
        while self.blanks_then("||") {
            terms.push(self.conjunction()?);
        }
        Ok(if terms.len() == 1 { terms.remove(0) } else { Logic::Or(terms) })
    }

    fn conjunction(&mut self) -> Read<Logic> {
        let mut terms = vec![self.basic()?];
        while self.blanks_then("&&") {
            terms.push(self.basic()?);
        }
        Ok(if terms.len() == 1 { terms.remove(0) } else { Logic::And(terms) })
    }

    fn blanks_then(&mut self, word: &str) -> bool {
        let before = self.at;
        self.blanks();
        let found = self.takes(word);
        if !found {
            self.at = before;
        }
        found
    }

    fn basic(&mut self) -> Read<Logic> {
        self.blanks();
        let is_negated = self.next() == Some('!');
        if is_negated {
            self.at += 1;
            self.blanks();
        }
        let logic = if self.takes("(") {
            let inner = self.nested(Self::logic)?;
            self.blanks();
            self.expect(")")?;
            inner
        } else {
            self.test_or_comparison(is_negated)?
        };
        Ok(if is_negated { Logic::Not(Box::new(logic)) } else { logic })
    }

    fn test_or_comparison(&mut self, is_negated: bool) -> Read<Logic> {
        let before = self.at;
        let left = self.term()?;
        let after = self.at;
        self.blanks();
        let Some(comparison) = self.comparison().filter(|_| !is_negated) else {
            self.at = after;
            return match left {
                Term::Query(query) => Ok(Logic::Exists(query)),
                Term::Operand(_) => self.refuse("expected a comparison"),
            };
        };
        let left = self.operand(left, before)?;
        self.blanks();
        let before = self.at;
        let right = self.term()?;
        Ok(Logic::Compare(left, comparison, self.operand(right, before)?))
    }

    fn comparison(&mut self) -> Option<Comparison> {
        let words = [
            ("==", Comparison::Equal),
            ("!=", Comparison::Unequal),
            ("<=", Comparison::LessOrEqual),
            (">=", Comparison::GreaterOrEqual),
            ("<", Comparison::Less),
            (">", Comparison::Greater),
        ];
        words.into_iter().find(|(word, _)| self.takes(word)).map(|(_, comparison)| comparison)
    }

    /// A term that began at `before` as what can be compared.
    fn operand(&mut self, term: Term, before: usize) -> Read<Operand> {
        match term {
            Term::Operand(operand) => Ok(operand),
            Term::Query(query) if query.is_singular() => Ok(Operand::Value(query)),
            Term::Query(_) => {
                self.at = before;
                self.refuse("only a path to a single value can be compared")
            }
        }
    }

    fn term(&mut self) -> Read<Term> {
        match self.next() {
            Some('@') => self.query(true).map(Term::Query),
            Some('$') => self.query(false).map(Term::Query),
            Some('\'' | '"') => self.string().map(|text| Term::Operand(Operand::Literal(Value::from(text)))),
            Some('-' | '0'..='9') => self.number().map(|number| Term::Operand(Operand::Literal(number))),
            Some('a'..='z') => self.word().map(Term::Operand),
            _ => self.refuse("expected @, $, a value, a function, ! or ("),
        }
    }

    fn query(&mut self, is_relative: bool) -> Read<Query> {
        self.at += 1;
        Ok(Query { is_relative, segments: self.segments()? })
    }

    fn number(&mut self) -> Read<Value> {
        let rest = self.rest();
        let is_part = |byte: &u8| byte.is_ascii_digit() || matches!(byte, b'-' | b'+' | b'.' | b'e' | b'E');
        let length = rest.bytes().take_while(|byte| is_part(byte)).count();
        match rest.get(..length).and_then(|word| serde_json::from_str::<Value>(word).ok()) {
            Some(number) => {
                self.at += length;
                Ok(number)
            }
            None => self.refuse("no JSON number"),
        }
    }

    /// `true`, `false`, `null`, or a function.
    fn word(&mut self) -> Read<Operand> {
        let before = self.at;
        let is_part = |c: &char| c.is_ascii_lowercase() || c.is_ascii_digit() || *c == '_';
        let name: String = self.rest().chars().take_while(is_part).collect();
        self.at += name.len();
        if self.next() == Some('(') {
            return self.nested(|reader| reader.function(&name, before));
        }
        match name.as_str() {
            "true" => Ok(Operand::Literal(Value::Bool(true))),
            "false" => Ok(Operand::Literal(Value::Bool(false))),
            "null" => Ok(Operand::Literal(Value::Null)),
            _ => {
                self.at = before;
                self.refuse("expected true, false, null or a function")
            }
        }
    }

    fn function(&mut self, name: &str, before: usize) -> Read<Operand> {
        if !matches!(name, "length" | "count" | "value") {
            self.at = before;
            return self.refuse(match name {
                "match" | "search" => "regular expressions are not supported",
                _ => "no such function",
            });
        }
        self.expect("(")?;
        self.blanks();
        let start = self.at;
        let argument = self.term()?;
        let made = match (name, argument) {
            ("length", argument) => Operand::Length(Box::new(self.operand(argument, start)?)),
            ("count", Term::Query(query)) => Operand::Count(query),
            (_, Term::Query(query)) => Operand::Only(query),
            (_, Term::Operand(_)) => {
                self.at = start;
                return self.refuse(format!("{name} takes a path"));
            }
        };
        self.blanks();
        self.expect(")")?;
        Ok(made)
    }
}
