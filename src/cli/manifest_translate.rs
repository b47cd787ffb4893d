//! `manifest translate`: a spec as Helm values, chart by chart.

use super::input::{Outcome, warn};
use super::manifest::SpecArgs;
use crate::diff::{self, FieldChange};
use crate::release::{Package, RELEASE};
use crate::render::{self, ClusterInfo};
use crate::translation::{HelmRelease, translate};
use anyhow::Context;
use clap::Args;
use helm_template::yaml;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::Write;
use std::path::Path;

/// What `--help` ends with.
const EXAMPLES: &str = "\
Examples:
  istio-operator manifest translate -f spec.yaml           # values, with the commands as comments
  istio-operator manifest translate -f spec.yaml -o helm   # files: README.md, install.sh, values
  istio-operator manifest translate --set profile=demo -d 1.30.3

Helm knows no `k8s` settings and no overlays: each field that they set is told.";

/// How the names of files with values end.
const VALUES: &str = "-values.yaml";

#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct TranslateArgs {
    #[command(flatten)]
    spec: SpecArgs,
    /// Directory to write to: the values of each release, install.sh that installs them, README.md.
    #[arg(short, long, value_name = "DIR")]
    output: Option<String>,
}

pub(super) fn run(args: &TranslateArgs, out: &mut dyn Write) -> Outcome {
    let (request, package, strictness) = args.spec.request()?;
    let cluster_info = ClusterInfo::default();
    // For all problems of the spec at once, and its warnings.
    let manifests = render::build(&request, &cluster_info, &package, strictness)?;
    warn(&[&manifests.warnings]);
    let resolved = render::resolve(&request, &package, strictness)?;
    let releases = translate(&resolved, &package, &cluster_info)?;
    match &args.output {
        Some(directory) => write_files(Path::new(directory), &package, &releases)?,
        None => print(&package, &releases, out)?,
    }
    Ok(0)
}

fn values(release: &HelmRelease) -> anyhow::Result<String> {
    yaml::to_string(&release.values)
        .with_context(|| format!("the values of {} cannot be written as YAML", release.name))
}

/// The file of a release's values; a release is unique in its namespace only.
fn file_of(release: &HelmRelease, all: &[HelmRelease]) -> String {
    let is_alone = all.iter().filter(|other| other.name == release.name).count() == 1;
    let namespace = if is_alone { String::new() } else { format!("{}-", release.namespace) };
    format!("{namespace}{}{VALUES}", release.name)
}

/// Where the charts are: for a shell.
fn charts(package: &Package) -> String {
    match package.directory() {
        Some(directory) => {
            let directory = directory.canonicalize().unwrap_or_else(|_| directory.to_owned());
            format!("CHARTS={}", quoted(&directory.join("charts").to_string_lossy()))
        }
        None => format!("CHARTS=istio-{RELEASE}/charts  # written by: istio-operator package istio-{RELEASE}"),
    }
}

/// A text as one word of a shell.
fn quoted(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-+@%:".contains(c);
    if !text.is_empty() && text.chars().all(is_plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

fn command(release: &HelmRelease, file: &str) -> String {
    let skip = if release.skips_crds { " --skip-crds" } else { "" };
    format!(
        "helm upgrade --install {} \"$CHARTS/{}\" --namespace {} --create-namespace --take-ownership{skip} --values {}",
        quoted(&release.name),
        release.chart,
        quoted(&release.namespace),
        quoted(file)
    )
}

/// What Helm does otherwise, a line for each field; a single one for the labels in which charts write a release's name.
fn untold(release: &HelmRelease) -> Vec<String> {
    let is_name = |field: &FieldChange| {
        field.path.contains(".labels.") && field.before.as_ref().is_some_and(|before| *before == *release.name)
    };
    let fields =
        || release.differences.iter().flat_map(|change| change.fields.iter().map(move |field| (change, field)));
    let mut lines = vec![];
    for change in &release.differences {
        match change.change {
            diff::Change::Create => lines.push(format!("{}: Helm does not create it", change.key)),
            diff::Change::Delete => lines.push(format!("{}: Helm creates it, the operator does not", change.key)),
            diff::Change::Change => {}
        }
    }
    lines.extend(
        fields().filter(|(_, field)| !is_name(field)).map(|(change, field)| told(&change.key.to_string(), field)),
    );
    let named: Vec<_> = fields().filter(|(_, field)| is_name(field)).collect();
    if !named.is_empty() {
        let labels: BTreeSet<&str> =
            named.iter().filter_map(|(_, field)| field.path.split(".labels.").nth(1)).collect();
        let labels = labels.into_iter().collect::<Vec<_>>().join(" and ").replace("\\.", ".");
        let restarts = named.iter().any(|(_, field)| diff::is_below(&field.path, ".spec.template"));
        let pods = if restarts { "; pods are replaced once" } else { "" };
        lines.push(format!("labels that name the release ({labels}): {} with Helm, istio here{pods}", release.name));
    }
    lines
}

fn told(object: &str, field: &FieldChange) -> String {
    let text = |value: &Option<serde_json::Value>| match value {
        None => "nothing".to_owned(),
        Some(value) => crate::install::cut(&value.to_string(), 60),
    };
    format!("{object}: {}: {} with Helm, {} here", field.path, text(&field.before), text(&field.after))
}

fn print(package: &Package, releases: &[HelmRelease], out: &mut dyn Write) -> anyhow::Result<()> {
    writeln!(
        out,
        "# Helm values of release {}; Helm 3.17 or newer installs the charts in this order:",
        package.release()
    )?;
    writeln!(out, "# {}", charts(package))?;
    for release in releases {
        writeln!(out, "# {}", command(release, &file_of(release, releases)))?;
    }
    for release in releases {
        writeln!(
            out,
            "---\n# {}: component {}, chart {}",
            file_of(release, releases),
            release.component,
            release.chart
        )?;
        for line in untold(release) {
            writeln!(out, "# not with Helm: {line}")?;
        }
        write!(out, "{}", values(release)?)?;
    }
    Ok(())
}

fn write_files(directory: &Path, package: &Package, releases: &[HelmRelease]) -> anyhow::Result<()> {
    std::fs::create_dir_all(directory).with_context(|| format!("create {}", directory.display()))?;
    let write = |name: &str, text: &str| {
        let path = directory.join(name);
        std::fs::write(&path, text).with_context(|| format!("write {}", path.display()))
    };
    for release in releases {
        write(&file_of(release, releases), &values(release)?)?;
    }
    write("install.sh", &script(package, releases))?;
    write("README.md", &readme(package, releases))?;
    let written: BTreeSet<String> = releases.iter().map(|release| file_of(release, releases)).collect();
    let there = std::fs::read_dir(directory).with_context(|| format!("read {}", directory.display()))?;
    let names = there.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    for name in names.filter(|name| name.ends_with(VALUES) && !written.contains(name)) {
        let path = directory.join(name);
        eprintln!("Warning: {} is not of this spec; delete it if an earlier run wrote it", path.display());
    }
    Ok(())
}

fn script(package: &Package, releases: &[HelmRelease]) -> String {
    let mut text = format!(
        "#!/bin/sh\n# Installs Istio {} with Helm 3.17 or newer; objects that are there already become Helm's.\nset -eu\n\
         cd \"$(dirname \"$0\")\"\n[ -n \"${{CHARTS:-}}\" ] || {}\n",
        package.release(),
        charts(package)
    );
    for release in releases {
        let _ = writeln!(text, "{} --wait", command(release, &file_of(release, releases)));
    }
    text
}

fn readme(package: &Package, releases: &[HelmRelease]) -> String {
    let mut text = format!(
        "# Istio {} with Helm\n\nMade by `istio-operator manifest translate`. `sh install.sh` installs, and makes what is there \
         already Helm's.\nBefore that, have the operator leave the resource alone, or it moves everything back:\n\
         `kubectl annotate istiooperator NAME -n NAMESPACE {}=true`.\n\n| release | namespace | chart | values |\n|---|---|---|---|\n",
        package.release(),
        crate::api::IGNORE_RECONCILE
    );
    for release in releases {
        let (name, namespace, chart) = (&release.name, &release.namespace, release.chart);
        let _ = writeln!(text, "| {name} | {namespace} | {chart} | {} |", file_of(release, releases));
    }
    if releases.iter().any(|release| release.has_crd_folder) {
        text.push_str("\nHelm installs the CRDs in a chart's folder `crds/` and never upgrades them: apply that folder yourself.\n");
    }
    text.push_str("\n## What Helm does otherwise\n");
    for release in releases {
        let lines = untold(release);
        let _ = writeln!(text, "\n{}:{}", release.name, if lines.is_empty() { " nothing" } else { "" });
        for line in lines {
            let _ = writeln!(text, "- {line}");
        }
    }
    text
}
