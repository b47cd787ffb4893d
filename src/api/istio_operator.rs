//! `IstioOperatorSpec` and its components.
//!
//! Field names, types and meanings are those of release 1.17. A type is as wide as what upstream's controller accepted.

use super::kubernetes::KubernetesResourcesSpec;
use super::schema::{Anything, FreeMap};
use super::shape::messages;
use std::collections::BTreeMap;

messages! {
    /// What to install: a profile, and what differs from it.
    IstioOperatorSpec {
        /// The profile everything else is laid over: default, demo, minimal, empty, external, openshift, preview, remote or
        /// ambient, or the path of a profile file. Without one, `default`.
        profile: String,
        /// A directory with `charts/` and `profiles/` to install from, instead of the built-in release.
        installPackagePath: String,
        /// The registry and path of all images, such as `docker.io/istio`.
        hub: String,
        /// The tag of all images, such as `1.17.8`; a number is taken as written.
        tag: Anything,
        /// Deprecated and without effect.
        resourceSuffix: String,
        /// The namespace of components that name none, by default `istio-system`.
        namespace: String,
        /// Installs a control plane of this revision beside others; part of its resources' names.
        revision: String,
        /// Kept for compatibility; the operator does not read it.
        defaultRevision: bool,
        /// The mesh configuration, see `MeshConfig` of the Istio API.
        meshConfig: FreeMap,
        /// What is installed, and its Kubernetes settings.
        components: IstioComponentSetSpec,
        /// Deprecated: add-ons are no longer installed; enabling one is an error.
        addonComponents: BTreeMap<String, Option<ExternalComponentSpec>>,
        /// Helm values of the charts, checked against the values API.
        values: FreeMap,
        /// Helm values laid over `values`, not checked.
        unvalidatedValues: FreeMap,
    }
    /// The components of an installation.
    IstioComponentSetSpec {
        /// Custom resource definitions and cluster-wide roles.
        base: BaseComponentSpec,
        /// The control plane, istiod.
        pilot: ComponentSpec,
        /// The CNI node agent.
        cni: ComponentSpec,
        /// What a cluster needs whose control plane runs elsewhere.
        istiodRemote: ComponentSpec,
        /// Gateways for traffic into the mesh, merged with the profile's by name.
        ingressGateways: Vec<GatewaySpec>,
        /// Gateways for traffic out of the mesh, merged with the profile's by name.
        egressGateways: Vec<GatewaySpec>,
    }
    /// The base component.
    BaseComponentSpec {
        /// Whether it is installed.
        enabled: bool,
        /// Only `overlays` applies to this component.
        k8s: KubernetesResourcesSpec,
    }
    /// A component with one workload.
    ComponentSpec {
        /// Whether it is installed.
        enabled: bool,
        /// The namespace it is installed into.
        namespace: String,
        /// The registry and path of its images.
        hub: String,
        /// The tag of its images.
        tag: Anything,
        /// Kept for compatibility; the operator does not read it.
        spec: FreeMap,
        /// Settings of its Kubernetes objects.
        k8s: KubernetesResourcesSpec,
    }
    /// A gateway.
    GatewaySpec {
        /// Whether it is installed.
        enabled: bool,
        /// The namespace it is installed into.
        namespace: String,
        /// The name of its Deployment and Service, and what it is merged by.
        name: String,
        /// Labels of its pods, laid over the chart's.
        label: BTreeMap<String, Option<String>>,
        /// Kept for compatibility; gateways use the hub of the installation.
        hub: String,
        /// Kept for compatibility; gateways use the tag of the installation.
        tag: Anything,
        /// Settings of its Kubernetes objects.
        k8s: KubernetesResourcesSpec,
    }
    /// A deprecated add-on.
    ExternalComponentSpec {
        /// Must not be true.
        enabled: bool,
        /// Not read.
        namespace: String,
        /// Not read.
        spec: FreeMap,
        /// Not read.
        chartPath: String,
        /// Not read.
        schema: Anything,
        /// Not read.
        k8s: KubernetesResourcesSpec,
    }
}
