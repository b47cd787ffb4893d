//! Conflicts of an installation: objects that it would write and that belong to another control plane which stays. They are found
//! before anything is written.

use super::super::resources::{HELM, key_of};
use super::takeover::metadata_of;
use crate::install::default_revision::VALIDATOR;
use crate::install::forecast::{Fate, Forecast};
use crate::install::{Conflict, Engine, Plan, State, summary};
use crate::object::labels::{OWNER_NAMESPACE, REVISION};
use crate::object::manifests::revision_label;
use crate::object::{ObjectKey, OwnerId};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::ResourceExt;
use kube::api::DynamicObject;
use std::collections::BTreeSet;

/// A control plane in another namespace, which the plan leaves as it is.
#[derive(Debug)]
struct Rival {
    istiod: ObjectKey,
    revision: String,
    /// The namespaces that its objects may say they are from: its own, and that of its resource.
    homes: BTreeSet<String>,
}

/// What is in the way, and what there is to do; `None` where nothing is.
///
/// # Errors
/// The cluster cannot be asked.
pub(super) async fn found(
    engine: &Engine<'_>,
    owner: &OwnerId,
    (plan, state): (&Plan, &mut State),
    forecasts: &[Forecast],
) -> anyhow::Result<Option<String>> {
    let conflicts = engine.conflicts(owner, plan, state).await?;
    let mut all: Vec<String> = conflicts
        .iter()
        .flat_map(|(component, of)| of.iter().map(|one| format!("{}: {one}", component.info().title)))
        .collect();
    let istiods = engine.cluster.list("apps/v1", "Deployment", None, "app=istiod").await?;
    let is_injecting = conflicts.values().flatten().any(|one| matches!(one, Conflict::Webhooks(_)));
    let mut doing = BTreeSet::new();
    let own_revision = plan.manifests().revision_label();
    for rival in rivals(&istiods, plan) {
        let shared = shared_with(&rival, owner, own_revision, forecasts);
        if !shared.is_empty() {
            all.push(format!("the control plane {} has {}", rival.istiod, summary(&shared)));
        }
        if !shared.is_empty() || is_injecting {
            let (revision, namespace) = (&rival.revision, &rival.istiod.namespace);
            doing.insert(format!(
                "take the place of {} (--istioNamespace {namespace}), or remove that first (istio-operator uninstall --revision \
                 {revision})",
                rival.istiod
            ));
        }
    }
    if all.is_empty() {
        return Ok(None);
    }
    let told = format!("others have what this would write, so nothing is written: {}", all.join("; "));
    if doing.is_empty() {
        return Ok(Some(told));
    }
    doing.insert("give this control plane a revision of its own (--revision NAME)".to_owned());
    let doing: Vec<String> = doing.into_iter().collect();
    Ok(Some(format!("{told}. To go on, {}", doing.join(", or "))))
}

/// The control planes in other namespaces that neither change nor go.
fn rivals(istiods: &[DynamicObject], plan: &Plan) -> Vec<Rival> {
    let own = &plan.manifests().namespace;
    let goes: BTreeSet<&ObjectKey> = plan.candidates().iter().map(|one| &one.key).collect();
    let keys = plan.keys();
    let rival = |live: &DynamicObject| {
        let label = |name: &str| live.labels().get(name).cloned();
        let namespace = live.namespace().unwrap_or_default();
        let istiod = key_of("apps", "Deployment", live);
        let homes = [Some(namespace), label(OWNER_NAMESPACE)].into_iter().flatten().collect();
        let revision = revision_label(&label(REVISION).unwrap_or_default()).to_owned();
        let stays = istiod.namespace != *own && !keys.contains(&istiod) && !goes.contains(&istiod);
        stays.then_some(Rival { istiod, revision, homes })
    };
    istiods.iter().filter_map(rival).collect()
}

/// The objects that would be taken from a control plane. Definitions serve all of them, and are never made to say less; and which revision
/// is the default one, and has what validates for it, has been decided by rule.
fn shared_with(rival: &Rival, owner: &OwnerId, own_revision: &str, forecasts: &[Forecast]) -> Vec<String> {
    let is_left_to_others = |key: &ObjectKey| {
        key.kind == "CustomResourceDefinition" || (key.name == VALIDATOR && rival.revision != own_revision)
    };
    let is_taken = |forecast: &&Forecast| {
        let Fate::Change(effect) = &forecast.fate else { return false };
        let home = home_of(&metadata_of(&effect.before));
        !is_left_to_others(&forecast.key)
            && home.is_some_and(|home| home != owner.namespace && rival.homes.contains(&home))
    };
    forecasts.iter().filter(is_taken).map(|forecast| forecast.key.to_string()).collect()
}

/// The namespace that an object says it was installed from.
fn home_of(live: &ObjectMeta) -> Option<String> {
    let label = live.labels.as_ref().and_then(|all| all.get(OWNER_NAMESPACE));
    label.or_else(|| live.annotations.as_ref().and_then(|all| all.get(HELM.0))).cloned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::install::fields::Effect;
    use serde_json::{Value, json};

    #[test]
    fn what_a_control_plane_elsewhere_has_is_in_the_way() {
        let forecast = |kind: &str, metadata: Value| {
            let key = ObjectKey { group: String::new(), kind: kind.into(), namespace: String::new(), name: "x".into() };
            let before = json!({"metadata": metadata});
            let fate = Fate::Change(Box::new(Effect { before, after: json!({}) }));
            Forecast { key, api_version: "v1".into(), component: None, fate }
        };
        let of = |namespace: &str| json!({"labels": {OWNER_NAMESPACE: namespace}});
        let helms = json!({"annotations": {HELM.0: "istio-system"}});
        let key = ObjectKey {
            group: "apps".into(),
            kind: "Deployment".into(),
            namespace: "istio-system".into(),
            name: "istiod".into(),
        };
        let homes = BTreeSet::from(["istio-system".to_owned(), "ops".to_owned()]);
        let rival = Rival { istiod: key, revision: "default".into(), homes };
        for (kind, metadata, is_shared) in [
            ("ValidatingWebhookConfiguration", of("istio-system"), true),
            ("ClusterRole", of("ops"), true),
            ("ClusterRole", helms, true),
            ("ClusterRole", of("other"), false),
            ("ClusterRole", of("third"), false),
            ("ClusterRole", json!({}), false),
            ("CustomResourceDefinition", of("istio-system"), false),
        ] {
            let shared =
                shared_with(&rival, &OwnerId::new("other", ""), "default", &[forecast(kind, metadata.clone())]);
            assert_eq!(!shared.is_empty(), is_shared, "{kind} {metadata}");
        }
        let mut validator = forecast("ValidatingWebhookConfiguration", of("istio-system"));
        validator.key.name = VALIDATOR.into();
        for (revision, is_shared) in [("default", true), ("second", false)] {
            let shared = shared_with(&rival, &OwnerId::new("other", ""), revision, std::slice::from_ref(&validator));
            assert_eq!(!shared.is_empty(), is_shared, "{revision}");
        }
    }
}
