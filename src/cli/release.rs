//! `release`: fetch release packages, list those at hand.

use super::duration;
use super::input::Outcome;
use crate::release::RELEASE;
use crate::source::cache::CachedPackage;
use crate::source::releases::{Releases, Template, UPSTREAM, is_version};
use crate::source::{
    Cache, Credentials, Fetched, Location, Origin, Policy, Progress, Refresh, Settings, Source, Timeouts,
};
use crate::source::{SourceError, index, progress::Silent};
use anyhow::Context;
use clap::{Args, Subcommand, ValueEnum};
use helm_template::{json, yaml};
use jiff::Timestamp;
use serde_json::{Value, json};
use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How often a terminal is drawn on.
const FRAME: Duration = Duration::from_millis(100);
const BAR: usize = 30;
/// How many bytes a line is worth.
const LINE: u64 = 5_000_000;

#[derive(Subcommand)]
pub(super) enum ReleaseCommand {
    /// Fetch a release package, check it, and keep it in the cache.
    Fetch(FetchArgs),
    /// List the release packages at hand: the built-in one, those in --package-dir, those in the cache.
    List(ListArgs),
}

#[derive(Args)]
pub(super) struct PlaceArgs {
    /// Directory of the cache (default: istio-operator in $XDG_CACHE_HOME, or in ~/.cache).
    #[arg(long, value_name = "DIR")]
    cache_dir: Option<PathBuf>,
    /// Directory with a release package per version, such as DIR/1.30.3. May be repeated.
    #[arg(long, value_name = "DIR")]
    package_dir: Vec<PathBuf>,
}

#[derive(Args)]
pub(super) struct ListArgs {
    #[command(flatten)]
    places: PlaceArgs,
    /// Output format.
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
}

#[derive(Args)]
pub(super) struct FetchArgs {
    /// A version such as 1.30.3; or a directory, a .tar.gz file, an https:// address, or
    /// oci://REGISTRY/REPOSITORY[:TAG][@sha256:DIGEST]. `#sha256=DIGEST` after a file or an https:// address pins the
    /// archive.
    #[arg(value_name = "VERSION|LOCATION")]
    release: String,
    #[command(flatten)]
    places: PlaceArgs,
    /// Where a version that no --package-dir has is fetched from: a location with {version} in it.
    #[arg(long, value_name = "TEMPLATE", default_value = UPSTREAM)]
    source: Template,
    /// Ask the server whether it has something newer, even if the package is in the cache.
    #[arg(long)]
    refresh: bool,
    /// How long all of it may take, retries included.
    #[arg(long, value_name = "DURATION", default_value = "10m", value_parser = duration::parse)]
    timeout: Duration,
    /// File with CA certificates in PEM to trust in addition to those of the system.
    #[arg(long, value_name = "FILE")]
    ca_bundle: Option<PathBuf>,
    /// File with pull credentials for registries, such as ~/.docker/config.json.
    #[arg(long, value_name = "FILE")]
    registry_config: Option<PathBuf>,
    /// Do not show progress.
    #[arg(short, long)]
    quiet: bool,
}

#[derive(Clone, Copy, Default, ValueEnum)]
pub(super) enum Format {
    #[default]
    Table,
    Json,
    Yaml,
}

impl PlaceArgs {
    fn cache_dir(&self) -> anyhow::Result<PathBuf> {
        let variable = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let default = || {
            let cache = variable("XDG_CACHE_HOME").or_else(|| variable("HOME").map(|home| home.join(".cache")));
            cache.map(|cache| cache.join("istio-operator"))
        };
        let directory = self.cache_dir.clone().or_else(default);
        directory.context("neither XDG_CACHE_HOME nor HOME is set; name a directory with --cache-dir")
    }
}

pub(super) fn run(command: &ReleaseCommand, out: &mut dyn Write) -> Outcome {
    match command {
        ReleaseCommand::Fetch(args) => fetch(args, out),
        ReleaseCommand::List(args) => list(args, out),
    }
}

fn fetch(args: &FetchArgs, out: &mut dyn Write) -> Outcome {
    let version = Some(args.release.as_str()).filter(|text| is_version(text));
    let location = match version {
        Some(version) => {
            let package_dirs = args.places.package_dir.clone();
            Releases { package_dirs, template: Some(args.source.clone()) }.locate(version)?
        }
        None => args.release.parse()?,
    };
    let credentials = match &args.registry_config {
        Some(path) => {
            let document = std::fs::read(path).with_context(|| format!("read {}", path.display()))?;
            Credentials::from_docker_config(&document)?
        }
        None => Credentials::default(),
    };
    let settings = Settings {
        cache_dir: args.places.cache_dir()?,
        policy: Policy::unrestricted(),
        ca_bundle: args.ca_bundle.clone(),
        timeouts: Timeouts { total: args.timeout, ..Timeouts::default() },
        ..Settings::default()
    };
    let refresh = if args.refresh { Refresh::Always } else { Refresh::IfAbsent };
    let progress: Arc<dyn Progress> = match (args.quiet, std::io::stderr().is_terminal()) {
        (true, _) => Arc::new(Silent),
        (false, true) => Arc::new(Bar::default()),
        (false, false) => Arc::new(Lines::default()),
    };
    let fetched = Source::new(settings).fetch_blocking(&location, refresh, &credentials, &progress);
    drop(progress);
    let fetched = fetched?;
    if let Some(error) = &fetched.stale {
        eprintln!("Warning: {error}; using what was fetched before");
    }
    if let Some(version) = version {
        fetched.check_release(&location, version)?;
    }
    show(&location, &fetched, out)?;
    Ok(0)
}

fn show(location: &Location, fetched: &Fetched, out: &mut dyn Write) -> std::io::Result<()> {
    let version = fetched.version.as_deref().unwrap_or("unknown");
    let digest = fetched.digest.map_or_else(|| "none (a directory)".to_owned(), |digest| digest.to_string());
    let from = match fetched.origin {
        Origin::Directory => "the directory itself",
        Origin::Cache => "the cache",
        Origin::Fetched => "the location",
    };
    for (name, value) in [
        ("version", version),
        ("location", &location.redacted()),
        ("digest", &digest),
        ("from", from),
        ("folder", &fetched.directory.display().to_string()),
        ("files", &fetched.files.to_string()),
        ("bytes", &fetched.bytes.to_string()),
    ] {
        writeln!(out, "{:<10}{value}", format!("{name}:"))?;
    }
    Ok(())
}

fn list(args: &ListArgs, out: &mut dyn Write) -> Outcome {
    let mut rows = vec![json!({"version": RELEASE, "from": "built-in", "locations": []})];
    rows.extend(in_folders(&args.places.package_dir)?);
    rows.extend(in_cache(&Cache::new(args.places.cache_dir()?))?);
    match args.output {
        Format::Json => writeln!(out, "{}", json::to_string_pretty(&Value::Array(rows)))?,
        Format::Yaml => {
            write!(out, "{}", yaml::to_string(&Value::Array(rows)).context("the list cannot be written as YAML")?)?;
        }
        Format::Table => table(&rows, out)?,
    }
    Ok(0)
}

/// A row for each package in the folders for packages. One that cannot be used is a warning: the others can.
fn in_folders(dirs: &[PathBuf]) -> anyhow::Result<Vec<Value>> {
    let source = Source::new(Settings { policy: Policy::unrestricted(), ..Settings::default() });
    let (credentials, progress) = (Credentials::default(), Arc::new(Silent) as Arc<dyn Progress>);
    let mut rows = vec![];
    for folder in (Releases { package_dirs: dirs.to_owned(), template: None }).folders()? {
        let location = Location::directory(folder.clone());
        match source.fetch_blocking(&location, Refresh::IfAbsent, &credentials, &progress) {
            Ok(package) => rows.push(json!({
                "version": package.version,
                "from": "directory",
                "locations": [folder],
                "files": package.files,
                "bytes": package.bytes,
                "directory": package.directory,
            })),
            Err(error) => eprintln!("Warning: {error}"),
        }
    }
    Ok(rows)
}

/// A row for each package in the cache.
fn in_cache(cache: &Cache) -> anyhow::Result<Vec<Value>> {
    let known = index::all_known(cache)?;
    let locations = |package: &CachedPackage| {
        let of_package = known.iter().filter(|known| known.digest == package.record.digest);
        let mut all: Vec<_> = of_package.map(|known| known.location.clone()).collect();
        if all.is_empty() {
            all.push(package.record.location.clone());
        }
        all.sort();
        all.dedup();
        all
    };
    let used = |package: &CachedPackage| {
        let time = package.used.and_then(|time| Timestamp::try_from(time).ok());
        time.and_then(|time| time.round(jiff::Unit::Second).ok()).map(|time| time.to_string())
    };
    let row = |package: CachedPackage| {
        json!({
            "version": package.record.version,
            "from": "cache",
            "locations": locations(&package),
            "digest": package.record.digest,
            "files": package.record.files.len(),
            "bytes": package.record.bytes(),
            "lastUsed": used(&package),
            "directory": package.directory,
        })
    };
    Ok(cache.list()?.into_iter().map(row).collect())
}

/// The columns of the table, and what they show of a row.
const COLUMNS: [(&str, &str); 6] = [
    ("VERSION", "version"),
    ("FROM", "from"),
    ("LAST USED", "lastUsed"),
    ("BYTES", "bytes"),
    ("LOCATION", "locations"),
    ("DIGEST", "digest"),
];

fn table(rows: &[Value], out: &mut dyn Write) -> std::io::Result<()> {
    let text = |row: &Value, name: &str| match row.get(name) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(all)) if !all.is_empty() => {
            all.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(", ")
        }
        Some(Value::Number(number)) => number.to_string(),
        Some(Value::Null) => "unknown".to_owned(),
        _ => "-".to_owned(),
    };
    let mut lines = vec![COLUMNS.map(|(title, _)| title.to_owned())];
    lines.extend(rows.iter().map(|row| COLUMNS.map(|(_, name)| text(row, name))));
    let mut widths = [0; COLUMNS.len()];
    for line in &lines {
        for (width, cell) in widths.iter_mut().zip(line) {
            *width = cell.chars().count().max(*width);
        }
    }
    for line in lines {
        let cells = line.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}"));
        writeln!(out, "{}", cells.collect::<Vec<_>>().join("   ").trim_end())?;
    }
    Ok(())
}

/// Progress as lines: the beginning, each tenth of what is long, what is tried again.
#[derive(Default)]
struct Lines {
    /// One more than the last step told of.
    told: AtomicU64,
}

impl Progress for Lines {
    fn bytes(&self, come: u64, total: Option<u64>) {
        let step = come / total.map_or(LINE, |total| LINE.max(total / 10));
        if come == 0 {
            self.told.store(0, Ordering::Relaxed);
        }
        if self.told.fetch_max(step + 1, Ordering::Relaxed) <= step {
            eprintln!("fetching: {}", amount(come, total));
        }
    }

    fn retry(&self, error: &SourceError, after: Duration) {
        eprintln!("Warning: {error}; trying again in {after:?}");
    }
}

/// Progress as a bar on a terminal, which goes in the end.
#[derive(Default)]
struct Bar {
    drawn: Mutex<Option<Instant>>,
}

impl Progress for Bar {
    fn bytes(&self, come: u64, total: Option<u64>) {
        let mut drawn = self.drawn.lock().unwrap_or_else(PoisonError::into_inner);
        if drawn.is_some_and(|at| at.elapsed() < FRAME) {
            return;
        }
        *drawn = Some(Instant::now());
        let part =
            total.filter(|total| *total > 0).map_or(0, |total| come.min(total).saturating_mul(BAR as u64) / total);
        let full = usize::try_from(part).unwrap_or(BAR).min(BAR);
        eprint!("\r\x1b[K[{}{}] {}", "#".repeat(full), " ".repeat(BAR - full), amount(come, total));
    }

    fn retry(&self, error: &SourceError, after: Duration) {
        eprintln!("\r\x1b[KWarning: {error}; trying again in {after:?}");
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        if self.drawn.get_mut().is_ok_and(|drawn| drawn.is_some()) {
            eprint!("\r\x1b[K");
        }
    }
}

fn amount(come: u64, total: Option<u64>) -> String {
    let mega = |bytes: u64| format!("{}.{}", bytes / 1_000_000, bytes % 1_000_000 / 100_000);
    total.map_or_else(|| format!("{} MB", mega(come)), |total| format!("{} of {} MB", mega(come), mega(total)))
}
