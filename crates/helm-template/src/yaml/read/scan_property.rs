//! Anchors, aliases, tags and directives.

use super::scanner::{Scan, Scanner, TokenKind};
use super::source::{is_blank, is_blank_or_end, is_break_or_end, is_word};

/// Longest number in `%YAML 1.1`.
const VERSION_DIGITS: usize = 2;

impl Scanner<'_> {
    pub(super) fn anchor(&mut self, alias: bool) -> Scan<()> {
        let start = self.source.mark();
        self.source.skip();
        let name = self.word();
        let c = self.source.current();
        let ends = is_blank_or_end(c) || matches!(c, '?' | ':' | ',' | ']' | '}' | '%' | '@' | '`');
        if name.is_empty() || !ends {
            return self.fail("did not find expected alphabetic or numeric character");
        }
        self.push(if alias { TokenKind::Alias(name) } else { TokenKind::Anchor(name) }, start);
        Ok(())
    }

    fn word(&mut self) -> String {
        let mut word = String::new();
        while is_word(self.source.current()) {
            self.source.read(&mut word);
        }
        word
    }

    pub(super) fn tag(&mut self) -> Scan<()> {
        let start = self.source.mark();
        let (handle, suffix) = if self.source.peek(1) == '<' {
            self.source.skip();
            self.source.skip();
            let suffix = self.tag_uri("")?;
            if self.source.current() != '>' {
                return self.fail("did not find the expected '>'");
            }
            self.source.skip();
            (String::new(), suffix)
        } else {
            let handle = self.tag_handle(false)?;
            if handle.len() > 1 && handle.ends_with('!') {
                let suffix = self.tag_uri("")?;
                (handle, suffix)
            } else {
                let suffix = self.tag_uri(&handle)?;
                // The lone `!` has no handle.
                if suffix.is_empty() { (String::new(), "!".to_owned()) } else { ("!".to_owned(), suffix) }
            }
        };
        if !is_blank_or_end(self.source.current()) {
            return self.fail("did not find expected whitespace or line break");
        }
        self.push(TokenKind::Tag { handle, suffix }, start);
        Ok(())
    }

    fn tag_handle(&mut self, directive: bool) -> Scan<String> {
        if self.source.current() != '!' {
            return self.fail("did not find expected '!'");
        }
        let mut handle = String::new();
        self.source.read(&mut handle);
        handle.push_str(&self.word());
        if self.source.current() == '!' {
            self.source.read(&mut handle);
        } else if directive && handle != "!" {
            return self.fail("did not find expected '!'");
        }
        Ok(handle)
    }

    /// The rest of a tag after what was read of it as a handle.
    fn tag_uri(&mut self, head: &str) -> Scan<String> {
        let mut bytes = head.get(1..).unwrap_or("").as_bytes().to_vec();
        let mut any = !head.is_empty();
        loop {
            match self.source.current() {
                '%' => bytes.push(self.escaped_octet()?),
                c if is_word(c) || ";/?:@&=+$,.!~*'()[]".contains(c) => {
                    let mut one = [0; 4];
                    bytes.extend_from_slice(c.encode_utf8(&mut one).as_bytes());
                    self.source.skip();
                }
                _ => break,
            }
            any = true;
        }
        if !any {
            return self.fail("did not find expected tag URI");
        }
        match String::from_utf8(bytes) {
            Ok(uri) => Ok(uri),
            Err(_) => self.fail("found an incorrect trailing UTF-8 octet"),
        }
    }

    fn escaped_octet(&mut self) -> Scan<u8> {
        let digits = (self.source.peek(1).to_digit(16), self.source.peek(2).to_digit(16));
        let octet = match digits {
            (Some(high), Some(low)) => u8::try_from(high * 16 + low).ok(),
            _ => None,
        };
        let Some(octet) = octet else { return self.fail("did not find URI escaped octet") };
        (0..3).for_each(|_| self.source.skip());
        Ok(octet)
    }

    pub(super) fn scan_directive(&mut self) -> Scan<()> {
        let start = self.source.mark();
        self.source.skip();
        let name = self.word();
        if name.is_empty() {
            return self.fail("could not find expected directive name");
        }
        if !is_blank_or_end(self.source.current()) {
            return self.fail("found unexpected non-alphabetical character");
        }
        self.source.skip_blanks();
        let kind = match name.as_str() {
            "YAML" => self.version()?,
            "TAG" => self.tag_directive()?,
            _ => return self.fail("found unknown directive name"),
        };
        self.source.skip_blanks();
        self.source.skip_comment();
        if !is_break_or_end(self.source.current()) {
            return self.fail("did not find expected comment or line break");
        }
        self.source.line_break();
        self.push(kind, start);
        Ok(())
    }

    fn version(&mut self) -> Scan<TokenKind> {
        let major = self.version_number()?;
        if self.source.current() != '.' {
            return self.fail("did not find expected digit or '.' character");
        }
        self.source.skip();
        let minor = self.version_number()?;
        Ok(TokenKind::Version { major, minor })
    }

    fn version_number(&mut self) -> Scan<u32> {
        let (mut value, mut length) = (0, 0);
        while let Some(digit) = self.source.current().to_digit(10) {
            length += 1;
            if length > VERSION_DIGITS {
                return self.fail("found extremely long version number");
            }
            value = value * 10 + digit;
            self.source.skip();
        }
        if length == 0 { self.fail("did not find expected version number") } else { Ok(value) }
    }

    fn tag_directive(&mut self) -> Scan<TokenKind> {
        let handle = self.tag_handle(true)?;
        if !is_blank(self.source.current()) {
            return self.fail("did not find expected whitespace");
        }
        self.source.skip_blanks();
        let prefix = self.tag_uri("")?;
        if !is_blank_or_end(self.source.current()) {
            return self.fail("did not find expected whitespace or line break");
        }
        Ok(TokenKind::TagDirective { handle, prefix })
    }
}
