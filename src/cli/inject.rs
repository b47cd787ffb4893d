//! `kube-inject`: pods with their proxies, without a webhook.

use super::cluster::{ConnectArgs, Connected, connect_to};
use super::input::{Outcome, read_input};
use super::manifest::SpecArgs;
use super::tag::webhooks::{Webhooks, label};
use crate::cluster::Cluster;
use crate::inject::{InjectError, Installation, stream};
use crate::object::labels::REVISION;
use crate::object::{Object, ObjectKey};
use crate::render::{self, ClusterInfo};
use crate::spec::request::Duplicate;
use anyhow::{Context, anyhow, bail};
use clap::Args;
use helm_template::yaml::{self, Duplicates};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::Path;

/// What `--help` ends with.
const EXAMPLES: &str = "\
Examples:
  istio-operator kube-inject -f app.yaml | kubectl apply -f -               # as the cluster says
  istio-operator kube-inject -f apps/ --revision canary -o injected.yaml
  istio-operator kube-inject -f app.yaml --operatorFileName spec.yaml       # without a cluster";

/// Where the templates and the configuration come from: a file given for it, or else the spec of an installation, or else the
/// cluster of the kubeconfig.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct InjectArgs {
    /// File or folder with Kubernetes objects; `-` is stdin. May be repeated.
    #[arg(short, long, value_name = "FILE", required = true, value_delimiter = ',')]
    filename: Vec<String>,
    /// File to write the result to, instead of stdout.
    #[arg(short, long, value_name = "FILE")]
    output: Option<String>,
    /// Revision of the control plane to inject for, or a tag of it in the cluster.
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
    #[arg(
        long = "injectConfigMapName",
        hide_short_help = true,
        value_name = "NAME",
        default_value = "istio-sidecar-injector"
    )]
    config_map: String,
    /// Name of the mesh's ConfigMap, without the revision.
    #[arg(long = "meshConfigMapName", hide_short_help = true, value_name = "NAME", default_value = "istio")]
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
    /// Namespace of objects that say none, for their proxies; it is not written into the objects.
    #[arg(short = 'n', long = "namespace", value_name = "NAMESPACE", hide_short_help = true)]
    of_objects: Option<String>,
    /// Treat warnings about duplicate keys in files as errors.
    #[arg(long, hide_short_help = true)]
    strict: bool,
    #[command(flatten)]
    connect: ConnectArgs,
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
    let installation = args.installation()?.with_namespace(args.of_objects.as_deref().unwrap_or_default());
    let (mut done, mut errors) = (String::new(), vec![]);
    for name in args.files()? {
        let (file, text) = args.read(&name)?;
        match stream::inject_text(&file, &text, &installation) {
            Ok(injected) => {
                injected.warnings.iter().for_each(|warning| eprintln!("Warning: {warning}"));
                done.push_str(&injected.text);
            }
            Err(found) => errors.extend(found),
        }
    }
    if !errors.is_empty() {
        return Err(together(&errors));
    }
    match &args.output {
        Some(path) if path != "-" => std::fs::write(path, done).with_context(|| format!("write {path}"))?,
        _ => write!(out, "{done}")?,
    }
    Ok(0)
}

fn together(errors: &[InjectError]) -> anyhow::Error {
    anyhow!("{}", errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
}

/// How the files of a folder end that are read, as kubectl has it.
const ENDINGS: [&str; 3] = ["yaml", "yml", "json"];

impl InjectArgs {
    /// The files to inject: of a folder, those directly in it.
    fn files(&self) -> anyhow::Result<Vec<String>> {
        let mut files = vec![];
        for name in self.filename.iter().map(|name| name.trim()) {
            if !Path::new(name).is_dir() {
                files.push(name.to_owned());
                continue;
            }
            let mut found = vec![];
            for entry in std::fs::read_dir(name).with_context(|| format!("read {name}"))? {
                let path = entry.with_context(|| format!("read {name}"))?.path();
                let is_meant = path.extension().is_some_and(|ending| ENDINGS.iter().any(|e| ending == *e));
                if is_meant && path.is_file() {
                    found.push(path.to_string_lossy().into_owned());
                }
            }
            if found.is_empty() {
                bail!("{name} has no file that ends in .yaml, .yml or .json");
            }
            found.sort();
            files.append(&mut found);
        }
        Ok(files)
    }

    /// The text of a file that must say something.
    fn read_some(&self, file: &str, what: &str) -> anyhow::Result<String> {
        let (name, text) = self.read(file)?;
        if text.trim().is_empty() {
            bail!("{name} is empty; it must have the key `{what}` of the injector's ConfigMap");
        }
        Ok(text)
    }

    /// A file and its text, with a word on the keys that stand twice in it. A text that is not valid YAML is told of later.
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
        let some = |file: &Option<String>, what| file.as_ref().map(|f| self.read_some(f, what)).transpose();
        let mesh = self.mesh_file.as_ref().map(|f| self.read(f).map(|(_, text)| text)).transpose()?;
        let (config, values) = (some(&self.config_file, "config")?, some(&self.values_file, "values")?);
        let given = Texts { config, values, mesh, ..Texts::default() };
        let complete = given.config.is_some() && given.values.is_some() && given.mesh.is_some();
        let revision = self.revision.clone().unwrap_or_default();
        let (base, cluster) = match &self.operator_file {
            Some(file) => (self.read_spec(file)?, None),
            None if complete => (Texts { revision, ..Texts::default() }, None),
            None => {
                let connected = self.connected()?;
                (connected.wait(self.ask_cluster(&connected.cluster, revision, &given))?, Some(connected))
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
        Ok(with_nodes(installation.with_environment(base.environment), cluster.as_ref()))
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

    fn connected(&self) -> anyhow::Result<Connected> {
        let hint = "give --operatorFileName, or --injectConfigFile, --valuesFile and --meshConfigFile, to do without";
        connect_to(&self.connect).map_err(|error| anyhow!("there is no cluster to ask; {hint}: {error:#}"))
    }

    /// What the cluster has of what is not given.
    async fn ask_cluster(&self, cluster: &Cluster, revision: String, given: &Texts) -> anyhow::Result<Texts> {
        let mut texts = Texts { revision, ..Texts::default() };
        if given.config.is_none() || given.values.is_none() {
            let injector = self.config_map(cluster, &self.config_map, &mut texts.revision).await?;
            (texts.config, texts.values) = (key(&injector, "config"), key(&injector, "values"));
        }
        if given.mesh.is_none() {
            texts.mesh = key(&self.config_map(cluster, &self.mesh_map, &mut texts.revision).await?, "mesh");
        }
        let istiod = self.key_of("apps", "Deployment", "istiod", &texts.revision);
        match cluster.get("apps/v1", &istiod).await {
            Ok(Some(found)) => texts.environment = variables(&found.data),
            Ok(None) => eprintln!("Warning: there is no {istiod}; what its environment says to templates is not known"),
            Err(error) => {
                eprintln!("Warning: what the environment of {istiod} says to templates is not known: {error}");
            }
        }
        Ok(texts)
    }

    fn key_of(&self, group: &str, kind: &str, name: &str, revision: &str) -> ObjectKey {
        let name = with_revision(name, revision);
        ObjectKey { group: group.to_owned(), kind: kind.to_owned(), namespace: self.namespace.clone(), name }
    }

    /// A ConfigMap of a revision. Where there is none, what was taken for a revision may be a tag; then it is set to its revision.
    async fn config_map(&self, cluster: &Cluster, name: &str, revision: &mut String) -> anyhow::Result<Value> {
        let key = self.key_of("", "ConfigMap", name, revision);
        if let Some(found) = cluster.get("v1", &key).await? {
            return Ok(found.data);
        }
        let missing = format!("there is no {key}; name the control plane's revision with -r, its namespace with -i");
        let asked = revision.clone();
        let tag = if asked.is_empty() { "default" } else { asked.as_str() };
        let hooks = Webhooks::read(cluster).await;
        let hooks = hooks.map_err(|e| anyhow!("{missing}; whether \"{tag}\" is a tag cannot be found out: {e}"))?;
        let tagged: BTreeSet<&str> = hooks.of_tag(tag).map(|hook| label(hook, REVISION)).collect();
        let tagged: Vec<&str> = tagged.into_iter().filter(|tagged| !tagged.is_empty() && *tagged != asked).collect();
        match tagged.as_slice() {
            [] => bail!("{missing}"),
            [one] => {
                let key = self.key_of("", "ConfigMap", name, one);
                let found = cluster.get("v1", &key).await?;
                let found =
                    found.with_context(|| format!("the tag \"{tag}\" is for revision {one}, but there is no {key}"))?;
                (*one).clone_into(revision);
                Ok(found.data)
            }
            several => bail!("{missing}; the tag \"{tag}\" is for several: {}", several.join(", ")),
        }
    }
}

/// An installation that knows, if it matters and can be found out, whether the nodes of the cluster run native sidecars.
fn with_nodes(installation: Installation, cluster: Option<&Connected>) -> Installation {
    if !installation.lacks_nodes() {
        return installation;
    }
    let unknown = match cluster.map(|connected| connected.wait(connected.cluster.list("v1", "Node", None, ""))) {
        Some(Ok(nodes)) => {
            return installation.with_native_sidecars(nodes.iter().all(|node| runs_sidecars(&node.data)));
        }
        Some(Err(error)) => format!(": {error}"),
        None => String::new(),
    };
    eprintln!(
        "Warning: istiod makes proxies native sidecars where all nodes run Kubernetes 1.33 or later, which is not known here{unknown}; \
         they become containers, unless ENABLE_NATIVE_SIDECARS of istiod or a pod's annotation sidecar.istio.io/nativeSidecar is \"true\""
    );
    installation
}

/// The minor version of Kubernetes in which native sidecars are stable.
const NATIVE_SINCE: u32 = 33;

/// Whether a node runs native sidecars for sure.
fn runs_sidecars(node: &Value) -> bool {
    let version = node.pointer("/status/nodeInfo/kubeletVersion").and_then(Value::as_str).unwrap_or_default();
    let mut numbers = version.trim_start_matches('v').split('.').map(|part| part.parse::<u32>().ok());
    matches!((numbers.next(), numbers.next()), (Some(Some(1)), Some(Some(minor))) if minor >= NATIVE_SINCE)
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

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_node_runs_native_sidecars_if_its_version_says_so() {
        for (version, runs) in
            [("v1.33.0", true), ("v1.34.1-gke.100", true), ("v1.32.9", false), ("v1.x", false), ("", false)]
        {
            assert_eq!(runs_sidecars(&json!({"status": {"nodeInfo": {"kubeletVersion": version}}})), runs, "{version}");
        }
        assert!(!runs_sidecars(&json!({})));
    }
}
