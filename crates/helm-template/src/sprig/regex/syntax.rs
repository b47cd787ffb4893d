//! Go's pattern syntax, rewritten for the `regex` crate.
//!
//! In: a pattern. Out: one of the same meaning in the syntax of `regex`, the names of its groups, or Go's error text.
//! Differences that are handled: `\d \w \s \b` know ASCII only, `\Q…\E`, octal escapes, `[` and `&&` in classes,
//! a `{` that starts no repetition, limits of repetitions, and everything that only one of the two accepts.

/// Groups and repetitions nested deeper than this are refused. Go's limit is 1000, but Go's stack grows.
pub(super) const MAX_DEPTH: u32 = 200;

/// The largest repetition count, nested ones multiplied.
const MAX_REPEAT: u64 = 1000;

/// A pattern in the syntax of `regex`.
pub(super) struct Translated {
    pub(super) pattern: String,
    /// Names of the groups by number; empty for those without.
    pub(super) names: Vec<String>,
}

/// Go's `error parsing regexp: CODE: EXPRESSION`.
pub(super) fn error(code: &str, expression: &str) -> String {
    format!("error parsing regexp: {code}: `{expression}`")
}

/// Rewrites a pattern.
pub(super) fn translate(pattern: &[u8]) -> Result<Translated, String> {
    let whole = match std::str::from_utf8(pattern) {
        Ok(whole) => whole,
        Err(e) => {
            let rest = pattern.get(e.valid_up_to()..).unwrap_or_default();
            return Err(error("invalid UTF-8", &String::from_utf8_lossy(rest)));
        }
    };
    let mut translator = Translator {
        whole,
        rest: whole,
        flags: Flags::default(),
        outer: Vec::new(),
        group: Group::default(),
        names: vec![String::new()],
        last_repeat: "",
    };
    translator.run()?;
    Ok(Translated { pattern: translator.group.close(), names: translator.names })
}

/// The flags `i`, `m`, `s`, `U`.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct Flags {
    on: [bool; 4],
}

impl Flags {
    const LETTERS: [char; 4] = ['i', 'm', 's', 'U'];

    fn set(&mut self, letter: char, value: bool) -> bool {
        let slot = Self::LETTERS.iter().zip(&mut self.on).find(|(l, _)| **l == letter);
        slot.map(|(_, flag)| *flag = value).is_some()
    }

    /// All flags, on and off: `i-msU`.
    fn text(self) -> String {
        let letters = |wanted: bool| Self::LETTERS.iter().zip(self.on).filter(move |(_, on)| *on == wanted);
        let on: String = letters(true).map(|(l, _)| l).collect();
        let off: String = letters(false).map(|(l, _)| l).collect();
        if off.is_empty() { on } else { format!("{on}-{off}") }
    }
}

/// What a repetition may apply to.
struct Piece {
    text: String,
    /// How many copies of its innermost part the repetitions make.
    copies: u64,
    /// How deep groups and repetitions are nested.
    depth: u32,
}

/// A group that is being read.
#[derive(Default)]
struct Group {
    /// What opens it, with the parenthesis.
    opening: String,
    /// Flags to restore after it.
    flags: Flags,
    /// Finished alternatives, with their bars.
    done: String,
    /// The alternative being read.
    pieces: Vec<Piece>,
    /// Index of the piece that a repetition would apply to.
    last: Option<usize>,
    copies: u64,
    depth: u32,
}

impl Group {
    fn push(&mut self, text: String) {
        self.push_piece(Piece { text, copies: 0, depth: 1 });
    }

    fn push_piece(&mut self, piece: Piece) {
        self.last = Some(self.pieces.len());
        self.pieces.push(piece);
    }

    /// Moves the pieces to the finished text.
    fn settle(&mut self) {
        for piece in self.pieces.drain(..) {
            self.done.push_str(&piece.text);
            self.copies = self.copies.max(piece.copies);
            self.depth = self.depth.max(piece.depth);
        }
        self.last = None;
    }

    fn close(mut self) -> String {
        self.settle();
        let end = if self.opening.is_empty() { "" } else { ")" };
        format!("{}{}{end}", self.opening, self.done)
    }
}

struct Translator<'a> {
    whole: &'a str,
    rest: &'a str,
    flags: Flags,
    outer: Vec<Group>,
    group: Group,
    names: Vec<String>,
    /// From the repetition just read on; empty after anything else.
    last_repeat: &'a str,
}

/// Classes of one letter after a backslash, with Go's ASCII meaning.
const PERL_CLASSES: &[(char, &str)] = &[
    ('d', "[0-9]"),
    ('D', "[^0-9]"),
    ('s', r"[\t\n\x0C\r\x20]"),
    ('S', r"[^\t\n\x0C\r\x20]"),
    ('w', "[0-9A-Za-z_]"),
    ('W', "[^0-9A-Za-z_]"),
];

/// Names in `[[:name:]]`.
const POSIX_CLASSES: &[&str] = &[
    "alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph", "lower", "print", "punct", "space", "upper", "word",
    "xdigit",
];

/// What a repetition asks for.
struct Repeat {
    /// As written in both syntaxes.
    text: String,
    /// The larger of its counts; 0 for `*`, `+`, `?`.
    count: u64,
}

impl<'a> Translator<'a> {
    fn run(&mut self) -> Result<(), String> {
        while let Some(c) = self.rest.chars().next() {
            let mut repeat = "";
            match c {
                '(' => self.open_group()?,
                ')' => self.close_group()?,
                '|' => {
                    self.take(c);
                    self.bar();
                }
                '^' | '$' | '.' => {
                    self.take(c);
                    self.group.push(c.to_string());
                }
                '[' => self.class()?,
                '*' | '+' | '?' => {
                    repeat = self.rest;
                    self.take(c);
                    self.repeat(repeat, Repeat { text: c.to_string(), count: 0 })?;
                }
                '{' => repeat = self.counted()?,
                '\\' => self.backslash()?,
                _ => {
                    self.take(c);
                    self.group.push(literal(c));
                }
            }
            self.last_repeat = repeat;
        }
        if self.outer.is_empty() { Ok(()) } else { Err(error("missing closing )", self.whole)) }
    }

    /// Steps over a character.
    fn take(&mut self, c: char) {
        self.rest = self.rest.get(c.len_utf8()..).unwrap_or_default();
    }

    /// What was read since the rest was `from`.
    fn since(&self, from: &'a str) -> &'a str {
        from.get(..from.len() - self.rest.len()).unwrap_or(from)
    }

    fn bar(&mut self) {
        self.group.settle();
        self.group.done.push('|');
        if self.flags != Flags::default() {
            self.group.done.extend(["(?", &self.flags.text(), ")"]);
        }
    }

    fn enter(&mut self, opening: &str) {
        let group = Group { opening: opening.to_owned(), flags: self.flags, ..Group::default() };
        self.outer.push(std::mem::replace(&mut self.group, group));
    }

    /// Refuses what is nested too deep.
    fn check_depth(&self, depth: u32) -> Result<(), String> {
        if depth > MAX_DEPTH { Err(error("expression nests too deeply", self.whole)) } else { Ok(()) }
    }

    fn open_group(&mut self) -> Result<(), String> {
        if self.rest.starts_with("(?") {
            return self.flag_group();
        }
        self.take('(');
        self.names.push(String::new());
        self.enter("(");
        Ok(())
    }

    fn close_group(&mut self) -> Result<(), String> {
        let Some(outer) = self.outer.pop() else { return Err(error("unexpected )", self.whole)) };
        self.take(')');
        let mut inner = std::mem::replace(&mut self.group, outer);
        self.flags = inner.flags;
        inner.settle();
        let (copies, depth) = (inner.copies, inner.depth + 1);
        self.group.push_piece(Piece { text: inner.close(), copies, depth });
        self.check_depth(depth)
    }

    /// `(?P<name>…`, `(?<name>…`, `(?flags)`, `(?flags:…`.
    fn flag_group(&mut self) -> Result<(), String> {
        let start = self.rest;
        let name = ["(?P<", "(?<"].into_iter().find_map(|p| start.strip_prefix(p).filter(|n| !n.is_empty()));
        if let Some(name) = name {
            let Some((name, rest)) = name.split_once('>') else {
                return Err(error("invalid named capture", start));
            };
            self.rest = rest;
            if name.is_empty() || !name.chars().all(|c| c == '_' || c.is_ascii_alphanumeric()) {
                return Err(error("invalid named capture", self.since(start)));
            }
            self.names.push(name.to_owned());
            self.enter("(");
            return Ok(());
        }
        self.rest = start.get(2..).unwrap_or_default();
        let mut flags = self.flags;
        let (mut value, mut saw_flag) = (true, false);
        while let Some(c) = self.rest.chars().next() {
            self.take(c);
            match c {
                '-' if value => (value, saw_flag) = (false, false),
                ':' | ')' if value || saw_flag => {
                    self.use_flags(flags, c == ':');
                    return Ok(());
                }
                _ if flags.set(c, value) => saw_flag = true,
                _ => break,
            }
        }
        Err(error("invalid or unsupported Perl syntax", self.since(start)))
    }

    fn use_flags(&mut self, flags: Flags, opens_group: bool) {
        if opens_group {
            self.enter(&format!("(?{}:", flags.text()));
        } else {
            // Not a piece of its own: a repetition after it applies to what stands before.
            let last = self.group.last;
            self.group.push(format!("(?{})", flags.text()));
            self.group.last = last;
        }
        self.flags = flags;
    }

    /// `{2}`, `{2,}`, `{2,5}`; any other brace is a character.
    fn counted(&mut self) -> Result<&'a str, String> {
        let start = self.rest;
        let Some((min, max, length)) = counts(start) else {
            self.take('{');
            self.group.push(literal('{'));
            return Ok("");
        };
        self.rest = start.get(length..).unwrap_or_default();
        let largest = max.map_or(min, |max| max.max(min));
        if largest > MAX_REPEAT || max.is_some_and(|max| max < min) {
            return Err(error("invalid repeat count", self.since(start)));
        }
        self.repeat(start, Repeat { text: self.since(start).to_owned(), count: max.unwrap_or(min) })?;
        Ok(start)
    }

    /// Applies a repetition, which began at `start`, to the last piece.
    fn repeat(&mut self, start: &'a str, mut repeat: Repeat) -> Result<(), String> {
        if self.rest.starts_with('?') {
            self.take('?');
            repeat.text.push('?');
        }
        if !self.last_repeat.is_empty() {
            return Err(error("invalid nested repetition operator", self.since(self.last_repeat)));
        }
        let written = self.since(start);
        let last = self.group.last.and_then(|index| self.group.pieces.get_mut(index));
        let Some(piece) = last else {
            return Err(error("missing argument to repetition operator", written));
        };
        if repeat.count > 0 {
            piece.copies = repeat.count * piece.copies.max(1);
        }
        if repeat.count >= 2 && piece.copies > MAX_REPEAT {
            return Err(error("invalid repeat count", written));
        }
        piece.text = format!("(?:{}){}", piece.text, repeat.text);
        piece.depth += 1;
        let depth = piece.depth;
        self.check_depth(depth)
    }

    fn backslash(&mut self) -> Result<(), String> {
        let start = self.rest;
        let escaped = start.chars().nth(1);
        let direct = match escaped {
            Some('A') => Some(r"\A"),
            Some('z') => Some(r"\z"),
            Some('b') => Some(r"(?-u:\b)"),
            Some('B') => Some(r"(?-u:\B)"),
            Some('C') => return Err(error("invalid escape sequence", r"\C")),
            Some('Q') => {
                let quoted = start.get(2..).unwrap_or_default();
                let (text, rest) = quoted.split_once(r"\E").unwrap_or((quoted, ""));
                self.rest = rest;
                for c in text.chars() {
                    self.group.push(literal(c));
                }
                return Ok(());
            }
            _ => None,
        };
        if let Some(direct) = direct {
            self.rest = start.get(2..).unwrap_or_default();
            self.group.push(direct.to_owned());
            return Ok(());
        }
        let text = match self.escaped_class()? {
            Some(class) => class,
            None => literal_code(self.escaped_char()?),
        };
        self.group.push(text);
        Ok(())
    }

    /// `\pL`, `\p{Greek}`, `\d` and their negations.
    fn escaped_class(&mut self) -> Result<Option<String>, String> {
        let start = self.rest;
        let mut chars = start.chars();
        let (Some('\\'), Some(kind)) = (chars.next(), chars.next()) else { return Ok(None) };
        if let Some((_, class)) = PERL_CLASSES.iter().find(|(letter, _)| *letter == kind) {
            self.rest = chars.as_str();
            return Ok(Some((*class).to_owned()));
        }
        if !matches!(kind, 'p' | 'P') {
            return Ok(None);
        }
        let name = match chars.next() {
            Some('{') => {
                let Some((name, rest)) = chars.as_str().split_once('}') else {
                    return Err(error("invalid character class range", start));
                };
                self.rest = rest;
                name.to_owned()
            }
            single => {
                self.rest = chars.as_str();
                single.map(String::from).unwrap_or_default()
            }
        };
        let (negated, name) = name.strip_prefix('^').map_or((kind == 'P', name.as_str()), |n| (kind == 'p', n));
        let class = format!(r"\{}{{{name}}}", if negated { 'P' } else { 'p' });
        let is_name = name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | ' '));
        if name.is_empty() || !is_name || regex::Regex::new(&class).is_err() {
            return Err(error("invalid character class range", self.since(start)));
        }
        Ok(Some(class))
    }

    /// An escape that stands for one character.
    fn escaped_char(&mut self) -> Result<u32, String> {
        let start = self.rest;
        self.take('\\');
        let Some(c) = self.rest.chars().next() else {
            return Err(error("trailing backslash at end of expression", ""));
        };
        self.take(c);
        let plain = match c {
            'a' => Some(0x07),
            'f' => Some(0x0c),
            'n' => Some(0x0a),
            'r' => Some(0x0d),
            't' => Some(0x09),
            'v' => Some(0x0b),
            'x' => self.hexadecimal(),
            '0' => Some(self.octal(0)),
            '1'..='7' if self.rest.starts_with(|d| ('0'..='7').contains(&d)) => Some(self.octal(c as u32 - '0' as u32)),
            _ if c.is_ascii() && !c.is_ascii_alphanumeric() => Some(c as u32),
            _ => None,
        };
        plain.ok_or_else(|| error("invalid escape sequence", self.since(start)))
    }

    /// Up to two octal digits after the first.
    fn octal(&mut self, first: u32) -> u32 {
        let mut value = first;
        for _ in 0..2 {
            let Some(digit) = self.rest.chars().next().and_then(|d| d.to_digit(8)) else { break };
            self.rest = self.rest.get(1..).unwrap_or_default();
            value = value * 8 + digit;
        }
        value
    }

    /// `7F` or `{10FFFF}`; what is read stays read if it is wrong.
    fn hexadecimal(&mut self) -> Option<u32> {
        let first = self.rest.chars().next()?;
        self.take(first);
        if first != '{' {
            let second = self.rest.chars().next();
            if let Some(second) = second {
                self.take(second);
            }
            return Some(first.to_digit(16)? * 16 + second?.to_digit(16)?);
        }
        let mut value = None;
        loop {
            let c = self.rest.chars().next()?;
            self.take(c);
            if c == '}' {
                return value;
            }
            let next = value.unwrap_or(0) * 16 + c.to_digit(16)?;
            value = Some(next).filter(|v| *v <= 0x0010_ffff);
            value?;
        }
    }

    /// `[…]`
    fn class(&mut self) -> Result<(), String> {
        let start = self.rest;
        self.take('[');
        let mut out = String::from("[");
        if self.rest.starts_with('^') {
            self.take('^');
            out.push('^');
        }
        let mut first = true;
        while first || !self.rest.starts_with(']') {
            first = false;
            if let Some(named) = self.named_class()? {
                out.push_str(&named);
            } else if let Some(class) = self.escaped_class()? {
                out.push_str(&class);
            } else {
                out.push_str(&self.class_range(start)?);
            }
        }
        self.take(']');
        out.push(']');
        self.group.push(out);
        Ok(())
    }

    /// `[:alpha:]`, `[:^alpha:]`
    fn named_class(&mut self) -> Result<Option<String>, String> {
        let start = self.rest;
        let Some((name, rest)) = start.strip_prefix("[:").and_then(|body| body.split_once(":]")) else {
            return Ok(None);
        };
        self.rest = rest;
        let known = POSIX_CLASSES.contains(&name.strip_prefix('^').unwrap_or(name));
        let written = self.since(start);
        if known { Ok(Some(written.to_owned())) } else { Err(error("invalid character class range", written)) }
    }

    /// A character or a range of a class that began at `class`.
    fn class_range(&mut self, class: &'a str) -> Result<String, String> {
        let start = self.rest;
        let low = self.class_char(class)?;
        let mut high = low;
        if self.rest.len() >= 2 && self.rest.starts_with('-') && !self.rest.starts_with("-]") {
            self.take('-');
            high = self.class_char(class)?;
        }
        if high < low {
            return Err(error("invalid character class range", self.since(start)));
        }
        // Surrogates are not characters, neither in texts nor in the other syntax.
        let low = if (0xd800..0xe000).contains(&low) { 0xe000 } else { low };
        let high = if (0xd800..0xe000).contains(&high) { 0xd7ff } else { high };
        Ok(if low > high { String::new() } else { format!(r"\x{{{low:X}}}-\x{{{high:X}}}") })
    }

    fn class_char(&mut self, class: &str) -> Result<u32, String> {
        match self.rest.chars().next() {
            None => Err(error("missing closing ]", class)),
            Some('\\') => self.escaped_char(),
            Some(c) => {
                self.take(c);
                Ok(c as u32)
            }
        }
    }
}

/// A character that stands for itself.
fn literal(c: char) -> String {
    literal_code(c as u32)
}

fn literal_code(code: u32) -> String {
    match char::from_u32(code) {
        Some(c) if c.is_ascii_alphanumeric() => c.to_string(),
        Some(_) => format!(r"\x{{{code:X}}}"),
        // A surrogate is in no text.
        None => "[^\\x{0}-\\x{10FFFF}]".to_owned(),
    }
}

/// The counts of `{2}`, `{2,}`, `{2,5}` at the start of a text, and its length; numbers have no leading zeros.
fn counts(text: &str) -> Option<(u64, Option<u64>, usize)> {
    let end = text.find('}')?;
    let body = text.get(1..end)?;
    let number = |s: &str| {
        let written = !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit()) && (s.len() == 1 || !s.starts_with('0'));
        written.then(|| s.parse().unwrap_or(u64::MAX))
    };
    let (min, max) = match body.split_once(',') {
        None => (number(body)?, Some(number(body)?)),
        Some((min, "")) => (number(min)?, None),
        Some((min, max)) => (number(min)?, Some(number(max)?)),
    };
    Some((min, max, end + 1))
}
