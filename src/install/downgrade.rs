//! A control plane is never moved to an older release, unless a person says so: neither at the first contact with a cluster
//! whose operator was of a newer one, nor because a package is gone or the operator was started with another.
//!
//! What is live decides: the labels that installers put on istiod and on the CRDs, and istiod's image.

use super::engine::Engine;
use super::state::State;
use crate::api::ALLOW_DOWNGRADE;
use crate::api::component::Component;
use crate::cluster::ClusterError;
use crate::object::labels::VERSION;
use crate::object::manifests::Manifests;
use crate::object::{Object, ObjectKey};
use kube::ResourceExt;
use kube::api::DynamicObject;
use serde_json::Value;
use std::fmt;

/// Where installers say the release, the most exact first: the operator, and Helm's charts.
const LABELS: [&str; 3] = [VERSION, "app.kubernetes.io/version", "helm.sh/chart"];
/// The container of istiod.
const CONTAINER: &str = "discovery";

/// Major, minor, patch.
type Release = (u64, u64, u64);

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
            "{key} is of release {live}, and only release {at_hand} is at hand: nothing is written, for a control plane is not \
             moved to an older release; have spec.installPackagePath name a package of {live} or newer, or annotate the \
             resource {ALLOW_DOWNGRADE}={at_hand}"
        )
    }
}

/// Why what is wanted must not be applied, if it must not. `allowed` is the release that a person allows to go back to.
///
/// # Errors
/// What is live cannot be read.
pub async fn forbid(
    engine: &Engine<'_>,
    state: &State,
    manifests: &Manifests,
    allowed: Option<&str>,
) -> Result<Option<Downgrade>, ClusterError> {
    let at_hand = manifests.release.as_str();
    let Some(wanted) = release(at_hand) else { return Ok(None) };
    if allowed.map(str::trim) == Some(at_hand) {
        return Ok(None);
    }
    for object in witnesses(manifests) {
        let key = object.key();
        let known = engine.cache.get(&key);
        let last = state.objects.get(&key);
        if let (Some(known), Some(last)) = (&known, last)
            && known.is_unchanged_since(&last.resource_version)
        {
            // Nothing has happened to it since it was last looked at.
            continue;
        }
        let live = match engine.cluster.get(object.api_version(), &key).await {
            Err(error) if error.is_absent() => None,
            other => other?,
        };
        let Some(newer) = live.and_then(|live| newer_release(&live, &object.value(), wanted)) else { continue };
        return Ok(Some(Downgrade { key, live: newer, at_hand: at_hand.to_owned() }));
    }
    Ok(None)
}

/// The objects that tell the release of what is installed: istiod, and one CRD, for all revisions share those.
fn witnesses(manifests: &Manifests) -> impl Iterator<Item = &Object> {
    let of = |component| manifests.parts.iter().filter(move |p| p.component == component).flat_map(|p| &p.objects);
    let istiod = of(Component::Pilot).filter(|object| object.kind() == "Deployment");
    istiod.chain(of(Component::Base).filter(|object| object.is_crd()).take(1))
}

/// The release of a live object where it is newer than the wanted one.
fn newer_release(live: &DynamicObject, desired: &Value, wanted: Release) -> Option<String> {
    let said = LABELS.iter().find_map(|name| live.labels().get(*name).filter(|text| release(text).is_some()));
    if let Some(text) = said.filter(|text| release(text).is_some_and(|live| live > wanted)) {
        return Some(text.clone());
    }
    // An image alone tells of a minor release: patches of images are the spec's.
    let minor = |(major, minor, _): Release| (major, minor);
    let live_tag = tag(live.data.pointer("/spec/template/spec/containers"))?;
    let live_release = release(live_tag).filter(|live| minor(*live) > minor(wanted))?;
    let same_image = tag(desired.pointer("/spec/template/spec/containers")).and_then(release);
    same_image.is_none_or(|desired| minor(live_release) > minor(desired)).then(|| live_tag.to_owned())
}

/// The tag of istiod's image.
fn tag(containers: Option<&Value>) -> Option<&str> {
    let container = containers?.as_array()?.iter().find(|c| c.get("name").is_some_and(|name| name == CONTAINER))?;
    let image = container.get("image")?.as_str()?;
    let name = image.split('@').next()?.rsplit('/').next()?;
    name.split_once(':').map(|(_, tag)| tag)
}

/// The first three numbers with dots in a text, such as those of `1.23.6-distroless` and `istiod-1.23.6`.
fn release(text: &str) -> Option<Release> {
    let begin = text.char_indices().find(|(at, c)| {
        let before = text.get(..*at).and_then(|before| before.chars().next_back());
        c.is_ascii_digit() && before.is_none_or(|before| matches!(before, '-' | 'v'))
    });
    let numbers = text.get(begin?.0..)?.split(['-', '+', '_']).next()?;
    let mut parts = numbers.split('.');
    let major = parts.next()?.parse().ok()?;
    let minor = parts.next()?.parse().ok()?;
    Some((major, minor, parts.next().and_then(|patch| patch.parse().ok()).unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;
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

    #[test]
    fn the_release_is_the_first_numbers_with_dots() {
        let table = [
            ("1.17.8", Some((1, 17, 8))),
            ("v1.9", Some((1, 9, 0))),
            ("istiod-1.23.6", Some((1, 23, 6))),
            ("1.30-alpha.abc", Some((1, 30, 0))),
            ("latest", None),
            ("1643215493", None),
            ("", None),
        ];
        for (text, expected) in table {
            assert_eq!(release(text), expected, "{text}");
        }
    }
}
