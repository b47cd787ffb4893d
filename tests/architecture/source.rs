//! Rust files as text in which comments, strings and characters are blank, so that words and braces in it are code.

use std::fs;
use std::path::Path;

/// A file of the work tree.
pub struct Source {
    /// From the work tree's root.
    pub path: String,
    /// Line for line the file's, see the module.
    pub code: String,
}

/// A function with a body.
pub struct Function {
    pub name: String,
    /// What stands in its parentheses.
    pub parameters: String,
    pub line: usize,
    /// How many, from `fn` to the closing brace.
    pub lines: usize,
    /// Whether the test runner calls it.
    pub is_test: bool,
    /// Whether it is a test, or stands beside tests.
    pub is_for_tests: bool,
}

/// The Rust files below some folders of the work tree.
pub fn sources(folders: &[&str]) -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut open: Vec<_> = folders.iter().map(|folder| root.join(folder)).collect();
    let mut found = vec![];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                let path = path.strip_prefix(root).unwrap().to_string_lossy().into_owned();
                found.push(Source { path, code: blank(&text) });
            }
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

impl Source {
    /// The number of the line with this place of the code.
    pub fn line(&self, at: usize) -> usize {
        self.code[..at].matches('\n').count() + 1
    }

    /// The code with its tests blank.
    pub fn without_tests(&self) -> String {
        let (from, to) = self.tests();
        let tests = self.code[from..to].chars().map(blanked);
        self.code[..from].chars().chain(tests).chain(self.code[to..].chars()).collect()
    }

    /// Where the tests are.
    fn tests(&self) -> (usize, usize) {
        let parts: Vec<&str> = self.path.split('/').collect();
        let all = parts.iter().any(|part| ["tests", "tests.rs", "testing.rs"].contains(part));
        let (none, whole) = ((0, 0), (0, self.code.len()));
        if all {
            return whole;
        }
        let from = self.code.find("#[cfg(test)]\nmod tests {");
        from.map_or(none, |from| (from, self.body(from).map_or(self.code.len(), |(_, to)| to)))
    }

    /// All functions that have a body, also those inside others.
    pub fn functions(&self) -> Vec<Function> {
        let (from, to) = self.tests();
        let function = |at: usize| {
            let name: String = self.code[at + 3..].chars().take_while(|c| is_of_name(*c)).collect();
            let (begin, end) = self.body(at).filter(|_| !name.is_empty())?;
            let before = &self.code[..at];
            let attributes = &before[before.rfind(['}', ';', '{']).map_or(0, |at| at + 1)..];
            Some(Function {
                name,
                parameters: in_parentheses(&self.code[at..begin]).to_owned(),
                line: self.line(at),
                lines: self.code[at..end].matches('\n').count() + 1,
                is_test: ["#[test]", "#[tokio::test"].iter().any(|mark| attributes.contains(mark)),
                is_for_tests: (from..to).contains(&at),
            })
        };
        words(&self.code, "fn ").into_iter().filter_map(function).collect()
    }

    /// From the first brace after a place to where it is closed; `None` where a semicolon comes first.
    fn body(&self, from: usize) -> Option<(usize, usize)> {
        let (mut depth, mut begin) = (0, None);
        for (at, c) in self.code[from..].char_indices() {
            let at = from + at;
            match c {
                ';' if depth == 0 => return None,
                '{' if depth == 0 => (begin, depth) = (Some(at), 1),
                '(' | '[' | '{' => depth += 1,
                ')' | ']' | '}' => depth -= 1,
                _ => {}
            }
            if let (0, Some(begin)) = (depth, begin) {
                return Some((begin, at + 1));
            }
        }
        None
    }
}

/// What stands between the first parenthesis and the one that closes it.
fn in_parentheses(code: &str) -> &str {
    let inside = code.split_once('(').map_or("", |(_, inside)| inside);
    let mut open = 1;
    let end = inside.find(|c| {
        open += i32::from(c == '(') - i32::from(c == ')');
        open == 0
    });
    &inside[..end.unwrap_or(inside.len())]
}

pub fn is_of_name(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Where a word stands that is not part of a longer name.
pub fn words(code: &str, word: &str) -> Vec<usize> {
    let ends_in_name = word.ends_with(is_of_name);
    let is_alone = |at: &usize| {
        let goes_on = ends_in_name && code[at + word.len()..].starts_with(is_of_name);
        !goes_on && !code[..*at].ends_with(is_of_name)
    };
    code.match_indices(word).map(|(at, _)| at).filter(is_alone).collect()
}

fn blanked(c: char) -> char {
    if c == '\n' { c } else { ' ' }
}

/// See the module.
pub fn blank(text: &str) -> String {
    let (mut code, mut rest) = (String::with_capacity(text.len()), text);
    while let Some(c) = rest.chars().next() {
        let length = literal(rest, code.ends_with(is_of_name));
        if length == 0 {
            code.push(c);
            rest = &rest[c.len_utf8()..];
        } else {
            code.extend(rest[..length].chars().map(blanked));
            rest = &rest[length..];
        }
    }
    code
}

/// How long the comment, string or character is that the text begins with; 0 where it begins with none.
fn literal(text: &str, is_in_name: bool) -> usize {
    if text.starts_with("//") {
        return text.find('\n').unwrap_or(text.len());
    }
    if text.starts_with("/*") {
        return block_comment(text);
    }
    if text.starts_with('"') {
        return string(text);
    }
    if text.starts_with('\'') {
        return character(text);
    }
    if is_in_name { 0 } else { raw_string(text).unwrap_or(0) }
}

fn block_comment(text: &str) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < text.len() {
        match &text.as_bytes()[at..] {
            [b'/', b'*', ..] => (depth, at) = (depth + 1, at + 2),
            [b'*', b'/', ..] => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            break;
        }
    }
    at
}

fn string(text: &str) -> usize {
    let mut chars = text.char_indices().skip(1);
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => drop(chars.next()),
            '"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// A lifetime is none.
fn character(text: &str) -> usize {
    let mut chars = text.char_indices().skip(1);
    match (chars.next(), chars.next()) {
        (Some((_, '\\')), Some(_)) => chars.find(|(_, c)| *c == '\'').map_or(0, |(at, _)| at + 1),
        (Some(_), Some((at, '\''))) => at + 1,
        _ => 0,
    }
}

fn raw_string(text: &str) -> Option<usize> {
    let after = text.strip_prefix(['b', 'c']).unwrap_or(text).strip_prefix('r')?;
    let marks: String = after.chars().take_while(|c| *c == '#').collect();
    let inner = after[marks.len()..].strip_prefix('"')?;
    let end = format!("\"{marks}");
    let length = inner.find(&end).map_or(inner.len(), |at| at + end.len());
    Some(text.len() - inner.len() + length)
}
