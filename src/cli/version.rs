//! `version`: of this program, of the control planes of a cluster, and of their proxies.

use super::cluster::{self, ConnectArgs, Connected};
use super::input::Outcome;
use super::output::{DataFormat, ListFormat};
use super::proxies;
use crate::cluster::{ClusterError, told};
use crate::install::installed_release;
use crate::object::labels::{DEFAULT, REVISION};
use crate::release::RELEASE;
use clap::Args;
use kube::ResourceExt;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;

/// What `--help` ends with.
const NOTES: &str = "\
Examples:
  istio-operator version
  istio-operator version --short --remote=false   # of this program only
  istio-operator version -o json

Without a cluster, or one that does not answer, the version of this program is printed all the same;
what is not known is told on stderr, and the exit code is 0. With --remote=true that is an error; so
is, with --revision, that the cluster has no control plane of that revision.";

#[derive(Args)]
#[command(after_help = NOTES)]
pub(super) struct VersionArgs {
    /// Print versions only.
    #[arg(short, long)]
    short: bool,
    /// Output format.
    #[arg(short, long, value_enum, default_value_t)]
    output: ListFormat,
    /// Whether to ask the cluster; false never does.
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    remote: Option<bool>,
    /// Show only this revision.
    #[arg(short, long)]
    revision: Option<String>,
    #[command(flatten)]
    connect: ConnectArgs,
    /// Namespace of the control plane (default: all).
    #[arg(
        short = 'i',
        long = "istioNamespace",
        alias = "istio-namespace",
        value_name = "NAME",
        help_heading = "Cluster"
    )]
    istio_namespace: Option<String>,
    /// Upstream takes it for every command, and has no use for it here either.
    #[arg(short, long, hide = true)]
    namespace: Option<String>,
}

#[derive(Serialize)]
struct Versions {
    #[serde(rename = "clientVersion")]
    client: Client,
    #[serde(rename = "meshVersion", skip_serializing_if = "Option::is_none")]
    mesh: Option<Vec<ControlPlane>>,
    #[serde(rename = "dataPlaneVersion", skip_serializing_if = "Option::is_none")]
    proxies: Option<Vec<DataPlane>>,
    /// Why nothing is told of the revision that was asked for.
    #[serde(skip)]
    missing: Option<String>,
}

#[derive(Serialize)]
struct Client {
    version: &'static str,
    /// The release of Istio that is built in.
    istio: &'static str,
}

/// An istiod.
#[derive(Serialize)]
struct ControlPlane {
    revision: String,
    namespace: String,
    name: String,
    /// The release that its labels say.
    #[serde(skip_serializing_if = "Option::is_none")]
    release: Option<String>,
    /// The tag of its image.
    #[serde(skip_serializing_if = "Option::is_none")]
    image: Option<String>,
}

impl ControlPlane {
    /// What runs is what the image says.
    fn version(&self) -> &str {
        self.image.as_deref().or(self.release.as_deref()).unwrap_or("unknown")
    }
}

/// Proxies of one version.
#[derive(Serialize)]
struct DataPlane {
    version: String,
    proxies: usize,
}

/// `version`.
pub(super) fn run(args: &VersionArgs, out: &mut dyn Write) -> Outcome {
    let client = Client { version: env!("CARGO_PKG_VERSION"), istio: RELEASE };
    let mut versions = Versions { client, mesh: None, proxies: None, missing: None };
    if args.remote != Some(false) {
        match cluster::connect_to(&args.connect) {
            Ok(connected) => ask(&connected, args, &mut versions)?,
            Err(error) if args.remote == Some(true) => return Err(error),
            Err(error) => eprintln!("The versions in the cluster are not known: {}", told(error.as_ref())),
        }
    }
    match args.output {
        ListFormat::Json => DataFormat::Json.print(&versions, out)?,
        ListFormat::Yaml => DataFormat::Yaml.print(&versions, out)?,
        ListFormat::Table => print(&versions, args.short, out)?,
    }
    if let Some(missing) = &versions.missing {
        eprintln!("Error: {missing}");
    }
    Ok(u8::from(versions.missing.is_some()))
}

/// Asks a cluster. What it does not tell is told on stderr, or is an error with `--remote=true`.
fn ask(connected: &Connected, args: &VersionArgs, versions: &mut Versions) -> anyhow::Result<()> {
    let doubt = |what: &str, error: &dyn std::fmt::Display| {
        eprintln!("The versions of the {what} are not known: {error}");
    };
    match control_planes(connected, args) {
        Ok(found) => {
            let (of_revision, others): (Vec<_>, Vec<_>) = found
                .into_iter()
                .partition(|one| args.revision.as_ref().is_none_or(|revision| one.revision == *revision));
            versions.missing = args.revision.as_deref().filter(|_| of_revision.is_empty()).map(|revision| {
                let names: BTreeSet<&str> = others.iter().map(|one| one.revision.as_str()).collect();
                let names = names.into_iter().collect::<Vec<_>>().join(", ");
                let there = if names.is_empty() {
                    "there is none at all".to_owned()
                } else {
                    format!("revisions here: {names}")
                };
                format!("there is no control plane of revision {revision:?}; {there}")
            });
            versions.mesh = Some(of_revision);
        }
        Err(error) if args.remote == Some(true) => return Err(error.into()),
        Err(error) => doubt("control plane", &error),
    }
    match connected.wait(proxies::all(&connected.cluster)) {
        Ok(found) => {
            let mut counts: BTreeMap<String, usize> = BTreeMap::new();
            let revision = args.revision.as_deref();
            for (_, proxy) in found.into_iter().filter(|(of, _)| revision.is_none_or(|revision| of == revision)) {
                *counts.entry(proxy.version.unwrap_or_else(|| "unknown".to_owned())).or_default() += 1;
            }
            let counted = counts.into_iter().map(|(version, proxies)| DataPlane { version, proxies });
            versions.proxies = Some(counted.collect());
        }
        Err(error) if args.remote == Some(true) => anyhow::bail!("{error}"),
        Err(error) => doubt("proxies", &error),
    }
    Ok(())
}

fn control_planes(connected: &Connected, args: &VersionArgs) -> Result<Vec<ControlPlane>, ClusterError> {
    let namespace = args.istio_namespace.as_deref();
    let live = connected.wait(connected.cluster.list("apps/v1", "Deployment", namespace, "app=istiod"))?;
    let of = |istiod: &kube::api::DynamicObject| ControlPlane {
        revision: istiod.labels().get(REVISION).cloned().unwrap_or_else(|| DEFAULT.to_owned()),
        namespace: istiod.namespace().unwrap_or_default(),
        name: istiod.name_any(),
        release: installed_release::of_istiod(istiod),
        image: installed_release::tag_of_istiod(istiod),
    };
    let mut all: Vec<ControlPlane> = live.iter().map(of).collect();
    all.sort_by(|a, b| (&a.revision, &a.namespace).cmp(&(&b.revision, &b.namespace)));
    Ok(all)
}

fn print(versions: &Versions, is_short: bool, out: &mut dyn Write) -> anyhow::Result<()> {
    let Versions { client, mesh, proxies, missing } = versions;
    let Client { version, istio } = client;
    if is_short {
        writeln!(out, "client version: {version}")?;
    } else {
        writeln!(out, "client version: {version} (built-in Istio {istio})")?;
    }
    for one in mesh.iter().flatten() {
        let ControlPlane { revision, namespace, name, release, .. } = one;
        let label = release.as_deref().filter(|release| *release != one.version());
        let label = label.map(|release| format!(", labelled {release}")).unwrap_or_default();
        if is_short {
            writeln!(out, "control plane version: {}", one.version())?;
        } else {
            let version = one.version();
            writeln!(out, "control plane version: {version} (revision {revision}, {namespace}/{name}{label})")?;
        }
    }
    if mesh.as_ref().is_some_and(Vec::is_empty) && missing.is_none() {
        writeln!(out, "control plane version: none installed")?;
    }
    let told: Vec<String> = proxies
        .iter()
        .flatten()
        .map(|DataPlane { version, proxies }| {
            format!("{version} ({proxies} {})", if *proxies == 1 { "proxy" } else { "proxies" })
        })
        .collect();
    match proxies {
        None => {}
        Some(_) if told.is_empty() => writeln!(out, "data plane version: none")?,
        Some(_) => writeln!(out, "data plane version: {}", told.join(", "))?,
    }
    Ok(())
}
