//! Items that are identified by their name, and by their namespace where both have one: gateways.
//!
//! In: two layers of a list. Out: both with an entry that says which items are the same thing. An item is merged over
//! the one with its name and namespace; else over one with its name, if one of the two has no namespace: a profile's gateway
//! is moved to the namespace that a user gives it. In this second way, an item of the lower layer is taken only once.

use serde_json::Value;

pub(super) const PATCH: &str = "$patch";

/// The entry that says which item it is; no field begins with `$`.
pub(super) const ITEM: &str = "$item";

/// A name for which the lower layer has several items, when no namespace says which is meant.
#[derive(Debug)]
pub(super) struct Ambiguous {
    pub(super) name: String,
    pub(super) namespaces: Vec<String>,
}

/// Name and namespace; an empty namespace counts as none.
fn key(item: &Value) -> Option<(&str, Option<&str>)> {
    let text = |field: &str| item.get(field).and_then(Value::as_str);
    Some((text("name")?, text("namespace").filter(|n| !n.is_empty())))
}

/// Whether it stands for one item; `$patch: replace` stands for the whole list.
fn is_item(item: &Value) -> bool {
    item.get(PATCH).is_none_or(|directive| directive != "replace")
}

/// Both layers with [`ITEM`] in each of their items.
pub(super) fn identify(base: &[Value], patch: &[Value]) -> Result<(Vec<Value>, Vec<Value>), Ambiguous> {
    let mut places: Vec<Option<usize>> =
        patch.iter().map(|item| base.iter().position(|other| key(item).is_some() && key(item) == key(other))).collect();
    for (number, item) in patch.iter().enumerate() {
        let Some((name, namespace)) = key(item).filter(|_| places.get(number) == Some(&None)) else { continue };
        let fits =
            |other: &Value| key(other).is_some_and(|(n, space)| n == name && (space.is_none() || namespace.is_none()));
        let free: Vec<(usize, &Value)> =
            base.iter().enumerate().filter(|(i, other)| !places.contains(&Some(*i)) && fits(other)).collect();
        let found = match free.as_slice() {
            [] => None,
            [(place, _)] => Some(*place),
            several => {
                let namespaces = several.iter().filter_map(|(_, i)| Some(key(i)?.1?.to_owned())).collect();
                return Err(Ambiguous { name: name.to_owned(), namespaces });
            }
        };
        if let Some(place) = places.get_mut(number) {
            *place = found;
        }
    }
    let marked_base = base.iter().enumerate().map(|(i, item)| mark(item, &i.to_string())).collect();
    let marked_patch = patch.iter().zip(places).map(|(item, place)| match (place, is_item(item)) {
        (_, false) => item.clone(),
        (Some(place), true) => mark(item, &place.to_string()),
        // A new item that is there twice counts once; validation reports it.
        (None, true) => mark(item, &format!("{:?}", key(item))),
    });
    Ok((marked_base, marked_patch.collect()))
}

fn mark(item: &Value, text: &str) -> Value {
    let mut item = item.clone();
    if let Some(map) = item.as_object_mut() {
        map.insert(ITEM.to_owned(), text.into());
    }
    item
}

/// The items as they were, without [`ITEM`].
pub(super) fn unmark(items: Vec<Value>) -> Vec<Value> {
    let unmarked = items.into_iter().map(|mut item| {
        if let Some(map) = item.as_object_mut() {
            map.remove(ITEM);
        }
        item
    });
    unmarked.collect()
}

/// The items of a `$setElementOrder` list, each as the first one of its name.
pub(super) fn ordered(order: &[Value], base: &[Value], patch: &[Value]) -> Vec<Value> {
    let named = |item: &Value| {
        let wanted = item.get("name")?;
        patch.iter().chain(base).find(|other| other.get("name") == Some(wanted)).cloned()
    };
    order.iter().filter_map(named).collect()
}
