//! `operator adopt`: what it would change to take over an installation of upstream's operator, `istioctl`, `kubectl` or Helm,
//! object by object; and then takes it over.
//!
//! Nothing is deleted: what a resource no longer wants, its operator deletes when nobody uses it.

mod report;

use super::super::cluster::{self, ConnectArgs, Connected};
use super::super::confirm::confirm;
use super::super::duration;
use super::super::input::{Outcome, read_input, warn, wrong_use};
use super::super::output::ReportFormat;
use super::super::package::PackageArgs;
use super::status::lease::{operators, why_idle};
use crate::api::{API_VERSION, DRY_RUN, IGNORE_RECONCILE, KIND};
use crate::cluster::ClusterError;
use crate::install::{Draft, Engine, Options, Plan, Silent, State, downgrade, installed_state};
use crate::object::inventory;
use crate::object::manifests::Manifests;
use crate::object::{Object, OwnerId, read_all};
use crate::render;
use crate::spec::request::NamedPackage;
use anyhow::{Context, bail, ensure};
use clap::Args;
use report::Report;
use serde_json::{Value, json};
use std::io::Write;
use std::time::{Duration, Instant};

/// What `--help` ends with.
const EXAMPLES: &str = "\
Examples:
  istio-operator operator adopt -f iop.yaml --dry-run        # what would change
  istio-operator operator adopt -f iop.yaml -y
  istio-operator operator adopt main -n istio-system -o json --dry-run

Exit code: 0 if taken over, or with --dry-run if it can be; 1 if not, 2 on wrong use.";

/// How often it is looked whether what was applied is ready.
const LOOK: Duration = Duration::from_millis(500);
/// Where a resource is that says no namespace.
const NAMESPACE: &str = "istio-system";

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
    /// Tell what would change, and change nothing.
    #[arg(long)]
    dry_run: bool,
    /// Do not ask.
    #[arg(short = 'y', long = "skip-confirmation")]
    yes: bool,
    /// How long it may take until everything is ready.
    #[arg(long, default_value = "5m", value_parser = duration::parse)]
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
    /// The annotations of the one in the cluster that keep an operator from it.
    held_back_by: Vec<&'static str>,
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
    let (report, plan, state) = connected.wait(forecast(&connected, &adopter, manifests))?;
    args.output.print(&report, ToString::to_string, out)?;
    out.flush()?;
    if args.dry_run {
        return Ok(u8::from(!report.unknown.is_empty()));
    }
    ensure!(
        report.unknown.is_empty() || args.yes,
        "the API server does not take, or does not say of, {} objects; go on all the same with -y",
        report.unknown.len()
    );
    if !args.yes && !confirm("Proceed? (y/N)", &mut std::io::stdin().lock(), &mut std::io::stderr()) {
        writeln!(out, "Cancelled.")?;
        return Ok(1);
    }
    adopter.take_over(args, &connected, &plan, state, out)
}

/// The one resource of a file.
fn resource(file: &str, namespace: &str) -> anyhow::Result<Object> {
    let (name, text) = read_input(file)?;
    let mut found = read_all(&text).with_context(|| name.clone())?;
    found.retain(|object| object.kind() == KIND && object.api_version() == API_VERSION);
    ensure!(found.len() == 1, "{name} must have one {KIND} resource of {API_VERSION}, and has {}", found.len());
    let mut resource = found.remove(0);
    resource.settle(namespace);
    Ok(resource)
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
        if let Some(error) = live.as_ref().and_then(|live| live.error()) {
            bail!("IstioOperator {owner}: {error}");
        }
        let of_cluster = || live.as_ref().map(|live| json!({"metadata": live.metadata, "spec": live.spec()}));
        let of_file = file.as_ref().map(|object| object.value().into_owned());
        let value = of_file.or_else(of_cluster).with_context(|| format!("there is no IstioOperator {owner}"))?;
        let is_annotated = |name: &&str| live.as_ref().is_some_and(|live| live.is_annotated(name));
        let text = live.as_ref().map(|live| live.status.as_str()).unwrap_or_default();
        Ok(Self {
            status: serde_json::from_str(text).unwrap_or_default(),
            allowed_downgrade: live.as_ref().and_then(|l| l.annotation(crate::api::ALLOW_DOWNGRADE)).map(str::to_owned),
            held_back_by: [IGNORE_RECONCILE, DRY_RUN].into_iter().filter(is_annotated).collect(),
            owner,
            value,
            file,
        })
    }

    /// What it installs: of the release that the flag or the resource names, or that is installed.
    fn manifests(&self, args: &AdoptArgs, connected: &Connected) -> anyhow::Result<Manifests> {
        let revision = self.value.pointer("/spec/revision").and_then(Value::as_str).unwrap_or_default();
        let named = match NamedPackage::of_resource(&self.value) {
            None if args.package.manifests.is_none() => {
                connected.installed(revision)?.map(|(_, release)| NamedPackage::Release(release))
            }
            named => named,
        };
        let package = args.package.open(named)?;
        Ok(render::from_resource(&self.value, &connected.info_for(&self.owner, revision)?, &package)?)
    }

    fn take_over(
        &self,
        args: &AdoptArgs,
        connected: &Connected,
        plan: &Plan,
        state: State,
        out: &mut dyn Write,
    ) -> Outcome {
        let owner = &self.owner;
        let revision = plan.manifests().revision.as_str();
        let found = connected.wait(operators(&connected.cluster));
        if let Err(error) = &found {
            bail!("it is not known whether an operator works, and two must not: {error}");
        }
        if why_idle(&found, revision).is_none() {
            connected.wait(self.leave_to_operator(connected))?;
            writeln!(
                out,
                "The operator takes IstioOperator {owner} over; see istio-operator operator status {}",
                owner.name
            )?;
            return Ok(0);
        }
        connected.wait(apply(connected, owner, plan, state, args.readiness_timeout))?;
        writeln!(out, "✔ Everything of IstioOperator {owner} is taken over, and ready")?;
        if let Some(file) = &self.file {
            connected.wait(connected.cluster.apply(file, false))?;
        }
        eprintln!("No operator reconciles it yet; deploy one with istio-operator operator init.");
        Ok(0)
    }

    /// Stores the resource, or takes away what keeps the operator from it.
    async fn leave_to_operator(&self, connected: &Connected) -> Result<(), ClusterError> {
        if let Some(file) = &self.file {
            connected.cluster.apply(file, false).await?;
        }
        for name in &self.held_back_by {
            let path = format!("/metadata/annotations/{}", name.replace('/', "~1"));
            connected.cluster.patch_owner(&self.owner, json!([{"op": "remove", "path": path}])).await?;
        }
        Ok(())
    }
}

/// What would become of each object, and the plan to do it. What is not wanted any more is in neither.
async fn forecast(
    connected: &Connected,
    adopter: &Adopter,
    mut manifests: Manifests,
) -> anyhow::Result<(Report, Plan, State)> {
    let owner = &adopter.owner;
    let engine = Engine::alone(&connected.cluster, &Silent);
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
    let report = Report::new(&connected.cluster, owner, &plan, forecasts).await?;
    Ok((report, plan, state))
}

/// Applies a plan until everything is ready.
async fn apply(
    connected: &Connected,
    owner: &OwnerId,
    plan: &Plan,
    mut state: State,
    patience: Duration,
) -> anyhow::Result<()> {
    let engine = Engine::alone(&connected.cluster, &Silent);
    let begun = Instant::now();
    loop {
        let options = Options { explain_waits: true, ..Options::default() };
        let outcome = engine.apply(owner, plan, &mut state, options).await;
        if let Some(failed) = outcome.failed(true) {
            bail!("{failed}; what is taken over stays so, and adopt can be run again");
        }
        if outcome.is_ready() {
            return Ok(());
        }
        if begun.elapsed() > patience {
            let waits: Vec<String> = outcome.components.iter().map(|(c, o)| format!("{c} is {}", o.name())).collect();
            bail!("not everything is ready after {patience:?}: {}; adopt can be run again", waits.join(", "));
        }
        tokio::time::sleep(outcome.again.map_or(LOOK, |again| again.min(LOOK))).await;
    }
}
