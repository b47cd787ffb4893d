//! `upgrade plan`: what an upgrade would change.

use super::cluster::{self, ConnectArgs, Connected};
use super::input::{Outcome, wrong_use};
use super::install::recorded;
use super::lease;
use super::manifest::SpecArgs;
use super::output::ReportFormat;
use super::package::PackageArgs;
use super::proxies;
use crate::api::ALLOW_DOWNGRADE;
use crate::cluster::received::ObservedResource;
use crate::object::OwnerId;
use crate::object::manifests::revision_label;
use crate::release::{Package, RELEASE};
use crate::render::{self, ClusterInfo};
use crate::spec::request::{self, NamedPackage, Request, RequestError};
use crate::spec::resolve::Strictness;
use crate::upgrade::{ClusterFacts, Operators, Proxies, Side, SpecRefused, Upgrade};
use anyhow::{Context, bail};
use clap::Args;
use clap::builder::NonEmptyStringValueParser;
use serde_json::{Value, json};
use std::io::Write;

/// What `--help` ends with.
const EXAMPLES: &str = "\
Examples:
  istio-operator upgrade plan -f spec.yaml -d 1.23.6 --to 1.30.3   # without a cluster
  istio-operator upgrade plan -f spec.yaml --to 1.30.3 --cluster   # a file, and a cluster's proxies
  istio-operator upgrade plan --to 1.30.3 --cluster                # what is installed
  istio-operator upgrade plan main -n istio-system --to 1.30.3     # a resource of the cluster

Nothing is changed. Exit code: 0 if the upgrade is possible, 1 if the release refuses the spec or
on an error, 2 on invalid flags.";

#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct PlanArgs {
    /// Name of an IstioOperator resource in the cluster.
    #[arg(conflicts_with_all = ["filename", "set", "revision"])]
    name: Option<String>,
    /// Namespace of the resource.
    #[arg(short, long, default_value = "istio-system")]
    namespace: String,
    /// The release to plan for: a version such as 1.30.3, or a location as of --manifests.
    #[arg(long, value_name = "VERSION|LOCATION", value_parser = NonEmptyStringValueParser::new())]
    to: String,
    /// Ask the cluster for the installed release and for proxies, also for a file; and where there is none, for the record.
    #[arg(long)]
    cluster: bool,
    /// Output format.
    #[arg(short, long, value_enum, default_value_t)]
    output: ReportFormat,
    #[command(flatten)]
    spec: SpecArgs,
    #[command(flatten)]
    connect: ConnectArgs,
}

pub(super) fn run(args: &PlanArgs, out: &mut dyn Write) -> Outcome {
    let is_unnamed = args.name.is_none() && args.spec.filename.is_empty() && args.spec.set.is_empty();
    if is_unnamed && !args.cluster {
        return Ok(wrong_use(
            "name a resource of the cluster, or a file with -f, or have --cluster take the record of what is installed",
        ));
    }
    // Read first: what is wrong with them needs no cluster.
    let files = args.spec.files()?;
    let connected = if args.name.is_some() || args.cluster { Some(cluster::connect_to(&args.connect)?) } else { None };
    let source = match (&args.name, &connected) {
        (Some(name), Some(connected)) => {
            Source::read(connected, &OwnerId::new(args.namespace.as_str(), name.as_str()))?
        }
        (None, Some(connected)) if is_unnamed => Source::recorded(connected, args)?,
        _ => Source::Files { files },
    };
    let info = connected.as_ref().map(|connected| connected.info.clone()).unwrap_or_default();
    let (named, from_source) = source.release(args, connected.as_ref())?;
    let from = args.spec.package.open(named)?;
    let to = args.spec.package.instead(&args.to).open(None)?;
    let [from, to] = [from, to].map(|package| package.as_upstream(args.spec.upstream_behavior));
    let (from_request, to_request) = (source.request(args, &from), source.request(args, &to));
    let spec = [&to_request, &from_request].into_iter().find_map(|request| request.as_ref().ok());
    let spec = spec.map(|request| request.spec.clone()).unwrap_or_default();
    let allowed = to_request.as_ref().ok().and_then(|request| request.metadata.get("annotations"));
    let allowed = allowed.and_then(|all| all.get(ALLOW_DOWNGRADE)).and_then(Value::as_str).map(str::to_owned);
    let profile = profile_of(&spec, &from);
    let strictness = source.strictness(args);
    let from = side(from_request, &from, &info, strictness);
    let to = side(to_request, &to, &info, strictness);
    let facts = cluster_facts(connected.as_ref(), &from, &to, &spec);
    let resource = source.told(args);
    let plan = Upgrade {
        resource,
        from_source,
        spec: &spec,
        profile: profile.as_ref(),
        from: &from,
        to: &to,
        allowed_release: allowed.as_deref(),
        cluster: &facts,
    };
    let plan = plan.plan();
    args.output.print(&plan, ToString::to_string, out)?;
    Ok(u8::from(!plan.blocked_by.is_empty()))
}

/// The spec of the profile that a spec is merged over with the present release, if that can be read.
fn profile_of(spec: &Value, package: &Package) -> Option<Value> {
    let name = spec.get("profile").and_then(Value::as_str).unwrap_or_default();
    let mut profile = package.profiles().load(name).ok()?;
    profile.document.get_mut("spec").map(Value::take)
}

/// Where the spec comes from.
enum Source {
    Files { files: Vec<(String, String)> },
    Resource(Box<ObservedResource>),
}

impl Source {
    /// A resource of the cluster.
    fn read(connected: &Connected, id: &OwnerId) -> anyhow::Result<Self> {
        let found = match connected.wait(connected.cluster.owner(id)) {
            Err(error) if error.is_absent() => bail!("the cluster does not know IstioOperator resources"),
            other => other?,
        };
        let resource = found.with_context(|| format!("there is no IstioOperator {id} in the cluster"))?;
        match resource.error() {
            Some(error) => bail!("IstioOperator {id}: {error}"),
            None => Ok(Self::Resource(Box::new(resource))),
        }
    }

    /// What a control plane of the cluster was installed with.
    fn recorded(connected: &Connected, args: &PlanArgs) -> anyhow::Result<Self> {
        let found = recorded::read(connected, &args.spec)?;
        let found = found.context(
            "there is no record of what is installed; name a resource of the cluster, or a file with -f, or a revision with -r",
        )?;
        Ok(Self::Files { files: vec![found.file] })
    }

    fn told(&self, args: &PlanArgs) -> String {
        match self {
            Self::Files { files } if files.is_empty() => args.spec.set.join(" "),
            Self::Files { files } => files.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(" "),
            Self::Resource(resource) => format!("IstioOperator {}", resource.id()),
        }
    }

    /// How strictly the spec is checked: the operator takes what upstream's took.
    fn strictness(&self, args: &PlanArgs) -> Strictness {
        match self {
            Self::Files { .. } => args.spec.strictness(),
            Self::Resource(_) => Strictness::TakenOver,
        }
    }

    fn value(resource: &ObservedResource) -> Value {
        json!({ "metadata": resource.metadata, "spec": resource.spec() })
    }

    /// What is asked of a release, or why that cannot be understood.
    fn request(&self, args: &PlanArgs, package: &Package) -> Result<Request, RequestError> {
        match self {
            Self::Files { files } => {
                // The package is the flag's, whatever the files name.
                let spec = SpecArgs { package: PackageArgs::default(), ..args.spec.clone() };
                spec.request_for(files, package.switches())
            }
            Self::Resource(resource) => Ok(request::from_resource(&Self::value(resource))),
        }
    }

    fn revision(&self, args: &PlanArgs) -> String {
        match self {
            Self::Resource(resource) => resource.revision().to_owned(),
            Self::Files { files } => args.spec.revision_of(files),
        }
    }

    /// The release that the resource is of now, `None` for the built-in one or that of a flag; and what says so.
    fn release(
        &self,
        args: &PlanArgs,
        connected: Option<&Connected>,
    ) -> anyhow::Result<(Option<NamedPackage>, String)> {
        if args.spec.package.manifests.as_ref().is_some_and(|flag| !flag.is_empty()) {
            return Ok((None, "--manifests".to_owned()));
        }
        let named = match self {
            Self::Files { files } => request::named_package(files, &args.spec.set),
            Self::Resource(resource) => NamedPackage::of_resource(&Self::value(resource)),
        };
        if named.is_some() {
            return Ok((named, "the resource names it".to_owned()));
        }
        if let Some((object, release)) = connected.map(|c| c.installed(&self.revision(args))).transpose()?.flatten() {
            return Ok((Some(NamedPackage::Release(release)), format!("{object} is of it")));
        }
        Ok((None, format!("nothing names another than the built-in {RELEASE}")))
    }
}

/// What a spec renders to with a release.
fn side(request: Result<Request, RequestError>, package: &Package, info: &ClusterInfo, strictness: Strictness) -> Side {
    let build = |request: Request| render::build(&request, info, package, strictness).map_err(SpecRefused::from);
    let outcome = request.map_err(SpecRefused::from).and_then(build);
    Side { release: package.release(), switches: *package.switches(), outcome }
}

fn cluster_facts(connected: Option<&Connected>, from: &Side, to: &Side, spec: &Value) -> ClusterFacts {
    let Some(connected) = connected else { return ClusterFacts::default() };
    let own: Vec<_> = [from, to].into_iter().filter_map(|side| side.outcome.as_ref().ok()).collect();
    let of_spec = || spec.get("revision").and_then(Value::as_str).unwrap_or_default();
    let revision = own.first().map_or_else(|| revision_label(of_spec()), |manifests| manifests.revision_label());
    let proxies: Proxies = connected.wait(proxies::of_revision(&connected.cluster, revision, &own));
    let operators = connected.wait(lease::of_upstream(&connected.cluster));
    let operators = operators.map_or_else(|error| Operators::Unknown(error.to_string()), Operators::Known);
    ClusterFacts { kubernetes: connected.minor(), proxies, operators }
}
