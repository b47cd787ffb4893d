//! The flags of `run` for release packages: where they come from, and what resources may name.

use super::package::PlaceArgs;
use crate::api::annotations::without_v;
use crate::controller::packages::PackageConfig;
use crate::source::releases::{Releases, Template, is_version};
use crate::source::{AllowedPrefix, Policy, Settings};
use clap::Args;
use std::path::PathBuf;

#[derive(Args)]
#[command(next_help_heading = "Release packages")]
pub(super) struct RunPackageArgs {
    #[command(flatten)]
    places: PlaceArgs,
    /// Where to fetch a version that no --package-dir has: a location with {version} in it, such as
    /// https://HOST/istio-{version}.tar.gz or oci://REGISTRY/istio:{version}; without it nothing is fetched by version.
    #[arg(long, env = "RELEASE_SOURCE", value_name = "TEMPLATE")]
    release_source: Option<Template>,
    /// Release of resources that name none and have nothing installed (default: the built-in one).
    #[arg(long, env = "DEFAULT_RELEASE", value_name = "VERSION", value_parser = release, hide_short_help = true)]
    default_release: Option<String>,
    /// Addresses that spec.installPackagePath may begin with, such as https://HOST/PATH or oci://REGISTRY/REPOSITORY. May be
    /// repeated. Redirects must lead to such addresses too.
    #[arg(long, env = "ALLOW_PACKAGE", value_name = "PREFIX", value_delimiter = ',')]
    allow_package: Vec<AllowedPrefix>,
    /// File with CA certificates in PEM to trust when packages are fetched, in addition to those of the system.
    #[arg(long, value_name = "FILE", hide_short_help = true)]
    ca_bundle: Option<PathBuf>,
    /// How many fetched packages the cache keeps: those in use, and of the others those that were used last.
    #[arg(long, env = "CACHED_PACKAGES", value_name = "NUMBER", default_value_t = MOST_CACHED, hide_short_help = true)]
    cached_packages: usize,
    /// Secret of type kubernetes.io/dockerconfigjson with pull credentials for registries.
    #[arg(long, env = "PACKAGE_PULL_SECRET", value_name = "NAMESPACE/NAME", value_parser = secret, hide_short_help = true)]
    package_pull_secret: Option<(String, String)>,
}

/// More than anybody has in use: the packages of so many releases take a few dozen MiB.
const MOST_CACHED: usize = 16;

fn release(text: &str) -> Result<String, String> {
    let version = without_v(text);
    if is_version(version) { Ok(version.to_owned()) } else { Err("write a version such as 1.30.3".to_owned()) }
}

fn secret(text: &str) -> Result<(String, String), String> {
    match text.split_once('/') {
        Some((namespace, name)) if !namespace.is_empty() && !name.is_empty() && !name.contains('/') => {
            Ok((namespace.to_owned(), name.to_owned()))
        }
        _ => Err("write NAMESPACE/NAME".to_owned()),
    }
}

impl RunPackageArgs {
    /// Where packages come from, and which resources may have.
    pub(super) fn config(&self) -> anyhow::Result<PackageConfig> {
        let mut policy = Policy {
            allowed_prefixes: self.allow_package.clone(),
            package_dirs: self.places.package_dir.clone(),
            is_unrestricted: false,
        };
        if let Some(template) = &self.release_source {
            template.allow(&mut policy)?;
        }
        // Only a fetch needs it, and says what is wrong with it.
        let cache_dir = self.places.cache_dir().unwrap_or_else(|_| std::env::temp_dir().join("istio-operator"));
        Ok(PackageConfig {
            source: Settings {
                cache_dir,
                policy,
                ca_bundle: self.ca_bundle.clone(),
                most_cached: Some(self.cached_packages),
                ..Settings::default()
            },
            releases: Releases { package_dirs: self.places.package_dir.clone(), template: self.release_source.clone() },
            default_release: self.default_release.clone(),
            pull_secret: self.package_pull_secret.clone(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_release_may_have_a_v() {
        assert_eq!([release("v1.30.3"), release("1.30.3")], [Ok("1.30.3".to_owned()), Ok("1.30.3".to_owned())]);
        assert!(release("newest").is_err() && release("vv1.30.3").is_err());
    }
}
