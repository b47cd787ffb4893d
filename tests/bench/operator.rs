//! The operator beside a control plane of its own: time to HEALTHY, time to repair, memory.

use super::controlplane::ControlPlane;
use super::controlplane::operator::Operator;
use super::{mib, spread};
use anyhow::{Context, Result};
use serde_json::Value;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;

const PATIENCE: Duration = Duration::from_mins(2);
const SAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/config/samples/demo.yaml");
pub const RESOURCES: &str = "/apis/install.istio.io/v1alpha1/namespaces/istio-system/istiooperators";
const REPAIRS: usize = 15;
/// How often the demo profile is installed, each time on a new control plane.
const INSTALLATIONS: usize = 5;

/// What is damaged: its path, and a merge patch where it is edited and not deleted.
pub const DAMAGES: &[(&str, &str, Option<&str>)] = &[
    ("Service deleted", "/api/v1/namespaces/istio-system/services/istio-ingressgateway", None),
    ("ConfigMap deleted", "/api/v1/namespaces/istio-system/configmaps/istio", None),
    (
        "Service edited",
        "/api/v1/namespaces/istio-system/services/istiod",
        Some(r#"{"metadata": {"labels": {"app": "edited"}}}"#),
    ),
    ("ConfigMap edited", "/api/v1/namespaces/istio-system/configmaps/istio", Some(r#"{"data": {"mesh": "edited"}}"#)),
    (
        "Deployment edited",
        "/apis/apps/v1/namespaces/istio-system/deployments/istiod",
        Some(r#"{"metadata": {"labels": {"app": "edited"}}}"#),
    ),
    (
        "ClusterRole edited",
        "/apis/rbac.authorization.k8s.io/v1/clusterroles/istiod-clusterrole-istio-system",
        Some(r#"{"rules": []}"#),
    ),
    (
        "webhook edited",
        "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/istio-sidecar-injector",
        Some(r#"{"webhooks": []}"#),
    ),
    (
        "CustomResourceDefinition edited",
        "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/gateways.networking.istio.io",
        Some(r#"{"metadata": {"labels": {"app": "edited"}}}"#),
    ),
];

/// A control plane with our definition, and the operator beside it.
pub struct Site {
    pub operator: Operator,
    pub api: Api,
    plane: ControlPlane,
}

impl Site {
    pub fn start(binary: &Path) -> Result<Self> {
        let plane = ControlPlane::start()?;
        let folder = plane.dir().context("a control plane of our own")?.to_owned();
        let crd = folder.join("crd.yaml");
        std::fs::write(&crd, Command::new(binary).arg("crd").output()?.stdout)?;
        plane.kubectl(&["apply", "--server-side", "-f", &crd.to_string_lossy()])?;
        plane.wait_established(&["-f", &crd.to_string_lossy()])?;
        plane.kubectl(&["create", "namespace", "istio-system"])?;
        let operator = Operator::start(binary, plane.kubeconfig(), &folder, &[])?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let api = Api { client: runtime.block_on(plane.client())?, runtime };
        Ok(Self { operator, api, plane })
    }

    /// The sample of the demo profile.
    pub fn sample(&self) -> Result<Value> {
        let mut command = Command::new(self.plane.kubectl_path());
        command.env("KUBECONFIG", self.plane.kubeconfig());
        command.args(["create", "--dry-run=client", "-o", "json", "-f", SAMPLE]);
        Ok(serde_json::from_slice(&command.output()?.stdout)?)
    }
}

pub fn run(binary: &Path) -> Result<()> {
    let site = Site::start(binary)?;
    let sample = site.sample()?;
    // The control plane ends with its variable.
    let Site { plane: _plane, mut operator, api } = site;
    println!("operator, before any resource: {}", memory(operator.id())?);

    let mut times = vec![install(&api, &sample)?];
    let writes = operator.metric("istio_install_operator_apply_total")?;
    println!("operator, idle with the demo profile: {}", memory(operator.id())?);
    for _ in 1..INSTALLATIONS {
        let site = Site::start(binary)?;
        times.push(install(&site.api, &sample)?);
    }
    println!("demo profile, created to HEALTHY, {writes} objects written: {}", spread(&mut times));

    for (what, path, edit) in DAMAGES {
        let edit: Option<Value> = edit.map(serde_json::from_str).transpose()?;
        let mut times = vec![];
        for _ in 0..REPAIRS {
            times.push(api.repair(path, edit.as_ref())?);
        }
        println!("{what} to repaired: {}", spread(&mut times));
    }
    println!("operator, after the repairs: {}", memory(operator.id())?);
    Ok(())
}

/// Creates a resource; gives the time from the answer of the API server, which the first one of a new definition takes up to two
/// seconds, until it is HEALTHY.
fn install(api: &Api, sample: &Value) -> Result<Duration> {
    api.send("POST", RESOURCES, sample)?;
    let begin = Instant::now();
    api.wait("HEALTHY", &format!("{RESOURCES}/demo"), |r| r["status"]["status"] == "HEALTHY")?;
    Ok(begin.elapsed())
}

/// Resident memory now and at its peak.
pub fn memory(process: u32) -> Result<String> {
    let [now, file, peak] = resident(process)?;
    Ok(format!("{now:.1} MiB resident ({file:.1} of them the binary), {peak:.1} MiB at its peak"))
}

/// Resident memory in MiB: now, of it the binary, and at its peak.
pub fn resident(process: u32) -> Result<[f64; 3]> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status"))?;
    let kib = |field: &str| {
        let line = status.lines().find_map(|l| l.strip_prefix(field))?;
        line.trim().strip_suffix(" kB")?.parse::<u64>().ok()
    };
    Ok(["VmRSS:", "RssFile:", "VmHWM:"].map(|f| kib(f).map_or(0.0, |kib| mib(kib * 1024))))
}

/// Seconds of CPU that a process has used.
pub fn busy(process: u32) -> Result<f64> {
    const TICKS: f64 = 100.0;
    let text = std::fs::read_to_string(format!("/proc/{process}/stat"))?;
    let fields: Vec<&str> = text.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |field: usize| fields.get(field).and_then(|f| f.parse::<f64>().ok()).unwrap_or_default();
    Ok((ticks(11) + ticks(12)) / TICKS)
}

/// The API server, as an administrator.
pub struct Api {
    pub client: kube::Client,
    pub runtime: Runtime,
}

impl Api {
    pub fn send(&self, method: &str, path: &str, body: &Value) -> Result<Value> {
        let kind = if method == "PATCH" { "application/merge-patch+json" } else { "application/json" };
        let body = if body.is_null() { vec![] } else { body.to_string().into_bytes() };
        let request = http::Request::builder().method(method).uri(path).header("content-type", kind).body(body)?;
        Ok(self.runtime.block_on(self.client.request(request))?)
    }

    pub fn wait(&self, what: &str, path: &str, is_so: impl Fn(&Value) -> bool) -> Result<()> {
        let begin = Instant::now();
        loop {
            match self.send("GET", path, &Value::Null) {
                Ok(value) if is_so(&value) => return Ok(()),
                seen if begin.elapsed() > PATIENCE => anyhow::bail!("{what} did not come; last seen: {seen:?}"),
                _ => std::thread::sleep(Duration::from_millis(5)),
            }
        }
    }

    /// Damages an object; gives the time from the answer of the API server until it is as before.
    pub fn repair(&self, path: &str, edit: Option<&Value>) -> Result<Duration> {
        let before = self.send("GET", path, &Value::Null)?;
        match edit {
            None => self.send("DELETE", path, &Value::Null)?,
            Some(edit) => self.send("PATCH", path, edit)?,
        };
        let begin = Instant::now();
        let content = |v: &Value| {
            ["data", "rules", "webhooks"]
                .map(|f| v[f].clone())
                .into_iter()
                .chain([v["metadata"]["labels"].clone()])
                .collect::<Vec<_>>()
        };
        self.wait("the repair", path, |v| content(v) == content(&before))?;
        Ok(begin.elapsed())
    }
}
