//! `install`: applies what a spec renders to, and waits until it is ready.
//!
//! ```text
//! flags, or the record → wanted → prepare (who else writes, whose objects these are, what would change) → question → turn → work → record
//! ```
//!
//! Nothing is written before the question is answered. Whoever runs the same command again, after it was killed at any moment, goes on
//! where it was; whoever runs another one meanwhile is turned away.

mod args;
mod definition;
mod known;
mod namespace;
pub(super) mod neighbours;
mod outlook;
pub(super) mod planning;
mod prepare;
pub(super) mod progress;
pub(super) mod recorded;
mod rivals;
mod takeover;
mod wanted;
pub(super) mod work;

use super::cluster::{self, ClusterArgs, Connected};
use super::confirm::may_go_on;
use super::input::Outcome;
use super::manifest::SpecArgs;
use super::screen::Screen;
use super::turn;
use super::verification::verify;
use crate::api::component::Component;
use crate::install::Plan;
use crate::object::manifests::Manifests;
use crate::spec::switches::skipped_minors;
use anyhow::bail;
use definition::Definition;
use outlook::Outlook;
use planning::Planned;
use prepare::{Prepared, prepare};
use progress::Progress;
use recorded::Recorded;
use std::io::Write;
use wanted::Aim;
use work::{End, Failed, Work};

pub(super) use args::{INSTALL_EXAMPLES, InstallArgs, UPGRADE_EXAMPLES};
pub(super) use neighbours::Resources;
pub(super) use wanted::Wanted;

/// What files, by name and text, and flags want of the control plane that is there.
///
/// # Errors
/// See [`wanted::read`].
pub(super) fn read_wanted(
    spec: &SpecArgs,
    files: &[(String, String)],
    place: &ClusterArgs,
    connected: &Connected,
) -> anyhow::Result<Wanted> {
    wanted::read(spec, files, place, connected, Aim::Stay)
}

/// `install`.
pub(super) fn run(args: &InstallArgs, out: &mut dyn Write) -> Outcome {
    let connected = cluster::connect_to(&args.cluster.connect)?;
    let wanted = wanted::read(&args.spec, &args.spec.files()?, &args.cluster, &connected, Aim::Stay)?;
    let mut screen = Screen::new(out);
    tell_releases(&connected, &wanted, &mut screen)?;
    install(args, &connected, wanted, &mut screen)
}

/// `upgrade`: the same for a control plane that is there, with the release of the flag or the built-in one.
pub(super) fn upgrade(args: &InstallArgs, out: &mut dyn Write) -> Outcome {
    let connected = cluster::connect_to(&args.cluster.connect)?;
    let mut screen = Screen::new(out);
    let files = files_of_upgrade(args, &connected, &mut screen)?;
    let wanted = wanted::read(&args.spec, &files, &args.cluster, &connected, Aim::Move)?;
    let revision = wanted.manifests.revision_label();
    if !tell_releases(&connected, &wanted, &mut screen)? {
        bail!(
            "there is no control plane of revision {revision} to upgrade; use `istio-operator install` for a new one"
        );
    }
    install(args, &connected, wanted, &mut screen)
}

/// The files of an upgrade: those that are named, or else the record of what is installed.
fn files_of_upgrade(
    args: &InstallArgs,
    connected: &Connected,
    screen: &mut Screen<'_>,
) -> anyhow::Result<Vec<(String, String)>> {
    if !args.spec.filename.is_empty() || !args.spec.set.is_empty() {
        return args.spec.files();
    }
    let Some(Recorded { file, profile }) = recorded::read(connected, &args.spec)? else {
        screen.note(
            "Warning: no spec is named, and there is no record of what was installed: profile default is taken, and what that does not \
             have goes; name the spec with -f or --set.",
        );
        return Ok(vec![]);
    };
    screen.note(&format!("No spec is named: that of {} is taken, of profile {profile}.", file.0));
    Ok(vec![file])
}

/// Says from which release to which a control plane goes, and how many it leaves out. Whether there is one.
fn tell_releases(connected: &Connected, wanted: &Wanted, screen: &mut Screen<'_>) -> anyhow::Result<bool> {
    let Manifests { release: to, profile, .. } = &wanted.manifests;
    let Some((object, release)) = &wanted.installed else {
        let revision = wanted.manifests.revision_label();
        let is_there = connected.has_control_plane(revision)?;
        if is_there {
            screen.note(&format!(
                "Warning: the control plane of revision {revision} does not tell which release it is of; this is release {to}, profile \
                 {profile}."
            ));
        }
        return Ok(is_there);
    };
    if release == to && wanted.aim == Aim::Stay {
        return Ok(true);
    }
    screen.note(&format!("{object} is of release {release}; this is release {to}, profile {profile}."));
    let skipped = skipped_minors(release, to).len();
    if skipped > 0 {
        screen.note(&format!(
            "Warning: this leaves out {skipped} minor releases between {release} and {to}; Istio's own upgrades are tested \
             from one minor release to the next. `istio-operator upgrade plan` tells what is different."
        ));
    }
    Ok(true)
}

/// Installs what is wanted.
fn install(args: &InstallArgs, connected: &Connected, mut wanted: Wanted, screen: &mut Screen<'_>) -> Outcome {
    let is_forced = args.spec.force || args.spec.upstream_behavior;
    match wanted.split.take() {
        Some(split) if !is_forced => return Err(split),
        split => split.iter().for_each(|split| screen.note(&format!("Warning: {split}"))),
    }
    let question = question(&wanted.manifests);
    let components: Vec<Component> = wanted.manifests.parts.iter().map(|part| part.component).collect();
    let mut prepared = connected.wait(prepare(args, connected, wanted))?;
    let planned = &mut prepared.planned;
    let definition = connected.wait(Definition::look(&connected.cluster, &planned.plan));
    planned.forecasts.extend(definition.forecast());
    let outlook = Outlook::new(planned);
    match args.output {
        Some(format) => outlook.print(format, screen.out())?,
        None => outlook.lines(args.dry_run).iter().for_each(|line| screen.note(line)),
    }
    if let Some(warning) = definition.warning() {
        screen.note(&warning);
    }
    let failures = outlook.failures();
    if let Some(user) = &outlook.user {
        screen.note(&how_to_grant(user, &planned.plan.manifests().release));
    }
    prepared.planned.shared.iter().chain(&prepared.takeovers).for_each(|line| screen.note(line));
    match prepared.in_the_way.take() {
        Some(why) if !args.spec.force => bail!(why),
        why => why.iter().for_each(|why| screen.note(&format!("Warning: {why}"))),
    }
    if args.dry_run {
        return Ok(u8::from(failures > 0));
    }
    if failures > 0 && !args.spec.force {
        let objects = if failures == 1 { "object" } else { "objects" };
        screen.note(&format!(
            "Error: {failures} {objects} will fail, so nothing is written; --force begins all the same"
        ));
        return Ok(1);
    }
    if !args.skip_confirmation && !may_go_on(&question, screen) {
        return Ok(1);
    }
    apply(args, connected, (prepared, &definition), &components, screen)
}

/// What a user can do who lacks permissions.
fn how_to_grant(user: &str, release: &str) -> String {
    format!(
        "The context of this kubeconfig logs in as user {user}. An administrator grants what that user lacks by\n  \
         istio-operator role | kubectl apply -f -\n  \
         istio-operator role -d {release} | kubectl apply -f -\n  \
         kubectl create clusterrolebinding istio-installer --clusterrole=istio-operator --user={user}\n\
         Or name the context of another user with --context."
    )
}

/// Applies what is prepared, and tells how it goes.
fn apply(
    args: &InstallArgs,
    connected: &Connected,
    (prepared, definition): (Prepared, &Definition),
    components: &[Component],
    screen: &mut Screen<'_>,
) -> Outcome {
    let Prepared { owner, planned: Planned { plan, state, .. }, neighbours, .. } = prepared;
    let timeout = args.readiness_timeout;
    let work = Work { cluster: &connected.cluster, owner: &owner, plan: &plan, neighbours: &neighbours, timeout };
    let turn = connected.wait(turn::take_for(&connected.cluster, plan.manifests(), screen))?;
    let mut progress = Progress::new(screen);
    let end = connected.wait(turn.during(async {
        definition.create(work.cluster).await?;
        Ok(work.finish(state, &mut progress).await)
    }));
    match end? {
        Some(End::Ready) => Ok(complete(args, connected, &plan, screen)),
        Some(End::Unrecorded(why)) => {
            screen.note(&format!("Warning: there is no record of the installation: {why}"));
            Ok(complete(args, connected, &plan, screen))
        }
        Some(End::TimedOut(open)) => Ok(failed(&format!("not ready after {timeout:?}: "), &open, None, screen)),
        Some(End::Failed(Failed { all, user })) => {
            let grant = user.map(|user| how_to_grant(&user, &plan.manifests().release));
            Ok(failed("", &all, grant.as_deref(), screen))
        }
        None => Ok(stopped(&progress, components)),
    }
}

/// Says what is not installed, and what to do about it.
fn failed(what: &str, failed: &[(Option<Component>, String)], advice: Option<&str>, screen: &mut Screen<'_>) -> u8 {
    for (component, why) in failed {
        let title = component.map_or("Installation", |component| component.info().title);
        screen.cross(&format!("{title}: {what}{why}"));
    }
    if let Some(advice) = advice {
        screen.note(advice);
    }
    screen.note("Error: failed to install manifests: errors occurred during operation; what is installed stays, and the same command goes on");
    1
}

/// Says that all is installed, and checks it where that is asked for.
fn complete(args: &InstallArgs, connected: &Connected, plan: &Plan, screen: &mut Screen<'_>) -> u8 {
    let manifests = plan.manifests();
    screen.tick("Installation complete");
    if manifests.is_default_unasked {
        // It came with the rest.
        screen.say("Making this installation the default for injection and validation.");
    }
    if args.verify && !manifests.parts.is_empty() {
        return verify(connected, manifests.objects().cloned().collect(), &manifests.namespace, screen);
    }
    0
}

/// Says how far an installation came that was told to stop.
fn stopped(progress: &Progress<'_, '_>, components: &[Component]) -> u8 {
    let (ready, rest) = progress.so_far(components);
    let list = |all: Vec<String>| if all.is_empty() { "nothing".to_owned() } else { all.join(", ") };
    let ready = list(ready.into_iter().map(str::to_owned).collect());
    eprintln!(
        "\nInterrupted. Installed: {ready}. Not installed or not ready: {}. Run the same command again to go on.",
        list(rest)
    );
    1
}

/// What is asked before anything is written, in upstream's words.
fn question(manifests: &Manifests) -> String {
    let titles: Vec<String> = manifests.parts.iter().map(|part| format!("{:?}", part.component.info().title)).collect();
    let components = match manifests.profile.as_str() {
        "empty" => String::new(),
        _ => format!(" with [{}] components", titles.join(" ")),
    };
    format!(
        "This will install the Istio {} {} profile{components} into the cluster. Proceed? (y/N)",
        manifests.version, manifests.profile
    )
}
