//! What templates see of trees: Go structs with Go's field names.

use super::types;
use crate::api::schema::{Field, Message, Presence, Table, Type};
use helm_template::gotmpl::{Map as TemplateMap, MapKind, Object, Signature, Text, Value};
use helm_template::json::{self, Html};
use helm_template::sprig::encoding::from_tree;
use serde_json::{Map, Value as Json};
use std::any::Any;
use std::rc::Rc;

/// How Go spells fields whose name there is not their JSON name with a capital letter: a rule of spelling, whatever message
/// the field is in.
const NAMES: &[(&str, &str)] = &[
    ("apiVersion", "APIVersion"),
    ("uid", "UID"),
    ("dnsPolicy", "DNSPolicy"),
    ("dnsConfig", "DNSConfig"),
    ("os", "OS"),
    ("ip", "IP"),
    ("tty", "TTY"),
    ("fsGroup", "FSGroup"),
    ("fsGroupChangePolicy", "FSGroupChangePolicy"),
    ("seLinuxOptions", "SELinuxOptions"),
    ("httpGet", "HTTPGet"),
    ("httpHeaders", "HTTPHeaders"),
    ("tcpSocket", "TCPSocket"),
    ("grpc", "GRPC"),
    ("gcePersistentDisk", "GCEPersistentDisk"),
    ("awsElasticBlockStore", "AWSElasticBlockStore"),
    ("nfs", "NFS"),
    ("iscsi", "ISCSI"),
    ("rbd", "RBD"),
    ("fc", "FC"),
    ("csi", "CSI"),
    ("cephfs", "CephFS"),
    ("storageos", "StorageOS"),
];

/// Whether a field of this JSON name has this name in Go.
fn is_named(json: &str, go: &str) -> bool {
    if let Some((_, name)) = NAMES.iter().find(|(j, _)| *j == json) {
        return *name == go;
    }
    let (mut json, mut go) = (json.chars(), go.chars());
    json.next().is_some_and(|c| go.next() == Some(c.to_ascii_uppercase())) && json.as_str() == go.as_str()
}

/// A struct, or a pointer to one.
pub(super) struct Struct {
    of: &'static Message,
    tree: Map<String, Json>,
    /// A nil pointer has no fields, but it has getters.
    is_nil: bool,
}

/// A tree of a type as a template value.
pub(super) fn structure(name: &str, tree: &Map<String, Json>) -> Value {
    of_message(types::find(name), tree)
}

fn of_message(of: &'static Message, tree: &Map<String, Json>) -> Value {
    Value::Object(Rc::new(Struct { of, tree: tree.clone(), is_nil: false }))
}

/// A tree as a value of a type; `is_protobuf` of a message of protobuf, whose enumerations are numbers with names.
fn view(kind: &Type, tree: &Json, is_protobuf: bool) -> Value {
    let inner = |kind: &Type, tree: &Json| view(kind, tree, is_protobuf);
    match (kind, tree) {
        (Type::Message(message), Json::Object(map)) => of_message(message, map),
        (Type::Message(message), _) => of_message(message, &Map::new()),
        (Type::Enum(names), Json::String(name)) if is_protobuf => {
            Value::Object(Rc::new(Constant { name: name.clone(), is_zero: names.first() == Some(&name.as_str()) }))
        }
        (Type::List(item), Json::Array(items)) if matches!(**item, Type::String) => {
            Value::strings(items.iter().filter_map(Json::as_str))
        }
        (Type::List(item), Json::Array(items)) => Value::list(items.iter().map(|v| inner(item, v)).collect()),
        (Type::List(_), _) => Value::list(vec![]),
        (Type::Map(item), Json::Object(map)) if matches!(**item, Type::String | Type::Quantity) => {
            strings(map.iter().filter_map(|(key, v)| Some((key.as_str(), v.as_str()?))))
        }
        (Type::Map(item), Json::Object(map)) => Value::map(map.iter().map(|(key, v)| (key.as_str(), inner(item, v)))),
        (Type::Map(_), _) => strings([]),
        (Type::Any | Type::Struct | Type::Integer(_, i64::MAX), tree) => from_tree(tree),
        (_, scalar) => Value::from_json(scalar),
    }
}

/// A `map[string]string`.
pub(super) fn strings<'a>(entries: impl IntoIterator<Item = (&'a str, &'a str)>) -> Value {
    let entries = entries.into_iter().map(|(key, v)| (Text::from(key), Value::string(v)));
    Value::Map(TemplateMap::from_entries(MapKind::Strings, entries.collect()))
}

impl Struct {
    /// The type's name.
    pub(super) fn name(&self) -> &'static str {
        self.of.name
    }

    /// What is in it.
    pub(super) fn tree(&self) -> &Map<String, Json> {
        &self.tree
    }

    fn is_protobuf(&self) -> bool {
        self.of.table == Some(Table::Mesh)
    }

    fn known(&self, go: &str) -> Option<&'static Field> {
        self.of.fields().iter().find(|f| is_named(f.name, go))
    }

    fn content(&self, field: &Field) -> Value {
        let zero = || view(&field.kind, &types::zero(&field.kind), self.is_protobuf());
        match (self.tree.get(field.name), field.presence, &field.kind) {
            (None | Some(Json::Null), Presence::Wrapped, _) => Value::Object(Rc::new(Wrapper::Nil(zero()))),
            (None | Some(Json::Null), Presence::Explicit, Type::Message(of)) if self.is_protobuf() => {
                Value::Object(Rc::new(Struct { of, tree: Map::new(), is_nil: true }))
            }
            (None | Some(Json::Null), Presence::Explicit, _) => Value::Nil,
            (None, Presence::Implicit, _) => zero(),
            (Some(found), Presence::Wrapped, kind) => {
                Value::Object(Rc::new(Wrapper::Set(view(kind, found, self.is_protobuf()))))
            }
            (Some(found), _, kind) => view(kind, found, self.is_protobuf()),
        }
    }
}

impl Object for Struct {
    fn type_name(&self) -> &str {
        self.of.name
    }

    fn field(&self, name: &str) -> Option<Value> {
        if self.is_nil {
            return None;
        }
        if let Some(field) = self.known(name) {
            return Some(self.content(field));
        }
        // Fields that the description of the API does not have.
        self.tree.iter().find(|(key, _)| is_named(key, name)).map(|(_, v)| from_tree(v))
    }

    // Messages have a getter for each field, such as `GetTag`; that of an unset message gives what an empty one has.
    fn has_method(&self, name: &str) -> bool {
        name.strip_prefix("Get").is_some_and(|field| self.known(field).is_some())
    }

    fn method_signature(&self, name: &str) -> Option<Signature> {
        self.has_method(name).then_some(NO_PARAMETERS)
    }

    fn call(&self, name: &str, _args: &[Value]) -> Option<Result<Value, String>> {
        Some(Ok(self.content(self.known(name.strip_prefix("Get")?)?)))
    }

    fn is_comparable(&self) -> bool {
        false
    }

    fn is_true(&self) -> bool {
        !self.is_nil
    }

    fn weight(&self) -> u64 {
        // The fields that are not set are printed too.
        4096 + 4 * helm_template::gotmpl::price::weight_of_json(&self.tree)
    }

    fn display(&self) -> String {
        if self.is_nil { NIL.to_owned() } else { types::json(self.of.name, &Json::Object(self.tree.clone())) }
    }

    fn to_json(&self) -> Result<String, String> {
        Ok(if self.is_nil { "null".to_owned() } else { self.display() })
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

const NO_PARAMETERS: Signature = Signature { params: &[], variadic: None };

/// How Go prints a nil pointer.
const NIL: &str = "<nil>";

/// A scalar that may be unset: protobuf's `BoolValue` and `Int32Value`.
enum Wrapper {
    Set(Value),
    /// A nil pointer, and the zero value that its getter gives.
    Nil(Value),
}

impl Object for Wrapper {
    fn type_name(&self) -> &'static str {
        "wrapperspb.Value"
    }

    fn field(&self, name: &str) -> Option<Value> {
        match self {
            Self::Set(value) if name == "Value" => Some(value.clone()),
            _ => None,
        }
    }

    fn has_method(&self, name: &str) -> bool {
        name == "GetValue"
    }

    fn method_signature(&self, name: &str) -> Option<Signature> {
        self.has_method(name).then_some(NO_PARAMETERS)
    }

    fn call(&self, name: &str, _args: &[Value]) -> Option<Result<Value, String>> {
        let (Self::Set(value) | Self::Nil(value)) = self;
        self.has_method(name).then(|| Ok(value.clone()))
    }

    fn is_true(&self) -> bool {
        matches!(self, Self::Set(_))
    }

    fn weight(&self) -> u64 {
        let (Self::Set(value) | Self::Nil(value)) = self;
        helm_template::gotmpl::price::printed(value, 1 << 28)
    }

    fn display(&self) -> String {
        match self {
            Self::Set(value) => String::from_utf8_lossy(&helm_template::gotmpl::format::display(value)).into_owned(),
            Self::Nil(_) => NIL.to_owned(),
        }
    }

    fn to_json(&self) -> Result<String, String> {
        Ok(if self.is_true() { self.display() } else { "null".to_owned() })
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// A value of an enumeration of protobuf: a number that prints as its name.
struct Constant {
    name: String,
    is_zero: bool,
}

impl Object for Constant {
    fn type_name(&self) -> &'static str {
        "enumeration"
    }

    fn kind_name(&self) -> &'static str {
        "int32"
    }

    fn field(&self, _name: &str) -> Option<Value> {
        None
    }

    fn has_method(&self, name: &str) -> bool {
        name == "String"
    }

    fn method_signature(&self, name: &str) -> Option<Signature> {
        self.has_method(name).then_some(NO_PARAMETERS)
    }

    fn call(&self, name: &str, _args: &[Value]) -> Option<Result<Value, String>> {
        self.has_method(name).then(|| Ok(Value::string(self.name.as_str())))
    }

    fn is_true(&self) -> bool {
        !self.is_zero
    }

    fn display(&self) -> String {
        self.name.clone()
    }

    fn to_json(&self) -> Result<String, String> {
        Ok(json::quote(&self.name, Html::Escaped))
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn pod() -> Value {
        let tree = json!({"metadata": {"labels": {"app": "a"}},
            "spec": {"containers": [{"name": "c", "ports": [{"containerPort": 80}]}], "newField": 1}});
        structure("Pod", tree.as_object().unwrap())
    }

    fn get(value: &Value, path: &[&str]) -> Option<Value> {
        path.iter().try_fold(value.clone(), |value, name| match value {
            Value::Object(object) => object.field(name),
            Value::List(list) => list.get(0),
            _ => None,
        })
    }

    fn shown(path: &[&str]) -> String {
        let value = get(&pod(), path).map(|v| helm_template::gotmpl::format::display(&v));
        value.map_or_else(|| "none".into(), |v| String::from_utf8_lossy(&v).into_owned())
    }

    #[test]
    fn fields_have_the_names_of_go_and_unset_ones_are_empty() {
        assert_eq!(shown(&["ObjectMeta"]), "none");
        assert_eq!(shown(&["Metadata", "Labels"]), "map[app:a]");
        assert_eq!(shown(&["Metadata", "Annotations"]), "map[]");
        assert_eq!(shown(&["Spec", "Containers", "0", "Ports", "0", "ContainerPort"]), "80");
        assert_eq!(shown(&["Spec", "Containers", "0", "Ports", "0", "Protocol"]), "");
        assert_eq!(shown(&["Spec", "ServiceAccountName"]), "");
        assert_eq!(shown(&["Spec", "DNSPolicy"]), "");
        assert_eq!(shown(&["Spec", "DnsPolicy"]), "none");
        assert_eq!(shown(&["Spec", "NewField"]), "1");
        assert!(matches!(get(&pod(), &["Spec", "SecurityContext"]), Some(Value::Nil)));
    }

    #[test]
    fn every_name_that_go_spells_otherwise_is_a_described_field() {
        let described = |name: &str| Table::Kubernetes.all().any(|message| message.field(name).is_some());
        let unknown: Vec<_> = NAMES.iter().filter(|(json, _)| !described(json)).collect();
        assert!(unknown.is_empty(), "{unknown:?}");
    }

    #[test]
    fn json_keeps_the_order_of_fields() {
        let port = structure("ContainerPort", json!({"containerPort": 80, "name": "http"}).as_object().unwrap());
        let Value::Object(port) = port else { panic!("a struct") };
        assert_eq!(port.to_json().unwrap(), r#"{"name":"http","containerPort":80}"#);
    }

    #[test]
    fn a_scalar_that_may_be_unset_is_seen_by_its_value() {
        let message = json!({"holdApplicationUntilProxyStarts": true});
        let config = structure("ProxyConfig", message.as_object().unwrap());
        let hold = get(&config, &["HoldApplicationUntilProxyStarts", "Value"]);
        assert!(matches!(hold, Some(Value::Bool(true))));
        let mode = get(&config, &["InterceptionMode"]).unwrap();
        assert!(!mode.is_true() && helm_template::gotmpl::format::display(&mode) == b"REDIRECT");
        let Value::Object(config) = config else { panic!("a struct") };
        let tracing = config.call("GetTracing", &[]).unwrap().unwrap();
        let Value::Object(tracing) = tracing else { panic!("a struct") };
        let tls = tracing.call("GetTlsSettings", &[]).unwrap().unwrap();
        assert!(!tls.is_true() && get(&tls, &["CaCertificates"]).is_none());
        let Value::Object(tls) = tls else { panic!("a struct") };
        let certificates = tls.call("GetCaCertificates", &[]).unwrap().unwrap();
        assert_eq!(helm_template::gotmpl::format::display(&certificates), b"");
    }
}
