//! Where the control plane's binaries come from.

use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

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

/// The folder with all binaries: of `KUBEBUILDER_ASSETS` where it has them all, else of the cache, built when missing.
pub fn locate() -> Result<PathBuf> {
    static FOUND: OnceLock<PathBuf> = OnceLock::new();
    if let Some(found) = FOUND.get() {
        return Ok(found.clone());
    }
    let dir = match std::env::var_os("KUBEBUILDER_ASSETS").map(PathBuf::from) {
        Some(assets) => {
            let missing: Vec<_> = names().filter(|n| !assets.join(n).exists()).collect();
            if !missing.is_empty() {
                bail!(
                    "KUBEBUILDER_ASSETS={} has no {}; unset it to have all built",
                    assets.display(),
                    missing.join(", ")
                );
            }
            assets
        }
        None => build_missing()?,
    };
    Ok(FOUND.get_or_init(|| dir).clone())
}

fn names() -> impl Iterator<Item = &'static str> {
    MODULES.iter().flat_map(|m| m.packages.iter().map(|p| p.0))
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

fn build_missing() -> Result<PathBuf> {
    let dir = cache_dir()?;
    if names().all(|n| dir.join(n).exists()) {
        return Ok(dir);
    }
    std::fs::create_dir_all(&dir)?;
    // Several test programs may find the cache empty at once.
    let lock = std::fs::File::create(dir.join("lock"))?;
    lock.lock()?;
    for module in MODULES {
        for (name, package) in module.packages {
            if !dir.join(name).exists() {
                build(module, name, package, &dir)?;
            }
        }
    }
    Ok(dir)
}

fn build(module: &Module, name: &str, package: &str, dir: &Path) -> Result<()> {
    eprintln!("building {name} from {package} (once; all take about 13 minutes on two cores)");
    let unfinished = dir.join(format!("{name}.unfinished"));
    let status = Command::new("go")
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/controlplane").join(module.name))
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
            "the control plane's binaries are not here and Go is not installed: install Go 1.26 or newer, or set \
             KUBEBUILDER_ASSETS to a folder with {}",
            names().collect::<Vec<_>>().join(", ")
        ),
        Err(e) => Err(e).context("run go"),
    }
}
