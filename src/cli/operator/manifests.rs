//! The objects that the operator is deployed by: those of `config/default`, as `kubectl apply -k` would apply them, with what a
//! person asks for.

pub(super) use super::deployed::NAME;
use super::deployed::{Deployed, WATCHED};
use super::names::{self, Named};
use crate::api::crd;
use crate::object::{Object, read_all, scope};
use anyhow::Context;
use clap::Args;
use helm_template::yaml;
use include_dir::{Dir, include_dir};
use kube::api::DynamicObject;
use serde_json::{Value, json};

static CONTROLLER: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/config/controller");
static OPERATOR: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/config/operator");
static RBAC: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/config/rbac");
/// The folders of `config` that are needed.
const FOLDERS: [(&str, &Dir<'_>); 3] = [(FOLDER, &CONTROLLER), ("operator", &OPERATOR), ("rbac", &RBAC)];
/// The one with the operator, but for the CRD of its resources.
const FOLDER: &str = "controller";
/// The kind that binds it to its role.
pub(super) const BINDING: &str = "ClusterRoleBinding";
/// Its Lease.
const LEASE: &str = "istio-operator-lock";
/// The namespaces that an operator watches of which nobody says anything.
const WATCHED_BY_DEFAULT: &str = "istio-system";
/// Kinds of which each revision of the operator has its own; the roles of releases are shared.
const OWN: [&str; 7] =
    ["Deployment", "PodDisruptionBudget", "Service", "ServiceAccount", "ClusterRoleBinding", "Role", "RoleBinding"];
/// Maps of labels that the pods of the operator have, or are selected by.
const LABELS: [&str; 3] = ["labels", "matchLabels", "selector"];

/// How the operator is to be deployed.
#[derive(Args, Clone, Debug)]
pub(super) struct Settings {
    /// Registry and folder of the operator's image.
    #[arg(long)]
    hub: Option<String>,
    /// Tag of the operator's image.
    #[arg(long)]
    tag: Option<String>,
    /// Namespaces to watch for resources, separated by commas; empty for all (default: istio-system).
    #[arg(long = "watchedNamespaces", alias = "watched-namespaces")]
    watched: Option<String>,
    /// Namespace of the operator.
    #[arg(long = "operatorNamespace", alias = "operator-namespace", default_value = NAME)]
    pub(super) namespace: String,
    /// Secrets to pull the operator's image with, separated by commas. May be repeated.
    #[arg(long = "imagePullSecrets", alias = "image-pull-secrets", value_delimiter = ',')]
    pull_secrets: Vec<String>,
    /// Reconcile only resources of this revision, beside other operators.
    #[arg(short, long)]
    revision: Option<String>,
    /// What an operator that is there keeps where no flag says otherwise.
    #[arg(skip)]
    kept: Deployed,
}

impl Settings {
    /// Those of an operator in a namespace, as far as they tell which objects are its own.
    pub(super) fn of(namespace: &str, revision: &str) -> Self {
        Self {
            hub: None,
            tag: None,
            watched: None,
            namespace: namespace.to_owned(),
            pull_secrets: vec![],
            revision: Some(revision.to_owned()),
            kept: Deployed::default(),
        }
    }

    /// The same for an operator that is there: it keeps what no flag says.
    pub(super) fn over(&self, there: Deployed) -> Self {
        Self { kept: there, ..self.clone() }
    }

    /// What is wrong with the flags, all of it.
    pub(super) fn problems(&self) -> Vec<String> {
        names::problems(&Named {
            hub: self.hub.as_deref(),
            tag: self.tag.as_deref(),
            watched: self.watched(),
            namespace: &self.namespace,
            pull_secrets: &self.pull_secrets,
            revision: self.revision.as_deref(),
        })
    }

    /// Whether the flags say which image.
    pub(super) fn says_image(&self) -> bool {
        self.hub.is_some() || self.tag.is_some()
    }

    /// Its revision; upstream's `default` counts as none.
    fn revision(&self) -> &str {
        self.revision.as_deref().filter(|revision| *revision != "default").unwrap_or_default()
    }

    fn suffix(&self) -> String {
        match self.revision() {
            "" => String::new(),
            revision => format!("-{revision}"),
        }
    }

    /// The name of its Deployment.
    pub(super) fn name(&self) -> String {
        format!("{NAME}{}", self.suffix())
    }

    /// The namespaces to watch; none for all.
    pub(super) fn watched(&self) -> Vec<&str> {
        let said = self.watched.as_deref().or(self.kept.variable(WATCHED)).unwrap_or(WATCHED_BY_DEFAULT);
        said.split(',').map(str::trim).filter(|name| !name.is_empty() && *name != "*").collect()
    }

    /// All objects, in the order in which they are applied.
    ///
    /// # Errors
    /// Never with the files we ship.
    pub(super) fn objects(&self) -> anyhow::Result<Vec<Object>> {
        let mut objects = read_all(&crd::to_yaml()).context("the CRD of IstioOperator")?;
        let mut own = folder(FOLDER).context("the operator's manifests")?;
        for object in &mut own {
            self.fit(object);
        }
        objects.extend(own);
        // Namespaces before what is in them.
        objects.sort_by_key(|object| (object.kind() != "Namespace", object.kind() == "Deployment"));
        Ok(objects)
    }

    /// The image of a Deployment of the operator.
    pub(super) fn image_of(objects: &[Object]) -> String {
        let image = |object: &Object| {
            let value = object.value();
            value.pointer("/spec/template/spec/containers/0/image").and_then(Value::as_str).map(str::to_owned)
        };
        objects.iter().find_map(image).unwrap_or_default()
    }

    /// Has an object be what is asked for.
    fn fit(&self, object: &mut Object) {
        let is_namespaced = scope::is_namespaced(object.group(), object.kind()) == Some(true);
        let (kind, name) = (object.kind().to_owned(), object.name().to_owned());
        let suffix = if OWN.contains(&kind.as_str()) { self.suffix() } else { String::new() };
        let name = if kind == "Namespace" { self.namespace.clone() } else { format!("{name}{suffix}") };
        let value = object.value_mut();
        set(value, "/metadata", "name", name.into());
        if is_namespaced {
            set(value, "/metadata", "namespace", self.namespace.as_str().into());
        }
        if value.pointer("/roleRef/kind").is_some_and(|kind| kind == "Role") {
            append(value, "/roleRef/name", &suffix);
        }
        for subject in value.get_mut("subjects").and_then(Value::as_array_mut).into_iter().flatten() {
            append(subject, "/name", &suffix);
            set(subject, "", "namespace", self.namespace.as_str().into());
        }
        for rule in value.get_mut("rules").and_then(Value::as_array_mut).into_iter().flatten() {
            let names = rule.get_mut("resourceNames").and_then(Value::as_array_mut).into_iter().flatten();
            for name in names.filter(|name| **name == LEASE) {
                *name = format!("{LEASE}{suffix}").into();
            }
        }
        tell_apart(value, &suffix);
        if kind == "Deployment" {
            self.fit_deployment(value);
        }
    }

    fn fit_deployment(&self, value: &mut Value) {
        append(value, "/spec/template/spec/serviceAccountName", &self.suffix());
        let secrets = if self.pull_secrets.is_empty() { &self.kept.pull_secrets } else { &self.pull_secrets };
        if !secrets.is_empty() {
            let secrets: Vec<Value> = secrets.iter().map(|name| json!({"name": name})).collect();
            set(value, "/spec/template/spec", "imagePullSecrets", secrets.into());
        }
        let Some(container) = value.pointer_mut("/spec/template/spec/containers/0") else { return };
        let image = container.get("image").and_then(Value::as_str).unwrap_or_default();
        let image = self.kept.image_with(self.hub.as_deref(), self.tag.as_deref(), image);
        set(container, "", "image", image.into());
        let Some(env) = container.get_mut("env").and_then(Value::as_array_mut) else { return };
        for variable in env.iter_mut() {
            let name = variable.get("name").and_then(Value::as_str).unwrap_or_default();
            let value = if name == WATCHED {
                Some(self.watched().join(","))
            } else {
                self.kept.variable(name).map(str::to_owned)
            };
            if let Some(value) = value {
                set(variable, "", "value", value.into());
            }
        }
        if !self.revision().is_empty() {
            env.push(json!({"name": "REVISION", "value": self.revision()}));
        }
    }
}

/// Whether a live binding is for an account of a namespace.
pub(super) fn is_for(binding: &DynamicObject, namespace: &str) -> bool {
    let subjects = binding.data.get("subjects").and_then(Value::as_array).into_iter().flatten();
    let mut namespaces = subjects.filter_map(|subject| subject.get("namespace")?.as_str());
    namespaces.any(|one| one == namespace)
}

/// Sets a field of a map that is there.
fn set(value: &mut Value, pointer: &str, field: &str, to: Value) {
    if let Some(map) = value.pointer_mut(pointer).and_then(Value::as_object_mut) {
        map.insert(field.to_owned(), to);
    }
}

/// Appends to a text that is there.
fn append(value: &mut Value, pointer: &str, suffix: &str) {
    if let Some(Value::String(text)) = value.pointer_mut(pointer) {
        text.push_str(suffix);
    }
}

/// Has the pods of an operator be labelled, and selected, by its own name wherever that is said.
fn tell_apart(value: &mut Value, suffix: &str) {
    match value {
        Value::Object(map) => {
            for (field, below) in map.iter_mut() {
                if LABELS.contains(&field.as_str()) && below.get("name").is_some_and(|name| name == NAME) {
                    append(below, "/name", suffix);
                }
                tell_apart(below, suffix);
            }
        }
        Value::Array(items) => {
            for item in items {
                tell_apart(item, suffix);
            }
        }
        _ => {}
    }
}

/// The folder of `config` that a path begins with, and the rest of the path.
fn root(path: &str) -> Option<(&'static Dir<'static>, &str)> {
    let (name, rest) = path.split_once('/').unwrap_or((path, ""));
    FOLDERS.iter().find(|(folder, _)| *folder == name).map(|(_, dir)| (*dir, rest))
}

/// The objects that the kustomization of a folder names.
fn folder(path: &str) -> anyhow::Result<Vec<Object>> {
    let text = |path: &str| {
        let file = root(path).and_then(|(dir, rest)| dir.get_file(rest));
        // What is named and not there would be missing from what is deployed.
        file.and_then(|file| file.contents_utf8())
            .with_context(|| format!("config/{path} is not a text in this program"))
    };
    let is_folder = |path: &str| root(path).is_some_and(|(dir, rest)| rest.is_empty() || dir.get_dir(rest).is_some());
    let kustomization = yaml::parse(text(&format!("{path}/kustomization.yaml"))?)?;
    let mut objects = vec![];
    for name in kustomization.get("resources").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
    {
        let below = match name.strip_prefix("../") {
            Some(beside) => path.rsplit_once('/').map_or_else(|| beside.to_owned(), |(up, _)| format!("{up}/{beside}")),
            None => format!("{path}/{name}"),
        };
        if is_folder(&below) {
            objects.extend(folder(&below)?);
        } else {
            objects.extend(read_all(text(&below)?)?);
        }
    }
    Ok(objects)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;
    use std::collections::BTreeSet;

    #[derive(Parser)]
    struct Flags {
        #[command(flatten)]
        settings: Settings,
    }

    fn objects(flags: &[&str]) -> Vec<Value> {
        let settings = Flags::parse_from([&["x"], flags].concat()).settings;
        settings.objects().unwrap().iter().map(|object| object.value().into_owned()).collect()
    }

    fn names(objects: &[Value]) -> BTreeSet<String> {
        let text =
            |object: &Value, pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or("-").to_owned();
        let name = |o: &Value| ["/kind", "/metadata/namespace", "/metadata/name"].map(|p| text(o, p)).join(" ");
        objects.iter().map(name).collect()
    }

    fn deployment(objects: &[Value]) -> &Value {
        objects.iter().find(|object| object["kind"] == "Deployment").unwrap()
    }

    #[test]
    fn everything_that_the_operator_needs_is_there_the_namespace_first() {
        let all = objects(&[]);
        assert_eq!(all[0]["kind"], "Namespace");
        assert_eq!(all.last().unwrap()["kind"], "Deployment");
        let names = names(&all);
        for expected in [
            "CustomResourceDefinition - istiooperators.install.istio.io",
            "ClusterRole - istio-operator-release-1.30",
            "Role istio-operator istio-operator-leader-election",
            "Service istio-operator istio-operator",
            "PodDisruptionBudget istio-operator istio-operator",
        ] {
            assert!(names.contains(expected), "{expected} is not in {names:#?}");
        }
    }

    #[test]
    fn flags_say_where_the_operator_runs_and_what_it_watches() {
        let all = objects(&[
            "--hub=registry.example.com/a/",
            "--tag=2",
            "--watchedNamespaces=mesh, other",
            "--operatorNamespace=op",
            "--imagePullSecrets=s,t",
            "-r",
            "canary",
        ]);
        let names = names(&all);
        for expected in [
            "Namespace - op",
            "Deployment op istio-operator-canary",
            "ServiceAccount op istio-operator-canary",
            "PodDisruptionBudget op istio-operator-canary",
            "ClusterRoleBinding - istio-operator-canary",
            "RoleBinding op istio-operator-leader-election-canary",
            "ClusterRole - istio-operator",
        ] {
            assert!(names.contains(expected), "{expected} is not in {names:#?}");
        }
        let deployment = deployment(&all);
        let pod = &deployment["spec"]["template"]["spec"];
        assert_eq!(pod["containers"][0]["image"], "registry.example.com/a/istio-operator:2");
        assert_eq!(pod["imagePullSecrets"], json!([{"name": "s"}, {"name": "t"}]));
        assert_eq!(pod["serviceAccountName"], "istio-operator-canary");
        let labels = &deployment["spec"]["template"]["metadata"]["labels"];
        assert_eq!(&deployment["spec"]["selector"]["matchLabels"], labels);
        assert_eq!(labels, &json!({"name": "istio-operator-canary"}));
        let spread = pod["topologySpreadConstraints"].as_array().unwrap();
        assert!(spread.iter().all(|one| &one["labelSelector"]["matchLabels"] == labels), "{spread:#?}");
        let env = pod["containers"][0]["env"].as_array().unwrap();
        let value = |name: &str| env.iter().find(|v| v["name"] == name).unwrap()["value"].clone();
        assert_eq!((value("WATCH_NAMESPACE"), value("REVISION")), (json!("mesh,other"), json!("canary")));
        let of = |kind: &str, name: &str| {
            all.iter().find(|o| o["kind"] == kind && o["metadata"]["name"] == name).unwrap().clone()
        };
        let role = of("Role", "istio-operator-leader-election-canary");
        assert_eq!(role["rules"][0]["resourceNames"], json!(["istio-operator-lock-canary"]));
        let binding = of("RoleBinding", "istio-operator-leader-election-canary");
        assert_eq!(binding["roleRef"]["name"], "istio-operator-leader-election-canary");
        assert_eq!(binding["subjects"][0]["namespace"], "op");
        let binding = of("ClusterRoleBinding", "istio-operator-canary");
        assert_eq!(binding["roleRef"]["name"], "istio-operator");
        assert_eq!(binding["subjects"][0]["name"], "istio-operator-canary");
    }
}
