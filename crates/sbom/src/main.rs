//! Prints what the operator's binary for a target (default: this machine) is made of, as a CycloneDX 1.5 document: every crate that is
//! linked into it, with its version, license, checksum and dependencies.
//!
//! In: what `cargo tree`, `cargo metadata` and `Cargo.lock` say. Out: the document; the same for the same commit, with the date of `CREATED`.

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::process::Command;

const PACKAGE: &str = "istio-operator";

fn main() -> Result<()> {
    let target = std::env::args().nth(1).map_or_else(host, Ok)?;
    let metadata = metadata(&target)?;
    let checksums = checksums(&std::fs::read_to_string("Cargo.lock").context("read Cargo.lock")?);
    let created = std::env::var("CREATED").ok();
    println!("{:#}", document(&metadata, &linked(&target)?, &checksums, created.as_deref())?);
    Ok(())
}

fn output(program: &str, args: &[&str]) -> Result<String> {
    let output = Command::new(program).args(args).output().with_context(|| format!("run {program}"))?;
    if !output.status.success() {
        bail!("{program} {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(String::from_utf8(output.stdout)?)
}

/// The triple of this machine.
fn host() -> Result<String> {
    let version = output("rustc", &["--version", "--verbose"])?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: ")).context("rustc names no host")?;
    Ok(host.to_owned())
}

fn metadata(target: &str) -> Result<Value> {
    let args = ["metadata", "--format-version=1", "--locked", "--filter-platform", target];
    Ok(serde_json::from_str(&output("cargo", &args)?)?)
}

/// Checksums of packages from registries, by name and version.
fn checksums(lock: &str) -> BTreeMap<(String, String), String> {
    let field = |package: &str, name: &str| {
        let begin = format!("{name} = \"");
        package.lines().find_map(|line| Some(line.strip_prefix(&begin)?.trim_end_matches('"').to_owned()))
    };
    let packages = lock.split("[[package]]").skip(1);
    let known = packages.filter_map(|p| Some(((field(p, "name")?, field(p, "version")?), field(p, "checksum")?)));
    known.collect()
}

fn text<'a>(value: &'a Value, field: &str) -> Result<&'a str> {
    value.get(field).and_then(Value::as_str).with_context(|| format!("cargo metadata has no {field}"))
}

fn list<'a>(value: &'a Value, field: &str) -> Result<&'a Vec<Value>> {
    value.get(field).and_then(Value::as_array).with_context(|| format!("cargo metadata has no {field}"))
}

/// The addresses of what is linked into the binary. `cargo metadata` also has what only tests need, with the features that they
/// switch on.
fn linked(target: &str) -> Result<BTreeSet<String>> {
    let edges = "normal,no-proc-macro";
    let args = ["tree", "-p", PACKAGE, "-e", edges, "--prefix=none", "--locked", "--target", target, "-f", "{p}"];
    let tree = output("cargo", &args)?;
    let purl = |line: &str| {
        let mut words = line.split_whitespace();
        Some(format!("pkg:cargo/{}@{}", words.next()?, words.next()?.strip_prefix('v')?))
    };
    tree.lines().map(|line| purl(line).with_context(|| format!("cargo tree prints {line:?}"))).collect()
}

/// The addresses of what a node of the resolved graph needs.
fn needs<'a>(node: &'a Value, purls: &BTreeMap<&str, String>) -> Result<Vec<String>> {
    let id = |dependency: &'a Value| text(dependency, "pkg");
    let purl = |id: &str| purls.get(id).cloned().with_context(|| format!("{id} is not a package"));
    list(node, "deps")?.iter().map(|dependency| purl(id(dependency)?)).collect()
}

fn document(
    metadata: &Value,
    linked: &BTreeSet<String>,
    checksums: &BTreeMap<(String, String), String>,
    created: Option<&str>,
) -> Result<Value> {
    let packages = list(metadata, "packages")?;
    let purls = packages.iter().map(|package| Ok((text(package, "id")?, purl(package)?)));
    let purls: BTreeMap<&str, String> = purls.collect::<Result<_>>()?;
    let (mut components, mut main) = (vec![], Value::Null);
    for package in packages.iter().filter(|package| purl(package).is_ok_and(|purl| linked.contains(&purl))) {
        match text(package, "name")? {
            PACKAGE => main = component(package, checksums, "application")?,
            _ => components.push(component(package, checksums, "library")?),
        }
    }
    if components.len() + 1 != linked.len() {
        bail!("cargo tree has {} packages, and cargo metadata {} of them", linked.len(), components.len() + 1);
    }
    let mut dependencies = vec![];
    for node in list(metadata.get("resolve").context("cargo metadata resolves nothing")?, "nodes")? {
        let purl = purls.get(text(node, "id")?).filter(|purl| linked.contains(*purl));
        if let Some(purl) = purl {
            let needs: BTreeSet<String> = needs(node, &purls)?.into_iter().filter(|p| linked.contains(p)).collect();
            dependencies.push(json!({"ref": purl, "dependsOn": needs}));
        }
    }
    let mut about = json!({"component": main});
    if let (Some(created), Some(about)) = (created, about.as_object_mut()) {
        about.insert("timestamp".into(), created.into());
    }
    let mut document = json!({
        "$schema": "http://cyclonedx.org/schema/bom-1.5.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": about,
        "components": components,
        "dependencies": dependencies,
    });
    let serial_number = serial_number(&document);
    if let Some(document) = document.as_object_mut() {
        document.insert("serialNumber".into(), serial_number.into());
    }
    Ok(document)
}

/// A package's address, as the registries of vulnerabilities have it.
fn purl(package: &Value) -> Result<String> {
    Ok(format!("pkg:cargo/{}@{}", text(package, "name")?, text(package, "version")?))
}

fn component(package: &Value, checksums: &BTreeMap<(String, String), String>, kind: &str) -> Result<Value> {
    let (name, version) = (text(package, "name")?, text(package, "version")?);
    let mut component =
        json!({"type": kind, "bom-ref": purl(package)?, "name": name, "version": version, "purl": purl(package)?});
    let Some(fields) = component.as_object_mut() else { return Ok(component) };
    if let Some(license) = package.get("license").and_then(Value::as_str) {
        // Old packages write a slash for OR.
        fields.insert("licenses".into(), json!([{"expression": license.replace('/', " OR ")}]));
    }
    if let Some(checksum) = checksums.get(&(name.to_owned(), version.to_owned())) {
        fields.insert("hashes".into(), json!([{"alg": "SHA-256", "content": checksum}]));
    }
    Ok(component)
}

/// An identifier that follows from the contents, in the form of a random UUID.
fn serial_number(contents: &Value) -> String {
    let digest = Sha256::digest(contents.to_string());
    let mut text = String::new();
    for (position, byte) in digest.iter().take(16).enumerate() {
        if matches!(position, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        let byte = match position {
            6 => (byte & 0x0f) | 0x40,
            8 => (byte & 0x3f) | 0x80,
            _ => *byte,
        };
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    format!("urn:uuid:{text}")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]

    use super::*;

    #[test]
    fn it_names_every_crate_that_is_linked_with_license_and_checksum() {
        std::env::set_current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../..")).unwrap();
        let target = host().unwrap();
        let checksums = checksums(&std::fs::read_to_string("Cargo.lock").unwrap());
        let linked = linked(&target).unwrap();
        let print =
            || document(&metadata(&target).unwrap(), &linked, &checksums, Some("2026-01-01T00:00:00Z")).unwrap();
        let document = print();
        assert_eq!(document, print(), "the same twice");
        let components = document["components"].as_array().unwrap();
        let names: BTreeSet<&str> = components.iter().map(|c| c["name"].as_str().unwrap()).collect();
        for name in ["kube", "ring", "helm-template", "mimalloc"] {
            assert!(names.contains(name), "{name} is missing");
        }
        for name in ["proptest", "rcgen", "serde_derive", "syn", "sbom", PACKAGE] {
            assert!(!names.contains(name), "{name} is not linked");
        }
        for component in components {
            let is_from_registry = component["name"] != "helm-template";
            assert_eq!(component["hashes"].is_array(), is_from_registry, "{component}");
            assert!(component["licenses"][0]["expression"].is_string(), "{component}");
        }
        assert_eq!(document["metadata"]["component"]["name"], PACKAGE);
        assert_eq!(document["dependencies"].as_array().unwrap().len(), components.len() + 1);
        assert_eq!(document["serialNumber"].as_str().unwrap().len(), "urn:uuid:".len() + 36);
    }
}
