//! A tree beside its message.

use super::{Finding, Schema, Type};
use crate::api::suggest;
use crate::api::text::{describe, join};
use helm_template::sprig::go_duration;
use serde_json::{Map, Value};

/// Keys that direct a merge, such as `$patch`, are no fields.
const DIRECTIVE: char = '$';

impl Schema {
    /// Everything in `value` that does not fit the message; paths begin with `path`.
    #[must_use]
    pub fn check(&self, message: &'static str, value: &Value, path: &str) -> Vec<Finding> {
        let mut walk = Walk { schema: self, findings: vec![] };
        walk.value(&Type::Message(message), value, path);
        walk.findings
    }
}

struct Walk<'s> {
    schema: &'s Schema,
    findings: Vec<Finding>,
}

impl Walk<'_> {
    fn value(&mut self, kind: &Type, value: &Value, path: &str) {
        match (kind, value) {
            (_, Value::Null) => {}
            (Type::Message(name), Value::Object(map)) => self.message(name, map, path),
            (Type::Map(inner), Value::Object(map)) => {
                for (key, value) in map.iter().filter(|(key, _)| !key.starts_with(DIRECTIVE)) {
                    self.value(inner, value, &join(path, key));
                }
            }
            (Type::List(inner), Value::Array(items)) => {
                for (i, item) in items.iter().enumerate() {
                    self.value(inner, item, &format!("{path}[{i}]"));
                }
            }
            (Type::Enum(name), value) => self.enumeration(name, value, path),
            (kind, value) if fits(kind, value) => {}
            (kind, value) => self.add(path, format!("must be {}, not {}", wanted(kind), describe(value))),
        }
    }

    fn message(&mut self, name: &'static str, map: &Map<String, Value>, path: &str) {
        let mut chosen: Vec<(&str, &str)> = vec![];
        for (key, value) in map.iter().filter(|(key, _)| !key.starts_with(DIRECTIVE)) {
            let at = join(path, key);
            let Some(field) = self.schema.field(name, key) else {
                let known = self.schema.fields(name).iter().map(|f| f.name);
                self.add(&at, format!("unknown field {key:?}{}", suggest::hint(key, known)));
                continue;
            };
            if let Some(group) = field.oneof.filter(|_| !value.is_null()) {
                match chosen.iter().find(|(other, _)| *other == group) {
                    Some((_, first)) => self.add(&at, format!("cannot be set together with {first}; choose one")),
                    None => chosen.push((group, key)),
                }
            }
            self.value(&field.kind, value, &at);
        }
    }

    fn enumeration(&mut self, name: &str, value: &Value, path: &str) {
        let known = self.schema.values_of(name);
        let message = match value {
            Value::String(text) if known.contains(&text.as_str()) => return,
            Value::Number(number) if number.is_i64() => return,
            Value::String(text) => {
                let hint = suggest::hint(text, known.iter().copied());
                format!("unknown value {text:?}{hint}: must be one of {}", known.join(", "))
            }
            other => format!("must be one of {}, not {}", known.join(", "), describe(other)),
        };
        self.add(path, message);
    }

    fn add(&mut self, path: &str, message: String) {
        self.findings.push(Finding { path: path.to_owned(), message });
    }
}

/// Whether a value that is neither a message nor a collection of them has its type.
fn fits(kind: &Type, value: &Value) -> bool {
    match (kind, value) {
        (Type::Any, _)
        | (Type::Bool, Value::Bool(_))
        | (Type::String | Type::IntOrString, Value::String(_))
        | (Type::Double, Value::Number(_))
        | (Type::Struct, Value::Object(_)) => true,
        (Type::Integer(least, most), value) => whole(value).is_some_and(|n| (*least..=*most).contains(&n)),
        (Type::IntOrString, Value::Number(_)) => whole(value).is_some(),
        (Type::Double, Value::String(text)) => text.parse::<f64>().is_ok(),
        (Type::Duration, Value::String(text)) => go_duration(text).is_ok(),
        _ => false,
    }
}

/// A whole number, also as text, as protobuf writes those of 64 bits.
pub(crate) fn whole(value: &Value) -> Option<i64> {
    match value {
        Value::Number(number) => number.as_i64().or_else(|| {
            // A float without fraction, as `1e3` is read.
            let float = number.as_f64().filter(|f| f.fract() == 0.0 && f.abs() < 1e15)?;
            format!("{float:.0}").parse().ok()
        }),
        Value::String(text) => text.parse().ok(),
        _ => None,
    }
}

/// What a type wants, as the object of "must be".
fn wanted(kind: &Type) -> String {
    match kind {
        Type::Bool => "true or false".into(),
        Type::String => "a string".into(),
        Type::Integer(least, most) if *most == i64::MAX || *least < 0 => "a whole number".into(),
        Type::Integer(least, most) => format!("a whole number from {least} to {most}"),
        Type::Double => "a number".into(),
        Type::Duration => "a duration such as \"10s\" or \"1m30s\"".into(),
        Type::IntOrString => "a whole number or a string".into(),
        Type::Struct | Type::Map(_) | Type::Message(_) => "a map".into(),
        Type::List(_) => "a list".into(),
        Type::Any | Type::Enum(_) => "another value".into(),
    }
}

#[cfg(test)]
mod tests {
    use crate::api::proto::{Schema, mesh, values};
    use serde_json::{Value, json};

    fn found(schema: &Schema, message: &'static str, value: &Value) -> Vec<String> {
        schema.check(message, value, "v").into_iter().map(|f| format!("{}: {}", f.path, f.message)).collect()
    }

    #[test]
    fn every_problem_is_found_at_its_path() {
        let value = json!({
            "pilot": {"autoscaleEnabled": "sometimes", "autoscaleMin": -1, "replicaCont": 2, "traceSampling": "much",
                "keepaliveMaxServerConnectionAge": "30", "rollingMaxSurge": 1.5, "plugins": "a"},
            "global": {"proxy": {"tracer": "zipkn", "autoInject": ["x"]}, "logging": "debug",
                "defaultTolerations": [{"key": "a"}, "b"]},
            "gateways": {"istio-ingressgateway": {"labels": {"a.b/c": 1}, "ports": [{"port": "x"}]}},
            "kiali": {},
        });
        let expected = [
            r"v.gateways.istio-ingressgateway.labels.a\.b/c: must be a string, not the number 1",
            r#"v.gateways.istio-ingressgateway.ports[0].port: must be a whole number, not the string "x""#,
            r#"v.global.defaultTolerations[1]: must be a map, not the string "b""#,
            r#"v.global.logging: must be a map, not the string "debug""#,
            r"v.global.proxy.autoInject: must be a string, not a list",
            r#"v.global.proxy.tracer: unknown value "zipkn" (did you mean "zipkin"?): must be one of zipkin, lightstep, datadog, stackdriver, openCensusAgent, none"#,
            r#"v.kiali: unknown field "kiali""#,
            r#"v.pilot.autoscaleEnabled: must be true or false, not the string "sometimes""#,
            r"v.pilot.autoscaleMin: must be a whole number from 0 to 4294967295, not the number -1",
            r#"v.pilot.keepaliveMaxServerConnectionAge: must be a duration such as "10s" or "1m30s", not the string "30""#,
            r#"v.pilot.plugins: must be a list, not the string "a""#,
            r#"v.pilot.replicaCont: unknown field "replicaCont" (did you mean "replicaCount"?)"#,
            r"v.pilot.rollingMaxSurge: must be a whole number or a string, not the number 1.5",
            r#"v.pilot.traceSampling: must be a number, not the string "much""#,
        ];
        assert_eq!(found(values(), "Values", &value), expected);
    }

    #[test]
    fn the_forms_that_protobuf_reads_are_accepted() {
        let value = json!({
            "pilot": {"autoscaleEnabled": null, "autoscaleMin": "2", "replicaCount": 1e3, "traceSampling": "0.5",
                "keepaliveMaxServerConnectionAge": "1h30m", "rollingMaxSurge": "25%", "tag": "x",
                "$patch": "replace", "env": {"A": true, "B": 1}},
            "cni": {"tag": 1.17, "psp_cluster_role": "a", "resourceQuotas": {"pods": "5000"}},
            "global": {"proxy": {"tracer": 2}, "tag": 12, "meshNetworks": {"n": {"x": [1]}}},
            "meshConfig": "checked elsewhere",
        });
        assert_eq!(found(values(), "Values", &value), Vec::<String>::new());
        let value = json!({"connect_timeout": "1.5s", "accessLogEncoding": 1, "enableAutoMtls": false,
            "defaultConfig": {"concurrency": "2", "tracing": {"customTags": {"a": {"literal": {"value": "x"}}}}},
            "localityLbSetting": {"distribute": [{"from": "a/*", "to": {"b/*": 100}}]},
            "extensionProviders": [{"name": "x", "envoyFileAccessLog": {"logFormat": {"labels": {"a": {"b": 1}}}}}],
            "discoverySelectors": [{"matchExpressions": [{"key": "a", "operator": "In", "values": ["b"]}]}]});
        assert_eq!(found(mesh(), "MeshConfig", &value), Vec::<String>::new());
    }

    #[test]
    fn only_one_of_a_group_may_be_set() {
        let value = json!({"defaultConfig": {"tracing": {"zipkin": {}, "datadog": {}, "lightstep": null}}});
        let expected = ["v.defaultConfig.tracing.zipkin: cannot be set together with datadog; choose one"];
        assert_eq!(found(mesh(), "MeshConfig", &value), expected);
    }
}
