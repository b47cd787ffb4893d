//! `make demo`: a control plane on this machine, the operator beside it, and `config/samples/demo.yaml` until it is HEALTHY.
//!
//! With `KUBECONFIG` set, that cluster is used instead, and left running. On a terminal everything stays up until Ctrl-C.

#![allow(clippy::indexing_slicing)] // of JSON, where an absent field is null

#[path = "../controlplane/mod.rs"]
mod controlplane;

use anyhow::{Context, Result, bail};
use controlplane::operator::Operator;
use controlplane::{ControlPlane, wait};
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_mins(2);
const SAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/config/samples/demo.yaml");
const RESOURCE: &str = "/apis/install.istio.io/v1alpha1/namespaces/istio-system/istiooperators/demo";

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\nthe demo failed: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let binary = operator_binary()?;
    let mut plane = if let Some(kubeconfig) = std::env::var_os("KUBECONFIG").filter(|k| !k.is_empty()) {
        println!("== using the cluster of KUBECONFIG={}", kubeconfig.display());
        ControlPlane::existing(kubeconfig)
    } else {
        println!("== starting a control plane: etcd, kube-apiserver, kube-controller-manager, kube-scheduler, kwok");
        ControlPlane::start()?
    };
    let logs = match plane.dir() {
        Some(dir) => dir.to_owned(),
        None => tempfile::Builder::new().prefix("istio-operator-demo-").tempdir()?.keep(),
    };
    println!("== applying the CRD");
    apply_crd(&plane, &binary, &logs)?;
    println!("== starting {}", binary.display());
    let operator = Operator::start(&binary, plane.kubeconfig(), &logs, &[])?;
    if let Err(error) = install(&plane) {
        eprintln!("\nthe end of the operator's log:\n{}", operator.log_tail(20));
        drop(operator);
        if plane.dir().is_some() {
            eprintln!("\nall logs are in {}", plane.keep_logs().display());
        }
        return Err(error);
    }
    show(&plane, &logs)?;
    stay(&plane)
}

/// The operator that was built together with this program.
fn operator_binary() -> Result<PathBuf> {
    let this = std::env::current_exe()?;
    let built = this.ancestors().nth(2).context("this program is not in a target folder")?;
    let binary = built.join("istio-operator");
    if !binary.exists() {
        bail!("{} is not built: run 'make demo', or 'cargo build' first", binary.display());
    }
    Ok(binary)
}

fn apply_crd(plane: &ControlPlane, binary: &Path, folder: &Path) -> Result<()> {
    let crd = Command::new(binary).arg("crd").output()?;
    let file = folder.join("crd.yaml");
    std::fs::write(&file, crd.stdout)?;
    plane.kubectl(&["apply", "--server-side", "--force-conflicts", "-f", &file.to_string_lossy()])?;
    plane.wait_established(&["-f", &file.to_string_lossy()])
}

/// Applies the sample and tells what changes until it is HEALTHY.
fn install(plane: &ControlPlane) -> Result<()> {
    if plane.kubectl(&["get", "namespace", "istio-system"]).is_err() {
        plane.kubectl(&["create", "namespace", "istio-system"])?;
    }
    println!("== kubectl apply -f config/samples/demo.yaml");
    let begin = Instant::now();
    plane.kubectl(&["apply", "-f", SAMPLE])?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let client = runtime.block_on(plane.client())?;
    let mut progress = Progress { begin, told: BTreeMap::new() };
    wait("HEALTHY", PATIENCE, || {
        let request = http::Request::get(RESOURCE).body(vec![])?;
        let resource: Value = match runtime.block_on(client.request(request)) {
            Ok(resource) => resource,
            Err(error) => return Ok(Err(error.to_string())),
        };
        progress.tell(&resource["status"]);
        Ok(if is_healthy(&resource) { Ok(()) } else { Err(format!("{:#}", resource["status"])) })
    })?;
    println!("\nHEALTHY after {:.1} s", begin.elapsed().as_secs_f64());
    Ok(())
}

/// HEALTHY, and said of the spec as it is now.
fn is_healthy(resource: &Value) -> bool {
    let status = &resource["status"];
    status["status"] == "HEALTHY" && status["observedGeneration"] == resource["metadata"]["generation"]
}

/// Prints each change of the status as a line.
struct Progress {
    begin: Instant,
    told: BTreeMap<String, String>,
}

impl Progress {
    fn tell(&mut self, status: &Value) {
        let text = |v: &Value| v.as_str().unwrap_or_default().to_owned();
        let mut whole = text(&status["message"]);
        for (name, component) in status["componentStatus"].as_object().into_iter().flatten() {
            let message = text(&component["error"]);
            // Said once is enough.
            if !message.is_empty() && whole.contains(&message) {
                whole.clear();
            }
            self.line(name, &text(&component["status"]), &message);
        }
        self.line("demo", &text(&status["status"]), &whole);
    }

    fn line(&mut self, who: &str, phase: &str, message: &str) {
        const WIDTH: usize = 100;
        let mut line = format!("{who:<16} {phase:<12} {message}").trim_end().to_owned();
        if let Some((cut, _)) = line.char_indices().nth(WIDTH) {
            line.truncate(cut);
            line.push('…');
        }
        if !phase.is_empty() && self.told.get(who) != Some(&line) {
            println!("{:6.1} s  {line}", self.begin.elapsed().as_secs_f64());
            self.told.insert(who.into(), line);
        }
    }
}

fn show(plane: &ControlPlane, logs: &Path) -> Result<()> {
    let commands: [&[&str]; 3] = [
        &["get", "iop", "-A"],
        &["get", "deployments", "-n", "istio-system"],
        &["get", "services", "-n", "istio-system"],
    ];
    for args in commands {
        println!("\n$ kubectl {}\n{}", args.join(" "), plane.kubectl(args)?.trim_end());
    }
    println!("\nTo look further:");
    println!("  export KUBECONFIG={}", plane.kubeconfig().display());
    println!("  {} get all -n istio-system", plane.kubectl_path().display());
    println!("The operator's log is {}", logs.join("operator.log").display());
    Ok(())
}

/// On a terminal: until Ctrl-C.
fn stay(plane: &ControlPlane) -> Result<()> {
    let stops = if plane.dir().is_some() { "everything" } else { "the operator; Istio stays installed" };
    if std::io::stdout().is_terminal() {
        println!("\nCtrl-C stops {stops}");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(tokio::signal::ctrl_c())?;
    }
    println!("\n== stopping {stops}");
    Ok(())
}
