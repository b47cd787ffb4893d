//! The release that a live object says it is of: by the labels that installers write, or by istiod's image.

use crate::object::labels::VERSION;
use crate::object::pods;
use kube::ResourceExt;
use kube::api::DynamicObject;
use serde_json::Value;

/// Where installers say the release, the most exact first: the operator, and Helm's charts.
const LABELS: [&str; 3] = [VERSION, "app.kubernetes.io/version", "helm.sh/chart"];
/// The container of istiod.
const CONTAINER: &str = "discovery";

/// Major, minor, patch.
pub(super) type Numbers = (u64, u64, u64);

/// The release of a live object, by a label; as it is written there.
pub(super) fn by_label(live: &DynamicObject) -> Option<&str> {
    LABELS.iter().find_map(|name| live.labels().get(*name).map(String::as_str).filter(|text| numbers(text).is_some()))
}

/// The tag of istiod's image in a Deployment.
pub(super) fn image_tag(deployment: &Value) -> Option<&str> {
    let containers = deployment.pointer("/spec/template/spec/containers")?.as_array()?;
    let container = containers.iter().find(|c| c.get("name").is_some_and(|name| name == CONTAINER))?;
    pods::image_tag(container.get("image")?.as_str()?)
}

/// The first three numbers with dots in a text, such as those of `1.23.6-distroless` and `istiod-1.23.6`.
pub(super) fn numbers(text: &str) -> Option<Numbers> {
    let numbers = version(text)?.split(['-', '+', '_']).next()?;
    let mut parts = numbers.split('.');
    let major = parts.next()?.parse().ok()?;
    let minor = parts.next()?.parse().ok()?;
    Some((major, minor, parts.next().and_then(|patch| patch.parse().ok()).unwrap_or_default()))
}

/// What follows the name of a chart or a `v`.
fn version(text: &str) -> Option<&str> {
    let begin = text.char_indices().find(|(at, c)| {
        let before = text.get(..*at).and_then(|before| before.chars().next_back());
        c.is_ascii_digit() && before.is_none_or(|before| matches!(before, '-' | 'v'))
    });
    text.get(begin?.0..)
}

/// The release that a live istiod is of, such as `1.23.6` or `1.31.0-rc.0`; `None` where nothing of it tells.
#[must_use]
pub fn of_istiod(live: &DynamicObject) -> Option<String> {
    /// What the tags of images have beyond the release.
    const VARIANTS: [&str; 2] = ["-distroless", "-debug"];
    let tag = || image_tag(&live.data).filter(|tag| numbers(tag).is_some());
    let text = version(by_label(live).or_else(tag)?)?;
    let release = VARIANTS.iter().find_map(|variant| text.strip_suffix(variant)).unwrap_or(text);
    Some(release.to_owned())
}

/// The tag of the image that a live istiod runs, where it has one.
#[must_use]
pub fn tag_of_istiod(live: &DynamicObject) -> Option<String> {
    image_tag(&live.data).map(str::to_owned)
}

/// The release that the record of an installation says.
#[must_use]
pub fn of_record(record: &DynamicObject) -> Option<String> {
    by_label(record).map(str::to_owned)
}

/// Whether a release is older than another one; `None` where one of them has no numbers.
#[must_use]
pub fn is_older(release: &str, than: &str) -> Option<bool> {
    Some(numbers(release)? < numbers(than)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_release_of_istiod_is_that_of_its_labels_or_else_of_its_image() {
        let table = [
            ((VERSION, "1.23.6"), "docker.io/istio/pilot:1.22.0", Some("1.23.6")),
            ((VERSION, "unknown"), "docker.io/istio/pilot:1.22.0-distroless", Some("1.22.0")),
            (("helm.sh/chart", "istiod-1.24.1"), "pilot:x", Some("1.24.1")),
            (("app.kubernetes.io/version", "1.31.0-rc.0"), "pilot:1.17.8", Some("1.31.0-rc.0")),
            (("a", "b"), "localhost:5000/istio/pilot:1.18.0@sha256:00", Some("1.18.0")),
            (("a", "b"), "pilot:latest", None),
        ];
        for (label, image, expected) in table {
            let live = serde_json::from_value(json!({"apiVersion": "apps/v1", "kind": "Deployment",
                "metadata": {"name": "istiod", "labels": {label.0: label.1}},
                "spec": {"template": {"spec": {"containers": [{"name": "discovery", "image": image}]}}}}))
            .unwrap();
            assert_eq!(of_istiod(&live).as_deref(), expected, "{label:?} {image}");
        }
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
            assert_eq!(numbers(text), expected, "{text}");
        }
    }
}
