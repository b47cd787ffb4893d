//! Kubernetes events about a resource.
//!
//! The name of an event is made of what it says, so the same said again, even by another operator or after a restart, is
//! the same event seen once more. An event that cannot be written is no reason to stop: it is logged and left.

use super::Context;
use crate::api::{API_VERSION, KIND};
use crate::cluster::FIELD_MANAGER;
use crate::cluster::received::ObservedResource;
use k8s_openapi::api::core::v1::{Event, EventSource, ObjectReference};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt;
use kube::api::{Api, Patch, PatchParams, PostParams};
use serde_json::json;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};

/// Kubernetes takes no longer message.
const LONGEST: usize = 1024;
/// Nor a longer name.
const LONGEST_NAME: usize = 253;

/// What an event says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Note {
    /// Whether a person should look.
    pub is_warning: bool,
    /// One word.
    pub reason: &'static str,
    /// A sentence.
    pub text: String,
}

/// Tells it.
pub(super) async fn publish(context: &Context, resource: &ObservedResource, note: &Note) {
    context.metrics.count("event", [("reason", note.reason)]);
    let event = event(resource, note, Timestamp::now());
    let api: Api<Event> = Api::namespaced(context.cluster.client().clone(), &resource.namespace().unwrap_or_default());
    let result = match api.create(&PostParams::default(), &event).await {
        Err(kube::Error::Api(status)) if status.code == 409 => count_once_more(&api, &event).await,
        other => other.map(drop),
    };
    if let Err(error) = result {
        tracing::debug!(reason = note.reason, %error, "cannot write the event");
    }
}

async fn count_once_more(api: &Api<Event>, event: &Event) -> Result<(), kube::Error> {
    let name = event.name_any();
    let count = api.get(&name).await?.count.unwrap_or(1).saturating_add(1);
    let patch = json!({"count": count, "lastTimestamp": event.last_timestamp});
    api.patch(&name, &PatchParams::default(), &Patch::Merge(&patch)).await.map(drop)
}

fn event(resource: &ObservedResource, note: &Note, now: Timestamp) -> Event {
    let uid = resource.uid();
    let mut hasher = DefaultHasher::new();
    (&uid, note.reason, &note.text).hash(&mut hasher);
    Event {
        metadata: ObjectMeta {
            name: Some(name(&resource.name_any(), hasher.finish())),
            namespace: resource.namespace(),
            ..ObjectMeta::default()
        },
        involved_object: ObjectReference {
            api_version: Some(API_VERSION.into()),
            kind: Some(KIND.into()),
            name: Some(resource.name_any()),
            namespace: resource.namespace(),
            uid,
            resource_version: resource.resource_version(),
            ..ObjectReference::default()
        },
        type_: Some(if note.is_warning { "Warning" } else { "Normal" }.into()),
        reason: Some(note.reason.into()),
        message: Some(cut(&note.text, LONGEST)),
        count: Some(1),
        first_timestamp: Some(Time(now)),
        last_timestamp: Some(Time(now)),
        source: Some(EventSource { component: Some(FIELD_MANAGER.into()), host: None }),
        reporting_component: Some(FIELD_MANAGER.into()),
        ..Event::default()
    }
}

/// The name of an event of a resource. A long name of the resource is shortened so that a name is left.
fn name(resource: &str, hash: u64) -> String {
    let room = LONGEST_NAME - 17;
    let (kept, _) = resource.split_at(resource.floor_char_boundary(room));
    format!("{}.{hash:016x}", kept.trim_end_matches(|c: char| !c.is_ascii_alphanumeric()))
}

/// A text of at most so many bytes.
pub(super) fn cut(text: &str, longest: usize) -> String {
    if text.len() <= longest {
        return text.to_owned();
    }
    let (kept, _) = text.split_at(text.floor_char_boundary(longest.saturating_sub('…'.len_utf8())));
    format!("{kept}…")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(text: &str, reason: &'static str) -> Event {
        let metadata = json!({"name": "main", "namespace": "ns", "uid": "u"});
        let resource = crate::cluster::received::from_value(&json!({ "metadata": metadata })).unwrap();
        event(&resource, &Note { is_warning: true, reason, text: text.into() }, Timestamp::UNIX_EPOCH)
    }

    #[test]
    fn the_same_said_again_is_the_same_event_and_anything_else_is_another() {
        let name = |e: Event| e.metadata.name.unwrap();
        assert_eq!(name(said("a", "Failed")), name(said("a", "Failed")));
        assert_ne!(name(said("a", "Failed")), name(said("b", "Failed")));
        assert_ne!(name(said("a", "Failed")), name(said("a", "Conflict")));
    }

    #[test]
    fn a_long_text_is_cut_where_a_character_ends() {
        let message = said(&"ü".repeat(2000), "Failed").message.unwrap();
        assert!(message.len() <= LONGEST && message.ends_with("ü…"), "{}", message.len());
        assert_eq!(said("short", "Failed").message.unwrap(), "short");
    }

    #[test]
    fn the_name_of_an_event_fits_however_long_that_of_its_resource_is() {
        assert_eq!(name("main", 1), "main.0000000000000001");
        let long = name(&format!("{}.{}", "x".repeat(235), "y".repeat(17)), 1);
        assert_eq!(long, format!("{}.0000000000000001", "x".repeat(235)), "no empty part");
        assert_eq!(name(&"x".repeat(253), u64::MAX).len(), LONGEST_NAME);
    }
}
