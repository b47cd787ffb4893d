//! A real Kubernetes control plane on this machine: etcd, kube-apiserver, kube-controller-manager, kube-scheduler, and
//! kwok, which makes pods Ready on a node that does not exist.
//!
//! The binaries are built once from pinned Go modules into a cache folder outside the work tree (see [`binaries`]); or
//! they are taken from `KUBEBUILDER_ASSETS`. Everything a [`ControlPlane`] starts is stopped when it is dropped, and also
//! when this program is killed (see [`process`]).
#![allow(dead_code)]

pub mod binaries;
mod certificates;
pub mod operator;
pub mod pool;
pub mod process;
pub mod snapshot;

use anyhow::{Context, Result, bail};
use process::{Process, Watchdog};
use snapshot::{Snapshot, Store};
use std::cell::{Cell, RefCell};
use std::ffi::{OsStr, OsString};
use std::io::{Read, Seek, SeekFrom};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Condvar, LazyLock, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// So many control planes at a time: each takes about 450 MiB, and a core while it starts.
const AT_ONCE: usize = 5;
static TAKEN: Mutex<usize> = Mutex::new(0);
static GIVEN_BACK: Condvar = Condvar::new();

/// One of the control planes that there may be at a time.
struct Turn(());

/// Waits for a turn.
fn turn() -> Turn {
    let mut taken = TAKEN.lock().unwrap_or_else(PoisonError::into_inner);
    while *taken >= AT_ONCE {
        taken = GIVEN_BACK.wait(taken).unwrap_or_else(PoisonError::into_inner);
    }
    *taken += 1;
    Turn(())
}

impl Drop for Turn {
    fn drop(&mut self) {
        *TAKEN.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
        GIVEN_BACK.notify_one();
    }
}

/// A machine that does much else takes ten times as long as an idle one.
const START_DEADLINE: Duration = Duration::from_mins(2);

/// What takes longer waits for something that will never be: `kubectl wait` on an API server that is gone.
const HUNG: Duration = Duration::from_mins(5);

/// Between two attempts; kubectl alone takes a tenth of a second of a core.
const PAUSE: Duration = Duration::from_millis(200);

/// For programs in Go: two fifths of an API server's time, and a quarter of kubectl's, went to the collection of garbage, and there is
/// memory enough.
const FEW_COLLECTIONS: [(&str, &str); 1] = [("GOGC", "400")];

const AUDIT_LOG: &str = "audit.log";

/// Everything that one user asks for, without bodies.
fn audit_policy(user: &str) -> String {
    format!(
        "apiVersion: audit.k8s.io/v1\nkind: Policy\nomitStages: [RequestReceived]\nrules:\n\
         - {{level: Metadata, users: [\"{user}\"]}}\n- {{level: None}}\n"
    )
}

/// What a control plane can be asked to be.
#[derive(Default, Clone)]
pub struct Options {
    /// Further flags of the API server, such as an audit policy.
    pub apiserver_flags: Vec<String>,
    /// Leaves kwok out: pods stay Pending.
    pub without_kwok: bool,
    /// Where connections to any port of any pod lead to on this host; nowhere by default.
    pub pods_serve: Option<u16>,
    /// Whose requests are written to the audit log, see [`ControlPlane::audit`]; nobody's by default.
    pub audited_user: Option<&'static str>,
}

/// A running control plane.
pub struct ControlPlane {
    kubeconfig: OsString,
    kubectl: PathBuf,
    /// In the order they were started, with their flags; empty where the cluster is not ours.
    processes: RefCell<Vec<(Process, Vec<String>)>>,
    dir: Option<tempfile::TempDir>,
    dir_watchdog: Option<Watchdog>,
    store: Option<Store>,
    /// Whether one of its processes was killed, or stopped.
    is_broken: Cell<bool>,
    turn: Option<Turn>,
}

impl ControlPlane {
    /// Starts a control plane and waits until it can run pods; or, with `USE_EXISTING_CLUSTER=true`, takes the cluster of
    /// `KUBECONFIG`.
    pub fn start() -> Result<Self> {
        Self::start_with(&Options::default())
    }

    /// As [`start`](Self::start), with options.
    pub fn start_with(options: &Options) -> Result<Self> {
        Self::start_in(turn(), options)
    }

    fn start_in(turn: Turn, options: &Options) -> Result<Self> {
        if std::env::var("USE_EXISTING_CLUSTER").is_ok_and(|v| v == "true") {
            let kubeconfig = std::env::var_os("KUBECONFIG").context("USE_EXISTING_CLUSTER=true needs KUBECONFIG")?;
            return Ok(Self::existing(kubeconfig));
        }
        let mut plane = Self::launched(options).or_else(|e| {
            eprintln!("a control plane is started once more: {e:#}");
            Self::launched(options)
        })?;
        plane.turn = Some(turn);
        Ok(plane)
    }

    fn launched(options: &Options) -> Result<Self> {
        let kubectl = binaries::find("kubectl")?;
        let dir = tempfile::Builder::new().prefix("istio-operator-controlplane-").tempdir()?;
        let remove = format!("sleep 1; rm -rf '{}'", dir.path().display());
        let dir_watchdog = Some(Watchdog::start(&remove)?);
        let kubeconfig = dir.path().join("kubeconfig").into_os_string();
        let mut plane = Self {
            kubeconfig,
            kubectl,
            processes: RefCell::default(),
            dir: Some(dir),
            dir_watchdog,
            store: None,
            is_broken: Cell::new(false),
            turn: None,
        };
        match plane.launch(options) {
            Ok(()) => Ok(plane),
            Err(e) => {
                let logs = plane.keep_logs();
                Err(e.context(format!("the control plane did not start; its logs are in {}", logs.display())))
            }
        }
    }

    /// A cluster that is there already, by a value of `KUBECONFIG`; it is left running. kubectl is that of the `PATH`.
    pub fn existing(kubeconfig: OsString) -> Self {
        Self {
            kubeconfig,
            kubectl: "kubectl".into(),
            processes: RefCell::default(),
            dir: None,
            dir_watchdog: None,
            store: None,
            is_broken: Cell::new(false),
            turn: None,
        }
    }

    /// A value for the environment variable `KUBECONFIG`; where the control plane is ours, an administrator's file.
    pub fn kubeconfig(&self) -> &OsStr {
        &self.kubeconfig
    }

    /// The kubectl that fits.
    pub fn kubectl_path(&self) -> &Path {
        &self.kubectl
    }

    /// A client for an administrator.
    pub async fn client(&self) -> Result<kube::Client> {
        let mut all = kube::config::Kubeconfig::default();
        for path in std::env::split_paths(&self.kubeconfig) {
            all = all.merge(kube::config::Kubeconfig::read_from(path)?)?;
        }
        let mut config = kube::Config::from_custom_kubeconfig(all, &kube::config::KubeConfigOptions::default()).await?;
        config.read_timeout = None;
        Ok(kube::Client::try_from(config)?)
    }

    /// Runs kubectl and returns what it prints.
    pub fn kubectl(&self, args: &[&str]) -> Result<String> {
        let mut command = Command::new(&self.kubectl);
        if self.dir.is_some() {
            command.env("KUBECACHEDIR", self.kubectl_cache());
        }
        command.env("KUBECONFIG", &self.kubeconfig).envs(FEW_COLLECTIONS).args(args);
        let out = process::output(&mut command, HUNG).with_context(|| format!("kubectl {}", args.join(" ")))?;
        if !out.status.success() {
            bail!("kubectl {}: {}", args.join(" "), String::from_utf8_lossy(&out.stderr).trim());
        }
        Ok(String::from_utf8_lossy(&out.stdout).into_owned())
    }

    /// Waits until definitions are established, named as kubectl names objects: `-f FILE`, or `crd/NAME`.
    pub fn wait_established(&self, definitions: &[&str]) -> Result<()> {
        let args = [&["wait", "--for=condition=Established", "--timeout=5s"], definitions].concat();
        // kubectl fails at once on a definition that has no conditions yet.
        wait("definitions to be established", START_DEADLINE, || {
            Ok(self.kubectl(&args).map(drop).map_err(|e| format!("{e:#}")))
        })
    }

    /// The folder with logs and certificates, where the control plane is ours.
    pub fn dir(&self) -> Option<&Path> {
        self.dir.as_ref().map(tempfile::TempDir::path)
    }

    /// The audit log from a place in it on, 0 for all: the requests of [`Options::audited_user`] that were answered, oldest
    /// first. Also gives the place where it ends.
    pub fn audit(&self, from: u64) -> Result<(Vec<serde_json::Value>, u64)> {
        let dir = self.dir().context("the cluster is not ours, its audit log neither")?;
        let mut file = std::fs::File::open(dir.join(AUDIT_LOG))?;
        file.seek(SeekFrom::Start(from))?;
        let mut text = String::new();
        file.read_to_string(&mut text)?;
        // The last line may be under way.
        let whole = text.rfind('\n').map_or("", |end| &text[..=end]);
        let events = whole.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
        Ok((events, from + u64::try_from(whole.len())?))
    }

    /// Kills one of the processes with SIGKILL.
    pub fn kill(&self, name: &str) -> Result<()> {
        self.with_process(name, |process, _| process.kill())
    }

    /// Starts a process that was killed, as it was started before. The API server is waited for.
    pub fn start_again(&self, name: &str) -> Result<()> {
        let dir = self.dir().context("the cluster is not ours")?;
        self.with_process(name, |process, flags| {
            *process = start_process(name, flags, dir)?;
            Ok(())
        })?;
        if name != "kube-apiserver" {
            return Ok(());
        }
        self.wait_for("the API server", &["get", "--raw", "/readyz"])
    }

    /// Stops a process where it is, or lets it go on.
    pub fn freeze(&self, name: &str, is_frozen: bool) -> Result<()> {
        self.with_process(name, |process, _| process.signal(if is_frozen { "STOP" } else { "CONT" }))
    }

    /// For whoever breaks it.
    fn with_process<T>(&self, name: &str, act: impl FnOnce(&mut Process, &[String]) -> Result<T>) -> Result<T> {
        self.is_broken.set(true);
        let mut all = self.processes.borrow_mut();
        let found = all.iter_mut().find(|(process, _)| process.name() == name);
        let (process, flags) = found.with_context(|| format!("there is no {name} of ours"))?;
        act(process, flags)
    }

    /// Keeps the folder with the logs beyond our life.
    pub fn keep_logs(&mut self) -> PathBuf {
        self.dismiss_dir_watchdog();
        self.dir.take().map(tempfile::TempDir::keep).unwrap_or_default()
    }

    fn dismiss_dir_watchdog(&mut self) {
        if let Some(mut watchdog) = self.dir_watchdog.take() {
            watchdog.dismiss();
        }
    }

    /// Makes it what it was when it was new, for the next test.
    fn begin_again(&mut self, beginning: &mut Snapshot) -> Result<()> {
        for (process, _) in &mut *self.processes.borrow_mut() {
            if let Some(status) = process.ended()? {
                bail!("{} ended with {status}", process.name());
            }
        }
        self.store.as_ref().context("it is not ours")?.restore(beginning)?;
        let audit = self.dir().unwrap_or(Path::new("")).join(AUDIT_LOG);
        if audit.exists() {
            // The API server appends to it.
            std::fs::OpenOptions::new().write(true).open(audit)?.set_len(0)?;
        }
        match std::fs::remove_dir_all(self.kubectl_cache()) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(e.into()),
            _ => Ok(()),
        }
    }

    /// What kubectl remembers of it.
    fn kubectl_cache(&self) -> PathBuf {
        self.dir().unwrap_or(Path::new("")).join("kubectl-cache")
    }

    fn launch(&mut self, options: &Options) -> Result<()> {
        let dir = self.dir().context("no folder")?.to_path_buf();
        let file = |name: &str| dir.join(name).to_string_lossy().into_owned();
        certificates::write(&dir)?;
        let [etcd_port, peer_port, api_port, manager_port, scheduler_port, kwok_port] = free_ports()?;
        self.store = Some(Store { address: format!("127.0.0.1:{etcd_port}") });
        let (etcd, peer) = (format!("http://127.0.0.1:{etcd_port}"), format!("http://127.0.0.1:{peer_port}"));
        self.spawn(
            "etcd",
            &[
                format!("--data-dir={}", file("etcd")),
                format!("--listen-client-urls={etcd}"),
                format!("--advertise-client-urls={etcd}"),
                format!("--listen-peer-urls={peer}"),
                format!("--initial-advertise-peer-urls={peer}"),
                format!("--initial-cluster=default={peer}"),
                "--unsafe-no-fsync".into(),
                "--log-level=warn".into(),
            ],
        )?;
        let mut flags = vec![
            format!("--etcd-servers={etcd}"),
            "--bind-address=127.0.0.1".into(),
            format!("--secure-port={api_port}"),
            format!("--tls-cert-file={}", file("server.crt")),
            format!("--tls-private-key-file={}", file("server.key")),
            format!("--client-ca-file={}", file("ca.crt")),
            format!("--service-account-key-file={}", file("sa.pub")),
            format!("--service-account-signing-key-file={}", file("sa.key")),
            "--service-account-issuer=https://kubernetes.default.svc".into(),
            "--authorization-mode=RBAC".into(),
            "--allow-privileged=true".into(),
            "--service-cluster-ip-range=10.96.0.0/16".into(),
        ];
        if let Some(user) = options.audited_user {
            std::fs::write(dir.join("audit-policy.yaml"), audit_policy(user))?;
            flags.push(format!("--audit-policy-file={}", file("audit-policy.yaml")));
            flags.push(format!("--audit-log-path={}", file(AUDIT_LOG)));
            // In MiB; then another file would be begun.
            flags.push("--audit-log-maxsize=4096".into());
        }
        flags.extend(options.apiserver_flags.iter().cloned());
        self.spawn("kube-apiserver", &flags)?;
        let server = format!("https://127.0.0.1:{api_port}");
        certificates::write_kubeconfig(&dir, Path::new(&self.kubeconfig), &server)?;
        self.wait_for("the API server", &["get", "--raw", "/readyz"])?;
        let kubeconfig = file("kubeconfig");
        self.spawn(
            "kube-controller-manager",
            &[
                format!("--kubeconfig={kubeconfig}"),
                format!("--service-account-private-key-file={}", file("sa.key")),
                format!("--root-ca-file={}", file("ca.crt")),
                "--use-service-account-credentials=true".into(),
                // By default it sends twenty requests a second, and hundreds of Deployments wait for that alone.
                "--kube-api-qps=500".into(),
                "--kube-api-burst=1000".into(),
                "--leader-elect=false".into(),
                "--bind-address=127.0.0.1".into(),
                format!("--secure-port={manager_port}"),
            ],
        )?;
        self.spawn(
            "kube-scheduler",
            &[
                format!("--kubeconfig={kubeconfig}"),
                "--kube-api-qps=500".into(),
                "--kube-api-burst=1000".into(),
                "--leader-elect=false".into(),
                "--bind-address=127.0.0.1".into(),
                format!("--secure-port={scheduler_port}"),
            ],
        )?;
        if !options.without_kwok {
            self.start_kwok(kwok_port, options.pods_serve)?;
        }
        self.wait_for("the default service account", &["get", "serviceaccount", "default", "-n", "default"])
    }

    /// A node, and kwok to play its kubelet. Leases keep the node alive beyond 50 s.
    fn start_kwok(&self, port: u16, pods_serve: Option<u16>) -> Result<()> {
        let dir = self.dir().context("no folder")?.to_path_buf();
        let file = |name: &str| dir.join(name).to_string_lossy().into_owned();
        std::fs::write(dir.join("node.yaml"), include_str!("node.yaml"))?;
        let mut flags = vec![
            format!("--kubeconfig={}", file("kubeconfig")),
            "--manage-all-nodes=true".into(),
            // Pods annotated so never become ready: nobody plays their kubelet.
            "--disregard-status-with-annotation-selector=kwok.x-k8s.io/status=custom".into(),
            "--node-lease-duration-seconds=40".into(),
            format!("--server-address=127.0.0.1:{port}"),
        ];
        if let Some(served) = pods_serve {
            std::fs::write(dir.join("kwok.yaml"), forwarding_to(served))?;
            flags.extend(["--node-ip=127.0.0.1".into(), format!("--node-port={port}")]);
            flags.push(format!("--tls-cert-file={}", file("server.crt")));
            flags.push(format!("--tls-private-key-file={}", file("server.key")));
            flags.push(format!("--config={}", file("kwok.yaml")));
        }
        // A node that is there before kwok never gets an address.
        let create_node = || self.kubectl(&["apply", "-f", &file("node.yaml")]).map(drop);
        if pods_serve.is_none() {
            create_node()?;
        }
        self.spawn("kwok", &flags)?;
        if pods_serve.is_some() {
            create_node()?;
        }
        self.wait_for("the node", &["wait", "--for=condition=Ready", "node/node-1", "--timeout=1s"])
    }

    fn spawn(&self, name: &str, flags: &[String]) -> Result<()> {
        let dir = self.dir().context("no folder")?;
        let process = start_process(name, flags, dir)?;
        self.processes.borrow_mut().push((process, flags.to_vec()));
        Ok(())
    }

    /// Asks kubectl until it succeeds; fails at once when one of our processes has ended.
    fn wait_for(&self, what: &str, args: &[&str]) -> Result<()> {
        wait(what, START_DEADLINE, || {
            let answer = self.kubectl(args);
            for (process, _) in &mut *self.processes.borrow_mut() {
                if let Some(status) = process.ended()? {
                    bail!("{} ended with {status}", process.name());
                }
            }
            Ok(answer.map(drop).map_err(|e| format!("{e:#}")))
        })
    }
}

/// What has kwok lead every port of every pod to one of this host.
fn forwarding_to(port: u16) -> String {
    let forwards = serde_json::json!([{"target": {"address": "127.0.0.1", "port": port}}]);
    let kind = ("kwok.x-k8s.io/v1alpha1", "ClusterPortForward");
    let metadata = serde_json::json!({"name": "all"});
    serde_json::json!({"apiVersion": kind.0, "kind": kind.1, "metadata": metadata, "spec": {"forwards": forwards}})
        .to_string()
}

fn start_process(name: &str, flags: &[String], dir: &Path) -> Result<Process> {
    let mut command = Command::new(binaries::find(name)?);
    command.args(flags).current_dir(dir).env_remove("KUBECONFIG");
    command.envs(FEW_COLLECTIONS);
    Process::spawn(name, &mut command, &dir.join(format!("{name}.log")))
}

impl Drop for ControlPlane {
    fn drop(&mut self) {
        if std::thread::panicking() && self.dir.is_some() {
            eprintln!("logs of the control plane: {}", self.keep_logs().display());
        }
        // The API server must not outlive etcd.
        while self.processes.get_mut().pop().is_some() {}
        self.dismiss_dir_watchdog();
    }
}

/// Tries until there is an answer. The inner error says why there is none yet; the last one is told when time is up. The
/// outer error ends the wait at once.
pub fn wait<T>(what: &str, patience: Duration, mut attempt: impl FnMut() -> Result<Result<T, String>>) -> Result<T> {
    let deadline = Instant::now() + patience;
    loop {
        match attempt().with_context(|| format!("while waiting for {what}"))? {
            Ok(answer) => return Ok(answer),
            Err(seen) if Instant::now() > deadline => bail!("waited {patience:?} for {what}; last seen: {seen}"),
            Err(_) => std::thread::sleep(PAUSE),
        }
    }
}

/// Ports that are free now and stay so until somebody listens: none is given twice by this program, and none is of those that
/// the kernel gives to connections (from 32768 on), of which there are thousands while a control plane starts.
pub fn free_ports<const N: usize>() -> Result<[u16; N]> {
    /// Programs that run at the same time begin at places of their own.
    static NEXT: LazyLock<AtomicU16> =
        LazyLock::new(|| AtomicU16::new(u16::try_from(std::process::id() % 16).unwrap_or_default() * 1000));
    let mut ports = [0; N];
    for port in &mut ports {
        *port = (0..16_000)
            .map(|_| 16_000 + NEXT.fetch_add(1, Ordering::Relaxed) % 16_000)
            .find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok())
            .context("no port is free from 16000 to 31999")?;
    }
    Ok(ports)
}
