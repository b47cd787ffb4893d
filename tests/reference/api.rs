//! The fields of IstioOperator, from the same schema as its definition.

use crate::assert_made;
use helm_template::yaml;
use serde_json::Value;
use std::fmt::Write;

const HEAD: &str = "# The API: IstioOperator, install.istio.io/v1alpha1\n\n\
                    Made of the schema by `tests/reference.rs`, as the CRD is. Fields that are those of Kubernetes (below \
                    `k8s`) are named and not unfolded.\n";
/// Below these stands what Kubernetes describes.
const DEEPEST: usize = 7;

/// Rows of a schema's fields.
fn describe(schema: &Value, path: &str, depth: usize, out: &mut String) {
    let Some(fields) = schema["properties"].as_object() else { return };
    for (name, field) in fields {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        let (kind, below, path) = match field["type"].as_str() {
            Some("array") => ("array", &field["items"], format!("{path}[]")),
            Some(kind) => (kind, field, path),
            None if field["x-kubernetes-int-or-string"] == true => ("integer or string", field, path),
            None => ("any", field, path),
        };
        let map = &field["additionalProperties"];
        let text = field["description"].as_str().unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ");
        let choices = field["enum"].as_array().map(|all| {
            let names: Vec<String> = all.iter().map(|value| value.to_string().trim_matches('"').to_owned()).collect();
            format!(" One of: {}.", names.join(", "))
        });
        let text = format!("{text}{}", choices.unwrap_or_default()).replace('|', "\\|");
        writeln!(out, "| `{path}` | {kind} | {text} |").unwrap();
        let is_kubernetes = path.contains(".k8s.") || depth >= DEEPEST;
        if !is_kubernetes {
            describe(below, &path, depth + 1, out);
            describe(map, &format!("{path}.*"), depth + 1, out);
        }
    }
}

#[test]
fn the_fields_of_the_api_are_documented_as_the_schema_has_them() {
    let definition = yaml::parse(&istio_operator::api::crd::to_yaml()).unwrap();
    let schema = &definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"];
    let mut made = HEAD.to_owned();
    for part in ["spec", "status"] {
        write!(made, "\n## {part}\n\n| field | type | meaning |\n|---|---|---|\n").unwrap();
        describe(&schema[part], "", 1, &mut made);
    }
    assert!(made.lines().count() > 100, "{made}");
    assert_made("docs/reference/api.md", &made);
}
