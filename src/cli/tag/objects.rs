//! The objects of a tag: those that the charts of the revision's release make of it, which lead where the revision's own
//! webhook leads.

use super::webhooks::label;
use crate::install::default_revision::VALIDATOR;
use crate::install::webhooks::KIND;
use crate::object::Object;
use crate::object::labels::{DEFAULT, TAG};
use crate::release::Package;
use crate::render::{self, ClusterInfo};
use crate::spec::request;
use crate::spec::resolve::Strictness;
use anyhow::ensure;
use kube::api::DynamicObject;
use serde_json::{Map, Value, json};

/// Tells upstream from release 1.19 on that no installation has the object.
const NOT_PRUNED: &str = "install.operator.istio.io/owning-resource-not-pruned";
const NOT_PRUNED_SINCE: u32 = 19;
/// The webhooks of istiod that inject, by the end of their names.
const INJECTOR: &str = "sidecar-injector.istio.io";
/// Where a control plane is that is not in the cluster.
const NAMESPACE: &str = "istio-system";

/// A tag as it is asked for.
pub(super) struct Wanted<'a> {
    pub(super) tag: &'a str,
    /// `default` for the unnamed revision.
    pub(super) revision: &'a str,
    /// The name of its webhook, if not that of the chart.
    pub(super) webhook_name: Option<&'a str>,
    /// Whether namespaces that say nothing are injected, too; only for the tag `default`.
    pub(super) is_for_all: bool,
}

impl Wanted<'_> {
    /// The objects, with the webhook of the revision to be made after.
    ///
    /// # Errors
    /// The charts cannot be rendered, or the webhook does not say where it leads.
    pub(super) fn objects(
        &self,
        package: &Package,
        info: &ClusterInfo,
        canonical: &DynamicObject,
    ) -> anyhow::Result<Vec<Object>> {
        let client = client_of(canonical);
        let Some(client) = client else {
            anyhow::bail!(
                "{KIND} {} has no webhook that injects, so that it is not known where revision \"{}\" is served",
                kube::ResourceExt::name_any(canonical),
                self.revision
            );
        };
        let namespace = client.pointer("/service/namespace").and_then(Value::as_str).unwrap_or(NAMESPACE);
        let request = request::from_resource(&self.spec(namespace));
        let manifests = render::build(&request, info, package, Strictness::TakenOver)?;
        let mut objects: Vec<Object> = manifests.objects().filter(|object| self.is_meant(object)).cloned().collect();
        ensure!(
            objects.iter().any(|object| object.kind() == KIND),
            "the charts of release {} make no {KIND} of a revision tag",
            package.release()
        );
        let is_marked = package.switches().release.minor >= NOT_PRUNED_SINCE;
        for object in &mut objects {
            let is_injector = object.kind() == KIND;
            if is_marked && let Some(labels) = object.labels_mut() {
                labels.insert(NOT_PRUNED.into(), "true".into());
            }
            if let (true, Some(name)) = (is_injector, self.webhook_name) {
                rename(object.value_mut(), name);
            }
            for hook in object.value_mut().get_mut("webhooks").and_then(Value::as_array_mut).into_iter().flatten() {
                lead(hook, &client, is_injector);
            }
        }
        Ok(objects)
    }

    /// A spec of which the charts make the tag.
    fn spec(&self, namespace: &str) -> Value {
        let is_default = self.tag == DEFAULT;
        let revision = if self.revision == DEFAULT { "" } else { self.revision };
        let values = json!({
            "revisionTags": [self.tag],
            "defaultRevision": if is_default { self.revision } else { "" },
            "global": {"istioNamespace": namespace},
            "sidecarInjectorWebhook": {"enableNamespacesByDefault": self.is_for_all},
        });
        let components = json!({"base": {"enabled": is_default}, "pilot": {"enabled": true}});
        let mut spec = json!({"profile": "empty", "namespace": namespace, "components": components, "values": values});
        if let (Some(spec), false) = (spec.as_object_mut(), revision.is_empty()) {
            spec.insert("revision".into(), revision.into());
        }
        json!({"metadata": {"name": "tag", "namespace": namespace}, "spec": spec})
    }

    fn is_meant(&self, object: &Object) -> bool {
        let value = object.value();
        let tag = value.pointer("/metadata/labels").and_then(|labels| labels.get(TAG)?.as_str());
        tag == Some(self.tag) || (self.tag == DEFAULT && object.name() == VALIDATOR)
    }
}

fn rename(object: &mut Value, name: &str) {
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.insert("name".into(), name.into());
    }
}

/// Where the injecting webhook of a configuration leads, with the certificate it is trusted by.
fn client_of(hook: &DynamicObject) -> Option<Value> {
    let hooks = hook.data.get("webhooks")?.as_array()?;
    let injects = |hook: &&Value| hook.get("name").and_then(Value::as_str).is_some_and(|name| name.ends_with(INJECTOR));
    hooks.iter().find(injects)?.get("clientConfig").cloned()
}

/// Has a webhook lead there: to the same path to inject, to that of the validation else.
fn lead(hook: &mut Value, client: &Value, is_injector: bool) {
    let Some(hook) = hook.as_object_mut() else { return };
    if is_injector {
        hook.insert("clientConfig".into(), client.clone());
        return;
    }
    let own = hook.entry("clientConfig").or_insert_with(|| json!({}));
    let Some(own) = own.as_object_mut() else { return };
    let copy = |from: &Value, own: &mut Map<String, Value>, field: &str| {
        if let Some(value) = from.get(field) {
            own.insert(field.into(), value.clone());
        }
    };
    copy(client, own, "caBundle");
    if let (Some(from), Some(service)) = (client.get("service"), own.get_mut("service").and_then(Value::as_object_mut))
    {
        copy(from, service, "name");
        copy(from, service, "namespace");
    }
    if let Some(url) = client.get("url").and_then(Value::as_str) {
        own.remove("service");
        let begin = url.split_once("/inject").map_or(url, |(begin, _)| begin);
        own.insert("url".into(), format!("{}/validate", begin.trim_end_matches('/')).into());
    }
}

/// Whether an object is of a tag by its label.
pub(super) fn is_of_tag(object: &DynamicObject, tag: &str) -> bool {
    label(object, TAG) == tag
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::from_value;

    fn canonical(client: &Value) -> DynamicObject {
        let webhooks = json!([{"name": "x"}, {"name": format!("rev.namespace.{INJECTOR}"), "clientConfig": client}]);
        from_value(json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": KIND,
            "metadata": {"name": "own"}, "webhooks": webhooks}))
        .unwrap()
    }

    fn objects(wanted: &Wanted<'_>, client: &Value) -> Vec<Value> {
        let package = Package::embedded().unwrap();
        let objects = wanted.objects(&package, &ClusterInfo::default(), &canonical(client)).unwrap();
        objects.iter().map(|object| object.value().into_owned()).collect()
    }

    #[test]
    fn a_tag_is_what_the_charts_make_of_it_and_leads_where_its_revision_does() {
        let wanted = Wanted { tag: "prod", revision: "canary", webhook_name: None, is_for_all: false };
        let client = json!({"service": {"name": "istiod-canary", "namespace": "mesh", "path": "/inject/a", "port": 443},
            "caBundle": "QQ=="});
        let objects = objects(&wanted, &client);
        let [hook] = objects.as_slice() else { panic!("{objects:#?}") };
        let metadata = &hook["metadata"];
        assert_eq!(metadata["name"], "istio-revision-tag-prod-mesh");
        let labels = json!({"app": "sidecar-injector", "istio.io/rev": "canary", "istio.io/tag": "prod",
            "install.operator.istio.io/owning-resource": "unknown", "operator.istio.io/component": "Pilot",
            "release": "istio"});
        assert_eq!(metadata["labels"], labels);
        let hooks = hook["webhooks"].as_array().unwrap();
        assert_eq!(hooks.len(), 2);
        assert!(hooks.iter().all(|hook| hook["clientConfig"] == client), "{hooks:#?}");
    }

    #[test]
    fn the_tag_default_comes_with_a_validator() {
        let wanted = Wanted { tag: DEFAULT, revision: DEFAULT, webhook_name: Some("mine"), is_for_all: true };
        let objects =
            objects(&wanted, &json!({"url": "https://istiod.example.com/inject/cluster/a", "caBundle": "QQ=="}));
        let names: Vec<_> = objects.iter().map(|object| object["metadata"]["name"].as_str().unwrap()).collect();
        assert_eq!(names, [VALIDATOR, "mine"]);
        assert_eq!(objects[1]["webhooks"].as_array().unwrap().len(), 5, "one is for namespaces that say nothing");
        let client = json!({"url": "https://istiod.example.com/validate", "caBundle": "QQ=="});
        assert_eq!(objects[0]["webhooks"][0]["clientConfig"], client);
    }

    #[test]
    fn where_nothing_says_where_the_revision_is_served_there_is_no_tag() {
        let wanted = Wanted { tag: "prod", revision: "canary", webhook_name: None, is_for_all: false };
        let without = from_value(json!({"apiVersion": "a/v1", "kind": KIND, "metadata": {"name": "own"}})).unwrap();
        let package = Package::embedded().unwrap();
        let error = wanted.objects(&package, &ClusterInfo::default(), &without).unwrap_err();
        assert!(error.to_string().contains("it is not known where revision \"canary\" is served"), "{error}");
    }
}
