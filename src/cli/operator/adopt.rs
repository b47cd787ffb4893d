//! `operator adopt`: what it would change to take over an installation of upstream's operator, `istioctl`, `kubectl` or Helm,
//! object by object; and then takes it over.
//!
//! Nothing is deleted: what a resource no longer wants, its operator deletes when nobody uses it.

mod outcome;
mod report;

use super::super::cluster::{self, ConnectArgs, Connected};
use super::super::confirm::confirm;
use super::super::duration;
use super::super::input::{Outcome, warn, wrong_use};
use super::super::install::Resources;
use super::super::install::neighbours::Neighbours;
use super::super::install::progress::Progress;
use super::super::install::work::{End, Work};
use super::super::lease::{self, State as LeaseState};
use super::super::output::ReportFormat;
use super::super::package::PackageArgs;
use super::super::screen::Screen;
use super::super::turn;
use super::file::{NAMESPACE, resource};
use crate::api::{ALLOW_DOWNGRADE, API_VERSION, DRY_RUN, GROUP, IGNORE_RECONCILE, KIND};
use crate::cluster::ClusterError;
use crate::cluster::received::ObservedResource;
use crate::cluster::status_text::read_status;
use crate::install::{Draft, Engine, NoCache, Plan, Silent, State, cut_summary, downgrade, installed_state};
use crate::object::inventory;
use crate::object::manifests::Manifests;
use crate::object::{Object, ObjectKey, OwnerId};
use crate::render;
use crate::spec::request::NamedPackage;
use anyhow::{Context, bail, ensure};
use clap::Args;
use report::Report;
use serde_json::{Value, json};
use std::io::Write;
use std::time::Duration;

/// What `--help` ends with.
const EXAMPLES: &str = "\
Examples:
  istio-operator operator adopt -f iop.yaml --dry-run        # what would change
  istio-operator operator adopt -f iop.yaml -y
  istio-operator operator adopt main -n istio-system -o json --dry-run

Exit code: 0 if taken over and HEALTHY (with --dry-run: if possible), 1 if not, 2 on invalid flags.";

/// The annotations that keep an operator from a resource.
const HOLDS: [&str; 2] = [IGNORE_RECONCILE, DRY_RUN];

#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct AdoptArgs {
    /// Name of an IstioOperator resource in the cluster.
    #[arg(conflicts_with = "filename")]
    name: Option<String>,
    /// File with an IstioOperator resource; `-` is stdin.
    #[arg(short, long, value_name = "FILE")]
    filename: Option<String>,
    /// Namespace of the resource.
    #[arg(short, long, default_value = NAMESPACE)]
    namespace: String,
    /// Print what would change, and change nothing.
    #[arg(long)]
    dry_run: bool,
    /// Do not ask.
    #[arg(short = 'y', long = "skip-confirmation")]
    yes: bool,
    /// Continue although something is not known, or another resource has the revision.
    #[arg(long)]
    force: bool,
    /// How long each component, or an operator, may take until all is ready.
    #[arg(long, value_name = "DURATION", default_value = "5m", value_parser = duration::parse, hide_short_help = true)]
    readiness_timeout: Duration,
    /// Output format of what would change.
    #[arg(short, long, value_enum, default_value_t)]
    output: ReportFormat,
    #[command(flatten)]
    package: PackageArgs,
    #[command(flatten)]
    cluster: ConnectArgs,
}

/// What is to take over.
struct Adopter {
    owner: OwnerId,
    /// Metadata and spec.
    value: Value,
    /// The resource to be stored, where it comes from a file.
    file: Option<Object>,
    /// What the resource of the cluster says of itself, where there is one.
    status: Value,
    allowed_downgrade: Option<String>,
}

/// What is to be done, and beside whom.
struct Prepared {
    plan: Plan,
    state: State,
    neighbours: Neighbours,
}

pub(super) fn run(args: &AdoptArgs, out: &mut dyn Write) -> Outcome {
    if args.name.is_none() && args.filename.is_none() {
        return Ok(wrong_use("name a resource of the cluster, or a file with -f"));
    }
    let file = args.filename.as_deref().map(|file| resource(file, &args.namespace)).transpose()?;
    let connected = cluster::connect_to(&args.cluster)?;
    let adopter = Adopter::read(args, file, &connected)?;
    let manifests = adopter.manifests(args, &connected)?;
    warn(&[&manifests.warnings]);
    let (report, prepared) = connected.wait(prepare(args, &connected, &adopter, manifests))?;
    args.output.print(&report, ToString::to_string, out)?;
    out.flush()?;
    if args.dry_run {
        return Ok(u8::from(!report.unknown.is_empty()));
    }
    ensure!(
        report.unknown.is_empty() || args.force,
        "the API server does not take, or does not say of, {} objects; go on all the same with --force",
        report.unknown.len()
    );
    let is_operated = is_operated(args, &connected, &prepared.plan.manifests().revision)?;
    if !args.yes && !confirm("Proceed? (y/N)", &mut std::io::stdin().lock(), &mut std::io::stderr()) {
        writeln!(out, "Cancelled.")?;
        return Ok(1);
    }
    adopter.take_over(args, &connected, prepared, is_operated, out)
}

/// Whether an operator of ours takes a resource of this revision over; two must not write.
fn is_operated(args: &AdoptArgs, connected: &Connected, revision: &str) -> anyhow::Result<bool> {
    let found = connected.wait(lease::operators(&connected.cluster));
    let work = lease::work_on(&found, revision);
    let is_of_it = |one: &&lease::Operator| one.revision.is_empty() || one.revision == revision;
    let mut working =
        found.iter().flatten().filter(is_of_it).filter(|one| one.state == LeaseState::Works && one.is_upstreams);
    if let Some(theirs) = working.next() {
        ensure!(
            args.force,
            "upstream's operator works, and two must not: {}; upgrade it with istio-operator operator init, or go on with --force",
            theirs.message
        );
        return Ok(false);
    }
    match work {
        lease::Work::Works(_) => Ok(true),
        lease::Work::Unknown(why) if !args.force => bail!(
            "it is not known whether an operator works, and two must not: {why}; if none does, go on with --force"
        ),
        lease::Work::Idle(_) | lease::Work::Unknown(_) => Ok(false),
    }
}

impl Adopter {
    fn read(args: &AdoptArgs, file: Option<Object>, connected: &Connected) -> anyhow::Result<Self> {
        let owner = match &file {
            Some(object) => OwnerId::new(object.namespace(), object.name()),
            None => OwnerId::new(args.namespace.as_str(), args.name.as_deref().unwrap_or_default()),
        };
        let live = match connected.wait(connected.cluster.owner(&owner)) {
            Err(error) if error.is_absent() => None,
            other => other?,
        };
        let live = live.as_ref();
        if let Some(error) = live.and_then(ObservedResource::error) {
            bail!("IstioOperator {owner}: {error}");
        }
        if let Some(going) = live.filter(|live| live.is_being_deleted()) {
            bail!("IstioOperator {owner} is being deleted, as was asked for at {}", going.deletion_asked_at());
        }
        let of_cluster = || live.map(|live| json!({"metadata": live.metadata, "spec": live.spec()}));
        let of_file = file.as_ref().map(|object| object.value().into_owned());
        let value = of_file.or_else(of_cluster).with_context(|| format!("there is no IstioOperator {owner}"))?;
        let text = live.map(|live| live.status.as_str()).unwrap_or_default();
        Ok(Self {
            status: read_status(text),
            allowed_downgrade: live.and_then(|live| live.annotation(ALLOW_DOWNGRADE)).map(str::to_owned),
            owner,
            value,
            file,
        })
    }

    /// What it installs: of the release that the flag or the resource names, or that is installed.
    fn manifests(&self, args: &AdoptArgs, connected: &Connected) -> anyhow::Result<Manifests> {
        let revision = self.value.pointer("/spec/revision").and_then(Value::as_str).unwrap_or_default();
        let named = NamedPackage::of_resource(&self.value);
        let installed = match named {
            None if args.package.manifests.is_none() => connected.installed(revision)?,
            _ => None,
        };
        let release = installed.as_ref().map(|(_, release)| NamedPackage::Release(release.clone()));
        let package = args.package.open(named.or(release)).with_context(|| match &installed {
            Some((istiod, release)) => format!(
                "{istiod} is of release {release}, and taking it over does not move it to another one: the package of that release \
                 is needed; name it with -d"
            ),
            None => "the release package cannot be had; name another place of it with -d".to_owned(),
        })?;
        Ok(render::from_resource(&self.value, &connected.info_for(&self.owner, revision)?, &package)?)
    }

    fn take_over(
        &self,
        args: &AdoptArgs,
        connected: &Connected,
        prepared: Prepared,
        is_operated: bool,
        out: &mut dyn Write,
    ) -> Outcome {
        let owner = &self.owner;
        // Before its objects say whose they are; unless its definition, or its namespace, comes with them.
        let is_stored = match connected.wait(self.store(connected)) {
            Err(error) if error.is_absent() && !is_operated => false,
            other => other.map(|()| true)?,
        };
        if is_operated {
            connected.wait(self.let_go(connected))?;
            writeln!(out, "The operator takes IstioOperator {owner} over; waiting for what it says of it.")?;
            out.flush()?;
            let told = outcome::wait(&connected.cluster, owner, &self.status, args.readiness_timeout);
            writeln!(out, "✔ {}", connected.wait(told)?)?;
            return Ok(0);
        }
        let mut screen = Screen::new(out);
        let Prepared { plan, state, neighbours } = prepared;
        let (cluster, timeout) = (&connected.cluster, args.readiness_timeout);
        let work = Work { cluster, owner, plan: &plan, neighbours: &neighbours, timeout };
        let turn = connected.wait(turn::take_for(cluster, plan.manifests(), &mut screen))?;
        let taken_over = connected.wait(turn.during(async {
            check(work.finish(state, &mut Progress::new(&mut screen)).await, timeout)?;
            if !is_stored {
                self.store(connected).await?;
            }
            Ok(self.let_go(connected).await?)
        }))?;
        taken_over.context("interrupted: what is taken over stays so, and adopt can be run again")?;
        screen.tick(&format!("Everything of IstioOperator {owner} is taken over, and ready"));
        screen.note("No operator reconciles it yet; deploy one with istio-operator operator init.");
        Ok(0)
    }

    /// Stores the resource of a file.
    async fn store(&self, connected: &Connected) -> Result<(), ClusterError> {
        let Some(mut file) = self.file.clone() else { return Ok(()) };
        let annotations = file.value_mut().pointer_mut("/metadata/annotations").and_then(Value::as_object_mut);
        if let Some(annotations) = annotations {
            annotations.retain(|name, _| !HOLDS.contains(&name.as_str()));
        }
        connected.cluster.apply(&file, false).await.map(drop)
    }

    /// Takes away what keeps an operator from it.
    async fn let_go(&self, connected: &Connected) -> Result<(), ClusterError> {
        let Some(live) = connected.cluster.owner(&self.owner).await? else { return Ok(()) };
        let held_by = HOLDS.into_iter().filter(|name| live.annotation(name).is_some());
        let removal =
            |name: &str| json!({"op": "remove", "path": format!("/metadata/annotations/{}", name.replace('/', "~1"))});
        let removals: Vec<Value> = held_by.map(removal).collect();
        if removals.is_empty() {
            return Ok(());
        }
        let OwnerId { namespace, name } = self.owner.clone();
        let key = ObjectKey { group: GROUP.into(), kind: KIND.into(), namespace, name };
        connected.cluster.patch(API_VERSION, &key, removals.into()).await.map(drop)
    }
}

/// What would become of each object, and the plan to do it. What is not wanted any more is in neither, and what other resources have
/// is left to them.
async fn prepare(
    args: &AdoptArgs,
    connected: &Connected,
    adopter: &Adopter,
    mut manifests: Manifests,
) -> anyhow::Result<(Report, Prepared)> {
    let (owner, cluster) = (&adopter.owner, &connected.cluster);
    let revision = manifests.revision_label().to_owned();
    let resources = Resources::read(cluster).await?;
    if let Some(other) = resources.same(&revision, None).into_iter().find(|other| *other != owner && !args.force) {
        bail!(
            "IstioOperator {other} is of revision {revision} too, and both would write the same objects: annotate it \
             {IGNORE_RECONCILE}=true, or go on with --force"
        );
    }
    let neighbours = resources.neighbours(cluster, &revision, owner).await?;
    let engine = Engine { cluster, cache: &NoCache, others: &neighbours, listener: &Silent };
    let mut state = State::new(inventory::of_status(&adopter.status));
    let allowed = adopter.allowed_downgrade.as_deref();
    if let Some(downgrade) = downgrade::forbid(&engine, &mut state, &manifests, allowed).await? {
        bail!("{downgrade}");
    }
    let record_name = installed_state::name(&owner.name, &manifests.revision);
    let record = installed_state::record((&owner.namespace, &owner.name), &record_name, &mut manifests)?;
    let draft = Draft::new(&engine, manifests, record).await;
    let plan = draft.plan(&engine, vec![], vec![]).await?;
    let forecasts = engine.forecast(owner, &plan, &state).await?;
    let report = Report::new(cluster, owner, &plan, forecasts).await?;
    Ok((report, Prepared { plan, state, neighbours }))
}

/// Whether everything was applied, and is ready.
fn check(end: End, timeout: Duration) -> anyhow::Result<()> {
    let (what, open) = match end {
        End::Ready => return Ok(()),
        End::Unrecorded(why) => bail!("everything is taken over and ready, but there is no record of it: {why}"),
        End::TimedOut(open) => (format!("not everything is ready after {timeout:?}: "), open),
        End::Failed(failed) => (String::new(), failed.all),
    };
    let told = |(component, why): (Option<_>, String)| match component {
        Some(component) => format!("{component:?}: {why}"),
        None => why,
    };
    let open: Vec<String> = open.into_iter().map(told).collect();
    bail!("{what}{}; what is taken over stays so, and adopt can be run again", cut_summary(&open))
}
