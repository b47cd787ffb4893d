//! Metrics of autoscalers in the old form, that of autoscaling/v2beta1, in the one that every supported Kubernetes has,
//! autoscaling/v2.
//!
//! In: an `hpaSpec`. Out: the same in the new form, or what cannot be brought into it, each with its path. Where a spec
//! wants autoscalers of the old version (`values.global.autoscalingv2API: false`) nothing is changed.

use crate::api::component::ALL;
use crate::spec::path::text;
use crate::spec::switches::Switches;
use serde_json::{Map, Value, json};

/// The fields of one source of metrics in the old form, and where they go.
struct Source {
    field: &'static str,
    /// The metric's name and selector, for sources that have them.
    metric: Option<(&'static str, &'static str)>,
    /// Each with the type of the new target, and the target's field.
    targets: &'static [(&'static str, &'static str, &'static str)],
    /// Whether `target` was the object that is measured.
    describes: bool,
}

const RESOURCE: &[(&str, &str, &str)] = &[
    ("targetAverageUtilization", "Utilization", "averageUtilization"),
    ("targetAverageValue", "AverageValue", "averageValue"),
];
const PODS: &[(&str, &str, &str)] = &[("targetAverageValue", "AverageValue", "averageValue")];
const OBJECT: &[(&str, &str, &str)] =
    &[("targetValue", "Value", "value"), ("averageValue", "AverageValue", "averageValue")];
const EXTERNAL: &[(&str, &str, &str)] =
    &[("targetValue", "Value", "value"), ("targetAverageValue", "AverageValue", "averageValue")];

const SOURCES: [Source; 5] = [
    Source { field: "resource", metric: None, targets: RESOURCE, describes: false },
    Source { field: "containerResource", metric: None, targets: RESOURCE, describes: false },
    Source { field: "pods", metric: Some(("metricName", "selector")), targets: PODS, describes: false },
    Source { field: "object", metric: Some(("metricName", "selector")), targets: OBJECT, describes: true },
    Source { field: "external", metric: Some(("metricName", "metricSelector")), targets: EXTERNAL, describes: false },
];

/// The fields of a reference to an object, and those of a new target.
const REFERENCE: [&str; 3] = ["kind", "name", "apiVersion"];
const TARGET: [&str; 4] = ["type", "value", "averageValue", "averageUtilization"];

/// The fields that only the new form has, but for `target`.
const NEW: [&str; 2] = ["metric", "describedObject"];

/// Something that cannot be brought into the new form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Misfit {
    /// Where, from `hpaSpec` on.
    pub(super) path: String,
    /// What, and what to do.
    pub(super) message: String,
}

/// Whether metrics stay as they are written: where autoscalers keep the old version, and where upstream's own behaviour is
/// wanted.
pub(super) fn keeps_form(spec: &Value, switches: &Switches) -> bool {
    switches.is_upstream || keeps_old_version(spec)
}

fn keeps_old_version(spec: &Value) -> bool {
    let chosen = |part: &str| spec.pointer(&format!("/{part}/global/autoscalingv2API")).filter(|v| !v.is_null());
    chosen("unvalidatedValues").or_else(|| chosen("values")) == Some(&Value::Bool(false))
}

/// Whether istiod or a gateway of the default name has metrics in the old form, which makes charts until 1.21 render all
/// autoscalers in the old version.
pub(super) fn uses_old_form(spec: &Value) -> bool {
    const NAMES: [&str; 3] = ["pilot", "istio-ingressgateway", "istio-egressgateway"];
    let components = ALL.iter().filter_map(|component| {
        let field = component.info().field;
        Some((field, spec.pointer(&format!("/components/{field}"))?))
    });
    let items = components.flat_map(|(field, settings)| match settings {
        Value::Array(items) => items.iter().map(|item| (text(item, "/name").unwrap_or_default(), item)).collect(),
        one => vec![(field, one)],
    });
    let hpas =
        items.filter(|(name, _)| NAMES.contains(name)).filter_map(|(_, item)| item.pointer("/k8s/hpaSpec/metrics"));
    hpas.filter_map(Value::as_array).flatten().any(|metric| {
        SOURCES.iter().filter_map(|source| Some((source, metric.get(source.field)?))).any(|(source, old)| {
            let (name, selector) = source.metric.unzip();
            let olds = name.into_iter().chain(selector).chain(source.targets.iter().map(|(old, ..)| *old));
            olds.into_iter().any(|field| is_set(old.get(field)))
        })
    })
}

/// An `hpaSpec` in the new form, and everything that does not fit, which stays as it is.
pub(super) fn translate(hpa: &Value) -> (Value, Vec<Misfit>) {
    let mut hpa = hpa.clone();
    let mut misfits = vec![];
    let metrics = hpa.get_mut("metrics").and_then(Value::as_array_mut);
    for (i, metric) in metrics.into_iter().flatten().enumerate() {
        for source in &SOURCES {
            let Some(Value::Object(old)) = metric.get_mut(source.field) else { continue };
            match source.translate(old) {
                Ok(None) => {}
                Ok(Some(new)) => *old = new,
                Err(message) => {
                    misfits.push(Misfit { path: format!("hpaSpec.metrics[{i}].{}", source.field), message });
                }
            }
        }
    }
    (hpa, misfits)
}

/// Every misfit of a merged spec: the path of its `k8s` settings, and what is wrong.
pub(super) fn misfits(spec: &Value, switches: &Switches) -> Vec<(String, Misfit)> {
    if keeps_form(spec, switches) {
        return vec![];
    }
    let mut found = vec![];
    for component in ALL {
        let field = component.info().field;
        let settings = spec.pointer(&format!("/components/{field}"));
        let items = match settings {
            Some(Value::Array(items)) => items.iter().enumerate().map(|(i, item)| (format!("[{i}]"), item)).collect(),
            Some(one) => vec![(String::new(), one)],
            None => vec![],
        };
        for (place, item) in items {
            let place = item.get("name").and_then(Value::as_str).map_or(place, |name| format!("[name:{name}]"));
            let misfits = item.pointer("/k8s/hpaSpec").map(|hpa| translate(hpa).1).unwrap_or_default();
            found.extend(misfits.into_iter().map(|misfit| (format!("spec.components.{field}{place}.k8s"), misfit)));
        }
    }
    found
}

/// Zero is unset, as in the API's JSON form.
fn is_set(value: Option<&Value>) -> bool {
    value.is_some_and(|v| !v.is_null() && *v != json!(0) && *v != json!("") && *v != json!({}))
}

fn has_any(value: Option<&Value>, keys: &[&str]) -> bool {
    keys.iter().any(|key| is_set(value.and_then(|v| v.get(key))))
}

impl Source {
    /// The source in the new form; none for one that is in it.
    fn translate(&self, source: &Map<String, Value>) -> Result<Option<Map<String, Value>>, String> {
        let target = source.get("target");
        let refers = self.describes && has_any(target, &REFERENCE);
        self.check_target(target)?;
        let (name, selector) = self.metric.unzip();
        let olds = name.into_iter().chain(selector).chain(self.targets.iter().map(|(old, ..)| *old));
        let mut old: Vec<&str> = olds.filter(|field| is_set(source.get(*field))).collect();
        let mut new: Vec<&str> = NEW.into_iter().filter(|field| is_set(source.get(*field))).collect();
        if refers {
            old.push("target");
        } else if is_set(target) {
            new.push("target");
        }
        if old.is_empty() {
            return Ok(None);
        }
        if !new.is_empty() {
            return Err(format!(
                "{} of autoscaling/v2beta1 and {} of autoscaling/v2 cannot be used together; write all of it in the form of \
                 autoscaling/v2",
                old.join(", "),
                new.join(", ")
            ));
        }
        self.build(source, refers).map(Some)
    }

    /// An object's target is a reference in the old form, and a target in the new one; which can only be seen by its fields.
    fn check_target(&self, target: Option<&Value>) -> Result<(), String> {
        let Some(Value::Object(map)) = target.filter(|_| self.describes) else { return Ok(()) };
        if let Some(key) = map.keys().find(|k| !REFERENCE.contains(&k.as_str()) && !TARGET.contains(&k.as_str())) {
            let known = TARGET.join(", ");
            return Err(format!("target has the unknown field {key:?}; it may have {known}"));
        }
        if has_any(target, &REFERENCE) && has_any(target, &TARGET) {
            return Err(
                "target says both an object (kind, name) and a value; write the object as describedObject".into()
            );
        }
        Ok(())
    }

    fn build(&self, source: &Map<String, Value>, refers: bool) -> Result<Map<String, Value>, String> {
        let gone = |key: &str| {
            self.targets.iter().any(|(old, ..)| *old == key)
                || self.metric.is_some_and(|(name, selector)| key == name || key == selector)
                || key == "target"
                || NEW.contains(&key)
        };
        let mut result: Map<String, Value> =
            source.iter().filter(|(key, _)| !gone(key)).map(|(k, v)| (k.clone(), v.clone())).collect();
        if let Some((name, selector)) = self.metric {
            let text = source.get(name).filter(|v| is_set(Some(v))).ok_or_else(|| format!("must have a {name}"))?;
            let mut metric = json!({ "name": text });
            if let (Some(map), Some(selector)) =
                (metric.as_object_mut(), source.get(selector).filter(|s| is_set(Some(s))))
            {
                map.insert("selector".into(), selector.clone());
            }
            result.insert("metric".into(), metric);
        }
        if self.describes {
            let object = source.get("target").filter(|_| refers);
            let object = object.ok_or("must have a target, the object that is measured, with kind and name")?;
            result.insert("describedObject".into(), object.clone());
        }
        let known = || self.targets.iter().map(|(old, ..)| *old).collect::<Vec<_>>().join(" or ");
        let given: Vec<_> =
            self.targets.iter().filter_map(|t| Some((t, source.get(t.0).filter(|v| is_set(Some(v)))?))).collect();
        let [((_, kind, field), value)] = given.as_slice() else {
            return Err(format!("must have one of {}", known()));
        };
        result.insert("target".into(), json!({"type": kind, *field: value}));
        Ok(result)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(metric: &Value) -> Result<Value, String> {
        let (hpa, misfits) = translate(&json!({"minReplicas": 2, "behavior": {"scaleUp": {}}, "metrics": [metric]}));
        assert_eq!((&hpa["minReplicas"], &hpa["behavior"]), (&json!(2), &json!({"scaleUp": {}})));
        match misfits.as_slice() {
            [] => Ok(hpa["metrics"][0].clone()),
            [misfit] => Err(format!("{}: {}", misfit.path, misfit.message)),
            several => panic!("{several:?}"),
        }
    }

    #[test]
    fn every_kind_of_metric_is_brought_into_the_new_form() {
        let (selector, object) = (json!({"matchLabels": {"a": "b"}}), json!({"kind": "Service", "name": "s"}));
        let metric = json!({"name": "m", "selector": selector});
        for (field, old, new) in [
            (
                "resource",
                json!({"name": "cpu", "targetAverageUtilization": 60}),
                json!({"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 60}}),
            ),
            (
                "resource",
                json!({"name": "memory", "targetAverageValue": "1Gi", "targetAverageUtilization": 0}),
                json!({"name": "memory", "target": {"type": "AverageValue", "averageValue": "1Gi"}}),
            ),
            (
                "containerResource",
                json!({"name": "cpu", "container": "c", "targetAverageUtilization": 60}),
                json!({"name": "cpu", "container": "c", "target": {"type": "Utilization", "averageUtilization": 60}}),
            ),
            (
                "pods",
                json!({"metricName": "m", "selector": selector, "targetAverageValue": 10}),
                json!({"metric": metric, "target": {"type": "AverageValue", "averageValue": 10}}),
            ),
            (
                "object",
                json!({"target": object, "metricName": "m", "targetValue": "5"}),
                json!({"describedObject": object, "metric": {"name": "m"}, "target": {"type": "Value", "value": "5"}}),
            ),
            (
                "object",
                json!({"target": object, "metricName": "m", "selector": selector, "averageValue": "5"}),
                json!({"describedObject": object, "metric": metric, "target": {"type": "AverageValue", "averageValue": "5"}}),
            ),
            (
                "external",
                json!({"metricName": "m", "metricSelector": selector, "targetValue": 5}),
                json!({"metric": metric, "target": {"type": "Value", "value": 5}}),
            ),
            (
                "external",
                json!({"metricName": "m", "targetAverageValue": "5"}),
                json!({"metric": {"name": "m"}, "target": {"type": "AverageValue", "averageValue": "5"}}),
            ),
        ] {
            assert_eq!(one(&json!({"type": "T", field: old})), Ok(json!({"type": "T", field: new.clone()})), "{field}");
            // What is in the new form stays.
            assert_eq!(one(&json!({"type": "T", field: new})), Ok(json!({"type": "T", field: new})), "{field}");
        }
        assert_eq!(translate(&json!({"maxReplicas": 3})), (json!({"maxReplicas": 3}), vec![]));
    }

    #[test]
    fn what_cannot_be_brought_into_the_new_form_is_named() {
        let object = json!({"kind": "Service", "name": "s"});
        for (field, old, message) in [
            (
                "resource",
                json!({"name": "cpu", "targetAverageUtilization": 60, "target": {"type": "Utilization", "averageUtilization": 70}}),
                "targetAverageUtilization of autoscaling/v2beta1 and target of autoscaling/v2 cannot be used together",
            ),
            (
                "pods",
                json!({"metricName": "m", "targetAverageValue": 1, "metric": {"name": "m"}}),
                "metricName, targetAverageValue of autoscaling/v2beta1 and metric of autoscaling/v2 cannot",
            ),
            (
                "object",
                json!({"target": object, "metricName": "m", "targetValue": 1, "describedObject": object}),
                "metricName, targetValue, target of autoscaling/v2beta1 and describedObject of autoscaling/v2 cannot",
            ),
            (
                "object",
                json!({"target": {"kind": "Service", "value": 1}}),
                "target says both an object (kind, name) and a value",
            ),
            ("object", json!({"target": {"kin": "Service"}}), "target has the unknown field \"kin\""),
            ("object", json!({"metricName": "m", "targetValue": 1}), "must have a target, the object that is measured"),
            (
                "object",
                json!({"target": object, "metricName": "m", "targetValue": 1, "averageValue": 2}),
                "must have one of",
            ),
            ("pods", json!({"targetAverageValue": 1}), "must have a metricName"),
            ("external", json!({"metricName": "m"}), "must have one of targetValue or targetAverageValue"),
            (
                "resource",
                json!({"name": "cpu", "targetAverageUtilization": 6, "targetAverageValue": 7}),
                "must have one of targetAverageUtilization or targetAverageValue",
            ),
        ] {
            let found = one(&json!({"type": "T", field: old})).unwrap_err();
            assert!(found.starts_with(&format!("hpaSpec.metrics[0].{field}: {message}")), "{found}");
        }
    }

    #[test]
    fn autoscalers_of_the_old_version_keep_their_form() {
        let spec = |flag: Value| {
            let metrics = json!([{"type": "Pods", "pods": {"targetAverageValue": 1}}]);
            let gateway = json!({"name": "gw", "k8s": {"hpaSpec": {"metrics": metrics}}});
            json!({"values": {"global": {"autoscalingv2API": flag}}, "components": {"ingressGateways": [gateway]}})
        };
        let paths: Vec<_> =
            misfits(&spec(json!(true)), &Switches::default()).into_iter().map(|(path, _)| path).collect();
        assert_eq!(paths, ["spec.components.ingressGateways[name:gw].k8s"]);
        assert_eq!(misfits(&spec(json!(null)), &Switches::default()).len(), 1);
        assert_eq!(misfits(&spec(json!(false)), &Switches::default()), []);
    }
}
