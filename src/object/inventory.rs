//! What a resource has in the cluster, object by object with its uid. Kept in the resource's status, so that it survives a
//! restart and tells what labels cannot: objects whose labels are gone, and objects that several resources share.

use super::ObjectKey;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

/// One object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The `group/version` of its API.
    pub api_version: String,
    /// Its identity; an object of the same name with another uid is another object.
    pub uid: String,
}

/// Objects by key.
pub type Inventory = BTreeMap<ObjectKey, Entry>;

/// Why a line of a status cannot be read as an entry.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{0:?} is not a valid inventory entry; it must be APIVERSION KIND [NAMESPACE/]NAME UID")]
pub struct EntryError(String);

/// An entry as the status shows it: `apps/v1 Deployment istio-system/istiod 0b9d6a1e-…`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line(pub ObjectKey, pub Entry);

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.1.api_version, self.0, self.1.uid)
    }
}

impl FromStr for Line {
    type Err = EntryError;

    fn from_str(line: &str) -> Result<Self, EntryError> {
        let wrong = || EntryError(line.to_owned());
        let words: Vec<&str> = line.split(' ').collect();
        let [api_version, kind, place, uid] = words.as_slice() else { return Err(wrong()) };
        let (namespace, name) = place.split_once('/').unwrap_or(("", place));
        let key = ObjectKey {
            group: group_of(api_version).to_owned(),
            kind: (*kind).to_owned(),
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        };
        let is_whole = ![*api_version, kind, name, uid].contains(&"");
        let entry = Entry { api_version: (*api_version).to_owned(), uid: (*uid).to_owned() };
        is_whole.then_some(Self(key, entry)).ok_or_else(wrong)
    }
}

/// The group of a `group/version`, empty for the core.
#[must_use]
pub fn group_of(api_version: &str) -> &str {
    api_version.split_once('/').map_or("", |(group, _)| group)
}

/// What a status says that a resource has; nothing where it says none. What is no entry is left out, see [`not_understood`].
#[must_use]
pub fn of_status(status: &Value) -> Inventory {
    lines(status).filter_map(read).map(|Line(key, entry)| (key, entry)).collect()
}

/// What stands in the inventory of a status and is no entry: objects that only it names are not known to be the resource's, so that
/// they are neither repaired nor deleted.
#[must_use]
pub fn not_understood(status: &Value) -> Vec<&Value> {
    lines(status).filter(|line| read(line).is_none()).collect()
}

/// The inventory of a status, line by line; what is no list is one line that is none.
fn lines(status: &Value) -> impl Iterator<Item = &Value> {
    let all = status.get("inventory").filter(|all| !all.is_null());
    all.into_iter().flat_map(|all| all.as_array().map_or(std::slice::from_ref(all), Vec::as_slice))
}

fn read(line: &Value) -> Option<Line> {
    line.as_str()?.parse().ok()
}

/// The lines of a status, in a stable order.
#[must_use]
pub fn to_lines(inventory: &Inventory) -> Vec<String> {
    inventory.iter().map(|(key, entry)| Line(key.clone(), entry.clone()).to_string()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn lines_are_read_back_as_they_were_written() {
        let lines = [
            "apps/v1 Deployment istio-system/istiod u1",
            "rbac.authorization.k8s.io/v1 ClusterRole istiod-istio-system u2",
            "v1 Service istio-system/istiod u3",
        ]
        .map(str::to_owned);
        let inventory = of_status(&json!({"inventory": lines}));
        assert_eq!(inventory.len(), 3);
        let mut back = to_lines(&inventory);
        back.sort();
        assert_eq!(back, lines);
    }

    #[test]
    fn what_is_no_entry_is_left_out() {
        for line in ["", "v1 Service x", "v1 Service  u", "v1 Service a/ u", "v1 Service a/b u more"] {
            let status = json!({"inventory": [line, "v1 Service x u"]});
            assert_eq!(of_status(&status).len(), 1, "{line:?}");
            assert_eq!(not_understood(&status), [&json!(line)]);
        }
        assert_eq!(not_understood(&json!({"inventory": {"a": 1}})), [&json!({"a": 1})]);
        for none in [json!(null), json!({}), json!({"inventory": null})] {
            assert!(of_status(&none).is_empty() && not_understood(&none).is_empty());
        }
    }
}
