//! The objects that a spec renders to, by component and in a stable order.

use super::labels::DEFAULT;
use super::pods::{Pods, pods_of};
use super::{Object, ObjectKey};
use crate::api::component::Component;
use serde_json::Value;
use std::collections::BTreeSet;

/// The objects of one component.
#[derive(Clone, Debug, PartialEq)]
pub struct Part {
    /// The component.
    pub component: Component,
    /// Its objects, labelled, with unique keys.
    pub objects: Vec<Object>,
}

/// Everything that a spec renders to.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Manifests {
    /// The enabled components, in the order of [`crate::api::component::ALL`].
    pub parts: Vec<Part>,
    /// The namespace of the control plane; created when it is missing.
    pub namespace: String,
    /// `values.global.network`, which labels a namespace that is created.
    pub network: String,
    /// Whether the control plane serves clusters other than its own (`values.global.externalIstiod`).
    pub is_external: bool,
    /// Whether the control plane has the revision tag `default` without having been asked to.
    pub is_default_unasked: bool,
    /// The profile's name.
    pub profile: String,
    /// The image tag.
    pub version: String,
    /// The release of the package that it was rendered from, such as `1.17.8`.
    pub release: String,
    /// `spec.revision`, empty for none.
    pub revision: String,
    /// The objects that the user's own `k8s` settings and overlays have changed. The API server may refuse these.
    pub changed: BTreeSet<ObjectKey>,
    /// Warnings about the spec.
    pub warnings: Vec<String>,
    /// The spec with everything that its profile adds.
    pub spec: Value,
}

/// A revision as labels name it.
#[must_use]
pub fn revision_label(revision: &str) -> &str {
    if revision.is_empty() { DEFAULT } else { revision }
}

impl Manifests {
    /// The revision as labels name it.
    #[must_use]
    pub fn revision_label(&self) -> &str {
        revision_label(&self.revision)
    }

    /// Whether there is a control plane in it.
    #[must_use]
    pub fn has_control_plane(&self) -> bool {
        self.parts.iter().any(|part| part.component.is_control_plane())
    }

    /// All objects.
    pub fn objects(&self) -> impl Iterator<Item = &Object> {
        self.parts.iter().flat_map(|part| &part.objects)
    }

    /// The pods of all workloads.
    #[must_use]
    pub fn pods(&self) -> Vec<Pods> {
        let workloads = self.objects().filter(|object| object.group() == "apps");
        workloads.filter_map(|object| pods_of(object.namespace(), &object.value())).collect()
    }

    /// The keys of all objects.
    #[must_use]
    pub fn keys(&self) -> BTreeSet<ObjectKey> {
        self.objects().map(Object::key).collect()
    }
}
