//! Registries: artifacts and images, tokens, digests.

use super::home::Home;
use super::library::Library;
use super::package::{gzip, header, hex, release, tar};
use super::server::{Request, Server, reply};
use istio_operator::source::{Origin, Refresh};
use std::collections::BTreeMap;
use std::io::{self, Write};
use tar::EntryType;

const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
const ARTIFACT: &str = "application/vnd.example.istio.release";

/// What a registry has, by the last part of the path.
#[derive(Clone, Default)]
struct Content(BTreeMap<String, Vec<u8>>);

impl Content {
    /// A manifest of layers, under a tag and its digest, which is given.
    fn with(&mut self, tag: &str, layers: &[(&str, Vec<u8>)]) -> String {
        let mut described = vec![];
        for (media_type, bytes) in layers {
            let digest = format!("sha256:{}", hex(bytes));
            described.push(serde_json::json!({"mediaType": media_type, "digest": digest, "size": bytes.len()}));
            self.0.insert(digest, bytes.clone());
        }
        self.manifest(tag, &serde_json::json!({"schemaVersion": 2, "layers": described}))
    }

    fn manifest(&mut self, tag: &str, manifest: &serde_json::Value) -> String {
        let bytes = serde_json::to_vec(manifest).unwrap();
        let digest = format!("sha256:{}", hex(&bytes));
        self.0.insert(tag.to_owned(), bytes.clone());
        self.0.insert(digest.clone(), bytes);
        digest
    }

    fn answer(&self, request: &Request, stream: &mut impl Write) -> io::Result<()> {
        match request.path.rsplit('/').next().and_then(|name| self.0.get(name)) {
            Some(bytes) => reply(stream, "200 OK", &[], bytes),
            None => reply(stream, "404 Not Found", &[], b"{}"),
        }
    }

    fn serve(self) -> Server {
        Server::start(move |request, _, stream| self.answer(request, stream))
    }
}

/// A registry with one artifact.
fn artifact() -> (Content, String) {
    let mut content = Content::default();
    let digest = content.with("1.30.3", &[(ARTIFACT, release("1.30.3"))]);
    (content, digest)
}

fn oci(server: &Server, rest: &str) -> String {
    format!("oci://{}/istio/release{rest}", server.address)
}

#[test]
fn a_release_archive_is_pulled_as_an_artifact() {
    let (home, (content, digest)) = (Home::new(), artifact());
    let server = content.serve();
    let ended = home.fetch(&oci(&server, ":1.30.3"));
    assert_eq!(ended.succeeded().said("version"), "1.30.3");
    assert_eq!((ended.said("digest"), ended.said("from")), (digest.as_str(), "the location"));
    let layer = format!("/v2/istio/release/blobs/sha256:{}", hex(&release("1.30.3")));
    assert_eq!(server.paths(), ["/v2/istio/release/manifests/1.30.3", &layer]);
    assert!(server.requests()[0].header("accept").unwrap().contains("application/vnd.oci.image.manifest.v1+json"));
    // With its digest it is the same, wherever it is.
    for rest in [":1.30.3".to_owned(), format!(":1.30.3@{digest}"), format!("@{digest}")] {
        assert_eq!(home.fetch(&oci(&server, &rest)).succeeded().said("from"), "the cache");
    }
    assert_eq!(server.paths().len(), 2);
    home.fetch(&oci(&server, ":1.29.0")).failed_with("there is none (the server answered 404); check the address");
}

#[test]
fn an_image_with_manifests_in_it_is_a_release_package() {
    let file = |path: &str, text: &'static str| (header(EntryType::Regular, path, text.len() as u64), text.as_bytes());
    let base =
        gzip(&tar(&[file("etc/os-release", "NAME=x"), file("srv/istio/manifests/charts/old/Chart.yaml", "name: old")]));
    let upper = gzip(&tar(&[
        file("srv/istio/manifests/charts/.wh.old", ""),
        file("srv/istio/manifests/charts/base/Chart.yaml", "name: base"),
        file("srv/istio/manifests/profiles/default.yaml", "spec: {tag: 1.30.3}"),
    ]));
    let mut content = Content::default();
    let image =
        content.with("image", &[(LAYER, base), (LAYER, upper), ("application/vnd.in-toto+json", b"{}".to_vec())]);
    let platform = |os: &str, of: &str| serde_json::json!({"os": os, "architecture": of});
    let other = format!("sha256:{}", "0".repeat(64));
    let all = serde_json::json!([
        {"digest": other, "size": 1, "platform": platform("unknown", "unknown")},
        {"digest": image, "size": 1, "platform": platform("linux", "s390x")},
    ]);
    let index = content.manifest("1.30.3", &serde_json::json!({"schemaVersion": 2, "manifests": all}));
    let (home, server) = (Home::new(), content.serve());
    let ended = home.fetch(&oci(&server, ":1.30.3"));
    assert_eq!((ended.succeeded().said("version"), ended.said("digest")), ("1.30.3", image.as_str()));
    assert_eq!(home.packages(), ["charts/base/Chart.yaml", "package.json", "profiles/default.yaml"]);
    // Pinned by the digest of its index, which leads to the same.
    home.fetch(&oci(&server, &format!("@{index}"))).succeeded();
    let asked = server.paths().len();
    assert_eq!(home.fetch(&oci(&server, &format!("@{index}"))).said("from"), "the cache");
    assert_eq!(server.paths().len(), asked);
}

#[test]
fn what_has_another_digest_than_the_registry_says_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (mut content, digest) = artifact();
    let layer = format!("sha256:{}", hex(&release("1.30.3")));
    content.0.insert(layer.clone(), release("1.30.4"));
    let server = content.clone().serve();
    let words = format!("its digest is sha256:{}, not {layer}", hex(&release("1.30.4")));
    let library = Library::new(dir.path());
    assert_eq!(library.fails(&oci(&server, ":1.30.3"), &words), ("ReleaseDigestMismatch", true));
    content.0.insert(digest.clone(), b"{\"layers\": []}".to_vec());
    let server = content.serve();
    library.fails(&oci(&server, &format!(":1.30.3@{digest}")), &format!("not {digest}"));
    assert!(library.source().cache().list().unwrap().packages.is_empty());
}

#[test]
fn what_is_no_package_in_a_registry_says_what_is_wrong() {
    let dir = tempfile::tempdir().unwrap();
    let mut content = Content::default();
    content.with("empty", &[]);
    content.with("other", &[("application/vnd.a", vec![1]), ("application/vnd.b", vec![2])]);
    content.with("client", &[(LAYER, gzip(&tar(&[(header(EntryType::Regular, "istioctl", 0), &[][..])])))]);
    content.manifest("config", &serde_json::json!({"schemaVersion": 2}));
    content.manifest("index", &serde_json::json!({"manifests": []}));
    content.0.insert("text".to_owned(), b"<html>".to_vec());
    content.0.insert("huge".to_owned(), vec![b' '; 5 << 20]);
    let large = serde_json::json!([{"digest": format!("sha256:{}", hex(b"")), "size": 2_u64 << 30}]);
    content.manifest("large", &serde_json::json!({"layers": large}));
    let (library, server) = (Library::new(dir.path()), content.serve());
    for (tag, words) in [
        ("empty", "none of its layers is an archive"),
        ("other", "none of its layers is an archive"),
        ("client", "so it is not a release of Istio"),
        ("config", "its manifest names no layers"),
        ("index", "its index names no manifest"),
        ("text", "its manifest cannot be read"),
        ("huge", "the answer has more than 4194304 bytes"),
        ("large", "the archive has more than 1073741824 bytes"),
    ] {
        assert_eq!(library.fails(&oci(&server, &format!(":{tag}")), words).0, "ReleaseBroken", "{tag}");
    }
}

#[test]
fn a_tag_that_was_moved_is_pulled_once_more_when_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let (old, _) = artifact();
    let mut new = old.clone();
    new.with("1.30.3", &[(ARTIFACT, release("1.30.4"))]);
    let server = Server::start(
        move |request, before, stream| {
            if before < 3 { old.answer(request, stream) } else { new.answer(request, stream) }
        },
    );
    let (library, location) = (Library::new(dir.path()), oci(&server, ":1.30.3"));
    let get = |refresh| {
        let fetched = library.get(&location, refresh).unwrap();
        (fetched.version.unwrap(), fetched.origin)
    };
    assert_eq!(get(Refresh::IfAbsent), ("1.30.3".to_owned(), Origin::Fetched));
    assert_eq!(get(Refresh::Always), ("1.30.3".to_owned(), Origin::Cache));
    assert_eq!(server.paths().len(), 3, "only its manifest was asked for");
    assert_eq!(get(Refresh::IfAbsent), ("1.30.3".to_owned(), Origin::Cache));
    assert_eq!(get(Refresh::Always), ("1.30.4".to_owned(), Origin::Fetched));
}

/// A registry that wants a token, and gives it to whoever says this.
fn with_tokens(wanted: Option<&'static str>) -> Server {
    let (content, _) = artifact();
    Server::start(move |request, _, stream| {
        let authorization = request.header("authorization");
        if request.path.starts_with("/token?") {
            return match wanted {
                Some(wanted) if authorization != Some(wanted) => reply(stream, "401 Unauthorized", &[], b"{}"),
                _ => reply(stream, "200 OK", &[], br#"{"token": "secret-token"}"#),
            };
        }
        if authorization == Some("Bearer secret-token") {
            return content.answer(request, stream);
        }
        let realm = format!("http://{}/token", request.header("host").unwrap());
        let challenge = format!(r#"Bearer realm="{realm}",service="r.example",scope="repository:istio/release:pull""#);
        reply(stream, "401 Unauthorized", &[("WWW-Authenticate", &challenge)], b"{}")
    })
}

#[test]
fn a_registry_that_wants_a_token_is_given_one() {
    let (home, server) = (Home::new(), with_tokens(None));
    home.fetch(&oci(&server, ":1.30.3")).succeeded();
    let paths = server.paths();
    assert_eq!(paths[1], "/token?service=r.example&scope=repository%3Aistio%2Frelease%3Apull");
    assert_eq!(paths.len(), 4, "one token for all: {paths:?}");
}

#[test]
fn pull_credentials_come_from_a_docker_configuration() {
    let (home, dir, server) = (Home::new(), tempfile::tempdir().unwrap(), with_tokens(Some("Basic dXNlcjp3b3Jk")));
    let document = |auth: &str| {
        let file = dir.path().join("config.json");
        std::fs::write(&file, format!(r#"{{"auths": {{"{}": {{"auth": "{auth}"}}}}}}"#, server.address)).unwrap();
        file.to_str().unwrap().to_owned()
    };
    let location = oci(&server, ":1.30.3");
    let fetch = |file: &str| home.run(&["release", "fetch", "-q", &location, "--registry-config", file]);
    home.fetch(&location).failed_with("access denied: the server answered 401; check the pull credentials");
    let wrong = fetch(&document("dXNlcjpvdGhlcg=="));
    wrong.failed_with("access denied");
    assert!(!wrong.stderr.contains("other"), "{}", wrong.stderr);
    fetch("/nowhere").failed_with("read /nowhere: No such file");
    fetch(&document("dXNlcjp3b3Jk")).succeeded();
}

#[test]
fn a_registry_that_wants_a_password_is_given_it_only_if_asked() {
    let dir = tempfile::tempdir().unwrap();
    let (content, _) = artifact();
    let server = Server::start(move |request, _, stream| match request.header("authorization") {
        Some("Basic dXNlcjp3b3Jk") => content.answer(request, stream),
        _ => reply(stream, "401 Unauthorized", &[("WWW-Authenticate", "Basic realm=\"r\"")], b"{}"),
    });
    let library = Library::new(dir.path());
    let words = "the server answered 401 and there are no credentials for it";
    assert_eq!(library.fails(&oci(&server, ":1.30.3"), words), ("ReleaseAccessDenied", true));
    let document = format!(r#"{{"auths": {{"{}": {{"username": "user", "password": "word"}}}}}}"#, server.address);
    library.with_credentials(&document).fetch(&oci(&server, ":1.30.3")).unwrap();
    assert_eq!(server.requests()[1].header("authorization"), None);
}

#[test]
fn a_token_goes_to_its_registry_and_no_further() {
    let dir = tempfile::tempdir().unwrap();
    let (content, _) = artifact();
    let store = content.clone().serve();
    let (target, blobs) = (store.url(""), content);
    let server = Server::start(move |request, _, stream| {
        if request.path.contains("/blobs/") {
            let place = format!("{target}{}", request.path);
            return reply(stream, "307 Temporary Redirect", &[("Location", &place)], b"");
        }
        match request.header("authorization") {
            Some(_) => blobs.answer(request, stream),
            None => reply(stream, "401 Unauthorized", &[("WWW-Authenticate", "Basic")], b"{}"),
        }
    });
    let document = format!(r#"{{"auths": {{"{}": {{"auth": "dXNlcjp3b3Jk"}}}}}}"#, server.address);
    let location = oci(&server, ":1.30.3");
    let prefix = oci(&server, "");
    // Where the layers are is another server, which must be allowed too.
    let library = Library::new(dir.path()).allowed(&[&prefix]).with_credentials(&document);
    assert_eq!(library.fails(&location, "is not allowed"), ("ReleaseRefused", false));
    assert!(store.requests().is_empty());
    library.allowed(&[&prefix, &store.url("/v2")]).fetch(&location).unwrap();
    assert_eq!(store.requests()[0].header("authorization"), None);
}

#[test]
fn where_tokens_come_from_must_be_allowed_too() {
    let dir = tempfile::tempdir().unwrap();
    let tokens = Server::with(br#"{"token": "t"}"#.to_vec());
    let realm = tokens.url("/token");
    let server = Server::start(move |_, _, stream| {
        let challenge = format!("Bearer realm=\"{realm}\"");
        reply(stream, "401 Unauthorized", &[("WWW-Authenticate", &challenge)], b"{}")
    });
    let document = format!(r#"{{"auths": {{"{}": {{"auth": "dXNlcjp3b3Jk"}}}}}}"#, server.address);
    let library = Library::new(dir.path()).allowed(&[&oci(&server, "")]).with_credentials(&document);
    library.fails(&oci(&server, ":1.30.3"), "/token");
    assert!(tokens.requests().is_empty(), "credentials go where somebody has allowed it");
}
