//! `verify-install`: whether every object of an installation is there and ready.

use super::cluster::{self, ClusterArgs, Connected};
use super::input::{Outcome, read_input};
use super::install::read_wanted;
use super::manifest::SpecArgs;
use super::screen::Screen;
use super::verification::verify;
use crate::api::{API_VERSION, INSTALLED_STATE, KIND};
use crate::install::{installed_release, installed_state};
use crate::object::Object;
use crate::object::manifests::{Manifests, revision_label};
use crate::render::{self, ClusterInfo};
use crate::spec::request::NamedPackage;
use anyhow::{Context, bail};
use clap::Args;
use helm_template::yaml::{Duplicates, parse_documents};
use kube::ResourceExt;
use serde_json::{Value, json};
use std::io::Write;

/// What `--help` ends with.
const EXAMPLES: &str = "\
Examples:
  istio-operator verify-install                      # what was installed last, by its record
  istio-operator verify-install --revision canary
  istio-operator verify-install -f spec.yaml         # what a spec comes to
  istio-operator verify-install -f manifests.yaml    # what `manifest generate` printed

Exit code: 0 if every object is there and ready, 1 if one is not or cannot be read.";

#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct VerifyArgs {
    #[command(flatten)]
    spec: SpecArgs,
    #[command(flatten)]
    cluster: ClusterArgs,
}

/// `verify-install`.
pub(super) fn run(args: &VerifyArgs, out: &mut dyn Write) -> Outcome {
    let connected = cluster::connect_to(&args.cluster.connect)?;
    let mut screen = Screen::new(out);
    let namespace = args.cluster.istio_namespace.clone().unwrap_or_else(|| "istio-system".to_owned());
    let mut objects = vec![];
    if let Some(listed) = listed(args)? {
        objects = listed;
    } else if args.spec.filename.is_empty() && args.spec.set.is_empty() {
        for manifests in recorded(args, &connected)? {
            objects.extend(manifests.parts.into_iter().flat_map(|part| part.objects));
        }
    } else {
        let wanted = read_wanted(&args.spec, &args.cluster, &connected)?;
        objects.extend(wanted.manifests.parts.into_iter().flat_map(|part| part.objects));
    }
    Ok(verify(&connected, objects, &namespace, &mut screen))
}

/// The objects of files that hold no IstioOperator resource, but what one came to.
fn listed(args: &VerifyArgs) -> anyhow::Result<Option<Vec<Object>>> {
    let files = args.spec.filename.iter().filter(|name| name.trim() != "-");
    let mut objects = vec![];
    for name in files {
        let (name, text) = read_input(name.trim())?;
        let documents = parse_documents(&text, Duplicates::LastWins).with_context(|| format!("read {name}"))?;
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
        let release = installed_release::of_record(record);
        let package = args.spec.package.open(release.clone().map(NamedPackage::Release)).with_context(|| {
            let release = release.unwrap_or_default();
            format!("IstioOperator {} is the record of release {release}; name its package with -d", record.name_any())
        })?;
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
