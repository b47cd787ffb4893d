//! Which objects an installation takes over: a line for each former owner, printed before anything is written. Objects that are the
//! installation's own already are not listed, whoever else has left marks on them.

use super::super::resources::{installers, other_owners};
use crate::api::component::Component;
use crate::api::{GROUP, PLURAL};
use crate::cluster::{Cluster, ClusterError, is_ours};
use crate::install::Plan;
use crate::install::forecast::{Fate, Forecast};
use crate::install::summary;
use crate::object::labels::{OWNER_NAME, OWNER_NAMESPACE, REVISION, installation_of, is_name_of};
use crate::object::{ObjectKey, OwnerId};
use futures::{StreamExt, TryStreamExt, stream};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::DynamicObject;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// How many objects are read at once.
const AT_ONCE: usize = 16;

/// Whose an object is before it is taken over.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Former {
    /// Another installation's, by the resource that its labels name.
    Installation(OwnerId),
    /// The same installation's, with another revision: what bears none in its name is there once for all of them.
    Revision(String),
    /// That of a program that says so on it, such as Helm.
    Marked(String),
    /// Nobody's in particular; with the programs that have written it.
    Somebody(String),
}

/// What an object's labels and annotations tell.
#[derive(Debug, PartialEq, Eq)]
enum Told {
    Ours,
    Of(Former),
    Nothing,
}

/// An object that changes, with its component and version.
type Changed<'a> = (&'a ObjectKey, Component, &'a str);

/// The lines to tell.
///
/// # Errors
/// Objects without a mark of anybody cannot be read.
pub(super) async fn lines(
    cluster: &Cluster,
    owner: &OwnerId,
    plan: &Plan,
    forecasts: &[Forecast],
) -> Result<Vec<String>, ClusterError> {
    let mut found: BTreeMap<Former, Vec<Changed<'_>>> = BTreeMap::new();
    let mut unmarked = vec![];
    for Forecast { key, api_version, component, fate } in forecasts {
        let (Fate::Change(effect), Some(component)) = (fate, component) else { continue };
        let changed = (key, *component, api_version.as_str());
        match told(&metadata_of(&effect.before), owner, plan.manifests().revision_label(), *component) {
            // Definitions serve all control planes; whose labels they bear says little.
            Told::Of(Former::Installation(_)) if key.kind == "CustomResourceDefinition" => {}
            Told::Of(former) => found.entry(former).or_default().push(changed),
            // That definition comes with the operator, and stays its own.
            Told::Nothing if key.name != format!("{PLURAL}.{GROUP}") => unmarked.push(changed),
            Told::Ours | Told::Nothing => {}
        }
    }
    let reads = unmarked.into_iter().map(async |changed| {
        let live = cluster.get(changed.2, changed.0).await?.filter(|live| !is_ours(&live.metadata));
        Ok::<_, ClusterError>(live.map(|live| (changed, installers(&live))))
    });
    let read: Vec<Option<(Changed<'_>, BTreeSet<String>)>> =
        stream::iter(reads).buffered(AT_ONCE).try_collect().await?;
    for (changed, writers) in read.into_iter().flatten() {
        let writers: Vec<String> = writers.into_iter().collect();
        found.entry(Former::Somebody(writers.join(", "))).or_default().push(changed);
    }
    Ok(found.into_iter().map(|(former, changed)| line(&former, changed)).collect())
}

/// The metadata of an object as a forecast has it: what was made of metadata can be read as such, so that the default stands for
/// an object without any.
pub(super) fn metadata_of(object: &Value) -> ObjectMeta {
    object.get("metadata").and_then(|metadata| serde_json::from_value(metadata.clone()).ok()).unwrap_or_default()
}

/// Whose an object is by its marks, before a component of a resource and a revision has it.
fn told(live: &ObjectMeta, owner: &OwnerId, revision: &str, component: Component) -> Told {
    let label = |name: &str| live.labels.as_ref().and_then(|all| all.get(name)).map(String::as_str);
    if let Some(namespace) = label(OWNER_NAMESPACE) {
        let name = label(OWNER_NAME).unwrap_or_default();
        if namespace != owner.namespace || !is_name_of(owner, name) {
            let former = live.labels.as_ref().and_then(installation_of);
            return former.map_or(Told::Nothing, |former| Told::Of(Former::Installation(former)));
        }
        let of = label(REVISION).filter(|of| *of != revision && component != Component::Base);
        return of.map_or(Told::Ours, |of| Told::Of(Former::Revision(of.to_owned())));
    }
    let marked = DynamicObject { types: None, metadata: live.clone(), data: Value::Null };
    let marks: BTreeSet<String> = other_owners(&marked).collect();
    if marks.is_empty() {
        return Told::Nothing;
    }
    Told::Of(Former::Marked(marks.into_iter().collect::<Vec<_>>().join(", ")))
}

fn line(former: &Former, mut changed: Vec<Changed<'_>>) -> String {
    // Workloads first: they are what a person knows.
    changed.sort_by_key(|(key, ..)| (key.group != "apps", *key));
    let names: Vec<String> = changed.iter().map(|(key, ..)| key.to_string()).collect();
    let objects = format!("{} object{}", names.len(), if names.len() == 1 { "" } else { "s" });
    let names = summary(&names);
    match former {
        Former::Installation(OwnerId { namespace, name }) if name.is_empty() => {
            format!("Takes over {objects} of the installation without a name in {namespace} ({names}).")
        }
        Former::Installation(owner) => format!("Takes over {objects} of IstioOperator {owner} ({names})."),
        Former::Revision(revision) => format!(
            "Takes over {objects} of revision {revision} ({names}): what has no revision in its name is there once for all of them, and is \
             changed in place."
        ),
        Former::Marked(mark) => format!("Takes over {objects} of the {mark} ({names})."),
        Former::Somebody(writers) if writers.is_empty() => {
            format!("Takes over {objects} that no installer has a mark on ({names}).")
        }
        Former::Somebody(writers) => {
            format!("Takes over {objects} that no installer has a mark on, written by {writers} ({names}).")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::object::labels::UNNAMED;
    use serde_json::json;

    fn metadata(labels: &Value, annotations: &Value) -> ObjectMeta {
        metadata_of(&json!({"metadata": {"name": "a", "labels": labels, "annotations": annotations}}))
    }

    #[test]
    fn an_object_is_taken_over_from_whom_its_marks_name() {
        let of = |name: &str, revision: &str| json!({OWNER_NAMESPACE: "ns", OWNER_NAME: name, REVISION: revision});
        let helm = json!({"meta.helm.sh/release-name": "istiod", "meta.helm.sh/release-namespace": "ns"});
        let (gateways, base, none) = (Component::IngressGateways, Component::Base, json!({}));
        let installation = |name: &str| Told::Of(Former::Installation(OwnerId::new("ns", name)));
        let marked = || Told::Of(Former::Marked("Helm release ns/istiod".into()));
        for (owner, labels, annotations, component, expected) in [
            ("", of(UNNAMED, "default"), &none, gateways, Told::Ours),
            ("", json!({OWNER_NAMESPACE: "ns"}), &none, gateways, Told::Ours),
            ("", of(UNNAMED, "default"), &helm, gateways, Told::Ours),
            ("x", of("x", "default"), &none, gateways, Told::Ours),
            ("x", of(UNNAMED, "default"), &none, gateways, installation("")),
            ("x", of("y", "canary"), &none, base, installation("y")),
            ("", of("y", "default"), &helm, gateways, installation("y")),
            ("", of(UNNAMED, "canary"), &none, gateways, Told::Of(Former::Revision("canary".into()))),
            ("", of(UNNAMED, "canary"), &none, base, Told::Ours),
            ("", json!({OWNER_NAME: UNNAMED}), &helm, gateways, marked()),
            ("", none.clone(), &none, gateways, Told::Nothing),
        ] {
            let live = metadata(&labels, annotations);
            let told = told(&live, &OwnerId::new("ns", owner), "default", component);
            assert_eq!(told, expected, "{owner} {labels} {annotations}");
        }
    }

    #[test]
    fn a_former_owner_has_a_line_with_workloads_first() {
        let key = |group: &str, kind: &str| ObjectKey {
            group: group.into(),
            kind: kind.into(),
            namespace: "ns".into(),
            name: "gw".into(),
        };
        let (account, gateway) = (key("", "ServiceAccount"), key("apps", "Deployment"));
        let changed =
            || vec![(&account, Component::IngressGateways, "v1"), (&gateway, Component::IngressGateways, "apps/v1")];
        for (former, expected) in [
            (
                Former::Installation(OwnerId::new("ns", "")),
                "Takes over 2 objects of the installation without a name in ns (Deployment ns/gw; ServiceAccount ns/gw).",
            ),
            (
                Former::Marked("Helm release ns/gw".into()),
                "Takes over 2 objects of the Helm release ns/gw (Deployment ns/gw; ServiceAccount ns/gw).",
            ),
            (
                Former::Revision("default".into()),
                "Takes over 2 objects of revision default (Deployment ns/gw; ServiceAccount ns/gw): what has no \
                 revision in its name is there once for all of them, and is changed in place.",
            ),
        ] {
            assert_eq!(line(&former, changed()), expected);
        }
        let one = line(&Former::Somebody("kubectl-create".into()), vec![(&account, Component::Pilot, "v1")]);
        let expected =
            "Takes over 1 object that no installer has a mark on, written by kubectl-create (ServiceAccount ns/gw).";
        assert_eq!(one, expected);
    }
}
