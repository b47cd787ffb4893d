//! Kubernetes events about a resource.
//!
//! The name of an event is a digest of its content, so the same event published again, even by another replica or after a
//! restart or an upgrade, raises the count of the one that exists. (kube's own recorder knows only what its process has
//! published within six minutes, and takes two messages of one reason for the same.) A failure to publish an event is logged,
//! and no reconcile fails because of it.

use super::reconcile::Reconcile;
use crate::api::LONGEST_NAME;
use crate::cluster::FIELD_MANAGER;
use crate::install::cut;
use k8s_openapi::api::core::v1::{Event, EventSource, ObjectReference};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt;
use kube::api::{Api, Patch, PatchParams, PostParams};
use serde_json::json;
use sha2::{Digest, Sha256};

/// Kubernetes takes no longer message of an event.
const LONGEST: usize = 1024;
/// How many digits tell the events of a resource apart.
const DIGEST: usize = 32;

/// What an event says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct EventMessage {
    /// Whether a person should look.
    pub is_warning: bool,
    /// One word.
    pub reason: &'static str,
    /// A sentence.
    pub text: String,
}

impl Reconcile<'_> {
    /// Writes the event of the resource, or counts it once more.
    pub async fn publish(&self, note: &EventMessage) {
        let Self { context, id, .. } = self;
        context.metrics.reconciles.events.inc(note.reason);
        let event = event(self.resource.reference(), note, Timestamp::now());
        let api: Api<Event> = Api::namespaced(context.cluster.client().clone(), &id.namespace);
        let result = match api.create(&PostParams::default(), &event).await {
            Err(kube::Error::Api(status)) if status.code == 409 => count_once_more(&api, &event).await,
            other => other.map(drop),
        };
        if let Err(error) = result {
            tracing::debug!(reason = note.reason, %error, "cannot write the event");
        }
    }
}

async fn count_once_more(api: &Api<Event>, event: &Event) -> Result<(), kube::Error> {
    let name = event.name_any();
    let count = api.get(&name).await?.count.unwrap_or(1).saturating_add(1);
    let patch = json!({"count": count, "lastTimestamp": event.last_timestamp});
    api.patch(&name, &PatchParams::default(), &Patch::Merge(&patch)).await.map(drop)
}

/// An event about an object.
fn event(about: ObjectReference, note: &EventMessage, now: Timestamp) -> Event {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let digest = digest([&text(&about.uid), note.reason, &note.text]);
    Event {
        metadata: ObjectMeta {
            name: Some(name(&text(&about.name), &digest)),
            namespace: about.namespace.clone(),
            ..ObjectMeta::default()
        },
        involved_object: about,
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

/// The first half of the SHA-256 of these texts, in hexadecimal. They hold no zero byte.
fn digest(texts: [&str; 3]) -> String {
    let whole = Sha256::digest(texts.join("\0"));
    let half = whole.first_chunk().copied().map_or(0, u128::from_be_bytes);
    format!("{half:0DIGEST$x}")
}

/// The name of an event of a resource. A long name of the resource is shortened so that a name is left.
fn name(resource: &str, digest: &str) -> String {
    let (kept, _) = resource.split_at(resource.floor_char_boundary(LONGEST_NAME - DIGEST - 1));
    format!("{}.{digest}", kept.trim_end_matches(|c: char| !c.is_ascii_alphanumeric()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(text: &str, reason: &'static str) -> Event {
        let metadata = json!({"name": "main", "namespace": "ns", "uid": "u"});
        let resource = crate::cluster::received::from_value(&json!({ "metadata": metadata })).unwrap();
        event(
            resource.reference(),
            &EventMessage { is_warning: true, reason, text: text.into() },
            Timestamp::UNIX_EPOCH,
        )
    }

    #[test]
    fn the_same_said_again_is_the_same_event_and_anything_else_is_another() {
        let name = |e: Event| e.metadata.name.unwrap();
        assert_eq!(name(said("a", "Failed")), name(said("a", "Failed")));
        assert_ne!(name(said("a", "Failed")), name(said("b", "Failed")));
        assert_ne!(name(said("a", "Failed")), name(said("a", "Conflict")));
        // Of every build, on every machine, for ever.
        assert_eq!(name(said("a", "Failed")), "main.0e32f4aa124e4391070cf479617b9dfa");
    }

    #[test]
    fn a_long_text_is_cut_where_a_character_ends() {
        let message = said(&"ü".repeat(2000), "Failed").message.unwrap();
        assert!(message.len() <= LONGEST && message.ends_with("ü…"), "{}", message.len());
        assert_eq!(said("short", "Failed").message.unwrap(), "short");
    }

    #[test]
    fn the_name_of_an_event_fits_however_long_that_of_its_resource_is() {
        let digest = "0".repeat(DIGEST);
        assert_eq!(name("main", &digest), format!("main.{digest}"));
        let long = name(&format!("{}.{}", "x".repeat(219), "y".repeat(33)), &digest);
        assert_eq!(long, format!("{}.{digest}", "x".repeat(219)), "no empty part");
        assert_eq!(name(&"x".repeat(253), &digest).len(), LONGEST_NAME);
    }
}
