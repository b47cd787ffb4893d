//! Injection: a pod, or what makes pods, becomes the pod that the injector of an installation would make of it.
//!
//! In: an object, or a text of objects, and an [`Installation`]. Out: the same with a proxy, as the Go types of
//! Kubernetes are written ([`inject`], [`stream`]). Pure: no client and no randomness; the same input gives the same
//! bytes. A clock is read only to end templates that take too long.
//!
//! object → its pod (`workload`) → as the author wrote it (`overrides`) → templates (`template`, on views of typed trees)
//! merged over it → the author's containers over that → metrics, probes, annotations, order.
//!
//! A pod is left alone when it is on the host's network, in a system namespace such as `kube-system`, or says so by
//! `sidecar.istio.io/inject`. The installation's policy and its selectors are about pods that nobody asked to inject, and
//! are not read.

mod annotation_names;
mod annotations;
mod error;
mod functions;
mod injector;
mod installation;
mod layers;
mod maps;
mod mesh;
mod metrics;
mod overrides;
mod pod;
mod probes;
pub mod stream;
mod telemetry;
mod template;
mod templates;
mod types;
mod view;
mod workload;

#[cfg(test)]
mod tests;

pub use installation::Installation;
pub use types::Misfit;

use crate::spec::strategic::{WorkloadSchema, strategic_merge};
pub use error::InjectError;
use pod::{CONTAINERS, INIT_CONTAINERS, PROXY, Pod};
use probes::Agent;
use serde_json::{Map, Value, json};
use template::Subject;
use workload::Owner;

/// System namespaces, whose pods are never injected.
const IGNORED_NAMESPACES: [&str; 4] = ["kube-system", "kube-public", "kube-node-lease", "local-path-storage"];

/// The result for an object.
#[derive(Debug)]
pub enum Outcome {
    /// It has no pods.
    Untouched,
    /// It is not injected, for this reason; the object is in the form that Go writes.
    Skipped(Value, String),
    /// It is injected.
    Injected(Value),
}

/// Injects the pods of an object.
///
/// # Errors
/// Everything that is wrong with the object; or the first thing that is wrong with what templates make of it.
pub fn inject(object: &Value, installation: &Installation) -> Result<Outcome, Vec<InjectError>> {
    let Some(kind) = workload::kind_of(object) else { return Ok(Outcome::Untouched) };
    let shaped = types::shape(kind.name, object);
    let mut object = Value::Object(shaped.map_err(|m| m.into_iter().map(InjectError::Object).collect::<Vec<_>>())?);
    let part = |pointer: &str| object.pointer(pointer).cloned().unwrap_or_default();
    if part(kind.spec).is_null() {
        return Err(vec![InjectError::NoPod("spec.template", kind.name)]);
    }
    let pod = Pod::new(&part(kind.metadata), &part(kind.spec)).map_err(|m| vec![InjectError::Result(m)])?;
    let mut owner = Owner::of(&object, &pod);
    if owner.namespace.is_empty() {
        owner.namespace.clone_from(&installation.namespace);
    }
    if let Some(reason) = reason_to_skip(&object, &pod, &owner) {
        return Ok(Outcome::Skipped(object, reason));
    }
    let problems = annotations::problems(&pod);
    if !problems.is_empty() {
        return Err(problems);
    }
    let injected = inject_pod(&pod, &owner, installation).map_err(|error| match error {
        // An annotation that is wrong is named rather than the field that a template made of it.
        InjectError::Result(misfits) => match annotations::wrong_quantities(&pod) {
            none if none.is_empty() => vec![InjectError::Result(misfits)],
            wrong => wrong,
        },
        other => vec![other],
    })?;
    let (metadata, spec) = injected.into_parts();
    for (pointer, part) in [(kind.metadata, metadata), (kind.spec, spec)] {
        if let Some(place) = object.pointer_mut(pointer) {
            *place = part;
        }
    }
    Ok(Outcome::Injected(object))
}

/// Why the pods of an object are left alone, `None` where they are not or it has none.
#[must_use]
pub fn why_not_injected(object: &Value) -> Option<String> {
    let kind = workload::kind_of(object)?;
    let object = Value::Object(types::shape(kind.name, object).ok()?);
    let part = |pointer: &str| object.pointer(pointer).cloned().unwrap_or_default();
    let pod = Pod::new(&part(kind.metadata), &part(kind.spec)).ok()?;
    reason_to_skip(&object, &pod, &Owner::of(&object, &pod))
}

/// Why a pod is not to be injected, if it is not.
fn reason_to_skip(object: &Value, pod: &Pod, owner: &Owner) -> Option<String> {
    if pod.tree().pointer("/spec/hostNetwork") == Some(&Value::Bool(true)) {
        return Some(format!("{} has host networking enabled", owner.words()));
    }
    let own = pod.text("/metadata/namespace");
    let namespace = if own.is_empty() { &owner.namespace } else { own };
    if IGNORED_NAMESPACES.contains(&namespace) {
        return Some(format!("{} is in a namespace of the cluster's own", owner.words()));
    }
    // A cron job has the labels of its pods deeper than the metadata that is read otherwise; a refusal there counts, too.
    let inner = ["labels", "annotations"].map(|map| {
        let metadata = object.pointer("/spec/jobTemplate/spec/template/metadata")?;
        metadata.get(map)?.get(annotations::INJECT)?.as_str()
    });
    let said = [pod.label(annotations::INJECT).or_else(|| pod.annotation(annotations::INJECT)), inner[0].or(inner[1])];
    let refuses = |word: &str| !["", "y", "yes", "true", "on"].contains(&word.to_lowercase().as_str());
    said.into_iter().flatten().any(refuses).then(|| format!("{} has sidecar injection disabled", owner.words()))
}

fn inject_pod(original: &Pod, owner: &Owner, installation: &Installation) -> Result<Pod, InjectError> {
    let annotation = original.annotation(annotations::PROXY_CONFIG);
    let proxy = installation.mesh.proxy_with(annotation).map_err(|why| {
        let text = annotation.unwrap_or_default();
        annotations::invalid(annotations::PROXY_CONFIG, text, &why)
    })?;
    let written = overrides::as_written(original, &installation.mesh)?;
    let patches = template::run(&Subject { installation, pod: &written, owner, proxy: &proxy })?;
    let mut merged = original.tree().clone();
    let mut added = json!({});
    for (_, patch) in &patches {
        let patch = layers::without_empty_annotations(patch, original);
        layers::move_proxy(&mut merged, &patch);
        for tree in [&mut added, &mut merged] {
            let before = tree.clone();
            *tree = strategic_merge(tree.take(), &patch, &WorkloadSchema)?;
            layers::append_variables(tree, &before, original);
        }
    }
    let added = Pod::shaped(&added).map_err(InjectError::Result)?;
    let merged = Pod::shaped(&merged).map_err(InjectError::Result)?;
    let mut pod = overrides::reapply(&merged, original, &added)?;
    if installation.injector().follows_user_of_proxy() {
        overrides::follow_user(&mut pod, original, &proxy);
    }
    finish(pod, original, &added, installation, &proxy)
}

/// What is done to every pod after the templates.
fn finish(
    mut pod: Pod,
    original: &Pod,
    added: &Pod,
    installation: &Installation,
    proxy: &Map<String, Value>,
) -> Result<Pod, InjectError> {
    let network = original.label(NETWORK_LABEL).map_or_else(|| installation.value("/global/network"), str::to_owned);
    let cluster = installation.value("/global/multiCluster/clusterName");
    set_variables(&mut pod, [("ISTIO_META_CLUSTER_ID", &cluster), ("ISTIO_META_NETWORK", &network)]);
    metrics::merge(&mut pod, &installation.mesh);
    let rewrite = pod.annotation(annotations::REWRITE_PROBES).and_then(annotations::parse_bool);
    if rewrite.unwrap_or_else(|| installation.is_set("/sidecarInjectorWebhook/rewriteAppHTTPProbe")) {
        let before = original.annotation(annotations::STATUS).is_some();
        let hooks = installation.injector().takes_over_hooks();
        probes::rewrite(&mut pod, Agent { port: installation.mesh.status_port(), hooks }, before);
    }
    if installation.injector().announces_secure_metrics() {
        metrics::announce_secure_port(&mut pod);
    }
    if !network.is_empty() {
        pod.set_label(NETWORK_LABEL, &network);
    }
    pod.annotate(annotations::STATUS, status(added, &installation.revision));
    for (name, value) in &installation.annotations {
        pod.annotate(name, value.as_str());
    }
    let first = proxy.get("holdApplicationUntilProxyStarts") == Some(&Value::Bool(true))
        || installation.is_set("/global/proxy/holdApplicationUntilProxyStarts");
    put_in_order(&mut pod, first);
    Pod::shaped(pod.tree()).map_err(InjectError::Result)
}

/// Puts the containers of a pod in order.
fn put_in_order(pod: &mut Pod, proxy_first: bool) {
    pod.move_to(CONTAINERS, PROXY, proxy_first);
    if pod.has_native_proxy() {
        // The network is redirected first, and all others have a proxy: those that run before the pod's, too.
        for name in ["enable-core-dump", PROXY, "istio-validation", "istio-init"] {
            pod.move_to(INIT_CONTAINERS, name, true);
        }
    } else {
        // The container that checks the network goes before those that use it; the ones that change it go last.
        pod.move_to(INIT_CONTAINERS, "istio-validation", true);
        pod.move_to(INIT_CONTAINERS, "istio-init", false);
        pod.move_to(INIT_CONTAINERS, "enable-core-dump", false);
    }
}

const NETWORK_LABEL: &str = "topology.istio.io/network";

/// Sets these environment variables of the proxy; those without value are left as they are.
fn set_variables(pod: &mut Pod, variables: [(&str, &String); 2]) {
    let Some(proxy) = pod.proxy_mut() else { return };
    let set = || variables.into_iter().filter(|(_, value)| !value.is_empty());
    if let Some(env) = proxy.get_mut("env").and_then(Value::as_array_mut) {
        env.retain(|variable| !set().any(|(name, _)| pod::name_of(variable) == name));
    }
    set().for_each(|(name, value)| pod::add_variable(proxy, name, value));
}

/// What was injected, for the next injection and for people.
fn status(added: &Pod, revision: &str) -> String {
    let names = |list: &str| match added.names(list) {
        names if names.is_empty() => Value::Null,
        names => names.into(),
    };
    let status = json!({
        "initContainers": names(INIT_CONTAINERS),
        "containers": names(CONTAINERS),
        "volumes": names("volumes"),
        "imagePullSecrets": names("imagePullSecrets"),
        "revision": revision,
    });
    types::json("InjectionStatus", &status)
}
