//! Which of several operators works: the holder of a Lease.
//!
//! A Lease is taken when it is free, or when its holder has not renewed it for its duration as seen by our own clock; every
//! write carries the version that was read, so two can never both succeed. Whoever cannot renew it for the renew deadline
//! stops working before anybody else can begin.

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use k8s_openapi::jiff::Timestamp;
use kube::api::{Api, PostParams};
use kube::{Client, ResourceExt};
use std::time::{Duration, Instant};

/// How often the Lease is renewed.
const PERIOD: Duration = Duration::from_secs(2);
/// How often whoever stands by looks at the Lease.
const STANDBY_PERIOD: Duration = Duration::from_secs(1);

/// A Lease to be held.
pub struct Election {
    leases: Api<Lease>,
    name: String,
    identity: String,
    renew_deadline: Duration,
    /// The holder's last renewal, and when we first saw it.
    seen: Option<(Option<MicroTime>, Instant)>,
}

impl Election {
    /// For the Lease of this name; the identity tells the holders apart.
    #[must_use]
    pub fn new(client: Client, namespace: &str, name: String, identity: String, renew_deadline: Duration) -> Self {
        Self { leases: Api::namespaced(client, namespace), name, identity, renew_deadline, seen: None }
    }

    /// Waits until the Lease is ours. Safe to cancel.
    pub async fn acquire(&mut self) {
        let mut told = false;
        loop {
            match self.take().await {
                Ok(true) => return,
                Ok(false) if told => {}
                Ok(false) => {
                    told = true;
                    tracing::info!(lease = self.name, "another operator holds the lease, standing by");
                }
                Err(error) => tracing::warn!(lease = self.name, %error, "cannot look at the lease"),
            }
            tokio::time::sleep(STANDBY_PERIOD).await;
        }
    }

    /// Renews the Lease; returns when it is lost.
    pub async fn hold(&mut self) {
        let mut renewed = Instant::now();
        while renewed.elapsed() < self.renew_deadline {
            tokio::time::sleep(PERIOD).await;
            // Whatever happens, work ends before anybody else may begin.
            let left = self.renew_deadline.saturating_sub(renewed.elapsed());
            match tokio::time::timeout(left, self.take()).await {
                Ok(Ok(true)) => renewed = Instant::now(),
                Ok(Ok(false)) => return,
                Ok(Err(error)) => tracing::warn!(lease = self.name, %error, "cannot renew the lease"),
                Err(_) => tracing::warn!(lease = self.name, "renewing the lease takes too long"),
            }
        }
    }

    /// Gives the Lease up, so that another operator need not wait for its end.
    pub async fn release(&self) {
        let Ok(Some(mut lease)) = self.leases.get_opt(&self.name).await else { return };
        let Some(spec) = lease.spec.as_mut().filter(|s| s.holder_identity.as_deref() == Some(&self.identity)) else {
            return;
        };
        spec.holder_identity = Some(String::new());
        if let Err(error) = self.leases.replace(&self.name, &PostParams::default(), &lease).await {
            tracing::warn!(lease = self.name, %error, "cannot release the lease");
        }
    }

    /// Takes or renews the Lease, if it is free or ours.
    async fn take(&mut self) -> Result<bool, kube::Error> {
        let params = PostParams::default();
        let result = match self.leases.get_opt(&self.name).await? {
            None => self.leases.create(&params, &self.lease(None)).await,
            Some(lease) if self.is_takeable(&lease) => {
                self.leases.replace(&self.name, &params, &self.lease(Some(&lease))).await
            }
            Some(_) => return Ok(false),
        };
        match result {
            Ok(_) => Ok(true),
            // Somebody was faster.
            Err(kube::Error::Api(status)) if status.code == 409 => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn is_takeable(&mut self, lease: &Lease) -> bool {
        let Some(spec) = &lease.spec else { return true };
        let holder = spec.holder_identity.as_deref().unwrap_or_default();
        if holder.is_empty() || holder == self.identity {
            return true;
        }
        match &self.seen {
            Some((renewal, since)) if *renewal == spec.renew_time => since.elapsed() > self.renew_deadline * 2,
            _ => {
                self.seen = Some((spec.renew_time.clone(), Instant::now()));
                false
            }
        }
    }

    fn lease(&self, before: Option<&Lease>) -> Lease {
        let spec = before.and_then(|l| l.spec.as_ref());
        let ours = spec.is_some_and(|s| s.holder_identity.as_deref() == Some(&self.identity));
        let now = MicroTime(Timestamp::now());
        let changes = spec.and_then(|s| s.lease_transitions).unwrap_or_default();
        Lease {
            metadata: ObjectMeta {
                name: Some(self.name.clone()),
                resource_version: before.and_then(ResourceExt::resource_version),
                ..ObjectMeta::default()
            },
            spec: Some(LeaseSpec {
                holder_identity: Some(self.identity.clone()),
                lease_duration_seconds: i32::try_from((self.renew_deadline * 2).as_secs()).ok(),
                acquire_time: if ours { spec.and_then(|s| s.acquire_time.clone()) } else { Some(now.clone()) },
                renew_time: Some(now),
                lease_transitions: Some(if ours { changes } else { changes + i32::from(before.is_some()) }),
                ..LeaseSpec::default()
            }),
        }
    }
}
