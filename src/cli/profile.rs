//! `profile`: list, dump, diff.

use super::input::{Outcome, WrongUse, wrong_use};
use super::manifest::SpecArgs;
use super::output::ListFormat;
use super::package::PackageArgs;
use crate::api::text::push_key;
use crate::release::Package;
use crate::render;
use crate::spec::path::{self, Path};
use crate::spec::request::{self, Override};
use crate::spec::resolve::profile::ProfileError;
use crate::spec::switches::Switches;
use anyhow::Context;
use clap::{Subcommand, ValueEnum};
use helm_template::json;
use helm_template::yaml;
use serde_json::{Value, json};
use similar::TextDiff;
use std::io::Write;
use std::path::Path as FilePath;

/// What stands for stdin among files.
const STDIN: &str = "-";
/// What every profile is merged over.
const DEFAULT: &str = "default.yaml";

/// What `--help` ends with.
const EXAMPLES: &str = "\
Examples:
  istio-operator profile list -d 1.30.3                             # of another release
  istio-operator profile dump demo --config-path components.pilot
  istio-operator profile dump -f spec.yaml -o flags                 # a spec, on its profile
  istio-operator profile diff default spec.yaml

Exit code of diff: 0 if nothing differs, 1 if something does or on an error, 2 on invalid flags.";

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
        /// Output format.
        #[arg(short, long, value_enum, default_value_t)]
        output: ListFormat,
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
        /// Output format; flags are `path=value` lines, each of which --set takes.
        #[arg(short, long, value_enum, default_value_t)]
        output: Format,
    },
    /// Compare two profiles; the exit code is 1 if they differ.
    #[command(after_help = EXAMPLES)]
    Diff {
        /// Name of a profile, or a file with a spec, which is taken on its profile; `-` is stdin.
        a: String,
        /// Name of the profile to compare it with, or a file with a spec.
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
        ProfileCommand::List { output, package } => list(*output, &package.open(None)?, out),
        ProfileCommand::Dump { profile, spec, config_path, output } => {
            let (document, switches) = resolve(profile.as_deref(), spec)?;
            let spec = document.get("spec").unwrap_or(&Value::Null);
            let at = config_path.as_ref().map(|p| Path::parse(p.strip_prefix("spec.").unwrap_or(p))).transpose()?;
            let found = |at: &Path| {
                path::get(spec, at)
                    .with_context(|| format!("there is nothing at path {}", config_path.as_deref().unwrap_or_default()))
            };
            let part = at.as_ref().map(found).transpose()?;
            match output {
                Format::Flags => {
                    let at = at.as_ref().map(ToString::to_string).unwrap_or_default();
                    print_flags(part.unwrap_or(spec), &at, &switches, out)?;
                }
                Format::Yaml => write!(out, "{}", yaml_of(part.unwrap_or(&document))?)?,
                Format::Json => writeln!(out, "{}", json::to_string_pretty(part.unwrap_or(&document)))?,
            }
            Ok(0)
        }
        ProfileCommand::Diff { a, b, package, strict } => {
            if a == STDIN && b == STDIN {
                return Ok(wrong_use("only one of the two can be stdin"));
            }
            let spec = SpecArgs { package: package.clone(), strict: *strict, ..SpecArgs::default() };
            let (left, right) = (side(a, &spec)?, side(b, &spec)?);
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

fn list(output: ListFormat, package: &Package, out: &mut dyn Write) -> Outcome {
    let names: Vec<Value> = package.profiles().names().map(|name| json!({ "name": name })).collect();
    let table = |names: &Vec<Value>| {
        let lines = names.iter().filter_map(|one| Some(vec![format!("    {}", one.get("name")?.as_str()?)]));
        [vec!["Istio configuration profiles:".to_owned()]].into_iter().chain(lines).collect()
    };
    output.print(&names, table, out)?;
    Ok(0)
}

/// One side of a comparison: a profile, the file of one, which has its `default.yaml` beside it as in a package, or a spec on its
/// profile.
fn side(name: &str, spec: &SpecArgs) -> anyhow::Result<String> {
    let path = FilePath::new(name);
    let is_file = name == STDIN || name.contains(['/', '.']);
    let is_profile = !is_file || path.with_file_name(DEFAULT).exists();
    let resolved = if is_profile {
        resolve(Some(name), spec)
    } else {
        resolve(None, &SpecArgs { filename: vec![name.to_owned()], ..spec.clone() })
    };
    let mut document = resolved?.0;
    // What a spec is called is nothing of a profile.
    document.as_object_mut().map(|map| map.remove("metadata"));
    yaml_of(&document)
}

fn resolve(profile: Option<&str>, spec: &SpecArgs) -> anyhow::Result<(Value, Switches)> {
    if profile.is_some() && spec.filename.iter().any(|f| !f.is_empty()) {
        return Err(WrongUse("give a profile or a file (-f), not both".to_owned()).into());
    }
    let (mut request, package, strictness) = spec.request()?;
    if let Some(profile) = profile {
        if let Err(error @ ProfileError::Unknown { .. }) = package.profiles().load(profile) {
            return Err(WrongUse(error.to_string()).into());
        }
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
    Ok((document, *package.switches()))
}

fn yaml_of(value: &Value) -> anyhow::Result<String> {
    yaml::to_string(value).context("the result cannot be written as YAML")
}

/// Prints a line for each single value, such that `--set` takes all of them to the same; what no line can say is told.
fn print_flags(value: &Value, at: &str, switches: &Switches, out: &mut dyn Write) -> anyhow::Result<()> {
    let mut all = vec![];
    flags(value, at, &mut all);
    let is_line = |(path, value): &(String, &Value)| {
        let text = match value {
            // The release's own command line keeps the quotes.
            Value::String(text) if !switches.is_upstream => format!("\"{text}\""),
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let line = format!("{path}={text}");
        (!line.contains('\n')).then_some(line)
    };
    let lines: Vec<String> = all.iter().filter_map(is_line).collect();
    let set = request::from_files_for(&[], &lines, switches);
    let spec = set.as_ref().map_or(&Value::Null, |request| &request.spec);
    let is_said = |(path, value): &(String, &Value)| {
        let found = Path::parse(path).ok().and_then(|path| path::get(spec, &path).cloned());
        found.as_ref() == Some(*value)
    };
    for (flag, line) in all.iter().map(|flag| (flag, is_line(flag))) {
        match line {
            Some(line) if is_said(flag) => writeln!(out, "{line}")?,
            _ => eprintln!("Warning: {}: no --set can say this value; write it in a file", flag.0),
        }
    }
    Ok(())
}

/// Each single value with its path; empty maps and lists have none.
fn flags<'v>(value: &'v Value, at: &str, found: &mut Vec<(String, &'v Value)>) {
    match value {
        Value::Object(map) => {
            for (key, inner) in map {
                let mut path = at.to_owned();
                push_key(&mut path, key);
                flags(inner, &path, found);
            }
        }
        Value::Array(items) => {
            for (i, inner) in items.iter().enumerate() {
                flags(inner, &format!("{at}[{i}]"), found);
            }
        }
        scalar => found.push((at.to_owned(), scalar)),
    }
}
