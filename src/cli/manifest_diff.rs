//! `manifest diff`: files, specs or releases against each other, or a spec against a cluster.

mod files;
mod found;
mod live;
mod selected;

use super::cluster::ConnectArgs;
use super::input::{Outcome, warn, wrong_use};
use super::manifest::SpecArgs;
use super::output::DataFormat;
use super::package::PackageArgs;
use crate::diff::{self, Selection, Summary};
use crate::object::Object;
use crate::object::manifests::Manifests;
use crate::render::{self, ClusterInfo};
use clap::{Args, ValueEnum};
use found::Found;
use serde::Serialize;
use std::io::Write;

/// What `--help` ends with.
const EXAMPLES: &str = "\
Examples:
  istio-operator manifest diff before.yaml after.yaml           # files or directories of manifests
  istio-operator manifest diff -f a.yaml --to-filename b.yaml   # two specs
  istio-operator manifest diff -f a.yaml -d 1.23.6 --to-release 1.30.3 -o table
  istio-operator manifest diff -f a.yaml --cluster              # what an installation would do

Exit code: 0 if nothing differs, 1 if something does or on an error, 2 on invalid flags.
Patterns are KIND:NAMESPACE:NAME; an empty part or * is anything. Secret data is never printed.";

/// The forms of differences.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    #[default]
    Text,
    Table,
    Yaml,
    Json,
}

/// What else a spec is made from, as with `manifest generate`.
#[derive(Args)]
struct MoreArgs {
    /// Revision of the control plane.
    #[arg(long, hide_short_help = true)]
    revision: Option<String>,
    /// Continue despite validation errors that do not prevent rendering.
    #[arg(long, hide_short_help = true)]
    force: bool,
    /// Behave exactly as the release's own command line.
    #[arg(long, hide_short_help = true)]
    upstream_behavior: bool,
    /// Treat warnings about duplicate keys in files as errors.
    #[arg(long, hide_short_help = true)]
    strict: bool,
}

#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct DiffArgs {
    /// Two files or directories with manifests; `-` is stdin.
    #[arg(value_name = "FILE|DIR", num_args = 2, conflicts_with_all = ["filename", "set", "revision", "manifests", "cluster",
        "to_filename", "to_set", "to_release"])]
    paths: Vec<String>,
    /// File with an IstioOperator resource; `-` is stdin. May be repeated: later files are merged onto earlier ones.
    #[arg(short, long, value_name = "FILE", value_delimiter = ',')]
    filename: Vec<String>,
    /// Set a field of the spec, as with `manifest generate`; of both specs, where there are two.
    #[arg(short, long, value_name = "PATH=VALUE")]
    set: Vec<String>,
    /// File with the other spec (default: that of --filename). May be repeated.
    #[arg(long, value_name = "FILE", value_delimiter = ',')]
    to_filename: Vec<String>,
    /// Set a field of the other spec only.
    #[arg(long, value_name = "PATH=VALUE")]
    to_set: Vec<String>,
    /// Release package of the other spec (default: that of --manifests).
    #[arg(long, value_name = "LOCATION|VERSION", visible_alias = "to-manifests")]
    to_release: Option<String>,
    /// Compare with the cluster, by dry runs of its API server.
    #[arg(long, conflicts_with_all = ["to_filename", "to_set", "to_release", "rename"])]
    cluster: bool,
    /// Compare only these objects: patterns separated by commas (default: all).
    #[arg(long, value_name = "PATTERNS", default_value = "::", hide_default_value = true, hide_short_help = true)]
    select: String,
    /// Leave out these objects, or with KIND:NAMESPACE:NAME:PATH these fields.
    #[arg(long, value_name = "PATTERNS", default_value = "", hide_default_value = true, hide_short_help = true)]
    ignore: String,
    /// Compare objects of the first side under another name: OLD->NEW, separated by commas.
    #[arg(long, value_name = "OLD->NEW", default_value = "", hide_default_value = true, hide_short_help = true)]
    rename: String,
    /// Output format; text is a unified diff.
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
    /// Show whole objects instead of three lines around each difference.
    #[arg(short, long, hide_short_help = true)]
    verbose: bool,
    /// Accepted and needless: directories are seen as such.
    #[arg(short = 'r', long, hide = true)]
    directory: bool,
    #[command(flatten)]
    more: MoreArgs,
    #[command(flatten)]
    package: PackageArgs,
    #[command(flatten)]
    connect: ConnectArgs,
}

#[derive(Serialize)]
struct Report<'a> {
    equal: bool,
    summary: Summary,
    #[serde(flatten)]
    found: &'a Found,
}

pub(super) fn run(args: &DiffArgs, out: &mut dyn Write) -> Outcome {
    let selection = match Selection::parse(&args.select, &args.ignore, &args.rename) {
        Ok(selection) => selection,
        Err(error) => return Ok(wrong_use(&error.to_string())),
    };
    let sources = [&args.paths, &args.filename, &args.to_filename];
    if sources.into_iter().flatten().filter(|name| name.trim() == "-").count() > 1 {
        return Ok(wrong_use("only one of the two can be stdin"));
    }
    let is_other = !args.to_filename.is_empty() || !args.to_set.is_empty() || args.to_release.is_some();
    let found = if let [before, after] = &args.paths[..] {
        let (before, after) = (files::read(before)?, files::read(after)?);
        selected::check(&selection, before.iter().map(Object::key), after.iter().map(Object::key))?;
        Found { objects: diff::compare(&before, &after, &selection), ..Found::default() }
    } else if args.cluster {
        let spec = args.spec();
        if spec.filename.is_empty() {
            return Ok(wrong_use("--cluster needs the file of a resource (-f)"));
        }
        live::compare(&spec, &args.connect, &selection)?
    } else if is_other {
        let (spec, other) = (args.spec(), args.other_spec());
        let files = spec.files()?;
        let others = if args.to_filename.is_empty() { files.clone() } else { other.files()? };
        let (before, after) = (manifests(&spec, &files)?, manifests(&other, &others)?);
        warn(&[&before.warnings, &after.warnings]);
        selected::check(&selection, before.objects().map(Object::key), after.objects().map(Object::key))?;
        Found { objects: diff::compare(before.objects(), after.objects(), &selection), ..Found::default() }
    } else {
        return Ok(wrong_use(
            "name two files, or what to compare a spec with: --to-filename, --to-set, --to-release or --cluster",
        ));
    };
    print(args, &found, out)
}

fn manifests(spec: &SpecArgs, files: &[(String, String)]) -> anyhow::Result<Manifests> {
    let (request, package, strictness) = spec.request_of(files)?;
    Ok(render::build(&request, &ClusterInfo::default(), &package, strictness)?)
}

impl DiffArgs {
    fn spec(&self) -> SpecArgs {
        SpecArgs {
            filename: self.filename.clone(),
            set: self.set.clone(),
            revision: self.more.revision.clone(),
            force: self.more.force,
            upstream_behavior: self.more.upstream_behavior,
            strict: self.more.strict,
            package: self.package.clone(),
        }
    }

    /// As the first, but for what is said of the other.
    fn other_spec(&self) -> SpecArgs {
        let mut spec = self.spec();
        if !self.to_filename.is_empty() {
            spec.filename.clone_from(&self.to_filename);
        }
        spec.set.extend(self.to_set.iter().cloned());
        if let Some(release) = &self.to_release {
            spec.package = spec.package.instead(release);
        }
        spec
    }
}

fn print(args: &DiffArgs, found: &Found, out: &mut dyn Write) -> Outcome {
    const CONTEXT: usize = 3;
    let equal = found.objects.is_empty() && found.conflicts.is_empty() && found.unknown.is_empty();
    match args.output {
        Format::Json | Format::Yaml => {
            let report = Report { equal, summary: Summary::of(&found.objects), found };
            let form = if args.output == Format::Json { DataFormat::Json } else { DataFormat::Yaml };
            form.print(&report, out)?;
        }
        Format::Text | Format::Table => {
            match args.output {
                _ if found.objects.is_empty() && equal => writeln!(out, "Manifests are identical")?,
                Format::Table => write!(out, "{}", diff::table(&found.objects))?,
                _ => write!(out, "{}", diff::unified(&found.objects, if args.verbose { usize::MAX } else { CONTEXT }))?,
            }
            for note in &found.notes {
                eprintln!("{}: {}", note.object, note.message);
            }
            for note in &found.conflicts {
                eprintln!("Warning: {}: {}", note.object, note.message);
            }
            for note in &found.unknown {
                eprintln!("Warning: {}: unknown whether it differs: {}", note.object, note.message);
            }
        }
    }
    Ok(u8::from(!equal))
}
