//! Where the control plane's binaries come from.

use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};
use std::process::Command;

/// A Go module of this folder, its linker flags, and what it gives: (binary, package).
struct Module {
    name: &'static str,
    sums: &'static str,
    linker_flags: &'static str,
    packages: &'static [(&'static str, &'static str)],
}

const MODULES: &[Module] = &[
    Module {
        name: "kubernetes",
        sums: include_str!("kubernetes/go.sum"),
        linker_flags: "-s -w -X k8s.io/component-base/version.gitVersion=v1.35.4",
        packages: &[
            ("kube-apiserver", "k8s.io/kubernetes/cmd/kube-apiserver"),
            ("kube-controller-manager", "k8s.io/kubernetes/cmd/kube-controller-manager"),
            ("kube-scheduler", "k8s.io/kubernetes/cmd/kube-scheduler"),
            ("kubectl", "k8s.io/kubernetes/cmd/kubectl"),
            ("etcd", "go.etcd.io/etcd/server/v3"),
        ],
    },
    Module {
        name: "kwok",
        sums: include_str!("kwok/go.sum"),
        linker_flags: "-s -w",
        packages: &[("kwok", "sigs.k8s.io/kwok/cmd/kwok")],
    },
    Module {
        name: "helm",
        sums: include_str!("helm/go.sum"),
        linker_flags: "-s -w",
        packages: &[("helm", "helm.sh/helm/v3/cmd/helm")],
    },
];

/// A binary: that of `KUBEBUILDER_ASSETS` where it has it, else of the cache, built when missing.
pub fn find(name: &str) -> Result<PathBuf> {
    let assets = std::env::var_os("KUBEBUILDER_ASSETS").map(|dir| PathBuf::from(dir).join(name));
    if let Some(given) = assets.filter(|path| path.exists()) {
        return Ok(given);
    }
    let dir = cache_dir()?;
    let built = dir.join(name);
    if !built.exists() {
        std::fs::create_dir_all(&dir)?;
        // Several test programs may find the cache empty at once.
        let lock = std::fs::File::create(dir.join("lock"))?;
        lock.lock()?;
        if !built.exists() {
            build(name, &dir)?;
        }
    }
    Ok(built)
}

/// `$XDG_CACHE_HOME/istio-operator/controlplane-<digest of the go.sum files>`.
fn cache_dir() -> Result<PathBuf> {
    let base = match std::env::var_os("XDG_CACHE_HOME") {
        Some(dir) => PathBuf::from(dir),
        None => {
            PathBuf::from(std::env::var_os("HOME").context("neither XDG_CACHE_HOME nor HOME is set")?).join(".cache")
        }
    };
    let digest = Sha256::digest(MODULES.iter().map(|m| m.sums).collect::<String>());
    let digest = digest.iter().take(6).fold(String::new(), |text, byte| format!("{text}{byte:02x}"));
    Ok(base.join("istio-operator").join(format!("controlplane-{digest}")))
}

/// This folder, also seen from a crate of the workspace.
fn sources() -> Result<PathBuf> {
    let above = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors();
    let found = above.map(|folder| folder.join("tests/controlplane")).find(|folder| folder.is_dir());
    found.context("tests/controlplane is not there")
}

fn build(name: &str, dir: &Path) -> Result<()> {
    let all = || MODULES.iter().flat_map(|m| m.packages.iter().map(move |(name, package)| (m, *name, *package)));
    let (module, _, package) = all().find(|row| row.1 == name).with_context(|| format!("{name} is in no module"))?;
    eprintln!("building {name} from {package} (once; all take about 13 minutes on two cores)");
    let unfinished = dir.join(format!("{name}.unfinished"));
    let status = Command::new("go")
        .current_dir(sources()?.join(module.name))
        .env("CGO_ENABLED", "0")
        .env("GOFLAGS", "-mod=readonly -buildvcs=false -trimpath")
        .args(["build", "-ldflags", module.linker_flags, "-o"])
        .arg(&unfinished)
        .arg(package)
        .status();
    match status {
        Ok(s) if s.success() => Ok(std::fs::rename(&unfinished, dir.join(name))?),
        Ok(s) => bail!("go build {package} ended with {s}"),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => bail!(
            "{name} is not here and Go is not installed to build it: install Go 1.26 or newer, or set \
             KUBEBUILDER_ASSETS to a folder with {}",
            all().map(|row| row.1).collect::<Vec<_>>().join(", ")
        ),
        Err(e) => Err(e).context("run go"),
    }
}
