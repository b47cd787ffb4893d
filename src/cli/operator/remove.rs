//! `operator remove`: the operator goes; its resources, their CRD, and what they have installed stay.

use super::super::cluster::{self, ConnectArgs, Connected};
use super::super::confirm::confirm;
use super::super::input::Outcome;
use super::super::lease;
use super::super::resources::{self, Summary};
use super::super::table::first;
use super::manifests::{BINDING, NAME, Settings, is_for};
use crate::cluster::ClusterError;
use crate::object::Object;
use crate::object::labels::DEFAULT;
use anyhow::{Context, bail};
use clap::Args;
use kube::ResourceExt;
use kube::api::DynamicObject;
use std::io::Write;

/// What `operator remove --help` ends with.
const EXAMPLES: &str = "\
Examples:
  istio-operator operator remove
  istio-operator operator remove --revision canary -y   # one of several operators
  istio-operator operator remove --purge --force -y     # all, although resources wait for one

What an operator has installed stays, and works on. A resource that is deleted without an operator
stays until there is one again.";

/// So many resources are named.
const NAMED: usize = 10;

#[allow(clippy::struct_excessive_bools)] // they are flags, independent of one another
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct RemoveArgs {
    /// Namespace of the operator.
    #[arg(long = "operatorNamespace", alias = "operator-namespace", default_value = NAME)]
    namespace: String,
    /// The operator of this revision.
    #[arg(short, long, conflicts_with = "purge", value_parser = super::super::tag::tag_name)]
    revision: Option<String>,
    /// All operators of the namespace.
    #[arg(long)]
    purge: bool,
    /// Continue although resources have its finalizer, or it is not known whether they do, or there is no operator. Without -y it
    /// still asks.
    #[arg(long)]
    force: bool,
    /// Do not ask.
    #[arg(short = 'y', long = "skip-confirmation")]
    yes: bool,
    /// Say what would be removed, and remove nothing.
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    cluster: ConnectArgs,
}

pub(super) fn run(args: &RemoveArgs, out: &mut dyn Write) -> Outcome {
    let connected = cluster::connect_to(&args.cluster)?;
    let namespace = &args.namespace;
    let there = connected.wait(lease::deployments(&connected.cluster, Some(namespace)))?;
    let there: Vec<String> = there.iter().map(ResourceExt::name_any).collect();
    let wanted = Settings::of(namespace, args.revision.as_deref().unwrap_or_default());
    let is_meant = |name: &str| args.purge || name == wanted.name();
    if !there.iter().any(|name| is_meant(name)) && !args.force {
        bail!(
            "Operator controller is not installed in {namespace} namespace (no Deployment {} detected).",
            wanted.name()
        );
    }
    if !args.force {
        check_finalizers(&connected, args)?;
    }
    let question = format!("Remove the operator of namespace {namespace}? [y/N]");
    if !args.yes && !args.dry_run && !confirm(&question, &mut std::io::stdin().lock(), &mut std::io::stderr()) {
        writeln!(out, "Cancelled.")?;
        return Ok(1);
    }
    if !args.dry_run {
        writeln!(out, "Removing Istio operator...")?;
        out.flush()?;
    }
    let mut going: Vec<String> = there.iter().filter(|name| is_meant(name)).cloned().collect();
    if going.is_empty() {
        going.push(wanted.name());
    }
    let is_last = connected.wait(are_bindings_of(&connected, namespace, &going))?;
    for name in going {
        let revision = name.strip_prefix(NAME).and_then(|rest| rest.strip_prefix('-')).unwrap_or_default();
        let objects = Settings::of(namespace, revision).objects()?;
        let own = objects.iter().rev().filter(|object| goes(object, is_last));
        connected.wait(delete(&connected, args, own, out))?;
    }
    if !args.dry_run {
        writeln!(out, "✔ Removal complete")?;
    }
    eprintln!("The CRD of IstioOperator, all resources, what they have installed, and namespaces stay.");
    Ok(0)
}

/// What goes with an operator: roles of the whole cluster only with the last one.
fn goes(object: &Object, is_last: bool) -> bool {
    !object.is_crd() && object.kind() != "Namespace" && (is_last || object.kind() != "ClusterRole")
}

/// Whether nobody but these operators of a namespace is bound to the operator's role.
async fn are_bindings_of(connected: &Connected, namespace: &str, names: &[String]) -> Result<bool, ClusterError> {
    let all = connected.cluster.list("rbac.authorization.k8s.io/v1", BINDING, None, "").await?;
    let is_bound = |binding: &&DynamicObject| binding.data.pointer("/roleRef/name").is_some_and(|name| name == NAME);
    let is_own = |binding: &DynamicObject| names.contains(&binding.name_any()) && is_for(binding, namespace);
    Ok(all.iter().filter(is_bound).all(is_own))
}

/// Refuses while resources wait for the operator when they are deleted.
fn check_finalizers(connected: &Connected, args: &RemoveArgs) -> anyhow::Result<()> {
    let all = connected
        .wait(resources::list(&connected.cluster, None))
        .context("it is not known whether resources have the operator's finalizer; go on all the same with --force")?;
    // That of no revision works on all.
    let waiting = waiting(&all, args.revision.as_deref().filter(|revision| *revision != DEFAULT));
    if waiting.is_empty() {
        return Ok(());
    }
    bail!(
        "these resources have the operator's finalizer, and could not be deleted without it: {}; delete them first, or \
         go on with --force, which leaves them and all that they have installed",
        first(&waiting, NAMED)
    )
}

/// The resources that an operator of this revision, or of all, works on and that have its finalizer.
fn waiting(all: &[Summary], revision: Option<&str>) -> Vec<String> {
    let is_meant = |resource: &&Summary| {
        let own = revision.is_none_or(|revision| resource.revision == revision);
        resource.has_finalizer && own
    };
    all.iter().filter(is_meant).map(|resource| resource.id.to_string()).collect()
}

async fn delete<'o>(
    connected: &Connected,
    args: &RemoveArgs,
    objects: impl Iterator<Item = &'o Object>,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    for object in objects {
        let key = object.key();
        let Some(live) = connected.cluster.get(object.api_version(), &key).await? else { continue };
        // Its name does not say the namespace.
        if key.kind == BINDING && !is_for(&live, &args.namespace) {
            continue;
        }
        if args.dry_run {
            writeln!(out, "  Would remove {}:{}:{}.", key.kind, key.namespace, key.name)?;
            continue;
        }
        connected.cluster.delete(object.api_version(), &key, &live.uid().unwrap_or_default()).await?;
        writeln!(out, "  Removed {}:{}:{}.", key.kind, key.namespace, key.name)?;
    }
    Ok(())
}
