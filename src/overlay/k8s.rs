//! The `k8s` settings: each field goes to one path of one object, by the table of release 1.17.

use super::{OverlayError, ports};
use crate::object::Object;
use crate::resolve::Enabled;
use crate::tree::strategic::{BudgetSchema, MergeSchema, WorkloadSchema, strategic_merge};
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

const TABLE: [Row; 16] = [
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
];

/// Lays the settings over the objects they belong to.
///
/// # Errors
/// The component takes none, or one does not fit its object.
pub fn apply(enabled: &Enabled, objects: &mut [Object]) -> Result<(), OverlayError> {
    let facts = enabled.component.facts();
    for row in &TABLE {
        let Some(value) = enabled.k8s.get(row.field) else { continue };
        if facts.workload.0.is_empty() {
            return Err(OverlayError::NoWorkload { component: enabled.component, field: row.field.into() });
        }
        let kind = match row.target {
            Target::Workload => facts.workload.0,
            Target::Kind(kind) => kind,
        };
        let Some(object) = objects.iter_mut().rev().find(|o| o.kind() == kind && o.name() == enabled.name) else {
            continue;
        };
        lay_over(object, row, facts.container, value)?;
    }
    Ok(())
}

fn lay_over(object: &mut Object, row: &Row, container: &str, value: &Value) -> Result<(), OverlayError> {
    let before = object.value().pointer("/spec/ports").cloned();
    let mut value = value.clone();
    let ports = match (row.field, value.as_object_mut()) {
        ("service", Some(service)) => Some(service.remove("ports")),
        _ => None,
    };
    let prefix: &[Step] = if row.in_pod { &POD } else { &[] };
    let patch = prefix.iter().chain(row.path).rev().fold(value, |inner, step| match step {
        Step::Field(name) => json!({ *name: inner }),
        Step::Container => {
            let mut item = inner;
            if let Some(item) = item.as_object_mut() {
                item.insert("name".into(), container.into());
            }
            json!({ "containers": [item] })
        }
    });
    let schema: &dyn MergeSchema = match row.field {
        "podDisruptionBudget" => &BudgetSchema,
        _ => &WorkloadSchema,
    };
    let merged = strategic_merge(object.value().into_owned(), &patch, schema).map_err(|e| OverlayError::Setting {
        field: row.field.into(),
        object: object.key().to_string(),
        message: e.to_string(),
    })?;
    *object.value_mut() = merged;
    match row.field {
        "podDisruptionBudget" => choose_budget(object),
        "service" => {
            let base = before.as_ref().and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
            let overlay = ports.flatten();
            let overlay = overlay.as_ref().and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
            if let Some(spec) = object.value_mut().get_mut("spec").and_then(Value::as_object_mut) {
                spec.insert("ports".into(), ports::merge(base, overlay).into());
            }
        }
        _ => {}
    }
    Ok(())
}

/// A budget can say only one of two; the maximum wins unless one of them is zero.
fn choose_budget(object: &mut Object) {
    let Some(spec) = object.value_mut().get_mut("spec").and_then(Value::as_object_mut) else { return };
    let counts = |field: &str, spec: &Map<String, Value>| {
        spec.get(field).is_some_and(|v| match v {
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
    use crate::component::Component;

    #[test]
    fn the_selector_of_a_disruption_budget_is_replaced_and_that_of_a_service_merged() {
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
        apply(&enabled, &mut objects).unwrap();
        let selectors = objects.map(|o| o.value().pointer("/spec/selector").cloned().unwrap());
        assert_eq!(selectors, [json!({"matchLabels": {"x": "y"}}), json!({"a": "b", "x": "y"})]);
    }
}
