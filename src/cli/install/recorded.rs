//! The spec that a control plane was installed with, from the record of its installation: what `upgrade` takes where nobody names one.
//!
//! A record has the whole spec, with all that its profile said. What differs from that profile was asked for, and is asked for again,
//! on the profile of another release.

use super::super::cluster::Connected;
use super::super::manifest::SpecArgs;
use super::super::resources::key_of;
use crate::api::{API_VERSION, GROUP, INSTALLED_STATE, KIND};
use crate::install::{installed_release, installed_state};
use crate::object::OwnerId;
use crate::object::labels::{REVISION, installation_of};
use crate::object::manifests::revision_label;
use crate::render;
use crate::spec::path::text;
use crate::spec::request::{self, NamedPackage};
use crate::spec::resolve::Strictness;
use anyhow::{Context, bail};
use kube::ResourceExt;
use kube::api::DynamicObject;
use serde_json::{Map, Value, json};

/// What was asked for, as a file of a person's would have it.
pub struct Recorded {
    /// Name and text of the file.
    pub file: (String, String),
    /// The profile that it names.
    pub profile: String,
}

/// What a control plane of the revision of the flag was installed with; `None` where there is no record of it.
///
/// # Errors
/// Records cannot be listed, several are of the revision, or what the one there is was made of cannot be told.
pub fn read(connected: &Connected, spec: &SpecArgs) -> anyhow::Result<Option<Recorded>> {
    let revision = revision_label(spec.revision.as_deref().unwrap_or_default());
    let all = match connected.wait(connected.cluster.list(API_VERSION, KIND, None, "")) {
        Err(error) if error.is_absent() => vec![],
        other => {
            other.context("which spec was installed is known only to who may list istiooperators.install.istio.io")?
        }
    };
    let is_meant = |one: &&DynamicObject| {
        let of = one.data.pointer("/spec/revision").and_then(Value::as_str).unwrap_or_default();
        one.name_any().starts_with(INSTALLED_STATE) && revision_label(of) == revision
    };
    let records: Vec<&DynamicObject> = all.iter().filter(is_meant).collect();
    let record = match records.as_slice() {
        [] => return Ok(None),
        [one] => *one,
        several => of_istiod(connected, revision, several)?,
    };
    let name = format!("the record {}", name_of(record));
    let (whole, _) = installed_state::read(record);
    let profile = text(&whole, "/profile").unwrap_or("default").to_owned();
    let base = profile_of(connected, spec, record, &profile).with_context(|| {
        format!("{name} does not tell what was asked for beyond profile {profile}; name the spec with -f or --set")
    })?;
    let asked = json!({"apiVersion": API_VERSION, "kind": KIND, "metadata": owner_of(record),
        "spec": asked_for(&whole, &base, &profile)});
    Ok(Some(Recorded { file: (name, asked.to_string()), profile }))
}

/// Of several records the one of the resource that istiod is labelled with.
fn of_istiod<'r>(
    connected: &Connected,
    revision: &str,
    records: &[&'r DynamicObject],
) -> anyhow::Result<&'r DynamicObject> {
    let selector = format!("app=istiod,{REVISION}={revision}");
    let istiods = connected.wait(connected.cluster.list("apps/v1", "Deployment", None, &selector))?;
    let owners: Vec<Option<OwnerId>> = istiods.iter().map(|istiod| installation_of(istiod.labels())).collect();
    let is_own = |record: &&&DynamicObject| owners.contains(&installation_of(record.labels()));
    let own: Vec<&&DynamicObject> = records.iter().filter(is_own).collect();
    match own.as_slice() {
        [one] => Ok(one),
        _ => bail!(
            "several records are of revision {revision}, and which of them counts is not known: {}; name the spec with -f",
            records.iter().map(|record| name_of(record)).collect::<Vec<_>>().join(", ")
        ),
    }
}

fn name_of(record: &DynamicObject) -> String {
    key_of(GROUP, KIND, record).to_string()
}

/// The name and namespace of the resource that was installed; upstream's records say them by their own only.
fn owner_of(record: &DynamicObject) -> Value {
    let own = record.name_any();
    let rest = own.strip_prefix(INSTALLED_STATE).unwrap_or_default();
    let revision = record.data.pointer("/spec/revision").and_then(Value::as_str).unwrap_or_default();
    let of_name = || rest.strip_suffix(revision).unwrap_or(rest).trim_matches('-');
    let by_name = || OwnerId::new(record.namespace().unwrap_or_default(), of_name());
    let OwnerId { namespace, name } = installation_of(record.labels()).unwrap_or_else(by_name);
    if name.is_empty() { json!({ "namespace": namespace }) } else { json!({"namespace": namespace, "name": name}) }
}

/// The spec of a profile of the release that a record is of.
fn profile_of(connected: &Connected, spec: &SpecArgs, record: &DynamicObject, profile: &str) -> anyhow::Result<Value> {
    let revision = spec.revision.as_deref().unwrap_or_default();
    let release = match installed_release::of_record(record) {
        None => connected.installed(revision)?.map(|(_, release)| release).context("it does not say its release")?,
        Some(release) => release,
    };
    let package = spec.package.without_flag().open(Some(NamedPackage::Release(release)))?;
    let request = request::from_resource(&json!({"spec": {"profile": profile}}));
    let package = package.as_upstream(spec.upstream_behavior);
    Ok(render::resolve(&request, &package, Strictness::TakenOver)?.spec().clone())
}

/// What was asked for beyond a profile. Where the release came from is not part of it.
fn asked_for(whole: &Value, base: &Value, profile: &str) -> Value {
    let mut asked = beyond(whole, base).unwrap_or_else(|| json!({}));
    if let Some(map) = asked.as_object_mut() {
        map.remove("installPackagePath");
        map.insert("profile".into(), profile.into());
    }
    asked
}

/// What has to be merged over `base` to have `whole`; `None` where they are the same. A list that differs is taken as it is.
fn beyond(whole: &Value, base: &Value) -> Option<Value> {
    match (whole, base) {
        (Value::Object(whole), Value::Object(base)) => {
            let differs = |(key, value): (&String, &Value)| {
                let more = match base.get(key) {
                    Some(below) => beyond(value, below),
                    None => Some(value.clone()).filter(|value| !value.is_null()),
                };
                Some((key.clone(), more?))
            };
            let mut found: Map<String, Value> = whole.iter().filter_map(differs).collect();
            let gone = base.iter().filter(|(key, value)| !value.is_null() && !whole.contains_key(*key));
            found.extend(gone.map(|(key, _)| (key.clone(), Value::Null)));
            (!found.is_empty()).then_some(Value::Object(found))
        }
        (whole, base) => (whole != base).then(|| whole.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::object::labels::{OWNER_NAME, OWNER_NAMESPACE, UNNAMED};
    use crate::release::Package;
    use serde_json::from_value;

    #[test]
    fn what_was_asked_for_is_what_differs_from_the_profile() {
        let base = json!({"hub": "h", "tag": "1.17.8", "components": {"pilot": {"enabled": true}, "ingressGateways": [{"name": "a"}]},
            "meshConfig": {"accessLogFile": "/dev/stdout"}, "values": {"pilot": {"a": 1, "b": null}}});
        assert_eq!(asked_for(&base, &base, "demo"), json!({"profile": "demo"}));
        let mut whole = base.clone();
        whole["installPackagePath"] = "./old".into();
        whole["revision"] = "canary".into();
        whole["components"]["ingressGateways"] = json!([{"name": "a", "enabled": false}]);
        whole["meshConfig"] = json!({});
        whole["values"]["pilot"] = json!({"a": 2});
        let expected = json!({"profile": "demo", "revision": "canary",
            "components": {"ingressGateways": [{"name": "a", "enabled": false}]},
            "meshConfig": {"accessLogFile": null}, "values": {"pilot": {"a": 2}}});
        assert_eq!(asked_for(&whole, &base, "demo"), expected);
    }

    #[test]
    fn what_was_asked_for_comes_to_the_same_spec_again() {
        let package = Package::embedded().unwrap();
        let resolve = |spec: Value| {
            let request = request::from_resource(&json!({ "spec": spec }));
            render::resolve(&request, &package, Strictness::TakenOver).unwrap().spec().clone()
        };
        let asked = json!({"profile": "demo", "revision": "canary", "meshConfig": {"accessLogFile": null},
            "components": {"egressGateways": [{"name": "istio-egressgateway", "enabled": false}]},
            "values": {"global": {"logging": {"level": "all:debug"}}}});
        let (whole, base) = (resolve(asked), resolve(json!({"profile": "demo"})));
        let again = asked_for(&whole, &base, "demo");
        assert!(again["values"]["global"].as_object().unwrap().len() == 1, "{again}");
        assert_eq!(resolve(again), whole);
    }

    #[test]
    fn a_record_tells_of_whom_it_is() {
        let of = |name: &str, labels: Value, revision: &str| {
            let metadata = json!({"name": name, "namespace": "ns", "labels": labels});
            let record =
                json!({"apiVersion": API_VERSION, "kind": KIND, "metadata": metadata, "spec": {"revision": revision}});
            owner_of(&from_value(record).unwrap())
        };
        let ours = |name: &str| json!({OWNER_NAMESPACE: "ops", OWNER_NAME: name});
        for (name, labels, revision, expected) in [
            ("installed-state", json!({}), "", json!({"namespace": "ns"})),
            ("installed-state-canary", json!({}), "canary", json!({"namespace": "ns"})),
            ("installed-state-main-canary", json!({}), "canary", json!({"namespace": "ns", "name": "main"})),
            ("installed-state-x-0123abcd", ours("x"), "", json!({"namespace": "ops", "name": "x"})),
            ("installed-state", ours(UNNAMED), "", json!({"namespace": "ops"})),
            ("installed-state", json!({OWNER_NAMESPACE: "ops"}), "", json!({"namespace": "ops"})),
        ] {
            assert_eq!(of(name, labels.clone(), revision), expected, "{name} {labels}");
        }
    }
}
