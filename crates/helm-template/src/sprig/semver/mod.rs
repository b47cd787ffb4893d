//! Versions as Masterminds/semver 3.5 reads and orders them: loosely (`1.2`, `v1`, `01.2.3` are versions), by the
//! precedence of semver.org.
//!
//! In: texts. Out: `Version`, which templates see as `*semver.Version`, and the answer of `semverCompare`. Ranges
//! are in `range`.

mod range;
#[cfg(test)]
mod tests;

use super::args::{fixed, text};
use super::json_write;
use crate::gotmpl::Type::String as GoString;
use crate::gotmpl::{Function, Object, Signature, Value};
use crate::json::Html;
use std::any::Any;
use std::cmp::Ordering;
use std::fmt;
use std::rc::Rc;

pub(crate) use range::compare_constraint;

/// The functions of this file.
pub const FUNCTIONS: &[Function] = &[
    fixed("semver", &[GoString], |_, a| {
        let version = Version::parse(&String::from_utf8_lossy(text(a, 0)))?;
        Ok(Value::Object(Rc::new(Pointer(version))))
    }),
    fixed("semverCompare", &[GoString, GoString], |_, a| {
        let constraint = range::Constraint::parse(&String::from_utf8_lossy(text(a, 0)))?;
        let version = Version::parse(&String::from_utf8_lossy(text(a, 1)))?;
        Ok(Value::Bool(constraint.allows(&version)))
    }),
];

/// Longer texts are refused.
const MAX_LENGTH: usize = 256;

/// A version in its parts.
#[derive(Clone, Debug)]
pub(crate) struct Version {
    /// The first number.
    pub(crate) major: u64,
    /// The second number, 0 if not given.
    pub(crate) minor: u64,
    /// The third number, 0 if not given.
    pub(crate) patch: u64,
    /// What follows the `-`; empty for a release.
    pub(crate) prerelease: String,
    /// What follows the `+`; no part of the order.
    pub(crate) metadata: String,
    /// The text that was read.
    pub(crate) original: String,
}

impl Version {
    /// Reads a version, loosely.
    ///
    /// # Errors
    /// The texts of `semver.NewVersion`.
    pub(crate) fn parse(original: &str) -> Result<Self, String> {
        if original.len() > MAX_LENGTH {
            return Err(format!("version string is too long (max {MAX_LENGTH} bytes)"));
        }
        Self::parse_parts(original)?.ok_or_else(|| "invalid semantic version".to_owned())
    }

    /// `None` if the text does not have the form of a version.
    fn parse_parts(original: &str) -> Result<Option<Self>, String> {
        let Some((numbers, prerelease, metadata)) = split_parts(original) else { return Ok(None) };
        let fields: Vec<&str> = numbers.split('.').collect();
        let is_number = |field: &&str| !field.is_empty() && field.bytes().all(|b| b.is_ascii_digit());
        if fields.len() > 3 || !fields.iter().all(is_number) {
            return Ok(None);
        }
        let mut parsed = [0; 3];
        for (slot, field) in parsed.iter_mut().zip(fields) {
            *slot = field.parse().map_err(|_| {
                format!("error parsing version segment: strconv.ParseUint: parsing \"{field}\": value out of range")
            })?;
        }
        check_prerelease(prerelease)?;
        let [major, minor, patch] = parsed;
        Ok(Some(Self {
            major,
            minor,
            patch,
            prerelease: prerelease.to_owned(),
            metadata: metadata.to_owned(),
            original: original.to_owned(),
        }))
    }

    /// The order of semver.org: numbers, then pre-releases before their release; metadata does not count.
    pub(crate) fn compare(&self, other: &Self) -> Ordering {
        let numbers = |v: &Self| (v.major, v.minor, v.patch);
        numbers(self).cmp(&numbers(other)).then_with(|| compare_prerelease(&self.prerelease, &other.prerelease))
    }

    /// The same version with other numbers and nothing after them.
    fn release(&self, major: u64, minor: u64, patch: u64) -> Self {
        let bare = Self { major, minor, patch, prerelease: String::new(), metadata: String::new(), ..self.clone() };
        bare.with_original()
    }

    /// Writes the `original` anew, with the `v` it had.
    fn with_original(mut self) -> Self {
        let prefix = if self.original.starts_with('v') { "v" } else { "" };
        self.original = format!("{prefix}{self}");
        self
    }

    /// The next version: the named number is one more and what follows it is 0. The patch of a pre-release stays.
    fn next(&self, name: &str) -> Result<Self, String> {
        let more = |n: u64, what: &str| {
            n.checked_add(1).ok_or_else(|| format!("{what} version increment would overflow uint64"))
        };
        Ok(match name {
            "IncMajor" => self.release(more(self.major, "major")?, 0, 0),
            "IncMinor" => self.release(self.major, more(self.minor, "minor")?, 0),
            _ if self.prerelease.is_empty() => self.release(self.major, self.minor, more(self.patch, "patch")?),
            _ => self.release(self.major, self.minor, self.patch),
        })
    }

    fn with_prerelease(&self, prerelease: &str) -> Result<Self, String> {
        if !prerelease.is_empty() && !is_dotted(prerelease) {
            return Err("invalid prerelease string".to_owned());
        }
        check_prerelease(prerelease)?;
        Ok(Self { prerelease: prerelease.to_owned(), ..self.clone() }.with_original())
    }

    fn with_metadata(&self, metadata: &str) -> Result<Self, String> {
        if !metadata.is_empty() && !is_dotted(metadata) {
            return Err("invalid metadata string".to_owned());
        }
        Ok(Self { metadata: metadata.to_owned(), ..self.clone() }.with_original())
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)?;
        if !self.prerelease.is_empty() {
            write!(f, "-{}", self.prerelease)?;
        }
        if !self.metadata.is_empty() {
            write!(f, "+{}", self.metadata)?;
        }
        Ok(())
    }
}

/// Numbers, pre-release and metadata of `v1.2.3-pre+meta`.
fn split_parts(s: &str) -> Option<(&str, &str, &str)> {
    let s = s.strip_prefix('v').unwrap_or(s);
    let (rest, metadata) = s.split_once('+').map_or((s, None), |(rest, m)| (rest, Some(m)));
    let (numbers, prerelease) = rest.split_once('-').map_or((rest, None), |(n, p)| (n, Some(p)));
    let well_formed = prerelease.is_none_or(is_dotted) && metadata.is_none_or(is_dotted);
    well_formed.then(|| (numbers, prerelease.unwrap_or_default(), metadata.unwrap_or_default()))
}

/// Identifiers of letters, digits and hyphens, joined by dots.
fn is_dotted(s: &str) -> bool {
    s.split('.').all(|id| !id.is_empty() && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-'))
}

/// Numeric identifiers of a pre-release have no leading zeros.
fn check_prerelease(prerelease: &str) -> Result<(), String> {
    let padded = |id: &str| id.len() > 1 && id.starts_with('0') && id.bytes().all(|b| b.is_ascii_digit());
    if prerelease.split('.').any(padded) {
        return Err("version segment starts with 0".to_owned());
    }
    Ok(())
}

/// No pre-release is the highest; else identifier by identifier, a missing one being the lowest.
fn compare_prerelease(a: &str, b: &str) -> Ordering {
    match (a.is_empty(), b.is_empty()) {
        (true, true) => return Ordering::Equal,
        (true, false) => return Ordering::Greater,
        (false, true) => return Ordering::Less,
        (false, false) => {}
    }
    let (mut left, mut right) = (a.split('.'), b.split('.'));
    loop {
        let order = match (left.next(), right.next()) {
            (None, None) => return Ordering::Equal,
            (None, Some(_)) => Ordering::Less,
            (Some(_), None) => Ordering::Greater,
            (Some(a), Some(b)) => compare_identifier(a, b),
        };
        if order.is_ne() {
            return order;
        }
    }
}

/// Numbers before words; a number too large for 64 bits is a word.
fn compare_identifier(a: &str, b: &str) -> Ordering {
    match (a.parse::<u64>(), b.parse::<u64>()) {
        (Ok(a), Ok(b)) => a.cmp(&b),
        (Ok(_), Err(_)) => Ordering::Less,
        (Err(_), Ok(_)) => Ordering::Greater,
        (Err(_), Err(_)) => a.cmp(b),
    }
}

/// `*semver.Version`: what `semver` returns. It has all methods.
struct Pointer(Version);

/// `semver.Version`: what `IncMajor` and its kind return. Go gives it no methods with a pointer receiver.
struct Plain(Version);

/// Methods of both types without parameters.
const VALUE_METHODS: &[&str] =
    &["String", "Major", "Minor", "Patch", "Prerelease", "Metadata", "IncMajor", "IncMinor", "IncPatch", "Value"];

/// Methods of both types that take a string.
const SETTERS: &[&str] = &["SetPrerelease", "SetMetadata"];

/// Methods of the pointer type that take another version.
const COMPARISONS: &[&str] = &["Compare", "Equal", "LessThan", "LessThanEqual", "GreaterThan", "GreaterThanEqual"];

fn value_signature(name: &str) -> Option<Signature> {
    if VALUE_METHODS.contains(&name) {
        return Some(Signature { params: &[], variadic: None });
    }
    SETTERS.contains(&name).then_some(Signature { params: &[GoString], variadic: None })
}

/// Calls a method that both types have.
fn call_value_method(version: &Version, name: &str, args: &[Value]) -> Option<Result<Value, String>> {
    let plain = |v: Version| Value::Object(Rc::new(Plain(v)));
    let given = || String::from_utf8_lossy(text(args, 0)).into_owned();
    Some(match name {
        "String" | "Value" => Ok(Value::string(version.to_string())),
        "Major" => Ok(Value::Uint64(version.major)),
        "Minor" => Ok(Value::Uint64(version.minor)),
        "Patch" => Ok(Value::Uint64(version.patch)),
        "Prerelease" => Ok(Value::string(version.prerelease.as_str())),
        "Metadata" => Ok(Value::string(version.metadata.as_str())),
        "IncMajor" | "IncMinor" | "IncPatch" => version.next(name).map(plain),
        "SetPrerelease" => version.with_prerelease(&given()).map(plain),
        "SetMetadata" => version.with_metadata(&given()).map(plain),
        _ => return None,
    })
}

/// Calls a method that takes another version.
fn call_comparison(version: &Version, name: &str, args: &[Value]) -> Result<Value, String> {
    let [argument] = args else {
        return Err(format!("wrong number of args for {name}: want 1 got {}", args.len()));
    };
    let other = match argument {
        Value::Object(o) => o.as_any().downcast_ref::<Pointer>(),
        _ => None,
    };
    let Some(Pointer(other)) = other else {
        return Err(format!("wrong type for value; expected *semver.Version; got {}", argument.type_name()));
    };
    let order = version.compare(other);
    Ok(match name {
        "Compare" => Value::Int(order as i64),
        "Equal" => Value::Bool(order.is_eq()),
        "LessThan" => Value::Bool(order.is_lt()),
        "LessThanEqual" => Value::Bool(order.is_le()),
        "GreaterThan" => Value::Bool(order.is_gt()),
        _ => Value::Bool(order.is_ge()),
    })
}

impl Object for Pointer {
    fn type_name(&self) -> &'static str {
        "*semver.Version"
    }

    fn kind_name(&self) -> &'static str {
        "ptr"
    }

    fn field(&self, _name: &str) -> Option<Value> {
        None
    }

    fn has_method(&self, name: &str) -> bool {
        name == "Original" || COMPARISONS.contains(&name) || value_signature(name).is_some()
    }

    fn call(&self, name: &str, args: &[Value]) -> Option<Result<Value, String>> {
        match name {
            "Original" => Some(Ok(Value::string(self.0.original.as_str()))),
            _ if COMPARISONS.contains(&name) => Some(call_comparison(&self.0, name, args)),
            _ => call_value_method(&self.0, name, args),
        }
    }

    fn method_signature(&self, name: &str) -> Option<Signature> {
        if name == "Original" { Some(Signature { params: &[], variadic: None }) } else { value_signature(name) }
    }

    fn display(&self) -> String {
        self.0.to_string()
    }

    fn to_json(&self) -> Result<String, String> {
        json_write::compact(&Value::string(self.display()), Html::Escaped)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl Object for Plain {
    fn type_name(&self) -> &'static str {
        "semver.Version"
    }

    fn field(&self, _name: &str) -> Option<Value> {
        None
    }

    fn has_method(&self, name: &str) -> bool {
        value_signature(name).is_some()
    }

    fn call(&self, name: &str, args: &[Value]) -> Option<Result<Value, String>> {
        call_value_method(&self.0, name, args)
    }

    fn method_signature(&self, name: &str) -> Option<Signature> {
        value_signature(name)
    }

    fn display(&self) -> String {
        self.0.to_string()
    }

    fn to_json(&self) -> Result<String, String> {
        json_write::compact(&Value::string(self.display()), Html::Escaped)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
