//! `.Capabilities`: the Kubernetes version and the APIs that a chart may ask for.

use super::go_struct::{Field, GoStruct, Rule};
use super::text;
use crate::gotmpl::{Object, Signature, Text, Type, Value};
use std::any::Any;
use std::rc::Rc;

/// The version of Helm whose behaviour this is.
pub const HELM_VERSION: &str = "v3.22";

/// The API versions of the client library of Helm 3.22, in its order: what charts see without a cluster.
pub const DEFAULT_API_VERSIONS: [&str; 57] = [
    "v1",
    "admissionregistration.k8s.io/v1",
    "admissionregistration.k8s.io/v1alpha1",
    "admissionregistration.k8s.io/v1beta1",
    "internal.apiserver.k8s.io/v1alpha1",
    "apps/v1",
    "apps/v1beta1",
    "apps/v1beta2",
    "authentication.k8s.io/v1",
    "authentication.k8s.io/v1alpha1",
    "authentication.k8s.io/v1beta1",
    "authorization.k8s.io/v1",
    "authorization.k8s.io/v1beta1",
    "autoscaling/v1",
    "autoscaling/v2",
    "batch/v1",
    "batch/v1beta1",
    "certificates.k8s.io/v1",
    "certificates.k8s.io/v1beta1",
    "certificates.k8s.io/v1alpha1",
    "coordination.k8s.io/v1alpha2",
    "coordination.k8s.io/v1beta1",
    "coordination.k8s.io/v1",
    "discovery.k8s.io/v1",
    "discovery.k8s.io/v1beta1",
    "events.k8s.io/v1",
    "events.k8s.io/v1beta1",
    "extensions/v1beta1",
    "flowcontrol.apiserver.k8s.io/v1",
    "flowcontrol.apiserver.k8s.io/v1beta1",
    "flowcontrol.apiserver.k8s.io/v1beta2",
    "flowcontrol.apiserver.k8s.io/v1beta3",
    "lifecycle.k8s.io/v1alpha1",
    "networking.k8s.io/v1",
    "networking.k8s.io/v1beta1",
    "node.k8s.io/v1",
    "node.k8s.io/v1alpha1",
    "node.k8s.io/v1beta1",
    "policy/v1",
    "policy/v1beta1",
    "rbac.authorization.k8s.io/v1",
    "rbac.authorization.k8s.io/v1beta1",
    "rbac.authorization.k8s.io/v1alpha1",
    "resource.k8s.io/v1",
    "resource.k8s.io/v1beta2",
    "resource.k8s.io/v1beta1",
    "resource.k8s.io/v1alpha3",
    "scheduling.k8s.io/v1alpha3",
    "scheduling.k8s.io/v1beta1",
    "scheduling.k8s.io/v1",
    "storage.k8s.io/v1beta1",
    "storage.k8s.io/v1",
    "storage.k8s.io/v1alpha1",
    "storagemigration.k8s.io/v1",
    "storagemigration.k8s.io/v1beta1",
    "apiextensions.k8s.io/v1beta1",
    "apiextensions.k8s.io/v1",
];

/// A Kubernetes version as charts see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KubeVersion {
    /// The whole, with a leading `v`.
    pub version: String,
    /// The major number.
    pub major: String,
    /// The minor number; a server may report `27+`.
    pub minor: String,
}

impl Default for KubeVersion {
    /// What charts see without a cluster and without `--kube-version`. Helm's own default is set when it is built.
    fn default() -> Self {
        Self { version: "v1.35.0".to_owned(), major: "1".to_owned(), minor: "35".to_owned() }
    }
}

/// A text that is not a Kubernetes version; the texts are those that Helm prints after `invalid kube version '…': `.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KubeVersionError {
    /// No numbers stand at its beginning.
    #[error("could not parse {} as version", text::quoted(.0))]
    NoVersion(String),
    /// It has no minor version.
    #[error("illegal version string {}", text::quoted(.0))]
    NoMinor(String),
    /// Its major version begins with a zero.
    #[error("illegal zero-prefixed version component {} in {}", text::quoted(part), text::quoted(version))]
    LeadingZero {
        /// The number.
        part: String,
        /// The text.
        version: String,
    },
    /// A number has more than 64 bits.
    #[error(
        "illegal non-numeric version component {0} in {1}: strconv.ParseUint: parsing {0}: value out of range",
        text::quoted(part),
        text::quoted(version)
    )]
    TooLarge {
        /// The number.
        part: String,
        /// The text.
        version: String,
    },
}

impl KubeVersion {
    /// Reads a version as `--kube-version` does: numbers with dots, a `v` in front and anything behind ignored.
    ///
    /// # Errors
    /// The text is not a version with at least two numbers.
    pub fn parse(raw: &str) -> Result<Self, KubeVersionError> {
        let trimmed = raw.trim_start();
        let rest = trimmed.strip_prefix('v').unwrap_or(trimmed);
        let is_digit = |c: &char| c.is_ascii_digit();
        let mut parts: Vec<String> = Vec::new();
        let mut chars = rest.chars().peekable();
        loop {
            let digits: String = std::iter::from_fn(|| chars.next_if(is_digit)).collect();
            if digits.is_empty() {
                break;
            }
            parts.push(digits);
            if chars.next_if_eq(&'.').is_none() {
                break;
            }
        }
        // A line end cannot be part of what stands behind the numbers.
        if parts.is_empty() || chars.any(|c| c == '\n') {
            return Err(KubeVersionError::NoVersion(raw.to_owned()));
        }
        let (Some(major), Some(minor)) = (parts.first(), parts.get(1)) else {
            return Err(KubeVersionError::NoMinor(raw.to_owned()));
        };
        if major.starts_with('0') && major != "0" {
            return Err(KubeVersionError::LeadingZero { part: major.clone(), version: raw.to_owned() });
        }
        let mut numbers = Vec::new();
        for part in &parts {
            let too_large = |_| KubeVersionError::TooLarge { part: part.clone(), version: raw.to_owned() };
            let number: u64 = part.parse().map_err(too_large)?;
            numbers.push(number.to_string());
        }
        Ok(Self {
            version: format!("v{}", numbers.join(".")),
            major: numbers.first().unwrap_or(major).clone(),
            minor: numbers.get(1).unwrap_or(minor).clone(),
        })
    }

    fn value(&self) -> Value {
        let field = |name, text: &str| Field { name, json: name, rule: Rule::Always, value: Value::string(text) };
        GoStruct {
            type_name: "chartutil.KubeVersion",
            fields: vec![field("Version", &self.version), field("Major", &self.major), field("Minor", &self.minor)],
            methods: &[("String", version_of), ("GitVersion", version_of)],
        }
        .into_value()
    }
}

fn version_of(capabilities: &GoStruct) -> Value {
    capabilities.field("Version").unwrap_or(Value::Nil)
}

/// What a chart may ask of the cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capabilities {
    /// The Kubernetes version.
    pub kube_version: KubeVersion,
    /// `group/version`, and with a cluster `group/version/Kind` too.
    pub api_versions: Vec<String>,
}

impl Default for Capabilities {
    fn default() -> Self {
        let api_versions = DEFAULT_API_VERSIONS.iter().map(|&v| v.to_owned()).collect();
        Self { kube_version: KubeVersion::default(), api_versions }
    }
}

impl Capabilities {
    /// The value of `.Capabilities`.
    #[must_use]
    pub fn value(&self) -> Value {
        let always = |name, value| Field { name, json: name, rule: Rule::Always, value };
        let versions = VersionSet(self.api_versions.clone());
        GoStruct {
            type_name: "*chartutil.Capabilities",
            fields: vec![
                always("KubeVersion", self.kube_version.value()),
                always("APIVersions", Value::Object(Rc::new(versions))),
                always("HelmVersion", helm_version()),
            ],
            methods: &[("Copy", |r| {
                GoStruct { type_name: r.type_name, fields: copy(&r.fields), methods: r.methods }.into_value()
            })],
        }
        .into_value()
    }
}

fn copy(fields: &[Field]) -> Vec<Field> {
    let one = |f: &Field| Field { name: f.name, json: f.json, rule: f.rule, value: f.value.clone() };
    fields.iter().map(one).collect()
}

fn helm_version() -> Value {
    let field = |name, json, text| Field { name, json, rule: Rule::OmitEmpty, value: Value::string(text) };
    GoStruct {
        type_name: "version.BuildInfo",
        fields: vec![
            field("Version", "version", HELM_VERSION),
            field("GitCommit", "git_commit", ""),
            field("GitTreeState", "git_tree_state", ""),
            field("GoVersion", "go_version", "go1.26.8"),
        ],
        methods: &[],
    }
    .into_value()
}

/// `.Capabilities.APIVersions`
struct VersionSet(Vec<String>);

impl Object for VersionSet {
    fn type_name(&self) -> &'static str {
        "chartutil.VersionSet"
    }

    fn kind_name(&self) -> &'static str {
        "slice"
    }

    fn field(&self, _name: &str) -> Option<Value> {
        None
    }

    fn has_method(&self, name: &str) -> bool {
        name == "Has"
    }

    fn method_signature(&self, name: &str) -> Option<Signature> {
        (name == "Has").then_some(Signature { params: &[Type::String], variadic: None })
    }

    fn call(&self, name: &str, args: &[Value]) -> Option<Result<Value, String>> {
        match (name, args) {
            ("Has", [Value::String(wanted)]) => {
                Some(Ok(Value::Bool(self.0.iter().any(|v| v.as_bytes() == wanted.as_bytes()))))
            }
            ("Has", _) => Some(Err("wrong type for value; expected string".to_owned())),
            _ => None,
        }
    }

    fn display(&self) -> String {
        format!("[{}]", self.0.join(" "))
    }

    fn entries(&self) -> Option<Vec<(Text, Value)>> {
        // Lets `range`, `len` and `if` see the list.
        Some(self.0.iter().enumerate().map(|(i, v)| (i.to_string().into(), Value::string(v.as_str()))).collect())
    }

    fn to_json(&self) -> Result<String, String> {
        let list = self.0.iter().map(|v| serde_json::Value::from(v.as_str())).collect();
        Ok(crate::json::to_string(&list))
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_generously() {
        for (raw, want) in [
            ("1.27", Ok("v1.27")),
            ("v1.35.1-gke.5", Ok("v1.35.1")),
            ("1.27.3+k3s1", Ok("v1.27.3")),
            ("1", Err("illegal version string \"1\"")),
            ("abc", Err("could not parse \"abc\" as version")),
            ("01.2", Err("illegal zero-prefixed version component \"01\" in \"01.2\"")),
            (
                "1.99999999999999999999",
                Err("illegal non-numeric version component \"99999999999999999999\" in \"1.99999999999999999999\": \
                     strconv.ParseUint: parsing \"99999999999999999999\": value out of range"),
            ),
        ] {
            let read = KubeVersion::parse(raw).map(|v| v.version).map_err(|error| error.to_string());
            assert_eq!(read, want.map(str::to_owned).map_err(str::to_owned));
        }
    }
}
