//! Where a release is, by its version: a folder of its name, or else what a template says.

use super::error::SourceError;
use super::location::Location;
use super::policy::{Policy, PrefixError};
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// What the version stands for in a template.
const VERSION: &str = "{version}";

/// Where Istio publishes its releases: the address that its script for downloads (`https://istio.io/downloadIstio`, in the
/// repository `istio/istio` as `release/downloadIstioCandidate.sh`) asks for on Linux. All architectures have the same
/// `manifests/`. There is none without the client; of what is sent only the profiles and charts are kept.
pub const UPSTREAM: &str =
    "https://github.com/istio/istio/releases/download/{version}/istio-{version}-linux-amd64.tar.gz";

/// A location with `{version}` in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template(String);

/// A text that is not a template.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// All versions would be the same.
    #[error("{0:?} has no {VERSION}; write it where the version belongs")]
    Constant(String),
    /// With a version in it, it is not a location.
    #[error(transparent)]
    Location(#[from] super::location::LocationError),
}

impl FromStr for Template {
    type Err = TemplateError;

    fn from_str(text: &str) -> Result<Self, TemplateError> {
        if !text.contains(VERSION) {
            return Err(TemplateError::Constant(text.chars().take(200).collect()));
        }
        text.replace(VERSION, "1.30.3").parse::<Location>()?;
        Ok(Self(text.to_owned()))
    }
}

impl Template {
    /// Allows what it may come to.
    ///
    /// # Errors
    /// The version is in it where no prefix can end: in the name of a host.
    pub fn allow(&self, policy: &mut Policy) -> Result<(), PrefixError> {
        let before = self.0.split(VERSION).next().unwrap_or_default();
        let prefix = match before.strip_suffix(':') {
            Some(repository) => repository,
            None => before.rsplit_once('/').map_or("", |(folder, _)| folder),
        };
        if self.0.contains("://") {
            policy.allowed_prefixes.push(prefix.parse()?);
        } else {
            policy.package_dirs.push(PathBuf::from(prefix));
        }
        Ok(())
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whether a text is the version of a release, such as `1.30.3` or `1.31.0-rc.0`, and no location.
#[must_use]
pub fn is_version(text: &str) -> bool {
    let (numbers, rest) = text.split_at(text.find(['-', '+']).unwrap_or(text.len()));
    let is_number = |part: &str| !part.is_empty() && part.len() < 10 && part.bytes().all(|b| b.is_ascii_digit());
    let is_build = |part: &str| part.bytes().all(|b| b.is_ascii_alphanumeric() || b"-+.".contains(&b));
    let parts: Vec<&str> = numbers.split('.').collect();
    matches!(parts.len(), 2 | 3)
        && parts.into_iter().all(is_number)
        && rest.len() < 100
        && is_build(rest)
        && !rest.contains("..")
}

/// Whether a version says no patch release, such as `1.30`: of most, nobody has a package.
#[must_use]
pub fn is_minor(version: &str) -> bool {
    is_version(version) && !version.contains(['-', '+']) && version.split('.').count() == 2
}

/// Where releases are looked for.
#[derive(Clone, Debug, Default)]
pub struct Releases {
    /// Folders with a folder for each version.
    pub package_dirs: Vec<PathBuf>,
    /// Where those are that none of them has.
    pub template: Option<Template>,
}

impl Releases {
    /// Where a version is. That it is there is found out by fetching it.
    ///
    /// # Errors
    /// The text is not a version, or nobody has it.
    pub fn locate(&self, version: &str) -> Result<Location, SourceError> {
        let shown = || version.chars().take(100).collect();
        if !is_version(version) {
            return Err(SourceError::Version { version: shown() });
        }
        let folders = self.package_dirs.iter().map(|dir| dir.join(version));
        // Where that cannot be found out, whoever reads the folder says why.
        if let Some(folder) = folders.into_iter().find(|folder| folder.try_exists().unwrap_or(true)) {
            return Ok(Location::directory(folder));
        }
        let template = self.template.as_ref().ok_or_else(|| SourceError::Release {
            version: shown(),
            problem: format!("none of the folders for packages has it{}", self.nearest(version)),
        })?;
        Ok(template.0.replace(VERSION, version).parse()?)
    }

    /// What the folders for packages have near a version, as the end of a sentence.
    fn nearest(&self, version: &str) -> String {
        let folders = match self.folders() {
            Ok(folders) => folders,
            Err(error) => return format!("; which they have cannot be told: {error}"),
        };
        let name = |folder: &PathBuf| Some(folder.file_name()?.to_str()?.to_owned());
        let names: Vec<String> = folders.iter().filter_map(name).filter(|name| is_version(name)).collect();
        match near(version, &names) {
            near if near.is_empty() => String::new(),
            near => format!("; they have {}", near.join(", ")),
        }
    }

    /// The folders for packages in which a package may be, in order.
    ///
    /// # Errors
    /// One of the folders for packages cannot be read.
    pub fn folders(&self) -> Result<Vec<PathBuf>, SourceError> {
        let mut found = vec![];
        for dir in &self.package_dirs {
            let read = folders(dir).map_err(|cause| SourceError::File { path: dir.clone(), cause })?;
            found.extend(read);
        }
        Ok(found)
    }
}

/// So many versions are named.
const NAMED: usize = 8;

/// Of versions, those of the same minor release as this one; or else the last of all.
#[must_use]
pub fn near<'v>(version: &str, all: &'v [String]) -> Vec<&'v str> {
    let minor = version.split('.').take(2).collect::<Vec<_>>().join(".");
    let is_of_minor =
        |other: &&str| other.strip_prefix(&minor).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
    let of_minor: Vec<&str> = all.iter().map(String::as_str).filter(is_of_minor).collect();
    let found = if of_minor.is_empty() { all.iter().map(String::as_str).collect() } else { of_minor };
    found.get(found.len().saturating_sub(NAMED)..).unwrap_or_default().to_vec()
}

fn folders(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = vec![];
    for entry in dir.read_dir()? {
        let path = entry?.path();
        // Volumes have hidden folders of their own.
        let is_hidden = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
        if !is_hidden && path.is_dir() {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::Retry;

    #[test]
    fn a_template_allows_what_it_may_come_to_and_no_more() {
        for (template, prefix) in [
            ("https://h.example/a/istio-{version}.tgz", Some("https://h.example:443/a")),
            ("https://h.example/a/{version}/istio-{version}.tgz", Some("https://h.example:443/a")),
            ("oci://h.example:5000/a/istio:{version}", Some("oci://h.example:5000/a/istio")),
            ("https://{version}.example/istio.tgz", None),
        ] {
            let mut policy = Policy::default();
            let allowed = template.parse::<Template>().unwrap().allow(&mut policy).map(|()| policy);
            let found = allowed.ok().map(|policy| policy.allowed_prefixes[0].to_string());
            assert_eq!(found.as_deref(), prefix, "{template}");
        }
        let mut policy = Policy::default();
        "/packages/istio-{version}".parse::<Template>().unwrap().allow(&mut policy).unwrap();
        assert_eq!(policy.package_dirs, [PathBuf::from("/packages")]);
    }

    #[test]
    fn a_version_is_told_from_a_location() {
        for version in ["1.30.3", "1.31.0-rc.0", "1.30", "1.28.0-alpha.abc+build-1"] {
            assert!(is_version(version), "{version}");
        }
        for other in
            ["", "1", "1.30.3.1", "v1.30.3", "./1.30.3", "1.30.3/manifests", "1.30.3.tar.gz", "1..3", "1.2-../x"]
        {
            assert!(!is_version(other), "{other}");
        }
    }

    #[test]
    fn a_version_without_a_patch_release_is_near_to_those_with_one() {
        assert_eq!(["1.30", "1.30.3", "1.31-rc", "30"].map(is_minor), [true, false, false, false]);
        let all = ["1.17.8", "1.30.1", "1.30.3", "1.3.0"].map(str::to_owned);
        assert_eq!(near("1.30", &all), ["1.30.1", "1.30.3"]);
        assert_eq!(near("latest", &all), ["1.17.8", "1.30.1", "1.30.3", "1.3.0"]);
    }

    #[test]
    fn a_template_makes_a_location_of_every_version() {
        let releases = |template: &str| Releases { template: Some(template.parse().unwrap()), ..Releases::default() };
        let found = releases(UPSTREAM).locate("1.30.3").unwrap().to_string();
        assert!(found.ends_with("/download/1.30.3/istio-1.30.3-linux-amd64.tar.gz"), "{found}");
        let found = releases("oci://registry.example/istio:{version}").locate("1.31.0-rc.0").unwrap().to_string();
        assert_eq!(found, "oci://registry.example/istio:1.31.0-rc.0");
        let constant = "https://x.example/a.tgz".parse::<Template>().unwrap_err().to_string();
        assert!(constant.contains("has no {version}"), "{constant}");
        let plain = "http://x.example/{version}".parse::<Template>().unwrap_err().to_string();
        assert!(plain.contains("use https://"), "{plain}");
    }

    #[test]
    fn a_folder_of_a_version_comes_before_the_template() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("1.30.3")).unwrap();
        std::fs::create_dir_all(dir.path().join("..data")).unwrap();
        std::fs::write(dir.path().join("README"), "").unwrap();
        let mut releases = Releases { package_dirs: vec![dir.path().to_owned()], template: None };
        assert_eq!(releases.folders().unwrap(), [dir.path().join("1.30.3")]);
        assert_eq!(releases.locate("1.30.3").unwrap(), Location::directory(dir.path().join("1.30.3")));
        let error = releases.locate("1.29.0").unwrap_err();
        assert!(error.to_string().ends_with("none of the folders for packages has it; they have 1.30.3"), "{error}");
        for (wrong, retry) in [("../x", Retry::OnChange), ("latest", Retry::OnChange), ("1.29.0", Retry::Backoff)] {
            assert_eq!(releases.locate(wrong).unwrap_err().retry(), retry, "{wrong}");
        }
        assert!(releases.locate("../x").unwrap_err().to_string().contains("such as 1.30.3"));
        releases.package_dirs.push(dir.path().join("gone"));
        assert!(releases.folders().unwrap_err().to_string().contains("gone"));
    }
}
