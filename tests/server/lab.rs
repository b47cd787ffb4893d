//! A control plane with the operator beside it, and what tests ask of them.

use crate::controlplane::operator::Operator;
use crate::controlplane::pool::{self, Lent, Preparation};
use crate::controlplane::{ControlPlane, Options, wait};
use crate::proxy::Proxy;
use anyhow::{Context, bail};
use helm_template::yaml::{Duplicates, parse_documents};
use istio_operator::api::PLURAL;
use istio_operator::object::labels;
use istio_operator::release::Package;
use istio_operator::render::{self, ClusterInfo};
use kube::api::{Api, DynamicObject, ListParams, PartialObjectMeta};
use kube::discovery::{Discovery, verbs};
use kube::{Client, ResourceExt};
use serde_json::{Value, json};
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};

/// Longer than anything takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(90);
/// Kubernetes makes these of our Services, with their labels; most others that it makes have owner references. The record
/// of an installation is not part of it.
const NOT_INSTALLED: [&str; 3] = ["Endpoints", "EndpointSlice", "IstioOperator"];
const OPERATOR: &str = "system:serviceaccount:istio-operator:istio-operator";

/// What injects and validates where no revision is named.
const DEFAULT_TAG: [&str; 2] = [
    "MutatingWebhookConfiguration istio-revision-tag-default",
    "ValidatingWebhookConfiguration istiod-default-validator",
];

const ISTIO_SYSTEM: &str = "istio-system";

/// What identifies an object, and whether it changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stamp {
    pub uid: String,
    pub generation: Option<i64>,
    /// Another one after every write. That of an autoscaler's status is none: its controller writes it first a quarter of a
    /// minute after the autoscaler was made.
    pub written: String,
    pub component: String,
}

/// Objects by `Kind namespace/name`.
pub type Inventory = BTreeMap<String, Stamp>;

/// See the module.
pub struct Lab {
    runtime: Runtime,
    client: Client,
    operator: RefCell<Option<Operator>>,
    account: PathBuf,
    folder: tempfile::TempDir,
    plane: Lent,
    may_be_forbidden: Cell<bool>,
    declines_default: Cell<bool>,
}

impl Lab {
    /// A control plane with `config/default` applied, and the operator ready.
    pub fn start() -> Self {
        let lab = Self::without_operator();
        lab.start_operator();
        lab
    }

    /// The same with an IstioOperator resource `main` of this spec, which is HEALTHY.
    pub fn installed(spec: &str) -> Self {
        let lab = Self::start();
        lab.apply_spec(spec);
        lab.wait_for_status("HEALTHY", &[]);
        lab
    }

    /// The same, without the operator.
    pub fn without_operator() -> Self {
        Self::prepared(&FURNISHED)
    }

    /// The same with the operator, in a cluster that has never had Istio.
    pub fn bare() -> Self {
        let lab = Self::bare_without_operator();
        lab.start_operator();
        lab
    }

    /// The same, without the operator.
    pub fn bare_without_operator() -> Self {
        Self::prepared(&BARE)
    }

    fn prepared(preparation: &Preparation) -> Self {
        let lab = Self::on(pool::take(&options(), preparation).unwrap());
        if !lab.account.exists() {
            lab.log_in_as_operator();
        }
        lab
    }

    /// A control plane in which there is nothing.
    pub fn empty() -> Self {
        Self::on(pool::alone(&options()).unwrap())
    }

    fn on(plane: Lent) -> Self {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let client = runtime.block_on(plane.client()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let kept = plane.dir().unwrap_or(folder.path());
        let account = kept.join("operator.kubeconfig");
        let _ = std::fs::remove_file(kept.join("operator.log"));
        Self {
            runtime,
            client,
            operator: RefCell::default(),
            account,
            folder,
            plane,
            may_be_forbidden: Cell::default(),
            declines_default: Cell::default(),
        }
    }

    /// A kubeconfig with the operator's service account instead of the administrator.
    pub fn log_in_as_operator(&self) {
        let token = self.kubectl(&["create", "token", "istio-operator", "-n", "istio-operator", "--duration=4h"]);
        let text = self.kubectl(&["config", "view", "--raw", "--minify", "--flatten", "-o", "json"]);
        let mut config: Value = serde_json::from_str(&text).unwrap();
        config["users"][0]["user"] = json!({"token": token.trim()});
        std::fs::write(&self.account, config.to_string()).unwrap();
    }

    /// Starts the operator.
    pub fn start_operator(&self) {
        let mut operator = self.begin_operator();
        operator.wait_until_ready().unwrap();
        self.watch_over(operator);
    }

    /// Starts the operator without waiting until it is ready; it is the caller's.
    pub fn begin_operator(&self) -> Operator {
        // Beside the control plane's logs, which a failed test keeps.
        let folder = self.plane.dir().unwrap_or(self.folder.path());
        Operator::begin(&binary(), self.account.as_os_str(), folder, &[]).unwrap()
    }

    /// Starts one more operator, which is the caller's.
    pub fn start_another(&self, name: &str, args: &[&str]) -> Operator {
        let folder = self.folder.path().join(name);
        std::fs::create_dir(&folder).unwrap();
        Operator::start(&binary(), self.account.as_os_str(), &folder, args).unwrap()
    }

    /// A proxy before the API server that gets so many of a thousand requests wrong.
    pub fn proxy(&self, seed: u64, wrong: u64) -> Proxy {
        Proxy::start(&self.account, self.folder.path(), seed, wrong)
    }

    /// Starts an operator behind a proxy, which is the caller's.
    pub fn start_behind(&self, proxy: &Proxy, args: &[&str]) -> Operator {
        let folder = self.plane.dir().unwrap_or(self.folder.path());
        Operator::start(&binary(), proxy.kubeconfig().as_os_str(), folder, args).unwrap()
    }

    /// Has an operator watched over, and its log shown when a test fails.
    pub fn watch_over(&self, operator: Operator) {
        *self.operator.borrow_mut() = Some(operator);
    }

    /// A client for an administrator.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Runs a future of the client's.
    pub fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime.block_on(future)
    }

    /// A kubeconfig with the operator's service account.
    pub fn account(&self) -> &Path {
        &self.account
    }

    /// The control plane, for whom wants to break it.
    pub fn plane(&self) -> &ControlPlane {
        &self.plane
    }

    /// Kills the operator with SIGKILL.
    pub fn kill_operator(&self) {
        self.operator.borrow_mut().take().unwrap();
    }

    /// Asks the operator to end, and gives its exit code.
    pub fn terminate_operator(&self) -> Option<i32> {
        let operator = self.operator.borrow_mut().take().unwrap();
        operator.terminate().unwrap().code()
    }

    /// Sends the operator a signal, such as `STOP`.
    pub fn signal_operator(&self, signal: &str) {
        self.operator.borrow().as_ref().unwrap().signal(signal).unwrap();
    }

    /// How much the operator has asked for so far, for [`writes_since`](Self::writes_since).
    pub fn mark(&self) -> u64 {
        self.audit(0).1
    }

    fn audit(&self, from: u64) -> (Vec<Value>, u64) {
        self.plane.audit(from).unwrap_or_else(|e| self.fail(&format!("{e:#}")))
    }

    /// The operator's writes since a mark, from the API server's audit log, but those of Leases. What is only tried is not
    /// written.
    pub fn writes_since(&self, mark: u64) -> Vec<String> {
        let written = |event: &&Value| {
            ["create", "update", "patch", "delete", "deletecollection"].contains(&event["verb"].as_str().unwrap())
                && event["objectRef"]["resource"] != "leases"
                && !event["requestURI"].as_str().unwrap_or_default().contains("dryRun=All")
        };
        self.audit(mark).0.iter().filter(written).map(said).collect()
    }

    /// All requests of the operator since a mark.
    pub fn requests_since(&self, mark: u64) -> Vec<String> {
        self.audit(mark).0.iter().map(said).collect()
    }

    /// From now on the operator may be refused what it asks for; else a permission that is missing fails the test.
    pub fn expect_forbidden(&self) {
        self.may_be_forbidden.set(true);
    }

    /// A metric of the operator, see [`Operator::metric`].
    pub fn metric(&self, begin: &str) -> u64 {
        self.operator.borrow_mut().as_mut().unwrap().metric(begin).unwrap()
    }

    /// A page of the operator's monitoring port.
    pub fn page(&self, path: &str) -> String {
        self.operator.borrow_mut().as_mut().unwrap().get(path).unwrap().unwrap()
    }

    /// Runs kubectl, which must succeed.
    pub fn kubectl(&self, args: &[&str]) -> String {
        self.plane.kubectl(args).unwrap_or_else(|e| self.fail(&format!("{e:#}")))
    }

    /// Runs a pod with a sidecar of a revision, as the injector leaves it, in place of the one of its name. Nobody serves the
    /// webhook here, so it is kept from being asked.
    pub fn run_with_sidecar(&self, namespace: &str, name: &str, revision: &str) {
        self.wait("the service account", || {
            let path = format!("/api/v1/namespaces/{namespace}/serviceaccounts/default");
            self.get(&path).map(drop).ok_or_else(String::new)
        });
        self.kubectl(&["delete", "pod", name, "-n", namespace, "--ignore-not-found", "--force", "--grace-period=0"]);
        let status = json!({"containers": ["istio-proxy"], "revision": revision}).to_string();
        let pod = json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": name, "namespace": namespace,
                "labels": {"service.istio.io/canonical-name": name, "sidecar.istio.io/inject": "false"},
                "annotations": {"sidecar.istio.io/status": status}},
            "spec": {"containers": [{"name": name, "image": name}]},
        });
        self.request("POST", &format!("/api/v1/namespaces/{namespace}/pods"), &pod).unwrap();
    }

    /// Waits until definitions are established, see [`ControlPlane::wait_established`].
    pub fn wait_established(&self, definitions: &[&str]) {
        self.plane.wait_established(definitions).unwrap();
    }

    /// `kubectl apply` of a text.
    pub fn apply(&self, yaml: &str) {
        self.apply_with(&[], yaml);
    }

    /// The same with flags.
    pub fn apply_with(&self, flags: &[&str], yaml: &str) {
        let file = self.folder.path().join("applied.yaml");
        std::fs::write(&file, yaml).unwrap();
        self.kubectl(&[&["apply", "-f", &file.to_string_lossy()], flags].concat());
    }

    /// An IstioOperator resource `main` with this spec, in YAML's flow form.
    pub fn apply_spec(&self, spec: &str) {
        self.apply_named("main", spec);
    }

    /// The same under another name.
    pub fn apply_named(&self, name: &str, spec: &str) {
        let text = resource(name, spec);
        let declined = r#", annotations: {install.istio.io/default-revision: "false"}}"#;
        let is_declined = self.declines_default.get();
        self.apply(&if is_declined { text.replacen('}', declined, 1) } else { text });
    }

    /// From now on no resource wants the tag `default` without asking for it.
    pub fn decline_default(&self) {
        self.declines_default.set(true);
    }

    /// Annotates an IstioOperator resource, `NAME=VALUE`, or `NAME-` for no more.
    pub fn annotate(&self, name: &str, annotation: &str) {
        self.kubectl(&["annotate", "iop", name, "-n", ISTIO_SYSTEM, "--overwrite", annotation]);
    }

    /// Deletes an IstioOperator resource, and waits until it is gone.
    pub fn delete(&self, name: &str) {
        self.kubectl(&["delete", "iop", name, "-n", ISTIO_SYSTEM, "--timeout=60s"]);
    }

    /// Sends a request to the API server.
    pub fn request(&self, method: &str, path: &str, body: &Value) -> Result<Value, kube::Error> {
        let body = if body.is_null() { vec![] } else { body.to_string().into_bytes() };
        let request = http::Request::builder().method(method).uri(path).header("content-type", "application/json");
        self.runtime.block_on(self.client.request(request.body(body).unwrap()))
    }

    /// Reads from the API server; `None` where there is nothing.
    pub fn get(&self, path: &str) -> Option<Value> {
        match self.request("GET", path, &Value::Null) {
            Ok(value) => Some(value),
            Err(kube::Error::Api(status)) if status.code == 404 => None,
            Err(e) => self.fail(&format!("GET {path}: {e}")),
        }
    }

    /// An IstioOperator resource.
    pub fn iop(&self, name: &str) -> Option<Value> {
        self.get(&format!("/apis/install.istio.io/v1alpha1/namespaces/{ISTIO_SYSTEM}/{PLURAL}/{name}"))
    }

    /// A Deployment of the control plane.
    pub fn deployment(&self, name: &str) -> Option<Value> {
        self.get(&format!("/apis/apps/v1/namespaces/{ISTIO_SYSTEM}/deployments/{name}"))
    }

    /// The events of that reason.
    pub fn events(&self, reason: &str) -> Vec<Value> {
        let path = format!("/api/v1/namespaces/{ISTIO_SYSTEM}/events?fieldSelector=reason={reason}");
        self.get(&path).and_then(|list| list["items"].as_array().cloned()).unwrap_or_default()
    }

    /// Waits until an attempt gives an answer; the error says what is seen instead.
    pub fn wait<T>(&self, what: &str, mut attempt: impl FnMut() -> Result<T, String>) -> T {
        let answer = wait(what, PATIENCE, || {
            if let Some(operator) = self.operator.borrow_mut().as_mut()
                && let Err(e) = operator.get("/healthz")
            {
                bail!("{e:#}");
            }
            Ok(attempt())
        });
        answer.unwrap_or_else(|e| self.fail(&format!("{e:#}")))
    }

    /// Waits until the resource `main` has this status, said of its present generation; gives the whole status.
    pub fn wait_for_status(&self, phase: &str, message: &[&str]) -> Value {
        self.wait_for_status_of("main", phase, message)
    }

    /// The same of another resource.
    pub fn wait_for_status_of(&self, name: &str, phase: &str, message: &[&str]) -> Value {
        self.wait(&format!("status {phase} of {name} with {message:?}"), || {
            let resource = self.iop(name).ok_or("no resource")?;
            let status = &resource["status"];
            let said = status["message"].as_str().unwrap_or_default();
            let is_current = status["observedGeneration"] == resource["metadata"]["generation"];
            if is_current && status["status"] == phase && message.iter().all(|m| said.contains(m)) {
                return Ok(status.clone());
            }
            Err(status.to_string())
        })
    }

    /// What the status says of who uses a control plane, and the reason of the condition `InUse`.
    pub fn in_use(&self, name: &str) -> (Value, Value) {
        let status = self.iop(name).unwrap()["status"].take();
        let conditions = status["conditions"].as_array().cloned().unwrap_or_default();
        let condition = conditions.iter().find(|c| c["type"] == "InUse").cloned().unwrap_or_default();
        (status["inUse"].clone(), condition["reason"].clone())
    }

    /// Waits until the status says so.
    pub fn wait_for_use(&self, name: &str, is_used: bool, reason: &str) {
        self.wait(&format!("{name} to be {reason}"), || match self.in_use(name) {
            now if now == (json!(is_used), json!(reason)) => Ok(()),
            other => Err(format!("{other:?}")),
        });
    }

    /// Everything in the cluster, of any kind, that says it belongs to an IstioOperator resource, but what Kubernetes made
    /// of such objects.
    pub fn owned(&self) -> Inventory {
        self.runtime.block_on(self.list_owned()).unwrap_or_else(|e| self.fail(&format!("list what is owned: {e}")))
    }

    async fn list_owned(&self) -> Result<Inventory, kube::Error> {
        let selector = ListParams::default().labels(labels::OWNER_NAME);
        let discovery = Discovery::new(self.client.clone()).run().await?;
        let kinds = discovery.groups().flat_map(kube::discovery::ApiGroup::resources_by_stability);
        let lists = kinds.filter(|(k, c)| c.supports_operation(verbs::LIST) && !NOT_INSTALLED.contains(&&*k.kind)).map(
            |(kind, _)| {
                let api: Api<DynamicObject> = Api::all_with(self.client.clone(), &kind);
                let selector = selector.clone();
                async move { Ok::<_, kube::Error>((kind.kind, api.list_metadata(&selector).await?)) }
            },
        );
        // All at once: the first list of a definition takes the API server most of a second.
        let lists = futures::future::try_join_all(lists).await?;
        let objects = lists.iter().flat_map(|(kind, list)| list.items.iter().map(move |object| (kind, object)));
        let made_by_nobody = objects.filter(|(_, object)| object.owner_references().is_empty());
        Ok(made_by_nobody.map(|(kind, object)| (format!("{kind} {}", place(object)), stamp(kind, object))).collect())
    }

    /// The same, once two looks a while apart see the same: Kubernetes' own controllers have come to rest.
    pub fn owned_at_rest(&self) -> Inventory {
        let mut last = Inventory::new();
        self.wait("the cluster to come to rest", || {
            std::thread::sleep(Duration::from_millis(800));
            let now = self.owned();
            let same = now == last;
            let changed: Vec<_> = now.iter().filter(|(k, v)| last.get(*k) != Some(v)).map(|(k, _)| k.clone()).collect();
            last = now;
            if same { Ok(last.clone()) } else { Err(format!("{changed:?} changed")) }
        })
    }

    /// What a spec comes to as the first of its cluster, as `Kind namespace/name`: what `manifest generate` makes of it, and the
    /// tag `default` of a control plane.
    pub fn wanted(&self, spec: &str) -> BTreeSet<String> {
        let mut all = self.generated(spec);
        if all.contains("Deployment istio-system/istiod") {
            all.extend(DEFAULT_TAG.map(str::to_owned));
        }
        all
    }

    /// What `manifest generate` makes of a spec, as `Kind namespace/name`.
    fn generated(&self, spec: &str) -> BTreeSet<String> {
        let file = self.folder.path().join("generated.yaml");
        std::fs::write(&file, resource("main", spec)).unwrap();
        let out = Command::new(binary()).args(["manifest", "generate", "-f"]).arg(&file).output().unwrap();
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        let documents = parse_documents(&String::from_utf8(out.stdout).unwrap(), Duplicates::Refuse).unwrap();
        let text = |v: &Value, pointer: &str| v.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
        documents
            .iter()
            .map(|d| &d.value)
            .filter(|v| !v.is_null())
            .map(|v| match text(v, "/metadata/namespace") {
                none if none.is_empty() => format!("{} {}", text(v, "/kind"), text(v, "/metadata/name")),
                namespace => format!("{} {namespace}/{}", text(v, "/kind"), text(v, "/metadata/name")),
            })
            .collect()
    }

    /// Fails the test, with all that helps to find out why.
    pub fn fail(&self, what: &str) -> ! {
        let resources = self.plane.kubectl(&["get", PLURAL, "-A", "-o", "yaml"]).unwrap_or_else(|e| format!("{e:#}"));
        let log = match &*self.operator.borrow() {
            Some(operator) => operator.log_tail(40),
            None => "the operator does not run".into(),
        };
        panic!("{what}\n\n--- IstioOperator resources\n{resources}\n--- the operator's log\n{log}");
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        if std::thread::panicking() || self.may_be_forbidden.get() || self.plane.dir().is_none() {
            return;
        }
        let forbids = |event: &&Value| event["annotations"]["authorization.k8s.io/decision"] == "forbid";
        let forbidden: BTreeSet<_> = self.audit(0).0.iter().filter(forbids).map(said).collect();
        assert!(forbidden.is_empty(), "config/rbac does not allow {forbidden:#?}");
    }
}

fn options() -> Options {
    Options { audited_user: Some(OPERATOR), ..Options::default() }
}

/// What most tests find: the definitions that an earlier installation of `main` has left. To make fifteen definitions, and to
/// take them away again, is most of what an API server does in a test.
const FURNISHED: Preparation = Preparation {
    name: "furnished",
    prepare: |plane| {
        bring_operator(plane)?;
        let resource = json!({"metadata": {"name": "main", "namespace": ISTIO_SYSTEM}, "spec": {"profile": "minimal"}});
        let manifests = render::from_resource(&resource, &ClusterInfo::default(), &Package::embedded()?)?;
        let left: Vec<_> =
            manifests.objects().filter(|o| o.is_crd() && o.name() != "istiooperators.install.istio.io").collect();
        let file = plane.dir().context("no folder")?.join("definitions.yaml");
        std::fs::write(&file, left.iter().filter_map(|o| o.to_yaml()).collect::<Vec<_>>().join("\n---\n"))?;
        let file = file.to_string_lossy();
        plane.kubectl(&["apply", "--server-side", "--field-manager=istio-operator", "-f", &file])?;
        let names: Vec<_> = left.iter().map(|object| format!("crd/{}", object.name())).collect();
        plane.wait_established(&names.iter().map(String::as_str).collect::<Vec<_>>())
    },
};

/// What the first installation of a cluster finds.
const BARE: Preparation = Preparation { name: "bare", prepare: bring_operator };

/// The operator's own objects.
fn bring_operator(plane: &ControlPlane) -> anyhow::Result<()> {
    plane.kubectl(&["apply", "--server-side", "-k", concat!(env!("CARGO_MANIFEST_DIR"), "/config/default")])?;
    plane.kubectl(&["create", "namespace", ISTIO_SYSTEM])?;
    // The role of the operator is made of others by a controller.
    plane.kubectl(&["wait", "--for=jsonpath={.rules[40]}", "--timeout=2m", "clusterrole/istio-operator"])?;
    // From here on it is as it is, so that tests can take permissions away.
    plane.kubectl(&["patch", "clusterrole", "istio-operator", "--type=merge", "-p", r#"{"aggregationRule":null}"#])?;
    plane.wait_established(&["crd/istiooperators.install.istio.io"])
}

/// A request of the audit log: verb, resource, place, and answer.
fn said(event: &Value) -> String {
    let text = |pointer: &str| event.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let parts = [text("/objectRef/resource"), text("/objectRef/subresource")];
    let resource = parts.into_iter().filter(|p| !p.is_empty()).collect::<Vec<_>>().join("/");
    let place = [text("/objectRef/namespace"), text("/objectRef/name")].join("/");
    format!("{} {resource} {place}: {}", text("/verb"), event["responseStatus"]["code"])
}

/// The operator's binary: the one of this work tree, or that of `OPERATOR_BINARY`, to see how another build does.
pub fn binary() -> PathBuf {
    std::env::var_os("OPERATOR_BINARY").unwrap_or_else(|| env!("CARGO_BIN_EXE_istio-operator").into()).into()
}

/// A file of this work tree.
pub fn file(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn resource(name: &str, spec: &str) -> String {
    format!(
        "apiVersion: install.istio.io/v1alpha1\nkind: IstioOperator\nmetadata: {{name: {name}, namespace: {ISTIO_SYSTEM}}}\nspec: {spec}\n"
    )
}

fn place(object: &PartialObjectMeta<DynamicObject>) -> String {
    object.namespace().map(|n| n + "/").unwrap_or_default() + &object.name_any()
}

fn stamp(kind: &str, object: &PartialObjectMeta<DynamicObject>) -> Stamp {
    let of_spec = || object.managed_fields().iter().filter(|entry| entry.subresource.as_deref() != Some("status"));
    let written = match kind {
        "HorizontalPodAutoscaler" => serde_json::to_string(&of_spec().collect::<Vec<_>>()).unwrap(),
        _ => object.resource_version().unwrap_or_default(),
    };
    Stamp {
        uid: object.uid().unwrap_or_default(),
        generation: object.metadata.generation,
        written,
        component: object.labels().get(labels::COMPONENT).cloned().unwrap_or_default(),
    }
}

/// The names that are in the first and not in the second.
pub fn missing_in<'a>(first: &'a Inventory, second: &Inventory) -> BTreeSet<&'a str> {
    first.keys().filter(|k| !second.contains_key(*k)).map(String::as_str).collect()
}

/// What is in both, but was replaced or has another spec.
pub fn touched<'a>(before: &'a Inventory, after: &Inventory) -> BTreeSet<&'a str> {
    let same = |a: &Stamp, b: &Stamp| a.uid == b.uid && a.generation == b.generation;
    before.iter().filter(|(k, a)| after.get(*k).is_some_and(|b| !same(a, b))).map(|(k, _)| k.as_str()).collect()
}
