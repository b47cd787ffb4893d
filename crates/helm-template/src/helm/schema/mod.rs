//! `values.schema.json`: the values of each chart checked against its schema, and the findings in Helm's words.
//!
//! References to other documents are not followed, neither to files nor to the network (Helm would): rendering reads
//! nothing but the chart. How long a check may take is worked out before it is made ([`cost`]).
//! `urn:` references allow anything, with a warning, as in Helm.

mod cost;
mod references;

use super::node::Node;
use super::preparation::Preparation;
use super::{tables, text};
use crate::gotmpl::{Map, Value, bounded};
use boon::{Compiler, ErrorKind, Format, Schemas, UrlLoader, ValidationError};
use serde_json::Value as Json;
use std::fmt::Write as _;
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};

const LOCATION: &str = "file:///values.schema.json";

/// Checks the values of a chart and of its subcharts.
///
/// # Errors
/// All findings, chart by chart.
pub fn validate(node: &Rc<Node<'_>>, values: &Map, preparation: &Preparation) -> Result<(), String> {
    let findings = findings(node, values, preparation);
    if findings.is_empty() {
        return Ok(());
    }
    Err(format!("values don't meet the specifications of the schema(s) in the following chart(s):\n{findings}"))
}

fn findings(node: &Rc<Node<'_>>, values: &Map, preparation: &Preparation) -> String {
    let mut found = String::new();
    if let Some(schema) = &node.chart.schema
        && let Err(problem) = check(&Value::Map(values.clone()), schema, preparation)
    {
        let _ = write!(found, "{}:\n{problem}", node.name);
    }
    for child in node.children() {
        match values.get(&child.name) {
            None | Some(Value::Nil) => {}
            Some(Value::Map(own)) => found.push_str(&findings(&child, &own, preparation)),
            Some(other) => {
                let (name, got) = (&child.name, other.type_name().to_owned());
                let _ = writeln!(found, "{name}:\ninvalid type for values: expected object (map), got {got}");
            }
        }
    }
    found
}

/// Checks one set of values against one schema.
fn check(values: &Value, schema: &[u8], preparation: &Preparation) -> Result<(), String> {
    let mut schema = parse(schema)?;
    let values = tables::to_json(values);
    references::escape(&mut schema);
    cost::pay(&schema, &values, preparation)?;
    let mut compiler = Compiler::new();
    compiler.register_format(Format { name: REFERENCE, func: reference });
    let unresolved = Arc::<Mutex<Vec<String>>>::default();
    compiler.use_loader(Box::new(Loader(Arc::clone(&unresolved))));
    compiler.add_resource(LOCATION, schema).map_err(|e| e.to_string())?;
    let mut schemas = Schemas::new();
    let outcome = compiler.compile(LOCATION, &mut schemas);
    for urn in unresolved.lock().unwrap_or_else(PoisonError::into_inner).iter() {
        preparation.warn(format!(
            "jsonschema.go:192: WARNING: unresolved URN reference ignored; using permissive schema: {urn}"
        ));
    }
    let index = outcome.map_err(|e| compile_error(&e))?;
    schemas.validate(&values, index).map_err(|error| {
        let mut out = String::new();
        display(&error, 0, &mut out);
        let head = format!("jsonschema validation failed with '{LOCATION}#'\n");
        format!("{}\n", bounded(&out.strip_prefix(&head).unwrap_or(&out)))
    })
}

fn parse(schema: &[u8]) -> Result<Json, String> {
    let mut stream = serde_json::Deserializer::from_slice(schema).into_iter::<Json>();
    let value = match stream.next() {
        None => return Err("EOF".to_owned()),
        Some(Err(e)) if e.is_eof() => return Err("unexpected EOF".to_owned()),
        Some(Err(e)) => return Err(e.to_string()),
        Some(Ok(value)) => value,
    };
    match stream.next() {
        None => Ok(value),
        Some(_) => Err("invalid character after top-level value".to_owned()),
    }
}

const REFERENCE: &str = "uri-reference";

/// Checks the format of references, as Go does.
fn reference(value: &Json) -> Result<(), Box<dyn std::error::Error>> {
    value.as_str().and_then(references::problem).map_or(Ok(()), |problem| Err(problem.into()))
}

/// Remembers `urn:` references and refuses all others.
struct Loader(Arc<Mutex<Vec<String>>>);

impl UrlLoader for Loader {
    fn load(&self, url: &str) -> Result<Json, Box<dyn std::error::Error>> {
        if url.starts_with("urn:") {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).push(url.to_owned());
            return Ok(Json::Bool(true));
        }
        Err("references to other documents are not followed; put the schema into $defs".into())
    }
}

fn compile_error(error: &boon::CompileError) -> String {
    use boon::CompileError as E;
    match error {
        E::JsonPointerNotFound(location) => format!("json-pointer in {} not found", text::quoted(location)),
        // Go decodes what is not text to bytes that no definition is named by.
        E::ParseUrlError { url, .. } if url.starts_with("#/") => {
            format!("json-pointer in {} not found", text::quoted(&format!("{LOCATION}{url}")))
        }
        E::AnchorNotFound { url, reference } => format!(
            "anchor in {} not found in schema {}",
            text::quoted(&references::in_go_form(reference)),
            text::quoted(url)
        ),
        E::InvalidJsonPointer(location) => format!("invalid json-pointer {}", text::quoted(location)),
        E::LoadUrlError { url, src } => format!("failing loading {}: {src}", text::quoted(url)),
        E::ValidationError { url, src } => {
            let mut out = format!("{} is not valid against metaschema: ", text::quoted(url));
            display(src, 0, &mut out);
            out
        }
        other => format!("{other:#}"),
    }
}

/// Writes the tree of findings, one line each.
fn display(error: &ValidationError<'_, '_>, mut indent: usize, out: &mut String) {
    let skipped = error.causes.len() == 1 && matches!(error.kind, ErrorKind::Reference { .. });
    let place = error.instance_location.to_string();
    if !skipped {
        if let ErrorKind::Schema { url } = &error.kind {
            let _ = write!(out, "jsonschema validation failed with {}", quote(url));
        } else {
            line(out, indent, &place, &message(&error.kind));
        }
        indent += 1;
    }
    for cause in &error.causes {
        let groups = lost_groups(error, &place, cause);
        for (at, (place, text)) in groups.iter().enumerate() {
            line(out, indent + at, place, text);
        }
        display(cause, indent + groups.len(), out);
    }
}

fn line(out: &mut String, indent: usize, place: &str, text: &str) {
    if indent > 0 {
        let _ = write!(out, "\n{}- ", "  ".repeat(indent - 1));
    }
    let _ = write!(out, "at {}: {text}", quote(place));
}

/// The groups between a finding and its cause that the library leaves out because they have one cause only: place and
/// text. They are found in the cause's path through the schema.
fn lost_groups(error: &ValidationError<'_, '_>, place: &str, cause: &ValidationError<'_, '_>) -> Vec<(String, String)> {
    let base = match &error.kind {
        ErrorKind::Schema { url } | ErrorKind::Reference { url, .. } => url,
        _ => error.schema_url,
    };
    let Some(path) = cause.schema_url.strip_prefix(base) else { return Vec::new() };
    let mut tokens = path.split('/').skip(1).peekable();
    if matches!(error.kind, ErrorKind::AllOf | ErrorKind::AnyOf | ErrorKind::OneOf(_)) {
        tokens.nth(1);
    }
    let full = cause.instance_location.to_string();
    let mut depth = place.matches('/').count();
    let mut groups = Vec::new();
    while let Some(keyword) = tokens.next() {
        match keyword {
            "allOf" | "anyOf" | "oneOf" => {
                let end = full.match_indices('/').nth(depth).map_or(full.len(), |(at, _)| at);
                let none = if keyword == "oneOf" { ", none matched" } else { "" };
                groups.push((full.get(..end).unwrap_or_default().to_owned(), format!("'{keyword}' failed{none}")));
                tokens.next();
            }
            "properties" | "patternProperties" | "prefixItems" => {
                depth += 1;
                tokens.next();
            }
            "items"
            | "additionalItems"
            | "unevaluatedItems"
            | "contains"
            | "additionalProperties"
            | "unevaluatedProperties" => {
                depth += 1;
                tokens.next_if(|t| t.bytes().all(|b| b.is_ascii_digit()));
            }
            "dependentSchemas" | "dependencies" => drop(tokens.next()),
            "if" | "then" | "else" | "not" | "propertyNames" => {}
            _ => break,
        }
    }
    groups
}

/// One finding.
fn message(kind: &ErrorKind<'_, '_>) -> String {
    use ErrorKind as K;
    let bounds = |keyword, got: &dyn std::fmt::Display, want: &dyn std::fmt::Display| {
        format!("{keyword}: got {got}, want {want}")
    };
    let counts = |keyword, got: usize, want: usize| bounds(keyword, &grouped(got), &grouped(want));
    let numbers = |keyword, got: &serde_json::Number, want: &serde_json::Number| {
        bounds(keyword, &localised(got), &localised(want))
    };
    match kind {
        K::Type { got, want } => {
            let want: Vec<String> = want.iter().map(|t| t.to_string()).collect();
            format!("got {got}, want {}", want.join(" or "))
        }
        K::Enum { want } if want.iter().any(|w| w.is_array() || w.is_object()) => "'enum' failed".to_owned(),
        K::Enum { want } => match want.as_slice() {
            [one] => format!("value must be {}", shown(one)),
            many => format!("value must be one of {}", many.iter().map(shown).collect::<Vec<_>>().join(", ")),
        },
        K::Const { want } if want.is_array() || want.is_object() => "'const' failed".to_owned(),
        K::Const { want } => format!("value must be {}", shown(want)),
        // The library's own schemas of schemas do not have our check.
        K::Format { got, want, .. }
            if *want == REFERENCE && got.as_str().is_some_and(|s| references::problem(s).is_some()) =>
        {
            let problem = got.as_str().and_then(references::problem).unwrap_or_default();
            format!("{} is not valid {want}: {problem}", shown(got))
        }
        K::Format { got, want, err } => format!("{} is not valid {want}: {err}", shown(got)),
        K::MinProperties { got, want } => counts("minProperties", *got, *want),
        K::MaxProperties { got, want } => counts("maxProperties", *got, *want),
        K::MinItems { got, want } => counts("minItems", *got, *want),
        K::MaxItems { got, want } => counts("maxItems", *got, *want),
        K::MinLength { got, want } => counts("minLength", *got, *want),
        K::MaxLength { got, want } => counts("maxLength", *got, *want),
        K::Minimum { got, want } => numbers("minimum", got, want),
        K::Maximum { got, want } => numbers("maximum", got, want),
        K::ExclusiveMinimum { got, want } => numbers("exclusiveMinimum", got, want),
        K::ExclusiveMaximum { got, want } => numbers("exclusiveMaximum", got, want),
        K::MultipleOf { got, want } => numbers("multipleOf", got, want),
        K::AdditionalProperties { got } => {
            format!("additional properties {} not allowed", quote_all(got.iter().map(AsRef::as_ref)))
        }
        K::Required { want } => match want.as_slice() {
            [one] => format!("missing property {}", quote(one)),
            many => format!("missing properties {}", quote_all(many.iter().copied())),
        },
        K::Dependency { prop, missing } | K::DependentRequired { prop, missing } => {
            format!("properties {} required, if {} exists", quote_all(missing.iter().copied()), quote(prop))
        }
        other => rare_message(other),
    }
}

fn rare_message(kind: &ErrorKind<'_, '_>) -> String {
    use ErrorKind as K;
    let places = |got: &[usize]| got.iter().map(usize::to_string).collect::<Vec<_>>().join(" ");
    match kind {
        K::Not => "'not' failed".to_owned(),
        K::AllOf => "'allOf' failed".to_owned(),
        K::AnyOf => "'anyOf' failed".to_owned(),
        K::OneOf(None) => "'oneOf' failed, none matched".to_owned(),
        K::OneOf(Some((i, j))) => format!("'oneOf' failed, subschemas {i}, {j} matched"),
        K::PropertyName { prop } => format!("invalid propertyName {}", quote(prop)),
        K::ContentSchema => "'contentSchema' failed".to_owned(),
        K::Pattern { got, want } => format!("{} does not match pattern {}", quote(got), quote(want)),
        K::AdditionalItems { got } => format!("last {} additionalItem(s) not allowed", grouped(*got)),
        K::UniqueItems { got: [i, j] } => format!("items at {} and {} are equal", grouped(*i), grouped(*j)),
        K::MinContains { got, want } if got.is_empty() => {
            format!("min {want} items required to match contains schema, but none matched")
        }
        K::MinContains { got, want } => format!(
            "min {want} items required to match contains schema, but matched {} items at {}",
            got.len(),
            places(got)
        ),
        K::MaxContains { got, want } => format!(
            "max {want} items required to match contains schema, but matched {} items at {}",
            got.len(),
            places(got)
        ),
        other => other.to_string(),
    }
}

fn quote(s: &str) -> String {
    let literal = text::quoted(s);
    let inner = literal.strip_prefix('"').and_then(|l| l.strip_suffix('"')).unwrap_or(&literal);
    format!("'{}'", inner.replace("\\\"", "\"").replace('\'', "\\'"))
}

fn quote_all<'a>(all: impl Iterator<Item = &'a str>) -> String {
    all.map(quote).collect::<Vec<_>>().join(", ")
}

/// A scalar of a schema as Go prints it.
fn shown(value: &Json) -> String {
    match value {
        Json::Null => "<nil>".to_owned(),
        Json::String(s) => quote(s),
        Json::Array(_) | Json::Object(_) => "value".to_owned(),
        other => other.to_string(),
    }
}

fn grouped(n: usize) -> String {
    group(&n.to_string())
}

/// Puts commas between groups of three digits.
fn group(digits: &str) -> String {
    let mut out = String::new();
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(c);
    }
    out
}

/// A number as Go's English printer writes it: `1,234.5`, `1.5×10⁰⁶`.
fn localised(n: &serde_json::Number) -> String {
    let f = n.as_f64().unwrap_or_default();
    let sign = if f < 0.0 { "-" } else { "" };
    let scientific = format!("{:e}", f.abs());
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or_default();
    if f != 0.0 && !(-4..6).contains(&exponent) {
        let raised = |c: char| match c {
            '1' => '¹',
            '2' => '²',
            '3' => '³',
            c => char::from_u32('⁰' as u32 + c.to_digit(10).unwrap_or_default()).unwrap_or(c),
        };
        let power: String = format!("{:02}", exponent.abs()).chars().map(raised).collect();
        return format!("{sign}{digits}×10{}{power}", if exponent < 0 { "⁻" } else { "" });
    }
    let plain = f.abs().to_string();
    let (whole, fraction) = plain.split_once('.').map_or((plain.as_str(), None), |(w, r)| (w, Some(r)));
    format!("{sign}{}{}", group(whole), fraction.map(|r| format!(".{r}")).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn run(schema: &Json, values: &Json) -> String {
        let outcome = check(&Value::from_json(values), schema.to_string().as_bytes(), &Preparation::default());
        outcome.err().unwrap_or_default()
    }

    #[test]
    fn findings_read_as_helms() {
        for (schema, values, want) in [
            (json!({"required": ["q"]}), json!({}), "- at '': missing property 'q'\n"),
            (
                json!({"properties": {"b": {"type": ["string", "null"]}}}),
                json!({"b": 1}),
                "- at '/b': got number, want null or string\n",
            ),
            (
                json!({"additionalProperties": false}),
                json!({"q'r": 1}),
                "- at '': additional properties 'q\\'r' not allowed\n",
            ),
            (
                json!({"properties": {"a": {"maximum": 1_000_000}}}),
                json!({"a": 123_456_789}),
                "- at '/a': maximum: got 1.23456789×10⁰⁸, want 1×10⁰⁶\n",
            ),
            (
                json!({"properties": {"a": {"minItems": 1000}}}),
                json!({"a": []}),
                "- at '/a': minItems: got 0, want 1,000\n",
            ),
            (
                json!({"anyOf": [{"required": ["z"]}, {"type": "string"}]}),
                json!({}),
                "- at '': 'anyOf' failed\n  - at '': missing property 'z'\n  - at '': got object, want string\n",
            ),
            (
                json!({"$ref": "#/$defs/x", "$defs": {"x": {"required": ["z"]}}}),
                json!({}),
                "- at '': missing property 'z'\n",
            ),
            (
                json!({"properties": {"l": {"items": {"allOf": [{"type": "string"}]}}}}),
                json!({"l": [1]}),
                "- at '/l/0': 'allOf' failed\n  - at '/l/0': got number, want string\n",
            ),
            (json!({"enum": ["y", 1, null]}), json!({}), "- at '': value must be one of 'y', 1, <nil>\n"),
        ] {
            assert_eq!(run(&schema, &values), want, "{schema}");
        }
    }

    #[test]
    fn a_broken_schema_is_told_as_helm_tells_it() {
        let check = |schema: &[u8]| check(&Value::Nil, schema, &Preparation::default()).unwrap_err();
        assert_eq!(check(b""), "EOF");
        assert_eq!(check(b"{\"type\":"), "unexpected EOF");
        assert_eq!(check(b"{} x"), "invalid character after top-level value");
        let text = check(b"{\"type\":\"nope\"}");
        assert!(text.starts_with("\"file:///values.schema.json#\" is not valid against metaschema: jsonschema validation failed with 'https://json-schema.org/draft/2020-12/schema#'\n- at '': 'allOf' failed\n  - at '/type': 'anyOf' failed\n    - at '/type': value must be one of "), "{text}");
    }
}
