//! IstioOperator resources as the API server sends them.
//!
//! Guarantee: whatever one resource holds, it can be read, and so can every list and watch that it is part of. JSON may be
//! nested 10,000 deep in a custom resource, and the record of who wrote which field (`managedFields`) is as deep; a parser
//! that recurses gives up long before, and takes the whole list with it. So `spec` and `status` are taken as text first, and
//! `managedFields`, which nobody needs, is skipped.

use super::meta::{brief, resource_of_any_kind};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use serde_json::{Value, json};

/// How deep a spec may be nested: deeper than anybody writes by hand, and such that whatever is made of it, and the record of
/// its fields, can still be read by those who give up at 128 levels.
pub const DEEPEST_SPEC: usize = 100;

/// The spec of a resource.
#[derive(Clone, Debug, PartialEq)]
pub enum Spec {
    /// There is none, or it was not kept since nobody needs it.
    None,
    /// As it is.
    Readable(Value),
    /// It cannot be read; why.
    Unreadable(String),
}

/// An IstioOperator resource as it was observed.
#[derive(Clone, Debug)]
pub struct ObservedResource {
    /// Its metadata, without `managedFields`.
    pub metadata: ObjectMeta,
    /// Its spec.
    pub spec: Spec,
    /// Its status as JSON text, for a tree takes ten times as much; empty where there is none.
    pub status: String,
}

impl ObservedResource {
    /// The spec, if it can be read.
    #[must_use]
    pub fn spec(&self) -> Option<&Value> {
        match &self.spec {
            Spec::Readable(spec) => Some(spec),
            Spec::None | Spec::Unreadable(_) => None,
        }
    }

    /// Why the spec cannot be read, if it cannot.
    #[must_use]
    pub fn unreadable(&self) -> Option<&str> {
        match &self.spec {
            Spec::Unreadable(why) => Some(why),
            Spec::None | Spec::Readable(_) => None,
        }
    }

    /// `spec.revision`, empty for none.
    #[must_use]
    pub fn revision(&self) -> &str {
        self.spec().and_then(|spec| spec.get("revision")?.as_str()).unwrap_or_default()
    }

    /// When it was created, so that earlier sorts before later.
    #[must_use]
    pub fn created_at(&self) -> String {
        self.metadata.creation_timestamp.as_ref().map(|time| time.0.to_string()).unwrap_or_default()
    }

    /// The spec's generation; 0 where the API server has not said it.
    #[must_use]
    pub fn generation(&self) -> i64 {
        self.metadata.generation.unwrap_or_default()
    }
}

/// An IstioOperator resource, see the module.
#[derive(Clone, Debug, Deserialize)]
pub struct Received {
    #[serde(deserialize_with = "metadata")]
    metadata: ObjectMeta,
    #[serde(default)]
    spec: Option<Box<RawValue>>,
    #[serde(default)]
    status: Option<Box<RawValue>>,
}

impl Received {
    /// The resource with its spec as a tree, and its status as text.
    #[must_use]
    pub fn into_observed(self) -> ObservedResource {
        let spec = match self.spec.as_deref().map(RawValue::get).map(read) {
            Some(Ok(spec)) => Spec::Readable(spec),
            Some(Err(why)) => Spec::Unreadable(why),
            None => Spec::None,
        };
        let status = self.status.map(|status| String::from(Box::<str>::from(status))).unwrap_or_default();
        ObservedResource { metadata: self.metadata, spec, status }
    }

    /// Only the metadata.
    #[must_use]
    pub fn into_metadata(self) -> ObjectMeta {
        self.metadata
    }
}

fn read(spec: &str) -> Result<Value, String> {
    let depth = depth(spec);
    if depth > DEEPEST_SPEC {
        return Err(format!(
            "spec is nested {depth} levels deep; at most {DEEPEST_SPEC} are taken, so make it flatter"
        ));
    }
    serde_json::from_str(spec).map_err(|e| format!("spec cannot be read: {e}"))
}

/// How deep JSON is nested.
fn depth(json: &str) -> usize {
    let (mut depth, mut deepest, mut in_string, mut is_escaped) = (0_usize, 0, false, false);
    for byte in json.bytes() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if in_string => is_escaped = true,
            b'"' => in_string = !in_string,
            b'{' | b'[' if !in_string => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b'}' | b']' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

fn metadata<'de, D: Deserializer<'de>>(deserializer: D) -> Result<ObjectMeta, D::Error> {
    Ok(ObjectMeta { managed_fields: None, ..brief(deserializer)? })
}

resource_of_any_kind!(Received, false);
resource_of_any_kind!(ObservedResource, false);

/// As if the API server had sent it.
///
/// # Errors
/// It has no metadata.
pub fn from_value(value: &Value) -> Result<ObservedResource, serde_json::Error> {
    // Fields that this type does not know are left out, as they are by the API server.
    let known = json!({"metadata": value.get("metadata"), "spec": value.get("spec"), "status": value.get("status")});
    Ok(serde_json::from_str::<Received>(&known.to_string())?.into_observed())
}

#[cfg(test)]
mod tests {
    use super::*;
    use kube::core::{ObjectList, WatchEvent};

    fn nested(levels: usize) -> String {
        format!("{}1{}", r#"{"a":["#.repeat(levels / 2), "]}".repeat(levels / 2))
    }

    fn resource(levels: usize) -> String {
        let deep = nested(levels);
        format!(
            r#"{{"apiVersion":"install.istio.io/v1alpha1","kind":"IstioOperator","metadata":{{"name":"deep","generation":3,
            "managedFields":[{{"fieldsV1":{deep}}}]}},"spec":{{"values":{deep}}},"status":{{"x":{deep}}}}}"#
        )
    }

    #[test]
    fn a_resource_of_any_depth_is_read_and_so_are_those_beside_it() {
        for levels in [10, 200, 9000] {
            let list = format!(
                r#"{{"apiVersion":"v1","kind":"List","metadata":{{}},"items":[{},{}]}}"#,
                resource(levels),
                resource(2)
            );
            let list: ObjectList<Received> = serde_json::from_str(&list).unwrap();
            assert_eq!(list.items.len(), 2, "{levels}");
            let event = format!(r#"{{"type":"ADDED","object":{}}}"#, resource(levels));
            let WatchEvent::Added(read) = serde_json::from_str::<WatchEvent<Received>>(&event).unwrap() else {
                panic!("no addition")
            };
            let object = read.into_observed();
            assert_eq!((object.metadata.name.as_deref(), object.metadata.generation), (Some("deep"), Some(3)));
            assert!(object.metadata.managed_fields.is_none() && !object.status.is_empty());
            let why = object.unreadable();
            assert_eq!(why.is_some(), levels > DEEPEST_SPEC, "{levels}: {why:?}");
            assert_eq!(object.spec().is_some(), levels <= DEEPEST_SPEC);
        }
    }

    #[test]
    fn brackets_in_texts_are_no_depth() {
        assert_eq!(depth(r#"{"a": "[[[[\"[[", "b": [1, {"c": "\\"}]}"#), 3);
    }
}
