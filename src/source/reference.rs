//! References of registries: `registry/repository[:tag][@sha256:…]`.

use super::address::is_loopback;
use super::digest::{Digest, DigestError};
use std::fmt;
use std::str::FromStr;
use url::Url;

/// An artifact or image of a registry.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Reference {
    /// Host, and port if it is not 443.
    pub(super) registry: String,
    /// Path of the repository.
    pub(super) repository: String,
    /// What tells its versions apart.
    pub(super) tag: Option<String>,
    /// What its manifest must have.
    pub(super) digest: Option<Digest>,
}

/// A text that is not a reference.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReferenceError {
    /// There is no registry.
    #[error("write oci://REGISTRY/REPOSITORY[:TAG][@sha256:DIGEST], without user and query")]
    Form,
    /// The registry is not a host.
    #[error("{0:?} is not a valid registry; write a host, and its port if that is not 443")]
    Registry(String),
    /// The repository has characters that none has.
    #[error("{0:?} is not a valid repository; it has lower-case letters, digits, and single . _ - between them")]
    Repository(String),
    /// The tag has characters that none has.
    #[error("{0:?} is not a valid tag; it has at most 128 letters, digits and . _ -, and does not begin with . or -")]
    Tag(String),
    /// The digest is not valid.
    #[error("the digest {0}")]
    Digest(#[from] DigestError),
}

impl Reference {
    /// What a registry is asked for: the digest, or else the tag.
    pub(super) fn wanted(&self) -> String {
        match (&self.digest, &self.tag) {
            (Some(digest), _) => digest.to_string(),
            (None, tag) => tag.clone().unwrap_or_else(|| "latest".to_owned()),
        }
    }

    /// The address of the registry's API. Only on this machine it may be without TLS.
    pub(super) fn api(&self) -> Result<Url, url::ParseError> {
        let host = match self.registry.as_str() {
            "docker.io" | "index.docker.io" => "registry-1.docker.io",
            other => other,
        };
        let url = Url::parse(&format!("https://{host}/v2/{}/", self.repository))?;
        if url.host().is_some_and(|host| is_loopback(&host)) {
            return Url::parse(&format!("http://{host}/v2/{}/", self.repository));
        }
        Ok(url)
    }
}

/// A registry as it is compared: lower case, no default port, nothing but host and port.
pub(super) fn registry(text: &str) -> Result<String, ReferenceError> {
    let wrong = || ReferenceError::Registry(text.to_owned());
    if text.is_empty() || text.contains(['/', '?', '#', '@', '\\', '%']) {
        return Err(wrong());
    }
    let url = Url::parse(&format!("https://{text}/")).map_err(|_| wrong())?;
    let host = url.host_str().ok_or_else(wrong)?;
    Ok(url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}")))
}

/// Whether a text is a part of a repository's path.
pub(super) fn is_segment(segment: &str) -> bool {
    let is_word = |word: &str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    // Between words: one dot, one or two underscores, or any number of dashes.
    let mut separators = segment.split(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit());
    let is_separator = |s: &str| matches!(s, "" | "." | "_" | "__") || (!s.is_empty() && s.bytes().all(|b| b == b'-'));
    let ends_well = |c: Option<char>| c.is_some_and(|c| is_word(&c.to_string()));
    ends_well(segment.chars().next()) && ends_well(segment.chars().next_back()) && separators.all(is_separator)
}

fn is_tag(tag: &str) -> bool {
    let is_part = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
    (1..=128).contains(&tag.len()) && tag.bytes().all(is_part) && !tag.starts_with(['.', '-'])
}

impl FromStr for Reference {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        let (host, rest) = text.split_once('/').ok_or(ReferenceError::Form)?;
        if host.contains('@') || rest.contains('?') {
            return Err(ReferenceError::Form);
        }
        let (rest, digest) = match rest.split_once('@') {
            Some((rest, digest)) => (rest, Some(digest.parse()?)),
            None => (rest, None),
        };
        let (repository, tag) = match rest.split_once(':') {
            Some((repository, tag)) => (repository, Some(tag.to_owned())),
            None => (rest, None),
        };
        if repository.len() > 255 || !repository.split('/').all(is_segment) {
            return Err(ReferenceError::Repository(repository.to_owned()));
        }
        if let Some(tag) = tag.as_ref().filter(|tag| !is_tag(tag)) {
            return Err(ReferenceError::Tag(tag.clone()));
        }
        Ok(Self { registry: registry(host)?, repository: repository.to_owned(), tag, digest })
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.registry, self.repository)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        self.digest.map_or(Ok(()), |digest| write!(f, "@{digest}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_that_no_registry_has_are_refused() {
        use ReferenceError as E;
        let error = |text: &str| text.parse::<Reference>().unwrap_err();
        for form in ["x", "user@x/a", "x/a?b"] {
            assert_eq!(error(form), E::Form, "{form}");
        }
        for host in ["/a", "a b/a", "x:port/a", "x%2fy/a"] {
            assert!(matches!(error(host), E::Registry(_)), "{host}");
        }
        for repository in ["x/", "x/A", "x/a//b", "x/../a", "x/a/..", "x/a..b", "x/-a", "x/a_", "x/a___b", "x/a%2fb"] {
            assert!(matches!(error(repository), E::Repository(_)), "{repository}");
        }
        for tag in ["x/a:", "x/a:.b", "x/a:b/c", "x/a:b:c"] {
            assert!(matches!(error(tag), E::Tag(_)), "{tag}");
        }
        assert!(matches!(error("x/a@sha256:00"), E::Digest(_)));
        for good in ["x/a", "x:1/a/b-c--d/e.f_g__h:1.30.3-alpine_x", "[::1]:5000/a"] {
            assert_eq!(good.parse::<Reference>().unwrap().to_string(), good);
        }
    }

    #[test]
    fn only_a_registry_of_this_machine_is_asked_without_tls() {
        let api = |text: &str| text.parse::<Reference>().unwrap().api().unwrap().to_string();
        assert_eq!(api("127.0.0.1:5000/a/b"), "http://127.0.0.1:5000/v2/a/b/");
        assert_eq!(api("10.0.0.1/a"), "https://10.0.0.1/v2/a/");
        assert_eq!(api("docker.io/istio/a"), "https://registry-1.docker.io/v2/istio/a/");
    }
}
