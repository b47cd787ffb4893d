//! Runs tables of expressions with the results that the real Helm gave for them.
//!
//! A line is `EXPRESSION => RESULT`. The expression is a call as in a template, with literals and calls in parentheses
//! as arguments; the result is what `printf "%T|%v"` made of it, or `error: ` and the text after
//! `error calling NAME:`. In results `\n`, `\t`, `\r` and `\\` stand for what they stand for in Go.

use super::args::at;
use crate::gotmpl::format::display;
use crate::gotmpl::{Host, Type, Usage, Value};
use std::cell::RefCell;

/// Checks a table; all lines that differ are reported together.
pub(crate) fn check(table: &str) {
    let mut wrong = Vec::new();
    let mut count = 0;
    for line in table.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let (expression, want) = line.rsplit_once(" => ").expect("a line has an arrow");
        let want = unescape(want);
        let got = evaluate(expression);
        count += 1;
        if got != want {
            wrong.push(format!("{expression}\n   want {want:?}\n   got  {got:?}"));
        }
    }
    assert!(count > 0 && wrong.is_empty(), "{} of {count} differ:\n{}", wrong.len(), wrong.join("\n"));
}

fn unescape(s: &str) -> String {
    let mut out = String::new();
    let mut characters = s.chars();
    while let Some(c) = characters.next() {
        out.push(match (c, c == '\\') {
            (_, true) => match characters.next() {
                Some('n') => '\n',
                Some('t') => '\t',
                Some('r') => '\r',
                other => other.expect("an escape has a letter"),
            },
            (c, false) => c,
        });
    }
    out
}

fn evaluate(expression: &str) -> String {
    let mut parser = Parser { rest: expression };
    let result = parser.call();
    assert!(parser.rest.trim().is_empty(), "cannot read {:?} of {expression}", parser.rest);
    match result {
        Ok(v) => format!("{}|{}", v.type_name(), String::from_utf8_lossy(&display(&v))),
        Err(e) => format!("error: {e}"),
    }
}

struct Parser<'a> {
    rest: &'a str,
}

impl Parser<'_> {
    fn call(&mut self) -> Result<Value, String> {
        let name = self.word();
        let mut args = Vec::new();
        let mut failure = None;
        loop {
            self.rest = self.rest.trim_start();
            if self.rest.is_empty() || self.rest.starts_with(')') {
                break;
            }
            match self.operand() {
                Ok(v) => args.push(v),
                Err(e) => failure = failure.or(Some(e)),
            }
        }
        if let Some(e) = failure {
            return Err(e);
        }
        apply(&name, &args)
    }

    fn word(&mut self) -> String {
        let end = self.rest.find([' ', ')']).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        word.to_owned()
    }

    fn operand(&mut self) -> Result<Value, String> {
        if let Some(inner) = self.rest.strip_prefix('(') {
            self.rest = inner;
            let v = self.call();
            self.rest = self.rest.trim_start().strip_prefix(')').expect("a parenthesis is closed");
            return v;
        }
        if self.rest.starts_with('"') {
            return Ok(self.string());
        }
        let word = self.word();
        Ok(match word.as_str() {
            "nil" => Value::Nil,
            "true" => Value::Bool(true),
            "false" => Value::Bool(false),
            _ => match word.parse::<i64>() {
                Ok(i) => Value::Int(i),
                Err(_) => match word.parse::<f64>() {
                    Ok(f) => Value::Float(f),
                    Err(_) => return apply(&word, &[]),
                },
            },
        })
    }

    fn string(&mut self) -> Value {
        let mut out = Vec::new();
        let mut characters = self.rest.char_indices().skip(1);
        let hex = |characters: &mut dyn Iterator<Item = (usize, char)>, count: usize| {
            let digits: String = characters.take(count).map(|(_, c)| c).collect();
            u32::from_str_radix(&digits, 16).expect("an escape is hexadecimal")
        };
        loop {
            let (at, c) = characters.next().expect("a string ends");
            match c {
                '"' => {
                    self.rest = &self.rest[at + 1..];
                    return Value::string(out);
                }
                '\\' => match characters.next().expect("an escape has a letter").1 {
                    'n' => out.push(b'\n'),
                    't' => out.push(b'\t'),
                    'r' => out.push(b'\r'),
                    'x' => out.push(u8::try_from(hex(&mut characters, 2)).expect("two digits are a byte")),
                    'u' => {
                        let c = char::from_u32(hex(&mut characters, 4)).expect("a character");
                        out.extend(c.to_string().bytes());
                    }
                    other => out.extend(other.to_string().bytes()),
                },
                c => out.extend(c.to_string().bytes()),
            }
        }
    }
}

/// Calls a function with the conversions of literals that the evaluator makes.
fn apply(name: &str, args: &[Value]) -> Result<Value, String> {
    if name == "index" {
        return Ok(match (at(args, 0), at(args, 1)) {
            (Value::Map(m), Value::String(key)) => m.get_bytes(key.as_bytes()).unwrap_or(Value::Nil),
            _ => panic!("index takes a map and a key"),
        });
    }
    let function = super::function(name).unwrap_or_else(|| panic!("no function {name}"));
    let args: Vec<Value> = args
        .iter()
        .enumerate()
        .map(|(i, v)| match (function.params.get(i).copied().or(function.variadic), v) {
            (Some(Type::Float), Value::Int(i)) => Value::Float(i.to_string().parse().expect("digits are a float")),
            _ => v.clone(),
        })
        .collect();
    let host = Host {
        now: || (0, 0),
        timezone: "UTC".to_owned(),
        entropy: RefCell::new(Box::new(|buffer| buffer.fill(0))),
        usage: Usage::default(),
    };
    (function.call)(&host, &args)
}
