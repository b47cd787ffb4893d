//! Where a release package is: a text, read once into a [`Location`].

use super::address::{is_disguised, is_loopback, redact};
use super::digest::{Digest, DigestError};
use super::reference::{Reference, ReferenceError};
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use url::Url;

const PIN: &str = "#sha256=";
/// Longer than any address that servers accept.
const LONGEST: usize = 4096;

/// Where a release package is. `Display` writes all of it, secrets included; [`Location::redacted`] is for people.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Location(Kind);

/// The kinds of locations.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    /// A directory.
    Directory(PathBuf),
    /// An archive on disk, and the digest that it must have.
    Archive(PathBuf, Option<Digest>),
    /// An archive of a web server, and the digest that it must have.
    Web(Url, Option<Digest>),
    /// An artifact or image of a registry.
    Image(Reference),
}

/// A text that is not a location.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("release package {location:?}: {problem}")]
pub struct LocationError {
    /// The text, without what may be secret.
    pub location: String,
    /// What is wrong with it.
    pub problem: LocationProblem,
}

/// What is wrong with a location.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LocationProblem {
    /// There is none.
    #[error("it is empty; name a directory, a .tar.gz file, or an https:// or oci:// address")]
    Empty,
    /// It is not printable, or has no end.
    #[error("it has spaces or control characters, or more than {LONGEST} characters; write spaces as %20")]
    Characters,
    /// Nobody can fetch that.
    #[error("{0}:// is not supported; use a path, https:// or oci://")]
    Scheme(String),
    /// One slash, or none.
    #[error("write {0}:// with two slashes")]
    Slashes(String),
    /// Everybody on the way could change it.
    #[error("http:// is only for loopback addresses such as 127.0.0.1; use https://")]
    PlainHttp,
    /// The address cannot be read.
    #[error("not a valid address: {0}")]
    Url(#[from] url::ParseError),
    /// The path leads up in disguise.
    #[error("its path has an encoded .., a backslash or a control character; write the path it stands for")]
    Disguised,
    /// Something else than a pin after `#`.
    #[error("what follows # must be sha256= and the archive's digest")]
    Fragment,
    /// The pin is not a digest.
    #[error("the pin {0}")]
    Pin(DigestError),
    /// Nothing to pin.
    #[error("a directory has no digest; remove {PIN}...")]
    PinnedDirectory,
    /// Registries have their own pins.
    #[error("pin an oci:// location with @sha256:DIGEST, not with {PIN}")]
    PinnedImage,
    /// No reference of a registry.
    #[error(transparent)]
    Reference(#[from] ReferenceError),
}

impl Location {
    /// A directory, whatever its name looks like.
    #[must_use]
    pub fn directory(path: PathBuf) -> Self {
        Self(Kind::Directory(path))
    }

    /// Whether it is somewhere else than on this machine.
    #[must_use]
    pub fn is_remote(&self) -> bool {
        matches!(self.0, Kind::Web(..) | Kind::Image(_))
    }

    /// The path, where it is a directory.
    #[must_use]
    pub fn as_directory(&self) -> Option<&Path> {
        match &self.0 {
            Kind::Directory(path) => Some(path),
            _ => None,
        }
    }

    pub(super) fn kind(&self) -> &Kind {
        &self.0
    }

    /// For people, logs and statuses: without user, password and query.
    #[must_use]
    pub fn redacted(&self) -> String {
        match &self.0 {
            Kind::Web(url, pin) => format!("{}{}", redact(url), pin_text(*pin)),
            _ => self.to_string(),
        }
    }

    /// The digest that an archive must have, or that the manifest of an image must have.
    #[must_use]
    pub fn pin(&self) -> Option<Digest> {
        match &self.0 {
            Kind::Directory(_) => None,
            Kind::Archive(_, pin) | Kind::Web(_, pin) => *pin,
            Kind::Image(reference) => reference.digest,
        }
    }

    /// What a cache may know it by.
    pub(super) fn key(&self) -> String {
        Digest::of(self.to_string().as_bytes()).hex()
    }
}

/// The same of a text that may not be an address.
fn redact_text(text: &str) -> String {
    let (text, pin) = text.split_once('#').map_or((text, String::new()), |(text, pin)| (text, format!("#{pin}")));
    let (text, query) = text.split_once('?').map_or((text, ""), |(text, _)| (text, "?<redacted>"));
    let (scheme, rest) = text.split_once("://").map_or(("", text), |(scheme, rest)| (scheme, rest));
    let slash = rest.find(['/', '\\']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(slash);
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let shown = if scheme.is_empty() { text.to_owned() } else { format!("{scheme}://{host}{path}") };
    (shown + query + &pin).chars().take(200).collect()
}

fn pin_text(pin: Option<Digest>) -> String {
    pin.map(|pin| format!("{PIN}{}", pin.hex())).unwrap_or_default()
}

/// The scheme of a text that has one.
fn scheme_of(text: &str) -> Option<&str> {
    let (scheme, _) = text.split_once("://")?;
    let is_name = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b"+.-".contains(&b));
    Some(scheme).filter(|_| is_name)
}

fn parse(text: &str) -> Result<Kind, LocationProblem> {
    if text.trim().is_empty() {
        return Err(LocationProblem::Empty);
    }
    if text.len() > LONGEST || text.chars().any(char::is_control) {
        return Err(LocationProblem::Characters);
    }
    let Some(scheme) = scheme_of(text) else {
        return parse_path(text);
    };
    match scheme.to_ascii_lowercase().as_str() {
        _ if text.contains(char::is_whitespace) => Err(LocationProblem::Characters),
        "https" | "http" => parse_url(text),
        "oci" if text.contains('#') => Err(LocationProblem::PinnedImage),
        "oci" => Ok(Kind::Image(text.split_once("://").map_or(text, |(_, rest)| rest).parse()?)),
        other => Err(LocationProblem::Scheme(other.to_owned())),
    }
}

fn parse_pin(hex: &str) -> Result<Digest, LocationProblem> {
    Digest::from_hex(hex).map_err(LocationProblem::Pin)
}

fn parse_path(text: &str) -> Result<Kind, LocationProblem> {
    for scheme in ["https", "http", "oci"] {
        if text.strip_prefix(scheme).is_some_and(|rest| rest.starts_with(':')) {
            return Err(LocationProblem::Slashes(scheme.to_owned()));
        }
    }
    let (path, pin) = match text.rsplit_once(PIN) {
        Some((path, hex)) => (path, Some(parse_pin(hex)?)),
        None => (text, None),
    };
    if is_archive(path) {
        return Ok(Kind::Archive(path.into(), pin));
    }
    if pin.is_some() { Err(LocationProblem::PinnedDirectory) } else { Ok(Kind::Directory(path.into())) }
}

fn is_archive(path: &str) -> bool {
    let name = Path::new(path).file_name().map(|name| name.to_string_lossy().to_ascii_lowercase()).unwrap_or_default();
    [".tar.gz", ".tgz"].iter().any(|end| name.ends_with(end))
}

fn parse_url(text: &str) -> Result<Kind, LocationProblem> {
    let (address, pin) = match text.split_once('#') {
        Some((address, fragment)) => {
            let hex = fragment.strip_prefix("sha256=").ok_or(LocationProblem::Fragment)?;
            (address, Some(parse_pin(hex)?))
        }
        None => (text, None),
    };
    let url = Url::parse(address)?;
    let path = address.split_once("://").map_or("", |(_, rest)| rest.split('?').next().unwrap_or(rest));
    if is_disguised(url.path()) || path.contains('\\') {
        return Err(LocationProblem::Disguised);
    }
    let host = url.host().ok_or(url::ParseError::EmptyHost)?;
    if url.scheme() == "http" && !is_loopback(&host) {
        return Err(LocationProblem::PlainHttp);
    }
    Ok(Kind::Web(url, pin))
}

impl FromStr for Location {
    type Err = LocationError;

    fn from_str(text: &str) -> Result<Self, LocationError> {
        parse(text).map(Self).map_err(|problem| LocationError { location: redact_text(text), problem })
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Directory(path) => write!(f, "{}", path.display()),
            Kind::Archive(path, pin) => write!(f, "{}{}", path.display(), pin_text(*pin)),
            Kind::Web(url, pin) => write!(f, "{url}{}", pin_text(*pin)),
            Kind::Image(reference) => write!(f, "oci://{reference}"),
        }
    }
}

impl fmt::Debug for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.redacted())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEX: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    fn read(text: &str) -> Location {
        text.parse().unwrap_or_else(|error| panic!("{error}"))
    }

    fn problem(text: &str) -> LocationProblem {
        text.parse::<Location>().unwrap_err().problem
    }

    #[test]
    fn a_location_is_written_as_it_was_read() {
        let pinned = format!("a b/c.tar.gz#sha256={HEX}");
        let url = format!("https://user:word@packages.example/a/b.tgz?key=1#sha256={HEX}");
        let image = format!("oci://registry.example:5000/a/b:1.30.3@sha256:{HEX}");
        for text in
            ["/packages/1.30.3", "a", "x.tgz", "#x", &pinned, &url, &image, "oci://r.example/a", "http://[::1]:1/"]
        {
            let location = read(text);
            assert_eq!(location.to_string(), text);
            assert_eq!(read(&location.to_string()), location);
        }
    }

    #[test]
    fn one_address_is_one_location_however_it_is_spelled() {
        for text in ["HTTPS://Packages.Example:443/a/./b/../c.tgz", "https://packages.example/a/%2e/c.tgz"] {
            assert_eq!(read(text).to_string(), "https://packages.example/a/c.tgz");
        }
        assert_eq!(read("oci://Registry.example:443/a").to_string(), "oci://registry.example/a");
    }

    #[test]
    fn what_may_be_secret_is_not_shown() {
        let location = read("https://user:word@packages.example/a.tgz?token=secret");
        assert_eq!(location.redacted(), "https://packages.example/a.tgz?<redacted>");
        assert_eq!(format!("{location:?}"), format!("{:?}", location.redacted()));
        for wrong in
            ["https://user:word@x/a?token=secret#y", "ftp://user:word@x/a?secret", "https://user:word@[x/?secret"]
        {
            let text = format!("{:?}", wrong.parse::<Location>().unwrap_err());
            assert!(!text.contains("word") && !text.contains("secret"), "{text}");
        }
    }

    #[test]
    fn a_text_that_is_no_location_says_what_to_write() {
        use LocationProblem as P;
        assert_eq!(problem(" "), P::Empty);
        assert_eq!(problem("a\0b"), P::Characters);
        assert_eq!(problem("https://x/a b"), P::Characters);
        assert_eq!(problem("ftp://x/a"), P::Scheme("ftp".into()));
        assert_eq!(problem("file:///etc"), P::Scheme("file".into()));
        assert_eq!(problem("https:/x/a"), P::Slashes("https".into()));
        assert_eq!(problem("oci:x/a"), P::Slashes("oci".into()));
        assert_eq!(problem("https://x/a.tgz#main"), P::Fragment);
        assert_eq!(problem("oci://x/a#sha256=00"), P::PinnedImage);
        assert_eq!(problem(&format!("dir#sha256={HEX}")), P::PinnedDirectory);
        assert!(matches!(problem("a.tgz#sha256=00"), P::Pin(_)));
        assert!(matches!(problem("https://"), P::Url(_)));
        assert!(matches!(problem("oci://x"), P::Reference(_)));
        for remote in ["http://packages.example/a", "http://10.0.0.1/a", "http://127.0.0.1.example/", "http://0.0.0.0/"]
        {
            assert_eq!(problem(remote), P::PlainHttp, "{remote}");
        }
        for odd in
            ["https://x/a/..%2fb", "https://x/%252e%252e/b", "https://x/a%5cb", "https://x/a\\b", "https://x/%00"]
        {
            assert_eq!(problem(odd), P::Disguised, "{odd}");
        }
    }
}
