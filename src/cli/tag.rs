//! `tag`: names for revisions, by which namespaces ask for injection.
//!
//! A tag is a webhook configuration, and from release 1.28 on a Service too. Those that an IstioOperator resource lists in
//! `values.revisionTags` are the operator's, which would put them back: they are left to it.

mod objects;
pub(super) mod webhooks;

use super::cluster::{self, ClusterArgs, ConnectArgs, Connected};
use super::confirm::confirm;
use super::input::{Outcome, wrong_use};
use super::output::{ListArgs, ListFormat};
use super::package::PackageArgs;
use super::resources::{self, Summary};
use super::table::line;
use super::users::Users;
use crate::api::{API_VERSION as RESOURCES, LONGEST_LABEL, LONGEST_NAME};
use crate::cluster::{ClusterError, value_of};
use crate::controller::users_of_tag;
use crate::install::default_revision::VALIDATOR;
use crate::install::tags::key_of;
use crate::install::webhooks as injection;
use crate::object::labels::{DEFAULT, REVISION, TAG, owner_of};
use crate::object::{Object, ObjectKey};
use crate::release::Package;
use crate::spec::request::NamedPackage;
use anyhow::{Context, bail, ensure};
use clap::{Args, Subcommand};
use kube::ResourceExt;
use kube::api::DynamicObject;
use objects::{Wanted, is_of_tag};
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::io::Write;
use webhooks::{Webhooks, label};

/// What `tag set --help` ends with.
const EXAMPLES: &str = "\
Examples:
  istio-operator tag set prod --revision 1-30-3          # a new tag
  istio-operator tag set prod --revision 1-31-0 --overwrite
  kubectl label namespace shop istio.io/rev=prod          # its pods get proxies of that revision
  istio-operator tag list
  istio-operator tag remove prod

Exit code: 0 if done, 1 on an error or if it is cancelled, 2 on invalid flags.";

/// What `tag generate --help` ends with.
const GENERATE_EXAMPLES: &str = "\
Examples:
  istio-operator tag generate prod --revision 1-30-3      # to be applied, or kept in a repository
  istio-operator tag generate prod --revision 1-31-0 --overwrite

Nothing is written to the cluster, which is asked where the revision is served.";

/// What `tag list --help` ends with.
const LIST_EXAMPLES: &str = "\
Examples:
  istio-operator tag list
  istio-operator tag list -o json";

/// What `tag remove --help` ends with.
const REMOVE_EXAMPLES: &str = "\
Examples:
  istio-operator tag remove prod       # asks if namespaces or pods name it
  istio-operator tag remove prod -y";

/// The kinds of the objects of a tag.
const HOOK: (&str, &str) = (injection::API_VERSION, injection::KIND);
const SERVICE: (&str, &str) = ("v1", "Service");

#[derive(Subcommand)]
pub(super) enum TagCommand {
    /// Make a tag of a revision, or move it to another one.
    #[command(after_help = EXAMPLES)]
    Set(SetArgs),
    /// Print the objects of a tag instead of applying them.
    #[command(after_help = GENERATE_EXAMPLES)]
    Generate(GenerateArgs),
    /// List the tags, with their revisions and the namespaces that name them.
    #[command(visible_alias = "show", after_help = LIST_EXAMPLES)]
    List(ListArgs),
    /// Remove a tag.
    #[command(visible_alias = "delete", after_help = REMOVE_EXAMPLES)]
    Remove(RemoveArgs),
}

#[derive(Args)]
pub(super) struct GenerateArgs {
    /// The tag.
    #[arg(value_parser = tag_name)]
    tag: String,
    /// The revision that it stands for; default for the control plane without one.
    #[arg(short, long, value_parser = tag_name)]
    revision: String,
    /// Continue if the tag exists already: set moves it, generate prints it nevertheless.
    #[arg(long)]
    overwrite: bool,
    /// Name of its webhook configuration (default: as the charts name it).
    #[arg(long, value_name = "NAME", hide_short_help = true, value_parser = object_name)]
    webhook_name: Option<String>,
    /// Have the tag default inject into namespaces that say nothing about injection.
    #[arg(long, hide_short_help = true)]
    auto_inject_namespaces: bool,
    #[command(flatten)]
    package: PackageArgs,
    #[command(flatten)]
    cluster: ClusterArgs,
}

#[derive(Args)]
pub(super) struct SetArgs {
    #[command(flatten)]
    tag: GenerateArgs,
    /// Continue although pods would be injected twice.
    #[arg(short = 'y', long = "skip-confirmation")]
    yes: bool,
    /// Continue although an IstioOperator resource has the tag, or it is not known whether one has, and overwrite objects of
    /// the same name.
    #[arg(long)]
    force: bool,
}

#[derive(Args)]
pub(super) struct RemoveArgs {
    /// The tag.
    #[arg(value_parser = tag_name)]
    tag: String,
    /// Do not ask.
    #[arg(short = 'y', long = "skip-confirmation")]
    yes: bool,
    /// Continue although an IstioOperator resource has the tag, or it is not known whether one has.
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    cluster: ConnectArgs,
}

/// A name of a tag or a revision: the value of a label, and a part of names.
pub(super) fn tag_name(text: &str) -> Result<String, String> {
    let is_end = |c: Option<char>| c.is_some_and(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
    let is_fit = text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
    if is_fit && text.len() <= LONGEST_LABEL && is_end(text.chars().next()) && is_end(text.chars().next_back()) {
        return Ok(text.to_owned());
    }
    Err("must have only a-z, 0-9 and -, begin and end with a letter or a digit, and have at most 63 characters".into())
}

/// A name of an object: labels of DNS (RFC 1123), with dots between them.
fn object_name(text: &str) -> Result<String, String> {
    if text.len() <= LONGEST_NAME && text.split('.').all(|label| tag_name(label).is_ok()) {
        return Ok(text.to_owned());
    }
    Err("must be a name of DNS (RFC 1123): only a-z, 0-9, - and ., parts of at most 63 characters that begin and end with a letter \
         or a digit, and at most 253 characters"
        .into())
}

pub(super) fn run(command: &TagCommand, out: &mut dyn Write) -> Outcome {
    match command {
        TagCommand::Set(args) => set(args, out),
        TagCommand::Generate(args) => generate(args, out),
        TagCommand::List(args) => list(args, out),
        TagCommand::Remove(args) => remove(args, out),
    }
}

/// The objects of a tag, checked against what there is.
fn objects_of(args: &GenerateArgs, connected: &Connected, hooks: &Webhooks) -> anyhow::Result<Vec<Object>> {
    let GenerateArgs { tag, revision, .. } = args;
    if !args.overwrite && tag != DEFAULT && hooks.of_revision(tag).next().is_some() {
        bail!("cannot create revision tag \"{tag}\": found existing control plane revision with same name");
    }
    let canonical = hooks.canonical(revision, args.cluster.istio_namespace.as_deref())?;
    if let Some(there) = hooks.of_tag(tag).next().filter(|_| !args.overwrite) {
        bail!(
            "revision tag \"{tag}\" already exists, and --overwrite is false; it stands for revision \"{}\": add --overwrite to \
             move it",
            label(there, REVISION)
        );
    }
    let package = package_of(args, connected)?;
    let wanted =
        Wanted { tag, revision, webhook_name: args.webhook_name.as_deref(), is_for_all: args.auto_inject_namespaces };
    wanted.objects(&package, &connected.info, canonical)
}

/// The package of the flag, or else that of the release of the revision. One that does not fit the revision is warned of.
fn package_of(args: &GenerateArgs, connected: &Connected) -> anyhow::Result<Package> {
    let revision = &args.revision;
    let is_named = args.package.manifests.is_some();
    let installed = match connected.installed(revision) {
        Err(why) if is_named => {
            eprintln!("Warning: it is not known which release revision \"{revision}\" is of: {why}");
            None
        }
        found => found?.map(|(_, release)| release),
    };
    let release = installed.clone().filter(|_| !is_named).map(NamedPackage::Release);
    let package = args.package.open(release).context("the release of the revision; name its package with -d")?;
    let made = package.release();
    if let Some(installed) = installed.filter(|installed| is_other_minor(installed, &made)) {
        eprintln!(
            "Warning: revision \"{revision}\" is of release {installed}, and the tag is made by the charts of {made}, whose webhooks \
             may differ from those of the revision; without -d it is made by its own"
        );
    }
    Ok(package)
}

/// Whether two releases differ in more than patches.
fn is_other_minor(one: &str, other: &str) -> bool {
    let minor = |release: &str| release.split(['.', '-']).take(2).map(str::to_owned).collect::<Vec<_>>();
    minor(one) != minor(other)
}

/// Whether something is asked for that a tag of this name cannot do.
fn is_wrong(args: &GenerateArgs) -> bool {
    args.auto_inject_namespaces && args.tag != DEFAULT
}

const ONLY_DEFAULT: &str =
    "--auto-inject-namespaces is for the tag default, by which alone pods are injected that name none";

fn generate(args: &GenerateArgs, out: &mut dyn Write) -> Outcome {
    if is_wrong(args) {
        return Ok(wrong_use(ONLY_DEFAULT));
    }
    let connected = cluster::connect_to(&args.cluster.connect)?;
    let hooks = connected.wait(Webhooks::read(&connected.cluster))?;
    for object in objects_of(args, &connected, &hooks)? {
        writeln!(out, "{}---", object.to_yaml().context("an object cannot be written as YAML")?)?;
    }
    Ok(0)
}

/// Refuses to touch a tag that an operator would put back. Returns the resources there are.
fn check_owner(connected: &Connected, tag: &str, hooks: &Webhooks) -> anyhow::Result<Vec<Summary>> {
    let resources = connected.wait(resources::list(&connected.cluster, None)).with_context(|| {
        format!("it is not known whether an IstioOperator resource has tag \"{tag}\"; go on all the same with --force")
    })?;
    if let Some((owner, how)) = resources::owner_of_tag(&resources, tag, hooks.of_tag(tag)) {
        bail!(
            "tag \"{tag}\" is that of IstioOperator {owner}, which {how}, and whose operator would put it back: list it \
             in values.revisionTags of the resource that is to have it, or go on with --force"
        );
    }
    Ok(resources)
}

/// Refuses to write over what is of nobody's tag, and over what an operator would put back.
async fn check_objects(
    connected: &Connected,
    objects: &[Object],
    tag: &str,
    resources: &[Summary],
) -> anyhow::Result<()> {
    for object in objects {
        let Some(live) = connected.cluster.get(object.api_version(), &object.key()).await? else { continue };
        ensure!(
            object.name() == VALIDATOR || is_of_tag(&live, tag),
            "{} is there already, and not of tag \"{tag}\": name another one with --webhook-name, or write over it with --force",
            object.key()
        );
        if let Some(owner) = resources::owner_of(resources, &live) {
            bail!(
                "{} is of IstioOperator {owner}, whose operator would put it back; write over it with --force",
                object.key()
            );
        }
    }
    Ok(())
}

/// Refuses what would have pods injected twice.
fn check_overlaps(objects: &[Object], hooks: &Webhooks, tag: &str) -> anyhow::Result<()> {
    let mine: Vec<Value> =
        objects.iter().filter(|object| object.kind() == injection::KIND).map(|o| o.value().into_owned()).collect();
    let stays = |hook: &&DynamicObject| !is_of_tag(hook, tag);
    let others: Vec<Value> = hooks.all().iter().filter(stays).map(value_of).collect();
    // The unnamed revision steps back for the tag default.
    let steps_back = |other: &Value| tag == DEFAULT && injection::is_default_injector(other);
    let others: Vec<Value> = others.into_iter().filter(|other| !steps_back(other)).collect();
    let found = injection::overlaps(&mine, &others);
    if !found.is_empty() {
        bail!("creating tag would conflict, pass --skip-confirmation to proceed:\n{}", found.join("\n"));
    }
    Ok(())
}

fn set(args: &SetArgs, out: &mut dyn Write) -> Outcome {
    if is_wrong(&args.tag) {
        return Ok(wrong_use(ONLY_DEFAULT));
    }
    let connected = cluster::connect_to(&args.tag.cluster.connect)?;
    let hooks = connected.wait(Webhooks::read(&connected.cluster))?;
    let GenerateArgs { tag, revision, .. } = &args.tag;
    let resources = if args.force { None } else { Some(check_owner(&connected, tag, &hooks)?) };
    let objects = objects_of(&args.tag, &connected, &hooks)?;
    if let Some(resources) = resources {
        connected.wait(check_objects(&connected, &objects, tag, &resources))?;
    }
    if !args.yes {
        check_overlaps(&objects, &hooks, tag)?;
    }
    connected.wait(apply(&connected, &objects, &hooks, tag))?;
    connected.wait(remove_services(&connected, &objects, tag, args.force));
    let before: BTreeSet<&str> = hooks.of_tag(tag).map(|hook| label(hook, REVISION)).collect();
    let done = match before.iter().all(|before| before == revision) {
        _ if before.is_empty() => "created",
        true => "updated",
        false => "moved",
    };
    writeln!(
        out,
        "Revision tag \"{tag}\" {done}, referencing control plane revision \"{revision}\". To enable injection using this\n\
         revision tag, use 'kubectl label namespace <NAMESPACE> istio.io/rev={tag}'"
    )?;
    Ok(0)
}

/// Applies the objects of a tag: all are tried before one is stored, so that the unnamed revision does not step back for a
/// tag that then is not there.
async fn apply(connected: &Connected, objects: &[Object], hooks: &Webhooks, tag: &str) -> anyhow::Result<()> {
    let cluster = &connected.cluster;
    for object in objects {
        cluster.apply(object, true).await?;
    }
    if tag == DEFAULT {
        for hook in hooks.of_revision(DEFAULT) {
            step_back(connected, hook).await?;
        }
    }
    for object in objects {
        let mut object = object.clone();
        if object.name() == VALIDATOR {
            keep_failure_policy(connected, &mut object).await?;
        }
        cluster.apply(&object, false).await?;
    }
    // What the tag had under another name would inject the same pods.
    let keys: BTreeSet<ObjectKey> = objects.iter().map(Object::key).collect();
    for old in hooks.of_tag(tag).filter(|old| !keys.contains(&key_of(HOOK, old))) {
        delete(connected, HOOK, old).await?;
    }
    Ok(())
}

/// Removes the Services that a tag had and has no more, as where it moves to a release whose tags have none; without `is_forced`
/// not those of a resource, whose operator would put them back.
async fn remove_services(connected: &Connected, objects: &[Object], tag: &str, is_forced: bool) {
    let keys: BTreeSet<ObjectKey> = objects.iter().map(Object::key).collect();
    let remove = async || {
        for old in connected.cluster.list(SERVICE.0, SERVICE.1, None, &format!("{TAG}={tag}")).await? {
            let is_others = !is_forced && owner_of(old.labels()).is_some();
            if !is_others && !keys.contains(&key_of(SERVICE, &old)) {
                delete(connected, SERVICE, &old).await?;
            }
        }
        Ok::<_, ClusterError>(())
    };
    if let Err(why) = remove().await {
        eprintln!("Warning: a Service that tag \"{tag}\" had may be left: {why}");
    }
}

/// Has the webhook of the unnamed revision select nothing.
async fn step_back(connected: &Connected, hook: &DynamicObject) -> anyhow::Result<()> {
    let count = hook.data.get("webhooks").and_then(Value::as_array).map_or(0, Vec::len);
    if count == 0 || injection::is_deactivated(&hook.data) {
        return Ok(());
    }
    let nothing = json!({"matchLabels": injection::never()});
    let mut patch = vec![json!({"op": "test", "path": "/metadata/resourceVersion", "value": hook.resource_version()})];
    for index in 0..count {
        for field in ["namespaceSelector", "objectSelector"] {
            patch.push(json!({"op": "add", "path": format!("/webhooks/{index}/{field}"), "value": nothing}));
        }
    }
    let key = resources::key_of("admissionregistration.k8s.io", injection::KIND, hook);
    connected.cluster.patch(injection::API_VERSION, &key, Value::Array(patch)).await?;
    Ok(())
}

/// istiod has the validator fail what it cannot judge once it serves it; that stays.
async fn keep_failure_policy(connected: &Connected, validator: &mut Object) -> anyhow::Result<()> {
    let live = connected.cluster.get(validator.api_version(), &validator.key()).await?;
    let policies: Vec<Value> = live
        .as_ref()
        .and_then(|live| live.data.get("webhooks")?.as_array())
        .map(|hooks| hooks.iter().map(|hook| hook.get("failurePolicy").cloned().unwrap_or_default()).collect())
        .unwrap_or_default();
    let hooks = validator.value_mut().get_mut("webhooks").and_then(Value::as_array_mut);
    for (hook, policy) in hooks.into_iter().flatten().zip(policies) {
        if let Some(hook) = hook.as_object_mut().filter(|_| !policy.is_null()) {
            hook.insert("failurePolicy".into(), policy);
        }
    }
    Ok(())
}

async fn delete(connected: &Connected, kind: (&str, &str), object: &DynamicObject) -> Result<(), ClusterError> {
    connected.cluster.delete(kind.0, &key_of(kind, object), &object.uid().unwrap_or_default()).await
}

/// A tag as it is told.
#[derive(Serialize)]
struct Told {
    tag: String,
    revision: String,
    /// `None` where they cannot be listed.
    namespaces: Option<Vec<String>>,
}

fn list(args: &ListArgs, out: &mut dyn Write) -> Outcome {
    let connected = cluster::connect_to(&args.cluster)?;
    let hooks = connected.wait(Webhooks::read(&connected.cluster))?;
    let users = connected.wait(Users::of_namespaces(&connected.cluster));
    if let Err(why) = &users {
        eprintln!("Warning: it is not known which namespaces name a tag: {why}");
    }
    let told = |hook: &DynamicObject| Told {
        tag: label(hook, TAG).to_owned(),
        revision: label(hook, REVISION).to_owned(),
        namespaces: users.as_ref().ok().map(|users| users.namespaces([label(hook, TAG)])),
    };
    let mut tags: Vec<Told> = hooks.of_tags().map(told).collect();
    tags.sort_by(|a, b| (&a.tag, &a.revision).cmp(&(&b.tag, &b.revision)));
    tags.dedup_by(|a, b| (&a.tag, &a.revision) == (&b.tag, &b.revision));
    for twice in hooks.doubled_tags() {
        eprintln!("Warning: {twice}");
    }
    if tags.is_empty() && args.output == ListFormat::Table {
        writeln!(out, "No Istio revision tag {}s to list", injection::KIND)?;
        return Ok(0);
    }
    let table = |tags: &Vec<Told>| {
        let mut lines = vec![line(["TAG", "REVISION", "NAMESPACES"])];
        let namespaces = |told: &Told| told.namespaces.as_ref().map_or("unknown".to_owned(), |all| all.join(","));
        lines.extend(tags.iter().map(|told| line([&told.tag, &told.revision, &namespaces(told)])));
        lines
    };
    args.output.print(&tags, table, out)?;
    Ok(0)
}

fn remove(args: &RemoveArgs, out: &mut dyn Write) -> Outcome {
    let connected = cluster::connect_to(&args.cluster)?;
    let hooks = connected.wait(Webhooks::read(&connected.cluster))?;
    let tag = &args.tag;
    if hooks.of_tag(tag).next().is_none() {
        bail!("cannot remove tag \"{tag}\": cannot find {} for tag", injection::KIND);
    }
    if !args.force {
        check_owner(&connected, tag, &hooks)?;
    }
    if !args.yes {
        let users = connected.wait(users_of_tag(&connected.cluster, tag)).with_context(|| {
            format!("it is not known who is injected by tag \"{tag}\"; remove it all the same with -y")
        })?;
        let caution = format!(
            "Caution, found {} namespace(s) still injected by tag \"{tag}\", and {} pod(s) that name it: {users}\n\
             Proceed with operation? [y/N]",
            users.namespaces, users.pods
        );
        if !users.is_empty() && !confirm(&caution, &mut std::io::stdin().lock(), &mut std::io::stderr()) {
            writeln!(out, "Aborting operation.")?;
            return Ok(1);
        }
    }
    connected.wait(delete_all(&connected, tag))?;
    writeln!(out, "Revision tag {tag} removed")?;
    if tag == DEFAULT && hooks.of_revision(DEFAULT).any(|hook| injection::is_deactivated(&hook.data)) {
        eprintln!(
            "Warning: the webhook of the unnamed revision still selects nothing: pods that name no revision are not injected \
             until it is installed again, which an operator that has an {RESOURCES} resource of it does by itself"
        );
    }
    Ok(0)
}

/// Deletes all objects of a tag, whoever made them.
async fn delete_all(connected: &Connected, tag: &str) -> anyhow::Result<()> {
    let selector = format!("{TAG}={tag}");
    for kind in [HOOK, SERVICE] {
        for object in connected.cluster.list(kind.0, kind.1, None, &selector).await? {
            delete(connected, kind, &object).await?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_named_as_a_label_and_as_an_object() {
        for good in ["prod", "1-30-3", "a"] {
            assert_eq!(tag_name(good).as_deref(), Ok(good));
        }
        for wrong in ["", "Prod", "a.b", "-a", "a-", "a b", &"a".repeat(64)] {
            assert!(tag_name(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_webhook_is_named_as_the_api_server_takes_it() {
        for good in ["a", "istio-revision-tag-prod", "tag.example.com"] {
            assert_eq!(object_name(good).as_deref(), Ok(good));
        }
        for wrong in ["", "Bad Name", "a_b", "a..b", ".a", "a.", "a/b", &["a"; 128].join(".")] {
            assert!(object_name(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_patch_of_a_release_makes_the_same_tags() {
        for (one, other, is_other) in
            [("1.30.3", "1.30.4", false), ("1.30.3", "1.17.8", true), ("1.30-alpha.1", "1.30.0", false)]
        {
            assert_eq!(is_other_minor(one, other), is_other, "{one} {other}");
        }
    }
}
