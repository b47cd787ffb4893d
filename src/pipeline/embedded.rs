//! The charts that are built in, put together so that each text stands in the repository once.

use crate::helm::chart::{Chart, ChartError};
use include_dir::{Dir, include_dir};
use std::collections::BTreeMap;

static CHARTS: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/charts");

/// The definition of IstioOperator, generated from the API's types, see [`crate::api::crd`].
pub(super) const OWN_DEFINITION: &str = include_str!("../../crds/istiooperators.install.istio.io.yaml");
const OWN_DEFINITION_FILE: &str = "istiooperators.install.istio.io.yaml";

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

/// The files of a chart by name; its own win over borrowed ones.
fn files(chart: &str) -> BTreeMap<String, &'static [u8]> {
    let mut files = BTreeMap::new();
    for borrowed in BORROWED.iter().filter(|b| b.chart == chart) {
        let mut lent = folder(borrowed.from);
        if borrowed.from == DEFINITIONS {
            lent.insert(OWN_DEFINITION_FILE.to_owned(), OWN_DEFINITION.as_bytes());
        }
        let lent = lent.into_iter().filter(|(name, _)| !borrowed.except.contains(&name.as_str()));
        files.extend(lent.map(|(name, text)| (format!("{}/{name}", borrowed.to), text)));
    }
    files.extend(folder(chart));
    files
}

/// What lies below a folder of `charts/`, named from there on.
fn folder(path: &str) -> BTreeMap<String, &'static [u8]> {
    let mut files = BTreeMap::new();
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
