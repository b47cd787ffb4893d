//! What templates see besides values: `.Release`, `.Chart`, and the data of every chart put together.

use super::files::Files;
use super::go_struct::{Field, GoStruct, Rule};
use super::metadata::Maintainer;
use super::node::{Declared, Node};
use super::preparation::Preparation;
use super::source::ChartFile;
use super::tables;
use crate::gotmpl::{Map, MapKind, Value};
use std::rc::Rc;

/// The release a chart is rendered for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReleaseOptions {
    /// `.Release.Name`
    pub name: String,
    /// `.Release.Namespace`
    pub namespace: String,
    /// `.Release.Revision`
    pub revision: i64,
    /// `.Release.IsInstall`
    pub is_install: bool,
    /// `.Release.IsUpgrade`
    pub is_upgrade: bool,
}

impl ReleaseOptions {
    /// A first installation, as `helm template` renders.
    #[must_use]
    pub fn install(name: impl Into<String>, namespace: impl Into<String>) -> Self {
        Self { name: name.into(), namespace: namespace.into(), revision: 1, is_install: true, is_upgrade: false }
    }

    /// The value of `.Release`.
    #[must_use]
    pub fn value(&self) -> Value {
        Value::map([
            ("Name", Value::string(self.name.as_str())),
            ("Namespace", Value::string(self.namespace.as_str())),
            ("Revision", Value::Int(self.revision)),
            ("IsInstall", Value::Bool(self.is_install)),
            ("IsUpgrade", Value::Bool(self.is_upgrade)),
            ("Service", Value::string("Helm")),
        ])
    }
}

/// A file to be rendered.
pub struct Job<'c> {
    /// The template's name: the file's path from the root chart on.
    pub name: String,
    /// The directory of the chart's templates.
    pub base_path: String,
    /// The template.
    pub text: &'c [u8],
    /// The chart's data, shared by all its files.
    pub data: Map,
}

/// Builds the data of a chart and its subcharts; the templates of all of them are added to the jobs.
///
/// # Errors
/// There are too many of them for the budgets of the render.
pub fn scope<'c>(
    node: &Rc<Node<'c>>,
    root: &Map,
    own_values: Value,
    jobs: &mut Vec<Job<'c>>,
    preparation: &Preparation,
) -> Result<Map, String> {
    let names = |files: &[ChartFile]| files.iter().map(|file| 300 + file.name.len() as u64).sum::<u64>();
    let described = node.metadata().size() + node.declared().len() as u64 * 1500;
    let bytes = names(&node.chart.files) + 2 * names(&node.chart.templates) + described;
    preparation.pay(10_000 + bytes, 5000 + bytes)?;
    let subcharts = Map::new(MapKind::Any);
    let data = Map::new(MapKind::Any);
    let shared = |key: &str| root.get(key).unwrap_or(Value::Nil);
    data.set("Chart", chart_value(node));
    data.set("Files", Files::new(&node.chart.files).into_value());
    data.set("Release", shared("Release"));
    data.set("Capabilities", shared("Capabilities"));
    data.set("Values", own_values);
    data.set("Subcharts", Value::Map(subcharts.clone()));
    for child in node.children() {
        let own = match tables::table(&data, &format!("Values.{}", child.name)) {
            Ok(table) => table.retyped(MapKind::Values),
            Err(_) => Map::new(MapKind::Values),
        };
        let child_data = scope(&child, root, Value::Map(own), jobs, preparation)?;
        subcharts.set(child.name.as_str(), Value::Map(child_data));
    }
    let path = node.full_path();
    for file in &node.chart.templates {
        let base = file.name.rsplit('/').next().unwrap_or(&file.name);
        if node.chart.is_library() && !base.starts_with('_') {
            continue;
        }
        jobs.push(Job {
            name: format!("{path}/{}", file.name),
            base_path: format!("{path}/templates"),
            text: &file.data,
            data: data.retyped(MapKind::Values),
        });
    }
    Ok(data)
}

/// The value of `.Chart`.
fn chart_value(node: &Node<'_>) -> Value {
    let fields = vec![
        Field { name: "Metadata", json: "", rule: Rule::Embedded, value: metadata_value(node) },
        Field { name: "IsRoot", json: "IsRoot", rule: Rule::Always, value: Value::Bool(node.is_root()) },
    ];
    GoStruct { type_name: "struct { chart.Metadata; IsRoot bool }", fields, methods: &[] }.into_value()
}

fn metadata_value(node: &Node<'_>) -> Value {
    let m = node.metadata();
    let text = |s: &str| Value::string(s);
    let texts = |list: &[String]| Value::strings(list.iter().map(String::as_str));
    let annotations = m.annotations.iter().map(|(k, v)| (k.as_str().into(), text(v))).collect();
    let field = |name, json, value| Field { name, json, rule: Rule::OmitEmpty, value };
    let fields = vec![
        field("Name", "name", text(&node.name)),
        field("Home", "home", text(&m.home)),
        field("Sources", "sources", texts(&m.sources)),
        field("Version", "version", text(&m.version)),
        field("Description", "description", text(&m.description)),
        field("Keywords", "keywords", texts(&m.keywords)),
        field(
            "Maintainers",
            "maintainers",
            Value::list(m.maintainers.iter().flatten().map(maintainer_value).collect()),
        ),
        field("Icon", "icon", text(&m.icon)),
        field("APIVersion", "apiVersion", text(&m.api_version)),
        field("Condition", "condition", text(&m.condition)),
        field("Tags", "tags", text(&m.tags)),
        field("AppVersion", "appVersion", text(&m.app_version)),
        field("Deprecated", "deprecated", Value::Bool(m.deprecated)),
        field("Annotations", "annotations", Value::Map(Map::from_entries(MapKind::Strings, annotations))),
        field("KubeVersion", "kubeVersion", text(&m.kube_version)),
        field(
            "Dependencies",
            "dependencies",
            Value::list(node.declared().iter().map(|d| dependency_value(d)).collect()),
        ),
        field("Type", "type", text(&m.kind)),
    ];
    GoStruct { type_name: "chart.Metadata", fields, methods: &[] }.into_value()
}

fn maintainer_value(m: &Maintainer) -> Value {
    let field = |name, json, s: &str| Field { name, json, rule: Rule::OmitEmpty, value: Value::string(s) };
    let fields = vec![field("Name", "name", &m.name), field("Email", "email", &m.email), field("URL", "url", &m.url)];
    GoStruct { type_name: "*chart.Maintainer", fields, methods: &[] }.into_value()
}

fn dependency_value(d: &Declared) -> Value {
    let text = |s: &str| Value::string(s);
    let field = |name, json, value| Field { name, json, rule: Rule::OmitEmpty, value };
    let always = |name, json, value| Field { name, json, rule: Rule::Always, value };
    let fields = vec![
        always("Name", "name", text(&d.name.borrow())),
        field("Version", "version", text(&d.source.version)),
        always("Repository", "repository", text(&d.source.repository)),
        field("Condition", "condition", text(&d.source.condition)),
        field("Tags", "tags", Value::strings(d.source.tags.iter().map(String::as_str))),
        field("Enabled", "enabled", Value::Bool(d.enabled.get())),
        field("ImportValues", "import-values", Value::list(d.imports.borrow().clone())),
        field("Alias", "alias", text(&d.source.alias)),
    ];
    GoStruct { type_name: "*chart.Dependency", fields, methods: &[] }.into_value()
}
