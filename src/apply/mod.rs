//! Makes live objects equal desired ones, with as few requests as that takes.
//!
//! A live object counts as equal when every field that is desired has its value there and every field we own is desired;
//! what others added is theirs. Equal objects are not written. Nothing here waits or retries.

pub mod drift;

use crate::cluster::{Cluster, ClusterError};
use crate::object::Object;
use kube::api::DynamicObject;
use serde_json::Value;

/// What came of one object.
pub struct Outcome {
    /// The object as it is now.
    pub live: DynamicObject,
    /// Whether it was written.
    pub written: bool,
}

/// Brings one object to what is desired. `live` is the object as just read, if it exists.
///
/// # Errors
/// What the API server says.
pub async fn bring(cluster: &Cluster, desired: &Object, live: Option<DynamicObject>) -> Result<Outcome, ClusterError> {
    let mut desired = desired.clone();
    if let Some(live) = live {
        let value = serde_json::to_value(&live).unwrap_or_default();
        leave_to_istiod(&mut desired, &value);
        if live.metadata.deletion_timestamp.is_none() && drift::differences(&desired.value(), &value).is_empty() {
            return Ok(Outcome { live, written: false });
        }
    }
    let live = cluster.apply(&desired, false).await?;
    Ok(Outcome { live, written: true })
}

/// `failurePolicy` of a webhook is ours when it is created and istiod's from then on: it writes Ignore when it starts and
/// Fail when it serves, and takes it back within 60 ms if anyone else does. What is live is kept.
fn leave_to_istiod(desired: &mut Object, live: &Value) {
    if desired.kind() != "ValidatingWebhookConfiguration" {
        return;
    }
    let owned = drift::owned_fields(live);
    let Some(webhooks) = desired.value_mut().get_mut("webhooks").and_then(Value::as_array_mut) else { return };
    for webhook in webhooks {
        let Some(name) = webhook.get("name").and_then(Value::as_str).map(str::to_owned) else { continue };
        let key = format!("k:{}", serde_json::json!({ "name": name }));
        let ours = owned.as_ref().is_some_and(|o| {
            o.get("f:webhooks").and_then(|w| w.get(&key)).is_some_and(|w| w.get("f:failurePolicy").is_some())
        });
        let policy = live.get("webhooks").and_then(Value::as_array).and_then(|all| {
            all.iter().find(|w| w.get("name").and_then(Value::as_str) == Some(&name))?.get("failurePolicy").cloned()
        });
        let Some(webhook) = webhook.as_object_mut() else { continue };
        match policy {
            Some(policy) if ours => webhook.insert("failurePolicy".into(), policy),
            Some(_) => webhook.remove("failurePolicy"),
            None => None,
        };
    }
}
