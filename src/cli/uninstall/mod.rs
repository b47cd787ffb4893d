//! `uninstall`: removes a control plane, what a spec renders to, or everything of Istio.
//!
//! ```text
//! flags → found → who still uses it → question → turn → removal, wave by wave, until nothing is left
//! ```

mod args;
mod found;
mod removal;
mod shared;

use super::cluster::{self, Connected};
use super::confirm::may_go_on;
use super::input::{Outcome, wrong_use};
use super::install::{Resources, Wanted, read_wanted};
use super::lease::{self, Work};
use super::remaining::Kept;
use super::screen::Screen;
use super::turn::{self, Plane, Turn};
use crate::api::component::Component;
use crate::api::{FINALIZER, INSTALLED_STATE, KIND};
use crate::cluster::ClusterError;
use crate::controller;
use crate::install::remains::Remaining;
use crate::install::{cut_summary, summary};
use crate::object::OwnerId;
use crate::object::manifests::{Manifests, revision_label};
use crate::object::pods::Pods;
use anyhow::{Context, bail};
use found::Found;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::time::Duration;

pub(super) use args::UninstallArgs;

/// What is to be removed.
enum Target {
    Everything,
    Revision(String),
    Manifests(Box<Manifests>, OwnerId),
}

/// `uninstall`.
pub(super) fn run(args: &UninstallArgs, out: &mut dyn Write) -> Outcome {
    let files = args.spec.files()?;
    let revision = args.spec.revision_of(&files);
    if !args.purge && files.is_empty() && revision.is_empty() {
        return Ok(wrong_use(
            "at least one of the --revision (or --set revision=<revision>), --filename or --purge flags must be set",
        ));
    }
    let connected = cluster::connect_to(&args.cluster.connect)?;
    let mut screen = Screen::new(out);
    let target = target(args, &connected, &revision, &files, &mut screen)?;
    let crd = if args.purge { definition_of_an_operator(&connected) } else { None };
    let look = async || {
        let mut found = find(&connected, &target).await?;
        found.to_delete.retain(|key, _| crd.as_ref().is_none_or(|(name, _)| key.name != *name));
        Ok::<_, ClusterError>(found)
    };
    let mut found = connected.wait(look())?;
    if let (true, Target::Revision(revision)) = (found.is_empty(), &target) {
        bail!("could not find target revision {revision:?}; `istio-operator version` lists those there are");
    }
    let kept = keep(args, &connected, &target, &mut found)?;
    warn(&connected, &target, &found, &mut screen);
    kept.lines.iter().for_each(|line| screen.note(line));
    if let Some((name, why)) = &crd {
        screen.note(&format!("The CRD {name} stays, since {why}."));
    }
    if found.to_delete.is_empty() {
        screen.note("There is nothing to remove.");
        return Ok(0);
    }
    if args.dry_run {
        for key in found.to_delete.keys() {
            screen.say(&format!("Not pruning object {} because of dry run.", removal::upstreams_name(key)));
        }
        return Ok(0);
    }
    if !args.skip_confirmation && !may_go_on("Proceed? (y/N)", &mut screen) {
        return Ok(1);
    }
    let look = async || {
        let mut to_delete = look().await?.to_delete;
        to_delete.retain(|key, _| !kept.keys.contains(key));
        Ok(to_delete)
    };
    let turn = connected.wait(take_turn(&connected, &found, &mut screen))?;
    let remove = removal::remove(&connected.cluster, found.to_delete, args.timeout, look, &mut screen);
    check(connected.wait(turn.during(async { Ok(remove.await?) }))?, args.timeout)?;
    screen.tick("Uninstall complete");
    Ok(0)
}

/// Whether everything is gone; `None` is a removal that was stopped.
fn check(end: Option<removal::End>, timeout: Duration) -> anyhow::Result<()> {
    let Some(end) = end else {
        bail!("interrupted: what is removed is told above, the rest is there; the same command goes on");
    };
    let left = cut_summary(&end.left);
    if !end.refused.is_empty() {
        let rest = if left.is_empty() { left } else { format!(", so that these were not tried: {left}") };
        bail!("not everything could be removed: {}{rest}; the same command goes on", cut_summary(&end.refused));
    }
    if !left.is_empty() {
        bail!("still there after {timeout:?}: {left}; the same command looks again");
    }
    Ok(())
}

/// Takes the Leases of the control planes that go, so that no `install` brings back what is removed.
async fn take_turn(connected: &Connected, found: &Found, screen: &mut Screen<'_>) -> anyhow::Result<Turn> {
    let planes = found.control_planes();
    let planes: BTreeSet<Plane> =
        planes.map(|one| Plane { namespace: &one.key.namespace, revision: revision_label(&one.revision) }).collect();
    turn::take(&connected.cluster, planes, None, screen).await
}

/// What the flags mean, unless an operator would put it back.
fn target(
    args: &UninstallArgs,
    connected: &Connected,
    revision: &str,
    files: &[(String, String)],
    screen: &mut Screen<'_>,
) -> anyhow::Result<Target> {
    if args.purge {
        if !files.is_empty() || !revision.is_empty() {
            screen.note("Warning: --purge removes everything of Istio, whatever the revision and the files say");
        }
        return Ok(Target::Everything);
    }
    let (target, revision, owner) = if files.is_empty() {
        let revision = revision_label(revision).to_owned();
        (Target::Revision(revision.clone()), revision, None)
    } else {
        let Wanted { manifests, owner, .. } = read_wanted(&args.spec, files, &args.cluster, connected)?;
        let revision = manifests.revision_label().to_owned();
        (Target::Manifests(Box::new(manifests), owner.clone()), revision, Some(owner))
    };
    let resources = connected.wait(Resources::read(&connected.cluster)).context(
        "whether an operator installs this from an IstioOperator resource is known only to who may list \
         istiooperators.install.istio.io in all namespaces",
    )?;
    if let Some(first) = resources.same(&revision, owner.as_ref()).first().filter(|_| !args.spec.force) {
        bail!(
            "IstioOperator {first} is what installs this, and its operator would put it back: delete that resource instead (kubectl \
             delete istiooperator {} -n {}), or add --force",
            first.name,
            first.namespace
        );
    }
    Ok(target)
}

/// Takes from what goes what other revisions want; nobody does where everything goes.
fn keep(args: &UninstallArgs, connected: &Connected, target: &Target, found: &mut Found) -> anyhow::Result<Kept> {
    let revision = match target {
        Target::Everything => return Ok(Kept::default()),
        Target::Manifests(manifests, _) => manifests.revision_label(),
        Target::Revision(revision) => {
            shared::check_namespace(args.cluster.istio_namespace.as_deref(), found)?;
            revision
        }
    };
    Ok(connected.wait(shared::keep(&connected.cluster, revision, found))?)
}

async fn find(connected: &Connected, target: &Target) -> Result<Found, ClusterError> {
    match target {
        Target::Everything => found::everything(&connected.cluster).await,
        Target::Revision(revision) => found::of_revision(&connected.cluster, revision).await,
        Target::Manifests(manifests, owner) => found::of_manifests(&connected.cluster, manifests, owner).await,
    }
}

/// Says who still uses what goes, and what else is to be known before it does.
fn warn(connected: &Connected, target: &Target, found: &Found, screen: &mut Screen<'_>) {
    let to_delete = || found.to_delete.values();
    let own: Vec<Pods> = to_delete().filter_map(|one| one.pods.clone()).collect();
    let mut planes: BTreeMap<&str, bool> = BTreeMap::new();
    for one in found.control_planes() {
        *planes.entry(revision_label(&one.revision)).or_default() |= one.is_external;
    }
    for (revision, is_external) in planes {
        let users = controller::users_of_plane(&connected.cluster, revision, &own, is_external);
        match connected.wait(users) {
            Ok(users) if users.is_empty() => {}
            Ok(users) => screen.note(&format!(
                "Warning: the control plane of revision {revision} is still in use, by {} pods and {} namespaces of this cluster: \
                 {users}. Their proxies lose it.",
                users.pods, users.namespaces
            )),
            Err(error) => screen.note(&format!(
                "Warning: it is not known who uses the control plane of revision {revision}: {error}"
            )),
        }
    }
    let gateways: Vec<String> = to_delete().filter(|one| is_gateway(one)).map(|one| one.key.to_string()).collect();
    if !gateways.is_empty() {
        screen
            .note(&format!("Warning: these gateways are deleted: {}. Traffic through them ends.", summary(&gateways)));
    }
    let resources = || to_delete().filter(|one| one.key.kind == KIND && !one.key.name.starts_with(INSTALLED_STATE));
    let names: Vec<String> = resources().map(|one| one.key.to_string()).collect();
    if !names.is_empty() {
        screen.note(&format!("Warning: these are deleted with what they installed: {}.", summary(&names)));
    }
    let is_held = |one: &&Remaining| one.finalizers.iter().any(|finalizer| finalizer != FINALIZER);
    let held: Vec<String> = resources().filter(is_held).map(Remaining::told).collect();
    if !held.is_empty() {
        screen.note(&format!("Warning: these end only when others let them: {}.", summary(&held)));
    }
    for (why, names) in &found.stays {
        screen.note(&format!("These stay, for {why}: {}.", summary(&names.iter().cloned().collect::<Vec<_>>())));
    }
    if !found.resources.is_empty() {
        screen.note("Warning: with the CRDs all resources of their kinds are deleted, whoever created them:");
        found.resources.iter().for_each(|(kind, counts)| screen.note(&format!("  {}", found::counted(kind, counts))));
    }
    found
        .uncounted
        .iter()
        .for_each(|why| screen.note(&format!("Warning: it is not known what there is of a kind: {why}")));
    if matches!(target, Target::Everything) {
        screen.note("All Istio resources will be pruned from the cluster");
    }
}

fn is_gateway(one: &Remaining) -> bool {
    let is_named = || one.key.name.contains("gateway");
    one.key.kind == "Deployment" && one.component.map_or_else(is_named, Component::is_gateways)
}

/// The CRD of IstioOperator stays while an operator works, or may work: it cannot do without it, and did not get it from an
/// installation. With the reason.
fn definition_of_an_operator(connected: &Connected) -> Option<(String, String)> {
    let why = match connected.wait(work(connected)) {
        Work::Idle(_) => return None,
        Work::Works(why) => format!("an operator runs: {why}"),
        Work::Unknown(why) => format!("it is not known whether an operator runs: {why}"),
    };
    Some((format!("{}.{}", crate::api::PLURAL, crate::api::GROUP), why))
}

/// Whether an operator works. One without leader election has no Lease, but it is deployed.
async fn work(connected: &Connected) -> Work {
    let found = match lease::operators(&connected.cluster).await {
        Err(why) => return Work::Unknown(why),
        Ok(found) if !found.is_empty() => return lease::work_of(found.iter()),
        Ok(_) => lease::deployments(&connected.cluster, None).await,
    };
    match found.map(|all| all.into_iter().next()) {
        Err(error) => Work::Unknown(error.to_string()),
        Ok(None) => Work::Idle("there is neither a Lease nor a Deployment of one".to_owned()),
        Ok(Some(one)) => {
            let name = one.metadata.name.unwrap_or_default();
            Work::Unknown(format!("Deployment {}/{name} has no Lease", one.metadata.namespace.unwrap_or_default()))
        }
    }
}
