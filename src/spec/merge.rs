//! One layer of configuration over another.
//!
//! [`merge_patch`] is RFC 7386: maps merge, everything else is replaced, null deletes. Helm values and the hub and tag of
//! a build are merged like that. [`overlay_iop`] is for `IstioOperator` layers (profile, files, flags), where some lists
//! merge by name, and a null that would empty a whole section is ignored; see [`IstioOperatorSchema`].

use serde_json::{Map, Value};

use super::request::gateways::LISTS;
use super::strategic::{ExactSchema, IstioOperatorSchema, PlainSchema, merge_lists, strategic_merge};
use super::switches::{Pipeline, Switches};
use crate::api::schema::Merge;

pub use super::strategic::MergeError;

/// Merges `overlay` over `base` as a JSON merge patch. A null overlay is an empty layer and changes nothing. Nulls in the
/// overlay's maps never get into the result; nulls of the base stay.
pub fn merge_patch(base: &mut Value, overlay: &Value) {
    match overlay {
        Value::Null => {}
        Value::Object(patch) => {
            if !base.is_object() {
                *base = Value::Object(Map::new());
            }
            let Value::Object(map) = base else { return };
            for (key, value) in patch {
                if value.is_null() {
                    map.remove(key);
                } else {
                    merge_patch(map.entry(key.as_str()).or_insert(Value::Null), value);
                }
            }
        }
        other => other.clone_into(base),
    }
}

/// Merges `layer` over `base`: maps merge; everything else, lists and nulls too, takes the place of what was there.
pub fn merge_maps(base: &mut Value, layer: &Value) {
    match (base, layer) {
        (Value::Object(base), Value::Object(layer)) => {
            for (key, value) in layer {
                merge_maps(base.entry(key.as_str()).or_insert(Value::Null), value);
            }
        }
        (base, layer) => layer.clone_into(base),
    }
}

/// Removes all nulls from the maps of a tree. Null items of lists stay.
pub fn remove_nulls(tree: &mut Value) {
    match tree {
        Value::Object(map) => {
            map.retain(|_, value| !value.is_null());
            map.values_mut().for_each(remove_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(remove_nulls),
        _ => {}
    }
}

/// Merges one `IstioOperator` layer over another; both are whole resources (`spec: …`). A null layer changes nothing.
///
/// `$patch` and the other directives of strategic merge patches work in the overlay.
///
/// # Errors
/// See [`MergeError`].
pub fn overlay_iop(base: Value, overlay: &Value) -> Result<Value, MergeError> {
    strategic_merge(base, overlay, &IstioOperatorSchema)
}

/// Merges one layer over another as a release with these switches does.
///
/// # Errors
/// See [`MergeError`].
pub fn overlay_layer(base: Value, layer: &Value, switches: &Switches) -> Result<Value, MergeError> {
    match switches.pipeline {
        Pipeline::Until123 if switches.is_upstream => strategic_merge(base, layer, &ExactSchema(&IstioOperatorSchema)),
        Pipeline::Until123 => overlay_iop(base, layer),
        Pipeline::Since124 => overlay_maps(base, layer, switches),
    }
}

/// Merges one `IstioOperator` layer over another as releases from 1.24 on do: maps merge, everything else takes the place of
/// what was there, and a null reaches the charts.
///
/// Two things are as before 1.24 unless upstream's own behaviour is wanted: lists of gateways merge by name, and a null or
/// empty section is an absent one.
///
/// # Errors
/// A gateway without a name, or whose name alone does not say which is meant.
pub fn overlay_maps(base: Value, layer: &Value, switches: &Switches) -> Result<Value, MergeError> {
    let mut base = base;
    if switches.is_upstream {
        merge_maps(&mut base, layer);
    } else {
        LayerMerge { path: vec![] }.merge(&mut base, layer)?;
    }
    Ok(base)
}

/// [`merge_maps`], but for those two things.
struct LayerMerge<'l> {
    path: Vec<&'l str>,
}

impl<'l> LayerMerge<'l> {
    fn merge(&mut self, base: &mut Value, layer: &'l Value) -> Result<(), MergeError> {
        match (base, layer) {
            (base, Value::Object(layer)) => {
                if !base.is_object() {
                    *base = Value::Object(Map::new());
                }
                let Value::Object(base) = base else { return Ok(()) };
                for (key, value) in layer {
                    self.path.push(key);
                    if !(value.is_null() && self.is_absent()) {
                        self.merge(base.entry(key.as_str()).or_insert(Value::Null), value)?;
                    }
                    self.path.pop();
                }
            }
            (Value::Array(base), Value::Array(layer)) if self.is_gateways() => {
                *base = merge_lists(base, layer, Merge::Named, &self.path, &PlainSchema)?;
            }
            (base, layer) => layer.clone_into(base),
        }
        Ok(())
    }

    fn is_gateways(&self) -> bool {
        matches!(self.path.as_slice(), ["spec", "components", list] if LISTS.contains(list))
    }

    /// Whether a null at this place says nothing: all above the settings of a component, and above the values of a chart;
    /// and wherever something is turned on or off.
    fn is_absent(&self) -> bool {
        match self.path.as_slice() {
            [.., "enabled"] => true,
            ["spec", "components", _, "k8s", _, _, ..]
            | ["spec", "values" | "unvalidatedValues", _, _, ..]
            | ["spec", "meshConfig", _, ..] => false,
            _ => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn patched(mut base: Value, overlay: &Value) -> Value {
        merge_patch(&mut base, overlay);
        base
    }

    #[test]
    fn a_merge_patch_follows_rfc_7386() {
        for (base, overlay, expected) in [
            (json!({"a": "b"}), json!({"a": "c"}), json!({"a": "c"})),
            (json!({"a": "b"}), json!({"b": "c"}), json!({"a": "b", "b": "c"})),
            (json!({"a": "b"}), json!({"a": null}), json!({})),
            (json!({"a": "b", "b": "c"}), json!({"a": null}), json!({"b": "c"})),
            (json!({"a": ["b"]}), json!({"a": "c"}), json!({"a": "c"})),
            (json!({"a": "c"}), json!({"a": ["b"]}), json!({"a": ["b"]})),
            (json!({"a": {"b": "c"}}), json!({"a": {"b": "d", "c": null}}), json!({"a": {"b": "d"}})),
            (json!({"a": [{"b": "c"}]}), json!({"a": [1]}), json!({"a": [1]})),
            (json!(["a", "b"]), json!(["c", "d"]), json!(["c", "d"])),
            (json!({"a": "b"}), json!(["c"]), json!(["c"])),
            (json!({"e": null}), json!({"a": 1}), json!({"e": null, "a": 1})),
            (json!([1, 2]), json!({"a": "b", "c": null}), json!({"a": "b"})),
            (json!({}), json!({"a": {"bb": {"ccc": null}}}), json!({"a": {"bb": {}}})),
            (json!({"a": 1}), json!(null), json!({"a": 1})),
        ] {
            assert_eq!(patched(base.clone(), &overlay), expected, "{base} + {overlay}");
        }
    }

    #[test]
    fn gateways_of_two_layers_merge_by_name() {
        let base =
            json!({"spec": {"components": {"ingressGateways": [{"name": "a", "enabled": true}, {"name": "b"}]}}});
        let overlay =
            json!({"spec": {"components": {"ingressGateways": [{"name": "b", "enabled": true}, {"name": "c"}]}}});
        let merged = overlay_iop(base, &overlay).expect("merged");
        let gateways = json!([{"name": "a", "enabled": true}, {"name": "b", "enabled": true}, {"name": "c"}]);
        assert_eq!(merged["spec"]["components"]["ingressGateways"], gateways);
    }

    #[test]
    fn lists_inside_k8s_are_replaced() {
        let layer = |name: &str| json!({"spec": {"components": {"pilot": {"k8s": {"env": [{"name": name}]}}}}});
        assert_eq!(overlay_iop(layer("A"), &layer("B")), Ok(layer("B")));
    }

    #[test]
    fn sets_unite_and_tracing_is_replaced() {
        let base = json!({"spec": {"meshConfig": {"trustDomainAliases": ["a", "b"], "defaultConfig": {"tracing": {"zipkin": {}}}}}});
        let overlay = json!({"spec": {"meshConfig": {"trustDomainAliases": ["b", "c"], "defaultConfig": {"tracing": {"lightstep": {}}}}}});
        let merged = overlay_iop(base, &overlay).expect("merged");
        let mesh = json!({"trustDomainAliases": ["a", "b", "c"], "defaultConfig": {"tracing": {"lightstep": {}}}});
        assert_eq!(merged["spec"]["meshConfig"], mesh);
    }

    #[test]
    fn unknown_maps_in_two_layers_merge() {
        let base = json!({"spec": {"values": {"global": {"meshNetworks": {"n": {"a": 1}}}}}});
        let overlay = json!({"spec": {"values": {"global": {"meshNetworks": {"n": {"b": 2}}}}}});
        let merged = json!({"spec": {"values": {"global": {"meshNetworks": {"n": {"a": 1, "b": 2}}}}}});
        assert_eq!(overlay_iop(base, &overlay), Ok(merged));
    }

    #[test]
    fn a_null_or_bare_spec_changes_nothing() {
        let base = || json!({"spec": {"profile": "demo"}});
        assert_eq!(overlay_iop(base(), &Value::Null), Ok(base()));
    }
}
