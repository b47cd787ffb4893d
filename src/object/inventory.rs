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
#[error("{0:?} is no inventory entry; it must be APIVERSION KIND [NAMESPACE/]NAME UID")]
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

/// From the lines of a status. Lines that are not entries, whoever wrote them, are left out.
#[must_use]
pub fn from_lines(lines: &[String]) -> Inventory {
    lines.iter().filter_map(|l| l.parse::<Line>().ok()).map(|Line(key, entry)| (key, entry)).collect()
}

/// What a status says that a resource has; nothing where it says none.
#[must_use]
pub fn of_status(status: &Value) -> Inventory {
    let lines = status.get("inventory").cloned().and_then(|lines| serde_json::from_value::<Vec<String>>(lines).ok());
    from_lines(&lines.unwrap_or_default())
}

/// The lines of a status, in a stable order.
#[must_use]
pub fn to_lines(inventory: &Inventory) -> Vec<String> {
    inventory.iter().map(|(key, entry)| Line(key.clone(), entry.clone()).to_string()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_back_as_they_were_written() {
        let lines = [
            "apps/v1 Deployment istio-system/istiod u1",
            "rbac.authorization.k8s.io/v1 ClusterRole istiod-istio-system u2",
            "v1 Service istio-system/istiod u3",
        ]
        .map(str::to_owned);
        let inventory = from_lines(&lines);
        assert_eq!(inventory.len(), 3);
        let mut back = to_lines(&inventory);
        back.sort();
        assert_eq!(back, lines);
    }

    #[test]
    fn what_is_no_entry_is_left_out() {
        for line in ["", "v1 Service x", "v1 Service  u", "v1 Service a/ u", "v1 Service a/b u more"] {
            assert!(from_lines(&[line.to_owned()]).is_empty(), "{line:?}");
        }
    }
}
