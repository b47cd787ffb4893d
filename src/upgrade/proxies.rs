//! Which proxies have to be restarted when their control plane is of another release.
//!
//! The rule is Istio's: a control plane may be one minor release ahead of its proxies, and no proxy may be ahead of it.

use super::side::Side;
use crate::spec::switches::minor_of;
use serde::Serialize;
use std::collections::BTreeMap;

/// So many minor releases a proxy may be behind.
const BEHIND: u32 = 1;

/// A proxy that runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proxy {
    /// The namespace of its pod.
    pub namespace: String,
    /// The tag of its image; `None` where it has none.
    pub version: Option<String>,
}

/// The proxies that run.
#[derive(Clone, Debug)]
pub enum Proxies {
    /// All of them.
    Known(Vec<Proxy>),
    /// Why they are not known.
    Unknown(String),
}

impl Default for Proxies {
    fn default() -> Self {
        Self::Unknown("no cluster was asked".to_owned())
    }
}

/// What becomes of the proxies.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ProxyPlan {
    /// What holds for all of them.
    pub rule: String,
    /// Why it is not known which there are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unknown: Option<String>,
    /// By namespace; nothing where they are not known.
    pub namespaces: Vec<NamespaceProxies>,
}

/// The proxies of a namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NamespaceProxies {
    /// The namespace.
    pub namespace: String,
    /// How many proxies of each version.
    pub versions: BTreeMap<String, usize>,
    /// How many have to be restarted.
    pub must_restart: usize,
    /// Of how many it is not known.
    pub unknown: usize,
}

pub(super) fn plan(proxies: &Proxies, from: &Side, to: &Side) -> ProxyPlan {
    let rule = rule(from.minor(), to.minor());
    let known = match proxies {
        Proxies::Known(known) => known,
        Proxies::Unknown(why) => return ProxyPlan { rule, unknown: Some(why.clone()), namespaces: vec![] },
    };
    let mut namespaces: BTreeMap<&str, NamespaceProxies> = BTreeMap::new();
    for proxy in known {
        let of_namespace = namespaces.entry(&proxy.namespace).or_default();
        of_namespace.namespace.clone_from(&proxy.namespace);
        let version = proxy.version.as_deref().unwrap_or("unknown");
        *of_namespace.versions.entry(version.to_owned()).or_default() += 1;
        match proxy.version.as_deref().and_then(minor_of) {
            None => of_namespace.unknown += 1,
            Some(minor) if !is_supported(minor, to.minor()) => of_namespace.must_restart += 1,
            Some(_) => {}
        }
    }
    ProxyPlan { rule, unknown: None, namespaces: namespaces.into_values().collect() }
}

fn is_supported(proxy: u32, control_plane: u32) -> bool {
    (control_plane.saturating_sub(BEHIND)..=control_plane).contains(&proxy)
}

fn rule(from: u32, to: u32) -> String {
    let supported = format!("an istiod of 1.{to} supports proxies of 1.{} and 1.{to}", to.saturating_sub(BEHIND));
    if from == to {
        return format!("{supported}; proxies get the new patch release when their pods are restarted");
    }
    let now = if is_supported(from, to) {
        "go on working, and get the new release when their pods are restarted"
    } else {
        "have to be restarted as soon as the new istiod is ready"
    };
    format!("{supported}; those of 1.{from} {now}")
}
