//! `IstioOperatorSpec` and its components.
//!
//! Field names, types and meanings are those of release 1.17. A type is as wide as what upstream's controller accepted.

use super::kubernetes::KubernetesResourcesSpec;
use super::schema::{Anything, FreeMap};
use schemars::JsonSchema;
use std::collections::BTreeMap;

/// What to install: a profile, and what differs from it.
#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase")]
pub struct IstioOperatorSpec {
    /// The profile everything else is laid over: default, demo, minimal, empty, external, openshift, preview, remote or
    /// ambient, or the path of a profile file. Without one, `default`.
    pub profile: Option<String>,
    /// A directory with `charts/` and `profiles/` to install from, instead of the built-in release.
    pub install_package_path: Option<String>,
    /// The registry and path of all images, such as `docker.io/istio`.
    pub hub: Option<String>,
    /// The tag of all images, such as `1.17.8`; a number is taken as written.
    pub tag: Option<Anything>,
    /// Deprecated and without effect.
    pub resource_suffix: Option<String>,
    /// The namespace of components that name none, by default `istio-system`.
    pub namespace: Option<String>,
    /// Installs a control plane of this revision beside others; part of its resources' names.
    pub revision: Option<String>,
    /// Kept for compatibility; the operator does not read it.
    pub default_revision: Option<bool>,
    /// The mesh configuration, see `MeshConfig` of the Istio API.
    pub mesh_config: Option<FreeMap>,
    /// What is installed, and its Kubernetes settings.
    pub components: Option<IstioComponentSetSpec>,
    /// Deprecated: add-ons are no longer installed; enabling one is an error.
    pub addon_components: Option<BTreeMap<String, Option<ExternalComponentSpec>>>,
    /// Helm values of the charts, checked against the values API.
    pub values: Option<FreeMap>,
    /// Helm values laid over `values`, not checked.
    pub unvalidated_values: Option<FreeMap>,
}

/// The components of an installation.
#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase")]
pub struct IstioComponentSetSpec {
    /// Custom resource definitions and cluster-wide roles.
    pub base: Option<BaseComponentSpec>,
    /// The control plane, istiod.
    pub pilot: Option<ComponentSpec>,
    /// The CNI node agent.
    pub cni: Option<ComponentSpec>,
    /// What a cluster needs whose control plane runs elsewhere.
    pub istiod_remote: Option<ComponentSpec>,
    /// Gateways for traffic into the mesh, merged with the profile's by name.
    pub ingress_gateways: Option<Vec<GatewaySpec>>,
    /// Gateways for traffic out of the mesh, merged with the profile's by name.
    pub egress_gateways: Option<Vec<GatewaySpec>>,
}

/// The base component.
#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase")]
pub struct BaseComponentSpec {
    /// Whether it is installed.
    pub enabled: Option<bool>,
    /// Only `overlays` applies to this component.
    pub k8s: Option<KubernetesResourcesSpec>,
}

/// A component with one workload.
#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase")]
pub struct ComponentSpec {
    /// Whether it is installed.
    pub enabled: Option<bool>,
    /// The namespace it is installed into.
    pub namespace: Option<String>,
    /// The registry and path of its images.
    pub hub: Option<String>,
    /// The tag of its images.
    pub tag: Option<Anything>,
    /// Kept for compatibility; the operator does not read it.
    pub spec: Option<FreeMap>,
    /// Settings of its Kubernetes objects.
    pub k8s: Option<KubernetesResourcesSpec>,
}

/// A gateway.
#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase")]
pub struct GatewaySpec {
    /// Whether it is installed.
    pub enabled: Option<bool>,
    /// The namespace it is installed into.
    pub namespace: Option<String>,
    /// The name of its Deployment and Service, and what it is merged by.
    pub name: Option<String>,
    /// Labels of its pods, laid over the chart's.
    pub label: Option<BTreeMap<String, Option<String>>>,
    /// Kept for compatibility; gateways use the hub of the installation.
    pub hub: Option<String>,
    /// Kept for compatibility; gateways use the tag of the installation.
    pub tag: Option<Anything>,
    /// Settings of its Kubernetes objects.
    pub k8s: Option<KubernetesResourcesSpec>,
}

/// A deprecated add-on.
#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase")]
pub struct ExternalComponentSpec {
    /// Must not be true.
    pub enabled: Option<bool>,
    /// Not read.
    pub namespace: Option<String>,
    /// Not read.
    pub spec: Option<FreeMap>,
    /// Not read.
    pub chart_path: Option<String>,
    /// Not read.
    pub schema: Option<Anything>,
    /// Not read.
    pub k8s: Option<KubernetesResourcesSpec>,
}
