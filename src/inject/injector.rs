//! What the injector of a release does by itself, beside its templates. A configuration does not say which release it is of, but
//! its templates read what the injector of their release has: the newest such thing tells.

/// What templates read, and the minor release of Istio from which on they do.
const SIGNS: [(&str, u32); 6] = [
    (".ProxyInboundListenPort", 18),
    (".ProxyUID", 20),
    (".InboundTrafficPolicyMode", 22),
    ("ENABLE_CLUSTER_TRUST_BUNDLE_API", 26),
    (".NativeSidecars", 27),
    (".ProxyInitImage", 31),
];

/// The injector of a release.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Injector {
    minor: u32,
}

impl Injector {
    /// That of the built-in release, which templates without any sign are for.
    pub(super) const OLDEST: Self = Self { minor: 17 };

    /// That of the release that templates are of.
    pub(super) fn of<'t>(templates: impl IntoIterator<Item = &'t str>) -> Self {
        let told = |text: &str| SIGNS.iter().rev().find(|(sign, _)| text.contains(sign)).map(|(_, minor)| *minor);
        Self { minor: templates.into_iter().filter_map(told).fold(Self::OLDEST.minor, u32::max) }
    }

    /// Whether a proxy has two workers where nothing says how many; later the agent counts processors.
    pub(super) fn gives_two_workers(self) -> bool {
        self.minor < 18
    }

    /// Whether proxies send traces to Zipkin where nothing says so.
    pub(super) fn traces_to_zipkin(self) -> bool {
        self.minor < 22
    }

    /// Whether the values say the variant of images (`global.variant`).
    pub(super) fn has_variants(self) -> bool {
        self.minor >= 22
    }

    /// Whether the user that a pod's author gives the proxy is the one whose traffic is not redirected.
    pub(super) fn follows_user_of_proxy(self) -> bool {
        self.minor >= 20
    }

    /// Whether the agent takes over `preStop` and `postStart`, as it does probes.
    pub(super) fn takes_over_hooks(self) -> bool {
        self.minor >= 26
    }

    /// Whether, where istiod is not told, the versions of the cluster's nodes say if proxies are native sidecars.
    pub(super) fn asks_for_nodes(self) -> bool {
        self.minor >= 27
    }

    /// Whether an annotation names the port at which the proxy serves merged metrics by mutual TLS.
    pub(super) fn announces_secure_metrics(self) -> bool {
        self.minor >= 31
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_thing_that_templates_read_tells_their_release() {
        for (templates, minor) in [
            (vec![], 17),
            (vec!["plain"], 17),
            (vec!["{{ .MeshConfig.ProxyInboundListenPort }}"], 18),
            (vec!["{{ .ProxyInitImage }} {{ .ProxyUID }}"], 31),
            (vec!["{{ .NativeSidecars }}", "{{ .ProxyUID }}"], 27),
        ] {
            assert_eq!(Injector::of(templates.iter().copied()), Injector { minor }, "{templates:?}");
        }
    }
}
