//! `kube-inject`: pods with their proxies, without a webhook.

use super::cluster::{SILENCE, door};
use super::input::{Outcome, read_input};
use super::manifest::SpecArgs;
use crate::cluster::Cluster;
use crate::cluster::connect::Choice;
use crate::inject::{InjectError, Installation, stream};
use crate::object::{Object, ObjectKey};
use crate::render::{self, ClusterInfo};
use crate::spec::request::Duplicate;
use anyhow::{Context, anyhow, bail};
use clap::Args;
use helm_template::yaml::{self, Duplicates};
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::Write;

/// What `--help` ends with.
const EXAMPLES: &str = "\
Examples:
  istio-operator kube-inject -f app.yaml | kubectl apply -f -               # as the cluster says
  istio-operator kube-inject -f app.yaml --revision canary -o injected.yaml
  istio-operator kube-inject -f app.yaml --operatorFileName spec.yaml       # without a cluster";

/// Where the templates and the configuration come from: a file given for it, or else the spec of an installation, or else
/// the cluster.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct InjectArgs {
    /// File with the Kubernetes objects; `-` is stdin.
    #[arg(short, long, value_name = "FILE")]
    filename: String,
    /// File to write the result to, instead of stdout.
    #[arg(short, long, value_name = "FILE")]
    output: Option<String>,
    /// Revision of the control plane to inject for.
    #[arg(short, long, value_name = "REV")]
    revision: Option<String>,
    /// File with the IstioOperator resource of the installation; no cluster is needed then.
    #[arg(long = "operatorFileName", visible_alias = "operator-file", value_name = "FILE")]
    operator_file: Option<String>,
    /// File with the injection templates: the key `config` of the injector's ConfigMap.
    #[arg(long = "injectConfigFile", visible_alias = "inject-config-file", value_name = "FILE")]
    config_file: Option<String>,
    /// File with the mesh configuration: the key `mesh` of the mesh's ConfigMap.
    #[arg(long = "meshConfigFile", visible_alias = "mesh-config-file", value_name = "FILE")]
    mesh_file: Option<String>,
    /// File with the injector's values: the key `values` of its ConfigMap.
    #[arg(long = "valuesFile", visible_alias = "values-file", value_name = "FILE")]
    values_file: Option<String>,
    /// Name of the injector's ConfigMap, without the revision.
    #[arg(long = "injectConfigMapName", value_name = "NAME", default_value = "istio-sidecar-injector")]
    config_map: String,
    /// Name of the mesh's ConfigMap, without the revision.
    #[arg(long = "meshConfigMapName", value_name = "NAME", default_value = "istio")]
    mesh_map: String,
    /// Namespace of the control plane.
    #[arg(
        short = 'i',
        long = "istioNamespace",
        visible_alias = "istio-namespace",
        value_name = "NAMESPACE",
        default_value = "istio-system"
    )]
    namespace: String,
    /// Treat warnings about duplicate keys in files as errors.
    #[arg(long)]
    strict: bool,
}

/// The texts that an installation is made of, by the ConfigMap and its key.
#[derive(Default)]
struct Texts {
    config: Option<String>,
    values: Option<String>,
    mesh: Option<String>,
    revision: String,
    environment: BTreeMap<String, String>,
}

pub(super) fn run(args: &InjectArgs, out: &mut dyn Write) -> Outcome {
    let installation = args.installation()?;
    let (file, text) = args.read(&args.filename)?;
    let injected = stream::inject_text(&file, &text, &installation).map_err(|e| together(&e))?;
    for warning in &injected.warnings {
        eprintln!("Warning: {warning}");
    }
    match &args.output {
        Some(path) if path != "-" => std::fs::write(path, injected.text).with_context(|| format!("write {path}"))?,
        _ => write!(out, "{}", injected.text)?,
    }
    Ok(0)
}

fn together(errors: &[InjectError]) -> anyhow::Error {
    anyhow!("{}", errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
}

impl InjectArgs {
    /// A file and its text, with a word on the keys that stand twice in it. A text that is no YAML is told of later.
    fn read(&self, name: &str) -> anyhow::Result<(String, String)> {
        let (file, text) = read_input(name)?;
        let documents = yaml::parse_documents(&text, Duplicates::LastWins).unwrap_or_default();
        let found: Vec<_> = documents.iter().flat_map(|d| Duplicate::of(&file, &d.duplicates)).collect();
        if self.strict && !found.is_empty() {
            bail!("{}", found.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"));
        }
        for duplicate in found {
            eprintln!("Warning: {duplicate}");
        }
        Ok((file, text))
    }

    fn installation(&self) -> anyhow::Result<Installation> {
        let files = [&self.config_file, &self.values_file, &self.mesh_file];
        let read = |file: &Option<String>| file.as_ref().map(|f| self.read(f).map(|(_, text)| text)).transpose();
        let [config, values, mesh] = files.map(read);
        let given = Texts { config: config?, values: values?, mesh: mesh?, ..Texts::default() };
        let complete = given.config.is_some() && given.values.is_some() && given.mesh.is_some();
        let revision = self.revision.clone().unwrap_or_default();
        let base = match &self.operator_file {
            Some(file) => self.read_spec(file)?,
            None if complete => Texts { revision, ..Texts::default() },
            None => {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
                runtime.block_on(self.ask_cluster(revision, &given))?
            }
        };
        let text = |given: Option<String>, base: Option<String>, what: &str| {
            given.or(base).with_context(|| format!("the installation has no {what}"))
        };
        let installation = Installation::new(
            &text(given.config, base.config, "injection configuration")?,
            &text(given.values, base.values, "injection values")?,
            &text(given.mesh, base.mesh, "mesh configuration")?,
            &base.revision,
        );
        let installation = installation
            .map_err(|errors| anyhow!("{}", errors.iter().map(|e| self.with_file(e)).collect::<Vec<_>>().join("\n")))?;
        Ok(installation.with_environment(base.environment))
    }

    /// An error in what the installation is made of, with the file it is in.
    fn with_file(&self, error: &InjectError) -> String {
        let file = match error {
            InjectError::Configuration { what: "mesh configuration", .. } => &self.mesh_file,
            InjectError::Configuration { what: "values", .. } => &self.values_file,
            InjectError::Configuration { .. } | InjectError::Parse(_) => &self.config_file,
            _ => &None,
        };
        file.as_ref().map_or_else(|| error.to_string(), |file| format!("{file}: {error}"))
    }

    /// What the installation that a spec describes would have in the cluster.
    fn read_spec(&self, file: &str) -> anyhow::Result<Texts> {
        let spec = SpecArgs {
            filename: vec![file.to_owned()],
            revision: self.revision.clone(),
            strict: self.strict,
            ..SpecArgs::default()
        };
        let (request, package, strictness) = spec.request()?;
        let manifests = render::build(&request, &ClusterInfo::default(), &package, strictness)?;
        for warning in &manifests.warnings {
            eprintln!("Warning: {warning}");
        }
        let objects: Vec<&Object> = manifests.objects().collect();
        let find = |kind: &str, name: &str| {
            let name = with_revision(name, &manifests.revision);
            let found = objects.iter().find(|o| o.key().kind == kind && o.key().name == name).copied();
            found
                .with_context(|| format!("the installation in {file} has no {kind} {name}; its spec must enable pilot"))
        };
        let injector = find("ConfigMap", &self.config_map)?.value();
        let mesh = find("ConfigMap", &self.mesh_map)?.value();
        let environment = find("Deployment", "istiod").map(|istiod| variables(&istiod.value())).unwrap_or_default();
        Ok(Texts {
            config: key(&injector, "config"),
            values: key(&injector, "values"),
            mesh: key(&mesh, "mesh"),
            revision: manifests.revision.clone(),
            environment,
        })
    }

    /// What the cluster has of what is not given.
    async fn ask_cluster(&self, revision: String, given: &Texts) -> anyhow::Result<Texts> {
        let hint = "give --operatorFileName, or --injectConfigFile, --valuesFile and --meshConfigFile, to do without";
        let found = door(&Choice::default(), SILENCE).await;
        let (cluster, _) = found.map_err(|error| anyhow!("there is no cluster to ask; {hint}: {error}"))?;
        let mut texts = Texts { revision, ..Texts::default() };
        if given.config.is_none() || given.values.is_none() {
            let injector = self.config_map(&cluster, &self.config_map, &texts.revision).await?;
            (texts.config, texts.values) = (key(&injector, "config"), key(&injector, "values"));
        }
        if given.mesh.is_none() {
            texts.mesh = key(&self.config_map(&cluster, &self.mesh_map, &texts.revision).await?, "mesh");
        }
        Ok(texts)
    }

    async fn config_map(&self, cluster: &Cluster, name: &str, revision: &str) -> anyhow::Result<Value> {
        let name = with_revision(name, revision);
        let key = ObjectKey { group: String::new(), kind: "ConfigMap".into(), namespace: self.namespace.clone(), name };
        match cluster.get("v1", &key).await? {
            Some(found) => Ok(found.data),
            None => bail!("there is no {key}; name the control plane's revision with -r, its namespace with -i"),
        }
    }
}

fn with_revision(name: &str, revision: &str) -> String {
    if revision.is_empty() || revision == "default" { name.to_owned() } else { format!("{name}-{revision}") }
}

/// A key of a ConfigMap.
fn key(config_map: &Value, key: &str) -> Option<String> {
    config_map.get("data")?.get(key)?.as_str().map(str::to_owned)
}

/// The environment of istiod, as far as it is written down.
fn variables(deployment: &Value) -> BTreeMap<String, String> {
    let text = |variable: &Value, field: &str| variable.get(field).and_then(Value::as_str).map(str::to_owned);
    let variables = deployment.pointer("/spec/template/spec/containers/0/env").and_then(Value::as_array);
    variables.into_iter().flatten().filter_map(|v| Some((text(v, "name")?, text(v, "value")?))).collect()
}
