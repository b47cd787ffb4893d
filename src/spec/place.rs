//! What the API says of a place in a spec: whether a section stands there, or a single value and of which kind.

use crate::api::istio_operator::IstioOperatorSpec;
use crate::api::proto::{self, Schema, Type};
use crate::api::shape::{Shape, Shaped};
use crate::spec::path::{Element, Path};

/// What stands at a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// A map or a list.
    Section,
    /// Whether something is installed.
    Enabled,
    /// A string.
    Text,
    /// A string, though upstream's API takes anything: a tag.
    LooseText,
    /// A number or a boolean.
    Scalar,
    /// Nothing that is known.
    Unknown,
}

/// The form of a place, of either kind of table.
#[derive(Clone, Copy)]
enum Form<'a> {
    Shape(&'static Shape),
    Type(&'a Schema, &'a Type),
    Unknown,
}

/// What stands at a path that begins with `spec`.
#[must_use]
pub fn at(path: &Path) -> Place {
    let Some((first, rest)) = path.elements().split_first() else { return Place::Unknown };
    if !matches!(first, Element::Key(key) if key == "spec") {
        return Place::Unknown;
    }
    let form = rest.iter().fold(Form::Shape(IstioOperatorSpec::SHAPE), Form::below);
    let last = match rest.last() {
        Some(Element::Key(key)) => key.as_str(),
        _ => "",
    };
    form.place(last)
}

/// Parts of the spec that tables of their own describe, and the message at their root.
fn table(key: &str) -> Option<(&'static Schema, &'static str)> {
    match key {
        "values" | "unvalidatedValues" => Some((proto::values(), "Values")),
        "meshConfig" => Some((proto::mesh(), "MeshConfig")),
        _ => None,
    }
}

impl<'a> Form<'a> {
    fn below(self, element: &Element) -> Form<'a> {
        match (self, element) {
            (Form::Shape(Shape::Message(_) | Shape::Map(_)), Element::Key(key)) => self.below_key(key),
            (Form::Shape(Shape::List(inner)), Element::Key(_)) => Form::Shape(inner).below(element),
            (Form::Shape(Shape::List(inner)), _) => Form::Shape(inner),
            (Form::Type(schema, Type::Map(inner)), Element::Key(_)) => Form::Type(schema, inner),
            (Form::Type(schema, Type::Message(message)), Element::Key(key)) => match schema.field(message, key) {
                // `values.meshConfig` is the same configuration.
                Some(field) if field.kind == Type::Any && key == "meshConfig" => root(key),
                Some(field) => Form::Type(schema, &field.kind),
                None => Form::Unknown,
            },
            (Form::Type(schema, Type::List(inner)), Element::Index(_) | Element::KeyValue { .. }) => {
                Form::Type(schema, inner)
            }
            _ => Form::Unknown,
        }
    }

    fn below_key(self, key: &str) -> Form<'a> {
        match self {
            Form::Shape(Shape::Map(inner)) => Form::Shape(inner),
            Form::Shape(shape) => match shape.field(key) {
                Some(Shape::FreeMap) if table(key).is_some() => root(key),
                Some(shape) => Form::Shape(shape),
                None => Form::Unknown,
            },
            _ => Form::Unknown,
        }
    }

    fn place(self, last: &str) -> Place {
        match self {
            Form::Shape(Shape::Message(_) | Shape::Map(_) | Shape::List(_) | Shape::FreeMap)
            | Form::Type(_, Type::Message(_) | Type::Map(_) | Type::List(_) | Type::Struct) => Place::Section,
            Form::Shape(Shape::Bool) | Form::Type(_, Type::Bool) if last == "enabled" => Place::Enabled,
            Form::Shape(Shape::String) | Form::Type(_, Type::String) => Place::Text,
            Form::Shape(Shape::Any) | Form::Type(_, Type::Any) if last == "tag" => Place::LooseText,
            Form::Shape(Shape::Any) | Form::Type(_, Type::Any) | Form::Unknown => Place::Unknown,
            Form::Shape(_) | Form::Type(..) => Place::Scalar,
        }
    }
}

fn root(key: &str) -> Form<'static> {
    static ROOTS: [Type; 2] = [Type::Message("Values"), Type::Message("MeshConfig")];
    table(key)
        .and_then(|(schema, name)| Some(Form::Type(schema, ROOTS.iter().find(|t| **t == Type::Message(name))?)))
        .unwrap_or(Form::Unknown)
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
