//! URLs taken apart and put together as Go's `net/url` does it, and the name lookup that Helm keeps switched off.
//!
//! In: a text, or a map with the keys `scheme`, `host`, `path` and so on. Out: the other one. URLs are bytes here;
//! nothing is normalised but the scheme's case and percent escapes.

use super::args::{fixed, map, text};
use crate::gotmpl::Type::{Map as GoMap, String as GoString};
use crate::gotmpl::{Function, Host, Map, Value, format};

/// The functions of this file.
pub const FUNCTIONS: &[Function] = &[
    fixed("urlParse", &[GoString], parse_to_map),
    fixed("urlJoin", &[GoMap], join),
    // Charts must not learn about the network; Helm answers so too, unless started with --enable-dns.
    fixed("getHostByName", &[GoString], |_, _| Ok(Value::string(""))),
];

/// A text in quotes, for an error text.
fn quote(s: &[u8]) -> String {
    String::from_utf8_lossy(&format::quote(s)).into_owned()
}

/// A part of a URL with its own rules for percent escapes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Path,
    Host,
    Zone,
    User,
    Fragment,
}

impl Part {
    /// Whether a byte needs no escape in this part (RFC 3986, as Go reads it).
    fn allows(self, byte: u8) -> bool {
        let extra: &[u8] = match self {
            Self::Path => b"$&+,/:;=@",
            Self::Host | Self::Zone => b"!$&'()*+,;=:[]<>\"",
            Self::User => b"$&+,;=",
            Self::Fragment => b"$&+,/:;=?@!()*",
        };
        byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) || extra.contains(&byte)
    }
}

/// A URL in its parts, decoded.
#[derive(Default)]
struct Url {
    scheme: Vec<u8>,
    opaque: Vec<u8>,
    user: Option<User>,
    host: Vec<u8>,
    path: Vec<u8>,
    query: Vec<u8>,
    fragment: Vec<u8>,
}

/// What stands before the `@`.
struct User {
    name: Vec<u8>,
    password: Option<Vec<u8>>,
}

impl User {
    fn to_bytes(&self) -> Vec<u8> {
        let mut out = escape(&self.name, Part::User);
        if let Some(password) = &self.password {
            out.push(b':');
            out.extend(escape(password, Part::User));
        }
        out
    }
}

fn parse_to_map(_: &Host, args: &[Value]) -> Result<Value, String> {
    let url = parse(text(args, 0)).map_err(|e| format!("unable to parse url: {e}"))?;
    let user = url.user.as_ref().map(User::to_bytes).unwrap_or_default();
    let hostname = hostname(&url.host).to_vec();
    let fields = [
        ("scheme", url.scheme),
        ("host", url.host),
        ("hostname", hostname),
        ("path", url.path),
        ("query", url.query),
        ("opaque", url.opaque),
        ("fragment", url.fragment),
        ("userinfo", user),
    ];
    Ok(Value::map(fields.map(|(key, bytes)| (key, Value::string(bytes)))))
}

/// The errors of `url.Parse`.
pub(super) fn problem(raw: &[u8]) -> Option<String> {
    parse(raw).err()
}

/// `url.Parse`; the error names what was parsed.
fn parse(raw: &[u8]) -> Result<Url, String> {
    let (rest, fragment) = cut(raw, b'#');
    let named = |url: &[u8], e: String| format!("parse {}: {e}", quote(url));
    let mut url = parse_before_fragment(rest).map_err(|e| named(rest, e))?;
    url.fragment = unescape(fragment.unwrap_or_default(), Part::Fragment).map_err(|e| named(raw, e))?;
    Ok(url)
}

fn parse_before_fragment(raw: &[u8]) -> Result<Url, String> {
    if raw.iter().any(u8::is_ascii_control) {
        return Err("net/url: invalid control character in URL".to_owned());
    }
    let mut url = Url::default();
    if raw == b"*" {
        url.path = raw.to_vec();
        return Ok(url);
    }
    let (scheme, rest) = split_scheme(raw)?;
    url.scheme = scheme.to_ascii_lowercase();
    let (mut rest, query) = cut(rest, b'?');
    url.query = query.unwrap_or_default().to_vec();
    if !rest.starts_with(b"/") {
        if !url.scheme.is_empty() {
            url.opaque = rest.to_vec();
            return Ok(url);
        }
        if cut(rest, b'/').0.contains(&b':') {
            return Err("first path segment in URL cannot contain colon".to_owned());
        }
    }
    let may_have_host = !url.scheme.is_empty() || !rest.starts_with(b"///");
    if let Some(authority) = rest.strip_prefix(b"//").filter(|_| may_have_host) {
        let end = authority.iter().position(|b| *b == b'/').unwrap_or(authority.len());
        let (authority, path) = authority.split_at(end);
        rest = path;
        (url.user, url.host) = parse_authority(&url.scheme, authority)?;
    }
    url.path = unescape(rest, Part::Path)?;
    Ok(url)
}

/// The scheme and what follows its colon; no scheme if the text does not begin like one.
fn split_scheme(raw: &[u8]) -> Result<(&[u8], &[u8]), String> {
    let is_inner = |b: &u8| b.is_ascii_alphanumeric() || b"+-.".contains(b);
    let end = raw.iter().position(|b| !is_inner(b));
    match (end, raw) {
        (Some(0), [b':', ..]) => Err("missing protocol scheme".to_owned()),
        (Some(end), [first, ..]) if first.is_ascii_alphabetic() && raw.get(end) == Some(&b':') => {
            Ok((raw.get(..end).unwrap_or_default(), raw.get(end + 1..).unwrap_or_default()))
        }
        _ => Ok((b"", raw)),
    }
}

fn parse_authority(scheme: &[u8], authority: &[u8]) -> Result<(Option<User>, Vec<u8>), String> {
    let Some(at) = authority.iter().rposition(|b| *b == b'@') else {
        return Ok((None, parse_host(scheme, authority)?));
    };
    let host = parse_host(scheme, authority.get(at + 1..).unwrap_or_default())?;
    let info = authority.get(..at).unwrap_or_default();
    if !info.iter().all(|b| b.is_ascii_alphanumeric() || b"-._:~!$&'()*+,;=%@".contains(b)) {
        return Err("net/url: invalid userinfo".to_owned());
    }
    let (name, password) = cut(info, b':');
    let name = unescape(name, Part::User)?;
    let password = password.map(|p| unescape(p, Part::User)).transpose()?;
    Ok((Some(User { name, password }), host))
}

fn parse_host(scheme: &[u8], host: &[u8]) -> Result<Vec<u8>, String> {
    match host.iter().rposition(|b| *b == b'[') {
        Some(0) => return parse_bracketed(host),
        Some(_) => return Err("invalid IP-literal".to_owned()),
        None => {}
    }
    // For other schemes, lists of hosts with ports are accepted, as database URLs have them.
    let strict = matches!(scheme, b"http" | b"https");
    let is_colon = |b: &u8| *b == b':';
    let colon = if strict { host.iter().position(is_colon) } else { host.iter().rposition(is_colon) };
    check_port(colon.and_then(|at| host.get(at..)).unwrap_or_default())?;
    unescape(host, Part::Host)
}

/// `[address%25zone]:port`.
fn parse_bracketed(host: &[u8]) -> Result<Vec<u8>, String> {
    let close = host.iter().rposition(|b| *b == b']').ok_or("missing ']' in host")?;
    let port = host.get(close + 1..).unwrap_or_default();
    check_port(port)?;
    let literal = host.get(1..close).unwrap_or_default();
    let zone_start = memchr::memmem::find(literal, b"%25").unwrap_or(literal.len());
    let (address, zone) = literal.split_at(zone_start);
    let mut literal = unescape(address, Part::Host)?;
    let is_v4 = std::str::from_utf8(&literal).is_ok_and(|s| s.parse::<std::net::Ipv4Addr>().is_ok());
    let is_v6 = std::str::from_utf8(&literal).is_ok_and(|s| s.parse::<std::net::Ipv6Addr>().is_ok());
    literal.extend(unescape(zone, Part::Zone)?);
    match (is_v4 && zone.is_empty(), is_v6) {
        (true, _) => Err("invalid IP-literal".to_owned()),
        (false, false) => Err(format!("invalid host: ParseAddr({}): unable to parse IP", quote(&literal))),
        (false, true) => Ok([b"[", literal.as_slice(), b"]", port].concat()),
    }
}

/// A port is a colon and digits, or nothing.
fn check_port(port: &[u8]) -> Result<(), String> {
    if is_port(port) { Ok(()) } else { Err(format!("invalid port {} after host", quote(port))) }
}

fn is_port(port: &[u8]) -> bool {
    match port {
        [] => true,
        [b':', digits @ ..] => digits.iter().all(u8::is_ascii_digit),
        _ => false,
    }
}

/// The host without its port and brackets.
fn hostname(host: &[u8]) -> &[u8] {
    let colon = host.iter().rposition(|b| *b == b':').filter(|at| is_port(host.get(*at..).unwrap_or_default()));
    let name = colon.and_then(|at| host.get(..at)).unwrap_or(host);
    name.strip_prefix(b"[").and_then(|n| n.strip_suffix(b"]")).unwrap_or(name)
}

/// What stands before the first such byte, and what after it if it is there.
fn cut(s: &[u8], separator: u8) -> (&[u8], Option<&[u8]>) {
    match s.iter().position(|b| *b == separator) {
        Some(at) => (s.get(..at).unwrap_or_default(), s.get(at + 1..)),
        None => (s, None),
    }
}

/// Replaces percent escapes by their bytes; checks what the part allows.
fn unescape(s: &[u8], part: Part) -> Result<Vec<u8>, String> {
    let in_host = matches!(part, Part::Host | Part::Zone);
    let mut out = Vec::with_capacity(s.len());
    let mut rest = s;
    while let Some((first, tail)) = rest.split_first() {
        if *first == b'%' {
            let shown = rest.get(..3).unwrap_or(rest);
            let refuse = || format!("invalid URL escape {}", quote(shown));
            let byte = shown.get(1..3).and_then(hex_byte).ok_or_else(refuse)?;
            let allowed = match part {
                // In a host only bytes beyond ASCII may be escaped (RFC 3986, 3.2.2), and the percent of a zone.
                Part::Host => byte >= 0x80 || byte == b'%',
                Part::Zone => byte == b'%' || byte == b' ' || part.allows(byte),
                _ => true,
            };
            if !allowed {
                return Err(refuse());
            }
            out.push(byte);
            rest = rest.get(3..).unwrap_or_default();
        } else {
            if in_host && first.is_ascii() && !part.allows(*first) {
                return Err(format!("invalid character {} in host name", quote(&[*first])));
            }
            out.push(*first);
            rest = tail;
        }
    }
    Ok(out)
}

fn hex_byte(digits: &[u8]) -> Option<u8> {
    let &[high, low] = digits else { return None };
    let value = char::from(high).to_digit(16)? * 16 + char::from(low).to_digit(16)?;
    u8::try_from(value).ok()
}

/// Percent escapes for every byte that does not stand for itself in the part.
fn escape(s: &[u8], part: Part) -> Vec<u8> {
    let mut out = Vec::with_capacity(s.len());
    for b in s {
        if part.allows(*b) {
            out.push(*b);
        } else {
            out.extend(format!("%{b:02X}").into_bytes());
        }
    }
    out
}

/// `urlJoin`: a URL of the fields of a map; `hostname` is not one of them.
fn join(_: &Host, args: &[Value]) -> Result<Value, String> {
    let fields = map(args, 0);
    let mut url = Url {
        scheme: field(&fields, "scheme")?,
        host: field(&fields, "host")?,
        path: field(&fields, "path")?,
        query: field(&fields, "query")?,
        opaque: field(&fields, "opaque")?,
        fragment: field(&fields, "fragment")?,
        user: None,
    };
    let info = field(&fields, "userinfo")?;
    if !info.is_empty() {
        let probe = [b"proto://", info.as_slice(), b"@host"].concat();
        url.user = parse(&probe).map_err(|e| format!("unable to parse userinfo in dict: {e}"))?.user;
    }
    Ok(Value::string(url.to_bytes()))
}

/// A text of the map, empty if the key is not there.
fn field(fields: &Map, key: &str) -> Result<Vec<u8>, String> {
    match fields.get(key) {
        None => Ok(Vec::new()),
        Some(Value::String(s)) => Ok(s.as_bytes().to_vec()),
        // Go panics here: a nil interface has no type.
        Some(Value::Nil) => Err("runtime error: invalid memory address or nil pointer dereference".to_owned()),
        Some(other) => {
            Err(format!("unable to parse {key} key, must be of type string, but {} found", other.kind_name()))
        }
    }
}

impl Url {
    /// `URL.String`.
    fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        if !self.scheme.is_empty() {
            out.extend_from_slice(&self.scheme);
            out.push(b':');
        }
        if self.opaque.is_empty() {
            self.write_authority(&mut out);
            self.write_path(&mut out);
        } else {
            out.extend_from_slice(&self.opaque);
        }
        if !self.query.is_empty() {
            out.push(b'?');
            out.extend_from_slice(&self.query);
        }
        if !self.fragment.is_empty() {
            out.push(b'#');
            out.extend(escape(&self.fragment, Part::Fragment));
        }
        out
    }

    fn write_authority(&self, out: &mut Vec<u8>) {
        let has_authority = !self.host.is_empty() || self.user.is_some();
        if has_authority || (!self.scheme.is_empty() && !self.path.is_empty()) {
            out.extend_from_slice(b"//");
        }
        if let Some(user) = &self.user {
            out.extend(user.to_bytes());
            out.push(b'@');
        }
        out.extend(escape(&self.host, Part::Host));
    }

    fn write_path(&self, out: &mut Vec<u8>) {
        let path = if self.path == b"*" { self.path.clone() } else { escape(&self.path, Part::Path) };
        if !path.is_empty() && !path.starts_with(b"/") && !self.host.is_empty() {
            out.push(b'/');
        }
        // Else the first segment would read as a scheme (RFC 3986, 4.2).
        if out.is_empty() && cut(&path, b'/').0.contains(&b':') {
            out.extend_from_slice(b"./");
        }
        out.extend(path);
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn urls_are_what_helm_makes_of_them() {
        crate::sprig::testing::check(include_str!("testdata/urls.txt"));
    }
}
