//! `profile`: list, dump, diff.

use super::input::Outcome;
use super::manifest::SpecArgs;
use super::package::PackageArgs;
use crate::render;
use crate::spec::path;
use crate::spec::request::Override;
use anyhow::{Context, bail};
use clap::{Subcommand, ValueEnum};
use helm_template::json;
use helm_template::yaml;
use serde_json::Value;
use similar::TextDiff;
use std::io::Write;

/// What `--help` ends with.
const EXAMPLES: &str = "\
Examples:
  istio-operator profile list -d 1.30.3                             # of another release
  istio-operator profile dump demo --config-path components.pilot
  istio-operator profile dump -f spec.yaml -o flags                 # a spec, on its profile
  istio-operator profile diff default spec.yaml

Exit code of diff: 0 if nothing differs, 1 if something does or on an error, 2 on wrong use.";

#[derive(Clone, Copy, Default, ValueEnum)]
pub(super) enum Format {
    #[default]
    Yaml,
    Json,
    Flags,
}

#[derive(Subcommand)]
pub(super) enum ProfileCommand {
    /// List the profiles.
    #[command(after_help = EXAMPLES)]
    List {
        #[command(flatten)]
        package: PackageArgs,
    },
    /// Print a profile merged onto the default profile.
    #[command(after_help = EXAMPLES)]
    Dump {
        /// Name of the profile (default: `default`).
        profile: Option<String>,
        #[command(flatten)]
        spec: SpecArgs,
        /// Print only the part of the spec at this path, such as components.pilot.
        #[arg(short = 'p', long, value_name = "PATH")]
        config_path: Option<String>,
        /// Output format; flags are `path=value` lines for --set.
        #[arg(short, long, value_enum, default_value_t)]
        output: Format,
    },
    /// Compare two profiles; the exit code is 1 if they differ.
    #[command(after_help = EXAMPLES)]
    Diff {
        /// Name of a profile, or a file.
        a: String,
        /// Name of the profile to compare it with, or a file.
        b: String,
        #[command(flatten)]
        package: PackageArgs,
        /// Treat warnings about duplicate keys in files as errors.
        #[arg(long)]
        strict: bool,
    },
}

pub(super) fn run(command: &ProfileCommand, out: &mut dyn Write) -> Outcome {
    match command {
        ProfileCommand::List { package } => {
            let package = package.open(None)?;
            writeln!(out, "Istio configuration profiles:")?;
            for name in package.profiles().names() {
                writeln!(out, "    {name}")?;
            }
            Ok(0)
        }
        ProfileCommand::Dump { profile, spec, config_path, output } => {
            let document = resolve(profile.as_deref(), spec)?;
            let part = match config_path {
                Some(p) => {
                    let parsed = path::Path::parse(p.strip_prefix("spec.").unwrap_or(p))?;
                    let spec = document.get("spec").unwrap_or(&Value::Null);
                    path::get(spec, &parsed).with_context(|| format!("there is nothing at path {p}"))?.clone()
                }
                None => document,
            };
            write!(out, "{}", format(&part, *output)?)?;
            Ok(0)
        }
        ProfileCommand::Diff { a, b, package, strict } => {
            let spec = SpecArgs { package: package.clone(), strict: *strict, ..SpecArgs::default() };
            let text = |name: &str| -> anyhow::Result<String> { format(&resolve(Some(name), &spec)?, Format::Yaml) };
            let (left, right) = (text(a)?, text(b)?);
            if left == right {
                writeln!(out, "Profiles are identical")?;
                return Ok(0);
            }
            let diff = TextDiff::from_lines(&left, &right);
            writeln!(out, "The difference between profiles:")?;
            write!(out, "{}", diff.unified_diff().header(a, b))?;
            Ok(1)
        }
    }
}

fn resolve(profile: Option<&str>, spec: &SpecArgs) -> anyhow::Result<Value> {
    if profile.is_some() && spec.filename.iter().any(|f| !f.is_empty()) {
        bail!("give a profile or a file (-f), not both");
    }
    let (mut request, package, strictness) = spec.request()?;
    if let Some(profile) = profile {
        request.set(Override::text(&["profile"], "profile", profile));
    }
    let resolved = render::resolve(&request, &package, strictness)?;
    for warning in resolved.warnings() {
        eprintln!("Warning: {warning}");
    }
    let mut document = resolved.into_document();
    if let Some(map) = document.as_object_mut() {
        map.remove("status");
        if let Some(spec) = map.get_mut("spec").and_then(Value::as_object_mut) {
            spec.remove("installPackagePath");
        }
    }
    Ok(document)
}

fn format(value: &Value, format: Format) -> anyhow::Result<String> {
    Ok(match format {
        Format::Yaml => yaml::to_string(value).context("the result cannot be written as YAML")?,
        Format::Json => format!("{}\n", json::to_string_pretty(value)),
        Format::Flags => {
            let mut lines = vec![];
            flags(value, "", &mut lines);
            lines.sort();
            lines.into_iter().map(|l| l + "\n").collect()
        }
    })
}

/// One line per scalar, strings quoted; empty maps and lists have none.
fn flags(value: &Value, at: &str, lines: &mut Vec<String>) {
    match value {
        Value::Object(map) => {
            for (key, inner) in map {
                let key = key.replace('.', "\\.");
                flags(inner, &if at.is_empty() { key } else { format!("{at}.{key}") }, lines);
            }
        }
        Value::Array(items) => {
            for (i, inner) in items.iter().enumerate() {
                flags(inner, &format!("{at}[{i}]"), lines);
            }
        }
        scalar => lines.push(format!("{at}={scalar}")),
    }
}
