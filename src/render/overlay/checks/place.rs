//! Places in an object, and what must stand there.

use crate::api::quantity::is_quantity;
use crate::spec::path::join;
use serde_json::Value;

/// A place in an object and what is wrong there.
pub(super) type Found = Vec<(String, String)>;

/// What must stand at a place.
#[derive(Clone, Copy, Debug)]
pub(super) enum Want {
    /// Text, not empty where the place is needed.
    Text,
    /// One of these words, or nothing.
    Word(&'static [&'static str]),
    /// A whole number between two others.
    Whole(i64, i64),
    /// The number of a port, or the name of one.
    Port,
    /// A number or text.
    Scalar,
    Bool,
    /// An amount such as `100m` or `1Gi`.
    Quantity,
    Map,
    /// A map of texts.
    Strings,
    /// A list of texts.
    Texts,
    /// A list of maps.
    Maps,
}

impl Want {
    pub(super) fn words(self) -> String {
        match self {
            Self::Text => "must be a string".to_owned(),
            Self::Word(words) => format!("must be one of {}", words.join(", ")),
            Self::Whole(least, most) => format!("must be a whole number from {least} to {most}"),
            Self::Port => "must be the number or the name of a port".to_owned(),
            Self::Scalar => "must be a number or a string".to_owned(),
            Self::Bool => "must be true or false".to_owned(),
            Self::Quantity => "must be a quantity such as 100m or 1Gi".to_owned(),
            Self::Map => "must be a map".to_owned(),
            Self::Strings => "must be a map of strings".to_owned(),
            Self::Texts => "must be a list of strings".to_owned(),
            Self::Maps => "must be a list of maps".to_owned(),
        }
    }

    /// Whether the value will do; if not, where in it, what is wanted there and what there is.
    pub(super) fn fits(self, value: &Value) -> Result<(), (String, Self, &Value)> {
        let whole = |v: &Value, least: i64, most: i64| {
            #[allow(clippy::cast_precision_loss, reason = "the limits are small")]
            v.as_f64().is_some_and(|n| n.fract() == 0.0 && n >= least as f64 && n <= most as f64)
        };
        let all = |ok: bool| if ok { Ok(()) } else { Err((String::new(), self, value)) };
        let is_text = |v: &Value| v.is_string();
        match self {
            Self::Text => all(is_text(value)),
            Self::Word(words) => all(value.as_str().is_some_and(|v| v.is_empty() || words.contains(&v))),
            Self::Whole(least, most) => all(whole(value, least, most)),
            Self::Port => all(whole(value, 0, 65535) || value.as_str().is_some_and(|v| !v.is_empty())),
            Self::Scalar => all(value.is_number() || value.is_string()),
            Self::Bool => all(value.is_boolean()),
            Self::Quantity => all(value.is_number() || value.as_str().is_some_and(is_quantity)),
            Self::Map => all(value.is_object()),
            Self::Strings => match value.as_object() {
                Some(map) => match map.iter().find(|(_, v)| !v.is_string() && !v.is_null()) {
                    Some((key, wrong)) => Err((join("", key), Self::Text, wrong)),
                    None => Ok(()),
                },
                None => all(false),
            },
            Self::Texts => self.items_fit(Self::Text, value, is_text),
            Self::Maps => self.items_fit(Self::Map, value, Value::is_object),
        }
    }

    fn items_fit(self, each: Self, value: &Value, fits: impl Fn(&Value) -> bool) -> Result<(), (String, Self, &Value)> {
        let Some(items) = value.as_array() else { return Err((String::new(), self, value)) };
        match items.iter().enumerate().find(|(_, item)| !fits(item)) {
            Some((i, wrong)) => Err((format!("[{i}]"), each, wrong)),
            None => Ok(()),
        }
    }
}

/// A place in an object, written out only where something is wrong: most of them are looked at and passed by.
#[derive(Clone, Copy)]
pub(super) enum Path<'p> {
    Root,
    Field(&'p Self, &'p str),
    Item(&'p Self, usize),
}

impl std::fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Root => Ok(()),
            Self::Field(Self::Root, name) => f.write_str(name),
            Self::Field(parent, name) => write!(f, "{parent}.{name}"),
            Self::Item(list, index) => write!(f, "{list}[{index}]"),
        }
    }
}

/// Calls a function for every node that a place such as `spec.containers[].env[]` means; the empty place is the node.
pub(super) fn each<'v>(node: &'v Value, place: &str, path: &Path<'_>, work: &mut dyn FnMut(&'v Value, &Path<'_>)) {
    if place.is_empty() {
        return work(node, path);
    }
    let (first, rest) = place.split_once('.').unwrap_or((place, ""));
    match first.strip_suffix("[]") {
        None => {
            if let Some(inner) = node.get(first) {
                each(inner, rest, &Path::Field(path, first), work);
            }
        }
        Some(list) => {
            let list_path = Path::Field(path, list);
            for (i, item) in node.get(list).and_then(Value::as_array).into_iter().flatten().enumerate() {
                each(item, rest, &Path::Item(&list_path, i), work);
            }
        }
    }
}
