//! What a kubeconfig or a program says, as typed values. A value may be secret: no error quotes one, it names the field.

use helm_template::yaml;
use serde::Deserialize;
use serde_json::{Value, json};

/// What a text is in place of what it should be. What the parsers say is not kept: it may quote a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ContentError {
    /// It is not valid YAML.
    #[error("line {line}, column {column}: it is not valid YAML ({why})")]
    Yaml {
        /// Where.
        line: usize,
        /// Where in the line.
        column: usize,
        /// Why, as far as that quotes nothing.
        why: String,
    },
    /// A field has another form.
    #[error("{field}: {wanted}")]
    Field {
        /// Which.
        field: String,
        /// What must be there.
        wanted: Wanted,
    },
    /// The whole has another form.
    #[error("{0}")]
    Whole(Wanted),
}

/// What must be there.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Wanted {
    /// Something of this form.
    #[error("{0} must be there")]
    Form(String),
    /// A field, as serde says it.
    #[error("{0}")]
    FieldOf(String),
    /// Something that serde says in other words, which may quote what is there.
    #[error("it has another form")]
    Another,
}

/// The value of a YAML text.
///
/// # Errors
/// It is not valid YAML: where, and why as far as that quotes nothing.
pub(super) fn parse(text: &str) -> Result<Value, ContentError> {
    yaml::parse(text).map_err(|error| {
        // Behind a colon or a quotation mark there is a piece of the text.
        let why = error.message.split([':', '\'', '"', '`']).next().unwrap_or_default().trim();
        ContentError::Yaml { line: error.line, column: error.column, why: why.to_owned() }
    })
}

/// A value of a type; a null is an absent value.
///
/// # Errors
/// It has another form: the field, and what it must be.
pub(super) fn typed<T: Default + for<'a> Deserialize<'a>>(mut value: Value) -> Result<T, ContentError> {
    drop_nulls(&mut value);
    if value.is_null() {
        return Ok(T::default());
    }
    T::deserialize(&value).map_err(|error| {
        let alone = |name: &String, value: &Value| T::deserialize(&json!({ name: value })).err();
        let mut fields = value.as_object().into_iter().flatten();
        let named = fields.find_map(|(name, value)| {
            Some(ContentError::Field { field: name.clone(), wanted: wanted(&alone(name, value)?) })
        });
        named.unwrap_or_else(|| ContentError::Whole(wanted(&error)))
    })
}

/// What serde says must be there, without what is.
fn wanted(error: &serde_json::Error) -> Wanted {
    let text = error.to_string();
    match text.rsplit_once(", expected ") {
        Some((_, wanted)) if wanted.starts_with("struct ") => Wanted::Form("a mapping".to_owned()),
        Some((_, "a sequence")) => Wanted::Form("a list".to_owned()),
        Some((_, wanted)) => Wanted::Form(wanted.to_owned()),
        None if text.starts_with("missing field ") => Wanted::FieldOf(text),
        None => Wanted::Another,
    }
}

fn drop_nulls(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.retain(|_, value| !value.is_null());
            map.values_mut().for_each(drop_nulls);
        }
        Value::Array(list) => list.iter_mut().for_each(drop_nulls),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::super::kubeconfig::User;
    use super::*;

    #[test]
    fn what_has_another_form_is_told_by_its_field_and_never_quoted() {
        let told = |text: &str| parse(text).and_then(typed::<User>).err().unwrap();
        let rows = [
            ("{token: hush, password: 12345678}", "password: a string must be there"),
            ("hush, expected hush", "a mapping must be there"),
            ("{token: [hush]}", "token: a string must be there"),
            ("{exec: hush}", "exec: a mapping must be there"),
            ("{as-groups: hush}", "as-groups: a list must be there"),
            ("{auth-provider: {config: {a: hush}}}", "auth-provider: missing field `name`"),
            ("token: *hush", "line 1, column 8: it is not valid YAML (unknown anchor)"),
            ("a: 1\n? {hush: b}\n: c", "line 2, column 3: it is not valid YAML (invalid map key)"),
        ];
        for (text, error) in rows {
            assert_eq!(told(text).to_string(), error);
        }
        assert_eq!(parse("{token: null}").and_then(typed::<User>).unwrap().token, "");
    }
}
