//! Which objects without a revision in their names (gateways, the CNI agent, ztunnel) the installations of other revisions want.
//! Whichever revision was installed last has them; they do not go with it while another control plane that stays wants them.
//!
//! What an installation wants is told by its record, or by its resource where an operator reconciles one. What cannot be found out
//! counts as wanted.

use super::resources::key_of;
use crate::api::component::Component;
use crate::api::{API_VERSION, GROUP, INSTALLED_STATE, KIND, annotations};
use crate::cluster::{Cluster, ClusterError};
use crate::install::{installed_release, installed_state, summary};
use crate::object::ObjectKey;
use crate::object::labels::REVISION;
use crate::object::manifests::revision_label;
use crate::release::Package;
use crate::render;
use crate::spec::path::text;
use crate::spec::request;
use crate::spec::resolve::{Strictness, default_namespace};
use kube::ResourceExt;
use kube::api::DynamicObject;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// What a gateway's objects are called after its name.
const ENDINGS: [&str; 3] = ["", "-service-account", "-sds"];
/// Components of which a cluster has one, by their fields in the spec.
const SINGLE: [(Component, &str); 2] = [(Component::Cni, "cni"), (Component::Ztunnel, "ztunnel")];
/// Those of gateways.
const GATEWAYS: [(Component, &str); 2] =
    [(Component::IngressGateways, "ingressGateways"), (Component::EgressGateways, "egressGateways")];

/// Something that an installation wants; a single component has no name.
#[derive(Debug, PartialEq, Eq)]
struct Want {
    component: Component,
    namespace: String,
    name: String,
}

/// An installation that stays.
#[derive(Debug)]
struct Installation {
    /// What tells of it.
    source: String,
    /// Its revision as labels name it.
    revision: String,
    /// The release that its record says.
    release: Option<String>,
    /// Whether an operator reconciles it.
    is_operated: bool,
    /// What it wants, or why that is not known.
    wants: Result<Vec<Want>, String>,
}

impl Installation {
    fn wants(&self, key: &ObjectKey, component: Component) -> bool {
        let Ok(wants) = &self.wants else { return is_shared(component) };
        wants.iter().any(|want| {
            let is_called = || ENDINGS.iter().any(|ending| key.name == format!("{}{ending}", want.name));
            if component.is_gateways() {
                want.component.is_gateways() && want.namespace == key.namespace && is_called()
            } else {
                want.component == component
            }
        })
    }

    /// Why what it wants stays, and how it gets that back.
    fn told(&self) -> String {
        let revision = &self.revision;
        let why = match &self.wants {
            Ok(_) => format!("{} of revision {revision} has them in its spec", self.source),
            Err(error) => format!("it is not known whether {} of revision {revision} wants them: {error}", self.source),
        };
        let release = self.release.as_ref().map(|release| format!(" -d {release}")).unwrap_or_default();
        if self.is_operated {
            return format!("{why}; its operator gives them that revision again");
        }
        format!(
            "{why}; give them that revision again, before the control plane that they use goes: istio-operator upgrade --revision \
             {revision}{release}"
        )
    }
}

/// What stays for others.
#[derive(Debug, Default)]
pub(super) struct Kept {
    pub keys: BTreeSet<ObjectKey>,
    /// A line for each reason.
    pub lines: Vec<String>,
}

/// The installations of other revisions that stay.
#[derive(Debug, Default)]
pub(super) struct Remaining {
    others: Vec<Installation>,
    /// Those of the revision itself.
    own: Vec<Installation>,
    /// The revisions of which a control plane stays; `None` where that is not known.
    staying: Option<BTreeSet<String>>,
}

impl Remaining {
    /// Those of revisions other than this one, as labels name it, without what goes.
    ///
    /// # Errors
    /// Resources cannot be listed.
    pub(super) async fn beside(
        cluster: &Cluster,
        revision: &str,
        goes: impl Fn(&ObjectKey) -> bool,
    ) -> Result<Self, ClusterError> {
        let all = match cluster.list(API_VERSION, KIND, None, "").await {
            Err(error) if error.is_absent() => return Ok(Self::default()),
            other => other?,
        };
        let found = all.iter().filter(|one| is_active(one)).map(installation_of);
        let (own, mut others): (Vec<Installation>, Vec<Installation>) = found.partition(|one| one.revision == revision);
        let staying = staying(cluster, goes).await;
        // Where it is not known which control planes there are, each is there.
        others.retain(|one| one.is_operated || staying.as_ref().is_none_or(|all| all.contains(&one.revision)));
        Ok(Self { others, own, staying })
    }

    /// Whether an object is one that only installations of the revision itself want, though it bears another one, of which there is
    /// no control plane: it was taken over by that and has not been given back.
    pub(super) fn is_forgotten(&self, key: &ObjectKey, component: Option<Component>, revision: &str) -> bool {
        let Some(component) = component else { return false };
        let wants = |all: &[Installation]| all.iter().any(|one| one.wants.is_ok() && one.wants(key, component));
        let is_unused = self.staying.as_ref().is_some_and(|staying| !staying.contains(revision_label(revision)));
        is_unused && wants(&self.own) && self.wanting(key, Some(component)).is_none()
    }

    /// Which of the objects that would go stay, and the lines that tell so.
    pub(super) fn keep<'k>(&self, to_delete: impl Iterator<Item = (&'k ObjectKey, Option<Component>)>) -> Kept {
        let mut by_reason: BTreeMap<String, Vec<&ObjectKey>> = BTreeMap::new();
        for (key, component) in to_delete {
            if let Some(one) = self.wanting(key, component) {
                by_reason.entry(one.told()).or_default().push(key);
            }
        }
        let line = |(why, keys): (&String, &mut Vec<&ObjectKey>)| {
            // Workloads first: they are what a person knows.
            keys.sort_by_key(|key| (key.group != "apps", *key));
            let names: Vec<String> = keys.iter().map(ToString::to_string).collect();
            format!("These stay: {}. For {why}.", summary(&names))
        };
        let lines = by_reason.iter_mut().map(line).collect();
        Kept { lines, keys: by_reason.into_values().flatten().cloned().collect() }
    }

    /// The first installation that wants an object, if one does.
    fn wanting(&self, key: &ObjectKey, component: Option<Component>) -> Option<&Installation> {
        let component = component?;
        self.others.iter().find(|one| one.wants(key, component))
    }
}

/// Whether what a component has bears no revision in its name, and is that of one revision at a time.
pub(super) fn is_shared(component: Component) -> bool {
    component.is_gateways() || is_single(component)
}

fn is_single(component: Component) -> bool {
    SINGLE.iter().any(|(one, _)| *one == component)
}

/// Whether something is the record of an installation, or reconciled by an operator, and stays.
fn is_active(resource: &DynamicObject) -> bool {
    let is_reconciled = || !annotations::is_left_alone(resource.annotations());
    resource.metadata.deletion_timestamp.is_none() && (is_record(resource) || is_reconciled())
}

fn is_record(resource: &DynamicObject) -> bool {
    resource.name_any().starts_with(INSTALLED_STATE)
}

/// The revisions of which a control plane stays, if that can be found out.
async fn staying(cluster: &Cluster, goes: impl Fn(&ObjectKey) -> bool) -> Option<BTreeSet<String>> {
    let istiods = cluster.list("apps/v1", "Deployment", None, "app=istiod").await.ok()?;
    let stays = |istiod: &&DynamicObject| !goes(&key_of("apps", "Deployment", *istiod));
    let revision = |istiod: &DynamicObject| istiod.labels().get(REVISION).cloned().unwrap_or_default();
    Some(istiods.iter().filter(stays).map(|istiod| revision_label(&revision(istiod)).to_owned()).collect())
}

fn installation_of(resource: &DynamicObject) -> Installation {
    let (spec, _) = installed_state::read(resource);
    let name = key_of(GROUP, KIND, resource).to_string();
    let is_operated = !is_record(resource);
    Installation {
        source: if is_operated { name } else { format!("the record {name}") },
        revision: revision_label(text(&spec, "/revision").unwrap_or_default()).to_owned(),
        release: installed_release::of_record(resource),
        is_operated,
        wants: if is_operated { resolved(&spec).map(|spec| wants(&spec)) } else { recorded(&spec) },
    }
}

/// What the spec of a record wants, which has all that its profile said: one without components does not count.
fn recorded(spec: &Value) -> Result<Vec<Want>, String> {
    let has_components = spec.get("components").is_some_and(Value::is_object);
    if has_components { Ok(wants(spec)) } else { Err("it names no components".to_owned()) }
}

/// A spec on its profile. Which gateways a profile has is the same in all releases.
fn resolved(spec: &Value) -> Result<Value, String> {
    let request = request::from_resource(&json!({ "spec": spec }));
    let package = Package::embedded().map_err(|error| error.to_string())?;
    let resolved = render::resolve(&request, &package, Strictness::TakenOver).map_err(|error| error.to_string())?;
    Ok(resolved.spec().clone())
}

/// What a spec on its profile wants.
fn wants(spec: &Value) -> Vec<Want> {
    let is_on = |settings: &&Value| settings.get("enabled").is_none_or(|enabled| *enabled == true);
    let components = |field: &str| spec.get("components").and_then(|all| all.get(field));
    let home = Some(default_namespace(spec)).filter(|namespace| !namespace.is_empty());
    let home = home.unwrap_or_else(|| "istio-system".to_owned());
    let gateways = GATEWAYS.into_iter().flat_map(|(component, field)| {
        let all = components(field).and_then(Value::as_array).into_iter().flatten().filter(is_on);
        all.map(|gateway| {
            let filled = |field: &str| text(gateway, field).filter(|text| !text.is_empty()).map(str::to_owned);
            let namespace = filled("/namespace").unwrap_or_else(|| home.clone());
            Want { component, namespace, name: filled("/name").unwrap_or_default() }
        })
        .collect::<Vec<_>>()
    });
    let single = SINGLE.into_iter().filter(|(_, field)| components(field).is_some_and(|one| is_on(&one)));
    let single = single.map(|(component, _)| Want { component, namespace: home.clone(), name: String::new() });
    gateways.chain(single).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(namespace: &str, name: &str) -> ObjectKey {
        ObjectKey { group: String::new(), kind: "Service".into(), namespace: namespace.into(), name: name.into() }
    }

    fn of(name: &str, spec: &Value) -> Installation {
        let metadata = json!({"name": name, "namespace": "ns"});
        let resource = json!({"apiVersion": API_VERSION, "kind": KIND, "metadata": metadata, "spec": spec});
        installation_of(&serde_json::from_value(resource).unwrap())
    }

    #[test]
    fn an_installation_wants_the_gateways_of_its_spec_and_no_others() {
        let gateways = json!([{"name": "a", "enabled": true}, {"name": "b", "enabled": false}, {"name": "c", "namespace": "edge"}]);
        let spec = json!({"values": {"global": {"istioNamespace": "mesh"}},
            "components": {"ingressGateways": gateways, "cni": {"enabled": true}, "ztunnel": {"enabled": false}}});
        let record = of("installed-state", &spec);
        let remaining = Remaining { others: vec![record], ..Remaining::default() };
        let (ingress, egress) = (Component::IngressGateways, Component::EgressGateways);
        for (namespace, name, component, is_wanted) in [
            ("mesh", "a", ingress, true),
            ("mesh", "a", egress, true),
            ("mesh", "a-service-account", ingress, true),
            ("mesh", "a-sds", ingress, true),
            ("mesh", "a-other", ingress, false),
            ("edge", "a", ingress, false),
            ("mesh", "b", ingress, false),
            ("edge", "c", ingress, true),
            ("mesh", "x", Component::Cni, true),
            ("mesh", "x", Component::Ztunnel, false),
            ("mesh", "a", Component::Pilot, false),
        ] {
            let found = remaining.wanting(&key(namespace, name), Some(component)).is_some();
            assert_eq!(found, is_wanted, "{namespace} {name} {component:?}");
        }
        assert!(remaining.wanting(&key("mesh", "a"), None).is_none());
    }

    #[test]
    fn what_a_revision_has_forgotten_is_known_by_its_record_alone() {
        let spec = json!({"components": {"ingressGateways": [{"name": "a", "enabled": true}]}});
        let gateway = key("istio-system", "a");
        let is_forgotten = |own: Value, others: Vec<Installation>, staying: Option<&str>| {
            let staying = staying.map(|one| BTreeSet::from([one.to_owned()]));
            let remaining = Remaining { own: vec![of("installed-state", &own)], others, staying };
            remaining.is_forgotten(&gateway, Some(Component::IngressGateways), "canary")
        };
        assert!(is_forgotten(spec.clone(), vec![], Some("default")));
        assert!(!is_forgotten(spec.clone(), vec![], Some("canary")), "a control plane has it");
        assert!(!is_forgotten(spec.clone(), vec![], None), "that is not known");
        assert!(!is_forgotten(spec.clone(), vec![of("installed-state-x", &spec)], Some("x")), "another wants it");
        assert!(!is_forgotten(json!({"components": {}}), vec![], Some("default")), "nobody wants it");
        assert!(!is_forgotten(json!({}), vec![], Some("default")), "what cannot be read wants nothing gone");
    }

    #[test]
    fn what_a_resource_wants_is_told_by_its_profile_or_else_not_known() {
        let gateway = key("istio-system", "istio-ingressgateway");
        let wants = |spec: Value| of("main", &spec).wants(&gateway, Component::IngressGateways);
        assert!(wants(json!({})) && !wants(json!({"profile": "minimal"})));
        assert!(wants(json!({"profile": "none-such"})), "what cannot be found out counts as wanted");
        let told = of("main", &json!({"profile": "none-such"})).told();
        assert!(told.starts_with("it is not known whether IstioOperator ns/main of revision default"), "{told}");
    }

    #[test]
    fn who_keeps_gateways_is_told_with_what_gives_them_back() {
        let unread = of("installed-state", &json!({}));
        assert!(
            unread.wants(&key("any", "gateway"), Component::IngressGateways),
            "what cannot be read counts as wanted"
        );
        let mut record = of("installed-state", &json!({"components": {}}));
        record.release = Some("1.23.6".into());
        assert_eq!(
            record.told(),
            "the record IstioOperator ns/installed-state of revision default has them in its spec; give them that revision again, \
             before the control plane that they use goes: istio-operator upgrade --revision default -d 1.23.6"
        );
    }
}
