//! What a resource may install: anything in the cluster from a privileged namespace, and only objects of its own namespace from
//! any other.
//!
//! The operator may write ClusterRoles, webhooks and Secrets, and whoever may create an IstioOperator resource uses these
//! permissions: an overlay on istiod's ClusterRoleBinding would give a tenant all Secrets of the cluster. So everything that a
//! resource outside the privileged namespaces renders to is checked, whether it comes from a profile, values or overlays.

use crate::object::Object;
use crate::object::manifests::Manifests;
use serde_json::Value;

/// Where control planes live that nobody places.
const DEFAULT_NAMESPACE: &str = "istio-system";
/// How many findings are told.
const TOLD: usize = 5;

/// The namespaces whose resources may install anything anywhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Privileged {
    /// Every one.
    All,
    /// These.
    Some(Vec<String>),
}

impl Privileged {
    /// Names separated by commas; `*` for all.
    #[must_use]
    pub fn new(names: &str) -> Self {
        let names: Vec<String> = names.split(',').map(str::trim).filter(|n| !n.is_empty()).map(str::to_owned).collect();
        if names.iter().any(|name| name == "*") { Self::All } else { Self::Some(names) }
    }

    /// Whether a namespace is one of them.
    #[must_use]
    pub fn includes(&self, namespace: &str) -> bool {
        match self {
            Self::All => true,
            Self::Some(names) => names.iter().any(|name| name == namespace),
        }
    }

    /// Whether a resource of this namespace may have these manifests.
    ///
    /// # Errors
    /// They reach beyond it, and it is not one of the privileged ones.
    pub fn check(&self, namespace: &str, manifests: &Manifests) -> Result<(), OutOfReach> {
        if self.includes(namespace) {
            return Ok(());
        }
        let findings = beyond(namespace, manifests);
        if findings.is_empty() { Ok(()) } else { Err(OutOfReach { namespace: namespace.to_owned(), findings }) }
    }
}

/// What a resource of a namespace that is not privileged wants, and may not have.
#[derive(Debug, thiserror::Error)]
#[error(
    "namespace {namespace} is not privileged, so its resources may install into {namespace} only, and nothing that reaches \
     beyond it: {}. Move the resource to a privileged namespace, such as istio-system, or have an administrator \
     start the operator with --privileged-namespaces",
    self.found()
)]
pub struct OutOfReach {
    /// The namespace of the resource.
    pub namespace: String,
    /// Each object, or field of the spec, that reaches beyond it, and how.
    pub findings: Vec<String>,
}

impl OutOfReach {
    /// One word for it.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        "NotPrivileged"
    }

    fn found(&self) -> String {
        let told = self.findings.iter().take(TOLD).cloned().collect::<Vec<_>>().join("; ");
        match self.findings.len().saturating_sub(TOLD) {
            0 => told,
            more => format!("{told}; and {more} more"),
        }
    }
}

/// All that reaches beyond a namespace.
fn beyond(namespace: &str, manifests: &Manifests) -> Vec<String> {
    let objects = manifests.objects();
    let mut findings: Vec<String> = objects
        .filter_map(|object| {
            let why = why_beyond(namespace, object)?;
            Some(format!("{}: {why}", object.key()))
        })
        .collect();
    findings.extend(overlays_on_roles(&manifests.spec));
    // Where it is missing it would be made; the default one is nobody's choice.
    if ![namespace, DEFAULT_NAMESPACE].contains(&manifests.namespace.as_str()) {
        findings.push(format!("spec.namespace {}: another namespace", manifests.namespace));
    }
    findings
}

fn why_beyond(namespace: &str, object: &Object) -> Option<String> {
    match object.namespace() {
        "" => return Some("not in a namespace".to_owned()),
        other if other != namespace => return Some("in another namespace".to_owned()),
        _ => {}
    }
    let value = object.value();
    match (object.group(), object.kind()) {
        ("rbac.authorization.k8s.io", "RoleBinding") => binding(namespace, &value),
        ("rbac.authorization.k8s.io", "Role") => role(&value),
        ("apps" | "batch" | "", _) => pod(&value),
        _ => None,
    }
}

/// A binding of a role that is not in the namespace, or to a subject that is not.
fn binding(namespace: &str, binding: &Value) -> Option<String> {
    let role = binding.pointer("/roleRef/kind").and_then(Value::as_str).unwrap_or_default();
    if role != "Role" {
        return Some(format!("binds a {role}"));
    }
    let subjects = binding.get("subjects").and_then(Value::as_array).into_iter().flatten();
    let is_own = |subject: &&Value| {
        let text = |field: &str| subject.get(field).and_then(Value::as_str).unwrap_or_default();
        text("kind") == "ServiceAccount" && [namespace, ""].contains(&text("namespace"))
    };
    let mut others = subjects.filter(|subject| !is_own(subject));
    others.next().map(|_| "binds somebody who is not a service account of the namespace".to_owned())
}

/// A role that allows more than a gateway needs: to read Secrets.
fn role(role: &Value) -> Option<String> {
    let texts = |rule: &Value, field: &str| -> Vec<String> {
        let list = rule.get(field).and_then(Value::as_array).into_iter().flatten();
        list.map(|v| v.as_str().unwrap_or_default().to_owned()).collect()
    };
    let is_more = |rule: &Value| {
        texts(rule, "apiGroups").iter().any(|group| !group.is_empty())
            || texts(rule, "resources").iter().any(|resource| resource != "secrets")
            || texts(rule, "verbs").iter().any(|verb| !["get", "list", "watch"].contains(&verb.as_str()))
    };
    let mut rules = role.get("rules").and_then(Value::as_array).into_iter().flatten();
    rules.any(is_more).then(|| "allows more than to read Secrets".to_owned())
}

/// What gives a pod hold of its node.
const OF_THE_NODE: [&str; 3] = ["hostNetwork", "hostPID", "hostIPC"];
/// The capabilities that a gateway has.
const CAPABILITIES: [&str; 1] = ["NET_BIND_SERVICE"];

/// A workload or pod that gets hold of its node.
fn pod(object: &Value) -> Option<String> {
    let spec = object.pointer("/spec/template/spec").or_else(|| object.pointer("/spec/jobTemplate/spec/template/spec"));
    let spec = spec.or_else(|| object.get("spec"))?;
    let is_true = |value: &Value, field: &str| value.get(field).is_some_and(|v| *v == Value::Bool(true));
    if let Some(field) = OF_THE_NODE.into_iter().find(|field| is_true(spec, field)) {
        return Some(format!("its pods have {field}"));
    }
    let list = |field: &str| spec.get(field).and_then(Value::as_array).into_iter().flatten();
    if list("volumes").any(|volume| volume.get("hostPath").is_some_and(|path| !path.is_null())) {
        return Some("its pods have a hostPath".to_owned());
    }
    let containers = ["containers", "initContainers", "ephemeralContainers"].into_iter().flat_map(list);
    containers.into_iter().find_map(container)
}

fn container(container: &Value) -> Option<String> {
    let security = container.get("securityContext")?;
    let name = container.get("name").and_then(Value::as_str).unwrap_or_default();
    if security.get("privileged").is_some_and(|v| *v == Value::Bool(true)) {
        return Some(format!("its container {name} is privileged"));
    }
    let added = security.pointer("/capabilities/add").and_then(Value::as_array).into_iter().flatten();
    let mut more = added.filter_map(Value::as_str).filter(|capability| !CAPABILITIES.contains(capability));
    more.next().map(|capability| format!("its container {name} has the capability {capability}"))
}

/// Who may do what is not for a spec to say.
fn overlays_on_roles(spec: &Value) -> Vec<String> {
    let mut found = vec![];
    let mut open = vec![spec.get("components").unwrap_or(&Value::Null)];
    while let Some(value) = open.pop() {
        match value {
            Value::Array(items) => open.extend(items),
            Value::Object(map) => {
                open.extend(map.values());
                let overlays = map.get("overlays").and_then(Value::as_array).into_iter().flatten();
                let kinds = overlays.filter_map(|overlay| overlay.get("kind")?.as_str());
                let of_roles = kinds.filter(|kind| kind.contains("Role"));
                found.extend(of_roles.map(|kind| format!("an overlay on a {kind}")));
            }
            _ => {}
        }
    }
    found
}

#[cfg(test)]
mod tests;
