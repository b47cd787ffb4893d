//! The components of an installation, as a table: names, charts, what they wait for, and where their settings go.

/// A component. Gateways are one component each for ingress and egress, however many gateways there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Component {
    /// CRDs and cluster-wide roles.
    Base,
    /// istiod.
    Pilot,
    /// The CNI node agent.
    Cni,
    /// What a cluster needs whose control plane runs in another cluster.
    IstiodRemote,
    /// The node proxy of ambient mode, from release 1.18 on.
    Ztunnel,
    /// Ingress gateways.
    IngressGateways,
    /// Egress gateways.
    EgressGateways,
}

/// The names, chart and parents of a component.
pub struct ComponentInfo {
    /// Upstream's name, in `componentStatus`, in the label `operator.istio.io/component` and in `--component`.
    pub name: &'static str,
    /// Its name in messages.
    pub title: &'static str,
    /// The field below `spec.components`.
    pub field: &'static str,
    /// The chart's folder below `charts/`.
    pub chart: &'static str,
    /// The components that must be ready before it is applied; those not installed do not count.
    pub parents: &'static [Component],
    /// The kind and name of its workload; a gateway's name is its own. Empty where it has none.
    pub workload: (&'static str, &'static str),
    /// The container that `k8s` settings go to.
    pub container: &'static str,
    /// The path of its settings in Helm values.
    pub values: &'static str,
}

/// All components, in the order upstream builds them.
pub const ALL: [Component; 7] = [
    Component::Base,
    Component::Pilot,
    Component::Cni,
    Component::IstiodRemote,
    Component::Ztunnel,
    Component::IngressGateways,
    Component::EgressGateways,
];

const BASE: ComponentInfo = ComponentInfo {
    name: "Base",
    title: "Istio core",
    field: "base",
    chart: "base",
    parents: &[],
    workload: ("", ""),
    container: "",
    values: "global",
};

const PILOT: ComponentInfo = ComponentInfo {
    name: "Pilot",
    title: "Istiod",
    field: "pilot",
    chart: "istio-control/istio-discovery",
    parents: &[Component::Base],
    workload: ("Deployment", "istiod"),
    container: "discovery",
    values: "pilot",
};

const CNI: ComponentInfo = ComponentInfo {
    name: "Cni",
    title: "CNI",
    field: "cni",
    chart: "istio-cni",
    parents: &[Component::Pilot],
    workload: ("DaemonSet", "istio-cni-node"),
    container: "install-cni",
    values: "cni",
};

const ISTIOD_REMOTE: ComponentInfo = ComponentInfo {
    name: "IstiodRemote",
    title: "Istiod remote",
    field: "istiodRemote",
    chart: "istiod-remote",
    parents: &[],
    workload: ("", ""),
    container: "",
    values: "global",
};

const ZTUNNEL: ComponentInfo = ComponentInfo {
    name: "Ztunnel",
    title: "Ztunnel",
    field: "ztunnel",
    chart: "ztunnel",
    parents: &[Component::Cni],
    workload: ("DaemonSet", "ztunnel"),
    container: "istio-proxy",
    values: "ztunnel",
};

const INGRESS_GATEWAYS: ComponentInfo = ComponentInfo {
    name: "IngressGateways",
    title: "Ingress gateways",
    field: "ingressGateways",
    chart: "gateways/istio-ingress",
    parents: &[Component::Pilot],
    workload: ("Deployment", "istio-ingressgateway"),
    container: "istio-proxy",
    values: "gateways.istio-ingressgateway",
};

const EGRESS_GATEWAYS: ComponentInfo = ComponentInfo {
    name: "EgressGateways",
    title: "Egress gateways",
    field: "egressGateways",
    chart: "gateways/istio-egress",
    parents: &[Component::Pilot],
    workload: ("Deployment", "istio-egressgateway"),
    container: "istio-proxy",
    values: "gateways.istio-egressgateway",
};

impl Component {
    /// Its names, chart and parents.
    #[must_use]
    pub const fn info(self) -> ComponentInfo {
        match self {
            Self::Base => BASE,
            Self::Pilot => PILOT,
            Self::Cni => CNI,
            Self::IstiodRemote => ISTIOD_REMOTE,
            Self::Ztunnel => ZTUNNEL,
            Self::IngressGateways => INGRESS_GATEWAYS,
            Self::EgressGateways => EGRESS_GATEWAYS,
        }
    }

    /// Upstream's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.info().name
    }

    /// Whether it is a list of gateways.
    #[must_use]
    pub const fn is_gateways(self) -> bool {
        matches!(self, Self::IngressGateways | Self::EgressGateways)
    }

    /// Whether it is a control plane, here or of another cluster.
    #[must_use]
    pub const fn is_control_plane(self) -> bool {
        matches!(self, Self::Pilot | Self::IstiodRemote)
    }

    /// How many components have to be ready one after another before it is applied.
    #[must_use]
    pub fn depth(self) -> usize {
        self.info().parents.iter().map(|parent| parent.depth() + 1).max().unwrap_or(0)
    }

    /// The component that upstream calls so, if there is one.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        ALL.into_iter().find(|c| c.name() == name)
    }
}

impl std::fmt::Display for Component {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_component_waits_for_itself() {
        for component in ALL {
            let mut open = component.info().parents.to_vec();
            for _ in 0..ALL.len() {
                open = open.iter().flat_map(|c| c.info().parents.iter().copied()).collect();
            }
            assert!(open.is_empty(), "{component} waits in a circle");
        }
    }
}
