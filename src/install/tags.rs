//! The revision tags that lead to a control plane that ends. Whoever made one, a command line or upstream's, has no resource that
//! would take it away; and without an istiod behind it a webhook of a tag refuses every pod that it is asked about.
//!
//! Guarantee: what leads to a control plane that stays, and what is of another resource by its labels, is not among them.

use super::webhooks::{API_VERSION, KIND, hooks};
use crate::api::component::Component;
use crate::cluster::{Cluster, ClusterError};
use crate::object::ObjectKey;
use crate::object::inventory::group_of;
use crate::object::labels::{REVISION, TAG, owner_of};
use crate::object::manifests::revision_label;
use kube::ResourceExt;
use kube::api::DynamicObject;
use serde_json::Value;
use std::collections::BTreeSet;

/// The kinds of the objects of a tag: what injects; what validates, of the tag `default`; and since release 1.28 a Service.
pub const KINDS: [(&str, &str); 3] = [(API_VERSION, KIND), (API_VERSION, "ValidatingWebhookConfiguration"), SERVICE];
const SERVICE: (&str, &str) = ("v1", "Service");

/// What ends of control planes, as far as tags lead to it.
#[derive(Debug, Default)]
pub struct Ending {
    /// By namespace and name.
    services: BTreeSet<(String, String)>,
    /// The revisions that these Services are of, by their namespace.
    served: BTreeSet<(String, String)>,
    /// The names of webhooks that inject.
    webhooks: BTreeSet<String>,
    /// Their revisions.
    revisions: BTreeSet<String>,
}

impl Ending {
    /// Adds an object that goes. What is not part of a control plane adds nothing.
    pub fn add(&mut self, key: &ObjectKey, component: Option<Component>, revision: &str) {
        if !component.is_some_and(Component::is_control_plane) {
            return;
        }
        let revision = revision_label(revision).to_owned();
        if key.kind == KIND {
            self.webhooks.insert(key.name.clone());
            self.revisions.insert(revision);
        } else if is_service(key) {
            if key.name == "istiod" || key.name == format!("istiod-{revision}") {
                self.served.insert((key.namespace.clone(), revision));
            }
            self.add_gone(key);
        }
    }

    /// Adds an object that was installed and is not there any more.
    pub fn add_gone(&mut self, key: &ObjectKey) {
        if is_service(key) {
            self.services.insert((key.namespace.clone(), key.name.clone()));
        }
    }

    /// Whether no tag can lead to any of it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.services.is_empty() && self.revisions.is_empty()
    }

    /// The objects of one of [`KINDS`] that are of tags that lead here, and of no resource.
    ///
    /// # Errors
    /// They cannot be listed.
    pub async fn tags(
        &self,
        cluster: &Cluster,
        (api_version, kind): (&str, &str),
    ) -> Result<Vec<DynamicObject>, ClusterError> {
        // Those of revisions themselves tell whether others still inject.
        let selector = if kind == KIND { REVISION } else { TAG };
        let live = cluster.list(api_version, kind, None, selector).await?;
        let staying = live.iter().filter(|one| label(one, TAG).is_empty() && !self.webhooks.contains(&one.name_any()));
        let staying: BTreeSet<String> = staying.map(|one| label(one, REVISION).to_owned()).collect();
        let is_meant = |one: &DynamicObject| {
            !label(one, TAG).is_empty() && owner_of(one.labels()).is_none() && self.is_led_to(kind, one, &staying)
        };
        Ok(live.into_iter().filter(is_meant).collect())
    }

    /// Whether an object of a tag leads here. Of what is served outside of the cluster the revision tells, unless webhooks of it
    /// are `staying`.
    fn is_led_to(&self, kind: &str, tag: &DynamicObject, staying: &BTreeSet<String>) -> bool {
        let revision = label(tag, REVISION);
        if kind == SERVICE.1 {
            return self.served.contains(&(tag.namespace().unwrap_or_default(), revision.to_owned()));
        }
        let is_outside = || kind == KIND && self.revisions.contains(revision) && !staying.contains(revision);
        hooks(&tag.data).filter_map(|hook| hook.get("clientConfig")).any(|client| match client.get("service") {
            Some(service) => {
                let field = |name: &str| service.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
                self.services.contains(&(field("namespace"), field("name")))
            }
            None => is_outside(),
        })
    }
}

/// The key of an object of one of [`KINDS`].
#[must_use]
pub fn key_of((api_version, kind): (&str, &str), tag: &DynamicObject) -> ObjectKey {
    ObjectKey {
        group: group_of(api_version).to_owned(),
        kind: kind.to_owned(),
        namespace: tag.namespace().unwrap_or_default(),
        name: tag.name_any(),
    }
}

fn is_service(key: &ObjectKey) -> bool {
    key.group.is_empty() && key.kind == SERVICE.1
}

fn label<'a>(object: &'a DynamicObject, name: &str) -> &'a str {
    object.labels().get(name).map_or("", String::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{from_value, json};

    fn key(kind: &str, namespace: &str, name: &str) -> ObjectKey {
        ObjectKey { group: String::new(), kind: kind.into(), namespace: namespace.into(), name: name.into() }
    }

    fn tag(client: &Value) -> DynamicObject {
        from_value(json!({"apiVersion": API_VERSION, "kind": KIND, "webhooks": [{"clientConfig": client}],
            "metadata": {"name": "t", "labels": {REVISION: "canary", TAG: "prod"}}}))
        .unwrap()
    }

    #[test]
    fn a_tag_ends_with_the_service_that_it_leads_to() {
        let mut ending = Ending::default();
        ending.add(&key("Service", "mesh", "gateway"), Some(Component::IngressGateways), "canary");
        assert!(ending.is_empty(), "a gateway serves no webhook");
        ending.add(&key("Service", "mesh", "istiod-canary"), Some(Component::Pilot), "canary");
        ending.add_gone(&key("Service", "old", "istiod"));
        for (namespace, name, is_led) in [
            ("mesh", "istiod-canary", true),
            ("other", "istiod-canary", false),
            ("mesh", "istiod", false),
            ("old", "istiod", true),
        ] {
            let hook = tag(&json!({"service": {"namespace": namespace, "name": name}}));
            assert_eq!(ending.is_led_to(KIND, &hook, &BTreeSet::new()), is_led, "{namespace}/{name}");
        }
        assert!(!ending.is_led_to(KIND, &tag(&json!({"url": "https://a/inject"})), &BTreeSet::new()));
    }

    #[test]
    fn a_tag_that_leads_outside_ends_with_the_webhooks_of_its_revision() {
        let mut ending = Ending::default();
        ending.add(&key(KIND, "", "istio-sidecar-injector-canary"), Some(Component::IstiodRemote), "canary");
        let hook = tag(&json!({"url": "https://istiod.example.com/inject"}));
        assert!(ending.is_led_to(KIND, &hook, &BTreeSet::new()));
        assert!(!ending.is_led_to(KIND, &hook, &BTreeSet::from(["canary".to_owned()])), "another one has it still");
    }

    #[test]
    fn the_service_of_a_tag_ends_with_the_istiod_of_its_revision() {
        let mut ending = Ending::default();
        let service = |namespace: &str| -> DynamicObject {
            from_value(json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "istiod-revision-tag-prod",
                "namespace": namespace, "labels": {REVISION: "canary", TAG: "prod"}}}))
            .unwrap()
        };
        ending.add(&key("Service", "mesh", "istiod-revision-tag-old"), Some(Component::Pilot), "canary");
        assert!(!ending.is_led_to("Service", &service("mesh"), &BTreeSet::new()), "only another tag goes");
        ending.add(&key("Service", "mesh", "istiod-canary"), Some(Component::Pilot), "canary");
        assert!(ending.is_led_to("Service", &service("mesh"), &BTreeSet::new()));
        assert!(!ending.is_led_to("Service", &service("other"), &BTreeSet::new()));
    }
}
