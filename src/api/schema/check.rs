//! Checks a value against its message: everything that does not fit, each with its path.

use super::{Field, Message, Table, Type};
use crate::api::quantity;
use crate::api::suggest;
use crate::api::text::{describe, push_key, scalar_text};
use helm_template::sprig::go_duration;
use serde_json::{Map, Number, Value};
use std::fmt::Write as _;

/// Keys that begin with this are directives of a merge, such as `$patch`, and no fields.
const DIRECTIVE: char = '$';

/// How a value is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// As protobuf reads JSON, except that unknown fields are refused. Numbers may be quoted, strings must be strings.
    Protobuf,
    /// The same, and nothing that releases themselves do not read: `$patch`, fields of our own, types wider than theirs. Of a
    /// group several fields may be set, of which protobuf takes one.
    Exact,
    /// As Go decodes JSON into types that are known in full: numbers are not quoted, the case of fields does not matter.
    Go,
    /// As Go reads Kubernetes' objects: unknown fields are kept, and a number or a boolean is taken for a string.
    Kubernetes,
}

impl Reading {
    fn is_of_protobuf(self) -> bool {
        matches!(self, Self::Protobuf | Self::Exact)
    }

    fn takes_what_releases_read(self) -> bool {
        matches!(self, Self::Exact | Self::Go)
    }
}

/// In what something does not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Misfit {
    /// A key that is not a field.
    Unknown,
    /// A value of another type.
    Type,
    /// A second field of a group of which only one may be set.
    Choice,
}

/// Something that does not fit its message.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding<'v> {
    /// Where, below the path that was given.
    pub path: String,
    /// What, and what is wanted.
    pub message: String,
    /// The table of the message it stands in.
    pub table: Option<Table>,
    /// What stands where a text is wanted.
    pub no_text: Option<&'v Value>,
    /// In what it does not fit.
    pub misfit: Misfit,
}

/// Everything in `value` that does not fit the message as it is in release 1.`minor`; paths begin with `path`.
#[must_use]
pub fn check<'v>(
    message: &'static Message,
    value: &'v Value,
    path: &str,
    reading: Reading,
    minor: u32,
) -> Vec<Finding<'v>> {
    let mut walk = Walk { reading, minor, path: path.to_owned(), table: message.table, findings: vec![] };
    walk.value(&Type::Message(message), value);
    walk.findings
}

struct Walk<'v> {
    reading: Reading,
    minor: u32,
    path: String,
    table: Option<Table>,
    findings: Vec<Finding<'v>>,
}

impl<'v> Walk<'v> {
    fn value(&mut self, kind: &Type, value: &'v Value) {
        match (kind, value) {
            (_, Value::Null) | (Type::Any, _) => {}
            (Type::Message(message), Value::Object(map)) => self.message(message, map),
            (Type::Map(inner), Value::Object(map)) => {
                for (key, value) in fields(map, self.reading) {
                    self.below(key, |walk| walk.value(inner, value));
                }
            }
            (Type::List(inner), Value::Array(items)) => {
                let length = self.path.len();
                for (i, item) in items.iter().enumerate() {
                    let _ = write!(self.path, "[{i}]");
                    self.value(inner, item);
                    self.path.truncate(length);
                }
            }
            (Type::Enum(names), value) => self.enumeration(names, value),
            (kind, value) if self.fits(kind, value) => {}
            (kind, value) => {
                let message = format!("must be {}, not {}", wanted(kind, value), describe(value));
                let no_text = matches!(kind, Type::String).then_some(value);
                self.findings.push(Finding {
                    path: self.path.clone(),
                    message,
                    table: self.table,
                    no_text,
                    misfit: Misfit::Type,
                });
            }
        }
    }

    /// The field that a key stands for.
    fn field(&self, message: &'static Message, key: &str) -> Result<&'static Field, Option<&'static Field>> {
        let named = |field: &&Field| self.reading == Reading::Go && field.name.eq_ignore_ascii_case(key);
        let key = message.fields_in(self.minor).find(named).map_or(key, |field| field.name);
        let found = message.field_in(key, self.minor)?;
        let is_read = !(found.is_ours && self.reading.takes_what_releases_read());
        if is_read { Ok(found) } else { Err(None) }
    }

    fn message(&mut self, message: &'static Message, map: &'v Map<String, Value>) {
        let outer = std::mem::replace(&mut self.table, message.table);
        let mut chosen: Vec<(&str, &str)> = vec![];
        for (key, value) in fields(map, self.reading) {
            let field = match self.field(message, key) {
                Ok(field) => field,
                Err(other) => {
                    if self.reading != Reading::Kubernetes {
                        let text = unknown(message, key, other, self.minor);
                        self.below(key, |walk| walk.add(text, Misfit::Unknown));
                    }
                    continue;
                }
            };
            self.below(key, |walk| {
                if let Some(group) = field.oneof.filter(|_| walk.reading == Reading::Protobuf && !value.is_null()) {
                    match chosen.iter().find(|(other, _)| *other == group) {
                        Some((_, first)) => {
                            walk.add(format!("cannot be set together with {first}; choose one"), Misfit::Choice);
                        }
                        None => chosen.push((group, key)),
                    }
                }
                let exact = field.exact.as_ref().filter(|_| walk.reading.takes_what_releases_read());
                let kind = if field.unchecked { &Type::Struct } else { exact.unwrap_or(&field.kind) };
                walk.value(kind, value);
            });
        }
        self.table = outer;
    }

    fn enumeration(&mut self, names: &[&str], value: &Value) {
        let message = match value {
            Value::String(text) if names.contains(&text.as_str()) => return,
            Value::Number(number) if self.is_numbered(number, names) => return,
            Value::String(text) => {
                let hint = suggest::hint(text, names.iter().copied());
                format!("unknown value {text:?}{hint}: must be one of {}", names.join(", "))
            }
            other => format!("must be one of {}, not {}", names.join(", "), describe(other)),
        };
        self.add(message, Misfit::Type);
    }

    /// Whether a number stands for a value of an enumeration. Protobuf takes those of newer releases, too.
    fn is_numbered(&self, number: &Number, names: &[&str]) -> bool {
        match self.reading {
            Reading::Protobuf | Reading::Exact => number.is_i64(),
            Reading::Go | Reading::Kubernetes => {
                number.as_u64().is_some_and(|n| usize::try_from(n).is_ok_and(|n| n < names.len()))
            }
        }
    }

    /// Whether a value that is neither a message nor a collection has its type.
    fn fits(&self, kind: &Type, value: &Value) -> bool {
        let is_protobuf = self.reading.is_of_protobuf();
        match (kind, value) {
            (Type::Bool, Value::Bool(_))
            | (Type::String | Type::IntOrString | Type::NumberOrString | Type::Time, Value::String(_))
            | (Type::Double | Type::NumberOrString, Value::Number(_))
            | (Type::Struct, Value::Object(_)) => true,
            (Type::String, Value::Number(_) | Value::Bool(_)) => self.reading == Reading::Kubernetes,
            (Type::Integer(..), Value::String(_)) if self.reading == Reading::Go => false,
            (Type::Integer(least, most), value) if self.reading != Reading::Kubernetes => {
                whole(value).is_some_and(|n| (*least..=*most).contains(&n))
            }
            // Protobuf writes those of 64 bits as text.
            (Type::Integer(_, most), value) => *most > u32::MAX.into() || is_whole(value) || whole(value).is_some(),
            (Type::IntOrString | Type::Int, value) => is_whole(value),
            (Type::Double, Value::String(text)) => is_protobuf && text.parse::<f64>().is_ok(),
            (Type::Duration, Value::String(text)) => go_duration(text).is_ok(),
            (Type::Quantity, Value::Number(_) | Value::String(_)) => {
                scalar_text(value).is_some_and(|text| quantity::canonical(&text).is_some())
            }
            _ => false,
        }
    }

    fn below(&mut self, key: &str, work: impl FnOnce(&mut Self)) {
        let length = self.path.len();
        push_key(&mut self.path, key);
        work(self);
        self.path.truncate(length);
    }

    fn add(&mut self, message: String, misfit: Misfit) {
        self.findings.push(Finding { path: self.path.clone(), message, table: self.table, no_text: None, misfit });
    }
}

/// What to say of a key that is not a field of release 1.`minor`, given the field that another release has.
fn unknown(message: &Message, key: &str, other: Option<&Field>, minor: u32) -> String {
    let known = message.fields().iter().filter(|field| field.releases.contains(&minor)).map(|field| field.name);
    match other {
        Some(Field { releases, instead, .. }) if minor >= releases.end => {
            let advice = if instead.is_empty() { "remove it".to_owned() } else { format!("use {instead}") };
            format!("unknown field {key:?}: release 1.{} removed it; {advice}", releases.end)
        }
        Some(Field { releases, .. }) => {
            format!("unknown field {key:?}: it came with release 1.{}, and this is 1.{minor}", releases.start)
        }
        None => format!("unknown field {key:?}{}", suggest::hint(key, known)),
    }
}

/// The entries of a map that are fields.
fn fields(map: &Map<String, Value>, reading: Reading) -> impl Iterator<Item = (&String, &Value)> {
    map.iter().filter(move |(key, _)| reading != Reading::Protobuf || !key.starts_with(DIRECTIVE))
}

/// What is wanted instead of a value, as the object of "must be".
fn wanted(kind: &Type, value: &Value) -> String {
    match kind {
        Type::Integer(least, most) if whole(value).is_some() => format!("a whole number from {least} to {most}"),
        other => other.wanted().to_owned(),
    }
}

/// A whole number, also as text, as protobuf writes those of 64 bits.
#[must_use]
pub fn whole(value: &Value) -> Option<i64> {
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

/// Whether a value is a number without fraction.
fn is_whole(value: &Value) -> bool {
    value.is_u64() || (value.is_number() && whole(value).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::schema::{mesh, values};
    use serde_json::json;

    fn found(message: &'static Message, value: &Value) -> Vec<String> {
        let findings = check(message, value, "v", Reading::Protobuf, 17);
        findings.into_iter().map(|f| format!("{}: {}", f.path, f.message)).collect()
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
        assert_eq!(found(values(), &value), expected);
    }

    #[test]
    fn the_forms_that_protobuf_reads_are_accepted() {
        let value = json!({
            "pilot": {"autoscaleEnabled": null, "autoscaleMin": "2", "replicaCount": 1e3, "traceSampling": "0.5",
                "keepaliveMaxServerConnectionAge": "1h30m", "rollingMaxSurge": "25%", "tag": "x",
                "$patch": "replace", "env": {"A": true, "B": 1}},
            "cni": {"tag": 1.17, "psp_cluster_role": "a", "resourceQuotas": {"pods": "5000"}},
            "global": {"proxy": {"tracer": 2}, "tag": 12, "meshNetworks": {"n": {"x": [1]}}},
            "meshConfig": {"accessLogEncoding": "JSON"},
        });
        assert_eq!(found(values(), &value), Vec::<String>::new());
        let value = json!({"connect_timeout": "1.5s", "accessLogEncoding": 1, "enableAutoMtls": false,
            "defaultConfig": {"concurrency": "2", "tracing": {"customTags": {"a": {"literal": {"value": "x"}}}}},
            "localityLbSetting": {"distribute": [{"from": "a/*", "to": {"b/*": 100}}]},
            "extensionProviders": [{"name": "x", "envoyFileAccessLog": {"logFormat": {"labels": {"a": {"b": 1}}}}}],
            "discoverySelectors": [{"matchExpressions": [{"key": "a", "operator": "In", "values": ["b"]}]}]});
        assert_eq!(found(mesh(), &value), Vec::<String>::new());
    }

    #[test]
    fn what_releases_read_themselves_is_less_than_what_is_meant() {
        let exactly = |value: &Value, minor: u32| {
            let findings = check(values(), value, "v", Reading::Exact, minor);
            findings.into_iter().map(|f| f.path).collect::<Vec<_>>()
        };
        let value = json!({"pilot": {"volumes": [{"name": "a", "emptyDir": {}}], "extraContainerArgs": ["-x", {}]},
            "global": {"waypoint": {"nodeSelector": {"a": "b"}}}, "revisionTags": ["$patch"], "$patch": "merge"});
        assert_eq!(check(values(), &value, "v", Reading::Protobuf, 26), []);
        let always = ["v.$patch", "v.global.waypoint.nodeSelector.a", "v.pilot.extraContainerArgs[0]"];
        assert_eq!(exactly(&value, 30), always);
        assert_eq!(exactly(&value, 26), [&always[..], &["v.pilot.volumes[0].emptyDir"]].concat());
    }

    #[test]
    fn go_decodes_types_strictly_and_the_case_of_fields_does_not_matter() {
        let settings = Table::Strict.message("KubernetesResources");
        let findings = |value: &Value| {
            let findings = check(settings, value, "k8s", Reading::Go, 30);
            findings.into_iter().map(|f| f.path.trim_start_matches("k8s.").to_owned()).collect::<Vec<_>>()
        };
        let right = json!({"ReplicaCount": 3, "resources": {"limits": {"cpu": 5}}, "hpaSpec": {"minReplicas": 1e0},
            "env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}],
            "volumes": [{"name": "v", "emptyDir": {}}], "service": {"ports": [{"port": 80, "targetPort": "http"}]}});
        assert_eq!(findings(&right), Vec::<String>::new());
        let wrong = json!({"replicaCount": "3", "hpaSpec": {"metrics": [{"resource": {"targetAverageUtilization": 1}}]},
            "env": [{"name": "A", "$patch": "delete", "valueFrom": {"secretKeyRef": {"localObjectReference": {}}}}],
            "volumes": [{"volumeSource": {}}], "service": {"ports": [{"port": "80"}]}, "podAnnotations": {"a": 1}});
        let expected = [
            "env[0].$patch",
            "env[0].valueFrom.secretKeyRef.localObjectReference",
            "hpaSpec.metrics[0].resource.targetAverageUtilization",
            "podAnnotations.a",
            "replicaCount",
            "service.ports[0].port",
            "volumes[0].volumeSource",
        ];
        assert_eq!(findings(&wrong), expected);
    }

    #[test]
    fn only_one_of_a_group_may_be_set() {
        let value = json!({"defaultConfig": {"tracing": {"zipkin": {}, "datadog": {}, "lightstep": null}}});
        let expected = ["v.defaultConfig.tracing.zipkin: cannot be set together with datadog; choose one"];
        assert_eq!(found(mesh(), &value), expected);
    }
}
