//! The names of the annotations that injection reads and writes.

/// Whether the pod is injected; a label of the same name has precedence.
pub(super) const INJECT: &str = "sidecar.istio.io/inject";
/// The injection templates of the pod, instead of the default ones.
pub(super) const TEMPLATES: &str = "inject.istio.io/templates";
/// Proxy configuration of the pod, merged over that of the mesh.
pub(super) const PROXY_CONFIG: &str = "proxy.istio.io/config";
/// Containers of the pod's author that templates have too, kept so that the pod can be injected again.
pub(super) const OVERRIDES: &str = "proxy.istio.io/overrides";
/// What was injected, as JSON.
pub(super) const STATUS: &str = "sidecar.istio.io/status";
/// The type of the proxy's image: `default`, `debug` or `distroless`.
pub(super) const IMAGE_TYPE: &str = "sidecar.istio.io/proxyImageType";
/// The CPU limit of the proxy.
pub(super) const CPU_LIMIT: &str = "sidecar.istio.io/proxyCPULimit";
/// The CPU request of the proxy.
pub(super) const CPU: &str = "sidecar.istio.io/proxyCPU";
/// Whether the agent answers the probes of the application.
pub(super) const REWRITE_PROBES: &str = "sidecar.istio.io/rewriteAppHTTPProbers";
/// The port of the agent for probes and merged metrics.
pub(super) const STATUS_PORT: &str = "status.sidecar.istio.io/port";
/// Whether the agent serves the metrics of application and proxy together.
pub(super) const MERGE_METRICS: &str = "prometheus.istio.io/merge-metrics";
