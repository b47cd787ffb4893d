//! A spec against a cluster: what the operator would do, were the resource in it as it is in the file.

use super::super::cluster::{self, ConnectArgs, Connected};
use super::super::input::warn;
use super::super::install::planning::{self, Planned, Staying};
use super::super::manifest::SpecArgs;
use super::found::{Found, Note};
use super::selected;
use crate::cluster::status_text::{read_status, unknown_part};
use crate::diff::{Selection, change_of};
use crate::install::fields::Effect;
use crate::install::forecast::{Fate, Forecast};
use crate::install::{Engine, NoCache, Silent, State, downgrade, summary};
use crate::object::inventory;
use crate::object::manifests::Manifests;
use crate::object::{ObjectKey, OwnerId};
use crate::release::Package;
use crate::render;
use crate::spec::request::{self, NamedPackage};
use anyhow::ensure;
use serde_json::Value;

/// Where a resource is that says no namespace.
const NAMESPACE: &str = "istio-system";

/// What would become of every object.
///
/// # Errors
/// The spec is refused, or the cluster cannot be asked.
pub(super) fn compare(spec: &SpecArgs, connect: &ConnectArgs, selection: &Selection) -> anyhow::Result<Found> {
    let files = spec.files()?;
    let connected = cluster::connect_to(connect)?;
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
    let (Planned { forecasts, staying, .. }, mut notes) = connected.wait(ask(&connected, &owner, manifests))?;
    let stay = staying.iter().flat_map(|one| one.keys.iter().cloned());
    selected::check(selection, forecasts.iter().map(|forecast| forecast.key.clone()), stay)?;
    let mut found = Found::default();
    for forecast in forecasts.into_iter().filter(|forecast| selection.includes(&forecast.key)) {
        take(forecast, selection, &mut found);
    }
    for Staying { keys, why, .. } in staying {
        let note = |key: &ObjectKey| Note::new(key, format!("stays, since its control plane {why}"));
        found.notes.extend(keys.iter().filter(|key| selection.includes(key)).map(note));
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

async fn ask(connected: &Connected, owner: &OwnerId, manifests: Manifests) -> anyhow::Result<(Planned, Vec<Note>)> {
    let cluster = &connected.cluster;
    let others = planning::others_of(cluster, owner).await?;
    let engine = Engine { cluster, cache: &NoCache, others: &others, listener: &Silent };
    let resource = match connected.cluster.owner(owner).await {
        // The CRD of the operator is not there: neither is a resource.
        Err(error) if error.is_absent() => None,
        other => other?,
    };
    let text = resource.as_ref().map_or("", |resource| resource.status.as_str());
    let mut state = State::new(inventory::of_status(&read_status(text)));
    let mut notes = vec![];
    if let Some(lost) = unknown_part(text) {
        let message = format!("a part of its status cannot be read, and counts as absent: {lost}");
        notes.push(Note { object: format!("IstioOperator {owner}"), message });
    }
    let allowed = resource.as_ref().and_then(|resource| resource.annotation(crate::api::ALLOW_DOWNGRADE));
    if let Some(downgrade) = downgrade::forbid(&engine, &mut state, &manifests, allowed).await? {
        notes.push(Note { object: format!("IstioOperator {owner}"), message: downgrade.to_string() });
    }
    Ok((planning::plan(&engine, owner, manifests, state, false).await?, notes))
}

fn take(forecast: Forecast, selection: &Selection, found: &mut Found) {
    let Forecast { key, fate, .. } = forecast;
    let note = |message: String| Note::new(&key, message);
    let change = match fate {
        Fate::Same => None,
        Fate::Create(after) => change_of(&key, [None, Some(after)], selection),
        Fate::Change(changed) => {
            let Effect { before, after } = *changed;
            change_of(&key, [Some(before), Some(after)], selection)
        }
        Fate::Delete(deleted) => change_of(&key, [Some(deleted.before), None], selection),
        Fate::Ignored => {
            return found.notes.push(note(format!("is left alone, for it is annotated {}", crate::api::IGNORE)));
        }
        Fate::Foreign(other) => {
            let message = format!("belongs to IstioOperator {other}, and is left as it is while that wants it");
            return found.notes.push(note(message));
        }
        Fate::Conflict(other, fields) => {
            let fields = summary(&fields);
            let message = format!("belongs to IstioOperator {other}, which wants {fields} otherwise");
            return found.conflicts.push(note(message));
        }
        Fate::Refused(refused) => return found.unknown.push(note(refused.why)),
        Fate::Unknown(error) => return found.unknown.push(note(error.to_string())),
    };
    found.objects.extend(change);
}
