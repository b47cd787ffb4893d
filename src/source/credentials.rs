//! Pull credentials: a `kubernetes.io/dockerconfigjson` document, as kubelets and `docker login` have it.

use super::error::SourceError;
use super::reference::Reference;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fmt;

/// Who may pull from which registry. Never shown.
#[derive(Clone, Default)]
pub struct Credentials(Vec<Credential>);

#[derive(Clone)]
struct Credential {
    registry: String,
    segments: Vec<String>,
    authorization: HeaderValue,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|credential| &credential.registry)).finish()
    }
}

#[derive(Deserialize)]
struct Document {
    #[serde(default)]
    auths: BTreeMap<String, Auth>,
}

#[derive(Deserialize)]
struct Auth {
    #[serde(rename = "auth")]
    pair: Option<String>,
    username: Option<String>,
    password: Option<String>,
}

impl Credentials {
    /// Reads a document. Entries without user and password, such as those of credential helpers, are left out.
    ///
    /// # Errors
    /// It is not a valid document.
    pub fn from_docker_config(document: &[u8]) -> Result<Self, SourceError> {
        let wrong = |problem: String| SourceError::Credentials { problem };
        // A list is not a document, though serde would take it for one with nothing in it.
        if !document.trim_ascii_start().starts_with(b"{") {
            return Err(wrong("it is not a JSON object".to_owned()));
        }
        // What serde says may quote a password.
        let document: Document = serde_json::from_slice(document)
            .map_err(|error| wrong(format!("line {}, column {} cannot be read", error.line(), error.column())))?;
        let mut all = vec![];
        for (name, auth) in document.auths {
            let pair = match (auth.pair.filter(|pair| !pair.is_empty()), auth.username, auth.password) {
                (Some(encoded), _, _) => encoded,
                (None, Some(user), Some(password)) => STANDARD.encode(format!("{user}:{password}")),
                _ => continue,
            };
            let is_pair = STANDARD.decode(&pair).is_ok_and(|bytes| bytes.contains(&b':'));
            let authorization = basic(&pair).filter(|_| is_pair);
            let authorization =
                authorization.ok_or_else(|| wrong(format!("auth of {name:?} is not USER:PASSWORD in base64")))?;
            let (registry, segments) = place(&name);
            all.push(Credential { registry, segments, authorization });
        }
        // The longest path first.
        all.sort_by_key(|credential| std::cmp::Reverse(credential.segments.len()));
        Ok(Self(all))
    }

    /// What to tell the registry of a reference.
    pub(super) fn of(&self, reference: &Reference) -> Option<HeaderValue> {
        let (registry, _) = place(&reference.registry);
        let path: Vec<String> = reference.repository.split('/').map(str::to_owned).collect();
        let covers = |c: &&Credential| c.registry == registry && path.starts_with(&c.segments);
        self.0.iter().find(covers).map(|credential| credential.authorization.clone())
    }
}

/// The header for `user:password`, encoded.
pub(super) fn basic(encoded: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(&format!("Basic {encoded}")).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// The registry of a document's entry, and the path in it.
fn place(name: &str) -> (String, Vec<String>) {
    let name = name.split_once("://").map_or(name, |(_, rest)| rest);
    let (host, path) = name.split_once('/').unwrap_or((name, ""));
    let host = host.to_ascii_lowercase();
    let host = host.strip_suffix(":443").unwrap_or(&host);
    match host {
        // As Docker writes its own.
        "docker.io" | "index.docker.io" | "registry-1.docker.io" => {
            let segments = path.split('/').filter(|s| !matches!(*s, "" | "v1" | "v2")).map(str::to_owned).collect();
            ("docker.io".to_owned(), segments)
        }
        _ => {
            (host.to_owned(), path.split('/').filter(|s| !matches!(*s, "" | "v1" | "v2")).map(str::to_owned).collect())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(document: &str, reference: &str) -> Option<String> {
        let credentials = Credentials::from_docker_config(document.as_bytes()).unwrap();
        let value = credentials.of(&reference.parse().unwrap())?;
        let encoded = value.to_str().unwrap().strip_prefix("Basic ").unwrap().to_owned();
        Some(String::from_utf8(STANDARD.decode(encoded).unwrap()).unwrap())
    }

    #[test]
    fn the_longest_entry_of_the_registry_counts() {
        let document = r#"{"auths": {
            "r.example": {"auth": "YTpi"}, "https://R.example:443/v2/team": {"username": "t", "password": "p:w"},
            "https://index.docker.io/v1/": {"auth": "ZDpk"}, "helper.example": {}}, "credsStore": "x"}"#;
        assert_eq!(told(document, "r.example/other/team").as_deref(), Some("a:b"));
        assert_eq!(told(document, "r.example/team/a").as_deref(), Some("t:p:w"));
        assert_eq!(told(document, "r.example/teams/a").as_deref(), Some("a:b"));
        assert_eq!(told(document, "docker.io/istio/a").as_deref(), Some("d:d"));
        for other in ["r.example:5000/a", "x.r.example/a", "helper.example/a"] {
            assert_eq!(told(document, other), None, "{other}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_told_without_a_secret() {
        for wrong in [
            "",
            "[]",
            r#"{"auths": {"r": {"auth": 3, "password": "secret"}}}"#,
            r#"{"auths":{"r":{"auth":"c2VjcmV0"}}}"#,
        ] {
            let error = Credentials::from_docker_config(wrong.as_bytes()).unwrap_err().to_string();
            assert!(
                error.contains("dockerconfigjson") && !error.contains("secret") && !error.contains("c2Vj"),
                "{error}"
            );
        }
        let credentials = Credentials::from_docker_config(br#"{"auths": {"r": {"auth": "YTpi"}}}"#).unwrap();
        assert_eq!(format!("{credentials:?}"), r#"["r"]"#);
    }
}
