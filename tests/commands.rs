//! The commands that tell before anything is done: `manifest diff`, `manifest translate`, `upgrade plan`, as far as they need
//! no cluster.
//!
//! Real release packages are taken from the cache (`$XDG_CACHE_HOME/istio-operator/releases/VERSION`, in `~/.cache` by default);
//! where one is not there, a line says so. The real Helm is that of `HELM_BIN`, or the one that `tests/controlplane` builds.

// Functions beside the tests may fail as tests do.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[path = "controlplane/binaries.rs"]
mod binaries;
#[path = "commands/codes.rs"]
mod codes;
#[path = "commands/diff.rs"]
mod diff;
#[path = "commands/examples.rs"]
mod examples;
#[path = "commands/revisions.rs"]
mod revisions;
#[path = "commands/translate.rs"]
mod translate;
#[path = "commands/unreachable.rs"]
mod unreachable;
#[path = "commands/upgrade.rs"]
mod upgrade;

use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Runs the operator; words separated by spaces.
fn run(folder: &Path, command: &str) -> Output {
    let mut operator = Command::new(env!("CARGO_BIN_EXE_istio-operator"));
    operator.current_dir(folder).args(command.split(' ')).env("KUBECONFIG", folder.join("none"));
    operator.output().unwrap()
}

fn code(output: &Output) -> i32 {
    output.status.code().unwrap()
}

fn stdout(output: &Output) -> &str {
    std::str::from_utf8(&output.stdout).unwrap()
}

fn stderr(output: &Output) -> &str {
    std::str::from_utf8(&output.stderr).unwrap()
}

fn data(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {}{}", stdout(output), stderr(output)))
}

/// A folder with these files.
fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    folder
}

/// An IstioOperator resource with this spec, in YAML's flow form.
fn resource(spec: &str) -> String {
    format!(
        "apiVersion: install.istio.io/v1alpha1\nkind: IstioOperator\nmetadata: {{name: main, namespace: istio-system}}\n\
         spec: {spec}\n"
    )
}

/// The package of a release, if it is at hand.
fn package(version: &str) -> Option<PathBuf> {
    let variable = |name| std::env::var_os(name).map(PathBuf::from);
    let cache = variable("XDG_CACHE_HOME").or_else(|| variable("HOME").map(|home| home.join(".cache")))?;
    let found = cache.join("istio-operator/releases").join(version).join("manifests");
    if found.is_dir() {
        return Some(found);
    }
    println!("not tested with release {version}: {} is not there", found.display());
    None
}
