//! A spec against a cluster: what the operator would do, were the resource in it as it is in the file.

use super::super::cluster::{self, ConnectArgs, Connected};
use super::super::input::warn;
use super::super::manifest::SpecArgs;
use super::found::{Found, Note};
use crate::api::component::Component;
use crate::diff::{Selection, change_of};
use crate::install::forecast::{Changed, Deleted, Fate, Forecast};
use crate::install::{Draft, Engine, Silent, State, downgrade, installed_state};
use crate::object::OwnerId;
use crate::object::inventory;
use crate::object::manifests::Manifests;
use crate::object::pods::{Pods, pods_of};
use crate::release::Package;
use crate::render;
use crate::spec::request::{self, NamedPackage};
use anyhow::{bail, ensure};
use serde_json::Value;
use std::collections::BTreeMap;

/// Where a resource is that says no namespace.
const NAMESPACE: &str = "istio-system";

/// What would become of every object.
///
/// # Errors
/// The spec is refused, or the cluster cannot be asked.
pub(super) fn compare(spec: &SpecArgs, connect: &ConnectArgs, selection: &Selection) -> anyhow::Result<Found> {
    let connected = cluster::connect_to(connect)?;
    let files = spec.files()?;
    let package = package(spec, &files, &connected)?;
    let request = spec.request_for(&files, package.switches())?;
    let text = |field: &str| request.metadata.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
    let (name, namespace) = (text("name"), Some(text("namespace")).filter(|n| !n.is_empty()));
    ensure!(!name.is_empty(), "the resource has no metadata.name, by which the cluster knows what it has installed");
    let owner = OwnerId::new(namespace.unwrap_or_else(|| NAMESPACE.to_owned()), name);
    let info = connected.info_for(&owner, &spec.revision_of(&files))?;
    let manifests = render::build(&request, &info, &package, spec.strictness())?;
    warn(&[&manifests.warnings]);
    let manifests = render::labelled(manifests, &owner);
    let (forecasts, mut notes, pods) = connected.wait(ask(&connected, &owner, manifests))?;
    let staying = staying(&connected, &forecasts, &pods);
    let mut found = Found::default();
    for forecast in forecasts.into_iter().filter(|forecast| selection.includes(&forecast.key)) {
        take(forecast, &staying, selection, &mut found);
    }
    found.notes.append(&mut notes);
    Ok(found)
}

/// The package that the operator would take: that of the flag, the one that the resource names, or that of the release that is
/// installed.
fn package(spec: &SpecArgs, files: &[(String, String)], connected: &Connected) -> anyhow::Result<Package> {
    let named = match request::named_package(files, &spec.set) {
        None if spec.package.manifests.is_none() => {
            connected.installed(&spec.revision_of(files))?.map(|(_, release)| NamedPackage::Release(release))
        }
        named => named,
    };
    Ok(spec.package.open(named)?.as_upstream(spec.upstream_behavior))
}

type Asked = (Vec<Forecast>, Vec<Note>, Vec<Pods>);

async fn ask(connected: &Connected, owner: &OwnerId, mut manifests: Manifests) -> anyhow::Result<Asked> {
    let engine = Engine::alone(&connected.cluster, &Silent);
    let resource = match connected.cluster.owner(owner).await {
        // The CRD of the operator is not there: neither is a resource.
        Err(error) if error.is_absent() => None,
        other => other?,
    };
    let status = resource.as_ref().and_then(|resource| serde_json::from_str(&resource.status).ok());
    let inventory = status.as_ref().map(inventory::of_status).unwrap_or_default();
    let mut state = State::new(inventory);
    let mut notes = vec![];
    let allowed = resource.as_ref().and_then(|resource| resource.annotation(crate::api::ALLOW_DOWNGRADE));
    if let Some(downgrade) = downgrade::forbid(&engine, &mut state, &manifests, allowed).await? {
        notes.push(Note { object: format!("IstioOperator {owner}"), message: downgrade.to_string() });
    }
    let pods = manifests.objects().filter(|object| object.group() == "apps");
    let pods = pods.filter_map(|object| pods_of(object.namespace(), &object.value())).collect();
    let record_name = installed_state::name(&owner.name, &manifests.revision);
    let record = installed_state::record((&owner.namespace, &owner.name), &record_name, &mut manifests)?;
    let draft = Draft::new(&engine, manifests, record).await;
    let candidates = draft.candidates(&engine, owner, &mut state).await?;
    let plan = draft.plan(&engine, candidates, vec![]).await?;
    match engine.forecast(owner, &plan, &state).await {
        Ok(forecasts) => Ok((forecasts, notes, pods)),
        Err(error) => bail!("{error}"),
    }
}

/// Why the control planes stay that would be deleted, by their revision: those that somebody uses.
fn staying(connected: &Connected, forecasts: &[Forecast], own: &[Pods]) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for Deleted { component, revision, .. } in forecasts.iter().filter_map(|forecast| match &forecast.fate {
        Fate::Delete(deleted) if forecast.key.kind == "Deployment" => Some(&**deleted),
        _ => None,
    }) {
        let Some(revision) = revision.as_ref().filter(|_| component.is_none_or(Component::is_control_plane)) else {
            continue;
        };
        let why = match connected.users_of(revision, own) {
            Ok(users) if users.is_empty() => continue,
            Ok(users) => format!("stays while its control plane is in use, by {users}"),
            Err(error) => format!("stays, since it is not known who uses its control plane: {error}"),
        };
        found.insert(revision.clone(), why);
    }
    found
}

fn take(forecast: Forecast, staying: &BTreeMap<String, String>, selection: &Selection, found: &mut Found) {
    let Forecast { key, fate } = forecast;
    let object = key.to_string();
    let note = |message: String| Note { object: object.clone(), message };
    let change = match fate {
        Fate::Same => None,
        Fate::Create(after) => change_of(&key, [None, Some(after)], &[], selection),
        Fate::Change(changed) => {
            let Changed { before, after, taken_over } = *changed;
            change_of(&key, [Some(before), Some(after)], &taken_over, selection)
        }
        Fate::Delete(deleted) => {
            let is_gateway = deleted.component.is_some_and(Component::is_gateways);
            match deleted.revision.as_ref().and_then(|revision| staying.get(revision)).filter(|_| !is_gateway) {
                Some(why) => return found.notes.push(note(why.clone())),
                None => change_of(&key, [Some(deleted.before), None], &[], selection),
            }
        }
        Fate::Ignored => {
            return found.notes.push(note(format!("is left alone, for it is annotated {}", crate::api::IGNORE)));
        }
        Fate::Foreign(other) => {
            return found
                .notes
                .push(note(format!("belongs to IstioOperator {other}, and is left as it is while that wants it")));
        }
        Fate::Unknown(why) => return found.unknown.push(note(why)),
    };
    found.objects.extend(change);
}
