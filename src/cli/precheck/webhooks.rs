//! Webhooks whose Service is not there, or has nobody behind it: the API server then refuses what they are asked about.

use super::finding::{Check, Finding, Level};
use crate::cluster::{Cluster, ClusterError, value_of};
use crate::install::webhooks::{API_VERSION, hooks, is_injector, selects_nothing};
use crate::object::ObjectKey;
use kube::ResourceExt;
use kube::api::DynamicObject;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

const KINDS: [&str; 2] = ["MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"];

/// Namespace and name.
type Service = (String, String);

/// Whether a Service can be reached, as far as that shows.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Reach {
    Ready,
    NobodyReady,
    Absent,
    Unknown(String),
}

pub(super) async fn check(cluster: &Cluster) -> Check {
    let findings = match find(cluster).await {
        Ok(findings) => findings,
        Err(error) => vec![Finding::unknown("where webhooks lead", &error)],
    };
    Check::new("Webhooks", "all lead somewhere", findings)
}

async fn find(cluster: &Cluster) -> Result<Vec<Finding>, ClusterError> {
    let [mutating, validating] = KINDS.map(|kind| cluster.list(API_VERSION, kind, None, ""));
    let (mutating, validating) = tokio::try_join!(mutating, validating)?;
    let all: Vec<(&str, DynamicObject)> = KINDS
        .into_iter()
        .zip([mutating, validating])
        .flat_map(|(kind, all)| all.into_iter().map(move |one| (kind, one)))
        .collect();
    let services: BTreeSet<Service> = all.iter().flat_map(|(_, one)| hooks(&one.data)).filter_map(service_of).collect();
    let mut reach = BTreeMap::new();
    for service in services {
        // One that cannot be read says nothing of the others.
        let found = reach_of(cluster, &service).await;
        reach.insert(service, found.unwrap_or_else(|error| Reach::Unknown(error.to_string())));
    }
    Ok(all.iter().flat_map(|(kind, one)| judge(kind, one, &reach)).collect())
}

/// The Service that a webhook leads to; `None` where it leads out of the cluster.
fn service_of(hook: &Value) -> Option<Service> {
    let service = hook.pointer("/clientConfig/service")?;
    let text = |field: &str| service.get(field)?.as_str().map(str::to_owned);
    Some((text("namespace")?, text("name")?))
}

async fn reach_of(cluster: &Cluster, (namespace, name): &Service) -> Result<Reach, ClusterError> {
    let key =
        ObjectKey { group: String::new(), kind: "Service".into(), namespace: namespace.clone(), name: name.clone() };
    if cluster.get("v1", &key).await?.is_none() {
        return Ok(Reach::Absent);
    }
    let selector = format!("kubernetes.io/service-name={name}");
    let slices = cluster.list("discovery.k8s.io/v1", "EndpointSlice", Some(namespace), &selector).await?;
    let endpoints = slices.iter().filter_map(|slice| slice.data.get("endpoints")?.as_array()).flatten();
    // One that does not say counts as ready.
    let is_ready = |endpoint: &Value| endpoint.pointer("/conditions/ready") != Some(&Value::Bool(false));
    Ok(if endpoints.into_iter().any(is_ready) { Reach::Ready } else { Reach::NobodyReady })
}

/// What is wrong with a configuration: an error where Istio's own stand in the way.
fn judge(kind: &str, configuration: &DynamicObject, reach: &BTreeMap<Service, Reach>) -> Vec<Finding> {
    let mut told = BTreeMap::new();
    for hook in hooks(&configuration.data) {
        let Some(service) = service_of(hook) else { continue };
        let Some(reach) = reach.get(&service).filter(|reach| **reach != Reach::Ready) else { continue };
        let fails = hook.get("failurePolicy").is_none_or(|policy| policy != "Ignore") && !selects_nothing(hook);
        *told.entry((service, reach)).or_insert(false) |= fails;
    }
    let is_istios = is_injector(&value_of(configuration));
    let finding = |(((namespace, name), reach), fails): ((Service, &Reach), bool)| {
        let effect = if fails { "what it is asked about is refused" } else { "it is passed over" };
        let (level, why) = match reach {
            Reach::Unknown(why) => (Level::Unknown, format!("of which it is not known whether it is served: {why}")),
            Reach::Absent if fails && is_istios => (Level::Error, format!("which is not there: {effect}")),
            Reach::Absent => (Level::Warning, format!("which is not there: {effect}")),
            Reach::NobodyReady | Reach::Ready => {
                (Level::Warning, format!("which has no ready pod behind it: {effect}"))
            }
        };
        let message = format!("leads to Service {namespace}/{name}, {why}");
        Finding::new(level, format!("{kind} {}", configuration.name_any()), message)
    };
    told.into_iter().map(finding).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{from_value, json};

    #[test]
    fn a_webhook_that_leads_nowhere_is_an_error_if_it_is_istios_and_fails() {
        let reach = BTreeMap::from([
            (("a".into(), "gone".into()), Reach::Absent),
            (("a".into(), "idle".into()), Reach::NobodyReady),
            (("a".into(), "there".into()), Reach::Ready),
            (("a".into(), "hidden".into()), Reach::Unknown("services is forbidden".into())),
        ]);
        let level = |hook: &str, service: &str, policy: &str| {
            let hook = json!({"name": hook, "failurePolicy": policy,
                "clientConfig": {"service": {"namespace": "a", "name": service}}});
            let one = from_value(json!({"apiVersion": API_VERSION, "kind": KINDS[0], "metadata": {"name": "x"},
                "webhooks": [hook, {"name": "y", "clientConfig": {"url": "https://elsewhere"}}]}))
            .unwrap();
            judge(KINDS[0], &one, &reach).first().map(|finding| finding.level)
        };
        for (hook, service, policy, expected) in [
            ("x.istio.io", "gone", "Fail", Some(Level::Error)),
            ("x.istio.io", "gone", "Ignore", Some(Level::Warning)),
            ("x.istio.io", "idle", "Fail", Some(Level::Warning)),
            ("x.istio.io", "there", "Fail", None),
            ("x.example.com", "gone", "Fail", Some(Level::Warning)),
            ("x.istio.io", "hidden", "Fail", Some(Level::Unknown)),
        ] {
            assert_eq!(level(hook, service, policy), expected, "{hook} {service} {policy}");
        }
    }
}
