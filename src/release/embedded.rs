//! The charts that are built in, put together so that each text stands in the repository once.

use helm_template::helm::chart::{Chart, ChartError};
use include_dir::{Dir, include_dir};
use std::collections::BTreeMap;

static CHARTS: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/charts");
static PROFILES: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/profiles");

/// The definition of IstioOperator, generated from the API's types, see [`crate::api::crd`].
const OWN_DEFINITION: &str = include_str!("../../crds/istiooperators.install.istio.io.yaml");
const OWN_DEFINITION_FILE: &str = "istiooperators.install.istio.io.yaml";

/// Where all definitions lie, with that of IstioOperator, as in upstream's base chart.
const DEFINITIONS: &str = "base/crds";

/// A folder that a chart takes from another one.
struct Borrowed {
    chart: &'static str,
    /// The other chart's folder, below `charts/`.
    from: &'static str,
    /// The folder in the chart.
    to: &'static str,
    /// Files of that folder that stay behind.
    except: &'static [&'static str],
}

/// A remote istiod has the same configuration, roles and webhooks as one that runs here, but no process; and it brings the
/// definitions along as templates, because they come and go with `configCluster`.
const BORROWED: &[Borrowed] = &[
    Borrowed { chart: "istiod-remote", from: "istio-control/istio-discovery/files", to: "files", except: &[] },
    Borrowed {
        chart: "istiod-remote",
        from: "istio-control/istio-discovery/templates",
        to: "templates",
        except: &[
            "configmap-jwks.yaml",
            "deployment.yaml",
            "horizontalpodautoscaler.yaml",
            "poddisruptionbudget.yaml",
            "revision-tags.yaml",
            "service.yaml",
        ],
    },
    Borrowed { chart: "istiod-remote", from: DEFINITIONS, to: "files/crds", except: &[] },
];

/// The chart in this folder below `charts/`, complete.
pub(super) fn chart(name: &str) -> Result<Chart, ChartError> {
    Chart::from_memory(files(name))
}

/// The folders of the charts of a release; the last two are for Helm's users.
const ALL: [&str; 8] = [
    "base",
    "istio-control/istio-discovery",
    "istio-cni",
    "istiod-remote",
    "gateways/istio-ingress",
    "gateways/istio-egress",
    "default",
    "gateway",
];

/// All files of a package in a directory, by path.
pub(super) fn package() -> BTreeMap<String, &'static [u8]> {
    let profiles = PROFILES.files().map(|file| (format!("profiles/{}", file.path().display()), file.contents()));
    let charts = ALL
        .iter()
        .flat_map(|chart| files(chart).into_iter().map(move |(name, text)| (format!("charts/{chart}/{name}"), text)));
    profiles.chain(charts).collect()
}

/// The profiles' texts, by name.
pub(super) fn profiles() -> BTreeMap<String, String> {
    let texts = PROFILES.files().filter_map(|f| Some((super::profile_name(f.path())?, f.contents_utf8()?.to_owned())));
    texts.collect()
}

/// The files of a chart by name; its own win over borrowed ones.
fn files(chart: &str) -> BTreeMap<String, &'static [u8]> {
    let mut files = BTreeMap::new();
    for borrowed in BORROWED.iter().filter(|b| b.chart == chart) {
        let lent = folder(borrowed.from).into_iter().filter(|(name, _)| !borrowed.except.contains(&name.as_str()));
        files.extend(lent.map(|(name, text)| (format!("{}/{name}", borrowed.to), text)));
    }
    files.extend(folder(chart));
    files
}

/// What lies below a folder of `charts/`, named from there on.
fn folder(path: &str) -> BTreeMap<String, &'static [u8]> {
    let mut files = BTreeMap::new();
    if let Some(below) = DEFINITIONS.strip_prefix(path) {
        let name = format!("{below}/{OWN_DEFINITION_FILE}");
        files.insert(name.trim_start_matches('/').to_owned(), OWN_DEFINITION.as_bytes());
    }
    let mut open: Vec<&'static Dir<'static>> = CHARTS.get_dir(path).into_iter().collect();
    while let Some(dir) = open.pop() {
        open.extend(dir.dirs());
        for file in dir.files() {
            if let Ok(name) = file.path().strip_prefix(path) {
                files.insert(name.to_string_lossy().into_owned(), file.contents());
            }
        }
    }
    files
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_remote_istiod_is_made_of_its_own_files_and_those_of_others() {
        let files = files("istiod-remote");
        let remote = |name: &str| files.get(name).copied();
        let discovery = folder("istio-control/istio-discovery");
        assert_eq!(remote("templates/_mesh.tpl"), discovery.get("templates/_mesh.tpl").copied());
        assert_eq!(remote("files/injection-template.yaml"), discovery.get("files/injection-template.yaml").copied());
        assert_eq!(remote("templates/deployment.yaml"), None);
        assert_eq!(files.keys().filter(|name| name.starts_with("files/crds/")).count(), 15);
    }

    #[test]
    fn no_file_stands_in_two_charts_and_is_named_only_where_it_is() {
        for borrowed in BORROWED {
            let lent = folder(borrowed.from);
            for name in borrowed.except {
                assert!(lent.contains_key(*name), "{} has no {name}", borrowed.from);
            }
            let own = folder(&format!("{}/{}", borrowed.chart, borrowed.to));
            for (name, text) in own {
                assert!(lent.get(&name) != Some(&text), "{}/{name} could be borrowed", borrowed.to);
            }
        }
    }
}
