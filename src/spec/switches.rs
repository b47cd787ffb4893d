//! What differs between releases of Istio: one table, read from the release package itself.
//!
//! In: which files a package has, and the tag of its images. Out: [`Switches`], which every stage asks where releases differ.
//! What charts decide themselves is not a switch.

use crate::api::schema::{NEWEST, OLDEST};
use std::ops::Range;

/// How a spec becomes Helm values and objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Pipeline {
    /// Releases 1.17 to 1.23: layers are typed; settings and values are translated into each other.
    Until123,
    /// Releases from 1.24 on: layers are maps that go to the charts as they are.
    Since124,
}

/// The minor and patch number of a release 1.x.y.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Release {
    /// x.
    pub minor: u32,
    /// y; the highest where it is not known.
    pub patch: u32,
}

/// Everything in which releases differ, beyond their charts and profiles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Switches {
    /// How a spec becomes objects.
    pub pipeline: Pipeline,
    /// Which release it is.
    pub release: Release,
    /// Whether there is a chart of ztunnel (from 1.18 on).
    pub has_ztunnel: bool,
    /// Whether there is a chart for clusters whose control plane runs elsewhere (until 1.23).
    pub has_istiod_remote: bool,
    /// Whether the release's own behaviour is wanted exactly, also where it loses what a user wrote
    /// (`--upstream-behavior`).
    pub is_upstream: bool,
}

/// The first release of the newer pipeline.
const FIRST_OF_NEW: u32 = 24;

/// The minor version of Kubernetes that charts see without a cluster: the oldest that a release supports (a constant of
/// its command line), by the first minor release that has it.
const OFFLINE_KUBERNETES: [(u32, u32); 8] =
    [(17, 23), (18, 24), (19, 25), (21, 26), (24, 28), (25, 29), (28, 30), (30, 32)];

/// The folders that are asked for.
pub const FOLDERS: [&str; 4] = ["charts/istio-operator", ISTIOD_REMOTE, "charts/base/crds", ZTUNNEL];
/// Those of them that only packages of 1.17 to 1.23 have.
const OLD_FOLDERS: [&str; 3] = ["charts/istio-operator", ISTIOD_REMOTE, "charts/base/crds"];
const ISTIOD_REMOTE: &str = "charts/istiod-remote";
const ZTUNNEL: &str = "charts/ztunnel";

/// Files whose names say a release: the profile that behaves as the release before, and the filters of proxies up to this
/// release.
const NUMBERED: [(&str, &str, u32); 2] = [
    ("charts/base/files/profile-compatibility-version-1.", ".yaml", 1),
    ("charts/istio-control/istio-discovery/templates/telemetryv2_1.", ".yaml", 0),
];

/// The folders whose files' names are asked for.
pub fn folders_of_numbered() -> impl Iterator<Item = &'static str> {
    NUMBERED.iter().filter_map(|(start, ..)| Some(start.rsplit_once('/')?.0))
}

impl Default for Switches {
    /// Those of the built-in release, 1.17.
    fn default() -> Self {
        Self {
            pipeline: Pipeline::Until123,
            release: Release { minor: OLDEST, patch: u32::MAX },
            has_ztunnel: false,
            has_istiod_remote: true,
            is_upstream: false,
        }
    }
}

impl Release {
    /// The release that an image tag or a version names: `1.23.6`, `1.30-alpha.1`, `v1.24.0-distroless`.
    #[must_use]
    pub fn of_tag(tag: &str) -> Option<Self> {
        let mut numbers = tag.strip_prefix('v').unwrap_or(tag).split(['.', '-', '_', '+']);
        let mut next = || numbers.next().and_then(|number| number.parse::<u32>().ok());
        let (major, minor) = (next()?, next()?);
        let patch = next().unwrap_or(u32::MAX);
        (major == 1 && minor >= OLDEST).then_some(Self { minor, patch })
    }
}

/// The minor release 1.x that an image tag or a version names, however old it is.
#[must_use]
pub fn minor_of(tag: &str) -> Option<u32> {
    let rest = tag.strip_prefix('v').unwrap_or(tag).strip_prefix("1.")?;
    rest.split(['.', '-', '_', '+']).next()?.parse().ok()
}

/// The minor releases that a step from one release to another leaves out; none where one of the two is not a release.
#[must_use]
pub fn skipped_minors(from: &str, to: &str) -> Range<u32> {
    minor_of(from).zip(minor_of(to)).map_or(0..0, |(from, to)| minors_between(from, to))
}

/// The minor releases between two.
#[must_use]
pub fn minors_between(from: u32, to: u32) -> Range<u32> {
    from.saturating_add(1)..to
}

impl Switches {
    /// Those of a package, given the tag of its images and the paths of its files and folders, relative to it.
    pub fn of_package<'p>(tag: Option<&str>, paths: &(impl Iterator<Item = &'p str> + Clone)) -> Self {
        let has = |path: &str| paths.clone().any(|other| other == path);
        let is_old = OLD_FOLDERS.into_iter().any(has);
        let pipeline = if is_old { Pipeline::Until123 } else { Pipeline::Since124 };
        let numbered = paths.clone().filter_map(|path| {
            let of = |(start, end, more): &(&str, &str, u32)| {
                Some(path.strip_prefix(start)?.strip_suffix(end)?.parse::<u32>().ok()? + more)
            };
            NUMBERED.iter().find_map(of)
        });
        let unknown = if is_old { FIRST_OF_NEW - 1 } else { NEWEST };
        let release = tag
            .and_then(Release::of_tag)
            .unwrap_or_else(|| Release { minor: numbered.max().unwrap_or(unknown), patch: u32::MAX });
        Self { pipeline, release, has_ztunnel: has(ZTUNNEL), has_istiod_remote: has(ISTIOD_REMOTE), is_upstream: false }
    }

    /// The minor release whose tables of fields hold: the nearest that is described.
    #[must_use]
    pub fn described_minor(&self) -> u32 {
        self.release.minor.clamp(OLDEST, NEWEST)
    }

    /// Whether the release is newer than all that are described, so that a field that is in no table may be one of its own.
    #[must_use]
    pub fn is_beyond_tables(&self) -> bool {
        self.release.minor > NEWEST
    }

    /// Whether the form of specs, and not only their charts, is that of 1.24 and later.
    #[must_use]
    pub fn is_since_124(&self) -> bool {
        self.pipeline == Pipeline::Since124
    }

    /// Whether unknown fields of the mesh configuration are errors: releases from 1.24 on take any.
    #[must_use]
    pub fn knows_mesh_fields(&self) -> bool {
        !self.is_since_124()
    }

    /// Whether `hpaSpec` reaches the values from which a chart decides about a disruption budget: releases from 1.28 on
    /// render one only where there may be several pods, and of those only 1.28.8 to 1.28.10, and 1.31 and later ask `hpaSpec`.
    #[must_use]
    pub fn autoscaler_sets_values(&self) -> bool {
        let Release { minor, patch } = self.release;
        let asks = (minor == 28 && patch >= 8) || minor >= 31;
        asks || (minor >= 28 && !self.is_upstream)
    }

    /// Whether CPU requests and limits of `k8s.resources` reach the values, by which charts set variables of the container (from
    /// 1.31 on).
    #[must_use]
    pub fn resources_set_values(&self) -> bool {
        self.release.minor >= 31
    }

    /// Whether the value of a `--set` line may hold equals signs: from 1.24 to 1.30 a line with several is all path.
    #[must_use]
    pub fn values_of_flags_hold_equals_signs(&self) -> bool {
        self.release.minor >= 31
    }

    /// Whether metrics in the form of autoscaling/v2beta1 make charts render all autoscalers in that version, as upstream's
    /// own releases until 1.21 do. Kubernetes has not had it since 1.25.
    #[must_use]
    pub fn chooses_version_of_autoscalers(&self) -> bool {
        self.is_upstream && self.release.minor <= 21
    }

    /// Whether a document ends with a newline when it is read, and not before it (until 1.23): it counts where a block of text
    /// stands at the end.
    #[must_use]
    pub fn documents_end_with_newline(&self) -> bool {
        !self.is_since_124()
    }

    /// Whether charts that read their own values at the top read `global` there, too (until 1.21).
    #[must_use]
    pub fn flattens_globals(&self) -> bool {
        self.release.minor <= 21
    }

    /// The version of Kubernetes that charts see without a cluster: full, major, minor.
    #[must_use]
    pub fn offline_kubernetes(&self) -> (String, String, String) {
        let found = OFFLINE_KUBERNETES.iter().rev().find(|(first, _)| self.release.minor >= *first);
        let minor = found.map_or(23, |(_, minor)| *minor);
        (format!("v1.{minor}.0"), "1".to_owned(), minor.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_release_is_read_from_a_tag() {
        for (tag, expected) in [
            ("1.23.6", Some((23, 6))),
            ("v1.30.3-distroless", Some((30, 3))),
            ("1.24-alpha.1", Some((24, u32::MAX))),
            ("1.31.0-rc.0", Some((31, 0))),
            ("latest", None),
            ("1.16.4", None),
            ("2.0.0", None),
            ("", None),
        ] {
            assert_eq!(Release::of_tag(tag).map(|r| (r.minor, r.patch)), expected, "{tag}");
        }
    }

    #[test]
    fn minor_releases_between_two_are_counted() {
        for (from, to, skipped) in [
            ("1.17.8", "1.18.2", 0),
            ("1.17.8", "1.30.3", 12),
            ("1.9.0", "1.11.0-distroless", 1),
            ("1.17.8", "1.17.9", 0),
            ("1.30.3", "1.17.8", 0),
            ("1.17.8", "2.30.0", 0),
            ("latest", "1.17.8", 0),
        ] {
            assert_eq!(skipped_minors(from, to).len(), skipped, "{from} {to}");
        }
    }

    #[test]
    fn a_package_shows_its_release_in_its_files() {
        let old = ["charts", "charts/base", "charts/base/crds", "charts/istiod-remote", "charts/ztunnel"];
        let new = [
            "charts/ztunnel",
            "charts/base/files/profile-compatibility-version-1.28.yaml",
            "charts/base/files/profile-compatibility-version-1.9.yaml",
        ];
        let of = |tag: Option<&str>, paths: &[&str]| Switches::of_package(tag, &paths.iter().copied());
        assert_eq!(of(Some("1.23.6"), &old).pipeline, Pipeline::Until123);
        assert_eq!(of(Some("latest"), &old).release.minor, 23);
        assert_eq!(of(Some("latest"), &new).release.minor, 29);
        assert_eq!(of(None, &[]).release.minor, NEWEST);
        assert!(of(None, &new).is_since_124() && of(None, &new).has_ztunnel);
        let telemetry = "charts/istio-control/istio-discovery/templates/telemetryv2_1.19.yaml";
        assert_eq!(of(None, &[telemetry, "charts/base/crds"]).release.minor, 19);
    }

    #[test]
    fn charts_see_the_oldest_kubernetes_of_their_release() {
        for (minor, kubernetes) in [(17, "23"), (18, "24"), (20, "25"), (23, "26"), (27, "29"), (29, "30"), (40, "32")]
        {
            let switches = Switches { release: Release { minor, patch: 0 }, ..Switches::default() };
            assert_eq!(switches.offline_kubernetes().2, kubernetes, "1.{minor}");
        }
    }
}
