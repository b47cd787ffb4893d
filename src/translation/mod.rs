//! A resolved spec as Helm values: for each component its chart, its release, its values, and what Helm does otherwise.
//!
//! In: a resolved spec, its release package, what is known of the cluster. Out: a [`HelmRelease`] for each component that is
//! installed. Guarantee: what Helm makes of the chart with these values is what the operator installs, but for what
//! [`HelmRelease::differences`] says: `k8s` settings and overlays, which no chart knows, and what charts write of the release's
//! name. Both are rendered and compared, so nothing that a setting does goes untold, and none that does nothing is told.

use crate::api::component::Component;
use crate::diff::{self, ObjectChange, Selection};
use crate::release::Package;
use crate::render::chart;
use crate::render::{ClusterInfo, RenderError, overlay};
use crate::spec::resolve::{Enabled, Resolved};
use helm_template::{Capabilities, ReleaseOptions};
use serde_json::Value;
use std::collections::BTreeMap;

/// A component as Helm installs it.
#[derive(Clone, Debug, PartialEq)]
pub struct HelmRelease {
    /// The component.
    pub component: Component,
    /// The name of the release, unique in its namespace.
    pub name: String,
    /// The namespace of the release.
    pub namespace: String,
    /// The chart's folder below `charts/` of the release package.
    pub chart: &'static str,
    /// The values, without the chart's own defaults.
    pub values: Value,
    /// Whether the CRDs in the chart's folder `crds/` are left out.
    pub skips_crds: bool,
    /// Whether the chart has its CRDs in a folder that Helm installs and never upgrades.
    pub has_crd_folder: bool,
    /// What the operator installs (second) otherwise than Helm (first).
    pub differences: Vec<ObjectChange>,
}

/// The Helm releases of a resolved spec, in the order in which they have to be installed.
///
/// # Errors
/// A chart cannot be read or rendered, or a setting or overlay does not fit.
pub fn translate(
    resolved: &Resolved,
    package: &Package,
    cluster_info: &ClusterInfo,
) -> Result<Vec<HelmRelease>, RenderError> {
    let capabilities = chart::capabilities(cluster_info.version.as_ref(), resolved.switches());
    let mut taken: BTreeMap<(String, String), usize> = BTreeMap::new();
    let mut releases = vec![];
    for enabled in resolved.components() {
        let name = release_name(enabled, resolved.revision());
        let count = taken.entry((enabled.home().to_owned(), name.clone())).or_default();
        *count += 1;
        let name = if *count == 1 { name } else { format!("{name}-{count}") };
        releases.push(translate_one(enabled, name, resolved, package, &capabilities)?);
    }
    releases.sort_by_key(|release| release.component.depth());
    Ok(releases)
}

/// Istio's documentation calls the releases so.
fn release_name(enabled: &Enabled, revision: &str) -> String {
    match enabled.component {
        Component::Base => "istio-base".to_owned(),
        Component::Cni => "istio-cni".to_owned(),
        Component::Ztunnel => "ztunnel".to_owned(),
        Component::IstiodRemote => "istiod-remote".to_owned(),
        Component::Pilot if revision.is_empty() => "istiod".to_owned(),
        Component::Pilot => format!("istiod-{revision}"),
        Component::IngressGateways | Component::EgressGateways if enabled.name.is_empty() => {
            enabled.component.info().workload.1.to_owned()
        }
        Component::IngressGateways | Component::EgressGateways => enabled.name.clone(),
    }
}

fn translate_one(
    enabled: &Enabled,
    name: String,
    resolved: &Resolved,
    package: &Package,
    capabilities: &Capabilities,
) -> Result<HelmRelease, RenderError> {
    let loaded = package.chart(enabled.component)?;
    let (mut installed, _) = chart::render(enabled, &loaded, capabilities, resolved.switches())
        .map_err(|error| RenderError::Component(vec![error]))?;
    overlay::apply(enabled, &mut installed, resolved.switches()).map_err(RenderError::Overlay)?;
    let release = ReleaseOptions::install(&name, enabled.home());
    let (mut by_helm, _) = chart::render_release(enabled, &loaded, &release, capabilities, resolved.switches())
        .map_err(|error| RenderError::Component(vec![error]))?;
    let skips_crds = !enabled.wants_crds();
    if !skips_crds {
        by_helm.extend(loaded.crds.iter().cloned());
    }
    Ok(HelmRelease {
        component: enabled.component,
        namespace: enabled.home().to_owned(),
        chart: enabled.component.info().chart,
        values: enabled.values.clone(),
        skips_crds: skips_crds && !loaded.crds.is_empty(),
        has_crd_folder: !loaded.crds.is_empty(),
        differences: diff::compare(&by_helm, &installed, &Selection::default()),
        name,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render;
    use crate::spec::request;
    use crate::spec::resolve::Strictness;
    use serde_json::json;

    fn translated(spec: &Value) -> Vec<HelmRelease> {
        let package = Package::embedded().unwrap();
        let request = request::from_resource(&json!({ "spec": spec }));
        let resolved = render::resolve(&request, &package, Strictness::Full).unwrap();
        translate(&resolved, &package, &ClusterInfo::default()).unwrap()
    }

    #[test]
    fn each_component_is_a_release_in_the_order_of_an_installation() {
        let second = json!([{"name": "istio-ingressgateway", "enabled": true},
            {"name": "istio-ingressgateway", "namespace": "edge", "enabled": true}, {"name": "b", "enabled": true}]);
        let spec = json!({"revision": "canary", "components": {"cni": {"enabled": true}, "ingressGateways": second}});
        let found: Vec<_> = translated(&spec).iter().map(|r| format!("{}/{}", r.namespace, r.name)).collect();
        let expected = ["istio-base", "istiod-canary", "istio-cni", "istio-ingressgateway"];
        let expected: Vec<_> = expected.iter().map(|name| format!("istio-system/{name}")).collect();
        assert_eq!(found[..4], expected);
        assert_eq!(found[4..], ["edge/istio-ingressgateway", "istio-system/b"]);
    }

    #[test]
    fn only_what_no_chart_does_is_told() {
        let overlays = json!([{"kind": "Deployment", "name": "istiod",
            "patches": [{"path": "spec.template.spec.priorityClassName", "value": "high"}]}]);
        let k8s = json!({"replicaCount": 1, "nodeSelector": {"disk": "ssd"}, "overlays": overlays});
        let releases = translated(&json!({"components": {"pilot": {"k8s": k8s}}}));
        let of = |component| releases.iter().find(|release| release.component == component).unwrap();
        let told = |release: &HelmRelease| -> Vec<String> {
            let all = release
                .differences
                .iter()
                .flat_map(|change| change.fields.iter().map(move |field| format!("{} {}", change.key, field.path)));
            all.filter(|field| !field.contains(".labels.release")).collect()
        };
        assert_eq!(told(of(Component::Base)), Vec::<String>::new());
        let istiod = "Deployment istio-system/istiod .spec.template.spec";
        let expected = [format!("{istiod}.nodeSelector"), format!("{istiod}.priorityClassName")];
        assert_eq!(told(of(Component::Pilot)), expected);
    }
}
