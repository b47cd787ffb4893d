//! Every section of a spec, by the API's own description: what a person can leave empty.

use istio_operator::api::istio_operator::IstioOperatorSpec;
use istio_operator::api::proto::{self, Schema, Type};
use istio_operator::api::shape::{Shape, Shaped};
use serde_json::{Value, json};

/// The keys that lead to a section below the spec.
pub type Section = Vec<String>;

/// All maps and lists, and whatever says that something is installed.
pub fn all() -> Vec<Section> {
    let mut found = vec![];
    below_shape(IstioOperatorSpec::SHAPE, &mut vec![], &mut found);
    found
}

fn below_shape(shape: &Shape, at: &mut Section, found: &mut Vec<Section>) {
    let is_gateways = matches!(at.as_slice(), [_, list] if list.ends_with("Gateways"));
    match shape {
        Shape::Message(fields) => {
            if !at.is_empty() && !is_gateways {
                found.push(at.clone());
            }
            for field in *fields {
                at.push(field.name.to_owned());
                below_shape(field.shape, at, found);
                at.pop();
            }
        }
        Shape::List(inner) => {
            found.push(at.clone());
            // The items of other lists have no name by which a layer could reach them.
            if is_gateways {
                below_shape(inner, at, found);
            }
        }
        Shape::Map(_) => found.push(at.clone()),
        Shape::FreeMap => {
            found.push(at.clone());
            match at.last().map(String::as_str) {
                Some("values" | "unvalidatedValues") => below_message(proto::values(), "Values", at, found),
                Some("meshConfig") => below_message(proto::mesh(), "MeshConfig", at, found),
                _ => {}
            }
        }
        Shape::Bool if at.last().is_some_and(|key| key == "enabled") => found.push(at.clone()),
        _ => {}
    }
}

fn below_message(schema: &Schema, message: &str, at: &mut Section, found: &mut Vec<Section>) {
    for field in schema.fields(message) {
        at.push(field.name.to_owned());
        match &field.kind {
            Type::Message(name) => {
                found.push(at.clone());
                below_message(schema, name, at, found);
            }
            Type::List(_) | Type::Map(_) | Type::Struct => found.push(at.clone()),
            Type::Any if field.name == "meshConfig" => {
                found.push(at.clone());
                below_message(proto::mesh(), "MeshConfig", at, found);
            }
            _ => {}
        }
        at.pop();
    }
}

/// A spec in which a value stands at the end of the keys; that of a gateway stands in the one the profiles have.
pub fn spec_with(section: &[String], value: &Value) -> Value {
    let place = section.iter().enumerate().rev();
    let has_item = section.len() > 2 || value.is_object();
    place.fold(value.clone(), |inner, (depth, key)| {
        let name = match key.as_str() {
            "ingressGateways" if depth == 1 && has_item => "istio-ingressgateway",
            "egressGateways" if depth == 1 && has_item => "istio-egressgateway",
            _ => return json!({ key.as_str(): inner }),
        };
        let mut item = inner;
        item["name"] = name.into();
        json!({ key.as_str(): [item] })
    })
}
