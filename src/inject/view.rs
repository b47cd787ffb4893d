//! What templates see of trees: Go structs with Go's field names.

use super::types;
use crate::api::schema::{Field, Message, Presence, Type};
use helm_template::gotmpl::{Map as TemplateMap, MapKind, Object, Signature, Text, Value};
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
}

/// A tree of a type as a template value.
pub(super) fn structure(name: &str, tree: &Map<String, Json>) -> Value {
    of_message(types::find(name), tree)
}

fn of_message(of: &'static Message, tree: &Map<String, Json>) -> Value {
    Value::Object(Rc::new(Struct { of, tree: tree.clone() }))
}

fn view(kind: &Type, tree: &Json) -> Value {
    match (kind, tree) {
        (Type::Message(message), Json::Object(map)) => of_message(message, map),
        (Type::Message(message), _) => of_message(message, &Map::new()),
        (Type::List(item), Json::Array(items)) if matches!(**item, Type::String) => {
            Value::strings(items.iter().filter_map(Json::as_str))
        }
        (Type::List(item), Json::Array(items)) => Value::list(items.iter().map(|v| view(item, v)).collect()),
        (Type::List(_), _) => Value::list(vec![]),
        (Type::Map(item), Json::Object(map)) if matches!(**item, Type::String | Type::Quantity) => {
            strings(map.iter().filter_map(|(key, v)| Some((key.as_str(), v.as_str()?))))
        }
        (Type::Map(item), Json::Object(map)) => Value::map(map.iter().map(|(key, v)| (key.as_str(), view(item, v)))),
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

    fn known(&self, go: &str) -> Option<&'static Field> {
        self.of.fields.iter().find(|f| is_named(f.name, go))
    }

    fn content(&self, field: &Field) -> Value {
        match self.tree.get(field.name) {
            None | Some(Json::Null) if field.presence != Presence::Implicit => Value::Nil,
            None => view(&field.kind, &types::zero(&field.kind)),
            Some(found) if field.presence == Presence::Wrapped => {
                let content = view(&field.kind, found);
                Value::Object(Rc::new(Wrapper(content)))
            }
            Some(found) => view(&field.kind, found),
        }
    }
}

impl Object for Struct {
    fn type_name(&self) -> &str {
        self.of.name
    }

    fn field(&self, name: &str) -> Option<Value> {
        if let Some(field) = self.known(name) {
            return Some(self.content(field));
        }
        // Fields that the description of the API does not have.
        self.tree.iter().find(|(key, _)| is_named(key, name)).map(|(_, v)| from_tree(v))
    }

    // Messages have a getter for each field, such as `GetTag`.
    fn has_method(&self, name: &str) -> bool {
        name.strip_prefix("Get").is_some_and(|field| self.known(field).is_some())
    }

    fn method_signature(&self, name: &str) -> Option<Signature> {
        self.has_method(name).then_some(Signature { params: &[], variadic: None })
    }

    fn call(&self, name: &str, _args: &[Value]) -> Option<Result<Value, String>> {
        let field = self.known(name.strip_prefix("Get")?)?;
        // The getter of an unset message gives an empty one.
        Some(Ok(match (self.content(field), &field.kind) {
            (Value::Nil, Type::Message(_)) => view(&field.kind, &Json::Null),
            (Value::Nil, kind) if field.presence == Presence::Wrapped => {
                Value::Object(Rc::new(Wrapper(view(kind, &types::zero(kind)))))
            }
            (content, _) => content,
        }))
    }

    fn is_comparable(&self) -> bool {
        false
    }

    fn weight(&self) -> u64 {
        // The fields that are not set are printed too.
        4096 + 4 * helm_template::gotmpl::price::weight_of_json(&self.tree)
    }

    fn display(&self) -> String {
        types::json(self.of.name, &Json::Object(self.tree.clone()))
    }

    fn to_json(&self) -> Result<String, String> {
        Ok(self.display())
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// A scalar that may be unset: protobuf's `BoolValue` and `Int32Value`.
struct Wrapper(Value);

impl Object for Wrapper {
    fn type_name(&self) -> &'static str {
        "wrapperspb.Value"
    }

    fn field(&self, name: &str) -> Option<Value> {
        (name == "Value").then(|| self.0.clone())
    }

    fn has_method(&self, name: &str) -> bool {
        name == "GetValue"
    }

    fn method_signature(&self, name: &str) -> Option<Signature> {
        self.has_method(name).then_some(Signature { params: &[], variadic: None })
    }

    fn call(&self, name: &str, _args: &[Value]) -> Option<Result<Value, String>> {
        self.has_method(name).then(|| Ok(self.0.clone()))
    }

    fn weight(&self) -> u64 {
        helm_template::gotmpl::price::printed(&self.0, 1 << 28)
    }

    fn display(&self) -> String {
        String::from_utf8_lossy(&helm_template::gotmpl::format::display(&self.0)).into_owned()
    }

    fn to_json(&self) -> Result<String, String> {
        Ok(self.display())
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::schema::Table;
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
        assert!(matches!(get(&config, &["Concurrency"]), Some(Value::Nil)));
        let Value::Object(config) = config else { panic!("a struct") };
        let tracing = config.call("GetTracing", &[]).unwrap().unwrap();
        let Value::Object(tracing) = tracing else { panic!("a struct") };
        let tls = tracing.call("GetTlsSettings", &[]).unwrap().unwrap();
        assert_eq!(helm_template::gotmpl::format::display(&get(&tls, &["CaCertificates"]).unwrap()), b"");
    }
}
