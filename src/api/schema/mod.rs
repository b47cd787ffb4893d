//! The one description of the API: a spec, its Helm values and mesh configuration, and the pods that are injected.
//!
//! In: the tables beside this file. Out: a [`Message`] with its fields. Whatever has to know the API reads it: the check of a
//! value ([`check`]), the CRD ([`crd`](super::crd)), the merge of two layers of a spec or of two Kubernetes objects, `--set`,
//! and the form in which settings and pods are written.
//!
//! A table is lines of text. `message NAME` begins a message; below it stands `FIELD TYPE`, where `FIELD|ALIAS` is a field
//! with two spellings. `enum NAME VALUE...` is an enumeration. The name of a type is looked up in the message itself first,
//! then outwards; `TABLE/NAME` is one of another table. Lines that begin with `#` right before a message or a field
//! describe it.
//!
//! | type | JSON |
//! |---|---|
//! | `bool`, `string` | as named |
//! | `int32`, `int64`, `uint32`, `double` | a number, quoted or not |
//! | `int` | a whole number that is not quoted |
//! | `duration` | a string in Go's form, such as `1h30m` |
//! | `intOrString`, `numberOrString` | a whole number or any number, or a string |
//! | `quantity`, `time` | a string; a quantity may be a number |
//! | `struct`, `any` | a map with any content; anything |
//! | `T[]`, `map<T>` | a list; a map with any keys |
//!
//! | before or after a type | says |
//! |---|---|
//! | `*TYPE` | unset differs from empty: a pointer in Go |
//! | `always` | Go writes the field also when it is empty |
//! | `wrapped` | a message around one scalar in protobuf, so that unset differs from empty |
//! | `oneof GROUP` | only one field of the group may be set |
//! | `unchecked` | a map whose content is not checked |
//! | `merge KEY`, `named`, `set`, `replace` | how two layers are merged, see [`Merge`] |
//! | `removed` | a field of older releases: merged if a layer has it, unknown otherwise |
//! | `exactly TYPE` | releases themselves read this narrower type, see [`Reading::Exact`](check::Reading::Exact) |
//! | `ours` | a field that releases themselves do not know, and whose meaning is clear |
//! | `since N`, `until N` | the field is there from release 1.N on, and before it; without, in all from 1.17 on. One name may stand on several lines, each for other releases |
//! | `use ...` | what takes its place, to the end of the line |
//!
//! Null is unset everywhere. What a value means is not said here, only what it looks like.

pub mod check;
mod read;
mod types;

use types::Declared;
pub use types::{Field, Merge, Message, Presence, Table, Type};

use std::sync::LazyLock;

const SPEC_TEXT: &str =
    concat!(include_str!("spec.schema"), "\n", include_str!("settings.schema"), "\n", include_str!("volumes.schema"));

static SPEC: LazyLock<Declared> = LazyLock::new(|| read::table(Table::Spec, SPEC_TEXT));
static VALUES: LazyLock<Declared> = LazyLock::new(|| read::table(Table::Values, include_str!("values.schema")));
static MESH: LazyLock<Declared> = LazyLock::new(|| read::table(Table::Mesh, include_str!("mesh.schema")));
static KUBERNETES: LazyLock<Declared> =
    LazyLock::new(|| read::table(Table::Kubernetes, include_str!("kubernetes.schema")));
static STRICT: LazyLock<Declared> = LazyLock::new(|| read::table(Table::Strict, include_str!("strict.schema")));

/// The oldest minor release that is described.
pub const OLDEST: u32 = 17;
/// The newest.
pub const NEWEST: u32 = 31;

/// A spec.
#[must_use]
pub fn spec() -> &'static Message {
    Table::Spec.message("IstioOperatorSpec")
}

/// The `k8s` settings of a component.
#[must_use]
pub fn settings() -> &'static Message {
    Table::Spec.message("KubernetesResourcesSpec")
}

/// The Helm values.
#[must_use]
pub fn values() -> &'static Message {
    Table::Values.message("Values")
}

/// The mesh configuration.
#[must_use]
pub fn mesh() -> &'static Message {
    Table::Mesh.message("MeshConfig")
}

impl Table {
    fn declared(self) -> &'static Declared {
        match self {
            Self::Spec => &SPEC,
            Self::Values => &VALUES,
            Self::Mesh => &MESH,
            Self::Kubernetes => &KUBERNETES,
            Self::Strict => &STRICT,
        }
    }

    /// A message by its name, if there is one.
    #[must_use]
    pub fn find(self, name: &str) -> Option<&'static Message> {
        self.declared().messages.get(name)
    }

    /// All its messages, in the order of their names.
    pub fn all(self) -> impl Iterator<Item = &'static Message> {
        self.declared().messages.values()
    }

    /// A message by its name; an empty message if there is none.
    #[must_use]
    pub fn message(self, name: &str) -> &'static Message {
        static NONE: LazyLock<Message> = LazyLock::new(Message::default);
        self.find(name).unwrap_or(&NONE)
    }
}

impl Message {
    /// The field that a key stands for.
    #[must_use]
    pub fn field(&self, key: &str) -> Option<&Field> {
        let exact = self.fields().iter().find(|field| field.name == key || field.alias == Some(key));
        exact.or_else(|| {
            // Protobuf also reads what the field is called there.
            let snake = self.table == Some(Table::Mesh) && key.contains('_');
            let name = snake.then(|| camel_case(key))?;
            self.fields().iter().find(|field| field.name == name)
        })
    }

    /// The fields that release 1.`minor` has.
    pub fn fields_in(&self, minor: u32) -> impl Iterator<Item = &Field> {
        self.fields().iter().filter(move |field| field.releases.contains(&minor))
    }

    /// The field that a key stands for in release 1.`minor`.
    ///
    /// # Errors
    /// There is none; with the one of another release, if there is one: that which went last, or else the first that came.
    pub fn field_in(&self, key: &str, minor: u32) -> Result<&Field, Option<&Field>> {
        let all = || self.fields().iter().filter(|field| field.name == key || field.alias == Some(key));
        match all().find(|field| field.releases.contains(&minor)) {
            Some(field) => Ok(field),
            None => self.field(key).filter(|field| field.releases.contains(&minor)).ok_or_else(|| {
                let gone = all().filter(|field| field.releases.end <= minor).max_by_key(|field| field.releases.end);
                gone.or_else(|| all().min_by_key(|field| field.releases.start))
            }),
        }
    }

    /// The field of this name, for a merge: fields of older releases (`removed`) count too.
    #[must_use]
    pub fn layer(&self, name: &str) -> Option<&Field> {
        self.fields().iter().chain(self.removed()).find(|field| field.name == name)
    }
}

/// `connect_timeout` to `connectTimeout`, as protobuf makes JSON names.
#[must_use]
pub fn camel_case(name: &str) -> String {
    let mut parts = name.split('_');
    let mut result = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let mut letters = part.chars();
        result.extend(letters.next().map(|c| c.to_ascii_uppercase()));
        result.push_str(letters.as_str());
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_the_tables_is_understood() {
        for (table, text) in [
            (Table::Spec, SPEC_TEXT),
            (Table::Values, include_str!("values.schema")),
            (Table::Mesh, include_str!("mesh.schema")),
            (Table::Kubernetes, include_str!("kubernetes.schema")),
            (Table::Strict, include_str!("strict.schema")),
        ] {
            let messages = &table.declared().messages;
            let lines = |is_meant: &dyn Fn(&str) -> bool| text.lines().filter(|l| is_meant(l)).count();
            let is_field = |line: &str| line.starts_with(' ') && !line.trim_start().starts_with('#');
            assert_eq!(messages.len(), lines(&|l| l.starts_with("message ")), "{table:?}");
            let fields = messages.values().map(|m| m.fields().len() + m.removed().len()).sum::<usize>();
            assert_eq!(fields, lines(&is_field), "{table:?}");
            assert!(messages.len() > 20);
        }
    }

    /// Whoever walks a value by its message comes to an end even where the value does not say where.
    #[test]
    fn no_message_contains_itself() {
        fn walk(message: &'static Message, open: &mut Vec<(Option<Table>, &'static str)>) {
            let name = (message.table, message.name);
            assert!(!open.contains(&name), "{open:?} {name:?}");
            open.push(name);
            for field in message.fields() {
                let mut kind = &field.kind;
                while let Type::List(inner) | Type::Map(inner) = kind {
                    kind = inner;
                }
                if let Type::Message(inner) = kind {
                    walk(inner, open);
                }
            }
            open.pop();
        }
        for table in [Table::Spec, Table::Values, Table::Mesh, Table::Kubernetes, Table::Strict] {
            table.all().for_each(|message| walk(message, &mut vec![]));
        }
    }

    #[test]
    fn every_message_and_field_of_a_spec_is_described() {
        for message in Table::Spec.all() {
            assert!(!message.description().is_empty(), "{}", message.name);
            for field in message.fields() {
                assert!(!field.description.is_empty(), "{}.{}", message.name, field.name);
            }
        }
    }

    #[test]
    fn a_type_is_found_in_its_message_first_then_outwards() {
        let kind = |table: Table, message: &str, field: &str| match &table.message(message).field(field).unwrap().kind {
            Type::Message(message) => message.name.to_owned(),
            Type::Enum(values) => values.join(" "),
            other => format!("{other:?}"),
        };
        let tracers = "zipkin lightstep datadog stackdriver openCensusAgent none";
        assert_eq!(kind(Table::Values, "ProxyConfig", "tracer"), tracers);
        assert_eq!(kind(Table::Values, "GlobalConfig", "tracer"), "GlobalConfig.Tracer");
        assert_eq!(kind(Table::Mesh, "Tracing.CustomTag", "literal"), "Tracing.Literal");
        assert_eq!(kind(Table::Values, "Values", "meshConfig"), "MeshConfig");
        assert_eq!(kind(Table::Spec, "IstioOperatorSpec", "unvalidatedValues"), "Values");
    }

    #[test]
    fn names_have_the_spellings_that_upstream_reads() {
        let gateways = Table::Values.message("GatewaysConfig");
        for key in ["istio-ingressgateway", "istio_ingressgateway"] {
            assert_eq!(gateways.field(key).unwrap().name, "istio-ingressgateway");
        }
        assert!(Table::Values.message("PilotConfig").field("autoscale_enabled").is_none());
        assert!(Table::Values.message("GlobalConfig").field("proxyInit").is_none());
        for key in ["connectTimeout", "connect_timeout"] {
            assert_eq!(mesh().field(key).unwrap().name, "connectTimeout");
        }
        assert!(mesh().field("mesh_mTLS").is_some());
        assert!(mesh().field("connecttimeout").is_none());
    }

    #[test]
    fn a_removed_field_is_known_to_a_merge_only() {
        let gateway = Table::Values.message("IngressGatewayConfig");
        assert!(gateway.field("meshExpansionPorts").is_none());
        assert_eq!(gateway.layer("meshExpansionPorts").unwrap().merge, Merge::Key("name"));
    }
}
