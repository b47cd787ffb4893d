//! What applying a plan would do: read and compared, nothing written.

use super::candidate::in_order_of_deletion;
use super::definition;
use super::engine::Engine;
use super::fields::{self, Effect};
use super::plan::Plan;
use super::state::State;
use crate::api::annotations;
use crate::api::component::Component;
use crate::api::status::{Change, Preview};
use crate::cluster::ClusterError;
use crate::diff::{POD_TEMPLATE, Selection, change_of, is_below};
use crate::object::{Object, ObjectKey, OwnerId};
use futures::{FutureExt, StreamExt, TryStreamExt, stream};
use kube::ResourceExt;

/// How many objects are read at once.
const READS_AT_ONCE: usize = 16;

enum Fate {
    Same,
    Create,
    Change(Foreseen),
    Conflict(String),
}

/// What changes of an object.
struct Foreseen {
    fields: Vec<String>,
    replaces_pods: bool,
}

impl Engine<'_> {
    /// What would be created, changed and deleted, and whose pods would be replaced.
    ///
    /// # Errors
    /// What the API server says to reads.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn preview(&self, owner: &OwnerId, plan: &Plan, state: &State) -> Result<Preview, ClusterError> {
        let dry = DryRun { engine: *self, owner, plan, state };
        let parts = plan.manifests().parts.iter();
        let objects: Vec<_> = parts.flat_map(|part| part.objects.iter().map(move |o| (part.component, o))).collect();
        let reads: Vec<_> = objects.iter().map(|(component, object)| dry.fate(*component, object).boxed()).collect();
        let fates: Vec<Fate> = stream::iter(reads).buffered(READS_AT_ONCE).try_collect().await?;
        Ok(put_together(objects.into_iter().map(|(_, object)| object).zip(fates), plan))
    }
}

fn put_together<'a>(fates: impl Iterator<Item = (&'a Object, Fate)>, plan: &Plan) -> Preview {
    let mut preview = Preview::default();
    for (object, fate) in fates {
        let name = object.key().to_string();
        match fate {
            Fate::Same => {}
            Fate::Create => preview.create.push(name),
            Fate::Conflict(other) => preview.conflict.push(format!("{name} is that of IstioOperator {other}")),
            Fate::Change(Foreseen { fields, replaces_pods }) => {
                if replaces_pods {
                    preview.restart.push(name.clone());
                }
                preview.change.push(Change { object: name, fields });
            }
        }
    }
    let candidates: Vec<_> = plan.candidates().iter().collect();
    let due = in_order_of_deletion(candidates, |object| (&object.key, object.component));
    preview.prune = due.into_iter().map(|object| object.key.to_string()).collect();
    preview
}

struct DryRun<'a> {
    engine: Engine<'a>,
    owner: &'a OwnerId,
    plan: &'a Plan,
    state: &'a State,
}

impl DryRun<'_> {
    async fn fate(&self, component: Component, object: &Object) -> Result<Fate, ClusterError> {
        let (engine, key) = (self.engine, object.key());
        let known = engine.cache.get(&key);
        if known.as_ref().is_some_and(|known| known.is_ignored) {
            return Ok(Fate::Same);
        }
        let live = match engine.cluster.get(object.api_version(), &key).await {
            // Its CRD would be created first.
            Err(error) if error.is_absent() => None,
            other => other?,
        };
        let Some(live) = live else { return Ok(Fate::Create) };
        if annotations::is_ignored(live.annotations()) || definition::has_more(object, &live) {
            return Ok(Fate::Same);
        }
        let named = known.map(|known| known.owner);
        // A dry run claims nothing, so whoever is named has it.
        if let Some(other) = named.filter(|other| other != self.owner && engine.others.does_want(other, &key)) {
            let differs = component != Component::Base && !fields::differences_but_for_owner(object, &live).is_empty();
            return Ok(if differs { Fate::Conflict(other.to_string()) } else { Fate::Same });
        }
        let replicas = self.plan.autoscalers().scaling(engine.cluster, object, Some(&live)).await.replicas;
        let is_known = self.state.has(&key, &live);
        match fields::foresee(engine.cluster, object, &live, replicas, is_known).await {
            Ok(effect) => Ok(effect.and_then(|effect| Foreseen::of(&key, effect)).map_or(Fate::Same, Fate::Change)),
            // What is refused would be refused then, too: what it is about is told all the same.
            Err(error) if error.code().is_some_and(|code| (400..500).contains(&code)) => {
                let compared = if is_known {
                    fields::compare(object, Some(&live), replicas)
                } else {
                    fields::compare_as_taken_over(object, &live, replicas)
                };
                Ok(Fate::Change(Foreseen::by_record(&key, compared.differences)))
            }
            Err(error) => Err(error),
        }
    }
}

impl Foreseen {
    /// What differs between an object as it is and as it would be.
    fn of(key: &ObjectKey, Effect { before, after }: Effect) -> Option<Self> {
        let change = change_of(key, [Some(before), Some(after)], &Selection::default())?;
        let replaces_pods = change.replaces_pods();
        Some(Self { fields: change.fields.into_iter().map(|field| field.path).collect(), replaces_pods })
    }

    /// The same by the fields that would be written.
    fn by_record(key: &ObjectKey, fields: Vec<String>) -> Self {
        let replaces_pods = key.group == "apps" && fields.iter().any(|f| f == "." || is_below(f, POD_TEMPLATE));
        Self { fields, replaces_pods }
    }
}
