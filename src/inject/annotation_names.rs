//! The names of the annotations that injection reads and writes.

/// Whether a pod is injected; a label of the same name has precedence.
pub(super) const INJECT: &str = "sidecar.istio.io/inject";
/// The templates, instead of the default ones.
pub(super) const TEMPLATES: &str = "inject.istio.io/templates";
/// A layer over the proxies' configuration.
pub(super) const PROXY_CONFIG: &str = "proxy.istio.io/config";
/// The author's own containers of names that templates have, for the next injection.
pub(super) const OVERRIDES: &str = "proxy.istio.io/overrides";
/// What was injected.
pub(super) const STATUS: &str = "sidecar.istio.io/status";
/// The flavour of the proxy's image.
pub(super) const IMAGE_TYPE: &str = "sidecar.istio.io/proxyImageType";
/// The processors the proxy may use, and those it asks for.
pub(super) const CPU_LIMIT: &str = "sidecar.istio.io/proxyCPULimit";
/// See [`CPU_LIMIT`].
pub(super) const CPU: &str = "sidecar.istio.io/proxyCPU";
/// Whether probes go through the agent.
pub(super) const REWRITE_PROBES: &str = "sidecar.istio.io/rewriteAppHTTPProbers";
/// The agent's port.
pub(super) const STATUS_PORT: &str = "status.sidecar.istio.io/port";
/// Whether metrics are merged.
pub(super) const MERGE_METRICS: &str = "prometheus.istio.io/merge-metrics";
