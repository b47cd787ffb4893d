//! `release`: fetch release packages, list those at hand.

use super::input::Outcome;
use super::output::ListFormat;
use super::package::{FetchArgs, Meant, PlaceArgs};
use super::table::line;
use crate::release::RELEASE;
use crate::source::cache::CachedPackage;
use crate::source::progress::Silent;
use crate::source::releases::{Releases, is_version};
use crate::source::{
    Cache, Credentials, Fetched, Location, Origin, Policy, Progress, Refresh, Settings, Source, index,
};
use clap::{Args, Subcommand};
use jiff::Timestamp;
use serde_json::{Value, json};
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;

/// What `--help` ends with.
const EXAMPLES: &str = "\
Examples:
  istio-operator release fetch 1.30.3
  istio-operator release fetch oci://registry.example.com/istio:1.30.3 --refresh
  istio-operator release list -o json

What was fetched is then taken with -d 1.30.3, without a network.";

#[derive(Subcommand)]
pub(super) enum ReleaseCommand {
    /// Fetch a release package, check it, and keep it in the cache.
    #[command(after_help = EXAMPLES)]
    Fetch(ReleaseArgs),
    /// List the release packages at hand: the built-in one, those in --package-dir, those in the cache.
    #[command(after_help = EXAMPLES)]
    List(ListArgs),
}

#[derive(Args)]
pub(super) struct ListArgs {
    #[command(flatten)]
    places: PlaceArgs,
    /// Output format.
    #[arg(short, long, value_enum, default_value_t)]
    output: ListFormat,
}

#[derive(Args)]
pub(super) struct ReleaseArgs {
    /// A version such as 1.30.3; or a directory, a .tar.gz file, an https:// address, or
    /// oci://REGISTRY/REPOSITORY[:TAG][@sha256:DIGEST]. `#sha256=DIGEST` after a file or an https:// address pins the
    /// archive.
    #[arg(value_name = "VERSION|LOCATION")]
    release: String,
    #[command(flatten)]
    fetch: FetchArgs,
    /// Ask the server whether it has something newer, even if the package is in the cache.
    #[arg(long)]
    refresh: bool,
}

pub(super) fn run(command: &ReleaseCommand, out: &mut dyn Write) -> Outcome {
    match command {
        ReleaseCommand::Fetch(args) => fetch(args, out),
        ReleaseCommand::List(args) => list(args, out),
    }
}

fn fetch(args: &ReleaseArgs, out: &mut dyn Write) -> Outcome {
    let (location, version) = match args.fetch.meant(&args.release)? {
        Meant::Version(version) => (args.fetch.locate(&version)?, Some(version)),
        Meant::Location(location) => (location, None),
    };
    let refresh = if args.refresh { Refresh::Always } else { Refresh::IfAbsent };
    let fetched = args.fetch.fetch(&location, version.as_deref(), refresh)?;
    args.fetch.note_version(&location, &fetched)?;
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
        ("taken by", &taken_by(location, fetched)),
    ] {
        writeln!(out, "{:<10}{value}", format!("{name}:"))?;
    }
    Ok(())
}

/// The flag by which commands take a package.
fn taken_by(location: &Location, fetched: &Fetched) -> String {
    let version = fetched
        .version
        .as_ref()
        .filter(|version| fetched.digest.is_some() && is_version(version) && *version != RELEASE);
    format!("-d {}", version.map_or_else(|| location.redacted(), Clone::clone))
}

fn list(args: &ListArgs, out: &mut dyn Write) -> Outcome {
    let mut rows = vec![json!({"version": RELEASE, "from": "built-in", "locations": []})];
    rows.extend(in_folders(&args.places.package_dir)?);
    let folder = args.places.cache_dir()?;
    let cached = in_cache(&Cache::new(folder.clone()));
    let is_known = cached.is_ok();
    match cached {
        Ok(cached) => rows.extend(cached),
        Err(error) => eprintln!(
            "Error: release package cache {}: {error}; it is not known what it has (see --cache-dir)",
            folder.display()
        ),
    }
    args.output.print(&rows, |rows| table(rows), out)?;
    Ok(u8::from(!is_known))
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

/// A row for each package in the cache. One that cannot be used is a warning: the others can.
fn in_cache(cache: &Cache) -> std::io::Result<Vec<Value>> {
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
    let listing = cache.list()?;
    for (path, why) in &listing.unusable {
        eprintln!(
            "Warning: release package {}: {why}; it is not used, and is replaced when it is fetched again",
            path.display()
        );
    }
    Ok(listing.packages.into_iter().map(row).collect())
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

fn table(rows: &[Value]) -> Vec<Vec<String>> {
    let text = |row: &Value, name: &str| match row.get(name) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(all)) => all.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(", "),
        Some(Value::Number(number)) => number.to_string(),
        Some(Value::Null) => "unknown".to_owned(),
        _ => String::new(),
    };
    let titles = line(COLUMNS.map(|(title, _)| title));
    let lines = rows.iter().map(|row| COLUMNS.map(|(_, name)| text(row, name)).to_vec());
    std::iter::once(titles).chain(lines).collect()
}
