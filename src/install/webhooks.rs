//! Which injection webhook selects which pods, so that no pod is injected by two of them.
//!
//! Who injects where no revision is named is decided by one rule: the tag `default`, if there is one, whoever made it; else
//! the unnamed revision. While there is the tag, the webhook of the unnamed revision selects nothing, exactly as upstream's
//! command line leaves it when it sets the tag.
//!
//! A webhook that would select the same pods as an existing one is not created.

use super::engine::{Engine, KnownTag};
use crate::cluster::{ClusterError, value_of};
use crate::object::manifests::Manifests;
use crate::object::{Object, ObjectKey, labels};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::core::{Selector, SelectorExt};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// The kind of injection webhooks.
pub const KIND: &str = "MutatingWebhookConfiguration";
/// The version of injection webhooks.
pub const API_VERSION: &str = "admissionregistration.k8s.io/v1";
const INJECT: &str = "sidecar.istio.io/inject";

type Labels = BTreeMap<String, String>;

/// Whether the tag `default` exists, or comes with these. Where that cannot be found out, a webhook that selects nothing, or does, goes on as it
/// is.
pub(super) async fn is_default_tagged(engine: &Engine<'_>, manifests: &Manifests) -> bool {
    let is_tag =
        |object: &&Object| object.kind() == KIND && label(&object.value(), labels::TAG) == Some(labels::DEFAULT);
    if manifests.objects().any(|object| is_tag(&object)) {
        return true;
    }
    match engine.cache.tag(labels::DEFAULT) {
        KnownTag::Unknown => {}
        known => return known != KnownTag::Absent,
    }
    let selector = format!("{}={}", labels::TAG, labels::DEFAULT);
    let mut is_there = false;
    if engine.cluster.for_each(API_VERSION, KIND, (&selector, ""), |_| is_there = true).await.is_ok() {
        return is_there;
    }
    let hooks = manifests.objects().filter(|object| object.kind() == KIND);
    for hook in hooks.filter(|hook| is_default_injector(&hook.value())) {
        if let Ok(Some(live)) = engine.cluster.get(API_VERSION, &hook.key()).await {
            return is_deactivated(&live.data);
        }
    }
    // Nor can the webhook be written then.
    false
}

/// Whether there is, or will be, an unnamed revision, which injects what the tag `default` does once that has gone.
///
/// # Errors
/// The webhooks cannot be listed.
pub async fn has_unnamed(engine: &Engine<'_>, wanted: &Manifests) -> Result<bool, ClusterError> {
    if wanted.objects().any(|object| object.kind() == KIND && is_default_injector(&object.value())) {
        return Ok(true);
    }
    let live = engine.cluster.list(API_VERSION, KIND, None, labels::REVISION).await?;
    Ok(live.iter().any(|hook| is_default_injector(&value_of(hook))))
}

/// Whether a configuration selects nothing, since another one stands for it.
#[must_use]
pub fn is_deactivated(config: &Value) -> bool {
    hooks(config).count() > 0 && hooks(config).all(selects_nothing)
}

/// Whether a webhook of a configuration is asked about nothing.
#[must_use]
pub fn selects_nothing(hook: &Value) -> bool {
    hook.pointer("/namespaceSelector/matchLabels") == Some(&never())
}

/// What nothing is labelled with.
#[must_use]
pub fn never() -> Value {
    json!({"istio.io/deactivated": "never-match"})
}

/// Has the webhook of the unnamed revision select nothing.
pub(super) fn deactivate_default(manifests: &mut Manifests) {
    for object in manifests.parts.iter_mut().flat_map(|part| &mut part.objects).filter(|o| o.kind() == KIND) {
        if !is_default_injector(&object.value()) {
            continue;
        }
        for hook in object.value_mut().get_mut("webhooks").and_then(Value::as_array_mut).into_iter().flatten() {
            for selector in ["namespaceSelector", "objectSelector"] {
                if let Some(hook) = hook.as_object_mut() {
                    hook.insert(selector.into(), json!({"matchLabels": never()}));
                }
            }
        }
    }
}

/// Whether a configuration is that of the unnamed revision, and of no tag.
#[must_use]
pub fn is_default_injector(config: &Value) -> bool {
    label(config, labels::REVISION) == Some(labels::DEFAULT) && label(config, labels::TAG).is_none()
}

pub(super) fn label<'a>(object: &'a Value, name: &str) -> Option<&'a str> {
    object.get("metadata")?.get("labels")?.get(name)?.as_str()
}

/// Injection webhooks of the resource that others of it replace, since both would be asked about the same pods.
#[derive(Default)]
pub(super) struct Replaced {
    /// What goes, before `by` comes.
    pub old: BTreeSet<ObjectKey>,
    /// What is wanted, and waits for that.
    pub by: BTreeSet<ObjectKey>,
}

/// Finds which of these, which the resource has and does not want, are replaced by some that it wants.
///
/// # Errors
/// They cannot be read.
pub(super) async fn replaced<'k>(
    engine: &Engine<'_>,
    candidates: impl Iterator<Item = &'k ObjectKey>,
    wanted: &Manifests,
) -> Result<Replaced, ClusterError> {
    let mut replaced = Replaced::default();
    let objects = || wanted.objects().filter(|object| object.kind() == KIND);
    for key in candidates.filter(|key| key.kind == KIND) {
        let Some(live) = engine.cluster.get(API_VERSION, key).await? else { continue };
        let live = [value_of(&live)];
        let by: Vec<_> =
            objects().filter(|new| !overlaps(&[new.value().into_owned()], &live).is_empty()).map(Object::key).collect();
        if !by.is_empty() {
            replaced.old.insert(key.clone());
            replaced.by.extend(by);
        }
    }
    Ok(replaced)
}

/// The webhooks of a control plane that stays which would be asked about the same pods as some that are wanted: it has them no
/// more, whether or not they are still there.
pub(super) fn superseded(old: &Manifests, wanted: &Manifests) -> BTreeSet<ObjectKey> {
    let hooks = |manifests: &Manifests| -> Vec<_> {
        let hooks = manifests.objects().filter(|object| object.kind() == KIND);
        hooks.map(|object| (object.key(), object.value().into_owned())).collect()
    };
    let wanted: Vec<Value> = hooks(wanted).into_iter().map(|(_, config)| config).collect();
    let old = hooks(old).into_iter();
    old.filter(|(_, config)| !overlaps(&wanted, std::slice::from_ref(config)).is_empty()).map(|(key, _)| key).collect()
}

/// The pairs of configurations of which each has a webhook that matches the same pod, one of `mine` first.
#[must_use]
pub fn overlaps(mine: &[Value], others: &[Value]) -> Vec<String> {
    let others: Vec<&Value> = others.iter().filter(|config| is_injector(config)).collect();
    let mut revisions = BTreeSet::new();
    mine.iter().chain(others.iter().copied()).for_each(|config| collect_revisions(config, &mut revisions));
    let pods = pods(&revisions);
    let others: Vec<_> = others.into_iter().map(|config| (config, Selects::of(config))).collect();
    let mut found = vec![];
    for config in mine {
        let selects = Selects::of(config);
        for (other, others) in &others {
            let shared = pods.iter().find(|pod| selects.includes(pod) && others.includes(pod));
            if let Some((namespace, pod)) = shared {
                found.push(format!(
                    "{KIND} {} overlaps with {} for pods{} in namespaces{}",
                    name(config),
                    name(other),
                    told(pod),
                    told(namespace)
                ));
            }
        }
    }
    found
}

fn name(config: &Value) -> &str {
    config.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default()
}

fn told(labels: &Labels) -> String {
    if labels.is_empty() {
        return " without labels".into();
    }
    let pairs: Vec<String> = labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
    format!(" labelled {}", pairs.join(","))
}

/// The webhooks of a configuration.
pub fn hooks(config: &Value) -> impl Iterator<Item = &Value> {
    config.get("webhooks").and_then(Value::as_array).into_iter().flatten()
}

fn selectors(hook: &Value) -> impl Iterator<Item = &Value> {
    ["namespaceSelector", "objectSelector"].into_iter().filter_map(|field| hook.get(field))
}

/// Whether a configuration has to do with injection: it tells revisions apart, or is Istio's by name.
#[must_use]
pub fn is_injector(config: &Value) -> bool {
    let mut revisions = BTreeSet::new();
    collect_revisions(config, &mut revisions);
    let is_istios = |hook: &Value| hook.get("name").and_then(Value::as_str).is_some_and(|n| n.ends_with("istio.io"));
    !revisions.is_empty() || hooks(config).any(is_istios)
}

/// Revisions that a configuration is of, or selects.
fn collect_revisions(config: &Value, into: &mut BTreeSet<String>) {
    into.extend(label(config, labels::REVISION).map(str::to_owned));
    for selector in hooks(config).flat_map(selectors) {
        into.extend(selector.pointer("/matchLabels/istio.io~1rev").and_then(Value::as_str).map(str::to_owned));
        let expressions = selector.get("matchExpressions").and_then(Value::as_array).into_iter().flatten();
        for expression in expressions.filter(|e| e.get("key").is_some_and(|key| key == labels::REVISION)) {
            let values = expression.get("values").and_then(Value::as_array).into_iter().flatten();
            into.extend(values.filter_map(|v| v.as_str().map(str::to_owned)));
        }
    }
}

/// Every kind of pod that injection tells apart: the labels of its namespace and its own.
fn pods(revisions: &BTreeSet<String>) -> Vec<(Labels, Labels)> {
    let with_revisions = |name: &'static str, values: [&str; 2]| -> Vec<Labels> {
        let plain = [None, Some(values[0]), Some(values[1])].map(|v| v.map(|v| (name.to_owned(), v.to_owned())));
        let plain: Vec<Labels> = plain.into_iter().map(|pair| pair.into_iter().collect()).collect();
        let named = plain.iter().flat_map(|labels| {
            revisions.iter().map(|revision| {
                let mut labels = labels.clone();
                labels.insert(labels::REVISION.to_owned(), revision.clone());
                labels
            })
        });
        plain.iter().cloned().chain(named).collect()
    };
    let (namespaces, pods) =
        (with_revisions(labels::INJECTION, ["enabled", "disabled"]), with_revisions(INJECT, ["true", "false"]));
    namespaces.iter().flat_map(|n| pods.iter().map(|p| (n.clone(), p.clone()))).collect()
}

/// What a configuration's webhooks select: by the labels of the namespace, and by those of the pod.
struct Selects(Vec<[Selector; 2]>);

impl Selects {
    fn of(config: &Value) -> Self {
        Self(hooks(config).map(|hook| ["namespaceSelector", "objectSelector"].map(|f| selector(hook.get(f)))).collect())
    }

    fn includes(&self, (of_namespace, of_pod): &(Labels, Labels)) -> bool {
        self.0.iter().any(|[namespaces, pods]| namespaces.matches(of_namespace) && pods.matches(of_pod))
    }
}

/// A label selector. None selects everything, and so does one that cannot be read: what it selects is not known.
fn selector(value: Option<&Value>) -> Selector {
    let read = value.and_then(|value| serde_json::from_value::<LabelSelector>(value.clone()).ok());
    read.and_then(|selector| Selector::try_from(selector).ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::release::Package;
    use crate::render::{self, ClusterInfo};

    fn manifests(spec: &Value) -> Manifests {
        let resource = json!({"metadata": {"name": "x", "namespace": "istio-system"}, "spec": spec});
        render::from_resource(&resource, &ClusterInfo::default(), &Package::embedded().unwrap()).unwrap()
    }

    fn configs(manifests: &Manifests) -> Vec<Value> {
        let objects = manifests.objects().filter(|o| o.kind() == KIND);
        objects.map(|object| object.value().into_owned()).collect()
    }

    fn of(revision: &str, tags: &Value) -> Vec<Value> {
        configs(&manifests(&json!({"profile": "minimal", "revision": revision, "values": {"revisionTags": tags}})))
    }

    #[test]
    fn revisions_and_their_tags_stand_side_by_side() {
        assert_eq!(overlaps(&of("canary", &json!(["prod"])), &of("", &json!([]))), Vec::<String>::new());
        assert_eq!(
            overlaps(&of("canary", &json!([])), &of("stable", &json!(["default", "prod"]))),
            Vec::<String>::new()
        );
    }

    #[test]
    fn two_that_inject_the_same_pods_are_told_with_the_pods() {
        let found = overlaps(&of("canary", &json!(["prod"])), &of("stable", &json!(["prod"])));
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(
            found[0].starts_with(
                "MutatingWebhookConfiguration istio-revision-tag-prod overlaps with istio-revision-tag-prod"
            )
        );
        assert!(found[0].ends_with("for pods labelled istio.io/rev=prod in namespaces without labels"), "{found:?}");
    }

    #[test]
    fn the_unnamed_revision_gives_way_to_the_tag_default() {
        let mut unnamed = manifests(&json!({"profile": "minimal"}));
        let tagged = of("canary", &json!(["default"]));
        assert_eq!(overlaps(&tagged, &configs(&unnamed)).len(), 1);
        deactivate_default(&mut unnamed);
        assert_eq!(overlaps(&tagged, &configs(&unnamed)), Vec::<String>::new());
        let mut named = manifests(&json!({"profile": "minimal", "revision": "canary"}));
        let before = named.clone();
        deactivate_default(&mut named);
        assert_eq!(named, before, "other revisions are left alone");
    }

    #[test]
    fn webhooks_that_have_nothing_to_do_with_injection_overlap_with_nothing() {
        let other = json!({"metadata": {"name": "policy"}, "webhooks": [{"name": "policy.example.com"}]});
        assert_eq!(overlaps(&of("", &json!([])), &[other]), Vec::<String>::new());
        let theirs = json!({"metadata": {"name": "theirs"}, "webhooks": [{"name": "sidecar-injector.istio.io"}]});
        assert_eq!(overlaps(&of("", &json!([])), &[theirs]).len(), 1, "without selectors it is asked about everything");
    }

    #[test]
    fn what_a_selector_selects_is_kubernetes_rule_and_unknown_is_everything() {
        let of = |labels: &[(&str, &str)]| -> Labels {
            labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
        };
        let expression = |operator: &str, values: Value| json!({"matchExpressions": [{"key": "a", "operator": operator, "values": values}]});
        for (value, [with, other, without]) in [
            (Value::Null, [true, true, true]),
            (json!({}), [true, true, true]),
            (json!({"matchLabels": {"a": "x"}}), [true, false, false]),
            (expression("In", json!(["x", "z"])), [true, false, false]),
            (expression("NotIn", json!(["x"])), [false, true, true]),
            (expression("Exists", Value::Null), [true, true, false]),
            (expression("DoesNotExist", Value::Null), [false, false, true]),
            (expression("Like", json!(["x"])), [true, true, true]),
            (json!({"matchLabels": {"a": "x"}, "matchExpressions": 1}), [true, true, true]),
            (json!("a=x"), [true, true, true]),
        ] {
            let read = selector(Some(&value));
            let selects = [of(&[("a", "x")]), of(&[("a", "y")]), of(&[("b", "x")])].map(|labels| read.matches(&labels));
            assert_eq!(selects, [with, other, without], "{value}");
        }
        assert!(selector(None).matches(&of(&[])));
    }
}
