//! Whether an operator works, as its Lease tells.

use crate::cluster::Cluster;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use kube::ResourceExt;
use kube::api::{Api, ListParams};
use serde::Serialize;

/// The Lease of an operator of all revisions; that of one has its name after a dash.
const NAME: &str = "istio-operator-lock";
/// How long a Lease lasts that does not say.
const LASTS: i32 = 20;

/// Whether an operator works.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Operator {
    /// Empty for one of all revisions.
    pub revision: String,
    pub namespace: String,
    pub is_working: bool,
    /// What says so.
    pub message: String,
}

/// The operators that have Leases.
///
/// # Errors
/// Leases cannot be listed; why.
pub async fn operators(cluster: &Cluster) -> Result<Vec<Operator>, String> {
    let api: Api<Lease> = Api::all(cluster.client().clone());
    let all = api.list(&ListParams::default()).await.map_err(|error| match error {
        kube::Error::Api(status) => status.message,
        other => other.to_string(),
    })?;
    Ok(all.items.iter().filter_map(|lease| operator_of(lease, Timestamp::now())).collect())
}

fn operator_of(lease: &Lease, now: Timestamp) -> Option<Operator> {
    let name = lease.name_any();
    let rest = name.strip_prefix(NAME)?;
    let revision = if rest.is_empty() { "" } else { rest.strip_prefix('-')? };
    let spec = lease.spec.clone().unwrap_or_default();
    let holder = spec.holder_identity.unwrap_or_default();
    let seconds = spec.lease_duration_seconds.unwrap_or(LASTS);
    let until = spec.renew_time.map(|time| time.0.saturating_add(SignedDuration::from_secs(seconds.into())));
    let (is_working, message) = match until {
        _ if holder.is_empty() => (false, "has been given up".to_owned()),
        Some(Ok(until)) if until >= now => (true, format!("is held by {holder}")),
        _ => (false, format!("is held by {holder}, who does not renew it any more")),
    };
    let namespace = lease.namespace().unwrap_or_default();
    let message = format!("Lease {namespace}/{name} {message}");
    Some(Operator { revision: revision.to_owned(), namespace, is_working, message })
}

/// Why nothing reconciles a resource of a revision, `None` if something does; as far as Leases tell.
pub fn why_idle(operators: &Result<Vec<Operator>, String>, revision: &str) -> Option<String> {
    let all = match operators {
        Err(error) => return Some(format!("it is not known whether an operator reconciles this resource: {error}")),
        Ok(all) => all,
    };
    let mut own =
        all.iter().filter(|operator| operator.revision.is_empty() || operator.revision == revision).peekable();
    if own.peek().is_none() {
        return Some(format!(
            "nothing reconciles this resource: there is no Lease {NAME}, as an operator with leader election has it"
        ));
    }
    let own: Vec<&Operator> = own.collect();
    if own.iter().any(|operator| operator.is_working) {
        return None;
    }
    let why: Vec<&str> = own.iter().map(|operator| operator.message.as_str()).collect();
    Some(format!("nothing reconciles this resource: {}", why.join("; ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{from_value, json};

    fn lease(name: &str, holder: &str, renewed: &str) -> Lease {
        from_value(json!({"metadata": {"name": name, "namespace": "istio-operator"},
            "spec": {"holderIdentity": holder, "leaseDurationSeconds": 20, "renewTime": renewed}}))
        .unwrap()
    }

    fn idle(leases: &[Lease], revision: &str) -> Option<String> {
        let now = "2026-01-01T00:00:30Z".parse().unwrap();
        why_idle(&Ok(leases.iter().filter_map(|lease| operator_of(lease, now)).collect()), revision)
    }

    #[test]
    fn nothing_reconciles_a_resource_whose_lease_is_absent_old_or_given_up() {
        let (new, old) = ("2026-01-01T00:00:20.000000Z", "2026-01-01T00:00:00.000000Z");
        assert!(idle(&[], "").unwrap().contains("there is no Lease istio-operator-lock"));
        assert!(idle(&[lease("other", "a", new)], "").unwrap().contains("there is no Lease"));
        assert_eq!(idle(&[lease(NAME, "a", new)], ""), None);
        assert_eq!(idle(&[lease(NAME, "a", new)], "canary"), None);
        assert!(idle(&[lease(NAME, "a", old)], "").unwrap().ends_with("is held by a, who does not renew it any more"));
        assert!(idle(&[lease(NAME, "", new)], "").unwrap().ends_with("has been given up"));
        let canary = format!("{NAME}-canary");
        assert_eq!(idle(&[lease(&canary, "a", new)], "canary"), None);
        assert!(idle(&[lease(&canary, "a", new)], "").unwrap().contains("there is no Lease"));
        let unknown = why_idle(&Err("leases is forbidden".to_owned()), "").unwrap();
        assert!(unknown.starts_with("it is not known"), "{unknown}");
    }
}
