//! What a pass would do, for a resource annotated `install.istio.io/dryRun: "true"`: read and compared, nothing written but
//! the status.

use super::install::Wanted;
use super::scaling::Autoscalers;
use super::{Context, Memory};
use crate::api::IGNORE;
use crate::api::component::Component;
use crate::api::status::{Change, Preview};
use crate::cluster::ClusterError;
use crate::controller::status::{Findings, Verdict};
use crate::install::apply;
use crate::install::plan;
use crate::object::Object;
use crate::object::OwnerId;
use crate::object::inventory::Inventory;
use futures::{FutureExt, StreamExt, TryStreamExt, stream};
use kube::ResourceExt;

/// How many objects are read at once.
const READS_AT_ONCE: usize = 16;
/// A change below this path of a workload replaces its pods.
const POD_TEMPLATE: &str = ".spec.template";

enum Fate {
    Same,
    Create,
    Change(Vec<String>),
    Conflict(String),
}

/// What would be created, changed and deleted, and whose pods would be replaced.
///
/// # Errors
/// What the API server says to reads.
#[tracing::instrument(level = "debug", skip_all)]
pub(super) async fn preview(
    context: &Context,
    id: &OwnerId,
    memory: &Memory,
    wanted: &Wanted<'_>,
) -> Result<Preview, ClusterError> {
    let parts = wanted.manifests.parts.iter();
    let objects: Vec<_> = parts.flat_map(|part| part.objects.iter().map(move |o| (part.component, o))).collect();
    let autoscalers = Autoscalers::wanted(wanted.installations());
    let known = Known { context, id, inventory: &memory.inventory, autoscalers: &autoscalers };
    let reads: Vec<_> = objects.iter().map(|(component, object)| fate(known, *component, object).boxed()).collect();
    let fates: Vec<Fate> = stream::iter(reads).buffered(READS_AT_ONCE).try_collect().await?;
    let mut preview = Preview::default();
    for ((_, object), fate) in objects.into_iter().zip(fates) {
        let name = object.key().to_string();
        match fate {
            Fate::Same => {}
            Fate::Create => preview.create.push(name),
            Fate::Conflict(other) => preview.conflict.push(format!("{name} is that of IstioOperator {other}")),
            Fate::Change(fields) => {
                if object.group() == "apps" && fields.iter().any(|f| f == "." || f.starts_with(POD_TEMPLATE)) {
                    preview.restart.push(name.clone());
                }
                preview.change.push(Change { object: name, fields });
            }
        }
    }
    let doomed = plan::prune(wanted.unwanted.iter().collect(), |object| (&object.key, object.component));
    preview.prune = doomed.into_iter().map(|object| object.key.to_string()).collect();
    Ok(preview)
}

/// What is known before an object is read.
#[derive(Clone, Copy)]
struct Known<'a> {
    context: &'a Context,
    id: &'a OwnerId,
    inventory: &'a Inventory,
    autoscalers: &'a Autoscalers,
}

async fn fate(before: Known<'_>, component: Component, object: &Object) -> Result<Fate, ClusterError> {
    let (Known { context, id, .. }, key) = (before, object.key());
    let known = context.index.get(&key);
    if known.as_ref().is_some_and(|known| known.is_ignored) {
        return Ok(Fate::Same);
    }
    let live = match context.cluster.get(object.api_version(), &key).await {
        // Its definition would be created first.
        Err(error) if error.is_absent() => None,
        other => other?,
    };
    let Some(live) = live else { return Ok(Fate::Create) };
    if live.annotations().get(IGNORE).is_some_and(|value| value == "true") {
        return Ok(Fate::Same);
    }
    let named = known.map(|known| known.owner);
    // A dry run claims nothing, so whoever is named has it.
    if let Some(other) = named.filter(|other| other != id && context.claims.claimants(&key).contains(other)) {
        let differs = component != Component::Base && !apply::differences_but_for_owner(object, &live).is_empty();
        return Ok(if differs { Fate::Conflict(format!("{}/{}", other.namespace, other.name)) } else { Fate::Same });
    }
    let replicas = before.autoscalers.scaling(&context.cluster, object, Some(&live)).await.replicas;
    let is_known = before.inventory.get(&key).is_some_and(|entry| live.uid().as_ref() == Some(&entry.uid));
    let comparison = if is_known {
        apply::compare(object, Some(&live), replicas)
    } else {
        apply::compare_as_taken_over(object, &live, replicas)
    };
    let differences = apply::settle(&context.cluster, comparison, &live).await.differences;
    Ok(if differences.is_empty() { Fate::Same } else { Fate::Change(differences) })
}

/// The preview as findings; without differences the resource is what it was.
pub(super) fn findings(preview: Preview, generation: i64) -> Findings {
    let parts = [
        (preview.create.len(), "to create"),
        (preview.change.len(), "to change"),
        (preview.prune.len(), "to delete"),
        (preview.restart.len(), "to replace the pods of"),
        (preview.conflict.len(), "of another resource"),
    ];
    let counts: Vec<_> = parts.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}")).collect();
    let text = if counts.is_empty() { "nothing would change".to_owned() } else { counts.join(", ") };
    let remark = crate::controller::status::Remark {
        kind: "DryRun",
        reason: "DryRun",
        message: format!("{text}; nothing is applied"),
    };
    Findings { remarks: vec![remark], plan: Some(preview), ..Findings::of(Verdict::Planned(text), generation) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_preview_says_how_much_would_be_done() {
        let preview = Preview { create: vec!["a".into(), "b".into()], prune: vec!["c".into()], ..Preview::default() };
        let message = findings(preview, 1).verdict.message();
        assert_eq!(message, "dry run: 2 to create, 1 to delete; nothing is applied");
        assert!(findings(Preview::default(), 1).verdict.message().contains("nothing would change"));
    }
}
