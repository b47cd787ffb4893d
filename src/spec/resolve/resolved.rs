//! A resolved request, and what later stages ask of it.

use super::components::{self, Enabled};
use super::placement::default_namespace;
use super::since_124;
use crate::api::component::Component;
use crate::spec::path::text;
use crate::spec::switches::{Pipeline, Switches};
use serde_json::Value;

/// The tag of what injects and validates where no revision is named, and the name of the unnamed revision in labels.
const DEFAULT: &str = "default";

/// A resolved request: only [`resolve`](super::resolve) makes one, or the record of an installation.
#[derive(Clone, Debug, PartialEq)]
pub struct Resolved {
    document: Value,
    switches: Switches,
    components: Vec<Enabled>,
    namespace: String,
    revision: String,
    profile: String,
    version: String,
    network: String,
    is_external: bool,
    warnings: Vec<String>,
}

impl Resolved {
    /// Of a document whose spec has everything that its profile adds.
    pub(super) fn new(document: Value, switches: Switches, warnings: Vec<String>) -> Self {
        let spec = document.get("spec").unwrap_or(&Value::Null);
        let filled = |pointer: &str| text(spec, pointer).filter(|t| !t.is_empty());
        let (namespace, revision, components) = match switches.pipeline {
            Pipeline::Until123 => {
                let named = Some(default_namespace(spec)).filter(|n| !n.is_empty());
                let revision = filled("/revision").unwrap_or_default();
                (named.unwrap_or_else(|| "istio-system".into()), revision, components::enabled(spec, &switches))
            }
            Pipeline::Since124 => {
                let namespace = since_124::namespace(spec, document.get("metadata"));
                let components = since_124::enabled(spec, &namespace, &switches);
                (namespace, since_124::revision(spec), components)
            }
        };
        Self {
            components,
            namespace,
            revision: revision.to_owned(),
            profile: filled("/profile").unwrap_or("default").to_owned(),
            version: version(spec),
            network: filled("/values/global/network").unwrap_or_default().to_owned(),
            is_external: spec.pointer("/values/global/externalIstiod") == Some(&Value::Bool(true)),
            warnings,
            switches,
            document,
        }
    }

    /// Of a document whose spec has everything that its profile adds, as a record of an installation holds it: it is not laid
    /// over the profile again, for what somebody had removed from that would come back, and not checked again.
    #[must_use]
    pub fn of_record(document: Value, switches: Switches) -> Self {
        Self::new(document, switches, vec![])
    }

    /// Gives the control plane, if there is one, the revision tag `default` and the webhook that validates what names no
    /// revision, as upstream's command line does after an installation. `is_unasked` says that it gets the tag although
    /// the spec does not list it; the webhook comes with the tag in any case. Returns whether it has the tag unasked.
    pub fn take_default_tag(&mut self, is_unasked: bool) -> bool {
        let is_off = self.spec().pointer("/values/global/operatorManageWebhooks") == Some(&Value::Bool(true));
        if is_off || !self.components.iter().any(|enabled| enabled.component == Component::Pilot) {
            return false;
        }
        let revision = if self.revision.is_empty() { DEFAULT } else { &self.revision }.to_owned();
        let tags = self.spec().pointer("/values/revisionTags").and_then(Value::as_array);
        let is_asked = tags.is_some_and(|tags| tags.iter().any(|tag| tag == DEFAULT));
        if !is_asked && !is_unasked {
            return false;
        }
        for Enabled { component, values, .. } in &mut self.components {
            let Some(values) = values.as_object_mut() else { continue };
            match component {
                Component::Base if values.get("defaultRevision").and_then(Value::as_str).is_none_or(str::is_empty) => {
                    values.insert("defaultRevision".into(), revision.clone().into());
                }
                Component::Pilot if !is_asked => {
                    let tags = values.entry("revisionTags").or_insert(Value::Null);
                    let mut all = tags.as_array().cloned().unwrap_or_default();
                    all.push(DEFAULT.into());
                    *tags = all.into();
                }
                _ => {}
            }
        }
        !is_asked
    }

    /// What differs in the release that it was resolved for.
    #[must_use]
    pub fn switches(&self) -> &Switches {
        &self.switches
    }

    /// The resource with the fully merged spec, as `profile dump` shows it.
    #[must_use]
    pub fn into_document(self) -> Value {
        self.document
    }

    /// The merged spec.
    #[must_use]
    pub fn spec(&self) -> &Value {
        self.document.get("spec").unwrap_or(&Value::Null)
    }

    /// The components to install, in rendering order.
    #[must_use]
    pub fn components(&self) -> &[Enabled] {
        &self.components
    }

    /// The namespace of components that name none; `istio-system` when nothing says otherwise.
    #[must_use]
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// `spec.revision`, empty for none.
    #[must_use]
    pub fn revision(&self) -> &str {
        &self.revision
    }

    /// The profile's name.
    #[must_use]
    pub fn profile(&self) -> &str {
        &self.profile
    }

    /// The tag of the control plane's images.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// `values.global.network`, which labels a namespace that is created.
    #[must_use]
    pub fn network(&self) -> &str {
        &self.network
    }

    /// Whether the control plane serves clusters other than its own (`values.global.externalIstiod`).
    #[must_use]
    pub fn is_external(&self) -> bool {
        self.is_external
    }

    /// What a person should know.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }
}

fn version(spec: &Value) -> String {
    let tags = ["/values/pilot/tag", "/components/pilot/tag", "/values/global/tag", "/tag"];
    let found = tags.iter().filter_map(|p| spec.pointer(p)).find(|t| !t.is_null() && *t != "");
    found.map(|t| t.as_str().map_or_else(|| t.to_string(), str::to_owned)).unwrap_or_default()
}
