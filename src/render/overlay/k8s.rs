//! The `k8s` settings: each field goes to one path of one object, by the table of release 1.17.

use super::outcome::{Notice, Outcome, OverlayError, place};
use super::{exclusive, ports};
use crate::api::component::Component;
use crate::object::Object;
use crate::spec::resolve::Enabled;
use crate::spec::strategic::{BudgetSchema, ExactSchema, MergeSchema, WorkloadSchema, strategic_merge};
use crate::spec::switches::{Pipeline, Switches};
use serde_json::{Map, Value, json};

/// Which object a setting goes to.
enum Target {
    Workload,
    /// An object of this kind with the workload's name.
    Kind(&'static str),
}

/// A step of a path: a field, or the component's container.
enum Step {
    Field(&'static str),
    Container,
}

const POD: [Step; 3] = [Step::Field("spec"), Step::Field("template"), Step::Field("spec")];

struct Row {
    field: &'static str,
    target: Target,
    /// Below the pod's spec where `in_pod`, else below the object.
    in_pod: bool,
    path: &'static [Step],
}

const fn row(field: &'static str, target: Target, in_pod: bool, path: &'static [Step]) -> Row {
    Row { field, target, in_pod, path }
}

use Step::{Container, Field};
use Target::{Kind, Workload};

const TABLE: [Row; 18] = [
    row("affinity", Workload, true, &[Field("affinity")]),
    row("env", Workload, true, &[Container, Field("env")]),
    row("hpaSpec", Kind("HorizontalPodAutoscaler"), false, &[Field("spec")]),
    row("imagePullPolicy", Workload, true, &[Container, Field("imagePullPolicy")]),
    row("nodeSelector", Workload, true, &[Field("nodeSelector")]),
    row("podDisruptionBudget", Kind("PodDisruptionBudget"), false, &[Field("spec")]),
    row(
        "podAnnotations",
        Workload,
        false,
        &[Field("spec"), Field("template"), Field("metadata"), Field("annotations")],
    ),
    row("priorityClassName", Workload, true, &[Field("priorityClassName")]),
    row("readinessProbe", Workload, true, &[Container, Field("readinessProbe")]),
    row("replicaCount", Workload, false, &[Field("spec"), Field("replicas")]),
    row("resources", Workload, true, &[Container, Field("resources")]),
    row("strategy", Workload, false, &[Field("spec"), Field("strategy")]),
    row("tolerations", Workload, true, &[Field("tolerations")]),
    row("serviceAnnotations", Kind("Service"), false, &[Field("metadata"), Field("annotations")]),
    row("service", Kind("Service"), false, &[Field("spec")]),
    row("securityContext", Workload, true, &[Field("securityContext")]),
    row("volumes", Workload, true, &[Field("volumes")]),
    row("volumeMounts", Workload, true, &[Container, Field("volumeMounts")]),
];

/// What a DaemonSet calls its strategy.
const DAEMON_SET_STRATEGY: Row = row("strategy", Workload, false, &[Field("spec"), Field("updateStrategy")]);

/// Settings that upstream's own releases ignore.
const IGNORED: [&str; 2] = ["volumes", "volumeMounts"];

/// What is said of a setting that has no object to go to.
const NO_WORKLOAD: &str = "has no effect: this component can only have k8s.overlays";

/// Applies the settings to the objects they belong to.
pub fn apply(enabled: &Enabled, objects: &mut [Object], switches: &Switches) -> Outcome {
    let mut outcome = Outcome::default();
    let info = enabled.component.info();
    for row in &TABLE {
        let Some(value) = enabled.k8s.get(row.field) else { continue };
        let path = format!("{}.k8s.{}", place(enabled), row.field);
        if info.workload.0.is_empty() {
            let error = OverlayError::NoWorkload { path: path.clone(), component: enabled.component };
            match switches.pipeline {
                Pipeline::Until123 => outcome.problems.push(error),
                Pipeline::Since124 => outcome.notices.push(Notice::new(path, NO_WORKLOAD)),
            }
            continue;
        }
        if switches.is_upstream && IGNORED.contains(&row.field) {
            continue;
        }
        let kind = match row.target {
            Target::Workload => info.workload.0,
            Target::Kind(kind) => kind,
        };
        let row = match (kind, row.field) {
            // Upstream writes what a DaemonSet does not have.
            _ if switches.is_upstream => row,
            ("DaemonSet", "replicaCount") => {
                outcome.notices.push(Notice::new(path, "has no effect: a DaemonSet has a pod on every node"));
                continue;
            }
            ("DaemonSet", "strategy") => &DAEMON_SET_STRATEGY,
            _ => row,
        };
        // A gateway without a name, as upstream takes it, has no objects that settings find.
        let name = if enabled.name.is_empty() { info.workload.1 } else { &enabled.name };
        match objects.iter().rposition(|o| o.kind() == kind && o.name() == name) {
            Some(at) => {
                if let Some(object) = objects.get_mut(at) {
                    apply_setting(object, row, enabled, value, &path, switches, &mut outcome);
                }
            }
            None => outcome.notices.push(Notice::new(path, missing(enabled, kind, row.field, objects))),
        }
    }
    outcome
}

/// Why a setting has no effect whose object is not there.
fn missing(enabled: &Enabled, kind: &str, field: &str, objects: &[Object]) -> String {
    let values = enabled.component.info().values;
    let others: Vec<&str> = objects.iter().filter(|o| o.kind() == kind).map(Object::name).collect();
    let why = match field {
        _ if !others.is_empty() => format!("; there is {}", others.join(", ")),
        "hpaSpec" if enabled.component != Component::Cni => {
            format!(", which needs values.{values}.autoscaleEnabled, autoscaleMin and autoscaleMax")
        }
        "podDisruptionBudget" if enabled.component != Component::Cni => {
            ", which needs values.global.defaultPodDisruptionBudget.enabled and, since release 1.28, two replicas or an \
             autoscaleMin of 2"
                .to_owned()
        }
        "service" | "serviceAnnotations" if enabled.component.is_gateways() => {
            format!("; values.{values}.customService leaves it to you")
        }
        _ => String::new(),
    };
    format!("has no effect: there is no {kind} {}{why}", enabled.name)
}

/// Applies one setting to its object.
fn apply_setting(
    object: &mut Object,
    row: &Row,
    enabled: &Enabled,
    value: &Value,
    path: &str,
    switches: &Switches,
    outcome: &mut Outcome,
) {
    let container = enabled.component.info().container;
    let before = object.value().pointer("/spec/ports").cloned();
    let wrong = |object: &Object, message: String| OverlayError::Setting {
        path: path.to_owned(),
        object: object.key().to_string(),
        message,
    };
    if !switches.is_upstream
        && row.path.iter().any(|step| matches!(step, Container))
        && let Err(message) = find_container(object, container)
    {
        outcome.problems.push(wrong(object, message));
        return;
    }
    let mut value = if switches.is_upstream { value.clone() } else { exclusive::prepare(row.field, value) };
    // Since 1.24 those of gateways are the charts', and istiod's are merged as the API says.
    let takes_ports = !switches.is_since_124() || enabled.component.is_gateways();
    let ports = match (row.field, value.as_object_mut()) {
        ("service", Some(service)) if takes_ports => Some(service.remove("ports")),
        _ => None,
    };
    let layer = patch_of(row, container, value);
    let schema: &dyn MergeSchema = match row.field {
        "podDisruptionBudget" => &BudgetSchema,
        _ => &WorkloadSchema,
    };
    let exact = ExactSchema(schema);
    let schema = if switches.is_upstream { &exact } else { schema };
    match strategic_merge(object.value().into_owned(), &layer, schema) {
        Ok(merged) => *object.value_mut() = merged,
        Err(error) => return outcome.problems.push(wrong(object, error.to_string())),
    }
    match row.field {
        "podDisruptionBudget" => choose_budget(object, switches),
        "service" if !switches.is_since_124() => {
            let base = before.as_ref().and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
            let overlay = ports.flatten();
            let overlay = overlay.as_ref().and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
            outcome.notices.extend(ports::unknown_protocols(overlay, path));
            if let Some(spec) = object.value_mut().get_mut("spec").and_then(Value::as_object_mut) {
                spec.insert("ports".into(), ports::merge(base, overlay).into());
            }
        }
        _ => {}
    }
}

/// The setting where it belongs, as a patch of the object.
fn patch_of(row: &Row, container: &str, value: Value) -> Value {
    let prefix: &[Step] = if row.in_pod { &POD } else { &[] };
    prefix.iter().chain(row.path).rev().fold(value, |inner, step| match step {
        Step::Field(name) => json!({ *name: inner }),
        Step::Container => {
            let mut item = inner;
            if let Some(item) = item.as_object_mut() {
                item.insert("name".into(), container.into());
            }
            json!({ "containers": [item] })
        }
    })
}

/// The container that settings go to must be there: one that a setting made would have no image.
fn find_container(object: &Object, container: &str) -> Result<(), String> {
    let object = object.value();
    let containers = object.pointer("/spec/template/spec/containers").and_then(Value::as_array);
    let names: Vec<&str> =
        containers.into_iter().flatten().filter_map(|c| c.get("name").and_then(Value::as_str)).collect();
    if names.contains(&container) {
        return Ok(());
    }
    let names = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
    Err(format!("there is no container {container} that this could go to, only {names}; use k8s.overlays"))
}

/// A budget can say only one of two; the maximum wins, until 1.23 unless one of them is zero.
fn choose_budget(object: &mut Object, switches: &Switches) {
    let Some(spec) = object.value_mut().get_mut("spec").and_then(Value::as_object_mut) else { return };
    let counts = |field: &str, spec: &Map<String, Value>| {
        spec.get(field).is_some_and(|v| match v {
            _ if switches.is_since_124() => true,
            Value::Number(n) => n.as_i64() != Some(0),
            Value::String(s) => s.trim_end_matches('%').parse::<i64>().is_ok_and(|n| n != 0),
            _ => false,
        })
    };
    if counts("maxUnavailable", spec) && counts("minAvailable", spec) {
        spec.remove("minAvailable");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budgets_selector_is_replaced_and_that_of_a_service_merged() {
        let enabled = Enabled {
            component: Component::Pilot,
            name: "istiod".into(),
            namespace: "n".into(),
            values: Value::Null,
            k8s: json!({"podDisruptionBudget": {"selector": {"matchLabels": {"x": "y"}}}, "service": {"selector": {"x": "y"}}}),
        };
        let object = |kind: &str, selector: Value| {
            let metadata = json!({"name": "istiod"});
            Object::new(json!({"apiVersion": "v1", "kind": kind, "metadata": metadata, "spec": {"selector": selector}}))
                .unwrap()
        };
        let mut objects =
            [object("PodDisruptionBudget", json!({"matchLabels": {"a": "b"}})), object("Service", json!({"a": "b"}))];
        assert_eq!(apply(&enabled, &mut objects, &Switches::default()).problems, []);
        let selectors = objects.map(|o| o.value().pointer("/spec/selector").cloned().unwrap());
        assert_eq!(selectors, [json!({"matchLabels": {"x": "y"}}), json!({"a": "b", "x": "y"})]);
    }
}
