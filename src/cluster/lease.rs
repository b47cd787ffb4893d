//! A Lease that processes hold one after the other.
//!
//! Guarantee: every write carries the version that was read, so that of two processes never both take it; what others wrote on it stays.

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use k8s_openapi::jiff::Timestamp;
use kube::Client;
use kube::api::{Api, DeleteParams, PostParams, Preconditions};
use std::time::Duration;

/// See the module.
pub struct SharedLease {
    leases: Api<Lease>,
    name: String,
    identity: String,
    lasts: Duration,
}

impl SharedLease {
    /// The Lease of this name. The identity tells the holders apart; `lasts` is how long others wait for a renewal.
    #[must_use]
    pub fn new(client: Client, namespace: &str, name: String, identity: String, lasts: Duration) -> Self {
        Self { leases: Api::namespaced(client, namespace), name, identity, lasts }
    }

    /// What it is called.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What messages call it.
    #[must_use]
    pub fn told(&self) -> String {
        format!("Lease {}/{}", self.leases.namespace().unwrap_or_default(), self.name)
    }

    /// The Lease as it is, if it is there.
    ///
    /// # Errors
    /// What the API server says.
    pub async fn read(&self) -> Result<Option<Lease>, kube::Error> {
        self.leases.get_opt(&self.name).await
    }

    /// Who else holds it.
    #[must_use]
    pub fn other_holder<'l>(&self, spec: &'l LeaseSpec) -> Option<&'l str> {
        spec.holder_identity.as_deref().filter(|holder| !holder.is_empty() && *holder != self.identity)
    }

    /// Takes or renews it, as it was read.
    ///
    /// # Errors
    /// What the API server says: a conflict (409) where somebody has written it since.
    pub async fn write(&self, live: Option<&Lease>) -> Result<Lease, kube::Error> {
        let (params, lease) = (PostParams::default(), self.held(live));
        match live {
            None => self.leases.create(&params, &lease).await,
            Some(_) => self.leases.replace(&self.name, &params, &lease).await,
        }
    }

    /// Gives it up, if it is ours, so that nobody need wait for its end.
    ///
    /// # Errors
    /// As above.
    pub async fn give_up(&self) -> Result<(), kube::Error> {
        let Some(mut lease) = self.read().await? else { return Ok(()) };
        let Some(spec) = lease.spec.as_mut().filter(|spec| self.is_ours(spec)) else { return Ok(()) };
        spec.holder_identity = Some(String::new());
        self.leases.replace(&self.name, &PostParams::default(), &lease).await.map(drop)
    }

    /// Deletes it, if it is ours.
    ///
    /// # Errors
    /// As above.
    pub async fn delete(&self) -> Result<(), kube::Error> {
        let Some(lease) = self.read().await? else { return Ok(()) };
        if !lease.spec.as_ref().is_some_and(|spec| self.is_ours(spec)) {
            return Ok(());
        }
        let same = Preconditions { resource_version: lease.metadata.resource_version, uid: None };
        let params = DeleteParams { preconditions: Some(same), ..DeleteParams::default() };
        self.leases.delete(&self.name, &params).await.map(drop)
    }

    fn is_ours(&self, spec: &LeaseSpec) -> bool {
        spec.holder_identity.as_deref() == Some(&self.identity)
    }

    /// The Lease in our hands.
    fn held(&self, before: Option<&Lease>) -> Lease {
        let spec = before.and_then(|lease| lease.spec.as_ref());
        let is_ours = spec.is_some_and(|spec| self.is_ours(spec));
        let now = MicroTime(Timestamp::now());
        let changes = spec.and_then(|spec| spec.lease_transitions).unwrap_or_default();
        let metadata = before.map(|lease| lease.metadata.clone()).unwrap_or_default();
        Lease {
            metadata: ObjectMeta { name: Some(self.name.clone()), managed_fields: None, ..metadata },
            spec: Some(LeaseSpec {
                holder_identity: Some(self.identity.clone()),
                // In whole seconds, and never less.
                lease_duration_seconds: i32::try_from(self.lasts.as_millis().div_ceil(1000)).ok(),
                acquire_time: if is_ours { spec.and_then(|s| s.acquire_time.clone()) } else { Some(now.clone()) },
                renew_time: Some(now),
                lease_transitions: Some(if is_ours {
                    changes
                } else {
                    changes.saturating_add(before.is_some().into())
                }),
                ..LeaseSpec::default()
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{from_value, json};

    #[tokio::test]
    async fn a_lease_in_our_hands_keeps_what_others_wrote_and_counts_its_holders() {
        let service = tower::service_fn(|_: http::Request<kube::client::Body>| async {
            Ok::<_, http::Error>(http::Response::new(kube::client::Body::empty()))
        });
        let lasts = Duration::from_millis(14_500);
        let lease = SharedLease::new(Client::new(service, "default"), "ns", "x".into(), "me".into(), lasts);
        let of = |holder: &str| -> Lease {
            from_value(json!({"metadata": {"name": "x", "resourceVersion": "7", "annotations": {"a": "b"}}, "spec": {
                "holderIdentity": holder, "acquireTime": "2026-01-01T00:00:00.000000Z", "leaseTransitions": 3}}))
            .unwrap()
        };
        for (before, transitions, is_acquired) in
            [(None, 0, true), (Some(of("other")), 4, true), (Some(of("me")), 3, false)]
        {
            let held = lease.held(before.as_ref());
            let spec = held.spec.unwrap();
            assert_eq!((spec.holder_identity.as_deref(), spec.lease_duration_seconds), (Some("me"), Some(15)));
            assert_eq!(
                (spec.lease_transitions, spec.acquire_time == spec.renew_time),
                (Some(transitions), is_acquired)
            );
            let (version, annotations) =
                before.map_or((None, None), |b| (b.metadata.resource_version, b.metadata.annotations));
            assert_eq!((held.metadata.resource_version, held.metadata.annotations), (version, annotations));
        }
        for (holder, other) in [("", None), ("me", None), ("other", Some("other"))] {
            assert_eq!(lease.other_holder(&of(holder).spec.unwrap()), other);
        }
    }
}
