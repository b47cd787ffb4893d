//! What an operator says of a resource once it has reconciled it.

use crate::api::status::{InstallStatus, Phase};
use crate::api::{API_VERSION, KIND};
use crate::cluster::Cluster;
use crate::failure::causes;
use crate::object::OwnerId;
use anyhow::bail;
use futures::StreamExt;
use kube::Error::Api as Answer;
use kube::api::{Api, DynamicObject};
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{Error, watch_object};
use serde_json::Value;
use std::pin::pin;
use std::time::Duration;
use tokio::time::timeout;

/// What the status of a resource comes to.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    /// All is well.
    Healthy(String),
    /// It is not, and will not be before somebody does something.
    Wrong(String),
    /// Not yet known; what is known so far.
    Open(String),
}

/// Waits until an operator has reconciled a resource and it is HEALTHY, and gives its words; `before` is the status from before it
/// was given to the operator.
///
/// # Errors
/// It is in ERROR or waits for a person, or nothing is said of it in time, or it may not be watched.
pub(super) async fn wait(
    cluster: &Cluster,
    owner: &OwnerId,
    before: &Value,
    patience: Duration,
) -> anyhow::Result<String> {
    let kind = cluster.resource(API_VERSION, KIND).await?;
    let api: Api<DynamicObject> = Api::namespaced_with(cluster.client().clone(), &owner.namespace, &kind);
    let mut last = "nothing has been seen of it".to_owned();
    match timeout(patience, follow(api, &owner.name, before, &mut last)).await {
        Ok(Ok(told)) => Ok(format!("IstioOperator {owner}: {told}")),
        Ok(Err(why)) => {
            bail!(
                "IstioOperator {owner}: {why}; see istio-operator operator status {} -n {}",
                owner.name,
                owner.namespace
            )
        }
        Err(_) => bail!(
            "IstioOperator {owner} is not HEALTHY after {patience:?}: {last}; see istio-operator operator status {} -n {}",
            owner.name,
            owner.namespace
        ),
    }
}

async fn follow(api: Api<DynamicObject>, name: &str, before: &Value, last: &mut String) -> Result<String, String> {
    let mut seen = pin!(watch_object(api, name).default_backoff());
    while let Some(live) = seen.next().await {
        match live {
            Ok(Some(live)) => match verdict(&live, before) {
                Verdict::Healthy(told) => return Ok(told),
                Verdict::Wrong(why) => return Err(why),
                Verdict::Open(so_far) => *last = so_far,
            },
            Ok(None) => "it is gone".clone_into(last),
            Err(Error::InitialListFailed(Answer(no)) | Error::WatchStartFailed(Answer(no))) if no.code == 403 => {
                return Err(format!(
                    "it is taken over, and what the operator says of it may not be read: {}",
                    no.message
                ));
            }
            Err(error) => *last = causes(&error),
        }
    }
    Err("its watch has ended".to_owned())
}

fn verdict(live: &DynamicObject, before: &Value) -> Verdict {
    let value = live.data.get("status").unwrap_or(&Value::Null);
    let status = InstallStatus::read(value);
    let generation = live.metadata.generation.unwrap_or_default();
    let (Some(phase), Some(observed)) = (status.status, status.observed_generation) else {
        return Verdict::Open("no operator has reported its status; it may not watch this namespace".to_owned());
    };
    if observed < generation || status.plan.is_some() {
        return Verdict::Open(format!("the operator has not reconciled its generation {generation} yet"));
    }
    let message = status.message.filter(|message| !message.is_empty()).map(|message| format!(": {message}"));
    let told = format!("{}{}", phase.name(), message.unwrap_or_default());
    match phase {
        Phase::Healthy => Verdict::Healthy(told),
        // That was said before.
        _ if value == before => Verdict::Open(told),
        Phase::Error | Phase::ActionRequired => Verdict::Wrong(told),
        Phase::None | Phase::Updating | Phase::Reconciling => Verdict::Open(told),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{from_value, json};

    fn told(status: &Value, before: &Value) -> Verdict {
        let live = json!({"apiVersion": API_VERSION, "kind": KIND, "metadata": {"name": "main", "generation": 2},
            "status": status});
        verdict(&from_value(live).unwrap(), before)
    }

    #[test]
    fn a_status_counts_once_it_is_of_the_generation_and_not_from_before() {
        let of =
            |phase: &str, generation: i64| json!({"status": phase, "observedGeneration": generation, "message": "m"});
        let null = Value::Null;
        assert!(
            matches!(told(&null, &null), Verdict::Open(why) if why.starts_with("no operator has reported its status"))
        );
        assert!(matches!(told(&of("HEALTHY", 1), &null), Verdict::Open(_)), "of an older generation");
        assert_eq!(told(&of("HEALTHY", 2), &null), Verdict::Healthy("HEALTHY: m".into()));
        assert_eq!(told(&of("ACTION_REQUIRED", 2), &null), Verdict::Wrong("ACTION_REQUIRED: m".into()));
        assert_eq!(told(&of("ERROR", 2), &of("ERROR", 2)), Verdict::Open("ERROR: m".into()), "from before");
        assert_eq!(told(&of("RECONCILING", 2), &null), Verdict::Open("RECONCILING: m".into()));
        let planned = json!({"status": "ACTION_REQUIRED", "observedGeneration": 2, "plan": {"create": ["a"]}});
        assert!(matches!(told(&planned, &null), Verdict::Open(_)), "of the dry run before");
    }
}
