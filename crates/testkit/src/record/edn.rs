//! The part of EDN that histories need: a parser, and how values are written.

use serde_json::{Map, Number, Value};

use super::{HistoryError, Problem};

/// A value of EDN. Lists, vectors and sets are all sequences; tags are left out.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum Edn {
    Nil,
    Bool(bool),
    Number(Number),
    Text(String),
    /// With its colon.
    Keyword(String),
    Symbol(String),
    Sequence(Vec<Edn>),
    Map(Vec<(Edn, Edn)>),
}

impl Edn {
    /// The value of a map under a keyword.
    pub(super) fn get(&self, keyword: &str) -> Option<&Self> {
        let Self::Map(fields) = self else { return None };
        let is_it = |key: &Self| matches!(key, Self::Keyword(name) if name[1..] == *keyword);
        fields.iter().find(|(key, _)| is_it(key)).map(|(_, value)| value)
    }

    /// The same value in JSON. Keywords and symbols become texts, keywords with their colon.
    pub(super) fn to_json(&self) -> Value {
        match self {
            Self::Nil => Value::Null,
            Self::Bool(value) => Value::Bool(*value),
            Self::Number(number) => Value::Number(number.clone()),
            Self::Text(text) | Self::Keyword(text) | Self::Symbol(text) => {
                Value::String(text.clone())
            }
            Self::Sequence(values) => values.iter().map(Self::to_json).collect(),
            Self::Map(fields) => {
                let field = |(key, value): &(Self, Self)| (key.name(), value.to_json());
                Value::Object(fields.iter().map(field).collect::<Map<_, _>>())
            }
        }
    }

    /// A text as it is, anything else as it reads in JSON, so keywords with their colon.
    pub(super) fn words(&self) -> String {
        match self.to_json() {
            Value::String(text) => text,
            other => other.to_string(),
        }
    }

    /// The text of a key of a map, or of what else stands for a name: keywords without their colon.
    pub(super) fn name(&self) -> String {
        match self {
            Self::Text(text) | Self::Symbol(text) => text.clone(),
            Self::Keyword(text) => text[1..].to_owned(),
            other => other.to_json().to_string(),
        }
    }
}

/// Writes a JSON value as EDN.
pub(super) fn write_json(value: &Value, out: &mut String) {
    match value {
        Value::Null => out.push_str("nil"),
        Value::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
        Value::Number(number) => out.push_str(&number.to_string()),
        Value::String(text) => write_text(text, out),
        Value::Array(values) => {
            out.push('[');
            for (place, value) in values.iter().enumerate() {
                out.push_str(if place == 0 { "" } else { " " });
                write_json(value, out);
            }
            out.push(']');
        }
        Value::Object(fields) => {
            out.push('{');
            for (place, (key, value)) in fields.iter().enumerate() {
                out.push_str(if place == 0 { "" } else { ", " });
                write_text(key, out);
                out.push(' ');
                write_json(value, out);
            }
            out.push('}');
        }
    }
}

/// Writes a text with its quotes.
pub(super) fn write_text(text: &str, out: &mut String) {
    out.push('"');
    for char in text.chars() {
        match char {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            // Such characters would disturb who reads the file line by line.
            char if char.is_control() => out.push_str(&format!("\\u{:04x}", u32::from(char))),
            char => out.push(char),
        }
    }
    out.push('"');
}

/// Reads values one after another.
pub(super) struct Parser<'a> {
    rest: &'a str,
    line: usize,
    column: usize,
    /// How many values are open around the one that is being read.
    depth: usize,
}

impl<'a> Parser<'a> {
    /// A parser of this text, which begins at a line.
    pub(super) fn new(text: &'a str, line: usize) -> Self {
        Self { rest: text, line, column: 1, depth: 0 }
    }

    /// A parser of the end of a line.
    pub(super) fn of_end(whole: &str, end: &'a str, line: usize) -> Self {
        let column = 1 + whole.chars().count().saturating_sub(end.chars().count());
        Self { column, ..Self::new(end, line) }
    }

    /// The line of the next value.
    pub(super) fn line_of_next(&mut self) -> Result<usize, HistoryError> {
        self.skip_blanks()?;
        Ok(self.line)
    }

    /// The next value; nothing at the end of the text.
    pub(super) fn value(&mut self) -> Result<Option<Edn>, HistoryError> {
        self.skip_blanks()?;
        if self.rest.is_empty() { Ok(None) } else { self.form().map(Some) }
    }

    /// Whether the next value opens with this bracket; steps into it.
    pub(super) fn enter(&mut self, bracket: char) -> Result<bool, HistoryError> {
        self.skip_blanks()?;
        Ok(self.next_if(bracket))
    }

    fn form(&mut self) -> Result<Edn, HistoryError> {
        if self.depth > DEPTH_MAX {
            return Err(self.error(Problem::TooDeep { depth_max: DEPTH_MAX }));
        }
        let Some(first) = self.peek() else { return Err(self.syntax("the text ends too soon")) };
        self.depth += 1;
        let form = match first {
            '(' => self.sequence(')'),
            '[' => self.sequence(']'),
            '{' => self.map(),
            '"' => self.text(),
            '#' => self.tagged(),
            '\\' => self.character(),
            ')' | ']' | '}' => Err(self.syntax(&format!("`{first}` closes nothing"))),
            _ => self.atom(),
        }?;
        self.depth -= 1;
        Ok(form)
    }

    fn sequence(&mut self, end: char) -> Result<Edn, HistoryError> {
        self.next();
        let mut values = Vec::new();
        while !self.is_closed(end)? {
            values.push(self.form()?);
        }
        Ok(Edn::Sequence(values))
    }

    fn map(&mut self) -> Result<Edn, HistoryError> {
        self.next();
        let mut fields = Vec::new();
        while !self.is_closed('}')? {
            let key = self.form()?;
            if self.is_closed('}')? {
                return Err(self.syntax("a key has no value"));
            }
            fields.push((key, self.form()?));
        }
        Ok(Edn::Map(fields))
    }

    /// Whether the bracket closes here; steps over it.
    pub(super) fn is_closed(&mut self, end: char) -> Result<bool, HistoryError> {
        self.skip_blanks()?;
        if self.rest.is_empty() {
            return Err(self.syntax(&format!("`{end}` is missing")));
        }
        Ok(self.next_if(end))
    }

    /// A set, or a value with a tag, which does not matter here.
    fn tagged(&mut self) -> Result<Edn, HistoryError> {
        self.next();
        if self.peek() == Some('{') {
            return self.sequence('}');
        }
        if self.token().is_empty() {
            return Err(self.syntax("a tag has no name"));
        }
        self.skip_blanks()?;
        self.form()
    }

    fn character(&mut self) -> Result<Edn, HistoryError> {
        self.next();
        let Some(first) = self.next() else { return Err(self.syntax("a character is missing")) };
        let name = format!("{first}{}", self.token());
        let mut chars = name.chars();
        if let (Some(char), None) = (chars.next(), chars.next()) {
            return Ok(Edn::Text(char.to_string()));
        }
        let text = match name.as_str() {
            "newline" => "\n",
            "return" => "\r",
            "space" => " ",
            "tab" => "\t",
            _ => return Err(self.syntax(&format!("there is no character `\\{name}`"))),
        };
        Ok(Edn::Text(text.to_owned()))
    }

    fn text(&mut self) -> Result<Edn, HistoryError> {
        self.next();
        let mut text = String::new();
        loop {
            match self.next() {
                None => return Err(self.syntax("a text has no end")),
                Some('"') => return Ok(Edn::Text(text)),
                Some('\\') => text.push(self.escape()?),
                Some(char) => text.push(char),
            }
        }
    }

    fn escape(&mut self) -> Result<char, HistoryError> {
        match self.next() {
            Some('n') => Ok('\n'),
            Some('r') => Ok('\r'),
            Some('t') => Ok('\t'),
            Some('b') => Ok('\u{8}'),
            Some('f') => Ok('\u{c}'),
            Some(char @ ('"' | '\\' | '/')) => Ok(char),
            Some('u') => {
                let unit = self.unit()?;
                // Characters beyond 16 bits come as two halves.
                if !(0xd800..0xdc00).contains(&unit) {
                    let char = char::from_u32(unit);
                    return char.ok_or_else(|| self.syntax("half a character"));
                }
                let second = if self.next_if('\\') && self.next_if('u') { self.unit()? } else { 0 };
                if !(0xdc00..0xe000).contains(&second) {
                    return Err(self.syntax("half a character"));
                }
                let joined = 0x1_0000 + ((unit - 0xd800) << 10) + (second - 0xdc00);
                char::from_u32(joined).ok_or_else(|| self.syntax("no character"))
            }
            Some(char) => Err(self.syntax(&format!("`\\{char}` means nothing in a text"))),
            None => Err(self.syntax("a text has no end")),
        }
    }

    fn unit(&mut self) -> Result<u32, HistoryError> {
        let mut unit = 0;
        for _ in 0..4 {
            let digit = self.next().and_then(|char| char.to_digit(16));
            unit = unit * 16 + digit.ok_or_else(|| self.syntax("four hexadecimal digits miss"))?;
        }
        Ok(unit)
    }

    fn atom(&mut self) -> Result<Edn, HistoryError> {
        let (line, column) = (self.line, self.column);
        let token = self.token();
        let number = token.strip_prefix(['+', '-']).unwrap_or(token);
        let atom = match token {
            "nil" => Edn::Nil,
            "true" => Edn::Bool(true),
            "false" => Edn::Bool(false),
            _ if number.starts_with(|char: char| char.is_ascii_digit()) => {
                return parse_number(token).map(Edn::Number).ok_or_else(|| {
                    let problem = Problem::Syntax(format!("`{token}` is no number I can hold"));
                    HistoryError { line: Some(line), column: Some(column), problem }
                });
            }
            _ if token.len() > 1 && token.starts_with(':') => Edn::Keyword(token.to_owned()),
            _ => Edn::Symbol(token.to_owned()),
        };
        if matches!(&atom, Edn::Symbol(name) if name.is_empty() || name == ":") {
            let char = self.peek().unwrap_or(':');
            return Err(self.syntax(&format!("`{char}` is nothing")));
        }
        Ok(atom)
    }

    /// The characters up to the next one that ends a word.
    fn token(&mut self) -> &'a str {
        let ends = |char: char| char.is_whitespace() || "()[]{}\",;".contains(char);
        let length = self.rest.find(ends).unwrap_or(self.rest.len());
        let (token, rest) = self.rest.split_at(length);
        self.column += token.chars().count();
        self.rest = rest;
        token
    }

    /// Skips blanks, commas, comments, and values that are marked as left out.
    fn skip_blanks(&mut self) -> Result<(), HistoryError> {
        let mut left_out = 0_u32;
        loop {
            if self.rest.starts_with("#_") {
                self.next();
                self.next();
                left_out += 1;
            } else if self.peek() == Some(';') {
                while self.peek().is_some_and(|char| char != '\n') {
                    self.next();
                }
            } else if self.peek().is_some_and(|char| char.is_whitespace() || char == ',') {
                self.next();
            } else if left_out > 0 {
                self.form()?;
                left_out -= 1;
            } else {
                return Ok(());
            }
        }
    }

    fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    fn next_if(&mut self, wanted: char) -> bool {
        let is_next = self.peek() == Some(wanted);
        if is_next {
            self.next();
        }
        is_next
    }

    fn next(&mut self) -> Option<char> {
        let char = self.peek()?;
        self.rest = &self.rest[char.len_utf8()..];
        if char == '\n' {
            (self.line, self.column) = (self.line + 1, 1);
        } else {
            self.column += 1;
        }
        Some(char)
    }

    pub(super) fn syntax(&self, what: &str) -> HistoryError {
        self.error(Problem::Syntax(what.to_owned()))
    }

    fn error(&self, problem: Problem) -> HistoryError {
        HistoryError { line: Some(self.line), column: Some(self.column), problem }
    }
}

/// A whole number of 64 bits, or one with a fraction or an exponent.
fn parse_number(token: &str) -> Option<Number> {
    let token = token.strip_prefix('+').unwrap_or(token);
    let whole = token.strip_suffix('N').unwrap_or(token);
    if let Ok(number) = whole.parse::<i64>() {
        return Some(number.into());
    }
    if let Ok(number) = whole.parse::<u64>() {
        return Some(number.into());
    }
    let fraction = token.strip_suffix('M').unwrap_or(token);
    let is_fraction = fraction.contains(['.', 'e', 'E']);
    if is_fraction { Number::from_f64(fraction.parse().ok()?) } else { None }
}

/// How deep values may be nested; those of histories are hardly nested at all.
const DEPTH_MAX: usize = 64;
