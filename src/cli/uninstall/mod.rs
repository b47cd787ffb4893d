//! `uninstall`: removes a control plane, what a spec comes to, or everything of Istio.
//!
//! ```text
//! flags → found → who still uses it → question → removal, wave by wave, until nothing is left
//! ```

mod args;
mod found;
mod removal;

use super::cluster::{self, Connected};
use super::confirm::confirm;
use super::input::{Outcome, wrong_use};
use super::install::{Resources, Wanted, read_wanted};
use super::lease::{self, Work};
use super::screen::Screen;
use crate::api::{INSTALLED_STATE, KIND};
use crate::cluster::ClusterError;
use crate::install::{cut_summary, summary};
use crate::object::manifests::{Manifests, revision_label};
use crate::object::pods::Pods;
use anyhow::{Context, bail};
use found::{Doomed, Found};
use std::collections::BTreeSet;
use std::io::{Write, stdin};

pub(super) use args::UninstallArgs;

/// What is to be removed.
enum Target {
    Everything,
    Revision(String),
    Manifests(Box<Manifests>),
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
    let target = target(args, &connected, &revision, !files.is_empty(), &mut screen)?;
    let crd = if args.purge { definition_of_an_operator(&connected) } else { None };
    let look = async || {
        let mut found = find(&connected, &target).await?;
        found.retain(|key, one| !one.is_kept && crd.as_ref().is_none_or(|(name, _)| key.name != *name));
        Ok::<_, ClusterError>(found)
    };
    let all = connected.wait(find(&connected, &target))?;
    let found = connected.wait(look())?;
    if let (true, Target::Revision(revision)) = (found.is_empty(), &target) {
        bail!("could not find target revision {revision:?}; `istio-operator version` lists those there are");
    }
    warn(&connected, &target, &all, &found, &mut screen);
    if let Some((name, why)) = &crd {
        screen.note(&format!("The definition {name} stays, since {why}."));
    }
    if found.is_empty() {
        screen.note("There is nothing to remove.");
    }
    if args.dry_run {
        for one in found.values() {
            screen.say(&format!("Not pruning object {} because of dry run.", one.name()));
        }
        return Ok(0);
    }
    if !args.skip_confirmation && !confirm("Proceed? (y/N)", &mut stdin().lock(), screen.out()) {
        screen.say("Cancelled.");
        return Ok(1);
    }
    let end = connected.wait(removal::remove(&connected.cluster, found, look, &mut screen))?;
    if !end.refused.is_empty() {
        bail!("not everything could be removed: {}; the same command goes on", cut_summary(&end.refused));
    }
    if !end.left.is_empty() {
        bail!("still there: {}; the same command looks again", cut_summary(&end.left));
    }
    screen.tick("Uninstall complete");
    Ok(0)
}

/// What the flags mean, unless an operator would put it back.
fn target(
    args: &UninstallArgs,
    connected: &Connected,
    revision: &str,
    has_files: bool,
    screen: &mut Screen<'_>,
) -> anyhow::Result<Target> {
    if args.purge {
        if has_files || !revision.is_empty() {
            screen.note("Warning: --purge removes everything of Istio, whatever the revision and the files say");
        }
        return Ok(Target::Everything);
    }
    let (target, owner) = if has_files {
        let Wanted { manifests, owner, .. } = read_wanted(&args.spec, &args.cluster, connected)?;
        (Target::Manifests(Box::new(manifests)), Some(owner))
    } else {
        (Target::Revision(revision_label(revision).to_owned()), None)
    };
    let revision = match &target {
        Target::Manifests(manifests) => manifests.revision_label().to_owned(),
        _ => revision_label(revision).to_owned(),
    };
    let resources = match connected.wait(Resources::read(&connected.cluster)) {
        Err(_) if args.spec.force => return Ok(target),
        other => other.context(
            "it is not known whether an operator installs this from an IstioOperator resource; with --force this goes on all the same",
        )?,
    };
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

async fn find(connected: &Connected, target: &Target) -> Result<Found, ClusterError> {
    match target {
        Target::Everything => found::everything(&connected.cluster).await,
        Target::Revision(revision) => found::of_revision(&connected.cluster, revision).await,
        Target::Manifests(manifests) => found::of_manifests(&connected.cluster, manifests).await,
    }
}

/// Says who still uses what goes, and what else is to be known before it does.
fn warn(connected: &Connected, target: &Target, all: &Found, found: &Found, screen: &mut Screen<'_>) {
    let own: Vec<Pods> = found.values().filter_map(|one| one.pods.clone()).collect();
    let istiods = found.values().filter(|one| one.is_istiod());
    let revisions: BTreeSet<&str> = istiods.map(|one| revision_label(&one.revision)).collect();
    for revision in revisions {
        match connected.users_of(revision, &own) {
            Ok(users) if users.is_empty() => {}
            Ok(users) => screen.note(&format!(
                "Warning: {} pods and {} namespaces still use the control plane of revision {revision}: {users}. Their proxies lose it.",
                users.pods, users.namespaces
            )),
            Err(error) => screen.note(&format!(
                "Warning: it is not known who uses the control plane of revision {revision}: {error}"
            )),
        }
    }
    let gateways: Vec<String> = found.values().filter(|one| one.is_gateway()).map(|one| one.key.to_string()).collect();
    if !gateways.is_empty() {
        screen.note(&format!(
            "Warning: these gateways go: {}. What comes in or goes out by them ends.",
            summary(&gateways)
        ));
    }
    let is_resource = |one: &&Doomed| one.key.kind == KIND && !one.key.name.starts_with(INSTALLED_STATE);
    let resources: Vec<String> = found.values().filter(is_resource).map(|one| one.key.to_string()).collect();
    if !resources.is_empty() {
        screen.note(&format!("Warning: these are deleted with what they installed: {}.", summary(&resources)));
    }
    let kept: Vec<String> = all.values().filter(|one| one.is_kept).map(|one| one.key.to_string()).collect();
    if !kept.is_empty() {
        screen.note(&format!("These stay, for they are annotated {}=false: {}.", crate::api::PRUNE, summary(&kept)));
    }
    if matches!(target, Target::Everything) {
        screen.note("All Istio resources will be pruned from the cluster");
    }
}

/// The definition of IstioOperator stays while an operator works, or may work: it cannot do without it, and did not get it from an
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
