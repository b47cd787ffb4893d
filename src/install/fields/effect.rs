//! What applying would make of a live object, in the API server's own words.
//!
//! In: the desired object, the live one, and whether the resource has it already. Out: the object before and after, or nothing
//! where no value changes: that a field gets another owner is not a change. Both a plan in a status and a forecast of a command
//! are made of it. It is only tried: nothing is stored.

use super::{Replicas, compare, content, drift, handover, removal};
use crate::cluster::{Cluster, ClusterError, value_of};
use crate::object::Object;
use kube::api::DynamicObject;
use serde_json::{Map, Value, json};

/// An object that would be changed.
#[derive(Clone, Debug, PartialEq)]
pub struct Effect {
    /// As it is.
    pub before: Value,
    /// As it would be.
    pub after: Value,
}

/// What applying an object would change; `None` where that is nothing but whose fields are. `is_known` says that the resource has
/// it already: else what installers before us set becomes ours first, so that what nobody wants of it goes, too.
///
/// # Errors
/// What the API server says; it may refuse the object.
pub async fn foresee(
    cluster: &Cluster,
    desired: &Object,
    live: &DynamicObject,
    replicas: Replicas,
    is_known: bool,
) -> Result<Option<Effect>, ClusterError> {
    const TRIES: u32 = 3;
    let (key, mut live) = (desired.key(), live.clone());
    for tries in 1.. {
        let Some(after) = after(cluster, desired, &live, replicas, is_known).await? else { return Ok(None) };
        let before = content(&live);
        if before == after {
            return Ok(None);
        }
        // Its controller may write it meanwhile.
        let newer = if tries < TRIES { cluster.get(desired.api_version(), &key).await? } else { None };
        match newer {
            Some(newer) if newer.metadata.resource_version != live.metadata.resource_version => live = newer,
            _ => return Ok(Some(Effect { before, after })),
        }
    }
    Ok(None)
}

/// What becomes of the object; `None` where nothing would be written.
async fn after(
    cluster: &Cluster,
    desired: &Object,
    live: &DynamicObject,
    replicas: Replicas,
    is_known: bool,
) -> Result<Option<Value>, ClusterError> {
    let comparison = compare(desired, Some(live), replicas);
    let value = value_of(live);
    let earlier = if is_known { None } else { handover::record(&value) };
    if comparison.is_equal() && earlier.is_none() {
        return Ok(None);
    }
    let desired = comparison.desired;
    let after = content(&cluster.apply(&desired, true).await?);
    let Some(earlier) = earlier else { return Ok(Some(after)) };
    // To a dry run the fields are still theirs, and stay.
    let mut bare = after.clone();
    let wanted = desired.value();
    removal::take_away(&mut bare, &earlier.fields, Some(&wanted), &earlier.of_others, &drift::item_finder(&wanted));
    if bare == after {
        return Ok(Some(after));
    }
    // What goes may have a default.
    let tried = cluster.try_patch(desired.api_version(), &desired.key(), patch(&content(live), &bare)).await?;
    Ok(Some(content(&tried)))
}

/// A JSON patch that makes an object another one of the same name.
fn patch(from: &Value, to: &Value) -> Value {
    let empty = Map::new();
    let mut changes = vec![];
    let mut compare = |at: &str, from: Option<&Value>, to: Option<&Value>| {
        let [from, to] = [from, to].map(|value| value.and_then(Value::as_object).unwrap_or(&empty));
        for (name, value) in to.iter().filter(|(name, value)| *name != "metadata" && from.get(*name) != Some(*value)) {
            changes.push(json!({"op": "add", "path": format!("{at}/{name}"), "value": value}));
        }
        for name in from.keys().filter(|name| !to.contains_key(*name)) {
            changes.push(json!({"op": "remove", "path": format!("{at}/{name}")}));
        }
    };
    compare("", Some(from), Some(to));
    compare("/metadata", from.get("metadata"), to.get("metadata"));
    changes.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_patch_names_the_fields_that_differ_and_those_that_go() {
        let from = json!({"data": {"a": "1"}, "x": 1, "metadata": {"name": "n", "labels": {"a/b": "c"}}});
        let to = json!({"data": {}, "metadata": {"name": "n", "labels": {"d": "e"}}});
        let expected = json!([
            {"op": "add", "path": "/data", "value": {}},
            {"op": "remove", "path": "/x"},
            {"op": "add", "path": "/metadata/labels", "value": {"d": "e"}}]);
        assert_eq!(patch(&from, &to), expected);
    }
}
