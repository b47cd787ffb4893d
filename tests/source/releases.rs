//! `release list`, and `release fetch` of a version.

use super::home::Home;
use super::package::{gzip, header, release, tar};
use super::server::{Server, reply};
use std::fs;
use std::path::Path;
use tar::EntryType;

/// A release in a folder, as an image has it.
fn package(folder: &Path, version: &str) {
    for (path, text) in
        [("profiles/default.yaml", format!("spec:\n  tag: {version}\n")), ("charts/base/Chart.yaml", String::new())]
    {
        let file = folder.join("manifests").join(path);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
    }
}

/// A server with every release.
fn upstream() -> Server {
    Server::start(|request, _, stream| {
        let version = request.path.split('/').nth(1).unwrap_or_default();
        reply(stream, "200 OK", &[], &release(version))
    })
}

#[test]
fn a_version_is_fetched_from_where_the_template_says() {
    let (home, server) = (Home::new(), upstream());
    let template = server.url("/{version}/istio-{version}.tar.gz");
    let ended = home.run(&["release", "fetch", "1.30.3", "--release-source", &template]);
    assert_eq!(ended.succeeded().said("version"), "1.30.3");
    assert_eq!(server.paths(), ["/1.30.3/istio-1.30.3.tar.gz"]);
    home.run(&["release", "fetch", "1.30.3", "--release-source", "https://packages.example/a.tgz"])
        .failed_with("has no {version}");
    home.run(&["release", "fetch", "1.31", "--release-source", &server.url("/{version}/a.tgz")]).succeeded();
    let other = server.url("/1.29.0/istio-{version}.tar.gz");
    home.run(&["release", "fetch", "1.30.4", "--release-source", &other])
        .failed_with("it is of release 1.29.0, not 1.30.4");
}

#[test]
fn a_version_that_a_folder_for_packages_has_is_not_fetched() {
    let (home, server, dir) = (Home::new(), upstream(), tempfile::tempdir().unwrap());
    package(&dir.path().join("1.30.3"), "1.30.3");
    package(&dir.path().join("1.30.4"), "1.29.0");
    fs::create_dir(dir.path().join("1.30.5")).unwrap();
    let (template, folder) = (server.url("/{version}/a.tgz"), dir.path().to_str().unwrap());
    let fetch = |version: &str| {
        home.run(&["release", "fetch", version, "--release-source", &template, "--package-dir", folder])
    };
    let ended = fetch("1.30.3");
    assert_eq!((ended.succeeded().said("from"), ended.said("digest")), ("the directory itself", "none (a directory)"));
    fetch("1.30.4").failed_with("it is of release 1.29.0, not 1.30.4");
    fetch("1.30.5").failed_with("it must be a directory with profiles/ and charts/");
    assert!(server.requests().is_empty());
    fetch("1.30.6").succeeded();
}

#[test]
fn the_list_shows_everything_at_hand() {
    let (home, server, dir) = (Home::new(), upstream(), tempfile::tempdir().unwrap());
    package(&dir.path().join("1.28.0"), "1.28.0");
    fs::create_dir(dir.path().join("lost+found")).unwrap();
    let folder = dir.path().to_str().unwrap();
    let empty = home.run(&["release", "list"]);
    assert!(empty.succeeded().stdout.contains("1.17.8    built-in"), "{}", empty.stdout);
    home.fetch(&server.url("/1.30.3/a.tgz?key=secret")).succeeded();
    let table = home.run(&["release", "list", "--package-dir", folder]);
    let lines: Vec<&str> = table.succeeded().stdout.lines().collect();
    assert!(lines[0].starts_with("VERSION   FROM"), "{lines:?}");
    for (line, words) in lines[1..].iter().zip(["1.17.8    built-in", "1.28.0    directory", "1.30.3    cache"]) {
        assert!(line.starts_with(words), "{line}");
    }
    assert_eq!(lines.len(), 4);
    assert!(table.stderr.contains("lost+found") && table.stderr.starts_with("Warning:"), "{}", table.stderr);
    assert!(table.stdout.contains("a.tgz?<redacted>") && !table.stdout.contains("secret"), "{}", table.stdout);
    let json = home.run(&["release", "list", "-o", "json", "--package-dir", folder]);
    let rows: serde_json::Value = serde_json::from_str(&json.succeeded().stdout).unwrap();
    assert_eq!(rows[1]["directory"], format!("{folder}/1.28.0/manifests"));
    assert_eq!((&rows[2]["files"], &rows[2]["from"]), (&3.into(), &"cache".into()));
    let yaml = home.run(&["release", "list", "-o", "yaml", "--package-dir", folder]);
    assert!(yaml.succeeded().stdout.contains("version: 1.28.0"), "{}", yaml.stdout);
    home.run(&["release", "list", "--package-dir", "/nowhere"]).failed_with("/nowhere: No such file or directory");
}

#[test]
fn a_package_that_does_not_say_its_release_is_of_an_unknown_one() {
    let file = |path: &str, text: &'static str| (header(EntryType::Regular, path, text.len() as u64), text.as_bytes());
    let archive = tar(&[file("profiles/default.yaml", "spec: {}"), file("charts/base/Chart.yaml", "name: base")]);
    let (home, server) = (Home::new(), Server::with(gzip(&archive)));
    let ended = home.run(&["release", "fetch", "-q", "1.30.3", "--release-source", &server.url("/{version}.tgz")]);
    assert_eq!(ended.succeeded().said("version"), "unknown");
    assert!(home.run(&["release", "list"]).stdout.contains("\nunknown   cache"));
}
