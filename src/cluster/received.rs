//! IstioOperator resources as the API server sends them.
//!
//! Guarantee: whatever one resource holds, it can be read, and so can every list and watch that it is part of. JSON may be
//! nested 10,000 deep in a custom resource, and the record of who wrote which field (`managedFields`) is as deep; a parser
//! that recurses gives up long before, and takes the whole list with it. So `spec` and `status` are taken as text first, and
//! `managedFields`, which nobody needs, is skipped.

use super::meta::{brief, resource_of_any_kind};
use crate::api::suggest::hint;
use crate::api::{FINALIZER, INSTALLED_STATE, LONGEST_LABEL, annotations};
use crate::object::OwnerId;
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::jiff::Timestamp;
use kube::api::ApiResource;
use kube::{Resource, ResourceExt};
use serde::de::{Error, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use std::fmt;
use std::sync::Arc;

/// How deep a spec may be nested: deeper than anybody writes by hand, and such that whatever is made of it, and the record of
/// its fields, can still be read by those who give up at 128 levels.
pub const DEEPEST_SPEC: usize = 100;

/// Kubernetes' own finalizer of what is deleted with `--cascade=orphan`.
const ORPHAN: &str = "orphan";

/// The spec of a resource.
#[derive(Clone, Debug)]
pub enum Spec {
    /// There is none, or it was not kept since nobody needs it.
    None,
    /// As it is.
    Readable(Value),
    /// It cannot be read; why.
    Unreadable(Arc<ResourceError>),
}

/// Why nothing can be installed by a resource, whatever its spec says.
#[derive(Debug, thiserror::Error)]
pub enum ResourceError {
    /// The spec is nested deeper than [`DEEPEST_SPEC`].
    #[error("spec is nested {depth} levels deep; at most {DEEPEST_SPEC} are taken, so make it flatter")]
    TooDeep {
        /// How deep.
        depth: usize,
    },
    /// The spec is not JSON that a tree can be made of.
    #[error("spec cannot be read: {0}")]
    Json(#[from] serde_json::Error),
    /// It has fields beside its spec that no resource has.
    #[error("{}", .0.iter().map(|name| unknown_field(name)).collect::<Vec<_>>().join("; "))]
    UnknownFields(Vec<String>),
    /// Its name is not a valid label value.
    #[error(
        "metadata.name: must be at most {LONGEST_LABEL} characters long, since it is the value of a label of everything \
         that is installed; give the resource a shorter name"
    )]
    NameTooLong,
}

impl ResourceError {
    /// One word for it.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        "InvalidResource"
    }
}

/// An IstioOperator resource as it was observed.
#[derive(Clone, Debug)]
pub struct ObservedResource {
    /// Its metadata, without `managedFields`.
    pub metadata: ObjectMeta,
    /// Its spec.
    pub spec: Spec,
    /// Why it is not a valid resource, by its fields beside the spec.
    pub unknown_fields: Option<Arc<ResourceError>>,
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

    /// Why nothing can be installed by it, before its spec is looked into.
    #[must_use]
    pub fn error(&self) -> Option<&ResourceError> {
        let is_name_too_long = self.metadata.name.as_deref().is_some_and(|name| name.len() > LONGEST_LABEL);
        match &self.spec {
            Spec::Unreadable(why) => Some(why),
            Spec::None | Spec::Readable(_) if is_name_too_long => Some(&ResourceError::NameTooLong),
            Spec::None | Spec::Readable(_) => self.unknown_fields.as_deref(),
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

    /// Its namespace and name.
    #[must_use]
    pub fn id(&self) -> OwnerId {
        OwnerId::of(&self.metadata)
    }

    /// Its uid; empty where the API server has not said it.
    #[must_use]
    pub fn uid(&self) -> &str {
        self.metadata.uid.as_deref().unwrap_or_default()
    }

    /// Its `resourceVersion`, see [`version_of`].
    #[must_use]
    pub fn version(&self) -> u64 {
        version_of(self.metadata.resource_version.as_deref())
    }

    /// How an event names it.
    #[must_use]
    pub fn reference(&self) -> ObjectReference {
        let reference = self.object_ref(&owner_resource());
        ObjectReference { resource_version: self.metadata.resource_version.clone(), ..reference }
    }

    /// The value of an annotation, if it has it.
    #[must_use]
    pub fn annotation(&self, name: &str) -> Option<&str> {
        self.annotations().get(name).map(String::as_str)
    }

    /// Whether it is annotated to be tried only.
    #[must_use]
    pub fn is_dry_run(&self) -> bool {
        annotations::is_dry_run(self.annotations())
    }

    /// Whether it is the record of an installation.
    #[must_use]
    pub fn is_record(&self) -> bool {
        self.metadata.name.as_deref().is_some_and(|name| name.starts_with(INSTALLED_STATE))
    }

    /// Whether it is a record, or annotated to be left alone.
    #[must_use]
    pub fn is_left_alone(&self) -> bool {
        self.is_record() || annotations::is_left_alone(self.annotations())
    }

    /// Whether its deletion was asked for.
    #[must_use]
    pub fn is_being_deleted(&self) -> bool {
        self.metadata.deletion_timestamp.is_some()
    }

    /// When its deletion was asked for.
    #[must_use]
    pub fn deletion_asked_at(&self) -> Timestamp {
        self.metadata.deletion_timestamp.as_ref().map(|time| time.0).unwrap_or_default()
    }

    /// Whether it is being deleted with `--cascade=orphan`, as far as it still says so: Kubernetes takes its finalizer away
    /// within a moment.
    #[must_use]
    pub fn is_being_orphaned(&self) -> bool {
        self.is_being_deleted() && self.finalizers().iter().any(|finalizer| finalizer == ORPHAN)
    }

    /// Whether it has our finalizer.
    #[must_use]
    pub fn has_finalizer(&self) -> bool {
        self.finalizers().iter().any(|finalizer| finalizer == FINALIZER)
    }

    /// The JSON patch that gives it our finalizer, unless it has it. The test makes sure that nobody else's is lost.
    #[must_use]
    pub fn patch_with_finalizer(&self) -> Option<Value> {
        if self.has_finalizer() {
            return None;
        }
        let version = json!({"op": "test", "path": "/metadata/resourceVersion", "value": self.resource_version()});
        let add = if self.finalizers().is_empty() {
            json!({"op": "add", "path": "/metadata/finalizers", "value": [FINALIZER]})
        } else {
            json!({"op": "add", "path": "/metadata/finalizers/-", "value": FINALIZER})
        };
        Some(json!([version, add]))
    }

    /// The JSON patch that takes our finalizer away from this very resource, if it has it.
    #[must_use]
    pub fn patch_without_finalizer(&self) -> Option<Value> {
        let position = self.finalizers().iter().position(|finalizer| finalizer == FINALIZER)?;
        let pointer = format!("/metadata/finalizers/{position}");
        Some(json!([
            {"op": "test", "path": "/metadata/uid", "value": self.uid()},
            {"op": "test", "path": pointer, "value": FINALIZER},
            {"op": "remove", "path": pointer},
        ]))
    }
}

/// A `resourceVersion` as a number: versions grow, and can be compared (KEP-5504). One that is not a number counts as newer than
/// all.
#[must_use]
pub fn version_of(text: Option<&str>) -> u64 {
    text.and_then(|text| text.parse().ok()).unwrap_or(u64::MAX)
}

/// An IstioOperator resource, see the module.
#[derive(Clone, Debug)]
pub struct Received {
    metadata: ObjectMeta,
    spec: Option<Box<RawValue>>,
    status: Option<Box<RawValue>>,
    unknown_fields: Vec<String>,
}

/// The fields of a resource.
const FIELDS: [&str; 5] = ["apiVersion", "kind", "metadata", "spec", "status"];
/// So many others are remembered.
const MOST_UNKNOWN: usize = 20;

impl<'de> Deserialize<'de> for Received {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Fields)
    }
}

/// Reads a resource field by field.
struct Fields;

impl<'de> Visitor<'de> for Fields {
    type Value = Received;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an IstioOperator resource")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Received, A::Error> {
        let (mut metadata, mut spec, mut status, mut unknown_fields) = (None, None, None, vec![]);
        while let Some(name) = fields.next_key::<String>()? {
            match name.as_str() {
                "metadata" => metadata = Some(fields.next_value::<Meta>()?.0),
                "spec" => spec = fields.next_value()?,
                "status" => status = fields.next_value()?,
                _ => {
                    fields.next_value::<IgnoredAny>()?;
                    if !FIELDS.contains(&name.as_str()) && unknown_fields.len() < MOST_UNKNOWN {
                        unknown_fields.push(name);
                    }
                }
            }
        }
        let metadata = metadata.ok_or_else(|| A::Error::missing_field("metadata"))?;
        Ok(Received { metadata, spec, status, unknown_fields })
    }
}

/// Metadata without `managedFields`.
struct Meta(ObjectMeta);

impl<'de> Deserialize<'de> for Meta {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(ObjectMeta { managed_fields: None, ..brief(deserializer)? }))
    }
}

/// What there is to say of a field that no resource has.
fn unknown_field(name: &str) -> String {
    let shown = annotations::shown(name);
    format!("{shown}: unknown field {shown:?}{}", hint(&shown, FIELDS))
}

impl Received {
    /// The resource with its spec as a tree, and its status as text.
    #[must_use]
    pub fn into_observed(self) -> ObservedResource {
        let spec = match self.spec.as_deref().map(RawValue::get).map(read) {
            Some(Ok(spec)) => Spec::Readable(spec),
            Some(Err(why)) => Spec::Unreadable(Arc::new(why)),
            None => Spec::None,
        };
        let status = self.status.map(|status| String::from(Box::<str>::from(status))).unwrap_or_default();
        let unknown = Some(self.unknown_fields).filter(|names| !names.is_empty());
        let unknown_fields = unknown.map(|names| Arc::new(ResourceError::UnknownFields(names)));
        ObservedResource { metadata: self.metadata, spec, unknown_fields, status }
    }

    /// Only the metadata.
    #[must_use]
    pub fn into_metadata(self) -> ObjectMeta {
        self.metadata
    }
}

fn read(spec: &str) -> Result<Value, ResourceError> {
    let depth = depth(spec);
    if depth > DEEPEST_SPEC {
        return Err(ResourceError::TooDeep { depth });
    }
    Ok(serde_json::from_str(spec)?)
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

resource_of_any_kind!(Received, false);
resource_of_any_kind!(ObservedResource, false);

/// How IstioOperator resources are addressed.
#[must_use]
pub fn owner_resource() -> ApiResource {
    use crate::api::{API_VERSION, GROUP, KIND, PLURAL, VERSION};
    ApiResource {
        group: GROUP.into(),
        version: VERSION.into(),
        api_version: API_VERSION.into(),
        kind: KIND.into(),
        plural: PLURAL.into(),
    }
}

/// As if the API server had sent it.
///
/// # Errors
/// It has no metadata.
pub fn from_value(value: &Value) -> Result<ObservedResource, serde_json::Error> {
    Ok(serde_json::from_str::<Received>(&value.to_string())?.into_observed())
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
            let why = object.error();
            assert_eq!(why.is_some(), levels > DEEPEST_SPEC, "{levels}: {why:?}");
            assert_eq!(object.spec().is_some(), levels <= DEEPEST_SPEC);
        }
    }

    #[test]
    fn brackets_in_texts_are_no_depth() {
        assert_eq!(depth(r#"{"a": "[[[[\"[[", "b": [1, {"c": "\\"}]}"#), 3);
    }

    #[test]
    fn a_resource_by_which_nothing_can_be_installed_says_why() {
        let why = |spec: &str| read(spec).unwrap_err().to_string();
        assert_eq!(why(&nested(200)), "spec is nested 200 levels deep; at most 100 are taken, so make it flatter");
        assert!(why("{").starts_with("spec cannot be read: "));
        let named = |length| from_value(&json!({"metadata": {"name": "x".repeat(length)}})).unwrap();
        assert!(named(63).error().is_none());
        let why = named(64).error().map(ToString::to_string).unwrap_or_default();
        assert!(why.starts_with("metadata.name: must be at most 63 characters long"), "{why}");
    }

    #[test]
    fn a_field_beside_the_spec_that_no_resource_has_is_a_problem() {
        let deep = nested(9000);
        let of = |text: &str| serde_json::from_str::<Received>(text).unwrap().into_observed();
        let head = r#""apiVersion":"install.istio.io/v1alpha1","kind":"IstioOperator","metadata":{"name":"x"}"#;
        let misspelt = of(&format!(r#"{{{head},"spc":{{"profile":"minimal"}},"data":{deep}}}"#));
        let why = misspelt.error().map(ToString::to_string);
        let expected = r#"spc: unknown field "spc" (did you mean "spec"?); data: unknown field "data""#;
        assert_eq!(why.as_deref(), Some(expected));
        assert!(of(&format!(r#"{{{head},"spec":null,"status":{{}}}}"#)).error().is_none());
        let many: Vec<String> = (0..1000).map(|i| format!(r#""{}{i}":1"#, "x".repeat(1000))).collect();
        let why = of(&format!("{{{head},{}}}", many.join(","))).error().map(ToString::to_string).unwrap_or_default();
        assert!(why.len() < 5000, "{}", why.len());
    }

    fn deleted(finalizers: &[&str]) -> ObservedResource {
        let deleted = "2026-01-01T12:00:00Z";
        let metadata = json!({"name": "main", "namespace": "ns", "uid": "u", "resourceVersion": "7",
            "deletionTimestamp": deleted, "finalizers": finalizers});
        from_value(&json!({ "metadata": metadata })).unwrap()
    }

    #[test]
    fn only_the_finalizer_of_this_very_resource_is_removed() {
        assert_eq!(deleted(&[]).patch_without_finalizer(), None);
        let patch = deleted(&["other", FINALIZER]).patch_without_finalizer().unwrap();
        assert_eq!(patch[0], json!({"op": "test", "path": "/metadata/uid", "value": "u"}));
        assert_eq!(patch[1], json!({"op": "test", "path": "/metadata/finalizers/1", "value": FINALIZER}));
        assert_eq!(patch[2], json!({"op": "remove", "path": "/metadata/finalizers/1"}));
    }

    #[test]
    fn a_finalizer_is_added_to_those_of_others_once() {
        let test = json!({"op": "test", "path": "/metadata/resourceVersion", "value": "7"});
        let add = |finalizers: &[&str]| deleted(finalizers).patch_with_finalizer();
        let first = json!({"op": "add", "path": "/metadata/finalizers", "value": [FINALIZER]});
        assert_eq!(add(&[]), Some(json!([test, first])));
        let one_more = json!({"op": "add", "path": "/metadata/finalizers/-", "value": FINALIZER});
        assert_eq!(add(&["other"]), Some(json!([test, one_more])));
        assert_eq!(add(&["other", FINALIZER]), None);
    }

    #[test]
    fn what_is_deleted_with_cascade_orphan_says_so() {
        let mut resource = deleted(&["other", ORPHAN]);
        assert!(resource.is_being_orphaned() && !deleted(&["other"]).is_being_orphaned());
        resource.metadata.deletion_timestamp = None;
        assert!(!resource.is_being_orphaned());
    }

    #[test]
    fn an_event_names_the_resource_with_its_uid_and_version() {
        let reference = deleted(&[]).reference();
        let named = [reference.api_version, reference.kind, reference.namespace, reference.name];
        let expected = ["install.istio.io/v1alpha1", "IstioOperator", "ns", "main"];
        assert_eq!(named.map(Option::unwrap), expected);
        assert_eq!((reference.uid.as_deref(), reference.resource_version.as_deref()), (Some("u"), Some("7")));
    }
}
