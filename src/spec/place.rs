//! What the API says of a place in a spec: whether it is a section or a single value, and of which kind.

use super::path::{Element, Path};
use crate::api::schema::{self, Message, Table, Type};

/// What a place in a spec holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// A map or a list.
    Section,
    /// A field `enabled`, which says whether something is installed.
    Enabled,
    /// A string.
    Text,
    /// A string, though upstream's API takes anything: a tag.
    LooseText,
    /// A number or a boolean.
    Scalar,
    /// The API does not say.
    Unknown,
}

/// What the API says of a path that begins with `spec`.
#[must_use]
pub fn at(path: &Path) -> Place {
    let Some((first, rest)) = path.elements().split_first() else { return Place::Unknown };
    if !matches!(first, Element::Key(key) if key == "spec") {
        return Place::Unknown;
    }
    let spec = Type::Message(schema::spec());
    let Some(kind) = rest.iter().try_fold(&spec, |kind, element| below(kind, element)) else { return Place::Unknown };
    let is_called = |name: &str| matches!(rest.last(), Some(Element::Key(key)) if key == name);
    match kind {
        Type::Message(_) | Type::Map(_) | Type::List(_) | Type::Struct => Place::Section,
        Type::Bool if is_called("enabled") => Place::Enabled,
        Type::String => Place::Text,
        Type::Any if is_called("tag") => Place::LooseText,
        Type::Any => Place::Unknown,
        _ => Place::Scalar,
    }
}

fn below<'t>(kind: &'t Type, element: &Element) -> Option<&'t Type> {
    match (kind, element) {
        (Type::Message(message), Element::Key(key)) => Some(&message.field(key)?.kind),
        (Type::List(inner), Element::Key(_)) if is_of_spec(inner) => below(inner, element),
        (Type::List(inner), Element::Match(_)) if is_of_spec(inner) => Some(inner),
        (Type::Map(inner), Element::Key(_)) | (Type::List(inner), Element::Index(_) | Element::KeyValue { .. }) => {
            Some(inner)
        }
        _ => None,
    }
}

fn is_of_spec(kind: &Type) -> bool {
    matches!(kind, Type::Message(Message { table: Some(Table::Spec), .. }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_table_of_the_spec_is_asked() {
        for (path, place) in [
            ("spec", Place::Section),
            ("spec.components", Place::Section),
            ("spec.components.pilot.enabled", Place::Enabled),
            ("spec.components.ingressGateways[name:x].k8s", Place::Section),
            ("spec.components.ingressGateways[0].label.a", Place::Text),
            ("spec.components.pilot.k8s.env[0].value", Place::Text),
            ("spec.components.pilot.k8s.replicaCount", Place::Scalar),
            ("spec.tag", Place::LooseText),
            ("spec.components.cni.tag", Place::LooseText),
            ("spec.values.global.tag", Place::LooseText),
            ("spec.unvalidatedValues.pilot.tag", Place::LooseText),
            ("spec.values.global", Place::Section),
            ("spec.values.pilot.nodeSelector", Place::Section),
            ("spec.values.pilot.nodeSelector.a", Place::Unknown),
            ("spec.values.gateways.istio-ingressgateway.labels.a", Place::Text),
            ("spec.values.meshConfig.defaultConfig", Place::Section),
            ("spec.meshConfig.defaultConfig.proxyMetadata.X", Place::Text),
            ("spec.meshConfig.rootNamespace", Place::Text),
            ("spec.nosuch", Place::Unknown),
            ("metadata.name", Place::Unknown),
        ] {
            assert_eq!(at(&Path::parse(path).unwrap()), place, "{path}");
        }
    }
}
