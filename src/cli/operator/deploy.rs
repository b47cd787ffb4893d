//! `operator init` and `operator dump`.

use super::super::cluster::{self, ConnectArgs, Connected};
use super::super::duration;
use super::super::input::{Outcome, wrong_use};
use super::super::output::DataFormat;
use super::super::rollout::wait_until_ready;
use super::deployed::{Deployed, names_registry};
use super::file::{self, NAMESPACE, resource};
use super::manifests::{BINDING, Settings, is_for};
use crate::cluster::told;
use crate::diff::{Selection, change_of};
use crate::install::fields::{Replicas, foresee};
use crate::object::{Object, ObjectKey};
use anyhow::{Context, anyhow, bail};
use clap::Args;
use helm_template::json;
use kube::api::{Api, DynamicObject};
use kube::runtime::wait::{await_condition, conditions};
use serde_json::{Value, json};
use std::io::Write;
use std::time::Duration;

/// What `operator init --help` ends with.
const EXAMPLES: &str = "\
Examples:
  istio-operator operator init --hub registry.example.com/istio --tag 0.1.0
  istio-operator operator init --watchedNamespaces istio-system,mesh -f iop.yaml
  istio-operator operator init --dry-run

An operator that is there is upgraded, also upstream's. Settings that no flag sets stay as they are;
what changes is printed first.";

/// How long a CRD may take until it can be used.
const ESTABLISHED_WITHIN: Duration = Duration::from_secs(30);

/// So many fields that change are told of an object, and so many characters of a value.
const NAMED: usize = 12;
const LONGEST: usize = 100;

#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct InitArgs {
    #[command(flatten)]
    settings: Settings,
    /// File with an IstioOperator resource to apply as soon as the operator runs; `-` is stdin.
    #[arg(short, long, value_name = "FILE")]
    filename: Option<String>,
    /// How long the operator may take until it is ready.
    #[arg(long, value_name = "DURATION", default_value = "5m", value_parser = duration::parse)]
    readiness_timeout: Duration,
    /// Only a dry run of the API server; nothing is changed.
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    cluster: ConnectArgs,
}

/// What `operator dump --help` ends with.
const DUMP_EXAMPLES: &str = "\
Examples:
  istio-operator operator dump --hub registry.example.com/istio --tag 0.1.0 > operator.yaml
  istio-operator operator dump --watchedNamespaces istio-system,mesh | kubectl apply -f -";

#[derive(Args)]
#[command(after_help = DUMP_EXAMPLES)]
pub struct DumpArgs {
    #[command(flatten)]
    settings: Settings,
    /// Output format.
    #[arg(short, long, value_enum, default_value_t)]
    output: DataFormat,
}

/// The exit code where flags are wrong, each of which is told.
fn refuse(settings: &Settings) -> Option<u8> {
    // Each of them is printed.
    settings.problems().iter().fold(None, |_, problem| Some(wrong_use(problem)))
}

pub(super) fn dump(args: &DumpArgs, out: &mut dyn Write) -> Outcome {
    if let Some(code) = refuse(&args.settings) {
        return Ok(code);
    }
    let objects = args.settings.objects()?;
    if args.output == DataFormat::Json {
        let items: Vec<Value> = objects.iter().map(|object| object.value().into_owned()).collect();
        writeln!(out, "{}", json::to_string_pretty(&json!({"apiVersion": "v1", "kind": "List", "items": items})))?;
        return Ok(0);
    }
    for object in objects {
        writeln!(out, "{}---", object.to_yaml().context("an object cannot be written as YAML")?)?;
    }
    Ok(0)
}

pub(super) fn init(args: &InitArgs, out: &mut dyn Write) -> Outcome {
    if let Some(code) = refuse(&args.settings) {
        return Ok(code);
    }
    // What is wrong with the file is said before anything is done.
    let resource = args.filename.as_deref().map(|file| resource(file, NAMESPACE)).transpose()?;
    let connected = cluster::connect_to(&args.cluster)?;
    if let Some(resource) = &resource {
        file::check(resource, &connected)?;
    }
    let key = ObjectKey {
        group: "apps".into(),
        kind: "Deployment".into(),
        namespace: args.settings.namespace.clone(),
        name: args.settings.name(),
    };
    let there = connected.wait(connected.cluster.get("apps/v1", &key))?;
    let settings = args.settings.over(there.as_ref().map(Deployed::read).unwrap_or_default());
    let objects = settings.objects()?;
    let deployment = Deployment { args, settings, objects, resource, there };
    connected.wait(deploy(&deployment, &connected, out))?;
    Ok(0)
}

/// What is to be deployed, and over what.
struct Deployment<'a> {
    args: &'a InitArgs,
    settings: Settings,
    objects: Vec<Object>,
    resource: Option<Object>,
    there: Option<DynamicObject>,
}

async fn deploy(what: &Deployment<'_>, connected: &Connected, out: &mut dyn Write) -> anyhow::Result<()> {
    let Deployment { args, settings, objects, resource, .. } = what;
    let deployment = objects.iter().find(|object| object.kind() == "Deployment").context("no Deployment to apply")?;
    check_binding(connected, objects, &settings.namespace).await?;
    tell(what, out)?;
    tell_changes(connected, objects, out).await?;
    out.flush()?;
    if args.dry_run {
        return try_out(connected, objects, resource.as_ref(), out).await;
    }
    apply_all(connected, objects).await?;
    let own = resource.as_ref().map(Object::namespace);
    for name in settings.watched().into_iter().chain(own) {
        ensure_namespace(connected, name).await?;
    }
    wait_until_ready(&connected.cluster, deployment, args.readiness_timeout, |_| {})
        .await
        .map_err(|error| anyhow!("✘ {}; init can be run again", told(error.as_ref())))?;
    writeln!(out, "✔ Istio operator installed")?;
    out.flush()?;
    if let Some(resource) = resource {
        connected.cluster.apply(resource, false).await?;
        writeln!(out, "✔ {} applied; see istio-operator operator status", resource.key())?;
    }
    writeln!(out, "✔ Installation complete")?;
    Ok(())
}

/// Tells what is to be deployed, in upstream's words, and what of it may not be meant.
fn tell(what: &Deployment<'_>, out: &mut dyn Write) -> anyhow::Result<()> {
    let Deployment { args, settings, objects, there, .. } = what;
    let (namespace, image) = (&settings.namespace, Settings::image_of(objects));
    if there.is_some() {
        writeln!(out, "Operator controller is already installed in {namespace} namespace.")?;
    }
    let act = if there.is_some() { "Upgrading" } else { "Installing" };
    writeln!(out, "{act} operator controller in namespace: {namespace} using image: {image}")?;
    let watched = match settings.watched() {
        none if none.is_empty() => "all".to_owned(),
        some => some.join(","),
    };
    writeln!(out, "Operator controller will watch namespaces: {watched}")?;
    let keeps_image = there.is_some() && !args.settings.says_image() && image != default_image()?;
    if !names_registry(&image) {
        eprintln!(
            "Warning: the image {image} names no registry: nodes have it only where somebody has put it; name one with --hub"
        );
    } else if keeps_image {
        eprintln!("The operator keeps its image; this program is of version {}: see --tag.", env!("CARGO_PKG_VERSION"));
    }
    Ok(())
}

/// The image that is deployed where nobody says which.
fn default_image() -> anyhow::Result<String> {
    Ok(Settings::image_of(&Settings::of("istio-operator", "").objects()?))
}

/// Tells which fields of what is there become otherwise.
async fn tell_changes(connected: &Connected, objects: &[Object], out: &mut dyn Write) -> anyhow::Result<()> {
    for object in objects.iter().filter(|object| object.kind() != "Namespace") {
        let live = match connected.cluster.get(object.api_version(), &object.key()).await {
            Err(error) if error.is_absent() => None,
            other => other?,
        };
        let Some(live) = live else { continue };
        let effect = match foresee(&connected.cluster, object, &live, Replicas::Desired, true).await {
            Ok(effect) => effect,
            // Applying it says so again, and before it nothing was written.
            Err(error) => bail!("{}: the API server does not take it: {error}", object.key()),
        };
        let sides = effect.map(|effect| [Some(effect.before), Some(effect.after)]);
        let Some(change) = sides.and_then(|sides| change_of(&object.key(), sides, &Selection::default())) else {
            continue;
        };
        writeln!(out, "{} changes:", object.key())?;
        for field in change.fields.iter().take(NAMED) {
            let [before, after] =
                [&field.before, &field.after].map(|value| value.as_ref().map_or("nothing".to_owned(), short));
            writeln!(out, "  {}: {before} -> {after}", field.path)?;
        }
        if let Some(more) = change.fields.len().checked_sub(NAMED).filter(|more| *more > 0) {
            writeln!(out, "  and {more} more")?;
        }
    }
    Ok(())
}

/// A value in a line.
fn short(value: &Value) -> String {
    let text = value.as_str().map_or_else(|| value.to_string(), |text| format!("{text:?}"));
    match text.char_indices().nth(LONGEST) {
        Some((at, _)) => format!("{}…", text.get(..at).unwrap_or_default()),
        None => text,
    }
}

/// Refuses to take the permissions of an operator of another namespace, whose binding has the same name.
async fn check_binding(connected: &Connected, objects: &[Object], namespace: &str) -> anyhow::Result<()> {
    for binding in objects.iter().filter(|object| object.kind() == BINDING) {
        let live = connected.cluster.get(binding.api_version(), &binding.key()).await?;
        if live.is_some_and(|live| !is_for(&live, namespace)) {
            bail!("{} is of an operator of another namespace; give this one a revision with -r", binding.key());
        }
    }
    Ok(())
}

/// What the API server says to each object; nothing is stored.
async fn try_out(
    connected: &Connected,
    objects: &[Object],
    resource: Option<&Object>,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    for object in objects.iter().chain(resource) {
        let live = match connected.cluster.get(object.api_version(), &object.key()).await {
            Err(error) if error.is_absent() => None,
            other => other?,
        };
        let becomes = match connected.cluster.apply(object, true).await {
            Ok(_) if live.is_some() => "would be applied",
            Ok(_) => "would be created",
            // What its namespace or its CRD is not there for, will be created after them.
            Err(error) if error.is_absent() => "would be created",
            Err(error) => return Err(error.into()),
        };
        writeln!(out, "{} {becomes}", object.key())?;
    }
    Ok(())
}

async fn apply_all(connected: &Connected, objects: &[Object]) -> anyhow::Result<()> {
    for object in objects {
        // One that is there is not to be restricted under those who have pods in it.
        if object.kind() == "Namespace" && connected.cluster.get(object.api_version(), &object.key()).await?.is_some() {
            continue;
        }
        connected.cluster.apply(object, false).await?;
        if object.is_crd() {
            wait_established(connected, object).await?;
        }
    }
    Ok(())
}

async fn wait_established(connected: &Connected, definition: &Object) -> anyhow::Result<()> {
    use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
    let api: Api<CustomResourceDefinition> = Api::all(connected.cluster.client().clone());
    let established = await_condition(api, definition.name(), conditions::is_crd_established());
    match tokio::time::timeout(ESTABLISHED_WITHIN, established).await {
        Ok(waited) => waited.map(drop).with_context(|| format!("watch {}", definition.key())),
        Err(_) => bail!("{} is not established after {ESTABLISHED_WITHIN:?}", definition.key()),
    }
}

/// Makes a namespace that is missing.
async fn ensure_namespace(connected: &Connected, name: &str) -> anyhow::Result<()> {
    let key = ObjectKey { kind: "Namespace".into(), name: name.into(), ..ObjectKey::default() };
    if connected.cluster.get("v1", &key).await?.is_none() {
        let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
        connected.cluster.apply(&Object::new(namespace)?, false).await?;
    }
    Ok(())
}
