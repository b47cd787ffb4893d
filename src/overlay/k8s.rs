//! The `k8s` settings: each field goes to one path of one object, by the table of release 1.17.

use super::{OverlayError, ports};
use crate::api::kubernetes::KubernetesResourcesSpec;
use crate::api::schema::Checked;
use crate::object::Object;
use crate::resolve::Enabled;
use crate::tree::strategic;
use serde_json::{Map, Value, json};
use std::sync::LazyLock;

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

static SCHEMA: LazyLock<Checked> = LazyLock::new(Checked::of::<KubernetesResourcesSpec>);

/// Lays the settings over the objects they belong to.
///
/// # Errors
/// The component takes none, or one does not fit its object.
pub fn apply(enabled: &Enabled, objects: &mut [Object]) -> Result<(), OverlayError> {
    let facts = enabled.component.facts();
    for row in &TABLE {
        let Some(value) = enabled.k8s.get(row.field) else { continue };
        let schema = SCHEMA.root().pointer(&format!("/properties/{}", row.field)).unwrap_or(&Value::Null);
        let Some(value) = without_zeros(schema, value) else { continue };
        if facts.workload.0.is_empty() {
            return Err(OverlayError::NoWorkload { component: enabled.component, field: row.field.into() });
        }
        if row.field == "replicaCount" && is_autoscaled(enabled) {
            continue;
        }
        let kind = match row.target {
            Target::Workload => facts.workload.0,
            Target::Kind(kind) => kind,
        };
        let Some(object) = objects.iter_mut().rev().find(|o| o.kind() == kind && o.name() == enabled.name) else {
            continue;
        };
        lay_over(object, row, facts.container, &value)?;
    }
    Ok(())
}

/// Replicas are an autoscaler's where one is on; as in 1.17 that is the setting of the default gateway for every gateway.
fn is_autoscaled(enabled: &Enabled) -> bool {
    let path = format!("/{}/autoscaleEnabled", enabled.component.facts().values.replace('.', "/"));
    enabled.values.pointer(&path) == Some(&Value::Bool(true))
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
    let merged =
        strategic::strategic_merge(object.value().into_owned(), &patch, &strategic::WorkloadSchema).map_err(|e| {
            OverlayError::Setting { field: row.field.into(), object: object.key().to_string(), message: e.to_string() }
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

/// The value as protobuf's JSON form gives it back: scalars without presence vanish when they are zero, quoted whole numbers
/// become numbers. `None` when nothing is left at the top.
fn without_zeros(schema: &Value, value: &Value) -> Option<Value> {
    let schema = SCHEMA.follow(schema);
    let whole = schema.get("format").is_some_and(|f| f == "integer");
    match value {
        Value::Null => None,
        Value::String(s) if whole => s.parse::<i64>().ok().filter(|n| *n != 0).map(Value::from),
        Value::Number(n) if whole => (n.as_f64() != Some(0.0)).then(|| value.clone()),
        Value::String(s) if schema.get("type").is_some_and(|t| t == "string") => (!s.is_empty()).then(|| value.clone()),
        Value::Bool(false) if schema.get("type").is_some_and(|t| t == "boolean") => None,
        Value::Object(map) => Some(Value::Object(match schema.get("properties") {
            Some(properties) => map
                .iter()
                .filter_map(|(k, v)| Some((k.clone(), without_zeros(properties.get(k).unwrap_or(&Value::Null), v)?)))
                .collect(),
            None => map.iter().filter(|(_, v)| !v.is_null()).map(|(k, v)| (k.clone(), v.clone())).collect(),
        })),
        Value::Array(items) => {
            let inner = schema.get("items").unwrap_or(&Value::Null);
            let kept = |v: &Value| without_zeros(inner, v).unwrap_or_else(|| v.clone());
            Some(items.iter().map(kept).collect())
        }
        other => Some(other.clone()),
    }
}
