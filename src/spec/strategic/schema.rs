//! Which fields merge in which way: read from the description of the API, for `IstioOperator` trees and for Kubernetes objects.

use crate::api::schema::{self, Merge, Message, Table, Type};
use serde_json::Value;
use std::sync::LazyLock;

/// Says which rule holds for which field.
pub trait MergeSchema {
    /// The rule for the field at this path: keys from the root on, items of lists not counted
    /// (`spec.template.spec.containers.env`).
    fn rule(&self, path: &[&str]) -> Merge;

    /// Whether a null of the patch removes what the base has at this path.
    fn null_removes(&self, _path: &[&str], _base: &Value) -> bool {
        true
    }

    /// Whether a map with a directive gets lost where the base has none.
    fn drops_directed(&self) -> bool {
        false
    }
}

/// Layers of an `IstioOperator`: profile, files, flags.
///
/// Keys that the description does not know merge like any map, also where upstream Istio fails because its schema lacks them.
/// A null where the base has a map or a list is an emptied section (`components:`), and is ignored; so is a null where
/// the base says whether something is installed. Otherwise a forgotten line would remove a control plane.
#[derive(Debug, Clone, Copy, Default)]
pub struct IstioOperatorSchema;

impl MergeSchema for IstioOperatorSchema {
    fn rule(&self, path: &[&str]) -> Merge {
        let Some((&"spec", path)) = path.split_first() else { return Merge::Merge };
        rule_within(schema::spec(), path).unwrap_or_default()
    }

    fn null_removes(&self, path: &[&str], base: &Value) -> bool {
        !base.is_object() && !base.is_array() && path.last() != Some(&"enabled")
    }
}

/// Another schema's layers exactly as upstream merges them: gateways by name alone, a null removes whatever stands there, and
/// a map with a directive where the base has nothing is not a map.
pub struct ExactSchema<'s>(pub &'s dyn MergeSchema);

impl MergeSchema for ExactSchema<'_> {
    fn rule(&self, path: &[&str]) -> Merge {
        match self.0.rule(path) {
            Merge::Named => Merge::Key("name"),
            rule => rule,
        }
    }

    fn drops_directed(&self) -> bool {
        true
    }
}

/// Layers of maps without a schema: lists are replaced, and a null says nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct PlainSchema;

impl MergeSchema for PlainSchema {
    fn rule(&self, _path: &[&str]) -> Merge {
        Merge::Merge
    }

    fn null_removes(&self, _path: &[&str], _base: &Value) -> bool {
        false
    }
}

/// Kubernetes objects: workloads, their pods, services, autoscalers, webhooks, service accounts.
///
/// A path has the same rule in every kind of object that has it, except disruption budgets; so the kind need not be known.
#[derive(Debug, Clone, Copy, Default)]
pub struct WorkloadSchema;

/// Disruption budgets: their selector is replaced, not merged like that of a workload.
#[derive(Debug, Clone, Copy, Default)]
pub struct BudgetSchema;

const BUDGET: &str = "PodDisruptionBudget";

/// The kinds of objects that are described, except disruption budgets.
static OBJECTS: LazyLock<Vec<&'static Message>> = LazyLock::new(|| {
    let is_object = |message: &Message| ["kind", "metadata"].iter().all(|field| message.field(field).is_some());
    Table::Kubernetes.all().filter(|message| is_object(message) && message.name != BUDGET).collect()
});

impl MergeSchema for WorkloadSchema {
    fn rule(&self, path: &[&str]) -> Merge {
        OBJECTS.iter().find_map(|object| rule_within(object, path)).unwrap_or_default()
    }
}

impl MergeSchema for BudgetSchema {
    fn rule(&self, path: &[&str]) -> Merge {
        rule_within(Table::Kubernetes.message(BUDGET), path).unwrap_or_default()
    }
}

/// The rule of the field at a path below a message; none for a field that the description does not know.
fn rule_within(message: &'static Message, path: &[&str]) -> Option<Merge> {
    let whole = Type::Message(message);
    let (mut at, mut rule) = (Some(&whole), Merge::Merge);
    for key in path {
        while let Some(Type::List(inner)) = at {
            at = Some(inner);
        }
        (at, rule) = match at? {
            Type::Message(message) => {
                let field = message.layer(key)?;
                (Some(&field.kind).filter(|_| !field.unchecked), field.merge)
            }
            Type::Map(inner) => (Some(&**inner), Merge::Merge),
            _ => return None,
        };
    }
    Some(rule)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every path below a message that has a rule of its own.
    fn rules(message: &Message, above: &str, out: &mut Vec<(String, Merge)>) {
        for field in message.fields() {
            let path = format!("{above}{}", field.name);
            let mut kind = &field.kind;
            while let Type::List(inner) = kind {
                kind = inner;
            }
            if let Type::Message(inner) = kind {
                rules(inner, &format!("{path}."), out);
            }
            out.push((path, field.merge));
        }
    }

    #[test]
    fn a_path_has_the_same_rule_in_all_kinds_but_budgets() {
        assert!(OBJECTS.len() > 10, "{}", OBJECTS.len());
        for object in OBJECTS.iter() {
            let mut own = vec![];
            rules(object, "", &mut own);
            for (path, rule) in own {
                let found = WorkloadSchema.rule(&path.split('.').collect::<Vec<_>>());
                assert_eq!(found, rule, "{}: {path}", object.name);
            }
        }
        let selector = ["spec", "selector"];
        assert_eq!((WorkloadSchema.rule(&selector), BudgetSchema.rule(&selector)), (Merge::Merge, Merge::Replace));
    }
}
