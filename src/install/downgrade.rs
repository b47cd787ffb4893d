//! A control plane is never moved to an older release, unless a person says so: neither at the first contact with a cluster
//! whose operator was of a newer one, nor because a package is gone or the operator was started with another.
//!
//! What is live decides: the labels that installers put on istiod and on the CRDs, and istiod's image.

use super::engine::{Engine, FRESH};
use super::installed_release::{Numbers, by_label, image_tag, numbers};
use super::state::State;
use super::{definition, installed_state};
use crate::api::annotations::without_v;
use crate::api::component::Component;
use crate::api::{ALLOW_DOWNGRADE, API_VERSION, GROUP, KIND, RELEASE};
use crate::cluster::ClusterError;
use crate::object::labels::{DEFAULT, REVISION, installation_of, owner_of};
use crate::object::manifests::Manifests;
use crate::object::{Object, ObjectKey, OwnerId};
use kube::ResourceExt;
use kube::api::DynamicObject;
use serde_json::Value;
use std::fmt;
use std::time::Instant;

/// A control plane that would be moved to an older release.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Downgrade {
    /// The object that tells.
    pub key: ObjectKey,
    /// The release that it is of.
    pub live: String,
    /// The release that is at hand.
    pub at_hand: String,
}

impl fmt::Display for Downgrade {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { key, live, at_hand } = self;
        write!(
            f,
            "{key} is of release {live}, and the resource gets release {at_hand}: nothing is written, for a control plane is not \
             moved to an older release; have the annotation {RELEASE} name {live} or newer, or annotate the resource \
             {ALLOW_DOWNGRADE}={at_hand}"
        )
    }
}

/// Why what is wanted must not be applied, if it must not. `allowed` is the release that a person allows to go back to.
///
/// # Errors
/// What is live cannot be read.
pub async fn forbid(
    engine: &Engine<'_>,
    state: &mut State,
    manifests: &Manifests,
    allowed: Option<&str>,
) -> Result<Option<Downgrade>, ClusterError> {
    let at_hand = manifests.release.as_str();
    let Some(wanted) = numbers(at_hand) else { return Ok(None) };
    if allowed.map(|allowed| without_v(allowed.trim())) == Some(at_hand) {
        return Ok(None);
    }
    if state.release == at_hand && state.release_seen.is_some_and(|seen| seen.elapsed() < FRESH) {
        return Ok(None);
    }
    let (mut is_known_by_istiod, mut is_told) = (false, false);
    for object in witnesses(manifests) {
        // Definitions are shared: they tell only where nothing else does, and one that is not newer tells for all.
        if object.is_crd() && (is_known_by_istiod || is_told) {
            break;
        }
        let key = object.key();
        let known = engine.cache.get(&key);
        let last = state.objects.get(&key);
        is_told = object.is_crd();
        if let (Some(known), Some(last)) = (&known, last)
            && state.release == at_hand
            && known.is_unchanged_since(&last.resource_version)
        {
            // Nothing has happened to it since it was found to be no newer.
            is_known_by_istiod |= !object.is_crd();
            continue;
        }
        let live = match engine.cluster.get(object.api_version(), &key).await {
            Err(error) if error.is_absent() => None,
            other => other?,
        };
        let Some(live) = live else { continue };
        is_known_by_istiod |= !object.is_crd();
        let Some(newer) = newer_release(&live, &object.value(), wanted) else { continue };
        // The CRDs of a newer revision, which another resource has, serve this one too: it does not write them.
        if object.is_crd() && owner_of(live.labels()).is_some_and(|owner| engine.others.does_want(&owner, &key)) {
            continue;
        }
        if object.is_crd() && loses_nothing(engine, object, &live).await? {
            // Of the next one that may not be so.
            is_told = false;
            continue;
        }
        return Ok(Some(Downgrade { key, live: newer, at_hand: at_hand.to_owned() }));
    }
    at_hand.clone_into(&mut state.release);
    state.release_seen = Some(Instant::now());
    Ok(None)
}

/// Whether a CRD of a newer release loses nothing by what is wanted, and is not that of a control plane of this installation and
/// revision whose istiod somebody has deleted: its record is there.
async fn loses_nothing(engine: &Engine<'_>, wanted: &Object, live: &DynamicObject) -> Result<bool, ClusterError> {
    if !definition::is_same_installations(&wanted.value(), live) {
        return Ok(definition::has_more(wanted, live));
    }
    if !definition::has_all(wanted, live) {
        return Ok(false);
    }
    let Some(OwnerId { namespace, name: owner }) = installation_of(live.labels()) else { return Ok(false) };
    let revision = live.labels().get(REVISION).map(String::as_str).filter(|revision| *revision != DEFAULT);
    let revision = revision.unwrap_or_default();
    for name in [installed_state::name(&owner, revision), installed_state::distinct_name(&owner, revision)] {
        let record = ObjectKey { group: GROUP.into(), kind: KIND.into(), namespace: namespace.clone(), name };
        match engine.cluster.get(API_VERSION, &record).await {
            Ok(None) => {}
            Err(error) if error.is_absent() => {}
            Ok(Some(_)) => return Ok(false),
            Err(error) => return Err(error),
        }
    }
    Ok(true)
}

/// The objects that tell the release of what is installed: istiod, and then the CRDs.
fn witnesses(manifests: &Manifests) -> impl Iterator<Item = &Object> {
    let of = |component| manifests.parts.iter().filter(move |p| p.component == component).flat_map(|p| &p.objects);
    let istiod = of(Component::Pilot).filter(|object| object.kind() == "Deployment");
    istiod.chain(of(Component::Base).filter(|object| object.is_crd()))
}

/// The release of a live object where it is newer than the wanted one.
fn newer_release(live: &DynamicObject, desired: &Value, wanted: Numbers) -> Option<String> {
    if let Some(text) = by_label(live).filter(|text| numbers(text).is_some_and(|live| live > wanted)) {
        return Some(text.to_owned());
    }
    // An image alone tells of a minor release: patches of images are the spec's.
    let minor = |(major, minor, _): Numbers| (major, minor);
    let live_tag = image_tag(&live.data)?;
    let live_release = numbers(live_tag).filter(|live| minor(*live) > minor(wanted))?;
    let same_image = image_tag(desired).and_then(numbers);
    same_image.is_none_or(|desired| minor(live_release) > minor(desired)).then(|| live_tag.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::object::labels::VERSION;
    use serde_json::json;

    fn istiod(label: (&str, &str), image: &str) -> DynamicObject {
        serde_json::from_value(json!({"apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": "istiod", "labels": {label.0: label.1}},
            "spec": {"template": {"spec": {"containers": [{"name": "discovery", "image": image}]}}}}))
        .unwrap()
    }

    #[test]
    fn what_is_live_tells_its_release_by_labels_and_by_its_image() {
        let table = [
            ((VERSION, "1.23.6"), "docker.io/istio/pilot:1.23.6", Some("1.23.6")),
            ((VERSION, "1.17.8"), "docker.io/istio/pilot:1.17.8", None),
            ((VERSION, "1.17.8"), "docker.io/istio/pilot:1.17.9", None),
            ((VERSION, "1.17.9"), "docker.io/istio/pilot:1.17.9", Some("1.17.9")),
            ((VERSION, "1.16.2"), "docker.io/istio/pilot:1.16.2", None),
            (("helm.sh/chart", "istiod-1.24.1"), "pilot:x", Some("istiod-1.24.1")),
            (("a", "b"), "localhost:5000/istio/pilot:1.18.0-distroless", Some("1.18.0-distroless")),
            ((VERSION, "unknown"), "istio/pilot:1.20.1@sha256:00", Some("1.20.1")),
            (("a", "b"), "istio/pilot@sha256:00", None),
        ];
        let desired =
            json!({"spec": {"template": {"spec": {"containers": [{"name": "discovery", "image": "pilot:1.17.8"}]}}}});
        for (label, image, expected) in table {
            let found = newer_release(&istiod(label, image), &desired, (1, 17, 8));
            assert_eq!(found.as_deref(), expected, "{label:?} {image}");
        }
    }

    #[test]
    fn a_newer_image_that_the_spec_asks_for_is_no_downgrade() {
        let desired =
            json!({"spec": {"template": {"spec": {"containers": [{"name": "discovery", "image": "pilot:1.18.2"}]}}}});
        let live = istiod((VERSION, "1.17.8"), "istio/pilot:1.18.2");
        assert_eq!(newer_release(&live, &desired, (1, 17, 8)), None);
    }
}
