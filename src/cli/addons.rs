//! `addons`: installs, lists and removes the add-ons, which collect and show telemetry of the mesh.
//!
//! What was installed here is recognized by its labels and its field manager; what others installed under the same names is
//! neither changed nor removed.

mod live;
mod status;

use super::cluster::{self, ClusterArgs, Connected};
use super::confirm::confirm;
use super::duration;
use super::input::Outcome;
use super::output::ListFormat;
use super::rollout::wait_until_ready;
use super::screen::Screen;
use crate::cluster::{ClusterError, told};
use crate::install::forecast::content;
use crate::object::{Object, ObjectKey};
use crate::release::addons::{ADDONS, Addon};
use crate::render::addon::render;
use anyhow::{Context, anyhow, bail};
use clap::builder::PossibleValuesParser;
use clap::{Args, Subcommand};
use futures::future::{join_all, try_join_all};
use futures::stream::{FuturesUnordered, StreamExt};
use kube::api::{DynamicObject, PatchParams};
use live::{MANAGER, found, is_ours, others};
use status::{AddonStatus, Status, status_of};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::{Write, stdin};
use std::time::Duration;
use tokio::time::sleep;

/// How often it is shown what is waited for.
const SHOW: Duration = Duration::from_millis(250);
/// Where add-ons are, and the control plane, unless flags say otherwise.
const ISTIO_SYSTEM: &str = "istio-system";

/// The add-on that looks at one control plane.
const KIALI: &str = "kiali";

/// What `--help` ends with.
const EXAMPLES: &str = "\
Examples:
  istio-operator addons list
  istio-operator addons install --dry-run              # what would be created or changed
  istio-operator addons install prometheus grafana -y
  istio-operator addons install kiali --revision canary
  istio-operator addons remove -y";

/// The commands under `addons`.
#[derive(Subcommand)]
pub(super) enum AddonsCommand {
    /// Install add-ons (default: all).
    #[command(after_help = EXAMPLES)]
    Install(InstallArgs),
    /// Remove add-ons (default: all) that `addons install` installed.
    #[command(after_help = EXAMPLES)]
    Remove(RemoveArgs),
    /// List the add-ons and their states.
    #[command(after_help = EXAMPLES)]
    List(ListArgs),
}

/// Which add-ons, and where.
#[derive(Args)]
pub(super) struct ChoiceArgs {
    /// Names of add-ons.
    #[arg(value_name = "NAME", value_parser = PossibleValuesParser::new(ADDONS.map(|addon| addon.name)))]
    names: Vec<String>,
    /// Do not ask.
    #[arg(short = 'y', long)]
    skip_confirmation: bool,
    /// Only print what would be done; the API server tries it.
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    place: PlaceArgs,
}

/// Where add-ons are.
#[derive(Args)]
#[command(mut_arg("namespace", |arg| arg.help("Namespace of the add-ons (default: that of the control plane)")))]
#[command(mut_arg("istio_namespace", |arg| arg.help("Namespace of the control plane (default: istio-system)")))]
pub(super) struct PlaceArgs {
    #[command(flatten)]
    cluster: ClusterArgs,
}

#[derive(Args)]
pub(super) struct InstallArgs {
    #[command(flatten)]
    choice: ChoiceArgs,
    /// Revision of the control plane that Kiali looks at (default: the one without a name).
    #[arg(short, long, value_name = "REVISION")]
    revision: Option<String>,
    /// Take over fields that somebody else has set.
    #[arg(long)]
    force_conflicts: bool,
    /// How long to wait until the add-ons are ready.
    #[arg(long, value_name = "DURATION", default_value = "5m", value_parser = duration::parse)]
    readiness_timeout: Duration,
}

#[derive(Args)]
pub(super) struct ListArgs {
    /// Output format.
    #[arg(short, long, value_enum, default_value_t)]
    output: ListFormat,
    #[command(flatten)]
    place: PlaceArgs,
}

#[derive(Args)]
pub(super) struct RemoveArgs {
    #[command(flatten)]
    choice: ChoiceArgs,
}

impl PlaceArgs {
    fn istio_namespace(&self) -> &str {
        self.cluster.istio_namespace.as_deref().unwrap_or(ISTIO_SYSTEM)
    }

    fn namespace(&self) -> &str {
        self.cluster.namespace.as_deref().unwrap_or_else(|| self.istio_namespace())
    }

    fn connect(&self) -> anyhow::Result<Connected> {
        cluster::connect_to(&self.cluster.connect)
    }

    fn render(&self, addon: &Addon, revision: &str) -> anyhow::Result<Vec<Object>> {
        Ok(render(addon, self.namespace(), self.istio_namespace(), revision)?)
    }
}

impl ChoiceArgs {
    fn addons(&self) -> Vec<&'static Addon> {
        ADDONS
            .iter()
            .filter(|addon| self.names.is_empty() || self.names.iter().any(|name| name == addon.name))
            .collect()
    }

    /// Asks whether to go on, unless that is said beforehand.
    fn may(&self, verb: &str, addons: &[&Addon], screen: &mut Screen<'_>) -> bool {
        let titles = addons.iter().map(|addon| addon.title).collect::<Vec<_>>().join(", ");
        let question = format!("This will {verb} {titles} in namespace {}. Proceed? (y/N)", self.place.namespace());
        let may = self.skip_confirmation || confirm(&question, &mut stdin().lock(), screen.out());
        if !may {
            screen.say("Cancelled.");
        }
        may
    }
}

/// Runs a command, and gives its exit code.
pub(super) fn run(command: &AddonsCommand, out: &mut dyn Write) -> Outcome {
    match command {
        AddonsCommand::Install(args) => install(args, &mut Screen::new(out)),
        AddonsCommand::Remove(args) => remove(&args.choice, &mut Screen::new(out)),
        AddonsCommand::List(args) => list(args, out),
    }
}

fn install(args: &InstallArgs, screen: &mut Screen<'_>) -> Outcome {
    let choice = &args.choice;
    let addons = choice.addons();
    let revision = args.revision.as_deref().unwrap_or_default();
    let rendered: Vec<_> = addons.iter().map(|addon| choice.place.render(addon, revision)).collect::<Result<_, _>>()?;
    let connected = choice.place.connect()?;
    let namespace = choice.place.namespace();
    let key =
        ObjectKey { group: String::new(), kind: "Namespace".into(), namespace: String::new(), name: namespace.into() };
    // Whoever may not look may be allowed to install all the same.
    if let Ok(None) = connected.wait(connected.cluster.get("v1", &key)) {
        bail!("there is no namespace {namespace}; create it, or name another one with -n");
    }
    args.look_for_control_plane(&addons, &connected, screen);
    if choice.dry_run {
        return Ok(dry_run(args, &connected, &rendered, screen));
    }
    if !choice.may("install", &addons, screen) {
        return Ok(1);
    }
    let work = Work { args, connected: &connected };
    Ok(connected.wait(work.install(addons.into_iter().zip(rendered).collect(), screen)))
}

/// An installation under way.
struct Work<'a> {
    args: &'a InstallArgs,
    connected: &'a Connected,
}

impl Work<'_> {
    /// Installs all at once, and tells each that is ready, or is not in time; gives the exit code.
    async fn install(&self, addons: Vec<(&'static Addon, Vec<Object>)>, screen: &mut Screen<'_>) -> u8 {
        let reasons: RefCell<BTreeMap<&str, String>> = RefCell::default();
        let remember = |addon: &'static Addon, reason: Option<String>| {
            let mut reasons = reasons.borrow_mut();
            match reason {
                Some(reason) => reasons.insert(addon.title, reason),
                None => reasons.remove(addon.title),
            };
        };
        let work = |(addon, objects): (&'static Addon, Vec<Object>)| async move {
            (addon, self.install_one(&objects, |reason| remember(addon, Some(reason))).await)
        };
        let mut under_way: FuturesUnordered<_> = addons.into_iter().map(work).collect();
        let mut code = 0;
        loop {
            tokio::select! {
                next = under_way.next() => match next {
                    Some((addon, Ok(()))) => {
                        remember(addon, None);
                        screen.tick(&format!("{} installed", addon.title));
                    }
                    Some((addon, Err(error))) => {
                        remember(addon, None);
                        screen.cross(&format!("{}: {}", addon.title, told(error.as_ref())));
                        code = 1;
                    }
                    None => return code,
                },
                () = sleep(SHOW) => {
                    let waits = reasons.borrow().iter().map(|(title, reason)| format!("{title}: {reason}")).collect::<Vec<_>>();
                    screen.draw(&format!("  {}", waits.join("; ")));
                }
            }
        }
    }

    /// Applies the objects of an add-on in their order, and waits until it is ready.
    async fn install_one(&self, objects: &[Object], tell: impl Fn(String)) -> anyhow::Result<()> {
        let params = self.args.params(false);
        if !self.args.force_conflicts {
            // Before anything is written, so that nothing is left half done.
            try_join_all(objects.iter().map(|object| self.args.live(self.connected, object))).await?;
        }
        for object in objects {
            self.connected.cluster.apply_as(object, &params).await.map_err(|error| with_hint(&error))?;
        }
        let deployment = objects.iter().find(|object| object.kind() == "Deployment").context("it has no Deployment")?;
        wait_until_ready(&self.connected.cluster, deployment, self.args.readiness_timeout, tell).await
    }
}

impl InstallArgs {
    /// Warns where Kiali would look at a control plane that is not there. It may be installed later.
    fn look_for_control_plane(&self, addons: &[&Addon], connected: &Connected, screen: &mut Screen<'_>) {
        let is_for_kiali = addons.iter().any(|addon| addon.name == KIALI);
        let Some(revision) = self.revision.as_deref().filter(|_| is_for_kiali) else { return };
        match connected.has_control_plane(revision) {
            Ok(true) => {}
            Ok(false) => screen.note(&format!(
                "Warning: there is no control plane of revision {revision}; until there is one Kiali shows nothing of it"
            )),
            Err(error) => screen.note(&format!(
                "Warning: it is not known whether there is a control plane of revision {revision}: {error}"
            )),
        }
    }

    fn params(&self, dry_run: bool) -> PatchParams {
        PatchParams { dry_run, force: self.force_conflicts, ..PatchParams::apply(MANAGER) }
    }

    /// An object as the cluster has it. One that somebody else has installed is refused, unless it may be taken over.
    async fn live(&self, connected: &Connected, object: &Object) -> anyhow::Result<Option<DynamicObject>> {
        let live = connected.cluster.get(object.api_version(), &object.key()).await?;
        match live.as_ref().filter(|live| !self.force_conflicts && !is_ours(&live.metadata)) {
            Some(live) => {
                let others = others(&live.metadata);
                bail!("{} is there, installed by {others}; --force-conflicts takes it over", object.key())
            }
            None => Ok(live),
        }
    }
}

/// What the API server said, and what to do where somebody else has installed the same.
fn with_hint(error: &ClusterError) -> anyhow::Error {
    let hint = match error.code() {
        Some(409) => "; somebody else has set it: --force-conflicts takes it over",
        _ => "",
    };
    anyhow!("{error}{hint}")
}

/// Prints what an installation would do, object by object.
fn dry_run(args: &InstallArgs, connected: &Connected, rendered: &[Vec<Object>], screen: &mut Screen<'_>) -> u8 {
    let forecast = async |object: &Object| -> anyhow::Result<&'static str> {
        let before = args.live(connected, object).await?;
        let after = connected.cluster.apply_as(object, &args.params(true)).await.map_err(|error| with_hint(&error))?;
        Ok(match before {
            None => "create",
            Some(before) if content(&before) == content(&after) => "leave",
            Some(_) => "change",
        })
    };
    let objects: Vec<&Object> = rendered.iter().flatten().collect();
    let all = connected.wait(join_all(objects.iter().map(|object| forecast(object))));
    let mut code = 0;
    for (object, what) in objects.iter().zip(all) {
        match what {
            Ok(what) => screen.say(&format!("{what} {}", object.key())),
            Err(error) => {
                screen.cross(&told(error.as_ref()));
                code = 1;
            }
        }
    }
    code
}

fn remove(choice: &ChoiceArgs, screen: &mut Screen<'_>) -> Outcome {
    let connected = choice.place.connect()?;
    let addons = choice.addons();
    // The kinds of all add-ons, so that nothing stays of an older version of one.
    let kinds = live::kinds(&ADDONS.iter().map(|addon| choice.place.render(addon, "")).collect::<Result<Vec<_>, _>>()?);
    let all = connected.wait(found(&connected, &addons, choice.place.namespace(), &kinds))?;
    let (ours, left): (Vec<_>, Vec<_>) = all.into_iter().partition(|object| is_ours(&object.metadata));
    for object in &left {
        screen.note(&format!("{} stays: it was installed by {}", live::key(object), others(&object.metadata)));
    }
    if ours.is_empty() {
        screen.note(&format!("There is nothing to remove in namespace {}.", choice.place.namespace()));
        return Ok(0);
    }
    if choice.dry_run {
        for object in &ours {
            screen.say(&format!("delete {}", live::key(object)));
        }
        return Ok(0);
    }
    if !choice.may("remove", &addons, screen) {
        return Ok(1);
    }
    let deleted = connected.wait(join_all(ours.iter().map(|object| live::delete(&connected, object))));
    let mut code = 0;
    for (object, deleted) in ours.iter().zip(deleted) {
        match deleted {
            Ok(()) => {
                let key = live::key(object);
                screen.say(&format!("Removed {}:{}:{}.", key.kind, key.namespace, key.name));
            }
            Err(error) => {
                screen.cross(&error.to_string());
                code = 1;
            }
        }
    }
    Ok(code)
}

fn list(args: &ListArgs, out: &mut dyn Write) -> Outcome {
    let place = &args.place;
    let rendered: Vec<_> = ADDONS.iter().map(|addon| place.render(addon, "")).collect::<Result<_, _>>()?;
    let connected = place.connect()?;
    let all = ADDONS.iter().zip(&rendered).map(|(addon, objects)| status_of(&connected, addon.name, objects));
    let all: Vec<AddonStatus> = connected.wait(join_all(all));
    let rows = |all: &Vec<AddonStatus>| {
        let row = |one: &AddonStatus| {
            vec![one.name.to_owned(), one.version.clone().unwrap_or_else(|| "-".to_owned()), one.told()]
        };
        let titles = ["NAME", "VERSION", "STATUS"].map(str::to_owned).to_vec();
        std::iter::once(titles).chain(all.iter().map(row)).collect()
    };
    args.output.print(&all, rows, out)?;
    Ok(u8::from(all.iter().any(|one| one.status == Status::Unknown)))
}
