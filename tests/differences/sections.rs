//! Every section of a spec, by the API's own description: what a person can leave empty.

use istio_operator::api::schema::{self, OLDEST, Table, Type};
use serde_json::{Value, json};

/// The keys that lead to a section below the spec.
pub type Section = Vec<String>;

/// All maps and lists, and whatever says that something is installed.
pub fn all() -> Vec<Section> {
    let mut found = vec![];
    below(&Type::Message(schema::spec()), &mut vec![], &mut found);
    found
}

fn below(kind: &Type, at: &mut Section, found: &mut Vec<Section>) {
    let is_gateways = matches!(at.as_slice(), [_, list] if list.ends_with("Gateways"));
    match kind {
        Type::Message(message) => {
            if !at.is_empty() && !is_gateways {
                found.push(at.clone());
            }
            for field in message.fields_in(OLDEST) {
                at.push(field.name.to_owned());
                // What says that something is installed: in the values it is a value like others.
                match field.kind {
                    Type::Bool if field.name == "enabled" && message.table != Some(Table::Spec) => {}
                    _ => below(&field.kind, at, found),
                }
                at.pop();
            }
        }
        Type::List(inner) => {
            found.push(at.clone());
            // The items of other lists have no name by which a layer could reach them.
            if is_gateways {
                below(inner, at, found);
            }
        }
        Type::Map(_) | Type::Struct => found.push(at.clone()),
        Type::Bool if at.last().is_some_and(|key| key == "enabled") => found.push(at.clone()),
        _ => {}
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
