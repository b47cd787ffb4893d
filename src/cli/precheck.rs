//! `experimental precheck`: whether Istio can be installed, or upgraded, in a cluster.
//!
//! Nothing is changed. What may not be looked at is said to be unknown, which is neither good nor an error.

mod definitions;
mod finding;
mod permissions;
mod pods;
mod version;
mod webhooks;

use super::cluster::{self, ConnectArgs, Connected};
use super::input::Outcome;
use super::output::ReportFormat;
use super::package::PackageArgs;
use crate::cluster::ClusterError;
use crate::object::manifests::revision_label;
use crate::release::Package;
use crate::spec::request::NamedPackage;
use clap::Args;
use finding::{Check, Finding, Level};
use serde::Serialize;
use std::io::Write;

/// What `--help` ends with.
const EXAMPLES: &str = "\
Examples:
  istio-operator x precheck                  # the installed release, or else the built-in one
  istio-operator x precheck -d 1.30.3        # before an upgrade to this release
  istio-operator x precheck -r canary -o json

Exit code: 0 also with warnings, 1 if a check fails or on an error, 2 on invalid flags.";

/// So many findings of a check are told to a person.
const TOLD: usize = 20;

#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct PrecheckArgs {
    /// The revision that is to be installed or upgraded; default for the unnamed one.
    #[arg(short, long, value_parser = super::tag::tag_name)]
    revision: Option<String>,
    /// Output format.
    #[arg(short, long, value_enum, default_value_t)]
    output: ReportFormat,
    #[command(flatten)]
    package: PackageArgs,
    #[command(flatten)]
    cluster: ConnectArgs,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    revision: String,
    release: String,
    errors: usize,
    warnings: usize,
    unknown: usize,
    checks: Vec<Check>,
}

pub(super) fn run(args: &PrecheckArgs, out: &mut dyn Write) -> Outcome {
    let connected = cluster::connect_to(&args.cluster)?;
    let revision = revision_label(args.revision.as_deref().unwrap_or_default()).to_owned();
    let installed = connected.installed(&revision);
    let named = match (&args.package.manifests, &installed) {
        (None, Ok(Some((_, release)))) => Some(NamedPackage::Release(release.clone())),
        _ => None,
    };
    let package = args.package.open(named)?;
    let unnamed = || {
        let object = format!("The control plane of revision {revision}");
        Ok(connected.has_control_plane(&revision)?.then_some(version::Installed { object, release: None }))
    };
    let installed = installed.and_then(|found| match found {
        Some((object, release)) => Ok(Some(version::Installed { object, release: Some(release) })),
        None => unnamed(),
    });
    let report = report(&connected, &package, revision, &installed)?;
    args.output.print(&report, text, out)?;
    Ok(u8::from(report.errors > 0))
}

fn report(
    connected: &Connected,
    package: &Package,
    revision: String,
    installed: &Result<Option<version::Installed>, ClusterError>,
) -> anyhow::Result<Report> {
    let cluster = &connected.cluster;
    let wanted = definitions::wanted(package)?;
    let (permissions, definitions, webhooks, pods, gateways) = connected.wait(async {
        tokio::join!(
            permissions::check(cluster, package),
            definitions::check(cluster, package, &wanted),
            webhooks::check(cluster),
            pods::check(cluster),
            definitions::gateways(cluster),
        )
    });
    let checks = vec![
        version::kubernetes(connected.minor(), package),
        version::control_plane(installed, package, &revision),
        permissions?,
        definitions,
        webhooks,
        pods,
        gateways,
    ];
    let count = |level: Level| checks.iter().flat_map(|check| &check.findings).filter(|f| f.level == level).count();
    let (errors, warnings, unknown) = (count(Level::Error), count(Level::Warning), count(Level::Unknown));
    Ok(Report { revision, release: package.release(), errors, warnings, unknown, checks })
}

fn text(report: &Report) -> String {
    let mut text = String::new();
    let mut add = |line: String| {
        text.push_str(&line);
        text.push('\n');
    };
    for check in &report.checks {
        if check.findings.is_empty() {
            add(format!("✔ {}: {}", check.name, check.well));
        }
        for Finding { level, object, message } in check.findings.iter().take(TOLD) {
            let (mark, object) = (mark(*level), if object.is_empty() { String::new() } else { format!("{object}: ") });
            add(format!("{mark} {}: {object}{message}", check.name));
        }
        let more = check.findings.len().saturating_sub(TOLD);
        if more > 0 {
            add(format!("  {}: and {more} more; see -o json", check.name));
        }
    }
    add(String::new());
    match (report.errors, report.warnings, report.unknown) {
        (0, 0, 0) => {
            add("✔ No issues found when checking the cluster. Istio is safe to install or upgrade!".to_owned());
        }
        (errors, warnings, unknown) => {
            add(format!("Istio {}: {errors} errors, {warnings} warnings, {unknown} unknown", report.release));
        }
    }
    text
}

fn mark(level: Level) -> &'static str {
    match level {
        Level::Note => "  Note:",
        Level::Unknown => "? Unknown:",
        Level::Warning => "! Warning:",
        Level::Error => "✘ Error:",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(levels: &[Level]) -> Report {
        let findings = levels.iter().map(|level| Finding::new(*level, "Pod a/b", "is so")).collect();
        let check = Check::new("Pods", "all is well", findings);
        let count = |level: Level| levels.iter().filter(|other| **other == level).count();
        Report {
            revision: "default".into(),
            release: "1.17.8".into(),
            errors: count(Level::Error),
            warnings: count(Level::Warning),
            unknown: count(Level::Unknown),
            checks: vec![check],
        }
    }

    #[test]
    fn what_is_well_is_said_and_what_is_not_is_counted() {
        let well = text(&report(&[]));
        assert!(well.starts_with("✔ Pods: all is well\n\n✔ No issues found"), "{well}");
        let wrong = text(&report(&[Level::Error, Level::Unknown]));
        let expected = "✘ Error: Pods: Pod a/b: is so\n? Unknown: Pods: Pod a/b: is so\n\n\
                        Istio 1.17.8: 1 errors, 0 warnings, 1 unknown\n";
        assert_eq!(wrong, expected);
        let many = text(&report(&[Level::Warning; 23]));
        assert!(many.contains("Pods: and 3 more; see -o json\n"), "{many}");
    }
}
