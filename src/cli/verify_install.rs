//! `verify-install`: whether every object of an installation is there and ready.

use super::cluster::{self, ClusterArgs, Connected};
use super::input::Outcome;
use super::install::read_wanted;
use super::manifest::SpecArgs;
use super::output::{DataFormat, ListFormat};
use super::resources::{self, Summary};
use super::screen::Screen;
use super::verification::Verification;
use crate::api::status::{InstallStatus, Phase};
use crate::api::{API_VERSION, INSTALLED_STATE, KIND};
use crate::install::{installed_release, installed_state};
use crate::object::Object;
use crate::object::manifests::{Manifests, revision_label};
use crate::release::Package;
use crate::render::{self, ClusterInfo};
use crate::spec::request::NamedPackage;
use anyhow::{Context, bail};
use clap::Args;
use helm_template::yaml::{Duplicates, parse_documents};
use kube::ResourceExt;
use kube::api::DynamicObject;
use serde_json::{Value, json};
use std::io::Write;

/// What `--help` ends with.
const EXAMPLES: &str = "\
Examples:
  istio-operator verify-install                      # what was installed last, by its record
  istio-operator verify-install --revision canary
  istio-operator verify-install -f spec.yaml         # what a spec renders to
  istio-operator verify-install -f manifests.yaml    # what `manifest generate` printed
  istio-operator verify-install -o json              # how each object stands, for programs

A resource of the revision that an operator reconciles must be HEALTHY, too, by its present spec.

Exit code: 0 if every object is there and ready, 1 if one is not or cannot be read.";

#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct VerifyArgs {
    #[command(flatten)]
    spec: SpecArgs,
    /// Output format; table is a line for each object.
    #[arg(short, long, value_enum, default_value_t)]
    output: ListFormat,
    #[command(flatten)]
    cluster: ClusterArgs,
}

/// `verify-install`.
pub(super) fn run(args: &VerifyArgs, out: &mut dyn Write) -> Outcome {
    // Manifests may be in them, too.
    let files = args.spec.texts()?;
    let listed = listed(args, &files)?;
    let connected = cluster::connect_to(&args.cluster.connect)?;
    let namespace = args.cluster.istio_namespace.clone().unwrap_or_else(|| "istio-system".to_owned());
    if let Some(listed) = listed {
        return print(args, &Verification::of(&connected, listed, &namespace, vec![]), out);
    }
    let (manifests, revision) = if args.spec.filename.is_empty() && args.spec.set.is_empty() {
        let revision = revision_label(args.spec.revision.as_deref().unwrap_or_default()).to_owned();
        (recorded(args, &connected)?, revision)
    } else {
        let wanted = read_wanted(&args.spec, &files, &args.cluster, &connected)?.manifests;
        let revision = wanted.revision_label().to_owned();
        (vec![wanted], revision)
    };
    let objects = manifests.into_iter().flat_map(|manifests| manifests.parts).flat_map(|part| part.objects).collect();
    let unhealthy = unhealthy(&connected, &revision)?;
    print(args, &Verification::of(&connected, objects, &namespace, unhealthy), out)
}

fn print(args: &VerifyArgs, found: &Verification, out: &mut dyn Write) -> Outcome {
    let form = match args.output {
        ListFormat::Table => return Ok(found.tell(&mut Screen::new(out))),
        ListFormat::Json => DataFormat::Json,
        ListFormat::Yaml => DataFormat::Yaml,
    };
    form.print(found, out)?;
    if let Some(error) = found.error() {
        eprintln!("{error}");
    }
    Ok(found.code())
}

/// Why the resources of a revision that an operator reconciles are not as they should be. While one is under way, a record tells of
/// what was there before.
fn unhealthy(connected: &Connected, revision: &str) -> anyhow::Result<Vec<String>> {
    let all = connected.wait(resources::list(&connected.cluster, None));
    let all = all.context("it is not known whether an operator reconciles a resource of the revision")?;
    let own = all.iter().filter(|one| one.revision == revision && !one.is_left_alone);
    Ok(own.filter_map(|one| Some(format!("IstioOperator {}: {}", one.id, why_unhealthy(one)?))).collect())
}

fn why_unhealthy(resource: &Summary) -> Option<String> {
    let status = InstallStatus::read(&resource.status);
    let message = status.message.filter(|message| !message.is_empty()).map(|message| format!(": {message}"));
    match (status.status, status.observed_generation) {
        (None, _) => Some("no operator has reported its status yet".to_owned()),
        (Some(phase), _) if phase != Phase::Healthy => Some(format!("{}{}", phase.name(), message.unwrap_or_default())),
        // Upstream's operator tells no generation.
        (_, Some(observed)) if observed < resource.generation => {
            Some(format!("its status is of generation {observed}, and its spec of {}", resource.generation))
        }
        _ => None,
    }
}

/// The objects of files that hold no IstioOperator resource, but what one came to.
fn listed(args: &VerifyArgs, files: &[(String, String)]) -> anyhow::Result<Option<Vec<Object>>> {
    let mut objects = vec![];
    for (name, text) in files {
        let documents = parse_documents(text, Duplicates::LastWins).with_context(|| format!("read {name}"))?;
        let values = documents.into_iter().map(|document| document.value).filter(|value| !value.is_null());
        for mut value in values {
            if value.get("kind").is_some_and(|kind| kind == KIND) {
                return Ok(None);
            }
            if let (Some(namespace), Some(metadata)) =
                (&args.cluster.namespace, value.get_mut("metadata").and_then(Value::as_object_mut))
            {
                metadata.entry("namespace").or_insert_with(|| namespace.clone().into());
            }
            objects.push(Object::new(value).with_context(|| format!("read {name}"))?);
        }
    }
    Ok((!objects.is_empty()).then_some(objects))
}

/// What the records of a revision come to.
fn recorded(args: &VerifyArgs, connected: &Connected) -> anyhow::Result<Vec<Manifests>> {
    let revision = revision_label(args.spec.revision.as_deref().unwrap_or_default());
    let all = connected.wait(connected.cluster.list(API_VERSION, KIND, None, ""))?;
    let mut found = vec![];
    for record in all.iter().filter(|one| one.name_any().starts_with(INSTALLED_STATE)) {
        let (spec, _) = installed_state::read(record);
        if revision_label(spec.get("revision").and_then(Value::as_str).unwrap_or_default()) != revision {
            continue;
        }
        let package = package_of(args, connected, record)?;
        let metadata = json!({"name": "", "namespace": record.namespace().unwrap_or_default()});
        let resource = json!({"metadata": metadata, "spec": spec});
        let gives_default_tag = installed_state::is_default_unasked(record);
        let info = ClusterInfo { gives_default_tag, ..connected.info.clone() };
        found.push(render::from_record(&resource, &info, &package)?);
    }
    if found.is_empty() {
        bail!(
            "there is no record of an installation of revision {revision} (an IstioOperator {INSTALLED_STATE}… in the cluster); name \
             the spec or the manifests with -f"
        );
    }
    Ok(found)
}

/// The package of the flag, or else that of the release that a record says, or else the control plane that is there.
fn package_of(args: &VerifyArgs, connected: &Connected, record: &DynamicObject) -> anyhow::Result<Package> {
    let name = record.name_any();
    let is_named = args.spec.package.manifests.as_ref().is_some_and(|flag| !flag.is_empty());
    let release = match installed_release::of_record(record) {
        None if !is_named => {
            let revision = args.spec.revision.as_deref().unwrap_or_default();
            let (_, release) = connected.installed(revision)?.with_context(|| {
                format!("nothing says which release IstioOperator {name} is the record of; name its package with -d")
            })?;
            Some(release)
        }
        said => said,
    };
    let package = args.spec.package.open(release.clone().map(NamedPackage::Release));
    package.with_context(|| {
        let release = release.unwrap_or_default();
        format!("IstioOperator {name} is the record of release {release}; name its package with -d")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::received::from_value;

    #[test]
    fn a_resource_is_as_it_should_be_if_healthy_and_of_its_present_spec() {
        let why = |status: Value| {
            let resource = json!({"metadata": {"name": "main", "namespace": "mesh", "generation": 2}, "spec": {},
                "status": status});
            why_unhealthy(&from_value(&resource).unwrap().into())
        };
        let is =
            |phase: &str, generation: i64| json!({"status": phase, "observedGeneration": generation, "message": "m"});
        assert_eq!(why(is("HEALTHY", 2)), None);
        assert_eq!(why(is("RECONCILING", 2)).unwrap(), "RECONCILING: m");
        assert_eq!(why(is("HEALTHY", 1)).unwrap(), "its status is of generation 1, and its spec of 2");
        assert_eq!(why(json!({"status": "HEALTHY"})), None, "as upstream's operator tells it");
        assert_eq!(why(Value::Null).unwrap(), "no operator has reported its status yet");
    }
}
