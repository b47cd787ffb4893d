//! Which fields the operator takes over with an object: those that an earlier installer set, and never those that a person set.
//!
//! Every entry of `managedFields` is judged once, when we first meet the object. Programs that do nothing but install leave
//! no doubt. `kubectl` and `helm` are a person's hands as well as an installer's: what they set counts as installed where
//! they wrote the whole manifest, Istio's or Helm's labels and all, of an object that no operator has applied yet.

use super::drift::is_ours;
use crate::cluster::{FIELD_MANAGER, INSTALLERS};
use serde_json::{Map, Value, json};

/// Helm is an installer only beside its own marks. Its version 4 applies server-side.
const HELM: &str = "helm";

/// What `kubectl` is called as it applies, creates, replaces, and applies server-side.
const KUBECTL: [&str; 4] = ["kubectl-client-side-apply", "kubectl-create", "kubectl-replace", "kubectl"];

/// What Istio's charts, its operator, or Helm put on every object: a manifest that has any was made by an installer.
const MARKS: &[(&str, &str)] = &[
    ("labels", "install.operator.istio.io/owning-resource"),
    ("labels", "operator.istio.io/component"),
    ("labels", "operator.istio.io/managed"),
    ("labels", "istio.io/rev"),
    ("labels", "release"),
    ("labels", "helm.sh/chart"),
    ("labels", "app.kubernetes.io/part-of"),
    ("annotations", "meta.helm.sh/release-name"),
];

/// What a whole manifest has of each kind, `spec` of those that are not named; a patch by a person has less.
const SUBSTANCE: &[(&str, &[&str])] = &[
    ("Deployment", &["spec", "template", "spec", "containers"]),
    ("DaemonSet", &["spec", "template", "spec", "containers"]),
    ("StatefulSet", &["spec", "template", "spec", "containers"]),
    ("Service", &["spec", "ports"]),
    ("ConfigMap", &["data"]),
    ("Secret", &["data"]),
    ("ServiceAccount", &[]),
    ("Namespace", &[]),
    ("Role", &["rules"]),
    ("ClusterRole", &["rules"]),
    ("RoleBinding", &["roleRef"]),
    ("ClusterRoleBinding", &["roleRef"]),
    ("MutatingWebhookConfiguration", &["webhooks"]),
    ("ValidatingWebhookConfiguration", &["webhooks"]),
    ("CustomResourceDefinition", &["spec", "versions"]),
    ("HorizontalPodAutoscaler", &["spec", "scaleTargetRef"]),
];

/// The CRD of IstioOperator.
const OWN_DEFINITION: &str = "istiooperators.install.istio.io";

const LAST_APPLIED: &str = "/metadata/annotations/kubectl.kubernetes.io~1last-applied-configuration";

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value.get(field).and_then(Value::as_str).unwrap_or_default()
}

/// Whether an object, or a record of fields, has what only a whole manifest has. A record's fields begin with `f:`.
fn is_whole(kind: &str, value: &Value, prefix: &str) -> bool {
    let get =
        |names: &[&str]| names.iter().try_fold(value, |value, name| value.get(format!("{prefix}{name}"))).is_some();
    let substance = SUBSTANCE.iter().find(|(k, _)| *k == kind).map_or(&["spec"][..], |(_, names)| names);
    get(substance) && MARKS.iter().any(|(map, name)| get(&["metadata", map, name]))
}

/// The installers whose fields are to become ours, as a test for entries of `managedFields`.
struct Earlier<'a> {
    kind: &'a str,
    /// Whether we, or the operator before us, applied the object.
    is_operated: bool,
    /// Whether a program that does nothing but install, or Helm, wrote it: then `kubectl` was a person.
    is_installed: bool,
    /// Whether what `kubectl apply` was given last is not a whole manifest.
    is_patched: bool,
}

impl<'a> Earlier<'a> {
    fn of(live: &'a Value, entries: &[Value]) -> Self {
        let kind = text(live, "kind");
        let last = live.pointer(LAST_APPLIED).and_then(Value::as_str);
        // What cannot be read is not known to be a whole manifest, and stays a person's.
        let is_patched = last
            .is_some_and(|text| serde_json::from_str::<Value>(text).map_or(true, |last| !is_whole(kind, &last, "")));
        let is_operated = entries.iter().any(is_ours);
        let mut earlier = Self { kind, is_operated, is_installed: false, is_patched };
        earlier.is_installed = entries.iter().any(|entry| earlier.has_installed(entry));
        earlier
    }

    fn wrote_all(&self, entry: &Value) -> bool {
        !self.is_operated && entry.get("fieldsV1").is_some_and(|fields| is_whole(self.kind, fields, "f:"))
    }

    fn has_installed(&self, entry: &Value) -> bool {
        let manager = text(entry, "manager");
        (INSTALLERS.contains(&manager) && text(entry, "operation") == "Update")
            || (manager == HELM && self.wrote_all(entry))
    }

    fn covers(&self, entry: &Value) -> bool {
        let is_whole_manifest = || {
            KUBECTL.contains(&text(entry, "manager")) && !self.is_installed && !self.is_patched && self.wrote_all(entry)
        };
        text(entry, "subresource").is_empty() && (self.has_installed(entry) || is_whole_manifest())
    }
}

/// The `managedFields` of an object after the fields of earlier installers have become ours, as `kubectl apply --server-side`
/// does with those of its older self; `None` where there are none. Without it, fields that they set and nobody wants would
/// stay for ever.
pub(super) fn handed_over(live: &Value) -> Option<Vec<Value>> {
    let entries = entries(live)?;
    let who = Earlier::of(live, entries);
    let (earlier, mut others): (Vec<Value>, Vec<Value>) = entries.iter().cloned().partition(|entry| who.covers(entry));
    let newest = earlier.last()?;
    let mut fields = Map::new();
    for entry in earlier.iter().chain(others.iter().filter(|entry| is_ours(entry))) {
        unite(&mut fields, entry.get("fieldsV1").and_then(Value::as_object));
    }
    let mut ours = others.iter().find(|entry| is_ours(entry)).unwrap_or(newest).clone();
    if let Some(ours) = ours.as_object_mut() {
        ours.insert("manager".into(), FIELD_MANAGER.into());
        ours.insert("operation".into(), "Apply".into());
        ours.insert("fieldsV1".into(), Value::Object(fields));
    }
    others.retain(|entry| !is_ours(entry));
    others.push(ours);
    Some(others)
}

/// What earlier installers have in an object.
pub(super) struct Record<'a> {
    /// Their fields, as one record of managed fields.
    pub fields: Map<String, Value>,
    /// The records of all who are neither they nor we.
    pub of_others: Vec<&'a Value>,
}

/// The fields of earlier installers that would become ours; `None` where there are none.
pub(super) fn record(live: &Value) -> Option<Record<'_>> {
    let entries = entries(live)?;
    let who = Earlier::of(live, entries);
    let (earlier, others): (Vec<&Value>, Vec<&Value>) = entries.iter().partition(|entry| who.covers(entry));
    earlier.first()?;
    let mut fields = Map::new();
    for entry in earlier {
        unite(&mut fields, entry.get("fieldsV1").and_then(Value::as_object));
    }
    let of_others = others.into_iter().filter(|entry| !is_ours(entry)).filter_map(|entry| entry.get("fieldsV1"));
    Some(Record { fields, of_others: of_others.collect() })
}

/// Who manages the fields of an object that can be taken over. Our own CRD comes with the operator, by whatever deploys that and
/// goes on doing so.
fn entries(live: &Value) -> Option<&Vec<Value>> {
    let is_own = live.pointer("/metadata/name").is_some_and(|name| name == OWN_DEFINITION);
    live.pointer("/metadata/managedFields")?.as_array().filter(|_| !is_own)
}

/// The earlier installers whose fields would become ours, and these fields; nothing is handed over.
pub(super) fn earlier(live: &Value) -> Vec<(String, Vec<String>)> {
    let Some(entries) = entries(live) else { return vec![] };
    let who = Earlier::of(live, entries);
    let paths = |entry: &Value| {
        let mut found = vec![];
        collect_paths(entry.get("fieldsV1").and_then(Value::as_object), "", &mut found);
        found
    };
    let covered = entries.iter().filter(|entry| who.covers(entry));
    covered.map(|entry| (text(entry, "manager").to_owned(), paths(entry))).collect()
}

/// The fields of a record as paths, such as `.spec.ports[443,TCP].name`.
fn collect_paths(record: Option<&Map<String, Value>>, at: &str, into: &mut Vec<String>) {
    for (name, below) in record.into_iter().flatten().filter(|(name, _)| *name != ".") {
        let path = match name.split_once(':') {
            Some(("f", field)) => format!("{at}.{field}"),
            Some(("k", keys)) => {
                let read: Result<Map<String, Value>, _> = serde_json::from_str(keys);
                let shown = |key: &Value| key.as_str().map_or_else(|| key.to_string(), str::to_owned);
                // What is no JSON is shown as it is written, lest two items have one path.
                let keys = read
                    .map_or_else(|_| keys.to_owned(), |keys| keys.values().map(shown).collect::<Vec<_>>().join(","));
                format!("{at}[{keys}]")
            }
            _ => format!("{at}[{}]", name.split_once(':').map_or(name.as_str(), |(_, value)| value)),
        };
        let below = below.as_object().filter(|below| below.keys().any(|key| key != "."));
        match below {
            Some(below) => collect_paths(Some(below), &path, into),
            None => into.push(path),
        }
    }
}

/// The JSON patch that hands over, unless somebody has changed the object meanwhile.
pub(super) fn patch(live: &Value) -> Option<Value> {
    Some(json!([
        {"op": "replace", "path": "/metadata/managedFields", "value": handed_over(live)?},
        {"op": "replace", "path": "/metadata/resourceVersion", "value": live.pointer("/metadata/resourceVersion")},
    ]))
}

fn unite(into: &mut Map<String, Value>, from: Option<&Map<String, Value>>) {
    for (name, below) in from.into_iter().flatten() {
        let slot = into.entry(name.clone()).or_insert_with(|| json!({}));
        if let Some(slot) = slot.as_object_mut() {
            unite(slot, below.as_object());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_be_handed_over_is_told_by_installer_and_field() {
        let fields = json!({"f:metadata": {"f:labels": {".": {}, "f:a": {}}}, "f:spec": {"f:ports": {
            "k:{\"port\":443,\"protocol\":\"TCP\"}": {".": {}, "f:name": {}}}, "f:list": {"v:1": {}}}});
        let entry =
            |manager: &str| json!({"manager": manager, "operation": "Update", "apiVersion": "v1", "fieldsV1": fields});
        let live =
            json!({"kind": "Service", "metadata": {"name": "a", "managedFields": [entry("istioctl"), entry("eve")]}});
        let paths = [".metadata.labels.a", ".spec.list[1]", ".spec.ports[443,TCP].name"].map(str::to_owned).to_vec();
        assert_eq!(earlier(&live), [("istioctl".to_owned(), paths)]);
        assert_eq!(earlier(&json!({})), []);
    }

    #[test]
    fn fields_of_earlier_installers_become_ours_and_others_stay_theirs() {
        let live = json!({"metadata": {"resourceVersion": "7", "managedFields": [
            {"manager": "istio-operator", "operation": "Apply", "apiVersion": "v1", "fieldsV1": {"f:spec": {"f:a": {}}}},
            {"manager": "istioctl", "operation": "Update", "apiVersion": "v1", "fieldsV1": {"f:spec": {"f:b": {}}, "f:data": {}}},
            {"manager": "kube-controller-manager", "operation": "Update", "subresource": "status", "fieldsV1": {"f:status": {}}},
            {"manager": "kubectl-edit", "operation": "Update", "apiVersion": "v1", "fieldsV1": {"f:spec": {"f:c": {}}}}]}});
        let patch = patch(&live).unwrap();
        assert_eq!(patch[1]["value"], "7");
        let managers = patch[0]["value"].as_array().unwrap();
        let names: Vec<_> = managers.iter().map(|m| m["manager"].as_str().unwrap()).collect();
        assert_eq!(names, ["kube-controller-manager", "kubectl-edit", "istio-operator"]);
        assert_eq!(managers[2]["operation"], "Apply");
        assert_eq!(managers[2]["fieldsV1"], json!({"f:spec": {"f:a": {}, "f:b": {}}, "f:data": {}}));
    }

    #[test]
    fn an_object_that_was_only_applied_needs_no_hand_over() {
        let live = json!({"metadata": {"managedFields": [
            {"manager": "istio-operator", "operation": "Apply", "fieldsV1": {}},
            {"manager": "pilot-discovery", "operation": "Update", "fieldsV1": {}}]}});
        assert_eq!(handed_over(&live), None);
    }

    fn service(entries: &Value, last_applied: Option<&Value>) -> Value {
        let mut live =
            json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "x", "managedFields": entries}});
        if let Some(last) = last_applied {
            live["metadata"]["annotations"]["kubectl.kubernetes.io/last-applied-configuration"] =
                last.to_string().into();
        }
        live
    }

    fn entry(manager: &str, operation: &str, fields: &Value) -> Value {
        json!({"manager": manager, "operation": operation, "apiVersion": "v1", "fieldsV1": fields})
    }

    #[test]
    fn a_whole_manifest_is_an_installers_and_a_patch_a_persons() {
        let labels = json!({"f:labels": {"f:operator.istio.io/component": {}}});
        let whole = json!({"f:metadata": labels, "f:spec": {"f:ports": {}}});
        let unmarked = json!({"f:spec": {"f:ports": {}}});
        let patch = json!({"f:metadata": {"f:annotations": {"f:a": {}}}});
        for (manager, operation, fields, is_handed_over) in [
            ("kubectl-client-side-apply", "Update", &whole, true),
            ("kubectl-create", "Update", &whole, true),
            ("kubectl", "Apply", &whole, true),
            ("helm", "Update", &whole, true),
            ("helm", "Apply", &whole, true),
            ("kubectl-client-side-apply", "Update", &patch, false),
            ("kubectl-client-side-apply", "Update", &unmarked, false),
            ("helm", "Update", &patch, false),
            ("kubectl-edit", "Update", &whole, false),
            ("argocd-controller", "Apply", &whole, false),
            ("istioctl", "Update", &patch, true),
            ("istioctl", "Apply", &whole, false),
        ] {
            let live = service(&json!([entry(manager, operation, fields)]), None);
            assert_eq!(handed_over(&live).is_some(), is_handed_over, "{manager} {operation} {fields}");
            let operated = json!([entry("istio-operator", "Apply", &json!({})), entry(manager, operation, fields)]);
            let is_program = manager == "istioctl" && operation == "Update";
            assert_eq!(handed_over(&service(&operated, None)).is_some(), is_program, "{manager} after the operator");
        }
    }

    #[test]
    fn kubectl_is_a_person_beside_an_installer_and_with_a_patch() {
        let labels = json!({"f:labels": {"f:release": {}}});
        let whole = json!({"f:metadata": labels, "f:spec": {"f:ports": {}}});
        let kubectl = entry("kubectl-client-side-apply", "Update", &whole);
        let both = json!([entry("helm", "Update", &whole), kubectl]);
        let managers: Vec<_> =
            handed_over(&service(&both, None)).unwrap().iter().map(|e| e["manager"].clone()).collect();
        assert_eq!(managers, ["kubectl-client-side-apply", "istio-operator"]);
        let patch = json!({"metadata": {"annotations": {"a": "b"}}});
        assert_eq!(handed_over(&service(&json!([kubectl]), Some(&patch))), None);
        let manifest = json!({"metadata": {"labels": {"release": "istio"}}, "spec": {"ports": []}});
        assert!(handed_over(&service(&json!([kubectl]), Some(&manifest))).is_some());
    }
}
