//! What the proxy says of itself in traces: OpenTelemetry's attributes of a service that runs in Kubernetes, which releases from
//! 1.30 on set where a tracing provider asks for them (`serviceAttributeEnrichment: OTEL_SEMANTIC_CONVENTIONS`).

use super::view::Struct;
use helm_template::gotmpl::{Function, Type, Value};
use serde_json::Value as Json;

/// The function.
pub(super) const FUNCTIONS: &[Function] = &[Function {
    name: "otelResourceAttributes",
    params: &[Type::Any, Type::Any, Type::Any, Type::String, Type::Any],
    variadic: None,
    call: |_, args| {
        let [mesh, annotations, labels, namespace, containers] = args else { return Ok(Value::string("")) };
        if !is_asked_for(mesh) {
            return Ok(Value::string(""));
        }
        let pod = Described { annotations, labels, namespace: text(namespace), containers: &containers_of(containers) };
        let attributes = [
            ("service.namespace", pod.namespace()),
            ("service.version", pod.version()),
            ("service.instance.id", pod.instance()),
        ];
        let set = attributes.into_iter().filter_map(|(name, value)| Some(format!("{name}={}", value?)));
        Ok(Value::string(set.collect::<Vec<_>>().join(",")))
    },
}];

/// Whether a provider of the mesh configuration wants these attributes.
fn is_asked_for(mesh: &Value) -> bool {
    let Value::Object(mesh) = mesh else { return false };
    let tree = mesh.as_any().downcast_ref::<Struct>().map(Struct::tree);
    let providers = tree.and_then(|tree| tree.get("extensionProviders")).and_then(Json::as_array);
    providers.into_iter().flatten().any(|provider| {
        let asked = provider.pointer("/opentelemetry/serviceAttributeEnrichment");
        // Protobuf reads the name of an enumeration's value and its number alike.
        asked.is_some_and(|asked| {
            asked == "OTEL_SEMANTIC_CONVENTIONS" || asked.as_u64() == Some(OTEL_SEMANTIC_CONVENTIONS)
        })
    })
}

const OTEL_SEMANTIC_CONVENTIONS: u64 = 1;

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.to_str().into_owned(),
        _ => String::new(),
    }
}

/// The names and images of containers.
fn containers_of(list: &Value) -> Vec<(String, String)> {
    let Value::List(list) = list else { return vec![] };
    let field = |value: &Value, name: &str| match value {
        Value::Object(object) => object.field(name).map(|v| text(&v)).unwrap_or_default(),
        _ => String::new(),
    };
    list.snapshot().iter().map(|container| (field(container, "Name"), field(container, "Image"))).collect()
}

/// What of a pod the attributes are made of.
struct Described<'p> {
    annotations: &'p Value,
    labels: &'p Value,
    namespace: String,
    containers: &'p [(String, String)],
}

impl Described<'_> {
    fn annotated(&self, attribute: &str) -> Option<String> {
        entry(self.annotations, &format!("resource.opentelemetry.io/{attribute}"))
    }

    fn namespace(&self) -> Option<String> {
        self.annotated("service.namespace").or_else(|| Some(self.namespace.clone()).filter(|n| !n.is_empty()))
    }

    fn version(&self) -> Option<String> {
        let labelled = || entry(self.labels, "app.kubernetes.io/version");
        let of_image = || match self.containers {
            [(_, image)] => version_of(image),
            _ => None,
        };
        self.annotated("service.version").or_else(labelled).or_else(of_image)
    }

    /// A pod has no name yet: the kubelet puts it in.
    fn instance(&self) -> Option<String> {
        let named = || self.containers.first().map(|(name, _)| format!("{}.$(POD_NAME).{name}", self.namespace));
        self.annotated("service.instance.id").or_else(named)
    }
}

/// What a map of texts has, if it is not empty.
fn entry(map: &Value, key: &str) -> Option<String> {
    match map {
        Value::Map(map) => map.get(key).map(|value| text(&value)).filter(|text| !text.is_empty()),
        _ => None,
    }
}

/// Tag and digest of an image, as far as there are any.
fn version_of(image: &str) -> Option<String> {
    let (named, digest) = image.split_once('@').map_or((image, ""), |(named, digest)| (named, digest));
    let file = named.rsplit('/').next().unwrap_or_default();
    let tag = file.rsplit_once(':').map_or("", |(_, tag)| tag);
    let parts: Vec<&str> = [tag, digest].into_iter().filter(|part| !part.is_empty()).collect();
    (!parts.is_empty()).then(|| parts.join("@"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_has_the_version_of_its_tag_and_digest() {
        for (image, want) in [
            ("app:2.1", Some("2.1")),
            ("app@sha256:abc", Some("sha256:abc")),
            ("r.io:5000/app:2.1@sha256:abc", Some("2.1@sha256:abc")),
            ("r.io:5000/app", None),
            ("app", None),
        ] {
            assert_eq!(version_of(image).as_deref(), want, "{image}");
        }
    }
}
