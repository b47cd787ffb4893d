//! The labels that say which resource an object belongs to. They are upstream's (release 1.17, which sets no owner
//! references), so that each operator recognises the objects that the other installed.

use super::{Object, OwnerId};
use crate::api::LONGEST_LABEL;
use crate::api::component::Component;
use std::collections::BTreeMap;

/// Says that an operator reconciles the object; the value is [`MANAGED_VALUE`].
pub const MANAGED: &str = "operator.istio.io/managed";
/// The value of [`MANAGED`].
pub const MANAGED_VALUE: &str = "Reconcile";
/// The component's name.
pub const COMPONENT: &str = "operator.istio.io/component";
/// The release.
pub const VERSION: &str = "operator.istio.io/version";
/// The name of the IstioOperator resource.
pub const OWNER_NAME: &str = "install.operator.istio.io/owning-resource";
/// The namespace of the IstioOperator resource.
pub const OWNER_NAMESPACE: &str = "install.operator.istio.io/owning-resource-namespace";
/// The revision, `default` for none.
pub const REVISION: &str = "istio.io/rev";
/// The tag that a webhook stands for.
pub const TAG: &str = "istio.io/tag";
/// Label of a namespace: whether its pods are injected.
pub const INJECTION: &str = "istio-injection";
/// The tag that injects by default, and the name of the unnamed revision in labels.
pub const DEFAULT: &str = "default";

/// The labels that differ between resources that want the same object.
pub const OWNER_LABELS: [&str; 4] = [VERSION, OWNER_NAME, OWNER_NAMESPACE, REVISION];

/// Who owns an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// The name of the IstioOperator resource; empty on the command line, where a chart's own label stays.
    pub name: String,
    /// Its namespace.
    pub namespace: String,
    /// `spec.revision`, empty for none.
    pub revision: String,
    /// The release, such as `1.17.8`.
    pub version: String,
}

/// The labels of a component's objects.
#[must_use]
pub fn owner_labels(owner: &Owner, component: Component) -> BTreeMap<&'static str, String> {
    let revision = if owner.revision.is_empty() { "default" } else { &owner.revision };
    let mut labels = BTreeMap::from([
        (MANAGED, MANAGED_VALUE.to_owned()),
        (VERSION, owner.version.clone()),
        (REVISION, revision.to_owned()),
        (COMPONENT, component.name().to_owned()),
    ]);
    for (key, value) in [(OWNER_NAME, &owner.name), (OWNER_NAMESPACE, &owner.namespace)] {
        if !value.is_empty() {
            labels.insert(key, value.clone());
        }
    }
    labels
}

/// Puts the owner's labels on an object, instead of any that it has of these names.
pub fn label(object: &mut Object, owner: &Owner, component: Component) {
    if let Some(labels) = object.labels_mut() {
        labels.extend(owner_labels(owner, component).into_iter().map(|(k, v)| (k.to_owned(), v.into())));
    }
}

/// The resource that labels say an object is of, if they say both its namespace and its name.
#[must_use]
pub fn owner_of(labels: &BTreeMap<String, String>) -> Option<OwnerId> {
    Some(OwnerId::new(labels.get(OWNER_NAMESPACE)?.as_str(), labels.get(OWNER_NAME)?.as_str()))
}

/// The installation that labels say an object is of: a resource, or what a command installed without the name of one.
#[must_use]
pub fn installation_of(labels: &BTreeMap<String, String>) -> Option<OwnerId> {
    let name = labels.get(OWNER_NAME).map(String::as_str).filter(|name| *name != UNNAMED).unwrap_or_default();
    Some(OwnerId::new(labels.get(OWNER_NAMESPACE)?.as_str(), name))
}

/// What charts write in place of the name of a resource that has none, as that of a command may have none.
pub const UNNAMED: &str = "unknown";

/// Whether the name that an object's label says, empty for none, is that of a resource.
#[must_use]
pub fn is_name_of(owner: &OwnerId, said: &str) -> bool {
    said == owner.name || (owner.name.is_empty() && said == UNNAMED)
}

/// The label selector of all that was installed for a resource; `None` where its name is too long for a label, so that no
/// object can have it. For one without a name it selects more, see [`is_name_of`].
#[must_use]
pub fn selector_of(owner: &OwnerId) -> Option<String> {
    if owner.name.is_empty() {
        return Some(format!("{MANAGED}={MANAGED_VALUE},{OWNER_NAMESPACE}={}", owner.namespace));
    }
    let selector = || format!("{OWNER_NAMESPACE}={},{OWNER_NAME}={}", owner.namespace, owner.name);
    (owner.name.len() <= LONGEST_LABEL).then(selector)
}
