//! The command: renders any Helm chart and prints what `helm template` prints, byte for byte.
//!
//! In: arguments, the chart, values files. Out: manifests on the output, log lines and `Error: …` on the error output,
//! and the exit code. Nothing but the named files is read; no cluster is asked.

use crate::helm::manifest::{self, Manifests, Printed};
use crate::helm::strvals::Kind;
use crate::helm::{
    Capabilities, Chart, ChartError, KubeVersion, KubeVersionError, ManifestError, ParsedChart, ReleaseOptions,
    RenderError, RenderOptions, Rendered, SetError, ShowOnlyError, merge_values, os_text,
};
use crate::yaml::{self, HelmYamlError};
use clap::Args;
use serde_json::{Map, Value};
use std::fs;
use std::io::{self, Read as _, Write};
use std::path::{Path, PathBuf};

/// The arguments of the command, named as Helm's; to be flattened into a program's own.
#[derive(Debug, Args)]
#[command(args_override_self = true)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub struct TemplateArgs {
    /// Release name (default `release-name`) and chart: a directory or a .tgz file
    #[arg(value_names = ["RELEASE", "CHART"], num_args = 1.., required = true)]
    names: Vec<String>,
    /// Namespace of the release
    #[arg(short, long, default_value = "default")]
    namespace: String,
    /// Values file, `-` for the standard input; may be repeated, the last one wins
    #[arg(short = 'f', long = "values", value_delimiter = ',')]
    values: Vec<String>,
    /// Set values: `key1=val1,key2=val2`
    #[arg(long, allow_hyphen_values = true)]
    set: Vec<String>,
    /// Set values that are always text
    #[arg(long, allow_hyphen_values = true)]
    set_string: Vec<String>,
    /// Set values from files: `key1=path1,key2=path2`
    #[arg(long, allow_hyphen_values = true)]
    set_file: Vec<String>,
    /// Set values as JSON: `key1=jsonval1,key2=jsonval2`
    #[arg(long, allow_hyphen_values = true)]
    set_json: Vec<String>,
    /// Set one value, taken literally
    #[arg(long, allow_hyphen_values = true)]
    set_literal: Vec<String>,
    /// Kubernetes version that the chart sees
    #[arg(long)]
    kube_version: Option<String>,
    /// Further API versions that the chart sees
    #[arg(short, long, value_delimiter = ',')]
    api_versions: Vec<String>,
    /// Print CRDs too
    #[arg(long)]
    include_crds: bool,
    /// Print only manifests of these templates, such as `templates/service.yaml`
    #[arg(short, long)]
    show_only: Vec<String>,
    /// Render as an upgrade
    #[arg(long)]
    is_upgrade: bool,
    /// Leave hooks out
    #[arg(long)]
    no_hooks: bool,
    /// Leave test hooks out
    #[arg(long)]
    skip_tests: bool,
    /// Do not check values against values.schema.json
    #[arg(long)]
    skip_schema_validation: bool,
    /// Write manifests to files below this directory
    #[arg(long)]
    output_dir: Option<PathBuf>,
    /// Put the files into a directory named after the release
    #[arg(long)]
    release_name: bool,
}

/// Why the command fails; the texts are Helm's.
#[derive(Debug, thiserror::Error)]
enum CommandError {
    #[error("expected at most two arguments, unexpected arguments: {0}")]
    Arguments(String),
    #[error("release name {name:?}: {problem}")]
    ReleaseName { name: String, problem: &'static str },
    #[error("invalid kube version '{text}': {cause}")]
    KubeVersion { text: String, cause: KubeVersionError },
    #[error("path {path:?} not found{advice}")]
    NoChart { path: String, advice: &'static str },
    #[error("open {}: {}", path.display(), os_text(cause))]
    Open { path: PathBuf, cause: io::Error },
    #[error("failed to parse {path}: {cause}")]
    Values { path: String, cause: HelmYamlError },
    #[error(transparent)]
    Set(#[from] SetError),
    #[error(transparent)]
    Chart(#[from] ChartError),
    #[error("{0}{hint}", hint = if .0.in_templates() { HINT } else { "" })]
    Render(RenderError),
    #[error("{0}{HINT}")]
    Manifest(#[from] ManifestError),
    #[error(transparent)]
    ShowOnly(#[from] ShowOnlyError),
    #[error("cannot write the manifests: {}", os_text(.0))]
    Write(io::Error),
}

/// What Helm adds to an error of a template.
const HINT: &str = "\n\nUse --debug flag to render out invalid YAML";

/// Runs the command and returns the exit code.
pub fn run(args: &TemplateArgs, out: &mut dyn Write, err: &mut dyn Write) -> u8 {
    match (Template { args, out, err }).run() {
        Ok(()) => 0,
        Err(problem) => {
            // Nobody is left to tell when even this cannot be written.
            let _ = writeln!(err, "Error: {problem}");
            1
        }
    }
}

/// One run of the command.
struct Template<'a> {
    args: &'a TemplateArgs,
    out: &'a mut dyn Write,
    err: &'a mut dyn Write,
}

impl Template<'_> {
    fn run(&mut self) -> Result<(), CommandError> {
        let mut capabilities = Capabilities::default();
        if let Some(raw) = self.args.kube_version.as_ref().filter(|raw| !raw.is_empty()) {
            let wrong = |cause| CommandError::KubeVersion { text: raw.clone(), cause };
            capabilities.kube_version = KubeVersion::parse(raw).map_err(wrong)?;
        }
        capabilities.api_versions.extend(self.args.api_versions.iter().cloned());
        let (name, path) = release_and_chart(&self.args.names)?;
        locate(path)?;
        let values = user_values(self.args)?;
        let chart = self.load(Path::new(path))?;
        check_release_name(name)?;
        let rendered = self.render(chart, name, &values, &capabilities)?;
        self.print(name, &rendered)
    }

    fn load(&mut self, path: &Path) -> Result<Chart, CommandError> {
        // Helm names the absolute path in its messages.
        let path = std::path::absolute(path).map_err(|cause| CommandError::Open { path: path.to_owned(), cause })?;
        let chart = Chart::load(&path)?;
        self.log(&chart.warnings);
        chart.check_installable()?;
        if chart.metadata.deprecated {
            self.log(&["WARNING: This chart is deprecated".to_owned()]);
        }
        chart.check_dependencies()?;
        Ok(chart)
    }

    fn render(
        &mut self,
        chart: Chart,
        name: &str,
        values: &Map<String, Value>,
        capabilities: &Capabilities,
    ) -> Result<Rendered, CommandError> {
        let mut release = ReleaseOptions::install(name, self.args.namespace.as_str());
        release.is_upgrade = self.args.is_upgrade;
        release.is_install = !self.args.is_upgrade;
        let options = RenderOptions { skip_schema: self.args.skip_schema_validation, ..RenderOptions::default() };
        match ParsedChart::new(chart).render(values, &release, capabilities, &options) {
            Ok(rendered) => {
                self.log(&rendered.warnings);
                Ok(rendered)
            }
            Err(failed) => {
                self.log(&failed.warnings);
                Err(CommandError::Render(failed.problem))
            }
        }
    }

    fn print(&mut self, name: &str, rendered: &Rendered) -> Result<(), CommandError> {
        let sorted = rendered.manifests()?;
        self.log(&sorted.warnings);
        let text = match &self.args.output_dir {
            Some(dir) => {
                self.write_files(dir, name, rendered, &sorted)?;
                "\n".to_owned()
            }
            None => {
                Printed { crds: self.crds(rendered), manifests: &sorted.manifests, hooks: self.hooks(&sorted) }.text()
            }
        };
        let shown =
            if self.args.show_only.is_empty() { text } else { manifest::show_only(&text, &self.args.show_only)? };
        self.write(&shown)
    }

    fn crds<'r>(&self, rendered: &'r Rendered) -> Vec<(String, &'r [u8])> {
        let wanted = if self.args.include_crds { rendered.crds.as_slice() } else { &[] };
        wanted.iter().map(|(path, data)| (path.clone(), data.as_ref())).collect()
    }

    fn hooks<'m>(&self, sorted: &'m Manifests) -> Vec<&'m manifest::Hook> {
        let wanted = |hook: &&manifest::Hook| !(self.args.no_hooks || self.args.skip_tests && hook.is_test);
        sorted.hooks.iter().filter(wanted).collect()
    }

    /// Writes every document to the file of its template; further documents of a file are appended.
    fn write_files(
        &mut self,
        dir: &Path,
        name: &str,
        rendered: &Rendered,
        sorted: &Manifests,
    ) -> Result<(), CommandError> {
        let below = if self.args.release_name { dir.join(name) } else { dir.to_owned() };
        let mut written = Vec::new();
        for (path, data) in self.crds(rendered) {
            self.write_file(dir, &path, &String::from_utf8_lossy(data), &mut written, false)?;
        }
        for m in &sorted.manifests {
            self.write_file(&below, &m.path, &m.content, &mut written, false)?;
        }
        for hook in self.hooks(sorted) {
            self.write_file(&below, &hook.manifest.path, &hook.manifest.content, &mut written, true)?;
        }
        Ok(())
    }

    fn write_file(
        &mut self,
        dir: &Path,
        path: &str,
        content: &str,
        written: &mut Vec<String>,
        keep: bool,
    ) -> Result<(), CommandError> {
        let file = dir.join(path);
        let failed = |cause| CommandError::Open { path: file.clone(), cause };
        if let Some(parent) = file.parent() {
            fs::create_dir_all(parent).map_err(failed)?;
        }
        let append = written.iter().any(|p| p == path) || keep && file.exists();
        let mut options = fs::OpenOptions::new();
        options.create(true).write(true).append(append).truncate(!append);
        let mut target = options.open(&file).map_err(failed)?;
        target.write_all(manifest::document(path, content).as_bytes()).map_err(failed)?;
        written.push(path.to_owned());
        self.write(&format!("wrote {}/{path}\n", dir.display()))
    }

    fn write(&mut self, text: &str) -> Result<(), CommandError> {
        self.out.write_all(text.as_bytes()).and_then(|()| self.out.flush()).map_err(CommandError::Write)
    }

    fn log(&mut self, lines: &[String]) {
        for line in lines {
            // A log line that cannot be written must not stop the work.
            let _ = writeln!(self.err, "{line}");
        }
    }
}

fn release_and_chart(names: &[String]) -> Result<(&str, &str), CommandError> {
    match names {
        [chart] => Ok(("release-name", chart)),
        [name, chart] => Ok((name, chart)),
        more => {
            let rest = more.get(2..).unwrap_or_default().join(", ");
            Err(CommandError::Arguments(rest))
        }
    }
}

/// Checks that the chart exists; repositories and registries are not asked.
fn locate(path: &str) -> Result<(), CommandError> {
    let path = path.trim();
    if Path::new(path).exists() {
        return Ok(());
    }
    let advice = if path.starts_with(['/', '.']) { "" } else { "; name a directory or a .tgz file" };
    Err(CommandError::NoChart { path: path.to_owned(), advice })
}

fn check_release_name(name: &str) -> Result<(), CommandError> {
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let label =
        |part: &str| !part.is_empty() && part.chars().all(inner) && !part.starts_with('-') && !part.ends_with('-');
    let problem = if name.is_empty() {
        "no name provided"
    } else if name.len() > 53 || !name.split('.').all(label) {
        r"invalid release name, must match regex ^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$ and the length must not be longer than 53"
    } else {
        return Ok(());
    };
    Err(CommandError::ReleaseName { name: name.to_owned(), problem })
}

/// The values of all files and `--set` options, in Helm's order, which is not that of the command line.
fn user_values(args: &TemplateArgs) -> Result<Map<String, Value>, CommandError> {
    let mut values = Map::new();
    for path in &args.values {
        let text = read_text(path).map_err(|cause| CommandError::Open { path: path.into(), cause })?;
        let wrong = |cause| CommandError::Values { path: path.clone(), cause };
        let more = yaml::parse_helm_map(&text).map_err(wrong)?;
        merge_values(&mut values, more);
    }
    let kinds: [(Kind<'_>, &[String]); 5] = [
        (Kind::Json, &args.set_json),
        (Kind::Typed, &args.set),
        (Kind::Text, &args.set_string),
        (Kind::File(&read_text), &args.set_file),
        (Kind::Literal, &args.set_literal),
    ];
    for (kind, arguments) in kinds {
        for argument in arguments {
            kind.apply(argument, &mut values)?;
        }
    }
    Ok(values)
}

fn read_text(path: &str) -> io::Result<String> {
    let mut bytes = Vec::new();
    if path.trim() == "-" {
        io::stdin().read_to_end(&mut bytes)?;
    } else {
        bytes = fs::read(path)?;
    }
    Ok(String::from_utf8(bytes).unwrap_or_else(|e| String::from_utf8_lossy(e.as_bytes()).into_owned()))
}
