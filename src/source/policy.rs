//! What may be fetched: whoever may write a resource must not be able to make the operator ask any server, or read any folder.
//!
//! Addresses are compared by scheme, host, port and whole segments of their paths, never as texts; paths of the disk once
//! as they are written, so that nothing elsewhere is looked at, and once more with all links followed.

use super::address::{Origin, is_disguised, is_loopback, origin, percent_decode, redact};
use super::location::{Kind, Location};
use super::reference::{Reference, ReferenceError, is_segment, registry};
use std::fmt;
use std::path::{Component, Path, PathBuf};
use std::str::FromStr;
use url::Url;

/// What may be fetched. Without anything in it: nothing.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    /// What addresses may begin with.
    pub allowed_prefixes: Vec<AllowedPrefix>,
    /// Folders at or below which packages may lie.
    pub package_dirs: Vec<PathBuf>,
    /// Whether anything may be fetched, as by a person at a terminal.
    pub is_unrestricted: bool,
}

/// What an address may begin with: `https://HOST[:PORT][/PATH]`, `oci://REGISTRY[/REPOSITORY]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AllowedPrefix(Prefix);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Prefix {
    Web { origin: Origin, segments: Vec<String> },
    Image { registry: String, segments: Vec<String> },
}

/// A text that is not a prefix.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{prefix:?} is not a valid address prefix: {problem}")]
pub struct PrefixError {
    /// The text.
    pub prefix: String,
    /// What is wrong with it.
    pub problem: PrefixProblem,
}

/// What is wrong with a prefix.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum PrefixProblem {
    /// Neither of those that are fetched.
    #[error("write https://HOST/PATH or oci://REGISTRY/REPOSITORY")]
    Scheme,
    /// It cannot be read.
    #[error("{0}")]
    Url(#[from] url::ParseError),
    /// More than host and path.
    #[error("it must have no user, query, fragment, empty segment or encoded ..")]
    Excess,
    /// Everybody on the way could change what is fetched.
    #[error("http:// is only for loopback addresses")]
    PlainHttp,
    /// The registry is not valid.
    #[error(transparent)]
    Registry(#[from] ReferenceError),
    /// The repository is not valid, or has a tag.
    #[error("write the path of a repository, or its beginning, without tag and digest")]
    Repository,
}

/// What was not fetched, since nobody has allowed it. Nothing was asked or read for it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// An address.
    #[error("{address} is not allowed; to allow it, start the operator with --allow-package {hint}")]
    Address {
        /// It, without what may be secret.
        address: String,
        /// What would allow it.
        hint: String,
    },
    /// A path that is not below a folder for packages.
    #[error("{} is not below a folder for packages; to allow it, start the operator with --package-dir and a folder above it", path.display())]
    Path {
        /// It.
        path: PathBuf,
    },
    /// A path that depends on something else.
    #[error("{} must be an absolute path without ..", path.display())]
    Relative {
        /// It.
        path: PathBuf,
    },
    /// A link.
    #[error("{} is a link that leads out of the folders given with --package-dir", path.display())]
    LeadsOut {
        /// It.
        path: PathBuf,
    },
}

/// The segments of an address, decoded; `None` if a server may take them for others.
fn segments(url: &Url) -> Option<Vec<String>> {
    if is_disguised(url.path()) {
        return None;
    }
    let mut segments: Vec<_> = url.path_segments()?.map(percent_decode).collect();
    // What ends in a slash names a folder.
    segments.pop_if(|last| last.is_empty());
    (!segments.iter().any(String::is_empty)).then_some(segments)
}

fn parse(text: &str) -> Result<Prefix, PrefixProblem> {
    if text.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return Err(PrefixProblem::Excess);
    }
    let (scheme, rest) = text.split_once("://").ok_or(PrefixProblem::Scheme)?;
    match scheme.to_ascii_lowercase().as_str() {
        "https" | "http" => {
            let url = Url::parse(text)?;
            let has_excess = !url.username().is_empty()
                || url.password().is_some()
                || url.query().is_some()
                || url.fragment().is_some()
                || text.contains('\\');
            let segments = segments(&url).filter(|_| !has_excess).ok_or(PrefixProblem::Excess)?;
            let is_local = url.host().is_some_and(|host| is_loopback(&host));
            if url.scheme() == "http" && !is_local {
                return Err(PrefixProblem::PlainHttp);
            }
            Ok(Prefix::Web { origin: origin(&url), segments })
        }
        "oci" => {
            let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
            let segments: Vec<String> =
                path.trim_end_matches('/').split('/').filter(|_| !path.is_empty()).map(str::to_owned).collect();
            if !segments.iter().all(|segment| is_segment(segment)) {
                return Err(PrefixProblem::Repository);
            }
            Ok(Prefix::Image { registry: registry(host)?, segments })
        }
        _ => Err(PrefixProblem::Scheme),
    }
}

impl FromStr for AllowedPrefix {
    type Err = PrefixError;

    fn from_str(text: &str) -> Result<Self, PrefixError> {
        parse(text).map(Self).map_err(|problem| PrefixError { prefix: text.chars().take(200).collect(), problem })
    }
}

impl fmt::Display for AllowedPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Prefix::Web { origin: (scheme, host, port), segments } => {
                write!(f, "{scheme}://{host}:{port}/{}", segments.join("/"))
            }
            Prefix::Image { registry, segments } => write!(f, "oci://{registry}/{}", segments.join("/")),
        }
    }
}

impl AllowedPrefix {
    fn covers_url(&self, url: &Url) -> bool {
        let Prefix::Web { origin: allowed, segments: first } = &self.0 else { return false };
        *allowed == origin(url) && segments(url).is_some_and(|all| all.starts_with(first))
    }

    fn covers_image(&self, reference: &Reference) -> bool {
        let Prefix::Image { registry, segments } = &self.0 else { return false };
        let all: Vec<String> = reference.repository.split('/').map(str::to_owned).collect();
        *registry == reference.registry && all.starts_with(segments)
    }
}

impl Policy {
    /// For a person at a terminal.
    #[must_use]
    pub fn unrestricted() -> Self {
        Self { is_unrestricted: true, ..Self::default() }
    }

    /// Whether a location may be fetched, as far as its text says. Asks no server, and looks at nothing but the folders for
    /// packages.
    ///
    /// # Errors
    /// It may not.
    pub fn check(&self, location: &Location) -> Result<(), Refusal> {
        match location.kind() {
            Kind::Directory(path) | Kind::Archive(path, _) => self.check_path(path),
            Kind::Web(url, _) => self.check_url(url),
            Kind::Image(reference) => self.check_image(reference),
        }
    }

    /// Whether an address may be asked.
    pub(super) fn check_url(&self, url: &Url) -> Result<(), Refusal> {
        if self.is_unrestricted || self.allowed_prefixes.iter().any(|prefix| prefix.covers_url(url)) {
            return Ok(());
        }
        let (scheme, host, _) = origin(url);
        let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
        Err(Refusal::Address { address: redact(url), hint: format!("{scheme}://{host}{port}/") })
    }

    fn check_image(&self, reference: &Reference) -> Result<(), Refusal> {
        if self.is_unrestricted || self.allowed_prefixes.iter().any(|prefix| prefix.covers_image(reference)) {
            return Ok(());
        }
        let hint = format!("oci://{}/{}", reference.registry, reference.repository);
        Err(Refusal::Address { address: format!("oci://{reference}"), hint })
    }

    fn check_path(&self, path: &Path) -> Result<(), Refusal> {
        if self.is_unrestricted {
            return Ok(());
        }
        let is_plain = |part| matches!(part, Component::RootDir | Component::Normal(_) | Component::CurDir);
        if !path.is_absolute() || !path.components().all(is_plain) {
            return Err(Refusal::Relative { path: path.to_owned() });
        }
        let below = |dir: &PathBuf| path.starts_with(dir) || dir.canonicalize().is_ok_and(|dir| path.starts_with(dir));
        if self.package_dirs.iter().any(below) {
            return Ok(());
        }
        Err(Refusal::Path { path: path.to_owned() })
    }

    /// Whether a path that [`Policy::check`] allows stays below the folders for packages with all links followed. One that
    /// cannot be followed is left to whoever reads it.
    pub(super) fn check_real_path(&self, path: &Path) -> Result<(), Refusal> {
        if self.is_unrestricted {
            return Ok(());
        }
        let Ok(real) = path.canonicalize() else { return Ok(()) };
        let below = |dir: &PathBuf| dir.canonicalize().is_ok_and(|dir| real.starts_with(dir));
        if self.package_dirs.iter().any(below) { Ok(()) } else { Err(Refusal::LeadsOut { path: path.to_owned() }) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(prefixes: &[&str], dirs: &[&Path]) -> Policy {
        Policy {
            allowed_prefixes: prefixes.iter().map(|prefix| prefix.parse().unwrap()).collect(),
            package_dirs: dirs.iter().map(|dir| (*dir).to_owned()).collect(),
            is_unrestricted: false,
        }
    }

    fn is_allowed(prefix: &str, location: &str) -> bool {
        policy(&[prefix], &[]).check(&location.parse().unwrap()).is_ok()
    }

    #[test]
    fn an_allowed_beginning_covers_whole_segments_of_one_server() {
        const PREFIX: &str = "https://packages.example/istio/";
        for good in [
            "https://packages.example/istio/a.tgz",
            "https://PACKAGES.example:443/istio/a/b.tgz?x=1",
            "https://user:word@packages.example/istio/a.tgz",
            "https://packages.example./istio/a.tgz",
            "https://packages.example/%69stio/a.tgz",
            "https://packages.example/other/../istio/a.tgz",
            "https://packages.example/istio",
        ] {
            assert!(is_allowed(PREFIX, good), "{good}");
        }
        for bad in [
            "https://packages.example/istio-other/a.tgz",
            "https://packages.example/ISTIO/a.tgz",
            "https://packages.example/istio/../secret/a.tgz",
            "https://packages.example//istio/a.tgz",
            "https://packages.example/istio//a.tgz",
            "https://packages.example/istio%2Fa.tgz",
            "https://packages.example/",
            "https://packages.example:8443/istio/a.tgz",
            "https://packages.example.evil.example/istio/a.tgz",
            "https://packages.example@evil.example/istio/a.tgz",
            "https://evil.example/https://packages.example/istio/a.tgz",
            "https://evil.example/istio/a.tgz",
            "oci://packages.example/istio/a",
            "/istio/a.tgz",
        ] {
            assert!(!is_allowed(PREFIX, bad), "{bad}");
        }
    }

    #[test]
    fn an_allowed_registry_covers_whole_segments_of_a_repository() {
        assert!(is_allowed("oci://r.example/istio", "oci://R.example:443/istio/release:1.30.3"));
        assert!(is_allowed("oci://r.example/istio/release/", "oci://r.example/istio/release:1.30.3"));
        assert!(is_allowed("oci://r.example", "oci://r.example/any"));
        for bad in
            ["oci://r.example/istio-x", "oci://r.example/other/istio", "oci://r.example:5000/istio", "oci://r.ex/istio"]
        {
            assert!(!is_allowed("oci://r.example/istio", bad), "{bad}");
        }
        assert!(!is_allowed("https://r.example/", "oci://r.example/istio"));
    }

    #[test]
    fn what_is_no_beginning_of_addresses_is_refused() {
        for wrong in [
            "",
            "packages.example",
            "/packages",
            "ftp://x/",
            "https://",
            "https://u@x/",
            "https://x/?a",
            "https://x/#a",
            "https://x//a",
            "https://x/..%2fa",
            "https://x\\a",
            "http://packages.example/",
            "oci://",
            "oci://x/a:1",
            "oci://x/a@sha256:00",
            "oci://x/../a",
            "oci://x//a",
            "https://x/ a",
        ] {
            assert!(wrong.parse::<AllowedPrefix>().is_err(), "{wrong}");
        }
        let shown = "HTTPS://X.example/a/".parse::<AllowedPrefix>().unwrap().to_string();
        assert_eq!(shown, "https://x.example:443/a");
        assert_eq!(shown.parse::<AllowedPrefix>().unwrap().to_string(), shown);
    }

    #[test]
    fn what_nobody_has_allowed_says_which_flag_allows_it() {
        for (location, flag) in [
            ("https://u:w@x.example:1/a?b", "--allow-package https://x.example:1/"),
            ("oci://x.example/a:1", "--allow-package oci://x.example/a"),
            ("/x/y", "--package-dir"),
            ("/x/y.tgz", "--package-dir"),
        ] {
            let refusal = Policy::default().check(&location.parse().unwrap()).unwrap_err().to_string();
            assert!(refusal.contains(flag) && !refusal.contains("u:w"), "{refusal}");
            assert_eq!(Policy::unrestricted().check(&location.parse().unwrap()), Ok(()));
        }
    }

    #[test]
    fn only_what_lies_below_a_folder_for_packages_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let packages = dir.path().join("packages");
        std::fs::create_dir_all(packages.join("1.30.3")).unwrap();
        std::fs::create_dir_all(dir.path().join("packages-other")).unwrap();
        std::os::unix::fs::symlink(&packages, dir.path().join("link")).unwrap();
        std::os::unix::fs::symlink(dir.path().join("packages-other"), packages.join("out")).unwrap();
        let check = |path: &Path| {
            let policy = policy(&[], &[&packages]);
            let location = path.to_str().unwrap().parse().unwrap();
            policy.check(&location).and_then(|()| policy.check_real_path(path))
        };
        assert_eq!(check(&packages.join("1.30.3")), Ok(()));
        assert_eq!(check(&packages), Ok(()));
        assert_eq!(check(&packages.join("out")), Err(Refusal::LeadsOut { path: packages.join("out") }));
        for other in [dir.path().join("packages-other"), dir.path().join("link/1.30.3"), dir.path().to_owned()] {
            assert_eq!(check(&other), Err(Refusal::Path { path: other }));
        }
        for relative in [packages.join("../packages/1.30.3"), PathBuf::from("packages")] {
            assert_eq!(check(&relative), Err(Refusal::Relative { path: relative }));
        }
    }
}
