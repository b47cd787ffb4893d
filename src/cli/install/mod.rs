//! `install`: what a spec comes to is applied until it is ready.
//!
//! ```text
//! flags → wanted → prepare (who else writes, what would change) → question → work, with progress → record
//! ```
//!
//! Nothing is written before the question is answered. Whoever runs the same command again, after it was killed at any moment, goes on
//! where it was.

mod args;
mod known;
pub(super) mod neighbours;
mod outlook;
pub(super) mod planning;
mod prepare;
pub(super) mod progress;
mod wanted;
pub(super) mod work;

use super::cluster::{self, ClusterArgs, Connected};
use super::confirm::may_go_on;
use super::input::Outcome;
use super::manifest::SpecArgs;
use super::screen::Screen;
use super::verification::verify;
use crate::api::component::Component;
use crate::object::manifests::Manifests;
use crate::spec::switches::skipped_minors;
use anyhow::{Context, bail};
use outlook::Outlook;
use planning::{Planned, Staying};
use prepare::{Prepared, prepare};
use progress::Progress;
use std::io::Write;
use tokio::signal;
use wanted::Aim;
use work::{End, Work};

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
    install(args, &connected, wanted, &mut Screen::new(out))
}

/// `upgrade`: the same for a control plane that is there, with the release of the flag or the built-in one.
pub(super) fn upgrade(args: &InstallArgs, out: &mut dyn Write) -> Outcome {
    let connected = cluster::connect_to(&args.cluster.connect)?;
    let wanted = wanted::read(&args.spec, &args.spec.files()?, &args.cluster, &connected, Aim::Move)?;
    let revision = wanted.manifests.revision_label();
    let mut screen = Screen::new(out);
    match &wanted.installed {
        Some((object, release)) => {
            let to = &wanted.manifests.release;
            screen.note(&format!("{object} is of release {release}; this is release {to}."));
            let skipped = skipped_minors(release, to).len();
            if skipped > 0 {
                screen.note(&format!(
                    "Warning: this leaves out {skipped} minor releases between {release} and {to}; Istio's own upgrades are tested \
                     from one minor release to the next. `istio-operator upgrade plan` tells what is different."
                ));
            }
        }
        None if connected.has_control_plane(revision)? => {
            screen.note(&format!(
                "Warning: the control plane of revision {revision} does not tell which release it is of."
            ));
        }
        None => bail!(
            "there is no control plane of revision {revision} to upgrade; use `istio-operator install` for a new one"
        ),
    }
    install(args, &connected, wanted, &mut screen)
}

/// Installs what is wanted.
fn install(args: &InstallArgs, connected: &Connected, wanted: Wanted, screen: &mut Screen<'_>) -> Outcome {
    let question = question(&wanted.manifests);
    let components: Vec<Component> = wanted.manifests.parts.iter().map(|part| part.component).collect();
    let mut prepared = connected.wait(prepare(args, connected, wanted))?;
    let planned = &mut prepared.planned;
    let outlook = Outlook::new(std::mem::take(&mut planned.forecasts), &planned.plan);
    let kept = |one: &Staying| format!("{} and all that it needs, since its control plane {}", one.istiod, one.why);
    for line in outlook.lines(&planned.staying.iter().map(kept).collect::<Vec<_>>()) {
        screen.note(&line);
    }
    if args.dry_run {
        return Ok(0);
    }
    if !args.skip_confirmation && !may_go_on(&question, screen) {
        return Ok(1);
    }
    apply(args, connected, prepared, &components, screen)
}

/// Applies what is prepared, and tells how it goes.
fn apply(
    args: &InstallArgs,
    connected: &Connected,
    prepared: Prepared,
    components: &[Component],
    screen: &mut Screen<'_>,
) -> Outcome {
    let Prepared { owner, planned: Planned { plan, state, .. }, neighbours } = prepared;
    let timeout = args.readiness_timeout;
    let work = Work { cluster: &connected.cluster, owner: &owner, plan: &plan, neighbours: &neighbours, timeout };
    let mut progress = Progress::new(screen);
    let end = connected.wait(async {
        tokio::select! {
            end = work.finish(state, &mut progress) => Ok(Some(end)),
            stopped = signal::ctrl_c() => stopped.map(|()| None),
        }
    });
    let (what, failed) = match end.context("listen for Ctrl-C")? {
        Some(end @ (End::Ready | End::Unrecorded(_))) => {
            if let End::Unrecorded(why) = end {
                screen.note(&format!("Warning: there is no record of the installation: {why}"));
            }
            screen.tick("Installation complete");
            if plan.manifests().is_default_unasked {
                // It came with the rest.
                screen.say("Making this installation the default for injection and validation.");
            }
            if args.verify && !components.is_empty() {
                let objects = plan.manifests().objects().cloned().collect();
                return Ok(verify(connected, objects, &plan.manifests().namespace, screen));
            }
            return Ok(0);
        }
        Some(End::TimedOut(open)) => (format!("not ready after {timeout:?}: "), open),
        Some(End::Failed(failed)) => (String::new(), failed),
        None => return Ok(stopped(&progress, components)),
    };
    for (component, why) in failed {
        let title = component.map_or("Installation", |component| component.info().title);
        screen.cross(&format!("{title}: {what}{why}"));
    }
    screen.note("Error: failed to install manifests: errors occurred during operation; what is installed stays, and the same command goes on");
    Ok(1)
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
