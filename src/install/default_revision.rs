//! Which control plane is the default revision without having been asked to: the first of its cluster, or the unnamed one.
//!
//! Upstream's command line gives the first control plane of a cluster the revision tag `default` and the webhook that validates
//! what names no revision; its operator does since release 1.19. Here every release gets them.
//!
//! The decision is made once, when the control plane has no injection webhook yet, and is written down on the control plane's own webhook,
//! so that it survives whatever happens in the middle of an installation. A tag of somebody else's, and one that another
//! resource lists, is left to them. One that upstream's command line left for the same revision is taken over.

use super::engine::{Cache, Engine, KnownTag};
use super::injectors::{Injectors, is_labelled};
use super::webhooks::{API_VERSION, KIND};
use crate::api::DEFAULT_REVISION;
use crate::cluster::ClusterError;
use crate::object::labels::{self, DEFAULT, REVISION, TAG};
use crate::object::{ObjectKey, OwnerId, inventory::group_of};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

/// The webhook that validates where no revision is named; it goes with the tag `default`.
pub const VALIDATOR: &str = "istiod-default-validator";

/// The webhook of the tag.
#[must_use]
pub fn tag_key() -> ObjectKey {
    ObjectKey {
        group: group_of(API_VERSION).to_owned(),
        kind: KIND.to_owned(),
        namespace: String::new(),
        name: "istio-revision-tag-default".to_owned(),
    }
}

/// Whether a resource's control plane of this revision (`default` for none) has the tag without having been asked to.
///
/// # Errors
/// The webhooks cannot be read.
pub async fn is_given(
    engine: &Engine<'_>,
    injectors: &mut Injectors,
    id: &OwnerId,
    revision: &str,
) -> Result<bool, ClusterError> {
    if let Some(is_known) = known(engine.cache, id, revision) {
        return Ok(is_known);
    }
    let live = injectors.read(engine.cluster).await?;
    let hooks = live.iter().filter(|hook| is_labelled(hook)).map(|hook| &hook.metadata);
    Ok(decide(&hooks.collect::<Vec<_>>(), revision))
}

/// The same, as far as it can be told without a request.
fn known(cache: &dyn Cache, id: &OwnerId, revision: &str) -> Option<bool> {
    let owned = cache.owned_by(id)?;
    let hooks = || owned.iter().filter(|(key, hook)| key.kind == KIND && hook.revision == revision);
    hooks().next()?;
    if hooks().any(|(_, hook)| hook.is_default) {
        return Some(true);
    }
    // It stood before this was decided, or has given the tag up: all that is left is to take over a tag that a command line made
    // for it.
    match cache.tag(DEFAULT) {
        KnownTag::Unknown => None,
        KnownTag::Of(tag) if tag == revision && hooks().all(|(key, _)| *key != tag_key()) => None,
        KnownTag::Of(_) | KnownTag::Absent => Some(false),
    }
}

/// The same, of all injection webhooks of the cluster.
fn decide(hooks: &[&ObjectMeta], revision: &str) -> bool {
    let is = |hook: &ObjectMeta, name: &str, value: &str| {
        hook.labels.as_ref().and_then(|all| all.get(name)).is_some_and(|found| found == value)
    };
    let is_of_revision = |hook: &ObjectMeta| is(hook, REVISION, revision);
    let is_new_default = revision == DEFAULT && !hooks.iter().any(|hook| is_of_revision(hook));
    match hooks.iter().find(|hook| is(hook, TAG, DEFAULT)) {
        // Another resource may have the same control plane.
        Some(tag) if is_of_revision(tag) => is_marked(tag) || tag.labels.as_ref().and_then(labels::owner_of).is_none(),
        Some(tag) => is_new_default && is_marked(tag),
        None => hooks.is_empty() || is_new_default || hooks.iter().any(|hook| is_marked(hook) && is_of_revision(hook)),
    }
}

/// Whether the decision is written down on a webhook.
fn is_marked(metadata: &ObjectMeta) -> bool {
    metadata.annotations.as_ref().and_then(|all| all.get(DEFAULT_REVISION)).is_some_and(|value| value == "true")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::collections::BTreeMap;

    fn hook(labels: &[(&str, &str)], is_marked: bool) -> ObjectMeta {
        let labels: BTreeMap<_, _> = labels.iter().copied().collect();
        let annotations = if is_marked { json!({DEFAULT_REVISION: "true"}) } else { json!({}) };
        serde_json::from_value(json!({"labels": labels, "annotations": annotations})).unwrap()
    }

    #[test]
    fn the_first_control_plane_and_no_other_gets_the_tag() {
        let owned = |owner, revision| {
            [(labels::OWNER_NAMESPACE, "ns"), (labels::OWNER_NAME, owner), (REVISION, revision)].to_vec()
        };
        let tag = |mut labels: Vec<(&'static str, &'static str)>| {
            labels.push((TAG, DEFAULT));
            labels
        };
        for (hooks, expected, why) in [
            (vec![], true, "there is none"),
            (vec![hook(&owned("main", "canary"), true)], true, "it was decided, and then interrupted"),
            (vec![hook(&owned("main", "canary"), false)], false, "it stood before this was decided at all"),
            (vec![hook(&owned("main", "old"), true)], false, "another revision of the resource has it"),
            (vec![hook(&owned("other", "canary"), true)], true, "another resource has the same control plane"),
            (vec![hook(&owned("other", "default"), false)], false, "there is another control plane"),
            (vec![hook(&[], false)], false, "there is one of somebody else's"),
            (vec![hook(&tag(owned("main", "canary")), false)], false, "it was asked to have it, and is no more"),
            (vec![hook(&tag(owned("main", "old")), true)], false, "it stays with the revision that has it"),
            (vec![hook(&tag(owned("other", "canary")), true)], true, "both have the same control plane"),
            (vec![hook(&tag(owned("other", "canary")), false)], false, "the other one was asked to have it"),
            (vec![hook(&tag(vec![(REVISION, "canary")]), false)], true, "a command line made it for this revision"),
            (vec![hook(&tag(vec![(REVISION, "third")]), false)], false, "a command line made it for another"),
        ] {
            let hooks: Vec<&ObjectMeta> = hooks.iter().collect();
            assert_eq!(decide(&hooks, "canary"), expected, "{why}");
        }
        for (hooks, expected, why) in [
            (vec![hook(&owned("other", "canary"), false)], true, "the unnamed one is the default"),
            (
                vec![hook(&tag(owned("other", "canary")), true)],
                true,
                "also where another one has come to be it unasked",
            ),
            (vec![hook(&tag(owned("other", "canary")), false)], false, "and not where that was asked to"),
            (vec![hook(&owned("main", "default"), false)], false, "it stood before this was decided at all"),
        ] {
            let hooks: Vec<&ObjectMeta> = hooks.iter().collect();
            assert_eq!(decide(&hooks, DEFAULT), expected, "{why}");
        }
    }
}
