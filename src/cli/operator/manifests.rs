//! The objects that the operator is deployed by: those of `config/default`, as `kubectl apply -k` would apply them, with what a
//! person asks for.

use crate::api::crd;
use crate::object::{Object, ReadError, read_all, scope};
use anyhow::Context;
use clap::Args;
use helm_template::yaml;
use include_dir::{Dir, include_dir};
use serde_json::{Value, json};

static CONFIG: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/config");
/// The folder in it with the operator, but for the CRD of its resources.
const FOLDER: &str = "controller";
/// The operator's name, of which those of its objects are made.
pub(super) const NAME: &str = "istio-operator";
/// Its Lease.
const LEASE: &str = "istio-operator-lock";
/// Kinds of which each revision of the operator has its own; the roles of releases are shared.
const OWN: [&str; 6] = ["Deployment", "Service", "ServiceAccount", "ClusterRoleBinding", "Role", "RoleBinding"];

/// How the operator is to be deployed.
#[derive(Args, Clone, Debug)]
pub(super) struct Settings {
    /// Registry and folder of the operator's image.
    #[arg(long)]
    hub: Option<String>,
    /// Tag of the operator's image.
    #[arg(long)]
    tag: Option<String>,
    /// Namespaces to watch for IstioOperator resources, separated by commas; empty for all.
    #[arg(long = "watchedNamespaces", alias = "watched-namespaces", default_value = "istio-system")]
    watched: String,
    /// Namespace of the operator.
    #[arg(long = "operatorNamespace", alias = "operator-namespace", default_value = NAME)]
    pub(super) namespace: String,
    /// Secrets to pull the operator's image with, separated by commas. May be repeated.
    #[arg(long = "imagePullSecrets", alias = "image-pull-secrets", value_delimiter = ',')]
    pull_secrets: Vec<String>,
    /// Reconcile only resources of this revision, beside other operators.
    #[arg(short, long, value_parser = super::super::tag::tag_name)]
    revision: Option<String>,
}

impl Settings {
    /// Those of an operator in a namespace, as far as they tell which objects are its own.
    pub(super) fn of(namespace: &str, revision: &str) -> Self {
        Self {
            hub: None,
            tag: None,
            watched: String::new(),
            namespace: namespace.to_owned(),
            pull_secrets: vec![],
            revision: Some(revision.to_owned()),
        }
    }

    /// Its revision; upstream's `default` is none.
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
        self.watched.split(',').map(str::trim).filter(|name| !name.is_empty() && *name != "*").collect()
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
        for labels in ["/metadata/labels/name", "/spec/selector/name", "/spec/selector/matchLabels/name"] {
            append(value, labels, &suffix);
        }
        if kind == "Deployment" {
            self.fit_deployment(value);
        }
    }

    fn fit_deployment(&self, value: &mut Value) {
        append(value, "/spec/template/metadata/labels/name", &self.suffix());
        append(value, "/spec/template/spec/serviceAccountName", &self.suffix());
        if !self.pull_secrets.is_empty() {
            let secrets: Vec<Value> = self.pull_secrets.iter().map(|name| json!({"name": name})).collect();
            set(value, "/spec/template/spec", "imagePullSecrets", secrets.into());
        }
        let Some(container) = value.pointer_mut("/spec/template/spec/containers/0") else { return };
        let image = container.get("image").and_then(Value::as_str).unwrap_or_default();
        let (name, tag) = image.split_once(':').unwrap_or((image, "latest"));
        let hub = self.hub.as_ref().map(|hub| format!("{}/", hub.trim_end_matches('/'))).unwrap_or_default();
        let image = format!("{hub}{name}:{}", self.tag.as_deref().unwrap_or(tag));
        set(container, "", "image", image.into());
        let Some(env) = container.get_mut("env").and_then(Value::as_array_mut) else { return };
        for variable in env.iter_mut().filter(|v| v.get("name").is_some_and(|name| name == "WATCH_NAMESPACE")) {
            set(variable, "", "value", self.watched().join(",").into());
        }
        if !self.revision().is_empty() {
            env.push(json!({"name": "REVISION", "value": self.revision()}));
        }
    }
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

/// The objects that the kustomization of a folder names.
fn folder(path: &str) -> Result<Vec<Object>, ReadError> {
    let text = |path: &str| CONFIG.get_file(path).and_then(|file| file.contents_utf8()).unwrap_or_default();
    let kustomization =
        yaml::parse(text(&format!("{path}/kustomization.yaml"))).map_err(|e| ReadError::Yaml(e.to_string()))?;
    let mut objects = vec![];
    for name in kustomization.get("resources").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
    {
        let below = match name.strip_prefix("../") {
            Some(beside) => path.rsplit_once('/').map_or_else(|| beside.to_owned(), |(up, _)| format!("{up}/{beside}")),
            None => format!("{path}/{name}"),
        };
        if CONFIG.get_dir(&below).is_some() {
            objects.extend(folder(&below)?);
        } else {
            objects.extend(read_all(text(&below))?);
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
