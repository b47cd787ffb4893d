//! Registries: which layers an artifact or image has, and who may pull them.

use super::address::{is_loopback, origin, redact};
use super::digest::Digest;
use super::error::{Denial, SourceError};
use super::reference::Reference;
use super::web::{Answer, Get, Web};
use http::HeaderValue;
use http::header::WWW_AUTHENTICATE;
use serde::Deserialize;
use std::collections::BTreeMap;
use url::Url;

const MANIFESTS: &str = "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json, \
     application/vnd.docker.distribution.manifest.v2+json, application/vnd.docker.distribution.manifest.list.v2+json";
const LONGEST_MANIFEST: usize = 4 << 20;
const LONGEST_TOKEN: usize = 64 << 10;
const MOST_LAYERS: usize = 128;

/// A part of an artifact, or one of an index.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Descriptor {
    #[serde(default)]
    pub(super) media_type: String,
    pub(super) digest: Digest,
    pub(super) size: u64,
    platform: Option<Platform>,
}

#[derive(Clone, Debug, Deserialize)]
struct Platform {
    #[serde(default)]
    os: String,
    #[serde(default)]
    architecture: String,
}

#[derive(Deserialize)]
struct Manifest {
    manifests: Option<Vec<Descriptor>>,
    layers: Option<Vec<Descriptor>>,
}

/// What a reference is at present.
pub(super) struct Artifact {
    /// Of the manifest that names the layers.
    pub(super) digest: Digest,
    /// In order.
    pub(super) layers: Vec<Descriptor>,
}

/// A repository of a registry.
pub(super) struct Registry<'a> {
    web: &'a Web<'a>,
    reference: &'a Reference,
    api: Url,
    /// As the pull credentials say.
    basic: Option<HeaderValue>,
    /// As the registry wants it.
    authorization: Option<HeaderValue>,
}

impl<'a> Registry<'a> {
    pub(super) fn new(web: &'a Web<'a>, reference: &'a Reference, api: Url, basic: Option<HeaderValue>) -> Self {
        Self { web, reference, api, basic, authorization: None }
    }

    fn wrong(&self, problem: String) -> SourceError {
        SourceError::Registry { address: format!("oci://{}", self.reference), problem }
    }

    /// The layers of the reference.
    pub(super) async fn artifact(&mut self) -> Result<Artifact, SourceError> {
        let (digest, manifest) = self.manifest(&self.reference.wanted(), self.reference.digest).await?;
        let (digest, manifest) = match manifest.manifests {
            Some(all) => {
                let chosen = choose(&all).ok_or_else(|| self.wrong("its index names no manifest".to_owned()))?.digest;
                self.manifest(&chosen.to_string(), Some(chosen)).await?
            }
            None => (digest, manifest),
        };
        let layers = manifest.layers.ok_or_else(|| self.wrong("its manifest names no layers".to_owned()))?;
        let layers = archives(layers);
        match layers.len() {
            0 => Err(self.wrong("none of its layers is an archive".to_owned())),
            many if many > MOST_LAYERS => Err(self.wrong(format!("it has more than {MOST_LAYERS} layers"))),
            _ => Ok(Artifact { digest, layers }),
        }
    }

    async fn manifest(&mut self, wanted: &str, pin: Option<Digest>) -> Result<(Digest, Manifest), SourceError> {
        let answer = self.get(&format!("manifests/{wanted}"), MANIFESTS).await?;
        let bytes = answer.read(self.web.timeouts.read, LONGEST_MANIFEST).await?;
        let found = Digest::of(&bytes);
        if let Some(expected) = pin.filter(|pin| *pin != found) {
            let address = format!("oci://{}", self.reference);
            return Err(SourceError::Digest { address, expected, found, is_pin: false });
        }
        let read = serde_json::from_slice(&bytes);
        Ok((found, read.map_err(|error| self.wrong(format!("its manifest cannot be read: {error}")))?))
    }

    /// The content of a layer.
    pub(super) async fn layer(&mut self, layer: &Descriptor) -> Result<Answer, SourceError> {
        self.get(&format!("blobs/{}", layer.digest), "*/*").await
    }

    /// Asks, and says who asks if the registry wants to know.
    async fn get(&mut self, path: &str, kinds: &str) -> Result<Answer, SourceError> {
        let url = self.api.join(path).map_err(|error| self.wrong(error.to_string()))?;
        let get = Get::new(&url).accepting(kinds);
        let mut answer = self.web.get(get.clone().authorized(self.authorization.clone())).await?;
        if answer.status().as_u16() == 401 && origin(&answer.url) == origin(&self.api) {
            self.authorization = Some(self.authorize(&answer).await?);
            answer = self.web.get(get.authorized(self.authorization.clone())).await?;
        }
        if answer.status().is_success() { Ok(answer) } else { Err(answer.failure()) }
    }

    /// Does what a registry wants of those that it does not know.
    async fn authorize(&self, answer: &Answer) -> Result<HeaderValue, SourceError> {
        let all = answer.response.headers().get_all(WWW_AUTHENTICATE);
        let challenges: Vec<Challenge> =
            all.iter().filter_map(|value| Challenge::parse(value.to_str().ok()?)).collect();
        if let Some(bearer) = challenges.iter().find(|challenge| challenge.scheme == "bearer") {
            return self.token(bearer).await;
        }
        let wants_basic = challenges.iter().any(|challenge| challenge.scheme == "basic");
        let basic = self.basic.clone().filter(|_| wants_basic);
        basic.ok_or_else(|| SourceError::Denied { address: redact(&answer.url), cause: Denial::NoCredentials })
    }

    /// Fetches a token from where the registry says. That must be allowed like any other address.
    async fn token(&self, challenge: &Challenge) -> Result<HeaderValue, SourceError> {
        let realm = challenge.parameters.get("realm").map(|realm| Url::parse(realm));
        let Some(Ok(mut url)) = realm else {
            return Err(self.wrong("it names no address for tokens".to_owned()));
        };
        let is_local = url.scheme() == "http" && url.host().is_some_and(|host| is_loopback(&host));
        if url.scheme() != "https" && !(is_local && self.api.scheme() == "http") {
            return Err(self.wrong(format!("its address for tokens, {}, is without TLS", redact(&url))));
        }
        let scope = format!("repository:{}:pull", self.reference.repository);
        let scope = challenge.parameters.get("scope").unwrap_or(&scope);
        if let Some(service) = challenge.parameters.get("service") {
            url.query_pairs_mut().append_pair("service", service);
        }
        url.query_pairs_mut().append_pair("scope", scope);
        let answer = self.web.get(Get::new(&url).authorized(self.basic.clone())).await?;
        if !answer.status().is_success() {
            return Err(answer.failure());
        }
        let bytes = answer.read(self.web.timeouts.read, LONGEST_TOKEN).await?;
        let token = serde_json::from_slice::<Token>(&bytes).ok().and_then(|token| token.token.or(token.access_token));
        let value = token.and_then(|token| HeaderValue::from_str(&format!("Bearer {token}")).ok());
        value.ok_or_else(|| self.wrong("it gave no token".to_owned()))
    }
}

#[derive(Deserialize)]
struct Token {
    token: Option<String>,
    access_token: Option<String>,
}

/// The manifest of an index for this machine, or else for any: the packages in them are the same.
fn choose(all: &[Descriptor]) -> Option<&Descriptor> {
    let architecture = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    let is_of = |descriptor: &&Descriptor, of: &str| {
        let platform = descriptor.platform.as_ref();
        platform.is_some_and(|platform| platform.os == "linux" && platform.architecture == of)
    };
    // Attestations are there as manifests for an unknown system.
    let is_known = |descriptor: &&Descriptor| descriptor.platform.as_ref().is_none_or(|p| p.os != "unknown");
    all.iter().find(|d| is_of(d, architecture)).or_else(|| all.iter().find(is_known))
}

/// Those layers that are archives. The only layer of an artifact is one whatever it is called.
fn archives(layers: Vec<Descriptor>) -> Vec<Descriptor> {
    if layers.len() == 1 {
        return layers;
    }
    let is_archive = |layer: &Descriptor| ["tar", "gzip"].iter().any(|part| layer.media_type.contains(part));
    layers.into_iter().filter(is_archive).collect()
}

/// What a server says of how to say who asks.
#[derive(Debug, PartialEq, Eq)]
struct Challenge {
    scheme: String,
    parameters: BTreeMap<String, String>,
}

impl Challenge {
    /// Reads `Scheme key="value",key=value`.
    fn parse(text: &str) -> Option<Self> {
        let (scheme, mut rest) = text.trim().split_once(' ').unwrap_or((text.trim(), ""));
        let mut parameters = BTreeMap::new();
        while let Some((key, after)) = rest.split_once('=') {
            let key = key.trim_matches([' ', ',']).to_ascii_lowercase();
            let (value, after) = match after.strip_prefix('"') {
                Some(quoted) => quoted.split_once('"')?,
                None => after.split_once(',').unwrap_or((after, "")),
            };
            parameters.insert(key, value.trim().to_owned());
            rest = after;
        }
        Some(Self { scheme: scheme.to_ascii_lowercase(), parameters })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_challenge_is_read_with_and_without_quotes() {
        let found =
            Challenge::parse(r#"Bearer realm="https://r.example/token",service=r, scope="repository:a:pull,push""#);
        let parameters = [("realm", "https://r.example/token"), ("scope", "repository:a:pull,push"), ("service", "r")];
        let parameters = parameters.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
        assert_eq!(found, Some(Challenge { scheme: "bearer".into(), parameters }));
        assert_eq!(Challenge::parse("Basic").unwrap().scheme, "basic");
        assert_eq!(Challenge::parse(r#"Bearer realm="open"#), None);
    }

    fn descriptor(media_type: &str, platform: Option<(&str, &str)>) -> Descriptor {
        let platform = platform.map(|(os, architecture)| Platform { os: os.into(), architecture: architecture.into() });
        Descriptor { media_type: media_type.into(), digest: Digest::of(media_type.as_bytes()), size: 1, platform }
    }

    #[test]
    fn a_manifest_for_any_system_will_do_but_no_attestation() {
        let all = [
            descriptor("attestation", Some(("unknown", "unknown"))),
            descriptor("s390x", Some(("linux", "s390x"))),
            descriptor("amd64", Some(("linux", "amd64"))),
            descriptor("arm64", Some(("linux", "arm64"))),
        ];
        let chosen = choose(&all).unwrap().media_type.clone();
        assert!(chosen == "amd64" || chosen == "arm64", "{chosen}");
        assert_eq!(choose(&all[..2]).unwrap().media_type, "s390x");
        assert!(choose(&all[..1]).is_none());
    }

    #[test]
    fn of_several_layers_only_archives_count() {
        let kinds = ["application/vnd.oci.image.layer.v1.tar+gzip", "application/vnd.in-toto+json", "a/x-gzip"];
        let layers = kinds.map(|kind| descriptor(kind, None)).to_vec();
        assert_eq!(archives(layers).len(), 2);
        assert_eq!(archives(vec![descriptor("application/octet-stream", None)]).len(), 1);
    }
}
