//! Releases from 1.24 on: a spec is a map that is merged over its profile, and goes to the charts as Helm values.
//!
//! In: the profile and the user's spec. Out: the merged document ([`merge`]), whose `values` have what the API's own fields
//! say, and the components with their values ([`enabled`]). Facts: release 1.30, `operator/pkg/render` and
//! `operator/pkg/component`.

use super::components::Enabled;
use super::values::text_of;
use super::{autoscaling, placement};
use crate::api::component::{ALL, Component};
use crate::api::quantity;
use crate::api::text::scalar_text;
use crate::spec::merge::{MergeError, merge_maps, overlay_maps};
use crate::spec::path::text;
use crate::spec::request::gateways::LISTS;
use crate::spec::set::{is_text_since_124, value_of_type};
use crate::spec::switches::Switches;
use serde_json::{Map, Value, json};

/// Fields of the spec, and the path below `values` that each goes to. `meshConfig` is merged, the others are set.
const TRANSLATED: [(&str, &[&str]); 4] = [
    ("hub", &["global", "hub"]),
    ("tag", &["global", "tag"]),
    ("revision", &["revision"]),
    ("compatibilityVersion", &["compatibilityVersion"]),
];

/// Components whose enablement charts ask for, and where: always written, `false` also for one that is on by default.
const ENABLEMENT: [(Component, &[&str]); 2] =
    [(Component::Pilot, &["pilot", "enabled"]), (Component::Cni, &["pilot", "cni", "enabled"])];

/// Components that are installed when the spec does not speak of them.
const ON_BY_DEFAULT: [Component; 3] = [Component::Base, Component::Pilot, Component::IngressGateways];

/// The fields of a port of a Service, as its Go type writes them.
const PORT_FIELDS: [&str; 6] = ["name", "protocol", "appProtocol", "port", "targetPort", "nodePort"];

/// The user's spec over its profile, with what the API's fields say in `values`.
pub(super) fn merge(profile: Value, user: &Value, switches: &Switches) -> Result<Value, MergeError> {
    if switches.is_upstream {
        return Ok(merge_exactly(profile, user));
    }
    let mut document = overlay_maps(profile, user, switches)?;
    translate(&mut document);
    // Maps that the profile had are the user's own again; what stands only in the user's values was written over.
    match user.pointer("/spec/values") {
        Some(values) if values.is_object() => overlay_maps(document, &json!({"spec": {"values": values}}), switches),
        _ => Ok(document),
    }
    .map(|mut document| {
        if let Some(namespace) = text(&document, "/spec/values/global/istioNamespace").map(str::to_owned) {
            merge_maps(&mut document, &nested(&["metadata", "namespace"], namespace.into()));
        }
        document
    })
}

/// The same as the release's own command line does it: a null in the spec is the text `<nil>` in `values`, what is written
/// below a null is lost, and the user's values come last only where the profile has a map, too.
fn merge_exactly(profile: Value, user: &Value) -> Value {
    let of_profile = profile.pointer("/spec/values").cloned().unwrap_or_default();
    let mut document = profile;
    merge_maps(&mut document, user);
    for (field, path) in TRANSLATED {
        if let Some(value) = document.pointer(&format!("/spec/{field}")) {
            let text = text_of(value);
            let at = format!("spec.values.{}", path.join("."));
            let value = if is_text_since_124(&at) { text.into() } else { value_of_type(text.trim()) };
            set(&mut document, &below_values(path), value);
        }
    }
    match document.pointer("/spec/meshConfig").cloned() {
        Some(mesh @ Value::Object(_)) => put(&mut document, &["meshConfig"], mesh),
        Some(other) => set(&mut document, &below_values(&["meshConfig"]), text_of(&other).into()),
        None => {}
    }
    for (component, path) in ENABLEMENT {
        let is_on = is_on(&document, component).into();
        set(&mut document, &below_values(path), is_on);
    }
    if let (Some(values), Some(of_user)) = (document.pointer_mut("/spec/values"), user.pointer("/spec/values")) {
        merge_user_values(values, &of_profile, of_user);
    }
    if let Some(namespace) = text(&document, "/spec/values/global/istioNamespace").filter(|n| !n.is_empty()) {
        let namespace = namespace.to_owned();
        set(&mut document, &["metadata", "namespace"], namespace.into());
    }
    document
}

/// The list of gateways that is null, of which the release's own process dies.
pub(super) fn null_list(document: &Value) -> Option<String> {
    let is_null = |list: &&&str| document.pointer(&format!("/spec/components/{list}")) == Some(&Value::Null);
    LISTS.iter().find(is_null).map(|list| format!("spec.components.{list}"))
}

/// Merges the user's values over merged ones again, but for maps that the profile does not have: those are one map, in which
/// what came later stays.
fn merge_user_values(values: &mut Value, of_profile: &Value, of_user: &Value) {
    let (Value::Object(values), Value::Object(of_profile), Value::Object(of_user)) = (values, of_profile, of_user)
    else {
        return;
    };
    for (key, value) in of_user {
        match (value.is_object(), of_profile.get(key), values.get_mut(key)) {
            (true, Some(of_profile @ Value::Object(_)), Some(merged)) => merge_user_values(merged, of_profile, value),
            (true, _, Some(merged)) if !merged.is_object() => value.clone_into(merged),
            (true, ..) => {}
            (false, ..) => drop(values.insert(key.clone(), value.clone())),
        }
    }
}

/// Sets what is at a path; below a null or a scalar it is lost.
fn set(node: &mut Value, path: &[&str], value: Value) {
    match (path, node) {
        ([], node) => *node = value,
        ([key, rest @ ..], Value::Object(map)) => set(map.entry(*key).or_insert_with(|| json!({})), rest, value),
        _ => {}
    }
}

fn below_values<'p>(path: &[&'p str]) -> Vec<&'p str> {
    ["spec", "values"].iter().chain(path).copied().collect()
}

fn is_on(document: &Value, component: Component) -> bool {
    let field = component.info().field;
    document.pointer(&format!("/spec/components/{field}/enabled")) == Some(&Value::Bool(true))
}

/// Writes what the API's own fields say into `values`.
fn translate(document: &mut Value) {
    for (field, path) in TRANSLATED {
        if let Some(value) = document.pointer(&format!("/spec/{field}")).filter(|v| !v.is_null()) {
            let value = Value::from(text_of(value));
            put(document, path, value);
        }
    }
    if let Some(mesh) = document.pointer("/spec/meshConfig").filter(|mesh| mesh.is_object()).cloned() {
        put(document, &["meshConfig"], mesh);
    }
    for (component, path) in ENABLEMENT {
        let is_on = is_on(document, component).into();
        put(document, path, is_on);
    }
}

/// Merges something over what stands at a path of a document's `values`.
fn put(document: &mut Value, path: &[&str], value: Value) {
    merge_maps(document, &nested(&["spec", "values"], nested(path, value)));
}

fn nested(path: &[&str], value: Value) -> Value {
    path.iter().rev().fold(value, |inner, key| json!({ *key: inner }))
}

/// The namespace of components that name none.
pub(super) fn namespace(spec: &Value, metadata: Option<&Value>) -> String {
    let of_values = text(spec, "/values/global/istioNamespace");
    let of_metadata = metadata.and_then(|metadata| text(metadata, "/namespace"));
    let named = [of_values, of_metadata].into_iter().flatten().find(|name| !name.is_empty());
    named.unwrap_or("istio-system").to_owned()
}

/// The revision of a control plane: the charts' own value.
pub(super) fn revision(spec: &Value) -> &str {
    ["/values/revision", "/revision"].iter().find_map(|at| text(spec, at).filter(|r| !r.is_empty())).unwrap_or_default()
}

/// The enabled components, core ones first, then each gateway in the spec's order.
pub(super) fn enabled(spec: &Value, namespace: &str, switches: &Switches) -> Vec<Enabled> {
    let mut values = spec.get("values").cloned().unwrap_or_else(|| json!({}));
    if let Some(more) = spec.get("unvalidatedValues").filter(|more| more.is_object()) {
        merge_maps(&mut values, more);
    }
    let shown = |component: &Component| match component {
        Component::IstiodRemote => false,
        Component::Ztunnel => switches.has_ztunnel,
        _ => true,
    };
    let mut found = vec![];
    for component in ALL.into_iter().filter(shown) {
        for settings in chosen(spec, &values, component) {
            found.push(of_component(spec, &values, component, settings, namespace, switches));
        }
    }
    found
}

/// The settings of what is installed of a component: one, or one for each of its gateways.
fn chosen<'s>(spec: &'s Value, values: &Value, component: Component) -> Vec<&'s Value> {
    static NONE: Value = Value::Null;
    let asked = component.is_gateways()
        && values.pointer(&format!("/{}/enabled", component.info().values.replace('.', "/")))
            == Some(&Value::Bool(true));
    let by_default = if asked || ON_BY_DEFAULT.contains(&component) { vec![&NONE] } else { vec![] };
    let is_on = |settings: &&Value| asked || settings.get("enabled") != Some(&Value::Bool(false));
    match placement::settings_of(spec, component) {
        Some(Value::Array(gateways)) => gateways.iter().filter(is_on).collect(),
        Some(settings @ Value::Object(_)) => Some(settings).filter(is_on).into_iter().collect(),
        _ => by_default,
    }
}

fn of_component(
    spec: &Value,
    shared: &Value,
    component: Component,
    settings: &Value,
    namespace: &str,
    switches: &Switches,
) -> Enabled {
    let mut k8s = settings.get("k8s").filter(|k8s| k8s.is_object()).cloned().unwrap_or_default();
    if !switches.is_upstream {
        super::forms::unquote(&mut k8s);
    }
    let name = match component {
        _ if component.is_gateways() => text(settings, "/name").unwrap_or_default().to_owned(),
        Component::Pilot => match revision(spec) {
            "" | "default" => component.info().workload.1.to_owned(),
            revision => format!("{}-{revision}", component.info().workload.1),
        },
        _ => component.info().workload.1.to_owned(),
    };
    let named = text(settings, "/namespace").filter(|n| !n.is_empty()).unwrap_or(namespace);
    let values = values_of(shared, component, settings, &k8s, switches);
    Enabled { component, namespace: named.to_owned(), values, k8s: current_metrics(k8s, switches), name }
}

/// Settings of an autoscaler in the form of autoscaling/v2, which users of older releases may not have written.
fn current_metrics(mut k8s: Value, switches: &Switches) -> Value {
    if let Some(hpa) = k8s.get_mut("hpaSpec").filter(|_| !switches.is_upstream) {
        *hpa = autoscaling::translate(hpa).0;
    }
    k8s
}

/// The values of one component.
fn values_of(shared: &Value, component: Component, settings: &Value, k8s: &Value, switches: &Switches) -> Value {
    let root: Vec<&str> = component.info().values.split('.').collect();
    let mut values = shared.clone();
    let mut set = |field: &[&str], value: Value| {
        // A list or a map takes the place of the chart's.
        let path = [&root, field].concat();
        if !switches.is_upstream {
            merge_maps(&mut values, &nested(&path, json!({})));
        }
        self::set(&mut values, &path, value);
    };
    if component.is_gateways() {
        set(&["name"], settings.get("name").cloned().unwrap_or_else(|| "".into()));
        set(&["labels"], settings.get("label").filter(|l| l.is_object()).cloned().unwrap_or_else(|| json!({})));
        if let Some(ports) = k8s.pointer("/service/ports").and_then(Value::as_array).filter(|p| !p.is_empty()) {
            set(&["ports"], ports.iter().map(port).collect());
        }
    }
    if switches.autoscaler_sets_values() && component.info().workload.0 == "Deployment" {
        for (field, at) in [
            ("autoscaleMin", "/hpaSpec/minReplicas"),
            ("autoscaleMax", "/hpaSpec/maxReplicas"),
            ("replicaCount", "/replicaCount"),
        ] {
            if let Some(number) = k8s.pointer(at).filter(|n| n.is_number() && (field == "autoscaleMin" || **n != 0)) {
                set(&[field], number.clone());
            }
        }
    }
    let kinds: &[&str] = if switches.resources_set_values() { &["limits", "requests"] } else { &[] };
    for kind in kinds {
        let cpu = k8s.pointer(&format!("/resources/{kind}/cpu")).and_then(scalar_text);
        if let Some(cpu) = cpu.and_then(|cpu| quantity::canonical(&cpu)).filter(|cpu| cpu != "0") {
            set(&["resources", kind, "cpu"], cpu.into());
        }
    }
    for field in ["hub", "tag"] {
        if let Some(value) = settings.get(field).filter(|v| !v.is_null() && **v != "") {
            let printed = text_of(value);
            set(&[field], if switches.is_upstream { value_of_type(&printed) } else { printed.into() });
        }
    }
    if component == Component::Ztunnel { flattened(values, component) } else { values }
}

/// A port as its Go type writes it.
fn port(port: &Value) -> Value {
    let is_set = |field: &str, value: &Value| !value.is_null() && *value != "" && (field == "port" || *value != 0);
    let kept = PORT_FIELDS.iter().filter_map(|field| Some((*field, port.get(*field)?)));
    let kept =
        kept.filter(|(field, value)| is_set(field, value)).map(|(field, value)| (field.to_owned(), value.clone()));
    let mut port: Map<String, Value> = kept.collect();
    port.entry("targetPort").or_insert_with(|| json!(0));
    Value::Object(port)
}

/// The values of a chart that reads its own at the top: `global`, what is not a map, and what stands below its root.
fn flattened(values: Value, component: Component) -> Value {
    let Some(Value::Object(own)) = values.get(component.info().values) else { return values };
    let mut flat = Map::new();
    for (key, value) in values.as_object().into_iter().flatten().filter(|(key, v)| *key == "global" || !v.is_object()) {
        flat.insert(key.clone(), value.clone());
    }
    flat.extend(own.iter().map(|(key, value)| (key.clone(), value.clone())));
    Value::Object(flat)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::switches::Pipeline;

    fn switches() -> Switches {
        Switches {
            pipeline: Pipeline::Since124,
            has_ztunnel: true,
            ..Switches::of_package(Some("1.30.3"), &std::iter::empty())
        }
    }

    fn merged(profile: &Value, spec: &Value) -> Value {
        let switches = Switches { has_ztunnel: true, ..switches() };
        merge(json!({ "spec": profile }), &json!({ "spec": spec }), &switches).unwrap()
    }

    #[test]
    fn the_users_values_come_after_what_the_apis_fields_say() {
        let profile = json!({"hub": "h", "tag": "1.30.3", "values": {"global": {"istioNamespace": "n"}}});
        let user = json!({"tag": 12, "revision": "r", "meshConfig": {"a": 1, "c": 3}, "components": {"cni": {"enabled": true}},
            "values": {"global": {"hub": "mine"}, "meshConfig": {"a": 2, "b": 2}, "pilot": {"cni": {"enabled": false}}}});
        let document = merged(&profile, &user);
        let expected = json!({"global": {"hub": "mine", "tag": "12", "istioNamespace": "n"}, "revision": "r",
            "meshConfig": {"a": 2, "b": 2, "c": 3}, "pilot": {"enabled": false, "cni": {"enabled": false}}});
        assert_eq!(document["spec"]["values"], expected);
        assert_eq!(document["metadata"]["namespace"], "n");
    }

    #[test]
    fn release_1_31_tells_charts_of_autoscalers_and_cpu() {
        let k8s = json!({"replicaCount": 3, "hpaSpec": {"minReplicas": 2, "maxReplicas": 0},
            "resources": {"limits": {"cpu": "1500m", "memory": "1Gi"}, "requests": {"cpu": 0.5}}});
        let values = |tag, component| {
            let switches = Switches { is_upstream: true, ..Switches::of_package(Some(tag), &std::iter::empty()) };
            values_of(&json!({"pilot": {"replicaCount": 1}}), component, &json!({}), &k8s, &switches)
        };
        let cpu = json!({"limits": {"cpu": "1500m"}, "requests": {"cpu": "500m"}});
        let of_pilot = json!({"autoscaleMin": 2, "replicaCount": 3, "resources": cpu});
        assert_eq!(values("1.31.0", Component::Pilot), json!({"pilot": of_pilot}));
        assert_eq!(values("1.31.0", Component::Ztunnel)["resources"], cpu);
        assert_eq!(values("1.30.3", Component::Pilot), json!({"pilot": {"replicaCount": 1}}));
    }

    #[test]
    fn a_component_that_is_spoken_of_is_on_unless_it_is_turned_off() {
        let names = |spec: Value| {
            let enabled = enabled(&spec, "n", &switches());
            enabled.iter().map(|e| format!("{}/{}", e.component, e.name)).collect::<Vec<_>>().join(" ")
        };
        let rest = "Base/ Pilot/istiod";
        assert_eq!(names(json!({})), format!("{rest} IngressGateways/"));
        assert_eq!(
            names(json!({"components": {"cni": {}, "ingressGateways": []}})),
            format!("{rest} Cni/istio-cni-node")
        );
        assert_eq!(
            names(
                json!({"components": {"pilot": {"enabled": false}, "ztunnel": {"enabled": true}, "ingressGateways": []}})
            ),
            "Base/ Ztunnel/ztunnel"
        );
        let off = json!({"ingressGateways": [{"name": "a", "enabled": false}], "egressGateways": [{"name": "b"}]});
        assert_eq!(names(json!({ "components": off })), format!("{rest} EgressGateways/b"));
        let asked = json!({"gateways": {"istio-ingressgateway": {"enabled": true}}});
        assert_eq!(
            names(json!({"components": off, "values": asked})),
            format!("{rest} IngressGateways/a EgressGateways/b")
        );
    }

    #[test]
    fn ztunnel_reads_its_values_at_the_top() {
        let spec = json!({"components": {"ztunnel": {"hub": "h", "tag": "1.10"}, "ingressGateways": []},
            "values": {"global": {"x": 1}, "profile": "p", "pilot": {"y": 1}, "ztunnel": {"resourceName": "z"}}});
        let values = enabled(&spec, "n", &switches()).pop().unwrap().values;
        let expected = json!({"global": {"x": 1}, "profile": "p", "resourceName": "z", "hub": "h", "tag": "1.10"});
        assert_eq!(values, expected);
    }
}
